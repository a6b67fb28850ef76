/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Functions in Perl: what they fail of, what they get besides arguments, and how they are found. */
#include "perl-util.h"

#include <string.h>

static void
check_nested (AfrpcProxy *proxy,
              guint       depth,
              const char *what)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new ("(sus)", "nested", depth, what), &error);

  g_assert_no_error (error);
}

static void
test_perl_errors (void)
{
  const char *const pairs[][3] = {
    { "('die', 'with ', 'words')", "with words at " },
    { "('die-line', 'this', 'only')", "this only" },
    { "('die-wide',)", "☺" },
    { "('die-latin',)", "é" },
    { "('die-zero',)", "a\xef\xbf\xbd" "b" },
    { "('die-object',)", "text of it" },
    { "('die-mute',)", "an object of class Jobs::Mute" },
    { "('die-plain',)", "Jobs::Plain=HASH(" },
    { "('mute-object',)", "an object of class Jobs::Mute cannot be made a string", "ours" },
    { "('plain-object',)", "an object of class Jobs::Plain cannot be sent", "ours" },
    { "('brief-object',)", "an object of class Jobs::Brief cannot be sent", "ours" },
    { "('code',)", "a reference to CODE cannot be sent", "ours" },
    { "('glob',)", "a reference to GLOB cannot be sent", "ours" },
    { "('trap',)", "a reference to SCALAR cannot be sent", "ours" },
    { "('tied-trap',)", "a tied variable cannot be read" },
    { "('tied-array-trap',)", "a tied variable cannot be read", "ours" },
    { "('wide',)", "wide character", "ours" },
    { "('wide-key',)", "wide character", "ours" },
    { "('latin-key',)", "a hash's key is not UTF-8", "ours" },
    { "('cycle',)", "too many arrays and hashes", "ours" },
    { "('nested', 61, 'array')", "too many arrays", "ours" },
    { "('nested', 41, 'hash')", "too many arrays", "ours" },
    { "('alarm',)", "too slow" },
    { "('unknown',)", "no job unknown" },
  };

  g_test_summary ("What a function dies of, or cannot return, is the error of that call and of no other");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_jobs (&watched, backends[b]);
      for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
        check_error (watched.proxy, pairs[i][0], pairs[i][2] != NULL ? AFRPC_ERROR_FAILED : AFRPC_ERROR_REMOTE, pairs[i][1]);
      {
        g_autofree char *text = call_text (watched.proxy, "wide-event");

        g_assert_true (g_str_has_prefix (text, "(wide character in a string"));
      }
      check_nested (watched.proxy, 60, "array");
      check_nested (watched.proxy, 40, "hash");
      check_call (watched.proxy, "('echo', 'fine')", "(fine)");
      watch_end (&watched);
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
}

/* As example 1 in the manual of AnyEvent::Fork::RPC. */
static void
check_remover (AfrpcBackend backend)
{
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  Outcome outcomes[7] = { 0 };

  watch_perl (&watched, new_proxy ("Remover", backend == AFRPC_BACKEND_SYNC ? "Remover::handle" : "Remover::handle_async",
                                   backend));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      const char *what = i == 5 ? "burn" : "rmdir";
      const char *path = i == 0 ? folder : "/no/such";

      begin_call (&watched, g_variant_new ("(ss)", what, path), &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==, "event (3, /no/such); event (6, /no/such); exited; destroyed; ");
  g_assert_true (afrpc_exit_is_success (watched.exit));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_autofree char *text = outcomes[i].value != NULL ? show (outcomes[i].value) : NULL;

      if (i == 5)
        assert_contains (outcomes[i].error->message, "there is no such action: burn");
      else
        g_assert_cmpstr (text, ==, i == 0 ? "(1)" : "(0, No such file or directory)");
      outcome_clear (&outcomes[i]);
    }
}

static void
test_perl_remover (void)
{
  g_test_summary ("A worker that removes files and tells how many, by either backend");
  check_remover (AFRPC_BACKEND_SYNC);
  check_remover (AFRPC_BACKEND_ASYNC);
}

