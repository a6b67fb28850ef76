/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Results of a map, for "for" and "async for". Inputs come from an iterator of Python, and results are converted when they
 * are taken, without PyGObject, whose conversion of a call costs more than the call itself. */
#include "config.h"

#include "afrpc-python-codec.h"
#include "afrpc-python-proxy.h"

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

#define BATCH 1000u /* results that are brought at once */

/* Where the arguments come from. The map owns one reference to it, the results another one. */
typedef struct
{
  guint ref_count;
  PyObject *iterator;
  PyObject *signature;  /* None, or a str */
  PyObject *hooks;
  gboolean is_star;     /* each input is all arguments */
  PyObject *type, *value, *traceback; /* (nullable): what was raised instead of another input */
} Source;

typedef struct
{
  PyObject_HEAD
  AfrpcMap *map;        /* (nullable): NULL once it was cancelled or is over */
  AfrpcCaller *pool;
  Source *source;
  GPtrArray *calls;     /* (nullable): that were brought, and not taken; the next one is the last */
  guint n_waiting;      /* for the next batch */
  PyObject *hooks;
  gboolean raw;
  gboolean gives_calls;
  gboolean gives_errors;
} Results;

/* Waits for a batch. */
typedef struct
{
  Results *results;
  AfrpcPythonCall *call;
  GCancellable *cancellable;
} Waiting;

static PyTypeObject *results_type;

/* Inputs */

static void
source_unref (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Source *self = data;

  if (--self->ref_count == 0)
    {
      Py_XDECREF (self->iterator);
      Py_XDECREF (self->signature);
      Py_XDECREF (self->hooks);
      Py_XDECREF (self->type);
      Py_XDECREF (self->value);
      Py_XDECREF (self->traceback);
      g_free (self);
    }
  PyGILState_Release (state);
}

/* Returns: (transfer full) (nullable): NULL and an exception, or NULL alone: there are no more */
static GVariant *
make_next (Source *self)
{
  PyObject *input = PyIter_Next (self->iterator);
  PyObject *args = NULL;
  GVariant *value = NULL;

  if (input == NULL)
    return NULL;

  if (!self->is_star)
    args = PyTuple_Pack (1, input);
  else
    args = PyTuple_CheckExact (input) ? Py_NewRef (input) : PySequence_Tuple (input);
  Py_DECREF (input);
  if (args != NULL)
    value = afrpc_python_pack_call (args, self->signature, self->hooks);
  Py_XDECREF (args);

  return value;
}

static GVariant *
next_cb (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Source *self = data;
  GVariant *value = make_next (self);

  if (value == NULL && PyErr_Occurred ())
    PyErr_Fetch (&self->type, &self->value, &self->traceback);
  PyGILState_Release (state);

  return value;
}

/* Results */

/* Returns: (nullable): NULL and an exception: what the call failed with */
static PyObject *
convert_call (Results   *self,
              AfrpcCall *call)
{
  GError *error = NULL;
  GVariant *value;
  PyObject *result;

  if (self->gives_calls)
    return pygobject_new (G_OBJECT (call));

  value = afrpc_call_wait_sync (call, NULL, &error);
  result = afrpc_python_convert (value, error, self->raw, self->hooks);
  if (result == NULL)
    afrpc_python_tell_call (call);
  if (result == NULL && self->gives_errors && PyErr_ExceptionMatches (PyExc_Exception))
    {
      PyObject *type, *traceback;

      PyErr_Fetch (&type, &result, &traceback);
      PyErr_NormalizeException (&type, &result, &traceback);
      Py_XDECREF (type);
      Py_XDECREF (traceback);
    }

  return result;
}

/* Returns: (nullable): what comes next of what was brought; NULL and an exception: that is it. FALSE: there is none. */
static gboolean
take (Results   *self,
      PyObject **result)
{
  g_autoptr(GPtrArray) calls = self->calls != NULL ? g_ptr_array_ref (self->calls) : NULL;

  if (calls == NULL)
    return FALSE;

  /* What converts it may take others. */
  *result = NULL;
  if (calls->len == 1)
    {
      g_clear_pointer (&self->calls, g_ptr_array_unref);
      *result = convert_call (self, calls->pdata[0]);
    }
  else
    {
      AfrpcCall *call = g_ptr_array_steal_index (calls, calls->len - 1);
      PyObject *converted = convert_call (self, call);

      g_ptr_array_add (calls, call);
      g_ptr_array_remove_index (calls, calls->len - 1);
      *result = converted;
    }

  return TRUE;
}

