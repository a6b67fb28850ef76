/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Templates: what members are made from, each with its share of them. One whose members end without having served
 * anybody is left out for longer and longer while there are others, and for good if it would fail in the same way again;
 * the pool fails only once all have. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include "afrpc-error.h"
#include "afrpc-process-private.h"

/* What a shell and what ends for it say of a command that cannot be run, or is not there. */
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND 127

/* Life */

static void
exited_cb (AfrpcProcess      *process,
           AfrpcExit         *exit,
           AfrpcPoolTemplate *self)
{
  self->has_died = TRUE;
}

/* @process: (nullable): what members are forked from, from now on */
static void
set_process (AfrpcPoolTemplate *self,
             AfrpcProcess      *process)
{
  if (self->process != NULL)
    g_signal_handler_disconnect (self->process, self->exited_id);
  g_set_object (&self->process, process);
  self->has_died = FALSE;
  self->generation++;
  self->base = AFRPC_POOL_BASE_UNKNOWN;
  if (process == NULL)
    return;

  afrpc_peer_set_pattern (afrpc_process_get_peer (process), TRUE);
  self->exited_id = g_signal_connect (process, "exited", G_CALLBACK (exited_cb), self);
}

static AfrpcPoolTemplate *
template_ref (AfrpcPoolTemplate *self)
{
  self->ref_count++;

  return self;
}

void
afrpc_pool_template_unref (AfrpcPoolTemplate *self)
{
  if (--self->ref_count > 0)
    return;

  g_assert (self->n_live == 0 && self->process == NULL);
  g_clear_error (&self->failure);
  g_free (self);
}

/* Returns: (transfer none): one that is the last of all */
AfrpcPoolTemplate *
afrpc_pool_template_add (AfrpcPoolCore *core,
                         AfrpcProcess  *process)
{
  AfrpcPoolTemplate *self = g_new0 (AfrpcPoolTemplate, 1);

  self->ref_count = 1;
  self->added = g_object_ref (process);
  self->weight = 1;
  set_process (self, process);
  g_ptr_array_add (core->templates, self);

  return self;
}

/* No more members are made from it. */
void
afrpc_pool_template_remove (AfrpcPoolCore     *core,
                            AfrpcPoolTemplate *self)
{
  set_process (self, NULL);
  g_clear_object (&self->added);
  g_ptr_array_remove (core->templates, self);
  afrpc_pool_template_unref (self);
}

/* Returns: (nullable): the one that was added as @process */
AfrpcPoolTemplate *
afrpc_pool_template_find (const AfrpcPoolCore *core,
                          const AfrpcProcess  *process)
{
  for (guint i = 0; i < core->templates->len; i++)
    {
      AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (template->added == process)
        return template;
    }

  return NULL;
}

/* Whatever was wrong may be right now. @process: (nullable): what it is from now on */
void
afrpc_pool_template_reset (AfrpcPoolTemplate *self,
                           AfrpcProcess      *process)
{
  if (process != NULL && process != self->added)
    {
      g_set_object (&self->added, process);
      set_process (self, process);
    }
  g_clear_error (&self->failure);
  self->is_vain = self->is_hopeless = FALSE;
  self->n_failures = 0;
  self->last_before = 0;
  self->not_before = 0;
  self->has_worked = FALSE;
  self->n_resets++;
}

/* Members */

/* Whether there is nobody any more to fork members from, or could not be. A command is run each time, whatever has become of
 * its own process. */
static gboolean
has_to_be_renewed (const AfrpcPoolTemplate *self)
{
  AfrpcPeer *peer = afrpc_process_get_peer (self->process);

  return (self->has_died || afrpc_peer_is_short (peer)) && !afrpc_peer_is_command (peer);
}

/* What it was prepared with, its copy knows, which is executed, since there is nobody to fork it. */
static void
renew (AfrpcPoolTemplate *self)
{
  g_autoptr(AfrpcProcess) again = afrpc_process_fork (self->process);

  afrpc_peer_inherit (afrpc_process_get_peer (again), afrpc_process_get_peer (self->process));
  set_process (self, again);
}

