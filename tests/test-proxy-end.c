/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a proxy ends: its worker retires, or it is closed, or dropped. */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <unistd.h>

static const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };

static void
retired_cb (AfrpcProxy *proxy,
            GParamSpec *pspec,
            Watched    *watched)
{
  g_assert_true (afrpc_proxy_is_retired (proxy));
  g_string_append (watched->log, "retired ");
}

static void
test_proxy_end_retire (gconstpointer data)
{
  const AfrpcBackend backend = *(const AfrpcBackend *) data;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) first = { 0 }, second = { 0 }, third = { 0 };

  g_test_summary ("A proxy is told that its worker retires, once and in order, and goes on");
  watch_init (&watched, test_proxy_new (backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", backend));
  first.log = second.log = third.log = watched.log;
  g_signal_connect (watched.proxy, "notify::retired", G_CALLBACK (retired_cb), &watched);
  g_assert_false (afrpc_proxy_is_retired (watched.proxy));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", g_variant_new_uint32 (1)), NULL, outcome_cb, &first);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("retire", NULL), NULL, outcome_cb, &second);
  outcome_wait (&second);
  g_assert_true (afrpc_proxy_is_retired (watched.proxy));
  g_assert_false (afrpc_proxy_is_closed (watched.proxy));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("retire", NULL), NULL, outcome_cb, &third);
  outcome_wait (&third);
  g_assert_no_error (third.error);
  g_assert_cmpstr (watched.log->str, ==, "result 1; retired result true; result true; ");
}

static void
test_proxy_end_retire_blocking (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Who blocks sees at once that the worker has retired, and is told later");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_signal_connect (watched.proxy, "notify::retired", G_CALLBACK (retired_cb), &watched);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("retire", NULL), NULL,
                                                           &error);

      g_assert_no_error (error);
      g_assert_true (afrpc_proxy_is_retired (watched.proxy));
      g_assert_cmpstr (watched.log->str, ==, "");
    }
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "retired exited; destroyed; ");
}

static void
test_proxy_end_close (void)
{
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[5] = { 0 };

  g_test_summary ("Close finishes what is queued, even if the proxy is dropped; then comes destroyed");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 5; i++)
    {
      outcomes[i].log = watched.log;
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_uint32 (i), NULL, outcome_cb, &outcomes[i]);
    }
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  g_assert_true (afrpc_proxy_is_closed (watched.proxy));
  g_clear_object (&watched.proxy);
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==,
                   "result 0; result 1; result 2; result 3; result 4; "
                   "exited; destroyed; ");
  g_assert_true (afrpc_exit_is_success (watched.exit));
  for (guint i = 0; i < 5; i++)
    outcome_clear (&outcomes[i]);
  test_assert_no_children ();
}

static void
test_proxy_end_call_after_close (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A closed proxy refuses calls, before and after the end of its process");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  test_assert_works (watched.proxy);
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  test_assert_call_fails (watched.proxy, NULL, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the proxy is closed");
  test_assert_call_fails (watched.proxy, NULL, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "' running 'act' of '");
  watch_end (&watched);
  test_assert_call_fails (watched.proxy, NULL, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the proxy is closed");
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
}

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error));
  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

static void
close_cancelled_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      data)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  *(gboolean *) data = TRUE;
}

static void
test_proxy_end_close_async (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  gboolean cancelled = FALSE, closed = FALSE, again = FALSE;

  g_test_summary ("close_async waits for the end; cancelling stops only the waiting");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  afrpc_caller_close_async (AFRPC_CALLER (watched.proxy), cancellable, close_cancelled_cb, &cancelled);
  afrpc_caller_close_async (AFRPC_CALLER (watched.proxy), NULL, closed_cb, &closed);
  g_cancellable_cancel (cancellable);
  test_iterate_until (&cancelled);
  test_iterate_until (&closed);
  test_assert_no_children ();
  afrpc_caller_close_async (AFRPC_CALLER (watched.proxy), NULL, closed_cb, &again);
  test_iterate_until (&again);
}

static void
exited_flag_cb (AfrpcProcess *process,
                AfrpcExit    *exit,
                gboolean     *exited)
{
  g_assert_true (afrpc_exit_is_success (exit));
  *exited = TRUE;
}

static void
test_proxy_end_drop (void)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (dir, "touched", NULL);
  AfrpcProxy *proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  gboolean exited = FALSE;

  g_test_summary ("A proxy that is dropped without closing has everything executed");
  g_signal_connect (afrpc_proxy_get_process (proxy), "exited", G_CALLBACK (exited_flag_cb), &exited);
  afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("touch", g_variant_new_string (file)), NULL, NULL, NULL);
  g_object_unref (proxy);
  test_iterate_until (&exited);
  g_assert_cmpint (g_unlink (file), ==, 0);
  g_rmdir (dir);
  test_assert_no_children ();
}

static void
test_proxy_end_drop_thread (void)
{
  AfrpcProxy *proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  gboolean exited = FALSE;

  g_test_summary ("The last reference may be dropped on another thread");
  g_signal_connect (afrpc_proxy_get_process (proxy), "exited", G_CALLBACK (exited_flag_cb), &exited);
  test_assert_works (proxy);
  g_thread_join (g_thread_new ("drop", drop_thread, proxy));
  test_iterate_until (&exited);
  test_assert_no_children ();
}

static void
test_proxy_end_done (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  int fds[2];
  char buffer[16] = "";

  g_test_summary ("A done function is called at the end");
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_send_fd (process, fds[1]);
  close (fds[1]);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "done", "done_note", NULL));
  watch_end (&watched);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 4);
  g_assert_cmpstr (buffer, ==, "done");
  close (fds[0]);
}

static void
exit_flag_cb (AfrpcProcess *process,
              AfrpcExit    *exit,
              gboolean     *exited)
{
  g_assert_cmpint (afrpc_exit_get_status (exit), ==, 5);
  *exited = TRUE;
}

static void
test_proxy_end_done_lives_on (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  gboolean destroyed = FALSE, exited = FALSE;
  int fds[2];
  char buffer[16] = "";

  g_test_summary ("An async worker's done function may keep the process working after the proxy's end");
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_send_fd (process, fds[1]);
  close (fds[1]);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC, "done",
                        "done_live_on", NULL);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_atomic_int_inc), &destroyed);
  g_signal_connect (process, "exited", G_CALLBACK (exit_flag_cb), &exited);
  test_assert_works (proxy);
  afrpc_caller_close (AFRPC_CALLER (proxy));
  test_iterate_until (&destroyed);
  test_iterate_until (&exited);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 8);
  close (fds[0]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/proxy-end/retire/sync", &backends[0], test_proxy_end_retire);
  g_test_add_data_func ("/proxy-end/retire/async", &backends[1], test_proxy_end_retire);
  g_test_add_func ("/proxy-end/retire/blocking", test_proxy_end_retire_blocking);
  g_test_add_func ("/proxy-end/close", test_proxy_end_close);
  g_test_add_func ("/proxy-end/close/call-after", test_proxy_end_call_after_close);
  g_test_add_func ("/proxy-end/close/async", test_proxy_end_close_async);
  g_test_add_func ("/proxy-end/drop", test_proxy_end_drop);
  g_test_add_func ("/proxy-end/drop/thread", test_proxy_end_drop_thread);

  /* They need a file descriptor of the program's. */
  if (g_getenv ("AFRPC_TEST_COMMAND") == NULL)
    {
      g_test_add_func ("/proxy-end/done", test_proxy_end_done);
      g_test_add_func ("/proxy-end/done/lives-on", test_proxy_end_done_lives_on);
    }

  return g_test_run ();
}
