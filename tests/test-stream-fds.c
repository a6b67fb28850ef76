/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "stream-pair.h"

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
      return AFRPC_STREAM_BODY_MIN + g_rand_int_range (rand, -1, 9);

    case 1:
      return g_rand_int_range (rand, 0, 4 * AFRPC_STREAM_BODY_MIN);

    default:
      return g_rand_int_range (rand, 0, 100);
    }
}

static void
put_random (StreamPair *pair,
            GRand      *rand,
            GArray     *items)
{
  const guint i = items->len;
  Item item = { NULL };
  int fds[N_FDS_MAX];

  if (g_rand_int_range (rand, 0, 8) > 0)
    item.value = stream_pair_new_bytes (random_size (rand), i);
  if (g_rand_int_range (rand, 0, 3) == 0)
    item.n_fds = g_rand_int_range (rand, 1, N_FDS_MAX + 1);
  for (guint j = 0; j < item.n_fds; j++)
    fds[j] = new_fd (g_rand_boolean (rand), &item.st[j]);

  if (item.n_fds == 1)
    afrpc_stream_put_fd (&pair->from, AFRPC_FRAME_CALL, item.value, fds[0]);
  else if (item.n_fds > 1)
    afrpc_stream_put_fds (&pair->from, AFRPC_FRAME_CALL, item.value, fds, item.n_fds);
  else
    afrpc_stream_put_value (&pair->from, AFRPC_FRAME_CALL, i, item.value);
  g_array_append_val (items, item);
}

static void
check_fd (AfrpcStream       *stream,
          const struct stat *sent)
{
  struct stat st;
  int fd = afrpc_stream_take_fd (stream);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  g_assert_no_errno (fstat (fd, &st));
  g_assert_cmpuint (st.st_dev, ==, sent->st_dev);
  g_assert_cmpuint (st.st_ino, ==, sent->st_ino);
  close (fd);
}

static guint
take_items (AfrpcStream *stream,
            GArray      *items,
            guint        n_taken)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  while (afrpc_stream_next (stream, &frame, &error) == AFRPC_STREAM_DONE)
    {
      Item *item = &g_array_index (items, Item, n_taken);

      g_assert_cmpuint (n_taken, <, items->len);
      stream_pair_check_frame (&frame, item->n_fds > 0 ? 0 : n_taken, item->value);
      g_assert_cmpuint (frame.header.n_fds, ==, item->n_fds);
      /* Who reads no further than a frame gets no further descriptors either. */
      if (stream->exact)
        g_assert_cmpuint (stream->fds_in->len, ==, item->n_fds);
      for (guint i = 0; i < item->n_fds; i++)
        check_fd (stream, &item->st[i]);
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
  g_auto(StreamPair) pair = { 0 };
  const guint n_items = g_rand_int_range (rand, 1, 40);
  /* Some conversations end early. */
  const guint n_cut = g_rand_boolean (rand) ? g_rand_int_range (rand, 0, n_items) : 0;
  const guint n_wanted = n_items - n_cut;
  const int buffer_size = g_rand_int_range (rand, 1, 8000);
  guint n_taken = 0;

  stream_pair_init (&pair, g_rand_boolean (rand) ? STREAM_WAY_SOCKET : STREAM_WAY_GUARDED,
                    O_NONBLOCK);
  pair.to.exact = g_rand_boolean (rand);
  if (g_rand_boolean (rand))
    g_assert_no_errno (setsockopt (pair.from.out_fd, SOL_SOCKET, SO_SNDBUF, &buffer_size,
                                   sizeof buffer_size));

  while (n_taken < n_wanted)
    {
      for (guint n = g_rand_int_range (rand, 0, 12); n > 0 && items->len < n_items; n--)
        put_random (&pair, rand, items);
      if (g_rand_int_range (rand, 0, 3) > 0)
        g_assert_cmpint (afrpc_stream_flush (&pair.from, NULL), !=, AFRPC_STREAM_ERROR);
      g_assert_cmpuint (pair.from.out_tail, <=, pair.from.out_size);
      g_assert_cmpuint (pair.from.out_tail % 8, ==, 0);
      for (guint n = g_rand_int_range (rand, 0, 8); n > 0; n--)
        if (afrpc_stream_read (&pair.to, NULL) == AFRPC_STREAM_DONE)
          n_taken = take_items (&pair.to, items, n_taken);
    }

  if (n_wanted == n_items)
    stream_pair_assert_idle (&pair);
}

