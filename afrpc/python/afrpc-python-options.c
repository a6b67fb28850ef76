/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options of calls by their names: those that are properties of AfrpcCallOptions, and have no keyword of their own. */
#include "config.h"

#include "afrpc-python-call.h"
#include "afrpc-python-codec.h"

/* Whether the number fits; then @number is it. */
static gboolean
get_number (PyObject *object,
            gint64    min,
            gint64    max,
            gint64   *number)
{
  *number = PyLong_AsLongLong (object);
  if (*number == -1 && PyErr_Occurred ())
    return FALSE;
  if (*number < min || *number > max)
    {
      PyErr_SetString (PyExc_OverflowError, "the number of an option is out of range");
      return FALSE;
    }

  return TRUE;
}

static gboolean
get_value (PyObject     *object,
           GParamSpec   *pspec,
           GValue       *value)
{
  gint64 number;

  if (G_IS_PARAM_SPEC_STRING (pspec))
    g_value_set_string (value, PyUnicode_AsUTF8 (object));
  else if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    g_value_set_boolean (value, PyObject_IsTrue (object) == 1);
  else if (G_IS_PARAM_SPEC_VARIANT (pspec))
    {
      GVariant *metadata = afrpc_python_pack_as ("a{sv}", object, FALSE, NULL);

      if (metadata != NULL)
        g_value_take_variant (value, metadata);
    }
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    {
      if (get_number (object, 0, G_PARAM_SPEC_UINT (pspec)->maximum, &number))
        g_value_set_uint (value, number);
    }
  else if (get_number (object, G_PARAM_SPEC_INT (pspec)->minimum, G_PARAM_SPEC_INT (pspec)->maximum, &number))
    g_value_set_int (value, number);

  return !PyErr_Occurred ();
}

static gboolean
apply (AfrpcCallOptions *options,
       PyObject         *name,
       PyObject         *object)
{
  g_auto(GValue) value = G_VALUE_INIT;
  GParamSpec *pspec;
  g_autofree char *property = NULL;

  property = g_strdelimit (g_strdup (PyUnicode_AsUTF8 (name)), "_", '-');
  pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (options), property);
  if (pspec == NULL || G_IS_PARAM_SPEC_OBJECT (pspec))
    {
      PyErr_Format (PyExc_TypeError, "a call has no option '%U'", name);
      return FALSE;
    }
  if (object == Py_None)
    return TRUE;

  g_value_init (&value, pspec->value_type);
  if (!get_value (object, pspec, &value))
    return FALSE;
  g_object_set_property (G_OBJECT (options), property, &value);

  return TRUE;
}

/* @dict: by names as keywords have them; None is as if it was left out. FALSE: an exception is set. */
gboolean
afrpc_python_options_apply (AfrpcCallOptions *options,
                            PyObject         *dict)
{
  PyObject *name, *object;
  Py_ssize_t position = 0;

  while (PyDict_Next (dict, &position, &name, &object))
    if (!apply (options, name, object))
      return FALSE;

  return TRUE;
}
