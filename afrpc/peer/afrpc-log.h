/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker's messages in the program's own log. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_LOG_STDERR_DOMAIN "afrpc-stderr"

void afrpc_log_forward (guint32     level,
                        const char *domain,
                        int         pid,
                        guint64     call,
                        const char *message);

G_END_DECLS
