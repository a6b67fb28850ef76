/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The progress of one call. */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_WORKER (g_getenv ("AFRPC_TEST_MESSAGE_WORKER"))

static AfrpcProxy *
new_proxy (const char   *function,
           AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();

  afrpc_process_require (process, MESSAGE_WORKER);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

typedef struct
{
  guint32 last;      /* what came last */
  guint n;           /* how often */
  gboolean in_order; /* each larger than the one before */
  gboolean dropped;  /* the data */
  gboolean late;     /* it came after the result */
  GCancellable *cancellable; /* (nullable): to be cancelled at the third */
  Outcome outcome;
} Progress;

static void
progress_cb (AfrpcCall *call,
             GVariant  *value,
             gpointer   data)
{
  Progress *progress = data;
  guint32 number = g_variant_get_uint32 (value);

  progress->in_order = progress->in_order && number > progress->last;
  progress->late = progress->late || progress->outcome.done;
  progress->last = number;
  progress->n++;
  if (progress->n == 3 && progress->cancellable != NULL)
    g_cancellable_cancel (progress->cancellable);
}

static void
drop_cb (gpointer data)
{
  ((Progress *) data)->dropped = TRUE;
}

static void
start (Progress          *progress,
       AfrpcProxy        *proxy,
       guint32            n,
       AfrpcProgressMode  mode)
{
  progress->in_order = TRUE;
  test_call_with_progress (proxy, g_variant_new ("(u)", n), mode, progress_cb, progress, drop_cb,
                                  progress->cancellable, outcome_cb, &progress->outcome);
}

static void
test_progress_all (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  Progress progress[3] = { { 0 } };

  g_test_summary ("All progress arrives, in order, before its call's result");
  watch_init (&watched, new_proxy (backend == AFRPC_BACKEND_SYNC ? "count_up" : "count_up_async", backend));
  for (guint i = 0; i < 3; i++)
    start (&progress[i], watched.proxy, 50000, AFRPC_PROGRESS_ALL);
  for (guint i = 0; i < 3; i++)
    {
      outcome_wait (&progress[i].outcome);
      g_assert_no_error (progress[i].outcome.error);
      g_assert_cmpuint (progress[i].n, ==, 50000);
      g_assert_true (progress[i].in_order && progress[i].dropped && !progress[i].late);
      outcome_clear (&progress[i].outcome);
    }
}

static void
test_progress_interleaved (void)
{
  g_auto(Watched) watched = { 0 };
  Progress progress[10] = { { 0 } };

  g_test_summary ("Each call gets its own progress, whatever others are under way");
  watch_init (&watched, new_proxy ("interleave_async", AFRPC_BACKEND_ASYNC));
  for (guint i = 0; i < G_N_ELEMENTS (progress); i++)
    start (&progress[i], watched.proxy, G_N_ELEMENTS (progress), AFRPC_PROGRESS_ALL);
  for (guint i = 0; i < G_N_ELEMENTS (progress); i++)
    {
      outcome_wait (&progress[i].outcome);
      g_assert_no_error (progress[i].outcome.error);
      g_assert_cmpuint (g_variant_get_uint32 (progress[i].outcome.value), ==, i);
      g_assert_cmpuint (progress[i].n, ==, 4);
      g_assert_true (progress[i].in_order && progress[i].dropped && !progress[i].late);
      outcome_clear (&progress[i].outcome);
    }
}

static void
test_progress_unwanted (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GVariant) sync_result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call that did not ask for progress gets none, and nothing is sent");
  watch_init (&watched, new_proxy (backend == AFRPC_BACKEND_SYNC ? "count_up" : "count_up_async", backend));
  result = test_call (watched.proxy, g_variant_new ("(u)", 1000), &error);
  g_assert_no_error (error);
  sync_result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 1000), NULL, &error);
  g_assert_no_error (error);
}

static void
test_progress_latest (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  const guint n = 200000;
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  Progress progress = { 0 };
  int fds[2];
  char byte;

  g_test_summary ("A program that does not read is not waited for, and gets the latest progress and the result");
  afrpc_process_require (process, MESSAGE_WORKER);
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_send_fd (process, fds[1]);
  close (fds[1]);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                                      backend == AFRPC_BACKEND_SYNC ? "count_up" : "count_up_async", "backend", backend, NULL));
  g_variant_unref (test_call (watched.proxy, g_variant_new ("(u)", 0), NULL));
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  start (&progress, watched.proxy, n, AFRPC_PROGRESS_LATEST);
  g_main_context_iteration (NULL, FALSE);
  /* The function comes to its end without us. */
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  close (fds[0]);

  outcome_wait (&progress.outcome);
  g_assert_no_error (progress.outcome.error);
  g_assert_cmpuint (progress.last, ==, n);
  g_assert_cmpuint (progress.n, <, n);
  g_assert_true (progress.in_order && progress.dropped && !progress.late);
  outcome_clear (&progress.outcome);
}

