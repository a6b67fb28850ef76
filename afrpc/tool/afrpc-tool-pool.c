/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-pool.h. */
#include "config.h"

#include "afrpc-tool-pool.h"

#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>

#include "afrpc-tool-stats.h"

#define CALLS_PER_WORKER 2    /* one runs, one waits in the worker, so that it never idles */
#define WORKER_FAILURES_MAX 5 /* times in a row that workers die before they begin a call */
#define RETRY_PRIORITY -1     /* before what has not been tried yet */

typedef enum
{
  STATE_OPEN,   /* takes calls */
  STATE_CLOSED, /* has had all its calls, and ends what it has */
  STATE_KILLED, /* the same at once, and calls are not told any more */
} State;

struct _AfrpcToolPool
{
  const AfrpcToolWorkerOptions *options;
  guint n_workers_max;
  AfrpcToolPoolFuncs funcs;
  gpointer data;

  AfrpcPool *pool;          /* (nullable) (owned): from the first call on */
  GPtrArray *templates;     /* (element-type AfrpcProcess) (owned): what workers are made from, one for each machine */
  guint n_templates;        /* that have not ended: they are the last that do */
  AfrpcCallOptions *call_options[2][2]; /* (owned): whether it has failed before, whether its arguments are to be taken as they are */
  GHashTable *workers;      /* (element-type AfrpcProcess) (owned): those that have had calls, and live as far as is known */
  guint n_calls;            /* that have not been settled */
  State state;
  guint64 n_retries;
  guint64 n_refused;        /* calls that were made again with arguments of the right type */
  gint64 begin_us;
  AfrpcPoolStats *stats;    /* (nullable) (owned): what the pool had counted when it was killed */
};

typedef struct
{
  AfrpcToolPool *pool;
  GVariant *args;
  gpointer data;
  gboolean is_exact; /* its arguments are not to be made what the function has declared */
  guint n_tries;   /* that have failed */
  gboolean was_refused; /* because of the type of its arguments */
  gint64 start_us; /* of this try */
} Call;

static void
call_free (Call *call)
{
  g_variant_unref (call->args);
  g_free (call);
}

/* The end */

static void
check_over (AfrpcToolPool *self)
{
  if (afrpc_tool_pool_is_over (self))
    self->funcs.over (self->data);
}

static void
template_ended_cb (GObject      *object,
                   GAsyncResult *result,
                   gpointer      data)
{
  AfrpcToolPool *self = data;
  g_autoptr(AfrpcExit) exit = afrpc_process_wait_finish (AFRPC_PROCESS (object), result, NULL);

  self->n_templates--;
  check_over (self);
}

/* All workers have ended. What they were made from has never been called: it has nothing to finish. */
static void
destroyed_cb (AfrpcCaller   *caller,
              AfrpcToolPool *self)
{
  for (guint i = 0; i < self->templates->len; i++)
    {
      afrpc_process_kill (self->templates->pdata[i], SIGKILL);
      afrpc_process_wait_async (self->templates->pdata[i], NULL, template_ended_cb, self);
    }
}

static void
fail (AfrpcToolPool *self,
      const GError  *error)
{
  if (self->state == STATE_KILLED)
    return;

  afrpc_tool_pool_kill (self);
  self->funcs.failed (error, self->data);
}

/* What is told of workers */

/* Its calls have said that already, if it had any. */
static void
exited_cb (AfrpcProcess  *process,
           AfrpcExit     *exit,
           AfrpcToolPool *self)
{
  const gboolean is_news = self->state == STATE_OPEN && g_hash_table_contains (self->workers, process);

  if (is_news && (!afrpc_exit_is_known (exit) || afrpc_exit_get_status (exit) != 0))
    {
      g_autofree char *text = afrpc_exit_to_string (exit);
      const char *destination = afrpc_process_get_destination (process);

      afrpc_tool_message ("%s%s%s", destination != NULL ? destination : "", destination != NULL ? ": " : "", text);
    }
  g_hash_table_remove (self->workers, process);
}

/* Has the end of the worker that had a call be heard of. */
static void
watch_worker (AfrpcToolPool *self,
              AfrpcProcess  *process) /* (nullable) */
{
  if (process == NULL || g_object_get_data (G_OBJECT (process), "afrpc-tool") != NULL)
    return;

  g_object_set_data (G_OBJECT (process), "afrpc-tool", self);
  g_hash_table_add (self->workers, g_object_ref (process));
  g_signal_connect (process, "exited", G_CALLBACK (exited_cb), self);
}

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *process,
          GUnixFDList  *fds,
          gpointer      data)
{
  AfrpcToolPool *self = data;

  self->funcs.event (event, self->data);
}

