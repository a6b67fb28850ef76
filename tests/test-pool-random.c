/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools under everything that can be done to them, at random: workers that die, retire and hang, do not stop, and become too
 * old, or too large, calls that are cancelled, limited, blocking, tied and repeated, several maps at once, workers that are
 * configured, pools that grow, shrink and end, and templates that come and go. Workers write down what they begin, and how
 * they were configured by then, and what must hold is held against that: each call has one outcome; none is begun twice that
 * may not be; what is said never to have begun has not, and what is said to have begun has, unless its worker may have been
 * killed just then; calls of one key are begun in their order; what was said to all workers before a call was made has come to
 * its worker before. Some pools have workers that a command runs. */
#include "config.h"

#include "pool-case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pool/afrpc-pool-parts.h"

#define KEYS 4u
#define UNDER_WAY_MAX 60u
#define SETTINGS 2u
#define MAPS_MAX 3u

enum
{
  RETURN,
  DIE,
  FAIL,
  RETIRE,
  EVENT,
  WAIT,  /* until it is cancelled */
  SLEEP,
  RUN_AWAY, /* for ever, if nobody ends the worker */
  N_WHATS,
};

typedef struct
{
  guint what;
  gboolean idempotent;
  gboolean limited;
  gboolean cancelled;
  gboolean dropped;   /* with its map */
  guint key;          /* 0: none */
  guint32 settings[SETTINGS]; /* what its worker has to know at least */
  guint n_outcomes;
  gboolean has_value;
  AfrpcStarted started;
  GQuark domain;
  int code;
  AfrpcCall *call;    /* (nullable) (owned): until it has its outcome */
} Item;

typedef struct
{
  AfrpcPool *pool;    /* (owned) */
  AfrpcProcess *second; /* (nullable) (owned): another template, which the pool has or not */
  gboolean has_command; /* it is a command, over which it is not known what was begun */
  GArray *items;      /* (element-type Item) by number */
  GQueue open;        /* of those that have no outcome: their numbers */
  guint32 version;    /* of the last setting */
  guint32 settings[SETTINGS]; /* what all workers were told, 0: nothing, or it was forgotten */
  guint n_rounds;     /* of telling that */
  guint n_rounds_left;
  guint n_maps;
  guint n_maps_left;
  guint n_kills;      /* of workers, by the program */
  guint n_stopped;    /* workers that the pool has ended because of calls that did not stop */
  guint n_aged;       /* workers that have become too old */
  guint n_grown;      /* workers that have become too large */
  gboolean is_gentle; /* nobody is killed, so that what workers have written down is all that they have begun */
  gboolean is_killed;
  gboolean destroyed;
  char *path;
  gboolean is_async;
} Model;

static Item *
get (Model *model,
     guint  id)
{
  return &g_array_index (model->items, Item, id);
}

/* Returns: the number of a call that is going to be made */
static guint
add_item (Model *model,
          guint  what)
{
  Item item = { .what = what };

  memcpy (item.settings, model->settings, sizeof item.settings);
  g_array_append_val (model->items, item);

  return model->items->len - 1;
}

static void
note (Model        *model,
      guint         id,
      GVariant     *value, /* (nullable) */
      const GError *error,
      AfrpcStarted  started)
{
  Item *item = get (model, id);

  item->n_outcomes++;
  item->has_value = value != NULL;
  item->started = started;
  if (error != NULL)
    {
      item->domain = error->domain;
      item->code = error->code;
    }
  if (value != NULL)
    g_assert_cmpuint (g_variant_get_uint32 (value), ==, id);
}

typedef struct
{
  Model *model;
  guint id;
} Waiting;

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  g_autofree Waiting *waiting = data;
  AfrpcCall *call = AFRPC_CALL (source);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (call, result, &error);

  note (waiting->model, waiting->id, value, error, afrpc_call_get_started (call));
  g_queue_remove (&waiting->model->open, GUINT_TO_POINTER (waiting->id));
  g_clear_object (&get (waiting->model, waiting->id)->call);
}

