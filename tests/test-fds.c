/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* File descriptors in calls, results and events. */
#include "test-util.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own-process.h"

#define MESSAGE_WORKER (g_getenv ("AFRPC_TEST_MESSAGE_WORKER"))

static AfrpcProxy *
new_proxy (const char   *function,
           AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();

  afrpc_process_require (process, MESSAGE_WORKER);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

static guint64
fd_inode (int fd)
{
  struct stat st;

  g_assert_no_errno (fstat (fd, &st));

  return st.st_ino;
}

/* So many files, each of its own. */
static GUnixFDList *
new_list (guint    n,
          guint64 *inodes)
{
  GUnixFDList *list = g_unix_fd_list_new ();

  for (guint i = 0; i < n; i++)
    {
      int fd = memfd_create ("test", MFD_CLOEXEC);

      inodes[i] = fd_inode (fd);
      g_assert_cmpint (g_unix_fd_list_append (list, fd, NULL), ==, i);
      close (fd);
    }

  return list;
}

static void
check_reversed (GVariant      *result,
                GUnixFDList   *fds,
                guint          n,
                const guint64 *inodes)
{
  g_autoptr(GVariantIter) handles = NULL;
  gint32 handle;
  guint i = n;

  g_assert_cmpint (fds != NULL ? g_unix_fd_list_get_length (fds) : 0, ==, n);
  g_variant_get (result, "(ahv)", &handles, NULL);
  while (g_variant_iter_next (handles, "h", &handle))
    {
      const int *peeked = g_unix_fd_list_peek_fds (fds, NULL);

      g_assert_cmpint (handle, ==, n - i);
      g_assert_cmpint (fcntl (peeked[handle], F_GETFD), ==, FD_CLOEXEC);
      g_assert_cmpuint (fd_inode (peeked[handle]), ==, inodes[--i]);
    }
  g_assert_cmpuint (i, ==, 0);
}

#define N_FDS_MAX 5

typedef struct
{
  guint n;
  guint64 inodes[N_FDS_MAX];
  guint *n_pending;
} Swap;

static void
reversed_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      data)
{
  Swap *swap = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GUnixFDList) fds = NULL;
  g_autoptr(GVariant) value =
    test_call_finish (source, result, swap->n % 2 == 0 ? &fds : NULL, &error);

  g_assert_no_error (error);
  /* Whoever does not want them does not leak them. */
  if (swap->n % 2 == 0)
    check_reversed (value, fds, swap->n, swap->inodes);
  --*swap->n_pending;
}

static void
test_fds_pipelined (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);
  const guint n_fds = test_count_fds ();
  const guint n_calls = 600;
  g_autofree Swap *swaps = g_new0 (Swap, n_calls);
  guint n_pending = n_calls;

  g_test_summary ("Hundreds of descriptors travel there and back under full pipelining, none lost or swapped");
  {
    g_auto(Watched) watched = { 0 };

    watch_init (&watched, new_proxy (backend == AFRPC_BACKEND_SYNC ? "reverse" : "reverse_async", backend));
    for (guint i = 0; i < n_calls; i++)
      {
        g_autoptr(GUnixFDList) list = NULL;

        swaps[i].n = i % (N_FDS_MAX + 1);
        swaps[i].n_pending = &n_pending;
        list = new_list (swaps[i].n, swaps[i].inodes);
        /* Some are large, some have none. */
        test_call_with_fds (watched.proxy, i % 50 == 0 ? test_zeros (100000) : NULL,
                                   swaps[i].n > 0 ? list : NULL, NULL, reversed_cb, &swaps[i]);
        /* More would be over the usual limit of open files. */
        while (n_calls - (i + 1) + 100 < n_pending)
          g_main_context_iteration (NULL, TRUE);
      }
    while (n_pending > 0)
      g_main_context_iteration (NULL, TRUE);
    watch_end (&watched);
  }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static guint32
count_in_worker (AfrpcProxy *proxy)
{
  g_autoptr(GVariant) count = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, NULL);

  return g_variant_get_uint32 (count);
}

