/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A place where a worker's function waits until the test lets it go on: a named pipe. */
typedef struct
{
  char *dir;
  char *path;
  char *touched;
} Meeting;

static void
meeting_init (Meeting *meeting)
{
  meeting->dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  meeting->path = g_build_filename (meeting->dir, "meet", NULL);
  meeting->touched = g_build_filename (meeting->dir, "touched", NULL);
  g_assert_cmpint (mkfifo (meeting->path, 0600), ==, 0);
}

static GVariant *
meeting_args (Meeting *meeting)
{
  return test_act ("meet", g_variant_new_string (meeting->path));
}

static void
meeting_let_go (Meeting *meeting)
{
  close (open (meeting->path, O_WRONLY | O_CLOEXEC));
}

static void
meeting_clear (Meeting *meeting)
{
  g_unlink (meeting->touched);
  g_unlink (meeting->path);
  g_rmdir (meeting->dir);
  g_free (meeting->touched);
  g_free (meeting->path);
  g_free (meeting->dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Meeting, meeting_clear)

static void
wait_events (Watched *watched,
             guint    n)
{
  while (watched->n_events < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_cancel_before (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;

  g_test_summary ("A cancellable that is cancelled already stops the call");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_cancellable_cancel (cancellable);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, cancellable, outcome_cb, &outcome);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (watched.proxy), ==, 0);
}

static void
test_cancel_queued (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  g_auto(Meeting) meeting = { 0 };
  g_auto(Outcome) first = { 0 };
  g_auto(Outcome) second = { 0 };
  g_auto(Outcome) third = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("A call that is cancelled before the worker starts it never runs; its neighbours do");
  meeting_init (&meeting);
  watch_init (&watched, test_proxy_new (backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", backend));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), meeting_args (&meeting), NULL, outcome_cb, &first);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("touch", g_variant_new_string (meeting.touched)), cancellable, outcome_cb, &second);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &third);
  wait_events (&watched, 1);

  g_cancellable_cancel (cancellable);
  outcome_wait (&second);
  g_assert_error (second.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (first.done);
  meeting_let_go (&meeting);
  outcome_wait (&third);
  g_assert_no_error (first.error);
  g_assert_no_error (third.error);
  g_assert_false (g_file_test (meeting.touched, G_FILE_TEST_EXISTS));
  g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (watched.proxy), ==, 0);
}

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->done);
  outcome->done = TRUE;
  outcome->value = afrpc_call_wait_finish (AFRPC_CALL (source), result, &outcome->error);
}

static void
test_cancel_call (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  g_auto(Meeting) meeting = { 0 };
  g_auto(Outcome) first = { 0 };
  g_auto(Outcome) second = { 0 };
  g_auto(Outcome) third = { 0 };
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("A call is cancelled by its handle; its neighbours are not");
  meeting_init (&meeting);
  watch_init (&watched, test_proxy_new (backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", backend));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), meeting_args (&meeting), NULL, outcome_cb, &first);
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("touch", g_variant_new_string (meeting.touched)),
                             NULL);
  afrpc_call_wait (call, NULL, waited_cb, &second);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &third);
  wait_events (&watched, 1);

  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_UNKNOWN);
  afrpc_call_cancel (call);
  afrpc_call_cancel (call);
  g_assert_true (afrpc_call_is_settled (call));
  g_assert_false (second.done);
  outcome_wait (&second);
  g_assert_error (second.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* Over a command, or without shared memory, nobody can tell. */
  if (backend == AFRPC_BACKEND_SYNC)
    g_assert_cmpint (afrpc_call_get_started (call), ==,
                     g_getenv ("AFRPC_TEST_COMMAND") != NULL || g_getenv ("AFRPC_TEST_FRAMES") != NULL ?
                       AFRPC_STARTED_UNKNOWN : AFRPC_STARTED_NO);
  g_assert_false (first.done);
  meeting_let_go (&meeting);
  outcome_wait (&third);
  g_assert_no_error (first.error);
  g_assert_no_error (third.error);
  g_assert_false (backend == AFRPC_BACKEND_SYNC && g_file_test (meeting.touched, G_FILE_TEST_EXISTS));
  g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (watched.proxy), ==, 0);
}

static void
test_cancel_call_twice (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcCall) call = NULL;

  g_test_summary ("A call that is cancelled by hand and by a cancellable is cancelled once");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), NULL);
  wait_events (&watched, 1);
  g_cancellable_cancel (cancellable);
  g_assert_null (afrpc_call_wait_sync (call, cancellable, &error));
  afrpc_call_cancel (call);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; event 'cancelled'; exited; destroyed; ");
}

static void
count_cancelled_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      n_cancelled)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ++*(guint *) n_cancelled;
}

/* More than fit in any place that tells of them. Where messages alone do, and the worker waits for none of them, as many as
 * fit in the socket with those. */
#define MANY 20000u
#define FEW 200u

