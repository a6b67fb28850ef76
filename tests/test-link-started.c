/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "narrow-socket.h"
#include "own-process.h"
#include "transport/afrpc-pipes.h"

#define GOODBYE_SERIAL G_GUINT64_CONSTANT (0x123456789abcdef0)

/* What can be known of a worker. */
typedef enum
{
  WAY_SHARED,
  WAY_SHARED_ASYNC,
  WAY_NOT_SHARED, /* over a socket */
  WAY_COMMAND,
  N_WAYS,
} Way;

static void
start (Fake *fake,
       Way   way)
{
  g_autoptr(GVariant) options =
    g_variant_ref_sink (g_variant_new_parsed ("{'async': <%b>}", way == WAY_SHARED_ASYNC));
  g_autoptr(GVariant) hello = NULL;
  g_auto(AfrpcLinkItem) item = { 0 };
  AfrpcFrame frame;

  fake_init (fake);
  if (way == WAY_COMMAND)
    {
      afrpc_link_set_command (&fake->link);
      afrpc_transport_set_funcs (&fake->worker, &afrpc_pipes_funcs);
    }
  afrpc_link_run (&fake->link, options, NULL, 0, FALSE);
  if (way == WAY_NOT_SHARED)
    g_clear_pointer (&fake->link.transport.state, afrpc_shared_state_unmap);
  fake_hear (fake, AFRPC_FRAME_HELLO, &frame);
  fake_hear (fake, AFRPC_FRAME_RUN, &frame);
  hello = g_variant_ref_sink (g_variant_new_parsed ("{'version': <%u>, 'host': <'c'>, 'goodbye': <%t>}",
                                                    AFRPC_FRAME_PROTOCOL_VERSION, GOODBYE_SERIAL));
  fake_say (fake, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  fake_say (fake, AFRPC_FRAME_READY, 0, NULL);
  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
}

static guint64
call_with (Fake         *fake,
           AfrpcPayload *payload)
{
  const AfrpcLinkCall call = { .owner = fake };
  g_autoptr(GError) error = NULL;
  guint64 serial = afrpc_link_call (&fake->link, payload, &call, &error);

  g_assert_no_error (error);

  return serial;
}

static guint64
call_flagged (Fake   *fake,
              guint8  flags)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  AfrpcPayload payload = afrpc_payload (args);

  payload.flags = flags;

  return call_with (fake, &payload);
}

static void
hear_call (Fake    *fake,
           guint64  serial)
{
  AfrpcFrame frame;

  fake_hear (fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.serial, ==, serial);
}

/* As a worker says it that has a page, or has none. */
static void
say_started (Fake    *fake,
             Way      way,
             guint64  serial)
{
  if (afrpc_transport_shares_state (&fake->link.transport))
    afrpc_transport_mark_started (&fake->link.transport, serial);
  else
    {
      fake_say (fake, AFRPC_FRAME_STARTED, serial, NULL);
      fake_take_none (fake);
    }
}

static void
give_up (Fake         *fake,
         guint64       serial,
         AfrpcStarted  expected)
{
  afrpc_link_find (&fake->link, serial)->owner = NULL;
  g_assert_cmpint (afrpc_link_cancel (&fake->link, serial), ==, expected);
}

