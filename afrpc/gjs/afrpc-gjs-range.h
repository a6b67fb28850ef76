/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the numbers that properties take are between, which gjs does not say. */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

gboolean afrpc_gjs_get_range (GParamSpec  *pspec,
                              char       **minimum,
                              char       **maximum);

G_END_DECLS
