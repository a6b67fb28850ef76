/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers that are to end: one has answered everything, was told that nothing more comes, and may do something of its own
 * before it exits. Others wait for its place, or for the end of the pool, so it is ended if it takes too long. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <signal.h>

#include "afrpc-caller-private.h"
#include "afrpc-error.h"

#define MOMENT_US (5 * 1000)

static gint64
get_grace_us (const AfrpcPoolCore *core)
{
  return (gint64) core->config.end_grace_ms * 1000;
}

/* It has nothing to do any more. */
void
afrpc_pool_ending_begin (AfrpcPoolMember *member)
{
  const gint64 grace = get_grace_us (member->core);

  member->ending_since = g_get_monotonic_time ();
  if (grace > 0)
    afrpc_pool_core_want_at (member->core, &member->core->ending_at, member->ending_since + grace);
}

/* Returns: when there is something to do about it again, if there is */
static gint64
look_at (AfrpcPoolMember *member,
         gint64           grace,
         gint64           now)
{
  if (member->state != AFRPC_POOL_MEMBER_ENDING || member->has_overstayed)
    return AFRPC_DEADLINES_NEVER;
  if (now < member->ending_since + grace)
    return member->ending_since + grace;
  /* The program may have been busy: it may have ended meanwhile. */
  if (!member->is_overdue)
    {
      member->is_overdue = TRUE;
      return now + MOMENT_US;
    }

  g_debug ("member %d: does not end", afrpc_peer_get_pid (member->peer));
  member->has_overstayed = TRUE;
  afrpc_peer_kill (member->peer, SIGKILL);
  afrpc_pool_member_look (member);

  return AFRPC_DEADLINES_NEVER;
}

/* Looks at those whose time may be over. */
void
afrpc_pool_ending_look (AfrpcPoolCore *core,
                        gint64         now)
{
  const gint64 grace = get_grace_us (core);
  gint64 next = AFRPC_DEADLINES_NEVER;

  core->ending_at = 0;
  for (guint i = 0; grace > 0 && i < core->members->len; i++)
    {
      const gint64 at = look_at (core->members->pdata[i], grace, now);

      next = MIN (next, at);
    }
  if (next != AFRPC_DEADLINES_NEVER)
    afrpc_pool_core_want_at (core, &core->ending_at, next);
}

/* What its own error, if it has one, is to begin with. Returns: (transfer full) (nullable) */
char *
afrpc_pool_ending_describe (AfrpcPoolMember *member)
{
  if (!member->has_overstayed)
    return NULL;

  return g_strdup_printf ("it was to end, and had not within %u ms: ", member->core->config.end_grace_ms);
}

/* Before it is told how it has ended: why, if that is because it did not do so by itself. One that was never ready has an error
 * of its own. The pool may be gone then. */
void
afrpc_pool_ending_tell (AfrpcPoolMember *member)
{
  g_autoptr(AfrpcPool) pool = member->has_overstayed ? afrpc_weak_get (&member->core->pool) : NULL;
  g_autofree char *name = NULL;
  g_autoptr(GError) error = NULL;

  if (pool == NULL || member->core->state == AFRPC_POOL_KILLED || !afrpc_peer_is_ready (member->peer))
    return;

  name = afrpc_peer_describe (member->peer);
  error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "%s had answered everything, did not end within %u ms, and was killed",
                       name, member->core->config.end_grace_ms);
  afrpc_caller_emit_known_error (AFRPC_CALLER (pool), error, FALSE);
}

/**
 * afrpc_pool_get_end_grace_ms: (attributes org.gtk.Method.get_property=end-grace-ms)
 * @self: a pool
 *
 * Gets how long a worker may take to end.
 *
 * Returns: milliseconds, or 0 for as long as it likes
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_end_grace_ms (AfrpcPool *self)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);

  return self->core->config.end_grace_ms;
}

/**
 * afrpc_pool_set_end_grace_ms: (attributes org.gtk.Method.set_property=end-grace-ms)
 * @self: a pool
 * @grace_ms: milliseconds, or 0 for as long as it likes
 *
 * Sets how long a worker may take to end once it has answered everything and gets no more. It goes for workers that are
 * ending already, too.
 *
 * Since: 1.0
 */
void
afrpc_pool_set_end_grace_ms (AfrpcPool *self,
                             guint      grace_ms)
{
  g_return_if_fail (AFRPC_IS_POOL (self));

  if (!afrpc_pool_may_change (self, G_STRFUNC) || self->core->config.end_grace_ms == grace_ms)
    return;

  self->core->config.end_grace_ms = grace_ms;
  if (self->core->n_members[AFRPC_POOL_MEMBER_ENDING] > 0)
    afrpc_pool_core_want_at (self->core, &self->core->ending_at, AFRPC_POOL_AT_ONCE);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_END_GRACE_MS]);
}
