/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The extension module afrpc._proxy: calls, from a program in Python. Arguments and results go between Python and
 * the library without PyGObject, whose conversion of them costs more than the call itself. */
#include "config.h"

#include "afrpc-python-call.h"
#include "afrpc-python-codec.h"
#include "afrpc-python-proxy.h"

#include "afrpc/afrpc-caller-private.h"

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

PyObject *afrpc_python_str_hooks;

static PyObject *error_hook; /* (nullable): makes an exception of GLib.Error that is better */
static PyObject *refused_hook; /* (nullable): the same for that of a call that was not started */
static PyObject *failure;    /* (nullable): the class of those that know who had the call, and how that ended */
static PyObject *remote;     /* (nullable): the class of those of workers in Python */

/* Has the exception that is set be what @hook (nullable) makes of it. */
static void
improve (PyObject *hook)
{
  PyObject *type, *value, *traceback, *better;

  if (hook == NULL)
    return;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  better = PyObject_CallOneArg (hook, value);
  if (better != NULL)
    {
      PyErr_SetObject ((PyObject *) Py_TYPE (better), better);
      Py_DECREF (better);
      Py_XDECREF (type);
      Py_XDECREF (value);
      Py_XDECREF (traceback);
      return;
    }

  PyErr_Clear ();
  PyErr_Restore (type, value, traceback);
}

/* Sets the exception that a GError is to Python. */
void
afrpc_python_raise_error (GError *error) /* (transfer full) */
{
  pyg_error_check (&error);
  improve (error_hook);
}

/* @value: (transfer full) (nullable); @error: (transfer full) (nullable); @hooks: (nullable) */
PyObject *
afrpc_python_convert (GVariant *value,
                      GError   *error,
                      gboolean  raw,
                      PyObject *hooks)
{
  PyObject *result;

  if (value == NULL)
    {
      afrpc_python_raise_error (error);
      return NULL;
    }

  if (raw)
    {
      GValue boxed = G_VALUE_INIT;

      g_value_init (&boxed, G_TYPE_VARIANT);
      g_value_set_variant (&boxed, value);
      result = pyg_value_as_pyobject (&boxed, TRUE);
      g_value_unset (&boxed);
    }
  else
    result = afrpc_python_unpack (value, hooks);
  g_variant_unref (value);

  return result;
}

/* Returns: (nullable): as Afrpc.Started */
PyObject *
afrpc_python_make_started (AfrpcStarted started)
{
  GValue value = G_VALUE_INIT;
  PyObject *object;

  g_value_init (&value, AFRPC_TYPE_STARTED);
  g_value_set_enum (&value, started);
  object = pyg_value_as_pyobject (&value, TRUE);
  g_value_unset (&value);

  return object;
}

/* @process: (nullable); Returns: (nullable): as Afrpc.Process, or None */
PyObject *
afrpc_python_make_process (AfrpcProcess *process)
{
  return process != NULL ? pygobject_new (G_OBJECT (process)) : Py_NewRef (Py_None);
}

/* @exit: (nullable); Returns: (nullable): as Afrpc.Exit, or None */
PyObject *
afrpc_python_make_exit (AfrpcExit *exit)
{
  return exit != NULL ? pyg_boxed_new (AFRPC_TYPE_EXIT, exit, TRUE, TRUE) : Py_NewRef (Py_None);
}

/* @value: (transfer full) (nullable) */
static void
set_attribute (PyObject   *exception,
               const char *name,
               PyObject   *value)
{
  if (value == NULL || PyObject_SetAttrString (exception, name, value) != 0)
    PyErr_Clear ();
  Py_XDECREF (value);
}

static gboolean
is_of_python (PyObject *error)
{
  return remote != NULL && PyObject_TypeCheck (error, (PyTypeObject *) remote);
}

/* Returns: (transfer full) (nullable): the function that is called if nothing else is said */
char *
afrpc_python_dup_function (gpointer caller)
{
  char *function = NULL;

  if (g_object_class_find_property (G_OBJECT_GET_CLASS (caller), "function") != NULL)
    g_object_get (caller, "function", &function, NULL);

  return function;
}

/* Returns: (transfer full) (nullable): the function that was called */
char *
afrpc_python_dup_called (AfrpcCall *call)
{
  AfrpcCallOptions *options = afrpc_call_get_options (call);
  const char *function = options != NULL ? afrpc_call_options_get_function (options) : NULL;

  return function != NULL ? g_strdup (function) : afrpc_python_dup_function (afrpc_call_get_caller (call));
}

