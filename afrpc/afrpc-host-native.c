/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-host-native-private.h"

typedef struct
{
  gpointer symbol;
  char *args_type; /* (nullable): any */
} Function;

typedef struct
{
  GArray *functions; /* (element-type Function) a function's number is its index plus 1 */
} AfrpcHostNativePrivate;

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (AfrpcHostNative, afrpc_host_native, AFRPC_TYPE_HOST)

static const char *const kind_names[] = {
  [AFRPC_FUNCTION_SYNC] = "a function of the sync backend",
  [AFRPC_FUNCTION_ASYNC] = "a function of the async backend",
  [AFRPC_FUNCTION_INIT] = "an init function",
  [AFRPC_FUNCTION_DONE] = "a done function",
  [AFRPC_FUNCTION_RUN] = "a function to run",
};

static void
function_clear (Function *function)
{
  g_free (function->args_type);
}

static GArray *
get_functions (AfrpcHostNative *self)
{
  return ((AfrpcHostNativePrivate *) afrpc_host_native_get_instance_private (self))->functions;
}

static Function *
get_function (AfrpcHost *host,
              guint      function)
{
  return &g_array_index (get_functions (AFRPC_HOST_NATIVE (host)), Function, function - 1);
}

static const char *
afrpc_host_native_get_args_type (AfrpcHost *host,
                                 guint      number)
{
  return get_function (host, number)->args_type;
}

static GVariant *
afrpc_host_native_call (AfrpcHost    *host,
                   guint         number,
                   AfrpcWorker  *worker,
                   GVariant     *args,
                   GError      **error)
{
  return ((AfrpcSyncFunction) get_function (host, number)->symbol) (worker, args, error);
}

static void
afrpc_host_native_invoke (AfrpcHost       *host,
                     guint            number,
                     AfrpcInvocation *invocation)
{
  ((AfrpcAsyncFunction) get_function (host, number)->symbol) (invocation);
}

static gboolean
afrpc_host_native_init_function (AfrpcHost    *host,
                            guint         number,
                            AfrpcWorker  *worker,
                            GError      **error)
{
  return ((AfrpcInitFunction) get_function (host, number)->symbol) (worker, afrpc_worker_get_args (worker), error);
}

static void
afrpc_host_native_done (AfrpcHost   *host,
                   guint        number,
                   AfrpcWorker *worker)
{
  ((AfrpcDoneFunction) get_function (host, number)->symbol) (worker);
}

static void
afrpc_host_native_run (AfrpcHost   *host,
                  guint        number,
                  AfrpcWorker *worker,
                  int          fd)
{
  ((AfrpcRunFunction) get_function (host, number)->symbol) (worker, fd);
}

static void
afrpc_host_native_finalize (GObject *object)
{
  g_array_unref (get_functions (AFRPC_HOST_NATIVE (object)));

  G_OBJECT_CLASS (afrpc_host_native_parent_class)->finalize (object);
}

static void
afrpc_host_native_class_init (AfrpcHostNativeClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_host_native_finalize;
  host_class->call = afrpc_host_native_call;
  host_class->invoke = afrpc_host_native_invoke;
  host_class->init = afrpc_host_native_init_function;
  host_class->done = afrpc_host_native_done;
  host_class->run = afrpc_host_native_run;
  host_class->get_args_type = afrpc_host_native_get_args_type;
}

static void
afrpc_host_native_init (AfrpcHostNative *self)
{
  AfrpcHostNativePrivate *priv = afrpc_host_native_get_instance_private (self);

  priv->functions = g_array_new (FALSE, FALSE, sizeof (Function));
  g_array_set_clear_func (priv->functions, (GDestroyNotify) function_clear);
}

/* Checks what is known of a function, and gives it a number; 0: AFRPC_ERROR_FUNCTION.
 * @place: where it was found, for messages
 * @info: (nullable): what is said of it */
guint
afrpc_host_native_add (AfrpcHostNative          *self,
                       const char               *name,
                       const char               *place,
                       gpointer                  symbol,
                       const AfrpcFunctionInfo  *info,
                       AfrpcFunctionKind         kind,
                       GError                  **error)
{
  GArray *functions = get_functions (self);
  Function function = { .symbol = symbol };

  if (info != NULL && info->kind != kind)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "'%s' in %s is %s, not %s", name, place,
                   kind_names[info->kind], kind_names[kind]);
      return 0;
    }
  if (info != NULL && info->args_type != NULL)
    {
      if (!g_variant_type_string_is_valid (info->args_type))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION,
                       "'%s' in %s takes arguments of an invalid type '%s'", name, place, info->args_type);
          return 0;
        }
      function.args_type = g_strdup (info->args_type);
    }

  g_array_append_val (functions, function);

  return functions->len;
}
