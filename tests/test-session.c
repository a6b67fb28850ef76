/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's side of a conversation, from a parent that speaks by hand. */
#include "config.h"

#include "raw-parent.h"
#include "wire/afrpc-metadata.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Asks a host to fork; the new process' parent is @child. */
static void
put_fork (RawParent *host,
          RawParent *child)
{
  int sockets[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
  afrpc_transport_put_fd (&host->transport, AFRPC_FRAME_FORK, NULL, sockets[1]);
  raw_adopt (child, sockets[0]);
}

static guint32
wait_forked (RawParent *host)
{
  AfrpcFrame frame;
  g_autoptr(GVariant) forked = NULL;
  gboolean is_sibling;
  guint32 pid;

  g_assert_true (raw_wait (host, AFRPC_FRAME_FORKED, &frame));
  forked = raw_parse (host, &frame);
  g_variant_get (forked, "(ub)", &pid, &is_sibling);

  return pid;
}

/* Returns: who has sent the greeting, as the kernel says */
static guint32
wait_hello_pid (RawParent *host)
{
  AfrpcFrame frame;

  g_assert_true (raw_wait (host, AFRPC_FRAME_HELLO, &frame));
  g_assert_cmpint (host->transport.sender_pid, >, 0);
  g_assert_false (host->transport.asks_sender);

  return host->transport.sender_pid;
}

static void
test_session_pid (void)
{
  RawParent host, children[2], grandchild;

  g_test_summary ("Each process greets for itself, also one that was forked from one that was forked");
  raw_start (&host, RAW_SOCKET, NULL);
  g_assert_cmpuint (wait_hello_pid (&host), ==, host.spawned.pid);
  raw_put_hello (&host);
  for (guint i = 0; i < 2; i++)
    {
      put_fork (&host, &children[i]);
      raw_flush (&host);
      g_assert_cmpuint (wait_hello_pid (&children[i]), ==, wait_forked (&host));
    }

  raw_put_hello (&children[0]);
  put_fork (&children[0], &grandchild);
  raw_flush (&children[0]);
  g_assert_cmpuint (wait_hello_pid (&grandchild), ==, wait_forked (&children[0]));

  raw_end (&grandchild, NULL);
  raw_end (&children[0], NULL);
  raw_end (&children[1], NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
test_session_greeted_again (void)
{
  RawParent host;
  AfrpcFrame frame;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;

  g_test_summary ("Whoever greets while the worker is being prepared is answered, and it goes on from there");
  raw_start (&host, RAW_SOCKET, NULL);
  first = raw_wait_text (&host, AFRPC_FRAME_HELLO, NULL);
  raw_put_hello (&host);
  raw_put_module (&host, TEST_WORKER);
  raw_put_hello (&host);
  second = raw_wait_text (&host, AFRPC_FRAME_HELLO, NULL);
  g_assert_cmpstr (first, ==, second);
  raw_put_run (&host, RAW_SOCKET, "echo", NULL);
  g_assert_true (raw_wait (&host, AFRPC_FRAME_READY, &frame));
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
assert_name (guint32     pid,
             const char *pattern)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/comm", pid);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  if (!g_pattern_match_simple (pattern, g_strchomp (text)))
    g_error ("'%s' is no '%s'", text, pattern);
}

static void
test_session_template_name (void)
{
  RawParent host, child, grandchild;
  guint32 child_pid, grandchild_pid;
  AfrpcFrame frame;

  g_test_summary ("A process is named a template as long as it is one; what is forked from it, by a number until it has a job and has written something");
  raw_start (&host, RAW_SOCKET, NULL);
  wait_hello_pid (&host);
  assert_name (host.spawned.pid, "afrpc-host-c");
  raw_put_hello (&host);
  put_fork (&host, &child);
  raw_flush (&host);
  child_pid = wait_hello_pid (&child);
  g_assert_cmpuint (wait_forked (&host), ==, child_pid);
  assert_name (host.spawned.pid, "afrpc-template");
  assert_name (child_pid, "afrpc-????????");

  raw_put_hello (&child);
  put_fork (&child, &grandchild);
  raw_flush (&child);
  grandchild_pid = wait_forked (&child);
  assert_name (child_pid, "afrpc-template");
  wait_hello_pid (&grandchild);
  assert_name (grandchild_pid, "afrpc-????????");

  raw_put_module (&child, TEST_WORKER);
  raw_put_run (&child, RAW_SOCKET, "echo", NULL);
  g_assert_true (raw_wait (&child, AFRPC_FRAME_READY, &frame));
  /* As soon as it has written something: that may be the first result. */
  for (guint i = 1; i <= 2; i++)
    {
      raw_put_call (&child, RAW_SERIAL (i), 0, 0, g_variant_new ("(s)", "x"));
      g_assert_true (raw_wait (&child, AFRPC_FRAME_RESULT, &frame));
    }
  assert_name (child_pid, "afrpc-host-c");
  raw_end (&grandchild, NULL);
  raw_end (&child, NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
test_session_lost_fork (void)
{
  RawParent host, child;

  g_test_summary ("A process that was forked is told of, though its language fails afterwards");
  g_setenv ("AFRPC_TEST_FORK", "lose", TRUE);
  raw_start (&host, RAW_SOCKET, g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_unsetenv ("AFRPC_TEST_FORK");
  raw_put_hello (&host);
  put_fork (&host, &child);
  raw_flush (&host);
  g_assert_cmpuint (wait_forked (&host), ==, wait_hello_pid (&child));
  raw_end (&child, NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
test_session_fork_without_fds (void)
{
  g_test_summary ("A fork that there is no descriptor for is refused, and leaves nobody behind");
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") == NULL)
    {
      g_test_skip ("siblings can be made");
      return;
    }
  for (guint n_fds = 5; n_fds <= 9; n_fds++)
    {
      g_autofree char *limits = g_strdup_printf ("{'limits': <[(byte 3, uint64 %u)]>}", n_fds);
      RawParent host, child;
      AfrpcFrame frame;

      raw_start (&host, RAW_SOCKET, NULL);
      raw_put_hello (&host);
      raw_put_text (&host, AFRPC_FRAME_SURROUNDINGS, 0, limits, -1);
      put_fork (&host, &child);
      do
        g_assert_true (raw_wait_any (&host, &frame));
      while (frame.header.kind == AFRPC_FRAME_HELLO);

      if (n_fds == 9)
        g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_FORKED);
      if (frame.header.kind != AFRPC_FRAME_FORKED)
        {
          g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_REFUSED);
          while (raw_wait_any (&child, &frame))
            g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_HELLO);
        }
      raw_end (&child, NULL);
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
test_session_greets_first (void)
{
  RawParent host, child;
  AfrpcFrame frame;

  g_test_summary ("Without shared memory a forked worker has greeted before it does anything else");
  g_setenv ("AFRPC_TEST_FORK", "chain", TRUE);
  raw_start (&host, RAW_SOCKET, g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_unsetenv ("AFRPC_TEST_FORK");
  raw_put_hello (&host);
  put_fork (&host, &child);
  /* All that it is going to do is there already, so nothing else makes it speak; its host ends it while it looks for
   * the function. */
  raw_put_hello (&child);
  raw_put_run (&child, RAW_SOCKET, "leave", NULL);
  raw_flush (&child);
  raw_flush (&host);

  g_assert_true (raw_wait_any (&child, &frame));
  g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_HELLO);
  g_assert_false (raw_wait_any (&child, &frame));
  raw_end (&child, NULL);
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

/* A worker that serves @function. */
static void
start_serving (RawParent  *host,
               RawKind     kind,
               const char *function)
{
  AfrpcFrame frame;

  raw_start (host, kind, NULL);
  raw_put_hello (host);
  raw_put_module (host, TEST_WORKER);
  raw_put_run (host, kind, function, NULL);
  g_assert_true (raw_wait (host, AFRPC_FRAME_READY, &frame));
}

static GVariant *
new_act (const char *what,
         GVariant   *value)
{
  return g_variant_new ("(sv)", what, value);
}

static const char *
act (RawKind kind)
{
  return (kind & RAW_ASYNC) != 0 ? "act_async" : "act";
}

static const RawKind all_kinds[] = {
  RAW_SOCKET, RAW_SHARED, RAW_COMMAND, RAW_SOCKET | RAW_ASYNC, RAW_SHARED | RAW_ASYNC, RAW_COMMAND | RAW_ASYNC,
};

static void
assert_timed (RawParent        *host,
              const AfrpcFrame *frame,
              gint64            since)
{
  g_autoptr(GVariant) value = NULL;

  g_assert_cmpint (frame->header.kind, ==, AFRPC_FRAME_STARTED);
  value = raw_parse (host, frame);
  g_assert_true (g_variant_is_of_type (value, G_VARIANT_TYPE_INT64));
  g_assert_cmpint (g_variant_get_int64 (value), >=, since);
  g_assert_cmpint (g_variant_get_int64 (value), <=, g_get_monotonic_time ());
}

static void
test_session_timed (void)
{
  g_test_summary ("A timed call tells that and when it starts before its function says anything; others as ever");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      const gint64 since = g_get_monotonic_time ();
      const gboolean has_page = (all_kinds[i] & RAW_SHARED) != 0;
      RawParent host;
      AfrpcFrame frame;

      start_serving (&host, all_kinds[i], act (all_kinds[i]));
      raw_put_call (&host, RAW_SERIAL (1), 0, AFRPC_FRAME_FLAG_TIMED, new_act ("event", g_variant_new_uint32 (1)));
      raw_put_call (&host, RAW_SERIAL (2), 0, 0, new_act ("event", g_variant_new_uint32 (2)));

      g_assert_true (raw_wait_any (&host, &frame));
      g_assert_cmpuint (frame.header.serial, ==, RAW_SERIAL (1));
      assert_timed (&host, &frame, since);
      g_assert_true (raw_wait_any (&host, &frame));
      g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_EVENT);
      g_assert_true (raw_wait_any (&host, &frame));
      g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_RESULT);
      if (!has_page)
        {
          g_assert_true (raw_wait_any (&host, &frame));
          g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_STARTED);
          g_assert_cmpuint (frame.header.serial, ==, RAW_SERIAL (2));
          g_assert_cmpuint (frame.header.size, ==, 0);
        }
      g_assert_true (raw_wait_any (&host, &frame));
      g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_EVENT);
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
test_session_timed_flushed (void)
{
  g_test_summary ("A timed call whose function never says anything, nor returns, has told that it starts");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      const gint64 since = g_get_monotonic_time ();
      RawParent host;
      AfrpcFrame frame;

      start_serving (&host, all_kinds[i], act (all_kinds[i]));
      raw_put_call (&host, RAW_SERIAL (1), 0, AFRPC_FRAME_FLAG_TIMED, new_act ("hang", g_variant_new_uint32 (0)));
      g_assert_true (raw_wait_any (&host, &frame));
      assert_timed (&host, &frame, since);
      kill (host.spawned.pid, SIGKILL);
      g_assert_cmpint (raw_end (&host, NULL), ==, SIGKILL);
    }
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

static void
test_session_metadata (void)
{
  const char *const bad[] = {
    "()", "'x'", "(<'x'>,)", "(<('metadata', <1>)>, {'a': 1})", "(<('metadata', <1>)>, @a{sv} {}, 1)",
    "(('metadata', <1>), @a{sv} {})", "{'a': <1>}",
  };
  g_autofree char *too_long = g_strnfill (AFRPC_METADATA_SIZE_MAX, 'a');

  g_test_summary ("A call whose metadata is malformed, or too large, fails alone");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      RawParent host;
      guint n = 0;

      start_serving (&host, all_kinds[i], act (all_kinds[i]));
      for (guint j = 0; j < G_N_ELEMENTS (bad); j++)
        {
          n++;
          raw_put_call (&host, RAW_SERIAL (n), 0, AFRPC_FRAME_FLAG_METADATA, g_variant_new_parsed (bad[j]));
          assert_answer (&host, n, "malformed metadata");
        }
      n++;
      raw_put_call (&host, RAW_SERIAL (n), 0, AFRPC_FRAME_FLAG_METADATA,
                    g_variant_new_parsed ("(<('metadata', <1>)>, {'a': <%s>})", too_long));
      assert_answer (&host, n, "the limit is 65536");

      /* What is good, and then what has none: nothing is left of the last one. */
      n++;
      raw_put_call (&host, RAW_SERIAL (n), 0, AFRPC_FRAME_FLAG_METADATA,
                    g_variant_new_parsed ("(<('metadata', <1>)>, {'a': <2>})"));
      assert_answer (&host, n, "(<{'a': <2>}>, <('metadata', <1>)>)");
      n++;
      raw_put_call (&host, RAW_SERIAL (n), 0, 0, new_act ("metadata", g_variant_new_int32 (1)));
      assert_answer (&host, n, "(<'none'>, <('metadata', <1>)>)");
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
put_function (RawParent  *host,
              guint       number,
              const char *name)
{
  raw_put (host, AFRPC_FRAME_FUNCTION, number, g_variant_new_string (name));
}

static GVariant *
new_return (guint32 number)
{
  return new_act ("return", g_variant_new_uint32 (number));
}

static void
test_session_functions (void)
{
  g_test_summary ("A worker serves the functions that were declared; what is wrong with one fails its calls alone");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      const gboolean is_async = (all_kinds[i] & RAW_ASYNC) != 0;
      g_autofree char *long_name = g_strnfill (4097, 'x');
      int status;
      RawParent host;

      start_serving (&host, all_kinds[i], act (all_kinds[i]));
      put_function (&host, 1, is_async ? "act_async" : "echo");
      put_function (&host, 2, "nowhere");
      put_function (&host, 3, is_async ? "act" : "act_async");
      put_function (&host, 5, long_name);
      put_function (&host, AFRPC_FRAME_FUNCTION_MAX, act (all_kinds[i]));
      for (guint function = 0; function <= 5; function++)
        raw_put_call (&host, RAW_SERIAL (function + 1), function, 0, new_return (function + 70));
      raw_put_call (&host, RAW_SERIAL (7), AFRPC_FRAME_FUNCTION_MAX, 0, new_return (77));
      raw_put_call (&host, RAW_SERIAL (8), G_MAXUINT16, 0, new_return (78));

      assert_answer (&host, 1, "70");
      assert_answer (&host, 2, is_async ? "71" : "('return', <uint32 71>)");
      assert_answer (&host, 3, "there is no function 'nowhere'");
      assert_answer (&host, 4, "backend");
      assert_answer (&host, 5, "function 4 has not been declared");
      assert_answer (&host, 6, "more than 4096 bytes");
      assert_answer (&host, 7, "77");
      assert_answer (&host, 8, "function 65535 has not been declared");
      g_assert_cmpint (raw_end (&host, &status), ==, 0);
      /* Over a command, the end of what is written is that of the program. */
      g_assert_true (status == 0 || ((all_kinds[i] & RAW_COMMAND) != 0 && status == 128 + SIGKILL));
    }
}

static void
test_session_bad_functions (void)
{
  static const struct
  {
    guint64 number;
    const char *value;
  } bad[] = {
    { 0, "'echo'" }, { 1, "'again'" }, { AFRPC_FRAME_FUNCTION_MAX + 1, "'echo'" }, { G_MAXUINT64, "'echo'" },
    { 2, "uint32 1" },
  };

  g_test_summary ("What cannot be declared ends a worker once it has answered the calls before");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    for (guint j = 0; j < G_N_ELEMENTS (bad); j++)
      {
        RawParent host;
        AfrpcFrame frame;
        int status;

        start_serving (&host, all_kinds[i], act (all_kinds[i]));
        put_function (&host, 1, act (all_kinds[i]));
        raw_put_call (&host, RAW_SERIAL (1), 1, 0, new_return (1));
        raw_put_text (&host, AFRPC_FRAME_FUNCTION, bad[j].number, bad[j].value, -1);
        raw_put_call (&host, RAW_SERIAL (2), 0, 0, new_return (2));
        assert_answer (&host, 1, "1");
        /* Over a command a goodbye follows, which is none that a stream takes for a frame. */
        g_assert_false (raw_wait (&host, AFRPC_FRAME_RESULT, &frame));
        g_assert_cmpint (raw_end (&host, &status), ==, 0);
        g_assert_cmpint (status, ==, 1);
      }
}

static void
test_session_late_function (void)
{
  RawParent host;
  AfrpcFrame frame;

  g_test_summary ("A function that is declared while a call looks at its cancelling is found afterwards");
  start_serving (&host, RAW_COMMAND, "act");
  raw_put_call (&host, RAW_SERIAL (1), 0, 0, new_act ("until-cancelled", g_variant_new_uint32 (0)));
  g_assert_true (raw_wait (&host, AFRPC_FRAME_EVENT, &frame));
  put_function (&host, 1, "echo");
  raw_put_call (&host, RAW_SERIAL (2), 1, 0, g_variant_new_string ("echoed"));
  raw_put (&host, AFRPC_FRAME_CANCEL, RAW_SERIAL (1), NULL);
  assert_answer (&host, 1, "true");
  assert_answer (&host, 2, "echoed");
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
assert_next (RawParent      *host,
             AfrpcFrameKind  kind)
{
  AfrpcFrame frame;

  g_assert_true (raw_wait_any (host, &frame));
  g_assert_cmpint (frame.header.kind, ==, kind);
  g_assert_cmpuint (frame.header.size, ==, 0);
}

/* The serial of the next frame, which must be a result. */
static guint64
wait_answer_next (RawParent *host)
{
  AfrpcFrame frame;

  g_assert_true (raw_wait_any (host, &frame));
  g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_RESULT);

  return frame.header.serial;
}

static void
test_session_call_fds (void)
{
  g_test_summary ("Descriptors that come with a call, and are not taken, are closed once, when it is answered");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      g_autoptr(GVariant) args = g_variant_ref_sink (new_return (1));
      AfrpcPayload payload = afrpc_payload (args);
      int sockets[2], fds[3];
      RawParent host;
      char byte;

      if ((all_kinds[i] & RAW_COMMAND) != 0)
        continue;

      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
      for (guint j = 0; j < G_N_ELEMENTS (fds); j++)
        fds[j] = dup (sockets[1]);
      close (sockets[1]);
      payload.fds = fds;
      payload.n_fds = G_N_ELEMENTS (fds);
      start_serving (&host, all_kinds[i], act (all_kinds[i]));
      afrpc_transport_put_payload (&host.transport, AFRPC_FRAME_CALL, RAW_SERIAL (1), &payload);
      assert_answer (&host, 1, "1");
      g_assert_cmpint (read (sockets[0], &byte, 1), ==, 0);
      raw_put_call (&host, RAW_SERIAL (2), 0, 0, new_return (2));
      assert_answer (&host, 2, "2");
      close (sockets[0]);
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
test_session_retire (void)
{
  g_test_summary ("A worker that retires says so once, in order, and answers all that it gets");
  for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
    {
      const RawKind kind = all_kinds[i];
      RawParent host;

      start_serving (&host, kind, act (kind));
      raw_put_call (&host, RAW_SERIAL (1), 0, 0, new_act ("retire", g_variant_new_uint32 (0)));
      if ((kind & RAW_SHARED) == 0)
        assert_next (&host, AFRPC_FRAME_STARTED);
      assert_next (&host, AFRPC_FRAME_RETIRE);
      assert_answer (&host, 1, "true");
      raw_put_call (&host, RAW_SERIAL (2), 0, 0, new_act ("retire", g_variant_new_uint32 (0)));
      if ((kind & RAW_SHARED) == 0)
        assert_next (&host, AFRPC_FRAME_STARTED);
      /* Nothing else comes before. */
      g_assert_cmpint (wait_answer_next (&host), ==, RAW_SERIAL (2));
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);

      raw_start (&host, kind, NULL);
      raw_put_hello (&host);
      raw_put_module (&host, TEST_WORKER);
      raw_put_run (&host, kind, act (kind), "'init': <'init_retire'>");
      raw_put_call (&host, RAW_SERIAL (1), 0, 0, new_return (1));
      g_free (raw_wait_text (&host, AFRPC_FRAME_HELLO, NULL));
      assert_next (&host, AFRPC_FRAME_READY);
      assert_next (&host, AFRPC_FRAME_RETIRE);
      assert_answer (&host, 1, "1");
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

#define PYTHON "async def coroutine (x): return x + 1\ndef plain (invocation, x): invocation.return_value (x + 2)\n"

static void
test_session_functions_python (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-python", NULL);
  static const char *const functions[][2] = { { "coroutine", "plain" }, { "plain", "coroutine" } };

  g_test_summary ("A worker in Python serves coroutines beside functions that answer for themselves");
  if (!g_file_test (path, G_FILE_TEST_IS_EXECUTABLE))
    {
      g_test_skip ("there is no host of Python");
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
    {
      RawParent host;

      raw_start (&host, RAW_SHARED | RAW_ASYNC, path);
      raw_put_hello (&host);
      raw_put (&host, AFRPC_FRAME_EVAL, 0, g_variant_new ("(sv)", PYTHON, g_variant_new ("()")));
      raw_put_run (&host, RAW_SHARED | RAW_ASYNC, functions[i][0], NULL);
      put_function (&host, 1, functions[i][1]);
      for (guint j = 0; j < 2; j++)
        {
          raw_put_call (&host, RAW_SERIAL (j + 1), j, 0, g_variant_new ("(x)", G_GINT64_CONSTANT (10)));
          assert_answer (&host, j + 1, i == j ? "11" : "12");
        }
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/session/pid", test_session_pid);
  g_test_add_func ("/session/greeted-again", test_session_greeted_again);
  g_test_add_func ("/session/template-name", test_session_template_name);
  g_test_add_func ("/session/lost-fork", test_session_lost_fork);
  g_test_add_func ("/session/fork-without-fds", test_session_fork_without_fds);
  g_test_add_func ("/session/greets-first", test_session_greets_first);

  g_test_add_func ("/session/timed", test_session_timed);
  g_test_add_func ("/session/timed-flushed", test_session_timed_flushed);

  g_test_add_func ("/session/metadata", test_session_metadata);

  g_test_add_func ("/session/functions", test_session_functions);
  g_test_add_func ("/session/bad-functions", test_session_bad_functions);
  g_test_add_func ("/session/late-function", test_session_late_function);

  g_test_add_func ("/session/call-fds", test_session_call_fds);
  g_test_add_func ("/session/retire", test_session_retire);
  g_test_add_func ("/session/functions-python", test_session_functions_python);

  return g_test_run ();
}