/* Has @exception say whether the worker had started its call. What a worker has raised may have a name for that as well: it is
 * told apart from what is its own. */
void
afrpc_python_tell_started (PyObject     *exception, /* (nullable) */
                           AfrpcStarted  started)
{
  const gboolean is_remote = exception != NULL && is_of_python (exception);
  PyObject *told = is_remote ? PyObject_GetAttrString (exception, "_afrpc_remote") : Py_XNewRef (exception);

  if (told != NULL)
    set_attribute (told, "started", afrpc_python_make_started (started));
  else
    PyErr_Clear ();
  Py_XDECREF (told);
}

/* Whether it is that of a function whose language is not ours, which says nothing of where it comes from. */
static gboolean
is_of_others (PyObject *error)
{
  PyObject *code = PyObject_GetAttrString (error, "code");
  PyObject *domain = code != NULL ? PyObject_GetAttrString (error, "domain") : NULL;
  const gboolean is_remote = domain != NULL && PyLong_Check (code) && PyUnicode_Check (domain) &&
                             PyLong_AsLong (code) == AFRPC_ERROR_REMOTE &&
                             PyUnicode_CompareWithASCIIString (domain, g_quark_to_string (AFRPC_ERROR)) == 0;

  Py_XDECREF (code);
  Py_XDECREF (domain);
  PyErr_Clear ();

  return is_remote;
}

/* Its message is that of the function, in which there is no room for anything else. */
static void
add_note (PyObject  *error,
          AfrpcCall *call)
{
  AfrpcCallOptions *options = afrpc_call_get_options (call);
  const char *label = options != NULL ? afrpc_call_options_get_label (options) : NULL;
  AfrpcProcess *process = afrpc_call_get_process (call);
  const char *host = process != NULL ? afrpc_process_get_host (process) : NULL;
  g_autofree char *function = afrpc_python_dup_called (call);
  GString *note = g_string_new (NULL);
  PyObject *result;

  if (label != NULL)
    g_string_append_printf (note, "%s: ", label);
  g_string_append_printf (note, "raised by '%s'", function != NULL ? function : "a worker");
  if (host != NULL)
    g_string_append_printf (note, " of '%s'", host);

  result = PyObject_CallMethod (error, "add_note", "s", note->str);
  if (result == NULL)
    PyErr_Clear ();
  Py_XDECREF (result);
  g_string_free (note, TRUE);
}

/* Has the exception that is set say whether the worker had started its call, and who had it.
 * @call: (nullable): that was made */
void
afrpc_python_tell_call (AfrpcCall *call)
{
  PyObject *type, *value, *traceback;

  if (call != NULL && afrpc_call_get_started (call) == AFRPC_STARTED_NO)
    improve (refused_hook);
  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  afrpc_python_tell_started (value, call != NULL ? afrpc_call_get_started (call) : AFRPC_STARTED_NO);
  if (call != NULL && failure != NULL && PyObject_IsInstance (value, failure) == 1)
    {
      set_attribute (value, "process", afrpc_python_make_process (afrpc_call_get_process (call)));
      set_attribute (value, "exit", afrpc_python_make_exit (afrpc_call_get_exit (call)));
    }
  if (call != NULL && value != NULL && !is_of_python (value) && is_of_others (value))
    add_note (value, call);
  PyErr_Restore (type, value, traceback);
}

static void
take_outcome (AfrpcPythonCall *self,
              AfrpcCaller     *caller,
              AfrpcCall       *call)
{
  GError *error = NULL;
  GVariant *value = afrpc_caller_call_full_finish (caller, G_ASYNC_RESULT (call), &self->fds, &error);

  self->was_started = afrpc_call_get_started (call);
  if (self->process == NULL)
    g_set_object (&self->process, afrpc_call_get_process (call));
  self->started = NULL;
  self->cancel = NULL;
  if (error != NULL && afrpc_call_get_exit (call) != NULL)
    self->exit = afrpc_exit_ref (afrpc_call_get_exit (call));
  if (self->state != AFRPC_PYTHON_CALL_PENDING) /* cancelled meanwhile */
    {
      g_clear_pointer (&value, g_variant_unref);
      g_clear_object (&self->fds);
      g_clear_error (&error);
    }
  else
    {
      PyObject *outcome = afrpc_python_convert (value, error, self->raw, self->hooks);

      if (outcome != NULL)
        afrpc_python_call_settle (self, AFRPC_PYTHON_CALL_DONE, outcome);
      else
        {
          afrpc_python_tell_call (call);
          afrpc_python_call_settle_failed (self);
        }
    }
}

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonCall *self = user_data;

  take_outcome (self, AFRPC_CALLER (source), AFRPC_CALL (result));
  Py_DECREF (self);
  PyGILState_Release (state);
}

