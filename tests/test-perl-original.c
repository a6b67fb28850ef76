/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker in Perl finds that was written for AnyEvent::Fork::RPC: what is as it is there, and what is known not to
 * be, which the table in docs/perl.md lists. */
#include "perl-util.h"

#include <string.h>
#include <unistd.h>

static void
watch_original (Watched           *watched,
                AfrpcBackend       backend,
                const PerlOptions *options)
{
  g_autoptr(AfrpcProcess) process = new_process ("Original");

  afrpc_process_send_arg (process, g_variant_new_string ("given"));
  watch_function (watched, process, backend == AFRPC_BACKEND_SYNC ? "Original::run" : "Original::run_async", backend, options);
}

static void
test_perl_event (void)
{
  const PerlOptions options = { .init = "Original::init" };

  g_test_summary ("The function that sends events is declared from the start, and defined once they can be sent");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autofree char *init = NULL;
      g_autofree char *expected = NULL;

      watch_original (&watched, backends[b], &options);
      check_call (watched.proxy, "('early',)", "(0, 1)");
      init = call_text (watched.proxy, "init");
      expected = g_strdup_printf ("(0, main, %d Original::run%s, , 0, given, Undefined subroutine "
                                  "&AnyEvent::Fork::RPC::event called", (int) getpid (), b == 0 ? "" : "_async");
      g_assert_true (g_str_has_prefix (init, expected));
      check_call (watched.proxy, "('defined',)", "(defined)");
      check_call (watched.proxy, "('event',)", "(0)");
      g_assert_cmpstr (watched.log->str, ==, "event (a, b); event (c); event (d); event (); ");
      check_call (watched.proxy, "('retire',)", "(retired)");
      g_assert_true (afrpc_proxy_is_retired (watched.proxy));
      if (backends[b] == AFRPC_BACKEND_SYNC)
        check_call (watched.proxy, "('returned',)", "(<>, <1>)");
      else
        {
          check_call (watched.proxy, "('returned',)", "(once)");
          check_call (watched.proxy, "('returned-was',)", "(1,1,true)");
        }
    }
}

static void
test_perl_octets (void)
{
  g_test_summary ("With the serialiser 'bytes' everything is a string, as in the original");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autofree char *text = NULL;

      watch_original (&watched, backends[b], &(PerlOptions) { .serialiser = "bytes" });
      check_call (watched.proxy, "('undef',)", "(, x, )");
      check_call (watched.proxy, "('references',)", "(ARRAY(0x), HASH(0x), CODE(0x), GLOB(0x), SCALAR(0x), *main::STDIN, "
                  "Original::Plain=HASH(0x), (?^:x))");
      text = call_text (watched.proxy, "bare-references");
      g_assert_true (g_str_has_prefix (text, "(ARRAY(0x"));
      assert_contains (text, ", *main::STDIN, Original::Plain=HASH(0x");
      g_assert_true (g_str_has_suffix (text, ", text, 1.5)"));
      check_call (watched.proxy, "('count', 'a', '', 'b')", "(3)");
      check_error (watched.proxy, "('mute',)", AFRPC_ERROR_FAILED, "an object of class Jobs::Mute cannot be made a string");
      {
        g_autoptr(GVariant) many = test_call (watched.proxy, g_variant_new ("(ss)", "many", "60"), NULL);

        g_assert_cmpstr (g_variant_get_type_string (many), ==, "aay");
        g_assert_cmpuint (g_variant_n_children (many), ==, 60);
      }
    }
}

static void
test_perl_surroundings (void)
{
  g_test_summary ("What a function sees of who has called it");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autofree char *name = NULL;
      g_autofree char *expected = NULL;

      watch_original (&watched, backends[b], NULL);
      check_call (watched.proxy, "('caller',)",
                  b == 0 ? "(AnyEvent::Fork::RPC::Sync, Original::run, list)" : "(Original, Original::run, list)");
      check_call (watched.proxy, "('set-error',)", "(left\\0a)");
      check_call (watched.proxy, "('error',)", "()");
      check_call (watched.proxy, "('kept-error',)", "(kept\\0a)");
      check_call (watched.proxy, "('loaded',)", "(0, 0, 1)");
      check_call (watched.proxy, "('stderr',)", "(pipe)");
      check_call (watched.proxy, "('bin',)", "(found)");
      name = call_text (watched.proxy, "name");
      expected = g_strdup_printf ("(%d Original::run%s)", (int) getpid (), b == 0 ? "" : "_async");
      g_assert_cmpstr (name, ==, expected);
    }
}

