/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What blocks the thread: handlers of signals run meanwhile, and what they raise ends it. */
#include "config.h"

#include "afrpc-python-proxy.h"

#include <unistd.h>

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

__thread AfrpcPythonBlocked *afrpc_python_blocked;

static unsigned long main_thread; /* in which Python runs handlers of signals */
static guint generation;          /* how many processes have forked, one from the other, since the module was loaded */

/* Called without the GIL, which only that thread takes for it. */
static gboolean
interrupted_cb (void)
{
  AfrpcPythonBlocked *self = afrpc_python_blocked;
  PyGILState_STATE state;

  if (self == NULL || PyThread_get_thread_ident () != main_thread)
    return FALSE;

  state = PyGILState_Ensure ();
  if (PyErr_CheckSignals () != 0)
    {
      if (self->type != NULL)
        PyErr_Clear ();
      else
        PyErr_Fetch (&self->type, &self->value, &self->traceback);
      /* What a handler has forked does not wait any more, and leaves the program what it has begun. */
      if (self->generation != generation)
        ;
      else if (self->call != NULL)
        afrpc_call_cancel (self->call);
      else
        g_cancellable_cancel (self->stop);
    }
  PyGILState_Release (state);

  return TRUE;
}

/* This thread waits from now on: for @call, or for what self->stop ends, which is cancelled with @cancellable. */
void
afrpc_python_block_begin (AfrpcPythonBlocked *self,
                          AfrpcCall          *call,        /* (nullable) */
                          GCancellable       *cancellable) /* (nullable) */
{
  *self = (AfrpcPythonBlocked) { .call = call, .generation = generation, .outer = afrpc_python_blocked };
  if (call == NULL)
    self->stop = g_cancellable_new (); /* others may have the one that was given */
  if (call == NULL && cancellable != NULL)
    {
      self->cancellable = g_object_ref (cancellable);
      self->id = g_signal_connect_object (cancellable, "cancelled", G_CALLBACK (g_cancellable_cancel), self->stop,
                                          G_CONNECT_SWAPPED);
      if (g_cancellable_is_cancelled (cancellable))
        g_cancellable_cancel (self->stop);
    }
  afrpc_python_blocked = self;
}

/* This thread does not wait any more. What a handler of a signal has raised is set, if it has. */
static void
leave_blocked (AfrpcPythonBlocked *self)
{
  afrpc_python_blocked = self->outer;
  if (self->id != 0)
    g_signal_handler_disconnect (self->cancellable, self->id);
  g_clear_object (&self->cancellable);
  g_clear_object (&self->stop);
  if (self->type != NULL)
    PyErr_Restore (self->type, self->value, self->traceback);
}

/* FALSE: a handler of a signal has raised the exception that is set now. */
gboolean
afrpc_python_block_end (AfrpcPythonBlocked *self)
{
  leave_blocked (self);

  /* What has ended the worker may have come to this process, too: it is said first, and in no code that makes exceptions. */
  return self->type == NULL && PyErr_CheckSignals () == 0;
}

/* Copies of file descriptors of the result, for a list. */
static gboolean
append_fds (AfrpcCall *call,
            PyObject  *list)
{
  g_autoptr(GUnixFDList) fds = afrpc_call_steal_fds (call);
  const int n = fds != NULL ? g_unix_fd_list_get_length (fds) : 0;

  for (int i = 0; i < n; i++)
    {
      const int fd = g_unix_fd_list_get (fds, i, NULL);
      PyObject *number = fd >= 0 ? PyLong_FromLong (fd) : PyErr_SetFromErrno (PyExc_OSError);
      const int status = number != NULL ? PyList_Append (list, number) : -1;

      Py_XDECREF (number);
      if (status != 0)
        {
          if (fd >= 0)
            close (fd);
          return FALSE;
        }
    }

  return TRUE;
}

