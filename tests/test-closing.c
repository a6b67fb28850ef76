/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is closed may be dropped, whatever has become of its workers by then, and whenever that is: it says that it is destroyed,
 * once and last, and goes then. */
#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <string.h>

/* What its worker does. */
typedef enum
{
  WORKER_WORKS,
  WORKER_DIES,
  WORKER_HAS_NO_FUNCTION,
  WORKER_HAS_NO_MODULE,
  WORKER_HAS_NO_HOST,
  WORKER_FAILS_INIT,
  WORKER_IN_USE, /* by another */
  WORKER_N_KINDS,
} WorkerKind;

static const char *const kinds[] = { "works", "dies", "no-function", "no-module", "no-host", "fails-init", "in-use" };

/* How it ends, and what else is done before whoever was told returns. */
typedef struct
{
  const char *name;
  gboolean kills;
  guint n_async;      /* how often it is closed by who is told of its end */
  gboolean runs_loop; /* afterwards */
  gboolean in_loop;   /* it ends in one that is run for that */
} How;

static const How hows[] = {
  { "close" },
  { "kill", .kills = TRUE },
  { "close-async", .n_async = 1 },
  { "close-async-twice", .n_async = 2 },
  { "close-and-run-loop", .runs_loop = TRUE },
  { "close-in-loop", .in_loop = TRUE },
  { "kill-and-run-loop", .kills = TRUE, .runs_loop = TRUE },
  { "close-async-and-run-loop", .n_async = 1, .runs_loop = TRUE },
};

/* When: before anything is done, then before the main loop runs, then when it is told one of these. */
static const char *const words[] = { "made", "called", "result", "error", "exited", "worker-ended" };

typedef struct
{
  AfrpcCaller *caller; /* (nullable) (owned): the last reference */
  GString *log;        /* what it was told, a word each */
  const How *how;
  const char *where;   /* (nullable): the word at which it acts, until it has */
  guint n_closed;      /* how often it was told that it takes no more calls */
  guint n_closed_before; /* it was destroyed */
  gboolean destroyed;
  gboolean is_gone;
} Closing;

static void tell (Closing    *self,
                  const char *word);

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      self)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error));
  g_assert_no_error (error);
  tell (self, "closed");
}

static void
close_it (Closing *self)
{
  if (self->how->kills)
    afrpc_caller_kill (self->caller);
  else if (self->how->n_async == 0)
    afrpc_caller_close (self->caller);
  for (guint i = 0; i < self->how->n_async; i++)
    afrpc_caller_close_async (self->caller, NULL, closed_cb, self);
  g_clear_object (&self->caller);
}

static gboolean
close_cb (gpointer self)
{
  close_it (self);

  return G_SOURCE_REMOVE;
}

static void
act (Closing *self)
{
  /* Unless it has been destroyed within the loop of its own. */
  if (self->how->in_loop)
    {
      g_idle_add_full (G_PRIORITY_HIGH, close_cb, self, NULL);
      while (self->caller != NULL)
        g_main_context_iteration (NULL, TRUE);
      return;
    }

  close_it (self);
  /* A pool is not destroyed before everybody was told of its last worker's end. */
  if (self->how->runs_loop && g_str_has_suffix (self->log->str, "worker-ended "))
    test_iterate_until_idle ();
  else if (self->how->runs_loop)
    while (!self->destroyed && !self->is_gone)
      g_main_context_iteration (NULL, TRUE);
}

static void
tell (Closing    *self,
      const char *word)
{
  if (self->destroyed)
    g_error ("%s was told after all: %s", word, self->log->str);
  g_string_append_printf (self->log, "%s ", word);
  if (g_strcmp0 (self->where, word) == 0)
    {
      self->where = NULL;
      act (self);
    }
}

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      self)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_true ((value != NULL) != (error != NULL));
  tell (self, "result");
}

static void
error_cb (AfrpcCaller  *caller,
          const GError *error,
          Closing      *self)
{
  tell (self, "error");
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *reason,
           Closing      *self)
{
  /* Of one that somebody else has, too. */
  if (!self->destroyed)
    tell (self, "exited");
}

static void
ended_cb (AfrpcPool       *pool,
          AfrpcPoolWorker *worker,
          AfrpcExit       *reason,
          Closing         *self)
{
  tell (self, "worker-ended");
}

/* It was never told what it was going to act at. */
static void
destroyed_cb (AfrpcCaller *caller,
              Closing     *self)
{
  tell (self, "destroyed");
  self->n_closed_before = self->n_closed;
  self->destroyed = TRUE;
  g_clear_object (&self->caller);
}

