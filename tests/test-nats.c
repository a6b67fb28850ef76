/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_MEMBERS 1600000u /* of a large value */

/* Calls over NATS: what they bring, and what is said where nothing can be brought. */

typedef struct
{
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;
} Fleet;

static void
fleet_init (Fleet      *test,
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
fleet_clear (Fleet *test)
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
  Fleet test;

  g_test_summary ("What a function returns arrives, of whatever type, however many there are at once");
  fleet_init (&test, "act", 2);
  g_variant_get (args, "(&sv)", NULL, &expected);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

      for (guint j = 0; j < i; j++)
        g_ptr_array_add (calls, call_start (test.caller, args));
      for (guint j = 0; j < i; j++)
        {
          g_autoptr(GVariant) value = wait_value (calls->pdata[j]);

          g_assert_true (g_variant_equal (value, expected));
          g_assert_cmpint (afrpc_call_get_started (calls->pdata[j]), ==, AFRPC_STARTED_YES);
        }
    }
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (test.serving.server), ==, 191);
  fleet_clear (&test);
}

static void
test_nats_errors (void)
{
  g_autoptr(AfrpcCall) known = NULL;
  g_autoptr(AfrpcCall) unknown = NULL;
  g_autoptr(AfrpcCall) wrong = NULL;
  g_autoptr(AfrpcCall) died = NULL;
  g_autoptr(GError) error = NULL;
  Fleet test;

  g_test_summary ("Errors arrive with their domains, codes and words, and whether the call had been begun");
  fleet_init (&test, "act", 1);
  known = call_start (test.caller, test_act ("file-error", NULL));
  error = wait_error (known);
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_cmpstr (error->message, ==, "no such thing");
  g_assert_cmpint (afrpc_call_get_started (known), ==, AFRPC_STARTED_YES);
  g_clear_error (&error);

  unknown = call_start (test.caller, test_act ("unknown-error", g_variant_new_string ("nobodys-domain")));
  error = wait_error (unknown);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE);
  g_assert_nonnull (strstr (error->message, "nobodys-domain"));
  g_clear_error (&error);

  wrong = call_start (test.caller, g_variant_new ("(u)", 1));
  error = wait_error (wrong);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
  g_assert_cmpint (afrpc_call_get_started (wrong), ==, AFRPC_STARTED_NO);
  g_clear_error (&error);

  died = call_start (test.caller, act_u ("exit", 3));
  error = wait_error (died);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (died), ==, AFRPC_STARTED_YES);
  fleet_clear (&test);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  g_string_append_printf (data, "%u ", g_variant_get_uint32 (progress));
}

static void
test_nats_options (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) metadata = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) other = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) told = NULL;
  g_autoptr(GVariant) inner = NULL;
  g_autofree char *text = NULL;
  Fleet test;

  g_test_summary ("Another function, progress in order, and what travels with a call");
  fleet_init (&test, "act", 1);
  afrpc_call_options_set_function (options, "count_up");
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, progress_cb, log, NULL);
  call = afrpc_caller_start (AFRPC_CALLER (test.caller), g_variant_new ("(u)", 5), options);
  value = wait_value (call);
  g_assert_cmpstr (log->str, ==, "1 2 3 4 5 ");

  afrpc_call_options_set_metadata (metadata, g_variant_new_parsed ("{'trace': <'abc'>}"));
  afrpc_call_options_set_priority (metadata, 5);
  afrpc_call_options_set_affinity (metadata, "key");
  other = afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("metadata", NULL), metadata);
  told = wait_value (other);
  g_variant_get_child (told, 0, "v", &inner);
  text = g_variant_print (inner, TRUE);
  g_assert_cmpstr (text, ==, "{'trace': <'abc'>}");
  fleet_clear (&test);
}

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          GString      *log)
{
  g_autofree char *text = g_variant_print (event, FALSE);

  g_string_append_printf (log, "%s ", text);
}

static void
test_nats_events (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(GString) other_log = g_string_new (NULL);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *other;
  Fleet test;

  g_test_summary ("Events arrive in order, at whoever listens");
  fleet_init (&test, "act", 1);
  other = nats_caller_new (&test.nats);
  nats_caller_wait (other);
  g_signal_connect (test.caller, "event", G_CALLBACK (event_cb), log);
  g_signal_connect (other, "event", G_CALLBACK (event_cb), other_log);
  afrpc_call_options_set_function (options, "count");
  call = afrpc_caller_start (AFRPC_CALLER (test.caller), g_variant_new ("(u)", 4), options);
  g_variant_unref (wait_value (call));
  while (log->len < strlen ("0 1 2 3 ") || other_log->len < strlen ("0 1 2 3 "))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (log->str, ==, "0 1 2 3 ");
  g_assert_cmpstr (other_log->str, ==, "0 1 2 3 ");
  nats_caller_end (other);
  fleet_clear (&test);
}

