/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-socket-ring.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "afrpc-error.h"
#include "transport/afrpc-socket.h"

/* How long a worker sleeps on the futex: until then it is woken at less cost, but does not see that the program has died. */
#define NAP_MS 50u

/* What it has said of the ring, by the socket, before anything else followed. */
void
afrpc_transport_send_by_ring (AfrpcTransport *self)
{
  self->funcs = &afrpc_ring_funcs;
  self->sends_by_ring = TRUE;
}

/* Whether the other side may say so by the frame that was taken last: there is a ring, and nothing came behind that. */
gboolean
afrpc_transport_may_read_by_ring (const AfrpcTransport *self)
{
  return self->ring != NULL && !self->reads_by_ring && !afrpc_transport_has_read (self);
}

/* The other side has said so. */
void
afrpc_transport_read_by_ring (AfrpcTransport *self)
{
  self->funcs = &afrpc_ring_funcs;
  self->reads_by_ring = TRUE;
  afrpc_ring_begin (self->ring, self->out_fd);
}

/* In */

static AfrpcStep
refuse (GError **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "shared memory that makes no sense");

  return AFRPC_STEP_ERROR;
}

/* There was nothing to be received: @n and errno are of recv(2). */
static AfrpcStep
what_is_missing (AfrpcTransport  *self,
                 gssize           n,
                 GError         **error)
{
  const gboolean is_open = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);

  if (is_open && !self->peer_ended)
    return AFRPC_STEP_AGAIN;
  if (n < 0 && !is_open && errno != ECONNRESET)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "read: %s", g_strerror (errno));
      return AFRPC_STEP_ERROR;
    }

  self->is_complete = TRUE;
  return AFRPC_STEP_EOF;
}

/* What comes by the socket, where the ring has said so. */
static AfrpcStep
read_announced (AfrpcTransport  *self,
                struct iovec    *iov,
                guint            n_iov,
                GError         **error)
{
  AfrpcRing *ring = self->ring;
  gsize left = ring->n_by_socket, n;
  AfrpcStep step;

  if (ring->bells_seen != ring->bells_before)
    {
      const gssize n_bells = afrpc_ring_take_bells (ring, ring->bells_before, self->in_fd);

      if (n_bells > 0 && ring->bells_seen != ring->bells_before)
        return AFRPC_STEP_AGAIN;
      if (n_bells <= 0)
        return what_is_missing (self, n_bells, error);
    }
  for (guint i = 0; i < n_iov; i++)
    {
      iov[i].iov_len = MIN (iov[i].iov_len, left);
      left -= iov[i].iov_len;
    }
  if (n_iov == 2 && iov[1].iov_len == 0)
    n_iov = 1;

  step = afrpc_socket_receive (self, iov, n_iov, &n, error);
  if (step == AFRPC_STEP_DONE)
    ring->n_by_socket -= n;

  return step;
}

static AfrpcStep read_ring (AfrpcTransport  *self,
                            GError         **error);

/* There is nothing in the ring: what the socket says. @n_bells: that had been sent before the ring was looked at */
static AfrpcStep
look_at_socket (AfrpcTransport  *self,
                guint32          n_bells,
                GError         **error)
{
  AfrpcRing *ring = self->ring;
  const gboolean is_rung = ring->bells_seen != n_bells;
  guint8 byte;
  gssize n;

  /* A worker is told what it has to know, and asks the kernel only after it has slept there. */
  if (!is_rung && self->side == AFRPC_TRANSPORT_WORKER && !ring->is_readable && !afrpc_ring_is_closed (ring))
    return AFRPC_STEP_AGAIN;

  ring->is_readable = FALSE;
  if (is_rung)
    n = afrpc_ring_take_bells (ring, n_bells, self->in_fd);
  else
    do
      n = recv (self->in_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);

  /* What was put before that is there now. */
  if (!afrpc_ring_is_empty (ring))
    return read_ring (self, error);
  if (n <= 0)
    return what_is_missing (self, n, error);

  return is_rung || afrpc_ring_get_bells (ring) != n_bells ? AFRPC_STEP_AGAIN : refuse (error);
}

