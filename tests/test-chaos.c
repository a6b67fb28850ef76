/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Families of processes that do what can be done, at random: prepared, forked, called in all ways, cancelled, stopped,
 * killed, closed and dropped, while callbacks run main loops within each other. Beside what is asked of each call and
 * each process, all of it is settled once, in order, and with a true word on whether it had started; and nothing is left
 * behind: see chaos/chaos-plan.h for what is done, and chaos/chaos-ledger.h for how it is known.
 *
 * What is done follows from the seed; when it happens, from the machine. */
#include "chaos/chaos.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 8u         /* actors of one context */
#define HEAP_GROWTH_MAX (256u << 10) /* bytes, after the second round */
#define REST_PATIENCE_S 30

ChaosSettings chaos = { .seed = 1, .features = CHAOS_FEATURES_ALL, .n_contexts = 1 };

static gint n_failures;

/* One thread with its main context, which acts when it is told to. */
typedef struct
{
  guint index;
  pthread_t thread; /* not of the first, which is the main thread's */
  ChaosMailbox *orders;
  ChaosStage stage;
} Context;

static Context contexts[CHAOS_CONTEXTS_MAX];
static gint n_at_work; /* contexts whose actors have not finished */
static gint is_at_rest;
static guint n_fds_at_rest;
static char *names_at_rest; /* of those, and of the processes */
static guint n_children_at_rest;

static void
tell_how_to_repeat (ChaosActor *actor)
{
  fprintf (stderr, "chaos: repeat with --seed %" G_GUINT64_FORMAT, chaos.seed);
  if (actor != NULL)
    fprintf (stderr, " --actor %" G_GUINT64_FORMAT " --verbose, or without --actor", actor->number);
  if (chaos.without != NULL)
    fprintf (stderr, " --without %s", chaos.without);
  fputc ('\n', stderr);
}

static void
tell (ChaosActor *actor, /* (nullable) */
      const char *what)
{
  if (actor != NULL)
    fprintf (stderr, "chaos: actor %" G_GUINT64_FORMAT ": %s\n", actor->number, what);
  else
    fprintf (stderr, "chaos: %s\n", what);
}

void
chaos_fail (ChaosActor *actor,
            const char *format,
            ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  tell (actor, text);
  g_atomic_int_inc (&n_failures);
  if (!chaos.keeps_going)
    {
      tell_how_to_repeat (actor);
      _exit (1);
    }
}

void
chaos_trace (ChaosActor *actor,
             const char *format,
             ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (!chaos.verbose)
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  tell (actor, text);
}

static void
tell_call (ChaosCall *call)
{
  const ChaosEntry *entry = &chaos.ledger->calls[call->id];

  fprintf (stderr, "  call %u (%s) of member %u is not settled: begun %d times, come to its answer %d times, gate %s\n", call->index,
           chaos_kind_names[call->plan->kind], call->plan->member, entry->started, entry->finished,
           entry->gate != 0 ? "open" : "closed");
}

static void
tell_actor (ChaosActor *actor)
{
  fprintf (stderr, "chaos: actor %" G_GUINT64_FORMAT ": %s at step %u of %u\n", actor->number,
           actor->has_let_go ? "its objects are not gone" : actor->is_ending ? "ends" : "is", actor->next_step,
           actor->plan->steps->len);
  for (guint i = 0; i < actor->plan->n_calls; i++)
    if (actor->calls[i].is_made && !actor->calls[i].is_settled)
      tell_call (&actor->calls[i]);
  for (guint i = 0; i < actor->plan->n_members; i++)
    if (actor->members[i].is_made && (!chaos_member_is_over (&actor->members[i]) || actor->members[i].n_objects != 0))
      fprintf (stderr, "  member %u: pid %d (state %c), %u calls pending%s%s%s%s%s, %d objects\n", i,
               chaos.ledger->seats[actor->members[i].seat].pid,
               chaos_process_state (chaos.ledger->seats[actor->members[i].seat].pid), actor->members[i].n_pending, actor->members[i].is_closed ? ", closed" : "",
               actor->members[i].is_dropped ? ", dropped" : "", actor->members[i].exit != NULL ? ", exited" : "",
               actor->members[i].is_destroyed ? ", destroyed" : "", actor->members[i].n_closing != 0 ? ", closing" : "",
               actor->members[i].n_objects);
}

