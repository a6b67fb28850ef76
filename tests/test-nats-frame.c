/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats/afrpc-nats-chunks.h"
#include "nats/afrpc-nats-flow.h"
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

/* Large messages */

#define PART_MAX 1000u
#define MS G_GINT64_CONSTANT (1000)

/* A flow, and who puts together what comes of it. */
typedef struct
{
  AfrpcNatsFlow *flow;
  AfrpcNatsChunks chunks;
  GBytes *whole;   /* (nullable) */
  gint64 now_us;
  guint n_parts;
  gsize in_flight_max;
} Parts;

static void
parts_init (Parts      *parts,
            const char *text)
{
  memset (parts, 0, sizeof *parts);
  parts->flow = afrpc_nats_flow_new ("somewhere", NULL, 1);
  parts->now_us = 1;
  afrpc_nats_flow_add (parts->flow, 7, g_strdup ("back"), AFRPC_NATS_REFUSED, 0, 1, g_variant_new_string (text));
}

static void
parts_clear (Parts *parts)
{
  g_clear_pointer (&parts->whole, g_bytes_unref);
  afrpc_nats_chunks_clear (&parts->chunks);
  afrpc_nats_flow_unref (parts->flow);
}

/* Returns: (nullable): the next part; NULL if none may be sent now */
static GBytes *
new_part (Parts *parts)
{
  AfrpcNatsTransfer *transfer = afrpc_nats_flow_get_ready (parts->flow);
  gsize offset, size;

  if (transfer == NULL)
    return NULL;
  if (transfer->message == NULL)
    transfer->message = afrpc_nats_transfer_make (transfer, 1);
  size = afrpc_nats_flow_begin_part (parts->flow, transfer, PART_MAX, parts->now_us, &offset);
  parts->n_parts++;
  parts->in_flight_max = MAX (parts->in_flight_max, transfer->sent - transfer->received);

  return afrpc_nats_transfer_new_part (transfer, 1, offset, size);
}

/* Returns: what afrpc_nats_chunks_take() says */
static int
take_part (Parts  *parts,
           GBytes *part,
           gsize   size_max)
{
  g_auto(AfrpcNatsReader) reader = { 0 };
  AfrpcNatsFrame frame;

  g_assert_cmpuint (g_bytes_get_size (part), <=, PART_MAX);
  g_assert_true (afrpc_nats_reader_init (&reader, part, NULL));
  g_assert_cmpint (afrpc_nats_reader_next (&reader, &frame, NULL), ==, 1);
  g_assert_cmpuint (frame.type, ==, AFRPC_NATS_CHUNK);
  g_assert_cmpuint (frame.id, ==, 7);

  return afrpc_nats_chunks_take (&parts->chunks, &frame, size_max, &parts->whole, NULL);
}

static void
say_due (Parts *parts)
{
  if (parts->chunks.due != 0)
    afrpc_nats_flow_take_received (parts->flow, parts->chunks.due, parts->chunks.due_size, parts->now_us);
  parts->chunks.due = 0;
}

/* @lost: one of how many parts is lost, and of what is said of them; 0: none */
static void
check_parts (gsize size,
             guint lost,
             guint delay_ms)
{
  g_autofree char *text = g_strnfill (size, 'x');
  GByteArray *message = afrpc_nats_message_new (1);
  g_autoptr(GBytes) expected = NULL;
  Parts parts;

  afrpc_nats_message_add (message, AFRPC_NATS_REFUSED, 0, 1, g_variant_new_string (text));
  expected = g_byte_array_free_to_bytes (message);
  parts_init (&parts, text);
  while (afrpc_nats_flow_get_first (parts.flow) != 0)
    {
      g_autoptr(GBytes) part = new_part (&parts);

      if (part != NULL)
        {
          if (lost == 0 || g_test_rand_int_range (0, lost) > 0)
            take_part (&parts, part, 10000000);
          if (g_test_rand_int_range (0, 3) == 0)
            continue;
        }
      parts.now_us += delay_ms * MS;
      if (parts.chunks.due != 0 && lost != 0 && g_test_rand_int_range (0, lost) == 0)
        parts.chunks.due = 0;
      else if (parts.chunks.due != 0)
        say_due (&parts);
      else if (part == NULL)
        {
          g_assert_cmpint (afrpc_nats_flow_get_resend_us (parts.flow), <, G_MAXINT64);
          parts.now_us = afrpc_nats_flow_get_resend_us (parts.flow);
          afrpc_nats_flow_resend (parts.flow, parts.now_us);
        }
    }
  g_assert_true (g_bytes_equal (parts.whole, expected));
  if (delay_ms > 200)
    g_assert_cmpuint (parts.in_flight_max, <=, 65536);
  parts_clear (&parts);
}

