/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-array.h"

#include <string.h>

gboolean
afrpc_python_is_number (char code)
{
  return strchr ("nqiuxtd", code) != NULL;
}

/* Exactly `{s(satX)}`: nothing else is said to be an array. */
gboolean
afrpc_python_is_array_type (const AfrpcLayout *type)
{
  static const char pattern[] = "{s(sata?)}";

  if (type->length != strlen (pattern))
    return FALSE;
  for (guint i = 0; i < strlen (pattern); i++)
    if (type[i].code != pattern[i] && pattern[i] != '?')
      return FALSE;

  return type[7].length == 1;
}

/* What an array is read from. */
typedef struct
{
  const char *kind;
  const char *format;
  const guint8 *shape; /* numbers of 64 bits, which need not be aligned */
  const guint8 *data;
  gsize size;          /* bytes of the data */
  int n_dimensions;
} Parts;

static const char *
take_text (AfrpcPythonMembers *members)
{
  const guint8 *data;
  gsize size;

  if (!afrpc_python_members_next (members, &data, &size) || size == 0 || memchr (data, '\0', size) != data + size - 1)
    return NULL;

  return (const char *) data;
}

static gboolean
take_parts (const AfrpcLayout *type,
            const guint8      *data,
            gsize              size,
            Parts             *parts)
{
  AfrpcPythonMembers members;
  gsize n;

  afrpc_python_members_init (&members, type, data, size);
  parts->kind = take_text (&members);
  if (parts->kind == NULL || !afrpc_python_members_next (&members, &data, &size))
    return FALSE;

  afrpc_python_members_init (&members, type + 2, data, size);
  parts->format = take_text (&members);
  if (parts->format == NULL || !afrpc_python_members_next (&members, &parts->shape, &n) || n % 8 != 0 ||
      n / 8 > AFRPC_PYTHON_DIMENSIONS_MAX)
    return FALSE;
  parts->n_dimensions = n / 8;

  return afrpc_python_members_next (&members, &parts->data, &parts->size);
}

/* Lengths in one direction, and the strides, in the order of C. FALSE: that is not the shape of the data. */
static gboolean
set_places (AfrpcPythonView *self,
            const Parts     *parts)
{
  const int n = self->n_dimensions;
  Py_ssize_t n_elements = 1, stride = self->element.size;

  for (int i = n - 1; i >= 0; i--)
    {
      const int at = self->is_transposed ? n - 1 - i : i;
      guint64 length;

      memcpy (&length, parts->shape + 8 * i, 8);
      if (length > G_MAXSSIZE || __builtin_mul_overflow (n_elements, (Py_ssize_t) length, &n_elements))
        return FALSE;
      self->places[at] = length;
      self->places[n + at] = stride;
      /* Where there are none, others could be anything. */
      if (__builtin_mul_overflow (stride, MAX ((Py_ssize_t) length, 1), &stride))
        return FALSE;
    }
  self->n_elements = n_elements;

  return (gsize) n_elements == parts->size / self->element.size && parts->size % self->element.size == 0;
}

/* Whoever counts those that are true may count on their being 1. */
static gboolean
are_truths (const Parts *parts)
{
  guint8 all = 0;

  for (gsize i = 0; i < parts->size; i++)
    all |= parts->data[i];

  return all <= 1;
}

static AfrpcPythonArrayKind
get_kind (const char *kind,
          gboolean   *is_transposed)
{
  gsize length = strlen (kind);

  *is_transposed = length > 2 && strcmp (kind + length - 2, ".T") == 0;
  if (*is_transposed)
    length -= 2;
  if (strncmp (kind, "numpy", MAX (length, 5)) == 0)
    return AFRPC_PYTHON_NUMPY;

  return strncmp (kind, "array", MAX (length, 5)) == 0 ? AFRPC_PYTHON_ARRAY : AFRPC_PYTHON_MEMORY;
}

