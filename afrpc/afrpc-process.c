/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-exit.h"
#include "afrpc-process-private.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-self-private.h"

#define DEFAULT_HOST "c"
#define FD_MIN 10 /* copies lie above what programs expect to find at fixed numbers */

/**
 * AfrpcProcess:
 *
 * A worker process, from its preparation to its end.
 *
 * Making one starts nothing yet. What it shall [load][method@Afrpc.Process.require] and
 * [get][method@Afrpc.Process.send_arg] is queued; the process is started when the main loop comes to
 * it, and prepares itself in the background, in the order of the requests. Then it is given its one
 * job: a [class@Afrpc.Proxy] to call a function in it, or [method@Afrpc.Process.run_async] to have a
 * function take it over.
 *
 * Constructors and setters never block and never fail. What goes wrong arrives as an error of whatever
 * waits for the process: its calls, its run, its wait.
 *
 * A process that was given a job lives until that is finished, also when nobody holds the object any
 * more. One that is dropped before is ended.
 *
 * ## Environment
 *
 * A process is started with default signal handling, an empty signal mask and no file descriptors
 * but its socket and its standard streams. Its standard input is `/dev/null`, its standard output the
 * program's; its standard error is passed on to the program's, and its last lines are kept for error
 * messages.
 *
 * ## Main context and threads
 *
 * A process belongs to the thread-default main context of the thread that made it: there callbacks
 * and signals come, and only that thread may use it. Only the last reference may be dropped on any
 * thread.
 *
 * Since: 1.0
 */
struct _AfrpcProcess
{
  GObject parent_instance;

  char *host;             /* construct-only, nullable: of a command nobody knows */
  char **argv;            /* construct-only, nullable */
  gboolean use_template;  /* construct-only */
  int fd;                 /* construct-only, -1: none; the peer's once the process is made, as is the next */
  int pidfd;              /* construct-only, -1: none */
  AfrpcProcess *template; /* construct-only, nullable: dropped once the process is made */
  AfrpcPeer *peer;
};

enum
{
  PROP_HOST = 1,
  PROP_ARGV,
  PROP_USE_TEMPLATE,
  PROP_TEMPLATE,
  PROP_FD,
  PROP_PIDFD,
  PROP_PID,
  PROP_START,
  N_PROPS,
};

enum
{
  SIGNAL_EXITED,
  N_SIGNALS,
};

