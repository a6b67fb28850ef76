/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "own-process.h"
#include "transport-pair.h"
#include "transport/afrpc-pipes.h"

static int
count_unread (int fd)
{
  int n = -1;

  g_assert_no_errno (ioctl (fd, FIONREAD, &n));

  return n;
}

/* What @source has queued, of @size bytes. */
static char *
flush_raw (TransportPair *source,
           gsize          size)
{
  char *raw = g_malloc (size);

  g_assert_cmpint (transport_flush (&source->from, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (read (source->to.in_fd, raw, size), ==, size);

  return raw;
}

/* Two frames, of which the first @n_bytes_first bytes come first. */
static void
check_exact (TransportWay  way,
             GVariant     *first,
             GVariant     *second,
             gsize         n_bytes_first)
{
  g_auto(TransportPair) pair = { 0 };
  g_auto(TransportPair) source = { 0 };
  g_autofree char *raw = NULL;
  gsize total;
  AfrpcFrame frame;

  transport_pair_init (&source, way, O_NONBLOCK);
  afrpc_transport_put_value (&source.from, AFRPC_FRAME_CALL, 1, first);
  afrpc_transport_put_value (&source.from, AFRPC_FRAME_CALL, 2, second);
  total = afrpc_transport_get_queued (&source.from);
  raw = flush_raw (&source, total);

  transport_pair_init (&pair, way, O_NONBLOCK);
  pair.to.reader.frame_by_frame = TRUE;
  if (n_bytes_first > 0)
    g_assert_cmpint (write (pair.from.out_fd, raw, n_bytes_first), ==, n_bytes_first);
  do
    g_assert_cmpint (afrpc_transport_next (&pair.to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
  while (afrpc_transport_read (&pair.to, NULL) == AFRPC_STEP_DONE);
  g_assert_cmpint (write (pair.from.out_fd, raw + n_bytes_first, total - n_bytes_first), >, 0);

  transport_pair_receive_value (&pair, 1, first);
  g_assert_cmpint (count_unread (pair.to.in_fd), ==,
                   transport_pair_frame_size (&pair, g_variant_get_size (second)));
  transport_pair_receive_value (&pair, 2, second);
  transport_pair_assert_idle (&pair);
}

static void
test_transport_exact (gconstpointer data)
{
  const TransportWay way = GPOINTER_TO_UINT (data);
  const gsize sizes[] = { 0, 1, 8, 1000, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, 40000 };

  g_test_summary ("An exact stream leaves in the socket what comes after the frame");
  for (guint i = 0; i < G_N_ELEMENTS (sizes) * G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) first = transport_pair_new_bytes (sizes[i % G_N_ELEMENTS (sizes)], 1);
      g_autoptr(GVariant) second = transport_pair_new_bytes (sizes[i / G_N_ELEMENTS (sizes)], 2);
      const gsize size = AFRPC_FRAME_HEADER_SIZE + 8 + afrpc_frame_pad (g_variant_get_size (first));

      for (gsize n = 0; n < size; n += n < 40 ? 1 : size / 7)
        check_exact (way, first, second, n);
      check_exact (way, first, second, size - 1);
    }
}

static void
check_size_max (gsize    size_max,
                gsize    size,
                gboolean is_allowed)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE];
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .size = size };
  AfrpcFrame frame;

  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  pair.to.reader.size_max = size_max;
  afrpc_frame_encode (&header, bytes);
  g_assert_cmpint (write (pair.from.out_fd, bytes, sizeof bytes), ==, sizeof bytes);
  g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);

  /* It does not get better by asking again. */
  for (guint i = 0; i < 2; i++)
    {
      AfrpcStep step = afrpc_transport_next (&pair.to, &frame, &error);

      if (is_allowed)
        {
          g_assert_no_error (error);
          g_assert_cmpint (step, ==, size > 0 || i > 0 ? AFRPC_STEP_AGAIN : AFRPC_STEP_DONE);
        }
      else
        {
          g_assert_cmpint (step, ==, AFRPC_STEP_ERROR);
          g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
          g_assert_false (pair.to.reader.in_body);
        }
      g_clear_error (&error);
    }
}

static void
test_transport_size_max (void)
{
  const gsize limits[] = { 0, 1, 100, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, 1 << 20 };

  g_test_summary ("A payload above the limit is refused as soon as it is announced");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      check_size_max (limits[i], limits[i], TRUE);
      check_size_max (limits[i], limits[i] + 1, FALSE);
      check_size_max (limits[i], G_MAXSIZE, FALSE);
    }
}

