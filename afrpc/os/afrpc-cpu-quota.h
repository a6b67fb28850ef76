/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many processors' worth of time the control groups of this process leave it. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

guint afrpc_cpu_quota_limit (const char *root,
                             guint       n);

G_END_DECLS
