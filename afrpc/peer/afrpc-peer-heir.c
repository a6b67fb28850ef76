/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A process that a template has been asked for, and that nobody waits for any more: its peer has failed, was killed or was
 * dropped. The template may be stuck, so that peer does not wait for its answer: it is at its end, and never had a process.
 * Another peer, which no handle knows, takes its place among those that the template owes an answer: an heir. It ends and
 * has reaped whatever there may be, when it is known which process that is, and goes when there is none. */
#include "config.h"

#include "peer/afrpc-peer-birth.h"

#include <signal.h>

#include "peer/afrpc-peer.h"

#define PATIENCE_US (1000 * 1000) /* the template may be stuck */

static void
take_place (AfrpcPeer *heir,
            AfrpcPeer *peer)
{
  AfrpcPeer *template = heir->birth.template;

  if (peer->birth.place == NULL)
    return;

  heir->birth.place = g_steal_pointer (&peer->birth.place);
  heir->birth.place->data = afrpc_peer_ref (heir);
  template->birth.n_heirs++;
  afrpc_peer_unref (peer);
  /* It may have been kept only by those that are forked from it. */
  afrpc_peer_attend (template);
}

/* @peer has failed: what it was asked for is left to an heir. */
void
afrpc_birth_leave_to_heir (AfrpcPeer *peer)
{
  g_autoptr(AfrpcPeer) heir = afrpc_peer_new_heir (peer);

  heir->birth.is_heir = heir->birth.is_tried = heir->birth.is_begun = TRUE;
  heir->birth.heir_until = g_get_monotonic_time () + PATIENCE_US;
  heir->birth.other_inode = peer->birth.other_inode;
  heir->birth.asked_at = peer->birth.asked_at;
  heir->birth.is_unasked = peer->birth.is_unasked;
  heir->birth.template = g_steal_pointer (&peer->birth.template);
  heir->body.limits = peer->body.limits;
  heir->failure_is_known = TRUE;
  afrpc_talk_fail (&heir->talk, g_error_copy (peer->talk.failure));
  afrpc_link_take_over (&heir->talk.link, &peer->talk.link);
  take_place (heir, peer);
  peer->birth.heir = afrpc_peer_ref (heir);

  afrpc_body_await (&heir->body);
  afrpc_body_kill (&heir->body, SIGKILL);
  if (peer->body.state == AFRPC_BODY_DOUBTFUL)
    afrpc_birth_doubt (heir);
  afrpc_body_never (&peer->body);
}

/* Those that are waited for now. */
typedef struct
{
  AfrpcSource *source;
  GPtrArray *peers;
  gint64 now;
  gint64 until;
  guint n;
} Heirs;

static void
add_heir (AfrpcPeer *peer,
          gpointer   data)
{
  Heirs *heirs = data;

  if (!peer->birth.is_heir || peer->birth.heir_until <= heirs->now || afrpc_body_is_over (&peer->body))
    return;

  heirs->n++;
  heirs->until = MIN (heirs->until, peer->birth.heir_until);
  g_ptr_array_add (heirs->peers, afrpc_peer_ref (peer));
}

typedef struct
{
  AfrpcSource *source;
  gint64 until;
} Wait;

static AfrpcPeerBlock
take_turn (gpointer   data,
           GPtrArray *peers,
           gint64    *until)
{
  const Wait *wait = data;
  Heirs heirs = { wait->source, peers, g_get_monotonic_time (), wait->until, 0 };

  afrpc_source_foreach (heirs.source, add_heir, &heirs);
  *until = heirs.until;

  return heirs.n == 0 || heirs.now >= wait->until ? AFRPC_PEER_BLOCK_OVER : AFRPC_PEER_BLOCK_WAIT;
}

/* Blocks the thread until all heirs of the peer's main context are gone, or have had their time, or it is @until: whoever has no
 * main loop is not to leave behind what was just being forked. */
void
afrpc_peer_await_heirs (AfrpcPeer *self,
                        gint64     until)
{
  Wait wait = { self->member.source, until };

  if (wait.source != NULL)
    afrpc_peer_block (self, take_turn, &wait);
}
