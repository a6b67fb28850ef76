/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* GVariants of random types and values, for tests that hold for every value. The same seed gives
 * the same value. Limits and other corners come up far more often than chance would have them. */

typedef enum
{
  RANDOM_VARIANT_DEFAULT = 0,
  RANDOM_VARIANT_NO_ODD_NAN = 1 << 0, /* no NaN but 0x7ff8000000000000 */
} RandomVariantFlags;

/* Of any type, with a type string of 255 bytes at most. */
GVariant *random_variant       (GRand              *rand,
                                RandomVariantFlags  flags);

/* A type string of 255 bytes at most. */
char     *random_variant_type  (GRand              *rand);

/* Of that type, an array, with so many elements. */
GVariant *random_variant_array (GRand              *rand,
                                const char         *type,
                                guint               length);

/* Strings and byte strings, and arrays and tuples of them: what the serialiser "bytes" takes. */
GVariant *random_strings       (GRand              *rand);

/* What the serialiser of that name takes. */
GVariant *random_serialisable  (GRand              *rand,
                                const char         *name);