static void
note_freed (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
test_started_unwritten (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);
  const guint n_fds = own_process_count_fds ();
  g_autofree guint8 *bytes = g_malloc0 (AFRPC_LARGE_PAYLOAD_MIN);
  gboolean is_freed = FALSE;
  Fake fake = { 0 };
  struct stat st;
  guint64 serials[3], large, with_fd;
  guint n_fds_started;
  gsize queued;

  g_test_summary ("A call that is cancelled before it is written is gone at once, with all that belongs to it");
  start (&fake, way);
  n_fds_started = own_process_count_fds ();
  serials[0] = fake_call (&fake, 1);
  queued = afrpc_transport_get_queued (&fake.link.transport);
  {
    g_autoptr(GVariant) args = g_variant_ref_sink (
      g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, AFRPC_LARGE_PAYLOAD_MIN, TRUE, note_freed, &is_freed));
    AfrpcPayload payload = afrpc_payload (args);

    large = call_with (&fake, &payload);
  }
  {
    int fd = fake_new_fd (&st);
    AfrpcPayload payload = { .type = "", .fds = &fd, .n_fds = way == WAY_COMMAND ? 0 : 1 };

    with_fd = call_with (&fake, &payload);
    if (way == WAY_COMMAND)
      close (fd);
  }
  serials[1] = fake_call (&fake, 2);

  g_assert_false (is_freed);
  give_up (&fake, large, AFRPC_STARTED_NO);
  g_assert_true (is_freed);
  give_up (&fake, with_fd, AFRPC_STARTED_NO);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds_started);
  g_assert_null (afrpc_link_find (&fake.link, large));
  g_assert_cmpuint (fake.link.n_pending, ==, 2);
  g_assert_cmpuint (afrpc_transport_get_queued (&fake.link.transport), ==, 2 * queued);
  g_assert_false (afrpc_transport_is_cancelled (&fake.link.transport, large));
  g_assert_cmpint (afrpc_link_cancel (&fake.link, large), ==, AFRPC_STARTED_UNKNOWN);

  /* Its place is free. */
  serials[2] = fake_call (&fake, 3);
  g_assert_cmpuint (afrpc_serial_slot (serials[2]), ==, afrpc_serial_slot (with_fd));
  for (guint i = 0; i < 3; i++)
    hear_call (&fake, serials[i]);
  fake_hear_none (&fake);
  fake_clear (&fake);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_started_partly_written (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);

  g_test_summary ("A call is taken back up to its first byte, and not from there on");
  for (gsize n = 0; n < 3 * (AFRPC_FRAME_HEADER_SIZE + 16); n++)
    {
      g_auto(Fake) fake = { 0 };
      const gsize size = AFRPC_FRAME_HEADER_SIZE + 16;
      guint64 serials[3];
      AfrpcFrame frame;

      start (&fake, way);
      for (guint i = 0; i < 3; i++)
        serials[i] = fake_call (&fake, i + 1);
      narrow_socket_room = n;
      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_AGAIN);
      narrow_socket_room = G_MAXSIZE;
      for (guint i = 0; i < 3; i++)
        give_up (&fake, serials[i],
                 n <= i * size || way <= WAY_SHARED_ASYNC ? AFRPC_STARTED_NO : AFRPC_STARTED_UNKNOWN);
      for (guint i = 0; i < 3; i++)
        if (n > i * size)
          {
            g_assert_cmpint (afrpc_transport_is_cancelled (&fake.link.transport, serials[i]), ==,
                             way <= WAY_SHARED_ASYNC);
            hear_call (&fake, serials[i]);
          }
      for (guint i = 0; i < 3 && way != WAY_SHARED; i++)
        if (n > i * size)
          {
            fake_hear (&fake, AFRPC_FRAME_CANCEL, &frame);
            g_assert_cmpuint (frame.header.serial, ==, serials[i]);
          }
      fake_hear_none (&fake);
      g_assert_cmpuint (fake.link.n_pending, ==, (n + size - 1) / size);
    }
}

static void
test_started_cancel (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);
  const gboolean has_frame = way != WAY_SHARED;
  g_auto(Fake) fake = { 0 };
  guint64 serials[3];
  AfrpcFrame frame;

  g_test_summary ("Cancelling what is written is told in shared memory, and in a frame to a worker that does not look "
                  "there, once; and tells whether it is too late");
  start (&fake, way);
  for (guint i = 0; i < 3; i++)
    serials[i] = fake_call (&fake, i + 1);
  for (guint i = 0; i < 3; i++)
    hear_call (&fake, serials[i]);
  say_started (&fake, way, serials[0]);

  for (guint i = 0; i < 2; i++)
    {
      const AfrpcStarted not_known = way <= WAY_SHARED_ASYNC ? AFRPC_STARTED_NO : AFRPC_STARTED_UNKNOWN;

      g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[0]), ==, AFRPC_STARTED_YES);
      g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[1]), ==, not_known);
      for (guint j = 0; j < 3; j++)
        g_assert_cmpint (afrpc_transport_is_cancelled (&fake.link.transport, serials[j]), ==,
                         way <= WAY_SHARED_ASYNC && j < 2);
    }
  for (guint i = 0; i < 2 && has_frame; i++)
    {
      fake_hear (&fake, AFRPC_FRAME_CANCEL, &frame);
      g_assert_cmpuint (frame.header.serial, ==, serials[i]);
      g_assert_cmpuint (frame.header.size, ==, 0);
    }
  fake_hear_none (&fake);
  g_assert_cmpuint (fake.link.n_pending, ==, 3);

  /* With the outcome the page has the place of the next. */
  fake_say (&fake, AFRPC_FRAME_RESULT, serials[1], NULL);
  {
    g_auto(AfrpcLinkItem) item = { 0 };

    fake_take (&fake, &item);
    g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
  }
  g_assert_false (afrpc_transport_is_cancelled (&fake.link.transport, serials[1]));

  /* Nothing of these is pending, or ever was. */
  g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[1]), ==, AFRPC_STARTED_UNKNOWN);
  g_assert_cmpint (afrpc_link_cancel (&fake.link, 0), ==, AFRPC_STARTED_UNKNOWN);
  g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[0] + 1), ==, AFRPC_STARTED_UNKNOWN);
  g_assert_cmpint (afrpc_link_cancel (&fake.link, G_MAXUINT64), ==, AFRPC_STARTED_UNKNOWN);
  fake_hear_none (&fake);
}

