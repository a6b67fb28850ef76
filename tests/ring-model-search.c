/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ring-model.h"

#include <string.h>

#define STATES_MAX (1u << 25)

static const char *const step_names[N_STEPS] = {
#define STEP(name, text) [name] = text,
  SENDER_STEPS (STEP) TAKER_STEPS (STEP)
#undef STEP
  [S_STORE] = "(what the sender has stored is seen)",
  [T_STORE] = "(what the taker has stored is seen)",
  [SENDER_DIES] = "(the sender dies)",
  [SENDER_DIES_ALONE] = "(the sender dies, and somebody else has its socket)",
  [SENDER_REAPED] = "(the taker is told that the sender is dead)",
  [TAKER_DIES] = "(the taker dies)",
};

typedef struct
{
  guint32 index;
  guint32 successors; /* where they begin */
} ModelFrame;

enum { WHITE, GREY, BLACK };

static guint32
hash (const ModelState *state)
{
  guint64 h = 0, word;

  for (gsize i = 0; i < sizeof *state; i += sizeof word)
    {
      memcpy (&word, (const guint8 *) state + i, sizeof word);
      h = (h ^ word) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
      h ^= h >> 32;
    }

  return h;
}

static void
place (ModelSearch *self,
       guint32      index)
{
  guint32 at = hash (&g_array_index (self->states, ModelState, index)) & (self->table_size - 1);

  while (self->table[at] != 0)
    at = (at + 1) & (self->table_size - 1);
  self->table[at] = index + 1;
}

static void
grow (ModelSearch *self)
{
  g_free (self->table);
  self->table_size *= 2;
  self->table = g_new0 (guint32, self->table_size);
  for (guint32 i = 0; i < self->states->len; i++)
    place (self, i);
}

static guint32
intern (ModelSearch      *self,
        const ModelState *state,
        ModelStep         step)
{
  guint32 at = hash (state) & (self->table_size - 1);
  const guint8 colour = WHITE, step_byte = step;

  for (; self->table[at] != 0; at = (at + 1) & (self->table_size - 1))
    if (memcmp (&g_array_index (self->states, ModelState, self->table[at] - 1), state, sizeof *state) == 0)
      return self->table[at] - 1;

  g_assert_cmpuint (self->states->len, <, STATES_MAX);
  self->table[at] = self->states->len + 1;
  g_array_append_vals (self->states, state, 1);
  g_array_append_val (self->parents, self->current);
  g_byte_array_append (self->steps, &step_byte, 1);
  g_byte_array_append (self->colours, &colour, 1);
  if (self->states->len > self->table_size / 2)
    grow (self);

  return self->states->len - 1;
}

/* From the current state, @step leads to @state. */
void
model_go (ModelSearch      *self,
          ModelStep         step,
          const ModelState *state)
{
  const guint32 index = intern (self, state, step);

  g_array_append_val (self->successors, index);
  self->n_ready++;
  self->n_steps++;
}

/* The same, but nobody may count on it. */
void
model_may_go (ModelSearch      *self,
              ModelStep         step,
              const ModelState *state)
{
  const guint32 n = self->states->len, index = intern (self, state, step);

  if (index == n)
    g_array_append_val (self->waiting, index);
  self->n_steps++;
}

void
model_violate (ModelSearch *self,
               ModelStep    step,
               const char  *what)
{
  if (self->violation != NULL)
    return;

  self->violation = what;
  self->violating = step;
}

/* The memory */

guint8
model_load (const ModelState *state,
            ModelSide         side,
            ModelWord         word)
{
  for (guint i = state->n_stores[side]; i > 0; i--)
    if (state->stores[side][i - 1].word == word)
      return state->stores[side][i - 1].value;

  return state->words[word];
}

gboolean
model_has_buffer (const ModelState *state,
                  ModelSide         side,
                  guint             n)
{
  return state->n_stores[side] + n <= BUFFER_SIZE;
}