static void
destroyed_cb (AfrpcCaller *caller,
              Model       *model)
{
  g_assert_false (model->destroyed);
  model->destroyed = TRUE;
}

static guint
draw (guint n)
{
  return g_test_rand_int_range (0, n);
}

static AfrpcCallOptions *
draw_options (Item *item)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  char key[2] = { 0 };

  item->idempotent = draw (3) == 0;
  afrpc_call_options_set_idempotent (options, item->idempotent);
  if (draw (3) == 0)
    {
      item->key = 1 + draw (KEYS);
      key[0] = 'a' + item->key;
      afrpc_call_options_set_affinity (options, key);
    }
  else if (draw (3) == 0)
    afrpc_call_options_set_priority (options, (int) draw (5) - 2);
  if (item->what == WAIT || draw (10) == 0)
    {
      item->limited = TRUE;
      afrpc_call_options_set_timeout_ms (options, 1 + draw (20));
    }
  if (item->what == RUN_AWAY || draw (10) == 0)
    {
      item->limited = TRUE;
      afrpc_call_options_set_execution_timeout_ms (options, 1 + draw (20));
    }

  return options;
}

static void
call (Model *model)
{
  const guint what = draw (8) == 0 ? draw (model->is_gentle ? RUN_AWAY : N_WHATS) : draw (40) == 0 ? SLEEP : RETURN;
  const guint id = add_item (model, what);
  g_autoptr(AfrpcCallOptions) options = NULL;
  GVariant *args = g_variant_new ("(uu)", id, what);
  Waiting *waiting;

  options = draw_options (get (model, id));
  if (draw (50) == 0)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = afrpc_caller_call_full_sync (AFRPC_CALLER (model->pool), args, options, NULL, NULL, &error);

      /* What is not asked for it is not known. */
      note (model, id, value, error, AFRPC_STARTED_UNKNOWN);
      return;
    }

  get (model, id)->call = afrpc_caller_start (AFRPC_CALLER (model->pool), args, options);
  waiting = g_new (Waiting, 1);
  *waiting = (Waiting) { model, id };
  g_queue_push_tail (&model->open, GUINT_TO_POINTER (id));
  afrpc_call_wait (get (model, id)->call, NULL, settled_cb, waiting);
}

typedef struct
{
  Model *model;
  AfrpcMap *map; /* (owned) */
  GArray *ids;   /* (element-type guint): of its calls, by their index */
  guint n_inputs;
} Mapping;

static GVariant *
next_input (gpointer data)
{
  static const guint whats[] = { DIE, FAIL, RETIRE, EVENT, SLEEP };
  Mapping *mapping = data;
  guint what = RETURN, id;

  if (mapping->ids->len == mapping->n_inputs)
    return NULL;

  if (draw (20) == 0)
    what = whats[draw (G_N_ELEMENTS (whats))];
  id = add_item (mapping->model, what);
  g_array_append_val (mapping->ids, id);

  return g_variant_new ("(uu)", id, what);
}

static void
mapping_end (Mapping *mapping)
{
  mapping->model->n_maps_left--;
  g_object_unref (mapping->map);
  g_array_unref (mapping->ids);
  g_free (mapping);
}

/* Its calls are given up, or those that have no outcome yet: they may have one already that was not taken. */
static void
give_up_map (Mapping  *mapping,
             gboolean  is_dropped)
{
  for (guint i = 0; i < mapping->ids->len; i++)
    {
      Item *item = get (mapping->model, g_array_index (mapping->ids, guint, i));

      item->cancelled = TRUE;
      item->dropped = is_dropped;
    }
  if (is_dropped)
    mapping_end (mapping);
  else
    afrpc_map_cancel (mapping->map);
}

/* What has come of it. FALSE: that was all. */
static gboolean
take_result (Mapping   *mapping,
             AfrpcCall *call) /* (nullable) */
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  if (call == NULL)
    return FALSE;

  value = afrpc_call_wait_sync (call, NULL, &error);
  note (mapping->model, g_array_index (mapping->ids, guint, afrpc_call_get_index (call)), value, error,
        afrpc_call_get_started (call));

  return TRUE;
}

