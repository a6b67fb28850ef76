/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program with threads cannot go on in a child that it forks: locks that they hold would never be released.
 * It is executed again there, and finds in the environment what the child was made for. No GObject, no main
 * loop. */
#pragma once

#include "os/afrpc-supervisor.h"

G_BEGIN_DECLS

typedef struct _AfrpcAgain AfrpcReexec;

AfrpcReexec *afrpc_reexec_new  (const AfrpcSupervised *what);
void         afrpc_reexec_exec (AfrpcReexec           *self,
                                const AfrpcSupervised *what) G_GNUC_NORETURN;
void         afrpc_reexec_free (AfrpcReexec           *self);
gboolean     afrpc_reexec_take (AfrpcSupervised       *what);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcReexec, afrpc_reexec_free)

G_END_DECLS
