/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc/gjs/afrpc-gjs-host.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "afrpc/gjs/afrpc-gjs-inbox.h"

/**
 * AfrpcGjsHost:
 *
 * The part in C of the host of workers in JavaScript.
 *
 * What the host is asked for is one of its turns: the property `turn`, of the class made in JavaScript, is set to an
 * [enum@AfrpcGjs.Task]. Meanwhile the host has what belongs to it to look at, and takes the answer. See
 * [class@AfrpcGjs.Inbox] for why these are not virtual functions.
 */
typedef struct
{
  const char *text;              /* (nullable) */
  AfrpcFunctionKind kind;
  guint function;
  AfrpcInvocation *invocation;   /* (nullable) */
  GVariant *args;                /* (nullable) */
  int fd;
  gboolean answered;
  guint result;
  GVariant *value;               /* (nullable) (owned) */
  GError *error;                 /* (nullable) (owned) */
} Request;

typedef struct
{
  Request *request;       /* (nullable): while the property is being set */
  GHashTable *args_types; /* (element-type guint utf8) of functions that have declared them */
  guint n_open;           /* calls of the async backend that may still be answered */
  GSource *collection;    /* (nullable) (owned): the next one */
  gint64 collection_time; /* of the monotonic clock: when the last one was over */
  gint64 collection_took; /* microseconds */
  guint pause_ms;         /* until the next, if there is no reason to have it earlier */
  gboolean has_space;     /* to load the first module in */
} AfrpcGjsHostPrivate;

/* A collection takes a few milliseconds. */
#define COLLECTION_SHARE 50 /* times as long passes until the next */
#define PAUSE_MIN_MS 500u
#define PAUSE_MAX_MS 30000u

/* Modules are loaded in a thread. GLib does not say that one cannot be started, and whoever waits for the module does so
 * for ever. */
#define SPACE_MIN (G_GUINT64_CONSTANT (32) << 20) /* bytes: its stack, and what a small module takes */

static void collect_after (AfrpcGjsHost *self,
                           guint         pause_ms);

G_DEFINE_TYPE_WITH_PRIVATE (AfrpcGjsHost, afrpc_gjs_host, AFRPC_TYPE_HOST)

static Request *
get_request (AfrpcGjsHost *self)
{
  return ((AfrpcGjsHostPrivate *) afrpc_gjs_host_get_instance_private (self))->request;
}

/* What a function does may run a main loop, in which other requests come. */
static gboolean
ask (AfrpcHost     *host,
     AfrpcGjsTask   task,
     Request       *request,
     GError       **error)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (AFRPC_GJS_HOST (host));
  Request *outer = priv->request;

  priv->request = request;
  g_object_set (host, "turn", task, NULL);
  priv->request = outer;

  if (request->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&request->error));
      return FALSE;
    }
  /* JavaScript itself has failed, of memory for instance, and has said so on standard error. */
  if (!request->answered)
    g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the host could not say what became of it");

  return request->answered;
}

/* A promise that nothing can settle any more would hold its call, and the end of the worker with it. When it is
 * collected, the call fails; but the engine collects when it wants memory, not when it has nothing to do. Once the main
 * loop is idle, calls that are open are a reason to look; then less and less often, as long as no new call comes. */
static gboolean
collect_cb (gpointer data)
{
  AfrpcGjsHost *self = data;
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);
  Request request = { 0 };
  const gint64 begin = g_get_monotonic_time ();

  g_clear_pointer (&priv->collection, g_source_unref);
  if (priv->n_open == 0)
    return G_SOURCE_REMOVE;

  ask (AFRPC_HOST (self), AFRPC_GJS_TASK_COLLECT, &request, NULL);
  priv->collection_time = g_get_monotonic_time ();
  priv->collection_took = priv->collection_time - begin;
  priv->pause_ms = CLAMP (priv->pause_ms * 2, PAUSE_MIN_MS, PAUSE_MAX_MS);
  if (priv->n_open > 0)
    collect_after (self, priv->pause_ms);

  return G_SOURCE_REMOVE;
}

