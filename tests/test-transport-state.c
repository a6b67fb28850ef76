/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "transport-pair.h"
#include "transport/afrpc-pipes.h"
#include "transport/afrpc-socket.h"

static void
test_transport_shared (void)
{
  const guint n_fds = own_process_count_fds ();
  const guint64 serials[] = { (guint64) 1 << AFRPC_SERIAL_SLOT_BITS, (guint64) 2 << AFRPC_SERIAL_SLOT_BITS | 1 };

  g_test_summary ("What one side says of a call the other sees at once, and nothing is missing");
  {
    g_auto(TransportPair) pair = { 0 };
    int fd;

    transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
    g_assert_false (afrpc_transport_shares_state (&pair.from));
    g_assert_false (afrpc_transport_knows_started (&pair.from));
    fd = afrpc_transport_share_state (&pair.from);
    g_assert_no_errno (fd);
    g_assert_true (afrpc_transport_take_state (&pair.to, fd, NULL));
    close (fd);

    g_assert_true (afrpc_transport_shares_state (&pair.to));
    g_assert_true (afrpc_transport_knows_started (&pair.from));
    g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, 0);
    afrpc_transport_mark_started (&pair.to, serials[0]);
    g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, serials[0]);
    /* A frame cannot know better. */
    afrpc_transport_note_started (&pair.from, serials[1]);
    g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, serials[0]);

    afrpc_transport_mark_cancelled (&pair.from, serials[1]);
    g_assert_false (afrpc_transport_is_cancelled (&pair.to, serials[0]));
    g_assert_true (afrpc_transport_is_cancelled (&pair.to, serials[1]));
    afrpc_transport_unmark_cancelled (&pair.from, serials[1]);
    g_assert_false (afrpc_transport_is_cancelled (&pair.to, serials[1]));

    afrpc_transport_restart (&pair.from, -1);
    g_assert_false (afrpc_transport_shares_state (&pair.from));
    g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, 0);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_not_shared (gconstpointer data)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;
  const TransportWay way = GPOINTER_TO_UINT (data);

  g_test_summary ("Where nothing is shared nothing is seen, and what frames tell counts");
  transport_pair_init (&pair, way, O_NONBLOCK);
  g_assert_cmpint (afrpc_transport_is_local (&pair.from), ==, way == TRANSPORT_WAY_SOCKET);
  if (way != TRANSPORT_WAY_SOCKET)
    g_assert_cmpint (afrpc_transport_share_state (&pair.from), ==, -1);
  g_assert_false (afrpc_transport_take_state (&pair.to, STDERR_FILENO, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);

  afrpc_transport_mark_started (&pair.to, 7);
  afrpc_transport_mark_cancelled (&pair.from, 7);
  afrpc_transport_unmark_cancelled (&pair.from, 7);
  g_assert_false (afrpc_transport_is_cancelled (&pair.to, 7));
  g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, 0);
  afrpc_transport_note_started (&pair.from, 7);
  afrpc_transport_note_started (&pair.from, 6);
  g_assert_cmpuint (afrpc_transport_get_started (&pair.from), ==, 7);
  g_assert_false (afrpc_transport_knows_started (&pair.from));
}

/* How many bytes are read until there are no more, and what says so. */
static gsize
read_all (AfrpcTransport *transport,
          AfrpcStep       expected)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;
  AfrpcFrame frame;

  while ((step = afrpc_transport_read (transport, &error)) == AFRPC_STEP_DONE)
    while (afrpc_transport_next (transport, &frame, &error) == AFRPC_STEP_DONE)
      ;
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, expected);

  return transport->reader.position;
}

