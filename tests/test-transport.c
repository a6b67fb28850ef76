/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport-pair.h"
#include "transport/afrpc-pipes.h"

/* The values of @values as frames with the serials 1, 2, 3...; some may be NULL. */
static GBytes *
to_bytes (TransportWay  way,
          GPtrArray    *values)
{
  g_auto(AfrpcTransport) transport = { 0 };
  int memfd = memfd_create ("frames", MFD_CLOEXEC);
  gsize size;
  char *data;

  g_assert_no_errno (memfd);
  afrpc_transport_init (&transport, &afrpc_pipes_funcs,
                        way == TRANSPORT_WAY_GUARDED ? AFRPC_TRANSPORT_WORKER : AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&transport, -1, memfd);
  for (guint i = 0; i < values->len; i++)
    afrpc_transport_put_value (&transport, AFRPC_FRAME_CALL, i + 1, values->pdata[i]);
  size = afrpc_transport_get_queued (&transport);
  g_assert_cmpint (transport_flush (&transport, NULL), ==, AFRPC_STEP_DONE);

  data = g_malloc (size + 1);
  g_assert_cmpint (pread (memfd, data, size + 1, 0), ==, size);

  return g_bytes_new_take (data, size);
}

static GPtrArray *
small_values (void)
{
  GPtrArray *values = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_autofree char *letters = g_strnfill (AFRPC_FRAME_TYPE_MAX - 2, 'y');
  g_autofree char *longest = g_strdup_printf ("(%s)", letters);
  g_autoptr(GBytes) bytes = g_bytes_new (letters, strlen (letters));

  g_ptr_array_add (values, g_variant_ref_sink (g_variant_new_string ("")));
  g_ptr_array_add (values,
                   g_variant_ref_sink (g_variant_new_parsed ("('x', @at [1, 2], {'a': <'b'>})")));
  for (guint size = 0; size < 18; size++)
    g_ptr_array_add (values, transport_pair_new_bytes (size, size));
  g_ptr_array_add (values, g_variant_ref_sink (g_variant_new_tuple (NULL, 0)));
  g_ptr_array_add (values, g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (longest),
                                                                         bytes, TRUE)));
  g_ptr_array_add (values, transport_pair_new_bytes (3, 3));

  return values;
}

static void
write_all (int           fd,
           const guint8 *data,
           gsize         size)
{
  if (size > 0)
    g_assert_cmpint (write (fd, data, size), ==, size);
}

static guint
take_frames (AfrpcTransport *transport,
             GPtrArray      *values,
             guint           n_taken)
{
  g_autoptr(GError) error = NULL;
  AfrpcFrame frame;
  AfrpcStep step;

  while ((step = afrpc_transport_next (transport, &frame, &error)) == AFRPC_STEP_DONE)
    {
      g_assert_cmpuint (n_taken, <, values->len);
      transport_pair_check_frame (&frame, n_taken + 1, values->pdata[n_taken]);
      n_taken++;
    }
  g_assert_no_error (error);
  g_assert_cmpint (step, ==, AFRPC_STEP_AGAIN);

  return n_taken;
}

/* Reads all that is there. */
static guint
read_frames (AfrpcTransport *transport,
             GPtrArray      *values,
             guint           n_taken)
{
  while (afrpc_transport_read (transport, NULL) == AFRPC_STEP_DONE)
    n_taken = take_frames (transport, values, n_taken);

  return n_taken;
}

static void
check_splits (TransportWay  way,
              GPtrArray    *values,
              gsize         step)
{
  g_autoptr(GBytes) bytes = to_bytes (way, values);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  g_auto(TransportPair) pair = { 0 };

  transport_pair_init (&pair, way, O_NONBLOCK);
  for (gsize at = 1; at < size; at += step)
    {
      guint n_taken;

      write_all (pair.from.out_fd, data, at);
      n_taken = read_frames (&pair.to, values, 0);
      write_all (pair.from.out_fd, data + at, size - at);
      n_taken = read_frames (&pair.to, values, n_taken);
      g_assert_cmpuint (n_taken, ==, values->len);
    }
  transport_pair_assert_idle (&pair);
}

