/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The properties of a pool. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-enum-types.h"

#define LOAD_DEFAULT 2u
#define START_DELAY_MS_DEFAULT 100u
#define STOP_DELAY_MS_DEFAULT (10u * 1000)
#define MAX_REPEATS_DEFAULT 2u
#define MAX_FAILURES_DEFAULT 5u
#define END_GRACE_MS_DEFAULT (30u * 1000)
#define MAX_CALLS_QUEUED_DEFAULT (1u << 20)
#define MAX_BYTES_QUEUED_DEFAULT (G_GUINT64_CONSTANT (256) << 20)
#define MAX_MESSAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT (128) << 20)

static const GParamFlags constructed = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
static const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS |
                                    G_PARAM_EXPLICIT_NOTIFY;
static const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

/* What its workers are. */
static void
make_fixed (void)
{
  /**
   * AfrpcPool:process: (attributes org.gtk.Property.get=afrpc_pool_get_process)
   *
   * The prepared process that workers are forked from, the first one if there are
   * [several][method@Afrpc.Pool.add_template]. It is never called itself. %NULL once the pool has ended.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_PROCESS] =
    g_param_spec_object ("process", NULL, NULL, AFRPC_TYPE_PROCESS, constructed);

  /**
   * AfrpcPool:function: (attributes org.gtk.Property.get=afrpc_pool_get_function)
   *
   * The name of the function to call; see [property@Afrpc.Proxy:function].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_FUNCTION] =
    g_param_spec_string ("function", NULL, NULL, NULL, constructed);

  /**
   * AfrpcPool:init:
   *
   * The name of a function that is called in each worker first of all; see [property@Afrpc.Proxy:init].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_INIT] =
    g_param_spec_string ("init", NULL, NULL, NULL, constructed);

  /**
   * AfrpcPool:done:
   *
   * The name of a function that is called in each worker that was ended in order, after everything was answered; see
   * [property@Afrpc.Proxy:done].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_DONE] =
    g_param_spec_string ("done", NULL, NULL, NULL, constructed);

  /**
   * AfrpcPool:backend: (attributes org.gtk.Property.get=afrpc_pool_get_backend)
   *
   * How the workers run the function.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_BACKEND] =
    g_param_spec_enum ("backend", NULL, NULL, AFRPC_TYPE_BACKEND, AFRPC_BACKEND_SYNC, constructed);

  /**
   * AfrpcPool:serialiser: (attributes org.gtk.Property.get=afrpc_pool_get_serialiser)
   *
   * How values travel, or %NULL for as they are; see [property@Afrpc.Proxy:serialiser].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_SERIALISER] =
    g_param_spec_object ("serialiser", NULL, NULL, AFRPC_TYPE_SERIALISER, constructed);

  /**
   * AfrpcPool:max-message-size: (attributes org.gtk.Property.get=afrpc_pool_get_max_message_size)
   *
   * How many bytes the arguments of a call, a result or an event may have; see
   * [property@Afrpc.Proxy:max-message-size].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_MESSAGE_SIZE] =
    g_param_spec_uint64 ("max-message-size", NULL, NULL, 1, G_MAXINT64, MAX_MESSAGE_SIZE_DEFAULT, constructed);

  /**
   * AfrpcPool:forward-log:
   *
   * Whether what the workers log is written to the program's log; see [property@Afrpc.Proxy:forward-log].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_FORWARD_LOG] =
    g_param_spec_boolean ("forward-log", NULL, NULL, FALSE, constructed);
}

/* What may be changed. */
static void
make_changeable (void)
{
  /**
   * AfrpcPool:max-workers: (attributes org.gtk.Property.get=afrpc_pool_get_max_workers org.gtk.Property.set=afrpc_pool_set_max_workers)
   *
   * How many workers there may be at once, from all templates. Those that are replaced, and finish what they have, come on top
   * of that, up to as many again; and, in an async pool, one for calls that are repeated, while all others have something. If it is set to 0, that is as many as there are processors that the program may use: by its
   * affinity (sched_getaffinity(2)), and the quotas of its control group and of those that this lies in (`cpu.max`, or
   * `cpu.cfs_quota_us` of version 1).
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_WORKERS] =
    g_param_spec_uint ("max-workers", NULL, NULL, 0, AFRPC_POOL_WORKERS_MAX, 0, writable);

  /**
   * AfrpcPool:idle-workers: (attributes org.gtk.Property.get=afrpc_pool_get_idle_workers org.gtk.Property.set=afrpc_pool_set_idle_workers)
   *
   * How many workers are kept ready for calls, and started at once, within the limit of
   * [property@Afrpc.Pool:max-workers].
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_IDLE_WORKERS] =
    g_param_spec_uint ("idle-workers", NULL, NULL, 0, AFRPC_POOL_WORKERS_MAX, 0, writable);

  /**
   * AfrpcPool:load: (attributes org.gtk.Property.get=afrpc_pool_get_load org.gtk.Property.set=afrpc_pool_set_load)
   *
   * How many calls a worker may have at once. With a sync worker, one that it runs, and others that it begins
   * without having to wait for the program; with an async one, those that it runs at the same time.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_LOAD] =
    g_param_spec_uint ("load", NULL, NULL, 1, AFRPC_POOL_LOAD_MAX, LOAD_DEFAULT, writable);

  /**
   * AfrpcPool:start-delay-ms: (attributes org.gtk.Property.get=afrpc_pool_get_start_delay_ms org.gtk.Property.set=afrpc_pool_set_start_delay_ms)
   *
   * How long all workers have to be busy, with calls waiting, before there is another one, in milliseconds. The
   * first one is started at once.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_START_DELAY_MS] =
    g_param_spec_uint ("start-delay-ms", NULL, NULL, 0, G_MAXINT, START_DELAY_MS_DEFAULT, writable);

  /**
   * AfrpcPool:stop-delay-ms: (attributes org.gtk.Property.get=afrpc_pool_get_stop_delay_ms org.gtk.Property.set=afrpc_pool_set_stop_delay_ms)
   *
   * How long a worker that nobody needs is kept, in milliseconds; it may be up to half as long again. Another number counts when
   * half of the former time has passed at the latest.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_STOP_DELAY_MS] =
    g_param_spec_uint ("stop-delay-ms", NULL, NULL, 0, G_MAXINT, STOP_DELAY_MS_DEFAULT, writable);

  /**
   * AfrpcPool:max-repeats: (attributes org.gtk.Property.get=afrpc_pool_get_max_repeats org.gtk.Property.set=afrpc_pool_set_max_repeats)
   *
   * How often an [idempotent][property@Afrpc.CallOptions:idempotent] call is repeated whose worker has died.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_REPEATS] =
    g_param_spec_uint ("max-repeats", NULL, NULL, 0, G_MAXUINT, MAX_REPEATS_DEFAULT, writable);

  /**
   * AfrpcPool:max-failures: (attributes org.gtk.Property.get=afrpc_pool_get_max_failures org.gtk.Property.set=afrpc_pool_set_max_failures)
   *
   * How many times in a row workers of one template may end before they have begun a call, until the pool gives up: those whose
   * module cannot be loaded, whose init function fails, or that die. A worker that was started before the last such end was
   * known does not count again. A module or a function that is not there is not tried again at all.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_FAILURES] =
    g_param_spec_uint ("max-failures", NULL, NULL, 1, G_MAXUINT, MAX_FAILURES_DEFAULT, writable);

  /**
   * AfrpcPool:max-calls: (attributes org.gtk.Property.get=afrpc_pool_get_max_calls org.gtk.Property.set=afrpc_pool_set_max_calls)
   *
   * After how many calls a worker is replaced, or 0 for never: for functions that leak. It may be up to an eighth earlier,
   * so that workers that began together do not end together; the last of them is finished first. What went to another worker
   * before this one had begun it, because it waited behind something long, does not count.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_CALLS] =
    g_param_spec_uint ("max-calls", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcPool:max-age-s: (attributes org.gtk.Property.get=afrpc_pool_get_max_age_s org.gtk.Property.set=afrpc_pool_set_max_age_s)
   *
   * How old a worker may become, in seconds since it was ready, or 0 for as old as it likes. One that is older finishes what
   * it has, and is replaced. It may be up to an eighth earlier, so that workers that began together do not end together.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_AGE_S] =
    g_param_spec_uint ("max-age-s", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcPool:max-memory-growth: (attributes org.gtk.Property.get=afrpc_pool_get_max_memory_growth org.gtk.Property.set=afrpc_pool_set_max_memory_growth)
   *
   * How many bytes of memory a worker may have for itself above what it began with, or 0 for as many as it likes. One that
   * has more finishes what it has, and is replaced. It may be up to an eighth less, so that workers that grow alike do not
   * end together.
   *
   * It is looked at once a second in workers that have had calls since, of many at once only in some, by a thread: it is what
   * the kernel has as `Private_Clean` and `Private_Dirty` in `smaps_rollup`, see proc_pid_smaps(5). What is shared with
   * the template does not count, nor what is swapped out. Workers begin with what the first one of the same template had
   * when it was ready; one that is there when the limit is set, with what it has when it is looked at next. Where the kernel
   * does not say it (before Linux 4.14, or of a [command][ctor@Afrpc.Process.new_command] of another user), nobody is
   * replaced. Of a command it is the command's own memory, and not that of the worker at its other end.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_MEMORY_GROWTH] =
    g_param_spec_uint64 ("max-memory-growth", NULL, NULL, 0, G_MAXUINT64, 0, writable);

  /**
   * AfrpcPool:cancel-grace-ms: (attributes org.gtk.Property.get=afrpc_pool_get_cancel_grace_ms org.gtk.Property.set=afrpc_pool_set_cancel_grace_ms)
   *
   * How long a call may run on in its worker after it was cancelled, or a time limit of it has passed, in milliseconds, or
   * 0 for as long as it likes. By default 5000 for sync workers, and 0 for async ones but for those that have one call
   * by itself, which is repeated: 5000.
   *
   * The call itself has settled at once. The worker was asked to stop it; if that has not happened after this time, the
   * worker is killed, and replaced. The calls that it had not begun go to others; those that an async worker had begun are
   * repeated if they are [idempotent][property@Afrpc.CallOptions:idempotent], and fail with %AFRPC_ERROR_DIED otherwise.
   *
   * So is a sync worker that runs nothing, and does not go on for this time after a call that it had not begun was given up,
   * or was given to another one.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_CANCEL_GRACE_MS] =
    g_param_spec_uint ("cancel-grace-ms", NULL, NULL, 0, AFRPC_POOL_GRACE_MS_MAX, AFRPC_POOL_GRACE_MS_DEFAULT,
                       writable & ~G_PARAM_CONSTRUCT);

  /**
   * AfrpcPool:end-grace-ms: (attributes org.gtk.Property.get=afrpc_pool_get_end_grace_ms org.gtk.Property.set=afrpc_pool_set_end_grace_ms)
   *
   * How long a worker may take to end once it has answered everything and gets no more calls, in milliseconds, or 0 for as
   * long as it likes. What it does by itself then has to be done by that time: its [property@Afrpc.Pool:done] function, and
   * what the language does at the end of a process, as Python waits for its threads.
   *
   * After this time the worker is killed, and [signal@Afrpc.Caller::error] says so. Others may wait for its place meanwhile:
   * there are never more than twice [property@Afrpc.Pool:max-workers] processes; and the end of the pool waits for it.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_END_GRACE_MS] =
    g_param_spec_uint ("end-grace-ms", NULL, NULL, 0, G_MAXUINT, END_GRACE_MS_DEFAULT, writable);

  /**
   * AfrpcPool:call-timeout-ms: (attributes org.gtk.Property.get=afrpc_pool_get_call_timeout_ms org.gtk.Property.set=afrpc_pool_set_call_timeout_ms)
   *
   * The time limit of calls that do not name their own, in milliseconds, or 0 for none. It counts from the moment of
   * the call: the time in the queue is part of it.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_CALL_TIMEOUT_MS] =
    g_param_spec_uint ("call-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcPool:max-calls-queued: (attributes org.gtk.Property.get=afrpc_pool_get_max_calls_queued org.gtk.Property.set=afrpc_pool_set_max_calls_queued)
   *
   * How many calls may wait for a worker; those that workers have are not counted. Another one fails with
   * %AFRPC_ERROR_BUSY, unless it is to [wait][property@Afrpc.CallOptions:wait-for-room] all the same.
   * [method@Afrpc.Pool.wait_for_room_async] says when there is room again.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_CALLS_QUEUED] =
    g_param_spec_uint ("max-calls-queued", NULL, NULL, 1, G_MAXUINT, MAX_CALLS_QUEUED_DEFAULT, writable);

  /**
   * AfrpcPool:max-bytes-queued: (attributes org.gtk.Property.get=afrpc_pool_get_max_bytes_queued org.gtk.Property.set=afrpc_pool_set_max_bytes_queued)
   *
   * How many bytes of arguments may wait for a worker. A call over that fails with %AFRPC_ERROR_BUSY, unless nothing
   * else waits, or it is to [wait][property@Afrpc.CallOptions:wait-for-room] all the same.
   *
   * As much of what arrives from each worker is kept while the thread is blocked, or one message if that is more: see
   * [Limits](limits.html#blocking).
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_MAX_BYTES_QUEUED] =
    g_param_spec_uint64 ("max-bytes-queued", NULL, NULL, 0, G_MAXUINT64, MAX_BYTES_QUEUED_DEFAULT, writable);

  /**
   * AfrpcPool:closed: (attributes org.gtk.Property.get=afrpc_pool_is_closed)
   *
   * Whether every further call would fail.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_CLOSED] =
    g_param_spec_boolean ("closed", NULL, NULL, FALSE, readable);

  /**
   * AfrpcPool:failure: (attributes org.gtk.Property.get=afrpc_pool_get_failure)
   *
   * Why there are no workers any more, and every call fails; or %NULL. [method@Afrpc.Pool.refresh] and
   * [method@Afrpc.Pool.add_template] begin anew.
   *
   * Whoever reads it gets what is true then; [signal@GObject.Object::notify] comes from the main loop.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_FAILURE] =
    g_param_spec_boxed ("failure", NULL, NULL, G_TYPE_ERROR, readable);
}

/* What it is doing. */
static void
make_seen (void)
{
  /**
   * AfrpcPool:n-workers: (attributes org.gtk.Property.get=afrpc_pool_get_n_workers)
   *
   * How many workers there are that get calls, or are going to: those that end are not counted.
   *
   * This one and those that follow change while the pool works. Whoever reads one gets what is true then;
   * [signal@GObject.Object::notify] comes at most once in each turn of the main loop for each of them.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_WORKERS] =
    g_param_spec_uint ("n-workers", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * AfrpcPool:n-idle-workers: (attributes org.gtk.Property.get=afrpc_pool_get_n_idle_workers)
   *
   * How many workers are ready and have nothing to do.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_IDLE_WORKERS] =
    g_param_spec_uint ("n-idle-workers", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * AfrpcPool:n-starting-workers: (attributes org.gtk.Property.get=afrpc_pool_get_n_starting_workers)
   *
   * How many workers are being started and prepared.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_STARTING_WORKERS] =
    g_param_spec_uint ("n-starting-workers", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * AfrpcPool:n-calls-queued: (attributes org.gtk.Property.get=afrpc_pool_get_n_calls_queued)
   *
   * How many calls wait for a worker: those that [property@Afrpc.Pool:max-calls-queued] limits, and those that
   * [wait][property@Afrpc.CallOptions:wait-for-room] beyond that.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_CALLS_QUEUED] =
    g_param_spec_uint ("n-calls-queued", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * AfrpcPool:n-calls-assigned: (attributes org.gtk.Property.get=afrpc_pool_get_n_calls_assigned)
   *
   * How many calls workers have: those that they run, and those that they begin next, up to
   * [property@Afrpc.Pool:load] each.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_CALLS_ASSIGNED] =
    g_param_spec_uint ("n-calls-assigned", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * AfrpcPool:n-calls-pending: (attributes org.gtk.Property.get=afrpc_pool_get_n_calls_pending)
   *
   * How many calls have not been told their outcome yet, wherever they are.
   *
   * Since: 1.0
   */
  afrpc_pool_props[AFRPC_POOL_PROP_N_CALLS_PENDING] =
    g_param_spec_uint ("n-calls-pending", NULL, NULL, 0, G_MAXUINT, 0, readable);
}

void
afrpc_pool_install_properties (GObjectClass *object_class)
{
  make_fixed ();
  make_changeable ();
  make_seen ();
  g_object_class_install_properties (object_class, AFRPC_POOL_N_PROPS, afrpc_pool_props);
}

/* What is out of range GLib leaves out, and warns of that. */
void
afrpc_pool_config_init (AfrpcPoolConfig *config)
{
  config->max_message_size = MAX_MESSAGE_SIZE_DEFAULT;
  config->max_workers = afrpc_pool_staff_get_default_max ();
  config->load = LOAD_DEFAULT;
  config->start_delay_ms = START_DELAY_MS_DEFAULT;
  config->stop_delay_ms = STOP_DELAY_MS_DEFAULT;
  config->max_repeats = MAX_REPEATS_DEFAULT;
  config->max_failures = MAX_FAILURES_DEFAULT;
  config->cancel_grace_ms = AFRPC_POOL_GRACE_UNSET;
  config->end_grace_ms = END_GRACE_MS_DEFAULT;
  config->max_calls_queued = MAX_CALLS_QUEUED_DEFAULT;
  config->max_bytes_queued = MAX_BYTES_QUEUED_DEFAULT;
}