static void
gone_cb (gpointer  self,
         GObject  *object)
{
  ((Closing *) self)->is_gone = TRUE;
}

static AfrpcProcess *
make_process (WorkerKind kind)
{
  AfrpcProcess *process = afrpc_process_new_exec (kind == WORKER_HAS_NO_HOST ? "there-is-none" : NULL);

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (process, kind == WORKER_HAS_NO_MODULE ? "/nowhere/module.so" : TEST_WORKER);

  return process;
}

static AfrpcCaller *
make_caller (AfrpcProcess *process,
             WorkerKind    kind,
             gboolean      is_pool)
{
  AfrpcCaller *caller = g_object_new (is_pool ? AFRPC_TYPE_POOL : AFRPC_TYPE_PROXY,
                                      "process", process,
                                      "function", kind == WORKER_HAS_NO_FUNCTION ? "there_is_none" : "act",
                                      "init", kind == WORKER_FAILS_INIT ? "init_error" : NULL,
                                      NULL);

  if (is_pool)
    afrpc_pool_set_max_failures (AFRPC_POOL (caller), 2);

  return caller;
}

/* Whether it is told that, unless it is closed before. A pool has no worker where what workers are forked from has failed. */
static gboolean
is_word_of (const char *word,
            WorkerKind  kind,
            gboolean    is_pool)
{
  if (g_str_equal (word, "exited"))
    return !is_pool && kind != WORKER_HAS_NO_HOST && kind != WORKER_IN_USE && kind != WORKER_WORKS;
  if (g_str_equal (word, "worker-ended"))
    return is_pool && kind != WORKER_HAS_NO_HOST && kind != WORKER_HAS_NO_MODULE && kind != WORKER_WORKS;
  if (g_str_equal (word, "error"))
    return kind != WORKER_WORKS;

  return TRUE;
}

static void
run_case (WorkerKind  kind,
          const How  *how,
          const char *where,
          gboolean    is_pool)
{
  Closing closing = { .log = g_string_new (NULL), .how = how, .where = where };
  g_autoptr(AfrpcProcess) process = make_process (kind);
  g_autoptr(AfrpcProxy) other = kind == WORKER_IN_USE ? afrpc_proxy_new (process, "act") : NULL;

  g_test_message ("%s: %s at %s", kinds[kind], how->name, where);
  closing.caller = make_caller (process, kind, is_pool);
  g_object_weak_ref (G_OBJECT (closing.caller), gone_cb, &closing);
  g_signal_connect (closing.caller, "error", G_CALLBACK (error_cb), &closing);
  g_signal_connect (closing.caller, "destroyed", G_CALLBACK (destroyed_cb), &closing);
  g_signal_connect_swapped (closing.caller, "notify::closed", G_CALLBACK (test_count_cb), &closing.n_closed);
  if (is_pool)
    g_signal_connect (closing.caller, "worker-ended", G_CALLBACK (ended_cb), &closing);
  else if (kind != WORKER_IN_USE)
    g_signal_connect (process, "exited", G_CALLBACK (exited_cb), &closing);

  tell (&closing, "made");
  if (closing.caller != NULL)
    {
      GVariant *args = kind == WORKER_DIES ? test_act ("signal", g_variant_new_uint32 (SIGKILL))
                                           : test_act ("return", NULL);

      afrpc_caller_call (closing.caller, args, NULL, settled_cb, &closing);
      tell (&closing, "called");
    }
  while (!closing.is_gone)
    g_main_context_iteration (NULL, TRUE);

  g_assert_true (closing.destroyed);
  g_assert_cmpuint (closing.n_closed_before, ==, 1);
  g_assert_cmpuint (closing.n_closed, ==, 1);
  g_assert_null (closing.where);
  /* Whoever waits for that is told just before. */
  if (how->n_async == 2)
    g_assert_true (g_str_has_suffix (closing.log->str, " closed closed destroyed "));
  else if (how->n_async == 1)
    g_assert_true (g_str_has_suffix (closing.log->str, " closed destroyed "));
  else
    g_assert_true (g_str_has_suffix (closing.log->str, " destroyed "));
  if (kind != WORKER_WORKS && g_str_equal (where, "result"))
    g_assert_nonnull (strstr (closing.log->str, " error "));
  if (!is_pool && (g_str_equal (where, "result") || g_str_equal (where, "error")) &&
      is_word_of ("exited", kind, is_pool))
    g_assert_nonnull (strstr (closing.log->str, " exited "));
  g_string_free (closing.log, TRUE);

  if (other != NULL)
    afrpc_caller_close_sync (AFRPC_CALLER (other), NULL, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
run_cases (WorkerKind kind,
           gboolean   is_pool)
{
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint how = 0; how < G_N_ELEMENTS (hows); how++)
      if (is_word_of (words[i], kind, is_pool))
        run_case (kind, &hows[how], words[i], is_pool);
}

static void
test_closing_proxy (gconstpointer kind)
{
  g_test_summary ("A proxy that is closed and dropped is destroyed, once, last, and whatever has happened before");
  run_cases (GPOINTER_TO_UINT (kind), FALSE);
}

static void
test_closing_pool (gconstpointer kind)
{
  g_test_summary ("The same of a pool");
  run_cases (GPOINTER_TO_UINT (kind), TRUE);
}

static void
tell_waited_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      log)
{
  g_autoptr(AfrpcExit) reason = afrpc_process_wait_finish (AFRPC_PROCESS (source), result, NULL);

  g_assert_nonnull (reason);
  g_string_append (log, "waited ");
}