static void
result_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Mapping *mapping = data;
  g_autoptr(AfrpcCall) call = afrpc_map_next_finish (AFRPC_MAP (source), result, NULL);

  if (!take_result (mapping, call))
    {
      mapping_end (mapping);
      return;
    }
  if (draw (50) == 0)
    {
      g_autoptr(AfrpcCall) other = afrpc_map_next_sync (mapping->map, NULL, NULL);

      take_result (mapping, other);
    }
  if (draw (200) == 0)
    {
      give_up_map (mapping, TRUE);
      return;
    }
  if (draw (200) == 0)
    give_up_map (mapping, FALSE);
  afrpc_map_next_async (mapping->map, NULL, result_cb, mapping);
}

static void
map (Model *model)
{
  Mapping *mapping;

  if (model->n_maps_left == MAPS_MAX)
    return;

  mapping = g_new0 (Mapping, 1);
  mapping->model = model;
  mapping->ids = g_array_new (FALSE, FALSE, sizeof (guint));
  mapping->n_inputs = draw (2) == 0 ? draw (10) : draw (300);
  mapping->map = afrpc_pool_map (model->pool, next_input, mapping, NULL, NULL, NULL,
                                 draw (2) == 0 ? AFRPC_MAP_ORDERED : AFRPC_MAP_UNORDERED);
  model->n_maps++;
  model->n_maps_left++;
  afrpc_map_next_async (mapping->map, NULL, result_cb, mapping);
}

static void
said_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Model *model = data;
  g_autoptr(GError) error = NULL;

  if (!afrpc_pool_call_all_finish (AFRPC_POOL (source), result, &error) && !model->is_killed)
    g_error ("a setting failed: %s", error->message);
  model->n_rounds_left--;
}

/* Tells all workers something, or has it forgotten. */
static void
configure (Model *model)
{
  static const char *const labels[SETTINGS] = { "one", "other" };
  const char *function = model->is_async ? "configure_async" : "configure";
  const guint which = draw (SETTINGS);
  g_autoptr(AfrpcCallOptions) options = NULL;
  g_autoptr(GError) error = NULL;
  GVariant *args;

  if (draw (5) == 0)
    {
      afrpc_pool_forget_call_all (model->pool, function, labels[which]);
      model->settings[which] = 0;
      /* Those that wait may get a worker that has never known it. */
      for (guint id = 0; id < model->items->len; id++)
        if (get (model, id)->n_outcomes == 0)
          get (model, id)->settings[which] = 0;
      return;
    }

  options = afrpc_call_options_new ();
  afrpc_call_options_set_function (options, function);
  afrpc_call_options_set_label (options, labels[which]);
  args = g_variant_new ("(uu)", which, ++model->version);
  model->n_rounds++;
  if (draw (5) == 0)
    {
      afrpc_pool_call_all_sync (model->pool, args, options, NULL, &error);
      g_assert_no_error (error);
    }
  else
    {
      model->n_rounds_left++;
      afrpc_pool_call_all_async (model->pool, args, options, NULL, said_cb, model);
    }
  model->settings[which] = model->version;
}

/* The second template comes, goes, changes, or is refreshed; and the first one's numbers change. */
static void
change_templates (Model *model)
{
  AfrpcProcess *first = afrpc_pool_get_process (model->pool);

  if (model->second == NULL)
    return;

  switch (draw (5))
    {
    case 0:
      afrpc_pool_remove_template (model->pool, draw (2) == 0 ? first : model->second);
      break;

    case 1:
      afrpc_pool_refresh (model->pool, draw (2) == 0 ? first : model->second);
      break;

    default:
      afrpc_pool_add_template (model->pool, draw (2) == 0 ? first : model->second, draw (4), draw (5), draw (4));
      break;
    }
  g_assert_cmpuint (afrpc_pool_get_n_template_workers (model->pool, first) +
                    (first != model->second ? afrpc_pool_get_n_template_workers (model->pool, model->second) : 0), <=,
                    afrpc_pool_get_n_workers (model->pool));
}

