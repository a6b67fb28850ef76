/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of a peer whose handles are dropped: it finishes what it has, and ends. */
#include "config.h"

#include "peer/afrpc-peer.h"

#include <signal.h>

#include "afrpc-error.h"
#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-peer-parts.h"

#define AWAIT_DROPPED_US (100 * G_TIME_SPAN_MILLISECOND) /* whoever has nothing to do ends in a few */

/* It was dropped without ever having had a job, and nothing is going to be forked from it. */
static gboolean
is_of_no_use (const AfrpcPeer *self)
{
  return self->is_dropped && self->talk.role == AFRPC_ROLE_NONE && self->birth.forks.length == self->birth.n_heirs;
}

/* Whether it has nothing more to do but to end: its proxy is closed, or it never had one and was dropped, or left it to
 * an heir to see what was forked. */
gboolean
afrpc_peer_is_leaving (AfrpcPeer *self)
{
  return afrpc_peer_is_closed (self) || self->birth.is_heir || is_of_no_use (self);
}

/* Where no main loop has ever run, there may never be one to see its end: whoever has nothing left to do has that at once,
 * and is waited for. */
static void
await_dropped (AfrpcPeer *self)
{
  const gint64 until = g_get_monotonic_time () + AWAIT_DROPPED_US;

  if (!afrpc_peer_is_leaving (self) || self->talk.may_outlive || self->talk.link.n_pending > 0 ||
      afrpc_source_has_run (self->member.source))
    return;

  afrpc_peer_await_gone (self, until);
  if (self->birth.heir != NULL)
    afrpc_peer_await_heirs (self, until);
}

/* Whether no main loop has ever come to its main context: there may never be one. */
gboolean
afrpc_peer_has_no_loop (AfrpcPeer *self)
{
  return self->member.source != NULL && !afrpc_source_has_run (self->member.source);
}

/* Whether somebody is told something by @handle, a public object, should there be a main loop one day. */
gboolean
afrpc_peer_is_listened_to (gpointer handle)
{
  return g_signal_handler_find (handle, G_SIGNAL_MATCH_UNBLOCKED, 0, 0, NULL, NULL, NULL) != 0;
}

/* Lets go of @held, what is kept of a handle so that its handlers are told, unless it has some. Returns: whether the handle,
 * which is in @ref, is gone */
static gboolean
let_go (AfrpcWeak  *ref,
        GObject   **held)
{
  GObject *handle = afrpc_weak_get (ref);

  if (handle == NULL)
    return TRUE;

  if (!afrpc_peer_is_listened_to (handle))
    g_clear_object (held);
  g_object_unref (handle);
  handle = afrpc_weak_get (ref);
  if (handle == NULL)
    return TRUE;

  g_object_unref (handle);
  return FALSE;
}

/* Where no main loop has ever run, there may never be one to tell what nobody is told: the peer need not stay for that, nor its
 * handles. Whoever has one of those is told when there is a loop, and as long as he has it. A pool looks at its own. */
void
afrpc_peer_forget_untold (AfrpcPeer *self)
{
  if (self->turned != NULL || !afrpc_peer_is_over (self) || !afrpc_peer_has_no_loop (self) ||
      afrpc_news_is_waited_for (&self->news) || !let_go (&self->proxy, &self->proxy_held) ||
      !let_go (&self->process, &self->process_held))
    return;

  afrpc_news_clear (&self->news);
  afrpc_source_deactivate (&self->member);
}

/* Another thread, or somebody elsewhere in this one, has dropped it: where there is no main loop, nobody else acts on that. */
static void
dropped_cb (AfrpcPeer *self,
            gpointer   data)
{
  afrpc_peer_attend (self);
  if (!afrpc_peer_has_no_loop (self))
    return;

  afrpc_peer_act_on_drops (self);
  afrpc_peer_keep_turn (self);
  afrpc_peer_forget_untold (self);
}

/* From any thread, even from within a garbage collection: calls nobody back. */
void
afrpc_peer_drop (AfrpcPeer     *self,
                 AfrpcPeerDrop  what)
{
  g_atomic_int_or (&self->drops, what);
  switch (afrpc_source_enter (&self->member))
    {
    case AFRPC_SOURCE_ENTERED:
      /* What can be done without calling anybody back is done at once, so that a program without a main loop leaves
       * nothing behind. */
      afrpc_peer_act_on_drops (self);
      if (!afrpc_source_is_running (&self->member))
        {
          afrpc_peer_flush (self);
          await_dropped (self);
        }
      afrpc_peer_attend (self);
      afrpc_peer_forget_untold (self);
      afrpc_source_leave (&self->member);
      break;

    case AFRPC_SOURCE_FOREIGN:
      if (!afrpc_source_post (&afrpc_peer_ref (self)->member, dropped_cb, NULL, NULL))
        afrpc_peer_unref (self);
      break;

    default:
      break;
    }
}

/* Nobody can give it work any more, nobody is going to be forked from it, and nobody asks how its children end. */
gboolean
afrpc_peer_is_abandoned (AfrpcPeer *self)
{
  return is_of_no_use (self) && self->birth.reaped_for->len == 0 && !afrpc_talk_is_over (&self->talk);
}

void
afrpc_peer_act_on_drops (AfrpcPeer *self)
{
  const AfrpcPeerDrop drops = g_atomic_int_and (&self->drops, 0);

  if ((drops & AFRPC_PEER_DROP_PROXY) != 0)
    afrpc_talk_close (&self->talk);
  if ((drops & AFRPC_PEER_DROP_PROCESS) != 0)
    self->is_dropped = TRUE;
  if (!afrpc_peer_is_abandoned (self))
    return;

  /* The end of its input ends it. */
  if (self->body.state == AFRPC_BODY_NONE)
    afrpc_body_never (&self->body);
  self->birth.is_tried = TRUE;
  afrpc_talk_fail (&self->talk, g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the process was dropped"));
  /* Who may be there, as far as is known, is ended and reaped when that is known. */
  if (afrpc_body_may_be_there (&self->body))
    {
      afrpc_body_kill (&self->body, SIGKILL);
      if (self->body.state == AFRPC_BODY_DOUBTFUL)
        afrpc_birth_look_for_unheard (self);
      return;
    }
  afrpc_peer_fall_silent (self);
  afrpc_peer_set_deadline (self, &self->exit_deadline, g_get_monotonic_time () + AFRPC_PEER_DROP_GRACE_US);
  afrpc_link_end_sending (&self->talk.link);
}
