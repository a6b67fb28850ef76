/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes in Perl: their event loops, their signals, their ends, and those that are forked from one. */
#include "perl-util.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *const models[] = { "EV", "Perl" };

static AfrpcProcess *
new_process_with_model (const char *model)
{
  AfrpcProcess *process = new_process (NULL);

  afrpc_process_setenv (process, "PERL_ANYEVENT_MODEL", model, TRUE);

  return process;
}

static void
watch_loop (Watched      *watched,
            AfrpcProcess *process)
{
  watch_function (watched, process, "Loop::run", AFRPC_BACKEND_ASYNC, NULL);
}

/* As example 2 in the manual of AnyEvent::Fork::RPC. */
static void
test_perl_countdown (gconstpointer model)
{
  g_autofree char *path = g_build_filename (LIBRARY, "Countdown.pl", NULL);
  g_autofree char *code = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  if (skip_without (g_str_equal (model, "EV") ? "EV" : "AnyEvent"))
    return;

  g_test_summary ("Timers of AnyEvent run in a worker, and the call that was made last is the first to finish");
  process = new_process_with_model (model);
  g_assert_true (g_file_get_contents (path, &code, NULL, NULL));
  afrpc_process_require (process, "AnyEvent::Fork::RPC::Async");
  afrpc_process_eval (process, code, NULL);
  watch_function (&watched, process, "count_up", AFRPC_BACKEND_ASYNC, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      begin_call (&watched, g_variant_new ("(ud)", 3 - i, 0.02), &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_true (g_str_has_prefix (watched.log->str, "event (to 3); event (to 2); event (to 1); "));
  g_assert_cmpuint (watched.n_events, ==, 9);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_autofree char *text = show (outcomes[i].value);
      g_autofree char *expected = g_strdup_printf ("(%u)", 3 - i);
      g_autofree char *result = g_variant_print (outcomes[i].value, FALSE);
      g_autofree char *logged = g_strdup_printf ("event (%u of %u); result %s; ", 3 - i, 3 - i, result);

      g_assert_cmpstr (text, ==, expected);
      assert_contains (watched.log->str, logged);
      if (i > 0)
        g_assert_true (strstr (watched.log->str, logged) < strstr (watched.log->str, "event (3 of 3)"));
      outcome_clear (&outcomes[i]);
    }
}

static void
test_perl_watchers (gconstpointer model)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *expected = NULL;

  if (skip_without (g_str_equal (model, "EV") ? "EV" : "AnyEvent"))
    return;

  g_test_summary ("Watchers of every kind are driven, and blocking waits work; AnyEvent is loaded when it is used");
  process = new_process_with_model (model);
  afrpc_process_require (process, "Loop");
  watch_loop (&watched, process);
  check_call (watched.proxy, "('return', 'at once')", "(at once)");
  expected = g_strdup_printf ("(AnyEvent::Impl::%s)", (const char *) model);
  check_call (watched.proxy, "('model',)", expected);
  check_call (watched.proxy, "('after', 0.01, 'a', @ms nothing)", "<a, undef>");
  check_call (watched.proxy, "('after', 0, 'b')", "(b)");
  check_call (watched.proxy, "('read',)", "(through a pipe)");
  check_call (watched.proxy, "('block',)", "(waited)");
  check_call (watched.proxy, "('block-inside',)", "(waited inside)");
  check_call (watched.proxy, "('signal',)", "(signal)");
  check_call (watched.proxy, "('child',)", "(5)");
  check_error (watched.proxy, "('die',)", AFRPC_ERROR_NO_RESULT, "' dropped the call");
  check_call (watched.proxy, "('return', 'fine')", "(fine)");
  check_error (watched.proxy, "('exit',)", AFRPC_ERROR_DIED, "status 9");
}

static guint64
get_number (GVariant *result)
{
  g_autoptr(GVariant) first = g_variant_get_child_value (result, 0);
  g_autofree char *text = show (first);

  return g_ascii_strtoull (text, NULL, 10);
}

