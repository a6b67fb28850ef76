/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Code that prepares the process, a module that is loaded or what is evaluated, and that may do anything to it. */
#pragma once

#include <signal.h>

#include "os/afrpc-file-id.h"
#include "serve/afrpc-session.h"

G_BEGIN_DECLS

typedef struct
{
  guint n_files;
  AfrpcFileId *files;      /* (owned): of the session's own descriptors */
  struct sigaction action; /* of the signal that ends the process with its program */
} AfrpcForeign;

void     afrpc_foreign_begin (AfrpcForeign  *self,
                              AfrpcSession  *session);
gboolean afrpc_foreign_end   (AfrpcForeign  *self,
                              AfrpcSession  *session,
                              const char    *what,
                              GError       **error);

G_END_DECLS
