/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings: what all workers are called with. Those that there are get a setting behind what they have, and nothing else
 * until they have answered; each later one gets all settings while it starts, before it is ready for the pool. One in
 * which a setting fails is not configured, and ends. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <signal.h>

#include "afrpc-error.h"
#include "peer/afrpc-task.h"
#include "wire/afrpc-value.h"

struct _AfrpcPoolSetting
{
  guint ref_count;
  GVariant *args;            /* (owned) */
  AfrpcCallOptions *options; /* (nullable) (owned) */
};

/* One call for all workers of a moment. */
struct _AfrpcPoolRound
{
  guint ref_count;
  guint n_left;  /* workers that have not answered, and one until all have it */
  GError *error; /* (nullable): the first */
  GTask *task;   /* (nullable) (owned): who waits in the main loop */
};

/* A setting as one worker has it. It is decided in place, and seen by whoever looks at the member: nobody is told of it. */
typedef struct
{
  AfrpcPending pending;
  guint ref_count;
  AfrpcPoolSetting *setting; /* (owned) */
  AfrpcPoolRound *round;     /* (nullable) (owned) */
  GError *error;             /* (nullable) */
} Given;

/* Settings */

static AfrpcPoolSetting *
setting_ref (AfrpcPoolSetting *self)
{
  self->ref_count++;

  return self;
}

static void
setting_unref (AfrpcPoolSetting *self)
{
  if (--self->ref_count > 0)
    return;

  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_object (&self->options);
  g_free (self);
}

static const char *
get_function (const AfrpcPoolCore    *core,
              const AfrpcPoolSetting *self)
{
  return self->options != NULL && self->options->function != NULL ? self->options->function : core->config.function;
}

static const char *
get_label (const AfrpcPoolSetting *self)
{
  return self->options != NULL ? self->options->label : NULL;
}

/* Returns: (nullable): what later workers are called with by this function and label */
static AfrpcPoolSetting *
find (AfrpcPoolCore *core,
      const char    *function,
      const char    *label) /* (nullable) */
{
  for (GList *l = core->settings.head; l != NULL; l = l->next)
    {
      if (g_strcmp0 (get_function (core, l->data), function) == 0 && g_strcmp0 (get_label (l->data), label) == 0)
        return l->data;
    }

  return NULL;
}

/* Later workers are not called with it any more, if they still were. */
static void
forget (AfrpcPoolCore    *core,
        AfrpcPoolSetting *self)
{
  if (g_queue_remove (&core->settings, self))
    setting_unref (self);
}

/* It has come to workers: what was said before it by the same function and label is not said to later ones any more. If it
 * was replaced itself meanwhile, that has been seen to. */
static void
replace_earlier (AfrpcPoolCore    *core,
                 AfrpcPoolSetting *self)
{
  AfrpcPoolSetting *earlier;

  if (g_queue_find (&core->settings, self) == NULL)
    return;

  while ((earlier = find (core, get_function (core, self), get_label (self))) != self)
    forget (core, earlier);
}

/* Rounds */

static AfrpcPoolRound *
round_ref (AfrpcPoolRound *self)
{
  self->ref_count++;

  return self;
}

static void
round_unref (AfrpcPoolRound *self)
{
  if (--self->ref_count > 0)
    return;

  g_clear_error (&self->error);
  g_clear_object (&self->task);
  g_free (self);
}

/* @error: (nullable) */
static void
round_answer (AfrpcPoolCore  *core,
              AfrpcPoolRound *self,
              const GError   *error)
{
  if (error != NULL && self->error == NULL)
    self->error = g_error_copy (error);
  if (--self->n_left == 0 && self->task != NULL)
    afrpc_pool_core_want_timer (core, 0);
  core->n_acts++;
}

/* As a worker has them */

static Given *
of_pending (AfrpcPending *pending)
{
  return (Given *) pending;
}

