/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "map-case.h"

static GVariant *
next_number (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;
  if (numbers->closed != NULL && numbers->n_pulled == numbers->n / 2)
    afrpc_caller_close (AFRPC_CALLER (numbers->closed));

  return g_variant_new ("(u)", numbers->n_pulled++);
}

GVariant *
next_act (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;

  numbers->n_pulled++;

  return test_act (numbers->n_pulled == numbers->killer ? "exit" : "return", g_variant_new_uint32 (numbers->n_pulled - 1));
}

GVariant *
next_bytes (gpointer data)
{
  Numbers *numbers = data;

  if (numbers->n_pulled == numbers->n)
    return NULL;

  numbers->n_pulled++;

  return test_act ("bytes", g_variant_new_uint32 (numbers->size));
}

void
destroyed_cb (gpointer data)
{
  ((Numbers *) data)->n_destroyed++;
}

AfrpcMap *
map_numbers (Case          *test,
             Numbers       *numbers,
             AfrpcMapFlags  flags)
{
  return afrpc_pool_map (test->pool, next_number, numbers, destroyed_cb, NULL, NULL, flags);
}

void
next_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Next *next = data;

  g_assert_false (next->done);
  next->call = afrpc_map_next_finish (AFRPC_MAP (source), result, &next->error);
  next->done = TRUE;
}

static void
many_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Next *next = data;

  next->calls = afrpc_map_next_many_finish (AFRPC_MAP (source), result, &next->error);
  next->done = TRUE;
}

/* Returns: (transfer full) (nullable): NULL at the end, and with an error */
AfrpcCall *
take_or_error (AfrpcMap  *map,
               GError   **error)
{
  Next next = { FALSE, NULL, NULL, NULL };

  afrpc_map_next_async (map, NULL, next_cb, &next);
  test_iterate_until (&next.done);
  if (next.error != NULL)
    g_propagate_error (error, next.error);

  return next.call;
}

/* Returns: (transfer full) (nullable): NULL at the end */
AfrpcCall *
take (AfrpcMap *map)
{
  g_autoptr(GError) error = NULL;
  AfrpcCall *call = take_or_error (map, &error);

  g_assert_no_error (error);

  return call;
}

GPtrArray *
take_many (AfrpcMap *map,
           guint     n_max)
{
  Next next = { FALSE, NULL, NULL, NULL };

  afrpc_map_next_many_async (map, n_max, NULL, many_cb, &next);
  test_iterate_until (&next.done);
  g_assert_no_error (next.error);
  g_assert_cmpuint (next.calls->len, <=, n_max);

  return next.calls;
}

GError *
take_end (AfrpcMap *map)
{
  GError *error = NULL;

  g_assert_null (take_or_error (map, &error));

  return error;
}

guint
number_of (AfrpcCall *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_sync (call, NULL, &error);
  guint number;

  g_assert_true (afrpc_call_is_settled (call));
  g_assert_no_error (error);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return g_variant_get_uint32 (value);
  g_variant_get (value, "(u)", &number);

  return number;
}
