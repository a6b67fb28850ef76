/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer does when it is its turn: in an iteration of the main loop, and for who blocks the thread. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"

#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"
#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-inbox.h"
#include "peer/afrpc-log.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-task.h"

#define TURN_LINES 256u /* of standard error, each of which takes time, in one turn of the main loop */

/* There is something to do, or to write. */
void
afrpc_peer_attend (AfrpcPeer *self)
{
  afrpc_source_activate (&self->member);
}

gint64
afrpc_peer_get_deadline (AfrpcPeer *self)
{
  gint64 at = MIN (MIN (self->talk.greeting_deadline, self->talk.flush_deadline),
                   MIN (self->body.reap_deadline, self->exit_deadline));

  return self->deadlines.n > 0 ? MIN (at, afrpc_deadlines_next (&self->deadlines)) : at;
}

/* Sets @which of the peer's time limits. */
void
afrpc_peer_set_deadline (AfrpcPeer *self,
                         gint64    *which,
                         gint64     at)
{
  *which = at;
  if (self->member.source != NULL)
    afrpc_source_set_deadline (self->member.source, at);
}

/* Whether it is somebody else's process whose descriptor says when it ends, and that is what is waited for. */
gboolean
afrpc_peer_watches_foreign (AfrpcPeer *self)
{
  return self->body.state == AFRPC_BODY_FOREIGN && self->body.spawned.pidfd >= 0 &&
         afrpc_talk_is_silent (&self->talk) && self->talk.state != AFRPC_TALK_AWAY;
}

/* Has polled what there is to poll for. */
void
afrpc_peer_update_watch (AfrpcPeer *self)
{
  const AfrpcTalk *talk = &self->talk;
  /* Nothing is told of a process that has no pid yet, unless nobody else is going to say that there is one. */
  const gboolean listens = !afrpc_talk_is_silent (talk) &&
                           (afrpc_body_is_there (&self->body) || self->body.state == AFRPC_BODY_ENDED ||
                            self->body.state == AFRPC_BODY_DOUBTFUL);
  const AfrpcTransport *transport = &talk->link.transport;
  AfrpcOverture *overture = self->birth.overture;
  const gboolean is_stuck = overture != NULL ? afrpc_overture_has_output (overture)
                                             : afrpc_transport_is_stuck (transport) && !talk->link.sending_ended;
  const int fd = overture != NULL ? afrpc_overture_get_fd (overture) : transport->in_fd;
  const gboolean asks = self->body.state == AFRPC_BODY_CHILD || afrpc_peer_watches_foreign (self) ||
                        (self->body.state == AFRPC_BODY_GRANDCHILD && self->body.reap_deadline == AFRPC_DEADLINES_NEVER);

  afrpc_source_poll (&self->member, &self->member.socket, listens ? fd : -1,
                     is_stuck ? G_IO_IN | G_IO_OUT : G_IO_IN);
  afrpc_source_poll (&self->member, &self->member.pidfd, asks ? self->body.spawned.pidfd : -1, G_IO_IN);
  afrpc_source_poll (&self->member, &self->member.standard_error, self->body.standard_error.fd, G_IO_IN);
}

void
afrpc_peer_flush (AfrpcPeer *self)
{
  GError *error = NULL;
  const GIOCondition events = self->member.socket.poll.events;

  /* What has failed before there was a process is not to begin anything, should there be one. */
  if (self->body.state == AFRPC_BODY_AWAITED && self->talk.failure != NULL)
    return;

  switch (afrpc_talk_flush (&self->talk, &error))
    {
    case AFRPC_STEP_ERROR:
      afrpc_peer_break_off (self, error);
      break;

    case AFRPC_STEP_AGAIN:
      if (self->member.source != NULL)
        afrpc_source_set_deadline (self->member.source, self->talk.flush_deadline);
      afrpc_peer_update_watch (self);
      break;

    default:
      if ((events & G_IO_OUT) != 0)
        afrpc_peer_update_watch (self);
      /* What is queued is never going to be written: one that has died is at its end soon, any other is ended. */
      if (afrpc_link_is_deaf (&self->talk.link) && self->exit_deadline == AFRPC_DEADLINES_NEVER &&
          afrpc_body_is_there (&self->body))
        afrpc_peer_set_deadline (self, &self->exit_deadline, g_get_monotonic_time () + AFRPC_PEER_DROP_GRACE_US);
      break;
    }
}

/* Somebody else goes on with a process that is being prepared, once it was told everything; what it says from now on
 * is for whoever gets the socket. */
static gboolean
can_give (AfrpcPeer *self)
{
  return self->talk.role == AFRPC_ROLE_HANDED_OVER && self->connection_task != NULL &&
         afrpc_body_is_there (&self->body) && self->birth.forks.length == 0 &&
         afrpc_transport_get_queued (&self->talk.link.transport) == 0 &&
         !afrpc_transport_has_read (&self->talk.link.transport);
}