static void
test_stream_random (void)
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
test_stream_fd_order (void)
{
  g_auto(StreamPair) pair = { 0 };
  struct stat st[50];

  g_test_summary ("Descriptors are taken oldest first, long after they arrived, and then there is "
                  "none");
  stream_pair_init (&pair, STREAM_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < G_N_ELEMENTS (st); i++)
    afrpc_stream_put_fd (&pair.from, AFRPC_FRAME_FD, NULL, new_fd (FALSE, &st[i]));
  for (guint i = 0; i < G_N_ELEMENTS (st); i++)
    {
      AfrpcFrame frame;

      stream_pair_receive (&pair, &frame);
      g_assert_cmpuint (frame.header.kind, ==, AFRPC_FRAME_FD);
      g_assert_cmpuint (frame.header.n_fds, ==, 1);
    }
  for (guint i = 0; i < G_N_ELEMENTS (st); i++)
    check_fd (&pair.to, &st[i]);
  stream_pair_assert_idle (&pair);
}

/* Takes what has arrived at @from, and queues it at @to. */
static void
pass_on (AfrpcStream *from,
         AfrpcStream *to)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;

  afrpc_stream_read (from, NULL);
  while (afrpc_stream_next (from, &frame, &error) == AFRPC_STREAM_DONE)
    {
      int fds[AFRPC_FRAME_FDS_MAX];
      gsize tail;

      for (guint i = 0; i < frame.header.n_fds; i++)
        fds[i] = afrpc_stream_take_fd (from);
      tail = to->out_tail;
      afrpc_stream_put_frame (to, &frame, fds);
      /* What is large is not copied. */
      if (frame.bytes != NULL)
        g_assert_cmpuint (to->out_tail, <, tail + AFRPC_STREAM_BODY_MIN);
    }
  g_assert_no_error (error);
}

static void
test_stream_pass_on (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("Frames that arrived can be sent again as they are, descriptors included");
  for (guint i = 0; i < N_ROUNDS / 20; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GArray) items = new_items ();
      g_auto(StreamPair) first = { 0 };
      g_auto(StreamPair) second = { 0 };
      guint n_taken = 0;

      stream_pair_init (&first, STREAM_WAY_SOCKET, O_NONBLOCK);
      stream_pair_init (&second, STREAM_WAY_SOCKET, O_NONBLOCK);
      for (guint n = g_rand_int_range (rand, 0, 40); n > 0; n--)
        put_random (&first, rand, items);
      while (n_taken < items->len)
        {
          g_assert_cmpint (afrpc_stream_flush (&first.from, NULL), !=, AFRPC_STREAM_ERROR);
          pass_on (&first.to, &second.from);
          g_assert_cmpint (afrpc_stream_flush (&second.from, NULL), !=, AFRPC_STREAM_ERROR);
          if (afrpc_stream_read (&second.to, NULL) == AFRPC_STREAM_DONE)
            n_taken = take_items (&second.to, items, n_taken);
        }
      stream_pair_assert_idle (&first);
      stream_pair_assert_idle (&second);
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_stream_most_fds (void)
{
  g_auto(StreamPair) pair = { 0 };
  int fds[AFRPC_FRAME_FDS_MAX];
  struct stat st;
  AfrpcFrame frame;

  g_test_summary ("As many descriptors travel with one frame as the limit says");
  stream_pair_init (&pair, STREAM_WAY_SOCKET, O_NONBLOCK);
  fds[0] = new_fd (FALSE, &st);
  for (guint i = 1; i < AFRPC_FRAME_FDS_MAX; i++)
    g_assert_no_errno (fds[i] = fcntl (fds[0], F_DUPFD_CLOEXEC, 0));
  afrpc_stream_put_fds (&pair.from, AFRPC_FRAME_CALL, NULL, fds, AFRPC_FRAME_FDS_MAX);
  stream_pair_receive (&pair, &frame);
  g_assert_cmpuint (frame.header.n_fds, ==, AFRPC_FRAME_FDS_MAX);
  for (guint i = 0; i < AFRPC_FRAME_FDS_MAX; i++)
    check_fd (&pair.to, &st);
  stream_pair_assert_idle (&pair);

  afrpc_stream_put_fds (&pair.from, AFRPC_FRAME_CALL, NULL, NULL, 0);
  stream_pair_receive_value (&pair, 0, NULL);
  stream_pair_assert_idle (&pair);
}

/* One byte with @n descriptors. */
static void
send_fds (int   socket,
          guint n)
{
  union
  {
    struct cmsghdr align;
    char bytes[CMSG_SPACE (AFRPC_FRAME_FDS_MAX * sizeof (int))];
  } control;
  char byte = AFRPC_FRAME_CALL;
  struct iovec iov = { &byte, 1 };
  struct msghdr message = {
    .msg_iov = &iov,
    .msg_iovlen = 1,
    .msg_control = control.bytes,
    .msg_controllen = CMSG_SPACE (n * sizeof (int)),
  };
  struct cmsghdr *cmsg = CMSG_FIRSTHDR (&message);

  memset (&control, 0, sizeof control);
  cmsg->cmsg_level = SOL_SOCKET;
  cmsg->cmsg_type = SCM_RIGHTS;
  cmsg->cmsg_len = CMSG_LEN (n * sizeof (int));
  for (guint i = 0; i < n; i++)
    memcpy (CMSG_DATA (cmsg) + i * sizeof (int), &socket, sizeof (int));
  g_assert_cmpint (sendmsg (socket, &message, MSG_NOSIGNAL), ==, 1);
}

/* Returns FALSE if the system does not let us have as many. */
static gboolean
allow_fds (guint          n,
           struct rlimit *before)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, before));
  limit = *before;
  limit.rlim_cur = limit.rlim_max;

  return limit.rlim_max >= n && setrlimit (RLIMIT_NOFILE, &limit) == 0;
}

