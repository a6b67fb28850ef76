/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "child/afrpc-exit-private.h"

/* A main loop is held no longer than this by what is delivered at once, so that no frame of 16 ms is
 * missed; and while there is a backlog, redrawing comes first (GDK_PRIORITY_REDRAW is 120). */
#define SLICE_US 2000
#define SLICE_ITEMS 4 /* delivered between two looks at the clock */
#define BACKLOG_PRIORITY (G_PRIORITY_HIGH_IDLE + 25)

/* A process that closed its socket while it owes answers is ended after this; one that really exits
 * does so at once. */
#define EXIT_GRACE_US (100 * 1000)

/* One that was dropped, or could not be prepared, has this long to end by itself. */
#define DROP_GRACE_US (1000 * 1000)

typedef struct
{
  GSource source;
  AfrpcChild *child;
} ChildSource;

static GSourceFuncs child_source_funcs;

static gboolean
is_pending_cb (guint64  serial,
               gpointer user_data)
{
  AfrpcChild *self = user_data;
  const AfrpcLinkCall *call = afrpc_link_find (&self->link, serial);

  return call != NULL && call->owner != NULL;
}

/* Life */

AfrpcChild *
afrpc_child_new (const char *host)
{
  AfrpcChild *self = g_new0 (AfrpcChild, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->config.host = g_strdup (host);
  self->config.stdio[0] = AFRPC_STDIO_SILENCE;
  self->config.stdio[1] = AFRPC_STDIO_INHERIT;
  self->config.stdio[2] = AFRPC_STDIO_TEE;
  for (int i = 0; i < 3; i++)
    self->config.fds[i] = -1;

  afrpc_link_init (&self->link, strchr (host, '/') == NULL ? host : NULL);
  self->spawned.pidfd = -1;
  self->tail.fd = -1;
  self->greeting_deadline = self->exit_deadline = AFRPC_DEADLINES_NEVER;
  afrpc_deadlines_init (&self->deadlines, is_pending_cb, self);
  self->exit_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  self->close_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  g_weak_ref_init (&self->process, NULL);
  g_weak_ref_init (&self->proxy, NULL);

  self->context = g_main_context_ref_thread_default ();
  self->source = g_source_new (&child_source_funcs, sizeof (ChildSource));
  g_source_set_static_name (self->source, "[afrpc] worker");
  /* Without this GLib blocks the source while it is dispatched, which costs three system calls. */
  g_source_set_can_recurse (self->source, TRUE);
  ((ChildSource *) self->source)->child = afrpc_child_ref (self);
  g_source_attach (self->source, self->context);

  return self;
}

AfrpcChild *
afrpc_child_ref (AfrpcChild *self)
{
  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

static void
stashed_item_free (AfrpcLinkItem *item)
{
  afrpc_link_item_clear (item);
  g_free (item);
}

void
afrpc_child_unref (AfrpcChild *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  afrpc_link_clear (&self->link);
  afrpc_tail_clear (&self->tail);
  afrpc_deadlines_clear (&self->deadlines);
  g_queue_clear_full (&self->stash, (GDestroyNotify) stashed_item_free);
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  g_free (self->config.host);
  g_strfreev (self->config.environ);
  g_free (self->config.cwd);
  for (int i = 0; i < 3; i++)
    if (self->config.fds[i] >= 0)
      close (self->config.fds[i]);
  g_clear_error (&self->failure);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  g_clear_object (&self->run_task);
  g_clear_pointer (&self->exit_tasks, g_ptr_array_unref);
  g_clear_pointer (&self->close_tasks, g_ptr_array_unref);
  g_weak_ref_clear (&self->process);
  g_weak_ref_clear (&self->proxy);
  g_clear_object (&self->process_held);
  g_clear_object (&self->proxy_held);
  g_main_context_unref (self->context);
  g_source_unref (self->source);
  g_free (self);
}

/* From any thread, even from within a garbage collection: acts later, in the context. */
void
afrpc_child_drop (AfrpcChild     *self,
                  AfrpcChildDrop  what)
{
  g_atomic_int_or (&self->drops, what);
  g_main_context_wakeup (self->context);
}

/* What the handles ask for */

/* Queues one step of the preparation; @fd: (transfer full), or -1. */
void
afrpc_child_prepare (AfrpcChild     *self,
                     AfrpcFrameKind  kind,
                     GVariant       *value,
                     int             fd)
{
  GError *error = NULL;

  if (!afrpc_link_prepare (&self->link, kind, value, fd, &error))
    afrpc_child_fail (self, error);
}

/* Gives the process its one job; @options is the payload of the run frame. */
gboolean
afrpc_child_take (AfrpcChild  *self,
                  GVariant    *options,
                  GError     **error)
{
  if (self->taken)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "the process runs another function already");
      return FALSE;
    }

  self->taken = TRUE;
  self->process_held = g_weak_ref_get (&self->process);
  afrpc_link_run (&self->link, options);

  return TRUE;
}

