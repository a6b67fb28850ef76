/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-array.h"

/* @bytes: (transfer full)
 * Returns: (nullable): one that has to be filled in */
AfrpcPythonView *
afrpc_python_view_new (GBytes *bytes,
                       int     n_dimensions)
{
  AfrpcPythonView *self = PyObject_NewVar (AfrpcPythonView, afrpc_python_view_type, 2 * n_dimensions);

  if (self == NULL)
    {
      g_bytes_unref (bytes);
      return NULL;
    }
  self->bytes = bytes;
  self->n_dimensions = n_dimensions;

  return self;
}

/* So many elements, one after the other. @bytes: (transfer full) */
AfrpcPythonView *
afrpc_python_view_new_row (GBytes       *bytes,
                           const guint8 *data,
                           gsize         n,
                           const char   *format)
{
  AfrpcPythonView *self = afrpc_python_view_new (bytes, 1);

  if (self == NULL)
    return NULL;

  self->data = data;
  self->kind = AFRPC_PYTHON_MEMORY;
  self->is_transposed = FALSE;
  self->places[0] = self->n_elements = n;
  afrpc_python_element_parse (&self->element, format);
  self->places[1] = self->element.size;

  return self;
}

static void
view_dealloc (AfrpcPythonView *self)
{
  PyTypeObject *type = Py_TYPE (self);

  g_bytes_unref (self->bytes);
  PyObject_Free (self);
  Py_DECREF (type);
}

static int
view_get_buffer (AfrpcPythonView *self,
                 Py_buffer       *view,
                 int              flags)
{
  const gboolean is_plain = self->n_dimensions < 2;

  view->obj = NULL;
  if ((flags & PyBUF_WRITABLE) != 0)
    {
      PyErr_SetString (PyExc_BufferError, "what was received is read-only");
      return -1;
    }
  /* Whoever does not ask for strides takes it to be in the order of C. */
  if (!is_plain && (self->is_transposed
                      ? (flags & PyBUF_STRIDES) != PyBUF_STRIDES || (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS
                      : (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS))
    {
      PyErr_SetString (PyExc_BufferError, "the array is in another order");
      return -1;
    }

  view->obj = Py_NewRef (self);
  view->buf = (void *) self->data;
  view->len = self->n_elements * self->element.size;
  view->readonly = 1;
  view->itemsize = self->element.size;
  view->format = (flags & PyBUF_FORMAT) != 0 ? self->element.format : NULL;
  view->ndim = self->n_dimensions;
  view->shape = (flags & PyBUF_ND) != 0 ? self->places : NULL;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->places + self->n_dimensions : NULL;
  view->suboffsets = NULL;
  view->internal = NULL;

  return 0;
}

static PyType_Slot view_slots[] = {
  { Py_tp_dealloc, view_dealloc },
  { Py_bf_getbuffer, view_get_buffer },
  { 0, NULL },
};

static PyType_Spec view_spec = {
  .name = "afrpc._View",
  .basicsize = sizeof (AfrpcPythonView),
  .itemsize = sizeof (Py_ssize_t),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = view_slots,
};

PyTypeObject *
afrpc_python_view_make_type (void)
{
  return (PyTypeObject *) PyType_FromSpec (&view_spec);
}
