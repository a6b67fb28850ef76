/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc.Invocation: one call of an async worker. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-worker.h"

#define CANCELLED_DOMAIN "g-io-error-quark" /* of GIO, which is not loaded */
#define CANCELLED_CODE 19

typedef struct
{
  PyObject_HEAD
  AfrpcInvocation *invocation; /* (nullable): until it is answered */
  PyObject *on_cancel;         /* (nullable): called when the call is cancelled */
} Invocation;

static PyTypeObject *invocation_type;
static PyObject *current_variable; /* of contextvars: tasks inherit it from what starts them */

static int
invocation_traverse (Invocation *self,
                     visitproc   visit,
                     void       *arg)
{
  Py_VISIT (Py_TYPE (self));
  Py_VISIT (self->on_cancel);

  return 0;
}

/* Answers it, if nobody has; that may be the last reference, which then answers it by itself. */
static void
forget (Invocation *self)
{
  AfrpcInvocation *invocation = g_steal_pointer (&self->invocation);

  if (invocation != NULL)
    {
      afrpc_python_host_remove (invocation);
      g_object_unref (invocation);
    }
  Py_CLEAR (self->on_cancel);
}

static int
invocation_clear (Invocation *self)
{
  Py_CLEAR (self->on_cancel);

  return 0;
}

static void
invocation_dealloc (Invocation *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  forget (self);
  PyObject_GC_Del (self);
  Py_DECREF (type);
}

PyObject *
afrpc_python_invocation_new (AfrpcInvocation *invocation)
{
  Invocation *self = PyObject_GC_New (Invocation, invocation_type);

  if (self == NULL)
    return NULL;

  self->invocation = g_object_ref (invocation);
  self->on_cancel = NULL;
  afrpc_python_host_add (invocation, (PyObject *) self);
  PyObject_GC_Track (self);

  return (PyObject *) self;
}

static gboolean
check_open (Invocation *self)
{
  if (afrpc_python_host_get_worker () == NULL)
    return FALSE;
  if (self->invocation != NULL)
    return TRUE;

  PyErr_SetString (PyExc_RuntimeError, "the call has been answered already");
  return FALSE;
}

/* Answers with the exception that is set. */
void
afrpc_python_invocation_fail (PyObject *object)
{
  Invocation *self = (Invocation *) object;
  g_autoptr(GError) error = NULL;

  if (self->invocation == NULL)
    {
      PyErr_WriteUnraisable (object);
      return;
    }

  error = afrpc_python_host_take_error (-1, "");
  Py_BEGIN_ALLOW_THREADS
  afrpc_invocation_return_error (self->invocation, error);
  Py_END_ALLOW_THREADS
  forget (self);
}

/* A function has returned something, which is no answer. If it has not given one, nor kept @object, of which the caller has a
 * reference, nobody will. */
void
afrpc_python_invocation_look_dropped (PyObject   *object,
                                      const char *name)
{
  Invocation *self = (Invocation *) object;
  g_autofree char *message = NULL;

  if (self->invocation == NULL || Py_REFCNT (object) > 1)
    return;

  message = g_strdup_printf ("'%s' dropped the call without an answer: in the async backend, a function that is no coroutine gets "
                             "an afrpc.Invocation before its arguments, and answers by that; what it returned was ignored", name);
  Py_BEGIN_ALLOW_THREADS
  afrpc_invocation_return_error_literal (self->invocation, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT, message);
  Py_END_ALLOW_THREADS
  forget (self);
}

static gboolean
answer (Invocation *self,
        PyObject   *object)
{
  GVariant *value = afrpc_python_pack (object, afrpc_python_host_get_hooks (afrpc_python_host_peek_worker ()));

  if (value == NULL)
    return FALSE;
  /* What was converted may have answered. */
  if (!check_open (self))
    {
      g_variant_unref (value);
      return FALSE;
    }

  Py_BEGIN_ALLOW_THREADS
  afrpc_invocation_return_value (self->invocation, value);
  Py_END_ALLOW_THREADS
  g_variant_unref (value);
  forget (self);

  return TRUE;
}

