/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "wire/afrpc-layout.h"

G_BEGIN_DECLS

/* The bytes of a GVariant in normal form, written one after the other: no value in it ever is an object
 * of its own, so that what a peer makes this allocate is in proportion to what the peer sends. The
 * format is that of the GVariant specification, section 2.
 *
 * A type is a number: where in a table its layout is. Types that a value holds follow its own:
 * that of an element or a first member by 1, that of the next member by the length of the one before. */

typedef struct
{
  guint8 *data;
  gsize size;
  gsize allocated;
  GArray *layouts;    /* (element-type AfrpcLayout) */
  GArray *ends;       /* (element-type gsize): where values in open containers end that must be noted */
} AfrpcValueWriter;

/* A container that is being written. */
typedef struct
{
  gsize start;
  guint first_end;
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
  return &g_array_index (self->layouts, AfrpcLayout, type);
}

/* Room for so many bytes, to be written at once. */
guint8   *afrpc_value_writer_add       (AfrpcValueWriter          *self,
                                        gsize                      size);
void      afrpc_value_writer_shorten   (AfrpcValueWriter          *self,
                                        gsize                      by);
void      afrpc_value_writer_align     (AfrpcValueWriter          *self,
                                        guint                      type);

/* A container: for each value in it align, write, and note its end if the format wants that. */
AfrpcValueContainer afrpc_value_writer_open (const AfrpcValueWriter *self);
void      afrpc_value_writer_note_end  (AfrpcValueWriter          *self,
                                        const AfrpcValueContainer *container);
void      afrpc_value_writer_close     (AfrpcValueWriter          *self,
                                        const AfrpcValueContainer *container,
                                        guint                      type);

/* Gives away what was written, as a value of that type that is not floating. */
GVariant *afrpc_value_writer_end       (AfrpcValueWriter          *self,
                                        guint                      type);

G_END_DECLS
