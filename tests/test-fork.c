/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own-process.h"

static void
test_fork_default (void)
{
  g_autoptr(AfrpcProcess) first = afrpc_process_new ();
  g_autoptr(AfrpcProcess) second = afrpc_process_new_for_host ("c");
  g_auto(Watched) a = { 0 };
  g_auto(Watched) b = { 0 };
  int pid;

  g_test_summary ("Processes are forked from a default template, and are the program's own children");
  afrpc_process_require (first, TEST_WORKER);
  afrpc_process_require (second, TEST_WORKER);
  watch_init (&a, afrpc_proxy_new (first, "echo"));
  watch_init (&b, afrpc_proxy_new (second, "echo"));
  g_variant_unref (test_call (a.proxy, NULL, NULL));
  g_variant_unref (test_call (b.proxy, NULL, NULL));
  g_assert_cmpint (afrpc_process_get_start (first), ==, AFRPC_START_FORK);
  g_assert_cmpint (afrpc_process_get_start (second), ==, AFRPC_START_FORK);
  pid = afrpc_process_get_pid (first);
  g_assert_cmpint (pid, !=, afrpc_process_get_pid (second));
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") == NULL)
    g_assert_cmpint (waitpid (pid, NULL, WNOHANG), ==, 0);
  watch_end (&a);
  watch_end (&b);
  g_assert_true (afrpc_exit_is_success (a.exit));
}

static void
test_fork_inherits (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  AfrpcProcess *child, *grandchild, *late;
  g_autofree char *text = NULL;
  g_autofree char *grand_text = NULL;
  g_autofree char *late_text = NULL;

  g_test_summary ("A forked process has what its template had by then, in order; templates chain");
  afrpc_process_send_arg (template, g_variant_new_string ("a"));
  test_send_fd_with (template, "A");
  child = afrpc_process_fork (template);
  afrpc_process_send_arg (template, g_variant_new_string ("late"));
  afrpc_process_send_arg (child, g_variant_new_string ("b"));
  test_send_fd_with (child, "B");
  grandchild = afrpc_process_fork (child);
  afrpc_process_send_arg (grandchild, g_variant_new_string ("c"));
  late = afrpc_process_fork (template);

  grand_text = test_describe_start (grandchild);
  g_assert_cmpstr (grand_text, ==, "(<'none'>, <('a', 'b', 'c')>, ['A', 'B'])");
  text = test_describe_start (child);
  /* The pipes are shared: they have been read. */
  g_assert_cmpstr (text, ==, "(<'none'>, <('a', 'b')>, ['', ''])");
  late_text = test_describe_start (late);
  g_assert_cmpstr (late_text, ==, "(<'none'>, <('a', 'late')>, [''])");
}

/* Forks from a host that forks in this way; returns how the process says that it came to be. */
static char *
fork_by (const char *way,
         AfrpcStart  start)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  afrpc_process_setenv (template, "AFRPC_TEST_FORK", way, TRUE);
  process = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_process_get_start (process), ==, start);
  watch_end (&watched);
  g_assert_nonnull (watched.exit);
  g_assert_true (afrpc_exit_is_success (watched.exit));

  return g_variant_dup_string (result, NULL);
}

static void
test_fork_host (void)
{
  g_autofree char *chain = fork_by ("chain", AFRPC_START_FORK);
  /* It has nothing to be known by where there are no pidfds but those that come with a clone. */
  g_autofree char *own = fork_by ("own", g_getenv ("AFRPC_TEST_NO_PIDFD") != NULL ? AFRPC_START_EXEC : AFRPC_START_FORK);
  g_autofree char *fail = fork_by ("fail", AFRPC_START_EXEC);
  g_autofree char *mute = fork_by ("mute", AFRPC_START_EXEC);

  g_test_summary ("A host may fork in its own way, around the library's way, or not at all");
  g_assert_cmpstr (chain, ==, "chain");
  g_assert_cmpstr (own, ==, g_getenv ("AFRPC_TEST_NO_PIDFD") != NULL ? "exec" : "own");
  g_assert_cmpstr (fail, ==, "exec");
  g_assert_cmpstr (mute, ==, "exec");
}

