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
  if (args[4] != Py_None && (*cancellable = afrpc_python_peek_object (args[4], G_TYPE_CANCELLABLE)) == NULL)
    {
      afrpc_python_option_refuse ("cancellable", "a Gio.Cancellable", args[4]);
      return NULL;
    }
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
  g_autoptr(GCancellable) stop = g_cancellable_new (); /* others may have the one that was given */
  AfrpcPythonBlocked blocked = { .stop = stop, .outer = afrpc_python_blocked };
  g_autoptr(AfrpcCallOptions) made = NULL;
  g_autoptr(GVariant) value = NULL;
  GCancellable *cancellable = NULL;
  GMainContext *entered;
  GError *error = NULL;
  AfrpcPool *pool;
  gulong id = 0;

  pool = get_for_all (args, n_args, &value, &made, &cancellable);
  if (pool == NULL || !afrpc_python_enter (afrpc_pool_get_process (pool), FALSE, &entered))
    return NULL;

  if (cancellable != NULL)
    id = g_signal_connect_object (cancellable, "cancelled", G_CALLBACK (g_cancellable_cancel), stop, G_CONNECT_SWAPPED);
  if (g_cancellable_is_cancelled (cancellable))
    g_cancellable_cancel (stop);
  afrpc_python_blocked = &blocked;
  Py_BEGIN_ALLOW_THREADS
  afrpc_pool_call_all_sync (pool, value, made, stop, &error);
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);
  Py_END_ALLOW_THREADS
  afrpc_python_blocked = blocked.outer;
  afrpc_python_leave (entered);

  if (blocked.type != NULL)
    {
      g_clear_error (&error);
      PyErr_Restore (blocked.type, blocked.value, blocked.traceback);
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