static AfrpcStep
read_ring (AfrpcTransport  *self,
           GError         **error)
{
  AfrpcRing *ring = self->ring;
  struct iovec iov[2];
  guint32 n_bells;
  gssize n_taken;
  guint n_iov;

  if (!self->reads_by_ring)
    return afrpc_socket_funcs.read (self, error);

  n_iov = afrpc_reader_get_room (&self->reader, iov);
  if (G_UNLIKELY (n_iov == 0))
    return AFRPC_STEP_DONE;

  afrpc_ring_stay_awake (ring);
  if (ring->n_by_socket > 0)
    return read_announced (self, iov, n_iov, error);

  n_bells = afrpc_ring_get_bells (ring);
  n_taken = afrpc_ring_take (ring, iov, n_iov);
  if (n_taken < 0)
    return refuse (error);
  if (n_taken == 0 && ring->n_by_socket > 0)
    return read_announced (self, iov, n_iov, error);
  if (n_taken == 0)
    return look_at_socket (self, n_bells, error);

  afrpc_reader_add (&self->reader, n_taken);
  afrpc_ring_told_room (ring, self->out_fd);
  /* Otherwise they would wake for nothing. */
  if (ring->bells_seen != n_bells && ring->is_drained)
    afrpc_ring_take_bells (ring, n_bells, self->in_fd);

  return AFRPC_STEP_DONE;
}

static gboolean
may_wait (AfrpcTransport *self)
{
  if (!self->reads_by_ring || self->ring->n_by_socket > 0)
    return TRUE;

  return afrpc_ring_sleep (self->ring, AFRPC_RING_ON_SOCKET);
}

static void
wait_readable (AfrpcTransport *self)
{
  AfrpcRing *ring = self->ring;
  struct pollfd poller = { self->in_fd, POLLIN, 0 };

  if (self->reads_by_ring && ring->n_by_socket == 0)
    {
      if (!afrpc_ring_sleep (ring, AFRPC_RING_ON_FUTEX) || afrpc_ring_nap (ring, NAP_MS) ||
          !afrpc_ring_sleep (ring, AFRPC_RING_ON_SOCKET))
        return;
    }

  poll (&poller, 1, -1);
  ring->is_readable = TRUE;
}

static guint64
count_arrived (AfrpcTransport *self)
{
  AfrpcRing *ring = self->ring;
  int n = 0;

  if (self->reads_by_ring && ring->n_by_socket == 0)
    return afrpc_ring_count (ring);

  ioctl (self->in_fd, FIONREAD, &n);
  if (!self->reads_by_ring)
    return n;
  n -= MIN (ring->bells_before - ring->bells_seen, (guint) n);

  return MIN ((guint64) n, ring->n_by_socket);
}

/* Out */

/* Says that what follows comes by the ring. */
static AfrpcStep
switch_over (AfrpcTransport  *self,
             GError         **error)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_RING, .flags = AFRPC_FRAME_FLAGS_NATIVE };
  guint8 frame[AFRPC_FRAME_HEADER_SIZE];
  AfrpcWriterBatch batch = { .iov = { { frame, sizeof frame } }, .n = 1 };
  gssize n;

  afrpc_frame_encode (&header, frame);
  do
    n = afrpc_socket_send (self->out_fd, &batch);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return afrpc_writer_sent (&self->writer, n, error);

  g_assert (n == sizeof frame); /* the kernel takes as little as that as a whole */
  self->sends_by_ring = TRUE;

  return AFRPC_STEP_DONE;
}

/* What the ring has said comes by the socket. */
static AfrpcStep
send_announced (AfrpcTransport    *self,
                AfrpcWriterBatch  *batch,
                GError           **error)
{
  AfrpcRing *ring = self->ring;
  gssize n;

  afrpc_writer_cut (batch, MIN (ring->n_announced, self->writer.flush_left));
  /* The other side counts on it in front. */
  n = afrpc_ring_pay_bell (ring, self->out_fd) ? afrpc_socket_send (self->out_fd, batch) : -1;
  if (n > 0)
    ring->n_announced -= n;

  return afrpc_writer_sent (&self->writer, n, error);
}

