/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "afrpc-error.h"
#include "os/afrpc-group.h"
#include "own-process.h"
#include "spawn-child.h"

static guint n_waits_interrupted;

/* Instead of the C library's. */
pid_t
waitpid (pid_t  pid,
         int   *status,
         int    options)
{
  if (n_waits_interrupted > 0)
    {
      n_waits_interrupted--;
      errno = EINTR;
      return -1;
    }

  return wait4 (pid, status, options, NULL);
}

static void
test_spawn_status (gconstpointer way)
{
  static const struct
  {
    const char *script;
    int status;
    int signum;
  } cases[] = {
    { "exit 0", 0, 0 }, { "exit 3", 3, 0 }, { "exit 255", 255, 0 }, { "exec /bin/true", 0, 0 },
    { "exec /bin/false", 1, 0 }, { "kill -9 $$", -1, SIGKILL }, { "kill -TERM $$", -1, SIGTERM },
    { "ulimit -c 0; kill -QUIT $$", -1, SIGQUIT },
  };

  g_test_summary ("It is known how a process ended, and what it used");
  spawn_child_set_way (way);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      AfrpcSpawnStatus status;
      g_autofree char *text = spawn_child_run_script (cases[i].script, &status);

      g_assert_true (status.known);
      g_assert_cmpint (status.status, ==, cases[i].status);
      g_assert_cmpint (status.signum, ==, cases[i].signum);
      g_assert_false (status.core);
      g_assert_cmpint (status.usage.ru_maxrss, >, 0);
      g_assert_cmpint (status.usage.ru_minflt, >, 0);
    }
  own_process_assert_no_children ();
}

static void
test_spawn_core (gconstpointer way)
{
  AfrpcSpawnStatus status;
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GDir) dir = NULL;
  const char *name;
  gboolean has_file = FALSE;

  g_test_summary ("It is known whether a process left a core");
  spawn_child_set_way (way);
  text = spawn_child_run_script_in (folder, "ulimit -c unlimited; kill -QUIT $$", &status);
  g_assert_cmpint (status.signum, ==, SIGQUIT);
  dir = g_dir_open (folder, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      has_file = TRUE;
      g_unlink (path);
    }
  g_rmdir (folder);
  if (has_file)
    g_assert_true (status.core);
  else
    g_test_skip ("cores go elsewhere on this system");
}

static void
check_failure (const char *path,
               const char *cwd,
               int         fd,
               int         error_number)
{
  const char *const argv[] = { path, NULL };
  const AfrpcSpawnPlan plan = {
    .path = path,
    .argv = argv,
    .envp = spawn_child_env,
    .cwd = cwd,
    .stdio = { -1, fd, -1 },
    .socket = STDIN_FILENO,
  };
  const guint n_fds = own_process_count_fds ();
  AfrpcSpawned spawned = { -5, -6 };
  g_autofree char *doing = NULL;

  g_assert_false (afrpc_spawn (&plan, &spawned, &doing));
  g_assert_cmpint (errno, ==, error_number);
  g_assert_nonnull (strstr (doing, cwd != NULL ? cwd : path));
  g_assert_cmpint (strstr (doing, "working directory") != NULL, ==, cwd != NULL);
  g_assert_cmpint (spawned.pid, ==, -5);
  g_assert_cmpint (spawned.pidfd, ==, -6);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  own_process_assert_no_children ();
}

static void
test_spawn_failures (gconstpointer way)
{
  g_autofree char *garbage = NULL;
  int fd;

  g_test_summary ("A program that cannot be started is an error with its name and the reason, and "
                  "leaves nothing");
  spawn_child_set_way (way);
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind's child does not share our memory, where it would say what failed");
      return;
    }
  g_assert_no_errno (fd = g_file_open_tmp ("afrpc-XXXXXX", &garbage, NULL));
  g_assert_cmpint (write (fd, "\1\2\3\4garbage\n", 12), ==, 12);
  g_assert_no_errno (fchmod (fd, 0600));
  check_failure (garbage, NULL, -1, EACCES);
  g_assert_no_errno (fchmod (fd, 0700));
  close (fd);
  check_failure (garbage, NULL, -1, ENOEXEC);
  check_failure ("/bin/true", garbage, -1, ENOTDIR);
  g_assert_no_errno (g_unlink (garbage));
  check_failure (garbage, NULL, -1, ENOENT);
  check_failure ("/bin/true", garbage, -1, ENOENT);
  check_failure ("", NULL, -1, ENOENT);
  check_failure ("/", NULL, -1, EACCES);
  check_failure ("/bin/true", NULL, 12345, EBADF);
  g_assert_no_errno (fd = dup (STDIN_FILENO));
  close (fd);
  g_assert_cmpint (fd, <, 10);
  check_failure ("/bin/true", NULL, fd, EBADF);
}

