/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-array.h"

#include <glib-object.h>
#include <pygobject.h>

PyTypeObject *afrpc_python_tagged_type;
PyTypeObject *afrpc_python_variant_type;
PyTypeObject *afrpc_python_view_type;

/* PyGObject, if the program uses it: nothing here loads it. */
gboolean
afrpc_python_has_pygobject (void)
{
  PyObject *gobject;

  if (_PyGObject_API != NULL)
    return TRUE;

  gobject = PyDict_GetItemString (PyImport_GetModuleDict (), "gi._gobject");
  if (gobject == NULL)
    return FALSE;
  gobject = pygobject_init (3, 42, 0);
  if (gobject == NULL)
    {
      PyErr_Clear ();
      return FALSE;
    }
  Py_DECREF (gobject);

  return TRUE;
}

/* Sets the exception that a GError is: GLib.Error where there is that, else afrpc.Error. Returns: NULL */
PyObject *
afrpc_python_raise (GError *error) /* (transfer full) */
{
  PyObject *module, *exception;

  if (afrpc_python_has_pygobject ())
    {
      pyg_error_check (&error);
      return NULL;
    }

  module = PyImport_ImportModule ("afrpc");
  exception = module != NULL ? PyObject_CallMethod (module, "Error", "ssi", error->message,
                                                    g_quark_to_string (error->domain), error->code) : NULL;
  if (exception != NULL)
    PyErr_SetObject ((PyObject *) Py_TYPE (exception), exception);
  Py_XDECREF (exception);
  Py_XDECREF (module);
  g_error_free (error);

  return NULL;
}

/* Makes the types, in the one module that has them; that of what is tagged is made in Python. */
gboolean
afrpc_python_codec_register (PyObject *module)
{
  afrpc_python_variant_type = afrpc_python_variant_make_type ();
  afrpc_python_view_type = afrpc_python_view_make_type ();

  return afrpc_python_variant_type != NULL && afrpc_python_view_type != NULL &&
         PyModule_AddObjectRef (module, "Variant", (PyObject *) afrpc_python_variant_type) == 0 &&
         PyModule_AddObjectRef (module, "_View", (PyObject *) afrpc_python_view_type) == 0;
}

static PyTypeObject *
import_type (const char *module_name,
             const char *name)
{
  PyObject *module = PyImport_ImportModule (module_name);
  PyObject *type = module != NULL ? PyObject_GetAttrString (module, name) : NULL;

  Py_XDECREF (module);

  return (PyTypeObject *) type;
}

/* Gets them in the other. */
gboolean
afrpc_python_codec_import (void)
{
  afrpc_python_variant_type = import_type ("afrpc._afrpc", "Variant");
  afrpc_python_view_type = import_type ("afrpc._afrpc", "_View");
  afrpc_python_tagged_type = import_type ("afrpc", "Tagged");

  return afrpc_python_variant_type != NULL && afrpc_python_view_type != NULL && afrpc_python_tagged_type != NULL;
}

/* From the arguments of set_hooks (). Returns: (transfer full) (nullable): hooks, or None if there are none */
PyObject *
afrpc_python_make_hooks (PyObject *args,
                         PyObject *keywords)
{
  static const char *const names[] = { "default", "hook", "arrays", NULL };
  PyObject *hooks[3] = { Py_None, Py_None, Py_None };
  gboolean is_none = TRUE;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "|$OOO:set_hooks", (char **) names, &hooks[0], &hooks[1],
                                    &hooks[2]))
    return NULL;

  for (guint i = 0; i < G_N_ELEMENTS (hooks); i++)
    if (hooks[i] != Py_None)
      {
        if (!PyCallable_Check (hooks[i]))
          return PyErr_Format (PyExc_TypeError, "%s must be callable, or None", names[i]);
        is_none = FALSE;
      }

  return is_none ? Py_NewRef (Py_None) : PyTuple_Pack (3, hooks[0], hooks[1], hooks[2]);
}
