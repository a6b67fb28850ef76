/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "python-oracle.h"

#include <string.h>

#include "afrpc/python/afrpc-python-codec.h"

/* Python does not give everything back at its end. */
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return 1;
}

void
python_oracle_start (void)
{
  PyObject *module, *globals, *result;

  Py_InitializeEx (0);
  module = PyModule_New ("oracle");
  g_assert_true (afrpc_python_codec_register (module));
  globals = PyModule_GetDict (module);
  g_assert_cmpint (PyDict_SetItemString (globals, "__builtins__", PyEval_GetBuiltins ()), ==, 0);
  result = PyRun_String ("class Tagged(tuple):\n"
                         "    def __new__(cls, tag, value):\n"
                         "        return tuple.__new__(cls, (tag, value))\n",
                         Py_file_input, globals, globals);
  g_assert_nonnull (result);
  afrpc_python_tagged_type = (PyTypeObject *) PyDict_GetItemString (globals, "Tagged");
  g_assert_nonnull (afrpc_python_tagged_type);
}

/* Arrays with a shape are more than GVariant says. */
gboolean
python_oracle_knows (const char *type)
{
  return strstr (type, "{s(sata") == NULL;
}

/* @sequence: (transfer full): a tuple or a list */
static PyObject *
unpack_children (GVariant *value,
                 PyObject *sequence)
{
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);
      PyObject *item = python_oracle_unpack (child);

      g_assert_nonnull (item);
      if (PyList_Check (sequence))
        PyList_SET_ITEM (sequence, i, item);
      else
        PyTuple_SET_ITEM (sequence, i, item);
    }

  return sequence;
}

static PyObject *
unpack_array (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  PyObject *dict;

  if (type[1] == 'y')
    {
      gsize n;
      const char *bytes = g_variant_get_fixed_array (value, &n, 1);

      return PyBytes_FromStringAndSize (bytes, n);
    }
  if (type[1] != '{')
    return unpack_children (value, PyList_New (g_variant_n_children (value)));

  dict = PyDict_New ();
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr(GVariant) entry = g_variant_get_child_value (value, i);
      PyObject *pair = unpack_children (entry, PyTuple_New (2));

      g_assert_cmpint (PyDict_SetItem (dict, PyTuple_GET_ITEM (pair, 0), PyTuple_GET_ITEM (pair, 1)), ==, 0);
      Py_DECREF (pair);
    }

  return dict;
}

PyObject *
python_oracle_unpack (GVariant *value)
{
  g_autoptr(GVariant) child = NULL;
  PyObject *tuple, *tagged;

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
      return PyUnicode_FromString (g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_VARIANT:
      child = g_variant_get_variant (value);
      return python_oracle_unpack (child);
    case G_VARIANT_CLASS_MAYBE:
      child = g_variant_get_maybe (value);
      return child != NULL ? python_oracle_unpack (child) : Py_NewRef (Py_None);
    case G_VARIANT_CLASS_ARRAY:
      return unpack_array (value);
    default:
      tuple = unpack_children (value, PyTuple_New (g_variant_n_children (value)));
      if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("{sv}")))
        return tuple;
      tagged = PyObject_CallObject ((PyObject *) afrpc_python_tagged_type, tuple);
      Py_DECREF (tuple);
      return tagged;
    }
}

static gboolean
are_same (PyObject *const *a,
          PyObject *const *b,
          Py_ssize_t       n)
{
  for (Py_ssize_t i = 0; i < n; i++)
    if (!python_oracle_is_same (a[i], b[i]))
      return FALSE;

  return TRUE;
}

static gboolean
is_same_dict (PyObject *a,
              PyObject *b)
{
  PyObject *pairs[4];
  Py_ssize_t i = 0, j = 0;

  while (PyDict_Next (a, &i, &pairs[0], &pairs[1]))
    if (!PyDict_Next (b, &j, &pairs[2], &pairs[3]) || !are_same (pairs, pairs + 2, 2))
      return FALSE;

  return PyDict_GET_SIZE (a) == PyDict_GET_SIZE (b);
}

/* Of the same types, to the bit; a NaN is itself. */
gboolean
python_oracle_is_same (PyObject *a,
                       PyObject *b)
{
  if (Py_TYPE (a) != Py_TYPE (b))
    return FALSE;
  if (PyFloat_Check (a))
    {
      const double numbers[] = { PyFloat_AS_DOUBLE (a), PyFloat_AS_DOUBLE (b) };

      return memcmp (&numbers[0], &numbers[1], sizeof (double)) == 0;
    }
  if (PyTuple_Check (a) || PyList_Check (a))
    return PySequence_Fast_GET_SIZE (a) == PySequence_Fast_GET_SIZE (b) &&
           are_same (PySequence_Fast_ITEMS (a), PySequence_Fast_ITEMS (b), PySequence_Fast_GET_SIZE (a));
  if (PyDict_Check (a))
    return is_same_dict (a, b);

  return PyObject_RichCompareBool (a, b, Py_EQ) == 1;
}
