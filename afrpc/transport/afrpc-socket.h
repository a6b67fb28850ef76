/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A Unix socket between two processes of one machine: file descriptors travel with frames. */
#pragma once

#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

extern const AfrpcTransportFuncs afrpc_socket_funcs;

void      afrpc_socket_ask_sender (AfrpcTransport   *self);

/* For who sends and receives something else besides. */
AfrpcStep afrpc_socket_receive    (AfrpcTransport   *self,
                                   struct iovec     *iov,
                                   guint             n_iov,
                                   gsize            *n_received,
                                   GError          **error);
gssize    afrpc_socket_send       (int               fd,
                                   AfrpcWriterBatch *batch);

G_END_DECLS
