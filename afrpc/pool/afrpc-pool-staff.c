/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The staff: how many workers there are, made from a template as they are needed, and ended when they are not. Workers
 * that end without having served anybody are made again after longer and longer, and in the end not at all. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "afrpc-process-private.h"

#define BACK_OFF_MIN_MS 50u
#define BACK_OFF_MAX_MS 10000u

/* How many */

/* Returns: how many processors' worth of time the process' control group may use, or @n if that is less, or unknown. */
static guint
get_quota (guint n)
{
  g_autofree char *groups = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  char *group;
  guint64 quota, period;

  if (!g_file_get_contents ("/proc/self/cgroup", &groups, NULL, NULL))
    return n;

  group = g_strrstr (groups, "0::");
  if (group == NULL)
    return n;
  group = g_strstrip (group + 3);
  path = g_strdup_printf ("/sys/fs/cgroup%s/cpu.max", g_str_equal (group, "/") ? "" : group);
  if (!g_file_get_contents (path, &text, NULL, NULL) ||
      sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &quota, &period) != 2 || period == 0)
    return n;

  return CLAMP ((quota + period - 1) / period, 1, n);
}

/* Returns: how many processors the program may use: by its affinity, and its control group */
guint
afrpc_pool_staff_get_default_max (void)
{
  return get_quota (MAX (g_get_num_processors (), 1));
}

/* Returns: how many members get calls, or are going to */
guint
afrpc_pool_staff_count (const AfrpcPoolCore *self)
{
  return self->n_members[AFRPC_POOL_MEMBER_STARTING] + self->n_members[AFRPC_POOL_MEMBER_IDLE] +
         self->n_members[AFRPC_POOL_MEMBER_BUSY];
}

/* Templates */

static void
template_exited_cb (AfrpcProcess  *process,
                    AfrpcExit     *exit,
                    AfrpcPoolCore *self)
{
  self->has_template_died = TRUE;
}

/* What it was prepared with, its copy knows, which is executed, since there is nobody to fork it. */
static void
renew_template (AfrpcPoolCore *self)
{
  g_autoptr(AfrpcProcess) again = afrpc_process_fork (self->template);

  afrpc_peer_inherit (again->peer, self->template->peer);
  afrpc_pool_staff_set_template (self, again);
}

/* @template: (nullable): what members are made from, from now on */
void
afrpc_pool_staff_set_template (AfrpcPoolCore *self,
                               AfrpcProcess  *template)
{
  if (self->template != NULL)
    g_signal_handler_disconnect (self->template, self->template_exited_id);
  g_set_object (&self->template, template);
  self->has_template_died = FALSE;
  if (template != NULL)
    self->template_exited_id = g_signal_connect (template, "exited", G_CALLBACK (template_exited_cb), self);
}

/* Starting */

static void
start (AfrpcPoolCore *self)
{
  GMainContext *context = afrpc_peer_get_main_context (self->anchor);
  g_autoptr(AfrpcProcess) process = NULL;

  /* Who asks for a call may not have pushed it. */
  g_main_context_push_thread_default (context);
  if (self->has_template_died)
    renew_template (self);
  process = afrpc_process_fork (self->template);
  afrpc_peer_inherit (process->peer, self->template->peer);
  g_ptr_array_add (self->members, afrpc_pool_member_new (self, process));
  g_main_context_pop_thread_default (context);
  self->n_acts++;
  afrpc_pool_member_look (self->members->pdata[self->members->len - 1]);
}

/* Whether a worker may be started for a job that waits. All of them have to be busy for a while before. */
static gboolean
is_time (AfrpcPoolCore *self,
         gint64         now)
{
  const gint64 at = self->busy_since + (gint64) self->config.start_delay_ms * 1000;

  if (afrpc_pool_staff_count (self) == 0)
    return TRUE;
  if (self->busy_since == 0)
    {
      self->busy_since = now;
      if (self->config.start_delay_ms > 0)
        {
          afrpc_pool_core_want_timer (self, now + (gint64) self->config.start_delay_ms * 1000);
          return FALSE;
        }
    }
  else if (now < at)
    {
      afrpc_pool_core_want_timer (self, at);
      return FALSE;
    }

  return TRUE;
}

/* Starts workers if there have to be more. */
void
afrpc_pool_staff_update (AfrpcPoolCore *self)
{
  const AfrpcPoolConfig *config = &self->config;
  gint64 now = 0;

  if (self->queue.n == 0)
    self->busy_since = 0;
  /* Which is so in almost every call. */
  if (self->queue.n == 0 && (config->idle_workers == 0 || self->state != AFRPC_POOL_OPEN))
    return;
  if (self->failure != NULL || self->state >= AFRPC_POOL_KILLED || self->template == NULL)
    return;

  for (;;)
    {
      const guint n_starting = self->n_members[AFRPC_POOL_MEMBER_STARTING];
      const gboolean for_idle = self->state == AFRPC_POOL_OPEN &&
                                n_starting + self->n_members[AFRPC_POOL_MEMBER_IDLE] < config->idle_workers;
      const gboolean for_job = self->queue.n > (guint64) n_starting * config->load;

      if (afrpc_pool_staff_count (self) >= config->max_workers || self->n_failing > 0 || (!for_idle && !for_job))
        return;
      if (now == 0)
        now = g_get_monotonic_time ();
      if (now < self->not_before)
        {
          afrpc_pool_core_want_timer (self, self->not_before);
          return;
        }
      if (!for_idle && self->n_to_replace == 0 && !is_time (self, now))
        return;

      if (self->n_to_replace > 0)
        self->n_to_replace--;
      start (self);
      if (!for_idle)
        self->busy_since = config->start_delay_ms > 0 ? now : self->busy_since;
    }
}

