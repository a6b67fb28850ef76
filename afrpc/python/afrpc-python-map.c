/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Results of a map, for "for" and "async for". They are converted when they are taken, without PyGObject, whose
 * conversion of a call costs more than the call itself. */
#include "config.h"

#include "afrpc-python-items.h"

#define NO_IMPORT_PYGOBJECT /* the codec has it */
#include <pygobject.h>

#define TURN_US 500     /* workers get something to do so often by who takes results, and blocks */

typedef struct
{
  PyObject_HEAD
  AfrpcMap *map;        /* (nullable): NULL once it was cancelled or is over */
  AfrpcCaller *pool;
  AfrpcPythonItems *items;
  AfrpcPythonType type; /* of what was converted last */
  guint64 typed;        /* the id of the parcel which had that; 0: none */
  gboolean is_converting; /* by that: what converts may take others, and has to leave it alone */
  gint64 turn_at;       /* when that was: monotonic time in microseconds */
  gboolean wants_turn;
  GQueue waiting;       /* (element-type AfrpcPythonCall) (owned): the oldest first; some may not wait any more */
  guint n_waiting;      /* those of them that do, unless they were settled by somebody else */
  GQueue returned;      /* (element-type Returned) (owned): in their order, what was given to who did not get it */
  guint64 n_given;
  GCancellable *wait;   /* (nullable): stops the one wait for all of these */
  gboolean raw;
  gboolean gives_calls;
  gboolean gives_errors;
} Results;

typedef struct
{
  guint64 number;
  PyObject *outcome;
  gboolean is_error;
} Returned;

static PyTypeObject *results_type;

/* Results */

/* Takes the exception that is set as a result, if that is wanted. */
static PyObject *
take_exception (Results *self)
{
  PyObject *type, *result, *traceback;

  if (!self->gives_errors || !PyErr_ExceptionMatches (PyExc_Exception))
    return NULL;

  PyErr_Fetch (&type, &result, &traceback);
  PyErr_NormalizeException (&type, &result, &traceback);
  Py_XDECREF (type);
  Py_XDECREF (traceback);

  return result;
}

static PyObject *
convert_value (AfrpcPythonType         *type,
               AfrpcPythonReader       *reader,
               const AfrpcPythonRecord *record)
{
  const AfrpcLayout *layout = afrpc_python_type_get (type, record->type, record->type_length);

  return layout != NULL ? afrpc_python_read_value (reader, layout, record->data, record->size) :
                          afrpc_python_read_malformed ();
}

/* Of a record. Returns: (nullable): NULL and an exception */
static PyObject *
convert_record (Results            *self,
                AfrpcPythonOutcome *outcome)
{
  PyObject *hooks = afrpc_python_items_get_hooks (self->items);
  AfrpcPythonReader reader = {
    .value = afrpc_python_parcel_get_value (outcome->parcel), .hooks = hooks != Py_None ? hooks : NULL,
  };
  AfrpcPythonRecord record;
  PyObject *value;
  GError *error;

  afrpc_python_record_read (outcome->record, &record);
  if (record.kind == AFRPC_PYTHON_RECORD_ERROR)
    {
      g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (reader.value);
      g_autoptr(GVariant) packed = afrpc_python_record_get_variant (&record, bytes);

      if (packed == NULL)
        return afrpc_python_read_malformed ();
      error = afrpc_map_unpack_error (afrpc_python_parcel_get_call (outcome->parcel), packed);
      return afrpc_python_convert (NULL, error, FALSE, NULL);
    }

  if (self->is_converting)
    {
      AfrpcPythonType type = { 0 };
      PyObject *result = convert_value (&type, &reader, &record);

      afrpc_python_type_clear (&type);
      return result;
    }

  /* What is kept of the type may belong to an answer that is gone, but for the one that it is asked for. */
  if (afrpc_python_parcel_get_id (outcome->parcel) != self->typed)
    self->type.length = 0;
  self->typed = afrpc_python_parcel_get_id (outcome->parcel);
  self->is_converting = TRUE;
  value = convert_value (&self->type, &reader, &record);
  self->is_converting = FALSE;

  return value;
}

