/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Process groups that workers lead, and how they end. */
#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own-process.h"

#define N_FREE_ENV "AFRPC_TEST_N_FREE"
#define N_FREE_MAX 30u  /* by then everything works */
#define N_STARTED 5u    /* with the fewest, and with some more */
#define N_OCCUPIED 40   /* a worker inherits the limit, and needs less */

typedef enum
{
  EXEC,
  TEMPLATE,
  FORK,    /* of one that was prepared */
  COMMAND,
  N_WAYS,
} Way;

static const char *const names[] = { "exec", "template", "fork", "command" };

/* A worker, and what it has started: all that is left of these holds the pipe open. */
typedef struct
{
  AfrpcProcess *template; /* (nullable) (owned) */
  AfrpcProcess *process;  /* (owned) */
  AfrpcProxy *proxy;      /* (owned) */
  int ended_fd;           /* at its end when all are gone */
  int child;              /* what the worker has started */
} Group;

static AfrpcProcess *
process_new (Way            way,
             gboolean       leads,
             AfrpcProcess **template)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *const argv[] = { "sh", "-c", "\"$0\"; exit $?", host, NULL };
  AfrpcProcess *process;

  switch (way)
    {
    case TEMPLATE:
      process = afrpc_process_new ();
      break;

    case FORK:
      *template = afrpc_process_new_exec (NULL);
      afrpc_process_set_process_group (*template, leads);
      process = afrpc_process_fork (*template);
      g_assert_cmpint (afrpc_process_get_process_group (process), ==, leads);
      return process;

    case COMMAND:
      process = afrpc_process_new_command (argv);
      break;

    default:
      process = afrpc_process_new_exec (NULL);
      break;
    }
  afrpc_process_set_process_group (process, leads);

  return process;
}

static GVariant *
call (Group      *group,
      const char *what,
      GVariant   *value)
{
  g_autoptr(GError) error = NULL;
  GVariant *result = afrpc_caller_call_sync (AFRPC_CALLER (group->proxy), test_act (what, value), NULL, &error);

  g_assert_no_error (error);

  return result;
}

static int
start (Group *group)
{
  g_autoptr(GVariant) pid = call (group, "start", NULL);

  return g_variant_get_int32 (pid);
}

static void
group_init (Group    *group,
            Way       way,
            gboolean  leads)
{
  const gboolean is_command = way == COMMAND;
  int fds[2];

  *group = (Group) { 0 };
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  group->process = process_new (way, leads, &group->template);
  afrpc_process_require (group->process, TEST_WORKER);
  /* A command talks by its standard output. */
  if (is_command)
    afrpc_process_take_stderr_fd (group->process, fds[1]);
  else
    afrpc_process_take_stdout_fd (group->process, fds[1]);
  group->ended_fd = fds[0];
  group->proxy = afrpc_proxy_new (group->process, "act");
  g_signal_connect (group->proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  group->child = start (group);
}

/* Waits until everything of it is gone. */
static void
wait_ended (Group *group)
{
  test_iterate_until_fd (group->ended_fd, G_IO_HUP);
}

static void
group_clear (Group *group)
{
  close (group->ended_fd);
  g_clear_object (&group->proxy);
  g_clear_object (&group->process);
  g_clear_object (&group->template);
}

static void
test_group_kill (gconstpointer way)
{
  Group group;

  g_test_summary ("What a worker has started ends when that is killed");
  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  if (GPOINTER_TO_INT (way) != COMMAND)
    g_assert_cmpint (getpgid (group.child), ==, afrpc_process_get_pid (group.process));
  g_assert_cmpint (getpgid (afrpc_process_get_pid (group.process)), ==, afrpc_process_get_pid (group.process));
  afrpc_caller_kill (AFRPC_CALLER (group.proxy));
  wait_ended (&group);
  group_clear (&group);
}

static void
test_group_signal (gconstpointer way)
{
  Group group;
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GVariant) signum = NULL;

  g_test_summary ("A signal goes to all of the group");
  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  if (GPOINTER_TO_INT (way) != COMMAND)
    {
      g_variant_unref (call (&group, "ignore", g_variant_new_int32 (SIGUSR1)));
      afrpc_process_kill (group.process, SIGUSR1);
      signum = call (&group, "reap", NULL);
      g_assert_cmpint (g_variant_get_int32 (signum), ==, SIGUSR1);
      start (&group);
    }
  afrpc_process_kill (group.process, SIGTERM);
  wait_ended (&group);
  exit = test_wait_exit (group.process);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGTERM);
  group_clear (&group);
}

