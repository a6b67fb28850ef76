/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-body.h"

#include <signal.h>
#include <unistd.h>

#include "os/afrpc-fork-lock.h"
#include "os/afrpc-group.h"
#include "peer/afrpc-exit-private.h"

/* How often a process without a pidfd is asked for its end: after it has fallen silent, and before. */
#define REAP_SOON_US (2 * 1000)
#define REAP_LATER_US (100 * 1000)

/* How long a template gets to say how its own child ended. */
#define REAPER_PATIENCE_US (1000 * 1000)

static const char *const names[] = { "none", "awaited", "doubtful", "child", "grandchild", "unproven", "foreign", "ended", "never" };

G_STATIC_ASSERT (G_N_ELEMENTS (names) == AFRPC_BODY_N_STATES);

/* Bits of the states that may follow. */
#define STATE(name) (1u << AFRPC_BODY_##name)

static const guint steps[AFRPC_BODY_N_STATES] = {
  [AFRPC_BODY_NONE] = STATE (AWAITED) | STATE (CHILD) | STATE (UNPROVEN) | STATE (FOREIGN) | STATE (NEVER),
  [AFRPC_BODY_AWAITED] = STATE (NONE) | STATE (DOUBTFUL) | STATE (CHILD) | STATE (GRANDCHILD) | STATE (NEVER),
  [AFRPC_BODY_DOUBTFUL] = STATE (NONE) | STATE (CHILD) | STATE (FOREIGN) | STATE (NEVER),
  [AFRPC_BODY_CHILD] = STATE (ENDED),
  [AFRPC_BODY_GRANDCHILD] = STATE (ENDED),
  [AFRPC_BODY_UNPROVEN] = STATE (FOREIGN) | STATE (ENDED),
  [AFRPC_BODY_FOREIGN] = STATE (ENDED),
};

static AfrpcForkLock taken_lock;
static GHashTable *taken; /* (element-type int) pids of all bodies that are children; guarded by taken_lock */

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
  *self = (AfrpcBody) { .spawned.pidfd = -1, .standard_error.fd = -1, .reap_deadline = AFRPC_DEADLINES_NEVER };
}

/* Before a descriptor is closed, @closing (nullable) is called with it: whoever polls it has to end that first. */
void
afrpc_body_set_closing_func (AfrpcBody  *self,
                             void      (*closing) (int fd, gpointer data),
                             gpointer    data)
{
  self->closing = self->standard_error.closing = closing;
  self->closing_data = self->standard_error.closing_data = data;
}

/* Whether a child of this program is another body's already. */
gboolean
afrpc_body_is_taken (int pid)
{
  gboolean is_taken;

  afrpc_fork_lock_lock (&taken_lock);
  is_taken = taken != NULL && g_hash_table_contains (taken, GINT_TO_POINTER (pid));
  afrpc_fork_lock_unlock (&taken_lock);

  return is_taken;
}

static void
set_taken (int      pid,
           gboolean is_taken)
{
  afrpc_fork_lock_lock (&taken_lock);
  if (taken == NULL)
    taken = g_hash_table_new (NULL, NULL);
  if (is_taken)
    g_hash_table_add (taken, GINT_TO_POINTER (pid));
  else
    g_hash_table_remove (taken, GINT_TO_POINTER (pid));
  afrpc_fork_lock_unlock (&taken_lock);
}

static void
say_closing (AfrpcBody *self)
{
  if (self->closing != NULL && self->spawned.pidfd >= 0)
    self->closing (self->spawned.pidfd, self->closing_data);
}

static void
forget_spawned (AfrpcBody *self)
{
  if (self->state == AFRPC_BODY_CHILD)
    set_taken (self->pid, FALSE);
  say_closing (self);
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  self->spawned = (AfrpcSpawned) { .pidfd = -1 };
}

/* A process that is still there is not ended by this. */
void
afrpc_body_clear (AfrpcBody *self)
{
  afrpc_stderr_clear (&self->standard_error);
  forget_spawned (self);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
}

/* A template has been asked for it. */
void
afrpc_body_await (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_AWAITED);
}

/* Nobody is going to say that it is there but itself. */
void
afrpc_body_doubt (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_DOUBTFUL);
}

/* There was none: it has to be started in another way. */
void
afrpc_body_unawait (AfrpcBody *self)
{
  set_state (self, AFRPC_BODY_NONE);
}

/* It is known which process it is. */
static void
set_known (AfrpcBody *self)
{
  self->pid = self->spawned.pid;
  if (self->kill_signum != 0 && afrpc_body_can_signal (self))
    afrpc_spawn_signal (&self->spawned, self->kill_signum);
  self->kill_signum = 0;
}

