/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes that are prepared by one program, and used by another. */
#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  int fd;
  int pidfd;
} Ends;

static void
handed_over_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      data)
{
  Ends *ends = data;
  g_autoptr(GError) error = NULL;

  ends->fd = afrpc_process_to_fd_finish (AFRPC_PROCESS (source), result, &ends->pidfd, &error);
  g_assert_no_error (error);
}

static Ends
hand_over (AfrpcProcess *process)
{
  Ends ends = { -1, -1 };

  afrpc_process_to_fd_async (process, NULL, handed_over_cb, &ends);
  while (ends.fd < 0)
    g_main_context_iteration (NULL, TRUE);

  return ends;
}

/* Takes what is handed over, with the pidfd that belongs to it. */
static AfrpcProcess *
take_over (const char   *host,
           AfrpcProcess *process)
{
  const Ends ends = hand_over (process);

  return afrpc_process_new_from_fd (host, ends.fd, ends.pidfd);
}

static void
test_hand_over (void)
{
  g_test_summary ("A prepared process can be handed over by its socket, before or after it was greeted");
  for (guint was_greeted = 0; was_greeted < 2; was_greeted++)
    {
      AfrpcProcess *prepared = test_template_new ();
      g_autoptr(AfrpcProcess) process = NULL;
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autofree char *text = NULL;
      int pid;

      afrpc_process_send_arg (prepared, g_variant_new_string ("a"));
      test_send_fd_with (prepared, "A");
      if (was_greeted)
        {
          /* By then the template has read and answered everything. */
          g_autofree char *forked = test_describe_start (afrpc_process_fork (prepared));

          test_send_fd_with (prepared, "B");
        }
      pid = afrpc_process_get_pid (prepared);
      process = take_over (was_greeted ? NULL : "c", prepared);
      g_object_unref (prepared);

      afrpc_process_send_arg (process, g_variant_new_string ("b"));
      watch_init (&watched, afrpc_proxy_new (process, "get_start"));
      result = test_call (watched.proxy, NULL, &error);
      g_assert_no_error (error);
      text = g_variant_print (result, FALSE);
      g_assert_cmpstr (text, ==, was_greeted ? "(<'none'>, <('a', 'b')>, ['', 'B'])" : "(<'none'>, <('a', 'b')>, ['A'])");
      g_assert_cmpint (afrpc_process_get_pid (process), >, 0);
      g_assert_true (pid == 0 || pid == afrpc_process_get_pid (process));
      watch_end (&watched);
      g_assert_false (afrpc_exit_is_known (watched.exit));
      g_assert_no_error (watched.error);
    }
}

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      is_closed)
{
  g_assert_true (afrpc_caller_close_finish (AFRPC_CALLER (source), result, NULL));
  *(gboolean *) is_closed = TRUE;
}

