/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps as bindings make them: what is called for again, and how the end is told. */
#include "pool-case.h"

#include "pool/afrpc-map-parcels.h"
#include "pool/afrpc-pool-parts.h"
#include "pool/afrpc-pool-watch.h"

/* A binding that has single calls, one in a parcel. */
typedef struct
{
  GQueue inputs;  /* (element-type GVariant) (owned): arguments */
  GQueue rest;    /* likewise, that are called for again, once anything is sorted */
  guint n_deaths; /* of workers that had begun these */
  GQueue sorted;  /* (element-type AfrpcCall) (owned) */
  GError *failure; /* (nullable) (owned): why the rest was not called for */
  guint n_looked;  /* how often it was asked whether it has something */
} Binding;

static AfrpcMapPulled
pull (gpointer            data,
      const AfrpcMapRoom *room,
      AfrpcMapInput      *input)
{
  Binding *self = data;

  input->args = g_queue_pop_head (&self->inputs);

  return input->args != NULL ? AFRPC_MAP_PULLED : AFRPC_MAP_END;
}

static void
forget (gpointer data)
{
}

static void
sort (gpointer   data,
      gpointer   parcel,
      AfrpcCall *call)
{
  Binding *self = data;

  if (call != NULL)
    g_queue_push_tail (&self->sorted, call);
}

static void
cut (gpointer   data,
     gpointer   parcel,
     AfrpcCall *call,
     guint64    n_begun,
     GBytes    *saved)
{
  g_assert_not_reached ();
}

static gboolean
pull_rest (gpointer       data,
           AfrpcMapInput *input)
{
  Binding *self = data;

  input->args = g_queue_pop_head (&self->rest);
  input->n_deaths = self->n_deaths;

  return input->args != NULL;
}

static void
fail_rest (gpointer      data,
           const GError *error)
{
  Binding *self = data;

  if (self->rest.length > 0)
    self->failure = g_error_copy (error);
  g_queue_clear_full (&self->rest, (GDestroyNotify) g_variant_unref);
}

static gboolean
has_news (gpointer data)
{
  Binding *self = data;

  self->n_looked++;

  return self->sorted.length > 0;
}

static void
let_go (gpointer data)
{
}

static const AfrpcMapFuncs funcs = { pull, forget, sort, cut, pull_rest, fail_rest, has_news, let_go };

static void
binding_clear (Binding *self)
{
  g_queue_clear_full (&self->inputs, (GDestroyNotify) g_variant_unref);
  g_queue_clear_full (&self->rest, (GDestroyNotify) g_variant_unref);
  g_queue_clear_full (&self->sorted, (GDestroyNotify) afrpc_map_release_call);
  g_clear_error (&self->failure);
}

/* Something has come, or the end. */
typedef struct
{
  gboolean done;
  GError *error;
} News;

static void
news_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  News *news = data;
  g_autoptr(GPtrArray) none = afrpc_map_next_many_finish (AFRPC_MAP (source), result, &news->error);

  g_assert_true (none == NULL || none->len == 0);
  news->done = TRUE;
}

