/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-exit.h"

static gboolean
is_pending_cb (guint64  serial,
               gpointer user_data)
{
  AfrpcChild *self = user_data;
  const AfrpcLinkCall *call = afrpc_link_find (&self->link, serial);

  return call != NULL && call->owner != NULL;
}

/* Life */

static void
step_clear (AfrpcChildStep *step)
{
  g_clear_pointer (&step->value, g_variant_unref);
  if (step->fd >= 0)
    close (step->fd);
}

static void
step_unref (AfrpcChildStep *step)
{
  g_rc_box_release_full (step, (GDestroyNotify) step_clear);
}

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
  self->fork_socket = -1;
  self->steps = g_ptr_array_new_with_free_func ((GDestroyNotify) step_unref);
  self->tail.fd = -1;
  self->greeting_deadline = self->reap_deadline = self->exit_deadline = AFRPC_DEADLINES_NEVER;
  self->flush_deadline = AFRPC_DEADLINES_NEVER;
  afrpc_deadlines_init (&self->deadlines, is_pending_cb, self);
  self->reaped_for = g_ptr_array_new ();
  self->spare_calls = g_ptr_array_new_with_free_func (g_object_unref);
  self->exit_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  self->close_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  g_weak_ref_init (&self->process, NULL);
  g_weak_ref_init (&self->proxy, NULL);

  self->context = g_main_context_ref_thread_default ();
  self->source = afrpc_child_source_new (self);
  g_source_attach (self->source, self->context);
  g_source_unref (self->source);

  return self;
}

/* A process whose host is at the other end of a command. */
AfrpcChild *
afrpc_child_new_command (const char *const *argv)
{
  AfrpcChild *self = afrpc_child_new (argv[0]);

  self->config.argv = g_strdupv ((char **) argv);
  g_clear_pointer (&self->link.host, g_free);
  afrpc_link_set_command (&self->link);

  return self;
}

AfrpcChild *
afrpc_child_ref (AfrpcChild *self)
{
  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

/* What waits for its delivery keeps the call alive that it tells of. */
void
afrpc_child_release_stashed (AfrpcLinkItem *item)
{
  if (item->kind == AFRPC_LINK_ITEM_PROGRESS)
    g_object_unref (item->call.owner);
}

static void
stashed_item_free (AfrpcLinkItem *item)
{
  afrpc_child_release_stashed (item);
  afrpc_link_item_clear (item);
  g_free (item);
}

void
afrpc_child_unref (AfrpcChild *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_assert (self->forks.length == 0);
  /* A process without a job, whose main context has gone: nobody else is going to reap it. */
  if (self->spawned.pid > 0 && !self->taken && self->reaper == NULL)
    afrpc_spawn_end (&self->spawned);
  if (self->fork_socket >= 0)
    close (self->fork_socket);
  g_clear_pointer (&self->template, afrpc_child_unref);
  afrpc_child_leave_reaper (self);
  g_clear_pointer (&self->reaped_for, g_ptr_array_unref);
  g_clear_pointer (&self->steps, g_ptr_array_unref);
  afrpc_link_clear (&self->link);
  g_clear_object (&self->serialiser);
  afrpc_tail_clear (&self->tail);
  afrpc_deadlines_clear (&self->deadlines);
  g_queue_clear_full (&self->stash, (GDestroyNotify) stashed_item_free);
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  g_free (self->config.host);
  g_strfreev (self->config.argv);
  g_strfreev (self->config.environ);
  g_free (self->config.cwd);
  for (int i = 0; i < 3; i++)
    if (self->config.fds[i] >= 0)
      close (self->config.fds[i]);
  g_clear_error (&self->failure);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  g_clear_object (&self->run_task);
  g_clear_object (&self->hand_over_task);
  g_clear_pointer (&self->spare_calls, g_ptr_array_unref);
  g_clear_pointer (&self->exit_tasks, g_ptr_array_unref);
  g_clear_pointer (&self->close_tasks, g_ptr_array_unref);
  g_weak_ref_clear (&self->process);
  g_weak_ref_clear (&self->proxy);
  g_clear_object (&self->process_held);
  g_clear_object (&self->proxy_held);
  if (!self->is_default_template)
    g_main_context_unref (self->context);
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

/* Adds one step of the preparation; @fd: (transfer full), or -1. */
void
afrpc_child_prepare (AfrpcChild     *self,
                     AfrpcFrameKind  kind,
                     GVariant       *value,
                     int             fd)
{
  AfrpcChildStep *step = g_rc_box_new0 (AfrpcChildStep);

  step->kind = kind;
  step->value = value != NULL ? g_variant_ref (value) : NULL;
  step->fd = fd;
  g_ptr_array_add (self->steps, step);

  if (value != NULL && g_variant_get_size (value) > AFRPC_FRAME_PREPARE_SIZE_MAX)
    afrpc_child_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                                         "a process is prepared with %" G_GSIZE_FORMAT
                                         " bytes at once, the limit is %u",
                                         g_variant_get_size (value), AFRPC_FRAME_PREPARE_SIZE_MAX));
  else if (self->steps_sent && !self->ended)
    afrpc_child_send_steps (self, self->steps->len - 1);
}

