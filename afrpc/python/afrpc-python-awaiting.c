/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call that is awaited. */
#include "config.h"

#include "afrpc-python-call-private.h"

typedef AfrpcPythonCall Call;

typedef struct
{
  PyObject_HEAD
  Call *call;
  gboolean waited;
} Awaiting;

static PyTypeObject *awaiting_type;

PyObject *
afrpc_python_awaiting_new (Call *self)
{
  Awaiting *awaiting = PyObject_GC_New (Awaiting, awaiting_type);

  if (awaiting == NULL)
    return NULL;
  awaiting->call = (Call *) Py_NewRef (self);
  awaiting->waited = FALSE;
  PyObject_GC_Track (awaiting);

  return (PyObject *) awaiting;
}

static int
awaiting_traverse (Awaiting  *self,
                   visitproc  visit,
                   void      *arg)
{
  Py_VISIT (Py_TYPE (self));
  Py_VISIT (self->call);

  return 0;
}

static int
awaiting_clear (Awaiting *self)
{
  Py_CLEAR (self->call);

  return 0;
}

static void
awaiting_dealloc (Awaiting *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  Py_CLEAR (self->call);
  PyObject_GC_Del (self);
  Py_DECREF (type);
}

/* Ends an iteration with @value. A tuple would become the arguments of StopIteration, an exception would stand for it. */
static void
stop_iteration (PyObject *value)
{
  PyObject *stop = value;

  if (PyTuple_Check (value) || PyExceptionInstance_Check (value))
    stop = PyObject_CallOneArg (PyExc_StopIteration, value);
  else
    Py_INCREF (stop);
  if (stop != NULL)
    {
      PyErr_SetObject (PyExc_StopIteration, stop);
      Py_DECREF (stop);
    }
}

static PyObject *
awaiting_next (Awaiting *self)
{
  Call *call = self->call;
  PyObject *result;

  if (call == NULL)
    return NULL;
  if (call->state == AFRPC_PYTHON_CALL_PENDING)
    {
      if (self->waited)
        {
          PyErr_SetString (PyExc_RuntimeError, "a call was awaited without waiting for it");
          return NULL;
        }
      if (!afrpc_python_call_ensure_loop (call))
        return NULL;
      self->waited = TRUE;
      call->blocking = TRUE;
      return Py_NewRef (call);
    }

  result = afrpc_python_call_get_result (call, NULL);
  afrpc_python_call_leave (call, TRUE);
  if (result != NULL)
    {
      stop_iteration (result);
      Py_DECREF (result);
    }

  return NULL;
}

/* What a task is cancelled with, or what the call has failed with. */
static PyObject *
awaiting_throw (Awaiting *self,
                PyObject *args)
{
  Call *call = g_steal_pointer (&self->call);
  PyObject *type, *value = NULL, *traceback = NULL;

  if (!PyArg_ParseTuple (args, "O|OO:throw", &type, &value, &traceback))
    type = NULL;
  else if (PyExceptionInstance_Check (type))
    {
      value = type;
      type = (PyObject *) Py_TYPE (value);
    }
  if (call != NULL && call->state != AFRPC_PYTHON_CALL_PENDING)
    afrpc_python_call_leave (call, value != NULL && value == call->outcome);
  if (type != NULL)
    PyErr_Restore (Py_NewRef (type), Py_XNewRef (value != Py_None ? value : NULL),
                   Py_XNewRef (traceback != Py_None ? traceback : NULL));
  Py_XDECREF (call);

  return NULL;
}

static PyMethodDef awaiting_methods[] = {
  { "throw", (PyCFunction) awaiting_throw, METH_VARARGS, NULL },
  { NULL },
};

static PyType_Slot awaiting_slots[] = {
  { Py_tp_traverse, awaiting_traverse },
  { Py_tp_clear, awaiting_clear },
  { Py_tp_dealloc, awaiting_dealloc },
  { Py_tp_iter, PyObject_SelfIter },
  { Py_tp_iternext, awaiting_next },
  { Py_tp_methods, awaiting_methods },
  { 0, NULL },
};

static PyType_Spec awaiting_spec = {
  .name = "afrpc._proxy.Awaiting",
  .basicsize = sizeof (Awaiting),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = awaiting_slots,
};

gboolean
afrpc_python_awaiting_register (void)
{
  awaiting_type = (PyTypeObject *) PyType_FromSpec (&awaiting_spec);

  return awaiting_type != NULL;
}
