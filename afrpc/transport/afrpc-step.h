/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What came of one step of a conversation that never waits. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  AFRPC_STEP_ERROR = -1,
  AFRPC_STEP_AGAIN = 0, /* nothing to be had now */
  AFRPC_STEP_DONE = 1,
  AFRPC_STEP_EOF = 2,
  AFRPC_STEP_SLICE = 3, /* a slice is over, and what was begun is not: again, and soon, but others first */
} AfrpcStep;

G_END_DECLS
