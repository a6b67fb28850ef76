/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values that travel through serialisers, afrpc's own and others, to whole workers and back. */
#include "test-util.h"

#include <glib/gstdio.h>
#include <string.h>

#include "odd-serialiser.h"
#include "random-variant.h"
#include "variant-check.h"

#define MODULE (g_getenv ("AFRPC_TEST_SERIALISER_WORKER"))

static AfrpcProxy *
proxy_new (const char      *function,
           AfrpcBackend     backend,
           const char      *init,
           AfrpcSerialiser *serialiser)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autofree char *name = g_strconcat (function, backend == AFRPC_BACKEND_ASYNC ? "_async" : NULL, NULL);

  afrpc_process_require (process, MODULE);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  if (g_strcmp0 (init, "init_plain") == 0)
    afrpc_process_send_arg (process, g_variant_new_string ("(si)"));

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", name, "backend", backend, "init", init,
                       "serialiser", serialiser, NULL);
}

static AfrpcProxy *
named_proxy_new (const char   *function,
                 AfrpcBackend  backend,
                 const char   *name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_assert_nonnull (serialiser);
  return proxy_new (function, backend, NULL, serialiser);
}

static AfrpcProxy *
odd_proxy_new (const char    *function,
               AfrpcBackend   backend,
               OddSerialiser *odd)
{
  odd->thread = g_thread_self ();
  return proxy_new (function, backend, "init_odd", AFRPC_SERIALISER (odd));
}

static void
end (AfrpcProxy *proxy)
{
  g_auto(Watched) watched = { 0 };

  watch_init (&watched, proxy);
  watch_end (&watched);
  g_assert_no_error (watched.error);
}

typedef struct
{
  guint n_made;
  guint n_done;
  guint n_calls;
  gboolean all_done;
  const char *name;
  AfrpcProxy *proxy;
} Flood;

typedef struct
{
  Flood *flood;
  GVariant *value;
} FloodCall;

static void flood_call (Flood *flood);

static void
flood_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  FloodCall *call = data;
  Flood *flood = call->flood;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) back = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  variant_assert_same (call->value, back);
  g_variant_unref (call->value);
  g_free (call);

  flood->all_done = ++flood->n_done == flood->n_calls;
  if (flood->n_made < flood->n_calls)
    flood_call (flood);
}

static void
flood_call (Flood *flood)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  FloodCall *call = g_new (FloodCall, 1);

  flood->n_made++;
  call->flood = flood;
  call->value = random_serialisable (rand, flood->name);
  afrpc_caller_call (AFRPC_CALLER (flood->proxy), call->value, NULL, flood_cb, call);
}

static void
test_serialiser_worker_random (gconstpointer name)
{
  Flood flood = { .name = name, .n_calls = g_test_slow () ? 100000 : 10000 };

  g_test_summary ("Random values go to a worker and come back exactly, in both backends");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      flood.n_made = flood.n_done = 0;
      flood.all_done = FALSE;
      flood.proxy = named_proxy_new ("echo", backend, name);
      while (flood.n_made < 256)
        flood_call (&flood);
      test_iterate_until (&flood.all_done);
      end (flood.proxy);
    }
}

static void
test_serialiser_call_sync (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_test_summary ("A blocking call is serialised like any other");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_autoptr(AfrpcProxy) proxy = named_proxy_new ("echo", backend, name);
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed ("('a', b'\\377')"));
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) back = afrpc_caller_call_sync (AFRPC_CALLER (proxy), value, NULL, &error);

      g_assert_no_error (error);
      variant_assert_same (value, back);
      g_assert_true (afrpc_proxy_get_serialiser (proxy) == serialiser);
      end (g_steal_pointer (&proxy));
    }
}

static void
test_serialiser_odd (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  guint n_calls = 0;

  g_test_summary ("One that the init function registers is used on both sides, and in the proxy's thread alone");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = odd_proxy_new ("echo", backend, odd);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = test_call (proxy, g_variant_new_parsed ("(1, <'b'>)"), &error);
      g_autofree char *text = NULL;

      g_assert_no_error (error);
      text = g_variant_print (value, FALSE);
      g_assert_cmpstr (text, ==, "(1, <'b'>)");
      n_calls += 2;
      g_assert_cmpuint (odd->n_calls, ==, n_calls);
      end (proxy);
    }
}

