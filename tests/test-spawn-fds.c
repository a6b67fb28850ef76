/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "spawn-child.h"

/* Says in each descriptor which it is; 9: there are others. */
#define SAY_DESCRIPTORS \
  "for i in 0 1 2 3; do echo $i >&$i; done; " \
  "for f in /proc/$$/fd/*; do case $f in */[0-3]) ;; *) [ -e \"$f\" ] && exit 9 ;; esac; done; " \
  "exit 0"

/* Prints the numbers of those that there are. */
#define SHOW_DESCRIPTORS "for f in /proc/$$/fd/*; do [ -e $f ] && echo ${f##*/}; done"

#define N_SOURCES 10

/* With our own descriptors 0 to 9 as sources: starts a child with @from, and returns whether all of
 * its own came from where they should. -1 leaves one as it is. */
static gboolean
connects (const int from[4])
{
  const char *const argv[] = { "sh", "-c", SAY_DESCRIPTORS, NULL };
  const AfrpcSpawnPlan plan = {
    .path = "/bin/sh",
    .argv = argv,
    .envp = spawn_child_env,
    .stdio = { from[0], from[1], from[2] },
    .socket = from[3],
  };
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;
  gboolean ok;

  if (!afrpc_spawn (&plan, &spawned, NULL))
    return FALSE;
  waitid (P_PID, spawned.pid, &(siginfo_t) { 0 }, WEXITED | WNOWAIT);
  ok = afrpc_spawn_reap (&spawned, &status) && status.status == 0;

  for (int source = 0; source < N_SOURCES; source++)
    {
      char text[100] = { 0 }, expected[100] = { 0 };

      for (int i = 0; i < 4; i++)
        if (from[i] == source || (from[i] < 0 && i == source))
          g_snprintf (expected + strlen (expected), 10, "%d\n", i);
      if (pread (source, text, sizeof text - 1, 0) < 0 || strcmp (text, expected) != 0)
        ok = FALSE;
      if (ftruncate (source, 0) != 0)
        ok = FALSE;
      lseek (source, 0, SEEK_SET);
    }

  return ok;
}

/* Puts fresh files at 0 to 9, and what was there at @saved; nothing may be printed now. */
static void
occupy_sources (int saved[N_SOURCES])
{
  for (int i = 0; i < N_SOURCES; i++)
    saved[i] = fcntl (i, F_DUPFD_CLOEXEC, 100);

  for (int i = 0; i < N_SOURCES; i++)
    {
      int memfd = memfd_create ("source", MFD_CLOEXEC);

      dup2 (memfd, i);
      if (memfd != i)
        close (memfd);
    }
}

static void
free_sources (const int saved[N_SOURCES])
{
  for (int i = 0; i < N_SOURCES; i++)
    {
      close (i);
      if (saved[i] < 0)
        continue;
      dup3 (saved[i], i, i > STDERR_FILENO ? O_CLOEXEC : 0);
      close (saved[i]);
    }
}

/* All ways to give 0 to 3 to 0 to 3, then random ones of 0 to 9. */
static void
choose_sources (guint i,
                int   from[4])
{
  if (i < 256)
    for (guint j = 0; j < 4; j++)
      from[j] = i >> 2 * j & 3;
  else
    for (guint j = 0; j < 4; j++)
      from[j] = g_test_rand_int_range (j < 3 ? -1 : 0, N_SOURCES);
}

static void
test_spawn_descriptors (gconstpointer way)
{
  const guint n = g_test_thorough () ? 10000 : 400;
  int saved[N_SOURCES], from[4];
  gboolean ok = TRUE;

  g_test_summary ("The child gets its four descriptors from wherever they are, and no others");
  spawn_child_set_way (way);
  fflush (stdout);
  occupy_sources (saved);
  for (guint i = 0; i < n && ok; i++)
    {
      choose_sources (i, from);
      ok = connects (from);
    }
  free_sources (saved);
  if (!ok)
    g_test_fail_printf ("from %d, %d, %d, %d", from[0], from[1], from[2], from[3]);
  own_process_assert_no_children ();
}

