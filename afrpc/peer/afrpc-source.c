/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-source-parts.h"

#include <pthread.h>
#include <unistd.h>

#include "peer/afrpc-deadlines.h"

/* Peers that are looked at, without a main loop, when there is one more. */
#define KEPT_TURNS 16u

AfrpcForkLock afrpc_sources_lock;
guint afrpc_source_n_forks;
static GHashTable *sources; /* (element-type GMainContext AfrpcSource) guarded by afrpc_sources_lock; nothing is owned */

GMainContext *
afrpc_source_get_context (AfrpcSource *self)
{
  return self->context;
}

gint64
afrpc_source_get_turn_time (AfrpcSource *self)
{
  return self->turn_began_at;
}

/* Peers */

static void
init_place (AfrpcSourcePlace  *place,
            AfrpcSourceMember *member)
{
  *place = (AfrpcSourcePlace) { .poll.fd = -1, .member = member };
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
  init_place (&member->socket, member);
  init_place (&member->pidfd, member);
  init_place (&member->standard_error, member);
  afrpc_fork_lock_lock (&afrpc_sources_lock);
  member->source = self;
  g_hash_table_add (self->known, member);
  afrpc_fork_lock_unlock (&afrpc_sources_lock);
}

/* For a peer that is gone; it is neither watched nor active. */
void
afrpc_source_forget (AfrpcSourceMember *member)
{
  afrpc_fork_lock_lock (&afrpc_sources_lock);
  if (member->source != NULL)
    g_hash_table_remove (member->source->known, member);
  member->source = NULL;
  afrpc_fork_lock_unlock (&afrpc_sources_lock);
}

void
afrpc_source_watch (AfrpcSourceMember *member)
{
  if (member->source == NULL || member->is_watched)
    return;

  member->is_watched = TRUE;
  member->index = member->source->watched->len;
  g_ptr_array_add (member->source->watched, afrpc_source_member_ref (member));
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
      afrpc_source_member_unref (member);
    }
}

/* The peer has something to write, or to do: it is looked at in the next iteration. */
void
afrpc_source_activate (AfrpcSourceMember *member)
{
  if (member->is_active || member->source == NULL)
    return;

  member->is_active = TRUE;
  member->active.data = afrpc_source_member_ref (member);
  g_queue_push_tail_link (&member->source->active, &member->active);
}