static void
collect_after (AfrpcGjsHost *self,
               guint         pause_ms)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);
  const gint64 earliest = priv->collection_time + COLLECTION_SHARE * priv->collection_took;
  const gint64 now = g_get_monotonic_time ();

  if (priv->collection != NULL)
    {
      g_source_destroy (priv->collection);
      g_source_unref (priv->collection);
    }

  priv->collection = g_timeout_source_new (MAX (pause_ms, earliest > now ? (earliest - now) / 1000 : 0));
  g_source_set_priority (priv->collection, G_PRIORITY_LOW);
  g_source_set_static_name (priv->collection, "[afrpc] collection of lost calls");
  g_source_set_callback (priv->collection, collect_cb, self, NULL);
  g_source_attach (priv->collection, NULL);
}

static void
collect_soon (AfrpcGjsHost *self)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);

  priv->pause_ms = 0;
  collect_after (self, 0);
}

static void
invocation_gone_cb (gpointer  data,
                    GObject  *invocation)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (data);

  priv->n_open--;
}

/* Whether the limit of address space leaves enough of it to load anything. */
static gboolean
check_space (AfrpcHost  *host,
             GError    **error)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (AFRPC_GJS_HOST (host));
  guint64 n_pages = 0;
  guint64 least;
  struct rlimit limit;
  FILE *file;

  if (priv->has_space || getrlimit (RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return TRUE;

  file = fopen ("/proc/self/statm", "re");
  if (file == NULL)
    return TRUE;
  if (fscanf (file, "%" G_GUINT64_FORMAT, &n_pages) != 1)
    n_pages = 0;
  fclose (file);

  least = n_pages * (guint64) sysconf (_SC_PAGESIZE) + SPACE_MIN;
  priv->has_space = limit.rlim_cur >= least;
  if (priv->has_space)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
               "address space is limited to %" G_GUINT64_FORMAT " bytes: JavaScript needs at least %" G_GUINT64_FORMAT,
               (guint64) limit.rlim_cur, least);

  return FALSE;
}

static gboolean
afrpc_gjs_host_require (AfrpcHost   *host,
                        const char  *module,
                        GError     **error)
{
  Request request = { .text = module };

  return check_space (host, error) && ask (host, AFRPC_GJS_TASK_REQUIRE, &request, error);
}

static gboolean
afrpc_gjs_host_eval (AfrpcHost   *host,
                     const char  *code,
                     GVariant    *args,
                     GError     **error)
{
  Request request = { .text = code, .args = args };

  return check_space (host, error) && ask (host, AFRPC_GJS_TASK_EVAL, &request, error);
}

static guint
afrpc_gjs_host_resolve (AfrpcHost          *host,
                        const char         *function,
                        AfrpcFunctionKind   kind,
                        GError            **error)
{
  Request request = { .text = function, .kind = kind };

  return ask (host, AFRPC_GJS_TASK_RESOLVE, &request, error) ? request.result : 0;
}

static gboolean
afrpc_gjs_host_init_function (AfrpcHost    *host,
                              guint         function,
                              AfrpcWorker  *worker,
                              GError      **error)
{
  Request request = { .function = function, .args = afrpc_worker_get_args (worker) };

  return ask (host, AFRPC_GJS_TASK_INIT, &request, error);
}

static GVariant *
afrpc_gjs_host_call (AfrpcHost    *host,
                     guint         function,
                     AfrpcWorker  *worker,
                     GVariant     *args,
                     GError      **error)
{
  Request request = { .function = function, .args = args };

  return ask (host, AFRPC_GJS_TASK_CALL, &request, error) ? request.value : NULL;
}

static void
afrpc_gjs_host_invoke (AfrpcHost       *host,
                       guint            function,
                       AfrpcInvocation *invocation)
{
  Request request = { .function = function, .invocation = invocation, .args = afrpc_invocation_get_args (invocation) };
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (AFRPC_GJS_HOST (host));
  g_autoptr(GError) error = NULL;

  priv->n_open++;
  g_object_weak_ref (G_OBJECT (invocation), invocation_gone_cb, host);
  if (ask (host, AFRPC_GJS_TASK_INVOKE, &request, &error))
    {
      if (priv->collection == NULL || priv->pause_ms > 0)
        collect_soon (AFRPC_GJS_HOST (host));
      return;
    }

  afrpc_gjs_host_settled (AFRPC_GJS_HOST (host), invocation);
  afrpc_invocation_return_error (invocation, error);
}

static void
afrpc_gjs_host_cancelled (AfrpcHost       *host,
                          AfrpcInvocation *invocation)
{
  collect_soon (AFRPC_GJS_HOST (host));
}

