/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* By how much what is random makes pools differ. */
#include "config.h"

#include "pool-case.h"

#include "pool/afrpc-pool-jitter.h"
#include "pool/afrpc-pool-parts.h"

static void
test_pool_jitter_back_off (void)
{
  static const guint longest[] = { 50, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000 };

  g_test_summary ("Who fails again waits twice as long, up to a limit; from half of that on, each time is possible");
  for (guint i = 0; i < G_N_ELEMENTS (longest); i++)
    {
      const guint n = i + 1;
      const guint span = longest[i] / 2 + 1;
      guint n_different = 0;

      for (guint random = 0; random < span; random++)
        {
          const guint ms = afrpc_pool_jitter_back_off_ms (n, random);

          g_assert_cmpuint (ms, >=, longest[i] / 2);
          g_assert_cmpuint (ms, <=, longest[i]);
          n_different += ms == longest[i] / 2 + random;
        }
      g_assert_cmpuint (n_different, ==, span);
      /* The shortest is no shorter than the longest before, so that they grow. */
      if (i > 0 && longest[i] < AFRPC_POOL_BACK_OFF_MAX_MS)
        g_assert_cmpuint (afrpc_pool_jitter_back_off_ms (n, 0), ==, longest[i - 1]);
    }
  g_assert_cmpuint (afrpc_pool_jitter_back_off_ms (G_MAXUINT, G_MAXUINT32), <=, AFRPC_POOL_BACK_OFF_MAX_MS);
  g_assert_cmpuint (afrpc_pool_jitter_back_off_ms (G_MAXUINT, 0), ==, AFRPC_POOL_BACK_OFF_MAX_MS / 2);
}

static void
test_pool_jitter_limit (void)
{
  static const guint64 limits[] = { 1, 7, 8, 100, 4096, G_GUINT64_CONSTANT (64) << 20, G_MAXINT64, G_MAXUINT64 };

  g_test_summary ("A limit is never higher than it was said, never lower than seven eighths of that, and not the same for all");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      guint64 least = G_MAXUINT64, most = 0;

      for (guint32 random = 0; random < 100000; random++)
        {
          /* Spread over all that it may be. */
          const guint64 limit = afrpc_pool_jitter_limit (limits[i], random * 2654435761u);

          least = MIN (least, limit);
          most = MAX (most, limit);
        }
      g_assert_cmpuint (most, <=, limits[i]);
      g_assert_cmpuint (least, >=, limits[i] - limits[i] / 8);
      g_assert_true (limits[i] < 8 ? least == limits[i] : least < most);
    }
  g_assert_cmpuint (afrpc_pool_jitter_limit (800, 0), ==, 800);
  g_assert_cmpuint (afrpc_pool_jitter_limit (800, 100), ==, 700);
  g_assert_cmpuint (afrpc_pool_jitter_limit (800, 101), ==, 800);
}

static void
test_pool_jitter_age (void)
{
  const gint64 lower_us = G_GINT64_CONSTANT (900) * 1000 * 1000;
  AfrpcPoolMember *early, *late;
  Case test;

  g_test_summary ("Some are too old a little earlier than others that have been ready for as long");
  case_init (&test, "echo", "max-workers", 2, "idle-workers", 2, "max-age-s", 1000, NULL);
  wait_idle (&test, 2);
  early = afrpc_pool_member_ref (test.pool->core->members->pdata[0]);
  late = afrpc_pool_member_ref (test.pool->core->members->pdata[1]);
  early->spread = 100 * 1000;
  late->spread = 0;
  late->ready_at = early->ready_at;
  afrpc_pool_age_look (test.pool->core, early->ready_at + lower_us - 1);
  g_assert_true (afrpc_pool_member_is_live (early));
  afrpc_pool_age_look (test.pool->core, early->ready_at + lower_us);
  g_assert_false (afrpc_pool_member_is_live (early));
  g_assert_true (afrpc_pool_member_is_live (late));
  afrpc_pool_age_look (test.pool->core, late->ready_at + 1000 * G_USEC_PER_SEC);
  g_assert_false (afrpc_pool_member_is_live (late));
  afrpc_pool_member_unref (early);
  afrpc_pool_member_unref (late);
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-jitter/back-off", test_pool_jitter_back_off);
  g_test_add_func ("/pool-jitter/limit", test_pool_jitter_limit);
  g_test_add_func ("/pool-jitter/age", test_pool_jitter_age);

  return g_test_run ();
}