static void
tell_all (void)
{
  fprintf (stderr, "chaos: nothing happens any more\n");
  for (guint i = 0; i < chaos.n_contexts; i++)
    for (guint j = 0; j < contexts[i].stage.n_actors; j++)
      if (contexts[i].stage.actors[j] != NULL)
        tell_actor (contexts[i].stage.actors[j]);
  tell_how_to_repeat (NULL);
}

static void
log_cb (const char     *domain,
        GLogLevelFlags  level,
        const char     *message,
        gpointer        data)
{
  if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) != 0)
    chaos_fail (NULL, "logged by %s: %s", domain != NULL ? domain : "nobody", message);
  else if (chaos.verbose)
    fprintf (stderr, "%s: %s\n", domain, message);
}

static gboolean
tick_cb (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static gboolean
looks_at_rest (void)
{
  return g_atomic_int_get (&n_at_work) == 0 && chaos_count_children (getpid (), NULL) <= n_children_at_rest &&
         (n_fds_at_rest == 0 || chaos_count_fds (NULL) <= n_fds_at_rest);
}

/* What has been left to end ends, and nothing else remains. */
static void
come_to_rest (Context *context)
{
  const gint64 until = g_get_monotonic_time () + REST_PATIENCE_S * G_USEC_PER_SEC;
  g_autoptr(GSource) tick = g_timeout_source_new (2);

  g_source_set_callback (tick, tick_cb, NULL, NULL);
  g_source_attach (tick, context->stage.context);
  while (!g_atomic_int_get (&is_at_rest))
    {
      g_main_context_iteration (context->stage.context, TRUE);
      if (context->index != 0)
        continue;
      if (looks_at_rest ())
        g_atomic_int_set (&is_at_rest, 1);
      else if (g_get_monotonic_time () > until)
        {
          g_autoptr(GString) names = g_string_new (NULL);
          const guint n = chaos_count_children (getpid (), names);
          const guint n_fds = chaos_count_fds (names);

          chaos_fail (NULL, "left behind: %u descriptors of %u, %u processes of %u:%s\nat rest:%s", n_fds, n_fds_at_rest, n,
                      n_children_at_rest, names->str, names_at_rest != NULL ? names_at_rest : "");
          g_atomic_int_set (&is_at_rest, 1);
        }
    }
  g_source_destroy (tick);
  /* What has nobody left to tell goes in the next turn. */
  for (guint i = 0; i < 100 && g_main_context_iteration (context->stage.context, FALSE); i++)
    ;
}

typedef struct
{
  guint64 first_actor;
  guint n_actors;
  gboolean is_last;
} Order;

static void
obey (Context     *context,
      const Order *order)
{
  chaos_stage_run (&context->stage, order->first_actor, order->n_actors, AT_ONCE);
  g_atomic_int_add (&n_at_work, -1);
  come_to_rest (context);
}

static void *
context_main (void *data)
{
  Context *self = data;
  g_autoptr(GMainContext) main_context = g_main_context_new ();
  gboolean is_last = FALSE;

  g_main_context_push_thread_default (main_context);
  chaos_stage_init (&self->stage, main_context, self->index * CHAOS_ACTORS_MAX);
  while (!is_last)
    {
      g_autofree Order *order = chaos_mailbox_pop (self->orders);

      is_last = order->is_last;
      if (!is_last)
        obey (self, order);
    }
  chaos_stage_clear (&self->stage);
  g_main_context_pop_thread_default (main_context);

  return NULL;
}

static void
give_order (Context *context,
            Order    order)
{
  chaos_mailbox_push (context->orders, g_memdup2 (&order, sizeof order));
}

/* The thread sanitizer does not see how GLib has the first one who needs a class, or a lock, make it for all. */
static void
make_what_all_need (void)
{
  const GType types[] = { AFRPC_TYPE_PROCESS, AFRPC_TYPE_PROXY };
  g_autoptr(GObject) object = g_object_new (G_TYPE_OBJECT, NULL);
  GWeakRef ref;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    g_type_class_unref (g_type_class_ref (types[i]));
  g_weak_ref_init (&ref, object);
  g_weak_ref_clear (&ref);
}

static void
start_contexts (void)
{
  chaos_stage_init (&contexts[0].stage, g_main_context_default (), 0);
  for (guint i = 1; i < chaos.n_contexts; i++)
    {
      contexts[i].index = i;
      contexts[i].orders = chaos_mailbox_new ();
      pthread_create (&contexts[i].thread, NULL, context_main, &contexts[i]);
    }
}

static void
end_contexts (void)
{
  for (guint i = 1; i < chaos.n_contexts; i++)
    {
      give_order (&contexts[i], (Order) { .is_last = TRUE });
      pthread_join (contexts[i].thread, NULL);
      chaos_mailbox_free (contexts[i].orders);
    }
  chaos_stage_clear (&contexts[0].stage);
}

/* Returns the number of calls that workers began. */
static guint
run_round (guint64 first_actor,
           guint   n_actors)
{
  g_autofree char *orphans = NULL;
  guint n_started = 0;

  n_at_work = chaos.n_contexts;
  is_at_rest = 0;
  for (guint i = 1; i < chaos.n_contexts; i++)
    give_order (&contexts[i], (Order) { first_actor == CHAOS_CALM_ACTOR ? first_actor : first_actor + i * n_actors,
                                        n_actors, FALSE });
  obey (&contexts[0], &(Order) { first_actor, n_actors, FALSE });
  orphans = chaos_ask_orphans ();
  if (orphans[0] != '\0')
    chaos_fail (NULL, "orphans:%s", orphans);

  for (guint i = 0; i < CHAOS_SLOTS * CHAOS_CALLS_MAX; i++)
    n_started += chaos.ledger->calls[i].started;
  memset (chaos.ledger, 0, sizeof *chaos.ledger);

  return n_started;
}

/* What stays for ever is started: the default templates, of which each context has its own. */
static void
warm_up (void)
{
  GString *names = g_string_new (NULL);

  /* And that of the program itself as it was at the beginning, whoever has it. */
  n_children_at_rest = 2 * chaos.n_contexts + 1;
  for (guint i = 0; i < 2; i++)
    run_round (CHAOS_CALM_ACTOR, 1);
  n_children_at_rest = chaos_count_children (getpid (), names);
  n_fds_at_rest = chaos_count_fds (names);
  names_at_rest = g_string_free (g_steal_pointer (&names), FALSE);
}

static void
run (guint64 n_calls,
     gint64  only_actor)
{
  guint64 n_started = 0, first_actor = 0;
  gsize heap_before = 0;
  guint n_rounds = 0;

  warm_up ();
  if (only_actor >= 0)
    n_started = run_round (only_actor, 1);
  for (; only_actor < 0 && n_started < n_calls; first_actor += chaos.n_contexts * CHAOS_ACTORS_MAX)
    {
      n_started += run_round (first_actor, CHAOS_ACTORS_MAX);
      n_rounds++;
      if (n_rounds == 2)
        heap_before = chaos_heap ();
      if (n_rounds > 2 && chaos.n_contexts == 1 && chaos_heap () > heap_before + HEAP_GROWTH_MAX)
        chaos_fail (NULL, "memory grew from %zu to %zu bytes in %u rounds", heap_before, chaos_heap (), n_rounds - 2);
      if (chaos.verbose)
        fprintf (stderr, "chaos: round %u: %" G_GUINT64_FORMAT " calls, %zu bytes\n", n_rounds, n_started, chaos_heap ());
    }
  g_print ("%" G_GUINT64_FORMAT " calls were started in %" G_GUINT64_FORMAT " families, seed %" G_GUINT64_FORMAT "\n", n_started,
           only_actor >= 0 ? 1 : first_actor, chaos.seed);
}

/* The leak sanitizer stops a process that exits, by SIGSTOP, and waits for ever if that gets a SIGCONT just then: which this
 * test sends. */
static void
forgo_leaks_of_workers (void)
{
#ifdef __SANITIZE_ADDRESS__
  const char *others = g_getenv ("ASAN_OPTIONS");
  g_autofree char *value = g_strconcat (others != NULL ? others : "", ":detect_leaks=0", NULL);

  g_setenv ("ASAN_OPTIONS", value, TRUE);
#endif
}

int
main (int    argc,
      char **argv)
{
  gint64 n_calls = 20000, seed = 1, only_actor = -1;
  int n_contexts = 1;
  gboolean shows_plan = FALSE;
  const GOptionEntry entries[] = {
    { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "What all follows from", "N" },
    { "calls", 0, 0, G_OPTION_ARG_INT64, &n_calls, "How many calls have to be started", "N" },
    { "actor", 0, 0, G_OPTION_ARG_INT64, &only_actor, "Run only this family", "N" },
    { "contexts", 0, 0, G_OPTION_ARG_INT, &n_contexts, "How many threads, each with a main context", "N" },
    { "without", 0, 0, G_OPTION_ARG_STRING, &chaos.without, "Leave these out", "NAME,..." },
    { "plan", 0, 0, G_OPTION_ARG_NONE, &shows_plan, "Print what --actor is going to do, and do not", NULL },
    { "keep-going", 0, 0, G_OPTION_ARG_NONE, &chaos.keeps_going, "Count failures", NULL },
    { "verbose", 0, 0, G_OPTION_ARG_NONE, &chaos.verbose, "Tell what happens", NULL },
    { NULL }
  };
  g_autofree char *names = NULL;
  g_autoptr(GOptionContext) options = NULL;
  g_autoptr(GError) error = NULL;

  if (chaos_is_outside ())
    return chaos_outside (argv);
  chaos_worker_register ();
  afrpc_init_early (&argc, &argv);
  forgo_leaks_of_workers ();

  names = chaos_features_names ();
  options = g_option_context_new (NULL);
  g_option_context_add_main_entries (options, entries, NULL);
  g_option_context_set_description (options, names);
  chaos.module = g_getenv ("AFRPC_TEST_CHAOS_WORKER");
  chaos.host = g_getenv ("AFRPC_TEST_HOST");
  if (!g_option_context_parse (options, &argc, &argv, &error) || chaos.module == NULL || chaos.host == NULL ||
      n_contexts < 1 || (guint) n_contexts > CHAOS_CONTEXTS_MAX ||
      (chaos.without != NULL && !chaos_features_remove (&chaos.features, chaos.without)))
    {
      fprintf (stderr, "%s\n", error != NULL ? error->message : names);
      return 2;
    }
  chaos.seed = seed;
  chaos.n_contexts = n_contexts;
  if (shows_plan)
    {
      g_autoptr(ChaosPlan) plan = chaos_plan_new (chaos.seed, MAX (only_actor, 0), chaos.features);

      chaos_plan_print (plan);
      return 0;
    }

  chaos_inside_begin ();
  chaos.ledger = chaos_ledger_new (&chaos.ledger_path);
  g_log_set_default_handler (log_cb, NULL);
  make_what_all_need ();
  chaos_watchdog_start (tell_all);
  chaos_thread_start ();
  start_contexts ();
  run (n_calls, only_actor);
  end_contexts ();
  g_free (names_at_rest);
  chaos_thread_finish ();

  return n_failures > 0 ? 1 : 0;
}