/* @calls: (transfer full): those that were brought, behind those that were before. */
static void
keep (Results   *self,
      GPtrArray *calls)
{
  for (guint i = 0; i < calls->len / 2; i++)
    {
      gpointer call = calls->pdata[i];

      calls->pdata[i] = calls->pdata[calls->len - 1 - i];
      calls->pdata[calls->len - 1 - i] = call;
    }
  if (self->calls != NULL)
    g_ptr_array_extend_and_steal (calls, g_steal_pointer (&self->calls));
  if (calls->len > 0)
    self->calls = calls;
  else
    g_ptr_array_unref (calls);
}

static void
end (Results *self)
{
  AfrpcMap *map = g_steal_pointer (&self->map);

  if (map == NULL)
    return;

  Py_BEGIN_ALLOW_THREADS
  g_object_unref (map);
  Py_END_ALLOW_THREADS
}

/* There are no more: sets what is raised then. */
static void
raise_end (Results  *self,
           PyObject *stop)
{
  Source *source = self->source;

  end (self);
  if (source->type != NULL)
    PyErr_Restore (g_steal_pointer (&source->type), g_steal_pointer (&source->value), g_steal_pointer (&source->traceback));
  else
    PyErr_SetNone (stop);
}

/* Blocks until there is something. FALSE: an exception is set. */
static gboolean
bring (Results *self)
{
  g_autoptr(GCancellable) stop = g_cancellable_new ();
  AfrpcPythonBlocked blocked = { .stop = stop, .outer = afrpc_python_blocked };
  g_autoptr(AfrpcMap) map = NULL;
  GMainContext *entered;
  GError *error = NULL;
  GPtrArray *calls;

  if (!afrpc_python_enter (afrpc_pool_get_process (AFRPC_POOL (self->pool)), FALSE, &entered))
    return FALSE;

  map = g_object_ref (self->map);
  afrpc_python_blocked = &blocked;
  Py_BEGIN_ALLOW_THREADS
  calls = afrpc_map_next_many_sync (map, BATCH, stop, &error);
  Py_END_ALLOW_THREADS
  afrpc_python_blocked = blocked.outer;
  afrpc_python_leave (entered);

  if (calls != NULL)
    {
      const gboolean is_over = calls->len == 0;

      keep (self, calls);
      if (is_over && blocked.type == NULL)
        {
          raise_end (self, PyExc_StopIteration);
          return FALSE;
        }
    }
  if (blocked.type != NULL)
    {
      g_clear_error (&error);
      PyErr_Restore (blocked.type, blocked.value, blocked.traceback);
      return FALSE;
    }
  if (error != NULL)
    {
      afrpc_python_raise_error (error);
      return FALSE;
    }

  return TRUE;
}

static PyObject *
results_next (Results *self)
{
  PyObject *result;

  if (take (self, &result))
    return result;
  if (self->map == NULL)
    return NULL;

  return bring (self) && take (self, &result) ? result : NULL;
}

/* Waiting */

static void
settle (AfrpcPythonCall *call,
        PyObject        *result) /* (nullable) (transfer full) */
{
  if (result != NULL)
    afrpc_python_call_settle (call, AFRPC_PYTHON_CALL_DONE, result);
  else
    afrpc_python_call_settle_failed (call);
}