/* Of a call, or of what became of it. Returns: (nullable): NULL and an exception: what it failed with */
static PyObject *
convert_call (Results            *self,
              AfrpcPythonOutcome *outcome)
{
  const GError *own = afrpc_python_parcel_get_error (outcome->parcel);
  AfrpcCall *call = afrpc_python_parcel_get_call (outcome->parcel);
  GError *error = NULL;
  GVariant *value;

  if (own != NULL)
    return afrpc_python_convert (NULL, g_error_copy (own), FALSE, NULL);
  if (self->gives_calls)
    return pygobject_new (G_OBJECT (call));

  value = afrpc_call_wait_sync (call, NULL, &error);

  return afrpc_python_convert (value, error, self->raw, afrpc_python_items_get_hooks (self->items));
}

/* Has the exception that is set say what is known of its call. */
static void
tell_outcome (AfrpcPythonOutcome *outcome)
{
  AfrpcCall *call = afrpc_python_parcel_get_call (outcome->parcel);
  PyObject *type, *value, *traceback;

  afrpc_python_tell_call (call);
  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  afrpc_python_tell_started (value, outcome->started);
  PyErr_Restore (type, value, traceback);
}

static gboolean
has_next (Results *self)
{
  return self->returned.length > 0 || afrpc_python_items_has_next (self->items);
}

/* Consumes the reference. */
static void
put_back (Results  *self,
          guint64   number,
          PyObject *outcome,
          gboolean  is_error)
{
  Returned *returned = g_new0 (Returned, 1);
  GList *link = self->returned.head;

  *returned = (Returned) { number, outcome, is_error };
  while (link != NULL && ((Returned *) link->data)->number < number)
    link = link->next;
  g_queue_insert_before (&self->returned, link, returned);
}

static gboolean
take_returned (Results   *self,
               PyObject **result,
               guint64   *number)
{
  Returned *returned = g_queue_pop_head (&self->returned);

  if (returned == NULL)
    return FALSE;

  *number = returned->number;
  *result = returned->is_error ? NULL : returned->outcome;
  if (returned->is_error)
    PyErr_Restore (Py_NewRef (Py_TYPE (returned->outcome)), returned->outcome, PyException_GetTraceback (returned->outcome));
  g_free (returned);

  return TRUE;
}

/* FALSE: there is none. @result: (nullable): what comes next of what is there; NULL and an exception: that is it */
static gboolean
take (Results   *self,
      PyObject **result,
      guint64   *number)
{
  AfrpcPythonOutcome outcome;

  if (G_UNLIKELY (take_returned (self, result, number)))
    return TRUE;
  *number = self->n_given++;
  if (!afrpc_python_items_take (self->items, &outcome))
    return FALSE;

  /* What converts it may take others. */
  *result = outcome.record != NULL ? convert_record (self, &outcome) : convert_call (self, &outcome);
  if (*result == NULL)
    {
      tell_outcome (&outcome);
      *result = take_exception (self);
    }
  self->wants_turn |= afrpc_python_items_release (self->items, &outcome);

  return TRUE;
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
  end (self);
  if (!afrpc_python_items_raise (self->items))
    PyErr_SetNone (stop);
}

/* Sets what taking has failed with. If it is why there are no more, that is raised once. */
static void
raise_failure (Results *self,
               GError  *error) /* (transfer full) */
{
  if (self->map != NULL && afrpc_map_has_ended (self->map))
    end (self);
  afrpc_python_raise_error (error);
}

