/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value-writer.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/afrpc-offset.h"

#define SIZE_MIN 64u
#define ENDS_MIN 16u
#define RELEASE_PIECE (2u << 20) /* bytes */

void
afrpc_value_writer_init (AfrpcValueWriter *self,
                         gsize             size_hint)
{
  *self = (AfrpcValueWriter) { NULL };
  afrpc_value_writer_grow (self, MAX (size_hint, SIZE_MIN));
}

void
afrpc_value_writer_clear (AfrpcValueWriter *self)
{
  g_clear_pointer (&self->data, g_free);
  g_clear_pointer (&self->layouts, g_free);
  g_clear_pointer (&self->ends, g_free);
}

/* The system takes a while to take back what is large, and g_free () would have it do so at once. The pages are gone
 * afterwards, the memory is still allocated. */
gboolean
afrpc_value_writer_release (AfrpcValueWriter *self)
{
  const gsize page = sysconf (_SC_PAGESIZE);
  const guintptr ends = (guintptr) self->ends;
  const guintptr first = ((ends + page - 1) & ~(page - 1)) + self->ends_released;
  const guintptr last = (ends + self->ends_allocated * sizeof *self->ends) & ~(page - 1);
  gsize size;

  if (self->ends == NULL || first >= last || last - ends <= RELEASE_PIECE)
    return FALSE;

  size = MIN (last - first, RELEASE_PIECE);
  madvise ((gpointer) first, size, MADV_DONTNEED);
  self->n_ends = 0;
  self->ends_released += size;

  return first + size < last;
}

/* Types */

gboolean
afrpc_value_writer_push_type (AfrpcValueWriter *self,
                              const char       *type,
                              gsize             length,
                              guint            *index)
{
  *index = self->n_layouts;
  if (length == 0 || length > AFRPC_LAYOUT_TYPE_MAX)
    return FALSE;

  /* As many as there are values in each other, at most. */
  if (length > self->layouts_allocated - self->n_layouts)
    {
      self->layouts_allocated = MAX (2 * self->layouts_allocated, self->n_layouts + MAX (length, SIZE_MIN));
      self->layouts = g_renew (AfrpcLayout, self->layouts, self->layouts_allocated);
    }
  if (!afrpc_layout_init (self->layouts + *index, type, length))
    return FALSE;

  self->n_layouts += length;
  return TRUE;
}

void
afrpc_value_writer_pop_type (AfrpcValueWriter *self,
                             guint             type)
{
  self->n_layouts = type;
}

/* Bytes */

/* Makes room for so many more. */
gboolean
afrpc_value_writer_grow (AfrpcValueWriter *self,
                         gsize             size)
{
  const gsize needed = self->size + size;
  guint8 *data = NULL;
  gsize allocated = MAX (2 * self->allocated, needed);

  if (!self->has_failed && needed >= size)
    data = g_try_realloc (self->data, allocated);
  /* What is enough may still be there. */
  if (data == NULL && !self->has_failed && needed >= size)
    data = g_try_realloc (self->data, allocated = needed);
  if (data == NULL)
    {
      self->has_failed = TRUE;
      return FALSE;
    }

  self->data = data;
  self->allocated = allocated;
  return TRUE;
}

static void
pad (AfrpcValueWriter *self,
     gsize             size)
{
  const gsize n = size - self->size;
  guint8 *at = n > 0 ? afrpc_value_writer_add (self, n) : NULL;

  if (at != NULL)
    memset (at, 0, n);
}

/* Containers. What they begin with is aligned for all that is in them, so that places in the whole are as
 * good as places in the container. */

gboolean
afrpc_value_writer_grow_ends (AfrpcValueWriter *self)
{
  const gsize allocated = MAX (2 * self->ends_allocated, ENDS_MIN);
  gsize *ends = g_try_renew (gsize, self->ends, allocated);

  if (ends == NULL)
    {
      self->has_failed = TRUE;
      return FALSE;
    }

  self->ends = ends;
  self->ends_allocated = allocated;
  return TRUE;
}

gboolean
afrpc_value_writer_begin_close (AfrpcValueWriter          *self,
                                const AfrpcValueContainer *container,
                                guint                      type)
{
  const AfrpcLayout *layout = afrpc_value_writer_get_layout (self, type);
  const gsize n = self->n_ends - container->first_end;

  if (layout->fixed_size > 0)
    pad (self, container->start + layout->fixed_size);

  self->closing_first = container->first_end;
  self->closing_done = 0;
  self->closing_size = afrpc_offset_choose_size (self->size - container->start, n);
  /* Those of a tuple. */
  self->closing_last = layout->code != 'a';

  return afrpc_value_writer_continue (self, n <= AFRPC_VALUE_WRITER_FEW ? n : 0);
}

void
afrpc_value_writer_close (AfrpcValueWriter          *self,
                          const AfrpcValueContainer *container,
                          guint                      type)
{
  if (!afrpc_value_writer_begin_close (self, container, type))
    afrpc_value_writer_continue (self, G_MAXSIZE);
}

static inline void
write_end (guint8 *at,
           gsize   end,
           guint   size)
{
  const guint64 bytes = GUINT64_TO_LE ((guint64) end);

  switch (size)
    {
    case 1:
      memcpy (at, &bytes, 1);
      break;
    case 2:
      memcpy (at, &bytes, 2);
      break;
    case 4:
      memcpy (at, &bytes, 4);
      break;
    default:
      memcpy (at, &bytes, 8);
      break;
    }
}

gboolean
afrpc_value_writer_continue (AfrpcValueWriter *self,
                             gsize             n)
{
  const gsize n_ends = self->n_ends - self->closing_first;
  const gsize done = self->closing_done;
  guint8 *at;

  n = MIN (n, n_ends - done);
  at = afrpc_value_writer_add (self, n * self->closing_size);
  for (gsize i = done; at != NULL && i < done + n; i++, at += self->closing_size)
    write_end (at, self->ends[self->closing_first + (self->closing_last ? n_ends - 1 - i : i)], self->closing_size);

  self->closing_done += n;
  if (self->closing_done < n_ends)
    return FALSE;

  self->n_ends = self->closing_first;
  return TRUE;
}

GVariant *
afrpc_value_writer_end (AfrpcValueWriter *self,
                        guint             type)
{
  const AfrpcLayout *layout = afrpc_value_writer_get_layout (self, type);
  char string[AFRPC_LAYOUT_TYPE_MAX + 1];
  g_autoptr(GBytes) bytes = NULL;

  if (self->has_failed)
    return NULL;

  for (guint i = 0; i < layout->length; i++)
    string[i] = layout[i].code;
  string[layout->length] = '\0';
  if (self->size < self->allocated)
    self->data = g_realloc (self->data, self->size);
  bytes = g_bytes_new_take (g_steal_pointer (&self->data), self->size);

  return g_variant_ref_sink (g_variant_new_from_bytes ((const GVariantType *) string, bytes, TRUE));
}
