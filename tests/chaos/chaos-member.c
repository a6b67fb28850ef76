/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process, and its proxy: how they are made, how they end, and what they say unasked. */
#include "chaos.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <signal.h>
#include <unistd.h>

#define MAX_MESSAGE_SIZE (G_GUINT64_CONSTANT (128) << 20) /* as it comes */

gboolean
chaos_member_is_far (ChaosMember *self)
{
  while (self->plan->how == CHAOS_HOW_FORK)
    self = &self->actor->members[self->plan->parent];

  return self->plan->how == CHAOS_HOW_COMMAND;
}

/* Something may end it from now on; and, if they are forked from it, those that were not started yet. */
void
chaos_member_mark_mortal (ChaosMember *self)
{
  self->may_die = TRUE;
  if (chaos_member_is_far (self))
    return;
  for (guint i = 0; i < self->actor->plan->n_members; i++)
    {
      ChaosMember *other = &self->actor->members[i];

      if (other->is_made && !other->may_die && other->plan->how == CHAOS_HOW_FORK &&
          other->plan->parent == self->index &&
          (other->process == NULL || afrpc_process_get_pid (other->process) == 0))
        chaos_member_mark_mortal (other);
    }
}

static void
object_gone_cb (gpointer  data,
                GObject  *where)
{
  ChaosMember *self = data;

  g_atomic_int_add (&self->n_objects, -1);
  g_main_context_wakeup (self->actor->stage->context);
}

static void
watch_object (ChaosMember *self,
              gpointer     object)
{
  g_atomic_int_inc (&self->n_objects);
  g_object_weak_ref (object, object_gone_cb, self);
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           ChaosMember  *self)
{
  g_autofree char *text = afrpc_exit_to_string (exit);

  chaos_trace (self->actor, "member %u exited: %s", self->index, text);
  chaos_progress ();
  if (self->exit != NULL)
    chaos_fail (self->actor, "member %u exited twice", self->index);
  /* An async worker with a last function may live on after it. */
  if (self->is_destroyed && !(self->plan->has_done && self->plan->is_async) && !self->may_have_failed_at_job)
    chaos_fail (self->actor, "member %u exited after 'destroyed'", self->index);
  if (!self->may_die && !afrpc_exit_is_success (exit) &&
      !(afrpc_exit_was_killed (exit) && afrpc_exit_get_signal (exit) == SIGKILL))
    chaos_fail (self->actor, "member %u ended without a reason: %s", self->index, text);
  g_clear_pointer (&self->exit, afrpc_exit_unref);
  self->exit = afrpc_exit_ref (exit);
  self->had_job_at_exit = self->has_job && !self->had_ended_at_job;
  chaos_actor_act (self->actor, &self->plan->on_exited);
}

static void
destroyed_cb (AfrpcProxy  *proxy,
              ChaosMember *self)
{
  chaos_trace (self->actor, "member %u destroyed", self->index);
  chaos_progress ();
  if (self->is_destroyed)
    chaos_fail (self->actor, "member %u destroyed twice", self->index);
  if (self->n_pending != 0 && chaos_looks_at (CHAOS_DESTROYED_LAST))
    chaos_fail (self->actor, "member %u destroyed with %u calls that are not settled", self->index, self->n_pending);
  self->is_destroyed = TRUE;
  self->is_closed = TRUE;
  chaos_actor_act (self->actor, &self->plan->on_destroyed);
}

static void
error_cb (AfrpcProxy   *proxy,
          const GError *error,
          ChaosMember  *self)
{
  chaos_trace (self->actor, "member %u has an error: %s", self->index, error->message);
  if (!self->may_die)
    chaos_fail (self->actor, "member %u has an error: %s", self->index, error->message);
  if (self->has_error)
    chaos_fail (self->actor, "member %u has another error: %s", self->index, error->message);
  if (self->is_destroyed || (self->exit != NULL && self->had_job_at_exit))
    chaos_fail (self->actor, "member %u has an error after its end", self->index);
  self->has_error = TRUE;
  chaos_actor_act (self->actor, &self->plan->on_error);
}

/* Something arrived that the worker made as the one with that number. */
void
chaos_member_note (ChaosMember *self,
                   guint        number,
                   gboolean     is_sync,
                   const char  *what)
{
  guint *last = is_sync ? &self->last_sync_number : &self->last_number;

  if (number <= *last)
    chaos_fail (self->actor, "member %u: %s number %u arrives after number %u", self->index, what, number, *last);
  *last = MAX (*last, number);
  if (number >= self->numbers->len)
    {
      const guint n_before = self->numbers->len;

      g_byte_array_set_size (self->numbers, number * 2 + 64);
      memset (self->numbers->data + n_before, 0, self->numbers->len - n_before);
    }
  if (self->numbers->data[number] != 0)
    chaos_fail (self->actor, "member %u: number %u arrives twice", self->index, number);
  self->numbers->data[number] = 1;
}

