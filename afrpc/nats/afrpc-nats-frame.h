/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages on subjects as bytes: a header, and frames. Pure: no I/O, no main loop. docs/nats-protocol.md has the same in
 * words. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_NATS_VERSION 1
#define AFRPC_NATS_HEADER_SIZE 16u /* of a message, and of a frame */
#define AFRPC_NATS_FRAMES_MAX 4096u /* of a message that goes at once: more than fit into one that others put together */
#define AFRPC_NATS_NAMED_MAX 65536u /* calls that a beat names */
#define AFRPC_NATS_TRANSFER_MAX (G_GUINT64_CONSTANT (1) << 40)

typedef enum
{
  /* From a caller */
  AFRPC_NATS_DEMAND = 1,  /* (sutt): its inbox, how many calls it would make, the largest result, the number of its last
                           * call; id: its number */
  AFRPC_NATS_CALL = 2,    /* (a{sv}v): options, and arguments; id: of the call, as in all that follow */
  AFRPC_NATS_CANCEL = 3,
  AFRPC_NATS_QUERY = 4,   /* what has become of it? */
  AFRPC_NATS_ACK = 5,     /* its outcome has arrived */
  AFRPC_NATS_LEAVE = 6,   /* the caller has ended; no id */
  AFRPC_NATS_RECALL = 7,  /* somebody else has room for it: if it has not been begun, it is wanted back */
  AFRPC_NATS_TOLD = 8,    /* the program has been told all progress before a mark; id: of the mark */
  /* From a server */
  AFRPC_NATS_GRANT = 16,  /* (ssuut): its inbox, its name, how many calls more may be sent, milliseconds between
                           * beats, the largest arguments; id: of the last demand */
  AFRPC_NATS_REVOKE = 17, /* id: how many of those may not, all if it is G_MAXUINT64 */
  AFRPC_NATS_STARTED = 18,
  AFRPC_NATS_PROGRESS = 19, /* v */
  AFRPC_NATS_RESULT = 20, /* v */
  AFRPC_NATS_ERROR = 21,  /* (isis): AfrpcStarted, domain, code, message */
  AFRPC_NATS_REFUSED = 22, /* s: why it was not begun, and never will be */
  AFRPC_NATS_HAVE = 23,   /* it has it, and there is no outcome yet */
  AFRPC_NATS_BEAT = 24,   /* at: the calls of this caller that are here, or have not been acknowledged */
  AFRPC_NATS_EVENT = 25,  /* v; no id */
  AFRPC_NATS_FORGOTTEN = 26, /* it may have been here, and been begun: its caller had gone for so long that it is not known */
  AFRPC_NATS_MARK = 27,   /* it is to be said once all progress before this was told; id: how many bytes that is */
  /* From both */
  AFRPC_NATS_CHUNK = 48,  /* a part of a message: how large that is, where this is (little-endian 64 bits each), bytes;
                           * id: of the transfer */
  AFRPC_NATS_RECEIVED = 49, /* t: how much of it has arrived, all bits set if it is not wanted; id: of the transfer */
  AFRPC_NATS_GIVEN_UP = 50, /* no more comes of a transfer; id: of that */
} AfrpcNatsFrameType;

#define AFRPC_NATS_FLAG_CREDIT 1u /* with an outcome: one call more may be sent */
#define AFRPC_NATS_FLAG_PROGRESS 2u /* of a call: its progress is wanted */
#define AFRPC_NATS_FLAG_IDEMPOTENT 4u /* of a call */
#define AFRPC_NATS_FLAG_BEHIND 8u /* with have: it waits behind others that take long */
#define AFRPC_NATS_FLAG_ASKING 16u /* of a demand to all: those that have no room say so, too */

typedef struct
{
  guint16 type;
  guint16 flags;
  guint64 id;
  GBytes *bytes; /* the message (borrowed) */
  gsize offset;  /* of the body */
  gsize size;
  guint place;   /* among the frames of the message */
} AfrpcNatsFrame;

typedef struct
{
  GBytes *bytes; /* (owned) */
  gsize offset;  /* of the next frame */
  guint64 sender;
  gboolean is_whole;   /* it came in parts, and has one frame */
  gboolean has_beat;   /* a beat has been read, and there is one in a message */
  gboolean is_swapped; /* values are of the other byte order */
  guint n_frames;      /* that have been read */
  GPtrArray *values;   /* (nullable) (borrowed): the bodies, which have been checked before */
} AfrpcNatsReader;

gboolean    afrpc_nats_reader_init  (AfrpcNatsReader       *self,
                                     GBytes                *bytes,
                                     GError               **error);
gboolean    afrpc_nats_reader_peek_sender (GBytes          *bytes,
                                     guint64               *sender);
void        afrpc_nats_reader_clear (AfrpcNatsReader       *self);
int         afrpc_nats_reader_next  (AfrpcNatsReader       *self,
                                     AfrpcNatsFrame        *frame,
                                     GError               **error);
GVariant   *afrpc_nats_reader_value (const AfrpcNatsReader *self,
                                     const AfrpcNatsFrame  *frame,
                                     const char            *type,
                                     GError               **error);

GPtrArray  *afrpc_nats_reader_check (GBytes                *bytes,
                                     gboolean               is_whole);

GByteArray *afrpc_nats_message_new  (guint64                sender);
void        afrpc_nats_message_add  (GByteArray            *message,
                                     AfrpcNatsFrameType     type,
                                     guint                  flags,
                                     guint64                id,
                                     GVariant              *body);
void        afrpc_nats_message_add_chunk (GByteArray       *message,
                                     guint64                transfer,
                                     gsize                  total,
                                     gsize                  offset,
                                     const guint8          *data,
                                     gsize                  size);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcNatsReader, afrpc_nats_reader_clear)

G_END_DECLS