static void
test_group_exit (gconstpointer way)
{
  Group group;
  g_autoptr(AfrpcExit) exit = NULL;

  g_test_summary ("The group ends when its worker does, by itself or in order, whose exit status is its own");
  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (group.proxy), test_act ("exit", g_variant_new_uint32 (3)), NULL, NULL));
  wait_ended (&group);
  exit = test_wait_exit (group.process);
  g_assert_cmpint (afrpc_exit_get_status (exit), ==, 3);
  group_clear (&group);

  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (group.proxy), test_act ("abort", NULL), NULL, NULL));
  wait_ended (&group);
  group_clear (&group);

  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  g_clear_pointer (&exit, afrpc_exit_unref);
  afrpc_caller_close (AFRPC_CALLER (group.proxy));
  wait_ended (&group);
  exit = test_wait_exit (group.process);
  g_assert_true (afrpc_exit_is_success (exit));
  group_clear (&group);
}

/* Where the worker's output goes that is read here: a command talks by its standard output. */
static GVariant *
get_output_fd (Way way)
{
  return g_variant_new_int32 (way == COMMAND ? STDERR_FILENO : STDOUT_FILENO);
}

static void
test_group_linger (gconstpointer way)
{
  const int signals[] = { SIGKILL, SIGTERM };

  g_test_summary ("A worker that has left its group to exit gets signals, although that has members");
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      Group group;
      g_autoptr(AfrpcExit) exit = NULL;

      group_init (&group, GPOINTER_TO_INT (way), TRUE);
      g_variant_unref (call (&group, "linger", get_output_fd (GPOINTER_TO_INT (way))));
      afrpc_caller_call (AFRPC_CALLER (group.proxy), test_act ("exit", g_variant_new_uint32 (3)), NULL, NULL, NULL);
      test_iterate_until_fd (group.ended_fd, G_IO_IN);
      afrpc_process_kill (group.process, signals[i]);
      exit = test_wait_exit (group.process);
      g_assert_cmpint (afrpc_exit_get_signal (exit), ==, signals[i]);
      wait_ended (&group);
      group_clear (&group);
    }
}

/* What a program's worker does when that dies */
typedef enum
{
  CRASH,  /* it computes */
  ORPHAN, /* nothing, and ends by itself */
  LINGER, /* it is about to exit, for a long time */
  LEAVE,  /* it has moved to another group */
} Doing;

static const char *const doing_names[] = { "crash", "orphan", "linger", "leave" };

static void
crash (Way   way,
       Doing doing)
{
  const char *const jobs[] = { "spin", NULL, "exit", "leave" };
  AfrpcProcess *template = NULL;
  AfrpcProcess *process = process_new (way, TRUE, &template);
  Group group = { template, process, NULL, -1, 0 };
  g_auto(Watched) watched = { 0 };

  afrpc_process_require (process, TEST_WORKER);
  if (way == COMMAND)
    afrpc_process_take_stderr_fd (process, dup (1));
  if (doing == ORPHAN)
    afrpc_process_set_orphan_policy (process, AFRPC_ORPHAN_POLICY_FINISH);
  group.proxy = afrpc_proxy_new (process, "act");
  watch_init (&watched, group.proxy);
  watch_events (&watched);
  start (&group);
  if (doing == ORPHAN)
    g_variant_unref (call (&group, "mumble", g_variant_new_string ("written\n")));
  if (doing == LINGER)
    g_variant_unref (call (&group, "linger", get_output_fd (way)));
  if (jobs[doing] != NULL)
    afrpc_caller_call (AFRPC_CALLER (group.proxy), test_act (jobs[doing], get_output_fd (way)), NULL, NULL, NULL);
  /* One that lingers says so to the test, which kills this. */
  while (doing >= LINGER || (doing == CRASH && watched.n_events == 0))
    g_main_context_iteration (NULL, TRUE);
  g_print ("started\n");
  kill (getpid (), SIGKILL);
}

