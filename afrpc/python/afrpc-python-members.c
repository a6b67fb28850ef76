/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-read.h"

#include <string.h>

PyObject *
afrpc_python_read_malformed (void)
{
  PyErr_SetString (PyExc_ValueError, "a malformed value cannot be read");
  return NULL;
}

void
afrpc_python_members_init (AfrpcPythonMembers *self,
                           const AfrpcLayout  *tuple,
                           const guint8       *data,
                           gsize               size)
{
  /* What is empty has no offsets that say so. */
  *self = (AfrpcPythonMembers) { tuple + 1, data, size, 0, size > 0 ? afrpc_python_offset_size (size) : 0 };
}

/* The next member, of the type that self->type is before. FALSE: it is malformed */
gboolean
afrpc_python_members_next (AfrpcPythonMembers  *self,
                           const guint8       **data,
                           gsize               *size)
{
  const AfrpcLayout *type = self->type;
  const gsize start = afrpc_layout_align (self->end, type->alignment);
  gsize end;

  self->type = type + type->length;
  if (type->fixed_size > 0)
    end = start + type->fixed_size;
  else if (afrpc_layout_is_closing (self->type) || self->offset_size == 0)
    end = self->size;
  else if (self->size < self->offset_size)
    return FALSE;
  else
    {
      self->size -= self->offset_size;
      end = afrpc_python_offset (self->data + self->size, self->offset_size);
    }
  if (start > end || end > self->size)
    return FALSE;

  self->end = end;
  *data = self->data + start;
  *size = end - start;

  return TRUE;
}

void
afrpc_python_type_clear (AfrpcPythonType *self)
{
  g_clear_pointer (&self->more, g_free);
}

/* Returns: (nullable): the layout, until the next is got; NULL if it is not the type of a value */
const AfrpcLayout *
afrpc_python_type_get (AfrpcPythonType *self,
                       const char      *string,
                       gsize            length)
{
  AfrpcLayout *layout = self->more != NULL ? self->more : self->few;

  if (length > 0 && length == self->length && memcmp (string, self->string, length) == 0)
    return layout;

  if (length > G_N_ELEMENTS (self->few) && self->more == NULL)
    layout = self->more = g_new (AfrpcLayout, AFRPC_LAYOUT_TYPE_MAX);
  self->string = string;
  self->length = length;
  if (afrpc_layout_init (layout, string, length))
    return layout;

  self->length = 0;
  return NULL;
}
