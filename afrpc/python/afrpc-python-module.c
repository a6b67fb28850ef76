/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The extension module afrpc._afrpc: all of the package that a worker needs. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-worker.h"
#include "afrpc/wire/afrpc-frame.h"

/* Descriptors of a sequence of files or numbers, borrowed. Returns how many, or -1 with an exception. */
static Py_ssize_t
get_fds (PyObject *files,
         int      *fds)
{
  PyObject *list = PySequence_Tuple (files); /* a copy: what is asked for its descriptor may change the list */
  Py_ssize_t n;

  if (list == NULL)
    return -1;
  n = PyTuple_GET_SIZE (list);
  if (n > AFRPC_FRAME_FDS_MAX)
    {
      PyErr_Format (PyExc_ValueError, "%zd file descriptors cannot be sent at once, the limit is %u", n,
                    AFRPC_FRAME_FDS_MAX);
      n = -1;
    }
  for (Py_ssize_t i = 0; i < n; i++)
    {
      fds[i] = PyObject_AsFileDescriptor (PyTuple_GET_ITEM (list, i));
      if (fds[i] < 0)
        n = -1;
    }
  Py_DECREF (list);

  return n;
}

static PyObject *
module_event (PyObject *module,
              PyObject *args,
              PyObject *keywords)
{
  static const char *const names[] = { "", "fds", NULL };
  AfrpcWorker *worker = afrpc_python_host_get_worker ();
  PyObject *object, *files = NULL;
  GError *error = NULL;
  int fds[AFRPC_FRAME_FDS_MAX];
  Py_ssize_t n = 0;
  GVariant *value;

  if (worker == NULL || !PyArg_ParseTupleAndKeywords (args, keywords, "O|$O:event", (char **) names, &object, &files))
    return NULL;
  value = afrpc_python_pack (object, afrpc_python_host_get_hooks (worker));
  if (value != NULL && files != NULL && (n = get_fds (files, fds)) < 0)
    g_clear_pointer (&value, g_variant_unref);
  if (value == NULL)
    return NULL;

  Py_BEGIN_ALLOW_THREADS
  if (n > 0)
    afrpc_worker_event_with_fds (worker, value, fds, n, &error);
  else
    afrpc_worker_event (worker, value);
  g_variant_unref (value);
  Py_END_ALLOW_THREADS
  if (error != NULL)
    {
      PyErr_SetString (PyExc_OSError, error->message);
      g_error_free (error);
      return NULL;
    }

  Py_RETURN_NONE;
}

static PyObject *
module_progress (PyObject *module,
                 PyObject *object)
{
  GVariant *value = afrpc_python_pack (object, afrpc_python_host_get_hooks (afrpc_python_host_peek_worker ()));
  AfrpcPythonCurrent current;

  if (value == NULL)
    return NULL;
  if (!afrpc_python_current (&current))
    {
      g_variant_unref (value);
      return NULL;
    }
  afrpc_python_progress (&current, value);

  Py_RETURN_NONE;
}

static PyObject *
module_get_metadata (PyObject *module,
                     PyObject *unused)
{
  AfrpcPythonCurrent current;

  return afrpc_python_current (&current) ? afrpc_python_metadata (&current) : NULL;
}

static PyObject *
module_steal_call_fd (PyObject *module,
                      PyObject *object)
{
  const Py_ssize_t handle = afrpc_python_get_handle (object);
  AfrpcPythonCurrent current;

  return handle >= 0 && afrpc_python_current (&current) ? afrpc_python_steal_fd (&current, handle) : NULL;
}

static PyObject *
module_append_result_fd (PyObject *module,
                         PyObject *file)
{
  const int fd = PyObject_AsFileDescriptor (file);
  AfrpcPythonCurrent current;

  return fd >= 0 && afrpc_python_current (&current) ? afrpc_python_append_fd (&current, fd) : NULL;
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
  AfrpcPythonCurrent current;

  if (!afrpc_python_current (&current))
    return NULL;

  return PyBool_FromLong (current.invocation != NULL ? afrpc_invocation_is_cancelled (current.invocation)
                                                     : afrpc_worker_is_cancelled (current.worker));
}