static void
check_crash (Way      way,
             Doing    doing,
             gboolean is_adopted) /* by somebody of another session, as in a user's systemd */
{
  g_autofree char *path = g_strdup_printf ("/group/%s/%s", names[way], doing_names[doing]);
  /* What a worker has not written yet is written when it exits. */
  const char *const ends[] = { "started\n", "started\nwritten\n", "lingers\n", "lingers\n" };
  const char *const argv[] = { "test-group", "-p", path, "--GTestSubprocess", NULL };
  g_autofree char *output = NULL;

  if (g_test_subprocess ())
    {
      crash (way, doing);
      return;
    }

  g_assert_cmpint (prctl (PR_SET_CHILD_SUBREAPER, is_adopted), ==, 0);
  output = test_run_to_end (argv, "lingers\n", is_adopted ? TEST_RUN_IN_SESSION : TEST_RUN_DEFAULT);
  g_assert_true (g_str_has_suffix (output, ends[doing]));
  prctl (PR_SET_CHILD_SUBREAPER, 0);
  while (is_adopted && waitpid (-1, NULL, WNOHANG | __WALL) > 0)
    ;
}

static void
test_group_crash (gconstpointer way)
{
  g_test_summary ("The group ends with the program, also if that is killed");
  check_crash (GPOINTER_TO_INT (way), CRASH, FALSE);
  check_crash (GPOINTER_TO_INT (way), CRASH, TRUE);
}

static void
test_group_crash_posix (void)
{
  g_test_summary ("That of a command does so also where it is started in the other way");
  g_setenv ("AFRPC_SPAWN", "posix", TRUE);
  check_crash (COMMAND, CRASH, FALSE);
  g_unsetenv ("AFRPC_SPAWN");
}

static void
test_group_crash_lingering (gconstpointer way)
{
  g_test_summary ("A worker that has left its group to exit ends with the program, too");
  check_crash (GPOINTER_TO_INT (way), LINGER, FALSE);
  check_crash (GPOINTER_TO_INT (way), LINGER, TRUE);
}

static void
test_group_crash_left (gconstpointer way)
{
  g_test_summary ("So does one whose function has moved it to another group");
  check_crash (GPOINTER_TO_INT (way), LEAVE, FALSE);
}

static void
test_group_orphan (gconstpointer way)
{
  g_test_summary ("A worker that has lost its program, and finishes, ends its group");
  if (GPOINTER_TO_INT (way) == COMMAND)
    {
      g_test_skip ("nobody is left to end the group of a command that has such a policy");
      return;
    }
  check_crash (GPOINTER_TO_INT (way), ORPHAN, FALSE);
  check_crash (GPOINTER_TO_INT (way), ORPHAN, TRUE);
}

/* A program that has few descriptors left starts a worker, which computes, and dies. */
static void
crash_short (Way   way,
             guint n_free)
{
  AfrpcProcess *template = NULL;
  AfrpcProcess *process = process_new (way, TRUE, &template);
  AfrpcProxy *proxy;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  guint64 n_fds_max;
  guint n_events = 0;

  afrpc_process_require (process, TEST_WORKER);
  if (way == COMMAND)
    afrpc_process_take_stderr_fd (process, dup (1));
  proxy = afrpc_proxy_new (process, "act");
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect_swapped (proxy, "event", G_CALLBACK (test_count_cb), &n_events);
  while (fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 0) < N_OCCUPIED)
    ;
  n_fds_max = own_process_limit_fds (own_process_lowest_fd () + n_free);
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("start", NULL), NULL, &error);
  own_process_limit_fds (n_fds_max);
  if (result == NULL)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  else
    afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("spin", NULL), NULL, NULL, NULL);
  while (result != NULL && n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  g_print (result != NULL ? "started\n" : "refused\n");
  kill (getpid (), SIGKILL);
}

static void
test_group_short (gconstpointer way)
{
  g_autofree char *path = g_strdup_printf ("/group/%s/short", names[GPOINTER_TO_INT (way)]);
  const char *const argv[] = { "test-group", "-p", path, "--GTestSubprocess", NULL };
  guint n_started = 0;

  if (g_test_subprocess ())
    {
      crash_short (GPOINTER_TO_INT (way), atoi (g_getenv (N_FREE_ENV)));
      return;
    }

  g_test_summary ("Where there are too few descriptors there is an error, and no group that would not end with the program");
  for (guint n_free = 0; n_started < N_STARTED; n_free++)
    {
      g_autofree char *number = g_strdup_printf ("%u", n_free);
      g_autofree char *output = NULL;

      g_assert_cmpuint (n_free, <, N_FREE_MAX);
      g_setenv (N_FREE_ENV, number, TRUE);
      output = test_run_to_end (argv, NULL, TEST_RUN_DEFAULT);
      if (g_str_has_suffix (output, "started\n"))
        n_started++;
      else
        g_assert_true (g_str_has_suffix (output, "refused\n"));
    }
  g_unsetenv (N_FREE_ENV);
}