static void
test_fork_vanished (void)
{
  g_autofree char *how = NULL;

  g_test_summary ("A process whose template has died before it said that it is there is ours all the same");
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") != NULL)
    {
      g_test_skip ("it is not: it was the template's");
      return;
    }
  how = fork_by ("vanish", AFRPC_START_FORK);
  g_assert_cmpstr (how, ==, "vanish");
}

static void
test_fork_lies (void)
{
  static const char *const lies[] = {
    "no-pidfd", "program", "program-as-child", "itself", "wrong-number", "sibling-as-child", "sibling",
  };
  g_autoptr(GError) spawn_error = NULL;
  g_autoptr(GSubprocess) sibling = NULL;

  g_test_summary ("What a template did not fork is not watched, signalled and reaped because it says so");
  if (g_getenv ("AFRPC_TEST_NO_PIDFD") != NULL)
    {
      g_test_skip ("nobody gets a pidfd that could be lied with");
      return;
    }
  sibling = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE, &spawn_error, "cat", NULL);
  g_assert_no_error (spawn_error);
  for (guint i = 0; i < G_N_ELEMENTS (lies); i++)
    {
      g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_LYING_HOST"));
      g_autoptr(AfrpcProcess) process = NULL;
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;

      afrpc_process_setenv (template, "AFRPC_TEST_LIE", lies[i], TRUE);
      afrpc_process_setenv (template, "AFRPC_TEST_SIBLING", g_subprocess_get_identifier (sibling), TRUE);
      process = afrpc_process_fork (template);
      watch_init (&watched, afrpc_proxy_new (process, "f"));
      result = test_call (watched.proxy, NULL, &error);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
      g_assert_nonnull (strstr (error->message, "is none that it has forked"));
      g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
    }

  g_output_stream_close (g_subprocess_get_stdin_pipe (sibling), NULL, NULL);
  g_assert_true (g_subprocess_wait_check (sibling, NULL, NULL));
}

static void
test_fork_sibling (void)
{
  g_auto(Watched) sibling = { 0 };
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcProcess) template = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_autofree char *pid = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("Another worker of the program is not taken for what a template has forked");
  if (g_getenv ("AFRPC_TEST_NO_PIDFD") != NULL)
    {
      g_test_skip ("nobody gets a pidfd that could be lied with");
      return;
    }
  watch_init (&sibling, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (sibling.proxy, NULL, NULL));
  pid = g_strdup_printf ("%d", afrpc_process_get_pid (afrpc_proxy_get_process (sibling.proxy)));
  template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_LYING_HOST"));
  afrpc_process_setenv (template, "AFRPC_TEST_LIE", "sibling", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_SIBLING", pid, TRUE);
  process = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  watch_end (&watched);

  g_clear_pointer (&result, g_variant_unref);
  g_clear_error (&error);
  result = test_call (sibling.proxy, NULL, &error);
  g_assert_no_error (error);
}

static int
end_with (gboolean forked)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  afrpc_process_setenv (template, "AFRPC_TEST_FORK", "chain", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_END", "7", TRUE);
  process = forked ? afrpc_process_fork (template) : g_object_ref (template);
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  watch_end (&watched);

  return afrpc_exit_get_status (watched.exit);
}

static void
test_fork_host_end (void)
{
  g_test_summary ("A host may do something at the end, and decide on the exit status");
  g_assert_cmpint (end_with (FALSE), ==, 7);
  g_assert_cmpint (end_with (TRUE), ==, 7);
}

static void
test_fork_host_wait (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_auto(Watched) watched = { 0 };
  gboolean has_waited = FALSE;

  g_test_summary ("A host may do something while its worker waits for a call");
  watch_init (&watched, afrpc_proxy_new (process, "has_waited"));
  while (!has_waited)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = test_call (watched.proxy, NULL, &error);

      g_assert_no_error (error);
      has_waited = g_variant_get_boolean (result);
    }
}

