/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value-writer.h"

#include <string.h>

#define SIZE_MIN 64u

void
afrpc_value_writer_init (AfrpcValueWriter *self,
                         gsize             size_hint)
{
  self->size = 0;
  self->allocated = MAX (size_hint, SIZE_MIN);
  self->data = g_malloc (self->allocated);
  self->layouts = g_array_sized_new (FALSE, FALSE, sizeof (AfrpcLayout), 16);
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

gboolean
afrpc_value_writer_push_type (AfrpcValueWriter *self,
                              const char       *type,
                              gsize             length,
                              guint            *index)
{
  *index = self->layouts->len;
  if (length > AFRPC_LAYOUT_TYPE_MAX)
    return FALSE;

  g_array_set_size (self->layouts, *index + length);
  if (afrpc_layout_init (&g_array_index (self->layouts, AfrpcLayout, *index), type, length))
    return TRUE;

  g_array_set_size (self->layouts, *index);
  return FALSE;
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
  pad (self, afrpc_layout_align (self->size, afrpc_value_writer_get_layout (self, type)->alignment));
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
  const AfrpcLayout *layout = afrpc_value_writer_get_layout (self, type);
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
