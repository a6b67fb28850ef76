/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Frames out of bytes, with the file descriptors that came with them. Owns the descriptors until they are taken, and
 * its buffer, from when there is something to be read until it may rest; who gets the bytes, and from where, is the
 * transport's affair: it asks for room and says how much it has filled. Take frames until there are no more before the
 * next bytes. No I/O. */
#pragma once

#include <glib.h>
#include <sys/uio.h>

#include "transport/afrpc-payload-memory.h"
#include "transport/afrpc-step.h"
#include "wire/afrpc-frame.h"
#include "wire/afrpc-value.h"

G_BEGIN_DECLS

#define AFRPC_READER_SIZE 65536u         /* bytes: the buffer */
#define AFRPC_READER_FD_BATCHES_MAX 4u   /* received, whose frames have not been parsed: there are never more than 2 */
#define AFRPC_LARGE_PAYLOAD_MIN 16384u   /* bytes: these are sent from, and received into, memory of their own */

/* A frame that has arrived. What it points to is valid until the reader's next step, which also closes
 * those of its descriptors that were not taken. */
typedef struct
{
  AfrpcFrameHeader header;
  const char *type;      /* header.type_length characters */
  const guint8 *payload; /* (nullable): NULL if it is lost: there was no memory for it */
  GBytes *bytes;         /* (nullable): the payload in memory that may be kept; the reader's */
  gboolean fds_lost;     /* not all of its descriptors are here: our table of descriptors was full */
} AfrpcFrame;

/* Descriptors that came with one read: they belong to a frame that begins within what was read. The kernel
 * never gives those of two messages at once, and a message has those of one frame. */
typedef struct
{
  guint64 start;         /* positions in the stream of what was read */
  guint64 end;
  guint n;
  gboolean lost;         /* there were more */
} AfrpcReaderFds;

typedef struct
{
  guint64 size_max;       /* of a payload, bytes */
  guint guard_size;       /* bytes of the guard behind each frame: AFRPC_FRAME_GUARD_SIZE or 0 */
  gboolean frame_by_frame; /* no byte is taken that lies behind the frame that is being received */
  gboolean slices;         /* large values are looked at in slices, before their frame is given out */

  /* Bytes data[head..tail) wait to be parsed. */
  guint8 *data;           /* (nullable): AFRPC_READER_SIZE bytes */
  gsize head;
  gsize tail;
  gsize missing;          /* bytes until the frame at head is whole, as far as is known */

  /* A payload that is being received into memory of its own; or, if there is none, through the buffer into nothing. */
  gboolean in_body;
  AfrpcFrameHeader body_header;
  char body_type[AFRPC_FRAME_TYPE_MAX + 1];
  AfrpcPayloadMemory body;
  gsize body_size;        /* with padding and guard */
  gsize body_got;
  GBytes *body_bytes;     /* the last one that became whole */
  AfrpcValueParser *parser; /* (nullable): while it is being looked at */
  GVariant *body_value;   /* (nullable): what it has turned out to be */
  GError *body_error;     /* (nullable): or why it is nothing */

  guint64 position;       /* how much has been received */
  GArray *fds;            /* (element-type int) received, oldest first */
  guint n_frame_fds;      /* of these, the first belong to the frame that was parsed last */
  guint n_frame_fds_taken; /* and of these, the first are the caller's */
  gboolean frame_fds_lost;
  AfrpcReaderFds fd_batches[AFRPC_READER_FD_BATCHES_MAX]; /* those of the others, oldest first */
  guint n_fd_batches;

  AfrpcValueType type;
} AfrpcReader;

void afrpc_reader_init    (AfrpcReader *self);
void afrpc_reader_restart (AfrpcReader *self);
void afrpc_reader_clear   (AfrpcReader *self);
void afrpc_reader_rest    (AfrpcReader *self);

/* For a transport. */
guint    afrpc_reader_get_room (AfrpcReader  *self,
                                struct iovec       iov[2]);
gboolean afrpc_reader_add_fds  (AfrpcReader  *self,
                                guint         n_fds,
                                gboolean      lost,
                                gsize         n_bytes,
                                GError      **error);
void     afrpc_reader_add      (AfrpcReader  *self,
                                gsize         n_bytes);

AfrpcStep afrpc_reader_next        (AfrpcReader       *self,
                                    AfrpcFrame        *frame,
                                    GError           **error);
GVariant *afrpc_reader_parse_value (AfrpcReader       *self,
                                    const AfrpcFrame  *frame,
                                    GError           **error);
int       afrpc_reader_take_fd     (AfrpcReader       *self);

/* Whether nothing is there to be parsed, and nothing is kept of the frame that was parsed last. */
static inline gboolean
afrpc_reader_is_empty (const AfrpcReader *self)
{
  return self->head == self->tail && !self->in_body && self->body_bytes == NULL && self->n_frame_fds == 0 &&
         self->n_fd_batches == 0;
}

/* Whether something has been read that was not taken. */
static inline gboolean
afrpc_reader_has_read (const AfrpcReader *self)
{
  return self->tail > self->head || self->in_body;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcReader, afrpc_reader_clear)

G_END_DECLS
