/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tells whether bytes are text, of the three kinds that GVariant has, in as many pieces as the caller likes.
 * Pure, no allocation. */
#pragma once

#include <glib.h>
#include <string.h>

#include "wire/afrpc-layout.h"

G_BEGIN_DECLS

/* Returns: where UTF-8 ends that begins at @at: at @end, or before a NUL, before what is no character of Unicode,
 * or before a character that goes beyond @end. */
const guint8 *afrpc_text_skip_utf8        (const guint8 *at,
                                           const guint8 *end);

/* The same, of characters that are no ASCII only. */
const guint8 *afrpc_text_skip_wide        (const guint8 *at,
                                           const guint8 *end);

/* Whether all bytes are from 1 to 127. Memory up to @limit may be read, which tells sooner; FALSE may also mean
 * that it was not told. */
static inline gboolean
afrpc_text_is_short_ascii (const guint8 *data,
                           gsize         size,
                           const guint8 *limit)
{
  const guint64 ones = G_GUINT64_CONSTANT (0x0101010101010101);
  guint64 first, last;

  if (limit - data < 8 || size > 16)
    return FALSE;

  memcpy (&first, data, sizeof first);
  if (size < 8)
    {
      /* Those that are not the text's become 1. */
      const guint64 mask = GUINT64_TO_LE ((G_GUINT64_CONSTANT (1) << size * 8) - 1);

      first = last = (first & mask) | (ones & ~mask);
    }
  else
    memcpy (&last, data + size - 8, sizeof last);

  /* One that is 0 borrows from the next, or from nothing. */
  return (((first - ones) | first | (last - ones) | last) & ones << 7) == 0;
}

/* A text that is looked at piece by piece. */
typedef struct
{
  const guint8 *start;
  const guint8 *at;       /* up to there it is what it should be */
  const guint8 *end;      /* where the NUL is */
  char code;              /* `s`, `o` or `g` */

  /* Of a signature: what the type that is being read is in. */
  guint8 n_open;
  guint8 open[AFRPC_LAYOUT_DEPTH_MAX + 1];
} AfrpcText;

void          afrpc_text_init             (AfrpcText    *self,
                                           char          code,
                                           const guint8 *data,
                                           gsize         size);
int           afrpc_text_step             (AfrpcText    *self,
                                           gsize         size);

/* Whether @data, with the NUL that ends it, is a text of that kind, all of it. */
gboolean      afrpc_text_is_valid         (char          code,
                                           const guint8 *data,
                                           gsize         size);

G_END_DECLS
