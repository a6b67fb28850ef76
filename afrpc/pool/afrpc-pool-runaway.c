/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runaways: calls that were given up, because they were cancelled or a time limit has passed, and that run on in their
 * worker, which has been asked to stop them. A worker that has not done so after the grace is ended, and another one takes
 * its place. What waits there behind a runaway has gone to others before.
 *
 * A sync worker that runs nothing, and does not even say that it does not begin what was given up, or given to somebody else,
 * before it was begun, is ended after the same time. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <signal.h>

#define MOMENT_US (5 * 1000)   /* most stop before */
#define SORTED_OUT_MIN 16u     /* so many are kept whatever has become of them */

/* Returns: how long one that was asked to stop may run on; 0: for ever. With a worker of many calls, others would end. */
guint
afrpc_pool_runaway_get_grace_ms (const AfrpcPoolConfig *config)
{
  if (config->cancel_grace_ms != AFRPC_POOL_GRACE_UNSET)
    return config->cancel_grace_ms;

  return config->backend == AFRPC_BACKEND_SYNC ? AFRPC_POOL_GRACE_MS_DEFAULT : 0;
}

/* Returns: the same of @member, in microseconds. With one that has a call by itself, no others end. */
static gint64
get_grace_us (const AfrpcPoolMember *member)
{
  const AfrpcPoolConfig *config = &member->core->config;
  const gboolean is_unset = config->cancel_grace_ms == AFRPC_POOL_GRACE_UNSET;

  return 1000 * (gint64) (is_unset && (member->is_aside || member->is_haunted) ? AFRPC_POOL_GRACE_MS_DEFAULT
                                                                               : afrpc_pool_runaway_get_grace_ms (config));
}

static AfrpcPoolRunaway *
get (AfrpcPoolMember *member,
     guint            i)
{
  return &g_array_index (member->runaways, AfrpcPoolRunaway, i);
}

static AfrpcPeerDebt
get_debt (AfrpcPoolMember        *member,
          const AfrpcPoolRunaway *runaway)
{
  return afrpc_peer_get_debt (member->peer, runaway->serial, runaway->started);
}

static void
runaway_clear (AfrpcPoolCore    *core,
               AfrpcPoolMember  *member,
               AfrpcPoolRunaway *self)
{
  AfrpcPoolTie *tie = g_steal_pointer (&self->tie);

  if (tie == NULL)
    return;

  afrpc_pool_tie_let_go (tie, member);
  afrpc_pool_tie_release (core, tie);
}

/* Forgets those that have stopped. */
static void
sort_out (AfrpcPoolMember *member)
{
  guint n = 0;

  for (guint i = 0; i < member->runaways->len; i++)
    {
      AfrpcPoolRunaway *runaway = get (member, i);

      if (get_debt (member, runaway) != AFRPC_PEER_DEBT_NONE)
        *get (member, n++) = *runaway;
      else
        runaway_clear (member->core, member, runaway);
    }
  g_array_set_size (member->runaways, n);
}

/* Forgets all. */
void
afrpc_pool_runaway_forget (AfrpcPoolCore   *core,
                           AfrpcPoolMember *member)
{
  for (guint i = 0; member->runaways != NULL && i < member->runaways->len; i++)
    runaway_clear (core, member, get (member, i));
  g_clear_pointer (&member->runaways, g_array_unref);
  member->stale.serial = 0;
}

/* It has got an error, and its worker may run it all the same. */
void
afrpc_pool_runaway_note (AfrpcPoolJob *job)
{
  AfrpcPoolMember *member = job->member;
  AfrpcPoolRunaway runaway = {
    .serial = job->pending.serial, .started = job->pending.started, .since = g_get_monotonic_time (),
  };

  if (member->core == NULL || member->was_stopped || get_debt (member, &runaway) == AFRPC_PEER_DEBT_NONE)
    return;

  if (member->runaways == NULL)
    member->runaways = g_array_new (FALSE, FALSE, sizeof (AfrpcPoolRunaway));
  /* Of those that a worker owes an answer there is a limit; of those that it has answered since, none. */
  if (member->runaways->len >= 2 * afrpc_peer_get_n_owed (member->peer) + SORTED_OUT_MIN)
    sort_out (member);
  member->is_haunted |= job == member->alone && member->core->config.backend == AFRPC_BACKEND_ASYNC;
  if (job->tie != NULL)
    {
      runaway.tie = afrpc_pool_tie_get (member->core, job->tie->key);
      afrpc_pool_tie_hold (runaway.tie, member);
    }
  g_array_append_val (member->runaways, runaway);
  afrpc_pool_core_want_at (member->core, &member->core->runaways_at, runaway.since + MOMENT_US);
}