static gpointer
thread_main (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  test_serialiser_odd ();
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_serialiser_other_thread (void)
{
  g_test_summary ("A proxy in another thread, with a context of its own, has its values serialised there");
  g_thread_join (g_thread_new (NULL, thread_main, NULL));
}

static void
check_refused (AfrpcProxy *proxy,
               int         code,
               const char *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  watch_init (&watched, proxy);
  watch_events (&watched);
  value = test_call (proxy, g_variant_new_string ("a"), &error);
  g_assert_error (error, AFRPC_ERROR, code);
  g_assert_nonnull (strstr (error->message, words));
  watch_end (&watched);
  g_assert_error (watched.error, AFRPC_ERROR, code);
  g_assert_cmpuint (watched.n_events, ==, 0);
}

static void
test_serialiser_unknown (void)
{
  g_autoptr(OddSerialiser) unknown = odd_serialiser_new ("unheard-of", "parent");
  g_autoptr(OddSerialiser) nameless = odd_serialiser_new (NULL, "parent");
  g_autoptr(OddSerialiser) false_json = odd_serialiser_new ("json", "parent");

  g_test_summary ("A name that the worker does not know fails before anything runs; one that cannot be, at once");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      check_refused (proxy_new ("tell", backend, "init_odd", AFRPC_SERIALISER (unknown)), AFRPC_ERROR_SERIALISER,
                     "'unheard-of'");
      check_refused (proxy_new ("tell", backend, NULL, AFRPC_SERIALISER (nameless)), AFRPC_ERROR_SERIALISER, "no name");
      check_refused (proxy_new ("tell", backend, NULL, AFRPC_SERIALISER (false_json)), AFRPC_ERROR_SERIALISER,
                     "afrpc's own");
    }
}

static const struct
{
  const char *trick;
  const char *where;
  gboolean is_ours;   /* the domain of the error is that of afrpc */
  int code;
} tricks[] = {
  { "silence", "serialise", TRUE, AFRPC_ERROR_SERIALISER },
  { "error", "serialise", FALSE, G_FILE_ERROR_NOSPC },
  { "both", "serialise", FALSE, G_FILE_ERROR_NOSPC },
  { "silence", "deserialise", TRUE, AFRPC_ERROR_SERIALISER },
  { "error", "deserialise", FALSE, G_FILE_ERROR_NOSPC },
  { "both", "deserialise", FALSE, G_FILE_ERROR_NOSPC },
  { "malformed", "deserialise", TRUE, AFRPC_ERROR_INVALID_DATA },
  { "long", "deserialise", TRUE, AFRPC_ERROR_TOO_LARGE },
};

static void
check_trick (AfrpcProxy *proxy,
             guint       i,
             const char *side)
{
  GQuark domain = tricks[i].is_ours ? AFRPC_ERROR : G_FILE_ERROR;

  for (guint sync = 0; sync <= 1; sync++)
    {
      g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new ("(sss)", tricks[i].trick, tricks[i].where, side));
      Outcome before = { 0 }, after = { 0 };
      g_autoptr(GVariant) value = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new_int32 (1), NULL, outcome_cb, &before);
      if (sync)
        value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), args, NULL, &error);
      else
        value = test_call (proxy, args, &error);
      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new_int32 (2), NULL, outcome_cb, &after);
      outcome_wait (&before);
      outcome_wait (&after);

      if (!g_error_matches (error, domain, tricks[i].code))
        g_error ("%s in %s of the %s: %s", tricks[i].trick, tricks[i].where, side,
                 error != NULL ? error->message : "no error");
      g_assert_null (value);
      g_assert_cmpint (g_variant_get_int32 (before.value), ==, 1);
      g_assert_cmpint (g_variant_get_int32 (after.value), ==, 2);
      outcome_clear (&before);
      outcome_clear (&after);
    }
}

static void
test_serialiser_tricks (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");

  g_test_summary ("Whatever a serialiser does with one value, on either side, that call fails and no other");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = odd_proxy_new ("echo", backend, odd);

      for (guint i = 0; i < G_N_ELEMENTS (tricks); i++)
        {
          check_trick (proxy, i, "parent");
          check_trick (proxy, i, "worker");
        }
      end (proxy);
    }
}

typedef struct
{
  guint n_events;
  guint n_progress;
} Judged;

