/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-codec-private.h"

#include <glib-object.h>
#include <pygobject.h>

/* GVariant reads no value that is nested more than 128 deep; the rest is for what the library puts around. */
#define DEPTH_MAX 120

PyTypeObject *afrpc_python_variant_type;

/* PyGObject, if the program uses it: nothing here loads it. */
static gboolean
has_pygobject (void)
{
  PyObject *gobject;

  if (_PyGObject_API != NULL)
    return TRUE;

  gobject = PyDict_GetItemString (PyImport_GetModuleDict (), "gi._gobject");
  if (gobject == NULL)
    return FALSE;
  gobject = pygobject_init (3, 42, 0);
  if (gobject == NULL)
    {
      PyErr_Clear ();
      return FALSE;
    }
  Py_DECREF (gobject);

  return TRUE;
}

/* Returns: (nullable): what a Variant of either kind holds, borrowed; without an exception */
GVariant *
afrpc_python_peek_variant (PyObject *object)
{
  if (Py_IS_TYPE (object, afrpc_python_variant_type))
    return ((AfrpcPythonVariant *) object)->value;
  if (has_pygobject () && PyObject_TypeCheck (object, &PyGPointer_Type) &&
      ((PyGPointer *) object)->gtype == G_TYPE_VARIANT)
    return pyg_pointer_get (object, GVariant);

  return NULL;
}

/* A floating reference, as all that goes into containers, to the same data. */
GVariant *
afrpc_python_pack_variant (GVariant *value)
{
  g_autoptr(GBytes) bytes = NULL;

  if (!g_variant_is_normal_form (value))
    {
      PyErr_SetString (PyExc_ValueError, "a malformed Variant cannot be sent");
      return NULL;
    }
  bytes = g_variant_get_data_as_bytes (value);

  return g_variant_new_from_bytes (g_variant_get_type (value), bytes, TRUE);
}

gboolean
afrpc_python_is_bytes (PyObject *object)
{
  return PyBytes_Check (object) || PyByteArray_Check (object) || PyMemoryView_Check (object);
}

GVariant *
afrpc_python_pack_bytes (PyObject *object)
{
  Py_buffer buffer;
  g_autofree char *copy = NULL;
  GVariant *value = NULL;

  if (PyBytes_CheckExact (object))
    return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, PyBytes_AS_STRING (object), PyBytes_GET_SIZE (object), 1);

  if (PyObject_GetBuffer (object, &buffer, PyBUF_FULL_RO) != 0)
    return NULL;
  copy = g_try_malloc (MAX (buffer.len, 1));
  if (copy == NULL)
    PyErr_NoMemory ();
  else if (PyBuffer_ToContiguous (copy, &buffer, buffer.len, 'C') == 0)
    value = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, copy, buffer.len, 1);
  PyBuffer_Release (&buffer);

  return value;
}

const char *
afrpc_python_get_text (PyObject *object)
{
  Py_ssize_t length;
  const char *text = PyUnicode_AsUTF8AndSize (object, &length);

  if (text != NULL && memchr (text, '\0', length) != NULL)
    {
      PyErr_SetString (PyExc_ValueError, "a str with a NUL in it cannot be sent, send bytes instead");
      return NULL;
    }

  return text;
}

static GVariant *
pack_text (PyObject *object)
{
  const char *text = afrpc_python_get_text (object);

  return text != NULL ? g_variant_new_string (text) : NULL;
}

static GVariant *
pack_int (PyObject *object)
{
  const long long number = PyLong_AsLongLong (object);

  if (number == -1 && PyErr_Occurred ())
    {
      if (PyErr_ExceptionMatches (PyExc_OverflowError))
        PyErr_SetString (PyExc_OverflowError, "an int of more than 64 bits cannot be sent");
      return NULL;
    }

  return g_variant_new_int64 (number);
}

gboolean
afrpc_python_check_depth (guint depth)
{
  if (depth <= DEPTH_MAX)
    return TRUE;

  PyErr_Format (PyExc_ValueError, "a value that is nested more than %d deep cannot be sent", DEPTH_MAX);
  return FALSE;
}

/* Unrefs what was packed of a value that cannot be packed. */
void
afrpc_python_drop_children (GPtrArray *children)
{
  for (guint i = 0; i < children->len; i++)
    g_variant_unref (g_variant_ref_sink (children->pdata[i]));
  g_ptr_array_unref (children);
}

static GVariant *
pack_list (PyObject *object,
           guint     depth)
{
  GPtrArray *children;
  GVariant *value;

  if (!afrpc_python_check_depth (depth + 2))
    return NULL;

  children = g_ptr_array_sized_new (PyList_GET_SIZE (object));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE (object); i++)
    {
      PyObject *item = Py_NewRef (PyList_GET_ITEM (object, i));
      GVariant *child = afrpc_python_pack_inner (item, depth + 2);

      Py_DECREF (item);
      if (child == NULL)
        {
          afrpc_python_drop_children (children);
          return NULL;
        }
      g_ptr_array_add (children, g_variant_new_variant (child));
    }

  value = g_variant_new_array (G_VARIANT_TYPE_VARIANT, (GVariant **) children->pdata, children->len);
  g_ptr_array_unref (children);

  return value;
}