static void
test_hand_over_lingers (void)
{
  AfrpcProcess *prepared = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  gboolean is_closed = FALSE;
  int fds[2];

  g_test_summary ("What was handed over is over when its process has ended, and not when that says nothing any more");
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_require (prepared, TEST_WORKER);
  afrpc_process_take_stdout_fd (prepared, fds[1]);
  process = take_over ("c", prepared);
  g_object_unref (prepared);
  proxy = afrpc_proxy_new (process, "act");
  g_variant_unref (test_call (proxy, test_act ("linger", g_variant_new_int32 (STDOUT_FILENO)), NULL));
  afrpc_caller_close_async (AFRPC_CALLER (proxy), NULL, closed_cb, &is_closed);
  test_iterate_until_fd (fds[0], G_IO_IN);
  /* Its socket is closed soon after, if it is not yet. */
  for (guint i = 0; i < 20; i++)
    {
      poll (NULL, 0, 1);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  g_assert_false (is_closed);
  g_assert_no_errno (kill (afrpc_process_get_pid (process), SIGKILL));
  test_iterate_until (&is_closed);
  close (fds[0]);
}

static void
notified_cb (GObject    *process,
             GParamSpec *pspec,
             GString    *told)
{
  g_string_append_printf (told, "%s ", pspec->name);
}

static void
test_hand_over_notify (void)
{
  AfrpcProcess *prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = take_over (NULL, prepared);
  g_autoptr(GString) told = g_string_new (NULL);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("What is known of a process that was handed over when it has greeted is notified of");
  g_object_unref (prepared);
  g_signal_connect (process, "notify", G_CALLBACK (notified_cb), told);
  g_assert_null (afrpc_process_get_host (process));
  watch_init (&watched, afrpc_proxy_new (process, "echo"));
  result = test_call (watched.proxy, g_variant_new ("(s)", "x"), NULL);
  g_assert_nonnull (result);
  g_assert_cmpstr (told->str, ==, "host pid ");
  watch_end (&watched);
  g_assert_cmpstr (told->str, ==, "host pid ");
}

static void
test_hand_over_twice (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;

  g_test_summary ("What was handed over is not used any more, whatever becomes of it, and says why");
  process = take_over ("c", prepared);
  for (guint has_ended = 0; has_ended < 2; has_ended++)
    {
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (prepared, "echo");
      g_autoptr(GError) error = NULL;

      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
      g_assert_cmpstr (error->message, ==, "the process was handed over");
      if (has_ended)
        break;
      g_clear_object (&process);
      afrpc_exit_unref (test_wait_exit (prepared));
    }
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_require: a process is prepared before it gets its job*");
  afrpc_process_require (prepared, TEST_WORKER);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_set_nice: this is said of a process before*");
  afrpc_process_set_nice (prepared, 1);
  g_test_assert_expected_messages ();
}

static void
test_hand_over_on (void)
{
  g_test_summary ("Who has taken a process over may hand it on, at once, and however often");
  for (guint greets = 0; greets < 2; greets++)
    {
      AfrpcProcess *process = greets ? test_template_new () : afrpc_process_new ();
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_process_require (process, TEST_WORKER);
      for (guint i = 0; i < 20; i++)
        {
          AfrpcProcess *before = process;

          process = take_over (NULL, before);
          g_object_unref (before);
        }
      proxy = afrpc_proxy_new (process, "echo");
      g_object_unref (process);
      result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "x"), NULL, &error);
      g_assert_no_error (error);
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
    }
}

static void
test_hand_over_any_host (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);

  g_test_summary ("One that may be of any host says which it is of, and is forked as that, not executed");
  for (guint i = 0; i < 3; i++)
    {
      /* One that cannot be forked; one by its path; and by its name. */
      g_autoptr(AfrpcProcess) prepared =
        i == 0 ? afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST")) : afrpc_process_new_exec (i == 1 ? path : "c");
      g_autoptr(AfrpcProcess) process = take_over (NULL, prepared);
      g_autoptr(AfrpcProcess) fork = NULL;
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;

      g_assert_null (afrpc_process_get_host (process));
      fork = afrpc_process_fork (process);
      g_assert_null (afrpc_process_get_host (fork));
      afrpc_process_require (fork, TEST_WORKER);
      proxy = afrpc_proxy_new (fork, "echo");
      result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);
      if (i == 0)
        g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      else
        g_assert_no_error (error);
      g_assert_cmpstr (afrpc_process_get_host (process), ==, i == 0 ? "fork" : "c");
      g_assert_cmpstr (afrpc_process_get_host (fork), ==, afrpc_process_get_host (process));
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
    }
}

static char *
try_to_start (AfrpcProcess *process) /* (transfer full) */
{
  g_autoptr(AfrpcProcess) owned = process;
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "get_start");
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);

  if (result != NULL)
    return g_variant_print (result, FALSE);

  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  return g_strdup (error->message);
}

