/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a peer fails and ends: what is decided then, and for whom. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"

#include <signal.h>
#include <string.h>

#include "afrpc-error.h"
#include "peer/afrpc-exit-private.h"
#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-ssh.h"
#include "peer/afrpc-task.h"

/* A process that fell silent while it owes answers is ended after this; one that really exits does so at once. */
#define EXIT_GRACE_US (100 * 1000)

/* A command may first have to hear of it from another machine, and may have other things to do. */
#define COMMAND_EXIT_GRACE_US (3 * G_USEC_PER_SEC)

void
afrpc_peer_fail (AfrpcPeer *self,
                 GError    *error) /* (transfer full) */
{
  afrpc_talk_fail (&self->talk, error);
  afrpc_peer_attend (self);
}

static gboolean
is_for_address_space (AfrpcPeer    *self,
                      const GError *error)
{
  return afrpc_limits_explain_failure (&self->body.limits, error->message);
}

/* Modules and functions that cannot be used are named; what init functions and the system say does not tell whose it is. */
static gboolean
has_to_be_named (const GError *error)
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INIT) || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
}

/* The worker has said that it cannot be used; it ends. What it can say of a lack of memory does not tell that there is a
 * limit. */
void
afrpc_peer_report_failure (AfrpcPeer *self,
                           GError    *error) /* (transfer full) */
{
  const gboolean is_for_space = is_for_address_space (self, error);

  if (is_for_space || has_to_be_named (error))
    {
      g_autofree char *name = afrpc_birth_describe (&self->birth);

      g_prefix_error (&error, "%s: ", name);
    }
  if (is_for_space)
    {
      g_autofree char *message = error->message;

      error->message = g_strdup_printf ("%s; its address space is limited to %" G_GUINT64_FORMAT " bytes", message,
                                        self->body.limits.values[AFRPC_LIMIT_ADDRESS_SPACE]);
    }
  self->has_reported = self->talk.failure == NULL;
  afrpc_peer_fail (self, error);
}

/* Whether calls are owed by a worker over a command that is known to have ended, and how. */
static gboolean
owes_after_goodbye (AfrpcPeer *self)
{
  const AfrpcLink *link = &self->talk.link;

  return link->transport.has_goodbye && link->n_pending > 0 && self->talk.failure == NULL;
}

/* Nothing more is read: the process is about to end, or is made to. */
void
afrpc_peer_fall_silent (AfrpcPeer *self)
{
  const gboolean is_command = !afrpc_transport_is_local (&self->talk.link.transport);

  afrpc_talk_fall_silent (&self->talk);
  afrpc_peer_update_watch (self);
  /* Nothing of what is queued was ever sent. */
  g_clear_pointer (&self->birth.overture, afrpc_overture_free);
  /* A command may consist of several processes: the one that reads from us ends only when we do. */
  if (is_command)
    afrpc_link_end_sending (&self->talk.link);
  if (self->body.spawned.pidfd < 0)
    afrpc_peer_reap (self, g_get_monotonic_time ());
  if (afrpc_body_is_there (&self->body) && self->exit_deadline == AFRPC_DEADLINES_NEVER &&
      (self->talk.failure != NULL || self->talk.link.n_pending > 0 || !afrpc_talk_is_closed (&self->talk)) &&
      self->talk.state != AFRPC_TALK_AWAY)
    afrpc_peer_set_deadline (self, &self->exit_deadline,
                             g_get_monotonic_time () +
                               (is_command && !owes_after_goodbye (self) ? COMMAND_EXIT_GRACE_US : EXIT_GRACE_US));
  afrpc_peer_attend (self);
}

/* Has nothing more to do with a worker that cannot be trusted. */
void
afrpc_peer_break_off (AfrpcPeer *self,
                      GError    *error) /* (transfer full) */
{
  g_autofree char *name = afrpc_birth_describe (&self->birth);

  g_prefix_error (&error, "%s: ", name);
  afrpc_peer_fail (self, error);
  afrpc_peer_fall_silent (self);
  afrpc_peer_kill (self, SIGKILL);
}