static void
test_transport_impossible_size (gconstpointer data)
{
  const guint64 sizes[] = { G_MAXUINT64, G_MAXUINT64 - 7, (guint64) G_MAXSSIZE + 1, G_MAXSSIZE };

  g_test_summary ("Where there is no limit, a payload that cannot be is an error");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto(TransportPair) pair = { 0 };
      g_autoptr(GError) error = NULL;
      guint8 bytes[AFRPC_FRAME_HEADER_SIZE + AFRPC_FRAME_GUARD_SIZE];
      const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .size = sizes[i] };
      AfrpcFrame frame;

      transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
      memset (bytes, AFRPC_FRAME_GUARD_BYTE, sizeof bytes);
      afrpc_frame_encode (&header, bytes);
      g_assert_cmpint (write (pair.from.out_fd, bytes, sizeof bytes), ==, sizeof bytes);
      g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      g_assert_cmpint (afrpc_transport_next (&pair.to, &frame, &error), ==, AFRPC_STEP_ERROR);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
    }
}

/* A step during which the process gets no more memory from the system. */
static AfrpcStep
next_without_memory (AfrpcTransport *transport,
                     AfrpcFrame     *frame)
{
  const struct rlimit none = { 0, RLIM_INFINITY };
  struct rlimit before;
  AfrpcStep step;

  afrpc_payload_memory_drop_kept ();
  g_assert_no_errno (getrlimit (RLIMIT_AS, &before));
  g_assert_no_errno (setrlimit (RLIMIT_AS, &none));
  step = afrpc_transport_next (transport, frame, NULL);
  g_assert_no_errno (setrlimit (RLIMIT_AS, &before));

  return step;
}

/* @values as the frames 1, 2, 3... */
static char *
write_frames (TransportWay   way,
              GVariant     **values,
              guint          n_values,
              gsize         *size)
{
  g_auto(AfrpcTransport) transport = { 0 };
  int memfd = memfd_create ("frames", MFD_CLOEXEC);
  char *raw;

  g_assert_no_errno (memfd);
  afrpc_transport_init (&transport, &afrpc_pipes_funcs,
                        way == TRANSPORT_WAY_GUARDED ? AFRPC_TRANSPORT_WORKER : AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&transport, -1, memfd);
  for (guint i = 0; i < n_values; i++)
    afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, i + 1, values[i]);
  *size = afrpc_transport_get_queued (&transport);
  g_assert_cmpint (transport_flush (&transport, NULL), ==, AFRPC_STEP_DONE);

  raw = g_malloc (*size);
  g_assert_cmpint (pread (memfd, raw, *size, 0), ==, *size);

  return raw;
}

/* A payload for which there is no memory, between others, of which @n_bytes_first bytes have come, with its
 * header, when that turns out. */
static void
check_no_memory (TransportWay way,
                 gsize        size,
                 gsize        n_bytes_first,
                 gboolean     exact)
{
  g_autoptr(GVariant) small = transport_pair_new_bytes (100, 1);
  g_autoptr(GVariant) large = transport_pair_new_bytes (size, 2);
  g_autoptr(GVariant) other = transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN, 3);
  GVariant *values[] = { large, other, small };
  g_auto(TransportPair) pair = { 0 };
  g_autofree char *raw = NULL;
  gsize raw_size, n_written = AFRPC_FRAME_HEADER_SIZE + 8 + n_bytes_first;
  guint64 n_frames = 0;

  raw = write_frames (way, values, G_N_ELEMENTS (values), &raw_size);
  transport_pair_init (&pair, way, O_NONBLOCK);
  pair.to.reader.frame_by_frame = exact;
  g_assert_cmpint (write (pair.from.out_fd, raw, n_written), ==, n_written);
  while (!pair.to.reader.in_body)
    {
      AfrpcFrame frame;

      g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      g_assert_cmpint (next_without_memory (&pair.to, &frame), ==, AFRPC_STEP_AGAIN);
    }
  g_assert_null (pair.to.reader.body.data);

  while (n_frames < G_N_ELEMENTS (values))
    {
      AfrpcFrame frame;
      gssize n = write (pair.from.out_fd, raw + n_written, raw_size - n_written);

      n_written += MAX (n, 0);
      g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      while (afrpc_transport_next (&pair.to, &frame, NULL) == AFRPC_STEP_DONE)
        {
          g_autoptr(GVariant) none = NULL;
          g_autoptr(GError) error = NULL;

          if (n_frames++ > 0)
            {
              transport_pair_check_frame (&frame, n_frames, values[n_frames - 1]);
              continue;
            }
          g_assert_cmpuint (frame.header.serial, ==, 1);
          g_assert_cmpuint (frame.header.size, ==, size);
          g_assert_null (frame.payload);
          none = afrpc_transport_parse_value (&pair.to, &frame, &error);
          g_assert_null (none);
          g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
        }
    }
  g_assert_cmpuint (n_written, ==, raw_size);
  transport_pair_assert_idle (&pair);
}

