/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jsonrpc-glib between a program and a copy of itself, over a socket pair: methods of one string that return it, and
 * notifications for the events. Variants: "json"; "gvariant", which it sends instead if both sides know of it. */
#include "bench-common.h"

#include <fcntl.h>
#include <jsonrpc-glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER "jsonrpc-glib"

static GIOStream *
open_stream (int fd)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GSocket) socket = g_socket_new_from_fd (fd, &error);

  if (socket == NULL)
    bench_fail ("socket: %s", error->message);
  return G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
}

static GVariant *
new_text (uint64_t number)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, number);
  return g_variant_new_string (text);
}

static void
check_text (const char *what,
            GVariant   *value,
            uint64_t    number)
{
  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ||
      !bench_text_is (g_variant_get_string (value, NULL), number))
    bench_fail ("%s %" G_GUINT64_FORMAT " is wrong", what, number);
}

/* The child */

static void
echo_cb (JsonrpcServer *server,
         JsonrpcClient *client,
         const char    *method,
         GVariant      *id,
         GVariant      *params,
         gpointer       user_data)
{
  g_autoptr(GError) error = NULL;

  if (strcmp (method, "emit") == 0)
    {
      const uint64_t n = bench_text_read (g_variant_get_string (params, NULL));

      for (uint64_t i = 0; i < n; i++)
        if (!jsonrpc_client_send_notification (client, "event", new_text (i), NULL, &error))
          bench_fail ("notification: %s", error->message);
    }
  if (!jsonrpc_client_reply (client, id, params, NULL, &error))
    bench_fail ("reply: %s", error->message);
}

static void
serve (int fd)
{
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(JsonrpcServer) server = jsonrpc_server_new ();
  g_autoptr(GIOStream) stream = open_stream (fd);

  jsonrpc_server_add_handler (server, "echo", echo_cb, NULL, NULL);
  jsonrpc_server_add_handler (server, "emit", echo_cb, NULL, NULL);
  g_signal_connect_swapped (server, "client-closed", G_CALLBACK (g_main_loop_quit), loop);
  jsonrpc_server_accept_io_stream (server, stream);
  g_main_loop_run (loop);
}

/* The program */

typedef struct
{
  JsonrpcClient *client;
  pid_t child;
  const char *method;
  uint64_t n;
  uint64_t n_sent;
  uint64_t n_received;
  uint64_t n_events;
} Bench;

static void
event_cb (JsonrpcClient *client,
          const char    *method,
          GVariant      *params,
          gpointer       user_data)
{
  Bench *bench = user_data;

  check_text ("event", params, bench->n_events++);
}

static void
bench_init (Bench              *bench,
            const BenchOptions *options)
{
  g_autoptr(GIOStream) stream = NULL;
  char number[16];
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  fcntl (fds[1], F_SETFD, 0);
  g_snprintf (number, sizeof number, "%d", fds[1]);
  *bench = (Bench) { .child = bench_start_server (number), .method = "echo" };
  close (fds[1]);
  stream = open_stream (fds[0]);
  bench->client = jsonrpc_client_new (stream);
  jsonrpc_client_set_use_gvariant (bench->client, strcmp (options->variant, "gvariant") == 0);
  g_signal_connect (bench->client, "notification", G_CALLBACK (event_cb), bench);
  jsonrpc_client_start_listening (bench->client);
}

static void
bench_clear (Bench *bench)
{
  jsonrpc_client_close (bench->client, NULL, NULL);
  g_object_unref (bench->client);
  bench_end_server (bench->child);
}

static void send_call (Bench    *bench,
                       uint64_t  number);

static void
reply_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Bench *bench = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = NULL;

  if (!jsonrpc_client_call_finish (JSONRPC_CLIENT (source), result, &reply, &error))
    bench_fail ("call: %s", error->message);
  check_text ("reply", reply, strcmp (bench->method, "emit") == 0 ? bench->n : bench->n_received);
  bench->n_received++;
  if (strcmp (bench->method, "echo") == 0 && bench->n_sent < bench->n)
    send_call (bench, bench->n_sent);
}

static void
send_call (Bench    *bench,
           uint64_t  number)
{
  bench->n_sent++;
  jsonrpc_client_call_async (bench->client, bench->method, new_text (number), NULL, reply_cb, bench);
}

static void
calls (Bench    *bench,
       uint64_t  n,
       uint64_t  window)
{
  bench->n = n;
  bench->n_sent = bench->n_received = 0;
  for (uint64_t i = MIN (n, window); i > 0; i--)
    send_call (bench, bench->n_sent);
  while (bench->n_received < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
events (Bench    *bench,
        uint64_t  n)
{
  bench->method = "emit";
  bench->n = n;
  bench->n_received = bench->n_events = 0;
  send_call (bench, n);
  while (bench->n_received == 0 || bench->n_events < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
run (const BenchOptions *options,
     Bench              *bench,
     uint64_t            n)
{
  if (strcmp (options->workload, "W3") == 0)
    events (bench, n);
  else
    calls (bench, n, strcmp (options->workload, "W2") == 0 ? BENCH_WINDOW : 1);
}

static void
spawn (const BenchOptions *options)
{
  BenchMeter meter;
  Bench bench;

  bench_meter_start (&meter, 0);
  for (uint64_t i = 0; i < options->n; i++)
    {
      bench_init (&bench, options);
      calls (&bench, 1, 1);
      bench_clear (&bench);
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
  Bench bench;

  bench_options_init (&options, argc, argv);
  if (strcmp (options.workload, BENCH_SERVE) == 0)
    serve (atoi (options.variant));
  else if (strcmp (options.workload, "W5") == 0)
    spawn (&options);
  else
    {
      bench_init (&bench, &options);
      run (&options, &bench, BENCH_WARM_UP);
      bench_meter_start (&meter, bench.child);
      run (&options, &bench, options.n);
      bench_meter_stop (&meter);
      if (strcmp (options.workload, "W6") == 0)
        bench_report_value (&options, PEER, "kB", bench_private_kb (bench.child));
      else
        bench_report_time (&options, PEER, &meter);
      bench_clear (&bench);
    }
  return 0;
}
