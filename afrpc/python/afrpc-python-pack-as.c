/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-pack.h"

#include "afrpc-python-read.h"

/* What a value becomes is decided by a type that is given. */

static gboolean pack_typed (AfrpcPythonPacker *self,
                            const AfrpcLayout *type,
                            PyObject          *object,
                            guint              depth);

static char *
get_signature (const AfrpcLayout *type)
{
  char *signature = g_malloc (type->length + 1);

  for (guint i = 0; i < type->length; i++)
    signature[i] = type[i].code;
  signature[type->length] = '\0';

  return signature;
}

/* Returns: (transfer full) */
static char *
describe_type (const AfrpcLayout *type,
               PyObject          *object)
{
  g_autofree char *signature = get_signature (type);

  return g_strdup_printf ("a value of type %.200s cannot be sent as '%s'", Py_TYPE (object)->tp_name, signature);
}

static gboolean
refuse_type (AfrpcPythonPacker *self,
             const AfrpcLayout *type,
             PyObject          *object,
             const char        *more)
{
  g_autofree char *words = describe_type (type, object);

  return afrpc_python_refuse (self, PyExc_TypeError, "%s%s", words, more);
}

/* What does not go with the type is what the program makes of it, or nothing. */
static gboolean
pack_default (AfrpcPythonPacker *self,
              const AfrpcLayout *type,
              PyObject          *object,
              guint              depth)
{
  PyObject *other;
  gboolean ok;

  if (!afrpc_python_has_default (self))
    return refuse_type (self, type, object, "");

  if (!afrpc_python_check_depth (self, object, depth + 1))
    return FALSE;
  other = PyObject_CallOneArg (PyTuple_GET_ITEM (self->hooks, 0), object);
  if (other == NULL)
    {
      if (self->wanted == NULL)
        self->wanted = describe_type (type, object);
      return FALSE;
    }
  ok = other != object ? pack_typed (self, type, other, depth + 1) :
                         refuse_type (self, type, object, ", and default() returns it as it is");
  Py_DECREF (other);

  return ok;
}

/* Numbers */

static gboolean
refuse_range (AfrpcPythonPacker *self,
              char               code)
{
  return afrpc_python_refuse (self, PyExc_OverflowError, "an int is out of the range of '%c'", code);
}

/* @index: an int */
static gboolean
get_integer (AfrpcPythonPacker *self,
             char               code,
             PyObject          *index,
             guint64           *number)
{
  static const struct { char code; gint64 min, max; } ranges[] = {
    { 'y', 0, G_MAXUINT8 },          { 'n', G_MININT16, G_MAXINT16 }, { 'q', 0, G_MAXUINT16 },
    { 'i', G_MININT32, G_MAXINT32 }, { 'u', 0, G_MAXUINT32 },         { 'h', 0, G_MAXINT32 },
    { 'x', G_MININT64, G_MAXINT64 },
  };
  int overflow;
  gint64 signed_number;

  if (code == 't')
    {
      *number = PyLong_AsUnsignedLongLong (index);
      return *number != (guint64) -1 || !PyErr_Occurred () || refuse_range (self, code);
    }

  signed_number = PyLong_AsLongLongAndOverflow (index, &overflow);
  *number = signed_number;
  for (guint i = 0; overflow == 0 && i < G_N_ELEMENTS (ranges); i++)
    if (ranges[i].code == code)
      return (signed_number >= ranges[i].min && signed_number <= ranges[i].max) || refuse_range (self, code);

  return refuse_range (self, code);
}

static gboolean
pack_integer (AfrpcPythonPacker *self,
              const AfrpcLayout *type,
              PyObject          *object,
              guint              depth)
{
  const char code = type->code;
  const gsize size = type->fixed_size;
  PyObject *index;
  guint64 number;
  gboolean ok;

  if (!PyIndex_Check (object) || PyBool_Check (object))
    return pack_default (self, type, object, depth);
  index = PyNumber_Index (object);
  if (index == NULL)
    return FALSE;
  ok = get_integer (self, code, index, &number) && afrpc_python_packer_reserve (self, size);
  Py_DECREF (index);
  if (!ok)
    return FALSE;

#if G_BYTE_ORDER == G_BIG_ENDIAN
  number <<= 8 * (8 - size);
#endif
  afrpc_python_packer_pad (self, size - 1);
  afrpc_python_packer_add (self, &number, size);

  return TRUE;
}

