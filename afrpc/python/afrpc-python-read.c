/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GVariants as Python values, read from their bytes: nothing in them becomes a GVariant of its own. The bytes need not
 * be trusted, whatever GLib thinks of them: what is not in normal form is a ValueError, or what can be made of it. */
#include "afrpc-python-array.h"

/* Values in each other. More than GLib allows in a value in normal form is not needed. */
#define DEPTH_MAX (AFRPC_LAYOUT_DEPTH_MAX + 2)

#define KEYS 256u        /* keys of dictionaries that are kept for the next ones that are equal */
#define KEY_SIZE_MAX 32u /* bytes of such a key */

static PyObject *keys[KEYS];

/* An array whose elements vary in size: where each of them ends is noted behind the last. */
typedef struct
{
  const guint8 *data;
  const guint8 *offset; /* that of the next element */
  gsize size;           /* of all elements */
  gsize end;            /* of the element that was read last */
  gsize n;
  guint offset_size;
  guint alignment;
} Elements;

static gboolean
elements_init (Elements          *self,
               const AfrpcLayout *element,
               const guint8      *data,
               gsize              size)
{
  *self = (Elements) { .data = data, .offset_size = afrpc_python_offset_size (size), .alignment = element->alignment };
  if (size == 0)
    return TRUE;

  self->size = afrpc_python_offset (data + size - self->offset_size, self->offset_size);
  if (self->size >= size || (size - self->size) % self->offset_size != 0)
    return FALSE;
  self->n = (size - self->size) / self->offset_size;
  self->offset = data + self->size;

  return TRUE;
}

/* Called n times. */
static inline gboolean
elements_next (Elements      *self,
               const guint8 **data,
               gsize         *size)
{
  const gsize start = afrpc_layout_align (self->end, self->alignment);
  const gsize end = afrpc_python_offset (self->offset, self->offset_size);

  if (start > end || end > self->size)
    return FALSE;

  self->offset += self->offset_size;
  self->end = end;
  *data = self->data + start;
  *size = end - start;

  return TRUE;
}

/* Basic types */

static PyObject *
read_text (const guint8 *data,
           gsize         size)
{
  if (size == 0 || data[size - 1] != '\0' || memchr (data, '\0', size - 1) != NULL)
    return afrpc_python_read_malformed ();

  return PyUnicode_DecodeUTF8 ((const char *) data, size - 1, NULL);
}

#define LOAD(type, data) ({ type number; memcpy (&number, data, sizeof number); number; })

/* @data: of the size that the type has */
static inline PyObject *
read_number (char          code,
             const guint8 *data)
{
  switch (code)
    {
    case 'b':
      return *data <= 1 ? PyBool_FromLong (*data) : afrpc_python_read_malformed ();

    case 'y':
      return PyLong_FromLong (*data);

    case 'n':
      return PyLong_FromLong (LOAD (gint16, data));

    case 'q':
      return PyLong_FromLong (LOAD (guint16, data));

    case 'i':
    case 'h':
      return PyLong_FromLong (LOAD (gint32, data));

    case 'u':
      return PyLong_FromUnsignedLong (LOAD (guint32, data));

    case 'x':
      return PyLong_FromLongLong (LOAD (gint64, data));

    case 't':
      return PyLong_FromUnsignedLongLong (LOAD (guint64, data));

    default: /* d */
      return PyFloat_FromDouble (LOAD (double, data));
    }
}

/* What has nothing in it. */
static inline PyObject *
read_basic (const AfrpcLayout *type,
            const guint8      *data,
            gsize              size)
{
  if (type->fixed_size == 0)
    return read_text (data, size);

  return size == type->fixed_size ? read_number (type->code, data) : afrpc_python_read_malformed ();
}

/* A key of a dictionary. What many have in common is made once. */
static PyObject *
read_key (const AfrpcLayout *type,
          const guint8      *data,
          gsize              size)
{
  PyObject **place, *key;
  guint hash = size;

  if (type->code != 's' || size < 2 || size > KEY_SIZE_MAX + 1)
    return read_basic (type, data, size);

  for (gsize i = 0; i < size - 1; i++)
    hash = hash * 31 + data[i];
  place = &keys[hash % KEYS];
  key = *place;
  if (key != NULL && (gsize) PyUnicode_GET_LENGTH (key) == size - 1 && data[size - 1] == '\0' &&
      memcmp (PyUnicode_1BYTE_DATA (key), data, size - 1) == 0)
    return Py_NewRef (key);

  key = read_text (data, size);
  if (key != NULL && PyUnicode_IS_COMPACT_ASCII (key))
    Py_XSETREF (*place, Py_NewRef (key));

  return key;
}

/* Containers */

