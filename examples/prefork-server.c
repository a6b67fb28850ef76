/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pre-forked server: processes that are forked from one prepared template accept connections on one
 * listening socket. The program itself never touches a connection. It prints the address, serves until the
 * end of its standard input, and ends the processes.
 * Usage: prefork-server [MODULE] */
#include <afrpc/afrpc.h>

#include <gio/gunixinputstream.h>
#include <stdlib.h>
#include <unistd.h>

#include "example-util.h"

#define N_PROCESSES 4

typedef struct
{
  GMainLoop *loop;
  GPtrArray *connections; /* (element-type GIOStream) to the processes that run */
  guint n_ready;
  guint n_left;
  char *address;
} Server;

/* A socket that any process may accept on without waiting for a client that another one took. */
static GSocket *
listen_on_loopback (void)
{
  g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new (loopback, 0);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);

  if (socket == NULL || !g_socket_bind (socket, address, TRUE, &error) || !g_socket_listen (socket, &error))
    g_error ("%s", error->message);

  return g_steal_pointer (&socket);
}

static void
running_cb (GObject      *process,
            GAsyncResult *result,
            gpointer      data)
{
  Server *server = data;
  g_autoptr(GError) error = NULL;
  GIOStream *connection = afrpc_process_run_finish (AFRPC_PROCESS (process), result, &error);

  if (connection == NULL)
    {
      g_printerr ("%s\n", error->message);
      exit (1);
    }

  g_ptr_array_add (server->connections, connection);
  if (++server->n_ready == N_PROCESSES)
    g_print ("%s\n", server->address);
}

static void
ended_cb (GObject      *process,
          GAsyncResult *result,
          gpointer      data)
{
  Server *server = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcExit) exit = afrpc_process_wait_finish (AFRPC_PROCESS (process), result, &error);
  g_autofree char *text = exit != NULL ? afrpc_exit_to_string (exit) : g_strdup (error->message);

  if (exit == NULL || !afrpc_exit_is_success (exit))
    g_printerr ("%s\n", text);
  if (--server->n_left == 0)
    g_main_loop_quit (server->loop);
}

/* Closing a connection tells its process to end. */
static void
input_ended_cb (GObject      *input,
                GAsyncResult *result,
                gpointer      data)
{
  Server *server = data;

  g_ptr_array_set_size (server->connections, 0);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *module = example_module (argc, argv, "prefork-worker.so");
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr(GSocket) socket = listen_on_loopback ();
  g_autoptr(GSocketAddress) address = g_socket_get_local_address (socket, NULL);
  g_autofree char *text = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  g_autoptr(GInputStream) input = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
  Server server = { loop, connections, 0, N_PROCESSES, text };
  char end[1];

  /* What is loaded here is shared by all. */
  afrpc_process_require (template, module);
  afrpc_process_send_fd (template, g_socket_get_fd (socket));

  for (guint i = 0; i < N_PROCESSES; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      afrpc_process_run_async (process, "serve", NULL, running_cb, &server);
      afrpc_process_wait_async (process, NULL, ended_cb, &server);
    }

  g_input_stream_read_async (input, end, sizeof end, G_PRIORITY_DEFAULT, NULL, input_ended_cb, &server);
  g_main_loop_run (loop);

  return 0;
}
