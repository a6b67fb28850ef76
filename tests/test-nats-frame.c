/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats/afrpc-nats-chunks.h"
#include "nats/afrpc-nats-frame.h"

#include <afrpc/afrpc.h>
#include <string.h>

/* Messages over NATS as bytes. */

static GBytes *
new_message (void)
{
  GByteArray *message = afrpc_nats_message_new (G_GUINT64_CONSTANT (0x123456789abcdef0));

  afrpc_nats_message_add (message, AFRPC_NATS_CALL, AFRPC_NATS_FLAG_IDEMPOTENT, 7, g_variant_new_parsed ("({'a': <1>}, <(2, 'three')>)"));
  afrpc_nats_message_add (message, AFRPC_NATS_ACK, 0, 8, NULL);
  afrpc_nats_message_add (message, AFRPC_NATS_REFUSED, 0, 9, g_variant_new_string ("why"));

  return g_byte_array_free_to_bytes (message);
}

static void
test_nats_frame_round_trip (void)
{
  g_autoptr(GBytes) bytes = new_message ();
  g_auto(AfrpcNatsReader) reader = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autofree char *text = NULL;
  AfrpcNatsFrame frame;

  g_test_summary ("What was written is read");
  g_assert_true (afrpc_nats_reader_init (&reader, bytes, &error));
  g_assert_cmpuint (reader.sender, ==, G_GUINT64_CONSTANT (0x123456789abcdef0));
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, &error), ==, 1);
  g_assert_cmpuint (frame.type, ==, AFRPC_NATS_CALL);
  g_assert_cmpuint (frame.flags, ==, AFRPC_NATS_FLAG_IDEMPOTENT);
  g_assert_cmpuint (frame.id, ==, 7);
  value = afrpc_nats_reader_value (&reader, &frame, "(a{sv}v)", &error);
  text = g_variant_print (value, FALSE);
  g_assert_cmpstr (text, ==, "({'a': <1>}, <(2, 'three')>)");
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, &error), ==, 1);
  g_assert_cmpuint (frame.type, ==, AFRPC_NATS_ACK);
  g_assert_cmpuint (frame.size, ==, 0);
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, &error), ==, 1);
  g_assert_cmpuint (frame.type, ==, AFRPC_NATS_REFUSED);
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, &error), ==, 0);
}

static void
test_nats_frame_other_order (void)
{
  g_autoptr(GBytes) bytes = new_message ();
  g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_autoptr(GBytes) swapped = NULL;
  g_auto(AfrpcNatsReader) reader = { 0 };
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) boxed = NULL;
  g_autoptr(GVariant) args = NULL;
  AfrpcNatsFrame frame;
  gint32 number;

  g_test_summary ("A value from a machine of the other byte order is read as what it is there");
  copy[4] ^= 1;
  swapped = g_bytes_new (copy, g_bytes_get_size (bytes));
  g_assert_true (afrpc_nats_reader_init (&reader, swapped, NULL));
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, NULL), ==, 1);
  value = afrpc_nats_reader_value (&reader, &frame, "(a{sv}v)", NULL);
  boxed = g_variant_get_child_value (value, 1);
  args = g_variant_get_variant (boxed);
  g_variant_get_child (args, 0, "i", &number);
  g_assert_cmpint (number, ==, 2 << 24);
}

/* Reads all that can be read. */
static void
read_all (GBytes *bytes)
{
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsFrame frame;

  if (!afrpc_nats_reader_init (&reader, bytes, NULL))
    return;
  while (afrpc_nats_reader_next (&reader, &frame, NULL) > 0)
    {
      g_autoptr(GVariant) value = afrpc_nats_reader_value (&reader, &frame, "(a{sv}v)", NULL);
      g_autoptr(GVariant) text = afrpc_nats_reader_value (&reader, &frame, "s", NULL);
      g_autofree char *printed = value != NULL ? g_variant_print (value, TRUE) : NULL;
    }
}

static void
test_nats_frame_damaged (void)
{
  g_autoptr(GBytes) bytes = new_message ();
  const gsize size = g_bytes_get_size (bytes);

  g_test_summary ("What is cut off, or damaged, is not read past its end");
  for (gsize n = 0; n <= size; n++)
    {
      g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), n);
      g_autoptr(GBytes) part = g_bytes_new_take (g_steal_pointer (&copy), n);

      read_all (part);
    }
  for (guint i = 0; i < 20000; i++)
    {
      guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), size);
      g_autoptr(GBytes) damaged = NULL;

      for (int n = g_test_rand_int_range (1, 4); n > 0; n--)
        copy[g_test_rand_int_range (0, size)] = g_test_rand_int_range (0, 256);
      damaged = g_bytes_new_take (copy, size);
      read_all (damaged);
    }
}

