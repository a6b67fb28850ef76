/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process is prepared with. */
#include "config.h"

#include "afrpc-process-private.h"

#include <errno.h>

#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"

static gboolean
check_preparable (AfrpcProcess *self,
                  const char   *what)
{
  /* Also after it failed: that is told to those who wait. */
  if (afrpc_peer_get_role (self->peer) == AFRPC_ROLE_NONE)
    return TRUE;

  g_critical ("%s: a process is prepared before it gets its job: before a proxy is made for it, and before it is run or "
              "handed over", what);
  return FALSE;
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
  g_return_if_fail (module != NULL && g_utf8_validate (module, -1, NULL));
  if (!check_preparable (self, G_STRFUNC))
    return;
  if (!afrpc_peer_check_thread (self->peer, G_STRFUNC))
    return;

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
  if (!check_preparable (self, G_STRFUNC))
    return;
  if (!afrpc_peer_check_thread (self->peer, G_STRFUNC))
    return;

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
  if (!check_preparable (self, G_STRFUNC))
    return;
  if (!afrpc_peer_check_thread (self->peer, G_STRFUNC))
    return;

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
  if (!check_preparable (self, G_STRFUNC))
    return;
  if (!afrpc_peer_check_thread (self->peer, G_STRFUNC))
    return;

  if (self->argv != NULL)
    {
      afrpc_peer_fail_step (self->peer, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                                                     "'%s': file descriptors cannot be passed over a command", self->argv[0]));
      return;
    }

  copy = afrpc_low_fd_dup (fd);
  if (copy < 0)
    {
      const int saved_errno = errno;
      g_autofree char *doing = g_strdup_printf ("copying file descriptor %d", fd);

      errno = saved_errno;
      afrpc_peer_fail_step (self->peer, afrpc_peer_new_system_error (self->peer, AFRPC_ERROR_SPAWN, doing));
    }
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
 * evaluated, arguments and file descriptors are there. It begins in the environment and the working directory
 * that this process was started in, with its limits: what is set on this one goes for the new one, and what is
 * set on that comes on top. Its standard streams are its own. This process can go on being
 * prepared, be forked again, or be dropped; the new one lives on. It counts as started, though: its surroundings, such as
 * its environment, cannot be set any more.
 *
 * The program itself is never forked. Both processes are children of the program. Where forking is not
 * possible, because a module started a thread, the new process executes the host in the same surroundings and is
 * prepared anew; [property@Afrpc.Process:start] tells. Over a command, the command is run again. What was
 * [handed over][ctor@Afrpc.Process.new_from_fd] is not known here as it was prepared, so that it can only be forked.
 *
 * If this process could not be started for want of descriptors, memory or processes, the new one is executed and prepared anew:
 * there may be some by then.
 *
 * What was wrong with the preparation of this process, whatever waits for the new one fails with;
 * %AFRPC_ERROR_IN_USE if this process runs a function, or was handed over to another program; %AFRPC_ERROR_NOT_STARTED, or
 * the reason why it cannot be forked, if it was handed over to this one, or has been forked from what was, and cannot be
 * forked any more.
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
