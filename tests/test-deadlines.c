/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-deadlines.h"

/* The same, done naively: all deadlines that are not settled, unsorted. */
typedef struct
{
  AfrpcDeadlines deadlines;
  GArray *model;       /* (element-type AfrpcDeadline) */
  GHashTable *pending; /* (element-type guint64 guint64) serials */
  guint64 n_serials;
  guint n_asked;       /* times that is_pending was called */
} Both;

static gboolean
is_pending_cb (guint64  serial,
               gpointer user_data)
{
  Both *both = user_data;

  both->n_asked++;

  return g_hash_table_contains (both->pending, &serial);
}

static void
both_init (Both *both)
{
  *both = (Both) { 0 };
  both->model = g_array_new (FALSE, FALSE, sizeof (AfrpcDeadline));
  both->pending = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  afrpc_deadlines_init (&both->deadlines, is_pending_cb, both);
}

static void
both_clear (Both *both)
{
  afrpc_deadlines_clear (&both->deadlines);
  g_array_unref (both->model);
  g_hash_table_unref (both->pending);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Both, both_clear)

static void
both_add (Both   *both,
          gint64  at)
{
  AfrpcDeadline deadline = { at, ++both->n_serials };

  g_hash_table_add (both->pending, g_memdup2 (&deadline.serial, sizeof deadline.serial));
  g_array_append_val (both->model, deadline);
  afrpc_deadlines_add (&both->deadlines, at, deadline.serial, both->model->len);
}

static void
both_forget (Both  *both,
             guint  i)
{
  g_hash_table_remove (both->pending, &g_array_index (both->model, AfrpcDeadline, i).serial);
  g_array_remove_index_fast (both->model, i);
}

static gint64
model_next (Both *both)
{
  gint64 next = AFRPC_DEADLINES_NEVER;

  for (guint i = 0; i < both->model->len; i++)
    next = MIN (next, g_array_index (both->model, AfrpcDeadline, i).at);

  return next;
}

/* Both agree on what is due, if not on the order of equals. */
static void
both_pop (Both   *both,
          gint64  now)
{
  gint64 next = model_next (both);
  guint64 serial = G_MAXUINT64;

  g_assert_cmpint (afrpc_deadlines_next (&both->deadlines), ==, next);
  if (next > now || both->model->len == 0)
    {
      g_assert_false (afrpc_deadlines_pop (&both->deadlines, now, &serial));
      g_assert_cmpuint (serial, ==, G_MAXUINT64);
      return;
    }

  g_assert_true (afrpc_deadlines_pop (&both->deadlines, now, &serial));
  for (guint i = 0; i < both->model->len; i++)
    if (g_array_index (both->model, AfrpcDeadline, i).serial == serial)
      {
        g_assert_cmpint (g_array_index (both->model, AfrpcDeadline, i).at, ==, next);
        both_forget (both, i);
        return;
      }
  g_assert_not_reached ();
}

static void
check_heap (Both *both)
{
  const AfrpcDeadlines *self = &both->deadlines;

  g_assert_cmpuint (self->n, >=, both->model->len);
  g_assert_cmpuint (self->n, <=, self->n_allocated);
  for (guint i = 1; i < self->n; i++)
    g_assert_cmpint (self->heap[(i - 1) / 2].at, <=, self->heap[i].at);
}

/* Most calls are settled at once: the next addition tidies up. */
static void
forget_most (Both  *both,
             GRand *rand)
{
  const guint n = both->model->len / 5;

  while (both->model->len > n)
    both_forget (both, g_rand_int_range (rand, 0, both->model->len));
}

