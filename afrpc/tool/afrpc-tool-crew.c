/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-crew.h. */
#include "config.h"

#include "afrpc-tool-crew.h"

#include <glib/gi18n.h>

#define CALLS_PER_WORKER 2 /* one runs, one waits in the worker, so that it never idles */

typedef struct
{
  AfrpcToolCrew *crew;
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  GQueue calls; /* (element-type Call), in the order in which the worker runs them */

  guint timeout_id; /* set while calls is not empty, if there is a time limit */
  gpointer overdue; /* (nullable) the Call that the worker was killed for; only compared */
  gboolean proven;  /* has begun a call */
  gboolean dead;    /* gets no more calls */
  gboolean reaped;  /* the process has ended, or never was */
} Worker;

typedef struct
{
  Worker *worker;  /* (nullable) borrowed; NULL while it waits for one */
  guint64 serial;
  GVariant *args;
  gpointer data;
  guint n_tries;   /* that have failed */
} Call;

struct _AfrpcToolCrew
{
  const AfrpcToolWorkerOptions *options;
  guint n_workers_max;
  AfrpcToolCrewFuncs funcs;
  gpointer data;

  GPtrArray *workers; /* (element-type Worker), dead ones included until they are reaped */
  GQueue waiting;     /* (element-type Call), lowest serial first */
  guint64 last_serial;
  guint n_calls;  /* waiting and running */
  guint n_deaths; /* of workers since one has begun a call */
  gboolean closed;
  gboolean killed;
};

static void crew_dispatch (AfrpcToolCrew *self);

static void
call_free (Call *call)
{
  g_variant_unref (call->args);
  g_free (call);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Call, call_free)

static int
call_compare (gconstpointer a,
              gconstpointer b,
              gpointer      data)
{
  const Call *call_a = a;
  const Call *call_b = b;

  return call_a->serial < call_b->serial ? -1 : call_a->serial > call_b->serial;
}

static void
worker_free (Worker *worker)
{
  g_clear_handle_id (&worker->timeout_id, g_source_remove);
  g_signal_handlers_disconnect_by_data (worker->proxy, worker);
  g_object_unref (worker->proxy);
  g_object_unref (worker->process);
  g_free (worker);
}

/* A worker goes when its process has ended and each of its calls is settled. */
static void
worker_check_gone (Worker *worker)
{
  AfrpcToolCrew *self = worker->crew;

  if (!worker->reaped || worker->calls.length > 0)
    return;

  g_ptr_array_remove_fast (self->workers, worker);
  if (afrpc_tool_crew_is_over (self))
    self->funcs.over (self->data);
}

static void
crew_fail (AfrpcToolCrew *self,
           const GError  *error)
{
  if (self->killed)
    return;

  afrpc_tool_crew_kill (self);
  self->funcs.failed (error, self->data);
}

/* The worker has ended, or is about to. */
static void
worker_dies (Worker       *worker,
             const GError *reason)
{
  AfrpcToolCrew *self = worker->crew;

  if (worker->dead)
    return;

  worker->dead = TRUE;
  g_clear_handle_id (&worker->timeout_id, g_source_remove);
  if (worker->proven || self->killed)
    return;

  if (++self->n_deaths >= AFRPC_TOOL_CREW_DEATHS_MAX)
    {
      g_autoptr(GError) error = NULL;

      g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                   _("%u workers in a row ended before they had begun a call; the last one: %s"),
                   self->n_deaths, reason->message);
      crew_fail (self, error);
    }
}

static gboolean
worker_overdue_cb (gpointer data)
{
  Worker *worker = data;

  worker->timeout_id = 0;
  worker->overdue = g_queue_peek_head (&worker->calls);
  /* It was healthy: it does not count as one that died. */
  worker->dead = TRUE;
  afrpc_caller_kill (AFRPC_CALLER (worker->proxy));

  return G_SOURCE_REMOVE;
}

/* The library's own limit starts when a call is made. Here it starts when the call has become the
 * worker's first one, because that is when the worker starts to run it. */
static void
worker_restart_clock (Worker *worker)
{
  g_clear_handle_id (&worker->timeout_id, g_source_remove);
  if (worker->crew->options->timeout_ms == 0 || worker->calls.length == 0 || worker->dead)
    return;

  worker->timeout_id =
    g_timeout_add (worker->crew->options->timeout_ms, worker_overdue_cb, worker);
  g_source_set_name_by_id (worker->timeout_id, "[afrpc] tool time limit");
}