static void
test_nats_nobody (void)
{
  g_autoptr(AfrpcNatsConnection) nowhere = afrpc_nats_connection_new ("nats://127.0.0.1:1");
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) lost = NULL;
  g_autoptr(GError) error = NULL;
  NatsServer nats;
  AfrpcNatsCaller *caller;

  g_test_summary ("That nobody serves a subject, and that there is no NATS, is an error at once");
  nats_server_init (&nats, NULL);
  caller = nats_caller_new (&nats);
  call = call_start (caller, test_act ("return", NULL));
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_nonnull (strstr (error->message, "nobody serves 'test.subject' at nats://127.0.0.1:"));
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  nats_caller_end (caller);
  g_clear_error (&error);

  caller = afrpc_nats_caller_new (nowhere, NATS_SUBJECT);
  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  lost = call_start (caller, test_act ("return", NULL));
  error = wait_error (lost);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_nonnull (strstr (error->message, "cannot connect to nats://127.0.0.1:1"));
  g_assert_cmpint (afrpc_call_get_started (lost), ==, AFRPC_STARTED_NO);
  connection_wait (nowhere, AFRPC_NATS_STATE_FAILED);
  g_assert_error (afrpc_nats_connection_get_failure (nowhere), AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  nats_caller_end (caller);
  nats_server_clear (&nats);
}

static void
test_nats_late_server (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;

  g_test_summary ("A call that may wait for servers has one that comes later");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 1, NULL);
  connection_wait (serving.connection, AFRPC_NATS_STATE_CONNECTED);
  caller = nats_caller_new (&nats);
  g_object_set (caller, "no-servers-timeout-ms", 60000, NULL);
  call = call_start (caller, test_act ("return", NULL));
  /* It has been told that there is nobody. */
  connection_wait (afrpc_nats_caller_get_connection (caller), AFRPC_NATS_STATE_CONNECTED);
  serving_start (&serving);
  g_variant_unref (wait_value (call));
  nats_caller_end (caller);
  serving_clear (&serving);
  nats_server_clear (&nats);
}

static void
test_nats_many (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  NatsServer nats;
  Serving servings[2];
  AfrpcNatsCaller *callers[2];

  g_test_summary ("Of many calls none is lost or done twice, however few at a time the servers take");
  nats_server_init (&nats, NULL);
  for (guint i = 0; i < 2; i++)
    {
      serving_init (&servings[i], &nats, "act", 1, "max-calls", 1 + i * 2, NULL);
      serving_start (&servings[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      callers[i] = nats_caller_new (&nats);
      nats_caller_wait (callers[i]);
    }
  for (guint i = 0; i < 2000; i++)
    g_ptr_array_add (calls, call_start (callers[i % 2], test_act ("return", g_variant_new_uint32 (i))));
  for (guint i = 0; i < calls->len; i++)
    {
      g_autoptr(GVariant) value = wait_value (calls->pdata[i]);

      g_assert_cmpuint (g_variant_get_uint32 (value), ==, i);
    }
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (servings[0].server) +
                    afrpc_nats_server_get_n_calls_done (servings[1].server), ==, 2002);
  /* Both had a part in it. */
  for (guint i = 0; i < 2; i++)
    g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (servings[i].server), >, 100);
  for (guint i = 0; i < 2; i++)
    nats_caller_end (callers[i]);
  for (guint i = 0; i < 2; i++)
    serving_clear (&servings[i]);
  nats_server_clear (&nats);
}

static void
test_nats_room (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  Meeting meeting;
  Fleet test;
  guint n_events = 0;

  g_test_summary ("A server has no more calls at once than it takes; others wait here");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 2, "max-calls", 2, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  meeting_init (&meeting);
  g_signal_connect_swapped (test.caller, "event", G_CALLBACK (test_count_cb), &n_events);
  for (guint i = 0; i < 10; i++)
    g_ptr_array_add (calls, call_start (test.caller, meet (&meeting)));
  while (n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (afrpc_nats_caller_get_n_calls_sent (test.caller), ==, 2);
  g_assert_cmpuint (afrpc_nats_caller_get_n_calls_queued (test.caller), ==, 8);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_running (test.serving.server), ==, 2);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 10; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  meeting_end (&meeting);
  fleet_clear (&test);
}

static void
note_event_cb (AfrpcCaller  *caller,
               GVariant     *event,
               AfrpcProcess *from,
               GUnixFDList  *fds,
               GString      *told)
{
  if (g_variant_is_of_type (event, G_VARIANT_TYPE_INT32))
    g_string_append_printf (told, "%d ", g_variant_get_int32 (event));
  else
    g_string_append (told, "met ");
}