static gboolean
pack_double (AfrpcPythonPacker *self,
             const AfrpcLayout *type,
             PyObject          *object,
             guint              depth)
{
  double number;

  if (PyBool_Check (object) || !PyNumber_Check (object))
    return pack_default (self, type, object, depth);
  number = PyFloat_AsDouble (object);
  if ((number == -1 && PyErr_Occurred ()) || !afrpc_python_packer_reserve (self, sizeof number))
    return FALSE;
  afrpc_python_packer_pad (self, sizeof number - 1);
  afrpc_python_packer_add (self, &number, sizeof number);

  return TRUE;
}

/* Text, and other basic types */

static gboolean
pack_string (AfrpcPythonPacker *self,
             const AfrpcLayout *type,
             PyObject          *object,
             guint              depth)
{
  const char code = type->code;
  const gsize start = self->size;
  const char *text;

  if (!PyUnicode_Check (object))
    return pack_default (self, type, object, depth);
  if (!afrpc_python_pack_text (self, object))
    return FALSE;

  text = (const char *) self->data + start;
  if (code == 's' || (code == 'o' ? g_variant_is_object_path (text) : g_variant_is_signature (text)))
    return TRUE;

  return afrpc_python_refuse (self, PyExc_ValueError, "'%.200s' is not valid as '%c'", text, code);
}

static gboolean
pack_basic (AfrpcPythonPacker *self,
            const AfrpcLayout *type,
            PyObject          *object,
            guint              depth)
{
  guint8 octet;

  switch (type->code)
    {
    case 'b':
      if (!PyBool_Check (object))
        return pack_default (self, type, object, depth);
      octet = object == Py_True;
      return afrpc_python_pack_octets (self, &octet, 1);

    case 'd':
      return pack_double (self, type, object, depth);

    case 's':
    case 'o':
    case 'g':
      return pack_string (self, type, object, depth);

    default:
      return pack_integer (self, type, object, depth);
    }
}

/* Containers */

/* @items: a list or a tuple, which may change */
static gboolean
pack_elements (AfrpcPythonPacker *self,
               const AfrpcLayout *type,
               PyObject          *items,
               guint              depth)
{
  const AfrpcLayout *element = type + 1;
  const gboolean varies = element->fixed_size == 0;
  const Py_ssize_t n = PySequence_Fast_GET_SIZE (items);
  AfrpcPythonContainer container;

  if (!afrpc_python_packer_open (self, type->alignment, &container) ||
      !afrpc_python_packer_reserve (self, n * MAX (element->fixed_size, 1u)) ||
      (varies && !afrpc_python_packer_grow_ends (self, n)))
    return FALSE;

  for (Py_ssize_t i = 0; i < n; i++)
    {
      PyObject *item;
      gboolean ok;

      if (PySequence_Fast_GET_SIZE (items) != n)
        return afrpc_python_refuse_change (self, items);
      item = Py_NewRef (PySequence_Fast_GET_ITEM (items, i));
      ok = pack_typed (self, element, item, depth + 1);
      Py_DECREF (item);
      if (!ok)
        return afrpc_python_note_place (self, depth, i);
      if (varies && !afrpc_python_packer_note_end (self, &container))
        return FALSE;
    }

  return afrpc_python_packer_close (self, &container, TRUE);
}

/* Where a tuple or an entry ends. */
static gboolean
close_members (AfrpcPythonPacker          *self,
               const AfrpcLayout          *type,
               const AfrpcPythonContainer *container)
{
  if (type->fixed_size > 0)
    return afrpc_python_packer_fill (self, container->start + type->fixed_size);

  return afrpc_python_packer_close (self, container, FALSE);
}

