/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value-writer.h"

#include <string.h>

#include "wire/afrpc-plain.h"

#define SIZE_MIN 64u

void
afrpc_value_writer_init (AfrpcValueWriter *self,
                         gsize             size_hint)
{
  self->size = 0;
  self->allocated = MAX (size_hint, SIZE_MIN);
  self->data = g_malloc (self->allocated);
  self->layouts = g_array_sized_new (FALSE, FALSE, sizeof (AfrpcValueLayout), 16);
  self->ends = g_array_sized_new (FALSE, FALSE, sizeof (gsize), 16);
}

void
afrpc_value_writer_clear (AfrpcValueWriter *self)
{
  g_clear_pointer (&self->data, g_free);
  g_clear_pointer (&self->layouts, g_array_unref);
  g_clear_pointer (&self->ends, g_array_unref);
}

/* Types */

static gsize
align_size (gsize size,
            guint alignment)
{
  return (size + alignment) & ~(gsize) alignment;
}

static guint measure (AfrpcValueWriter  *self,
                      const char        *type,
                      const char       **end);

/* Tuples and entries. */
static guint
measure_members (AfrpcValueWriter  *self,
                 const char        *type,
                 const char       **end,
                 AfrpcValueLayout  *layout)
{
  AfrpcValueLayout closing = { .length = 1 };
  gboolean is_fixed = TRUE;
  gsize size = 0;
  guint depth = 0;

  for (type++; *type != ')' && *type != '}'; type = *end)
    {
      const guint index = self->layouts->len;
      const guint member_depth = measure (self, type, end);
      const AfrpcValueLayout *member = afrpc_value_writer_get_layout (self, index);

      depth = MAX (depth, member_depth);
      layout->alignment = MAX (layout->alignment, member->alignment);
      is_fixed = is_fixed && member->fixed_size > 0;
      size = align_size (size, member->alignment) + member->fixed_size;
    }
  /* So that the table has an entry for each character. */
  closing.code = *type;
  g_array_append_val (self->layouts, closing);
  *end = type + 1;
  /* () is a byte, so that it is something. */
  if (is_fixed)
    layout->fixed_size = MAX (align_size (size, layout->alignment), 1);
  return depth + 1;
}

/* Adds the layouts of the type that begins at @type; returns its depth. */
static guint
measure (AfrpcValueWriter  *self,
         const char        *type,
         const char       **end)
{
  const guint index = self->layouts->len;
  const gsize size = afrpc_plain_number_size (*type);
  AfrpcValueLayout layout = { .code = *type, .fixed_size = size, .alignment = size > 0 ? size - 1 : 0 };
  guint depth = 1;

  g_array_append_val (self->layouts, layout);
  *end = type + 1;
  switch (*type)
    {
    case 'v':
      layout.alignment = 7;
      break;
    case 'a':
    case 'm':
      depth = measure (self, type + 1, end) + 1;
      layout.alignment = afrpc_value_writer_get_layout (self, index + 1)->alignment;
      break;
    case '(':
    case '{':
      depth = measure_members (self, type, end, &layout);
      break;
    default:
      break;
    }
  layout.length = *end - type;
  g_array_index (self->layouts, AfrpcValueLayout, index) = layout;
  return depth;
}

guint
afrpc_value_writer_push_type (AfrpcValueWriter *self,
                              const char       *type,
                              gsize             length,
                              guint            *depth)
{
  const guint index = self->layouts->len;
  const char *end;

  *depth = measure (self, type, &end);
  g_assert (end == type + length);
  return index;
}

void
afrpc_value_writer_pop_type (AfrpcValueWriter *self,
                             guint             type)
{
  g_array_set_size (self->layouts, type);
}

/* Bytes */

guint8 *
afrpc_value_writer_add (AfrpcValueWriter *self,
                        gsize             size)
{
  guint8 *at;

  if (size > self->allocated - self->size)
    {
      self->allocated = MAX (2 * self->allocated, self->size + size);
      self->data = g_realloc (self->data, self->allocated);
    }
  at = self->data + self->size;
  self->size += size;
  return at;
}

void
afrpc_value_writer_shorten (AfrpcValueWriter *self,
                            gsize             by)
{
  self->size -= by;
}

static void
pad (AfrpcValueWriter *self,
     gsize             size)
{
  const gsize n = size - self->size;

  if (n > 0)
    memset (afrpc_value_writer_add (self, n), 0, n);
}

void
afrpc_value_writer_align (AfrpcValueWriter *self,
                          guint             type)
{
  pad (self, align_size (self->size, afrpc_value_writer_get_layout (self, type)->alignment));
}

/* Containers. What they begin with is aligned for all that is in them, so that places in the whole are as
 * good as places in the container. */

AfrpcValueContainer
afrpc_value_writer_open (const AfrpcValueWriter *self)
{
  return (AfrpcValueContainer) { self->size, self->ends->len };
}

void
afrpc_value_writer_note_end (AfrpcValueWriter          *self,
                             const AfrpcValueContainer *container)
{
  const gsize end = self->size - container->start;

  g_array_append_val (self->ends, end);
}

/* How many bytes each end takes: what the whole can be told by, including them. */
static guint
choose_end_size (gsize size,
                 gsize n)
{
  if (size + n <= G_MAXUINT8)
    return 1;
  if (size + 2 * n <= G_MAXUINT16)
    return 2;
  if (size + 4 * n <= G_MAXUINT32)
    return 4;
  return 8;
}

void
afrpc_value_writer_close (AfrpcValueWriter          *self,
                          const AfrpcValueContainer *container,
                          guint                      type)
{
  const AfrpcValueLayout *layout = afrpc_value_writer_get_layout (self, type);
  const guint n = self->ends->len - container->first_end;
  const guint size = choose_end_size (self->size - container->start, n);
  guint8 *at;

  if (layout->fixed_size > 0)
    pad (self, container->start + layout->fixed_size);
  if (n == 0)
    return;

  at = afrpc_value_writer_add (self, (gsize) n * size);
  for (guint i = 0; i < n; i++, at += size)
    {
      /* Those of a tuple are written from the last to the first. */
      const guint j = container->first_end + (layout->code == 'a' ? i : n - 1 - i);
      const guint64 end = GUINT64_TO_LE ((guint64) g_array_index (self->ends, gsize, j));

      memcpy (at, &end, size);
    }
  g_array_set_size (self->ends, container->first_end);
}

GVariant *
afrpc_value_writer_end (AfrpcValueWriter *self,
                        guint             type)
{
  const guint length = afrpc_value_writer_get_layout (self, type)->length;
  g_autofree char *string = g_malloc (length + 1);
  g_autoptr(GBytes) bytes = NULL;

  for (guint i = 0; i < length; i++)
    string[i] = afrpc_value_writer_get_layout (self, type + i)->code;
  string[length] = '\0';
  if (self->size < self->allocated)
    self->data = g_realloc (self->data, self->size);
  bytes = g_bytes_new_take (g_steal_pointer (&self->data), self->size);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (string), bytes, TRUE));
}
