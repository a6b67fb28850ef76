/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Frames that are going to be sent: what is small in a buffer, what is large, and file descriptors, by reference. Owns
 * all of it. Who sends it, and whereto, is the transport's affair: it gets the next pieces, and says how much of them
 * is gone. No I/O. */
#pragma once

#include <glib.h>
#include <string.h>
#include <sys/uio.h>

#include "transport/afrpc-reader.h"
#include "transport/afrpc-step.h"
#include "wire/afrpc-frame.h"

G_BEGIN_DECLS

#define AFRPC_WRITER_IOV_MAX 16

/* A value that is going to be sent: what GLib takes locks to tell is asked for once. */
typedef struct
{
  GVariant *value;   /* (nullable): none, then the rest is empty too */
  const char *type;
  gsize type_length;
  gsize size;
  guint8 flags;      /* AfrpcFrameFlags, besides the byte order */
  guint16 function;  /* of a call: its number */
  const int *fds;    /* (nullable): they become the writer's */
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

/* What is sent by reference: a large payload, or descriptors. One that has neither any more was dropped. */
typedef struct
{
  guint64 position; /* in the stream of queued bytes, before this attachment's own */
  GBytes *bytes;    /* (nullable): sent at the position */
  gsize done;       /* bytes of it that are written */
  int *fds;         /* (nullable): sent with the byte at the position */
  guint n_fds;
} AfrpcAttachment;

/* Bytes data[head..tail) are to be written, with the attachments at their places in between. A position counts the
 * bytes of this buffer, from the beginning of the stream, and not those of attachments. */
typedef struct
{
  guint guard_size;       /* bytes of the guard behind each frame: AFRPC_FRAME_GUARD_SIZE or 0 */
  gboolean crowded;       /* the kernel takes no more for a moment: descriptors, or anything at all */
  gboolean is_midway;     /* the last flush did not come to the end of what there was */
  gsize flush_max;        /* bytes that one flush may write */
  gsize flush_left;       /* of these, in the last one; 0: it is to be gone on with at once */

  guint8 *data;
  gsize head;
  gsize tail;
  gsize allocated;
  guint64 base;           /* position of data[0] */

  AfrpcAttachment *attachments; /* oldest first: attachments[attachments_kept..attachments_end) */
  guint attachments_kept; /* up to attachments_head: written, and kept all the same */
  guint attachments_head;
  guint attachments_end;
  guint attachments_allocated;
  guint n_unkept;         /* from attachments_head on: how many are not going to be kept, being queued before */
  gsize attached_size;    /* bytes of attachments that are not written yet */
  gsize attached_kept;    /* and of those that are, and are kept */

  guint64 committed;      /* position up to which nothing can be taken back, though it may not be written */
  guint64 dropped_from;   /* position of a frame: none before it has been dropped; G_MAXUINT64: none at all */
  gsize dropped_size;     /* bytes of the buffer that are of dropped frames, and not passed yet */
  guint64 kept_from;      /* position from which on all is kept that is written; G_MAXUINT64: nothing is */
} AfrpcWriter;

/* What can go out at once. */
typedef struct
{
  struct iovec iov[AFRPC_WRITER_IOV_MAX];
  guint n;
  const int *fds; /* they go with the first byte */
  guint n_fds;
  gsize end;      /* where it ends in the buffer */
} AfrpcWriterBatch;

/* Sends what it can of a batch. Returns how many bytes, or -1 and errno. */
typedef gssize (* AfrpcWriterSendFunc) (int               fd,
                                        AfrpcWriterBatch *batch);

void afrpc_writer_init    (AfrpcWriter *self,
                           gsize        flush_max);
void afrpc_writer_restart (AfrpcWriter *self);
void afrpc_writer_clear   (AfrpcWriter *self);

guint8 *afrpc_writer_put         (AfrpcWriter            *self,
                                  const AfrpcFrameHeader *header,
                                  const char             *type);
void    afrpc_writer_put_payload (AfrpcWriter            *self,
                                  AfrpcFrameKind          kind,
                                  guint64                 serial,
                                  const AfrpcPayload     *payload);
void    afrpc_writer_put_value   (AfrpcWriter            *self,
                                  AfrpcFrameKind          kind,
                                  guint64                 serial,
                                  GVariant               *value);
void    afrpc_writer_put_frame   (AfrpcWriter            *self,
                                  const AfrpcFrame       *frame,
                                  const int              *fds);
void    afrpc_writer_put_fds     (AfrpcWriter            *self,
                                  AfrpcFrameKind          kind,
                                  GVariant               *value,
                                  const int              *fds,
                                  guint                   n_fds);
void    afrpc_writer_put_fd      (AfrpcWriter            *self,
                                  AfrpcFrameKind          kind,
                                  GVariant               *value,
                                  int                     fd);

/* Bytes that are to be written. */
static inline gsize
afrpc_writer_get_queued (const AfrpcWriter *self)
{
  return self->tail - self->head + self->attached_size - self->dropped_size;
}

/* Where the frame that is queued next begins. */
static inline guint64
afrpc_writer_get_position (const AfrpcWriter *self)
{
  return self->base + self->tail;
}

/* Up to where nothing can be taken back. */
static inline guint64
afrpc_writer_get_written (const AfrpcWriter *self)
{
  return MAX (self->base + self->head, self->committed);
}

/* Whether something of the frame at @position has been written, or is certainly going to be. */
static inline gboolean
afrpc_writer_has_written (const AfrpcWriter *self,
                          guint64            position)
{
  return afrpc_writer_get_written (self) > position;
}

/* For a transport. */
AfrpcStep afrpc_writer_flush   (AfrpcWriter          *self,
                                int                   fd,
                                AfrpcWriterSendFunc   send,
                                GError              **error);

/* For one that does more with a batch than to send it. */
void      afrpc_writer_begin_flush (AfrpcWriter      *self);
void      afrpc_writer_cut     (AfrpcWriterBatch     *batch,
                                gsize                 max);
gboolean  afrpc_writer_gather  (AfrpcWriter          *self,
                                AfrpcWriterBatch     *batch);
AfrpcStep afrpc_writer_sent    (AfrpcWriter          *self,
                                gssize                n,
                                GError              **error);

/* The batch is going to be sent, whatever happens meanwhile. */
static inline void
afrpc_writer_commit (AfrpcWriter            *self,
                     const AfrpcWriterBatch *batch)
{
  self->committed = self->base + batch->end;
}

/* Taking back what is queued: a call may be cancelled before it is written, or have to be made once more. Frames move
 * then: their new positions are told.
 * Returns: of put_rest(): whether the frame is still wanted */
typedef gboolean (* AfrpcWriterMovedFunc) (const AfrpcFrameHeader *header,
                                           guint64                 position,
                                           gpointer                data);

gboolean afrpc_writer_drop        (AfrpcWriter          *self,
                                   guint64               position);
gboolean afrpc_writer_is_sparse   (const AfrpcWriter    *self);
void     afrpc_writer_compact     (AfrpcWriter          *self,
                                   AfrpcWriterMovedFunc  moved,
                                   gpointer              data);
void     afrpc_writer_keep        (AfrpcWriter          *self);
gsize    afrpc_writer_get_kept    (const AfrpcWriter    *self);
void     afrpc_writer_forget_kept (AfrpcWriter          *self);
void     afrpc_writer_put_rest    (AfrpcWriter          *self,
                                   AfrpcWriter          *other,
                                   AfrpcWriterMovedFunc  moved,
                                   gpointer              data);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcWriter, afrpc_writer_clear)

/* Between the files of the writer. */
void  afrpc_attachment_clear         (AfrpcAttachment *self);
void  afrpc_writer_attach            (AfrpcWriter     *self,
                                      guint64          position,
                                      GBytes          *bytes,
                                      int             *fds,
                                      guint            n_fds);
void  afrpc_writer_pop_attachment    (AfrpcWriter     *self);
void  afrpc_writer_clear_attachments (AfrpcWriter     *self);
void  afrpc_writer_reserve           (AfrpcWriter     *self,
                                      gsize            size);
gsize afrpc_writer_pass_dropped      (AfrpcWriter     *self);
void  afrpc_writer_end_flush         (AfrpcWriter     *self);

/* How much of the buffer a frame takes that is queued in it. */
static inline gsize
afrpc_writer_frame_size (const AfrpcWriter      *self,
                         const AfrpcFrameHeader *header)
{
  const gsize size = AFRPC_FRAME_HEADER_SIZE + afrpc_frame_pad (header->type_length);

  return header->size >= AFRPC_LARGE_PAYLOAD_MIN ? size : size + afrpc_frame_pad (header->size) + self->guard_size;
}

G_END_DECLS