/* There is nothing of that any more. */
void
afrpc_source_deactivate (AfrpcSourceMember *member)
{
  if (!member->is_active || member->source == NULL)
    return;

  member->is_active = FALSE;
  g_queue_unlink (&member->source->active, &member->active);
  afrpc_source_member_unref (member);
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

/* For a thread that may never run a main loop: some of those that are leaving have a turn. Nobody is told anything. */
void
afrpc_source_keep_turns (AfrpcSource *self)
{
  AfrpcSourceMember *members[KEPT_TURNS];
  const guint n = MIN (self->watched->len, KEPT_TURNS);

  for (guint i = 0; i < n; i++)
    members[i] = afrpc_source_member_ref (self->watched->pdata[self->next_kept++ % self->watched->len]);
  for (guint i = 0; i < n; i++)
    {
      members[i]->funcs->keep_turn (members[i]->peer);
      afrpc_source_member_unref (members[i]);
    }
}

/* Whether a main loop has ever come to it. */
gboolean
afrpc_source_has_run (AfrpcSource *self)
{
  return self->has_run;
}

/* Goes through the peers of whom there may be something to be heard. @func changes nothing. */
void
afrpc_source_foreach (AfrpcSource  *self,
                      void        (*func) (AfrpcPeer *peer, gpointer data),
                      gpointer      data)
{
  for (guint i = 0; i < self->watched->len; i++)
    func (((AfrpcSourceMember *) self->watched->pdata[i])->peer, data);
}

/* The same for those that have something that is to be looked at, or told: those that have ended, too. */
void
afrpc_source_foreach_active (AfrpcSource  *self,
                             void        (*func) (AfrpcPeer *peer, gpointer data),
                             gpointer      data)
{
  for (GList *l = self->active.head; l != NULL; l = l->next)
    func (((AfrpcSourceMember *) l->data)->peer, data);
}

/* Has those that are active write what is queued: here and nowhere else in the main loop, so that it goes out in one write.
 * @slice: (nullable): when that is over others write in the next iteration */
static void
prepare_active (AfrpcSource *self,
                AfrpcSlice  *slice)
{
  for (guint i = self->active.length; i > 0; i--)
    {
      AfrpcSourceMember *member = pop_active (self);

      /* They keep their order: it is the turn of those that were not dispatched. */
      if (member->funcs->prepare (member->peer) || member->is_due)
        afrpc_source_activate (member);
      afrpc_source_member_unref (member);
      if (slice != NULL && afrpc_slice_step (slice))
        break;
    }
}

/* The same for who blocks the thread, if others may have queued something. */
void
afrpc_source_flush (AfrpcSource *self)
{
  prepare_active (self, NULL);
}

/* The source */

static void
keep_templates (AfrpcSource *self)
{
  for (guint i = 0; i < self->templates->len; i++)
    afrpc_source_member_ref (self->templates->pdata[i]);
  g_ptr_array_set_size (self->templates, 0);
}

/* What is watched is the program's, which this process was forked from: no more of it here. */
static void
clear_inherited (AfrpcSource *self)
{
  AfrpcSourceMember *member;

  self->has_inherited = FALSE;
  /* For ever: to let go of one could end it. */
  while (self->watched->len > 0)
    {
      member = afrpc_source_member_ref (self->watched->pdata[self->watched->len - 1]);
      member->source = self;
      afrpc_source_unwatch (member);
      member->source = NULL;
    }
  while ((member = pop_active (self)) != NULL)
    ;
  keep_templates (self);
  self->deadline = AFRPC_DEADLINES_NEVER;
  self->has_run = FALSE;
  afrpc_source_leave_inherited_posts (self);
}

/* The same of a context that goes, which is not to be touched any more. */
static void
drop_inherited (AfrpcSource *self)
{
  g_ptr_array_set_size (self->watched, 0);
  g_queue_init (&self->active);
  g_queue_init (&self->posts);
  keep_templates (self);
}

static gboolean
source_prepare (GSource *source,
                int     *timeout_ms)
{
  AfrpcSource *self = (AfrpcSource *) source;
  AfrpcSlice slice = { 0 };
  gint64 left;

  afrpc_source_leave_if_forked (self);
  if (G_UNLIKELY (self->has_inherited))
    clear_inherited (self);
  self->has_run = TRUE;
  prepare_active (self, &slice);
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

  if (self->wake.revents != 0)
    afrpc_source_clear_wake_fd (self);
  afrpc_source_activate_polled (self);

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
  AfrpcSlice slice = { now + AFRPC_SLICE_US };
  gboolean is_pushed;

  self->turn_began_at = now;
  /* Whoever is told something finds the context that he asked in, as with GTask. */
  is_pushed = g_main_context_get_thread_default () != (self->is_default ? NULL : self->context);
  if (is_pushed)
    g_main_context_push_thread_default (self->context);

  /* One that has something to do without being polled keeps no other from its turn. */
  if (!self->has_checked)
    afrpc_source_activate_polled (self);
  self->has_checked = FALSE;
  afrpc_source_run_some_posts (self);
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
      afrpc_source_member_unref (member);
      if (is_more || (i > 1 && afrpc_slice_is_over (&slice)))
        break;
    }

  if (is_pushed)
    g_main_context_pop_thread_default (self->context);
  afrpc_source_end_run (self, runner);
  afrpc_source_account (self, now);

  return G_SOURCE_CONTINUE;
}

