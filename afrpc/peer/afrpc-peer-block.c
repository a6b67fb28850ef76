/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who blocks the thread, for one peer or for several: nobody is told anything meanwhile, but the program's log. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"

#include <errno.h>
#include <signal.h>

#include "afrpc-error.h"
#include "peer/afrpc-inbox.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-peer-birth.h"

#define PLACES 3     /* descriptors of a peer that are polled */
#define FEW_PEERS 8  /* are polled without any memory being allocated */
#define REST_MAX (64u << 20) /* bytes: room for what one that has ended has left in its socket, should somebody else write on */
#define FAR_MS 10    /* how often other threads are looked at that have no descriptor to wake up who waits */
#define SIGNAL_MS 16 /* the first time that signals are looked for which have interrupted nothing; twice that next, and so on */

static gboolean (*interrupted_func) (void); /* (nullable): atomic */

void
afrpc_peer_set_interrupted_func (gboolean (*func) (void))
{
  g_atomic_pointer_set (&interrupted_func, func);
}

/* To be called before who blocks waits: a signal that has come since he did so last may want him not to. TRUE: somebody
 * was told, who may have done anything. @looks: is set to whether he has to be told again after a while */
gboolean
afrpc_peer_tell_interrupted (gboolean *looks)
{
  gboolean (*func) (void) = g_atomic_pointer_get (&interrupted_func);

  *looks = FALSE;
  if (func == NULL)
    return FALSE;

  *looks = func ();
  return TRUE;
}

/* Whether so much waits to be told that no more is read from it while the thread is blocked, and the worker waits. What a
 * process has left that has ended has room. */
static inline gboolean
keeps_too_much (const AfrpcPeer *self)
{
  const AfrpcNews *news = &self->news;

  if (G_LIKELY (news->size <= self->kept_max && news->n_fds <= AFRPC_NEWS_FDS_MAX))
    return FALSE;

  return !afrpc_body_has_ended (&self->body) ||
         (news->size > self->kept_max && news->size - self->kept_max > self->talk.link.message_size_max + REST_MAX);
}

gboolean
afrpc_peer_keeps_too_much (AfrpcPeer *self)
{
  return keeps_too_much (self);
}

/* Whoever was killed ends, whatever it has still to say. To be asked first: it may end between two questions, and what one
 * has left that has ended has more room. */
static gboolean
is_about_to_end (AfrpcPeer *self)
{
  const gboolean is_killed = (self->body.signals_sent & G_GUINT64_CONSTANT (1) << SIGKILL) != 0;

  return is_killed && !afrpc_body_has_ended (&self->body);
}

/* Whether its end would come behind that, and so is waited for in vain. */
gboolean
afrpc_peer_cannot_end (AfrpcPeer *self)
{
  return !is_about_to_end (self) && keeps_too_much (self) && !afrpc_talk_is_silent (&self->talk);
}

/* Where it is polled for a peer; of what is not polled the descriptor is -1. Returns: when it has to have a turn */
static gint64
fill_places (AfrpcPeer *peer,
             GPollFD    places[PLACES])
{
  places[0] = peer->member.socket.poll;
  places[1] = peer->member.pidfd.poll;
  places[2] = peer->member.standard_error.poll;
  if (afrpc_stderr_is_full (&peer->body.standard_error))
    places[2].fd = -1;
  if (keeps_too_much (peer))
    {
      places[0].events &= ~G_IO_IN;
      return peer->has_backlog ? 0 : afrpc_peer_get_deadline (peer);
    }
  afrpc_peer_look_at_input (peer);
  if (peer->has_backlog || peer->has_input ||
      (peer->body.state == AFRPC_BODY_ENDED && !afrpc_talk_is_silent (&peer->talk)))
    return 0;

  return afrpc_peer_get_deadline (peer);
}

static GPtrArray *
new_peers (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_peer_unref);
}