static void
test_hand_over_dead (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL, fork = NULL;

  g_test_summary ("Nothing is started in the place of what was handed over and has died, or was forked from that");
  afrpc_process_send_arg (prepared, g_variant_new_string ("a"));
  process = take_over ("c", prepared);
  fork = afrpc_process_fork (process);
  for (guint is_dead = 0; is_dead < 2; is_dead++)
    {
      g_autofree char *first = try_to_start (afrpc_process_fork (process));
      g_autofree char *second = try_to_start (afrpc_process_fork (fork));
      g_autofree char *from_fork = NULL;

      if (is_dead)
        {
          g_assert_nonnull (strstr (first, "handed over"));
          g_assert_nonnull (strstr (second, "handed over"));
          break;
        }
      g_assert_nonnull (strstr (first, "<('a',)>"));
      g_assert_cmpstr (second, ==, first);
      afrpc_process_kill (fork, SIGKILL);
      afrpc_process_kill (process, SIGKILL);
      from_fork = try_to_start (afrpc_process_fork (fork));
      g_assert_nonnull (strstr (from_fork, "handed over"));
    }
}

/* The greeting of a host, for printf(1). */
static char *
new_greeting (gsize from,
              gsize to)
{
  static const guint8 head[] = {
    1, 0, 0, 0, 5, 0, 0, 0, 0, 'a', 'f', 'r', 'p', 'c', '1', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 'a', '{', 's', 'v', '}', 0, 0, 0,
  };
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed ("{'version': <uint32 1>, 'host': <'slow'>}"));
  guint8 bytes[sizeof head + 256] = { 0 };
  GString *text = g_string_new (NULL);

  memcpy (bytes, head, sizeof head);
  bytes[16] = g_variant_get_size (value);
  g_variant_store (value, bytes + sizeof head);
  for (gsize i = from; i < MIN (to, sizeof head + (g_variant_get_size (value) + 7) / 8 * 8); i++)
    g_string_append_printf (text, "\\%03o", bytes[i]);

  return g_string_free (text, FALSE);
}

static void
test_hand_over_half_greeting (void)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *host = g_build_filename (dir, "host", NULL);
  g_autofree char *said = g_build_filename (dir, "said", NULL);
  g_autofree char *go = g_build_filename (dir, "go", NULL);
  g_autofree char *first = new_greeting (0, 30);
  g_autofree char *second = new_greeting (30, G_MAXSIZE);
  g_autofree char *script = g_strdup_printf ("#!/bin/sh\nprintf '%s' >&3\necho x >'%s'\nread x <'%s'\nprintf '%s' >&3\n"
                                             "exec cat <&3 >/dev/null\n", first, said, go, second);
  g_autoptr(AfrpcProcess) process = NULL;
  char byte;
  Ends ends = { -1, -1 };
  int pipe_fd;

  if (G_BYTE_ORDER != G_LITTLE_ENDIAN)
    {
      g_test_skip ("the greeting is made for little endian");
      return;
    }

  g_test_summary ("A process is not handed over in the middle of its greeting");
  g_assert_true (g_file_set_contents (host, script, -1, NULL));
  g_assert_no_errno (chmod (host, 0700));
  g_assert_no_errno (mkfifo (said, 0600));
  g_assert_no_errno (mkfifo (go, 0600));
  process = afrpc_process_new_exec (host);
  while (afrpc_process_get_pid (process) == 0)
    g_main_context_iteration (NULL, TRUE);

  pipe_fd = open (said, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (read (pipe_fd, &byte, 1), ==, 1);
  close (pipe_fd);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  afrpc_process_to_fd_async (process, NULL, handed_over_cb, &ends);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpint (ends.fd, ==, -1);

  pipe_fd = open (go, O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (write (pipe_fd, "x\n", 2), ==, 2);
  close (pipe_fd);
  while (ends.fd < 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (recv (ends.fd, &byte, 1, MSG_DONTWAIT), ==, -1);
  close (ends.fd);
  close (ends.pidfd);

  unlink (host);
  unlink (said);
  unlink (go);
  rmdir (dir);
}

static void
test_hand_over_broken (void)
{
  g_autoptr(AfrpcProcess) prepared = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("What goes wrong in its preparation, whoever gets it is told");
  afrpc_process_require (prepared, "no-such-module");
  process = take_over (NULL, prepared);
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
}

typedef enum
{
  KILL_AT_ONCE, /* when nobody has heard of it yet */
  KILL_IN_CALL,
  N_KILLS,
} Kill;

static void
test_hand_over_kill (void)
{
  g_test_summary ("One that is handed over can be killed, at once and while it works, and its own program sees that");
  for (Kill when = 0; when < N_KILLS; when++)
    {
      g_autoptr(AfrpcProcess) prepared = test_template_new ();
      g_autoptr(AfrpcProcess) process = take_over ("c", prepared);
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };
      g_autoptr(AfrpcExit) exit = NULL;

      watch_init (&watched, afrpc_proxy_new (process, "act"));
      if (when == KILL_IN_CALL)
        g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("spin", NULL), NULL, outcome_cb, &outcome);
      afrpc_process_kill (process, SIGKILL);
      afrpc_process_kill (process, SIGTERM); /* changes nothing */
      outcome_wait (&outcome);
      g_assert_nonnull (outcome.error);
      exit = test_wait_exit (prepared);
      g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
    }
}

