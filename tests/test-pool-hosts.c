/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool-case.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

/* Pools with workers on several machines, of which some are not there: by fake-ssh/ssh, which is told by files which. */

static char *folder;

static void
set_down (const char *destination,
          gboolean    down)
{
  g_autofree char *path = g_build_filename (folder, destination, NULL);

  if (down)
    g_assert_true (g_file_set_contents (path, "", 0, NULL));
  else
    g_assert_cmpint (g_unlink (path), ==, 0);
}

static AfrpcProcess *
new_process (const char *destination)
{
  AfrpcProcess *process = afrpc_process_new_ssh (destination, NULL, NULL);

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

typedef struct
{
  Case test;
  AfrpcProcess *a;
  AfrpcProcess *b;
} Hosts;

/* One worker each, with one call each. */
static void
hosts_init (Hosts *hosts)
{
  hosts->a = new_process ("here-a");
  hosts->b = new_process ("here-b");
  case_init_with (&hosts->test, hosts->a, "act", "max-workers", 2, "load", 1, "start-delay-ms", 0, NULL);
  afrpc_pool_add_template (hosts->test.pool, hosts->a, 1, 0, 0);
  afrpc_pool_add_template (hosts->test.pool, hosts->b, 1, 0, 0);
}

static void
hosts_end (Hosts *hosts)
{
  case_end (&hosts->test);
  g_object_unref (hosts->a);
  g_object_unref (hosts->b);
  wait_no_children ();
}

static const char *
where (AfrpcCall *call)
{
  return afrpc_process_get_destination (afrpc_call_get_process (call));
}

static void
check_calls (Case       *test,
             guint       n,
             const char *destination) /* (nullable): any */
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (calls, start_act (test, "return", NULL));
  for (guint i = 0; i < n; i++)
    {
      g_variant_unref (wait_value (calls->pdata[i]));
      if (destination != NULL)
        g_assert_cmpstr (where (calls->pdata[i]), ==, destination);
    }
}

/* Whether an error was told that has these words. */
static gboolean
has_error (Case       *test,
           const char *words)
{
  for (guint i = 0; i < test->errors->len; i++)
    if (strstr (((GError *) test->errors->pdata[i])->message, words) != NULL)
      return TRUE;

  return FALSE;
}

/* Until both have a call that waits there. */
static void
check_both (Hosts *hosts)
{
  AfrpcCall *calls[2];
  Meeting meeting;
  const guint n_before = hosts->test.n_events;

  meeting_init (&meeting);
  for (guint i = 0; i < 2; i++)
    calls[i] = afrpc_caller_start (caller_of (&hosts->test), meet (&meeting), NULL);
  wait_begun (&hosts->test, n_before + 2);
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (hosts->test.pool, hosts->a), ==, 1);
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (hosts->test.pool, hosts->b), ==, 1);
  meeting_let_go (&meeting);
  for (guint i = 0; i < 2; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  meeting_end (&meeting);
}

static void
test_pool_hosts_both (void)
{
  Hosts hosts;

  g_test_summary ("Both have calls, and nothing is connected that serves none");
  hosts_init (&hosts);
  check_both (&hosts);
  g_assert_cmpint (afrpc_process_get_pid (hosts.a), ==, 0);
  g_assert_cmpint (afrpc_process_get_pid (hosts.b), ==, 0);
  hosts_end (&hosts);
}

