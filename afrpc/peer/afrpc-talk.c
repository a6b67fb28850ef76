/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-talk.h"

#include "afrpc-error.h"

/* Of a full socket whose reader has shut it down, poll (2) never says anything; only who writes learns of it. */
#define PROBE_MS 1000

static const char *const names[] = { "open", "closing", "away", "silent", "silent, closed", "over", "over, closed" };

G_STATIC_ASSERT (G_N_ELEMENTS (names) == AFRPC_TALK_N_STATES);

#define STATE(name) (1u << AFRPC_TALK_##name)

/* Bits of the states that may follow: onwards; and from silence to the beginning, if there was nobody to talk to. */
static const guint steps[AFRPC_TALK_N_STATES] = {
  [AFRPC_TALK_OPEN] = STATE (CLOSING) | STATE (AWAY) | STATE (SILENT),
  [AFRPC_TALK_CLOSING] = STATE (AWAY) | STATE (SILENT_CLOSED),
  [AFRPC_TALK_AWAY] = STATE (OVER),
  [AFRPC_TALK_SILENT] = STATE (SILENT_CLOSED) | STATE (OPEN) | STATE (AWAY) | STATE (OVER),
  [AFRPC_TALK_SILENT_CLOSED] = STATE (CLOSING) | STATE (OVER_CLOSED),
  [AFRPC_TALK_OVER] = STATE (OVER_CLOSED),
};

gboolean
afrpc_talk_is_step (AfrpcTalkState from,
                    AfrpcTalkState to)
{
  return (steps[from] & 1u << to) != 0;
}

static void
set_state (AfrpcTalk      *self,
           AfrpcTalkState  state)
{
  g_assert (afrpc_talk_is_step (self->state, state));

  g_debug ("conversation %p: %s, now %s", (void *) self, names[self->state], names[state]);
  self->state = state;
}

/* @host: (nullable): the name that the host must give */
void
afrpc_talk_init (AfrpcTalk  *self,
                 const char *host)
{
  *self = (AfrpcTalk) { .greeting_deadline = AFRPC_DEADLINES_NEVER, .flush_deadline = AFRPC_DEADLINES_NEVER };
  afrpc_link_init (&self->link, host);
  self->link.transport.reader.slices = TRUE;
}

void
afrpc_talk_clear (AfrpcTalk *self)
{
  afrpc_link_clear (&self->link);
  g_clear_object (&self->serialiser);
  g_clear_error (&self->failure);
}

/* A process has one job. */
gboolean
afrpc_talk_take_role (AfrpcTalk      *self,
                      AfrpcRole   role,
                      GError        **error)
{
  /* Whatever has become of it since then. */
  if (self->role == AFRPC_ROLE_HANDED_OVER)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "the process was handed over");
      return FALSE;
    }
  if (afrpc_talk_is_over (self))
    {
      if (error != NULL)
        *error = g_error_copy (self->failure);
      return FALSE;
    }
  if (self->role != AFRPC_ROLE_NONE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "the process runs a function already: fork () gives another one");
      return FALSE;
    }

  self->role = role;

  return TRUE;
}

/* The first failure counts: what comes later follows from it. */
void
afrpc_talk_fail (AfrpcTalk *self,
                 GError    *error) /* (transfer full) */
{
  if (self->failure == NULL)
    self->failure = error;
  else
    g_error_free (error);
}

/* There is no more work. */
void
afrpc_talk_close (AfrpcTalk *self)
{
  switch (self->state)
    {
    case AFRPC_TALK_OPEN:
      set_state (self, AFRPC_TALK_CLOSING);
      afrpc_link_close (&self->link);
      break;

    case AFRPC_TALK_SILENT:
      set_state (self, AFRPC_TALK_SILENT_CLOSED);
      break;

    case AFRPC_TALK_OVER:
      set_state (self, AFRPC_TALK_OVER_CLOSED);
      break;

    default:
      break;
    }
}

void
afrpc_talk_fall_silent (AfrpcTalk *self)
{
  if (!afrpc_talk_is_silent (self))
    set_state (self, afrpc_talk_is_closed (self) ? AFRPC_TALK_SILENT_CLOSED : AFRPC_TALK_SILENT);
  self->greeting_deadline = AFRPC_DEADLINES_NEVER;
  self->flush_deadline = AFRPC_DEADLINES_NEVER;
}

