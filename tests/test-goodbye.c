/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/afrpc-pipes.h"

#define SERIAL G_GUINT64_CONSTANT (0x123456789abcdef)

/* The bytes of a frame as a worker over a command sends it. */
static GBytes *
new_frame (gsize size)
{
  g_auto(AfrpcTransport) transport = { 0 };
  g_auto(AfrpcTransport) none = { 0 };
  g_autofree guint8 *data = g_malloc (size);
  g_autofree guint8 *bytes = NULL;
  g_autoptr(GVariant) value = NULL;
  int sockets[2];
  gsize n, got = 0;

  memset (data, AFRPC_FRAME_GUARD_BYTE, size); /* the worst */
  value = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, size, 1));
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, sockets), ==, 0);
  afrpc_transport_init (&transport, &afrpc_pipes_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&transport, sockets[0], sockets[0]);
  afrpc_transport_put_value (&transport, AFRPC_FRAME_EVENT, 0, value);
  n = afrpc_transport_get_queued (&transport);
  g_assert_cmpint (afrpc_transport_flush (&transport, NULL), ==, AFRPC_STEP_DONE);
  bytes = g_malloc (n);
  while (got < n)
    got += read (sockets[1], bytes + got, n - got);
  close (sockets[1]);

  return g_bytes_new (bytes, n);
}

/* Reads @n bytes of @frame with a goodbye behind them: frames that come out, and whether the end is one. */
static guint
count_frames (GBytes   *frame,
              gsize     n,
              gboolean *has_goodbye)
{
  const AfrpcGoodbye goodbye = { .status = -1, .signum = 9, .core = TRUE };
  g_auto(AfrpcTransport) transport = { 0 };
  guint8 bytes[AFRPC_FRAME_GOODBYE_SIZE];
  AfrpcStep step = AFRPC_STEP_AGAIN;
  AfrpcGoodbye found;
  AfrpcFrame parsed;
  int sockets[2];
  guint n_frames = 0;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, sockets), ==, 0);
  afrpc_goodbye_encode (&goodbye, SERIAL, bytes);
  g_assert_cmpint (write (sockets[1], g_bytes_get_data (frame, NULL), n), ==, n);
  g_assert_cmpint (write (sockets[1], bytes, sizeof bytes), ==, sizeof bytes);
  close (sockets[1]);

  afrpc_transport_init (&transport, &afrpc_pipes_funcs, AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&transport, sockets[0], sockets[0]);
  transport.reader.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  while (step != AFRPC_STEP_ERROR && afrpc_transport_read (&transport, NULL) == AFRPC_STEP_DONE)
    while ((step = afrpc_transport_next (&transport, &parsed, NULL)) == AFRPC_STEP_DONE)
      n_frames += parsed.header.kind == AFRPC_FRAME_EVENT;
  while (afrpc_transport_read (&transport, NULL) == AFRPC_STEP_DONE)
    while (afrpc_transport_next (&transport, &parsed, NULL) == AFRPC_STEP_DONE)
      ;

  g_assert_false (afrpc_goodbye_decode (&found, SERIAL + 1, transport.last_bytes));
  *has_goodbye = afrpc_goodbye_decode (&found, SERIAL, transport.last_bytes);
  if (*has_goodbye)
    g_assert_cmpint (found.signum, ==, 9);

  return n_frames;
}

static void
test_goodbye_cut (void)
{
  const gsize sizes[] = { 1, 100, AFRPC_LARGE_PAYLOAD_MIN + 5 };

  g_test_summary ("However much of a frame was written, a goodbye behind it is found and completes nothing");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(GBytes) frame = new_frame (sizes[i]);
      const gsize size = g_bytes_get_size (frame);

      for (gsize n = 0; n <= size; n += n > 200 && n + 100 < size ? 97 : 1)
        {
          gboolean has_goodbye;

          g_assert_cmpuint (count_frames (frame, n, &has_goodbye), ==, (n == size ? 1 : 0));
          g_assert_true (has_goodbye);
        }
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/goodbye/cut", test_goodbye_cut);

  return g_test_run ();
}
