/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "afrpc-perl-api.h"

/* The main loop waits for its file descriptors by a function that can be replaced. Here it has the loop of EV or
 * AnyEvent wait, for its own and, as one file descriptor that an epoll set makes of them, for the main loop's.
 * So neither polls while it is idle, and callbacks of the one never run inside of those of the other, unless they
 * ask for it. */
typedef enum
{
  LOOP_NONE, /* or one that is the main loop already */
  LOOP_EV,
  LOOP_ANYEVENT,
} Loop;

static int epoll_fd = -1;
static GArray *watched;    /* (element-type int) what is in the set */
static gboolean is_turning; /* and the main loop has nothing new to do so far */

static Loop
find_loop (pTHX)
{
  SV *model = get_sv ("AnyEvent::MODEL", GV_ADD);
  const char *name = SvPOK (model) ? SvPVX (model) : NULL;
  SV **ev;

  if (name != NULL && strcmp (name, "AnyEvent::Impl::EV") != 0 && strcmp (name, "AnyEvent::Impl::Glib") != 0)
    return LOOP_ANYEVENT;

  ev = hv_fetchs (GvHVn (PL_incgv), "EV.pm", FALSE);
  return ev != NULL && SvOK (*ev) ? LOOP_EV : LOOP_NONE;
}

static gboolean
contains (const GPollFD *fds,
          guint          n_fds,
          int            fd)
{
  for (guint i = 0; i < n_fds; i++)
    if (fds[i].fd == fd)
      return TRUE;

  return FALSE;
}

/* Has the set hold these file descriptors. One may have been closed and another got its number, hence each
 * is set anew. */
static void
watch (const GPollFD *fds,
       guint          n_fds)
{
  if (epoll_fd < 0)
    {
      epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
      if (epoll_fd < 0)
        g_error ("cannot wait for events: %s", g_strerror (errno));
      watched = g_array_new (FALSE, FALSE, sizeof (int));
    }

  for (guint i = watched->len; i-- > 0;)
    if (!contains (fds, n_fds, g_array_index (watched, int, i)))
      {
        epoll_ctl (epoll_fd, EPOLL_CTL_DEL, g_array_index (watched, int, i), NULL);
        g_array_remove_index_fast (watched, i);
      }

  for (guint i = 0; i < n_fds; i++)
    {
      struct epoll_event event = { .events = fds[i].events, .data.fd = fds[i].fd };

      /* The values of GLib, poll() and epoll are the same here. */
      if (epoll_ctl (epoll_fd, EPOLL_CTL_MOD, fds[i].fd, &event) == 0)
        continue;
      if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fds[i].fd, &event) == 0)
        g_array_append_val (watched, fds[i].fd);
    }
}

static void
call_perl (AfrpcPerlCall *call,
           const char    *what)
{
  g_autoptr(GError) error = NULL;

  if (!afrpc_perl_call (call, AFRPC_PERL_EXCEPTION, &error))
    g_printerr ("afrpc-host-perl: %s has failed: %s\n", what, error->message);
}

static void
turn (pTHX_
      Loop loop,
      int  timeout_ms)
{
  AfrpcPerlCall call = {
    .code = afrpc_perl_function (loop == LOOP_EV ? "Afrpc::Perl::turn_ev" : "Afrpc::Perl::turn_anyevent"),
    .args = { newSViv (epoll_fd), newSVnv (timeout_ms / 1000.) },
  };

  is_turning = TRUE;
  call_perl (&call, "a callback of the event loop");
  is_turning = FALSE;
}

static gboolean
has_signal_handlers (pTHX)
{
  for (int i = 1; PL_psig_ptr != NULL && i < SIG_SIZE; i++)
    if (PL_psig_ptr[i] != NULL)
      return TRUE;

  return FALSE;
}

/* A signal that arrives before the wait must not be forgotten until something else happens, as Perl's handlers are
 * run when Perl runs. */
static int
poll_or_signal (pTHX_
                GPollFD *fds,
                guint    n_fds,
                int      timeout_ms)
{
  const struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000l };
  sigset_t all, before;
  int n = 0;

  if (timeout_ms == 0 || !has_signal_handlers (aTHX))
    return g_poll (fds, n_fds, timeout_ms);

  sigfillset (&all);
  sigprocmask (SIG_BLOCK, &all, &before);
  if (!PL_sig_pending)
    n = ppoll ((struct pollfd *) fds, n_fds, timeout_ms < 0 ? NULL : &timeout, &before);
  sigprocmask (SIG_SETMASK, &before, NULL);

  return n;
}

/* Returns FALSE if there was none to handle. */
static gboolean
handle_signals (pTHX)
{
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::handle_signals") };

  if (!PL_sig_pending)
    return FALSE;

  call_perl (&call, "a signal handler");
  return TRUE;
}

static int
poll_cb (GPollFD *fds,
         guint    n_fds,
         int      timeout_ms)
{
  dTHX;
  const Loop loop = find_loop (aTHX);
  int n;

  afrpc_perl_set_serving ();
  if (loop == LOOP_NONE)
    n = poll_or_signal (aTHX_ fds, n_fds, timeout_ms);
  else
    {
      if (timeout_ms != 0)
        watch (fds, n_fds);
      turn (aTHX_ loop, timeout_ms);
      n = g_poll (fds, n_fds, 0);
    }

  handle_signals (aTHX);

  return MAX (n, 0);
}

/* Waits for a call in the sync backend, if a signal may come that Perl handles. */
void
afrpc_perl_loop_wait (int fd)
{
  dTHX;
  GPollFD poller = { fd, G_IO_IN, 0 };

  while (has_signal_handlers (aTHX))
    {
      const int n = poll_or_signal (aTHX_ &poller, 1, -1);

      if (!handle_signals (aTHX) && n > 0)
        break;
    }
}

/* There is something to write. A loop may run code right before it waits, such as EV's prepare watchers and the
 * threads of Coro: then it must not wait. */
void
afrpc_perl_loop_wake (void)
{
  if (!is_turning)
    return;

  is_turning = FALSE;
  g_main_context_wakeup (NULL);
}

/* From now on whatever runs the default main context runs the loop of Perl's modules, too. */
void
afrpc_perl_loop_join (void)
{
  g_main_context_set_poll_func (NULL, poll_cb);
}
