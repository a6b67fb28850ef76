/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pool itself: its clock, and its end. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"
#include "pool/afrpc-pool-watch.h"

#include <signal.h>

#include "afrpc-caller-private.h"
#include "afrpc-error.h"

/* The clock */

/* There is something to do at @at, or earlier. */
void
afrpc_pool_core_want_timer (AfrpcPoolCore *self,
                            gint64         at)
{
  if (at >= self->timer_at)
    return;

  self->timer_at = at;
  g_source_set_ready_time (self->timer, at);
}

/* What is done at *@time, or never if that is 0, is to be done at @at, or earlier. */
void
afrpc_pool_core_want_at (AfrpcPoolCore *self,
                         gint64        *time,
                         gint64         at)
{
  if (*time == 0 || at < *time)
    *time = at;
  afrpc_pool_core_want_timer (self, *time);
}

/* Whether it is time for what is done at @time, or never if that is 0; if not yet, the timer sees to it. */
static gboolean
is_due (AfrpcPoolCore *self,
        gint64         time,
        gint64         now)
{
  if (time == 0)
    return FALSE;
  if (time <= now)
    return TRUE;

  afrpc_pool_core_want_timer (self, time);

  return FALSE;
}

/* In the main loop it is at least as late as when this turn began, which costs nothing to know. */
void
afrpc_pool_core_catch_up (AfrpcPoolCore *self)
{
  self->now = MAX (self->now, afrpc_peer_get_turn_time (self->anchor));
}

/* Lets go of the jobs that others have replaced. What a call was given may come back here when that goes. */
void
afrpc_pool_core_clear_spent (AfrpcPoolCore *self)
{
  while (self->spent->len > 0)
    afrpc_pool_job_unref (g_ptr_array_steal_index_fast (self->spent, self->spent->len - 1));
}

/* Does what it is time for. */
void
afrpc_pool_core_work (AfrpcPoolCore *self)
{
  gint64 now;

  afrpc_pool_core_read_clock (self);
  now = self->now;
  self->timer_at = AFRPC_DEADLINES_NEVER;
  self->starts_later = FALSE;
  g_source_set_ready_time (self->timer, -1);
  afrpc_pool_line_fail_some (self);
  afrpc_pool_line_expire (self, now);
  if (is_due (self, self->tick_at, now))
    afrpc_pool_staff_tick (self, now);
  if (is_due (self, self->age_at, now))
    afrpc_pool_age_look (self, now);
  if (is_due (self, self->weigh_at, now))
    afrpc_pool_memory_look (self);
  if (is_due (self, self->runaways_at, now))
    afrpc_pool_runaway_look (self, now);
  if (is_due (self, self->ending_at, now))
    afrpc_pool_ending_look (self, now);
  if (is_due (self, self->aside_at, now))
    afrpc_pool_desk_look_aside (self, now);
  if (is_due (self, self->watch_at, now))
    afrpc_pool_watch_look (self, now);
  afrpc_pool_desk_pump (self);
}

typedef struct
{
  GSource source;
  AfrpcPoolCore *core; /* not owned: its callback has a reference */
} Timer;

static void
tell_end (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) held = g_steal_pointer (&self->held);

  /* It need not be held to be there. */
  if (held == NULL)
    held = afrpc_weak_get (&self->pool);
  if (self->has_told_end || held == NULL)
    return;

  self->has_told_end = TRUE;
  while (self->held_errors->len > 0)
    {
      g_autoptr(GError) error = g_ptr_array_steal_index (self->held_errors, 0);

      afrpc_caller_emit_known_error (AFRPC_CALLER (held), error, TRUE);
    }
  afrpc_caller_emit_destroyed (AFRPC_CALLER (held));
}

static gboolean
timer_cb (gpointer data)
{
  AfrpcPoolCore *self = data;
  GMainContext *context = g_source_get_context (g_main_current_source ());

  /* In a process that the program has forked it is not the program's pool. */
  if (afrpc_peer_is_left (self->anchor))
    {
      g_source_set_ready_time (self->timer, -1);
      return G_SOURCE_CONTINUE;
    }

  afrpc_pool_core_ref (self);
  g_main_context_push_thread_default (context);
  if (self->timer_at <= g_get_monotonic_time ())
    afrpc_pool_core_work (self);
  if (self->room_tasks.length > 0)
    afrpc_pool_room_tell (self);
  if (self->has_to_notify)
    {
      self->has_to_notify = FALSE;
      afrpc_pool_notify_failure (self);
    }
  if (self->rounds.length > 0)
    afrpc_pool_call_all_tell (self);
  if (self->maps.length > 0)
    afrpc_pool_maps_act (self);
  afrpc_pool_view_tell (self);
  if (self->state == AFRPC_POOL_OVER)
    tell_end (self);
  g_main_context_pop_thread_default (context);
  afrpc_pool_core_unref (self);

  return G_SOURCE_CONTINUE;
}

