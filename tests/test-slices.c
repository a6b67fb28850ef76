/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Large messages that arrive do not hold the main loop, of programs and of workers: it goes round once a slice. */
#include "test-util.h"

#include <signal.h>

#include "json/afrpc-json.h"
#include "variant-check.h"

#define MODULE (g_getenv ("AFRPC_TEST_SERIALISER_WORKER"))

#define N_ELEMENTS 8000

static AfrpcProxy *
proxy_new (const char   *function,
           AfrpcBackend  backend,
           const char   *serialiser_name) /* (nullable) */
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcSerialiser) serialiser = serialiser_name != NULL ? afrpc_serialiser_lookup (serialiser_name) : NULL;

  afrpc_process_require (process, MODULE);
  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, "serialiser",
                       serialiser, NULL);
}

/* Of many elements. */
static GVariant *
make_value (const char *element,
            guint       n)
{
  g_autoptr(GVariant) parsed = g_variant_ref_sink (g_variant_new_parsed (element));
  g_autofree GVariant **elements = g_new (GVariant *, n);

  for (guint i = 0; i < n; i++)
    elements[i] = parsed;

  return g_variant_ref_sink (g_variant_new_array (NULL, elements, n));
}

static GVariant *
make_large (void)
{
  return make_value ("<{'a': <(1, 'text')>}>", N_ELEMENTS);
}

/* How many slices the value takes as JSON. */
static guint
count_slices (GVariant *value)
{
  g_autofree char *text = afrpc_json_encode (value, AFRPC_JSON_TYPED);
  g_autoptr(AfrpcJsonDecoder) decoder = afrpc_json_decoder_new (text, strlen (text), NULL);
  g_autoptr(GVariant) back = NULL;
  guint n = 1;

  while (afrpc_json_decoder_step (decoder, AFRPC_JSON_SLICE, &back, NULL) == 0)
    n++;
  g_assert_nonnull (back);

  return n;
}

/* Runs the main loop until @flag, and counts how often that goes round with something to do. */
static guint
count_turns (gboolean *flag)
{
  guint n = 0;

  while (!*flag)
    n += g_main_context_iteration (NULL, TRUE);

  return n;
}

static void
test_slices_result (void)
{
  AfrpcProxy *proxy = proxy_new ("echo", AFRPC_BACKEND_SYNC, "json");
  g_autoptr(GVariant) value = make_large ();
  const guint n_slices = count_slices (value);
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint n_turns;

  g_test_summary ("The main loop goes round once for each slice of a result that is unpacked");
  watch_init (&watched, proxy);
  afrpc_caller_call (AFRPC_CALLER (proxy), value, NULL, outcome_cb, &outcome);
  n_turns = count_turns (&outcome.done);
  g_assert_no_error (outcome.error);
  variant_assert_same (outcome.value, value);
  g_test_message ("%u slices, %u turns", n_slices, n_turns);
  g_assert_cmpuint (n_slices, >, 30);
  g_assert_cmpuint (n_turns, >=, n_slices);
  watch_end (&watched);
}

static void
test_slices_value (void)
{
  AfrpcProxy *proxy = proxy_new ("echo", AFRPC_BACKEND_SYNC, NULL);
  /* Strings that take 5 bytes each with their offset, and 64 units of work. */
  g_autoptr(GVariant) value = make_value ("''", 400000);
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint n_turns;

  g_test_summary ("The same of a result that is looked at only");
  watch_init (&watched, proxy);
  afrpc_caller_call (AFRPC_CALLER (proxy), value, NULL, outcome_cb, &outcome);
  n_turns = count_turns (&outcome.done);
  g_assert_no_error (outcome.error);
  variant_assert_same (outcome.value, value);
  g_assert_cmpuint (n_turns, >=, 400000 * 64 / (1 << 20));
  watch_end (&watched);
}

/* What the text says in the end, of what was told in order. */
static void
add_event (AfrpcCaller  *caller,
           GVariant     *event,
           AfrpcProcess *from,
           GUnixFDList  *fds,
           gpointer      log)
{
  if (g_variant_is_of_type (event, G_VARIANT_TYPE_STRING))
    g_string_append_printf (log, "%s ", g_variant_get_string (event, NULL));
  else
    g_string_append_printf (log, "%" G_GSIZE_FORMAT " ", g_variant_n_children (event));
}

static void
test_slices_order (void)
{
  static const char *const names[] = { NULL, "json" };

  g_test_summary ("What comes behind something large waits for it, and what blocks the thread does not");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint n_before = 0; n_before < 60; n_before += 7)
      {
        AfrpcProxy *proxy = proxy_new ("tell", AFRPC_BACKEND_SYNC, names[i]);
        g_autoptr(GVariant) value = make_large ();
        g_autoptr(GVariant) told = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) log = g_string_new (NULL);
        g_auto(Watched) watched = { 0 };
        g_auto(Outcome) outcome = { 0 };

        watch_init (&watched, proxy);
        g_signal_connect (proxy, "event", G_CALLBACK (add_event), log);
        afrpc_caller_call (AFRPC_CALLER (proxy), value, NULL, outcome_cb, &outcome);
        outcome.log = log;
        /* In the middle of it. */
        for (guint n = 0; n < n_before || log->len == 0; n++)
          g_main_context_iteration (NULL, log->len == 0);
        told = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new_string ("again"), NULL, &error);
        g_assert_no_error (error);
        g_assert_cmpstr (g_variant_get_string (told, NULL), ==, "told");
        outcome_wait (&outcome);
        watch_end (&watched);
        g_assert_cmpstr (log->str, ==, "before 8000 after result 'told'; before again after ");
      }
}

