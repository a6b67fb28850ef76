/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose turn it is: what is told before what, and that nobody takes the turn of others. */
#include "test-util.h"

#include <signal.h>
#include <unistd.h>

#define N_EVENTS 1000u
#define N_CALLS 500u
#define BUSY_MAX (5 * N_CALLS) /* turns that another source has while their results wait */
#define PRIORITY_REDRAW (G_PRIORITY_HIGH_IDLE + 20) /* GDK's */
#define WORK_US 200 /* that a handler takes */

/* A source that is dispatched before what workers say in the same iteration. */
typedef struct
{
  GSource source;
  void (*func) (gpointer data);
  gpointer data;
} First;

static First *first;

static gboolean
first_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     data)
{
  g_source_set_ready_time (source, -1);
  first->func (first->data);

  return G_SOURCE_CONTINUE;
}

static void
at_once (void     (*func) (gpointer data),
         gpointer   data)
{
  first->func = func;
  first->data = data;
  g_source_set_ready_time (&first->source, 0);
}

static void
test_turns_late_call (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call that is made after the end, but before that is told, is settled before 'destroyed'");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy),
                                         test_act ("signal", g_variant_new_uint32 (SIGKILL)), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  outcome.log = watched.log;
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &outcome);
  test_iterate_until (&watched.destroyed);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_assert_true (g_str_has_prefix (watched.log->str, "error; result "));
  g_assert_true (g_str_has_suffix (watched.log->str, "; exited; destroyed; "));
}

/* How a worker ends while something is still to be told. */
typedef enum { END_CLOSE, END_KILL, END_DIE } End;

static void
test_turns_refused (gconstpointer end)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) oldest = { 0 };
  g_auto(Outcome) busy = { 0 };
  g_auto(Outcome) before = { 0 };
  g_auto(Outcome) after = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GCancellable) cancelled = g_cancellable_new ();
  AfrpcCaller *caller;

  g_test_summary ("Calls that were refused because there were too many, or were cancelled, are settled before 'destroyed'");
  g_cancellable_cancel (cancelled);
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  caller = AFRPC_CALLER (watched.proxy);
  oldest.log = busy.log = before.log = after.log = watched.log;
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  afrpc_proxy_set_max_calls_queued (watched.proxy, 2);
  afrpc_caller_call (caller, GPOINTER_TO_INT (end) == END_DIE ? test_act ("signal", g_variant_new_uint32 (SIGKILL))
                     : test_act ("return", NULL), NULL, outcome_cb, &oldest);
  afrpc_caller_call (caller, test_act ("return", NULL), cancellable, outcome_cb, &after);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &busy);
  afrpc_caller_call (caller, test_act ("return", NULL), cancelled, outcome_cb, &before);
  g_cancellable_cancel (cancellable);
  if (GPOINTER_TO_INT (end) == END_CLOSE)
    afrpc_caller_close (caller);
  else if (GPOINTER_TO_INT (end) == END_KILL)
    afrpc_caller_kill (caller);
  test_iterate_until (&watched.destroyed);
  g_assert_true (oldest.done && after.done && busy.done && before.done);
  g_assert_error (after.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_error (busy.error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  g_assert_error (before.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_str_has_suffix (watched.log->str, "exited; destroyed; "));
}

/* Waiting */

typedef struct
{
  Watched watched;
  Outcome waited;
  Outcome called;
} Waiting;

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Outcome *outcome = data;

  outcome->done = TRUE;
  outcome->value = afrpc_call_wait_finish (AFRPC_CALL (source), result, &outcome->error);
  g_string_append (outcome->log, "waited; ");
}

static void
wait_and_call (gpointer data)
{
  Waiting *self = data;
  AfrpcCaller *caller = AFRPC_CALLER (self->watched.proxy);
  g_autoptr(AfrpcCall) call = afrpc_caller_start (caller, test_act ("return", NULL), NULL);

  afrpc_call_wait (call, NULL, waited_cb, &self->waited);
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, outcome_cb, &self->called);
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
}