static void
given_unref (Given *self)
{
  if (--self->ref_count > 0)
    return;

  setting_unref (self->setting);
  g_clear_pointer (&self->round, round_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static void
pending_ref (AfrpcPending *pending)
{
  of_pending (pending)->ref_count++;
}

static void
pending_unref (AfrpcPending *pending)
{
  given_unref (of_pending (pending));
}

static void
pending_progress (AfrpcPending *pending,
                  GVariant     *value)
{
}

static void
pending_decide (AfrpcPending *pending,
                GVariant     *value,
                GUnixFDList  *fds,
                GError       *error)
{
  Given *self = of_pending (pending);
  const char *label = get_label (self->setting);

  g_clear_pointer (&value, g_variant_unref);
  g_clear_object (&fds);
  self->error = error;
  if (error != NULL && label != NULL && !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE))
    g_prefix_error (&self->error, "%s: ", label);
}

static const AfrpcPendingFuncs pending_funcs = {
  pending_ref, pending_unref, pending_unref, pending_progress, pending_decide, pending_unref,
};

/* @round: (nullable): of those who wait */
static void
give (AfrpcPoolMember  *member,
      AfrpcPoolSetting *setting,
      AfrpcPoolRound   *round)
{
  const AfrpcCallOptions *options = setting->options;
  Given *self = g_new0 (Given, 1);

  self->ref_count = 2; /* the worker's, and the member's */
  self->pending.funcs = &pending_funcs;
  self->pending.is_awaited = TRUE;
  self->pending.execution_timeout_ms = options != NULL ? options->execution_timeout_ms : 0;
  self->setting = setting_ref (setting);
  self->round = round != NULL ? round_ref (round) : NULL;
  if (round != NULL)
    round->n_left++;
  g_queue_push_tail (&member->settings, self);
  afrpc_proxy_give (member->proxy, setting->args, setting->options,
                    options != NULL && options->timeout_ms > 0 ? (guint) options->timeout_ms : 0, &self->pending);
}

/* What never left the program is nothing that the worker could do about. */
static gboolean
was_sent (const Given *self)
{
  return self->pending.serial != 0;
}

/* It is not configured, and serves nobody: one that has not yet begun counts as one that could not be prepared. */
static void
reject (AfrpcPoolMember *member,
        Given           *given)
{
  AfrpcPoolCore *core = member->core;
  const gboolean is_stuck = core->config.backend == AFRPC_BACKEND_SYNC && given->pending.started != AFRPC_STARTED_NO &&
                            g_error_matches (given->error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);

  g_debug ("member %d is not configured: %s", afrpc_peer_get_pid (member->peer), given->error->message);
  if (member->state == AFRPC_POOL_MEMBER_STARTING)
    {
      if (member->failure == NULL)
        member->failure = g_error_copy (given->error);
      core->n_acts++;
      afrpc_peer_close (member->peer);
    }
  else if (was_sent (given) && afrpc_pool_member_is_live (member))
    afrpc_pool_staff_renew (core, member);
  if (is_stuck)
    afrpc_peer_kill (member->peer, SIGKILL);
}

/* The member has answered; consumes the references of both. */
static void
take_answer (AfrpcPoolMember *member,
             Given           *given)
{
  AfrpcPoolCore *core = member->core;
  const GError *error = given->error;
  /* Another one is called with it in its place. */
  const gboolean is_gone = error != NULL && core->state != AFRPC_POOL_KILLED && afrpc_pool_is_by_end (error, member->peer);

  if (given->round != NULL)
    round_answer (core, given->round, is_gone ? NULL : error);
  if (error != NULL && !is_gone && core->state != AFRPC_POOL_KILLED)
    reject (member, given);
  given_unref (given);
  given_unref (given);
}

/* Returns: (nullable): one that was answered, in whatever order */
static Given *
pop_answered (AfrpcPoolMember *member)
{
  const gboolean has_ended = afrpc_peer_has_ended (member->peer);

  for (GList *l = member->settings.head; l != NULL; l = l->next)
    {
      Given *given = l->data;

      if (has_ended)
        afrpc_peer_decide_at_end (member->peer, &given->pending);
      if (given->pending.state != AFRPC_PENDING_DECIDED)
        continue;

      g_queue_delete_link (&member->settings, l);
      return given;
    }

  return NULL;
}

/* Sees what a member has answered. It may end because of that. */
void
afrpc_pool_settings_look (AfrpcPoolMember *member)
{
  Given *given;

  while (member->core != NULL && (given = pop_answered (member)) != NULL)
    take_answer (member, given);
}

/* The pool has nothing to do with the member any more. */
void
afrpc_pool_settings_leave (AfrpcPoolMember *member)
{
  Given *given;

  while ((given = g_queue_pop_head (&member->settings)) != NULL)
    {
      /* Who was going to have its outcome in place is not there any more. */
      if (given->pending.state == AFRPC_PENDING_DECIDED)
        given_unref (given);
      given->pending.is_awaited = FALSE;
      given_unref (given);
    }
}

/* A new worker is called with all of them; a serialiser may do anything meanwhile. */
void
afrpc_pool_settings_give (AfrpcPoolCore   *self,
                          AfrpcPoolMember *member)
{
  g_autoptr(GPtrArray) settings = NULL;

  if (G_LIKELY (self->settings.length == 0))
    return;

  settings = g_ptr_array_new_with_free_func ((GDestroyNotify) setting_unref);
  for (GList *l = self->settings.head; l != NULL; l = l->next)
    g_ptr_array_add (settings, setting_ref (l->data));
  for (guint i = 0; i < settings->len && member->core != NULL; i++)
    give (member, settings->pdata[i], NULL);
}

/* It cannot be sent to everybody: those that have it are replaced. */
static void
take_back (AfrpcPoolCore *core,
           GPtrArray     *members,
           guint          n)
{
  for (guint i = 0; i < n; i++)
    {
      AfrpcPoolMember *member = members->pdata[i];

      if (member->core != NULL)
        afrpc_pool_staff_renew (core, member);
    }
}

/* All that there are get it now. What cannot be sent to one is as if never said, and leaves what was said before it. */
static void
give_all (AfrpcPoolCore    *core,
          AfrpcPoolSetting *setting,
          AfrpcPoolRound   *round)
{
  g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_pool_member_unref);

  g_queue_push_tail (&core->settings, setting_ref (setting));
  for (guint i = 0; i < core->members->len; i++)
    g_ptr_array_add (members, afrpc_pool_member_ref (core->members->pdata[i]));
  for (guint i = 0; i < members->len; i++)
    {
      AfrpcPoolMember *member = members->pdata[i];
      Given *given;

      if (member->core == NULL || !afrpc_pool_member_is_live (member) || afrpc_peer_is_closed (member->peer))
        continue;

      give (member, setting, round);
      given = g_queue_peek_tail (&member->settings);
      if (given != NULL && given->setting == setting && given->pending.state == AFRPC_PENDING_DECIDED &&
          !was_sent (given) && !afrpc_pool_is_by_end (given->error, member->peer))
        {
          forget (core, setting);
          g_queue_pop_tail (&member->settings);
          round_answer (core, round, given->error);
          given_unref (given);
          given_unref (given);
          take_back (core, members, i);
          break;
        }
      afrpc_pool_member_look (member);
    }
  replace_earlier (core, setting);
  round_answer (core, round, NULL);
  for (guint i = 0; i < members->len; i++)
    {
      AfrpcPoolMember *member = members->pdata[i];

      if (member->core != NULL && afrpc_pool_member_look (member))
        afrpc_pool_desk_serve (core, member);
    }
  afrpc_pool_desk_pump (core);
}

