/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "transport-pair.h"
#include "transport/afrpc-socket.h"

#define N_ROUNDS (g_test_thorough () ? 50000 : 2000)

#define N_FDS_MAX 4

/* What was sent. */
typedef struct
{
  GVariant *value;           /* (nullable) */
  guint n_fds;
  struct stat st[N_FDS_MAX]; /* of the descriptors */
} Item;

static void
item_clear (gpointer data)
{
  Item *item = data;

  g_clear_pointer (&item->value, g_variant_unref);
}

static GArray *
new_items (void)
{
  GArray *items = g_array_new (FALSE, TRUE, sizeof (Item));

  g_array_set_clear_func (items, item_clear);

  return items;
}

/* A descriptor that can be told from all others. */
static int
new_fd (gboolean     is_pipe,
        struct stat *st)
{
  int fds[2];

  if (is_pipe)
    {
      g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
      close (fds[1]);
    }
  else
    g_assert_no_errno (fds[0] = memfd_create ("test", MFD_CLOEXEC));
  g_assert_no_errno (fstat (fds[0], st));

  return fds[0];
}

static gsize
random_size (GRand *rand)
{
  switch (g_rand_int_range (rand, 0, 8))
    {
    case 0:
      return AFRPC_LARGE_PAYLOAD_MIN + g_rand_int_range (rand, -1, 9);

    case 1:
      return g_rand_int_range (rand, 0, 4 * AFRPC_LARGE_PAYLOAD_MIN);

    default:
      return g_rand_int_range (rand, 0, 100);
    }
}

static void
put_random (TransportPair *pair,
            GRand         *rand,
            GArray        *items)
{
  const guint i = items->len;
  Item item = { NULL };
  int fds[N_FDS_MAX];

  if (g_rand_int_range (rand, 0, 8) > 0)
    item.value = transport_pair_new_bytes (random_size (rand), i);
  if (g_rand_int_range (rand, 0, 3) == 0)
    item.n_fds = g_rand_int_range (rand, 1, N_FDS_MAX + 1);
  for (guint j = 0; j < item.n_fds; j++)
    fds[j] = new_fd (g_rand_boolean (rand), &item.st[j]);

  if (item.n_fds == 1)
    afrpc_transport_put_fd (&pair->from, AFRPC_FRAME_CALL, item.value, fds[0]);
  else if (item.n_fds > 1)
    afrpc_transport_put_fds (&pair->from, AFRPC_FRAME_CALL, item.value, fds, item.n_fds);
  else
    afrpc_transport_put_value (&pair->from, AFRPC_FRAME_CALL, i, item.value);
  g_array_append_val (items, item);
}

static void
check_fd (AfrpcTransport    *transport,
          const struct stat *sent)
{
  struct stat st;
  int fd = afrpc_transport_take_fd (transport);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  g_assert_no_errno (fstat (fd, &st));
  g_assert_cmpuint (st.st_dev, ==, sent->st_dev);
  g_assert_cmpuint (st.st_ino, ==, sent->st_ino);
  close (fd);
}

static guint
take_items (AfrpcTransport *transport,
            GArray         *items,
            guint           n_taken)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  while (afrpc_transport_next (transport, &frame, &error) == AFRPC_STEP_DONE)
    {
      Item *item = &g_array_index (items, Item, n_taken);

      g_assert_cmpuint (n_taken, <, items->len);
      transport_pair_check_frame (&frame, item->n_fds > 0 ? 0 : n_taken, item->value);
      g_assert_cmpuint (frame.header.n_fds, ==, item->n_fds);
      /* Who reads no further than a frame gets no further descriptors either. */
      if (transport->reader.frame_by_frame)
        g_assert_cmpuint (transport->reader.fds->len, ==, item->n_fds);
      for (guint i = 0; i < item->n_fds; i++)
        check_fd (transport, &item->st[i]);
      n_taken++;
    }
  g_assert_no_error (error);

  return n_taken;
}

