/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The extension module afrpc._afrpc: all of the package that a worker needs. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-worker.h"

static PyObject *
module_event (PyObject *module,
              PyObject *object)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();
  GVariant *value;

  if (worker == NULL)
    return NULL;
  value = afrpc_python_pack (object);
  if (value == NULL)
    return NULL;

  Py_BEGIN_ALLOW_THREADS
  afrpc_worker_event (worker, value);
  Py_END_ALLOW_THREADS
  g_variant_unref (value);

  Py_RETURN_NONE;
}

static PyObject *
module_flush (PyObject *module,
              PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  if (worker == NULL)
    return NULL;

  Py_BEGIN_ALLOW_THREADS
  afrpc_worker_flush (worker);
  Py_END_ALLOW_THREADS

  Py_RETURN_NONE;
}

static PyObject *
module_is_cancelled (PyObject *module,
                     PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  return worker != NULL ? PyBool_FromLong (afrpc_worker_is_cancelled (worker)) : NULL;
}

static PyObject *
module_get_args (PyObject *module,
                 PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  return worker != NULL ? afrpc_python_unpack (afrpc_worker_get_args (worker)) : NULL;
}

static PyObject *
module_get_n_fds (PyObject *module,
                  PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  return worker != NULL ? PyLong_FromLong (afrpc_worker_get_n_fds (worker)) : NULL;
}

static PyObject *
module_steal_fd (PyObject *module,
                 PyObject *object)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();
  Py_ssize_t index;
  int fd;

  if (worker == NULL)
    return NULL;
  index = PyNumber_AsSsize_t (object, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred ())
    return NULL;
  if (index < 0 || index >= (Py_ssize_t) afrpc_worker_get_n_fds (worker))
    {
      PyErr_SetString (PyExc_IndexError, "there are not so many file descriptors");
      return NULL;
    }

  fd = afrpc_worker_steal_fd (worker, index);
  if (fd < 0)
    {
      PyErr_SetString (PyExc_ValueError, "that file descriptor has been taken already");
      return NULL;
    }

  return PyLong_FromLong (fd);
}

static PyMethodDef methods[] = {
  { "event", module_event, METH_O,
    "event(value)\n--\n\nSends an event to the program, in order with results and other events." },
  { "flush", module_flush, METH_NOARGS,
    "flush()\n--\n\nWrites everything to the program before it returns." },
  { "is_cancelled", module_is_cancelled, METH_NOARGS,
    "is_cancelled()\n--\n\nWhether nobody waits for the result of the running call any more." },
  { "get_args", module_get_args, METH_NOARGS,
    "get_args()\n--\n\nThe arguments that the process was prepared with." },
  { "get_n_fds", module_get_n_fds, METH_NOARGS,
    "get_n_fds()\n--\n\nHow many file descriptors the process was prepared with." },
  { "steal_fd", module_steal_fd, METH_O,
    "steal_fd(index)\n--\n\nTakes a file descriptor that the process was prepared with." },
  { "_serve", afrpc_python_host_serve, METH_O, NULL },
  { NULL },
};

static struct PyModuleDef module_def = {
  PyModuleDef_HEAD_INIT,
  .m_name = "afrpc._afrpc",
  .m_size = -1,
  .m_methods = methods,
};

PyMODINIT_FUNC PyInit__afrpc (void);

PyMODINIT_FUNC
PyInit__afrpc (void)
{
  PyObject *module = PyModule_Create (&module_def);

  if (module == NULL)
    return NULL;
  if (afrpc_python_variant_register (module) == NULL || afrpc_python_invocation_register (module) != 0 ||
      afrpc_python_source_register (module) != 0 || afrpc_python_poller_register (module) != 0)
    {
      Py_DECREF (module);
      return NULL;
    }

  return module;
}
