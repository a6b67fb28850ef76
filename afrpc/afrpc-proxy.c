/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-proxy.h"

#include "afrpc-caller-private.h"
#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-process-private.h"
#include "afrpc-proxy-private.h"
#include "afrpc-serialiser.h"
#include "afrpc-serialiser-values.h"
#include "wire/afrpc-options.h"

#define MAX_CALLS_QUEUED_DEFAULT (1u << 20)
#define MAX_BYTES_QUEUED_DEFAULT (G_GUINT64_CONSTANT (256) << 20)
#define MAX_MESSAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT (128) << 20)

/**
 * AfrpcProxy:
 *
 * Calls a function in a worker process: it is what an [iface@Afrpc.Caller] calls.
 *
 * A proxy takes over a prepared [class@Afrpc.Process], which from then on runs one function of its
 * worker, once for each call. Calls may be made at once; they wait until the worker is ready. Results and
 * [events][signal@Afrpc.Caller::event] arrive in the order in which the worker made them.
 *
 * If the worker dies, calls that it had not started fail with
 * %AFRPC_ERROR_NOT_STARTED and can safely be made again, a call that it was running with %AFRPC_ERROR_DIED.
 *
 * ## The end
 *
 * [method@Afrpc.Caller.close] lets the worker finish everything that was queued; then
 * [signal@Afrpc.Caller::destroyed] is emitted. Dropping the last reference without closing also has
 * everything executed and every callback called, but signals of a proxy that is gone reach nobody.
 * A call holds a reference to its proxy.
 *
 * At the end, calls are settled first, with their errors; then comes [signal@Afrpc.Caller::error], which repeats
 * what ended the worker, then [signal@Afrpc.Process::exited], then [signal@Afrpc.Caller::destroyed].
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

GParamSpec *afrpc_proxy_props[AFRPC_PROXY_N_PROPS];

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcProxy, afrpc_proxy, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, afrpc_proxy_caller_init))

/* What the peer tells */

G_STATIC_ASSERT (AFRPC_CALLER_EVENT_VALUES == AFRPC_PEER_EVENT_VALUES);

static void
proxy_event (gpointer     self,
             GVariant    *event,
             GUnixFDList *fds,
             GValue      *values)
{
  AfrpcProcess *process = AFRPC_PROXY (self)->process;

  if (G_IS_VALUE (&values[0]) || afrpc_caller_begin_events (self, process, values))
    {
      afrpc_caller_emit_next_event (values, event, fds);
      return;
    }

  afrpc_caller_emit_event (self, event, process, fds);
  g_variant_unref (event);
  g_clear_object (&fds);
}

static void
proxy_error (gpointer      self,
             const GError *error,
             gboolean      is_known)
{
  afrpc_caller_emit_known_error (self, error, is_known);
}

/* Once, whether it was closed or has ended by itself. */
void
afrpc_proxy_notify_closed (AfrpcProxy *self)
{
  if (self->is_closed_notified)
    return;

  self->is_closed_notified = TRUE;
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_proxy_props[AFRPC_PROXY_PROP_CLOSED]);
}

static void
proxy_destroyed (gpointer self)
{
  afrpc_proxy_notify_closed (self);
  afrpc_caller_emit_destroyed (self);
}

static void
proxy_retired (gpointer self)
{
  g_object_notify_by_pspec (self, afrpc_proxy_props[AFRPC_PROXY_PROP_RETIRED]);
}

static const AfrpcPeerProxyFuncs proxy_funcs = { proxy_event, proxy_error, proxy_destroyed, proxy_retired };

/* Values that travel as they are need none. */
static gboolean
is_serialised (AfrpcProxy *self)
{
  return self->serialiser != NULL &&
         g_strcmp0 (afrpc_serialiser_get_name (self->serialiser), AFRPC_SERIALISER_VARIANT) != 0;
}

static void
add_serialiser (AfrpcProxy         *self,
                AfrpcOptionsWriter *options)
{
  const char *host = AFRPC_SERIALISER_GET_IFACE (self->serialiser)->host;

  afrpc_options_add_string (options, "serialiser", afrpc_serialiser_get_name (self->serialiser));
  /* A worker that has no such serialiser says why. */
  if (host != NULL)
    afrpc_options_add_string (options, "serialiser-host", host);
}

