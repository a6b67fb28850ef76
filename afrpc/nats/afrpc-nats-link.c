/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-link-parts.h"

#include <afrpc/afrpc.h>

void
afrpc_nats_link_unref (AfrpcNatsLink *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_clear_pointer (&self->closing, afrpc_nats_inbox_unref);
  g_queue_clear_full (&self->commands, afrpc_nats_command_free);
  g_ptr_array_unref (self->watchers);
  g_ptr_array_unref (self->subscriptions);
  g_ptr_array_unref (self->ended);
  g_array_unref (self->pinging);
  g_ptr_array_unref (self->flows);
  afrpc_nats_settings_clear (&self->settings);
  g_clear_error (&self->error);
  g_free (self->url);
  g_atomic_rc_box_release (self->n_told);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_cond_clear (&self->ping_cond);
  g_free (self);
}

void
afrpc_nats_link_begin_activity (AfrpcNatsLink *self)
{
  g_atomic_int_inc (&self->ref_count);
  g_mutex_lock (&self->lock);
  self->n_active++;
  g_mutex_unlock (&self->lock);
}

static void
tell_closed_locked (AfrpcNatsLink *self)
{
  if (self->n_active == 0 && self->closing != NULL)
    afrpc_nats_inbox_push (self->closing, afrpc_nats_item_new (AFRPC_NATS_ITEM_CLOSED, 0, NULL));
}

void
afrpc_nats_link_end_activity (AfrpcNatsLink *self)
{
  g_mutex_lock (&self->lock);
  self->n_active--;
  tell_closed_locked (self);
  g_mutex_unlock (&self->lock);
  afrpc_nats_link_unref (self);
}

static AfrpcNatsItem *
new_state_item (AfrpcNatsLink *self)
{
  static const AfrpcNatsItemKind kinds[] = {
    [AFRPC_NATS_LINK_CONNECTED] = AFRPC_NATS_ITEM_CONNECTED,
    [AFRPC_NATS_LINK_DISCONNECTED] = AFRPC_NATS_ITEM_DISCONNECTED,
    [AFRPC_NATS_LINK_FAILED] = AFRPC_NATS_ITEM_FAILED,
  };
  AfrpcNatsItem *item = afrpc_nats_item_new (kinds[self->state], 0, self->url);

  item->error = self->error != NULL ? g_error_copy (self->error) : NULL;

  return item;
}

/* What others that use it are told once it was closed. */
static AfrpcNatsItem *
new_closed_item (AfrpcNatsLink *self)
{
  AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_FAILED, 0, self->url);

  item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the connection was closed");

  return item;
}

/* Tells everybody, from whichever thread. @error: (nullable) (transfer full) */
void
afrpc_nats_link_set_state (AfrpcNatsLink      *self,
                           AfrpcNatsLinkState  state,
                           GError             *error)
{
  g_mutex_lock (&self->lock);
  if (self->state == AFRPC_NATS_LINK_FAILED || self->is_closing || self->state == state)
    {
      g_mutex_unlock (&self->lock);
      g_clear_error (&error);
      return;
    }
  g_debug ("nats: state %d", state);
  self->state = state;
  /* What was under way may have been lost. */
  for (guint i = 0; state == AFRPC_NATS_LINK_CONNECTED && i < self->flows->len; i++)
    afrpc_nats_flow_resend (self->flows->pdata[i], g_get_monotonic_time ());
  g_clear_error (&self->error);
  self->error = error;
  for (guint i = 0; i < self->watchers->len; i++)
    afrpc_nats_inbox_push (self->watchers->pdata[i], new_state_item (self));
  g_cond_signal (&self->cond);
  g_cond_signal (&self->ping_cond);
  g_mutex_unlock (&self->lock);
}

/* Whether it is of the process that this one was forked from: then it is left to that, as it is, and so are its locks. */
gboolean
afrpc_nats_link_is_inherited (const AfrpcNatsLink *self)
{
  return self->n_forks != afrpc_nats_forks_get_n ();
}

/* FALSE: this process was forked from one that has used nats.c, whose threads, and locks that they may have, are not made again. */
static gboolean
may_use_nats (void)
{
  static GMutex lock;
  static gboolean is_used;
  static guint used_n_forks;
  gboolean may_use;

  g_mutex_lock (&lock);
  if (!is_used)
    used_n_forks = afrpc_nats_forks_get_n ();
  is_used = TRUE;
  may_use = used_n_forks == afrpc_nats_forks_get_n ();
  g_mutex_unlock (&lock);

  return may_use;
}

