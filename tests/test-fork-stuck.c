/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is forked from a template that does not answer, and is killed. */
#include "test-util.h"

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_MANY 300
#define MANY_ITERATIONS (10 * N_MANY) /* a loop that spins makes as many in no time */

/* Returns: (transfer full): one that is stopped, and goes on if it is told to. Something may be forked before. */
static AfrpcProcess *
stuck_template_new (void)
{
  AfrpcProcess *template = test_template_new ();

  g_free (test_describe_start (afrpc_process_fork (template)));
  afrpc_process_kill (template, SIGSTOP);

  return template;
}

static gboolean
has_zombie (void)
{
  siginfo_t info = { 0 };

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0;
}

/* Until nothing is left of what was killed. */
static void
wait_for_rest (guint n_fds)
{
  while (test_count_fds () > n_fds || has_zombie ())
    g_main_context_iteration (NULL, TRUE);
}

/* All that can be written is, and a template that is stopped has read nothing of it. @is_full: nor is it all, since there
 * is no room for more */
static void
iterate_until_unread (gboolean is_full)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  gboolean is_there = FALSE;
  const char *name;

  test_iterate_until_idle ();
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      struct pollfd poller = { atoi (name), POLLOUT, 0 };
      socklen_t size = sizeof (int);
      int n_unread, type;

      if (getsockopt (poller.fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        continue;
      g_assert_cmpint (ioctl (poller.fd, SIOCOUTQ, &n_unread), ==, 0);
      if (is_full)
        is_there |= poll (&poller, 1, 0) == 0;
      else
        is_there |= n_unread > 0;
    }
  g_assert_true (is_there);
}

typedef enum
{
  BY_PROXY,
  BY_PROCESS,
  AND_CLOSE,
  N_WAYS,
} Way;

static void
kill_by (Watched *watched,
         Way      way)
{
  g_autoptr(GError) error = NULL;

  if (way == BY_PROCESS)
    afrpc_process_kill (afrpc_proxy_get_process (watched->proxy), SIGTERM);
  else
    afrpc_caller_kill (AFRPC_CALLER (watched->proxy));
  if (way == AND_CLOSE)
    {
      afrpc_caller_close_sync (AFRPC_CALLER (watched->proxy), NULL, &error);
      g_assert_no_error (error);
    }
}

static void
not_started_cb (GObject      *process,
                GAsyncResult *result,
                gpointer      done)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_process_wait_finish (AFRPC_PROCESS (process), result, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  *(gboolean *) done = TRUE;
}

static void
assert_never_started (const GError *error,
                      AfrpcStarted  started)
{
  /* Without shared memory nobody can tell what has been read. */
  if (g_getenv ("AFRPC_TEST_FRAMES") != NULL && started == AFRPC_STARTED_UNKNOWN)
    {
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      return;
    }
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_true (g_str_has_suffix (error->message, ": the process was killed before it was started"));
  g_assert_cmpint (started, ==, AFRPC_STARTED_NO);
}

/* @is_first: the program opens what it needs but once */
static void
check_killed (Way      way,
              gboolean is_first)
{
  g_autoptr(AfrpcProcess) template = stuck_template_new ();
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *touched = g_build_filename (folder, "touched", NULL);
  const guint n_fds = test_count_fds ();
  Watched watched[3] = { 0 };
  Outcome outcomes[3] = { 0 };
  gboolean has_told_exit = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (watched); i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      watch_init (&watched[i], afrpc_proxy_new (process, "act"));
      afrpc_caller_call (AFRPC_CALLER (watched[i].proxy), i == 1 ? test_act ("touch", g_variant_new_string (touched))
                         : test_act ("return", g_variant_new_uint32 (i)), NULL, outcome_cb, &outcomes[i]);
    }
  iterate_until_unread (FALSE);
  afrpc_process_wait_async (afrpc_proxy_get_process (watched[1].proxy), NULL, not_started_cb, &has_told_exit);
  kill_by (&watched[1], way);
  test_iterate_until (&watched[1].destroyed);
  g_assert_true (has_told_exit);
  g_assert_true (outcomes[1].done);
  assert_never_started (outcomes[1].error, outcomes[1].started);
  g_assert_cmpstr (watched[1].log->str, ==, "error; destroyed; ");
  g_assert_false (outcomes[0].done || outcomes[2].done);

  /* The others get what is theirs. */
  afrpc_process_kill (template, SIGCONT);
  for (guint i = 0; i < G_N_ELEMENTS (watched); i += 2)
    {
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
      g_assert_cmpuint (g_variant_get_uint32 (outcomes[i].value), ==, i);
      g_assert_cmpint (afrpc_process_get_start (afrpc_proxy_get_process (watched[i].proxy)), ==, AFRPC_START_FORK);
      watch_end (&watched[i]);
    }
  g_assert_cmpint (afrpc_process_get_pid (afrpc_proxy_get_process (watched[1].proxy)), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (watched); i++)
    {
      watch_clear (&watched[i]);
      outcome_clear (&outcomes[i]);
    }
  if (!is_first)
    wait_for_rest (n_fds);
  g_free (test_describe_start (afrpc_process_fork (template)));
  /* Without shared memory it may do what it has read before it is known which process it is. */
  if (g_getenv ("AFRPC_TEST_FRAMES") != NULL)
    unlink (touched);
  g_assert_false (g_file_test (touched, G_FILE_TEST_EXISTS));
  rmdir (folder);
}

