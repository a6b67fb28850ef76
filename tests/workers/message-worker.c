/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What travels beside values: file descriptors and progress. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

AFRPC_FUNCTION (reverse, NULL)
AFRPC_FUNCTION (keep_fd, NULL)
AFRPC_FUNCTION (tell_all, "(b)")
AFRPC_FUNCTION (tell_more, "(b)")
AFRPC_FUNCTION (fill_table, "(u)")
AFRPC_FUNCTION (many_results, "(u)")
AFRPC_FUNCTION (fd_event, "(u)")
AFRPC_FUNCTION (count_up, "(u)")
AFRPC_FUNCTION (count_fds, NULL)
AFRPC_FUNCTION (large_progress, "(u)")
AFRPC_FUNCTION (much_progress, "(uu)")
AFRPC_FUNCTION (log_something, "(s)")
AFRPC_ASYNC_FUNCTION (log_async, "(s)")
AFRPC_ASYNC_FUNCTION (reverse_async, NULL)
AFRPC_ASYNC_FUNCTION (count_up_async, "(u)")
AFRPC_ASYNC_FUNCTION (interleave_async, "(u)")

__attribute__ ((visibility ("default"))) gboolean init_log (AfrpcWorker *worker, GVariant *args, GError **error);

static int told_fd = -1;
static GPtrArray *waiting; /* (element-type AfrpcInvocation) */

/* The handles of the call's descriptors in reverse, and its argument. */
static GVariant *
new_result (const int *handles,
            guint      n,
            GVariant  *args)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("(ahv)"));
  g_variant_builder_open (&builder, G_VARIANT_TYPE ("ah"));
  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&builder, "h", handles[i]);
  g_variant_builder_close (&builder);
  g_variant_builder_add (&builder, "v", args);

  return g_variant_builder_end (&builder);
}

GVariant *
reverse (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  const guint n = afrpc_worker_get_n_call_fds (worker);
  g_autofree int *handles = g_new (int, n);

  for (guint i = 0; i < n; i++)
    {
      int fd = afrpc_worker_steal_call_fd (worker, n - 1 - i);

      handles[i] = afrpc_worker_append_result_fd (worker, fd, error);
      close (fd);
      if (handles[i] < 0)
        return NULL;
    }
  g_assert (n == 0 || afrpc_worker_steal_call_fd (worker, 0) == -1);
  g_assert (afrpc_worker_steal_call_fd (worker, n) == -1);

  return new_result (handles, n, args);
}

void
reverse_async (AfrpcInvocation *invocation)
{
  const guint n = afrpc_invocation_get_n_fds (invocation);
  g_autofree int *handles = g_new (int, n);
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < n; i++)
    {
      int fd = afrpc_invocation_steal_fd (invocation, n - 1 - i);

      handles[i] = afrpc_invocation_append_fd (invocation, fd, &error);
      close (fd);
      if (handles[i] < 0)
        {
          afrpc_invocation_return_error (invocation, error);
          return;
        }
    }

  afrpc_invocation_return_value (invocation, new_result (handles, n, afrpc_invocation_get_args (invocation)));
}

/* Everything that came with a call, besides its arguments; its progress is 'here'. Fails if it is told to. */
static GVariant *
describe (AfrpcWorker  *worker,
          const char   *name,
          GVariant     *args,
          GError      **error)
{
  GVariant *metadata = afrpc_worker_get_metadata (worker);
  gboolean fails = FALSE;

  afrpc_worker_progress (worker, g_variant_new_string ("here"));
  g_variant_get (args, "(b)", &fails);
  if (fails)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "no");
      return NULL;
    }

  return g_variant_new ("(suv)", name, afrpc_worker_get_n_call_fds (worker),
                        metadata != NULL ? metadata : g_variant_new_string ("none"));
}

GVariant *
tell_all (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  return describe (worker, "all", args, error);
}

GVariant *
tell_more (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  return describe (worker, "more", args, error);
}

/* Does not take them, and fails. */
GVariant *
keep_fd (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  g_assert (afrpc_worker_append_result_fd (worker, STDERR_FILENO, NULL) == 0);
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "no");

  return NULL;
}

/* Leaves room for so many more descriptors. */
GVariant *
fill_table (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  struct rlimit limit;
  guint32 room;
  int lowest = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

  close (lowest);
  g_variant_get (args, "(u)", &room);
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = room == G_MAXUINT32 ? limit.rlim_max : lowest + room;
  setrlimit (RLIMIT_NOFILE, &limit);

  return g_variant_new_boolean (TRUE);
}

GVariant *
many_results (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  guint32 n;

  g_variant_get (args, "(u)", &n);
  while (n-- > 0)
    if (afrpc_worker_append_result_fd (worker, STDERR_FILENO, error) < 0)
      return NULL;

  return g_variant_new_boolean (TRUE);
}

GVariant *
fd_event (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  int fds[2];
  guint32 n;

  g_variant_get (args, "(u)", &n);
  for (guint32 i = 0; i < n; i++)
    {
      gboolean ok;

      if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
        return NULL;
      if (write (fds[1], &i, sizeof i) != sizeof i)
        g_assert_not_reached ();
      ok = afrpc_worker_event_with_fds (worker, g_variant_new ("(hu)", 0, i), fds, 2, error);
      close (fds[0]);
      close (fds[1]);
      if (!ok)
        return NULL;
    }

  return g_variant_new_uint32 (n);
}

