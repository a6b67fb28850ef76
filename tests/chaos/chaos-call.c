/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One call: made, cancelled, let go, settled; and what it brought, compared with what it asked for. */
#include "chaos.h"

#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SERIALISED_EXTRA 256u /* at most so many bytes more than the payload make a message */

static ChaosEntry *
entry_of (ChaosCall *self)
{
  return &chaos.ledger->calls[self->id];
}

gboolean
chaos_call_is_over (ChaosCall *self)
{
  return self->is_settled || self->is_skipped;
}

void
chaos_call_release (ChaosCall *self)
{
  g_atomic_int_set (&entry_of (self)->gate, 1);
}

static GVariant *
new_args (ChaosCall *self)
{
  const ChaosPlanCall *plan = self->plan;
  GVariantBuilder handles;

  if (plan->kind == CHAOS_KIND_WRONG)
    return g_variant_new ("(us)", self->id, "of another type");

  g_variant_builder_init (&handles, G_VARIANT_TYPE ("ah"));
  for (guint i = 0; i < plan->n_fds; i++)
    g_variant_builder_add (&handles, "h", (gint32) i);

  return g_variant_new ("(uuuu@ay@ah)", self->id, plan->kind, plan->n, plan->size,
                        chaos_bytes (plan->args_size, CHAOS_ARGS_BYTES (self->id)), g_variant_builder_end (&handles));
}

static GUnixFDList *
new_fds (ChaosCall *self)
{
  GUnixFDList *list;

  if (self->plan->n_fds == 0)
    return NULL;
  list = g_unix_fd_list_new ();
  for (guint i = 0; i < self->plan->n_fds; i++)
    {
      const int fd = chaos_pipe_with (self->id, i, FALSE);

      g_unix_fd_list_append (list, fd, NULL);
      close (fd);
    }

  return list;
}

static void
check_fds (ChaosCall   *self,
           GVariant    *handles,
           GUnixFDList *fds, /* (nullable) */
           guint        n)
{
  const guint n_fds = fds != NULL ? g_unix_fd_list_get_length (fds) : 0;

  if (g_variant_n_children (handles) != n || n_fds != n)
    chaos_fail (self->actor, "call %u: %u descriptors of %u", self->index, n_fds, n);
  for (guint i = 0; i < n_fds; i++)
    if (!chaos_pipe_has (g_unix_fd_list_get (fds, i, NULL), self->id, i, TRUE))
      chaos_fail (self->actor, "call %u: descriptor %u is another", self->index, i);
}

/* The seats of the member, and of those that it was forked from, the first one first. */
static void
check_who (ChaosCall *self,
           GVariant  *seats,
           guint      n_fds)
{
  ChaosMember *member = self->member;
  guint n_expected_fds = 0;

  for (guint i = g_variant_n_children (seats); i-- > 0;)
    {
      guint32 seat;

      g_variant_get_child (seats, i, "u", &seat);
      if (seat != member->seat)
        chaos_fail (self->actor, "call %u: start argument %u is another", self->index, i);
      n_expected_fds += member->n_start_fds;
      if ((i > 0) != (member->plan->how == CHAOS_HOW_FORK))
        chaos_fail (self->actor, "call %u: the start arguments are not all those of its templates", self->index);
      if (member->plan->how == CHAOS_HOW_FORK)
        member = &self->actor->members[member->plan->parent];
    }
  if (n_fds != n_expected_fds)
    chaos_fail (self->actor, "call %u: %u descriptors at the start, rather than %u", self->index, n_fds, n_expected_fds);
}