static void
test_transport_no_memory (gconstpointer data)
{
  const gsize sizes[] = { AFRPC_PAYLOAD_MEMORY_KEPT_MIN, (2 << 20) + 1, (2 << 20) + AFRPC_READER_SIZE - 8, 3 << 20 };
  const gsize firsts[] = { 0, 1, 8, 1001, 30000 };

  g_test_summary ("A payload for which there is no memory fails alone");
  if (!own_process_can_be_without_memory ())
    {
      g_test_skip ("what watches this process needs memory itself");
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint j = 0; j < G_N_ELEMENTS (firsts); j++)
      check_no_memory (GPOINTER_TO_UINT (data), sizes[i], firsts[j], (i + j) % 2 == 0);
}

static void
test_transport_garbage (void)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;
  const char text[] = "Traceback (most recent call last):\n";

  g_test_summary ("What is no frame is an error, after the frames before it");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
  g_assert_cmpint (transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (write (pair.from.out_fd, text, sizeof text), ==, sizeof text);
  transport_pair_receive_value (&pair, 1, NULL);
  g_assert_cmpint (afrpc_transport_next (&pair.to, &frame, &error), ==, AFRPC_STEP_ERROR);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
}

/* Reads to the end; returns how many frames there were. */
static guint
read_to_eof (AfrpcTransport *transport)
{
  g_autoptr(GError) error = NULL;
  AfrpcStep step;
  AfrpcFrame frame;
  guint n = 0;

  while ((step = afrpc_transport_read (transport, &error)) == AFRPC_STEP_DONE)
    {
      while ((step = afrpc_transport_next (transport, &frame, &error)) == AFRPC_STEP_DONE)
        n++;
      g_assert_no_error (error);
      g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);
    }
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_EOF);
  g_assert_cmpint (afrpc_transport_next (transport, &frame, &error), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (afrpc_transport_read (transport, &error), ==, AFRPC_STEP_EOF);

  return n;
}

static void
test_transport_eof (gconstpointer data)
{
  g_autoptr(GVariant) small = transport_pair_new_bytes (13, 1);
  g_autoptr(GVariant) large = transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN + 3, 2);
  gsize first, total;
  g_autofree char *raw = NULL;
  g_auto(TransportPair) source = { 0 };

  g_test_summary ("The end of input anywhere in a frame is the end, after the frames before it");
  transport_pair_init (&source, GPOINTER_TO_UINT (data), O_NONBLOCK);
  afrpc_transport_put_value (&source.from, AFRPC_FRAME_CALL, 1, small);
  first = afrpc_transport_get_queued (&source.from);
  afrpc_transport_put_value (&source.from, AFRPC_FRAME_CALL, 2, large);
  total = afrpc_transport_get_queued (&source.from);
  raw = flush_raw (&source, total);

  for (gsize n = 0; n <= total; n += n > first + 100 && n < total - 100 ? 97 : 1)
    {
      g_auto(TransportPair) pair = { 0 };

      transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
      if (n > 0)
        g_assert_cmpint (write (pair.from.out_fd, raw, n), ==, n);
      afrpc_transport_clear (&pair.from);
      g_assert_cmpuint (read_to_eof (&pair.to), ==, n < first ? 0 : n < total ? 1 : 2);
    }
}

