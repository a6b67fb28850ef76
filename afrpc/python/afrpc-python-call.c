/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-python-call-private.h"

typedef AfrpcPythonCall Call;

static PyTypeObject *call_type;
static PyObject *str_call_soon, *str_context;

static int
call_traverse (Call      *self,
               visitproc  visit,
               void      *arg)
{
  Py_VISIT (Py_TYPE (self));
  Py_VISIT (self->outcome);
  Py_VISIT (self->loop);
  Py_VISIT (self->callbacks);
  Py_VISIT (self->canceller);
  Py_VISIT (self->giver);
  Py_VISIT (self->hooks);

  return 0;
}

static int
call_clear (Call *self)
{
  Py_CLEAR (self->outcome);
  Py_CLEAR (self->loop);
  Py_CLEAR (self->callbacks);
  Py_CLEAR (self->canceller);
  Py_CLEAR (self->giver);
  Py_CLEAR (self->hooks);

  return 0;
}

/* Whoever has waited does not any more. @is_got: whether he has got the outcome */
void
afrpc_python_call_leave (Call     *self,
                         gboolean  is_got)
{
  PyObject *giver = g_steal_pointer (&self->giver);

  if (giver == NULL)
    return;
  if (!is_got)
    {
      self->giver = giver;
      self->give_back (self);
      self->giver = NULL;
      self->retrieved = TRUE;
    }
  Py_DECREF (giver);
}

/* As asyncio does it with a future of its own. */
static gboolean
tell_loop (Call *self)
{
  PyObject *context, *result = NULL;

  if (self->loop == NULL)
    return FALSE;
  context = Py_BuildValue ("{s:s,s:O,s:O}", "message", "the error of a call was never asked for", "exception",
                           self->outcome, "future", self);
  if (context != NULL)
    result = PyObject_CallMethod (self->loop, "call_exception_handler", "N", context);
  if (result == NULL)
    PyErr_Clear ();
  Py_XDECREF (result);

  return result != NULL;
}

static void
call_finalize (PyObject *object)
{
  Call *self = (Call *) object;
  PyObject *type, *value, *traceback;

  if (self->giver == NULL && (self->state != AFRPC_PYTHON_CALL_FAILED || self->retrieved))
    return;

  PyErr_Fetch (&type, &value, &traceback);
  if (self->giver != NULL)
    {
      afrpc_python_call_leave (self, self->was_asked);
      PyErr_Restore (type, value, traceback);
      return;
    }
  if (!tell_loop (self))
    {
      PyErr_Restore (Py_NewRef (Py_TYPE (self->outcome)), Py_NewRef (self->outcome), NULL);
      PyErr_WriteUnraisable (object);
    }
  PyErr_Restore (type, value, traceback);
}

static void
call_dealloc (Call *self)
{
  PyTypeObject *type = Py_TYPE (self);

  if (PyObject_CallFinalizerFromDealloc ((PyObject *) self) < 0)
    return;
  PyObject_GC_UnTrack (self);
  call_clear (self);
  g_clear_object (&self->fds);
  g_clear_object (&self->process);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  type->tp_free (self);
  Py_DECREF (type);
}

Call *
afrpc_python_call_new (void)
{
  Call *self = (Call *) call_type->tp_alloc (call_type, 0);

  if (self != NULL)
    {
      self->loop = Py_XNewRef (afrpc_python_loop_peek ());
      self->was_started = AFRPC_STARTED_UNKNOWN;
    }

  return self;
}

gboolean
afrpc_python_call_poke (Call *self)
{
  return afrpc_python_loop_poke (self->loop);
}

static PyObject *
call_new (PyTypeObject *type,
          PyObject     *args,
          PyObject     *keywords)
{
  static const char *const names[] = { "canceller", NULL };
  PyObject *canceller = NULL;
  Call *self;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "|O:Call", (char **) names, &canceller))
    return NULL;
  self = afrpc_python_call_new ();
  if (self == NULL)
    return NULL;
  self->canceller = Py_XNewRef (canceller);
  if (!afrpc_python_loop_poke (self->loop))
    Py_CLEAR (self);

  return (PyObject *) self;
}

