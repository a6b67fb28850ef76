/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The bytes of a GVariant in normal form, written one after the other: no value in it ever is an object
 * of its own, so that what a peer makes this allocate is in proportion to what the peer sends. The
 * format is that of the GVariant specification, section 2.
 *
 * A type is a number: where in a table its layout is. Types that a value holds follow its own:
 * that of an element or a first member by 1, that of the next member by the length of the one before. */

typedef struct
{
  gsize fixed_size;   /* bytes, 0: it varies */
  guint length;       /* characters of the type string that begins here */
  char code;          /* the first of those characters */
  guint8 alignment;   /* bytes, minus 1 */
} AfrpcValueLayout;

typedef struct
{
  guint8 *data;
  gsize size;
  gsize allocated;
  GArray *layouts;    /* (element-type AfrpcValueLayout) */
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

/* Adds a valid type to the table, of which it becomes the last; sets @depth to how many values of that
 * type are in each other, as GLib counts: basic types and () are one. */
guint     afrpc_value_writer_push_type (AfrpcValueWriter          *self,
                                        const char                *type,
                                        gsize                      length,
                                        guint                     *depth);
void      afrpc_value_writer_pop_type  (AfrpcValueWriter          *self,
                                        guint                      type);

static inline const AfrpcValueLayout *
afrpc_value_writer_get_layout (const AfrpcValueWriter *self,
                               guint                   type)
{
  return &g_array_index (self->layouts, AfrpcValueLayout, type);
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