static void
say_goodbye (Fake *fake)
{
  const AfrpcGoodbye goodbye = { 1, 0, FALSE };
  guint8 bytes[AFRPC_FRAME_GOODBYE_SIZE];

  afrpc_goodbye_encode (&goodbye, GOODBYE_SERIAL, bytes);
  fake_send (fake, bytes, sizeof bytes, -1);
}

/* Reads what there is, and sees how that ends. */
static void
read_to_the_end (Fake      *fake,
                 AfrpcStep  expected)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;

  do
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      step = afrpc_link_next (&fake->link, &item, &error);
      if (step == AFRPC_STEP_AGAIN)
        step = afrpc_link_read (&fake->link, &error);
    }
  while (step == AFRPC_STEP_DONE);
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, expected);
}

/* How the conversation ends. */
typedef enum
{
  END_EOF,           /* the worker has gone */
  END_PROCESS_ENDED, /* it has, and somebody else holds its connection */
  END_EARLY,         /* it is not listened to any more */
  END_GOODBYE,
  N_ENDS,
} End;

static AfrpcStarted
get_expected (Way way,
              End end)
{
  if (way == WAY_SHARED || way == WAY_SHARED_ASYNC)
    return AFRPC_STARTED_NO;
  if (way == WAY_NOT_SHARED)
    return end == END_EARLY ? AFRPC_STARTED_UNKNOWN : AFRPC_STARTED_NO;

  return end == END_GOODBYE ? AFRPC_STARTED_NO : AFRPC_STARTED_UNKNOWN;
}

static void
check_end (Way way,
           End end)
{
  const AfrpcStarted expected[] = { AFRPC_STARTED_YES, AFRPC_STARTED_YES, get_expected (way, end), AFRPC_STARTED_NO };
  g_auto(Fake) fake = { 0 };
  g_autoptr(GArray) pending = NULL;
  guint64 serials[4];

  start (&fake, way);
  for (guint i = 0; i < 3; i++)
    serials[i] = fake_call (&fake, i + 1);
  for (guint i = 0; i < 3; i++)
    hear_call (&fake, serials[i]);
  serials[3] = fake_call (&fake, 4);
  say_started (&fake, way, serials[0]);
  /* This one is only there to be read. */
  if (!afrpc_transport_shares_state (&fake.link.transport) && end != END_EARLY)
    fake_say (&fake, AFRPC_FRAME_STARTED, serials[1], NULL);
  else
    say_started (&fake, way, serials[1]);

  if (end == END_GOODBYE)
    say_goodbye (&fake);
  else if (end == END_EOF)
    afrpc_transport_clear (&fake.worker);
  else if (end == END_PROCESS_ENDED)
    afrpc_link_process_ended (&fake.link);
  if (end != END_EARLY)
    read_to_the_end (&fake, AFRPC_STEP_EOF);

  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (afrpc_link_get_started (&fake.link, serials[i]), ==, expected[i]);
  pending = fake_end (&fake);
  g_assert_cmpuint (pending->len, ==, 4);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpuint (g_array_index (pending, AfrpcLinkSlot, i).serial, ==, serials[i]);
      g_assert_cmpint (g_array_index (pending, AfrpcLinkSlot, i).started, ==, expected[i]);
      g_assert_cmpint (afrpc_link_get_started (&fake.link, serials[i]), ==, expected[i]);
      /* Should the worker live on, it does not make a lie of that. */
      if (afrpc_transport_shares_state (&fake.link.transport) && i < 3)
        g_assert_true (afrpc_transport_is_cancelled (&fake.link.transport, serials[i]));
    }
}