static void
worker_event_cb (AfrpcProxy   *proxy,
                 GVariant     *event,
                 AfrpcProcess *from,
                 GUnixFDList  *fds,
                 gpointer      data)
{
  afrpc_tool_show_event (event);
}

/* What breaks the worker has failed its calls already, and is reported there. */
static void
worker_error_cb (AfrpcProxy *proxy,
                 GError     *error,
                 gpointer    data)
{
  Worker *worker = data;

  if (!worker->dead)
    afrpc_tool_message ("%s", error->message);
}

static void
worker_exited_cb (GObject      *object,
                  GAsyncResult *result,
                  gpointer      data)
{
  Worker *worker = data;
  AfrpcToolCrew *self = worker->crew;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcExit) reason = afrpc_process_wait_finish (AFRPC_PROCESS (object), result, &error);

  worker->reaped = TRUE;
  if (!worker->dead && !self->closed)
    {
      /* It was idle, or its calls are about to fail; those not started come back then. */
      g_autofree char *text = reason != NULL ? afrpc_exit_to_string (reason) : NULL;

      if (error == NULL)
        g_set_error_literal (&error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, text);
      worker_dies (worker, error);
    }

  worker_check_gone (worker);
}

static Worker *
crew_start_worker (AfrpcToolCrew *self)
{
  Worker *worker = g_new0 (Worker, 1);

  worker->crew = self;
  g_queue_init (&worker->calls);
  worker->process = afrpc_tool_process_new (self->options);
  worker->proxy = g_object_new (AFRPC_TYPE_PROXY,
                                "process", worker->process,
                                "function", self->options->function,
                                "init", self->options->init,
                                "backend", self->options->backend,
                                NULL);
  g_signal_connect (worker->proxy, "event", G_CALLBACK (worker_event_cb), worker);
  g_signal_connect (worker->proxy, "error", G_CALLBACK (worker_error_cb), worker);
  g_ptr_array_add (self->workers, worker);
  afrpc_process_wait_async (worker->process, NULL, worker_exited_cb, worker);

  return worker;
}

/* An idle worker, a new one, or the one with the shortest queue. Returns: (nullable) */
static Worker *
crew_find_worker (AfrpcToolCrew *self)
{
  Worker *best = NULL;
  guint n_living = 0;

  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      if (worker->dead)
        continue;
      n_living++;
      if (best == NULL || worker->calls.length < best->calls.length)
        best = worker;
    }

  if (best != NULL && best->calls.length == 0)
    return best;
  if (n_living < self->n_workers_max)
    return crew_start_worker (self);

  return best != NULL && best->calls.length < CALLS_PER_WORKER ? best : NULL;
}

static void
crew_settle (AfrpcToolCrew *self,
             Call          *call,
             GVariant      *result,
             const GError  *error)
{
  gpointer data = call->data;

  self->n_calls--;
  call_free (call);
  if (!self->killed)
    self->funcs.settled (data, result, error, self->data);
}

/* Whether a call that failed because its worker ended may have done something. */
static gboolean
was_started (const GError *error)
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_DIED) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
}

static void
crew_prove (AfrpcToolCrew *self,
            Worker        *worker)
{
  worker->proven = TRUE;
  self->n_deaths = 0;
}

static void
crew_requeue (AfrpcToolCrew *self,
              Call          *call)
{
  call->worker = NULL;
  g_queue_insert_sorted (&self->waiting, call, call_compare, NULL);
}

static void
crew_call_failed (AfrpcToolCrew *self,
                  Worker        *worker,
                  Call          *call,
                  const GError  *error)
{
  g_autoptr(GError) overdue = NULL;
  int status = afrpc_tool_exit_status (error);

  if (worker->overdue == call)
    {
      g_set_error (&overdue, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                   _("The time limit of %g s has passed"), self->options->timeout_ms / 1000.0);
      error = overdue;
    }
  else if (status == AFRPC_TOOL_EXIT_PREPARE && worker->overdue == NULL)
    {
      /* Every other worker would fail in the same way. */
      worker->dead = TRUE;
      crew_fail (self, error);
    }
  else if (status == AFRPC_TOOL_EXIT_DIED || status == AFRPC_TOOL_EXIT_PREPARE)
    {
      if (was_started (error))
        crew_prove (self, worker);
      worker_dies (worker, error);
      if (!self->killed && !was_started (error))
        {
          crew_requeue (self, call);
          return;
        }
    }
  else
    {
      crew_prove (self, worker);
    }

  if (!self->killed && call->n_tries++ < self->options->n_retries)
    {
      crew_requeue (self, call);
      return;
    }
  crew_settle (self, call, NULL, error);
}

