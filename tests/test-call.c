/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls, and what they carry. */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define LIMIT 65536u /* bytes, of metadata */

/* A call with @options (transfer full), which blocks or not. */
static GVariant *
call_full (AfrpcProxy        *proxy,
           GVariant          *args,
           AfrpcCallOptions  *options,
           gboolean           blocks,
           GError           **error)
{
  g_autoptr(AfrpcCallOptions) owned = options;
  g_auto(Outcome) outcome = { 0 };

  if (blocks)
    return afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), args, options, NULL, NULL, error);

  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, options, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  if (outcome.error != NULL)
    g_propagate_error (error, g_steal_pointer (&outcome.error));

  return g_steal_pointer (&outcome.value);
}

static AfrpcCallOptions *
new_metadata (GVariant *metadata)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  g_autoptr(GVariant) owned = metadata != NULL ? g_variant_take_ref (metadata) : NULL;

  afrpc_call_options_set_metadata (options, owned);

  return options;
}

static void
assert_metadata (AfrpcProxy *proxy,
                 const char *metadata, /* (nullable) */
                 gboolean    blocks,
                 const char *expected)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;

  result = call_full (proxy, test_act ("metadata", g_variant_new_int32 (1)),
                      new_metadata (metadata != NULL ? g_variant_new_parsed (metadata) : NULL), blocks, &error);
  g_assert_no_error (error);
  text = g_variant_print (result, FALSE);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_call_metadata (void)
{
  g_test_summary ("Metadata reaches the function beside its arguments, of that call alone, whatever the backend is");
  for (guint i = 0; i < 8; i++)
    {
      g_autoptr(AfrpcProcess) process = test_process_new ();
      g_autoptr(AfrpcSerialiser) serialiser = i / 4 == 1 ? afrpc_serialiser_lookup ("json") : NULL;
      const gboolean is_async = i % 2, blocks = i / 2 % 2;
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                                          is_async ? "act_async" : "act", "backend",
                                          is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC, "serialiser",
                                          serialiser, NULL));
      assert_metadata (watched.proxy, "{'trace': <'a'>, 'n': <@t 7>}", blocks,
                       "(<{'trace': <'a'>, 'n': <uint64 7>}>, <('metadata', <1>)>)");
      assert_metadata (watched.proxy, NULL, blocks, "(<'none'>, <('metadata', <1>)>)");
      assert_metadata (watched.proxy, "@a{sv} {}", blocks, "(<@a{sv} {}>, <('metadata', <1>)>)");
    }
}

/* The largest within the limit, or the smallest that is not: not every size can be had. */
static GVariant *
new_large_metadata (gboolean is_too_large)
{
  g_autoptr(GVariant) larger = NULL;

  for (gsize length = LIMIT;; length--)
    {
      g_autofree char *text = g_strnfill (length, 'x');
      g_autoptr(GVariant) metadata = g_variant_ref_sink (g_variant_new_parsed ("{'a': <%s>}", text));

      if (g_variant_get_size (metadata) <= LIMIT)
        return is_too_large ? g_steal_pointer (&larger) : g_steal_pointer (&metadata);
      g_clear_pointer (&larger, g_variant_unref);
      larger = g_steal_pointer (&metadata);
    }
}

static void
test_call_metadata_limits (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *types = g_strnfill (254, 'y');
  g_autofree char *type = g_strdup_printf ("(%s)", types);

  g_test_summary ("Metadata over its limit fails the call before it is sent, as arguments of too long a type do");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  result = call_full (watched.proxy, test_act ("metadata", NULL), new_metadata (new_large_metadata (FALSE)), FALSE,
                      &error);
  g_assert_no_error (error);

  g_assert_null (call_full (watched.proxy, test_act ("metadata", NULL), new_metadata (new_large_metadata (TRUE)),
                            FALSE, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "65536"));
  g_clear_error (&error);

  g_assert_null (call_full (watched.proxy,
                            g_variant_new_from_data (G_VARIANT_TYPE (type), types, 254, TRUE, NULL, NULL),
                            new_metadata (new_large_metadata (FALSE)), FALSE, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "type"));
}

static void
ignore_progress_cb (AfrpcCall *call,
                    GVariant  *progress,
                    gpointer   data)
{
}