/* Returns: (nullable): a worker that can be called */
static AfrpcPoolMember *
draw_member (Model *model)
{
  AfrpcPoolCore *core = model->pool->core;
  AfrpcPoolMember *member = core->members->len > 0 ? core->members->pdata[draw (core->members->len)] : NULL;

  return member != NULL && member->ready_at != 0 && afrpc_pool_member_is_live (member) ? member : NULL;
}

/* It was ready two hours ago. */
static void
age (Model *model)
{
  AfrpcPoolMember *member = draw_member (model);

  if (member == NULL)
    return;

  member->ready_at -= G_GINT64_CONSTANT (2) * 3600 * G_USEC_PER_SEC;
  afrpc_pool_set_max_age_s (model->pool, 3600);
  afrpc_pool_age_look_soon (model->pool->core);
  model->n_aged++;
}

/* It began with nothing, and a second has passed. */
static void
grow (Model *model)
{
  AfrpcPoolCore *core = model->pool->core;
  AfrpcPoolMember *member = draw_member (model);

  if (member == NULL || member->base == AFRPC_POOL_BASE_UNKNOWN || core->config.max_memory_growth == 0)
    return;

  member->base = 0;
  core->weigh_at = 1;
  afrpc_pool_core_want_timer (core, 1);
  model->n_grown++;
}

static void
error_cb (AfrpcCaller *caller,
          GError      *error,
          Model       *model)
{
  model->n_stopped += g_str_has_prefix (error->message, "a call did not stop");
}

static void
step (Model *model)
{
  Item *item = NULL;

  if (model->open.length > 0)
    item = get (model, GPOINTER_TO_UINT (g_queue_peek_nth (&model->open, draw (model->open.length))));
  switch (draw (62))
    {
    case 0:
    case 1:
      if (item != NULL)
        {
          item->cancelled = TRUE;
          afrpc_call_cancel (item->call);
        }
      break;

    case 2:
      if (item != NULL && !model->is_gentle && afrpc_call_get_process (item->call) != NULL && draw (3) == 0)
        {
          model->n_kills++;
          afrpc_process_kill (afrpc_call_get_process (item->call), SIGKILL);
        }
      break;

    case 3:
      afrpc_pool_set_max_workers (model->pool, 1 + draw (4));
      break;

    case 4:
      afrpc_pool_set_load (model->pool, 1 + draw (5));
      break;

    case 5:
      afrpc_pool_set_idle_workers (model->pool, draw (3));
      break;

    case 7:
      if (draw (10) == 0)
        afrpc_pool_refresh (model->pool, NULL);
      break;

    case 8:
      afrpc_pool_set_max_calls (model->pool, draw (2) == 0 ? 0 : 1 + draw (30));
      break;

    case 9:
      if (draw (3) == 0)
        change_templates (model);
      break;

    case 10:
      age (model);
      break;

    case 11:
      afrpc_pool_set_max_memory_growth (model->pool, draw (3) == 0 ? 0 : 1 + draw (2));
      break;

    case 12:
      grow (model);
      break;

    case 13:
      afrpc_pool_set_cancel_grace_ms (model->pool, model->is_gentle ? 0 : 1 + draw (5));
      break;

    case 14:
      if (draw (2) == 0)
        configure (model);
      break;

    case 15:
      if (draw (2) == 0)
        map (model);
      break;

    case 6:
      if (item != NULL && draw (4) == 0)
        {
          g_autoptr(GVariant) value = afrpc_call_wait_sync (item->call, NULL, NULL);
        }
      break;

    default:
      call (model);
      break;
    }
}

/* Who starts has the room that others count on, and nobody else: otherwise nobody would be started for those that wait. */
static void
check_room (Model *model)
{
  AfrpcPoolCore *core = model->pool->core;
  guint64 room = 0;

  for (guint i = 0; i < core->members->len; i++)
    {
      const AfrpcPoolMember *member = core->members->pdata[i];

      if (member->state == AFRPC_POOL_MEMBER_STARTING && !member->is_aside)
        room += member->load;
    }
  g_assert_cmpuint (core->starting_room, ==, room);
}