/* Returns: (nullable): with an exception, if it is malformed */
static AfrpcPythonView *
make_view (AfrpcPythonReader *reader,
           const AfrpcLayout *type,
           const Parts       *parts)
{
  AfrpcPythonView *self = afrpc_python_view_new (g_variant_get_data_as_bytes (reader->value), parts->n_dimensions);

  if (self == NULL)
    return NULL;

  self->data = parts->data;
  self->kind = get_kind (parts->kind, &self->is_transposed);
  if (afrpc_python_element_read (&self->element, parts->format, type[7].code) && set_places (self, parts) &&
      (type[7].code != 'b' || are_truths (parts)))
    return self;

  Py_DECREF (self);
  afrpc_python_read_malformed ();
  return NULL;
}

/* What Python programs like better than a memoryview. */

/* A copy: what belongs to somebody can be changed. */
static PyObject *
make_array (AfrpcPythonView *view)
{
  PyObject *module = PyImport_ImportModule ("array");
  PyObject *array = module != NULL ? PyObject_CallMethod (module, "array", "s", view->element.format) : NULL;
  PyObject *octets = PyMemoryView_FromMemory ((char *) view->data, view->n_elements * view->element.size, PyBUF_READ);
  PyObject *result = array != NULL && octets != NULL ? PyObject_CallMethod (array, "frombytes", "O", octets) : NULL;

  if (result == NULL)
    Py_CLEAR (array);
  Py_XDECREF (result);
  Py_XDECREF (octets);
  Py_XDECREF (module);

  return array;
}

static gboolean
is_typecode (const char *format)
{
  return strlen (format) == 1 && strchr ("bBhHiIlLqQfd", format[0]) != NULL;
}

/* NumPy, if that has been imported already. Returns: (transfer full) (nullable): without an exception */
static PyObject *
peek_numpy (const char *name)
{
  PyObject *module = PyDict_GetItemString (PyImport_GetModuleDict (), "numpy");
  PyObject *attribute = module != NULL ? PyObject_GetAttrString (module, name) : NULL;

  if (attribute == NULL)
    PyErr_Clear ();

  return attribute;
}

static PyObject *
convert (AfrpcPythonReader *reader,
         AfrpcPythonView   *view) /* (transfer full) (nullable) */
{
  PyObject *function = NULL, *memory, *result;

  if (view == NULL)
    return NULL;

  if (afrpc_python_reader_has_arrays (reader))
    function = Py_NewRef (PyTuple_GET_ITEM (reader->hooks, 2));
  else if (view->kind == AFRPC_PYTHON_NUMPY)
    function = peek_numpy ("array");
  else if (view->kind == AFRPC_PYTHON_ARRAY && view->n_dimensions == 1 && is_typecode (view->element.format))
    {
      result = make_array (view);
      Py_DECREF (view);
      return result;
    }

  memory = PyMemoryView_FromObject ((PyObject *) view);
  Py_DECREF (view);
  if (function == NULL)
    return memory;
  result = memory != NULL ? PyObject_CallOneArg (function, memory) : NULL;
  Py_XDECREF (memory);
  Py_DECREF (function);

  return result;
}

PyObject *
afrpc_python_read_array (AfrpcPythonReader *reader,
                         const AfrpcLayout *type,
                         const guint8      *data,
                         gsize              size)
{
  Parts parts;

  if (!take_parts (type, data, size, &parts))
    return afrpc_python_read_malformed ();

  return convert (reader, make_view (reader, type, &parts));
}

/* Plain ones, for who wants arrays of them. */
PyObject *
afrpc_python_read_numbers (AfrpcPythonReader *reader,
                           const AfrpcLayout *element,
                           const guint8      *data,
                           gsize              n)
{
  static const char codes[] = "nqiuxtd", letters[] = "hHiIqQd";
  const char format[] = { letters[strchr (codes, element->code) - codes], '\0' };

  return convert (reader, afrpc_python_view_new_row (g_variant_get_data_as_bytes (reader->value), data, n, format));
}
