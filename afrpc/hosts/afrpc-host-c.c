/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of workers in C and Vala: modules are shared objects, functions are their symbols. Linked
 * without GIO, which comes only with a module that uses it. */
#include "config.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <string.h>

#include "afrpc/afrpc.h"

#define AFRPC_TYPE_HOST_C (afrpc_host_c_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcHostC, afrpc_host_c, AFRPC, HOST_C, AfrpcHost)

typedef struct
{
  char *name;
  gpointer symbol;
  const GVariantType *args_type; /* (nullable): any; the module's */
} Function;

struct _AfrpcHostC
{
  AfrpcHost parent_instance;

  GPtrArray *modules; /* (element-type GModule) in the order in which they were required */
  GArray *functions;  /* (element-type Function) a function's number is its index plus 1 */
};

G_DEFINE_FINAL_TYPE (AfrpcHostC, afrpc_host_c, AFRPC_TYPE_HOST)

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
  g_free (function->name);
}

/* Returns: (nullable): the file of a module that is asked for by name. */
static char *
find_module (const char *name)
{
  const char *env = g_getenv ("AFRPC_MODULE_PATH");
  g_autofree char *path = g_strdup_printf ("%s:%s", env != NULL ? env : "", AFRPC_MODULEDIR);
  g_auto(GStrv) dirs = g_strsplit (path, ":", -1);

  for (char **dir = dirs; *dir != NULL; dir++)
    {
      if (**dir == '\0')
        continue;

      for (guint with_lib = 0; with_lib <= 1; with_lib++)
        {
          g_autofree char *file = g_strdup_printf ("%s/%s%s.so", *dir, with_lib ? "lib" : "", name);

          if (g_file_test (file, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer (&file);
        }
    }

  return NULL;
}

static gboolean
afrpc_host_c_require (AfrpcHost   *host,
                      const char  *module,
                      GError     **error)
{
  AfrpcHostC *self = AFRPC_HOST_C (host);
  g_autofree char *file = NULL;
  GModule *loaded;

  if (strchr (module, '/') != NULL)
    file = g_strdup (module);
  else
    file = find_module (module);
  if (file == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE,
                   "there is no module “%s”: no “%s.so” or “lib%s.so” in AFRPC_MODULE_PATH or %s",
                   module, module, module, AFRPC_MODULEDIR);
      return FALSE;
    }

  loaded = g_module_open (file, G_MODULE_BIND_LAZY);
  if (loaded == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE,
                   "the module “%s” cannot be loaded: %s", module, g_module_error ());
      return FALSE;
    }

  /* Types and quarks that it registers cannot be taken back. */
  g_module_make_resident (loaded);
  g_ptr_array_add (self->modules, loaded);

  return TRUE;
}

/* A symbol of the module itself: not one of a library that it happens to be linked with. */
static gboolean
find_own_symbol (GModule     *module,
                 const char  *name,
                 gpointer    *symbol)
{
  Dl_info info;

  return g_module_symbol (module, name, symbol) && *symbol != NULL && dladdr (*symbol, &info) != 0 &&
         g_strcmp0 (info.dli_fname, g_module_name (module)) == 0;
}

static gboolean
check_info (GModule            *module,
            Function           *function,
            AfrpcFunctionKind   kind,
            GError            **error)
{
  g_autofree char *name = g_strdup_printf ("afrpc_info_%s", function->name);
  const AfrpcFunctionInfo *info;

  if (!find_own_symbol (module, name, (gpointer *) &info))
    return TRUE;

  if (info->kind != kind)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "“%s” in “%s” is %s, not %s", function->name,
                   g_module_name (module), kind_names[info->kind], kind_names[kind]);
      return FALSE;
    }
  if (info->args_type != NULL)
    {
      if (!g_variant_type_string_is_valid (info->args_type))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "“%s” in “%s” takes arguments of an invalid type “%s”",
                       function->name, g_module_name (module), info->args_type);
          return FALSE;
        }
      function->args_type = G_VARIANT_TYPE (info->args_type);
    }

  return TRUE;
}

