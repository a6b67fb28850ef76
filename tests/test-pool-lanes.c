/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Queues that take turns, at random, beside a sorted list of all. */
#include "config.h"

#include "pool/afrpc-pool-lanes.h"

#define LANES 40u
#define HEAPS 3u

typedef struct
{
  AfrpcPoolPlace place;
  guint lane;
} Entry;

typedef struct
{
  AfrpcPoolLane lanes[LANES];
  guint heap_of[LANES];
  AfrpcPoolLanes heaps[HEAPS];
  guint64 n_made;
} Model;

static gboolean
is_in (const Model *model,
       guint        lane)
{
  return model->lanes[lane].queue.n > 0;
}

/* Whatever changes who is first of a lane does so while that is nowhere, or has it leave. */
static void
rejoin (Model    *model,
        guint     lane,
        gboolean  was_in)
{
  if (was_in)
    afrpc_pool_lanes_leave (&model->heaps[model->heap_of[lane]], &model->lanes[lane]);
  if (is_in (model, lane))
    afrpc_pool_lanes_join (&model->heaps[model->heap_of[lane]], &model->lanes[lane]);
}

static void
push (Model *model,
      guint  lane)
{
  const gboolean was_in = is_in (model, lane);
  Entry *entry = g_new0 (Entry, 1);

  entry->lane = lane;
  entry->place.link.data = entry;
  entry->place.priority = g_test_rand_int_range (0, 4) == 0 ? g_test_rand_int_range (-2, 3) : 0;
  entry->place.is_ahead = entry->place.priority == 0 && g_test_rand_bit ();
  entry->place.number = ++model->n_made - g_test_rand_int_range (0, 5);
  if (was_in)
    model->heaps[model->heap_of[lane]].n_places++;
  afrpc_pool_queue_push (&model->lanes[lane].queue, &entry->place);
  rejoin (model, lane, was_in);
}

static void
pop (Model *model,
     guint  heap)
{
  Entry *entry = afrpc_pool_lanes_peek (&model->heaps[heap])->link.data;
  const guint lane = entry->lane;

  g_assert_cmpuint (model->heap_of[lane], ==, heap);
  model->heaps[heap].n_places--;
  afrpc_pool_queue_remove (&entry->place);
  rejoin (model, lane, TRUE);
  g_free (entry);
}

static void
check (Model *model)
{
  for (guint heap = 0; heap < HEAPS; heap++)
    {
      const AfrpcPoolPlace *first = afrpc_pool_lanes_peek (&model->heaps[heap]);
      guint n = 0, n_places = 0;

      for (guint i = 0; i < LANES; i++)
        if (is_in (model, i) && model->heap_of[i] == heap)
          {
            n++;
            n_places += model->lanes[i].queue.n;
            g_assert_false (afrpc_pool_place_is_before (afrpc_pool_queue_peek (&model->lanes[i].queue), first));
          }
      g_assert_cmpuint (model->heaps[heap].n, ==, n);
      g_assert_cmpuint (model->heaps[heap].n_places, ==, n_places);
      g_assert_true ((first == NULL) == (n == 0));
    }
}

static void
step (Model *model)
{
  const guint lane = g_test_rand_int_range (0, LANES);
  const guint heap = g_test_rand_int_range (0, HEAPS), other = g_test_rand_int_range (0, HEAPS);

  switch (g_test_rand_int_range (0, 20))
    {
    case 0:
      for (guint i = 0; i < LANES && heap != other; i++)
        if (model->heap_of[i] == other)
          model->heap_of[i] = heap;
      if (heap != other)
        afrpc_pool_lanes_take_all (&model->heaps[heap], &model->heaps[other]);
      break;

    case 1:
    case 2:
    case 3:
      if (is_in (model, lane))
        afrpc_pool_lanes_leave (&model->heaps[model->heap_of[lane]], &model->lanes[lane]);
      model->heap_of[lane] = heap;
      rejoin (model, lane, FALSE);
      break;

    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
      if (model->heaps[heap].first != NULL)
        pop (model, heap);
      break;

    default:
      push (model, lane);
      break;
    }
}

static void
test_pool_lanes_random (void)
{
  g_autofree Model *model = g_new0 (Model, 1);

  g_test_summary ("The first of all is known, whoever comes, leaves, and goes over to others");
  for (guint i = 0; i < 20000; i++)
    {
      step (model);
      check (model);
    }
  for (guint heap = 0; heap < HEAPS; heap++)
    while (model->heaps[heap].first != NULL)
      pop (model, heap);
  check (model);
  for (guint i = 0; i < LANES; i++)
    afrpc_pool_queue_clear (&model->lanes[i].queue);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-lanes/random", test_pool_lanes_random);

  return g_test_run ();
}