static void
test_fork_fd_positions (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("A worker can tell where among its arguments the file descriptors were sent");
  afrpc_process_setenv (template, "AFRPC_TEST_FORK", "chain", TRUE);
  test_send_fd_with (template, "A");
  afrpc_process_send_arg (template, g_variant_new_string ("1"));
  afrpc_process_send_arg (template, g_variant_new_string ("2"));
  process = afrpc_process_fork (template);
  test_send_fd_with (process, "B");
  test_send_fd_with (process, "C");
  afrpc_process_send_arg (process, g_variant_new_string ("3"));
  watch_init (&watched, afrpc_proxy_new (process, "positions"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  text = g_variant_print (result, FALSE);
  g_assert_cmpstr (text, ==, "[0, 2, 2]");
  watch_end (&watched);
}

static void
test_fork_template_dropped (void)
{
  AfrpcProcess *template = test_template_new ();
  g_autofree char *text = NULL;
  AfrpcProcess *child = afrpc_process_fork (template);

  g_test_summary ("A template can be dropped at once; what was forked from it lives on");
  g_object_unref (template);
  text = test_describe_start (child);
  g_assert_cmpstr (text, ==, "(<'none'>, <()>, [])");
}

static void
test_fork_template_killed (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_auto(Watched) before = { 0 };
  g_autoptr(AfrpcProcess) pending = NULL;
  g_auto(Watched) after = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

  g_test_summary ("A template that is killed takes nobody along; forks that it owes are executed instead");
  watch_init (&before, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (before.proxy, test_act ("return", NULL), NULL));
  afrpc_process_kill (template, SIGSTOP);
  pending = afrpc_process_fork (template);
  watch_init (&after, afrpc_proxy_new (pending, "act"));
  afrpc_process_kill (template, SIGKILL);
  result = test_call (after.proxy, test_act ("return", g_variant_new_string ("x")), &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_process_get_start (pending), ==, AFRPC_START_EXEC);
  g_variant_unref (test_call (before.proxy, test_act ("return", NULL), NULL));
  watch_end (&before);
  /* Whose child it was not, nobody knows how it ended. */
  g_assert_true (afrpc_exit_is_success (before.exit) ||
                 (g_getenv ("AFRPC_TEST_GRANDCHILDREN") != NULL && !afrpc_exit_is_known (before.exit)));
}

/* Kills this process' children that are hosts: a template, and its worker. */
static void
kill_hosts (void)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc", 0, NULL);
  guint n_killed = 0;
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%s/stat", name);
      g_autofree char *stat = NULL;
      int pid, parent;

      if (g_ascii_isdigit (*name) && g_file_get_contents (path, &stat, NULL, NULL) &&
          sscanf (stat, "%d (afrpc-%*[a-z-]) %*c %d", &pid, &parent) == 2 && parent == getpid ())
        {
          g_assert_no_errno (kill (pid, SIGKILL));
          n_killed++;
        }
    }
  g_assert_cmpuint (n_killed, >, 0);
}

static void
test_fork_default_killed (void)
{
  guint n_forked = 0;

  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") != NULL)
    {
      g_test_skip ("the workers are not the program's children, which the test kills");
      return;
    }
  g_test_summary ("A default template that is killed is started anew; who comes before that was noticed is executed");
  for (guint i = 0; i < 20 && n_forked < 3; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_new ();
      g_auto(Watched) watched = { 0 };

      afrpc_process_require (process, TEST_WORKER);
      watch_init (&watched, afrpc_proxy_new (process, "act"));
      g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
      if (afrpc_process_get_start (process) == AFRPC_START_FORK)
        n_forked++;
      kill_hosts ();
      test_iterate_until (&watched.destroyed);
    }
  g_assert_cmpuint (n_forked, ==, 3);
}