static void
cancel (AfrpcPythonCall *self)
{
  afrpc_call_cancel (self->started);
}

/* The arguments of a call: one tuple of them all, or what @signature says. */
GVariant *
afrpc_python_pack_call (PyObject *args,
                        PyObject *signature,
                        PyObject *hooks)
{
  Py_ssize_t length = 0;
  const char *type;

  if (signature == Py_None)
    return afrpc_python_pack_args (args, hooks);

  if (hooks == AFRPC_PYTHON_PICKLED)
    {
      PyErr_SetString (PyExc_TypeError, "the option 'signature': what is pickled has none");
      return NULL;
    }
  if (!PyUnicode_Check (signature))
    {
      afrpc_python_option_refuse ("signature", "a str", signature);
      return NULL;
    }
  type = PyUnicode_AsUTF8AndSize (signature, &length);
  if (type == NULL)
    return NULL;
  if (strlen (type) != (gsize) length)
    {
      PyErr_SetString (PyExc_ValueError, "the option 'signature' has a null character");
      return NULL;
    }
  if (type[0] != '(' && PyTuple_GET_SIZE (args) == 1)
    args = PyTuple_GET_ITEM (args, 0);

  return afrpc_python_pack_as (type, args, TRUE, hooks);
}

/* Returns: (nullable): NULL without an exception */
gpointer
afrpc_python_peek_object (PyObject *wrapper,
                          GType     type)
{
  if (PyObject_TypeCheck (wrapper, &PyGObject_Type) && G_TYPE_CHECK_INSTANCE_TYPE (pygobject_get (wrapper), type))
    return pygobject_get (wrapper);

  return NULL;
}

/* None is none. */
gboolean
afrpc_python_option_get_cancellable (PyObject      *object,
                                     GCancellable **cancellable) /* (out) (nullable) */
{
  *cancellable = object != Py_None ? afrpc_python_peek_object (object, G_TYPE_CANCELLABLE) : NULL;
  if (object == Py_None || *cancellable != NULL)
    return TRUE;

  return afrpc_python_option_refuse ("cancellable", "a Gio.Cancellable", object);
}

gpointer
afrpc_python_get_object (PyObject *wrapper,
                         GType     type)
{
  gpointer object = afrpc_python_peek_object (wrapper, type);

  if (object != NULL)
    return object;

  PyErr_Format (PyExc_TypeError, "a %s is needed, not a %.200s", g_type_name (type), Py_TYPE (wrapper)->tp_name);
  return NULL;
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *function = PyTuple_GET_ITEM (user_data, 0);
  PyObject *value = afrpc_python_unpack (progress, PyTuple_GET_ITEM (user_data, 1));
  PyObject *result = value != NULL ? afrpc_python_call_in (PyTuple_GET_ITEM (user_data, 2), function, value) : NULL;

  if (result == NULL)
    PyErr_WriteUnraisable (function);
  Py_XDECREF (result);
  Py_XDECREF (value);
  PyGILState_Release (state);
}

static void
progress_destroy (gpointer user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();

  Py_DECREF (user_data);
  PyGILState_Release (state);
}

