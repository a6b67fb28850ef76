/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Frames and file descriptors on a socket, or on a pair of pipes. Owns its buffers, the descriptors
 * on their way, and the connection's own. Each step makes at most one system call that can block;
 * the caller owns the loop, and whether the descriptors block. No GObject, no main loop. */
#pragma once

#include <glib.h>
#include <string.h>

#include "wire/afrpc-block.h"
#include "wire/afrpc-frame.h"
#include "wire/afrpc-value.h"

G_BEGIN_DECLS

#define AFRPC_STREAM_IN_SIZE 65536u      /* bytes: the receive buffer */
#define AFRPC_STREAM_BODY_MIN 16384u     /* bytes: larger payloads get memory of their own */
#define AFRPC_STREAM_CROWDED_MS 5        /* until a crowded stream is flushed again: no event tells when */
#define AFRPC_STREAM_FD_BATCHES_MAX 4u   /* received, whose frames have not been parsed: there are never more than 2 */

typedef enum
{
  AFRPC_STREAM_ERROR = -1,
  AFRPC_STREAM_AGAIN = 0, /* nothing to be had now */
  AFRPC_STREAM_DONE = 1,
  AFRPC_STREAM_EOF = 2,
} AfrpcStreamStep;

/* A frame that has arrived. What it points to is valid until the next step on the stream, which also closes
 * those of its descriptors that were not taken. */
typedef struct
{
  AfrpcFrameHeader header;
  const char *type;      /* header.type_length characters */
  const guint8 *payload; /* (nullable): NULL if it is lost: there was no memory for it */
  GBytes *bytes;         /* (nullable): the payload in memory that may be kept; the stream's */
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
} AfrpcStreamFds;

/* What is sent by reference: a large payload, or descriptors. One that has neither any more was dropped. */
typedef struct
{
  guint64 position; /* in the stream of queued bytes, before this attachment's own */
  GBytes *bytes;    /* (nullable): sent at the position */
  gsize done;       /* bytes of it that are written */
  int *fds;         /* (nullable): sent with the byte at the position */
  guint n_fds;
} AfrpcAttachment;

/* A value that is going to be sent: what GLib takes locks to tell is asked for once. */
typedef struct
{
  GVariant *value;   /* (nullable): none, then the rest is empty too */
  const char *type;
  gsize type_length;
  gsize size;
  guint8 flags;      /* AfrpcFrameFlags, besides the byte order */
  guint16 function;  /* of a call: its number */
  const int *fds;    /* (nullable): they become the stream's */
  guint n_fds;
} AfrpcPayload;

static inline AfrpcPayload
afrpc_payload (GVariant *value)
{
  AfrpcPayload payload = { .value = value, .type = "" };

  if (value != NULL)
    {
      payload.type = g_variant_get_type_string (value);
      payload.type_length = strlen (payload.type);
      payload.size = g_variant_get_size (value);
    }

  return payload;
}

typedef struct
{
  int in_fd;
  int out_fd;
  gboolean is_socket;     /* both are; if they are the same, descriptors can be passed */
  gboolean exact;         /* never read beyond the frame that is being received */
  guint in_guard;         /* bytes of the guard behind each frame received: AFRPC_FRAME_GUARD_SIZE or 0 */
  guint out_guard;        /* and sent */
  guint64 size_max;       /* of a payload received, bytes */

  /* Receiving: bytes in[in_head..in_tail) wait to be parsed. */
  guint8 *in;
  gsize in_head;
  gsize in_tail;
  gsize in_missing;       /* bytes until the frame at in_head is whole, as far as is known */

  /* A payload that is being received into memory of its own; or, if there is none, through the receive buffer
   * into nothing. */
  gboolean in_body;
  AfrpcFrameHeader body_header;
  char body_type[AFRPC_FRAME_TYPE_MAX + 1];
  AfrpcBlock body;
  gsize body_size;        /* with padding */
  gsize body_got;
  GBytes *body_bytes;     /* the last one that became whole */

  /* With guards: the last bytes that were read. */
  guint8 tail[AFRPC_FRAME_GOODBYE_SIZE];
  guint tail_size;

  guint64 in_position;    /* how much has been read */
  GArray *fds_in;         /* (element-type int) received, oldest first */
  guint n_frame_fds;      /* of these, the first belong to the frame that was parsed last */
  guint n_frame_fds_taken; /* and of these, the first are the caller's */
  gboolean frame_fds_lost;
  AfrpcStreamFds fd_batches[AFRPC_STREAM_FD_BATCHES_MAX]; /* those of the others, oldest first */
  guint n_fd_batches;

  /* Sending: bytes out[out_head..out_tail), with the attachments at their places in between. A position counts the
   * bytes of this buffer, from the beginning of the stream, and not those of attachments. */
  guint8 *out;
  gsize out_head;
  gsize out_tail;
  gsize out_size;
  guint64 out_base;       /* position of out[0] */
  AfrpcAttachment *attachments; /* oldest first: attachments[attachments_kept..attachments_end) */
  guint attachments_kept; /* up to attachments_head: written, and kept all the same */
  guint attachments_head;
  guint attachments_end;
  guint attachments_size;
  guint n_unkept;         /* of these, the first are not going to be kept: they were queued before */
  gsize attached_size;    /* bytes of attachments that are not written yet */
  gsize attached_kept;    /* and of those that are, and are kept */
  guint64 dropped_from;   /* position of a frame: none before it has been dropped; G_MAXUINT64: none at all */
  gsize dropped_size;     /* bytes of the buffer that are of dropped frames, and not passed yet */
  guint64 kept_from;      /* position from which on all is kept that is written; G_MAXUINT64: nothing is */
  gboolean crowded;       /* the last flush ended because too many descriptors of the user are under way */

  AfrpcValueType type;
} AfrpcStream;

