/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each way in which a call can fail, and what is said then of whether the worker had started it. */
#include "test-util.h"

#include <signal.h>
#include <string.h>

/* How the program learns what the worker has started. */
typedef enum
{
  WAY_MEMORY,  /* they share memory: exactly, and at once */
  WAY_FRAMES,  /* over a socket: once all has been read that the worker sent before its end */
  WAY_COMMAND, /* over a command: the same, if a goodbye tells that nothing is missing */
  N_WAYS,
} Way;

/* How the outcome is waited for. */
typedef enum
{
  STYLE_CALLBACK,
  STYLE_WAIT,
  STYLE_BLOCK,
  N_STYLES,
} Style;

typedef struct
{
  Way way;
  AfrpcBackend backend;
  Style style;


  AfrpcProcess *process;
  Watched watched;
  GPtrArray *others; /* (element-type AfrpcCall) that it is behind */
  AfrpcCall *call;
  gboolean has_outcome;
  GVariant *value;
  GError *error;
} Scene;

typedef struct
{
  const char *name;
  void (*play) (Scene *scene);
  gboolean is_io;          /* the code is of GIO, and otherwise of AFRPC_ERROR */
  int code;                /* or DEATH, or ANY */
  int started[N_WAYS];     /* AfrpcStarted, or NOT_YES */
} Row;

#define DEATH (-1) /* DIED; or NOT_STARTED, if that is so */
#define ANY (-2)   /* of another domain */

#define NO AFRPC_STARTED_NO
#define YES AFRPC_STARTED_YES
#define UNKNOWN AFRPC_STARTED_UNKNOWN
#define NOT_YES (-1) /* NO, if it is known that nothing of it was written, or UNKNOWN */

static Way
get_way (void)
{
  return g_getenv ("AFRPC_TEST_COMMAND") != NULL ? WAY_COMMAND :
         g_getenv ("AFRPC_TEST_FRAMES") != NULL ? WAY_FRAMES : WAY_MEMORY;
}

static AfrpcProcess *
new_process (Scene *scene)
{
  AfrpcProcess *process = test_bare_process_new ();

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* @property: (nullable): of the proxy, with a number */
static void
connect_with (Scene      *scene,
              const char *property,
              int         number)
{
  if (scene->process == NULL)
    {
      scene->process = new_process (scene);
      afrpc_process_require (scene->process, TEST_WORKER);
    }
  watch_init (&scene->watched, g_object_new (AFRPC_TYPE_PROXY, "process", scene->process, "function",
                                             scene->backend == AFRPC_BACKEND_SYNC ? "act" : "act_async",
                                             "backend", scene->backend, property, number, NULL));
  watch_events (&scene->watched);
}

static void
connect_plain (Scene *scene)
{
  connect_with (scene, NULL, 0);
}

static AfrpcCaller *
get_caller (Scene *scene)
{
  return AFRPC_CALLER (scene->watched.proxy);
}

static void
finished_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      data)
{
  Scene *scene = data;

  g_assert_false (scene->has_outcome);
  scene->has_outcome = TRUE;
  if (scene->style == STYLE_CALLBACK)
    {
      scene->value = afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, NULL, &scene->error);
      scene->call = g_object_ref (AFRPC_CALL (result));
    }
  else
    scene->value = afrpc_call_wait_finish (AFRPC_CALL (source), result, &scene->error);
}

/* The call that it is all about; @options: (transfer full) (nullable) */
static void
make (Scene            *scene,
      GVariant         *args,
      AfrpcCallOptions *options,
      GCancellable     *cancellable) /* (nullable) */
{
  g_autoptr(AfrpcCallOptions) owned = options;

  if (scene->style == STYLE_CALLBACK)
    afrpc_caller_call_full (get_caller (scene), args, options, cancellable, finished_cb, scene);
  else
    {
      scene->call = afrpc_caller_start (get_caller (scene), args, options);
      if (g_cancellable_is_cancelled (cancellable))
        afrpc_call_cancel (scene->call);
      else if (cancellable != NULL)
        g_signal_connect_object (cancellable, "cancelled", G_CALLBACK (afrpc_call_cancel), scene->call,
                                 G_CONNECT_SWAPPED);
      if (scene->style == STYLE_WAIT)
        afrpc_call_wait (scene->call, NULL, finished_cb, scene);
    }
}

