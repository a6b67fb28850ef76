/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-proxy.h"

#include <fcntl.h>
#include <signal.h>

#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-process.h"
#include "afrpc-serialiser.h"
#include "child/afrpc-process-private.h"
#include "child/afrpc-proxy-private.h"
#include "serialise/afrpc-pack.h"

#define MAX_CALLS_QUEUED_DEFAULT (1u << 20)
#define MAX_BYTES_QUEUED_DEFAULT (G_GUINT64_CONSTANT (256) << 20)
#define MAX_MESSAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT (128) << 20)

/**
 * AfrpcProxy:
 *
 * Calls a function in a worker process.
 *
 * A proxy takes over a prepared [class@Afrpc.Process], which from then on runs one function of its
 * worker, once for each call. Calls may be made at once; they wait until the worker is ready. Results and
 * [events][signal@Afrpc.Proxy::event] arrive in the order in which the worker made them.
 *
 * Each call is settled exactly once: with its result, with the error of the function, or with the reason
 * why there is none. If the worker dies, calls that it had not started fail with
 * %AFRPC_ERROR_NOT_STARTED and can safely be made again, a call that it was running with %AFRPC_ERROR_DIED.
 *
 * ## The end
 *
 * [method@Afrpc.Proxy.close] lets the worker finish everything that was queued; then
 * [signal@Afrpc.Proxy::destroyed] is emitted. Dropping the last reference without closing also has
 * everything executed and every callback called, but signals of a proxy that is gone reach nobody.
 * A call holds a reference to its proxy.
 *
 * At the end, calls are settled first, with their errors; then comes [signal@Afrpc.Proxy::error], which repeats
 * what ended the worker, then [signal@Afrpc.Process::exited], then [signal@Afrpc.Proxy::destroyed].
 *
 * ## Errors without a call
 *
 * What ends the worker, and what belongs to no call, is emitted as [signal@Afrpc.Proxy::error]. Without a
 * handler for that it is emitted as an event: a tuple of the string `error` and the message. Without a
 * handler for either it is logged as a warning. An event without a handler is such an error itself:
 * %AFRPC_ERROR_UNHANDLED_EVENT.
 *
 * ## Main context and threads
 *
 * A proxy belongs to the main context of its process, which has to be the thread-default one of the
 * thread that uses it: there callbacks and signals come, in slices of a few milliseconds at most, and
 * nothing but functions that end in `_sync` ever blocks it. Only the last reference may be dropped on any
 * thread.
 *
 * Since: 1.0
 */

enum
{
  PROP_PROCESS = 1,
  PROP_FUNCTION,
  PROP_INIT,
  PROP_DONE,
  PROP_BACKEND,
  PROP_SERIALISER,
  PROP_SOCKET,
  PROP_CALL_TIMEOUT_MS,
  PROP_MAX_CALLS_QUEUED,
  PROP_MAX_BYTES_QUEUED,
  PROP_MAX_MESSAGE_SIZE,
  PROP_FORWARD_LOG,
  N_PROPS,
};

enum
{
  SIGNAL_EVENT,
  SIGNAL_ERROR,
  SIGNAL_DESTROYED,
  N_SIGNALS,
};

static GParamSpec *props[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (AfrpcProxy, afrpc_proxy, G_TYPE_OBJECT)

static gboolean
has_handler (gpointer self,
             guint    signal)
{
  return g_signal_has_handler_pending (self, signals[signal], 0, FALSE);
}

static void
proxy_error (gpointer      self,
             const GError *error)
{
  if (has_handler (self, SIGNAL_ERROR))
    g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
  else if (has_handler (self, SIGNAL_EVENT))
    {
      g_autoptr(GVariant) event = g_variant_ref_sink (g_variant_new ("(ss)", "error", error->message));

      g_signal_emit (self, signals[SIGNAL_EVENT], 0, event);
    }
  else
    g_warning ("%s", error->message);
}

static void
emit_event (AfrpcProxy  *self,
            GVariant    *event,
            GUnixFDList *fds)
{
  /* A handler may run the main loop, and so those of other events. */
  GUnixFDList *before = self->event_fds;

  self->event_fds = fds;
  g_signal_emit (self, signals[SIGNAL_EVENT], 0, event);
  self->event_fds = before;
}

static void
proxy_event (gpointer     self,
             GVariant    *event,
             GUnixFDList *fds,
             gboolean    *handled)
{
  if (!*handled)
    *handled = has_handler (self, SIGNAL_EVENT);

  if (*handled)
    emit_event (self, event, fds);
  else
    {
      g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNHANDLED_EVENT,
                                             "the worker sent an event, and no handler is connected");

      proxy_error (self, error);
    }
}