/* @type: a cache, for what is read here the next time */
static PyObject *
read_variant (AfrpcPythonReader *self,
              AfrpcPythonType   *type,
              const guint8      *data,
              gsize              size)
{
  const gsize n_max = MIN (size, AFRPC_LAYOUT_TYPE_MAX + 1);
  const AfrpcLayout *layout;
  gsize n;

  /* Behind the value is a NUL, and the type. */
  for (n = 0; n < n_max && data[size - 1 - n] != '\0'; n++)
    ;
  if (n == n_max)
    return afrpc_python_read_malformed ();

  layout = afrpc_python_type_get (type, (const char *) data + size - n, n);

  return layout != NULL ? afrpc_python_read_value (self, layout, data, size - n - 1) : afrpc_python_read_malformed ();
}

static PyObject *
read_one_variant (AfrpcPythonReader *self,
                  const guint8      *data,
                  gsize              size)
{
  AfrpcPythonType type = { 0 };
  PyObject *object = read_variant (self, &type, data, size);

  afrpc_python_type_clear (&type);

  return object;
}

static PyObject *
read_maybe (AfrpcPythonReader *self,
            const AfrpcLayout *element,
            const guint8      *data,
            gsize              size)
{
  if (size == 0)
    return Py_NewRef (Py_None);
  /* So that an empty value is something. */
  if (element->fixed_size == 0 && data[--size] != '\0')
    return afrpc_python_read_malformed ();

  return afrpc_python_read_value (self, element, data, size);
}

static PyObject *
read_dict (AfrpcPythonReader *self,
           const AfrpcLayout *entry,
           const guint8      *data,
           gsize              size)
{
  PyObject *dict = PyDict_New ();
  AfrpcPythonType variant = { 0 };
  const gsize fixed_size = entry->fixed_size;
  Elements elements = { .data = data, .n = fixed_size > 0 ? size / fixed_size : 0 };
  gboolean ok = dict != NULL && (fixed_size > 0 ? size % fixed_size == 0 : elements_init (&elements, entry, data, size));

  for (gsize i = 0; ok && i < elements.n; i++)
    {
      AfrpcPythonMembers members;
      const AfrpcLayout *type;
      PyObject *key = NULL, *item = NULL;
      const guint8 *at = data + i * fixed_size;
      gsize n = fixed_size;

      ok = fixed_size > 0 || elements_next (&elements, &at, &n);
      if (!ok)
        break;
      afrpc_python_members_init (&members, entry, at, n);
      ok = afrpc_python_members_next (&members, &at, &n) && (key = read_key (entry + 1, at, n)) != NULL;
      type = members.type;
      if (ok && afrpc_python_members_next (&members, &at, &n))
        item = type->code == 'v' ? read_variant (self, &variant, at, n) : afrpc_python_read_value (self, type, at, n);
      ok = item != NULL && PyDict_SetItem (dict, key, item) == 0;
      Py_XDECREF (key);
      Py_XDECREF (item);
    }
  afrpc_python_type_clear (&variant);

  if (ok)
    return dict;
  Py_XDECREF (dict);

  return PyErr_Occurred () ? NULL : afrpc_python_read_malformed ();
}

#define FILL(type, make) \
  for (gsize i = 0; i < n; i++, data += sizeof (type)) \
    { \
      PyObject *item = make (LOAD (type, data)); \
      if (item == NULL) \
        return FALSE; \
      PyList_SET_ITEM (list, i, item); \
    } \
  return TRUE

static gboolean
fill_fixed (AfrpcPythonReader *self,
            PyObject          *list,
            const AfrpcLayout *element,
            const guint8      *data,
            gsize              n)
{
  switch (element->code)
    {
    case 'x':
      FILL (gint64, PyLong_FromLongLong);

    case 'd':
      FILL (double, PyFloat_FromDouble);

    case 'i':
      FILL (gint32, PyLong_FromLong);

    default:
      for (gsize i = 0; i < n; i++, data += element->fixed_size)
        {
          PyObject *item = afrpc_python_read_value (self, element, data, element->fixed_size);

          if (item == NULL)
            return FALSE;
          PyList_SET_ITEM (list, i, item);
        }
      return TRUE;
    }
}

static gboolean
fill (AfrpcPythonReader *self,
      PyObject          *list,
      const AfrpcLayout *element,
      Elements          *elements)
{
  AfrpcPythonType variant = { 0 };
  const char code = element->code;
  gboolean ok = TRUE;

  for (gsize i = 0; ok && i < elements->n; i++)
    {
      PyObject *item = NULL;
      const guint8 *data;
      gsize size;

      if (!elements_next (elements, &data, &size))
        item = afrpc_python_read_malformed ();
      else if (code == 'v')
        item = size == 10 && data[8] == '\0' && (data[9] == 'x' || data[9] == 'd')
                 ? read_number (data[9], data)
                 : read_variant (self, &variant, data, size);
      else if (code == 's')
        item = read_text (data, size);
      else
        item = afrpc_python_read_value (self, element, data, size);
      ok = item != NULL;
      if (ok)
        PyList_SET_ITEM (list, i, item);
    }
  afrpc_python_type_clear (&variant);

  return ok;
}