static void
judge_event (AfrpcProxy   *proxy,
             GVariant     *event,
             AfrpcProcess *from,
             GUnixFDList  *fds,
             Judged       *judged)
{
  if (judged->n_events++ == 0)
    g_assert_cmpstr (g_variant_get_string (event, NULL), ==, "trusted");
  else
    g_assert_true (variant_is_trusted (event));
}

static void
judge_progress (AfrpcCall *call,
                GVariant  *progress,
                gpointer   data)
{
  Judged *judged = data;

  judged->n_progress++;
  g_assert_true (variant_is_trusted (progress));
}

static void
check_trusted (AfrpcProxy *proxy,
               GVariant   *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) back = NULL;
  g_auto(Outcome) outcome = { 0 };
  Judged judged = { 0 };
  const gulong id = g_signal_connect (proxy, "event", G_CALLBACK (judge_event), &judged);

  test_call_with_progress (proxy, value, AFRPC_PROGRESS_ALL, judge_progress, &judged, NULL, NULL, outcome_cb,
                           &outcome);
  outcome_wait (&outcome);
  g_assert_no_error (outcome.error);
  variant_assert_same (outcome.value, value);
  g_assert_true (variant_is_trusted (outcome.value));
  g_assert_cmpuint (judged.n_events, ==, 2);
  g_assert_cmpuint (judged.n_progress, ==, 1);

  judged.n_events = 0;
  back = afrpc_caller_call_sync (AFRPC_CALLER (proxy), value, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (variant_is_trusted (back));
  while (judged.n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  g_signal_handler_disconnect (proxy, id);
}

/* One that has a few elements, or so many that it travels in other ways. */
static GVariant *
make_strings (guint n)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_STRING_ARRAY);

  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&builder, "s", "text");

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static void
test_serialiser_trusted (void)
{
  static const char *const names[] = { NULL, "json", "bytes", ODD_NAME };

  g_test_summary ("Everything that arrives is known to GLib as checked, here and in the worker, and so is walked in linear time");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
      {
        g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
        AfrpcProxy *proxy = names[i] == NULL                     ? proxy_new ("judge", backend, NULL, NULL)
                            : g_str_equal (names[i], ODD_NAME) ? odd_proxy_new ("judge", backend, odd)
                                                                 : named_proxy_new ("judge", backend, names[i]);

        for (guint n = 3; n <= 30000; n *= 100)
          {
            g_autoptr(GVariant) value = make_strings (n);

            check_trusted (proxy, value);
          }
        end (proxy);
      }
}

static void
test_serialiser_floating (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  AfrpcProxy *proxy = odd_proxy_new ("echo", AFRPC_BACKEND_SYNC, odd);
  static const char *const sides[] = { "parent", "worker" };

  g_test_summary ("A serialiser may give a floating value");
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value =
        test_call (proxy, g_variant_new ("(sss)", "floating", "deserialise", sides[i]), &error);

      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (value));
      g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "floating");
    }
  end (proxy);
}

static void
test_serialiser_events (gconstpointer name)
{
  g_test_summary ("Events travel through the serialiser, in order with results; errors do not");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_auto(Watched) watched = { 0 };
      Outcome outcome = { 0 }, failing = { 0 };

      watch_init (&watched, named_proxy_new ("tell", backend, name));
      watch_events (&watched);
      outcome.log = failing.log = watched.log;
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_parsed ("b'a'"), NULL, outcome_cb, &outcome);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_string ("fail"), NULL, outcome_cb, &failing);
      outcome_wait (&failing);
      g_assert_cmpstr (watched.log->str, ==,
                       "event 'before'; event b'a'; event 'after'; result 'told'; "
                       "event 'before'; event 'fail'; event 'after'; result as you like; ");
      g_assert_error (failing.error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
      outcome_clear (&outcome);
      outcome_clear (&failing);
    }
}