static void
test_nats_order (void)
{
  static const int priorities[] = { 0, -1, 5, 0, -1, 5 };
  static const char expected[] = "met 1 4 0 3 2 5 ";
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GString) told = g_string_new (NULL);
  Meeting meeting;
  Fleet test;

  g_test_summary ("What waits for room is sent by its priority, and then in the order in which it was made");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 1, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  meeting_init (&meeting);
  g_signal_connect (test.caller, "event", G_CALLBACK (note_event_cb), told);
  g_ptr_array_add (calls, call_start (test.caller, meet (&meeting)));
  while (told->len == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

      afrpc_call_options_set_priority (options, priorities[i]);
      g_ptr_array_add (calls, afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("event", g_variant_new_int32 (i)), options));
    }
  meeting_let_go (&meeting);
  for (guint i = 0; i < calls->len; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  while (told->len < strlen (expected))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (told->str, ==, expected);
  meeting_end (&meeting);
  fleet_clear (&test);
}

static void
test_nats_newcomer (void)
{
  static const int priorities[] = { 0, -1, 5, 0, -1, 5 };
  static const char expected[] = "met 1 4 0 3 2 5 ";
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GString) told = g_string_new (NULL);
  Meeting meeting;
  Serving newcomer;
  Fleet test;

  g_test_summary ("What waits at a server behind a call that takes long goes to one that comes later, in order, and is done once");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 100, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  meeting_init (&meeting);
  g_signal_connect (test.caller, "event", G_CALLBACK (note_event_cb), told);
  g_ptr_array_add (calls, call_start (test.caller, meet (&meeting)));
  while (told->len == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

      afrpc_call_options_set_priority (options, priorities[i]);
      g_ptr_array_add (calls, afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("event", g_variant_new_int32 (i)), options));
    }
  while (afrpc_nats_server_get_n_calls_running (test.serving.server) < calls->len)
    g_main_context_iteration (NULL, TRUE);
  serving_init (&newcomer, &test.nats, "act", 1, NULL);
  serving_start (&newcomer);
  for (guint i = 1; i < calls->len; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  while (told->len < strlen (expected))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (told->str, ==, expected);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (newcomer.server), ==, calls->len - 1);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_refused (test.serving.server), ==, calls->len - 1);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_running (test.serving.server), ==, 1);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (calls->pdata[0]));
  meeting_end (&meeting);
  serving_clear (&newcomer);
  fleet_clear (&test);
}

static void
test_nats_long_after_short (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  const guint n_long = 20, ms = 100;
  NatsServer nats;
  Serving servings[2];
  AfrpcNatsCaller *caller;
  guint64 n_others;

  g_test_summary ("Long calls after short ones, of which one server was sent many, are done by both");
  nats_server_init (&nats, NULL);
  for (guint i = 0; i < 2; i++)
    serving_init (&servings[i], &nats, "act", 1, NULL);
  serving_start (&servings[0]);
  caller = nats_caller_new (&nats);
  nats_caller_wait (caller);
  for (guint i = 0; i < 15 * 20; i++)
    g_ptr_array_add (calls, call_start (caller, test_act ("return", NULL)));
  for (guint i = 0; i < calls->len; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  serving_start (&servings[1]);
  g_ptr_array_set_size (calls, 0);
  for (guint i = 0; i < n_long; i++)
    g_ptr_array_add (calls, call_start (caller, act_u ("wait", ms)));
  for (guint i = 0; i < n_long; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  n_others = afrpc_nats_server_get_n_calls_done (servings[1].server);
  g_test_message ("%u calls of %u ms; by the second: %" G_GUINT64_FORMAT, n_long, ms, n_others);
  g_assert_cmpuint (n_others, >=, n_long / 5);
  nats_caller_end (caller);
  for (guint i = 0; i < 2; i++)
    serving_clear (&servings[i]);
  nats_server_clear (&nats);
}

static void
check_size (Fleet *test,
            gsize  size)
{
  g_autoptr(AfrpcCall) call = call_start (test->caller, test_act ("return", test_zeros (size)));
  g_autoptr(GVariant) value = wait_value (call);

  g_assert_cmpuint (g_variant_get_size (value), ==, size);
}

static void
test_nats_large (void)
{
  g_autoptr(GVariant) args = NULL;
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  g_autoptr(AfrpcCall) over = NULL;
  g_autoptr(AfrpcCall) just = NULL;
  g_autoptr(AfrpcCall) result = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *limited;
  Fleet test;

  g_test_summary ("What is larger than NATS takes at once arrives in parts; what is over the limit is refused");
  fleet_init (&test, "act", 1);
  for (int i = -300; i <= 300; i += 20)
    check_size (&test, (1 << 20) + i);
  check_size (&test, 10 << 20);

  connection = afrpc_nats_connection_new (test.nats.url);
  args = g_variant_ref_sink (test_act ("return", test_zeros (1000)));
  limited = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", NATS_SUBJECT, "max-message-size",
                          g_variant_get_size (args), NULL);
  just = call_start (limited, args);
  g_variant_unref (wait_value (just));
  over = call_start (limited, test_act ("return", test_zeros (1001)));
  error = wait_error (over);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_cmpint (afrpc_call_get_started (over), ==, AFRPC_STARTED_NO);
  g_clear_error (&error);
  result = call_start (limited, act_u ("bytes", 2000000));
  error = wait_error (result);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_cmpint (afrpc_call_get_started (result), ==, AFRPC_STARTED_YES);
  nats_caller_end (limited);
  fleet_clear (&test);
}

static void
test_nats_fds (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  Fleet test;

  g_test_summary ("Descriptors cannot be sent, and it is said so");
  fleet_init (&test, "act", 1);
  g_assert_cmpint (g_unix_fd_list_append (fds, 0, NULL), ==, 0);
  afrpc_call_options_set_fds (options, fds);
  call = afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("return", NULL), options);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  fleet_clear (&test);
}

