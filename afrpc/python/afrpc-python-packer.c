/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-pack.h"

#include <sys/mman.h>

#include "afrpc/wire/afrpc-offset.h"

#define SIZE_MIN 128u         /* bytes to begin with */
#define ENDS_MIN 32u
#define SIZE_KEPT_MAX 65536u  /* bytes that are kept for the next value */
#define SIZE_HUGE_MIN (4u << 20) /* bytes: of these some pages are huge, if they may be */
#define PAGE_SIZE 4096u       /* of most machines */
#define PLACES_MAX 10u        /* that are told: those outside, and the innermost two */

/* Most values are small, and packed one after the other: what they need is got once. */
static AfrpcPythonPacker *spare;

static AfrpcPythonPacker *
packer_new (void)
{
  AfrpcPythonPacker *self = g_new0 (AfrpcPythonPacker, 1);

  self->types = g_string_sized_new (32);
  self->n_ends_allocated = ENDS_MIN;
  self->ends = g_new (gsize, ENDS_MIN);

  return self;
}

static void
packer_free (AfrpcPythonPacker *self)
{
  g_free (self->data);
  g_free (self->ends);
  g_string_free (self->types, TRUE);
  g_free (self);
}

/* @hooks: (nullable) */
AfrpcPythonPacker *
afrpc_python_packer_begin (PyObject *hooks,
                           gboolean  are_args)
{
  AfrpcPythonPacker *self = spare != NULL ? g_steal_pointer (&spare) : packer_new ();

  if (self->data == NULL)
    {
      self->data = g_malloc (SIZE_MIN);
      self->allocated = SIZE_MIN;
    }
  /* They may be changed while they are used. */
  self->hooks = hooks != NULL && hooks != Py_None ? Py_NewRef (hooks) : NULL;
  self->are_args = are_args;
  self->is_refused = FALSE;
  self->too_deep = NULL;

  return self;
}

/* Small pages cost more than what is written to them. */
static gpointer
try_renew (gpointer memory,
           gsize    size)
{
  guint8 *data = g_try_realloc (memory, size);
  /* The whole of a mapping: what is half of one kind is copied when it grows, and not moved. */
  guint8 *page = data - ((guintptr) data & (PAGE_SIZE - 1));

#ifdef MADV_HUGEPAGE
  if (data != NULL && size >= SIZE_HUGE_MIN)
    madvise (page, data + size - page, MADV_HUGEPAGE);
#endif

  return data;
}

/* Memory for so many bytes more. */
gboolean
afrpc_python_packer_grow (AfrpcPythonPacker *self,
                          gsize              size)
{
  const gsize needed = self->size + size;
  const gsize more = MAX (needed, self->allocated + self->allocated / 2);
  guint8 *data = needed >= size ? try_renew (self->data, more) : NULL;

  if (data == NULL)
    {
      PyErr_NoMemory ();
      return FALSE;
    }
  self->data = data;
  self->allocated = more;

  return TRUE;
}

/* The same for so many ends. */
gboolean
afrpc_python_packer_grow_ends (AfrpcPythonPacker *self,
                               gsize              n)
{
  const gsize more = MAX (self->n_ends + n, 2 * self->n_ends_allocated);
  gsize *ends;

  if (n <= self->n_ends_allocated - self->n_ends)
    return TRUE;
  ends = more <= G_MAXSIZE / sizeof (gsize) ? try_renew (self->ends, more * sizeof (gsize)) : NULL;
  if (ends == NULL)
    {
      PyErr_NoMemory ();
      return FALSE;
    }
  self->ends = ends;
  self->n_ends_allocated = more;

  return TRUE;
}

static inline void
put_end (guint8  *at,
         guint64  end,
         guint    size)
{
  end = GUINT64_TO_LE (end);
  /* So that each of these is an instruction. */
  switch (size)
    {
    case 1:
      memcpy (at, &end, 1);
      break;
    case 2:
      memcpy (at, &end, 2);
      break;
    case 4:
      memcpy (at, &end, 4);
      break;
    default:
      memcpy (at, &end, 8);
    }
}

/* Writes the ends that were noted: those of a tuple from the last to the first. */
gboolean
afrpc_python_packer_close (AfrpcPythonPacker          *self,
                           const AfrpcPythonContainer *container,
                           gboolean                    is_array)
{
  const gsize n = self->n_ends - container->n_ends;
  const gsize *ends = self->ends + container->n_ends;
  const guint size = afrpc_offset_choose_size (self->size - container->start, n);
  guint8 *at;

  if (n == 0)
    return TRUE;
  if (!afrpc_python_packer_reserve (self, n * size))
    return FALSE;

  at = self->data + self->size;
  for (gsize i = 0; i < n; i++, at += size)
    put_end (at, ends[is_array ? i : n - 1 - i], size);
  self->size += n * size;
  self->n_ends = container->n_ends;

  return TRUE;
}

/* Zeros, up to the fixed size of what has been packed last. */
gboolean
afrpc_python_packer_fill (AfrpcPythonPacker *self,
                          gsize              size)
{
  const gsize n = size - self->size;

  if (!afrpc_python_packer_reserve (self, n))
    return FALSE;
  memset (self->data + self->size, 0, n);
  self->size += n;

  return TRUE;
}

