/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has become of the inputs in a parcel: what its call has brought is taken apart. */
#include "config.h"

#include "afrpc-python-items-private.h"

/* Returns: how many outcomes there are in records, the first of which may be known already; @is_whole: (out): whether
 * there is nothing else in them */
static guint
put_records (AfrpcPythonItems   *self,
             AfrpcPythonParcel  *parcel,
             AfrpcPythonRecords *records,
             gboolean           *is_whole)
{
  AfrpcPythonRecord record;
  guint n;

  for (n = 0; n < parcel->n; n++)
    {
      const guint8 *at = records->next;

      if (!afrpc_python_records_next (records, &record))
        break;
      if (n >= parcel->n_early)
        afrpc_python_items_put (self, parcel, parcel->number + n, at, AFRPC_STARTED_YES);
    }
  *is_whole = records->size == 0;

  return MAX (n, parcel->n_early);
}

/* The same for what a worker has saved. */
static guint
put_saved (AfrpcPythonItems  *self,
           AfrpcPythonParcel *parcel,
           GBytes            *saved) /* (nullable) */
{
  AfrpcPythonRecords records;
  gboolean is_whole;

  if (saved == NULL)
    return parcel->n_early;

  parcel->value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, saved, TRUE));
  parcel->size = g_bytes_get_size (saved);
  records.next = g_variant_get_data (parcel->value);
  records.size = parcel->size;

  return put_records (self, parcel, &records, &is_whole);
}

/* A worker has answered, with the outcomes of as many as it has made. */
static void
sort_answer (AfrpcPythonItems  *self,
             AfrpcPythonParcel *parcel)
{
  guint64 elapsed_us = 0;
  AfrpcPythonRecords records;
  gboolean is_whole = FALSE;
  guint n = 0;

  if (afrpc_python_records_init_answer (&records, parcel->value, &elapsed_us))
    n = put_records (self, parcel, &records, &is_whole);
  /* One that was not told otherwise makes at least the first. */
  if (!is_whole || (n <= parcel->n_early && !parcel->is_cut))
    {
      parcel->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA,
                                   "the worker sent a malformed answer to many calls");
      afrpc_python_items_put_failed (self, parcel, n, parcel->n, AFRPC_STARTED_UNKNOWN);
      return;
    }

  afrpc_python_inputs_measure (self, parcel, n, elapsed_us);
  afrpc_python_rest_add (self, parcel, n, parcel->n, 0, FALSE);
}

static gboolean
is_death (const GError *error)
{
  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_DIED) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL) ||
         g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
}

/* There is no answer, but what the worker has saved, and how many it has begun. */
static void
sort_unanswered (AfrpcPythonItems  *self,
                 AfrpcPythonParcel *parcel,
                 const GError      *error)
{
  const gboolean has_died = is_death (error);
  guint64 n_begun;
  GBytes *saved = afrpc_map_get_parts (parcel->call, &n_begun);
  const guint n = put_saved (self, parcel, saved);

  n_begun = CLAMP (n_begun, n, parcel->n);

  /* The last one that was begun ran. */
  if (has_died && self->config.is_idempotent && self->max_repeats > 0 && n_begun > n)
    {
      afrpc_python_rest_add (self, parcel, n, n_begun - 1, 0, TRUE);
      afrpc_python_rest_add (self, parcel, n_begun - 1, n_begun, 1, TRUE);
    }
  else
    afrpc_python_items_put_failed (self, parcel, n, n_begun, AFRPC_STARTED_YES);
  if (has_died)
    afrpc_python_rest_add (self, parcel, n_begun, parcel->n, 0, FALSE);
  else
    afrpc_python_items_put_failed (self, parcel, n_begun, parcel->n, AFRPC_STARTED_NO);
}

static void
sort_chunk (AfrpcPythonItems  *self,
            AfrpcPythonParcel *parcel)
{
  g_autoptr(GError) error = NULL;
  const AfrpcStarted started = afrpc_call_get_started (parcel->call);

  parcel->value = afrpc_call_wait_sync (parcel->call, NULL, &error);
  if (parcel->value != NULL)
    {
      parcel->size = g_variant_get_size (parcel->value);
      sort_answer (self, parcel);
    }
  else if (started == AFRPC_STARTED_NO && g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED))
    {
      self->is_refused = TRUE;
      afrpc_python_rest_add (self, parcel, 0, parcel->n, 0, TRUE);
    }
  else if (started == AFRPC_STARTED_YES && (is_death (error) || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)))
    sort_unanswered (self, parcel, error);
  else
    afrpc_python_items_put_failed (self, parcel, parcel->n_early, parcel->n, started);
}

/* A call has its outcome, or was never made. */
void
afrpc_python_sort (gpointer   data,
                   gpointer   data_parcel,
                   AfrpcCall *call)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonItems *self = data;
  AfrpcPythonParcel *parcel = data_parcel;
  const guint64 n_come = self->n_come;

  parcel->call = call;
  parcel->n_left = 1;
  if (call != NULL && !self->is_abandoned && !parcel->is_chunk)
    {
      parcel->size = afrpc_map_get_size (call);
      afrpc_python_items_put (self, parcel, parcel->number, NULL, afrpc_call_get_started (call));
    }
  else if (call != NULL && !self->is_abandoned)
    sort_chunk (self, parcel);
  g_clear_pointer (&parcel->args, g_variant_unref);
  afrpc_python_inputs_add_size (self, parcel->size, self->n_come - n_come);
  afrpc_python_items_release (self, &(AfrpcPythonOutcome) { .parcel = parcel });
  PyGILState_Release (state);
}

/* The worker goes on with the one that it has begun last, and with no other. */
void
afrpc_python_sort_cut (gpointer   data,
                       gpointer   data_parcel,
                       AfrpcCall *call,
                       guint64    n_begun,
                       GBytes    *saved)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonItems *self = data;
  AfrpcPythonParcel *parcel = data_parcel;
  AfrpcPythonParcel *early;
  const guint64 n_come = self->n_come;

  n_begun = CLAMP (n_begun, 1, parcel->n);
  early = afrpc_python_parcel_new (parcel->number, n_begun, TRUE);
  early->running = g_object_ref (call);
  early->n_left = 1;
  parcel->n_early = put_saved (self, early, saved);
  afrpc_python_inputs_add_size (self, early->size, self->n_come - n_come);
  afrpc_python_items_release (self, &(AfrpcPythonOutcome) { .parcel = early });
  afrpc_python_rest_add (self, parcel, n_begun, parcel->n, 0, FALSE);
  parcel->n = n_begun;
  parcel->is_cut = TRUE;
  self->size = MIN (self->size, n_begun);
  PyGILState_Release (state);
}
