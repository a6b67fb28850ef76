/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };

static const char *
act_name (AfrpcBackend backend)
{
  return backend == AFRPC_BACKEND_SYNC ? "act" : "act_async";
}

static void
test_proxy_echo (void)
{
  const char *const texts[] = {
    "()", "true", "byte 0x7f", "int16 -5", "uint16 5", "-5", "uint32 5", "int64 -5", "uint64 18446744073709551615",
    "handle 3", "1.5", "''", "'ä€😀'", "objectpath '/a/b'", "signature 'a{sv}'", "<'x'>", "@mi nothing", "@mmi just nothing",
    "[1, 2]", "@as []", "{'a': <1>}", "(1, 'x', [b'bytes'])", "{1: 2}", "[<1>, <(2, 's')>]", "b'\\377\\000'",
  };
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Values of every type come back as they went");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = g_variant_parse (NULL, texts[i], NULL, NULL, &error);
      g_autoptr(GVariant) result = NULL;

      g_assert_no_error (error);
      result = test_call (watched.proxy, value, &error);
      g_assert_no_error (error);
      g_assert_true (g_variant_equal (value, result));
    }
}

static void
test_proxy_no_args (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("No arguments are an empty tuple");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_type_string (result), ==, "()");
}

static void
test_proxy_order (gconstpointer data)
{
  const AfrpcBackend backend = *(const AfrpcBackend *) data;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  g_test_summary ("Events and results come in the order in which the worker made them");
  watch_init (&watched, test_proxy_new (act_name (backend), backend));
  watch_events (&watched);

  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_uint32 (i)), NULL, outcome_cb, &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==,
                   "event 0; result true; event 1; result true; event 2; result true; "
                   "exited; destroyed; ");
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    outcome_clear (&outcomes[i]);
}

typedef struct
{
  guint32 next;
  guint n_results;
} Counted;

static void
counted_event_cb (AfrpcProxy   *proxy,
                  GVariant     *event,
                  AfrpcProcess *from,
                  GUnixFDList  *fds,
                  Counted      *counted)
{
  g_assert_cmpuint (g_variant_get_uint32 (event), ==, counted->next++);
}

static void
counted_result_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      data)
{
  Counted *counted = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint32 (value), ==, counted->next++);
  counted->n_results++;
}

static void
test_proxy_order_load (void)
{
  g_auto(Watched) watched = { 0 };
  Counted counted = { 0 };

  g_test_summary ("10000 calls with three events each arrive in order");
  watch_init (&watched, test_proxy_new ("count", AFRPC_BACKEND_SYNC));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (counted_event_cb), &counted);
  for (guint i = 0; i < 10000; i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 3), NULL, counted_result_cb, &counted);
  watch_end (&watched);

  g_assert_cmpuint (counted.n_results, ==, 10000);
  g_assert_cmpuint (counted.next, ==, 40000);
}

#define N_REFILLED 50000u

typedef struct
{
  guint32 n_made;
  guint32 n_settled;
  gboolean done;
} Refill;

static void
refill_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Refill *refill = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint32 (value), ==, refill->n_settled);
  refill->done = ++refill->n_settled == N_REFILLED;
  if (refill->n_made < N_REFILLED)
    afrpc_caller_call (AFRPC_CALLER (source), test_act ("return", g_variant_new_uint32 (refill->n_made++)), NULL, refill_cb,
                      refill);
}

static void
test_proxy_order_refill (gconstpointer data)
{
  const AfrpcBackend backend = *(const AfrpcBackend *) data;
  g_auto(Watched) watched = { 0 };
  Refill refill = { 0 };

  g_test_summary ("Results stay in order when callbacks make new calls that are answered at once");
  watch_init (&watched, test_proxy_new (act_name (backend), backend));
  while (refill.n_made < 1000)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", g_variant_new_uint32 (refill.n_made++)), NULL, refill_cb, &refill);
  test_iterate_until (&refill.done);
}