/* Machines */

/* Returns: (nullable) */
static AfrpcToolMachine *
find_machine (AfrpcToolPool *self,
              AfrpcProcess  *process)
{
  const char *destination = process != NULL ? afrpc_process_get_destination (process) : NULL;

  for (guint i = 0; destination != NULL && i < self->options->machines->len; i++)
    {
      AfrpcToolMachine *machine = self->options->machines->pdata[i];

      if (g_strcmp0 (machine->destination, destination) == 0)
        return machine;
    }

  return NULL;
}

/* How many workers there may be on each machine, and so in all. */
static void
share_out (AfrpcToolPool *self)
{
  guint n = 0;

  for (guint i = 0; self->options->machines != NULL && i < self->templates->len; i++)
    {
      const AfrpcToolMachine *machine = self->options->machines->pdata[i];
      const guint n_here = MAX (machine->n_workers, 1);
      /* What another machine has been given cannot be taken back: it would wait there while others have nothing to do. */
      const guint load = machine->destination != NULL ? 1 : CALLS_PER_WORKER;

      afrpc_pool_add_template (self->pool, self->templates->pdata[i], n_here, load, n_here);
      n += n_here;
    }
  if (n > 0)
    self->n_workers_max = MIN (n, AFRPC_TOOL_WORKERS_MAX);
  g_object_set (self->pool, "max-workers", self->n_workers_max, NULL);
}

/* A worker that is there knows how many processors its machine has; until then there is one. */
static void
ready_cb (AfrpcToolPool *self)
{
  GListModel *workers = afrpc_pool_get_workers (self->pool);
  gboolean has_changed = FALSE;

  if (self->state != STATE_OPEN)
    return;

  for (guint i = 0; i < g_list_model_get_n_items (workers); i++)
    {
      g_autoptr(AfrpcPoolWorker) worker = g_list_model_get_item (workers, i);
      AfrpcProcess *process = afrpc_pool_worker_get_process (worker);
      AfrpcToolMachine *machine = find_machine (self, process);

      if (machine != NULL && machine->n_workers == 0)
        {
          machine->n_workers = MIN (afrpc_process_get_n_processors (process), AFRPC_TOOL_WORKERS_MAX);
          has_changed |= machine->n_workers > 1;
        }
    }
  if (!has_changed)
    return;

  share_out (self);
  self->funcs.has_room (self->data);
}

/* What is wrong with one is said once, until it works. FALSE: it has nothing to do with any of them. */
static gboolean
report_machine (AfrpcToolPool *self,
                const GError  *error)
{
  for (guint i = 0; self->options->machines != NULL && i < self->options->machines->len; i++)
    {
      AfrpcToolMachine *machine = self->options->machines->pdata[i];
      g_autofree char *name = machine->destination != NULL ? g_strdup_printf ("'ssh %s'", machine->destination) : NULL;

      if (name == NULL || strstr (error->message, name) == NULL)
        continue;
      if (!machine->is_reported)
        afrpc_tool_message ("%s", error->message);
      machine->is_reported = TRUE;
      return TRUE;
    }

  return FALSE;
}

/* What ends a worker that has calls has failed them, and is reported there. But every other worker would fail to start in
 * the same way, on a machine that is reached; for a lack of processes or memory, the pool waits, and for others it has
 * others. */
static void
error_cb (AfrpcCaller   *caller,
          GError        *error,
          AfrpcToolPool *self)
{
  if (self->state == STATE_KILLED || afrpc_tool_exit_status (error) != AFRPC_TOOL_EXIT_PREPARE ||
      g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN))
    return;

  if (self->templates->len == 1 && !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE))
    fail (self, error);
  else if (!report_machine (self, error))
    afrpc_tool_message ("%s", error->message);
}

static void
start (AfrpcToolPool *self)
{
  const GPtrArray *machines = self->options->machines;
  const guint n = machines != NULL ? machines->len : 1;

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (self->templates, afrpc_tool_process_new (self->options, machines != NULL ? machines->pdata[i] : NULL, TRUE));
  self->n_templates = n;
  /* A worker is kept however long the next input takes: what its init function has made is there. */
  self->pool = g_object_new (AFRPC_TYPE_POOL, "process", self->templates->pdata[0], "function", self->options->function,
                             "init", self->options->init, "backend", self->options->backend,
                             "load", CALLS_PER_WORKER, "start-delay-ms", 0,
                             "stop-delay-ms", G_MAXINT, "max-failures", WORKER_FAILURES_MAX,
                             "max-bytes-queued", G_MAXUINT64, NULL);
  share_out (self);
  g_signal_connect (self->pool, "event", G_CALLBACK (event_cb), self);
  g_signal_connect (self->pool, "error", G_CALLBACK (error_cb), self);
  g_signal_connect (self->pool, "destroyed", G_CALLBACK (destroyed_cb), self);
  if (machines != NULL)
    g_signal_connect_swapped (self->pool, "notify::n-starting-workers", G_CALLBACK (ready_cb), self);
}