static gboolean
pack_entry (AfrpcPythonPacker *self,
            const AfrpcLayout *entry,
            PyObject          *key,
            PyObject          *value,
            guint              depth)
{
  AfrpcPythonContainer container;

  if (!afrpc_python_packer_open (self, entry->alignment, &container))
    return FALSE;
  if (!pack_typed (self, entry + 1, key, depth + 2))
    return afrpc_python_note_key (self, key);
  if (entry[1].fixed_size == 0 && !afrpc_python_packer_note_end (self, &container))
    return FALSE;

  return (pack_typed (self, entry + 2, value, depth + 2) || afrpc_python_note_key (self, key)) &&
         close_members (self, entry, &container);
}

static gboolean
pack_dict (AfrpcPythonPacker *self,
           const AfrpcLayout *type,
           PyObject          *object,
           guint              depth)
{
  const gboolean varies = type[1].fixed_size == 0;
  const Py_ssize_t n = PyDict_GET_SIZE (object);
  AfrpcPythonContainer container;
  PyObject *key, *value;
  Py_ssize_t at = 0;

  if (!afrpc_python_packer_open (self, type->alignment, &container))
    return FALSE;

  for (Py_ssize_t i = 0; i < n; i++)
    {
      gboolean ok;

      if (!PyDict_Next (object, &at, &key, &value) || PyDict_GET_SIZE (object) != n)
        return afrpc_python_refuse_change (self, object);
      Py_INCREF (key);
      Py_INCREF (value);
      ok = pack_entry (self, type + 1, key, value, depth);
      Py_DECREF (key);
      Py_DECREF (value);
      if (!ok || (varies && !afrpc_python_packer_note_end (self, &container)))
        return FALSE;
    }

  return afrpc_python_packer_close (self, &container, TRUE);
}

/* Numbers in one piece, if they are of that type; else each for itself. */
static gboolean
pack_from_buffer (AfrpcPythonPacker *self,
                  const AfrpcLayout *type,
                  PyObject          *object,
                  guint              depth)
{
  PyObject *list;
  gboolean ok;
  int packed;

  if (!afrpc_python_packer_align (self, type->alignment))
    return FALSE;
  packed = afrpc_python_pack_numbers (self, object, type[1].code);
  if (packed != 0)
    return packed > 0;

  list = afrpc_python_list_buffer (object);
  if (list == NULL)
    return FALSE;
  ok = PyList_Check (list) ? pack_elements (self, type, list, depth) : pack_default (self, type, object, depth);
  Py_DECREF (list);

  return ok;
}

static gboolean
pack_array (AfrpcPythonPacker *self,
            const AfrpcLayout *type,
            PyObject          *object,
            guint              depth)
{
  const gboolean is_dict = type[1].code == '{';

  if (is_dict && PyDict_Check (object))
    return pack_dict (self, type, object, depth);
  if (!is_dict && (PyList_Check (object) || PyTuple_Check (object)))
    return pack_elements (self, type, object, depth);
  if (!is_dict && afrpc_python_is_sendable_buffer (object))
    return pack_from_buffer (self, type, object, depth);

  return pack_default (self, type, object, depth);
}

/* @items: as many as there are members */
static gboolean
pack_members (AfrpcPythonPacker *self,
              const AfrpcLayout *type,
              PyObject          *items,
              guint              depth)
{
  const Py_ssize_t n = PyTuple_GET_SIZE (items);
  const AfrpcLayout *member = type + 1;
  AfrpcPythonContainer container;

  if (!afrpc_python_packer_open (self, type->alignment, &container))
    return FALSE;
  for (Py_ssize_t i = 0; i < n; i++)
    {
      if (!pack_typed (self, member, PyTuple_GET_ITEM (items, i), depth + 1))
        return afrpc_python_note_place (self, depth, i);
      if (member->fixed_size == 0 && i < n - 1 && !afrpc_python_packer_note_end (self, &container))
        return FALSE;
      member += member->length;
    }

  return close_members (self, type, &container);
}

/* Tuples and entries: a member for each type. */
static gboolean
pack_tuple (AfrpcPythonPacker *self,
            const AfrpcLayout *type,
            PyObject          *object,
            guint              depth)
{
  PyObject *items;
  gboolean ok;

  if (!PyTuple_Check (object) && !PyList_Check (object))
    return pack_default (self, type, object, depth);
  /* What is converted may change a list. */
  items = PySequence_Tuple (object);
  if (items == NULL)
    return FALSE;

  if (PyTuple_GET_SIZE (items) != afrpc_python_count_members (type))
    {
      g_autofree char *signature = get_signature (type);

      ok = afrpc_python_refuse (self, PyExc_TypeError, "%zd values cannot be sent as '%s'", PyTuple_GET_SIZE (items),
                                signature);
    }
  else
    ok = pack_members (self, type, items, depth);
  Py_DECREF (items);

  return ok;
}