static void
test_transport_peer_ended (gconstpointer data)
{
  const TransportWay way = GPOINTER_TO_UINT (data);
  g_auto(TransportPair) pair = { 0 };
  gsize queued;

  g_test_summary ("Of a process that has ended all is there, though its connection is not at its end; what came over a "
                  "command may have been more");
  transport_pair_init (&pair, way, O_NONBLOCK);
  read_all (&pair.to, AFRPC_STEP_AGAIN);
  g_assert_false (pair.to.is_complete);
  for (guint i = 0; i < 1000; i++)
    afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, NULL);
  queued = afrpc_transport_get_queued (&pair.from);
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  afrpc_transport_peer_has_ended (&pair.to);
  g_assert_cmpuint (read_all (&pair.to, AFRPC_STEP_EOF), ==, queued);
  g_assert_cmpint (pair.to.is_complete, ==, way == TRANSPORT_WAY_SOCKET);
  g_assert_cmpint (afrpc_transport_knows_started (&pair.to), ==, way == TRANSPORT_WAY_SOCKET);
}

static void
test_transport_end_sending (gconstpointer data)
{
  const TransportWay way = GPOINTER_TO_UINT (data);
  g_auto(TransportPair) pair = { 0 };
  gsize queued;

  g_test_summary ("The end of what is sent is seen, behind all of it");
  transport_pair_init (&pair, way, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
  queued = afrpc_transport_get_queued (&pair.from);
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  afrpc_transport_end_sending (&pair.from);
  afrpc_transport_end_sending (&pair.from);
  g_assert_cmpuint (read_all (&pair.to, AFRPC_STEP_EOF), ==, queued);
  g_assert_cmpint (pair.to.is_complete, ==, way == TRANSPORT_WAY_SOCKET);

  /* What is sent the other way still arrives. */
  if (way != TRANSPORT_WAY_PIPE)
    {
      afrpc_transport_put_value (&pair.to, AFRPC_FRAME_CALL, 1, NULL);
      g_assert_cmpint (afrpc_transport_flush (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      g_assert_cmpuint (read_all (&pair.from, AFRPC_STEP_AGAIN), >, 0);
    }
}

static void
test_transport_set_nonblocking (gconstpointer data)
{
  const TransportWay way = GPOINTER_TO_UINT (data);
  g_auto(TransportPair) pair = { 0 };
  int others;

  g_test_summary ("Not to block is one side's own affair, also where it shares a pipe with others");
  transport_pair_init (&pair, way, 0);
  g_assert_no_errno (others = fcntl (pair.to.in_fd, F_DUPFD_CLOEXEC, 0));
  if (way == TRANSPORT_WAY_PIPE)
    {
      /* It would write there, too. */
      pair.to.out_fd = fcntl (pair.from.out_fd, F_DUPFD_CLOEXEC, 0);
      g_assert_no_errno (pair.to.out_fd);
    }
  afrpc_transport_set_nonblocking (&pair.to);
  read_all (&pair.to, AFRPC_STEP_AGAIN);
  g_assert_cmpint (fcntl (pair.to.out_fd, F_GETFL) & O_NONBLOCK, !=, 0);
  g_assert_cmpint (fcntl (pair.to.in_fd, F_GETFD), ==, FD_CLOEXEC);
  if (way == TRANSPORT_WAY_PIPE)
    {
      g_assert_cmpint (fcntl (others, F_GETFL) & O_NONBLOCK, ==, 0);
      g_assert_cmpint (fcntl (pair.from.out_fd, F_GETFL) & O_NONBLOCK, ==, 0);
    }
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
  transport_pair_receive_value (&pair, 1, NULL);
  close (others);
}

/* Something else that frames may travel over. */
static guint n_fake_reads, n_fake_flushes, n_fake_looks;

static AfrpcStep
fake_read (AfrpcTransport  *self,
           GError         **error)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .serial = ++n_fake_reads };
  struct iovec iov[2];

  g_assert_cmpuint (afrpc_reader_get_room (&self->reader, iov), ==, 1);
  afrpc_frame_encode (&header, iov[0].iov_base);
  afrpc_reader_add (&self->reader, AFRPC_FRAME_HEADER_SIZE);

  return AFRPC_STEP_DONE;
}

/* Takes three bytes at once. */
static gssize
fake_send (int               fd,
           AfrpcWriterBatch *batch)
{
  n_fake_flushes++;

  return MIN (3, batch->iov[0].iov_len);
}

static AfrpcStep
fake_flush (AfrpcTransport  *self,
            GError         **error)
{
  return afrpc_writer_flush (&self->writer, self->out_fd, fake_send, error);
}

static AfrpcStep
fake_look_for_end (AfrpcTransport  *self,
                   AfrpcStep        step,
                   GError         **error)
{
  return ++n_fake_looks > 3 ? AFRPC_STEP_EOF : step;
}

static void
test_transport_other (void)
{
  static const AfrpcTransportFuncs funcs = { .name = "fake", .read = fake_read, .flush = fake_flush,
                                             .look_for_end = fake_look_for_end };
  g_auto(AfrpcTransport) transport = { 0 };
  AfrpcFrame frame;
  guint n = 0;
  AfrpcStep step;

  g_test_summary ("A transport only moves bytes, and says when there are no more");
  afrpc_transport_init (&transport, &funcs, AFRPC_TRANSPORT_PROGRAM);
  while ((step = afrpc_transport_next (&transport, &frame, NULL)) != AFRPC_STEP_EOF)
    if (step == AFRPC_STEP_DONE)
      g_assert_cmpuint (frame.header.serial, ==, ++n);
    else
      g_assert_cmpint (afrpc_transport_read (&transport, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpuint (n, ==, 3);

  afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, 1, NULL);
  g_assert_cmpint (afrpc_transport_flush (&transport, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpuint (n_fake_flushes, ==, AFRPC_FRAME_HEADER_SIZE / 3);
}

/* Takes everything, as who is read as fast as he writes. */
static gssize
fake_send_all (int               fd,
               AfrpcWriterBatch *batch)
{
  gsize size = 0;

  for (guint i = 0; i < batch->n; i++)
    size += batch->iov[i].iov_len;

  return size;
}

static AfrpcStep
fake_flush_all (AfrpcTransport  *self,
                GError         **error)
{
  return afrpc_writer_flush (&self->writer, self->out_fd, fake_send_all, error);
}

static void
test_transport_slices (void)
{
  static const AfrpcTransportFuncs funcs = { .name = "fake", .read = fake_read, .flush = fake_flush_all };
  const gsize size = 32 << 20;

  g_test_summary ("A program writes much in slices, however fast that is read, and a worker all at once");
  for (AfrpcTransportSide side = AFRPC_TRANSPORT_PROGRAM; side <= AFRPC_TRANSPORT_WORKER; side++)
    {
      g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (size), size);
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
      g_auto(AfrpcTransport) transport = { 0 };
      gsize before, longest = 0;
      AfrpcStep step;

      afrpc_transport_init (&transport, &funcs, side);
      for (guint i = 0; i < 1000; i++)
        afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, 1, NULL);
      afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, 1, value);
      do
        {
          before = afrpc_transport_get_queued (&transport);
          step = afrpc_transport_flush (&transport, NULL);
          longest = MAX (longest, before - afrpc_transport_get_queued (&transport));
          g_assert_true (step == AFRPC_STEP_DONE || transport.writer.flush_left == 0);
        }
      while (step == AFRPC_STEP_AGAIN);
      g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
      g_assert_cmpuint (afrpc_transport_get_queued (&transport), ==, 0);
      if (side == AFRPC_TRANSPORT_PROGRAM)
        g_assert_cmpuint (longest, <=, size / 8);
      else
        g_assert_cmpuint (longest, >, size);
    }
}

static void
add (const char    *name,
     GTestDataFunc  func)
{
  static const char *const ways[] = { "socket", "pipe", "guarded" };

  for (TransportWay way = TRANSPORT_WAY_SOCKET; way <= TRANSPORT_WAY_GUARDED; way++)
    {
      g_autofree char *path = g_strdup_printf ("/transport-state/%s/%s", name, ways[way]);

      g_test_add_data_func (path, GUINT_TO_POINTER (way), func);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/transport-state/shared", test_transport_shared);
  add ("not-shared", test_transport_not_shared);
  add ("peer-ended", test_transport_peer_ended);
  add ("end-sending", test_transport_end_sending);
  add ("set-nonblocking", test_transport_set_nonblocking);
  g_test_add_func ("/transport-state/other", test_transport_other);
  g_test_add_func ("/transport-state/slices", test_transport_slices);

  return g_test_run ();
}