void
model_store (ModelState *state,
             ModelSide   side,
             ModelWord   word,
             guint8      value)
{
  state->stores[side][state->n_stores[side]++] = (ModelStore) { word, value };
}

/* Whether a fence, a locked instruction, or the kernel, would have let @side go on. */
gboolean
model_is_seen (const ModelState *state,
               ModelSide         side)
{
  return state->n_stores[side] == 0;
}

static void
see_store (ModelSearch      *self,
           const ModelState *state,
           ModelSide         side)
{
  ModelState next = *state;
  const ModelStep step = side == SENDER ? S_STORE : T_STORE;
  const ModelStore oldest = state->stores[side][0];

  if (state->n_stores[side] == 0)
    return;

  if (oldest.word != RECORD)
    next.words[oldest.word] = oldest.value;
  else if ((guint8) (state->words[TAIL] - state->head) >= self->ring_size)
    model_violate (self, step, "a record that was not taken is written over");
  else
    next.records[state->words[TAIL] % self->ring_size] = oldest.value;

  next.n_stores[side]--;
  memmove (next.stores[side], next.stores[side] + 1, next.n_stores[side] * sizeof (ModelStore));
  next.stores[side][next.n_stores[side]] = (ModelStore) { 0 };
  model_go (self, step, &next);
}

guint
model_count_free (ModelSearch *self,
                  guint8       tail,
                  guint8       head)
{
  return self->ring_size - (guint8) (tail - head);
}

gboolean
model_is_half_free (ModelSearch *self,
                    guint8       tail,
                    guint8       head)
{
  return 2 * model_count_free (self, tail, head) >= self->ring_size;
}

/* What may happen at any time, and nobody may count on. */
static void
die (ModelSearch      *self,
     const ModelState *state)
{
  ModelState next;

  if (model_is_seen (state, SENDER) && state->sender < S_STOPPED)
    {
      next = *state;
      next.sender = S_DEAD;
      next.after = next.owes_bell = next.other_bells_seen = next.n_other_bells = 0;
      if (!self->sends_program)
        model_may_go (self, SENDER_DIES_ALONE, &next);
      next.is_shut = TRUE;
      model_may_go (self, SENDER_DIES, &next);
    }
  if (model_is_seen (state, TAKER) && state->taker != T_DEAD && state->taker != T_EOF)
    {
      next = *state;
      next.taker = T_DEAD;
      model_forget (&next);
      next.n_by_socket = next.bells_before = next.bells_seen = next.how = next.is_readable = next.is_beginning = 0;
      model_may_go (self, TAKER_DIES, &next);
    }
}

/* Nobody goes on: there has to be no reason to. */
static void
check_rest (ModelSearch      *self,
            const ModelState *state)
{
  const ModelStep step = state->taker;

  if (state->taker == T_DEAD || state->taker == T_EOF)
    {
      if (state->sender < S_STOPPED)
        model_violate (self, step, "the sender waits for who does not take any more");
      else if (state->sender == S_CLOSED && state->taker == T_EOF && state->n_received != state->number)
        model_violate (self, step, "what was sent before the end has not come");
      return;
    }

  if (state->n_by_socket == 0 && state->taker != T_PLAIN_POLL && state->words[TAIL] != state->head)
    model_violate (self, step, "the taker sleeps beside what there is");
  else if (state->is_shut)
    model_violate (self, step, "the taker sleeps though nothing more comes");
  else if (state->sender != S_STOPPED)
    model_violate (self, step, "the sender waits for room that there is");
  else if (state->n_received != state->number)
    model_violate (self, step, "a message has not come");
}

static void
expand (ModelSearch *self,
        guint32      index)
{
  const ModelState state = g_array_index (self->states, ModelState, index);

  self->current = index;
  self->n_ready = 0;
  model_step_sender (self, &state);
  model_step_taker (self, &state);
  see_store (self, &state, SENDER);
  see_store (self, &state, TAKER);
  if (state.sender == S_DEAD && !state.is_shut && !state.is_reaped)
    {
      ModelState next = state;

      next.is_reaped = TRUE;
      model_go (self, SENDER_REAPED, &next);
    }
  die (self, &state);
  if (self->n_ready == 0)
    check_rest (self, &state);
}

