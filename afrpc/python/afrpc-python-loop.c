/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The loop of asyncio that runs in a thread, and whether it looks at the main context. */
#include "config.h"

#include "afrpc-python-call-private.h"

static PyTypeObject *driving_type; /* (nullable): of loops that do so by themselves */
static PyObject *loop_hook;        /* (nullable): sees to it that a foreign loop drives the main context */
static PyObject *get_running_loop; /* (nullable): of asyncio, once that is there */
static PyObject *str_asyncio;

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

gboolean
afrpc_python_loop_init (void)
{
  str_asyncio = PyUnicode_InternFromString ("asyncio");

  return str_asyncio != NULL;
}
