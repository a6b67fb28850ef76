/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's functions, named for workers that are the program itself. */
#include "chaos-worker.h"

#include <afrpc/afrpc.h>

extern GVariant *chaos_sync (AfrpcWorker *worker, GVariant *args, GError **error);
extern void chaos_async (AfrpcInvocation *invocation);
extern GVariant *chaos_sync_too (AfrpcWorker *worker, GVariant *args, GError **error);
extern void chaos_async_too (AfrpcInvocation *invocation);
extern gboolean chaos_init (AfrpcWorker *worker, GVariant *args, GError **error);
extern void chaos_done (AfrpcWorker *worker);
extern void chaos_done_exit (AfrpcWorker *worker);

void
chaos_worker_register (void)
{
  afrpc_register_function (CHAOS_FUNCTION_SYNC, AFRPC_FUNCTION_SYNC, G_CALLBACK (chaos_sync), CHAOS_ARGS_TYPE);
  afrpc_register_function (CHAOS_FUNCTION_ASYNC, AFRPC_FUNCTION_ASYNC, G_CALLBACK (chaos_async), CHAOS_ARGS_TYPE);
  afrpc_register_function (CHAOS_FUNCTION_SYNC_TOO, AFRPC_FUNCTION_SYNC, G_CALLBACK (chaos_sync_too), CHAOS_ARGS_TYPE);
  afrpc_register_function (CHAOS_FUNCTION_ASYNC_TOO, AFRPC_FUNCTION_ASYNC, G_CALLBACK (chaos_async_too), CHAOS_ARGS_TYPE);
  afrpc_register_function (CHAOS_FUNCTION_INIT, AFRPC_FUNCTION_INIT, G_CALLBACK (chaos_init), NULL);
  afrpc_register_function (CHAOS_FUNCTION_DONE, AFRPC_FUNCTION_DONE, G_CALLBACK (chaos_done), NULL);
  afrpc_register_function (CHAOS_FUNCTION_DONE_EXIT, AFRPC_FUNCTION_DONE, G_CALLBACK (chaos_done_exit), NULL);
}
