/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-layout.h"

#include <string.h>

#define BASIC(letter, size, mask, what) \
  [letter] = { \
    .fixed_size = size, .alignment = mask, .length = 1, .code = letter, .kind = what, .depth = 1, .levels = 1, \
  }
#define NUMBER(letter, size) BASIC (letter, size, size - 1, AFRPC_LAYOUT_ANY)
#define TEXT(letter) BASIC (letter, 0, 0, AFRPC_LAYOUT_TEXT)
#define CLOSING(letter) [letter] = { .length = 1, .code = letter }

/* What has nothing in it that its type tells of. The rest is 0. */
static const AfrpcLayout basic[128] = {
  NUMBER ('y', 1), NUMBER ('n', 2), NUMBER ('q', 2), NUMBER ('i', 4), NUMBER ('u', 4), NUMBER ('h', 4),
  NUMBER ('x', 8), NUMBER ('t', 8), NUMBER ('d', 8), BASIC ('b', 1, 0, AFRPC_LAYOUT_FIXED),
  TEXT ('s'), TEXT ('o'), TEXT ('g'), BASIC ('v', 0, 7, AFRPC_LAYOUT_VARIANT), CLOSING (')'), CLOSING ('}'),
};

G_STATIC_ASSERT (sizeof (AfrpcLayout) == 8);
/* The largest: for each two characters a byte, seven of padding, and eight. */
G_STATIC_ASSERT (AFRPC_LAYOUT_TYPE_MAX * 8 <= G_MAXUINT16);

const AfrpcLayout *
afrpc_layout_get_basic (char code)
{
  return &basic[(guchar) code % G_N_ELEMENTS (basic)];
}

/* Returns: the size of a number, which is its alignment, or 0 if it is none. */
gsize
afrpc_layout_number_size (char code)
{
  const AfrpcLayout *layout = afrpc_layout_get_basic (code);

  return layout->code == code ? layout->fixed_size : 0;
}

/* An array or a maybe, whose element's layout is known. */
static gboolean
init_holder (AfrpcLayout *self,
             char         code,
             gsize        length)
{
  const AfrpcLayout *element = self + 1;

  if (length < 2 || afrpc_layout_is_closing (element))
    return FALSE;

  *self = (AfrpcLayout) {
    .alignment = element->alignment,
    .length = element->length + 1,
    .code = code,
    .kind = code == 'm' ? AFRPC_LAYOUT_MAYBE : element->fixed_size > 0 ? AFRPC_LAYOUT_ROW : AFRPC_LAYOUT_ARRAY,
    .depth = element->depth + 1,
    .levels = element->levels + 1,
  };
  return TRUE;
}

/* A tuple or an entry, the layouts of whose members are known. */
static gboolean
init_tuple (AfrpcLayout *self,
            char         code,
            gsize        length)
{
  const gboolean is_entry = code == '{';
  const AfrpcLayout *end = self + length;
  AfrpcLayout *member = self + 1;
  AfrpcLayout layout = { .code = code };
  gboolean is_fixed = TRUE, is_any = TRUE;
  gsize size = 0;
  guint n = 0;

  for (; member < end && !afrpc_layout_is_closing (member); member += member->length, n++)
    {
      /* A key has nothing in it, and so does not count for the depth. */
      if (!is_entry || n == 1)
        layout.depth = MAX (layout.depth, member->depth + 1);
      else if (n > 1 || member->length > 1 || member->code == 'v')
        return FALSE;

      layout.alignment |= member->alignment;
      layout.levels = MAX (layout.levels, member->levels);
      is_fixed = is_fixed && member->fixed_size > 0;
      is_any = is_any && member->kind == AFRPC_LAYOUT_ANY && (size & member->alignment) == 0;
      size = afrpc_layout_align (size, member->alignment) + member->fixed_size;
    }
  if (member >= end || member->code != (is_entry ? '}' : ')') || (is_entry && n != 2))
    return FALSE;

  layout.length = member + 1 - self;
  layout.levels++;
  /* () is a byte, so that it is something. */
  if (is_fixed)
    layout.fixed_size = n > 0 ? afrpc_layout_align (size, layout.alignment) : 1;
  is_any = is_any && n > 0 && (size & layout.alignment) == 0;
  layout.kind = !is_fixed ? AFRPC_LAYOUT_TUPLE : is_any ? AFRPC_LAYOUT_ANY : AFRPC_LAYOUT_FIXED;
  member->alignment = layout.alignment;
  *self = layout;

  return TRUE;
}

/*< private >
 * afrpc_layout_init:
 * @self: room for @length layouts
 * @type: a type string, which need not be trusted, nor have a NUL at its end
 * @length: characters of it
 *
 * Returns: FALSE if that is not the type string of a value, or longer than AFRPC_LAYOUT_TYPE_MAX; then what is
 *   in @self is not to be looked at
 */
gboolean
afrpc_layout_init (AfrpcLayout *self,
                   const char  *type,
                   gsize        length)
{
  if (length == 0 || length > AFRPC_LAYOUT_TYPE_MAX)
    return FALSE;

  /* From the last to the first, for what a type holds decides on its own layout. What is there is valid. */
  for (gsize i = length; i-- > 0;)
    {
      const guchar code = type[i];
      gboolean is_good;

      if (code == 'a' || code == 'm')
        is_good = init_holder (self + i, code, length - i);
      else if (code == '(' || code == '{')
        is_good = init_tuple (self + i, code, length - i);
      else
        {
          self[i] = *afrpc_layout_get_basic (code);
          is_good = self[i].code == (char) code && code != '\0';
        }
      if (!is_good)
        return FALSE;
    }

  return self->length == length && !afrpc_layout_is_closing (self) && self->levels <= AFRPC_LAYOUT_DEPTH_MAX + 1;
}