static void
destroy_source (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

/* Calls @func when the task is cancelled, until its task data is cleared. */
static void
watch_cancellable (GTask          *task,
                   GSourceFunc     func,
                   gpointer        data,
                   GDestroyNotify  destroy,
                   GMainContext   *context)
{
  GSource *source = g_cancellable_source_new (g_task_get_cancellable (task));

  g_source_set_static_name (source, "[afrpc] wait cancelled");
  g_source_set_callback (source, func, data, destroy);
  g_source_attach (source, context);
  g_task_set_task_data (task, source, destroy_source);
}

static gboolean
run_cancelled_cb (GCancellable *cancellable,
                  gpointer      user_data)
{
  AfrpcChild *self = user_data;

  if (self->run_task != NULL)
    {
      g_autoptr(GTask) task = g_steal_pointer (&self->run_task);

      g_task_return_error_if_cancelled (task);
      afrpc_child_kill (self, SIGKILL);
      g_task_set_task_data (task, NULL, NULL);
    }

  return G_SOURCE_REMOVE;
}

/* Waits for the function that was taken to begin; @task (transfer full) gets the socket. */
void
afrpc_child_run (AfrpcChild *self,
                 GTask      *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);

  self->run_task = task;
  if (cancellable != NULL)
    watch_cancellable (task, G_SOURCE_FUNC (run_cancelled_cb), afrpc_child_ref (self),
                       (GDestroyNotify) afrpc_child_unref, self->context);
}

void
afrpc_child_close (AfrpcChild *self)
{
  if (self->ended || self->link.closing)
    return;

  if (self->proxy_held == NULL)
    self->proxy_held = g_weak_ref_get (&self->proxy);
  afrpc_link_close (&self->link);
}

void
afrpc_child_kill (AfrpcChild *self,
                  int         signum)
{
  if (self->spawned.pid > 0)
    {
      self->killed = TRUE;
      afrpc_spawn_signal (&self->spawned, signum);
    }
  else if (!self->started)
    {
      self->started = TRUE;
      afrpc_child_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED,
                                           "the process was killed before it was started"));
    }
}

typedef struct
{
  GPtrArray *tasks;
  GTask *task; /* owns the source that this is the data of */
} Await;

static gboolean
await_cancelled_cb (GCancellable *cancellable,
                    gpointer      user_data)
{
  Await *await = user_data;
  g_autoptr(GTask) task = g_object_ref (await->task);

  g_ptr_array_remove (await->tasks, task);
  g_task_return_error_if_cancelled (task);

  return G_SOURCE_REMOVE;
}

/* Adds @task (transfer full) to those that wait for the end of the process or the conversation. */
void
afrpc_child_await (AfrpcChild *self,
                   GPtrArray  *tasks,
                   GTask      *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);

  g_ptr_array_add (tasks, task);

  if (cancellable != NULL)
    {
      Await *await = g_new0 (Await, 1);

      await->tasks = tasks;
      await->task = task;
      watch_cancellable (task, G_SOURCE_FUNC (await_cancelled_cb), await, g_free, self->context);
    }
}

static GPtrArray *
take_tasks (GPtrArray **tasks)
{
  GPtrArray *taken = g_steal_pointer (tasks);

  *tasks = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < taken->len; i++)
    g_task_set_task_data (taken->pdata[i], NULL, NULL);

  return taken;
}

/* The end */

