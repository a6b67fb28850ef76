/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Large messages, and shared memory between processes. */
#include "test-util.h"

#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG_WORKER (g_getenv ("AFRPC_TEST_BIG_WORKER"))
#define MIB ((gsize) 1 << 20)
#define GIB ((guint64) 1 << 30)

/* The sanitizers have memory, and limits, of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED TRUE
#else
#define IS_SANITIZED FALSE
#endif

static AfrpcProxy *
new_proxy_for (const char   *name,
               AfrpcBackend  backend,
               guint64       message_size_max)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autofree char *function = g_strconcat (name, backend == AFRPC_BACKEND_ASYNC ? "_async" : "", NULL);

  afrpc_process_require (process, BIG_WORKER);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend,
                       "max-message-size", message_size_max, "max-bytes-queued", 2 * message_size_max, NULL);
}

static AfrpcProxy *
new_proxy (const char   *name,
           AfrpcBackend  backend)
{
  return new_proxy_for (name, backend, 128 * MIB);
}

static GVariant *
act (AfrpcProxy *proxy,
     const char *what,
     GVariant   *value)
{
  g_autoptr(GError) error = NULL;
  GVariant *result = test_call (proxy, test_act (what, value), &error);

  g_assert_no_error (error);

  return result;
}

static guint64
act_number (AfrpcProxy *proxy,
            const char *what,
            GVariant   *value)
{
  g_autoptr(GVariant) result = act (proxy, what, value);

  return g_variant_get_uint64 (result);
}

static guint8 *
new_data (gsize   size,
          guint32 seed)
{
  guint8 *data = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    data[i] = (i * 2654435761u + seed) >> 13;

  return data;
}

static GVariant *
new_bytes (gsize   size,
           guint32 seed)
{
  guint8 *data = new_data (size, seed);

  return g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, data, size, TRUE, g_free, data));
}

static void
test_big_echo (gconstpointer data)
{
  const gsize sizes[] = { 16383, 16384, 16385, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 9 * MIB + 13, 2 * MIB };
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Messages of all sizes return as they went, also where their memory was used before");
  watch_init (&watched, new_proxy ("echo", GPOINTER_TO_UINT (data)));
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) bytes = new_bytes (sizes[i], i);
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GVariant) again = NULL;
      g_autoptr(GError) error = NULL;

      result = test_call (watched.proxy, bytes, &error);
      g_assert_no_error (error);
      again = test_call (watched.proxy, g_variant_new ("(s@ay)", "x", result), &error);
      g_assert_no_error (error);
      g_assert_true (g_variant_equal (bytes, result));
      g_clear_pointer (&result, g_variant_unref);
      result = g_variant_get_child_value (again, 1);
      g_assert_true (g_variant_equal (bytes, result));
    }
  watch_end (&watched);
}

static void
test_big_kept (void)
{
  g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Results that are kept are not overwritten by those that follow, or when the proxy goes");
  watch_init (&watched, new_proxy ("echo", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < 12; i++)
    {
      g_autoptr(GVariant) bytes = new_bytes (2 * MIB + i, i);

      g_ptr_array_add (results, test_call (watched.proxy, bytes, NULL));
      if (i % 3 == 2)
        g_ptr_array_remove_index (results, results->len / 2);
    }
  watch_end (&watched);
  for (guint i = 0; i < results->len; i++)
    {
      const gsize size = g_variant_get_size (results->pdata[i]);
      g_autoptr(GVariant) bytes = new_bytes (size, size - 2 * MIB);

      g_assert_true (g_variant_equal (bytes, results->pdata[i]));
    }
}

static guint64
own_memory (const char *name)
{
  g_autofree char *status = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/status", &status, NULL, NULL));

  return g_ascii_strtoull (strstr (status, name) + strlen (name), NULL, 10);
}

static void
test_big_peak_memory (gconstpointer data)
{
  const gsize size = 64 * MIB;
  const guint64 unit = size / 1024, allowance = 5 * 1024; /* KiB */
  g_autoptr(AfrpcProxy) proxy = new_proxy ("act", GPOINTER_TO_UINT (data));
  guint64 base, worker_base, peak;
  FILE *refs;

  g_test_summary ("An echo of 64 MiB takes twice that in the program and once in the worker, however often");
  refs = fopen ("/proc/self/clear_refs", "we");
  if (IS_SANITIZED || g_getenv ("LD_PRELOAD") != NULL || refs == NULL || fputs ("5", refs) < 0 || fclose (refs) != 0)
    {
      g_test_skip ("the memory of this process is not its own, or cannot be measured");
      return;
    }

  {
    g_auto(Watched) watched = { 0 };

    watch_init (&watched, g_object_ref (proxy));
    g_variant_unref (act (proxy, "sum", test_zeros (100000)));
    act_number (proxy, "memory", g_variant_new_string ("VmRSS:"));
    worker_base = act_number (proxy, "memory", g_variant_new_string ("VmRSS:"));
    base = own_memory ("VmRSS:");
    for (guint i = 0; i < 4; i++)
      {
        g_autoptr(GVariant) bytes = new_bytes (size, i);
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) result = test_call (proxy, bytes, &error);

        g_assert_no_error (error);
        g_assert_true (g_variant_equal (bytes, result));
      }
    peak = own_memory ("VmHWM:");
    g_test_message ("program: %" G_GUINT64_FORMAT " KiB more", peak - base);
    g_assert_cmpuint (peak, <=, base + 2 * unit + allowance);
    peak = act_number (proxy, "memory", g_variant_new_string ("VmHWM:"));
    g_test_message ("worker: %" G_GUINT64_FORMAT " KiB more", peak - worker_base);
    g_assert_cmpuint (peak, >=, worker_base + unit);
    g_assert_cmpuint (peak, <=, worker_base + unit + allowance);
    watch_end (&watched);
  }
}