void
afrpc_peer_reap (AfrpcPeer *self,
                 gint64     now)
{
  if (afrpc_body_reap (&self->body, afrpc_talk_is_silent (&self->talk), now))
    {
      afrpc_birth_leave_reaper (self);
      afrpc_peer_attend (self);
    }
  else if (self->member.source != NULL)
    afrpc_source_set_deadline (self->member.source, self->body.reap_deadline);
  afrpc_peer_update_watch (self);
}

/* Standard error comes by a way of its own: if other calls were begun since nothing had to be done, nobody knows by
 * which of them it was written. */
static gboolean
is_unclear_who_wrote (AfrpcPeer *self)
{
  return afrpc_transport_get_started (&self->talk.link.transport) > self->marked_serial;
}

/* Returns: (transfer full): the last lines of standard error, of a command that may go on, too */
static char *
dup_stderr (AfrpcPeer *self)
{
  gsize n_recent;

  if (self->body.exit != NULL)
    return g_strdup (afrpc_exit_get_stderr (self->body.exit));

  afrpc_stderr_read (&self->body.standard_error);
  afrpc_peer_update_watch (self);

  return afrpc_stderr_dup (&self->body.standard_error, &n_recent);
}

/* Over a command: how the worker ended if its goodbye told, or else that nobody knows. */
static char *
describe_end (AfrpcPeer *self)
{
  const AfrpcLink *link = &self->talk.link;
  g_autofree char *name = afrpc_birth_describe (&self->birth);
  g_autofree char *text = NULL;

  if (link->transport.has_goodbye)
    {
      const AfrpcGoodbye *goodbye = &link->transport.goodbye;
      const AfrpcSpawnStatus status = {
        .known = TRUE, .status = goodbye->status, .signum = goodbye->signum, .core = goodbye->core,
      };
      g_autofree char *tail = dup_stderr (self);
      g_autoptr(AfrpcExit) worker_exit = afrpc_exit_new (0, &status, FALSE, &self->body.limits, tail, strlen (tail));

      if (is_unclear_who_wrote (self))
        afrpc_exit_set_unclear (worker_exit);
      text = afrpc_exit_describe (worker_exit, "the worker");
      return g_strdup_printf ("%s: %s", name, text);
    }

  text = afrpc_exit_describe (self->body.exit, name);
  if (!afrpc_transport_is_local (&link->transport) && link->state > AFRPC_LINK_GREETING)
    return g_strdup_printf ("the link to the worker broke: %s", text);

  return g_steal_pointer (&text);
}

/* Whether a process has ended before it said what it is. What a host has forked is one. */
static gboolean
is_greetless (AfrpcPeer *self)
{
  return self->talk.link.state == AFRPC_LINK_GREETING && self->birth.start != AFRPC_START_FORK &&
         afrpc_exit_is_known (self->body.exit);
}

static GError *
new_end_error (AfrpcPeer *self)
{
  const AfrpcLink *link = &self->talk.link;
  const gboolean is_command = !afrpc_transport_is_local (&link->transport);
  g_autofree char *text = describe_end (self);
  /* It may have become ready, and begun. */
  const gboolean may_have_run = is_command && !link->transport.has_goodbye && link->n_pending > 0;
  const char *when = is_command && is_greetless (self) ? "before it said that it is a host, " :
                     link->was_ready || may_have_run ? "" : "before it was ready, ";
  /* Whoever is killed says nothing of what it is. */
  const gboolean is_no_host = is_greetless (self) && afrpc_exit_get_signal (self->body.exit) == 0;

  if (is_no_host && self->birth.destination != NULL)
    return afrpc_ssh_new_error (self->birth.destination, self->body.exit, text);
  if (is_no_host)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "before it said that it is a host, %s", text);
  if (!link->was_ready && !may_have_run)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, "%s%s", when, text);
  if (link->n_pending > 0)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "%s%s", when, text);

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "%s", text);
}

