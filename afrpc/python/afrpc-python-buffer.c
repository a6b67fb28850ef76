/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc.Buffer, in workers, which in programs is Afrpc.Buffer: what AfrpcBuffer is, as an object that has a buffer. */
#include "config.h"

#include "afrpc-python-array.h"
#include "afrpc-python-worker.h"

#include <string.h>

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

#define SMALL 65536 /* bytes that are copied sooner than other threads are let in */

typedef struct
{
  PyObject_HEAD
  AfrpcBuffer *buffer;
  Py_ssize_t n_writers; /* views that can be written to, and who writes at the moment */
} Buffer;

static PyObject *
wrap (PyTypeObject *type,
      AfrpcBuffer  *buffer, /* (transfer full) (nullable) */
      GError       *error)  /* (transfer full) (nullable) */
{
  Buffer *self;

  if (buffer == NULL)
    return afrpc_python_raise (error);

  self = (Buffer *) type->tp_alloc (type, 0);
  if (self != NULL)
    self->buffer = buffer;
  else
    afrpc_buffer_unref (buffer);

  return (PyObject *) self;
}

static PyObject *
buffer_new (PyTypeObject *type,
            PyObject     *args,
            PyObject     *keywords)
{
  static const char *const names[] = { "size", "flags", NULL };
  AfrpcBuffer *buffer;
  GError *error = NULL;
  int flags = 0;
  Py_ssize_t size;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "n|i:Buffer", (char **) names, &size, &flags))
    return NULL;
  if (size <= 0)
    return PyErr_Format (PyExc_ValueError, "a buffer has at least 1 byte, not %zd", size);

  Py_BEGIN_ALLOW_THREADS
  buffer = afrpc_buffer_new (size, flags, &error);
  Py_END_ALLOW_THREADS

  return wrap (type, buffer, error);
}

static PyObject *
buffer_new_take_fd (PyTypeObject *type,
                    PyObject     *args,
                    PyObject     *keywords)
{
  static const char *const names[] = { "fd", "size", "flags", NULL };
  AfrpcBuffer *buffer;
  GError *error = NULL;
  int fd, flags = 0;
  Py_ssize_t size = 0;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "i|ni:new_take_fd", (char **) names, &fd, &size, &flags))
    return NULL;
  if (size < 0)
    return PyErr_Format (PyExc_ValueError, "a size is not below 0");

  buffer = afrpc_buffer_new_take_fd (fd, size, flags, &error);

  return wrap (type, buffer, error);
}

static void
buffer_dealloc (Buffer *self)
{
  PyTypeObject *type = Py_TYPE (self);

  g_clear_pointer (&self->buffer, afrpc_buffer_unref);
  type->tp_free (self);
  Py_DECREF (type);
}

/* Writing */

static gboolean
check_write (Buffer          *self,
             Py_ssize_t       offset,
             const Py_buffer *data)
{
  const gsize size = afrpc_buffer_get_size (self->buffer);

  if (afrpc_buffer_is_sealed (self->buffer))
    PyErr_SetString (PyExc_ValueError, "the buffer is sealed");
  else if (data->format != NULL && strchr (data->format, 'O') != NULL)
    PyErr_SetString (PyExc_TypeError, "objects cannot be written");
  else if (offset < 0 || (gsize) offset > size || (gsize) data->len > size - offset)
    PyErr_Format (PyExc_ValueError, "%zd bytes at %zd do not fit into a buffer of %zu", data->len, offset, size);
  else
    return TRUE;

  return FALSE;
}

static int
copy (Buffer          *self,
      Py_ssize_t       offset,
      const Py_buffer *data)
{
  guint8 *to = afrpc_buffer_get_data (self->buffer) + offset;

  if (!PyBuffer_IsContiguous (data, 'C'))
    return PyBuffer_ToContiguous (to, data, data->len, 'C');
  if (data->len < SMALL)
    {
      memmove (to, data->buf, data->len);
      return 0;
    }

  self->n_writers++;
  Py_BEGIN_ALLOW_THREADS
  memmove (to, data->buf, data->len);
  Py_END_ALLOW_THREADS
  self->n_writers--;

  return 0;
}