/* It is reaped by who has handed it over, before or after the other program hears of it. */
static void
test_hand_over_dead_before (void)
{
  g_test_summary ("What has died before it was adopted has ended, and is not mistaken for another process");
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(AfrpcProcess) prepared = test_template_new ();
      const Ends ends = hand_over (prepared);
      g_autoptr(AfrpcProcess) process = NULL, fork = NULL;
      g_autoptr(AfrpcProxy) proxy = NULL, refused = NULL;
      g_autoptr(GError) error = NULL, fork_error = NULL;
      g_autoptr(AfrpcExit) exit = NULL;
      const int pid = afrpc_process_get_pid (prepared);
      struct pollfd socket = { ends.fd, POLLIN, 0 };

      fork = afrpc_process_fork (prepared);
      refused = afrpc_proxy_new (fork, "echo");
      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (refused), NULL, NULL, &fork_error));
      g_assert_error (fork_error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
      g_assert_cmpstr (fork_error->message, ==, "a process that was handed over cannot be forked any more");

      /* It has greeted, if that was not read before: what it has said is there yet when it is dead. */
      poll (&socket, 1, 1000);
      if (i % 2 == 0)
        afrpc_process_kill (prepared, SIGKILL);
      else
        kill (pid, SIGKILL);
      if (i / 2 == 0)
        {
          exit = test_wait_exit (prepared);
          g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
        }
      process = afrpc_process_new_from_fd ("c", ends.fd, ends.pidfd);
      proxy = afrpc_proxy_new (process, "echo");
      g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "x"), NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
      g_assert_nonnull (strstr (error->message, " ended, nobody knows how"));
    }
}

static void
test_hand_over_without_pidfd (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  g_autoptr(AfrpcExit) exit = NULL;
  const Ends ends = hand_over (prepared);

  g_test_summary ("Without a pidfd a process cannot be signalled, and to kill it is to leave it");
  if (ends.pidfd >= 0)
    close (ends.pidfd);
  process = afrpc_process_new_from_fd ("c", ends.fd, -1);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
  afrpc_process_kill (process, SIGTERM);
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));

  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL, outcome_cb, &outcome);
  afrpc_process_kill (process, SIGKILL);
  outcome_wait (&outcome);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  exit = test_wait_exit (prepared);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, 0);
}

/* Fails with such a pidfd (transfer full), and ends the process that was handed over. */
static void
assert_refused (int         pidfd,
                AfrpcError  code,
                const char *words)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  const Ends ends = hand_over (prepared);

  if (ends.pidfd >= 0)
    close (ends.pidfd);
  process = afrpc_process_new_from_fd ("c", ends.fd, pidfd);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  afrpc_process_kill (process, SIGKILL);
  result = test_call (watched.proxy, test_act ("return", NULL), &error);
  g_assert_error (error, AFRPC_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
  exit = test_wait_exit (prepared);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, 0);
}