/* The first failure counts: what comes later follows from it. Told to everybody by the source. */
void
afrpc_child_fail (AfrpcChild *self,
                  GError     *error) /* (transfer full) */
{
  if (self->failure == NULL)
    self->failure = error;
  else
    g_error_free (error);
}

static void
stop_reading (AfrpcChild *self)
{
  self->eof = TRUE;
  if (self->socket_tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->socket_tag));

  if (self->exit == NULL && (self->failure != NULL || self->link.n_pending > 0 || !self->link.closing))
    self->exit_deadline = g_get_monotonic_time () + EXIT_GRACE_US;
}

static void
break_off (AfrpcChild *self,
           GError     *error) /* (transfer full) */
{
  g_prefix_error (&error, "“%s”: ", self->config.host);
  afrpc_child_fail (self, error);
  stop_reading (self);
  afrpc_child_kill (self, SIGKILL);
}

void
afrpc_child_read_stderr (AfrpcChild *self)
{
  afrpc_tail_read (&self->tail);
  if (self->stderr_tag != NULL && self->tail.fd < 0)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->stderr_tag));
}

void
afrpc_child_reap (AfrpcChild *self)
{
  AfrpcSpawnStatus status;
  g_autofree char *tail = NULL;

  if (self->spawned.pid == 0 || self->exit != NULL)
    return;
  if (self->pidfd_tag != NULL)
    {
      /* The reaping closes it. */
      if (!afrpc_spawn_reap (&self->spawned, &status))
        return;
      g_source_remove_unix_fd (self->source, g_steal_pointer (&self->pidfd_tag));
    }

  afrpc_child_read_stderr (self);
  tail = afrpc_tail_dup (&self->tail);
  self->exit = afrpc_exit_new (self->pid, &status, self->killed, tail);
}

static GError *
make_end_error (AfrpcChild *self)
{
  g_autofree char *name = g_strdup_printf ("“%s”", self->config.host);
  g_autofree char *text = afrpc_exit_describe (self->exit, name);

  if (self->link.state == AFRPC_LINK_GREETING)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "%s before it said that it is a host", text);
  if (!self->link.was_ready)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, "%s before it was ready", text);
  if (self->link.n_pending > 0)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "%s", text);

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "%s", text);
}

/* The process is gone, and all that it sent was read: nothing can succeed any more. */
void
afrpc_child_fail_at_end (AfrpcChild *self)
{
  afrpc_child_fail (self, make_end_error (self));
}

/* Why a call fails, now that there is a failure. */
GError *
afrpc_child_call_error (AfrpcChild *self,
                        guint64     serial)
{
  if (!self->link.was_ready)
    return g_error_copy (self->failure);

  if (!afrpc_link_was_started (&self->link, serial))
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED,
                        "the call was not started: %s", self->failure->message);

  return g_error_copy (self->failure);
}

static void
settle (AfrpcLinkCall *call,
        GVariant      *value, /* (transfer full) (nullable) */
        GError        *error) /* (transfer full) (nullable) */
{
  g_autoptr(GTask) task = call->owner;

  if (call->watch != NULL)
    {
      g_source_destroy (call->watch);
      g_source_unref (call->watch);
    }

  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, value, (GDestroyNotify) g_variant_unref);
}

/* Settles whatever still waits, then tells the proxy. */
static void
tell_failure (AfrpcChild *self)
{
  g_autoptr(GArray) pending = afrpc_link_end (&self->link);
  g_autoptr(GObject) proxy = g_weak_ref_get (&self->proxy);
  const gboolean is_clean = pending->len == 0 && (self->link.was_ready || self->raw) && self->exit != NULL &&
                            (self->link.closing || afrpc_exit_is_success (self->exit));

  self->told = TRUE;

  for (guint i = 0; i < pending->len; i++)
    {
      AfrpcLinkSlot *slot = &g_array_index (pending, AfrpcLinkSlot, i);

      settle (&slot->call, NULL, afrpc_child_call_error (self, slot->serial));
    }

  if (self->run_task != NULL)
    {
      g_autoptr(GTask) task = g_steal_pointer (&self->run_task);

      g_task_set_task_data (task, NULL, NULL);
      g_task_return_error (task, g_error_copy (self->failure));
    }

  if (proxy != NULL && !is_clean)
    self->proxy_funcs->error (proxy, self->failure);
}