static void
test_transport_every_split (gconstpointer data)
{
  g_autoptr(GPtrArray) small = small_values ();
  g_autoptr(GPtrArray) large = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);

  g_test_summary ("Frames arrive whole wherever the stream of bytes is cut");
  check_splits (GPOINTER_TO_UINT (data), small, 1);

  g_ptr_array_add (large, transport_pair_new_bytes (7, 1));
  g_ptr_array_add (large, transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN, 2));
  g_ptr_array_add (large, transport_pair_new_bytes (7, 3));
  g_ptr_array_add (large, transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN + 1, 4));
  check_splits (GPOINTER_TO_UINT (data), large, g_test_thorough () ? 1 : 13);
}

static void
test_transport_byte_by_byte (gconstpointer data)
{
  g_autoptr(GPtrArray) values = small_values ();
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GBytes) bytes = NULL;
  const guint8 *raw;
  gsize size;
  guint n_taken = 0;

  g_test_summary ("Frames arrive whole though each byte comes alone");
  g_ptr_array_add (values, transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN + 1, 1));
  bytes = to_bytes (GPOINTER_TO_UINT (data), values);
  raw = g_bytes_get_data (bytes, &size);
  transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
  for (gsize i = 0; i < size; i++)
    {
      write_all (pair.from.out_fd, raw + i, 1);
      n_taken = read_frames (&pair.to, values, n_taken);
    }
  g_assert_cmpuint (n_taken, ==, values->len);
}

static void
test_transport_many_in_one_read (gconstpointer data)
{
  g_auto(TransportPair) pair = { 0 };
  AfrpcFrame frame;

  g_test_summary ("All frames of one read are there without another");
  transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
  for (guint i = 0; i < 2000; i++)
    afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, NULL);
  g_assert_cmpint (transport_flush (&pair.from, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
  for (guint i = 0; i < 2000; i++)
    {
      g_assert_cmpint (afrpc_transport_next (&pair.to, &frame, NULL), ==, AFRPC_STEP_DONE);
      transport_pair_check_frame (&frame, i, NULL);
    }
  transport_pair_assert_idle (&pair);
}

static const gsize sizes[] = {
  0, 1, 7, 8, AFRPC_LARGE_PAYLOAD_MIN - 1, AFRPC_LARGE_PAYLOAD_MIN, AFRPC_LARGE_PAYLOAD_MIN + 1,
  64 << 10, 1 << 20, 10 << 20,
};

static void
test_transport_sizes (gconstpointer data)
{
  g_auto(TransportPair) pair = { 0 };

  g_test_summary ("Payloads of all sizes arrive, alone and all together");
  transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);

      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value);
      g_assert_cmpuint (afrpc_transport_get_queued (&pair.from), ==,
                        transport_pair_frame_size (&pair, sizes[i]));
      /* What is large is not copied. */
      g_assert_cmpuint (pair.from.writer.tail, <, 2 * AFRPC_LARGE_PAYLOAD_MIN);
      transport_pair_receive_value (&pair, i, value);
      transport_pair_assert_idle (&pair);
    }

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);

      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);

      transport_pair_receive_value (&pair, i, value);
    }
  transport_pair_assert_idle (&pair);
}

static gpointer
flush_thread (gpointer transport)
{
  return GINT_TO_POINTER (transport_flush (transport, NULL));
}

static void
test_transport_blocking (gconstpointer data)
{
  g_auto(TransportPair) pair = { 0 };
  GThread *thread;

  g_test_summary ("Descriptors that block serve as well as those that do not");
  transport_pair_init (&pair, GPOINTER_TO_UINT (data), 0);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);

      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value);
    }
  thread = g_thread_new ("flush", flush_thread, &pair.from);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);
      AfrpcFrame frame;

      while (afrpc_transport_next (&pair.to, &frame, NULL) == AFRPC_STEP_AGAIN)
        g_assert_cmpint (afrpc_transport_read (&pair.to, NULL), ==, AFRPC_STEP_DONE);
      transport_pair_check_frame (&frame, i, value);
    }
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, AFRPC_STEP_DONE);
}

