/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools with several templates: shares, limits and loads of each, and what becomes of the others when one fails. */
#include "pool-case.h"

#include <string.h>
#include <unistd.h>

#include "own-process.h"

/* One that is forked. */
static AfrpcProcess *
forking_new (void)
{
  AfrpcProcess *process = afrpc_process_new ();

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* One that is executed each time: a module of it has a thread. */
static AfrpcProcess *
executing_new (void)
{
  AfrpcProcess *process = afrpc_process_new_exec (NULL);

  afrpc_process_setenv (process, "AFRPC_TEST_THREAD", "1", TRUE);
  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* One over a shell, which runs @script first. */
static AfrpcProcess *
command_new (const char *script,
             const char *arg)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  g_autofree char *line = g_strconcat (script, "exec \"$0\"", NULL);
  const char *argv[] = { "sh", "-c", line, host, arg, NULL };
  AfrpcProcess *process = afrpc_process_new_command (argv);

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* One that never works. */
static AfrpcProcess *
broken_new (void)
{
  AfrpcProcess *process = forking_new ();

  afrpc_process_require (process, "/no/such/module.so");

  return process;
}

static void
call_one (Case *test)
{
  g_autoptr(AfrpcCall) call = start_act (test, "return", NULL);

  g_variant_unref (wait_value (call));
}

static guint
n_of (Case         *test,
      AfrpcProcess *template)
{
  return afrpc_pool_get_n_template_workers (test->pool, template);
}

static void
test_templates_kinds (void)
{
  g_autoptr(AfrpcProcess) forking = forking_new ();
  g_autoptr(AfrpcProcess) executing = executing_new ();
  g_autoptr(AfrpcProcess) command = command_new ("", NULL);
  guint seen[AFRPC_START_COMMAND + 1] = { 0 };
  AfrpcCall *calls[3];
  Meeting meeting;
  Case test;

  g_test_summary ("Workers that are forked, executed and run by a command are in one pool");
  meeting_init (&meeting);
  case_init_with (&test, forking, "act", "max-workers", 3, "load", 1, NULL);
  afrpc_pool_add_template (test.pool, executing, 0, 0, 0);
  afrpc_pool_add_template (test.pool, command, 0, 0, 0);
  g_object_set (test.pool, "idle-workers", 3, NULL);
  g_assert_true (afrpc_pool_get_process (test.pool) == forking);
  for (guint i = 0; i < 3; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 3);
  g_assert_cmpuint (n_of (&test, forking), ==, 1);
  g_assert_cmpuint (n_of (&test, executing), ==, 1);
  g_assert_cmpuint (n_of (&test, command), ==, 1);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 3; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      seen[afrpc_process_get_start (afrpc_call_get_process (calls[i]))]++;
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (seen[AFRPC_START_FORK], ==, 1);
  g_assert_cmpuint (seen[AFRPC_START_EXEC], ==, 1);
  g_assert_cmpuint (seen[AFRPC_START_COMMAND], ==, 1);
  case_end (&test);
  g_assert_cmpuint (test.n_events, ==, 3);
  meeting_end (&meeting);
}

static void
test_templates_shares (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  g_autoptr(AfrpcProcess) third = forking_new ();
  static const guint expected[][3] = { { 1, 0, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 2, 1, 1 }, { 3, 1, 1 }, { 3, 2, 1 },
                                       { 4, 2, 1 }, { 4, 2, 2 }, { 4, 3, 2 }, { 5, 3, 2 } };
  Case test;

  g_test_summary ("Each worker is made from the template that is furthest below its share");
  case_init_with (&test, first, "act", "max-workers", 10, NULL);
  afrpc_pool_add_template (test.pool, first, 0, 0, 5);
  afrpc_pool_add_template (test.pool, second, 0, 0, 3);
  afrpc_pool_add_template (test.pool, third, 0, 0, 2);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_object_set (test.pool, "idle-workers", i + 1, NULL);
      g_assert_cmpuint (n_of (&test, first), ==, expected[i][0]);
      g_assert_cmpuint (n_of (&test, second), ==, expected[i][1]);
      g_assert_cmpuint (n_of (&test, third), ==, expected[i][2]);
    }
  wait_idle (&test, 10);
  call_one (&test);
  case_end (&test);
}

static void
test_templates_begun (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  Case test;

  g_test_summary ("Those that the constructor is to keep are of the first; later ones make up for that");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", first, "function", "act", "max-workers", 4, "idle-workers", 2, NULL));
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  g_assert_cmpuint (n_of (&test, first), ==, 2);
  g_assert_cmpuint (n_of (&test, second), ==, 0);
  g_object_set (test.pool, "idle-workers", 4, NULL);
  g_assert_cmpuint (n_of (&test, first), ==, 2);
  g_assert_cmpuint (n_of (&test, second), ==, 2);
  wait_idle (&test, 4);
  case_end (&test);
}

static void
test_templates_limits (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  AfrpcCall *calls[5];
  Meeting meeting;
  Case test;

  g_test_summary ("There are no more workers of one template than there may be, which can be changed");
  case_init_with (&test, first, "act", "max-workers", 6, NULL);
  afrpc_pool_add_template (test.pool, second, 2, 0, 100);
  g_object_set (test.pool, "idle-workers", 5, NULL);
  g_assert_cmpuint (n_of (&test, first), ==, 3);
  g_assert_cmpuint (n_of (&test, second), ==, 2);
  wait_idle (&test, 5);
  afrpc_pool_add_template (test.pool, second, 1, 0, 100);
  g_assert_cmpuint (n_of (&test, second), ==, 1);
  g_assert_cmpuint (n_of (&test, first), ==, 4);
  afrpc_pool_add_template (test.pool, first, 2, 0, 0);
  g_assert_cmpuint (n_of (&test, first), ==, 2);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test.pool), ==, 3);
  afrpc_pool_add_template (test.pool, second, 0, 0, 1);
  g_assert_cmpuint (n_of (&test, first), ==, 2);
  g_assert_cmpuint (n_of (&test, second), ==, 3);
  wait_idle (&test, 5);

  /* Those that have something to do get nothing more, and end once they have not. */
  meeting_init (&meeting);
  g_object_set (test.pool, "idle-workers", 0, NULL);
  for (guint i = 0; i < 5; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 5);
  afrpc_pool_add_template (test.pool, second, 1, 0, 1);
  g_assert_cmpuint (n_of (&test, second), ==, 1);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 5; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (n_of (&test, first), ==, 2);
  g_assert_cmpuint (n_of (&test, second), ==, 1);
  call_one (&test);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_templates_loads (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  AfrpcCall *calls[11];
  guint n_first = 0, n_second = 0, n_none = 0;
  int pid = 0;
  Meeting meeting;
  Case test;

  g_test_summary ("A call goes to the worker that has least of what it may have; none has more");
  meeting_init (&meeting);
  case_init_with (&test, first, "act", "max-workers", 2, NULL);
  afrpc_pool_add_template (test.pool, first, 1, 2, 0);
  afrpc_pool_add_template (test.pool, second, 1, 8, 0);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  for (guint i = 0; i < 5; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  for (guint i = 0; i < 5; i++)
    n_first += pid_of (calls[i]) == pid_of (calls[0]);
  /* One in two is more than three in eight. */
  g_assert_true (n_first == 1 || n_first == 4);
  pid = pid_of (calls[n_first == 1 ? 0 : 1]);
  for (guint i = 5; i < 11; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  n_first = 0;
  for (guint i = 0; i < 11; i++)
    {
      if (afrpc_call_get_process (calls[i]) == NULL)
        n_none++;
      else if (pid_of (calls[i]) == pid)
        n_first++;
      else
        n_second++;
    }
  g_assert_cmpuint (n_first, ==, 2);
  g_assert_cmpuint (n_second, ==, 8);
  g_assert_cmpuint (n_none, ==, 1);
  /* Who may have more gets what waits. */
  afrpc_pool_add_template (test.pool, first, 1, 3, 0);
  g_assert_cmpint (pid_of (calls[10]), ==, pid);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 11; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_templates_broken (void)
{
  g_autoptr(AfrpcProcess) broken = broken_new ();
  g_autoptr(AfrpcProcess) forking = forking_new ();
  g_autoptr(AfrpcProcess) command = command_new ("", NULL);
  g_autoptr(AfrpcCall) refused = NULL;
  g_autoptr(GError) error = NULL;
  Case test;

  g_test_summary ("One that cannot work is tried once, and the others have the work; the pool fails when all have");
  case_init_with (&test, broken, "act", "max-workers", 4, "max-failures", G_MAXUINT, NULL);
  afrpc_pool_add_template (test.pool, forking, 0, 0, 0);
  afrpc_pool_add_template (test.pool, command, 0, 0, 0);
  g_object_set (test.pool, "idle-workers", 3, NULL);
  wait_idle (&test, 3);
  call_one (&test);
  /* For longer than one waits that is tried again. */
  for (gint64 until = g_get_monotonic_time () + 150 * 1000; g_get_monotonic_time () < until;)
    {
      afrpc_pool_refresh (test.pool, forking);
      wait_idle (&test, 3);
      call_one (&test);
    }
  g_assert_cmpuint (test.errors->len, ==, 1);
  g_assert_true (g_error_matches (test.errors->pdata[0], AFRPC_ERROR, AFRPC_ERROR_MODULE));
  g_assert_error (afrpc_pool_get_template_failure (test.pool, broken), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_null (afrpc_pool_get_template_failure (test.pool, forking));
  g_assert_null (afrpc_pool_get_failure (test.pool));
  g_assert_cmpuint (n_of (&test, broken), ==, 0);

  /* Nothing is left but what has failed. */
  g_assert_true (afrpc_pool_remove_template (test.pool, forking));
  g_assert_false (afrpc_pool_is_closed (test.pool));
  g_assert_true (afrpc_pool_remove_template (test.pool, command));
  g_assert_error (afrpc_pool_get_failure (test.pool), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  refused = start_act (&test, "return", NULL);
  error = wait_error (refused);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_false (afrpc_pool_remove_template (test.pool, broken));

  /* Another one begins anew. */
  afrpc_pool_add_template (test.pool, forking, 0, 0, 0);
  g_assert_null (afrpc_pool_get_failure (test.pool));
  call_one (&test);
  g_assert_cmpuint (test.errors->len, ==, 1);
  g_clear_object (&refused);
  case_end (&test);
}

static void
test_templates_all_broken (void)
{
  g_autoptr(AfrpcProcess) first = broken_new ();
  g_autoptr(AfrpcProcess) second = broken_new ();
  g_autoptr(AfrpcProcess) third = forking_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) healed = NULL;
  g_autoptr(GError) error = NULL;
  Case test;

  g_test_summary ("A pool whose templates have all failed has failed, until one of them is refreshed");
  case_init_with (&test, first, "act", "max-workers", 4, NULL);
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  call = start_act (&test, "return", NULL);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_error (afrpc_pool_get_template_failure (test.pool, first), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_error (afrpc_pool_get_template_failure (test.pool, second), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  g_assert_true (afrpc_pool_is_closed (test.pool));
  g_assert_cmpuint (test.errors->len, <=, 2);

  afrpc_pool_refresh (test.pool, third);
  g_assert_true (afrpc_pool_get_process (test.pool) == third);
  g_assert_null (afrpc_pool_get_template_failure (test.pool, third));
  g_assert_error (afrpc_pool_get_template_failure (test.pool, second), AFRPC_ERROR, AFRPC_ERROR_MODULE);
  healed = start_act (&test, "return", NULL);
  g_variant_unref (wait_value (healed));
  g_clear_object (&call);
  g_clear_object (&healed);
  case_end (&test);
}

static void
test_templates_back_off (void)
{
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "there", NULL);
  g_autoptr(AfrpcProcess) failing = command_new ("test -e \"$1\" || exit 255;", path);
  g_autoptr(AfrpcProcess) forking = forking_new ();
  Case test;

  g_test_summary ("One that fails again and again is left out, does not fail the pool, and comes back when it can");
  case_init_with (&test, failing, "act", "max-workers", 2, "max-failures", 2, NULL);
  afrpc_pool_add_template (test.pool, failing, 1, 0, 0);
  afrpc_pool_add_template (test.pool, forking, 1, 0, 0);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  /* More often than it may, if it were alone. */
  while (test.errors->len < 4)
    {
      call_one (&test);
      g_main_context_iteration (NULL, TRUE);
    }
  g_assert_nonnull (afrpc_pool_get_template_failure (test.pool, failing));
  g_assert_null (afrpc_pool_get_failure (test.pool));
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  wait_idle (&test, 2);
  g_assert_cmpuint (n_of (&test, failing), ==, 1);
  afrpc_pool_add_template (test.pool, forking, 1, 0, 1);
  g_assert_true (afrpc_pool_remove_template (test.pool, forking));
  call_one (&test);
  g_assert_null (afrpc_pool_get_template_failure (test.pool, failing));
  unlink (path);
  rmdir (folder);
  case_end (&test);
}

static void
test_templates_no_command (void)
{
  static const char *const argv[] = { "/no/such/command", NULL };
  g_autoptr(AfrpcProcess) missing = afrpc_process_new_command (argv);
  g_autoptr(AfrpcProcess) forking = forking_new ();
  Case test;

  g_test_summary ("A command that is not there leaves the work to the others");
  case_init_with (&test, forking, "act", "max-workers", 2, "idle-workers", 1, "max-failures", 1000, NULL);
  afrpc_pool_add_template (test.pool, missing, 0, 0, 1000);
  g_object_set (test.pool, "idle-workers", 2, NULL);
  wait_idle (&test, 2);
  call_one (&test);
  g_assert_cmpuint (n_of (&test, forking), ==, 2);
  g_assert_error (afrpc_pool_get_template_failure (test.pool, missing), AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_null (afrpc_pool_get_failure (test.pool));
  case_end (&test);
}

/* What cannot be started cannot be the next time: one failure is enough. */
static void
test_templates_impossible (void)
{
  static const char *const directory[] = { "/", NULL }, *const file[] = { "/etc/passwd", NULL };
  AfrpcProcess *processes[] = {
    afrpc_process_new_command (directory), afrpc_process_new_command (file), afrpc_process_new_exec ("/no/such/host"),
    afrpc_process_new_for_host ("/no/such/host"), afrpc_process_new_exec (NULL),
  };

  g_test_summary ("What cannot be executed is not tried again, whether the pool blocks or not");
  afrpc_process_set_cwd (processes[4], "/no/such/directory");
  for (guint i = 0; i < 2 * G_N_ELEMENTS (processes); i++)
    {
      AfrpcProcess *process = processes[i / 2];
      g_autoptr(AfrpcCall) call = NULL;
      g_autoptr(GError) error = NULL;
      Case test;

      case_init_with (&test, process, "act", "max-failures", 1000, NULL);
      call = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
      if (i % 2 == 0)
        error = wait_error (call);
      else
        g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
      g_assert_error (afrpc_pool_get_failure (test.pool), AFRPC_ERROR, AFRPC_ERROR_SPAWN);
      test_iterate_until_idle ();
      g_assert_cmpuint (test.errors->len, ==, 1);
      g_clear_object (&call);
      case_end (&test);
    }
  for (guint i = 0; i < G_N_ELEMENTS (processes); i++)
    g_object_unref (processes[i]);
}

/* @script: what the command does the first two times, of which it counts one more in the file "$1" */
static void
check_late_command (const char *script,
                    gboolean    is_blocking)
{
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "times", NULL);
  g_autofree char *line = g_strdup_printf ("echo >>\"$1\"; [ $(wc -l <\"$1\") -gt 2 ] || { %s; }; ", script);
  g_autoptr(AfrpcProcess) late = command_new (line, path);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  Case test;

  /* Its own process is another time. */
  case_init_with (&test, late, "act", "max-workers", 1, NULL);
  call = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
  value = is_blocking ? afrpc_call_wait_sync (call, NULL, &error) : wait_value (call);
  g_assert_no_error (error);
  g_assert_nonnull (value);
  g_clear_object (&call);
  case_end (&test);
  unlink (path);
  rmdir (folder);
}

static void
test_templates_no_command_late (void)
{
  Meeting meeting;
  Case test;
  g_autoptr(AfrpcProcess) failing = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcPoolStats) stats = NULL;
  g_autoptr(GError) error = NULL;
  guint n = 0;

  g_test_summary ("What will not change is not tried again, also if it is known of one while others start");
  meeting_init (&meeting);
  failing = command_new ("head -c 1 \"$1\" > /dev/null; exit 127;", meeting.path);
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", failing, "function", "act", "max-workers", 2,
                                  "idle-workers", 2, NULL));
  call = start_act (&test, "return", NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_error (afrpc_pool_get_failure (test.pool));
      g_assert_cmpint (write (meeting.fd, "x", 1), ==, 1);
      iterate_until_count (&test.errors->len, i + 1);
      /* For longer than the next one would be waited with. */
      g_timeout_add_once (300, (GSourceOnceFunc) test_count_cb, &n);
      iterate_until_count (&n, i + 1);
      stats = afrpc_pool_get_stats (test.pool);
      g_assert_cmpuint (afrpc_pool_stats_get_n_workers_started (stats), ==, 2);
      g_clear_pointer (&stats, afrpc_pool_stats_unref);
    }
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST);
  g_clear_object (&call);
  case_end (&test);
  meeting_let_go (&meeting);
  meeting_end (&meeting);
}

/* It ends before it has said that it is a host: nothing was begun, and it may lead to one the next time. */
static void
test_templates_late_command (void)
{
  g_test_summary ("A command that ends without a word is run again, whether the pool blocks or not");
  for (guint i = 0; i < 2; i++)
    {
      check_late_command ("exit 3", i == 1);
      check_late_command ("exit 255", i == 1);
      check_late_command ("kill -KILL $$", i == 1);
    }
}

/* The same in vain. */
static void
test_templates_vain_command (void)
{
  static const char *const scripts[] = { "exit 3;", "kill -KILL $$;" };

  g_test_summary ("What a command that ends without a word was to do was not begun, whether the pool blocks or not");
  for (guint i = 0; i < 2 * G_N_ELEMENTS (scripts); i++)
    {
      g_autoptr(AfrpcProcess) vain = command_new (scripts[i / 2], "");
      g_autoptr(AfrpcCall) call = NULL;
      g_autoptr(GError) error = NULL;
      Case test;

      case_init_with (&test, vain, "act", "max-workers", 1, "max-failures", 2, NULL);
      call = afrpc_caller_start (caller_of (&test), test_act ("return", NULL), NULL);
      if (i % 2 == 0)
        error = wait_error (call);
      else
        g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
      g_assert_true (g_error_matches (error, AFRPC_ERROR, i / 2 == 0 ? AFRPC_ERROR_NOT_A_HOST : AFRPC_ERROR_NOT_STARTED));
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
      test_iterate_until_idle ();
      g_assert_cmpuint (test.errors->len, ==, 2);
      g_clear_object (&call);
      case_end (&test);
    }
}

static void
test_templates_slow (void)
{
  g_autoptr(AfrpcProcess) forking = forking_new ();
  g_autoptr(AfrpcProcess) slow = NULL;
  Meeting meeting;
  Case test;

  g_test_summary ("What takes long to start holds up nobody whom another template could serve");
  meeting_init (&meeting);
  slow = command_new ("read -r line <\"$1\"; ", meeting.path);
  case_init_with (&test, slow, "act", "max-workers", 2, "start-delay-ms", 1, NULL);
  afrpc_pool_add_template (test.pool, forking, 0, 0, 0);
  call_one (&test);
  g_assert_cmpuint (n_of (&test, slow), ==, 1);
  g_assert_cmpuint (n_of (&test, forking), ==, 1);
  meeting_let_go (&meeting);
  wait_idle (&test, 2);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_templates_remove (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  g_autoptr(AfrpcProcess) other = forking_new ();
  AfrpcCall *calls[6];
  guint n_same = 0;
  Meeting meeting;
  Case test;
  int pid;

  g_test_summary ("Workers of a template that is removed finish what they have, and get no more");
  meeting_init (&meeting);
  case_init_with (&test, first, "act", "max-workers", 1, "load", 2, "max-failures", 1, NULL);
  for (guint i = 0; i < 6; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), i == 0 ? meet (&meeting) : test_act ("return", NULL), NULL);
  wait_begun (&test, 1);
  pid = pid_of (calls[0]);
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  g_assert_false (afrpc_pool_remove_template (test.pool, other));
  g_assert_true (afrpc_pool_remove_template (test.pool, first));
  g_assert_false (afrpc_pool_remove_template (test.pool, first));
  g_assert_false (afrpc_pool_remove_template (test.pool, second));
  g_assert_true (afrpc_pool_get_process (test.pool) == second);
  g_assert_cmpuint (n_of (&test, first), ==, 0);
  /* The others need not wait for its end. */
  for (guint i = 2; i < 6; i++)
    g_variant_unref (wait_value (calls[i]));
  g_assert_false (afrpc_call_is_settled (calls[0]));
  meeting_let_go (&meeting);
  for (guint i = 0; i < 6; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      n_same += pid_of (calls[i]) == pid;
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (n_same, <=, 2);
  g_assert_cmpuint (test.errors->len, ==, 0);
  case_end (&test);
  meeting_end (&meeting);
}

/* Returns: who has answered */
static int
get_pid (Case *test)
{
  g_autoptr(AfrpcCall) call = start_act (test, "return", NULL);

  g_variant_unref (wait_value (call));

  return pid_of (call);
}

static void
test_templates_refresh (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  g_autoptr(AfrpcProcess) next = forking_new ();
  Meeting meeting;
  AfrpcCall *calls[2];
  int pids[2];
  Case test;

  g_test_summary ("Refreshing replaces the workers of one template that is named, of all, or the first template");
  meeting_init (&meeting);
  case_init_with (&test, first, "act", "max-workers", 2, "load", 1, "idle-workers", 2, NULL);
  afrpc_pool_add_template (test.pool, first, 1, 0, 0);
  afrpc_pool_add_template (test.pool, second, 1, 0, 0);
  wait_idle (&test, 2);
  for (guint i = 0; i < 2; i++)
    calls[i] = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 2);
  afrpc_pool_refresh (test.pool, second);
  g_assert_true (afrpc_pool_get_process (test.pool) == first);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 2; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      pids[i] = pid_of (calls[i]);
      g_clear_object (&calls[i]);
    }
  wait_idle (&test, 2);
  g_assert_cmpuint (n_of (&test, first), ==, 1);
  g_assert_cmpuint (n_of (&test, second), ==, 1);
  /* One of them has stayed, and that is the first one's. */
  g_assert_true (afrpc_pool_remove_template (test.pool, second));
  wait_idle (&test, 1);
  pids[0] = get_pid (&test) == pids[0] || get_pid (&test) == pids[1] ? get_pid (&test) : 0;
  g_assert_cmpint (pids[0], !=, 0);

  afrpc_pool_refresh (test.pool, next);
  g_assert_true (afrpc_pool_get_process (test.pool) == next);
  g_assert_cmpint (get_pid (&test), !=, pids[0]);
  pids[0] = get_pid (&test);
  afrpc_pool_refresh (test.pool, NULL);
  g_assert_cmpint (get_pid (&test), !=, pids[0]);
  /* Its numbers stay with its place. */
  g_assert_cmpuint (n_of (&test, next), ==, 1);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_templates_setting (void)
{
  Case test;
  g_autoptr(AfrpcProcess) forking = forking_new ();
  g_autoptr(AfrpcProcess) command = command_new ("", NULL);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr(GError) error = NULL;
  AfrpcCall *calls[2];

  g_test_summary ("A setting that cannot be sent to one worker is none of those either that it was sent to");
  g_assert_cmpint (g_unix_fd_list_append (fds, STDIN_FILENO, NULL), ==, 0);
  afrpc_call_options_set_fds (options, fds);
  case_init_with (&test, forking, "act", "max-workers", 2, "load", 1, "max-failures", 1, NULL);
  afrpc_pool_add_template (test.pool, forking, 1, 0, 0);
  afrpc_pool_add_template (test.pool, command, 1, 0, 0);
  afrpc_pool_set_idle_workers (test.pool, 2);
  wait_idle (&test, 2);
  g_assert_false (afrpc_pool_call_all_sync (test.pool, test_act ("configure", g_variant_new_string ("a")), options, NULL,
                                            &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  wait_idle (&test, 2);
  for (guint i = 0; i < 2; i++)
    calls[i] = start_act (&test, "configuration", NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GVariant) value = wait_value (calls[i]);

      g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "");
      g_object_unref (calls[i]);
    }
  g_assert_null (afrpc_pool_get_failure (test.pool));
  case_end (&test);
}

static void
test_templates_closed (void)
{
  g_autoptr(AfrpcProcess) first = forking_new ();
  g_autoptr(AfrpcProcess) second = forking_new ();
  g_autoptr(AfrpcCall) call = NULL;
  Case test;

  g_test_summary ("A pool that ends takes another template for what still waits, and none once it is over");
  case_init_with (&test, first, "act", NULL);
  call = start_act (&test, "return", NULL);
  afrpc_caller_close (caller_of (&test));
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  g_variant_unref (wait_value (call));
  test_iterate_until (&test.destroyed);
  afrpc_pool_add_template (test.pool, second, 0, 0, 0);
  g_assert_false (afrpc_pool_remove_template (test.pool, first));
  afrpc_pool_refresh (test.pool, first);
  g_clear_object (&call);
  case_end (&test);
}

/* @n_spare: so many descriptors there still are when it is to be started */
static void
try_short (guint n_spare)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  guint64 n_fds_max;
  Case test;

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  case_init_with (&test, process, "act", "max-workers", 1, "max-failures", 1, NULL);
  n_fds_max = own_process_limit_fds (test_count_fds () + n_spare);
  result = afrpc_caller_call_sync (caller_of (&test), test_act ("return", NULL), NULL, &error);
  own_process_limit_fds (n_fds_max);
  if (result == NULL)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_test_message ("%u spare: %s", n_spare, error != NULL ? error->message : "enough");

  afrpc_pool_refresh (test.pool, NULL);
  g_assert_cmpint (get_pid (&test), !=, 0);
  /* Forked from what stays; the first template may still be on its way out. */
  wait_idle (&test, 1);
  while (test_count_children () > 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (test_count_children (), ==, 2);
  case_end (&test);
}

static void
test_templates_short (void)
{
  g_test_summary ("A template that could not be started for want of descriptors is, once there are some, whatever it lacked");
  for (guint n_spare = 0; n_spare <= 12; n_spare++)
    {
      try_short (n_spare);
      wait_no_children ();
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  /* The first: it counts children, and later there are default templates, too. */
  g_test_add_func ("/pool-templates/short", test_templates_short);
  g_test_add_func ("/pool-templates/kinds", test_templates_kinds);
  g_test_add_func ("/pool-templates/shares", test_templates_shares);
  g_test_add_func ("/pool-templates/begun", test_templates_begun);
  g_test_add_func ("/pool-templates/limits", test_templates_limits);
  g_test_add_func ("/pool-templates/loads", test_templates_loads);
  g_test_add_func ("/pool-templates/broken", test_templates_broken);
  g_test_add_func ("/pool-templates/all-broken", test_templates_all_broken);
  g_test_add_func ("/pool-templates/back-off", test_templates_back_off);
  g_test_add_func ("/pool-templates/no-command", test_templates_no_command);
  g_test_add_func ("/pool-templates/no-command-late", test_templates_no_command_late);
  g_test_add_func ("/pool-templates/impossible", test_templates_impossible);
  g_test_add_func ("/pool-templates/late-command", test_templates_late_command);
  g_test_add_func ("/pool-templates/vain-command", test_templates_vain_command);
  g_test_add_func ("/pool-templates/slow", test_templates_slow);
  g_test_add_func ("/pool-templates/remove", test_templates_remove);
  g_test_add_func ("/pool-templates/refresh", test_templates_refresh);
  g_test_add_func ("/pool-templates/setting", test_templates_setting);
  g_test_add_func ("/pool-templates/closed", test_templates_closed);

  return g_test_run ();
}