static void
call_settled_cb (GObject      *object,
                 GAsyncResult *result,
                 gpointer      data)
{
  Call *call = data;
  Worker *worker = call->worker;
  AfrpcToolCrew *self = worker->crew;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (object), result, &error);

  g_queue_remove (&worker->calls, call);
  worker_restart_clock (worker);
  if (value != NULL)
    {
      crew_prove (self, worker);
      crew_settle (self, call, value, NULL);
    }
  else
    {
      crew_call_failed (self, worker, call, error);
    }

  crew_dispatch (self);
  worker_check_gone (worker);
}

static void
crew_dispatch (AfrpcToolCrew *self)
{
  while (!self->killed && self->waiting.length > 0)
    {
      Worker *worker = crew_find_worker (self);
      Call *call;

      if (worker == NULL)
        return;

      call = g_queue_pop_head (&self->waiting);
      call->worker = worker;
      g_queue_push_tail (&worker->calls, call);
      if (worker->calls.length == 1)
        worker_restart_clock (worker);
      afrpc_caller_call (AFRPC_CALLER (worker->proxy), call->args, NULL, call_settled_cb, call);
    }
}

/* @options has to stay. */
AfrpcToolCrew *
afrpc_tool_crew_new (const AfrpcToolWorkerOptions *options,
                     guint                         n_workers_max,
                     const AfrpcToolCrewFuncs     *funcs,
                     gpointer                      data)
{
  AfrpcToolCrew *self = g_new0 (AfrpcToolCrew, 1);

  self->options = options;
  self->n_workers_max = n_workers_max;
  self->funcs = *funcs;
  self->data = data;
  self->workers = g_ptr_array_new_with_free_func ((GDestroyNotify) worker_free);
  g_queue_init (&self->waiting);

  return self;
}

/* To be called when the crew is over, or has never been given a call. */
void
afrpc_tool_crew_free (AfrpcToolCrew *self)
{
  g_assert (self->workers->len == 0);

  g_queue_clear_full (&self->waiting, (GDestroyNotify) call_free);
  g_ptr_array_unref (self->workers);
  g_free (self);
}

/* Whether another call keeps a worker busy; more than that would only wait here. */
gboolean
afrpc_tool_crew_has_room (const AfrpcToolCrew *self)
{
  return !self->closed && !self->killed &&
         self->n_calls < self->n_workers_max * CALLS_PER_WORKER;
}

/* @call_data comes back in settled(), if that is called. */
void
afrpc_tool_crew_call (AfrpcToolCrew *self,
                      GVariant      *args,
                      gpointer       call_data)
{
  Call *call = g_new0 (Call, 1);

  g_assert (!self->closed && !self->killed);

  call->serial = ++self->last_serial;
  call->args = g_variant_ref_sink (args);
  call->data = call_data;
  self->n_calls++;
  g_queue_push_tail (&self->waiting, call);
  crew_dispatch (self);
}

/* There will be no more calls; the workers end when they have finished theirs. */
void
afrpc_tool_crew_close (AfrpcToolCrew *self)
{
  if (self->closed)
    return;

  g_assert (self->n_calls == 0);
  self->closed = TRUE;
  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      afrpc_caller_close (AFRPC_CALLER (worker->proxy));
    }
  if (afrpc_tool_crew_is_over (self))
    self->funcs.over (self->data);
}

void
afrpc_tool_crew_kill (AfrpcToolCrew *self)
{
  if (self->killed)
    return;

  self->killed = TRUE;
  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      worker->dead = TRUE;
      g_clear_handle_id (&worker->timeout_id, g_source_remove);
      afrpc_caller_kill (AFRPC_CALLER (worker->proxy));
    }
  if (afrpc_tool_crew_is_over (self))
    self->funcs.over (self->data);
}

/* Whether no process is left, and none will be started. */
gboolean
afrpc_tool_crew_is_over (const AfrpcToolCrew *self)
{
  return (self->closed || self->killed) && self->workers->len == 0;
}
