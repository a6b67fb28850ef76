/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans and their parts by name. */
#include "chaos-plan.h"

#include <string.h>

static const char *const feature_names[CHAOS_N_FEATURES] = {
  [CHAOS_ASYNC] = "async", [CHAOS_FORK] = "fork", [CHAOS_COMMAND] = "command", [CHAOS_SELF] = "self",
  [CHAOS_LARGE] = "large", [CHAOS_LARGE_START] = "large-start", [CHAOS_FLOOD] = "flood", [CHAOS_FDS] = "fds",
  [CHAOS_PROGRESS] = "progress", [CHAOS_SYNC] = "sync", [CHAOS_SYNC_FORK] = "sync-fork", [CHAOS_SYNC_INSIDE] = "sync-inside",
  [CHAOS_SYNC_CANCEL] = "sync-cancel", [CHAOS_SYNC_KILL] = "sync-kill", [CHAOS_CLOSE_SYNC] = "close-sync", [CHAOS_CANCEL] = "cancel",
  [CHAOS_CANCEL_THREAD] = "cancel-thread", [CHAOS_WAIT] = "wait", [CHAOS_OTHER_FUNCTION] = "other-function", [CHAOS_TIMEOUT] = "timeout", [CHAOS_REFUSED] = "refused", [CHAOS_LIMIT] = "limit",
  [CHAOS_DEATH] = "death", [CHAOS_KILL] = "kill", [CHAOS_KILL_HOST] = "kill-host",
  [CHAOS_TEMPLATE_DEATH] = "template-death", [CHAOS_TEMPLATE_JOB] = "template-job", [CHAOS_STOP] = "stop",
  [CHAOS_DROP] = "drop", [CHAOS_DROP_THREAD] = "drop-thread", [CHAOS_DROP_PROCESS] = "drop-process",
  [CHAOS_NEST] = "nest", [CHAOS_NEST_SIGNAL] = "nest-signal", [CHAOS_CALL_INSIDE] = "call-inside",
  [CHAOS_END_INSIDE] = "end-inside", [CHAOS_SLOW_PROGRAM] = "slow-program", [CHAOS_SLOW_WORKER] = "slow-worker", [CHAOS_DESTROYED_LAST] = "destroyed-last",
};

const char *const chaos_step_names[CHAOS_N_STEPS] = {
  "make", "job", "call", "cancel", "cancel-thread", "release", "wait", "wait-all", "turns", "kill", "kill-host",
  "kill-process", "kill-proxy", "stop", "cont", "close", "close-async", "close-sync", "drop", "drop-thread", "drop-process",
  "dawdle",
};

const char *const chaos_kind_names[CHAOS_N_KINDS] = {
  "echo", "events", "event-fds", "fds", "progress", "who", "hold", "until-cancelled", "later", "error",
  "private-error", "nothing", "exit", "signal", "flush-exit", "wrong", "dawdle",
};

static const char *const how_names[] = { "exec", "new", "fork", "command", "self", "self-exec" };
static const char *const act_names[] = {
  "nothing", "nest-turns", "nest-until", "call", "call-sync", "cancel", "close", "drop", "drop-process", "kill", "dawdle",
};

/* @names: separated by commas; FALSE if there is no such feature. */
gboolean
chaos_features_remove (ChaosFeatures *features,
                       const char    *names)
{
  g_auto(GStrv) list = g_strsplit (names, ",", -1);

  for (guint i = 0; list[i] != NULL; i++)
    {
      guint feature = 0;

      while (feature < CHAOS_N_FEATURES && g_ascii_strcasecmp (list[i], feature_names[feature]) != 0)
        feature++;
      if (feature == CHAOS_N_FEATURES)
        return FALSE;
      *features &= ~(G_GUINT64_CONSTANT (1) << feature);
    }
  return TRUE;
}

char *
chaos_features_names (void)
{
  char *names[CHAOS_N_FEATURES + 1] = { NULL };

  for (guint i = 0; i < CHAOS_N_FEATURES; i++)
    names[i] = (char *) feature_names[i];
  return g_strjoinv (", ", names);
}

static void
print_act (const char     *when,
           const ChaosAct *act)
{
  if (act->kind != CHAOS_ACT_NOTHING)
    g_print (", %s: %s %u", when, act_names[act->kind], act->which);
}

static void
print_member (guint                  index,
              const ChaosPlanMember *member)
{
  g_print ("member %u: %s", index, how_names[member->how]);
  if (member->how == CHAOS_HOW_FORK)
    g_print (" of %u", member->parent);
  g_print (", %s%s%s", !member->has_job ? "template only" : member->is_async ? "async" : "sync",
           member->has_done ? ", done" : "", member->sends_fd ? ", fd" : "");
  if (member->start_size != 0)
    g_print (", start argument of %u bytes", member->start_size);
  if (member->max_calls != 0)
    g_print (", at most %u calls", member->max_calls);
  if (member->max_message != 0)
    g_print (", at most %u bytes", member->max_message);
  if (member->timeout_ms != 0)
    g_print (", %u ms", member->timeout_ms);
  print_act ("event", &member->on_event);
  print_act ("error", &member->on_error);
  print_act ("exited", &member->on_exited);
  print_act ("destroyed", &member->on_destroyed);
  g_print ("\n");
}

static void
print_call (guint                index,
            const ChaosPlanCall *call)
{
  g_print ("call %u: member %u, %s%s%s %u, %u bytes there, %u back", index, call->member,
           call->is_inside ? "inside, " : "", call->is_sync ? "blocking, " : "", chaos_kind_names[call->kind], call->n,
           call->args_size, call->size);
  if (call->n_fds != 0)
    g_print (", %u descriptors", call->n_fds);
  if (call->timeout_ms != 0)
    g_print (", %u ms", call->timeout_ms);
  if (call->execution_timeout_ms != 0)
    g_print (", %u ms of execution", call->execution_timeout_ms);
  g_print (", way %u%s", call->way, call->by_other_name ? ", other function" : "");
  if (call->progress != CHAOS_PROGRESS_NOT)
    g_print (", progress%s", call->progress == CHAOS_PROGRESS_LATEST ? " latest" : "");
  if (call->has_cancellable)
    g_print (", cancellable%s%s", call->is_cancelled_before ? ", before" : "",
             call->is_cancelled_meanwhile ? ", meanwhile" : "");
  if (call->is_killed_meanwhile)
    g_print (", killed meanwhile");
  print_act ("settled", &call->on_settled);
  g_print ("\n");
}

void
chaos_plan_print (const ChaosPlan *self)
{
  for (guint i = 0; i < self->n_members; i++)
    print_member (i, &self->members[i]);
  for (guint i = 0; i < self->n_calls; i++)
    print_call (i, &self->calls[i]);
  for (guint i = 0; i < self->steps->len; i++)
    {
      const ChaosStep *step = &g_array_index (self->steps, ChaosStep, i);

      g_print ("step %u: %s %u%s\n", i, chaos_step_names[step->kind], step->which, step->goes_on ? " and on" : "");
    }
}