static void
wait_and_close_cb (AfrpcProxy   *proxy,
                   const GError *error,
                   Closing      *self)
{
  tell (self, "error");
  afrpc_caller_close_async (AFRPC_CALLER (proxy), NULL, closed_cb, self);
  afrpc_process_wait_async (afrpc_proxy_get_process (proxy), NULL, tell_waited_cb, self->log);
}

static void
test_closing_waits (void)
{
  Closing closing = { .log = g_string_new (NULL), .how = &hows[0] };
  g_autoptr(AfrpcProcess) process = make_process (WORKER_DIES);

  g_test_summary ("Who begins to wait for an end that has been decided is told just before others are");
  closing.caller = make_caller (process, WORKER_DIES, FALSE);
  g_signal_connect (closing.caller, "error", G_CALLBACK (wait_and_close_cb), &closing);
  g_signal_connect (process, "exited", G_CALLBACK (exited_cb), &closing);
  g_signal_connect (closing.caller, "destroyed", G_CALLBACK (destroyed_cb), &closing);
  afrpc_caller_call (closing.caller, test_act ("signal", g_variant_new_uint32 (SIGKILL)), NULL, settled_cb, &closing);
  test_iterate_until (&closing.destroyed);
  g_assert_cmpstr (closing.log->str, ==, "result error waited exited closed destroyed ");
  g_string_free (closing.log, TRUE);
}

/* Who waits and does not any more */

typedef struct
{
  guint n_told;
  guint n_cancelled;
} Told;

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Told *told = data;
  g_autoptr(AfrpcExit) reason = NULL;
  g_autoptr(GError) error = NULL;

  if (AFRPC_IS_PROCESS (source))
    reason = afrpc_process_wait_finish (AFRPC_PROCESS (source), result, &error);
  else
    afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error);
  told->n_told++;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    told->n_cancelled++;
}

static void
test_closing_cancelled (void)
{
  g_autoptr(AfrpcProcess) process = make_process (WORKER_WORKS);
  g_autoptr(AfrpcCaller) caller = make_caller (process, WORKER_WORKS, FALSE);
  g_autoptr(GCancellable) first = g_cancellable_new ();
  g_autoptr(GCancellable) second = g_cancellable_new ();
  g_autoptr(GCancellable) call = g_cancellable_new ();
  Told told = { 0 };

  g_test_summary ("All who stop waiting for an end at the same time are told so, and those who go on are told of the end");
  afrpc_caller_call (caller, test_act ("until-cancelled", NULL), call, NULL, NULL);
  for (guint i = 0; i < 7; i++)
    {
      GCancellable *cancellable = i % 3 == 0 ? first : i % 3 == 1 ? second : NULL;

      afrpc_process_wait_async (process, cancellable, told_cb, &told);
      afrpc_caller_close_async (caller, cancellable, told_cb, &told);
    }
  g_main_context_iteration (NULL, FALSE);
  g_cancellable_cancel (second);
  g_cancellable_cancel (first);
  while (told.n_told < 10)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (told.n_cancelled, ==, 10);
  g_cancellable_cancel (call);
  while (told.n_told < 14)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (told.n_cancelled, ==, 10);
}

/* Who is notified of it runs a main loop to the end, and drops what it is called for. */