static void
test_fork_refused (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(GError) error = NULL;
  AfrpcProcess *child;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[20] = { 0 };

  g_test_summary ("A template with threads cannot be forked: the host is executed and prepared anew, and "
                  "nothing is lost");
  afrpc_process_setenv (template, "AFRPC_TEST_THREAD", "1", TRUE);
  afrpc_process_send_arg (template, g_variant_new_string ("a"));
  test_send_fd_with (template, "A");
  afrpc_process_require (template, TEST_WORKER);
  child = afrpc_process_fork (template);
  afrpc_process_send_arg (child, g_variant_new_take_string (g_strnfill (100000, 'b')));
  test_send_fd_with (child, "B");
  watch_init (&watched, afrpc_proxy_new (child, "echo"));
  g_object_unref (child);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_take_string (g_strnfill (i * 5000, 'x')), NULL, outcome_cb, &outcomes[i]);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
      g_assert_cmpuint (g_variant_get_size (outcomes[i].value), ==, i * 5000 + 1);
      outcome_clear (&outcomes[i]);
    }
  g_assert_cmpint (afrpc_process_get_start (afrpc_proxy_get_process (watched.proxy)), ==, AFRPC_START_EXEC);
}

static void
test_fork_refused_start_data (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  AfrpcProcess *child;
  g_autofree char *text = NULL;

  g_test_summary ("What a template that cannot be forked was prepared with arrives all the same");
  afrpc_process_setenv (template, "AFRPC_TEST_THREAD", "1", TRUE);
  afrpc_process_send_arg (template, g_variant_new_string ("a"));
  test_send_fd_with (template, "A");
  afrpc_process_require (template, TEST_WORKER);
  child = afrpc_process_fork (template);
  afrpc_process_send_arg (child, g_variant_new_string ("b"));
  test_send_fd_with (child, "B");
  text = test_describe_start (child);
  g_assert_cmpstr (text, ==, "(<'none'>, <('a', 'b')>, ['A', 'B'])");
}

static void
test_fork_broken (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) none = afrpc_process_new_for_host ("klingon");
  g_autoptr(AfrpcProcess) child = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Watched) hostless = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) none_error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("What is wrong with a template is wrong with what is forked from it");
  afrpc_process_require (template, "no-such-module");
  child = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (child, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);

  watch_init (&hostless, afrpc_proxy_new (none, "f"));
  result = test_call (hostless.proxy, NULL, &none_error);
  g_assert_error (none_error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST);
}

static void
test_fork_short (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) child = NULL;
  g_autoptr(AfrpcProcess) grandchild = NULL;
  g_autoptr(AfrpcProcess) spoilt = NULL;
  g_auto(Watched) starting = { 0 };
  g_auto(Watched) behind = { 0 };
  g_auto(Watched) lacking = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  guint64 n_fds_max;

  g_test_summary ("What a template could not be started for is not wrong with what is forked from it when there is enough again");
  afrpc_process_require (template, TEST_WORKER);
  afrpc_process_send_arg (template, g_variant_new_string ("a"));
  for (guint i = 0; i < 3; i++)
    test_send_fd_with (template, "A");
  child = afrpc_process_fork (template);
  grandchild = afrpc_process_fork (child);
  watch_init (&starting, afrpc_proxy_new (child, "act"));
  n_fds_max = own_process_limit_fds (4);
  result = test_call (starting.proxy, test_act ("return", NULL), &error);
  own_process_limit_fds (n_fds_max);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_clear_error (&error);
  /* Those that were being forked then have failed with it. */
  watch_init (&behind, afrpc_proxy_new (grandchild, "act"));
  result = test_call (behind.proxy, test_act ("return", NULL), &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_clear_error (&error);

  text = test_describe_start (afrpc_process_fork (template));
  g_assert_cmpstr (text, ==, "(<'none'>, <('a',)>, ['A', 'A', 'A'])");

  /* This is missing from now on. */
  afrpc_process_send_fd (template, n_fds_max - 1);
  spoilt = afrpc_process_fork (template);
  watch_init (&lacking, afrpc_proxy_new (spoilt, "act"));
  result = test_call (lacking.proxy, test_act ("return", NULL), &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
}

static void
test_fork_in_use (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) child = NULL;
  g_auto(Watched) running = { 0 };
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A process that runs a function cannot be forked");
  watch_init (&running, afrpc_proxy_new (template, "act"));
  child = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (child, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
}

static void
test_fork_sync_call (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) middle = afrpc_process_fork (template);
  g_autoptr(AfrpcProcess) child = afrpc_process_fork (middle);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A blocking call does the templates' part too");
  watch_init (&watched, afrpc_proxy_new (child, "act"));
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", g_variant_new_string ("x")), NULL, &error);
  g_assert_no_error (error);
#ifndef __SANITIZE_THREAD__ /* its own thread, after a plain fork (), keeps the process from being forked again */
  g_assert_cmpint (afrpc_process_get_start (child), ==, AFRPC_START_FORK);
#endif
}

