/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that only makes blocking calls and never runs a main loop: nothing is left behind all the same. */
#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum
{
  END_DROP,
  END_CLOSE,
  END_CLOSE_SYNC,
  END_KILL,
} End;

static guint n_forgotten; /* of those that were dropped, and are waited for, but not for long */

static AfrpcProcess *
new_process (gboolean is_forked)
{
  AfrpcProcess *process = is_forked ? afrpc_process_new () : afrpc_process_new_exec (NULL);

  afrpc_process_require (process, TEST_WORKER);

  return process;
}

/* Waits until the child has ended, and leaves it to be reaped by whose it is. */
static void
wait_ended (int pid)
{
  siginfo_t info;

  /* It may have been reaped. */
  waitid (P_PID, pid, &info, WEXITED | WNOWAIT);
}

/* FALSE: it takes longer to end than it is waited for, on a machine with much to do, or under a sanitizer. */
static gboolean
was_reaped (int pid)
{
  siginfo_t info = { 0 };

  if (waitid (P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
    {
      g_assert_cmpint (info.si_pid, ==, 0);
      return FALSE;
    }

  g_assert_cmpint (errno, ==, ECHILD);
  return TRUE;
}

/* Returns: descriptors that are open then; 0: something is left that takes long to end */
static guint
use_one (gboolean is_forked,
         End      end)
{
  AfrpcProcess *process = new_process (is_forked);
  AfrpcProxy *proxy = afrpc_proxy_new (process, "echo");
  gpointer process_left = process, proxy_left = proxy;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  gboolean has_ended;
  int pid;

  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "x"), NULL, &error);
  g_assert_no_error (error);
  pid = afrpc_process_get_pid (process);
  g_assert_cmpint (pid, >, 0);
  g_object_add_weak_pointer (G_OBJECT (process), &process_left);
  g_object_add_weak_pointer (G_OBJECT (proxy), &proxy_left);

  if (end == END_CLOSE)
    afrpc_caller_close (AFRPC_CALLER (proxy));
  else if (end == END_CLOSE_SYNC)
    g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  else if (end == END_KILL)
    afrpc_caller_kill (AFRPC_CALLER (proxy));
  g_object_unref (process);
  g_object_unref (proxy);
  has_ended = (end == END_DROP || end == END_CLOSE_SYNC) && was_reaped (pid);
  wait_ended (pid);
  g_assert_true (has_ended || end != END_CLOSE_SYNC);
  if (end == END_DROP && !has_ended)
    {
      g_clear_weak_pointer (&process_left);
      return 0;
    }

  /* Of the others a main loop says how they have ended. */
  if (end == END_CLOSE_SYNC)
    {
      g_assert_null (proxy_left);
      g_assert_null (process_left);
    }
  if (end == END_DROP && process_left == NULL)
    n_forgotten++;
  g_clear_weak_pointer (&process_left);
  g_clear_weak_pointer (&proxy_left);

  return test_count_fds ();
}

static void
test_without_loop (gconstpointer data)
{
  const gboolean is_forked = GPOINTER_TO_INT (data);
  guint n_fds, n;

  g_test_summary ("Each worker ends as its proxy is dropped or closed, and is reaped at once, or when there is another one");
  for (End end = END_DROP; end <= END_KILL; end++)
    {
      n_fds = 0;
      for (guint i = 0; i <= 20; i++)
        {
          n = use_one (is_forked, end);
          if (n_fds == 0)
            n_fds = n;
          else if (n != 0)
            g_assert_cmpuint (n, ==, n_fds);
        }
    }
  /* Who drops the last reference waits for the end, but not for long, however slow the machine is. */
  while (n_forgotten == 0)
    use_one (is_forked, END_DROP);
}

