/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Inputs, which are pulled from an iterator, one by one or as many as keep a worker busy for a while. */
#include "config.h"

#include "afrpc-python-items-private.h"

#define CHUNK_US 4000.0       /* so long a worker is to be busy with one chunk */
#define GROWTH_MAX 8u         /* times as many as before */
#define CHUNKS_AT_END 3u      /* for each worker, of what is left */
#define CHUNKS_UNDER_WAY 2u   /* for each call that a worker may have */
#define PULL_US 1000          /* what is there by then is called for */
#define ANSWER_SIZE_MAX 49152 /* bytes: not all that a worker can save */
#define UNTAKEN_SIZE_MAX (64u << 20) /* bytes of outcomes: beyond that, nothing is pulled before some are taken */

/* There are no more, or there is an exception, which is kept for the end. */
static void
end (AfrpcPythonItems *self)
{
  self->is_over = TRUE;
  if (self->type != NULL)
    PyErr_Clear ();
  else if (PyErr_Occurred ())
    PyErr_Fetch (&self->type, &self->exception, &self->traceback);
  Py_CLEAR (self->iterator);
}

/* The same with an exception, which says at which of them that was. */
static void
end_at (AfrpcPythonItems *self,
        guint64           number)
{
  PyObject *type, *value, *traceback, *result;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  result = PyObject_CallMethod (value, "add_note", "N", PyUnicode_FromFormat ("of element %llu of what is mapped",
                                                                              (unsigned long long) number));
  if (result == NULL)
    PyErr_Clear ();
  Py_XDECREF (result);
  PyErr_Restore (type, value, traceback);
  end (self);
}

/* Returns: (nullable): the next input, as what is to be packed; NULL: it is over */
static PyObject *
get_next (AfrpcPythonItems *self,
          guint64           number)
{
  PyObject *iterator = Py_NewRef (self->iterator);
  PyObject *input = PyIter_Next (iterator);

  /* What it is asked for may have everything given up. */
  Py_DECREF (iterator);
  if (input != NULL && self->config.is_star && !PyTuple_CheckExact (input))
    Py_SETREF (input, PySequence_Tuple (input));
  if (input == NULL && PyErr_Occurred ())
    end_at (self, number);
  else if (input == NULL)
    end (self);

  return input;
}

static AfrpcMapPulled
pull_single (AfrpcPythonItems *self,
             AfrpcMapInput    *input)
{
  PyObject *object = get_next (self, self->n_pulled);
  PyObject *args = object;

  if (object == NULL)
    return AFRPC_MAP_END;

  if (!self->config.is_star)
    args = PyTuple_Pack (1, object);
  if (args != NULL)
    input->args = afrpc_python_pack_call (args, self->config.signature, self->config.hooks);
  if (args != object)
    Py_XDECREF (args);
  Py_DECREF (object);
  if (input->args == NULL)
    {
      end_at (self, self->n_pulled);
      return AFRPC_MAP_END;
    }

  input->index = self->n_pulled++;
  input->parcel = afrpc_python_parcel_new (input->index, 1, FALSE);

  return AFRPC_MAP_PULLED;
}

/* What was held is called for by itself. */
static AfrpcMapPulled
pull_held (AfrpcPythonItems *self,
           AfrpcMapInput    *input)
{
  g_autoptr(GBytes) held = g_steal_pointer (&self->held);
  AfrpcPythonRecord record;

  afrpc_python_record_read (g_bytes_get_data (held, NULL), &record);
  input->args = afrpc_python_rest_make_single (&record, held);
  input->index = self->n_pulled++;
  input->parcel = afrpc_python_parcel_new (input->index, 1, FALSE);

  return AFRPC_MAP_PULLED;
}

