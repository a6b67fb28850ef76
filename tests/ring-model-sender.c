/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ring-model.h"

static void
begin_put (ModelSearch *self,
           ModelState  *next)
{
  next->sender = !next->is_large ? S_PUT : self->left_out == TAKEN_LOOK ? S_ANNOUNCE : S_TAKEN;
}

/* It goes on with another message, in the same flush or a later one. */
static void
begin_message (ModelSearch *self,
               ModelState  *next,
               ModelStep    step)
{
  next->number++;
  for (next->is_large = FALSE; next->is_large <= TRUE; next->is_large++)
    {
      if (next->is_by_ring)
        begin_put (self, next);
      else
        next->sender = S_SWITCH;
      model_go (self, step, next);
    }
}

/* What was being sent is: there is more in the same flush, or not. */
static void
sent (ModelSearch *self,
      ModelState  *next,
      ModelStep    step)
{
  next->after = AFTER_DONE;
  next->sender = S_WAKE;
  model_go (self, step, next);
  if (next->number < self->n_messages)
    begin_message (self, next, step);
}

static void
go_after_wake (ModelSearch *self,
               ModelState  *next,
               ModelStep    step)
{
  switch ((ModelAfter) next->after)
    {
    case AFTER_DONE:
      next->sender = S_TOP;
      break;

    case AFTER_ANNOUNCED:
      next->sender = next->owes_bell ? S_OWED : S_SEND;
      break;

    case AFTER_FULL:
      next->sender = self->sends_program ? S_POLL : S_NAP;
      break;

    case AFTER_SOCKET_FULL:
      next->sender = S_POLL_OUT;
      break;

    case AFTER_CLOSED:
      next->sender = S_CLOSED;
      break;
    }
  next->after = AFTER_DONE;
  model_go (self, step, next);
}

static void
send_top (ModelSearch      *self,
          const ModelState *state)
{
  ModelState next = *state;

  next.sender = S_STOPPED;
  model_go (self, S_TOP, &next);
  next.sender = S_SHUT;
  model_go (self, S_TOP, &next);
  if (state->number == self->n_messages)
    return;

  next = *state;
  if (!state->is_by_ring && state->number == 0)
    {
      next.sender = S_PLAIN;
      model_go (self, S_TOP, &next);
    }
  next = *state;
  begin_message (self, &next, S_TOP);
}

static gboolean
is_taker_gone (const ModelState *state)
{
  return state->taker == T_DEAD;
}

/* Before the switch, or to say that it comes. */
static void
send_plain (ModelSearch      *self,
            const ModelState *state)
{
  ModelState next = *state;

  if (!model_is_seen (state, SENDER))
    return;
  if (is_taker_gone (state))
    next.sender = S_GONE;
  else if (state->sender == S_PLAIN)
    {
      next.socket[next.n_socket++] = ++next.number;
      next.sender = S_TOP;
    }
  else
    {
      next.socket[next.n_socket++] = SWITCH_OVER;
      next.is_by_ring = TRUE;
      begin_put (self, &next);
    }
  model_go (self, state->sender, &next);
}

static void
send_record (ModelSearch      *self,
             const ModelState *state)
{
  ModelState next = *state;
  const gboolean is_put = state->sender == S_PUT;

  if (!model_has_buffer (state, SENDER, 2))
    return;
  if (model_count_free (self, state->tail, model_load (state, SENDER, HEAD)) == 0)
    {
      next.sender = S_WANT;
      model_go (self, state->sender, &next);
      return;
    }

  model_store (&next, SENDER, RECORD, is_put ? state->number : state->number | state->bells_sent << 4 | BY_SOCKET);
  model_store (&next, SENDER, TAIL, ++next.tail);
  if (is_put)
    {
      sent (self, &next, state->sender);
      return;
    }

  next.n_announced = LARGE_SIZE;
  next.after = AFTER_ANNOUNCED;
  next.sender = S_WAKE;
  model_go (self, state->sender, &next);
}

static void
send_announced (ModelSearch      *self,
                const ModelState *state)
{
  const guint n = MIN (SOCKET_SIZE - state->n_socket, state->n_announced);
  ModelState next = *state;

  if (!model_is_seen (state, SENDER))
    return;
  if (is_taker_gone (state) || n == 0)
    {
      next.sender = is_taker_gone (state) ? S_GONE : S_WAKE;
      next.after = is_taker_gone (state) ? AFTER_DONE : AFTER_SOCKET_FULL;
      model_go (self, state->sender, &next);
      return;
    }
  if (state->sender == S_OWED)
    {
      next.socket[next.n_socket++] = BELL;
      next.owes_bell = FALSE;
      next.sender = S_SEND;
      model_go (self, S_OWED, &next);
      return;
    }

  for (guint i = 0; i < n; i++)
    {
      next.socket[next.n_socket++] = state->number;
      next.n_announced--;
      if (next.n_announced == 0)
        sent (self, &next, S_SEND);
      else
        model_go (self, S_SEND, &next);
    }
}