static int
get_timeout (gint64 until)
{
  gint64 left;

  if (until == AFRPC_DEADLINES_NEVER)
    return -1;

  left = until - g_get_monotonic_time ();

  return left <= 0 ? 0 : MIN ((left + 999) / 1000, G_MAXINT);
}

/* Sees what has happened to the peers; or waits for that, for another thread to say something, and until it is time.
 * @fds: room for the wake-up's descriptor, and then those of the peers */
static void
poll_peers (AfrpcPeer *const *peers,
            guint             n,
            GPollFD          *fds,
            GPollFD          *wake,
            gboolean          waits,
            gint64            until)
{
  int timeout_ms, n_ready;

  fds[0] = *wake;
  for (guint i = 0; i < n; i++)
    until = MIN (until, fill_places (peers[i], &fds[1 + PLACES * i]));
  timeout_ms = waits ? get_timeout (until) : 0;
  if (waits && wake->fd < 0)
    timeout_ms = timeout_ms < 0 ? FAR_MS : MIN (timeout_ms, FAR_MS);

  n_ready = g_poll (fds, 1 + PLACES * n, timeout_ms);
  if (n_ready <= 0)
    return;

  wake->revents = fds[0].revents;
  for (guint i = 0; i < n; i++)
    {
      const GPollFD *places = &fds[1 + PLACES * i];

      peers[i]->member.socket.poll.revents = places[0].revents;
      peers[i]->member.pidfd.poll.revents = places[1].revents;
      peers[i]->member.standard_error.poll.revents = places[2].revents;
    }
}

/* Of the peers of @peers, and of those that they depend on, which are put behind them; each is there once. */
static G_NO_INLINE void
poll_many (GPtrArray *peers,
           GPollFD   *wake,
           gboolean   waits,
           gint64     until)
{
  g_autofree GPollFD *fds = NULL;

  for (guint i = 0; i < peers->len; i++)
    {
      AfrpcPeer *template = afrpc_birth_get_template (peers->pdata[i]);

      if (template != NULL && !g_ptr_array_find (peers, template, NULL))
        g_ptr_array_add (peers, afrpc_peer_ref (template));
    }
  fds = g_new (GPollFD, 1 + PLACES * peers->len);

  poll_peers ((AfrpcPeer *const *) peers->pdata, peers->len, fds, wake, waits, until);
}

/* Of the peer and of those that it depends on, one behind the other: a template has been forked from a template. */
static void
poll_one (AfrpcPeer *self,
          GPollFD   *wake,
          gboolean   waits,
          gint64     until)
{
  g_autoptr(GPtrArray) peers = NULL;
  GPollFD fds[1 + PLACES * FEW_PEERS];
  AfrpcPeer *few[FEW_PEERS];
  AfrpcPeer *peer = self;
  guint n = 0;

  for (; peer != NULL && n < FEW_PEERS; peer = afrpc_birth_get_template (peer))
    few[n++] = peer;
  if (G_LIKELY (peer == NULL))
    {
      poll_peers (few, n, fds, wake, waits, until);
      return;
    }

  peers = new_peers ();
  g_ptr_array_add (peers, afrpc_peer_ref (self));

  poll_many (peers, wake, waits, until);
}

/* Its turn for a thread that blocks for others: if it is leaving, it goes without a main loop. */
void
afrpc_peer_keep_turn (AfrpcPeer *self)
{
  GPollFD wake = { -1, G_IO_IN, 0 };

  if (!afrpc_peer_is_leaving (self))
    return;

  poll_one (self, &wake, FALSE, AFRPC_DEADLINES_NEVER);
  afrpc_peer_take_turn (self, TRUE);
  afrpc_peer_leave_rest (self);
  if (self->turned != NULL && afrpc_peer_is_over (self) && afrpc_peer_has_no_loop (self))
    self->turned (self->turned_data);
  afrpc_peer_forget_untold (self);
}

