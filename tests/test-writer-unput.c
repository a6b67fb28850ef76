/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "narrow-socket.h"
#include "own-process.h"
#include "transport-pair.h"

/* What was queued, as a test remembers it. */
typedef struct
{
  guint64 position;
  guint64 serial;
  GVariant *value;
  guint n_fds;
  ino_t inodes[2];
} Queued;

static void
queued_clear (gpointer data)
{
  g_variant_unref (((Queued *) data)->value);
}

static GArray *
queue_new (void)
{
  GArray *queue = g_array_new (FALSE, FALSE, sizeof (Queued));

  g_array_set_clear_func (queue, queued_clear);

  return queue;
}

/* Payloads that go into the buffer and such that do not, with and without padding, with no, one and two descriptors. */
static const struct
{
  gsize size;
  guint n_fds;
} kinds[] = {
  { 1, 0 }, { 8, 2 }, { 0, 0 }, { 100, 1 }, { AFRPC_LARGE_PAYLOAD_MIN, 0 }, { AFRPC_LARGE_PAYLOAD_MIN + 3, 1 },
  { AFRPC_LARGE_PAYLOAD_MIN - 1, 0 }, { AFRPC_LARGE_PAYLOAD_MIN + 9, 2 },
};

static void
put (AfrpcTransport *transport,
     GArray         *queue,
     guint           kind,
     guint64         serial)
{
  Queued queued = {
    .position = afrpc_writer_get_position (&transport->writer),
    .serial = serial,
    .value = transport_pair_new_bytes (kinds[kind].size, serial),
    .n_fds = kinds[kind].n_fds,
  };
  AfrpcPayload payload = afrpc_payload (queued.value);
  int fds[2];

  for (guint i = 0; i < queued.n_fds; i++)
    {
      struct stat st;

      fds[i] = memfd_create ("test", MFD_CLOEXEC);
      g_assert_no_errno (fstat (fds[i], &st));
      queued.inodes[i] = st.st_ino;
    }
  payload.fds = fds;
  payload.n_fds = queued.n_fds;
  afrpc_transport_put_payload (transport, AFRPC_FRAME_CALL, serial, &payload);
  g_array_append_val (queue, queued);
}

static gboolean
moved_cb (const AfrpcFrameHeader *header,
          guint64                 position,
          gpointer                data)
{
  GArray *queue = data;

  for (guint i = 0; i < queue->len; i++)
    {
      Queued *queued = &g_array_index (queue, Queued, i);

      if (queued->serial == header->serial)
        {
          queued->position = position;
          return TRUE;
        }
    }

  return FALSE;
}

static gboolean
drop (AfrpcTransport *transport,
      GArray         *queue,
      guint           i)
{
  const gboolean is_written = afrpc_writer_has_written (&transport->writer, g_array_index (queue, Queued, i).position);
  const gboolean is_dropped = afrpc_writer_drop (&transport->writer, g_array_index (queue, Queued, i).position);

  g_assert_cmpint (is_dropped, ==, !is_written);
  if (is_dropped)
    g_array_remove_index (queue, i);

  return is_dropped;
}

/* Everything arrives that was queued and not dropped, and nothing else. */
static void
check_arrives (TransportPair *pair,
               GArray        *queue)
{
  for (guint i = 0; i < queue->len; i++)
    {
      Queued *queued = &g_array_index (queue, Queued, i);
      AfrpcFrame frame;

      transport_pair_receive (pair, &frame);
      transport_pair_check_frame (&frame, queued->serial, queued->value);
      g_assert_cmpuint (frame.header.n_fds, ==, queued->n_fds);
      for (guint j = 0; j < queued->n_fds; j++)
        {
          int fd = afrpc_transport_take_fd (&pair->to);
          struct stat st;

          g_assert_no_errno (fstat (fd, &st));
          g_assert_cmpuint (st.st_ino, ==, queued->inodes[j]);
          close (fd);
        }
    }
  g_assert_cmpint (afrpc_transport_flush (&pair->from, NULL), ==, AFRPC_STEP_DONE);
  transport_pair_assert_idle (pair);
  g_assert_cmpuint (pair->from.writer.dropped_size, ==, 0);
  g_assert_cmpuint (pair->from.writer.attached_size, ==, 0);
}

/* Frames of three kinds, of which some are dropped after @room bytes were written. */
static void
check_drop (guint first,
            guint dropped,
            gsize room)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GArray) queue = queue_new ();

  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < 4; i++)
    put (&pair.from, queue, (first + i) % G_N_ELEMENTS (kinds), i + 1);
  narrow_socket_room = room;
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
  for (guint i = 4; i-- > 0;)
    if ((dropped & 1 << i) != 0)
      drop (&pair.from, queue, i);
  narrow_socket_room = G_MAXSIZE;
  check_arrives (&pair, queue);
}