static void
proxy_destroyed (gpointer self)
{
  g_signal_emit (self, signals[SIGNAL_DESTROYED], 0);
}

static const AfrpcChildProxyFuncs proxy_funcs = { proxy_event, proxy_error, proxy_destroyed };

static gboolean
refused_cb (gpointer self)
{
  proxy_error (self, AFRPC_PROXY (self)->refused);
  proxy_destroyed (self);

  return G_SOURCE_REMOVE;
}

/* A proxy that got no process ends like one whose process could not be started. */
static void
end_refused (AfrpcProxy *self)
{
  g_autoptr(GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] proxy refused");
  g_source_set_callback (source, refused_cb, g_object_ref (self), g_object_unref);
  g_source_attach (source, self->child->context);
}

/* Values that travel as they are need none. */
static gboolean
is_serialised (AfrpcProxy *self)
{
  return self->serialiser != NULL &&
         g_strcmp0 (afrpc_serialiser_get_name (self->serialiser), AFRPC_SERIALISER_VARIANT) != 0;
}

static GVariant *
run_options (AfrpcProxy *self)
{
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "function", "s", self->function);
  g_variant_dict_insert (&options, "async", "b", self->backend == AFRPC_BACKEND_ASYNC);
  g_variant_dict_insert (&options, "max-message-size", "t", self->max_message_size);
  if (self->forward_log)
    g_variant_dict_insert (&options, "log", "b", TRUE);
  if (self->init != NULL)
    g_variant_dict_insert (&options, "init", "s", self->init);
  if (self->done != NULL)
    g_variant_dict_insert (&options, "done", "s", self->done);
  if (is_serialised (self))
    g_variant_dict_insert (&options, "serialiser", "s", afrpc_serialiser_get_name (self->serialiser));

  return g_variant_ref_sink (g_variant_dict_end (&options));
}

static void
update_limits (AfrpcProxy *self)
{
  if (self->refused != NULL || self->child == NULL)
    return;

  self->child->link.n_pending_max = self->max_calls_queued;
  self->child->link.n_bytes_max = self->max_bytes_queued;
  self->child->link.message_size_max = self->max_message_size;
}

static void
afrpc_proxy_constructed (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);
  g_autoptr(GVariant) options = NULL;

  G_OBJECT_CLASS (afrpc_proxy_parent_class)->constructed (object);

  g_return_if_fail (self->process != NULL);
  g_return_if_fail (self->function != NULL);

  self->child = afrpc_child_ref (afrpc_process_get_child (self->process));
  if (self->serialiser == NULL || afrpc_pack_check_name (self->serialiser, &self->refused))
    options = run_options (self);
  if (self->refused != NULL || !afrpc_child_take (self->child, options, &self->refused))
    {
      end_refused (self);
      return;
    }

  if (is_serialised (self))
    afrpc_child_set_serialiser (self->child, self->serialiser);
  update_limits (self);
  self->child->lives_on = self->done != NULL && self->backend == AFRPC_BACKEND_ASYNC;
  self->child->proxy_funcs = &proxy_funcs;
  g_weak_ref_set (&self->child->proxy, self);
}

