/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor: what two plain C processes reach with a socket pair, poll (), and a length before each
 * text. Both sides take every message apart and put every answer together, in big buffers. */
#include "bench-common.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEER "raw-poll"
#define BUFFER_SIZE (64u << 10)

typedef struct
{
  int fd;
  size_t in_fill;
  size_t out_fill;
  char in[BUFFER_SIZE];
  char out[BUFFER_SIZE];
} Stream;

/* Called for each message; @next counts them. */
typedef void (*MessageFunc) (Stream     *stream,
                             const char *text,
                             uint32_t    len,
                             uint64_t    next);

static void
stream_flush (Stream *stream)
{
  size_t pos = 0;

  while (pos < stream->out_fill)
    {
      ssize_t done = write (stream->fd, stream->out + pos, stream->out_fill - pos);

      if (done < 0)
        bench_fail ("write: %m");
      pos += (size_t) done;
    }
  stream->out_fill = 0;
}

static void
stream_put (Stream     *stream,
            const char *text,
            uint32_t    len)
{
  if (stream->out_fill + sizeof len + len > BUFFER_SIZE)
    stream_flush (stream);
  memcpy (stream->out + stream->out_fill, &len, sizeof len);
  memcpy (stream->out + stream->out_fill + sizeof len, text, len);
  stream->out_fill += sizeof len + len;
}

static void
stream_put_number (Stream   *stream,
                   uint64_t  number)
{
  char text[BENCH_TEXT_LEN];

  bench_text_write (text, number);
  stream_put (stream, text, sizeof text);
}

/* Waits for input, and hands over what is whole. @next is the number of the next message. Returns 0
 * at the end of the stream. */
static int
stream_read (Stream      *stream,
             MessageFunc  func,
             uint64_t    *next)
{
  struct pollfd poller = { .fd = stream->fd, .events = POLLIN };
  size_t pos = 0;
  uint32_t len;
  ssize_t done;

  if (poll (&poller, 1, -1) < 0)
    bench_fail ("poll: %m");
  done = read (stream->fd, stream->in + stream->in_fill, BUFFER_SIZE - stream->in_fill);
  if (done <= 0)
    return 0;
  stream->in_fill += (size_t) done;

  while (stream->in_fill - pos >= sizeof len)
    {
      memcpy (&len, stream->in + pos, sizeof len);
      if (len > BUFFER_SIZE - sizeof len)
        bench_fail ("a message of %u bytes", len);
      if (stream->in_fill - pos < sizeof len + len)
        break;
      func (stream, stream->in + pos + sizeof len, len, (*next)++);
      pos += sizeof len + len;
    }
  memmove (stream->in, stream->in + pos, stream->in_fill - pos);
  stream->in_fill -= pos;
  return 1;
}

static void
echo (Stream     *stream,
      const char *text,
      uint32_t    len,
      uint64_t    next)
{
  stream_put (stream, text, len);
}

/* The text is the number of events to make; the reply is the same text, and comes after them. */
static void
emit (Stream     *stream,
      const char *text,
      uint32_t    len,
      uint64_t    next)
{
  uint64_t n = bench_text_read (text);

  for (uint64_t i = 0; i < n; i++)
    stream_put_number (stream, i);
  stream_put (stream, text, len);
}

static void
check (Stream     *stream,
       const char *text,
       uint32_t    len,
       uint64_t    next)
{
  if (len != BENCH_TEXT_LEN || !bench_text_is (text, next))
    bench_fail ("text %llu is wrong: %.16s", (unsigned long long) next, text);
}

static void
child_main (Stream      *stream,
            MessageFunc  func)
{
  uint64_t n_calls = 0;

  while (stream_read (stream, func, &n_calls))
    stream_flush (stream);
}

/* A thousand messages of this length always fit into the socket, so that a blocking write on one
 * side never waits for one on the other. */
static void
calls (Stream   *stream,
       uint64_t  n,
       uint64_t  window)
{
  uint64_t sent = 0, received = 0;

  while (received < n)
    {
      while (sent < n && sent - received < window)
        stream_put_number (stream, sent++);
      stream_flush (stream);
      if (!stream_read (stream, check, &received))
        bench_fail ("the child is gone");
    }
}