static void
test_perl_done_callback (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) first = { 0 };
  g_auto(Outcome) second = { 0 };
  g_auto(Outcome) dropped = { 0 };
  const char *const twice = "(the call has been answered before at ";

  g_test_summary ("An async function needs no event loop to answer later; it answers once");
  watch_jobs (&watched, AFRPC_BACKEND_ASYNC);
  first.log = second.log = dropped.log = watched.log;
  begin_call (&watched, g_variant_new ("(s)", "keep"), &first);
  begin_call (&watched, g_variant_new ("(s)", "keep"), &second);
  check_call (watched.proxy, "('event', 'x')", "(sent)");
  check_call (watched.proxy, "('answer', 'x', @mi nothing)", "(all)");
  g_assert_true (first.done && second.done);
  g_assert_true (strstr (watched.log->str, "event (x); result") == watched.log->str);
  begin_call (&watched, g_variant_new ("(s)", "keep"), &dropped);
  check_call (watched.proxy, "('drop',)", "(dropped)");
  g_assert_error (dropped.error, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT);
  check_call (watched.proxy, "('twice',)", "(once)");
  check_call (watched.proxy, "('die-after',)", "(before)");
  check_error (watched.proxy, "('wide',)", AFRPC_ERROR_FAILED, "wide character");
  check_error (watched.proxy, "('keep-and-die',)", AFRPC_ERROR_REMOTE, "kept");
  {
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) result = test_call (watched.proxy, g_variant_new ("(s)", "answer-kept"), &error);
    g_autofree char *text = NULL;

    g_assert_no_error (error);
    text = show (result);
    g_assert_true (g_str_has_prefix (text, twice));
  }
  watch_end (&watched);
  assert_contains (afrpc_exit_get_stderr (watched.exit), "has answered its call has failed: after");
}

static void
test_perl_init (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("Jobs");
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An init function gets arguments and handles in the order in which they were sent");
  if (g_getenv ("AFRPC_TEST_COMMAND") != NULL)
    {
      g_test_skip ("file descriptors cannot be passed over a command");
      return;
    }
  send_start (process);
  watch_function (&watched, process, "Jobs::run", AFRPC_BACKEND_SYNC, &(PerlOptions) { .init = "Jobs::init" });
  check_call (watched.proxy, "('start',)", "(a, from fd 1, from fd 2, 2, from fd 3)");
}

static void
check_fails (AfrpcProcess *process,
             const char   *function,
             const char   *init,
             int           code,
             const char   *words)
{
  g_auto(Watched) watched = { 0 };

  watch_function (&watched, process, function, AFRPC_BACKEND_SYNC, &(PerlOptions) { .init = init });
  g_object_unref (process);
  check_error (watched.proxy, "()", code, words);
}

static AfrpcProcess *
evaluate (const char *code)
{
  AfrpcProcess *process = new_process (NULL);

  afrpc_process_eval (process, code, g_variant_new ("(si)", "x", 5));

  return process;
}

static void
test_perl_failures (void)
{
  g_autofree char *broken = g_build_filename (LIBRARY, "Broken.pm", NULL);
  g_autofree char *remover = g_build_filename (LIBRARY, "Remover.pm", NULL);
  AfrpcProcess *in_library;

  g_test_summary ("What keeps a worker from being prepared is said");
  check_fails (new_process ("No::Such::Module"), "run", NULL, AFRPC_ERROR_MODULE, "Can't locate No/Such/Module.pm in @INC");
  in_library = new_process (NULL);
  afrpc_process_set_cwd (in_library, LIBRARY);
  afrpc_process_setenv (in_library, "PERL5LIB", "/nowhere", TRUE);
  afrpc_process_require (in_library, "Remover.pm");
  check_fails (in_library, "run", NULL, AFRPC_ERROR_MODULE,
               "'Remover.pm' cannot be loaded: the path of a file has a slash in it: './Remover.pm'; Can't locate Remover.pm in @INC");
  check_fails (new_process ("Broken"), "run", NULL, AFRPC_ERROR_MODULE, "syntax error at ");
  check_fails (new_process (broken), "run", NULL, AFRPC_ERROR_MODULE, "syntax error at ");
  check_fails (new_process ("False"), "run", NULL, AFRPC_ERROR_MODULE, "did not return a true value");
  check_fails (new_process ("not; a module"), "run", NULL, AFRPC_ERROR_MODULE, "is no name of a module");
  check_fails (new_process ("Remover"), "Remover::no_such", NULL, AFRPC_ERROR_FUNCTION, "no function 'Remover::no_such'");
  check_fails (new_process ("Remover"), "none", NULL, AFRPC_ERROR_FUNCTION,
               "no function 'none' in package main; those of another");
  check_fails (new_process ("Remover"), "handle", NULL, AFRPC_ERROR_FUNCTION,
               "no function 'handle': did you mean 'Remover::handle'?");
  check_fails (new_process (remover), "Renover::handle", NULL, AFRPC_ERROR_FUNCTION,
               "no function 'Renover::handle': did you mean 'Remover::handle'?");
  check_fails (new_process ("Jobs"), "Jobs::run", "Jobs::init_die", AFRPC_ERROR_INIT, "not today");
  check_fails (new_process ("Jobs"), "Jobs::run", "Jobs::init_event", AFRPC_ERROR_INIT, "Undefined subroutine &AnyEvent::Fork::RPC::event called at ");
  check_fails (new_process ("Remover"), "Remover::handle", "none", AFRPC_ERROR_FUNCTION, "no function 'none'");
  check_fails (evaluate ("sub {"), "run", NULL, AFRPC_ERROR_MODULE, "Missing right curly");
  check_fails (evaluate ("die qq{@_\\n}"), "run", NULL, AFRPC_ERROR_MODULE, "x 5");
  check_fails (evaluate ("exit 3"), "run", NULL, AFRPC_ERROR_NOT_STARTED, "status 3");
}

