/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-hangup.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/afrpc-file-id.h"
#include "os/afrpc-group.h"
#include "os/afrpc-low-fd.h"

/* Of the thread, which calls little: bytes */
#define STACK_SIZE (256 * 1024)

/* What is not told is noticed after so long: that the watching is over, and that the main thread is. */
#define LOOK_MS 1000

/* The kernel lets go of a thread that was joined in a moment, unless something else says that it is still there. */
#define RELEASE_MS 1000

static struct
{
  pthread_t thread;
  void     *stack; /* the thread's: the C library would keep one for the next thread, and have each fork copy it */
  pid_t     pid; /* whose thread it is: one that a module forked has none; 0: of nobody */
  pid_t     tid;
  int       fd;
  AfrpcFileId connection;
  int       stop_fds[2]; /* the thread's end, and ours: sockets, which can be shut down whoever has inherited them */
  AfrpcFileId stops[2];
  int       is_over; /* atomic, and a futex */
  int      *main_tid; /* (nullable): 0 when the main thread has ended */
} watch;

static void
end (void)
{
  if (afrpc_group_is_ours ())
    kill (0, SIGKILL);
  /* There is nobody whom it could matter to, as after the end of a connection that was read. */
  _exit (EXIT_SUCCESS);
}

/* Where the C library has the number of the main thread, which the kernel sets to 0 when that ends: alone, by
 * pthread_exit(), or because a filter of system calls says so. It takes no call, which a filter may refuse as well, to
 * look there. */
static int *
find_main_tid (void)
{
  gint64 place = 0;

  return gettid () == getpid () && prctl (PR_GET_TID_ADDRESS, &place, 0, 0, 0) == 0 ? (int *) (guintptr) place : NULL;
}

/* Whatever a module has done to the limits: poll() takes no more descriptors than a process may have. FALSE: there is no
 * way to wait. */
static gboolean
wait_a_while (struct pollfd *pollers)
{
  const struct timespec time = { LOOK_MS / 1000, LOOK_MS % 1000 * 1000000l };

  for (guint n = 2; n > 0; n--)
    {
      pollers[0].revents = pollers[1].revents = 0;
      if (poll (pollers, n, LOOK_MS) >= 0 || errno == EINTR)
        return TRUE;
    }

  return syscall (SYS_futex, &watch.is_over, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0) == 0 || errno == ETIMEDOUT ||
         errno == EAGAIN || errno == EINTR;
}

/* FALSE: it is a number that something else has got, or nothing. */
static gboolean
is_about (struct pollfd     *poller,
          const AfrpcFileId *file)
{
  if (poller->revents == 0)
    return FALSE;
  if ((poller->revents & POLLNVAL) == 0 && afrpc_file_id_is (file, poller->fd))
    return TRUE;

  poller->fd = -1;
  return FALSE;
}

/* A socket hangs up; the writing end of a pipe has an error. What arrives is not asked for. */
static void *
watch_cb (void *data)
{
  struct pollfd pollers[] = { { watch.fd, 0, 0 }, { watch.stop_fds[0], 0, 0 } };

  watch.tid = gettid ();
  while (g_atomic_int_get (&watch.is_over) == 0)
    {
      if (!wait_a_while (pollers) || is_about (&pollers[1], &watch.stops[0]) || g_atomic_int_get (&watch.is_over) != 0)
        break;
      if (is_about (&pollers[0], &watch.connection))
        end ();
      /* The last thread ends the process, with the status of the main one. Not by way of the C library, which would then
       * call exit() here, and wait for what the main thread has locked. */
      if (watch.main_tid != NULL && g_atomic_int_get (watch.main_tid) == 0)
        syscall (SYS_exit, EXIT_SUCCESS);
    }

  return NULL;
}

static gboolean
start_thread (void)
{
  pthread_attr_t attributes;
  sigset_t all, before;
  gboolean is_started;

  if (pthread_attr_init (&attributes) != 0)
    return FALSE;

  watch.stack = mmap (NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (watch.stack == MAP_FAILED)
    {
      pthread_attr_destroy (&attributes);
      return FALSE;
    }

  /* Signals are for the threads that the module knows. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  is_started = pthread_attr_setstack (&attributes, watch.stack, STACK_SIZE) == 0
               && pthread_create (&watch.thread, &attributes, watch_cb, NULL) == 0;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  pthread_attr_destroy (&attributes);
  if (!is_started)
    munmap (watch.stack, STACK_SIZE);

  return is_started;
}

static void
close_stops (void)
{
  for (guint i = 0; i < 2; i++)
    if (afrpc_file_id_is (&watch.stops[i], watch.stop_fds[i]))
      close (watch.stop_fds[i]);
}

/* The calling process, and the group that it leads, end when the other end of @fd, a socket or a pipe to write to, is
 * closed by all who have it. Where there is no thread or descriptor to be had, it is not watched. What runs meanwhile may
 * close any descriptor, and open another one of that number. */
void
afrpc_hangup_watch (int fd)
{
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, watch.stop_fds) != 0 ||
      afrpc_low_fd_lift_pair (watch.stop_fds) != 0)
    return;

  watch.fd = fd;
  watch.connection = afrpc_file_id_get (fd);
  for (guint i = 0; i < 2; i++)
    watch.stops[i] = afrpc_file_id_get (watch.stop_fds[i]);
  watch.main_tid = find_main_tid ();
  watch.is_over = 0;
  if (start_thread ())
    watch.pid = getpid ();
  else
    close_stops ();
}

static void
wait_released (void)
{
  const gint64 deadline = g_get_monotonic_time () + RELEASE_MS * 1000;

  while (syscall (SYS_tgkill, watch.pid, watch.tid, 0) == 0 && g_get_monotonic_time () < deadline)
    sched_yield ();
}

void
afrpc_hangup_unwatch (void)
{
  if (watch.pid == 0)
    return;

  if (watch.pid == getpid ())
    {
      g_atomic_int_set (&watch.is_over, 1);
      if (afrpc_file_id_is (&watch.stops[1], watch.stop_fds[1]))
        shutdown (watch.stop_fds[1], SHUT_RDWR);
      syscall (SYS_futex, &watch.is_over, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
      pthread_join (watch.thread, NULL);
      /* Until then the process cannot be forked as a template. */
      wait_released ();
      munmap (watch.stack, STACK_SIZE);
    }
  watch.pid = 0;
  close_stops ();
}
