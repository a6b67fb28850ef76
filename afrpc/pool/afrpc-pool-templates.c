/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Several templates in one pool, as the program has them. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-process-private.h"

/* The property is what the first one was added as. */
void
afrpc_pool_take_first (AfrpcPool *self)
{
  const AfrpcPoolTemplate *first = self->core->templates->len > 0 ? self->core->templates->pdata[0] : NULL;

  if (first != NULL && g_set_object (&self->process, first->added))
    g_object_notify_by_pspec (G_OBJECT (self), afrpc_pool_props[AFRPC_POOL_PROP_PROCESS]);
}

/**
 * afrpc_pool_add_template:
 * @self: a pool
 * @process: a prepared process, which runs nothing yet: what workers are made from
 * @max_workers: how many of these there may be at once, or 0 for as many as the pool may have
 * @load: how many calls one of them may have at once, at most 65536, or 0 for as many as the pool says
 * @weight: its share of the workers, relative to those of others; 0 is 1
 *
 * Has workers made from another process as well.
 *
 * Processes of all kinds may be in one pool: templates that are forked, hosts that are executed, and
 * those that [ssh][ctor@Afrpc.Process.new_ssh] runs on other machines. What is called has to be there in all of them,
 * under the same name and with the same backend. There may be up to [property@Afrpc.Pool:max-workers] workers of all
 * kinds; a call goes to the one that has least of what it may have.
 *
 * When another worker is needed, it is made from the process that is furthest below its share by weight, of those that have
 * not reached @max_workers. If those that start take longer than [property@Afrpc.Pool:start-delay-ms], and half a second,
 * another process gets its turn. Workers that there are stay what they are.
 *
 * A process whose workers end without having served a call is left out for longer and longer, up to 10 s, and one that
 * cannot work at all, because a module or the command is not there, for good: until it is
 * [refreshed][method@Afrpc.Pool.refresh]. Meanwhile the others have the work. The pool has
 * [failed][method@Afrpc.Pool.get_failure] once all of them have; then, this makes it begin anew.
 *
 * If @process is one that the pool has, it gets these numbers: so does the one that the pool was made with. It has to
 * belong to the main context of the pool. Does nothing once the pool was killed.
 *
 * Since: 1.0
 */
void
afrpc_pool_add_template (AfrpcPool    *self,
                         AfrpcProcess *process,
                         guint         max_workers,
                         guint         load,
                         guint         weight)
{
  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (AFRPC_IS_PROCESS (process));
  g_return_if_fail (load <= AFRPC_POOL_LOAD_MAX);
  g_return_if_fail (afrpc_peer_get_main_context (afrpc_process_get_peer (process)) ==
                    afrpc_peer_get_main_context (self->core->anchor));

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL) || self->core->state >= AFRPC_POOL_KILLED ||
      self->core->templates->len == 0)
    return;

  afrpc_pool_staff_add (self->core, process, max_workers, load, weight);
}

/**
 * afrpc_pool_remove_template:
 * @self: a pool
 * @process: what workers are made from
 *
 * Has no more workers made from a process. Those that there are get no more calls, finish those that they have, and end.
 *
 * The last one cannot be removed; [method@Afrpc.Pool.refresh] replaces it. If it was the first one,
 * [property@Afrpc.Pool:process] is the next from now on. If all that are left have failed, the pool
 * [has][method@Afrpc.Pool.get_failure].
 *
 * Returns: %TRUE if it was removed, %FALSE if the pool has no such process, or no other
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_remove_template (AfrpcPool    *self,
                            AfrpcProcess *process)
{
  AfrpcPoolTemplate *template;

  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (AFRPC_IS_PROCESS (process), FALSE);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return FALSE;

  template = afrpc_pool_template_find (self->core, process);
  if (template == NULL || self->core->templates->len == 1)
    return FALSE;

  afrpc_pool_staff_remove (self->core, template);
  afrpc_pool_take_first (self);

  return TRUE;
}

/**
 * afrpc_pool_get_n_template_workers:
 * @self: a pool
 * @process: what workers are made from
 *
 * Gets how many workers there are that were made from a process and get calls, or are going to.
 *
 * Returns: the number, 0 if the pool has no such process
 *
 * Since: 1.0
 */
guint
afrpc_pool_get_n_template_workers (AfrpcPool    *self,
                                   AfrpcProcess *process)
{
  const AfrpcPoolTemplate *template;

  g_return_val_if_fail (AFRPC_IS_POOL (self), 0);
  g_return_val_if_fail (AFRPC_IS_PROCESS (process), 0);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return 0;

  template = afrpc_pool_template_find (self->core, process);

  return template != NULL ? template->n_live : 0;
}

/**
 * afrpc_pool_get_template_failure:
 * @self: a pool
 * @process: what workers are made from
 *
 * Gets why a process is left out while others have the work: what its last worker failed with.
 *
 * Returns: (transfer none) (nullable): an error, or %NULL if nothing of that kind has happened since a worker of it has
 *   served a call
 *
 * Since: 1.0
 */
const GError *
afrpc_pool_get_template_failure (AfrpcPool    *self,
                                 AfrpcProcess *process)
{
  const AfrpcPoolTemplate *template;

  g_return_val_if_fail (AFRPC_IS_POOL (self), NULL);
  g_return_val_if_fail (AFRPC_IS_PROCESS (process), NULL);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return NULL;

  template = afrpc_pool_template_find (self->core, process);

  return template != NULL ? template->failure : NULL;
}