static void
test_serialiser_bad_event (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");

  g_test_summary ("An event that the program cannot read is an error of its own; one that the worker cannot send "
                  "is left out");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      GVariant *value;

      watch_init (&watched, odd_proxy_new ("tell", backend, odd));
      watch_events (&watched);
      value = test_call (watched.proxy, g_variant_new ("(sss)", "silence", "deserialise", "parent"), &error);
      g_assert_no_error (error);
      g_variant_unref (value);
      g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_assert_cmpstr (watched.log->str, ==, "event 'before'; error; event 'after'; ");

      g_string_truncate (watched.log, 0);
      value = test_call (watched.proxy, g_variant_new ("(sss)", "error", "serialise", "worker"), &error);
      g_assert_no_error (error);
      g_variant_unref (value);
      g_assert_cmpstr (watched.log->str, ==, "event 'before'; event 'after'; ");
      watch_end (&watched);
      g_assert_nonnull (strstr (afrpc_exit_get_stderr (watched.exit), "an event was not sent: no ink left"));
    }
}

static void
test_serialiser_stash (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  Outcome outcome = { 0 };
  guint n_calls;

  g_test_summary ("What arrives during a blocking call is deserialised when it is delivered, in order");
  watch_init (&watched, odd_proxy_new ("tell", AFRPC_BACKEND_SYNC, odd));
  watch_events (&watched);
  outcome.log = watched.log;
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_int32 (1), NULL, outcome_cb, &outcome);
  value = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new_int32 (2), NULL, &error);
  g_assert_no_error (error);
  n_calls = odd->n_calls;
  g_assert_cmpuint (n_calls, ==, 3);
  outcome_wait (&outcome);
  while (watched.n_events < 6)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (odd->n_calls, ==, n_calls + 7);
  g_assert_cmpstr (watched.log->str, ==, "event 'before'; event 1; event 'after'; result 'told'; "
                                         "event 'before'; event 2; event 'after'; ");
  outcome_clear (&outcome);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   log)
{
  g_autofree char *text = g_variant_print (progress, FALSE);

  g_string_append_printf (log, "progress %s; ", text);
}

static void
test_serialiser_progress (gconstpointer name)
{
  g_test_summary ("Progress travels through the serialiser");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_autoptr(GString) log = g_string_new (NULL);
      AfrpcProxy *proxy = named_proxy_new ("report", backend, name);
      Outcome outcome = { .log = log };

      test_call_with_progress (proxy, g_variant_new_string ("a"), AFRPC_PROGRESS_ALL, progress_cb, log, NULL,
                                      NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      g_assert_cmpstr (log->str, ==, "progress 'half'; progress 'a'; result 'a'; ");
      outcome_clear (&outcome);
      end (proxy);
    }
}

static void
test_serialiser_size (void)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");
  g_autofree char *quotes = g_strnfill (600, '"');
  AfrpcProxy *proxy;
  g_autoptr(GError) error = NULL;
  GVariant *value;

  g_test_summary ("A message's size is what it has when it travels; over the limit, a call fails alone");
  afrpc_process_require (process, MODULE);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "grow", "serialiser", json,
                        "max-message-size", (guint64) 1000, NULL);

  /* Each takes two in JSON. */
  g_assert_null (test_call (proxy, g_variant_new ("(su)", quotes, 1), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_clear_error (&error);
  quotes[400] = '\0';
  value = test_call (proxy, g_variant_new ("(su)", quotes, 1), &error);
  g_assert_no_error (error);
  g_variant_unref (value);
  g_assert_null (test_call (proxy, g_variant_new ("(su)", quotes, 2), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "the result of 'grow' cannot be sent"));
  g_clear_error (&error);
  value = test_call (proxy, g_variant_new ("(su)", quotes, 1), &error);
  g_assert_no_error (error);
  g_variant_unref (value);
  end (proxy);
}

static void
close_hook (gpointer proxy)
{
  afrpc_caller_close (AFRPC_CALLER (proxy));
}

static void
call_hook (gpointer data)
{
  OddSerialiser *odd = g_object_get_data (data, "odd");

  odd->hook = NULL;
  afrpc_caller_call (AFRPC_CALLER (data), g_variant_new_string ("inner"), NULL, outcome_cb, g_object_get_data (data, "outcome"));
}

static void
test_serialiser_reentrant (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  AfrpcProxy *proxy = odd_proxy_new ("echo", AFRPC_BACKEND_SYNC, odd);
  g_auto(Watched) watched = { 0 };
  Outcome inner = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("A serialiser may make calls, and close the proxy, in the middle of a call");
  /* Its end comes whenever it is closed. */
  watch_init (&watched, proxy);
  g_object_set_data (G_OBJECT (proxy), "odd", odd);
  g_object_set_data (G_OBJECT (proxy), "outcome", &inner);
  odd->hook = call_hook;
  odd->hook_data = proxy;
  value = test_call (proxy, g_variant_new_string ("outer"), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "outer");
  outcome_wait (&inner);
  g_assert_cmpstr (g_variant_get_string (inner.value, NULL), ==, "inner");
  outcome_clear (&inner);

  odd->hook = close_hook;
  g_assert_null (test_call (proxy, g_variant_new_string ("late"), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new_string ("late"), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  odd->hook = NULL;
  watch_end (&watched);
  g_assert_no_error (watched.error);
}

/* A pool with one worker, which a call ends: then it is serialised again, for a worker that it has by itself. */
typedef struct
{
  OddSerialiser *odd;
  AfrpcPool *pool;
  char *folder;
  char *path;
  AfrpcCall *call;
  guint n; /* how many calls were serialised */
  guint n_before; /* for which of them the serialiser waits for another call */
} Repeat;

static void
repeat_init (Repeat       *self,
             const char   *function,
             AfrpcBackend  backend,
             void        (*hook) (gpointer data))
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_process_require (process, MODULE);
  *self = (Repeat) { .odd = odd_serialiser_new (ODD_NAME, "parent"), .folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL) };
  self->path = g_build_filename (self->folder, "died", NULL);
  self->pool = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", function, "backend", backend, "init", "init_odd",
                             "max-workers", 1, "serialiser", self->odd, NULL);
  self->odd->hook_data = self;
  self->odd->hook = hook;
  afrpc_call_options_set_idempotent (options, TRUE);
  self->call = afrpc_caller_start (AFRPC_CALLER (self->pool), g_variant_new ("(s)", self->path), options);
}

