/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <errno.h>
#include <signal.h>

#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-process-private.h"
#include "os/afrpc-memory-usage.h"

/**
 * AfrpcPoolWorker:
 *
 * One worker of a [class@Afrpc.Pool], as that sees it.
 *
 * [method@Afrpc.Pool.get_workers] has those that there are. The object outlives its worker, and says so then. Whoever reads a
 * property gets what is true at that moment; [signal@GObject.Object::notify] comes in the main context of the pool, at most
 * once in each turn of it for each property, and only for workers of a pool that was asked for its workers.
 *
 * Since: 1.0
 */

enum
{
  PROP_PROCESS = 1,
  PROP_PID,
  PROP_STATE,
  PROP_CURRENT_CALL,
  PROP_CURRENT_SINCE,
  PROP_N_CALLS,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (AfrpcPoolWorker, afrpc_pool_worker, G_TYPE_OBJECT)

G_STATIC_ASSERT ((int) AFRPC_POOL_WORKER_STATE_STARTING == (int) AFRPC_POOL_MEMBER_STARTING);
G_STATIC_ASSERT ((int) AFRPC_POOL_WORKER_STATE_ENDING == (int) AFRPC_POOL_MEMBER_ENDING);
G_STATIC_ASSERT ((int) AFRPC_POOL_WORKER_STATE_ENDED == (int) AFRPC_POOL_MEMBER_GONE);

static void
afrpc_pool_worker_finalize (GObject *object)
{
  AfrpcPoolWorker *self = AFRPC_POOL_WORKER (object);

  g_clear_object (&self->process);

  G_OBJECT_CLASS (afrpc_pool_worker_parent_class)->finalize (object);
}

static void
afrpc_pool_worker_get_property (GObject    *object,
                                guint       prop_id,
                                GValue     *value,
                                GParamSpec *pspec)
{
  AfrpcPoolWorker *self = AFRPC_POOL_WORKER (object);

  switch (prop_id)
    {
    case PROP_PROCESS:
      g_value_set_object (value, self->process);
      break;

    case PROP_PID:
      g_value_set_int (value, afrpc_pool_worker_get_pid (self));
      break;

    case PROP_STATE:
      g_value_set_enum (value, afrpc_pool_worker_get_state (self));
      break;

    case PROP_CURRENT_CALL:
      g_value_set_object (value, afrpc_pool_worker_get_current_call (self));
      break;

    case PROP_CURRENT_SINCE:
      g_value_set_int64 (value, afrpc_pool_worker_get_current_since (self));
      break;

    case PROP_N_CALLS:
      g_value_set_uint (value, afrpc_pool_worker_get_n_calls (self));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_pool_worker_class_init (AfrpcPoolWorkerClass *klass)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = afrpc_pool_worker_finalize;
  object_class->get_property = afrpc_pool_worker_get_property;

  /**
   * AfrpcPoolWorker:process: (attributes org.gtk.Property.get=afrpc_pool_worker_get_process)
   *
   * The process, which the pool has; %NULL only if the object was not made by a pool.
   *
   * Since: 1.0
   */
  props[PROP_PROCESS] = g_param_spec_object ("process", NULL, NULL, AFRPC_TYPE_PROCESS, readable);

  /**
   * AfrpcPoolWorker:pid: (attributes org.gtk.Property.get=afrpc_pool_worker_get_pid)
   *
   * The process ID, or 0 before the process was started.
   *
   * Since: 1.0
   */
  props[PROP_PID] = g_param_spec_int ("pid", NULL, NULL, 0, G_MAXINT, 0, readable);

  /**
   * AfrpcPoolWorker:state: (attributes org.gtk.Property.get=afrpc_pool_worker_get_state)
   *
   * What the worker is doing.
   *
   * Since: 1.0
   */
  props[PROP_STATE] = g_param_spec_enum ("state", NULL, NULL, AFRPC_TYPE_POOL_WORKER_STATE,
                                         AFRPC_POOL_WORKER_STATE_STARTING, readable);

  /**
   * AfrpcPoolWorker:current-call: (attributes org.gtk.Property.get=afrpc_pool_worker_get_current_call)
   *
   * The call that the worker has had longest, or %NULL if it has none: a sync worker runs this one, or is about to. It is
   * the worker's until it is told its outcome.
   *
   * Since: 1.0
   */
  props[PROP_CURRENT_CALL] = g_param_spec_object ("current-call", NULL, NULL, AFRPC_TYPE_CALL, readable);

  /**
   * AfrpcPoolWorker:current-since: (attributes org.gtk.Property.get=afrpc_pool_worker_get_current_since)
   *
   * Since when [property@Afrpc.PoolWorker:current-call] is the one that the worker has had longest, as
   * [func@GLib.get_monotonic_time] counts, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  props[PROP_CURRENT_SINCE] = g_param_spec_int64 ("current-since", NULL, NULL, 0, G_MAXINT64, 0, readable);

  /**
   * AfrpcPoolWorker:n-calls: (attributes org.gtk.Property.get=afrpc_pool_worker_get_n_calls)
   *
   * How many calls the worker has been given.
   *
   * Since: 1.0
   */
  props[PROP_N_CALLS] = g_param_spec_uint ("n-calls", NULL, NULL, 0, G_MAXUINT, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_pool_worker_init (AfrpcPoolWorker *self)
{
  self->state = AFRPC_POOL_WORKER_STATE_STARTING;
}

AfrpcPoolWorker *
afrpc_pool_worker_new (AfrpcPoolMember *member,
                       AfrpcProcess    *process)
{
  AfrpcPoolWorker *self = g_object_new (AFRPC_TYPE_POOL_WORKER, NULL);

  self->member = member;
  self->process = g_object_ref (process);

  return self;
}

/* The pool has nothing to do with it any more. */
void
afrpc_pool_worker_leave (AfrpcPoolWorker *self)
{
  const AfrpcPoolMember *member = g_steal_pointer (&self->member);

  self->n_calls = member->n_calls;
  /* Of one that was left while it lived its process knows how it goes on. */
  self->state = member->state == AFRPC_POOL_MEMBER_GONE ? AFRPC_POOL_WORKER_STATE_ENDED : AFRPC_POOL_WORKER_STATE_ENDING;
}

/* Whether there is something to be seen, or done about it, in this thread. */
static gboolean
may_act (AfrpcPoolWorker *self,
         const char      *what)
{
  return self->member != NULL && afrpc_peer_check_thread (self->member->peer, what);
}

static const AfrpcPoolJob *
get_current (const AfrpcPoolWorker *self)
{
  return self->member != NULL ? g_queue_peek_head (&self->member->given) : NULL;
}

/* Tells what has changed. Each is noted before it is told, since whoever is told may come here again.
 * Returns: whether something was told */
gboolean
afrpc_pool_worker_tell (AfrpcPoolWorker *self)
{
  const int pid = afrpc_pool_worker_get_pid (self);
  const AfrpcPoolWorkerState state = afrpc_pool_worker_get_state (self);
  const AfrpcPoolJob *current = get_current (self);
  const guint64 id = current != NULL ? current->id : 0;
  const gint64 since = afrpc_pool_worker_get_current_since (self);
  const guint n_calls = afrpc_pool_worker_get_n_calls (self);
  const gboolean changed[N_PROPS] = {
    [PROP_PID] = pid != self->told.pid,
    [PROP_STATE] = state != self->told.state,
    [PROP_CURRENT_CALL] = id != self->told.current,
    [PROP_CURRENT_SINCE] = since != self->told.since,
    [PROP_N_CALLS] = n_calls != self->told.n_calls,
  };
  gboolean has_told = FALSE;

  self->told.pid = pid;
  self->told.state = state;
  self->told.current = id;
  self->told.since = since;
  self->told.n_calls = n_calls;
  for (guint i = 1; i < N_PROPS; i++)
    if (changed[i])
      {
        has_told = TRUE;
        g_object_notify_by_pspec (G_OBJECT (self), props[i]);
      }

  return has_told;
}

/**
 * afrpc_pool_worker_get_process: (attributes org.gtk.Method.get_property=process)
 * @self: a worker
 *
 * Gets the worker's process.
 *
 * Returns: (transfer none) (nullable): the process, which it has for as long as the object is there; %NULL only if it was
 *   not made by a pool
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_pool_worker_get_process (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), NULL);

  return self->process;
}

/**
 * afrpc_pool_worker_get_pid: (attributes org.gtk.Method.get_property=pid)
 * @self: a worker
 *
 * Gets the process ID.
 *
 * Returns: the process ID, or 0 before the process was started, and if it never is
 *
 * Since: 1.0
 */
int
afrpc_pool_worker_get_pid (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), 0);

  return self->process != NULL ? afrpc_process_get_pid (self->process) : 0;
}

/**
 * afrpc_pool_worker_get_state: (attributes org.gtk.Method.get_property=state)
 * @self: a worker
 *
 * Gets what the worker is doing.
 *
 * Returns: its state
 *
 * Since: 1.0
 */
AfrpcPoolWorkerState
afrpc_pool_worker_get_state (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), AFRPC_POOL_WORKER_STATE_ENDED);