/* There it is; @spawned: (transfer full). */
void
afrpc_body_take (AfrpcBody          *self,
                 const AfrpcSpawned *spawned,
                 gboolean            is_child)
{
  set_state (self, is_child ? AFRPC_BODY_CHILD : AFRPC_BODY_GRANDCHILD);
  self->spawned = *spawned;
  self->spawned.leads_group = self->limits.leads_group && !self->is_template;
  self->spawned.is_child = is_child;
  set_known (self);
  if (!is_child)
    return;

  set_taken (self->pid, TRUE);
  if (spawned->pidfd < 0)
    self->reap_deadline = 0;
}

/* It is somebody else's child; @spawned: (transfer full): what there is to kill it by, if anything, once it is known to
 * be this one's. */
void
afrpc_body_adopt (AfrpcBody          *self,
                  const AfrpcSpawned *spawned)
{
  g_assert (self->state != AFRPC_BODY_UNPROVEN);

  set_state (self, spawned->pidfd >= 0 ? AFRPC_BODY_UNPROVEN : AFRPC_BODY_FOREIGN);
  if (spawned->pidfd >= 0)
    self->spawned = *spawned;
}

/* The process at the other end of the conversation is @pid. FALSE: it is not the one that this body was given, which is
 * somebody else's business: it is neither signalled nor reaped. */
gboolean
afrpc_body_prove (AfrpcBody *self,
                  int        pid)
{
  const AfrpcSpawnStatus unknown = { .known = FALSE, .status = -1 };

  if (!afrpc_body_is_there (self) || self->state == AFRPC_BODY_FOREIGN)
    return TRUE;
  if (self->state == AFRPC_BODY_UNPROVEN)
    set_state (self, AFRPC_BODY_FOREIGN);
  if (self->spawned.pid == pid)
    {
      set_known (self);
      return TRUE;
    }

  if (self->state == AFRPC_BODY_FOREIGN)
    forget_spawned (self);
  else
    afrpc_body_set_exit (self, &unknown);

  return FALSE;
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
  /* What it has ended with already was sent by somebody else. */
  if (signum > 0 && signum < 64 && !afrpc_body_has_ended (self))
    self->signals_sent |= G_GUINT64_CONSTANT (1) << signum;

  if (self->state == AFRPC_BODY_AWAITED || self->state == AFRPC_BODY_DOUBTFUL || self->state == AFRPC_BODY_UNPROVEN)
    self->kill_signum = self->kill_signum == SIGKILL ? SIGKILL : signum;
  else if (afrpc_body_is_there (self) && afrpc_body_can_signal (self))
    afrpc_spawn_signal (&self->spawned, signum);

  return self->state != AFRPC_BODY_NONE;
}

/* Others begin as copies of it, in its group: that is not ended, so that none of them is before it has one of its own. */
void
afrpc_body_become_template (AfrpcBody *self)
{
  self->is_template = TRUE;
  self->spawned.leads_group = FALSE;
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

  /* That of a child has ended already. */
  if (self->state == AFRPC_BODY_GRANDCHILD && self->spawned.leads_group)
    afrpc_group_signal (self->spawned.pid, self->spawned.pidfd, FALSE, SIGKILL);
  forget_spawned (self);
  set_state (self, AFRPC_BODY_ENDED);
  self->reap_deadline = AFRPC_DEADLINES_NEVER;

  afrpc_stderr_read (&self->standard_error);
  text = afrpc_stderr_dup (&self->standard_error, &n_recent);
  self->exit = afrpc_exit_new (self->pid, status, was_killed, &self->limits, text, n_recent);
}

/* Whether it has, although nobody may have reaped it. FALSE: it is still there, or nobody knows. */
gboolean
afrpc_body_has_ended (const AfrpcBody *self)
{
  if (self->state == AFRPC_BODY_ENDED)
    return TRUE;

  return afrpc_body_is_there (self) && afrpc_body_can_signal (self) && afrpc_spawn_has_ended (&self->spawned);
}

/* Asks whether it has ended: TRUE if that is known now. Its pidfd may be closed by that, and is not polled afterwards.
 * @is_silent: it says nothing any more, and so is about to. */
gboolean
afrpc_body_reap (AfrpcBody *self,
                 gboolean   is_silent,
                 gint64     now)
{
  AfrpcSpawnStatus status = { .known = FALSE, .status = -1 };

  if (self->state != AFRPC_BODY_CHILD && self->state != AFRPC_BODY_GRANDCHILD)
    return FALSE;

  say_closing (self);
  if (self->state == AFRPC_BODY_GRANDCHILD)
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