static GVariant *
run_options (AfrpcProxy *self)
{
  AfrpcOptionsWriter options;

  afrpc_options_begin (&options, NULL);
  afrpc_options_add_string (&options, "function", self->function);
  afrpc_options_add_boolean (&options, "async", self->backend == AFRPC_BACKEND_ASYNC);
  /* An async worker writes many answers at once anyway. */
  if (self->ring && self->backend == AFRPC_BACKEND_SYNC)
    afrpc_options_add_boolean (&options, "ring", TRUE);
  afrpc_options_add_uint64 (&options, "max-message-size", self->max_message_size);
  if (self->forward_log)
    afrpc_options_add_boolean (&options, "log", TRUE);
  if (self->init != NULL)
    afrpc_options_add_string (&options, "init", self->init);
  if (self->done != NULL)
    afrpc_options_add_string (&options, "done", self->done);
  if (is_serialised (self))
    add_serialiser (self, &options);

  return afrpc_options_end (&options);
}

/* Takes the process over, or says why it cannot. */
static gboolean
take_process (AfrpcProxy  *self,
              GError     **error)
{
  g_autoptr(GVariant) options = NULL;
  AfrpcPeer *peer;

  if (self->process == NULL || self->function == NULL)
    {
      g_critical ("a proxy needs a process and a function");
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the proxy was made without a %s",
                   self->process == NULL ? "process" : "function");
      return FALSE;
    }

  peer = afrpc_process_get_peer (self->process);
  if (!afrpc_peer_check_thread (peer, "making a proxy"))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                   "another thread runs the main context that the process belongs to");
      return FALSE;
    }
  if (self->serialiser != NULL && !afrpc_serialiser_check_name (self->serialiser, error))
    return FALSE;

  options = run_options (self);
  if (!afrpc_peer_take (peer, AFRPC_ROLE_CALLS, options, error))
    return FALSE;
  self->peer = afrpc_peer_ref (peer);

  return TRUE;
}

AfrpcPeer *
afrpc_proxy_get_peer (AfrpcProxy *self)
{
  return self->peer;
}

static void
afrpc_proxy_constructed (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);
  GError *error = NULL;

  G_OBJECT_CLASS (afrpc_proxy_parent_class)->constructed (object);

  if (take_process (self, &error))
    afrpc_peer_set_conversation (self->peer, is_serialised (self) ? self->serialiser : NULL,
                                 self->done != NULL && self->backend == AFRPC_BACKEND_ASYNC);
  else
    self->peer = afrpc_peer_new_refused (error);
  afrpc_proxy_update_limits (self);
  afrpc_peer_set_proxy (self->peer, self, &proxy_funcs);
}

static void
afrpc_proxy_dispose (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  if (self->peer != NULL)
    afrpc_peer_set_proxy (self->peer, NULL, &proxy_funcs);

  G_OBJECT_CLASS (afrpc_proxy_parent_class)->dispose (object);
}