/* The end of calls */

static void
test_nats_cancel (void)
{
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GError) error = NULL;
  guint n_events = 0;
  gint64 begin_us;
  Fleet test;

  g_test_summary ("A call is cancelled that runs, which its function learns, and one that waits, which never runs");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 1, "beat-ms", 60000, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  g_signal_connect_swapped (test.caller, "event", G_CALLBACK (test_count_cb), &n_events);
  running = call_start (test.caller, test_act ("until-cancelled", NULL));
  waiting = call_start (test.caller, test_act ("return", NULL));
  while (n_events < 1 || afrpc_call_get_started (running) != AFRPC_STARTED_YES)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_UNKNOWN);
  afrpc_call_cancel (waiting);
  /* No server has it. */
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  error = wait_error (waiting);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  g_clear_error (&error);
  g_assert_false (afrpc_call_is_settled (running));
  begin_us = g_get_monotonic_time ();
  g_thread_join (g_thread_new ("cancel", (GThreadFunc) (GCallback) afrpc_call_cancel, running));
  error = wait_error (running);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  /* It is told, and need not be found out. */
  g_assert_cmpint (g_get_monotonic_time () - begin_us, <, 2 * G_USEC_PER_SEC);
  while (n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  fleet_clear (&test);
}

static void
count_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  ++*(guint *) data;
}

static void
check_closed_there (AfrpcNatsCaller *caller)
{
  g_autoptr(AfrpcCall) call = call_start (caller, g_variant_new ("(sv)", "return", g_variant_new_uint32 (1)));
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
}

/* In a process that was forked */
static void
use_inherited (Fleet     *test,
               AfrpcCall *call)
{
  AfrpcNatsConnection *connection = g_object_ref (afrpc_nats_caller_get_connection (test->caller));
  AfrpcNatsCaller *caller;
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  check_closed_there (test->caller);
  caller = afrpc_nats_caller_new (connection, NATS_SUBJECT);
  check_closed_there (caller);
  g_object_unref (caller);
  caller = nats_caller_new (&test->nats);
  check_closed_there (caller);
  g_object_unref (caller);
  afrpc_call_cancel (call);
  afrpc_caller_close (AFRPC_CALLER (test->caller));
  g_clear_error (&error);
  g_assert_false (afrpc_caller_close_sync (AFRPC_CALLER (test->caller), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  afrpc_caller_kill (AFRPC_CALLER (test->caller));
  g_object_unref (call);
  g_object_unref (test->caller);
  g_object_unref (test->serving.server);
  g_object_unref (connection);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_nats_forked (void)
{
  AfrpcNatsCaller *idle;
  AfrpcCall *call;
  Fleet test;
  int pid, status;

  g_test_summary ("What a process that was forked does with what it has inherited ends at once there, and is nothing to the program");
  fleet_init (&test, "act", 1);
  idle = nats_caller_new (&test.nats);
  nats_caller_wait (idle);
  call = call_start (test.caller, g_variant_new ("(sv)", "return", g_variant_new_uint32 (7)));
  pid = fork ();
  if (pid == 0)
    {
      /* It must not wait for anything. */
      alarm (20);
      use_inherited (&test, call);
      g_object_unref (idle);
      /* With exit (), the address sanitizer would take for lost what threads had that are not here. */
      _exit (0);
    }

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_variant_unref (wait_value (call));
  g_object_unref (call);
  nats_caller_wait (idle);
  nats_caller_end (idle);
  fleet_clear (&test);
}

static void
test_nats_closed_connection (void)
{
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  g_autoptr(AfrpcNatsCaller) caller = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  NatsServer nats;

  g_test_summary ("Whoever is made for a connection that was closed fails with that");
  nats_server_init (&nats, NULL);
  connection = afrpc_nats_connection_new (nats.url);
  afrpc_nats_connection_close_async (connection, NULL, NULL, NULL);
  caller = afrpc_nats_caller_new (connection, NATS_SUBJECT);
  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  call = call_start (caller, test_act ("return", NULL));
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_nonnull (strstr (error->message, "was closed"));
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  nats_server_clear (&nats);
}

static void
test_nats_turns (void)
{
  AfrpcNatsCaller *others[2];
  guint n[3] = { 0 };
  Fleet test;

  g_test_summary ("Of more callers than calls that a server takes at once each has its turn, however many calls wait");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 2, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  for (guint i = 0; i < 2; i++)
    others[i] = nats_caller_new (&test.nats);
  for (guint i = 0; i < 300; i++)
    for (guint k = 0; k < 3; k++)
      afrpc_caller_call (AFRPC_CALLER (k == 0 ? test.caller : others[k - 1]), test_act ("return", NULL), NULL, count_cb, &n[k]);
  while (n[0] < 300 && n[1] < 300 && n[2] < 300)
    g_main_context_iteration (NULL, TRUE);
  g_test_message ("%u, %u, %u", n[0], n[1], n[2]);
  for (guint k = 0; k < 3; k++)
    g_assert_cmpuint (n[k], >, 100);
  for (guint i = 0; i < 2; i++)
    nats_caller_end (others[i]);
  fleet_clear (&test);
}

static void
test_nats_timeouts (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) short_options = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) execution_options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(AfrpcCall) executing = NULL;
  g_autoptr(GError) error = NULL;
  Fleet test;

  g_test_summary ("A time limit ends what runs and what waits, and a limit of execution what runs");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 1, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  afrpc_call_options_set_timeout_ms (options, 300);
  afrpc_call_options_set_timeout_ms (short_options, 100);
  running = afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("until-cancelled", NULL), options);
  waiting = afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("return", NULL), short_options);
  error = wait_error (waiting);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (waiting), ==, AFRPC_STARTED_NO);
  g_clear_error (&error);
  g_assert_false (afrpc_call_is_settled (running));
  error = wait_error (running);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  g_clear_error (&error);
  afrpc_call_options_set_execution_timeout_ms (execution_options, 50);
  executing = afrpc_caller_start (AFRPC_CALLER (test.caller), test_act ("until-cancelled", NULL), execution_options);
  error = wait_error (executing);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (afrpc_call_get_started (executing), ==, AFRPC_STARTED_YES);
  fleet_clear (&test);
}

