/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers that do what no honest one does, as a program sees them: their calls settle, they are ended, and they make it
 * neither hang nor grow. */
#include "test-util.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether whoever writes is faster than the program: what is read from is not empty then. */
static gboolean is_slow;

/* That of the C library, replaced. */
ssize_t
recvmsg (int            fd,
         struct msghdr *message,
         int            flags)
{
  struct pollfd place = { fd, POLLIN, 0 };

  while (is_slow && poll (&place, 1, -1) < 0)
    ;

  return syscall (SYS_recvmsg, fd, message, flags);
}

static AfrpcProcess *
new_hostile (const char *how)
{
  AfrpcProcess *process = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_HOSTILE_HOST"));

  afrpc_process_setenv (process, "AFRPC_TEST_HOSTILE", how, TRUE);

  return process;
}

static void
watch_hostile (Watched    *watched,
               const char *how)
{
  g_autoptr(AfrpcProcess) process = new_hostile (how);

  watch_init (watched, afrpc_proxy_new (process, "f"));
}

static void
test_hostile_failed (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("A worker that says again and again that it cannot be prepared is ended");
  watch_hostile (&watched, "failed");
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcome);
  test_iterate_until (&watched.destroyed);
  g_assert_true (outcome.done);
  g_assert_nonnull (strstr (outcome.error->message, "no"));
  g_assert_cmpint (outcome.started, ==, AFRPC_STARTED_NO);
  g_assert_true (afrpc_exit_was_killed (watched.exit));
  test_assert_no_children ();
}

static void
test_hostile_deaf (void)
{
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  g_test_summary ("A worker that reads nothing any more, and lives on, is ended, and its calls were not started");
  watch_hostile (&watched, "deaf");
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_zeros (1 << 20), NULL, outcome_cb, &outcomes[i]);
  test_iterate_until (&watched.destroyed);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_assert_true (outcomes[i].done);
      g_assert_error (outcomes[i].error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
      g_assert_cmpint (outcomes[i].started, ==, AFRPC_STARTED_NO);
      outcome_clear (&outcomes[i]);
    }
  g_assert_true (afrpc_exit_was_killed (watched.exit));
  test_assert_no_children ();
}

static void
count_lines (const char     *domain,
             GLogLevelFlags  level,
             const char     *message,
             gpointer        n_lines)
{
  ++*(guint *) n_lines;
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  g_assert_not_reached ();
}

static void
test_hostile_progress (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint n_lines = 0, handler;

  g_test_summary ("However much progress of a call cannot be read, one line of the log says so");
  watch_hostile (&watched, "progress");
  handler = g_log_set_handler ("afrpc", G_LOG_LEVEL_MASK, count_lines, &n_lines);
  test_call_with_progress (watched.proxy, NULL, AFRPC_PROGRESS_ALL, progress_cb, NULL, NULL, NULL, outcome_cb,
                           &outcome);
  outcome_wait (&outcome);
  g_log_remove_handler ("afrpc", handler);
  g_assert_no_error (outcome.error);
  g_assert_cmpuint (n_lines, >, 0);
  g_assert_cmpuint (n_lines, <, 10);
}

/* Bytes of memory that the program has. */
static gsize
measure_memory (void)
{
  g_autofree char *text = NULL;
  unsigned long n_pages = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%*u %lu", &n_pages), ==, 1);

  return n_pages * sysconf (_SC_PAGESIZE);
}

#define KEPT_MAX (8u << 20) /* bytes */
#define MESSAGE (101u << 20) /* bytes: of a large one */

static void
count_events (AfrpcProxy   *proxy,
              AfrpcProcess *from,
              GVariant     *event,
              GUnixFDList  *fds,
              gpointer      n_events)
{
  ++*(guint *) n_events;
}

/* Sanitizers need more of it. */
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define MEASURES_MEMORY FALSE
#else
#define MEASURES_MEMORY TRUE
#endif

