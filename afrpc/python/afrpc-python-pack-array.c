/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-array.h"
#include "afrpc-python-pack.h"

#include <string.h>

/* An attribute of a module, if that has been imported: nothing here is the first to import it.
 * Returns: (transfer full) (nullable): without an exception */
static PyObject *
peek_attribute (const char *module,
                const char *name)
{
  PyObject *found = PyDict_GetItemString (PyImport_GetModuleDict (), module);
  PyObject *attribute = found != NULL ? PyObject_GetAttrString (found, name) : NULL;

  if (attribute == NULL)
    PyErr_Clear ();

  return attribute;
}

/* Whether its type is that one, or, if @or_derived, one that is made of it. */
static gboolean
is_a (PyObject   *object,
      const char *module,
      const char *name,
      gboolean    or_derived)
{
  PyObject *type = peek_attribute (module, name);
  gboolean is = FALSE;

  if (type != NULL && PyType_Check (type))
    is = or_derived ? PyObject_TypeCheck (object, (PyTypeObject *) type) : Py_IS_TYPE (object, (PyTypeObject *) type);
  Py_XDECREF (type);

  return is;
}

/* A single value of NumPy, whose item () is one of Python. */
gboolean
afrpc_python_is_scalar (PyObject *object)
{
  return is_a (object, "numpy", "generic", TRUE);
}

/* A date or a time span of NumPy, of which item () may be a mere number: of units that Python's own are too coarse for, or
 * that have no length. */
gboolean
afrpc_python_is_date (PyObject *object)
{
  return strcmp (Py_TYPE (object)->tp_name, "numpy.datetime64") == 0 ||
         strcmp (Py_TYPE (object)->tp_name, "numpy.timedelta64") == 0;
}

/* What has a buffer, and is all there is to it: arrays that are derived from NumPy's have masks and units and more. */
gboolean
afrpc_python_is_sendable_buffer (PyObject *object)
{
  return PyObject_CheckBuffer (object) && (!is_a (object, "numpy", "ndarray", TRUE) ||
                                           is_a (object, "numpy", "ndarray", FALSE) ||
                                           is_a (object, "numpy", "memmap", FALSE));
}

static AfrpcPythonArrayKind
get_kind (PyObject *object)
{
  PyObject *base = PyMemoryView_Check (object) ? PyMemoryView_GET_BASE (object) : NULL;

  /* What came from others and goes back is what it was. */
  if (base != NULL && Py_IS_TYPE (base, afrpc_python_view_type))
    return ((AfrpcPythonView *) base)->kind;
  if (is_a (object, "numpy", "ndarray", TRUE))
    return AFRPC_PYTHON_NUMPY;

  return is_a (object, "array", "array", TRUE) ? AFRPC_PYTHON_ARRAY : AFRPC_PYTHON_MEMORY;
}

/* Bytes, in one row, are bytes. */
static gboolean
is_octets (const Py_buffer           *buffer,
           const AfrpcPythonElement  *element,
           AfrpcPythonArrayKind       kind)
{
  return kind == AFRPC_PYTHON_MEMORY && buffer->ndim == 1 && element->format[0] == 'B';
}

#define SIZE_BEHIND 64 /* bytes for what ends behind the elements, so that these need not be moved for it */

/* All elements, of the type @code, in the order of C, or that of Fortran, which may be the buffer's own. */
static gboolean
pack_elements (AfrpcPythonPacker *self,
               Py_buffer         *buffer,
               char               code,
               char               order)
{
  if (!afrpc_python_packer_reserve (self, buffer->len + SIZE_BEHIND) ||
      PyBuffer_ToContiguous (self->data + self->size, buffer, buffer->len, order) != 0)
    return FALSE;
  if (code == 'b')
    for (gssize i = 0; i < buffer->len; i++)
      self->data[self->size + i] = self->data[self->size + i] != 0; /* whatever is none is true, as it is to NumPy */
  self->size += buffer->len;

  return TRUE;
}

static gboolean
pack_shape (AfrpcPythonPacker *self,
            const Py_buffer   *buffer,
            gboolean           is_transposed)
{
  const int n = buffer->ndim;

  if (!afrpc_python_packer_reserve (self, 8 * n))
    return FALSE;
  afrpc_python_packer_pad (self, 7);
  for (int i = 0; i < n; i++)
    {
      const guint64 length = buffer->shape[is_transposed ? n - 1 - i : i];

      afrpc_python_packer_add (self, &length, 8);
    }

  return TRUE;
}

static gboolean
pack_text (AfrpcPythonPacker          *self,
           const char                 *text,
           const AfrpcPythonContainer *container)
{
  return afrpc_python_pack_octets (self, text, strlen (text) + 1) && afrpc_python_packer_note_end (self, container);
}