static void
make_plain (Scene    *scene,
            GVariant *args)
{
  make (scene, args, NULL, NULL);
}

static void
wait_outcome (Scene *scene)
{
  if (scene->style != STYLE_BLOCK)
    test_iterate_until (&scene->has_outcome);
  else
    scene->value = afrpc_call_wait_sync (scene->call, NULL, &scene->error);
}

/* Something else that the worker is given. */
static void
make_other (Scene    *scene,
            GVariant *args)
{
  g_ptr_array_add (scene->others, afrpc_caller_start (get_caller (scene), args, NULL));
}

static void
iterate_until_events (Scene *scene,
                      guint  n)
{
  while (scene->watched.n_events < n)
    g_main_context_iteration (NULL, TRUE);
}

/* Everything that can be written is. */
static void
flush (Scene *scene)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* A function that says that it runs, and then does @what. */
static GVariant *
say_and (const char *what,
         guint       number)
{
  return test_act ("say", g_variant_new ("(sv)", what, g_variant_new_uint32 (number)));
}

/* The worker is busy from now on. */
static void
make_busy (Scene *scene)
{
  make_other (scene, say_and ("hang", 0));
  iterate_until_events (scene, scene->watched.n_events + 1);
}

static void
kill_worker (Scene *scene)
{
  afrpc_process_kill (scene->process, SIGKILL);
}

static AfrpcCallOptions *
new_timeout (int timeout_ms)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_timeout_ms (options, timeout_ms);

  return options;
}

/* Refused by the program */

static void
play_closed (Scene *scene)
{
  connect_plain (scene);
  afrpc_caller_close (get_caller (scene));
  make_plain (scene, test_act ("return", NULL));
}

static void
play_dead (Scene *scene)
{
  connect_plain (scene);
  kill_worker (scene);
  test_iterate_until (&scene->watched.destroyed);
  make_plain (scene, test_act ("return", NULL));
}

static void
play_too_large (Scene *scene)
{
  g_autofree char *text = g_strnfill (10000, 'x');

  scene->process = new_process (scene);
  afrpc_process_require (scene->process, TEST_WORKER);
  watch_init (&scene->watched, g_object_new (AFRPC_TYPE_PROXY, "process", scene->process, "function", "echo",
                                             "max-message-size", (guint64) 4096, NULL));
  make_plain (scene, g_variant_new ("(s)", text));
}

static void
play_full (Scene *scene)
{
  connect_with (scene, "max-calls-queued", 1);
  make_busy (scene);
  make_plain (scene, test_act ("return", NULL));
}

static void
play_long_type (Scene *scene)
{
  g_autofree char *zeros = g_malloc0 (300);
  g_autofree char *types = g_strnfill (254, 'y');
  g_autofree char *type = g_strdup_printf ("(%s)", types);

  connect_plain (scene);
  make_plain (scene, g_variant_new_from_data (G_VARIANT_TYPE (type), types, 254, TRUE, NULL, NULL));
}

static void
play_metadata (Scene *scene)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  g_autofree char *text = g_strnfill (65536, 'x');

  afrpc_call_options_set_metadata (options, g_variant_new_parsed ("{'a': <%s>}", text));
  connect_plain (scene);
  make (scene, test_act ("return", NULL), options, NULL);
}

static void
play_files (Scene *scene)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();

  for (guint i = 0; i < 254; i++)
    g_assert_cmpint (g_unix_fd_list_append (fds, 0, NULL), ==, i);
  afrpc_call_options_set_fds (options, fds);
  connect_plain (scene);
  make (scene, test_act ("return", NULL), options, NULL);
}

static void
play_cancelled_before (Scene *scene)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  connect_plain (scene);
  g_cancellable_cancel (cancellable);
  make (scene, test_act ("return", NULL), NULL, cancellable);
}