static void
test_without_loop_unused (gconstpointer data)
{
  const gboolean is_forked = GPOINTER_TO_INT (data);
  g_autoptr(AfrpcProcess) template = NULL;
  g_autoptr(AfrpcProcess) used = NULL;
  g_autoptr(AfrpcProxy) other = NULL;
  guint n_fds;

  g_test_summary ("Nothing is left of processes whose proxies were dropped, closed or killed before they were called");
  use_one (is_forked, END_CLOSE_SYNC);
  n_fds = test_count_fds ();
  for (End end = END_DROP; end <= END_KILL; end++)
    {
      for (guint i = 0; i < 20; i++)
        {
          g_autoptr(AfrpcProcess) process = new_process (is_forked);
          g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "echo");

          if (end == END_CLOSE)
            afrpc_caller_close (AFRPC_CALLER (proxy));
          else if (end == END_CLOSE_SYNC)
            afrpc_process_kill (process, SIGKILL);
          else if (end == END_KILL)
            afrpc_caller_kill (AFRPC_CALLER (proxy));
        }
      /* Whoever takes longer to end than it is waited for is reaped when afrpc is used again. */
      for (guint n = 0; n < 200 && test_count_fds () > n_fds; n++)
        use_one (is_forked, END_CLOSE_SYNC);
      g_assert_cmpuint (test_count_fds (), <=, n_fds);
    }

  /* Those that never had a proxy. */
  template = new_process (is_forked);
  used = afrpc_process_fork (template);
  other = afrpc_proxy_new (used, "echo");
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (other), NULL, NULL, NULL));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (other), NULL, NULL));
  n_fds = test_count_fds ();
  for (guint i = 0; i < 100; i++)
    g_object_unref (afrpc_process_fork (template));
  for (guint n = 0; n < 3 && test_count_fds () > n_fds; n++)
    use_one (is_forked, END_DROP);
  g_assert_cmpuint (test_count_fds (), <=, n_fds);
}

/* Uses workers in a main context of its own, which nobody runs, within a callback of another. */
static gboolean
use_in_callback (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  guint n_fds = 0;

  g_main_context_push_thread_default (context);
  for (guint i = 0; i <= 20; i++)
    {
      const guint n = use_one (FALSE, END_DROP);

      if (n_fds == 0)
        n_fds = n;
      else if (n != 0)
        g_assert_cmpuint (n, ==, n_fds);
    }
  g_main_context_pop_thread_default (context);
  *(gboolean *) data = TRUE;

  return G_SOURCE_REMOVE;
}

static void
test_without_loop_callback (void)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(GSource) source = g_idle_source_new ();
  gboolean is_done = FALSE;

  g_test_summary ("The main loop that a callback belongs to is not that of another main context, which it uses");
  g_source_set_callback (source, use_in_callback, &is_done, NULL);
  g_source_attach (source, context);
  while (!is_done)
    g_main_context_iteration (context, TRUE);
}

static void
test_without_loop_lives_on (void)
{
  AfrpcProcess *process = new_process (FALSE);
  AfrpcProxy *proxy;
  int pid;

  g_test_summary ("Whoever drops the proxy of a worker that goes on is not held up by it");
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                        "done", "done_stay", NULL);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, NULL));
  pid = afrpc_process_get_pid (process);
  g_object_unref (process);
  g_object_unref (proxy);
  g_assert_false (was_reaped (pid));
  g_assert_no_errno (kill (pid, SIGKILL));
  wait_ended (pid);
}

static void
test_without_loop_send_fd (gconstpointer data)
{
  AfrpcProcess *process = new_process (GPOINTER_TO_INT (data));
  AfrpcProxy *proxy;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  struct pollfd end = { .events = POLLIN };
  int fds[2];

  g_test_summary ("The copy of a descriptor that was sent is closed when the worker has it");
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_send_fd (process, fds[1]);
  close (fds[1]);
  proxy = afrpc_proxy_new (process, "echo");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);
  g_assert_no_error (error);

  end.fd = fds[0];
  g_assert_cmpint (poll (&end, 1, 0), ==, 0);
  afrpc_process_kill (process, SIGKILL);
  wait_ended (afrpc_process_get_pid (process));
  g_assert_cmpint (poll (&end, 1, 0), ==, 1);
  close (fds[0]);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_object_unref (proxy);
  g_object_unref (process);
}

static gpointer
use_in_thread (gpointer data)
{
  GMainContext *context = g_main_context_new ();
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  int pid;

  g_main_context_push_thread_default (context);
  process = new_process (GPOINTER_TO_INT (data));
  proxy = afrpc_proxy_new (process, "echo");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);
  g_assert_no_error (error);
  pid = afrpc_process_get_pid (process);
  /* Nobody is ever told of that, nor cancels it. */
  afrpc_caller_call (AFRPC_CALLER (proxy), NULL, cancellable, NULL, NULL);
  g_object_unref (process);
  g_object_unref (proxy);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  return GINT_TO_POINTER (pid);
}