/* Returns: (transfer full): in one line, however deep that is */
static char *
join_places (GPtrArray *places)
{
  GString *line = g_string_new (g_ptr_array_index (places, places->len - 1));

  for (guint i = places->len - 1; i > 0; i--)
    if (places->len <= PLACES_MAX || i > places->len - (PLACES_MAX - 2) || i <= 2)
      g_string_append_printf (line, ", %s", (char *) g_ptr_array_index (places, i - 1));
    else if (i == 3)
      g_string_append (line, ", ...");

  return g_string_free (line, FALSE);
}

/* It is too deep since it has no end: that is said instead. */
static void
tell_endless (AfrpcPythonPacker *self)
{
  g_autofree char *name = g_steal_pointer (&self->endless);

  if (name == NULL || !self->is_refused)
    return;

  PyErr_Clear ();
  afrpc_python_refuse (self, PyExc_ValueError, "a value of type %.200s that contains itself cannot be sent", name);
}

/* The exception that is set says where in the value that was. That of somebody else stays what it is. */
void
afrpc_python_packer_tell_place (AfrpcPythonPacker *self)
{
  PyObject *type, *value, *traceback, *text, *result;
  g_autoptr(GPtrArray) places = g_steal_pointer (&self->places);
  g_autofree char *wanted = g_steal_pointer (&self->wanted);
  g_autofree char *place = NULL;

  tell_endless (self);
  if (places == NULL || places->len == 0)
    return;

  place = join_places (places);
  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (self->is_refused)
    {
      text = PyUnicode_FromFormat ("%s: %S", place, value);
      if (text != NULL)
        PyErr_SetObject (type, text);
      Py_XDECREF (text);
      Py_XDECREF (type);
      Py_XDECREF (value);
      Py_XDECREF (traceback);
      return;
    }

  text = PyUnicode_FromFormat ("when afrpc converted %s%s%s", place, wanted != NULL ? ": " : "",
                               wanted != NULL ? wanted : "");
  result = text != NULL ? PyObject_CallMethod (value, "add_note", "O", text) : NULL;
  if (result == NULL)
    PyErr_Clear ();
  Py_XDECREF (result);
  Py_XDECREF (text);
  PyErr_Restore (type, value, traceback);
}

/* Gives away what was written, unless there is an exception.
 * Returns: (transfer full) (nullable): not floating */
GVariant *
afrpc_python_packer_end (AfrpcPythonPacker *self)
{
  g_autoptr(GBytes) bytes = NULL;
  GVariant *value = NULL;

  if (!PyErr_Occurred ())
    {
      bytes = g_bytes_new_take (g_realloc (g_steal_pointer (&self->data), MAX (self->size, 1)), self->size);
      value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (self->types->str), bytes, TRUE));
    }
  else
    afrpc_python_packer_tell_place (self);
  Py_CLEAR (self->hooks);

  if (spare != NULL || self->n_ends_allocated > SIZE_KEPT_MAX / sizeof (gsize) ||
      (self->data != NULL && self->allocated > SIZE_KEPT_MAX))
    {
      packer_free (self);
      return value;
    }
  self->size = self->n_ends = 0;
  g_string_truncate (self->types, 0);
  spare = self;

  return value;
}

gboolean
afrpc_python_refuse (AfrpcPythonPacker *self,
                     PyObject          *type,
                     const char        *format,
                     ...)
{
  g_autofree char *words = NULL;
  PyObject *text;
  va_list args;

  /* Python's own formats are ASCII. */
  va_start (args, format);
  words = g_strdup_vprintf (format, args);
  va_end (args);
  /* What was cut may have been cut within a character. */
  text = PyUnicode_DecodeUTF8 (words, strlen (words), "replace");
  if (text != NULL)
    PyErr_SetObject (type, text);
  Py_XDECREF (text);
  self->is_refused = TRUE;

  return FALSE;
}

gboolean
afrpc_python_refuse_change (AfrpcPythonPacker *self,
                            PyObject          *object)
{
  return afrpc_python_refuse (self, PyExc_RuntimeError, "the %.200s changed while it was converted",
                              Py_TYPE (object)->tp_name);
}

static gboolean
add_place (AfrpcPythonPacker *self,
           const char        *words)
{
  if (self->places == NULL)
    self->places = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->places, g_strdup (words));

  return FALSE;
}

/* @depth: of what has the element */
gboolean
afrpc_python_note_place (AfrpcPythonPacker *self,
                         guint              depth,
                         Py_ssize_t         index)
{
  char words[64];

  if (self->are_args && depth == 0)
    g_snprintf (words, sizeof words, "argument %zd", index + 1);
  else
    g_snprintf (words, sizeof words, "element %zd", index);

  return add_place (self, words);
}

gboolean
afrpc_python_note_key (AfrpcPythonPacker *self,
                       PyObject          *key)
{
  PyObject *type, *value, *traceback, *text;
  const char *words;

  PyErr_Fetch (&type, &value, &traceback);
  text = PyUnicode_FromFormat ("key %.100R", key);
  words = text != NULL ? PyUnicode_AsUTF8 (text) : NULL;
  if (words == NULL)
    PyErr_Clear ();
  add_place (self, words != NULL ? words : "a key");
  Py_XDECREF (text);
  PyErr_Restore (type, value, traceback);

  return FALSE;
}

/* Something in it has failed. If that is the container itself, places in it say nothing: there is no end to them. */
gboolean
afrpc_python_note_container (AfrpcPythonPacker *self,
                             PyObject          *container)
{
  if (container != self->too_deep || self->places == NULL)
    return FALSE;

  g_free (self->endless);
  self->endless = g_strdup (Py_TYPE (container)->tp_name);
  g_clear_pointer (&self->places, g_ptr_array_unref);

  return FALSE;
}