static PyObject *
wait_for (AfrpcCall    *call,
          GCancellable *cancellable,
          gboolean      raw,
          PyObject     *hooks,
          PyObject     *fds) /* None, or a list that gets those of the result */
{
  AfrpcPythonBlocked self;
  GError *error = NULL;
  GVariant *result;
  PyObject *object;

  afrpc_python_block_begin (&self, call, NULL);
  Py_BEGIN_ALLOW_THREADS
  result = afrpc_call_wait_sync (call, cancellable, &error);
  Py_END_ALLOW_THREADS
  if (!afrpc_python_block_end (&self))
    {
      g_clear_pointer (&result, g_variant_unref);
      g_clear_error (&error);
      return NULL;
    }
  if (result != NULL && fds != Py_None && !append_fds (call, fds))
    {
      g_variant_unref (result);
      return NULL;
    }

  object = afrpc_python_convert (result, error, raw, hooks);
  if (object == NULL)
    afrpc_python_tell_call (call);

  return object;
}

/* wait (call, cancellable): as a GLib.Variant */
static PyObject *
module_wait (PyObject        *module,
             PyObject *const *args,
             Py_ssize_t       n_args)
{
  GCancellable *cancellable = NULL;
  AfrpcCall *call;

  if (n_args != 2)
    {
      PyErr_BadArgument ();
      return NULL;
    }
  call = afrpc_python_get_object (args[0], AFRPC_TYPE_CALL);
  if (call == NULL || !afrpc_python_option_get_cancellable (args[1], &cancellable))
    return NULL;

  return wait_for (call, cancellable, TRUE, NULL, Py_None);
}

/* close_sync (caller, cancellable) */
static PyObject *
module_close_sync (PyObject        *module,
                   PyObject *const *args,
                   Py_ssize_t       n_args)
{
  AfrpcPythonBlocked self;
  GCancellable *cancellable = NULL;
  GError *error = NULL;
  AfrpcCaller *caller;

  if (n_args != 2)
    {
      PyErr_BadArgument ();
      return NULL;
    }
  caller = afrpc_python_get_object (args[0], AFRPC_TYPE_CALLER);
  if (caller == NULL || !afrpc_python_option_get_cancellable (args[1], &cancellable))
    return NULL;

  afrpc_python_block_begin (&self, NULL, cancellable);
  Py_BEGIN_ALLOW_THREADS
  afrpc_caller_close_sync (caller, self.stop, &error);
  Py_END_ALLOW_THREADS
  if (!afrpc_python_block_end (&self))
    {
      g_clear_error (&error);
      return NULL;
    }
  if (error != NULL)
    {
      afrpc_python_raise_error (error);
      return NULL;
    }

  Py_RETURN_TRUE;
}

/* block (function, cancellable): what the function returns, which is called with another cancellable and waits by the
 * library, until that is cancelled: because the one that was given is, or since a handler of a signal has raised. */
static PyObject *
module_block (PyObject        *module,
              PyObject *const *args,
              Py_ssize_t       n_args)
{
  AfrpcPythonBlocked self;
  GCancellable *cancellable = NULL;
  PyObject *stop, *result = NULL;

  if (n_args != 2)
    {
      PyErr_BadArgument ();
      return NULL;
    }
  if (!afrpc_python_option_get_cancellable (args[1], &cancellable))
    return NULL;

  afrpc_python_block_begin (&self, NULL, cancellable);
  stop = pygobject_new (G_OBJECT (self.stop));
  if (stop != NULL)
    result = PyObject_CallOneArg (args[0], stop);
  Py_XDECREF (stop);
  /* Where no handler has raised, what the function has is kept: Python looks at signals itself from here on. */
  if (self.type != NULL)
    {
      Py_CLEAR (result);
      PyErr_Clear ();
    }
  leave_blocked (&self);

  return result;
}

