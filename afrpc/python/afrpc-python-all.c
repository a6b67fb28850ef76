/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all workers of a pool are called with. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-proxy.h"

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

/* Takes (pool, args, signature, timeout_ms, cancellable, fds, more). Returns: (nullable): the pool; NULL: an exception is set */
static AfrpcPool *
get_for_all (PyObject *const   *args,
             Py_ssize_t         n_args,
             GVariant         **value,
             AfrpcCallOptions **made,
             GCancellable     **cancellable)
{
  AfrpcPythonOptions options = { .progress = Py_None };
  AfrpcPool *pool;
  PyObject *hooks;

  if (n_args != 7 || !PyTuple_Check (args[1]))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  pool = afrpc_python_get_object (args[0], AFRPC_TYPE_POOL);
  if (pool == NULL)
    return NULL;
  if (!afrpc_python_option_get_cancellable (args[4], cancellable))
    return NULL;
  options.timeout_ms = args[3];
  options.fds = args[5];
  options.more = args[6];
  hooks = PyObject_GetAttrString (args[0], "_hooks");
  if (hooks != NULL && afrpc_python_make_options (&options, hooks, made))
    *value = afrpc_python_pack_call (args[1], args[2], hooks);
  Py_XDECREF (hooks);

  return *value != NULL ? pool : NULL;
}

/* Returns what PyGObject calls the method with: GLib.Variant, Afrpc.CallOptions or None */
static PyObject *
module_prepare_all (PyObject        *module,
                    PyObject *const *args,
                    Py_ssize_t       n_args)
{
  g_autoptr(AfrpcCallOptions) made = NULL;
  GCancellable *cancellable = NULL;
  GVariant *value = NULL;
  PyObject *variant, *options;

  if (get_for_all (args, n_args, &value, &made, &cancellable) == NULL)
    return NULL;

  variant = afrpc_python_convert (value, NULL, TRUE, NULL);
  options = made != NULL ? pygobject_new (G_OBJECT (made)) : Py_NewRef (Py_None);
  if (variant == NULL || options == NULL)
    {
      Py_XDECREF (variant);
      Py_XDECREF (options);
      return NULL;
    }

  return Py_BuildValue ("(NN)", variant, options);
}

static PyObject *
module_call_all_sync (PyObject        *module,
                      PyObject *const *args,
                      Py_ssize_t       n_args)
{
  AfrpcPythonBlocked blocked;
  g_autoptr(AfrpcCallOptions) made = NULL;
  g_autoptr(GVariant) value = NULL;
  GCancellable *cancellable = NULL;
  GMainContext *entered;
  GError *error = NULL;
  AfrpcPool *pool;
  gboolean ok;

  pool = get_for_all (args, n_args, &value, &made, &cancellable);
  if (pool == NULL || !afrpc_python_enter (afrpc_pool_get_process (pool), FALSE, &entered))
    return NULL;

  afrpc_python_block_begin (&blocked, NULL, cancellable);
  Py_BEGIN_ALLOW_THREADS
  afrpc_pool_call_all_sync (pool, value, made, blocked.stop, &error);
  Py_END_ALLOW_THREADS
  ok = afrpc_python_block_end (&blocked);
  afrpc_python_leave (entered);

  if (!ok)
    {
      g_clear_error (&error);
      return NULL;
    }
  if (error != NULL)
    {
      afrpc_python_raise_error (error);
      return NULL;
    }

  Py_RETURN_NONE;
}

static PyMethodDef all_methods[] = {
  { "prepare_all", (PyCFunction) (void (*) (void)) module_prepare_all, METH_FASTCALL, NULL },
  { "call_all_sync", (PyCFunction) (void (*) (void)) module_call_all_sync, METH_FASTCALL, NULL },
  { NULL },
};

int
afrpc_python_all_register (PyObject *module)
{
  return PyModule_AddFunctions (module, all_methods);
}
