/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "serve/afrpc-worker-private.h"

#define SOCKET_ENV "AFRPC_SOCKET" /* set by whoever starts a host */

#define EXIT_FAILURE_PREPARING 1
#define EXIT_FAILURE_USAGE 2

/**
 * AfrpcHost:
 *
 * The program in a worker process: what knows how to load modules and call functions of one language.
 *
 * A host program makes an object of a subclass and calls [method@Afrpc.Host.serve]. The virtual functions
 * say what the language can do; those that a subclass leaves out are answered with
 * %AFRPC_ERROR_NOT_SUPPORTED.
 *
 * Until the worker runs its function, a host must not start threads, nor use what starts them (a
 * [class@Gio.Task], asynchronous I/O) or a main context.
 *
 * Since: 1.0
 */
typedef struct
{
  char *name; /* construct-only */
} AfrpcHostPrivate;

enum
{
  PROP_NAME = 1,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (AfrpcHost, afrpc_host, G_TYPE_OBJECT)

static AfrpcHostPrivate *
get_private (AfrpcHost *self)
{
  return afrpc_host_get_instance_private (self);
}

static gboolean
set_not_supported (AfrpcHost   *self,
                   const char  *what,
                   GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
               "the host of “%s” cannot %s", get_private (self)->name, what);

  return FALSE;
}

static gboolean
default_require (AfrpcHost   *self,
                 const char  *module,
                 GError     **error)
{
  return set_not_supported (self, "load modules", error);
}

static gboolean
default_eval (AfrpcHost   *self,
              const char  *code,
              GVariant    *args,
              GError     **error)
{
  return set_not_supported (self, "evaluate code", error);
}

static guint
default_resolve (AfrpcHost          *self,
                 const char         *function,
                 AfrpcFunctionKind   kind,
                 GError            **error)
{
  set_not_supported (self, "call functions", error);

  return 0;
}

static void
afrpc_host_finalize (GObject *object)
{
  g_clear_pointer (&get_private (AFRPC_HOST (object))->name, g_free);

  G_OBJECT_CLASS (afrpc_host_parent_class)->finalize (object);
}