/* Returns: (nullable) (transfer full): NULL also if there is nothing to ask for. FALSE: an exception is set. */
gboolean
afrpc_python_make_options (const AfrpcPythonOptions  *options,
                           PyObject                  *hooks,
                           AfrpcCallOptions         **made)
{
  g_autoptr(AfrpcCallOptions) self = NULL;

  *made = NULL;
  if (options->timeout_ms == Py_None && options->progress == Py_None && options->fds == Py_None &&
      options->more == Py_None)
    return TRUE;

  self = afrpc_call_options_new ();
  if (options->more != Py_None && !afrpc_python_options_apply (self, options->more))
    return FALSE;
  if (options->timeout_ms != Py_None)
    {
      gint64 timeout_ms;

      if (!afrpc_python_option_get_number ("timeout_ms", options->timeout_ms, 0, G_MAXINT, &timeout_ms))
        return FALSE;
      afrpc_call_options_set_timeout_ms (self, timeout_ms);
    }
  if (options->progress != Py_None)
    {
      PyObject *progress, *context;

      if (!PyCallable_Check (options->progress))
        return afrpc_python_option_refuse ("on_progress", "callable", options->progress);
      context = PyContext_CopyCurrent ();
      progress = context != NULL ? PyTuple_Pack (3, options->progress, hooks, context) : NULL;
      Py_XDECREF (context);
      if (progress == NULL)
        return FALSE;
      afrpc_call_options_set_progress (self, options->progress_mode, progress_cb, progress, progress_destroy);
    }
  if (options->fds != Py_None)
    {
      GUnixFDList *fds = afrpc_python_get_object (options->fds, G_TYPE_UNIX_FD_LIST);

      if (fds == NULL)
        return FALSE;
      afrpc_call_options_set_fds (self, fds);
    }
  *made = g_steal_pointer (&self);

  return TRUE;
}

/* Its main context has gone: nobody is called back, but who has it can see its outcome, from another context as well. */
static void
untold_cb (gpointer user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonCall *self = user_data;
  PyObject *callbacks = self->callbacks;

  self->callbacks = NULL;
  if (Py_REFCNT (self) > 1)
    {
      g_autoptr(GObject) caller = g_async_result_get_source_object (G_ASYNC_RESULT (self->started));

      take_outcome (self, AFRPC_CALLER (caller), self->started);
      self->retrieved = TRUE;
    }
  self->started = NULL;
  self->cancel = NULL;
  Py_XDECREF (callbacks);
  Py_DECREF (self);
  PyGILState_Release (state);
}

/* Makes the call; it owns a reference to @call until it is settled, or never going to be. */
static void
start_call (AfrpcPythonCall  *call,
            AfrpcCaller      *caller,
            GVariant         *value,
            AfrpcCallOptions *options,
            GCancellable     *cancellable)
{
  Py_INCREF (call);
  call->started = afrpc_caller_start_with_notify (caller, value, options, cancellable, settled_cb, call, untold_cb);
  call->cancel = cancel;
  call->is_call = TRUE;
}

/* The proxy or pool, and what the arguments of call () say besides. @more: None, or a dict */
AfrpcCaller *
afrpc_python_get_caller (PyObject *const *args,
                         PyObject        *more,
                         AfrpcPythonOptions *options)
{
  AfrpcCaller *caller = afrpc_python_get_object (args[0], AFRPC_TYPE_CALLER);
  gint64 progress_mode = AFRPC_PROGRESS_ALL;

  if (caller == NULL)
    return NULL;
  options->is_pool = !AFRPC_IS_PROXY (caller);
  /* Others, such as those over NATS, have no process. */
  options->process = !options->is_pool ? afrpc_proxy_get_process ((AfrpcProxy *) caller) :
                     AFRPC_IS_POOL (caller) ? afrpc_pool_get_process ((AfrpcPool *) caller) : NULL;
  if (!afrpc_python_option_get_cancellable (args[4], &options->cancellable))
    return NULL;
  if (args[7] != Py_None &&
      !afrpc_python_option_get_number ("progress_mode", args[7], AFRPC_PROGRESS_ALL, AFRPC_PROGRESS_LATEST, &progress_mode))
    return NULL;
  options->timeout_ms = args[3];
  options->progress = args[6];
  options->fds = args[8];
  options->more = more;
  options->progress_mode = progress_mode;

  return caller;
}

/* Sets the exception of what a thread does that may not. */
void
afrpc_python_refuse_thread (void)
{
  PyErr_SetString (PyExc_RuntimeError, "what is used belongs to the main context of another thread, or of another loop: "
                   "a process has to be made where it is used, in a thread that does not share the default main context "
                   "with others (GLib.MainContext.push_thread_default)");
}

/* Takes the main context that a proxy belongs to, for a call from this thread; with @is_awaited, the loop that runs here
 * has to be one that drives it. FALSE: an exception is set. */
