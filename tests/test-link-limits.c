/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "fake-worker.h"

static void
start (Fake *fake)
{
  fake_init (fake);
  fake_start (fake);
}

static GVariant *
new_bytes (gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (size), size);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
}

static guint64
call_with (Fake     *fake,
           GVariant *args)
{
  const AfrpcPayload payload = afrpc_payload (args);
  const AfrpcLinkCall call = { .owner = fake };
  g_autoptr(GError) error = NULL;
  guint64 serial = afrpc_link_call (&fake->link, &payload, &call, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (serial, !=, 0);

  return serial;
}

/* A call that is refused leaves no trace. */
static void
refused_with (Fake     *fake,
              GVariant *args,
              int       code)
{
  const guint n_pending = fake->link.n_pending;
  const guint64 n_calls_made = fake->link.n_calls_made;
  const gsize queued = afrpc_transport_get_queued (&fake->link.transport);
  const AfrpcPayload payload = afrpc_payload (args);
  const AfrpcLinkCall call = { .owner = fake };
  g_autoptr(GError) error = NULL;

  g_assert_cmpuint (afrpc_link_call (&fake->link, &payload, &call, &error), ==, 0);
  g_assert_error (error, AFRPC_ERROR, code);
  g_assert_cmpuint (afrpc_link_call (&fake->link, &payload, &call, NULL), ==, 0);
  g_assert_cmpuint (fake->link.n_pending, ==, n_pending);
  g_assert_cmpuint (fake->link.n_calls_made, ==, n_calls_made);
  g_assert_cmpuint (afrpc_transport_get_queued (&fake->link.transport), ==, queued);
}

static void
test_link_n_pending_max (void)
{
  g_test_summary ("No more calls wait than the limit says, whether anybody waits for them or not");
  for (guint max = 0; max < 100; max += 33)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GVariant) args = new_bytes (1);
      guint64 serial = 0;

      start (&fake);
      fake.link.n_pending_max = max;
      for (guint i = 0; i < max; i++)
        serial = call_with (&fake, args);
      refused_with (&fake, args, AFRPC_ERROR_BUSY);
      if (max == 0)
        continue;

      afrpc_link_find (&fake.link, serial)->owner = NULL;
      refused_with (&fake, args, AFRPC_ERROR_BUSY);
      fake_say (&fake, AFRPC_FRAME_RESULT, serial, NULL);
      fake_take_none (&fake);
      call_with (&fake, args);
      refused_with (&fake, args, AFRPC_ERROR_BUSY);
    }
}

static void
test_link_n_bytes_max (void)
{
  const gsize sizes[] = { 1, 1000, 16384, 100000 };

  g_test_summary ("No more bytes wait to be written than the limit says, but one call always fits");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GVariant) args = new_bytes (sizes[i]);
      g_autoptr(GVariant) one_more = new_bytes (sizes[i] + 1);
      gsize queued;
      AfrpcFrame frame;

      start (&fake);
      fake.link.n_bytes_max = 0;
      call_with (&fake, args);
      queued = afrpc_transport_get_queued (&fake.link.transport);
      g_assert_cmpuint (queued, >, sizes[i]);
      refused_with (&fake, args, AFRPC_ERROR_BUSY);

      fake.link.n_bytes_max = queued + sizes[i];
      refused_with (&fake, one_more, AFRPC_ERROR_BUSY);
      call_with (&fake, args);
      refused_with (&fake, args, AFRPC_ERROR_BUSY);

      /* What is written does not wait any more. */
      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      call_with (&fake, args);
      call_with (&fake, args);
      refused_with (&fake, args, AFRPC_ERROR_BUSY);
    }
}

static void
test_link_n_bytes_first (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GVariant) args = new_bytes (1000);

  g_test_summary ("One call always fits, also if it is not the first that is said");
  start (&fake);
  fake.link.n_bytes_max = 0;
  afrpc_link_declare (&fake.link, 1, "another");
  g_assert_cmpuint (afrpc_transport_get_queued (&fake.link.transport), >, 0);
  call_with (&fake, args);
  refused_with (&fake, args, AFRPC_ERROR_BUSY);
}

static void
test_link_message_size_max (void)
{
  const gsize limits[] = { 0, 1, 100, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, 100000 };

  g_test_summary ("Arguments up to the limit are sent; one byte more fails, and nothing else does");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GVariant) args = new_bytes (limits[i]);
      g_autoptr(GVariant) too_large = new_bytes (limits[i] + 1);
      AfrpcFrame frame;

      start (&fake);
      fake.link.message_size_max = limits[i];
      refused_with (&fake, too_large, AFRPC_ERROR_TOO_LARGE);
      call_with (&fake, args);
      refused_with (&fake, too_large, AFRPC_ERROR_TOO_LARGE);
      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      g_assert_cmpuint (frame.header.size, ==, limits[i]);
      fake_hear_none (&fake);
    }
}

