/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker's life: it is prepared, and does its job. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

#define AFRPC_LIFE_EXIT_FAILED 1 /* it could not be prepared, or the parent broke the protocol */

int  afrpc_life_lead (AfrpcSession *session);
void afrpc_life_end  (AfrpcSession *session);

G_END_DECLS
