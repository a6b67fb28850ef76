/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-proxy.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-process-private.h"
#include "afrpc-serialiser.h"
#include "afrpc-serialiser-values.h"
#include "peer/afrpc-peer.h"

#define FUNCTIONS_MAX 65535u /* of one worker, besides the first: what a frame can name */
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
  PROP_CLOSED,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];
struct _AfrpcProxy
{
  GObject parent_instance;

  AfrpcProcess *process; /* construct-only, nullable only if the program is wrong */
  char *function;        /* construct-only, likewise */
  char *init;            /* construct-only, nullable */
  char *done;            /* construct-only, nullable */
  AfrpcBackend backend;  /* construct-only */
  AfrpcSerialiser *serialiser; /* construct-only, nullable */
  guint call_timeout_ms; /* 0: none */
  guint max_calls_queued;
  guint64 max_bytes_queued;
  guint64 max_message_size; /* construct-only */
  gboolean forward_log;     /* construct-only */

  AfrpcPeer *peer;       /* the process' own, or one that was refused */
  GHashTable *functions; /* (nullable) (element-type utf8 guint): numbers of others than the first */
  GSocket *socket;       /* (nullable): made when asked for */
};

static void afrpc_proxy_caller_init (AfrpcCallerInterface *iface);

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
             gboolean      was_told)
{
  afrpc_caller_emit_error_told (self, error, was_told);
}

static void
proxy_destroyed (gpointer self)
{
  afrpc_caller_emit_destroyed (self);
  g_object_notify_by_pspec (self, props[PROP_CLOSED]);
}

static const AfrpcPeerProxyFuncs proxy_funcs = { proxy_event, proxy_error, proxy_destroyed };

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
  if (self->peer != NULL)
    afrpc_peer_set_limits (self->peer, self->max_calls_queued, self->max_bytes_queued, self->max_message_size);
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
  if (!afrpc_peer_check_thread (peer, G_STRFUNC))
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
  update_limits (self);
  afrpc_peer_set_proxy (self->peer, self, &proxy_funcs);
}

static void
afrpc_proxy_finalize (GObject *object)
{
  AfrpcProxy *self = AFRPC_PROXY (object);

  afrpc_peer_drop (self->peer, AFRPC_PEER_DROP_PROXY);
  g_clear_pointer (&self->peer, afrpc_peer_unref);
  g_clear_object (&self->process);
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

    case PROP_CLOSED:
      g_value_set_boolean (value, afrpc_proxy_is_closed (self));
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

  /**
   * AfrpcProxy:closed: (attributes org.gtk.Property.get=afrpc_proxy_is_closed)
   *
   * Whether every further call would fail: the proxy was closed, or its process has ended.
   *
   * Since: 1.0
   */
  props[PROP_CLOSED] =
    g_param_spec_boolean ("closed", NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, props);
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

  if (self->socket == NULL)
    {
      int fd = afrpc_peer_dup_socket (self->peer);

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

  return afrpc_peer_get_n_owed (self->peer);
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

/* As a caller */

/* Adds copies of the descriptors to @payload, which points into @copies. */
static gboolean
copy_fds (GUnixFDList   *list,
          AfrpcPayload  *payload,
          int          **copies,
          GError       **error)
{
  const int n = g_unix_fd_list_get_length (list);

  *copies = g_new (int, n);
  for (int i = 0; i < n; i++)
    {
      (*copies)[i] = g_unix_fd_list_get (list, i, error);
      if ((*copies)[i] >= 0)
        continue;

      while (i-- > 0)
        close ((*copies)[i]);
      return FALSE;
    }

  payload->fds = *copies;
  payload->n_fds = n;

  return TRUE;
}

/* Returns: the number of the worker's function of that name, which the worker is told first; or -1. */
static int
find_function (AfrpcProxy  *self,
               const char  *name,
               GError     **error)
{
  guint number;

  if (g_strcmp0 (name, self->function) == 0)
    return 0;
  if (self->functions == NULL)
    self->functions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  number = GPOINTER_TO_UINT (g_hash_table_lookup (self->functions, name));
  if (number != 0)
    return number;

  number = g_hash_table_size (self->functions) + 1;
  if (number > FUNCTIONS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "more than %u functions of one worker", FUNCTIONS_MAX);
      return -1;
    }
  if (!afrpc_peer_declare (self->peer, number, name, error))
    return -1;
  g_hash_table_insert (self->functions, g_strdup (name), GUINT_TO_POINTER (number));

  return number;
}

/* Completes @payload by what the options ask for. FALSE: the call cannot be made. */
static gboolean
apply_options (AfrpcProxy        *self,
               AfrpcCallOptions  *options,
               AfrpcPayload      *payload,
               int              **copies,
               int               *function,
               GError           **error)
{
  if (options->execution_timeout_ms > 0)
    payload->flags |= AFRPC_FRAME_FLAG_TIMED;
  if (options->progress != NULL)
    payload->flags |= AFRPC_FRAME_FLAG_PROGRESS;
  if (options->progress != NULL && options->progress_mode == AFRPC_PROGRESS_LATEST)
    payload->flags |= AFRPC_FRAME_FLAG_LATEST;
  if (options->function != NULL)
    *function = find_function (self, options->function, error);

  return *function >= 0 && (options->fds == NULL || copy_fds (options->fds, payload, copies, error));
}

static void
afrpc_proxy_begin (AfrpcCaller      *caller,
                   AfrpcCall        *call,
                   GVariant         *args,
                   AfrpcCallOptions *options)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);
  AfrpcPending *pending = afrpc_call_get_pending (call);
  AfrpcPayload payload = afrpc_payload (args);
  g_autofree int *copies = NULL;
  guint timeout_ms = self->call_timeout_ms;
  GError *error = NULL;
  int function = 0;

  if (!afrpc_peer_enter (self->peer, pending, "a call"))
    error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED,
                         "another thread runs the main context that the proxy belongs to");
  else if (afrpc_call_is_cancelled (call))
    error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
  else if (options != NULL && apply_options (self, options, &payload, &copies, &function, &error) &&
           options->timeout_ms >= 0)
    timeout_ms = options->timeout_ms;

  if (error != NULL)
    afrpc_peer_fail_call (self->peer, pending, error);
  else
    afrpc_peer_call (self->peer, &payload, function, options != NULL ? options->metadata : NULL, timeout_ms, pending);
}