static void
test_perl_idle (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) turns = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  if (skip_without ("EV"))
    return;

  g_test_summary ("A worker that waits does not poll");
  process = new_process ("EV");
  afrpc_process_require (process, "Loop");
  watch_loop (&watched, process);
  check_call (watched.proxy, "('ev',)", "(by EV)");
  result = test_call (watched.proxy, g_variant_new ("(sd)", "turns", 0.3), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (get_number (result), >=, 1);
  g_assert_cmpuint (get_number (result), <, 20);

  begin_call (&watched, g_variant_new ("(sd)", "turns-inside", 0.3), &turns);
  while (watched.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  begin_call (&watched, g_variant_new ("(s)", "return"), NULL);
  outcome_wait (&turns);
  g_assert_no_error (turns.error);
  g_assert_cmpuint (get_number (turns.value), >=, 1);
  g_assert_cmpuint (get_number (turns.value), <, 20);
}

static void
test_perl_prepare (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("EV"))
    return;

  g_test_summary ("What is sent right before an event loop waits is not held back");
  process = new_process ("EV");
  afrpc_process_require (process, "Loop");
  watch_loop (&watched, process);
  check_call (watched.proxy, "('prepare', 'answer')", "(prepared)");
  check_error (watched.proxy, "('prepare', 'drop')", AFRPC_ERROR_NO_RESULT, "dropped the call");
  begin_call (&watched, g_variant_new ("(ss)", "prepare", "event"), NULL);
  while (watched.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  kill_perl (&watched);
}

/* As example 3 there. */
static void
test_perl_coro (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  if (skip_without ("Coro::AnyEvent"))
    return;

  g_test_summary ("A function may run each call in a thread of Coro, which waits for the event loop and for others");
  process = new_process ("Coro::AnyEvent");
  /* Each lets the one before it go on; the last need not wait. */
  afrpc_process_eval (process, "use Coro; my @gate = map Coro::Semaphore->new (int $_ / 2), 0 .. 2; "
                      "sub run { my ($done, $n) = @_; "
                      "async { Coro::AnyEvent::sleep (0); $gate[$n]->down; $done->($n); $gate[$n - 1]->up if $n } }",
                      NULL);
  watch_function (&watched, process, "run", AFRPC_BACKEND_ASYNC, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      begin_call (&watched, g_variant_new ("(u)", i), &outcomes[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
      outcome_clear (&outcomes[i]);
    }
  g_assert_cmpstr (watched.log->str, ==, "result [[0x32]]; result [[0x31]]; result [[0x30]]; ");
}

static void
test_perl_ticker (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("AnyEvent"))
    return;

  g_test_summary ("Watchers that an init function has made send events without any call");
  process = new_process ("Loop");
  afrpc_process_require (process, "AnyEvent");
  watch_function (&watched, process, "Loop::run", AFRPC_BACKEND_ASYNC, &(PerlOptions) { .init = "Loop::init_ticker" });
  while (watched.n_events < 3)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (watched.log->str, ==, "event (tick); event (tick); event (tick); ");
}

static void
run_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      data)
{
  g_autoptr(GError) error = NULL;
  GIOStream **stream = data;

  *stream = afrpc_process_run_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           AfrpcExit   **place)
{
  *place = afrpc_exit_ref (exit);
}

static void
check_read (GIOStream  *stream,
            const char *expected)
{
  char text[100] = "";

  g_assert_cmpint (g_input_stream_read (g_io_stream_get_input_stream (stream), text, sizeof text - 1, NULL, NULL), >, 0);
  g_assert_cmpstr (text, ==, expected);
}

static void
check_run (const char *last,
           int         status)
{
  g_autoptr(AfrpcProcess) process = new_process ("Jobs");
  g_autoptr(GIOStream) stream = NULL;
  g_autoptr(AfrpcExit) exit = NULL;

  g_signal_connect (process, "exited", G_CALLBACK (exited_cb), &exit);
  send_start (process);
  afrpc_process_run_async (process, "Jobs::serve", NULL, run_cb, &stream);
  while (stream == NULL)
    g_main_context_iteration (NULL, TRUE);
  check_read (stream, "with a,from fd 1,from fd 2,2,from fd 3\n");
  g_output_stream_write (g_io_stream_get_output_stream (stream), "abc", 3, NULL, NULL);
  check_read (stream, "ABC");
  if (last != NULL)
    g_output_stream_write (g_io_stream_get_output_stream (stream), last, strlen (last), NULL, NULL);
  else
    g_io_stream_close (stream, NULL, NULL);
  while (exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_exit_get_status (exit), ==, status);
  if (status == 255)
    assert_contains (afrpc_exit_get_stderr (exit), "as told");
}

static void
test_perl_run (void)
{
  g_test_summary ("A function that takes its process over gets the socket, and all arguments and handles");
  check_run (NULL, 0);
  check_run ("exit", 6);
  check_run ("die", 255);
}

static void
check_death (const char   *args,
             AfrpcBackend  backend,
             const char   *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) value = parse (args);
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) waiting = { 0 };

  watch_jobs (&watched, backend);
  check_call (watched.proxy, "('echo', 'alive')", "(alive)");
  begin_call (&watched, value, &running);
  begin_call (&watched, g_variant_new ("(s)", "echo"), &waiting);
  test_iterate_until (&watched.destroyed);
  g_assert_error (running.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  assert_contains (running.error->message, words);
  g_assert_error (waiting.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  if (strstr (args, "event") != NULL)
    g_assert_true (g_str_has_prefix (watched.log->str, "event (last); "));
  test_assert_no_children ();
}

static void
test_perl_death (void)
{
  g_test_summary ("exit ends the worker with that status, and a signal ends it; every call is told");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      check_death ("('exit', 0)", backends[b], "status 0");
      check_death ("('exit', 3)", backends[b], "status 3");
      check_death ("('event-and-exit', 4)", backends[b], "status 4");
      check_death ("('end-status', 7)", backends[b], "status 7");
      check_death ("('kill', 'KILL')", backends[b], "signal 9");
      check_death ("('kill', 'TERM')", backends[b], "signal 15");
    }
}