  if (self->member != NULL)
    return (AfrpcPoolWorkerState) self->member->state;
  if (afrpc_pool_worker_get_exit (self) != NULL)
    return AFRPC_POOL_WORKER_STATE_ENDED;

  return self->state;
}

/**
 * afrpc_pool_worker_get_current_call: (attributes org.gtk.Method.get_property=current-call)
 * @self: a worker
 *
 * Gets the call that the worker has had longest.
 *
 * Returns: (transfer none) (nullable): the call, or %NULL if it has none
 *
 * Since: 1.0
 */
AfrpcCall *
afrpc_pool_worker_get_current_call (AfrpcPoolWorker *self)
{
  const AfrpcPoolJob *current;

  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), NULL);

  current = may_act (self, G_STRFUNC) ? get_current (self) : NULL;

  return current != NULL ? current->call : NULL;
}

/**
 * afrpc_pool_worker_get_current_since: (attributes org.gtk.Method.get_property=current-since)
 * @self: a worker
 *
 * Gets since when the worker has had its current call, and none that is older.
 *
 * Returns: microseconds, as [func@GLib.get_monotonic_time] counts, or 0 if it has none
 *
 * Since: 1.0
 */
gint64
afrpc_pool_worker_get_current_since (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), 0);

  return may_act (self, G_STRFUNC) && get_current (self) != NULL ? self->member->current_since : 0;
}