static void
afrpc_proxy_finalize (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  if (self->child != NULL && self->refused == NULL)
    afrpc_child_drop (self->child, AFRPC_CHILD_DROP_PROXY);
  g_clear_pointer (&self->child, afrpc_child_unref);
  g_clear_object (&self->process);
  g_clear_object (&self->serialiser);
  g_clear_object (&self->socket);
  g_clear_error (&self->refused);
  g_free (self->function);
  g_free (self->init);
  g_free (self->done);

  G_OBJECT_CLASS (afrpc_proxy_parent_class)->finalize (object);
}

static void
afrpc_proxy_get_property (GObject    *object,
                          guint       prop_id,
                          GValue     *value,
                          GParamSpec *pspec)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  switch (prop_id)
    {
    case PROP_PROCESS:
      g_value_set_object (value, self->process);
      break;

    case PROP_FUNCTION:
      g_value_set_string (value, self->function);
      break;

    case PROP_INIT:
      g_value_set_string (value, self->init);
      break;

    case PROP_DONE:
      g_value_set_string (value, self->done);
      break;

    case PROP_BACKEND:
      g_value_set_enum (value, self->backend);
      break;

    case PROP_SERIALISER:
      g_value_set_object (value, self->serialiser);
      break;

    case PROP_SOCKET:
      g_value_set_object (value, afrpc_proxy_get_socket (self));
      break;

    case PROP_CALL_TIMEOUT_MS:
      g_value_set_uint (value, self->call_timeout_ms);
      break;

    case PROP_MAX_CALLS_QUEUED:
      g_value_set_uint (value, self->max_calls_queued);
      break;

    case PROP_MAX_BYTES_QUEUED:
      g_value_set_uint64 (value, self->max_bytes_queued);
      break;

    case PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint64 (value, self->max_message_size);
      break;

    case PROP_FORWARD_LOG:
      g_value_set_boolean (value, self->forward_log);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_proxy_set_property (GObject      *object,
                          guint         prop_id,
                          const GValue *value,
                          GParamSpec   *pspec)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  switch (prop_id)
    {
    case PROP_PROCESS:
      self->process = g_value_dup_object (value);
      break;

    case PROP_FUNCTION:
      self->function = g_value_dup_string (value);
      break;

    case PROP_INIT:
      self->init = g_value_dup_string (value);
      break;

    case PROP_DONE:
      self->done = g_value_dup_string (value);
      break;

    case PROP_BACKEND:
      self->backend = g_value_get_enum (value);
      break;

    case PROP_SERIALISER:
      self->serialiser = g_value_dup_object (value);
      break;

    case PROP_CALL_TIMEOUT_MS:
      afrpc_proxy_set_call_timeout_ms (self, g_value_get_uint (value));
      break;

    case PROP_MAX_CALLS_QUEUED:
      afrpc_proxy_set_max_calls_queued (self, g_value_get_uint (value));
      break;

    case PROP_MAX_BYTES_QUEUED:
      afrpc_proxy_set_max_bytes_queued (self, g_value_get_uint64 (value));
      break;

    case PROP_MAX_MESSAGE_SIZE:
      self->max_message_size = g_value_get_uint64 (value);
      break;

    case PROP_FORWARD_LOG:
      self->forward_log = g_value_get_boolean (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags constructed = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS |
                               G_PARAM_EXPLICIT_NOTIFY;

  /**
   * AfrpcProxy:process: (attributes org.gtk.Property.get=afrpc_proxy_get_process)
   *
   * The worker process, which must not run anything yet.
   *
   * Since: 1.0
   */
  props[PROP_PROCESS] = g_param_spec_object ("process", NULL, NULL, AFRPC_TYPE_PROCESS, constructed);

  /**
   * AfrpcProxy:function: (attributes org.gtk.Property.get=afrpc_proxy_get_function)
   *
   * The name of the function to call: in a C module, the name of a symbol.
   *
   * If there is none, calls fail with %AFRPC_ERROR_FUNCTION.
   *
   * Since: 1.0
   */
  props[PROP_FUNCTION] = g_param_spec_string ("function", NULL, NULL, NULL, constructed);

  /**
   * AfrpcProxy:init:
   *
   * The name of a function that is called in the worker first of all.
   *
   * It gets the arguments that were sent with [method@Afrpc.Process.send_arg], and may load what
   * [property@Afrpc.Proxy:function] is in. It cannot emit events. If it fails, calls fail with
   * %AFRPC_ERROR_INIT and its message. For C see [callback@Afrpc.InitFunction].
   *
   * Since: 1.0
   */
  props[PROP_INIT] = g_param_spec_string ("init", NULL, NULL, NULL, constructed);

  /**
   * AfrpcProxy:done:
   *
   * The name of a function that is called in the worker after the proxy was closed and everything
   * was answered.
   *
   * A sync worker exits when it returns. An async worker exits when it calls exit(); it may keep
   * its process working, after the proxy was destroyed. For C see [callback@Afrpc.DoneFunction].
   *
   * Since: 1.0
   */
  props[PROP_DONE] = g_param_spec_string ("done", NULL, NULL, NULL, constructed);

  /**
   * AfrpcProxy:backend: (attributes org.gtk.Property.get=afrpc_proxy_get_backend)
   *
   * How the worker runs the function.
   *
   * Since: 1.0
   */
  props[PROP_BACKEND] =
    g_param_spec_enum ("backend", NULL, NULL, AFRPC_TYPE_BACKEND, AFRPC_BACKEND_SYNC, constructed);

  /**
   * AfrpcProxy:serialiser: (attributes org.gtk.Property.get=afrpc_proxy_get_serialiser)
   *
   * How values travel: arguments, results and events, or %NULL for as they are.
   *
   * The worker needs one of the same name; calls fail with %AFRPC_ERROR_SERIALISER if it has none.
   *
   * Since: 1.0
   */
  props[PROP_SERIALISER] = g_param_spec_object ("serialiser", NULL, NULL, AFRPC_TYPE_SERIALISER, constructed);

  /**
   * AfrpcProxy:socket: (attributes org.gtk.Property.get=afrpc_proxy_get_socket)
   *
   * The program's end of the socket to the worker.
   *
   * Since: 1.0
   */
  props[PROP_SOCKET] =
    g_param_spec_object ("socket", NULL, NULL, G_TYPE_SOCKET, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProxy:call-timeout-ms: (attributes org.gtk.Property.get=afrpc_proxy_get_call_timeout_ms org.gtk.Property.set=afrpc_proxy_set_call_timeout_ms)
   *
   * The time limit of calls that do not name their own, in milliseconds, or 0 for none.
   *
   * Since: 1.0
   */
  props[PROP_CALL_TIMEOUT_MS] = g_param_spec_uint ("call-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcProxy:max-calls-queued: (attributes org.gtk.Property.get=afrpc_proxy_get_max_calls_queued org.gtk.Property.set=afrpc_proxy_set_max_calls_queued)
   *
   * How many calls may wait for their result. Another one fails with %AFRPC_ERROR_BUSY.
   *
   * There may be 16777216 whatever this is.
   *
   * Since: 1.0
   */
  props[PROP_MAX_CALLS_QUEUED] =
    g_param_spec_uint ("max-calls-queued", NULL, NULL, 1, G_MAXUINT, MAX_CALLS_QUEUED_DEFAULT, writable);

  /**
   * AfrpcProxy:max-bytes-queued: (attributes org.gtk.Property.get=afrpc_proxy_get_max_bytes_queued org.gtk.Property.set=afrpc_proxy_set_max_bytes_queued)
   *
   * How many bytes of arguments may wait to be written to the worker, which takes them while it
   * works. A call over that fails with %AFRPC_ERROR_BUSY, unless nothing else waits.
   *
   * Since: 1.0
   */
  props[PROP_MAX_BYTES_QUEUED] =
    g_param_spec_uint64 ("max-bytes-queued", NULL, NULL, 0, G_MAXUINT64, MAX_BYTES_QUEUED_DEFAULT, writable);

  /**
   * AfrpcProxy:max-message-size: (attributes org.gtk.Property.get=afrpc_proxy_get_max_message_size)
   *
   * How many bytes the arguments of a call, a result or an event may have, serialised. A call with
   * more, or whose result has more, fails with %AFRPC_ERROR_TOO_LARGE.
   *
   * Since: 1.0
   */
  props[PROP_MAX_MESSAGE_SIZE] =
    g_param_spec_uint64 ("max-message-size", NULL, NULL, 1, G_MAXINT64, MAX_MESSAGE_SIZE_DEFAULT, constructed);

  /**
   * AfrpcProxy:forward-log:
   *
   * Whether what the worker logs with g_log() or g_log_structured() is written to the program's log, in order
   * with its events and results.
   *
   * The message's text begins with the worker's pid, which is in the field `AFRPC_PID` as well, and the number of
   * the call that the worker was running, counted from 1 (`AFRPC_CALL`), if there was one. Domain and level stay
   * what they are; but an error, which ends the worker, is a critical warning here. The worker's environment
   * decides on debug messages (`G_MESSAGES_DEBUG`). What is logged by other threads than the one that runs
   * functions goes to the worker's standard error; see %AFRPC_STDIO_LOG for that.
   *
   * Since: 1.0
   */
  props[PROP_FORWARD_LOG] = g_param_spec_boolean ("forward-log", NULL, NULL, FALSE, constructed);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
install_signals (GType type)
{
  /**
   * AfrpcProxy::event:
   * @self: the proxy
   * @event: what the worker's function gave to [method@Afrpc.Worker.event]
   *
   * The worker emitted an event.
   *
   * Events come in the order in which the worker made them, among each other and relative to results.
   *
   * Since: 1.0
   */
  signals[SIGNAL_EVENT] =
    g_signal_new ("event", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, g_cclosure_marshal_VOID__VARIANT,
                  G_TYPE_NONE, 1, G_TYPE_VARIANT);
  g_signal_set_va_marshaller (signals[SIGNAL_EVENT], type, g_cclosure_marshal_VOID__VARIANTv);

  /**
   * AfrpcProxy::error:
   * @self: the proxy
   * @error: what happened
   *
   * Something went wrong that ends the worker, or that no call can be blamed for.
   *
   * Calls that were waiting have been settled with their errors before. See the class description
   * for what happens without a handler.
   *
   * Since: 1.0
   */
  signals[SIGNAL_ERROR] =
    g_signal_new ("error", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * AfrpcProxy::destroyed:
   * @self: the proxy
   *
   * The worker has ended, and every call was settled: nothing comes any more.
   *
   * Emitted once, after [method@Afrpc.Proxy.close] was called and everything was finished, or after
   * the worker died. It is what a program waits for before it exits. The process was reaped, unless
   * it has a [property@Afrpc.Proxy:done] function that keeps it working.
   *
   * Since: 1.0
   */
  signals[SIGNAL_DESTROYED] =
    g_signal_new ("destroyed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
afrpc_proxy_class_init (AfrpcProxyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = afrpc_proxy_constructed;
  object_class->finalize = afrpc_proxy_finalize;
  object_class->get_property = afrpc_proxy_get_property;
  object_class->set_property = afrpc_proxy_set_property;

  install_properties (object_class);
  install_signals (G_TYPE_FROM_CLASS (klass));
}

static void
afrpc_proxy_init (AfrpcProxy *self)
{
}

/**
 * afrpc_proxy_new:
 * @process: a process that runs nothing yet
 * @function: the name of the function to call
 *
 * Makes a proxy with the sync backend and default limits.
 *
 * Others are construct properties: `g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
 * "run", "backend", AFRPC_BACKEND_ASYNC, NULL)`.
 *
 * Never fails: if the process runs something already, calls fail with %AFRPC_ERROR_IN_USE, and if it has
 * ended, with the reason.
 *
 * Returns: (transfer full): a proxy
 *
 * Since: 1.0
 */
AfrpcProxy *
afrpc_proxy_new (AfrpcProcess *process,
                 const char   *function)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (process), NULL);
  g_return_val_if_fail (function != NULL, NULL);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, NULL);
}

/**
 * afrpc_proxy_get_process: (attributes org.gtk.Method.get_property=process)
 * @self: a proxy
 *
 * Gets the worker process.
 *
 * Who wants to know how it ended, even after dropping the proxy, keeps it and connects to
 * [signal@Afrpc.Process::exited].
 *
 * Returns: (transfer none): the process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_proxy_get_process (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);

  return self->process;
}

/**
 * afrpc_proxy_get_function: (attributes org.gtk.Method.get_property=function)
 * @self: a proxy
 *
 * Gets the name of the function that is called.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
afrpc_proxy_get_function (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);

  return self->function;
}

/**
 * afrpc_proxy_get_backend: (attributes org.gtk.Method.get_property=backend)
 * @self: a proxy
 *
 * Gets how the worker runs the function.
 *
 * Returns: the backend
 *
 * Since: 1.0
 */
AfrpcBackend
afrpc_proxy_get_backend (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), AFRPC_BACKEND_SYNC);

  return self->backend;
}

/**
 * afrpc_proxy_get_serialiser: (attributes org.gtk.Method.get_property=serialiser)
 * @self: a proxy
 *
 * Gets how values travel.
 *
 * Returns: (transfer none) (nullable): the serialiser, or %NULL if they travel as they are
 *
 * Since: 1.0
 */
AfrpcSerialiser *
afrpc_proxy_get_serialiser (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);

  return self->serialiser;
}

/**
 * afrpc_proxy_get_socket: (attributes org.gtk.Method.get_property=socket)
 * @self: a proxy
 *
 * Gets the program's end of the socket to the worker, to look at its options and credentials.
 *
 * Reading from it or writing to it destroys the conversation.
 *
 * Returns: (transfer none) (nullable): the socket, or %NULL before the process was started and
 *   after its end, and always over a [command][ctor@Afrpc.Process.new_command]
 *
 * Since: 1.0
 */
GSocket *
afrpc_proxy_get_socket (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), NULL);

  if (self->socket == NULL && self->refused == NULL && self->child->link.stream.in_fd >= 0 &&
      !self->child->link.is_command)
    {
      int fd = fcntl (self->child->link.stream.in_fd, F_DUPFD_CLOEXEC, 10);

      if (fd >= 0)
        self->socket = g_socket_new_from_fd (fd, NULL);
    }

  return self->socket;
}

