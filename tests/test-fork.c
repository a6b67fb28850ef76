/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
test_fork_surroundings (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) child = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) env = NULL;
  g_autoptr(GVariant) cwd = NULL;
  g_autoptr(GVariant) input = NULL;

  g_test_summary ("A forked process has surroundings of its own");
  afrpc_process_setenv (template, "AFRPC_TEST_A", "template", TRUE);
  child = afrpc_process_fork (template);
  afrpc_process_setenv (child, "AFRPC_TEST_A", "child", TRUE);
  afrpc_process_set_cwd (child, "/");
  afrpc_process_take_stdin_fd (child, test_fd_with ("the input"));
  afrpc_process_set_stderr (child, AFRPC_STDIO_CAPTURE);
  watch_init (&watched, afrpc_proxy_new (child, "act"));
  env = test_call (watched.proxy, test_act ("getenv", g_variant_new_string ("AFRPC_TEST_A")), NULL);
  g_assert_cmpstr (g_variant_get_string (env, NULL), ==, "child");
  cwd = test_call (watched.proxy, test_act ("getcwd", NULL), NULL);
  g_assert_cmpstr (g_variant_get_string (cwd, NULL), ==, "/");
  input = test_call (watched.proxy, test_act ("read", g_variant_new_string ("/proc/self/fd/0")), NULL);
  g_assert_cmpstr (g_variant_get_string (input, NULL), ==, "the input");
  g_variant_unref (test_call (watched.proxy, test_act ("stderr", g_variant_new_string ("last words\n")), NULL));
  watch_end (&watched);
  g_assert_cmpstr (afrpc_exit_get_stderr (watched.exit), ==, "last words");
}

typedef enum
{
  FORKED,
  REFUSED, /* a thread of the template's is in the way */
  KILLED,  /* the template is, before it has forked */
  N_BIRTHS,
} Birth;

static void
assert_says (AfrpcProxy *proxy,
             const char *what,
             const char *name, /* (nullable) */
             const char *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) said = test_call (proxy, test_act (what, name != NULL ? g_variant_new_string (name) : NULL), &error);

  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (said, NULL), ==, value);
}

/* One that has set nothing itself, or a variable; and one that is forked from the first. */
static void
check_same_surroundings (Birth birth)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) plain = NULL;
  g_autoptr(AfrpcProcess) own = NULL;
  g_auto(Watched) of_own = { 0 };
  g_auto(Watched) of_plain = { 0 };

  g_setenv ("AFRPC_TEST_PROGRAM", "before", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_A", "template", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_B", "template", TRUE);
  afrpc_process_set_cwd (template, "/usr");
  if (birth == REFUSED)
    {
      afrpc_process_setenv (template, "AFRPC_TEST_THREAD", "1", TRUE);
      afrpc_process_require (template, TEST_WORKER);
    }
  while (afrpc_process_get_pid (template) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_setenv ("AFRPC_TEST_PROGRAM", "after", TRUE);
  if (birth == KILLED)
    afrpc_process_kill (template, SIGSTOP);
  plain = afrpc_process_fork (template);
  afrpc_process_set_stderr (plain, AFRPC_STDIO_CAPTURE);
  own = afrpc_process_fork (plain);
  afrpc_process_take_stdin_fd (own, test_fd_with ("the input"));
  afrpc_process_setenv (own, "AFRPC_TEST_B", "own", TRUE);
  afrpc_process_set_cwd (own, "/");
  if (birth == KILLED)
    afrpc_process_kill (template, SIGKILL);

  watch_init (&of_own, afrpc_proxy_new (own, "act"));
  assert_says (of_own.proxy, "getenv", "AFRPC_TEST_A", "template");
  assert_says (of_own.proxy, "getenv", "AFRPC_TEST_B", "own");
  assert_says (of_own.proxy, "getenv", "AFRPC_TEST_PROGRAM", "before");
  assert_says (of_own.proxy, "getcwd", NULL, "/");
  assert_says (of_own.proxy, "read", "/proc/self/fd/0", "the input");
  watch_init (&of_plain, afrpc_proxy_new (plain, "act"));
  assert_says (of_plain.proxy, "getenv", "AFRPC_TEST_A", "template");
  assert_says (of_plain.proxy, "getenv", "AFRPC_TEST_B", "template");
  assert_says (of_plain.proxy, "getenv", "AFRPC_TEST_PROGRAM", "before");
  assert_says (of_plain.proxy, "getcwd", NULL, "/usr");
  assert_says (of_plain.proxy, "read", "/proc/self/fd/0", "");
  g_variant_unref (test_call (of_plain.proxy, test_act ("stderr", g_variant_new_string ("last words\n")), NULL));
  watch_end (&of_plain);
  g_assert_cmpstr (afrpc_exit_get_stderr (of_plain.exit), ==, "last words");
#ifndef __SANITIZE_THREAD__
  g_assert_cmpint (afrpc_process_get_start (plain), ==, birth == FORKED ? AFRPC_START_FORK : AFRPC_START_EXEC);
#endif
}

