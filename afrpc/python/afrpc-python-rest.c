/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has to be called for again. */
#include "config.h"

#include "afrpc-python-items-private.h"

void
afrpc_python_rest_free (gpointer data)
{
  AfrpcPythonRest *self = data;

  g_variant_unref (self->args);
  g_free (self);
}

/* @bytes: in which the record is. Returns: (transfer full): the arguments that a call by itself has */
GVariant *
afrpc_python_rest_make_single (const AfrpcPythonRecord *record,
                               GBytes                  *bytes)
{
  g_autoptr(GVariant) value = afrpc_python_record_get_packed (record, bytes);

  if (record->kind == AFRPC_PYTHON_RECORD_VALUE)
    return g_variant_ref_sink (g_variant_new_tuple (&value, 1));

  return g_steal_pointer (&value);
}

/* Those from the @from-th one on until before @to are called for again. */
void
afrpc_python_rest_add (AfrpcPythonItems  *self,
                       AfrpcPythonParcel *parcel,
                       guint              from,
                       guint              to,
                       guint              n_deaths,
                       gboolean           is_single)
{
  AfrpcPythonRecord record;
  AfrpcPythonRest *rest;

  if (from >= to)
    return;

  rest = g_new0 (AfrpcPythonRest, 1);
  rest->args = g_variant_ref (parcel->args);
  rest->number = parcel->number + from;
  rest->n = to - from;
  rest->n_deaths = n_deaths;
  rest->is_single = is_single;
  afrpc_python_records_init_args (&rest->records, rest->args);
  for (guint i = 0; i < from; i++)
    afrpc_python_records_next (&rest->records, &record);
  g_queue_push_tail (&self->rest, rest);
}

static void
pull_rest (AfrpcPythonItems *self,
           AfrpcPythonRest  *rest,
           AfrpcMapInput    *input)
{
  const gboolean is_single = rest->is_single || self->is_refused;
  const guint n_max = is_single ? 1 : MIN (self->size, rest->n);
  const guint8 *start = rest->records.next;
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (rest->args);
  AfrpcPythonParcel *parcel;
  AfrpcPythonRecord record;
  guint n;

  for (n = 0; n < n_max && afrpc_python_records_next (&rest->records, &record); n++)
    ;
  parcel = afrpc_python_parcel_new (rest->number, n, !is_single);
  input->args = is_single ? afrpc_python_rest_make_single (&record, bytes) :
                            afrpc_python_chunk_slice (start, rest->records.next - start);
  input->parcel = parcel;
  input->index = rest->number;
  input->n_parts = is_single ? 0 : n;
  input->n_deaths = rest->n_deaths;
  if (!is_single)
    parcel->args = g_variant_ref (input->args);
  rest->n_deaths = 0;
  rest->number += n;
  rest->n -= n;
}

gboolean
afrpc_python_rest_pull (gpointer       data,
                        AfrpcMapInput *input)
{
  AfrpcPythonItems *self = data;
  AfrpcPythonRest *rest = g_queue_peek_head (&self->rest);
  PyGILState_STATE state;

  if (rest == NULL)
    return FALSE;

  state = PyGILState_Ensure ();
  pull_rest (self, rest, input);
  if (rest->n == 0)
    afrpc_python_rest_free (g_queue_pop_head (&self->rest));
  PyGILState_Release (state);

  return TRUE;
}

void
afrpc_python_rest_fail (gpointer      data,
                        const GError *error)
{
  AfrpcPythonItems *self = data;
  PyGILState_STATE state;
  AfrpcPythonRest *rest;

  if (self->rest.length == 0)
    return;

  state = PyGILState_Ensure ();
  while ((rest = g_queue_pop_head (&self->rest)) != NULL)
    {
      AfrpcPythonParcel *parcel = afrpc_python_parcel_new (rest->number, rest->n, TRUE);

      parcel->error = g_error_copy (error);
      parcel->n_left = 1;
      afrpc_python_items_put_failed (self, parcel, 0, parcel->n, rest->n_deaths > 0 ? AFRPC_STARTED_YES : AFRPC_STARTED_NO);
      afrpc_python_items_release (self, &(AfrpcPythonOutcome) { .parcel = parcel });
      afrpc_python_rest_free (rest);
    }
  PyGILState_Release (state);
}
