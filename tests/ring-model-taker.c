/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ring-model.h"

#include <string.h>

static gboolean
is_at_end (const ModelState *state)
{
  return state->n_socket == 0 && state->is_shut;
}

/* A message, or a byte of one that has more, is there. */
static gboolean
receive (ModelSearch *self,
         ModelState  *next,
         ModelStep    step,
         guint8       number,
         guint        n_left)
{
  if (number != next->n_received + 1)
    {
      model_violate (self, step, number == BELL ? "a bell is taken for a message"
                                                : "a message is lost, doubled, or in another order");
      return FALSE;
    }
  if (n_left == 0)
    next->n_received++;

  return TRUE;
}

static guint8
pop (ModelState *next)
{
  const guint8 byte = next->socket[0];

  next->n_socket--;
  memmove (next->socket, next->socket + 1, next->n_socket);
  next->socket[next->n_socket] = 0;

  return byte;
}

/* afrpc_ring_take_bells (). FALSE: violated */
static gboolean
pop_bells (ModelSearch *self,
           ModelState  *next,
           ModelStep    step,
           guint8       n_sent)
{
  const guint n = MIN ((guint8) (n_sent - next->bells_seen), next->n_socket);

  next->received = n > 0 ? RECEIVED_SOMETHING : is_at_end (next) ? RECEIVED_EOF : RECEIVED_AGAIN;
  for (guint i = 0; i < n; i++)
    if (pop (next) != BELL)
      {
        model_violate (self, step, "something else is taken for a bell");
        return FALSE;
      }
  next->bells_seen += n;

  return TRUE;
}

/* What the functions that read have known. */
void
model_forget (ModelState *next)
{
  next->n_bells = next->is_drained = next->is_rung = next->received = 0;
}

/* wait_readable (), or may_wait () and a main loop that polls. */
static void
begin_wait (ModelSearch *self,
            ModelState  *next)
{
  model_forget (next);
  next->how = next->n_by_socket > 0 ? AWAKE : self->sends_program ? ON_FUTEX : ON_SOCKET;
  next->taker = next->n_by_socket > 0 ? T_POLL : T_WAIT;
}

/* read () has returned DONE: a program may look what else there is to do. */
static void
done (ModelSearch *self,
      ModelState  *next,
      ModelStep    step)
{
  model_forget (next);
  next->taker = T_READ;
  model_go (self, step, next);
  if (self->sends_program)
    return;
  begin_wait (self, next);
  model_go (self, step, next);
}

/* what_is_missing () */
static void
miss (ModelSearch *self,
      ModelState  *next,
      ModelStep    step)
{
  const gboolean is_open = next->received == RECEIVED_AGAIN && !next->is_reaped;

  if (is_open)
    begin_wait (self, next);
  else
    {
      model_forget (next);
      next->taker = T_EOF;
      if (!next->is_shut && next->sender != S_DEAD)
        model_violate (self, step, "the end is told before it is there");
      else if (next->n_by_socket > 0 ? next->n_announced == 0 : next->words[TAIL] != next->head)
        model_violate (self, step, "the end is told before what was sent");
    }
  model_go (self, step, next);
}

static void
take_plain (ModelSearch      *self,
            const ModelState *state)
{
  ModelState next = *state;

  if (state->taker == T_PLAIN_POLL)
    {
      if (state->n_socket == 0 && !state->is_shut && !state->is_reaped)
        return;
      next.taker = T_PLAIN;
      model_go (self, T_PLAIN_POLL, &next);
      return;
    }

  if (state->n_socket == 0)
    {
      next.taker = state->is_shut || state->is_reaped ? T_EOF : T_PLAIN_POLL;
      model_go (self, T_PLAIN, &next);
      return;
    }
  while (next.n_socket > 0)
    {
      const guint8 byte = pop (&next);

      if (next.taker == T_BEGIN)
        {
          model_violate (self, T_PLAIN, "something came behind what says that the ring is next");
          return;
        }
      if (byte == SWITCH_OVER)
        next.taker = T_BEGIN;
      else if (!receive (self, &next, T_PLAIN, byte, 0))
        return;
      model_go (self, T_PLAIN, &next);
    }
}

