/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the other side may write into the memory that is shared, and send by the socket beside it: whoever reads that must
 * not crash, hang, or read anything that is not there, and must not lose a descriptor.
 *
 * Input: a byte of options, then what the other side does, step by step: a byte that says what, and whether it is looked
 * at, then what it is done with. */
#include "config.h"

#include "fuzz-main.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport-pair.h"
#include "transport/afrpc-socket-ring.h"
#include "transport/afrpc-socket.h"

#define QUEUED_MAX 100000u /* bytes */

enum
{
  OPTION_WORKER = 1 << 0, /* it is the program that does not keep to it, not the worker */
  OPTION_SOCKET = 1 << 1, /* it has not said yet that it sends by the ring */
};

enum
{
  STEP_WORD,     /* at, a byte; a number of four: into what is in front of the rings */
  STEP_BYTES,    /* at, two bytes; a byte of how many; these: into the ring */
  STEP_SEND,     /* a byte of how many; these: by the socket */
  STEP_PUT,      /* the same: into the ring, as it should be */
  STEP_ANNOUNCE, /* a number of four bytes, of how many come by the socket */
  STEP_BELL,
  STEP_CLOSE,
  STEP_QUEUE,    /* two bytes, of how many the other side sends meanwhile */
  STEP_MASK = 7,
  STEP_FD = 1 << 6,    /* with a descriptor */
  STEP_UNSEEN = 1 << 7,
};

typedef struct
{
  TransportPair pair;
  AfrpcTransport *foe;
  AfrpcTransport *self;
  const guint8 *data;
  gsize size;
  gsize n_sent; /* bytes, by the socket */
} Fuzz;

/* Beyond the end there are zeros. */
static guint32
take_number (Fuzz  *fuzz,
             gsize  size)
{
  const gsize n = MIN (size, fuzz->size);
  guint32 number = 0;

  memcpy (&number, fuzz->data, n);
  fuzz->data += n;
  fuzz->size -= n;

  return GUINT32_FROM_LE (number);
}

static const guint8 *
take_bytes (Fuzz  *fuzz,
            gsize *size)
{
  const guint8 *bytes = fuzz->data;

  *size = MIN (*size, fuzz->size);
  fuzz->data += *size;
  fuzz->size -= *size;

  return bytes;
}

static void
send_bytes (Fuzz         *fuzz,
            const guint8 *bytes,
            gsize         size,
            gboolean      with_fd)
{
  static const int fd = STDERR_FILENO;
  AfrpcWriterBatch batch = { .iov = { { (void *) bytes, size } }, .n = 1, .fds = &fd, .n_fds = with_fd ? 1 : 0 };
  gssize n;

  if (size == 0)
    return;

  n = afrpc_socket_send (fuzz->foe->out_fd, &batch);
  if (n > 0)
    fuzz->n_sent += n;
}

static void
do_step (Fuzz   *fuzz,
         guint8  step)
{
  AfrpcRing *ring = fuzz->foe->ring;
  guint32 *words = (guint32 *) (gpointer) fuzz->foe->state->ring;
  const guint8 *bytes;
  guint32 at;
  gsize size;

  switch (step & STEP_MASK)
    {
    case STEP_WORD:
      at = take_number (fuzz, 1) % (sizeof fuzz->foe->state->ring / 4);
      words[at] = take_number (fuzz, 4);
      break;

    case STEP_BYTES:
      at = take_number (fuzz, 2) % AFRPC_RING_SIZE;
      size = take_number (fuzz, 1);
      bytes = take_bytes (fuzz, &size);
      memcpy (ring->out_data + at, bytes, MIN (size, AFRPC_RING_SIZE - at));
      break;

    case STEP_SEND:
      size = take_number (fuzz, 1);
      bytes = take_bytes (fuzz, &size);
      send_bytes (fuzz, bytes, size, (step & STEP_FD) != 0);
      break;

    case STEP_PUT:
      size = take_number (fuzz, 1);
      bytes = take_bytes (fuzz, &size);
      if (size > 0)
        afrpc_ring_put (ring, bytes, size);
      break;

    case STEP_ANNOUNCE:
      afrpc_ring_announce (ring, take_number (fuzz, 4));
      ring->n_announced = 0;
      break;

    case STEP_BELL:
      ring->out->bells = ++ring->bells_sent;
      send_bytes (fuzz, (const guint8 *) "", 1, FALSE);
      break;

    case STEP_CLOSE:
      afrpc_transport_end_sending (fuzz->foe);
      break;

    default:
      size = take_number (fuzz, 2);
      if (afrpc_transport_get_queued (fuzz->self) < QUEUED_MAX)
        {
          g_autoptr(GVariant) value = transport_pair_new_bytes (size, 1);

          afrpc_transport_put_value (fuzz->self, AFRPC_FRAME_CALL, 1, value);
        }
      break;
    }
}