/* Queues the steps from number @first on. */
void
afrpc_child_send_steps (AfrpcChild *self,
                        guint       first)
{
  for (guint i = first; i < self->steps->len; i++)
    {
      const AfrpcChildStep *step = self->steps->pdata[i];
      int fd = step->fd >= 0 ? fcntl (step->fd, F_DUPFD_CLOEXEC, 0) : -1;

      if (step->fd >= 0 && fd < 0)
        afrpc_child_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_SPAWN, "copying a file descriptor: %s",
                                             g_strerror (errno)));
      else
        afrpc_link_prepare (&self->link, step->kind, step->value, &fd, fd >= 0 ? 1 : 0);
    }
  self->steps_sent = TRUE;
}

static gboolean
is_forked (AfrpcChild *self)
{
  return self->n_inherited > 0 || self->template != NULL;
}

/* Queues what the process is prepared with, so far: from then on, steps follow one by one. */
void
afrpc_child_begin (AfrpcChild *self)
{
  if (self->steps_sent)
    return;

  if (is_forked (self))
    afrpc_child_send_surroundings (self, TRUE);
  else if (afrpc_limits_any (&self->config.limits))
    afrpc_child_send_surroundings (self, FALSE);
  afrpc_child_send_steps (self, self->n_inherited);
}

/* Gives the process its one job; @options is the payload of the run frame. */
gboolean
afrpc_child_take (AfrpcChild  *self,
                  GVariant    *options,
                  GError     **error)
{
  g_autoptr(GVariant) own_options = NULL;
  GVariantDict dict;
  int fds[3];
  guint n_fds = 0;

  if (self->ended)
    {
      if (error != NULL)
        *error = g_error_copy (self->failure);
      return FALSE;
    }
  if (self->taken)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "the process runs another function already");
      return FALSE;
    }

  g_variant_dict_init (&dict, options);
  /* An orphan notices the death as an end of the socket, which a close is too. */
  if (self->config.orphan_policy != AFRPC_ORPHAN_POLICY_END)
    {
      g_variant_dict_insert (&dict, "orphan", "y", self->config.orphan_policy);
      g_variant_lookup (options, "async", "b", &self->link.dismisses);
    }

  self->taken = TRUE;
  self->process_held = g_weak_ref_get (&self->process);
  /* With nothing in between, one message says it all. */
  if (!self->steps_sent && is_forked (self) && self->steps->len == self->n_inherited)
    {
      afrpc_child_insert_surroundings (self, &dict, fds, &n_fds);
      self->steps_sent = TRUE;
    }
  else
    afrpc_child_begin (self);
  own_options = g_variant_ref_sink (g_variant_dict_end (&dict));
  afrpc_link_run (&self->link, own_options, fds, n_fds, self->config.orphan_policy == AFRPC_ORPHAN_POLICY_END);

  return TRUE;
}

/* Has values of the conversation serialised, once the process was taken for that. */
void
afrpc_child_set_serialiser (AfrpcChild      *self,
                            AfrpcSerialiser *serialiser)
{
  g_set_object (&self->serialiser, serialiser);
  self->link.is_serialised = serialiser != NULL;
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

/* Goes on with a process that another has prepared; @fd: (transfer full). */
void
afrpc_child_adopt (AfrpcChild *self,
                   int         fd)
{
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  afrpc_link_adopt (&self->link, fd);
  self->is_foreign = self->started = self->steps_sent = TRUE;
  self->socket_events = G_IO_IN;
  self->socket_tag = g_source_add_unix_fd (self->source, fd, G_IO_IN);
}

/* Gives the socket of a process that can still be prepared away, once everything was written;
 * @task (transfer full) gets it. */
void
afrpc_child_hand_over (AfrpcChild *self,
                       GTask      *task)
{
  self->taken = TRUE;
  self->process_held = g_weak_ref_get (&self->process);
  self->hand_over_task = task;
  afrpc_child_begin (self);
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
  else if (self->fork_socket >= 0)
    {
      self->killed = TRUE;
      self->kill_signum = signum;
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
