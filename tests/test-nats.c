/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <string.h>

/* Calls over NATS: what they bring, and what is said where nothing can be brought. */

typedef struct
{
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;
} Case;

static void
case_init (Case       *test,
           const char *function,
           guint       n_workers)
{
  nats_server_init (&test->nats, NULL);
  serving_init (&test->serving, &test->nats, function, n_workers, NULL);
  serving_start (&test->serving);
  test->caller = nats_caller_new (&test->nats);
  nats_caller_wait (test->caller);
}

static void
case_clear (Case *test)
{
  nats_caller_end (test->caller);
  serving_clear (&test->serving);
  nats_server_clear (&test->nats);
  test_assert_no_children ();
}

static void
test_nats_round_trip (void)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_parsed ("('return', <(1, 'two', [3.0, 4.0], {'five': <6>})>)"));
  g_autoptr(GVariant) expected = NULL;
  Case test;

  g_test_summary ("What a function returns arrives, of whatever type, however many there are at once");
  case_init (&test, "act", 2);
  g_variant_get (args, "(&sv)", NULL, &expected);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

      for (guint j = 0; j < i; j++)
        g_ptr_array_add (calls, call_start (test.caller, args));
      for (guint j = 0; j < i; j++)
        {
          g_autoptr(GVariant) value = call_wait_value (calls->pdata[j]);

          g_assert_true (g_variant_equal (value, expected));
          g_assert_cmpint (afrpc_call_get_started (calls->pdata[j]), ==, AFRPC_STARTED_YES);
        }
    }
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (test.serving.server), ==, 191);
  case_clear (&test);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats/round-trip", test_nats_round_trip);

  return g_test_run ();
}