typedef struct
{
  NatsServer *nats;
  gboolean is_ready;
  gboolean has_ended;
} ServingThread;

static gboolean
end_cb (gpointer data)
{
  *(gboolean *) data = TRUE;

  return G_SOURCE_REMOVE;
}

/* Serves in a main context of its own, until it is told to end. */
static gpointer
serving_thread (gpointer data)
{
  ServingThread *self = data;
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  AfrpcNatsServer *server;

  g_main_context_push_thread_default (context);
  process = test_process_new ();
  pool = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "act", "max-workers", 2, "start-delay-ms", 0, NULL);
  connection = afrpc_nats_connection_new (self->nats->url);
  server = afrpc_nats_server_new (connection, NATS_SUBJECT, AFRPC_CALLER (pool));
  afrpc_nats_server_start (server);
  while (afrpc_nats_connection_get_state (connection) != AFRPC_NATS_STATE_CONNECTED)
    g_main_context_iteration (context, TRUE);
  g_atomic_int_set (&self->is_ready, TRUE);
  g_main_context_wakeup (NULL);
  while (!g_atomic_int_get (&self->has_ended))
    {
      g_autoptr(GSource) source = g_timeout_source_new (10);

      g_source_set_callback (source, end_cb, &(gboolean) { FALSE }, NULL);
      g_source_attach (source, context);
      g_main_context_iteration (context, TRUE);
      g_source_destroy (source);
    }
  g_object_unref (server);
  afrpc_caller_kill (AFRPC_CALLER (pool));
  afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, NULL);
  afrpc_process_kill (process, 9);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static gpointer
calling_thread (gpointer data)
{
  ServingThread *self = data;
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  g_autoptr(AfrpcNatsCaller) caller = NULL;
  g_autoptr(GError) error = NULL;

  g_main_context_push_thread_default (context);
  connection = afrpc_nats_connection_new (self->nats->url);
  caller = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", NATS_SUBJECT, "no-servers-timeout-ms", 60000,
                         NULL);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_sync (AFRPC_CALLER (caller), test_act ("return", g_variant_new_uint32 (i)),
                                                          NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (g_variant_get_uint32 (value), ==, i);
    }
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_nats_threads (void)
{
  NatsServer nats;
  ServingThread thread = { .nats = &nats };
  GThread *server, *callers[3];

  g_test_summary ("Callers and servers live in main contexts of their own, and callers block without a main loop");
  nats_server_init (&nats, NULL);
  server = g_thread_new ("serving", serving_thread, &thread);
  while (!g_atomic_int_get (&thread.is_ready))
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = g_thread_new ("calling", calling_thread, &thread);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    g_thread_join (callers[i]);
  g_atomic_int_set (&thread.has_ended, TRUE);
  g_thread_join (server);
  nats_server_clear (&nats);
}

static void
log_outcome_cb (GObject      *object,
                GAsyncResult *result,
                gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (object), result, &error);

  g_string_append (data, value != NULL ? "value " : "error ");
}

static void
log_destroyed_cb (GString *log)
{
  g_string_append (log, "destroyed ");
}