/* The call @serial is not to be begun any more, which a sync worker has to say: of those there may be many, of which the first and the last
 * tell whether it goes on. */
void
afrpc_pool_runaway_note_stale (AfrpcPoolMember *member,
                               guint64          serial)
{
  const AfrpcPoolRunaway stale = { .serial = serial, .started = AFRPC_STARTED_NO };

  if (member->core == NULL || member->was_stopped || member->core->config.backend != AFRPC_BACKEND_SYNC ||
      get_debt (member, &stale) == AFRPC_PEER_DEBT_NONE)
    return;

  member->last_stale = serial;
  if (member->stale.serial != 0 && get_debt (member, &member->stale) != AFRPC_PEER_DEBT_NONE)
    return;

  member->stale = stale;
  afrpc_pool_core_want_at (member->core, &member->core->runaways_at, g_get_monotonic_time () + MOMENT_US);
}

/* Whether the worker still runs one that was given up, or has to answer that. */
gboolean
afrpc_pool_runaway_is_there (AfrpcPoolMember *member)
{
  if (member->runaways == NULL)
    return FALSE;

  sort_out (member);
  if (member->runaways->len > 0)
    return TRUE;

  g_clear_pointer (&member->runaways, g_array_unref);
  member->is_haunted = FALSE;

  return FALSE;
}

/* What a sync worker has got behind it, and has not begun, goes back to the queue; @spares: but for what has to stay where
 * it is. FALSE: it has begun something, and so runs no runaway any more. */
static gboolean
move_others (AfrpcPoolMember *member,
             gboolean         spares)
{
  gboolean has_begun = FALSE;
  GList *link, *previous;

  /* There would be nobody to have it. */
  if (member->core->state >= AFRPC_POOL_KILLED || member->core->failure != NULL)
    return TRUE;

  for (link = member->given.tail; link != NULL; link = previous)
    {
      AfrpcPoolJob *job = link->data;

      previous = link->prev;
      /* It may have its outcome, and not be told yet. */
      if (job->pending.state != AFRPC_PENDING_OPEN || (spares && (job->tie != NULL || job == member->alone)))
        continue;
      if (!afrpc_pool_job_take_back (job))
        has_begun |= afrpc_peer_get_started (member->peer, &job->pending) == AFRPC_STARTED_YES;
    }

  return !has_begun;
}

static void
stop (AfrpcPoolMember *member)
{
  AfrpcPoolCore *core = member->core;

  g_debug ("member %d: a call that was given up did not stop", afrpc_peer_get_pid (member->peer));
  afrpc_pool_runaway_forget (core, member);
  if (afrpc_pool_member_is_live (member) && !member->is_aside)
    afrpc_pool_staff_replace (core);
  member->was_stopped = TRUE;
  member->is_asked_to_end = TRUE;
  core->n_acts++;
  afrpc_peer_kill (member->peer, SIGKILL);
  afrpc_pool_member_look (member);
}

/* It could have stopped since then. */
static gint64
wait_for_grace (AfrpcPoolRunaway *runaway,
                gint64            grace,
                gint64            now)
{
  if (grace == 0)
    return AFRPC_DEADLINES_NEVER;
  if (now < runaway->since + grace)
    return runaway->since + grace;
  if (runaway->is_due)
    return 0;

  /* The program may have been busy: what has arrived meanwhile is taken first. */
  runaway->is_due = TRUE;

  return now + MOMENT_US;
}

/* Returns: when there is something to do about it again; 0: it is time to stop it. @moves (inout): TRUE: what waits behind it
 * is to go to others */