static PyObject *
buffer_write (Buffer   *self,
              PyObject *args,
              PyObject *keywords)
{
  static const char *const names[] = { "offset", "data", NULL };
  PyObject *object;
  Py_buffer data;
  Py_ssize_t offset;
  int status = -1;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "nO:write", (char **) names, &offset, &object) ||
      PyObject_GetBuffer (object, &data, PyBUF_FULL_RO) != 0)
    return NULL;
  if (check_write (self, offset, &data))
    status = copy (self, offset, &data);
  PyBuffer_Release (&data);
  if (status != 0)
    return NULL;

  Py_RETURN_NONE;
}

static PyObject *
buffer_seal (Buffer   *self,
             PyObject *unused)
{
  GError *error = NULL;

  if (self->n_writers > 0)
    {
      PyErr_SetString (PyExc_BufferError, "views of the buffer, such as memoryviews and arrays, can still be written "
                       "to: it can be sealed when they are gone");
      return NULL;
    }
  if (!afrpc_buffer_seal (self->buffer, &error))
    return afrpc_python_raise (error);

  Py_RETURN_TRUE;
}

/* Reading */

/* What reads needs the memory only, and not a buffer that could be passed on. */
static int
get_sealed (Buffer    *self,
            Py_buffer *view,
            int        flags)
{
  GBytes *bytes = afrpc_buffer_get_bytes (self->buffer);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  PyObject *memory = (PyObject *) afrpc_python_view_new_row (bytes, data, size, "B");
  int status = -1;

  if (memory != NULL)
    status = PyObject_GetBuffer (memory, view, flags);
  Py_XDECREF (memory);

  return status;
}

static int
buffer_get_buffer (Buffer    *self,
                   Py_buffer *view,
                   int        flags)
{
  view->obj = NULL;
  if (afrpc_buffer_is_sealed (self->buffer))
    return get_sealed (self, view, flags);
  if (PyBuffer_FillInfo (view, (PyObject *) self, afrpc_buffer_get_data (self->buffer),
                         afrpc_buffer_get_size (self->buffer), FALSE, flags) != 0)
    return -1;
  self->n_writers++;

  return 0;
}

static void
buffer_release_buffer (Buffer    *self,
                       Py_buffer *view)
{
  self->n_writers--;
}

static PyObject *
buffer_get_bytes (Buffer   *self,
                  PyObject *unused)
{
  if (!afrpc_buffer_is_sealed (self->buffer))
    {
      PyErr_SetString (PyExc_ValueError, "the buffer is not sealed");
      return NULL;
    }
  if (!afrpc_python_has_pygobject ())
    {
      PyErr_SetString (PyExc_RuntimeError, "there is no GLib.Bytes without PyGObject: use memoryview (buffer)");
      return NULL;
    }

  return pyg_boxed_new (G_TYPE_BYTES, afrpc_buffer_get_bytes (self->buffer), FALSE, TRUE);
}

static Py_ssize_t
buffer_length (Buffer *self)
{
  return afrpc_buffer_get_size (self->buffer);
}

static PyObject *
buffer_get_size (Buffer   *self,
                 PyObject *unused)
{
  return PyLong_FromSize_t (afrpc_buffer_get_size (self->buffer));
}

static PyObject *
buffer_is_sealed (Buffer   *self,
                  PyObject *unused)
{
  return PyBool_FromLong (afrpc_buffer_is_sealed (self->buffer));
}

static PyObject *
buffer_get_fd (Buffer   *self,
               PyObject *unused)
{
  return PyLong_FromLong (afrpc_buffer_get_fd (self->buffer));
}