static void
test_nats_close (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(AfrpcCall) late = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  Fleet test;

  g_test_summary ("Closing finishes what has been called, then it is over; dropping finishes it, too");
  fleet_init (&test, "act", 1);
  caller = nats_caller_new (&test.nats);
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (log_destroyed_cb), log);
  for (guint i = 0; i < 3; i++)
    afrpc_caller_call (AFRPC_CALLER (caller), test_act ("return", NULL), NULL, log_outcome_cb, log);
  afrpc_caller_close (AFRPC_CALLER (caller));
  late = call_start (caller, test_act ("return", NULL));
  while (strstr (log->str, "destroyed") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (log->str, ==, "value value value destroyed ");
  error = wait_error (late);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_object (&late);
  g_assert_finalize_object (caller);

  g_string_truncate (log, 0);
  caller = nats_caller_new (&test.nats);
  for (guint i = 0; i < 3; i++)
    afrpc_caller_call (AFRPC_CALLER (caller), test_act ("return", NULL), NULL, log_outcome_cb, log);
  g_object_unref (caller);
  while (log->len < strlen ("value value value "))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (log->str, ==, "value value value ");
  fleet_clear (&test);
}

static void
test_nats_events_at_close (void)
{
  const guint n = 30;
  gboolean destroyed = FALSE;
  guint n_events = 0;
  AfrpcNatsCaller *caller;
  Fleet test;

  g_test_summary ("Events come before the results of the calls that have sent them: who closes the caller misses none");
  fleet_init (&test, "act", 2);
  caller = nats_caller_new (&test.nats);
  nats_caller_wait (caller);
  g_signal_connect_swapped (caller, "event", G_CALLBACK (test_count_cb), &n_events);
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (test_count_cb), &destroyed);
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(AfrpcCall) call = call_start (caller, test_act ("event", g_variant_new_uint32 (i)));

      g_variant_unref (wait_value (call));
      /* It may be told in the same turn, before the call. */
      g_assert_cmpuint (n_events, ==, i + 1);
    }
  for (guint i = 0; i < n; i++)
    afrpc_caller_call (AFRPC_CALLER (caller), test_act ("event", g_variant_new_uint32 (i)), NULL, NULL, NULL);
  afrpc_caller_close (AFRPC_CALLER (caller));
  test_iterate_until (&destroyed);
  g_assert_cmpuint (n_events, ==, 2 * n);
  g_object_unref (caller);
  fleet_clear (&test);
}

static void
test_nats_kill (void)
{
  g_autoptr(GString) log = g_string_new (NULL);
  AfrpcNatsCaller *caller;
  guint n_events = 0;
  Fleet test;

  g_test_summary ("Killing a caller fails its calls, and its server cancels them");
  fleet_init (&test, "act", 1);
  /* It is told, and need not find out. */
  g_object_set (test.serving.server, "caller-timeout-ms", G_MAXINT, NULL);
  caller = nats_caller_new (&test.nats);
  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (log_destroyed_cb), log);
  g_signal_connect_swapped (test.caller, "event", G_CALLBACK (test_count_cb), &n_events);
  for (guint i = 0; i < 3; i++)
    afrpc_caller_call (AFRPC_CALLER (caller), test_act ("until-cancelled", NULL), NULL, log_outcome_cb, log);
  while (n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_kill (AFRPC_CALLER (caller));
  while (strstr (log->str, "destroyed") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (log->str, ==, "error error error destroyed ");
  g_assert_finalize_object (caller);
  while (n_events < 2 || afrpc_nats_server_get_n_calls_running (test.serving.server) > 0)
    g_main_context_iteration (NULL, TRUE);
  fleet_clear (&test);
}

static void
test_nats_beats (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  gint64 end_us;
  Meeting meeting;
  guint n_events = 0;
  Fleet test;

  g_test_summary ("A server that says that it lives is not taken for dead, however long a call takes");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "beat-ms", 50, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  meeting_init (&meeting);
  g_signal_connect_swapped (test.caller, "event", G_CALLBACK (test_count_cb), &n_events);
  call = call_start (test.caller, meet (&meeting));
  while (n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  end_us = g_get_monotonic_time () + 1000000;
  while (g_get_monotonic_time () < end_us)
    g_main_context_iteration (NULL, FALSE);
  g_assert_false (afrpc_call_is_settled (call));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (call));
  meeting_end (&meeting);
  fleet_clear (&test);
}

static void
stopped_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  g_assert_true (afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, NULL));
  *(gboolean *) data = TRUE;
}

static void
given_up_cb (GObject      *object,
             GAsyncResult *result,
             gpointer      data)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  *(gboolean *) data = TRUE;
}