static void
test_group_none (gconstpointer way)
{
  Group group;
  g_autoptr(AfrpcExit) exit = NULL;

  g_test_summary ("By default a worker is in the program's group, and what it has started lives on");
  group_init (&group, GPOINTER_TO_INT (way), FALSE);
  g_assert_cmpint (getpgid (afrpc_process_get_pid (group.process)), ==, getpgrp ());
  afrpc_caller_kill (AFRPC_CALLER (group.proxy));
  exit = test_wait_exit (group.process);
  g_assert_cmpint (kill (group.child, SIGKILL), ==, 0);
  wait_ended (&group);
  group_clear (&group);
}

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1u << 2) /* since Linux 6.9 */
#endif

static gboolean
can_signal_groups_by_pidfd (void)
{
  const int pidfd = syscall (SYS_pidfd_open, getpid (), 0);
  const gboolean can = pidfd >= 0 && syscall (SYS_pidfd_send_signal, pidfd, 0, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0;

  if (pidfd >= 0)
    close (pidfd);

  return can || errno == ESRCH; /* this process may lead none */
}

static void
test_group_reaped (gconstpointer way)
{
  Group group;

  g_test_summary ("The group ends with its worker also if somebody else reaps that");
  if (!can_signal_groups_by_pidfd ())
    {
      g_test_skip ("this needs Linux 6.9");
      return;
    }

  signal (SIGCHLD, SIG_IGN);
  group_init (&group, GPOINTER_TO_INT (way), TRUE);
  g_assert_cmpint (kill (afrpc_process_get_pid (group.process), SIGKILL), ==, 0);
  wait_ended (&group);
  group_clear (&group);
  signal (SIGCHLD, SIG_DFL);
}

/* Forks a process that has this number, and leads a group, once the number is free. Its exit status is whether it has got
 * SIGUSR1 until the pipe is at its end. Returns: FALSE if this process may not choose numbers */
static gboolean
fork_as (int pid,
         int fds[2])
{
  gint64 place = pid;
  struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (guintptr) &place, .set_tid_size = 1 };
  sigset_t signals;
  char byte;
  long forked;

  sigemptyset (&signals);
  sigaddset (&signals, SIGUSR1);
  pthread_sigmask (SIG_BLOCK, &signals, NULL);
  do
    forked = syscall (SYS_clone3, &args, sizeof args);
  while (forked < 0 && errno == EEXIST);
  if (forked == 0)
    {
      close (fds[1]);
      while (read (fds[0], &byte, 1) < 0)
        ;
      sigpending (&signals);
      _exit (sigismember (&signals, SIGUSR1) ? 1 : 0);
    }
  pthread_sigmask (SIG_UNBLOCK, &signals, NULL);

  return forked == pid && setpgid (pid, pid) == 0;
}

static void
test_group_reused (void)
{
  Group group;
  int fds[2], pid, status = 0;

  g_test_summary ("A group that has got the number of one that is no more gets no signals");
  signal (SIGCHLD, SIG_IGN);
  g_assert_cmpint (prctl (PR_SET_CHILD_SUBREAPER, TRUE), ==, 0);
  group_init (&group, EXEC, TRUE);
  pid = afrpc_process_get_pid (group.process);
  /* Without a main loop, in which the program would hear of it. */
  g_assert_cmpint (kill (-pid, SIGKILL), ==, 0);
  while (kill (pid, 0) == 0 || kill (-pid, 0) == 0)
    sched_yield ();
  signal (SIGCHLD, SIG_DFL);
  g_assert_cmpint (prctl (PR_SET_CHILD_SUBREAPER, FALSE), ==, 0);
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  if (fork_as (pid, fds))
    {
      afrpc_process_kill (group.process, SIGUSR1);
      close (fds[1]);
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
    }
  else
    {
      g_test_skip ("numbers of processes cannot be chosen here");
      close (fds[1]);
    }
  close (fds[0]);
  group_clear (&group);
}