static PyObject *
module_get_args (PyObject *module,
                 PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  return worker != NULL ? afrpc_python_unpack (afrpc_worker_get_args (worker), afrpc_python_host_hooks) : NULL;
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

static PyObject *
module_set_hooks (PyObject *module,
                  PyObject *args,
                  PyObject *keywords)
{
  PyObject *hooks = afrpc_python_make_hooks (args, keywords);

  if (hooks == NULL)
    return NULL;
  Py_XSETREF (afrpc_python_host_hooks, hooks);

  Py_RETURN_NONE;
}

static PyObject *
module_retire (PyObject *module,
               PyObject *unused)
{
  AfrpcWorker *worker = afrpc_python_host_get_worker ();

  if (worker == NULL)
    return NULL;

  afrpc_worker_retire (worker);
  afrpc_python_host_end_chunk ();

  Py_RETURN_NONE;
}

static PyObject *
module_set_tagged (PyObject *module,
                   PyObject *type)
{
  if (!PyType_Check (type))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  Py_XSETREF (afrpc_python_tagged_type, (PyTypeObject *) Py_NewRef (type));

  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
  { "event", (PyCFunction) (void (*) (void)) module_event, METH_VARARGS | METH_KEYWORDS,
    "event($module, value, /, *, fds=())\n--\n\nSends an event to the program, in order with results and other events." },
  { "progress", module_progress, METH_O,
    "progress($module, value, /)\n--\n\nTells the caller how far the running call has come." },
  { "flush", module_flush, METH_NOARGS,
    "flush($module, /)\n--\n\nWrites everything to the program before it returns." },
  { "retire", module_retire, METH_NOARGS,
    "retire($module, /)\n--\n\nAsks for no new calls. Those that come all the same are answered." },
  { "is_cancelled", module_is_cancelled, METH_NOARGS,
    "is_cancelled($module, /)\n--\n\nWhether nobody waits for the result of the running call any more." },
  { "_own_context", afrpc_python_poller_own_context, METH_NOARGS, NULL },
  { "get_metadata", module_get_metadata, METH_NOARGS,
    "get_metadata($module, /)\n--\n\nWhat came with the running call besides its arguments: a dict." },
  { "get_args", module_get_args, METH_NOARGS,
    "get_args($module, /)\n--\n\nThe arguments that the process was prepared with." },
  { "get_n_fds", module_get_n_fds, METH_NOARGS,
    "get_n_fds($module, /)\n--\n\nHow many file descriptors the process was prepared with." },
  { "steal_fd", module_steal_fd, METH_O,
    "steal_fd($module, index, /)\n--\n\nTakes a file descriptor that the process was prepared with." },
  { "steal_call_fd", module_steal_call_fd, METH_O,
    "steal_call_fd($module, handle, /)\n--\n\nTakes a file descriptor that came with the running call." },
  { "append_result_fd", module_append_result_fd, METH_O,
    "append_result_fd($module, file, /)\n--\n\nSends a copy of a file descriptor with the result; returns its handle." },
  { "set_hooks", (PyCFunction) (void (*) (void)) module_set_hooks, METH_VARARGS | METH_KEYWORDS,
    "set_hooks($module, /, *, default=None, hook=None, arrays=None)\n--\n\n"
    "Says what else values of this worker may be." },
  { "_set_tagged", module_set_tagged, METH_O, NULL },
  { "_serve", afrpc_python_host_serve, METH_O, NULL },
  { "_call_each", (PyCFunction) (void (*) (void)) afrpc_python_task_call_each, METH_FASTCALL, NULL },
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
  if (!afrpc_python_codec_register (module) || !afrpc_python_pickle_serialiser_register () ||
      afrpc_python_invocation_register (module) != 0 ||
      afrpc_python_buffer_register (module) != 0 ||
      afrpc_python_source_register (module) != 0 || afrpc_python_poller_register (module) != 0 ||
      PyModule_AddStringConstant (module, "__version__", PACKAGE_VERSION) != 0)
    {
      Py_DECREF (module);
      return NULL;
    }

  return module;
}