/**
 * afrpc_proxy_get_call_timeout_ms: (attributes org.gtk.Method.get_property=call-timeout-ms)
 * @self: a proxy
 *
 * Gets the time limit of calls that do not name their own.
 *
 * Returns: milliseconds, or 0 for none
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_call_timeout_ms (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->call_timeout_ms;
}

/**
 * afrpc_proxy_set_call_timeout_ms: (attributes org.gtk.Method.set_property=call-timeout-ms)
 * @self: a proxy
 * @timeout_ms: milliseconds, or 0 for none
 *
 * Sets the time limit of calls that are made from now on.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_call_timeout_ms (AfrpcProxy *self,
                                 guint       timeout_ms)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (self->call_timeout_ms == timeout_ms)
    return;

  self->call_timeout_ms = timeout_ms;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_CALL_TIMEOUT_MS]);
}

/**
 * afrpc_proxy_get_max_calls_queued: (attributes org.gtk.Method.get_property=max-calls-queued)
 * @self: a proxy
 *
 * Gets how many calls may wait for their result.
 *
 * Returns: the limit
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_max_calls_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_calls_queued;
}

/**
 * afrpc_proxy_set_max_calls_queued: (attributes org.gtk.Method.set_property=max-calls-queued)
 * @self: a proxy
 * @max_calls: the limit, at least 1
 *
 * Sets how many calls may wait for their result.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_max_calls_queued (AfrpcProxy *self,
                                  guint       max_calls)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (max_calls > 0);

  if (self->max_calls_queued == max_calls)
    return;

  self->max_calls_queued = max_calls;
  update_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_MAX_CALLS_QUEUED]);
}

/**
 * afrpc_proxy_get_max_bytes_queued: (attributes org.gtk.Method.get_property=max-bytes-queued)
 * @self: a proxy
 *
 * Gets how many bytes of arguments may wait to be written.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_proxy_get_max_bytes_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_bytes_queued;
}

/**
 * afrpc_proxy_set_max_bytes_queued: (attributes org.gtk.Method.set_property=max-bytes-queued)
 * @self: a proxy
 * @max_bytes: bytes
 *
 * Sets how many bytes of arguments may wait to be written.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_max_bytes_queued (AfrpcProxy *self,
                                  guint64     max_bytes)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (self->max_bytes_queued == max_bytes)
    return;

  self->max_bytes_queued = max_bytes;
  update_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_MAX_BYTES_QUEUED]);
}

/**
 * afrpc_proxy_get_max_message_size: (attributes org.gtk.Method.get_property=max-message-size)
 * @self: a proxy
 *
 * Gets how many bytes the arguments of a call, a result or an event may have.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_proxy_get_max_message_size (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_message_size;
}

/**
 * afrpc_proxy_get_n_calls_queued:
 * @self: a proxy
 *
 * Gets how many calls the worker has not answered yet.
 *
 * A call that was cancelled counts until the worker has taken notice of it.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_n_calls_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->refused != NULL ? 0 : self->child->link.n_pending;
}

/**
 * afrpc_proxy_is_closed:
 * @self: a proxy
 *
 * Whether every further call would fail: the proxy was closed, or its process has ended.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_proxy_is_closed (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), TRUE);

  return self->refused != NULL || self->child->link.closing || self->child->failure != NULL;
}

/**
 * afrpc_proxy_close:
 * @self: a proxy
 *
 * Has the worker finish what was queued, and end.
 *
 * Further calls fail with %AFRPC_ERROR_CLOSED. The proxy is kept alive until
 * [signal@Afrpc.Proxy::destroyed], so it may be dropped after this and its signals still come.
 *
 * Since: 1.0
 */
