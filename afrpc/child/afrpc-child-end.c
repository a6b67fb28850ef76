/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"

#include <signal.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "child/afrpc-exit-private.h"

/* A process that closed its socket while it owes answers is ended after this; one that really exits
 * does so at once. */
#define EXIT_GRACE_US (100 * 1000)

/* A command may first have to hear of it from another machine. */
#define COMMAND_EXIT_GRACE_US (3 * G_USEC_PER_SEC)

/* How often a process without a pidfd is asked for its end: after it closed its socket, and before. */
#define REAP_SOON_US (2 * 1000)
#define REAP_LATER_US (100 * 1000)

/* How long a template that is not the program's child gets to say how its own child ended. */
#define REAPER_PATIENCE_US (1000 * 1000)

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

void
afrpc_child_unwatch_socket (AfrpcChild *self)
{
  if (self->socket_tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->socket_tag));
}

/* There is not going to be a process: nothing must wait for it. */
void
afrpc_child_fail_to_start (AfrpcChild *self,
                           GError     *error) /* (transfer full) */
{
  self->eof = TRUE;
  afrpc_child_unwatch_socket (self);
  afrpc_child_fail (self, error);
}

void
afrpc_child_stop_reading (AfrpcChild *self)
{
  self->eof = TRUE;
  afrpc_child_unwatch_socket (self);
  if (self->reap_deadline != AFRPC_DEADLINES_NEVER && self->spawned.pidfd < 0)
    self->reap_deadline = 0;
  /* A command may consist of several processes: the one that reads from us ends only when we do. */
  if (self->link.is_command)
    afrpc_link_shut (&self->link);

  if (self->exit == NULL && (self->failure != NULL || self->link.n_pending > 0 || !self->link.closing))
    self->exit_deadline = g_get_monotonic_time () + (self->link.is_command ? COMMAND_EXIT_GRACE_US : EXIT_GRACE_US);
}

/* Has nothing more to do with a worker that cannot be trusted. */
void
afrpc_child_break_off (AfrpcChild *self,
                       GError     *error) /* (transfer full) */
{
  g_prefix_error (&error, "“%s”: ", self->config.host);
  afrpc_child_fail (self, error);
  afrpc_child_stop_reading (self);
  afrpc_child_kill (self, SIGKILL);
}

void
afrpc_child_read_stderr (AfrpcChild *self)
{
  afrpc_tail_read (&self->tail);
  if (self->stderr_tag != NULL && self->tail.fd < 0)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->stderr_tag));
}

/* The process has ended, and was reaped. */
void
afrpc_child_set_exit (AfrpcChild             *self,
                      const AfrpcSpawnStatus *status)
{
  g_autofree char *tail = NULL;

  self->reap_deadline = AFRPC_DEADLINES_NEVER;
  if (self->pidfd_tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&self->pidfd_tag));
  if (self->spawned.pidfd >= 0)
    close (self->spawned.pidfd);
  self->spawned.pidfd = -1;
  self->spawned.pid = 0;
  afrpc_child_leave_reaper (self);
  afrpc_link_process_ended (&self->link);

  afrpc_child_read_stderr (self);
  tail = afrpc_tail_dup (&self->tail);
  self->exit = afrpc_exit_new (self->pid, status, self->killed, &self->config.limits, tail);
}

/* For a process that is not a child of this one: asks who can know, for a while. */
static void
await_reaper (AfrpcChild *self)
{
  const AfrpcSpawnStatus unknown = { .known = FALSE, .status = -1 };
  const gboolean can_tell = !self->reaper->taken && !self->reaper->eof && !self->reaper->ended;

  if (can_tell && self->pidfd_tag != NULL)
    {
      /* It stays readable: no need to be told again. */
      g_source_remove_unix_fd (self->source, g_steal_pointer (&self->pidfd_tag));
      self->reap_deadline = g_get_monotonic_time () + REAPER_PATIENCE_US;
    }
  else
    afrpc_child_set_exit (self, &unknown);
}

void
afrpc_child_reap (AfrpcChild *self)
{
  AfrpcSpawnStatus status;

  if (self->spawned.pid == 0 || self->exit != NULL)
    return;
  if (self->reaper != NULL)
    await_reaper (self);
  else if (afrpc_spawn_reap (&self->spawned, &status))
    afrpc_child_set_exit (self, &status);
  else if (self->spawned.pidfd < 0)
    self->reap_deadline = g_get_monotonic_time () + (self->eof ? REAP_SOON_US : REAP_LATER_US);
}