/* call_sync (proxy, args, signature, timeout_ms, cancellable, raw, on_progress, progress_mode, fds, result_fds, more) */
static PyObject *
module_call_sync (PyObject        *module,
                  PyObject *const *args,
                  Py_ssize_t       n_args)
{
  AfrpcPythonOptions options = { NULL };
  g_autoptr(AfrpcCallOptions) made = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  GMainContext *entered;
  AfrpcCaller *caller;
  PyObject *hooks = NULL, *object;

  if (n_args != 11 || !PyTuple_Check (args[1]))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  if (args[9] != Py_None && !PyList_Check (args[9]))
    {
      afrpc_python_option_refuse ("result_fds", "a list", args[9]);
      afrpc_python_tell_call (NULL);
      return NULL;
    }
  caller = afrpc_python_get_caller (args, args[10], &options);
  if (caller != NULL)
    hooks = PyObject_GetAttr (args[0], afrpc_python_str_hooks);
  if (hooks != NULL && afrpc_python_make_options (&options, hooks, &made))
    value = afrpc_python_pack_call (args[1], args[2], hooks);
  if (value == NULL || !afrpc_python_enter (options.process, FALSE, &entered))
    {
      afrpc_python_tell_call (NULL);
      Py_XDECREF (hooks);
      return NULL;
    }

  call = afrpc_caller_start (caller, value, made);
  object = wait_for (call, options.cancellable, args[5] == Py_True, hooks, args[9]);
  afrpc_python_leave (entered);
  Py_DECREF (hooks);

  return object;
}

static PyMethodDef block_methods[] = {
  { "block", (PyCFunction) (void (*) (void)) module_block, METH_FASTCALL, NULL },
  { "call_sync", (PyCFunction) (void (*) (void)) module_call_sync, METH_FASTCALL, NULL },
  { "close_sync", (PyCFunction) (void (*) (void)) module_close_sync, METH_FASTCALL, NULL },
  { "wait", (PyCFunction) (void (*) (void)) module_wait, METH_FASTCALL, NULL },
  { NULL },
};

/* Whichever thread has forked is the main thread of the process that was. */
static PyObject *
forked (PyObject *module,
        PyObject *unused)
{
  main_thread = PyThread_get_thread_ident ();
  generation++;

  Py_RETURN_NONE;
}

static PyMethodDef forked_def = { "forked", forked, METH_NOARGS, NULL };

static gboolean
watch_forks (void)
{
  PyObject *os = PyImport_ImportModule ("os");
  PyObject *registered = os != NULL ? PyObject_GetAttrString (os, "register_at_fork") : NULL;
  PyObject *keywords = PyDict_New ();
  PyObject *none = PyTuple_New (0);
  PyObject *function = PyCFunction_New (&forked_def, NULL);
  PyObject *result = NULL;

  if (registered != NULL && keywords != NULL && none != NULL && function != NULL &&
      PyDict_SetItemString (keywords, "after_in_child", function) == 0)
    result = PyObject_Call (registered, none, keywords);
  Py_XDECREF (result);
  Py_XDECREF (function);
  Py_XDECREF (none);
  Py_XDECREF (keywords);
  Py_XDECREF (registered);
  Py_XDECREF (os);

  return result != NULL;
}

static gboolean
find_main_thread (void)
{
  PyObject *threading = PyImport_ImportModule ("threading");
  PyObject *thread = threading != NULL ? PyObject_CallMethod (threading, "main_thread", NULL) : NULL;
  PyObject *ident = thread != NULL ? PyObject_GetAttrString (thread, "ident") : NULL;

  if (ident != NULL)
    main_thread = PyLong_AsUnsignedLong (ident);
  Py_XDECREF (ident);
  Py_XDECREF (thread);
  Py_XDECREF (threading);

  return !PyErr_Occurred ();
}

int
afrpc_python_block_register (PyObject *module)
{
  if (!find_main_thread () || !watch_forks ())
    return -1;

  afrpc_call_set_interrupted_func (interrupted_cb);

  return PyModule_AddFunctions (module, block_methods);
}
