/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-version.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * AfrpcBackend:
 * @AFRPC_BACKEND_SYNC: a small blocking loop: one call at a time, each function returns its result
 * @AFRPC_BACKEND_ASYNC: a [struct@GLib.MainLoop]: many calls at once, each answers its
 *   [class@Afrpc.Invocation] when it likes
 *
 * How the worker runs the function of a [class@Afrpc.Proxy].
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_BACKEND_SYNC,
  AFRPC_BACKEND_ASYNC,
} AfrpcBackend;

/**
 * AfrpcStdio:
 * @AFRPC_STDIO_INHERIT: the worker uses the program's own stream; `/dev/null` if the program has closed it, or has something
 *   else there by now: a descriptor that is closed on exec is no standard stream
 * @AFRPC_STDIO_SILENCE: `/dev/null`
 * @AFRPC_STDIO_CAPTURE: standard error only: the last lines are kept for [struct@Afrpc.Exit]
 * @AFRPC_STDIO_TEE: standard error only: like capture, and all of it is written to the program's own
 *   standard error as well, if it has one; where its last line has no end, it gets one
 * @AFRPC_STDIO_LOG: standard error only: like capture, and each line is written to the program's log, in the
 *   domain `afrpc-stderr`, with the pid in the text and in the field `AFRPC_PID`
 *
 * What one of a worker's standard streams is connected to.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_STDIO_INHERIT,
  AFRPC_STDIO_SILENCE,
  AFRPC_STDIO_CAPTURE,
  AFRPC_STDIO_TEE,
  AFRPC_STDIO_LOG,
} AfrpcStdio;

/**
 * AfrpcStart:
 * @AFRPC_START_NONE: it was not started yet, or could not be; or another program has started it
 * @AFRPC_START_EXEC: its host program was executed
 * @AFRPC_START_FORK: it was forked from a template
 * @AFRPC_START_COMMAND: the command that leads to its host was executed
 *
 * How a process was started.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_START_NONE,
  AFRPC_START_EXEC,
  AFRPC_START_FORK,
  AFRPC_START_COMMAND,
} AfrpcStart;

/**
 * AfrpcLimit:
 * @AFRPC_LIMIT_NONE: none of them
 * @AFRPC_LIMIT_ADDRESS_SPACE: bytes of virtual memory, all mappings included: `RLIMIT_AS`. Over it,
 *   allocations fail: malloc() returns %NULL, and g_malloc() ends the process
 * @AFRPC_LIMIT_CPU: seconds of processor time: `RLIMIT_CPU`. Over it, `SIGXCPU` ends the process, and
 *   `SIGKILL` a second later one that goes on
 * @AFRPC_LIMIT_FILES: one more than the largest number that a file descriptor can have: `RLIMIT_NOFILE`.
 *   Over it, opening fails with `EMFILE`
 * @AFRPC_LIMIT_FILE_SIZE: bytes to which the process can extend a file: `RLIMIT_FSIZE`. Over it, `SIGXFSZ`
 *   ends the process, or writing fails with `EFBIG` if that is ignored. It is in force for memory files
 *   (memfd_create(2)) and POSIX shared memory too
 *
 * What [method@Afrpc.Process.set_limit] can limit; see setrlimit(2).
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_LIMIT_NONE,
  AFRPC_LIMIT_ADDRESS_SPACE,
  AFRPC_LIMIT_CPU,
  AFRPC_LIMIT_FILES,
  AFRPC_LIMIT_FILE_SIZE,
} AfrpcLimit;

/**
 * AfrpcOrphanPolicy:
 * @AFRPC_ORPHAN_POLICY_END: it is killed at once, also while a function computes
 * @AFRPC_ORPHAN_POLICY_FINISH: it finishes the calls that it has got, then exits
 * @AFRPC_ORPHAN_POLICY_IGNORE: it finishes the calls that it has got; an async worker then goes on with its
 *   main loop for as long as it likes, a sync worker exits
 *
 * What becomes of a worker whose parent dies without ending it.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_ORPHAN_POLICY_END,
  AFRPC_ORPHAN_POLICY_FINISH,
  AFRPC_ORPHAN_POLICY_IGNORE,
} AfrpcOrphanPolicy;

/**
 * AfrpcFunctionKind:
 * @AFRPC_FUNCTION_SYNC: called for each call, returns its result
 * @AFRPC_FUNCTION_ASYNC: called for each call, answers an [class@Afrpc.Invocation]
 * @AFRPC_FUNCTION_INIT: called once, first of all
 * @AFRPC_FUNCTION_DONE: called once at the end
 * @AFRPC_FUNCTION_RUN: takes the process and its socket over
 *
 * What a function of a worker is used for; in C it decides the function's signature.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_FUNCTION_SYNC,
  AFRPC_FUNCTION_ASYNC,
  AFRPC_FUNCTION_INIT,
  AFRPC_FUNCTION_DONE,
  AFRPC_FUNCTION_RUN,
} AfrpcFunctionKind;

/**
 * AfrpcProgressMode:
 * @AFRPC_PROGRESS_ALL: all of it; a worker waits for a program that does not keep up, but not [over NATS](nats.html): a call fails there
 * @AFRPC_PROGRESS_LATEST: only the latest, if the program does not keep up
 *
 * Which progress of a call is wanted; see [method@Afrpc.Caller.call_full].
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_PROGRESS_ALL,
  AFRPC_PROGRESS_LATEST,
} AfrpcProgressMode;

/**
 * AfrpcBufferFlags:
 * @AFRPC_BUFFER_DEFAULT: the memory can never be changed once it is sealed, and is used once
 * @AFRPC_BUFFER_REUSED: the memory is used again by its writer once all readers have given it back; a reader
 *   has to trust the writer not to change it before
 *
 * How a [struct@Afrpc.Buffer] is used.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_BUFFER_DEFAULT = 0,
  AFRPC_BUFFER_REUSED = 1 << 0,
} AfrpcBufferFlags;

/**
 * AfrpcStarted:
 * @AFRPC_STARTED_NO: it had not, and never will: the call can safely be made again
 * @AFRPC_STARTED_YES: the worker had begun it: what the call does may have been done, in part or as a whole; the worker may
 *   also have ended, or the call have been cancelled, just before it entered the function
 * @AFRPC_STARTED_UNKNOWN: nobody can tell any more, because what could have told was lost together with the worker
 *
 * Whether the worker had started a call; see [method@Afrpc.Call.get_started].
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_STARTED_NO,
  AFRPC_STARTED_YES,
  AFRPC_STARTED_UNKNOWN,
} AfrpcStarted;

/**
 * AfrpcPoolWorkerState:
 * @AFRPC_POOL_WORKER_STATE_STARTING: there is going to be a process, or it is being prepared
 * @AFRPC_POOL_WORKER_STATE_IDLE: it is ready, and has nothing to do
 * @AFRPC_POOL_WORKER_STATE_BUSY: it has calls
 * @AFRPC_POOL_WORKER_STATE_RETIRING: it has calls, finishes them, and gets no more
 * @AFRPC_POOL_WORKER_STATE_ENDING: it has none, and ends
 * @AFRPC_POOL_WORKER_STATE_ENDED: it has ended
 *
 * What a worker of a pool is doing; see [property@Afrpc.PoolWorker:state].
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_POOL_WORKER_STATE_STARTING,
  AFRPC_POOL_WORKER_STATE_IDLE,
  AFRPC_POOL_WORKER_STATE_BUSY,
  AFRPC_POOL_WORKER_STATE_RETIRING,
  AFRPC_POOL_WORKER_STATE_ENDING,
  AFRPC_POOL_WORKER_STATE_ENDED,
} AfrpcPoolWorkerState;

/**
 * AfrpcCallOutcome:
 * @AFRPC_CALL_OUTCOME_SUCCESS: the function returned a result
 * @AFRPC_CALL_OUTCOME_REMOTE_ERROR: the worker answered with an error, most often that of the function
 * @AFRPC_CALL_OUTCOME_DIED: the worker died while it ran the call, or broke the protocol: %AFRPC_ERROR_DIED,
 *   %AFRPC_ERROR_PROTOCOL
 * @AFRPC_CALL_OUTCOME_TIMED_OUT: a time limit has passed: %G_IO_ERROR_TIMED_OUT
 * @AFRPC_CALL_OUTCOME_CANCELLED: it was given up: %G_IO_ERROR_CANCELLED
 * @AFRPC_CALL_OUTCOME_NOT_STARTED: there was no worker for it: the pool was closed or killed, or workers could not be
 *   started
 * @AFRPC_CALL_OUTCOME_BUSY: too many waited already: %AFRPC_ERROR_BUSY
 * @AFRPC_CALL_OUTCOME_OTHER: something else, such as arguments that cannot be sent
 *
 * What has become of a call, as a pool [counts][method@Afrpc.PoolStats.get_n_outcomes] it: by its error, and by whether a
 * worker had begun it.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_CALL_OUTCOME_SUCCESS,
  AFRPC_CALL_OUTCOME_REMOTE_ERROR,
  AFRPC_CALL_OUTCOME_DIED,
  AFRPC_CALL_OUTCOME_TIMED_OUT,
  AFRPC_CALL_OUTCOME_CANCELLED,
  AFRPC_CALL_OUTCOME_NOT_STARTED,
  AFRPC_CALL_OUTCOME_BUSY,
  AFRPC_CALL_OUTCOME_OTHER,
} AfrpcCallOutcome;

/**
 * AfrpcPoolTime:
 * @AFRPC_POOL_TIME_QUEUED: from the call until a worker is given it; of one that comes back from a worker, from then on
 * @AFRPC_POOL_TIME_ASSIGNED: from there until the call has its outcome, whatever that is
 * @AFRPC_POOL_TIME_EXECUTION: of a call that was begun, the part of that in which the worker had nothing before it to finish:
 *   of a sync worker the time since the outcome before it, of an async one all of it
 *
 * Times of calls that a pool [measures][method@Afrpc.PoolStats.get_quantile].
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_POOL_TIME_QUEUED,
  AFRPC_POOL_TIME_ASSIGNED,
  AFRPC_POOL_TIME_EXECUTION,
} AfrpcPoolTime;

/**
 * AfrpcMapFlags:
 * @AFRPC_MAP_ORDERED: results come in the order of the inputs
 * @AFRPC_MAP_UNORDERED: results come as soon as they are there
 *
 * How a [class@Afrpc.Map] brings results.
 *
 * Since: 1.0
 */
typedef enum
{
  AFRPC_MAP_ORDERED = 0,
  AFRPC_MAP_UNORDERED = 1 << 0,
} AfrpcMapFlags;

typedef struct _AfrpcBuffer AfrpcBuffer;
typedef struct _AfrpcExit AfrpcExit;

G_END_DECLS