/* Has nothing to do with anybody any more: members end once they are idle, as proxies that are dropped do. */
static void
stop (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) pool = afrpc_weak_get (&self->pool);
  GTask *task;

  self->state = AFRPC_POOL_OVER;
  afrpc_pool_line_abandon (self);
  while ((task = g_queue_pop_head (&self->room_tasks)) != NULL)
    g_object_unref (task);
  afrpc_pool_call_all_abandon (self);
  afrpc_pool_settings_abandon (self);
  afrpc_pool_maps_abandon (self);
  afrpc_pool_staff_clear (self);
  while (self->members->len > 0)
    {
      AfrpcPoolMember *member = g_ptr_array_steal_index (self->members, self->members->len - 1);

      afrpc_pool_runaway_leave (member);
      afrpc_pool_member_leave (member);
      afrpc_pool_member_unref (member);
    }
  if (pool != NULL)
    afrpc_caller_mark_destroyed (AFRPC_CALLER (pool));
  g_clear_object (&self->held);
}

static void
stop_cb (gpointer data)
{
  AfrpcPoolCore *self = data;

  stop (self);
  afrpc_pool_core_unref (self);
}

/* The main context goes, or the pool has gone: nobody is told anything any more. What calls have may use pools and proxies when
 * it is let go of, which are to know by then that there is no context. */
static void
timer_gone_cb (gpointer data)
{
  AfrpcPoolCore *self = data;

  if (self->is_dropped || !afrpc_peer_do_at_end (self->anchor, self, stop_cb))
    stop_cb (self);
}

static gboolean
timer_prepare (GSource *source,
               int     *timeout)
{
  AfrpcPoolCore *self = ((Timer *) source)->core;

  return afrpc_pool_view_has_news (self) && !afrpc_peer_is_left (self->anchor);
}

static gboolean
timer_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     user_data)
{
  return callback (user_data);
}

static GSourceFuncs timer_funcs = { timer_prepare, NULL, timer_dispatch, NULL };

static void
make_timer (AfrpcPoolCore *self)
{
  self->timer_at = AFRPC_DEADLINES_NEVER;
  self->timer = g_source_new (&timer_funcs, sizeof (Timer));
  ((Timer *) self->timer)->core = self;
  g_source_set_static_name (self->timer, "[afrpc] pool");
  g_source_set_can_recurse (self->timer, TRUE);
  g_source_set_callback (self->timer, timer_cb, afrpc_pool_core_ref (self), timer_gone_cb);
  g_source_attach (self->timer, afrpc_peer_get_main_context (self->anchor));
}

/* Life */

AfrpcPoolCore *
afrpc_pool_core_new (AfrpcPool *pool)
{
  AfrpcPoolCore *self = g_new0 (AfrpcPoolCore, 1);

  g_atomic_ref_count_init (&self->ref_count);
  afrpc_weak_init (&self->pool);
  afrpc_weak_set (&self->pool, pool);
  self->anchor = afrpc_peer_new_refused (g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "a pool has no process"));
  self->members = g_ptr_array_new ();
  self->templates = g_ptr_array_new ();
  self->held_errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  afrpc_pool_core_read_clock (self);
  self->made_at = self->now;
  self->spent = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_pool_job_unref);
  afrpc_pool_line_init (self);
  make_timer (self);

  return self;
}

