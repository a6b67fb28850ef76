/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two streams in one process, one that sends and one that receives, for tests of what passes
 * between them. Everything here is one frame of kind CALL, and asserts. */
#pragma once

#include "wire/afrpc-stream.h"

G_BEGIN_DECLS

typedef enum
{
  STREAM_WAY_SOCKET,
  STREAM_WAY_PIPE,
  STREAM_WAY_GUARDED, /* a socket, and a guard behind each frame */
} StreamWay;

typedef struct
{
  AfrpcStream from;
  AfrpcStream to;
} StreamPair;

/* @flags: O_NONBLOCK or 0 */
void      stream_pair_init          (StreamPair       *self,
                                     StreamWay         way,
                                     int               flags);
void      stream_pair_clear         (StreamPair       *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (StreamPair, stream_pair_clear)

/* Send and receive, without blocking, until a frame is there. */
void      stream_pair_receive       (StreamPair       *self,
                                     AfrpcFrame       *frame);
void      stream_pair_receive_value (StreamPair       *self,
                                     guint64           serial,
                                     GVariant         *value);

/* Nothing has arrived beyond what was received, and nothing is left to be sent. */
void      stream_pair_assert_idle   (StreamPair       *self);

/* @value: (nullable) */
void      stream_pair_check_frame   (const AfrpcFrame *frame,
                                     guint64           serial,
                                     GVariant         *value);

/* What a frame with such a payload, of a type of up to eight characters, has in all. */
gsize     stream_pair_frame_size    (StreamPair       *self,
                                     gsize             size);

/* Bytes that are like no other seed's, and like nothing else in the same array. */
GVariant *stream_pair_new_bytes     (gsize             size,
                                     guint32           seed);

G_END_DECLS