/* It waits, or goes on. FALSE: there is no room to note that. */
static gboolean
end_want (ModelSearch      *self,
          const ModelState *state,
          ModelState       *next,
          gboolean          waits)
{
  if (waits)
    {
      next->after = AFTER_FULL;
      next->sender = S_WAKE;
      return TRUE;
    }
  if (!model_has_buffer (state, SENDER, 1))
    return FALSE;

  model_store (next, SENDER, ROOM_SLEEP, AWAKE);
  begin_put (self, next);

  return TRUE;
}

static void
send_want (ModelSearch      *self,
           const ModelState *state)
{
  const guint8 how = self->sends_program ? ON_SOCKET : ON_FUTEX;
  ModelState next = *state;
  gboolean is_full;

  switch (state->sender)
    {
    case S_WANT:
      if (self->left_out == WANT_FENCE)
        {
          if (!model_has_buffer (state, SENDER, 1))
            return;
          model_store (&next, SENDER, ROOM_SLEEP, how);
        }
      else
        {
          if (!model_is_seen (state, SENDER))
            return;
          next.words[ROOM_SLEEP] = how;
        }
      next.sender = S_WANT_LOOK;
      break;

    case S_WANT_LOOK:
      is_full = self->left_out == WANT_LOOK || !model_is_half_free (self, state->tail, model_load (state, SENDER, HEAD));
      if (!is_full && state->is_large)
        next.sender = S_WANT_TAKEN;
      else if (!end_want (self, state, &next, is_full))
        return;
      break;

    default:
      if (!end_want (self, state, &next, !model_load (state, SENDER, IS_TAKEN)))
        return;
      break;
    }
  model_go (self, state->sender, &next);
}

/* afrpc_ring_wake (), and what it does. */
static void
send_wake (ModelSearch      *self,
           const ModelState *state)
{
  const ModelStep step = state->sender;
  ModelState next = *state;

  if (!model_is_seen (state, SENDER) && !(step == S_WAKE && self->left_out == WAKE_FENCE))
    return;

  switch (step)
    {
    case S_WAKE:
      if (model_load (state, SENDER, SLEEP) == AWAKE || (self->left_out == CLOSE_WAKE && state->after == AFTER_CLOSED))
        {
          go_after_wake (self, &next, step);
          return;
        }
      next.sender = S_EXCHANGE;
      break;

    case S_EXCHANGE:
      next.words[SLEEP] = AWAKE;
      if (state->words[SLEEP] == AWAKE ||
          (state->words[SLEEP] == ON_SOCKET && state->n_announced > 0 && self->left_out != BELL_AMONG))
        {
          go_after_wake (self, &next, step);
          return;
        }
      if (state->words[SLEEP] == ON_FUTEX)
        next.sender = S_FUTEX;
      else
        next.sender = state->owes_bell || self->left_out == BELL_COUNTED ? S_BELL : S_BELL_COUNT;
      break;

    case S_FUTEX:
      if (state->taker == T_NAPS)
        next.taker = T_READ;
      go_after_wake (self, &next, step);
      return;

    case S_BELL_COUNT:
      next.words[BELLS] = ++next.bells_sent;
      next.sender = S_BELL;
      break;

    case S_BELL:
      next.owes_bell = FALSE;
      if (is_taker_gone (state) && state->after != AFTER_CLOSED)
        {
          next.sender = S_GONE;
          next.after = AFTER_DONE;
        }
      else if (state->n_socket == SOCKET_SIZE || state->after == AFTER_CLOSED)
        {
          if (self->left_out == BELL_OWED)
            next.sender = S_BELL_UNDO;
          else
            {
              next.owes_bell = self->left_out != BELL_COUNTED;
              go_after_wake (self, &next, step);
              return;
            }
        }
      else
        {
          next.socket[next.n_socket++] = BELL;
          if (self->left_out != BELL_COUNTED)
            {
              go_after_wake (self, &next, step);
              return;
            }
          next.sender = S_BELL_LATE;
        }
      break;

    case S_BELL_LATE:
      next.words[BELLS] = ++next.bells_sent;
      go_after_wake (self, &next, step);
      return;

    default:
      next.words[BELLS] = --next.bells_sent;
      go_after_wake (self, &next, step);
      return;
    }
  model_go (self, step, &next);
}