/* Waits until it has gone, or it is @until. Nobody is told anything, nor of a signal that comes meanwhile. */
void
afrpc_peer_await_gone (AfrpcPeer *self,
                       gint64     until)
{
  GPollFD wake = { -1, G_IO_IN, 0 };

  for (gboolean has_waited = FALSE;; has_waited = TRUE)
    {
      afrpc_peer_take_turn (self, has_waited);
      if (afrpc_peer_is_over (self) || g_get_monotonic_time () >= until)
        break;
      poll_one (self, &wake, TRUE, until);
    }
  afrpc_peer_leave_rest (self);
}

typedef gboolean (*AfrpcUntil) (AfrpcPeer *self,
                                gpointer   data);

/* While it blocks, a thread owns the context. */
typedef struct
{
  AfrpcSource *source;
  gboolean is_mine;   /* it does so anyway */
  gpointer runner;
  GPollFD wake;
  guint signal_ms;    /* after which signals are looked for */
} Blocking;

static gboolean
begin_blocking (Blocking  *blocking,
                AfrpcPeer *peer)
{
  blocking->source = peer->member.source;
  if (!afrpc_source_is_there (&peer->member) || afrpc_source_is_going (blocking->source))
    return FALSE;

  blocking->is_mine = afrpc_source_runs_here (blocking->source);
  if (!blocking->is_mine && !g_main_context_acquire (afrpc_source_get_context (blocking->source)))
    return FALSE;
  if (!blocking->is_mine)
    blocking->runner = afrpc_source_begin_blocking (blocking->source);
  blocking->wake = (GPollFD) { afrpc_source_get_wake_fd (blocking->source), G_IO_IN, 0 };
  blocking->signal_ms = SIGNAL_MS;

  return TRUE;
}

static void
clear_wake (Blocking *blocking)
{
  if (blocking->wake.revents != 0)
    afrpc_source_clear_wake_fd (blocking->source);
  blocking->wake.revents = 0;
}

static void
end_blocking (Blocking *blocking)
{
  if (!blocking->is_mine)
    afrpc_source_end_blocking (blocking->source, blocking->runner);
}

/* What somebody who was told has had queued goes out before anybody waits, as it does in the main loop. A signal may come
 * before anybody does, or to another thread, and so interrupt nothing: @until is set to when that is looked for. */
static gboolean
tell_interrupted (Blocking *blocking,
                  gint64   *until)
{
  gboolean looks;

  if (!afrpc_peer_tell_interrupted (&looks))
    return FALSE;

  afrpc_source_leave_if_inherited (blocking->source);
  afrpc_source_flush (blocking->source);
  if (looks)
    {
      *until = MIN (*until, g_get_monotonic_time () + blocking->signal_ms * G_TIME_SPAN_MILLISECOND);
      blocking->signal_ms = MIN (blocking->signal_ms * 2, AFRPC_PEER_SIGNAL_MS_MAX);
    }
  return TRUE;
}

static void
tell_lines (Blocking  *blocking,
            AfrpcPeer *peer)
{
  if (G_UNLIKELY (afrpc_peer_tell_lines (peer)))
    afrpc_source_flush (blocking->source);
}

/* Blocks the thread until @is_done; what arrives meanwhile is told by the main loop, in its order. FALSE: it does not, or is not
 * done, because the main context is not this thread's, nor this process's. */
static gboolean
block (AfrpcPeer  *self,
       AfrpcUntil  is_done,
       gpointer    data)
{
  Blocking blocking;
  gboolean is_inherited;

  if (!begin_blocking (&blocking, self))
    return FALSE;

  for (gboolean has_waited = FALSE;; has_waited = TRUE)
    {
      gint64 until = AFRPC_DEADLINES_NEVER;

      afrpc_source_run_posts (blocking.source);
      afrpc_peer_take_turn (self, has_waited);
      tell_lines (&blocking, self);
      if (is_done (self, data) ||
          (tell_interrupted (&blocking, &until) && (afrpc_peer_is_inherited (self) || is_done (self, data))))
        break;
      poll_one (self, &blocking.wake, TRUE, until);
      clear_wake (&blocking);
    }
  is_inherited = afrpc_peer_is_inherited (self);
  if (!is_inherited)
    afrpc_peer_leave_rest (self);
  end_blocking (&blocking);

  return !is_inherited;
}