static void
test_perl_death_of_many (void)
{
  g_auto(Watched) watched = { 0 };
  Outcome kept[300] = { 0 };

  g_test_summary ("Calls that nobody answers before the end have died, and were not dropped");
  watch_jobs (&watched, AFRPC_BACKEND_ASYNC);
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    begin_call (&watched, g_variant_new ("(s)", "keep"), &kept[i]);
  check_error (watched.proxy, "('exit', 3)", AFRPC_ERROR_DIED, "status 3");
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      outcome_wait (&kept[i]);
      g_assert_error (kept[i].error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      outcome_clear (&kept[i]);
    }
}

static void
test_perl_forks (void)
{
  g_test_summary ("Processes that a function forks do not answer for it");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_jobs (&watched, backends[b]);
      check_call (watched.proxy, "('fork', 'exit')", "(child waited, 1024)");
      check_call (watched.proxy, "('fork', 'return')", "(child waited, 0)");
      check_call (watched.proxy, "('fork', 'event')", "(child waited, 0)");
      check_call (watched.proxy, "('fork', 'die')", "(child waited, 0)");
      check_call (watched.proxy, "('system',)", "(said\\0a768)");
      watch_end (&watched);
      g_assert_cmpstr (watched.log->str, ==, "exited; destroyed; ");
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
}

static void
test_perl_end (void)
{
  g_test_summary ("At the end everything is run that Perl has for it, and what is buffered is written");
  for (guint how = 0; how < 4; how++)
    {
      g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
      g_autofree char *path = g_build_filename (folder, "output", NULL);
      g_autofree char *args = g_strdup_printf ("('output', '%s')", path);
      g_autofree char *text = NULL;
      g_auto(Watched) watched = { 0 };

      watch_jobs (&watched, backends[how % 2]);
      check_call (watched.proxy, args, "(1)");
      if (how >= 2)
        check_error (watched.proxy, "('exit', 3)", AFRPC_ERROR_DIED, "status 3");
      watch_end (&watched);
      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      g_assert_cmpstr (text, ==, "buffered;ended;destroyed;");
      unlink (path);
      rmdir (folder);
    }
}

static void
test_perl_done_function (void)
{
  g_test_summary ("A done function is called after the last call; that of the async backend may live on");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_autoptr(AfrpcProcess) process = new_process ("Jobs");
      g_auto(Watched) watched = { 0 };

      afrpc_process_eval (process, "sub over { Jobs::done (); exit 8 }", NULL);
      watch_function (&watched, process, b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b],
                      &(PerlOptions) { .done = "over" });
      check_call (watched.proxy, "('echo', 'x')", "(x)");
      watch_end (&watched);
      while (watched.exit == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 8);
      g_assert_cmpstr (afrpc_exit_get_stderr (watched.exit), ==, "done was called;");
    }
}

static void
test_perl_done_later (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("AnyEvent"))
    return;

  g_test_summary ("After the last call an async worker lives on with its watchers, if it has a done function");
  process = new_process ("Loop");
  watch_function (&watched, process, "Loop::run", AFRPC_BACKEND_ASYNC, &(PerlOptions) { .done = "Loop::done" });
  check_call (watched.proxy, "('after', 0, 'x')", "(x)");
  close_perl (&watched);
  while (watched.exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 8);
}

static void
test_perl_flush (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("What was flushed arrives whatever comes next");
  watch_jobs (&watched, AFRPC_BACKEND_ASYNC);
  check_error (watched.proxy, "('flush',)", AFRPC_ERROR_DIED, "signal 9");
  watch_end (&watched);
  g_assert_true (g_str_has_prefix (watched.log->str, "event (flushed); "));
}

static void
test_perl_signals (void)
{
  g_test_summary ("A signal's handler runs while a worker waits");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      AfrpcProcess *process;

      watch_jobs (&watched, backends[b]);
      process = get_process (&watched);
      for (guint i = 0; i < 100; i++)
        {
          g_autofree char *text = NULL;

          if (i == 98)
            check_call (watched.proxy, "('handler', true)", "(1)");
          else if (i == 0)
            check_call (watched.proxy, "('handler', false)", "(1)");
          else
            text = call_text (watched.proxy, "pid");
          afrpc_process_kill (process, SIGUSR2);
          while (watched.n_events <= i)
            g_main_context_iteration (NULL, TRUE);
        }
      g_assert_cmpuint (watched.n_events, ==, 100);
      check_call (watched.proxy, "('handle-exit',)", "(1)");
      afrpc_process_kill (process, SIGTERM);
      test_iterate_until (&watched.destroyed);
      g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 11);
      assert_contains (afrpc_exit_get_stderr (watched.exit), "a signal handler has failed: handled");
    }
}