static void
afrpc_host_get_property (GObject    *object,
                         guint       prop_id,
                         GValue     *value,
                         GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_NAME:
      g_value_set_string (value, get_private (AFRPC_HOST (object))->name);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_host_set_property (GObject      *object,
                         guint         prop_id,
                         const GValue *value,
                         GParamSpec   *pspec)
{
  switch (prop_id)
    {
    case PROP_NAME:
      get_private (AFRPC_HOST (object))->name = g_value_dup_string (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_host_class_init (AfrpcHostClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = afrpc_host_finalize;
  object_class->get_property = afrpc_host_get_property;
  object_class->set_property = afrpc_host_set_property;

  klass->require = default_require;
  klass->eval = default_eval;
  klass->resolve = default_resolve;

  /**
   * AfrpcHost:name: (attributes org.gtk.Property.get=afrpc_host_get_name)
   *
   * The name of the host, as in `afrpc-host-NAME`: usually that of the language.
   *
   * Since: 1.0
   */
  props[PROP_NAME] =
    g_param_spec_string ("name", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_host_init (AfrpcHost *self)
{
}

/**
 * AfrpcHostClass::require:
 * @self: the host
 * @module: what [method@Afrpc.Process.require] was given
 * @error: return location for an error, usually %AFRPC_ERROR_MODULE
 *
 * Loads a module.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::eval:
 * @self: the host
 * @code: source code
 * @args: its arguments
 * @error: return location for an error
 *
 * Evaluates code.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::resolve:
 * @self: the host
 * @function: the name of a function
 * @kind: what it will be used for
 * @error: return location for an error, usually %AFRPC_ERROR_FUNCTION
 *
 * Finds a function.
 *
 * Returns: a number for the function, chosen by the host, or 0 with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::call:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @args: the arguments
 * @error: return location for an error
 *
 * Calls a function of the sync backend.
 *
 * Returns: (transfer full) (nullable): the result, or %NULL with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::invoke:
 * @self: the host
 * @function: the number of the function
 * @invocation: the call, to be answered now or later
 *
 * Calls a function of the async backend.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::init:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @error: return location for an error
 *
 * Calls an init function.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::done:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 *
 * Calls a done function.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::run:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @fd: the socket, which becomes the function's
 *
 * Has a function take the process over.
 *
 * Since: 1.0
 */

GVariant *
afrpc_host_call (AfrpcHost    *self,
                 guint         function,
                 AfrpcWorker  *worker,
                 GVariant     *args,
                 GError      **error)
{
  return AFRPC_HOST_GET_CLASS (self)->call (self, function, worker, args, error);
}

void
afrpc_host_invoke (AfrpcHost       *self,
                   guint            function,
                   AfrpcInvocation *invocation)
{
  AFRPC_HOST_GET_CLASS (self)->invoke (self, function, invocation);
}

void
afrpc_host_done (AfrpcHost   *self,
                 guint        function,
                 AfrpcWorker *worker)
{
  AFRPC_HOST_GET_CLASS (self)->done (self, function, worker);
}

/* A host written in another language may fail without saying why. */
static gboolean
check_failure (gboolean     ok,
               const char  *what,
               const char  *name,
               GError     **error)
{
  if (!ok && error != NULL && *error == NULL)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "%s “%s” failed without saying why", what, name);

  return ok;
}

static gboolean
is_implemented (AfrpcHost         *self,
                AfrpcFunctionKind  kind)
{
  AfrpcHostClass *klass = AFRPC_HOST_GET_CLASS (self);

  switch (kind)
    {
    case AFRPC_FUNCTION_SYNC:
      return klass->call != NULL;

    case AFRPC_FUNCTION_ASYNC:
      return klass->invoke != NULL;

    case AFRPC_FUNCTION_INIT:
      return klass->init != NULL;

    case AFRPC_FUNCTION_DONE:
      return klass->done != NULL;

    case AFRPC_FUNCTION_RUN:
      return klass->run != NULL;

    default:
      return FALSE;
    }
}

static gboolean
resolve (AfrpcHost          *self,
         const char         *name,
         AfrpcFunctionKind   kind,
         guint              *function,
         GError            **error)
{
  static const char *const kinds[] = { "sync", "async", "init", "done", "run" };

  if (!is_implemented (self, kind))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "the host of “%s” has no %s functions", get_private (self)->name, kinds[kind]);
      return FALSE;
    }

  *function = AFRPC_HOST_GET_CLASS (self)->resolve (self, name, kind, error);

  return check_failure (*function != 0, "finding the function", name, error);
}

/* Preparing */

static gboolean
parse_hello (GVariant  *value,
             GError   **error)
{
  guint32 version;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT) || !g_variant_lookup (value, "version", "u", &version))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a greeting without version");
      return FALSE;
    }
  if (version != AFRPC_FRAME_PROTOCOL_VERSION)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION,
                   "the program speaks version %u of the protocol, its worker's host version %u",
                   version, AFRPC_FRAME_PROTOCOL_VERSION);
      return FALSE;
    }

  return TRUE;
}

static gboolean
run_init (AfrpcHost    *self,
          AfrpcWorker  *worker,
          const char   *name,
          GError      **error)
{
  g_autoptr(GError) local_error = NULL;
  guint function;

  if (!resolve (self, name, AFRPC_FUNCTION_INIT, &function, error))
    return FALSE;
  if (AFRPC_HOST_GET_CLASS (self)->init (self, function, worker, &local_error))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INIT, "init function “%s”: %s", name,
               local_error != NULL ? local_error->message : "failed without saying why");
  return FALSE;
}

typedef struct
{
  const char *function;
  const char *init;
  const char *done;
  gboolean async;
  gboolean run;
} RunOptions;