static void
test_perl_eval (void)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Code is evaluated in package main, with its arguments, and keeps its pragmas to itself");
  afrpc_process_eval (process, "use strict; our @given = @_; sub run { (__PACKAGE__, @given, \"$main::loose\", @_) }",
                      g_variant_new_parsed ("('x', [1, 2])"));
  afrpc_process_eval (process, "@main::given = map { ref ? @$_ : $_ } @main::given; $loose = 'not strict'", NULL);
  watch_function (&watched, process, "run", AFRPC_BACKEND_SYNC, NULL);
  check_call (watched.proxy, "(1,)", "(main, x, 1, 2, not strict, 1)");
  check_call (watched.proxy, "()", "(main, x, 1, 2, not strict)");
}

static void
test_perl_names (void)
{
  g_autofree char *path = g_build_filename (LIBRARY, "Jobs.pm", NULL);
  g_auto(Watched) by_path = { 0 };
  g_auto(Watched) habit = { 0 };

  g_test_summary ("Modules are found by path, functions by AUTOLOAD; what need not be loaded may be named");
  watch_perl (&by_path, new_proxy (path, "Jobs::anything", AFRPC_BACKEND_SYNC));
  check_call (by_path.proxy, "()", "(loaded, anything)");
  watch_perl (&habit, new_proxy ("Habit", "Habit::run", AFRPC_BACKEND_SYNC));
  check_call (habit.proxy, "(5,)", "(done)");
  g_assert_cmpstr (habit.log->str, ==, "event (seen, 5); ");
}

static void
count_event_cb (guint *n_events)
{
  ++*n_events;
}

static void
test_perl_pool (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("Habit");
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(GError) error = NULL;
  guint n_events = 0;

  g_test_summary ("A pool has the numbers of AnyEvent::Fork::Pool, and its workers run what that ran");
  pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "Habit::run",
                       "max-workers", 4, "idle-workers", 1, "load", 2, "start-delay-ms", 100, "stop-delay-ms", 10000, NULL);
  g_signal_connect_swapped (pool, "event", G_CALLBACK (count_event_cb), &n_events);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_sync (AFRPC_CALLER (pool), g_variant_new ("(u)", i), NULL, &error);

      g_assert_no_error (error);
      g_assert_nonnull (value);
    }
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, &error));
  g_assert_no_error (error);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_events, ==, 20);
}

static void
test_perl_main (void)
{
  g_autofree char *path = g_build_filename (LIBRARY, "Plain.pl", NULL);
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_autoptr(AfrpcProcess) typo = new_process (NULL);
  g_auto(Watched) watched = { 0 };
  g_auto(Watched) failed = { 0 };

  g_test_summary ("A file that names no package is in package main, and takes nothing from the host by its names");
  afrpc_process_require (process, path);
  afrpc_process_require (process, "Remover");
  afrpc_process_eval (process, "my @result = run (); sub again { (@result, run ()) }", NULL);
  afrpc_process_send_arg (process, g_variant_new_string ("sent"));
  watch_function (&watched, process, "again", AFRPC_BACKEND_SYNC, &(PerlOptions) { .init = "prepare" });
  check_call (watched.proxy, "()", "(main, my load, my evaluate, my suggest, main, sent, my load, my evaluate, my suggest)");

  afrpc_process_require (typo, path);
  afrpc_process_require (typo, "Remover");
  watch_function (&failed, typo, "handle", AFRPC_BACKEND_SYNC, NULL);
  check_error (failed.proxy, "()", AFRPC_ERROR_FUNCTION, "did you mean 'Remover::handle'?");
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/errors", test_perl_errors);
  g_test_add_func ("/perl/remover", test_perl_remover);
  g_test_add_func ("/perl/done-callback", test_perl_done_callback);
  g_test_add_func ("/perl/init", test_perl_init);
  g_test_add_func ("/perl/failures", test_perl_failures);
  g_test_add_func ("/perl/eval", test_perl_eval);
  g_test_add_func ("/perl/names", test_perl_names);
  g_test_add_func ("/perl/main", test_perl_main);
  g_test_add_func ("/perl/pool", test_perl_pool);

  return g_test_run ();
}