static void
end_conversation (AfrpcChild *self)
{
  g_autoptr(GPtrArray) tasks = take_tasks (&self->close_tasks);
  g_autoptr(GObject) proxy = g_weak_ref_get (&self->proxy);
  g_autoptr(GObject) held = g_steal_pointer (&self->proxy_held);

  self->conversation_ended = TRUE;
  for (guint i = 0; i < tasks->len; i++)
    g_task_return_boolean (tasks->pdata[i], TRUE);

  if (proxy != NULL)
    {
      g_weak_ref_set (&self->proxy, NULL);
      self->proxy_funcs->destroyed (proxy);
    }
}

static void
end_process (AfrpcChild *self)
{
  g_autoptr(GPtrArray) tasks = take_tasks (&self->exit_tasks);
  g_autoptr(GObject) process = g_weak_ref_get (&self->process);
  g_autoptr(GObject) held = g_steal_pointer (&self->process_held);

  self->ended = TRUE;
  g_source_destroy (self->source);

  for (guint i = 0; i < tasks->len; i++)
    {
      if (self->exit != NULL)
        g_task_return_pointer (tasks->pdata[i], afrpc_exit_ref (self->exit), (GDestroyNotify) afrpc_exit_unref);
      else
        g_task_return_error (tasks->pdata[i], g_error_copy (self->failure));
    }
  if (process != NULL && self->exit != NULL)
    self->process_funcs->exited (process, self->exit);

  end_conversation (self);
}

static void
act_on_end (AfrpcChild *self)
{
  if (self->exit != NULL && self->eof && !self->backlog && self->stash.length == 0 && self->failure == NULL)
    afrpc_child_fail_at_end (self);

  if (self->failure != NULL && !self->told && !self->backlog && self->stash.length == 0)
    tell_failure (self);

  if (self->told && self->spawned.pid == 0)
    end_process (self);
  else if (self->lives_on && self->eof && self->link.closing && self->link.n_pending == 0 && !self->backlog)
    end_conversation (self);
}

/* The socket */

static void
give_socket_away (AfrpcChild *self)
{
  g_autoptr(GTask) task = g_steal_pointer (&self->run_task);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSocket) socket = NULL;
  int fd;

  g_task_set_task_data (task, NULL, NULL);
  self->raw = TRUE;
  g_source_remove_unix_fd (self->source, g_steal_pointer (&self->socket_tag));
  fd = afrpc_link_steal_fd (&self->link);
  self->eof = TRUE;

  socket = g_socket_new_from_fd (fd, &error);
  if (socket == NULL)
    {
      close (fd);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  else
    g_task_return_pointer (task, g_socket_connection_factory_create_connection (socket), g_object_unref);
}

/* The next thing to deliver, oldest first; FALSE if nothing has arrived. */
gboolean
afrpc_child_next_item (AfrpcChild    *self,
                       AfrpcLinkItem *item)
{
  g_autoptr(GError) error = NULL;

  if (self->eof && self->failure != NULL)
    return FALSE;

  switch (afrpc_link_next (&self->link, item, &error))
    {
    case AFRPC_STREAM_DONE:
      if (self->link.state >= AFRPC_LINK_PREPARING)
        self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      return TRUE;

    case AFRPC_STREAM_ERROR:
      break_off (self, g_steal_pointer (&error));
      return FALSE;

    default:
      if (self->link.state >= AFRPC_LINK_PREPARING)
        self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      return FALSE;
    }
}

static gboolean
pop_stash (AfrpcChild    *self,
           AfrpcLinkItem *item)
{
  g_autofree AfrpcLinkItem *stashed = g_queue_pop_head (&self->stash);

  if (stashed == NULL)
    return FALSE;

  if (self->stash.length == 0)
    self->stash_size = 0;
  *item = *stashed;

  return TRUE;
}