static void
test_progress_cancel (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  Progress progress = { .cancellable = cancellable };

  g_test_summary ("No progress comes once the call is settled, whatever the worker says");
  watch_init (&watched, new_proxy (backend == AFRPC_BACKEND_SYNC ? "count_up" : "count_up_async", backend));
  start (&progress, watched.proxy, 20000, AFRPC_PROGRESS_ALL);
  outcome_wait (&progress.outcome);
  g_assert_error (progress.outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (progress.dropped);
  result = test_call (watched.proxy, g_variant_new ("(u)", 5), &error);
  g_assert_no_error (error);
  g_assert_false (progress.late);
  outcome_clear (&progress.outcome);
}

static void
test_progress_cancel_at_once (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Progress progress = { .cancellable = cancellable };

  g_test_summary ("Cancelled is cancelled, also if more progress and the result have arrived");
  watch_init (&watched, new_proxy ("count_up_async", AFRPC_BACKEND_ASYNC));
  /* All of it comes in one piece. */
  start (&progress, watched.proxy, 5, AFRPC_PROGRESS_ALL);
  outcome_wait (&progress.outcome);
  g_assert_error (progress.outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (progress.n, ==, 3);
  outcome_clear (&progress.outcome);
}

static void
test_progress_sync_call (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  Progress progress = { 0 };

  g_test_summary ("What arrives during a blocking call is delivered in order afterwards");
  watch_init (&watched, new_proxy ("count_up", AFRPC_BACKEND_SYNC));
  start (&progress, watched.proxy, 100, AFRPC_PROGRESS_ALL);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 1), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (progress.n, ==, 0);
  outcome_wait (&progress.outcome);
  g_assert_cmpuint (progress.n, ==, 100);
  g_assert_true (progress.in_order && progress.dropped && !progress.late);
  outcome_clear (&progress.outcome);
}

static void
test_progress_refused (void)
{
  g_auto(Watched) watched = { 0 };
  Progress progress = { 0 };
  guint n = 0;

  g_test_summary ("A call that cannot be made drops what came with it, too");
  watch_init (&watched, new_proxy ("count_up", AFRPC_BACKEND_SYNC));
  afrpc_caller_close (AFRPC_CALLER (watched.proxy));
  start (&progress, watched.proxy, 1, AFRPC_PROGRESS_ALL);
  outcome_wait (&progress.outcome);
  g_assert_error (progress.outcome.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  while (!progress.dropped && n++ < 100)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (progress.dropped);
  outcome_clear (&progress.outcome);
}

static void
count_cb (AfrpcCall *call,
          GVariant  *value,
          gpointer   data)
{
  g_assert_cmpuint (g_variant_get_size (value), ==, 1000);
  ++*(guint *) data;
}

static void
test_progress_too_large (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  guint n = 0;

  g_test_summary ("Progress over the limit is not sent, which the worker's log says, and the call goes on");
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (process, MESSAGE_WORKER);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "large_progress",
                                      "max-message-size", G_GUINT64_CONSTANT (1000), NULL));
  for (guint32 size = 1000; size <= 1001; size++)
    {
      g_auto(Outcome) outcome = { 0 };

      test_call_with_progress (watched.proxy, g_variant_new ("(u)", size), AFRPC_PROGRESS_ALL, count_cb, &n, NULL,
                                      NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      g_assert_no_error (outcome.error);
    }
  g_assert_cmpuint (n, ==, 1);
  watch_end (&watched);
  g_assert_nonnull (strstr (afrpc_exit_get_stderr (watched.exit), "too large"));
}

int
main (int    argc,
      char **argv)
{
  const gpointer backends[] = { GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC) };

  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/progress/all/sync", backends[0], test_progress_all);
  g_test_add_data_func ("/progress/all/async", backends[1], test_progress_all);
  g_test_add_func ("/progress/interleaved", test_progress_interleaved);
  g_test_add_data_func ("/progress/unwanted/sync", backends[0], test_progress_unwanted);
  g_test_add_data_func ("/progress/unwanted/async", backends[1], test_progress_unwanted);
  g_test_add_data_func ("/progress/latest/sync", backends[0], test_progress_latest);
  g_test_add_data_func ("/progress/latest/async", backends[1], test_progress_latest);
  g_test_add_data_func ("/progress/cancel/sync", backends[0], test_progress_cancel);
  g_test_add_data_func ("/progress/cancel/async", backends[1], test_progress_cancel);
  g_test_add_func ("/progress/cancel/at-once", test_progress_cancel_at_once);
  g_test_add_func ("/progress/sync-call", test_progress_sync_call);
  g_test_add_func ("/progress/refused", test_progress_refused);
  g_test_add_func ("/progress/too-large", test_progress_too_large);

  return g_test_run ();
}
