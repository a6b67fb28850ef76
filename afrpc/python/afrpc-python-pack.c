/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-pack.h"

#include <glib-object.h>

#define NO_IMPORT_PYGOBJECT /* the rest of the codec has it */
#include <pygobject.h>

#include "afrpc-python-read.h"

/* Most values are aligned, and vary. */
#define WORDS 7
#define PACKED(ok, how) ((ok) ? (AfrpcPythonPacked) (how) : AFRPC_PYTHON_FAILED)

/* Returns: (nullable): what a Variant of either kind holds, borrowed; without an exception */
GVariant *
afrpc_python_peek_variant (PyObject *object)
{
  if (Py_IS_TYPE (object, afrpc_python_variant_type))
    return ((AfrpcPythonVariant *) object)->value;
  if (afrpc_python_has_pygobject () && PyObject_TypeCheck (object, &PyGPointer_Type) &&
      ((PyGPointer *) object)->gtype == G_TYPE_VARIANT)
    return pyg_pointer_get (object, GVariant);

  return NULL;
}

/* @object: which is that deep */
gboolean
afrpc_python_check_depth (AfrpcPythonPacker *self,
                          PyObject          *object,
                          guint              depth)
{
  if (G_LIKELY (depth <= AFRPC_PYTHON_DEPTH_MAX))
    return TRUE;

  self->too_deep = object;

  return afrpc_python_refuse (self, PyExc_ValueError, "a value that is nested more than %d deep cannot be sent",
                              AFRPC_PYTHON_DEPTH_MAX);
}

/* What has nothing in it */

gboolean
afrpc_python_pack_octets (AfrpcPythonPacker *self,
                          const void        *octets,
                          gsize              size)
{
  if (!afrpc_python_packer_reserve (self, size))
    return FALSE;
  afrpc_python_packer_add (self, octets, size);

  return TRUE;
}

static gboolean
pack_utf8 (AfrpcPythonPacker *self,
           const char        *text,
           gsize              length)
{
  if (memchr (text, '\0', length) != NULL)
    return afrpc_python_refuse (self, PyExc_ValueError, "a str with a NUL in it cannot be sent, send bytes instead");

  /* All strings of Python have a NUL behind them. */
  return afrpc_python_pack_octets (self, text, length + 1);
}

/* @object: a str */
gboolean
afrpc_python_pack_text (AfrpcPythonPacker *self,
                        PyObject          *object)
{
  PyObject *utf8;
  gboolean ok;

  if (PyUnicode_IS_COMPACT_ASCII (object))
    return pack_utf8 (self, (const char *) PyUnicode_1BYTE_DATA (object), PyUnicode_GET_LENGTH (object));

  /* Python would keep it with the str if it were only asked for its UTF-8. */
  utf8 = PyUnicode_AsUTF8String (object);
  if (utf8 == NULL)
    {
      if (!PyErr_ExceptionMatches (PyExc_UnicodeError))
        return FALSE;
      return afrpc_python_refuse (self, PyExc_ValueError, "a str with half a surrogate pair in it cannot be sent");
    }
  ok = pack_utf8 (self, PyBytes_AS_STRING (utf8), PyBytes_GET_SIZE (utf8));
  Py_DECREF (utf8);

  return ok;
}

static inline gboolean
pack_word (AfrpcPythonPacker *self,
           guint64            word)
{
  if (!afrpc_python_packer_reserve (self, 8))
    return FALSE;
  afrpc_python_packer_pad (self, WORDS);
  afrpc_python_packer_add (self, &word, 8);

  return TRUE;
}

static gboolean
pack_int (AfrpcPythonPacker *self,
          PyObject          *object)
{
  int overflow;
  const long long number = PyLong_AsLongLongAndOverflow (object, &overflow);

  if (overflow != 0)
    return afrpc_python_refuse (self, PyExc_OverflowError, "an int that is beyond 64 bits with a sign cannot be sent");

  return (number != -1 || !PyErr_Occurred ()) && pack_word (self, number);
}

