/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chaos-api.h"

#include "chaos-worker.h"

#include <string.h>

struct _ChaosHandle
{
  AfrpcCall *call;       /* (nullable): owned if the way is START */
  ChaosWay way;
  ChaosSettledFunc settled;
  ChaosProgressFunc progress;
  gpointer data;
};

void
chaos_outcome_clear (ChaosOutcome *outcome)
{
  g_clear_pointer (&outcome->value, g_variant_unref);
  g_clear_object (&outcome->fds);
  g_clear_error (&outcome->error);
}

static ChaosCause
cause_of (const GError *error)
{
  static const struct { int code; ChaosCause cause; } causes[] = {
    { AFRPC_ERROR_BUSY, CHAOS_CAUSE_BUSY },
    { AFRPC_ERROR_TOO_LARGE, CHAOS_CAUSE_TOO_LARGE },
    { AFRPC_ERROR_CLOSED, CHAOS_CAUSE_CLOSED },
    { AFRPC_ERROR_NOT_STARTED, CHAOS_CAUSE_GONE },
    { AFRPC_ERROR_DIED, CHAOS_CAUSE_GONE },
    { AFRPC_ERROR_INVALID_ARGUMENTS, CHAOS_CAUSE_WRONG },
    { AFRPC_ERROR_NO_RESULT, CHAOS_CAUSE_NO_RESULT },
  };

  if (error == NULL)
    return CHAOS_CAUSE_RESULT;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return CHAOS_CAUSE_CANCELLED;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return CHAOS_CAUSE_TIMED_OUT;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
      (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE) && strstr (error->message, CHAOS_ERROR_DOMAIN) != NULL))
    return CHAOS_CAUSE_FUNCTION;
  for (guint i = 0; i < G_N_ELEMENTS (causes); i++)
    if (g_error_matches (error, AFRPC_ERROR, causes[i].code))
      return causes[i].cause;

  return CHAOS_CAUSE_OTHER;
}

/* @call: (nullable): if the caller has not got it */
static void
explain (ChaosOutcome *outcome,
         AfrpcCall    *call)
{
  outcome->cause = cause_of (outcome->error);
  outcome->has_word = call != NULL;
  outcome->started = call != NULL ? afrpc_call_get_started (call) : AFRPC_STARTED_UNKNOWN;
}

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  ChaosHandle *handle = user_data;
  g_auto(ChaosOutcome) outcome = { 0 };
  AfrpcCall *call;

  if (handle->way == CHAOS_WAY_START)
    {
      call = AFRPC_CALL (source);
      g_assert_true (call == handle->call);
      outcome.value = afrpc_call_wait_finish (call, result, &outcome.error);
      outcome.fds = afrpc_call_steal_fds (call);
    }
  else
    {
      call = AFRPC_CALL (result);
      outcome.value = handle->way == CHAOS_WAY_CALL
                        ? afrpc_caller_call_finish (AFRPC_CALLER (source), result, &outcome.error)
                        : afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, &outcome.fds, &outcome.error);
    }
  g_assert_true (afrpc_call_is_settled (call));
  explain (&outcome, call);
  handle->settled (&outcome, handle->data);
  if (handle->way == CHAOS_WAY_START)
    g_clear_object (&handle->call);
  g_free (handle);
}

typedef struct
{
  ChaosProgressFunc progress;
  gpointer data;
} Progress;

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  Progress *self = data;

  self->progress (progress, self->data);
}

static AfrpcCallOptions *
new_options (const ChaosOptions *options,
             ChaosProgressFunc   progress,
             gpointer            data)
{
  AfrpcCallOptions *self = afrpc_call_options_new ();

  if (options->fds != NULL)
    afrpc_call_options_set_fds (self, options->fds);
  if (options->timeout_ms != 0)
    afrpc_call_options_set_timeout_ms (self, options->timeout_ms);
  if (options->execution_timeout_ms != 0)
    afrpc_call_options_set_execution_timeout_ms (self, options->execution_timeout_ms);
  if (options->function != NULL)
    afrpc_call_options_set_function (self, options->function);
  if (options->wants_progress)
    {
      const Progress what = { progress, data };

      afrpc_call_options_set_progress (self, options->progress_mode, progress_cb, g_memdup2 (&what, sizeof what), g_free);
    }

  return self;
}

