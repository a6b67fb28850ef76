/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-frame.h"

#include <string.h>

#include "afrpc-error.h"

static gboolean
is_refused (const guint8 *bytes,
            guint64       size_max)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrameHeader header;
  gboolean ok = afrpc_frame_decode (&header, bytes, size_max, &error);

  g_assert_cmpint (ok, ==, error == NULL);
  if (!ok)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  /* Who does not want to know why is refused all the same. */
  g_assert_cmpint (afrpc_frame_decode (&header, bytes, size_max, NULL), ==, ok);

  return !ok;
}

static void
encode_plain (guint8 *bytes)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .type_length = 1, .serial = 7,
                                    .size = 100 };

  afrpc_frame_encode (&header, bytes);
}

static void
check_round_trip (const AfrpcFrameHeader *header)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrameHeader back;
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE + 8];

  memset (bytes, 0xff, sizeof bytes);
  afrpc_frame_encode (header, bytes);
  for (guint i = AFRPC_FRAME_HEADER_SIZE; i < sizeof bytes; i++)
    g_assert_cmphex (bytes[i], ==, 0xff);

  memset (&back, 0xff, sizeof back);
  g_assert_true (afrpc_frame_decode (&back, bytes, G_MAXUINT64, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (back.kind, ==, header->kind);
  g_assert_cmpuint (back.flags, ==, header->flags);
  g_assert_cmpuint (back.n_fds, ==, header->n_fds);
  g_assert_cmpuint (back.type_length, ==, header->type_length);
  g_assert_cmpuint (back.function, ==, header->kind == AFRPC_FRAME_CALL ? header->function : 0);
  g_assert_cmpuint (back.serial, ==, header->serial);
  g_assert_cmpuint (back.size, ==, header->size);
}

static void
test_frame_round_trip (void)
{
  const guint64 numbers[] = { 0, 1, 0x0123456789abcdef, AFRPC_FRAME_MAGIC, G_MAXUINT32,
                              G_MAXUINT64 };
  const guint16 n_fds[] = { 0, 1, AFRPC_FRAME_FDS_MAX };
  const guint8 lengths[] = { 0, 1, AFRPC_FRAME_TYPE_MAX };

  g_test_summary ("What is encoded comes back, for every kind and at every limit");
  for (guint kind = 1; kind <= AFRPC_FRAME_LAST; kind++)
    for (guint i = 0; i < G_N_ELEMENTS (numbers) * G_N_ELEMENTS (numbers); i++)
      for (guint j = 0; j < G_N_ELEMENTS (n_fds) * G_N_ELEMENTS (lengths); j++)
        {
          const AfrpcFrameHeader header = {
            .kind = kind,
            .flags = i % 2 != 0 ? AFRPC_FRAME_FLAG_BIG_ENDIAN : 0,
            .n_fds = n_fds[j % G_N_ELEMENTS (n_fds)],
            .type_length = lengths[j / G_N_ELEMENTS (n_fds)],
            .serial = numbers[i % G_N_ELEMENTS (numbers)],
            .size = numbers[i / G_N_ELEMENTS (numbers)],
          };

          check_round_trip (&header);
        }
}

static void
test_frame_layout (void)
{
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_HELLO,
    .flags = AFRPC_FRAME_FLAG_BIG_ENDIAN,
    .n_fds = 0x00fd,
    .type_length = 5,
    .serial = AFRPC_FRAME_MAGIC,
    .size = 0x0102030405060708,
  };
  const guint8 expected[] = {
    1, 1, 0xfd, 0, 5, 0, 0, 0, 0, 'a', 'f', 'r', 'p', 'c', '1', '\n', 8, 7, 6, 5, 4, 3, 2, 1,
  };
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

  g_test_summary ("The header on the wire is what the documentation says, on any machine");
  memset (bytes, 0xff, sizeof bytes);
  afrpc_frame_encode (&header, bytes);
  g_assert_cmpmem (bytes, sizeof bytes, expected, sizeof expected);
}

static void
test_frame_kinds (void)
{
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

  g_test_summary ("Unknown kinds are refused");
  encode_plain (bytes);
  for (guint kind = 0; kind <= G_MAXUINT8; kind++)
    {
      bytes[0] = kind;
      g_assert_cmpint (is_refused (bytes, G_MAXUINT64), ==,
                       kind < AFRPC_FRAME_HELLO || kind > AFRPC_FRAME_LAST);
    }
}

static void
test_frame_flags (void)
{
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

  g_test_summary ("Unknown flags are refused: they would change what the frame means");
  encode_plain (bytes);
  for (guint flags = 0; flags <= G_MAXUINT8; flags++)
    {
      bytes[1] = flags;
      g_assert_cmpint (is_refused (bytes, G_MAXUINT64), ==, (flags & ~AFRPC_FRAME_FLAGS_KNOWN) != 0);
    }
}

static void
test_frame_reserved (void)
{
  g_test_summary ("Each bit of the reserved byte is refused, and the number of a function where there is no call");
  for (guint bit = 0; bit < 24; bit++)
    {
      guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

      encode_plain (bytes);
      bytes[0] = AFRPC_FRAME_RESULT;
      g_assert_false (is_refused (bytes, G_MAXUINT64));
      bytes[5 + bit / 8] |= 1 << bit % 8;
      g_assert_true (is_refused (bytes, G_MAXUINT64));
      bytes[0] = AFRPC_FRAME_CALL;
      g_assert_cmpint (is_refused (bytes, G_MAXUINT64), ==, bit < 8);
    }
}