/* FALSE: it cannot be said. */
static gboolean
check (AfrpcPoolCore  *core,
       GVariant       *args,
       GError        **error)
{
  if (core->failure != NULL)
    g_propagate_error (error, g_error_copy (core->failure));
  else if (core->state != AFRPC_POOL_OPEN)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the pool is closed");
  else if (core->config.serialiser == NULL && g_variant_get_size (args) > core->config.max_message_size)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "the arguments have %" G_GSIZE_FORMAT " bytes, more than the limit of %"
                 G_GUINT64_FORMAT, g_variant_get_size (args), core->config.max_message_size);
  else
    return TRUE;

  return FALSE;
}

/* @task: (nullable). Returns: (transfer full) (nullable): what is waited for */
static AfrpcPoolRound *
begin (AfrpcPool         *pool,
       GVariant          *args,
       AfrpcCallOptions  *options,
       GTask             *task,
       GError           **error)
{
  g_autoptr(GVariant) sunk = afrpc_value_ref_sink (args != NULL ? args : g_variant_new_tuple (NULL, 0));
  g_autoptr(AfrpcPool) keeper = g_object_ref (pool);
  AfrpcPoolCore *core = pool->core;
  AfrpcPoolSetting *setting;
  AfrpcPoolRound *round;

  if (!afrpc_pool_check_thread (pool, "calling all workers", error) || !check (core, sunk, error))
    return NULL;

  setting = g_new0 (AfrpcPoolSetting, 1);
  setting->ref_count = 1;
  setting->args = g_steal_pointer (&sunk);
  g_set_object (&setting->options, options);
  if (options != NULL)
    afrpc_call_options_freeze (options);
  round = g_new0 (AfrpcPoolRound, 1);
  round->ref_count = 1;
  round->n_left = 1;
  if (task != NULL)
    {
      round->task = g_object_ref (task);
      g_queue_push_tail (&core->rounds, round_ref (round));
    }
  give_all (core, setting, round);
  setting_unref (setting);

  return round;
}