typedef struct
{
  const char *name;
  const char *value; /* a GVariant, and what is set is made of it */
} Setting;

static const Setting settings[] = {
  { "timeout-ms", "60000" }, { "execution-timeout-ms", "uint32 60000" }, { "function", "'tell_more'" },
  { "label", "'label'" }, { "affinity", "'key'" }, { "idempotent", "true" }, { "wait-for-room", "true" }, { "priority", "-5" },
  { "metadata", "{'trace': <1>}" },
};

static void
set_value (AfrpcCallOptions *options,
           const Setting    *setting)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (setting->value));

  if (g_str_equal (setting->name, "metadata"))
    g_object_set (options, setting->name, value, NULL);
  else
    {
      g_auto(GValue) gvalue = G_VALUE_INIT;

      g_dbus_gvariant_to_gvalue (value, &gvalue);
      g_object_set_property (G_OBJECT (options), setting->name, &gvalue);
    }
}

static char *
get_text (AfrpcCallOptions *options,
          const char       *name)
{
  g_auto(GValue) value = G_VALUE_INIT;

  g_object_get_property (G_OBJECT (options), name, &value);

  return g_strdup_value_contents (&value);
}

static void
test_call_options_frozen (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_auto(Watched) watched = { 0 };
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  guint n_notified = 0, n_destroyed = 0;

  g_test_summary ("Options tell when they change, can be used again, and are frozen once they are used");
  g_signal_connect_swapped (options, "notify", G_CALLBACK (test_count_cb), &n_notified);
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      g_autofree char *before = get_text (options, settings[i].name);
      g_autofree char *after = NULL;

      set_value (options, &settings[i]);
      after = get_text (options, settings[i].name);
      g_assert_cmpstr (before, !=, after);
      g_assert_cmpuint (n_notified, ==, i + 1);
    }
  afrpc_call_options_set_function (options, NULL);
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, ignore_progress_cb, &n_destroyed, (GDestroyNotify) test_count_cb);
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, ignore_progress_cb, &n_destroyed, (GDestroyNotify) test_count_cb);
  g_assert_cmpuint (n_destroyed, ==, 1);

  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = call_full (watched.proxy, test_act ("return", NULL), g_object_ref (options), i, &error);

      g_assert_no_error (error);
    }

  n_notified = 0;
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      g_autofree char *before = get_text (options, settings[i].name);
      g_autofree char *after = NULL;

      g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*that a call was given stay as they are*");
      set_value (options, &settings[i]);
      g_test_assert_expected_messages ();
      after = get_text (options, settings[i].name);
      g_assert_cmpstr (before, ==, after);
    }
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*that a call was given stay as they are*");
  afrpc_call_options_set_fds (options, fds);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*that a call was given stay as they are*");
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, NULL, NULL, NULL);
  g_test_assert_expected_messages ();
  g_assert_null (afrpc_call_options_get_fds (options));
  g_assert_cmpuint (n_notified, ==, 0);
  g_assert_cmpuint (n_destroyed, ==, 1);
  g_assert_finalize_object (g_steal_pointer (&options));
  g_assert_cmpuint (n_destroyed, ==, 2);
}

static void
add_progress_cb (AfrpcCall *call,
                 GVariant  *progress,
                 gpointer   data)
{
  g_string_append (data, g_variant_get_string (progress, NULL));
}

/* Bits of a combination, beyond those of the settings. */
#define WITH_FDS (1u << G_N_ELEMENTS (settings))
#define WITH_PROGRESS (WITH_FDS << 1)
#define N_COMBINATIONS (WITH_PROGRESS << 1)

static gboolean
has_setting (guint       combination,
             const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    if (g_str_equal (settings[i].name, name))
      return combination >> i & 1;

  g_assert_not_reached ();
}

static AfrpcCallOptions *
new_combination (guint        combination,
                 GUnixFDList *fds,
                 GString     *seen)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    if ((combination >> i & 1) != 0)
      set_value (options, &settings[i]);
  if ((combination & WITH_FDS) != 0)
    afrpc_call_options_set_fds (options, fds);
  if ((combination & WITH_PROGRESS) != 0)
    afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, add_progress_cb, seen, NULL);

  return options;
}

