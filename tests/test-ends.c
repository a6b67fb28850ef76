/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a program does while it is told of an end; and what it does with what has ended, or never was. */
#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define AFRPC_INSIDE
#include "afrpc/afrpc-caller-private.h"

typedef struct _Ends Ends;

struct _Ends
{
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  GString *log;             /* what it was told, a word each */
  const char *where;        /* (nullable): the word at which it acts */
  void (*act) (Ends *self);
  gboolean destroyed;
  guint n_late;             /* calls that it made then */
  guint n_late_settled;
};

static void
tell (Ends       *self,
      const char *word)
{
  g_string_append_printf (self->log, "%s ", word);
  if (g_str_equal (word, "destroyed"))
    self->destroyed = TRUE;
  if (g_strcmp0 (self->where, word) == 0)
    {
      self->where = NULL;
      self->act (self);
    }
}

typedef struct
{
  Ends *ends;
  const char *word;
} Call;

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Call *call = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  tell (call->ends, call->word);
}

static void
late_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Ends *ends = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  ends->n_late_settled++;
}

static void
error_cb (AfrpcProxy   *proxy,
          const GError *error,
          Ends         *ends)
{
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  tell (ends, "error");
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *reason,
           Ends         *ends)
{
  tell (ends, "exited");
}

static void
destroyed_cb (AfrpcProxy *proxy,
              Ends       *ends)
{
  tell (ends, "destroyed");
}

/* Whether the words are there in their order; some may be missing. */
static gboolean
is_in_order (const char *log)
{
  const char *all = "1 2 3 error exited destroyed ";

  for (; *log != '\0'; log = strchr (log, ' ') + 1)
    {
      g_autofree char *word = g_strndup (log, strchr (log, ' ') + 1 - log);

      all = strstr (all, word);
      if (all == NULL)
        return FALSE;
      all += strlen (word);
    }

  return TRUE;
}

static void
gone_cb (gpointer  gone,
         GObject  *object)
{
  *(gboolean *) gone = TRUE;
}

/* A modal dialogue, say. */
static void
run_loop (Ends *self)
{
  test_iterate_until (&self->destroyed);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
make_call (Ends *self)
{
  self->n_late++;
  afrpc_caller_call (AFRPC_CALLER (self->proxy), test_act ("return", NULL), NULL, late_cb, self);
}

static void
make_call_and_run_loop (Ends *self)
{
  make_call (self);
  run_loop (self);
}

static void
make_blocking_call (Ends *self)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (self->proxy), test_act ("return", NULL), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
}

static void
close_sync (Ends *self)
{
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (self->proxy), NULL, NULL));
}

static void
kill_and_close (Ends *self)
{
  afrpc_caller_kill (AFRPC_CALLER (self->proxy));
  afrpc_caller_close (AFRPC_CALLER (self->proxy));
}

static void
drop (Ends *self)
{
  g_clear_object (&self->proxy);
  g_clear_object (&self->process);
}

static void
fork_it (Ends *self)
{
  g_autoptr(AfrpcProcess) child = afrpc_process_fork (self->process);
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (child, "echo");
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);
}

static const struct
{
  const char *name;
  void (*act) (Ends *self);
} acts[] = {
  { "run-loop", run_loop },
  { "call", make_call },
  { "call-and-run-loop", make_call_and_run_loop },
  { "blocking-call", make_blocking_call },
  { "close-sync", close_sync },
  { "kill", kill_and_close },
  { "drop", drop },
  { "fork", fork_it },
};

