/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard output that never blocks the main loop: what does not fit into the pipe waits here, and
 * the owner stops making more while the output is full. Does not know what it writes. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _AfrpcToolOutput AfrpcToolOutput;

/* Called when all has been written, when the output is no longer full, and when it has failed. */
typedef void (*AfrpcToolOutputFunc) (gpointer data);

AfrpcToolOutput *afrpc_tool_output_new       (int                    fd,
                                              AfrpcToolOutputFunc    func,
                                              gpointer               data);
void             afrpc_tool_output_free      (AfrpcToolOutput       *self);
void             afrpc_tool_output_append    (AfrpcToolOutput       *self,
                                              const guint8          *data,
                                              gsize                  size);
gboolean         afrpc_tool_output_is_empty  (const AfrpcToolOutput *self);
gboolean         afrpc_tool_output_is_full   (const AfrpcToolOutput *self);
int              afrpc_tool_output_get_errno (const AfrpcToolOutput *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcToolOutput, afrpc_tool_output_free)

G_END_DECLS