void
afrpc_proxy_close (AfrpcProxy *self)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (self->refused == NULL)
    afrpc_child_close (self->child);
}

/**
 * afrpc_proxy_close_async:
 * @self: a proxy
 * @cancellable: (nullable): stops waiting, not the closing
 * @callback: (scope async) (closure user_data): called once everything is finished
 * @user_data: data for @callback
 *
 * Like [method@Afrpc.Proxy.close], and waits for the end: just before
 * [signal@Afrpc.Proxy::destroyed].
 *
 * Fails only with %G_IO_ERROR_CANCELLED.
 *
 * Since: 1.0
 */
void
afrpc_proxy_close_async (AfrpcProxy          *self,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;

  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  afrpc_proxy_close (self);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_proxy_close_async);
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->refused != NULL || self->child->conversation_ended)
    g_task_return_boolean (task, TRUE);
  else
    afrpc_child_await (self->child, self->child->close_tasks, g_steal_pointer (&task));
}

/**
 * afrpc_proxy_close_finish:
 * @self: a proxy
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Proxy.close_async].
 *
 * Returns: %TRUE if everything is finished
 *
 * Since: 1.0
 */
gboolean
afrpc_proxy_close_finish (AfrpcProxy    *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_proxy_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * afrpc_proxy_close_and_unref: (skip)
 * @self: (transfer full): a proxy
 *
 * Closes the proxy and drops it: what dropping the object does in Perl.
 *
 * Since: 1.0
 */
void
afrpc_proxy_close_and_unref (AfrpcProxy *self)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  afrpc_proxy_close (self);
  g_object_unref (self);
}

/**
 * afrpc_proxy_kill:
 * @self: a proxy
 *
 * Ends the worker at once, with `SIGKILL`.
 *
 * Calls that wait fail with %AFRPC_ERROR_DIED or %AFRPC_ERROR_NOT_STARTED; then
 * [signal@Afrpc.Proxy::destroyed] is emitted.
 *
 * Since: 1.0
 */
void
afrpc_proxy_kill (AfrpcProxy *self)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (self->refused != NULL)
    return;

  afrpc_child_close (self->child);
  afrpc_child_kill (self->child, SIGKILL);
}