static void
check_event_fds (ChaosCall   *call,
                 GUnixFDList *fds) /* (nullable) */
{
  const guint n = call->plan->kind == CHAOS_KIND_EVENT_FDS ? call->plan->n : 0;
  const guint n_fds = fds != NULL ? g_unix_fd_list_get_length (fds) : 0;

  if (n_fds != n)
    chaos_fail (call->actor, "call %u: an event with %u descriptors of %u", call->index, n_fds, n);
  for (guint i = 0; i < n_fds; i++)
    if (!chaos_pipe_has (g_unix_fd_list_get (fds, i, NULL), call->id, i, TRUE))
      chaos_fail (call->actor, "call %u: descriptor %u of an event is another", call->index, i);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          ChaosMember  *self)
{
  g_autoptr(GVariant) bytes = NULL;
  guint32 id, i, number;
  ChaosCall *call;

  chaos_progress ();
  if (!g_variant_is_of_type (event, G_VARIANT_TYPE (CHAOS_EVENT_TYPE)))
    {
      chaos_fail (self->actor, "member %u: an event of type %s", self->index, g_variant_get_type_string (event));
      return;
    }
  g_variant_get (event, "(uuu@ayah)", &id, &i, &number, &bytes, NULL);
  if (id / CHAOS_CALLS_MAX != self->actor->slot || id % CHAOS_CALLS_MAX >= self->actor->plan->n_calls)
    {
      chaos_fail (self->actor, "member %u: an event of another's call", self->index);
      return;
    }
  call = &self->actor->calls[id % CHAOS_CALLS_MAX];
  if (call->member != self)
    chaos_fail (self->actor, "call %u: an event from another process", call->index);
  if (i != call->n_events)
    chaos_fail (self->actor, "call %u: event %u after %u others", call->index, i, call->n_events);
  if (!chaos_are_bytes (bytes, call->plan->size, CHAOS_EVENT_BYTES (id)))
    chaos_fail (self->actor, "call %u: the bytes of event %u are wrong", call->index, i);
  if (call->is_settled && !call->plan->is_sync && call->cause == CHAOS_CAUSE_RESULT)
    chaos_fail (self->actor, "call %u: event %u after its result", call->index, i);
  if (self->is_destroyed)
    chaos_fail (self->actor, "member %u: an event after 'destroyed'", self->index);
  if (self->process != NULL && from != self->process)
    chaos_fail (self->actor, "call %u: event %u is said to be from another process", call->index, i);
  check_event_fds (call, fds);
  chaos_member_note (self, number, FALSE, "event");
  call->n_events = i + 1;
  if (++self->n_events == self->plan->on_event_n)
    chaos_actor_act (self->actor, &self->plan->on_event);
}

static AfrpcProcess *
new_process (ChaosMember *self)
{
  const char *argv[] = { "sh", "-c", "exec \"$0\"", chaos.host, NULL };

  switch (self->plan->how)
    {
    case CHAOS_HOW_EXEC: return afrpc_process_new_exec (NULL);
    case CHAOS_HOW_NEW: return afrpc_process_new ();
    case CHAOS_HOW_FORK: return afrpc_process_fork (self->actor->members[self->plan->parent].process);
    case CHAOS_HOW_COMMAND: return afrpc_process_new_command (argv);
    case CHAOS_HOW_SELF: return afrpc_process_new_self ();
    default: return afrpc_process_new_self_exec ();
    }
}

static void
choose_stderr (ChaosMember *self)
{
  /* What complains of messages that are too large does so in vain. */
  const guint drawn = self->plan->max_message != 0 ? 0 : self->plan->stderr_mode;

  if (drawn < 60)
    afrpc_process_set_stderr (self->process, AFRPC_STDIO_CAPTURE);
  else if (drawn < 75)
    afrpc_process_set_stderr (self->process, AFRPC_STDIO_SILENCE);
  else if (drawn < 85)
    afrpc_process_set_stderr (self->process, AFRPC_STDIO_INHERIT);
}