GVariant *
count_fds (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint32 n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;

  return g_variant_new_uint32 (n);
}

/* Says over a pipe that it came so far, if there is one. */
static void
tell (AfrpcWorker *worker)
{
  if (told_fd < 0 && afrpc_worker_get_n_fds (worker) > 0)
    told_fd = afrpc_worker_steal_fd (worker, 0);
  if (told_fd >= 0 && write (told_fd, "x", 1) != 1)
    g_assert_not_reached ();
}

GVariant *
count_up (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  guint32 n;

  g_variant_get (args, "(u)", &n);
  for (guint32 i = 1; i <= n; i++)
    afrpc_worker_progress (worker, g_variant_new_uint32 (i));
  tell (worker);

  return g_variant_new_uint32 (n);
}

GVariant *
large_progress (AfrpcWorker  *worker,
                GVariant     *args,
                GError      **error)
{
  guint32 size;
  gpointer bytes;

  g_variant_get (args, "(u)", &size);
  bytes = g_malloc0 (size);
  afrpc_worker_progress (worker, g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes));

  return g_variant_new_boolean (TRUE);
}

/* So many times, each with its number and so many bytes. */
GVariant *
much_progress (AfrpcWorker  *worker,
               GVariant     *args,
               GError      **error)
{
  g_autofree guint8 *bytes = NULL;
  guint32 n, size;

  g_variant_get (args, "(uu)", &n, &size);
  bytes = g_malloc0 (size);
  for (guint32 i = 1; i <= n; i++)
    afrpc_worker_progress (worker, g_variant_new ("(u@ay)", i, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, size, 1)));

  return g_variant_new_uint32 (n);
}

gboolean
init_log (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  g_log ("init", G_LOG_LEVEL_MESSAGE, "from init");

  return TRUE;
}

static gpointer
log_thread (gpointer data)
{
  g_log ("thread", G_LOG_LEVEL_WARNING, "from a thread");

  return NULL;
}

static void
log_what (const char *what)
{
  if (g_str_equal (what, "error"))
    g_log ("worker", G_LOG_LEVEL_ERROR, "the end");
  else if (g_str_equal (what, "thread"))
    g_thread_join (g_thread_new ("log", log_thread, NULL));
  else if (g_str_equal (what, "stderr"))
    fputs ("one\ntwo \xff\nthree without an end", stderr); /* unbuffered, and as it is */
  else if (g_str_equal (what, "long"))
    {
      g_autofree char *text = g_strnfill (100000, 'x');

      g_log ("worker", G_LOG_LEVEL_WARNING, "%s", text);
    }
  else
    {
      g_log ("worker", G_LOG_LEVEL_DEBUG, "debug %s", what);
      g_log ("worker", G_LOG_LEVEL_WARNING, "warning %s", what);
      g_log (NULL, G_LOG_LEVEL_MESSAGE, "message %s", what);
    }
}

GVariant *
log_something (AfrpcWorker  *worker,
               GVariant     *args,
               GError      **error)
{
  const char *what;

  g_variant_get (args, "(&s)", &what);
  afrpc_worker_event (worker, g_variant_new_string ("before"));
  log_what (what);
  afrpc_worker_event (worker, g_variant_new_string ("after"));

  return g_variant_new_boolean (TRUE);
}

static gboolean
log_later_cb (gpointer data)
{
  AfrpcInvocation *invocation = data;

  log_what ("later");
  afrpc_invocation_return_value (invocation, g_variant_new_boolean (TRUE));

  return G_SOURCE_REMOVE;
}

void
log_async (AfrpcInvocation *invocation)
{
  const char *what;

  g_variant_get (afrpc_invocation_get_args (invocation), "(&s)", &what);
  log_what (what);
  g_idle_add_full (G_PRIORITY_DEFAULT, log_later_cb, g_object_ref (invocation), g_object_unref);
}

void
count_up_async (AfrpcInvocation *invocation)
{
  guint32 n;

  g_variant_get (afrpc_invocation_get_args (invocation), "(u)", &n);
  for (guint32 i = 1; i <= n; i++)
    afrpc_invocation_progress (invocation, g_variant_new_uint32 (i));
  tell (afrpc_invocation_get_worker (invocation));

  afrpc_invocation_return_value (invocation, g_variant_new_uint32 (n));
}

/* Waits for as many calls as the first says, then tells progress of one after the other, and answers them in
 * reverse. */
void
interleave_async (AfrpcInvocation *invocation)
{
  guint32 n;

  if (waiting == NULL)
    waiting = g_ptr_array_new_with_free_func (g_object_unref);
  g_ptr_array_add (waiting, g_object_ref (invocation));
  g_variant_get (afrpc_invocation_get_args (waiting->pdata[0]), "(u)", &n);
  if (waiting->len < n)
    return;

  for (guint round = 1; round <= 3; round++)
    for (guint i = 0; i < n; i++)
      afrpc_invocation_progress (waiting->pdata[i], g_variant_new_uint32 (round));
  for (guint i = n; i-- > 0;)
    {
      afrpc_invocation_progress (waiting->pdata[i], g_variant_new_uint32 (4));
      afrpc_invocation_return_value (waiting->pdata[i], g_variant_new_uint32 (i));
    }
  g_clear_pointer (&waiting, g_ptr_array_unref);
}
