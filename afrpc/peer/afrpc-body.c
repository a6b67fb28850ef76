/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-body.h"

#include <unistd.h>

#include "peer/afrpc-exit-private.h"

/* How often a process without a pidfd is asked for its end: after it has fallen silent, and before. */
#define REAP_SOON_US (2 * 1000)
#define REAP_LATER_US (100 * 1000)

/* How long a template gets to say how its own child ended. */
#define REAPER_PATIENCE_US (1000 * 1000)

static const char *const names[] = { "none", "awaited", "alive", "foreign", "ended", "never" };

G_STATIC_ASSERT (G_N_ELEMENTS (names) == AFRPC_BODY_N_STATES);

/* Bits of the states that may follow. */
static const guint steps[AFRPC_BODY_N_STATES] = {
  [AFRPC_BODY_NONE] = 1 << AFRPC_BODY_AWAITED | 1 << AFRPC_BODY_ALIVE | 1 << AFRPC_BODY_FOREIGN | 1 << AFRPC_BODY_NEVER,
  [AFRPC_BODY_AWAITED] = 1 << AFRPC_BODY_NONE | 1 << AFRPC_BODY_ALIVE | 1 << AFRPC_BODY_FOREIGN | 1 << AFRPC_BODY_NEVER,
  [AFRPC_BODY_ALIVE] = 1 << AFRPC_BODY_ENDED,
  [AFRPC_BODY_FOREIGN] = 1 << AFRPC_BODY_ENDED,
};

gboolean
afrpc_body_is_step (AfrpcBodyState from,
                    AfrpcBodyState to)
{
  return (steps[from] & 1u << to) != 0;
}

static void
set_state (AfrpcBody      *self,
           AfrpcBodyState  state)
{
  g_assert (afrpc_body_is_step (self->state, state));

  g_debug ("process %d: %s, now %s", self->pid, names[self->state], names[state]);
  self->state = state;
}

void
afrpc_body_init (AfrpcBody *self)
{
  *self = (AfrpcBody) { .spawned.pidfd = -1, .tail.fd = -1, .reap_deadline = AFRPC_DEADLINES_NEVER };
}

/* A process that is still there is not ended by this. */
void
afrpc_body_clear (AfrpcBody *self)
{
  afrpc_tail_clear (&self->tail);
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  self->spawned = (AfrpcSpawned) { .pidfd = -1 };
  g_clear_pointer (&self->exit, afrpc_exit_unref);
}

/* A template has been asked for it. */
void
afrpc_body_await (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_AWAITED);
}

/* There was none: it has to be started in another way. */
void
afrpc_body_unawait (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_NONE);
}

static void
set_spawned (AfrpcBody          *self,
             const AfrpcSpawned *spawned)
{
  self->spawned = *spawned;
  self->pid = spawned->pid;
  if (self->kill_signum != 0)
    afrpc_spawn_signal (&self->spawned, self->kill_signum);
}

/* There it is; @spawned: (transfer full). */
void
afrpc_body_take (AfrpcBody          *self,
                 const AfrpcSpawned *spawned,
                 gboolean            is_reaped_here)
{
  set_state (self, AFRPC_BODY_ALIVE);
  set_spawned (self, spawned);
  self->is_reaped_here = is_reaped_here;
  if (spawned->pidfd < 0)
    self->reap_deadline = 0;
}

/* It is somebody else's child; @spawned: (transfer full): what there is to kill it by, if anything. */
void
afrpc_body_adopt (AfrpcBody          *self,
                  const AfrpcSpawned *spawned)
{
  set_state (self, AFRPC_BODY_FOREIGN);
  set_spawned (self, spawned);
}

void
afrpc_body_never (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_NEVER);
}

/* Sends a signal, as soon as there is a process. FALSE: there is none yet, and nobody has been asked for one. */
gboolean
afrpc_body_kill (AfrpcBody *self,
                 int        signum)
{
  if (signum > 0 && signum < 64)
    self->signals_sent |= G_GUINT64_CONSTANT (1) << signum;

  if (afrpc_body_is_there (self))
    afrpc_spawn_signal (&self->spawned, signum);
  else if (self->state == AFRPC_BODY_AWAITED)
    self->kill_signum = signum;

  return self->state != AFRPC_BODY_NONE;
}

/* It has ended; @status: how, or that nobody knows. */
void
afrpc_body_set_exit (AfrpcBody              *self,
                     const AfrpcSpawnStatus *status)
{
  const gboolean was_killed =
    status->signum > 0 && status->signum < 64 && (self->signals_sent & G_GUINT64_CONSTANT (1) << status->signum) != 0;
  g_autofree char *text = NULL;
  gsize n_recent;

  set_state (self, AFRPC_BODY_ENDED);
  self->reap_deadline = AFRPC_DEADLINES_NEVER;
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  self->spawned = (AfrpcSpawned) { .pidfd = -1 };

  afrpc_tail_read (&self->tail);
  text = afrpc_tail_dup (&self->tail, &n_recent);
  self->exit = afrpc_exit_new (self->pid, status, was_killed, &self->limits, text, n_recent);
}

/* Asks whether it has ended: TRUE if that is known now. @is_silent: it says nothing any more, and so is about to. */
gboolean
afrpc_body_reap (AfrpcBody *self,
                 gboolean   is_silent,
                 gint64     now)
{
  AfrpcSpawnStatus status = { .known = FALSE, .status = -1 };

  if (self->state != AFRPC_BODY_ALIVE)
    return FALSE;

  if (!self->is_reaped_here)
    {
      /* Whose child it was says how it ended, if it can. */
      if (self->reap_deadline == AFRPC_DEADLINES_NEVER)
        self->reap_deadline = now + REAPER_PATIENCE_US;
      else if (self->reap_deadline <= now)
        afrpc_body_set_exit (self, &status);
    }
  else if (afrpc_spawn_reap (&self->spawned, &status))
    afrpc_body_set_exit (self, &status);
  else if (self->spawned.pidfd < 0)
    self->reap_deadline = now + (is_silent ? REAP_SOON_US : REAP_LATER_US);

  return self->state == AFRPC_BODY_ENDED;
}
