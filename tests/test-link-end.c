/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "own-process.h"

static void
start (Fake *fake)
{
  fake_init (fake);
  fake_start (fake);
}

static void
answer (Fake    *fake,
        guint64  serial)
{
  fake_say (fake, AFRPC_FRAME_RESULT, serial, g_variant_new_boolean (TRUE));
}

static void
take_result (Fake  *fake,
             guint  number)
{
  g_auto(AfrpcLinkItem) item = { 0 };

  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
  g_assert_cmpuint (GPOINTER_TO_UINT (item.call.owner), ==, number);
}

static void
test_link_abandoned (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serials[4];
  AfrpcFrame frame;

  g_test_summary ("The outcome of an abandoned call is swallowed, and its place free again");
  start (&fake);
  for (guint i = 0; i < 4; i++)
    serials[i] = fake_call (&fake, i + 1);
  for (guint i = 0; i < 4; i++)
    fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  for (guint i = 0; i < 3; i++)
    {
      afrpc_link_find (&fake.link, serials[i])->owner = NULL;
      afrpc_link_cancel (&fake.link, serials[i]);
    }
  g_assert_cmpuint (fake.link.n_pending, ==, 4);

  /* Not even looked at. */
  fake_say_raw (&fake, AFRPC_FRAME_RESULT, serials[0], "zzz", "abc", 3);
  fake_say_raw (&fake, AFRPC_FRAME_ERROR, serials[1], "", "", 0);
  answer (&fake, serials[3]);
  take_result (&fake, 4);
  fake_say (&fake, AFRPC_FRAME_RESULT, serials[2], g_variant_new_string ("not read"));
  fake_take_none (&fake);
  g_assert_cmpstr (fake.link.transport.reader.type.string, ==, "b");
  g_assert_cmpuint (fake.link.n_pending, ==, 0);
  g_assert_null (afrpc_link_find (&fake.link, serials[0]));

  answer (&fake, serials[0]);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

/* Answers everything that the worker has heard. */
static guint
answer_all (Fake *fake)
{
  AfrpcFrame frame;
  guint n = 0;

  while (afrpc_transport_read (&fake->worker, NULL) == AFRPC_STEP_DONE)
    while (afrpc_transport_next (&fake->worker, &frame, NULL) == AFRPC_STEP_DONE)
      {
        g_assert_cmpint (frame.header.kind, ==, AFRPC_FRAME_CALL);
        afrpc_transport_put_value (&fake->worker, AFRPC_FRAME_RESULT, frame.header.serial, NULL);
        n++;
      }
  g_assert_cmpint (afrpc_transport_flush (&fake->worker, NULL), !=, AFRPC_STEP_ERROR);

  return n;
}

static void
test_link_million (void)
{
  const guint n_calls = 1000000;
  g_auto(Fake) fake = { 0 };
  guint n_made = 0, n_done = 0;
  guint64 last = 0;

  g_test_summary ("A million calls in windows of changing size need no more places than one "
                  "window, and no call needs few");
  start (&fake);
  while (n_done < n_calls)
    {
      const guint window = 1 + n_made % 900;

      for (; n_made < n_calls && n_made - n_done < window; n_made++)
        {
          const guint64 serial = fake_call (&fake, n_made + 1);

          g_assert_cmpuint (serial, >, last);
          last = serial;
        }
      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), !=, AFRPC_STEP_ERROR);
      answer_all (&fake);
      while (afrpc_link_read (&fake.link, NULL) == AFRPC_STEP_DONE)
        {
          g_auto(AfrpcLinkItem) item = { 0 };

          while (afrpc_link_next (&fake.link, &item, NULL) == AFRPC_STEP_DONE)
            {
              g_assert_cmpuint (GPOINTER_TO_UINT (item.call.owner), ==, ++n_done);
              afrpc_link_item_clear (&item);
            }
        }
      g_assert_cmpuint (fake.link.n_pending, ==, n_made - n_done);
      g_assert_cmpuint (fake.link.n_slots, <=, n_made > n_done ? 1024 : 64);
    }
  g_assert_cmpuint (fake.link.n_pending, ==, 0);
  g_assert_cmpuint (last, ==,
                    (guint64) n_calls << AFRPC_SERIAL_SLOT_BITS | afrpc_serial_slot (last));
}

/* Makes and settles calls at random; the calls that are pending then, in order. */
static GArray *
make_and_settle (Fake  *fake,
                 GRand *rand)
{
  GArray *serials = g_array_new (FALSE, FALSE, sizeof (guint64));

  for (guint i = 0; i < 1000; i++)
    {
      if (serials->len == 0 || g_rand_int_range (rand, 0, 3) > 0)
        {
          guint64 serial = fake_call (fake, fake->link.n_calls_made + 1);

          g_array_append_val (serials, serial);
        }
      else
        {
          const guint j = g_rand_int_range (rand, 0, serials->len);
          g_auto(AfrpcLinkItem) item = { 0 };

          answer (fake, g_array_index (serials, guint64, j));
          g_array_remove_index (serials, j);
          fake_take (fake, &item);
        }
    }

  return serials;
}

