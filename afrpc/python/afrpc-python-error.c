/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What functions of a worker raise: errors of calls, and the end of the process. */
#include "config.h"

#include "afrpc-python-worker.h"

#include <unistd.h>

/* How exceptions travel. There is no such domain in a program, so that it sees AFRPC_ERROR_REMOTE. The code is that
 * of the package's module _exceptions. */
#define EXCEPTION_DOMAIN "python-exception"

/* Cuts off the last line of what an exception is told by: it is for programs in Python, see _exceptions.py. One that
 * another worker has raised may have come as an error, in which a label may come first. */
static void
cut_details (char     *message,
             gboolean  has_details)
{
  char *end = g_strrstr (message, "\n\n{");

  if (end != NULL &&
      (has_details || g_strstr_len (message, strcspn (message, "\n"), EXCEPTION_DOMAIN " -") != NULL))
    *end = '\0';
}

static GError *
text_error (GQuark      domain,
            int         code,
            const char *prefix,
            PyObject   *text)
{
  Py_ssize_t length = 0;
  const char *message = text != NULL ? PyUnicode_AsUTF8AndSize (text, &length) : NULL;
  g_autofree char *valid = NULL;

  if (message == NULL)
    {
      PyErr_Clear ();
      message = "an exception that cannot be described";
      length = strlen (message);
    }
  valid = g_utf8_make_valid (message, length);

  return g_error_new (domain, code, "%s%s", prefix, valid);
}

/* Its class, and its words if they can be had, where nothing in Python can say more. Returns: (nullable) */
static PyObject *
make_words (PyObject *exception)
{
  const char *name = Py_TYPE (exception)->tp_name;
  PyObject *words = PyObject_Str (exception);
  PyObject *text;

  PyErr_Clear ();
  text = words != NULL && PyUnicode_GET_LENGTH (words) > 0 ? PyUnicode_FromFormat ("%s: %U", name, words) :
                                                             PyUnicode_FromString (name);
  Py_XDECREF (words);
  PyErr_Clear ();

  return text;
}

/* The exception that is set, which is cleared: of the domain and code that it names, as GLib.Error and
 * afrpc.Error do; else with @code of AFRPC_ERROR, or as what it is if that is negative. Never fails. */
GError *
afrpc_python_host_take_error (int         code,
                              const char *prefix)
{
  PyObject *type, *value, *traceback, *described;
  PyObject *text = NULL;
  PyObject *own_text = NULL;
  PyObject *backend = afrpc_python_host_get_backend (NULL);
  GQuark domain = code >= 0 ? AFRPC_ERROR : g_quark_from_static_string (EXCEPTION_DOMAIN);
  const char *name = NULL;
  GError *error;
  int own_code = 0;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (traceback != NULL && value != NULL)
    PyException_SetTraceback (value, traceback);

  described = PyObject_CallMethod (backend, "describe", "O", value != NULL ? value : Py_None);
  if (described == NULL || !PyArg_ParseTuple (described, "ziU", &name, &own_code, &text))
    PyErr_Clear ();
  if (text == NULL && value != NULL)
    {
      name = NULL;
      text = own_text = make_words (value);
      own_code = text != NULL ? (int) PyUnicode_GET_LENGTH (text) : 0;
    }
  if (name != NULL && code < 0)
    error = text_error (g_quark_from_string (name), own_code, prefix, text);
  else
    error = text_error (domain, code >= 0 ? code : own_code, prefix, text);
  if (code >= 0)
    cut_details (error->message, name == NULL && own_code < 0);

  Py_XDECREF (own_text);
  Py_XDECREF (described);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);

  return error;
}

/* What Python does at its end and a process that was forked has to do by itself, because it leaves its
 * template's memory alone. */
void
afrpc_python_host_finish (PyObject *backend)
{
  PyObject *result = PyObject_CallMethod (backend, "finish", NULL);

  if (result == NULL)
    PyErr_WriteUnraisable (NULL);
  Py_XDECREF (result);
}

/* sys.exit () ends a process wherever it is called; everything that was answered is written first. Returns if
 * the exception that is set is no SystemExit. */
void
afrpc_python_host_check_exit (void)
{
  AfrpcWorker *worker = afrpc_python_host_peek_worker ();
  PyObject *type, *value, *traceback, *result, *backend;
  gboolean is_forked;
  int status;

  if (!PyErr_ExceptionMatches (PyExc_SystemExit))
    return;

  if (worker != NULL)
    {
      Py_BEGIN_ALLOW_THREADS
      afrpc_worker_flush (worker);
      Py_END_ALLOW_THREADS
    }
  backend = afrpc_python_host_get_backend (&is_forked);
  if (!is_forked)
    {
      PyErr_PrintEx (0); /* exits */
      Py_Exit (EXIT_FAILURE);
    }

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  result = PyObject_CallMethod (backend, "get_exit_status", "O", value);
  status = result != NULL ? (int) PyLong_AsLong (result) : EXIT_FAILURE;
  PyErr_Clear ();
  afrpc_python_host_finish (backend);
  afrpc_worker_exit (worker, status);
}

/* Python's handlers of signals run when it is told to look. */
void
afrpc_python_host_check_signals (void)
{
  if (PyErr_CheckSignals () == 0)
    return;

  afrpc_python_host_check_exit ();
  PyErr_Print ();
}