static void
brought_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Waiting *waiting = data;
  Results *self = waiting->results;
  AfrpcPythonCall *call = waiting->call;
  GError *error = NULL;
  GPtrArray *calls = afrpc_map_next_many_finish (AFRPC_MAP (source), result, &error);
  const gboolean is_over = calls != NULL && calls->len == 0;
  PyObject *value = NULL;

  self->n_waiting--;
  if (calls != NULL)
    keep (self, calls);
  /* It may have been cancelled meanwhile: then the next one gets what has come. */
  if (call->state != AFRPC_PYTHON_CALL_PENDING)
    g_clear_error (&error);
  else if (error != NULL)
    {
      afrpc_python_raise_error (error);
      settle (call, NULL);
    }
  else if (is_over)
    {
      raise_end (self, PyExc_StopAsyncIteration);
      settle (call, NULL);
    }
  else if (take (self, &value))
    settle (call, value);
  else
    settle (call, NULL);
  g_object_unref (waiting->cancellable);
  g_free (waiting);
  Py_DECREF (call);
  Py_DECREF (self);
  PyGILState_Release (state);
}

static void
cancellable_free (PyObject *capsule)
{
  g_object_unref (PyCapsule_GetPointer (capsule, NULL));
}

static PyObject *
stop_waiting (PyObject *capsule,
              PyObject *unused)
{
  g_cancellable_cancel (PyCapsule_GetPointer (capsule, NULL));

  Py_RETURN_NONE;
}

static PyMethodDef stop_def = { "stop", stop_waiting, METH_NOARGS, NULL };

/* Has @call, which waits, stop to when it is cancelled. */
static gboolean
set_canceller (AfrpcPythonCall *call,
               GCancellable    *cancellable)
{
  PyObject *capsule = PyCapsule_New (g_object_ref (cancellable), NULL, cancellable_free);

  if (capsule != NULL)
    call->canceller = PyCFunction_New (&stop_def, capsule);
  Py_XDECREF (capsule);

  return call->canceller != NULL;
}

static PyObject *
results_anext (Results *self)
{
  AfrpcPythonCall *call = afrpc_python_call_new ();
  PyObject *result = NULL;
  GMainContext *entered;
  Waiting *waiting;

  if (call == NULL)
    return NULL;
  if (take (self, &result))
    {
      settle (call, result);
      return (PyObject *) call;
    }
  if (self->map == NULL)
    {
      PyErr_SetNone (PyExc_StopAsyncIteration);
      settle (call, NULL);
      return (PyObject *) call;
    }
  if (!afrpc_python_enter (afrpc_pool_get_process (AFRPC_POOL (self->pool)), call->loop != NULL, &entered))
    {
      Py_DECREF (call);
      return NULL;
    }

  waiting = g_new0 (Waiting, 1);
  waiting->results = (Results *) Py_NewRef (self);
  waiting->call = (AfrpcPythonCall *) Py_NewRef (call);
  waiting->cancellable = g_cancellable_new ();
  if (set_canceller (call, waiting->cancellable))
    {
      /* The others come one by one, so that each gets what it has waited for. */
      const guint n = self->n_waiting++ > 0 ? 1 : BATCH;
      AfrpcMap *map = g_object_ref (self->map);
      GCancellable *cancellable = waiting->cancellable;

      afrpc_map_next_many_async (map, n, cancellable, brought_cb, waiting);
      g_object_unref (map);
    }
  else
    {
      g_object_unref (waiting->cancellable);
      Py_DECREF (waiting->results);
      Py_DECREF (waiting->call);
      g_free (waiting);
      Py_CLEAR (call);
    }
  afrpc_python_leave (entered);
  if (call != NULL && !afrpc_python_call_poke (call))
    Py_CLEAR (call);

  return (PyObject *) call;
}

static PyObject *
results_cancel (Results  *self,
                PyObject *unused)
{
  if (self->map != NULL)
    {
      g_autoptr(AfrpcMap) map = g_object_ref (self->map);

      Py_BEGIN_ALLOW_THREADS
      afrpc_map_cancel (map);
      Py_END_ALLOW_THREADS
      if (!afrpc_python_call_poke_running ())
        return NULL;
    }

  Py_RETURN_NONE;
}

static int
results_traverse (Results   *self,
                  visitproc  visit,
                  void      *arg)
{
  Py_VISIT (Py_TYPE (self));
  Py_VISIT (self->hooks);

  return 0;
}

static int
results_clear (Results *self)
{
  Py_CLEAR (self->hooks);

  return 0;
}