static void
test_started_end (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);

  g_test_summary ("At the end each call was started, or was not, or nobody can tell, as the truth is");
  for (guint end = 0; end < N_ENDS; end++)
    if (end != END_GOODBYE || way == WAY_COMMAND)
      check_end (way, end);
}

/* A worker that dies while it writes. */
static void
test_started_half_frame (void)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_STARTED, .serial = (guint64) 1 << AFRPC_SERIAL_SLOT_BITS };
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];

  g_test_summary ("A start that did not arrive as a whole was none");
  afrpc_frame_encode (&header, bytes);
  for (gsize n = 0; n <= sizeof bytes; n++)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GArray) pending = NULL;

      start (&fake, WAY_NOT_SHARED);
      hear_call (&fake, fake_call (&fake, 1));
      if (n > 0)
        fake_send (&fake, bytes, n, -1);
      afrpc_transport_clear (&fake.worker);
      read_to_the_end (&fake, AFRPC_STEP_EOF);
      pending = fake_end (&fake);
      g_assert_cmpint (g_array_index (pending, AfrpcLinkSlot, 0).started, ==,
                       n == sizeof bytes ? AFRPC_STARTED_YES : AFRPC_STARTED_NO);
    }
}

/* Which is what who runs one at a time has begun, where nobody says. */
static void
test_started_oldest (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serials[3];

  g_test_summary ("The oldest call is the first of those that have no outcome");
  start (&fake, WAY_COMMAND);
  g_assert_false (afrpc_link_is_oldest (&fake.link, 1));
  for (guint i = 0; i < 3; i++)
    serials[i] = fake_call (&fake, i + 1);
  for (guint i = 0; i < 3; i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      for (guint j = 0; j < 3; j++)
        g_assert_cmpint (afrpc_link_is_oldest (&fake.link, serials[j]), ==, j == i);
      hear_call (&fake, serials[i]);
      fake_say (&fake, AFRPC_FRAME_RESULT, serials[i], NULL);
      fake_take (&fake, &item);
    }
  for (guint i = 0; i < 3; i++)
    g_assert_false (afrpc_link_is_oldest (&fake.link, serials[i]));
}

static void
check_timed (Way       way,
             GVariant *value, /* (nullable), floating */
             gint64    expected_min,
             gint64    expected_max)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  guint64 serial;
  AfrpcFrame frame;

  start (&fake, way);
  serial = call_flagged (&fake, AFRPC_FRAME_FLAG_TIMED);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.flags & AFRPC_FRAME_FLAG_TIMED, !=, 0);
  fake_say (&fake, AFRPC_FRAME_STARTED, serial, value);
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_STARTED);
  g_assert_cmpuint (item.serial, ==, serial);
  g_assert_true (item.call.owner == &fake);
  g_assert_cmpint (item.start_us, >=, expected_min);
  g_assert_cmpint (item.start_us, <=, expected_max);
  g_assert_cmpuint (fake.link.n_pending, ==, 1);

  fake_say (&fake, AFRPC_FRAME_STARTED, serial, NULL);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_started_timed (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);
  const gint64 now = g_get_monotonic_time (), later = now + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC;

  g_test_summary ("The start of a timed call is told with its time, once; nobody starts in the future");
  check_timed (way, NULL, 0, 0);
  if (way == WAY_COMMAND)
    {
      check_timed (way, g_variant_new_int64 (now), 0, 0);
      return;
    }
  check_timed (way, g_variant_new_int64 (now), now, now);
  check_timed (way, g_variant_new_int64 (1), 1, 1);
  check_timed (way, g_variant_new_int64 (later), now, later - 1);
  check_timed (way, g_variant_new_int64 (G_MAXINT64), now, later - 1);
  check_timed (way, g_variant_new_int64 (-1), 0, 0);
}

static void
check_false_start (Way         way,
                   guint8      flags,
                   guint64     serial_xor,
                   const char *type,
                   gsize       size)
{
  g_auto(Fake) fake = { 0 };
  guint64 serial;
  AfrpcFrame frame;

  start (&fake, way);
  serial = call_flagged (&fake, flags);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  fake_say_raw (&fake, AFRPC_FRAME_STARTED, serial ^ serial_xor, type, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", size);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_started_false (void)
{
  g_test_summary ("The start of a call that is not waiting for it breaks the protocol, and so does a malformed one");
  check_false_start (WAY_SHARED, 0, 0, "", 0);
  check_false_start (WAY_SHARED_ASYNC, 0, 0, "", 0);
  for (Way way = 0; way < WAY_COMMAND; way++)
    {
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 1, "", 0);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, G_MAXUINT64, "x", 8);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 0, "t", 8);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 0, "x", 7);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 0, "x", 0);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 0, "", 8);
      check_false_start (way, AFRPC_FRAME_FLAG_TIMED, 0, "(xx)", 16);
    }
}

