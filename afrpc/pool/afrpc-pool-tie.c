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

  g_assert (self->lanes.n == 0 && self->held.n == 0 && self->free.length == 0);
  g_free (self);
}

static void
forget_free (AfrpcPoolTie *self)
{
  if (self->is_free)
    g_queue_unlink (&self->bond->free, &self->free);
  self->is_free = FALSE;
}

/* Another one, which has none of its calls, or none any more. It waits nowhere meanwhile. */
static void
set_bond (AfrpcPoolTie  *self,
          AfrpcPoolBond *bond) /* (nullable) */
{
  forget_free (self);
  g_clear_pointer (&self->bond, bond_unref);
  self->bond = bond != NULL ? bond_ref (bond) : NULL;
  self->n_held = 0;
}

/* Returns: (nullable): the bond, if it was not broken */
static AfrpcPoolBond *
get_bond (AfrpcPoolTie *self)
{
  if (self->bond != NULL && self->bond->member == NULL)
    set_bond (self, NULL);

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

/* Whether it waits where it does only as long as its member has some of its calls. */
static gboolean
is_kept (const AfrpcPoolTie *self)
{
  return self->state == AFRPC_POOL_TIE_HELD || (self->state == AFRPC_POOL_TIE_LINE && self->bond->is_final);
}

/* @member, to whom it leads, has got one of its calls, or runs one that was given up. */
void
afrpc_pool_tie_hold (AfrpcPoolTie    *self,
                     AfrpcPoolMember *member)
{
  if (self->bond != NULL && self->bond->member == member)
    self->n_held++;
}

/* @member does not any more. Who waits for that is seen when it is looked at. */
void
afrpc_pool_tie_let_go (AfrpcPoolTie    *self,
                       AfrpcPoolMember *member)
{
  if (self->bond == NULL || self->bond->member != member)
    return;

  g_return_if_fail (self->n_held > 0);
  if (--self->n_held > 0 || self->is_free || !is_kept (self))
    return;

  self->is_free = TRUE;
  g_queue_push_tail_link (&self->bond->free, &self->free);
}

/* Whether its member owes an outcome of a call of this key, or may run one that was given up: none overtakes those. */
static gboolean
is_held (AfrpcPoolTie *self)
{
  /* Those that have stopped are counted until they are sorted out. */
  if (self->n_held > 0)
    afrpc_pool_runaway_is_there (self->bond->member);

  return self->n_held > 0;
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
      set_bond (self, NULL);
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
    afrpc_pool_desk_serve_soon (self->bond->member);
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
  set_bond (self, bond_get (member));
}

/* Nobody is led to @member any more: what waits for it does so for anybody. */
void
afrpc_pool_ties_break (AfrpcPoolCore   *core,
                       AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond;

  /* It may get others of these keys: what has stopped is not to count as some of those. */
  afrpc_pool_runaway_is_there (member);
  bond = g_steal_pointer (&member->bond);
  if (bond == NULL)
    return;

  while (bond->free.head != NULL)
    forget_free (bond->free.head->data);
  afrpc_pool_lanes_take_all (&core->tied, &bond->lanes);
  afrpc_pool_lanes_take_all (&core->tied, &bond->held);
  bond->member = NULL;
  bond_unref (bond);
}

/* It does not wait for its member any more. */
static void
release (AfrpcPoolCore *core,
         AfrpcPoolTie  *self)
{
  leave_lanes (core, self);
  set_bond (self, NULL);
  afrpc_pool_tie_settle (core, self);
}

/* The same of all of @lanes that are not held. Returns: how many */
static guint
release_lanes (AfrpcPoolCore  *core,
               AfrpcPoolLanes *lanes)
{
  AfrpcPoolLanes kept = { 0 };
  AfrpcPoolLane *lane;
  guint n = 0;

  while ((lane = lanes->first) != NULL)
    {
      AfrpcPoolTie *self = (AfrpcPoolTie *) lane;

      if (self->n_held == 0)
        {
          release (core, self);
          n++;
          continue;
        }
      afrpc_pool_lanes_leave (lanes, lane);
      afrpc_pool_lanes_join (&kept, lane);
    }
  *lanes = kept;

  return n;
}

/* Of the jobs that wait for @member, only those do so any longer of whose keys it has others. TRUE: some wait for others. */
gboolean
afrpc_pool_ties_release_all (AfrpcPoolCore   *core,
                             AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond = member->bond;

  afrpc_pool_runaway_is_there (member);

  return release_lanes (core, &bond->lanes) + release_lanes (core, &bond->held) > 0;
}

/* The same of one that gets no more, and which some wait for. This is called often: only those are looked at of which it
 * has had some since. */
gboolean
afrpc_pool_ties_release (AfrpcPoolCore   *core,
                         AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond = member->bond;
  gboolean has_released = FALSE;

  if (!bond->is_final)
    {
      bond->is_final = TRUE;
      return afrpc_pool_ties_release_all (core, member);
    }

  afrpc_pool_runaway_is_there (member);
  while (bond->free.head != NULL)
    {
      AfrpcPoolTie *self = bond->free.head->data;

      forget_free (self);
      if (self->n_held > 0 || !is_kept (self))
        continue;

      release (core, self);
      has_released = TRUE;
    }

  return has_released;
}

/* @member may not hold some of those keys any more whose first job has to be alone: they wait for somebody who has nothing. */
void
afrpc_pool_ties_look (AfrpcPoolCore   *core,
                      AfrpcPoolMember *member)
{
  AfrpcPoolBond *bond = member->bond;

  if (bond == NULL || bond->held.n == 0)
    return;

  afrpc_pool_runaway_is_there (member);
  while (bond->free.head != NULL)
    {
      AfrpcPoolTie *self = bond->free.head->data;

      forget_free (self);
      if (self->n_held == 0 && is_kept (self))
        afrpc_pool_tie_settle (core, self);
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
  set_bond (self, NULL);
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
      self->loose.data = self->free.data = self;
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
