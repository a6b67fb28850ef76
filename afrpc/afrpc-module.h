/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-invocation.h"
#include "afrpc-worker.h"

G_BEGIN_DECLS

/**
 * AfrpcSyncFunction:
 * @worker: the worker's view of itself
 * @args: the arguments of the call
 * @error: return location for an error
 *
 * A function of the sync backend: called once for each call.
 *
 * Returns: (transfer full) (nullable): the result, floating or not; or %NULL with @error set
 *
 * Since: 1.0
 */
typedef GVariant *(*AfrpcSyncFunction) (AfrpcWorker  *worker,
                                        GVariant     *args,
                                        GError      **error);

/**
 * AfrpcAsyncFunction:
 * @invocation: the call to answer, now or later; take a reference to keep it
 *
 * A function of the async backend: called once for each call.
 *
 * Since: 1.0
 */
typedef void (*AfrpcAsyncFunction) (AfrpcInvocation *invocation);

/**
 * AfrpcInitFunction:
 * @worker: the worker's view of itself
 * @args: a tuple of the arguments that were sent with [method@Afrpc.Process.send_arg]
 * @error: return location for an error
 *
 * A function that prepares the worker before its first call.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
typedef gboolean (*AfrpcInitFunction) (AfrpcWorker  *worker,
                                       GVariant     *args,
                                       GError      **error);

/**
 * AfrpcDoneFunction:
 * @worker: the worker's view of itself
 *
 * A function that is called when the worker has nothing left to do.
 *
 * Since: 1.0
 */
typedef void (*AfrpcDoneFunction) (AfrpcWorker *worker);

/**
 * AfrpcRunFunction:
 * @worker: the worker's view of itself
 * @fd: the socket, the function's to close, that [method@Afrpc.Process.run_async] gives the other end of
 *
 * A function that takes a process over; the process ends when it returns.
 *
 * What was sent with [method@Afrpc.Process.send_arg] and [method@Afrpc.Process.send_fd] is asked of @worker:
 * [method@Afrpc.Worker.get_args], [method@Afrpc.Worker.steal_fd].
 *
 * Since: 1.0
 */
typedef void (*AfrpcRunFunction) (AfrpcWorker *worker,
                                  int          fd);

/**
 * AfrpcFunctionInfo:
 * @kind: what the function is used for
 * @args_type: (nullable): the type string of its arguments, or %NULL if it takes any
 *
 * What a C module says about one of its functions; see AFRPC_FUNCTION().
 *
 * Since: 1.0
 */
typedef struct
{
  AfrpcFunctionKind kind;
  const char *args_type;

  /*< private >*/
  gpointer padding[2];
} AfrpcFunctionInfo;

/**
 * AFRPC_EXPORT:
 *
 * Makes a function of a module visible to its host; in C++ too, where it declares it `extern "C"`.
 *
 * Since: 1.0
 */
#ifdef __cplusplus
#define AFRPC_EXPORT extern "C" __attribute__ ((visibility ("default")))
#else
#define AFRPC_EXPORT __attribute__ ((visibility ("default"))) extern
#endif

/**
 * AFRPC_FUNCTION:
 * @name: the function's name
 * @args_type: the type string of its arguments, such as `"(ss)"`, or %NULL for any
 *
 * Exports a function of the sync backend, and has the host refuse arguments of another type.
 *
 * Since: 1.0
 */
#define AFRPC_FUNCTION(name, args_type) \
  AFRPC_EXPORT GVariant *name (AfrpcWorker *worker, GVariant *args, GError **error); \
  AFRPC_EXPORT const AfrpcFunctionInfo afrpc_info_##name; \
  const AfrpcFunctionInfo afrpc_info_##name = { AFRPC_FUNCTION_SYNC, args_type, { NULL, NULL } };

/**
 * AFRPC_ASYNC_FUNCTION:
 * @name: the function's name
 * @args_type: the type string of its arguments, or %NULL for any
 *
 * Exports a function of the async backend, and has the host refuse arguments of another type.
 *
 * Since: 1.0
 */
#define AFRPC_ASYNC_FUNCTION(name, args_type) \
  AFRPC_EXPORT void name (AfrpcInvocation *invocation); \
  AFRPC_EXPORT const AfrpcFunctionInfo afrpc_info_##name; \
  const AfrpcFunctionInfo afrpc_info_##name = { AFRPC_FUNCTION_ASYNC, args_type, { NULL, NULL } };

G_END_DECLS