/* Connects, and says so to those who watch. */
AfrpcNatsLink *
afrpc_nats_link_new (const AfrpcNatsSettings *settings)
{
  AfrpcNatsLink *self = g_new0 (AfrpcNatsLink, 1);

  afrpc_nats_forks_watch ();
  self->ref_count = 1;
  self->n_told = g_atomic_rc_box_new0 (gint);
  self->n_forks = afrpc_nats_forks_get_n ();
  afrpc_nats_settings_copy (&self->settings, settings);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->watchers = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_nats_inbox_unref);
  g_cond_init (&self->ping_cond);
  self->whole_max = AFRPC_NATS_WHOLE_MAX;
  self->payload_max = 1 << 20;
  self->flows = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_nats_flow_unref);
  self->pinging = g_array_new (FALSE, FALSE, sizeof (AfrpcNatsPinging));
  g_array_set_clear_func (self->pinging, afrpc_nats_pinging_clear);
  self->subscriptions = g_ptr_array_new_with_free_func (afrpc_nats_subscription_destroy);
  self->ended = g_ptr_array_new_with_free_func (afrpc_nats_subscription_destroy);
  if (!may_use_nats ())
    {
      self->thread.has_ended = TRUE;
      afrpc_nats_link_set_state (self, AFRPC_NATS_LINK_FAILED,
                                 g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED,
                                              "the process was forked from one that had used NATS, and nats.c is of no use there: "
                                              "fork before that, or execute a program"));
      return self;
    }

  afrpc_nats_link_begin_activity (self);
  afrpc_nats_threads_join ();
  g_thread_unref (g_thread_new ("afrpc-nats", afrpc_nats_link_thread, self));

  return self;
}

/* What was published before is sent, if there is a connection. Others that use it are told that it has failed; @inbox
 * (nullable) is told when nothing is left of it. */
void
afrpc_nats_link_close (AfrpcNatsLink  *self,
                       AfrpcNatsInbox *inbox)
{
  if (afrpc_nats_link_is_inherited (self))
    return;

  afrpc_nats_thread_leave (&self->thread);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->watchers->len; i++)
    if (self->watchers->pdata[i] != inbox)
      afrpc_nats_inbox_push (self->watchers->pdata[i], new_closed_item (self));
  self->is_closing = TRUE;
  self->closing = inbox != NULL ? afrpc_nats_inbox_ref (inbox) : NULL;
  g_ptr_array_set_size (self->watchers, 0);
  g_cond_signal (&self->cond);
  tell_closed_locked (self);
  g_mutex_unlock (&self->lock);
}

/* Has @inbox told how the connection is: now, if that is known, and whenever it changes. */
void
afrpc_nats_link_watch (AfrpcNatsLink  *self,
                       AfrpcNatsInbox *inbox)
{
  g_mutex_lock (&self->lock);
  if (self->is_closing)
    afrpc_nats_inbox_push (inbox, new_closed_item (self));
  else
    {
      g_ptr_array_add (self->watchers, afrpc_nats_inbox_ref (inbox));
      if (self->state != AFRPC_NATS_LINK_CONNECTING)
        afrpc_nats_inbox_push (inbox, new_state_item (self));
    }
  g_mutex_unlock (&self->lock);
}

void
afrpc_nats_link_unwatch (AfrpcNatsLink  *self,
                         AfrpcNatsInbox *inbox)
{
  if (afrpc_nats_link_is_inherited (self))
    return;

  g_mutex_lock (&self->lock);
  g_ptr_array_remove_fast (self->watchers, inbox);
  g_mutex_unlock (&self->lock);
}

/* Returns: how many bytes a message may have that goes at once */
gsize
afrpc_nats_link_get_whole_max (AfrpcNatsLink *self)
{
  return (gsize) g_atomic_int_get (&self->whole_max);
}

/* Returns: how many bytes a message may have that NATS takes at all */
gsize
afrpc_nats_link_get_payload_max (AfrpcNatsLink *self)
{
  return (gsize) g_atomic_int_get (&self->payload_max);
}

/* Returns: (transfer full) (nullable): the server that it is connected to, or was last */
char *
afrpc_nats_link_dup_url (AfrpcNatsLink *self)
{
  char *url;

  g_mutex_lock (&self->lock);
  url = g_strdup (self->url);
  g_mutex_unlock (&self->lock);

  return url;
}
