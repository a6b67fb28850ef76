/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the options of a subcommand are, and how its words are taken for them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  GOptionContext *context;
  GArray *entries; /* (element-type GOptionEntry): all that were added */
} AfrpcToolOptions;

void     afrpc_tool_options_init  (AfrpcToolOptions    *self,
                                   const char          *parameters,
                                   const char          *summary);
void     afrpc_tool_options_clear (AfrpcToolOptions    *self);
void     afrpc_tool_options_add   (AfrpcToolOptions    *self,
                                   const GOptionEntry  *entries);
gboolean afrpc_tool_options_parse (AfrpcToolOptions    *self,
                                   char               **argv,
                                   GError             **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcToolOptions, afrpc_tool_options_clear)

G_END_DECLS
