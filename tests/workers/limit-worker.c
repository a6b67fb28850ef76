/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of limits and hygiene call: functions that use things up, and that tell what they have. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

AFRPC_FUNCTION (use, "(sv)")
AFRPC_ASYNC_FUNCTION (use_async, "(sv)")

static int parent;

/* Before anybody could have been told to kill it; a forked worker has the same. */
static void __attribute__ ((constructor))
note_parent (void)
{
  parent = getppid ();
}

static GVariant *
fail_with_errno (const char  *what,
                 GError     **error)
{
  int saved_errno = errno;

  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved_errno), "%s: %s", what, g_strerror (saved_errno));

  return NULL;
}

static GVariant *
spin (void)
{
  for (volatile guint i = 0;; i = i + 1)
    ;

  return NULL;
}

/* Extends a file of its own that is gone afterwards. */
static GVariant *
write_file (GVariant  *value,
            GError   **error)
{
  const gsize size = g_variant_get_uint32 (value);
  FILE *file = tmpfile ();
  g_autofree char *bytes = g_malloc0 (size);
  GVariant *result;

  if (file == NULL)
    return fail_with_errno ("making a file", error);
  if (fwrite (bytes, 1, size, file) != size || fflush (file) != 0)
    result = fail_with_errno ("writing", error);
  else
    result = g_variant_new_boolean (TRUE);
  fclose (file);

  return result;
}

/* How many more can be opened, up to a number. */
static GVariant *
open_files (GVariant  *value,
            GError   **error)
{
  const guint n_max = g_variant_get_uint32 (value);
  g_autofree int *fds = g_new (int, n_max);
  GVariant *result = NULL;
  guint n = 0;

  while (n < n_max && (fds[n] = open ("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
    n++;
  if (n < n_max)
    fail_with_errno ("opening", error);
  else
    result = g_variant_new_uint32 (n);
  while (n > 0)
    close (fds[--n]);

  return result;
}

static GVariant *
map_memory (GVariant  *value,
            GError   **error)
{
  const gsize size = (gsize) g_variant_get_uint32 (value) << 20;
  gpointer memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (memory == MAP_FAILED)
    return fail_with_errno ("mapping", error);
  munmap (memory, size);

  return g_variant_new_boolean (TRUE);
}

/* The open file descriptors, and what they are. */
static GVariant *
list_fds (void)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  GVariantBuilder list;
  const char *name;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("a(is)"));
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/fd/%s", name);
      g_autofree char *target = g_file_read_link (path, NULL);

      /* The directory's own. */
      if (target != NULL && !g_str_has_suffix (target, "/fd"))
        g_variant_builder_add (&list, "(is)", atoi (name), target);
    }

  return g_variant_builder_end (&list);
}

static void
say (const char *path,
     const char *text)
{
  int fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC);

  if (write (fd, text, strlen (text)) < 0)
    _exit (99);
  close (fd);
}

/* Waits for the parent's death, then says that it was survived. */
static void
outlive (GVariant *value,
         gboolean  then_exit)
{
  while (getppid () == parent)
    poll (NULL, 0, 1);
  /* Nobody reads that any more. */
  g_printerr ("the program has gone\n");
  say (g_variant_get_string (value, NULL), "finished\n");
  if (then_exit)
    exit (0);
}

static GVariant *
perform (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  const char *what;
  g_autoptr(GVariant) value = NULL;

  g_variant_get (args, "(&sv)", &what, &value);
  if (g_str_equal (what, "spin"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      afrpc_worker_flush (worker);
      return spin ();
    }
  if (g_str_equal (what, "spin-stubbornly"))
    {
      signal (SIGXCPU, SIG_IGN);
      return spin ();
    }
  if (g_str_equal (what, "write"))
    return write_file (value, error);
  if (g_str_equal (what, "open"))
    return open_files (value, error);
  if (g_str_equal (what, "map"))
    return map_memory (value, error);
  if (g_str_equal (what, "allocate"))
    {
      g_free (g_malloc ((gsize) g_variant_get_uint32 (value) << 20));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "nice"))
    return g_variant_new_int32 (getpriority (PRIO_PROCESS, 0));
  if (g_str_equal (what, "list-fds"))
    return list_fds ();
  if (g_str_equal (what, "outlive") || g_str_equal (what, "outlive-then-exit"))
    {
      static guint n_calls;

      afrpc_worker_event (worker, g_variant_new_string ("here"));
      afrpc_worker_flush (worker);
      n_calls++;
      outlive (value, g_str_equal (what, "outlive-then-exit") && n_calls == 3);
      return g_variant_new_boolean (TRUE);
    }

  return g_variant_new_int32 (getpid ());
}

GVariant *
use (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  return perform (worker, args, error);
}

/* Runs long after the answer. */
static gboolean
orphaned_cb (gpointer data)
{
  g_autofree char *path = data;

  say (path, "lived on\n");
  exit (0);
}

static gboolean
look_for_parent_cb (gpointer data)
{
  if (getppid () == parent)
    return G_SOURCE_CONTINUE;

  /* By then the end of the socket has been noticed too. */
  g_timeout_add (50, orphaned_cb, data);

  return G_SOURCE_REMOVE;
}

void
use_async (AfrpcInvocation *invocation)
{
  AfrpcWorker *worker = afrpc_invocation_get_worker (invocation);
  GVariant *args = afrpc_invocation_get_args (invocation);
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  GVariant *result;
  const char *what;

  g_variant_get (args, "(&sv)", &what, &value);
  if (g_str_equal (what, "watch-parent"))
    g_timeout_add (1, look_for_parent_cb, g_variant_dup_string (value, NULL));

  result = perform (worker, args, &error);
  if (result != NULL)
    afrpc_invocation_return_value (invocation, result);
  else
    afrpc_invocation_return_error (invocation, error);
}