/* Blocks until there is something, or the end; if there is something, workers get more. FALSE: an exception is set. */
static gboolean
bring (Results *self)
{
  AfrpcPythonBlocked blocked;
  g_autoptr(AfrpcMap) map = NULL;
  GMainContext *entered;
  GError *error = NULL;
  g_autoptr(GPtrArray) none = NULL;
  gboolean ok;

  if (!afrpc_python_enter (afrpc_pool_get_process (AFRPC_POOL (self->pool)), FALSE, &entered))
    return FALSE;

  map = g_object_ref (self->map);
  afrpc_python_block_begin (&blocked, NULL, NULL);
  Py_BEGIN_ALLOW_THREADS
  none = afrpc_map_next_many_sync (map, 1, blocked.stop, &error);
  Py_END_ALLOW_THREADS
  ok = afrpc_python_block_end (&blocked);
  afrpc_python_leave (entered);

  if (!ok)
    {
      g_clear_error (&error);
      return FALSE;
    }
  if (error != NULL)
    {
      raise_failure (self, error);
      return FALSE;
    }

  return TRUE;
}

static PyObject *
results_next (Results *self)
{
  PyObject *result;
  guint64 number;

  if (self->wants_turn && self->map != NULL)
    {
      const gint64 now = g_get_monotonic_time ();

      self->wants_turn = FALSE;
      if (now >= self->turn_at)
        {
          self->turn_at = now + TURN_US;
          if (afrpc_python_items_has_next (self->items) && !bring (self))
            return NULL;
        }
    }
  while (!take (self, &result, &number))
    {
      if (self->map != NULL && afrpc_python_items_are_over (self->items))
        raise_end (self, PyExc_StopIteration);
      if (self->map == NULL || !bring (self))
        return NULL;
    }

  return result;
}

/* Waiting */

static void serve_waiting (Results *self,
                           GError  *error);

/* Whoever has waited was cancelled before he got it: it comes next. */
static void
give_back (AfrpcPythonCall *call)
{
  Results *self = (Results *) call->giver;

  /* That stays as it is. */
  if (PyErr_GivenExceptionMatches (call->outcome, PyExc_StopAsyncIteration))
    return;

  put_back (self, call->number, Py_NewRef (call->outcome), call->state == AFRPC_PYTHON_CALL_FAILED);
  serve_waiting (self, NULL);
}

static void
settle (Results         *self,
        AfrpcPythonCall *call,
        PyObject        *result, /* (nullable) (transfer full) */
        guint64          number)
{
  /* What has converted it may have had it cancelled. */
  if (call->state != AFRPC_PYTHON_CALL_PENDING)
    {
      PyObject *type, *error = result, *traceback;

      if (result == NULL)
        {
          PyErr_Fetch (&type, &error, &traceback);
          PyErr_NormalizeException (&type, &error, &traceback);
          Py_XDECREF (type);
          Py_XDECREF (traceback);
        }
      put_back (self, number, error, result == NULL);
      return;
    }

  call->giver = Py_NewRef (self);
  call->give_back = give_back;
  call->number = number;
  if (result != NULL)
    afrpc_python_call_settle (call, AFRPC_PYTHON_CALL_DONE, result);
  else
    afrpc_python_call_settle_failed (call);
}

static void wait (Results *self);

/* Returns: (nullable): who has waited longest, and still does */
static AfrpcPythonCall *
peek_waiting (Results *self)
{
  AfrpcPythonCall *call;

  while ((call = g_queue_peek_head (&self->waiting)) != NULL && call->state != AFRPC_PYTHON_CALL_PENDING)
    Py_DECREF (g_queue_pop_head (&self->waiting));

  return call;
}

/* Those who wait get what is there, in their order. @error: (transfer full) (nullable): why nothing more comes */
static void
serve_waiting (Results *self,
               GError  *error)
{
  AfrpcPythonCall *call;

  while ((call = peek_waiting (self)) != NULL)
    {
      PyObject *value = NULL;
      guint64 number = G_MAXUINT64;

      if (!has_next (self))
        {
          if (self->map == NULL)
            PyErr_SetNone (PyExc_StopAsyncIteration);
          else if (error != NULL)
            raise_failure (self, g_error_copy (error));
          else if (afrpc_python_items_are_over (self->items))
            raise_end (self, PyExc_StopAsyncIteration);
          else
            break;
        }
      g_queue_pop_head (&self->waiting);
      if (self->n_waiting > 0)
        self->n_waiting--;
      Py_CLEAR (call->canceller);
      if (!PyErr_Occurred ())
        take (self, &value, &number);
      settle (self, call, value, number);
      Py_DECREF (call);
    }
  g_clear_error (&error);
}

