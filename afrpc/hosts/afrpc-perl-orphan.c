/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-orphan.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000l

/* A system call that Perl is about to make does not notice a signal that comes just before it. */
#define RETRY_MS 100

/* For what is running to end, and again for what is run at the end. */
#define GRACE_MS 5000

#define EXIT_ORPHAN 1

static timer_t timer;
static volatile gint64 deadline_ns; /* 0: the program lives */
static volatile sig_atomic_t is_leaving; /* what there is for the end is run */

static despatch_signals_proc_t next_hook;

/* One that no program in Perl is likely to use. */
int
afrpc_perl_orphan_get_signal (void)
{
  return SIGRTMAX - 3;
}

static gint64
get_now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);

  return (gint64) now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static void
begin_grace (void)
{
  const int first_ms = is_leaving ? GRACE_MS : RETRY_MS;
  const struct itimerspec times = {
    { 0, RETRY_MS * NS_PER_MS }, { first_ms / 1000, first_ms % 1000 * NS_PER_MS }
  };

  deadline_ns = get_now_ns () + GRACE_MS * NS_PER_MS;
  timer_settime (timer, 0, &times, NULL);
}

/* Comes when the program dies, and from then on by a timer. Calls what may be called by a handler; timer_create() is a
 * system call and no more, if a signal is wanted. */
static void
orphan_cb (int number)
{
  const int saved_errno = errno;
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
  dTHXa (afrpc_perl.interpreter);

  if (deadline_ns == 0 && timer_create (CLOCK_MONOTONIC, &event, &timer) == 0)
    begin_grace ();
  else if (get_now_ns () >= deadline_ns)
    afrpc_worker_kill (NULL);
  PL_sig_pending = TRUE;

  errno = saved_errno;
}

/* Whatever is run from now on is let run. */
void
afrpc_perl_orphan_leave (void)
{
  is_leaving = TRUE;
  if (deadline_ns != 0)
    begin_grace ();
}

/* A destructor that is running would not be called again. */
static gboolean
is_destroying (pTHX)
{
  for (const PERL_SI *stack = PL_curstackinfo; stack != NULL; stack = stack->si_prev)
    if (stack->si_type == PERLSI_DESTROY)
      return TRUE;

  return FALSE;
}

/* Where Perl would run handlers of its own. */
static void
end_orphan (pTHX)
{
  const gboolean is_due = deadline_ns != 0 && !is_leaving && !afrpc_perl.is_stray && aTHX == afrpc_perl.interpreter;

  if (is_due && !is_destroying (aTHX))
    {
      /* On the way out there are destructors. */
      afrpc_perl_orphan_leave ();
      my_exit (EXIT_ORPHAN);
    }

  /* Perl has no table of what is pending before it has had a handler. */
  if (PL_psig_pend != NULL)
    next_hook (aTHX);
  else
    PL_sig_pending = FALSE;
  if (is_due)
    PL_sig_pending = TRUE;
}

void
afrpc_perl_orphan_watch (pTHX)
{
  const struct sigaction action = { .sa_handler = orphan_cb };

  sigaction (afrpc_perl_orphan_get_signal (), &action, NULL);
  next_hook = PL_signalhook;
  PL_signalhook = end_orphan;
}