static GParamSpec *props[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (AfrpcProcess, afrpc_process, G_TYPE_OBJECT)

static void
process_exited (gpointer   process,
                AfrpcExit *exit)
{
  g_signal_emit (process, signals[SIGNAL_EXITED], 0, exit);
}

static const AfrpcPeerProcessFuncs process_funcs = { process_exited };

AfrpcPeer *
afrpc_process_get_peer (AfrpcProcess *self)
{
  return self->peer;
}

static void
afrpc_process_constructed (GObject *object)
{
  AfrpcProcess *self = AFRPC_PROCESS (object);

  G_OBJECT_CLASS (afrpc_process_parent_class)->constructed (object);

  if (self->template != NULL)
    {
      g_free (self->host);
      self->host = g_strdup (self->template->host);
      g_strfreev (self->argv);
      self->argv = g_strdupv (self->template->argv);
      self->peer = afrpc_peer_new_fork (self->template->peer);
      g_clear_object (&self->template);
    }
  else if (self->argv != NULL)
    {
      g_clear_pointer (&self->host, g_free);
      self->peer = afrpc_peer_new_command ((const char *const *) self->argv);
    }
  else if (self->use_template)
    {
      g_autoptr(AfrpcPeer) template = afrpc_peer_ref_default_template (self->host);

      self->peer = afrpc_peer_new_fork (template);
    }
  else
    self->peer = afrpc_peer_new (self->host);

  if (self->fd >= 0)
    afrpc_peer_adopt (self->peer, self->fd, self->pidfd);
  afrpc_peer_set_process (self->peer, self, &process_funcs);
}

static void
afrpc_process_finalize (GObject *object)
{
  AfrpcProcess *self = AFRPC_PROCESS (object);

  afrpc_peer_drop (self->peer, AFRPC_PEER_DROP_PROCESS);
  g_clear_pointer (&self->peer, afrpc_peer_unref);
  g_clear_object (&self->template);
  g_clear_pointer (&self->host, g_free);
  g_clear_pointer (&self->argv, g_strfreev);

  G_OBJECT_CLASS (afrpc_process_parent_class)->finalize (object);
}

static void
afrpc_process_get_property (GObject    *object,
                            guint       prop_id,
                            GValue     *value,
                            GParamSpec *pspec)
{
  AfrpcProcess *self = AFRPC_PROCESS (object);

  switch (prop_id)
    {
    case PROP_HOST:
      g_value_set_string (value, self->host);
      break;

    case PROP_ARGV:
      g_value_set_boxed (value, self->argv);
      break;

    case PROP_USE_TEMPLATE:
      g_value_set_boolean (value, self->use_template);
      break;

    case PROP_PID:
      g_value_set_int (value, afrpc_peer_get_pid (self->peer));
      break;

    case PROP_START:
      g_value_set_enum (value, afrpc_peer_get_start (self->peer));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_process_set_property (GObject      *object,
                            guint         prop_id,
                            const GValue *value,
                            GParamSpec   *pspec)
{
  AfrpcProcess *self = AFRPC_PROCESS (object);

  switch (prop_id)
    {
    case PROP_HOST:
      self->host = g_value_dup_string (value);
      if (self->host == NULL)
        self->host = g_strdup (DEFAULT_HOST);
      break;

    case PROP_ARGV:
      self->argv = g_value_dup_boxed (value);
      if (self->argv != NULL && self->argv[0] == NULL)
        g_clear_pointer (&self->argv, g_strfreev);
      break;

    case PROP_USE_TEMPLATE:
      self->use_template = g_value_get_boolean (value);
      break;

    case PROP_TEMPLATE:
      self->template = g_value_dup_object (value);
      break;

    case PROP_FD:
      self->fd = g_value_get_int (value);
      break;

    case PROP_PIDFD:
      self->pidfd = g_value_get_int (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_process_class_init (AfrpcProcessClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = afrpc_process_constructed;
  object_class->finalize = afrpc_process_finalize;
  object_class->get_property = afrpc_process_get_property;
  object_class->set_property = afrpc_process_set_property;

  /**
   * AfrpcProcess:host: (attributes org.gtk.Property.get=afrpc_process_get_host)
   *
   * The host program: the name of a language, such as `c`, or the path of an executable. %NULL for a
   * process over a command.
   *
   * Since: 1.0
   */
  props[PROP_HOST] =
    g_param_spec_string ("host", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:argv:
   *
   * The command whose standard input and output lead to a host, with its arguments; %NULL to start a host.
   *
   * Since: 1.0
   */
  props[PROP_ARGV] =
    g_param_spec_boxed ("argv", NULL, NULL, G_TYPE_STRV,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:use-template:
   *
   * Whether the process is forked from the default template of its host, instead of executing the host.
   *
   * Since: 1.0
   */
  props[PROP_USE_TEMPLATE] =
    g_param_spec_boolean ("use-template", NULL, NULL, FALSE,
                          G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:template:
   *
   * The process that this one is forked from, instead of executing a host.
   *
   * Since: 1.0
   */
  props[PROP_TEMPLATE] =
    g_param_spec_object ("template", NULL, NULL, AFRPC_TYPE_PROCESS,
                         G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:fd:
   *
   * The socket of a process that another process has prepared; see [ctor@Afrpc.Process.new_from_fd]. It becomes
   * the object's.
   *
   * Since: 1.0
   */
  props[PROP_FD] = g_param_spec_int ("fd", NULL, NULL, -1, G_MAXINT, -1,
                                     G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:pidfd:
   *
   * The pidfd of a process that another process has prepared; see [ctor@Afrpc.Process.new_from_fd]. It becomes
   * the object's.
   *
   * Since: 1.0
   */
  props[PROP_PIDFD] = g_param_spec_int ("pidfd", NULL, NULL, -1, G_MAXINT, -1,
                                        G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:start: (attributes org.gtk.Property.get=afrpc_process_get_start)
   *
   * How the process was started: forking may not have been possible.
   *
   * Since: 1.0
   */
  props[PROP_START] = g_param_spec_enum ("start", NULL, NULL, AFRPC_TYPE_START, AFRPC_START_NONE,
                                         G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:pid: (attributes org.gtk.Property.get=afrpc_process_get_pid)
   *
   * The process ID, or 0 before the process was started.
   *
   * Since: 1.0
   */
  props[PROP_PID] =
    g_param_spec_int ("pid", NULL, NULL, 0, G_MAXINT, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, props);

  /**
   * AfrpcProcess::exited:
   * @self: the process
   * @exit: why it ended
   *
   * The process has ended and was reaped; all that it sent has been delivered before.
   *
   * Not emitted if it could not be started. While the process works it is kept alive, so that this
   * signal also reaches those who dropped everything else.
   *
   * Since: 1.0
   */
  signals[SIGNAL_EXITED] =
    g_signal_new ("exited", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                  G_TYPE_NONE, 1, AFRPC_TYPE_EXIT);
}

static void
afrpc_process_init (AfrpcProcess *self)
{
  self->fd = self->pidfd = -1;
}

/**
 * afrpc_process_new:
 *
 * Makes a process that is forked from the default template of the host of C.
 *
 * See [ctor@Afrpc.Process.new_for_host].
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new (void)
{
  return afrpc_process_new_for_host (NULL);
}

/**
 * afrpc_process_new_for_host:
 * @host: (nullable): the language of the worker, such as `c`, or the path of a host program;
 *   %NULL for `c`
 *
 * Makes a process that is forked from the default template of a host.
 *
 * The template is a process of the host with nothing loaded. It is executed when it is needed first, stays,
 * and is started anew if it dies; each thread-default main context has its own. Forking it is faster than
 * executing the host, and shares memory with it. Where it cannot be forked, the host is executed.
 *
 * Fails like [ctor@Afrpc.Process.new_exec].
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_for_host (const char *host)
{
  return g_object_new (AFRPC_TYPE_PROCESS, "host", host, "use-template", TRUE, NULL);
}

/**
 * afrpc_process_new_self:
 *
 * Makes a process that is forked from the program itself, as it was when it called
 * [func@Afrpc.init_early].
 *
 * Its functions are those that the program has [registered][func@Afrpc.register_function]: no module and no
 * host is needed, and the program's file may have been renamed or deleted since. The process is a fork of the
 * program's beginning, not of what it is now: the program may have threads, windows and much memory. In threads
 * other than the first to use it the program is executed instead, once, to be their template.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_NOT_SUPPORTED if the program has not called
 * [func@Afrpc.init_early].
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_self (void)
{
  return afrpc_process_new_for_host (AFRPC_SELF_HOST);
}

/**
 * afrpc_process_new_self_exec:
 *
 * Makes a process that executes the program itself afresh; otherwise like
 * [ctor@Afrpc.Process.new_self].
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_self_exec (void)
{
  return afrpc_process_new_exec (AFRPC_SELF_HOST);
}

/**
 * afrpc_process_new_exec:
 * @host: (nullable): the language of the worker, such as `c`, or the path of a host program;
 *   %NULL for `c`
 *
 * Makes a process that executes a host program afresh.
 *
 * The host of a language is the program `afrpc-host-LANGUAGE`, looked for in the directories of the
 * environment variable `AFRPC_HOST_PATH` and then where afrpc is installed.
 *
 * The whole of each single thing that a process is prepared with is limited to 128 MiB; more fails with
 * %AFRPC_ERROR_TOO_LARGE.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_NO_HOST if there is no such program,
 * %AFRPC_ERROR_SPAWN if it cannot be executed, %AFRPC_ERROR_NOT_A_HOST if it does not behave like a
 * host, %AFRPC_ERROR_VERSION if it is of an incompatible version.
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_exec (const char *host)
{
  return g_object_new (AFRPC_TYPE_PROCESS, "host", host, NULL);
}

/**
 * afrpc_process_new_from_fd:
 * @host: (nullable): the host that the process must be of, or %NULL for any
 * @fd: a socket, which becomes the object's
 * @pidfd: the process' pidfd, which becomes the object's, or -1 if there is none; see pidfd_open(2)
 *
 * Goes on with a process that another process has prepared, and handed over with
 * [method@Afrpc.Process.to_fd_async].
 *
 * It can be prepared further, forked, and given its job. It is not a child of this program: how it ends is not
 * known; see [method@Afrpc.Exit.is_known].
 *
 * The kernel is asked which process speaks on the socket. As soon as it has said something, which it does at once unless
 * it is still loading what it was prepared with, its process ID is known and it can be [killed][method@Afrpc.Process.kill];
 * signals that are asked for earlier are sent then. Without @pidfd its process ID stays 0, and to kill it only closes the
 * connection: it ends when it next looks there.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_FAILED if @pidfd is no pidfd, with
 * %AFRPC_ERROR_PROTOCOL if it is that of another process, which is left alone, and with %AFRPC_ERROR_NOT_A_HOST if the
 * process is of another host than @host.
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_from_fd (const char *host,
                           int         fd,
                           int         pidfd)
{
  g_return_val_if_fail (fd >= 0, NULL);
  g_return_val_if_fail (pidfd >= -1, NULL);

  return g_object_new (AFRPC_TYPE_PROCESS, "host", host, "fd", fd, "pidfd", pidfd, NULL);
}

/**
 * afrpc_process_new_command:
 * @argv: (array zero-terminated=1): a command and its arguments
 *
 * Makes a process that is reached by a command: any that connects its standard input and output to a host
 * program, on this machine or another.
 *
 * For instance `ssh machine afrpc-host-c`, or a host within `bwrap` or `systemd-run --pipe`. The command
 * is looked for in the directories of `PATH`. What a host is prepared with is found where the host runs;
 * proxies, calls, results, events, errors and time limits are the same.
 *
 * These are different:
 *
 * - File descriptors cannot be passed: after [method@Afrpc.Process.send_fd] whatever waits for the process
 *   fails with %AFRPC_ERROR_NOT_SUPPORTED; [property@Afrpc.Proxy:socket] is %NULL.
 * - What a function that takes the process over gets is a socket too, but one that the host copies from and to its
 *   standard input and output.
 * - [method@Afrpc.Process.fork] runs the command again and prepares the new process like this one.
 * - Process ID, environment, working directory, [method@Afrpc.Process.kill] and [struct@Afrpc.Exit] are the
 *   command's. Its standard input and output are the connection, whatever is set; in the worker, standard
 *   input is `/dev/null`, and standard output is what standard error is.
 * - The host tells how the worker ended. If it cannot, because the connection broke or the command was
 *   killed, nobody knows which calls were started: those that waited fail with %AFRPC_ERROR_DIED.
 * - A `done` function that lets an async worker live on keeps the proxy from being `destroyed`.
 * - A busy worker on another machine may notice the end of the connection only when it next writes.
 *
 * Nothing but the host may write to the command's standard output: a start-up file of a remote shell that
 * prints something breaks the conversation.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_SPAWN if there is no such command or it cannot be
 * executed, %AFRPC_ERROR_NOT_A_HOST if no host answers, %AFRPC_ERROR_VERSION if that is of an incompatible
 * version.
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_command (const char * const *argv)
{
  g_return_val_if_fail (argv != NULL && argv[0] != NULL, NULL);

  return g_object_new (AFRPC_TYPE_PROCESS, "argv", argv, NULL);
}

static gboolean
is_preparable (AfrpcProcess *self)
{
  /* Also after it failed: that is told to those who wait. */
  return afrpc_peer_get_role (self->peer) == AFRPC_ROLE_NONE;
}

/* Refuses what is asked for on a thread that has nothing to do with the process. */
static gboolean
check_thread (AfrpcProcess *self,
              GTask        *task)
{
  if (afrpc_peer_check_thread (self->peer, "a process"))
    return TRUE;

  g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                           "another thread runs the main context that the process belongs to");

  return FALSE;
}

/* Whether it can still be said how the process is started. */
static gboolean
is_configurable (AfrpcProcess *self)
{
  return afrpc_peer_is_configurable (self->peer);
}

/**
 * afrpc_process_require:
 * @self: a process that runs nothing yet
 * @module: the module to load
 *
 * Queues the loading of a module.
 *
 * What a module is depends on the host. For C it is a shared object: a path, if @module contains a
 * slash, or else `MODULE.so` or `libMODULE.so` in a directory of the environment variable
 * `AFRPC_MODULE_PATH` or in afrpc's own module directory.
 *
 * If it cannot be loaded, whatever waits for the process fails with %AFRPC_ERROR_MODULE.
 *
 * Since: 1.0
 */
void
afrpc_process_require (AfrpcProcess *self,
                       const char   *module)
{
  g_autoptr(GVariant) value = NULL;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (module != NULL);
  g_return_if_fail (is_preparable (self));
  g_return_if_fail (afrpc_peer_check_thread (self->peer, G_STRFUNC));

  value = g_variant_ref_sink (g_variant_new_string (module));
  afrpc_peer_prepare (self->peer, AFRPC_FRAME_REQUIRE, value, -1);
}

/**
 * afrpc_process_eval:
 * @self: a process that runs nothing yet
 * @code: source code in the host's language
 * @args: (nullable): arguments for the code, usually a tuple; a floating reference is consumed
 *
 * Queues the evaluation of code.
 *
 * If the host cannot do that, as that of C, whatever waits for the process fails with
 * %AFRPC_ERROR_NOT_SUPPORTED; if the code fails, with the error of the code.
 *
 * Since: 1.0
 */
void
afrpc_process_eval (AfrpcProcess *self,
                    const char   *code,
                    GVariant     *args)
{
  g_autoptr(GVariant) value = NULL;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (code != NULL);
  g_return_if_fail (is_preparable (self));
  g_return_if_fail (afrpc_peer_check_thread (self->peer, G_STRFUNC));

  if (args == NULL)
    args = g_variant_new_tuple (NULL, 0);
  value = g_variant_ref_sink (g_variant_new ("(sv)", code, args));
  afrpc_peer_prepare (self->peer, AFRPC_FRAME_EVAL, value, -1);
}

/**
 * afrpc_process_send_arg:
 * @self: a process that runs nothing yet
 * @arg: a value; a floating reference is consumed
 *
 * Queues an argument for the `init` function of a proxy, or for the function of
 * [method@Afrpc.Process.run_async].
 *
 * Arguments arrive together, in the order in which they were sent: as a tuple, see
 * [method@Afrpc.Worker.get_args].
 *
 * Since: 1.0
 */
void
afrpc_process_send_arg (AfrpcProcess *self,
                        GVariant     *arg)
{
  g_autoptr(GVariant) value = NULL;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (arg != NULL);
  g_return_if_fail (is_preparable (self));
  g_return_if_fail (afrpc_peer_check_thread (self->peer, G_STRFUNC));

  value = g_variant_ref_sink (g_variant_new_variant (arg));
  afrpc_peer_prepare (self->peer, AFRPC_FRAME_ARG, value, -1);
}

/**
 * afrpc_process_send_fd:
 * @self: a process that runs nothing yet
 * @fd: a file descriptor, which stays the caller's
 *
 * Queues a copy of a file descriptor for the worker.
 *
 * The worker gets them in the order in which they were sent; see [method@Afrpc.Worker.steal_fd]. If
 * @fd cannot be copied, whatever waits for the process fails with %AFRPC_ERROR_SPAWN; over a
 * [command][ctor@Afrpc.Process.new_command], with %AFRPC_ERROR_NOT_SUPPORTED.
 *
 * Since: 1.0
 */
void
afrpc_process_send_fd (AfrpcProcess *self,
                       int           fd)
{
  int copy;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (fd >= 0);
  g_return_if_fail (is_preparable (self));
  g_return_if_fail (afrpc_peer_check_thread (self->peer, G_STRFUNC));

  if (self->argv != NULL)
    {
      afrpc_peer_fail (self->peer, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                                                  "file descriptors cannot be passed over a command"));
      return;
    }

  copy = fcntl (fd, F_DUPFD_CLOEXEC, FD_MIN);
  if (copy < 0)
    afrpc_peer_fail (self->peer, g_error_new (AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                                                "copying file descriptor %d: %s", fd, g_strerror (errno)));
  else
    afrpc_peer_prepare (self->peer, AFRPC_FRAME_FD, NULL, copy);
}

/**
 * afrpc_process_fork:
 * @self: a process that runs nothing yet
 *
 * Makes a process that begins as a copy of this one.
 *
 * It inherits everything that this process has been prepared with so far: modules are loaded, code was
 * evaluated, arguments and file descriptors are there. It has its own surroundings: environment, working
 * directory and standard streams are the program's, unless they are set. This process can go on being
 * prepared, be forked again, or be dropped; the new one lives on.
 *
 * The program itself is never forked. Both processes are children of the program. Where forking is not
 * possible, because a module started a thread, the new process executes the host and is prepared anew;
 * [property@Afrpc.Process:start] tells. Over a command, the command is run again.
 *
 * What was wrong with the preparation of this process, whatever waits for the new one fails with;
 * %AFRPC_ERROR_IN_USE if this process runs a function.
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_fork (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);

  return g_object_new (AFRPC_TYPE_PROCESS, "template", self, NULL);
}

/**
 * afrpc_process_run_async:
 * @self: a process that runs nothing yet
 * @function: the function that takes the process over
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Lets a function take the process over, and gets the socket to talk to it.
 *
 * The function gets the other end of the socket, with nothing on it, and the arguments and file
 * descriptors that were sent. The process ends when the function returns. For C see
 * [callback@Afrpc.RunFunction].
 *
 * Fails with %AFRPC_ERROR_IN_USE if the process runs something already, %AFRPC_ERROR_FUNCTION if there
 * is no such function, %AFRPC_ERROR_NOT_STARTED if the process ended before the function began,
 * or with what went wrong in the preparation. Cancelling kills the process.
 *
 * Since: 1.0
 */
void
afrpc_process_run_async (AfrpcProcess        *self,
                         const char          *function,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_autoptr(GVariant) options = NULL;
  g_autoptr(GError) error = NULL;
  GVariantDict dict;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (function != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_run_async);
  if (!check_thread (self, task))
    return;
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "function", "s", function);
  g_variant_dict_insert (&dict, "run", "b", TRUE);
  options = g_variant_ref_sink (g_variant_dict_end (&dict));

  if (!afrpc_peer_take (self->peer, AFRPC_ROLE_STREAM, options, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    afrpc_peer_await_connection (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_run_finish:
 * @self: a process
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.run_async].
 *
 * Returns: (transfer full): the socket: a [class@Gio.SocketConnection]
 *
 * Since: 1.0
 */
GIOStream *
afrpc_process_run_finish (AfrpcProcess  *self,
                          GAsyncResult  *result,
                          GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_run_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * afrpc_process_to_fd_async:
 * @self: a process that runs nothing yet
 * @cancellable: (nullable): not used as yet: handing over takes no time to speak of
 * @callback: (scope async) (closure user_data): called with the result
 * @user_data: data for @callback
 *
 * Hands a prepared process over: gets its socket, and its pidfd, to be passed to another process, which goes on
 * with [ctor@Afrpc.Process.new_from_fd].
 *
 * The process stays a child of this program, which reaps it; it ends when the socket is closed everywhere.
 *
 * Fails with %AFRPC_ERROR_IN_USE if the process runs something already, %AFRPC_ERROR_NOT_SUPPORTED if it is reached
 * by a [command][ctor@Afrpc.Process.new_command], %AFRPC_ERROR_FAILED if there is no file descriptor to be had, or
 * with what went wrong when it was started. What goes wrong in its preparation, whoever gets the socket is told.
 *
 * Since: 1.0
 */
void
afrpc_process_to_fd_async (AfrpcProcess        *self,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_autoptr(GError) error = NULL;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_to_fd_async);
  if (!check_thread (self, task))
    return;
  /* The results are descriptors, which must not be lost. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  if (self->argv != NULL)
    g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                             "a process over a command cannot be handed over");
  else if (!afrpc_peer_take (self->peer, AFRPC_ROLE_HANDED_OVER, NULL, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    afrpc_peer_await_connection (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_to_fd_finish:
 * @self: a process
 * @result: the result
 * @pidfd: (out) (optional): return location for the pidfd of the process, which becomes the caller's, or -1 if the
 *   system has none
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.to_fd_async].
 *
 * Returns: the socket, which becomes the caller's, or -1 with @error set
 *
 * Since: 1.0
 */
int
afrpc_process_to_fd_finish (AfrpcProcess  *self,
                            GAsyncResult  *result,
                            int           *pidfd,
                            GError       **error)
{
  g_autoptr(AfrpcHandOver) hand_over = NULL;

  g_return_val_if_fail (AFRPC_IS_PROCESS (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_to_fd_async), -1);

  hand_over = g_task_propagate_pointer (G_TASK (result), error);
  if (hand_over == NULL)
    return -1;

  if (pidfd != NULL)
    *pidfd = g_steal_fd (&hand_over->pidfd);

  return g_steal_fd (&hand_over->fd);
}

/**
 * afrpc_process_wait_async:
 * @self: a process
 * @cancellable: (nullable): stops waiting, not the process
 * @callback: (scope async) (closure user_data): called once the process has ended
 * @user_data: data for @callback
 *
 * Waits until the process has ended and was reaped.
 *
 * Fails if the process could not be started, with the reason: %AFRPC_ERROR_SPAWN,
 * %AFRPC_ERROR_NO_HOST; with %G_IO_ERROR_CANCELLED if cancelled.
 *
 * Since: 1.0
 */
void
afrpc_process_wait_async (AfrpcProcess        *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_process_wait_async);
  if (!check_thread (self, task))
    return;
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;

  afrpc_peer_await_exit (self->peer, g_steal_pointer (&task));
}

/**
 * afrpc_process_wait_finish:
 * @self: a process
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Process.wait_async].
 *
 * Returns: (transfer full): why the process ended
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_process_wait_finish (AfrpcProcess  *self,
                           GAsyncResult  *result,
                           GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_process_wait_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * afrpc_process_kill:
 * @self: a process
 * @signum: a signal, such as `SIGTERM`
 *
 * Sends the process a signal.
 *
 * It never reaches another process that happens to have the same process ID. A process that was not
 * started yet never will be, whatever the signal. Does nothing once the process has ended. For one that was prepared
 * by another program see [ctor@Afrpc.Process.new_from_fd].
 *
 * Since: 1.0
 */
void
afrpc_process_kill (AfrpcProcess *self,
                    int           signum)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (signum > 0);

  if (afrpc_peer_check_thread (self->peer, G_STRFUNC))
    afrpc_peer_kill (self->peer, signum);
}

/**
 * afrpc_process_get_pid: (attributes org.gtk.Method.get_property=pid)
 * @self: a process
 *
 * Gets the process ID.
 *
 * Returns: the process ID, also after the end, or 0 before the process was started
 *
 * Since: 1.0
 */
int
afrpc_process_get_pid (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), 0);

  return afrpc_peer_get_pid (self->peer);
}

/**
 * afrpc_process_get_host: (attributes org.gtk.Method.get_property=host)
 * @self: a process
 *
 * Gets the host: a language, or the path of a program.
 *
 * Returns: (nullable): the host, or %NULL if the process is reached by a command
 *
 * Since: 1.0
 */
const char *
afrpc_process_get_host (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);

  return self->host;
}

/**
 * afrpc_process_get_start: (attributes org.gtk.Method.get_property=start)
 * @self: a process
 *
 * Gets how the process was started.
 *
 * Returns: the way
 *
 * Since: 1.0
 */
AfrpcStart
afrpc_process_get_start (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), AFRPC_START_NONE);

  return afrpc_peer_get_start (self->peer);
}

/**
 * afrpc_process_set_orphan_policy:
 * @self: a process that was neither started nor given its job
 * @policy: %AFRPC_ORPHAN_POLICY_END, the default, or another
 *
 * Sets what becomes of the process if the program dies without ending it.
 *
 * Since: 1.0
 */
void
afrpc_process_set_orphan_policy (AfrpcProcess      *self,
                                 AfrpcOrphanPolicy  policy)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (is_configurable (self));

  afrpc_peer_set_orphan_policy (self->peer, policy);
}

/**
 * afrpc_process_set_environ:
 * @self: a process that was neither started nor given its job
 * @environment: (array zero-terminated=1) (element-type filename): `NAME=value` strings
 *
 * Sets the environment of the process; without it, the process inherits the program's.
 *
 * Since: 1.0
 */
void
afrpc_process_set_environ (AfrpcProcess       *self,
                           const char * const *environment)
{
  char ***envp;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (environment != NULL);
  g_return_if_fail (is_configurable (self));

  envp = afrpc_peer_get_environ (self->peer);
  g_strfreev (*envp);
  *envp = g_strdupv ((char **) environment);
}

/**
 * afrpc_process_setenv:
 * @self: a process that was neither started nor given its job
 * @variable: (type filename): the name of an environment variable
 * @value: (type filename): its value
 * @overwrite: whether to replace a value that it has
 *
 * Sets one environment variable of the process.
 *
 * Since: 1.0
 */
void
afrpc_process_setenv (AfrpcProcess *self,
                      const char   *variable,
                      const char   *value,
                      gboolean      overwrite)
{
  char ***envp;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (variable != NULL && *variable != '\0' && strchr (variable, '=') == NULL);
  g_return_if_fail (value != NULL);
  g_return_if_fail (is_configurable (self));

  envp = afrpc_peer_get_environ (self->peer);
  *envp = g_environ_setenv (*envp, variable, value, overwrite);
}

/**
 * afrpc_process_unsetenv:
 * @self: a process that was neither started nor given its job
 * @variable: (type filename): the name of an environment variable
 *
 * Removes one environment variable of the process.
 *
 * Since: 1.0
 */
void
afrpc_process_unsetenv (AfrpcProcess *self,
                        const char   *variable)
{
  char ***envp;

  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (variable != NULL && *variable != '\0' && strchr (variable, '=') == NULL);
  g_return_if_fail (is_configurable (self));

  envp = afrpc_peer_get_environ (self->peer);
  *envp = g_environ_unsetenv (*envp, variable);
}

/**
 * afrpc_process_set_cwd:
 * @self: a process that was neither started nor given its job
 * @cwd: (type filename): a directory
 *
 * Sets the working directory of the process; without it, the process inherits the program's.
 *
 * If it cannot be entered, whatever waits for the process fails with %AFRPC_ERROR_SPAWN.
 *
 * Since: 1.0
 */
void
afrpc_process_set_cwd (AfrpcProcess *self,
                       const char   *cwd)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cwd != NULL);
  g_return_if_fail (is_configurable (self));

  afrpc_peer_set_cwd (self->peer, cwd);
}

/**
 * afrpc_process_set_limit:
 * @self: a process that was neither started nor given its job
 * @limit: what to limit
 * @value: to how much, in the unit of @limit
 *
 * Limits what the process can use, for good: it cannot raise the limit again.
 *
 * The limit is in force before anything is loaded. Processes that are forked from this one have it too, and
 * can be given a lower one. What exceeds it fails, or ends the process; then
 * [method@Afrpc.Exit.get_limit] tells which limit it was.
 *
 * A worker needs about 10 file descriptors and 10 MiB of address space for itself. What the process shares
 * with the program is not extended by it, and does not count as a file.
 *
 * If the limit cannot be set, because the program has a lower one itself, whatever waits for the process fails
 * with %AFRPC_ERROR_SPAWN.
 *
 * Since: 1.0
 */
void
afrpc_process_set_limit (AfrpcProcess *self,
                         AfrpcLimit    limit,
                         guint64       value)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (limit > AFRPC_LIMIT_NONE && limit <= AFRPC_LIMIT_FILE_SIZE);
  g_return_if_fail (is_configurable (self));

  afrpc_peer_set_limit (self->peer, limit, value);
}

/**
 * afrpc_process_set_nice:
 * @self: a process that was neither started nor given its job
 * @increment: what to add to the program's nice level, see nice(2): the more, the less processor time the
 *   process gets when others want it
 *
 * Has the process give way to others, or not.
 *
 * The sum is kept between -20 and 19. Processes that are forked from this one have the same level. Lowering a
 * level needs a privilege; without it, whatever waits for the process fails with %AFRPC_ERROR_SPAWN.
 *
 * Since: 1.0
 */
void
afrpc_process_set_nice (AfrpcProcess *self,
                        int           increment)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (increment >= -40 && increment <= 40);
  g_return_if_fail (is_configurable (self));

  afrpc_peer_set_nice (self->peer, increment);
}

static void
set_stdio (AfrpcProcess *self,
           int           i,
           AfrpcStdio    mode)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (mode <= (i == STDERR_FILENO ? AFRPC_STDIO_LOG : AFRPC_STDIO_SILENCE));
  g_return_if_fail (is_configurable (self));

  afrpc_peer_set_stdio (self->peer, i, mode);
}

