/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "afrpc-error.h"

/* Takes the descriptors that came with the last @n bytes. */
static gboolean
collect_fds (AfrpcStream    *self,
             struct msghdr  *message,
             gsize           n,
             GError        **error)
{
  const gboolean lost = (message->msg_flags & MSG_CTRUNC) != 0;
  const guint n_before = self->fds_in->len;

  for (struct cmsghdr *cmsg = CMSG_FIRSTHDR (message); cmsg != NULL; cmsg = CMSG_NXTHDR (message, cmsg))
    {
      if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
        g_array_append_vals (self->fds_in, CMSG_DATA (cmsg), (cmsg->cmsg_len - CMSG_LEN (0)) / sizeof (int));
    }
  if (self->fds_in->len == n_before && !lost)
    return TRUE;

  if (self->n_fd_batches == AFRPC_STREAM_FD_BATCHES_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "file descriptors without a frame");
      return FALSE;
    }
  self->fd_batches[self->n_fd_batches++] = (AfrpcStreamFds) {
    .start = self->in_position - n, .end = self->in_position, .n = self->fds_in->len - n_before, .lost = lost,
  };

  return TRUE;
}

/* Whether the descriptors that came before @position all had a frame. */
static gboolean
check_fds_before (AfrpcStream  *self,
                  guint64       position,
                  GError      **error)
{
  if (self->n_fd_batches > 0 && self->fd_batches[0].end <= position)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected file descriptors");
      return FALSE;
    }

  return TRUE;
}

/* Finds the descriptors of the frame that begins at @position. */
static gboolean
claim_fds (AfrpcStream  *self,
           guint64       position,
           guint         n_announced,
           GError      **error)
{
  AfrpcStreamFds batch = self->fd_batches[0];

  if (!check_fds_before (self, position, error))
    return FALSE;
  if (n_announced == 0)
    return TRUE;

  if (self->n_fd_batches == 0 || batch.start > position ||
      (batch.lost ? batch.n >= n_announced : batch.n != n_announced))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame without its file descriptors");
      return FALSE;
    }

  self->n_fd_batches--;
  memmove (self->fd_batches, self->fd_batches + 1, self->n_fd_batches * sizeof *self->fd_batches);
  self->n_frame_fds = batch.n;
  self->frame_fds_lost = batch.lost;

  return TRUE;
}

/* The frame parsed last is not looked at any more. */
static void
release_frame (AfrpcStream *self)
{
  g_clear_pointer (&self->body_bytes, g_bytes_unref);

  if (G_LIKELY (self->n_frame_fds == 0))
    {
      self->frame_fds_lost = FALSE;
      return;
    }

  for (guint i = self->n_frame_fds_taken; i < self->n_frame_fds; i++)
    close (g_array_index (self->fds_in, int, i));
  g_array_remove_range (self->fds_in, 0, self->n_frame_fds);
  self->n_frame_fds = self->n_frame_fds_taken = 0;
  self->frame_fds_lost = FALSE;
}

static gssize
receive (AfrpcStream   *self,
         struct iovec  *iov,
         gsize          n_iov,
         struct msghdr *message,
         char          *control,
         gsize          control_size)
{
  gssize n;

  memset (message, 0, sizeof *message);
  message->msg_iov = iov;
  message->msg_iovlen = n_iov;

  do
    {
      if (self->is_socket)
        {
          message->msg_control = control;
          message->msg_controllen = control_size;
          n = recvmsg (self->in_fd, message, MSG_CMSG_CLOEXEC);
        }
      else
        n = readv (self->in_fd, iov, n_iov);
    }
  while (n < 0 && errno == EINTR);

  return n;
}

/* Remembers the last of @n bytes that were read. */
static void
keep_tail (AfrpcStream        *self,
           const struct iovec *iov,
           gsize               n)
{
  for (; n > 0; iov++)
    {
      gsize here = MIN (n, iov->iov_len);
      gsize taken = MIN (here, sizeof self->tail);
      gsize kept = MIN (self->tail_size, sizeof self->tail - taken);

      memmove (self->tail, self->tail + self->tail_size - kept, kept);
      memcpy (self->tail + kept, (const guint8 *) iov->iov_base + here - taken, taken);
      self->tail_size = kept + taken;
      n -= here;
    }
}

