/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What writes the bytes of a GVariant, in which no value in it is an object of its own: the GVariant specification,
 * section 2. All that is packed may run Python code: lists and dictionaries can change meanwhile, and other values be
 * packed. What fails has set an exception; where in the value that was, is noted on the way back. */
#pragma once

#include <string.h>

#include "afrpc-python-codec.h"

G_BEGIN_DECLS

/* GVariant reads no value that is nested more than 128 deep; the rest is for what the library puts around. */
#define AFRPC_PYTHON_DEPTH_MAX 120

typedef struct
{
  guint8 *data;
  gsize size;
  gsize allocated;      /* with a pad of 8 bytes that only afrpc_python_packer_align() uses */
  gsize *ends;          /* where values end in containers that are open, relative to these */
  gsize n_ends;
  gsize n_ends_allocated;
  GString *types;       /* of what has been written and is not yet part of a container */
  PyObject *hooks;      /* (nullable) */
  gboolean are_args;    /* the whole is the arguments of a call */
  gboolean is_refused;  /* the exception is one of this side's own words */
  GPtrArray *places;    /* (nullable) (element-type utf8): where it failed, the innermost first */
  char *wanted;         /* (nullable): as what it could not be sent, where that of somebody else is what failed */
  PyObject *too_deep;   /* (nullable): what would have been nested too deep, only to be compared */
  char *endless;        /* (nullable): what contains itself */
} AfrpcPythonPacker;

/* What has been packed: a bit for what varies in size, and the alignment, minus 1. */
typedef enum
{
  AFRPC_PYTHON_UNSENDABLE = -2, /* it failed before anything was written: something else may be sent instead */
  AFRPC_PYTHON_FAILED = -1,
  AFRPC_PYTHON_ALIGNMENT = 7,
  AFRPC_PYTHON_VARIES = 8,
} AfrpcPythonPacked;

/* A container that is being written. It begins where whatever is in it could begin, so that places in the whole are
 * as good as places in the container. */
typedef struct
{
  gsize start;
  gsize n_ends;
} AfrpcPythonContainer;

AfrpcPythonPacker *afrpc_python_packer_begin   (PyObject           *hooks,
                                                gboolean            are_args);
GVariant          *afrpc_python_packer_end     (AfrpcPythonPacker  *self);
void               afrpc_python_packer_tell_place (AfrpcPythonPacker *self);
gboolean           afrpc_python_packer_grow    (AfrpcPythonPacker  *self,
                                                gsize               size);
gboolean           afrpc_python_packer_grow_ends (AfrpcPythonPacker *self,
                                                gsize               n);
gboolean           afrpc_python_packer_close   (AfrpcPythonPacker          *self,
                                                const AfrpcPythonContainer *container,
                                                gboolean                    is_array);
gboolean           afrpc_python_packer_fill    (AfrpcPythonPacker  *self,
                                                gsize               size);

/* What went wrong, and where: return FALSE. */
gboolean           afrpc_python_refuse         (AfrpcPythonPacker  *self,
                                                PyObject           *type,
                                                const char         *format,
                                                ...) G_GNUC_PRINTF (3, 4);
gboolean           afrpc_python_refuse_change  (AfrpcPythonPacker  *self,
                                                PyObject           *object);
gboolean           afrpc_python_note_place     (AfrpcPythonPacker  *self,
                                                guint               depth,
                                                Py_ssize_t          index);
gboolean           afrpc_python_note_key       (AfrpcPythonPacker  *self,
                                                PyObject           *key);
gboolean           afrpc_python_note_container (AfrpcPythonPacker  *self,
                                                PyObject           *container);

/* Values whose types their own types decide: that is added to the types. */
AfrpcPythonPacked  afrpc_python_pack_any       (AfrpcPythonPacker  *self,
                                                PyObject           *object,
                                                guint               depth);
gboolean           afrpc_python_pack_boxed     (AfrpcPythonPacker  *self,
                                                PyObject           *object,
                                                guint               depth);

/* What both ways to pack have in common. */
gboolean           afrpc_python_check_depth    (AfrpcPythonPacker  *self,
                                                PyObject           *object,
                                                guint               depth);
gboolean           afrpc_python_pack_text      (AfrpcPythonPacker  *self,
                                                PyObject           *object);
gboolean           afrpc_python_pack_octets    (AfrpcPythonPacker  *self,
                                                const void         *octets,
                                                gsize               size);
GVariant          *afrpc_python_peek_variant   (PyObject           *object);
AfrpcPythonPacked  afrpc_python_pack_variant   (AfrpcPythonPacker  *self,
                                                GVariant           *value);
gboolean           afrpc_python_has_default    (AfrpcPythonPacker  *self);

/* What has a buffer. */
gboolean           afrpc_python_is_scalar          (PyObject           *object);
gboolean           afrpc_python_is_date            (PyObject           *object);
gboolean           afrpc_python_is_sendable_buffer (PyObject           *object);
AfrpcPythonPacked  afrpc_python_pack_buffer        (AfrpcPythonPacker  *self,
                                                    PyObject           *object);
int                afrpc_python_pack_numbers       (AfrpcPythonPacker  *self,
                                                    PyObject           *object,
                                                    char                code);
PyObject          *afrpc_python_list_buffer        (PyObject           *object);

/* Room for so many bytes, after a pad. */
static inline gboolean
afrpc_python_packer_reserve (AfrpcPythonPacker *self,
                             gsize              size)
{
  return size + 16 <= self->allocated - self->size || afrpc_python_packer_grow (self, size + 16);
}

/* These need that room. */

static inline void
afrpc_python_packer_pad (AfrpcPythonPacker *self,
                         guint              alignment) /* minus 1 */
{
  memset (self->data + self->size, 0, 8);
  self->size = (self->size + alignment) & ~(gsize) alignment;
}

static inline void
afrpc_python_packer_add (AfrpcPythonPacker *self,
                         const void        *data,
                         gsize              size)
{
  memcpy (self->data + self->size, data, size);
  self->size += size;
}

static inline gboolean
afrpc_python_packer_align (AfrpcPythonPacker *self,
                           guint              alignment)
{
  if (!afrpc_python_packer_reserve (self, 0))
    return FALSE;
  afrpc_python_packer_pad (self, alignment);

  return TRUE;
}

/* Aligns for whatever is in the container. */
static inline gboolean
afrpc_python_packer_open (AfrpcPythonPacker    *self,
                          guint                 alignment,
                          AfrpcPythonContainer *container)
{
  if (!afrpc_python_packer_align (self, alignment))
    return FALSE;
  container->start = self->size;
  container->n_ends = self->n_ends;

  return TRUE;
}

/* A value of no fixed size has ended. */
static inline gboolean
afrpc_python_packer_note_end (AfrpcPythonPacker          *self,
                              const AfrpcPythonContainer *container)
{
  if (self->n_ends == self->n_ends_allocated && !afrpc_python_packer_grow_ends (self, 1))
    return FALSE;
  self->ends[self->n_ends++] = self->size - container->start;

  return TRUE;
}

G_END_DECLS