static void
afrpc_proxy_finalize (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  g_clear_object (&self->process);
  afrpc_peer_drop (self->peer, AFRPC_PEER_DROP_PROXY);
  g_clear_pointer (&self->peer, afrpc_peer_unref);
  g_clear_object (&self->serialiser);
  g_clear_object (&self->socket);
  g_clear_pointer (&self->functions, g_hash_table_unref);
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
    case AFRPC_PROXY_PROP_PROCESS:
      g_value_set_object (value, self->process);
      break;

    case AFRPC_PROXY_PROP_FUNCTION:
      g_value_set_string (value, self->function);
      break;

    case AFRPC_PROXY_PROP_INIT:
      g_value_set_string (value, self->init);
      break;

    case AFRPC_PROXY_PROP_DONE:
      g_value_set_string (value, self->done);
      break;

    case AFRPC_PROXY_PROP_BACKEND:
      g_value_set_enum (value, self->backend);
      break;

    case AFRPC_PROXY_PROP_SERIALISER:
      g_value_set_object (value, self->serialiser);
      break;

    case AFRPC_PROXY_PROP_SOCKET:
      g_value_set_object (value, afrpc_proxy_get_socket (self));
      break;

    case AFRPC_PROXY_PROP_CALL_TIMEOUT_MS:
      g_value_set_uint (value, self->call_timeout_ms);
      break;

    case AFRPC_PROXY_PROP_MAX_CALLS_QUEUED:
      g_value_set_uint (value, self->max_calls_queued);
      break;

    case AFRPC_PROXY_PROP_MAX_BYTES_QUEUED:
      g_value_set_uint64 (value, self->max_bytes_queued);
      break;

    case AFRPC_PROXY_PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint64 (value, self->max_message_size);
      break;

    case AFRPC_PROXY_PROP_FORWARD_LOG:
      g_value_set_boolean (value, self->forward_log);
      break;

    case AFRPC_PROXY_PROP_RING:
      g_value_set_boolean (value, self->ring);
      break;

    case AFRPC_PROXY_PROP_CLOSED:
      g_value_set_boolean (value, afrpc_proxy_is_closed (self));
      break;

    case AFRPC_PROXY_PROP_RETIRED:
      g_value_set_boolean (value, afrpc_proxy_is_retired (self));
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
    case AFRPC_PROXY_PROP_PROCESS:
      self->process = g_value_dup_object (value);
      break;

    case AFRPC_PROXY_PROP_FUNCTION:
      self->function = g_value_dup_string (value);
      break;

    case AFRPC_PROXY_PROP_INIT:
      self->init = g_value_dup_string (value);
      break;

    case AFRPC_PROXY_PROP_DONE:
      self->done = g_value_dup_string (value);
      break;

    case AFRPC_PROXY_PROP_BACKEND:
      self->backend = g_value_get_enum (value);
      break;

    case AFRPC_PROXY_PROP_SERIALISER:
      self->serialiser = g_value_dup_object (value);
      break;

    case AFRPC_PROXY_PROP_CALL_TIMEOUT_MS:
      afrpc_proxy_set_call_timeout_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_PROXY_PROP_MAX_CALLS_QUEUED:
      afrpc_proxy_set_max_calls_queued (self, g_value_get_uint (value));
      break;

    case AFRPC_PROXY_PROP_MAX_BYTES_QUEUED:
      afrpc_proxy_set_max_bytes_queued (self, g_value_get_uint64 (value));
      break;

    case AFRPC_PROXY_PROP_MAX_MESSAGE_SIZE:
      self->max_message_size = g_value_get_uint64 (value);
      break;

    case AFRPC_PROXY_PROP_FORWARD_LOG:
      self->forward_log = g_value_get_boolean (value);
      break;

    case AFRPC_PROXY_PROP_RING:
      self->ring = g_value_get_boolean (value);
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
  afrpc_proxy_props[AFRPC_PROXY_PROP_PROCESS] = g_param_spec_object ("process", NULL, NULL, AFRPC_TYPE_PROCESS, constructed);

  /**
   * AfrpcProxy:function: (attributes org.gtk.Property.get=afrpc_proxy_get_function)
   *
   * The name of the function to call: in a C module, the name of a symbol.
   *
   * If there is none, calls fail with %AFRPC_ERROR_FUNCTION.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_FUNCTION] = g_param_spec_string ("function", NULL, NULL, NULL, constructed);

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
  afrpc_proxy_props[AFRPC_PROXY_PROP_INIT] = g_param_spec_string ("init", NULL, NULL, NULL, constructed);

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
  afrpc_proxy_props[AFRPC_PROXY_PROP_DONE] = g_param_spec_string ("done", NULL, NULL, NULL, constructed);

  /**
   * AfrpcProxy:backend: (attributes org.gtk.Property.get=afrpc_proxy_get_backend)
   *
   * How the worker runs the function.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_BACKEND] =
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
  afrpc_proxy_props[AFRPC_PROXY_PROP_SERIALISER] = g_param_spec_object ("serialiser", NULL, NULL, AFRPC_TYPE_SERIALISER, constructed);

  /**
   * AfrpcProxy:socket: (attributes org.gtk.Property.get=afrpc_proxy_get_socket)
   *
   * The program's end of the socket to the worker.
   *
   * Not all that the worker says comes by it: see [property@Afrpc.Proxy:ring].
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_SOCKET] =
    g_param_spec_object ("socket", NULL, NULL, G_TYPE_SOCKET, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProxy:call-timeout-ms: (attributes org.gtk.Property.get=afrpc_proxy_get_call_timeout_ms org.gtk.Property.set=afrpc_proxy_set_call_timeout_ms)
   *
   * The time limit of calls that do not name their own, in milliseconds, or 0 for none.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_CALL_TIMEOUT_MS] = g_param_spec_uint ("call-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcProxy:max-calls-queued: (attributes org.gtk.Property.get=afrpc_proxy_get_max_calls_queued org.gtk.Property.set=afrpc_proxy_set_max_calls_queued)
   *
   * How many calls may wait for their result. Another one fails with %AFRPC_ERROR_BUSY.
   *
   * There may be 16777216 whatever this is.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_MAX_CALLS_QUEUED] =
    g_param_spec_uint ("max-calls-queued", NULL, NULL, 1, G_MAXUINT, MAX_CALLS_QUEUED_DEFAULT, writable);

  /**
   * AfrpcProxy:max-bytes-queued: (attributes org.gtk.Property.get=afrpc_proxy_get_max_bytes_queued org.gtk.Property.set=afrpc_proxy_set_max_bytes_queued)
   *
   * How many bytes of arguments may wait to be written to the worker, which takes them while it
   * works. A call over that fails with %AFRPC_ERROR_BUSY, unless nothing else waits.
   *
   * As much of what arrives is kept while the thread is blocked: see [Limits](limits.html#blocking).
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_MAX_BYTES_QUEUED] =
    g_param_spec_uint64 ("max-bytes-queued", NULL, NULL, 0, G_MAXUINT64, MAX_BYTES_QUEUED_DEFAULT, writable);

  /**
   * AfrpcProxy:max-message-size: (attributes org.gtk.Property.get=afrpc_proxy_get_max_message_size)
   *
   * How many bytes the arguments of a call, a result or an event may have, serialised. A call with
   * more, or whose result has more, fails with %AFRPC_ERROR_TOO_LARGE.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_MAX_MESSAGE_SIZE] =
    g_param_spec_uint64 ("max-message-size", NULL, NULL, 1, G_MAXINT64, MAX_MESSAGE_SIZE_DEFAULT, constructed);

  /**
   * AfrpcProxy:forward-log:
   *
   * Whether what the worker logs with g_log() or g_log_structured() is written to the program's log, in order
   * with its events and results.
   *
   * The message's text begins with the worker's pid, which is in the field `AFRPC_PID` as well, and the number of
   * the call that the worker was running, counted from 1 (`AFRPC_CALL`), if there was one. Domain and level stay
   * what they are; but an error, which ends the worker, and a critical warning are warnings here. An error is written to the
   * worker's standard error besides, see [method@Afrpc.Exit.get_stderr]. The worker's environment
   * decides on debug messages (`G_MESSAGES_DEBUG`). What is logged by other threads than the one that runs
   * functions goes to the worker's standard error; see %AFRPC_STDIO_LOG for that.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_FORWARD_LOG] = g_param_spec_boolean ("forward-log", NULL, NULL, FALSE, constructed);

  /**
   * AfrpcProxy:ring:
   *
   * Whether calls, results and events that are small travel through memory that the program and a sync worker share,
   * which needs no system call while the other side is awake. The larger ones, and file descriptors, go by the socket
   * in either case, and so does everything of async workers and over commands.
   *
   * It costs 32 KiB a worker, once that much has been sent. Where no memory can be shared, or the worker is of a version
   * that does not know it, the socket is used alone.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_RING] = g_param_spec_boolean ("ring", NULL, NULL, TRUE, constructed);

  /**
   * AfrpcProxy:closed: (attributes org.gtk.Property.get=afrpc_proxy_is_closed)
   *
   * Whether every further call would fail: the proxy was closed, or its process has ended.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_CLOSED] =
    g_param_spec_boolean ("closed", NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProxy:retired: (attributes org.gtk.Property.get=afrpc_proxy_is_retired)
   *
   * Whether the worker wants no new calls: it has called [method@Afrpc.Worker.retire].
   *
   * It answers them all the same. Whoever can have another worker calls that from now on, and closes this proxy. Becomes
   * %TRUE once, and is told in order with events and results.
   *
   * Since: 1.0
   */
  afrpc_proxy_props[AFRPC_PROXY_PROP_RETIRED] =
    g_param_spec_boolean ("retired", NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, AFRPC_PROXY_N_PROPS, afrpc_proxy_props);
}