/* Where the rest of a large payload goes; one that is lost goes round and round. */
static struct iovec
get_body_room (AfrpcStream *self)
{
  const gsize missing = self->body_size - self->body_got;
  const gsize at = self->body_got % AFRPC_STREAM_IN_SIZE;

  if (self->body.data != NULL)
    return (struct iovec) { self->body.data + self->body_got, missing };

  return (struct iovec) { self->in + at, MIN (missing, AFRPC_STREAM_IN_SIZE - at) };
}

/* Reads once. Call afrpc_stream_next() until it has no more before reading again. */
AfrpcStreamStep
afrpc_stream_read (AfrpcStream  *self,
                   GError      **error)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (AFRPC_FRAME_FDS_MAX * sizeof (int))];
  } control;
  struct msghdr message;
  struct iovec iov[2];
  gsize n_iov = 0, room;
  gssize n;

  if (self->in_body)
    iov[n_iov++] = get_body_room (self);
  else
    release_frame (self);

  if (self->in_head > 0)
    {
      memmove (self->in, self->in + self->in_head, self->in_tail - self->in_head);
      self->in_tail -= self->in_head;
      self->in_head = 0;
    }
  room = AFRPC_STREAM_IN_SIZE - self->in_tail;
  if (self->in_body && self->body.data == NULL)
    room = 0;
  else if (self->exact)
    /* Behind a body that is whole there is something only if it has no guard. */
    room = !self->in_body ? MIN (room, self->in_missing) : self->body_got < self->body_size ? 0 : 1;
  if (room > 0)
    {
      iov[n_iov].iov_base = self->in + self->in_tail;
      iov[n_iov++].iov_len = room;
    }

  n = receive (self, iov, n_iov, &message, control.bytes, sizeof control.bytes);
  if (n == 0)
    return AFRPC_STREAM_EOF;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return AFRPC_STREAM_AGAIN;
  if (n < 0 && errno == ECONNRESET)
    return AFRPC_STREAM_EOF;
  if (n < 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "read: %s", g_strerror (errno));
      return AFRPC_STREAM_ERROR;
    }

  self->in_position += n;
  if (self->is_socket && !collect_fds (self, &message, n, error))
    return AFRPC_STREAM_ERROR;
  if (self->in_guard > 0)
    keep_tail (self, iov, n);

  if (self->in_body)
    {
      gsize taken = MIN ((gsize) n, self->body_size - self->body_got);

      self->body_got += taken;
      n -= taken;
    }
  self->in_tail += n;

  return AFRPC_STREAM_DONE;
}

/* @end: where a frame, with its guard, ends */
static gboolean
check_guard (AfrpcStream   *self,
             const guint8  *end,
             GError       **error)
{
  for (guint i = 1; i <= self->in_guard; i++)
    if (end[-(int) i] != AFRPC_FRAME_GUARD_BYTE)
      {
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame without its end");
        return FALSE;
      }

  return TRUE;
}

/* The rest of a large payload is read into the memory that it stays in. If there is no such memory, that fails
 * one message and no other: it is read all the same. */
static AfrpcStreamStep
begin_body (AfrpcStream            *self,
            const AfrpcFrameHeader *header,
            GError                **error)
{
  const gsize start = self->in_head + AFRPC_FRAME_HEADER_SIZE;
  const guint8 *payload = self->in + start + afrpc_frame_pad (header->type_length);
  const gsize have = self->in + self->in_tail - payload;

  if (header->size > G_MAXSSIZE - AFRPC_FRAME_HEADER_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "frame of %" G_GUINT64_FORMAT " bytes", header->size);
      return AFRPC_STREAM_ERROR;
    }

  self->body_header = *header;
  memcpy (self->body_type, self->in + start, header->type_length);
  self->body_size = afrpc_frame_pad (header->size) + self->in_guard;
  self->body_got = MIN (have, self->body_size);
  self->in_body = TRUE;

  if (afrpc_block_init (&self->body, self->body_size))
    {
      memcpy (self->body.data, payload, self->body_got);
      self->in_head = payload + self->body_got - self->in;
    }
  else if (self->body_got < self->body_size)
    {
      memmove (self->in, payload, self->body_got);
      self->in_head = self->in_tail = 0;
    }
  else /* not even for so little */
    g_error ("%s: failed to allocate %" G_GSIZE_FORMAT " bytes", G_STRLOC, self->body_size);

  return AFRPC_STREAM_AGAIN;
}

