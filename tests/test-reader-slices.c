/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc-error.h"
#include "transport/afrpc-reader.h"
#include "variant-check.h"

/* Frames with large values, that a reader gives out once it has looked at them in slices. */

#define FOREIGN (AFRPC_FRAME_FLAGS_NATIVE ^ AFRPC_FRAME_FLAG_BIG_ENDIAN)

/* What takes longest, and in which way. */
static const struct
{
  const char *type;
  const char *element; /* in GVariant's text format */
  guint n;
  gboolean is_quick;   /* in this machine's byte order there is nothing to look at */
} values[] = {
  { "ab", "true", 4000000, FALSE },
  { "ax", "int64 1", 500000, TRUE },
  { "av", "<1>", 100000, FALSE },
  { "av", "<@as ['a']>", 50000, FALSE },
  { "aan", "@an []", 100000, FALSE },
  { "aan", "[int16 1, 2, 3]", 100000, FALSE },
  { "as", "''", 100000, FALSE },
  { "as", "'\303\266\303\266\303\266\303\266\303\266\303\266\303\266\303\266\303\266'", 60000, FALSE },
  { "aay", "b'abc'", 100000, FALSE },
  { "ao", "objectpath '/a/b'", 100000, FALSE },
  { "a(yn)", "(byte 1, int16 2)", 1000000, FALSE },
  { "a(sx)", "('text', int64 1)", 50000, FALSE },
  { "a{sv}", "{'a', <1>}", 50000, FALSE },
  { "am(ss)", "@m(ss) ('a', 'b')", 50000, FALSE },
};

static GVariant *
make_value (guint i)
{
  g_autoptr(GVariant) element = g_variant_ref_sink (g_variant_new_parsed (values[i].element));
  g_autofree GVariant **elements = g_new (GVariant *, values[i].n);

  for (guint j = 0; j < values[i].n; j++)
    elements[j] = element;

  return g_variant_ref_sink (g_variant_new_array (NULL, elements, values[i].n));
}

/* @damage: nothing, or what the last bytes of the value become */
static GByteArray *
make_frame (GVariant   *value,
            guint8      flags,
            const char *damage)
{
  g_autoptr(GVariant) sent = flags == FOREIGN ? g_variant_byteswap (value) : g_variant_ref (value);
  const char *type = g_variant_get_type_string (value);
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_RESULT,
    .flags = flags,
    .serial = 1,
    .type_length = strlen (type),
    .size = g_variant_get_size (sent),
  };
  const gsize place = AFRPC_FRAME_HEADER_SIZE + afrpc_frame_pad (header.type_length);
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_set_size (bytes, place + afrpc_frame_pad (header.size));
  memset (bytes->data, 0, bytes->len);
  afrpc_frame_encode (&header, bytes->data);
  memcpy (bytes->data + AFRPC_FRAME_HEADER_SIZE, type, header.type_length);
  g_variant_store (sent, bytes->data + place);
  if (damage != NULL)
    memcpy (bytes->data + place + header.size - strlen (damage), damage, strlen (damage));

  return bytes;
}

/* Has the reader given all of @bytes, and gives its first frame out. */
static AfrpcStep
receive (AfrpcReader      *reader,
         const GByteArray *bytes,
         AfrpcFrame       *frame)
{
  gsize done = 0;

  for (;;)
    {
      g_autoptr(GError) error = NULL;
      const AfrpcStep step = afrpc_reader_next (reader, frame, &error);
      struct iovec iov[2];
      gsize n;

      g_assert_no_error (error);
      if (step != AFRPC_STEP_AGAIN)
        return step;

      g_assert_cmpuint (afrpc_reader_get_room (reader, iov), >, 0);
      n = MIN (iov[0].iov_len, bytes->len - done);
      g_assert_cmpuint (n, >, 0);
      memcpy (iov[0].iov_base, bytes->data + done, n);
      afrpc_reader_add (reader, n);
      done += n;
    }
}

/* How far the check has come, bytes of values and of offsets. */
static gsize
get_place (const AfrpcReader *reader)
{
  const AfrpcValueCheck *check = &reader->parser->check;
  const guint8 *start = g_bytes_get_data (reader->body_bytes, NULL);

  if (check->row != NULL)
    return check->data - start;
  if (check->is_in_text)
    return check->text.at - start;

  return check->n_frames > 0 ? check->frames[0].at + check->frames[0].next : 0;
}

