/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ties between affinity keys and members. Those that no call has are remembered up to a number of them: a program may
 * have any number of keys. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#define LOOSE_MAX 65536u

static void
untie (AfrpcPoolTie *self)
{
  if (self->member == NULL)
    return;

  g_queue_unlink (&self->member->ties, &self->bound);
  self->member = NULL;
}

void
afrpc_pool_tie_free (AfrpcPoolTie *self)
{
  untie (self);
  g_free (self->key);
  g_free (self);
}

/* From now on it leads to @member. */
void
afrpc_pool_tie_bind (AfrpcPoolTie    *self,
                     AfrpcPoolMember *member)
{
  untie (self);
  self->member = member;
  self->bound.data = self;
  g_queue_push_tail_link (&member->ties, &self->bound);
}

/* Nobody is led to @member any more. */
void
afrpc_pool_tie_cut (AfrpcPoolMember *member)
{
  GList *link;

  while ((link = g_queue_peek_head_link (&member->ties)) != NULL)
    untie (link->data);
}

/* Whether its member owes an outcome of a call of this key, or may run one that was given up: none overtakes those. */
gboolean
afrpc_pool_tie_is_held (const AfrpcPoolTie *self)
{
  if (afrpc_pool_runaway_is_there (self->member))
    return TRUE;

  for (GList *l = self->member->given.head; l != NULL; l = l->next)
    {
      const AfrpcPoolJob *job = l->data;

      if (job->tie == self && job->pending.state == AFRPC_PENDING_OPEN)
        return TRUE;
    }

  return FALSE;
}

/* Returns: (nullable): who is waited for by calls of this key. One that gets no more, only while it has some of them, or
 * others wait for it already. */
AfrpcPoolMember *
afrpc_pool_tie_get_member (const AfrpcPoolTie *self)
{
  AfrpcPoolMember *member = self->member;

  if (member == NULL || member->state > AFRPC_POOL_MEMBER_RETIRING)
    return NULL;

  return afrpc_pool_member_is_live (member) || self->n_waiting > 0 || afrpc_pool_tie_is_held (self) ? member : NULL;
}

/* For a job that has come. Release it when that is over. */
AfrpcPoolTie *
afrpc_pool_tie_get (AfrpcPoolCore *core,
                    const char    *key)
{
  AfrpcPoolTie *self = g_hash_table_lookup (core->ties, key);

  if (self == NULL)
    {
      self = g_new0 (AfrpcPoolTie, 1);
      self->key = g_strdup (key);
      self->loose.data = self;
      g_hash_table_insert (core->ties, self->key, self);
    }
  else if (self->n_jobs == 0)
    g_queue_unlink (&core->loose_ties, &self->loose);
  self->n_jobs++;

  return self;
}

void
afrpc_pool_tie_release (AfrpcPoolCore *core,
                        AfrpcPoolTie  *self)
{
  if (--self->n_jobs > 0)
    return;

  g_queue_push_tail_link (&core->loose_ties, &self->loose);
  if (core->loose_ties.length > LOOSE_MAX)
    {
      AfrpcPoolTie *oldest = g_queue_pop_head_link (&core->loose_ties)->data;

      g_hash_table_remove (core->ties, oldest->key);
    }
}
