/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A part of a map of an executor: what its workers would do in a loop of Python, in which the clock would cost twice as much
 * as everything else. */
#include "config.h"

#include "afrpc-python-worker.h"

#include <time.h>

/* Seconds, some milliseconds of which have not been counted yet: that costs little. */
static double
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);

  return now.tv_sec + now.tv_nsec / 1e9;
}

/* Returns: (nullable): NULL with an exception */
static PyObject *
call (PyObject *function,
      PyObject *item,
      gboolean  is_single)
{
  PyObject *args, *result;

  if (is_single)
    return PyObject_CallOneArg (function, item);

  args = PySequence_Tuple (item);
  if (args == NULL)
    return NULL;

  result = PyObject_Call (function, args, NULL);
  Py_DECREF (args);

  return result;
}

/* _call_each (function, items, is_single, results, seconds): appends what the function returns for each item, until one fails,
 * or so much time has passed, if that is not None. The first one is called for in any case. */
PyObject *
afrpc_python_task_call_each (PyObject        *module,
                             PyObject *const *args,
                             Py_ssize_t       n_args)
{
  gboolean is_single;
  double limit = 0, end;

  if (n_args != 5 || !PyList_Check (args[1]) || !PyList_Check (args[3]))
    {
      PyErr_BadArgument ();
      return NULL;
    }
  is_single = args[2] == Py_True;
  if (args[4] != Py_None)
    limit = PyFloat_AsDouble (args[4]);
  if (PyErr_Occurred ())
    return NULL;

  end = get_time () + limit;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE (args[1]); i++)
    {
      PyObject *item = Py_NewRef (PyList_GET_ITEM (args[1], i));
      PyObject *result = call (args[0], item, is_single);
      gboolean ok = result != NULL && PyList_Append (args[3], result) == 0 && PyErr_CheckSignals () == 0;

      Py_XDECREF (result);
      Py_DECREF (item);
      if (!ok)
        return NULL;
      if (args[4] != Py_None && get_time () >= end)
        break;
    }

  Py_RETURN_NONE;
}
