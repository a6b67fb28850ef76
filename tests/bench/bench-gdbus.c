/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GDBus between a program and a copy of itself, over a socket pair: a method of one string that
 * returns one string, and a signal for the events. Variants of W1: "loop" calls through the main
 * loop, "direct" with g_dbus_connection_call_sync (). */
#include "bench-common.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER "gdbus"
#define OBJECT_PATH "/bench"
#define INTERFACE "org.example.Bench"
#define CHILD_FD 3
#define CHILD_ARG "--serve"

static const char introspection_xml[] =
  "<node><interface name='" INTERFACE "'>"
  "<method name='Echo'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>"
  "<method name='Emit'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>"
  "<signal name='Event'><arg type='s'/></signal>"
  "</interface></node>";

typedef struct
{
  GSubprocess *process;
  GDBusConnection *connection;
  pid_t pid;

  const char *method;
  uint64_t n;
  uint64_t n_sent;
  uint64_t n_received;
  uint64_t n_events; /* of the call that runs */
} Bench;

static GDBusConnection *
connect_fd (int                   fd,
            GDBusConnectionFlags  flags)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GSocket) socket = g_socket_new_from_fd (fd, &error);
  g_autoptr(GSocketConnection) stream = NULL;
  g_autofree char *guid = NULL;
  GDBusConnection *connection;

  if (socket == NULL)
    bench_fail ("socket: %s", error->message);
  stream = g_socket_connection_factory_create_connection (socket);
  if (flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER)
    guid = g_dbus_generate_guid ();
  connection = g_dbus_connection_new_sync (G_IO_STREAM (stream), guid, flags, NULL, NULL, &error);
  if (connection == NULL)
    bench_fail ("connection: %s", error->message);
  return connection;
}

static void
method_call_cb (GDBusConnection       *connection,
                const char            *sender,
                const char            *object_path,
                const char            *interface_name,
                const char            *method_name,
                GVariant              *parameters,
                GDBusMethodInvocation *invocation,
                gpointer               user_data)
{
  const char *text;

  g_variant_get (parameters, "(&s)", &text);
  if (g_str_equal (method_name, "Emit"))
    {
      uint64_t n = bench_text_read (text);
      char event[BENCH_TEXT_LEN + 1] = "";

      for (uint64_t i = 0; i < n; i++)
        {
          bench_text_write (event, i);
          g_dbus_connection_emit_signal (connection, NULL, OBJECT_PATH, INTERFACE, "Event",
                                         g_variant_new ("(s)", event), NULL);
        }
    }
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(s)", text));
}

static void
closed_cb (GDBusConnection *connection,
           gboolean         remote_peer_vanished,
           GError          *error,
           gpointer         user_data)
{
  g_main_loop_quit (user_data);
}

static int
serve (void)
{
  static const GDBusInterfaceVTable vtable = { .method_call = method_call_cb };
  g_autoptr(GError) error = NULL;
  g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml (introspection_xml, &error);
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(GDBusConnection) connection = NULL;

  g_assert_no_error (error);
  connection = connect_fd (CHILD_FD, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER
                                     | G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING);
  g_signal_connect (connection, "closed", G_CALLBACK (closed_cb), loop);
  g_dbus_connection_register_object (connection, OBJECT_PATH, node->interfaces[0], &vtable, NULL,
                                     NULL, &error);
  g_assert_no_error (error);
  g_dbus_connection_start_message_processing (connection);
  g_main_loop_run (loop);
  return 0;
}

static void
event_cb (GDBusConnection *connection,
          const char      *sender,
          const char      *object_path,
          const char      *interface_name,
          const char      *signal_name,
          GVariant        *parameters,
          gpointer         user_data)
{
  Bench *bench = user_data;
  const char *text;

  g_variant_get (parameters, "(&s)", &text);
  if (!bench_text_is (text, bench->n_events))
    bench_fail ("event %" G_GUINT64_FORMAT " is wrong: %s", bench->n_events, text);
  bench->n_events++;
}

static void
check_reply (GVariant *reply,
             uint64_t  number,
             GError   *error)
{
  const char *text;

  if (reply == NULL)
    bench_fail ("call: %s", error->message);
  g_variant_get (reply, "(&s)", &text);
  if (!bench_text_is (text, number))
    bench_fail ("reply %" G_GUINT64_FORMAT " is wrong: %s", number, text);
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
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish (bench->connection, result, &error);

  if (g_str_equal (bench->method, "Emit"))
    check_reply (reply, bench->n, error);
  else
    check_reply (reply, bench->n_received, error);
  bench->n_received++;
  if (bench->n_sent < bench->n && g_str_equal (bench->method, "Echo"))
    send_call (bench, bench->n_sent++);
}

