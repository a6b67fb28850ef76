/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-bus between a program and its child, over a socket pair: methods that return the text, or the byte array, that they
 * get, and one that emits signals. The child is executed. */
#include "bench-common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define PEER "sd-bus"
#define PATH "/bench"
#define INTERFACE "org.example.Bench"
#define FLUSH_PERIOD 64u /* signals */

static void
check (const char *what,
       int         result)
{
  if (result < 0)
    bench_fail ("%s: %s", what, strerror (-result));
}

static void
check_text (const char *what,
            const char *text,
            uint64_t    number)
{
  if (strlen (text) != BENCH_TEXT_LEN || !bench_text_is (text, number))
    bench_fail ("%s %llu is wrong: %s", what, (unsigned long long) number, text);
}

/* The child */

static void
emit (sd_bus   *bus,
      uint64_t  n)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  for (uint64_t i = 0; i < n; i++)
    {
      bench_text_write (text, i);
      check ("signal", sd_bus_emit_signal (bus, PATH, INTERFACE, "Event", "s", text));
      if (i % FLUSH_PERIOD == 0)
        check ("flush", sd_bus_flush (bus));
    }
}

static int
call_cb (sd_bus_message *message,
         void           *data,
         sd_bus_error   *error)
{
  sd_bus *bus = sd_bus_message_get_bus (message);
  sd_bus_message *reply = NULL;
  const char *text;
  const void *bytes;
  size_t size;

  if (sd_bus_message_is_method_call (message, INTERFACE, "Text") ||
      sd_bus_message_is_method_call (message, INTERFACE, "Emit"))
    {
      check ("read", sd_bus_message_read (message, "s", &text));
      if (sd_bus_message_is_method_call (message, INTERFACE, "Emit"))
        emit (bus, bench_text_read (text));
      check ("reply", sd_bus_reply_method_return (message, "s", text));
      return 1;
    }
  if (!sd_bus_message_is_method_call (message, INTERFACE, "Echo"))
    return 0;

  check ("read", sd_bus_message_read_array (message, 'y', &bytes, &size));
  check ("reply", sd_bus_message_new_method_return (message, &reply));
  check ("append", sd_bus_message_append_array (reply, 'y', bytes, size));
  check ("send", sd_bus_send (bus, reply, NULL));
  sd_bus_message_unref (reply);
  return 1;
}

static sd_bus *
open_bus (int fd,
          int is_server)
{
  sd_bus *bus;

  check ("new", sd_bus_new (&bus));
  check ("fd", sd_bus_set_fd (bus, fd, fd));
  if (is_server)
    {
      sd_id128_t id;

      check ("id", sd_id128_randomize (&id));
      check ("server", sd_bus_set_server (bus, 1, id));
      check ("filter", sd_bus_add_filter (bus, NULL, call_cb, NULL));
    }
  check ("start", sd_bus_start (bus));
  return bus;
}

static void
process (sd_bus *bus)
{
  int done = sd_bus_process (bus, NULL);

  check ("process", done);
  if (done == 0)
    check ("wait", sd_bus_wait (bus, UINT64_MAX));
}

static void
serve (int fd)
{
  sd_bus *bus = open_bus (fd, 1);

  for (;;)
    {
      int done = sd_bus_process (bus, NULL);

      if (done == 0)
        done = sd_bus_wait (bus, UINT64_MAX);
      if (done == -ENOTCONN || done == -ECONNRESET)
        break;
      check ("process", done);
    }
  sd_bus_unref (bus);
}

/* The program */

typedef struct
{
  sd_bus *bus;
  pid_t child;
  uint64_t n;
  uint64_t n_sent;
  uint64_t n_received;
  uint64_t n_events;
} Client;

static int
event_cb (sd_bus_message *message,
          void           *data,
          sd_bus_error   *error)
{
  Client *self = data;
  const char *text;

  if (!sd_bus_message_is_signal (message, INTERFACE, "Event"))
    return 0;
  check ("read", sd_bus_message_read (message, "s", &text));
  check_text ("event", text, self->n_events++);
  return 1;
}

static void
client_init (Client *self)
{
  char number[16];
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  fcntl (fds[1], F_SETFD, 0);
  snprintf (number, sizeof number, "%d", fds[1]);
  *self = (Client) { .child = bench_start_server (number) };
  close (fds[1]);
  self->bus = open_bus (fds[0], 0);
  check ("filter", sd_bus_add_filter (self->bus, NULL, event_cb, self));
}

static void
client_clear (Client *self)
{
  sd_bus_close (self->bus);
  sd_bus_unref (self->bus);
  bench_end_server (self->child);
}