/* Returns: (transfer full): another member, which is not in the pool yet */
AfrpcPoolMember *
afrpc_pool_template_make_member (AfrpcPoolTemplate *self,
                                 AfrpcPoolCore     *core)
{
  g_autoptr(AfrpcProcess) process = NULL;

  if (has_to_be_renewed (self))
    renew (self);
  process = afrpc_process_fork (self->process);
  afrpc_peer_inherit (afrpc_process_get_peer (process), afrpc_process_get_peer (self->process));

  return afrpc_pool_member_new (core, template_ref (self), process);
}

/* Returns: how many calls one of its members may have */
guint
afrpc_pool_template_get_load (const AfrpcPoolTemplate *self,
                              const AfrpcPoolCore     *core)
{
  /* What waits behind something endless could not be given to somebody else. */
  if (core->config.backend == AFRPC_BACKEND_SYNC && self->process != NULL && !afrpc_peer_may_take_back () &&
      !afrpc_peer_is_command (afrpc_process_get_peer (self->process)))
    return 1;

  return self->load > 0 ? self->load : core->config.load;
}

/* Whether there are as many as there may be. */
static gboolean
is_full (const AfrpcPoolTemplate *self)
{
  return self->max_workers > 0 && self->n_live >= self->max_workers;
}

/* Whether there are more members of it than there may be. */
gboolean
afrpc_pool_template_has_too_many (const AfrpcPoolTemplate *self)
{
  return self->max_workers > 0 && self->n_live > self->max_workers;
}

/* Whether there may ever be another member, if nothing else is against it. */
gboolean
afrpc_pool_template_any_has_room (const AfrpcPoolCore *core)
{
  for (guint i = 0; i < core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (!template->is_hopeless && !is_full (template))
        return TRUE;
    }

  return FALSE;
}

/* Whether it fails once nobody is left of it. */
static gboolean
is_worn (const AfrpcPoolTemplate *self,
         const AfrpcPoolCore     *core)
{
  return self->is_vain || self->n_failures >= core->config.max_failures;
}

/* Whether those that are left of it are only starting: if others began before they have failed, there would be no end. */
static gboolean
is_running_out (const AfrpcPoolTemplate *self,
                const AfrpcPoolCore     *core)
{
  return self->n_starting > 0 && self->n_ready == 0 && is_worn (self, core);
}

/* The same of all that may have members: none of them begins again before the last one has failed. */
static gboolean
are_all_running_out (const AfrpcPoolCore *core)
{
  guint n_starting = 0;

  for (guint i = 0; i < core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (template->is_hopeless)
        continue;
      if (template->n_ready > 0 || !is_worn (template, core))
        return FALSE;
      n_starting += template->n_starting;
    }

  return n_starting > 0;
}

/* Whether another member can be made now. @at: earlier than this that changes by itself, unless it is 0 */
static gboolean
is_usable (const AfrpcPoolTemplate *self,
           const AfrpcPoolCore     *core,
           gint64                   now,
           gboolean                 for_others,
           gint64                  *at)
{
  if (self->is_hopeless || self->n_failing > 0 || is_full (self) || (for_others && self->n_starting > 0) ||
      is_running_out (self, core))
    return FALSE;
  if (now >= self->not_before)
    return TRUE;
  if (*at == 0 || self->not_before < *at)
    *at = self->not_before;

  return FALSE;
}

/* Whose turn it is to get another member: the one that is furthest below its share of them, the first of several.
 * @for_others: only one that none is being made from; @at: if there is nobody, when there may be, or 0.
 * Returns: (transfer none) (nullable) */
AfrpcPoolTemplate *
afrpc_pool_template_choose (const AfrpcPoolCore *core,
                            gint64               now,
                            gboolean             for_others,
                            gint64              *at)
{
  AfrpcPoolTemplate *best = NULL;
  gint64 weights = 0, n = 1, most = G_MININT64;

  *at = 0;
  if (are_all_running_out (core))
    return NULL;

  for (guint i = 0; i < core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (is_usable (template, core, now, for_others, at))
        {
          weights += template->weight;
          n += template->n_live;
        }
    }
  for (guint i = 0; i < core->templates->len; i++)
    {
      AfrpcPoolTemplate *template = core->templates->pdata[i];
      const gint64 missing = n * template->weight - template->n_live * weights;

      if (missing > most && is_usable (template, core, now, for_others, at))
        {
          best = template;
          most = missing;
        }
    }

  return best;
}

