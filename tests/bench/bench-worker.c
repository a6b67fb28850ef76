/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker of bench-afrpc: what it gets is a string, and what it returns is a new one. */
#include <afrpc/afrpc.h>

#include <poll.h>
#include <stdlib.h>

#include "bench-common.h"

static void
emit_events (AfrpcWorker *worker,
             uint64_t     n)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  for (uint64_t i = 0; i < n; i++)
    {
      bench_text_write (text, i);
      afrpc_worker_event (worker, g_variant_new_string (text));
    }
}

AFRPC_FUNCTION (echo, "s")

GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_new_string (g_variant_get_string (args, NULL));
}

AFRPC_ASYNC_FUNCTION (echo_async, "s")

void
echo_async (AfrpcInvocation *invocation)
{
  const char *text = g_variant_get_string (afrpc_invocation_get_args (invocation), NULL);

  afrpc_invocation_return_value (invocation, g_variant_new_string (text));
}

/* What it gets, whatever it is. */
AFRPC_FUNCTION (echo_value, NULL)

GVariant *
echo_value (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  return g_variant_ref (args);
}

AFRPC_ASYNC_FUNCTION (echo_value_async, NULL)

void
echo_value_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, afrpc_invocation_get_args (invocation));
}

/* The buffer that it gets, which it maps. */
AFRPC_FUNCTION (echo_fd, "h")

GVariant *
echo_fd (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  const int fd = afrpc_worker_steal_call_fd (worker, g_variant_get_handle (args));
  g_autoptr(AfrpcBuffer) buffer = afrpc_buffer_new_take_fd (fd, 0, AFRPC_BUFFER_REUSED, error);
  int handle = buffer != NULL ? afrpc_worker_append_result_fd (worker, afrpc_buffer_get_fd (buffer), error) : -1;

  return handle >= 0 ? g_variant_new_handle (handle) : NULL;
}

/* The argument is the number of events to make, as a text. */
AFRPC_FUNCTION (emit, "s")

GVariant *
emit (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  const char *text = g_variant_get_string (args, NULL);

  emit_events (worker, bench_text_read (text));
  return g_variant_new_string (text);
}

AFRPC_ASYNC_FUNCTION (emit_async, "s")

void
emit_async (AfrpcInvocation *invocation)
{
  const char *text = g_variant_get_string (afrpc_invocation_get_args (invocation), NULL);

  emit_events (afrpc_invocation_get_worker (invocation), bench_text_read (text));
  afrpc_invocation_return_value (invocation, g_variant_new_string (text));
}

/* Says that it has begun, and lasts so many milliseconds. */
AFRPC_FUNCTION (sleep_ms, "u")

GVariant *
sleep_ms (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  afrpc_worker_progress (worker, g_variant_new_boolean (TRUE));
  afrpc_worker_flush (worker);
  poll (NULL, 0, g_variant_get_uint32 (args));

  return g_variant_ref (args);
}

/* Keeps the processor busy for about so many microseconds. */
AFRPC_FUNCTION (burn, "(u)")

GVariant *
burn (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  guint32 units, x = 1;

  g_variant_get (args, "(u)", &units);
  for (guint32 i = 0; i < units; i++)
    for (guint32 j = 0; j < 1000; j++)
      x = x * 1664525u + 1013904223u;

  return g_variant_new_uint32 (x);
}

AFRPC_EXPORT void leave (AfrpcWorker *worker);

/* In an orderly way, in its own time: callgrind writes its figures at the end, which who is killed does not reach. */
void
leave (AfrpcWorker *worker)
{
  exit (0);
}
