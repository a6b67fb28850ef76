/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-payload-memory.h"

#include <string.h>
#include <sys/resource.h>

#include "own-process.h"

#define MIB ((gsize) 1 << 20)

/* Memory that was written to, and is freed from now on. */
static guint8 *
use (gsize size)
{
  g_auto(AfrpcPayloadMemory) block = { NULL };

  g_assert_true (afrpc_payload_memory_init (&block, size));
  g_assert_cmpuint ((guintptr) block.data % 16, ==, 0);
  memset (block.data, 0x5a, size);

  return block.data;
}

static void
test_payload_memory_again (void)
{
  const gsize sizes[] = { AFRPC_PAYLOAD_MEMORY_KEPT_MIN, 4 * MIB - 1, 4 * MIB, 5 * MIB + 1, AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX };

  g_test_summary ("Large memory that was freed is used again");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      guint8 *data;

      afrpc_payload_memory_drop_kept ();
      data = use (sizes[i]);
      g_assert_cmpuint (afrpc_payload_memory_get_kept (), >=, sizes[i]);
      g_assert_true (use (sizes[i]) == data);
      if (sizes[i] >= 4 * MIB)
        g_assert_true (use (sizes[i] - sizes[i] / 4) == data);
    }
}

static void
test_payload_memory_small (void)
{
  g_test_summary ("Small memory is malloc's, and nothing of it is kept");
  afrpc_payload_memory_drop_kept ();
  use (0);
  use (1);
  use (AFRPC_PAYLOAD_MEMORY_KEPT_MIN - 1);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 0);
}

static void
test_payload_memory_fit (void)
{
  guint8 *data;

  g_test_summary ("A block that is much too large or too small is not used, and the smaller one makes room");
  afrpc_payload_memory_drop_kept ();
  data = use (64 * MIB);
  {
    g_auto(AfrpcPayloadMemory) small = { NULL };

    g_assert_true (afrpc_payload_memory_init (&small, 20 * MIB));
    g_assert_true (small.data != data);
    g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 64 * MIB);
  }
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 84 * MIB);

  /* The smallest that is large enough. */
  g_assert_true (use (40 * MIB) == data);
  g_assert_true (use (15 * MIB) != data);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 84 * MIB);

  use (70 * MIB);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 70 * MIB);
}

static void
test_payload_memory_bounds (void)
{
  AfrpcPayloadMemory blocks[AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX + 1];

  g_test_summary ("No more is kept than so many blocks and so many bytes, and the oldest go first");
  afrpc_payload_memory_drop_kept ();
  for (guint i = 0; i < G_N_ELEMENTS (blocks); i++)
    g_assert_true (afrpc_payload_memory_init (&blocks[i], (i + 1) * 2 * MIB));
  for (guint i = 0; i < G_N_ELEMENTS (blocks); i++)
    afrpc_payload_memory_clear (&blocks[i]);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, (2 + 3 + 4 + 5 + 6 + 7 + 8 + 9) * 2 * MIB);

  use (AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX);
  use (AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX + 1);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 0);
  use (2 * MIB);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 2 * MIB);
}

static void
test_payload_memory_bytes (void)
{
  const gsize sizes[] = { 1, 20000, MIB, 2 * MIB, 3 * MIB };

  g_test_summary ("Memory becomes bytes where it lies, and is kept when they are freed");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      AfrpcPayloadMemory block;
      guint8 *data;
      GBytes *bytes;

      afrpc_payload_memory_drop_kept ();
      g_assert_true (afrpc_payload_memory_init (&block, sizes[i] + 7));
      data = block.data;
      memset (data, i, sizes[i]);
      bytes = afrpc_payload_memory_to_bytes (&block, sizes[i]);
      g_assert_null (block.data);
      g_assert_true (g_bytes_get_data (bytes, NULL) == data);
      g_assert_cmpuint (g_bytes_get_size (bytes), ==, sizes[i]);
      g_bytes_unref (bytes);
      g_assert_cmpint (afrpc_payload_memory_get_kept () > 0, ==, sizes[i] >= AFRPC_PAYLOAD_MEMORY_KEPT_MIN);
    }
}

static void
test_payload_memory_no_memory (void)
{
  const struct rlimit none = { 0, RLIM_INFINITY };
  struct rlimit before;
  AfrpcPayloadMemory block;
  gboolean has_memory;

  g_test_summary ("Where there is no memory, only what is kept can be had");
  if (!own_process_can_be_without_memory ())
    {
      g_test_skip ("what watches this process needs memory itself");
      return;
    }

  afrpc_payload_memory_drop_kept ();
  use (4 * MIB);
  g_assert_no_errno (getrlimit (RLIMIT_AS, &before));
  g_assert_no_errno (setrlimit (RLIMIT_AS, &none));
  has_memory = afrpc_payload_memory_init (&block, 4 * MIB);
  g_assert_no_errno (setrlimit (RLIMIT_AS, &before));
  g_assert_true (has_memory);
  afrpc_payload_memory_clear (&block);

  g_assert_no_errno (setrlimit (RLIMIT_AS, &none));
  has_memory = afrpc_payload_memory_init (&block, 5 * MIB);
  g_assert_no_errno (setrlimit (RLIMIT_AS, &before));
  g_assert_false (has_memory);
  g_assert_null (block.data);

  g_assert_false (afrpc_payload_memory_init (&block, G_MAXSIZE));
  g_assert_false (afrpc_payload_memory_init (&block, G_MAXSIZE / 2));
}

#define N_THREADS 4
#define N_ROUNDS 2000

/* Blocks that no other thread writes to meanwhile. */
static gpointer
use_thread (gpointer data)
{
  const guint number = GPOINTER_TO_UINT (data);

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_auto(AfrpcPayloadMemory) block = { NULL };
      const gsize size = (1 + (number + i) % 3) * 2 * MIB;

      g_assert_true (afrpc_payload_memory_init (&block, size));
      for (gsize at = 0; at < size; at += MIB / 4)
        block.data[at] = number;
      g_thread_yield ();
      for (gsize at = 0; at < size; at += MIB / 4)
        g_assert_cmpuint (block.data[at], ==, number);
    }

  return NULL;
}

static void
test_payload_memory_threads (void)
{
  GThread *threads[N_THREADS];

  g_test_summary ("Any thread may get and free memory");
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("use", use_thread, GUINT_TO_POINTER (i));
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), <=, AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX);
  afrpc_payload_memory_drop_kept ();
  g_assert_cmpuint (afrpc_payload_memory_get_kept (), ==, 0);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/payload-memory/again", test_payload_memory_again);
  g_test_add_func ("/payload-memory/small", test_payload_memory_small);
  g_test_add_func ("/payload-memory/fit", test_payload_memory_fit);
  g_test_add_func ("/payload-memory/bounds", test_payload_memory_bounds);
  g_test_add_func ("/payload-memory/bytes", test_payload_memory_bytes);
  g_test_add_func ("/payload-memory/no-memory", test_payload_memory_no_memory);
  g_test_add_func ("/payload-memory/threads", test_payload_memory_threads);

  return g_test_run ();
}