static void
test_frame_fds (void)
{
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

  g_test_summary ("More file descriptors than one message can carry are refused");
  g_assert_cmpuint (AFRPC_FRAME_FDS_MAX, ==, 253);
  encode_plain (bytes);
  for (guint n = 0; n <= G_MAXUINT16; n++)
    {
      bytes[2] = n & 0xff;
      bytes[3] = n >> 8;
      g_assert_cmpint (is_refused (bytes, G_MAXUINT64), ==, n > AFRPC_FRAME_FDS_MAX);
    }
}

static void
test_frame_size (void)
{
  const guint64 limits[] = { 0, 1, 99, G_MAXINT32, G_MAXUINT32, (guint64) G_MAXUINT32 + 1,
                             G_MAXUINT64 };

  g_test_summary ("A payload is refused from the first byte above the limit on");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .size = limits[i] };
      guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

      afrpc_frame_encode (&header, bytes);
      g_assert_false (is_refused (bytes, limits[i]));
      if (limits[i] > 0)
        g_assert_true (is_refused (bytes, limits[i] - 1));
      if (limits[i] < G_MAXUINT64)
        {
          header.size++;
          afrpc_frame_encode (&header, bytes);
          g_assert_true (is_refused (bytes, limits[i]));
          header.size = G_MAXUINT64;
          afrpc_frame_encode (&header, bytes);
          g_assert_true (is_refused (bytes, limits[i]));
        }
    }
}

static void
test_frame_pad (void)
{
  g_test_summary ("Padding leads to the next multiple of 8, and nowhere from one");
  for (gsize size = 0; size < 100; size++)
    {
      gsize padded = afrpc_frame_pad (size);

      g_assert_cmpuint (padded % 8, ==, 0);
      g_assert_cmpuint (padded, >=, size);
      g_assert_cmpuint (padded, <, size + 8);
    }
  g_assert_cmpuint (afrpc_frame_pad (AFRPC_FRAME_HEADER_SIZE), ==, AFRPC_FRAME_HEADER_SIZE);
}

static void
test_frame_serial (void)
{
  g_test_summary ("A serial's slot is its lower part, whatever the number of the call");
  g_assert_cmpuint (afrpc_serial_slot (0), ==, 0);
  g_assert_cmpuint (afrpc_serial_slot (AFRPC_SERIAL_SLOTS_MAX - 1), ==, AFRPC_SERIAL_SLOTS_MAX - 1);
  g_assert_cmpuint (afrpc_serial_slot (AFRPC_SERIAL_SLOTS_MAX), ==, 0);
  g_assert_cmpuint (afrpc_serial_slot (G_MAXUINT64), ==, AFRPC_SERIAL_SLOTS_MAX - 1);
  g_assert_cmpuint (afrpc_serial_slot ((guint64) 0x123456789 << AFRPC_SERIAL_SLOT_BITS | 5), ==, 5);
}

static void
check_goodbye (int      status,
               int      signum,
               gboolean core)
{
  const AfrpcGoodbye goodbye = { status, signum, core };
  const guint64 serial = G_GUINT64_CONSTANT (0x123456789abcdef0);
  AfrpcGoodbye back = { 77, 77, 77 };
  guint8 bytes[AFRPC_FRAME_GOODBYE_SIZE + 8];

  memset (bytes, 0x11, sizeof bytes);
  afrpc_goodbye_encode (&goodbye, serial, bytes);
  for (guint i = AFRPC_FRAME_GOODBYE_SIZE; i < sizeof bytes; i++)
    g_assert_cmphex (bytes[i], ==, 0x11);
  g_assert_false (afrpc_goodbye_decode (&back, serial + 1, bytes));
  g_assert_false (afrpc_goodbye_decode (&back, 0, bytes));
  g_assert_cmpint (back.status, ==, 77);
  g_assert_true (afrpc_goodbye_decode (&back, serial, bytes));
  g_assert_cmpint (back.status, ==, status);
  g_assert_cmpint (back.signum, ==, signum);
  g_assert_cmpint (back.core, ==, core);

  /* Apart from what it says, every bit has to be right. */
  for (guint bit = 0; bit < 8 * AFRPC_FRAME_GOODBYE_SIZE; bit++)
    {
      const guint at = bit / 8;
      gboolean is_content = at >= AFRPC_FRAME_HEADER_SIZE && at < AFRPC_FRAME_HEADER_SIZE + 5;

      bytes[at] ^= 1 << bit % 8;
      if (!is_content && bit != 8 * (AFRPC_FRAME_HEADER_SIZE + 5))
        g_assert_false (afrpc_goodbye_decode (&back, serial, bytes));
      bytes[at] ^= 1 << bit % 8;
    }
}

static void
test_frame_goodbye (void)
{
  g_test_summary ("A goodbye says how the worker ended, and nothing else looks like one");
  check_goodbye (0, 0, FALSE);
  check_goodbye (255, 0, FALSE);
  check_goodbye (-1, 9, FALSE);
  check_goodbye (-1, 64, TRUE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/frame/round-trip", test_frame_round_trip);
  g_test_add_func ("/frame/layout", test_frame_layout);
  g_test_add_func ("/frame/kinds", test_frame_kinds);
  g_test_add_func ("/frame/flags", test_frame_flags);
  g_test_add_func ("/frame/reserved", test_frame_reserved);
  g_test_add_func ("/frame/fds", test_frame_fds);
  g_test_add_func ("/frame/size", test_frame_size);
  g_test_add_func ("/frame/pad", test_frame_pad);
  g_test_add_func ("/frame/serial", test_frame_serial);
  g_test_add_func ("/frame/goodbye", test_frame_goodbye);

  return g_test_run ();
}