static void
test_without_loop_thread (gconstpointer data)
{
  guint n_fds = 0;

  g_test_summary ("A thread that goes with its context leaves nothing, and no zombie");
  for (guint i = 0; i < 5; i++)
    {
      const int pid = GPOINTER_TO_INT (g_thread_join (g_thread_new ("user", use_in_thread, (gpointer) data)));

      /* It ends when it sees that nobody is there, and is reaped then. */
      while (kill (pid, 0) == 0)
        g_thread_yield ();
      g_assert_cmpint (errno, ==, ESRCH);
      /* The first one has made what stays. */
      if (n_fds == 0)
        n_fds = test_count_fds ();
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_without_loop_wait (gconstpointer is_forked)
{
  g_autoptr(AfrpcProcess) process = new_process (is_forked != NULL);
  g_autoptr(AfrpcProcess) absent = afrpc_process_new_exec ("there-is-none");
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "echo");
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(AfrpcExit) killed = NULL;
  g_autoptr(GError) error = NULL;
  GThread *thread;

  g_test_summary ("How a process has ended is learned without a loop, too");
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));

  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_null (afrpc_process_wait_sync (process, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_thread_join (thread);

  kill (afrpc_process_get_pid (process), SIGTERM);
  killed = afrpc_process_wait_sync (process, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_exit_get_signal (killed), ==, SIGTERM);

  afrpc_process_require (absent, TEST_WORKER);
  g_object_unref (afrpc_proxy_new (absent, "echo"));
  g_assert_null (afrpc_process_wait_sync (absent, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST);
}

static void
set_true_cb (gboolean *flag)
{
  *flag = TRUE;
}

static void
test_without_loop_told (void)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  gboolean is_told = FALSE, has_exited = FALSE;

  g_test_summary ("Whoever wants to know of the end is told when there is a main loop, whatever was dropped");
  g_main_context_push_thread_default (context);
  process = new_process (FALSE);
  proxy = afrpc_proxy_new (process, "echo");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (set_true_cb), &is_told);
  g_signal_connect_swapped (process, "exited", G_CALLBACK (set_true_cb), &has_exited);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, NULL));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_object_unref (proxy);
  g_object_unref (process);
  g_assert_false (is_told);
  while (!is_told)
    g_main_context_iteration (context, TRUE);
  g_assert_true (has_exited);
  g_main_context_pop_thread_default (context);
}

/* How a call gets its outcome before anybody waits for it. */
typedef enum
{
  SETTLED_CANCELLED,
  SETTLED_BUSY,
  SETTLED_TIMED_OUT,
  SETTLED_N,
} Settled;

static void
settle_one (AfrpcCaller *caller,
            Settled      how)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCallOptions) longer = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) other = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  if (how == SETTLED_BUSY)
    other = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  if (how == SETTLED_TIMED_OUT)
    {
      afrpc_call_options_set_timeout_ms (longer, 20);
      other = afrpc_caller_start (caller, test_act ("until-cancelled", NULL), longer);
      afrpc_call_options_set_timeout_ms (options, 1);
    }
  call = afrpc_caller_start (caller, test_act ("return", NULL), options);
  if (how == SETTLED_CANCELLED)
    afrpc_call_cancel (call);
  if (other != NULL)
    value = afrpc_call_wait_sync (other, NULL, NULL);
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));
  if (how == SETTLED_CANCELLED)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else if (how == SETTLED_BUSY)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  else
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void
test_without_loop_settled (void)
{
  g_test_summary ("A call that has its outcome before it is waited for keeps nothing afterwards");
  for (Settled how = SETTLED_CANCELLED; how < SETTLED_N; how++)
    {
      AfrpcProcess *process = new_process (FALSE);
      AfrpcProxy *proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "max-calls-queued",
                                        how == SETTLED_BUSY ? 1 : 100, NULL);
      gpointer left = proxy;

      g_object_unref (process);
      g_object_add_weak_pointer (left, &left);
      for (guint i = 0; i < 3; i++)
        settle_one (AFRPC_CALLER (proxy), how);
      g_object_unref (proxy);
      g_assert_null (left);
    }
}

static void
test_without_loop_chain (void)
{
  AfrpcProcess *chain[20];
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A worker that is the fork of a fork of many is waited for, with all that have to make it");
  chain[0] = new_process (FALSE);
  for (guint i = 1; i < G_N_ELEMENTS (chain); i++)
    chain[i] = afrpc_process_fork (chain[i - 1]);
  proxy = afrpc_proxy_new (chain[G_N_ELEMENTS (chain) - 1], "echo");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "x"), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_process_get_start (chain[G_N_ELEMENTS (chain) - 1]), ==, AFRPC_START_FORK);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &error));
  for (guint i = 0; i < G_N_ELEMENTS (chain); i++)
    g_object_unref (chain[i]);
}

