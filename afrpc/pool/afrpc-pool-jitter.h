/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Jitter: what began together, or failed together, is not to end or to come back together. Numbers of what is random, and of
 * nothing else. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_POOL_BACK_OFF_MIN_MS 50u
#define AFRPC_POOL_BACK_OFF_MAX_MS 10000u

/* Returns: a limit that is up to an eighth lower */
static inline guint64
afrpc_pool_jitter_limit (guint64 limit,
                         guint32 random)
{
  return limit - random % (limit / 8 + 1);
}

/* Returns: how long to wait after so many failures in a row: twice as long after each, up to the longest, and between
 * half of that and all of it */
static inline guint
afrpc_pool_jitter_back_off_ms (guint   n_failures,
                               guint32 random)
{
  const guint ms = MIN (AFRPC_POOL_BACK_OFF_MIN_MS << MIN (MAX (n_failures, 1) - 1, 16), AFRPC_POOL_BACK_OFF_MAX_MS);

  return ms / 2 + random % (ms - ms / 2 + 1);
}

G_END_DECLS
