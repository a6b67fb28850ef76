/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two threads, each with a pool in its own context, at random: calls, deaths, refreshes, templates that come and go, blocking
 * calls, and calls that the other thread cancels. Meant for the thread sanitizer; what must hold is looked at all the same:
 * each call has one outcome, which is its own; and workers write down what they begin: none is begun twice that may not be,
 * none that is said not to have been, and those of one key in their order. */
#include "pool-case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 2u
#define UNDER_WAY_MAX 40u

/* What functions of the worker are told to do. */
enum
{
  RETURN = 0,
  DIE = 1,
  RETIRE = 3,
  EVENT = 4,
  WAIT = 5, /* until it is cancelled */
};

/* What is known of a call. */
typedef struct
{
  gboolean idempotent;
  gboolean has_key;
  guint n_outcomes;
  gboolean has_value;
  AfrpcStarted started;
} Entry;

typedef struct
{
  GRand *rand;         /* (owned) */
  GMainContext *context; /* (owned) */
  guint n_calls;
  AfrpcPool *pool;     /* (owned) */
  AfrpcProcess *other; /* (owned): another template, which the pool has or not */
  AfrpcProcess *last;  /* (nullable) (owned): a worker that has answered */
  guint n_open;
  guint n_begun;
  guint n_outcomes;
  guint n_values;
  gboolean is_destroyed;
  Entry *ledger;       /* (array length=n_calls) (owned): by their number */
  char *path;          /* (owned): where its workers write down what they begin */
} Side;

typedef struct
{
  Side *side;
  guint id;
  AfrpcCall *call;     /* (owned) */
} Item;

/* A call of each side, for the other one to cancel. */
static GMutex lock;
static AfrpcCall *offered[THREADS]; /* (nullable) (not owned) */

static Side sides[THREADS];

static guint
draw (Side  *side,
      guint  n)
{
  return g_rand_int_range (side->rand, 0, n);
}

static void
destroyed_cb (AfrpcCaller *caller,
              Side        *side)
{
  g_assert_false (side->is_destroyed);
  side->is_destroyed = TRUE;
}

static void
offer (Side      *side,
       AfrpcCall *call,
       AfrpcCall *instead) /* (nullable): only of this one */
{
  g_mutex_lock (&lock);
  if (instead == NULL || offered[side - sides] == instead)
    offered[side - sides] = call;
  g_mutex_unlock (&lock);
}

static void
cancel_of_other (Side *side)
{
  const gsize other = THREADS - 1 - (side - sides);

  g_mutex_lock (&lock);
  if (offered[other] != NULL)
    afrpc_call_cancel (offered[other]);
  g_mutex_unlock (&lock);
}

/* @value: (nullable) */
static void
note (Side         *side,
      guint         id,
      GVariant     *value,
      AfrpcStarted  started)
{
  Entry *entry = &side->ledger[id];

  side->n_outcomes++;
  entry->n_outcomes++;
  entry->started = started;
  entry->has_value = value != NULL;
  if (value == NULL)
    return;

  side->n_values++;
  g_assert_cmpuint (g_variant_get_uint32 (value), ==, id);
}

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  g_autofree Item *item = data;
  Side *side = item->side;
  AfrpcCall *call = AFRPC_CALL (source);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (call, result, &error);

  g_assert_true (g_main_context_is_owner (side->context));
  offer (side, NULL, item->call);
  side->n_open--;
  note (side, item->id, value, afrpc_call_get_started (call));
  if (value != NULL)
    g_set_object (&side->last, afrpc_call_get_process (call));
  g_object_unref (item->call);
}

static void
begin (Side *side)
{
  static const guint others[] = { DIE, RETIRE, WAIT, EVENT };
  const guint id = side->n_begun++;
  const guint which = draw (side, 40);
  const guint what = which < G_N_ELEMENTS (others) ? others[which] : RETURN;
  GVariant *args = g_variant_new ("(uu)", id, what);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  Entry *entry = &side->ledger[id];
  Item *item;

  if (what == WAIT)
    afrpc_call_options_set_timeout_ms (options, 1 + draw (side, 10));
  entry->idempotent = draw (side, 2) == 0;
  afrpc_call_options_set_idempotent (options, entry->idempotent);
  entry->has_key = draw (side, 3) == 0;
  if (entry->has_key)
    afrpc_call_options_set_affinity (options, "key");
  if (draw (side, 30) == 0)
    {
      g_autoptr(GVariant) value = afrpc_caller_call_full_sync (AFRPC_CALLER (side->pool), args, options, NULL, NULL, NULL);

      /* What is not asked for it is not known. */
      note (side, id, value, AFRPC_STARTED_UNKNOWN);
      return;
    }

  item = g_new (Item, 1);
  *item = (Item) { side, id, afrpc_caller_start (AFRPC_CALLER (side->pool), args, options) };
  side->n_open++;
  afrpc_call_wait (item->call, NULL, settled_cb, item);
  if (!afrpc_call_is_settled (item->call))
    offer (side, item->call, NULL);
}

static void
step (Side *side)
{
  switch (draw (side, 100))
    {
    case 0:
      afrpc_pool_refresh (side->pool, draw (side, 2) == 0 ? NULL : side->other);
      break;

    case 1:
      afrpc_pool_add_template (side->pool, side->other, draw (side, 3), draw (side, 4), 1 + draw (side, 3));
      break;

    case 2:
      afrpc_pool_remove_template (side->pool, side->other);
      break;

    case 3:
      afrpc_pool_set_max_workers (side->pool, 1 + draw (side, 3));
      break;

    case 4:
      if (side->last != NULL)
        afrpc_process_kill (side->last, SIGKILL);
      break;

    case 5:
      cancel_of_other (side);
      break;

    default:
      begin (side);
      break;
    }
}