static void
take_stdio_fd (AfrpcProcess *self,
               int           i,
               int           fd)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (fd >= 0);
  g_return_if_fail (is_configurable (self));

  afrpc_peer_take_stdio (self->peer, i, fd);
}

/**
 * afrpc_process_set_stdin:
 * @self: a process that was neither started nor given its job
 * @mode: %AFRPC_STDIO_SILENCE, the default, or %AFRPC_STDIO_INHERIT
 *
 * Sets what the process reads as standard input.
 *
 * Since: 1.0
 */
void
afrpc_process_set_stdin (AfrpcProcess *self,
                         AfrpcStdio    mode)
{
  set_stdio (self, STDIN_FILENO, mode);
}

/**
 * afrpc_process_set_stdout:
 * @self: a process that was neither started nor given its job
 * @mode: %AFRPC_STDIO_INHERIT, the default, or %AFRPC_STDIO_SILENCE
 *
 * Sets where the standard output of the process goes.
 *
 * Since: 1.0
 */
void
afrpc_process_set_stdout (AfrpcProcess *self,
                          AfrpcStdio    mode)
{
  set_stdio (self, STDOUT_FILENO, mode);
}

/**
 * afrpc_process_set_stderr:
 * @self: a process that was neither started nor given its job
 * @mode: %AFRPC_STDIO_TEE, the default, or another
 *
 * Sets where the standard error of the process goes.
 *
 * Unless it is captured, error messages cannot tell a dying worker's last words.
 *
 * Since: 1.0
 */