/* Returns the number of slices. */
static guint
go_on (AfrpcReader *reader,
       AfrpcFrame  *frame,
       AfrpcStep    step)
{
  guint n = 1;

  for (; step == AFRPC_STEP_SLICE; n++)
    {
      const gsize place = get_place (reader);
      struct iovec iov[2];

      /* Nothing more is taken in until it is done. */
      g_assert_cmpuint (afrpc_reader_get_room (reader, iov), ==, 0);
      g_assert_true (afrpc_reader_has_read (reader));
      step = afrpc_reader_next (reader, frame, NULL);
      if (step == AFRPC_STEP_SLICE)
        {
          g_assert_cmpuint (get_place (reader), >, place);
          g_assert_cmpuint (get_place (reader) - place, <=, AFRPC_VALUE_CHECK_SLICE + AFRPC_VALUE_CHECK_PIECE);
        }
    }
  g_assert_cmpint (step, ==, AFRPC_STEP_DONE);

  return n;
}

static void
check_slices (guint  i,
              guint8 flags)
{
  g_auto(AfrpcReader) reader;
  g_autoptr(GVariant) value = make_value (i);
  g_autoptr(GByteArray) bytes = make_frame (value, flags, NULL);
  g_autoptr(GVariant) back = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;
  guint n;

  afrpc_reader_init (&reader);
  reader.slices = TRUE;
  n = go_on (&reader, &frame, receive (&reader, bytes, &frame));
  back = afrpc_reader_parse_value (&reader, &frame, &error);
  g_assert_no_error (error);
  variant_assert_same (back, value);
  g_test_message ("%s of %s%s: %u slices", values[i].type, values[i].element, flags == FOREIGN ? ", foreign" : "", n);
  if (values[i].is_quick && flags != FOREIGN)
    g_assert_cmpuint (n, ==, 1);
  else
    g_assert_cmpuint (n, >=, 3);
}

static void
test_reader_slices_all (void)
{
  g_test_summary ("Large values are looked at in slices, each of which is as large as that of any other");
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      check_slices (i, AFRPC_FRAME_FLAGS_NATIVE);
      check_slices (i, FOREIGN);
    }
}

static void
test_reader_slices_off (void)
{
  g_auto(AfrpcReader) reader;
  g_autoptr(GVariant) value = make_value (0);
  g_autoptr(GByteArray) bytes = make_frame (value, AFRPC_FRAME_FLAGS_NATIVE, NULL);
  g_autoptr(GVariant) back = NULL;
  AfrpcFrame frame;

  g_test_summary ("Who waits for it anyway gets it at once");
  afrpc_reader_init (&reader);
  g_assert_cmpint (receive (&reader, bytes, &frame), ==, AFRPC_STEP_DONE);
  back = afrpc_reader_parse_value (&reader, &frame, NULL);
  variant_assert_same (back, value);
}

static void
test_reader_slices_malformed (void)
{
  g_auto(AfrpcReader) reader;
  g_autoptr(GVariant) value = make_value (0);
  g_autoptr(GByteArray) bytes = make_frame (value, AFRPC_FRAME_FLAGS_NATIVE, "\2");
  g_autoptr(GByteArray) good = make_frame (value, AFRPC_FRAME_FLAGS_NATIVE, NULL);
  g_autoptr(GVariant) back = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  g_test_summary ("What turns out to be malformed in the last slice fails, and what comes after it does not");
  afrpc_reader_init (&reader);
  reader.slices = TRUE;
  g_assert_cmpuint (go_on (&reader, &frame, receive (&reader, bytes, &frame)), >=, 3);
  g_assert_null (afrpc_reader_parse_value (&reader, &frame, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);

  /* Also if nobody asks what it was. */
  g_assert_cmpuint (go_on (&reader, &frame, receive (&reader, bytes, &frame)), >=, 3);
  g_assert_cmpuint (go_on (&reader, &frame, receive (&reader, good, &frame)), >=, 3);
  back = afrpc_reader_parse_value (&reader, &frame, NULL);
  variant_assert_same (back, value);
}

static void
test_reader_slices_given_up (void)
{
  g_auto(AfrpcReader) reader;
  g_autoptr(GVariant) value = make_value (2);
  g_autoptr(GByteArray) bytes = make_frame (value, FOREIGN, NULL);
  g_autoptr(GVariant) back = NULL;
  AfrpcFrame frame;

  g_test_summary ("In the middle of a value another stream may begin, or the reader may go");
  afrpc_reader_init (&reader);
  reader.slices = TRUE;
  g_assert_cmpint (receive (&reader, bytes, &frame), ==, AFRPC_STEP_SLICE);
  afrpc_reader_restart (&reader);
  g_assert_true (reader.slices);
  go_on (&reader, &frame, receive (&reader, bytes, &frame));
  back = afrpc_reader_parse_value (&reader, &frame, NULL);
  variant_assert_same (back, value);
  g_assert_cmpint (receive (&reader, bytes, &frame), ==, AFRPC_STEP_SLICE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/reader-slices/all", test_reader_slices_all);
  g_test_add_func ("/reader-slices/off", test_reader_slices_off);
  g_test_add_func ("/reader-slices/malformed", test_reader_slices_malformed);
  g_test_add_func ("/reader-slices/given-up", test_reader_slices_given_up);

  return g_test_run ();
}