static void
test_slices_awaited (void)
{
  static const char *const names[] = { NULL, "json", "bytes" };

  g_test_summary ("Who waits for something large gets it, whenever he begins to wait");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint n_before = 0; n_before < 100; n_before += 9)
      {
        AfrpcProxy *proxy = proxy_new ("echo", AFRPC_BACKEND_SYNC, names[i]);
        g_autoptr(GVariant) value = i < 2 ? make_large () : make_value ("'text'", 100000);
        g_autoptr(AfrpcCall) call = NULL;
        g_autoptr(GVariant) back = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(Watched) watched = { 0 };

        watch_init (&watched, proxy);
        call = afrpc_caller_start (AFRPC_CALLER (proxy), value, NULL);
        for (guint n = 0; n < n_before; n++)
          g_main_context_iteration (NULL, FALSE);
        back = afrpc_call_wait_sync (call, NULL, &error);
        g_assert_no_error (error);
        variant_assert_same (back, value);
        watch_end (&watched);
      }
}

static void
test_slices_end (void)
{
  g_test_summary ("A worker that dies, and a proxy that is dropped, in the middle of something large that has arrived");
  for (guint n_before = 0; n_before < 60; n_before += 5)
    for (guint how = 0; how < 4; how++)
      {
        g_autoptr(AfrpcProxy) proxy = proxy_new ("echo", AFRPC_BACKEND_SYNC, how % 2 == 0 ? "json" : NULL);
        g_autoptr(GVariant) value = make_large ();
        g_auto(Outcome) outcome = { 0 };

        afrpc_caller_call (AFRPC_CALLER (proxy), value, NULL, outcome_cb, &outcome);
        for (guint n = 0; n < n_before; n++)
          g_main_context_iteration (NULL, !outcome.done);
        if (how < 2)
          afrpc_caller_kill (AFRPC_CALLER (proxy));
        else
          g_clear_object (&proxy);
        outcome_wait (&outcome);
        if (how < 2 && outcome.error != NULL)
          g_assert_null (outcome.value);
        else
          {
            g_assert_no_error (outcome.error);
            variant_assert_same (outcome.value, value);
          }
      }
}

/* How often the main loop of the worker has gone round. */
static guint
ask_turns (AfrpcProxy *proxy)
{
  g_autoptr(GVariant) turns = test_call (proxy, g_variant_new_string ("turns"), NULL);

  return g_variant_get_uint32 (turns);
}

static void
test_slices_worker (void)
{
  g_autoptr(GVariant) value = make_large ();
  g_autoptr(GVariant) strings = make_value ("''", 400000);

  g_test_summary ("The main loop of an async worker goes round once for each slice of what it is called with");
  for (guint i = 0; i < 2; i++)
    {
      AfrpcProxy *proxy = proxy_new ("turns_async", AFRPC_BACKEND_ASYNC, i == 0 ? "json" : NULL);
      const guint n_slices = i == 0 ? count_slices (value) : 400000 * 64 / (1 << 20);
      const guint before = ask_turns (proxy);
      g_autoptr(GVariant) back = test_call (proxy, i == 0 ? value : strings, NULL);
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, proxy);
      variant_assert_same (back, i == 0 ? value : strings);
      g_assert_cmpuint (ask_turns (proxy) - before, >=, n_slices);
      watch_end (&watched);
    }
}

static void
test_slices_worker_many (void)
{
  const guint n_calls = 30;

  g_test_summary ("Calls of an async worker are answered in order, large ones and small ones, until it is closed");
  for (guint i = 0; i < 3; i++)
    {
      AfrpcProxy *proxy = proxy_new ("echo_async", AFRPC_BACKEND_ASYNC, i == 0 ? NULL : "json");
      g_autoptr(GVariant) value = make_value ("<{'a': <1>}>", 2000);
      g_autoptr(GVariant) small = g_variant_ref_sink (g_variant_new_uint32 (1));
      g_auto(Watched) watched = { 0 };
      Outcome outcomes[30] = { 0 };

      watch_init (&watched, proxy);
      for (guint j = 0; j < n_calls; j++)
        afrpc_caller_call (AFRPC_CALLER (proxy), j % 3 == 0 ? value : small, NULL, outcome_cb, &outcomes[j]);
      if (i == 2)
        afrpc_caller_close (AFRPC_CALLER (proxy));
      for (guint j = 0; j < n_calls; j++)
        {
          outcome_wait (&outcomes[j]);
          g_assert_no_error (outcomes[j].error);
          variant_assert_same (outcomes[j].value, j % 3 == 0 ? value : small);
          g_assert_false (j + 1 < n_calls && outcomes[j + 1].done && !outcomes[j].done);
          outcome_clear (&outcomes[j]);
        }
      watch_end (&watched);
    }
}

