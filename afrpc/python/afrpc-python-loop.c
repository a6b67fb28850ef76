/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The loop of asyncio that runs in a thread, and whether it looks at the main context; and which main contexts are driven by
 * loops that do not have them all the time. */
#include "config.h"

#include "afrpc-python-call-private.h"

static PyTypeObject *driving_type; /* (nullable): of loops that do so by themselves */
static PyObject *loop_hook;        /* (nullable): sees to it that a foreign loop drives the main context */
static PyObject *get_running_loop; /* (nullable): of asyncio, once that is there */
static PyObject *str_asyncio, *str_is_running;

/* A loop that drives a main context from outside. It takes that for moments only, so that another thread could have it
 * between these, and what the loop's thread does next would fail. */
typedef struct
{
  GMainContext *context; /* (unowned): compared only, which says something while the loop runs, and no longer */
  GThread *thread;       /* (unowned): the same */
  PyObject *loop;        /* a weak reference */
} Driver;

static GPtrArray *drivers; /* (element-type Driver), in the order in which they came */

/* The loop that runs in this thread, or NULL without an exception: borrowed. */
PyObject *
afrpc_python_loop_peek (void)
{
  PyObject *loop;

  if (get_running_loop == NULL)
    {
      PyObject *asyncio = PyDict_GetItem (PyImport_GetModuleDict (), str_asyncio);

      /* While it is being imported, nothing of it runs. */
      if (asyncio != NULL)
        get_running_loop = PyObject_GetAttrString (asyncio, "_get_running_loop");
      PyErr_Clear ();
      if (get_running_loop == NULL)
        return NULL;
    }

  loop = PyObject_CallNoArgs (get_running_loop);
  if (loop == NULL)
    PyErr_Clear ();
  else
    Py_DECREF (loop); /* the thread has it */

  return loop != Py_None ? loop : NULL;
}

/* A loop that is not of this package may not know of the main context. */
gboolean
afrpc_python_loop_poke (PyObject *loop)
{
  PyObject *result;

  if (loop == NULL || loop_hook == NULL || Py_IS_TYPE (loop, driving_type))
    return TRUE;
  result = PyObject_CallOneArg (loop_hook, loop);
  if (result == Py_True)
    Py_XSETREF (driving_type, (PyTypeObject *) Py_NewRef (Py_TYPE (loop)));
  Py_XDECREF (result);

  return result != NULL;
}

/* Has the loop that runs in this thread, if any, look at the main context. */
gboolean
afrpc_python_loop_poke_running (void)
{
  return afrpc_python_loop_poke (afrpc_python_loop_peek ());
}

/* @hook: called with a loop that may not drive the main context, again and again unless it returns True */
void
afrpc_python_loop_set_hook (PyObject *hook)
{
  Py_XSETREF (loop_hook, Py_NewRef (hook));
}

static void
driver_free (gpointer data)
{
  Driver *self = data;

  Py_DECREF (self->loop);
  g_free (self);
}

/* @reference: of a loop */
static gboolean
is_running (PyObject *reference)
{
  PyObject *loop = PyObject_CallNoArgs (reference);
  PyObject *result = loop != NULL && loop != Py_None ? PyObject_CallMethodNoArgs (loop, str_is_running) : NULL;
  const gboolean running = result != NULL && PyObject_IsTrue (result) == 1;

  Py_XDECREF (loop);
  Py_XDECREF (result);
  PyErr_Clear ();

  return running;
}

/* Whether one of the first drivers drives @context for another thread, whose loop runs now. */
static gboolean
is_driven_elsewhere (GMainContext *context,
                     guint         n)
{
  GThread *here = g_thread_self ();
  g_autoptr(GPtrArray) others = NULL;
  gboolean found = FALSE;

  for (guint i = 0; i < n; i++)
    {
      const Driver *driver = g_ptr_array_index (drivers, i);

      if (G_LIKELY (driver->context != context || driver->thread == here))
        continue;
      if (others == NULL)
        others = g_ptr_array_new_with_free_func ((GDestroyNotify) Py_DecRef);
      g_ptr_array_add (others, Py_NewRef (driver->loop));
    }
  /* What is asked is code in Python: the array may be another one afterwards. */
  for (guint i = 0; others != NULL && i < others->len && !found; i++)
    found = is_running (g_ptr_array_index (others, i));

  return found;
}

/* Whether this thread must not use the main context, although nobody has it at the moment. */
gboolean
afrpc_python_loop_is_elsewhere (GMainContext *context)
{
  return drivers->len > 0 && is_driven_elsewhere (context, drivers->len);
}

/* add_driver (loop): it drives the default main context of this thread from now on, from outside. */
static PyObject *
module_add_driver (PyObject *module,
                   PyObject *loop)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  PyObject *reference = PyWeakref_NewRef (loop, NULL);
  Driver *driver;
  guint n;

  if (reference == NULL)
    return NULL;
  for (guint i = drivers->len; i > 0; i--)
    {
      const Driver *other = g_ptr_array_index (drivers, i - 1);
      PyObject *object = PyObject_CallNoArgs (other->loop);

      if (object == Py_None || object == loop)
        g_ptr_array_remove_index (drivers, i - 1);
      Py_XDECREF (object);
    }

  /* First it is there, then it looks at those before it: of two at the same time one is refused. */
  n = drivers->len;
  driver = g_new (Driver, 1);
  *driver = (Driver) { context, g_thread_self (), reference };
  g_ptr_array_add (drivers, driver);
  if (n > 0 && is_driven_elsewhere (context, n))
    {
      g_ptr_array_remove (drivers, driver);
      afrpc_python_refuse_thread ();
      return NULL;
    }

  Py_RETURN_NONE;
}

static PyMethodDef loop_methods[] = {
  { "add_driver", module_add_driver, METH_O, NULL },
  { NULL },
};

gboolean
afrpc_python_loop_register (PyObject *module)
{
  str_asyncio = PyUnicode_InternFromString ("asyncio");
  str_is_running = PyUnicode_InternFromString ("is_running");
  drivers = g_ptr_array_new_with_free_func (driver_free);

  return str_asyncio != NULL && str_is_running != NULL && PyModule_AddFunctions (module, loop_methods) == 0;
}
