/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-source.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "peer/afrpc-peer.h"

/* A source that took more than its share lately, which is half of the time, lets others go first: redrawing has
 * GDK_PRIORITY_REDRAW, which is 120. But not for ever: it has a turn after so long whatever else there is to do. */
#define BUSY_MAX_US (8 * 1000)
#define BUSY_PRIORITY (G_PRIORITY_HIGH_IDLE + 25)
#define TURN_US (10 * 1000)

typedef struct
{
  AfrpcPeer *peer; /* (owned) */
  void (*func) (AfrpcPeer *peer, gpointer data);
  gpointer data;
  GDestroyNotify destroy;
} Post;

struct _AfrpcSource
{
  GSource source;
  GMainContext *context; /* not owned: it owns the source */
  gboolean is_default;   /* the context is the default one */
  GHashTable *known;     /* (element-type AfrpcPeer) (not owned) all of the context's; guarded by sources_lock */
  GPtrArray *watched;    /* (element-type AfrpcPeer) (owned) those that something may happen to */
  GQueue active;         /* (element-type AfrpcPeer) (owned) to be looked at in this iteration */
  GPtrArray *templates;  /* (element-type AfrpcPeer) (owned) the default ones */
  gint64 deadline;       /* when to look at time limits: not too late, maybe too early */
  gpointer runner;       /* (nullable) atomic: the thread that dispatches it, or blocks, and so owns the context */

  GMutex lock;           /* guards what follows */
  GQueue posts;          /* (element-type Post) */
  int wake_fd;           /* -1, or what wakes up who blocks the thread */
  gint has_posts;        /* atomic */

  gint64 busy_us;        /* how much more than its share it took */
  gint64 dispatched_at;  /* the end of the last dispatch */
  GSource *turn;         /* (nullable): while it lets others go first */
};

static __thread char thread_mark; /* its address is a name of the thread */

static GMutex sources_lock;
static GHashTable *sources; /* (element-type GMainContext AfrpcSource) guarded by sources_lock, as is peer->source
                             * where it is read by other threads; nothing is owned */

GMainContext *
afrpc_source_get_context (AfrpcSource *self)
{
  return self->context;
}

GPtrArray *
afrpc_source_get_templates (AfrpcSource *self)
{
  return self->templates;
}

/* Peers */

void
afrpc_source_add (AfrpcSource *self,
                  AfrpcPeer   *peer)
{
  peer->place.socket.fd = peer->place.pidfd.fd = peer->place.standard_error.fd = -1;
  g_mutex_lock (&sources_lock);
  peer->source = self;
  g_hash_table_add (self->known, peer);
  g_mutex_unlock (&sources_lock);
}

/* For a peer that is gone; it is neither watched nor active. */
void
afrpc_source_forget (AfrpcPeer *peer)
{
  g_mutex_lock (&sources_lock);
  if (peer->source != NULL)
    g_hash_table_remove (peer->source->known, peer);
  peer->source = NULL;
  g_mutex_unlock (&sources_lock);
}

void
afrpc_source_watch (AfrpcPeer *peer)
{
  if (peer->source == NULL || peer->place.is_watched)
    return;

  peer->place.is_watched = TRUE;
  peer->place.index = peer->source->watched->len;
  g_ptr_array_add (peer->source->watched, afrpc_peer_ref (peer));
}

/* Has @place polled for @events, or not any more if @fd is -1. */
void
afrpc_source_poll (AfrpcPeer    *peer,
                   GPollFD      *place,
                   int           fd,
                   GIOCondition  events)
{
  const guint i = place == &peer->place.socket ? 0 : place == &peer->place.pidfd ? 1 : 2;
  gboolean *is_polled = &peer->place.is_polled[i];

  if (*is_polled && place->fd != fd)
    {
      if (peer->source != NULL)
        g_source_remove_poll (&peer->source->source, place);
      *is_polled = FALSE;
    }
  place->fd = fd;
  place->events = events;
  if (fd < 0)
    place->revents = 0;
  else if (!*is_polled && peer->source != NULL)
    {
      place->revents = 0;
      g_source_add_poll (&peer->source->source, place);
      *is_polled = TRUE;
    }
}