static void
test_transport_guard (void)
{
  const gsize sizes[] = { 0, 1, 8, 1000, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, 40000 };

  g_test_summary ("A frame whose guard is not whole is refused, whichever byte it is");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint n = 1; n <= AFRPC_FRAME_GUARD_SIZE; n++)
      {
        g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);
        g_auto(TransportPair) source = { 0 };
        g_auto(TransportPair) pair = { 0 };
        g_autoptr(GError) error = NULL;
        g_autofree char *raw = NULL;
        AfrpcStep step;
        AfrpcFrame frame;
        gsize size;

        transport_pair_init (&source, TRANSPORT_WAY_GUARDED, O_NONBLOCK);
        afrpc_transport_put_value (&source.from, AFRPC_FRAME_CALL, 1, value);
        size = afrpc_transport_get_queued (&source.from);
        raw = flush_raw (&source, size);
        raw[size - n] ^= 1;

        transport_pair_init (&pair, TRANSPORT_WAY_GUARDED, O_NONBLOCK);
        g_assert_cmpint (write (pair.from.out_fd, raw, size), ==, size);
        while ((step = afrpc_transport_next (&pair.to, &frame, &error)) == AFRPC_STEP_AGAIN)
          g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
        g_assert_cmpint (step, ==, AFRPC_STEP_ERROR);
        g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL);
      }
}

/* The last bytes, of as many reads as there are pieces of that size. */
static void
check_last_bytes (gsize n_bytes,
            gsize piece)
{
  g_auto(TransportPair) pair = { 0 };
  guint8 bytes[1000];
  const gsize kept = MIN (n_bytes, AFRPC_FRAME_GOODBYE_SIZE);

  for (gsize i = 0; i < n_bytes; i++)
    bytes[i] = i * 7 + i / 256;
  /* A header that never ends. */
  afrpc_frame_encode (&(AfrpcFrameHeader) { .kind = AFRPC_FRAME_CALL, .size = 30000 }, bytes);

  transport_pair_init (&pair, TRANSPORT_WAY_GUARDED, O_NONBLOCK);
  for (gsize at = 0; at < n_bytes; at += piece)
    {
      AfrpcFrame frame;
      gsize n = MIN (piece, n_bytes - at);

      g_assert_cmpint (write (pair.from.out_fd, bytes + at, n), ==, n);
      g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      g_assert_cmpint (afrpc_transport_next (&pair.to, &frame, NULL), ==, AFRPC_STEP_AGAIN);
    }
  g_assert_cmpmem (pair.to.last_bytes, pair.to.n_last_bytes, bytes + n_bytes - kept, kept);
}

static void
test_transport_last_bytes (void)
{
  g_test_summary ("With guards, the last bytes that arrived are remembered however they came");
  for (gsize n_bytes = AFRPC_FRAME_HEADER_SIZE; n_bytes < 150; n_bytes++)
    for (gsize piece = 1; piece <= n_bytes; piece += 1 + piece / 10)
      check_last_bytes (n_bytes, piece);
}

static void
test_transport_reset (void)
{
  g_auto(TransportPair) pair = { 0 };

  g_test_summary ("A peer that closes without having read everything is an end, not an error");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
  g_assert_cmpint (transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  afrpc_transport_put_value (&pair.to, AFRPC_FRAME_CALL, 1, NULL);
  g_assert_cmpint (transport_flush (&pair.to, NULL), ==, AFRPC_STEP_DONE);
  afrpc_transport_clear (&pair.from);
  g_assert_cmpuint (read_to_eof (&pair.to), ==, 1);
}

static void
test_transport_flush_to_nobody (gconstpointer data)
{
  const gboolean is_reset = GPOINTER_TO_INT (data);
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) large = transport_pair_new_bytes (1 << 20, 1);
  g_autoptr(GError) error = NULL;

  g_test_summary ("Writing to who does not read any more is the end, without a signal");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, large);
  g_assert_cmpint (transport_flush (&pair.from, &error), ==, AFRPC_STEP_AGAIN);
  if (is_reset)
    afrpc_transport_clear (&pair.to);
  else
    g_assert_no_errno (shutdown (pair.to.in_fd, SHUT_RD));
  g_assert_cmpint (transport_flush (&pair.from, &error), ==, AFRPC_STEP_EOF);
  g_assert_no_error (error);

  /* Again, with several pieces at once. */
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 2, NULL);
  g_assert_cmpint (transport_flush (&pair.from, &error), ==, AFRPC_STEP_EOF);
  g_assert_no_error (error);
}

