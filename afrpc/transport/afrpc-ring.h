/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two rings of bytes, one each way, in memory that a program and its worker share. What is put there is received even if
 * who has put it dies at once, and costs no system call while the other side is awake; one that sleeps is woken.
 *
 * A ring has records. One is bytes, or says that so many bytes come by the socket next: those that are many, or have
 * descriptors. Who puts something looks afterwards whether the other side sleeps, and who is going to sleep says so and
 * looks once again: so one of them sees what the other did. A worker sleeps on a futex for a moment, and then on its
 * socket, which tells when the program has died; a program on its socket. Whoever sleeps there is woken by a byte that
 * means nothing, a bell. How many bells were sent is in the memory before they are, so that no bell is taken for more.
 *
 * What is read from the memory was written by a foreign process: each number is read once and checked, and bytes are
 * copied before they are looked at. */
#pragma once

#include <glib.h>
#include <sys/uio.h>

G_BEGIN_DECLS

#define AFRPC_RING_SIZE 16384u /* bytes, each way; a power of two */
#define AFRPC_RING_HALVES 2u   /* to the program, and to the worker */

typedef enum
{
  AFRPC_RING_AWAKE,
  AFRPC_RING_ON_FUTEX,
  AFRPC_RING_ON_SOCKET,
} AfrpcRingSleep;

/* One way, as it lies in the memory: what one side writes and what the other does are on cache lines of their own. */
typedef struct
{
  guint32 tail;          /* bytes that were ever put, modulo 2^32, as are all of these */
  guint32 bells;         /* that were sent, or are about to be */
  guint32 is_closed;     /* nothing is put any more, and the socket says so */
  guint32 room_sleep;    /* AfrpcRingSleep of who puts, while there is no room */
  guint32 reserved[12];

  guint32 head;          /* bytes that were ever taken */
  guint32 is_taken;      /* there is somebody who takes */
  guint32 sleep;         /* AfrpcRingSleep of who takes */
  guint32 reserved_too[13];
} AfrpcRingHalf;

/* Both, as one side sees them. What it has written itself it knows without looking. */
typedef struct
{
  AfrpcRingHalf *in;
  AfrpcRingHalf *out;
  const guint8 *in_data;
  guint8 *out_data;

  guint32 head;          /* of what comes in */
  guint32 n_left;        /* bytes of the record there that were not taken */
  guint64 n_by_socket;   /* bytes that come by the socket before what is at the head */
  guint32 bells_before;  /* how many bells, of all that were ever sent, come before these */
  guint32 bells_seen;
  gboolean is_readable;  /* the socket, as far as is known */
  gboolean is_drained;   /* all that was there was taken, when it was looked at last */

  guint32 tail;          /* of what goes out */
  guint64 n_announced;   /* bytes that have to go by the socket next */
  guint32 bells_sent;    /* or counted, and owed */
  gboolean owes_bell;    /* for which the socket had no room */
  gboolean is_gone;      /* nobody takes what goes out */
  gboolean is_full;      /* there was no room: who takes is going to say when there is */
} AfrpcRing;

AfrpcRing *afrpc_ring_new        (AfrpcRingHalf       halves[AFRPC_RING_HALVES],
                                  guint8             *data,
                                  gboolean            is_program);

/* Out: then the other side is to be woken. FALSE: it is gone. */
gsize      afrpc_ring_put        (AfrpcRing          *self,
                                  const guint8       *data,
                                  gsize               size);
gboolean   afrpc_ring_announce   (AfrpcRing          *self,
                                  guint64             n_bytes);
gboolean   afrpc_ring_wake       (AfrpcRing          *self,
                                  int                 fd);
gboolean   afrpc_ring_pay_bell   (AfrpcRing          *self,
                                  int                 fd);
gboolean   afrpc_ring_close      (AfrpcRing          *self,
                                  int                 fd);

gboolean   afrpc_ring_has_room   (AfrpcRing          *self);
gboolean   afrpc_ring_want_room  (AfrpcRing          *self,
                                  AfrpcRingSleep      how,
                                  gboolean            by_socket);
void       afrpc_ring_nap_for_room (AfrpcRing        *self,
                                    guint             timeout_ms);

/* In: then the other side is to be told that there is room. */
void       afrpc_ring_begin      (AfrpcRing          *self,
                                  int                 fd);
gssize     afrpc_ring_take       (AfrpcRing          *self,
                                  const struct iovec *iov,
                                  guint               n_iov);
gboolean   afrpc_ring_told_room  (AfrpcRing          *self,
                                  int                 fd);
guint64    afrpc_ring_count      (AfrpcRing          *self);
gboolean   afrpc_ring_sleep      (AfrpcRing          *self,
                                  AfrpcRingSleep      how);
gboolean   afrpc_ring_nap        (AfrpcRing          *self,
                                  guint               timeout_ms);
gssize     afrpc_ring_take_bells (AfrpcRing          *self,
                                  guint32             n_sent,
                                  int                 fd);

static inline gboolean
afrpc_ring_is_empty (AfrpcRing *self)
{
  return self->n_left == 0 && __atomic_load_n (&self->in->tail, __ATOMIC_ACQUIRE) == self->head;
}

static inline void
afrpc_ring_stay_awake (AfrpcRing *self)
{
  __atomic_store_n (&self->in->sleep, AFRPC_RING_AWAKE, __ATOMIC_RELAXED);
}

/* How many bells there are on the socket, or are about to be, at the least; to be asked before the ring is looked at. */
static inline guint32
afrpc_ring_get_bells (AfrpcRing *self)
{
  return __atomic_load_n (&self->in->bells, __ATOMIC_ACQUIRE);
}

static inline gboolean
afrpc_ring_is_closed (AfrpcRing *self)
{
  return __atomic_load_n (&self->in->is_closed, __ATOMIC_ACQUIRE) != 0;
}

/* Whether the other side takes what is put: until then nothing may go by the socket but in front of it. */
static inline gboolean
afrpc_ring_is_taken (AfrpcRing *self)
{
  return __atomic_load_n (&self->out->is_taken, __ATOMIC_ACQUIRE) != 0;
}

G_END_DECLS