/* Over a command: how the worker ended if its goodbye told, or else that nobody knows. */
static char *
describe_end (AfrpcChild *self)
{
  g_autofree char *name = g_strdup_printf ("“%s”", self->config.host);
  g_autofree char *text = NULL;

  if (self->link.has_goodbye)
    {
      const AfrpcGoodbye *goodbye = &self->link.goodbye;
      const AfrpcSpawnStatus status = {
        .known = TRUE, .status = goodbye->status, .signum = goodbye->signum, .core = goodbye->core,
      };
      g_autoptr(AfrpcExit) worker_exit =
        afrpc_exit_new (0, &status, FALSE, &self->config.limits, afrpc_exit_get_stderr (self->exit));

      text = afrpc_exit_describe (worker_exit, "the worker");
      return g_strdup_printf ("%s: %s", name, text);
    }

  text = afrpc_exit_describe (self->exit, name);
  if (self->link.is_command && self->link.state > AFRPC_LINK_GREETING)
    return g_strdup_printf ("the link to the worker broke: %s", text);

  return g_steal_pointer (&text);
}

static GError *
make_end_error (AfrpcChild *self)
{
  g_autofree char *text = describe_end (self);
  /* It may have become ready, and begun. */
  const gboolean may_have_run = self->link.is_command && !self->link.has_goodbye && self->link.n_pending > 0;

  /* Whoever is killed says nothing of what it is. */
  if (self->link.state == AFRPC_LINK_GREETING && afrpc_exit_get_signal (self->exit) == 0)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "%s before it said that it is a host", text);
  if (!self->link.was_ready && !may_have_run)
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

  if (afrpc_link_get_started (&self->link, serial) == AFRPC_STARTED_NO)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED,
                        "the call was not started: %s", self->failure->message);

  return g_error_copy (self->failure);
}

/* Settles whatever still waits, then tells the proxy. */
static void
tell_failure (AfrpcChild *self)
{
  g_autoptr(GArray) pending = afrpc_link_end (&self->link);
  g_autoptr(GObject) proxy = g_weak_ref_get (&self->proxy);
  const gboolean is_success = self->exit != NULL && afrpc_exit_is_success (self->exit) &&
                              (!self->link.is_command || (self->link.has_goodbye && self->link.goodbye.status == 0));
  const gboolean is_clean = pending->len == 0 && (self->link.was_ready || self->raw) && self->exit != NULL &&
                            (self->link.closing || is_success);

  self->told = TRUE;

  for (guint i = 0; i < pending->len; i++)
    {
      AfrpcLinkSlot *slot = &g_array_index (pending, AfrpcLinkSlot, i);

      afrpc_call_settle (slot->call.owner, self->spare_calls, NULL, afrpc_child_call_error (self, slot->serial));
    }

  if (self->hand_over_task != NULL)
    {
      g_autoptr(GTask) task = g_steal_pointer (&self->hand_over_task);

      g_task_return_error (task, g_error_copy (self->failure));
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

static GPtrArray *
take_tasks (GPtrArray **tasks)
{
  GPtrArray *taken = g_steal_pointer (tasks);

  *tasks = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < taken->len; i++)
    g_task_set_task_data (taken->pdata[i], NULL, NULL);

  return taken;
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
  afrpc_link_clear (&self->link);
  afrpc_tail_clear (&self->tail);

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

/* Whatever there is to do now that the process, or the conversation, may be over. */
void
afrpc_child_act_on_end (AfrpcChild *self)
{
  if (self->is_foreign && self->eof && self->exit == NULL)
    {
      const AfrpcSpawnStatus unknown = { .known = FALSE, .status = -1 };

      afrpc_child_set_exit (self, &unknown);
    }
  if (self->exit != NULL && self->eof && !self->backlog && self->stash.length == 0 && self->failure == NULL)
    afrpc_child_fail_at_end (self);

  if (self->failure != NULL && !self->told && !self->backlog && self->stash.length == 0)
    tell_failure (self);

  if (self->told && self->spawned.pid == 0 && self->fork_socket < 0)
    end_process (self);
  else if (self->lives_on && self->eof && self->link.closing && self->link.n_pending == 0 && !self->backlog)
    end_conversation (self);
}