static gsize
get_size (const AfrpcWriterBatch *batch)
{
  gsize size = 0;

  for (guint i = 0; i < batch->n; i++)
    size += batch->iov[i].iov_len;

  return size;
}

/* Copies a batch into the ring, as far as there is room; or says there that it comes by the socket, being large, or having
 * descriptors. */
static AfrpcStep
put (AfrpcTransport    *self,
     AfrpcWriterBatch  *batch,
     GError           **error)
{
  const AfrpcRingSleep how = self->side == AFRPC_TRANSPORT_WORKER ? AFRPC_RING_ON_FUTEX : AFRPC_RING_ON_SOCKET;
  const gboolean by_socket = batch->n > 1 || batch->n_fds > 0;
  AfrpcRing *ring = self->ring;
  gsize n = 0;

  if (!by_socket)
    n = afrpc_ring_put (ring, batch->iov[0].iov_base, batch->iov[0].iov_len);
  else if (afrpc_ring_is_taken (ring) && afrpc_ring_announce (ring, get_size (batch)))
    {
      afrpc_writer_commit (&self->writer, batch);
      return afrpc_ring_wake (ring, self->out_fd) ? AFRPC_STEP_DONE : AFRPC_STEP_EOF;
    }
  if (n > 0)
    return afrpc_writer_sent (&self->writer, n, error);

  return afrpc_ring_want_room (ring, how, by_socket) ? AFRPC_STEP_AGAIN : AFRPC_STEP_DONE;
}

static AfrpcStep
flush_ring (AfrpcTransport  *self,
            GError         **error)
{
  AfrpcWriter *writer = &self->writer;
  AfrpcStep step = AFRPC_STEP_DONE;
  AfrpcWriterBatch batch;

  if (self->ring->is_gone)
    return AFRPC_STEP_EOF;
  /* What was begun by the socket goes on there. */
  if (!self->sends_by_ring && writer->is_midway)
    return afrpc_socket_funcs.flush (self, error);

  afrpc_writer_begin_flush (writer);
  self->ring->is_full = FALSE;
  if (!self->sends_by_ring)
    step = switch_over (self, error);
  while (step == AFRPC_STEP_DONE && afrpc_writer_gather (writer, &batch))
    {
      if (self->ring->n_announced > 0)
        step = send_announced (self, &batch, error);
      else
        step = put (self, &batch, error);
    }
  if (!afrpc_ring_wake (self->ring, self->out_fd))
    return AFRPC_STEP_EOF;
  if (step == AFRPC_STEP_DONE)
    afrpc_writer_end_flush (writer);

  return step;
}

static void
wait_writable (AfrpcTransport *self)
{
  AfrpcRing *ring = self->ring;
  struct pollfd poller = { self->out_fd, POLLOUT, 0 };

  if (!ring->is_full)
    {
      poll (&poller, 1, -1);
      return;
    }

  afrpc_ring_nap_for_room (ring, NAP_MS);
  poller.events = 0;
  /* What is in the ring nobody is going to take. */
  if (poll (&poller, 1, 0) == 1 && (poller.revents & (POLLHUP | POLLERR)) != 0)
    ring->is_gone = TRUE;
}

static gboolean
has_room (AfrpcTransport *self)
{
  return afrpc_ring_has_room (self->ring);
}

static void
end_sending (AfrpcTransport *self)
{
  afrpc_socket_funcs.end_sending (self);
  if (self->sends_by_ring)
    afrpc_ring_close (self->ring, self->out_fd);
}

static void
set_nonblocking (AfrpcTransport *self)
{
  afrpc_socket_funcs.set_nonblocking (self);
}

const AfrpcTransportFuncs afrpc_ring_funcs = {
  .name = "ring",
  .is_local = TRUE,
  .read = read_ring,
  .flush = flush_ring,
  .may_wait = may_wait,
  .wait_readable = wait_readable,
  .wait_writable = wait_writable,
  .has_room = has_room,
  .count_arrived = count_arrived,
  .end_sending = end_sending,
  .set_nonblocking = set_nonblocking,
};