/* What the one who blocks does now. Fills @peers with those that have to have a turn: each has that after those that it
 * depends on. */
static AfrpcPeerBlock
ask_blocked (AfrpcPeer     *self,
             AfrpcPeerTurn  turn,
             gpointer       data,
             GPtrArray     *peers,
             gint64        *until)
{
  *until = AFRPC_DEADLINES_NEVER;
  g_ptr_array_set_size (peers, 0);
  g_ptr_array_add (peers, afrpc_peer_ref (self));

  return turn (data, peers, until);
}

/* Blocks the thread for who needs several peers of the same main context as @self: until @turn says that it is over.
 * FALSE: it could not, because another thread runs that context, or it is gone; or this process was forked meanwhile. */
gboolean
afrpc_peer_block (AfrpcPeer     *self,
                  AfrpcPeerTurn  turn,
                  gpointer       data)
{
  g_autoptr(GPtrArray) peers = new_peers ();
  AfrpcPeerBlock what;
  Blocking blocking;
  gint64 until, signal_until;
  gboolean is_inherited;

  if (!begin_blocking (&blocking, self))
    return FALSE;

  for (gboolean has_waited = FALSE;; has_waited = TRUE)
    {
      do
        {
          afrpc_source_run_posts (blocking.source);
          what = ask_blocked (self, turn, data, peers, &until);
          for (guint i = 0; i < peers->len && what != AFRPC_PEER_BLOCK_OVER; i++)
            {
              afrpc_peer_take_turn (peers->pdata[i], has_waited);
              tell_lines (&blocking, peers->pdata[i]);
            }
          if (what == AFRPC_PEER_BLOCK_WAIT)
            what = ask_blocked (self, turn, data, peers, &until);
        }
      while (what == AFRPC_PEER_BLOCK_AGAIN);
      signal_until = AFRPC_DEADLINES_NEVER;
      if (what == AFRPC_PEER_BLOCK_WAIT && tell_interrupted (&blocking, &signal_until))
        what = afrpc_peer_is_inherited (self) ? AFRPC_PEER_BLOCK_OVER : ask_blocked (self, turn, data, peers, &until);
      if (what == AFRPC_PEER_BLOCK_OVER)
        break;
      poll_many (peers, &blocking.wake, what == AFRPC_PEER_BLOCK_WAIT, MIN (until, signal_until));
      clear_wake (&blocking);
    }
  is_inherited = afrpc_peer_is_inherited (self);
  for (guint i = 0; i < peers->len && !is_inherited; i++)
    afrpc_peer_leave_rest (peers->pdata[i]);
  end_blocking (&blocking);

  return !is_inherited;
}

/* What waits while the thread is blocked for something that would come behind it. */
GError *
afrpc_peer_new_too_much_error (guint64 n_bytes_max)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY,
                      "the worker sent more than %" G_GUINT64_FORMAT " bytes or %u file descriptors of events and other "
                      "results during blocking calls", n_bytes_max, AFRPC_NEWS_FDS_MAX);
}

static gboolean
has_outcome (AfrpcPeer *self,
             gpointer   data)
{
  AfrpcPending *pending = data;
  const guint64 max = self->talk.link.n_bytes_max;

  afrpc_peer_decide_at_end (self, pending);
  if (pending->state != AFRPC_PENDING_DECIDED && (self->news.size > max || self->news.n_fds > AFRPC_NEWS_FDS_MAX) &&
      !is_about_to_end (self) && (keeps_too_much (self) || !afrpc_body_has_ended (&self->body)))
    afrpc_peer_cancel (self, pending, afrpc_peer_new_too_much_error (max));

  return pending->state == AFRPC_PENDING_DECIDED;
}