static void
test_cancel_many (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  g_auto(Meeting) meeting = { 0 };
  g_auto(Outcome) first = { 0 };
  g_auto(Outcome) last = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GCancellable) first_cancellable = g_cancellable_new ();
  const gboolean has_messages = g_getenv ("AFRPC_TEST_COMMAND") != NULL || g_getenv ("AFRPC_TEST_FRAMES") != NULL;
  const guint n = backend == AFRPC_BACKEND_ASYNC && has_messages ? FEW : MANY;
  guint n_cancelled = 0;

  g_test_summary ("Of many calls that are cancelled before the worker starts them none is run");
  meeting_init (&meeting);
  watch_init (&watched, test_proxy_new (backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", backend));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy),
                    backend == AFRPC_BACKEND_SYNC ? test_act ("until-cancelled", NULL) : meeting_args (&meeting),
                    first_cancellable, outcome_cb, &first);
  for (guint i = 0; i < n; i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("it was run")), cancellable,
                      count_cancelled_cb, &n_cancelled);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &last);
  wait_events (&watched, 1);

  g_cancellable_cancel (cancellable);
  while (n_cancelled < n || g_main_context_pending (NULL))
    g_main_context_iteration (NULL, TRUE);
  /* Behind all the others, if that is what tells of them. */
  g_cancellable_cancel (first_cancellable);
  if (backend == AFRPC_BACKEND_ASYNC)
    meeting_let_go (&meeting);
  outcome_wait (&last);
  g_assert_no_error (last.error);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, backend == AFRPC_BACKEND_SYNC
                                           ? "event 'here'; event 'cancelled'; exited; destroyed; "
                                           : "event 'here'; exited; destroyed; ");
}

static void
test_cancel_running_sync (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("A sync function that runs can look whether its call was cancelled");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), cancellable, outcome_cb, &outcome);
  wait_events (&watched, 1);
  g_cancellable_cancel (cancellable);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; event 'cancelled'; exited; destroyed; ");
}

static void
test_cancel_running_async (gconstpointer what)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_auto(Outcome) other = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("An async function sees it on its invocation, whoever has looked at that before");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("connect", NULL), NULL, outcome_cb, &before);
  outcome_wait (&before);
  g_assert_no_error (before.error);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act (what, NULL), cancellable, outcome_cb, &outcome);
  wait_events (&watched, 1);
  g_cancellable_cancel (cancellable);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  wait_events (&watched, 2);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &other);
  outcome_wait (&other);
  g_assert_no_error (other.error);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; event 'cancelled'; ");
}

static void
test_cancel_closed_sync (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) waiting = { 0 };
  g_auto(Outcome) other = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("What runs when a proxy is closed can be cancelled, what waits does not begin then, and the rest is done");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), cancellable, outcome_cb, &running);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("it was run")), cancellable,
                     outcome_cb, &waiting);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &other);
  wait_events (&watched, 1);
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  /* Now it has been written that it is closed. */
  while (g_main_context_iteration (NULL, FALSE))
    ;

  g_cancellable_cancel (cancellable);
  outcome_wait (&running);
  outcome_wait (&waiting);
  outcome_wait (&other);
  g_assert_error (running.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_error (waiting.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_no_error (other.error);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 'here'; event 'cancelled'; exited; destroyed; ");
}

static void
test_cancel_closed_async (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) one = { 0 };
  g_auto(Outcome) other = { 0 };
  g_autoptr(GCancellable) first = g_cancellable_new ();
  g_autoptr(GCancellable) last = g_cancellable_new ();

  g_test_summary ("Each of the calls that run when a proxy is closed can be cancelled");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("wait-cancelled", NULL), first, outcome_cb, &one);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("wait-cancelled", NULL), last, outcome_cb, &other);
  wait_events (&watched, 2);
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  while (g_main_context_iteration (NULL, FALSE))
    ;

  g_cancellable_cancel (first);
  outcome_wait (&one);
  g_assert_error (one.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  wait_events (&watched, 3);
  g_assert_false (other.done);
  g_cancellable_cancel (last);
  outcome_wait (&other);
  g_assert_error (other.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==,
                   "event 'here'; event 'here'; event 'cancelled'; event 'cancelled'; exited; destroyed; ");
}

static void
test_cancel_thread (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  GThread *thread;

  g_test_summary ("Another thread may cancel");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), cancellable, outcome_cb, &outcome);
  wait_events (&watched, 1);
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  outcome_wait (&outcome);
  g_thread_join (thread);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_cancel_late (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  g_test_summary ("A cancel that comes after the result changes nothing");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), cancellable, outcome_cb, &outcome);
  outcome_wait (&outcome);
  g_cancellable_cancel (cancellable);
  g_assert_no_error (outcome.error);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_cancel_sync_call (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_auto(Meeting) meeting = { 0 };
  GThread *thread;

  g_test_summary ("A blocking call can be cancelled by another thread");
  meeting_init (&meeting);
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), cancellable, &error));
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", g_variant_new_string ("x")), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (result, NULL), ==, "x");
}