static void
give_hand_over (GTask    *task,
                gpointer  hand_over)
{
  g_task_return_pointer (task, hand_over, (GDestroyNotify) afrpc_hand_over_free);
}

static void
give (AfrpcPeer *self)
{
  g_autoptr(GTask) task = g_steal_pointer (&self->connection_task);
  g_autofree AfrpcHandOver *hand_over = g_new (AfrpcHandOver, 1);
  const int pidfd = self->body.spawned.pidfd;

  afrpc_task_unwatch (task);
  hand_over->pidfd = pidfd >= 0 ? afrpc_low_fd_dup (pidfd) : -1;
  if (pidfd >= 0 && hand_over->pidfd < 0)
    {
      afrpc_news_push_task_error (&self->news, g_steal_pointer (&task),
                                  afrpc_peer_new_system_error (self, AFRPC_ERROR_FAILED, "copying the process' descriptor"));
      return;
    }

  hand_over->fd = afrpc_talk_give_away (&self->talk);
  afrpc_peer_update_watch (self);
  afrpc_news_push_task (&self->news, g_steal_pointer (&task), give_hand_over, g_steal_pointer (&hand_over));
}

/* Whether there are lines that the program's log may take now. Within what it does with another one they wait, since GLib would
 * not call it; as long as they are not too many: the worker may have to be read for that to come to its end. */
static inline gboolean
has_lines_to_tell (const AfrpcPeer *self)
{
  return G_UNLIKELY (afrpc_stderr_has_lines (&self->body.standard_error)) &&
         (!self->tells_lines || afrpc_stderr_is_full (&self->body.standard_error));
}

static gboolean
needs_dispatch (AfrpcPeer *self)
{
  return !afrpc_news_is_empty (&self->news) || self->has_backlog || !self->birth.is_tried || self->is_catching_up ||
         has_lines_to_tell (self) ||
         g_atomic_int_get (&self->drops) != 0 || (self->is_dropped && afrpc_peer_is_abandoned (self)) || afrpc_peer_has_to_decide (self) || can_give (self);
}

/* Before anybody waits for what the descriptors say. */
void
afrpc_peer_look_at_input (AfrpcPeer *self)
{
  self->has_input = !afrpc_talk_may_wait (&self->talk);
}

/* Before the main loop waits: writes what is queued. TRUE: there is something to do besides. */
gboolean
afrpc_peer_before_wait (AfrpcPeer *self)
{
  if (afrpc_talk_has_output (&self->talk))
    afrpc_peer_flush (self);
  afrpc_peer_look_at_input (self);

  return self->has_input || needs_dispatch (self);
}

/* What has to be done before anything is taken. */
static void
begin_turn (AfrpcPeer *self)
{
  if (g_atomic_int_get (&self->drops) != 0 || self->is_dropped)
    afrpc_peer_act_on_drops (self);
  if (!self->birth.is_tried)
    afrpc_birth_start (self);
  if (G_UNLIKELY (self->birth.overture != NULL))
    afrpc_birth_play_overture (self);
  if (self->member.standard_error.poll.revents != 0)
    {
      afrpc_stderr_read_in_turn (&self->body.standard_error);
      if (self->body.standard_error.fd < 0)
        afrpc_peer_update_watch (self);
    }
}

/* Has the program's log take what the worker has written, @n lines at most: whoever does that may do anything. Returns: whether
 * there was something */
static gboolean
tell_lines (AfrpcPeer *self,
            guint      n)
{
  const gboolean has_some = has_lines_to_tell (self);
  const gboolean is_within = self->tells_lines;

  for (; n > 0 && has_lines_to_tell (self) && afrpc_source_is_there (&self->member); n--)
    {
      g_autofree char *line = afrpc_stderr_take_line (&self->body.standard_error);

      self->tells_lines = TRUE;
      afrpc_log_forward (G_LOG_LEVEL_MESSAGE, AFRPC_LOG_STDERR_DOMAIN, self->body.pid, 0, line);
      self->tells_lines = is_within;
    }

  return has_some;
}

/* For who blocks the thread: the same for all lines, and those of its templates. They are in no order with what waits for
 * the main loop, and may be what explains why somebody blocks. */
gboolean
afrpc_peer_tell_lines (AfrpcPeer *self)
{
  g_autoptr(AfrpcPeer) template = NULL;
  gboolean has_told = FALSE;

  if (G_UNLIKELY (afrpc_birth_get_template (self) != NULL))
    {
      template = afrpc_peer_ref (afrpc_birth_get_template (self));
      has_told = afrpc_peer_tell_lines (template);
    }

  return tell_lines (self, G_MAXUINT) || has_told;
}