static void
test_pool_hosts_one_down (void)
{
  Hosts hosts;

  g_test_summary ("One that is down is left out, and told of; once it is up, it has calls again");
  set_down ("here-b", TRUE);
  hosts_init (&hosts);
  check_calls (&hosts.test, 20, "here-a");
  while (afrpc_pool_get_template_failure (hosts.test.pool, hosts.b) == NULL)
    check_calls (&hosts.test, 2, "here-a");
  g_assert_error (afrpc_pool_get_template_failure (hosts.test.pool, hosts.b), AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_null (afrpc_pool_get_template_failure (hosts.test.pool, hosts.a));
  g_assert_null (afrpc_pool_get_failure (hosts.test.pool));
  g_assert_true (has_error (&hosts.test, "cannot reach 'here-b'"));
  g_assert_false (has_error (&hosts.test, "here-a"));
  set_down ("here-b", FALSE);
  check_both (&hosts);
  g_assert_null (afrpc_pool_get_template_failure (hosts.test.pool, hosts.b));
  hosts_end (&hosts);
}

static void
test_pool_hosts_first_down (void)
{
  Hosts hosts;

  g_test_summary ("The same if it is the one that the pool was made with");
  set_down ("here-a", TRUE);
  hosts_init (&hosts);
  check_calls (&hosts.test, 20, "here-b");
  g_assert_null (afrpc_pool_get_failure (hosts.test.pool));
  set_down ("here-a", FALSE);
  check_both (&hosts);
  hosts_end (&hosts);
}

static void
test_pool_hosts_silent (void)
{
  Hosts hosts;

  g_test_summary ("Nothing waits for one that does not answer");
  set_down ("here-b.silent", TRUE);
  hosts_init (&hosts);
  check_calls (&hosts.test, 20, "here-a");
  g_assert_null (afrpc_pool_get_failure (hosts.test.pool));
  set_down ("here-b.silent", FALSE);
  afrpc_caller_kill (caller_of (&hosts.test));
  hosts_end (&hosts);
}

static void
test_pool_hosts_all_down (void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  Hosts hosts;

  g_test_summary ("With all of them down it fails, and begins anew when it is refreshed");
  set_down ("here-a", TRUE);
  set_down ("here-b", TRUE);
  hosts_init (&hosts);
  call = start_act (&hosts.test, "return", NULL);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  g_assert_error (afrpc_pool_get_failure (hosts.test.pool), AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_true (has_error (&hosts.test, "cannot reach 'here-a'"));
  g_assert_true (has_error (&hosts.test, "cannot reach 'here-b'"));
  set_down ("here-a", FALSE);
  set_down ("here-b", FALSE);
  g_clear_object (&call);
  afrpc_pool_refresh (hosts.test.pool, NULL);
  check_both (&hosts);
  hosts_end (&hosts);
}

/* The connection to one breaks, and it does not come back at once. */
static void
check_broken (gboolean idempotent)
{
  g_autoptr(AfrpcCallOptions) options = idempotent ? idempotent_options () : NULL;
  AfrpcCall *calls[2], *lost, *kept;
  g_autoptr(GPtrArray) waiting = g_ptr_array_new_with_free_func (g_object_unref);
  Meeting meeting;
  Hosts hosts;

  meeting_init (&meeting);
  hosts_init (&hosts);
  for (guint i = 0; i < 2; i++)
    calls[i] = afrpc_caller_start (caller_of (&hosts.test), meet (&meeting), options);
  wait_begun (&hosts.test, 2);
  for (guint i = 0; i < 10; i++)
    g_ptr_array_add (waiting, start_act (&hosts.test, "return", NULL));
  lost = g_str_equal (where (calls[0]), "here-b") ? calls[0] : calls[1];
  kept = lost == calls[0] ? calls[1] : calls[0];
  set_down ("here-b", TRUE);
  kill (pid_of (lost), SIGKILL);
  if (idempotent)
    {
      /* The worker may have outlived its connection, and would answer. */
      while (!has_error (&hosts.test, "the link to the worker broke: 'ssh here-b'"))
        g_main_context_iteration (NULL, TRUE);
      meeting_let_go (&meeting);
      g_variant_unref (wait_value (lost));
      g_assert_cmpstr (where (lost), ==, "here-a");
    }
  else
    {
      g_autoptr(GError) error = wait_error (lost);

      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_cmpint (afrpc_call_get_started (lost), !=, AFRPC_STARTED_NO);
      g_assert_nonnull (strstr (error->message, "the link to the worker broke: 'ssh here-b'"));
      meeting_let_go (&meeting);
    }
  g_variant_unref (wait_value (kept));
  for (guint i = 0; i < waiting->len; i++)
    {
      g_variant_unref (wait_value (waiting->pdata[i]));
      g_assert_cmpstr (where (waiting->pdata[i]), ==, "here-a");
    }
  set_down ("here-b", FALSE);
  check_both (&hosts);
  g_ptr_array_set_size (waiting, 0);
  g_object_unref (calls[0]);
  g_object_unref (calls[1]);
  meeting_end (&meeting);
  hosts_end (&hosts);
}

static void
test_pool_hosts_broken (void)
{
  g_test_summary ("What one had is lost, or repeated if that does no harm; what waits goes to the other");
  check_broken (FALSE);
  check_broken (TRUE);
}

static void
test_pool_hosts_removed (void)
{
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  Hosts hosts;

  g_test_summary ("A process that workers were made from can be used itself, or killed, when it is not any more");
  hosts_init (&hosts);
  check_calls (&hosts.test, 1, NULL);
  g_assert_true (afrpc_pool_remove_template (hosts.test.pool, hosts.b));
  {
    g_auto(Watched) watched = { 0 };

    watch_init (&watched, afrpc_proxy_new (hosts.b, "act"));
    value = test_call (watched.proxy, test_act ("return", g_variant_new_int32 (7)), &error);
    g_assert_no_error (error);
    g_assert_cmpint (g_variant_get_int32 (value), ==, 7);
    watch_end (&watched);
  }
  afrpc_process_kill (hosts.a, SIGKILL);
  exit = afrpc_process_wait_sync (hosts.a, NULL, &error);
  g_assert_null (exit);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  check_calls (&hosts.test, 2, "here-a");
  hosts_end (&hosts);
}

static void
test_pool_hosts_unfit (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("here-a");
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) exit_error = NULL;
  g_autoptr(AfrpcExit) exit = NULL;

  g_test_summary ("One that has got what no other machine can have fails what is made from it, and ends when it is killed");
  test_send_fd_with (process, "text");
  pool = afrpc_pool_new (process, "act");
  value = afrpc_caller_call_sync (AFRPC_CALLER (pool), test_act ("return", NULL), NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  for (guint i = 0; i < 2; i++)
    afrpc_process_kill (process, SIGKILL);
  exit = afrpc_process_wait_sync (process, NULL, &exit_error);
  g_assert_null (exit);
  g_assert_error (exit_error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, NULL);
}

static void
test_pool_hosts_forked (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("here-b");
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A process that has failed with its machine is no reason for others to");
  set_down ("here-b", TRUE);
  exit = test_wait_exit (template);
  set_down ("here-b", FALSE);
  process = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
}

int
main (int   argc,
      char *argv[])
{
  g_autofree char *path = g_strdup_printf ("%s:%s", g_getenv ("AFRPC_TEST_SSH_PATH"), g_getenv ("PATH"));
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("afrpc-hosts-XXXXXX", NULL);
  g_assert_true (g_setenv ("PATH", path, TRUE));
  g_assert_true (g_setenv ("FAKE_SSH_DOWN", folder, TRUE));

  g_test_add_func ("/pool-hosts/both", test_pool_hosts_both);
  g_test_add_func ("/pool-hosts/one-down", test_pool_hosts_one_down);
  g_test_add_func ("/pool-hosts/first-down", test_pool_hosts_first_down);
  g_test_add_func ("/pool-hosts/silent", test_pool_hosts_silent);
  g_test_add_func ("/pool-hosts/all-down", test_pool_hosts_all_down);
  g_test_add_func ("/pool-hosts/broken", test_pool_hosts_broken);
  g_test_add_func ("/pool-hosts/unfit", test_pool_hosts_unfit);
  g_test_add_func ("/pool-hosts/forked", test_pool_hosts_forked);
  g_test_add_func ("/pool-hosts/removed", test_pool_hosts_removed);

  status = g_test_run ();
  g_rmdir (folder);
  g_free (folder);

  return status;
}
