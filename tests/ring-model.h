/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One way of a ring, and the socket beside it, as a model of which every state is looked at: whatever the order in which
 * both sides get on, whenever either dies, and however long a processor keeps what it has written to itself.
 *
 * Each step is one access to what is shared, and is named by the function of afrpc-ring.c or afrpc-socket-ring.c that it
 * stands for. Stores wait in a buffer, in their order, as with x86: others see them later, but for what has a fence, is
 * locked, or asks the kernel. A message is one record, small or by the socket, where it has two bytes.
 *
 * No message is lost, doubled, or told in another order, though its sender dies as soon as it is in the ring; no bell is
 * taken for more, and nothing else for a bell; nobody goes on without end while the other side does nothing; and where
 * nobody can go on, nobody sleeps beside what he could do. Neither the time that is over on a futex counts, unless the
 * other side is dead, nor what else a main loop wakes for.
 *
 * That it would be noticed is shown by what is left out: each of these has to be found. Alone:
 *
 *   ring-model --leave-out NAME program|worker [large]
 *
 * says how it comes to that if the program, or the worker, is who sends. NAME may be "nothing"; "large" is with another
 * message, and a ring that has room for another. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define RING_SIZE_MAX 3u /* records; mostly one less */
#define N_MESSAGES_MAX 4u
#define LARGE_SIZE 2u    /* bytes, of what comes by the socket */
#define SOCKET_SIZE 3u   /* bytes that it takes */
#define BUFFER_SIZE 4u   /* stores that a processor keeps to itself */

/* What is left out */

typedef enum
{
  NOTHING,
  WAKE_FENCE,    /* wake (): the fence before who puts looks whether the other side sleeps */
  SLEEP_FENCE,   /* afrpc_ring_sleep (): that before who is going to sleep looks again */
  SLEEP_LOOK,    /* and that look */
  CLOSED_LOOK,   /* and that for what is closed */
  WANT_FENCE,    /* afrpc_ring_want_room (): the same of who waits for room */
  WANT_LOOK,
  TOLD_FENCE,    /* afrpc_ring_told_room (): the fence before who takes looks whether the other side waits */
  TOLD,          /* all of it */
  BEGIN_WAKE,    /* afrpc_ring_begin (): waking who waits for somebody who takes */
  TAKEN_LOOK,    /* put (): waiting for that */
  BELLS_BEFORE,  /* read_announced (): taking the bells in front */
  BELL_AMONG,    /* ring_bell (): that none is sent among what was announced */
  BELL_COUNTED,  /* ring_bell (): that it is counted before it is sent */
  BELL_OWED,     /* ring_bell (): that one which could not be sent stays counted, and is sent in front of what is announced */
  DRAINED,       /* read_ring (): that those are only taken if nothing may be in front */
  LAST_LOOK,     /* look_at_socket (): looking into the ring after the socket */
  CLOSE_WAKE,    /* afrpc_ring_close (): waking */
  N_LEFT_OUT,
} ModelLeftOut;

/* A state */

typedef enum { SENDER, TAKER, N_SIDES } ModelSide;

/* What is in the memory that is shared. */
typedef enum
{
  TAIL,
  BELLS,
  IS_CLOSED,
  ROOM_SLEEP,
  HEAD,
  IS_TAKEN,
  SLEEP,
  OTHER_BELLS,  /* those of the other way, which say that there is room */
  N_WORDS,
  RECORD,       /* the one at the tail */
} ModelWord;

enum { AWAKE, ON_FUTEX, ON_SOCKET };

/* What the socket has: these, or a byte of the message of that number. */
enum { BELL = 0x10, SWITCH_OVER = 0x20 };

/* A record: the number of its message, how many bells come before what comes by the socket, and that it does. */
#define BY_SOCKET 0x80
#define NUMBER(record) ((record) & 0x0f)
#define BELLS_OF(record) ((record) >> 4 & 0x07)

