/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

AFRPC_AVAILABLE_IN_1_0
void afrpc_register_function (const char        *name,
                              AfrpcFunctionKind  kind,
                              GCallback          function,
                              const char        *args_type);
AFRPC_AVAILABLE_IN_1_0
void afrpc_init_early        (int               *argc,
                              char            ***argv);

G_END_DECLS
