/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One call of whatever can be called: what is said of its arguments and its result, and how it is made. */
#pragma once

#include "afrpc-tool.h"

G_BEGIN_DECLS

/* What describes the call to the user who has made it. */
typedef struct
{
  gboolean json;          /* the result is printed so */
  gboolean bytes_as_text; /* in results and events */
  gboolean from_json;     /* arguments are */
  gboolean strings;       /* all arguments are */
  char **words;           /* (nullable): what says what is called, and arguments */
} AfrpcToolOneCall;

void      afrpc_tool_one_call_add   (AfrpcToolOneCall               *self,
                                     AfrpcToolOptions               *parser);
gboolean  afrpc_tool_one_call_check (const AfrpcToolOneCall         *self,
                                     GError                        **error);
GPtrArray *afrpc_tool_one_call_parse (const AfrpcToolOneCall        *self,
                                     guint                           n_before,
                                     GError                        **error);
int       afrpc_tool_one_call_run   (const AfrpcToolOneCall         *self,
                                     guint                           n_before,
                                     GPtrArray                      *values,
                                     AfrpcCaller                    *caller,
                                     const char                     *function,
                                     guint                           timeout_ms,
                                     const AfrpcToolWorkerOptions   *worker);
void      afrpc_tool_one_call_clear (AfrpcToolOneCall               *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcToolOneCall, afrpc_tool_one_call_clear)

G_END_DECLS