static gint64
look_at (AfrpcPoolMember  *member,
         AfrpcPoolRunaway *runaway,
         gint64            grace,
         gint64            now,
         gboolean         *moves)
{
  /* It may have to be begun: its time has not come yet. */
  if (get_debt (member, runaway) == AFRPC_PEER_DEBT_WAITING)
    {
      runaway->since = now;
      return now + (grace > 0 ? grace : MOMENT_US);
    }
  if (!runaway->has_moved && now < runaway->since + MOMENT_US)
    return runaway->since + MOMENT_US;
  *moves |= !runaway->has_moved;
  runaway->has_moved = TRUE;

  return wait_for_grace (runaway, grace, now);
}

/* Returns: the same for those that were not begun */
static gint64
look_at_stale (AfrpcPoolMember *member,
               gint64           grace,
               gint64           now)
{
  AfrpcPoolRunaway *stale = &member->stale;
  AfrpcPeerDebt debt = get_debt (member, stale);

  if (debt == AFRPC_PEER_DEBT_NONE && stale->serial != 0)
    {
      *stale = (AfrpcPoolRunaway) { .serial = member->last_stale, .started = AFRPC_STARTED_NO };
      debt = get_debt (member, stale);
    }
  if (debt == AFRPC_PEER_DEBT_NONE)
    {
      stale->serial = 0;
      return AFRPC_DEADLINES_NEVER;
    }
  /* It runs something, for however long: its time comes after that. */
  if (debt == AFRPC_PEER_DEBT_WAITING || grace == 0)
    {
      stale->since = 0;
      stale->is_due = FALSE;
      return grace > 0 ? now + grace : AFRPC_DEADLINES_NEVER;
    }
  if (stale->since == 0)
    stale->since = now;

  return wait_for_grace (stale, grace, now);
}

static gint64
look_at_member (AfrpcPoolMember *member,
                gint64           now)
{
  const gint64 grace = get_grace_us (member);
  const gboolean is_sync = member->core->config.backend == AFRPC_BACKEND_SYNC;
  gint64 next = look_at_stale (member, grace, now);
  gboolean moves = FALSE, is_due = next == 0;

  member->was_still = is_due;
  if (!afrpc_pool_runaway_is_there (member) && !is_due)
    {
      afrpc_pool_member_look (member);
      return next;
    }

  /* Nobody waits for that; others take its place. */
  if (member->runaways != NULL && member->is_haunted && now >= get (member, 0)->since + MOMENT_US)
    afrpc_pool_staff_renew (member->core, member);
  for (guint i = 0; member->runaways != NULL && i < member->runaways->len && !is_due; i++)
    {
      const gint64 at = look_at (member, get (member, i), grace, now, &moves);

      is_due = at == 0;
      next = MIN (next, at);
    }
  /* What is not begun by then never is, so that it is not begun in the last moment. An async worker has begun what it has. */
  if (is_sync && (moves || is_due) && !move_others (member, !is_due) && is_due)
    return now + MOMENT_US;
  if (is_due)
    {
      stop (member);
      return AFRPC_DEADLINES_NEVER;
    }

  return next;
}

static gboolean
owes_any (const AfrpcPoolMember *member)
{
  return member->runaways != NULL || member->stale.serial != 0;
}

/* Looks at those whose time may be over. */
void
afrpc_pool_runaway_look (AfrpcPoolCore *core,
                         gint64         now)
{
  gint64 next = AFRPC_DEADLINES_NEVER;

  core->runaways_at = 0;
  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];
      const gint64 at = owes_any (member) ? look_at_member (member, now) : AFRPC_DEADLINES_NEVER;

      next = MIN (next, at);
    }
  if (next != AFRPC_DEADLINES_NEVER)
    afrpc_pool_core_want_at (core, &core->runaways_at, next);
}

/* The grace is another one than before. */
void
afrpc_pool_runaway_look_soon (AfrpcPoolCore *core)
{
  for (guint i = 0; i < core->members->len; i++)
    if (owes_any (core->members->pdata[i]))
      afrpc_pool_core_want_at (core, &core->runaways_at, AFRPC_POOL_AT_ONCE);
}

/* There is nobody who looks any more, and nobody waits for anything that the member does. */
void
afrpc_pool_runaway_leave (AfrpcPoolMember *member)
{
  const gint64 grace = get_grace_us (member);

  if (grace > 0 && afrpc_pool_runaway_is_there (member))
    afrpc_peer_kill_at (member->peer, get (member, 0)->since + grace);
}