static guint
afrpc_host_c_resolve (AfrpcHost          *host,
                      const char         *name,
                      AfrpcFunctionKind   kind,
                      GError            **error)
{
  AfrpcHostC *self = AFRPC_HOST_C (host);
  Function function = { 0 };

  for (guint i = 0; i < self->modules->len; i++)
    {
      GModule *module = self->modules->pdata[i];

      if (!find_own_symbol (module, name, &function.symbol))
        continue;

      function.name = g_strdup (name);
      if (!check_info (module, &function, kind, error))
        {
          function_clear (&function);
          return 0;
        }
      g_array_append_val (self->functions, function);
      return self->functions->len;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "there is no function “%s” in %s", name,
               self->modules->len == 1 ? g_module_name (self->modules->pdata[0]) : "the modules that were loaded");
  return 0;
}

static Function *
get_function (AfrpcHost *host,
              guint      function)
{
  return &g_array_index (AFRPC_HOST_C (host)->functions, Function, function - 1);
}

static gboolean
check_args (const Function  *function,
            GVariant        *args,
            GError         **error)
{
  if (function->args_type == NULL || g_variant_is_of_type (args, function->args_type))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "“%s” takes %.*s, not %s", function->name,
               (int) g_variant_type_get_string_length (function->args_type),
               g_variant_type_peek_string (function->args_type), g_variant_get_type_string (args));
  return FALSE;
}

static GVariant *
afrpc_host_c_call (AfrpcHost    *host,
                   guint         number,
                   AfrpcWorker  *worker,
                   GVariant     *args,
                   GError      **error)
{
  const Function *function = get_function (host, number);

  if (!check_args (function, args, error))
    return NULL;

  return ((AfrpcSyncFunction) function->symbol) (worker, args, error);
}

static void
afrpc_host_c_invoke (AfrpcHost       *host,
                     guint            number,
                     AfrpcInvocation *invocation)
{
  const Function *function = get_function (host, number);
  g_autoptr(GError) error = NULL;

  if (check_args (function, afrpc_invocation_get_args (invocation), &error))
    ((AfrpcAsyncFunction) function->symbol) (invocation);
  else
    afrpc_invocation_return_error (invocation, error);
}

static gboolean
afrpc_host_c_init_function (AfrpcHost    *host,
                            guint         number,
                            AfrpcWorker  *worker,
                            GError      **error)
{
  return ((AfrpcInitFunction) get_function (host, number)->symbol) (worker, afrpc_worker_get_args (worker), error);
}

static void
afrpc_host_c_done (AfrpcHost   *host,
                   guint        number,
                   AfrpcWorker *worker)
{
  ((AfrpcDoneFunction) get_function (host, number)->symbol) (worker);
}

static void
afrpc_host_c_run (AfrpcHost   *host,
                  guint        number,
                  AfrpcWorker *worker,
                  int          fd)
{
  ((AfrpcRunFunction) get_function (host, number)->symbol) (worker, fd);
}

static void
afrpc_host_c_finalize (GObject *object)
{
  AfrpcHostC *self = AFRPC_HOST_C (object);

  g_clear_pointer (&self->modules, g_ptr_array_unref);
  g_clear_pointer (&self->functions, g_array_unref);

  G_OBJECT_CLASS (afrpc_host_c_parent_class)->finalize (object);
}

static void
afrpc_host_c_class_init (AfrpcHostCClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_host_c_finalize;
  host_class->require = afrpc_host_c_require;
  host_class->resolve = afrpc_host_c_resolve;
  host_class->call = afrpc_host_c_call;
  host_class->invoke = afrpc_host_c_invoke;
  host_class->init = afrpc_host_c_init_function;
  host_class->done = afrpc_host_c_done;
  host_class->run = afrpc_host_c_run;
}

static void
afrpc_host_c_init (AfrpcHostC *self)
{
  self->modules = g_ptr_array_new ();
  self->functions = g_array_new (FALSE, FALSE, sizeof (Function));
  g_array_set_clear_func (self->functions, (GDestroyNotify) function_clear);
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr(AfrpcHost) host = g_object_new (AFRPC_TYPE_HOST_C, "name", "c", NULL);

  return afrpc_host_serve (host);
}
