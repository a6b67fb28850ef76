/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "spawn-child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const spawn_child_env[] = { "PATH=/usr/bin:/bin", NULL };

void
spawn_child_add_tests (const char           *path,
                       const SpawnChildTest *tests,
                       guint                 n_tests)
{
  const char *const ways[] = { "clone", "posix" };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    for (guint j = 0; j < n_tests; j++)
      {
        g_autofree char *test_path = g_strdup_printf ("%s/%s/%s", path, ways[i], tests[j].name);

        g_test_add_data_func (test_path, ways[i], tests[j].func);
      }
}

void
spawn_child_set_way (gconstpointer way)
{
  g_assert_no_errno (setenv ("AFRPC_SPAWN", way, TRUE));
}

AfrpcSpawned
spawn_child_start (const AfrpcSpawnPlan *plan)
{
  AfrpcSpawned spawned = { 0, -1 };
  sigset_t before, after;

  sigprocmask (SIG_SETMASK, NULL, &before);
  g_assert_true (afrpc_spawn (plan, &spawned, NULL));
  sigprocmask (SIG_SETMASK, NULL, &after);
  for (int i = 1; i < _NSIG; i++)
    g_assert_cmpint (sigismember (&before, i), ==, sigismember (&after, i));
  g_assert_cmpint (spawned.pid, >, 0);
  if (spawned.pidfd >= 0)
    g_assert_cmpint (fcntl (spawned.pidfd, F_GETFD), ==, FD_CLOEXEC);

  return spawned;
}

void
spawn_child_wait (AfrpcSpawned     *spawned,
                  AfrpcSpawnStatus *status)
{
  siginfo_t info;

  /* Fails when nobody can wait for it any more. */
  while (waitid (P_PID, spawned->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
    ;
  g_assert_true (afrpc_spawn_reap (spawned, status));
  g_assert_cmpint (spawned->pid, ==, 0);
  g_assert_cmpint (spawned->pidfd, ==, -1);
}

char *
spawn_child_run_script_in (const char       *cwd,
                           const char       *script,
                           AfrpcSpawnStatus *status)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  const int out = memfd_create ("out", MFD_CLOEXEC);
  const AfrpcSpawnPlan plan = {
    .path = "/bin/sh",
    .argv = argv,
    .envp = spawn_child_env,
    .cwd = cwd,
    .stdio = { -1, out, -1 },
    .socket = out,
  };
  AfrpcSpawned spawned = spawn_child_start (&plan);
  char *text = g_malloc0 (8192);

  spawn_child_wait (&spawned, status);
  g_assert_cmpint (pread (out, text, 8191, 0), >=, 0);
  close (out);

  return text;
}

char *
spawn_child_run_script (const char       *script,
                        AfrpcSpawnStatus *status)
{
  return spawn_child_run_script_in (NULL, script, status);
}