static void
brought_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Results *self = data;
  GError *error = NULL;
  g_autoptr(GPtrArray) none = afrpc_map_next_many_finish (AFRPC_MAP (source), result, &error);

  /* Nobody has waited any more, and then somebody else does. */
  if (g_cancellable_is_cancelled (self->wait))
    g_clear_error (&error);
  g_clear_object (&self->wait);
  serve_waiting (self, error);
  wait (self);
  Py_DECREF (self);
  PyGILState_Release (state);
}

/* If somebody waits, and nobody waits for all of them yet. */
static void
wait (Results *self)
{
  AfrpcMap *map;

  if (self->wait != NULL || self->map == NULL || peek_waiting (self) == NULL)
    return;

  self->wait = g_cancellable_new ();
  map = g_object_ref (self->map);
  afrpc_map_next_many_async (map, 1, self->wait, brought_cb, Py_NewRef (self));
  g_object_unref (map);
}

static PyObject *
stop_waiting (PyObject *object,
              PyObject *unused)
{
  Results *self = (Results *) object;

  /* Whoever does not wait any more is still in the queue. */
  if (self->n_waiting > 0 && --self->n_waiting == 0 && self->wait != NULL)
    g_cancellable_cancel (self->wait);

  Py_RETURN_NONE;
}

static PyMethodDef stop_def = { "stop", stop_waiting, METH_NOARGS, NULL };

static PyObject *
results_anext (Results *self)
{
  AfrpcPythonCall *call = afrpc_python_call_new ();
  PyObject *result = NULL;
  guint64 number = G_MAXUINT64;
  GMainContext *entered;

  if (call == NULL)
    return NULL;
  if (peek_waiting (self) == NULL && take (self, &result, &number))
    {
      settle (self, call, result, number);
      return (PyObject *) call;
    }
  if (self->map != NULL && afrpc_python_items_are_over (self->items))
    {
      raise_end (self, PyExc_StopAsyncIteration);
      settle (self, call, NULL, G_MAXUINT64);
      return (PyObject *) call;
    }
  if (self->map == NULL)
    {
      PyErr_SetNone (PyExc_StopAsyncIteration);
      settle (self, call, NULL, G_MAXUINT64);
      return (PyObject *) call;
    }
  if (!afrpc_python_enter (afrpc_pool_get_process (AFRPC_POOL (self->pool)), call->loop != NULL, &entered))
    {
      Py_DECREF (call);
      return NULL;
    }

  call->canceller = PyCFunction_New (&stop_def, (PyObject *) self);
  if (call->canceller != NULL)
    {
      g_queue_push_tail (&self->waiting, Py_NewRef (call));
      self->n_waiting++;
      wait (self);
    }
  else
    Py_CLEAR (call);
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
      if (!afrpc_python_loop_poke_running ())
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
  for (GList *l = self->waiting.head; l != NULL; l = l->next)
    Py_VISIT (l->data);
  for (GList *l = self->returned.head; l != NULL; l = l->next)
    Py_VISIT (((Returned *) l->data)->outcome);

  return self->items != NULL ? afrpc_python_items_traverse (self->items, visit, arg) : 0;
}

static void
clear_waiting (Results *self)
{
  AfrpcPythonCall *call;
  Returned *returned;

  self->n_waiting = 0;
  while ((call = g_queue_pop_head (&self->waiting)) != NULL)
    Py_DECREF (call);
  while ((returned = g_queue_pop_head (&self->returned)) != NULL)
    {
      Py_DECREF (returned->outcome);
      g_free (returned);
    }
}