static AfrpcProcess *
prepare (Side         *side,
         AfrpcProcess *process) /* (transfer full) */
{
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_POOL_WORKER"));
  afrpc_process_send_arg (process, g_variant_new_string (side->path));
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

static void
make (Side *side)
{
  g_autoptr(AfrpcProcess) template = prepare (side, test_bare_process_new ());

  side->other = prepare (side, test_bare_process_new ());
  side->pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "init", "init_log", "function", "work", "max-workers", 2,
                             "start-delay-ms", 0, "max-failures", G_MAXUINT, NULL);
  g_signal_connect (side->pool, "event", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (side->pool, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (side->pool, "destroyed", G_CALLBACK (destroyed_cb), side);
}

static gpointer
run (gpointer data)
{
  Side *side = data;

  side->context = g_main_context_new ();
  g_main_context_push_thread_default (side->context);
  g_assert_true (g_main_context_acquire (side->context));
  make (side);
  while (side->n_begun < side->n_calls)
    {
      step (side);
      if (draw (side, 8) == 0)
        while (g_main_context_iteration (side->context, FALSE) && draw (side, 3) != 0)
          ;
      while (side->n_open > UNDER_WAY_MAX)
        g_main_context_iteration (side->context, TRUE);
    }
  if (draw (side, 2) == 0)
    afrpc_caller_close (AFRPC_CALLER (side->pool));
  else
    g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (side->pool), NULL, NULL));
  while (!side->is_destroyed)
    g_main_context_iteration (side->context, TRUE);
  g_clear_object (&side->last);
  g_clear_object (&side->other);
  while (g_main_context_iteration (side->context, FALSE))
    ;
  g_assert_finalize_object (side->pool);
  g_main_context_release (side->context);
  g_main_context_pop_thread_default (side->context);
  g_main_context_unref (side->context);
  /* The thread sanitizer sees no g_thread_join (). */
  offer (side, NULL, NULL);

  return NULL;
}

/* What was begun may have been. */
static void
check (const Side *side)
{
  g_autofree struct { guint32 id, settings[2]; } *begun = NULL;
  g_autofree guint *counts = g_new0 (guint, side->n_calls);
  guint32 latest = 0;
  gsize size;

  g_assert_true (g_file_get_contents (side->path, (char **) &begun, &size, NULL));
  for (gsize i = 0; i < size / sizeof *begun; i++)
    {
      const guint32 id = begun[i].id;

      g_assert_cmpuint (id, <, side->n_calls);
      counts[id]++;
      /* One that is repeated is begun late. */
      if (!side->ledger[id].has_key || side->ledger[id].idempotent)
        continue;
      g_assert_cmpuint (id, >=, latest);
      latest = id;
    }
  for (guint id = 0; id < side->n_calls; id++)
    {
      const Entry *entry = &side->ledger[id];

      g_assert_cmpuint (entry->n_outcomes, ==, 1);
      g_assert_cmpuint (counts[id], <=, entry->idempotent ? 3 : 1);
      if (entry->has_value)
        g_assert_cmpuint (counts[id], >=, 1);
      else if (entry->started == AFRPC_STARTED_NO && !entry->idempotent)
        g_assert_cmpuint (counts[id], ==, 0);
    }
}

static void
side_init (Side  *side,
           guint  n_calls)
{
  int fd;

  *side = (Side) { .n_calls = n_calls, .rand = g_rand_new_with_seed (g_test_rand_int ()), .ledger = g_new0 (Entry, n_calls) };
  fd = g_file_open_tmp ("afrpc-begun-XXXXXX", &side->path, NULL);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
}

static void
side_clear (Side *side)
{
  g_unlink (side->path);
  g_free (side->path);
  g_free (side->ledger);
  g_rand_free (side->rand);
}

static void
test_threads (gconstpointer n_calls)
{
  GThread *threads[THREADS];
  g_autoptr(AfrpcProcess) process = NULL;

  g_test_summary ("Pools of two threads do not disturb each other, and calls can be cancelled from the other thread");
  /* What the program has one of is made by the first process. */
  process = template_new ();
  for (guint i = 0; i < THREADS; i++)
    {
      side_init (&sides[i], GPOINTER_TO_UINT (n_calls));
      threads[i] = g_thread_new ("pool", run, &sides[i]);
    }
  for (guint i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_mutex_lock (&lock);
  g_mutex_unlock (&lock);
  for (guint i = 0; i < THREADS; i++)
    {
      g_assert_cmpuint (sides[i].n_open, ==, 0);
      g_assert_cmpuint (sides[i].n_outcomes, ==, sides[i].n_calls);
      g_assert_cmpuint (sides[i].n_values, >, sides[i].n_calls / 4);
      g_assert_null (offered[i]);
      check (&sides[i]);
      side_clear (&sides[i]);
    }
}

int
main (int   argc,
      char *argv[])
{
  const char *text = g_getenv ("AFRPC_TEST_POOL_CALLS");
  const guint n_calls = text != NULL ? atoi (text) : 2000;

  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/pool-threads/random", GUINT_TO_POINTER (n_calls), test_threads);

  return g_test_run ();
}