static void
test_stuck_killed (void)
{
  g_test_summary ("Who is killed does not wait for the template, which others do; what it makes is ended and reaped");
  check_killed (BY_PROXY, TRUE);
  for (Way way = 0; way < N_WAYS; way++)
    check_killed (way, FALSE);
}

static void
test_stuck_template_dropped (void)
{
  g_test_summary ("A template that is stuck ends, with all that was killed, once nobody can use it any more");
  for (guint i = 0; i < 2; i++)
    {
      AfrpcProcess *template = stuck_template_new ();
      const int pid = afrpc_process_get_pid (template);
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      if (i == 0)
        afrpc_process_kill (process, SIGKILL);
      else
        g_clear_object (&process);
      g_object_unref (template);
      while (kill (pid, 0) == 0)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
test_stuck_template_killed (void)
{
  g_autoptr(AfrpcProcess) template = stuck_template_new ();
  const guint n_fds = test_count_fds ();

  g_test_summary ("What was killed is over when its template dies, too");
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      afrpc_process_kill (process, SIGKILL);
    }
  test_iterate_until_idle ();
  afrpc_process_kill (template, SIGKILL);
  wait_for_rest (n_fds);
}

static void
test_stuck_blocking (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  guint n_children;

  g_test_summary ("Who only blocks leaves nothing behind of what he has killed while it was being forked");
  g_free (test_describe_start (afrpc_process_fork (template)));
  n_children = test_count_children ();
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
      g_autoptr(GError) error = NULL;

      g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
      afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, NULL, NULL);
      if (i % 2 == 0)
        afrpc_process_kill (process, SIGKILL);
      else
        afrpc_caller_kill (AFRPC_CALLER (proxy));
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (test_count_children (), <=, n_children);
    }
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           gboolean     *has_exited)
{
  *has_exited = TRUE;
}

static void
test_stuck_copied (void)
{
  g_autoptr(AfrpcProcess) template = stuck_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  gboolean has_exited = FALSE;
  int child;

  g_test_summary ("A child that the program has forked is not taken for one that its template was never asked for");
  g_signal_connect (template, "exited", G_CALLBACK (exited_cb), &has_exited);
  /* More than there is room for: what is asked for behind it is not written. */
  afrpc_process_send_arg (template, test_zeros (4 << 20));
  process = afrpc_process_fork (template);
  iterate_until_unread (TRUE);
  child = fork ();
  if (child == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      pause ();
      _exit (0);
    }
  afrpc_process_kill (process, SIGKILL);
  test_iterate_until_idle ();
  afrpc_process_kill (template, SIGKILL);
  test_iterate_until (&has_exited);
  test_iterate_until_idle ();
  g_assert_cmpint (waitpid (child, NULL, WNOHANG), ==, 0);
  g_assert_cmpint (kill (child, SIGKILL), ==, 0);
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
}

static void
told_cb (GObject  *pool,
         gboolean *is_told)
{
  *is_told = TRUE;
}

