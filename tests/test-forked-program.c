/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program forks itself: what becomes of its workers in the process that is made. */
#include "test-util.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_TOLD 10u

static void
test_forked_program (void)
{
  int pid, status;

  g_test_summary ("A program that forks itself, and what it has forked, have templates of their own");
  g_assert_true (test_call_new ());
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    _exit (test_call_new () && test_call_new () ? 0 : 1);
  g_assert_true (test_call_new ());
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_true (test_call_new ());
}

static void
returned_cb (GObject      *proxy,
             GAsyncResult *result,
             gpointer      n_left)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_size (value), ==, 1 << 20);
  --*(guint *) n_left;
}

static void
test_forked_program_closing (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
  g_autoptr(AfrpcProxy) other = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_autoptr(GVariant) result = NULL;
  guint n_left = 3;
  int pid, status;

  g_test_summary ("What a worker that was closed has still to say is for the program, not for what that has forked");
  g_assert_true (test_call_new ());
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, NULL));
  for (guint i = n_left; i > 0; i--)
    afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("bytes", g_variant_new_uint32 (1 << 20)), NULL, returned_cb, &n_left);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  afrpc_caller_close (AFRPC_CALLER (proxy));
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      g_autoptr(GError) error = NULL;

      for (guint i = 0; i < 20; i++)
        if (!test_call_new ())
          _exit (1);
      /* What it has inherited is of no use to it, and does no harm. */
      if (afrpc_caller_call_sync (AFRPC_CALLER (other), test_act ("return", NULL), NULL, &error) != NULL ||
          !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED))
        _exit (2);
      g_object_unref (other);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  while (n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  result = afrpc_caller_call_sync (AFRPC_CALLER (other), test_act ("return", NULL), NULL, NULL);
  g_assert_nonnull (result);
}

static void
came_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      has_come)
{
  *(gboolean *) has_come = TRUE;
}

/* Whether operations on what is inherited call back, too. @inherited: a call without an outcome */
static gboolean
are_told (AfrpcCaller *caller,
          AfrpcCall   *inherited)
{
  gboolean has_waited = FALSE, has_closed = FALSE;

  afrpc_call_wait (inherited, NULL, came_cb, &has_waited);
  afrpc_caller_close_async (caller, NULL, came_cb, &has_closed);
  test_iterate_until (&has_waited);
  test_iterate_until (&has_closed);

  return afrpc_call_wait_sync (inherited, NULL, NULL) == NULL;
}

/* Returns: what went wrong in a process that uses what it has inherited, or 0 */
static int
use_inherited (AfrpcCaller *caller,
               AfrpcCall   *inherited) /* without an outcome */
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  if (afrpc_caller_call_sync (caller, test_act ("return", g_variant_new_uint32 (77)), NULL, &error) != NULL ||
      !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED) || strstr (error->message, "forked from") == NULL)
    return 1;
  call = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  while (!afrpc_call_is_settled (call))
    g_main_context_iteration (NULL, TRUE);
  if (afrpc_call_get_started (call) != AFRPC_STARTED_NO)
    return 2;
  if (!are_told (caller, inherited))
    return 3;
  afrpc_caller_close (caller);
  afrpc_caller_kill (caller);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_object_unref (caller);

  return 0;
}

static void
fork_using (AfrpcCaller *caller)
{
  g_autoptr(AfrpcCall) call = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  const int pid = fork ();
  int status;

  g_assert_no_errno (pid);
  if (pid == 0)
    _exit (use_inherited (caller, call));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

static void
forking_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      has_forked)
{
  g_autoptr(GVariant) value = test_call_finish (object, result, NULL, NULL);

  g_assert_nonnull (value);
  fork_using (AFRPC_CALLER (object));
  *(gboolean *) has_forked = TRUE;
}

