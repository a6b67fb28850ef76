/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Run by test-ssh.py, with a command that goes to another machine, which is this one. */

static int
get_pid (AfrpcProxy *proxy)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) pid = test_call (proxy, test_act ("readlink", g_variant_new_string ("/proc/self")), &error);

  g_assert_no_error (error);

  return atoi (g_variant_get_string (pid, NULL));
}

static void
test_ssh_calls (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("Calls, events and large messages");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  g_variant_unref (test_call (watched.proxy, test_act ("event", g_variant_new_uint32 (1)), NULL));
  result = test_call (watched.proxy, test_act ("return", test_zeros (1 << 20)), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_size (result), ==, 1 << 20);
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event 1; exited; destroyed; ");
  g_assert_true (afrpc_exit_is_success (watched.exit));
}

/* Kills the worker, or what connects it to us, while one call runs and another waits. */
static void
check_kill (gboolean    worker,
            int         code_after,
            const char *words)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) after = { 0 };
  int pid;

  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&watched);
  pid = get_pid (watched.proxy);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("spin", NULL), NULL, outcome_cb, &running);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &after);
  while (watched.n_events < 1)
    g_main_context_iteration (NULL, TRUE);
  kill (worker ? pid : afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy)), worker ? SIGKILL : SIGTERM);
  test_iterate_until (&watched.destroyed);

  g_assert_error (running.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_error (after.error, AFRPC_ERROR, code_after);
  if (strstr (running.error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, running.error->message);

  /* It does not look at its connection: its host does. */
  test_wait_gone (pid);
}

static void
test_ssh_worker_killed (void)
{
  g_test_summary ("A worker that is killed over there");
  check_kill (TRUE, AFRPC_ERROR_NOT_STARTED, "the worker was killed by signal 9");
}

static void
test_ssh_link_broken (void)
{
  g_test_summary ("A connection that breaks");
  check_kill (FALSE, AFRPC_ERROR_DIED, "the link to the worker broke");
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/ssh/calls", test_ssh_calls);
  g_test_add_func ("/ssh/worker-killed", test_ssh_worker_killed);
  g_test_add_func ("/ssh/link-broken", test_ssh_link_broken);

  return g_test_run ();
}
