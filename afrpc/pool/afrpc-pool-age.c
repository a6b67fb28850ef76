/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The age of members: whoever is too old is renewed. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

/* Returns: when it is too old: earlier than others that were there at the same time, so that they do not end together */
static gint64
get_end (const AfrpcPoolMember *member)
{
  const guint64 age_ms = (guint64) member->core->config.max_age_s * 1000;

  return member->ready_at + (gint64) afrpc_pool_jitter_limit (age_ms, member->spread) * 1000;
}

/* It is ready: its age counts from now on. */
void
afrpc_pool_age_begin (AfrpcPoolMember *member)
{
  member->ready_at = g_get_monotonic_time ();
  if (member->core->config.max_age_s > 0)
    afrpc_pool_core_want_at (member->core, &member->core->age_at, get_end (member));
}

/* Renews those that are too old. */
void
afrpc_pool_age_look (AfrpcPoolCore *core,
                     gint64         now)
{
  core->age_at = 0;
  for (guint i = 0; core->config.max_age_s > 0 && i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (member->ready_at == 0 || !afrpc_pool_member_is_live (member))
        continue;
      if (get_end (member) <= now)
        afrpc_pool_staff_renew (core, member);
      else
        afrpc_pool_core_want_at (core, &core->age_at, get_end (member));
    }
}

/* The limit is another one than before. */
void
afrpc_pool_age_look_soon (AfrpcPoolCore *core)
{
  afrpc_pool_core_want_at (core, &core->age_at, AFRPC_POOL_AT_ONCE);
}