static void
test_spawn_surroundings (gconstpointer way)
{
  const char *const argv[] = { "zero", "-c", "echo \"$0|$1|$2|$#|$X|$Y|$HOME\"; pwd", "a b", "",
                               "c", NULL };
  const char *const envp[] = { "X=1 2", "Y=", NULL };
  const int out = memfd_create ("out", MFD_CLOEXEC);
  const AfrpcSpawnPlan plan = {
    .path = "/bin/sh",
    .argv = argv,
    .envp = envp,
    .cwd = "/proc",
    .stdio = { -1, out, -1 },
    .socket = out,
  };
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *after = NULL;
  char text[1000] = { 0 };

  g_test_summary ("Arguments, environment and working directory are the planned ones, and ours "
                  "stays");
  spawn_child_set_way (way);
  spawned = spawn_child_start (&plan);
  spawn_child_wait (&spawned, &status);
  g_assert_cmpint (pread (out, text, sizeof text - 1, 0), >, 0);
  g_assert_cmpstr (text, ==, "a b||c|2|1 2||\n/proc\n");
  close (out);
  after = g_get_current_dir ();
  g_assert_cmpstr (before, ==, after);
}

static void
ignore_cb (int signum)
{
}

static void
assert_no_signals (const char *status,
                   const char *name)
{
  /* The C library keeps two for itself; its posix_spawn() has them ignored. */
  const guint64 private_signals = (guint64) 3 << (32 - 1);
  const char *line = strstr (status, name);

  g_assert_nonnull (line);
  g_assert_cmphex (g_ascii_strtoull (line + strlen (name), NULL, 16) & ~private_signals, ==, 0);
}

static void
test_spawn_signals (gconstpointer way)
{
  struct sigaction before[_NSIG];
  sigset_t all, blocked;
  AfrpcSpawnStatus status;
  g_autofree char *text = NULL;

  g_test_summary ("Whatever we do with signals, in the child all of them are as by default");
  spawn_child_set_way (way);
  sigfillset (&all);
  for (int i = 1; i < _NSIG; i++)
    {
      const struct sigaction action = { .sa_handler = i % 2 == 0 ? SIG_IGN : ignore_cb };

      if (sigaction (i, NULL, &before[i]) == 0 && i != SIGCHLD)
        sigaction (i, &action, NULL);
    }
  sigprocmask (SIG_SETMASK, &all, &blocked);
  text = spawn_child_run_script ("exec cat /proc/self/status", &status);
  sigprocmask (SIG_SETMASK, &blocked, NULL);
  for (int i = 1; i < _NSIG; i++)
    if (i != SIGKILL && i != SIGSTOP && i != SIGCHLD)
      sigaction (i, &before[i], NULL);

  assert_no_signals (text, "SigBlk:");
  assert_no_signals (text, "SigIgn:");
  assert_no_signals (text, "SigCgt:");
  assert_no_signals (text, "SigPnd:");
}

static int test_pid;
static volatile gboolean handler_strayed;

static void
where_am_i_cb (int signum)
{
  if (syscall (SYS_getpid) != test_pid)
    handler_strayed = TRUE;
}

/* Signals to the whole process group until told to stop. */
static gpointer
bombard_thread (gpointer stop)
{
  while (!g_atomic_int_get ((int *) stop))
    kill (0, SIGURG);

  return NULL;
}

static void
test_spawn_bombarded (gconstpointer way)
{
  const struct sigaction action = { .sa_handler = where_am_i_cb, .sa_flags = SA_RESTART };
  const struct sigaction none = { .sa_handler = SIG_DFL };
  int stop = FALSE;
  GThread *thread;

  g_test_summary ("Our signal handlers do not run in a child that shares our memory");
  spawn_child_set_way (way);
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind's child does not share our memory");
      return;
    }
  if (getpgrp () != getpid ())
    g_assert_no_errno (setpgid (0, 0));
  test_pid = getpid ();
  handler_strayed = FALSE;
  g_assert_no_errno (sigaction (SIGURG, &action, NULL));
  thread = g_thread_new ("bombard", bombard_thread, &stop);
  for (guint i = 0; i < 200; i++)
    {
      const char *const argv[] = { "true", NULL };
      const AfrpcSpawnPlan plan = { "/bin/true", argv, spawn_child_env, NULL, { -1, -1, -1 },
                                    STDIN_FILENO };
      AfrpcSpawned spawned = spawn_child_start (&plan);
      AfrpcSpawnStatus status;

      spawn_child_wait (&spawned, &status);
      g_assert_cmpint (status.status, ==, 0);
    }
  g_atomic_int_set (&stop, TRUE);
  g_thread_join (thread);
  g_assert_no_errno (sigaction (SIGURG, &none, NULL));
  g_assert_false (handler_strayed);
}