/* There was nobody at the other end: the next process is told everything. */
void
afrpc_talk_restart (AfrpcTalk *self)
{
  g_assert (self->state != AFRPC_TALK_AWAY && !afrpc_talk_is_over (self));

  if (afrpc_talk_is_silent (self))
    set_state (self, afrpc_talk_is_closed (self) ? AFRPC_TALK_CLOSING : AFRPC_TALK_OPEN);
  self->greeting_deadline = self->flush_deadline = AFRPC_DEADLINES_NEVER;
}

/* Somebody else goes on with the connection, which is returned. */
int
afrpc_talk_give_away (AfrpcTalk *self)
{
  set_state (self, AFRPC_TALK_AWAY);
  self->link.was_ready = TRUE;
  afrpc_talk_fall_silent (self);

  return afrpc_link_steal_fd (&self->link);
}

/* Whether it is for its failure that no call can be made; that of one that was closed may be that it has ended so. */
gboolean
afrpc_talk_has_failed (const AfrpcTalk *self)
{
  return self->failure != NULL &&
         !(afrpc_talk_is_closed (self) && g_error_matches (self->failure, AFRPC_ERROR, AFRPC_ERROR_CLOSED));
}

/* Whether a call can be made. */
gboolean
afrpc_talk_check_open (AfrpcTalk  *self,
                       GError    **error)
{
  if (afrpc_talk_has_failed (self))
    {
      /* Whatever the process died of, this call was not part of it. */
      if (g_error_matches (self->failure, AFRPC_ERROR, AFRPC_ERROR_DIED))
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "%s", self->failure->message);
      else if (error != NULL)
        *error = g_error_copy (self->failure);
      return FALSE;
    }
  if (afrpc_talk_is_closed (self))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the proxy is closed");
      return FALSE;
    }

  return TRUE;
}

/* Returns: after which time to write again what the connection has not said that it takes */
static gint64
get_pause_ms (const AfrpcWriter *writer)
{
  if (writer->flush_left == 0)
    return 0;

  return writer->crowded ? AFRPC_TRANSPORT_CROWDED_MS : PROBE_MS;
}

/* DONE: all is written; AGAIN: the connection takes no more now, or others have their turn first; ERROR: it is broken. */
AfrpcStep
afrpc_talk_flush (AfrpcTalk  *self,
                  GError    **error)
{
  AfrpcStep step;

  self->flush_deadline = AFRPC_DEADLINES_NEVER;
  if (afrpc_talk_is_silent (self) || self->link.transport.out_fd < 0)
    return AFRPC_STEP_DONE;

  step = afrpc_link_flush (&self->link, error);
  if (step == AFRPC_STEP_AGAIN)
    self->flush_deadline = g_get_monotonic_time () + get_pause_ms (&self->link.transport.writer) * 1000;

  return step;
}

/* Reads once: take everything before the next time. EOF: nothing more is going to arrive. */
AfrpcStep
afrpc_talk_read (AfrpcTalk  *self,
                 GError    **error)
{
  if (afrpc_talk_is_silent (self) || self->link.transport.in_fd < 0)
    return AFRPC_STEP_EOF;

  return afrpc_link_read (&self->link, error);
}

/* The next thing that has arrived: DONE; SLICE: it is large, and to be gone on with later. */
AfrpcStep
afrpc_talk_next (AfrpcTalk      *self,
                 AfrpcLinkItem  *item,
                 GError        **error)
{
  AfrpcStep step;

  /* Whoever failed is not listened to any more once he says nothing more. */
  if (afrpc_talk_is_over (self) || (afrpc_talk_is_silent (self) && self->failure != NULL))
    return AFRPC_STEP_AGAIN;

  step = afrpc_link_next (&self->link, item, error);
  if (self->link.state >= AFRPC_LINK_PREPARING)
    self->greeting_deadline = AFRPC_DEADLINES_NEVER;

  return step;
}

/* Nothing arrives any more: who failed has said why. The link gives back the calls that somebody still waits for. */
void
afrpc_talk_end (AfrpcTalk *self)
{
  g_assert (self->failure != NULL);

  afrpc_talk_fall_silent (self);
  set_state (self, afrpc_talk_is_closed (self) ? AFRPC_TALK_OVER_CLOSED : AFRPC_TALK_OVER);
  afrpc_link_end (&self->link);
}
