/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How ssh is called, and what it means when it ends. */
#pragma once

#include "afrpc-exit.h"

G_BEGIN_DECLS

char   **afrpc_ssh_new_argv  (const char         *destination,
                              const char *const  *options) G_GNUC_WARN_UNUSED_RESULT;
GError  *afrpc_ssh_new_error (const char         *destination,
                              const AfrpcExit    *exit,
                              const char         *text);

G_END_DECLS