static void
test_stream_too_many_fds (void)
{
  const guint n_fds = own_process_count_fds ();
  g_autoptr(GError) error = NULL;
  struct rlimit before;

  g_test_summary ("Descriptors that no frame announces are an error above a limit, and then "
                  "closed");
  if (!allow_fds (AFRPC_STREAM_FDS_IN_MAX + 100, &before))
    {
      g_test_skip ("the limit of open files is too low");
      return;
    }

  {
    g_auto(StreamPair) pair = { 0 };
    const guint n_sent[] = { 253, 253, 253, 253, AFRPC_STREAM_FDS_IN_MAX - 4 * 253, 1 };

    stream_pair_init (&pair, STREAM_WAY_SOCKET, O_NONBLOCK);
    for (guint i = 0; i < G_N_ELEMENTS (n_sent); i++)
      {
        send_fds (pair.from.out_fd, n_sent[i]);
        if (i + 1 < G_N_ELEMENTS (n_sent))
          {
            g_assert_cmpint (afrpc_stream_read (&pair.to, &error), ==, AFRPC_STREAM_DONE);
            g_assert_false (pair.to.fds_lost);
          }
      }
    g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2 + AFRPC_STREAM_FDS_IN_MAX);
    g_assert_cmpint (afrpc_stream_read (&pair.to, &error), ==, AFRPC_STREAM_ERROR);
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
}

static void
test_stream_lost_fds (void)
{
  const guint n_fds = own_process_count_fds ();
  struct rlimit before, limit;
  AfrpcFrame frame;

  g_test_summary ("It is known that descriptors did not arrive because our table was full");
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind only pretends to set limits");
      return;
    }

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  {
    g_auto(StreamPair) pair = { 0 };
    int lowest;

    stream_pair_init (&pair, STREAM_WAY_SOCKET, O_NONBLOCK);
    send_fds (pair.from.out_fd, 10);
    g_assert_no_errno (lowest = fcntl (0, F_DUPFD_CLOEXEC, 0));
    close (lowest);
    limit = before;
    limit.rlim_cur = lowest + 1;
    g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
    g_assert_cmpint (afrpc_stream_read (&pair.to, NULL), ==, AFRPC_STREAM_DONE);
    g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));

    g_assert_true (pair.to.fds_lost);
    g_assert_cmpuint (pair.to.fds_in->len, ==, 1);
    g_assert_cmpint (afrpc_stream_next (&pair.to, &frame, NULL), ==, AFRPC_STREAM_AGAIN);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