/* Those who wait hear of it, in their order. */
void
afrpc_pool_settings_tell (AfrpcPoolCore *self)
{
  GList *link = self->rounds.head;

  while (link != NULL)
    {
      AfrpcPoolRound *round = link->data;
      g_autoptr(GTask) task = NULL;

      if (round->n_left > 0)
        {
          link = link->next;
          continue;
        }
      g_queue_delete_link (&self->rounds, link);
      task = g_steal_pointer (&round->task);
      afrpc_task_unwatch (task);
      if (round->error != NULL)
        g_task_return_error (task, g_steal_pointer (&round->error));
      else
        g_task_return_boolean (task, TRUE);
      round_unref (round);
      /* Whoever was told may have done anything. */
      link = self->rounds.head;
    }
}

/* Nobody is told anything any more. */
void
afrpc_pool_settings_abandon (AfrpcPoolCore *self)
{
  g_queue_clear_full (&self->rounds, (GDestroyNotify) round_unref);
  g_queue_clear_full (&self->settings, (GDestroyNotify) setting_unref);
}

static gboolean
cancelled_cb (GCancellable *cancellable,
              gpointer      user_data)
{
  GTask *task = user_data;
  AfrpcPoolCore *core = AFRPC_POOL (g_task_get_source_object (task))->core;

  for (GList *l = core->rounds.head; l != NULL; l = l->next)
    {
      AfrpcPoolRound *round = l->data;

      if (round->task != task)
        continue;

      g_queue_delete_link (&core->rounds, l);
      round->task = NULL;
      round_unref (round);
      g_task_return_error_if_cancelled (task);
      afrpc_task_unwatch (task);
      g_object_unref (task);
      break;
    }

  return G_SOURCE_REMOVE;
}

/**
 * afrpc_pool_call_all_async:
 * @self: a pool
 * @args: (nullable): the arguments, usually a tuple; a floating reference is consumed; %NULL for an empty tuple
 * @options: (nullable): which function is called, and what the calls carry besides
 * @cancellable: (nullable): stops waiting, and nothing else
 * @callback: (scope async) (closure user_data): called once all workers that there are have answered
 * @user_data: data for @callback
 *
 * Configures all workers: those that there are, and each later one, call a function with @args.
 *
 * A worker that there is calls it after the calls that it has, and gets no other until it has answered. A later one calls
 * it once it is ready, before anything else, and after what was said before by this method. What the functions return is
 * dropped. The function is that of @options, or the pool's. Another use of this method with the same function and the same
 * [label][property@Afrpc.CallOptions:label], or both without one, replaces the earlier one for later workers; so do not
 * forget labels where one function sets several things. [method@Afrpc.Pool.refresh] keeps it all,
 * [method@Afrpc.Pool.forget_call_all] does not.
 *
 * Finishes once all workers that there are have answered, at once if there are none. One that dies meanwhile is not waited
 * for: whoever takes its place calls the function, which may so be called more than once for the same arguments, and has
 * to be idempotent.
 *
 * Fails with the first error that a worker answers with, after all of them have. No worker works unconfigured: one in
 * which the function fails, or takes longer than the options allow, gets no more calls and is replaced; one that was being
 * started counts as one whose init function has failed: see [property@Afrpc.Pool:max-failures]. What the function refuses
 * everywhere has the pool fail, as an init function would, unless it is replaced or forgotten first. What cannot be sent
 * at all, because it is too large for example, fails with the reason, and is as if it had not been said: what it would have
 * replaced goes on. If it cannot be sent to some, such as descriptors over a command, those that it was sent to are replaced.
 *
 * Of the options, time limits count for each worker by itself, for a later one from its start; descriptors are copied for
 * each; the pool's [property@Afrpc.Pool:call-timeout-ms], priority, affinity, idempotence and progress mean nothing here.
 *
 * Fails also with %AFRPC_ERROR_CLOSED if the pool is closed, with its [failure][method@Afrpc.Pool.get_failure], with
 * %AFRPC_ERROR_FAILED while another thread runs the main context of the pool, and with %G_IO_ERROR_CANCELLED, after
 * which workers are configured all the same.
 *
 * Since: 1.0
 */