/* Calls function (argument) in a context; in a copy of it where it is in use, because what was called runs a loop. */
PyObject *
afrpc_python_call_in (PyObject *context,
                      PyObject *function,
                      PyObject *argument)
{
  PyObject *entered = Py_NewRef (context);
  PyObject *result;

  if (PyContext_Enter (entered) != 0)
    {
      PyErr_Clear ();
      Py_SETREF (entered, PyContext_Copy (context));
      if (entered == NULL || PyContext_Enter (entered) != 0)
        {
          Py_XDECREF (entered);
          return NULL;
        }
    }
  result = PyObject_CallOneArg (function, argument);
  if (PyContext_Exit (entered) != 0)
    Py_CLEAR (result);
  Py_DECREF (entered);

  return result;
}

static gboolean
schedule (Call     *self,
          PyObject *function,
          PyObject *context)
{
  PyObject *result = NULL;

  if (self->loop != NULL)
    {
      PyObject *args[] = { NULL, self->loop, function, (PyObject *) self, context };
      PyObject *names = PyTuple_Pack (1, str_context);

      if (names != NULL)
        result = PyObject_VectorcallMethod (str_call_soon, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
      Py_XDECREF (names);
    }
  else
    result = afrpc_python_call_in (context, function, (PyObject *) self);

  Py_XDECREF (result);

  return result != NULL;
}

/* Everybody who waits is told; what a callback raises is nobody else's matter. */
static void
run_callbacks (Call *self)
{
  PyObject *callbacks = g_steal_pointer (&self->callbacks);

  Py_CLEAR (self->canceller);
  if (callbacks == NULL)
    return;

  Py_INCREF (self);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE (callbacks); i++)
    {
      PyObject *entry = PyList_GET_ITEM (callbacks, i);

      if (!schedule (self, PyTuple_GET_ITEM (entry, 0), PyTuple_GET_ITEM (entry, 1)))
        PyErr_WriteUnraisable (PyTuple_GET_ITEM (entry, 0));
    }
  Py_DECREF (callbacks);
  Py_DECREF (self);
}

/* @outcome: (transfer full) */
void
afrpc_python_call_settle (Call                 *self,
                          AfrpcPythonCallState  state,
                          PyObject             *outcome)
{
  if (self->state != AFRPC_PYTHON_CALL_PENDING)
    {
      Py_XDECREF (outcome);
      return;
    }

  self->state = state;
  self->outcome = outcome;
  run_callbacks (self);
}

/* Takes the exception that is set. */
void
afrpc_python_call_settle_failed (Call *self)
{
  PyObject *type, *value, *traceback;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  Py_XDECREF (type);
  Py_XDECREF (traceback);
  afrpc_python_call_settle (self, AFRPC_PYTHON_CALL_FAILED, value);
}

/* Methods */

static PyObject *
call_done (Call     *self,
           PyObject *unused)
{
  return PyBool_FromLong (self->state != AFRPC_PYTHON_CALL_PENDING);
}

static PyObject *
call_cancelled (Call     *self,
                PyObject *unused)
{
  return PyBool_FromLong (self->state == AFRPC_PYTHON_CALL_CANCELLED);
}

static PyObject *
get_from_asyncio (const char *name)
{
  PyObject *asyncio = PyImport_ImportModule ("asyncio");
  PyObject *found = asyncio != NULL ? PyObject_GetAttrString (asyncio, name) : NULL;

  Py_XDECREF (asyncio);

  return found;
}

static PyObject *
make_cancelled_error (Call *self)
{
  PyObject *type = get_from_asyncio ("CancelledError");
  PyObject *error = NULL;

  if (type != NULL && self->outcome != NULL && self->outcome != Py_None)
    error = PyObject_CallOneArg (type, self->outcome);
  else if (type != NULL)
    error = PyObject_CallNoArgs (type);
  Py_XDECREF (type);
  if (self->is_call)
    afrpc_python_tell_started (error, self->was_started);

  return error;
}