/* The last words of a worker come before all that its end leads to; but for what the log itself waits for. */
static gboolean
has_last_words (AfrpcPeer *self)
{
  return self->body.state == AFRPC_BODY_ENDED && has_lines_to_tell (self);
}

/* The main loop goes on with what is left to be done. */
void
afrpc_peer_leave_rest (AfrpcPeer *self)
{
  if (needs_dispatch (self) || afrpc_talk_has_output (&self->talk) || afrpc_talk_has_to_look (&self->talk))
    afrpc_source_activate (&self->member);
}

static void
forget_polled (AfrpcPeer *self)
{
  self->member.socket.poll.revents = self->member.pidfd.poll.revents = self->member.standard_error.poll.revents = 0;
  self->has_input = FALSE;
}

/* Something has arrived, or the process has ended, and what it has sent is to be taken. */
static gboolean
is_readable (AfrpcPeer *self)
{
  return (self->member.socket.poll.revents & ~G_IO_OUT) != 0 || self->has_input || self->body.state == AFRPC_BODY_ENDED;
}

/* Tells what is there, and takes what has arrived. */
static void
tell_and_take (AfrpcPeer *self,
               gboolean   has_input)
{
  tell_lines (self, TURN_LINES);
  if ((self->has_backlog || !afrpc_news_is_empty (&self->news)) && !has_last_words (self))
    afrpc_inbox_take (self, AFRPC_INBOX_TELL);
  if (!self->has_backlog && has_input && !afrpc_talk_is_silent (&self->talk))
    {
      afrpc_inbox_read (self);
      afrpc_inbox_take (self, AFRPC_INBOX_TELL);
    }
}

/* Its turn in the main loop. TRUE: a slice is over, and there is more. Whoever is told may fork: in the process that was, which
 * has none of the program's main context, the turn is over. */
gboolean
afrpc_peer_dispatch (AfrpcPeer *self,
                     gint64     now)
{
  const GIOCondition socket = self->member.socket.poll.revents;
  const GIOCondition pidfd = self->member.pidfd.poll.revents;
  gboolean has_input;

  begin_turn (self);
  has_input = is_readable (self);
  forget_polled (self);

  tell_and_take (self, has_input);
  if (!afrpc_source_is_there (&self->member))
    return FALSE;
  if (can_give (self))
    give (self);
  if ((socket & G_IO_OUT) != 0)
    afrpc_peer_flush (self);
  if (pidfd != 0)
    afrpc_peer_reap (self, now);
  if (afrpc_peer_get_deadline (self) <= now || self->is_catching_up)
    afrpc_peer_expire (self, now, AFRPC_INBOX_TELL);
  if (!afrpc_source_is_there (&self->member))
    return FALSE;
  afrpc_peer_decide_end (self);
  tell_lines (self, TURN_LINES);
  if (!afrpc_news_is_empty (&self->news) && !self->has_backlog && !has_last_words (self))
    {
      afrpc_inbox_take (self, AFRPC_INBOX_TELL);
      if (!afrpc_source_is_there (&self->member))
        return FALSE;
      afrpc_peer_decide_end (self);
    }

  afrpc_peer_leave_rest (self);
  if (self->turned != NULL)
    self->turned (self->turned_data);

  return self->has_backlog;
}

/* Who blocks the thread */

/* Its turn for who blocks the thread, and those that it cannot begin, or end, without: nobody is told anything. */
void
afrpc_peer_take_turn (AfrpcPeer *self,
                      gboolean   has_waited)
{
  const gint64 deadline = afrpc_peer_get_deadline (self);
  gboolean has_read = self->has_backlog || afrpc_transport_has_read (&self->talk.link.transport);

  if (G_UNLIKELY (afrpc_birth_get_template (self) != NULL))
    {
      g_autoptr(AfrpcPeer) template = afrpc_peer_ref (afrpc_birth_get_template (self));

      afrpc_peer_take_turn (template, has_waited);
      afrpc_peer_leave_rest (template);
    }

  begin_turn (self);
  if (afrpc_talk_has_output (&self->talk))
    afrpc_peer_flush (self);
  if (!self->has_backlog && is_readable (self))
    {
      afrpc_inbox_read (self);
      has_read = TRUE;
    }
  if (has_read)
    afrpc_inbox_take (self, AFRPC_INBOX_KEEP);
  if (self->member.pidfd.poll.revents != 0)
    afrpc_peer_reap (self, g_get_monotonic_time ());
  forget_polled (self);
  /* It is not asked for the time before anybody has waited at all. */
  if (has_waited && deadline != AFRPC_DEADLINES_NEVER)
    afrpc_peer_expire (self, g_get_monotonic_time (), AFRPC_INBOX_KEEP);
  afrpc_peer_decide_end (self);
}
