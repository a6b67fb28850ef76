/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The progress line on standard error. There is one terminal, hence one line and no object: whoever
 * writes to the terminal hides it first, and the next tick draws it again. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void afrpc_tool_progress_start  (void);
void afrpc_tool_progress_update (guint64 n_succeeded,
                                 guint64 n_failed,
                                 guint64 n_total);
void afrpc_tool_progress_hide   (void);
void afrpc_tool_progress_stop   (void);

G_END_DECLS
