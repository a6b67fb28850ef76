/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is forked, and killed or dropped before anybody has used it. */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_fork_killed_early (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(AfrpcProcess) child = afrpc_process_fork (template);

  g_test_summary ("A process can be killed while it is being forked");
  watch_init (&watched, afrpc_proxy_new (child, "act"));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &outcome);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
  test_iterate_until (&watched.destroyed);
  g_assert_true (outcome.done);
  /* It may be there already, and reading just that; without shared memory nobody can tell what it has read anyway. */
  g_assert_error (outcome.error, AFRPC_ERROR,
                  (int) (outcome.started == AFRPC_STARTED_NO ? AFRPC_ERROR_NOT_STARTED : AFRPC_ERROR_DIED));
  /* It is not waited for to be made. */
  g_assert_null (watched.exit);
}

/* Whether it was not started: then nobody has done @touched. */
static void
assert_never (GError       *error,
              AfrpcStarted  started,
              const char   *touched)
{
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_true (g_str_has_suffix (error->message, ": the process was killed before it was started"));
  g_assert_cmpint (started, ==, AFRPC_STARTED_NO);
  g_assert_false (g_file_test (touched, G_FILE_TEST_EXISTS));
}

static void
test_fork_killed_first (void)
{
  const int signums[] = { SIGCONT, SIGTERM, SIGKILL };
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *touched = g_build_filename (folder, "touched", NULL);

  g_test_summary ("A process that is killed before its start runs nothing, whatever the signal and however it is started");
  for (guint i = 0; i < 3 * G_N_ELEMENTS (signums); i++)
    {
      g_autoptr(AfrpcProcess) template = i % 3 == 0 ? test_template_new () : NULL;
      g_autoptr(AfrpcProcess) process = i % 3 == 0 ? afrpc_process_fork (template) :
                                        i % 3 == 1 ? afrpc_process_new () : afrpc_process_new_exec (NULL);
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_autoptr(AfrpcCall) call = NULL;
      g_autoptr(GError) error = NULL;
      g_autoptr(GError) sync_error = NULL;

      afrpc_process_require (process, TEST_WORKER);
      if (i % 2 == 0)
        proxy = afrpc_proxy_new (process, "act");
      afrpc_process_kill (process, signums[i / 3]);
      if (i % 2 == 1)
        proxy = afrpc_proxy_new (process, "act");
      call = afrpc_caller_start (AFRPC_CALLER (proxy), test_act ("touch", g_variant_new_string (touched)), NULL);
      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("touch", g_variant_new_string (touched)), NULL,
                                             &sync_error));
      assert_never (sync_error, AFRPC_STARTED_NO, touched);
      g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      assert_never (error, afrpc_call_get_started (call), touched);
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
      g_assert_false (g_file_test (touched, G_FILE_TEST_EXISTS));
    }
  rmdir (folder);
}

static void
test_fork_dropped (void)
{
  guint n_fds = 0;

  g_test_summary ("Forked processes that are dropped unused leave nothing");
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr(AfrpcProcess) template = test_template_new ();

      for (guint j = 0; j < 3; j++)
        g_object_unref (afrpc_process_fork (template));
      if (i % 2 == 0)
        for (guint j = 0; j < i; j++)
          g_main_context_iteration (NULL, FALSE);
      g_clear_object (&template);
      if (i == 0)
        {
          g_autoptr(AfrpcProcess) settle = test_template_new ();
          g_autofree char *text = test_describe_start (g_steal_pointer (&settle));

          n_fds = test_count_fds ();
        }
    }
  while (test_count_fds () > n_fds)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
has_zombie (void)
{
  siginfo_t info = { 0 };

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0;
}

/* Of a template that ends in the middle of forking, or before it comes to it. */
static void
drop_with_template (gboolean has_forked)
{
  g_autoptr(AfrpcProcess) template = NULL;

  if (has_forked)
    {
      template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
      afrpc_process_setenv (template, "AFRPC_TEST_FORK", "vanish", TRUE);
    }
  else
    template = test_template_new ();
  g_object_unref (afrpc_process_fork (template));
  if (!has_forked)
    {
      while (afrpc_process_get_pid (template) == 0)
        g_main_context_iteration (NULL, TRUE);
      afrpc_process_kill (template, SIGKILL);
    }
}

static void
test_fork_dropped_with_template (void)
{
  guint n_fds;

  g_test_summary ("A forked process that is dropped, and whose template is gone, leaves nothing");
  drop_with_template (FALSE);
  g_free (test_describe_start (test_template_new ()));
  n_fds = test_count_fds ();
  for (guint i = 0; i < 10; i++)
    {
      drop_with_template (i % 2 == 0);
      while (test_count_fds () > n_fds || has_zombie ())
        g_main_context_iteration (NULL, TRUE);
    }
}

/* Has one made whose template then ends without a word of it. Returns: a pipe that is at its end when both are. */
static int
fork_unheard (const char    *way,
              AfrpcProcess **template,
              AfrpcProcess **process)
{
  int fds[2];

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  *template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  afrpc_process_setenv (*template, "AFRPC_TEST_FORK", way, TRUE);
  afrpc_process_send_fd (*template, fds[1]);
  close (fds[1]);
  *process = afrpc_process_fork (*template);
  afrpc_exit_unref (test_wait_exit (*template));

  return fds[0];
}

static gboolean
ended_cb (int          fd,
          GIOCondition condition,
          gpointer     data)
{
  *(gboolean *) data = TRUE;

  return G_SOURCE_REMOVE;
}

static void
test_fork_unheard (void)
{
  g_autoptr(AfrpcProcess) template = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  int fd;

  g_test_summary ("One that its template does not tell of, and that says nothing itself, is ended and reaped if it is killed");
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") != NULL)
    {
      g_test_skip ("it is the template's child");
      return;
    }
  fd = fork_unheard ("freeze", &template, &process);
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
  afrpc_process_kill (process, SIGKILL);
  exit = test_wait_exit (process);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  g_assert_cmpint (kill (afrpc_process_get_pid (process), 0), ==, -1);
  close (fd);
}

static void
test_fork_unheard_dropped (void)
{
  static const char *const ways[] = { "freeze", "babble" };

  g_test_summary ("The same of one that is dropped, and of one that says something wrong");
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") != NULL)
    {
      g_test_skip ("it is the template's child");
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      AfrpcProcess *template, *process;
      const int fd = fork_unheard (ways[i], &template, &process);
      gboolean is_at_end = FALSE;

      g_unix_fd_add (fd, G_IO_IN | G_IO_HUP, ended_cb, &is_at_end);
      g_object_unref (template);
      g_object_unref (process);
      while (!is_at_end || has_zombie ())
        g_main_context_iteration (NULL, TRUE);
      close (fd);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fork-unused/killed-early", test_fork_killed_early);
  g_test_add_func ("/fork-unused/killed-first", test_fork_killed_first);
  g_test_add_func ("/fork-unused/dropped", test_fork_dropped);
  g_test_add_func ("/fork-unused/dropped/with-template", test_fork_dropped_with_template);
  g_test_add_func ("/fork-unused/unheard", test_fork_unheard);
  g_test_add_func ("/fork-unused/unheard/dropped", test_fork_unheard_dropped);

  return g_test_run ();
}