static void
test_unput_anywhere (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("Whatever was written of whichever frames, those of which nothing was can be dropped");
  for (guint first = 0; first < G_N_ELEMENTS (kinds); first++)
    for (guint dropped = 0; dropped < 16; dropped++)
      {
        gsize room = 0;

        /* Each byte of what is small, and of what is large the beginning and the end. */
        for (guint i = 0; i < 4; i++)
          {
            const gsize size = kinds[(first + i) % G_N_ELEMENTS (kinds)].size;
            const gsize total = AFRPC_FRAME_HEADER_SIZE + 8 + afrpc_frame_pad (size);
            const gboolean is_last = i == 3;

            for (gsize n = 0; n < total; n += n >= 40 && n + 60 < total ? total - n - 40 : dropped == 10 ? 1 : 11)
              check_drop (first, dropped, room + n);
            if (is_last)
              break;
            room += total;
          }
      }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_unput_at_once (void)
{
  const guint n_fds = own_process_count_fds ();
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GArray) queue = queue_new ();
  gsize queued;

  g_test_summary ("What was queued by reference is given back at once, and no more counts as queued");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  put (&pair.from, queue, 0, 1);
  queued = afrpc_transport_get_queued (&pair.from);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    put (&pair.from, queue, i, i + 2);
  put (&pair.from, queue, 0, 20);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_assert_true (drop (&pair.from, queue, 1));
      g_assert_true (i == 7 || afrpc_transport_get_queued (&pair.from) > 2 * queued);
    }
  g_assert_cmpuint (afrpc_transport_get_queued (&pair.from), ==, 2 * queued);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);
  for (guint i = 0; i < pair.from.writer.attachments_end; i++)
    g_assert_null (pair.from.writer.attachments[i].bytes);
  check_arrives (&pair, queue);

  /* With the last one the buffer goes, too. */
  g_array_set_size (queue, 0);
  for (guint i = 0; i < 100; i++)
    put (&pair.from, queue, 6, i + 30);
  while (queue->len > 0)
    g_assert_true (drop (&pair.from, queue, queue->len / 2));
  g_assert_cmpuint (afrpc_transport_get_queued (&pair.from), ==, 0);
  g_assert_null (pair.from.writer.data);
}

typedef enum
{
  ORDER_UP,
  ORDER_DOWN,
  ORDER_RANDOM,
} Order;

static gboolean
count_moved_cb (const AfrpcFrameHeader *header,
                guint64                 position,
                gpointer                data)
{
  guint64 **positions = data;

  positions[0][header->serial] = position;
  (*positions[1])++;

  return TRUE;
}

static void
test_unput_many (gconstpointer data)
{
  const Order order = GPOINTER_TO_UINT (data);
  const guint n_calls = 100000;
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_uint32 (1));
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  g_autofree guint64 *positions = g_new (guint64, n_calls + 1);
  g_autofree guint *left = g_new (guint, n_calls);
  guint64 n_moved = 0;
  guint64 *told[] = { positions, &n_moved };

  g_test_summary ("Each of many frames costs the same to drop, with an attempt to write after each");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < n_calls; i++)
    {
      positions[i + 1] = afrpc_writer_get_position (&pair.from.writer);
      left[i] = order == ORDER_UP ? n_calls - i : i + 2;
      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i + 1, value);
    }
  narrow_socket_room = 5;
  g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_false (afrpc_writer_drop (&pair.from.writer, positions[1]));
  for (guint n = n_calls - 1; n > 0; n--)
    {
      const guint i = order == ORDER_RANDOM ? (guint) g_rand_int_range (rand, 0, n) : n - 1;

      g_assert_true (afrpc_writer_drop (&pair.from.writer, positions[left[i]]));
      left[i] = left[n - 1];
      if (afrpc_writer_is_sparse (&pair.from.writer))
        afrpc_writer_compact (&pair.from.writer, count_moved_cb, told);
      g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
    }
  narrow_socket_room = G_MAXSIZE;

  /* Half of what there is each time. */
  g_assert_cmpuint (n_moved, <=, 2 * n_calls);
  g_assert_cmpuint (afrpc_transport_get_queued (&pair.from), ==, AFRPC_FRAME_HEADER_SIZE + 16 - 5);
  transport_pair_receive_value (&pair, 1, value);
  transport_pair_assert_idle (&pair);
}