/* It is garbage: the map is given up when it is gone, at the latest. */
static int
results_clear (Results *self)
{
  clear_waiting (self);
  if (self->items != NULL)
    afrpc_python_items_clear (self->items);

  return 0;
}

static void
results_dealloc (Results *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  if (self->items != NULL)
    afrpc_python_items_abandon (self->items);
  end (self);
  clear_waiting (self);
  g_clear_object (&self->pool);
  g_clear_pointer (&self->items, afrpc_python_items_unref);
  afrpc_python_type_clear (&self->type);
  type->tp_free (self);
  Py_DECREF (type);
}

/* Whether calls that are made so may travel together: nothing is wanted of each by itself. */
static gboolean
may_chunk (AfrpcCallOptions *options)
{
  return afrpc_call_options_get_timeout_ms (options) < 0 && afrpc_call_options_get_execution_timeout_ms (options) == 0 &&
         afrpc_call_options_get_fds (options) == NULL && afrpc_call_options_get_affinity (options) == NULL;
}

/* map (pool, iterable, star, signature, timeout_ms, cancellable, ordered, raw, calls, return_exceptions, hooks, more) */
static PyObject *
module_map (PyObject        *module,
            PyObject *const *args,
            Py_ssize_t       n_args)
{
  AfrpcPythonOptions options = { .progress = Py_None, .fds = Py_None };
  g_autoptr(AfrpcCallOptions) made = NULL;
  AfrpcPythonItemsConfig config = { .iterable = args[1] };
  AfrpcCaller *pool;
  Results *self;

  if (n_args != 12)
    {
      PyErr_BadArgument ();
      return NULL;
    }
  pool = afrpc_python_get_object (args[0], AFRPC_TYPE_POOL);
  if (pool == NULL)
    return NULL;
  if (!afrpc_python_option_get_cancellable (args[5], &options.cancellable))
    return NULL;
  options.timeout_ms = args[4];
  options.more = args[11];
  if (!afrpc_python_make_options (&options, args[10], &made))
    return NULL;

  self = (Results *) results_type->tp_alloc (results_type, 0);
  if (self == NULL)
    return NULL;

  self->pool = g_object_ref (pool);
  self->raw = args[7] == Py_True;
  self->gives_calls = args[8] == Py_True;
  self->gives_errors = args[9] == Py_True;
  config.is_star = args[2] == Py_True;
  config.signature = args[3];
  config.hooks = args[10];
  config.is_ordered = args[6] == Py_True;
  config.is_idempotent = made != NULL && afrpc_call_options_get_idempotent (made);
  config.may_chunk = args[3] == Py_None && args[10] != AFRPC_PYTHON_PICKLED && !self->raw && !self->gives_calls &&
                     (made == NULL || may_chunk (made));
  self->items = afrpc_python_items_new (&config);
  if (self->items == NULL)
    {
      Py_DECREF (self);
      return NULL;
    }

  self->map = afrpc_pool_map_parcels (AFRPC_POOL (pool), &afrpc_python_items_funcs, afrpc_python_items_ref (self->items),
                                     config.may_chunk ? AFRPC_PYTHON_HOST_NAME : NULL, made, options.cancellable);

  return (PyObject *) self;
}

PyDoc_STRVAR (results_doc, "Results of many calls, for \"for\" or \"async for\". What a call fails with is raised in its "
              "turn, and the next one can be asked for. What ends them before their time is raised once. Dropping it gives "
              "up what is left.");

static PyMethodDef results_methods[] = {
  { "cancel", (PyCFunction) results_cancel, METH_NOARGS, "cancel($self, /)\n--\n\nGives up what is under way, and makes no "
    "more calls." },
  { NULL },
};

static PyObject *
results_repr (Results *self)
{
  g_autofree char *function = afrpc_python_dup_function (self->pool);

  return PyUnicode_FromFormat ("<results of %s in Afrpc.Pool%s>", function, self->map == NULL ? ", over" : "");
}

static PyType_Slot results_slots[] = {
  { Py_tp_doc, (void *) results_doc },
  { Py_tp_repr, results_repr },
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
