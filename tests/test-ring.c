/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket with a ring beside it: what goes by which keeps its order, whoever sleeps is woken, and whatever the other side
 * writes into the memory that is shared is survived. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "transport-pair.h"
#include "transport/afrpc-socket-ring.h"
#include "transport/afrpc-socket.h"

#define WINDOW 600u

/* Both sides, as they are when the worker has said that it sends by the ring. */
static void
init_pair (TransportPair *pair,
           int            flags)
{
  int fd;

  transport_pair_init (pair, TRANSPORT_WAY_SOCKET, flags);
  fd = afrpc_transport_share_state (&pair->from);
  g_assert_no_errno (fd);
  g_assert_true (afrpc_transport_take_state (&pair->to, fd, NULL));
  close (fd);
  afrpc_transport_offer_ring (&pair->from);
  afrpc_transport_offer_ring (&pair->to);
  afrpc_transport_send_by_ring (&pair->to);
  g_assert_true (afrpc_transport_may_read_by_ring (&pair->from));
  afrpc_transport_read_by_ring (&pair->from);
}

/* FALSE: nothing is there, or nothing more is going to be (@step). What says that the other side has switched over is not
 * told. */
static gboolean
take (AfrpcTransport *self,
      AfrpcFrame     *frame,
      AfrpcStep      *step)
{
  for (;;)
    {
      while ((*step = afrpc_transport_next (self, frame, NULL)) == AFRPC_STEP_SLICE)
        ;
      if (*step == AFRPC_STEP_DONE && frame->header.kind == AFRPC_FRAME_RING)
        {
          if (!afrpc_transport_may_read_by_ring (self))
            *step = AFRPC_STEP_ERROR;
          else
            afrpc_transport_read_by_ring (self);
        }
      else if (*step == AFRPC_STEP_DONE)
        return TRUE;
      if (*step == AFRPC_STEP_AGAIN)
        *step = afrpc_transport_read (self, NULL);
      if (*step != AFRPC_STEP_DONE)
        return FALSE;
    }
}

/* Mostly of a few bytes, sometimes of more than the ring has, or of more than is put there at all. */
static gsize
random_size (GRand *rand)
{
  switch (g_rand_int_range (rand, 0, 20))
    {
    case 0:
      return g_rand_int_range (rand, 0, 70000);

    case 1:
      return AFRPC_LARGE_PAYLOAD_MIN + g_rand_int_range (rand, -9, 9);

    case 2:
      return g_rand_int_range (rand, 0, AFRPC_LARGE_PAYLOAD_MIN);

    default:
      return g_rand_int_range (rand, 0, 100);
    }
}

static void
put (AfrpcTransport *self,
     guint64         serial,
     gsize           size)
{
  g_autoptr(GVariant) value = transport_pair_new_bytes (size, serial);

  afrpc_transport_put_value (self, AFRPC_FRAME_CALL, serial, value);
}

static void
check (AfrpcFrame *frame,
       guint64     serial)
{
  g_autoptr(GVariant) value = transport_pair_new_bytes (frame->header.size, serial);

  transport_pair_check_frame (frame, serial, value);
}

