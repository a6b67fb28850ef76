/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-ring.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MASK (AFRPC_RING_SIZE - 1)

/* A record begins with two numbers: its size, in bytes, and 0; or BY_SOCKET, and how many bells come before what comes by
 * the socket, whose size follows in two numbers, the lower half first. */
#define HEADER_SIZE 8u /* bytes */
#define BY_SOCKET G_MAXUINT32

G_STATIC_ASSERT (sizeof (AfrpcRingHalf) == 128);
G_STATIC_ASSERT ((AFRPC_RING_SIZE & MASK) == 0);

static guint32
pad (guint32 size)
{
  return (size + 7) & ~7u;
}

/* One side of the ring whose memory is @halves and @data, AFRPC_RING_SIZE bytes for each of these. */
AfrpcRing *
afrpc_ring_new (AfrpcRingHalf  halves[AFRPC_RING_HALVES],
                guint8        *data,
                gboolean       is_program)
{
  const guint in = is_program ? 0 : 1;
  AfrpcRing *self = g_new0 (AfrpcRing, 1);

  self->in = &halves[in];
  self->out = &halves[1 - in];
  self->in_data = data + in * AFRPC_RING_SIZE;
  self->out_data = data + (1 - in) * AFRPC_RING_SIZE;

  return self;
}

static long
futex (guint32               *word,
       int                    operation,
       guint32                value,
       const struct timespec *timeout)
{
  return syscall (SYS_futex, word, operation, value, timeout, NULL, 0);
}

/* A byte that wakes who sleeps on the socket. FALSE: nobody has its other end any more. */
static gboolean
ring_bell (AfrpcRing *self,
           int        fd)
{
  /* It would lie among what was announced, which wakes as well. */
  if (self->n_announced > 0)
    return TRUE;

  if (!self->owes_bell)
    __atomic_store_n (&self->out->bells, ++self->bells_sent, __ATOMIC_SEQ_CST);
  /* The other side may have seen the count: it takes so many bytes for bells before anything else. */
  self->owes_bell = TRUE;

  /* What the socket is full of was announced before, and wakes as well. */
  return afrpc_ring_pay_bell (self, fd) || (errno != EPIPE && errno != ECONNRESET);
}

/* Wakes who has said so in @sleep. */
static gboolean
wake (AfrpcRing *self,
      guint32   *sleep,
      int        fd)
{
  __atomic_thread_fence (__ATOMIC_SEQ_CST);
  if (__atomic_load_n (sleep, __ATOMIC_RELAXED) == AFRPC_RING_AWAKE)
    return TRUE;

  switch (__atomic_exchange_n (sleep, AFRPC_RING_AWAKE, __ATOMIC_SEQ_CST))
    {
    case AFRPC_RING_ON_FUTEX:
      futex (sleep, FUTEX_WAKE, 1, NULL);
      return TRUE;

    case AFRPC_RING_ON_SOCKET:
      return ring_bell (self, fd);

    default:
      return TRUE;
    }
}

/* Sleeps on @sleep, which says so. FALSE: the time is over, and it still says so. */
static gboolean
nap (guint32 *sleep,
     guint    timeout_ms)
{
  const struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000l };

  return futex (sleep, FUTEX_WAIT, AFRPC_RING_ON_FUTEX, &timeout) == 0 || errno != ETIMEDOUT;
}

/* Out */

/* How much there is room for; or 0 if the other side says what cannot be. */
static guint32
get_room (AfrpcRing *self)
{
  const guint32 n = self->tail - __atomic_load_n (&self->out->head, __ATOMIC_ACQUIRE);

  return n <= AFRPC_RING_SIZE ? (AFRPC_RING_SIZE - n) & ~7u : 0;
}

static void
put_numbers (AfrpcRing *self,
             guint32    first,
             guint32    second)
{
  guint32 *place = (guint32 *) (gpointer) (self->out_data + (self->tail & MASK));

  place[0] = first;
  place[1] = second;
  self->tail += HEADER_SIZE;
}

static void
publish (AfrpcRing *self)
{
  __atomic_store_n (&self->out->tail, self->tail, __ATOMIC_RELEASE);
}

/* Puts what there is room for. Returns: how many bytes; the others have to wait for room */
gsize
afrpc_ring_put (AfrpcRing    *self,
                const guint8 *data,
                gsize         size)
{
  const guint32 room = get_room (self);
  guint32 n, at, n_first;

  if (room <= HEADER_SIZE)
    return 0;

  n = MIN (size, room - HEADER_SIZE);
  put_numbers (self, n, 0);
  at = self->tail & MASK;
  n_first = MIN (n, AFRPC_RING_SIZE - at);
  memcpy (self->out_data + at, data, n_first);
  memcpy (self->out_data, data + n_first, n - n_first);
  self->tail += pad (n);
  publish (self);

  return n;
}

