/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-source.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "peer/afrpc-deadlines.h"

/* A source that took more than its share lately, which is half of the time, lets others go first: redrawing has
 * GDK_PRIORITY_REDRAW, which is 120. But not for ever: it has a turn after so long whatever else there is to do. */
#define BUSY_MAX_US (8 * 1000)
#define BUSY_PRIORITY (G_PRIORITY_HIGH_IDLE + 25)
#define TURN_US (10 * 1000)

/* Peers that are looked at, without a main loop, when there is one more. */
#define KEPT_TURNS 16u

typedef struct
{
  AfrpcSourceMember *member; /* (owned) */
  void (*func) (AfrpcPeer *peer, gpointer data);
  gpointer data;
  GDestroyNotify destroy;
} Post;

struct _AfrpcSource
{
  GSource source;
  GMainContext *context; /* not owned: it owns the source */
  gboolean is_default;   /* the context is the default one */
  GHashTable *known;     /* (element-type AfrpcSourceMember) (not owned) all of the context's; guarded by sources_lock */
  GPtrArray *watched;    /* (element-type AfrpcSourceMember) (owned) those that something may happen to */
  GQueue active;         /* (element-type AfrpcSourceMember) (owned) to be looked at in this iteration */
  guint next_kept;       /* whose turn it is without a main loop, more or less */
  GPtrArray *templates;  /* (element-type AfrpcSourceMember) (owned) the default ones */
  gint64 deadline;       /* when to look at time limits: not too late, maybe too early */
  gpointer runner;       /* (nullable) atomic: the thread that dispatches it, or blocks, and so owns the context */
  gpointer home;         /* (nullable) atomic: the thread that has used it, or run it, last */
  gboolean has_checked;  /* what was polled has been looked at; not done by GLib for who is ready before */

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
static GHashTable *sources; /* (element-type GMainContext AfrpcSource) guarded by sources_lock, as is member->source
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

static AfrpcSourceMember *
member_ref (AfrpcSourceMember *member)
{
  member->funcs->ref (member->peer);

  return member;
}

static void
member_unref (AfrpcSourceMember *member)
{
  member->funcs->unref (member->peer);
}

/* Makes @peer, which embeds @member, one of the source's. */
void
afrpc_source_add (AfrpcSource            *self,
                  AfrpcSourceMember      *member,
                  AfrpcPeer              *peer,
                  const AfrpcSourceFuncs *funcs)
{
  member->peer = peer;
  member->funcs = funcs;
  member->socket.fd = member->pidfd.fd = member->standard_error.fd = -1;
  g_mutex_lock (&sources_lock);
  member->source = self;
  g_hash_table_add (self->known, member);
  g_mutex_unlock (&sources_lock);
}

/* For a peer that is gone; it is neither watched nor active. */
void
afrpc_source_forget (AfrpcSourceMember *member)
{
  g_mutex_lock (&sources_lock);
  if (member->source != NULL)
    g_hash_table_remove (member->source->known, member);
  member->source = NULL;
  g_mutex_unlock (&sources_lock);
}

void
afrpc_source_watch (AfrpcSourceMember *member)
{
  if (member->source == NULL || member->is_watched)
    return;

  member->is_watched = TRUE;
  member->index = member->source->watched->len;
  g_ptr_array_add (member->source->watched, member_ref (member));
}

/* Has @place polled for @events, or not any more if @fd is -1. */
void
afrpc_source_poll (AfrpcSourceMember    *member,
                   GPollFD      *place,
                   int           fd,
                   GIOCondition  events)
{
  const guint i = place == &member->socket ? 0 : place == &member->pidfd ? 1 : 2;
  gboolean *is_polled = &member->is_polled[i];

  if (*is_polled && place->fd != fd)
    {
      if (member->source != NULL)
        g_source_remove_poll (&member->source->source, place);
      *is_polled = FALSE;
    }
  place->fd = fd;
  place->events = events;
  if (fd < 0)
    place->revents = 0;
  else if (!*is_polled && member->source != NULL)
    {
      place->revents = 0;
      g_source_add_poll (&member->source->source, place);
      *is_polled = TRUE;
    }
}

void
afrpc_source_unwatch (AfrpcSourceMember *member)
{
  afrpc_source_poll (member, &member->socket, -1, 0);
  afrpc_source_poll (member, &member->pidfd, -1, 0);
  afrpc_source_poll (member, &member->standard_error, -1, 0);
  if (member->source != NULL && member->is_watched)
    {
      GPtrArray *watched = member->source->watched;

      member->is_watched = FALSE;
      g_ptr_array_remove_index_fast (watched, member->index);
      if (member->index < watched->len)
        ((AfrpcSourceMember *) watched->pdata[member->index])->index = member->index;
      member_unref (member);
    }
}

/* The peer has something to write, or to do: it is looked at in the next iteration. */
void
afrpc_source_activate (AfrpcSourceMember *member)
{
  if (member->is_active || member->source == NULL)
    return;

  member->is_active = TRUE;
  member->active.data = member_ref (member);
  g_queue_push_tail_link (&member->source->active, &member->active);
}

/* Returns: (transfer full) */
static AfrpcSourceMember *
pop_active (AfrpcSource *self)
{
  GList *link = g_queue_pop_head_link (&self->active);
  AfrpcSourceMember *member;

  if (link == NULL)
    return NULL;

  member = link->data;
  member->is_active = FALSE;

  return member;
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
      AfrpcSourceMember *member = self->watched->pdata[i];
      const gint64 at = member->funcs->get_deadline (member->peer);

      if (at <= now)
        afrpc_source_activate (member);
      afrpc_source_set_deadline (self, at);
    }
}