static gboolean
is_plain (const ChaosOptions *options)
{
  return options->fds == NULL && options->timeout_ms == 0 && options->execution_timeout_ms == 0 &&
         options->function == NULL && !options->wants_progress;
}

ChaosHandle *
chaos_api_call (AfrpcProxy         *proxy,
                GVariant           *args,
                const ChaosOptions *options,
                ChaosSettledFunc    settled,
                ChaosProgressFunc   progress,
                gpointer            data)
{
  AfrpcCaller *caller = AFRPC_CALLER (proxy);
  ChaosHandle *handle = g_new0 (ChaosHandle, 1);
  g_autoptr(AfrpcCallOptions) its_options = new_options (options, progress, data);

  *handle = (ChaosHandle) { NULL, options->way, settled, progress, data };
  if (handle->way == CHAOS_WAY_CALL && !is_plain (options))
    handle->way = CHAOS_WAY_FULL;
  /* A cancellable would end the waiting, and not the call. */
  if (handle->way == CHAOS_WAY_START && options->cancellable != NULL)
    handle->way = CHAOS_WAY_WITH_CALLBACK;

  switch (handle->way)
    {
    case CHAOS_WAY_CALL:
      afrpc_caller_call (caller, args, options->cancellable, settled_cb, handle);
      break;
    case CHAOS_WAY_FULL:
      afrpc_caller_call_full (caller, args, its_options, options->cancellable, settled_cb, handle);
      break;
    case CHAOS_WAY_WITH_CALLBACK:
      handle->call = afrpc_caller_start_with_callback (caller, args, its_options, options->cancellable, settled_cb, handle);
      break;
    default:
      handle->call = afrpc_caller_start (caller, args, its_options);
      afrpc_call_wait (handle->call, NULL, settled_cb, handle);
      break;
    }

  return handle;
}

/* Returns: (transfer none) (nullable): the call, until it is settled, if there is a way to it */
AfrpcCall *
chaos_api_get_call (ChaosHandle *handle)
{
  return handle->call;
}

void
chaos_api_call_sync (AfrpcProxy         *proxy,
                     GVariant           *args,
                     const ChaosOptions *options,
                     ChaosProgressFunc   progress,
                     gpointer            data,
                     ChaosOutcome       *outcome)
{
  AfrpcCaller *caller = AFRPC_CALLER (proxy);
  g_autoptr(AfrpcCallOptions) its_options = new_options (options, progress, data);
  g_autoptr(AfrpcCall) call = NULL;

  if (options->way == CHAOS_WAY_CALL && is_plain (options))
    outcome->value = afrpc_caller_call_sync (caller, args, options->cancellable, &outcome->error);
  else if (options->way != CHAOS_WAY_START)
    outcome->value = afrpc_caller_call_full_sync (caller, args, its_options, &outcome->fds, options->cancellable,
                                                  &outcome->error);
  else
    {
      call = afrpc_caller_start (caller, args, its_options);
      outcome->value = afrpc_call_wait_sync (call, options->cancellable, &outcome->error);
      outcome->fds = afrpc_call_steal_fds (call);
    }
  explain (outcome, call);
}

typedef struct
{
  void (*closed) (gpointer data);
  gpointer data;
} Closing;

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  g_autofree Closing *closing = user_data;
  g_autoptr(GError) error = NULL;

  afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error);
  g_assert_no_error (error);
  closing->closed (closing->data);
}

void
chaos_api_close_async (AfrpcProxy  *proxy,
                       void       (*closed) (gpointer data),
                       gpointer     data)
{
  Closing *closing = g_new0 (Closing, 1);

  *closing = (Closing) { closed, data };
  afrpc_caller_close_async (AFRPC_CALLER (proxy), NULL, closed_cb, closing);
}
