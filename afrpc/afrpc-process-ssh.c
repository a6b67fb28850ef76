/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes on other machines. */
#include "config.h"

#include "afrpc-process-private.h"

/**
 * afrpc_process_new_ssh:
 * @destination: where to: what `ssh` takes, such as `machine`, `user@machine` or `ssh://user@machine:port`
 * @host: (nullable): the language of the worker, or the path of a host program there; %NULL for `c`
 * @options: (nullable) (array zero-terminated=1): what to tell `ssh` besides, see ssh(1), such as `-i` and the file of a
 *   key; %NULL for nothing
 *
 * Makes a process that runs on another machine, which is reached by ssh.
 *
 * There, `afrpc` has to be installed, in the `PATH` that commands have which ssh runs; and the user has to be let in
 * without being asked for anything: nobody is there to answer. How ssh gets there is said in ssh_config(5), or by @options,
 * of which more than what is said here counts. A shared connection (`ControlMaster`) is used where that file wants it. It
 * is a [command][ctor@Afrpc.Process.new_command], with all that is different about those, but:
 *
 * - Environment and working directory are those of the worker, there, as they are set. They do not pass a shell, and are in
 *   no list of processes.
 * - Modules by name or path are found there.
 * - What start-up files of the shell there print, 64 KiB at most, does no harm.
 * - Nothing is sent to the worker before somebody has answered there: if nobody does, no call was started.
 * - A network that is dead is noticed within 15 s, whoever sends: ssh asks the other end after each 5 s of silence, and
 *   gives up when it has not answered to the second time. `-oServerAliveInterval` and `-oServerAliveCountMax` in @options
 *   say something else; where a connection is shared, who has made it does. A machine that does not answer at all is given
 *   up after 10 s, `-oConnectTimeout`; one that lets somebody in, and then does not get any further, after 30 s.
 * - A process that is forked from it is another connection, and has its environment and directory but for its own.
 *
 * Whatever waits for the process fails with %AFRPC_ERROR_UNREACHABLE if ssh does not get there or is not let in, with
 * %AFRPC_ERROR_NO_HOST if there is no `afrpc`, with %AFRPC_ERROR_VERSION if that is of an incompatible version, and with
 * %AFRPC_ERROR_NOT_A_HOST if it cannot be the host that is asked for, in the directory that is set. The message has the
 * destination, ssh's own last words, and what to do.
 *
 * Returns: (transfer full): a process
 *
 * Since: 1.0
 */
AfrpcProcess *
afrpc_process_new_ssh (const char         *destination,
                       const char         *host,
                       const char * const *options)
{
  g_return_val_if_fail (destination != NULL && *destination != '\0' && *destination != '-', NULL);

  return g_object_new (AFRPC_TYPE_PROCESS, "destination", destination, "host", host, "ssh-options", options, NULL);
}

/**
 * afrpc_process_get_destination: (attributes org.gtk.Method.get_property=destination)
 * @self: a process
 *
 * Gets where ssh leads to.
 *
 * Returns: (nullable): what [ctor@Afrpc.Process.new_ssh] was given, or %NULL if the process was made otherwise
 *
 * Since: 1.0
 */
const char *
afrpc_process_get_destination (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), NULL);

  return self->destination;
}

/**
 * afrpc_process_get_n_processors:
 * @self: a process
 *
 * Gets how many processors there are on the machine of the process, that it may use when it is started.
 *
 * Another machine says so once it is [reached][ctor@Afrpc.Process.new_ssh]: it is known when the process is ready. Then a
 * [pool][method@Afrpc.Pool.add_template] can be told to have as many workers there.
 *
 * Returns: the number, or 0 if it is not known yet
 *
 * Since: 1.0
 */
guint
afrpc_process_get_n_processors (AfrpcProcess *self)
{
  g_return_val_if_fail (AFRPC_IS_PROCESS (self), 0);

  return afrpc_peer_get_n_processors (self->peer);
}