void
afrpc_source_unwatch (AfrpcPeer *peer)
{
  afrpc_source_poll (peer, &peer->place.socket, -1, 0);
  afrpc_source_poll (peer, &peer->place.pidfd, -1, 0);
  afrpc_source_poll (peer, &peer->place.standard_error, -1, 0);
  if (peer->source != NULL && peer->place.is_watched)
    {
      GPtrArray *watched = peer->source->watched;

      peer->place.is_watched = FALSE;
      g_ptr_array_remove_index_fast (watched, peer->place.index);
      if (peer->place.index < watched->len)
        ((AfrpcPeer *) watched->pdata[peer->place.index])->place.index = peer->place.index;
      afrpc_peer_unref (peer);
    }
}

/* The peer has something to write, or to do: it is looked at in the next iteration. */
void
afrpc_source_activate (AfrpcPeer *peer)
{
  if (peer->place.is_active || peer->source == NULL)
    return;

  peer->place.is_active = TRUE;
  peer->place.active.data = afrpc_peer_ref (peer);
  g_queue_push_tail_link (&peer->source->active, &peer->place.active);
}

/* Returns: (transfer full) */
static AfrpcPeer *
pop_active (AfrpcSource *self)
{
  GList *link = g_queue_pop_head_link (&self->active);
  AfrpcPeer *peer;

  if (link == NULL)
    return NULL;

  peer = link->data;
  peer->place.is_active = FALSE;

  return peer;
}

/* There is a new time limit. */
void
afrpc_source_set_deadline (AfrpcSource *self,
                           gint64       at)
{
  if (at < self->deadline)
    self->deadline = at;
}

/* Has those looked at whose time has come. */
static void
look_at_deadlines (AfrpcSource *self,
                   gint64       now)
{
  self->deadline = AFRPC_DEADLINES_NEVER;
  for (guint i = 0; i < self->watched->len; i++)
    {
      AfrpcPeer *peer = self->watched->pdata[i];
      const gint64 at = afrpc_peer_get_deadline (peer);

      if (at <= now)
        afrpc_source_activate (peer);
      afrpc_source_set_deadline (self, at);
    }
}

/* Other threads */

static void
post_free (Post *post)
{
  if (post->destroy != NULL)
    post->destroy (post->data);
  afrpc_peer_unref (post->peer);
  g_free (post);
}

AfrpcSourceEntry
afrpc_source_enter (AfrpcPeer *peer)
{
  AfrpcSourceEntry entry = AFRPC_SOURCE_GONE;

  g_mutex_lock (&sources_lock);
  if (peer->source != NULL)
    entry = g_main_context_acquire (peer->source->context) ? AFRPC_SOURCE_ENTERED : AFRPC_SOURCE_FOREIGN;
  g_mutex_unlock (&sources_lock);

  return entry;
}

void
afrpc_source_leave (AfrpcPeer *peer)
{
  g_main_context_release (peer->source->context);
}

/* To be called by the thread that owns the context, for as long as it certainly does.
 * Returns: what to give to afrpc_source_end_run () */
gpointer
afrpc_source_begin_run (AfrpcSource *self)
{
  gpointer before = self->runner;

  g_atomic_pointer_set (&self->runner, &thread_mark);

  return before;
}

void
afrpc_source_end_run (AfrpcSource *self,
                      gpointer     before)
{
  g_atomic_pointer_set (&self->runner, before);
}

/* Whether the calling thread is known to own the context. If it is not, GLib knows, but takes locks to tell. */
gboolean
afrpc_source_runs_here (AfrpcSource *self)
{
  return g_atomic_pointer_get (&self->runner) == &thread_mark;
}

/* Whether the source is being dispatched: then what is queued is going to be written. */
gboolean
afrpc_source_is_running (AfrpcPeer *peer)
{
  return g_main_current_source () != NULL;
}

/* Has @func (nullable) called by the thread of the context of @peer (transfer full), with that and @data (transfer
 * full), which @destroy frees. FALSE: there is no such context any more; then both stay the caller's. */
gboolean
afrpc_source_post (AfrpcPeer      *peer,
                   void          (*func) (AfrpcPeer *peer, gpointer data),
                   gpointer        data,
                   GDestroyNotify  destroy)
{
  const guint64 one = 1;
  AfrpcSource *self;

  g_mutex_lock (&sources_lock);
  self = peer->source;
  if (self != NULL)
    {
      Post *post = g_new0 (Post, 1);

      *post = (Post) { peer, func, data, destroy };
      g_mutex_lock (&self->lock);
      g_queue_push_tail (&self->posts, post);
      g_atomic_int_set (&self->has_posts, TRUE);
      /* It is only ever full of wake-ups. */
      if (self->wake_fd >= 0 && write (self->wake_fd, &one, sizeof one) < 0)
        g_debug ("waking up: %s", g_strerror (errno));
      g_mutex_unlock (&self->lock);
      g_main_context_wakeup (self->context);
    }
  g_mutex_unlock (&sources_lock);

  return self != NULL;
}

