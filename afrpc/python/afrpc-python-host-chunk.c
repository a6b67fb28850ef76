/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many calls that have come in one, in a sync worker. Each of them is as it would be by itself: what it raises is its own
 * error, before each the program learns that it begins, and its outcome is saved as soon as it is there, should the process
 * end before all are answered. */
#include "config.h"

#include "afrpc-python-chunk.h"
#include "afrpc-python-worker.h"

#define TIME_MAX_US 10000 /* after that the rest goes back, for whoever has time */
#define FEW_ARGS 16       /* arguments of a call that need no memory of their own */

/* Many calls that are being made. */
typedef struct
{
  PyObject *function;
  GVariant *args;
  AfrpcWorker *worker;
  AfrpcPythonPacker *answer;
  gsize sendable;           /* bytes: less than that can always be sent */
} Chunk;

static gboolean is_to_end;

/* The call that is made now is the last one of those that came with it. */
void
afrpc_python_host_end_chunk (void)
{
  is_to_end = TRUE;
}

/* Returns: (nullable): what the function returns; NULL with an exception */
static PyObject *
call_with (const Chunk             *self,
           const AfrpcPythonRecord *record,
           const AfrpcLayout       *layout)
{
  PyObject *hooks = afrpc_python_host_hooks;
  AfrpcPythonReader reader = { .value = self->args, .hooks = hooks != Py_None ? hooks : NULL };
  const gboolean are_many = record->kind == AFRPC_PYTHON_RECORD_ARGS;
  const Py_ssize_t n = are_many ? afrpc_python_count_members (layout) : 1;
  PyObject *few[FEW_ARGS + 1] = { NULL };
  g_autofree PyObject **many = n > FEW_ARGS ? g_new0 (PyObject *, n + 1) : NULL;
  PyObject **objects = (many != NULL ? many : few) + 1;
  PyObject *result = NULL;
  gboolean ok;

  /* What hooks do may change which there are. */
  Py_XINCREF (hooks);
  if (are_many)
    ok = afrpc_python_read_members (&reader, layout, record->data, record->size, objects);
  else
    ok = (objects[0] = afrpc_python_read_value (&reader, layout, record->data, record->size)) != NULL;
  Py_XDECREF (hooks);
  if (ok)
    result = afrpc_python_host_vectorcall (self->function, objects, n);
  for (Py_ssize_t i = 0; i < n; i++)
    Py_XDECREF (objects[i]);

  return result;
}

/* The exception that is set is the outcome. Does not return if it ends the process. */
static gboolean
add_error (const Chunk     *self,
           GError          *error, /* (transfer full) (nullable) */
           AfrpcPythonMark *mark)
{
  g_autoptr(GVariant) value = NULL;

  if (error == NULL)
    {
      afrpc_python_host_check_exit ();
      error = afrpc_python_host_take_error (-1, "");
    }
  value = g_variant_ref_sink (g_variant_new ("(sis)", g_quark_to_string (error->domain), error->code, error->message));
  g_error_free (error);
  if (g_variant_get_size (value) >= self->sendable &&
      !afrpc_worker_check_result (self->worker, strlen ("(sis)"), g_variant_get_size (value), NULL))
    {
      g_variant_unref (value);
      value = g_variant_ref_sink (g_variant_new ("(sis)", g_quark_to_string (AFRPC_ERROR), AFRPC_ERROR_TOO_LARGE,
                                                 "the error's message is too large"));
    }

  return afrpc_python_chunk_add_variant (self->answer, value, AFRPC_PYTHON_RECORD_ERROR, mark);
}

/* Whether a result could be sent by itself: with those before it, which were saved, it can then. */
static gboolean
check_size (const Chunk            *self,
            const AfrpcPythonMark  *mark,
            GError                **error)
{
  AfrpcPythonRecord record;

  if (G_LIKELY (self->answer->size - mark->size < self->sendable))
    return TRUE;

  afrpc_python_record_read (self->answer->data + mark->size, &record);

  return afrpc_worker_check_result (self->worker, record.type_length, record.size, error);
}

static void
use_hooks (AfrpcPythonPacker *answer)
{
  PyObject *hooks = afrpc_python_host_hooks != Py_None ? afrpc_python_host_hooks : NULL;

  if (G_UNLIKELY (answer->hooks != hooks))
    Py_XSETREF (answer->hooks, Py_XNewRef (hooks));
}

/* Makes a call. FALSE: its outcome cannot be written, with an exception. */
static gboolean
run (const Chunk             *self,
     const AfrpcPythonRecord *record,
     const AfrpcLayout       *layout, /* (nullable): it is malformed */
     AfrpcPythonMark         *mark)
{
  PyObject *result = layout != NULL ? call_with (self, record, layout) : afrpc_python_read_malformed ();
  GError *error = NULL;
  gboolean ok;

  if (result == NULL)
    return add_error (self, NULL, mark);

  use_hooks (self->answer);
  ok = afrpc_python_chunk_add (self->answer, result, AFRPC_PYTHON_RECORD_VALUE, mark);
  Py_DECREF (result);
  if (!ok)
    return add_error (self, NULL, mark);
  if (check_size (self, mark, &error))
    return TRUE;

  afrpc_python_chunk_undo (self->answer, mark);

  return add_error (self, error, mark);
}

/* Calls the function for each, until it is time to answer. Returns: (transfer full) (nullable): NULL with an exception */
GVariant *
afrpc_python_host_run_chunk (PyObject    *function,
                             GVariant    *args,
                             AfrpcWorker *worker)
{
  const gint64 begun_at = g_get_monotonic_time ();
  const gboolean is_small_sendable = afrpc_worker_check_result (worker, 1, AFRPC_PYTHON_CHUNK_SIZE_MAX, NULL);
  const Chunk self = {
    .function = function, .args = args, .worker = worker,
    .answer = afrpc_python_chunk_begin_answer (afrpc_python_host_hooks),
    .sendable = is_small_sendable ? AFRPC_PYTHON_CHUNK_SIZE_MAX : 0,
  };
  AfrpcPythonType type = { 0 };
  AfrpcPythonRecords records;
  AfrpcPythonRecord record;
  gint64 elapsed = 0;

  is_to_end = FALSE;
  afrpc_python_records_init_args (&records, args);
  while (!is_to_end && elapsed < TIME_MAX_US && afrpc_python_records_next (&records, &record))
    {
      const AfrpcLayout *layout = afrpc_python_type_get (&type, record.type, record.type_length);
      AfrpcPythonMark mark;

      afrpc_python_host_check_signals ();
      if (!afrpc_worker_begin_part (worker))
        break;
      if (!run (&self, &record, layout, &mark) ||
          !afrpc_worker_save (worker, self.answer->data + mark.size, self.answer->size - mark.size))
        break;
      elapsed = g_get_monotonic_time () - begun_at;
    }
  afrpc_python_type_clear (&type);

  return afrpc_python_chunk_end_answer (self.answer, g_get_monotonic_time () - begun_at);
}