static PyObject *
invocation_return_value (Invocation *self,
                         PyObject   *object)
{
  if (!check_open (self) || !answer (self, object))
    return NULL;

  Py_RETURN_NONE;
}

static PyObject *
invocation_return_error (Invocation *self,
                         PyObject   *exception)
{
  if (!check_open (self))
    return NULL;
  if (!PyExceptionInstance_Check (exception))
    {
      PyErr_SetString (PyExc_TypeError, "an exception is needed");
      return NULL;
    }

  PyErr_SetObject (PyExceptionInstance_Class (exception), exception);
  afrpc_python_invocation_fail ((PyObject *) self);

  Py_RETURN_NONE;
}

static PyObject *
invocation_is_cancelled (Invocation *self,
                         PyObject   *unused)
{
  return PyBool_FromLong (self->invocation != NULL && afrpc_invocation_is_cancelled (self->invocation));
}

static PyObject *
invocation_on_cancel (Invocation *self,
                      PyObject   *callback)
{
  if (!check_open (self))
    return NULL;

  Py_XSETREF (self->on_cancel, callback != Py_None ? Py_NewRef (callback) : NULL);

  Py_RETURN_NONE;
}

/* Has what runs from now on, and what that starts, work for the invocation. Returns: to be given back */
PyObject *
afrpc_python_invocation_enter (PyObject *self)
{
  return PyContextVar_Set (current_variable, self);
}

void
afrpc_python_invocation_leave (PyObject *token) /* (transfer full) */
{
  PyObject *type, *value, *traceback;

  PyErr_Fetch (&type, &value, &traceback);
  if (PyContextVar_Reset (current_variable, token) != 0)
    PyErr_Clear ();
  PyErr_Restore (type, value, traceback);
  Py_DECREF (token);
}

/* FALSE with an exception: not in a worker, or for a call that has been answered. */
gboolean
afrpc_python_current (AfrpcPythonCurrent *current)
{
  PyObject *object;

  current->worker = afrpc_python_host_get_worker ();
  current->invocation = NULL;
  if (current->worker == NULL || PyContextVar_Get (current_variable, NULL, &object) != 0)
    return FALSE;
  if (object == NULL)
    return TRUE;

  current->invocation = ((Invocation *) object)->invocation;
  Py_DECREF (object);
  if (current->invocation == NULL)
    PyErr_SetString (PyExc_RuntimeError, "the call has been answered already");

  return current->invocation != NULL;
}

/* What is converted may answer the call: what it is for is looked at afterwards. */

void
afrpc_python_progress (const AfrpcPythonCurrent *current,
                       GVariant                 *value) /* (transfer full) */
{
  Py_BEGIN_ALLOW_THREADS
  if (current->invocation != NULL)
    afrpc_invocation_progress (current->invocation, value);
  else
    afrpc_worker_progress (current->worker, value);
  g_variant_unref (value);
  Py_END_ALLOW_THREADS
}

/* Returns: -1 with an exception */
Py_ssize_t
afrpc_python_get_handle (PyObject *object)
{
  const Py_ssize_t handle = PyNumber_AsSsize_t (object, PyExc_IndexError);

  if (handle < 0 && !PyErr_Occurred ())
    PyErr_SetString (PyExc_IndexError, "a handle is not below 0");

  return handle >= 0 ? handle : -1;
}

/* Returns: a dict, which is empty if the call has none */
PyObject *
afrpc_python_metadata (const AfrpcPythonCurrent *current)
{
  GVariant *metadata = current->invocation != NULL ? afrpc_invocation_get_metadata (current->invocation)
                                                   : afrpc_worker_get_metadata (current->worker);
  PyObject *dict;

  if (metadata == NULL)
    return PyDict_New ();

  /* A hook may answer the call. */
  g_variant_ref (metadata);
  dict = afrpc_python_unpack (metadata, afrpc_python_host_hooks);
  g_variant_unref (metadata);

  return dict;
}