static gboolean
pack_float (AfrpcPythonPacker *self,
            PyObject          *object)
{
  const double number = PyFloat_AS_DOUBLE (object);
  guint64 word;

  memcpy (&word, &number, 8);

  return pack_word (self, word);
}

static gboolean
pack_boolean (AfrpcPythonPacker *self,
              PyObject          *object)
{
  const guint8 octet = object == Py_True;

  return afrpc_python_pack_octets (self, &octet, 1);
}

/* Containers */

/* What many values are, without a detour. */
static gboolean
pack_boxed_basic (AfrpcPythonPacker *self,
                  PyObject          *object)
{
  const char *type = "\0x";
  gboolean ok;

  if (PyLong_CheckExact (object))
    ok = pack_int (self, object);
  else if (PyFloat_CheckExact (object))
    {
      type = "\0d";
      ok = pack_float (self, object);
    }
  else
    {
      type = "\0s";
      ok = afrpc_python_packer_align (self, WORDS) && afrpc_python_pack_text (self, object);
    }
  /* There is room for that wherever there was room for a word. */
  if (ok)
    afrpc_python_packer_add (self, type, 2);

  return ok;
}

/* A `v`: the value, a NUL, and its type. */
gboolean
afrpc_python_pack_boxed (AfrpcPythonPacker *self,
                         PyObject          *object,
                         guint              depth)
{
  const gsize n = self->types->len;
  gsize length;

  if (PyLong_CheckExact (object) || PyFloat_CheckExact (object) || PyUnicode_CheckExact (object))
    return pack_boxed_basic (self, object);
  if (!afrpc_python_packer_align (self, WORDS) || afrpc_python_pack_any (self, object, depth) == AFRPC_PYTHON_FAILED)
    return FALSE;

  length = self->types->len - n;
  if (length > AFRPC_LAYOUT_TYPE_MAX)
    return afrpc_python_refuse (self, PyExc_ValueError, "a tuple of so many members that its type has %" G_GSIZE_FORMAT
                                " characters cannot be sent", length);
  if (!afrpc_python_packer_reserve (self, length + 1))
    return FALSE;
  afrpc_python_packer_add (self, "", 1);
  afrpc_python_packer_add (self, self->types->str + n, length);
  g_string_truncate (self->types, n);

  return TRUE;
}

static gboolean
pack_list (AfrpcPythonPacker *self,
           PyObject          *object,
           guint              depth)
{
  const Py_ssize_t n = PyList_GET_SIZE (object);
  AfrpcPythonContainer container;

  if (!afrpc_python_check_depth (self, object, depth + 2) || !afrpc_python_packer_open (self, WORDS, &container) ||
      !afrpc_python_packer_reserve (self, n * 16) || !afrpc_python_packer_grow_ends (self, n))
    return FALSE;

  for (Py_ssize_t i = 0; i < n; i++)
    {
      PyObject *item;
      gboolean ok;

      if (PyList_GET_SIZE (object) != n)
        return afrpc_python_refuse_change (self, object);
      item = Py_NewRef (PyList_GET_ITEM (object, i));
      ok = afrpc_python_pack_boxed (self, item, depth + 2) && afrpc_python_packer_note_end (self, &container);
      Py_DECREF (item);
      if (!ok)
        return afrpc_python_note_place (self, depth, i);
    }

  return afrpc_python_packer_close (self, &container, TRUE);
}

/* What has been written from @start on begins earlier if it does not need to be aligned like that. */
static void
move_up (AfrpcPythonPacker *self,
         gsize              before,
         gsize              start,
         guint              alignment)
{
  const gsize to = (before + alignment) & ~(gsize) alignment;

  if (to == start)
    return;
  memmove (self->data + to, self->data + start, self->size - start);
  self->size -= start - to;
}