static void
call_text (Client     *self,
           const char *method,
           uint64_t    number)
{
  char text[BENCH_TEXT_LEN + 1] = "";
  sd_bus_message *reply = NULL;
  const char *answer;

  bench_text_write (text, number);
  check ("call", sd_bus_call_method (self->bus, NULL, PATH, INTERFACE, method, NULL, &reply, "s", text));
  check ("read", sd_bus_message_read (reply, "s", &answer));
  check_text ("reply", answer, number);
  sd_bus_message_unref (reply);
}

static int
reply_cb (sd_bus_message *reply,
          void           *data,
          sd_bus_error   *error)
{
  Client *self = data;
  const char *text;

  check ("read", sd_bus_message_read (reply, "s", &text));
  check_text ("reply", text, self->n_received++);
  return 1;
}

static void
send_text (Client *self)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, self->n_sent++);
  check ("call", sd_bus_call_method_async (self->bus, NULL, NULL, PATH, INTERFACE, "Text", reply_cb, self, "s", text));
}

static void
pipeline (Client   *self,
          uint64_t  n)
{
  self->n = n;
  self->n_sent = self->n_received = 0;
  while (self->n_received < n)
    {
      while (self->n_sent < n && self->n_sent - self->n_received < BENCH_WINDOW)
        send_text (self);
      process (self->bus);
    }
}

/* In front of the answer, so that all have arrived. A blocking call keeps what comes before it, but not for ever. */
static void
events (Client   *self,
        uint64_t  n)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, n);
  self->n_events = 0;
  self->n_received = n;
  check ("call", sd_bus_call_method_async (self->bus, NULL, NULL, PATH, INTERFACE, "Emit", reply_cb, self, "s", text));
  while (self->n_received == n)
    process (self->bus);
  if (self->n_events != n)
    bench_fail ("%llu events", (unsigned long long) self->n_events);
}

static void
run (const BenchOptions *options,
     Client             *client,
     uint64_t            n)
{
  if (strcmp (options->workload, "W2") == 0)
    pipeline (client, n);
  else if (strcmp (options->workload, "W3") == 0)
    events (client, n);
  else
    for (uint64_t i = 0; i < n; i++)
      call_text (client, "Text", i);
}

static void
bulk_calls (const BenchOptions *options,
            sd_bus             *bus,
            uint8_t            *data,
            uint64_t            n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      sd_bus_message *call = NULL, *reply = NULL;
      const void *bytes;
      size_t size;

      bench_bulk_stamp (data, options->size, i);
      check ("call", sd_bus_message_new_method_call (bus, &call, NULL, PATH, INTERFACE, "Echo"));
      check ("append", sd_bus_message_append_array (call, 'y', data, options->size));
      check ("call", sd_bus_call (bus, call, 0, NULL, &reply));
      check ("read", sd_bus_message_read_array (reply, 'y', &bytes, &size));
      bench_bulk_check (bytes, size, options->size, i);
      sd_bus_message_unref (call);
      sd_bus_message_unref (reply);
    }
}

static void
bulk (const BenchOptions *options,
      Client             *client)
{
  uint8_t *data = bench_bulk_new (options->size);
  BenchMeter meter;

  bulk_calls (options, client->bus, data, BENCH_BULK_WARM_UP);
  bench_meter_start (&meter, client->child);
  bulk_calls (options, client->bus, data, options->n);
  bench_meter_stop (&meter);
  bench_report_bulk (options, PEER, &meter);
  free (data);
}

static void
spawn (const BenchOptions *options)
{
  BenchMeter meter;
  Client client;

  bench_meter_start (&meter, 0);
  for (uint64_t i = 0; i < options->n; i++)
    {
      client_init (&client);
      call_text (&client, "Text", i);
      client_clear (&client);
    }
  bench_meter_stop (&meter);
  bench_report_time (options, PEER, &meter);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchMeter meter;
  Client client;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, BENCH_SERVE) == 0)
    serve (atoi (options.variant));
  else if (strcmp (options.workload, "W5") == 0)
    spawn (&options);
  else
    {
      client_init (&client);
      if (strcmp (options.workload, "W4") == 0)
        bulk (&options, &client);
      else
        {
          run (&options, &client, BENCH_WARM_UP);
          bench_meter_start (&meter, client.child);
          run (&options, &client, options.n);
          bench_meter_stop (&meter);
          if (strcmp (options.workload, "W6") == 0)
            bench_report_value (&options, PEER, "kB", bench_private_kb (client.child));
          else
            bench_report_time (&options, PEER, &meter);
        }
      client_clear (&client);
    }
  return 0;
}
