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
#include "transport/afrpc-socket.h"

static void
say_step (Fake       *fake,
          const char *name)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_string (name));

  afrpc_link_prepare (&fake->link, AFRPC_FRAME_REQUIRE, value, NULL, 0);
}

/* A link that is told everything before anybody knows whether there is a worker. */
static void
start (Fake     *fake,
       gboolean  has_page)
{
  fake_init (fake);
  afrpc_link_keep (&fake->link);
  say_step (fake, "first");
  afrpc_link_run (&fake->link, NULL, NULL, 0, FALSE);
  if (!has_page)
    g_clear_pointer (&fake->link.transport.state, afrpc_shared_state_unmap);
}

static void
hear_step (Fake       *fake,
           const char *name)
{
  g_autoptr(GVariant) value = NULL;
  AfrpcFrame frame;

  fake_hear (fake, AFRPC_FRAME_REQUIRE, &frame);
  value = afrpc_transport_parse_value (&fake->worker, &frame, NULL);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, name);
}

static void
hear_start (Fake       *fake,
            const char *name)
{
  AfrpcFrame frame;

  fake_hear (fake, AFRPC_FRAME_HELLO, &frame);
  hear_step (fake, name);
  fake_hear (fake, AFRPC_FRAME_RUN, &frame);
}

static void
connect_next (Fake *fake)
{
  int fds[2];

  afrpc_transport_clear (&fake->worker);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  afrpc_link_connect (&fake->link, fds[0]);
  afrpc_transport_init (&fake->worker, &afrpc_socket_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&fake->worker, fds[1], fds[1]);
}

static void
prepare_next (Fake *fake)
{
  say_step (fake, "second");
  afrpc_link_run (&fake->link, NULL, NULL, 0, FALSE);
}

/* The next worker, as far as its preparation. */
static GArray *
restart (Fake     *fake,
         gboolean  may_exist)
{
  GArray *lost = afrpc_link_restart (&fake->link, may_exist);

  connect_next (fake);
  prepare_next (fake);

  return lost;
}

static void
restart_all (Fake *fake)
{
  g_autoptr(GArray) lost = restart (fake, FALSE);

  g_assert_cmpuint (lost->len, ==, 0);
}

static void
hear_call (Fake    *fake,
           guint64  serial)
{
  AfrpcFrame frame;

  fake_hear (fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.serial, ==, serial);
}

/* A call of any shape. */
static guint64
call_of_size (Fake        *fake,
              gsize        size,
              struct stat *st) /* (nullable): a descriptor goes with it */
{
  g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (size), size);
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
  AfrpcPayload payload = afrpc_payload (args);
  const AfrpcLinkCall call = { .owner = fake };
  g_autoptr(GError) error = NULL;
  guint64 serial;
  int fd;

  if (st != NULL)
    {
      fd = fake_new_fd (st);
      payload.fds = &fd;
      payload.n_fds = 1;
    }
  serial = afrpc_link_call (&fake->link, &payload, &call, &error);
  g_assert_no_error (error);

  return serial;
}