/* What each call has got can be, and what was begun may have been. */
static void
check (Model *model)
{
  g_autofree struct { guint32 id, settings[SETTINGS]; } *begun = NULL;
  g_autofree guint *counts = g_new0 (guint, model->items->len);
  guint32 latest[KEYS + 1] = { 0 };
  gsize size;

  g_assert_true (g_file_get_contents (model->path, (char **) &begun, &size, NULL));
  for (gsize i = 0; i < size / sizeof *begun; i++)
    {
      const guint32 id = begun[i].id;
      Item *item;

      /* Another number says that settings came in a wrong order. */
      g_assert_cmpuint (id, <, model->items->len);
      item = get (model, id);
      counts[id]++;
      for (guint k = 0; k < SETTINGS; k++)
        if (begun[i].settings[k] < item->settings[k])
          g_error ("call %u, which does %u, was begun with %u of setting %u, and not with %u", id, item->what,
                   begun[i].settings[k], k, item->settings[k]);
      /* One that is repeated is begun late. */
      if (item->key != 0 && !item->idempotent)
        {
          if (id < latest[item->key])
            g_error ("call %u, with the same key as %u, was begun after it%s%s, outcome %d", id, latest[item->key],
                     item->cancelled ? ", cancelled" : "", item->limited ? ", limited" : "", item->code);
          latest[item->key] = id;
        }
    }

  for (guint id = 0; id < model->items->len; id++)
    {
      Item *item = get (model, id);
      const gboolean is_death = item->domain == AFRPC_ERROR && item->code == AFRPC_ERROR_DIED;

      g_assert_cmpuint (item->n_outcomes + item->dropped, >=, 1);
      g_assert_cmpuint (item->n_outcomes, <=, 1);
      /* With a worker that was stopped, others that an async one ran begin anew. */
      g_assert_cmpuint (counts[id], <=, item->idempotent ? 3 + (model->is_async ? model->n_stopped : 0) : 1);
      if (item->n_outcomes == 0)
        continue;
      if (item->has_value)
        {
          g_assert_cmpuint (counts[id], >=, 1);
          g_assert_true (item->what != DIE && item->what != FAIL);
        }
      else if (item->started == AFRPC_STARTED_NO)
        /* A repeated one that was not begun again was begun before. */
        g_assert_true (counts[id] == 0 || item->idempotent);
      else if (item->domain == G_FILE_ERROR)
        g_assert_cmpuint (item->what, ==, FAIL);
      else if (is_death)
        g_assert_true (item->what == DIE || model->n_kills > 0 || model->is_async || item->idempotent || model->has_command);
      /* A worker says that it begins before it writes it down. */
      if (item->started == AFRPC_STARTED_YES && counts[id] == 0 && model->n_kills == 0 && model->n_stopped == 0)
        g_error ("call %u, which does %u, is said to have begun, failed with %d%s%s", id, item->what, item->code,
                 item->cancelled ? ", cancelled" : "", item->limited ? ", limited" : "");
      if (item->started == AFRPC_STARTED_YES && counts[id] == 0)
        g_assert_true (is_death || item->cancelled || item->limited);
      if (item->domain == G_IO_ERROR && item->code == G_IO_ERROR_CANCELLED)
        g_assert_true (item->cancelled);
      if (item->domain == G_IO_ERROR && item->code == G_IO_ERROR_TIMED_OUT)
        g_assert_true (item->limited);
      if (item->domain == AFRPC_ERROR && !is_death && !(model->is_killed && item->code == AFRPC_ERROR_NOT_STARTED))
        g_error ("call %u, which does %u, failed with %d, started %d, after %u kills%s%s%s%s", id, item->what, item->code,
                 item->started, model->n_kills, item->cancelled ? ", cancelled" : "", item->limited ? ", limited" : "",
                 item->idempotent ? ", idempotent" : "", item->key != 0 ? ", with a key" : "");
    }
}

