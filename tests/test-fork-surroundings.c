/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What forked processes have around them: their environment, their directory, their standard streams. */
#include "test-util.h"

#include <signal.h>
#include <string.h>

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
test_fork_surroundings_unknown (void)
{
  g_test_summary ("What is forked from a process that was killed while that was being forked has the surroundings of both");
  for (guint all_are_killed = 0; all_are_killed < 2; all_are_killed++)
    {
      g_autoptr(AfrpcProcess) base = test_template_new ();
      g_autoptr(AfrpcProcess) template = NULL;
      g_autoptr(AfrpcProcess) process = NULL;
      g_auto(Watched) watched = { 0 };

      afrpc_process_setenv (base, "AFRPC_TEST_A", "base", TRUE);
      afrpc_process_set_cwd (base, "/usr");
      template = afrpc_process_fork (base);
      afrpc_process_setenv (template, "AFRPC_TEST_B", "template", TRUE);
      afrpc_process_kill (template, SIGKILL);
      if (all_are_killed)
        afrpc_process_kill (base, SIGKILL);
      process = afrpc_process_fork (template);
      watch_init (&watched, afrpc_proxy_new (process, "act"));
      assert_says (watched.proxy, "getenv", "AFRPC_TEST_A", "base");
      assert_says (watched.proxy, "getenv", "AFRPC_TEST_B", "template");
      assert_says (watched.proxy, "getcwd", NULL, "/usr");
    }
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

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fork-surroundings/own", test_fork_surroundings);
  g_test_add_func ("/fork-surroundings/same", test_fork_same_surroundings);
  g_test_add_func ("/fork-surroundings/unknown", test_fork_surroundings_unknown);
  g_test_add_func ("/fork-surroundings/bad-cwd", test_fork_bad_cwd);

  return g_test_run ();
}