/* It gets no more calls, and somebody else takes its place when there are some. */
void
afrpc_pool_staff_renew (AfrpcPoolCore   *self,
                        AfrpcPoolMember *member)
{
  if (!afrpc_pool_member_is_live (member))
    return;

  self->n_to_replace = MIN (self->n_to_replace + 1, self->config.max_workers);
  afrpc_pool_member_end (member);
}

/* All workers are renewed, from @template. */
void
afrpc_pool_staff_refresh (AfrpcPoolCore *self,
                          AfrpcProcess  *template)
{
  afrpc_pool_staff_set_template (self, template);
  if (self->failure != NULL)
    {
      g_clear_error (&self->failure);
      self->has_to_notify = TRUE;
      afrpc_pool_core_want_timer (self, 0);
    }
  self->n_failures = 0;
  self->not_before = 0;
  self->has_worked = FALSE;
  for (guint i = 0; i < self->members->len; i++)
    afrpc_pool_staff_renew (self, self->members->pdata[i]);
  for (guint i = 0; i < self->members->len; i++)
    afrpc_pool_desk_serve (self, self->members->pdata[i]);
  afrpc_pool_desk_pump (self);
}

/* There may be more or fewer workers than before, with more or fewer calls. */
void
afrpc_pool_staff_adapt (AfrpcPoolCore *self)
{
  for (guint i = 0; i < self->members->len; i++)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (member->state == AFRPC_POOL_MEMBER_IDLE && afrpc_pool_staff_count (self) > self->config.max_workers)
        afrpc_pool_member_end (member);
      else
        afrpc_pool_member_look (member);
    }
  for (guint i = 0; i < self->members->len; i++)
    afrpc_pool_desk_serve (self, self->members->pdata[i]);
  afrpc_pool_desk_pump (self);
}

/* Stopping */

/* Sees who has been idle for long: whoever is found so at two ticks in a row, half of the time apart. */
void
afrpc_pool_staff_tick (AfrpcPoolCore *self,
                       gint64         now)
{
  const gint64 interval = MAX ((gint64) self->config.stop_delay_ms * 1000 / 2, 1000);
  guint n_idle = self->n_members[AFRPC_POOL_MEMBER_IDLE];

  for (guint i = self->members->len; self->tick_at != 0 && i-- > 0;)
    {
      AfrpcPoolMember *member = self->members->pdata[i];

      if (member->state != AFRPC_POOL_MEMBER_IDLE)
        continue;
      if (++member->n_idle_ticks > 2 && n_idle > self->config.idle_workers)
        {
          n_idle--;
          afrpc_pool_member_end (member);
        }
    }

  self->tick_at = n_idle > 0 && afrpc_pool_staff_count (self) > self->config.idle_workers ? now + interval : 0;
  if (self->tick_at != 0)
    afrpc_pool_core_want_timer (self, self->tick_at);
}

/* Failing */

/* What would fail in the same way again, if it has never worked. */
static gboolean
is_hopeless (const GError *error)
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_VERSION) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_MODULE) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
}

/* There are not going to be workers any more: nobody waits for one. */
static void
give_up (AfrpcPoolCore *self,
         const GError  *error)
{
  self->failure = g_error_copy (error);
  g_debug ("no more workers: %s", error->message);
  afrpc_pool_desk_fail_all (self, self->failure);
  self->has_to_notify = TRUE;
  afrpc_pool_core_want_timer (self, 0);
}

/* With jitter: those that failed together do not come back together. */
static gint64
get_back_off (guint n_failures)
{
  const guint ms = MIN (BACK_OFF_MIN_MS << MIN (n_failures - 1, 16), BACK_OFF_MAX_MS);

  return (gint64) g_random_int_range (ms / 2, ms + 1) * 1000;
}

static void
note_failure (AfrpcPoolCore   *self,
              AfrpcPoolMember *member)
{
  const GError *error = afrpc_peer_get_failure (member->peer);

  self->n_failures++;
  self->not_before = g_get_monotonic_time () + get_back_off (self->n_failures);
  if (self->failure == NULL && afrpc_pool_staff_count (self) == 0 &&
      (self->n_failures >= self->config.max_failures || (is_hopeless (error) && !self->has_worked)))
    give_up (self, error);
}

/* Some outcomes may wait to be told. */
static gboolean
has_served (AfrpcPoolMember *member)
{
  for (GList *l = member->given.head; l != NULL && !member->has_served; l = l->next)
    member->has_served = ((AfrpcPoolJob *) l->data)->pending.state == AFRPC_PENDING_ARRIVED;

  return member->has_served;
}

/* A member is gone, which may not have been told yet. */
void
afrpc_pool_staff_lost (AfrpcPoolCore   *self,
                       AfrpcPoolMember *member)
{
  self->n_failing -= member->is_failing;
  afrpc_pool_desk_serve (self, member);
  if (has_served (member))
    self->has_worked = TRUE;
  else if (!member->is_asked_to_end)
    note_failure (self, member);
}
