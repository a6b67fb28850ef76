/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values as pickles, which are `ay`. A pickle without buffers is that and nothing else, and begins with 0x80. One whose
 * buffers lie beside it begins with
 *
 *   8 bytes of zeros, and the number of buffers
 *   for each buffer its size, and whether it is read-only: 1 or 0
 *   the size of the pickle
 *
 * each a number of 64 bits, little-endian; then come the pickle and the buffers, each at a multiple of 16. */
#include "config.h"

#include "afrpc-python-array.h"

#include <string.h>

#define PROTOCOL 5
#define ALIGNMENT 16
#define COPIED_MAX 4096 /* bytes: what is smaller is copied rather than kept */

static PyObject *dumps, *loads;
static PyObject *dumps_names, *loads_names;

static gboolean
import_pickle (void)
{
  PyObject *pickle;

  if (loads_names != NULL)
    return TRUE;

  pickle = PyImport_ImportModule ("_pickle");
  if (pickle == NULL)
    return FALSE;
  Py_XSETREF (dumps, PyObject_GetAttrString (pickle, "dumps"));
  Py_XSETREF (loads, PyObject_GetAttrString (pickle, "loads"));
  Py_DECREF (pickle);
  if (dumps == NULL || loads == NULL)
    return FALSE;
  if (dumps_names == NULL)
    dumps_names = Py_BuildValue ("(s)", "buffer_callback");
  if (dumps_names != NULL)
    loads_names = Py_BuildValue ("(s)", "buffers");

  return loads_names != NULL;
}

static gsize
align (gsize place)
{
  return (place + ALIGNMENT - 1) & ~(gsize) (ALIGNMENT - 1);
}

static void
object_unref (gpointer object)
{
  PyGILState_STATE state = PyGILState_Ensure ();

  Py_DECREF (object);
  PyGILState_Release (state);
}

/* Returns: (transfer full): what lies in @bytes as `ay` */
static GVariant *
make_value (GBytes *bytes) /* (transfer full) */
{
  GVariant *value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));

  g_bytes_unref (bytes);

  return value;
}

static guint8 *
put_number (guint8  *place,
            guint64  number)
{
  number = GUINT64_TO_LE (number);
  memcpy (place, &number, sizeof number);

  return place + sizeof number;
}

static guint64
get_number (const guint8 *place)
{
  guint64 number;

  memcpy (&number, place, sizeof number);

  return GUINT64_FROM_LE (number);
}

static gsize
get_header_size (gsize n)
{
  return (3 + 2 * n) * sizeof (guint64);
}

/* @views: memoryviews of bytes, one after the other */
static GVariant *
gather (PyObject *pickle,
        PyObject *views)
{
  const Py_ssize_t n = PyList_GET_SIZE (views);
  const gsize pickle_size = PyBytes_GET_SIZE (pickle);
  gsize size = align (align (get_header_size (n)) + pickle_size);
  guint8 *data, *place;

  for (Py_ssize_t i = 0; i < n; i++)
    size = align (size + PyMemoryView_GET_BUFFER (PyList_GET_ITEM (views, i))->len);
  data = g_try_malloc (size);
  if (data == NULL)
    {
      PyErr_NoMemory ();
      return NULL;
    }

  place = put_number (put_number (data, 0), n);
  for (Py_ssize_t i = 0; i < n; i++)
    {
      const Py_buffer *buffer = PyMemoryView_GET_BUFFER (PyList_GET_ITEM (views, i));

      place = put_number (put_number (place, buffer->len), buffer->readonly != 0);
    }
  put_number (place, pickle_size);
  size = align (get_header_size (n));
  memcpy (data + size, PyBytes_AS_STRING (pickle), pickle_size);
  size = align (size + pickle_size);
  for (Py_ssize_t i = 0; i < n; i++)
    {
      const Py_buffer *buffer = PyMemoryView_GET_BUFFER (PyList_GET_ITEM (views, i));

      if (buffer->len > 0)
        memcpy (data + size, buffer->buf, buffer->len);
      size = align (size + buffer->len);
    }

  return make_value (g_bytes_new_take (data, size));
}

static GVariant *
join (PyObject *pickle,
      PyObject *buffers)
{
  const Py_ssize_t n = PyList_GET_SIZE (buffers);
  PyObject *views = PyList_New (n);
  GVariant *value = NULL;
  Py_ssize_t i;

  if (views == NULL)
    return NULL;
  for (i = 0; i < n; i++)
    {
      PyObject *view = PyObject_CallMethod (PyList_GET_ITEM (buffers, i), "raw", NULL);

      if (view == NULL)
        break;
      PyList_SET_ITEM (views, i, view);
    }
  if (i == n)
    value = gather (pickle, views);
  Py_DECREF (views);

  return value;
}