static void
take_begin (ModelSearch      *self,
            const ModelState *state)
{
  ModelState next = *state;

  if (state->taker == T_BEGIN)
    {
      if (!model_has_buffer (state, TAKER, 1))
        return;
      model_store (&next, TAKER, IS_TAKEN, TRUE);
      next.is_beginning = TRUE;
      next.taker = self->left_out == BEGIN_WAKE ? T_READ : T_BEGIN_WAKE;
    }
  else
    {
      if (!model_is_seen (state, TAKER))
        return;
      next.taker = model_load (state, TAKER, ROOM_SLEEP) == AWAKE ? T_READ : T_EXCHANGE;
    }
  model_go (self, state->taker, &next);
}

/* Where look_at_socket () begins: a worker is told what it has to know. */
static ModelStep
look (ModelSearch      *self,
      const ModelState *state)
{
  return self->sends_program && state->bells_seen == state->n_bells && !state->is_readable ? T_CLOSED : T_LOOK;
}

/* Up to as many records as the reader has room for. */
static void
take_records (ModelSearch      *self,
              const ModelState *state)
{
  const guint8 tail = model_load (state, TAKER, TAIL);
  ModelState next = *state;
  guint n_taken = 0;

  if (!model_has_buffer (state, TAKER, 1))
    return;

  if (state->head == tail)
    {
      next.taker = look (self, state);
      model_go (self, T_TAKE, &next);
      return;
    }

  while (next.head != tail && next.n_by_socket == 0)
    {
      const guint8 record = next.records[next.head % self->ring_size];
      ModelState taken;

      next.head++;
      if ((record & BY_SOCKET) != 0)
        {
          next.n_by_socket = LARGE_SIZE;
          next.bells_before = BELLS_OF (record);
          if (NUMBER (record) != next.n_received + 1)
            {
              model_violate (self, T_TAKE, "what comes by the socket is not the next");
              return;
            }
        }
      else if (!receive (self, &next, T_TAKE, record, 0))
        return;
      else
        n_taken++;

      /* The reader has no room for more. */
      if (next.head != tail && next.n_by_socket == 0)
        {
          taken = next;
          model_store (&taken, TAKER, HEAD, taken.head);
          taken.taker = T_TOLD;
          model_go (self, T_TAKE, &taken);
        }
    }

  model_store (&next, TAKER, HEAD, next.head);
  next.is_drained = next.head == tail && next.n_by_socket == 0;
  next.taker = T_TOLD;
  if (n_taken == 0)
    {
      model_forget (&next);
      next.taker = T_BEFORE;
    }
  model_go (self, T_TAKE, &next);
}

static void
go_after_told (ModelSearch *self,
               ModelState  *next,
               ModelStep    step)
{
  if (next->is_beginning)
    {
      next->taker = T_READ;
      model_go (self, step, next);
    }
  else if (next->bells_seen != next->n_bells && (next->is_drained || self->left_out == DRAINED))
    {
      next->taker = T_TAKE_BELLS;
      model_go (self, step, next);
    }
  else
    done (self, next, step);
}

static void
take_told (ModelSearch      *self,
           const ModelState *state)
{
  const ModelStep step = state->taker;
  ModelState next = *state;

  if (step == T_TOLD && self->left_out == TOLD)
    {
      go_after_told (self, &next, step);
      return;
    }
  if (step != T_TOLD_LOOK && !model_is_seen (state, TAKER) && !(step == T_TOLD && self->left_out == TOLD_FENCE))
    return;

  switch (step)
    {
    case T_TOLD:
      if (model_load (state, TAKER, ROOM_SLEEP) == AWAKE)
        {
          go_after_told (self, &next, step);
          return;
        }
      next.taker = T_TOLD_LOOK;
      break;

    case T_TOLD_LOOK:
      if (!model_is_half_free (self, model_load (state, TAKER, TAIL), state->head))
        {
          go_after_told (self, &next, step);
          return;
        }
      next.taker = T_ROOM;
      break;

    case T_ROOM:
      if (model_load (state, TAKER, ROOM_SLEEP) == AWAKE)
        {
          go_after_told (self, &next, step);
          return;
        }
      next.taker = T_EXCHANGE;
      break;

    case T_EXCHANGE:
      next.words[ROOM_SLEEP] = AWAKE;
      if (state->words[ROOM_SLEEP] == AWAKE)
        {
          go_after_told (self, &next, step);
          return;
        }
      next.taker = state->words[ROOM_SLEEP] == ON_FUTEX ? T_FUTEX : T_BELL_COUNT;
      break;

    case T_FUTEX:
      if (state->sender == S_NAPS)
        next.sender = S_HUP;
      go_after_told (self, &next, step);
      return;

    case T_BELL_COUNT:
      next.words[OTHER_BELLS] = ++next.other_bells_sent;
      next.taker = T_BELL;
      break;

    default:
      next.n_other_socket++;
      go_after_told (self, &next, step);
      return;
    }
  model_go (self, step, &next);
}

