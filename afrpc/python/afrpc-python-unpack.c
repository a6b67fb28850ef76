/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-codec.h"

static PyObject *
unpack_string (GVariant *value)
{
  gsize length;
  const char *text = g_variant_get_string (value, &length);

  return PyUnicode_DecodeUTF8 (text, length, NULL);
}

static PyObject *
unpack_dict (GVariant *value)
{
  PyObject *dict = PyDict_New ();
  GVariantIter iter;
  GVariant *entry;

  if (dict == NULL)
    return NULL;

  g_variant_iter_init (&iter, value);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_autoptr(GVariant) packed_key = g_variant_get_child_value (entry, 0);
      g_autoptr(GVariant) packed_item = g_variant_get_child_value (entry, 1);
      PyObject *key = afrpc_python_unpack (packed_key);
      PyObject *item = key != NULL ? afrpc_python_unpack (packed_item) : NULL;
      const int status = item != NULL ? PyDict_SetItem (dict, key, item) : -1;

      Py_XDECREF (key);
      Py_XDECREF (item);
      g_variant_unref (entry);
      if (status != 0)
        {
          Py_DECREF (dict);
          return NULL;
        }
    }

  return dict;
}

static PyObject *
unpack_array (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  gsize n;
  PyObject *list;

  if (type[1] == 'y')
    {
      const char *bytes = g_variant_get_fixed_array (value, &n, 1);

      return PyBytes_FromStringAndSize (bytes, n);
    }
  if (type[1] == '{')
    return unpack_dict (value);

  n = g_variant_n_children (value);
  list = PyList_New (n);
  if (list == NULL)
    return NULL;
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);
      PyObject *item = afrpc_python_unpack (child);

      if (item == NULL)
        {
          Py_DECREF (list);
          return NULL;
        }
      PyList_SET_ITEM (list, i, item);
    }

  return list;
}

static PyObject *
unpack_members (GVariant *value)
{
  const gsize n = g_variant_n_children (value);
  PyObject *tuple = PyTuple_New (n);

  if (tuple == NULL)
    return NULL;
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);
      PyObject *item = afrpc_python_unpack (child);

      if (item == NULL)
        {
          Py_DECREF (tuple);
          return NULL;
        }
      PyTuple_SET_ITEM (tuple, i, item);
    }

  return tuple;
}

PyObject *
afrpc_python_unpack (GVariant *value)
{
  g_autoptr(GVariant) child = NULL;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return PyBool_FromLong (g_variant_get_boolean (value));

    case G_VARIANT_CLASS_BYTE:
      return PyLong_FromLong (g_variant_get_byte (value));

    case G_VARIANT_CLASS_INT16:
      return PyLong_FromLong (g_variant_get_int16 (value));

    case G_VARIANT_CLASS_UINT16:
      return PyLong_FromLong (g_variant_get_uint16 (value));

    case G_VARIANT_CLASS_INT32:
      return PyLong_FromLong (g_variant_get_int32 (value));

    case G_VARIANT_CLASS_UINT32:
      return PyLong_FromUnsignedLong (g_variant_get_uint32 (value));

    case G_VARIANT_CLASS_INT64:
      return PyLong_FromLongLong (g_variant_get_int64 (value));

    case G_VARIANT_CLASS_UINT64:
      return PyLong_FromUnsignedLongLong (g_variant_get_uint64 (value));

    case G_VARIANT_CLASS_HANDLE:
      return PyLong_FromLong (g_variant_get_handle (value));

    case G_VARIANT_CLASS_DOUBLE:
      return PyFloat_FromDouble (g_variant_get_double (value));

    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return unpack_string (value);

    case G_VARIANT_CLASS_VARIANT:
      child = g_variant_get_variant (value);
      return afrpc_python_unpack (child);

    case G_VARIANT_CLASS_MAYBE:
      child = g_variant_get_maybe (value);
      return child != NULL ? afrpc_python_unpack (child) : Py_NewRef (Py_None);

    case G_VARIANT_CLASS_ARRAY:
      return unpack_array (value);

    default: /* tuple, dictionary entry */
      return unpack_members (value);
    }
}

static gboolean
is_tuple (GVariant *value)
{
  return *g_variant_get_type_string (value) == '(';
}

/* How many arguments a function gets: the members of a tuple, or any other value as one. */
Py_ssize_t
afrpc_python_count_args (GVariant *value)
{
  return is_tuple (value) ? (Py_ssize_t) g_variant_n_children (value) : 1;
}

/* @objects: (out caller-allocates) (transfer full): as many */
gboolean
afrpc_python_unpack_args (GVariant  *value,
                          PyObject **objects)
{
  const Py_ssize_t n = afrpc_python_count_args (value);

  for (Py_ssize_t i = 0; i < n; i++)
    {
      g_autoptr(GVariant) child = is_tuple (value) ? g_variant_get_child_value (value, i) : g_variant_ref (value);

      objects[i] = afrpc_python_unpack (child);
      if (objects[i] == NULL)
        {
          while (i-- > 0)
            Py_DECREF (objects[i]);
          return FALSE;
        }
    }

  return TRUE;
}

/* The same as a tuple. */
PyObject *
afrpc_python_unpack_tuple (GVariant *value)
{
  PyObject *object = afrpc_python_unpack (value);
  PyObject *tuple;

  if (object == NULL || is_tuple (value))
    return object;

  tuple = PyTuple_Pack (1, object);
  Py_DECREF (object);

  return tuple;
}

/* Returns: a new afrpc.Variant */
PyObject *
afrpc_python_wrap_variant (GVariant *value)
{
  AfrpcPythonVariant *self = PyObject_New (AfrpcPythonVariant, afrpc_python_variant_type);

  if (self != NULL)
    self->value = g_variant_ref_sink (value);

  return (PyObject *) self;
}