static void
end (Model *model)
{
  AfrpcCaller *caller = AFRPC_CALLER (model->pool);
  g_autoptr(GError) error = NULL;
  guint n_begun_runaways = 0;

  switch (model->is_gentle ? 1 + draw (3) : draw (4))
    {
    case 0:
      model->is_killed = TRUE;
      model->n_kills++;
      afrpc_caller_kill (caller);
      break;

    case 1:
      g_assert_true (afrpc_caller_close_sync (caller, NULL, &error));
      g_assert_no_error (error);
      break;

    default:
      afrpc_caller_close (caller);
      break;
    }
  test_iterate_until (&model->destroyed);
  while (model->n_maps_left > 0 || model->n_rounds_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (model->open.length, ==, 0);
  for (guint id = 0; id < model->items->len; id++)
    n_begun_runaways += get (model, id)->what == RUN_AWAY && get (model, id)->started == AFRPC_STARTED_YES;
  g_test_message ("%u calls, %u runaways, %u workers stopped, %u too old, %u too large, %u settings, %u maps",
                  model->items->len, n_begun_runaways, model->n_stopped, model->n_aged, model->n_grown, model->n_rounds,
                  model->n_maps);
  g_assert_null (afrpc_pool_get_failure (model->pool));
}

static AfrpcProcess *
command_new (void)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *const argv[] = { "sh", "-c", "exec \"$0\"", host, NULL };

  return afrpc_process_new_command (argv);
}

static AfrpcProcess *
prepare (AfrpcProcess *process, /* (transfer full) */
         Model        *model)
{
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_POOL_WORKER"));
  afrpc_process_send_arg (process, g_variant_new_string (model->path));
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

static void
run (gconstpointer n_calls)
{
  Model model = { 0 };
  g_autoptr(AfrpcProcess) template = NULL;
  g_autofree char *folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);

  model.path = g_build_filename (folder, "begun", NULL);
  close (g_open (model.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  model.items = g_array_new (FALSE, TRUE, sizeof (Item));
  model.is_async = draw (2) == 0;
  template = prepare (test_bare_process_new (), &model);
  model.is_gentle = draw (3) == 0;
  model.has_command = draw (3) == 0;
  if (model.has_command)
    model.second = prepare (command_new (), &model);
  else if (draw (2) == 0)
    model.second = prepare (afrpc_process_new (), &model);
  model.pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "init", "init_log",
                             "function", model.is_async ? "work_async" : "work",
                             "backend", model.is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC,
                             "max-workers", 1 + draw (4), "load", 1 + draw (5), "start-delay-ms", draw (2),
                             "stop-delay-ms", draw (20), "max-failures", G_MAXUINT,
                             "cancel-grace-ms", model.is_gentle ? 0 : 1 + draw (5),
                             "max-memory-growth", (guint64) draw (2), NULL);
  if (model.second != NULL)
    afrpc_pool_add_template (model.pool, model.second, draw (3), draw (4), 1 + draw (3));
  g_signal_connect (model.pool, "event", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (model.pool, "error", G_CALLBACK (error_cb), &model);
  g_signal_connect (model.pool, "destroyed", G_CALLBACK (destroyed_cb), &model);
  while (model.items->len < GPOINTER_TO_UINT (n_calls))
    {
      step (&model);
      check_room (&model);
      if (draw (8) == 0)
        while (g_main_context_iteration (NULL, FALSE) && draw (3) != 0)
          ;
      while (model.open.length > UNDER_WAY_MAX)
        g_main_context_iteration (NULL, TRUE);
    }
  end (&model);
  check (&model);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (model.pool);
  g_clear_object (&model.second);
  g_array_unref (model.items);
  g_unlink (model.path);
  g_rmdir (folder);
  g_free (model.path);
}

int
main (int   argc,
      char *argv[])
{
  const char *text = g_getenv ("AFRPC_TEST_POOL_CALLS");
  guint n_calls = text != NULL ? atoi (text) : 50000;

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < 25; i++)
    {
      g_autofree char *path = g_strdup_printf ("/pool-random/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (n_calls / 25), run);
    }

  return g_test_run ();
}