static void
test_parcels_rest_is_new (void)
{
  Case test;
  Meeting first, second;
  Binding binding = { 0 };
  News news = { 0 };
  g_autoptr(AfrpcMap) map = NULL;
  g_autoptr(AfrpcCall) behind = NULL;
  AfrpcPoolCore *core;
  guint64 n_moves;
  guint n = 0;

  g_test_summary ("What goes on with something that has run for long has not run for long itself");
  meeting_init (&first);
  meeting_init (&second);
  case_init (&test, "act", "max-workers", 2, "load", 2, "start-delay-ms", G_MAXINT, NULL);
  core = test.pool->core;
  g_queue_push_tail (&binding.inputs, meet (&first));
  g_queue_push_tail (&binding.rest, meet (&second));
  map = afrpc_pool_map_parcels (test.pool, &funcs, &binding, NULL, NULL, NULL);
  afrpc_map_next_many_async (map, 1, NULL, news_cb, &news);
  wait_begun (&test, 1);
  afrpc_caller_call (caller_of (&test), test_act ("return", NULL), NULL, count_value_cb, &n);
  afrpc_pool_watch_look (core, g_get_monotonic_time ());
  /* Nobody else is there, so nobody is looked for meanwhile. */
  afrpc_pool_set_max_workers (test.pool, 1);
  meeting_let_go (&first);
  wait_begun (&test, 2);
  iterate_until_count (&n, 1);
  behind = start_act (&test, "return", NULL);
  afrpc_pool_set_max_workers (test.pool, 2);
  n_moves = core->figures.n_moves;
  afrpc_pool_watch_look (core, g_get_monotonic_time ());
  g_assert_cmpuint (core->figures.n_moves, ==, n_moves);
  afrpc_pool_watch_look (core, g_get_monotonic_time ());
  g_assert_cmpuint (core->figures.n_moves, ==, n_moves + 1);
  meeting_let_go (&second);
  g_variant_unref (wait_value (behind));
  while (binding.sorted.length < 2)
    g_main_context_iteration (NULL, TRUE);
  test_iterate_until (&news.done);
  g_assert_no_error (news.error);
  g_clear_object (&map);
  g_clear_object (&behind);
  binding_clear (&binding);
  case_end (&test);
  meeting_end (&first);
  meeting_end (&second);
}

