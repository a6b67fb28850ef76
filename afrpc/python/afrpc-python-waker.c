/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A function that the thread of a main context calls when another thread asks for it: however often that is before, it is
 * called once. */
#include "config.h"

#include "afrpc-python-call.h"

typedef struct
{
  GSource source;
  PyObject *function; /* (nullable): once nobody has the waker any more */
} WakerSource;

typedef struct
{
  PyObject_HEAD
  GSource *source;
} Waker;

static gboolean
waker_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     user_data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *function = Py_XNewRef (((WakerSource *) source)->function);
  PyObject *result = NULL;

  g_source_set_ready_time (source, -1);
  if (function != NULL)
    {
      result = PyObject_CallNoArgs (function);
      if (result == NULL)
        PyErr_WriteUnraisable (function);
      Py_XDECREF (result);
      Py_DECREF (function);
    }
  PyGILState_Release (state);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs waker_funcs = {
  .dispatch = waker_dispatch,
};

static PyObject *
waker_new (PyTypeObject *type,
           PyObject     *args,
           PyObject     *keywords)
{
  static const char *const names[] = { "function", NULL };
  g_autoptr(GMainContext) context = NULL;
  PyObject *function;
  Waker *self;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "O:Waker", (char **) names, &function))
    return NULL;
  self = (Waker *) type->tp_alloc (type, 0);
  if (self == NULL)
    return NULL;

  context = g_main_context_ref_thread_default ();
  self->source = g_source_new (&waker_funcs, sizeof (WakerSource));
  ((WakerSource *) self->source)->function = Py_NewRef (function);
  g_source_set_can_recurse (self->source, TRUE);
  g_source_set_static_name (self->source, "[afrpc] waker");
  g_source_attach (self->source, context);

  return (PyObject *) self;
}

static PyObject *
waker_wake (Waker    *self,
            PyObject *unused)
{
  g_source_set_ready_time (self->source, 0);

  Py_RETURN_NONE;
}

static int
waker_traverse (Waker     *self,
                visitproc  visit,
                void      *arg)
{
  Py_VISIT (Py_TYPE (self));
  if (self->source != NULL)
    Py_VISIT (((WakerSource *) self->source)->function);

  return 0;
}

static int
waker_clear (Waker *self)
{
  if (self->source != NULL)
    Py_CLEAR (((WakerSource *) self->source)->function);

  return 0;
}

static void
waker_dealloc (Waker *self)
{
  PyTypeObject *type = Py_TYPE (self);

  PyObject_GC_UnTrack (self);
  waker_clear (self);
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  type->tp_free (self);
  Py_DECREF (type);
}

static PyMethodDef waker_methods[] = {
  { "wake", (PyCFunction) waker_wake, METH_NOARGS,
    "wake($self, /)\n--\n\nHas the function called by the thread of the main context. May be called by any thread." },
  { NULL },
};

static PyType_Slot waker_slots[] = {
  { Py_tp_new, waker_new },           { Py_tp_traverse, waker_traverse }, { Py_tp_clear, waker_clear },
  { Py_tp_dealloc, waker_dealloc },   { Py_tp_methods, waker_methods },   { 0, NULL },
};

static PyType_Spec waker_spec = {
  .name = "afrpc._proxy.Waker",
  .basicsize = sizeof (Waker),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = waker_slots,
};

int
afrpc_python_waker_register (PyObject *module)
{
  PyObject *type = PyType_FromSpec (&waker_spec);
  int status = type != NULL ? PyModule_AddObjectRef (module, "Waker", type) : -1;

  Py_XDECREF (type);

  return status;
}
