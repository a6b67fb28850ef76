/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of workers in Python. It runs in Python's own interpreter, calls functions directly, and needs
 * neither PyGObject nor GIO. The lock of the interpreter (GIL) is released while the host waits for its parent,
 * so that threads of the worker run; every virtual function takes it. */
#include "config.h"

#include "afrpc-python-chunk.h"
#include "afrpc-python-worker.h"
#include "afrpc/serve/afrpc-other-host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define FEW_ARGS 16 /* arguments of a call that need no memory of their own */

#define AFRPC_TYPE_PYTHON_HOST (afrpc_python_host_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcPythonHost, afrpc_python_host, AFRPC, PYTHON_HOST, AfrpcHost)

typedef struct
{
  PyObject *object;
  gboolean is_coroutine; /* it returns one */
  char *name;
} Function;

struct _AfrpcPythonHost
{
  AfrpcHost parent_instance;

  PyObject *backend;       /* the module afrpc._host: what is easier said in Python */
  PyObject *create_task;   /* (nullable): of the loop that coroutines run on */
  GArray *functions;       /* (element-type Function) a function's number is its index plus 1 */
  GHashTable *invocations; /* (element-type AfrpcInvocation PyObject) that are not answered, borrowed */
  gboolean is_forked;
  gboolean may_handle_signals; /* the module for that has been loaded */
  char **environ;          /* as Python has seen it last */
  char *first_variable;    /* (nullable) (not owned): of that */
};

G_DEFINE_FINAL_TYPE (AfrpcPythonHost, afrpc_python_host, AFRPC_TYPE_HOST)

PyObject *afrpc_python_host_hooks; /* (nullable): what values may be, besides what they are */

static AfrpcPythonHost *the_host; /* (nullable): there is one in a process, if any */
static AfrpcWorker *the_worker;   /* (nullable): once a function runs; outlives all functions */
static unsigned long main_thread;
static PyObject *str_signal;

static void
note_environment (AfrpcPythonHost *self)
{
  self->environ = environ;
  self->first_variable = environ != NULL ? environ[0] : NULL;
}

static PyObject *
get_function (AfrpcPythonHost *self,
              guint            number)
{
  return g_array_index (self->functions, Function, number - 1).object;
}

static void
look_for_signals (AfrpcPythonHost *self)
{
  if (!self->may_handle_signals)
    self->may_handle_signals = PyDict_GetItem (PyImport_GetModuleDict (), str_signal) != NULL;
}

static int
afrpc_python_host_end (AfrpcHost *host,
                       int        status)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();

  /* Another one returns to Python. */
  if (self->is_forked)
    afrpc_python_host_finish (self->backend);
  PyGILState_Release (state);

  return status;
}

/* Preparing */

/* Python copies the environment when it starts, and a process that was forked gets its own later. The variables that it gets
 * then are new ones. */
static void
renew_environment (AfrpcPythonHost *self)
{
  PyObject *list, *result = NULL;

  if (environ == self->environ && (environ == NULL || environ[0] == self->first_variable))
    return;

  list = PyList_New (0);
  for (char **variable = environ; list != NULL && variable != NULL && *variable != NULL; variable++)
    {
      PyObject *bytes = PyBytes_FromString (*variable);

      if (bytes == NULL || PyList_Append (list, bytes) != 0)
        Py_CLEAR (list);
      Py_XDECREF (bytes);
    }
  if (list != NULL)
    result = PyObject_CallMethod (self->backend, "renew_environment", "N", list);
  if (result == NULL)
    PyErr_WriteUnraisable (NULL);
  Py_XDECREF (result);
  note_environment (self);
}

/* @result: (transfer full) (nullable): NULL if there is an exception, which becomes an error */
static gboolean
check_result (PyObject    *result,
              int          code,
              const char  *prefix,
              GError     **error)
{
  if (result != NULL)
    {
      Py_DECREF (result);
      return TRUE;
    }

  g_propagate_error (error, afrpc_python_host_take_error (code, prefix));
  return FALSE;
}

/* Returns: (transfer full): what may be meant by a module that cannot be loaded: "" if nothing is known */
static char *
make_hint (const char *module)
{
  const char *other = afrpc_find_other_host (module, "python");

  return other != NULL ? g_strdup_printf (" (a module for the host '%s'?)", other) : g_strdup ("");
}