/* What was held is the first one. FALSE: it is too large for that, or there is none. */
static gboolean
add_held (AfrpcPythonItems  *self,
          AfrpcPythonPacker *packer,
          guint64            size_max)
{
  gsize size;
  const void *data;

  if (self->held == NULL)
    return FALSE;
  data = g_bytes_get_data (self->held, &size);
  if (afrpc_python_chunk_measure_args (size) > size_max || !afrpc_python_packer_reserve (packer, size))
    return FALSE;

  afrpc_python_packer_add (packer, data, size);
  g_clear_pointer (&self->held, g_bytes_unref);

  return TRUE;
}

/* Adds an input, or holds it, if there is no room for it. FALSE: it cannot be sent, with an exception. */
static gboolean
add_input (AfrpcPythonItems  *self,
           AfrpcPythonPacker *packer,
           PyObject          *input,
           gsize              start, /* of the records */
           guint64            size_max)
{
  const AfrpcPythonRecordKind kind = self->config.is_star ? AFRPC_PYTHON_RECORD_ARGS : AFRPC_PYTHON_RECORD_VALUE;
  AfrpcPythonMark mark;

  if (!afrpc_python_chunk_add (packer, input, kind, &mark))
    return FALSE;
  if (G_UNLIKELY (afrpc_python_chunk_measure_args (packer->size - start) > size_max))
    {
      const gsize size = packer->size - mark.size;
      guint8 *data = g_try_malloc (size);

      if (data != NULL)
        self->held = g_bytes_new_take (memcpy (data, packer->data + mark.size, size), size);
      else
        PyErr_NoMemory ();
      afrpc_python_chunk_undo (packer, &mark);

      return data != NULL;
    }

  return TRUE;
}

/* What cannot be sent ends the inputs, after those before it. */
static AfrpcMapPulled
pull_chunk (AfrpcPythonItems *self,
            guint             n_max,
            guint64           size_max,
            AfrpcMapInput    *input)
{
  const gint64 begun_at = g_get_monotonic_time ();
  AfrpcPythonPacker *packer = afrpc_python_chunk_begin_args (self->config.hooks);
  const gsize start = packer->size;
  AfrpcPythonParcel *parcel;
  GVariant *args;
  guint n = add_held (self, packer, size_max) ? 1 : 0;

  while (n < n_max && self->iterator != NULL && self->held == NULL && packer->size < AFRPC_PYTHON_CHUNK_SIZE_MAX &&
         !input->is_urgent)
    {
      PyObject *object = get_next (self, self->n_pulled + n);

      if (object == NULL)
        break;
      if (!add_input (self, packer, object, start, size_max))
        end_at (self, self->n_pulled + n);
      else if (self->held == NULL)
        n++;
      Py_DECREF (object);
      if (n_max > 1)
        input->is_urgent = g_get_monotonic_time () - begun_at > PULL_US;
    }
  args = afrpc_python_chunk_end_args (packer);
  if (args == NULL)
    end (self);
  if (n == 0 || args == NULL)
    {
      g_clear_pointer (&args, g_variant_unref);
      return self->held != NULL ? pull_held (self, input) : AFRPC_MAP_END;
    }

  parcel = afrpc_python_parcel_new (self->n_pulled, n, TRUE);
  parcel->args = g_variant_ref (args);
  self->n_pulled += n;
  input->args = args;
  input->parcel = parcel;
  input->index = parcel->number;
  input->n_parts = n;

  return AFRPC_MAP_PULLED;
}

/* How many there are to come, as far as the iterator says. */
static guint64
get_n_left (AfrpcPythonItems *self)
{
  PyObject *iterator = Py_NewRef (self->iterator);
  const Py_ssize_t n = PyObject_LengthHint (iterator, PY_SSIZE_T_MAX);

  Py_DECREF (iterator);
  if (n < 0 && PyErr_ExceptionMatches (PyExc_Exception))
    PyErr_Clear ();
  else if (n < 0)
    end (self);

  return n >= 0 ? n : PY_SSIZE_T_MAX;
}