static void
test_nats_drain (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  gboolean given_up = FALSE;
  Serving other;
  Meeting meeting;
  gboolean stopped = FALSE;
  guint n_events = 0;
  Fleet test;

  g_test_summary ("A server that is stopped finishes what it has, whoever waits for it; what waits goes to another one");
  nats_server_init (&test.nats, NULL);
  serving_init (&test.serving, &test.nats, "act", 1, "max-calls", 1, NULL);
  serving_start (&test.serving);
  test.caller = nats_caller_new (&test.nats);
  nats_caller_wait (test.caller);
  meeting_init (&meeting);
  g_signal_connect_swapped (test.caller, "event", G_CALLBACK (test_count_cb), &n_events);
  for (guint i = 0; i < 5; i++)
    g_ptr_array_add (calls, call_start (test.caller, meet (&meeting)));
  while (n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  serving_init (&other, &test.nats, "act", 1, NULL);
  serving_start (&other);
  afrpc_nats_server_stop_async (test.serving.server, NULL, stopped_cb, &stopped);
  while (n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  afrpc_nats_server_stop_async (test.serving.server, cancellable, given_up_cb, &given_up);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&given_up);
  g_assert_false (stopped);
  meeting_let_go (&meeting);
  for (guint i = 0; i < calls->len; i++)
    g_variant_unref (wait_value (calls->pdata[i]));
  test_iterate_until (&stopped);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (test.serving.server), ==, 2);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (other.server), ==, 4);
  meeting_end (&meeting);
  nats_caller_end (test.caller);
  serving_clear (&other);
  serving_clear (&test.serving);
  nats_server_clear (&test.nats);
}