static gboolean
afrpc_python_host_require (AfrpcHost   *host,
                           const char  *module,
                           GError     **error)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  g_autofree char *hint = make_hint (module);
  g_autofree char *prefix = g_strdup_printf ("the module '%s' cannot be loaded%s: ", module, hint);
  PyGILState_STATE state = PyGILState_Ensure ();
  gboolean ok;

  renew_environment (self);
  ok = check_result (PyObject_CallMethod (self->backend, "require", "s", module), AFRPC_ERROR_MODULE, prefix, error);
  PyGILState_Release (state);

  return ok;
}

static gboolean
afrpc_python_host_eval (AfrpcHost   *host,
                        const char  *code,
                        GVariant    *args,
                        GError     **error)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *tuple, *result;
  gboolean ok;

  renew_environment (self);
  tuple = afrpc_python_unpack_tuple (args, afrpc_python_host_hooks);
  result = tuple != NULL ? PyObject_CallMethod (self->backend, "evaluate", "sN", code, tuple) : NULL;
  ok = check_result (result, AFRPC_ERROR_MODULE, "the code failed: ", error);
  PyGILState_Release (state);

  return ok;
}

static gboolean
prepare_coroutines (AfrpcPythonHost *self)
{
  if (self->create_task == NULL)
    self->create_task = PyObject_CallMethod (self->backend, "get_create_task", NULL);

  return self->create_task != NULL;
}

static guint
resolve (AfrpcPythonHost   *self,
         const char        *name,
         AfrpcFunctionKind  kind,
         GError           **error)
{
  PyObject *found = PyObject_CallMethod (self->backend, "resolve", "si", name, (int) kind);
  Function function;

  if (found == NULL || !PyArg_ParseTuple (found, "Op", &function.object, &function.is_coroutine) ||
      (function.is_coroutine && !prepare_coroutines (self)))
    {
      Py_XDECREF (found);
      g_propagate_error (error, afrpc_python_host_take_error (AFRPC_ERROR_FUNCTION, ""));
      return 0;
    }

  Py_INCREF (function.object);
  function.name = g_strdup (name);
  g_array_append_val (self->functions, function);
  Py_DECREF (found);
  look_for_signals (self);

  return self->functions->len;
}

static guint
afrpc_python_host_resolve (AfrpcHost          *host,
                           const char         *name,
                           AfrpcFunctionKind   kind,
                           GError            **error)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();
  guint number;

  renew_environment (self);
  number = resolve (self, name, kind, error);
  PyGILState_Release (state);

  return number;
}

static int
afrpc_python_host_fork (AfrpcHost  *host,
                        GError    **error)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *result;
  int pid;

  /* The garbage collector writes to every object that it looks at; what is frozen it leaves alone, and shared. */
  result = PyObject_CallMethod (self->backend, "freeze", NULL);
  if (result == NULL)
    PyErr_Clear ();
  Py_XDECREF (result);

  PyOS_BeforeFork ();
  pid = AFRPC_HOST_CLASS (afrpc_python_host_parent_class)->fork (host, error);
  if (pid != 0)
    PyOS_AfterFork_Parent ();
  else
    {
      PyOS_AfterFork_Child ();
      self->is_forked = TRUE;
      result = PyObject_CallMethod (self->backend, "forked", NULL);
      if (result == NULL)
        PyErr_WriteUnraisable (NULL);
      Py_XDECREF (result);
    }
  PyGILState_Release (state);

  return pid;
}

/* Calling */

/* Returns: (nullable): the arguments that have names, if that is what the last one is: borrowed from it */
static PyObject *
get_keywords (PyObject *const *objects,
              Py_ssize_t       n)
{
  PyObject *last = n > 0 ? objects[n - 1] : NULL;

  if (last == NULL || !Py_IS_TYPE (last, afrpc_python_tagged_type) || !PyDict_CheckExact (PyTuple_GET_ITEM (last, 1)) ||
      !PyUnicode_CheckExact (PyTuple_GET_ITEM (last, 0)) ||
      PyUnicode_CompareWithASCIIString (PyTuple_GET_ITEM (last, 0), AFRPC_PYTHON_KEYWORDS) != 0)
    return NULL;

  return PyTuple_GET_ITEM (last, 1);
}

