/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools whose workers are configured, those that there are and later ones. */
#include "pool-case.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <unistd.h>

static AfrpcCallOptions *
labelled (const char *label)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_label (options, label);

  return options;
}

static GVariant *
configure (const char *text)
{
  return test_act ("configure", g_variant_new_string (text));
}

typedef struct
{
  gboolean done;
  GError *error;
} Said;

static void
said_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Said *said = data;
  const gboolean is_configured = afrpc_pool_call_all_finish (AFRPC_POOL (source), result, &said->error);

  g_assert_false (said->done);
  g_assert_cmpint (is_configured, ==, said->error == NULL);
  said->done = TRUE;
}

static void
wait_said (Said *said)
{
  test_iterate_until (&said->done);
  g_assert_no_error (said->error);
}

static void
say (Case             *test,
     GVariant         *args,
     AfrpcCallOptions *options)
{
  Said said = { FALSE, NULL };

  afrpc_pool_call_all_async (test->pool, args, options, NULL, said_cb, &said);
  wait_said (&said);
}

/* What a worker that has it says. */
static void
assert_configured (Case       *test,
                   const char *expected)
{
  g_autoptr(AfrpcCall) call = start_act (test, "configuration", NULL);
  g_autoptr(GVariant) value = wait_value (call);

  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, expected);
}

/* The same of @n workers at once. */
static void
assert_all_configured (Case       *test,
                       guint       n,
                       const char *expected)
{
  AfrpcCall **calls = g_new (AfrpcCall *, n);
  g_autoptr(GHashTable) pids = g_hash_table_new (NULL, NULL);

  wait_idle (test, n);
  /* With a key each stays with its worker, however slow that is to begin it. */
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autofree char *key = g_strdup_printf ("%u", i);

      afrpc_call_options_set_affinity (options, key);
      calls[i] = start_act (test, "configuration", options);
    }
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(GVariant) value = wait_value (calls[i]);

      g_assert_cmpstr (g_variant_get_string (value, NULL), ==, expected);
      g_hash_table_add (pids, GINT_TO_POINTER (pid_of (calls[i])));
      g_object_unref (calls[i]);
    }
  if (!is_command ())
    g_assert_cmpuint (g_hash_table_size (pids), ==, n);
  g_free (calls);
}

static void
test_settings_all (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) other = labelled ("other");

  g_test_summary ("Workers that there are call it, and so does each later one, in the order in which it was said");
  case_init (&test, "act", "max-workers", 3, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  say (&test, configure ("a"), NULL);
  say (&test, configure ("b"), other);
  assert_all_configured (&test, 2, "ab");
  g_object_set (test.pool, "idle-workers", 3, NULL);
  assert_all_configured (&test, 3, "ab");
  afrpc_pool_refresh (test.pool, NULL);
  assert_all_configured (&test, 3, "ab");
  case_end (&test);
}

/* What the page on pools shows. */

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(GError) error = NULL;

  if (!afrpc_pool_call_all_finish (AFRPC_POOL (source), result, &error))
    g_warning ("not all workers have the configuration: %s", error->message);
  g_main_loop_quit (data);
}

static void
test_settings_shown (void)
{
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  Case test;
  AfrpcPool *pool;

  g_test_summary ("The calling of all workers that the page on pools shows");
  case_init (&test, "echo", "max-workers", 1, NULL);
  pool = test.pool;
  afrpc_call_options_set_function (options, "act");
  afrpc_pool_call_all_async (pool, configure ("a"), options, NULL, told_cb, loop);
  g_main_loop_run (loop);
  g_object_set (pool, "idle-workers", 1, NULL);
  wait_idle (&test, 1);
  case_end (&test);
}

static void
test_settings_none (void)
{
  Case test;
  g_autoptr(GError) error = NULL;
  Said said = { FALSE, NULL };

  g_test_summary ("Without any worker it is said at once, and the first one calls it before anything else");
  case_init (&test, "act", "max-workers", 1, NULL);
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, NULL, said_cb, &said);
  g_assert_false (said.done);
  wait_said (&said);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 0);
  assert_configured (&test, "a");
  case_end (&test);
}

