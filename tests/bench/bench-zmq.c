/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ZeroMQ: a DEALER that calls a ROUTER in another process, which is executed, over a socket of the file system. It sends
 * back the message that it got, or so many as that says. Nothing is dropped: there is no high-water mark. Variants of W4:
 * "copy" sends with zmq_send (), "reference" without copying. */
#include "bench-common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define PEER "zeromq"
#define EMIT_LEN (BENCH_TEXT_LEN + 1) /* of a message that asks for so many as its text says */

static void
check (const char *what,
       int         result)
{
  if (result < 0)
    bench_fail ("%s: %s", what, zmq_strerror (zmq_errno ()));
}

static void *
open_socket (void *context,
             int   type)
{
  void *socket = zmq_socket (context, type);
  const int unlimited = 0;

  check ("option", zmq_setsockopt (socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited));
  check ("option", zmq_setsockopt (socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited));
  return socket;
}

/* The other process */

static void
emit (void      *socket,
      zmq_msg_t *id,
      uint64_t   n)
{
  char text[BENCH_TEXT_LEN];

  for (uint64_t i = 0; i < n; i++)
    {
      zmq_msg_t copy;

      zmq_msg_init (&copy);
      check ("copy", zmq_msg_copy (&copy, id));
      bench_text_write (text, i);
      check ("send", zmq_msg_send (&copy, socket, ZMQ_SNDMORE));
      check ("send", zmq_send (socket, text, sizeof text, 0));
    }
}

static void
serve (const char *address)
{
  void *context = zmq_ctx_new ();
  void *socket = open_socket (context, ZMQ_ROUTER);

  check ("connect", zmq_connect (socket, address));
  for (;;)
    {
      zmq_msg_t id, message;

      zmq_msg_init (&id);
      zmq_msg_init (&message);
      check ("receive", zmq_msg_recv (&id, socket, 0));
      check ("receive", zmq_msg_recv (&message, socket, 0));
      /* Less than any payload: the end. */
      if (zmq_msg_size (&message) == 0)
        break;
      if (zmq_msg_size (&message) == EMIT_LEN)
        emit (socket, &id, bench_text_read (zmq_msg_data (&message)));
      check ("send", zmq_msg_send (&id, socket, ZMQ_SNDMORE));
      check ("send", zmq_msg_send (&message, socket, 0));
    }
  zmq_close (socket);
  zmq_ctx_term (context);
}

/* The program */

typedef struct
{
  char path[80];
  void *context;
  void *socket;
  pid_t child;
} Client;

static void
client_init (Client     *self,
             const char *directory)
{
  static unsigned n;
  char address[96];

  snprintf (self->path, sizeof self->path, "%s/%u", directory, n++);
  snprintf (address, sizeof address, "ipc://%s", self->path);
  self->context = zmq_ctx_new ();
  self->socket = open_socket (self->context, ZMQ_DEALER);
  /* Who connects before the other side has bound tries again only after 100 ms. */
  check ("bind", zmq_bind (self->socket, address));
  self->child = bench_start_server (address);
}

static void
client_clear (Client *self)
{
  zmq_send (self->socket, "", 0, 0);
  bench_end_server (self->child);
  zmq_close (self->socket);
  zmq_ctx_term (self->context);
  unlink (self->path);
}

static void
send_text (Client   *self,
           uint64_t  number)
{
  char text[BENCH_TEXT_LEN];

  bench_text_write (text, number);
  check ("send", zmq_send (self->socket, text, sizeof text, 0));
}

static void
receive_text (Client   *self,
              uint64_t  number)
{
  char text[BENCH_TEXT_LEN + 2];
  int size = zmq_recv (self->socket, text, sizeof text, 0);

  check ("receive", size);
  if (size != BENCH_TEXT_LEN || !bench_text_is (text, number))
    bench_fail ("message %llu is wrong", (unsigned long long) number);
}

