/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An asyncio loop as one source of the main context, whoever iterates that: its descriptors are those of its
 * selector, which is itself one descriptor; its callbacks and timers are looked at before each poll. */
#include "config.h"

#include "afrpc-python-worker.h"

#include <math.h>

typedef struct _MainContextSource MainContextSource;

typedef struct
{
  GSource source;
  gpointer tag;
  gboolean polled;           /* the selector has something */
  MainContextSource *object; /* (nullable): until that is closed, which any thread may do that has the GIL */
} LoopSource;

struct _MainContextSource
{
  PyObject_HEAD
  PyObject *loop;          /* (nullable): until it is closed */
  PyObject *ready;         /* (nullable): its callbacks that are due */
  GSource *source;         /* (nullable) */
  GMainContext *context;   /* (nullable) */
  guint n_iterating;       /* iterate() runs, and raises what a callback raises */
  PyObject *error_type, *error, *error_traceback;
};

static PyTypeObject *source_type;
static PyObject *str_scheduled, *str_when, *str_dispatch;

/* @self: (nullable)
 * Returns: microseconds of the monotonic clock when there is something to do: 0 for now, -1 for never */
static gint64
get_ready_time (MainContextSource *self)
{
  PyObject *scheduled, *when = NULL;
  gint64 time = -1;

  if (self == NULL)
    return -1;
  if (PyObject_Length (self->ready) > 0)
    return 0;

  /* The list is another one from time to time. */
  scheduled = PyObject_GetAttr (self->loop, str_scheduled);
  if (scheduled != NULL && PyList_Check (scheduled) && PyList_GET_SIZE (scheduled) > 0)
    when = PyObject_GetAttr (PyList_GET_ITEM (scheduled, 0), str_when);
  if (when != NULL)
    time = (gint64) ceil (CLAMP (PyFloat_AsDouble (when), 0, 1e12) * G_USEC_PER_SEC);
  Py_XDECREF (when);
  Py_XDECREF (scheduled);
  PyErr_Clear ();

  return time;
}

static gboolean
loop_source_prepare (GSource *source,
                     int     *timeout_ms)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  gint64 time;

  if (afrpc_python_host_is_serving ())
    afrpc_python_host_check_signals ();
  time = get_ready_time (((LoopSource *) source)->object);
  PyGILState_Release (state);

  *timeout_ms = -1;
  if (time > 0)
    {
      const gint64 us = time - g_get_monotonic_time ();

      *timeout_ms = us <= 0 ? 0 : (int) MIN ((us + 999) / 1000, G_MAXINT);
    }
  else if (time == 0)
    *timeout_ms = 0;

  return *timeout_ms == 0;
}

static gboolean
loop_source_check (GSource *source)
{
  LoopSource *self = (LoopSource *) source;
  int timeout_ms;

  self->polled = g_source_query_unix_fd (source, self->tag) != 0;

  return self->polled || loop_source_prepare (source, &timeout_ms);
}

static gboolean
loop_source_dispatch (GSource     *source,
                      GSourceFunc  callback,
                      gpointer     user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  MainContextSource *self = ((LoopSource *) source)->object;
  PyObject *result;

  if (self == NULL)
    {
      PyGILState_Release (state);
      return G_SOURCE_REMOVE;
    }

  Py_INCREF (self);
  result = PyObject_CallMethodNoArgs (self->loop, str_dispatch);
  if (result == NULL && self->n_iterating > 0 && self->error_type == NULL)
    PyErr_Fetch (&self->error_type, &self->error, &self->error_traceback);
  else if (result == NULL)
    {
      if (afrpc_python_host_is_serving ())
        afrpc_python_host_check_exit ();
      PyErr_Print (); /* exits if it was asked to, as it is with callbacks of PyGObject */
    }
  Py_XDECREF (result);
  Py_DECREF (self);
  PyGILState_Release (state);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs loop_source_funcs = {
  loop_source_prepare,
  loop_source_check,
  loop_source_dispatch,
  NULL,
};

static PyObject *
source_new (PyTypeObject *type,
            PyObject     *args,
            PyObject     *keywords)
{
  static const char *const names[] = { "loop", "ready", "fd", NULL };
  PyObject *loop, *ready;
  MainContextSource *self;
  int fd;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "OOi:MainContextSource", (char **) names, &loop, &ready, &fd))
    return NULL;
  self = (MainContextSource *) type->tp_alloc (type, 0);
  if (self == NULL)
    return NULL;

  self->loop = Py_NewRef (loop);
  self->ready = Py_NewRef (ready);
  self->context = g_main_context_ref_thread_default ();
  self->source = g_source_new (&loop_source_funcs, sizeof (LoopSource));
  ((LoopSource *) self->source)->object = self;
  ((LoopSource *) self->source)->tag = g_source_add_unix_fd (self->source, fd, G_IO_IN);
  g_source_set_static_name (self->source, "[afrpc] asyncio");
  g_source_attach (self->source, self->context);

  return (PyObject *) self;
}