/* Says that the next @n_bytes come by the socket. FALSE: there is no room to say it. */
gboolean
afrpc_ring_announce (AfrpcRing *self,
                     guint64    n_bytes)
{
  if (get_room (self) < 2 * HEADER_SIZE)
    return FALSE;

  put_numbers (self, BY_SOCKET, self->bells_sent);
  put_numbers (self, n_bytes, n_bytes >> 32);
  publish (self);
  self->n_announced = n_bytes;

  return TRUE;
}

/* To be called when something was put. */
gboolean
afrpc_ring_wake (AfrpcRing *self,
                 int        fd)
{
  return wake (self, &self->out->sleep, fd);
}

/* Sends a bell that is owed, before anything else goes by the socket. FALSE: it could not be sent, and errno says why. */
gboolean
afrpc_ring_pay_bell (AfrpcRing *self,
                     int        fd)
{
  if (self->owes_bell && send (fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
    self->owes_bell = FALSE;

  return !self->owes_bell;
}

/* To be called when the socket says that nothing more comes. */
gboolean
afrpc_ring_close (AfrpcRing *self,
                  int        fd)
{
  __atomic_store_n (&self->out->is_closed, TRUE, __ATOMIC_RELEASE);
  /* Who sleeps on the socket has been woken by that. */
  return wake (self, &self->out->sleep, -1);
}

/* Whether half of it is free. */
gboolean
afrpc_ring_has_room (AfrpcRing *self)
{
  return get_room (self) >= AFRPC_RING_SIZE / 2;
}

/* Has the other side tell when there is, or, for what has to go @by_socket, also somebody who takes it. FALSE: now. */
gboolean
afrpc_ring_want_room (AfrpcRing      *self,
                      AfrpcRingSleep  how,
                      gboolean        by_socket)
{
  __atomic_store_n (&self->out->room_sleep, how, __ATOMIC_SEQ_CST);
  __atomic_thread_fence (__ATOMIC_SEQ_CST);
  self->is_full = !afrpc_ring_has_room (self) || (by_socket && !afrpc_ring_is_taken (self));
  if (!self->is_full)
    __atomic_store_n (&self->out->room_sleep, AFRPC_RING_AWAKE, __ATOMIC_RELAXED);

  return self->is_full;
}

/* For a worker that has said that it waits on the futex: waits. */
void
afrpc_ring_nap_for_room (AfrpcRing *self,
                         guint      timeout_ms)
{
  nap (&self->out->room_sleep, timeout_ms);
}

/* In */

/* From now on what is there is taken, after what the socket still has. */
void
afrpc_ring_begin (AfrpcRing *self,
                  int        fd)
{
  __atomic_store_n (&self->in->is_taken, TRUE, __ATOMIC_RELEASE);
  wake (self, &self->in->room_sleep, fd);
}

static guint32
take_number (AfrpcRing *self)
{
  const guint32 *place = (const guint32 *) (gconstpointer) (self->in_data + (self->head & MASK));
  const guint32 number = __atomic_load_n (place, __ATOMIC_RELAXED);

  self->head += sizeof number;

  return number;
}

/* Begins the next record, of @n bytes that there are. FALSE: there is no such record, and nothing of it is left for who
 * would read on. */
static gboolean
take_header (AfrpcRing *self,
             guint32    n)
{
  const guint32 size = take_number (self);
  const guint32 bells = take_number (self);
  guint64 n_by_socket;

  if (size != BY_SOCKET)
    {
      self->n_left = size <= n - HEADER_SIZE ? size : 0;
      return self->n_left > 0;
    }
  if (n < 2 * HEADER_SIZE)
    return FALSE;

  self->bells_before = bells;
  n_by_socket = take_number (self);
  n_by_socket |= (guint64) take_number (self) << 32;
  self->n_by_socket = n_by_socket <= G_MAXSSIZE ? n_by_socket : 0;

  return self->n_by_socket > 0;
}

static void
take_bytes (AfrpcRing *self,
            guint8    *to,
            guint32    n)
{
  const guint32 at = self->head & MASK;
  const guint32 n_first = MIN (n, AFRPC_RING_SIZE - at);

  memcpy (to, self->in_data + at, n_first);
  memcpy (to + n_first, self->in_data, n - n_first);
  self->head += n;
  self->n_left -= n;
  if (self->n_left == 0)
    self->head = pad (self->head);
}

/* Takes what there is, and there is room for, up to what comes by the socket. Returns: how many bytes, or -1: what is
 * there is nothing that anybody has put */
gssize
afrpc_ring_take (AfrpcRing          *self,
                 const struct iovec *iov,
                 guint               n_iov)
{
  const guint32 tail = __atomic_load_n (&self->in->tail, __ATOMIC_ACQUIRE);
  gssize n_taken = 0;

  if (tail - self->head > AFRPC_RING_SIZE || (tail & 7) != 0)
    return -1;

  for (guint i = 0; i < n_iov; i++)
    for (gsize done = 0; done < iov[i].iov_len;)
      {
        guint32 n;

        if (self->n_left == 0 && self->n_by_socket == 0 && tail != self->head && !take_header (self, tail - self->head))
          return -1;
        n = MIN (iov[i].iov_len - done, self->n_left);
        if (n == 0)
          goto out;
        take_bytes (self, (guint8 *) iov[i].iov_base + done, n);
        done += n;
        n_taken += n;
      }

out:
  __atomic_store_n (&self->in->head, self->head, __ATOMIC_RELEASE);
  self->is_drained = self->head == tail && self->n_left == 0 && self->n_by_socket == 0;

  return n_taken;
}

/* To be called when something was taken. FALSE: the other side is gone. */
gboolean
afrpc_ring_told_room (AfrpcRing *self,
                      int        fd)
{
  __atomic_thread_fence (__ATOMIC_SEQ_CST);
  if (__atomic_load_n (&self->in->room_sleep, __ATOMIC_RELAXED) == AFRPC_RING_AWAKE ||
      __atomic_load_n (&self->in->tail, __ATOMIC_RELAXED) - self->head > AFRPC_RING_SIZE / 2)
    return TRUE;

  return wake (self, &self->in->room_sleep, fd);
}

/* Returns: how many bytes can be taken now, before any that come by the socket */
guint64
afrpc_ring_count (AfrpcRing *self)
{
  AfrpcRing copy = *self;
  const guint32 tail = __atomic_load_n (&self->in->tail, __ATOMIC_ACQUIRE);
  guint64 n = copy.n_left;

  copy.head = pad (copy.head + copy.n_left);
  while (copy.n_by_socket == 0 && tail - copy.head <= AFRPC_RING_SIZE && tail != copy.head)
    {
      copy.n_left = 0;
      if (!take_header (&copy, tail - copy.head))
        break;
      n += copy.n_left;
      copy.head += pad (copy.n_left);
    }

  return n;
}

/* Is woken when something comes. FALSE: something is there. */
gboolean
afrpc_ring_sleep (AfrpcRing      *self,
                  AfrpcRingSleep  how)
{
  __atomic_store_n (&self->in->sleep, how, __ATOMIC_SEQ_CST);
  __atomic_thread_fence (__ATOMIC_SEQ_CST);
  /* Who sleeps on the socket is woken by that if it is closed. */
  if (afrpc_ring_is_empty (self) && (how == AFRPC_RING_ON_SOCKET || !afrpc_ring_is_closed (self)))
    return TRUE;

  afrpc_ring_stay_awake (self);

  return FALSE;
}

/* For a worker that has said that it sleeps on the futex: sleeps. FALSE: nothing has come, and it is said now that it
 * sleeps on the socket. */
gboolean
afrpc_ring_nap (AfrpcRing *self,
                guint      timeout_ms)
{
  guint32 how = AFRPC_RING_ON_FUTEX;

  if (nap (&self->in->sleep, timeout_ms))
    return TRUE;

  /* Who puts something now has not seen that, or has woken nobody. */
  return !__atomic_compare_exchange_n (&self->in->sleep, &how, AFRPC_RING_ON_SOCKET, FALSE, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* Takes bells, up to the @n_sent of all that are on the socket, or about to be, before anything else. Returns: as recv(2) */
gssize
afrpc_ring_take_bells (AfrpcRing *self,
                       guint32    n_sent,
                       int        fd)
{
  guint8 bells[64];
  const guint32 n = MIN (n_sent - self->bells_seen, sizeof bells);
  gssize n_taken;

  do
    n_taken = recv (fd, bells, n, MSG_DONTWAIT);
  while (n_taken < 0 && errno == EINTR);
  if (n_taken > 0)
    self->bells_seen += n_taken;

  return n_taken;
}