static void
test_link_end (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  g_autoptr(GArray) serials = NULL;
  g_autoptr(GArray) pending = NULL;
  g_autoptr(GArray) again = NULL;

  g_test_summary ("At the end all calls that somebody waits for are given back, in the order they "
                  "were made");
  start (&fake);
  serials = make_and_settle (&fake, rand);
  for (guint i = 0; i < serials->len; i += 3)
    {
      afrpc_link_find (&fake.link, g_array_index (serials, guint64, i))->owner = NULL;
      g_array_remove_index (serials, i);
    }

  pending = fake_end (&fake);
  g_assert_cmpuint (pending->len, ==, serials->len);
  for (guint i = 0; i < pending->len; i++)
    {
      const AfrpcLinkSlot *slot = &g_array_index (pending, AfrpcLinkSlot, i);

      g_assert_cmpuint (slot->serial, ==, g_array_index (serials, guint64, i));
      g_assert_cmpuint (GPOINTER_TO_UINT (slot->call.owner), ==,
                        slot->serial >> AFRPC_SERIAL_SLOT_BITS);
    }

  g_assert_cmpuint (fake.link.n_pending, ==, 0);
  g_assert_null (afrpc_link_find (&fake.link, g_array_index (serials, guint64, 0)));
  afrpc_link_cancel (&fake.link, g_array_index (serials, guint64, 0));
  answer (&fake, g_array_index (serials, guint64, 0));
  fake_take_none (&fake);
  again = fake_end (&fake);
  g_assert_cmpuint (again->len, ==, 0);
}

/* Reads what comes until the link's half of the socket is closed. */
static guint
hear_to_eof (Fake *fake)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;
  AfrpcFrame frame;
  guint n = 0;

  while ((step = afrpc_transport_read (&fake->worker, &error)) == AFRPC_STEP_DONE ||
         step == AFRPC_STEP_AGAIN)
    {
      while (afrpc_transport_next (&fake->worker, &frame, &error) == AFRPC_STEP_DONE)
        n++;
      g_assert_no_error (error);
      afrpc_link_flush (&fake->link, &error);
      g_assert_no_error (error);
    }
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_EOF);

  return n;
}

static void
test_link_close (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (1 << 20), 1 << 20);
  g_autoptr(GVariant) large =
    g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
  const AfrpcPayload payload = afrpc_payload (large);
  const AfrpcLinkCall call = { .owner = &fake };
  guint64 serials[2];

  g_test_summary ("After closing, all that was queued goes out, then the half-close, and results "
                  "still come in");
  start (&fake);
  serials[0] = afrpc_link_call (&fake.link, &payload, &call, NULL);
  serials[1] = fake_call (&fake, 2);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_false (fake.link.sending_ended);
  afrpc_link_close (&fake.link);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_false (fake.link.sending_ended);
  g_assert_cmpuint (hear_to_eof (&fake), ==, 2);
  g_assert_true (fake.link.sending_ended);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);

  answer (&fake, serials[1]);
  take_result (&fake, 2);
  /* A call may be cancelled still, but there is nobody to tell. */
  afrpc_link_cancel (&fake.link, serials[0]);
  g_assert_true (afrpc_shared_state_is_cancelled (fake.link.transport.state, serials[0]));
  g_assert_cmpuint (afrpc_transport_get_queued (&fake.link.transport), ==, 0);
  answer (&fake, serials[0]);
}

static void
test_link_close_cancel (void)
{
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;
  guint64 serials[2];

  g_test_summary ("An async worker is told that no calls follow, then what is cancelled, and the end when it owes nothing");
  start (&fake);
  fake.link.is_async = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    serials[i] = fake_call (&fake, i + 1);
  afrpc_link_close (&fake.link);
  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  fake_hear (&fake, AFRPC_FRAME_CLOSE, &frame);
  answer (&fake, serials[0]);
  take_result (&fake, 1);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_false (fake.link.sending_ended);

  afrpc_link_cancel (&fake.link, serials[1]);
  fake_hear (&fake, AFRPC_FRAME_CANCEL, &frame);
  g_assert_cmpuint (frame.header.serial, ==, serials[1]);
  answer (&fake, serials[1]);
  take_result (&fake, 2);
  g_assert_cmpuint (hear_to_eof (&fake), ==, 0);
  g_assert_true (fake.link.sending_ended);
}

static void
test_link_close_gone (void)
{
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;
  guint64 serial;

  g_test_summary ("A worker that has answered what is cancelled, and gone, is not one that does not read");
  start (&fake);
  fake.link.is_async = TRUE;
  serial = fake_call (&fake, 1);
  afrpc_link_close (&fake.link);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  fake_hear (&fake, AFRPC_FRAME_CLOSE, &frame);
  afrpc_transport_clear (&fake.worker);
  afrpc_link_cancel (&fake.link, serial);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_true (fake.link.sending_ended);
  g_assert_false (afrpc_link_is_deaf (&fake.link));
}