/* Where the sender is: what it does next. */
#define SENDER_STEPS(STEP) \
  STEP (S_TOP, "the sender has nothing to do") \
  STEP (S_PLAIN, "flush_socket ()") \
  STEP (S_SWITCH, "switch_over ()") \
  STEP (S_PUT, "afrpc_ring_put ()") \
  STEP (S_TAKEN, "put (): afrpc_ring_is_taken ()") \
  STEP (S_ANNOUNCE, "afrpc_ring_announce ()") \
  STEP (S_OWED, "send_announced (): the bell that is owed") \
  STEP (S_SEND, "send_announced ()") \
  STEP (S_WANT, "afrpc_ring_want_room (): says so") \
  STEP (S_WANT_LOOK, "afrpc_ring_want_room (): has_room ()") \
  STEP (S_WANT_TAKEN, "afrpc_ring_want_room (): is_taken ()") \
  STEP (S_WAKE, "afrpc_ring_wake (): does it sleep?") \
  STEP (S_EXCHANGE, "afrpc_ring_wake (): takes that away") \
  STEP (S_FUTEX, "afrpc_ring_wake (): FUTEX_WAKE") \
  STEP (S_BELL_COUNT, "ring_bell (): counts") \
  STEP (S_BELL, "ring_bell (): sends") \
  STEP (S_BELL_LATE, "ring_bell (): counts only now") \
  STEP (S_BELL_UNDO, "ring_bell (): takes the count back") \
  STEP (S_NAP, "afrpc_ring_nap_for_room (): FUTEX_WAIT") \
  STEP (S_NAPS, "the sender sleeps on the futex") \
  STEP (S_HUP, "wait_writable (): is the taker gone?") \
  STEP (S_POLL, "the sender polls for room in the ring") \
  STEP (S_BELLS, "the sender's read_ring (): afrpc_ring_get_bells ()") \
  STEP (S_LOOK, "the sender's look_at_socket (): receives") \
  STEP (S_LOOK_BELLS, "the sender's look_at_socket (): afrpc_ring_get_bells () again") \
  STEP (S_POLL_OUT, "the sender polls for room in the socket") \
  STEP (S_SHUT, "end_sending (): shuts the socket") \
  STEP (S_CLOSE, "afrpc_ring_close ()") \
  STEP (S_STOPPED, "the sender says no more") \
  STEP (S_CLOSED, "the sender has closed") \
  STEP (S_GONE, "the sender knows that the taker is gone") \
  STEP (S_DEAD, "the sender is dead")

#define TAKER_STEPS(STEP) \
  STEP (T_PLAIN_POLL, "the taker polls, and does not know of the ring") \
  STEP (T_PLAIN, "read_socket ()") \
  STEP (T_BEGIN, "afrpc_ring_begin (): says so") \
  STEP (T_BEGIN_WAKE, "afrpc_ring_begin (): does it wait?") \
  STEP (T_READ, "read_ring (): afrpc_ring_stay_awake ()") \
  STEP (T_BELLS, "read_ring (): afrpc_ring_get_bells ()") \
  STEP (T_TAKE, "afrpc_ring_take ()") \
  STEP (T_TOLD, "afrpc_ring_told_room (): does it wait?") \
  STEP (T_TOLD_LOOK, "afrpc_ring_told_room (): is half of it free?") \
  STEP (T_ROOM, "afrpc_ring_told_room (): wake (): does it wait?") \
  STEP (T_EXCHANGE, "wake (): takes that away") \
  STEP (T_FUTEX, "wake (): FUTEX_WAKE") \
  STEP (T_BELL_COUNT, "the taker's ring_bell (): counts") \
  STEP (T_BELL, "the taker's ring_bell (): sends") \
  STEP (T_TAKE_BELLS, "read_ring (): afrpc_ring_take_bells ()") \
  STEP (T_BEFORE, "read_announced (): afrpc_ring_take_bells ()") \
  STEP (T_ANNOUNCED, "read_announced (): afrpc_socket_receive ()") \
  STEP (T_CLOSED, "look_at_socket (): afrpc_ring_is_closed ()") \
  STEP (T_LOOK, "look_at_socket (): receives") \
  STEP (T_LOOK_RING, "look_at_socket (): afrpc_ring_is_empty ()") \
  STEP (T_LOOK_BELLS, "look_at_socket (): afrpc_ring_get_bells () again") \
  STEP (T_WAIT, "afrpc_ring_sleep (): says so") \
  STEP (T_SLEEP_LOOK, "afrpc_ring_sleep (): afrpc_ring_is_empty ()") \
  STEP (T_SLEEP_CLOSED, "afrpc_ring_sleep (): afrpc_ring_is_closed ()") \
  STEP (T_NAP, "afrpc_ring_nap (): FUTEX_WAIT") \
  STEP (T_NAPS, "the taker sleeps on the futex") \
  STEP (T_NAP_OVER, "afrpc_ring_nap (): on the socket from now on") \
  STEP (T_POLL, "the taker polls") \
  STEP (T_EOF, "the taker knows that nothing more comes") \
  STEP (T_DEAD, "the taker is dead")