/* Starts cat, which ends when @input is closed. */
static AfrpcSpawned
start_cat (int *input)
{
  const char *const argv[] = { "cat", NULL };
  AfrpcSpawnPlan plan = { "/bin/cat", argv, spawn_child_env, NULL, { -1, -1, -1 }, STDIN_FILENO };
  AfrpcSpawned spawned;
  int fds[2];

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  plan.stdio[0] = fds[0];
  spawned = spawn_child_start (&plan);
  close (fds[0]);
  *input = fds[1];

  return spawned;
}

static void
check_signal (int      signum, /* 0: none */
              gboolean has_pidfd)
{
  int input;
  AfrpcSpawned spawned = start_cat (&input);
  AfrpcSpawnStatus status;
  siginfo_t info = { 0 };
  const int pid = spawned.pid;

  if (!has_pidfd)
    {
      close (spawned.pidfd);
      spawned.pidfd = -1;
    }
  g_assert_false (afrpc_spawn_reap (&spawned, &status));
  g_assert_cmpint (spawned.pid, ==, pid);
  afrpc_spawn_signal (&spawned, 0);
  g_assert_no_errno (waitid (P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG));
  g_assert_cmpint (info.si_pid, ==, 0);

  if (signum != 0)
    afrpc_spawn_signal (&spawned, signum);
  else
    close (input);
  g_assert_no_errno (waitid (P_PID, pid, &info, WEXITED | WNOWAIT));
  if (signum != 0)
    close (input);
  afrpc_spawn_signal (&spawned, SIGKILL);
  g_assert_true (afrpc_spawn_reap (&spawned, &status));
  g_assert_true (status.known);
  g_assert_cmpint (status.signum, ==, signum);
  g_assert_cmpint (status.status, ==, signum == 0 ? 0 : -1);

  afrpc_spawn_signal (&spawned, SIGKILL);
  g_assert_true (afrpc_spawn_reap (&spawned, &status));
  g_assert_false (status.known);
  g_assert_cmpint (spawned.pid, ==, 0);
  g_assert_cmpint (spawned.pidfd, ==, -1);
}

static void
test_spawn_signal (gconstpointer way)
{
  g_test_summary ("A process that runs is not reaped, gets signals, and none once it is reaped");
  spawn_child_set_way (way);
  for (guint i = 0; i < 2; i++)
    {
      if (i == 1 && syscall (SYS_pidfd_send_signal, -1, 0, NULL, 0) < 0 && errno == ENOSYS)
        {
          g_test_skip ("no pidfd_send_signal ()");
          return;
        }
      check_signal (0, i == 1);
      check_signal (SIGTERM, i == 1);
      check_signal (SIGKILL, i == 1);
    }
}

static void
test_spawn_group (gconstpointer way)
{
  const char *const argv[] = { "sleep", "1000", NULL };
  const AfrpcSpawnPlan plan = { "/bin/sleep", argv, spawn_child_env, NULL, { -1, -1, -1 }, -1, TRUE };
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;

  g_test_summary ("A group is signalled by its number only as long as its leader is a child of this process");
  spawn_child_set_way (way);
  spawned = spawn_child_start (&plan);
  g_assert_true (afrpc_group_signal (spawned.pid, -1, TRUE, 0));
  g_assert_false (afrpc_group_signal (spawned.pid, -1, FALSE, 0));
  g_assert_false (afrpc_group_signal (getpgrp (), -1, TRUE, 0));
  g_assert_true (afrpc_group_signal (spawned.pid, -1, TRUE, SIGKILL));
  spawn_child_wait (&spawned, &status);
  g_assert_cmpint (status.signum, ==, SIGKILL);
}

