/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chaos-worker.h"

#include "chaos-ledger.h"

#include <afrpc/afrpc.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

AFRPC_FUNCTION (chaos_sync, CHAOS_ARGS_TYPE)
AFRPC_ASYNC_FUNCTION (chaos_async, CHAOS_ARGS_TYPE)
AFRPC_FUNCTION (chaos_sync_too, CHAOS_ARGS_TYPE)
AFRPC_ASYNC_FUNCTION (chaos_async_too, CHAOS_ARGS_TYPE)
AFRPC_EXPORT gboolean chaos_init (AfrpcWorker *worker, GVariant *args, GError **error);
AFRPC_EXPORT void chaos_done (AfrpcWorker *worker);
AFRPC_EXPORT void chaos_done_exit (AfrpcWorker *worker);

/* Of the process. */
static ChaosLedger *ledger;
static ChaosSeat *seat;
static guint32 *seats_named; /* by its start arguments */
static guint n_seats_named;
static guint n_start_fds;

/* One call. */
typedef struct
{
  AfrpcWorker *worker;
  AfrpcInvocation *invocation; /* (nullable): of an async worker, owned */
  GVariant *args;
  guint32 id;
  guint32 kind;
  guint32 n;
  guint32 size;
  GError *error;
  gulong cancelled_id;
  guint poll_id;
} Job;

/* Start arguments: where the ledger is; for each process from the first template on its seat, and bytes. */
gboolean
chaos_init (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  GVariantIter iter;
  GVariant *value;
  gboolean is_right = TRUE;

  seats_named = g_new0 (guint32, g_variant_n_children (args) + 1);
  g_variant_iter_init (&iter, args);
  while ((value = g_variant_iter_next_value (&iter)) != NULL)
    {
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) && ledger == NULL)
        ledger = chaos_ledger_open (g_variant_get_string (value, NULL));
      else if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
        seats_named[n_seats_named++] = g_variant_get_uint32 (value);
      else if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
        is_right = is_right && chaos_are_bytes (value, g_variant_get_size (value), CHAOS_START_BYTES (g_variant_get_size (value)));
      else
        is_right = FALSE;
      g_variant_unref (value);
    }
  if (ledger == NULL || n_seats_named == 0 || !is_right)
    {
      g_autofree char *text = g_variant_print (args, TRUE);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "start arguments: %s", text);
      return FALSE;
    }

  n_start_fds = afrpc_worker_get_n_fds (worker);
  seat = &ledger->seats[seats_named[n_seats_named - 1]];
  g_atomic_int_set (&seat->pid, getpid ());
  g_atomic_int_inc (&seat->n_inits);

  return TRUE;
}

void
chaos_done (AfrpcWorker *worker)
{
  g_atomic_int_inc (&seat->n_done);
}

/* An async worker would live on. */
void
chaos_done_exit (AfrpcWorker *worker)
{
  chaos_done (worker);
  exit (0);
}

static guint32
next_number (void)
{
  return g_atomic_int_add (&seat->n_made, 1) + 1;
}

static Job *
job_begin (AfrpcWorker     *worker,
           AfrpcInvocation *invocation, /* (nullable) */
           GVariant        *args)
{
  Job *job;
  guint32 id;

  /* Before everything else. */
  g_variant_get_child (args, 0, "u", &id);
  if (g_atomic_int_add (&ledger->calls[id].started, 1) == 0)
    g_atomic_int_set (&ledger->calls[id].order, g_atomic_int_add (&seat->n_started, 1) + 1);
  chaos_entry_tell (&ledger->calls[id]);

  job = g_new0 (Job, 1);
  job->worker = worker;
  job->invocation = invocation != NULL ? g_object_ref (invocation) : NULL;
  job->args = g_variant_ref (args);
  g_variant_get (args, CHAOS_ARGS_TYPE, &job->id, &job->kind, &job->n, &job->size, NULL, NULL);

  return job;
}

static void
job_free (Job *job)
{
  if (job->cancelled_id != 0)
    g_signal_handler_disconnect (job->invocation, job->cancelled_id);
  g_clear_handle_id (&job->poll_id, g_source_remove);
  g_clear_object (&job->invocation);
  g_variant_unref (job->args);
  g_clear_error (&job->error);
  g_free (job);
}

static ChaosEntry *
job_entry (Job *job)
{
  return &ledger->calls[job->id];
}

static void
job_fail (Job        *job,
          const char *what)
{
  if (job->error == NULL)
    g_set_error (&job->error, G_IO_ERROR, G_IO_ERROR_FAILED, "call %u: %s", job->id, what);
}

