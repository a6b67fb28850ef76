/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"

/**
 * AfrpcPool:
 *
 * Calls a function in a number of worker processes, of which there are as many as are needed.
 *
 * A pool is an [iface@Afrpc.Caller], as a [class@Afrpc.Proxy] is: a program that was written for a proxy runs on a pool when
 * the constructor is changed. It is made from a prepared [class@Afrpc.Process], its template, which it forks for each of
 * its workers and which is never called itself.
 *
 * Each call goes to the worker that has least to do. Workers have up to [property@Afrpc.Pool:load] calls at once; the
 * others wait in one queue, by their [priority][property@Afrpc.CallOptions:priority] and then in the order in which they
 * were made. Calls with the same [affinity key][property@Afrpc.CallOptions:affinity] go to the same worker, in their
 * order, while it lives and takes calls: afterwards, the worker that has least to do gets them, and those that follow.
 * A key that was not used while 65536 others were may be forgotten.
 *
 * ## Workers come and go
 *
 * The first worker is started when the first call is made, or at once if [property@Afrpc.Pool:idle-workers] says so. If all
 * have been busy for [property@Afrpc.Pool:start-delay-ms], and calls wait, another one is started, up to
 * [property@Afrpc.Pool:max-workers]. One that has been idle for [property@Afrpc.Pool:stop-delay-ms] is ended.
 *
 * A worker that wants no more calls ([method@Afrpc.Worker.retire]) finishes those that it has, and is replaced when it is
 * needed. One whose init function says so gets one call.
 *
 * Calls that a sync worker has got, and that wait there behind one that runs longer than a few milliseconds, are given to
 * another one that has nothing to do, if memory can be shared with the worker: that tells for certain that it has not
 * begun them, and never will. Those with an affinity key stay.
 *
 * A call that was cancelled, or for which a time limit has passed, has settled; if its worker does not stop it within
 * [property@Afrpc.Pool:cancel-grace-ms], that is ended, and replaced. A worker that has nothing to do any more, and does not
 * end within [property@Afrpc.Pool:end-grace-ms], is ended.
 *
 * ## Several templates
 *
 * [method@Afrpc.Pool.add_template] has workers made from other processes as well: forked from another template, executed, or
 * run by commands on other machines, each with its own share of the workers, limit, and load. One that fails is left out
 * while there are others.
 *
 * ## When a worker dies
 *
 * Calls that it had not started go to another one, in their old place: their makers notice nothing. A call that it was
 * running fails, as with a proxy, unless it is [idempotent][property@Afrpc.CallOptions:idempotent]: then it is repeated, up
 * to [property@Afrpc.Pool:max-repeats] times. A worker that gets such a call gets no other with it, so that none but
 * the one that is to blame ends another worker.
 *
 * Workers that end without having served a call are replaced after longer and longer. After
 * [property@Afrpc.Pool:max-failures] times in a row, with none left, or at once if the first could not be prepared in a
 * way that will not change, there are no more: [method@Afrpc.Pool.get_failure] says why, and so does the error of each call.
 *
 * ## The end
 *
 * [method@Afrpc.Caller.close] has everything finished that was called for, and then [signal@Afrpc.Caller::destroyed] is
 * emitted. A call holds a reference to its pool; dropping the last one ends the workers.
 * [signal@Afrpc.Caller::error] repeats what ends a worker; nothing has to be done about it.
 *
 * ## Main context and threads
 *
 * A pool belongs to the main context of its template, which has to be the thread-default one where the pool is made; all
 * that is said of a proxy there goes for a pool. Blocking calls take their turn with those that wait, and go to workers that
 * are ready, as any other: none waits for one that starts while another one has time.
 *
 * Since: 1.0
 */

GParamSpec *afrpc_pool_props[AFRPC_POOL_N_PROPS];

static guint worker_ended_id;

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcPool, afrpc_pool, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, afrpc_pool_caller_init))

/* Returns: (transfer full) (nullable): why there cannot be workers */
static GError *
check (AfrpcPool *self)
{
  const AfrpcPoolConfig *config = &self->core->config;
  GError *error = NULL;

  if (self->process == NULL || config->function == NULL)
    {
      g_critical ("a pool needs a process and a function");
      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "the pool was made without a %s",
                          self->process == NULL ? "process" : "function");
    }
  if (!afrpc_pool_check_thread (self, "making a pool", &error))
    return error;
  if (config->serialiser != NULL && !afrpc_serialiser_check_name (config->serialiser, &error))
    return error;

  return NULL;
}

static void
afrpc_pool_constructed (GObject *object)
{
  AfrpcPool *self = AFRPC_POOL (object);

  G_OBJECT_CLASS (afrpc_pool_parent_class)->constructed (object);

  self->core->failure = check (self);
  if (self->process != NULL && (self->core->failure == NULL || afrpc_peer_runs_here (self->core->anchor)))
    afrpc_pool_staff_begin (self->core, self->process);
}