/* The failure as that of a call of another function than the worker's own, which is what the failure names if anything. */
static GError *
new_failure_of (AfrpcPeer  *self,
                const char *function)
{
  const GError *failure = self->talk.failure;
  g_autofree char *own = afrpc_birth_describe (&self->birth);
  g_autofree char *name = afrpc_birth_describe_as (&self->birth, function);
  const char *place = strstr (failure->message, own);

  if (place == NULL)
    return g_error_new (failure->domain, failure->code, "'%s': %s", function, failure->message);

  return g_error_new (failure->domain, failure->code, "%.*s%s%s", (int) (place - failure->message), failure->message, name,
                      place + strlen (own));
}

/* Why a call fails that has no outcome, and whether the worker had begun it. */
static GError *
new_call_error (AfrpcPeer    *self,
                guint         number,
                AfrpcStarted  started)
{
  const GError *failure = self->talk.failure;
  const char *function = afrpc_peer_find_function (self, number);
  GError *error;

  /* Nobody has heard that it was ready, and it has begun calls all the same: it was killed while its template made it, or
   * somebody else has read what it said. */
  if (started != AFRPC_STARTED_NO && g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED))
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "it may have been begun, and nobody heard that the process was ready: %s",
                        failure->message);
  if (started != AFRPC_STARTED_NO)
    return function != NULL ? new_failure_of (self, function) : g_error_copy (failure);

  /* A command that was killed may have begun others. */
  error = self->talk.link.was_ready || g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_DIED)
            ? g_error_new_literal (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, failure->message)
            : g_error_copy (failure);
  /* The failure is the worker's, whatever it was to be called for. */
  if (function != NULL)
    g_prefix_error (&error, "the call of '%s' was not started: ", function);
  else if (self->talk.link.was_ready)
    g_prefix_error (&error, "the call was not started: ");

  return error;
}

static void
decide_slot (AfrpcPeer           *self,
             const AfrpcLinkSlot *slot)
{
  AfrpcPending *call = slot->call.owner;

  afrpc_pending_decide (call, slot->started, NULL, NULL, new_call_error (self, call->function, slot->started));
}

/* After the end: the oldest call that somebody still waits for gets its outcome.
 * Returns: (transfer full) (nullable): the call; NULL: there is none */
AfrpcPending *
afrpc_peer_decide_owed (AfrpcPeer *self)
{
  AfrpcLinkSlot slot;
  AfrpcPending *call;

  if (!afrpc_link_give_back (&self->talk.link, &slot))
    return NULL;

  call = slot.call.owner;
  if (call->state != AFRPC_PENDING_DECIDED)
    decide_slot (self, &slot);

  return call;
}

/* The same for a certain one, before it is its turn: then it is not told, and the reference is the caller's. If others wait
 * for it besides, it keeps its place. */
void
afrpc_peer_decide_at_end (AfrpcPeer    *self,
                          AfrpcPending *call)
{
  AfrpcLinkSlot slot;

  if (afrpc_talk_is_over (&self->talk) && call->state == AFRPC_PENDING_OPEN &&
      afrpc_link_give_back_one (&self->talk.link, call->serial, call->is_told_too, &slot))
    decide_slot (self, &slot);
}

/* Whether the worker had begun a call that it still owed when it ended. */
AfrpcStarted
afrpc_peer_get_started (AfrpcPeer          *self,
                        const AfrpcPending *call)
{
  return afrpc_link_get_started (&self->talk.link, call->serial);
}

