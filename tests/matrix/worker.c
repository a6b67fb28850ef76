/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker in C. What each of its kind does is said in cases.txt. */
#include <afrpc/afrpc.h>

#include <stdlib.h>

AFRPC_FUNCTION (act, "(sv)")
AFRPC_ASYNC_FUNCTION (act_async, "(sv)")

static void
send_events (AfrpcWorker *worker,
             guint        n)
{
  for (guint i = 0; i < n; i++)
    afrpc_worker_event (worker, g_variant_new_take_string (g_strdup_printf ("%u", i)));
}

/* Returns: (nullable): what @what gives; NULL also for what has to wait */
static GVariant *
act_now (AfrpcWorker  *worker,
         const char   *what,
         GVariant     *value,
         GError      **error)
{
  if (g_str_equal (what, "echo"))
    return g_variant_ref (value);
  if (g_str_equal (what, "events"))
    {
      send_events (worker, g_variant_get_uint32 (value));
      return g_variant_new_string ("sent");
    }
  if (g_str_equal (what, "exit"))
    exit (g_variant_get_uint32 (value));
  if (g_str_equal (what, "fail"))
    g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, g_variant_get_string (value, NULL));
  else
    afrpc_worker_event (worker, g_variant_new_string ("waiting"));

  return NULL;
}

GVariant *
act (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  g_autoptr(GVariant) value = NULL;
  const char *what;
  GVariant *result;

  g_variant_get (args, "(&sv)", &what, &value);
  result = act_now (worker, what, value, error);
  if (result != NULL || *error != NULL)
    return result;

  /* A function of the sync backend has no other way to know. */
  while (!afrpc_worker_is_cancelled (worker))
    g_thread_yield ();

  return g_variant_new_string ("waited");
}

static void
cancelled_cb (GCancellable    *cancellable,
              AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, g_variant_new_string ("waited"));
  g_object_unref (invocation);
}

void
act_async (AfrpcInvocation *invocation)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  const char *what;

  g_variant_get (afrpc_invocation_get_args (invocation), "(&sv)", &what, &value);
  result = act_now (afrpc_invocation_get_worker (invocation), what, value, &error);
  if (result != NULL)
    afrpc_invocation_return_value (invocation, g_variant_take_ref (result));
  else if (error != NULL)
    afrpc_invocation_return_error (invocation, error);
  else
    g_signal_connect (afrpc_invocation_get_cancellable (invocation), "cancelled", G_CALLBACK (cancelled_cb),
                      g_object_ref (invocation));
}