/* The context is going: so is everything that lives in it. */
static void
source_finalize (GSource *source)
{
  AfrpcSource *self = (AfrpcSource *) source;
  GHashTableIter iter;
  AfrpcSourceMember *member;

  afrpc_source_leave_if_inherited (self);
  if (self->has_inherited)
    drop_inherited (self);
  afrpc_fork_lock_lock (&afrpc_sources_lock);
  g_hash_table_remove (sources, self->context);
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, (gpointer *) &member, NULL))
    member->source = NULL;
  afrpc_fork_lock_unlock (&afrpc_sources_lock);

  afrpc_source_clear_places (self);
  if (self->turn != NULL)
    g_source_unref (self->turn);
  afrpc_source_clear_posts (self);
  while ((member = pop_active (self)) != NULL)
    {
      /* One that has ended is not watched, and may hold what it was going to tell its end. */
      if (!member->is_watched)
        member->funcs->context_gone (member->peer);
      afrpc_source_member_unref (member);
    }
  g_clear_pointer (&self->templates, g_ptr_array_unref);
  for (guint i = 0; i < self->watched->len; i++)
    {
      member = self->watched->pdata[i];
      member->is_watched = FALSE;
      member->funcs->context_gone (member->peer);
      afrpc_source_member_unref (member);
    }
  g_clear_pointer (&self->watched, g_ptr_array_unref);
  g_clear_pointer (&self->known, g_hash_table_unref);
  if (self->wake.fd >= 0)
    close (self->wake.fd);
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
  afrpc_source_init_places (self);
  self->templates = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_source_member_unref);
  self->pid = getpid ();
  self->n_forks = afrpc_source_n_forks;
  self->deadline = AFRPC_DEADLINES_NEVER;
  self->wake.fd = -1;
  g_mutex_init (&self->lock);

  g_source_set_static_name (source, "[afrpc] workers");
  /* Without this GLib blocks the source while it is dispatched, which costs three system calls. */
  g_source_set_can_recurse (source, TRUE);
  afrpc_source_get_wake_fd (self);
  g_source_attach (source, context);
  g_source_unref (source);

  return self;
}

/* What the process has that this one was forked from is left to it, as it is: both would hear what a worker says to one of
 * them. Here it has no main context any more. */
void
afrpc_source_leave_inherited (AfrpcSource *self)
{
  GHashTableIter iter;
  AfrpcSourceMember *member;

  self->pid = getpid ();
  self->n_forks = afrpc_source_n_forks;
  afrpc_fork_lock_lock (&afrpc_sources_lock);
  g_hash_table_iter_init (&iter, self->known);
  while (g_hash_table_iter_next (&iter, (gpointer *) &member, NULL))
    {
      member->source = NULL;
      member->is_inherited = TRUE;
      member->funcs->inherited (member->peer);
    }
  g_hash_table_remove_all (self->known);
  afrpc_fork_lock_unlock (&afrpc_sources_lock);

  /* What GLib has locked in a thread that was in its main loop stays so where there is no such thread. Whoever uses the context
   * itself next does the rest. */
  self->has_inherited = TRUE;
  if (afrpc_source_runs_here (self))
    clear_inherited (self);
}

/* For who has called somebody back who may have forked: in the process that was, nothing is the source's any more that it had. */
void
afrpc_source_leave_if_inherited (AfrpcSource *self)
{
  if (self->pid != getpid ())
    afrpc_source_leave_inherited (self);
}

static void
forked_cb (void)
{
  afrpc_source_n_forks++;
}

AfrpcSource *
afrpc_source_get (void)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  AfrpcSource *self;

  afrpc_fork_lock_lock (&afrpc_sources_lock);
  if (sources == NULL)
    {
      sources = g_hash_table_new (NULL, NULL);
      pthread_atfork (NULL, NULL, forked_cb);
    }
  self = g_hash_table_lookup (sources, context);
  if (self == NULL)
    {
      self = new_source (context);
      g_hash_table_insert (sources, context, self);
    }
  afrpc_fork_lock_unlock (&afrpc_sources_lock);
  afrpc_source_leave_if_inherited (self);
  if (self->has_inherited)
    clear_inherited (self);

  return self;
}

/* Returns: (transfer none): the default ones of this process */
GPtrArray *
afrpc_source_get_templates (AfrpcSource *self)
{
  return self->templates;
}