static void
test_fork_many (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  const guint n = g_test_slow () ? 10000 : 500;
  guint n_fds = 0;

  g_test_summary ("Thousands of forks leave no descriptor and no zombie");
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, afrpc_proxy_new (process, "act"));
      g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
      watch_end (&watched);
      g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_FORK);
      if (i == 0)
        n_fds = test_count_fds ();
    }
  g_assert_cmpuint (test_count_fds (), <=, n_fds);
}

static gpointer
template_thread (gpointer data)
{
  for (guint i = 0; i < 8; i++)
    {
      g_autoptr(GMainContext) context = g_main_context_new ();

      g_main_context_push_thread_default (context);
      {
        g_autoptr(AfrpcProcess) process = afrpc_process_new ();
        g_auto(Watched) watched = { 0 };
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) result = NULL;

        afrpc_process_require (process, TEST_WORKER);
        watch_init (&watched, afrpc_proxy_new (process, "act"));
        result = test_call (watched.proxy, test_act ("return", g_variant_new_string ("x")), &error);
        g_assert_no_error (error);
        g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_FORK);
        watch_end (&watched);
      }
      g_main_context_pop_thread_default (context);
    }

  return NULL;
}

static void
test_fork_threads (void)
{
  GThread *threads[4];
  guint n_fds;

  g_test_summary ("Each main context has a template of its own, which goes with it");
  /* What the program has one of is made by the first process. */
  template_thread (NULL);
  n_fds = test_count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("template", template_thread, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (test_count_fds (), <=, n_fds);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fork/default", test_fork_default);
  g_test_add_func ("/fork/inherits", test_fork_inherits);
  g_test_add_func ("/fork/host", test_fork_host);
  g_test_add_func ("/fork/host-end", test_fork_host_end);
  g_test_add_func ("/fork/host-wait", test_fork_host_wait);
  g_test_add_func ("/fork/fd-positions", test_fork_fd_positions);
  g_test_add_func ("/fork/template/dropped", test_fork_template_dropped);
  g_test_add_func ("/fork/template/killed", test_fork_template_killed);
  g_test_add_func ("/fork/template/default-killed", test_fork_default_killed);
  g_test_add_func ("/fork/refused", test_fork_refused);
  g_test_add_func ("/fork/refused/start-data", test_fork_refused_start_data);
  g_test_add_func ("/fork/broken", test_fork_broken);
  g_test_add_func ("/fork/short", test_fork_short);
  g_test_add_func ("/fork/in-use", test_fork_in_use);
  g_test_add_func ("/fork/sync-call", test_fork_sync_call);
  g_test_add_func ("/fork/vanished", test_fork_vanished);
  g_test_add_func ("/fork/lies", test_fork_lies);
  g_test_add_func ("/fork/sibling", test_fork_sibling);
  g_test_add_func ("/fork/many", test_fork_many);
  g_test_add_func ("/fork/threads", test_fork_threads);

  return g_test_run ();
}