/* Who has the call blocks the thread for its outcome, which is not told then. */
void
afrpc_peer_await_outcome (AfrpcPeer    *self,
                          AfrpcPending *pending)
{
  pending->is_awaited = TRUE;
  if (pending->state == AFRPC_PENDING_ARRIVED)
    afrpc_inbox_decide_kept (self, pending);
  afrpc_peer_decide_at_end (self, pending);
}

/* Blocks the thread until the call has its outcome. */
void
afrpc_peer_wait (AfrpcPeer    *self,
                 AfrpcPending *pending)
{
  if (pending->state == AFRPC_PENDING_DECIDED)
    return;

  afrpc_peer_await_outcome (self, pending);
  if (pending->state == AFRPC_PENDING_DECIDED)
    return;

  if (block (self, has_outcome, pending) || pending->state == AFRPC_PENDING_DECIDED)
    return;

  if (afrpc_peer_is_inherited (self))
    afrpc_pending_leave_inherited (pending);
  else if (afrpc_peer_is_left (self))
    {
      afrpc_peer_end_without_context (self);
      afrpc_peer_decide_at_end (self, pending);
    }
}

/* Until news of a kind is decided, who waits for it is cancelled, or it cannot come. */
typedef struct
{
  AfrpcNewsKind kind;
  GCancellable *cancellable; /* (nullable) */
} End;

static gboolean
has_come (AfrpcPeer *self,
          gpointer   data)
{
  const End *end = data;

  return afrpc_news_has_decided (&self->news, end->kind) || g_cancellable_is_cancelled (end->cancellable) ||
         afrpc_peer_cannot_end (self);
}

static void
wake_up (AfrpcPeer *self)
{
  if (!afrpc_source_post (&afrpc_peer_ref (self)->member, NULL, NULL, NULL))
    afrpc_peer_unref (self);
}

/* Blocks the thread until then. */
static gboolean
wait_for_end (AfrpcPeer      *self,
              AfrpcNewsKind   kind,
              GCancellable   *cancellable,
              GError        **error)
{
  End end = { kind, cancellable };
  gulong id = 0;
  gboolean has_blocked;

  if (cancellable != NULL)
    id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (wake_up), afrpc_peer_ref (self),
                                (GClosureNotify) (GCallback) afrpc_peer_unref, G_CONNECT_SWAPPED);
  has_blocked = block (self, has_come, &end);
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);
  if (afrpc_news_has_decided (&self->news, kind))
    {
      afrpc_peer_await_heirs (self, AFRPC_DEADLINES_NEVER);
      afrpc_peer_forget_untold (self);
      return TRUE;
    }

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (has_blocked)
    g_propagate_error (error, afrpc_peer_new_too_much_error (self->kept_max));
  else if (afrpc_peer_is_inherited (self))
    g_propagate_error (error, afrpc_pending_new_inherited_error ());
  else if (afrpc_peer_is_left (self))
    {
      /* For who comes now it has ended, as far as anybody sees. */
      afrpc_peer_end_without_context (self);
      return TRUE;
    }
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                 "another thread runs the main context that the process belongs to");

  return FALSE;
}

/* Closes, and blocks the thread until the conversation is over and the process, if it ends with that, was reaped. */
gboolean
afrpc_peer_close_sync (AfrpcPeer     *self,
                       GCancellable  *cancellable,
                       GError       **error)
{
  afrpc_peer_close (self);

  return wait_for_end (self, AFRPC_NEWS_CLOSED, cancellable, error);
}

/* Blocks the thread until the process has ended. Returns: (transfer full): why; NULL if it was not started, too */
AfrpcExit *
afrpc_peer_wait_for_exit (AfrpcPeer     *self,
                          GCancellable  *cancellable,
                          GError       **error)
{
  if (!wait_for_end (self, AFRPC_NEWS_EXITED, cancellable, error))
    return NULL;
  if (self->body.exit != NULL)
    return afrpc_exit_ref (self->body.exit);

  g_propagate_error (error, g_error_copy (self->talk.failure));
  return NULL;
}