/* @by: NULL, or the end of the proxy that blocks until the worker has answered */
static void
test_without_loop_context_gone (gconstpointer by)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) other = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  AfrpcProxy *proxy;

  g_test_summary ("What has arrived when the main context goes is there for who waits for it");
  g_main_context_push_thread_default (context);
  process = new_process (FALSE);
  proxy = afrpc_proxy_new (process, "echo");
  first = afrpc_caller_start (AFRPC_CALLER (proxy), g_variant_new ("(s)", "first"), NULL);
  second = afrpc_caller_start (AFRPC_CALLER (proxy), g_variant_new ("(s)", "second"), NULL);
  if (by != NULL)
    g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &error));
  else
    value = afrpc_call_wait_sync (second, NULL, &error);
  g_assert_no_error (error);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);

  other = afrpc_call_wait_sync (first, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_call_get_started (first), ==, AFRPC_STARTED_YES);
  text = g_variant_print (other, FALSE);
  g_assert_cmpstr (text, ==, "('first',)");
  g_clear_pointer (&value, g_variant_unref);
  value = afrpc_call_wait_sync (second, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_call_get_started (second), ==, AFRPC_STARTED_YES);
  g_object_unref (proxy);
}

static gpointer
waiting_thread (gpointer call)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = afrpc_call_wait_sync (call, NULL, &error);

  g_assert_no_error (error);

  return value;
}

static void
test_without_loop_context_left (void)
{
  GMainContext *context = g_main_context_new ();
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "meeting", NULL);
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcProxy *proxy;
  GThread *thread;
  int fd;

  g_test_summary ("A main context that others let go of lasts as long as a thread blocks in it");
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  g_main_context_push_thread_default (context);
  process = new_process (FALSE);
  proxy = afrpc_proxy_new (process, "act");
  call = afrpc_caller_start (AFRPC_CALLER (proxy), test_act ("meet", g_variant_new_string (path)), NULL);
  g_main_context_pop_thread_default (context);
  thread = g_thread_new ("waiting", waiting_thread, call);
  /* The worker has come, since the thread blocks. */
  fd = open (path, O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  g_main_context_unref (context);
  close (fd);
  value = g_thread_join (thread);
  g_assert_nonnull (value);
  unlink (path);
  rmdir (folder);
  g_object_unref (proxy);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/without-loop/exec", GINT_TO_POINTER (FALSE), test_without_loop);
  g_test_add_data_func ("/without-loop/fork", GINT_TO_POINTER (TRUE), test_without_loop);
  g_test_add_data_func ("/without-loop/unused/exec", GINT_TO_POINTER (FALSE), test_without_loop_unused);
  g_test_add_data_func ("/without-loop/unused/fork", GINT_TO_POINTER (TRUE), test_without_loop_unused);
  g_test_add_func ("/without-loop/callback", test_without_loop_callback);
  g_test_add_func ("/without-loop/lives-on", test_without_loop_lives_on);
  g_test_add_data_func ("/without-loop/send-fd/exec", GINT_TO_POINTER (FALSE), test_without_loop_send_fd);
  g_test_add_data_func ("/without-loop/send-fd/fork", GINT_TO_POINTER (TRUE), test_without_loop_send_fd);
  g_test_add_data_func ("/without-loop/wait/exec", GINT_TO_POINTER (FALSE), test_without_loop_wait);
  g_test_add_data_func ("/without-loop/wait/fork", GINT_TO_POINTER (TRUE), test_without_loop_wait);
  g_test_add_func ("/without-loop/told", test_without_loop_told);
  g_test_add_func ("/without-loop/settled", test_without_loop_settled);
  g_test_add_func ("/without-loop/chain", test_without_loop_chain);
  g_test_add_func ("/without-loop/context-left", test_without_loop_context_left);
  g_test_add_data_func ("/without-loop/context-gone/waited", NULL, test_without_loop_context_gone);
  g_test_add_data_func ("/without-loop/context-gone/closed", "", test_without_loop_context_gone);
  g_test_add_data_func ("/without-loop/thread/exec", GINT_TO_POINTER (FALSE), test_without_loop_thread);
  g_test_add_data_func ("/without-loop/thread/fork", GINT_TO_POINTER (TRUE), test_without_loop_thread);

  return g_test_run ();
}