/* A function of the async backend has failed, maybe because it does not know what it gets. */
static void
explain_invocation (PyObject *backend)
{
  PyObject *type, *value, *traceback, *better;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (traceback != NULL)
    PyException_SetTraceback (value, traceback);
  better = PyObject_CallMethod (backend, "explain_invocation", "O", value);
  if (better == NULL || better == value)
    PyErr_Restore (type, value, traceback);
  else
    {
      PyErr_SetObject ((PyObject *) Py_TYPE (better), better);
      Py_XDECREF (type);
      Py_XDECREF (value);
      Py_XDECREF (traceback);
    }
  Py_XDECREF (better);
}

/* Calls a function with so many objects, the last of which may be those that have names; the place before them may be
 * used. */
PyObject *
afrpc_python_host_vectorcall (PyObject   *function,
                              PyObject  **objects,
                              Py_ssize_t  n)
{
  PyObject *keywords = get_keywords (objects, n);
  const size_t n_given = keywords != NULL ? n - 1 : n;

  return PyObject_VectorcallDict (function, objects, n_given | PY_VECTORCALL_ARGUMENTS_OFFSET, keywords);
}

static PyObject *
call_with (PyObject *function,
           PyObject *first,     /* (nullable) */
           GVariant *args,
           PyObject *hooks,
           PyObject *explainer) /* (nullable): the backend, if @first is an invocation */
{
  const gboolean is_pickled = G_UNLIKELY (hooks == AFRPC_PYTHON_PICKLED);
  PyObject *pickled = is_pickled ? afrpc_python_unpickle_args (args) : NULL;
  const Py_ssize_t n = pickled != NULL ? PyTuple_GET_SIZE (pickled) : afrpc_python_count_args (args);
  PyObject *few[FEW_ARGS + 2];
  g_autofree PyObject **many = n > FEW_ARGS ? g_new (PyObject *, n + 2) : NULL;
  PyObject **places = many != NULL ? many : few;
  PyObject **objects = places + 2;
  PyObject *result;

  /* The place before the arguments may be used by what is called. */
  places[0] = NULL;
  places[1] = first;
  if (is_pickled)
    {
      if (pickled == NULL)
        return NULL;
      for (Py_ssize_t i = 0; i < n; i++)
        objects[i] = Py_NewRef (PyTuple_GET_ITEM (pickled, i));
      Py_DECREF (pickled);
    }
  else if (!afrpc_python_unpack_args (args, hooks, objects))
    return NULL;

  result = first != NULL ? afrpc_python_host_vectorcall (function, objects - 1, n + 1) :
                           afrpc_python_host_vectorcall (function, objects, n);
  if (result == NULL && explainer != NULL)
    explain_invocation (explainer);

  for (Py_ssize_t i = 0; i < n; i++)
    Py_DECREF (objects[i]);

  return result;
}

static GVariant *
call (AfrpcPythonHost  *self,
      guint             number,
      GVariant         *args,
      GError          **error)
{
  GVariant *value = NULL;
  PyObject *result;

  if (G_UNLIKELY (afrpc_python_chunk_is_args (args)))
    {
      value = afrpc_python_host_run_chunk (get_function (self, number), args, the_worker);
      if (value == NULL)
        g_propagate_error (error, afrpc_python_host_take_error (-1, ""));
      return value;
    }

  result = call_with (get_function (self, number), NULL, args, afrpc_python_host_get_hooks (the_worker), NULL);
  if (result != NULL)
    {
      value = afrpc_python_pack (result, afrpc_python_host_get_hooks (the_worker));
      Py_DECREF (result);
    }
  if (value == NULL)
    {
      afrpc_python_host_check_exit ();
      g_propagate_error (error, afrpc_python_host_take_error (-1, ""));
    }

  return value;
}

static GVariant *
afrpc_python_host_call (AfrpcHost    *host,
                        guint         number,
                        AfrpcWorker  *worker,
                        GVariant     *args,
                        GError      **error)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  GVariant *value;

  the_worker = worker;
  value = call (AFRPC_PYTHON_HOST (host), number, args, error);
  look_for_signals (AFRPC_PYTHON_HOST (host));
  PyGILState_Release (state);

  return value;
}