static void
pipeline (Client   *self,
          uint64_t  n,
          uint64_t  window)
{
  uint64_t n_sent = 0;

  for (uint64_t i = 0; i < n; i++)
    {
      while (n_sent < n && n_sent - i < window)
        send_text (self, n_sent++);
      receive_text (self, i);
    }
}

static void
events (Client   *self,
        uint64_t  n)
{
  char text[EMIT_LEN] = "", answer[EMIT_LEN];

  bench_text_write (text, n);
  check ("send", zmq_send (self->socket, text, sizeof text, 0));
  for (uint64_t i = 0; i < n; i++)
    receive_text (self, i);
  if (zmq_recv (self->socket, answer, sizeof answer, 0) != EMIT_LEN)
    bench_fail ("no end of the messages");
}

static void
run (const BenchOptions *options,
     Client             *client,
     uint64_t            n)
{
  if (strcmp (options->workload, "W3") == 0)
    events (client, n);
  else
    pipeline (client, n, strcmp (options->workload, "W2") == 0 ? BENCH_WINDOW : 1);
}

static void
nothing_to_free (void *data,
                 void *hint)
{
}

static void
bulk_calls (const BenchOptions *options,
            void               *socket,
            uint8_t            *data,
            uint64_t            n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      zmq_msg_t reply;

      bench_bulk_stamp (data, options->size, i);
      if (strcmp (options->variant, "reference") == 0)
        {
          zmq_msg_t message;

          zmq_msg_init_data (&message, data, options->size, nothing_to_free, NULL);
          check ("send", zmq_msg_send (&message, socket, 0));
        }
      else
        check ("send", zmq_send (socket, data, options->size, 0));

      zmq_msg_init (&reply);
      check ("receive", zmq_msg_recv (&reply, socket, 0));
      bench_bulk_check (zmq_msg_data (&reply), zmq_msg_size (&reply), options->size, i);
      zmq_msg_close (&reply);
    }
}

static void
bulk (const BenchOptions *options,
      Client             *client)
{
  uint8_t *data = bench_bulk_new (options->size);
  BenchMeter meter;

  bulk_calls (options, client->socket, data, BENCH_BULK_WARM_UP);
  bench_meter_start (&meter, client->child);
  bulk_calls (options, client->socket, data, options->n);
  bench_meter_stop (&meter);
  bench_report_bulk (options, PEER, &meter);
  free (data);
}

static void
spawn (const BenchOptions *options,
       const char         *directory)
{
  BenchMeter meter;
  Client client;

  bench_meter_start (&meter, 0);
  for (uint64_t i = 0; i < options->n; i++)
    {
      client_init (&client, directory);
      send_text (&client, i);
      receive_text (&client, i);
      client_clear (&client);
    }
  bench_meter_stop (&meter);
  bench_report_time (options, PEER, &meter);
}

static void
measure (const BenchOptions *options,
         const char         *directory)
{
  BenchMeter meter;
  Client client;

  client_init (&client, directory);
  if (strcmp (options->workload, "W4") == 0)
    bulk (options, &client);
  else
    {
      run (options, &client, BENCH_WARM_UP);
      bench_meter_start (&meter, client.child);
      run (options, &client, options->n);
      bench_meter_stop (&meter);
      if (strcmp (options->workload, "W6") == 0)
        bench_report_value (options, PEER, "kB", bench_private_kb (client.child));
      else
        bench_report_time (options, PEER, &meter);
    }
  client_clear (&client);
}

int
main (int    argc,
      char **argv)
{
  char directory[] = "/tmp/bench-zmq-XXXXXX";
  BenchOptions options;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, BENCH_SERVE) == 0)
    {
      serve (options.variant);
      return 0;
    }

  if (mkdtemp (directory) == NULL)
    bench_fail ("mkdtemp: %m");
  if (strcmp (options.workload, "W5") == 0)
    spawn (&options, directory);
  else
    measure (&options, directory);
  rmdir (directory);
  return 0;
}
