/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings: what all workers are called with. Those that there are get a setting behind what they have, and nothing else
 * until they have answered; each later one gets all settings while it starts, before it is ready for the pool. One in
 * which a setting fails is not configured, and ends. */
#include "config.h"

#include "pool/afrpc-pool-settings.h"

#include <signal.h>

#include "afrpc-error.h"

struct _AfrpcPoolSetting
{
  guint ref_count;
  GVariant *args;            /* (owned) */
  AfrpcCallOptions *options; /* (nullable) (owned) */
};

/* A setting as one worker has it. It is decided in place, and seen by whoever looks at the member: nobody is told of it. */
typedef struct
{
  AfrpcPending pending;
  guint ref_count;
  AfrpcPoolSetting *setting; /* (owned) */
  AfrpcPoolMember *member;   /* (nullable) (not owned): who has it among its settings */
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
  g_clear_pointer (&self->round, afrpc_pool_round_unref);
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
  if (self->member != NULL)
    self->member->n_settings_answered++;
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
  self->member = member;
  self->round = round != NULL ? afrpc_pool_round_ref (round) : NULL;
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
  const gboolean is_gone = error != NULL && core->state < AFRPC_POOL_KILLED && afrpc_pool_is_by_end (error, member->peer);

  if (given->round != NULL)
    afrpc_pool_round_answer (core, given->round, is_gone ? NULL : error);
  if (error != NULL && !is_gone && core->state < AFRPC_POOL_KILLED)
    reject (member, given);
  given_unref (given);
  given_unref (given);
}

/* Returns: (nullable): one that was answered, in whatever order */
static Given *
pop_answered (AfrpcPoolMember *member)
{
  const gboolean has_ended = afrpc_peer_has_ended (member->peer);

  /* This is looked for often, and there may be many. */
  if (member->n_settings_answered == 0 && !has_ended)
    return NULL;

  for (GList *l = member->settings.head; l != NULL; l = l->next)
    {
      Given *given = l->data;

      if (has_ended)
        afrpc_peer_decide_at_end (member->peer, &given->pending);
      if (given->pending.state != AFRPC_PENDING_DECIDED)
        continue;

      member->n_settings_answered--;
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
      given->member = NULL;
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
          member->n_settings_answered--;
          afrpc_pool_round_answer (core, round, given->error);
          given_unref (given);
          given_unref (given);
          take_back (core, members, i);
          break;
        }
      afrpc_pool_member_look (member);
    }
  replace_earlier (core, setting);
  afrpc_pool_round_answer (core, round, NULL);
  for (guint i = 0; i < members->len; i++)
    {
      AfrpcPoolMember *member = members->pdata[i];

      if (member->core != NULL && afrpc_pool_member_look (member))
        afrpc_pool_desk_serve (core, member);
    }
  afrpc_pool_desk_pump (core);
}

/* All workers are called with it from now on. */
void
afrpc_pool_settings_say (AfrpcPoolCore    *self,
                         GVariant         *args,
                         AfrpcCallOptions *options, /* (nullable) */
                         AfrpcPoolRound   *round)
{
  AfrpcPoolSetting *setting = g_new0 (AfrpcPoolSetting, 1);

  setting->ref_count = 1;
  setting->args = g_variant_ref (args);
  g_set_object (&setting->options, options);
  if (options != NULL)
    afrpc_call_options_freeze (options);
  give_all (self, setting, round);
  setting_unref (setting);
}

/* Later workers are not called any more with what was said by this function and label. FALSE: there was nothing. */
gboolean
afrpc_pool_settings_forget (AfrpcPoolCore *self,
                            const char    *function,
                            const char    *label) /* (nullable) */
{
  AfrpcPoolSetting *setting;
  gboolean was_there = FALSE;

  /* There may be another one, while a serialiser has this come between the two. */
  while ((setting = find (self, function, label)) != NULL)
    {
      forget (self, setting);
      was_there = TRUE;
    }

  return was_there;
}

/* No worker is called with anything any more. */
void
afrpc_pool_settings_abandon (AfrpcPoolCore *self)
{
  AfrpcPoolSetting *setting;

  while ((setting = g_queue_pop_head (&self->settings)) != NULL)
    setting_unref (setting);
}