static void
test_proxy_async_any_order (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) slow = { 0 };
  g_auto(Outcome) fast = { 0 };
  g_auto(Outcome) release = { 0 };

  g_test_summary ("Async calls are answered in whatever order the worker likes");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  slow.log = fast.log = release.log = watched.log;
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("keep", NULL), NULL, outcome_cb, &slow);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", g_variant_new_string ("fast")), NULL, outcome_cb, &fast);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("release", NULL), NULL, outcome_cb, &release);
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==, "result 'fast'; result 'released'; result 'done'; exited; destroyed; ");
}

static void
test_proxy_async_finishes (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) later = { 0 };

  g_test_summary ("A closed async worker finishes what is outstanding");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("later", g_variant_new_uint32 (30)), NULL, outcome_cb, &later);
  watch_end (&watched);

  g_assert_true (later.done);
  g_assert_no_error (later.error);
  g_assert_true (afrpc_exit_is_success (watched.exit));
}

static void
test_proxy_errors (gconstpointer data)
{
  const AfrpcBackend backend = *(const AfrpcBackend *) data;
  g_autofree char *domain = g_strdup_printf ("known-to-%s", act_name (backend));
  g_autofree char *words = g_strdup_printf ("%s 42: a private matter", domain);
  g_auto(Watched) watched = { 0 };
  AfrpcProxy *proxy;

  g_test_summary ("A call that fails fails alone, and says why");
  watch_init (&watched, test_proxy_new (act_name (backend), backend));
  proxy = watched.proxy;

  test_assert_call_fails (proxy, test_act ("file-error", NULL), G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such thing");
  test_assert_call_fails (proxy, test_act ("unknown-error", g_variant_new_string (domain)), AFRPC_ERROR, AFRPC_ERROR_REMOTE,
                          words);
  test_assert_call_fails (proxy, g_variant_new ("(i)", 1), AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "takes (sv), not (i)");
  test_assert_call_fails (proxy, test_act (backend == AFRPC_BACKEND_SYNC ? "nothing" : "forget", NULL), AFRPC_ERROR,
                          AFRPC_ERROR_NO_RESULT, backend == AFRPC_BACKEND_SYNC ? "'act' gave neither" : "'act_async' dropped");
  test_assert_works (proxy);

  afrpc_error_register_domain (g_quark_from_string (domain));
  test_assert_call_fails (proxy, test_act ("unknown-error", g_variant_new_string (domain)), g_quark_from_string (domain), 42,
                          "a private matter");
  test_assert_works (proxy);
}

static void
test_proxy_exact (gconstpointer data)
{
  const AfrpcBackend backend = *(const AfrpcBackend *) data;
  static const struct
  {
    const char *metadata;
    const char *args;
    const char *words; /* (nullable): of the refusal */
  } cases[] = {
    { "@a{sv} {}", "('metadata', 'x')", NULL },
    { "{'afrpc.exact': <false>}", "('metadata', 'x')", NULL },
    { "{'afrpc.exact': <1>}", "('metadata', 'x')", NULL },
    { "{'afrpc.exact': <true>}", "('metadata', <'x'>)", NULL },
    { "{'afrpc.exact': <true>}", "('metadata', 'x')", "takes (sv), not (ss)" },
    { "{'afrpc.exact': <true>}", "('metadata', 1, 2)", "takes (sv), not (sii)" },
  };
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A call may be refused whose arguments would have to be made those that the function has declared");
  watch_init (&watched, test_proxy_new (act_name (backend), backend));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_call_options_set_metadata (options, g_variant_new_parsed (cases[i].metadata));
      result = afrpc_caller_call_full_sync (AFRPC_CALLER (watched.proxy), g_variant_new_parsed (cases[i].args), options, NULL, NULL,
                                            &error);
      if (cases[i].words == NULL)
        {
          g_assert_no_error (error);
          continue;
        }
      g_assert_null (result);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS);
      g_assert_nonnull (strstr (error->message, cases[i].words));
    }
  test_assert_works (watched.proxy);
}

