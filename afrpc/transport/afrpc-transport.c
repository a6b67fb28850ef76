/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-transport.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bytes that a program writes at once: it may be read as fast as it writes, for as long as there is something. A worker has nothing
 * else to do. */
#define PROGRAM_FLUSH_MAX (2u << 20)

/* Closes the connection; what has been received stays. */
void
afrpc_transport_disconnect (AfrpcTransport *self)
{
  if (self->in_fd >= 0)
    close (self->in_fd);
  if (self->out_fd >= 0 && self->out_fd != self->in_fd)
    close (self->out_fd);
  self->in_fd = self->out_fd = -1;
}

void
afrpc_transport_init (AfrpcTransport            *self,
                      const AfrpcTransportFuncs *funcs,
                      AfrpcTransportSide         side)
{
  memset (self, 0, sizeof *self);
  self->in_fd = self->out_fd = -1;
  self->side = side;
  afrpc_reader_init (&self->reader);
  afrpc_writer_init (&self->writer, side == AFRPC_TRANSPORT_PROGRAM ? PROGRAM_FLUSH_MAX : G_MAXSIZE);
  afrpc_transport_set_funcs (self, funcs);
}

/* Before anything is received; and in a worker before anything is sent. */
void
afrpc_transport_set_funcs (AfrpcTransport            *self,
                           const AfrpcTransportFuncs *funcs)
{
  self->funcs = funcs;
  /* Of a program that dies in the middle of a frame nobody is told anything more. */
  if (self->side == AFRPC_TRANSPORT_PROGRAM)
    self->reader.guard_size = funcs->guard_size;
  else
    self->writer.guard_size = funcs->guard_size;
}

/* The descriptors, which may be the same, become the transport's. */
void
afrpc_transport_connect (AfrpcTransport *self,
                         int             in_fd,
                         int             out_fd)
{
  self->in_fd = in_fd;
  self->out_fd = out_fd;
}

/* Begins another conversation on @fd, or, if that is -1, one that is not connected yet. */
void
afrpc_transport_restart (AfrpcTransport *self,
                         int             fd)
{
  afrpc_transport_disconnect (self);
  afrpc_reader_restart (&self->reader);
  afrpc_writer_restart (&self->writer);
  g_clear_pointer (&self->state, afrpc_shared_state_unmap);
  g_clear_pointer (&self->ring, g_free);
  self->sends_by_ring = self->reads_by_ring = FALSE;
  self->started = 0;
  self->asks_sender = FALSE;
  self->sender_pid = 0;
  self->peer_ended = self->is_complete = FALSE;
  self->goodbye_serial = 0;
  self->has_goodbye = FALSE;
  self->n_last_bytes = 0;
  afrpc_transport_connect (self, fd, fd);
}

/* Gives away a connection that has one descriptor. */
int
afrpc_transport_steal_fd (AfrpcTransport *self)
{
  const int fd = self->in_fd;

  g_assert (self->out_fd == fd);
  self->in_fd = self->out_fd = -1;

  return fd;
}

/* One that was never initialised may be zeroed. */
void
afrpc_transport_clear (AfrpcTransport *self)
{
  if (self->funcs == NULL)
    return;

  afrpc_transport_disconnect (self);
  afrpc_reader_clear (&self->reader);
  afrpc_writer_clear (&self->writer);
  g_clear_pointer (&self->state, afrpc_shared_state_unmap);
  g_clear_pointer (&self->ring, g_free);
}

void
afrpc_transport_wait_readable (AfrpcTransport *self)
{
  struct pollfd poller = { self->in_fd, POLLIN, 0 };

  if (self->funcs->wait_readable != NULL)
    self->funcs->wait_readable (self);
  else
    poll (&poller, 1, -1);
}

void
afrpc_transport_wait_writable (AfrpcTransport *self)
{
  struct pollfd poller = { self->out_fd, POLLOUT, 0 };

  if (self->writer.crowded)
    poll (NULL, 0, AFRPC_TRANSPORT_CROWDED_MS);
  else if (self->funcs->wait_writable != NULL)
    self->funcs->wait_writable (self);
  else
    poll (&poller, 1, -1);
}

gboolean
afrpc_transport_has_room (AfrpcTransport *self)
{
  struct pollfd poller = { self->out_fd, POLLOUT, 0 };

  return self->funcs->has_room != NULL ? self->funcs->has_room (self) : poll (&poller, 1, 0) == 1;
}

guint64
afrpc_transport_count_arrived (AfrpcTransport *self)
{
  int n = 0;

  if (self->funcs->count_arrived != NULL)
    return self->funcs->count_arrived (self);
  if (self->in_fd < 0 || ioctl (self->in_fd, FIONREAD, &n) != 0)
    return 0;

  return n;
}

/* In the program: makes the memory that is going to be shared with the worker.
 * Returns: a descriptor for the worker, the caller's, or -1: it is done without. */
int
afrpc_transport_share_state (AfrpcTransport *self)
{
  int fd = -1;

  if (self->funcs->is_local)
    self->state = afrpc_shared_state_create (&fd, NULL);

  return fd;
}

/* In the worker: takes what the program has made; @fd stays the caller's. */
gboolean
afrpc_transport_take_state (AfrpcTransport  *self,
                            int              fd,
                            GError         **error)
{
  self->state = afrpc_shared_state_map (fd, error);

  return self->state != NULL;
}

/* There may be a ring in the memory that is shared. */
void
afrpc_transport_offer_ring (AfrpcTransport *self)
{
  if (self->state != NULL)
    self->ring = afrpc_shared_state_get_ring (self->state, self->side == AFRPC_TRANSPORT_PROGRAM);
}