static void
drop_notified_cb (AfrpcCaller *caller,
                  GParamSpec  *pspec,
                  Closing     *self)
{
  while (!self->destroyed)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_closing_notified (gconstpointer is_pool)
{
  static const char *const names[] = { "close", "close-async", "close-sync", "kill" };

  g_test_summary ("Who is notified that it is closed may see it destroyed, after who waits for that, and drop it");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      Closing closing = { .log = g_string_new (NULL), .how = &hows[0] };
      g_autoptr(AfrpcProcess) process = make_process (WORKER_WORKS);

      g_test_message ("%s", names[i]);
      closing.caller = make_caller (process, WORKER_WORKS, is_pool != NULL);
      g_object_weak_ref (G_OBJECT (closing.caller), gone_cb, &closing);
      g_signal_connect (closing.caller, "notify::closed", G_CALLBACK (drop_notified_cb), &closing);
      g_signal_connect (closing.caller, "destroyed", G_CALLBACK (destroyed_cb), &closing);
      switch (i)
        {
        case 0: afrpc_caller_close (closing.caller); break;
        case 1: afrpc_caller_close_async (closing.caller, NULL, closed_cb, &closing); break;
        case 2: g_assert_true (afrpc_caller_close_sync (closing.caller, NULL, NULL)); break;
        default: afrpc_caller_kill (closing.caller); break;
        }
      test_iterate_until (&closing.is_gone);
      g_assert_cmpstr (closing.log->str, ==, i == 1 ? "closed destroyed " : "destroyed ");
      g_string_free (closing.log, TRUE);
    }
}

static void
close_again_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      self)
{
  closed_cb (source, result, self);
  afrpc_caller_close_async (AFRPC_CALLER (source), NULL, closed_cb, self);
}

static void
test_closing_again (gconstpointer is_pool)
{
  Closing closing = { .log = g_string_new (NULL), .how = &hows[0] };
  g_autoptr(AfrpcProcess) process = make_process (WORKER_WORKS);

  g_test_summary ("Who waits again when he is told is told before others are, too");
  closing.caller = make_caller (process, WORKER_WORKS, is_pool != NULL);
  g_signal_connect (closing.caller, "destroyed", G_CALLBACK (destroyed_cb), &closing);
  afrpc_caller_close_async (closing.caller, NULL, close_again_cb, &closing);
  test_iterate_until (&closing.destroyed);
  g_assert_cmpstr (closing.log->str, ==, "closed closed destroyed ");
  g_string_free (closing.log, TRUE);
}

static gpointer
context_thread (gpointer data)
{
  GMainContext *context = g_main_context_new ();
  Closing closing = { .log = g_string_new (NULL), .how = &hows[0] };
  AfrpcProcess *process;

  g_main_context_push_thread_default (context);
  process = make_process (WORKER_DIES);
  closing.caller = make_caller (process, WORKER_DIES, FALSE);
  g_object_weak_ref (G_OBJECT (closing.caller), gone_cb, &closing);
  g_object_unref (process);
  if (GPOINTER_TO_INT (data) == 0)
    close_it (&closing);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  /* And what is closed once its context has gone. */
  if (closing.caller != NULL)
    {
      g_assert_false (closing.is_gone);
      close_it (&closing);
    }
  g_assert_true (closing.is_gone);
  g_string_free (closing.log, TRUE);

  return NULL;
}

static void
test_closing_context (void)
{
  g_test_summary ("Nobody is kept by a main context that has gone");
  g_thread_join (g_thread_new ("before", context_thread, GINT_TO_POINTER (0)));
  g_thread_join (g_thread_new ("after", context_thread, GINT_TO_POINTER (1)));
}

/* Somebody who comes in each iteration */

typedef struct
{
  AfrpcCaller *caller;
  guint n_waiting;
  gboolean destroyed;
} Crowd;

static void
one_closed_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      crowd)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error));
  g_assert_no_error (error);
  ((Crowd *) crowd)->n_waiting--;
}

static gboolean
come_cb (gpointer data)
{
  Crowd *self = data;

  if (self->destroyed)
    return G_SOURCE_REMOVE;

  self->n_waiting++;
  afrpc_caller_close_async (self->caller, NULL, one_closed_cb, self);

  return G_SOURCE_CONTINUE;
}

static void
crowd_destroyed_cb (Crowd *self)
{
  self->destroyed = TRUE;
}