static void
test_proxy_message_size (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  AfrpcProxy *proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "max-message-size",
                                    G_GUINT64_CONSTANT (100000), NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *long_type = g_strnfill (256, 'i');
  gpointer numbers = g_malloc0 (254 * 4);

  g_test_summary ("A message over the limit fails its call alone, in either direction");
  watch_init (&watched, proxy);
  watch_events (&watched);

  result = test_call (proxy, test_act ("bytes", g_variant_new_uint32 (100000)), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_size (result), ==, 100000);
  test_assert_call_fails (proxy, test_act ("bytes", g_variant_new_uint32 (100001)), AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                          "the result of 'act' cannot be sent: ");
  test_assert_call_fails (proxy, test_act ("bytes", g_variant_new_uint32 (100001)), AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                          "100001 bytes, the limit is 100000");
  test_assert_call_fails (proxy, test_zeros (100001), AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                          "100001 bytes, the limit is 100000");
  test_assert_call_fails (proxy, test_zeros (100001), AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "' running 'act' of '");

  /* A type of 256 characters. */
  long_type[0] = '(';
  long_type[255] = ')';
  test_assert_call_fails (proxy,
                          g_variant_new_from_data (G_VARIANT_TYPE (long_type), numbers, 254 * 4, TRUE, g_free, numbers),
                          AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "255 characters");
  test_assert_works (proxy);
}

static void
test_proxy_large (gconstpointer data)
{
  const gsize size = GPOINTER_TO_SIZE (data);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree guint8 *bytes = g_malloc (size);
  GVariant *args;

  for (gsize i = 0; i < size; i++)
    bytes[i] = i * 7 + i / 251;
  args = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, size, 1);

  g_test_summary ("A large message comes back as it went");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  result = test_call (watched.proxy, args, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_variant_get_data (result), g_variant_get_size (result), bytes, size);
}

static void
test_proxy_busy (void)
{
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };
  g_autoptr(GVariant) big = NULL;

  g_test_summary ("Queues are bounded in calls and in bytes; one call always fits");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  big = g_variant_ref_sink (test_zeros (10000));

  for (guint max = 1; max <= 2; max++)
    {
      g_auto(Outcome) refused = { 0 };

      afrpc_proxy_set_max_calls_queued (watched.proxy, max);
      for (guint i = 0; i < max; i++)
        afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcomes[i]);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &refused);
      outcome_wait (&refused);
      g_assert_error (refused.error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
      g_assert_true (g_str_has_suffix (refused.error->message,
                                       max == 1 ? ": 1 call is waiting already" : ": 2 calls are waiting already"));
      for (guint i = 0; i < max; i++)
        {
          outcome_wait (&outcomes[i]);
          outcome_clear (&outcomes[i]);
          outcomes[i] = (Outcome) { 0 };
        }
    }

  afrpc_proxy_set_max_calls_queued (watched.proxy, 2);
  for (guint i = 0; i < 3; i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcomes[i]);
  g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (watched.proxy), ==, 2);
  for (guint i = 0; i < 3; i++)
    outcome_wait (&outcomes[i]);
  g_assert_no_error (outcomes[0].error);
  g_assert_no_error (outcomes[1].error);
  g_assert_error (outcomes[2].error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  for (guint i = 0; i < 3; i++)
    {
      outcome_clear (&outcomes[i]);
      outcomes[i] = (Outcome) { 0 };
    }

  afrpc_proxy_set_max_calls_queued (watched.proxy, 100);
  afrpc_proxy_set_max_bytes_queued (watched.proxy, 1);
  /* The first two go to the socket at once: they are more than what is written together. */
  for (guint i = 0; i < 2; i++)
    {
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), big, NULL, outcome_cb, &outcomes[i]);
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
    }
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcomes[2]);
  {
    g_auto(Outcome) refused = { 0 };

    afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &refused);
    outcome_wait (&refused);
    g_assert_error (refused.error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  }
  outcome_wait (&outcomes[2]);
  g_assert_no_error (outcomes[2].error);
  for (guint i = 0; i < 3; i++)
    outcome_clear (&outcomes[i]);
}

