/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool-case.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

AfrpcProcess *
template_new (void)
{
  AfrpcProcess *process = test_bare_process_new ();

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

gboolean
is_command (void)
{
  return g_getenv ("AFRPC_TEST_COMMAND") != NULL;
}

static void
error_cb (AfrpcCaller *caller,
          GError      *error,
          Case        *test)
{
  g_ptr_array_add (test->errors, g_error_copy (error));
}

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *process,
          GUnixFDList  *fds,
          Case         *test)
{
  g_assert_true (AFRPC_IS_PROCESS (process));
  test->n_events++;
}

static void
destroyed_cb (AfrpcCaller *caller,
              Case        *test)
{
  g_assert_false (test->destroyed);
  test->destroyed = TRUE;
}

/* @pool: (transfer full): made in another way */
void
case_take (Case      *test,
           AfrpcPool *pool)
{
  *test = (Case) { .pool = pool, .errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free) };
  g_signal_connect (pool, "error", G_CALLBACK (error_cb), test);
  g_signal_connect (pool, "event", G_CALLBACK (event_cb), test);
  g_signal_connect (pool, "destroyed", G_CALLBACK (destroyed_cb), test);
}

static void
init_valist (Case         *test,
             AfrpcProcess *process,
             const char   *function,
             const char   *first,
             va_list       args)
{
  test->pool = afrpc_pool_new (process, function);
  if (first != NULL)
    g_object_set_valist (G_OBJECT (test->pool), first, args);
  case_take (test, test->pool);
}

/* @first and what follows: properties that can be changed */
void
case_init (Case       *test,
           const char *function,
           const char *first,
           ...)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  va_list args;

  va_start (args, first);
  init_valist (test, template, function, first, args);
  va_end (args);
}

void
case_init_with (Case         *test,
                AfrpcProcess *process,
                const char   *function,
                const char   *first,
                ...)
{
  va_list args;

  va_start (args, first);
  init_valist (test, process, function, first, args);
  va_end (args);
}

/* Closes the pool, if it was not, and sees that nothing of it is left. */
void
case_end (Case *test)
{
  afrpc_caller_close (AFRPC_CALLER (test->pool));
  test_iterate_until (&test->destroyed);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (afrpc_pool_get_n_calls_pending (test->pool), ==, 0);
  g_assert_cmpuint (afrpc_pool_get_n_workers (test->pool), ==, 0);
  g_assert_finalize_object (test->pool);
  g_ptr_array_unref (test->errors);
}

AfrpcCaller *
caller_of (Case *test)
{
  return AFRPC_CALLER (test->pool);
}

/* Waits until @count, which handlers of signals or results raise, is @n. */
void
iterate_until_count (const guint *count,
                     guint        n)
{
  while (*count < n)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (*count, ==, n);
}

int
pid_of (AfrpcCall *call)
{
  return afrpc_process_get_pid (afrpc_call_get_process (call));
}

GVariant *
wait_value (AfrpcCall *call)
{
  g_autoptr(GError) error = NULL;
  GVariant *value;

  while (!afrpc_call_is_settled (call))
    g_main_context_iteration (NULL, TRUE);
  value = afrpc_call_wait_sync (call, NULL, &error);
  g_assert_no_error (error);

  return value;
}

GError *
wait_error (AfrpcCall *call)
{
  GError *error = NULL;

  while (!afrpc_call_is_settled (call))
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (afrpc_call_wait_sync (call, NULL, &error));

  return error;
}

AfrpcCallOptions *
idempotent_options (void)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_idempotent (options, TRUE);

  return options;
}

static void
flood_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  Flood *flood = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  flood->n_open--;
  if (flood->is_over)
    return;

  flood->n_made++;
  flood->n_open++;
  afrpc_caller_call (flood->caller, flood->args, NULL, flood_cb, flood);
}

/* @args: (transfer floating): of each; @n: how many there are at once */
void
flood_begin (Flood    *flood,
             Case     *test,
             GVariant *args,
             guint     n)
{
  *flood = (Flood) { caller_of (test), g_variant_ref_sink (args), n, n, FALSE };
  for (guint i = 0; i < n; i++)
    afrpc_caller_call (flood->caller, flood->args, NULL, flood_cb, flood);
}

void
flood_end (Flood *flood)
{
  flood->is_over = TRUE;
  while (flood->n_open > 0)
    g_main_context_iteration (NULL, TRUE);
  g_variant_unref (flood->args);
}

void
meeting_init (Meeting *meeting)
{
  meeting->folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  meeting->path = g_build_filename (meeting->folder, "meeting", NULL);
  g_assert_cmpint (mkfifo (meeting->path, 0600), ==, 0);
  /* Whoever comes opens it at once, and waits for its end. */
  meeting->fd = g_open (meeting->path, O_RDWR | O_CLOEXEC, 0);
  g_assert_cmpint (meeting->fd, >=, 0);
}

void
meeting_end (Meeting *meeting)
{
  g_assert_cmpint (meeting->fd, <, 0);
  rmdir (meeting->folder);
  g_free (meeting->path);
  g_free (meeting->folder);
}

GVariant *
meet (Meeting *meeting)
{
  return test_act ("meet", g_variant_new_string (meeting->path));
}

/* All those that have come may go on, and whoever still comes does not wait. */
void
meeting_let_go (Meeting *meeting)
{
  unlink (meeting->path);
  close (meeting->fd);
  meeting->fd = -1;
}

/* Waits for as many calls to have begun that say so. */
void
wait_begun (Case  *test,
            guint  n)
{
  iterate_until_count (&test->n_events, n);
}

void
wait_idle (Case  *test,
           guint  n)
{
  while (afrpc_pool_get_n_idle_workers (test->pool) < n)
    g_main_context_iteration (NULL, TRUE);
}

AfrpcCall *
start_act (Case             *test,
           const char       *what,
           AfrpcCallOptions *options)
{
  return afrpc_caller_start (caller_of (test), test_act (what, NULL), options);
}

/* Waits until the last child is reaped. */
void
wait_no_children (void)
{
  siginfo_t info;

  while (waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (errno, ==, ECHILD);
}