void
afrpc_source_run_posts (AfrpcSource *self)
{
  while (g_atomic_int_get (&self->has_posts))
    {
      Post *post;

      g_mutex_lock (&self->lock);
      post = g_queue_pop_head (&self->posts);
      g_atomic_int_set (&self->has_posts, self->posts.length > 0);
      g_mutex_unlock (&self->lock);

      if (post != NULL)
        {
          if (post->func != NULL)
            post->func (post->peer, post->data);
          post_free (post);
        }
    }
}

/* Returns: what becomes readable when another thread posts; -1: there was no descriptor to be had for it. */
int
afrpc_source_get_wake_fd (AfrpcSource *self)
{
  /* Only this thread makes it. */
  if (self->wake_fd < 0)
    {
      g_mutex_lock (&self->lock);
      self->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
      g_mutex_unlock (&self->lock);
    }

  return self->wake_fd;
}

void
afrpc_source_clear_wake_fd (AfrpcSource *self)
{
  guint64 count;

  while (read (self->wake_fd, &count, sizeof count) > 0)
    ;
}

/* Priority */

static gboolean
turn_cb (gpointer data)
{
  AfrpcSource *self = data;
  const gint64 now = g_source_get_time (self->turn);

  if (now - self->dispatched_at >= TURN_US)
    g_source_set_priority (&self->source, G_PRIORITY_DEFAULT);
  g_source_set_ready_time (self->turn, now + TURN_US);

  return G_SOURCE_CONTINUE;
}

static gboolean
turn_dispatch (GSource     *source,
               GSourceFunc  callback,
               gpointer     user_data)
{
  return callback (user_data);
}

static GSourceFuncs turn_funcs = { NULL, NULL, turn_dispatch, NULL };

static void
let_others_go_first (AfrpcSource *self,
                     gint64       now)
{
  g_source_set_priority (&self->source, BUSY_PRIORITY);
  if (self->turn != NULL)
    return;

  self->turn = g_source_new (&turn_funcs, sizeof (GSource));
  g_source_set_static_name (self->turn, "[afrpc] turn");
  g_source_set_callback (self->turn, turn_cb, self, NULL);
  g_source_set_ready_time (self->turn, now + TURN_US);
  g_source_attach (self->turn, self->context);
}

static void
end_turns (AfrpcSource *self)
{
  if (self->turn == NULL)
    return;

  g_source_destroy (self->turn);
  g_clear_pointer (&self->turn, g_source_unref);
}

/* What it took in this dispatch is added up; time that it did not take is subtracted. */
static void
account (AfrpcSource *self,
         gint64       start)
{
  const gint64 now = g_get_monotonic_time ();

  self->busy_us = MAX (0, self->busy_us - MAX (0, start - self->dispatched_at)) + (now - start);
  self->busy_us = MIN (self->busy_us, 2 * BUSY_MAX_US);
  self->dispatched_at = now;

  if (self->busy_us >= BUSY_MAX_US)
    let_others_go_first (self, now);
  else if (self->turn != NULL)
    {
      end_turns (self);
      g_source_set_priority (&self->source, G_PRIORITY_DEFAULT);
    }
}

/* The source */

static gboolean
source_prepare (GSource *source,
                int     *timeout_ms)
{
  AfrpcSource *self = (AfrpcSource *) source;
  gint64 left;

  for (guint i = self->active.length; i > 0; i--)
    {
      g_autoptr(AfrpcPeer) peer = pop_active (self);

      /* Here and nowhere else in the loop: so whatever was queued goes out in one write. */
      if (afrpc_talk_has_words (&peer->talk))
        afrpc_peer_flush (peer);
      if (afrpc_peer_needs_dispatch (peer))
        afrpc_source_activate (peer);
    }
  if (self->active.length > 0 || g_atomic_int_get (&self->has_posts))
    return TRUE;
  if (self->deadline == AFRPC_DEADLINES_NEVER)
    return FALSE;

  left = self->deadline - g_source_get_time (source);
  if (left <= 0)
    return TRUE;
  *timeout_ms = MIN ((left + 999) / 1000, G_MAXINT);

  return FALSE;
}