static void
test_nats_dispatcher (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) counting = NULL;
  g_autoptr(AfrpcCall) cancelled = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsServer *front;
  AfrpcNatsCaller *caller;
  guint n_events = 0;
  Fleet test;

  g_test_summary ("A caller over NATS serves another subject, as a dispatcher does");
  fleet_init (&test, "act", 2);
  front = g_object_new (AFRPC_NATS_TYPE_SERVER, "connection", test.serving.connection, "subject", "front", "caller", test.caller,
                        "max-calls", 8, NULL);
  afrpc_nats_server_start (front);
  caller = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", test.serving.connection, "subject", "front",
                         "no-servers-timeout-ms", 60000, NULL);
  g_signal_connect_swapped (caller, "event", G_CALLBACK (test_count_cb), &n_events);
  for (guint i = 0; i < 100; i++)
    g_ptr_array_add (calls, call_start (caller, test_act ("return", g_variant_new_uint32 (i))));
  for (guint i = 0; i < calls->len; i++)
    {
      g_autoptr(GVariant) value = wait_value (calls->pdata[i]);

      g_assert_cmpuint (g_variant_get_uint32 (value), ==, i);
    }

  afrpc_call_options_set_function (options, "count_up");
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, progress_cb, log, NULL);
  counting = afrpc_caller_start (AFRPC_CALLER (caller), g_variant_new ("(u)", 3), options);
  g_variant_unref (wait_value (counting));
  g_assert_cmpstr (log->str, ==, "1 2 3 ");

  cancelled = call_start (caller, test_act ("until-cancelled", NULL));
  while (n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_call_cancel (cancelled);
  error = wait_error (cancelled);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  while (n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  nats_caller_end (caller);
  g_object_unref (front);
  fleet_clear (&test);
}

static void
test_nats_failed_pool (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  Serving broken, working;
  NatsServer nats;
  AfrpcNatsCaller *caller;

  g_test_summary ("A server whose pool has failed, or was closed, gives its calls to others, and serves no more");
  nats_server_init (&nats, NULL);
  serving_init (&broken, &nats, "no_such_function", 1, NULL);
  g_signal_connect (broken.pool, "error", G_CALLBACK (test_ignore_cb), NULL);
  serving_init (&working, &nats, "act", 1, NULL);
  serving_start (&broken);
  serving_start (&working);
  caller = nats_caller_new (&nats);
  nats_caller_wait (caller);
  for (guint i = 0; i < 50; i++)
    g_ptr_array_add (calls, call_start (caller, test_act ("return", NULL)));
  for (guint i = 0; i < calls->len; i++)
    g_variant_unref (wait_value (calls->pdata[i]));

  afrpc_caller_close (AFRPC_CALLER (working.pool));
  call = call_start (caller, test_act ("return", NULL));
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  nats_caller_end (caller);
  serving_clear (&broken);
  serving_clear (&working);
  nats_server_clear (&nats);
}

/* Returns: whether no iteration has taken most of the time. Server and caller share the main context: some slices are in one. */
static gboolean
is_sent_in_slices (AfrpcNatsCaller *caller,
                   GVariant        *args)
{
  g_autoptr(AfrpcCall) call = call_start (caller, args);
  g_autoptr(GVariant) value = NULL;
  gint64 longest_us = 0, total_us = 0;

  while (!afrpc_call_is_settled (call))
    {
      const gint64 begin_us = test_get_cpu_us ();

      g_main_context_iteration (NULL, TRUE);
      longest_us = MAX (longest_us, test_get_cpu_us () - begin_us);
      total_us += test_get_cpu_us () - begin_us;
    }
  g_test_message ("longest: %.1f ms of %.1f", longest_us / 1000.0, total_us / 1000.0);
  value = wait_value (call);
  g_assert_cmpuint (g_variant_n_children (value), ==, N_MEMBERS);

  return longest_us < total_us / 5;
}

static void
test_nats_slices (void)
{
  g_autoptr(GVariantBuilder) builder = g_variant_builder_new (G_VARIANT_TYPE ("a(sv)"));
  g_autoptr(GVariant) many = NULL;
  g_autoptr(GVariant) args = NULL;
  Fleet test;

  g_test_summary ("No iteration of a main loop checks or copies all of a large value");
  fleet_init (&test, "act", 1);
  for (guint i = 0; i < N_MEMBERS; i++)
    g_variant_builder_add (builder, "(sv)", "a member", g_variant_new_uint32 (i));
  many = g_variant_ref_sink (g_variant_builder_end (builder));
  args = g_variant_ref_sink (test_act ("return", many));
  g_variant_get_data (many);
  g_variant_get_data (args);
  /* A machine that stands still is said to have worked; it does not do so each time. */
  g_assert_true (is_sent_in_slices (test.caller, args) || is_sent_in_slices (test.caller, args) ||
                 is_sent_in_slices (test.caller, args));
  fleet_clear (&test);
}

static void
test_nats_subjects (void)
{
  g_autofree char *long_one = g_strnfill (1001, 'x');
  const char *wrong[] = { "", " ", "a b", "a.*", ">", "a..b", ".a", "a.", "a\r\nPUB x 0\r\n\r\n", "a\tb", "a\033b", long_one };
  NatsServer nats;

  g_test_summary ("A subject that NATS does not take is an error at once; nothing of it goes to NATS");
  nats_server_init (&nats, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr(AfrpcNatsConnection) connection = afrpc_nats_connection_new (nats.url);
      g_autoptr(AfrpcProcess) process = test_process_new ();
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
      AfrpcNatsCaller *caller = afrpc_nats_caller_new (connection, wrong[i]);
      AfrpcNatsServer *server = afrpc_nats_server_new (connection, wrong[i], AFRPC_CALLER (proxy));
      g_autoptr(AfrpcCall) call = call_start (caller, g_variant_new ("()"));
      g_autoptr(GError) error = NULL;
      guint n_errors = 0;
      gboolean is_over = FALSE;

      g_assert_true (afrpc_call_is_settled (call));
      error = wait_error (call);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
      nats_caller_end (caller);

      g_signal_connect_swapped (server, "error", G_CALLBACK (test_count_cb), &n_errors);
      afrpc_nats_server_start (server);
      afrpc_nats_server_stop_async (server, NULL, stopped_cb, &is_over);
      test_iterate_until (&is_over);
      g_assert_cmpuint (n_errors, ==, 1);
      g_assert_finalize_object (server);
      connection_wait (connection, AFRPC_NATS_STATE_CONNECTED);
      afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);
    }
  nats_server_clear (&nats);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats/round-trip", test_nats_round_trip);
  g_test_add_func ("/nats/errors", test_nats_errors);
  g_test_add_func ("/nats/options", test_nats_options);
  g_test_add_func ("/nats/events", test_nats_events);
  g_test_add_func ("/nats/nobody", test_nats_nobody);
  g_test_add_func ("/nats/late-server", test_nats_late_server);
  g_test_add_func ("/nats/many", test_nats_many);
  g_test_add_func ("/nats/room", test_nats_room);
  g_test_add_func ("/nats/order", test_nats_order);
  g_test_add_func ("/nats/newcomer", test_nats_newcomer);
  g_test_add_func ("/nats/long-after-short", test_nats_long_after_short);
  g_test_add_func ("/nats/large", test_nats_large);
  g_test_add_func ("/nats/fds", test_nats_fds);
  g_test_add_func ("/nats/cancel", test_nats_cancel);
  g_test_add_func ("/nats/turns", test_nats_turns);
  g_test_add_func ("/nats/timeouts", test_nats_timeouts);
  g_test_add_func ("/nats/threads", test_nats_threads);
  g_test_add_func ("/nats/close", test_nats_close);
  g_test_add_func ("/nats/forked", test_nats_forked);
  g_test_add_func ("/nats/closed-connection", test_nats_closed_connection);
  g_test_add_func ("/nats/events-at-close", test_nats_events_at_close);
  g_test_add_func ("/nats/kill", test_nats_kill);
  g_test_add_func ("/nats/beats", test_nats_beats);
  g_test_add_func ("/nats/drain", test_nats_drain);
  g_test_add_func ("/nats/dispatcher", test_nats_dispatcher);
  g_test_add_func ("/nats/failed-pool", test_nats_failed_pool);
  g_test_add_func ("/nats/subjects", test_nats_subjects);
  g_test_add_func ("/nats/slices", test_nats_slices);

  return g_test_run ();
}