/* The same for one that is not counted: rather one that may have another, and no more of these than there may be of others, and one. */
AfrpcPoolTemplate *
afrpc_pool_template_choose_aside (const AfrpcPoolCore *core,
                                  gint64               now)
{
  gint64 at;
  AfrpcPoolTemplate *best = afrpc_pool_template_choose (core, now, FALSE, &at);

  if (best != NULL || are_all_running_out (core))
    return best;

  for (guint i = 0; best == NULL && i < core->templates->len; i++)
    {
      AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (!template->is_hopeless && template->n_failing == 0 && now >= template->not_before &&
          !is_running_out (template, core) &&
          (template->max_workers == 0 || template->n_asides <= template->max_workers))
        best = template;
    }

  return best;
}

/* Failing */

/* A command that ends without a word, as ssh does whose network is not there, may have more to say the next time. */
static gboolean
is_command_to_try_again (const AfrpcPoolTemplate *self,
                         AfrpcPeer               *peer)
{
  AfrpcExit *exit = afrpc_peer_get_exit (peer);
  const int status = exit != NULL && afrpc_exit_is_known (exit) ? afrpc_exit_get_status (exit) : 0;

  return self->process != NULL && afrpc_peer_is_command (peer) && status > 0 && status != STATUS_CANNOT_RUN &&
         status != STATUS_NOT_FOUND;
}

/* What would fail in the same way again, if it has never worked. */
static gboolean
is_hopeless (const AfrpcPoolTemplate *self,
             AfrpcPeer               *peer,
             const GError            *error)
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST) ||
         (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN) && afrpc_peer_is_impossible (peer)) ||
         (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST) && !is_command_to_try_again (self, peer)) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_VERSION) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_MODULE) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
}

/* One more in a row. Whatever has ended the last one may have ended the others that there were then: they are no sign that it
 * goes on, and have the next one wait all the same. */
static void
count_failure (AfrpcPoolTemplate     *self,
               const AfrpcPoolMember *member)
{
  if (member->id > self->last_before)
    {
      self->n_failures++;
      self->last_before = member->core->last_id;
      self->back_off_us = (gint64) afrpc_pool_jitter_back_off_ms (self->n_failures, g_random_int ()) * 1000;
    }
  self->not_before = g_get_monotonic_time () + self->back_off_us;
}

/* @member has ended without having served, because of @error. */
void
afrpc_pool_template_note_failure (AfrpcPoolTemplate     *self,
                                  const AfrpcPoolMember *member,
                                  const GError          *error)
{
  const AfrpcPoolCore *core = member->core;
  const gboolean is_for_good = is_hopeless (self, member->peer, error) && !self->has_worked;

  if (member->n_resets != self->n_resets)
    return;

  count_failure (self, member);
  self->is_vain = is_for_good;
  if (self->n_live > 0 || !is_worn (self, core))
    return;

  self->is_hopeless = is_for_good;
  g_clear_error (&self->failure);
  self->failure = g_error_copy (error);
}

/* A member that has ended had served. */
void
afrpc_pool_template_note_work (AfrpcPoolTemplate     *self,
                               const AfrpcPoolMember *member)
{
  if (member->n_resets == self->n_resets)
    self->has_worked = TRUE;
}

/* A member serves, after others had not. */
void
afrpc_pool_template_note_service (AfrpcPoolTemplate     *self,
                                  const AfrpcPoolMember *member)
{
  if (member->n_resets != self->n_resets)
    return;

  self->n_failures = 0;
  self->last_before = 0;
  self->is_vain = FALSE;
  g_clear_error (&self->failure);
}

/* Returns: (nullable): what the pool fails with, once nothing is left that members could be made from */
const GError *
afrpc_pool_template_get_common_failure (const AfrpcPoolCore *core)
{
  const GError *failure = NULL;

  for (guint i = 0; i < core->templates->len; i++)
    {
      const AfrpcPoolTemplate *template = core->templates->pdata[i];

      if (template->failure == NULL || template->n_live > 0)
        return NULL;
      failure = template->failure;
    }

  return failure;
}
