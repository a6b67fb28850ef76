/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How values of a type lie in memory: the GVariant specification, section 2, as a table. Pure; GLib is not
 * asked, which would keep what it is asked for, however large. No allocation.
 *
 * The table of a type has an entry for each character of its type string, in that order. So what a type holds
 * follows it: an element or a first member by 1, the next member by the length of the one before. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Characters of a type string, as in D-Bus: also of those inside of values. */
#define AFRPC_LAYOUT_TYPE_MAX 255

/* Values in each other: GLib's own limit, beyond which a value is not normal. */
#define AFRPC_LAYOUT_DEPTH_MAX 128

/* What it takes to look at a value of a type. */
typedef enum
{
  AFRPC_LAYOUT_NONE,      /* a closing bracket */
  AFRPC_LAYOUT_ANY,       /* of fixed size, and any bytes are a value: numbers, and tuples of nothing else */
  AFRPC_LAYOUT_FIXED,     /* of fixed size, with truth values, padding or () in it */
  AFRPC_LAYOUT_TEXT,
  AFRPC_LAYOUT_ROW,       /* an array of values of fixed size */
  AFRPC_LAYOUT_ARRAY,     /* any other */
  AFRPC_LAYOUT_MAYBE,
  AFRPC_LAYOUT_TUPLE,     /* or an entry: of a size that varies */
  AFRPC_LAYOUT_VARIANT,
} AfrpcLayoutKind;

typedef struct
{
  guint16 fixed_size;  /* bytes, 0: it varies */
  guint8 alignment;    /* bytes, minus 1; of a closing bracket: that of what it closes */
  guint8 length;       /* characters of the type string that begins here */
  char code;           /* the first of those characters */
  guint8 kind;         /* AfrpcLayoutKind */
  guint8 depth;        /* of the types in each other, as GLib counts: () is none */
  guint8 levels;       /* of the values in each other, without those in a `v`: () is one */
} AfrpcLayout;

gboolean afrpc_layout_init        (AfrpcLayout *self,
                                   const char  *type,
                                   gsize        length);
gsize    afrpc_layout_number_size (char         code);

/* The layout of a type of one character; of kind NONE, and with another code, if it is none. */
const AfrpcLayout *afrpc_layout_get_basic (char  code);

static inline gsize
afrpc_layout_align (gsize size,
                    guint alignment)
{
  return (size + alignment) & ~(gsize) alignment;
}

/* Whether the members of a tuple, or of an entry, end there. */
static inline gboolean
afrpc_layout_is_closing (const AfrpcLayout *self)
{
  return self->kind == AFRPC_LAYOUT_NONE;
}

G_END_DECLS