void
afrpc_process_set_stderr (AfrpcProcess *self,
                          AfrpcStdio    mode)
{
  set_stdio (self, STDERR_FILENO, mode);
}

/**
 * afrpc_process_take_stdin_fd:
 * @self: a process that was neither started nor given its job
 * @fd: a file descriptor, which becomes the process'
 *
 * Gives the process a file descriptor as standard input.
 *
 * Since: 1.0
 */
void
afrpc_process_take_stdin_fd (AfrpcProcess *self,
                             int           fd)
{
  take_stdio_fd (self, STDIN_FILENO, fd);
}

/**
 * afrpc_process_take_stdout_fd:
 * @self: a process that was neither started nor given its job
 * @fd: a file descriptor, which becomes the process'
 *
 * Gives the process a file descriptor as standard output.
 *
 * Since: 1.0
 */
void
afrpc_process_take_stdout_fd (AfrpcProcess *self,
                              int           fd)
{
  take_stdio_fd (self, STDOUT_FILENO, fd);
}

/**
 * afrpc_process_take_stderr_fd:
 * @self: a process that was neither started nor given its job
 * @fd: a file descriptor, which becomes the process'
 *
 * Gives the process a file descriptor as standard error, which is then not captured.
 *
 * Since: 1.0
 */
void
afrpc_process_take_stderr_fd (AfrpcProcess *self,
                              int           fd)
{
  take_stdio_fd (self, STDERR_FILENO, fd);
}
