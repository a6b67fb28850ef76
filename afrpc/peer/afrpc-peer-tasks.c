/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who waits for a peer without being a call: for its connection, the end of its process, that of the conversation. */
#include "config.h"

#include "peer/afrpc-peer.h"

#include <signal.h>

#include "peer/afrpc-peer-parts.h"
#include "peer/afrpc-task.h"

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

/* One who waits for an end, for as long as he is in the queue. */
typedef struct
{
  AfrpcPeer *peer; /* (owned): whose queue it is */
  GQueue *tasks;
  GList *link;
} AwaitedEnd;

static void
awaited_end_free (AwaitedEnd *self)
{
  afrpc_peer_unref (self->peer);
  g_free (self);
}

static gboolean
end_cancelled_cb (GCancellable *cancellable,
                  gpointer      user_data)
{
  const AwaitedEnd *waiting = user_data;
  g_autoptr(GTask) task = waiting->link->data;

  g_queue_delete_link (waiting->tasks, waiting->link);
  g_task_return_error_if_cancelled (task);
  afrpc_task_unwatch (task);

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
give_failure (GTask    *task,
              gpointer  peer)
{
  g_task_return_error (task, g_error_copy (((AfrpcPeer *) peer)->talk.failure));
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

/* Nobody is told of what is decided any more: it is over, for who comes then. */
static void
return_without_context (AfrpcPeer       *self,
                        GTask           *task, /* (transfer full) */
                        AfrpcNewsReturn  give)
{
  afrpc_peer_end_without_context (self);
  give (task, self);
  g_object_unref (task);
}

/* Returns: when the main context has begun what it is doing now: monotonic time in microseconds, or 0 */
static gint64
get_iteration_time (void)
{
  GSource *source = g_main_current_source ();

  return source != NULL ? g_source_get_time (source) : 0;
}

static void
await_end (AfrpcPeer     *self,
           AfrpcEndTasks *waiting,
           GTask         *task) /* (transfer full) */
{
  AwaitedEnd *end = g_new (AwaitedEnd, 1);

  waiting->awaited_at = get_iteration_time ();
  g_queue_push_tail (&waiting->tasks, task);
  *end = (AwaitedEnd) { afrpc_peer_ref (self), &waiting->tasks, waiting->tasks.tail };
  afrpc_task_watch (task, G_SOURCE_FUNC (end_cancelled_cb), end, (GDestroyNotify) awaited_end_free);
}

/* Whether somebody who waits for what is told next has begun to do so in this iteration of the main loop: GTask would tell
 * him in another one, after those who are told behind him. It is put off once only: somebody may come in each iteration. */
gboolean
afrpc_peer_awaits_next_iteration (AfrpcPeer     *self,
                                  AfrpcNewsKind  kind)
{
  AfrpcEndTasks *waiting = kind == AFRPC_NEWS_EXITED ? &self->exit_tasks : &self->close_tasks;
  const gint64 now = get_iteration_time ();

  if ((kind != AFRPC_NEWS_EXITED && kind != AFRPC_NEWS_CLOSED) || now == 0)
    return FALSE;

  if (waiting->put_off_at == 0 && waiting->tasks.length > 0 && now <= waiting->awaited_at)
    waiting->put_off_at = now;

  return now <= waiting->put_off_at;
}

/* @task (transfer full) gets the connection: once the function is ready to take it, or once all is written that the
 * process is prepared with. */
void
afrpc_peer_await_connection (AfrpcPeer *self,
                             GTask     *task)
{
  if (afrpc_peer_is_left (self))
    {
      return_without_context (self, task, give_failure);
      return;
    }

  self->connection_task = task;
  afrpc_task_watch (task, G_SOURCE_FUNC (connection_cancelled_cb), afrpc_peer_ref (self),
                    (GDestroyNotify) afrpc_peer_unref);
  afrpc_peer_attend (self);
}

/* @task (transfer full) gets the exit of the process just before that is told to others, or why there is none. */
void
afrpc_peer_await_exit (AfrpcPeer *self,
                       GTask     *task)
{
  if (afrpc_news_has_told (&self->news, AFRPC_NEWS_EXITED))
    return_in_turn (self, task, give_exit);
  else if (afrpc_peer_is_left (self))
    return_without_context (self, task, give_exit);
  else
    await_end (self, &self->exit_tasks, task);
}

/* @task (transfer full) returns TRUE once the conversation is over, just before that is told to others. */
void
afrpc_peer_await_close (AfrpcPeer *self,
                        GTask     *task)
{
  if (afrpc_news_has_told (&self->news, AFRPC_NEWS_CLOSED))
    return_in_turn (self, task, give_true);
  else if (afrpc_peer_is_left (self))
    return_without_context (self, task, give_true);
  else
    await_end (self, &self->close_tasks, task);
}

/* One of those who wait for the exit is told: he may run a main loop, which goes on with the next. FALSE: there is none. */
gboolean
afrpc_peer_tell_exit_task (AfrpcPeer *self)
{
  g_autoptr(GTask) task = g_queue_pop_head (&self->exit_tasks.tasks);

  if (task != NULL)
    return_exit (self, task);

  return task != NULL;
}

/* The same of those who wait for the end of the conversation. */
gboolean
afrpc_peer_tell_close_task (AfrpcPeer *self)
{
  g_autoptr(GTask) task = g_queue_pop_head (&self->close_tasks.tasks);

  if (task == NULL)
    return FALSE;

  afrpc_task_unwatch (task);
  g_task_return_boolean (task, TRUE);

  return TRUE;
}