/* What was written up to @room, with some calls cancelled before that and some behind it. */
static void
check_restart (gsize room,
               guint cancelled_before,
               guint cancelled_after)
{
  static const gsize sizes[] = { 0, 100, AFRPC_LARGE_PAYLOAD_MIN + 5, 8 };
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  struct stat st[G_N_ELEMENTS (sizes)];
  guint64 serials[G_N_ELEMENTS (sizes)];
  AfrpcFrame frame;

  start (&fake, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      if (i == 2)
        afrpc_link_declare (&fake.link, 3, "other");
      serials[i] = call_of_size (&fake, sizes[i], i % 2 == 0 ? &st[i] : NULL);
    }

  narrow_socket_room = room / 2;
  afrpc_link_flush (&fake.link, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if ((cancelled_before & 1 << i) != 0)
      g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[i]), ==, AFRPC_STARTED_NO);
  narrow_socket_room = room - room / 2;
  afrpc_link_flush (&fake.link, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if ((cancelled_after & 1 << i) != 0 && afrpc_link_find (&fake.link, serials[i]) != NULL)
      {
        afrpc_link_find (&fake.link, serials[i])->owner = NULL;
        g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[i]), ==, AFRPC_STARTED_NO);
      }
  narrow_socket_room = G_MAXSIZE;
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if (afrpc_link_find (&fake.link, serials[i]) != NULL)
      afrpc_link_find (&fake.link, serials[i])->owner = (cancelled_before | cancelled_after) & 1 << i ? NULL : &fake;
  restart_all (&fake);

  hear_start (&fake, "second");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      if (i == 2)
        {
          fake_hear (&fake, AFRPC_FRAME_FUNCTION, &frame);
          g_assert_cmpuint (frame.header.serial, ==, 3);
        }
      if (((cancelled_before | cancelled_after) & 1 << i) != 0)
        {
          g_assert_null (afrpc_link_find (&fake.link, serials[i]));
          continue;
        }
      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      g_assert_cmpuint (frame.header.serial, ==, serials[i]);
      g_assert_cmpuint (frame.header.size, ==, sizes[i]);
      if (i % 2 == 0)
        fake_check_fd (&fake, &st[i]);
    }
  fake_hear_none (&fake);
  g_assert_cmpuint (fake.link.n_pending, ==,
                    4 - __builtin_popcount ((cancelled_before | cancelled_after)));

  fake_greet (&fake);
  fake_say (&fake, AFRPC_FRAME_READY, 0, NULL);
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
}

static void
test_keep_anywhere (void)
{
  const guint n_fds = own_process_count_fds ();
  gsize before, total;

  g_test_summary ("However much was written and whatever was cancelled, the next worker hears what is left, in order");
  {
    g_auto(Fake) fake = { 0 };

    start (&fake, TRUE);
    before = afrpc_transport_get_queued (&fake.link.transport);
    call_of_size (&fake, 0, NULL);
    call_of_size (&fake, 100, NULL);
    call_of_size (&fake, AFRPC_LARGE_PAYLOAD_MIN + 5, NULL);
    call_of_size (&fake, 8, NULL);
    total = afrpc_transport_get_queued (&fake.link.transport) + 40;
  }
  for (gsize room = 0; room <= total + 10;
       room += room < before ? 97 : room > before + 300 && room < total - 160 ? 1501 : 3)
    for (guint i = 0; i < 16; i++)
      check_restart (room, i, (room * 7 + i * 3) % 16);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_keep_page (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  AfrpcFrame frame;
  AfrpcSharedState *old;
  guint64 serial;
  int fd;

  g_test_summary ("The next worker has a page of its own, and what is done to the old one says nothing of it");
  start (&fake, TRUE);
  serial = fake_call (&fake, 1);
  fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
  hear_step (&fake, "first");
  fake_hear (&fake, AFRPC_FRAME_RUN, &frame);
  fd = afrpc_transport_take_fd (&fake.worker);
  old = afrpc_shared_state_map (fd, NULL);
  close (fd);
  restart_all (&fake);

  afrpc_shared_state_start (old, serial);
  hear_start (&fake, "second");
  hear_call (&fake, serial);
  g_assert_cmpint (afrpc_link_cancel (&fake.link, serial), ==, AFRPC_STARTED_NO);
  g_assert_false (afrpc_shared_state_is_cancelled (old, serial));
  g_assert_true (afrpc_shared_state_is_cancelled (fake.link.transport.state, serial));
  afrpc_shared_state_unmap (old);
}

/* A worker that somebody has made, who died before he could say so. */
static void
test_keep_lost (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GArray) lost = NULL;
  guint64 serials[4];

  g_test_summary ("What an unknown worker has started is not made again, and what it has not it never will");
  start (&fake, TRUE);
  for (guint i = 0; i < 4; i++)
    {
      serials[i] = fake_call (&fake, i + 1);
      if (i == 2)
        g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
    }
  afrpc_shared_state_start (fake.link.transport.state, serials[1]);
  {
    AfrpcSharedState *page;
    AfrpcFrame frame;
    int fd;

    fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
    hear_step (&fake, "first");
    fake_hear (&fake, AFRPC_FRAME_RUN, &frame);
    fd = afrpc_transport_take_fd (&fake.worker);
    page = afrpc_shared_state_map (fd, NULL);
    close (fd);
    lost = restart (&fake, TRUE);
    for (guint i = 0; i < 3; i++)
      g_assert_true (afrpc_shared_state_is_cancelled (page, serials[i]));
    afrpc_shared_state_unmap (page);
  }

  g_assert_cmpuint (lost->len, ==, 2);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (g_array_index (lost, AfrpcLinkSlot, i).serial, ==, serials[i]);
      g_assert_true (g_array_index (lost, AfrpcLinkSlot, i).call.owner == GUINT_TO_POINTER (i + 1));
      g_assert_cmpint (g_array_index (lost, AfrpcLinkSlot, i).started, ==, AFRPC_STARTED_YES);
      g_assert_null (afrpc_link_find (&fake.link, serials[i]));
    }
  hear_start (&fake, "second");
  hear_call (&fake, serials[2]);
  hear_call (&fake, serials[3]);
  fake_hear_none (&fake);
  g_assert_cmpuint (fake.link.n_pending, ==, 2);
}

