/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ties between affinity keys and members. Those that no call has are remembered up to a number of them: a program may
 * have any number of keys. Of a key only the first job that waits is looked at, and of a member only the key whose turn it is;
 * a member that gets no more leaves its keys, with all that waits, in one step. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-line.h"

#define LOOSE_MAX 65536u

/* Bonds */

static AfrpcPoolBond *
bond_get (AfrpcPoolMember *member)
{
  if (member->bond == NULL)
    {
      member->bond = g_new0 (AfrpcPoolBond, 1);
      member->bond->ref_count = 1;
      member->bond->member = member;
    }

  return member->bond;
}

static AfrpcPoolBond *
bond_ref (AfrpcPoolBond *self)
{
  self->ref_count++;

  return self;
}

static void
bond_unref (AfrpcPoolBond *self)
{
  if (--self->ref_count > 0)
    return;

  g_assert (self->lanes.n == 0 && self->held.n == 0);
  g_free (self);
}

/* Returns: (nullable): the bond, if it was not broken */
static AfrpcPoolBond *
get_bond (AfrpcPoolTie *self)
{
  if (self->bond != NULL && self->bond->member == NULL)
    g_clear_pointer (&self->bond, bond_unref);

  return self->bond;
}

/* Where they wait */

/* Returns: of which it is one, if jobs wait */
AfrpcPoolLanes *
afrpc_pool_tie_get_lanes (AfrpcPoolCore *core,
                          AfrpcPoolTie  *self)
{
  if (self->state == AFRPC_POOL_TIE_LONE)
    return &core->lone_tied;

  if (get_bond (self) == NULL)
    return &core->tied;

  return self->state == AFRPC_POOL_TIE_HELD ? &self->bond->held : &self->bond->lanes;
}

static void
leave_lanes (AfrpcPoolCore *core,
             AfrpcPoolTie  *self)
{
  if (self->state == AFRPC_POOL_TIE_AWAY)
    return;

  afrpc_pool_lanes_leave (afrpc_pool_tie_get_lanes (core, self), &self->lane);
  self->state = AFRPC_POOL_TIE_AWAY;
}

static gboolean
holds (const AfrpcPoolJob *job)
{
  return job->tie != NULL && job->pending.state == AFRPC_PENDING_OPEN;
}

/* Whether its member owes an outcome of a call of this key, or may run one that was given up: none overtakes those. */
static gboolean
is_held (AfrpcPoolTie *self)
{
  AfrpcPoolMember *member = get_bond (self)->member;

  if (afrpc_pool_runaway_has_tie (member, self))
    return TRUE;

  for (GList *l = member->given.head; l != NULL; l = l->next)
    if (((AfrpcPoolJob *) l->data)->tie == self && holds (l->data))
      return TRUE;

  return FALSE;
}

/* Returns: where it is to wait. Its bond is what it has to be then. */
static AfrpcPoolTieState
find_state (AfrpcPoolTie *self)
{
  const AfrpcPoolJob *job = afrpc_pool_line_peek (&self->lane.queue);

  if (job == NULL)
    return AFRPC_POOL_TIE_AWAY;
  if (!afrpc_pool_line_has_to_be_alone (job))
    return AFRPC_POOL_TIE_LINE;

  return get_bond (self) != NULL && is_held (self) ? AFRPC_POOL_TIE_HELD : AFRPC_POOL_TIE_LONE;
}

/* Another one of its jobs comes first than before, or another member has it. */
void
afrpc_pool_tie_settle (AfrpcPoolCore *core,
                       AfrpcPoolTie  *self)
{
  AfrpcPoolTieState state;

  /* Who gets no more is waited for only while that has some of it, or others wait already. */
  if (self->bond != NULL && afrpc_pool_tie_get_member (self) == NULL)
    {
      leave_lanes (core, self);
      g_clear_pointer (&self->bond, bond_unref);
    }
  state = find_state (self);
  if (state == self->state && state == AFRPC_POOL_TIE_LINE && self->lane.up == NULL && self->lane.left == NULL)
    return;

  leave_lanes (core, self);
  self->state = state;
  if (state == AFRPC_POOL_TIE_AWAY)
    return;

  afrpc_pool_lanes_join (afrpc_pool_tie_get_lanes (core, self), &self->lane);
  if (state != AFRPC_POOL_TIE_LONE && self->bond != NULL)
    {
      afrpc_pool_desk_serve_soon (self->bond->member);
      self->bond->member->n_held = G_MAXUINT;
    }
}

/* From now on it leads to @member. Settle it then. */
void
afrpc_pool_tie_bind (AfrpcPoolCore   *core,
                     AfrpcPoolTie    *self,
                     AfrpcPoolMember *member)
{
  if (get_bond (self) != NULL && self->bond->member == member)
    return;

  leave_lanes (core, self);
  g_clear_pointer (&self->bond, bond_unref);
  self->bond = bond_ref (bond_get (member));
}