static void
run_round (guint32 seed)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr(GArray) items = new_items ();
  g_auto(TransportPair) pair = { 0 };
  const guint n_items = g_rand_int_range (rand, 1, 40);
  /* Some conversations end early. */
  const guint n_cut = g_rand_boolean (rand) ? g_rand_int_range (rand, 0, n_items) : 0;
  const guint n_wanted = n_items - n_cut;
  const int buffer_size = g_rand_int_range (rand, 1, 8000);
  guint n_taken = 0;

  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  pair.to.reader.frame_by_frame = g_rand_boolean (rand);
  if (g_rand_boolean (rand))
    g_assert_no_errno (setsockopt (pair.from.out_fd, SOL_SOCKET, SO_SNDBUF, &buffer_size,
                                   sizeof buffer_size));

  while (n_taken < n_wanted)
    {
      for (guint n = g_rand_int_range (rand, 0, 12); n > 0 && items->len < n_items; n--)
        put_random (&pair, rand, items);
      if (g_rand_int_range (rand, 0, 3) > 0)
        g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), !=, AFRPC_STEP_ERROR);
      g_assert_cmpuint (pair.from.writer.tail, <=, pair.from.writer.allocated);
      g_assert_cmpuint (pair.from.writer.tail % 8, ==, 0);
      for (guint n = g_rand_int_range (rand, 0, 8); n > 0; n--)
        if (afrpc_transport_read (&pair.to, NULL) == AFRPC_STEP_DONE)
          n_taken = take_items (&pair.to, items, n_taken);
    }

  if (n_wanted == n_items)
    transport_pair_assert_idle (&pair);
}

static void
test_transport_random (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("Small and large frames and descriptors in any order arrive in that order, none "
                  "lost");
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      run_round (g_test_rand_int ());
      if (i % 100 == 0)
        g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_fds_not_taken (void)
{
  const guint n_fds = own_process_count_fds ();
  g_auto(TransportPair) pair = { 0 };
  struct stat st[50][2];
  AfrpcFrame frame;

  g_test_summary ("Descriptors are taken with their frame, in order; those that nobody takes are closed");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < G_N_ELEMENTS (st); i++)
    {
      const int fds[] = { new_fd (FALSE, &st[i][0]), new_fd (FALSE, &st[i][1]) };

      afrpc_transport_put_fds (&pair.from, AFRPC_FRAME_FD, NULL, fds, 2);
    }
  for (guint i = 0; i < G_N_ELEMENTS (st); i++)
    {
      transport_pair_receive (&pair, &frame);
      g_assert_cmpuint (frame.header.kind, ==, AFRPC_FRAME_FD);
      g_assert_cmpuint (frame.header.n_fds, ==, 2);
      g_assert_false (frame.fds_lost);
      for (guint j = 0; j < i % 3; j++)
        check_fd (&pair.to, &st[i][j]);
    }
  transport_pair_assert_idle (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);
}

/* Takes what has arrived at @from, and queues it at @to. */
static void
pass_on (AfrpcTransport *from,
         AfrpcTransport *to)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  afrpc_transport_read (from, NULL);
  while (afrpc_transport_next (from, &frame, &error) == AFRPC_STEP_DONE)
    {
      int fds[AFRPC_FRAME_FDS_MAX];
      gsize tail;

      for (guint i = 0; i < frame.header.n_fds; i++)
        fds[i] = afrpc_transport_take_fd (from);
      tail = to->writer.tail;
      afrpc_writer_put_frame (&to->writer, &frame, fds);
      /* What is large is not copied. */
      if (frame.bytes != NULL)
        g_assert_cmpuint (to->writer.tail, <, tail + AFRPC_LARGE_PAYLOAD_MIN);
    }
  g_assert_no_error (error);
}