/* Init comes first, because it may load what the others are in. */
static gboolean
prepare_run (AfrpcHost    *self,
             AfrpcWorker  *worker,
             GVariant     *value,
             RunOptions   *options,
             GError      **error)
{
  AfrpcFunctionKind kind;
  int page_fd = afrpc_stream_take_fd (&worker->stream);

  memset (options, 0, sizeof *options);
  if (page_fd >= 0)
    {
      worker->page = afrpc_page_map (page_fd, error);
      close (page_fd);
      if (worker->page == NULL)
        return FALSE;
    }
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT) ||
      !g_variant_lookup (value, "function", "&s", &options->function))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a request to run no function");
      return FALSE;
    }
  g_variant_lookup (value, "init", "&s", &options->init);
  g_variant_lookup (value, "done", "&s", &options->done);
  g_variant_lookup (value, "async", "b", &options->async);
  g_variant_lookup (value, "run", "b", &options->run);
  g_variant_lookup (value, "max-message-size", "t", &worker->message_size_max);

  if (options->init != NULL && !run_init (self, worker, options->init, error))
    return FALSE;
  if (options->done != NULL && !resolve (self, options->done, AFRPC_FUNCTION_DONE, &worker->done, error))
    return FALSE;

  kind = options->run ? AFRPC_FUNCTION_RUN : options->async ? AFRPC_FUNCTION_ASYNC : AFRPC_FUNCTION_SYNC;
  worker->backend = options->async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC;

  return resolve (self, options->function, kind, &worker->function, error);
}

static gboolean
prepare_step (AfrpcHost         *self,
              AfrpcWorker       *worker,
              const AfrpcFrame  *frame,
              GVariant          *value,
              GError           **error)
{
  AfrpcHostClass *klass = AFRPC_HOST_GET_CLASS (self);

  switch (frame->header.kind)
    {
    case AFRPC_FRAME_REQUIRE:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        {
          const char *module = g_variant_get_string (value, NULL);

          return check_failure (klass->require (self, module, error), "loading the module", module, error);
        }
      break;

    case AFRPC_FRAME_EVAL:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE ("(sv)")))
        {
          g_autoptr(GVariant) code = g_variant_get_child_value (value, 0);
          g_autoptr(GVariant) boxed = g_variant_get_child_value (value, 1);
          g_autoptr(GVariant) args = g_variant_get_variant (boxed);

          return check_failure (klass->eval (self, g_variant_get_string (code, NULL), args, error),
                                "evaluating", "code", error);
        }
      break;

    case AFRPC_FRAME_ARG:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
        {
          g_ptr_array_add (worker->arg_list, g_variant_get_variant (value));
          return TRUE;
        }
      break;

    default:
      break;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame->header.kind);
  return FALSE;
}

static gboolean
receive_fd (AfrpcWorker  *worker,
            GError      **error)
{
  int fd = afrpc_stream_take_fd (&worker->stream);

  if (fd < 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                   "a file descriptor did not arrive: the worker may have no more open");
      return FALSE;
    }

  g_array_append_val (worker->fds, fd);
  return TRUE;
}

/* Waits for one frame. Returns DONE, EOF, or ERROR. */
static AfrpcStreamStep
receive_frame (AfrpcWorker  *worker,
               AfrpcFrame   *frame,
               GError      **error)
{
  for (;;)
    {
      AfrpcStreamStep step = afrpc_stream_next (&worker->stream, frame, error);

      if (step != AFRPC_STREAM_AGAIN)
        return step;
      step = afrpc_stream_read (&worker->stream, error);
      if (step != AFRPC_STREAM_DONE)
        return step;
    }
}

static gboolean
greet (AfrpcHost    *self,
       AfrpcWorker  *worker)
{
  g_autoptr(GVariant) hello = NULL;
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "version", "u", AFRPC_FRAME_PROTOCOL_VERSION);
  g_variant_dict_insert (&dict, "host", "s", get_private (self)->name);
  hello = g_variant_ref_sink (g_variant_dict_end (&dict));
  afrpc_stream_put_value (&worker->stream, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  afrpc_worker_flush_blocking (worker);

  return !worker->gone;
}