static void
check_frame (Fuzz       *fuzz,
             AfrpcFrame *frame)
{
  static volatile guint sum; /* so that the sanitizers see it read */
  int fd;

  for (gsize i = 0; frame->payload != NULL && i < frame->header.size; i++)
    sum = sum + frame->payload[i];
  for (guint i = 0; i < frame->header.type_length; i++)
    sum = sum + frame->type[i];
  (void) sum;
  g_assert_cmpuint ((gsize) frame->payload % 8, ==, 0);
  if (frame->payload != NULL)
    g_assert_cmpint (frame->bytes != NULL, ==, frame->header.size >= AFRPC_LARGE_PAYLOAD_MIN);

  for (guint i = 0; i < frame->header.n_fds; i++)
    {
      fd = afrpc_transport_take_fd (fuzz->self);
      if (fd >= 0)
        close (fd);
    }
}

/* There is nothing to be read, it says. */
static void
check_rest (Fuzz *fuzz)
{
  AfrpcTransport *self = fuzz->self;
  AfrpcRing *ring = self->ring;

  if (!self->reads_by_ring)
    return;

  g_assert_cmpuint (ring->n_by_socket, <=, G_MAXSSIZE);
  if (ring->n_by_socket > 0)
    return;
  g_assert_cmpuint (ring->n_left, ==, 0);
  g_assert_cmpuint (ring->head, ==, ring->in->tail);
  g_assert_cmpuint (ring->in->head, ==, ring->head);
}

/* FALSE: nothing more can come. */
static gboolean
look (Fuzz *fuzz)
{
  const guint64 position = fuzz->self->reader.position;
  const guint32 tail = fuzz->self->ring->tail;
  AfrpcTransport *self = fuzz->self;
  g_autoptr(GError) error = NULL;
  AfrpcStep step;
  AfrpcFrame frame;

  if (afrpc_transport_get_queued (self) > 0 && afrpc_transport_flush (self, &error) == AFRPC_STEP_ERROR)
    g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_cmpuint (self->ring->tail - tail, <=, AFRPC_RING_SIZE);
  if (afrpc_transport_may_wait (self))
    afrpc_transport_count_arrived (self);

  for (gsize n_reads = 0;;)
    {
      while ((step = afrpc_transport_next (self, &frame, &error)) == AFRPC_STEP_DONE || step == AFRPC_STEP_SLICE)
        {
          if (step == AFRPC_STEP_DONE)
            check_frame (fuzz, &frame);
          if (step != AFRPC_STEP_DONE || frame.header.kind != AFRPC_FRAME_RING)
            continue;
          if (!afrpc_transport_may_read_by_ring (self))
            return FALSE;
          afrpc_transport_read_by_ring (self);
        }
      if (step == AFRPC_STEP_AGAIN)
        step = afrpc_transport_read (self, &error);
      g_assert_cmpint (step == AFRPC_STEP_ERROR, ==, error != NULL);
      if (step == AFRPC_STEP_AGAIN)
        check_rest (fuzz);
      if (step != AFRPC_STEP_DONE)
        return step == AFRPC_STEP_AGAIN;
      /* Each takes something, and nothing comes meanwhile. */
      g_assert_cmpuint (++n_reads, <=, AFRPC_RING_SIZE + fuzz->n_sent);
      g_assert_cmpuint (self->reader.position - position, <=, AFRPC_RING_SIZE + fuzz->n_sent);
    }
}

static void
init_pair (Fuzz  *fuzz,
           guint  options)
{
  int fd;

  transport_pair_init (&fuzz->pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  fd = afrpc_transport_share_state (&fuzz->pair.from);
  g_assert_no_errno (fd);
  g_assert_true (afrpc_transport_take_state (&fuzz->pair.to, fd, NULL));
  close (fd);
  afrpc_transport_offer_ring (&fuzz->pair.from);
  afrpc_transport_offer_ring (&fuzz->pair.to);
  afrpc_transport_send_by_ring (&fuzz->pair.to);

  fuzz->self = (options & OPTION_WORKER) != 0 ? &fuzz->pair.to : &fuzz->pair.from;
  fuzz->foe = (options & OPTION_WORKER) != 0 ? &fuzz->pair.from : &fuzz->pair.to;
  fuzz->foe->sends_by_ring = TRUE;
  fuzz->foe->funcs = &afrpc_ring_funcs;
  if ((options & OPTION_SOCKET) == 0)
    afrpc_transport_read_by_ring (fuzz->self);
}

static void
run (Fuzz *fuzz)
{
  guint8 step;

  init_pair (fuzz, take_number (fuzz, 1));
  while (fuzz->size > 0)
    {
      step = take_number (fuzz, 1);
      do_step (fuzz, step);
      if ((step & STEP_UNSEEN) == 0 && !look (fuzz))
        break;
    }

  /* What is there when the other side is gone is looked at, too. */
  afrpc_transport_disconnect (fuzz->foe);
  look (fuzz);
  transport_pair_clear (&fuzz->pair);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  const int next_fd = fuzz_get_next_fd ();
  Fuzz fuzz = { .data = data, .size = size };

  run (&fuzz);
  g_assert_cmpint (fuzz_get_next_fd (), ==, next_fd);

  return 0;
}
