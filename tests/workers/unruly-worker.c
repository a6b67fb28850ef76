/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Functions that do to their worker what they should not. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

AFRPC_FUNCTION (unruly, "(su)")
AFRPC_ASYNC_FUNCTION (unruly_async, "(su)")

static GPtrArray *kept; /* (element-type AfrpcInvocation) */
static guint n_alarms;

static void
say (AfrpcWorker *worker,
     const char  *text)
{
  afrpc_worker_event (worker, g_variant_new_string (text));
}

/* Returns: in a process of its own if 0. The one that has forked it waits for its end, and says how that was. */
static int
fork_and_wait (AfrpcWorker *worker)
{
  const int pid = fork ();
  int status;

  if (pid == 0)
    return 0;

  while (waitpid (pid, &status, 0) != pid)
    ;
  say (worker, WIFEXITED (status) && WEXITSTATUS (status) == 0 ? "ended" : "ended badly");

  return pid;
}

static void
alarm_cb (int signum)
{
  n_alarms++;
}

/* From now on system calls are interrupted all the time. */
static void
set_alarms (guint period_us)
{
  const struct itimerval timer = { { 0, period_us }, { 0, period_us } };
  struct sigaction action = { .sa_handler = alarm_cb };

  sigaction (SIGALRM, &action, NULL);
  setitimer (ITIMER_REAL, &timer, NULL);
}

static gpointer
event_thread (gpointer worker)
{
  g_autoptr(GError) error = NULL;

  say (worker, "from a thread");
  afrpc_worker_flush (worker);
  afrpc_worker_retire (worker);
  if (afrpc_worker_event_with_fds (worker, g_variant_new_string ("from a thread"), NULL, 0, &error) || error == NULL)
    g_error ("an event was sent from a thread");

  return NULL;
}

static void
run_thread (GThreadFunc func,
            gpointer    data)
{
  g_thread_join (g_thread_new ("unruly", func, data));
}

static GVariant *
perform (AfrpcWorker *worker,
         const char  *what,
         guint        n)
{
  if (g_str_equal (what, "fork"))
    return g_variant_new_string (fork_and_wait (worker) == 0 ? "the child" : "the parent");
  if (g_str_equal (what, "fork-and-speak"))
    {
      if (fork_and_wait (worker) != 0)
        return g_variant_new_string ("the parent");
      for (guint i = 0; i < n; i++)
        say (worker, "the child");
      afrpc_worker_progress (worker, g_variant_new_string ("the child"));
      afrpc_worker_flush (worker);
      exit (0);
    }
  if (g_str_equal (what, "thread"))
    run_thread (event_thread, worker);
  else if (g_str_equal (what, "alarms"))
    set_alarms (n);
  else if (g_str_equal (what, "close"))
    for (guint i = 0; i < n; i++)
      close (3 + i);
  else if (g_str_equal (what, "events"))
    for (guint i = 0; i < n; i++)
      say (worker, "one of many");
  else if (g_str_equal (what, "bytes"))
    {
      g_autofree char *text = g_strnfill (n, 'x');

      return g_variant_new_string (text);
    }
  else if (g_str_equal (what, "exit"))
    exit (n);

  return g_variant_new_string (what);
}

GVariant *
unruly (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  const char *what;
  guint n;

  g_variant_get (args, "(&su)", &what, &n);

  return perform (worker, what, n);
}

static gpointer
answer_thread (gpointer invocation)
{
  afrpc_invocation_progress (invocation, g_variant_new_string ("from a thread"));
  afrpc_invocation_return_value (invocation, g_variant_new_string ("from a thread"));
  afrpc_invocation_return_error_literal (invocation, AFRPC_ERROR, AFRPC_ERROR_FAILED, "from a thread");
  g_object_unref (invocation);

  return NULL;
}

static void
answer_all (const char *text)
{
  while (kept != NULL && kept->len > 0)
    {
      g_autoptr(AfrpcInvocation) invocation = g_ptr_array_steal_index (kept, 0);

      afrpc_invocation_return_value (invocation, g_variant_new_string (text));
    }
}

/* Runs the main loop until @n calls are kept. */
static void
nest (guint n)
{
  while (kept->len < n)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
fork_cb (gpointer data)
{
  AfrpcInvocation *invocation = data;
  const gboolean is_child = fork_and_wait (afrpc_invocation_get_worker (invocation)) == 0;

  afrpc_invocation_return_value (invocation, g_variant_new_string (is_child ? "the child" : "the parent"));

  return G_SOURCE_REMOVE;
}

void
unruly_async (AfrpcInvocation *invocation)
{
  AfrpcWorker *worker = afrpc_invocation_get_worker (invocation);
  const char *what;
  guint n;

  g_variant_get (afrpc_invocation_get_args (invocation), "(&su)", &what, &n);
  if (kept == NULL)
    kept = g_ptr_array_new ();

  if (g_str_equal (what, "keep"))
    g_ptr_array_add (kept, g_object_ref (invocation));
  else if (g_str_equal (what, "fork-later"))
    g_idle_add_full (G_PRIORITY_DEFAULT, fork_cb, g_object_ref (invocation), g_object_unref);
  else if (g_str_equal (what, "answer-all"))
    {
      answer_all ("answered");
      afrpc_invocation_return_value (invocation, g_variant_new_string ("all"));
    }
  else if (g_str_equal (what, "nest"))
    {
      nest (n);
      answer_all ("nested");
      afrpc_invocation_return_value (invocation, g_variant_new_string ("unnested"));
    }
  else if (g_str_equal (what, "answer-and-nest"))
    {
      afrpc_invocation_return_value (invocation, g_variant_new_string ("before"));
      nest (n);
      answer_all ("nested");
    }
  else if (g_str_equal (what, "answer-in-thread"))
    run_thread (answer_thread, g_object_ref (invocation));
  else
    {
      GVariant *result = perform (worker, what, n);

      afrpc_invocation_return_value (invocation, result);
    }
}
