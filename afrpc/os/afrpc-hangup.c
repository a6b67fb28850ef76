/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-hangup.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/afrpc-group.h"

/* Of the thread, which calls little: bytes */
#define STACK_SIZE (256 * 1024)

static struct
{
  pthread_t thread;
  void     *stack; /* the thread's: the C library would keep one for the next thread, and have each fork copy it */
  pid_t     pid; /* whose thread it is: one that a module forked has none; 0: of nobody */
  pid_t     tid;
  int       fd;
  int       signal;
  int       stop_fd;
} watch;

static void
end (void)
{
  /* A signal that is handled is for the worker, which ends its group then. */
  if (watch.signal != SIGKILL)
    {
      kill (getpid (), watch.signal);
      return;
    }

  if (afrpc_group_is_ours ())
    kill (0, SIGKILL);
  /* There is nobody whom it could matter to, as after the end of a connection that was read. */
  _exit (EXIT_SUCCESS);
}

/* A socket hangs up; the writing end of a pipe has an error. What arrives is not asked for. */
static void *
watch_cb (void *data)
{
  struct pollfd pollers[] = { { watch.fd, 0, 0 }, { watch.stop_fd, POLLIN, 0 } };

  watch.tid = gettid ();
  while (poll (pollers, G_N_ELEMENTS (pollers), -1) < 0)
    ;
  if (pollers[1].revents == 0 && (pollers[0].revents & (POLLHUP | POLLERR)) != 0)
    end ();

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

/* The calling process gets @signal, or ends if that is SIGKILL, when the other end of @fd, a socket or a pipe to write to, is
 * closed by all who have it. Where there is no thread or descriptor to be had, it is not watched. */
void
afrpc_hangup_watch (int fd,
                    int signal)
{
  watch.fd = fd;
  watch.signal = signal;
  watch.stop_fd = eventfd (0, EFD_CLOEXEC);
  if (watch.stop_fd < 0)
    return;

  if (start_thread ())
    watch.pid = getpid ();
  else
    close (watch.stop_fd);
}

void
afrpc_hangup_unwatch (void)
{
  if (watch.pid == 0)
    return;

  if (watch.pid == getpid ())
    {
      eventfd_write (watch.stop_fd, 1);
      pthread_join (watch.thread, NULL);
      /* The kernel lets go of one that was joined a moment later; until then the process cannot be forked as a template. */
      while (syscall (SYS_tgkill, watch.pid, watch.tid, 0) == 0)
        sched_yield ();
      munmap (watch.stack, STACK_SIZE);
    }
  watch.pid = 0;
  close (watch.stop_fd);
}