static gboolean
pack_maybe (AfrpcPythonPacker *self,
            const AfrpcLayout *type,
            PyObject          *object,
            guint              depth)
{
  if (!afrpc_python_packer_align (self, type->alignment))
    return FALSE;
  if (object == Py_None)
    return TRUE;
  if (!pack_typed (self, type + 1, object, depth + 1))
    return FALSE;

  /* So that an empty value is something. */
  return type[1].fixed_size > 0 || afrpc_python_pack_octets (self, "", 1);
}

/* A Variant has a type of its own. Returns: 1 if it is packed, 0 if it is none, or is packed as what is in it */
static int
pack_held (AfrpcPythonPacker *self,
           const AfrpcLayout *type,
           PyObject          *object)
{
  GVariant *held = afrpc_python_peek_variant (object);
  const char code = type->code;
  g_autofree char *signature = NULL;

  if (held == NULL)
    return 0;
  signature = get_signature (type);
  if (strcmp (g_variant_get_type_string (held), signature) == 0)
    return afrpc_python_pack_variant (self, held) != AFRPC_PYTHON_FAILED ? 1 : -1;
  if (code == 'v' || code == 'm')
    return 0;

  afrpc_python_refuse (self, PyExc_TypeError, "a Variant of type '%s' cannot be sent as '%s'",
                       g_variant_get_type_string (held), signature);
  return -1;
}

static gboolean
pack_container (AfrpcPythonPacker *self,
                const AfrpcLayout *type,
                PyObject          *object,
                guint              depth)
{
  switch (type->code)
    {
    case 'v':
      return afrpc_python_pack_boxed (self, object, depth + 1);

    case 'm':
      return pack_maybe (self, type, object, depth);

    case 'a':
      return pack_array (self, type, object, depth);

    default:
      return pack_tuple (self, type, object, depth);
    }
}

static gboolean
pack_typed (AfrpcPythonPacker *self,
            const AfrpcLayout *type,
            PyObject          *object,
            guint              depth)
{
  const char code = type->code;
  int held;

  /* Most of what there is many of. */
  if ((code == 'x' && PyLong_CheckExact (object)) || (code == 'd' && PyFloat_CheckExact (object)) ||
      (code == 's' && PyUnicode_CheckExact (object)))
    return pack_basic (self, type, object, depth);

  if (!afrpc_python_check_depth (self, object, depth))
    return FALSE;
  held = pack_held (self, type, object);
  if (held != 0)
    return held > 0;
  if (type->length > 1 || code == 'v')
    return pack_container (self, type, object, depth) || afrpc_python_note_container (self, object);

  return pack_basic (self, type, object, depth);
}

/* @object: the only one of the arguments, or a tuple of them if @type is one, if @are_args
 * Returns: (transfer full) (nullable): not floating */
GVariant *
afrpc_python_pack_as (const char *type,
                      PyObject   *object,
                      gboolean    are_args,
                      PyObject   *hooks)
{
  AfrpcPythonPacker *self = afrpc_python_packer_begin (hooks, are_args && type[0] == '(');
  AfrpcPythonType table = { 0 };
  const AfrpcLayout *layout = afrpc_python_type_get (&table, type, strlen (type));

  /* GLib has a limit of its own to how many may be in each other. */
  if (layout == NULL || !g_variant_type_string_is_valid (type))
    afrpc_python_refuse (self, PyExc_ValueError, "'%.200s' is not the type of a value", type);
  else if (!pack_typed (self, layout, object, 0) && are_args && !self->are_args)
    {
      self->are_args = TRUE;
      afrpc_python_note_place (self, 0, 0);
    }
  g_string_assign (self->types, type);
  afrpc_python_type_clear (&table);

  return afrpc_python_packer_end (self);
}