static void
results_dealloc (Results *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  end (self);
  results_clear (self);
  g_clear_pointer (&self->calls, g_ptr_array_unref);
  g_clear_object (&self->pool);
  if (self->source != NULL)
    source_unref (self->source);
  type->tp_free (self);
  Py_DECREF (type);
}

/* map (pool, iterable, star, signature, timeout_ms, cancellable, ordered, raw, calls, return_exceptions, hooks, more) */
static PyObject *
module_map (PyObject        *module,
            PyObject *const *args,
            Py_ssize_t       n_args)
{
  AfrpcPythonOptions options = { .progress = Py_None, .fds = Py_None };
  g_autoptr(AfrpcCallOptions) made = NULL;
  AfrpcCaller *pool;
  Results *self;
  Source *source;

  if (n_args != 12)
    {
      PyErr_BadArgument ();
      return NULL;
    }
  pool = afrpc_python_get_object (args[0], AFRPC_TYPE_POOL);
  if (pool == NULL)
    return NULL;
  if (args[5] != Py_None && (options.cancellable = afrpc_python_peek_object (args[5], G_TYPE_CANCELLABLE)) == NULL)
    {
      afrpc_python_option_refuse ("cancellable", "a Gio.Cancellable", args[5]);
      return NULL;
    }
  options.timeout_ms = args[4];
  options.more = args[11];
  if (!afrpc_python_make_options (&options, args[10], &made))
    return NULL;

  source = g_new0 (Source, 1);
  source->ref_count = 1;
  source->iterator = PyObject_GetIter (args[1]);
  source->signature = Py_NewRef (args[3]);
  source->hooks = Py_NewRef (args[10]);
  source->is_star = args[2] == Py_True;
  self = source->iterator != NULL ? (Results *) results_type->tp_alloc (results_type, 0) : NULL;
  if (self == NULL)
    {
      source_unref (source);
      return NULL;
    }

  self->source = source;
  source->ref_count++;
  self->pool = g_object_ref (pool);
  self->hooks = Py_NewRef (args[10]);
  self->raw = args[7] == Py_True;
  self->gives_calls = args[8] == Py_True;
  self->gives_errors = args[9] == Py_True;
  self->map = afrpc_pool_map (AFRPC_POOL (pool), next_cb, source, source_unref, made, options.cancellable,
                              args[6] == Py_True ? AFRPC_MAP_ORDERED : AFRPC_MAP_UNORDERED);

  return (PyObject *) self;
}

PyDoc_STRVAR (results_doc, "Results of many calls, for \"for\" or \"async for\". What a call fails with is raised in its "
              "turn, and the next one can be asked for. Dropping it gives up what is left.");

static PyMethodDef results_methods[] = {
  { "cancel", (PyCFunction) results_cancel, METH_NOARGS, "cancel($self, /)\n--\n\nGives up what is under way, and makes no "
    "more calls." },
  { NULL },
};

static PyType_Slot results_slots[] = {
  { Py_tp_doc, (void *) results_doc },
  { Py_tp_traverse, results_traverse },
  { Py_tp_clear, results_clear },
  { Py_tp_dealloc, results_dealloc },
  { Py_tp_methods, results_methods },
  { Py_tp_iter, PyObject_SelfIter },
  { Py_tp_iternext, results_next },
  { Py_am_aiter, PyObject_SelfIter },
  { Py_am_anext, results_anext },
  { 0, NULL },
};

static PyType_Spec results_spec = {
  .name = "afrpc._proxy.Results",
  .basicsize = sizeof (Results),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = results_slots,
};

static PyMethodDef map_methods[] = {
  { "map", (PyCFunction) (void (*) (void)) module_map, METH_FASTCALL, NULL },
  { NULL },
};

int
afrpc_python_map_register (PyObject *module)
{
  results_type = (PyTypeObject *) PyType_FromSpec (&results_spec);
  if (results_type == NULL || PyModule_AddFunctions (module, map_methods) != 0)
    return -1;

  return PyModule_AddObjectRef (module, "Results", (PyObject *) results_type);
}