/**
 * afrpc_pool_worker_get_n_calls: (attributes org.gtk.Method.get_property=n-calls)
 * @self: a worker
 *
 * Gets how many calls the worker has been given, but for those that it gave back before it had begun them.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_pool_worker_get_n_calls (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), 0);

  return self->member != NULL ? self->member->n_calls : self->n_calls;
}

/**
 * afrpc_pool_worker_get_exit:
 * @self: a worker
 *
 * Gets how the worker has ended.
 *
 * Returns: (transfer none) (nullable): why it has ended, or %NULL if it has not, or never was
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_pool_worker_get_exit (AfrpcPoolWorker *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), NULL);

  return self->process != NULL ? afrpc_peer_get_exit (afrpc_process_get_peer (self->process)) : NULL;
}

/**
 * afrpc_pool_worker_get_memory:
 * @self: a worker
 * @error: return location for an error
 *
 * Reads how much memory the worker has for itself: what it shares with its template and with other workers is not counted.
 *
 * It is what Linux has as `Private_Clean` and `Private_Dirty` in `smaps_rollup`, see proc_pid_smaps(5). The kernel looks at
 * all pages of the process for it, which takes the longer the more it has: this is to be asked now and then, not all the
 * time. Of a command it is the memory of that.
 *
 * Fails with %AFRPC_ERROR_CLOSED if the worker has ended, and with %AFRPC_ERROR_FAILED if it was not started yet, or the
 * kernel does not say: the message says why.
 *
 * Returns: bytes, or -1 on error
 *
 * Since: 1.0
 */
gint64
afrpc_pool_worker_get_memory (AfrpcPoolWorker  *self,
                              GError          **error)
{
  guint64 bytes;
  int pid;

  g_return_val_if_fail (AFRPC_IS_POOL_WORKER (self), -1);

  pid = afrpc_pool_worker_get_pid (self);
  if (afrpc_pool_worker_get_state (self) == AFRPC_POOL_WORKER_STATE_ENDED)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "worker %d has ended", pid);
      return -1;
    }
  if (pid == 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the worker was not started yet");
      return -1;
    }
  if (!afrpc_memory_usage_read (pid, 0, &bytes))
    {
      const int code = errno;

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the memory of worker %d cannot be read: %s", pid,
                   g_strerror (code));
      return -1;
    }

  return (gint64) bytes;
}

/* Others get what this one does not any more. */
static void
pump (AfrpcPoolCore *core)
{
  afrpc_pool_core_ref (core);
  afrpc_pool_desk_pump (core);
  afrpc_pool_core_unref (core);
}

/**
 * afrpc_pool_worker_retire:
 * @self: a worker
 *
 * Has the worker finish the calls that it has, and end; another one takes its place when that is needed.
 *
 * Does nothing if it gets no more calls anyway.
 *
 * Since: 1.0
 */
void
afrpc_pool_worker_retire (AfrpcPoolWorker *self)
{
  g_return_if_fail (AFRPC_IS_POOL_WORKER (self));

  if (!may_act (self, G_STRFUNC) || !afrpc_pool_member_is_live (self->member))
    return;

  afrpc_pool_core_read_clock (self->member->core);
  afrpc_pool_staff_renew (self->member->core, self->member);
  pump (self->member->core);
}

/**
 * afrpc_pool_worker_kill:
 * @self: a worker
 *
 * Ends the worker at once, with `SIGKILL`, whatever it does.
 *
 * What becomes of its calls is the same as when it dies: the one that it runs fails with %AFRPC_ERROR_DIED, or is repeated if
 * it is [idempotent][property@Afrpc.CallOptions:idempotent]; those that it has not begun go to another worker. The pool does
 * not take it for a [failure][property@Afrpc.Pool:max-failures]. Does nothing if it has ended.
 *
 * Since: 1.0
 */
void
afrpc_pool_worker_kill (AfrpcPoolWorker *self)
{
  AfrpcPoolMember *member;

  g_return_if_fail (AFRPC_IS_POOL_WORKER (self));

  if (!may_act (self, G_STRFUNC) || self->member->state == AFRPC_POOL_MEMBER_GONE)
    return;

  member = self->member;
  afrpc_pool_core_read_clock (member->core);
  afrpc_pool_member_end (member);
  afrpc_peer_kill (member->peer, SIGKILL);
  pump (member->core);
}