/* Nobody is to wait for who has more, and there is to be something for all who have time. */
static guint
choose_size (AfrpcPythonItems   *self,
             const AfrpcMapRoom *room)
{
  const guint64 n_workers = room->n_workers;
  guint64 size = MIN (self->size, room->window_max / (CHUNKS_UNDER_WAY * n_workers * room->load));

  if (size > 1)
    size = MIN (size, get_n_left (self) / (CHUNKS_AT_END * n_workers) + 1);

  return MAX (size, 1);
}

/* Whether there are so many outcomes that nothing more is pulled before some are taken; or are going to be, with those that
 * are under way, as large as others were. But until there are, no worker is to wait. */
static gboolean
is_full (AfrpcPythonItems *self,
         guint64           n_at_once)
{
  const AfrpcPythonSizes *sizes = &self->sizes;
  const guint64 n_under_way = self->n_pulled - self->n_come;

  if (sizes->untaken >= UNTAKEN_SIZE_MAX)
    return TRUE;
  if (n_under_way < n_at_once)
    return FALSE;

  return sizes->each == 0 || n_under_way >= (UNTAKEN_SIZE_MAX - sizes->untaken) / sizes->each;
}

static AfrpcMapPulled
pull (AfrpcPythonItems   *self,
      const AfrpcMapRoom *room,
      AfrpcMapInput      *input)
{
  const guint64 n = self->n_pulled - self->n_taken;
  const gboolean may_chunk = room->may_parcel && self->config.may_chunk && !self->is_refused;
  guint64 window = room->window;
  guint size = 1;

  self->max_repeats = room->max_repeats;
  if (may_chunk && self->iterator != NULL)
    {
      size = choose_size (self, room);
      window = MIN (window * size, room->window_max);
    }
  if (self->iterator == NULL && self->held == NULL)
    return AFRPC_MAP_END;
  if (n >= window || is_full (self, (guint64) room->n_at_once * size))
    return AFRPC_MAP_NOT_NOW;
  /* It is going to have more room soon. */
  if (window - n < size && n > window / 2)
    return AFRPC_MAP_NOT_NOW;

  if (may_chunk)
    return pull_chunk (self, MIN (size, window - n), room->max_message_size, input);

  return self->held != NULL ? pull_held (self, input) : pull_single (self, input);
}

AfrpcMapPulled
afrpc_python_inputs_pull (gpointer            data,
                          const AfrpcMapRoom *room,
                          AfrpcMapInput      *input)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonItems *self = afrpc_python_items_ref (data);
  const AfrpcMapPulled pulled = pull (self, room, input);

  afrpc_python_items_unref (self);
  PyGILState_Release (state);

  return pulled;
}

void
afrpc_python_inputs_forget (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  AfrpcPythonItems *self = data;

  Py_CLEAR (self->iterator);
  g_clear_pointer (&self->held, g_bytes_unref);
  PyGILState_Release (state);
}

/* The outcomes of @n have come, and have so many bytes together. Large ones are remembered for longer. */
void
afrpc_python_inputs_add_size (AfrpcPythonItems *self,
                              gsize             size,
                              guint64           n)
{
  AfrpcPythonSizes *sizes = &self->sizes;

  sizes->untaken += size;
  if (n > 0)
    sizes->each = MAX (MAX (size / n, sizes->each - sizes->each / 8), 1);
}

/* A worker has made @n of them, in so much time: sees how many the next one should have. */
void
afrpc_python_inputs_measure (AfrpcPythonItems        *self,
                             const AfrpcPythonParcel *parcel,
                             guint                    n,
                             guint64                  elapsed_us)
{
  const double each_us = MAX ((double) elapsed_us / MAX (n, 1), 0.01);
  double ideal;

  if (n == 0)
    return;

  self->each_us = self->each_us == 0 || each_us > self->each_us ? each_us : (3 * self->each_us + each_us) / 4;
  ideal = MIN (CHUNK_US / self->each_us, (double) ANSWER_SIZE_MAX * n / MAX (parcel->size, 1));
  ideal = CLAMP (ideal, 1, G_MAXINT);
  self->size = ideal > self->size ? MIN ((guint) ideal, MAX (self->size, GROWTH_MAX * n)) : (guint) ideal;
}