static void
test_perl_template (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("Jobs");
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "output", NULL);
  g_autofree char *code = g_strdup_printf ("rand; $Jobs::job{output}->('%s')", path);
  g_autofree char *text = NULL;
  char *numbers[2];

  g_test_summary ("Processes that are forked from one that is prepared are processes of their own");
  afrpc_process_eval (template, code, NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_auto(Watched) watched = { 0 };
      g_autofree char *pid = NULL;
      g_autofree char *expected = NULL;

      afrpc_process_setenv (process, "AFRPC_TEST_A", i == 0 ? "first" : "second", TRUE);
      watch_function (&watched, process, "Jobs::run", AFRPC_BACKEND_SYNC, NULL);
      pid = call_text (watched.proxy, "pid");
      g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_FORK);
      expected = g_strdup_printf ("(%d)", afrpc_process_get_pid (process));
      g_assert_cmpstr (pid, ==, expected);
      check_call (watched.proxy, "('env', 'AFRPC_TEST_A', 'AFRPC_TEST_B')", i == 0 ? "(first, unset)" : "(second, unset)");
      numbers[i] = call_text (watched.proxy, "rand");
      watch_end (&watched);
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
  g_assert_cmpstr (numbers[0], !=, numbers[1]);
  g_free (numbers[0]);
  g_free (numbers[1]);

  /* What the template had buffered is written once, by the template. */
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "buffered;ended;destroyed;ended;destroyed;");
  unlink (path);
  rmdir (folder);
}

static void
test_perl_template_library (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec ("perl");
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *expected = g_strdup_printf ("(%s)", LIBRARY);

  g_test_summary ("A process has its own library path, also if it is forked from one with another");
  afrpc_process_eval (template, "1", NULL);
  process = afrpc_process_fork (template);
  afrpc_process_setenv (process, "PERL5LIB", LIBRARY, TRUE);
  afrpc_process_require (process, "Jobs");
  watch_function (&watched, process, "Jobs::run", AFRPC_BACKEND_SYNC, NULL);
  check_call (watched.proxy, "('inc',)", expected);
}

static void
test_perl_template_loop (void)
{
  g_autoptr(AfrpcProcess) template = NULL;
  g_auto(Watched) first = { 0 };
  g_auto(Watched) second = { 0 };

  if (skip_without ("EV"))
    return;

  g_test_summary ("Processes that are forked with their event loop loaded do not disturb each other");
  template = new_process ("EV");
  afrpc_process_require (template, "Loop");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      watch_loop (i == 0 ? &first : &second, process);
    }
  for (guint i = 0; i < 3; i++)
    {
      check_call (first.proxy, "('read',)", "(through a pipe)");
      check_call (second.proxy, "('read',)", "(through a pipe)");
      check_call (first.proxy, "('ev',)", "(by EV)");
      check_call (second.proxy, "('ev',)", "(by EV)");
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    {
      g_autofree char *countdown = g_strconcat ("/perl/countdown/", models[i], NULL);
      g_autofree char *watchers = g_strconcat ("/perl/watchers/", models[i], NULL);

      g_test_add_data_func (countdown, models[i], test_perl_countdown);
      g_test_add_data_func (watchers, models[i], test_perl_watchers);
    }
  g_test_add_func ("/perl/idle", test_perl_idle);
  g_test_add_func ("/perl/prepare", test_perl_prepare);
  g_test_add_func ("/perl/coro", test_perl_coro);
  g_test_add_func ("/perl/ticker", test_perl_ticker);
  g_test_add_func ("/perl/run", test_perl_run);
  g_test_add_func ("/perl/death", test_perl_death);
  g_test_add_func ("/perl/death-of-many", test_perl_death_of_many);
  g_test_add_func ("/perl/forks", test_perl_forks);
  g_test_add_func ("/perl/end", test_perl_end);
  g_test_add_func ("/perl/done-function", test_perl_done_function);
  g_test_add_func ("/perl/done-later", test_perl_done_later);
  g_test_add_func ("/perl/flush", test_perl_flush);
  g_test_add_func ("/perl/signals", test_perl_signals);
  g_test_add_func ("/perl/template", test_perl_template);
  g_test_add_func ("/perl/template-library", test_perl_template_library);
  g_test_add_func ("/perl/template-loop", test_perl_template_loop);

  return g_test_run ();
}
