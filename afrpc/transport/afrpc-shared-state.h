/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A piece of memory that parent and worker share: facts that must cost no system call. Made by the
 * parent, sealed against resizing so that neither side can make the other fault. What is read from
 * it is a hint from a foreign process: never an index or a pointer, and a length only where it is compared with the room. */
#pragma once

#include <glib.h>
#include <string.h>

#include "transport/afrpc-ring.h"
#include "wire/afrpc-frame.h"

G_BEGIN_DECLS

#define AFRPC_SHARED_STATE_WORDS (AFRPC_SERIAL_SLOTS_MAX / 64)

/* By the parent: a bit for each slot. */
typedef struct
{
  guint64 cancelled;                   /* whose call is cancelled */
  guint64 revoked;                     /* whose call is not to be started, and goes on if it was */
} AfrpcSharedStateWord;

/* In front of it is what is in the ring, and in front of that what is saved of parts. So few calls touch two pages that lie
 * together: each that is touched costs either side something when the worker starts and ends, and so does each that is far
 * from the others. */
typedef struct
{
  guint64 started;                     /* by the worker: serial of the call started last */
  guint64 parts_serial;                /* likewise: of the call whose parts the next two are about; 0: of none */
  guint64 n_parts_begun;
  guint64 n_bytes_saved;               /* of their outcomes, in the memory in front of the ring's */
  guint64 reserved[4];                 /* keeps the two writers on cache lines of their own */
  AfrpcRingHalf ring[AFRPC_RING_HALVES]; /* see afrpc-ring.h */
  AfrpcSharedStateWord words[AFRPC_SHARED_STATE_WORDS];
} AfrpcSharedState;

#define AFRPC_SHARED_STATE_RING_SIZE (AFRPC_RING_HALVES * AFRPC_RING_SIZE) /* bytes */

/* What is saved of a call that consists of many, in case its worker dies before it answers. */
#define AFRPC_SHARED_STATE_SAVED_SIZE 65536u

#define AFRPC_SHARED_STATE_FRONT_SIZE (AFRPC_SHARED_STATE_SAVED_SIZE + AFRPC_SHARED_STATE_RING_SIZE)

/* In bytes; only what is touched becomes memory. */
#define AFRPC_SHARED_STATE_SIZE (AFRPC_SHARED_STATE_FRONT_SIZE + sizeof (AfrpcSharedState))

AfrpcSharedState *afrpc_shared_state_create (int               *fd,
                                             GError           **error);
AfrpcSharedState *afrpc_shared_state_map    (int                fd,
                                             GError           **error);
void              afrpc_shared_state_unmap  (AfrpcSharedState  *state);

/* Returns: what one side of it is to know of the ring: the caller's */
static inline AfrpcRing *
afrpc_shared_state_get_ring (AfrpcSharedState *state,
                             gboolean          is_program)
{
  return afrpc_ring_new (state->ring, (guint8 *) state - AFRPC_SHARED_STATE_RING_SIZE, is_program);
}

/* Which bit of which words speaks of a call. Calls that wait at the same time are in different slots; a slot is used
 * again once the call's outcome has arrived, and by then its bit is clear. */
static inline AfrpcSharedStateWord *
afrpc_shared_state_word (AfrpcSharedState *state,
                         guint64           serial)
{
  return &state->words[afrpc_serial_slot (serial) / 64];
}

static inline guint64
afrpc_shared_state_bit (guint64 serial)
{
  return G_GUINT64_CONSTANT (1) << (serial % 64);
}

/* The worker says that it starts a call before it looks whether that is cancelled, and the parent that it cancels one
 * before it looks whether that was started: so one of them sees what the other said. */
static inline void
afrpc_shared_state_start (AfrpcSharedState *state,
                          guint64           serial)
{
  __atomic_store_n (&state->started, serial, __ATOMIC_SEQ_CST);
}

static inline guint64
afrpc_shared_state_get_started (AfrpcSharedState *state)
{
  return __atomic_load_n (&state->started, __ATOMIC_SEQ_CST);
}

static inline void
afrpc_shared_state_cancel (AfrpcSharedState *state,
                           guint64           serial)
{
  __atomic_fetch_or (&afrpc_shared_state_word (state, serial)->cancelled, afrpc_shared_state_bit (serial), __ATOMIC_SEQ_CST);
}

/* Parts: a call may consist of many, which the worker begins one after the other. What it says of them is about the call
 * whose serial is there, so that it is never about another one. */

static inline void
afrpc_shared_state_begin_parts (AfrpcSharedState *state,
                                guint64           serial)
{
  __atomic_store_n (&state->parts_serial, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n (&state->n_parts_begun, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n (&state->n_bytes_saved, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n (&state->parts_serial, serial, __ATOMIC_SEQ_CST);
}

/* Before the worker looks whether it is to go on, as with a call. */
static inline void
afrpc_shared_state_begin_part (AfrpcSharedState *state)
{
  __atomic_store_n (&state->n_parts_begun, state->n_parts_begun + 1, __ATOMIC_SEQ_CST);
}

/* Behind what was saved of that call. FALSE: there is no room, or none of its parts was begun. */
static inline gboolean
afrpc_shared_state_save (AfrpcSharedState *state,
                         guint64           serial,
                         gconstpointer     data,
                         gsize             size)
{
  const guint64 n = state->n_bytes_saved;

  if (state->parts_serial != serial || n > AFRPC_SHARED_STATE_SAVED_SIZE || size > AFRPC_SHARED_STATE_SAVED_SIZE - n)
    return FALSE;

  memcpy ((guint8 *) state - AFRPC_SHARED_STATE_FRONT_SIZE + n, data, size);
  __atomic_store_n (&state->n_bytes_saved, n + size, __ATOMIC_RELEASE);

  return TRUE;
}

GBytes *afrpc_shared_state_copy_parts (AfrpcSharedState *state,
                                       guint64           serial,
                                       guint64          *n_begun);

/* The call's outcome is here, and its slot free for another call. */
static inline void
afrpc_shared_state_forget (AfrpcSharedState *state,
                           guint64           serial)
{
  __atomic_fetch_and (&afrpc_shared_state_word (state, serial)->cancelled, ~afrpc_shared_state_bit (serial),
                      __ATOMIC_SEQ_CST);
}

/* The same, but a call that was started hears nothing of it: the parent wants it back only if it was not. */
static inline void
afrpc_shared_state_revoke (AfrpcSharedState *state,
                           guint64           serial)
{
  __atomic_fetch_or (&afrpc_shared_state_word (state, serial)->revoked, afrpc_shared_state_bit (serial), __ATOMIC_SEQ_CST);
}

static inline void
afrpc_shared_state_unrevoke (AfrpcSharedState *state,
                             guint64           serial)
{
  __atomic_fetch_and (&afrpc_shared_state_word (state, serial)->revoked, ~afrpc_shared_state_bit (serial), __ATOMIC_SEQ_CST);
}

static inline gboolean
afrpc_shared_state_is_revoked (AfrpcSharedState *state,
                               guint64           serial)
{
  return (__atomic_load_n (&afrpc_shared_state_word (state, serial)->revoked, __ATOMIC_SEQ_CST) &
          afrpc_shared_state_bit (serial)) != 0;
}

static inline gboolean
afrpc_shared_state_is_cancelled (AfrpcSharedState *state,
                                 guint64           serial)
{
  if (state == NULL)
    return FALSE;

  return (__atomic_load_n (&afrpc_shared_state_word (state, serial)->cancelled, __ATOMIC_SEQ_CST) &
          afrpc_shared_state_bit (serial)) != 0;
}

G_END_DECLS