static void
afrpc_gjs_host_done (AfrpcHost   *host,
                     guint        function,
                     AfrpcWorker *worker)
{
  Request request = { .function = function };
  g_autoptr(GError) error = NULL;

  ask (host, AFRPC_GJS_TASK_DONE, &request, &error);
}

static void
afrpc_gjs_host_run (AfrpcHost   *host,
                    guint        function,
                    AfrpcWorker *worker,
                    int          fd)
{
  Request request = { .function = function, .fd = fd };
  g_autoptr(GError) error = NULL;

  ask (host, AFRPC_GJS_TASK_RUN, &request, &error);
}

static gboolean
afrpc_gjs_host_can_fork (AfrpcHost  *host,
                         GError    **error)
{
  g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                       "JavaScript cannot be forked: its engine has threads");
  return FALSE;
}

static const char *
afrpc_gjs_host_get_args_type (AfrpcHost *host,
                              guint      function)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (AFRPC_GJS_HOST (host));

  return g_hash_table_lookup (priv->args_types, GUINT_TO_POINTER (function));
}

static void
afrpc_gjs_host_finalize (GObject *object)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (AFRPC_GJS_HOST (object));

  if (priv->collection != NULL)
    g_source_destroy (priv->collection);
  g_clear_pointer (&priv->collection, g_source_unref);
  g_hash_table_unref (priv->args_types);

  G_OBJECT_CLASS (afrpc_gjs_host_parent_class)->finalize (object);
}

static void
afrpc_gjs_host_class_init (AfrpcGjsHostClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_gjs_host_finalize;
  host_class->require = afrpc_gjs_host_require;
  host_class->eval = afrpc_gjs_host_eval;
  host_class->resolve = afrpc_gjs_host_resolve;
  host_class->init = afrpc_gjs_host_init_function;
  host_class->call = afrpc_gjs_host_call;
  host_class->invoke = afrpc_gjs_host_invoke;
  host_class->cancelled = afrpc_gjs_host_cancelled;
  host_class->done = afrpc_gjs_host_done;
  host_class->run = afrpc_gjs_host_run;
  host_class->can_fork = afrpc_gjs_host_can_fork;
  host_class->get_args_type = afrpc_gjs_host_get_args_type;
}

static void
afrpc_gjs_host_init (AfrpcGjsHost *self)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);

  priv->args_types = g_hash_table_new_full (NULL, NULL, NULL, g_free);
}

/**
 * afrpc_gjs_host_get_text:
 * @self: a host, in a turn
 *
 * The name of a module or function, or code.
 *
 * Returns: (transfer none): the text
 */
const char *
afrpc_gjs_host_get_text (AfrpcGjsHost *self)
{
  return get_request (self)->text;
}

/**
 * afrpc_gjs_host_get_kind:
 * @self: a host, in a turn
 *
 * What a function will be used for.
 *
 * Returns: its kind
 */
AfrpcFunctionKind
afrpc_gjs_host_get_kind (AfrpcGjsHost *self)
{
  return get_request (self)->kind;
}

/**
 * afrpc_gjs_host_get_function:
 * @self: a host, in a turn
 *
 * Which function is called.
 *
 * Returns: its number
 */
guint
afrpc_gjs_host_get_function (AfrpcGjsHost *self)
{
  return get_request (self)->function;
}

/**
 * afrpc_gjs_host_get_invocation:
 * @self: a host, in a turn
 *
 * The call of an async worker.
 *
 * Returns: (transfer none): the call
 */
AfrpcInvocation *
afrpc_gjs_host_get_invocation (AfrpcGjsHost *self)
{
  return get_request (self)->invocation;
}

/**
 * afrpc_gjs_host_get_fd:
 * @self: a host, in a turn
 *
 * The socket that comes with a process.
 *
 * Returns: a file descriptor, the caller's to close
 */
int
afrpc_gjs_host_get_fd (AfrpcGjsHost *self)
{
  return get_request (self)->fd;
}

/**
 * afrpc_gjs_host_get_args:
 * @self: a host, in a turn
 * @data: (out) (array length=size) (element-type guint8) (transfer none): the bytes of the arguments
 * @size: (out): their number
 *
 * The arguments of what is called or evaluated.
 *
 * Returns: (transfer none): their type
 */
const char *
afrpc_gjs_host_get_args (AfrpcGjsHost  *self,
                         const guint8 **data,
                         gsize         *size)
{
  return afrpc_gjs_get_value (get_request (self)->args, data, size);
}

