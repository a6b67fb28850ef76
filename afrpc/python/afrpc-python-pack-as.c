/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-codec-private.h"

/* What a value becomes is decided by a type that is given. */

static GVariant *pack_typed (const GVariantType *type,
                             PyObject           *object,
                             guint               depth);

/* Like PyErr_Format (), with a format that need not be ASCII. */
static void G_GNUC_PRINTF (2, 3)
set_error (PyObject   *exception_type,
           const char *format,
           ...)
{
  g_autofree char *text = NULL;
  PyObject *message;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  /* What was cut may have been cut within a character. */
  message = PyUnicode_DecodeUTF8 (text, strlen (text), "replace");
  if (message != NULL)
    {
      PyErr_SetObject (exception_type, message);
      Py_DECREF (message);
    }
}

static GVariant *
refuse_typed (const GVariantType *type,
              PyObject           *object)
{
  g_autofree char *signature = g_variant_type_dup_string (type);

  set_error (PyExc_TypeError, "a value of type %.200s cannot be sent as “%.255s”", Py_TYPE (object)->tp_name,
             signature);

  return NULL;
}

/* Returns: (transfer full) (nullable): what is like an int, but no bool, as one */
static PyObject *
get_index (const GVariantType *type,
           PyObject           *object)
{
  if (PyIndex_Check (object) && !PyBool_Check (object))
    return PyNumber_Index (object);

  refuse_typed (type, object);
  return NULL;
}

static void
set_out_of_range (const GVariantType *type)
{
  set_error (PyExc_OverflowError, "an int is out of the range of “%c”", *g_variant_type_peek_string (type));
}

static gboolean
get_integer (const GVariantType *type,
             PyObject           *object,
             gint64              min,
             gint64              max,
             gint64             *number)
{
  PyObject *index = get_index (type, object);
  int overflow;

  if (index == NULL)
    return FALSE;
  *number = PyLong_AsLongLongAndOverflow (index, &overflow);
  Py_DECREF (index);
  if (overflow == 0 && *number >= min && *number <= max)
    return TRUE;

  set_out_of_range (type);
  return FALSE;
}

static GVariant *
pack_typed_uint64 (const GVariantType *type,
                   PyObject           *object)
{
  PyObject *index = get_index (type, object);
  guint64 number;

  if (index == NULL)
    return NULL;
  number = PyLong_AsUnsignedLongLong (index);
  Py_DECREF (index);
  if (number == (guint64) -1 && PyErr_Occurred ())
    {
      set_out_of_range (type);
      return NULL;
    }

  return g_variant_new_uint64 (number);
}

static GVariant *
pack_typed_basic (const GVariantType *type,
                  PyObject           *object)
{
  const char *text;
  gint64 number;
  double real;

  switch (*g_variant_type_peek_string (type))
    {
    case 'b':
      return PyBool_Check (object) ? g_variant_new_boolean (object == Py_True) : refuse_typed (type, object);

    case 'y':
      return get_integer (type, object, 0, G_MAXUINT8, &number) ? g_variant_new_byte (number) : NULL;

    case 'n':
      return get_integer (type, object, G_MININT16, G_MAXINT16, &number) ? g_variant_new_int16 (number) : NULL;

    case 'q':
      return get_integer (type, object, 0, G_MAXUINT16, &number) ? g_variant_new_uint16 (number) : NULL;

    case 'i':
      return get_integer (type, object, G_MININT32, G_MAXINT32, &number) ? g_variant_new_int32 (number) : NULL;

    case 'u':
      return get_integer (type, object, 0, G_MAXUINT32, &number) ? g_variant_new_uint32 (number) : NULL;

    case 'h':
      return get_integer (type, object, 0, G_MAXINT32, &number) ? g_variant_new_handle (number) : NULL;

    case 'x':
      return get_integer (type, object, G_MININT64, G_MAXINT64, &number) ? g_variant_new_int64 (number) : NULL;

    case 't':
      return pack_typed_uint64 (type, object);

    case 'd':
      if (PyBool_Check (object) || !PyNumber_Check (object))
        return refuse_typed (type, object);
      real = PyFloat_AsDouble (object);
      return real == -1 && PyErr_Occurred () ? NULL : g_variant_new_double (real);

    default: /* s, o, g */
      if (!PyUnicode_Check (object))
        return refuse_typed (type, object);
      text = afrpc_python_get_text (object);
      if (text == NULL)
        return NULL;
      if (*g_variant_type_peek_string (type) == 's')
        return g_variant_new_string (text);
      if (*g_variant_type_peek_string (type) == 'o' && g_variant_is_object_path (text))
        return g_variant_new_object_path (text);
      if (*g_variant_type_peek_string (type) == 'g' && g_variant_is_signature (text))
        return g_variant_new_signature (text);
      set_error (PyExc_ValueError, "“%.200s” is not valid as “%c”", text, *g_variant_type_peek_string (type));
      return NULL;
    }
}

/* @type: of all @items, or of the first of them if they are members
 * @items: (transfer full): a tuple, or a list that nobody else has
 * Returns: (nullable): floating references */