static void
test_parcels_context_gone (void)
{
  GMainContext *context = g_main_context_new ();
  Case test;
  Binding binding = { 0 };
  News news = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcCall) given = NULL;
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("What cannot be called for again because the main context has gone fails as that");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, "load", 1, NULL);
  given = start_act (&test, "until-cancelled", NULL);
  g_queue_push_tail (&binding.inputs, test_act ("return", NULL));
  g_queue_push_tail (&binding.rest, g_variant_ref_sink (test_act ("return", NULL)));
  map = afrpc_pool_map_parcels (test.pool, &funcs, &binding, NULL, NULL, NULL);
  afrpc_map_next_many_async (map, 1, cancellable, news_cb, &news);
  while (test.n_events == 0)
    g_main_context_iteration (context, TRUE);
  /* Who waits has a reference to the context. */
  g_cancellable_cancel (cancellable);
  while (!news.done)
    g_main_context_iteration (context, TRUE);
  g_assert_error (news.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_true (afrpc_call_is_settled (given));
  g_assert_cmpuint (binding.sorted.length, ==, 1);
  g_assert_error (binding.failure, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_finalize_object (g_steal_pointer (&map));
  g_clear_object (&given);
  g_clear_error (&news.error);
  binding_clear (&binding);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_parcels_context_gone_given (void)
{
  GMainContext *context = g_main_context_new ();
  Case test;
  Binding binding = { 0 };
  News news = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcMap) map = NULL;

  g_test_summary ("What a worker has of a map is let go of with the main context");
  g_main_context_push_thread_default (context);
  case_init (&test, "act", "max-workers", 1, NULL);
  g_queue_push_tail (&binding.inputs, test_act ("until-cancelled", NULL));
  map = afrpc_pool_map_parcels (test.pool, &funcs, &binding, NULL, NULL, NULL);
  afrpc_map_next_many_async (map, 1, cancellable, news_cb, &news);
  while (test.n_events == 0)
    g_main_context_iteration (context, TRUE);
  g_cancellable_cancel (cancellable);
  while (!news.done)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  g_assert_cmpuint (binding.sorted.length, ==, 1);
  g_assert_finalize_object (g_steal_pointer (&map));
  g_clear_error (&news.error);
  binding_clear (&binding);
  g_assert_finalize_object (test.pool);
  g_ptr_array_unref (test.errors);
}

static void
test_parcels_killed (void)
{
  Case test;
  Meeting meeting;
  Binding binding = { .n_deaths = 1 };
  News news = { 0 };
  g_autoptr(AfrpcMap) map = NULL;
  AfrpcCall *rest;

  g_test_summary ("What has run, and cannot be called for again because the pool was killed, is not said not to have started");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, NULL);
  g_queue_push_tail (&binding.inputs, meet (&meeting));
  g_queue_push_tail (&binding.rest, test_act ("return", NULL));
  map = afrpc_pool_map_parcels (test.pool, &funcs, &binding, NULL, NULL, NULL);
  afrpc_map_next_many_async (map, 1, NULL, news_cb, &news);
  wait_begun (&test, 1);
  afrpc_caller_kill (caller_of (&test));
  while (binding.sorted.length < 2 && binding.failure == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_no_error (binding.failure);
  rest = g_queue_peek_tail (&binding.sorted);
  {
    g_autoptr(GError) error = wait_error (rest);

    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
    g_assert_cmpint (afrpc_call_get_started (rest), ==, AFRPC_STARTED_YES);
  }
  test_iterate_until (&news.done);
  g_clear_error (&news.error);
  g_clear_object (&map);
  binding_clear (&binding);
  meeting_let_go (&meeting);
  case_end (&test);
  meeting_end (&meeting);
}

/* Returns: how often that many maps, each with one call and somebody who waits for it, were looked at until all had it */
static guint
count_looks (guint n_maps,
             guint max_calls_queued)
{
  Case test;
  Meeting meeting;
  Binding *bindings = g_new0 (Binding, n_maps);
  AfrpcMap **maps = g_new0 (AfrpcMap *, n_maps);
  News *news = g_new0 (News, n_maps);
  g_autoptr(AfrpcCall) first = NULL;
  guint n_looked = 0;

  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 1, "load", 2, "max-calls-queued", max_calls_queued, NULL);
  first = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  for (guint i = 0; i < n_maps; i++)
    {
      g_queue_push_tail (&bindings[i].inputs, test_act ("return", NULL));
      maps[i] = afrpc_pool_map_parcels (test.pool, &funcs, &bindings[i], NULL, NULL, NULL);
      afrpc_map_next_many_async (maps[i], 1, NULL, news_cb, &news[i]);
    }
  meeting_let_go (&meeting);
  for (guint i = 0; i < n_maps; i++)
    {
      test_iterate_until (&news[i].done);
      g_assert_no_error (news[i].error);
      g_assert_cmpuint (bindings[i].sorted.length, ==, 1);
      n_looked += bindings[i].n_looked;
      g_clear_object (&maps[i]);
      binding_clear (&bindings[i]);
    }
  g_variant_unref (wait_value (first));
  g_clear_object (&first);
  case_end (&test);
  meeting_end (&meeting);
  g_free (bindings);
  g_free (maps);
  g_free (news);

  return n_looked;
}

static void
test_parcels_many (gconstpointer max_calls_queued)
{
  const guint limit = GPOINTER_TO_UINT (max_calls_queued);

  g_test_summary ("What is done for a map does not grow with the number of maps, whether they wait for room or not");
  g_assert_cmpuint (count_looks (400, limit), <=, 5 * count_looks (100, limit));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-parcels/rest-is-new", test_parcels_rest_is_new);
  g_test_add_func ("/pool-parcels/context-gone", test_parcels_context_gone);
  g_test_add_func ("/pool-parcels/context-gone-given", test_parcels_context_gone_given);
  g_test_add_func ("/pool-parcels/killed", test_parcels_killed);
  g_test_add_data_func ("/pool-parcels/many/with-room", GUINT_TO_POINTER (1u << 20), test_parcels_many);
  g_test_add_data_func ("/pool-parcels/many/without-room", GUINT_TO_POINTER (4), test_parcels_many);

  return g_test_run ();
}