static gpointer
run_default_context (gpointer data)
{
  GMainContext *context = g_main_context_default ();
  gint *state = data;

  g_assert_true (g_main_context_acquire (context));
  g_atomic_int_set (state, 1);
  while (g_atomic_int_get (state) != 2)
    g_thread_yield ();
  g_main_context_release (context);

  return NULL;
}

static void
play_foreign (Scene *scene)
{
  GThread *thread;
  gint state = 0;

  connect_plain (scene);
  thread = g_thread_new ("foreign", run_default_context, &state);
  while (g_atomic_int_get (&state) == 0)
    g_thread_yield ();
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "*a call*");
  make_plain (scene, test_act ("return", NULL));
  g_test_assert_expected_messages ();
  g_atomic_int_set (&state, 2);
  g_thread_join (thread);
}

/* Refused by the worker */

static void
play_bad_arguments (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, g_variant_new ("(i)", 1));
}

static void
play_no_function (Scene *scene)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_function (options, "not_there");
  connect_plain (scene);
  make (scene, test_act ("return", NULL), options, NULL);
}

static void
play_other_backend (Scene *scene)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_function (options, scene->backend == AFRPC_BACKEND_SYNC ? "act_async" : "act");
  connect_plain (scene);
  make (scene, test_act ("return", NULL), options, NULL);
}

static void
play_malformed (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, g_variant_new_from_data (G_VARIANT_TYPE ("(s)"), "no end", 6, FALSE, NULL, NULL));
}

/* One that was refused, and then one that runs, whose start says nothing of the first. */
static void
play_refused_then_died (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, g_variant_new ("(i)", 1));
  make_other (scene, test_act ("exit", g_variant_new_uint32 (1)));
}

/* Queued: nothing of it is written */

/* The socket is full. */
static void
make_stuck (Scene *scene)
{
  connect_plain (scene);
  make_busy (scene);
  make_other (scene, test_act ("return", test_zeros (8 << 20)));
  flush (scene);
}

static void
play_queued_cancelled (Scene *scene)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  make_stuck (scene);
  make (scene, test_act ("return", NULL), NULL, cancellable);
  g_cancellable_cancel (cancellable);
}

static void
play_queued_timed_out (Scene *scene)
{
  make_stuck (scene);
  make (scene, test_act ("return", NULL), new_timeout (1), NULL);
}

static void
play_queued_killed (Scene *scene)
{
  make_stuck (scene);
  make_plain (scene, test_act ("return", NULL));
  afrpc_caller_kill (get_caller (scene));
}

static void
play_queued_died (Scene *scene)
{
  make_stuck (scene);
  make_plain (scene, test_act ("return", NULL));
  kill_worker (scene);
}

/* Nothing has been started yet. */
static void
play_first_cancelled (Scene *scene)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  connect_plain (scene);
  make (scene, test_act ("return", NULL), NULL, cancellable);
  g_cancellable_cancel (cancellable);
}

static void
play_first_killed (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("return", NULL));
  afrpc_caller_kill (get_caller (scene));
}

static void
play_no_module (Scene *scene)
{
  scene->process = new_process (scene);
  afrpc_process_require (scene->process, "/nonexistent/module.so");
  connect_plain (scene);
  make_plain (scene, test_act ("return", NULL));
}

static void
play_no_host (Scene *scene)
{
  const char *const argv[] = { "true", NULL };

  scene->process = scene->way == WAY_COMMAND ? afrpc_process_new_command (argv) : afrpc_process_new_exec ("/bin/true");
  connect_plain (scene);
  make_plain (scene, test_act ("return", NULL));
}

static void
play_no_program (Scene *scene)
{
  const char *const argv[] = { "/nonexistent/program", NULL };

  scene->process = scene->way == WAY_COMMAND ? afrpc_process_new_command (argv) : afrpc_process_new_exec (argv[0]);
  connect_plain (scene);
  make_plain (scene, test_act ("return", NULL));
}

