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
} AfrpcJsonLayout;

typedef struct
{
  guint8 *data;
  gsize size;
  gsize allocated;
  GArray *layouts;    /* (element-type AfrpcJsonLayout) */
  GArray *ends;       /* (element-type gsize): where values in open containers end that must be noted */
} AfrpcJsonWriter;

/* A container that is being written. */
typedef struct
{
  gsize start;
  guint first_end;
} AfrpcJsonContainer;

void     afrpc_json_writer_init      (AfrpcJsonWriter          *self,
                                      gsize                     size_hint);
void     afrpc_json_writer_clear     (AfrpcJsonWriter          *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcJsonWriter, afrpc_json_writer_clear)

/* Adds a valid type to the table, of which it becomes the last; sets @depth to how many values of that
 * type are in each other, as GLib counts: basic types and () are one. */
guint    afrpc_json_writer_push_type (AfrpcJsonWriter          *self,
                                      const char               *type,
                                      gsize                     length,
                                      guint                    *depth);
void     afrpc_json_writer_pop_type  (AfrpcJsonWriter          *self,
                                      guint                     type);

static inline const AfrpcJsonLayout *
afrpc_json_writer_get_layout (const AfrpcJsonWriter *self,
                              guint                  type)
{
  return &g_array_index (self->layouts, AfrpcJsonLayout, type);
}

/* Room for so many bytes, to be written at once. */
guint8  *afrpc_json_writer_add       (AfrpcJsonWriter          *self,
                                      gsize                     size);
void     afrpc_json_writer_shorten   (AfrpcJsonWriter          *self,
                                      gsize                     by);
void     afrpc_json_writer_align     (AfrpcJsonWriter          *self,
                                      guint                     type);

/* A container: for each value in it align, write, and note its end if the format wants that. */
AfrpcJsonContainer afrpc_json_writer_open (AfrpcJsonWriter     *self);
void     afrpc_json_writer_note_end  (AfrpcJsonWriter          *self,
                                      const AfrpcJsonContainer *container);
void     afrpc_json_writer_close     (AfrpcJsonWriter          *self,
                                      const AfrpcJsonContainer *container,
                                      guint                     type);

/* Gives away what was written, as a value that is not floating. */
GVariant *afrpc_json_writer_end      (AfrpcJsonWriter          *self,
                                      const GVariantType       *type);

G_END_DECLS
