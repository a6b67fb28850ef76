/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages that are larger than the NATS server takes, in parts: how they are split, and how those of one sender are put
 * together, which come one after the other. Pure. */
#pragma once

#include "nats/afrpc-nats-frame.h"

G_BEGIN_DECLS

#define AFRPC_NATS_MESSAGE_SLACK 65536u /* bytes of a message besides the value that is limited */
#define AFRPC_NATS_PAYLOAD_MIN 512u /* bytes of a message that a NATS server has to take */

typedef struct
{
  guint64 transfer;
  guint8 *data;  /* (nullable) (owned) */
  gsize total;
  gsize size;    /* what has arrived of it */
  gsize allocated;
} AfrpcNatsChunks;

typedef void (*AfrpcNatsPartFunc) (GBytes   *part,
                                   gpointer  data);

void     afrpc_nats_chunks_clear (AfrpcNatsChunks       *self);
int      afrpc_nats_chunks_take  (AfrpcNatsChunks       *self,
                                  const AfrpcNatsFrame  *frame,
                                  guint64                size_max,
                                  GBytes               **message,
                                  GError               **error);
void     afrpc_nats_chunks_split (GBytes                *message,
                                  guint64                sender,
                                  guint64                transfer,
                                  gsize                  payload_max,
                                  AfrpcNatsPartFunc      func,
                                  gpointer               data);

G_END_DECLS