void
afrpc_pool_call_all_async (AfrpcPool           *self,
                           GVariant            *args,
                           AfrpcCallOptions    *options,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  AfrpcPoolRound *round;
  GError *error = NULL;

  g_return_if_fail (AFRPC_IS_POOL (self));
  g_return_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_pool_call_all_async);
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    {
      if (args != NULL)
        g_variant_unref (g_variant_ref_sink (args));
      return;
    }

  afrpc_task_watch (task, G_SOURCE_FUNC (cancelled_cb), task, NULL);
  round = begin (self, args, options, task, &error);
  if (round == NULL)
    {
      afrpc_task_unwatch (task);
      g_task_return_error (task, error);
      return;
    }
  round_unref (round);
}

/**
 * afrpc_pool_call_all_finish:
 * @self: a pool
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@Afrpc.Pool.call_all_async].
 *
 * Returns: %TRUE if all workers that there were are configured
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_call_all_finish (AfrpcPool     *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_pool_call_all_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
has_answered (gpointer data)
{
  return ((AfrpcPoolRound *) data)->n_left == 0;
}

/**
 * afrpc_pool_call_all_sync:
 * @self: a pool
 * @args: (nullable): the arguments, as for [method@Afrpc.Pool.call_all_async]
 * @options: (nullable): which function is called, and what the calls carry besides
 * @cancellable: (nullable): stops waiting, and nothing else; from another thread
 * @error: return location for an error
 *
 * Configures all workers as [method@Afrpc.Pool.call_all_async] does, and blocks until those that there are have answered.
 *
 * No main context is iterated: what arrives meanwhile is delivered afterwards. Fails in the same way, and with
 * %AFRPC_ERROR_BUSY if workers say more meanwhile than [is kept](limits.html#blocking).
 *
 * Returns: %TRUE if all workers that there were are configured
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_call_all_sync (AfrpcPool         *self,
                          GVariant          *args,
                          AfrpcCallOptions  *options,
                          GCancellable      *cancellable,
                          GError           **error)
{
  g_autoptr(AfrpcPool) keeper = NULL;
  AfrpcPoolRound *round;
  gboolean is_configured = FALSE;

  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);
  g_return_val_if_fail (options == NULL || AFRPC_IS_CALL_OPTIONS (options), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    {
      if (args != NULL)
        g_variant_unref (g_variant_ref_sink (args));
      return FALSE;
    }

  keeper = g_object_ref (self);
  round = begin (self, args, options, NULL, error);
  if (round == NULL)
    return FALSE;

  if (round->n_left == 0 || afrpc_pool_block_until (self->core, has_answered, round, cancellable, error))
    {
      is_configured = round->error == NULL;
      if (!is_configured)
        g_propagate_error (error, g_steal_pointer (&round->error));
    }
  round_unref (round);

  return is_configured;
}

/**
 * afrpc_pool_forget_call_all:
 * @self: a pool
 * @function: (nullable): the function that was called, %NULL for the pool's
 * @label: (nullable): the label that it was called with
 *
 * Has later workers not call a function any more that [method@Afrpc.Pool.call_all_async] has them call.
 *
 * Those that there are stay as they are; [method@Afrpc.Pool.refresh] replaces them.
 *
 * Returns: %TRUE if there was such a call
 *
 * Since: 1.0
 */
gboolean
afrpc_pool_forget_call_all (AfrpcPool  *self,
                            const char *function,
                            const char *label)
{
  AfrpcPoolSetting *setting;
  gboolean was_there = FALSE;

  g_return_val_if_fail (AFRPC_IS_POOL (self), FALSE);

  if (!afrpc_pool_check_thread (self, G_STRFUNC, NULL))
    return FALSE;

  /* There may be another one, while a serialiser has this come between the two. */
  while ((setting = find (self->core, function != NULL ? function : self->core->config.function, label)) != NULL)
    {
      forget (self->core, setting);
      was_there = TRUE;
    }

  return was_there;
}