static void
test_keep_lost_without_page (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GArray) lost = NULL;
  guint64 serials[3];

  g_test_summary ("Without a page nobody knows what an unknown worker has started of what it was sent");
  start (&fake, FALSE);
  serials[0] = fake_call (&fake, 1);
  serials[1] = fake_call (&fake, 2);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  serials[2] = fake_call (&fake, 3);
  afrpc_link_find (&fake.link, serials[0])->owner = NULL;
  g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[0]), ==, AFRPC_STARTED_UNKNOWN);
  lost = restart (&fake, TRUE);
  g_assert_cmpuint (lost->len, ==, 1);
  g_assert_cmpuint (g_array_index (lost, AfrpcLinkSlot, 0).serial, ==, serials[1]);
  g_assert_cmpint (g_array_index (lost, AfrpcLinkSlot, 0).started, ==, AFRPC_STARTED_UNKNOWN);
  hear_start (&fake, "second");
  hear_call (&fake, serials[2]);
  fake_hear_none (&fake);
}

static void
test_keep_confirm (void)
{
  const guint n_fds = own_process_count_fds ();
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;
  struct stat st;
  guint64 serial;

  g_test_summary ("Once the worker is known to exist, nothing is kept");
  start (&fake, TRUE);
  serial = call_of_size (&fake, 100000, &st);
  hear_start (&fake, "first");
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  fake_check_fd (&fake, &st);
  g_assert_cmpuint (afrpc_writer_get_kept (&fake.link.transport.writer), >, 100000);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 3);
  afrpc_link_confirm (&fake.link);
  g_assert_cmpuint (afrpc_writer_get_kept (&fake.link.transport.writer), ==, 0);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);

  fake_greet (&fake);
  fake_say (&fake, AFRPC_FRAME_READY, 0, NULL);
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_take (&fake, &item);
    }
  hear_call (&fake, fake_call (&fake, 2));
  g_assert_cmpuint (fake.link.transport.writer.tail, ==, 0);
}

static void
test_keep_limit (void)
{
  g_auto(Fake) fake = { 0 };
  const AfrpcLinkCall call = { .owner = &fake };
  const AfrpcPayload payload = { .type = "" };
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  g_test_summary ("What is kept counts like what waits");
  start (&fake, TRUE);
  hear_start (&fake, "first");
  fake.link.n_bytes_max = 100000;
  call_of_size (&fake, 50000, NULL);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  call_of_size (&fake, 49000, NULL);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  for (guint i = 0; i < 50; i++)
    if (afrpc_link_call (&fake.link, &payload, &call, &error) == 0)
      break;
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  afrpc_link_confirm (&fake.link);
  call_of_size (&fake, 90000, NULL);
}

