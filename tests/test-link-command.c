/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "transport/afrpc-pipes.h"

#define GOODBYE_SERIAL G_GUINT64_CONSTANT (0x123456789abcdef0)

static GVariant *
new_hello (guint64 goodbye_serial)
{
  g_autoptr(GVariant) plain = g_variant_ref_sink (fake_new_hello (AFRPC_FRAME_PROTOCOL_VERSION,
                                                                  FAKE_HOST));
  GVariantDict dict;

  g_variant_dict_init (&dict, plain);
  if (goodbye_serial != 0)
    g_variant_dict_insert (&dict, "goodbye", "t", goodbye_serial);

  return g_variant_dict_end (&dict);
}

/* A worker at the other end of some command, ready. */
static void
start (Fake    *fake,
       guint64  goodbye_serial)
{
  g_auto(AfrpcLinkItem) item = { 0 };

  fake_init (fake);
  afrpc_link_set_command (&fake->link);
  afrpc_transport_set_funcs (&fake->worker, &afrpc_pipes_funcs);
  afrpc_link_run (&fake->link, NULL, NULL, 0, FALSE);
  fake_say (fake, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, new_hello (goodbye_serial));
  fake_say (fake, AFRPC_FRAME_READY, 0, NULL);
  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
}

static void
say_goodbye (Fake    *fake,
             guint64  serial,
             int      status,
             int      signum)
{
  const AfrpcGoodbye goodbye = { status, signum, FALSE };
  guint8 bytes[AFRPC_FRAME_GOODBYE_SIZE];

  afrpc_goodbye_encode (&goodbye, serial, bytes);
  fake_send (fake, bytes, sizeof bytes, -1);
}

static AfrpcStep
take (Fake           *fake,
      AfrpcLinkItem  *item,
      GError        **error)
{
  AfrpcStep step;

  while ((step = afrpc_link_next (&fake->link, item, error)) == AFRPC_STEP_AGAIN ||
         (step == AFRPC_STEP_DONE && item->kind == AFRPC_LINK_ITEM_GREETED))
    if (step == AFRPC_STEP_AGAIN && afrpc_link_read (&fake->link, error) != AFRPC_STEP_DONE)
      break;

  return step;
}

static void
take_goodbye (Fake *fake,
              int   status,
              int   signum)
{
  g_autoptr(GError) error = NULL;
  g_auto(AfrpcLinkItem) item = { 0 };

  g_assert_cmpint (take (fake, &item, &error), ==, AFRPC_STEP_EOF);
  g_assert_no_error (error);
  g_assert_true (fake->link.transport.has_goodbye);
  g_assert_cmpint (fake->link.transport.goodbye.status, ==, status);
  g_assert_cmpint (fake->link.transport.goodbye.signum, ==, signum);
}

static void
test_command_run (gconstpointer data)
{
  const gboolean ends_with_us = GPOINTER_TO_INT (data);
  g_auto(Fake) fake = { 0 };
  g_autoptr(GVariant) value = NULL;
  AfrpcFrame frame;
  gboolean yes;

  g_test_summary ("A worker behind a command gets no descriptors, and has a lifeline of its own");
  fake_init (&fake);
  afrpc_link_set_command (&fake.link);
  afrpc_link_run (&fake.link, NULL, NULL, 0, ends_with_us);
  g_assert_null (fake.link.transport.state);
  fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
  fake_hear (&fake, AFRPC_FRAME_RUN, &frame);
  g_assert_cmpuint (frame.header.n_fds, ==, 0);
  g_assert_cmpint (afrpc_transport_take_fd (&fake.worker), ==, -1);
  value = afrpc_transport_parse_value (&fake.worker, &frame, NULL);
  g_assert_false (g_variant_lookup (value, "shared-state", "b", &yes));
  g_assert_cmpint (g_variant_lookup (value, "lifeline", "b", &yes), ==, ends_with_us);
}

static void
test_command_goodbye (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  guint64 serial;

  g_test_summary ("A goodbye ends the conversation behind all that was said before");
  start (&fake, GOODBYE_SERIAL);
  serial = fake_call (&fake, 1);
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, g_variant_new_boolean (TRUE));
  say_goodbye (&fake, GOODBYE_SERIAL, 3, 0);
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
  take_goodbye (&fake, 3, 0);
  take_goodbye (&fake, 3, 0);
}

/* What a worker managed to write of a frame before it died, at once or not; then a goodbye. */
static void
check_half_frame (const guint8 *raw,
                  gsize         size,
                  gsize         piece)
{
  g_auto(Fake) fake = { 0 };

  start (&fake, GOODBYE_SERIAL);
  for (gsize at = 0; at < size; at += piece)
    {
      g_autoptr(GError) error = NULL;
      g_auto(AfrpcLinkItem) item = { 0 };
      const gsize n = MIN (piece, size - at);

      fake_send (&fake, raw + at, n, -1);
      if (piece >= size)
        break;
      g_assert_cmpint (take (&fake, &item, &error), ==, AFRPC_STEP_AGAIN);
      g_assert_no_error (error);
    }
  say_goodbye (&fake, GOODBYE_SERIAL, -1, 9);
  take_goodbye (&fake, -1, 9);
}

