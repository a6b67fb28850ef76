/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ZeroMQ: a DEALER that calls a ROUTER in another process, over a socket of the file system. The child sends
 * back the message that it got. Variants: "copy" sends with zmq_send (), "reference" without copying. */
#include "bench-common.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define PEER "zeromq"

static void
serve (const char *address)
{
  void *context = zmq_ctx_new ();
  void *socket = zmq_socket (context, ZMQ_ROUTER);

  if (zmq_bind (socket, address) != 0)
    bench_fail ("bind: %s", zmq_strerror (zmq_errno ()));
  for (;;)
    {
      zmq_msg_t id, message;

      zmq_msg_init (&id);
      zmq_msg_init (&message);
      if (zmq_msg_recv (&id, socket, 0) < 0 || zmq_msg_recv (&message, socket, 0) < 0)
        bench_fail ("receive: %s", zmq_strerror (zmq_errno ()));
      /* Less than any payload: the end, and the answer that says so. */
      if (zmq_msg_size (&message) == 0)
        break;
      if (zmq_msg_send (&id, socket, ZMQ_SNDMORE) < 0 || zmq_msg_send (&message, socket, 0) < 0)
        bench_fail ("send: %s", zmq_strerror (zmq_errno ()));
    }
  zmq_close (socket);
  zmq_ctx_term (context);
}

static void
nothing_to_free (void *data,
                 void *hint)
{
}

static void
calls (const BenchOptions *options,
       void               *socket,
       uint8_t            *data,
       uint64_t            n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      zmq_msg_t reply;
      int done;

      bench_bulk_stamp (data, options->size, i);
      if (strcmp (options->variant, "reference") == 0)
        {
          zmq_msg_t message;

          zmq_msg_init_data (&message, data, options->size, nothing_to_free, NULL);
          done = zmq_msg_send (&message, socket, 0);
        }
      else
        done = zmq_send (socket, data, options->size, 0);
      if (done < 0)
        bench_fail ("send: %s", zmq_strerror (zmq_errno ()));

      zmq_msg_init (&reply);
      if (zmq_msg_recv (&reply, socket, 0) < 0)
        bench_fail ("receive: %s", zmq_strerror (zmq_errno ()));
      bench_bulk_check (zmq_msg_data (&reply), zmq_msg_size (&reply), options->size, i);
      zmq_msg_close (&reply);
    }
}

int
main (int    argc,
      char **argv)
{
  char directory[] = "/tmp/bench-zmq-XXXXXX", path[64], address[80];
  BenchOptions options;
  BenchMeter meter;
  void *context, *socket;
  uint8_t *data;
  int status;
  pid_t child;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, "W4") != 0)
    bench_fail ("no such workload here: %s", options.workload);
  if (mkdtemp (directory) == NULL)
    bench_fail ("mkdtemp: %m");
  snprintf (path, sizeof path, "%s/socket", directory);
  snprintf (address, sizeof address, "ipc://%s", path);

  /* Before ZeroMQ has threads. */
  child = fork ();
  if (child < 0)
    bench_fail ("fork: %m");
  if (child == 0)
    {
      serve (address);
      _exit (0);
    }

  data = bench_bulk_new (options.size);
  context = zmq_ctx_new ();
  socket = zmq_socket (context, ZMQ_DEALER);
  if (zmq_connect (socket, address) != 0)
    bench_fail ("connect: %s", zmq_strerror (zmq_errno ()));

  calls (&options, socket, data, BENCH_BULK_WARM_UP);
  bench_meter_start (&meter, child);
  calls (&options, socket, data, options.n);
  bench_meter_stop (&meter);
  bench_report_bulk (&options, PEER, &meter);

  zmq_send (socket, "", 0, 0);
  if (waitpid (child, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
  zmq_close (socket);
  zmq_ctx_term (context);
  free (data);
  unlink (path);
  rmdir (directory);
  return 0;
}