static void
test_stuck_pool (void)
{
  g_test_summary ("A pool whose workers are only about to be made can be killed");
  for (guint i = 0; i < 2; i++)
    {
      AfrpcProcess *template = stuck_template_new ();
      const int pid = afrpc_process_get_pid (template);
      AfrpcPool *pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act", "max-workers", 2, NULL);
      g_auto(Outcome) outcome = { 0 };
      g_autoptr(GError) error = NULL;
      gboolean is_destroyed = FALSE;

      g_signal_connect (pool, "destroyed", G_CALLBACK (told_cb), &is_destroyed);
      afrpc_caller_call (AFRPC_CALLER (pool), test_act ("return", NULL), NULL, outcome_cb, &outcome);
      iterate_until_unread (FALSE);
      afrpc_caller_kill (AFRPC_CALLER (pool));
      if (i == 1)
        {
          afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error);
          g_assert_no_error (error);
        }
      test_iterate_until (&is_destroyed);
      g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
      g_assert_cmpint (outcome.started, ==, AFRPC_STARTED_NO);
      g_object_unref (pool);
      g_object_unref (template);
      while (kill (pid, 0) == 0)
        g_main_context_iteration (NULL, TRUE);
    }
}

static guint n_iterations;

static gboolean
iterate (gboolean may_block)
{
  g_assert_cmpuint (++n_iterations, <, MANY_ITERATIONS);

  return g_main_context_iteration (NULL, may_block);
}

static void
test_stuck_many (void)
{
  g_test_summary ("However many are killed, nothing of them is left, and the main loop neither waits nor spins");
  for (guint end = 0; end < 3; end++)
    {
      AfrpcProcess *template = stuck_template_new ();
      const int pid = afrpc_process_get_pid (template);
      const guint n_fds = test_count_fds ();
      Watched *watched = g_new0 (Watched, N_MANY);

      n_iterations = 0;
      for (guint i = 0; i < N_MANY; i++)
        {
          g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

          watch_init (&watched[i], afrpc_proxy_new (process, "act"));
          afrpc_caller_call (AFRPC_CALLER (watched[i].proxy), test_act ("return", NULL), NULL, NULL, NULL);
        }
      while (iterate (FALSE))
        ;
      iterate_until_unread (FALSE);
      for (guint i = 0; i < N_MANY; i++)
        afrpc_caller_kill (AFRPC_CALLER (watched[i].proxy));
      for (guint i = 0; i < N_MANY; i++)
        {
          while (!watched[i].destroyed)
            iterate (TRUE);
          watch_clear (&watched[i]);
        }
      g_free (watched);

      if (end == 0)
        afrpc_process_kill (template, SIGCONT);
      else if (end == 1)
        afrpc_process_kill (template, SIGKILL);
      else
        g_clear_object (&template);
      while (test_count_fds () > n_fds || has_zombie ())
        iterate (TRUE);
      g_clear_object (&template);
      while (kill (pid, 0) == 0)
        iterate (TRUE);
      g_test_message ("%u iterations", n_iterations);
    }
}

/* At each of the first moments of one whose template does answer. */
static void
test_stuck_any_moment (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  guint n_fds, n_never = 0, n_known = 0;

  g_test_summary ("One that is killed at any moment of its birth is settled, and leaves nothing");
  g_free (test_describe_start (afrpc_process_fork (template)));
  n_fds = test_count_fds ();
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };

      watch_init (&watched, afrpc_proxy_new (process, "act"));
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("until-cancelled", NULL), NULL, outcome_cb, &outcome);
      for (guint j = 0; j < i % 10; j++)
        g_main_context_iteration (NULL, FALSE);
      if (i % 4 >= 2)
        while (afrpc_process_get_pid (process) == 0)
          g_main_context_iteration (NULL, TRUE);
      kill_by (&watched, i % 2);
      test_iterate_until (&watched.destroyed);
      g_assert_true (outcome.done);
      g_assert_nonnull (outcome.error);
      g_assert_true ((afrpc_process_get_pid (process) != 0) == (watched.exit != NULL));
      g_assert_true (g_error_matches (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED) ==
                     (outcome.started == AFRPC_STARTED_NO));
      *(watched.exit == NULL ? &n_never : &n_known) += 1;
    }
  g_assert_cmpuint (n_never, >, 0);
  g_assert_cmpuint (n_known, >, 0);
  wait_for_rest (n_fds);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fork-stuck/killed", test_stuck_killed);
  g_test_add_func ("/fork-stuck/any-moment", test_stuck_any_moment);
  g_test_add_func ("/fork-stuck/template/dropped", test_stuck_template_dropped);
  g_test_add_func ("/fork-stuck/template/killed", test_stuck_template_killed);
  g_test_add_func ("/fork-stuck/blocking", test_stuck_blocking);
  g_test_add_func ("/fork-stuck/template/copied", test_stuck_copied);
  g_test_add_func ("/fork-stuck/pool", test_stuck_pool);
  g_test_add_func ("/fork-stuck/many", test_stuck_many);

  return g_test_run ();
}