static void
test_ends_callbacks (gconstpointer data)
{
  static const char *const words[] = { "1", "2", "3", "error", "exited", "destroyed" };
  const guint which = GPOINTER_TO_UINT (data);

  g_test_summary ("Whatever a program does when it is told of a death, it is told the rest once, and in order");
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      Ends ends = { .log = g_string_new (NULL), .where = words[i], .act = acts[which].act };
      gboolean is_proxy_gone = FALSE, is_process_gone = FALSE;
      Call calls[3];

      ends.process = test_process_new ();
      ends.proxy = g_object_new (AFRPC_TYPE_PROXY, "process", ends.process, "function", "act_async",
                                 "backend", AFRPC_BACKEND_ASYNC, NULL);
      g_signal_connect (ends.proxy, "error", G_CALLBACK (error_cb), &ends);
      g_signal_connect (ends.proxy, "destroyed", G_CALLBACK (destroyed_cb), &ends);
      g_signal_connect (ends.process, "exited", G_CALLBACK (exited_cb), &ends);
      for (guint j = 0; j < G_N_ELEMENTS (calls); j++)
        {
          GVariant *args = j < 2 ? test_act ("later", g_variant_new_uint32 (G_MAXINT))
                                 : test_act ("signal", g_variant_new_uint32 (SIGKILL));

          calls[j] = (Call) { &ends, words[j] };
          afrpc_caller_call (AFRPC_CALLER (ends.proxy), args, NULL, settled_cb, &calls[j]);
        }

      g_object_weak_ref (G_OBJECT (ends.proxy), gone_cb, &is_proxy_gone);
      g_object_weak_ref (G_OBJECT (ends.process), gone_cb, &is_process_gone);

      /* Who drops a proxy is told no more by it than its calls need. */
      test_iterate_until (acts[which].act == drop ? &is_process_gone : &ends.destroyed);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      if (acts[which].act != drop)
        g_assert_cmpstr (ends.log->str, ==, "1 2 3 error exited destroyed ");
      g_assert_true (g_str_has_prefix (ends.log->str, "1 2 3 ") && is_in_order (ends.log->str));
      g_assert_cmpuint (ends.n_late_settled, ==, ends.n_late);
      g_clear_object (&ends.proxy);
      g_clear_object (&ends.process);
      g_assert_true (is_proxy_gone && is_process_gone);
      g_string_free (ends.log, TRUE);
    }
}

/* Templates */

static void
wait_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(AfrpcExit) reason = afrpc_process_wait_finish (AFRPC_PROCESS (source), result, NULL);

  *(gboolean *) data = TRUE;
}

/* Returns: (transfer full): what one that is forked from @template has been prepared with */
static char *
describe_fork (AfrpcProcess *template,
               AfrpcStart   *start)
{
  AfrpcProcess *child = afrpc_process_fork (template);
  g_autoptr(AfrpcProcess) held = g_object_ref (child);
  char *text;

  afrpc_process_send_arg (child, g_variant_new_string ("its own"));
  text = test_describe_start (child);
  *start = afrpc_process_get_start (held);

  return text;
}

static void
test_ends_template (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) second = NULL;
  g_autofree char *first = NULL;
  g_autofree char *before = NULL;
  AfrpcStart start;
  gboolean ended = FALSE;

  g_test_summary ("A template that has ended can be forked again: what it was prepared with is prepared anew");
  afrpc_process_send_arg (template, g_variant_new_string ("the template's"));
  test_send_fd_with (template, "a text");
  second = afrpc_process_fork (template);
  /* The text can be read once, and its descriptor be had by all. */
  first = describe_fork (template, &start);
  g_assert_cmpstr (first, ==, "(<'none'>, <(\"the template's\", 'its own')>, ['a text'])");
  before = describe_fork (template, &start);
  g_assert_cmpstr (before, ==, "(<'none'>, <(\"the template's\", 'its own')>, [''])");

  afrpc_process_kill (template, SIGKILL);
  afrpc_process_wait_async (template, NULL, wait_cb, &ended);
  test_iterate_until (&ended);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *after = describe_fork (template, &start);

      g_assert_cmpint (start, ==, AFRPC_START_EXEC);
      g_assert_cmpstr (after, ==, before);
    }

  /* One that it has forked is a template of its own. */
  {
    g_autofree char *after = describe_fork (second, &start);

    g_assert_cmpstr (after, ==, before);
  }
}

/* Returns: (transfer full): one that is given another module than its template */
static AfrpcProcess *
fork_with_module (AfrpcProcess *template)
{
  AfrpcProcess *process = afrpc_process_fork (template);

  afrpc_process_require (process, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));

  return process;
}

/* It has both, and was not forked. */
static void
check_modules (AfrpcProcess *process) /* (transfer full) */
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "count_up");
  g_autoptr(GVariant) own = NULL;
  g_autoptr(GVariant) inherited = NULL;
  g_autoptr(GError) error = NULL;

  own = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(u)", 3), NULL, &error);
  g_assert_no_error (error);
  afrpc_call_options_set_function (options, "act");
  inherited = afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), options, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_EXEC);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_object_unref (process);
}

static void
test_ends_template_modules (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  AfrpcProcess *owed;
  AfrpcStart start;
  gboolean ended = FALSE;

  g_test_summary ("What a template cannot fork any more that has ended has modules of its own besides those of the template");
  g_free (describe_fork (template, &start));
  g_assert_cmpint (start, ==, AFRPC_START_FORK);
  afrpc_process_kill (template, SIGSTOP);
  owed = fork_with_module (template);
  afrpc_process_kill (template, SIGKILL);
  afrpc_process_wait_async (template, NULL, wait_cb, &ended);
  test_iterate_until (&ended);
  check_modules (owed);
  check_modules (fork_with_module (template));
}