static void
enter (ModelSearch *self,
       guint32      index)
{
  const ModelFrame frame = { index, self->successors->len };

  self->colours->data[index] = GREY;
  g_array_append_val (self->frames, frame);
  expand (self, index);
}

/* Depth first over what both sides do, so that one which comes back to where it was is seen to go round. */
static void
search_from (ModelSearch *self,
             guint32      root)
{
  enter (self, root);
  while (self->frames->len > 0 && self->violation == NULL)
    {
      const ModelFrame *frame = &g_array_index (self->frames, ModelFrame, self->frames->len - 1);
      guint32 next;

      if (self->successors->len == frame->successors)
        {
          self->colours->data[frame->index] = BLACK;
          g_array_set_size (self->frames, self->frames->len - 1);
          continue;
        }
      next = g_array_index (self->successors, guint32, self->successors->len - 1);
      g_array_set_size (self->successors, self->successors->len - 1);
      if (self->colours->data[next] == WHITE)
        enter (self, next);
      else if (self->colours->data[next] == GREY)
        {
          self->current = frame->index;
          model_violate (self, self->steps->data[next], "this goes round");
        }
    }
}

void
model_search_init (ModelSearch  *self,
                   gboolean      sends_program,
                   ModelLeftOut  left_out,
                   gboolean      is_large)
{
  const ModelState first = { .sender = S_TOP, .taker = T_PLAIN_POLL };
  guint32 index;

  *self = (ModelSearch) {
    .sends_program = sends_program,
    .left_out = left_out,
    .ring_size = is_large ? RING_SIZE_MAX : RING_SIZE_MAX - 1,
    .n_messages = is_large ? N_MESSAGES_MAX : N_MESSAGES_MAX - 1,
    .states = g_array_new (FALSE, FALSE, sizeof (ModelState)),
    .parents = g_array_new (FALSE, FALSE, sizeof (guint32)),
    .steps = g_byte_array_new (),
    .colours = g_byte_array_new (),
    .table_size = 1 << 12,
    .waiting = g_array_new (FALSE, FALSE, sizeof (guint32)),
    .successors = g_array_new (FALSE, FALSE, sizeof (guint32)),
    .frames = g_array_new (FALSE, FALSE, sizeof (ModelFrame)),
  };
  self->table = g_new0 (guint32, self->table_size);
  index = intern (self, &first, S_TOP);
  g_array_append_val (self->waiting, index);
}

void
model_search_clear (ModelSearch *self)
{
  g_array_unref (self->states);
  g_array_unref (self->parents);
  g_byte_array_unref (self->steps);
  g_byte_array_unref (self->colours);
  g_free (self->table);
  g_array_unref (self->waiting);
  g_array_unref (self->successors);
  g_array_unref (self->frames);
}

void
model_search_run (ModelSearch *self)
{
  while (self->waiting->len > 0 && self->violation == NULL)
    {
      const guint32 root = g_array_index (self->waiting, guint32, self->waiting->len - 1);

      g_array_set_size (self->waiting, self->waiting->len - 1);
      if (self->colours->data[root] == WHITE)
        search_from (self, root);
    }
}

/* How it comes to the violation. */
void
model_tell (ModelSearch *self)
{
  g_autoptr(GArray) path = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint32 at = self->current; at != 0; at = g_array_index (self->parents, guint32, at))
    g_array_append_val (path, at);
  for (guint i = path->len; i > 0; i--)
    g_print ("%s\n", step_names[self->steps->data[g_array_index (path, guint32, i - 1)]]);
  g_print ("%s\n%s\n", step_names[self->violating], self->violation);
}