static gpointer
flush_thread (gpointer transport)
{
  return GINT_TO_POINTER (transport_flush (transport, NULL));
}

/* Waits until all threads but this one are waiting for something. */
static void
wait_until_alone (void)
{
  g_autofree char *self = g_strdup_printf ("%d", gettid ());
  gboolean alone = FALSE;

  while (!alone)
    {
      g_autoptr(GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
      const char *name;

      alone = TRUE;
      while ((name = g_dir_read_name (dir)) != NULL)
        {
          g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/stat", name);
          g_autofree char *text = NULL;

          if (strcmp (name, self) != 0 && g_file_get_contents (path, &text, NULL, NULL))
            alone = alone && strstr (text, ") S ") != NULL;
        }
    }
}

static void
test_transport_flush_blocked (void)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) large = transport_pair_new_bytes (1 << 20, 1);
  GThread *thread;

  g_test_summary ("A peer that goes while we block in writing to it is the end");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, large);
  g_assert_cmpint (transport_flush (&pair.from, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_no_errno (fcntl (pair.from.out_fd, F_SETFL, 0));
  thread = g_thread_new ("flush", flush_thread, &pair.from);
  wait_until_alone ();
  afrpc_transport_clear (&pair.to);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, AFRPC_STEP_EOF);
}

static guint n_pipe_signals;

static void
pipe_signal_cb (int signum)
{
  n_pipe_signals++;
}

/* @handler: what the program does about the signal; @blocked: whether the thread has one waiting already */
static void
check_closed_pipe (sighandler_t handler,
                   gboolean     blocked)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GError) error = NULL;
  sighandler_t before = signal (SIGPIPE, handler);
  sigset_t sigpipe, mask, after, pending;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  if (blocked)
    {
      pthread_sigmask (SIG_BLOCK, &sigpipe, NULL);
      pthread_kill (pthread_self (), SIGPIPE);
    }
  pthread_sigmask (SIG_SETMASK, NULL, &mask);

  transport_pair_init (&pair, TRANSPORT_WAY_PIPE, O_NONBLOCK);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, NULL);
  afrpc_transport_clear (&pair.to);
  g_assert_cmpint (transport_flush (&pair.from, &error), ==, AFRPC_STEP_EOF);
  g_assert_no_error (error);

  pthread_sigmask (SIG_SETMASK, NULL, &after);
  g_assert_cmpint (sigismember (&after, SIGPIPE), ==, blocked);
  g_assert_cmpint (sigismember (&after, SIGINT), ==, sigismember (&mask, SIGINT));
  sigpending (&pending);
  g_assert_cmpint (sigismember (&pending, SIGPIPE), ==, blocked && handler != SIG_IGN);
  g_assert_cmpuint (n_pipe_signals, ==, 0);
  if (blocked)
    {
      sigtimedwait (&sigpipe, NULL, &(struct timespec) { 0, 0 });
      pthread_sigmask (SIG_UNBLOCK, &sigpipe, NULL);
    }
  g_assert_true (signal (SIGPIPE, before) == handler);
}

static void
test_transport_flush_to_closed_pipe (void)
{
  g_test_summary ("A pipe that nobody reads is the end, and no signal, whatever the program does about those");
  check_closed_pipe (SIG_DFL, FALSE);
  check_closed_pipe (SIG_IGN, FALSE);
  check_closed_pipe (pipe_signal_cb, FALSE);
  check_closed_pipe (SIG_DFL, TRUE);
}

static void
test_transport_bad_fd (void)
{
  g_auto(AfrpcTransport) transport = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("What the system refuses for another reason is an error with that reason");
  afrpc_transport_init (&transport, &afrpc_pipes_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&transport, -1, -1);
  g_assert_cmpint (afrpc_transport_read (&transport, &error), ==, AFRPC_STEP_ERROR);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);

  g_assert_cmpint (transport_flush (&transport, &error), ==, AFRPC_STEP_DONE);
  afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, 1, NULL);
  g_assert_cmpint (transport_flush (&transport, &error), ==, AFRPC_STEP_ERROR);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
}

/* What the signal handler does when it has interrupted often enough. */
static int helper_fd;
static gboolean helper_reads;
static volatile int n_interrupts;