static void
test_ends_template_large (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) child = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A blocking call writes what the template is prepared with, more than a socket holds");
  afrpc_process_send_arg (template, test_zeros (5000000));
  child = afrpc_process_fork (template);
  proxy = afrpc_proxy_new (child, "echo");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "x"), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
}

static void
test_ends_template_with_job (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(AfrpcProcess) child = afrpc_process_fork (template);
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (child, "act");
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { { 0 } };

  g_test_summary ("A blocking call of a fork loses nothing of what its template says, which has a function of its own");
  watch_init (&watched, afrpc_proxy_new (template, "act"));
  watch_events (&watched);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("event", g_variant_new_uint32 (i)), NULL, outcome_cb,
                       &outcomes[i]);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error);

      g_assert_no_error (error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
      outcome_clear (&outcomes[i]);
    }
  g_assert_cmpuint (watched.n_events, ==, 3);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
}

/* Proxies that are none */

static void
none_error_cb (AfrpcProxy   *proxy,
               const GError *error,
               guint        *n_errors)
{
  (*n_errors)++;
}

static void
none_closed_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      done)
{
  afrpc_caller_close_finish (AFRPC_CALLER (source), result, NULL);
  *(gboolean *) done = TRUE;
}

static void
test_ends_none (void)
{
  g_test_summary ("A proxy without a process or a function is a mistake that is told, and whose calls fail");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = i == 0 ? NULL : test_process_new ();
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_auto(Outcome) outcome = { 0 };
      g_autoptr(GError) error = NULL;
      gboolean is_closed = FALSE;
      guint n_errors = 0;

      g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*a proxy needs a process and a function*");
      proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", i == 0 ? "f" : NULL, NULL);
      g_test_assert_expected_messages ();
      g_signal_connect (proxy, "error", G_CALLBACK (none_error_cb), &n_errors);

      afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      g_assert_nonnull (outcome.error);
      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
      g_assert_nonnull (error);
      g_assert_cmpuint (afrpc_proxy_get_n_calls_queued (proxy), ==, 0);
      afrpc_proxy_set_max_calls_queued (proxy, 5);
      afrpc_caller_kill (AFRPC_CALLER (proxy));
      afrpc_caller_close_async (AFRPC_CALLER (proxy), NULL, none_closed_cb, &is_closed);
      test_iterate_until (&is_closed);
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
      g_assert_cmpuint (n_errors, ==, 1);
    }
}

/* Time */

static void
test_ends_busy_program (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_auto(Outcome) last = { 0 };
  const guint limit_ms = 20;
  gint64 at;
  siginfo_t info;
  int pid;

  g_test_summary ("A result that came in time is not lost because the program looks at it too late");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  pid = afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy));

  /* As much as that is written at once. */
  at = g_get_monotonic_time () + limit_ms * 1000;
  test_call_with_timeout (watched.proxy, test_act ("return", test_zeros (5000)), limit_ms, NULL, outcome_cb, &outcome);
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("exit", test_zeros (5000)), NULL, outcome_cb, &last);
  g_assert_no_errno (waitid (P_PID, pid, &info, WEXITED | WNOWAIT));
  while (g_get_monotonic_time () <= at)
    ;

  outcome_wait (&outcome);
  g_assert_no_error (outcome.error);
  outcome_wait (&last);
}

/* Threads */

static gpointer
other_thread_call (gpointer proxy)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error);

  g_assert_null (result);
  g_assert_nonnull (error);

  return NULL;
}

static void
test_ends_threads (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A use by another thread than the one that owns the context is refused, and harms nothing");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_assert_true (g_main_context_acquire (NULL));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;

      g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*another thread*");
      g_thread_join (g_thread_new ("other", other_thread_call, watched.proxy));
      g_test_assert_expected_messages ();
      result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, &error);
      g_assert_no_error (error);
    }
  g_main_context_release (NULL);
}

static gpointer
letting_go_thread (gpointer queue)
{
  AfrpcCall *call;

  while ((call = g_async_queue_pop (queue)) != queue)
    {
      AfrpcCaller *caller = afrpc_call_get_caller (call);

      g_object_ref (caller);
      afrpc_call_cancel (call);
      g_object_unref (call);
      g_object_unref (caller);
    }

  return NULL;
}