#define N_MANY 50000u

typedef struct
{
  guint n_failed;
  guint n_most; /* in one iteration */
} Many;

static void
failed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_assert_null (afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, NULL, NULL));
  ((Many *) data)->n_failed++;
}

static void
wait_failed (Many *many)
{
  while (many->n_failed < N_MANY)
    {
      const guint n_before = many->n_failed;

      g_main_context_iteration (NULL, TRUE);
      many->n_most = MAX (many->n_most, many->n_failed - n_before);
    }
  g_test_message ("in one iteration %u of %u", many->n_most, N_MANY);
  /* A machine that is slow, or stands still for a while, does fewer in the time that an iteration has. */
  g_assert_cmpuint (many->n_most, <, N_MANY / 4);
}

/* Begins very many calls, which a worker that is stopped is not going to answer. */
static void
begin_many (Watched          *watched,
            AfrpcCallOptions *options,
            GCancellable    **cancellables, /* (nullable) */
            Many             *many)
{
  watch_init (watched, proxy_new ("echo", AFRPC_BACKEND_SYNC, NULL));
  g_variant_unref (test_call (watched->proxy, g_variant_new_boolean (TRUE), NULL));
  kill (afrpc_process_get_pid (afrpc_proxy_get_process (watched->proxy)), SIGSTOP);
  for (guint i = 0; i < N_MANY; i++)
    afrpc_caller_call_full (AFRPC_CALLER (watched->proxy), g_variant_new_boolean (TRUE), options,
                            cancellables != NULL ? cancellables[i] : NULL, failed_cb, many);
}

static void
test_slices_timeouts (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_auto(Watched) watched = { 0 };
  Many many = { 0 };

  g_test_summary ("Very many calls whose time is over at once do not hold the main loop");
  afrpc_call_options_set_timeout_ms (options, 1);
  begin_many (&watched, options, NULL, &many);
  wait_failed (&many);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
}

static gpointer
cancel_many_thread (gpointer cancellables)
{
  for (guint i = 0; i < N_MANY; i++)
    g_cancellable_cancel (((GCancellable **) cancellables)[i]);

  return NULL;
}

static void
test_slices_cancelled (void)
{
  GCancellable **cancellables = g_new (GCancellable *, N_MANY);
  g_auto(Watched) watched = { 0 };
  Many many = { 0 };

  g_test_summary ("Very many calls that another thread cancels do not hold the main loop");
  for (guint i = 0; i < N_MANY; i++)
    cancellables[i] = g_cancellable_new ();
  begin_many (&watched, NULL, cancellables, &many);
  g_thread_join (g_thread_new ("cancel", cancel_many_thread, cancellables));
  wait_failed (&many);
  for (guint i = 0; i < N_MANY; i++)
    g_object_unref (cancellables[i]);
  g_free (cancellables);
  afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
}

#define N_PROCESSES 64

static void
test_slices_processes (void)
{
  AfrpcProxy *proxies[N_PROCESSES];
  guint n_begun, n_between = 0;

  g_test_summary ("Many processes that are executed do not hold the main loop");
  for (guint i = 0; i < N_PROCESSES; i++)
    proxies[i] = proxy_new ("echo", AFRPC_BACKEND_SYNC, NULL);
  do
    {
      g_main_context_iteration (NULL, TRUE);
      n_begun = 0;
      for (guint i = 0; i < N_PROCESSES; i++)
        n_begun += afrpc_process_get_pid (afrpc_proxy_get_process (proxies[i])) != 0;
      n_between += n_begun > 0 && n_begun < N_PROCESSES;
    }
  while (n_begun < N_PROCESSES);
  g_assert_cmpuint (n_between, >, 0);
  for (guint i = 0; i < N_PROCESSES; i++)
    {
      afrpc_caller_close_sync (AFRPC_CALLER (proxies[i]), NULL, NULL);
      g_object_unref (proxies[i]);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/slices/result", test_slices_result);
  g_test_add_func ("/slices/value", test_slices_value);
  g_test_add_func ("/slices/order", test_slices_order);
  g_test_add_func ("/slices/awaited", test_slices_awaited);
  g_test_add_func ("/slices/end", test_slices_end);
  g_test_add_func ("/slices/timeouts", test_slices_timeouts);
  g_test_add_func ("/slices/cancelled", test_slices_cancelled);
  g_test_add_func ("/slices/processes", test_slices_processes);
  g_test_add_func ("/slices/worker", test_slices_worker);
  g_test_add_func ("/slices/worker-many", test_slices_worker_many);

  return g_test_run ();
}
