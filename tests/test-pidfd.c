/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>

#include "os/afrpc-pidfd.h"

static gboolean is_old_kernel;

/* Instead of the C library's. */
int
ioctl (int           fd,
       unsigned long request,
       ...)
{
  va_list args;
  void *argument;

  if (is_old_kernel)
    {
      errno = ENOTTY;
      return -1;
    }
  va_start (args, request);
  argument = va_arg (args, void *);
  va_end (args);

  return syscall (SYS_ioctl, fd, request, argument);
}

static void
test_pidfd_is_process (gconstpointer data)
{
  const int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int pipe_fds[2], pid, pidfd;

  g_test_summary ("A pidfd is told from other descriptors, and whose it is");
  is_old_kernel = data != NULL;
  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  pid = fork ();
  if (pid == 0)
    {
      char byte;

      close (pipe_fds[1]);
      _exit (read (pipe_fds[0], &byte, 1) != 0);
    }
  pidfd = syscall (SYS_pidfd_open, pid, 0);
  if (pidfd < 0 && errno == ENOSYS)
    g_test_skip ("no pidfd_open ()");
  else
    {
      g_assert_true (afrpc_pidfd_is_process (pidfd, pid, getpid ()));
      g_assert_true (afrpc_pidfd_is_process (pidfd, pid, 0));
      g_assert_false (afrpc_pidfd_is_process (pidfd, pid, getppid ()));
      g_assert_false (afrpc_pidfd_is_process (pidfd, getpid (), 0));
      g_assert_false (afrpc_pidfd_is_process (null, pid, 0));
      g_assert_false (afrpc_pidfd_is_process (pipe_fds[0], pid, 0));
      g_assert_false (afrpc_pidfd_is_process (-1, pid, 0));

      /* A zombie is still what it was; then nobody is. */
      close (pipe_fds[1]);
      pipe_fds[1] = -1;
      g_assert_no_errno (waitid (P_PID, pid, &(siginfo_t) { 0 }, WEXITED | WNOWAIT));
      g_assert_true (afrpc_pidfd_is_process (pidfd, pid, getpid ()));
      g_assert_false (afrpc_pidfd_is_process (pidfd, pid, 1));
      g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
      g_assert_true (afrpc_pidfd_is_process (pidfd, pid, getpid ()));
      close (pidfd);
    }

  if (pipe_fds[1] >= 0)
    {
      close (pipe_fds[1]);
      waitpid (pid, NULL, 0);
    }
  close (pipe_fds[0]);
  close (null);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/pidfd/is-process", NULL, test_pidfd_is_process);
  g_test_add_data_func ("/pidfd/is-process/old-kernel", "old", test_pidfd_is_process);

  return g_test_run ();
}