static void
check_value (ChaosCall    *self,
             ChaosOutcome *outcome)
{
  g_autoptr(GVariant) bytes = NULL;
  g_autoptr(GVariant) handles = NULL;
  g_autoptr(GVariant) seats = NULL;
  guint32 id, number, n_start_fds;

  if (!g_variant_is_of_type (outcome->value, G_VARIANT_TYPE (CHAOS_RESULT_TYPE)))
    {
      chaos_fail (self->actor, "call %u: a result of type %s", self->index, g_variant_get_type_string (outcome->value));
      return;
    }
  g_variant_get (outcome->value, "(uu@ay@ah@auu)", &id, &number, &bytes, &handles, &seats, &n_start_fds);
  if (id != self->id)
    chaos_fail (self->actor, "call %u has the result of another: %u, not %u", self->index, id, self->id);
  if (!chaos_are_bytes (bytes, self->plan->size, CHAOS_RESULT_BYTES (self->id)))
    chaos_fail (self->actor, "call %u: the bytes of its result are wrong", self->index);
  check_fds (self, handles, outcome->fds, self->plan->n_fds);
  if (self->plan->kind == CHAOS_KIND_WHO)
    check_who (self, seats, n_start_fds);
  chaos_member_note (self->member, number, self->plan->is_sync, "result");

  if (self->plan->kind == CHAOS_KIND_ERROR || self->plan->kind == CHAOS_KIND_PRIVATE_ERROR ||
      self->plan->kind == CHAOS_KIND_NOTHING || self->plan->kind == CHAOS_KIND_WRONG)
    chaos_fail (self->actor, "call %u (%s) has a result", self->index, chaos_kind_names[self->plan->kind]);
}

static void
check_function_error (ChaosCall    *self,
                      ChaosOutcome *outcome)
{
  const char *text = strstr (outcome->error->message, "chaos ");
  guint id = 0, number = 0;

  if (self->plan->kind != CHAOS_KIND_ERROR && self->plan->kind != CHAOS_KIND_PRIVATE_ERROR)
    chaos_fail (self->actor, "call %u (%s) failed: %s", self->index, chaos_kind_names[self->plan->kind],
                outcome->error->message);
  while (text != NULL && sscanf (text, CHAOS_ERROR_TEXT, &id, &number) != 2)
    text = strstr (text + 1, "chaos ");
  if (text == NULL || id != self->id)
    chaos_fail (self->actor, "call %u has the error of another: %s", self->index, outcome->error->message);
  else
    chaos_member_note (self->member, number, self->plan->is_sync, "error");
}

/* Everything that a call brings comes before it is settled; except what a blocking call leaves for later. */
static void
check_counts (ChaosCall *self)
{
  const ChaosPlanCall *plan = self->plan;
  const gboolean is_heard = !plan->is_sync && !self->member->is_dropped;
  const guint n_events = plan->kind == CHAOS_KIND_EVENTS || plan->kind == CHAOS_KIND_FLUSH_EXIT ? plan->n
                         : plan->kind == CHAOS_KIND_EVENT_FDS ? 1 : 0;

  const gboolean is_too_large = self->member->plan->max_message != 0 &&
                                plan->size + SERIALISED_EXTRA > self->member->plan->max_message;

  if (is_heard && !is_too_large && self->n_events != n_events)
    chaos_fail (self->actor, "call %u: %u events of %u", self->index, self->n_events, n_events);
  if (plan->kind == CHAOS_KIND_PROGRESS && !is_too_large && self->progress == CHAOS_PROGRESS_ALL && self->n_progress != plan->n)
    chaos_fail (self->actor, "call %u: %u times progress, not %u", self->index, self->n_progress, plan->n);
  if (plan->kind == CHAOS_KIND_PROGRESS && !is_too_large && self->progress == CHAOS_PROGRESS_LATEST && plan->n > 0 &&
      self->n_progress == 0)
    chaos_fail (self->actor, "call %u: no progress", self->index);
}

static guint
message_size (ChaosCall *self)
{
  const gboolean has_result = self->plan->kind != CHAOS_KIND_WRONG;

  return MAX (self->plan->args_size, has_result ? self->plan->size : 0);
}