static AfrpcPythonPacked
pack_tuple (AfrpcPythonPacker *self,
            PyObject          *tuple,
            guint              depth)
{
  const Py_ssize_t n = PyTuple_GET_SIZE (tuple);
  const gsize before = self->size;
  AfrpcPythonContainer container;
  int packed = 0;

  if (!afrpc_python_check_depth (self, tuple, depth + 1) || !afrpc_python_packer_open (self, WORDS, &container))
    return AFRPC_PYTHON_FAILED;

  g_string_append_c (self->types, '(');
  for (Py_ssize_t i = 0; i < n; i++)
    {
      const AfrpcPythonPacked member = afrpc_python_pack_any (self, PyTuple_GET_ITEM (tuple, i), depth + 1);

      if (member == AFRPC_PYTHON_FAILED)
        {
          afrpc_python_note_place (self, depth, i);
          afrpc_python_note_container (self, tuple);
          return AFRPC_PYTHON_FAILED;
        }
      packed |= member;
      if ((member & AFRPC_PYTHON_VARIES) != 0 && i < n - 1 && !afrpc_python_packer_note_end (self, &container))
        return AFRPC_PYTHON_FAILED;
    }
  g_string_append_c (self->types, ')');

  /* What is of a fixed size ends where the next could begin; () is a byte, so that it is something. */
  if ((packed & AFRPC_PYTHON_VARIES) != 0 ? !afrpc_python_packer_close (self, &container, FALSE)
      : n == 0                            ? !afrpc_python_packer_fill (self, self->size + 1)
                                          : !afrpc_python_packer_align (self, packed))
    return AFRPC_PYTHON_FAILED;
  move_up (self, before, container.start, packed & AFRPC_PYTHON_ALIGNMENT);

  return packed;
}

/* The keys decide together, as each of them is of one type; an empty one has no keys that are not str.
 * Returns: (nullable): the type */
static const char *
get_dict_type (AfrpcPythonPacker *self,
               PyObject          *object)
{
  static const char *const of_text = "a{sv}", *const of_int = "a{xv}";
  const char *type = NULL;
  PyObject *key, *value;
  Py_ssize_t at = 0;

  while (PyDict_Next (object, &at, &key, &value))
    {
      const char *of_key = PyUnicode_Check (key) ? of_text : PyLong_Check (key) && !PyBool_Check (key) ? of_int : NULL;

      if (of_key == NULL || (type != NULL && of_key != type))
        {
          afrpc_python_refuse (self, PyExc_TypeError, "the keys of a dict must be all str or all int to be sent");
          return NULL;
        }
      type = of_key;
    }

  return type != NULL ? type : of_text;
}

static gboolean
pack_entry (AfrpcPythonPacker *self,
            PyObject          *key,
            PyObject          *value,
            guint              depth)
{
  AfrpcPythonContainer entry;

  if (!afrpc_python_packer_open (self, WORDS, &entry))
    return FALSE;
  if (PyUnicode_Check (key) ? !afrpc_python_pack_text (self, key) || !afrpc_python_packer_note_end (self, &entry)
                            : !pack_int (self, key))
    return afrpc_python_note_key (self, key);

  return (afrpc_python_pack_boxed (self, value, depth + 3) || afrpc_python_note_key (self, key)) &&
         afrpc_python_packer_close (self, &entry, FALSE);
}

static gboolean
pack_dict (AfrpcPythonPacker *self,
           PyObject          *object,
           guint              depth)
{
  const char *type = get_dict_type (self, object);
  const Py_ssize_t n = PyDict_GET_SIZE (object);
  AfrpcPythonContainer container;
  PyObject *key, *value;
  Py_ssize_t at = 0;

  if (type == NULL || !afrpc_python_check_depth (self, object, depth + 3) ||
      !afrpc_python_packer_open (self, WORDS, &container))
    return FALSE;

  g_string_append (self->types, type);
  for (Py_ssize_t i = 0; i < n; i++)
    {
      gboolean ok;

      /* A key that has taken the place of another is of the other's type, or this is not that dict any more. */
      if (!PyDict_Next (object, &at, &key, &value) || PyDict_GET_SIZE (object) != n ||
          (type[2] == 's' ? !PyUnicode_Check (key) : !PyLong_Check (key)))
        return afrpc_python_refuse_change (self, object);
      Py_INCREF (key);
      Py_INCREF (value);
      ok = pack_entry (self, key, value, depth) && afrpc_python_packer_note_end (self, &container);
      Py_DECREF (key);
      Py_DECREF (value);
      if (!ok)
        return FALSE;
    }

  return afrpc_python_packer_close (self, &container, TRUE);
}