/* A stream that has everything: bytes, payloads and descriptors on their way in and out. */
static void
fill (StreamPair *pair)
{
  g_autoptr(GVariant) large = stream_pair_new_bytes (1 << 20, 1);
  struct stat st;
  AfrpcFrame frame;

  stream_pair_init (pair, STREAM_WAY_SOCKET, O_NONBLOCK);
  for (guint i = 0; i < 3; i++)
    {
      afrpc_stream_put_fd (&pair->from, AFRPC_FRAME_CALL, NULL, new_fd (FALSE, &st));
      afrpc_stream_put_value (&pair->from, AFRPC_FRAME_CALL, 0, NULL);
      afrpc_stream_put_value (&pair->from, AFRPC_FRAME_CALL, 0, large);
    }
  stream_pair_receive (pair, &frame);
  stream_pair_receive (pair, &frame);
  while (pair->to.body == NULL)
    {
      g_assert_cmpint (afrpc_stream_next (&pair->to, &frame, NULL), ==, AFRPC_STREAM_AGAIN);
      g_assert_cmpint (afrpc_stream_read (&pair->to, NULL), ==, AFRPC_STREAM_DONE);
      g_assert_cmpint (afrpc_stream_next (&pair->to, &frame, NULL), ==, AFRPC_STREAM_AGAIN);
    }
  g_assert_cmpuint (pair->to.fds_in->len, ==, 1);
  g_assert_cmpuint (pair->from.attachments.length, >, 0);
}

static void
test_stream_clear (void)
{
  const guint n_fds = own_process_count_fds ();
  StreamPair pair = { 0 };

  g_test_summary ("A stream that is cleared in the middle of everything leaves nothing behind");
  fill (&pair);
  stream_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
  stream_pair_clear (&pair);

  /* With a frame that was received and not looked at. */
  fill (&pair);
  while (pair.to.body_bytes == NULL)
    {
      AfrpcFrame frame;

      stream_pair_receive (&pair, &frame);
    }
  stream_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);

  /* Never used, never made, and without descriptors of its own. */
  stream_pair_init (&pair, STREAM_WAY_PIPE, O_NONBLOCK);
  stream_pair_clear (&pair);
  memset (&pair, 0, sizeof pair);
  stream_pair_clear (&pair);
  afrpc_stream_init (&pair.from, -1, -1, TRUE);
  stream_pair_clear (&pair);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_stream_restart (void)
{
  const guint n_fds = own_process_count_fds ();
  g_autoptr(GVariant) value = stream_pair_new_bytes (100, 1);
  gsize out_size;
  int fds[2];

  g_test_summary ("A stream that begins anew, in the middle of everything, has forgotten all of "
                  "it");
  {
    g_auto(StreamPair) pair = { 0 };

    fill (&pair);
    g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
    afrpc_stream_restart (&pair.to, fds[0]);
    out_size = pair.from.out_size;
    afrpc_stream_restart (&pair.from, fds[1]);
    g_assert_cmpuint (pair.from.out_size, ==, out_size);
    g_assert_cmpuint (own_process_count_fds (), ==, n_fds + 2);
    stream_pair_assert_idle (&pair);
    for (guint i = 0; i < 3; i++)
      {
        struct stat st;
        AfrpcFrame frame;

        afrpc_stream_put_value (&pair.from, AFRPC_FRAME_CALL, i, value);
        stream_pair_receive_value (&pair, i, value);
        afrpc_stream_put_fd (&pair.from, AFRPC_FRAME_CALL, NULL, new_fd (FALSE, &st));
        stream_pair_receive (&pair, &frame);
        check_fd (&pair.to, &st);
      }
    stream_pair_assert_idle (&pair);
  }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/stream-fds/random", test_stream_random);
  g_test_add_func ("/stream-fds/order", test_stream_fd_order);
  g_test_add_func ("/stream-fds/pass-on", test_stream_pass_on);
  g_test_add_func ("/stream-fds/most", test_stream_most_fds);
  g_test_add_func ("/stream-fds/too-many", test_stream_too_many_fds);
  g_test_add_func ("/stream-fds/lost", test_stream_lost_fds);
  g_test_add_func ("/stream-fds/clear", test_stream_clear);
  g_test_add_func ("/stream-fds/restart", test_stream_restart);

  return g_test_run ();
}