static void
deliver_item (AfrpcChild     *self,
              AfrpcLinkItem  *item,
              GObject       **proxy)
{
  switch (item->kind)
    {
    case AFRPC_LINK_ITEM_RESULT:
      settle (&item->call, g_steal_pointer (&item->value), g_steal_pointer (&item->error));
      break;

    case AFRPC_LINK_ITEM_EVENT:
      if (*proxy == NULL)
        *proxy = g_weak_ref_get (&self->proxy);
      if (*proxy != NULL && item->value != NULL)
        self->proxy_funcs->event (*proxy, item->value);
      else if (*proxy != NULL)
        self->proxy_funcs->error (*proxy, item->error);
      break;

    case AFRPC_LINK_ITEM_READY:
      if (self->run_task != NULL)
        give_socket_away (self);
      break;

    case AFRPC_LINK_ITEM_FAILED:
      afrpc_child_fail (self, g_steal_pointer (&item->error));
      self->exit_deadline = g_get_monotonic_time () + DROP_GRACE_US;
      break;

    default:
      g_assert_not_reached ();
    }
}

static void
deliver (AfrpcChild *self)
{
  g_autoptr(GObject) proxy = NULL; /* looked up once, and kept alive while its handlers run */
  gint64 end = 0;
  guint n = 0;

  self->backlog = FALSE;

  for (;;)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      if (!pop_stash (self, &item) && !afrpc_child_next_item (self, &item))
        break;
      deliver_item (self, &item, &proxy);

      if (++n % SLICE_ITEMS == 0)
        {
          gint64 now = g_get_monotonic_time ();

          if (end == 0)
            end = now + SLICE_US;
          else if (now >= end)
            {
              self->backlog = TRUE;
              break;
            }
        }
    }

  if (self->backlog != (g_source_get_priority (self->source) != G_PRIORITY_DEFAULT) &&
      !g_source_is_destroyed (self->source))
    g_source_set_priority (self->source, self->backlog ? BACKLOG_PRIORITY : G_PRIORITY_DEFAULT);
}

void
afrpc_child_flush (AfrpcChild *self)
{
  g_autoptr(GError) error = NULL;
  GIOCondition events = G_IO_IN;

  if (self->socket_tag == NULL)
    return;

  switch (afrpc_link_flush (&self->link, &error))
    {
    case AFRPC_STREAM_AGAIN:
      events |= G_IO_OUT;
      break;

    case AFRPC_STREAM_ERROR:
      break_off (self, g_steal_pointer (&error));
      return;

    default:
      break;
    }

  if (events != self->socket_events)
    {
      self->socket_events = events;
      g_source_modify_unix_fd (self->source, self->socket_tag, events);
    }
}

/* Reads once; deliver everything before the next time. */
void
afrpc_child_read (AfrpcChild *self)
{
  g_autoptr(GError) error = NULL;

  if (self->eof)
    return;

  switch (afrpc_link_read (&self->link, &error))
    {
    case AFRPC_STREAM_EOF:
      stop_reading (self);
      break;

    case AFRPC_STREAM_ERROR:
      break_off (self, g_steal_pointer (&error));
      break;

    case AFRPC_STREAM_AGAIN:
      /* A grandchild may hold the other end of a dead worker's socket. */
      if (self->exit != NULL)
        stop_reading (self);
      break;

    default:
      break;
    }
}

/* The source */

static gint64
next_deadline (AfrpcChild *self)
{
  gint64 next = MIN (self->greeting_deadline, self->exit_deadline);

  return self->deadlines.n > 0 ? MIN (next, afrpc_deadlines_next (&self->deadlines)) : next;
}

/* Settles a call before its outcome is known, which is then not waited for any more. */
void
afrpc_child_give_up (AfrpcChild *self,
                     guint64     serial,
                     GError     *error) /* (transfer full) */
{
  AfrpcLinkCall *call = afrpc_link_find (&self->link, serial);
  AfrpcLinkCall settled = *call;

  *call = (AfrpcLinkCall) { NULL };
  afrpc_link_cancel (&self->link, serial);
  settle (&settled, NULL, error);
}

