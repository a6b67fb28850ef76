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
guint    afrpc_functions_find    (AfrpcSession       *session,
                                  guint16             number,
                                  GError            **error);

G_END_DECLS