/* As a file has it: so a buffer can be sent as one. */
static PyObject *
buffer_fileno (Buffer   *self,
               PyObject *unused)
{
  const int fd = afrpc_buffer_get_fd (self->buffer);

  if (fd >= 0)
    return PyLong_FromLong (fd);

  PyErr_SetString (PyExc_ValueError, "a buffer that is to be used again has no file descriptor before it is sealed");
  return NULL;
}

static PyObject *
buffer_repr (Buffer *self)
{
  return PyUnicode_FromFormat ("<afrpc.Buffer of %zu bytes, %s>", afrpc_buffer_get_size (self->buffer),
                               afrpc_buffer_is_sealed (self->buffer) ? "sealed" : "to be written");
}

PyDoc_STRVAR (buffer_doc,
              "Buffer(size, flags=0)\n--\n\n"
              "Memory that is written in one process and read in another, where it lies: memoryview(buffer).");

static PyMethodDef buffer_methods[] = {
  { "new", (PyCFunction) (void (*) (void)) buffer_new, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
    "new($type, /, size, flags=0)\n--\n\nGets a buffer to write to." },
  { "new_take_fd", (PyCFunction) (void (*) (void)) buffer_new_take_fd, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
    "new_take_fd($type, /, fd, size=0, flags=0)\n--\n\n"
    "Gets a buffer from the descriptor that another process sent, which it takes." },
  { "write", (PyCFunction) (void (*) (void)) buffer_write, METH_VARARGS | METH_KEYWORDS,
    "write($self, /, offset, data)\n--\n\nCopies the bytes of anything that has a buffer." },
  { "seal", (PyCFunction) buffer_seal, METH_NOARGS, "seal($self, /)\n--\n\nEnds writing; returns True." },
  { "is_sealed", (PyCFunction) buffer_is_sealed, METH_NOARGS, "is_sealed($self, /)\n--\n\nWhether writing has ended." },
  { "get_size", (PyCFunction) buffer_get_size, METH_NOARGS, "get_size($self, /)\n--\n\nThe same as len()." },
  { "get_bytes", (PyCFunction) buffer_get_bytes, METH_NOARGS,
    "get_bytes($self, /)\n--\n\nThe memory as GLib.Bytes, in a program that has PyGObject." },
  { "get_fd", (PyCFunction) buffer_get_fd, METH_NOARGS,
    "get_fd($self, /)\n--\n\nThe file descriptor to pass the buffer on by, which stays the buffer's, or -1." },
  { "fileno", (PyCFunction) buffer_fileno, METH_NOARGS, "fileno($self, /)\n--\n\nThe same, or a ValueError." },
  { NULL },
};

static PyType_Slot buffer_slots[] = {
  { Py_tp_doc, (void *) buffer_doc },
  { Py_tp_new, buffer_new },
  { Py_tp_dealloc, buffer_dealloc },
  { Py_tp_repr, buffer_repr },
  { Py_tp_methods, buffer_methods },
  { Py_sq_length, buffer_length },
  { Py_bf_getbuffer, buffer_get_buffer },
  { Py_bf_releasebuffer, buffer_release_buffer },
  { 0, NULL },
};

static PyType_Spec buffer_spec = {
  .name = "afrpc.Buffer",
  .basicsize = sizeof (Buffer),
  .flags = Py_TPFLAGS_DEFAULT,
  .slots = buffer_slots,
};

int
afrpc_python_buffer_register (PyObject *module)
{
  PyObject *type = PyType_FromSpec (&buffer_spec);
  PyObject *reused = PyLong_FromLong (AFRPC_BUFFER_REUSED);
  int status = -1;

  /* Workers have no Afrpc.BufferFlags. */
  if (type != NULL && reused != NULL && PyObject_SetAttrString (type, "REUSED", reused) == 0)
    status = PyModule_AddObjectRef (module, "Buffer", type);
  Py_XDECREF (reused);
  Py_XDECREF (type);

  return status;
}
