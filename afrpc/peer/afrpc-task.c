/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-task.h"

static void
destroy_source (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

/* Has @func, a GCancellableSourceFunc, called with @data from the task's context when it is cancelled. The task has no data
 * but that. */
void
afrpc_task_watch (GTask          *task,
                  GSourceFunc     func,
                  gpointer        data,
                  GDestroyNotify  destroy)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  GSource *source;

  if (cancellable == NULL)
    {
      if (destroy != NULL)
        destroy (data);
      return;
    }

  source = g_cancellable_source_new (cancellable);
  g_source_set_static_name (source, "[afrpc] wait cancelled");
  g_source_set_callback (source, func, data, destroy);
  g_source_attach (source, g_task_get_context (task));
  g_task_set_task_data (task, source, destroy_source);
}

/* What it waited for has come. */
void
afrpc_task_unwatch (GTask *task)
{
  g_task_set_task_data (task, NULL, NULL);
}
