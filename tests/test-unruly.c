/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker whose functions, or whose parent, do what they should not. */
#include "config.h"

#include "raw-parent.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const RawKind all_kinds[] = {
  RAW_SOCKET, RAW_SHARED, RAW_COMMAND, RAW_SOCKET | RAW_ASYNC, RAW_SHARED | RAW_ASYNC, RAW_COMMAND | RAW_ASYNC,
};

static void
start (RawParent  *host,
       RawKind     kind,
       const char *options)
{
  AfrpcFrame frame;

  raw_start (host, kind, NULL);
  raw_put_hello (host);
  raw_put_module (host, g_getenv ("AFRPC_TEST_UNRULY_WORKER"));
  raw_put_run (host, kind, (kind & RAW_ASYNC) != 0 ? "unruly_async" : "unruly", options);
  g_assert_true (raw_wait (host, AFRPC_FRAME_READY, &frame));
}

static void
put_call (RawParent  *host,
          guint       number,
          const char *what,
          guint       n)
{
  raw_put_call (host, RAW_SERIAL (number), 0, AFRPC_FRAME_FLAG_PROGRESS, g_variant_new ("(su)", what, n));
}

static void
assert_answer (RawParent  *host,
               guint       number,
               const char *words)
{
  g_autofree char *text = raw_wait_answer (host, RAW_SERIAL (number));

  if (strstr (text, words) == NULL)
    g_error ("'%s' is not in %s", words, text);
}

/* The next frame that is not of a call that starts, as text: its kind, and the value. */
static char *
wait_text (RawParent *host)
{
  g_autoptr(GVariant) value = NULL;
  g_autofree char *text = NULL;
  AfrpcFrame frame;

  do
    g_assert_true (raw_wait_any (host, &frame));
  while (frame.header.kind == AFRPC_FRAME_STARTED);
  value = raw_parse (host, &frame);
  text = g_variant_print (value, FALSE);

  return g_strdup_printf ("%u %s", frame.header.kind, text);
}

static void
assert_text (RawParent      *host,
             AfrpcFrameKind  kind,
             const char     *value)
{
  g_autofree char *text = wait_text (host);
  g_autofree char *expected = g_strdup_printf ("%u %s", kind, value);

  g_assert_cmpstr (text, ==, expected);
}

/* Over a command, the end of what is written is that of the program, which ends the worker, or it does so itself before. */
static void
assert_ends_well (RawParent *host,
                  RawKind    kind)
{
  int status;

  g_assert_cmpint (raw_end (host, &status), ==, 0);
  g_assert_true (status == 0 || ((kind & RAW_COMMAND) != 0 && status == 128 + SIGKILL));
}

static void
test_unruly_fork (void)
{
  g_test_summary ("A process that a function forks says nothing for the worker, also if it returns");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "fork", 0);
      put_call (&host, 2, "fork-and-speak", 2000);
      put_call (&host, 3, "still there", 0);
      for (guint j = 0; j < 2; j++)
        {
          assert_text (&host, AFRPC_FRAME_EVENT, "'ended'");
          assert_text (&host, AFRPC_FRAME_RESULT, "'the parent'");
        }
      assert_text (&host, AFRPC_FRAME_RESULT, "'still there'");
      assert_ends_well (&host, all_kinds[i]);
    }
}

static void
test_unruly_fork_later (void)
{
  g_test_summary ("A process that is forked by what an async function left to be done later ends as that returns");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;

      if ((all_kinds[i] & RAW_ASYNC) == 0)
        continue;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "fork-later", 0);
      assert_text (&host, AFRPC_FRAME_EVENT, "'ended'");
      assert_text (&host, AFRPC_FRAME_RESULT, "'the parent'");
      assert_ends_well (&host, all_kinds[i]);
    }
}

static void
test_unruly_threads (void)
{
  g_test_summary ("What another thread says is refused and freed, and the worker goes on; what that drops is answered");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      const gboolean is_async = (all_kinds[i] & RAW_ASYNC) != 0;
      RawParent host;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "thread", 0);
      assert_text (&host, AFRPC_FRAME_RESULT, "'thread'");
      if (is_async)
        {
          g_autofree char *text = NULL;

          put_call (&host, 2, "answer-in-thread", 0);
          text = wait_text (&host);
          g_assert_nonnull (strstr (text, "dropped the call without an answer"));
        }
      put_call (&host, 3, "still there", 0);
      assert_text (&host, AFRPC_FRAME_RESULT, "'still there'");
      assert_ends_well (&host, all_kinds[i]);
    }
}

static void
test_unruly_nested (void)
{
  g_test_summary ("An async function may run the main loop: other calls run in it, to any depth, and to the end");
  for (guint i = 3; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "nest", 2);
      put_call (&host, 2, "keep", 0);
      put_call (&host, 3, "answer-and-nest", 2);
      put_call (&host, 4, "keep", 0);
      /* The innermost answers those of all. */
      assert_answer (&host, 3, "before");
      assert_answer (&host, 2, "nested");
      assert_answer (&host, 4, "nested");

      put_call (&host, 5, "keep", 0);
      put_call (&host, 6, "keep", 0);
      /* At the end of input, too; or of what is wanted, over a command. */
      if ((all_kinds[i] & RAW_COMMAND) != 0)
        raw_put (&host, AFRPC_FRAME_CLOSE, 0, NULL);
      raw_flush (&host);
      if ((all_kinds[i] & RAW_COMMAND) == 0)
        shutdown (host.transport.in_fd, SHUT_WR);
      assert_answer (&host, 5, "nested");
      assert_answer (&host, 6, "nested");
      assert_answer (&host, 1, "unnested");
      assert_ends_well (&host, all_kinds[i]);
    }
}