/* Its main context ends with it, while another thread has what belongs to that. */
static gpointer
brief_thread (gpointer queue)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;

  g_main_context_push_thread_default (context);
  proxy = test_proxy_new ("echo", AFRPC_BACKEND_SYNC);
  g_async_queue_push (queue, afrpc_caller_start (AFRPC_CALLER (proxy), NULL, NULL));
  g_clear_object (&proxy);
  g_main_context_pop_thread_default (context);

  return NULL;
}

/* Its main context ends while its process is being forked; @n_iterations: GINT_TO_POINTER () */
static gpointer
hasty_thread (gpointer n_iterations)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;

  g_main_context_push_thread_default (context);
  process = afrpc_process_new ();
  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "echo");
  for (int i = GPOINTER_TO_INT (n_iterations); i > 0; i--)
    g_main_context_iteration (context, FALSE);
  if (GPOINTER_TO_INT (n_iterations) % 2 == 0)
    afrpc_process_kill (process, SIGKILL);
  g_clear_object (&proxy);
  g_clear_object (&process);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_ends_context_forking (void)
{
  const guint n = g_test_slow () ? 1000 : 60;
  guint n_fds = 0;

  g_test_summary ("A main context may end while a process is being forked in it: nothing is left of that");
  for (guint i = 0; i <= n; i++)
    {
      g_thread_join (g_thread_new ("hasty", hasty_thread, GINT_TO_POINTER (i % 20)));
      /* What the program has one of is there now. */
      if (i == 0)
        n_fds = test_count_fds ();
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_no_children ();
}

/* What a program keeps of a main context that has gone. */
typedef struct
{
  gboolean is_forked;
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  AfrpcCall *call;
  guint n_untold;
} Kept;

static void
never_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  g_assert_not_reached ();
}

static void
untold_cb (gpointer data)
{
  Kept *self = data;

  self->n_untold++;
}

static gpointer
keeping_thread (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  Kept *self = data;

  g_main_context_push_thread_default (context);
  self->process = self->is_forked ? afrpc_process_new () : afrpc_process_new_exec (NULL);
  afrpc_process_require (self->process, TEST_WORKER);
  self->proxy = afrpc_proxy_new (self->process, "echo");
  value = afrpc_caller_call_sync (AFRPC_CALLER (self->proxy), NULL, NULL, &error);
  g_assert_no_error (error);
  self->call = afrpc_caller_start (AFRPC_CALLER (self->proxy), NULL, NULL);
  afrpc_caller_start_with_notify (AFRPC_CALLER (self->proxy), NULL, NULL, NULL, never_cb, self, untold_cb);
  g_assert_cmpuint (self->n_untold, ==, 0);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_ends_context_kept (gconstpointer is_forked)
{
  Kept kept[5] = { 0 };
  guint n_fds = 0;

  g_test_summary ("What is kept of a main context that has gone has no descriptors, and bindings let go of what is never told");
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      kept[i].is_forked = GPOINTER_TO_INT (is_forked);
      g_thread_join (g_thread_new ("keeping", keeping_thread, &kept[i]));
      g_assert_cmpuint (kept[i].n_untold, ==, 1);
      /* What the program has one of is there now. */
      if (i == 0)
        n_fds = test_count_fds ();
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);

  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_assert_true (afrpc_call_is_settled (kept[i].call));
      g_object_unref (kept[i].call);
      g_object_unref (kept[i].proxy);
      g_object_unref (kept[i].process);
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_no_children ();
}

static void
test_ends_context_elsewhere (void)
{
  const guint n = g_test_slow () ? 5000 : 300;
  g_autoptr(GAsyncQueue) queue = g_async_queue_new ();
  GThread *thread = g_thread_new ("letting go", letting_go_thread, queue);

  g_test_summary ("A main context may end while another thread cancels, and drops, what belongs to it");
  for (guint i = 0; i < n; i++)
    g_thread_join (g_thread_new ("brief", brief_thread, queue));
  g_async_queue_push (queue, queue);
  g_thread_join (thread);
}

typedef struct
{
  GMainContext *context;
  GThread *thread;
  guint n_settled;
} Own;

static void
own_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      data)
{
  Own *own = data;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, NULL);

  g_assert_true (g_thread_self () == own->thread);
  g_assert_true (g_main_context_get_thread_default () == own->context);
  if (own->n_settled++ == 0)
    {
      afrpc_caller_close (AFRPC_CALLER (source));
      afrpc_caller_call (AFRPC_CALLER (source), NULL, NULL, own_cb, own);
    }
}