static void
test_hostile_flood (gconstpointer with)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  const gsize message = strcmp (with, "large") == 0 ? MESSAGE : 0;
  gsize before;
  guint n_fds, n_events = 0;

  g_test_summary ("What is kept while a call blocks has a bound, as large as it really is");
  watch_hostile (&watched, with);
  g_signal_connect (watched.proxy, "event", G_CALLBACK (count_events), &n_events);
  afrpc_proxy_set_max_bytes_queued (watched.proxy, KEPT_MAX);
  n_fds = test_count_fds ();
#ifdef __GLIBC__
  malloc_trim (0);
#endif
  before = measure_memory ();
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  /* What goes beyond the bound is one message, and what was read with it. */
  g_test_message ("%" G_GSIZE_FORMAT " bytes", measure_memory () - before);
  if (MEASURES_MEMORY)
    g_assert_cmpuint (measure_memory () - before, <, 2 * KEPT_MAX + message);
  g_assert_cmpuint (test_count_fds () - n_fds, <, 2048);
  g_assert_cmpuint (n_events, ==, 0);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  test_iterate_until (&watched.destroyed);
  g_assert_true (n_events > 0 || strcmp (with, "errors") == 0);
}

/* Returns: (transfer full): one of that type, which keeps no more than that, and takes no larger message */
static gpointer
new_bounded (GType         type,
             AfrpcProcess *process,
             const char   *function)
{
  return g_object_new (type, "process", process, "function", function, "max-bytes-queued", (guint64) KEPT_MAX,
                       "max-message-size", (guint64) KEPT_MAX, NULL);
}

/* Nor is the end waited for beyond the bound, of whichever of the two it is. */
static void
assert_end_refused (AfrpcProxy *proxy)
{
  g_autoptr(GError) closing = NULL;
  g_autoptr(GError) waiting = NULL;

  g_assert_false (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &closing));
  g_assert_error (closing, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_assert_null (afrpc_process_wait_sync (afrpc_proxy_get_process (proxy), NULL, &waiting));
  g_assert_error (waiting, AFRPC_ERROR, AFRPC_ERROR_BUSY);
}

static void
assert_bound (gsize before)
{
  g_test_message ("%" G_GSIZE_FORMAT " bytes, then %" G_GSIZE_FORMAT, before, measure_memory ());
  if (MEASURES_MEMORY)
    g_assert_cmpuint (measure_memory (), <, before + 4 * KEPT_MAX);
}

static void
test_hostile_flood_end (gconstpointer with)
{
  g_autoptr(AfrpcProcess) process = new_hostile (with);
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;
  gsize before;
  guint n_events = 0;

  g_test_summary ("So it has while the end is waited for: that fails, until the worker is killed");
  watch_init (&watched, new_bounded (AFRPC_TYPE_PROXY, process, "f"));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (count_events), &n_events);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcome);
  before = measure_memory ();
  assert_end_refused (watched.proxy);
  assert_bound (before);

  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  exit = afrpc_process_wait_sync (process, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (afrpc_exit_was_killed (exit));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (watched.proxy), NULL, &error));
  g_assert_cmpint (kill (afrpc_process_get_pid (process), 0), ==, -1);

  g_assert_cmpuint (n_events, ==, 0);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpuint (n_events, >, 0);
  g_assert_nonnull (outcome.error);
}

static void
assert_refused (AfrpcCaller *caller)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_caller_call_sync (caller, NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
}

/* Kills it as somebody else would, and waits until it is dead. */
static void
kill_from_outside (AfrpcProcess *process)
{
  const int pid = afrpc_process_get_pid (process);
  siginfo_t info;

  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  g_assert_cmpint (waitid (P_PID, pid, &info, WEXITED | WNOWAIT), ==, 0);
}

static void
test_hostile_flood_killed (gconstpointer with)
{
  g_autoptr(AfrpcProcess) process = new_hostile (with);
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Who only blocks sees the end of a worker that somebody else has killed beyond its bound");
  watch_init (&watched, new_bounded (AFRPC_TYPE_PROXY, process, "f"));
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_clear_error (&error);
  kill_from_outside (process);

  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &error));
  g_assert_false (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_BUSY));
  g_clear_error (&error);
  exit = afrpc_process_wait_sync (process, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  g_assert_false (afrpc_exit_was_killed (exit));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (watched.proxy), NULL, &error));
  test_iterate_until (&watched.destroyed);
}