/* Whether there was a reason for the call to end in this way. */
static gboolean
is_explained (ChaosCall    *self,
              ChaosOutcome *outcome)
{
  ChaosMember *member = self->member;
  const ChaosPlanCall *plan = self->plan;

  switch (outcome->cause)
    {
    case CHAOS_CAUSE_RESULT:
    case CHAOS_CAUSE_FUNCTION:
      return TRUE;
    case CHAOS_CAUSE_CANCELLED:
      return self->is_cancel_requested;
    case CHAOS_CAUSE_TIMED_OUT:
      return self->timeout_ms != 0;
    case CHAOS_CAUSE_BUSY:
      /* Those that were cancelled may still be on their way. */
      return member->plan->max_calls != 0 && (self->n_pending_then >= member->plan->max_calls || member->loses);
    case CHAOS_CAUSE_TOO_LARGE:
      return member->plan->max_message != 0 && message_size (self) + SERIALISED_EXTRA > member->plan->max_message;
    case CHAOS_CAUSE_CLOSED:
      return self->was_closed || member->may_die;
    case CHAOS_CAUSE_GONE:
      return member->may_die;
    case CHAOS_CAUSE_WRONG:
      return plan->kind == CHAOS_KIND_WRONG;
    case CHAOS_CAUSE_NO_RESULT:
      return plan->kind == CHAOS_KIND_NOTHING;
    default:
      return FALSE;
    }
}

/* A sync worker that waits for a gate which is closed runs no other call. Over a command that is not enough: there the
 * cancel follows a call that was sent. */
static gboolean
is_behind_gate (ChaosCall *self)
{
  if (chaos_member_is_far (self->member))
    return FALSE;
  for (guint i = 0; i < self->actor->plan->n_calls && !self->member->plan->is_async; i++)
    {
      ChaosCall *call = &self->actor->calls[i];
      ChaosEntry *entry = entry_of (call);

      if (call->member == self->member && call->is_made && call->made_as < self->made_as &&
          call->plan->kind == CHAOS_KIND_HOLD && g_atomic_int_get (&entry->started) == 1 &&
          g_atomic_int_get (&entry->finished) == 0 && g_atomic_int_get (&entry->gate) == 0)
        return TRUE;
    }
  return FALSE;
}

static const char *const cause_names[] = {
  "result", "failed", "cancelled", "timed out", "busy", "too large", "closed", "gone", "wrong arguments", "no result",
  "other",
};
static const char *const started_names[] = { "not started", "started", "started unknown" };

/* Notes what has become of it, and complains. */
void
chaos_call_check (ChaosCall    *self,
                  ChaosOutcome *outcome)
{
  chaos_trace (self->actor, "call %u settled: %s, %s%s%s", self->index, cause_names[outcome->cause],
               started_names[outcome->started], outcome->error != NULL ? ": " : "",
               outcome->error != NULL ? outcome->error->message : "");
  chaos_progress ();
  if (self->is_settled)
    chaos_fail (self->actor, "call %u settled twice", self->index);
  self->is_settled = TRUE;
  self->handle = NULL;
  self->member->n_pending--;
  self->cause = outcome->cause;
  self->has_word = outcome->has_word;
  self->started = outcome->started;

  if ((outcome->value != NULL) == (outcome->error != NULL))
    chaos_fail (self->actor, "call %u: both a result and an error, or neither", self->index);
  if (self->member->is_destroyed && !self->was_made_after && chaos_looks_at (CHAOS_DESTROYED_LAST))
    chaos_fail (self->actor, "call %u settled after 'destroyed'", self->index);
  if (!is_explained (self, outcome))
    chaos_fail (self->actor, "call %u (%s, %s) has no reason to end like this: %s", self->index,
                chaos_kind_names[self->plan->kind], started_names[outcome->started],
                outcome->error != NULL ? outcome->error->message : "a result");
  if (self->is_cancelled_before && outcome->cause != CHAOS_CAUSE_CANCELLED && !self->was_closed)
    chaos_fail (self->actor, "call %u was cancelled before it was made, and ended as: %s", self->index,
                cause_names[outcome->cause]);

  if (outcome->cause == CHAOS_CAUSE_CANCELLED || outcome->cause == CHAOS_CAUSE_TIMED_OUT)
    {
      self->member->loses = TRUE;
      self->must_not_start = is_behind_gate (self);
    }
  if (outcome->cause == CHAOS_CAUSE_RESULT && outcome->value != NULL)
    check_value (self, outcome);
  if (outcome->cause == CHAOS_CAUSE_FUNCTION)
    check_function_error (self, outcome);
  if (outcome->cause == CHAOS_CAUSE_RESULT || outcome->cause == CHAOS_CAUSE_FUNCTION)
    check_counts (self);
}

