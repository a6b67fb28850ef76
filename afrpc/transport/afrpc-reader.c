/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-reader.h"

#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"

/* A buffer that no reader has at the moment: few of a program's many have anything to read at the same time. */
static gpointer spare; /* (nullable) (owned): atomic */

static guint8 *
take_buffer (void)
{
  guint8 *data = g_atomic_pointer_exchange (&spare, NULL);

  return data != NULL ? data : g_malloc (AFRPC_READER_SIZE);
}

static void
give_buffer (guint8 *data)
{
  if (!g_atomic_pointer_compare_and_exchange (&spare, NULL, data))
    g_free (data);
}

/* A stream of which nothing has been received, in the buffers that @self has. */
static void
begin (AfrpcReader *self)
{
  *self = (AfrpcReader) {
    .size_max = G_MAXUINT64,
    .guard_size = self->guard_size,
    .slices = self->slices,
    .data = self->data,
    .missing = AFRPC_FRAME_HEADER_SIZE,
    .fds = self->fds,
  };
}

/* What is known of the last large payload is not needed any more. */
static void
release_body (AfrpcReader *self)
{
  if (G_LIKELY (self->body_bytes == NULL))
    return;

  if (self->parser != NULL)
    afrpc_value_parser_clear (self->parser);
  g_clear_pointer (&self->parser, g_free);
  g_clear_pointer (&self->body_value, g_variant_unref);
  g_clear_error (&self->body_error);
  g_clear_pointer (&self->body_bytes, g_bytes_unref);
}

static void
end (AfrpcReader *self)
{
  for (guint i = self->n_frame_fds_taken; i < self->fds->len; i++)
    close (g_array_index (self->fds, int, i));
  g_array_set_size (self->fds, 0);
  afrpc_payload_memory_clear (&self->body);
  release_body (self);
}

void
afrpc_reader_init (AfrpcReader *self)
{
  memset (self, 0, sizeof *self);
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  begin (self);
}

/* Forgets what was received, for another stream. In a process that was forked the buffers are there already, and to
 * give them back would cost more. */
void
afrpc_reader_restart (AfrpcReader *self)
{
  end (self);
  begin (self);
}

void
afrpc_reader_clear (AfrpcReader *self)
{
  if (self->fds != NULL)
    end (self);
  g_clear_pointer (&self->fds, g_array_unref);
  g_clear_pointer (&self->data, give_buffer);
}

/* Nothing is read for a while: whoever has many readers needs few buffers. */
void
afrpc_reader_rest (AfrpcReader *self)
{
  if (self->data == NULL || !afrpc_reader_is_empty (self))
    return;

  self->head = self->tail = 0;
  give_buffer (g_steal_pointer (&self->data));
}

/* The last @n_fds of the descriptors came with the next @n_bytes, or were lost with them. */
gboolean
afrpc_reader_add_fds (AfrpcReader  *self,
                      guint         n_fds,
                      gboolean      lost,
                      gsize         n_bytes,
                      GError      **error)
{
  if (self->n_fd_batches == AFRPC_READER_FD_BATCHES_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "file descriptors without a frame");
      return FALSE;
    }
  self->fd_batches[self->n_fd_batches++] = (AfrpcReaderFds) {
    .start = self->position, .end = self->position + n_bytes, .n = n_fds, .lost = lost,
  };

  return TRUE;
}

