/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process is started: its surroundings and limits, as long as it is not. */
#include "config.h"

#include "afrpc-process-private.h"

#include <string.h>
#include <unistd.h>

/* Whether it can still be said how the process is started, and this thread may say it. */
static gboolean
check_configurable (AfrpcProcess *self,
                    const char   *what)
{
  if (!afrpc_peer_check_thread (self->peer, what))
    return FALSE;
  if (afrpc_peer_is_configurable (self->peer))
    return TRUE;

  g_critical ("%s: this is said of a process before it gets its job, and before it is started", what);
  return FALSE;
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
  if (!check_configurable (self, G_STRFUNC))
    return;

  afrpc_peer_set_orphan_policy (self->peer, policy);
}

/**
 * afrpc_process_set_environ:
 * @self: a process that was neither started nor given its job
 * @environment: (array zero-terminated=1) (element-type filename): `NAME=value` strings
 *
 * Sets the environment of the process; without it, the process inherits that of the process that it is forked from,
 * or the program's, and one that is reached by [ssh][ctor@Afrpc.Process.new_ssh] has that which commands have there.
 *
 * Since: 1.0
 */
void
afrpc_process_set_environ (AfrpcProcess       *self,
                           const char * const *environment)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (environment != NULL);
  if (!check_configurable (self, G_STRFUNC))
    return;

  afrpc_peer_set_environ (self->peer, environment);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (variable != NULL && *variable != '\0' && strchr (variable, '=') == NULL);
  g_return_if_fail (value != NULL);
  if (!check_configurable (self, G_STRFUNC))
    return;

  afrpc_peer_setenv (self->peer, variable, value, overwrite);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (variable != NULL && *variable != '\0' && strchr (variable, '=') == NULL);
  if (!check_configurable (self, G_STRFUNC))
    return;

  afrpc_peer_unsetenv (self->peer, variable);
}

/**
 * afrpc_process_set_cwd:
 * @self: a process that was neither started nor given its job
 * @cwd: (type filename): a directory
 *
 * Sets the working directory of the process; without it, the process inherits that of the process that it is forked
 * from, or the program's, and one that is reached by [ssh][ctor@Afrpc.Process.new_ssh] begins in the user's home
 * directory.
 *
 * If it cannot be entered, whatever waits for the process fails with %AFRPC_ERROR_SPAWN; over ssh, with
 * %AFRPC_ERROR_NOT_A_HOST.
 *
 * Since: 1.0
 */
void
afrpc_process_set_cwd (AfrpcProcess *self,
                       const char   *cwd)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (cwd != NULL);
  if (!check_configurable (self, G_STRFUNC))
    return;

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
 * A worker needs about 10 file descriptors and, in C, 12 MiB of address space for itself, 16 MiB if its module is linked with
 * GIO; see [Limits](limits.html#of-a-worker-process) for other languages. With less it cannot be prepared, and says so:
 * %AFRPC_ERROR_SPAWN or %AFRPC_ERROR_MODULE. What the process shares with the program is not extended by it, and does not count
 * as a file.
 *
 * If the limit cannot be set, because the program has a lower one itself, or the process has more address space already,
 * whatever waits for the process fails with %AFRPC_ERROR_SPAWN.
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
  if (!check_configurable (self, G_STRFUNC))
    return;

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
  if (!check_configurable (self, G_STRFUNC))
    return;

  afrpc_peer_set_nice (self->peer, increment);
}

/**
 * afrpc_process_get_process_group: (attributes org.gtk.Method.get_property=process-group)
 * @self: a process
 *
 * Gets whether the process leads a process group of its own.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_process_get_process_group (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), FALSE);

  return afrpc_peer_leads_group (self->peer);
}

/**
 * afrpc_process_set_process_group: (attributes org.gtk.Method.set_property=process-group)
 * @self: a process that was neither started nor given its job
 * @process_group: whether it leads a process group of its own
 *
 * Has the process lead a process group, with all that it starts, see setpgid(2).
 *
 * The group is ended as one, with `SIGKILL`: when the process has ended, however it did, and, unless its orphan policy is
 * another one than %AFRPC_ORPHAN_POLICY_END, when the program has. Signals that are sent with
 * [method@Afrpc.Process.kill] go to all of it, and so does what [method@Afrpc.Caller.kill], or the limit of a pool, sends.
 * What has left the group lives on. What is typed on a terminal, such as Ctrl-C, does not reach it.
 *
 * By default a process is in the program's group, and what it starts is not ended with it.
 *
 * Processes that are forked from this one lead groups of their own. A process that others are forked from is only there for
 * them: what its modules start is not ended. A [command][ctor@Afrpc.Process.new_command] leads its group, which
 * what runs on another machine does not belong to.
 *
 * Since: 1.0
 */
