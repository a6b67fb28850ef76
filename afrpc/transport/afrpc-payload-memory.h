/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that large payloads are received into. Pages that the system gives for the first time cost two to
 * three times what it costs to fill them; so large blocks are huge pages where there are any, and those that
 * are freed are kept for the next payload, process-wide. What is kept is marked as free, so that the system
 * takes it when it is short of memory: cheap for huge pages, dear for small ones. Any thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_PAYLOAD_MEMORY_KEPT_MIN (2u << 20)        /* bytes: malloc() itself keeps what is smaller */
#define AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX 8u
#define AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX (128u << 20) /* bytes, all together */

typedef struct
{
  guint8 *data;   /* (nullable): none */
  gsize capacity; /* bytes; 0: it is malloc's */
} AfrpcPayloadMemory;

gboolean afrpc_payload_memory_init     (AfrpcPayloadMemory *self,
                                        gsize               size);
void     afrpc_payload_memory_clear    (AfrpcPayloadMemory *self);
GBytes  *afrpc_payload_memory_to_bytes (AfrpcPayloadMemory *self,
                                        gsize               size);

gsize afrpc_payload_memory_get_kept  (void);
void  afrpc_payload_memory_drop_kept (void);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcPayloadMemory, afrpc_payload_memory_clear)

G_END_DECLS
