/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-process.h"
#include "child/afrpc-child.h"

G_BEGIN_DECLS

AfrpcChild *afrpc_process_get_child (AfrpcProcess *self);

G_END_DECLS