static void
play_no_init (Scene *scene)
{
  scene->process = new_process (scene);
  afrpc_process_require (scene->process, TEST_WORKER);
  watch_init (&scene->watched, g_object_new (AFRPC_TYPE_PROXY, "process", scene->process, "function", "act", "init",
                                             "init_error", NULL));
  make_plain (scene, test_act ("return", NULL));
}

/* Written, and not yet started */

static void
play_written_cancelled (Scene *scene)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  connect_plain (scene);
  make_busy (scene);
  make (scene, test_act ("return", NULL), NULL, cancellable);
  flush (scene);
  g_cancellable_cancel (cancellable);
}

static void
play_written_timed_out (Scene *scene)
{
  connect_plain (scene);
  make_busy (scene);
  make (scene, test_act ("return", NULL), new_timeout (1), NULL);
  flush (scene);
}

static void
play_written_killed (Scene *scene)
{
  connect_plain (scene);
  make_busy (scene);
  make_plain (scene, test_act ("return", NULL));
  flush (scene);
  afrpc_caller_kill (get_caller (scene));
}

/* The worker ends by itself. */
static void
play_written_died (Scene *scene)
{
  connect_plain (scene);
  make_other (scene, test_act ("exit", g_variant_new_uint32 (3)));
  make_plain (scene, test_act ("return", NULL));
}

/* Started */

static void
play_error (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("file-error", NULL));
}

static void
play_nothing (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act (scene->backend == AFRPC_BACKEND_SYNC ? "nothing" : "forget", NULL));
}

static void
play_large_result (Scene *scene)
{
  scene->process = new_process (scene);
  afrpc_process_require (scene->process, TEST_WORKER);
  watch_init (&scene->watched, g_object_new (AFRPC_TYPE_PROXY, "process", scene->process, "function", "act",
                                             "max-message-size", (guint64) 4096, NULL));
  make_plain (scene, test_act ("bytes", g_variant_new_uint32 (5000)));
}

static void
play_malformed_result (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("malformed", NULL));
}

static void
make_running (Scene            *scene,
              const char       *what,
              AfrpcCallOptions *options,
              GCancellable     *cancellable)
{
  connect_plain (scene);
  make (scene, say_and (what, 0), options, cancellable);
  iterate_until_events (scene, 1);
}

static void
play_running_cancelled (Scene *scene)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  make_running (scene, "hang", NULL, cancellable);
  g_cancellable_cancel (cancellable);
}

static gboolean
is_settled (Scene *scene)
{
  return scene->has_outcome || (scene->call != NULL && afrpc_call_is_settled (scene->call));
}

/* For another attempt. */
static void
forget (Scene *scene)
{
  if (scene->style != STYLE_BLOCK)
    test_iterate_until (&scene->has_outcome);
  scene->has_outcome = FALSE;
  g_clear_object (&scene->call);
  g_clear_error (&scene->error);
}

/* On a machine that is busy it takes longer until a function runs: then its call did not run out of time there. Another
 * worker gets the next, since nobody can say everywhere whether the first is going to run. */
static void
play_running_timed_out (Scene *scene)
{
  connect_plain (scene);
  for (int timeout_ms = 20; ; timeout_ms *= 2)
    {
      make (scene, say_and ("until-cancelled", 0), new_timeout (timeout_ms), NULL);
      while (scene->watched.n_events == 0 && !is_settled (scene))
        g_main_context_iteration (NULL, TRUE);
      if (scene->watched.n_events > 0)
        return;
      forget (scene);
      kill_worker (scene);
      test_iterate_until (&scene->watched.destroyed);
      watch_clear (&scene->watched);
      g_clear_object (&scene->process);
      connect_plain (scene);
    }
}

static void
play_running_too_long (Scene *scene)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_execution_timeout_ms (options, 1);
  connect_plain (scene);
  make (scene, test_act ("hang", NULL), options, NULL);
}

static void
play_running_killed (Scene *scene)
{
  make_running (scene, "hang", NULL, NULL);
  afrpc_caller_kill (get_caller (scene));
}

static void
play_running_died (Scene *scene)
{
  make_running (scene, "hang", NULL, NULL);
  kill_worker (scene);
}

