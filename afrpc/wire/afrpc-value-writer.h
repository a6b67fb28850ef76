/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

#include "wire/afrpc-layout.h"

G_BEGIN_DECLS

/* The bytes of a GVariant in normal form, written one after the other: no value in it ever is an object
 * of its own, so that what a peer makes this allocate is in proportion to what the peer sends. The
 * format is that of the GVariant specification, section 2.
 *
 * A type is a number: where in a table its layout is. Types that a value holds follow its own:
 * that of an element or a first member by 1, that of the next member by the length of the one before.
 *
 * Where there is no more memory, nothing more is written, and @has_failed says so. */

typedef struct
{
  guint8 *data;
  gsize size;
  gsize allocated;
  gboolean has_failed;

  AfrpcLayout *layouts;
  guint n_layouts;
  guint layouts_allocated;

  /* Where values in open containers end that must be noted, and what of them a container that is being closed has
   * already written down. */
  gsize *ends;
  gsize n_ends;
  gsize ends_allocated;
  gsize ends_released;    /* bytes that were given back */
  gsize closing_first;
  gsize closing_done;
  guint8 closing_size;    /* bytes of an offset */
  gboolean closing_last;  /* from the last to the first */
} AfrpcValueWriter;

/* A container that is being written. */
typedef struct
{
  gsize start;
  gsize first_end;
} AfrpcValueContainer;

void      afrpc_value_writer_init      (AfrpcValueWriter          *self,
                                        gsize                      size_hint);
void      afrpc_value_writer_clear     (AfrpcValueWriter          *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcValueWriter, afrpc_value_writer_clear)

/* Adds a type to the table, of which it becomes the last; FALSE if that is not the type string of a value. */
gboolean  afrpc_value_writer_push_type (AfrpcValueWriter          *self,
                                        const char                *type,
                                        gsize                      length,
                                        guint                     *index);
void      afrpc_value_writer_pop_type  (AfrpcValueWriter          *self,
                                        guint                      type);

/* Valid until the next type is added. */
static inline const AfrpcLayout *
afrpc_value_writer_get_layout (const AfrpcValueWriter *self,
                               guint                   type)
{
  return &self->layouts[type];
}

gboolean  afrpc_value_writer_grow      (AfrpcValueWriter          *self,
                                        gsize                      size);

/* Returns: (nullable): room for so many bytes, to be written at once; NULL if there is none */
static inline guint8 *
afrpc_value_writer_add (AfrpcValueWriter *self,
                        gsize             size)
{
  if (G_UNLIKELY (size > self->allocated - self->size) && !afrpc_value_writer_grow (self, size))
    return NULL;

  self->size += size;
  return self->data + self->size - size;
}

static inline void
afrpc_value_writer_put (AfrpcValueWriter *self,
                        gconstpointer     data,
                        gsize             size)
{
  guint8 *at = afrpc_value_writer_add (self, size);

  if (G_LIKELY (at != NULL))
    memcpy (at, data, size);
}

static inline void
afrpc_value_writer_shorten (AfrpcValueWriter *self,
                            gsize             by)
{
  self->size -= by;
}

static inline void
afrpc_value_writer_align (AfrpcValueWriter *self,
                          guint             type)
{
  const guint alignment = afrpc_value_writer_get_layout (self, type)->alignment;
  const gsize n = -self->size & alignment;
  guint8 *at = n > 0 ? afrpc_value_writer_add (self, 8) : NULL;

  /* They are less than 8 bytes, of which all are written at once. */
  if (at != NULL)
    {
      memset (at, 0, 8);
      self->size -= 8 - n;
    }
}

/* A container: for each value in it align, write, and note its end if the format wants that. */
static inline AfrpcValueContainer
afrpc_value_writer_open (const AfrpcValueWriter *self)
{
  return (AfrpcValueContainer) { self->size, self->n_ends };
}

gboolean  afrpc_value_writer_grow_ends (AfrpcValueWriter          *self);

static inline void
afrpc_value_writer_note_end (AfrpcValueWriter          *self,
                             const AfrpcValueContainer *container)
{
  if (G_LIKELY (self->n_ends < self->ends_allocated) || afrpc_value_writer_grow_ends (self))
    self->ends[self->n_ends++] = self->size - container->start;
}

/* Writes the offsets of a container. */
void      afrpc_value_writer_close     (AfrpcValueWriter          *self,
                                        const AfrpcValueContainer *container,
                                        guint                      type);

/* The same in steps: all of them, if there are not more than AFRPC_VALUE_WRITER_FEW; FALSE if more is to be done by
 * afrpc_value_writer_continue(), which writes so many of them and then returns whether they were the last. */
#define AFRPC_VALUE_WRITER_FEW 256u
gboolean  afrpc_value_writer_begin_close (AfrpcValueWriter          *self,
                                          const AfrpcValueContainer *container,
                                          guint                      type) G_GNUC_WARN_UNUSED_RESULT;
gboolean  afrpc_value_writer_continue  (AfrpcValueWriter          *self,
                                        gsize                      n);

/* Once all containers are closed: gives back a piece of the memory in which their ends were noted. TRUE: there is more. */
gboolean  afrpc_value_writer_release   (AfrpcValueWriter          *self);

/* Gives away what was written, as a value of that type that is not floating; NULL if it has failed. */
GVariant *afrpc_value_writer_end       (AfrpcValueWriter          *self,
                                        guint                      type);

G_END_DECLS