static void
check_title (Watched    *watched,
             const char *job,
             const char *title)
{
  g_autoptr(GVariant) result = test_call (watched->proxy, g_variant_new ("(ss)", job, title), NULL);
  g_autofree char *text = show (result);
  g_autofree char *expected = g_strdup_printf ("(%s, %.15s)", title, title);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_perl_title (void)
{
  static const guint lengths[] = { 1, 5, 20, 60, 20, 100, 200, 3, 300 };
  g_auto(Watched) watched = { 0 };
  g_autofree char *first = g_strdup_printf ("%d Original::run", (int) getpid ());

  g_test_summary ("The title of the process names the function, or is what the worker wants it to be");
  watch_original (&watched, AFRPC_BACKEND_SYNC, NULL);
  check_title (&watched, "title-is", first);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *title = g_strnfill (lengths[i], 'a' + i);
      g_autoptr(GVariant) set = test_call (watched.proxy, g_variant_new ("(ss)", "title", title), NULL);

      check_title (&watched, "title-is", title);
      check_title (&watched, "local-title", "for a moment");
      check_title (&watched, "title-is", title);
    }
  /* The environment, which lay behind it, is as it was. */
  {
    g_auto(Watched) jobs = { 0 };

    watch_jobs (&jobs, AFRPC_BACKEND_SYNC);
    g_string_set_size (jobs.log, 0);
    check_call (jobs.proxy, "('rename-and-env', 'PERL5LIB')", "(kept)");
  }
}

static void
test_perl_title_own (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("Original");
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A title that a worker has given itself is left alone");
  afrpc_process_eval (process, "sub name { $0 = 'of its own' }", NULL);
  watch_function (&watched, process, "Original::run", AFRPC_BACKEND_SYNC, &(PerlOptions) { .init = "name" });
  check_title (&watched, "title-is", "of its own");
}

static void
test_perl_last_events (void)
{
  g_test_summary ("What is sent by END blocks and destructors, when a function has called exit, arrives");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_original (&watched, backends[b], NULL);
      check_call (watched.proxy, "('last',)", "(1)");
      check_error (watched.proxy, "('exit',)", AFRPC_ERROR_DIED, "status 3");
      watch_end (&watched);
      g_assert_cmpstr (watched.log->str, ==, "event (ended); event (destroyed); error; exited; destroyed; ");
    }
}

static void
test_perl_no_call (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A done function of the sync backend can send events, even if there never was a call");
  watch_original (&watched, AFRPC_BACKEND_SYNC, &(PerlOptions) { .done = "Original::done" });
  watch_end (&watched);
  g_assert_cmpstr (watched.log->str, ==, "event (done); exited; destroyed; ");
}

static void
test_perl_threads (void)
{
  g_auto(Watched) sync = { 0 };
  g_auto(Watched) async = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autofree char *text = NULL;

  if (skip_without ("threads"))
    return;

  g_test_summary ("Threads may run while a call is open; they say nothing to the program");
  watch_original (&sync, AFRPC_BACKEND_SYNC, NULL);
  text = call_text (sync.proxy, "thread");
  g_assert_true (g_str_has_prefix (text, "(an event cannot be sent by a thread other than the first at "));
  watch_original (&async, AFRPC_BACKEND_ASYNC, NULL);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *said = call_text (async.proxy, "thread");

      g_assert_true (g_str_has_prefix (said, "(a call cannot be answered by a thread other than the first at "));
    }
  begin_call (&async, g_variant_new ("(s)", "thread-open"), &outcome);
  while (async.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  check_call (async.proxy, "('answer-open',)", "(all)");
  outcome_wait (&outcome);
  g_assert_no_error (outcome.error);
  watch_end (&async);
  g_assert_true (afrpc_exit_is_success (async.exit));
  watch_end (&sync);
  g_assert_true (afrpc_exit_is_success (sync.exit));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/event", test_perl_event);
  g_test_add_func ("/perl/octets", test_perl_octets);
  g_test_add_func ("/perl/surroundings", test_perl_surroundings);
  g_test_add_func ("/perl/title", test_perl_title);
  g_test_add_func ("/perl/title-own", test_perl_title_own);
  g_test_add_func ("/perl/last-events", test_perl_last_events);
  g_test_add_func ("/perl/no-call", test_perl_no_call);
  g_test_add_func ("/perl/threads", test_perl_threads);

  return g_test_run ();
}
