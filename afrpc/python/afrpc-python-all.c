/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all workers of a pool are called with. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-proxy.h"

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

/* prepare_all (pool, args, signature, timeout_ms, cancellable, fds, more): what PyGObject calls the method with, a GLib.Variant
 * and an Afrpc.CallOptions or None */
static PyObject *
module_prepare_all (PyObject        *module,
                    PyObject *const *args,
                    Py_ssize_t       n_args)
{
  AfrpcPythonOptions options = { .progress = Py_None };
  g_autoptr(AfrpcCallOptions) made = NULL;
  GCancellable *cancellable = NULL;
  GVariant *value = NULL;
  PyObject *hooks, *variant, *object;

  if (n_args != 7 || !PyTuple_Check (args[1]))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  if (afrpc_python_get_object (args[0], AFRPC_TYPE_POOL) == NULL ||
      !afrpc_python_option_get_cancellable (args[4], &cancellable))
    return NULL;
  options.timeout_ms = args[3];
  options.fds = args[5];
  options.more = args[6];
  hooks = PyObject_GetAttrString (args[0], "_hooks");
  if (hooks != NULL && afrpc_python_make_options (&options, hooks, &made))
    value = afrpc_python_pack_call (args[1], args[2], hooks);
  Py_XDECREF (hooks);
  if (value == NULL)
    return NULL;

  variant = afrpc_python_convert (value, NULL, TRUE, NULL);
  object = made != NULL ? pygobject_new (G_OBJECT (made)) : Py_NewRef (Py_None);
  if (variant == NULL || object == NULL)
    {
      Py_XDECREF (variant);
      Py_XDECREF (object);
      return NULL;
    }

  return Py_BuildValue ("(NN)", variant, object);
}

static PyMethodDef all_methods[] = {
  { "prepare_all", (PyCFunction) (void (*) (void)) module_prepare_all, METH_FASTCALL, NULL },
  { NULL },
};

int
afrpc_python_all_register (PyObject *module)
{
  return PyModule_AddFunctions (module, all_methods);
}