/* Calls */

static void run (Call *call);

/* Whether it is a time limit of the command that has passed; a function's own error may have the same code. */
static gboolean
is_overdue (const Call   *call,
            const GError *error)
{
  const guint timeout_ms = call->pool->options->timeout_ms;

  return timeout_ms > 0 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) &&
         g_get_monotonic_time () - call->start_us >= (gint64) timeout_ms * 1000;
}

/* The pool has no more workers. Returns: (transfer full) (nullable): what is to be said of that */
static GError *
new_failure (AfrpcToolPool *self)
{
  const GError *failure = afrpc_pool_get_failure (self->pool);

  if (failure == NULL || (afrpc_tool_exit_status (failure) == AFRPC_TOOL_EXIT_PREPARE && self->templates->len == 1))
    return failure != NULL ? g_error_copy (failure) : NULL;

  if (self->templates->len > 1)
    return g_error_new (AFRPC_ERROR, AFRPC_ERROR_SPAWN, _("No machine has a worker any more; the last one: %s"),
                        failure->message);

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                      _("%u times in a row workers ended before they had begun a call; the last one: %s"), WORKER_FAILURES_MAX,
                      failure->message);
}

static void
settle (Call         *call,
        GVariant     *value,
        const GError *error)
{
  AfrpcToolPool *self = call->pool;
  gpointer data = call->data;

  self->n_calls--;
  call_free (call);
  if (self->state != STATE_KILLED)
    self->funcs.settled (data, value, error, self->data);
}

/* Gives the call other arguments, if its function has refused these. */
static gboolean
make_fit (Call         *call,
          AfrpcCall    *made,
          const GError *error)
{
  AfrpcToolPool *self = call->pool;
  GVariant *args;

  if (call->was_refused || !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS) ||
      afrpc_call_get_started (made) != AFRPC_STARTED_NO)
    return FALSE;
  call->was_refused = TRUE;
  args = self->funcs.refused (call->data, error, self->data);
  if (args == NULL)
    return FALSE;

  self->n_refused++;
  g_variant_unref (call->args);
  call->args = g_variant_ref_sink (args);
  call->is_exact = FALSE;

  return TRUE;
}

static void
settled_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  Call *call = data;
  AfrpcToolPool *self = call->pool;
  AfrpcProcess *process = afrpc_call_get_process (AFRPC_CALL (object));
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) overdue = NULL;
  g_autoptr(GError) failure = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (AFRPC_CALL (object), result, &error);
  AfrpcToolMachine *machine;

  watch_worker (self, process);
  machine = value != NULL && self->options->machines != NULL ? find_machine (self, process) : NULL;
  if (machine != NULL)
    machine->is_reported = FALSE;
  if (value == NULL && self->state != STATE_KILLED)
    {
      failure = new_failure (self);
      if (failure != NULL)
        fail (self, failure);
      else if (process != NULL && is_overdue (call, error))
        {
          g_set_error (&overdue, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, _("The time limit of %g s has passed"),
                       self->options->timeout_ms / 1000.0);
          g_hash_table_remove (self->workers, process);
          afrpc_process_kill (process, SIGKILL);
        }
      else if (process != NULL && afrpc_tool_exit_status (error) == AFRPC_TOOL_EXIT_DIED)
        g_hash_table_remove (self->workers, process);
    }

  if (value == NULL && self->state != STATE_KILLED && make_fit (call, AFRPC_CALL (object), error))
    run (call);
  else if (value == NULL && self->state != STATE_KILLED && call->n_tries++ < self->options->n_retries)
    {
      self->n_retries++;
      run (call);
    }
  else
    settle (call, value, overdue != NULL ? overdue : error);
}

static void
run (Call *call)
{
  AfrpcToolPool *self = call->pool;
  g_autoptr(AfrpcCall) started = NULL;

  call->start_us = g_get_monotonic_time ();
  started = afrpc_caller_start (AFRPC_CALLER (self->pool), call->args, self->call_options[call->n_tries > 0][call->is_exact]);
  afrpc_call_wait (started, NULL, settled_cb, call);
}