static void
check_combination (Watched     *watched,
                   guint        combination,
                   GUnixFDList *fds)
{
  const gboolean is_local = g_getenv ("AFRPC_TEST_COMMAND") == NULL;
  const gboolean blocks = __builtin_popcount (combination) % 2;
  g_autoptr(GString) seen = g_string_new (NULL);
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *expected = NULL;

  result = call_full (watched->proxy, g_variant_new ("(b)", FALSE), new_combination (combination, fds, seen), blocks,
                      &error);
  if (!is_local && (combination & WITH_FDS) != 0)
    {
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
      return;
    }
  g_assert_no_error (error);
  text = g_variant_print (result, FALSE);
  expected = g_strdup_printf ("('%s', %u, <%s>)", has_setting (combination, "function") ? "more" : "all",
                              (combination & WITH_FDS) != 0, has_setting (combination, "metadata") ? "{'trace': <1>}" : "'none'");
  g_assert_cmpstr (text, ==, expected);
  /* That of a blocking call comes too late. */
  if (!blocks)
    g_assert_cmpstr (seen->str, ==, (combination & WITH_PROGRESS) != 0 ? "here" : "");

  g_assert_null (call_full (watched->proxy, g_variant_new ("(b)", TRUE), new_combination (combination, fds, seen), blocks,
                            &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, has_setting (combination, "label") ? "label: no" : "no");
}

static void
test_call_options_combined (void)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Each option does what it does, whatever others there are");
  g_assert_cmpint (g_unix_fd_list_append (fds, 0, NULL), ==, 0);
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));
  watch_init (&watched, afrpc_proxy_new (process, "tell_all"));
  for (guint i = 0; i < N_COMBINATIONS; i++)
    check_combination (&watched, i, fds);
}

/* The reason goes with what is known of the start. */
static void
assert_says_why (const Outcome *outcome)
{
  static const char *const words[] = {
    [AFRPC_STARTED_UNKNOWN] = " had not answered the call when",
    [AFRPC_STARTED_NO] = " had not begun the call when",
    [AFRPC_STARTED_YES] = ": the call still ran when",
  };

  g_assert_error (outcome->error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (outcome->error->message, "running 'act'"));
  if (strstr (outcome->error->message, words[outcome->started]) == NULL)
    g_error ("'%s' is not in '%s'", words[outcome->started], outcome->error->message);
  /* Only over a command it may not be known. */
  g_assert_true (outcome->started != AFRPC_STARTED_UNKNOWN || g_getenv ("AFRPC_TEST_COMMAND") != NULL);
}

/* Settled, if it is, by the time at which a call with the shortest limit is. */
static void
wait_some_time (AfrpcProxy *proxy)
{
  g_auto(Outcome) outcome = { 0 };

  test_call_with_timeout (proxy, test_act ("return", NULL), 20, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  assert_says_why (&outcome);
}

/* Who is late, and what with. */
static void
test_call_timeout_says_why (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) loading = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) unready = { 0 };

  g_test_summary ("The error of a time limit says who was late, and whether it had begun");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  test_call_with_timeout (watched.proxy, test_act ("until-cancelled", NULL), 50, NULL, outcome_cb, &running);
  outcome_wait (&running);
  assert_says_why (&running);

  process = afrpc_process_new_exec (NULL);
  afrpc_process_setenv (process, "AFRPC_TEST_PROGRAM", "", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_S", "1", TRUE);
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_SLOW_WORKER"));
  loading = afrpc_proxy_new (process, "nothing");
  test_call_with_timeout (loading, NULL, 50, NULL, outcome_cb, &unready);
  outcome_wait (&unready);
  g_assert_error (unready.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (unready.error->message, "running 'nothing'"));
  g_assert_nonnull (strstr (unready.error->message, " was not ready when"));
  g_signal_connect (loading, "error", G_CALLBACK (test_ignore_cb), NULL);
  afrpc_caller_kill (AFRPC_CALLER (loading));
}

typedef enum
{
  KEPT_BEFORE_FINISH,
  KEPT_AFTER_FINISH,
  KEPT_UNFINISHED,
} KeptWhen;