static void
test_hostile_flood_kill (gconstpointer with)
{
  g_test_summary ("Who only blocks for a call gets its outcome once he has killed a worker beyond its bound");
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr(AfrpcProcess) process = new_hostile (with);
      g_auto(Watched) watched = { 0 };
      AfrpcCall *calls[2];

      watch_init (&watched, new_bounded (AFRPC_TYPE_PROXY, process, "f"));
      for (guint j = 0; j < G_N_ELEMENTS (calls); j++)
        calls[j] = afrpc_caller_start (AFRPC_CALLER (watched.proxy), NULL, NULL);
      assert_refused (AFRPC_CALLER (watched.proxy));
      afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
      for (guint j = 0; j < G_N_ELEMENTS (calls); j++)
        {
          g_autoptr(GError) error = NULL;

          g_assert_null (afrpc_call_wait_sync (calls[j], NULL, &error));
          g_assert_nonnull (error);
          g_assert_false (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_BUSY));
          g_object_unref (calls[j]);
        }
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (watched.proxy), NULL, NULL));
      test_iterate_until (&watched.destroyed);
    }
}

static void
test_hostile_killed_before (void)
{
  g_autoptr(AfrpcProcess) process = new_hostile ("small");
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "f");
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A signal that came too late is not what ended a worker");
  afrpc_proxy_set_max_bytes_queued (proxy, KEPT_MAX);
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, NULL));
  kill_from_outside (process);
  afrpc_caller_kill (AFRPC_CALLER (proxy));
  exit = afrpc_process_wait_sync (process, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  g_assert_false (afrpc_exit_was_killed (exit));
}

#define REST_MAX (64u << 20) /* bytes: what one that has ended has room for, besides a message */

static void
test_hostile_stray (void)
{
  g_autoptr(AfrpcProcess) process = new_hostile ("stray");
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  gsize before;
  guint n_events = 0;

  g_test_summary ("What another process writes after the worker's end is kept up to a bound while the thread is blocked");
  watch_init (&watched, new_bounded (AFRPC_TYPE_PROXY, process, "f"));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (count_events), &n_events);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcome);
  before = measure_memory ();
  is_slow = TRUE;
  assert_end_refused (watched.proxy);
  assert_bound (before + REST_MAX);

  /* The main loop tells it, and sees the end. */
  is_slow = FALSE;
  g_assert_cmpuint (n_events, ==, 0);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpuint (n_events, >, REST_MAX >> 16);
  g_assert_true (afrpc_exit_is_success (watched.exit));
  g_assert_nonnull (outcome.error);
  test_assert_no_children ();
}

/* Maps over four inputs. */
static void
take_all (AfrpcPool *pool)
{
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *call;
  guint n = 0;

  map = afrpc_pool_map_variant (pool, g_variant_new_parsed ("[1, 2, 3, 4]"), NULL, NULL, 0);
  for (; (call = afrpc_map_next_sync (map, NULL, &error)) != NULL; n++)
    {
      g_variant_unref (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_no_error (error);
      g_object_unref (call);
    }
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 4);
}

static void
test_hostile_flood_pool (void)
{
  g_autoptr(AfrpcProcess) hostile = new_hostile ("small");
  g_autoptr(AfrpcProcess) honest = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(GError) error = NULL;
  gsize before;
  guint n_events = 0;

  g_test_summary ("So it has in a pool, whose other workers are called meanwhile");
  afrpc_process_require (honest, TEST_WORKER);
  pool = new_bounded (AFRPC_TYPE_POOL, hostile, "echo");
  afrpc_pool_set_max_workers (pool, 1);
  g_signal_connect (pool, "event", G_CALLBACK (count_events), &n_events);
  before = measure_memory ();
  assert_refused (AFRPC_CALLER (pool));
  /* The only worker is not read from any more, and so gets nothing. */
  assert_refused (AFRPC_CALLER (pool));
  assert_bound (before);

  afrpc_pool_refresh (pool, honest);
  for (guint i = 0; i < 2000; i++)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_sync (AFRPC_CALLER (pool), NULL, NULL, &error);

      g_assert_no_error (error);
    }
  take_all (pool);
  assert_bound (before);

  g_assert_false (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_clear_error (&error);
  assert_bound (before);
  afrpc_caller_kill (AFRPC_CALLER (pool));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_events, ==, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_events, >, 0);
}