static void
test_big_no_memory (gconstpointer data)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) bytes = new_bytes (8 * MIB, 1);

  g_test_summary ("A call whose arguments do not fit into the worker fails alone");
  if (IS_SANITIZED)
    {
      g_test_skip ("the limits of this process are not its own");
      return;
    }

  watch_init (&watched, new_proxy ("act", GPOINTER_TO_UINT (data)));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) sum = NULL;

      g_variant_unref (act (watched.proxy, "limit-memory", g_variant_new_boolean (TRUE)));
      g_assert_null (test_call (watched.proxy, test_act ("sum", bytes), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_assert_nonnull (strstr (error->message, "no memory"));
      g_variant_unref (act (watched.proxy, "limit-memory", g_variant_new_boolean (FALSE)));
      sum = act (watched.proxy, "sum", test_zeros (100000 + i));
    }
  g_assert_cmpstr (watched.log->str, ==, "");
  watch_end (&watched);
}

/* So many bytes that are no memory until they are written to. */
static guint8 *
map_zeros (guint64 size)
{
  guint8 *data = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (data == MAP_FAILED)
    return NULL;
  madvise (data, size, MADV_NOHUGEPAGE);

  return data;
}

static void
test_big_limit (void)
{
  const guint64 size = 4 * GIB + 16;
  guint8 *data = map_zeros (size);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) bytes = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What is over a limit beyond 4 GiB is told from what is small, and the limit is named");
  if (data == NULL)
    {
      g_test_skip ("there are no addresses for 4 GiB");
      return;
    }
  watch_init (&watched, new_proxy_for ("echo", AFRPC_BACKEND_SYNC, size - 1));
  bytes = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, data, size, TRUE, NULL, NULL));
  g_assert_null (test_call (watched.proxy, bytes, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "4294967312"));
  g_assert_nonnull (strstr (error->message, "4294967311"));
  result = test_call (watched.proxy, g_variant_new_byte (1), NULL);
  g_assert_cmpuint (g_variant_get_byte (result), ==, 1);
  watch_end (&watched);
  g_clear_pointer (&bytes, g_variant_unref);
  munmap (data, size);
}