AfrpcPoolCore *
afrpc_pool_core_ref (AfrpcPoolCore *self)
{
  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

void
afrpc_pool_core_unref (AfrpcPoolCore *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_assert (self->members->len == 0 && self->templates->len == 0);
  g_clear_pointer (&self->spent, g_ptr_array_unref);
  g_clear_pointer (&self->held_errors, g_ptr_array_unref);
  afrpc_pool_line_clear (self);
  afrpc_pool_job_free_spare (self);
  g_clear_pointer (&self->members, g_ptr_array_unref);
  g_clear_pointer (&self->templates, g_ptr_array_unref);
  g_clear_object (&self->list);
  afrpc_peer_forget_untold (self->anchor);
  g_clear_pointer (&self->anchor, afrpc_peer_unref);
  g_clear_pointer (&self->timer, g_source_unref);
  afrpc_weak_clear (&self->pool);
  g_clear_error (&self->failure);
  g_free (self->look);
  g_free (self->config.function);
  g_free (self->config.init);
  g_free (self->config.done);
  g_clear_object (&self->config.serialiser);
  g_free (self);
}

/* The end */

static void
begin_end (AfrpcPoolCore  *self,
           AfrpcPoolState  state)
{
  if (self->state == AFRPC_POOL_OPEN)
    self->held = afrpc_weak_get (&self->pool);
  self->state = state;
}

void
afrpc_pool_core_close (AfrpcPoolCore *self)
{
  if (self->state != AFRPC_POOL_OPEN)
    return;

  begin_end (self, AFRPC_POOL_CLOSING);
  afrpc_pool_desk_pump (self);
}

/* Whether the main context has gone, or goes, or is that of the process which this one was forked from: nobody is told anything
 * any more. */
gboolean
afrpc_pool_core_is_left (AfrpcPoolCore *self)
{
  return g_source_is_destroyed (self->timer) || g_source_get_context (self->timer) == NULL ||
         afrpc_peer_is_inherited (self->anchor);
}

/* The pool has gone. */
void
afrpc_pool_core_drop (AfrpcPoolCore *self)
{
  self->is_dropped = TRUE;
  g_source_destroy (self->timer);
}

/* Returns: (transfer full): what fails that comes when the pool is not open any more */
GError *
afrpc_pool_core_new_closed_error (AfrpcPoolCore *self)
{
  if (afrpc_peer_is_inherited (self->anchor))
    return afrpc_pending_new_inherited_error ();

  return g_error_new_literal (AFRPC_ERROR, AFRPC_ERROR_CLOSED,
                              afrpc_pool_core_is_left (self) ? "the main context of the pool is gone"
                                                             : "the pool is closed");
}

/* Returns: (transfer full): what a call fails with that no worker is going to have */
GError *
afrpc_pool_core_new_killed_error (const AfrpcPoolCore *self)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, "the call was not started: the pool of '%s' was killed",
                      self->config.function);
}

void
afrpc_pool_core_kill (AfrpcPoolCore *self)
{
  g_autoptr(GError) error = NULL;

  if (self->state >= AFRPC_POOL_KILLED)
    return;

  begin_end (self, AFRPC_POOL_KILLED);
  error = afrpc_pool_core_new_killed_error (self);
  afrpc_pool_line_doom (self, error);
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      member->is_asked_to_end = TRUE;
      afrpc_peer_close (member->peer);
      afrpc_peer_kill (member->peer, SIGKILL);
      afrpc_pool_member_look (member);
    }
  afrpc_pool_desk_pump (self);
}

/* There are not going to be any more members: what they were made from ends, unless others hold it. */
void
afrpc_pool_core_drop_templates (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) pool = afrpc_weak_get (&self->pool);

  afrpc_pool_staff_clear (self);
  if (pool != NULL)
    g_clear_object (&pool->process);
}

/* Whether nobody listens, and no main loop has ever run that would tell what is to be told: there may never be one. */
gboolean
afrpc_pool_core_tells_nobody (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcPool) pool = NULL;

  if (!afrpc_peer_has_no_loop (self->anchor))
    return FALSE;

  pool = afrpc_weak_get (&self->pool);

  return pool == NULL || !afrpc_peer_is_listened_to (pool);
}

/* What stays only to be told goes, if nobody is: members that have ended, and then the pool, if it has. Whoever holds it is told
 * when there is a loop. */
void
afrpc_pool_core_forget (AfrpcPoolCore *self)
{
  gboolean has_any = FALSE;

  if (self->n_members[AFRPC_POOL_MEMBER_GONE] > 0 && afrpc_pool_core_tells_nobody (self))
    for (guint i = self->members->len; i-- > 0;)
      has_any |= afrpc_pool_member_forget (self->members->pdata[i]);
  if (has_any && self->state != AFRPC_POOL_OPEN)
    afrpc_pool_core_wind_up (self);
  if (self->state == AFRPC_POOL_OVER && self->held != NULL && afrpc_pool_core_tells_nobody (self))
    g_clear_object (&self->held);
}

/* It gets no more calls: has members end that nobody needs, and is over once there are none. */
void
afrpc_pool_core_wind_up (AfrpcPoolCore *self)
{
  if (self->queue.n > 0 || self->n_waiting > 0 || self->state == AFRPC_POOL_OVER)
    return;

  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (afrpc_pool_member_is_live (member))
        afrpc_pool_member_end (member);
    }
  if (self->members->len > 0 || self->n_jobs > 0)
    return;

  self->state = AFRPC_POOL_OVER;
  afrpc_pool_core_drop_templates (self);
  afrpc_pool_core_want_timer (self, 0);
}