static PyObject *
read_array (AfrpcPythonReader *self,
            const AfrpcLayout *element,
            const guint8      *data,
            gsize              size)
{
  const gsize fixed_size = element->fixed_size;
  Elements elements = { .n = fixed_size > 0 ? size / fixed_size : 0 };
  PyObject *list;
  gboolean ok;

  if (element->code == 'y')
    return PyBytes_FromStringAndSize ((const char *) data, size);
  if (element->code == '{')
    return read_dict (self, element, data, size);
  if (fixed_size > 0 ? size % fixed_size != 0 : !elements_init (&elements, element, data, size))
    return afrpc_python_read_malformed ();
  if (afrpc_python_reader_has_arrays (self) && afrpc_python_is_number (element->code))
    return afrpc_python_read_numbers (self, element, data, elements.n);

  list = PyList_New (elements.n);
  if (list == NULL)
    return NULL;
  ok = fixed_size > 0 ? fill_fixed (self, list, element, data, elements.n) : fill (self, list, element, &elements);
  if (!ok)
    Py_CLEAR (list);

  return list;
}

/* @tuple: or an entry */
Py_ssize_t
afrpc_python_count_members (const AfrpcLayout *tuple)
{
  Py_ssize_t n = 0;

  for (const AfrpcLayout *type = tuple + 1; !afrpc_layout_is_closing (type); type += type->length)
    n++;

  return n;
}

/* @objects: (out caller-allocates) (transfer full): as many as the tuple has members */
gboolean
afrpc_python_read_members (AfrpcPythonReader  *self,
                           const AfrpcLayout  *tuple,
                           const guint8       *data,
                           gsize               size,
                           PyObject          **objects)
{
  AfrpcPythonMembers members;
  gsize i = 0;

  afrpc_python_members_init (&members, tuple, data, size);
  while (!afrpc_layout_is_closing (members.type))
    {
      const AfrpcLayout *type = members.type;
      const guint8 *at;
      gsize n;

      objects[i] = afrpc_python_members_next (&members, &at, &n) ? afrpc_python_read_value (self, type, at, n)
                                                                 : afrpc_python_read_malformed ();
      if (objects[i++] == NULL)
        return FALSE;
    }

  return TRUE;
}

static PyObject *
read_tuple (AfrpcPythonReader *self,
            const AfrpcLayout *type,
            const guint8      *data,
            gsize              size)
{
  PyObject *tuple;

  if (type->fixed_size > 0 && size != type->fixed_size)
    return afrpc_python_read_malformed ();

  /* What is not there yet is NULL. */
  tuple = PyTuple_New (afrpc_python_count_members (type));
  if (tuple != NULL && !afrpc_python_read_members (self, type, data, size, &PyTuple_GET_ITEM (tuple, 0)))
    Py_CLEAR (tuple);

  return tuple;
}

/* @pair: (transfer full) (nullable): tag and value */
static PyObject *
make_tagged (AfrpcPythonReader *self,
             PyObject          *pair)
{
  PyObject *function = self->hooks != NULL ? PyTuple_GET_ITEM (self->hooks, 1) : Py_None;
  PyObject *object;

  if (pair == NULL)
    return NULL;

  if (function == Py_None || PyUnicode_CompareWithASCIIString (PyTuple_GET_ITEM (pair, 0), AFRPC_PYTHON_KEYWORDS) == 0)
    function = (PyObject *) afrpc_python_tagged_type;
  object = PyObject_CallObject (function, pair);
  Py_DECREF (pair);

  return object;
}

static PyObject *
read_container (AfrpcPythonReader *self,
                const AfrpcLayout *type,
                const guint8      *data,
                gsize              size)
{
  switch (type->code)
    {
    case 'v':
      return read_one_variant (self, data, size);

    case 'm':
      return read_maybe (self, type + 1, data, size);

    case 'a':
      return read_array (self, type + 1, data, size);

    case '{':
      if (afrpc_python_is_array_type (type))
        return afrpc_python_read_array (self, type, data, size);
      if (type[1].code == 's' && type[2].code == 'v')
        return make_tagged (self, read_tuple (self, type, data, size));
      return read_tuple (self, type, data, size);

    default: /* ( */
      return read_tuple (self, type, data, size);
    }
}

PyObject *
afrpc_python_read_value (AfrpcPythonReader *self,
                         const AfrpcLayout *type,
                         const guint8      *data,
                         gsize              size)
{
  PyObject *object;

  if (type->length == 1 && type->code != 'v')
    return read_basic (type, data, size);

  if (self->depth == DEPTH_MAX)
    return afrpc_python_read_malformed ();
  self->depth++;
  object = read_container (self, type, data, size);
  self->depth--;

  return object;
}