static void
test_turns_wait (void)
{
  Waiting waiting = { 0 };

  g_test_summary ("Who waits for a call gets its outcome before that of a younger one, in whatever iteration");
  watch_init (&waiting.watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_events (&waiting.watched);
  waiting.waited.log = waiting.called.log = waiting.watched.log;
  /* The event is told in the iteration in which the calls are made, and so are their results. */
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (waiting.watched.proxy),
                                           test_act ("event", g_variant_new_string ("here")), NULL, NULL));
  at_once (wait_and_call, &waiting);
  outcome_wait (&waiting.called);
  outcome_wait (&waiting.waited);
  g_assert_no_error (waiting.waited.error);
  g_assert_cmpstr (waiting.watched.log->str, ==, "event 'here'; waited; result true; ");
  outcome_clear (&waiting.waited);
  outcome_clear (&waiting.called);
  watch_clear (&waiting.watched);
}

static void
test_turns_wait_again (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) again = { 0 };
  g_auto(Outcome) vain = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A call can be waited for as often as one likes, and who stops waiting leaves it alone");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL);
  again.log = vain.log = watched.log;
  afrpc_call_wait (call, cancellable, waited_cb, &vain);
  g_cancellable_cancel (cancellable);
  outcome_wait (&vain);
  g_assert_error (vain.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&vain.error);
  vain.done = FALSE;
  afrpc_call_wait (call, cancellable, waited_cb, &vain);
  g_assert_false (vain.done);
  outcome_wait (&vain);
  g_assert_error (vain.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  value = afrpc_call_wait_sync (call, NULL, &error);
  g_assert_no_error (error);
  afrpc_call_wait (call, NULL, waited_cb, &again);
  g_assert_false (again.done);
  outcome_wait (&again);
  g_assert_true (g_variant_equal (again.value, value));
}

/* Busy neighbours */

static void
work_cb (AfrpcProxy   *proxy,
         GVariant     *event,
         AfrpcProcess *from,
         GUnixFDList  *fds,
         guint        *n)
{
  const gint64 until = g_get_monotonic_time () + WORK_US;

  while (g_get_monotonic_time () < until)
    ;
  ++*n;
}

static void
send_events (AfrpcProxy *proxy,
             guint       n_events,
             guint      *n)
{
  for (guint i = 0; i < n_events; i++)
    afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("event", g_variant_new_string ("here")), NULL, count_value_cb, n);
}

typedef struct
{
  const guint *n_events;
  guint n_events_then;
  gboolean done;
} Heard;

static void
heard_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  Heard *heard = data;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);

  g_assert_nonnull (value);
  heard->n_events_then = *heard->n_events;
  heard->done = TRUE;
}

static void
test_turns_busy (void)
{
  g_auto(Watched) busy = { 0 };
  g_auto(Watched) other = { 0 };
  g_autoptr(GSocket) socket = NULL;
  guint n_events = 0, n_results = 0;
  Heard heard = { &n_events, 0, FALSE };

  g_test_summary ("A worker that has much to tell keeps no other from being heard");
  watch_init (&busy, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  watch_init (&other, test_proxy_new_by_socket ("act", AFRPC_BACKEND_SYNC));
  g_signal_connect (busy.proxy, "event", G_CALLBACK (work_cb), &n_events);
  g_variant_unref (test_call (other.proxy, test_act ("return", NULL), NULL));
  send_events (busy.proxy, N_EVENTS, &n_results);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (busy.proxy), test_act ("return", NULL), NULL, NULL));
  g_assert_cmpuint (n_events, ==, 0);

  /* A large one is written at once: its answer is there before anything of the other worker is told. */
  afrpc_caller_call (AFRPC_CALLER (other.proxy), test_act ("return", test_zeros (10000)), NULL, heard_cb, &heard);
  g_object_get (other.proxy, "socket", &socket, NULL);
  g_assert_true (g_socket_condition_wait (socket, G_IO_IN, NULL, NULL));
  test_iterate_until (&heard.done);
  g_assert_cmpuint (heard.n_events_then, <, N_EVENTS / 2);
  while (n_results < N_EVENTS)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (n_events, ==, N_EVENTS);
}

static void
test_turns_limit (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint n_events = 0, n_results = 0;
  guint n_turns = 0;

  g_test_summary ("After a time limit that passed while there was much to tell, there is nothing left to do");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (work_cb), &n_events);
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  send_events (watched.proxy, N_EVENTS / 4, &n_results);
  test_call_with_timeout (watched.proxy, test_act ("return", NULL), 20, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  while (n_results < N_EVENTS / 4)
    g_main_context_iteration (NULL, TRUE);
  while (n_turns < 100 && g_main_context_iteration (NULL, FALSE))
    n_turns++;
  g_assert_cmpuint (n_turns, <, 100);
}