static void
test_hand_over_wrong_pidfd (void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) other = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE, &error, "cat", NULL);
  g_auto(Watched) sibling = { 0 };
  int closed_fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 900);
  int pidfd;

  g_test_summary ("What is no pidfd, or that of another process, is refused, and that process left alone");
  close (closed_fd);
  g_assert_no_error (error);
  assert_refused (open ("/dev/null", O_RDWR | O_CLOEXEC), AFRPC_ERROR_FAILED, "stands for no process");
  assert_refused (closed_fd, AFRPC_ERROR_FAILED, "stands for no process");

  pidfd = syscall (SYS_pidfd_open, getpid (), 0);
  if (pidfd >= 0)
    {
      assert_refused (pidfd, AFRPC_ERROR_PROTOCOL, "not the one that it should be");
      assert_refused (syscall (SYS_pidfd_open, atoi (g_subprocess_get_identifier (other)), 0), AFRPC_ERROR_PROTOCOL,
                      "not the one that it should be");
      watch_init (&sibling, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
      g_variant_unref (test_call (sibling.proxy, test_act ("return", NULL), NULL));
      assert_refused (syscall (SYS_pidfd_open, afrpc_process_get_pid (afrpc_proxy_get_process (sibling.proxy)), 0),
                      AFRPC_ERROR_PROTOCOL, "not the one that it should be");
      g_variant_unref (test_call (sibling.proxy, test_act ("return", NULL), &error));
      g_assert_no_error (error);
    }
  g_output_stream_close (g_subprocess_get_stdin_pipe (other), NULL, NULL);
  g_assert_true (g_subprocess_wait_check (other, NULL, &error));
  g_assert_no_error (error);
}

static void
assert_call_fails (AfrpcProcess *process, /* (transfer full) */
                   AfrpcError    code)
{
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
  g_autoptr(GError) error = NULL;

  g_object_unref (process);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, (int) code);
}

static void
test_hand_over_wrong_pidfd_forked (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL, early = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  const int pidfd = syscall (SYS_pidfd_open, getpid (), 0);
  Ends ends;

  g_test_summary ("What is forked from a process whose pidfd is another's fails like it, unless it is there before that is known");
  if (pidfd < 0)
    {
      g_test_skip ("there are no pidfds");
      return;
    }

  ends = hand_over (prepared);
  close (ends.pidfd);
  process = afrpc_process_new_from_fd ("c", ends.fd, pidfd);
  early = afrpc_process_fork (process);
  proxy = afrpc_proxy_new (early, "act");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, &error);
  if (result == NULL)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  assert_call_fails (afrpc_process_fork (process), AFRPC_ERROR_PROTOCOL);
  assert_call_fails (g_object_ref (process), AFRPC_ERROR_PROTOCOL);
}

static void
test_hand_over_reaped_pidfd (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL, child = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL, child_proxy = NULL;
  const int pid = fork ();
  int pidfd;
  Ends ends;

  g_test_summary ("The pidfd of a process that has ended and was reaped is as good as none");
  if (pid == 0)
    _exit (0);
  pidfd = syscall (SYS_pidfd_open, pid, 0);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  if (pidfd < 0)
    {
      g_test_skip ("there are no pidfds");
      return;
    }

  ends = hand_over (prepared);
  close (ends.pidfd);
  process = afrpc_process_new_from_fd ("c", ends.fd, pidfd);
  child = afrpc_process_fork (process);
  child_proxy = afrpc_proxy_new (child, "act");
  g_variant_unref (test_call (child_proxy, test_act ("return", NULL), NULL));
  proxy = afrpc_proxy_new (process, "act");
  g_variant_unref (test_call (proxy, test_act ("return", NULL), NULL));
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
}

static void
test_hand_over_host (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *forked = test_describe_start (afrpc_process_fork (prepared));

  g_test_summary ("Who takes a process over that was greeted before still learns of which host it is");
  process = take_over ("python", prepared);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST);
}