/* Waits for the call. */
static void
repeat_clear (Repeat *self)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_sync (self->call, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (self->pool), NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (g_unlink (self->path), ==, 0);
  g_rmdir (self->folder);
  g_object_unref (self->call);
  g_object_unref (self->pool);
  g_object_unref (self->odd);
  g_free (self->path);
  g_free (self->folder);
}

/* Another call of the pool. */
static void
call_behind (Repeat *repeat)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value =
    afrpc_caller_call_sync (AFRPC_CALLER (repeat->pool), g_variant_new ("(s)", repeat->path), NULL, &error);

  g_assert_no_error (error);
}

static void
block_hook (gpointer data)
{
  Repeat *repeat = data;

  if (++repeat->n < repeat->n_before)
    return;

  repeat->odd->hook = NULL;
  call_behind (repeat);
}

static void
test_serialiser_blocks_repeated (void)
{
  Repeat repeat;

  g_test_summary ("A serialiser may wait for another call of the pool, also while one is serialised that will be its worker's only one");
  repeat_init (&repeat, "die_once", AFRPC_BACKEND_SYNC, block_hook);
  /* After the call, and one behind it, the first is serialised again. */
  repeat.n_before = 3;
  call_behind (&repeat);
  repeat_clear (&repeat);
}

static void
test_serialiser_blocks_urgent (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) urgent = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  Repeat repeat;

  g_test_summary ("So it may for one that comes before such a call, which waits");
  repeat_init (&repeat, "die_once", AFRPC_BACKEND_SYNC, block_hook);
  g_object_set (repeat.pool, "load", 1, NULL);
  repeat.n_before = 2;
  /* The first one is about to end its worker, which has not been heard of. */
  while (!g_file_test (repeat.path, G_FILE_TEST_EXISTS))
    g_main_context_iteration (NULL, FALSE);
  afrpc_call_options_set_priority (options, -1);
  urgent = afrpc_caller_start (AFRPC_CALLER (repeat.pool), g_variant_new ("(s)", repeat.path), options);
  value = afrpc_call_wait_sync (urgent, NULL, &error);
  g_assert_no_error (error);
  repeat_clear (&repeat);
}