/* Other threads */

static void
post_free (Post *post)
{
  if (post->destroy != NULL)
    post->destroy (post->data);
  member_unref (post->member);
  g_free (post);
}

/* Whether the calling thread may act in a context that nobody runs. Another one may be about to use it, and would be in
 * its way: it leaves word instead. */
static gboolean
is_home (AfrpcSource *self)
{
  return g_atomic_pointer_get (&self->home) == &thread_mark || afrpc_source_runs_here (self) ||
         g_main_context_is_owner (self->context);
}

/* For what any thread may do. */
AfrpcSourceEntry
afrpc_source_enter (AfrpcSourceMember *member)
{
  AfrpcSourceEntry entry = AFRPC_SOURCE_GONE;

  g_mutex_lock (&sources_lock);
  if (member->source != NULL)
    entry = is_home (member->source) && g_main_context_acquire (member->source->context) ? AFRPC_SOURCE_ENTERED :
                                                                                           AFRPC_SOURCE_FOREIGN;
  g_mutex_unlock (&sources_lock);

  return entry;
}

/* For what only one thread may do, which is this one unless another runs the context. What others have left word of
 * is done first: nobody may ever run a main loop. */
AfrpcSourceEntry
afrpc_source_use (AfrpcSourceMember *member)
{
  AfrpcSource *self = member->source;
  gpointer before;

  if (self == NULL)
    return AFRPC_SOURCE_GONE;
  if (!g_main_context_acquire (self->context))
    return AFRPC_SOURCE_FOREIGN;

  before = afrpc_source_begin_run (self);
  if (!afrpc_source_is_running (member))
    afrpc_source_run_posts (self);
  afrpc_source_end_run (self, before);

  return AFRPC_SOURCE_ENTERED;
}

void
afrpc_source_leave (AfrpcSourceMember *member)
{
  g_main_context_release (member->source->context);
}

/* To be called by the thread that owns the context, for as long as it certainly does.
 * Returns: what to give to afrpc_source_end_run () */