static gboolean
pack_array (AfrpcPythonPacker        *self,
            Py_buffer                *buffer,
            const AfrpcPythonElement *element,
            AfrpcPythonArrayKind      kind)
{
  static const char *const names[] = { "memory", "array", "numpy" };
  const gboolean is_transposed = buffer->ndim > 1 && !PyBuffer_IsContiguous (buffer, 'C') &&
                                 PyBuffer_IsContiguous (buffer, 'F');
  char name[16], format[AFRPC_PYTHON_FORMAT_SIZE];
  AfrpcPythonContainer entry, tuple;

  g_snprintf (name, sizeof name, "%s%s", names[kind], is_transposed ? ".T" : "");
  afrpc_python_element_write (element, format);
  g_string_append_printf (self->types, "{s(sata%c)}", element->code);

  return afrpc_python_packer_open (self, 7, &entry) && pack_text (self, name, &entry) &&
         afrpc_python_packer_open (self, 7, &tuple) && pack_text (self, format, &tuple) &&
         pack_shape (self, buffer, is_transposed) && afrpc_python_packer_note_end (self, &tuple) &&
         pack_elements (self, buffer, element->code, is_transposed ? 'F' : 'C') &&
         afrpc_python_packer_close (self, &tuple, FALSE) && afrpc_python_packer_close (self, &entry, FALSE);
}

static AfrpcPythonPacked
pack_opened (AfrpcPythonPacker *self,
             PyObject          *object,
             Py_buffer         *buffer)
{
  const AfrpcPythonArrayKind kind = get_kind (object);
  const char *format = buffer->format != NULL ? buffer->format : "B";
  AfrpcPythonElement element;

  if (!afrpc_python_element_parse (&element, format) || element.size != buffer->itemsize)
    {
      afrpc_python_refuse (self, PyExc_TypeError, "%.200s with elements of the format '%.100s' cannot be sent",
                           Py_TYPE (object)->tp_name, format);
      return AFRPC_PYTHON_UNSENDABLE;
    }
  if (buffer->ndim > AFRPC_PYTHON_DIMENSIONS_MAX)
    {
      afrpc_python_refuse (self, PyExc_ValueError, "%.200s of more than %d dimensions cannot be sent",
                           Py_TYPE (object)->tp_name, AFRPC_PYTHON_DIMENSIONS_MAX);
      return AFRPC_PYTHON_UNSENDABLE;
    }
  if (!is_octets (buffer, &element, kind))
    return pack_array (self, buffer, &element, kind) ? AFRPC_PYTHON_ALIGNMENT | AFRPC_PYTHON_VARIES
                                                     : AFRPC_PYTHON_FAILED;

  g_string_append (self->types, "ay");

  return pack_elements (self, buffer, 'y', 'C') ? AFRPC_PYTHON_VARIES : AFRPC_PYTHON_FAILED;
}

/* The exception that is set is why there is none. Dates of NumPy are none of the numbers that a buffer may have: it does not
 * say whose fault that is, nor where. */
static void
refuse_without_buffer (AfrpcPythonPacker *self,
                       PyObject          *object)
{
  PyObject *type, *value, *traceback, *dtype, *name;
  const char *words;

  if (!PyErr_ExceptionMatches (PyExc_ValueError) || !is_a (object, "numpy", "ndarray", TRUE))
    return;

  PyErr_Fetch (&type, &value, &traceback);
  dtype = PyObject_GetAttrString (object, "dtype");
  name = dtype != NULL ? PyObject_Str (dtype) : NULL;
  words = name != NULL ? PyUnicode_AsUTF8 (name) : NULL;
  PyErr_Restore (type, value, traceback);
  if (words != NULL)
    {
      PyErr_Clear ();
      afrpc_python_refuse (self, PyExc_TypeError, "%.200s of %.100s cannot be sent", Py_TYPE (object)->tp_name, words);
    }
  Py_XDECREF (name);
  Py_XDECREF (dtype);
}

/* @object: that has a buffer */
AfrpcPythonPacked
afrpc_python_pack_buffer (AfrpcPythonPacker *self,
                          PyObject          *object)
{
  AfrpcPythonPacked packed;
  Py_buffer buffer;

  if (PyObject_GetBuffer (object, &buffer, PyBUF_FULL_RO) != 0)
    {
      refuse_without_buffer (self, object);
      return AFRPC_PYTHON_UNSENDABLE;
    }
  packed = pack_opened (self, object, &buffer);
  PyBuffer_Release (&buffer);

  return packed;
}

/* As an array of numbers of one type, in one piece, if that is what the buffer has: 1; 0 if it is not, -1 if that
 * fails. */
int
afrpc_python_pack_numbers (AfrpcPythonPacker *self,
                           PyObject          *object,
                           char               code)
{
  AfrpcPythonElement element;
  Py_buffer buffer;
  int packed = 0;

  if (PyObject_GetBuffer (object, &buffer, PyBUF_FULL_RO) != 0)
    {
      refuse_without_buffer (self, object);
      return -1;
    }
  if (buffer.ndim == 1 && afrpc_python_element_parse (&element, buffer.format != NULL ? buffer.format : "B") &&
      element.size == buffer.itemsize && element.code == code && (code != 'y' || element.format[0] == 'B'))
    packed = pack_elements (self, &buffer, code, 'C') ? 1 : -1;
  PyBuffer_Release (&buffer);

  return packed;
}

/* Its elements as objects of Python. */
PyObject *
afrpc_python_list_buffer (PyObject *object)
{
  PyObject *memory, *list;

  if (is_a (object, "numpy", "ndarray", TRUE))
    return PyObject_CallMethod (object, "tolist", NULL);

  memory = PyMemoryView_FromObject (object);
  list = memory != NULL ? PyObject_CallMethod (memory, "tolist", NULL) : NULL;
  Py_XDECREF (memory);

  return list;
}
