/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cap'n Proto between a program and its child, over a socket pair: two parties, a method that returns the text that it
 * gets, and one that streams so many events to an object of the program. The child is executed. */
extern "C" {
#include "bench-common.h"
}

#include <capnp/rpc-twoparty.h>
#include <fcntl.h>
#include <kj/async-io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench-capnp.capnp.h"

#define PEER "capnproto"

static void
check_text (const char          *what,
            capnp::Text::Reader  text,
            uint64_t             number)
{
  if (text.size () != BENCH_TEXT_LEN || !bench_text_is (text.cStr (), number))
    bench_fail ("%s %llu is wrong: %s", what, (unsigned long long) number, text.cStr ());
}

static void
write_text (capnp::Text::Builder text,
            uint64_t             number)
{
  bench_text_write (text.begin (), number);
}

/* The child */

static kj::Promise<void>
emit (Listener::Client listener,
      uint64_t         i,
      uint64_t         n)
{
  if (i == n)
    return kj::READY_NOW;

  auto request = listener.eventRequest ();
  write_text (request.initText (BENCH_TEXT_LEN), i);
  return request.send ().then ([listener, i, n] () mutable { return emit (listener, i + 1, n); });
}

class BenchServer final : public Bench::Server
{
protected:
  kj::Promise<void>
  echo (EchoContext context) override
  {
    context.getResults ().setText (context.getParams ().getText ());
    return kj::READY_NOW;
  }

  kj::Promise<void>
  emit (EmitContext context) override
  {
    auto params = context.getParams ();

    return ::emit (params.getListener (), 0, bench_text_read (params.getText ().cStr ())).then ([context] () mutable {
      context.getResults ().setText (context.getParams ().getText ());
    });
  }
};

static kj::Own<kj::AsyncIoStream>
wrap (kj::AsyncIoContext &io,
      int                 fd)
{
  return io.lowLevelProvider->wrapSocketFd (fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
}

static void
serve (int fd)
{
  auto io = kj::setupAsyncIo ();
  auto stream = wrap (io, fd);
  capnp::TwoPartyClient other (*stream, kj::heap<BenchServer> (), capnp::rpc::twoparty::Side::SERVER);

  other.onDisconnect ().wait (io.waitScope);
}

/* The program */

class Listening final : public Listener::Server
{
public:
  explicit Listening (uint64_t &n_events) : n_events (n_events) {}

protected:
  kj::Promise<void>
  event (EventContext context) override
  {
    check_text ("event", context.getParams ().getText (), n_events++);
    return kj::READY_NOW;
  }

private:
  uint64_t &n_events;
};

static pid_t
start_child (int *fd)
{
  char number[16];
  pid_t child;
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  fcntl (fds[1], F_SETFD, 0);
  snprintf (number, sizeof number, "%d", fds[1]);
  child = bench_start_server (number);
  close (fds[1]);
  *fd = fds[0];
  return child;
}

class Client final : kj::TaskSet::ErrorHandler
{
public:
  pid_t child;

  explicit Client (kj::AsyncIoContext &io)
    : child (start_child (&fd)), io (io), stream (wrap (io, fd)), other (*stream),
      bench (other.bootstrap ().castAs<Bench> ()), tasks (*this)
  {
  }

  void
  one_by_one (uint64_t n)
  {
    for (uint64_t i = 0; i < n; i++)
      {
        auto request = bench.echoRequest ();

        write_text (request.initText (BENCH_TEXT_LEN), i);
        check_text ("reply", request.send ().wait (io.waitScope).getText (), i);
      }
  }

  void
  pipeline (uint64_t n)
  {
    auto end = kj::newPromiseAndFulfiller<void> ();

    this->n = n;
    n_sent = n_received = 0;
    done = kj::mv (end.fulfiller);
    while (n_sent < n && n_sent < BENCH_WINDOW)
      send ();
    end.promise.wait (io.waitScope);
  }

  void
  events (uint64_t n)
  {
    uint64_t n_events = 0;
    auto request = bench.emitRequest ();

    write_text (request.initText (BENCH_TEXT_LEN), n);
    request.setListener (kj::heap<Listening> (n_events));
    check_text ("reply", request.send ().wait (io.waitScope).getText (), n);
    if (n_events != n)
      bench_fail ("%llu events", (unsigned long long) n_events);
  }

private:
  int fd;
  kj::AsyncIoContext &io;
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyClient other;
  Bench::Client bench;
  kj::TaskSet tasks;
  kj::Own<kj::PromiseFulfiller<void>> done;
  uint64_t n, n_sent, n_received;

  void
  send ()
  {
    auto request = bench.echoRequest ();

    write_text (request.initText (BENCH_TEXT_LEN), n_sent++);
    tasks.add (request.send ().then ([this] (capnp::Response<Bench::EchoResults> response) {
      check_text ("reply", response.getText (), n_received++);
      if (n_sent < n)
        send ();
      else if (n_received == n)
        done->fulfill ();
    }));
  }

  void
  taskFailed (kj::Exception &&exception) override
  {
    bench_fail ("call: %s", exception.getDescription ().cStr ());
  }
};

static void
run (const BenchOptions *options,
     Client             &client,
     uint64_t            n)
{
  if (strcmp (options->workload, "W2") == 0)
    client.pipeline (n);
  else if (strcmp (options->workload, "W3") == 0)
    client.events (n);
  else
    client.one_by_one (n);
}

/* Returns: the child, which ends now */
static pid_t
measure (const BenchOptions *options,
         kj::AsyncIoContext &io)
{
  Client client (io);
  BenchMeter meter;

  if (strcmp (options->workload, "W5") == 0)
    {
      client.one_by_one (1);
      return client.child;
    }

  run (options, client, BENCH_WARM_UP);
  bench_meter_start (&meter, client.child);
  run (options, client, options->n);
  bench_meter_stop (&meter);
  if (strcmp (options->workload, "W6") == 0)
    bench_report_value (options, PEER, "kB", bench_private_kb (client.child));
  else
    bench_report_time (options, PEER, &meter);
  return client.child;
}

static void
bench (const BenchOptions *options)
{
  auto io = kj::setupAsyncIo ();
  BenchMeter meter;

  if (strcmp (options->workload, "W5") != 0)
    {
      bench_end_server (measure (options, io));
      return;
    }

  bench_meter_start (&meter, 0);
  for (uint64_t i = 0; i < options->n; i++)
    bench_end_server (measure (options, io));
  bench_meter_stop (&meter);
  bench_report_time (options, PEER, &meter);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, BENCH_SERVE) == 0)
    serve (atoi (options.variant));
  else
    bench (&options);
  return 0;
}
