/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of values ask about them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether it is in normal form in fact: GLib takes the word of who made it. */
gboolean variant_is_normal   (GVariant *value);

/* The same type, and the same bytes. */
void     variant_assert_same (GVariant *a,
                              GVariant *b);

G_END_DECLS