static gpointer
own_thread (gpointer data)
{
  Own *own = data;
  AfrpcProxy *proxy;

  own->thread = g_thread_self ();
  g_main_context_push_thread_default (own->context);
  proxy = test_proxy_new ("echo", AFRPC_BACKEND_SYNC);
  afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, own_cb, own);
  g_main_context_pop_thread_default (own->context);

  /* As who runs a loop of a context often does, without making it the default one. */
  while (own->n_settled < 2)
    g_main_context_iteration (own->context, TRUE);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_object_unref (proxy);

  return NULL;
}

static void
test_ends_context (void)
{
  Own own = { .context = g_main_context_new () };

  g_test_summary ("Who is called back finds the context of the proxy, also for a call that failed at once");
  g_thread_join (g_thread_new ("own", own_thread, &own));
  g_main_context_unref (own.context);
}

/* A proxy that only a language has, and what that locks while it runs. */
typedef struct
{
  GMutex language;
  gint is_told;        /* atomic: somebody has the proxy besides */
  gint is_over;        /* atomic */
  GMainContext *context;
  AfrpcProxy *proxy;
} Foreign;

static void
toggle_cb (gpointer  data,
           GObject  *object,
           gboolean  is_last)
{
  Foreign *foreign = data;

  if (is_last)
    return;

  g_atomic_int_set (&foreign->is_told, TRUE);
  g_mutex_lock (&foreign->language);
  g_mutex_unlock (&foreign->language);
}

static gpointer
foreign_thread (gpointer data)
{
  Foreign *foreign = data;

  g_main_context_push_thread_default (foreign->context);
  while (!g_atomic_int_get (&foreign->is_over))
    g_main_context_iteration (foreign->context, TRUE);
  g_main_context_pop_thread_default (foreign->context);

  return NULL;
}

static void
test_ends_toggle (void)
{
  Foreign foreign = { .context = g_main_context_new () };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  GThread *thread;
  GObject *other = g_object_new (G_TYPE_OBJECT, NULL);
  GWeakRef weak;

  g_test_summary ("Whoever is told that a language's object has another owner may wait for who drops one of its own meanwhile");
  g_main_context_push_thread_default (foreign.context);
  foreign.proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  value = test_call (foreign.proxy, test_act ("return", NULL), &error);
  g_assert_no_error (error);
  g_signal_connect (foreign.proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_object_add_toggle_ref (G_OBJECT (foreign.proxy), toggle_cb, &foreign);
  g_mutex_lock (&foreign.language);
  kill (afrpc_process_get_pid (afrpc_proxy_get_process (foreign.proxy)), SIGKILL);
  g_object_unref (foreign.proxy);
  g_main_context_pop_thread_default (foreign.context);

  thread = g_thread_new ("foreign", foreign_thread, &foreign);
  while (!g_atomic_int_get (&foreign.is_told))
    g_thread_yield ();
  g_weak_ref_init (&weak, other);
  g_object_unref (other);
  g_assert_null (g_weak_ref_get (&weak));
  g_weak_ref_clear (&weak);
  g_mutex_unlock (&foreign.language);
  g_object_remove_toggle_ref (G_OBJECT (foreign.proxy), toggle_cb, &foreign);
  g_atomic_int_set (&foreign.is_over, TRUE);
  g_main_context_wakeup (foreign.context);
  g_thread_join (thread);
  while (g_main_context_iteration (foreign.context, FALSE))
    ;
  g_main_context_unref (foreign.context);
  g_mutex_clear (&foreign.language);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (acts); i++)
    {
      g_autofree char *path = g_strdup_printf ("/ends/callbacks/%s", acts[i].name);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_ends_callbacks);
    }
  g_test_add_func ("/ends/template", test_ends_template);
  g_test_add_func ("/ends/template/modules", test_ends_template_modules);
  g_test_add_func ("/ends/template/large", test_ends_template_large);
  g_test_add_func ("/ends/template/with-job", test_ends_template_with_job);
  g_test_add_func ("/ends/none", test_ends_none);
  g_test_add_func ("/ends/busy-program", test_ends_busy_program);
  g_test_add_func ("/ends/threads", test_ends_threads);
  g_test_add_func ("/ends/context", test_ends_context);
  g_test_add_func ("/ends/context-forking", test_ends_context_forking);
  g_test_add_data_func ("/ends/context-kept/exec", GINT_TO_POINTER (FALSE), test_ends_context_kept);
  g_test_add_data_func ("/ends/context-kept/fork", GINT_TO_POINTER (TRUE), test_ends_context_kept);
  g_test_add_func ("/ends/context-elsewhere", test_ends_context_elsewhere);
  g_test_add_func ("/ends/toggle", test_ends_toggle);

  return g_test_run ();
}