static void
say_bytes (Fake           *fake,
           AfrpcFrameKind  kind,
           guint64         serial,
           gsize           size)
{
  g_autoptr(GVariant) value = new_bytes (size);

  fake_say (fake, kind, serial, value);
}

static void
test_link_result_size_max (void)
{
  const gsize limits[] = { 0, 1, 100, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, 2 << 20 };

  g_test_summary ("Results and events up to the limit arrive; one byte more ends the conversation");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    for (guint is_event = 0; is_event < 2; is_event++)
      {
        g_auto(Fake) fake = { 0 };
        g_autoptr(GVariant) args = new_bytes (0);
        const AfrpcFrameKind kind = is_event ? AFRPC_FRAME_EVENT : AFRPC_FRAME_RESULT;
        guint64 serials[2];
        g_auto(AfrpcLinkItem) item = { 0 };

        fake_init (&fake);
        fake.link.message_size_max = limits[i];
        fake_start (&fake);
        serials[0] = call_with (&fake, args);
        serials[1] = call_with (&fake, args);

        say_bytes (&fake, kind, is_event ? 0 : serials[0], limits[i]);
        fake_take (&fake, &item);
        g_assert_no_error (item.error);
        g_assert_cmpuint (g_variant_get_size (item.value), ==, limits[i]);
        say_bytes (&fake, kind, is_event ? 0 : serials[1], limits[i] + 1);
        fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
      }
}

static void
test_link_parts_size_max (void)
{
  const guint64 limit = 100;

  g_test_summary ("A worker that has got many calls in one may bring their results, and no more than can be saved of them, beside "
                  "one as large as a message");
  for (guint is_early = 0; is_early < 2; is_early++)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GVariant) args = new_bytes (0);
      guint64 serials[2];
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_init (&fake);
      fake.link.message_size_max = limit;
      if (is_early)
        afrpc_link_expect_parts (&fake.link);
      fake_start (&fake);
      afrpc_link_expect_parts (&fake.link);
      afrpc_link_expect_parts (&fake.link);
      serials[0] = call_with (&fake, args);
      serials[1] = call_with (&fake, args);

      say_bytes (&fake, AFRPC_FRAME_RESULT, serials[0], limit + AFRPC_FRAME_PARTS_SIZE_MAX);
      fake_take (&fake, &item);
      g_assert_no_error (item.error);
      say_bytes (&fake, AFRPC_FRAME_RESULT, serials[1], limit + AFRPC_FRAME_PARTS_SIZE_MAX + 1);
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

/* Only a ready worker is allowed as much as a message may have. */
static void
test_link_answer_size_max (void)
{
  const gsize limit = AFRPC_FRAME_ANSWER_SIZE_MAX;

  g_test_summary ("Before a worker is ready its answers have a limit of their own, and afterwards "
                  "the other");
  for (guint is_ready = 0; is_ready < 2; is_ready++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_init (&fake);
      fake.link.message_size_max = is_ready ? 2 * limit : 0;
      if (is_ready)
        fake_start (&fake);
      else
        fake_greet (&fake);
      say_bytes (&fake, is_ready ? AFRPC_FRAME_EVENT : AFRPC_FRAME_FAILED, 0,
                 is_ready ? 2 * limit : limit);
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, is_ready ? AFRPC_LINK_ITEM_EVENT : AFRPC_LINK_ITEM_FAILED);
      say_bytes (&fake, is_ready ? AFRPC_FRAME_EVENT : AFRPC_FRAME_FAILED, 0,
                 (is_ready ? 2 * limit : limit) + 1);
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

/* As many bytes, in a tuple: its type has two characters more. */
static GVariant *
new_tuple (gsize n)
{
  g_autofree char *letters = g_strnfill (n, 'y');
  g_autofree char *type = g_strdup_printf ("(%s)", letters);
  g_autoptr(GBytes) bytes = g_bytes_new (letters, n);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, TRUE));
}