static void
events (Stream   *stream,
        uint64_t  n)
{
  uint64_t received = 0;

  stream_put_number (stream, n);
  stream_flush (stream);
  /* The reply comes after event n - 1, and is the text of n as well. */
  while (received < n + 1)
    if (!stream_read (stream, check, &received))
      bench_fail ("the child is gone");
}

static void
run (const char *workload,
     Stream     *stream,
     uint64_t    n)
{
  if (strcmp (workload, "W1") == 0)
    calls (stream, n, 1);
  else if (strcmp (workload, "W2") == 0)
    calls (stream, n, BENCH_WINDOW);
  else if (strcmp (workload, "W3") == 0)
    events (stream, n);
  else
    bench_fail ("no such workload here: %s", workload);
}

/* Large messages: a length, then bytes, into memory that is used again. */
static int
bulk_transfer (int       fd,
               ssize_t (*transfer) (int fd, uint8_t *data, size_t size),
               uint8_t  *data,
               size_t    size)
{
  while (size > 0)
    {
      ssize_t done = transfer (fd, data, size);

      if (done <= 0)
        return 0;
      data += done;
      size -= (size_t) done;
    }
  return 1;
}

static ssize_t
read_some (int      fd,
           uint8_t *data,
           size_t   size)
{
  struct pollfd poller = { .fd = fd, .events = POLLIN };

  if (poll (&poller, 1, -1) < 0)
    bench_fail ("poll: %m");
  return read (fd, data, size);
}

static ssize_t
write_some (int      fd,
            uint8_t *data,
            size_t   size)
{
  return write (fd, data, size);
}

static void
bulk_child (int    fd,
            size_t size)
{
  uint8_t *data = malloc (size);
  uint64_t length;

  while (bulk_transfer (fd, read_some, (uint8_t *) &length, sizeof length) && length <= size
         && bulk_transfer (fd, read_some, data, length))
    if (!bulk_transfer (fd, write_some, (uint8_t *) &length, sizeof length)
        || !bulk_transfer (fd, write_some, data, length))
      break;
  free (data);
}

static void
bulk_calls (int       fd,
            uint8_t  *data,
            uint8_t  *reply,
            uint64_t  size,
            uint64_t  n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      uint64_t length = size;

      bench_bulk_stamp (data, size, i);
      if (!bulk_transfer (fd, write_some, (uint8_t *) &length, sizeof length)
          || !bulk_transfer (fd, write_some, data, size)
          || !bulk_transfer (fd, read_some, (uint8_t *) &length, sizeof length)
          || length != size || !bulk_transfer (fd, read_some, reply, size))
        bench_fail ("the child is gone");
      bench_bulk_check (reply, length, size, i);
    }
}

static void
bulk (const BenchOptions *options,
      BenchMeter         *meter,
      int                 fd,
      pid_t               child)
{
  uint8_t *data = bench_bulk_new (options->size);
  uint8_t *reply = malloc (options->size);

  bulk_calls (fd, data, reply, options->size, BENCH_BULK_WARM_UP);
  bench_meter_start (meter, child);
  bulk_calls (fd, data, reply, options->size, options->n);
  bench_meter_stop (meter);
  bench_report_bulk (options, PEER, meter);
  free (data);
  free (reply);
}

int
main (int    argc,
      char **argv)
{
  static Stream stream;
  BenchOptions options;
  BenchMeter meter;
  int fds[2], status;
  pid_t child;

  bench_options_init (&options, argc, argv);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  child = fork ();
  if (child < 0)
    bench_fail ("fork: %m");
  if (child == 0)
    {
      close (fds[0]);
      stream.fd = fds[1];
      if (strcmp (options.workload, "W4") == 0)
        bulk_child (fds[1], options.size);
      else
        child_main (&stream, strcmp (options.workload, "W3") == 0 ? emit : echo);
      _exit (0);
    }
  close (fds[1]);
  stream.fd = fds[0];

  if (strcmp (options.workload, "W4") == 0)
    bulk (&options, &meter, stream.fd, child);
  else
    {
      run (options.workload, &stream, BENCH_WARM_UP);
      bench_meter_start (&meter, child);
      run (options.workload, &stream, options.n);
      bench_meter_stop (&meter);
    }

  close (stream.fd);
  if (waitpid (child, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
  if (strcmp (options.workload, "W4") != 0)
    bench_report_time (&options, PEER, &meter);
  return 0;
}
