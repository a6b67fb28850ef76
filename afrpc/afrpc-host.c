/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-host.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-worker-private.h"
#include "afrpc-worker.h"
#include "serve/afrpc-connect.h"
#include "serve/afrpc-life.h"
#include "serve/afrpc-template.h"

#define EXIT_FAILURE_USAGE 2

/**
 * AfrpcHost:
 *
 * The program in a worker process: what knows how to load modules and call functions of one language.
 *
 * A host program makes an object of a subclass and calls [method@Afrpc.Host.serve]. The virtual functions
 * say what the language can do; those that a subclass leaves out are answered with
 * %AFRPC_ERROR_NOT_SUPPORTED.
 *
 * Until the worker runs its function, a host must not start threads, nor use what starts them (a
 * [class@Gio.Task], asynchronous I/O) or a main context.
 *
 * Since: 1.0
 */
typedef struct
{
  char *name;          /* construct-only */
  AfrpcWorker *worker; /* (nullable): while it serves; not owned */
} AfrpcHostPrivate;

enum
{
  PROP_NAME = 1,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (AfrpcHost, afrpc_host, G_TYPE_OBJECT)

static AfrpcHostPrivate *
get_private (AfrpcHost *self)
{
  return afrpc_host_get_instance_private (self);
}

static gboolean
set_not_supported (AfrpcHost   *self,
                   const char  *what,
                   GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
               "the host of '%s' cannot %s", get_private (self)->name, what);

  return FALSE;
}

static gboolean
default_require (AfrpcHost   *self,
                 const char  *module,
                 GError     **error)
{
  return set_not_supported (self, "load modules", error);
}

static gboolean
default_eval (AfrpcHost   *self,
              const char  *code,
              GVariant    *args,
              GError     **error)
{
  return set_not_supported (self, "evaluate code", error);
}

static guint
default_resolve (AfrpcHost          *self,
                 const char         *function,
                 AfrpcFunctionKind   kind,
                 GError            **error)
{
  set_not_supported (self, "call functions", error);

  return 0;
}

static gboolean
default_can_fork (AfrpcHost  *self,
                  GError    **error)
{
  return TRUE;
}

static int
default_fork (AfrpcHost  *self,
              GError    **error)
{
  g_return_val_if_fail (get_private (self)->worker != NULL, -1);

  return afrpc_template_fork_process (afrpc_worker_get_session (get_private (self)->worker), error);
}

static int
default_end (AfrpcHost *self,
             int        status)
{
  return status;
}

static void
default_wait (AfrpcHost *self,
              int        fd)
{
}

static void
afrpc_host_finalize (GObject *object)
{
  g_clear_pointer (&get_private (AFRPC_HOST (object))->name, g_free);

  G_OBJECT_CLASS (afrpc_host_parent_class)->finalize (object);
}