gboolean
afrpc_python_enter (AfrpcProcess  *process, /* (nullable) */
                    gboolean       is_awaited,
                    GMainContext **entered) /* (out) (nullable) */
{
  GMainContext *context = process != NULL ? afrpc_process_get_main_context (process) : NULL;
  g_autoptr(GMainContext) here = is_awaited ? g_main_context_ref_thread_default () : NULL;

  *entered = NULL;
  if (context == NULL)
    return TRUE; /* the library says what is wrong with it */
  if ((here == NULL || here == context) && !afrpc_python_loop_is_elsewhere (context) && g_main_context_acquire (context))
    {
      *entered = g_main_context_ref (context);
      return TRUE;
    }

  afrpc_python_refuse_thread ();
  return FALSE;
}

void
afrpc_python_leave (GMainContext *entered) /* (nullable) (transfer full) */
{
  if (entered == NULL)
    return;

  g_main_context_release (entered);
  g_main_context_unref (entered);
}

/* call (proxy, args, signature, timeout_ms, cancellable, raw, on_progress, progress_mode, fds, more): those after the
 * arguments may be None; more is a dict of options that have no place of their own. */
static PyObject *
module_call (PyObject        *module,
             PyObject *const *args,
             Py_ssize_t       n_args)
{
  AfrpcPythonOptions options = { NULL };
  g_autoptr(AfrpcCallOptions) made = NULL;
  g_autoptr(GVariant) value = NULL;
  GMainContext *entered;
  AfrpcCaller *caller;
  PyObject *hooks, *refusal = NULL;
  AfrpcPythonCall *call = NULL;

  if (n_args != 10 || !PyTuple_Check (args[1]))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  caller = afrpc_python_get_caller (args, args[9], &options);
  if (caller == NULL)
    {
      afrpc_python_tell_call (NULL);
      return NULL;
    }

  hooks = PyObject_GetAttr (args[0], afrpc_python_str_hooks);
  if (hooks != NULL && afrpc_python_make_options (&options, hooks, &made))
    {
      value = afrpc_python_pack_call (args[1], args[2], hooks);
      if (value == NULL)
        refusal = afrpc_python_take_refusal (args[2], hooks);
      if (value != NULL || refusal != NULL)
        call = afrpc_python_call_new ();
    }
  if (call == NULL || !afrpc_python_enter (options.process, call->loop != NULL, &entered))
    {
      afrpc_python_tell_call (NULL);
      Py_XDECREF (refusal);
      Py_XDECREF (hooks);
      Py_XDECREF (call);
      return NULL;
    }

  if (options.process != NULL && !options.is_pool)
    call->process = g_object_ref (options.process);
  call->hooks = hooks;
  call->raw = args[5] == Py_True;
  if (value != NULL)
    start_call (call, caller, value, made, options.cancellable);
  else
    afrpc_python_call_refuse (call, refusal, entered);
  afrpc_python_leave (entered);
  if (!afrpc_python_call_poke (call))
    Py_CLEAR (call);

  return (PyObject *) call;
}

/* As a GLib.Variant */
static PyObject *
module_pack (PyObject *module,
             PyObject *object)
{
  GVariant *value = afrpc_python_pack (object, NULL);

  return value != NULL ? afrpc_python_convert (value, NULL, TRUE, NULL) : NULL;
}

/* unpack (variant, hooks) */
static PyObject *
module_unpack (PyObject        *module,
               PyObject *const *args,
               Py_ssize_t       n_args)
{
  if (n_args == 2 && PyObject_TypeCheck (args[0], &PyGPointer_Type) &&
      ((PyGPointer *) args[0])->gtype == G_TYPE_VARIANT)
    return afrpc_python_unpack (pyg_pointer_get (args[0], GVariant), args[1]);

  PyErr_SetString (PyExc_TypeError, "a GLib.Variant is needed");
  return NULL;
}

static PyObject *
module_make_hooks (PyObject *module,
                   PyObject *args,
                   PyObject *keywords)
{
  return afrpc_python_make_hooks (args, keywords);
}

static PyObject *
module_set_hooks (PyObject *module,
                  PyObject *args)
{
  PyObject *error, *refused, *class, *remote_class, *loop;

  if (!PyArg_ParseTuple (args, "OOO!O!O:set_hooks", &error, &refused, &PyType_Type, &class, &PyType_Type, &remote_class, &loop))
    return NULL;

  Py_XSETREF (error_hook, Py_NewRef (error));
  Py_XSETREF (refused_hook, Py_NewRef (refused));
  Py_XSETREF (failure, Py_NewRef (class));
  Py_XSETREF (remote, Py_NewRef (remote_class));
  afrpc_python_loop_set_hook (loop);

  Py_RETURN_NONE;
}