static void
test_settings_replaced (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) x = labelled ("x");
  g_autoptr(AfrpcCallOptions) y = labelled ("y");

  g_test_summary ("What is said again by the same function and label replaces what was said, for later workers");
  case_init (&test, "act", "max-workers", 1, NULL);
  say (&test, configure ("0"), NULL);
  say (&test, configure ("1"), x);
  say (&test, configure ("2"), y);
  say (&test, configure ("3"), x);
  say (&test, configure ("4"), NULL);
  assert_configured (&test, "234");
  say (&test, configure ("5"), y);
  assert_configured (&test, "2345");
  g_assert_true (afrpc_pool_forget_call_all (test.pool, NULL, "x"));
  g_assert_false (afrpc_pool_forget_call_all (test.pool, NULL, "x"));
  g_assert_false (afrpc_pool_forget_call_all (test.pool, "echo", "y"));
  assert_configured (&test, "2345");
  afrpc_pool_refresh (test.pool, NULL);
  assert_configured (&test, "45");
  g_assert_true (afrpc_pool_forget_call_all (test.pool, "act", NULL));
  case_end (&test);
}

static void
test_settings_turn (void)
{
  Case test;
  Meeting meeting;
  Said said = { FALSE, NULL };
  g_autoptr(AfrpcCall) busy = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("A worker calls it after what it has, and gets nothing else until it has answered");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 10, NULL);
  busy = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, NULL, said_cb, &said);
  next = start_act (&test, "configuration", NULL);
  g_assert_null (afrpc_call_get_process (next));
  g_assert_false (said.done);
  meeting_let_go (&meeting);
  value = wait_value (next);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "a");
  wait_said (&said);
  g_clear_object (&busy);
  g_clear_object (&next);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_settings_refused (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = labelled ("mine");
  Said said = { FALSE, NULL };
  guint n;

  g_test_summary ("A worker that refuses it gets no more calls, and who has said it is told");
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  g_object_set (test.pool, "idle-workers", 0, NULL);
  n = test.errors->len;
  afrpc_pool_call_all_async (test.pool, test_act ("file-error", NULL), options, NULL, said_cb, &said);
  test_iterate_until (&said.done);
  g_assert_error (said.error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_true (g_str_has_prefix (said.error->message, "mine: "));
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 0);
  g_assert_cmpuint (test.errors->len, ==, n);
  g_assert_null (afrpc_pool_get_failure (test.pool));
  say (&test, configure ("a"), options);
  assert_configured (&test, "a");
  g_clear_error (&said.error);
  case_end (&test);
}

static void
test_settings_hopeless (void)
{
  Case test;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A later worker that refuses it is one that could not be prepared, and so many of them end the pool");
  case_init (&test, "act", "max-workers", 1, "max-failures", 3, NULL);
  say (&test, test_act ("file-error", NULL), NULL);
  call = start_act (&test, "return", NULL);
  error = wait_error (call);
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  g_assert_error (afrpc_pool_get_failure (test.pool), G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, configure ("a"), NULL, NULL, NULL));
  /* Each has said why. */
  while (test.errors->len < 3)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < 3; i++)
    {
      const GError *told = test.errors->pdata[i];

      g_assert_error (told, G_FILE_ERROR, G_FILE_ERROR_NOENT);
      g_assert_nonnull (strstr (told->message, "'act'"));
      g_assert_nonnull (strstr (told->message, ": what all workers are called with has failed: "));
    }
  g_ptr_array_set_size (test.errors, 0);
  g_assert_true (afrpc_pool_forget_call_all (test.pool, NULL, NULL));
  afrpc_pool_refresh (test.pool, NULL);
  assert_configured (&test, "");
  g_clear_object (&call);
  case_end (&test);
}