static void
say_refused (Fake           *fake,
             AfrpcFrameKind  kind,
             guint64         serial)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new ("(sis)", "afrpc-error-quark", 1, "no"));
  AfrpcPayload payload = afrpc_payload (value);

  payload.flags = AFRPC_FRAME_FLAG_NOT_STARTED;
  afrpc_transport_put_payload (&fake->worker, kind, serial, &payload);
  g_assert_cmpint (afrpc_transport_flush (&fake->worker, NULL), ==, AFRPC_STEP_DONE);
}

static void
test_started_refused (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);

  g_test_summary ("An error says whether its call was started; what was, and is said to have a result, was not refused");
  for (guint i = 0; i < 4; i++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      guint64 serial;

      start (&fake, way);
      serial = call_flagged (&fake, AFRPC_FRAME_FLAG_TIMED);
      hear_call (&fake, serial);
      if (i == 2)
        {
          fake_say (&fake, AFRPC_FRAME_STARTED, serial, NULL);
          fake_take (&fake, &item);
        }

      if (i == 0)
        fake_say (&fake, AFRPC_FRAME_ERROR, serial, g_variant_new ("(sis)", "afrpc-error-quark", 1, "no"));
      else
        say_refused (&fake, i == 3 ? AFRPC_FRAME_RESULT : AFRPC_FRAME_ERROR, serial);
      if (i >= 2)
        fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
      else
        {
          fake_take (&fake, &item);
          g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
          g_assert_nonnull (item.error);
          g_assert_cmpint (item.is_refused, ==, i == 1);
        }
    }
}

static void
test_started_abandoned (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serial;

  g_test_summary ("Nobody is told of the start of a timed call that nobody waits for");
  start (&fake, WAY_NOT_SHARED);
  serial = call_flagged (&fake, AFRPC_FRAME_FLAG_TIMED);
  hear_call (&fake, serial);
  afrpc_link_find (&fake.link, serial)->owner = NULL;
  fake_say (&fake, AFRPC_FRAME_STARTED, serial, g_variant_new_int64 (1));
  fake_take_none (&fake);
  g_assert_cmpint (afrpc_link_get_started (&fake.link, serial), ==, AFRPC_STARTED_YES);
}

static void
test_started_taken_back (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(Fake) apart = { 0 };
  g_auto(AfrpcLinkItem) result = { 0 };
  AfrpcSharedState *state;
  guint64 serials[4], unshared;

  g_test_summary ("A call that was not started is taken back, one that was goes on and hears nothing of it");
  start (&fake, WAY_SHARED);
  state = fake.link.transport.state;
  for (guint i = 0; i < 3; i++)
    {
      serials[i] = fake_call (&fake, i + 1);
      hear_call (&fake, serials[i]);
    }
  serials[3] = fake_call (&fake, 4);
  afrpc_shared_state_start (state, serials[0]);
  g_assert_false (afrpc_link_take_back (&fake.link, serials[0]));
  g_assert_false (afrpc_shared_state_is_revoked (state, serials[0]));
  g_assert_true (afrpc_link_take_back (&fake.link, serials[1]));
  g_assert_true (afrpc_shared_state_is_revoked (state, serials[1]));
  g_assert_false (afrpc_shared_state_is_cancelled (state, serials[1]));
  afrpc_link_cancel (&fake.link, serials[2]);
  g_assert_false (afrpc_link_take_back (&fake.link, serials[2]));
  /* Nothing of it was written: it is gone at once. */
  g_assert_true (afrpc_link_take_back (&fake.link, serials[3]));
  g_assert_null (afrpc_link_find (&fake.link, serials[3]));
  g_assert_false (afrpc_link_take_back (&fake.link, serials[3]));

  /* What the worker says of it is for nobody, and its place is free then. */
  fake_say (&fake, AFRPC_FRAME_RESULT, serials[0], g_variant_new_string ("first"));
  fake_take (&fake, &result);
  g_assert_cmpint (result.kind, ==, AFRPC_LINK_ITEM_RESULT);
  fake_say (&fake, AFRPC_FRAME_RESULT, serials[1], g_variant_new_string ("second"));
  fake_take_none (&fake);
  g_assert_false (afrpc_shared_state_is_revoked (state, serials[1]));

  start (&apart, WAY_NOT_SHARED);
  unshared = fake_call (&apart, 1);
  hear_call (&apart, unshared);
  g_assert_false (afrpc_link_take_back (&apart.link, unshared));
}

