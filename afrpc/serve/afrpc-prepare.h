/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first part of a worker's life: it does what its parent prepares it with, and is forked, until it is given its
 * job. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

AfrpcStep afrpc_prepare (AfrpcSession  *session,
                         GError       **error);

G_END_DECLS