static void
send_start_args (ChaosMember *self)
{
  const gboolean is_root = self->plan->how != CHAOS_HOW_FORK;

  if (is_root && self->plan->how != CHAOS_HOW_SELF && self->plan->how != CHAOS_HOW_SELF_EXEC)
    afrpc_process_require (self->process, chaos.module);
  if (is_root)
    afrpc_process_send_arg (self->process, g_variant_new_string (chaos.ledger_path));
  afrpc_process_send_arg (self->process, g_variant_new_uint32 (self->seat));
  if (self->plan->start_size != 0)
    afrpc_process_send_arg (self->process, chaos_bytes (self->plan->start_size, CHAOS_START_BYTES (self->plan->start_size)));
  if (self->plan->sends_fd)
    {
      const int fd = chaos_pipe_with (self->seat, 0, FALSE);

      afrpc_process_send_fd (self->process, fd);
      close (fd);
      self->n_start_fds = 1;
    }
}

void
chaos_member_make (ChaosMember *self)
{
  ChaosMember *parent = &self->actor->members[self->plan->parent];

  /* A callback may have dropped what it should be forked from. */
  if (self->plan->how == CHAOS_HOW_FORK && parent->process == NULL)
    return;
  chaos_trace (self->actor, "member %u made", self->index);
  self->process = new_process (self);
  self->is_made = TRUE;
  self->numbers = g_byte_array_new ();
  watch_object (self, self->process);
  g_signal_connect (self->process, "exited", G_CALLBACK (exited_cb), self);
  choose_stderr (self);
  send_start_args (self);
  /* What has ended for certain is executed and prepared anew. */
  if (self->plan->how == CHAOS_HOW_FORK && parent->may_die && parent->exit == NULL)
    chaos_member_mark_mortal (self);
}

/* Whether a process has ended, and is known to have, though that may not have been told yet. */
static gboolean
is_reaped (int pid)
{
  return pid > 0 && kill (pid, 0) != 0 && errno == ESRCH;
}

