/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker's code can call, and how its functions are called. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

void      afrpc_perl_define_api   (pTHX);
void      afrpc_perl_set_serving  (void);
GVariant *afrpc_perl_call_sync    (SV               *code,
                                   GVariant         *args,
                                   GError          **error);
void      afrpc_perl_invoke       (SV               *code,
                                   AfrpcInvocation  *invocation);

G_END_DECLS
