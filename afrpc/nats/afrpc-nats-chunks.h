/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What comes from one sender: messages that are larger than goes at once, in parts, which are put together; and large ones that
 * are checked by a thread, behind which others wait. */
#pragma once

#include "nats/afrpc-nats-frame.h"
#include "nats/afrpc-nats-inbox.h"

G_BEGIN_DECLS

#define AFRPC_NATS_MESSAGE_SLACK 65536u /* bytes of a message besides the value that is limited */
#define AFRPC_NATS_PAYLOAD_MIN 512u /* bytes of a message that a NATS server has to take */

typedef struct
{
  guint64 transfer;
  guint64 finished; /* the last that has arrived as a whole */
  guint8 *data;     /* (nullable) (owned) */
  gsize total;
  gsize size;       /* what has arrived of it */
  gsize allocated;
  gint64 heard_us;  /* when a part of it has come last */

  guint64 due;      /* the transfer of which is to be said how much has arrived; 0: none */
  guint64 due_size;

  guint64 check;    /* the number of what is being checked; 0: nothing is */
  GQueue held;      /* (element-type AfrpcNatsItem): what came after that */
} AfrpcNatsChunks;

void           afrpc_nats_chunks_clear    (AfrpcNatsChunks       *self);
int            afrpc_nats_chunks_take     (AfrpcNatsChunks       *self,
                                           const AfrpcNatsFrame  *frame,
                                           guint64                size_max,
                                           GBytes               **message,
                                           GError               **error);
void           afrpc_nats_chunks_drop     (AfrpcNatsChunks       *self,
                                           guint64                transfer);
void           afrpc_nats_chunks_expire   (AfrpcNatsChunks       *self,
                                           gint64                 now_us);
gboolean       afrpc_nats_chunks_hold     (AfrpcNatsChunks       *self,
                                           const AfrpcNatsItem   *item);
gboolean       afrpc_nats_chunks_check    (AfrpcNatsChunks       *self,
                                           GBytes                *message,
                                           guint64                sender,
                                           gboolean               is_whole,
                                           AfrpcNatsInbox        *inbox);
gboolean       afrpc_nats_chunks_end_check (AfrpcNatsChunks      *self,
                                           const AfrpcNatsItem   *item);
AfrpcNatsItem *afrpc_nats_chunks_pop_held (AfrpcNatsChunks       *self);

G_END_DECLS