/* check_thread (process): what is used by a thread that may not is a critical warning of the library, which is told earlier
 * here. */
static PyObject *
module_check_thread (PyObject *module,
                     PyObject *object)
{
  GMainContext *entered;
  AfrpcProcess *process;

  if (object == Py_None) /* of a pool that has been destroyed */
    Py_RETURN_NONE;
  process = afrpc_python_get_object (object, AFRPC_TYPE_PROCESS);
  if (process == NULL || !afrpc_python_enter (process, FALSE, &entered))
    return NULL;
  afrpc_python_leave (entered);

  Py_RETURN_NONE;
}

/* set_plain_events (caller): its events are what functions have sent, and no errors. */
static PyObject *
module_set_plain_events (PyObject *module,
                         PyObject *object)
{
  AfrpcCaller *caller = afrpc_python_get_object (object, AFRPC_TYPE_CALLER);

  if (caller == NULL)
    return NULL;
  afrpc_caller_set_plain_events (caller);

  Py_RETURN_NONE;
}

/* tell_tagged_events (process, tag): those that wait in its main context, before everything else that does */
static PyObject *
module_tell_tagged_events (PyObject *module,
                           PyObject *args)
{
  g_autoptr(AfrpcProcess) process = NULL;
  GMainContext *entered;
  PyObject *object;
  const char *tag;

  if (!PyArg_ParseTuple (args, "Os:tell_tagged_events", &object, &tag))
    return NULL;
  process = afrpc_python_get_object (object, AFRPC_TYPE_PROCESS);
  if (process == NULL)
    return NULL;
  g_object_ref (process);
  if (!afrpc_python_enter (process, FALSE, &entered))
    return NULL;

  Py_BEGIN_ALLOW_THREADS
  afrpc_caller_tell_tagged_events (process, tag);
  Py_END_ALLOW_THREADS
  afrpc_python_leave (entered);

  Py_RETURN_NONE;
}

/* poke (): what was just done may be something that a foreign loop has to look at. */
static PyObject *
module_poke (PyObject *module,
             PyObject *unused)
{
  if (!afrpc_python_loop_poke_running ())
    return NULL;

  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
  { "call", (PyCFunction) (void (*) (void)) module_call, METH_FASTCALL, NULL },
  { "check_thread", module_check_thread, METH_O, NULL },
  { "pack", module_pack, METH_O, NULL },
  { "poke", module_poke, METH_NOARGS, NULL },
  { "tell_tagged_events", module_tell_tagged_events, METH_VARARGS, NULL },
  { "unpack", (PyCFunction) (void (*) (void)) module_unpack, METH_FASTCALL, NULL },
  { "make_hooks", (PyCFunction) (void (*) (void)) module_make_hooks, METH_VARARGS | METH_KEYWORDS, NULL },
  { "set_hooks", module_set_hooks, METH_VARARGS, NULL },
  { "set_plain_events", module_set_plain_events, METH_O, NULL },
  { NULL },
};

static struct PyModuleDef module_def = {
  PyModuleDef_HEAD_INIT,
  .m_name = "afrpc._proxy",
  .m_size = -1,
  .m_methods = methods,
};

PyMODINIT_FUNC PyInit__proxy (void);

PyMODINIT_FUNC
PyInit__proxy (void)
{
  PyObject *module, *gobject;

  afrpc_python_str_hooks = PyUnicode_InternFromString ("_hooks");
  gobject = afrpc_python_str_hooks != NULL ? pygobject_init (3, 42, 0) : NULL;
  if (gobject == NULL || !afrpc_python_codec_import ())
    return NULL;
  Py_DECREF (gobject);

  module = PyModule_Create (&module_def);
  if (module != NULL && (afrpc_python_call_register (module) != 0 || afrpc_python_map_register (module) != 0 ||
                         afrpc_python_all_register (module) != 0 || afrpc_python_block_register (module) != 0 ||
                         afrpc_python_waker_register (module) != 0))
    Py_CLEAR (module);

  return module;
}