void
afrpc_process_set_process_group (AfrpcProcess *self,
                                 gboolean      process_group)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  if (!check_configurable (self, G_STRFUNC) || afrpc_peer_leads_group (self->peer) == !!process_group)
    return;

  afrpc_peer_set_leads_group (self->peer, !!process_group);
  g_object_notify (G_OBJECT (self), "process-group");
}

/**
 * afrpc_process_get_send_modules: (attributes org.gtk.Method.get_property=send-modules)
 * @self: a process
 *
 * Gets whether modules are sent to the machine on which the process runs.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_process_get_send_modules (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), FALSE);

  return afrpc_peer_sends_modules (self->peer);
}

/**
 * afrpc_process_set_send_modules: (attributes org.gtk.Method.set_property=send-modules)
 * @self: a process that was neither started nor given its job
 * @send_modules: whether modules are sent
 *
 * Has modules sent to the machine on which the process runs, if [ssh][ctor@Afrpc.Process.new_ssh] leads there.
 *
 * Each module that is [required][method@Afrpc.Process.require] by a path, which is one with a slash in it, is a file of
 * this machine then: that file, alone, goes there, and is loaded from there; one by a name is found there, as without this.
 * It is kept in the user's folder of caches there, `afrpc` and its SHA-256, readable by the user only, and is not sent
 * again as long as it is there and unchanged. The file is read when a process is started, so that new workers of a
 * [pool][class@Afrpc.Pool] have what it is then. It may have 128 MiB.
 *
 * What the module needs besides, such as other files beside it, has to be there. A module that is required when the
 * process has been started is not sent any more.
 *
 * If the file cannot be read, whatever waits for the process fails with %AFRPC_ERROR_MODULE, if it is too large with
 * %AFRPC_ERROR_TOO_LARGE.
 *
 * Processes that are forked from this one do the same. Without ssh it means nothing.
 *
 * Since: 1.0
 */
void
afrpc_process_set_send_modules (AfrpcProcess *self,
                                gboolean      send_modules)
{
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  if (!check_configurable (self, G_STRFUNC) || afrpc_peer_sends_modules (self->peer) == !!send_modules)
    return;

  afrpc_peer_set_sends_modules (self->peer, !!send_modules);
  g_object_notify (G_OBJECT (self), "send-modules");
}

static void
set_stdio (AfrpcProcess *self,
           const char   *what,
           int           i,
           AfrpcStdio    mode)
{
  if (check_configurable (self, what))
    afrpc_peer_set_stdio (self->peer, i, mode);
}

static void
take_stdio_fd (AfrpcProcess *self,
               const char   *what,
               int           i,
               int           fd)
{
  if (check_configurable (self, what))
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (mode <= AFRPC_STDIO_SILENCE);

  set_stdio (self, G_STRFUNC, STDIN_FILENO, mode);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (mode <= AFRPC_STDIO_SILENCE);

  set_stdio (self, G_STRFUNC, STDOUT_FILENO, mode);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (mode <= AFRPC_STDIO_LOG);

  set_stdio (self, G_STRFUNC, STDERR_FILENO, mode);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (fd >= 0);

  take_stdio_fd (self, G_STRFUNC, STDIN_FILENO, fd);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (fd >= 0);

  take_stdio_fd (self, G_STRFUNC, STDOUT_FILENO, fd);
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
  g_return_if_fail (AFRPC_IS_PROCESS (self));
  g_return_if_fail (fd >= 0);

  take_stdio_fd (self, G_STRFUNC, STDERR_FILENO, fd);
}
