/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "stream-pair.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
stream_pair_init (StreamPair *self,
                  StreamWay   way,
                  int         flags)
{
  int fds[2];

  if (way != STREAM_WAY_PIPE)
    {
      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds));
      afrpc_stream_init (&self->from, fds[1], fds[1], TRUE);
      afrpc_stream_init (&self->to, fds[0], fds[0], TRUE);
    }
  else
    {
      g_assert_no_errno (pipe2 (fds, O_CLOEXEC | flags));
      afrpc_stream_init (&self->from, -1, fds[1], FALSE);
      afrpc_stream_init (&self->to, fds[0], -1, FALSE);
    }

  if (way == STREAM_WAY_GUARDED)
    self->from.out_guard = self->to.in_guard = AFRPC_FRAME_GUARD_SIZE;
}

void
stream_pair_clear (StreamPair *self)
{
  afrpc_stream_clear (&self->from);
  afrpc_stream_clear (&self->to);
}

void
stream_pair_receive (StreamPair *self,
                     AfrpcFrame *frame)
{
  g_autoptr(GError) error = NULL;
  AfrpcStreamStep step;

  while ((step = afrpc_stream_next (&self->to, frame, &error)) == AFRPC_STREAM_AGAIN)
    {
      step = afrpc_stream_flush (&self->from, &error);
      g_assert_no_error (error);
      g_assert_true (step == AFRPC_STREAM_DONE || step == AFRPC_STREAM_AGAIN);
      step = afrpc_stream_read (&self->to, &error);
      g_assert_no_error (error);
      g_assert_cmpint (step, ==, AFRPC_STREAM_DONE);
    }
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STREAM_DONE);
}

void
stream_pair_receive_value (StreamPair *self,
                           guint64     serial,
                           GVariant   *value)
{
  AfrpcFrame frame;

  stream_pair_receive (self, &frame);
  stream_pair_check_frame (&frame, serial, value);
}

void
stream_pair_assert_idle (StreamPair *self)
{
  AfrpcFrame frame;

  g_assert_cmpint (afrpc_stream_next (&self->to, &frame, NULL), ==, AFRPC_STREAM_AGAIN);
  g_assert_cmpint (afrpc_stream_read (&self->to, NULL), ==, AFRPC_STREAM_AGAIN);
  g_assert_cmpint (afrpc_stream_next (&self->to, &frame, NULL), ==, AFRPC_STREAM_AGAIN);
  g_assert_cmpint (afrpc_stream_take_fd (&self->to), ==, -1);
  g_assert_cmpuint (afrpc_stream_get_queued (&self->from), ==, 0);
}

void
stream_pair_check_frame (const AfrpcFrame *frame,
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

  g_assert_cmpint (frame->bytes != NULL, ==, size >= AFRPC_STREAM_BODY_MIN);
  if (frame->bytes != NULL)
    {
      g_assert_true (g_bytes_get_data (frame->bytes, NULL) == frame->payload);
      g_assert_cmpuint (g_bytes_get_size (frame->bytes), ==, size);
    }
}

gsize
stream_pair_frame_size (StreamPair *self,
                        gsize       size)
{
  return AFRPC_FRAME_HEADER_SIZE + 8 + afrpc_frame_pad (size) + self->from.out_guard;
}

GVariant *
stream_pair_new_bytes (gsize   size,
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
