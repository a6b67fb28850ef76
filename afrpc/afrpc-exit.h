/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_EXIT (afrpc_exit_get_type ())

AFRPC_AVAILABLE_IN_1_0
GType       afrpc_exit_get_type        (void) G_GNUC_CONST;

AFRPC_AVAILABLE_IN_1_0
AfrpcExit  *afrpc_exit_ref             (AfrpcExit       *self);
AFRPC_AVAILABLE_IN_1_0
void        afrpc_exit_unref           (AfrpcExit       *self);

AFRPC_AVAILABLE_IN_1_0
int         afrpc_exit_get_pid         (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gboolean    afrpc_exit_is_success      (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gboolean    afrpc_exit_is_known        (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
int         afrpc_exit_get_status      (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
int         afrpc_exit_get_signal      (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gboolean    afrpc_exit_dumped_core     (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gboolean    afrpc_exit_was_killed      (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcLimit  afrpc_exit_get_limit       (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
const char *afrpc_exit_get_stderr      (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gint64      afrpc_exit_get_user_time   (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gint64      afrpc_exit_get_system_time (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
gint64      afrpc_exit_get_max_rss     (const AfrpcExit *self);
AFRPC_AVAILABLE_IN_1_0
char       *afrpc_exit_to_string       (const AfrpcExit *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcExit, afrpc_exit_unref)

G_END_DECLS
