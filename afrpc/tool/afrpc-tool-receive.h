/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "afrpc host --receive": what is said on standard input before there is a host, see wire/afrpc-overture.h. */
#pragma once

#include "afrpc-tool.h"

G_BEGIN_DECLS

char     *afrpc_tool_receive (GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean  afrpc_tool_answer  (GError **error);

G_END_DECLS