/* Nothing can succeed any more. */
static void
decide_failure (AfrpcPeer *self)
{
  g_autoptr(GObject) proxy = afrpc_weak_get (&self->proxy);
  const AfrpcExit *exit = self->body.exit;
  const AfrpcLink *link = &self->talk.link;
  const AfrpcTransport *transport = &self->talk.link.transport;
  const gboolean is_success = exit != NULL && afrpc_exit_is_success (exit) &&
                              (afrpc_transport_is_local (transport) ||
                               (transport->has_goodbye && transport->goodbye.status == 0));
  const gboolean was_orderly = link->was_ready && exit != NULL && (afrpc_talk_is_closed (&self->talk) || is_success);
  /* What it has died of otherwise is news to the program as well. */
  const gboolean was_asked_for = self->is_kill_asked_for && (exit == NULL || afrpc_exit_was_killed (exit));
  gboolean owes;

  /* Whoever is being forked for nothing ends as soon as it is known who that is. */
  if (afrpc_body_may_be_there (&self->body))
    afrpc_birth_leave_to_heir (self);
  afrpc_peer_fall_silent (self);
  afrpc_talk_end (&self->talk);
  afrpc_deadlines_clear (&self->deadlines);
  owes = afrpc_link_is_waited_for (&self->talk.link);
  if (owes)
    afrpc_news_push (&self->news, AFRPC_NEWS_OWED);
  if (self->connection_task != NULL)
    {
      afrpc_task_unwatch (self->connection_task);
      afrpc_news_push_task_error (&self->news, g_steal_pointer (&self->connection_task),
                                  g_error_copy (self->talk.failure));
    }
  if (proxy != NULL && !(was_orderly && !owes) &&
      afrpc_news_may_decide (self->news.decided, AFRPC_NEWS_ERROR))
    afrpc_news_push_error (&self->news, g_error_copy (self->talk.failure),
                           owes || self->failure_is_known || was_asked_for);
}

static void
decide_closed (AfrpcPeer *self)
{
  if (!afrpc_news_has_decided (&self->news, AFRPC_NEWS_CLOSED))
    afrpc_news_push (&self->news, AFRPC_NEWS_CLOSED);
}

/* Whether nothing that has arrived waits to be taken. */
static gboolean
is_read_out (AfrpcPeer *self)
{
  return afrpc_talk_is_silent (&self->talk) && !self->has_backlog;
}

/* Whether a failure has to be acted on. For an heir it is waited for which process that is: nobody else would end and
 * reap that. */
static gboolean
has_to_fail (AfrpcPeer *self)
{
  const AfrpcTalk *talk = &self->talk;

  return talk->failure != NULL && !afrpc_talk_is_over (talk) && !(self->birth.is_heir && afrpc_body_may_be_there (&self->body));
}

/* A process that should have ended has not: it is killed. But the worker over a command has ended, and said how: who waits
 * for that need not wait for what the command does. */
void
afrpc_peer_expire_exit (AfrpcPeer *self,
                        gint64     now)
{
  if (afrpc_body_is_there (&self->body) && owes_after_goodbye (self))
    {
      if (is_read_out (self))
        afrpc_talk_fail (&self->talk, new_end_error (self));
      afrpc_peer_set_deadline (self, &self->exit_deadline,
                               now + (is_read_out (self) ? COMMAND_EXIT_GRACE_US : EXIT_GRACE_US));
      return;
    }

  self->exit_deadline = AFRPC_DEADLINES_NEVER;
  afrpc_peer_kill (self, SIGKILL);
}

/* It says nothing any more, and has not ended yet, as its descriptor tells of a process that is somebody else's. */
static gboolean
lingers (AfrpcPeer *self)
{
  return afrpc_peer_watches_foreign (self) && !afrpc_body_has_ended (&self->body);
}

/* Whether something may be decided about the end that no descriptor tells. */
gboolean
afrpc_peer_has_to_decide (AfrpcPeer *self)
{
  const AfrpcTalk *talk = &self->talk;
  const gboolean is_silent = afrpc_talk_is_silent (talk);

  switch (self->body.state)
    {
    case AFRPC_BODY_ENDED:
      if (!is_silent || talk->failure == NULL)
        return TRUE;
      break;

    case AFRPC_BODY_UNPROVEN:
    case AFRPC_BODY_FOREIGN:
    case AFRPC_BODY_DOUBTFUL:
      if ((is_silent && !lingers (self)) || self->birth.has_to_look)
        return TRUE;
      break;

    default:
      break;
    }
  if (has_to_fail (self))
    return TRUE;
  if (afrpc_talk_is_over (talk) && afrpc_body_is_over (&self->body))
    return !afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED);

  return talk->state == AFRPC_TALK_SILENT_CLOSED && talk->may_outlive && talk->link.n_pending == 0 &&
         !afrpc_news_has_decided (&self->news, AFRPC_NEWS_CLOSED);
}

