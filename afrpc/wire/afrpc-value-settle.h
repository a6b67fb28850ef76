/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Most values that have no containers in them are settled here, inline, at once: TRUE, and nothing is left to be done.
 * FALSE says nothing of a value, and has changed nothing; the rest of afrpc-value-check.c would come to the same.
 *
 * @type: the layout of the value's type, not deeper than afrpc_value_is_shallow() says
 * @size: that of the type, if it has one */
#pragma once

#include "wire/afrpc-fixed.h"
#include "wire/afrpc-value-check.h"

G_BEGIN_DECLS

/* Text that is looked at in one piece, bytes. */
#define AFRPC_VALUE_TEXT_PIECE (AFRPC_VALUE_CHECK_PIECE / 32)

static inline gboolean
afrpc_value_is_shallow (const AfrpcLayout *type,
                        guint              depth)
{
  return depth + type->levels < AFRPC_LAYOUT_DEPTH_MAX;
}

static inline gboolean
afrpc_value_is_multiple (gsize size,
                         gsize of)
{
  return (of & (of - 1)) == 0 ? (size & (of - 1)) == 0 : size % of == 0;
}

G_ALWAYS_INLINE static inline gboolean
afrpc_value_settle_text (const AfrpcValueCheck *check,
                         char                   code,
                         const guint8          *data,
                         gsize                  size)
{
  const guint8 *end;

  if (size == 0 || data[size - 1] != '\0')
    return FALSE;
  if (code != 's')
    return size <= AFRPC_VALUE_TEXT_PIECE / 4 && afrpc_text_is_valid (code, data, size);

  end = data + size - 1;
  return afrpc_text_is_short_ascii (data, size - 1, check->limit) ||
         (size <= AFRPC_VALUE_TEXT_PIECE && afrpc_text_skip_utf8 (data, end) == end);
}

/* Numbers in the other byte order, which are not in the way of those who have none. */
static G_NO_INLINE gboolean
afrpc_value_settle_swap (const AfrpcLayout *type,
                         guint8            *data,
                         gsize              size)
{
  if (size > AFRPC_VALUE_CHECK_PIECE / 4)
    return FALSE;

  afrpc_fixed_swap (type, data, size);
  return TRUE;
}

G_ALWAYS_INLINE static inline gboolean
afrpc_value_settle (const AfrpcValueCheck *check,
                    const AfrpcLayout     *type,
                    guint8                *data,
                    gsize                  size)
{
  const gboolean is_row = type->kind == AFRPC_LAYOUT_ROW;

  if (type->kind == AFRPC_LAYOUT_TEXT)
    return afrpc_value_settle_text (check, type->code, data, size);
  if (type->code == 'b')
    return *data <= 1;

  type += is_row;
  if (type->kind != AFRPC_LAYOUT_ANY || (is_row && !afrpc_value_is_multiple (size, type->fixed_size)))
    return FALSE;

  return !check->swaps || afrpc_value_settle_swap (type, data, size);
}

/* A whole value of this machine's byte order. */
static inline gboolean
afrpc_value_settle_whole (const AfrpcLayout *type,
                          guint8            *data,
                          gsize              size)
{
  AfrpcValueCheck check;

  /* Nothing at all has no place. */
  if (size == 0)
    return FALSE;

  check.swaps = FALSE;
  check.limit = data + size;

  return (type->fixed_size == 0 || type->fixed_size == size) && afrpc_value_is_shallow (type, 0) &&
         afrpc_value_settle (&check, type, data, size);
}

/* A `v`. */
G_ALWAYS_INLINE static inline gboolean
afrpc_value_settle_variant (const AfrpcValueCheck *check,
                            guint8                *data,
                            gsize                  size)
{
  const char code = size >= 2 && data[size - 2] == '\0' ? data[size - 1] : '\0';
  const AfrpcLayout *type = afrpc_layout_get_basic (code);

  return type->code == code && type->length > 0 && (type->fixed_size == 0 || type->fixed_size == size - 2) &&
         afrpc_value_settle (check, type, data, size - 2);
}

/* A maybe. */
static inline gboolean
afrpc_value_settle_maybe (const AfrpcValueCheck *check,
                          const AfrpcLayout     *type,
                          guint8                *data,
                          gsize                  size)
{
  type++;
  if (size == 0)
    return TRUE;
  if (type->fixed_size > 0)
    return size == type->fixed_size && afrpc_value_settle (check, type, data, size);

  return data[size - 1] == '\0' && afrpc_value_settle (check, type, data, size - 1);
}

G_END_DECLS
