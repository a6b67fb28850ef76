/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other ways to start a process that does next to nothing. Variants: "fork" (without exec; the
 * floor), "fork-server" (a process is asked to fork, and gets the new one's socket: the least that a template can do),
 * "posix-spawn" and "gsubprocess" (both of bench-tiny); with "four-" in front, four at a time. */
#include "bench-common.h"

#include <gio/gio.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEER "spawn"
#define CHILD_FD 3
#define SERVER "fork-server" /* the workload that is to be one */

typedef struct
{
  pid_t pid;
  int fd;
  GSubprocess *process; /* (nullable): only of "gsubprocess" */
} Child;

extern char **environ;

static char *tiny; /* the path of bench-tiny */
static int server_fd = -1; /* to the fork server */

G_NORETURN static void
be_child (int child_fd)
{
  char buffer[256];
  ssize_t len;

  /* Its siblings' sockets are not its own, or they would not see the end. */
  dup2 (child_fd, CHILD_FD);
  close_range (CHILD_FD + 1, ~0u, 0);
  child_fd = CHILD_FD;
  while ((len = read (child_fd, buffer, sizeof buffer)) > 0)
    if (write (child_fd, buffer, (size_t) len) != len)
      _exit (1);
  _exit (0);
}

static void
start_fork (Child *child,
            int    child_fd)
{
  child->pid = fork ();
  if (child->pid < 0)
    bench_fail ("fork: %m");
  if (child->pid == 0)
    be_child (child_fd);
}

typedef union
{
  struct cmsghdr align;
  char bytes[CMSG_SPACE (sizeof (int))];
} Control;

/* Forks a sibling for each descriptor, and says which process it is. */
G_NORETURN static void
serve_forks (int fd)
{
  for (;;)
    {
      Control control;
      char byte;
      struct iovec iov = { &byte, 1 };
      struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control,
      };
      int child_fd;
      pid_t pid;

      if (recvmsg (fd, &message, MSG_CMSG_CLOEXEC) <= 0)
        _exit (0);
      memcpy (&child_fd, CMSG_DATA (CMSG_FIRSTHDR (&message)), sizeof child_fd);
      pid = (pid_t) syscall (SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
      if (pid == 0)
        be_child (child_fd);
      close (child_fd);
      if (write (fd, &pid, sizeof pid) != sizeof pid)
        _exit (1);
    }
}

/* This program executed anew, without its heap. */
static void
begin_fork_server (void)
{
  const char *argv[] = { "bench-spawn", "--workload", SERVER, "--n", "1", NULL };
  posix_spawn_file_actions_t actions;
  pid_t pid;
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_adddup2 (&actions, fds[1], STDIN_FILENO);
  if (posix_spawn (&pid, "/proc/self/exe", &actions, NULL, (char **) argv, environ) != 0)
    bench_fail ("posix_spawn of the fork server failed");
  posix_spawn_file_actions_destroy (&actions);
  close (fds[1]);
  server_fd = fds[0];
}

static void
start_fork_server (Child *child,
                   int    child_fd)
{
  Control control = { .bytes = "" };
  char byte = 0;
  struct iovec iov = { &byte, 1 };
  struct msghdr message = {
    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control,
  };
  struct cmsghdr *cmsg = CMSG_FIRSTHDR (&message);

  cmsg->cmsg_level = SOL_SOCKET;
  cmsg->cmsg_type = SCM_RIGHTS;
  cmsg->cmsg_len = CMSG_LEN (sizeof child_fd);
  memcpy (CMSG_DATA (cmsg), &child_fd, sizeof child_fd);
  if (sendmsg (server_fd, &message, 0) != 1 ||
      recv (server_fd, &child->pid, sizeof child->pid, MSG_WAITALL) != sizeof child->pid || child->pid <= 0)
    bench_fail ("the fork server: %m");
}

static void
start_posix_spawn (Child *child,
                   int    child_fd)
{
  char *argv[] = { tiny, NULL };
  posix_spawn_file_actions_t actions;

  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_adddup2 (&actions, child_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2 (&actions, child_fd, STDOUT_FILENO);
  if (posix_spawn (&child->pid, tiny, &actions, NULL, argv, environ) != 0)
    bench_fail ("posix_spawn of %s failed", tiny);
  posix_spawn_file_actions_destroy (&actions);
}

static void
start_gsubprocess (Child *child,
                   int    child_fd)
{
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr(GError) error = NULL;

  g_subprocess_launcher_take_stdin_fd (launcher, dup (child_fd));
  g_subprocess_launcher_take_stdout_fd (launcher, dup (child_fd));
  child->process = g_subprocess_launcher_spawn (launcher, &error, tiny, NULL);
  if (child->process == NULL)
    bench_fail ("spawn: %s", error->message);
  child->pid = atoi (g_subprocess_get_identifier (child->process));
  g_subprocess_launcher_close (launcher);
}

static void
start (Child      *child,
       const char *variant)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  *child = (Child) { .fd = fds[0] };
  if (strcmp (variant, "fork") == 0)
    start_fork (child, fds[1]);
  else if (strcmp (variant, "fork-server") == 0)
    start_fork_server (child, fds[1]);
  else if (strcmp (variant, "posix-spawn") == 0)
    start_posix_spawn (child, fds[1]);
  else if (strcmp (variant, "gsubprocess") == 0)
    start_gsubprocess (child, fds[1]);
  else
    bench_fail ("no such variant: %s", variant);
  close (fds[1]);
}

static void
ask (Child    *child,
     uint64_t  number)
{
  char text[BENCH_TEXT_LEN];

  bench_text_write (text, number);
  if (write (child->fd, text, sizeof text) != (ssize_t) sizeof text)
    bench_fail ("write: %m");
}

static void
hear (Child    *child,
      uint64_t  number)
{
  char reply[BENCH_TEXT_LEN];

  if (recv (child->fd, reply, sizeof reply, MSG_WAITALL) != (ssize_t) sizeof reply)
    bench_fail ("recv: %m");
  if (!bench_text_is (reply, number))
    bench_fail ("reply %" G_GUINT64_FORMAT " is wrong", number);
}

static void
call (Child    *child,
      uint64_t  number)
{
  ask (child, number);
  hear (child, number);
}

static void
end (Child *child)
{
  g_autoptr(GError) error = NULL;
  int status;

  close (child->fd);
  if (child->process != NULL)
    {
      if (!g_subprocess_wait_check (child->process, NULL, &error))
        bench_fail ("child: %s", error->message);
      g_clear_object (&child->process);
    }
  else if (waitpid (child->pid, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
}

/* Four are under way at any time: the oldest ends before the next begins. */
static void
spawn_four (const char *variant,
            uint64_t    n)
{
  Child children[BENCH_FOUR];

  for (uint64_t i = 0; i < n + BENCH_FOUR; i++)
    {
      Child *child = &children[i % BENCH_FOUR];

      if (i >= BENCH_FOUR && i - BENCH_FOUR < n)
        {
          hear (child, i - BENCH_FOUR);
          end (child);
        }
      if (i < n)
        {
          start (child, variant);
          ask (child, i);
        }
    }
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchMeter meter;
  Child child;

  bench_options_init (&options, argc, argv);
  tiny = g_build_filename (options.directory, "bench-tiny", NULL);
  if (g_str_has_suffix (options.variant, "fork-server"))
    begin_fork_server ();

  if (strcmp (options.workload, SERVER) == 0)
    serve_forks (STDIN_FILENO);
  else if (strcmp (options.workload, "W5") == 0)
    {
      bench_meter_start (&meter, 0);
      if (g_str_has_prefix (options.variant, BENCH_FOUR_PREFIX))
        spawn_four (options.variant + strlen (BENCH_FOUR_PREFIX), options.n);
      else
        for (uint64_t i = 0; i < options.n; i++)
          {
            start (&child, options.variant);
            call (&child, i);
            end (&child);
          }
      bench_meter_stop (&meter);
      bench_report_time (&options, PEER, &meter);
    }
  else if (strcmp (options.workload, "W6") == 0)
    {
      start (&child, options.variant);
      for (uint64_t i = 0; i < options.n; i++)
        call (&child, i);
      bench_report_value (&options, PEER, "kB", bench_private_kb (child.pid));
      end (&child);
    }
  else
    bench_fail ("no such workload here: %s", options.workload);
  g_free (tiny);
  return 0;
}