/* Whether the arguments arrived as they were sent. */
static void
check_args (Job *job)
{
  g_autoptr(GVariant) bytes = g_variant_get_child_value (job->args, 4);

  if (!chaos_are_bytes (bytes, g_variant_get_size (bytes), CHAOS_ARGS_BYTES (job->id)))
    job_fail (job, "the bytes of its arguments are wrong");
}

static int
steal_fd (Job   *job,
          guint  handle)
{
  return job->invocation != NULL ? afrpc_invocation_steal_fd (job->invocation, handle)
                                 : afrpc_worker_steal_call_fd (job->worker, handle);
}

static int
append_fd (Job *job,
           int  fd)
{
  return job->invocation != NULL ? afrpc_invocation_append_fd (job->invocation, fd, &job->error)
                                 : afrpc_worker_append_result_fd (job->worker, fd, &job->error);
}

/* Takes those that came, and gives as many back. */
static GVariant *
exchange_fds (Job *job)
{
  g_autoptr(GVariant) handles = g_variant_get_child_value (job->args, 5);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("ah"));
  for (guint i = 0; i < g_variant_n_children (handles); i++)
    {
      gint32 handle;
      int fd;

      g_variant_get_child (handles, i, "h", &handle);
      fd = steal_fd (job, handle);
      if (fd < 0 || !chaos_pipe_has (fd, job->id, i, FALSE))
        job_fail (job, "a descriptor is wrong");
      fd = chaos_pipe_with (job->id, i, TRUE);
      if (job->error == NULL)
        g_variant_builder_add (&builder, "h", append_fd (job, fd));
      close (fd);
    }

  return g_variant_builder_end (&builder);
}

static GVariant *
new_event (Job     *job,
           guint    i,
           guint32  number,
           guint    n_fds)
{
  GVariantBuilder handles;

  g_variant_builder_init (&handles, G_VARIANT_TYPE ("ah"));
  for (guint j = 0; j < n_fds; j++)
    g_variant_builder_add (&handles, "h", (gint32) j);

  return g_variant_new ("(uuu@ay@ah)", job->id, i, number, chaos_bytes (job->size, CHAOS_EVENT_BYTES (job->id)),
                        g_variant_builder_end (&handles));
}

static void
send_events (Job *job)
{
  for (guint i = 0; i < job->n; i++)
    afrpc_worker_event (job->worker, new_event (job, i, next_number (), 0));
}

static void
send_event_fds (Job *job)
{
  g_autofree int *fds = g_new (int, job->n);

  for (guint i = 0; i < job->n; i++)
    fds[i] = chaos_pipe_with (job->id, i, TRUE);
  afrpc_worker_event_with_fds (job->worker, new_event (job, 0, next_number (), job->n), fds, job->n, &job->error);
  for (guint i = 0; i < job->n; i++)
    close (fds[i]);
}

static void
send_progress (Job *job)
{
  for (guint i = 0; i < job->n; i++)
    {
      GVariant *progress = new_event (job, i, g_atomic_int_get (&seat->n_made), 0);

      if (job->invocation != NULL)
        afrpc_invocation_progress (job->invocation, progress);
      else
        afrpc_worker_progress (job->worker, progress);
    }
}

static void
die (Job *job)
{
  if (job->kind == CHAOS_KIND_SIGNAL)
    {
      /* No image of memory: it would take longer than all the rest. */
      prctl (PR_SET_DUMPABLE, 0);
      signal (job->n, SIG_DFL);
      raise (job->n);
    }
  if (job->kind == CHAOS_KIND_FLUSH_EXIT)
    {
      send_events (job);
      afrpc_worker_flush (job->worker);
    }
  _exit (job->kind == CHAOS_KIND_EXIT ? job->n : 0);
}

/* What does not wait; the answer is job_result () or job->error. */
static GVariant *
perform (Job *job)
{
  check_args (job);
  switch (job->kind)
    {
    case CHAOS_KIND_EVENTS: send_events (job); break;
    case CHAOS_KIND_EVENT_FDS: send_event_fds (job); break;
    case CHAOS_KIND_FDS: return exchange_fds (job);
    case CHAOS_KIND_PROGRESS: send_progress (job); break;
    case CHAOS_KIND_EXIT:
    case CHAOS_KIND_SIGNAL:
    case CHAOS_KIND_FLUSH_EXIT: die (job); break;
    case CHAOS_KIND_DAWDLE: poll (NULL, 0, job->n); break;
    default: break;
    }
  return NULL;
}