/* A function that answers its invocation itself, or one that returns a coroutine to do that for. */
static gboolean
invoke (AfrpcPythonHost *self,
        guint            number,
        PyObject        *invocation,
        GVariant        *args)
{
  const Function function = g_array_index (self->functions, Function, number - 1);
  PyObject *token = afrpc_python_invocation_enter (invocation);
  PyObject *result = NULL;
  PyObject *task = NULL;
  gboolean is_ignored;
  int status = -1;

  if (token == NULL)
    return FALSE;

  result = call_with (function.object, function.is_coroutine ? NULL : invocation, args, afrpc_python_host_get_hooks (the_worker),
                      function.is_coroutine ? NULL : self->backend);
  if (result != NULL && function.is_coroutine)
    task = PyObject_CallOneArg (self->create_task, result);
  afrpc_python_invocation_leave (token);
  if (task != NULL)
    status = afrpc_python_invocation_watch (invocation, task);
  else if (result != NULL && !function.is_coroutine)
    status = 0;
  is_ignored = result != NULL && result != Py_None && !function.is_coroutine;
  Py_XDECREF (task);
  Py_XDECREF (result);
  if (is_ignored)
    afrpc_python_invocation_look_dropped (invocation, function.name);

  return status == 0;
}

static void
afrpc_python_host_invoke (AfrpcHost       *host,
                          guint            number,
                          AfrpcInvocation *invocation)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *wrapper = afrpc_python_invocation_new (invocation);

  the_worker = afrpc_invocation_get_worker (invocation);
  if (wrapper == NULL)
    {
      g_autoptr(GError) error = afrpc_python_host_take_error (-1, "");

      afrpc_invocation_return_error (invocation, error);
    }
  else if (!invoke (AFRPC_PYTHON_HOST (host), number, wrapper, afrpc_invocation_get_args (invocation)))
    {
      afrpc_python_host_check_exit ();
      afrpc_python_invocation_fail (wrapper);
    }
  Py_XDECREF (wrapper);
  PyGILState_Release (state);
}

static void
afrpc_python_host_cancelled (AfrpcHost       *host,
                             AfrpcInvocation *invocation)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *wrapper = g_hash_table_lookup (self->invocations, invocation);

  if (wrapper != NULL)
    afrpc_python_invocation_cancel (wrapper);
  PyGILState_Release (state);
}

/* Signals are blocked from the last look at them to the wait; those that come between the two looks are the only
 * ones whose handlers run like that. */
static int
wait_for_signals (struct pollfd *poller)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  sigset_t all, mask;
  int n;

  sigfillset (&all);
  afrpc_python_host_check_signals ();
  pthread_sigmask (SIG_SETMASK, &all, &mask);
  afrpc_python_host_check_signals ();
  PyGILState_Release (state);

  n = ppoll (poller, 1, NULL, &mask);
  pthread_sigmask (SIG_SETMASK, &mask, NULL);

  return n;
}

/* Waits for a call, and for signals if there may be handlers. */
static void
afrpc_python_host_wait (AfrpcHost *host,
                        int        fd)
{
  struct pollfd poller = { fd, POLLIN, 0 };

  if (!AFRPC_PYTHON_HOST (host)->may_handle_signals)
    return;

  while (poll (&poller, 1, 0) == 0 && wait_for_signals (&poller) < 0)
    ;
}

static gboolean
afrpc_python_host_init_function (AfrpcHost    *host,
                                 guint         number,
                                 AfrpcWorker  *worker,
                                 GError      **error)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *result;

  the_worker = worker;
  result = call_with (get_function (AFRPC_PYTHON_HOST (host), number), NULL, afrpc_worker_get_args (worker),
                      afrpc_python_host_hooks, NULL);
  if (result == NULL)
    {
      afrpc_python_host_check_exit ();
      g_propagate_error (error, afrpc_python_host_take_error (AFRPC_ERROR_INIT, ""));
    }
  Py_XDECREF (result);
  PyGILState_Release (state);

  return result != NULL;
}

static void
afrpc_python_host_done (AfrpcHost   *host,
                        guint        number,
                        AfrpcWorker *worker)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *result;

  result = PyObject_CallNoArgs (get_function (AFRPC_PYTHON_HOST (host), number));
  if (result == NULL)
    {
      afrpc_python_host_check_exit ();
      PyErr_Print ();
    }
  Py_XDECREF (result);
  PyGILState_Release (state);
}