/* Where a payload, with its guard, ends. All its parts are multiples of 8. */
static const guint8 *
get_body_end (AfrpcStream *self)
{
  if (self->body.data != NULL)
    return self->body.data + self->body_size;

  return self->in + (self->body_size - 8) % AFRPC_STREAM_IN_SIZE + 8;
}

static AfrpcStreamStep
finish_body (AfrpcStream  *self,
             AfrpcFrame   *frame,
             GError      **error)
{
  if (self->body_got < self->body_size)
    return AFRPC_STREAM_AGAIN;
  if (!check_guard (self, get_body_end (self), error))
    return AFRPC_STREAM_ERROR;

  self->in_body = FALSE;
  self->in_missing = AFRPC_FRAME_HEADER_SIZE;
  if (self->body.data != NULL)
    self->body_bytes = afrpc_block_to_bytes (&self->body, self->body_header.size);

  frame->header = self->body_header;
  frame->type = self->body_type;
  frame->payload = self->body_bytes != NULL ? g_bytes_get_data (self->body_bytes, NULL) : NULL;
  frame->bytes = self->body_bytes;
  frame->fds_lost = self->frame_fds_lost;

  return AFRPC_STREAM_DONE;
}

/* Parses one frame: DONE, AGAIN if its end has not been read yet, ERROR if the peer is no afrpc. */
AfrpcStreamStep
afrpc_stream_next (AfrpcStream  *self,
                   AfrpcFrame   *frame,
                   GError      **error)
{
  gsize have = self->in_tail - self->in_head;
  const guint8 *start = self->in + self->in_head;
  const guint64 position = self->in_position - have;
  gsize type_size, size;

  if (self->in_body)
    return finish_body (self, frame, error);
  release_frame (self);

  if (have < AFRPC_FRAME_HEADER_SIZE)
    {
      self->in_missing = AFRPC_FRAME_HEADER_SIZE - have;
      return check_fds_before (self, position, error) ? AFRPC_STREAM_AGAIN : AFRPC_STREAM_ERROR;
    }
  if (!afrpc_frame_decode (&frame->header, start, self->size_max, error))
    return AFRPC_STREAM_ERROR;

  type_size = afrpc_frame_pad (frame->header.type_length);
  if (frame->header.size >= AFRPC_STREAM_BODY_MIN)
    {
      if (have >= AFRPC_FRAME_HEADER_SIZE + type_size)
        {
          if (!claim_fds (self, position, frame->header.n_fds, error) ||
              begin_body (self, &frame->header, error) == AFRPC_STREAM_ERROR)
            return AFRPC_STREAM_ERROR;
          return finish_body (self, frame, error);
        }
      self->in_missing = AFRPC_FRAME_HEADER_SIZE + type_size - have;
      return AFRPC_STREAM_AGAIN;
    }

  size = AFRPC_FRAME_HEADER_SIZE + type_size + afrpc_frame_pad (frame->header.size) + self->in_guard;
  if (have < size)
    {
      self->in_missing = size - have;
      return AFRPC_STREAM_AGAIN;
    }
  if (!check_guard (self, start + size, error) || !claim_fds (self, position, frame->header.n_fds, error))
    return AFRPC_STREAM_ERROR;

  frame->type = (const char *) start + AFRPC_FRAME_HEADER_SIZE;
  frame->payload = start + AFRPC_FRAME_HEADER_SIZE + type_size;
  frame->bytes = NULL;
  frame->fds_lost = self->frame_fds_lost;
  self->in_head += size;
  self->in_missing = AFRPC_FRAME_HEADER_SIZE;

  return AFRPC_STREAM_DONE;
}

/* Returns: (transfer full): the value in the frame's payload, or NULL: AFRPC_ERROR_INVALID_DATA,
 * AFRPC_ERROR_TOO_LARGE. */
GVariant *
afrpc_stream_parse_value (AfrpcStream       *self,
                          const AfrpcFrame  *frame,
                          GError           **error)
{
  if (frame->payload == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "no memory for a message of %" G_GUINT64_FORMAT " bytes", frame->header.size);
      return NULL;
    }

  return afrpc_value_parse (&self->type, &frame->header, frame->type, frame->payload, frame->bytes, error);
}

/* Returns: (transfer full): the next descriptor of the frame that was parsed last, or -1. */
int
afrpc_stream_take_fd (AfrpcStream *self)
{
  if (self->n_frame_fds_taken == self->n_frame_fds)
    return -1;

  return g_array_index (self->fds_in, int, self->n_frame_fds_taken++);
}