static void
take_announced (ModelSearch      *self,
                const ModelState *state)
{
  ModelState next = *state;

  if (!model_is_seen (state, TAKER))
    return;

  if (state->taker == T_BEFORE)
    {
      if (state->bells_seen == state->bells_before || self->left_out == BELLS_BEFORE)
        next.taker = T_ANNOUNCED;
      else if (!pop_bells (self, &next, T_BEFORE, state->bells_before))
        return;
      else if (next.received != RECEIVED_SOMETHING || next.bells_seen != next.bells_before)
        {
          if (next.received == RECEIVED_SOMETHING)
            next.received = RECEIVED_AGAIN;
          miss (self, &next, T_BEFORE);
          return;
        }
      else
        {
          next.received = 0;
          next.taker = T_ANNOUNCED;
        }
      model_go (self, T_BEFORE, &next);
      return;
    }

  if (state->n_socket == 0)
    {
      next.received = state->is_shut ? RECEIVED_EOF : RECEIVED_AGAIN;
      miss (self, &next, T_ANNOUNCED);
      return;
    }
  while (next.n_socket > 0 && next.n_by_socket > 0)
    {
      const guint8 byte = pop (&next);
      ModelState taken;

      if (!receive (self, &next, T_ANNOUNCED, byte, --next.n_by_socket))
        return;
      if (next.n_by_socket == 0)
        next.bells_before = 0;
      taken = next;
      done (self, &taken, T_ANNOUNCED);
    }
}

static void
take_look (ModelSearch      *self,
           const ModelState *state)
{
  const ModelStep step = state->taker;
  ModelState next = *state;

  switch (step)
    {
    case T_CLOSED:
      next.taker = T_LOOK;
      if (!model_load (state, TAKER, IS_CLOSED))
        begin_wait (self, &next);
      break;

    case T_LOOK:
      if (!model_is_seen (state, TAKER))
        return;
      next.is_readable = FALSE;
      if (state->bells_seen != state->n_bells)
        {
          if (!pop_bells (self, &next, step, state->n_bells))
            return;
          next.is_rung = TRUE;
        }
      else
        next.received = state->n_socket > 0 ? RECEIVED_SOMETHING : is_at_end (state) ? RECEIVED_EOF : RECEIVED_AGAIN;
      next.taker = T_LOOK_RING;
      break;

    case T_LOOK_RING:
      if (model_load (state, TAKER, TAIL) != state->head && self->left_out != LAST_LOOK)
        {
          model_forget (&next);
          next.taker = T_READ;
        }
      else if (state->received != RECEIVED_SOMETHING)
        {
          miss (self, &next, step);
          return;
        }
      else if (state->is_rung)
        begin_wait (self, &next);
      else
        next.taker = T_LOOK_BELLS;
      break;

    default:
      if (model_load (state, TAKER, BELLS) == state->n_bells)
        {
          model_violate (self, step, "something that makes no sense is on the socket");
          return;
        }
      begin_wait (self, &next);
    }
  model_go (self, step, &next);
}

