/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport-pair.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/afrpc-pipes.h"
#include "transport/afrpc-socket.h"

void
transport_pair_init (TransportPair *self,
                     TransportWay   way,
                     int            flags)
{
  const AfrpcTransportFuncs *funcs = way == TRANSPORT_WAY_SOCKET ? &afrpc_socket_funcs : &afrpc_pipes_funcs;
  const gboolean is_answer = way == TRANSPORT_WAY_GUARDED;
  int fds[2];

  afrpc_transport_init (&self->from, funcs, is_answer ? AFRPC_TRANSPORT_WORKER : AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_init (&self->to, funcs, is_answer ? AFRPC_TRANSPORT_PROGRAM : AFRPC_TRANSPORT_WORKER);
  if (way != TRANSPORT_WAY_PIPE)
    {
      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds));
      afrpc_transport_connect (&self->from, fds[1], fds[1]);
      afrpc_transport_connect (&self->to, fds[0], fds[0]);
    }
  else
    {
      g_assert_no_errno (pipe2 (fds, O_CLOEXEC | flags));
      afrpc_transport_connect (&self->from, -1, fds[1]);
      afrpc_transport_connect (&self->to, fds[0], -1);
    }
}

void
transport_pair_clear (TransportPair *self)
{
  afrpc_transport_clear (&self->from);
  afrpc_transport_clear (&self->to);
}

void
transport_pair_receive (TransportPair *self,
                        AfrpcFrame    *frame)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;

  while ((step = afrpc_transport_next (&self->to, frame, &error)) == AFRPC_STEP_AGAIN)
    {
      step = afrpc_transport_flush (&self->from, &error);
      g_assert_no_error (error);
      g_assert_true (step == AFRPC_STEP_DONE || step == AFRPC_STEP_AGAIN);
      step = afrpc_transport_read (&self->to, &error);
      g_assert_no_error (error);
      g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
    }
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
}

void
transport_pair_receive_value (TransportPair *self,
                              guint64        serial,
                              GVariant      *value)
{
  AfrpcFrame frame;

  transport_pair_receive (self, &frame);
  transport_pair_check_frame (&frame, serial, value);
}

void
transport_pair_assert_idle (TransportPair *self)
{
  AfrpcFrame frame;

  g_assert_cmpint (afrpc_transport_next (&self->to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_read (&self->to, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_next (&self->to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_take_fd (&self->to), ==, -1);
  g_assert_cmpuint (afrpc_transport_get_queued (&self->from), ==, 0);
}

void
transport_pair_check_frame (const AfrpcFrame *frame,
                            guint64           serial,
                            GVariant         *value)
{
  const char *type = value != NULL ? g_variant_get_type_string (value) : "";
  const gsize size = value != NULL ? g_variant_get_size (value) : 0;

  g_assert_cmpuint (frame->header.kind, ==, AFRPC_FRAME_CALL);
  g_assert_cmpuint (frame->header.flags, ==, AFRPC_FRAME_FLAGS_NATIVE);
  g_assert_cmpuint (frame->header.serial, ==, serial);
  g_assert_cmpmem (frame->type, frame->header.type_length, type, strlen (type));
  if (size > 0)
    g_assert_cmpmem (frame->payload, frame->header.size, g_variant_get_data (value), size);
  g_assert_cmpuint (frame->header.size, ==, size);
  g_assert_cmpuint ((gsize) frame->payload % 8, ==, 0);

  g_assert_cmpint (frame->bytes != NULL, ==, size >= AFRPC_LARGE_PAYLOAD_MIN);
  if (frame->bytes != NULL)
    {
      g_assert_true (g_bytes_get_data (frame->bytes, NULL) == frame->payload);
      g_assert_cmpuint (g_bytes_get_size (frame->bytes), ==, size);
    }
}

gsize
transport_pair_frame_size (TransportPair *self,
                           gsize          size)
{
  return AFRPC_FRAME_HEADER_SIZE + 8 + afrpc_frame_pad (size) + self->from.writer.guard_size;
}

GVariant *
transport_pair_new_bytes (gsize   size,
                          guint32 seed)
{
  guint8 *data = g_malloc (size);
  guint32 state = seed * 2654435761u + 1;

  for (gsize i = 0; i < size; i++)
    {
      state = state * 1664525u + 1013904223u;
      data[i] = state >> 24;
    }

  return g_variant_ref_sink (
    g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, data, size, TRUE, g_free, data));
}

AfrpcStep
transport_flush (AfrpcTransport  *transport,
                 GError         **error)
{
  AfrpcStep step;

  do
    step = afrpc_transport_flush (transport, error);
  while (step == AFRPC_STEP_AGAIN && transport->writer.flush_left == 0);

  return step;
}
