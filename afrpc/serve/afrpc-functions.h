/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The functions that a worker serves, by the numbers that its parent has given them: 0 is the one of its job. */
#pragma once

#include "serve/afrpc-session.h"

G_BEGIN_DECLS

#define AFRPC_FUNCTION_NAME_MAX 4096u /* bytes, of one that is declared */

gboolean afrpc_functions_resolve (AfrpcSession       *session,
                                  const char         *name,
                                  AfrpcFunctionKind   kind,
                                  guint              *function,
                                  GError            **error);
gboolean afrpc_functions_declare (AfrpcSession       *session,
                                  guint64             number,
                                  const char         *name,
                                  GError            **error);
gboolean afrpc_functions_check   (AfrpcSession       *session,
                                  guint16             number,
                                  GError            **error);
gboolean afrpc_functions_fit     (const AfrpcSession    *session,
                                  const AfrpcServedCall *call,
                                  GVariant             **args,
                                  GError               **error);

/* Returns: the host's number of a function, or 0: afrpc_functions_check() says why */
static inline guint
afrpc_functions_find (const AfrpcSession *session,
                      guint16             number)
{
  return number < session->functions->len ? g_array_index (session->functions, AfrpcFunction, number).id : 0;
}

/* Returns: what messages call a function by; to be freed */
static inline char *
afrpc_functions_describe (const AfrpcSession *session,
                          guint16             number)
{
  const char *name = number < session->functions->len ? g_array_index (session->functions, AfrpcFunction, number).name : NULL;

  return name != NULL ? g_strdup_printf ("'%s'", name) : g_strdup ("the function");
}

G_END_DECLS