/* Each time. */
static void
turn_hook (gpointer data)
{
  Repeat *repeat = data;

  repeat->n++;
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_serialiser_turns_repeated (void)
{
  Repeat repeat;

  g_test_summary ("A serialiser may run the main loop while such a call is serialised for a worker of its own");
  repeat_init (&repeat, "die_once_async", AFRPC_BACKEND_ASYNC, turn_hook);
  while (!afrpc_call_is_settled (repeat.call))
    {
      g_main_context_iteration (NULL, TRUE);
      g_assert_cmpuint (repeat.n, <=, 2);
    }
  repeat_clear (&repeat);
}

static gboolean
passed_cb (gpointer has_passed)
{
  *(gboolean *) has_passed = TRUE;

  return G_SOURCE_REMOVE;
}

#define STOP_DELAY_MS 1

/* It takes longer than a worker may be idle. */
static void
slow_hook (gpointer data)
{
  Repeat *repeat = data;
  gboolean has_passed = FALSE;

  repeat->n++;
  g_timeout_add (20 * STOP_DELAY_MS, passed_cb, &has_passed);
  test_iterate_until (&has_passed);
}

static void
test_serialiser_slow (void)
{
  Repeat repeat;

  g_test_summary ("A worker does not end for being idle while a call is serialised for it, however long that takes");
  repeat_init (&repeat, "die_once", AFRPC_BACKEND_SYNC, slow_hook);
  g_object_set (repeat.pool, "stop-delay-ms", STOP_DELAY_MS, NULL);
  while (!afrpc_call_is_settled (repeat.call))
    {
      g_main_context_iteration (NULL, TRUE);
      g_assert_cmpuint (repeat.n, <=, 2);
    }
  repeat_clear (&repeat);
}

static void
end_hook (gpointer pool)
{
  g_assert_true (afrpc_caller_close_sync (pool, NULL, NULL));
}

static void
destroyed_cb (AfrpcCaller *caller,
              gboolean    *is_destroyed)
{
  *is_destroyed = TRUE;
}

static void
test_serialiser_ends_pool (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  gboolean is_destroyed = FALSE;
  AfrpcPool *pool;

  g_test_summary ("A serialiser may block until its pool has ended, in the middle of a call, which fails then");
  afrpc_process_require (process, MODULE);
  pool = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "echo", "init", "init_odd", "max-workers", 1,
                       "serialiser", odd, NULL);
  g_signal_connect (pool, "destroyed", G_CALLBACK (destroyed_cb), &is_destroyed);
  value = afrpc_caller_call_sync (AFRPC_CALLER (pool), g_variant_new_string ("before"), NULL, &error);
  g_assert_no_error (error);
  odd->hook = end_hook;
  odd->hook_data = pool;
  call = afrpc_caller_start (AFRPC_CALLER (pool), g_variant_new_string ("late"), NULL);
  test_iterate_until (&is_destroyed);
  g_assert_true (afrpc_call_is_settled (call));
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  g_clear_object (&call);
  g_assert_finalize_object (pool);
}

typedef struct
{
  OddSerialiser *odd;
  GCancellable *cancellable;
  AfrpcProxy *proxy;
  Outcome outcome;
  Outcome next;
} Interruption;

/* Settles the call whose progress is being read, and makes another, which may be given its place. */
static void
interrupt_hook (gpointer data)
{
  Interruption *interruption = data;

  interruption->odd->back_hook = NULL;
  g_cancellable_cancel (interruption->cancellable);
  outcome_wait (&interruption->outcome);
  test_call_with_progress (interruption->proxy, g_variant_new_string ("next"), AFRPC_PROGRESS_ALL, progress_cb,
                                  interruption->next.log, NULL, NULL, outcome_cb, &interruption->next);
}