static void
test_nats_frame_parts (void)
{
  g_test_summary ("What goes in parts arrives once, whatever is lost; of what takes its time, little is under way");
  for (gsize size = 900; size < 4000; size += 97)
    for (guint lost = 0; lost < 5; lost++)
      check_parts (size, lost == 1 ? 0 : lost, 1);
  check_parts (3000000, 0, 1);
  check_parts (3000000, 50, 1);
  check_parts (3000000, 0, 300);
}

static void
test_nats_frame_unwanted (void)
{
  g_autofree char *text = g_strnfill (5000, 'x');
  g_autoptr(GBytes) first = NULL;
  g_autoptr(GBytes) rest = NULL;
  Parts parts;

  g_test_summary ("What somebody does not want is not sent on; whether it may have arrived is known");
  parts_init (&parts, text);
  first = new_part (&parts);
  g_assert_cmpint (take_part (&parts, first, 4000), ==, -1);
  g_assert_cmpuint (parts.chunks.due, ==, 7);
  g_assert_cmpuint (parts.chunks.due_size, ==, AFRPC_NATS_RECEIVED_NEVER);
  g_assert_true (afrpc_nats_flow_stop (parts.flow, 7, TRUE));
  g_assert_cmpuint (afrpc_nats_flow_get_first (parts.flow), ==, 0);
  g_assert_false (afrpc_nats_flow_stop (parts.flow, 7, TRUE));
  parts_clear (&parts);

  /* All of it has been sent. If one refuses it, he has not got it, unless it has been sent again; if nobody wants it, he may have. */
  for (guint i = 0; i < 3; i++)
    {
      parts_init (&parts, text);
      while ((rest = new_part (&parts)) != NULL)
        g_clear_pointer (&rest, g_bytes_unref);
      if (i == 2)
        afrpc_nats_flow_resend (parts.flow, parts.now_us);
      g_assert_cmpint (afrpc_nats_flow_stop (parts.flow, 7, i != 1), ==, i == 0);
      parts_clear (&parts);
    }
}

static void
test_nats_frame_stopped (void)
{
  g_autofree char *text = g_strnfill (5000, 'x');
  g_autoptr(GBytes) first = NULL;
  Parts parts;

  g_test_summary ("Parts are kept until it is said that no more comes, or for so long as more might come");
  parts_init (&parts, text);
  first = new_part (&parts);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (take_part (&parts, first, 10000), ==, 0);
      g_assert_nonnull (parts.chunks.data);
      afrpc_nats_chunks_drop (&parts.chunks, 6);
      afrpc_nats_chunks_expire (&parts.chunks, g_get_monotonic_time () + 30 * G_USEC_PER_SEC);
      g_assert_nonnull (parts.chunks.data);
      if (i == 0)
        afrpc_nats_chunks_drop (&parts.chunks, 7);
      else
        afrpc_nats_chunks_expire (&parts.chunks, g_get_monotonic_time () + 70 * G_USEC_PER_SEC);
      g_assert_null (parts.chunks.data);
      g_assert_cmpuint (parts.chunks.transfer, ==, 0);
    }
  parts_clear (&parts);
}

static void
test_nats_frame_checked (void)
{
  g_autoptr(GBytes) bytes = new_message ();
  g_autoptr(GPtrArray) values = afrpc_nats_reader_check (bytes, FALSE);
  g_auto(AfrpcNatsReader) reader = { 0 };
  g_auto(AfrpcNatsReader) other = { 0 };
  AfrpcNatsFrame frame, same;
  guint n_calls = 0;

  g_test_summary ("What was checked before is what is read");
  g_assert_true (afrpc_nats_reader_init (&reader, bytes, NULL));
  g_assert_true (afrpc_nats_reader_init (&other, bytes, NULL));
  reader.values = values;
  while (afrpc_nats_reader_next (&reader, &frame, NULL) > 0)
    {
      g_assert_cmpint (afrpc_nats_reader_next (&other, &same, NULL), ==, 1);
      if (frame.type == AFRPC_NATS_CALL)
        {
          g_autoptr(GVariant) checked = afrpc_nats_reader_value (&reader, &frame, "(a{sv}v)", NULL);
          g_autoptr(GVariant) read = afrpc_nats_reader_value (&other, &same, "(a{sv}v)", NULL);

          g_assert_true (g_variant_equal (checked, read));
          g_assert_null (afrpc_nats_reader_value (&reader, &frame, "s", NULL));
          n_calls++;
        }
    }
  g_assert_cmpuint (n_calls, ==, 1);
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
  g_test_add_func ("/nats-frame/parts", test_nats_frame_parts);
  g_test_add_func ("/nats-frame/unwanted", test_nats_frame_unwanted);
  g_test_add_func ("/nats-frame/stopped", test_nats_frame_stopped);
  g_test_add_func ("/nats-frame/checked", test_nats_frame_checked);

  return g_test_run ();
}
