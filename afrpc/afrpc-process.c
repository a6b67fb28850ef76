/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-process.h"

#include "afrpc-enum-types.h"
#include "afrpc-error.h"
#include "afrpc-exit.h"
#include "afrpc-process-private.h"
#include "peer/afrpc-self-private.h"
#include "peer/afrpc-ssh.h"

#define DEFAULT_HOST "c"

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
 * more. One that is dropped before is ended, unless somebody [waits for its end][method@Afrpc.Process.wait_async].
 *
 * ## Environment
 *
 * A process is started with default signal handling, an empty signal mask and no file descriptors
 * but its socket, what it sees the program's death by, and its standard streams. Its standard input is
 * `/dev/null`, its standard output the program's; its standard error is passed on to the program's, and
 * its last lines are kept for error messages.
 *
 * ## Main context and threads
 *
 * A process belongs to the thread-default main context of the thread that made it: there callbacks
 * and signals come, and only that thread may use it. Only the last reference may be dropped on any
 * thread.
 *
 * Since: 1.0
 */

enum
{
  PROP_HOST = 1,
  PROP_ARGV,
  PROP_DESTINATION,
  PROP_SSH_OPTIONS,
  PROP_SEND_MODULES,
  PROP_USE_TEMPLATE,
  PROP_TEMPLATE,
  PROP_FD,
  PROP_PIDFD,
  PROP_PID,
  PROP_START,
  PROP_PROCESS_GROUP,
  N_PROPS,
};

enum
{
  SIGNAL_EXITED,
  SIGNAL_NOTIFY, /* of GObject */
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

static void
process_notify (gpointer process)
{
  AfrpcProcess *self = AFRPC_PROCESS (process);
  const int pid = afrpc_process_get_pid (self);
  const AfrpcStart start = afrpc_process_get_start (self);
  const gboolean has_host = afrpc_process_get_host (self) != NULL;

  g_object_freeze_notify (process);
  if (pid != self->notified_pid)
    g_object_notify_by_pspec (process, props[PROP_PID]);
  if (start != self->notified_start)
    g_object_notify_by_pspec (process, props[PROP_START]);
  if (has_host != self->notified_host)
    g_object_notify_by_pspec (process, props[PROP_HOST]);
  self->notified_pid = pid;
  self->notified_start = start;
  self->notified_host = has_host;
  g_object_thaw_notify (process);
}

/* Of any property, or of all. */
static gboolean
process_is_notified (gpointer process)
{
  return g_signal_handler_find (process, G_SIGNAL_MATCH_ID, signals[SIGNAL_NOTIFY], 0, NULL, NULL, NULL) != 0;
}

static const AfrpcPeerProcessFuncs process_funcs = { process_exited, process_notify, process_is_notified };

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

  /* Who was prepared elsewhere says itself what it is. */
  if (self->host == NULL && self->fd < 0)
    self->host = g_strdup (DEFAULT_HOST);

