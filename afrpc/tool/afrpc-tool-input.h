/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The inputs of "afrpc map", from a file descriptor or from words. Reads no more than what is asked
 * for: who does not call next() has the writer wait. Does not know what an input means. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_TOOL_INPUT_SIZE_MAX (64u << 20) /* bytes of one input */

typedef struct _AfrpcToolInput AfrpcToolInput;

typedef enum
{
  AFRPC_TOOL_INPUT_ITEM,     /* there is one */
  AFRPC_TOOL_INPUT_TOO_LONG, /* there is one, cut after AFRPC_TOOL_INPUT_SIZE_MAX bytes */
  AFRPC_TOOL_INPUT_AGAIN,    /* not now: the function will be called */
  AFRPC_TOOL_INPUT_END,      /* there will be no more */
} AfrpcToolInputStep;

/* Called when next() should be tried again. */
typedef void (*AfrpcToolInputFunc) (gpointer data);

AfrpcToolInput     *afrpc_tool_input_new_for_fd    (int                   fd,
                                                    char                  separator,
                                                    AfrpcToolInputFunc    func,
                                                    gpointer              data);
AfrpcToolInput     *afrpc_tool_input_new_for_words (const char * const   *words);
void                afrpc_tool_input_free          (AfrpcToolInput       *self);
AfrpcToolInputStep  afrpc_tool_input_next          (AfrpcToolInput       *self,
                                                    GBytes              **item);
gboolean            afrpc_tool_input_is_at_end     (const AfrpcToolInput *self);
guint64             afrpc_tool_input_get_n_taken   (const AfrpcToolInput *self);
int                 afrpc_tool_input_get_errno     (const AfrpcToolInput *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcToolInput, afrpc_tool_input_free)

G_END_DECLS