static guint64
available_memory (void)
{
  g_autofree char *info = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/meminfo", &info, NULL, NULL) || (line = strstr (info, "MemAvailable:")) == NULL)
    return 0;

  return g_ascii_strtoull (line + strlen ("MemAvailable:"), NULL, 10) * 1024;
}

/* Bytes that tell where they are, here and there. */
static void
stamp (guint8  *data,
       guint64  size)
{
  for (guint64 at = 0; at + 8 <= size; at += 64 * MIB)
    memcpy (data + at, &at, sizeof at);
  data[size - 1] = 1;
}

static void
check_stamps (const guint8 *data,
              guint64       size)
{
  for (guint64 at = 0; at + 8 <= size; at += 64 * MIB)
    g_assert_cmpmem (data + at, 8, &at, 8);
  g_assert_cmpuint (data[size - 1], ==, 1);
}

static void
test_big_5_gib (gconstpointer data)
{
  const guint64 size = 5 * GIB + 3;
  /* Once in the worker and once here; what is sent is hardly there. */
  const guint64 needed = 2 * size + 1 * GIB;
  guint8 *memory;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) bytes = NULL;
  g_auto(Outcome) outcome = { 0 };

  g_test_summary ("A message of 5 GiB goes there and back");
  if (!g_test_slow ())
    {
      g_test_skip ("only with -m slow");
      return;
    }
  if (IS_SANITIZED || available_memory () < needed || (memory = map_zeros (size)) == NULL)
    {
      g_test_skip ("there is less memory than 11 GiB");
      return;
    }

  stamp (memory, size);
  watch_init (&watched, new_proxy_for ("echo", GPOINTER_TO_UINT (data), size));
  bytes = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, memory, size, TRUE, NULL, NULL));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), bytes, NULL, outcome_cb, &outcome);
  /* It may take minutes. */
  while (!outcome.done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_no_error (outcome.error);
  g_assert_cmpuint (g_variant_get_size (outcome.value), ==, size);
  check_stamps (g_variant_get_data (outcome.value), size);
  watch_end (&watched);
  g_clear_pointer (&bytes, g_variant_unref);
  munmap (memory, size);
}

/* Buffers */

typedef struct
{
  gboolean done;
  GVariant *value;
  GUnixFDList *fds;
  GError *error;
} FdsOutcome;

static void
fds_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      data)
{
  FdsOutcome *outcome = data;

  outcome->value =
    test_call_finish (source, result, &outcome->fds, &outcome->error);
  outcome->done = TRUE;
}

static void
fds_outcome_clear (FdsOutcome *outcome)
{
  g_clear_pointer (&outcome->value, g_variant_unref);
  g_clear_object (&outcome->fds);
  g_clear_error (&outcome->error);
  outcome->done = FALSE;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FdsOutcome, fds_outcome_clear)

static void
call_with_fd (AfrpcProxy *proxy,
              GVariant   *args,
              int         fd,
              FdsOutcome *outcome)
{
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();

  if (fd >= 0)
    g_assert_cmpint (g_unix_fd_list_append (fds, fd, NULL), ==, 0);
  test_call_with_fds (proxy, args, fds, NULL, fds_cb, outcome);
  test_iterate_until (&outcome->done);
}

static AfrpcBuffer *
get_made_buffer (AfrpcProxy       *proxy,
                 gsize             size,
                 AfrpcBufferFlags  flags,
                 guint8            fill,
                 guint64          *inode)
{
  g_auto(FdsOutcome) outcome = { 0 };
  g_autoptr(GError) error = NULL;
  AfrpcBuffer *buffer;
  guint64 its_size;
  gint32 handle;

  call_with_fd (proxy, test_act ("make-buffer", g_variant_new ("(tuy)", (guint64) size, flags, fill)), -1, &outcome);
  g_assert_no_error (outcome.error);
  g_variant_get (outcome.value, "(htt)", &handle, &its_size, inode);
  g_assert_cmpuint (its_size, ==, size);
  buffer = afrpc_buffer_new_take_fd (g_unix_fd_list_get (outcome.fds, handle, NULL), its_size, flags, &error);
  g_assert_no_error (error);

  return buffer;
}