static void
test_spawn_find (gconstpointer way)
{
  const int others[] = { getpid (), getppid (), 1, 0, -1, G_MININT };
  int input, pidfd;
  AfrpcSpawned spawned;
  AfrpcSpawnStatus status;

  g_test_summary ("A pidfd can be had again for our own child, while it runs and after, and for no "
                  "other process");
  spawn_child_set_way (way);
  pidfd = syscall (SYS_pidfd_open, getpid (), 0);
  if (pidfd < 0)
    {
      g_test_skip ("no pidfd_open ()");
      return;
    }
  close (pidfd);

  spawned = start_cat (&input);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (afrpc_spawn_find (spawned.pid, &pidfd));
      g_assert_cmpint (fcntl (pidfd, F_GETFD), ==, FD_CLOEXEC);
      close (spawned.pidfd);
      spawned.pidfd = pidfd;
      if (i == 0)
        {
          close (input);
          g_assert_no_errno (waitid (P_PID, spawned.pid, &(siginfo_t) { 0 }, WEXITED | WNOWAIT));
        }
    }
  spawn_child_wait (&spawned, &status);
  g_assert_cmpint (status.status, ==, 0);

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_false (afrpc_spawn_find (others[i], &pidfd));
}

static void
test_spawn_reaped_by_others (gconstpointer way)
{
  AfrpcSpawnStatus status;
  g_autofree char *text = NULL;
  g_autofree char *again = NULL;

  g_test_summary ("When nobody can know how a process ended, its end is known all the same");
  spawn_child_set_way (way);
  signal (SIGCHLD, SIG_IGN);
  text = spawn_child_run_script ("exit 3", &status);
  if (!own_process_is_under_valgrind ())
    check_failure ("/does/not/exist", NULL, -1, ENOENT);
  signal (SIGCHLD, SIG_DFL);
  g_assert_false (status.known);
  g_assert_cmpint (status.status, ==, -1);
  g_assert_cmpint (status.signum, ==, 0);

  again = spawn_child_run_script ("exit 3", &status);
  g_assert_true (status.known);
  g_assert_cmpint (status.status, ==, 3);
}

static void
test_spawn_interrupted (gconstpointer way)
{
  g_test_summary ("A signal while a failed child is waited for leaves no zombie");
  spawn_child_set_way (way);
  if (own_process_is_under_valgrind () || g_strcmp0 (g_getenv ("AFRPC_SPAWN"), "posix") == 0)
    {
      g_test_skip ("the C library waits");
      return;
    }

  n_waits_interrupted = 1;
  check_failure ("/does/not/exist", NULL, -1, ENOENT);
  g_assert_cmpuint (n_waits_interrupted, ==, 0);
}

/* Pages of address space, used or not. */
static guint64
count_pages (void)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));

  return g_ascii_strtoull (text, NULL, 10);
}

static void
test_spawn_many (gconstpointer way)
{
  const char *const argv[] = { "true", NULL };
  const AfrpcSpawnPlan plan = { "/bin/true", argv, spawn_child_env, NULL, { 0, 1, 2 },
                                STDIN_FILENO };
  const guint n_fds = own_process_count_fds ();
  const guint64 n_pages = count_pages ();
  AfrpcSpawned spawned[20];

  g_test_summary ("Hundreds of processes leave no zombie, no descriptor and no memory");
  spawn_child_set_way (way);
  for (guint i = 0; i < 500; i += G_N_ELEMENTS (spawned))
    {
      for (guint j = 0; j < G_N_ELEMENTS (spawned); j++)
        spawned[j] = spawn_child_start (&plan);
      for (guint j = 0; j < G_N_ELEMENTS (spawned); j++)
        {
          AfrpcSpawnStatus status;

          spawn_child_wait (&spawned[j], &status);
          g_assert_cmpint (status.status, ==, 0);
        }
      own_process_assert_no_children ();
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  g_assert_cmpuint (count_pages (), <, n_pages + 4000);
}

static const SpawnChildTest tests[] = {
  { "status", test_spawn_status },
  { "core", test_spawn_core },
  { "failures", test_spawn_failures },
  { "surroundings", test_spawn_surroundings },
  { "signals", test_spawn_signals },
  { "bombarded", test_spawn_bombarded },
  { "signal", test_spawn_signal },
  { "group", test_spawn_group },
  { "find", test_spawn_find },
  { "reaped-by-others", test_spawn_reaped_by_others },
  { "interrupted", test_spawn_interrupted },
  { "many", test_spawn_many },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  spawn_child_add_tests ("/spawn", tests, G_N_ELEMENTS (tests));

  return g_test_run ();
}
