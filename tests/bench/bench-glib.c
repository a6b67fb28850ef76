/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one can write by hand with GLib for just this purpose: a parent with its own GSource, a child
 * with a blocking loop, GVariants behind a length, both sides gathering their writes. No errors, no
 * cancelling, no death: what afrpc adds to this is the price of what it does. */
#include "bench-common.h"

#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEER "glib"
#define BUFFER_SIZE (64u << 10)
#define FLUSH_SIZE (4u << 10) /* waiting for more than this leaves the other process idle */

typedef enum { FRAME_CALL, FRAME_RESULT, FRAME_EVENT } FrameKind;

typedef struct
{
  guint32 len;
  guint32 kind;
} FrameHead;

typedef struct _Stream Stream;

typedef void (*FrameFunc) (Stream    *stream,
                           FrameKind  kind,
                           GVariant  *value);

struct _Stream
{
  int fd;
  FrameFunc func;
  gsize in_fill;
  gsize out_fill;

  gboolean emits;
  guint64 n;
  guint64 n_sent;
  guint64 n_received;
  guint64 n_events;

  char in[BUFFER_SIZE];
  char out[BUFFER_SIZE];
};

typedef struct
{
  GSource source;
  Stream *stream;
  gpointer tag;
} StreamSource;

/* Blocks when the socket is full, which a thousand calls of this length do not reach. */
static void
stream_flush (Stream *self)
{
  gsize pos = 0;

  while (pos < self->out_fill)
    {
      ssize_t done = write (self->fd, self->out + pos, self->out_fill - pos);

      if (done < 0)
        bench_fail ("write: %m");
      pos += (gsize) done;
    }
  self->out_fill = 0;
}

static void
stream_send (Stream    *self,
             FrameKind  kind,
             GVariant  *value)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink (value);
  FrameHead head = { .len = (guint32) g_variant_get_size (sunk), .kind = kind };

  memcpy (self->out + self->out_fill, &head, sizeof head);
  g_variant_store (sunk, self->out + self->out_fill + sizeof head);
  self->out_fill += sizeof head + head.len;
  if (self->out_fill >= FLUSH_SIZE)
    stream_flush (self);
}

static void
stream_send_text (Stream    *self,
                  FrameKind  kind,
                  guint64    number)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, number);
  stream_send (self, kind, g_variant_new_string (text));
}

/* Returns FALSE at the end of the stream. */
static gboolean
stream_read (Stream *self)
{
  ssize_t done = read (self->fd, self->in + self->in_fill, BUFFER_SIZE - self->in_fill);
  gsize pos = 0;
  FrameHead head;

  if (done <= 0)
    return FALSE;
  self->in_fill += (gsize) done;
  while (self->in_fill - pos >= sizeof head)
    {
      g_autoptr(GVariant) value = NULL;
      gpointer data;

      memcpy (&head, self->in + pos, sizeof head);
      if (head.len > BUFFER_SIZE - sizeof head)
        bench_fail ("a frame of %u bytes", head.len);
      if (self->in_fill - pos < sizeof head + head.len)
        break;
      data = g_memdup2 (self->in + pos + sizeof head, head.len);
      value = g_variant_new_from_data (G_VARIANT_TYPE_STRING, data, head.len, FALSE, g_free, data);
      g_variant_ref_sink (value);
      self->func (self, head.kind, value);
      pos += sizeof head + head.len;
    }
  memmove (self->in, self->in + pos, self->in_fill - pos);
  self->in_fill -= pos;
  return TRUE;
}

/* Everything that was sent since the last iteration goes out in one write. */
static gboolean
stream_source_prepare (GSource *source,
                       int     *timeout_ms)
{
  *timeout_ms = -1;
  stream_flush (((StreamSource *) source)->stream);
  return FALSE;
}

static gboolean
stream_source_check (GSource *source)
{
  return g_source_query_unix_fd (source, ((StreamSource *) source)->tag) != 0;
}

static gboolean
stream_source_dispatch (GSource     *source,
                        GSourceFunc  callback,
                        gpointer     user_data)
{
  if (!stream_read (((StreamSource *) source)->stream))
    bench_fail ("the child is gone");
  return G_SOURCE_CONTINUE;
}

static GSource *
stream_source_new (Stream *stream)
{
  static GSourceFuncs funcs = {
    .prepare = stream_source_prepare,
    .check = stream_source_check,
    .dispatch = stream_source_dispatch,
  };
  GSource *source = g_source_new (&funcs, sizeof (StreamSource));

  ((StreamSource *) source)->stream = stream;
  ((StreamSource *) source)->tag = g_source_add_unix_fd (source, stream->fd, G_IO_IN);
  /* Else GLib blocks and unblocks the source around each dispatch, and wakes itself up for it. */
  g_source_set_can_recurse (source, TRUE);
  return source;
}

static void
child_frame (Stream    *self,
             FrameKind  kind,
             GVariant  *value)
{
  const char *text = g_variant_get_string (value, NULL);
  guint64 n = self->emits ? bench_text_read (text) : 0;

  for (guint64 i = 0; i < n; i++)
    stream_send_text (self, FRAME_EVENT, i);
  stream_send (self, FRAME_RESULT, g_variant_new_string (text));
}

static void
parent_frame (Stream    *self,
              FrameKind  kind,
              GVariant  *value)
{
  const char *text = g_variant_get_string (value, NULL);
  guint64 expected = self->emits ? self->n_events : self->n_received;

  if (!bench_text_is (text, expected))
    bench_fail ("text %" G_GUINT64_FORMAT " is wrong: %s", expected, text);
  if (kind == FRAME_EVENT)
    {
      self->n_events++;
      return;
    }
  self->n_received++;
  if (!self->emits && self->n_sent < self->n)
    stream_send_text (self, FRAME_CALL, self->n_sent++);
}

/* The reply to the one call that makes events is the text of their number, which comes after
 * theirs. */
static void
run (const BenchOptions *options,
     Stream             *self,
     guint64             n)
{
  guint64 window = strcmp (options->workload, "W1") == 0 ? 1 : BENCH_WINDOW;

  self->n = n;
  self->n_sent = self->n_received = self->n_events = 0;
  if (self->emits)
    stream_send_text (self, FRAME_CALL, n);
  else
    while (self->n_sent < MIN (n, window))
      stream_send_text (self, FRAME_CALL, self->n_sent++);
  while (self->n_received < (self->emits ? 1 : n))
    g_main_context_iteration (NULL, TRUE);
}

int
main (int    argc,
      char **argv)
{
  static Stream stream;
  g_autoptr(GSource) source = NULL;
  BenchOptions options;
  BenchMeter meter;
  int fds[2], status;
  pid_t child;

  bench_options_init (&options, argc, argv);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  stream.emits = strcmp (options.workload, "W3") == 0;
  child = fork ();
  if (child < 0)
    bench_fail ("fork: %m");
  if (child == 0)
    {
      close (fds[0]);
      stream.fd = fds[1];
      stream.func = child_frame;
      while (stream_read (&stream))
        stream_flush (&stream);
      _exit (0);
    }
  close (fds[1]);
  stream.fd = fds[0];
  stream.func = parent_frame;
  source = stream_source_new (&stream);
  g_source_attach (source, NULL);

  run (&options, &stream, BENCH_WARM_UP);
  bench_meter_start (&meter, child);
  run (&options, &stream, options.n);
  bench_meter_stop (&meter);

  g_source_destroy (source);
  close (stream.fd);
  if (waitpid (child, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
  bench_report_time (&options, PEER, &meter);
  return 0;
}
