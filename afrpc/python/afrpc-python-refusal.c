/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that are not made, because what was to be sent cannot be. */
#include "config.h"

#include "afrpc-python-call.h"
#include "afrpc-python-codec.h"

/* Adds to an exception where the call was made that it belongs to: who awaits that may be elsewhere. */
static void
add_place (PyObject *exception)
{
  PyFrameObject *frame = (PyFrameObject *) Py_XNewRef ((PyObject *) PyEval_GetFrame ());
  PyCodeObject *code = frame != NULL ? PyFrame_GetCode (frame) : NULL;
  PyObject *own = code != NULL ? Py_NewRef (code->co_filename) : NULL;

  /* The overrides are between. */
  while (code != NULL && PyUnicode_Compare (code->co_filename, own) == 0)
    {
      PyFrameObject *back = PyFrame_GetBack (frame);

      Py_SETREF (frame, back);
      Py_SETREF (code, back != NULL ? PyFrame_GetCode (back) : NULL);
    }
  if (code != NULL)
    {
      PyObject *result = PyObject_CallMethod (exception, "add_note", "N",
                                              PyUnicode_FromFormat ("of the call in File \"%U\", line %d, in %U",
                                                                    code->co_filename, PyFrame_GetLineNumber (frame),
                                                                    code->co_name));

      Py_XDECREF (result);
    }
  PyErr_Clear ();
  Py_XDECREF (own);
  Py_XDECREF ((PyObject *) code);
  Py_XDECREF ((PyObject *) frame);
}

/* A call that was not made, because its arguments cannot be sent. */
typedef struct
{
  AfrpcPythonCall *call;
  PyObject *exception;
} Refused;

static gboolean
refused_cb (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Refused *self = data;

  afrpc_python_call_settle (self->call, AFRPC_PYTHON_CALL_FAILED, Py_NewRef (self->exception));
  PyGILState_Release (state);

  return G_SOURCE_REMOVE;
}

static void
refused_free (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  Refused *self = data;

  Py_DECREF (self->call);
  Py_DECREF (self->exception);
  g_free (self);
  PyGILState_Release (state);
}

/* Whether arguments can have it at all. */
static gboolean
is_signature (PyObject *object,
              PyObject *hooks)
{
  Py_ssize_t length = 0;
  const char *string;

  if (object == Py_None)
    return TRUE;
  if (hooks == AFRPC_PYTHON_PICKLED || !PyUnicode_Check (object))
    return FALSE;

  string = PyUnicode_AsUTF8AndSize (object, &length);
  if (string == NULL)
    PyErr_Clear ();

  return string != NULL && strlen (string) == (gsize) length && g_variant_type_string_is_valid (string) &&
         g_variant_type_is_definite (G_VARIANT_TYPE (string));
}

/* Takes the exception that is set, if it is about what was to be sent: that is an error of the call, from which others
 * that are made beside it do not suffer. A signature that is none, or that what is pickled cannot have, is wrong for all.
 * Returns: (nullable): NULL: the exception is still set */
PyObject *
afrpc_python_take_refusal (PyObject *signature,
                           PyObject *hooks)
{
  PyObject *type, *value, *traceback;

  if (!PyErr_ExceptionMatches (PyExc_Exception) || PyErr_ExceptionMatches (PyExc_StopIteration))
    return NULL;

  PyErr_Fetch (&type, &value, &traceback);
  if (!is_signature (signature, hooks))
    {
      PyErr_Restore (type, value, traceback);
      return NULL;
    }
  PyErr_NormalizeException (&type, &value, &traceback);
  Py_XDECREF (type);
  Py_XDECREF (traceback);

  return value;
}

/* Has @exception be the outcome of @call. Who has no loop is told when the main context turns, as of any outcome. */
void
afrpc_python_call_refuse (AfrpcPythonCall *call,
                          PyObject        *exception, /* (transfer full) */
                          GMainContext    *context)   /* (nullable) */
{
  g_autoptr(GSource) source = NULL;
  Refused *refused;

  afrpc_python_tell_started (exception, AFRPC_STARTED_NO);
  add_place (exception);
  call->is_call = TRUE;
  call->was_started = AFRPC_STARTED_NO;
  if (call->loop != NULL)
    {
      afrpc_python_call_settle (call, AFRPC_PYTHON_CALL_FAILED, exception);
      return;
    }

  refused = g_new (Refused, 1);
  refused->call = (AfrpcPythonCall *) Py_NewRef ((PyObject *) call);
  refused->exception = exception;
  source = g_idle_source_new ();
  g_source_set_static_name (source, "[afrpc] call that cannot be sent");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, refused_cb, refused, refused_free);
  g_source_attach (source, context);
}