static void
test_serialiser_interrupted (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GString) log = g_string_new (NULL);
  Interruption interruption = { odd, cancellable, NULL, { 0 }, { 0 } };

  g_test_summary ("A serialiser may have a call settled while it reads its progress");
  interruption.proxy = odd_proxy_new ("report", AFRPC_BACKEND_SYNC, odd);
  odd->back_hook = interrupt_hook;
  odd->hook_data = &interruption;
  interruption.outcome.log = interruption.next.log = log;
  test_call_with_progress (interruption.proxy, g_variant_new_string ("a"), AFRPC_PROGRESS_ALL, progress_cb, log,
                                  NULL, cancellable, outcome_cb, &interruption.outcome);
  while (!interruption.next.done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (interruption.outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpstr (log->str, ==, "result 'report': the call was cancelled; "
                                  "progress 'half'; progress 'next'; result 'next'; ");
  outcome_clear (&interruption.outcome);
  outcome_clear (&interruption.next);
  end (interruption.proxy);
}

static void
test_serialiser_plain (void)
{
  g_autoptr(AfrpcJsonSerialiser) plain = afrpc_json_serialiser_new (G_VARIANT_TYPE ("(xs)"));

  g_test_summary ("With plain JSON each side expects a type: the worker's function gets and gives other ones");
  g_assert_cmpstr (afrpc_serialiser_get_name (AFRPC_SERIALISER (plain)), ==, "json-plain");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = proxy_new ("swap", backend, "init_plain", AFRPC_SERIALISER (plain));
      g_autoptr(GError) error = NULL;
      GVariant *value;
      g_autofree char *text = NULL;

      /* In JSON there is no difference between a tuple and an array of variants. */
      value = test_call (proxy, g_variant_new_parsed ("[<'a'>, <byte 7>]"), &error);
      g_assert_no_error (error);
      text = g_variant_print (value, TRUE);
      g_assert_cmpstr (text, ==, "(int64 7, 'a')");
      g_variant_unref (value);
      g_assert_null (test_call (proxy, g_variant_new ("(ss)", "a", "b"), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_assert_nonnull (strstr (error->message, "JSON at /1: expected an integer"));
      g_clear_error (&error);
      g_assert_null (test_call (proxy, g_variant_new ("(si)", "wrong", 1), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      end (proxy);
    }
}

static void
wait_hook (gpointer data)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_call_wait_sync (*(AfrpcCall **) data, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
}

static void
test_serialiser_waits (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  AfrpcProxy *proxy = odd_proxy_new ("echo", AFRPC_BACKEND_SYNC, odd);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("A serialiser that waits for the call whose result it unpacks is told that it cannot");
  call = afrpc_caller_start (AFRPC_CALLER (proxy), g_variant_new_string ("text"), NULL);
  odd->back_hook = wait_hook;
  odd->hook_data = &call;
  value = afrpc_call_wait_sync (call, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "text");
  odd->back_hook = NULL;
  end (proxy);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/serialiser/worker-random/variant", "variant", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/worker-random/bytes", "bytes", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/worker-random/json", "json", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/call-sync/variant", "variant", test_serialiser_call_sync);
  g_test_add_data_func ("/serialiser/call-sync/bytes", "bytes", test_serialiser_call_sync);
  g_test_add_data_func ("/serialiser/call-sync/json", "json", test_serialiser_call_sync);
  g_test_add_func ("/serialiser/odd", test_serialiser_odd);
  g_test_add_func ("/serialiser/other-thread", test_serialiser_other_thread);
  g_test_add_func ("/serialiser/unknown", test_serialiser_unknown);
  g_test_add_func ("/serialiser/tricks", test_serialiser_tricks);
  g_test_add_func ("/serialiser/trusted", test_serialiser_trusted);
  g_test_add_func ("/serialiser/floating", test_serialiser_floating);
  g_test_add_data_func ("/serialiser/events/bytes", "bytes", test_serialiser_events);
  g_test_add_data_func ("/serialiser/events/json", "json", test_serialiser_events);
  g_test_add_func ("/serialiser/bad-event", test_serialiser_bad_event);
  g_test_add_func ("/serialiser/stash", test_serialiser_stash);
  g_test_add_data_func ("/serialiser/progress/bytes", "bytes", test_serialiser_progress);
  g_test_add_data_func ("/serialiser/progress/json", "json", test_serialiser_progress);
  g_test_add_func ("/serialiser/size", test_serialiser_size);
  g_test_add_func ("/serialiser/reentrant", test_serialiser_reentrant);
  g_test_add_func ("/serialiser/ends-pool", test_serialiser_ends_pool);
  g_test_add_func ("/serialiser/blocks-repeated", test_serialiser_blocks_repeated);
  g_test_add_func ("/serialiser/blocks-urgent", test_serialiser_blocks_urgent);
  g_test_add_func ("/serialiser/slow", test_serialiser_slow);
  g_test_add_func ("/serialiser/turns-repeated", test_serialiser_turns_repeated);
  g_test_add_func ("/serialiser/interrupted", test_serialiser_interrupted);
  g_test_add_func ("/serialiser/waits", test_serialiser_waits);
  g_test_add_func ("/serialiser/plain", test_serialiser_plain);

  return g_test_run ();
}