static void
play_exit (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("exit", g_variant_new_uint32 (3)));
}

static void
play_signal (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("signal", g_variant_new_uint32 (SIGKILL)));
}

static void
play_part (Scene *scene)
{
  /* A frame that is cut off there is only by the socket. */
  connect_with (scene, "ring", FALSE);
  make_plain (scene, test_act ("part", g_variant_new_uint32 (30)));
}

static void
play_garbage (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("garbage", g_variant_new_uint32 (255)));
}

static void
play_close_socket (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act ("close-socket", NULL));
}

/* It has given its result, which is not written when it dies. */
static void
play_answered_died (Scene *scene)
{
  connect_plain (scene);
  make_plain (scene, test_act (scene->backend == AFRPC_BACKEND_SYNC ? "exit" : "answer-and-exit",
                               g_variant_new_uint32 (3)));
}

static const Row rows[] = {
  { "closed", play_closed, FALSE, AFRPC_ERROR_CLOSED, { NO, NO, NO } },
  { "dead", play_dead, FALSE, ANY, { NO, NO, NO } },
  { "too-large", play_too_large, FALSE, AFRPC_ERROR_TOO_LARGE, { NO, NO, NO } },
  { "full", play_full, FALSE, AFRPC_ERROR_BUSY, { NO, NO, NO } },
  { "long-type", play_long_type, FALSE, AFRPC_ERROR_TOO_LARGE, { NO, NO, NO } },
  { "metadata", play_metadata, FALSE, AFRPC_ERROR_TOO_LARGE, { NO, NO, NO } },
  { "files", play_files, FALSE, AFRPC_ERROR_TOO_LARGE, { NO, NO, NO } },
  { "cancelled-before", play_cancelled_before, TRUE, G_IO_ERROR_CANCELLED, { NO, NO, NO } },
  { "foreign", play_foreign, FALSE, AFRPC_ERROR_FAILED, { NO, NO, NO } },

  { "bad-arguments", play_bad_arguments, FALSE, AFRPC_ERROR_INVALID_ARGUMENTS, { NO, NO, NO } },
  { "no-function", play_no_function, FALSE, AFRPC_ERROR_FUNCTION, { NO, NO, NO } },
  { "other-backend", play_other_backend, FALSE, AFRPC_ERROR_FUNCTION, { NO, NO, NO } },
  { "malformed", play_malformed, FALSE, AFRPC_ERROR_INVALID_DATA, { NO, NO, NO } },
  { "refused-then-died", play_refused_then_died, FALSE, AFRPC_ERROR_INVALID_ARGUMENTS, { NO, NO, NO } },

  { "queued/cancelled", play_queued_cancelled, TRUE, G_IO_ERROR_CANCELLED, { NO, NO, NO } },
  { "queued/timed-out", play_queued_timed_out, TRUE, G_IO_ERROR_TIMED_OUT, { NO, NO, NO } },
  { "queued/killed", play_queued_killed, FALSE, DEATH, { NO, NO, NO } },
  { "queued/died", play_queued_died, FALSE, DEATH, { NO, NO, NO } },
  { "first/cancelled", play_first_cancelled, TRUE, G_IO_ERROR_CANCELLED, { NO, NO, NO } },
  { "first/killed", play_first_killed, FALSE, DEATH, { NO, NO, NO } },
  { "first/no-module", play_no_module, FALSE, AFRPC_ERROR_MODULE, { NO, NO, NO } },
  { "first/no-host", play_no_host, FALSE, AFRPC_ERROR_NOT_A_HOST, { NO, NO, NOT_YES } },
  { "first/no-program", play_no_program, FALSE, AFRPC_ERROR_SPAWN, { NO, NO, NO } },
  { "first/no-init", play_no_init, FALSE, AFRPC_ERROR_INIT, { NO, NO, NO } },

  { "written/cancelled", play_written_cancelled, TRUE, G_IO_ERROR_CANCELLED, { NO, UNKNOWN, UNKNOWN } },
  { "written/timed-out", play_written_timed_out, TRUE, G_IO_ERROR_TIMED_OUT, { NO, UNKNOWN, UNKNOWN } },
  { "written/killed", play_written_killed, FALSE, DEATH, { NO, NO, UNKNOWN } },
  { "written/died", play_written_died, FALSE, DEATH, { NO, NO, NO } },

  { "error", play_error, FALSE, ANY, { YES, YES, YES } },
  { "nothing", play_nothing, FALSE, AFRPC_ERROR_NO_RESULT, { YES, YES, YES } },
  { "large-result", play_large_result, FALSE, AFRPC_ERROR_TOO_LARGE, { YES, YES, YES } },
  { "malformed-result", play_malformed_result, FALSE, AFRPC_ERROR_INVALID_DATA, { YES, YES, YES } },
  { "running/cancelled", play_running_cancelled, TRUE, G_IO_ERROR_CANCELLED, { YES, YES, YES } },
  { "running/timed-out", play_running_timed_out, TRUE, G_IO_ERROR_TIMED_OUT, { YES, YES, YES } },
  { "running/too-long", play_running_too_long, TRUE, G_IO_ERROR_TIMED_OUT, { YES, YES, YES } },
  { "running/killed", play_running_killed, FALSE, DEATH, { YES, YES, YES } },
  { "running/died", play_running_died, FALSE, DEATH, { YES, YES, YES } },
  { "exit", play_exit, FALSE, DEATH, { YES, YES, YES } },
  { "signal", play_signal, FALSE, DEATH, { YES, YES, YES } },
  { "part", play_part, FALSE, DEATH, { YES, YES, YES } },
  { "garbage", play_garbage, FALSE, AFRPC_ERROR_PROTOCOL, { YES, YES, YES } },
  { "close-socket", play_close_socket, FALSE, DEATH, { YES, YES, YES } },
  { "answered/died", play_answered_died, FALSE, DEATH, { YES, YES, YES } },
};