static void
afrpc_host_get_property (GObject    *object,
                         guint       prop_id,
                         GValue     *value,
                         GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_NAME:
      g_value_set_string (value, get_private (AFRPC_HOST (object))->name);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_host_set_property (GObject      *object,
                         guint         prop_id,
                         const GValue *value,
                         GParamSpec   *pspec)
{
  switch (prop_id)
    {
    case PROP_NAME:
      get_private (AFRPC_HOST (object))->name = g_value_dup_string (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_host_class_init (AfrpcHostClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = afrpc_host_finalize;
  object_class->get_property = afrpc_host_get_property;
  object_class->set_property = afrpc_host_set_property;

  klass->require = default_require;
  klass->eval = default_eval;
  klass->resolve = default_resolve;
  klass->can_fork = default_can_fork;
  klass->fork = default_fork;
  klass->end = default_end;
  klass->wait = default_wait;
  klass->orphan_signal = SIGKILL;

  /**
   * AfrpcHost:name: (attributes org.gtk.Property.get=afrpc_host_get_name)
   *
   * The name of the host, as in `afrpc-host-NAME`: usually that of the language.
   *
   * Since: 1.0
   */
  props[PROP_NAME] =
    g_param_spec_string ("name", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_host_init (AfrpcHost *self)
{
}

/**
 * AfrpcHostClass::require:
 * @self: the host
 * @module: what [method@Afrpc.Process.require] was given
 * @error: return location for an error, usually %AFRPC_ERROR_MODULE
 *
 * Loads a module.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::can_fork:
 * @self: the host
 * @error: return location for an error
 *
 * Says whether the process can be forked now. What threads it has is looked at anyway; this is for hosts
 * of languages that cannot be forked at all.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::fork:
 * @self: the host
 * @error: return location for an error
 *
 * Forks the process, which has one thread.
 *
 * The default makes a process that is a child of the program where the kernel permits it, without calling the
 * handlers of `pthread_atfork ()`. A host whose language has something to do around a fork chains up between the
 * two parts of it, or, if it can only fork in its own way, does so.
 *
 * Returns: as fork(2): the pid of the new process; 0 in that; or -1 with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::end:
 * @self: the host
 * @status: the exit status
 *
 * Does what the language has to do before the process exits, because there is nothing left to do for it. The
 * worker exists still, but its connection may have ended.
 *
 * A process that was forked from another exits right afterwards without running the handlers of `atexit ()`,
 * which are its template's.
 *
 * Returns: the exit status
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::cancelled:
 * @self: the host
 * @invocation: a call that was not answered yet
 *
 * Takes notice of the cancelling of a call of the async backend, or of its time limit, for functions that cannot
 * look at [method@Afrpc.Invocation.is_cancelled] while they wait, and have no use for
 * [method@Afrpc.Invocation.get_cancellable]. The call still has to be answered.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::wait:
 * @self: the host
 * @fd: a file descriptor
 *
 * Waits until the file descriptor can be read, or for no time at all: in the sync backend, when there is no call to
 * run. It is for languages that have something to do meanwhile, such as to run their handlers of signals.
 *
 * The default returns at once: what follows is a read that blocks.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::eval:
 * @self: the host
 * @code: source code
 * @args: its arguments
 * @error: return location for an error
 *
 * Evaluates code.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::resolve:
 * @self: the host
 * @function: the name of a function
 * @kind: what it will be used for
 * @error: return location for an error, usually %AFRPC_ERROR_FUNCTION
 *
 * Finds a function.
 *
 * Returns: a number for the function, chosen by the host, or 0 with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::call:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @args: the arguments
 * @error: return location for an error
 *
 * Calls a function of the sync backend.
 *
 * Returns: (transfer full) (nullable): the result, or %NULL with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::invoke:
 * @self: the host
 * @function: the number of the function
 * @invocation: the call, to be answered now or later
 *
 * Calls a function of the async backend.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::init:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @error: return location for an error
 *
 * Calls an init function.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::done:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 *
 * Calls a done function.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::run:
 * @self: the host
 * @function: the number of the function
 * @worker: the worker
 * @fd: the socket, which becomes the function's
 *
 * Has a function take the process over.
 *
 * Since: 1.0
 */

/**
 * AfrpcHostClass::get_args_type:
 * @self: the host
 * @function: the number of a function of the sync or async backend
 *
 * Says of which type the arguments of a function are. What is sent is made that before the function is called, if
 * nothing is lost by it: numbers of other types that are the same, variants or what is in them, lists of other
 * types. Otherwise the call fails with %AFRPC_ERROR_INVALID_ARGUMENTS.
 *
 * It is asked once, when the function has been found.
 *
 * Returns: (nullable) (transfer none): a type string, or %NULL if the function takes any
 *
 * Since: 1.0
 */

/**
 * afrpc_host_serve:
 * @self: a host
 *
 * Serves the program that started this process: prepares it, and runs its function, until there is
 * nothing left to do.
 *
 * A process that was not started by afrpc itself serves whoever is at the other end of its standard input
 * and output, if both are pipes or sockets; see [ctor@Afrpc.Process.new_command]. Then this function forks
 * and returns twice: in the worker, which has `/dev/null` as standard input and standard error as standard
 * output, and in the process that was started, after the worker's end and with its exit status, or 128 and
 * the number of the signal that ended it. If the process has threads, its program is executed again to be the
 * worker.
 *
 * To be called once, from `main ()`, whose result it returns.
 *
 * Returns: an exit status: 0 if all went well, 1 if the process could not be prepared or the parent
 *   broke the protocol, 2 if there is nobody to serve
 *
 * Since: 1.0
 */
int
afrpc_host_serve (AfrpcHost *self)
{
  g_autoptr(AfrpcWorker) worker = NULL;
  AfrpcServing serving = { 0 };
  AfrpcHostPrivate *priv;
  AfrpcSession *session;
  const char *name;
  int status;

  g_return_val_if_fail (AFRPC_IS_HOST (self), EXIT_FAILURE_USAGE);

  priv = get_private (self);
  name = priv->name != NULL ? priv->name : "";
  worker = afrpc_worker_new ();
  session = afrpc_worker_get_session (worker);
  serving.host = self;
  serving.host_class = AFRPC_HOST_GET_CLASS (self);
  serving.worker = worker;
  afrpc_session_set_host (session, &afrpc_serving_funcs, &serving, name, serving.host_class->wait != default_wait,
                          serving.host_class->orphan_signal);

  switch (afrpc_connect (session, &status))
    {
    case AFRPC_CONNECTED:
      break;

    case AFRPC_CONNECT_SUPERVISED:
      return status;

    default:
      g_printerr ("This is the program of afrpc's workers in '%s'. It is started by afrpc, not by hand.\n", name);
      return EXIT_FAILURE_USAGE;
    }

  priv->worker = worker;
  status = afrpc_life_lead (session);
  status = serving.host_class->end (self, status);
  priv->worker = NULL;
  afrpc_life_end (session);
  if (serving.spare != NULL)
    afrpc_invocation_discard (serving.spare);

  if (afrpc_session_is_forked (session))
    {
      /* What else there is to do at an exit is its template's, and would cost memory that it shares. */
      fflush (NULL);
      _exit (status);
    }

  return status;
}

/**
 * afrpc_host_get_name: (attributes org.gtk.Method.get_property=name)
 * @self: a host
 *
 * Gets the name of the host.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
afrpc_host_get_name (AfrpcHost *self)
{
  g_return_val_if_fail (AFRPC_IS_HOST (self), NULL);

  return get_private (self)->name;
}

/**
 * afrpc_host_get_worker:
 * @self: a host
 *
 * Gets the worker that the host serves.
 *
 * Returns: (transfer none) (nullable): the worker, while [method@Afrpc.Host.serve] runs
 *
 * Since: 1.0
 */
AfrpcWorker *
afrpc_host_get_worker (AfrpcHost *self)
{
  g_return_val_if_fail (AFRPC_IS_HOST (self), NULL);

  return get_private (self)->worker;
}