static void
settled_cb (ChaosOutcome *outcome,
            gpointer      data)
{
  ChaosCall *self = data;

  chaos_call_check (self, outcome);
  chaos_actor_act (self->actor, &self->plan->on_settled);
}

static void
progress_cb (GVariant *progress,
             gpointer  data)
{
  ChaosCall *self = data;
  g_autoptr(GVariant) bytes = NULL;
  guint32 id, i, number;

  g_variant_get (progress, "(uuu@ayah)", &id, &i, &number, &bytes, NULL);
  if (id != self->id || !chaos_are_bytes (bytes, self->plan->size, CHAOS_EVENT_BYTES (self->id)))
    chaos_fail (self->actor, "call %u: the progress of another", self->index);
  if (self->is_settled)
    chaos_fail (self->actor, "call %u: progress after its result", self->index);
  if (self->progress == CHAOS_PROGRESS_ALL ? i != self->n_progress : i < self->n_progress)
    chaos_fail (self->actor, "call %u: progress %u after %u", self->index, i, self->n_progress);
  if (number < self->member->last_number)
    chaos_fail (self->actor, "call %u: progress of before %u arrives after that", self->index, number);
  self->n_progress = i + 1;
}

static void
prepare (ChaosCall    *self,
         ChaosOptions *options)
{
  const ChaosPlanCall *plan = self->plan;

  if (plan->has_cancellable)
    self->cancellable = g_cancellable_new ();
  if (plan->is_cancelled_before)
    {
      g_cancellable_cancel (self->cancellable);
      self->is_cancel_requested = TRUE;
      /* One that is made, and then waited for, has been made by then. */
      self->is_cancelled_before = !(plan->is_sync && plan->way == CHAOS_WAY_START);
    }
  options->way = plan->way;
  options->fds = new_fds (self);
  options->timeout_ms = plan->timeout_ms;
  options->execution_timeout_ms = plan->execution_timeout_ms;
  if (plan->by_other_name)
    options->function = self->member->plan->is_async ? CHAOS_FUNCTION_ASYNC_TOO : CHAOS_FUNCTION_SYNC_TOO;
  options->cancellable = self->cancellable;
  options->wants_progress = plan->progress != CHAOS_PROGRESS_NOT;
  options->progress_mode = plan->progress == CHAOS_PROGRESS_LATEST ? AFRPC_PROGRESS_LATEST : AFRPC_PROGRESS_ALL;

  self->timeout_ms = plan->timeout_ms != 0 ? plan->timeout_ms
                     : plan->execution_timeout_ms != 0 ? plan->execution_timeout_ms : self->member->plan->timeout_ms;
  self->progress = plan->is_sync ? CHAOS_PROGRESS_NOT : plan->progress;
  self->is_made = TRUE;
  self->was_closed = self->member->is_closed;
  self->was_made_after = self->member->is_destroyed;
  self->made_as = self->member->n_made++;
  self->n_pending_then = self->member->n_pending++;
  if (plan->kind == CHAOS_KIND_EXIT || plan->kind == CHAOS_KIND_SIGNAL || plan->kind == CHAOS_KIND_FLUSH_EXIT)
    chaos_member_mark_mortal (self->member);
}

/* Another thread waits until the function runs, or until nobody waits for it any more; then does what is to be done
 * meanwhile. */
typedef struct
{
  ChaosEntry *entry;
  ChaosSeat *seat;
  GCancellable *cancellable; /* (nullable): kill */
  gint is_over;
} Meanwhile;