static void
test_link_close_idle (void)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("Closing when nothing is queued is told at the next flush");
  start (&fake);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_false (fake.link.sending_ended);
  afrpc_link_close (&fake.link);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_true (fake.link.sending_ended);
  g_assert_cmpuint (hear_to_eof (&fake), ==, 0);
}

static void
test_link_announce_close (void)
{
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;

  g_test_summary ("A worker that may outlive us is told, once and last of all, that it is closed");
  start (&fake);
  fake.link.announces_close = TRUE;
  fake_call (&fake, 1);
  afrpc_link_close (&fake.link);
  afrpc_link_close (&fake.link);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  fake_hear (&fake, AFRPC_FRAME_CLOSE, &frame);
  g_assert_cmpint (afrpc_transport_next (&fake.worker, &frame, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_read (&fake.worker, NULL), ==, AFRPC_STEP_EOF);
}

static void
test_link_end_sending (void)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("The way out can be closed at any time; what waits to be written is not");
  start (&fake);
  fake_call (&fake, 1);
  afrpc_link_end_sending (&fake.link);
  afrpc_link_end_sending (&fake.link);
  g_assert_true (fake.link.sending_ended);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (afrpc_transport_read (&fake.worker, NULL), ==, AFRPC_STEP_EOF);
}

static void
test_link_worker_gone (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GError) error = NULL;
  AfrpcLinkItem none;
  AfrpcFrame frame;
  guint64 serial;

  g_test_summary ("What a worker said before it went is heard, and writing to it is no error");
  start (&fake);
  serial = fake_call (&fake, 1);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  answer (&fake, serial);
  afrpc_transport_clear (&fake.worker);
  fake_call (&fake, 2);
  g_assert_cmpint (afrpc_link_flush (&fake.link, &error), ==, AFRPC_STEP_DONE);
  g_assert_no_error (error);
  g_assert_true (fake.link.sending_ended);
  g_assert_cmpint (afrpc_link_flush (&fake.link, &error), ==, AFRPC_STEP_DONE);

  take_result (&fake, 1);
  g_assert_cmpint (afrpc_link_next (&fake.link, &none, &error), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_link_read (&fake.link, &error), ==, AFRPC_STEP_EOF);
  g_assert_no_error (error);
  g_assert_cmpuint (fake.link.n_pending, ==, 1);
}

static void
test_link_steal_fd (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  g_autoptr(GVariant) options = g_variant_ref_sink (g_variant_new_parsed ("{'run': <true>}"));
  char text[100];
  int fd;

  g_test_summary ("Who takes the socket finds in it all that came after the worker was ready");
  fake_init (&fake);
  afrpc_link_run (&fake.link, options, NULL, 0, FALSE);
  fake_greet (&fake);
  fake_say (&fake, AFRPC_FRAME_READY, 0, NULL);
  g_assert_cmpint (write (fake.worker.out_fd, "the rest", 8), ==, 8);
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);

  fd = afrpc_link_steal_fd (&fake.link);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_ENDED);
  g_assert_cmpint (read (fd, text, sizeof text), ==, 8);
  g_assert_cmpmem (text, 8, "the rest", 8);
  g_assert_cmpint (afrpc_link_next (&fake.link, &item, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  afrpc_link_clear (&fake.link);
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
  close (fd);
}

static void
test_link_clear (void)
{
  const guint n_fds = own_process_count_fds ();
  AfrpcLink link;

  g_test_summary ("A link that is cleared in any state leaves nothing behind");
  for (guint i = 0; i < 4; i++)
    {
      Fake fake = { 0 };

      fake_init (&fake);
      if (i == 1)
        afrpc_link_run (&fake.link, NULL, NULL, 0, FALSE);
      if (i >= 2)
        {
          fake_start (&fake);
          fake_call (&fake, 1);
          fake_say (&fake, AFRPC_FRAME_EVENT, 0, g_variant_new_string ("x"));
        }
      if (i == 3)
        g_assert_cmpint (afrpc_link_read (&fake.link, NULL), ==, AFRPC_STEP_DONE);
      fake_clear (&fake);
      fake_clear (&fake);
      g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
    }

  /* Never connected. */
  afrpc_link_init (&link, NULL);
  afrpc_link_clear (&link);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/link-end/abandoned", test_link_abandoned);
  g_test_add_func ("/link-end/million", test_link_million);
  g_test_add_func ("/link-end/end", test_link_end);
  g_test_add_func ("/link-end/close", test_link_close);
  g_test_add_func ("/link-end/announce-close", test_link_announce_close);
  g_test_add_func ("/link-end/end-sending", test_link_end_sending);
  g_test_add_func ("/link-end/close/cancel", test_link_close_cancel);
  g_test_add_func ("/link-end/close/gone", test_link_close_gone);
  g_test_add_func ("/link-end/close-idle", test_link_close_idle);
  g_test_add_func ("/link-end/worker-gone", test_link_worker_gone);
  g_test_add_func ("/link-end/steal-fd", test_link_steal_fd);
  g_test_add_func ("/link-end/clear", test_link_clear);

  return g_test_run ();
}
