/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process outside: orphans of the one that does all the work become its children, which it counts when it is
 * asked, and ends when all is over. */
#include "chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTSIDE_ENV "AFRPC_CHAOS_OUTSIDE" /* the socket's number, and the process outside */
#define PATIENCE_MS 20000

/* Whether this is the one outside, which starts the other. */
gboolean
chaos_is_outside (void)
{
  return g_getenv (OUTSIDE_ENV) == NULL;
}

/* Takes the bodies of all but @inside away; returns its status, or -1. */
static int
reap (int inside)
{
  int pid, status, inside_status = -1;

  while ((pid = waitpid (-1, &status, WNOHANG | __WALL)) > 0)
    if (pid == inside)
      inside_status = status;

  return inside_status;
}

/* Waits for the end of those who end by themselves. */
static void
answer (int socket,
        int inside,
        int signals)
{
  g_autoptr(GString) names = g_string_new (NULL);
  struct pollfd poller = { signals, POLLIN, 0 };
  const gint64 until = g_get_monotonic_time () + PATIENCE_MS * 1000;

  for (;;)
    {
      struct signalfd_siginfo info;
      gint64 left = (until - g_get_monotonic_time ()) / 1000;

      /* Not the one inside, which waits for the answer. */
      reap (inside);
      g_string_truncate (names, 0);
      if (chaos_count_children (getpid (), names) <= 1 || left <= 0)
        break;
      if (poll (&poller, 1, MIN (left, 100)) > 0 && read (signals, &info, sizeof info) < 0)
        break;
    }
  if (chaos_count_children (getpid (), NULL) <= 1)
    g_string_truncate (names, 0);
  if (send (socket, names->len > 0 ? names->str : "-", names->len > 0 ? names->len : 1, MSG_NOSIGNAL) < 0)
    perror ("send");
}

static int
watch (int socket,
       int inside,
       int signals)
{
  struct pollfd pollers[] = { { socket, POLLIN, 0 }, { signals, POLLIN, 0 } };
  int status = -1;

  while (status == -1)
    {
      char byte;
      struct signalfd_siginfo info;

      if (poll (pollers, 2, -1) < 0 && errno != EINTR)
        break;
      if (pollers[0].revents != 0 && recv (socket, &byte, 1, MSG_DONTWAIT) == 1)
        answer (socket, inside, signals);
      else if (pollers[0].revents != 0)
        pollers[0].fd = -1;
      if (pollers[1].revents != 0 && read (signals, &info, sizeof info) < 0)
        break;
      status = reap (inside);
    }

  return status;
}

/* One after the other: the children of who has ended are ours then. */
static void
kill_the_rest (void)
{
  do
    {
      g_autoptr(GDir) dir = g_dir_open ("/proc", 0, NULL);
      const char *entry;

      while ((entry = g_dir_read_name (dir)) != NULL)
        if (atoi (entry) > 1)
          chaos_signal (atoi (entry), SIGKILL);
    }
  while (waitpid (-1, NULL, __WALL) > 0);
}

/* Executes the program again, inside; returns its exit status. */
int
chaos_outside (char **argv)
{
  sigset_t mask;
  int sockets[2];
  int inside, signals, status;

  if (prctl (PR_SET_CHILD_SUBREAPER, 1) != 0 || socketpair (AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0)
    return 2;
  sigemptyset (&mask);
  sigaddset (&mask, SIGCHLD);
  sigprocmask (SIG_BLOCK, &mask, NULL);
  signals = signalfd (-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

  inside = fork ();
  if (inside == 0)
    {
      g_autofree char *number = g_strdup_printf ("%d", sockets[1]);

      sigprocmask (SIG_UNBLOCK, &mask, NULL);
      close (sockets[0]);
      setenv (OUTSIDE_ENV, number, TRUE);
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      execv ("/proc/self/exe", argv);
      _exit (127);
    }
  close (sockets[1]);
  status = watch (sockets[0], inside, signals);
  kill_the_rest ();
  if (WIFSIGNALED (status))
    {
      fprintf (stderr, "chaos: ended by signal %d (%s)\n", WTERMSIG (status), strsignal (WTERMSIG (status)));
      return 4;
    }

  return WEXITSTATUS (status);
}

/* Inside: the socket is nobody else's. */
void
chaos_inside_begin (void)
{
  fcntl (atoi (g_getenv (OUTSIDE_ENV)), F_SETFD, FD_CLOEXEC);
}

/* Inside: returns who was left behind by others, "" if nobody was. */
char *
chaos_ask_orphans (void)
{
  const int socket = atoi (g_getenv (OUTSIDE_ENV));
  char names[4096];
  gssize n;

  if (send (socket, "?", 1, MSG_NOSIGNAL) != 1 || (n = recv (socket, names, sizeof names, 0)) <= 0)
    return g_strdup ("nobody answers");

  return g_strndup (names, names[0] == '-' ? 0 : n);
}