static void
cancel_cb (AfrpcPeer *peer,
           gpointer   call)
{
  afrpc_peer_cancel (peer, afrpc_call_get_pending (call),
                     g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));
}

static void
afrpc_proxy_cancel (AfrpcCaller *caller,
                    AfrpcCall   *call)
{
  afrpc_peer_do (AFRPC_PROXY (caller)->peer, cancel_cb, g_object_ref (call), g_object_unref);
}

static void
afrpc_proxy_wait (AfrpcCaller *caller,
                  AfrpcCall   *call)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  afrpc_peer_wait (self->peer, afrpc_call_get_pending (call));
}

static AfrpcProcess *
afrpc_proxy_get_caller_process (AfrpcCaller *caller)
{
  return AFRPC_PROXY (caller)->process;
}

static void
afrpc_proxy_close (AfrpcCaller *caller)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  if (!afrpc_peer_check_thread (self->peer, "closing a proxy") || afrpc_proxy_is_closed (self))
    return;

  afrpc_peer_close (self->peer);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_CLOSED]);
}

static void
afrpc_proxy_close_async (AfrpcCaller         *caller,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);
  g_autoptr(GTask) task = g_task_new (self, cancellable, callback, user_data);

  afrpc_proxy_close (caller);
  g_task_set_source_tag (task, afrpc_caller_close_async);
  g_task_set_check_cancellable (task, FALSE);
  if (!g_task_return_error_if_cancelled (task))
    afrpc_peer_await_close (self->peer, g_steal_pointer (&task));
}

static gboolean
afrpc_proxy_close_finish (AfrpcCaller   *caller,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (g_task_is_valid (result, caller), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_caller_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
afrpc_proxy_close_sync (AfrpcCaller   *caller,
                        GCancellable  *cancellable,
                        GError       **error)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  afrpc_proxy_close (caller);

  return afrpc_peer_close_sync (self->peer, cancellable, error);
}

static void
afrpc_proxy_kill (AfrpcCaller *caller)
{
  AfrpcProxy *self = AFRPC_PROXY (caller);

  afrpc_proxy_close (caller);
  if (afrpc_peer_check_thread (self->peer, "killing a proxy"))
    afrpc_peer_kill (self->peer, SIGKILL);
}

static void
afrpc_proxy_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = afrpc_proxy_begin;
  iface->cancel = afrpc_proxy_cancel;
  iface->wait = afrpc_proxy_wait;
  iface->get_process = afrpc_proxy_get_caller_process;
  iface->close = afrpc_proxy_close;
  iface->close_async = afrpc_proxy_close_async;
  iface->close_finish = afrpc_proxy_close_finish;
  iface->close_sync = afrpc_proxy_close_sync;
  iface->kill = afrpc_proxy_kill;
}
