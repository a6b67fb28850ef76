/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-bus between a program and its child, over a socket pair: a method of one byte array that returns it. */
#include "bench-common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define PEER "sd-bus"
#define INTERFACE "org.example.Bench"

static void
check (const char *what,
       int         result)
{
  if (result < 0)
    bench_fail ("%s: %s", what, strerror (-result));
}

static int
echo_cb (sd_bus_message *message,
         void           *data,
         sd_bus_error   *error)
{
  sd_bus_message *reply = NULL;
  const void *bytes;
  size_t size;

  if (!sd_bus_message_is_method_call (message, INTERFACE, "Echo"))
    return 0;
  check ("read", sd_bus_message_read_array (message, 'y', &bytes, &size));
  check ("reply", sd_bus_message_new_method_return (message, &reply));
  check ("append", sd_bus_message_append_array (reply, 'y', bytes, size));
  check ("send", sd_bus_send (sd_bus_message_get_bus (message), reply, NULL));
  sd_bus_message_unref (reply);
  return 1;
}

static sd_bus *
start (int fd,
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
      check ("filter", sd_bus_add_filter (bus, NULL, echo_cb, NULL));
    }
  check ("start", sd_bus_start (bus));
  return bus;
}

static void
serve (int fd)
{
  sd_bus *bus = start (fd, 1);

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

static void
calls (const BenchOptions *options,
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
      check ("call", sd_bus_message_new_method_call (bus, &call, NULL, "/bench", INTERFACE, "Echo"));
      check ("append", sd_bus_message_append_array (call, 'y', data, options->size));
      check ("call", sd_bus_call (bus, call, 0, NULL, &reply));
      check ("read", sd_bus_message_read_array (reply, 'y', &bytes, &size));
      bench_bulk_check (bytes, size, options->size, i);
      sd_bus_message_unref (call);
      sd_bus_message_unref (reply);
    }
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchMeter meter;
  sd_bus *bus;
  uint8_t *data;
  int fds[2], status;
  pid_t child;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, "W4") != 0)
    bench_fail ("no such workload here: %s", options.workload);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  child = fork ();
  if (child < 0)
    bench_fail ("fork: %m");
  if (child == 0)
    {
      close (fds[0]);
      serve (fds[1]);
      _exit (0);
    }
  close (fds[1]);

  data = bench_bulk_new (options.size);
  bus = start (fds[0], 0);
  calls (&options, bus, data, BENCH_BULK_WARM_UP);
  bench_meter_start (&meter, child);
  calls (&options, bus, data, options.n);
  bench_meter_stop (&meter);
  bench_report_bulk (&options, PEER, &meter);

  sd_bus_close (bus);
  sd_bus_unref (bus);
  if (waitpid (child, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
  free (data);
  return 0;
}