static void
test_link_type_max (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GVariant) longest = new_tuple (AFRPC_FRAME_TYPE_MAX - 2);
  g_autoptr(GVariant) too_long = new_tuple (AFRPC_FRAME_TYPE_MAX - 1);
  const char *type = g_variant_get_type_string (longest);
  AfrpcFrame frame;
  guint64 serial;
  g_auto(AfrpcLinkItem) item = { 0 };

  g_test_summary ("A type of 255 characters travels both ways; one of 256 fails alone");
  start (&fake);
  refused_with (&fake, too_long, AFRPC_ERROR_TOO_LARGE);
  serial = call_with (&fake, longest);
  refused_with (&fake, too_long, AFRPC_ERROR_TOO_LARGE);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpmem (frame.type, frame.header.type_length, type, 255);
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, longest);
  fake_take (&fake, &item);
  g_assert_true (g_variant_equal (item.value, longest));
}

/* One event: how many descriptors its header announces, and whether one comes. */
static void
send_event_with_fd (Fake     *fake,
                    guint16   n_fds,
                    gboolean  has_fd)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_EVENT, .n_fds = n_fds, .type_length = 1,
                                    .size = 1 };
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE + 16] = { 0 };

  afrpc_frame_encode (&header, bytes);
  bytes[AFRPC_FRAME_HEADER_SIZE] = 'y';
  fake_send (fake, bytes, sizeof bytes, has_fd ? STDIN_FILENO : -1);
}

static void
test_link_descriptors (gconstpointer data)
{
  g_auto(Fake) fake = { 0 };
  const guint what = GPOINTER_TO_UINT (data);

  g_test_summary ("A worker cannot fill our table of descriptors: one that sends others than it announces breaks "
                  "the protocol, and those that nobody takes are closed");
  start (&fake);
  send_event_with_fd (&fake, what & 1, what & 2);
  if (what != 1)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      /* The frame itself is in order. */
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_EVENT);
      g_assert_cmpuint (item.n_fds, ==, what == 3 ? 1 : 0);
    }
  if (what == 3)
    fake_take_none (&fake);
  else
    fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_link_descriptors_misplaced (gconstpointer data)
{
  const AfrpcFrameHeader header = { .kind = GPOINTER_TO_UINT (data), .flags = AFRPC_FRAME_FLAGS_NATIVE, .n_fds = 1,
                                    .type_length = 1, .size = 1 };
  g_auto(Fake) fake = { 0 };
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE + 16] = { 0 };

  g_test_summary ("Only results and events can have descriptors");
  start (&fake);
  afrpc_frame_encode (&header, bytes);
  bytes[AFRPC_FRAME_HEADER_SIZE] = 'y';
  fake_send (&fake, bytes, sizeof bytes, STDIN_FILENO);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_link_descriptors_unfinished (void)
{
  const guint8 byte = AFRPC_FRAME_EVENT;
  g_auto(Fake) fake = { 0 };

  g_test_summary ("Descriptors do not pile up before the first frame is finished");
  start (&fake);
  for (guint i = 0; i < 10; i++)
    fake_send (&fake, &byte, 1, STDIN_FILENO);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/link-limits/n-pending-max", test_link_n_pending_max);
  g_test_add_func ("/link-limits/n-bytes-max", test_link_n_bytes_max);
  g_test_add_func ("/link-limits/n-bytes-max-first", test_link_n_bytes_first);
  g_test_add_func ("/link-limits/message-size-max", test_link_message_size_max);
  g_test_add_func ("/link-limits/result-size-max", test_link_result_size_max);
  g_test_add_func ("/link-limits/parts-size-max", test_link_parts_size_max);
  g_test_add_func ("/link-limits/answer-size-max", test_link_answer_size_max);
  g_test_add_func ("/link-limits/type-max", test_link_type_max);
  g_test_add_data_func ("/link-limits/descriptors/announced", GUINT_TO_POINTER (1 | 2),
                        test_link_descriptors);
  g_test_add_data_func ("/link-limits/descriptors/missing", GUINT_TO_POINTER (1),
                        test_link_descriptors);
  g_test_add_data_func ("/link-limits/descriptors/not-announced", GUINT_TO_POINTER (2),
                        test_link_descriptors);
  g_test_add_data_func ("/link-limits/descriptors/error", GUINT_TO_POINTER (AFRPC_FRAME_ERROR),
                        test_link_descriptors_misplaced);
  g_test_add_data_func ("/link-limits/descriptors/progress", GUINT_TO_POINTER (AFRPC_FRAME_PROGRESS),
                        test_link_descriptors_misplaced);
  g_test_add_func ("/link-limits/descriptors/unfinished", test_link_descriptors_unfinished);

  return g_test_run ();
}