/* Acts on the process' own time limits. */
void
afrpc_child_expire_process (AfrpcChild *self,
                            gint64      now)
{
  if (self->greeting_deadline <= now)
    {
      self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      break_off (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting within the time limit"));
    }

  if (self->exit_deadline <= now)
    {
      self->exit_deadline = AFRPC_DEADLINES_NEVER;
      afrpc_child_kill (self, SIGKILL);
    }
}

static void
expire_calls (AfrpcChild *self,
              gint64      now)
{
  guint64 serial;

  while (afrpc_deadlines_pop (&self->deadlines, now, &serial))
    afrpc_child_give_up (self, serial, afrpc_child_timeout_error ());
}

static void
act_on_drops (AfrpcChild *self)
{
  AfrpcChildDrop drops = g_atomic_int_and (&self->drops, 0);

  if ((drops & AFRPC_CHILD_DROP_PROXY) != 0)
    afrpc_link_close (&self->link);

  if ((drops & AFRPC_CHILD_DROP_PROCESS) != 0 && !self->taken)
    {
      /* Nobody can give it work any more: the end of its input ends it. */
      self->taken = self->started = TRUE;
      stop_reading (self);
      self->exit_deadline = g_get_monotonic_time () + DROP_GRACE_US;
      afrpc_link_clear (&self->link);
      self->link.state = AFRPC_LINK_ENDED;
      afrpc_child_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the process was dropped"));
    }
}

static gboolean
needs_dispatch (AfrpcChild *self)
{
  return g_atomic_int_get (&self->drops) != 0 || !self->started || self->backlog || self->stash.length > 0 ||
         (self->exit != NULL && !self->eof) || (self->failure != NULL && !self->told) ||
         (self->exit != NULL && self->failure == NULL);
}

static gboolean
child_source_prepare (GSource *source,
                      int     *timeout_ms)
{
  AfrpcChild *self = ((ChildSource *) source)->child;
  gint64 deadline;

  /* Here and nowhere else in the loop: so whatever was queued goes out in one write. */
  if (afrpc_stream_get_queued (&self->link.stream) > 0 || (self->link.closing && !self->link.shut))
    afrpc_child_flush (self);

  if (needs_dispatch (self))
    return TRUE;

  deadline = next_deadline (self);
  if (deadline == AFRPC_DEADLINES_NEVER)
    return FALSE;

  deadline -= g_source_get_time (source);
  if (deadline <= 0)
    return TRUE;
  *timeout_ms = MIN ((deadline + 999) / 1000, G_MAXINT);

  return FALSE;
}

static GIOCondition
query (AfrpcChild *self,
       gpointer    tag)
{
  return tag != NULL ? g_source_query_unix_fd (self->source, tag) : 0;
}

static gboolean
child_source_check (GSource *source)
{
  AfrpcChild *self = ((ChildSource *) source)->child;

  return query (self, self->socket_tag) != 0 || query (self, self->pidfd_tag) != 0 ||
         query (self, self->stderr_tag) != 0 || needs_dispatch (self) ||
         next_deadline (self) <= g_source_get_time (source);
}

static gboolean
child_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  g_autoptr(AfrpcChild) self = afrpc_child_ref (((ChildSource *) source)->child);
  gint64 now = g_source_get_time (source);
  const GIOCondition socket = query (self, self->socket_tag);
  const GIOCondition pidfd = query (self, self->pidfd_tag);

  if (g_atomic_int_get (&self->drops) != 0)
    act_on_drops (self);
  if (!self->started)
    afrpc_child_start (self);
  if (query (self, self->stderr_tag) != 0)
    afrpc_child_read_stderr (self);
  if (next_deadline (self) <= now)
    {
      afrpc_child_expire_process (self, now);
      expire_calls (self, now);
    }

  if (self->backlog || self->stash.length > 0)
    deliver (self);
  if (!self->backlog && ((socket & ~G_IO_OUT) != 0 || self->exit != NULL))
    {
      afrpc_child_read (self);
      deliver (self);
    }
  if ((socket & G_IO_OUT) != 0)
    afrpc_child_flush (self);
  if (pidfd != 0)
    afrpc_child_reap (self);

  act_on_end (self);

  return self->ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
child_source_finalize (GSource *source)
{
  afrpc_child_unref (((ChildSource *) source)->child);
}

static GSourceFuncs child_source_funcs = {
  child_source_prepare,
  child_source_check,
  child_source_dispatch,
  child_source_finalize,
};