/* What waits for its member does so for anybody, or is held by nobody. */
static void
break_bond (AfrpcPoolCore *core,
            AfrpcPoolBond *bond)
{
  afrpc_pool_lanes_take_all (&core->tied, &bond->lanes);
  afrpc_pool_lanes_take_all (&core->tied, &bond->held);
  bond->member = NULL;
}

/* Nobody is led to @member any more: what waits for it does so for anybody. */
void
afrpc_pool_ties_break (AfrpcPoolCore   *core,
                       AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond = g_steal_pointer (&member->bond);

  if (bond == NULL)
    return;

  break_bond (core, bond);
  bond_unref (bond);
}

/* Marks one of those that a member holds. Returns: 1 if it was not marked before */
static guint
mark (AfrpcPoolCore *core,
      AfrpcPoolTie  *self)
{
  if (self == NULL || self->mark == core->last_mark)
    return 0;

  self->mark = core->last_mark;

  return 1;
}

/* Marks those keys of which @member owes an outcome, or runs one that was given up. Returns: how many there are */
static guint
mark_held (AfrpcPoolCore   *core,
           AfrpcPoolMember *member)
{
  guint n = 0;

  core->last_mark++;
  if (afrpc_pool_runaway_is_there (member))
    for (guint i = 0; i < member->runaways->len; i++)
      n += mark (core, g_array_index (member->runaways, AfrpcPoolRunaway, i).tie);
  for (GList *l = member->given.head; l != NULL; l = l->next)
    if (holds (l->data))
      n += mark (core, ((AfrpcPoolJob *) l->data)->tie);

  return n;
}

/* One that is held goes from the bond that is to be broken to the new one. */
static void
keep (AfrpcPoolCore *core,
      AfrpcPoolTie  *self,
      AfrpcPoolBond *old,
      AfrpcPoolBond *bond)
{
  AfrpcPoolTieState state;

  if (self == NULL || self->bond != old)
    return;

  state = self->state;
  leave_lanes (core, self);
  bond_unref (self->bond);
  self->bond = bond_ref (bond);
  if (state == AFRPC_POOL_TIE_AWAY)
    return;

  self->state = state;
  afrpc_pool_lanes_join (afrpc_pool_tie_get_lanes (core, self), &self->lane);
}

/* @member gets no more: of the jobs that wait for it, only those do so any longer of whose keys it has others. TRUE: some
 * wait for anybody. */
gboolean
afrpc_pool_ties_release (AfrpcPoolCore   *core,
                         AfrpcPoolMember *member)
{
  const guint n_held = mark_held (core, member);
  const guint n_before = core->tied.n;
  AfrpcPoolBond *old = member->bond;

  /* This is called often. */
  if (n_held == member->n_held)
    return FALSE;

  member->n_held = n_held;
  bond_ref (old);
  member->bond = NULL;
  for (guint i = 0; member->runaways != NULL && i < member->runaways->len; i++)
    keep (core, g_array_index (member->runaways, AfrpcPoolRunaway, i).tie, old, bond_get (member));
  for (GList *l = member->given.head; l != NULL; l = l->next)
    if (holds (l->data))
      keep (core, ((AfrpcPoolJob *) l->data)->tie, old, bond_get (member));
  break_bond (core, old);
  bond_unref (old);
  bond_unref (old);

  return core->tied.n > n_before;
}

/* @member may not hold some of those keys any more whose first job has to be alone: they wait for somebody who has nothing. */
void
afrpc_pool_ties_look (AfrpcPoolCore   *core,
                      AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond = member->bond;
  AfrpcPoolLanes before;
  AfrpcPoolLane *lane;

  if (bond == NULL || bond->held.n == 0)
    return;

  mark_held (core, member);
  before = bond->held;
  bond->held = (AfrpcPoolLanes) { 0 };
  while ((lane = before.first) != NULL)
    {
      AfrpcPoolTie *self = (AfrpcPoolTie *) lane;

      afrpc_pool_lanes_leave (&before, lane);
      if (self->mark == core->last_mark)
        {
          afrpc_pool_lanes_join (&bond->held, lane);
          continue;
        }
      self->state = AFRPC_POOL_TIE_LONE;
      afrpc_pool_lanes_join (&core->lone_tied, lane);
    }
}

/* Returns: (nullable): who is waited for by calls of this key. One that gets no more, only while it has some of them, or
 * others wait for it already. */
AfrpcPoolMember *
afrpc_pool_tie_get_member (AfrpcPoolTie *self)
{
  AfrpcPoolMember *member = get_bond (self) != NULL ? self->bond->member : NULL;

  if (member == NULL || member->state > AFRPC_POOL_MEMBER_RETIRING)
    return NULL;

  return afrpc_pool_member_is_live (member) || self->state == AFRPC_POOL_TIE_LINE || is_held (self)
           ? member
           : NULL;
}

/* Life */

void
afrpc_pool_tie_free (AfrpcPoolTie *self)
{
  g_assert (self->state == AFRPC_POOL_TIE_AWAY);
  afrpc_pool_queue_clear (&self->lane.queue);
  g_clear_pointer (&self->bond, bond_unref);
  g_free (self->key);
  g_free (self);
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
