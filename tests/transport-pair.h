/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two streams in one process, one that sends and one that receives, for tests of what passes
 * between them. Everything here is one frame of kind CALL, and asserts. */
#pragma once

#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

typedef enum
{
  TRANSPORT_WAY_SOCKET,
  TRANSPORT_WAY_PIPE,
  TRANSPORT_WAY_GUARDED, /* a socket, and a guard behind each frame */
} TransportWay;

typedef struct
{
  AfrpcTransport from;
  AfrpcTransport to;
} TransportPair;

/* @flags: O_NONBLOCK or 0 */
void transport_pair_init  (TransportPair *self,
                           TransportWay   way,
                           int            flags);
void transport_pair_clear (TransportPair *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TransportPair, transport_pair_clear)

/* Send and receive, without blocking, until a frame is there. */
void transport_pair_receive       (TransportPair *self,
                                   AfrpcFrame    *frame);
void transport_pair_receive_value (TransportPair *self,
                                   guint64        serial,
                                   GVariant      *value);

/* Nothing has arrived beyond what was received, and nothing is left to be sent. */
void transport_pair_assert_idle (TransportPair *self);

/* @value: (nullable) */
void transport_pair_check_frame (const AfrpcFrame *frame,
                                 guint64           serial,
                                 GVariant         *value);

/* What a frame with such a payload, of a type of up to eight characters, has in all. */
gsize transport_pair_frame_size (TransportPair *self,
                                 gsize          size);

/* Bytes that are like no other seed's, and like nothing else in the same array. */
GVariant *transport_pair_new_bytes (gsize   size,
                                    guint32 seed);

/* Until all is written, or the other side takes no more. */
AfrpcStep transport_flush (AfrpcTransport  *transport,
                           GError         **error);

G_END_DECLS