static void
test_command_half_frame (void)
{
  const gsize sizes[] = { 0, 100, AFRPC_LARGE_PAYLOAD_MIN };

  g_test_summary ("A goodbye is found behind half a frame, wherever that ends and however that "
                  "came");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (sizes[i]), sizes[i]);
      g_autoptr(GVariant) value =
        g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
      g_auto(AfrpcTransport) transport = { 0 };
      gsize size;

      afrpc_transport_init (&transport, &afrpc_pipes_funcs, AFRPC_TRANSPORT_WORKER);
      if (sizes[i] < AFRPC_LARGE_PAYLOAD_MIN)
        afrpc_transport_put_value (&transport, AFRPC_FRAME_EVENT, 0, value);
      else
        {
          const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_EVENT, .type_length = 2,
                                            .size = sizes[i] };

          memset (afrpc_transport_put (&transport, &header, "ay"), 0, sizes[i]);
        }
      size = afrpc_transport_get_queued (&transport);
      for (gsize n = 0; n < size; n += n < 200 || n > size - 20 ? 1 : 1001)
        {
          check_half_frame (transport.writer.data, n, G_MAXSIZE);
          check_half_frame (transport.writer.data, n, n < 200 ? 1 : 5000);
        }
    }
}

static void
test_command_half_goodbye (void)
{
  const AfrpcGoodbye goodbye = { -1, 9, FALSE };
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_EVENT, .type_length = 1, .size = 10 };
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE + 16 + AFRPC_FRAME_GOODBYE_SIZE] = { 0 };
  guint8 *const end = bytes + sizeof bytes - AFRPC_FRAME_GOODBYE_SIZE;

  g_test_summary ("A goodbye may arrive in two pieces, of which the first completes half a frame");
  afrpc_frame_encode (&header, bytes);
  afrpc_goodbye_encode (&goodbye, GOODBYE_SERIAL, end);
  for (gsize n = 0; n < sizeof bytes; n++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      g_autoptr(GError) error = NULL;

      start (&fake, GOODBYE_SERIAL);
      if (n > 0)
        fake_send (&fake, bytes, n, -1);
      g_assert_cmpint (take (&fake, &item, &error), ==, AFRPC_STEP_AGAIN);
      g_assert_no_error (error);
      fake_send (&fake, bytes + n, sizeof bytes - n, -1);
      take_goodbye (&fake, -1, 9);
    }
}

static void
test_command_false_goodbye (void)
{
  g_test_summary ("What is not exactly the goodbye that was promised is no goodbye");
  for (guint i = 0; i < 3; i++)
    {
      g_auto(Fake) fake = { 0 };

      if (i < 2)
        start (&fake, i == 0 ? 0 : GOODBYE_SERIAL);
      else
        {
          fake_init (&fake);
          fake_start (&fake);
        }
      say_goodbye (&fake, i == 1 ? GOODBYE_SERIAL + 1 : i == 0 ? 0 : GOODBYE_SERIAL, 0, 0);
      if (i < 2)
        fake_take_none (&fake);
      g_assert_false (fake.link.transport.has_goodbye);
      fake_say (&fake, AFRPC_FRAME_EVENT, 0, g_variant_new_boolean (TRUE));
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
      g_assert_false (fake.link.transport.has_goodbye);
    }
}

static void
test_command_guard (void)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("A frame that does not end as it should breaks the protocol");
  start (&fake, GOODBYE_SERIAL);
  fake.worker.writer.guard_size = 0;
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, g_variant_new_boolean (TRUE));
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, g_variant_new_boolean (TRUE));
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_command_early_goodbye (void)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("A worker can end before it is ready");
  fake_init (&fake);
  afrpc_link_set_command (&fake.link);
  afrpc_transport_set_funcs (&fake.worker, &afrpc_pipes_funcs);
  fake_say (&fake, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, new_hello (GOODBYE_SERIAL));
  say_goodbye (&fake, GOODBYE_SERIAL, 1, 0);
  take_goodbye (&fake, 1, 0);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/link-command/run/lifeline", GINT_TO_POINTER (TRUE), test_command_run);
  g_test_add_data_func ("/link-command/run/no-lifeline", GINT_TO_POINTER (FALSE), test_command_run);
  g_test_add_func ("/link-command/half-goodbye", test_command_half_goodbye);
  g_test_add_func ("/link-command/goodbye", test_command_goodbye);
  g_test_add_func ("/link-command/half-frame", test_command_half_frame);
  g_test_add_func ("/link-command/false-goodbye", test_command_false_goodbye);
  g_test_add_func ("/link-command/guard", test_command_guard);
  g_test_add_func ("/link-command/early-goodbye", test_command_early_goodbye);

  return g_test_run ();
}
