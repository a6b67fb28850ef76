/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Another open file for what a descriptor stands for. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

int afrpc_reopen (int fd,
                  int flags);

G_END_DECLS