static void
test_transport_pass_on (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("Frames that arrived can be sent again as they are, descriptors included");
  for (guint i = 0; i < N_ROUNDS / 20; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GArray) items = new_items ();
      g_auto(TransportPair) first = { 0 };
      g_auto(TransportPair) second = { 0 };
      guint n_taken = 0;

      transport_pair_init (&first, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
      transport_pair_init (&second, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
      for (guint n = g_rand_int_range (rand, 0, 40); n > 0; n--)
        put_random (&first, rand, items);
      while (n_taken < items->len)
        {
          g_assert_cmpint (afrpc_transport_flush (&first.from, NULL), !=, AFRPC_STEP_ERROR);
          pass_on (&first.to, &second.from);
          g_assert_cmpint (afrpc_transport_flush (&second.from, NULL), !=, AFRPC_STEP_ERROR);
          if (afrpc_transport_read (&second.to, NULL) == AFRPC_STEP_DONE)
            n_taken = take_items (&second.to, items, n_taken);
        }
      transport_pair_assert_idle (&first);
      transport_pair_assert_idle (&second);
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_most_fds (void)
{
  g_auto(TransportPair) pair = { 0 };
  int fds[AFRPC_FRAME_FDS_MAX];
  struct stat st;
  AfrpcFrame frame;

  g_test_summary ("As many descriptors travel with one frame as the limit says");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  fds[0] = new_fd (FALSE, &st);
  for (guint i = 1; i < AFRPC_FRAME_FDS_MAX; i++)
    g_assert_no_errno (fds[i] = fcntl (fds[0], F_DUPFD_CLOEXEC, 0));
  afrpc_transport_put_fds (&pair.from, AFRPC_FRAME_CALL, NULL, fds, AFRPC_FRAME_FDS_MAX);
  transport_pair_receive (&pair, &frame);
  g_assert_cmpuint (frame.header.n_fds, ==, AFRPC_FRAME_FDS_MAX);
  for (guint i = 0; i < AFRPC_FRAME_FDS_MAX; i++)
    check_fd (&pair.to, &st);
  transport_pair_assert_idle (&pair);

  afrpc_transport_put_fds (&pair.from, AFRPC_FRAME_CALL, NULL, NULL, 0);
  transport_pair_receive_value (&pair, 0, NULL);
  transport_pair_assert_idle (&pair);
}

/* One byte with @n descriptors. */
static void
send_byte (int    socket,
           guint8 byte,
           guint  n)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (AFRPC_FRAME_FDS_MAX * sizeof (int))];
  } control;
  struct iovec iov = { &byte, 1 };
  struct msghdr message = {
    .msg_iov = &iov,
    .msg_iovlen = 1,
    .msg_control = n > 0 ? control.bytes : NULL,
    .msg_controllen = n > 0 ? CMSG_SPACE (n * sizeof (int)) : 0,
  };
  struct cmsghdr *cmsg = &control.align;

  memset (&control, 0, sizeof control);
  cmsg->cmsg_level = SOL_SOCKET;
  cmsg->cmsg_type = SCM_RIGHTS;
  cmsg->cmsg_len = CMSG_LEN (n * sizeof (int));
  for (guint i = 0; i < n; i++)
    memcpy (CMSG_DATA (cmsg) + i * sizeof (int), &socket, sizeof (int));
  g_assert_cmpint (sendmsg (socket, &message, MSG_NOSIGNAL), ==, 1);
}