static void
dropped_cb (AfrpcPeer *anchor,
            gpointer   core)
{
  afrpc_pool_core_drop (core);
  afrpc_pool_view_leave (core);
}

static void
afrpc_pool_dispose (GObject *object)
{
  AfrpcPool *self = AFRPC_POOL (object);

  afrpc_weak_set (&self->core->pool, NULL);

  G_OBJECT_CLASS (afrpc_pool_parent_class)->dispose (object);
}

static void
afrpc_pool_finalize (GObject *object)
{
  AfrpcPool *self = AFRPC_POOL (object);
  AfrpcPoolCore *core = g_steal_pointer (&self->core);
  g_autoptr(AfrpcPeer) anchor = afrpc_peer_ref (core->anchor);

  g_clear_object (&self->process);
  afrpc_peer_do (anchor, dropped_cb, core, (GDestroyNotify) afrpc_pool_core_unref);

  G_OBJECT_CLASS (afrpc_pool_parent_class)->finalize (object);
}

static void
afrpc_pool_get_property (GObject    *object,
                         guint       prop_id,
                         GValue     *value,
                         GParamSpec *pspec)
{
  AfrpcPool *self = AFRPC_POOL (object);
  const AfrpcPoolConfig *config = &self->core->config;

  switch (prop_id)
    {
    case AFRPC_POOL_PROP_PROCESS:
      g_value_set_object (value, self->process);
      break;

    case AFRPC_POOL_PROP_FUNCTION:
      g_value_set_string (value, config->function);
      break;

    case AFRPC_POOL_PROP_INIT:
      g_value_set_string (value, config->init);
      break;

    case AFRPC_POOL_PROP_DONE:
      g_value_set_string (value, config->done);
      break;

    case AFRPC_POOL_PROP_BACKEND:
      g_value_set_enum (value, config->backend);
      break;

    case AFRPC_POOL_PROP_SERIALISER:
      g_value_set_object (value, config->serialiser);
      break;

    case AFRPC_POOL_PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint64 (value, config->max_message_size);
      break;

    case AFRPC_POOL_PROP_FORWARD_LOG:
      g_value_set_boolean (value, config->forward_log);
      break;

    case AFRPC_POOL_PROP_MAX_WORKERS:
      g_value_set_uint (value, config->max_workers);
      break;

    case AFRPC_POOL_PROP_IDLE_WORKERS:
      g_value_set_uint (value, config->idle_workers);
      break;

    case AFRPC_POOL_PROP_LOAD:
      g_value_set_uint (value, config->load);
      break;

    case AFRPC_POOL_PROP_START_DELAY_MS:
      g_value_set_uint (value, config->start_delay_ms);
      break;

    case AFRPC_POOL_PROP_STOP_DELAY_MS:
      g_value_set_uint (value, config->stop_delay_ms);
      break;

    case AFRPC_POOL_PROP_MAX_REPEATS:
      g_value_set_uint (value, config->max_repeats);
      break;

    case AFRPC_POOL_PROP_MAX_FAILURES:
      g_value_set_uint (value, config->max_failures);
      break;

    case AFRPC_POOL_PROP_MAX_CALLS:
      g_value_set_uint (value, config->max_calls);
      break;

    case AFRPC_POOL_PROP_MAX_AGE_S:
      g_value_set_uint (value, config->max_age_s);
      break;

    case AFRPC_POOL_PROP_MAX_MEMORY_GROWTH:
      g_value_set_uint64 (value, config->max_memory_growth);
      break;

    case AFRPC_POOL_PROP_CANCEL_GRACE_MS:
      g_value_set_uint (value, afrpc_pool_runaway_get_grace_ms (config));
      break;

    case AFRPC_POOL_PROP_END_GRACE_MS:
      g_value_set_uint (value, config->end_grace_ms);
      break;

    case AFRPC_POOL_PROP_CALL_TIMEOUT_MS:
      g_value_set_uint (value, config->call_timeout_ms);
      break;

    case AFRPC_POOL_PROP_MAX_CALLS_QUEUED:
      g_value_set_uint (value, config->max_calls_queued);
      break;

    case AFRPC_POOL_PROP_MAX_BYTES_QUEUED:
      g_value_set_uint64 (value, config->max_bytes_queued);
      break;

    case AFRPC_POOL_PROP_FAILURE:
      g_value_set_boxed (value, afrpc_pool_get_failure (self));
      break;

    case AFRPC_POOL_PROP_CLOSED:
      g_value_set_boolean (value, afrpc_pool_is_closed (self));
      break;

    default:
      if (!afrpc_pool_view_get_property (self->core, prop_id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_pool_set_property (GObject      *object,
                         guint         prop_id,
                         const GValue *value,
                         GParamSpec   *pspec)
{
  AfrpcPool *self = AFRPC_POOL (object);
  AfrpcPoolConfig *config = &self->core->config;

  switch (prop_id)
    {
    case AFRPC_POOL_PROP_PROCESS:
      self->process = g_value_dup_object (value);
      break;

    case AFRPC_POOL_PROP_FUNCTION:
      config->function = g_value_dup_string (value);
      break;

    case AFRPC_POOL_PROP_INIT:
      config->init = g_value_dup_string (value);
      break;

    case AFRPC_POOL_PROP_DONE:
      config->done = g_value_dup_string (value);
      break;

    case AFRPC_POOL_PROP_BACKEND:
      config->backend = g_value_get_enum (value);
      break;

    case AFRPC_POOL_PROP_SERIALISER:
      config->serialiser = g_value_dup_object (value);
      break;

    case AFRPC_POOL_PROP_MAX_MESSAGE_SIZE:
      config->max_message_size = g_value_get_uint64 (value);
      break;

    case AFRPC_POOL_PROP_FORWARD_LOG:
      config->forward_log = g_value_get_boolean (value);
      break;

    case AFRPC_POOL_PROP_MAX_WORKERS:
      afrpc_pool_set_max_workers (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_IDLE_WORKERS:
      afrpc_pool_set_idle_workers (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_LOAD:
      afrpc_pool_set_load (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_START_DELAY_MS:
      afrpc_pool_set_start_delay_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_STOP_DELAY_MS:
      afrpc_pool_set_stop_delay_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_REPEATS:
      afrpc_pool_set_max_repeats (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_FAILURES:
      afrpc_pool_set_max_failures (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_CALLS:
      afrpc_pool_set_max_calls (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_AGE_S:
      afrpc_pool_set_max_age_s (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_MEMORY_GROWTH:
      afrpc_pool_set_max_memory_growth (self, g_value_get_uint64 (value));
      break;

    case AFRPC_POOL_PROP_CANCEL_GRACE_MS:
      afrpc_pool_set_cancel_grace_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_END_GRACE_MS:
      afrpc_pool_set_end_grace_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_CALL_TIMEOUT_MS:
      afrpc_pool_set_call_timeout_ms (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_CALLS_QUEUED:
      afrpc_pool_set_max_calls_queued (self, g_value_get_uint (value));
      break;

    case AFRPC_POOL_PROP_MAX_BYTES_QUEUED:
      afrpc_pool_set_max_bytes_queued (self, g_value_get_uint64 (value));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_pool_class_init (AfrpcPoolClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = afrpc_pool_constructed;
  object_class->dispose = afrpc_pool_dispose;
  object_class->finalize = afrpc_pool_finalize;
  object_class->get_property = afrpc_pool_get_property;
  object_class->set_property = afrpc_pool_set_property;
  afrpc_pool_install_properties (object_class);
  afrpc_pool_view_init_class ();

  /**
   * AfrpcPool::worker-ended:
   * @self: the pool
   * @worker: one of its workers
   * @exit: why it has ended
   *
   * A worker has ended, in whichever way.
   *
   * It comes once for each worker that had a process, after the outcomes of the calls that it had, and after
   * [signal@Afrpc.Caller::error] if that is to be told; the worker is in the [list][method@Afrpc.Pool.get_workers] still.
   * [signal@Afrpc.Caller::destroyed] comes after that of the last worker, once all handlers of it have returned: one that
   * waits for it in a main loop of its own waits in vain.
   *
   * Since: 1.0
   */
  worker_ended_id = g_signal_new ("worker-ended", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                  G_TYPE_NONE, 2, AFRPC_TYPE_POOL_WORKER, AFRPC_TYPE_EXIT);
}

static void
afrpc_pool_init (AfrpcPool *self)
{
  self->core = afrpc_pool_core_new (self);
  afrpc_pool_config_init (&self->core->config);
}

void
afrpc_pool_emit_worker_ended (AfrpcPoolCore   *core,
                              AfrpcPoolWorker *worker,
                              AfrpcExit       *exit)
{
  g_autoptr(AfrpcPool) pool = afrpc_weak_get (&core->pool);

  if (pool != NULL)
    g_signal_emit (pool, worker_ended_id, 0, worker, exit);
}

/**
 * afrpc_pool_new:
 * @process: a prepared process, which runs nothing yet: what workers are forked from
 * @function: the name of the function to call
 *
 * Makes a pool that calls @function in as many workers as are needed.
 *
 * The process may be of any kind: one that cannot be forked is executed for each worker, and a
 * [command][ctor@Afrpc.Process.new_command] is run for each. Workers begin in its surroundings: environment, working
 * directory, limits, orphan policy, and what its standard streams are connected to, unless that is a file descriptor.
 *
 * This never fails. If the process runs something already, calls fail with %AFRPC_ERROR_IN_USE.
 *
 * Returns: (transfer full): a pool
 *
 * Since: 1.0
 */
AfrpcPool *
afrpc_pool_new (AfrpcProcess *process,
                const char   *function)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (process), NULL);
  g_return_val_if_fail (function != NULL, NULL);

  return g_object_new (AFRPC_TYPE_POOL, "process", process, "function", function, NULL);
}

/**
 * afrpc_pool_get_process: (attributes org.gtk.Method.get_property=process)
 * @self: a pool
 *
 * Gets the process that workers are forked from.
 *
 * The one that has a call is asked of that: [method@Afrpc.Call.get_process].
 *
 * Returns: (transfer none) (nullable): the process, or %NULL once the pool has ended, and holds none any more, and if it was
 *   made without one
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_pool_get_process (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  return self->process;
}

/**
 * afrpc_pool_get_function: (attributes org.gtk.Method.get_property=function)
 * @self: a pool
 *
 * Gets the name of the function that is called.
 *
 * Returns: (nullable): the name, or %NULL if the pool was made without one, and has failed because of that
 *
 * Since: 1.0
 */
const char *
afrpc_pool_get_function (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  return self->core->config.function;
}

/**
 * afrpc_pool_get_backend: (attributes org.gtk.Method.get_property=backend)
 * @self: a pool
 *
 * Gets how the workers run the function.
 *
 * Returns: the backend
 *
 * Since: 1.0
 */
AfrpcBackend
afrpc_pool_get_backend (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), AFRPC_BACKEND_SYNC);

  return self->core->config.backend;
}

/**
 * afrpc_pool_get_serialiser: (attributes org.gtk.Method.get_property=serialiser)
 * @self: a pool
 *
 * Gets how values travel.
 *
 * Returns: (transfer none) (nullable): the serialiser, or %NULL if they travel as they are
 *
 * Since: 1.0
 */
AfrpcSerialiser *
afrpc_pool_get_serialiser (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  return self->core->config.serialiser;
}

/**
 * afrpc_pool_get_max_message_size: (attributes org.gtk.Method.get_property=max-message-size)
 * @self: a pool
 *
 * Gets how many bytes the arguments of a call, a result or an event may have.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_pool_get_max_message_size (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.max_message_size;
}

/**
 * afrpc_pool_is_closed: (attributes org.gtk.Method.get_property=closed)
 * @self: a pool
 *
 * Whether every further call would fail: the pool was closed, or [has failed][method@Afrpc.Pool.get_failure].
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_is_closed (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), TRUE);

  return self->core->state != AFRPC_POOL_OPEN || self->core->failure != NULL;
}

/**
 * afrpc_pool_get_failure: (attributes org.gtk.Method.get_property=failure)
 * @self: a pool
 *
 * Gets why there are no workers any more: what the last of [several][property@Afrpc.Pool:max-failures] failed with.
 *
 * Returns: (transfer none) (nullable): an error, or %NULL if nothing of that kind has happened
 *
 * Since: 1.0
 */
const GError *
afrpc_pool_get_failure (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);

  return self->core->failure;
}

/**
 * afrpc_pool_refresh:
 * @self: a pool
 * @process: (nullable): a prepared process, which runs nothing yet: what workers are forked from, from now on; %NULL for
 *   what there is
 *
 * Replaces workers: with new code, or another configuration, that @process is prepared with.
 *
 * %NULL does not load anything again that a template has loaded already: workers are forked from it as before, with the code
 * that it has. For new code, give it a new process.
 *
 * It takes the place of the first process, [property@Afrpc.Pool:process], and all workers that were made from that are
 * replaced. If the pool has [several][method@Afrpc.Pool.add_template], and @process is one of them, its workers are; with
 * %NULL, those of all.
 *
 * Those that there are get no more calls, finish those that they have, and end. No call is lost; none waits for longer
 * than it takes to start a worker. If none can be, because a module of @process is missing for example, the pool has failed:
 * it does not go back to what it had. A pool that [has failed][method@Afrpc.Pool.get_failure] begins anew. Does nothing
 * once the pool is closed, but for what still waits, which gets new workers.
 *
 * Since: 1.0
 */
void
afrpc_pool_refresh (AfrpcPool    *self,
                    AfrpcProcess *process)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (process == NULL || AFRPC_IS_PROCESS (process));
  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL) || self->core->state >= AFRPC_POOL_KILLED ||
      self->core->templates->len == 0)
    return;

  afrpc_pool_staff_refresh (self->core, process);
  afrpc_pool_take_first (self);
}