static GPtrArray *
pack_typed_children (const GVariantType *type,
                     gboolean            are_members,
                     PyObject           *items,
                     guint               depth)
{
  const Py_ssize_t n = PySequence_Fast_GET_SIZE (items);
  GPtrArray *children = g_ptr_array_sized_new (n);

  for (Py_ssize_t i = 0; i < n; i++)
    {
      GVariant *child = pack_typed (type, PySequence_Fast_GET_ITEM (items, i), depth + 1);

      if (child == NULL)
        {
          Py_DECREF (items);
          afrpc_python_drop_children (children);
          return NULL;
        }
      g_ptr_array_add (children, child);
      if (are_members)
        type = g_variant_type_next (type);
    }
  Py_DECREF (items);

  return children;
}

/* Returns: (transfer full) (nullable): the elements, a copy: what is converted may change the object */
static PyObject *
copy_elements (const GVariantType *type,
               PyObject           *object)
{
  const gboolean is_dict = g_variant_type_is_dict_entry (g_variant_type_element (type));

  if (is_dict && PyDict_Check (object))
    return PyDict_Items (object);
  if (!is_dict && (PyList_Check (object) || PyTuple_Check (object)))
    return PySequence_Tuple (object);

  refuse_typed (type, object);
  return NULL;
}

static GVariant *
pack_typed_array (const GVariantType *type,
                  PyObject           *object,
                  guint               depth)
{
  const GVariantType *element = g_variant_type_element (type);
  GPtrArray *children;
  PyObject *items;
  GVariant *value;

  if (g_variant_type_equal (element, G_VARIANT_TYPE_BYTE) && afrpc_python_is_bytes (object))
    return afrpc_python_pack_bytes (object);

  items = copy_elements (type, object);
  children = items != NULL ? pack_typed_children (element, FALSE, items, depth) : NULL;
  if (children == NULL)
    return NULL;
  value = g_variant_new_array (element, (GVariant **) children->pdata, children->len);
  g_ptr_array_unref (children);

  return value;
}

/* Tuples and entries: a member for each type. */
static GVariant *
pack_typed_members (const GVariantType *type,
                    PyObject           *object,
                    guint               depth)
{
  const gsize n = g_variant_type_n_items (type);
  GPtrArray *children;
  PyObject *items;
  GVariant *value;

  if (!PyTuple_Check (object) && !PyList_Check (object))
    return refuse_typed (type, object);
  items = PySequence_Tuple (object);
  if (items == NULL)
    return NULL;
  if ((gsize) PyTuple_GET_SIZE (items) != n)
    {
      g_autofree char *signature = g_variant_type_dup_string (type);

      set_error (PyExc_TypeError, "%zd values cannot be sent as “%.255s”", PyTuple_GET_SIZE (items), signature);
      Py_DECREF (items);
      return NULL;
    }

  children = pack_typed_children (g_variant_type_first (type), TRUE, items, depth);
  if (children == NULL)
    return NULL;
  if (g_variant_type_is_dict_entry (type))
    value = g_variant_new_dict_entry (children->pdata[0], children->pdata[1]);
  else
    value = g_variant_new_tuple ((GVariant **) children->pdata, n);
  g_ptr_array_unref (children);

  return value;
}

static GVariant *
pack_typed (const GVariantType *type,
            PyObject           *object,
            guint               depth)
{
  GVariant *child = afrpc_python_peek_variant (object);

  if (!afrpc_python_check_depth (depth))
    return NULL;
  if (child != NULL && g_variant_is_of_type (child, type))
    return afrpc_python_pack_variant (child);
  if (child != NULL && !g_variant_type_is_variant (type) && !g_variant_type_is_maybe (type))
    return refuse_typed (type, object);

  switch (*g_variant_type_peek_string (type))
    {
    case 'v':
      child = afrpc_python_pack_inner (object, depth + 1);
      return child != NULL ? g_variant_new_variant (child) : NULL;

    case 'm':
      if (object == Py_None)
        return g_variant_new_maybe (g_variant_type_element (type), NULL);
      child = pack_typed (g_variant_type_element (type), object, depth + 1);
      return child != NULL ? g_variant_new_maybe (NULL, child) : NULL;

    case 'a':
      return pack_typed_array (type, object, depth);

    case '(':
    case '{':
      return pack_typed_members (type, object, depth);

    default:
      return pack_typed_basic (type, object);
    }
}

/* Returns: (transfer full) (nullable): not floating */
GVariant *
afrpc_python_pack_as (const char *type,
                      PyObject   *object)
{
  GVariant *value;

  if (!g_variant_type_string_is_valid (type) || !g_variant_type_is_definite (G_VARIANT_TYPE (type)))
    {
      set_error (PyExc_ValueError, "“%.200s” is not the type of a value", type);
      return NULL;
    }
  value = pack_typed (G_VARIANT_TYPE (type), object, 0);

  return value != NULL ? g_variant_take_ref (value) : NULL;
}