void            afrpc_stream_init        (AfrpcStream             *self,
                                          int                      in_fd,
                                          int                      out_fd,
                                          gboolean                 is_socket);
void            afrpc_stream_restart     (AfrpcStream             *self,
                                          int                      fd);
void            afrpc_stream_clear       (AfrpcStream             *self);

/* Sending: queue, then flush. */
guint8         *afrpc_stream_put         (AfrpcStream             *self,
                                          const AfrpcFrameHeader  *header,
                                          const char              *type);
void            afrpc_stream_put_payload (AfrpcStream             *self,
                                          AfrpcFrameKind           kind,
                                          guint64                  serial,
                                          const AfrpcPayload      *payload);
void            afrpc_stream_put_value   (AfrpcStream             *self,
                                          AfrpcFrameKind           kind,
                                          guint64                  serial,
                                          GVariant                *value);
void            afrpc_stream_put_frame   (AfrpcStream             *self,
                                          const AfrpcFrame        *frame,
                                          const int               *fds);
void            afrpc_stream_put_fds     (AfrpcStream             *self,
                                          AfrpcFrameKind           kind,
                                          GVariant                *value,
                                          const int               *fds,
                                          guint                    n_fds);
void            afrpc_stream_put_fd      (AfrpcStream             *self,
                                          AfrpcFrameKind           kind,
                                          GVariant                *value,
                                          int                      fd);
AfrpcStreamStep afrpc_stream_flush       (AfrpcStream             *self,
                                          GError                 **error);

/* Bytes that are to be written. */
static inline gsize
afrpc_stream_get_queued (const AfrpcStream *self)
{
  return self->out_tail - self->out_head + self->attached_size - self->dropped_size;
}

/* Where the frame that is queued next begins. */
static inline guint64
afrpc_stream_get_position (const AfrpcStream *self)
{
  return self->out_base + self->out_tail;
}

/* Whether something of the frame at @position has been written. */
static inline gboolean
afrpc_stream_has_written (const AfrpcStream *self,
                          guint64            position)
{
  return self->out_base + self->out_head > position;
}

/* Taking back what is queued: a call may be cancelled before it is written, or have to be made once more. Frames move
 * then: their new positions are told.
 * Returns: of put_rest(): whether the frame is still wanted */
typedef gboolean (* AfrpcStreamMovedFunc) (const AfrpcFrameHeader *header,
                                           guint64                 position,
                                           gpointer                data);

gboolean        afrpc_stream_drop        (AfrpcStream             *self,
                                          guint64                  position);
gboolean        afrpc_stream_is_sparse   (const AfrpcStream       *self);
void            afrpc_stream_compact     (AfrpcStream             *self,
                                          AfrpcStreamMovedFunc     moved,
                                          gpointer                 data);
void            afrpc_stream_keep        (AfrpcStream             *self);
gsize           afrpc_stream_get_kept    (const AfrpcStream       *self);
void            afrpc_stream_forget_kept (AfrpcStream             *self);
void            afrpc_stream_put_rest    (AfrpcStream             *self,
                                          AfrpcStream             *other,
                                          AfrpcStreamMovedFunc     moved,
                                          gpointer                 data);

/* Receiving: read, then take frames until there are no more. */
AfrpcStreamStep afrpc_stream_read        (AfrpcStream             *self,
                                          GError                 **error);
AfrpcStreamStep afrpc_stream_next        (AfrpcStream             *self,
                                          AfrpcFrame              *frame,
                                          GError                 **error);
GVariant       *afrpc_stream_parse_value (AfrpcStream             *self,
                                          const AfrpcFrame        *frame,
                                          GError                 **error);
int             afrpc_stream_take_fd     (AfrpcStream             *self);

/* Whether something has been read that was not taken. */
static inline gboolean
afrpc_stream_has_read (const AfrpcStream *self)
{
  return self->in_tail > self->in_head || self->in_body;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcStream, afrpc_stream_clear)

/* Between the files of this folder. */
void            afrpc_stream_attach      (AfrpcStream             *self,
                                          guint64                  position,
                                          GBytes                  *bytes,
                                          int                     *fds,
                                          guint                    n_fds);
void            afrpc_stream_pop_attachment (AfrpcStream          *self);
void            afrpc_stream_clear_attachments (AfrpcStream       *self);
void            afrpc_attachment_clear   (AfrpcAttachment         *self);
void            afrpc_stream_reserve     (AfrpcStream             *self,
                                          gsize                    size);
gsize           afrpc_stream_pass_dropped (AfrpcStream            *self);
void            afrpc_stream_end_flush   (AfrpcStream             *self);

/* How much of the buffer a frame takes that is queued in it. */
static inline gsize
afrpc_stream_frame_size (const AfrpcStream      *self,
                         const AfrpcFrameHeader *header)
{
  const gsize size = AFRPC_FRAME_HEADER_SIZE + afrpc_frame_pad (header->type_length);

  return header->size >= AFRPC_STREAM_BODY_MIN ? size : size + afrpc_frame_pad (header->size) + self->out_guard;
}

G_END_DECLS