static GVariant *
pack_tuple (PyObject *const *items,
            Py_ssize_t       n,
            guint            depth)
{
  GVariant *few[16];
  g_autofree GVariant **many = n > (Py_ssize_t) G_N_ELEMENTS (few) ? g_new (GVariant *, n) : NULL;
  GVariant **children = many != NULL ? many : few;

  if (!afrpc_python_check_depth (depth + 1))
    return NULL;

  for (Py_ssize_t i = 0; i < n; i++)
    {
      children[i] = afrpc_python_pack_inner (items[i], depth + 1);
      if (children[i] == NULL)
        {
          while (i-- > 0)
            g_variant_unref (g_variant_ref_sink (children[i]));
          return NULL;
        }
    }

  return g_variant_new_tuple (children, n);
}

/* The keys decide together, as each of them is of one type; an empty one has no keys that are not str. */
static const GVariantType *
get_dict_type (PyObject *object)
{
  const GVariantType *type = NULL;
  PyObject *key, *value;
  Py_ssize_t at = 0;

  while (PyDict_Next (object, &at, &key, &value))
    {
      const GVariantType *of_key = PyUnicode_Check (key)                          ? G_VARIANT_TYPE ("{sv}")
                                   : PyLong_Check (key) && !PyBool_Check (key) ? G_VARIANT_TYPE ("{xv}")
                                                                                  : NULL;

      if (of_key == NULL || (type != NULL && of_key != type))
        {
          PyErr_SetString (PyExc_TypeError, "the keys of a dict must be all str or all int to be sent");
          return NULL;
        }
      type = of_key;
    }

  return type != NULL ? type : G_VARIANT_TYPE ("{sv}");
}

static GVariant *
pack_entry (PyObject *key,
            PyObject *value,
            guint     depth)
{
  GVariant *packed_key, *packed_value;

  packed_key = PyUnicode_Check (key) ? pack_text (key) : pack_int (key);
  if (packed_key == NULL)
    return NULL;
  packed_value = afrpc_python_pack_inner (value, depth + 3);
  if (packed_value == NULL)
    {
      g_variant_unref (g_variant_ref_sink (packed_key));
      return NULL;
    }

  return g_variant_new_dict_entry (packed_key, g_variant_new_variant (packed_value));
}

static GVariant *
pack_dict (PyObject *object,
           guint     depth)
{
  const GVariantType *type = get_dict_type (object);
  GPtrArray *children;
  PyObject *key, *value;
  Py_ssize_t at = 0;
  GVariant *result;

  if (type == NULL || !afrpc_python_check_depth (depth + 3))
    return NULL;

  children = g_ptr_array_sized_new (PyDict_GET_SIZE (object));
  while (PyDict_Next (object, &at, &key, &value))
    {
      GVariant *child;

      Py_INCREF (key);
      Py_INCREF (value);
      child = pack_entry (key, value, depth);
      Py_DECREF (key);
      Py_DECREF (value);
      if (child == NULL)
        {
          afrpc_python_drop_children (children);
          return NULL;
        }
      g_ptr_array_add (children, child);
    }

  result = g_variant_new_array (type, (GVariant **) children->pdata, children->len);
  g_ptr_array_unref (children);

  return result;
}

/* Returns: (nullable): a floating reference */
GVariant *
afrpc_python_pack_inner (PyObject *object,
                         guint     depth)
{
  GVariant *held;

  if (PyUnicode_Check (object))
    return pack_text (object);
  if (object == Py_None)
    return g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);
  if (PyBool_Check (object))
    return g_variant_new_boolean (object == Py_True);
  if (PyLong_Check (object))
    return pack_int (object);
  if (PyFloat_Check (object))
    return g_variant_new_double (PyFloat_AS_DOUBLE (object));
  if (afrpc_python_is_bytes (object))
    return afrpc_python_pack_bytes (object);
  if (PyTuple_Check (object))
    return pack_tuple (&PyTuple_GET_ITEM (object, 0), PyTuple_GET_SIZE (object), depth);
  if (PyList_Check (object))
    return pack_list (object, depth);
  if (PyDict_Check (object))
    return pack_dict (object, depth);

  /* How deep it is cannot be seen; what is too deep fails at the receiver, alone. */
  held = afrpc_python_peek_variant (object);
  if (held != NULL)
    return afrpc_python_pack_variant (held);

  PyErr_Format (PyExc_TypeError, "a value of type %.200s cannot be sent", Py_TYPE (object)->tp_name);
  return NULL;
}

/* Returns: (transfer full) (nullable): not floating */
GVariant *
afrpc_python_pack (PyObject *object)
{
  GVariant *value = afrpc_python_pack_inner (object, 0);

  return value != NULL ? g_variant_take_ref (value) : NULL;
}

/* Returns: (transfer full) (nullable): a tuple, not floating */
GVariant *
afrpc_python_pack_tuple (PyObject *const *objects,
                         Py_ssize_t       n)
{
  GVariant *value = pack_tuple (objects, n, 0);

  return value != NULL ? g_variant_take_ref (value) : NULL;
}