static void
check_row (const Row    *row,
           AfrpcBackend  backend,
           Style         style)
{
  const Way way = get_way ();
  const int expected = row->started[way];
  Scene scene = { .way = way, .backend = backend, .style = style };
  const GQuark domain = row->is_io ? G_IO_ERROR : AFRPC_ERROR;
  AfrpcStarted started;
  int code;

  scene.others = g_ptr_array_new_with_free_func (g_object_unref);
  row->play (&scene);
  wait_outcome (&scene);

  g_test_message ("%s: %s, %u", row->name, scene.error != NULL ? scene.error->message : "no error", style);
  g_assert_null (scene.value);
  started = afrpc_call_get_started (scene.call);
  if (expected == NOT_YES ? started == YES : (int) started != expected)
    g_test_fail_printf ("backend %u, style %u: started is %u, and not %d: %s", backend, style, started, expected,
                        scene.error->message);
  code = row->code != DEATH ? row->code : started == NO ? AFRPC_ERROR_NOT_STARTED : AFRPC_ERROR_DIED;
  if (code != ANY)
    g_assert_error (scene.error, domain, code);

  kill_worker (&scene);
  watch_clear (&scene.watched);
  g_clear_object (&scene.call);
  g_ptr_array_unref (scene.others);
  g_clear_object (&scene.process);
  g_clear_error (&scene.error);
}

static void
test_started (gconstpointer data)
{
  for (guint backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    for (guint style = 0; style < N_STYLES; style++)
      check_row (data, backend, style);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      /* No socket to do it with. */
      const char *const without_command[] = { "part", "garbage", "close-socket", NULL };
      /* What is being forked may be through with its call before it is killed. */
      const char *const without_template[] = { "first/killed", NULL };
      g_autofree char *path = g_strconcat ("/started/", rows[i].name, NULL);

      if ((get_way () != WAY_COMMAND || !g_strv_contains (without_command, rows[i].name)) &&
          (g_getenv ("AFRPC_TEST_TEMPLATE") == NULL || !g_strv_contains (without_template, rows[i].name)))
        g_test_add_data_func (path, &rows[i], test_started);
    }

  return g_test_run ();
}
