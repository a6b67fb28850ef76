/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program's side of the overture, see wire/afrpc-overture.h: bytes out, the answer in. Owns the connection until it is
 * over. Never blocks; knows no peer. */
#pragma once

#include "transport/afrpc-step.h"

G_BEGIN_DECLS

typedef struct _AfrpcOverture AfrpcOverture;

AfrpcOverture *afrpc_overture_new        (GVariant       *head,
                                          GPtrArray      *files) G_GNUC_WARN_UNUSED_RESULT;
void           afrpc_overture_free       (AfrpcOverture  *self);
void           afrpc_overture_connect    (AfrpcOverture  *self,
                                          int             fd);
int            afrpc_overture_get_fd     (AfrpcOverture  *self);
int            afrpc_overture_steal_fd   (AfrpcOverture  *self);
guint          afrpc_overture_get_n_processors (AfrpcOverture  *self);
gboolean       afrpc_overture_has_output (AfrpcOverture  *self);
AfrpcStep      afrpc_overture_step       (AfrpcOverture  *self,
                                          gboolean       *has_moved,
                                          GError        **error);

G_END_DECLS