static void
afrpc_python_host_run (AfrpcHost   *host,
                       guint        number,
                       AfrpcWorker *worker,
                       int          fd)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (host);
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *socket = PyObject_CallMethod (self->backend, "make_socket", "i", fd);
  PyObject *result = NULL;
  gboolean has_failed;

  the_worker = worker;
  if (socket != NULL)
    result = call_with (get_function (self, number), socket, afrpc_worker_get_args (worker), afrpc_python_host_hooks, NULL);
  has_failed = result == NULL;
  if (has_failed)
    {
      afrpc_python_host_check_exit ();
      PyErr_Print ();
    }
  Py_XDECREF (result);
  result = socket != NULL ? PyObject_CallMethod (socket, "close", NULL) : NULL;
  PyErr_Clear ();
  Py_XDECREF (result);
  Py_XDECREF (socket);
  if (has_failed)
    {
      result = PyLong_FromLong (EXIT_FAILURE);
      PyErr_SetObject (PyExc_SystemExit, result);
      Py_XDECREF (result);
      afrpc_python_host_check_exit ();
    }
  PyGILState_Release (state);
}

static void
afrpc_python_host_finalize (GObject *object)
{
  AfrpcPythonHost *self = AFRPC_PYTHON_HOST (object);

  the_host = NULL;
  the_worker = NULL;
  for (guint i = 0; i < self->functions->len; i++)
    {
      Py_DECREF (g_array_index (self->functions, Function, i).object);
      g_free (g_array_index (self->functions, Function, i).name);
    }
  g_array_unref (self->functions);
  g_hash_table_unref (self->invocations);
  Py_CLEAR (self->create_task);
  Py_CLEAR (self->backend);

  G_OBJECT_CLASS (afrpc_python_host_parent_class)->finalize (object);
}

static void
afrpc_python_host_class_init (AfrpcPythonHostClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_python_host_finalize;
  host_class->require = afrpc_python_host_require;
  host_class->eval = afrpc_python_host_eval;
  host_class->resolve = afrpc_python_host_resolve;
  host_class->call = afrpc_python_host_call;
  host_class->invoke = afrpc_python_host_invoke;
  host_class->cancelled = afrpc_python_host_cancelled;
  host_class->init = afrpc_python_host_init_function;
  host_class->done = afrpc_python_host_done;
  host_class->run = afrpc_python_host_run;
  host_class->fork = afrpc_python_host_fork;
  host_class->wait = afrpc_python_host_wait;
  host_class->end = afrpc_python_host_end;
}

static void
afrpc_python_host_init (AfrpcPythonHost *self)
{
  self->functions = g_array_new (FALSE, FALSE, sizeof (Function));
  self->invocations = g_hash_table_new (NULL, NULL);
}

/* Serves the parent with the help of a Python module, and returns the exit status. */
PyObject *
afrpc_python_host_serve (PyObject *module,
                         PyObject *backend)
{
  int status;

  if (the_host != NULL)
    {
      PyErr_SetString (PyExc_RuntimeError, "this process serves already");
      return NULL;
    }

  the_host = g_object_new (AFRPC_TYPE_PYTHON_HOST, "name", AFRPC_PYTHON_HOST_NAME, NULL);
  the_host->backend = Py_NewRef (backend);
  note_environment (the_host);
  main_thread = PyThread_get_thread_ident ();
  str_signal = PyUnicode_InternFromString ("signal");

  Py_BEGIN_ALLOW_THREADS
  status = afrpc_host_serve (AFRPC_HOST (the_host));
  Py_END_ALLOW_THREADS

  g_object_unref (the_host);

  return PyLong_FromLong (status);
}

gboolean
afrpc_python_host_is_serving (void)
{
  return the_host != NULL;
}

/* @is_forked: (out) (optional)
 * Returns: the module afrpc._host */
PyObject *
afrpc_python_host_get_backend (gboolean *is_forked)
{
  if (is_forked != NULL)
    *is_forked = the_host->is_forked;

  return the_host->backend;
}

/* The worker, or NULL before a function runs. */
AfrpcWorker *
afrpc_python_host_peek_worker (void)
{
  return the_worker;
}

/* The worker, or NULL with an exception. */
AfrpcWorker *
afrpc_python_host_get_worker (void)
{
  if (the_worker == NULL)
    PyErr_SetString (PyExc_RuntimeError, "this can only be used by a function that runs in a worker");
  else if (PyThread_get_thread_ident () != main_thread)
    PyErr_SetString (PyExc_RuntimeError, "this can only be used by the main thread of a worker");
  else
    return the_worker;

  return NULL;
}

void
afrpc_python_host_add (AfrpcInvocation *invocation,
                       PyObject        *object)
{
  g_hash_table_insert (the_host->invocations, invocation, object);
}

void
afrpc_python_host_remove (AfrpcInvocation *invocation)
{
  if (the_host != NULL)
    g_hash_table_remove (the_host->invocations, invocation);
}