static void
alarm_cb (int signum)
{
  char buffer[65536] = { AFRPC_FRAME_CALL };
  const int saved_errno = errno;
  gssize n = 0;

  if (++n_interrupts >= 3)
    n = helper_reads ? read (helper_fd, buffer, sizeof buffer)
                     : write (helper_fd, buffer, AFRPC_FRAME_HEADER_SIZE);
  (void) n;
  errno = saved_errno;
}

static void
set_helper (int      fd,
            gboolean reads)
{
  n_interrupts = 0;
  helper_fd = fd;
  helper_reads = reads;
  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
}

/* Interrupts whatever blocks, every millisecond, until @interval_us is set to 0. */
static void
set_alarm (int interval_us)
{
  const struct itimerval timer = { { 0, interval_us }, { 0, interval_us } };
  const struct sigaction action = { .sa_handler = alarm_cb };

  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
}

static void
test_transport_interrupted (gconstpointer data)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) large = transport_pair_new_bytes (1 << 20, 1);
  AfrpcStep step;

  g_test_summary ("Signals do not end a step that blocks");
  transport_pair_init (&pair, GPOINTER_TO_UINT (data), 0);
  set_helper (pair.from.out_fd, FALSE);
  set_alarm (1000);
  step = afrpc_transport_read (&pair.to, NULL);
  set_alarm (0);
  g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
  g_assert_cmpint (n_interrupts, >=, 3);

  g_assert_no_errno (fcntl (pair.from.out_fd, F_SETFL, 0));
  set_helper (pair.to.in_fd, TRUE);
  afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 1, large);
  set_alarm (1000);
  step = transport_flush (&pair.from, NULL);
  set_alarm (0);
  g_assert_cmpint (step, ==, AFRPC_STEP_DONE);
  g_assert_cmpint (n_interrupts, >=, 3);
}

int
main (int    argc,
      char **argv)
{
  const gconstpointer over_socket = GUINT_TO_POINTER (TRANSPORT_WAY_SOCKET);
  const gconstpointer over_pipe = GUINT_TO_POINTER (TRANSPORT_WAY_PIPE);
  const gconstpointer guarded = GUINT_TO_POINTER (TRANSPORT_WAY_GUARDED);

  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/transport-ends/exact/plain", over_socket, test_transport_exact);
  g_test_add_data_func ("/transport-ends/exact/guarded", guarded, test_transport_exact);
  g_test_add_func ("/transport-ends/size-max", test_transport_size_max);
  g_test_add_data_func ("/transport-ends/impossible-size/plain", over_socket, test_transport_impossible_size);
  g_test_add_data_func ("/transport-ends/impossible-size/guarded", guarded, test_transport_impossible_size);
  g_test_add_data_func ("/transport-ends/no-memory/plain", over_socket, test_transport_no_memory);
  g_test_add_data_func ("/transport-ends/no-memory/pipe", over_pipe, test_transport_no_memory);
  g_test_add_data_func ("/transport-ends/no-memory/guarded", guarded, test_transport_no_memory);
  g_test_add_func ("/transport-ends/garbage", test_transport_garbage);
  g_test_add_data_func ("/transport-ends/eof/socket", over_socket, test_transport_eof);
  g_test_add_data_func ("/transport-ends/eof/pipe", over_pipe, test_transport_eof);
  g_test_add_data_func ("/transport-ends/eof/guarded", guarded, test_transport_eof);
  g_test_add_func ("/transport-ends/guard", test_transport_guard);
  g_test_add_func ("/transport-ends/last-bytes", test_transport_last_bytes);
  g_test_add_func ("/transport-ends/reset", test_transport_reset);
  g_test_add_data_func ("/transport-ends/flush-to-nobody/shut", GINT_TO_POINTER (FALSE),
                        test_transport_flush_to_nobody);
  g_test_add_data_func ("/transport-ends/flush-to-nobody/reset", GINT_TO_POINTER (TRUE),
                        test_transport_flush_to_nobody);
  g_test_add_func ("/transport-ends/flush-blocked", test_transport_flush_blocked);
  g_test_add_func ("/transport-ends/flush-to-closed-pipe", test_transport_flush_to_closed_pipe);
  g_test_add_func ("/transport-ends/bad-fd", test_transport_bad_fd);
  g_test_add_data_func ("/transport-ends/interrupted/socket", over_socket, test_transport_interrupted);
  g_test_add_data_func ("/transport-ends/interrupted/pipe", over_pipe, test_transport_interrupted);

  return g_test_run ();
}
