/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of values ask about them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether it is in normal form in fact: GLib takes the word of who made it. */
gboolean variant_is_normal     (GVariant      *value);

/* Whether GLib takes it to be in normal form without looking. Its memory is written to for a moment, and so has to be
 * its own; it has to be of a type that has text in it. */
gboolean variant_is_trusted    (GVariant      *value);

/* What GLib says of bytes. */
gboolean variant_data_is_normal (const char   *type,
                                 gconstpointer data,
                                 gsize         size);

/* Whether a type in one of the `v` that a normal value has in it has more than 255 characters. */
gboolean variant_has_long_type (GVariant      *value);

/* Puts @value, which may be floating, into a container of the kind `v`, `a`, `m`, `{` or `(`. */
GVariant *variant_nest         (char           kind,
                                GVariant      *value);

/* @n times @opening, what is in the middle, and so often what closes it. */
char    *variant_make_deep_text (const char   *opening,
                                 guint         n,
                                 const char   *inside,
                                 const char   *closing);

/* The same type, and the same bytes. */
void     variant_assert_same   (GVariant      *a,
                                GVariant      *b);

G_END_DECLS
