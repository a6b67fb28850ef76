/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signals that ask the command to end, in the main loop. Ctrl-C reaches the workers as well, and
 * their deaths must not be seen first, or they would be reported and made good. A signal handler is
 * too late for that: it runs after poll() has told of the deaths. poll() itself sees signalfd(2). */
#include "config.h"

#include "afrpc-tool.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct
{
  AfrpcToolSignalFunc func;
  gpointer data;
} watch;

static gboolean
signal_cb (int          fd,
           GIOCondition condition,
           gpointer     data)
{
  struct signalfd_siginfo info;

  if (read (fd, &info, sizeof info) == sizeof info)
    watch.func ((int) info.ssi_signo, watch.data);

  return G_SOURCE_CONTINUE;
}

static void
get_signals (sigset_t *set)
{
  static const int signums[] = { SIGHUP, SIGINT, SIGTERM };

  sigemptyset (set);
  for (gsize i = 0; i < G_N_ELEMENTS (signums); i++)
    {
      struct sigaction action;

      /* nohup, or a background job of a script: whoever started the command wants it ignored. */
      if (sigaction (signums[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        sigaddset (set, signums[i]);
    }
}

/* Has SIGHUP, SIGINT and SIGTERM wait until they are watched: threads that are started before that do not take them then. */
void
afrpc_tool_block_signals (void)
{
  sigset_t set;

  get_signals (&set);
  sigprocmask (SIG_BLOCK, &set, NULL);
}

/* Has them call @func, until the command ends. To be called once, before there are other threads, unless they were blocked
 * then; workers start with an empty signal mask. */
void
afrpc_tool_watch_signals (AfrpcToolSignalFunc func,
                          gpointer            data)
{
  sigset_t set;
  int fd;
  guint id;

  get_signals (&set);
  fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    {
      /* Then a signal ends the command at once, and the workers see that it is gone. */
      g_debug ("signalfd: %s", g_strerror (errno));
      sigprocmask (SIG_UNBLOCK, &set, NULL);
      return;
    }

  sigprocmask (SIG_BLOCK, &set, NULL);
  watch.func = func;
  watch.data = data;
  id = g_unix_fd_add_full (G_PRIORITY_HIGH, fd, G_IO_IN, signal_cb, NULL, NULL);
  g_source_set_name_by_id (id, "[afrpc] tool signals");
}