static void
send_call (Bench    *bench,
           uint64_t  number)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, number);
  g_dbus_connection_call (bench->connection, NULL, OBJECT_PATH, INTERFACE, bench->method,
                          g_variant_new ("(s)", text), G_VARIANT_TYPE ("(s)"),
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, reply_cb, bench);
}

static void
call_sync (Bench    *bench,
           uint64_t  number)
{
  char text[BENCH_TEXT_LEN + 1] = "";
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = NULL;

  bench_text_write (text, number);
  reply = g_dbus_connection_call_sync (bench->connection, NULL, OBJECT_PATH, INTERFACE, "Echo",
                                       g_variant_new ("(s)", text), G_VARIANT_TYPE ("(s)"),
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
  check_reply (reply, number, error);
}

static void
calls (Bench    *bench,
       uint64_t  n,
       uint64_t  window)
{
  bench->method = "Echo";
  bench->n = n;
  bench->n_sent = bench->n_received = 0;
  while (bench->n_sent < MIN (n, window))
    send_call (bench, bench->n_sent++);
  while (bench->n_received < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
events (Bench    *bench,
        uint64_t  n)
{
  bench->method = "Emit";
  bench->n = n;
  bench->n_received = bench->n_events = 0;
  send_call (bench, n);
  while (bench->n_received < 1)
    g_main_context_iteration (NULL, TRUE);
  if (bench->n_events != n)
    bench_fail ("%" G_GUINT64_FORMAT " events of %" G_GUINT64_FORMAT, bench->n_events, n);
}

static void
run (const BenchOptions *options,
     Bench              *bench,
     uint64_t            n)
{
  if (strcmp (options->workload, "W1") == 0 && strcmp (options->variant, "direct") == 0)
    for (uint64_t i = 0; i < n; i++)
      call_sync (bench, i);
  else if (strcmp (options->workload, "W1") == 0)
    calls (bench, n, 1);
  else if (strcmp (options->workload, "W2") == 0)
    calls (bench, n, BENCH_WINDOW);
  else if (strcmp (options->workload, "W3") == 0)
    events (bench, n);
  else
    bench_fail ("no such workload here: %s", options->workload);
}

static void
bench_start (Bench *bench)
{
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr(GError) error = NULL;
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bench_fail ("socketpair: %m");
  g_subprocess_launcher_take_fd (launcher, fds[1], CHILD_FD);
  bench->process = g_subprocess_launcher_spawn (launcher, &error, "/proc/self/exe", CHILD_ARG,
                                                NULL);
  if (bench->process == NULL)
    bench_fail ("spawn: %s", error->message);
  bench->pid = atoi (g_subprocess_get_identifier (bench->process));
  /* The launcher's copy of the child's end: the end of the child must be seen here. */
  g_subprocess_launcher_close (launcher);

  bench->connection = connect_fd (fds[0], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT);
  g_dbus_connection_signal_subscribe (bench->connection, NULL, INTERFACE, "Event", OBJECT_PATH,
                                      NULL, G_DBUS_SIGNAL_FLAGS_NONE, event_cb, bench, NULL);
}

static void
bench_end (Bench *bench)
{
  g_autoptr(GError) error = NULL;

  g_dbus_connection_close_sync (bench->connection, NULL, NULL);
  if (!g_subprocess_wait_check (bench->process, NULL, &error))
    bench_fail ("child: %s", error->message);
  g_clear_object (&bench->connection);
  g_clear_object (&bench->process);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchMeter meter;
  Bench bench = { NULL };

  if (argc == 2 && strcmp (argv[1], CHILD_ARG) == 0)
    return serve ();
  bench_options_init (&options, argc, argv);

  if (strcmp (options.workload, "W5") == 0)
    {
      bench_meter_start (&meter, 0);
      for (uint64_t i = 0; i < options.n; i++)
        {
          bench_start (&bench);
          calls (&bench, 1, 1);
          bench_end (&bench);
        }
      bench_meter_stop (&meter);
      bench_report_time (&options, PEER, &meter);
      return 0;
    }

  bench_start (&bench);
  if (strcmp (options.workload, "W6") == 0)
    {
      calls (&bench, options.n, 1);
      bench_report_value (&options, PEER, "kB", bench_private_kb (bench.pid));
    }
  else
    {
      run (&options, &bench, BENCH_WARM_UP);
      bench_meter_start (&meter, bench.pid);
      run (&options, &bench, options.n);
      bench_meter_stop (&meter);
      bench_report_time (&options, PEER, &meter);
    }
  bench_end (&bench);
  return 0;
}