static void
test_keep_closed (void)
{
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;
  guint64 serial;

  g_test_summary ("A link that was closed, and had written everything, does so again for the other worker");
  start (&fake, TRUE);
  serial = fake_call (&fake, 5);
  afrpc_link_close (&fake.link);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  restart_all (&fake);
  g_assert_false (fake.link.sending_ended);

  hear_start (&fake, "second");
  hear_call (&fake, serial);
  fake_hear (&fake, AFRPC_FRAME_CLOSE, &frame);
  /* It may be one that is to be told what is cancelled. */
  g_assert_false (fake.link.sending_ended);
  fake.link.was_ready = TRUE;
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_true (fake.link.sending_ended);
  g_assert_cmpint (afrpc_transport_next (&fake.worker, &frame, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_read (&fake.worker, NULL), ==, AFRPC_STEP_EOF);
}

static void
test_keep_deaf (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serials[2];

  g_test_summary ("A worker that ended while it was sent everything is replaced by one that can hear");
  start (&fake, TRUE);
  serials[0] = fake_call (&fake, 1);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  afrpc_transport_clear (&fake.worker);
  serials[1] = fake_call (&fake, 2);
  g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  g_assert_true (afrpc_link_is_deaf (&fake.link));
  restart_all (&fake);
  g_assert_false (afrpc_link_is_deaf (&fake.link));
  hear_start (&fake, "second");
  hear_call (&fake, serials[0]);
  hear_call (&fake, serials[1]);
}

static void
test_keep_between (void)
{
  g_test_summary ("Between the two workers calls can be cancelled, and the conversation end; and there may be a third");
  for (guint what = 0; what < 3; what++)
    {
      g_auto(Fake) fake = { 0 };
      g_autoptr(GArray) lost = NULL;
      g_autoptr(GArray) pending = NULL;
      guint64 serials[2];

      start (&fake, TRUE);
      serials[0] = fake_call (&fake, 1);
      serials[1] = fake_call (&fake, 2);
      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
      lost = afrpc_link_restart (&fake.link, FALSE);
      if (what == 0)
        {
          afrpc_link_find (&fake.link, serials[0])->owner = NULL;
          g_assert_cmpint (afrpc_link_cancel (&fake.link, serials[0]), ==, AFRPC_STARTED_NO);
        }
      if (what < 2)
        {
          restart_all (&fake);
          hear_start (&fake, "second");
          if (what == 1)
            hear_call (&fake, serials[0]);
          hear_call (&fake, serials[1]);
          fake_hear_none (&fake);
          continue;
        }

      g_assert_cmpint (afrpc_link_get_started (&fake.link, serials[0]), ==, AFRPC_STARTED_NO);
      pending = fake_end (&fake);
      g_assert_cmpuint (pending->len, ==, 2);
      for (guint i = 0; i < 2; i++)
        g_assert_cmpint (g_array_index (pending, AfrpcLinkSlot, i).started, ==, AFRPC_STARTED_NO);
    }
}

static void
test_keep_twice (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serial;

  g_test_summary ("The next worker's calls can be kept, too");
  start (&fake, TRUE);
  serial = fake_call (&fake, 1);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(GArray) lost = NULL;

      g_assert_cmpint (afrpc_link_flush (&fake.link, NULL), ==, AFRPC_STEP_DONE);
      lost = afrpc_link_restart (&fake.link, FALSE);
      g_assert_cmpuint (lost->len, ==, 0);
      afrpc_link_keep (&fake.link);
      connect_next (&fake);
      prepare_next (&fake);
    }
  hear_start (&fake, "second");
  hear_call (&fake, serial);
  afrpc_link_confirm (&fake.link);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/link-keep/anywhere", test_keep_anywhere);
  g_test_add_func ("/link-keep/page", test_keep_page);
  g_test_add_func ("/link-keep/lost", test_keep_lost);
  g_test_add_func ("/link-keep/lost-without-page", test_keep_lost_without_page);
  g_test_add_func ("/link-keep/confirm", test_keep_confirm);
  g_test_add_func ("/link-keep/limit", test_keep_limit);
  g_test_add_func ("/link-keep/closed", test_keep_closed);
  g_test_add_func ("/link-keep/deaf", test_keep_deaf);
  g_test_add_func ("/link-keep/between", test_keep_between);
  g_test_add_func ("/link-keep/twice", test_keep_twice);

  return g_test_run ();
}