void
chaos_member_give_job (ChaosMember *self)
{
  const ChaosPlanMember *plan = self->plan;

  if (self->process == NULL || self->has_job)
    return;
  chaos_trace (self->actor, "member %u gets its job", self->index);
  self->may_have_failed_at_job = self->may_die;
  self->had_ended_at_job = is_reaped (afrpc_process_get_pid (self->process));
  self->has_job = TRUE;
  self->proxy = g_object_new (AFRPC_TYPE_PROXY, "process", self->process, "function",
                              plan->is_async ? CHAOS_FUNCTION_ASYNC : CHAOS_FUNCTION_SYNC, "init", CHAOS_FUNCTION_INIT,
                              "done", !plan->has_done ? NULL : plan->is_async ? CHAOS_FUNCTION_DONE_EXIT : CHAOS_FUNCTION_DONE,
                              "backend", plan->is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC, "max-message-size",
                              plan->max_message != 0 ? (guint64) plan->max_message : MAX_MESSAGE_SIZE, NULL);
  watch_object (self, self->proxy);
  if (plan->max_calls != 0)
    g_object_set (self->proxy, "max-calls-queued", plan->max_calls, NULL);
  if (plan->timeout_ms != 0)
    g_object_set (self->proxy, "call-timeout-ms", plan->timeout_ms, NULL);
  g_signal_connect (self->proxy, "event", G_CALLBACK (event_cb), self);
  g_signal_connect (self->proxy, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (self->proxy, "destroyed", G_CALLBACK (destroyed_cb), self);
}

void
chaos_member_close (ChaosMember *self)
{
  if (self->proxy == NULL)
    return;
  chaos_trace (self->actor, "member %u is closed", self->index);
  self->is_closed = TRUE;
  afrpc_caller_close (AFRPC_CALLER (self->proxy));
}

static void
closed_cb (gpointer data)
{
  ChaosMember *self = data;

  chaos_trace (self->actor, "member %u has closed", self->index);
  if (self->n_closing-- == 0)
    chaos_fail (self->actor, "member %u has closed once too often", self->index);
  /* What is called after the end is in vain, before and after this. */
  if (self->n_pending != 0 && !self->is_destroyed && chaos_looks_at (CHAOS_DESTROYED_LAST))
    chaos_fail (self->actor, "member %u has closed with %u calls that are not settled", self->index, self->n_pending);
}

void
chaos_member_close_async (ChaosMember *self)
{
  if (self->proxy == NULL)
    return;
  chaos_trace (self->actor, "member %u is closed, with a callback", self->index);
  self->is_closed = TRUE;
  self->n_closing++;
  chaos_api_close_async (self->proxy, closed_cb, self);
}

/* Nothing is left of the worker afterwards, though the main loop has still to tell. */
void
chaos_member_close_sync (ChaosMember *self)
{
  g_autoptr(GError) error = NULL;
  const int pid = g_atomic_int_get (&chaos.ledger->seats[self->seat].pid);

  if (self->proxy == NULL)
    return;
  chaos_trace (self->actor, "member %u is closed, blocking", self->index);
  self->is_closed = TRUE;
  chaos_actor_end_waits (self->actor);
  if (!afrpc_caller_close_sync (AFRPC_CALLER (self->proxy), NULL, &error))
    chaos_fail (self->actor, "member %u cannot be closed: %s", self->index, error->message);
  /* An async worker with a last function may live on. */
  if (pid != 0 && !(self->plan->has_done && self->plan->is_async) && chaos_process_state (pid) != '-' &&
      chaos_is_child (pid))
    chaos_fail (self->actor, "member %u is closed, and its process is there", self->index);
}

void
chaos_member_drop (ChaosMember *self,
                   gboolean     by_thread)
{
  if (self->proxy == NULL)
    return;
  chaos_trace (self->actor, "member %u is dropped", self->index);
  self->is_dropped = TRUE;
  if (by_thread)
    chaos_thread_do (g_object_unref, g_steal_pointer (&self->proxy));
  else
    g_clear_object (&self->proxy);
}

void
chaos_member_drop_process (ChaosMember *self)
{
  chaos_trace (self->actor, "process %u is dropped", self->index);
  self->is_process_dropped = TRUE;
  g_clear_object (&self->process);
}

void
chaos_member_kill_process (ChaosMember *self)
{
  if (self->process == NULL)
    return;
  chaos_trace (self->actor, "member %u is killed by the library", self->index);
  chaos_member_mark_mortal (self);
  afrpc_process_kill (self->process, SIGKILL);
}

void
chaos_member_kill_proxy (ChaosMember *self)
{
  if (self->proxy == NULL)
    return;
  chaos_trace (self->actor, "proxy %u is killed by the library", self->index);
  chaos_member_mark_mortal (self);
  self->is_closed = TRUE;
  afrpc_caller_kill (AFRPC_CALLER (self->proxy));
}

static int
pid_of_worker (ChaosMember *self)
{
  return g_atomic_int_get (&chaos.ledger->seats[self->seat].pid);
}

static int
pid_of_host (ChaosMember *self)
{
  return self->process != NULL ? afrpc_process_get_pid (self->process) : 0;
}

/* By a signal from outside, to the worker itself. */
void
chaos_member_kill (ChaosMember *self)
{
  const int pid = pid_of_worker (self) != 0 ? pid_of_worker (self) : pid_of_host (self);

  if (pid == 0)
    return;
  chaos_trace (self->actor, "member %u, pid %d, is killed", self->index, pid);
  chaos_member_mark_mortal (self);
  chaos_signal (pid, SIGKILL);
}

/* To what the program has started: a command. */
void
chaos_member_kill_host (ChaosMember *self)
{
  const int pid = pid_of_host (self);

  if (pid == 0)
    return;
  chaos_trace (self->actor, "what leads to member %u, pid %d, is killed", self->index, pid);
  chaos_member_mark_mortal (self);
  chaos_signal (pid, SIGKILL);
}

void
chaos_member_stop (ChaosMember *self)
{
  if (pid_of_worker (self) == 0 || !chaos_signal (pid_of_worker (self), SIGSTOP))
    return;
  chaos_trace (self->actor, "member %u is stopped", self->index);
  self->is_stopped = TRUE;
}

void
chaos_member_cont (ChaosMember *self)
{
  if (!self->is_stopped)
    return;
  chaos_trace (self->actor, "member %u goes on", self->index);
  if (!chaos_signal (pid_of_worker (self), SIGCONT) && chaos_process_state (pid_of_worker (self)) == 'T')
    chaos_fail (self->actor, "member %u cannot be made to go on", self->index);
  self->is_stopped = FALSE;
}

/* Nothing can come from it any more. */
gboolean
chaos_member_is_over (ChaosMember *self)
{
  if (!self->is_made)
    return TRUE;
  if (self->n_pending != 0 || self->n_closing != 0)
    return FALSE;
  if (self->proxy != NULL)
    return self->is_destroyed;
  if (self->process != NULL && self->has_job && afrpc_process_get_pid (self->process) != 0)
    return self->exit != NULL;

  return TRUE;
}

void
chaos_member_let_go (ChaosMember *self)
{
  g_clear_object (&self->proxy);
  g_clear_object (&self->process);
}