/**
 * afrpc_gjs_host_succeed:
 * @self: a host, in a turn
 * @function: the number of the function that was found, if one was wanted
 *
 * Says that it is done; an async function, that it has begun.
 */
void
afrpc_gjs_host_succeed (AfrpcGjsHost *self,
                        guint         function)
{
  Request *request = get_request (self);

  request->answered = TRUE;
  request->result = function;
}

/**
 * afrpc_gjs_host_declare:
 * @self: a host
 * @function: the number of a function
 * @args_type: the type of its arguments
 *
 * Has arguments made of a type before the function gets them.
 */
void
afrpc_gjs_host_declare (AfrpcGjsHost *self,
                        guint         function,
                        const char   *args_type)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);

  g_hash_table_insert (priv->args_types, GUINT_TO_POINTER (function), g_strdup (args_type));
}

/**
 * afrpc_gjs_host_answer:
 * @self: a host, in a turn
 * @type: the type of the result
 * @data: (array length=size) (element-type guint8) (transfer full): its bytes, as a GVariant has them
 * @size: their number
 *
 * Gives the result of a function of the sync backend.
 */
void
afrpc_gjs_host_answer (AfrpcGjsHost *self,
                       const char   *type,
                       guint8       *data,
                       gsize         size)
{
  Request *request = get_request (self);

  request->answered = TRUE;
  request->value = afrpc_gjs_new_value (type, data, size);
}

/**
 * afrpc_gjs_host_fail:
 * @self: a host, in a turn
 * @error: why
 *
 * Says that it cannot be done, or that a function has failed.
 */
void
afrpc_gjs_host_fail (AfrpcGjsHost *self,
                     const GError *error)
{
  get_request (self)->error = g_error_copy (error);
}

/**
 * afrpc_gjs_host_settled:
 * @self: a host
 * @invocation: a call of the async backend that was begun
 *
 * Says that a call has been answered: once for each.
 */
void
afrpc_gjs_host_settled (AfrpcGjsHost    *self,
                        AfrpcInvocation *invocation)
{
  AfrpcGjsHostPrivate *priv = afrpc_gjs_host_get_instance_private (self);

  g_object_weak_unref (G_OBJECT (invocation), invocation_gone_cb, self);
  priv->n_open--;
}

/**
 * afrpc_gjs_answer:
 * @invocation: a call of the async backend
 * @type: the type of the result
 * @data: (array length=size) (element-type guint8) (transfer full): its bytes, as a GVariant has them
 * @size: their number
 *
 * Gives the result of a function of the async backend.
 */
void
afrpc_gjs_answer (AfrpcInvocation *invocation,
                  const char      *type,
                  guint8          *data,
                  gsize            size)
{
  g_autoptr(GVariant) value = afrpc_gjs_new_value (type, data, size);

  afrpc_invocation_return_value (invocation, value);
}

/**
 * afrpc_gjs_event:
 * @worker: the worker
 * @type: the type of an event
 * @data: (array length=size) (element-type guint8) (transfer full): its bytes, as a GVariant has them
 * @size: their number
 *
 * Sends an event.
 */
void
afrpc_gjs_event (AfrpcWorker *worker,
                 const char  *type,
                 guint8      *data,
                 gsize        size)
{
  g_autoptr(GVariant) value = afrpc_gjs_new_value (type, data, size);

  afrpc_worker_event (worker, value);
}

/**
 * afrpc_gjs_progress:
 * @worker: the worker
 * @invocation: (nullable): the call of the async backend
 * @type: the type of what is said
 * @data: (array length=size) (element-type guint8) (transfer full): its bytes, as a GVariant has them
 * @size: their number
 *
 * Says how far a call has come.
 */
void
afrpc_gjs_progress (AfrpcWorker     *worker,
                    AfrpcInvocation *invocation,
                    const char      *type,
                    guint8          *data,
                    gsize            size)
{
  g_autoptr(GVariant) value = afrpc_gjs_new_value (type, data, size);

  if (invocation != NULL)
    afrpc_invocation_progress (invocation, value);
  else
    afrpc_worker_progress (worker, value);
}

/**
 * afrpc_gjs_exit:
 * @status: an exit status
 *
 * Ends the process, at once and from anywhere: the engine's own `System.exit ()` in a promise ends nothing but the
 * settling of promises.
 */
void
afrpc_gjs_exit (int status)
{
  exit (status);
}