static void
afrpc_proxy_class_init (AfrpcProxyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = afrpc_proxy_constructed;
  object_class->dispose = afrpc_proxy_dispose;
  object_class->finalize = afrpc_proxy_finalize;
  object_class->get_property = afrpc_proxy_get_property;
  object_class->set_property = afrpc_proxy_set_property;

  install_properties (object_class);
}

static void
afrpc_proxy_init (AfrpcProxy *self)
{
  /* What is out of range GLib leaves out, and warns of that. */
  self->max_calls_queued = MAX_CALLS_QUEUED_DEFAULT;
  self->max_bytes_queued = MAX_BYTES_QUEUED_DEFAULT;
  self->max_message_size = MAX_MESSAGE_SIZE_DEFAULT;
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

  if (self->socket == NULL)
    {
      int fd = afrpc_peer_dup_socket (self->peer);

      if (fd >= 0)
        self->socket = g_socket_new_from_fd (fd, NULL);
    }

  return self->socket;
}

/**
 * afrpc_proxy_is_closed: (attributes org.gtk.Method.get_property=closed)
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

  return afrpc_peer_is_closed (self->peer);
}

/**
 * afrpc_proxy_is_retired: (attributes org.gtk.Method.get_property=retired)
 * @self: a proxy
 *
 * Whether the worker wants no new calls: see [method@Afrpc.Worker.retire].
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_proxy_is_retired (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), FALSE);

  return afrpc_peer_is_retired (self->peer);
}