static void
test_spawn_no_socket (gconstpointer way)
{
  const char *const argv[] = { "sh", "-c", SHOW_DESCRIPTORS, NULL };
  const int flags = fcntl (AFRPC_SPAWN_SOCKET_FD, F_GETFD);
  const int other = fcntl (STDIN_FILENO, F_DUPFD, AFRPC_SPAWN_SOCKET_FD);
  const int out = memfd_create ("out", MFD_CLOEXEC);
  const AfrpcSpawnPlan plan = { "/bin/sh", argv, spawn_child_env, NULL, { -1, out, -1 }, -1 };
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;
  char text[100] = { 0 };

  g_test_summary ("A child that gets no socket finds nothing in its place");
  spawn_child_set_way (way);
  g_assert_no_errno (fcntl (AFRPC_SPAWN_SOCKET_FD, F_SETFD, 0));
  spawned = spawn_child_start (&plan);
  spawn_child_wait (&spawned, &status);
  g_assert_cmpint (pread (out, text, sizeof text - 1, 0), >, 0);
  g_assert_cmpstr (text, ==, "0\n1\n2\n");
  close (out);
  if (flags >= 0)
    g_assert_no_errno (fcntl (AFRPC_SPAWN_SOCKET_FD, F_SETFD, flags));
  close (other);
}

static void
test_spawn_other_descriptors (gconstpointer way)
{
  int fds[] = { 4, 5, 9, 10, 11, 64, 500 };
  AfrpcSpawnStatus status;
  g_autofree char *text = NULL;

  g_test_summary ("Descriptors that lack close-on-exec do not get into the child");
  spawn_child_set_way (way);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_no_errno (fds[i] = fcntl (STDIN_FILENO, F_DUPFD, fds[i]));
  text = spawn_child_run_script ("echo x >&3; " SHOW_DESCRIPTORS, &status);
  g_assert_cmpstr (text, ==, "x\n0\n1\n2\n3\n");
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_cmpint (fcntl (fds[i], F_GETFD), ==, 0);
      close (fds[i]);
    }
}

#define N_OCCUPIED 41 /* no holes below */

/* Returns whether a child can be started when descriptors have to be below that. */
static gboolean
starts_below (int n_max)
{
  const char *const argv[] = { "true", NULL };
  const AfrpcSpawnPlan plan = { "/bin/true", argv, spawn_child_env, NULL, { 0, 1, 2 }, 0 };
  g_autofree char *doing = NULL;
  int error_number;
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;
  guint64 n_fds_max;
  gboolean ok;
  int fds[64], n_fds = 0;

  do
    g_assert_no_errno (fds[n_fds] = fcntl (0, F_DUPFD_CLOEXEC, 0));
  while (fds[n_fds++] < N_OCCUPIED - 1);
  n_fds_max = own_process_limit_fds (n_max);
  ok = afrpc_spawn (&plan, &spawned, &doing);
  error_number = errno;
  own_process_limit_fds (n_fds_max);
  while (n_fds > 0)
    close (fds[--n_fds]);

  if (ok)
    spawn_child_wait (&spawned, &status);
  else
    {
      g_assert_cmpint (error_number, ==, EMFILE);
      g_assert_nonnull (strstr (doing, "/bin/true"));
    }

  return ok;
}

static void
test_spawn_no_descriptors_left (gconstpointer way)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("When our table of descriptors is full, starting fails cleanly, and works again "
                  "later");
  spawn_child_set_way (way);
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind only pretends to set limits");
      return;
    }
  /* Four to lie above the child's own, and one to watch it, which the one way can do without. */
  for (int n = 0; n < 8; n++)
    {
      g_assert_cmpint (starts_below (N_OCCUPIED + n), ==,
                       n >= (strcmp (way, "posix") == 0 ? 4 : 5));
      g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
      own_process_assert_no_children ();
    }
  g_assert_false (starts_below (5));
}

static const SpawnChildTest tests[] = {
  { "descriptors", test_spawn_descriptors },
  { "no-socket", test_spawn_no_socket },
  { "other-descriptors", test_spawn_other_descriptors },
  { "no-descriptors-left", test_spawn_no_descriptors_left },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  spawn_child_add_tests ("/spawn-fds", tests, G_N_ELEMENTS (tests));

  return g_test_run ();
}