PyObject *
afrpc_python_steal_fd (const AfrpcPythonCurrent *current,
                       Py_ssize_t                handle)
{
  int fd = -1;

  if (handle <= G_MAXINT)
    fd = current->invocation != NULL ? afrpc_invocation_steal_fd (current->invocation, handle)
                                     : afrpc_worker_steal_call_fd (current->worker, handle);
  if (fd < 0)
    {
      PyErr_SetString (PyExc_IndexError, "there is no such file descriptor, or not any more");
      return NULL;
    }

  return PyLong_FromLong (fd);
}

PyObject *
afrpc_python_append_fd (const AfrpcPythonCurrent *current,
                        int                       fd)
{
  GError *error = NULL;
  int handle;

  if (current->invocation != NULL)
    handle = afrpc_invocation_append_fd (current->invocation, fd, &error);
  else
    handle = afrpc_worker_append_result_fd (current->worker, fd, &error);
  /* Of many calls at once, the answer has the descriptors of one. */
  if (current->invocation == NULL)
    afrpc_python_host_end_chunk ();
  if (handle < 0)
    {
      PyErr_SetString (PyExc_OSError, error->message);
      g_error_free (error);
      return NULL;
    }

  return PyLong_FromLong (handle);
}

static PyObject *
invocation_progress (Invocation *self,
                     PyObject   *object)
{
  GVariant *value = afrpc_python_pack (object, afrpc_python_host_get_hooks (afrpc_python_host_peek_worker ()));
  AfrpcPythonCurrent current;

  if (value == NULL)
    return NULL;
  if (!check_open (self))
    {
      g_variant_unref (value);
      return NULL;
    }
  current = (AfrpcPythonCurrent) { NULL, self->invocation };
  afrpc_python_progress (&current, value);

  Py_RETURN_NONE;
}

static PyObject *
invocation_get_metadata (Invocation *self,
                         PyObject   *unused)
{
  AfrpcPythonCurrent current = { NULL, self->invocation };

  return check_open (self) ? afrpc_python_metadata (&current) : NULL;
}

static PyObject *
invocation_steal_fd (Invocation *self,
                     PyObject   *object)
{
  const Py_ssize_t handle = afrpc_python_get_handle (object);
  AfrpcPythonCurrent current = { NULL, self->invocation };

  return handle >= 0 && check_open (self) ? afrpc_python_steal_fd (&current, handle) : NULL;
}

static PyObject *
invocation_append_fd (Invocation *self,
                      PyObject   *file)
{
  const int fd = PyObject_AsFileDescriptor (file);
  AfrpcPythonCurrent current = { NULL, self->invocation };

  return fd >= 0 && check_open (self) ? afrpc_python_append_fd (&current, fd) : NULL;
}

/* Called when the task that answers it is done. */
static PyObject *
invocation_settle (Invocation *self,
                   PyObject   *task)
{
  PyObject *result = PyObject_CallMethod (task, "result", NULL);

  if (self->invocation == NULL)
    ;
  else if (result == NULL && PyErr_Occurred () && afrpc_invocation_is_cancelled (self->invocation))
    {
      /* Nobody waits for it: that it gave up is no error of its own. */
      PyErr_Clear ();
      afrpc_invocation_return_error_literal (self->invocation, g_quark_from_static_string (CANCELLED_DOMAIN),
                                             CANCELLED_CODE, "the call was cancelled");
      forget (self);
    }
  else if (result == NULL || !answer (self, result))
    {
      /* The loop has been stopped by that already. */
      if (!PyErr_ExceptionMatches (PyExc_SystemExit))
        afrpc_python_invocation_fail ((PyObject *) self);
    }
  PyErr_Clear ();
  Py_XDECREF (result);

  Py_RETURN_NONE;
}