static AfrpcCallOptions *
new_call_options (const AfrpcToolWorkerOptions *options,
                  gboolean                      is_again,
                  gboolean                      is_exact)
{
  AfrpcCallOptions *call_options = afrpc_call_options_new ();

  if (is_again)
    afrpc_call_options_set_priority (call_options, RETRY_PRIORITY);
  if (is_exact)
    afrpc_call_options_set_metadata (call_options, afrpc_tool_new_exact ());
  if (options->timeout_ms > 0)
    afrpc_call_options_set_execution_timeout_ms (call_options, options->timeout_ms);

  return call_options;
}

/* @options has to stay. @n_workers_max: 0 for as many as there are processors that may be used */
AfrpcToolPool *
afrpc_tool_pool_new (const AfrpcToolWorkerOptions *options,
                     guint                         n_workers_max,
                     const AfrpcToolPoolFuncs     *funcs,
                     gpointer                      data)
{
  AfrpcToolPool *self = g_new0 (AfrpcToolPool, 1);

  self->options = options;
  self->n_workers_max = n_workers_max;
  self->funcs = *funcs;
  self->data = data;
  self->templates = g_ptr_array_new_with_free_func (g_object_unref);
  self->workers = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
  for (guint is_again = FALSE; is_again <= TRUE; is_again++)
    for (guint is_exact = FALSE; is_exact <= TRUE; is_exact++)
      self->call_options[is_again][is_exact] = new_call_options (options, is_again, is_exact);
  self->begin_us = g_get_monotonic_time ();

  return self;
}

/* To be called when it is over, or has never been given a call. */
void
afrpc_tool_pool_free (AfrpcToolPool *self)
{
  g_assert (self->n_templates == 0 && self->n_calls == 0);

  if (self->pool != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->pool, self);
      /* What was just being forked is not to be there any more when the command ends. */
      afrpc_caller_close_sync (AFRPC_CALLER (self->pool), NULL, NULL);
    }
  g_clear_object (&self->pool);
  g_ptr_array_unref (self->templates);
  g_clear_pointer (&self->stats, afrpc_pool_stats_unref);
  g_hash_table_unref (self->workers);
  for (guint i = 0; i < 4; i++)
    g_object_unref (self->call_options[i / 2][i % 2]);
  g_free (self);
}

/* Whether another call keeps a worker busy; more than that would only wait here. */
gboolean
afrpc_tool_pool_has_room (const AfrpcToolPool *self)
{
  return self->state == STATE_OPEN &&
         (self->pool == NULL || self->n_calls < afrpc_pool_get_max_workers (self->pool) * CALLS_PER_WORKER);
}

/* @is_exact: to be refused if it is not of the very type that the function has declared. @call_data comes back in settled(),
 * if that is called. */
void
afrpc_tool_pool_call (AfrpcToolPool *self,
                      GVariant      *args,
                      gboolean       is_exact,
                      gpointer       call_data)
{
  Call *call = g_new0 (Call, 1);

  g_assert (self->state == STATE_OPEN);

  if (self->pool == NULL)
    start (self);
  call->pool = self;
  call->args = g_variant_ref_sink (args);
  call->is_exact = is_exact;
  call->data = call_data;
  self->n_calls++;
  run (call);
}

/* There will be no more calls; the workers end when they have finished theirs. */
void
afrpc_tool_pool_close (AfrpcToolPool *self)
{
  if (self->state != STATE_OPEN)
    return;

  g_assert (self->n_calls == 0);
  self->state = STATE_CLOSED;
  if (self->pool != NULL)
    afrpc_caller_close (AFRPC_CALLER (self->pool));
  check_over (self);
}

void
afrpc_tool_pool_kill (AfrpcToolPool *self)
{
  if (self->state == STATE_KILLED)
    return;

  self->state = STATE_KILLED;
  if (self->pool != NULL)
    {
      self->stats = afrpc_pool_get_stats (self->pool);
      afrpc_caller_kill (AFRPC_CALLER (self->pool));
    }
  check_over (self);
}

/* Whether no process is left, and none will be started. */
gboolean
afrpc_tool_pool_is_over (const AfrpcToolPool *self)
{
  return self->state != STATE_OPEN && self->n_calls == 0 && self->n_templates == 0;
}

void
afrpc_tool_pool_print_stats (const AfrpcToolPool *self)
{
  g_autoptr(AfrpcPoolStats) stats = NULL;

  if (self->stats != NULL)
    stats = afrpc_pool_stats_ref (self->stats);
  else if (self->pool != NULL)
    stats = afrpc_pool_get_stats (self->pool);
  afrpc_tool_stats_print (stats, self->n_retries, self->n_refused, g_get_monotonic_time () - self->begin_us);
}