static gboolean
source_check (GSource *source)
{
  AfrpcSource *self = (AfrpcSource *) source;

  for (guint i = 0; i < self->watched->len; i++)
    {
      AfrpcPeer *peer = self->watched->pdata[i];

      if ((peer->place.socket.revents | peer->place.pidfd.revents | peer->place.standard_error.revents) != 0)
        afrpc_source_activate (peer);
    }

  return self->active.length > 0 || g_atomic_int_get (&self->has_posts) ||
         self->deadline <= g_source_get_time (source);
}

static gboolean
source_dispatch (GSource     *source,
                 GSourceFunc  callback,
                 gpointer     user_data)
{
  AfrpcSource *self = (AfrpcSource *) source;
  const gint64 now = g_get_monotonic_time ();
  gpointer runner = afrpc_source_begin_run (self);
  gboolean is_pushed;

  /* Whoever is told something finds the context that he asked in, as with GTask. */
  is_pushed = g_main_context_get_thread_default () != (self->is_default ? NULL : self->context);
  if (is_pushed)
    g_main_context_push_thread_default (self->context);

  afrpc_source_run_posts (self);
  if (self->deadline <= now)
    look_at_deadlines (self, now);
  for (guint i = self->active.length; i > 0; i--)
    {
      g_autoptr(AfrpcPeer) peer = pop_active (self);

      if (peer == NULL)
        break;
      afrpc_peer_dispatch (peer, now);
      if (peer->has_backlog)
        break;
    }

  if (is_pushed)
    g_main_context_pop_thread_default (self->context);
  afrpc_source_end_run (self, runner);
  account (self, now);

  return G_SOURCE_CONTINUE;
}

/* The context is going: so is everything that lives in it. */
static void
source_finalize (GSource *source)
{
  AfrpcSource *self = (AfrpcSource *) source;
  GHashTableIter iter;
  AfrpcPeer *peer;

  g_mutex_lock (&sources_lock);
  g_hash_table_remove (sources, self->context);
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, (gpointer *) &peer, NULL))
    peer->source = NULL;
  g_mutex_unlock (&sources_lock);

  if (self->turn != NULL)
    g_source_unref (self->turn);
  while ((peer = pop_active (self)) != NULL)
    afrpc_peer_unref (peer);
  g_queue_clear_full (&self->posts, (GDestroyNotify) post_free);
  g_clear_pointer (&self->templates, g_ptr_array_unref);
  for (guint i = 0; i < self->watched->len; i++)
    {
      peer = self->watched->pdata[i];
      peer->place.is_watched = FALSE;
      memset (peer->place.is_polled, 0, sizeof peer->place.is_polled);
      afrpc_peer_context_gone (peer);
      afrpc_peer_unref (peer);
    }
  g_clear_pointer (&self->watched, g_ptr_array_unref);
  g_clear_pointer (&self->known, g_hash_table_unref);
  if (self->wake_fd >= 0)
    close (self->wake_fd);
  g_mutex_clear (&self->lock);
}

static GSourceFuncs source_funcs = {
  source_prepare,
  source_check,
  source_dispatch,
  source_finalize,
};

static AfrpcSource *
new_source (GMainContext *context)
{
  GSource *source = g_source_new (&source_funcs, sizeof (AfrpcSource));
  AfrpcSource *self = (AfrpcSource *) source;

  self->context = context;
  self->is_default = context == g_main_context_default ();
  self->known = g_hash_table_new (NULL, NULL);
  self->watched = g_ptr_array_new ();
  self->templates = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_peer_unref);
  self->deadline = AFRPC_DEADLINES_NEVER;
  self->wake_fd = -1;
  g_mutex_init (&self->lock);

  g_source_set_static_name (source, "[afrpc] workers");
  /* Without this GLib blocks the source while it is dispatched, which costs three system calls. */
  g_source_set_can_recurse (source, TRUE);
  g_source_attach (source, context);
  g_source_unref (source);

  return self;
}

AfrpcSource *
afrpc_source_get (void)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  AfrpcSource *self;

  g_mutex_lock (&sources_lock);
  if (sources == NULL)
    sources = g_hash_table_new (NULL, NULL);
  self = g_hash_table_lookup (sources, context);
  if (self == NULL)
    {
      self = new_source (context);
      g_hash_table_insert (sources, context, self);
    }
  g_mutex_unlock (&sources_lock);

  return self;
}