/* Returns: (nullable) (transfer full): NULL with an exception */
GVariant *
afrpc_python_pickle (PyObject *object)
{
  PyObject *buffers, *append, *pickle = NULL, *protocol;
  GVariant *value = NULL;

  if (!import_pickle ())
    return NULL;
  buffers = PyList_New (0);
  append = buffers != NULL ? PyObject_GetAttrString (buffers, "append") : NULL;
  protocol = append != NULL ? PyLong_FromLong (PROTOCOL) : NULL;
  if (protocol != NULL)
    {
      PyObject *args[] = { NULL, object, protocol, append };

      pickle = PyObject_Vectorcall (dumps, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, dumps_names);
    }
  if (pickle != NULL && PyList_GET_SIZE (buffers) > 0)
    value = join (pickle, buffers);
  else if (pickle != NULL && PyBytes_GET_SIZE (pickle) <= COPIED_MAX)
    value = make_value (g_bytes_new (PyBytes_AS_STRING (pickle), PyBytes_GET_SIZE (pickle)));
  else if (pickle != NULL)
    value = make_value (g_bytes_new_with_free_func (PyBytes_AS_STRING (pickle), PyBytes_GET_SIZE (pickle), object_unref,
                                                    Py_NewRef (pickle)));
  Py_XDECREF (pickle);
  Py_XDECREF (protocol);
  Py_XDECREF (append);
  Py_XDECREF (buffers);

  return value;
}

/* A buffer as it was: one that may be written to is a copy, any other keeps the message. @bytes: (transfer none) */
static PyObject *
make_buffer (GBytes       *bytes,
             const guint8 *data,
             gsize         size,
             gboolean      is_read_only)
{
  PyObject *row, *view;

  if (!is_read_only)
    return PyByteArray_FromStringAndSize ((const char *) data, size);

  row = (PyObject *) afrpc_python_view_new_row (g_bytes_ref (bytes), data, size, "B");
  view = row != NULL ? PyMemoryView_FromObject (row) : NULL;
  Py_XDECREF (row);

  return view;
}

static PyObject *
malformed (void)
{
  PyErr_SetString (PyExc_ValueError, "a malformed pickle with buffers");

  return NULL;
}

/* Returns: (nullable): a list of what belongs to the pickle, of which are told the beginning and the size */
static PyObject *
read_buffers (GBytes        *bytes,
              const guint8 **pickle,
              gsize         *pickle_size)
{
  gsize size, place;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  const guint64 n = size >= get_header_size (0) ? get_number (data + 8) : G_MAXUINT64;
  PyObject *buffers;

  if (n > size / 16 || get_header_size (n) > size)
    return malformed ();
  place = align (get_header_size (n));
  *pickle_size = get_number (data + get_header_size (n) - 8);
  if (place > size || *pickle_size > size - place)
    return malformed ();
  *pickle = data + place;
  place = align (place + *pickle_size);

  buffers = PyList_New (n);
  for (guint64 i = 0; i < n && buffers != NULL; i++)
    {
      const guint64 length = get_number (data + 16 + 16 * i);
      PyObject *buffer = NULL;

      if (place > size || length > size - place)
        malformed ();
      else
        buffer = make_buffer (bytes, data + place, length, get_number (data + 24 + 16 * i) != 0);
      if (buffer != NULL)
        PyList_SET_ITEM (buffers, i, buffer);
      else
        Py_CLEAR (buffers);
      place = align (place + length);
    }

  return buffers;
}

static PyObject *
load (const guint8 *data,
      gsize         size,
      PyObject     *buffers) /* (nullable) */
{
  PyObject *view = PyMemoryView_FromMemory ((char *) data, size, PyBUF_READ);
  PyObject *args[] = { NULL, view, buffers };
  PyObject *object = NULL;

  if (view != NULL)
    object = PyObject_Vectorcall (loads, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, buffers != NULL ? loads_names : NULL);
  Py_XDECREF (view);

  return object;
}

/* Returns: (nullable) (transfer full): NULL with an exception */
PyObject *
afrpc_python_unpickle (GVariant *value)
{
  g_autoptr(GBytes) bytes = NULL;
  PyObject *buffers, *object;
  const guint8 *data;
  gsize size;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      PyErr_Format (PyExc_TypeError, "a pickle is 'ay', not '%s'", g_variant_get_type_string (value));
      return NULL;
    }
  if (!import_pickle ())
    return NULL;

  bytes = g_variant_get_data_as_bytes (value);
  data = g_bytes_get_data (bytes, &size);
  if (size == 0 || data[0] != 0)
    return load (data, size, NULL);

  buffers = read_buffers (bytes, &data, &size);
  object = buffers != NULL ? load (data, size, buffers) : NULL;
  Py_XDECREF (buffers);

  return object;
}

/* The arguments of a call. */
PyObject *
afrpc_python_unpickle_args (GVariant *value)
{
  PyObject *object = afrpc_python_unpickle (value);
  PyObject *tuple;

  if (object == NULL || PyTuple_CheckExact (object))
    return object;

  tuple = PyTuple_Pack (1, object);
  Py_DECREF (object);

  return tuple;
}