typedef struct
{
  KeptWhen when;
  AfrpcCall *call; /* (nullable) (owned) */
} Kept;

static void
keep_result_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Kept *kept = data;
  g_autoptr(GVariant) value = NULL;

  if (kept->when != KEPT_AFTER_FINISH)
    kept->call = g_object_ref (AFRPC_CALL (result));
  if (kept->when != KEPT_UNFINISHED)
    value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);
  if (kept->when == KEPT_AFTER_FINISH)
    kept->call = g_object_ref (AFRPC_CALL (result));
}

static void
test_call_kept (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Who keeps the call that a callback has got can wait for its outcome, whoever has taken that");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  for (KeptWhen when = KEPT_BEFORE_FINISH; when <= KEPT_UNFINISHED; when++)
    for (guint fails = 0; fails < 2; fails++)
      {
        Kept kept = { when, NULL };

        afrpc_caller_call (AFRPC_CALLER (watched.proxy),
                           fails ? test_act ("file-error", NULL) : test_act ("return", g_variant_new_int32 (7)),
                           NULL, keep_result_cb, &kept);
        while (kept.call == NULL)
          g_main_context_iteration (NULL, TRUE);
        for (guint i = 0; i < 2; i++)
          {
            g_autoptr(GError) error = NULL;
            g_autoptr(GVariant) value = afrpc_call_wait_sync (kept.call, NULL, &error);

            g_assert_true (fails == (value == NULL));
            if (fails)
              g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
            else
              g_assert_cmpint (g_variant_get_int32 (value), ==, 7);
          }
        g_object_unref (kept.call);
      }
}

static void
finish_twice_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      done)
{
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);
  g_autoptr(GError) error = NULL;

  g_assert_nonnull (value);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "the outcome of a call was asked for twice");
  g_assert_null (afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error));
  g_test_assert_expected_messages ();
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  *(gboolean *) done = TRUE;
}

static void
test_call_finish_twice (void)
{
  g_auto(Watched) watched = { 0 };
  gboolean done = FALSE;

  g_test_summary ("Who finishes a call twice is told so");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, finish_twice_cb, &done);
  test_iterate_until (&done);
}

static void
test_call_execution_timeout (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) busy = { 0 };
  g_auto(Outcome) quick = { 0 };
  g_auto(Outcome) slow = { 0 };

  g_test_summary ("The limit of the execution does not count what waits for the worker");
  afrpc_call_options_set_execution_timeout_ms (options, 10);
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), cancellable, outcome_cb, &busy);
  while (watched.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_caller_call_full (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), options, NULL, outcome_cb, &slow);
  wait_some_time (watched.proxy);
  g_assert_false (slow.done);

  g_cancellable_cancel (cancellable);
  test_iterate_until (&slow.done);
  g_assert_error (slow.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_true (strstr (slow.error->message, "' running 'act' of '") != NULL);
  g_assert_nonnull (strstr (slow.error->message, "ran for longer than 10 ms"));
  g_assert_cmpint (slow.started, ==, AFRPC_STARTED_YES);
}

static void
keep_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  *(GAsyncResult **) data = g_object_ref (result);
}

static GAsyncResult *
wait_result (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return *result;
}

