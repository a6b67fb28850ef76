/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Returns: (transfer full): what errno says, for a message; if there are too many open files, which limit that is */
char *afrpc_fd_error_describe (int error_number) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