static void
test_transport_batches (gconstpointer data)
{
  g_test_summary ("Any number of large payloads, with small ones between them, go out together");
  for (guint n_large = 0; n_large < 24; n_large++)
    for (guint odd = 0; odd < 8; odd++)
      {
        g_auto(TransportPair) pair = { 0 };
        GVariant *value[2] = { transport_pair_new_bytes (5, 1),
                               transport_pair_new_bytes (AFRPC_LARGE_PAYLOAD_MIN + (odd & 1), 2) };
        const guint n_small = odd >> 1;

        transport_pair_init (&pair, GPOINTER_TO_UINT (data), O_NONBLOCK);
        for (guint i = 0; i < n_large; i++)
          {
            afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value[1]);
            if (i % 4 < n_small)
              afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, value[0]);
          }
        afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, n_large, value[0]);
        for (guint i = 0; i < n_large; i++)
          {
            transport_pair_receive_value (&pair, i, value[1]);
            if (i % 4 < n_small)
              transport_pair_receive_value (&pair, i, value[0]);
          }
        transport_pair_receive_value (&pair, n_large, value[0]);
        transport_pair_assert_idle (&pair);
        g_variant_unref (value[0]);
        g_variant_unref (value[1]);
      }
}

/* A small pipe takes little: its capacity, less what is in it. */
static void
check_growing (gsize n_bytes_in_pipe,
               guint n_queued,
               gsize size)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) value = transport_pair_new_bytes (size, 1);
  guint8 filling[4096] = { 0 };

  transport_pair_init (&pair, TRANSPORT_WAY_PIPE, O_NONBLOCK);
  g_assert_no_errno (fcntl (pair.from.out_fd, F_SETPIPE_SZ, 4096));
  write_all (pair.from.out_fd, filling, n_bytes_in_pipe);

  for (guint i = 0; i < n_queued; i++)
    afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, i, NULL);
  g_assert_cmpint (transport_flush (&pair.from, NULL), !=, AFRPC_STEP_ERROR);

  for (guint i = 0; i < 3; i++)
    {
      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, n_queued + i, value);
      g_assert_cmpuint (pair.from.writer.tail, <=, pair.from.writer.allocated);
    }

  if (n_bytes_in_pipe > 0)
    g_assert_cmpint (read (pair.to.in_fd, filling, n_bytes_in_pipe), ==, n_bytes_in_pipe);
  for (guint i = 0; i < n_queued; i++)
    transport_pair_receive_value (&pair, i, NULL);
  for (guint i = 0; i < 3; i++)
    transport_pair_receive_value (&pair, n_queued + i, value);
  transport_pair_assert_idle (&pair);
}

static void
test_transport_growing (void)
{
  const gsize n_bytes_in_pipe[] = { 0, 1, 100, 2048, 3000, 4095, 4096 };
  const gsize new_sizes[] = { 0, 100, 4000, 8191, AFRPC_LARGE_PAYLOAD_MIN - 1,
                              AFRPC_LARGE_PAYLOAD_MIN };

  g_test_summary ("The buffer has room for what is queued behind what a reader left there");
  for (guint i = 0; i < G_N_ELEMENTS (n_bytes_in_pipe); i++)
    for (guint j = 0; j < G_N_ELEMENTS (new_sizes); j++)
      for (guint n_queued = 1; n_queued < 800; n_queued += 20)
        check_growing (n_bytes_in_pipe[i], n_queued, new_sizes[j]);
}

static void
test_transport_bounded_buffer (void)
{
  g_auto(TransportPair) pair = { 0 };
  g_autoptr(GVariant) value = transport_pair_new_bytes (1000, 1);
  AfrpcFrame frame;
  guint64 n_sent = 0;

  g_test_summary ("A reader that is always a little behind does not make the buffer grow for ever");
  transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
  for (guint64 n = 0; n < 20000; n++)
    {
      for (; n_sent < n + 500; n_sent++)
        afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, n_sent, value);
      transport_pair_receive (&pair, &frame);
      g_assert_cmpuint (frame.header.serial, ==, n);
      g_assert_cmpuint (pair.from.writer.allocated, <=, 4 * 500 * 1100);
    }

  for (guint64 n = 20000; n < n_sent; n++)
    transport_pair_receive_value (&pair, n, value);
  transport_pair_assert_idle (&pair);
  g_assert_cmpuint (pair.from.writer.allocated, <=, 256 << 10);
}

