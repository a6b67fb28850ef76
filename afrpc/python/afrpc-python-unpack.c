/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-read.h"

#include <string.h>

/* Returns: (nullable): the layout of @value's type, and its bytes; NULL with an exception */
static const AfrpcLayout *
open_value (GVariant         *value,
            AfrpcPythonType  *type,
            const guint8    **data,
            gsize            *size)
{
  static const guint8 nothing[8];
  const char *string = g_variant_get_type_string (value);
  const AfrpcLayout *layout = afrpc_python_type_get (type, string, strlen (string));

  if (layout == NULL)
    {
      PyErr_SetString (PyExc_ValueError, "a value of so long a type cannot be read");
      return NULL;
    }
  *size = g_variant_get_size (value);
  *data = g_variant_get_data (value);
  if (*data == NULL)
    {
      /* Nothing, or what GLib takes for zeros. */
      *data = nothing;
      *size = 0;
    }

  return layout;
}

/* What the hooks do may change which there are, or drop the value. */
static AfrpcPythonReader
begin (GVariant *value,
       PyObject *hooks)
{
  return (AfrpcPythonReader) {
    .value = g_variant_ref (value),
    .hooks = hooks != NULL && hooks != Py_None ? Py_NewRef (hooks) : NULL,
  };
}

static void
end (AfrpcPythonReader *self)
{
  g_variant_unref (self->value);
  Py_XDECREF (self->hooks);
}

PyObject *
afrpc_python_unpack (GVariant *value,
                     PyObject *hooks)
{
  AfrpcPythonReader self;
  AfrpcPythonType type = { 0 };
  const guint8 *data;
  gsize size;
  const AfrpcLayout *layout;
  PyObject *object;

  if (G_UNLIKELY (hooks == AFRPC_PYTHON_PICKLED))
    return afrpc_python_unpickle (value);

  self = begin (value, hooks);
  layout = open_value (value, &type, &data, &size);
  object = layout != NULL ? afrpc_python_read_value (&self, layout, data, size) : NULL;
  afrpc_python_type_clear (&type);
  end (&self);

  return object;
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
                          PyObject  *hooks,
                          PyObject **objects)
{
  const Py_ssize_t n = afrpc_python_count_args (value);
  AfrpcPythonReader self;
  AfrpcPythonType type = { 0 };
  const AfrpcLayout *layout;
  const guint8 *data;
  gsize size;
  gboolean ok;

  if (!is_tuple (value))
    {
      objects[0] = afrpc_python_unpack (value, hooks);
      return objects[0] != NULL;
    }

  memset (objects, 0, n * sizeof *objects);
  self = begin (value, hooks);
  layout = open_value (value, &type, &data, &size);
  ok = layout != NULL && afrpc_python_read_members (&self, layout, data, size, objects);
  afrpc_python_type_clear (&type);
  end (&self);
  for (Py_ssize_t i = 0; i < n && !ok; i++)
    Py_XDECREF (objects[i]);

  return ok;
}

/* The same as a tuple. */
PyObject *
afrpc_python_unpack_tuple (GVariant *value,
                           PyObject *hooks)
{
  PyObject *object = afrpc_python_unpack (value, hooks);
  PyObject *tuple;

  if (object == NULL || is_tuple (value))
    return object;

  tuple = PyTuple_Pack (1, object);
  Py_DECREF (object);

  return tuple;
}