/* What there is not to return is raised. */
static gboolean
check_outcome (Call *self)
{
  PyObject *error;

  if (self->state == AFRPC_PYTHON_CALL_PENDING)
    {
      PyObject *type = get_from_asyncio ("InvalidStateError");

      if (type != NULL)
        PyErr_SetString (type, self->loop != NULL || !self->is_call ?
                               "the call is not done yet" :
                               "the call is not done yet, and no loop of asyncio awaits it: its main context tells the "
                               "outcome when it is iterated, by iteration(True) for instance; invoke_sync() waits for a "
                               "result without that");
      Py_XDECREF (type);
      return FALSE;
    }
  if (self->state == AFRPC_PYTHON_CALL_CANCELLED)
    {
      error = make_cancelled_error (self);
      if (error != NULL)
        PyErr_SetObject ((PyObject *) Py_TYPE (error), error);
      Py_XDECREF (error);
      return FALSE;
    }

  return TRUE;
}

PyObject *
afrpc_python_call_get_result (Call     *self,
                              PyObject *unused)
{
  if (!check_outcome (self))
    return NULL;
  self->was_asked = TRUE;
  if (self->state == AFRPC_PYTHON_CALL_DONE)
    return Py_NewRef (self->outcome);

  self->retrieved = TRUE;
  PyErr_SetObject ((PyObject *) Py_TYPE (self->outcome), self->outcome);

  return NULL;
}

static PyObject *
call_exception (Call     *self,
                PyObject *unused)
{
  if (!check_outcome (self))
    return NULL;
  self->was_asked = TRUE;
  self->retrieved = TRUE;

  return Py_NewRef (self->state == AFRPC_PYTHON_CALL_FAILED ? self->outcome : Py_None);
}

static PyObject *
call_cancel (Call     *self,
             PyObject *args,
             PyObject *keywords)
{
  static const char *const names[] = { "msg", NULL };
  PyObject *message = Py_None;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "|O:cancel", (char **) names, &message))
    return NULL;
  if (self->state != AFRPC_PYTHON_CALL_PENDING)
    Py_RETURN_FALSE;

  if (self->cancel != NULL)
    {
      self->cancel (self);
      self->was_started = afrpc_call_get_started (self->started);
      if (!afrpc_python_loop_poke_running ())
        return NULL;
    }
  else if (self->canceller != NULL && self->canceller != Py_None)
    {
      PyObject *result = PyObject_CallNoArgs (self->canceller);

      if (result == NULL)
        return NULL;
      Py_DECREF (result);
    }
  afrpc_python_call_settle (self, AFRPC_PYTHON_CALL_CANCELLED, Py_NewRef (message));

  Py_RETURN_TRUE;
}

static PyObject *
call_add_done_callback (Call     *self,
                        PyObject *args,
                        PyObject *keywords)
{
  static const char *const names[] = { "", "context", NULL };
  PyObject *function, *entry, *context = Py_None;
  int status;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "O|$O:add_done_callback", (char **) names, &function, &context))
    return NULL;
  context = context != Py_None ? Py_NewRef (context) : PyContext_CopyCurrent ();
  if (context == NULL)
    return NULL;
  if (self->state != AFRPC_PYTHON_CALL_PENDING)
    {
      const gboolean ok = schedule (self, function, context);

      Py_DECREF (context);
      if (!ok)
        return NULL;
      Py_RETURN_NONE;
    }

  entry = PyTuple_Pack (2, function, context);
  Py_DECREF (context);
  if (entry == NULL)
    return NULL;
  if (self->callbacks == NULL)
    self->callbacks = PyList_New (0);
  status = self->callbacks != NULL ? PyList_Append (self->callbacks, entry) : -1;
  Py_DECREF (entry);
  if (status != 0)
    return NULL;

  Py_RETURN_NONE;
}

static gboolean
has_callback (Call       *self,
              Py_ssize_t  i)
{
  return self->callbacks != NULL && i < PyList_GET_SIZE (self->callbacks);
}

static PyObject *
call_remove_done_callback (Call     *self,
                           PyObject *function)
{
  long n_removed = 0;

  for (Py_ssize_t i = 0; has_callback (self, i);)
    {
      PyObject *entry = Py_NewRef (PyList_GET_ITEM (self->callbacks, i));
      int same = PyObject_RichCompareBool (PyTuple_GET_ITEM (entry, 0), function, Py_EQ);

      /* What compares them may have settled the call, or taken this one back. */
      if (same > 0 && has_callback (self, i) && PyList_GET_ITEM (self->callbacks, i) == entry)
        {
          same = PySequence_DelItem (self->callbacks, i);
          n_removed++;
        }
      else
        i++;
      Py_DECREF (entry);
      if (same < 0)
        return NULL;
    }

  return PyLong_FromLong (n_removed);
}