/* A template that has set nothing: it is as it was started. */
static void
check_program_surroundings (Birth birth)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  g_setenv ("AFRPC_TEST_PROGRAM", "before", TRUE);
  if (birth == REFUSED)
    g_setenv ("AFRPC_TEST_THREAD", "1", TRUE);
  while (afrpc_process_get_pid (template) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_setenv ("AFRPC_TEST_PROGRAM", "after", TRUE);
  g_unsetenv ("AFRPC_TEST_THREAD");
  if (birth == KILLED)
    afrpc_process_kill (template, SIGSTOP);
  process = afrpc_process_fork (template);
  if (birth == KILLED)
    afrpc_process_kill (template, SIGKILL);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_says (watched.proxy, "getenv", "AFRPC_TEST_PROGRAM", "before");
}

static void
test_fork_same_surroundings (void)
{
  g_test_summary ("What is set on a template goes for what is forked from it, also if that is executed in the end");
  for (Birth birth = 0; birth < N_BIRTHS; birth++)
    {
      check_same_surroundings (birth);
      check_program_surroundings (birth);
    }
  g_unsetenv ("AFRPC_TEST_PROGRAM");
}

static void
test_fork_bad_cwd (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) child = afrpc_process_fork (template);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A forked process whose working directory does not exist");
  afrpc_process_set_cwd (child, "/no/such/dir");
  watch_init (&watched, afrpc_proxy_new (child, "act"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_nonnull (strstr (error->message, "/no/such/dir"));
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
  /* Without shared memory nobody can tell what it has read. */
  if (outcome.started == AFRPC_STARTED_UNKNOWN && g_getenv ("AFRPC_TEST_FRAMES") != NULL)
    g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  else
    g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
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
  g_assert_cmpstr (error->message, ==, "the process was killed before it was started");
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

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
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
is_at_end (int fd)
{
  struct pollfd poller = { .fd = fd, .events = POLLIN };

  return poll (&poller, 1, 0) == 1;
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

      g_object_unref (template);
      g_object_unref (process);
      while (!is_at_end (fd) || has_zombie ())
        g_main_context_iteration (NULL, TRUE);
      close (fd);
    }
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
  g_test_add_func ("/fork/in-use", test_fork_in_use);
  g_test_add_func ("/fork/surroundings", test_fork_surroundings);
  g_test_add_func ("/fork/surroundings/same", test_fork_same_surroundings);
  g_test_add_func ("/fork/surroundings/bad-cwd", test_fork_bad_cwd);
  g_test_add_func ("/fork/sync-call", test_fork_sync_call);
  g_test_add_func ("/fork/killed-early", test_fork_killed_early);
  g_test_add_func ("/fork/killed-first", test_fork_killed_first);
  g_test_add_func ("/fork/dropped", test_fork_dropped);
  g_test_add_func ("/fork/vanished", test_fork_vanished);
  g_test_add_func ("/fork/dropped/with-template", test_fork_dropped_with_template);
  g_test_add_func ("/fork/unheard", test_fork_unheard);
  g_test_add_func ("/fork/unheard/dropped", test_fork_unheard_dropped);
  g_test_add_func ("/fork/lies", test_fork_lies);
  g_test_add_func ("/fork/sibling", test_fork_sibling);
  g_test_add_func ("/fork/many", test_fork_many);
  g_test_add_func ("/fork/threads", test_fork_threads);

  return g_test_run ();
}