/* Has a task answer it, which is cancelled with it. */
int
afrpc_python_invocation_watch (PyObject *object,
                               PyObject *task)
{
  Invocation *self = (Invocation *) object;
  PyObject *settle = PyObject_GetAttrString (object, "_settle");
  PyObject *result;

  if (settle == NULL)
    return -1;
  result = PyObject_CallMethod (task, "add_done_callback", "O", settle);
  Py_DECREF (settle);
  if (result == NULL)
    return -1;
  Py_DECREF (result);

  self->on_cancel = PyObject_GetAttrString (task, "cancel");

  return self->on_cancel != NULL ? 0 : -1;
}

void
afrpc_python_invocation_cancel (PyObject *object)
{
  Invocation *self = (Invocation *) object;
  PyObject *on_cancel = g_steal_pointer (&self->on_cancel);
  PyObject *result;

  if (on_cancel == NULL)
    return;

  Py_INCREF (object);
  result = PyObject_CallNoArgs (on_cancel);
  if (result == NULL)
    {
      afrpc_python_host_check_exit ();
      PyErr_WriteUnraisable (on_cancel);
    }
  Py_XDECREF (result);
  Py_DECREF (on_cancel);
  Py_DECREF (object);
}

PyDoc_STRVAR (invocation_doc, "One call, to be answered once, now or later.");

static PyMethodDef invocation_methods[] = {
  { "return_value", (PyCFunction) invocation_return_value, METH_O,
    "return_value($self, value, /)\n--\n\nAnswers the call with a result." },
  { "return_error", (PyCFunction) invocation_return_error, METH_O,
    "return_error($self, exception, /)\n--\n\nAnswers the call with an exception." },
  { "is_cancelled", (PyCFunction) invocation_is_cancelled, METH_NOARGS,
    "is_cancelled($self, /)\n--\n\nWhether nobody waits for the result any more." },
  { "on_cancel", (PyCFunction) invocation_on_cancel, METH_O,
    "on_cancel($self, callback, /)\n--\n\nHas callback() called when the call is cancelled." },
  { "progress", (PyCFunction) invocation_progress, METH_O,
    "progress($self, value, /)\n--\n\nTells the caller how far the call has come." },
  { "get_metadata", (PyCFunction) invocation_get_metadata, METH_NOARGS,
    "get_metadata($self, /)\n--\n\nWhat came with the call besides its arguments: a dict." },
  { "steal_fd", (PyCFunction) invocation_steal_fd, METH_O,
    "steal_fd($self, handle, /)\n--\n\nTakes a file descriptor that came with the call." },
  { "append_fd", (PyCFunction) invocation_append_fd, METH_O,
    "append_fd($self, file, /)\n--\n\nSends a copy of a file descriptor with the result; returns its handle." },
  { "_settle", (PyCFunction) invocation_settle, METH_O, NULL },
  { NULL },
};

static PyType_Slot invocation_slots[] = {
  { Py_tp_doc, (void *) invocation_doc },
  { Py_tp_traverse, invocation_traverse },
  { Py_tp_clear, invocation_clear },
  { Py_tp_dealloc, invocation_dealloc },
  { Py_tp_methods, invocation_methods },
  { 0, NULL },
};

static PyType_Spec invocation_spec = {
  .name = "afrpc.Invocation",
  .basicsize = sizeof (Invocation),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = invocation_slots,
};

int
afrpc_python_invocation_register (PyObject *module)
{
  invocation_type = (PyTypeObject *) PyType_FromSpec (&invocation_spec);
  current_variable = PyContextVar_New ("afrpc.invocation", NULL);

  if (invocation_type == NULL || current_variable == NULL)
    return -1;

  return PyModule_AddObjectRef (module, "Invocation", (PyObject *) invocation_type);
}
