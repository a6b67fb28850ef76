/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_BUFFER (afrpc_buffer_get_type ())

AFRPC_AVAILABLE_IN_1_0
GType        afrpc_buffer_get_type    (void) G_GNUC_CONST;

AFRPC_AVAILABLE_IN_1_0
AfrpcBuffer *afrpc_buffer_new         (gsize              size,
                                       AfrpcBufferFlags   flags,
                                       GError           **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcBuffer *afrpc_buffer_new_take_fd (int                fd,
                                       gsize              size,
                                       AfrpcBufferFlags   flags,
                                       GError           **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcBuffer *afrpc_buffer_ref         (AfrpcBuffer       *self);
AFRPC_AVAILABLE_IN_1_0
void         afrpc_buffer_unref       (AfrpcBuffer       *self);

AFRPC_AVAILABLE_IN_1_0
gsize        afrpc_buffer_get_size    (AfrpcBuffer       *self);
AFRPC_AVAILABLE_IN_1_0
guint8      *afrpc_buffer_get_data    (AfrpcBuffer       *self);
AFRPC_AVAILABLE_IN_1_0
void         afrpc_buffer_write       (AfrpcBuffer       *self,
                                       gsize              offset,
                                       const guint8      *data,
                                       gsize              size);
AFRPC_AVAILABLE_IN_1_0
gboolean     afrpc_buffer_seal        (AfrpcBuffer       *self,
                                       GError           **error);
AFRPC_AVAILABLE_IN_1_0
gboolean     afrpc_buffer_is_sealed   (AfrpcBuffer       *self);
AFRPC_AVAILABLE_IN_1_0
int          afrpc_buffer_get_fd      (AfrpcBuffer       *self);
AFRPC_AVAILABLE_IN_1_0
GBytes      *afrpc_buffer_get_bytes   (AfrpcBuffer       *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcBuffer, afrpc_buffer_unref)

G_END_DECLS