static void
test_call_foreign_results (void)
{
  g_auto(Watched) one = { 0 };
  g_auto(Watched) two = { 0 };
  g_autoptr(GAsyncResult) simple = NULL;
  g_autoptr(GAsyncResult) full = NULL;
  g_autoptr(GAsyncResult) waited = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) other = NULL;
  AfrpcCaller *caller, *stranger;

  g_test_summary ("A result that is none of this object and method is refused");
  watch_init (&one, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  watch_init (&two, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  caller = AFRPC_CALLER (one.proxy);
  stranger = AFRPC_CALLER (two.proxy);
  afrpc_caller_call (caller, NULL, NULL, keep_cb, &simple);
  afrpc_caller_call_full (caller, NULL, NULL, NULL, keep_cb, &full);
  call = afrpc_caller_start (caller, NULL, NULL);
  other = afrpc_caller_start (caller, NULL, NULL);
  afrpc_call_wait (call, NULL, keep_cb, &waited);
  wait_result (&simple);
  wait_result (&full);
  wait_result (&waited);

#define REFUSED(expression) \
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*assertion*"); \
  g_assert_null (expression); \
  g_test_assert_expected_messages ()
  REFUSED (afrpc_caller_call_finish (stranger, simple, NULL));
  REFUSED (afrpc_caller_call_finish (caller, full, NULL));
  REFUSED (afrpc_caller_call_finish (caller, waited, NULL));
  REFUSED (afrpc_caller_call_full_finish (caller, simple, NULL, NULL));
  REFUSED (afrpc_call_wait_finish (call, simple, NULL));
  REFUSED (afrpc_call_wait_finish (other, waited, NULL));
#undef REFUSED
  g_variant_unref (afrpc_caller_call_finish (caller, simple, NULL));
  g_variant_unref (afrpc_caller_call_full_finish (caller, full, NULL, NULL));
  g_variant_unref (afrpc_call_wait_finish (call, waited, NULL));
}

static gpointer
wait_thread (gpointer call)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);

  return NULL;
}

static void
test_call_foreign_wait (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("Another thread cannot wait for a call, which goes on");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), NULL, NULL);
  g_assert_true (g_main_context_acquire (NULL));
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "waiting for a call: another thread*");
  g_thread_join (g_thread_new ("wait", wait_thread, call));
  g_test_assert_expected_messages ();
  g_main_context_release (NULL);
  value = afrpc_call_wait_sync (call, NULL, NULL);
  g_assert_nonnull (value);
}

static void
test_call_wait_sync_cancelled (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  GThread *thread;

  g_test_summary ("Who blocks for a call can be cancelled, whatever the call was made with");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GCancellable) own = g_cancellable_new ();

      call = g_object_ref (afrpc_caller_start_with_callback (AFRPC_CALLER (watched.proxy),
                                                             test_act ("until-cancelled", NULL), NULL,
                                                             i == 0 ? own : NULL, NULL, NULL));
      thread = g_thread_new ("cancel", cancel_thread, cancellable);
      g_assert_null (afrpc_call_wait_sync (call, cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_false (g_cancellable_is_cancelled (own));
      g_thread_join (thread);
      g_clear_error (&error);
      g_clear_object (&call);
      g_cancellable_reset (cancellable);
    }
}

static void
test_call_incomplete (void)
{
  g_test_summary ("A proxy without a process, or a function, is refused; its calls fail, in whatever way they are made");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = i > 0 ? test_process_new () : NULL;
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_autoptr(GError) error = NULL;
      g_auto(Outcome) outcome = { 0 };
      g_autoptr(AfrpcCall) call = NULL;

      g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "a proxy needs a process and a function");
      proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", i == 0 ? "act" : NULL, NULL);
      g_test_assert_expected_messages ();
      g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
      call = afrpc_caller_start (AFRPC_CALLER (proxy), NULL, NULL);
      g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_nonnull (error);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
      g_clear_error (&error);
      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
      g_assert_nonnull (error);
      afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      g_assert_nonnull (outcome.error);
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
    }
}

static void
test_call_callback_and_wait (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GVariant) value = NULL;
  g_autofree char *text = NULL;
  AfrpcCall *call;

  g_test_summary ("Who blocks for a call takes nothing from its callback");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  call = afrpc_caller_start_with_callback (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 1), NULL, NULL, outcome_cb,
                                           &outcome);
  value = afrpc_call_wait_sync (call, NULL, NULL);
  text = g_variant_print (value, FALSE);
  g_assert_cmpstr (text, ==, "(1,)");
  g_assert_false (outcome.done);
  outcome_wait (&outcome);
  g_assert_true (g_variant_equal (outcome.value, value));
}

static void
gone_cb (gpointer data)
{
  ++*(guint *) data;
}

static void
test_call_given (void)
{
  g_auto(Watched) watched = { 0 };
  guint n_gone = 0;

  g_test_summary ("What is put on a call with a callback goes with it, and is on no other one");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  for (guint i = 1; i <= 20; i++)
    {
      g_auto(Outcome) outcome = { 0 };
      AfrpcCall *call = afrpc_caller_start_with_callback (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", i), NULL, NULL,
                                                          outcome_cb, &outcome);

      g_assert_null (g_object_get_data (G_OBJECT (call), "test-given"));
      g_object_set_data_full (G_OBJECT (call), "test-given", &n_gone, gone_cb);
      outcome_wait (&outcome);
      while (n_gone < i)
        g_main_context_iteration (NULL, TRUE);
    }
}