static void
take_sleep (ModelSearch      *self,
            const ModelState *state)
{
  const ModelStep step = state->taker;
  ModelState next = *state;

  switch (step)
    {
    case T_WAIT:
      if (self->left_out == SLEEP_FENCE)
        {
          if (!model_has_buffer (state, TAKER, 1))
            return;
          model_store (&next, TAKER, SLEEP, state->how);
        }
      else
        {
          if (!model_is_seen (state, TAKER))
            return;
          next.words[SLEEP] = state->how;
        }
      next.taker = T_SLEEP_LOOK;
      break;

    case T_SLEEP_LOOK:
      if (model_load (state, TAKER, TAIL) != state->head && self->left_out != SLEEP_LOOK)
        {
          if (!model_has_buffer (state, TAKER, 1))
            return;
          model_store (&next, TAKER, SLEEP, AWAKE);
          next.taker = T_READ;
        }
      else
        next.taker = state->how == ON_SOCKET ? T_POLL : self->left_out == CLOSED_LOOK ? T_NAP : T_SLEEP_CLOSED;
      break;

    case T_SLEEP_CLOSED:
      if (!model_load (state, TAKER, IS_CLOSED))
        {
          next.taker = T_NAP;
          break;
        }
      if (!model_has_buffer (state, TAKER, 1))
        return;
      model_store (&next, TAKER, SLEEP, AWAKE);
      next.taker = T_READ;
      break;

    case T_NAP:
      if (!model_is_seen (state, TAKER))
        return;
      next.taker = state->words[SLEEP] == ON_FUTEX ? T_NAPS : T_READ;
      break;

    case T_NAPS:
      next.taker = T_NAP_OVER;
      if (state->sender == S_DEAD)
        break;
      model_may_go (self, step, &next);
      return;

    case T_NAP_OVER:
      if (state->words[SLEEP] == ON_FUTEX)
        {
          next.words[SLEEP] = ON_SOCKET;
          next.how = ON_SOCKET;
          next.taker = T_WAIT;
        }
      else
        next.taker = T_READ;
      break;

    default:
      if (!model_is_seen (state, TAKER))
        return;
      if (!self->sends_program)
        {
          next.taker = T_READ;
          model_may_go (self, step, &next);
          begin_wait (self, &next);
          model_may_go (self, step, &next);
        }
      if (state->n_socket == 0 && !state->is_shut && !state->is_reaped)
        return;
      next.is_readable = self->sends_program;
      next.taker = T_READ;
    }
  model_go (self, step, &next);
}

void
model_step_taker (ModelSearch      *self,
                  const ModelState *state)
{
  ModelState next = *state;

  switch ((ModelStep) state->taker)
    {
    case T_PLAIN_POLL:
    case T_PLAIN:
      take_plain (self, state);
      break;

    case T_BEGIN:
    case T_BEGIN_WAKE:
      take_begin (self, state);
      break;

    case T_READ:
      if (!model_has_buffer (state, TAKER, 1))
        break;
      next.is_beginning = FALSE;
      next.how = AWAKE;
      next.taker = state->n_by_socket > 0 ? T_BEFORE : T_BELLS;
      model_store (&next, TAKER, SLEEP, AWAKE);
      model_go (self, T_READ, &next);
      break;

    case T_BELLS:
      next.n_bells = model_load (state, TAKER, BELLS);
      next.taker = T_TAKE;
      model_go (self, T_BELLS, &next);
      break;

    case T_TAKE:
      take_records (self, state);
      break;

    case T_TOLD:
    case T_TOLD_LOOK:
    case T_ROOM:
    case T_EXCHANGE:
    case T_FUTEX:
    case T_BELL_COUNT:
    case T_BELL:
      take_told (self, state);
      break;

    case T_TAKE_BELLS:
      if (!model_is_seen (state, TAKER) || !pop_bells (self, &next, T_TAKE_BELLS, state->n_bells))
        break;
      done (self, &next, T_TAKE_BELLS);
      break;

    case T_BEFORE:
    case T_ANNOUNCED:
      take_announced (self, state);
      break;

    case T_CLOSED:
    case T_LOOK:
    case T_LOOK_RING:
    case T_LOOK_BELLS:
      take_look (self, state);
      break;

    case T_WAIT:
    case T_SLEEP_LOOK:
    case T_SLEEP_CLOSED:
    case T_NAP:
    case T_NAPS:
    case T_NAP_OVER:
    case T_POLL:
      take_sleep (self, state);
      break;

    default:
      break;
    }
}