  if (self->template != NULL)
    {
      g_free (self->host);
      self->host = g_strdup (self->template->host);
      g_strfreev (self->argv);
      self->argv = g_strdupv (self->template->argv);
      g_free (self->destination);
      self->destination = g_strdup (self->template->destination);
      g_strfreev (self->ssh_options);
      self->ssh_options = g_strdupv (self->template->ssh_options);
      self->peer = afrpc_peer_new_fork (self->template->peer);
      g_clear_object (&self->template);
    }
  else if (self->destination != NULL)
    {
      g_strfreev (self->argv);
      self->argv = afrpc_ssh_new_argv (self->destination, (const char *const *) self->ssh_options);
      self->peer = afrpc_peer_new_ssh (self->destination, self->host, (const char *const *) self->argv);
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
  self->notified_host = afrpc_process_get_host (self) != NULL;
}

static void
afrpc_process_dispose (GObject *object)
{
  AfrpcProcess *self = AFRPC_PROCESS (object);

  if (self->peer != NULL)
    afrpc_peer_set_process (self->peer, NULL, &process_funcs);

  G_OBJECT_CLASS (afrpc_process_parent_class)->dispose (object);
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
  g_clear_pointer (&self->destination, g_free);
  g_clear_pointer (&self->ssh_options, g_strfreev);

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
      g_value_set_string (value, afrpc_process_get_host (self));
      break;

    case PROP_ARGV:
      g_value_set_boxed (value, self->argv);
      break;

    case PROP_DESTINATION:
      g_value_set_string (value, self->destination);
      break;

    case PROP_SSH_OPTIONS:
      g_value_set_boxed (value, self->ssh_options);
      break;

    case PROP_SEND_MODULES:
      g_value_set_boolean (value, afrpc_peer_sends_modules (self->peer));
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

    case PROP_PROCESS_GROUP:
      g_value_set_boolean (value, afrpc_peer_leads_group (self->peer));
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
      break;

    case PROP_ARGV:
      self->argv = g_value_dup_boxed (value);
      if (self->argv != NULL && self->argv[0] == NULL)
        g_clear_pointer (&self->argv, g_strfreev);
      break;

    case PROP_DESTINATION:
      self->destination = g_value_dup_string (value);
      break;

    case PROP_SSH_OPTIONS:
      self->ssh_options = g_value_dup_boxed (value);
      break;

    case PROP_SEND_MODULES:
      afrpc_process_set_send_modules (self, g_value_get_boolean (value));
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

    case PROP_PROCESS_GROUP:
      afrpc_process_set_process_group (self, g_value_get_boolean (value));
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
  object_class->dispose = afrpc_process_dispose;
  object_class->finalize = afrpc_process_finalize;
  object_class->get_property = afrpc_process_get_property;
  object_class->set_property = afrpc_process_set_property;

  /**
   * AfrpcProcess:host: (attributes org.gtk.Property.get=afrpc_process_get_host)
   *
   * The host program: the name of a language, such as `c`, or the path of an executable, there where the process runs. %NULL
   * for a process over a command other than [ssh][ctor@Afrpc.Process.new_ssh]; and for one that was
   * [prepared elsewhere][ctor@Afrpc.Process.new_from_fd] and may be of any host, until that has said what it is.
   *
   * Since: 1.0
   */
  props[PROP_HOST] =
    g_param_spec_string ("host", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:argv:
   *
   * The command whose standard input and output lead to a host, with its arguments; %NULL to start a host. With a
   * [property@Afrpc.Process:destination] it is that which leads there.
   *
   * Since: 1.0
   */
  props[PROP_ARGV] =
    g_param_spec_boxed ("argv", NULL, NULL, G_TYPE_STRV,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:destination: (attributes org.gtk.Property.get=afrpc_process_get_destination)
   *
   * Where ssh leads to, if the process [runs on another machine][ctor@Afrpc.Process.new_ssh].
   *
   * Since: 1.0
   */
  props[PROP_DESTINATION] =
    g_param_spec_string ("destination", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:ssh-options:
   *
   * What ssh is told besides, see [ctor@Afrpc.Process.new_ssh].
   *
   * Since: 1.0
   */
  props[PROP_SSH_OPTIONS] =
    g_param_spec_boxed ("ssh-options", NULL, NULL, G_TYPE_STRV,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:send-modules: (attributes org.gtk.Property.get=afrpc_process_get_send_modules org.gtk.Property.set=afrpc_process_set_send_modules)
   *
   * Whether modules are sent to another machine: see [method@Afrpc.Process.set_send_modules].
   *
   * Since: 1.0
   */
  props[PROP_SEND_MODULES] =
    g_param_spec_boolean ("send-modules", NULL, NULL, FALSE,
                          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);

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
   * The process ID, or 0 before the process was started. Like [property@Afrpc.Process:start], it notifies from the main
   * context, before anything else is heard of the process.
   *
   * Since: 1.0
   */
  props[PROP_PID] =
    g_param_spec_int ("pid", NULL, NULL, 0, G_MAXINT, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * AfrpcProcess:process-group: (attributes org.gtk.Property.get=afrpc_process_get_process_group org.gtk.Property.set=afrpc_process_set_process_group)
   *
   * Whether the process leads a process group of its own, which ends with it: see
   * [method@Afrpc.Process.set_process_group].
   *
   * Since: 1.0
   */
  props[PROP_PROCESS_GROUP] =
    g_param_spec_boolean ("process-group", NULL, NULL, FALSE,
                          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);

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
  signals[SIGNAL_NOTIFY] = g_signal_lookup ("notify", G_TYPE_OBJECT);
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
 * other than the first to use it, and in workers of this kind, the program is executed instead, once, to be their template.
 *
 * Under valgrind neither this nor [ctor@Afrpc.Process.new_self_exec] works: it says "You cannot run '/proc/self/exe'".
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
 * @host: (nullable): the language of the worker, `c`, `python`, `gjs`, `perl` or another that has a host, or the path of a
 *   host program; %NULL for `c`
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
 * a signal that is asked for earlier is sent then, the last one if there are several, and SIGKILL if that is among them.
 * Without @pidfd its process ID stays 0: `SIGKILL` only closes the connection, so that it ends when it next looks there, and
 * other signals reach nobody; nor is there a pidfd to hand over where the kernel, or a sandbox, has none. The pidfd of a process
 * that has ended and was reaped counts as none.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_FAILED if @pidfd is no pidfd, with
 * %AFRPC_ERROR_PROTOCOL if it is that of another process, which is left alone, and with %AFRPC_ERROR_NOT_A_HOST if the
 * process is of another host than @host. What is forked from one whose @pidfd is another's fails as well, with
 * %AFRPC_ERROR_PROTOCOL; if that was asked for before it has said anything, with %AFRPC_ERROR_NOT_STARTED, or not at all if it
 * has been forked by then.
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
 * For instance `bwrap` or `systemd-run --pipe`, and a host within; for other machines there is
 * [ctor@Afrpc.Process.new_ssh]. The command is looked for in the directories of `PATH`. What a host is prepared with is
 * found where the host runs; proxies, calls, results, events, errors and time limits are the same.
 *
 * These are different:
 *
 * - File descriptors cannot be passed: after [method@Afrpc.Process.send_fd] whatever waits for the process
 *   fails with %AFRPC_ERROR_NOT_SUPPORTED; [property@Afrpc.Proxy:socket] is %NULL.
 * - What a function that takes the process over gets is a socket too, but one that the host copies from and to its
 *   standard input and output. The program that closes its end is like one that has died: it shuts down only what it writes
 *   to, until the function has finished, or sets [method@Afrpc.Process.set_orphan_policy].
 * - [method@Afrpc.Process.fork] runs the command again and prepares the new process like this one.
 * - Process ID, environment, working directory, [method@Afrpc.Process.kill] and [struct@Afrpc.Exit] are the
 *   command's. Its standard input and output are the connection, whatever is set; in the worker, standard
 *   input is `/dev/null`, and standard output is what standard error is.
 * - The host tells how the worker ended. If it cannot, because the connection broke or the command was
 *   killed, nobody knows which calls were started: those that waited fail with %AFRPC_ERROR_DIED.
 * - A command that goes on after its host has ended, as `sh -c 'afrpc host c; sleep 1000'` does, is waited for when its
 *   proxy is closed: that may be for ever. Calls of a worker that has died are not: they fail 0.1 s after that at the latest,
 *   without an exit then, and the command is killed 3 s later.
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
 * Returns: (nullable): the host, or %NULL if the process is reached by a command, or not known yet; see
 *   [property@Afrpc.Process:host]
 *
 * Since: 1.0
 */
const char *
afrpc_process_get_host (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);

  return self->host != NULL ? self->host : afrpc_peer_get_host (self->peer);
}

/**
 * afrpc_process_get_main_context:
 * @self: a process
 *
 * Gets the main context that the process, and its proxy, belong to: the thread-default one of the thread that made it,
 * when it did.
 *
 * Returns: (transfer none) (nullable): the context, or %NULL if it has gone
 *
 * Since: 1.0
 */
GMainContext *
afrpc_process_get_main_context (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);

  return afrpc_peer_get_main_context (self->peer);
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