/* A call that is made by nobody, or by somebody who settles it himself. */
static void
test_call_not_ours (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCall) orphan = g_object_new (AFRPC_TYPE_CALL, NULL);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) none = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));

  g_test_summary ("What no caller of the program's own was given is refused, and nothing else");
#define REFUSED(expression) \
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*assertion*"); \
  expression; \
  g_test_assert_expected_messages ()
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 1), NULL);
  REFUSED (afrpc_call_return_value (call, none, NULL));
  REFUSED (afrpc_call_report_progress (call, none));
  REFUSED (afrpc_call_cancel (orphan));
  REFUSED (g_assert_false (afrpc_call_cancel_unstarted (orphan)));
  REFUSED (afrpc_call_wait (orphan, NULL, outcome_cb, NULL));
  REFUSED (g_assert_null (afrpc_call_wait_sync (orphan, NULL, NULL)));
#undef REFUSED
  value = afrpc_call_wait_sync (call, NULL, NULL);
  g_assert_nonnull (value);
}

static void
test_call_bad_function (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("A function whose name cannot be sent fails its call alone");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  afrpc_call_options_set_function (options, "\xff\xfe");
  g_assert_null (afrpc_caller_call_full_sync (AFRPC_CALLER (watched.proxy), NULL, options, NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  value = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, NULL);
  g_assert_nonnull (value);
}

/* Cancels whatever comes by the pipe, until that is closed. */
static gpointer
cancel_each_thread (gpointer data)
{
  const int *fds = data;
  GCancellable *cancellable;

  while (read (fds[0], &cancellable, sizeof cancellable) == sizeof cancellable)
    {
      g_cancellable_cancel (cancellable);
      g_object_unref (cancellable);
    }

  return NULL;
}

static void
count_told_cb (GObject      *caller,
               GAsyncResult *result,
               gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (caller), result, &error);
  guint *n_told = data;

  if (value == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (++*n_told, ==, 1);
}

/* Two threads cancel calls while they are made, and while nobody runs the main context: what they do must come in
 * nobody's way. */
static void
test_call_cancelling_thread (void)
{
  const guint n_rounds = g_test_slow () ? 10000 : 500, n_calls = 100;
  g_auto(Watched) watched = { 0 };
  g_autofree guint *n_told = g_new0 (guint, n_rounds * n_calls);
  GThread *threads[2];
  int fds[2];

  g_test_summary ("Threads may cancel while nobody runs the main context, and are in nobody's way");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("cancel", cancel_each_thread, fds);
  for (guint i = 0; i < n_rounds; i++)
    {
      for (guint j = 0; j < n_calls; j++)
        {
          g_autoptr(GCancellable) cancellable = g_cancellable_new ();
          GCancellable *given = g_object_ref (cancellable);

          /* Also while the call is being made. */
          if (j % 4 == 0)
            g_assert_cmpint (write (fds[1], &given, sizeof given), ==, sizeof given);
          afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", j), cancellable, count_told_cb,
                             &n_told[i * n_calls + j]);
          if (j % 4 != 0)
            g_assert_cmpint (write (fds[1], &given, sizeof given), ==, sizeof given);
        }
      if (i % 4 == 0)
        g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, NULL));
      for (guint j = 0; j < 5; j++)
        g_main_context_iteration (NULL, FALSE);
    }
  close (fds[1]);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  close (fds[0]);
  for (guint i = 0; i < n_rounds * n_calls; i++)
    while (n_told[i] == 0)
      g_main_context_iteration (NULL, TRUE);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, NULL));
}

static void
test_call_many_functions (void)
{
  const guint n_max = 1023; /* besides that of the proxy */
  g_auto(Watched) watched = { 0 };

  g_test_summary ("One function more than a worker may be asked for fails alone");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < n_max + 10; i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autofree char *name = g_strdup_printf ("none-%u", i);
      g_autoptr(AfrpcCall) call = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_call_options_set_function (options, name);
      call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), NULL, options);
      g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, (int) (i < n_max ? AFRPC_ERROR_FUNCTION : AFRPC_ERROR_TOO_LARGE));
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
    }
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
}

