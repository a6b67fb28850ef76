/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options of calls by their names: those that are properties of AfrpcCallOptions, and have no keyword of their own. What
 * is no value of one is refused with its name. */
#include "config.h"

#include "afrpc-python-call.h"
#include "afrpc-python-codec.h"

/* Always returns FALSE. */
gboolean
afrpc_python_option_refuse (const char *name,
                            const char *wanted,
                            PyObject   *object)
{
  PyErr_Format (PyExc_TypeError, "the option '%s' has to be %s, not of type %.200s", name, wanted,
                Py_TYPE (object)->tp_name);

  return FALSE;
}

/* Whether the number fits; then @number is it. */
gboolean
afrpc_python_option_get_number (const char *name,
                                PyObject   *object,
                                gint64      min,
                                gint64      max,
                                gint64     *number)
{
  int overflow = 0;

  if (!PyIndex_Check (object))
    return afrpc_python_option_refuse (name, "an int", object);

  *number = PyLong_AsLongLongAndOverflow (object, &overflow);
  if (*number == -1 && PyErr_Occurred ())
    return FALSE;
  if (overflow == 0 && *number >= min && *number <= max)
    return TRUE;

  PyErr_Format (PyExc_ValueError, "the option '%s' has to be between %lld and %lld, not %S", name, (long long) min,
                (long long) max, object);
  return FALSE;
}

/* The exception that is set is about the value of an option. */
static void
add_name (const char *name)
{
  PyObject *type, *value, *traceback;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  /* Those have more arguments. */
  PyErr_Format (PyErr_GivenExceptionMatches (type, PyExc_UnicodeError) ? PyExc_ValueError : type, "the option '%s': %S", name, value);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);
}

static gboolean
get_string (const char *name,
            PyObject   *object,
            GValue     *value)
{
  const char *text;

  if (!PyUnicode_Check (object))
    return afrpc_python_option_refuse (name, "a str", object);

  text = PyUnicode_AsUTF8 (object);
  if (text == NULL)
    add_name (name);
  g_value_set_string (value, text);

  return text != NULL;
}

static gboolean
get_value (const char   *name,
           PyObject     *object,
           GParamSpec   *pspec,
           GValue       *value)
{
  gint64 number;

  if (G_IS_PARAM_SPEC_STRING (pspec))
    return get_string (name, object, value);
  else if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    g_value_set_boolean (value, PyObject_IsTrue (object) == 1);
  else if (G_IS_PARAM_SPEC_VARIANT (pspec))
    {
      GVariant *metadata = afrpc_python_pack_as ("a{sv}", object, FALSE, NULL);

      if (metadata != NULL)
        g_value_take_variant (value, metadata);
      else
        add_name (name);
    }
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    {
      if (afrpc_python_option_get_number (name, object, 0, G_PARAM_SPEC_UINT (pspec)->maximum, &number))
        g_value_set_uint (value, number);
    }
  else if (afrpc_python_option_get_number (name, object, G_PARAM_SPEC_INT (pspec)->minimum,
                                           G_PARAM_SPEC_INT (pspec)->maximum, &number))
    g_value_set_int (value, number);

  return !PyErr_Occurred ();
}

/* Sets an exception for an option that is none. */
static void
refuse_unknown (PyObject *name)
{
  PyObject *module = PyImport_ImportModule ("afrpc._options");
  PyObject *text = module != NULL ? PyObject_CallMethod (module, "describe_unknown", "O", name) : NULL;

  if (text != NULL)
    PyErr_SetObject (PyExc_TypeError, text);
  Py_XDECREF (text);
  Py_XDECREF (module);
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
      refuse_unknown (name);
      return FALSE;
    }
  if (object == Py_None)
    return TRUE;

  g_value_init (&value, pspec->value_type);
  if (!get_value (PyUnicode_AsUTF8 (name), object, pspec, &value))
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
