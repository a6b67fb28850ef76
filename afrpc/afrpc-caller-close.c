/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a caller ends that says nothing of it itself. */
#include "config.h"

#include "afrpc-caller.h"

#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "peer/afrpc-task.h"

static GQuark destroyed_quark; /* marks a caller that has been destroyed, and does not know that itself */
static GQuark closed_quark;    /* and one that has been closed */
static GQuark tasks_quark;     /* those who wait for the end of one that does not see to that itself */

/* FALSE: it has been closed before. Of a caller of our own nothing is noted, which knows by itself. */
gboolean
afrpc_caller_mark_closed (AfrpcCaller *self)
{
  if (AFRPC_CALLER_GET_IFACE (self)->own != NULL)
    return TRUE;
  if (afrpc_caller_is_marked_closed (self))
    return FALSE;

  g_object_set_qdata (G_OBJECT (self), closed_quark, self);

  return TRUE;
}

gboolean
afrpc_caller_is_marked_closed (AfrpcCaller *self)
{
  return g_object_get_qdata (G_OBJECT (self), closed_quark) != NULL;
}

static void close_async_default (AfrpcCaller         *self,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data);

/* The class handler of "destroyed", however that is emitted. */
void
afrpc_caller_mark_destroyed (AfrpcCaller *self)
{
  AfrpcCallerInterface *iface = AFRPC_CALLER_GET_IFACE (self);

  if (iface->own == NULL || iface->close_async == close_async_default)
    g_object_set_qdata (G_OBJECT (self), destroyed_quark, self);
  afrpc_caller_tell_closed (self);
}

gboolean
afrpc_caller_is_marked_destroyed (AfrpcCaller *self)
{
  return g_object_get_qdata (G_OBJECT (self), destroyed_quark) != NULL;
}

/* Whether it belongs to the process that this one was forked from, in which nothing is done with it. */
gboolean
afrpc_caller_is_inherited (AfrpcCaller *self)
{
  const AfrpcCallerOwn *own = AFRPC_CALLER_GET_IFACE (self)->own;

  return own != NULL && own->is_inherited (self);
}

static void
close_default (AfrpcCaller *self)
{
  afrpc_caller_emit_destroyed (self);
}

static void
tasks_free (gpointer tasks)
{
  g_queue_free_full (tasks, g_object_unref);
}

/* Returns: (element-type GTask) (transfer none): those who wait for its end */
static GQueue *
get_tasks (AfrpcCaller *self)
{
  GQueue *tasks = g_object_get_qdata (G_OBJECT (self), tasks_quark);

  if (tasks == NULL)
    {
      tasks = g_queue_new ();
      g_object_set_qdata_full (G_OBJECT (self), tasks_quark, tasks, tasks_free);
    }

  return tasks;
}

static gboolean
closed_cb (gpointer task)
{
  g_task_return_boolean (task, TRUE);

  return G_SOURCE_REMOVE;
}

/* It is over: those who wait for that are told, each from the main context by himself, who may run that until the next has
 * been told. FALSE: nobody waits. */
gboolean
afrpc_caller_tell_closed (AfrpcCaller *self)
{
  GQueue *tasks = g_object_get_qdata (G_OBJECT (self), tasks_quark);
  const gboolean has_any = tasks != NULL && tasks->length > 0;
  GTask *task;

  while (has_any && (task = g_queue_pop_head (tasks)) != NULL)
    {
      afrpc_task_unwatch (task);
      afrpc_call_attach_news (g_task_get_context (task), "[afrpc] caller closed", closed_cb, task, g_object_unref);
    }

  return has_any;
}

static gboolean
close_cancelled_cb (GCancellable *cancellable,
                    gpointer      data)
{
  g_autoptr(GTask) task = data;

  g_queue_remove (get_tasks (g_task_get_source_object (task)), task);
  g_task_return_error_if_cancelled (task);
  afrpc_task_unwatch (task);

  return G_SOURCE_REMOVE;
}

static void
close_async_default (AfrpcCaller         *self,
                     GCancellable        *cancellable,
                     GAsyncReadyCallback  callback,
                     gpointer             user_data)
{
  g_autoptr(GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, close_async_default);
  g_task_set_check_cancellable (task, FALSE);
  if (!afrpc_caller_may_use (self, "closing a caller"))
    {
      g_task_return_new_error (task, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                               "another thread runs the main context that the caller belongs to");
      return;
    }
  if (afrpc_caller_is_marked_destroyed (self) || afrpc_caller_is_inherited (self))
    {
      g_task_return_boolean (task, TRUE);
      return;
    }

  g_queue_push_tail (get_tasks (self), g_object_ref (task));
  afrpc_task_watch (task, G_SOURCE_FUNC (close_cancelled_cb), task, NULL);
  afrpc_caller_close (self);
}

static gboolean
close_finish_default (AfrpcCaller   *self,
                      GAsyncResult  *result,
                      GError       **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, close_async_default), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
wake_up_cb (GCancellable *cancellable,
            gpointer      context)
{
  g_main_context_wakeup (context);
}

static gboolean
close_sync_default (AfrpcCaller   *self,
                    GCancellable  *cancellable,
                    GError       **error)
{
  GMainContext *context = g_main_context_get_thread_default ();
  gulong id = 0;

  if (cancellable != NULL)
    id = g_signal_connect (cancellable, "cancelled", G_CALLBACK (wake_up_cb), context);
  afrpc_caller_close (self);
  while (!afrpc_caller_is_marked_destroyed (self) && !g_cancellable_is_cancelled (cancellable))
    g_main_context_iteration (context, TRUE);
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);

  return afrpc_caller_is_marked_destroyed (self) || !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static void
kill_default (AfrpcCaller *self)
{
  afrpc_caller_close (self);
}

/* Fills in what an implementation may leave out. */
void
afrpc_caller_init_close (AfrpcCallerInterface *iface)
{
  destroyed_quark = g_quark_from_static_string ("afrpc-caller-destroyed");
  closed_quark = g_quark_from_static_string ("afrpc-caller-closed");
  tasks_quark = g_quark_from_static_string ("afrpc-caller-tasks");
  iface->close = close_default;
  iface->close_async = close_async_default;
  iface->close_finish = close_finish_default;
  iface->close_sync = close_sync_default;
  iface->kill = kill_default;
}