static void
meanwhile_unref (Meanwhile *self)
{
  ChaosEntry *entry = self->entry; /* the other may free the rest */

  if (g_atomic_int_add (&self->is_over, 1) == 0)
    {
      chaos_entry_tell (entry);
      return;
    }
  g_clear_object (&self->cancellable);
  g_free (self);
}

static void
meanwhile_cb (gpointer data)
{
  Meanwhile *self = data;
  gint n = g_atomic_int_get (&self->entry->n_news);

  while (g_atomic_int_get (&self->is_over) == 0 && g_atomic_int_get (&self->entry->started) == 0)
    {
      chaos_entry_wait (self->entry, n);
      n = g_atomic_int_get (&self->entry->n_news);
    }
  if (g_atomic_int_get (&self->is_over) == 0)
    {
      if (self->cancellable != NULL)
        g_cancellable_cancel (self->cancellable);
      else
        chaos_signal (g_atomic_int_get (&self->seat->pid), SIGKILL);
    }
  meanwhile_unref (self);
}

static Meanwhile *
begin_meanwhile (ChaosCall *self)
{
  const ChaosPlanCall *plan = self->plan;
  Meanwhile *meanwhile;

  if (!plan->is_cancelled_meanwhile && !plan->is_killed_meanwhile)
    return NULL;
  meanwhile = g_new0 (Meanwhile, 1);
  meanwhile->entry = entry_of (self);
  meanwhile->seat = &chaos.ledger->seats[self->member->seat];
  if (plan->is_cancelled_meanwhile)
    {
      meanwhile->cancellable = g_object_ref (self->cancellable);
      self->is_cancel_requested = TRUE;
    }
  else
    chaos_member_mark_mortal (self->member);
  chaos_thread_do (meanwhile_cb, meanwhile);

  return meanwhile;
}

static void
call_sync (ChaosCall    *self,
           ChaosOptions *options)
{
  g_auto(ChaosOutcome) outcome = { 0 };
  Meanwhile *meanwhile;

  /* What the worker, or its template, waits for does not come from now on. */
  chaos_actor_end_waits (self->actor);
  meanwhile = begin_meanwhile (self);
  chaos_api_call_sync (self->member->proxy, new_args (self), options, progress_cb, self, &outcome);
  chaos_call_release (self);
  g_clear_pointer (&meanwhile, meanwhile_unref);
  chaos_call_check (self, &outcome);
}

void
chaos_call_make (ChaosCall *self)
{
  ChaosOptions options = { 0 };

  if (self->is_made || self->is_skipped)
    return;
  if (self->member->proxy == NULL)
    {
      self->is_skipped = TRUE;
      return;
    }
  chaos_trace (self->actor, "call %u made", self->index);
  prepare (self, &options);
  if (self->plan->is_sync)
    call_sync (self, &options);
  else
    {
      self->handle = chaos_api_call (self->member->proxy, new_args (self), &options, settled_cb, progress_cb, self);
    }
  g_clear_object (&options.fds);
}

static void
cancel_cancellable_cb (gpointer data)
{
  g_autoptr(GCancellable) cancellable = data;

  g_cancellable_cancel (cancellable);
}

static void
cancel_call_cb (gpointer data)
{
  g_autoptr(AfrpcCall) call = data;

  afrpc_call_cancel (call);
}

/* By its cancellable, or by the call itself if there is a way to it. */
void
chaos_call_cancel (ChaosCall *self,
                   gboolean   by_thread)
{
  AfrpcCall *call;

  if (!self->is_made || self->is_settled || self->handle == NULL)
    return;
  call = chaos_api_get_call (self->handle);
  if (self->cancellable == NULL && call == NULL)
    return;
  chaos_trace (self->actor, "call %u is cancelled", self->index);
  self->is_cancel_requested = TRUE;
  self->member->loses = TRUE;
  if (by_thread && self->cancellable != NULL)
    chaos_thread_do (cancel_cancellable_cb, g_object_ref (self->cancellable));
  else if (by_thread)
    chaos_thread_do (cancel_call_cb, g_object_ref (call));
  else if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  else
    afrpc_call_cancel (call);
}