/* It waits for room: a worker on the futex, a program on the socket. */
static void
send_wait (ModelSearch      *self,
           const ModelState *state)
{
  const ModelStep step = state->sender;
  ModelState next = *state;
  guint n;

  switch (step)
    {
    case S_NAP:
      if (!model_is_seen (state, SENDER))
        return;
      next.sender = state->words[ROOM_SLEEP] == ON_FUTEX ? S_NAPS : S_HUP;
      break;

    case S_NAPS:
      next.sender = S_HUP;
      if (is_taker_gone (state))
        break;
      model_may_go (self, step, &next);
      return;

    case S_HUP:
      if (is_taker_gone (state))
        next.sender = S_GONE;
      else
        begin_put (self, &next);
      break;

    case S_POLL:
      if (!model_is_seen (state, SENDER))
        return;
      begin_put (self, &next);
      model_may_go (self, step, &next);
      if (state->n_other_socket == 0 && !is_taker_gone (state))
        return;
      next.sender = is_taker_gone (state) ? S_GONE : S_BELLS;
      break;

    case S_BELLS:
      next.n_other_bells = model_load (state, SENDER, OTHER_BELLS);
      next.sender = S_LOOK;
      break;

    case S_LOOK:
      n = MIN ((guint8) (state->n_other_bells - state->other_bells_seen), state->n_other_socket);
      next.n_other_socket -= n;
      next.other_bells_seen += n;
      next.n_other_bells = 0;
      if (state->n_other_bells == state->other_bells_seen && state->n_other_socket > 0)
        {
          next.n_other_bells = state->n_other_bells;
          next.sender = S_LOOK_BELLS;
        }
      else
        begin_put (self, &next);
      break;

    case S_LOOK_BELLS:
      if (model_load (state, SENDER, OTHER_BELLS) == state->n_other_bells)
        {
          model_violate (self, step, "the sender takes a bell for more");
          return;
        }
      next.n_other_bells = 0;
      begin_put (self, &next);
      break;

    default:
      if (state->n_socket == SOCKET_SIZE && !is_taker_gone (state))
        return;
      next.sender = state->owes_bell ? S_OWED : S_SEND;
      break;
    }
  model_go (self, step, &next);
}

static void
send_close (ModelSearch      *self,
            const ModelState *state)
{
  ModelState next = *state;

  if (state->sender == S_SHUT)
    {
      if (!model_is_seen (state, SENDER))
        return;
      next.is_shut = TRUE;
      next.sender = state->is_by_ring ? S_CLOSE : S_CLOSED;
    }
  else
    {
      if (!model_has_buffer (state, SENDER, 1))
        return;
      model_store (&next, SENDER, IS_CLOSED, TRUE);
      next.after = AFTER_CLOSED;
      next.sender = S_WAKE;
    }
  model_go (self, state->sender, &next);
}

void
model_step_sender (ModelSearch      *self,
                   const ModelState *state)
{
  ModelState next = *state;

  switch ((ModelStep) state->sender)
    {
    case S_TOP:
      send_top (self, state);
      break;

    case S_PLAIN:
    case S_SWITCH:
      send_plain (self, state);
      break;

    case S_PUT:
    case S_ANNOUNCE:
      send_record (self, state);
      break;

    case S_TAKEN:
      next.sender = model_load (state, SENDER, IS_TAKEN) ? S_ANNOUNCE : S_WANT;
      model_go (self, S_TAKEN, &next);
      break;

    case S_OWED:
    case S_SEND:
      send_announced (self, state);
      break;

    case S_WANT:
    case S_WANT_LOOK:
    case S_WANT_TAKEN:
      send_want (self, state);
      break;

    case S_WAKE:
    case S_EXCHANGE:
    case S_FUTEX:
    case S_BELL_COUNT:
    case S_BELL:
    case S_BELL_LATE:
    case S_BELL_UNDO:
      send_wake (self, state);
      break;

    case S_NAP:
    case S_NAPS:
    case S_HUP:
    case S_POLL:
    case S_BELLS:
    case S_LOOK:
    case S_LOOK_BELLS:
    case S_POLL_OUT:
      send_wait (self, state);
      break;

    case S_SHUT:
    case S_CLOSE:
      send_close (self, state);
      break;

    default:
      break;
    }
}