static void
test_settings_death (void)
{
  Case test;
  Said said = { FALSE, NULL };
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "died", NULL);

  g_test_summary ("Who dies of it is replaced, and whoever takes the place calls it again");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  wait_idle (&test, 1);
  afrpc_pool_call_all_async (test.pool, test_act ("die-once", g_variant_new_string (path)), NULL, NULL, said_cb, &said);
  wait_said (&said);
  assert_configured (&test, "again");
  g_assert_cmpuint (test.errors->len, ==, 1);
  case_end (&test);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_settings_sync (void)
{
  Case test;
  Meeting meeting;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) refused = NULL;
  g_autoptr(AfrpcCall) busy = NULL;
  GThread *thread;

  g_test_summary ("Who blocks until all have answered, or does not wait any longer");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  g_assert_true (afrpc_pool_call_all_sync (test.pool, configure ("a"), NULL, NULL, &error));
  g_assert_no_error (error);
  value = afrpc_caller_call_sync (caller_of (&test), test_act ("configuration", NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "a");
  busy = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, configure ("b"), NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  g_clear_error (&error);
  meeting_let_go (&meeting);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, test_act ("file-error", NULL), NULL, NULL, &refused));
  g_assert_error (refused, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_clear_object (&busy);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_settings_cancelled (void)
{
  Case test;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Said before = { FALSE, NULL };
  Said said = { FALSE, NULL };
  Meeting meeting;
  g_autoptr(AfrpcCall) busy = NULL;

  g_test_summary ("Who does not wait any longer has workers configured all the same; said too late, it was not said");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, NULL);
  busy = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, cancellable, said_cb, &said);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&said.done);
  g_assert_error (said.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  afrpc_pool_call_all_async (test.pool, configure ("b"), NULL, cancellable, said_cb, &before);
  test_iterate_until (&before.done);
  g_assert_error (before.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  meeting_let_go (&meeting);
  assert_configured (&test, "a");
  g_clear_error (&said.error);
  g_clear_error (&before.error);
  g_clear_object (&busy);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_settings_too_large (void)
{
  Case test;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) none = NULL;
  g_autoptr(GError) nowhere = NULL;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autofree char *name = g_strdup ("f\xff");

  g_test_summary ("What cannot be sent harms no worker, and is forgotten");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, g_variant_new ("(@ay)", test_zeros (129 << 20)), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  wait_idle (&test, 1);
  afrpc_call_options_set_function (options, name);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, configure ("a"), options, NULL, &nowhere));
  g_assert_error (nowhere, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  g_assert_false (afrpc_pool_forget_call_all (test.pool, name, NULL));
  g_assert_cmpuint (afrpc_pool_get_n_idle_workers (test.pool), ==, 1);
  assert_configured (&test, "");
  case_end (&test);
}

static void
test_settings_too_large_later (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) mine = labelled ("mine");
  g_autoptr(AfrpcCallOptions) other = labelled ("other");
  g_autoptr(AfrpcCallOptions) large = labelled ("mine");
  g_autofree char *much = g_strnfill (65 << 10, 'm');
  g_autoptr(GError) error = NULL;

  g_test_summary ("What cannot be sent leaves in its place what was said before it");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  say (&test, configure ("a"), mine);
  say (&test, configure ("b"), other);
  wait_idle (&test, 1);
  afrpc_call_options_set_metadata (large, g_variant_new_parsed ("{'much': <%s>}", much));
  g_assert_false (afrpc_pool_call_all_sync (test.pool, configure ("c"), large, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_true (g_str_has_prefix (error->message, "mine: "));
  assert_configured (&test, "ab");
  afrpc_pool_refresh (test.pool, NULL);
  assert_configured (&test, "ab");
  say (&test, configure ("d"), mine);
  afrpc_pool_refresh (test.pool, NULL);
  assert_configured (&test, "bd");
  g_assert_true (afrpc_pool_forget_call_all (test.pool, NULL, "mine"));
  g_assert_false (afrpc_pool_forget_call_all (test.pool, NULL, "mine"));
  case_end (&test);
}

static void
test_settings_end (void)
{
  Case test;
  Said closed = { FALSE, NULL };
  Said killed = { FALSE, NULL };
  Said late = { FALSE, NULL };

  g_test_summary ("A pool that is closed has it answered; one that is killed says so; afterwards nothing is said");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, NULL, said_cb, &closed);
  afrpc_caller_close (caller_of (&test));
  wait_said (&closed);
  case_end (&test);

  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  wait_idle (&test, 1);
  afrpc_pool_call_all_async (test.pool, test_act ("hang", NULL), NULL, NULL, said_cb, &killed);
  afrpc_caller_kill (caller_of (&test));
  test_iterate_until (&killed.done);
  g_assert_nonnull (killed.error);
  afrpc_pool_call_all_async (test.pool, configure ("b"), NULL, NULL, said_cb, &late);
  test_iterate_until (&late.done);
  g_assert_error (late.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_error (&killed.error);
  g_clear_error (&late.error);
  case_end (&test);
}

static void
test_settings_dropped (void)
{
  Case test;
  AfrpcPool *pool;

  g_test_summary ("A pool that is dropped before its workers have answered leaves nothing behind");
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  wait_idle (&test, 1);
  g_assert_true (afrpc_pool_forget_call_all (test.pool, NULL, NULL) == FALSE);
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, NULL, NULL, NULL);
  afrpc_pool_call_all_async (test.pool, test_act ("hang", NULL), NULL, NULL, NULL, NULL);
  /* Those who wait have the pool. */
  pool = g_steal_pointer (&test.pool);
  afrpc_caller_kill (AFRPC_CALLER (pool));
  g_object_unref (pool);
  test_iterate_until (&test.destroyed);
  wait_no_children ();
  g_ptr_array_unref (test.errors);
}