/* One thread is both sides, which send and take at random. */
static void
test_ring_order (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  const guint n = g_test_slow () ? 200000 : 6000;
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("What goes by the ring and what goes by the socket keep their order, with their descriptors");
  {
    g_auto(TransportPair) pair = { 0 };
    AfrpcTransport *sides[2];
    guint64 n_put[2] = { 0 }, n_taken[2] = { 0 };

    init_pair (&pair, O_NONBLOCK);
    sides[0] = &pair.from;
    sides[1] = &pair.to;
    while (n_taken[0] < n || n_taken[1] < n)
      {
        const guint i = g_rand_boolean (rand);
        AfrpcFrame frame;
        AfrpcStep step;

        switch (g_rand_int_range (rand, 0, 4))
          {
          case 0:
            for (guint j = g_rand_int_range (rand, 0, 30); j > 0 && n_put[i] < n && n_put[i] - n_taken[1 - i] < WINDOW; j--)
              if (g_rand_int_range (rand, 0, 50) > 0)
                put (sides[i], ++n_put[i], random_size (rand));
              else
                {
                  const int fd = dup (STDERR_FILENO);
                  g_autoptr(GVariant) value = transport_pair_new_bytes (random_size (rand), ++n_put[i]);
                  AfrpcPayload payload = afrpc_payload (value);

                  payload.fds = &fd;
                  payload.n_fds = 1;
                  afrpc_transport_put_payload (sides[i], AFRPC_FRAME_CALL, n_put[i], &payload);
                }
            break;

          case 1:
            step = afrpc_transport_flush (sides[i], NULL);
            g_assert_true (step == AFRPC_STEP_DONE || step == AFRPC_STEP_AGAIN);
            break;

          default:
            /* As those do who are told by it when to look. */
            if (g_rand_boolean (rand) && afrpc_transport_may_wait (sides[i]))
              {
                struct pollfd poller = { sides[i]->in_fd, POLLIN, 0 };

                if (poll (&poller, 1, 0) == 0)
                  break;
              }
            while (g_rand_int_range (rand, 0, 40) > 0 && take (sides[i], &frame, &step))
              {
                const int fd = frame.header.n_fds > 0 ? afrpc_transport_take_fd (sides[i]) : -1;

                g_assert_cmpint (fd >= 0, ==, frame.header.n_fds > 0);
                if (fd >= 0)
                  close (fd);
                check (&frame, ++n_taken[i]);
              }
          }
      }
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

/* Sends back what it gets. */
static gpointer
worker_main (gpointer data)
{
  AfrpcTransport *self = data;
  AfrpcFrame frame;
  AfrpcStep step;

  for (;;)
    {
      if (take (self, &frame, &step))
        {
          put (self, frame.header.serial, frame.header.size);
          while (afrpc_transport_flush (self, NULL) == AFRPC_STEP_AGAIN)
            afrpc_transport_wait_writable (self);
        }
      else if (step == AFRPC_STEP_EOF)
        return NULL;
      else
        {
          g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
          afrpc_transport_wait_readable (self);
        }
    }
}

/* Waits as a main loop does. */
static void
wait_for (AfrpcTransport *self)
{
  struct pollfd poller = { self->in_fd, afrpc_transport_is_stuck (self) ? POLLIN | POLLOUT : POLLIN, 0 };

  if (afrpc_transport_may_wait (self))
    poll (&poller, 1, -1);
}

static void
test_ring_threads (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  const guint n = g_test_slow () ? 3000000 : 20000;
  g_auto(TransportPair) pair = { 0 };
  guint64 n_put = 0, n_taken = 0;
  GThread *thread;
  AfrpcFrame frame;
  AfrpcStep step;

  g_test_summary ("Whoever sleeps is woken by what comes for him, and by room");
  init_pair (&pair, 0);
  afrpc_transport_set_nonblocking (&pair.from);
  thread = g_thread_new ("worker", worker_main, &pair.to);
  while (n_taken < n)
    {
      /* One at a time, or as many as there may be. */
      const guint window = g_rand_int_range (rand, 0, 3) > 0 ? 1 : WINDOW;

      while (n_put < n && n_put - n_taken < window)
        put (&pair.from, ++n_put, random_size (rand));
      step = afrpc_transport_flush (&pair.from, NULL);
      g_assert_true (step == AFRPC_STEP_DONE || step == AFRPC_STEP_AGAIN);
      wait_for (&pair.from);
      while (take (&pair.from, &frame, &step))
        check (&frame, ++n_taken);
      g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
    }
  afrpc_transport_end_sending (&pair.from);
  g_thread_join (thread);
}

static void
test_ring_end (void)
{
  g_test_summary ("What was put before the other side was gone is taken before that is told");
  for (guint n = 0; n < 200; n++)
    {
      g_auto(TransportPair) pair = { 0 };
      guint64 n_taken = 0;
      AfrpcFrame frame;
      AfrpcStep step;

      init_pair (&pair, O_NONBLOCK);
      for (guint i = 1; i <= n; i++)
        put (&pair.to, i, i % 16);
      step = afrpc_transport_flush (&pair.to, NULL);
      g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
      afrpc_transport_disconnect (&pair.to);
      while (take (&pair.from, &frame, &step))
        check (&frame, ++n_taken);
      g_assert_cmpint (step, ==, AFRPC_STEP_EOF);
      g_assert_cmpuint (n_taken, ==, n);
      g_assert_true (afrpc_transport_knows_started (&pair.from));
    }
}

/* Puts some, and goes. */
static gpointer
brief_main (gpointer data)
{
  AfrpcTransport *self = data;

  for (guint i = 1; i <= 20; i++)
    {
      put (self, i, 10);
      g_assert_cmpint (afrpc_transport_flush (self, NULL), ==, AFRPC_STEP_DONE);
    }
  afrpc_transport_disconnect (self);

  return NULL;
}

static void
test_ring_end_meanwhile (void)
{
  const guint n = g_test_slow () ? 100000 : 2000;

  g_test_summary ("The same, while it is being looked at");
  for (guint i = 0; i < n; i++)
    {
      g_auto(TransportPair) pair = { 0 };
      guint64 n_taken = 0;
      AfrpcFrame frame;
      AfrpcStep step;
      GThread *thread;

      init_pair (&pair, O_NONBLOCK);
      thread = g_thread_new ("brief", brief_main, &pair.to);
      do
        while (take (&pair.from, &frame, &step))
          check (&frame, ++n_taken);
      while (step == AFRPC_STEP_AGAIN);
      g_assert_cmpint (step, ==, AFRPC_STEP_EOF);
      g_assert_cmpuint (n_taken, ==, 20);
      g_thread_join (thread);
    }
}

static void
test_ring_look (void)
{
  g_auto(TransportPair) pair = { 0 };
  AfrpcFrame frame;
  AfrpcStep step;

  g_test_summary ("Nobody waits for what is there");
  init_pair (&pair, O_NONBLOCK);
  g_assert_true (afrpc_transport_may_wait (&pair.from));
  put (&pair.to, 1, 10);
  g_assert_cmpint (afrpc_transport_flush (&pair.to, NULL), ==, AFRPC_STEP_DONE);
  g_assert_false (afrpc_transport_may_wait (&pair.from));
  g_assert_cmpuint (afrpc_transport_count_arrived (&pair.from), ==, afrpc_frame_pad (AFRPC_FRAME_HEADER_SIZE + 8 + 10));
  g_assert_true (take (&pair.from, &frame, &step));
  g_assert_cmpuint (afrpc_transport_count_arrived (&pair.from), ==, 0);
  g_assert_true (afrpc_transport_may_wait (&pair.from));
}

static void
test_ring_committed (void)
{
  g_auto(TransportPair) pair = { 0 };
  const int size = 4096;
  AfrpcFrame frame;
  AfrpcStep step;
  guint64 position;

  g_test_summary ("What was announced cannot be taken back, though it is not sent yet");
  init_pair (&pair, O_NONBLOCK);
  g_assert_no_errno (setsockopt (pair.from.out_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  put (&pair.from, 1, 10);
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  g_assert_true (take (&pair.to, &frame, &step));
  check (&frame, 1);

  put (&pair.from, 2, 300000);
  position = afrpc_writer_get_position (&pair.from.writer);
  put (&pair.from, 3, 10);
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_true (afrpc_transport_is_stuck (&pair.from));
  g_assert_false (afrpc_writer_drop (&pair.from.writer, position));
  put (&pair.from, 4, 10);
  for (guint64 n_taken = 1; n_taken < 4;)
    if (take (&pair.to, &frame, &step))
      check (&frame, ++n_taken);
    else
      afrpc_transport_flush (&pair.from, NULL);
}

/* FALSE: the socket had room for it, or not for what came before. */
static gboolean
owe_bell (TransportPair *pair,
          gsize          size)
{
  put (&pair->from, 1, size);
  if (afrpc_transport_flush (&pair->from, NULL) != AFRPC_STEP_DONE)
    return FALSE;

  /* As it is seen by who looks while the other side is about to be awake. */
  pair->from.ring->out->sleep = AFRPC_RING_ON_SOCKET;
  put (&pair->from, 2, 10);
  g_assert_cmpint (afrpc_transport_flush (&pair->from, NULL), ==, AFRPC_STEP_DONE);

  return pair->from.ring->owes_bell;
}

static void
test_ring_bell_owed (void)
{
  const int sndbuf = AFRPC_LARGE_PAYLOAD_MIN;
  guint n_owed = 0;

  g_test_summary ("A bell that was counted is sent, before anything else, though there was no room for it at first");
  for (gsize size = AFRPC_LARGE_PAYLOAD_MIN; size < 4 * AFRPC_LARGE_PAYLOAD_MIN; size += 128)
    {
      g_auto(TransportPair) pair = { 0 };
      guint64 n_taken = 0;
      AfrpcFrame frame;
      AfrpcStep step;

      init_pair (&pair, O_NONBLOCK);
      g_assert_no_errno (setsockopt (pair.from.out_fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf));
      put (&pair.from, 0, 0);
      g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
      g_assert_true (take (&pair.to, &frame, &step));
      if (!owe_bell (&pair, size))
        continue;

      n_owed++;
      g_assert_cmpuint (pair.from.ring->out->bells, ==, 1);
      while (take (&pair.to, &frame, &step))
        check (&frame, ++n_taken);
      g_assert_cmpuint (n_taken, ==, 2);
      put (&pair.from, 3, size);
      g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), !=, AFRPC_STEP_ERROR);
      while (take (&pair.to, &frame, &step))
        check (&frame, ++n_taken);
      g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
      g_assert_cmpuint (n_taken, ==, 3);
      g_assert_cmpuint (pair.to.ring->bells_seen, ==, 1);
    }
  g_assert_cmpuint (n_owed, >, 0);
}

static void
test_ring_full (void)
{
  g_auto(TransportPair) pair = { 0 };
  struct pollfd poller = { -1, POLLIN, 0 };
  guint64 n_put = 0, n_taken = 0;
  AfrpcFrame frame;
  AfrpcStep step;

  g_test_summary ("Who has filled the ring does not wait for the socket, and is told when half of it is free");
  init_pair (&pair, O_NONBLOCK);
  poller.fd = pair.from.in_fd;
  while ((step = afrpc_transport_flush (&pair.from, NULL)) == AFRPC_STEP_DONE)
    put (&pair.from, ++n_put, 500);
  g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
  g_assert_cmpuint (n_put * 500, <=, AFRPC_RING_SIZE + 1000);
  g_assert_false (afrpc_transport_is_stuck (&pair.from));
  g_assert_true (afrpc_transport_may_wait (&pair.from));
  g_assert_cmpint (poll (&poller, 1, 0), ==, 0);

  while (take (&pair.to, &frame, &step))
    check (&frame, ++n_taken);
  g_assert_cmpint (poll (&poller, 1, 0), ==, 1);
  g_assert_cmpint (afrpc_transport_read (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (poll (&poller, 1, 0), ==, 0);
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  while (take (&pair.to, &frame, &step))
    check (&frame, ++n_taken);
  g_assert_cmpuint (n_taken, ==, n_put);
}

/* The other side is not there when it is needed. */
static void
test_ring_gone (void)
{
  g_auto(TransportPair) pair = { 0 };
  AfrpcStep step;

  g_test_summary ("A worker whose answers nobody takes any more waits for no room");
  init_pair (&pair, O_NONBLOCK);
  while ((step = afrpc_transport_flush (&pair.to, NULL)) == AFRPC_STEP_DONE)
    put (&pair.to, 1, 500);
  g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
  afrpc_transport_disconnect (&pair.from);
  while ((step = afrpc_transport_flush (&pair.to, NULL)) == AFRPC_STEP_AGAIN)
    afrpc_transport_wait_writable (&pair.to);
  g_assert_cmpint (step, ==, AFRPC_STEP_EOF);
}

static void
test_ring_foreign_bytes (void)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("What comes by the socket without being announced is not afrpc's");
  init_pair (&pair, O_NONBLOCK);
  g_assert_cmpint (send (pair.to.out_fd, "x", 1, 0), ==, 1);
  g_assert_cmpint (afrpc_transport_read (&pair.from, &error), ==, AFRPC_STEP_ERROR);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
}

/* Into some of the @n words of a ring of words, near @near. */
static void
scribble (GRand   *rand,
          guint32 *words,
          guint    n_words,
          guint    near)
{
  for (guint n = g_rand_int_range (rand, 0, 4); n > 0; n--)
    {
      const guint at = (near + g_rand_int_range (rand, 0, 32)) % n_words;

      switch (g_rand_int_range (rand, 0, 4))
        {
        case 0:
          words[at] = g_rand_int (rand);
          break;

        case 1:
          words[at] += g_rand_int_range (rand, -16, 16);
          break;

        case 2:
          words[at] = G_MAXUINT32;
          break;

        default:
          words[at] ^= 1u << g_rand_int_range (rand, 0, 32);
        }
    }
}

static void
test_ring_scribble (void)
{
  const guint n = g_test_slow () ? 20000 : 500;
  guint n_errors = 0;

  g_test_summary ("Whatever is written into the memory that is shared, each step ends, and nothing is read beside it");
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_auto(TransportPair) pair = { 0 };
      AfrpcTransport *sides[2];
      AfrpcStep step = AFRPC_STEP_DONE;

      init_pair (&pair, O_NONBLOCK);
      sides[0] = &pair.from;
      sides[1] = &pair.to;
      for (guint j = 0; j < 100 && step != AFRPC_STEP_ERROR; j++)
        {
          const guint k = g_rand_boolean (rand);
          AfrpcFrame frame;

          put (sides[k], 1, random_size (rand));
          step = afrpc_transport_flush (sides[k], NULL);
          if (g_rand_int_range (rand, 0, 4) == 0)
            scribble (rand, (guint32 *) pair.from.state->ring, sizeof pair.from.state->ring / 4, 32 * g_rand_boolean (rand));
          else
            scribble (rand, (guint32 *) (gpointer) sides[k]->ring->out_data, AFRPC_RING_SIZE / 4,
                      sides[1 - k]->ring->head / 4);
          if (afrpc_transport_may_wait (sides[1 - k]))
            afrpc_transport_count_arrived (sides[1 - k]);
          for (guint m = 0; m < 100 && take (sides[1 - k], &frame, &step); m++)
            ;
        }
      n_errors += step == AFRPC_STEP_ERROR;
    }
  g_assert_cmpuint (n_errors, >, n / 4);
}

static void
check_impossible (guint32        tail,
                  const guint32 *numbers,
                  guint          n_numbers)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;

  init_pair (&pair, O_NONBLOCK);
  memset (pair.to.ring->out_data, 1, AFRPC_RING_SIZE);
  memcpy (pair.to.ring->out_data, numbers, n_numbers * sizeof numbers[0]);
  pair.to.ring->out->tail = tail;
  g_assert_false (afrpc_transport_may_wait (&pair.from));
  afrpc_transport_count_arrived (&pair.from);
  g_assert_cmpint (afrpc_transport_read (&pair.from, &error), ==, AFRPC_STEP_ERROR);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  g_assert_cmpuint (pair.from.ring->n_left, ==, 0);
  g_assert_cmpuint (pair.from.ring->n_by_socket, ==, 0);
}

static void
test_ring_impossible (void)
{
  const guint32 tails[] = { AFRPC_RING_SIZE + 8, 2 * AFRPC_RING_SIZE, G_MAXUINT32 - 7, 4 };
  const guint32 records[][4] = {
    { 0, 0, 0, 0 },                        /* of nothing */
    { 9, 0, 0, 0 },                        /* of more than there is */
    { 24, 0, 0, 0 },
    { G_MAXUINT32 - 1, 0, 0, 0 },
    { G_MAXUINT32, 0, 0, 0 },              /* nothing by the socket, or more than there can be */
    { G_MAXUINT32, 0, 8, 0x80000000 },
  };

  g_test_summary ("More than a ring has, or a part of a number, is not there; nor is a record of nothing, or of more than is there");
  for (guint i = 0; i < G_N_ELEMENTS (tails); i++)
    check_impossible (tails[i], (const guint32[]) { 8, 0 }, 2);
  for (guint i = 0; i < G_N_ELEMENTS (records); i++)
    check_impossible (16, records[i], 4);
  /* Its second half is not there. */
  check_impossible (8, (const guint32[]) { G_MAXUINT32, 0, 8, 0 }, 4);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/ring/order", test_ring_order);
  g_test_add_func ("/ring/threads", test_ring_threads);
  g_test_add_func ("/ring/end", test_ring_end);
  g_test_add_func ("/ring/end-meanwhile", test_ring_end_meanwhile);
  g_test_add_func ("/ring/look", test_ring_look);
  g_test_add_func ("/ring/committed", test_ring_committed);
  g_test_add_func ("/ring/bell-owed", test_ring_bell_owed);
  g_test_add_func ("/ring/full", test_ring_full);
  g_test_add_func ("/ring/gone", test_ring_gone);
  g_test_add_func ("/ring/foreign-bytes", test_ring_foreign_bytes);
  g_test_add_func ("/ring/impossible", test_ring_impossible);
  g_test_add_func ("/ring/scribble", test_ring_scribble);

  return g_test_run ();
}