static void
test_nats_frame_versions (void)
{
  guint8 header[16] = { 'A', 'f', 'N', AFRPC_NATS_VERSION + 1 };
  g_autoptr(GBytes) later = g_bytes_new (header, sizeof header);
  g_autoptr(GBytes) other = g_bytes_new_static ("hello", 5);
  g_autoptr(GError) error = NULL;
  AfrpcNatsReader reader;

  g_test_summary ("Another version is told from what is none of ours");
  g_assert_false (afrpc_nats_reader_init (&reader, later, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION);
  g_clear_error (&error);
  g_assert_false (afrpc_nats_reader_init (&reader, other, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
}

/* Chunks */

typedef struct
{
  AfrpcNatsChunks chunks;
  GBytes *whole;  /* (nullable) */
  guint n_parts;
  guint skipped;  /* which is lost; 0: none */
  guint n_failed;
  gsize part_max;
} Parts;

static void
part_cb (GBytes   *part,
         gpointer  data)
{
  Parts *parts = data;
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsFrame frame;

  parts->n_parts++;
  parts->part_max = MAX (parts->part_max, g_bytes_get_size (part));
  if (parts->n_parts == parts->skipped)
    return;
  g_assert_true (afrpc_nats_reader_init (&reader, part, NULL));
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, NULL), ==, 1);
  if (frame.type != AFRPC_NATS_CHUNK)
    parts->whole = g_bytes_ref (part);
  else if (afrpc_nats_chunks_take (&parts->chunks, &frame, 100000, &parts->whole, NULL) < 0)
    parts->n_failed++;
}

static void
check_parts (gsize size,
             guint skipped)
{
  GByteArray *message = afrpc_nats_message_new (1);
  g_autofree char *text = g_strnfill (size, 'x');
  g_autoptr(GBytes) bytes = NULL;
  Parts parts = { .skipped = skipped };

  afrpc_nats_message_add (message, AFRPC_NATS_REFUSED, 0, 1, g_variant_new_string (text));
  bytes = g_byte_array_free_to_bytes (message);
  afrpc_nats_chunks_split (bytes, 1, 2, 1000, part_cb, &parts);
  g_assert_cmpuint (parts.part_max, <=, 1000);
  if (skipped == 0 || skipped > parts.n_parts)
    {
      g_assert_cmpuint (parts.n_parts > 1, ==, g_bytes_get_size (bytes) > 1000);
      g_assert_true (g_bytes_equal (parts.whole, bytes));
      g_bytes_unref (parts.whole);
    }
  else
    g_assert_null (parts.whole);
  afrpc_nats_chunks_clear (&parts.chunks);
}

static void
test_nats_frame_chunks (void)
{
  GByteArray *message = afrpc_nats_message_new (1);
  g_autoptr(GBytes) bytes = NULL;
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsChunks chunks = { 0 };
  AfrpcNatsFrame frame;
  GBytes *whole = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What is split is put together, unless a part is missing");
  for (gsize size = 900; size < 3100; size += 7)
    for (guint skipped = 0; skipped < 5; skipped++)
      check_parts (size, skipped);

  afrpc_nats_message_add_chunk (message, 1, 100001, 0, (const guint8 *) "x", 1);
  bytes = g_byte_array_free_to_bytes (message);
  g_assert_true (afrpc_nats_reader_init (&reader, bytes, NULL));
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, NULL), ==, 1);
  g_assert_cmpint (afrpc_nats_chunks_take (&chunks, &frame, 100000, &whole, &error), ==, -1);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nats-frame/round-trip", test_nats_frame_round_trip);
  g_test_add_func ("/nats-frame/other-order", test_nats_frame_other_order);
  g_test_add_func ("/nats-frame/damaged", test_nats_frame_damaged);
  g_test_add_func ("/nats-frame/versions", test_nats_frame_versions);
  g_test_add_func ("/nats-frame/chunks", test_nats_frame_chunks);

  return g_test_run ();
}