/* A source that always has something to do. */
typedef struct
{
  GSocket *socket; /* (nullable): only what comes while something waits there counts */
  const guint *n_events; /* (nullable): only what comes between the first and the last of all */
  guint n;
  guint n_results;       /* of calls that are made one after the other */
  gboolean done;         /* all of them, or far too many turns meanwhile */
} Busy;

static gboolean
busy_cb (gpointer data)
{
  Busy *busy = data;

  if ((busy->socket == NULL || (g_socket_condition_check (busy->socket, G_IO_IN) & G_IO_IN) != 0) &&
      (busy->n_events == NULL || (*busy->n_events > 0 && *busy->n_events < N_EVENTS)))
    busy->n++;
  if (busy->n > BUSY_MAX)
    busy->done = TRUE;

  return G_SOURCE_CONTINUE;
}

static void
call_again_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      data)
{
  Busy *busy = data;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);

  g_assert_nonnull (value);
  if (++busy->n_results == N_CALLS)
    busy->done = TRUE;
  else
    afrpc_caller_call (AFRPC_CALLER (source), test_act ("return", NULL), NULL, call_again_cb, data);
}

static void
test_turns_share (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GSocket) socket = NULL;
  Busy busy = { 0 };
  guint source;

  g_test_summary ("Who makes one call at a time beside a source of the same priority that is always busy gets a fair share");
  watch_init (&watched, test_proxy_new_by_socket ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  g_object_get (watched.proxy, "socket", &socket, NULL);
  busy.socket = socket;
  source = g_idle_add_full (G_PRIORITY_DEFAULT, busy_cb, &busy, NULL);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, call_again_cb, &busy);
  /* An answer may come just after the poll, and wait for the next. */
  test_iterate_until (&busy.done);
  g_assert_cmpuint (busy.n_results, ==, N_CALLS);
  g_assert_cmpuint (busy.n, <=, BUSY_MAX);
  g_source_remove (source);
  watch_end (&watched);
}

static void
test_turns_frames (void)
{
  g_auto(Watched) watched = { 0 };
  guint n_events = 0, n_results = 0, source;
  Busy frames = { .n_events = &n_events };

  g_test_summary ("What draws, at a lower priority, has turns while there is much to tell, and keeps it from nothing");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (work_cb), &n_events);
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  send_events (watched.proxy, N_EVENTS, &n_results);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, NULL));
  source = g_idle_add_full (PRIORITY_REDRAW, busy_cb, &frames, NULL);
  while (n_results < N_EVENTS)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (n_events, ==, N_EVENTS);
  /* All of it takes at least 200 ms, of which no more than a few in a row are not given away. */
  g_assert_cmpuint (frames.n, >, 5);
  g_source_remove (source);
  watch_end (&watched);
}

int
main (int   argc,
      char *argv[])
{
  GSourceFuncs funcs = { .dispatch = first_dispatch };
  int result;

  g_test_init (&argc, &argv, NULL);
  first = (First *) g_source_new (&funcs, sizeof *first);
  g_source_attach (&first->source, NULL);

  g_test_add_func ("/turns/late-call", test_turns_late_call);
  g_test_add_data_func ("/turns/refused/close", GINT_TO_POINTER (END_CLOSE), test_turns_refused);
  g_test_add_data_func ("/turns/refused/kill", GINT_TO_POINTER (END_KILL), test_turns_refused);
  g_test_add_data_func ("/turns/refused/die", GINT_TO_POINTER (END_DIE), test_turns_refused);
  g_test_add_func ("/turns/wait", test_turns_wait);
  g_test_add_func ("/turns/wait/again", test_turns_wait_again);
  g_test_add_func ("/turns/busy", test_turns_busy);
  g_test_add_func ("/turns/share", test_turns_share);
  g_test_add_func ("/turns/frames", test_turns_frames);
  g_test_add_func ("/turns/limit", test_turns_limit);

  result = g_test_run ();
  g_source_destroy (&first->source);
  g_source_unref (&first->source);

  return result;
}