static void
test_proxy_in_use (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Watched) refused = { 0 };
  g_auto(Watched) of_fork = { 0 };
  g_autoptr(AfrpcProcess) forked = NULL;
  AfrpcProxy *second, *third;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A process has one job");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  second = afrpc_proxy_new (afrpc_proxy_get_process (watched.proxy), "echo");
  watch_init (&refused, second);
  test_assert_call_fails (second, NULL, AFRPC_ERROR, AFRPC_ERROR_IN_USE,
                          " running 'act' of '");
  test_assert_call_fails (second, NULL, AFRPC_ERROR, AFRPC_ERROR_IN_USE,
                          "': the process runs a function already: fork () gives another one");
  result = afrpc_caller_call_sync (AFRPC_CALLER (second), NULL, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  g_assert_true (afrpc_proxy_is_closed (second));
  forked = afrpc_process_fork (afrpc_proxy_get_process (watched.proxy));
  third = afrpc_proxy_new (forked, "echo");
  watch_init (&of_fork, third);
  test_assert_call_fails (third, NULL, AFRPC_ERROR, AFRPC_ERROR_IN_USE, " running 'act' of '");
  watch_end (&of_fork);
  afrpc_caller_close (AFRPC_CALLER (second));
  afrpc_caller_kill (AFRPC_CALLER (second));
  watch_end (&refused);
  g_assert_error (refused.error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  test_assert_works (watched.proxy);
}

static void
test_proxy_unhandled_event (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An event that nobody handles is an error");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("event", NULL), NULL));
  g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_UNHANDLED_EVENT);
  g_assert_true (strstr (watched.error->message, "' running 'act' of '") != NULL);
  test_assert_works (watched.proxy);
}

static void
test_proxy_unhandled_error (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("An error that nobody handles is an event; and without a handler for that, logged");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  g_signal_handlers_disconnect_matched (watched.proxy, G_SIGNAL_MATCH_ID | G_SIGNAL_MATCH_DATA,
                                        g_signal_lookup ("error", AFRPC_TYPE_PROXY), 0, NULL, NULL, &watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("exit", g_variant_new_uint32 (3)), NULL, outcome_cb, &outcome);
  watch_end (&watched);
  g_assert_nonnull (strstr (watched.log->str, "event ('error', "));
  g_assert_nonnull (strstr (watched.log->str, "exited with status 3"));
}

static void
test_proxy_unhandled_error_logged (void)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  gboolean destroyed = FALSE;

  g_test_summary ("What nobody is told otherwise is logged");
  g_variant_unref (test_call (proxy, test_act ("return", NULL), NULL));
  g_test_expect_message ("afrpc", G_LOG_LEVEL_WARNING, "*signal 9*");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_atomic_int_inc), &destroyed);
  g_assert_no_errno (kill (afrpc_process_get_pid (afrpc_proxy_get_process (proxy)), SIGKILL));
  test_iterate_until (&destroyed);
  g_test_assert_expected_messages ();
}

static void
test_proxy_unhandled_error_told (void)
{
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_auto(Outcome) outcome = { 0 };
  gboolean destroyed = FALSE;

  g_test_summary ("What a call has got is not logged as well: any warning would end this test");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_atomic_int_inc), &destroyed);
  afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("exit", g_variant_new_uint32 (3)), NULL, outcome_cb, &outcome);
  test_iterate_until (&destroyed);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (outcome.started, ==, AFRPC_STARTED_YES);
}

static gpointer
context_thread (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  {
    g_auto(Watched) watched = { 0 };

    watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
    test_assert_works (watched.proxy);
    watch_end (&watched);
  }
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_proxy_thread_default (void)
{
  GThread *threads[4];

  g_test_summary ("Each thread has proxies of its own, on its thread-default context");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", context_thread, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
nested_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);

  test_assert_works (AFRPC_PROXY (source));
  *(gboolean *) data = TRUE;
}

static void
test_proxy_nested (void)
{
  g_auto(Watched) watched = { 0 };
  gboolean done = FALSE;

  g_test_summary ("A callback may iterate the main loop and wait for another call");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, nested_cb, &done);
  test_iterate_until (&done);
}

typedef struct
{
  guint n_settled;
  gboolean all_settled;
} Nested;

