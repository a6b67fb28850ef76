/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who waits for a peer without being a call: for its connection, the end of its process, that of the conversation. */
#include "config.h"

#include "peer/afrpc-peer.h"

#include <signal.h>

#include "peer/afrpc-peer-parts.h"
#include "peer/afrpc-task.h"

static void
watch_task (AfrpcPeer   *self,
            GTask       *task,
            GSourceFunc  func)
{
  afrpc_task_watch (task, func, afrpc_peer_ref (self), (GDestroyNotify) afrpc_peer_unref);
}

static gboolean
connection_cancelled_cb (GCancellable *cancellable,
                         gpointer      user_data)
{
  AfrpcPeer *self = user_data;

  if (self->connection_task != NULL)
    {
      g_autoptr(GTask) task = g_steal_pointer (&self->connection_task);

      afrpc_peer_kill (self, SIGKILL);
      g_task_return_error_if_cancelled (task);
      afrpc_task_unwatch (task);
    }

  return G_SOURCE_REMOVE;
}

/* @task (transfer full) gets the connection: once the function is ready to take it, or once all is written that the
 * process is prepared with. */
void
afrpc_peer_await_connection (AfrpcPeer *self,
                             GTask     *task)
{
  self->connection_task = task;
  watch_task (self, task, G_SOURCE_FUNC (connection_cancelled_cb));
  afrpc_peer_attend (self);
}

static void
return_cancelled (GPtrArray *tasks)
{
  for (guint i = tasks->len; i-- > 0;)
    if (g_cancellable_is_cancelled (g_task_get_cancellable (tasks->pdata[i])))
      {
        g_autoptr(GTask) task = g_ptr_array_steal_index (tasks, i);

        g_task_return_error_if_cancelled (task);
        afrpc_task_unwatch (task);
        return;
      }
}

static gboolean
exit_cancelled_cb (GCancellable *cancellable,
                   gpointer      user_data)
{
  return_cancelled (((AfrpcPeer *) user_data)->exit_tasks);

  return G_SOURCE_REMOVE;
}

static gboolean
close_cancelled_cb (GCancellable *cancellable,
                    gpointer      user_data)
{
  return_cancelled (((AfrpcPeer *) user_data)->close_tasks);

  return G_SOURCE_REMOVE;
}

static void
return_exit (AfrpcPeer *self,
             GTask     *task)
{
  afrpc_task_unwatch (task);
  if (self->body.exit != NULL)
    g_task_return_pointer (task, afrpc_exit_ref (self->body.exit), (GDestroyNotify) afrpc_exit_unref);
  else
    g_task_return_error (task, g_error_copy (self->talk.failure));
}

static void
give_exit (GTask    *task,
           gpointer  peer)
{
  return_exit (peer, task);
}

static void
give_true (GTask    *task,
           gpointer  peer)
{
  g_task_return_boolean (task, TRUE);
}

/* Of what has been decided: at once, or behind what was not told yet, such as the outcomes of calls, which may be made
 * after the end too. */
static void
return_in_turn (AfrpcPeer       *self,
                GTask           *task, /* (transfer full) */
                AfrpcNewsReturn  give)
{
  if (!afrpc_news_is_empty (&self->news))
    {
      afrpc_news_push_task (&self->news, task, give, self);
      return;
    }

  give (task, self);
  g_object_unref (task);
}

/* @task (transfer full) gets the exit of the process once that has been told to others, or why there is none. */
void
afrpc_peer_await_exit (AfrpcPeer *self,
                       GTask     *task)
{
  if (afrpc_news_has_decided (&self->news, AFRPC_NEWS_EXITED))
    {
      return_in_turn (self, task, give_exit);
      return;
    }

  g_ptr_array_add (self->exit_tasks, task);
  watch_task (self, task, G_SOURCE_FUNC (exit_cancelled_cb));
}

/* @task (transfer full) returns TRUE once the conversation is over. */
void
afrpc_peer_await_close (AfrpcPeer *self,
                        GTask     *task)
{
  if (afrpc_news_has_decided (&self->news, AFRPC_NEWS_CLOSED))
    {
      return_in_turn (self, task, give_true);
      return;
    }

  g_ptr_array_add (self->close_tasks, task);
  watch_task (self, task, G_SOURCE_FUNC (close_cancelled_cb));
}

void
afrpc_peer_tell_exit_tasks (AfrpcPeer *self)
{
  g_autoptr(GPtrArray) tasks = g_steal_pointer (&self->exit_tasks);

  self->exit_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < tasks->len; i++)
    return_exit (self, tasks->pdata[i]);
}

void
afrpc_peer_tell_close_tasks (AfrpcPeer *self)
{
  g_autoptr(GPtrArray) tasks = g_steal_pointer (&self->close_tasks);

  self->close_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < tasks->len; i++)
    {
      afrpc_task_unwatch (tasks->pdata[i]);
      g_task_return_boolean (tasks->pdata[i], TRUE);
    }
}