static void
test_timeout (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) late = { 0 };
  g_auto(Outcome) default_late = { 0 };
  g_auto(Outcome) fine = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call fails when its own time limit, or the proxy's, has passed; others do not");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("keep", NULL), NULL, outcome_cb, &fine);
  afrpc_proxy_set_call_timeout_ms (watched.proxy, 30);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("wait-cancelled", NULL), NULL, outcome_cb, &default_late);
  test_call_with_timeout (watched.proxy, test_act ("wait-cancelled", NULL), 20, NULL,
                                 (GAsyncReadyCallback) outcome_cb, &late);
  outcome_wait (&default_late);
  g_assert_error (default_late.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_true (late.done);
  g_assert_error (late.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("wait-cancelled", NULL), NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_false (fine.done);
  afrpc_proxy_set_call_timeout_ms (watched.proxy, 0);
  g_variant_unref (test_call (watched.proxy, test_act ("release", NULL), NULL));
  g_assert_true (fine.done);
  g_assert_no_error (fine.error);
}

static void
test_timeout_many (void)
{
  g_auto(Watched) watched = { 0 };
  const guint n = 5000;
  g_autofree Outcome *outcomes = g_new0 (Outcome, n);

  g_test_summary ("Thousands of time limits pass, in any order");
  watch_init (&watched, test_proxy_new ("act_async", AFRPC_BACKEND_ASYNC));
  for (guint i = 0; i < n; i++)
    test_call_with_timeout (watched.proxy, test_act ("later", g_variant_new_uint32 (600000)), 1 + i * 7919 % 50, NULL,
                            outcome_cb, &outcomes[i]);
  for (guint i = 0; i < n; i++)
    {
      outcome_wait (&outcomes[i]);
      g_assert_error (outcomes[i].error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
      outcome_clear (&outcomes[i]);
    }
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
}

static void
test_timeout_before_ready (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec ("/bin/sleep");
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("A time limit also counts while the worker gets ready");
  afrpc_process_set_stderr (process, AFRPC_STDIO_SILENCE);
  afrpc_process_take_stdin_fd (process, open ("/dev/null", O_RDONLY | O_CLOEXEC));
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  test_call_with_timeout (watched.proxy, NULL, 1, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  g_assert_nonnull (outcome.error);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
}

/* Blocking calls */

static void
test_sync_call (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) after = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("What arrives during a blocking call is delivered afterwards, in order, from the context");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  before.log = after.log = watched.log;
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("a")), NULL, outcome_cb, &before);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("b")), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (watched.log->str, ==, "");
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_string ("c")), NULL, outcome_cb, &after);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 'a'; result true; event 'b'; event 'c'; result true; exited; destroyed; ");
}

static void
test_sync_call_flood (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("Events during a blocking call are bounded");
  watch_init (&watched, test_proxy_new ("count", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  afrpc_proxy_set_max_bytes_queued (watched.proxy, 100000);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 5000), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_clear_error (&error);
  watch_end (&watched);
  g_assert_cmpuint (watched.n_events, ==, 5000);
}

static void
test_sync_call_dies (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) other = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A worker that dies during a blocking call fails it; the rest is told by the context");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("die-saying", g_variant_new_uint32 (3)), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_nonnull (strstr (error->message, "exited with status 3: the last words"));
  g_assert_false (watched.destroyed);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &other);
  outcome_wait (&other);
  g_assert_nonnull (other.error);
  watch_end (&watched);
  g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/cancel/before", test_cancel_before);
  g_test_add_data_func ("/cancel/queued/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_cancel_queued);
  g_test_add_data_func ("/cancel/queued/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_cancel_queued);
  g_test_add_data_func ("/cancel/call/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_cancel_call);
  g_test_add_data_func ("/cancel/call/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_cancel_call);
  g_test_add_func ("/cancel/call/twice", test_cancel_call_twice);
  g_test_add_data_func ("/cancel/many/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_cancel_many);
  /* Over a command a worker that does not look has to be told too late. */
  if (g_getenv ("AFRPC_TEST_COMMAND") == NULL)
    g_test_add_data_func ("/cancel/many/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_cancel_many);
  g_test_add_func ("/cancel/running/sync", test_cancel_running_sync);
  g_test_add_data_func ("/cancel/running/async", "wait-cancelled", test_cancel_running_async);
  g_test_add_data_func ("/cancel/running/signal", "wait-signal", test_cancel_running_async);
  g_test_add_func ("/cancel/closed/sync", test_cancel_closed_sync);
  g_test_add_func ("/cancel/closed/async", test_cancel_closed_async);
  g_test_add_func ("/cancel/thread", test_cancel_thread);
  g_test_add_func ("/cancel/late", test_cancel_late);
  g_test_add_func ("/cancel/sync-call", test_cancel_sync_call);
  g_test_add_func ("/timeout/limits", test_timeout);
  g_test_add_func ("/timeout/many", test_timeout_many);
  g_test_add_func ("/timeout/before-ready", test_timeout_before_ready);
  g_test_add_func ("/sync-call/order", test_sync_call);
  g_test_add_func ("/sync-call/flood", test_sync_call_flood);
  g_test_add_func ("/sync-call/dies", test_sync_call_dies);

  return g_test_run ();
}