/* What was started, and was of no use: how it ended says nothing of that. */
static gboolean
is_for_greeting (const GError *failure)
{
  return g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST) ||
         g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_VERSION);
}

/* Whether that, rather than how it ended, is why it did. */
static gboolean
is_why_it_ended (const GError *failure)
{
  return is_for_greeting (failure) || g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
}

/* Decides what there is to decide, now that the process, or the conversation, may be over. Tells nobody. */
void
afrpc_peer_decide_end (AfrpcPeer *self)
{
  const gboolean is_foreign = afrpc_body_is_foreign (&self->body); /* nobody knows how it ends */

  if (G_LIKELY (self->birth.forks.length == 0 && !afrpc_peer_has_to_decide (self)))
    return;

  if (is_foreign && is_read_out (self) && !lingers (self))
    {
      const AfrpcSpawnStatus unknown = { .known = FALSE, .status = -1 };

      afrpc_body_set_exit (&self->body, &unknown);
      afrpc_peer_update_watch (self);
    }
  if (self->body.state == AFRPC_BODY_DOUBTFUL && self->birth.has_to_look)
    afrpc_birth_look_for_unheard (self);
  if (self->body.state == AFRPC_BODY_DOUBTFUL && is_read_out (self))
    afrpc_birth_unheard (self);
  if (self->body.state == AFRPC_BODY_ENDED && is_unclear_who_wrote (self) &&
      !afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED))
    afrpc_exit_set_unclear (self->body.exit);
  if (self->body.state == AFRPC_BODY_ENDED && self->has_reported && !afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED))
    afrpc_exit_set_failure (self->body.exit, self->talk.failure->message,
                            is_for_address_space (self, self->talk.failure) ? AFRPC_LIMIT_ADDRESS_SPACE : AFRPC_LIMIT_NONE);
  if (self->body.state == AFRPC_BODY_ENDED && is_why_it_ended (self->talk.failure) &&
      !afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED))
    afrpc_exit_set_failure (self->body.exit, self->talk.failure->message, AFRPC_LIMIT_NONE);
  if (self->body.state == AFRPC_BODY_ENDED && is_read_out (self) && self->talk.failure == NULL)
    {
      afrpc_talk_fail (&self->talk, new_end_error (self));
      if (is_for_greeting (self->talk.failure) ||
          (is_greetless (self) && !afrpc_transport_is_local (&self->talk.link.transport)))
        afrpc_exit_set_greetless (self->body.exit);
    }

  if (self->birth.forks.length > 0 && (self->talk.failure != NULL || afrpc_talk_is_silent (&self->talk)))
    afrpc_birth_template_gone (self);
  if (has_to_fail (self) && !self->has_backlog)
    decide_failure (self);

  if (afrpc_talk_is_over (&self->talk) && afrpc_body_is_over (&self->body))
    {
      if (!afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED))
        {
          afrpc_news_push (&self->news, AFRPC_NEWS_EXITED);
          decide_closed (self);
          afrpc_source_activate (&self->member);
          afrpc_source_unwatch (&self->member);
          /* Of one that was being forked there may be a process yet. */
          afrpc_link_let_go (&self->talk.link, !is_foreign && self->body.state == AFRPC_BODY_ENDED);
          afrpc_stderr_finish (&self->body.standard_error);
          afrpc_peer_forget_untold (self);
        }
    }
  else if (self->talk.may_outlive && afrpc_talk_is_closed (&self->talk) && afrpc_peer_get_n_owed (self) == 0 &&
           is_read_out (self))
    decide_closed (self);
}