/* A Tagged: an entry of its own. */
static gboolean
pack_tagged (AfrpcPythonPacker *self,
             PyObject          *object,
             guint              depth)
{
  PyObject *tag = PyTuple_GET_SIZE (object) == 2 ? PyTuple_GET_ITEM (object, 0) : NULL;

  if (tag == NULL || !PyUnicode_Check (tag))
    return afrpc_python_refuse (self, PyExc_TypeError, "the tag of an afrpc.Tagged must be a str to be sent");

  g_string_append (self->types, "{sv}");

  return afrpc_python_check_depth (self, object, depth + 3) && pack_entry (self, tag, PyTuple_GET_ITEM (object, 1), depth);
}

/* A value that has a type already. */
AfrpcPythonPacked
afrpc_python_pack_variant (AfrpcPythonPacker *self,
                           GVariant          *value)
{
  const gsize size = g_variant_get_size (value);
  const char *string = g_variant_get_type_string (value);
  AfrpcPythonType type = { 0 };
  const AfrpcLayout *layout = afrpc_python_type_get (&type, string, strlen (string));
  int packed = AFRPC_PYTHON_FAILED;

  if (layout == NULL)
    afrpc_python_refuse (self, PyExc_ValueError, "a Variant of so long a type cannot be sent");
  else if (!g_variant_is_normal_form (value))
    afrpc_python_refuse (self, PyExc_ValueError, "a malformed Variant cannot be sent");
  else if (afrpc_python_packer_reserve (self, size))
    {
      afrpc_python_packer_pad (self, layout->alignment);
      if (size > 0)
        g_variant_store (value, self->data + self->size);
      self->size += size;
      packed = layout->alignment | (layout->fixed_size == 0 ? AFRPC_PYTHON_VARIES : 0);
    }
  afrpc_python_type_clear (&type);

  return packed;
}

gboolean
afrpc_python_has_default (AfrpcPythonPacker *self)
{
  return self->hooks != NULL && PyTuple_GET_ITEM (self->hooks, 0) != Py_None;
}

/* Returns: (transfer full) (nullable): what stands for what cannot be sent; NULL with an exception */
static PyObject *
get_other (AfrpcPythonPacker *self,
           PyObject          *object,
           guint              depth)
{
  if (!afrpc_python_check_depth (self, object, depth + 1))
    return NULL;
  if (afrpc_python_has_default (self))
    {
      PyErr_Clear ();
      self->is_refused = FALSE;
      return PyObject_CallOneArg (PyTuple_GET_ITEM (self->hooks, 0), object);
    }

  if (!PyErr_Occurred ())
    afrpc_python_refuse (self, PyExc_TypeError, "a value of type %.200s cannot be sent", Py_TYPE (object)->tp_name);
  return NULL;
}