static void
test_closing_crowd (gconstpointer is_pool)
{
  g_autoptr(AfrpcProcess) process = NULL;
  Crowd crowd = { NULL };

  g_test_summary ("An end is told although somebody begins to wait for it in each iteration of the main loop");
  /* Before the caller has sources of its own: so it is called before them. */
  g_idle_add_full (G_PRIORITY_DEFAULT, come_cb, &crowd, NULL);
  process = make_process (WORKER_WORKS);
  crowd.caller = make_caller (process, WORKER_WORKS, is_pool != NULL);
  g_signal_connect_swapped (crowd.caller, "destroyed", G_CALLBACK (crowd_destroyed_cb), &crowd);
  test_iterate_until (&crowd.destroyed);
  while (crowd.n_waiting > 0)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (crowd.caller);
}

/* Wrong threads */

typedef struct
{
  AfrpcCaller *caller;
  AfrpcProcess *process; /* (nullable): whose proxy it is */
  gboolean is_refused;
} Wrong;

static void
refused_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      wrong)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  ((Wrong *) wrong)->is_refused = TRUE;
}

static gpointer
wrong_thread (gpointer data)
{
  Wrong *wrong = data;
  g_autoptr(GError) error = NULL;

  afrpc_caller_close (wrong->caller);
  afrpc_caller_close_async (wrong->caller, NULL, refused_cb, wrong);
  g_assert_false (afrpc_caller_close_sync (wrong->caller, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_clear_error (&error);
  afrpc_caller_kill (wrong->caller);
  if (wrong->process != NULL)
    {
      g_assert_null (afrpc_process_wait_sync (wrong->process, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      afrpc_process_kill (wrong->process, SIGKILL);
    }

  return NULL;
}

static void
test_closing_wrong_thread (gconstpointer is_pool)
{
  const guint n_refused = is_pool != NULL ? 4 : 6;
  g_autoptr(AfrpcProcess) process = make_process (WORKER_WORKS);
  Wrong wrong = { make_caller (process, WORKER_WORKS, is_pool != NULL), is_pool != NULL ? NULL : process, FALSE };
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  gboolean is_closed;

  g_test_summary ("What is closed or killed from another thread goes on as it was, and the program is told, each time");
  g_assert_true (g_main_context_acquire (NULL));
  for (guint i = 0; i < n_refused; i++)
    g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*: another thread runs the main context*");
  g_thread_join (g_thread_new ("wrong", wrong_thread, &wrong));
  g_test_assert_expected_messages ();
  g_main_context_release (NULL);
  test_iterate_until (&wrong.is_refused);

  g_object_get (wrong.caller, "closed", &is_closed, NULL);
  g_assert_false (is_closed);
  value = afrpc_caller_call_sync (wrong.caller, test_act ("return", NULL), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (afrpc_caller_close_sync (wrong.caller, NULL, &error));
  g_object_unref (wrong.caller);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint kind = 0; kind < WORKER_N_KINDS; kind++)
    {
      g_autofree char *proxy = g_strdup_printf ("/closing/proxy/%s", kinds[kind]);
      g_autofree char *pool = g_strdup_printf ("/closing/pool/%s", kinds[kind]);

      g_test_add_data_func (proxy, GUINT_TO_POINTER (kind), test_closing_proxy);
      if (kind != WORKER_IN_USE)
        g_test_add_data_func (pool, GUINT_TO_POINTER (kind), test_closing_pool);
    }
  g_test_add_func ("/closing/waits", test_closing_waits);
  g_test_add_func ("/closing/cancelled", test_closing_cancelled);
  g_test_add_data_func ("/closing/notified/proxy", NULL, test_closing_notified);
  g_test_add_data_func ("/closing/notified/pool", GINT_TO_POINTER (TRUE), test_closing_notified);
  g_test_add_data_func ("/closing/again/proxy", NULL, test_closing_again);
  g_test_add_data_func ("/closing/again/pool", GINT_TO_POINTER (TRUE), test_closing_again);
  g_test_add_func ("/closing/context", test_closing_context);
  g_test_add_data_func ("/closing/crowd/proxy", NULL, test_closing_crowd);
  g_test_add_data_func ("/closing/crowd/pool", GINT_TO_POINTER (TRUE), test_closing_crowd);
  g_test_add_data_func ("/closing/wrong-thread/proxy", NULL, test_closing_wrong_thread);
  g_test_add_data_func ("/closing/wrong-thread/pool", GINT_TO_POINTER (TRUE), test_closing_wrong_thread);

  return g_test_run ();
}