static void
test_settings_stuck (void)
{
  Case test;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  Said said = { FALSE, NULL };

  g_test_summary ("A worker that takes too long for it is ended");
  case_init (&test, "act", "max-workers", 1, "idle-workers", 1, NULL);
  wait_idle (&test, 1);
  g_object_set (test.pool, "idle-workers", 0, NULL);
  afrpc_call_options_set_timeout_ms (options, 50);
  afrpc_pool_call_all_async (test.pool, test_act ("say", test_act ("hang", NULL)), options, NULL, said_cb, &said);
  test_iterate_until (&said.done);
  g_assert_error (said.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 0);
  g_assert_true (afrpc_pool_forget_call_all (test.pool, NULL, NULL));
  assert_configured (&test, "");
  g_clear_error (&said.error);
  case_end (&test);
}

static void
nothing_more_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      data)
{
  guint *n = data;
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_pool_call_all_finish (AFRPC_POOL (source), result, &error));
  g_assert_no_error (error);
  ++*n;
  /* Whoever is told may run a main loop, and say more. */
  if (*n < 5)
    afrpc_pool_call_all_async (AFRPC_POOL (source), configure ("."), NULL, NULL, nothing_more_cb, n);
  while (*n < 5)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_settings_nested (void)
{
  Case test;
  guint n = 0;

  g_test_summary ("Whoever is told may run a main loop, and say more");
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, NULL);
  afrpc_pool_call_all_async (test.pool, configure ("."), NULL, NULL, nothing_more_cb, &n);
  iterate_until_count (&n, 5);
  case_end (&test);
}

static void
test_settings_async (void)
{
  Case test;
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  Said said = { FALSE, NULL };

  g_test_summary ("An async worker is configured before anything else, too");
  case_take (&test, AFRPC_POOL (g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                              AFRPC_BACKEND_ASYNC, "max-workers", 1, NULL)));
  afrpc_pool_call_all_async (test.pool, configure ("a"), NULL, NULL, said_cb, &said);
  wait_said (&said);
  assert_configured (&test, "a");
  said.done = FALSE;
  afrpc_pool_call_all_async (test.pool, configure ("b"), NULL, NULL, said_cb, &said);
  call = start_act (&test, "configuration", NULL);
  value = wait_value (call);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "ab");
  g_assert_true (said.done);
  g_clear_object (&call);
  case_end (&test);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-settings/all", test_settings_all);
  g_test_add_func ("/pool-settings/none", test_settings_none);
  g_test_add_func ("/pool-settings/shown", test_settings_shown);
  g_test_add_func ("/pool-settings/replaced", test_settings_replaced);
  g_test_add_func ("/pool-settings/turn", test_settings_turn);
  g_test_add_func ("/pool-settings/refused", test_settings_refused);
  g_test_add_func ("/pool-settings/hopeless", test_settings_hopeless);
  if (!is_command ())
    g_test_add_func ("/pool-settings/death", test_settings_death);
  g_test_add_func ("/pool-settings/sync", test_settings_sync);
  g_test_add_func ("/pool-settings/cancelled", test_settings_cancelled);
  g_test_add_func ("/pool-settings/too-large", test_settings_too_large);
  g_test_add_func ("/pool-settings/too-large-later", test_settings_too_large_later);
  g_test_add_func ("/pool-settings/end", test_settings_end);
  g_test_add_func ("/pool-settings/dropped", test_settings_dropped);
  g_test_add_func ("/pool-settings/stuck", test_settings_stuck);
  g_test_add_func ("/pool-settings/nested", test_settings_nested);
  g_test_add_func ("/pool-settings/async", test_settings_async);

  return g_test_run ();
}
