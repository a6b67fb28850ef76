/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-python-items-private.h"

/* Life */

/* Returns: (nullable): NULL with an exception */
AfrpcPythonItems *
afrpc_python_items_new (const AfrpcPythonItemsConfig *config)
{
  PyObject *iterator = PyObject_GetIter (config->iterable);
  AfrpcPythonItems *self;

  if (iterator == NULL)
    return NULL;

  self = g_new0 (AfrpcPythonItems, 1);
  self->ref_count = 1;
  self->config = *config;
  self->config.iterable = NULL;
  self->iterator = iterator;
  Py_INCREF (self->config.signature);
  Py_INCREF (self->config.hooks);
  self->size = 1;

  return self;
}

/* Returns: what values are converted with: None, or more */
PyObject *
afrpc_python_items_get_hooks (const AfrpcPythonItems *self)
{
  return self->config.hooks;
}

AfrpcPythonItems *
afrpc_python_items_ref (AfrpcPythonItems *self)
{
  self->ref_count++;

  return self;
}

/* What it has, it has by itself: a map that still has work under way has it through this one. While an input is asked for,
 * there is another reference to the iterator. */
int
afrpc_python_items_traverse (AfrpcPythonItems *self,
                             visitproc         visit,
                             void             *arg)
{
  Py_VISIT (self->iterator);
  Py_VISIT (self->config.hooks);
  Py_VISIT (self->type);
  Py_VISIT (self->exception);
  Py_VISIT (self->traceback);

  return 0;
}

/* There are no more inputs, and nobody asks what was raised instead of one. */
void
afrpc_python_items_clear (AfrpcPythonItems *self)
{
  self->is_over = TRUE;
  Py_CLEAR (self->iterator);
  Py_SETREF (self->config.hooks, Py_NewRef (Py_None));
  Py_CLEAR (self->type);
  Py_CLEAR (self->exception);
  Py_CLEAR (self->traceback);
}

/* Nobody takes outcomes any more. */
void
afrpc_python_items_abandon (AfrpcPythonItems *self)
{
  g_autofree AfrpcPythonOutcome *outcomes = g_steal_pointer (&self->outcomes);

  self->is_abandoned = TRUE;
  for (guint i = 0; outcomes != NULL && i < self->n_outcomes; i++)
    if (outcomes[i].parcel != NULL)
      afrpc_python_items_release (self, &outcomes[i]);
  self->n_outcomes = 0;
}

void
afrpc_python_items_unref (AfrpcPythonItems *self)
{
  if (--self->ref_count > 0)
    return;

  afrpc_python_items_abandon (self);
  g_queue_clear_full (&self->rest, afrpc_python_rest_free);
  g_clear_pointer (&self->held, g_bytes_unref);
  Py_CLEAR (self->iterator);
  Py_CLEAR (self->config.signature);
  Py_CLEAR (self->config.hooks);
  Py_CLEAR (self->type);
  Py_CLEAR (self->exception);
  Py_CLEAR (self->traceback);
  g_free (self);
}

/* Outcomes */

/* Room for as many as may be pulled, and not taken. */
static void
grow (AfrpcPythonItems *self)
{
  const guint n = MAX (2 * self->n_outcomes, 64);
  AfrpcPythonOutcome *outcomes = g_new0 (AfrpcPythonOutcome, n);

  for (guint64 i = self->n_taken; i < self->n_taken + self->n_outcomes; i++)
    outcomes[i % n] = self->outcomes[i % self->n_outcomes];
  g_free (self->outcomes);
  self->outcomes = outcomes;
  self->n_outcomes = n;
}

/* One has its outcome, @record (nullable) or that of the call. */
void
afrpc_python_items_put (AfrpcPythonItems  *self,
                        AfrpcPythonParcel *parcel,
                        guint64            number,
                        const guint8      *record,
                        AfrpcStarted       started)
{
  const guint64 place = self->config.is_ordered ? number : self->n_come;

  self->n_come++;
  if (self->is_abandoned)
    return;
  while (place - self->n_taken >= self->n_outcomes)
    grow (self);
  self->outcomes[place % self->n_outcomes] = (AfrpcPythonOutcome) { parcel, record, started };
  parcel->n_left++;
}

/* From the @from-th one on until before @to. */
void
afrpc_python_items_put_failed (AfrpcPythonItems  *self,
                               AfrpcPythonParcel *parcel,
                               guint              from,
                               guint              to,
                               AfrpcStarted       started)
{
  for (guint i = from; i < to; i++)
    afrpc_python_items_put (self, parcel, parcel->number + i, NULL, started);
}

static gboolean
has_news_cb (gpointer data)
{
  return afrpc_python_items_has_next (data);
}

static void
free_cb (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();

  afrpc_python_items_unref (data);
  PyGILState_Release (state);
}

const AfrpcMapFuncs afrpc_python_items_funcs = {
  afrpc_python_inputs_pull, afrpc_python_inputs_forget, afrpc_python_sort, afrpc_python_sort_cut, afrpc_python_rest_pull,
  afrpc_python_rest_fail, has_news_cb, free_cb,
};

/* Taking */

gboolean
afrpc_python_items_has_next (const AfrpcPythonItems *self)
{
  return self->n_outcomes > 0 && self->outcomes[self->n_taken % self->n_outcomes].parcel != NULL;
}

/* Whether all that there are have been taken. */
gboolean
afrpc_python_items_are_over (const AfrpcPythonItems *self)
{
  return self->is_over && self->n_taken == self->n_pulled;
}

/* Raises what was raised instead of another input, once. FALSE: there is nothing. */
gboolean
afrpc_python_items_raise (AfrpcPythonItems *self)
{
  if (self->type == NULL)
    return FALSE;

  PyErr_Restore (g_steal_pointer (&self->type), g_steal_pointer (&self->exception), g_steal_pointer (&self->traceback));

  return TRUE;
}

/* FALSE: there is none yet, or no more. Otherwise it has to be released. */
gboolean
afrpc_python_items_take (AfrpcPythonItems   *self,
                         AfrpcPythonOutcome *outcome)
{
  AfrpcPythonOutcome *place;

  if (!afrpc_python_items_has_next (self))
    return FALSE;

  place = &self->outcomes[self->n_taken++ % self->n_outcomes];
  *outcome = *place;
  place->parcel = NULL;

  return TRUE;
}

/* It is done with. Returns: whether all that has come with it is */
gboolean
afrpc_python_items_release (AfrpcPythonItems   *self,
                            AfrpcPythonOutcome *outcome)
{
  AfrpcPythonParcel *parcel = g_steal_pointer (&outcome->parcel);

  if (--parcel->n_left > 0)
    return FALSE;

  self->sizes.untaken -= parcel->size;
  afrpc_python_parcel_free (parcel);

  return TRUE;
}