/* Bytes, and what is none of the types of Python that are known. */
static AfrpcPythonPacked
pack_rest (AfrpcPythonPacker *self,
           PyObject          *object,
           guint              depth)
{
  GVariant *held = afrpc_python_peek_variant (object);
  AfrpcPythonPacked packed;
  gboolean is_scalar;
  PyObject *other;

  /* How deep it is cannot be seen; what is too deep fails at the receiver, alone. */
  if (held != NULL)
    {
      g_string_append (self->types, g_variant_get_type_string (held));
      return afrpc_python_pack_variant (self, held);
    }
  if (PyBytes_Check (object))
    {
      g_string_append (self->types, "ay");
      return PACKED (afrpc_python_pack_octets (self, PyBytes_AS_STRING (object), PyBytes_GET_SIZE (object)),
                     AFRPC_PYTHON_VARIES);
    }
  is_scalar = afrpc_python_is_scalar (object);
  if (!is_scalar && afrpc_python_is_sendable_buffer (object))
    {
      packed = afrpc_python_pack_buffer (self, object);
      if (packed != AFRPC_PYTHON_UNSENDABLE)
        return packed;
    }

  other = is_scalar ? PyObject_CallMethod (object, "item", NULL) : get_other (self, object, depth);
  /* One that no number of Python can stand for, such as a longdouble, is its own; a number does not stand for a date. */
  if (is_scalar && other != NULL &&
      (Py_TYPE (other) == Py_TYPE (object) || (PyLong_Check (other) && afrpc_python_is_date (object))))
    Py_SETREF (other, get_other (self, object, depth));
  if (other == NULL)
    return AFRPC_PYTHON_FAILED;
  packed = afrpc_python_pack_any (self, other, depth + 1);
  Py_DECREF (other);

  return packed;
}

/* Where it begins is aligned as its type wants it. */
AfrpcPythonPacked
afrpc_python_pack_any (AfrpcPythonPacker *self,
                       PyObject          *object,
                       guint              depth)
{
  const char *type = "";
  int packed = WORDS;
  gboolean ok;

  if (PyUnicode_Check (object))
    {
      type = "s";
      packed = AFRPC_PYTHON_VARIES;
      ok = afrpc_python_pack_text (self, object);
    }
  else if (PyBool_Check (object))
    {
      type = "b";
      packed = 0;
      ok = pack_boolean (self, object);
    }
  else if (PyLong_Check (object))
    {
      type = "x";
      ok = pack_int (self, object);
    }
  else if (PyFloat_Check (object))
    {
      type = "d";
      ok = pack_float (self, object);
    }
  else
    {
      packed = WORDS | AFRPC_PYTHON_VARIES;
      if (object == Py_None)
        {
          type = "mv";
          ok = afrpc_python_packer_align (self, WORDS);
        }
      else if (PyDict_Check (object))
        ok = pack_dict (self, object, depth) || afrpc_python_note_container (self, object);
      else if (PyList_Check (object))
        {
          type = "av";
          ok = pack_list (self, object, depth) || afrpc_python_note_container (self, object);
        }
      else if (Py_IS_TYPE (object, afrpc_python_tagged_type))
        ok = pack_tagged (self, object, depth) || afrpc_python_note_container (self, object);
      else if (PyTuple_Check (object))
        return pack_tuple (self, object, depth);
      else
        return pack_rest (self, object, depth);
    }
  g_string_append (self->types, type);

  return PACKED (ok, packed);
}

/* Whole values */

static GVariant *
pack (PyObject *object,
      PyObject *hooks,
      gboolean  are_args)
{
  AfrpcPythonPacker *self;

  if (G_UNLIKELY (hooks == AFRPC_PYTHON_PICKLED))
    return afrpc_python_pickle (object);

  self = afrpc_python_packer_begin (hooks, are_args);
  if (afrpc_python_pack_any (self, object, 0) != AFRPC_PYTHON_FAILED && self->types->len > AFRPC_LAYOUT_TYPE_MAX)
    afrpc_python_refuse (self, PyExc_ValueError, "%s of so many members that the type has %" G_GSIZE_FORMAT
                         " characters cannot be sent", are_args ? "arguments" : "a tuple", self->types->len);

  return afrpc_python_packer_end (self);
}

GVariant *
afrpc_python_pack (PyObject *object,
                   PyObject *hooks)
{
  return pack (object, hooks, FALSE);
}

/* Returns: (transfer full) (nullable): a tuple, or the pickle of one, not floating */
GVariant *
afrpc_python_pack_args (PyObject *tuple,
                        PyObject *hooks)
{
  return pack (tuple, hooks, TRUE);
}