static int
source_traverse (MainContextSource *self,
                 visitproc          visit,
                 void              *arg)
{
  Py_VISIT (Py_TYPE (self));
  Py_VISIT (self->loop);
  Py_VISIT (self->ready);
  Py_VISIT (self->error_type);
  Py_VISIT (self->error);
  Py_VISIT (self->error_traceback);

  return 0;
}

static int
source_clear (MainContextSource *self)
{
  if (self->source != NULL)
    {
      ((LoopSource *) self->source)->object = NULL;
      g_source_destroy (self->source);
      g_clear_pointer (&self->source, g_source_unref);
    }
  g_clear_pointer (&self->context, g_main_context_unref);
  Py_CLEAR (self->loop);
  Py_CLEAR (self->ready);
  Py_CLEAR (self->error_type);
  Py_CLEAR (self->error);
  Py_CLEAR (self->error_traceback);

  return 0;
}

static void
source_dealloc (MainContextSource *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  source_clear (self);
  type->tp_free (self);
  Py_DECREF (type);
}

static PyObject *
source_close (MainContextSource *self,
              PyObject          *unused)
{
  source_clear (self);

  Py_RETURN_NONE;
}

static PyObject *
source_iterate (MainContextSource *self,
                PyObject          *may_block)
{
  g_autoptr(GMainContext) context = NULL;
  gboolean block = PyObject_IsTrue (may_block);

  if (self->context == NULL)
    {
      PyErr_SetString (PyExc_RuntimeError, "the source is closed");
      return NULL;
    }

  context = g_main_context_ref (self->context);
  self->n_iterating++;
  Py_BEGIN_ALLOW_THREADS
  g_main_context_iteration (context, block);
  Py_END_ALLOW_THREADS
  self->n_iterating--;

  if (self->error_type != NULL)
    {
      PyErr_Restore (g_steal_pointer (&self->error_type), g_steal_pointer (&self->error),
                     g_steal_pointer (&self->error_traceback));
      return NULL;
    }

  /* If a signal has ended the wait, Python looks at that itself from here on. */
  Py_RETURN_NONE;
}

/* The thread that runs the loop may be another than that which made it. */
static PyObject *
source_enter (MainContextSource *self,
              PyObject          *unused)
{
  if (self->context == NULL || !g_main_context_acquire (self->context))
    {
      PyErr_SetString (PyExc_RuntimeError, self->context == NULL ? "the source is closed" :
                                             "another thread runs the main context that the loop belongs to");
      return NULL;
    }

  g_main_context_push_thread_default (self->context);
  g_main_context_release (self->context); /* it has been acquired by that as well */

  Py_RETURN_NONE;
}

static PyObject *
source_leave (MainContextSource *self,
              PyObject          *unused)
{
  g_main_context_pop_thread_default (self->context);

  Py_RETURN_NONE;
}

/* Whether the selector has something, which is asked once. */
static PyObject *
source_take_polled (MainContextSource *self,
                    PyObject          *unused)
{
  LoopSource *source = (LoopSource *) self->source;
  const gboolean polled = source != NULL && source->polled;

  if (source != NULL)
    source->polled = FALSE;

  return PyBool_FromLong (polled);
}

PyDoc_STRVAR (source_doc, "Drives an asyncio loop from the thread's default main context.");

static PyMethodDef source_methods[] = {
  { "close", (PyCFunction) source_close, METH_NOARGS, "close($self, /)\n--\n\nEnds it." },
  { "iterate", (PyCFunction) source_iterate, METH_O,
    "iterate($self, may_block, /)\n--\n\nRuns one iteration of the main context." },
  { "enter", (PyCFunction) source_enter, METH_NOARGS,
    "enter($self, /)\n--\n\nHas its main context be the default one of this thread until leave()." },
  { "leave", (PyCFunction) source_leave, METH_NOARGS, "leave($self, /)\n--\n\nEnds what enter() has begun." },
  { "take_polled", (PyCFunction) source_take_polled, METH_NOARGS, NULL },
  { NULL },
};

static PyType_Slot source_slots[] = {
  { Py_tp_doc, (void *) source_doc },      { Py_tp_new, source_new },
  { Py_tp_traverse, source_traverse },     { Py_tp_clear, source_clear },
  { Py_tp_dealloc, source_dealloc },       { Py_tp_methods, source_methods },
  { 0, NULL },
};

static PyType_Spec source_spec = {
  .name = "afrpc._afrpc.MainContextSource",
  .basicsize = sizeof (MainContextSource),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = source_slots,
};

int
afrpc_python_source_register (PyObject *module)
{
  str_scheduled = PyUnicode_InternFromString ("_scheduled");
  str_when = PyUnicode_InternFromString ("_when");
  str_dispatch = PyUnicode_InternFromString ("_dispatch");
  source_type = (PyTypeObject *) PyType_FromSpec (&source_spec);
  if (str_scheduled == NULL || str_when == NULL || str_dispatch == NULL || source_type == NULL)
    return -1;

  return PyModule_AddObjectRef (module, "MainContextSource", (PyObject *) source_type);
}