/* Does what the parent asks for until it asks to run something: DONE. EOF: it wants nothing more. */
static AfrpcStreamStep
prepare (AfrpcHost    *self,
         AfrpcWorker  *worker,
         RunOptions   *options,
         GVariant    **run, /* what @options points into */
         GError      **error)
{
  gboolean greeted = FALSE;

  for (;;)
    {
      g_autoptr(GVariant) value = NULL;
      AfrpcFrame frame;
      AfrpcStreamStep step = receive_frame (worker, &frame, error);
      gboolean ok;

      if (step != AFRPC_STREAM_DONE)
        return step;

      if (frame.header.kind != AFRPC_FRAME_FD)
        {
          value = afrpc_stream_parse_value (&worker->stream, &frame, error);
          if (value == NULL)
            return AFRPC_STREAM_ERROR;
        }

      if (!greeted)
        {
          greeted = frame.header.kind == AFRPC_FRAME_HELLO && frame.header.serial == AFRPC_FRAME_MAGIC;
          if (!greeted)
            g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "no greeting");
          ok = greeted && parse_hello (value, error);
        }
      else if (frame.header.kind == AFRPC_FRAME_FD)
        ok = receive_fd (worker, error);
      else if (frame.header.kind == AFRPC_FRAME_RUN)
        {
          *run = g_steal_pointer (&value);
          return prepare_run (self, worker, *run, options, error) ? AFRPC_STREAM_DONE : AFRPC_STREAM_ERROR;
        }
      else
        ok = prepare_step (self, worker, &frame, value, error);

      if (!ok)
        return AFRPC_STREAM_ERROR;
    }
}

static void
say_ready (AfrpcWorker *worker)
{
  afrpc_stream_put_value (&worker->stream, AFRPC_FRAME_READY, 0, NULL);
  afrpc_worker_flush_blocking (worker);
}

static int
serve_function (AfrpcHost         *self,
                AfrpcWorker       *worker,
                const RunOptions  *options)
{
  g_autoptr(GError) error = NULL;
  gboolean ok;

  if (options->run)
    {
      int fd = worker->stream.in_fd;

      say_ready (worker);
      worker->stream.in_fd = worker->stream.out_fd = -1;
      AFRPC_HOST_GET_CLASS (self)->run (self, worker->function, worker, fd);
      return EXIT_SUCCESS;
    }

  worker->serving = TRUE;
  worker->stream.exact = FALSE;
  worker->stream.size_max = worker->message_size_max;
  say_ready (worker);

  if (options->async)
    ok = afrpc_worker_serve_async (worker, &error);
  else
    {
      ok = afrpc_worker_serve_sync (worker, &error);
      if (ok && worker->done != 0)
        afrpc_host_done (self, worker->done, worker);
    }

  if (!ok)
    g_printerr ("%s: %s\n", get_private (self)->name, error->message);

  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
take_socket (AfrpcHost *self)
{
  const char *number = g_getenv (SOCKET_ENV);
  guint64 fd;

  if (number == NULL || !g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT, &fd, NULL) ||
      fcntl (fd, F_SETFD, FD_CLOEXEC) != 0)
    return -1;

  g_unsetenv (SOCKET_ENV);

  return fd;
}

/**
 * afrpc_host_serve:
 * @self: a host
 *
 * Serves the program that started this process: prepares it, and runs its function, until there is
 * nothing left to do.
 *
 * To be called once, from `main ()`, whose result it returns.
 *
 * Returns: an exit status: 0 if all went well, 1 if the process could not be prepared or the parent
 *   broke the protocol, 2 if the program was not started by afrpc
 *
 * Since: 1.0
 */
int
afrpc_host_serve (AfrpcHost *self)
{
  g_autoptr(AfrpcWorker) worker = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) run = NULL;
  RunOptions options;
  int fd;

  g_return_val_if_fail (AFRPC_IS_HOST (self), EXIT_FAILURE_USAGE);

  fd = take_socket (self);
  if (fd < 0)
    {
      g_printerr ("This is the program of afrpc's workers in “%s”. It is started by afrpc, not by hand.\n",
                  get_private (self)->name);
      return EXIT_FAILURE_USAGE;
    }

  worker = afrpc_worker_new (self, fd);
  if (!greet (self, worker))
    return EXIT_SUCCESS;

  switch (prepare (self, worker, &options, &run, &error))
    {
    case AFRPC_STREAM_DONE:
      return serve_function (self, worker, &options);

    case AFRPC_STREAM_EOF:
      return EXIT_SUCCESS;

    default:
      afrpc_worker_send_error (worker, AFRPC_FRAME_FAILED, 0, error);
      afrpc_worker_flush_blocking (worker);
      return EXIT_FAILURE_PREPARING;
    }
}

/**
 * afrpc_host_get_name: (attributes org.gtk.Method.get_property=name)
 * @self: a host
 *
 * Gets the name of the host.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
afrpc_host_get_name (AfrpcHost *self)
{
  g_return_val_if_fail (AFRPC_IS_HOST (self), NULL);

  return get_private (self)->name;
}