static void
nested_wait_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      data)
{
  Nested *nested = data;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);

  g_assert_nonnull (value);
  nested->all_settled = ++nested->n_settled == 5;
  if (nested->n_settled == 1)
    test_iterate_until (&nested->all_settled);
}

static void
test_proxy_nested_wait (void)
{
  g_auto(Watched) watched = { 0 };
  Nested nested = { 0 };

  g_test_summary ("A callback may iterate the main loop until the calls made before are settled");
  /* Their results come in one piece. */
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  for (guint i = 0; i < 5; i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, nested_wait_cb, &nested);
  test_iterate_until (&nested.all_settled);
}

/* A warning to some versions of GLib, and a critical one to others. */
static void
count_cb (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        n_warnings)
{
  (*(guint *) n_warnings)++;
}

static void
test_proxy_out_of_range (void)
{
  guint n_warnings = 0, handler;
  GLogLevelFlags fatal;
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A limit that is out of range is as if it had not been given");
  handler = g_log_set_handler ("GLib-GObject", G_LOG_LEVEL_MASK | G_LOG_FLAG_FATAL, count_cb, &n_warnings);
  fatal = g_log_set_always_fatal (G_LOG_FATAL_MASK);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "max-calls-queued", 0,
                                      "max-message-size", (guint64) 0, NULL));
  g_log_set_always_fatal (fatal);
  g_log_remove_handler ("GLib-GObject", handler);
  g_assert_cmpuint (n_warnings, ==, 2);
  g_assert_cmpuint (afrpc_proxy_get_max_calls_queued (watched.proxy), >, 0);
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/proxy/echo", test_proxy_echo);
  g_test_add_func ("/proxy/no-args", test_proxy_no_args);
  g_test_add_data_func ("/proxy/order/sync", &backends[0], test_proxy_order);
  g_test_add_data_func ("/proxy/order/async", &backends[1], test_proxy_order);
  g_test_add_func ("/proxy/order/load", test_proxy_order_load);
  g_test_add_data_func ("/proxy/order/refill/sync", &backends[0], test_proxy_order_refill);
  g_test_add_data_func ("/proxy/order/refill/async", &backends[1], test_proxy_order_refill);
  g_test_add_func ("/proxy/async/any-order", test_proxy_async_any_order);
  g_test_add_func ("/proxy/async/finishes", test_proxy_async_finishes);
  g_test_add_data_func ("/proxy/errors/sync", &backends[0], test_proxy_errors);
  g_test_add_data_func ("/proxy/errors/async", &backends[1], test_proxy_errors);
  g_test_add_data_func ("/proxy/exact/sync", &backends[0], test_proxy_exact);
  g_test_add_data_func ("/proxy/exact/async", &backends[1], test_proxy_exact);
  g_test_add_func ("/proxy/message-size", test_proxy_message_size);
  g_test_add_func ("/proxy/out-of-range", test_proxy_out_of_range);
  g_test_add_data_func ("/proxy/large/16K", GSIZE_TO_POINTER (16384), test_proxy_large);
  g_test_add_data_func ("/proxy/large/1M", GSIZE_TO_POINTER (1 << 20), test_proxy_large);
  g_test_add_data_func ("/proxy/large/64M", GSIZE_TO_POINTER (64 << 20), test_proxy_large);
  g_test_add_func ("/proxy/busy", test_proxy_busy);
  g_test_add_func ("/proxy/in-use", test_proxy_in_use);
  g_test_add_func ("/proxy/unhandled/event", test_proxy_unhandled_event);
  g_test_add_func ("/proxy/unhandled/error", test_proxy_unhandled_error);
  g_test_add_func ("/proxy/unhandled/error-logged", test_proxy_unhandled_error_logged);
  g_test_add_func ("/proxy/unhandled-error-told", test_proxy_unhandled_error_told);
  g_test_add_func ("/proxy/thread-default", test_proxy_thread_default);
  g_test_add_func ("/proxy/nested", test_proxy_nested);
  g_test_add_func ("/proxy/nested/wait", test_proxy_nested_wait);

  return g_test_run ();
}