static void
test_group_property (void)
{
  g_autoptr(AfrpcProcess) process = g_object_new (AFRPC_TYPE_PROCESS, "host", "c", "process-group", TRUE, NULL);
  g_autoptr(AfrpcProxy) proxy = NULL;
  guint n_notified = 0;

  g_test_summary ("It is said of a process before that is started");
  g_assert_true (afrpc_process_get_process_group (process));
  g_signal_connect_swapped (process, "notify::process-group", G_CALLBACK (test_count_cb), &n_notified);
  afrpc_process_set_process_group (process, FALSE);
  afrpc_process_set_process_group (process, FALSE);
  g_assert_cmpuint (n_notified, ==, 1);
  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "act");
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, NULL));
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_set_process_group: this is said of a process before*");
  afrpc_process_set_process_group (process, TRUE);
  g_test_assert_expected_messages ();
  g_assert_false (afrpc_process_get_process_group (process));
}

static void
test_group_template (void)
{
  Group group;
  g_autoptr(AfrpcProcess) other = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A template that ends takes nobody with it who was forked from it");
  group_init (&group, FORK, TRUE);
  other = afrpc_process_fork (group.template);
  afrpc_process_require (other, TEST_WORKER);
  g_clear_object (&group.template);
  proxy = afrpc_proxy_new (other, "act");
  value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (getpgid (afrpc_process_get_pid (other)), ==, afrpc_process_get_pid (other));
  g_assert_cmpint (kill (group.child, 0), ==, 0);
  afrpc_caller_close (AFRPC_CALLER (group.proxy));
  wait_ended (&group);
  group_clear (&group);
}

static gboolean
is_alive (int pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *stat = NULL;

  return g_file_get_contents (path, &stat, NULL, NULL) && strstr (stat, ") Z ") == NULL;
}

static void
test_group_template_module (void)
{
  g_autofree char *path = NULL;
  g_autofree char *words = NULL;
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  int pidfd;
  const int fd = g_file_open_tmp ("afrpc-group-XXXXXX", &path, NULL);
  int child = 0;

  g_test_summary ("What a module of a template has started is not ended with that");
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  afrpc_process_set_process_group (template, TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_LOADING_S", "0", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_LOADING_FILE", path, TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_LOADING_STARTS", "1", TRUE);
  afrpc_process_require (template, g_getenv ("AFRPC_TEST_SLOW_WORKER"));
  process = afrpc_process_fork (template);
  proxy = afrpc_proxy_new (process, "nothing");
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, NULL));
  pidfd = syscall (SYS_pidfd_open, afrpc_process_get_pid (template), 0);
  g_assert_cmpint (pidfd, >=, 0);
  g_clear_object (&template);
  test_iterate_until_fd (pidfd, G_IO_IN);
  close (pidfd);
  g_assert_true (g_file_get_contents (path, &words, NULL, NULL));
  g_assert_cmpint (sscanf (words, "loading %d", &child), ==, 1);
  g_assert_true (is_alive (child));
  g_assert_cmpint (kill (child, SIGKILL), ==, 0);
  unlink (path);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (int way = 0; way < N_WAYS; way++)
    {
      const struct { const char *name; GTestDataFunc func; } tests[] = {
        { "kill", test_group_kill }, { "signal", test_group_signal }, { "exit", test_group_exit },
        { "crash", test_group_crash }, { "orphan", test_group_orphan }, { "none", test_group_none },
        { "reaped", test_group_reaped }, { "killed-lingering", test_group_linger },
        { "linger", test_group_crash_lingering }, { "leave", test_group_crash_left },
        { "short", test_group_short },
      };

      for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
        {
          g_autofree char *path = g_strdup_printf ("/group/%s/%s", names[way], tests[i].name);

          g_test_add_data_func (path, GINT_TO_POINTER (way), tests[i].func);
        }
    }
  g_test_add_func ("/group/property", test_group_property);
  g_test_add_func ("/group/crash-posix", test_group_crash_posix);
  g_test_add_func ("/group/reused", test_group_reused);
  g_test_add_func ("/group/template", test_group_template);
  g_test_add_func ("/group/template-module", test_group_template_module);

  return g_test_run ();
}