static void
assert_full_of (GBytes *bytes,
                gsize   expected_size,
                guint8  fill)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  g_assert_cmpuint (size, ==, expected_size);
  for (gsize i = 0; i < size; i++)
    if (data[i] != fill)
      g_assert_cmpuint (data[i], ==, fill);
}

static void
test_buffer_from_worker (gconstpointer data)
{
  const gsize size = 300000;
  const guint n_fds = test_count_fds ();

  g_test_summary ("What a worker builds in a buffer the program reads, also after the worker's end");
  {
    g_auto(Watched) watched = { 0 };
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(AfrpcBuffer) buffer = NULL;
    guint64 inode;

    watch_init (&watched, new_proxy ("act", GPOINTER_TO_UINT (data)));
    buffer = get_made_buffer (watched.proxy, size, AFRPC_BUFFER_DEFAULT, 'x', &inode);
    bytes = afrpc_buffer_get_bytes (buffer);
    g_clear_pointer (&buffer, afrpc_buffer_unref);
    watch_end (&watched);
    assert_full_of (bytes, size, 'x');
  }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_buffer_reused (gconstpointer data)
{
  const gsize size = 300000;
  g_autoptr(AfrpcBuffer) kept = NULL;
  g_autoptr(GBytes) bytes = NULL;
  guint64 kept_inode, inode, other_inode = 0;
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A worker uses memory again that the program has given back, and none that it still has");
  watch_init (&watched, new_proxy ("act", GPOINTER_TO_UINT (data)));
  kept = get_made_buffer (watched.proxy, size, AFRPC_BUFFER_REUSED, 1, &kept_inode);
  for (guint8 i = 2; i < 10; i++)
    {
      g_autoptr(AfrpcBuffer) buffer = get_made_buffer (watched.proxy, size, AFRPC_BUFFER_REUSED, i, &inode);
      g_autoptr(GBytes) more = afrpc_buffer_get_bytes (buffer);

      g_assert_cmpuint (inode, !=, kept_inode);
      g_assert_true (i == 2 || inode == other_inode);
      other_inode = inode;
      assert_full_of (more, size, i);
    }
  bytes = afrpc_buffer_get_bytes (kept);
  g_clear_pointer (&kept, afrpc_buffer_unref);
  assert_full_of (bytes, size, 1);
  g_clear_pointer (&bytes, g_bytes_unref);
  watch_end (&watched);
}

static void
test_buffer_to_worker (gconstpointer data)
{
  const AfrpcBufferFlags kinds[] = { AFRPC_BUFFER_DEFAULT, AFRPC_BUFFER_REUSED };
  const gsize size = 200000;
  g_auto(Watched) watched = { 0 };

  g_test_summary ("What the program builds in a buffer a worker reads, unless it does not accept it");
  watch_init (&watched, new_proxy ("act", GPOINTER_TO_UINT (data)));
  for (guint i = 0; i < 8; i++)
    {
      const AfrpcBufferFlags flags = kinds[i / 2 % 2], accepted = kinds[i % 2];
      g_autoptr(AfrpcBuffer) buffer = afrpc_buffer_new (size, flags, NULL);
      g_autofree guint8 *bytes = new_data (size, i);
      g_auto(FdsOutcome) outcome = { 0 };
      guint64 sum = 0;

      for (gsize j = 0; j < size; j++)
        sum = sum * 31 + bytes[j];
      afrpc_buffer_write (buffer, 0, bytes, size);
      g_assert_true (afrpc_buffer_seal (buffer, NULL));
      call_with_fd (watched.proxy, test_act ("read-buffer", g_variant_new ("(htu)", 0, (guint64) size, accepted)),
                    afrpc_buffer_get_fd (buffer), &outcome);
      if (flags == AFRPC_BUFFER_REUSED && accepted == AFRPC_BUFFER_DEFAULT)
        g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      else
        {
          g_assert_no_error (outcome.error);
          g_assert_cmpuint (g_variant_get_uint64 (outcome.value), ==, sum);
        }
    }
  watch_end (&watched);
}

/* How many pages a process has had to be given so far. */
static guint64
count_faults (int pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  g_auto(GStrv) words = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  /* Behind the name, which may be anything: state is the third. */
  words = g_strsplit (strrchr (text, ')') + 2, " ", -1);

  return g_ascii_strtoull (words[7], NULL, 10);
}

/* How many pages both sides have been given once a buffer was passed @n times to the worker. */
static guint64
count_faults_after_passing (AfrpcProxy  *proxy,
                            AfrpcBuffer *buffer,
                            guint        n)
{
  const gsize size = afrpc_buffer_get_size (buffer);

  for (guint i = 0; i < n; i++)
    {
      GVariant *args = test_act ("pass-buffer", g_variant_new ("(htu)", 0, (guint64) size, AFRPC_BUFFER_DEFAULT));
      g_auto(FdsOutcome) outcome = { 0 };

      call_with_fd (proxy, args, afrpc_buffer_get_fd (buffer), &outcome);
      g_assert_no_error (outcome.error);
      g_assert_cmpuint (g_variant_get_uint64 (outcome.value), ==, size);
    }

  return count_faults (getpid ()) + count_faults (afrpc_process_get_pid (afrpc_proxy_get_process (proxy)));
}

static void
test_buffer_cost (void)
{
  const gsize sizes[] = { 64 << 10, 64 * MIB };
  const guint n = 20;
  AfrpcBuffer *buffers[G_N_ELEMENTS (sizes)];
  guint64 n_faults[G_N_ELEMENTS (sizes)];
  g_auto(Watched) watched = { 0 };

  g_test_summary ("To pass 64 MiB touches no more memory than to pass 64 KiB");
  watch_init (&watched, new_proxy ("act", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      buffers[i] = afrpc_buffer_new (sizes[i], AFRPC_BUFFER_DEFAULT, NULL);
      memset (afrpc_buffer_get_data (buffers[i]), i, sizes[i]);
      g_assert_true (afrpc_buffer_seal (buffers[i], NULL));
      n_faults[i] = count_faults_after_passing (watched.proxy, buffers[i], 1);
      n_faults[i] = count_faults_after_passing (watched.proxy, buffers[i], n) - n_faults[i];
    }

  /* Once through it would be 16384 pages. */
  g_test_message ("64 KiB: %" G_GUINT64_FORMAT ", 64 MiB: %" G_GUINT64_FORMAT, n_faults[0], n_faults[1]);
  g_assert_cmpuint (n_faults[1], <, n_faults[0] + 1000);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    afrpc_buffer_unref (buffers[i]);
  watch_end (&watched);
}

int
main (int    argc,
      char **argv)
{
  const gconstpointer sync = GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), async = GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC);

  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/big/echo/sync", sync, test_big_echo);
  g_test_add_data_func ("/big/echo/async", async, test_big_echo);
  g_test_add_func ("/big/kept", test_big_kept);
  g_test_add_data_func ("/big/peak-memory/sync", sync, test_big_peak_memory);
  g_test_add_data_func ("/big/peak-memory/async", async, test_big_peak_memory);
  g_test_add_data_func ("/big/no-memory/sync", sync, test_big_no_memory);
  g_test_add_data_func ("/big/no-memory/async", async, test_big_no_memory);
  g_test_add_func ("/big/limit", test_big_limit);
  g_test_add_data_func ("/big/5-gib/sync", sync, test_big_5_gib);
  g_test_add_data_func ("/big/buffer/from-worker/sync", sync, test_buffer_from_worker);
  g_test_add_data_func ("/big/buffer/from-worker/async", async, test_buffer_from_worker);
  g_test_add_data_func ("/big/buffer/reused/sync", sync, test_buffer_reused);
  g_test_add_data_func ("/big/buffer/reused/async", async, test_buffer_reused);
  g_test_add_data_func ("/big/buffer/to-worker/sync", sync, test_buffer_to_worker);
  g_test_add_data_func ("/big/buffer/to-worker/async", async, test_buffer_to_worker);
  g_test_add_func ("/big/buffer/cost", test_buffer_cost);

  return g_test_run ();
}