static void
test_started_deaf (gconstpointer data)
{
  const Way way = GPOINTER_TO_UINT (data);
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  g_autoptr(GArray) pending = NULL;
  guint64 serials[3];

  g_test_summary ("A worker that does not read any more, and lives on, is told from others; what it has not got it has "
                  "not started");
  start (&fake, way);
  serials[0] = fake_call (&fake, 1);
  hear_call (&fake, serials[0]);
  say_started (&fake, way, serials[0]);
  g_assert_no_errno (shutdown (fake.worker.in_fd, SHUT_RD));
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_false (afrpc_link_is_deaf (&fake.link));

  serials[1] = fake_call (&fake, 2);
  serials[2] = fake_call (&fake, 3);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
      g_assert_true (afrpc_link_is_deaf (&fake.link));
      g_assert_cmpuint (afrpc_transport_get_queued (&fake.link.transport), >, 0);
    }
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, g_variant_new_string ("still here"));
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_EVENT);

  give_up (&fake, serials[1], AFRPC_STARTED_NO);
  pending = fake_end (&fake);
  g_assert_cmpuint (pending->len, ==, 2);
  g_assert_cmpint (g_array_index (pending, AfrpcLinkSlot, 0).started, ==, AFRPC_STARTED_YES);
  g_assert_cmpint (g_array_index (pending, AfrpcLinkSlot, 1).started, ==, AFRPC_STARTED_NO);
}

static void
test_started_many (void)
{
  const guint n_calls = 100000;
  g_auto(Fake) fake = { 0 };
  g_autofree guint64 *serials = g_new (guint64, n_calls);
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  g_test_summary ("Many calls that wait are cancelled in any order, while others are made in their places");
  start (&fake, WAY_SHARED);
  hear_call (&fake, fake_call (&fake, 1));
  for (guint i = 0; i < n_calls; i++)
    serials[i] = fake_call (&fake, i + 1);
  narrow_socket_room = 30;
  for (guint n = n_calls; n > 1; n--)
    {
      const guint i = g_rand_int_range (rand, 1, n);

      give_up (&fake, serials[i], AFRPC_STARTED_NO);
      serials[i] = serials[n - 1];
      if (n % 3 == 0)
        {
          /* The two that are left of the last three are the first and a new one. */
          guint64 serial = fake_call (&fake, 7);

          give_up (&fake, serial, AFRPC_STARTED_NO);
        }
      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_AGAIN);
    }
  narrow_socket_room = G_MAXSIZE;
  g_assert_cmpuint (fake.link.n_pending, ==, 2);
  g_assert_cmpuint (fake.link.transport.writer.tail, <, 200000);
  hear_call (&fake, serials[0]);
  fake_hear_none (&fake);
}

static void
add (const char    *name,
     GTestDataFunc  func,
     Way            first)
{
  static const char *const way_names[N_WAYS] = { "shared", "shared-async", "not-shared", "command" };

  for (Way way = first; way < N_WAYS; way++)
    {
      g_autofree char *path = g_strdup_printf ("/link-started/%s/%s", name, way_names[way]);

      g_test_add_data_func (path, GUINT_TO_POINTER (way), func);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add ("unwritten", test_started_unwritten, 0);
  add ("partly-written", test_started_partly_written, 0);
  add ("cancel", test_started_cancel, 0);
  add ("end", test_started_end, 0);
  add ("timed", test_started_timed, 0);
  add ("refused", test_started_refused, 0);
  add ("deaf", test_started_deaf, 0);
  g_test_add_func ("/link-started/oldest", test_started_oldest);
  g_test_add_func ("/link-started/half-frame", test_started_half_frame);
  g_test_add_func ("/link-started/false", test_started_false);
  g_test_add_func ("/link-started/abandoned", test_started_abandoned);
  g_test_add_func ("/link-started/taken-back", test_started_taken_back);
  g_test_add_func ("/link-started/many", test_started_many);

  return g_test_run ();
}