static PyObject *
call_get_fd (Call     *self,
             PyObject *object)
{
  const Py_ssize_t handle = PyNumber_AsSsize_t (object, PyExc_IndexError);
  int fd;

  if (handle == -1 && PyErr_Occurred ())
    return NULL;
  if (self->fds == NULL || handle < 0 || handle >= g_unix_fd_list_get_length (self->fds))
    {
      if (self->state == AFRPC_PYTHON_CALL_PENDING)
        PyErr_SetString (PyExc_IndexError, "there are no file descriptors before the call has its result");
      else
        PyErr_Format (PyExc_IndexError, "there is no file descriptor %zd: %d came with the result", handle,
                      self->fds != NULL ? g_unix_fd_list_get_length (self->fds) : 0);
      return NULL;
    }

  fd = g_unix_fd_list_get (self->fds, handle, NULL);

  return fd >= 0 ? PyLong_FromLong (fd) : PyErr_SetFromErrno (PyExc_OSError);
}

static PyObject *
call_get_started (Call     *self,
                  PyObject *unused)
{
  return afrpc_python_make_started (self->was_started);
}

static PyObject *
call_get_process (Call     *self,
                  PyObject *unused)
{
  if (self->process == NULL && self->started != NULL)
    return afrpc_python_make_process (afrpc_call_get_process (self->started));

  return afrpc_python_make_process (self->process);
}

static PyObject *
call_get_exit (Call     *self,
               PyObject *unused)
{
  return afrpc_python_make_exit (self->exit);
}

/* The loop that it belongs to is the first that it has to do with. */
gboolean
afrpc_python_call_ensure_loop (Call *self)
{
  if (self->loop == NULL)
    self->loop = Py_XNewRef (afrpc_python_loop_peek ());
  if (self->loop != NULL)
    return afrpc_python_loop_poke (self->loop);

  PyErr_SetString (PyExc_RuntimeError, "no event loop of asyncio is running: see afrpc.aio");
  return FALSE;
}

static PyObject *
call_get_loop (Call     *self,
               PyObject *unused)
{
  return afrpc_python_call_ensure_loop (self) ? Py_NewRef (self->loop) : NULL;
}

static PyObject *
call_set_result (Call     *self,
                 PyObject *result)
{
  afrpc_python_call_settle (self, AFRPC_PYTHON_CALL_DONE, Py_NewRef (result));

  Py_RETURN_NONE;
}

static PyObject *
call_set_exception (Call     *self,
                    PyObject *exception)
{
  if (!PyExceptionInstance_Check (exception))
    {
      PyErr_SetString (PyExc_TypeError, "an exception is needed");
      return NULL;
    }
  afrpc_python_call_settle (self, AFRPC_PYTHON_CALL_FAILED, Py_NewRef (exception));

  Py_RETURN_NONE;
}

static PyObject *
call_make_cancelled_error (Call     *self,
                           PyObject *unused)
{
  return make_cancelled_error (self);
}

static PyObject *
call_get_blocking (Call *self,
                   void *unused)
{
  return PyBool_FromLong (self->blocking);
}

static int
call_set_blocking (Call     *self,
                   PyObject *value,
                   void     *unused)
{
  self->blocking = value != NULL && PyObject_IsTrue (value);

  return 0;
}

static PyObject *
call_get_cancel_message (Call *self,
                         void *unused)
{
  return Py_NewRef (self->state == AFRPC_PYTHON_CALL_CANCELLED ? self->outcome : Py_None);
}

static PyObject *
call_repr (Call *self)
{
  static const char *const names[] = { "pending", "done", "failed", "cancelled" };
  g_autofree char *function = self->started != NULL ? afrpc_python_dup_called (self->started) : NULL;

  if (function != NULL)
    return PyUnicode_FromFormat ("<Afrpc.PendingCall of %s, %s>", function, names[self->state]);
  if (self->state == AFRPC_PYTHON_CALL_FAILED)
    return PyUnicode_FromFormat ("<Afrpc.PendingCall failed: %R>", self->outcome);

  return PyUnicode_FromFormat ("<Afrpc.PendingCall %s>", names[self->state]);
}