gpointer
afrpc_source_begin_run (AfrpcSource *self)
{
  gpointer before = self->runner;

  g_atomic_pointer_set (&self->runner, &thread_mark);
  if (g_atomic_pointer_get (&self->home) != &thread_mark)
    g_atomic_pointer_set (&self->home, &thread_mark);

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

/* For a thread that may never run a main loop: some of those that are leaving have a turn. Nobody is told anything. */
void
afrpc_source_keep_turns (AfrpcSource *self)
{
  AfrpcSourceMember *members[KEPT_TURNS];
  const guint n = MIN (self->watched->len, KEPT_TURNS);

  for (guint i = 0; i < n; i++)
    members[i] = member_ref (self->watched->pdata[self->next_kept++ % self->watched->len]);
  for (guint i = 0; i < n; i++)
    {
      members[i]->funcs->keep_turn (members[i]->peer);
      member_unref (members[i]);
    }
}

/* Whether the source is being dispatched: then what is queued is going to be written. */
gboolean
afrpc_source_is_running (AfrpcSourceMember *member)
{
  return g_main_current_source () != NULL;
}

/* Has @func (nullable) called by the thread of the context of @member (transfer full), with that and @data (transfer
 * full), which @destroy frees. FALSE: there is no such context any more; then both stay the caller's. */
gboolean
afrpc_source_post (AfrpcSourceMember      *member,
                   void             (*func) (AfrpcPeer *peer, gpointer data),
                   gpointer        data,
                   GDestroyNotify  destroy)
{
  const guint64 one = 1;
  AfrpcSource *self;

  g_mutex_lock (&sources_lock);
  self = member->source;
  if (self != NULL)
    {
      Post *post = g_new0 (Post, 1);

      *post = (Post) { member, func, data, destroy };
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
            post->func (post->member->peer, post->data);
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
  if (g_source_get_priority (&self->source) != BUSY_PRIORITY)
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
      AfrpcSourceMember *member = pop_active (self);

      /* Here and nowhere else in the loop: so whatever was queued goes out in one write. */
      /* They keep their order: it is the turn of those that were not dispatched. */
      if (member->funcs->prepare (member->peer) || member->is_due)
        afrpc_source_activate (member);
      member_unref (member);
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

static void
activate_polled (AfrpcSource *self)
{
  for (guint i = 0; i < self->watched->len; i++)
    {
      AfrpcSourceMember *member = self->watched->pdata[i];

      if ((member->socket.revents | member->pidfd.revents | member->standard_error.revents) != 0)
        {
          member->is_due = TRUE;
          afrpc_source_activate (member);
        }
    }
  self->has_checked = TRUE;
}

static gboolean
source_check (GSource *source)
{
  AfrpcSource *self = (AfrpcSource *) source;

  activate_polled (self);

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

  /* One that has something to do without being polled keeps no other from its turn. */
  if (!self->has_checked)
    activate_polled (self);
  self->has_checked = FALSE;
  afrpc_source_run_posts (self);
  if (self->deadline <= now)
    look_at_deadlines (self, now);
  for (guint i = self->active.length; i > 0; i--)
    {
      AfrpcSourceMember *member = pop_active (self);
      gboolean is_more;

      if (member == NULL)
        break;
      member->is_due = FALSE;
      is_more = member->funcs->dispatch (member->peer, now);
      member_unref (member);
      if (is_more)
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
  AfrpcSourceMember *member;

  g_mutex_lock (&sources_lock);
  g_hash_table_remove (sources, self->context);
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, (gpointer *) &member, NULL))
    member->source = NULL;
  g_mutex_unlock (&sources_lock);

  if (self->turn != NULL)
    g_source_unref (self->turn);
  while ((member = pop_active (self)) != NULL)
    {
      /* One that has ended is not watched, and may hold what it was going to tell its end. */
      if (!member->is_watched)
        member->funcs->context_gone (member->peer);
      member_unref (member);
    }
  g_queue_clear_full (&self->posts, (GDestroyNotify) post_free);
  g_clear_pointer (&self->templates, g_ptr_array_unref);
  for (guint i = 0; i < self->watched->len; i++)
    {
      member = self->watched->pdata[i];
      member->is_watched = FALSE;
      memset (member->is_polled, 0, sizeof member->is_polled);
      member->funcs->context_gone (member->peer);
      member_unref (member);
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
  self->templates = g_ptr_array_new_with_free_func ((GDestroyNotify) member_unref);
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