static void
test_fds_sync (void)
{
  g_auto(Watched) watched = { 0 };
  guint64 inodes[253];
  g_autoptr(GUnixFDList) list = NULL;

  g_test_summary ("A blocking call takes and gives descriptors, as many as one message can have");
  watch_init (&watched, new_proxy ("reverse", AFRPC_BACKEND_SYNC));
  list = new_list (253, inodes);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GUnixFDList) fds = NULL;
      g_autoptr(GVariant) result =
        test_call_with_fds_sync (watched.proxy, NULL, i < 2 ? list : NULL, i > 0 ? &fds : NULL, NULL, &error);

      g_assert_no_error (error);
      if (i > 0)
        check_reversed (result, fds, i < 2 ? 253 : 0, inodes);
    }
}

static void
test_fds_too_many (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  guint64 inodes[254];
  g_autoptr(GUnixFDList) list = new_list (254, inodes);
  g_autoptr(GVariant) result = NULL;
  const guint n_fds = test_count_fds ();

  g_test_summary ("A call, or a result, with too many descriptors fails alone");
  {
    g_auto(Watched) results = { 0 };

    watch_init (&results, new_proxy ("many_results", AFRPC_BACKEND_SYNC));
    g_assert_null (test_call_with_fds_sync (results.proxy, g_variant_new ("(u)", 1), list, NULL, NULL, &error));
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
    g_clear_error (&error);
    g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (results.proxy), g_variant_new ("(u)", 254), NULL, &error));
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
    g_clear_error (&error);
    result = afrpc_caller_call_sync (AFRPC_CALLER (results.proxy), g_variant_new ("(u)", 253), NULL, &error);
    g_assert_no_error (error);
    watch_end (&results);
  }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_fds_not_taken (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Watched) counter = { 0 };
  g_autoptr(AfrpcProcess) process = test_process_new ();
  guint64 inodes[10];
  g_autoptr(GUnixFDList) list = new_list (10, inodes);
  guint32 before = 0;

  g_test_summary ("Descriptors that a function does not take, and those of a result that it does not give, are closed");
  watch_init (&counter, new_proxy ("count_fds", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GVariant) count = test_call_with_fds_sync (counter.proxy, NULL, list, NULL, NULL, NULL);

      g_assert_nonnull (count);
      if (before == 0)
        before = count_in_worker (counter.proxy);
      g_assert_cmpuint (g_variant_get_uint32 (count), ==, before + 10);
      g_assert_cmpuint (count_in_worker (counter.proxy), ==, before);
    }

  watch_init (&watched, new_proxy ("keep_fd", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GUnixFDList) fds = NULL;
      g_autoptr(GError) error = NULL;

      g_assert_null (test_call_with_fds_sync (watched.proxy, NULL, list, &fds, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      g_assert_null (fds);
    }
}

/* What a worker may have open can only be set by itself, so there is one function for everything. */
static void
test_fds_worker_full (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  guint64 inodes[5];
  g_autoptr(GUnixFDList) list = new_list (5, inodes);
  AfrpcProxy *proxy;

  g_test_summary ("A worker whose table is full fails the call that brings descriptors, and no other");
  afrpc_process_require (process, MESSAGE_WORKER);
  proxy = afrpc_proxy_new (process, "fill_table");
  watch_init (&watched, proxy);
  for (guint32 room = 0; room < 5; room++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) set = NULL;
      g_autoptr(GVariant) refused = NULL;
      g_autoptr(GVariant) reset = NULL;
      g_autoptr(GVariant) taken = NULL;

      set = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(u)", room), NULL, &error);
      g_assert_no_error (error);
      refused = test_call_with_fds_sync (proxy, g_variant_new ("(u)", 7), list, NULL, NULL, &error);
      g_assert_null (refused);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, "open files"));
      g_clear_error (&error);
      reset = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(u)", G_MAXUINT32), NULL, &error);
      g_assert_no_error (error);
      taken = test_call_with_fds_sync (proxy, g_variant_new ("(u)", G_MAXUINT32), list, NULL, NULL, &error);
      g_assert_no_error (error);
    }
}