/* Numbers the answer: what is written next is this. */
static GVariant *
job_result (Job      *job,
            GVariant *handles) /* (nullable) */
{
  const gboolean is_who = job->kind == CHAOS_KIND_WHO;
  guint32 number;

  g_atomic_int_inc (&job_entry (job)->finished);
  if (job->error != NULL || job->kind == CHAOS_KIND_NOTHING)
    return NULL;

  number = next_number ();
  if (job->kind == CHAOS_KIND_ERROR)
    g_set_error (&job->error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, CHAOS_ERROR_TEXT, job->id, number);
  else if (job->kind == CHAOS_KIND_PRIVATE_ERROR)
    g_set_error (&job->error, g_quark_from_static_string (CHAOS_ERROR_DOMAIN), 7, CHAOS_ERROR_TEXT, job->id, number);
  if (job->error != NULL)
    return NULL;

  return g_variant_new ("(uu@ay@ah@auu)", job->id, number, chaos_bytes (job->size, CHAOS_RESULT_BYTES (job->id)),
                        handles != NULL ? handles : g_variant_new_array (G_VARIANT_TYPE_HANDLE, NULL, 0),
                        g_variant_new_fixed_array (G_VARIANT_TYPE_UINT32, seats_named, is_who ? n_seats_named : 0,
                                                   sizeof *seats_named),
                        is_who ? n_start_fds : 0);
}

static gboolean
may_go_on (Job *job)
{
  return g_atomic_int_get (&job_entry (job)->gate) != 0;
}

/* A sync function that waits. */
static void
wait_blocking (Job *job)
{
  while (!may_go_on (job) &&
         !(job->kind == CHAOS_KIND_UNTIL_CANCELLED && afrpc_worker_is_cancelled (job->worker)))
    poll (NULL, 0, 1);
}

GVariant *
chaos_sync (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  Job *job = job_begin (worker, NULL, args);
  GVariant *handles = perform (job);
  GVariant *result;

  if (job->kind == CHAOS_KIND_HOLD || job->kind == CHAOS_KIND_UNTIL_CANCELLED)
    wait_blocking (job);
  result = job_result (job, handles);
  if (result == NULL)
    g_clear_pointer (&handles, g_variant_unref);
  if (job->error != NULL)
    g_propagate_error (error, g_steal_pointer (&job->error));
  job_free (job);

  return result;
}

/* Answers, and frees the job. */
static void
job_answer (Job      *job,
            GVariant *handles) /* (nullable) */
{
  GVariant *result = job_result (job, handles);

  if (result != NULL)
    afrpc_invocation_return_value (job->invocation, result);
  else if (job->error != NULL)
    afrpc_invocation_return_error (job->invocation, job->error);
  if (result == NULL)
    g_clear_pointer (&handles, g_variant_unref);
  job_free (job);
}

static gboolean
later_cb (gpointer data)
{
  Job *job = data;

  job->poll_id = 0;
  job_answer (job, NULL);

  return G_SOURCE_REMOVE;
}

static gboolean
poll_cb (gpointer data)
{
  Job *job = data;

  if (!may_go_on (job))
    return G_SOURCE_CONTINUE;

  return later_cb (job);
}

static void
cancelled_cb (AfrpcInvocation *invocation,
              Job             *job)
{
  g_clear_handle_id (&job->poll_id, g_source_remove);
  job->poll_id = g_idle_add (later_cb, job);
}

void
chaos_async (AfrpcInvocation *invocation)
{
  Job *job = job_begin (afrpc_invocation_get_worker (invocation), invocation, afrpc_invocation_get_args (invocation));
  GVariant *handles = perform (job);

  switch (job->kind)
    {
    case CHAOS_KIND_UNTIL_CANCELLED:
      job->poll_id = g_timeout_add (1, poll_cb, job);
      job->cancelled_id = g_signal_connect (invocation, "cancelled", G_CALLBACK (cancelled_cb), job);
      if (afrpc_invocation_is_cancelled (invocation))
        cancelled_cb (invocation, job);
      break;

    case CHAOS_KIND_HOLD:
      job->poll_id = g_timeout_add (1, poll_cb, job);
      break;

    case CHAOS_KIND_LATER:
      job->poll_id = g_timeout_add (job->n, later_cb, job);
      break;

    default:
      job_answer (job, handles);
      break;
    }
}

/* The same by other names. */
GVariant *
chaos_sync_too (AfrpcWorker  *worker,
                GVariant     *args,
                GError      **error)
{
  return chaos_sync (worker, args, error);
}

void
chaos_async_too (AfrpcInvocation *invocation)
{
  chaos_async (invocation);
}