typedef enum
{
#define STEP(name, text) name,
  SENDER_STEPS (STEP) TAKER_STEPS (STEP)
#undef STEP
  S_STORE, /* what one side has stored is seen by the other */
  T_STORE,
  SENDER_DIES,
  SENDER_DIES_ALONE,
  SENDER_REAPED,
  TAKER_DIES,
  N_STEPS,
} ModelStep;

/* What the sender does when it has waked. */
typedef enum { AFTER_DONE, AFTER_ANNOUNCED, AFTER_FULL, AFTER_SOCKET_FULL, AFTER_CLOSED } ModelAfter;

typedef struct
{
  guint8 word;
  guint8 value;
} ModelStore;

/* Of bytes alone, since it is compared as such. */
typedef struct
{
  /* What both sides have */
  guint8 words[N_WORDS];
  guint8 records[RING_SIZE_MAX];
  guint8 socket[SOCKET_SIZE];
  guint8 n_socket;
  guint8 n_other_socket;   /* bells on the way to the sender */
  guint8 is_shut;          /* the socket, by who sends */
  guint8 is_reaped;        /* the taker was told that the sender is dead */
  ModelStore stores[N_SIDES][BUFFER_SIZE];
  guint8 n_stores[N_SIDES];

  /* The sender's own */
  guint8 sender;           /* ModelStep */
  guint8 after;            /* ModelAfter */
  guint8 number;           /* of the message that is being sent */
  guint8 is_large;
  guint8 is_by_ring;
  guint8 tail;
  guint8 n_announced;
  guint8 bells_sent;
  guint8 owes_bell;
  guint8 other_bells_seen;
  guint8 n_other_bells;

  /* The taker's own */
  guint8 taker;            /* ModelStep */
  guint8 head;
  guint8 n_received;       /* messages */
  guint8 n_by_socket;
  guint8 bells_before;
  guint8 bells_seen;
  guint8 n_bells;
  guint8 how;              /* it sleeps */
  guint8 is_readable;
  guint8 is_drained;
  guint8 is_beginning;     /* in afrpc_ring_begin () */
  guint8 is_rung;
  guint8 received;         /* what recv () has returned: ModelReceived */
  guint8 other_bells_sent;
  guint8 padding[3];
} ModelState;

typedef enum { RECEIVED_AGAIN, RECEIVED_EOF, RECEIVED_SOMETHING } ModelReceived;

G_STATIC_ASSERT (sizeof (ModelState) % 8 == 0);

/* The search */

typedef struct
{
  gboolean sends_program;
  ModelLeftOut left_out;
  guint ring_size;
  guint n_messages;

  GArray *states;       /* ModelState */
  GArray *parents;      /* guint32, of each */
  GByteArray *steps;    /* ModelStep, that led there */
  GByteArray *colours;
  guint32 *table;       /* index + 1; 0: nothing */
  guint32 table_size;
  GArray *waiting;      /* guint32: reached by what nobody may count on */
  GArray *successors;   /* guint32 */
  GArray *frames;

  guint32 current;
  guint n_ready;        /* steps that go on from there */
  guint64 n_steps;
  const char *violation;
  ModelStep violating;
} ModelSearch;

/* The memory */
guint8   model_load         (const ModelState *state,
                             ModelSide         side,
                             ModelWord         word);
gboolean model_has_buffer   (const ModelState *state,
                             ModelSide         side,
                             guint             n);
void     model_store        (ModelState       *state,
                             ModelSide         side,
                             ModelWord         word,
                             guint8            value);
gboolean model_is_seen      (const ModelState *state,
                             ModelSide         side);
guint    model_count_free   (ModelSearch      *self,
                             guint8            tail,
                             guint8            head);
gboolean model_is_half_free (ModelSearch      *self,
                             guint8            tail,
                             guint8            head);

/* Both sides: what comes after @state */
void model_step_sender (ModelSearch      *self,
                        const ModelState *state);
void model_step_taker  (ModelSearch      *self,
                        const ModelState *state);
void model_forget      (ModelState       *next);

/* The search: what they say of the current state */
void model_go          (ModelSearch      *self,
                        ModelStep         step,
                        const ModelState *state);
void model_may_go      (ModelSearch      *self,
                        ModelStep         step,
                        const ModelState *state);
void model_violate     (ModelSearch      *self,
                        ModelStep         step,
                        const char       *what);

void model_search_init  (ModelSearch  *self,
                         gboolean      sends_program,
                         ModelLeftOut  left_out,
                         gboolean      is_large);
void model_search_clear (ModelSearch  *self);
void model_search_run   (ModelSearch  *self);
void model_tell         (ModelSearch  *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ModelSearch, model_search_clear)

G_END_DECLS