static void
test_unruly_close (void)
{
  g_test_summary ("A worker whose function closes its connection ends by itself");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;
      AfrpcFrame frame;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "close", 40);
      raw_flush (&host);
      g_assert_false (raw_wait (&host, AFRPC_FRAME_RESULT, &frame));
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
test_unruly_alarms (void)
{
  const guint n = 2000;

  g_test_summary ("Signals that interrupt a worker all the time change nothing");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "alarms", 200);
      assert_answer (&host, 1, "alarms");
      for (guint j = 2; j <= n; j++)
        {
          put_call (&host, j, j % 100 == 0 ? "bytes" : "x", 100000);
          if (j % 50 != 0)
            continue;
          for (guint k = j - 49; k <= j; k++)
            if (k > 1)
              assert_answer (&host, k, "x");
        }
      assert_ends_well (&host, all_kinds[i]);
    }
}

static void
test_unruly_exit (void)
{
  g_test_summary ("What a function that exits has said before has been said");
  for (guint i = 0; i < 3; i++)
    {
      RawParent host;
      AfrpcFrame frame;
      int status;

      start (&host, all_kinds[i], NULL);
      put_call (&host, 1, "events", 3);
      put_call (&host, 2, "exit", 7);
      for (guint j = 0; j < 3; j++)
        assert_text (&host, AFRPC_FRAME_EVENT, "'one of many'");
      assert_text (&host, AFRPC_FRAME_RESULT, "'events'");
      g_assert_false (raw_wait (&host, AFRPC_FRAME_RESULT, &frame));
      g_assert_cmpint (raw_end (&host, &status), ==, 0);
      g_assert_cmpint (status, ==, 7);
    }
}

static void
test_unruly_fatal_log (void)
{
  static const struct
  {
    const char *debug; /* what is fatal besides */
    const char *what;
    const char *message;
  } logs[] = {
    { "", "error", "(4, 'worker', 'the end')" },
    { "fatal-warnings", "a", "(16, 'worker', 'warning a')" },
  };

  g_test_summary ("A message that is fatal to a worker reaches its parent, as what it is, with the call's number");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    for (guint j = 0; j < G_N_ELEMENTS (logs); j++)
      {
        const gboolean is_async = (all_kinds[i] & RAW_ASYNC) != 0;
        g_autofree char *message = NULL;
        guint64 serial;
        RawParent host;
        AfrpcFrame frame;
        int signum, status;

        g_setenv ("G_DEBUG", logs[j].debug, TRUE);
        raw_start (&host, all_kinds[i], NULL);
        g_unsetenv ("G_DEBUG");
        raw_put_hello (&host);
        raw_put_module (&host, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));
        raw_put_run (&host, all_kinds[i], is_async ? "log_async" : "log_something", "'log': <true>");
        raw_put_call (&host, RAW_SERIAL (1), 0, 0, g_variant_new ("(s)", logs[j].what));
        message = raw_wait_text (&host, AFRPC_FRAME_LOG, &serial);
        g_assert_cmpstr (message, ==, logs[j].message);
        g_assert_cmpuint (serial, ==, RAW_SERIAL (1));
        g_assert_false (raw_wait (&host, AFRPC_FRAME_RESULT, &frame));
        signum = raw_end (&host, &status);
        g_assert_true (signum == SIGTRAP || signum == SIGABRT || status == 128 + SIGTRAP || status == 128 + SIGABRT);
      }
}

/* Gives the other end up, as a parent's death does. */
static void
vanish (RawParent *host)
{
  if (host->transport.out_fd != host->transport.in_fd)
    close (host->transport.out_fd);
  close (host->transport.in_fd);
  host->transport.in_fd = host->transport.out_fd = -1;
}

static void
test_unruly_never_reads (void)
{
  g_test_summary ("A worker whose parent never reads waits for it, and ends with it");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    for (guint policy = 0; policy <= 2; policy++)
      {
        g_autofree char *options = g_strdup_printf ("'orphan': <byte %u>", policy);
        RawParent host;

        /* An async worker lives on by this one. */
        if (policy == 2 && (all_kinds[i] & RAW_ASYNC) != 0)
          continue;

        start (&host, all_kinds[i], options);
        put_call (&host, 1, "events", 100000);
        put_call (&host, 2, "bytes", 1000000);
        put_call (&host, 3, "events", 100000);
        raw_flush (&host);
        vanish (&host);
        g_assert_cmpint (raw_end (&host, NULL), ==, 0);
      }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/unruly/fork", test_unruly_fork);
  g_test_add_func ("/unruly/fork-later", test_unruly_fork_later);
  g_test_add_func ("/unruly/threads", test_unruly_threads);
  g_test_add_func ("/unruly/nested", test_unruly_nested);
  g_test_add_func ("/unruly/close", test_unruly_close);
  g_test_add_func ("/unruly/alarms", test_unruly_alarms);
  g_test_add_func ("/unruly/exit", test_unruly_exit);
  g_test_add_func ("/unruly/fatal-log", test_unruly_fatal_log);
  g_test_add_func ("/unruly/never-reads", test_unruly_never_reads);

  return g_test_run ();
}