static AfrpcCaller *interrupted; /* (nullable): whose blocking call is to be answered */

static gboolean
answer_cb (void)
{
  if (interrupted != NULL)
    afrpc_caller_call (g_steal_pointer (&interrupted), test_act ("release", NULL), NULL, NULL, NULL);

  return FALSE;
}

static void
test_call_interrupted (gconstpointer is_pool)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCaller) caller = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call that a handler of signals makes while another blocks is sent then");
  if (is_pool != NULL)
    caller = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                           "max-workers", 1, "load", 8, NULL);
  else
    caller = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC, NULL);
  result = afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_clear_pointer (&result, g_variant_unref);
  interrupted = caller;
  afrpc_call_options_set_timeout_ms (options, 10000); /* instead of for ever, where it is not */
  afrpc_call_set_interrupted_func (answer_cb);
  result = afrpc_caller_call_full_sync (caller, test_act ("keep", NULL), options, NULL, NULL, &error);
  afrpc_call_set_interrupted_func (NULL);
  g_assert_no_error (error);
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
}

static AfrpcCall *blocked;
static guint n_looks;

/* A signal comes behind this function, and before who blocks waits. */
static gboolean
miss_cb (void)
{
  if (++n_looks == 5)
    afrpc_call_cancel (blocked);

  return TRUE;
}

static void
test_call_interrupted_late (gconstpointer is_pool)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCaller) caller = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Signals are looked for that have interrupted nothing");
  caller = g_object_new (is_pool != NULL ? AFRPC_TYPE_POOL : AFRPC_TYPE_PROXY, "process", process, "function", "act", NULL);
  result = afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_clear_pointer (&result, g_variant_unref);
  afrpc_call_options_set_timeout_ms (options, 10000); /* instead of for ever, where they are not */
  call = blocked = afrpc_caller_start (caller, test_act ("hang", NULL), options);
  n_looks = 0;
  afrpc_call_set_interrupted_func (miss_cb);
  result = afrpc_call_wait_sync (call, NULL, &error);
  afrpc_call_set_interrupted_func (NULL);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  afrpc_caller_kill (caller);
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/call/metadata", test_call_metadata);
  g_test_add_func ("/call/metadata-limits", test_call_metadata_limits);
  g_test_add_func ("/call/options/frozen", test_call_options_frozen);
  g_test_add_func ("/call/options/combined", test_call_options_combined);
  g_test_add_func ("/call/execution-timeout", test_call_execution_timeout);
  g_test_add_func ("/call/timeout-says-why", test_call_timeout_says_why);
  g_test_add_func ("/call/kept", test_call_kept);
  g_test_add_func ("/call/finish-twice", test_call_finish_twice);
  g_test_add_func ("/call/foreign-results", test_call_foreign_results);
  g_test_add_func ("/call/foreign-wait", test_call_foreign_wait);
  g_test_add_func ("/call/wait-sync-cancelled", test_call_wait_sync_cancelled);
  g_test_add_func ("/call/incomplete", test_call_incomplete);
  g_test_add_func ("/call/callback-and-wait", test_call_callback_and_wait);
  g_test_add_func ("/call/given", test_call_given);
  g_test_add_func ("/call/not-ours", test_call_not_ours);
  g_test_add_func ("/call/bad-function", test_call_bad_function);
  g_test_add_func ("/call/many-functions", test_call_many_functions);
  g_test_add_func ("/call/cancelling-thread", test_call_cancelling_thread);

  g_test_add_data_func ("/call/interrupted", NULL, test_call_interrupted);
  g_test_add_data_func ("/call/interrupted-pool", GINT_TO_POINTER (TRUE), test_call_interrupted);
  g_test_add_data_func ("/call/interrupted-late", NULL, test_call_interrupted_late);
  g_test_add_data_func ("/call/interrupted-late-pool", GINT_TO_POINTER (TRUE), test_call_interrupted_late);

  return g_test_run ();
}