static void
test_forked_program_used (gconstpointer kind)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcCaller) caller = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  gboolean has_forked = FALSE;

  g_test_summary ("A process that the program has forked is refused the program's workers, whatever it does with them");
  if (g_str_equal (kind, "pool"))
    {
      caller = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "act", "max-workers", 2, NULL);
      g_signal_connect (caller, "notify", G_CALLBACK (test_ignore_cb), NULL);
      g_assert_nonnull (afrpc_pool_get_workers (AFRPC_POOL (caller))); /* has it look what has changed */
    }
  else
    {
      const gboolean is_async = g_str_equal (kind, "async");

      caller = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", is_async ? "act_async" : "act", "backend",
                             is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC, NULL);
    }
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
  /* What there is to be told of it is told by the program. */
  call = afrpc_caller_start (caller, test_act ("return", NULL), NULL);
  fork_using (caller);
  g_variant_unref (afrpc_call_wait_sync (call, NULL, NULL));
  for (guint32 i = 0; i < 3; i++)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_sync (caller, test_act ("return", g_variant_new_uint32 (i)), NULL, NULL);
      g_autofree char *text = NULL, *expected = g_strdup_printf ("uint32 %u", i);

      g_assert_nonnull (value);
      text = g_variant_print (value, TRUE);
      g_assert_nonnull (strstr (text, expected));
    }
  /* Where the program is told something */
  afrpc_caller_call (caller, test_act ("return", NULL), NULL, forking_cb, &has_forked);
  test_iterate_until (&has_forked);
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
}

/* What one process has been told */
typedef struct
{
  guint n_results;
  guint n_events;
  gboolean at_event; /* it forks when it is told of an event, and not of a result */
  int pid;           /* of what has been forked, 0 there; -1: nothing has yet */
} Told;

static void
fork_once (Told *told)
{
  if (told->pid < 0)
    g_assert_no_errno (told->pid = fork ());
}

static void
result_cb (GObject      *caller,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(GVariant) value = test_call_finish (caller, result, NULL, NULL);
  Told *told = data;

  told->n_results++;
  if (!told->at_event)
    fork_once (told);
}

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  Told *told = data;

  told->n_events++;
  if (told->at_event)
    fork_once (told);
}

static void
test_forked_program_told (gconstpointer kind)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcCaller) caller = NULL;
  Told told = { .at_event = g_str_equal (kind, "event"), .pid = -1 };
  int status;

  g_test_summary ("A process that is forked where the program is told something is told nothing more of that");
  if (g_str_equal (kind, "pool"))
    caller = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "act", "max-workers", 1, NULL);
  else
    caller = AFRPC_CALLER (afrpc_proxy_new (process, "act"));
  g_signal_connect (caller, "event", G_CALLBACK (event_cb), &told);
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
  for (guint i = 0; i < N_TOLD; i++)
    afrpc_caller_call (caller, test_act ("event", g_variant_new_uint32 (i)), NULL, result_cb, &told);
  /* All of it is there then, and waits to be told. */
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
  while (told.pid < 0 || (told.pid > 0 && told.n_results < N_TOLD))
    g_main_context_iteration (NULL, TRUE);
  if (told.pid == 0)
    {
      const guint n = told.n_results + told.n_events;

      while (g_main_context_iteration (NULL, FALSE))
        ;
      _exit (n <= 2 && told.n_results + told.n_events == n ? 0 : 1);
    }
  g_assert_cmpint (waitpid (told.pid, &status, 0), ==, told.pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpuint (told.n_events, ==, N_TOLD);
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
}

static void
test_forked_program_context (void)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr(AfrpcCaller) caller = NULL;
  g_autoptr(GError) error = NULL;
  int pid, status;

  g_test_summary ("A process that the program has forked may use, and let go of, a main context that it has inherited");
  g_main_context_push_thread_default (context);
  caller = AFRPC_CALLER (test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL));
  for (guint i = 0; i < 3; i++)
    {
      pid = fork ();
      g_assert_no_errno (pid);
      if (pid == 0)
        {
          if ((i > 0 && afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL) != NULL) || (i > 1 && !test_call_new ()))
            _exit (1);
          g_main_context_pop_thread_default (context);
          g_main_context_unref (context);
          _exit (0);
        }
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
      g_variant_unref (afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, &error));
      g_assert_no_error (error);
    }
  g_assert_true (afrpc_caller_close_sync (caller, NULL, NULL));
  g_clear_object (&caller);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/forked-program/own-workers", test_forked_program);
  g_test_add_func ("/forked-program/closing", test_forked_program_closing);
  g_test_add_data_func ("/forked-program/used/sync", "sync", test_forked_program_used);
  g_test_add_data_func ("/forked-program/used/async", "async", test_forked_program_used);
  g_test_add_data_func ("/forked-program/used/pool", "pool", test_forked_program_used);
  g_test_add_data_func ("/forked-program/told/result", "result", test_forked_program_told);
  g_test_add_data_func ("/forked-program/told/event", "event", test_forked_program_told);
  g_test_add_data_func ("/forked-program/told/pool", "pool", test_forked_program_told);
  g_test_add_func ("/forked-program/context", test_forked_program_context);

  return g_test_run ();
}