/* Whether the descriptors that came before @position all had a frame. */
static gboolean
check_fds_before (AfrpcReader  *self,
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
claim_fds (AfrpcReader  *self,
           guint64       position,
           guint         n_announced,
           GError      **error)
{
  AfrpcReaderFds batch;

  if (!check_fds_before (self, position, error))
    return FALSE;
  if (n_announced == 0)
    return TRUE;

  batch = self->fd_batches[0];
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
release_frame (AfrpcReader *self)
{
  release_body (self);
  for (guint i = self->n_frame_fds_taken; i < self->n_frame_fds; i++)
    close (g_array_index (self->fds, int, i));
  if (self->n_frame_fds > 0)
    g_array_remove_range (self->fds, 0, self->n_frame_fds);
  self->n_frame_fds = self->n_frame_fds_taken = 0;
  self->frame_fds_lost = FALSE;
}

/* Mostly there is nothing of it to be released. */
static inline void
forget_frame (AfrpcReader *self)
{
  if (G_UNLIKELY (self->body_bytes != NULL || self->n_frame_fds > 0 || self->frame_fds_lost))
    release_frame (self);
}

/* Where the rest of a large payload goes; one that is lost goes round and round. */
static struct iovec
get_body_room (AfrpcReader *self)
{
  const gsize missing = self->body_size - self->body_got;
  const gsize at = self->body_got % AFRPC_READER_SIZE;

  if (self->body.data != NULL)
    return (struct iovec) { self->body.data + self->body_got, missing };

  return (struct iovec) { self->data + at, MIN (missing, AFRPC_READER_SIZE - at) };
}

/* Where what is received next goes, which then has to be added: in so many pieces, none if frames have to be taken
 * first. Call afrpc_reader_next() until it has no more before asking for room again. */
guint
afrpc_reader_get_room (AfrpcReader  *self,
                       struct iovec  iov[2])
{
  guint n_iov = 0;
  gsize room;

  if (self->data == NULL)
    self->data = take_buffer ();
  if (!self->in_body)
    forget_frame (self);
  else if (self->body_got < self->body_size)
    iov[n_iov++] = get_body_room (self);

  if (self->head > 0)
    {
      if (self->tail > self->head)
        memmove (self->data, self->data + self->head, self->tail - self->head);
      self->tail -= self->head;
      self->head = 0;
    }
  room = AFRPC_READER_SIZE - self->tail;
  if (self->in_body && self->body.data == NULL)
    room = 0;
  else if (self->frame_by_frame)
    /* Behind a body that is whole there is something only if it has no guard. */
    room = !self->in_body ? MIN (room, self->missing) : self->body_got < self->body_size ? 0 : 1;
  if (room > 0)
    {
      iov[n_iov].iov_base = self->data + self->tail;
      iov[n_iov++].iov_len = room;
    }

  return n_iov;
}

/* So many bytes of the room have been filled. Descriptors that came with them are added first. */
void
afrpc_reader_add (AfrpcReader *self,
                  gsize        n_bytes)
{
  self->position += n_bytes;
  if (self->in_body)
    {
      gsize taken = MIN (n_bytes, self->body_size - self->body_got);

      self->body_got += taken;
      n_bytes -= taken;
    }
  self->tail += n_bytes;
}

/* @end: where a frame, with its guard, ends */
static gboolean
check_guard (AfrpcReader   *self,
             const guint8  *end,
             GError       **error)
{
  for (guint i = 1; i <= self->guard_size; i++)
    if (end[-(int) i] != AFRPC_FRAME_GUARD_BYTE)
      {
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame without its end");
        return FALSE;
      }

  return TRUE;
}

/* The rest of a large payload is read into the memory that it stays in. If there is no such memory, that fails
 * one message and no other: it is read all the same. */
static AfrpcStep
begin_body (AfrpcReader             *self,
            const AfrpcFrameHeader  *header,
            GError                 **error)
{
  const gsize start = self->head + AFRPC_FRAME_HEADER_SIZE;
  const guint8 *payload = self->data + start + afrpc_frame_pad (header->type_length);
  const gsize have = self->data + self->tail - payload;

  if (header->size > G_MAXSSIZE - AFRPC_FRAME_HEADER_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "frame of %" G_GUINT64_FORMAT " bytes", header->size);
      return AFRPC_STEP_ERROR;
    }

  self->body_header = *header;
  memcpy (self->body_type, self->data + start, header->type_length);
  self->body_size = afrpc_frame_pad (header->size) + self->guard_size;
  self->body_got = MIN (have, self->body_size);
  self->in_body = TRUE;

  if (afrpc_payload_memory_init (&self->body, self->body_size))
    {
      memcpy (self->body.data, payload, self->body_got);
      self->head = payload + self->body_got - self->data;
    }
  else if (self->body_got < self->body_size)
    {
      memmove (self->data, payload, self->body_got);
      self->head = self->tail = 0;
    }
  else /* not even for so little */
    g_error ("%s: failed to allocate %" G_GSIZE_FORMAT " bytes", G_STRLOC, self->body_size);

  return AFRPC_STEP_AGAIN;
}

/* Where a payload, with its guard, ends. All its parts are multiples of 8. */
static const guint8 *
get_body_end (AfrpcReader *self)
{
  if (self->body.data != NULL)
    return self->body.data + self->body_size;

  return self->data + (self->body_size - 8) % AFRPC_READER_SIZE + 8;
}

/* Looks at a slice of the value that a large payload is. FALSE: there is more. */
static gboolean
look_at_body (AfrpcReader *self)
{
  int step;

  if (self->parser == NULL)
    {
      self->parser = g_new (AfrpcValueParser, 1);
      step = afrpc_value_parser_begin (self->parser, &self->type, &self->body_header, self->body_type,
                                       g_bytes_get_data (self->body_bytes, NULL), self->body_bytes, &self->body_value,
                                       &self->body_error);
    }
  else
    step = afrpc_value_parser_step (self->parser, AFRPC_VALUE_CHECK_SLICE, &self->body_value, &self->body_error);
  if (step != 0)
    g_clear_pointer (&self->parser, g_free);

  return step != 0;
}

static AfrpcStep
finish_body (AfrpcReader  *self,
             AfrpcFrame   *frame,
             GError      **error)
{
  if (self->body_got < self->body_size)
    return AFRPC_STEP_AGAIN;
  if (self->body_bytes == NULL && !check_guard (self, get_body_end (self), error))
    return AFRPC_STEP_ERROR;
  if (self->body.data != NULL)
    self->body_bytes = afrpc_payload_memory_to_bytes (&self->body, self->body_header.size);
  if (self->slices && self->body_bytes != NULL && !look_at_body (self))
    return AFRPC_STEP_SLICE;

  self->in_body = FALSE;
  self->missing = AFRPC_FRAME_HEADER_SIZE;
  frame->header = self->body_header;
  frame->type = self->body_type;
  frame->payload = self->body_bytes != NULL ? g_bytes_get_data (self->body_bytes, NULL) : NULL;
  frame->bytes = self->body_bytes;
  frame->fds_lost = self->frame_fds_lost;

  return AFRPC_STEP_DONE;
}

/* Parses one frame: DONE, AGAIN if its end has not been read yet, SLICE if that is to be gone on with later, ERROR if
 * the peer is no afrpc. */
AfrpcStep
afrpc_reader_next (AfrpcReader  *self,
                   AfrpcFrame   *frame,
                   GError      **error)
{
  gsize have = self->tail - self->head;
  const guint8 *start = self->data + self->head;
  const guint64 position = self->position - have;
  gsize type_size, size;

  if (self->in_body)
    return finish_body (self, frame, error);
  forget_frame (self);

  if (have < AFRPC_FRAME_HEADER_SIZE)
    {
      self->missing = AFRPC_FRAME_HEADER_SIZE - have;
      return check_fds_before (self, position, error) ? AFRPC_STEP_AGAIN : AFRPC_STEP_ERROR;
    }
  if (!afrpc_frame_decode (&frame->header, start, self->size_max, error))
    return AFRPC_STEP_ERROR;

  type_size = afrpc_frame_pad (frame->header.type_length);
  if (frame->header.size >= AFRPC_LARGE_PAYLOAD_MIN)
    {
      if (have >= AFRPC_FRAME_HEADER_SIZE + type_size)
        {
          if (!claim_fds (self, position, frame->header.n_fds, error) ||
              begin_body (self, &frame->header, error) == AFRPC_STEP_ERROR)
            return AFRPC_STEP_ERROR;
          return finish_body (self, frame, error);
        }
      self->missing = AFRPC_FRAME_HEADER_SIZE + type_size - have;
      return AFRPC_STEP_AGAIN;
    }

  size = AFRPC_FRAME_HEADER_SIZE + type_size + afrpc_frame_pad (frame->header.size) + self->guard_size;
  if (have < size)
    {
      self->missing = size - have;
      return AFRPC_STEP_AGAIN;
    }
  if (!check_guard (self, start + size, error))
    return AFRPC_STEP_ERROR;
  if (G_UNLIKELY (frame->header.n_fds > 0 || self->n_fd_batches > 0) &&
      !claim_fds (self, position, frame->header.n_fds, error))
    return AFRPC_STEP_ERROR;

  frame->type = (const char *) start + AFRPC_FRAME_HEADER_SIZE;
  frame->payload = start + AFRPC_FRAME_HEADER_SIZE + type_size;
  frame->bytes = NULL;
  frame->fds_lost = self->frame_fds_lost;
  self->head += size;
  self->missing = AFRPC_FRAME_HEADER_SIZE;

  return AFRPC_STEP_DONE;
}

/* Returns: (transfer full): the value in the frame's payload, or NULL: AFRPC_ERROR_INVALID_DATA,
 * AFRPC_ERROR_TOO_LARGE. */
GVariant *
afrpc_reader_parse_value (AfrpcReader       *self,
                          const AfrpcFrame  *frame,
                          GError           **error)
{
  if (frame->payload == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "no memory for a message of %" G_GUINT64_FORMAT " bytes", frame->header.size);
      return NULL;
    }

  if (self->body_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->body_error));
      return NULL;
    }
  if (self->body_value != NULL)
    return g_steal_pointer (&self->body_value);

  return afrpc_value_parse (&self->type, &frame->header, frame->type, frame->payload, frame->bytes, error);
}

/* Returns: (transfer full): the next descriptor of the frame that was parsed last, or -1. */
int
afrpc_reader_take_fd (AfrpcReader *self)
{
  if (self->n_frame_fds_taken == self->n_frame_fds)
    return -1;

  return g_array_index (self->fds, int, self->n_frame_fds_taken++);
}