PyDoc_STRVAR (call_doc, "A call, or what else is waited for: to be awaited, or asked.");

static PyMethodDef call_methods[] = {
  { "done", (PyCFunction) call_done, METH_NOARGS, "done($self, /)\n--\n\nWhether it is settled." },
  { "cancelled", (PyCFunction) call_cancelled, METH_NOARGS, "cancelled($self, /)\n--\n\nWhether it was cancelled." },
  { "result", (PyCFunction) afrpc_python_call_get_result, METH_NOARGS,
    "result($self, /)\n--\n\nThe result; raises why there is none." },
  { "exception", (PyCFunction) call_exception, METH_NOARGS, "exception($self, /)\n--\n\nWhy there is no result, or None." },
  { "cancel", (PyCFunction) (void (*) (void)) call_cancel, METH_VARARGS | METH_KEYWORDS,
    "cancel($self, /, msg=None)\n--\n\nCancels it; returns whether it was still pending." },
  { "add_done_callback", (PyCFunction) (void (*) (void)) call_add_done_callback, METH_VARARGS | METH_KEYWORDS,
    "add_done_callback($self, callback, /, *, context=None)\n--\n\nHas callback(call) called once it is settled." },
  { "remove_done_callback", (PyCFunction) call_remove_done_callback, METH_O,
    "remove_done_callback($self, callback, /)\n--\n\nTakes it back; returns how often it was there." },
  { "get_loop", (PyCFunction) call_get_loop, METH_NOARGS, "get_loop($self, /)\n--\n\nThe loop of asyncio it belongs to." },
  { "get_fd", (PyCFunction) call_get_fd, METH_O,
    "get_fd($self, handle, /)\n--\n\nA copy of a file descriptor that came with the result: the caller's to close." },
  { "_set_result", (PyCFunction) call_set_result, METH_O, NULL },
  { "_set_exception", (PyCFunction) call_set_exception, METH_O, NULL },
  { "get_started", (PyCFunction) call_get_started, METH_NOARGS,
    "get_started($self, /)\n--\n\nWhether the worker had started the call, as Afrpc.Started: known once it is settled." },
  { "get_process", (PyCFunction) call_get_process, METH_NOARGS,
    "get_process($self, /)\n--\n\nThe Afrpc.Process that has, or had, the call, or None." },
  { "get_exit", (PyCFunction) call_get_exit, METH_NOARGS,
    "get_exit($self, /)\n--\n\nHow the process ended that the call failed with, as Afrpc.Exit, or None." },
  { "_make_cancelled_error", (PyCFunction) call_make_cancelled_error, METH_NOARGS, NULL },
  { NULL },
};

static PyGetSetDef call_getset[] = {
  { "_asyncio_future_blocking", (getter) call_get_blocking, (setter) call_set_blocking, NULL, NULL },
  { "_cancel_message", (getter) call_get_cancel_message, NULL, NULL, NULL },
  { NULL },
};

static PyType_Slot call_slots[] = {
  { Py_tp_doc, (void *) call_doc },
  { Py_tp_new, call_new },
  { Py_tp_traverse, call_traverse },
  { Py_tp_clear, call_clear },
  { Py_tp_finalize, call_finalize },
  { Py_tp_dealloc, call_dealloc },
  { Py_tp_repr, call_repr },
  { Py_tp_methods, call_methods },
  { Py_tp_getset, call_getset },
  { Py_tp_iter, afrpc_python_awaiting_new },
  { Py_am_await, afrpc_python_awaiting_new },
  { 0, NULL },
};

static PyType_Spec call_spec = {
  .name = "afrpc._proxy.PendingCall",
  .basicsize = sizeof (Call),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = call_slots,
};

int
afrpc_python_call_register (PyObject *module)
{
  str_call_soon = PyUnicode_InternFromString ("call_soon");
  str_context = PyUnicode_InternFromString ("context");
  call_type = (PyTypeObject *) PyType_FromSpec (&call_spec);
  if (str_call_soon == NULL || str_context == NULL || call_type == NULL || !afrpc_python_loop_register (module) ||
      !afrpc_python_awaiting_register ())
    return -1;

  return PyModule_AddObjectRef (module, "PendingCall", (PyObject *) call_type);
}