static void
test_fds_parent_full (void)
{
  g_auto(Watched) watched = { 0 };
  guint64 inodes[3];
  g_autoptr(GUnixFDList) list = new_list (3, inodes);
  guint64 n_fds_max;

  g_test_summary ("A program whose table is full misses the descriptors of one result, and nothing else");
  watch_init (&watched, new_proxy ("many_results", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 3), NULL, &error);
      g_autoptr(GVariant) lost = NULL;
      g_autoptr(GUnixFDList) fds = NULL;

      g_assert_no_error (error);
      n_fds_max = own_process_limit_fds (own_process_lowest_fd () + i);
      g_assert_null (test_call_with_fds_sync (watched.proxy, g_variant_new ("(u)", 3), NULL, &fds, NULL, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, " running 'many_results' of "));
      g_assert_nonnull (strstr (error->message, "RLIMIT_NOFILE"));
      g_assert_null (fds);
      g_clear_error (&error);
      /* Nor can it copy what it wants to send. */
      g_assert_null (test_call_with_fds_sync (watched.proxy, g_variant_new ("(u)", 3), list, NULL, NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
      own_process_limit_fds (n_fds_max);
    }
}

typedef struct
{
  guint n_events;
  gboolean done;
} Events;

static void
fd_event_cb (AfrpcProxy   *proxy,
             GVariant     *event,
             AfrpcProcess *from,
             GUnixFDList  *fds,
             Events       *events)
{
  gint32 handle;
  guint32 number, written;
  int fd;

  g_assert_nonnull (fds);
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 2);
  g_variant_get (event, "(hu)", &handle, &number);
  g_assert_cmpuint (number, ==, events->n_events++);
  fd = g_unix_fd_list_get (fds, handle, NULL);
  g_assert_cmpint (read (fd, &written, sizeof written), ==, sizeof written);
  g_assert_cmpuint (written, ==, number);
  close (fd);
}

static void
test_fds_events (void)
{
  const guint n_fds = test_count_fds ();

  g_test_summary ("Events bring descriptors, which are closed if nobody takes them");
  {
    g_auto(Watched) watched = { 0 };
    g_autoptr(GVariant) result = NULL;
    g_autoptr(GError) error = NULL;
    Events events = { 0 };

    watch_init (&watched, new_proxy ("fd_event", AFRPC_BACKEND_SYNC));
    g_signal_connect (watched.proxy, "event", G_CALLBACK (fd_event_cb), &events);
    result = test_call (watched.proxy, g_variant_new ("(u)", 300), &error);
    g_assert_no_error (error);
    g_assert_cmpuint (events.n_events, ==, 300);
    watch_end (&watched);
  }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_fds_command (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *argv[] = { "sh", "-c", "exec \"$0\"", host, NULL };
  guint64 inode;
  g_autoptr(GUnixFDList) list = new_list (1, &inode);
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("Over a command no descriptors travel: the call fails alone, and says so");
  process = afrpc_process_new_command (argv);
  afrpc_process_require (process, MESSAGE_WORKER);
  watch_init (&watched, afrpc_proxy_new (process, "many_results"));
  g_assert_null (test_call_with_fds_sync (watched.proxy, g_variant_new ("(u)", 0), list, NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 1), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(u)", 0), NULL, &error);
  g_assert_no_error (error);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/fds/pipelined/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_fds_pipelined);
  g_test_add_data_func ("/fds/pipelined/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_fds_pipelined);
  g_test_add_func ("/fds/sync", test_fds_sync);
  g_test_add_func ("/fds/too-many", test_fds_too_many);
  g_test_add_func ("/fds/not-taken", test_fds_not_taken);
  /* There limits are only pretended. */
  if (strstr (g_getenv ("LD_PRELOAD") != NULL ? g_getenv ("LD_PRELOAD") : "", "vgpreload") == NULL)
    {
      g_test_add_func ("/fds/full/worker", test_fds_worker_full);
      g_test_add_func ("/fds/full/program", test_fds_parent_full);
    }
  g_test_add_func ("/fds/events", test_fds_events);
  g_test_add_func ("/fds/command", test_fds_command);

  return g_test_run ();
}