static void
test_transport_small_socket_buffer (void)
{
  const int smallest = 1;

  g_test_summary ("Payloads arrive whole when the kernel takes little at a time");
  for (guint i = 0; i < G_N_ELEMENTS (sizes) - 1; i++)
    {
      g_auto(TransportPair) pair = { 0 };
      g_autoptr(GVariant) value = transport_pair_new_bytes (sizes[i], i);
      g_autoptr(GVariant) end = transport_pair_new_bytes (9, 9);

      transport_pair_init (&pair, TRANSPORT_WAY_SOCKET, O_NONBLOCK);
      g_assert_no_errno (setsockopt (pair.from.out_fd, SOL_SOCKET, SO_SNDBUF, &smallest,
                                     sizeof smallest));
      for (guint j = 0; j < 4; j++)
        {
          afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, j, value);
          g_assert_cmpint (transport_flush (&pair.from, NULL), !=, AFRPC_STEP_ERROR);
        }
      afrpc_transport_put_value (&pair.from, AFRPC_FRAME_CALL, 4, end);
      for (guint j = 0; j < 4; j++)
        transport_pair_receive_value (&pair, j, value);
      transport_pair_receive_value (&pair, 4, end);
      transport_pair_assert_idle (&pair);
    }
}

/* Whether all bytes after the first @size of @n are zero. */
static void
assert_padding (const guint8 *data,
                gsize         size)
{
  for (gsize i = size; i < afrpc_frame_pad (size); i++)
    g_assert_cmphex (data[i], ==, 0);
}

static void
test_transport_padding (gconstpointer data)
{
  const TransportWay way = GPOINTER_TO_UINT (data);
  const gsize guard_size = way == TRANSPORT_WAY_GUARDED ? AFRPC_FRAME_GUARD_SIZE : 0;

  g_test_summary ("What fills a frame up to a multiple of 8 is zero, and no old memory; then comes "
                  "the guard");
  for (gsize size = 1; size < 2 * AFRPC_LARGE_PAYLOAD_MIN; size += size < 32 ? 1 : 2731)
    {
      g_autoptr(GPtrArray) values =
        g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
      g_autofree guint8 *ones = g_malloc (size);
      g_autoptr(GBytes) bytes = NULL;
      const guint8 *raw;
      gsize total;

      memset (ones, 0xff, size);
      for (guint i = 0; i < 2; i++)
        g_ptr_array_add (values, g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE,
                                                                                ones, size, 1)));
      bytes = to_bytes (way, values);
      raw = g_bytes_get_data (bytes, &total);
      g_assert_cmpuint (total, ==,
                        2 * (AFRPC_FRAME_HEADER_SIZE + 8 + afrpc_frame_pad (size) + guard_size));
      for (guint i = 0; i < 2; i++)
        {
          const guint8 *frame = raw + i * total / 2;

          assert_padding (frame + AFRPC_FRAME_HEADER_SIZE, 2);
          assert_padding (frame + AFRPC_FRAME_HEADER_SIZE + 8, size);
          for (gsize j = 1; j <= guard_size; j++)
            g_assert_cmphex (frame[total / 2 - j], ==, AFRPC_FRAME_GUARD_BYTE);
        }
    }
}

static void
add (const char    *name,
     GTestDataFunc  func)
{
  static const char *const ways[] = {
    [TRANSPORT_WAY_SOCKET] = "socket",
    [TRANSPORT_WAY_PIPE] = "pipe",
    [TRANSPORT_WAY_GUARDED] = "guarded",
  };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_autofree char *path = g_strdup_printf ("/transport/%s/%s", name, ways[i]);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), func);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add ("every-split", test_transport_every_split);
  add ("byte-by-byte", test_transport_byte_by_byte);
  add ("many-in-one-read", test_transport_many_in_one_read);
  add ("sizes", test_transport_sizes);
  add ("blocking", test_transport_blocking);
  add ("batches", test_transport_batches);
  add ("padding", test_transport_padding);
  g_test_add_func ("/transport/growing", test_transport_growing);
  g_test_add_func ("/transport/bounded-buffer", test_transport_bounded_buffer);
  g_test_add_func ("/transport/small-socket-buffer", test_transport_small_socket_buffer);

  return g_test_run ();
}