static void
test_transport_unexpected_fds (gconstpointer data)
{
  const guint n_fds = own_process_count_fds ();
  const guint n_sent = GPOINTER_TO_UINT (data);
  g_autoptr(GError) error = NULL;

  g_test_summary ("Descriptors that no frame announces are an error, and closed");
  {
    g_auto(TransportPair) pair = { 0 };
    guint8 header[AFRPC_FRAME_HEADER_SIZE] = { AFRPC_FRAME_CALL };
    AfrpcFrame frame;
    AfrpcStep step = AFRPC_STEP_AGAIN;

    /* With each of the first bytes of a frame, which says that it has none. */
    transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
    for (guint i = 0; i < n_sent; i++)
      send_byte (pair.from.out_fd, header[i], 253);
    g_assert_no_errno (write (pair.from.out_fd, header + n_sent, sizeof header - n_sent));
    for (guint i = 0; i < 2 + n_sent && step == AFRPC_STEP_AGAIN; i++)
      {
        g_assert_cmpuint (own_process_count_fds (), <=, n_fds + 2 + 253 * AFRPC_READER_FD_BATCHES_MAX);
        step = afrpc_transport_read (&pair.to, &error);
        if (step != AFRPC_STEP_ERROR)
          step = afrpc_transport_next (&pair.to, &frame, &error);
        if (step == AFRPC_STEP_DONE)
          step = afrpc_transport_next (&pair.to, &frame, &error);
      }
    g_assert_cmpint (step, ==, AFRPC_STEP_ERROR);
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_wrong_number (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("A frame that has other descriptors than it says is an error");
  for (guint announced = 0; announced < 4; announced++)
    for (guint sent = 0; sent < 4; sent++)
      {
        const guint8 rest[AFRPC_FRAME_HEADER_SIZE - 1] = { [1] = announced };
        g_auto(TransportPair) pair = { 0 };
        g_autoptr(GError) error = NULL;
        AfrpcStep step = AFRPC_STEP_AGAIN;
        AfrpcFrame frame;

        transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
        send_byte (pair.from.out_fd, AFRPC_FRAME_CALL, sent);
        g_assert_no_errno (write (pair.from.out_fd, rest, sizeof rest));
        for (guint i = 0; i < 2 && step == AFRPC_STEP_AGAIN; i++)
          {
            g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
            step = afrpc_transport_next (&pair.to, &frame, &error);
          }
        /* With none, it is only the next that shows it. */
        if (announced == 0 && step == AFRPC_STEP_DONE)
          step = afrpc_transport_next (&pair.to, &frame, &error);
        g_assert_cmpint (step, ==, announced != sent ? AFRPC_STEP_ERROR : announced == 0 ? AFRPC_STEP_AGAIN
                                                                                            : AFRPC_STEP_DONE);
        if (announced != sent)
          g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
      }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_lost_fds (void)
{
  const guint n_fds = own_process_count_fds ();
  struct stat st;
  AfrpcFrame frame;
  guint64 n_fds_max;

  g_test_summary ("Descriptors that our table had no room for are missed by their frame alone");
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind only pretends to set limits");
      return;
    }

  for (int room = 0; room < 3; room++)
    {
      g_auto(TransportPair) pair = { 0 };
      const int fds[] = { new_fd (FALSE, &st), new_fd (FALSE, &st), new_fd (FALSE, &st) };

      transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
      afrpc_transport_put_fds (&pair.from, AFRPC_FRAME_CALL, NULL, fds, 3);
      afrpc_transport_put_fd (&pair.from, AFRPC_FRAME_CALL, NULL, new_fd (FALSE, &st));
      g_assert_cmpint (afrpc_transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
      n_fds_max = own_process_limit_fds (own_process_lowest_fd () + room);
      g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      own_process_limit_fds (n_fds_max);

      transport_pair_receive (&pair, &frame);
      g_assert_cmpuint (frame.header.serial, ==, 1);
      g_assert_false (frame.fds_lost);
      transport_pair_receive (&pair, &frame);
      g_assert_cmpuint (frame.header.n_fds, ==, 3);
      g_assert_true (frame.fds_lost);
      transport_pair_receive (&pair, &frame);
      g_assert_false (frame.fds_lost);
      check_fd (&pair.to, &st);
      transport_pair_assert_idle (&pair);
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_crowded (void)
{
  enum { N = 300 };
  g_auto(TransportPair) pair = { 0 };
  guint n_received = 0, n_crowded = 0;
  guint64 n_fds_max;

  g_test_summary ("When too many of the user's descriptors are under way, the rest waits");
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind only pretends to set limits");
      return;
    }
  /* The superuser has no such limit, and what it lets go it does not get back. */
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }

  if (getuid () == 0)
    g_assert_no_errno (setuid (65534));
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < N; i++)
    afrpc_transport_put_fd (&pair.from, AFRPC_FRAME_CALL, NULL, dup (0));
  n_fds_max = own_process_limit_fds (50);

  while (n_received < N)
    {
      AfrpcStep step = afrpc_transport_flush (&pair.from, NULL);
      AfrpcFrame frame;

      g_assert_cmpint (step, !=, AFRPC_STEP_ERROR);
      n_crowded += pair.from.writer.crowded;
      g_assert_true (step == AFRPC_STEP_AGAIN || !pair.from.writer.crowded);
      own_process_limit_fds (n_fds_max);
      while (afrpc_transport_read (&pair.to, NULL) == AFRPC_STEP_DONE)
        while (afrpc_transport_next (&pair.to, &frame, NULL) == AFRPC_STEP_DONE)
          {
            int fd = afrpc_transport_take_fd (&pair.to);

            g_assert_cmpint (fd, >=, 0);
            close (fd);
            n_received++;
          }
      own_process_limit_fds (50);
    }
  g_assert_cmpuint (n_crowded, >, 0);
}

/* A stream that has everything: bytes, payloads and descriptors on their way in and out. */
static void
fill (TransportPair *pair)
{
  g_autoptr(GVariant) large = transport_pair_new_bytes (1 << 20, 1);
  struct stat st;
  AfrpcFrame frame;

  transport_pair_init (pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < 3; i++)
    {
      afrpc_transport_put_fd (&pair->from, AFRPC_FRAME_CALL, NULL, new_fd (FALSE, &st));
      afrpc_transport_put_value (&pair->from, AFRPC_FRAME_CALL, 0, NULL);
      afrpc_transport_put_fd (&pair->from, AFRPC_FRAME_CALL, large, new_fd (FALSE, &st));
    }
  transport_pair_receive (pair, &frame);
  transport_pair_receive (pair, &frame);
  while (!pair->to.reader.in_body)
    {
      g_assert_cmpint (afrpc_transport_next (&pair->to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
      g_assert_cmpint (afrpc_transport_read (&pair->to, NULL), ==, AFRPC_STEP_DONE);
      g_assert_cmpint (afrpc_transport_next (&pair->to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
    }
  g_assert_cmpuint (pair->to.reader.fds->len, ==, 1);
  g_assert_cmpuint (pair->from.writer.attachments_end, >, 0);
}

static void
test_transport_clear (void)
{
  const guint n_fds = own_process_count_fds ();
  TransportPair pair = { 0 };

  g_test_summary ("A stream that is cleared in the middle of everything leaves nothing behind");
  fill (&pair);
  transport_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  transport_pair_clear (&pair);

  /* With a frame that was received and not looked at. */
  fill (&pair);
  while (pair.to.reader.body_bytes == NULL)
    {
      AfrpcFrame frame;

      transport_pair_receive (&pair, &frame);
    }
  transport_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);

  /* Never used, never made, and without descriptors of its own. */
  transport_pair_init (&pair, TRANSPORT_WAY_PIPE, O_NONBLOCK);
  transport_pair_clear (&pair);
  memset (&pair, 0, sizeof pair);
  transport_pair_clear (&pair);
  afrpc_transport_init (&pair.from, &afrpc_socket_funcs, AFRPC_TRANSPORT_WORKER);
  transport_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_transport_restart (void)
{
  const guint n_fds = own_process_count_fds ();
  g_autoptr(GVariant) value = transport_pair_new_bytes (100, 1);
  gsize out_size;
  int fds[2];

  g_test_summary ("A stream that begins anew, in the middle of everything, has forgotten all of "
                  "it");
  {
    g_auto(TransportPair) pair = { 0 };

    fill (&pair);
    g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
    afrpc_transport_restart (&pair.to, fds[0]);
    out_size = pair.from.writer.allocated;
    afrpc_transport_restart (&pair.from, fds[1]);
    g_assert_cmpuint (pair.from.writer.allocated, ==, out_size);
    g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);
    transport_pair_assert_idle (&pair);
    for (guint i = 0; i < 3; i++)
      {
        struct stat st;
        AfrpcFrame frame;

        afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value);
        transport_pair_receive_value (&pair, i, value);
        afrpc_transport_put_fd (&pair.from, AFRPC_FRAME_CALL, NULL, new_fd (FALSE, &st));
        transport_pair_receive (&pair, &frame);
        check_fd (&pair.to, &st);
      }
    transport_pair_assert_idle (&pair);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/transport-fds/random", test_transport_random);
  g_test_add_func ("/transport-fds/not-taken", test_transport_fds_not_taken);
  g_test_add_func ("/transport-fds/pass-on", test_transport_pass_on);
  g_test_add_func ("/transport-fds/most", test_transport_most_fds);
  g_test_add_data_func ("/transport-fds/unexpected", GUINT_TO_POINTER (1), test_transport_unexpected_fds);
  g_test_add_data_func ("/transport-fds/unexpected/many", GUINT_TO_POINTER (AFRPC_FRAME_HEADER_SIZE),
                        test_transport_unexpected_fds);
  g_test_add_func ("/transport-fds/wrong-number", test_transport_wrong_number);
  g_test_add_func ("/transport-fds/lost", test_transport_lost_fds);
  g_test_add_func ("/transport-fds/crowded", test_transport_crowded);
  g_test_add_func ("/transport-fds/clear", test_transport_clear);
  g_test_add_func ("/transport-fds/restart", test_transport_restart);

  return g_test_run ();
}