/* Does anything that can be done, in any order. */
static void
check_random (GRand *rand)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GArray) queue = queue_new ();
  gboolean keeps = FALSE;
  guint64 serial = 0;

  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < 3; i++)
    put (&pair.from, queue, g_rand_int_range (rand, 0, G_N_ELEMENTS (kinds)), ++serial);
  if (g_rand_boolean (rand))
    {
      narrow_socket_room = g_rand_int_range (rand, 0, 60000);
      afrpc_transport_flush (&pair.from, NULL);
      /* What came before is not what is kept. */
      afrpc_writer_keep (&pair.from.writer);
      keeps = TRUE;
      if (g_rand_boolean (rand))
        {
          narrow_socket_room = G_MAXSIZE;
          check_arrives (&pair, queue);
        }
      g_array_set_size (queue, 0);
    }

  for (guint i = g_rand_int_range (rand, 0, 60); i > 0; i--)
    switch (g_rand_int_range (rand, 0, 4))
      {
      case 0:
        put (&pair.from, queue, g_rand_int_range (rand, 0, G_N_ELEMENTS (kinds)), ++serial);
        break;

      case 1:
        if (queue->len > 0)
          drop (&pair.from, queue, g_rand_int_range (rand, 0, queue->len));
        break;

      case 2:
        narrow_socket_room = g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 100 : 30000);
        afrpc_transport_flush (&pair.from, NULL);
        break;

      default:
        if (g_rand_int_range (rand, 0, 5) == 0)
          afrpc_writer_compact (&pair.from.writer, moved_cb, queue);
      }

  narrow_socket_room = G_MAXSIZE;
  if (keeps)
    {
      g_auto(TransportPair) next = { 0 };

      transport_pair_init (&next, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
      if (g_rand_boolean (rand) && queue->len > 0)
        g_array_remove_index (queue, g_rand_int_range (rand, 0, queue->len));
      afrpc_writer_put_rest (&next.from.writer, &pair.from.writer, moved_cb, queue);
      for (guint i = 0; i < queue->len; i++)
        g_assert_false (afrpc_writer_has_written (&next.from.writer, g_array_index (queue, Queued, i).position));
      if (queue->len > 0)
        drop (&next.from, queue, g_rand_int_range (rand, 0, queue->len));
      check_arrives (&next, queue);
    }
  else
    check_arrives (&pair, queue);
}

static void
test_unput_random (void)
{
  const guint n_fds = own_process_count_fds ();
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  g_test_summary ("Queueing, dropping, writing and keeping in any order lose nothing, and nothing goes twice");
  for (guint i = 0; i < 1500; i++)
    {
      check_random (rand);
      g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
    }
}

static void
test_unput_kept (void)
{
  const guint n_fds = own_process_count_fds ();
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GArray) queue = queue_new ();
  gsize queued;

  g_test_summary ("What is kept has been written like anything else, and is forgotten when it is not needed any more");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  put (&pair.from, queue, 5, 1);
  put (&pair.from, queue, 7, 2);
  queued = afrpc_transport_get_queued (&pair.from);
  afrpc_writer_keep (&pair.from.writer);
  g_assert_cmpuint (afrpc_writer_get_kept (&pair.from.writer), ==, 0);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (kinds); i++)
    put (&pair.from, queue, i % G_N_ELEMENTS (kinds), i + 3);
  queued = afrpc_transport_get_queued (&pair.from) - queued;
  check_arrives (&pair, queue);
  g_assert_cmpuint (afrpc_transport_get_queued (&pair.from), ==, 0);
  g_assert_cmpuint (afrpc_writer_get_kept (&pair.from.writer), ==, queued);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2 + 12);

  afrpc_writer_forget_kept (&pair.from.writer);
  g_assert_cmpuint (afrpc_writer_get_kept (&pair.from.writer), ==, 0);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);
  g_assert_cmpuint (pair.from.writer.attachments_end, ==, 0);
  g_assert_cmpuint (pair.from.writer.tail, ==, 0);
  g_array_set_size (queue, 0);
  put (&pair.from, queue, 5, 1);
  check_arrives (&pair, queue);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/writer-unput/anywhere", test_unput_anywhere);
  g_test_add_func ("/writer-unput/at-once", test_unput_at_once);
  g_test_add_data_func ("/writer-unput/many/up", GUINT_TO_POINTER (ORDER_UP), test_unput_many);
  g_test_add_data_func ("/writer-unput/many/down", GUINT_TO_POINTER (ORDER_DOWN), test_unput_many);
  g_test_add_data_func ("/writer-unput/many/random", GUINT_TO_POINTER (ORDER_RANDOM), test_unput_many);
  g_test_add_func ("/writer-unput/random", test_unput_random);
  g_test_add_func ("/writer-unput/kept", test_unput_kept);

  return g_test_run ();
}