static void
run_round (GRand *rand)
{
  g_auto(Both) both = { 0 };
  const guint n_steps = g_rand_int_range (rand, 1, 1500);
  const int adding = g_rand_int_range (rand, 1, 10); /* of 10 steps */
  const int range = g_rand_boolean (rand) ? 10 : 100000;
  gint64 now = 0;
  guint n_pending_max = 0;

  both_init (&both);
  for (guint i = 0; i < n_steps; i++)
    {
      if (g_rand_int_range (rand, 0, 10) < adding)
        both_add (&both, now + g_rand_int_range (rand, -5, range));
      else if (both.model->len > 0 && g_rand_boolean (rand))
        both_forget (&both, g_rand_int_range (rand, 0, both.model->len));
      else
        both_pop (&both, now += g_rand_int_range (rand, 0, range / 4));

      if (g_rand_int_range (rand, 0, 200) == 0)
        {
          forget_most (&both, rand);
          both_add (&both, now + g_rand_int_range (rand, 0, range));
          check_heap (&both);
        }
      n_pending_max = MAX (n_pending_max, both.model->len);
      g_assert_cmpuint (both.deadlines.n, <=, MAX (64, 2 * n_pending_max + 2));
      if (i % 50 == 0)
        check_heap (&both);
    }

  while (both.model->len > 0)
    both_pop (&both, AFRPC_DEADLINES_NEVER - 1);
  both_pop (&both, AFRPC_DEADLINES_NEVER - 1);
}

static void
test_deadlines_random (void)
{
  const guint n_rounds = g_test_thorough () ? 20000 : 500;

  g_test_summary ("What is due comes earliest first, as from a list that is searched");
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

      run_round (rand);
    }
}

static void
test_deadlines_bounded (void)
{
  g_auto(Both) both = { 0 };

  g_test_summary ("Calls that are settled long before their time limits need neither memory nor "
                  "time");
  both_init (&both);
  both_add (&both, 5);
  for (guint i = 0; i < 200000; i++)
    {
      both_add (&both, 1000000 - i % 1000);
      if (both.model->len > 100)
        both_forget (&both, 1 + i % 100);
      g_assert_cmpuint (both.deadlines.n, <=, 2 * 102 + 2);
    }
  check_heap (&both);
  g_assert_cmpuint (both.deadlines.n_allocated, <=, 4 * 102);
  /* Tidying up costs less than two questions for each that was added. */
  g_assert_cmpuint (both.n_asked, <, 2 * 200000);

  both_pop (&both, 4);
  both_pop (&both, 5);
  both_pop (&both, 5);
}

static void
test_deadlines_all_settled (void)
{
  g_auto(Both) both = { 0 };

  g_test_summary ("When all are settled there is nothing to wait for, and room for new ones");
  both_init (&both);
  for (guint round = 0; round < 3; round++)
    {
      for (guint i = 0; i < 1000; i++)
        both_add (&both, i);
      while (both.model->len > 0)
        both_forget (&both, 0);
      both_add (&both, 2000);
      g_assert_cmpuint (both.deadlines.n, ==, 1);
      both_forget (&both, 0);
      both_pop (&both, 10000);
      g_assert_cmpuint (both.deadlines.n, ==, 0);
    }
}

static void
test_deadlines_never (void)
{
  AfrpcDeadlines deadlines;
  g_auto(Both) both = { 0 };

  g_test_summary ("Nothing is due in none, whenever one asks");
  both_init (&both);
  g_assert_cmpint (afrpc_deadlines_next (&both.deadlines), ==, AFRPC_DEADLINES_NEVER);
  both_pop (&both, G_MININT64);
  both_pop (&both, 0);
  both_pop (&both, AFRPC_DEADLINES_NEVER - 1);
  both_pop (&both, AFRPC_DEADLINES_NEVER);
  both_add (&both, 1);
  both_pop (&both, AFRPC_DEADLINES_NEVER);
  both_pop (&both, AFRPC_DEADLINES_NEVER);

  afrpc_deadlines_init (&deadlines, is_pending_cb, &both);
  afrpc_deadlines_clear (&deadlines);
  afrpc_deadlines_clear (&deadlines);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/deadlines/random", test_deadlines_random);
  g_test_add_func ("/deadlines/bounded", test_deadlines_bounded);
  g_test_add_func ("/deadlines/all-settled", test_deadlines_all_settled);
  g_test_add_func ("/deadlines/never", test_deadlines_never);

  return g_test_run ();
}
