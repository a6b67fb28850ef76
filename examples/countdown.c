/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker module of example 2: counts up by a timer. Arguments: how far, and the milliseconds of
 * one step. Many of them can run at once. Each step is an event. */
#include <afrpc/afrpc.h>

AFRPC_ASYNC_FUNCTION (run, "(uu)")

typedef struct
{
  AfrpcInvocation *invocation;
  guint n;
  guint count;
} Countdown;

static void
countdown_free (Countdown *countdown)
{
  g_object_unref (countdown->invocation);
  g_free (countdown);
}

static void
say (AfrpcInvocation *invocation,
     char            *text)
{
  afrpc_worker_event (afrpc_invocation_get_worker (invocation), g_variant_new_take_string (text));
}

static gboolean
step_cb (gpointer data)
{
  Countdown *countdown = data;

  countdown->n++;
  say (countdown->invocation,
       g_strdup_printf ("count %u of %u\n", countdown->n, countdown->count));
  if (countdown->n < countdown->count)
    return G_SOURCE_CONTINUE;

  afrpc_invocation_return_value (countdown->invocation, g_variant_new_uint32 (countdown->count));

  return G_SOURCE_REMOVE;
}

void
run (AfrpcInvocation *invocation)
{
  Countdown *countdown = g_new0 (Countdown, 1);
  guint step_ms;

  countdown->invocation = g_object_ref (invocation);
  g_variant_get (afrpc_invocation_get_args (invocation), "(uu)", &countdown->count, &step_ms);
  say (invocation, g_strdup_printf ("starting to count up to %u\n", countdown->count));
  g_timeout_add_full (G_PRIORITY_DEFAULT, step_ms, step_cb, countdown,
                      (GDestroyNotify) countdown_free);
}