static void
test_hostile_flood_pool_killed (void)
{
  g_autoptr(AfrpcProcess) hostile = new_hostile ("small");
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(AfrpcPoolWorker) worker = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("So it is in a pool");
  pool = new_bounded (AFRPC_TYPE_POOL, hostile, "echo");
  afrpc_pool_set_max_workers (pool, 1);
  g_signal_connect (pool, "error", G_CALLBACK (test_ignore_cb), NULL);
  assert_refused (AFRPC_CALLER (pool));
  worker = g_list_model_get_item (afrpc_pool_get_workers (pool), 0);
  kill_from_outside (afrpc_pool_worker_get_process (worker));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_no_error (error);
}

static void
test_hostile_flood_map (void)
{
  g_autoptr(AfrpcProcess) hostile = new_hostile ("small");
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(GError) error = NULL;
  gsize before;

  g_test_summary ("So it has while a map is waited for, or the answers of all workers");
  pool = new_bounded (AFRPC_TYPE_POOL, hostile, "echo");
  afrpc_pool_set_max_workers (pool, 2);
  /* Each is weighed, and none of those that would replace them. */
  afrpc_pool_set_cancel_grace_ms (pool, 0);
  g_signal_connect (pool, "error", G_CALLBACK (test_ignore_cb), NULL);
  before = measure_memory ();
  map = afrpc_pool_map_variant (pool, g_variant_new_parsed ("[1, 2, 3, 4]"), NULL, NULL, 0);
  g_assert_null (afrpc_map_next_sync (map, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (afrpc_pool_call_all_sync (pool, NULL, NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_clear_error (&error);
  assert_bound (before);

  afrpc_caller_kill (AFRPC_CALLER (pool));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_no_error (error);
  g_clear_object (&map);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hostile/failed", test_hostile_failed);
  g_test_add_func ("/hostile/deaf", test_hostile_deaf);
  g_test_add_func ("/hostile/progress", test_hostile_progress);
  g_test_add_data_func ("/hostile/flood/large", "large", test_hostile_flood);
  g_test_add_data_func ("/hostile/flood/small", "small", test_hostile_flood);
  g_test_add_data_func ("/hostile/flood/errors", "errors", test_hostile_flood);
  g_test_add_data_func ("/hostile/flood/fds", "fds", test_hostile_flood);

  g_test_add_data_func ("/hostile/flood/end/small", "small", test_hostile_flood_end);
  g_test_add_data_func ("/hostile/flood/end/fds", "fds", test_hostile_flood_end);
  g_test_add_data_func ("/hostile/flood/killed/small", "small", test_hostile_flood_killed);
  g_test_add_data_func ("/hostile/flood/killed/fds", "fds", test_hostile_flood_killed);
  g_test_add_data_func ("/hostile/flood/kill/small", "small", test_hostile_flood_kill);
  g_test_add_data_func ("/hostile/flood/kill/fds", "fds", test_hostile_flood_kill);
  g_test_add_func ("/hostile/killed-before", test_hostile_killed_before);
  g_test_add_func ("/hostile/stray", test_hostile_stray);
  g_test_add_func ("/hostile/flood/pool", test_hostile_flood_pool);
  g_test_add_func ("/hostile/flood/pool/killed", test_hostile_flood_pool_killed);
  g_test_add_func ("/hostile/flood/map", test_hostile_flood_map);

  return g_test_run ();
}