static void
test_hand_over_wrong_host (void)
{
  g_autoptr(AfrpcProcess) prepared = test_template_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *forked = test_describe_start (afrpc_process_fork (prepared));
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "touched", NULL);
  const int pid = afrpc_process_get_pid (prepared);
  Ends ends;

  g_test_summary ("A process of another host than it has to be runs nothing, whatever it was prepared with");
  ends = hand_over (prepared);
  g_assert_no_errno (kill (pid, SIGSTOP));
  process = afrpc_process_new_from_fd ("python", ends.fd, ends.pidfd);
  proxy = afrpc_proxy_new (process, "act");
  call = afrpc_caller_start (AFRPC_CALLER (proxy), test_act ("touch", g_variant_new_string (path)), NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_no_errno (kill (pid, SIGCONT));
  value = afrpc_call_wait_sync (call, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  afrpc_caller_kill (AFRPC_CALLER (proxy));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_no_errno (g_rmdir (dir));
}

/* In another program, which gets the ends from this one, and says how a fork of the process answers. */
static void
fork_elsewhere (Ends ends)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_from_fd ("c", ends.fd, ends.pidfd);
  g_autofree char *text = test_describe_start (afrpc_process_fork (process));

  g_print ("%s\n", text);
}

static void
test_hand_over_fork (void)
{
  g_test_summary ("A process can be forked by another program than that which has executed it");
  if (g_test_subprocess ())
    {
      fork_elsewhere ((Ends) { 7, fcntl (8, F_GETFD) >= 0 ? 8 : -1 });
      return;
    }
  else
    {
      g_autoptr(AfrpcProcess) prepared = test_template_new ();
      g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE);
      g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
      g_autoptr(GSubprocess) other = NULL;
      g_autoptr(GError) error = NULL;
      g_autofree char *text = NULL;
      Ends ends;

      afrpc_process_send_arg (prepared, g_variant_new_string ("a"));
      ends = hand_over (prepared);
      g_subprocess_launcher_take_fd (launcher, ends.fd, 7);
      if (ends.pidfd >= 0)
        g_subprocess_launcher_take_fd (launcher, ends.pidfd, 8);
      other = g_subprocess_launcher_spawn (launcher, &error, program, "--GTestSubprocess", "-p", "/hand-over/fork", NULL);
      g_assert_no_error (error);
      g_assert_true (g_subprocess_communicate_utf8 (other, NULL, NULL, &text, NULL, &error));
      g_assert_no_error (error);
      g_assert_true (g_subprocess_get_successful (other));
      g_assert_nonnull (strstr (text, "('a',)"));
    }
}

static void
refused_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  g_assert_cmpint (afrpc_process_to_fd_finish (AFRPC_PROCESS (source), result, NULL, data), ==, -1);
}

static void
test_hand_over_command (void)
{
  const char *argv[] = { "cat", NULL };
  g_autoptr(AfrpcProcess) process = afrpc_process_new_command (argv);
  g_autoptr(GError) error = NULL;

  g_test_summary ("What is reached by a command cannot be handed over");
  afrpc_process_to_fd_async (process, NULL, refused_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hand-over/twice", test_hand_over_twice);
  g_test_add_func ("/hand-over/on", test_hand_over_on);
  g_test_add_func ("/hand-over/lingers", test_hand_over_lingers);
  g_test_add_func ("/hand-over/notify", test_hand_over_notify);
  g_test_add_func ("/hand-over/any-host", test_hand_over_any_host);
  g_test_add_func ("/hand-over/dead", test_hand_over_dead);
  g_test_add_func ("/hand-over/prepared", test_hand_over);
  g_test_add_func ("/hand-over/half-greeting", test_hand_over_half_greeting);
  g_test_add_func ("/hand-over/broken", test_hand_over_broken);
  g_test_add_func ("/hand-over/kill", test_hand_over_kill);
  g_test_add_func ("/hand-over/dead-before", test_hand_over_dead_before);
  g_test_add_func ("/hand-over/without-pidfd", test_hand_over_without_pidfd);
  g_test_add_func ("/hand-over/wrong-pidfd", test_hand_over_wrong_pidfd);
  g_test_add_func ("/hand-over/wrong-pidfd-forked", test_hand_over_wrong_pidfd_forked);
  g_test_add_func ("/hand-over/reaped-pidfd", test_hand_over_reaped_pidfd);
  g_test_add_func ("/hand-over/host", test_hand_over_host);
  g_test_add_func ("/hand-over/wrong-host", test_hand_over_wrong_host);
  g_test_add_func ("/hand-over/fork", test_hand_over_fork);
  g_test_add_func ("/hand-over/command", test_hand_over_command);

  return g_test_run ();
}
