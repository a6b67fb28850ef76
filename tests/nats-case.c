/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <glib/gstdio.h>
#include <gobject/gvaluecollector.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The NATS server */

gboolean
nats_server_is_there (void)
{
  g_autofree char *path = g_find_program_in_path ("nats-server");

  /* Debian has it where not every PATH goes. */
  return path != NULL || g_access ("/usr/sbin/nats-server", X_OK) == 0;
}

static char *
find_program (void)
{
  char *path = g_find_program_in_path ("nats-server");

  return path != NULL ? path : g_strdup ("/usr/sbin/nats-server");
}

static void
die_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

/* Until it says that it is ready; which port it has, it says before. */
static void
wait_ready (NatsServer *self,
            int         fd)
{
  FILE *stream = fdopen (fd, "r");
  char line[1024];
  GString *all = g_string_new (NULL);

  while (fgets (line, sizeof line, stream) != NULL)
    {
      const char *where = strstr (line, "Listening for client connections on ");

      g_string_append (all, line);
      if (where != NULL)
        self->port = atoi (strrchr (where, ':') + 1);
      if (strstr (line, "Server is ready") != NULL)
        break;
    }
  if (self->port == 0 || strstr (all->str, "Server is ready") == NULL)
    g_error ("nats-server did not start: %s", all->str);
  g_string_free (all, TRUE);
  /* What it says later is read by nobody, and little: the stream stays open as long as the server. */
  self->output = stream;
}

void
nats_server_start (NatsServer *self)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError) error = NULL;
  int fd = -1;

  g_ptr_array_add (argv, find_program ());
  g_ptr_array_add (argv, g_strdup ("-a"));
  g_ptr_array_add (argv, g_strdup ("127.0.0.1"));
  g_ptr_array_add (argv, g_strdup ("-p"));
  g_ptr_array_add (argv, self->port == 0 ? g_strdup ("-1") : g_strdup_printf ("%u", self->port));
  for (guint i = 0; self->options != NULL && self->options[i] != NULL; i++)
    g_ptr_array_add (argv, g_strdup (self->options[i]));
  g_ptr_array_add (argv, NULL);
  g_spawn_async_with_pipes (NULL, (char **) argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent, NULL, &self->pid, NULL,
                            NULL, &fd, &error);
  g_assert_no_error (error);
  wait_ready (self, fd);
  g_free (self->url);
  self->url = g_strdup_printf ("nats://127.0.0.1:%u", self->port);
}

void
nats_server_init (NatsServer        *self,
                  const char *const *options) /* (nullable) */
{
  memset (self, 0, sizeof *self);
  self->options = g_strdupv ((char **) options);
  self->folder = g_dir_make_tmp ("afrpc-nats-XXXXXX", NULL);
  nats_server_start (self);
}

void
nats_server_kill (NatsServer *self,
                  int         signum)
{
  if (self->pid == 0)
    return;

  g_assert_cmpint (kill (self->pid, signum), ==, 0);
  g_assert_cmpint (waitpid (self->pid, NULL, 0), ==, self->pid);
  self->pid = 0;
  fclose (g_steal_pointer (&self->output));
}

void
nats_server_clear (NatsServer *self)
{
  g_autoptr(GDir) dir = g_dir_open (self->folder, 0, NULL);
  const char *name;

  nats_server_kill (self, SIGKILL);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (self->folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (self->folder);
  g_free (self->folder);
  g_free (self->url);
  g_strfreev (self->options);
}

/* What nats.c calls */

typedef struct
{
  GMutex lock;
  GCond cond;
  gboolean is_complete;
} Completion;

static void
completed_cb (void *data)
{
  Completion *self = data;

  g_mutex_lock (&self->lock);
  self->is_complete = TRUE;
  g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* Once this returns its function is called no more. @subscription: (transfer full) */
void
nats_unsubscribe (natsConnection   *connection,
                  natsSubscription *subscription)
{
  Completion completion = { 0 };

  g_mutex_init (&completion.lock);
  g_cond_init (&completion.cond);
  g_assert_cmpint (natsSubscription_SetOnCompleteCB (subscription, completed_cb, &completion), ==, NATS_OK);
  g_assert_cmpint (natsSubscription_Unsubscribe (subscription), ==, NATS_OK);
  /* Until that is answered, nats.c (before 3.6) may be about to put a message into it. */
  g_assert_cmpint (natsConnection_Flush (connection), ==, NATS_OK);
  natsSubscription_Destroy (subscription);
  g_mutex_lock (&completion.lock);
  while (!completion.is_complete)
    g_cond_wait (&completion.cond, &completion.lock);
  g_mutex_unlock (&completion.lock);
  g_mutex_clear (&completion.lock);
  g_cond_clear (&completion.cond);
}

/* Who serves */

static void
error_cb (AfrpcNatsServer *server,
          GError          *error,
          Serving         *self)
{
  self->n_errors++;
  g_test_message ("server: %s", error->message);
}

static gpointer
new_server (Serving    *self,
            const char *first, /* (nullable) */
            va_list     args)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new ();
  GValue values[8] = { G_VALUE_INIT };
  GObjectClass *klass = g_type_class_ref (AFRPC_NATS_TYPE_SERVER);
  gpointer server;

#define ADD(name, type, setter, value) \
  G_STMT_START { \
    g_value_init (&values[names->len], type); \
    setter (&values[names->len], value); \
    g_ptr_array_add (names, (gpointer) name); \
  } G_STMT_END
  ADD ("connection", G_TYPE_OBJECT, g_value_set_object, self->connection);
  ADD ("caller", G_TYPE_OBJECT, g_value_set_object, self->pool);
  ADD ("subject", G_TYPE_STRING, g_value_set_string, NATS_SUBJECT);
  ADD ("name", G_TYPE_STRING, g_value_set_string, "the server of the test");
  for (const char *name = first; name != NULL; name = va_arg (args, const char *))
    {
      const GParamSpec *pspec = g_object_class_find_property (klass, name);
      g_autofree char *problem = NULL;

      G_VALUE_COLLECT_INIT (&values[names->len], pspec->value_type, args, 0, &problem);
      g_ptr_array_add (names, (gpointer) name);
    }
  server = g_object_new_with_properties (AFRPC_NATS_TYPE_SERVER, names->len, (const char **) names->pdata, values);
  for (guint i = 0; i < names->len; i++)
    g_value_unset (&values[i]);
  g_type_class_unref (klass);

  return server;
}

/* @first, ...: properties of the server */
void
serving_init (Serving    *self,
              NatsServer *nats,
              const char *function,
              guint       n_workers,
              const char *first,
              ...)
{
  va_list args;

  memset (self, 0, sizeof *self);
  self->process = test_process_new ();
  afrpc_process_require (self->process, g_getenv ("AFRPC_TEST_MESSAGE_WORKER"));
  self->pool = g_object_new (AFRPC_TYPE_POOL, "process", self->process, "function", function, "max-workers", n_workers, "idle-workers",
                             n_workers, "start-delay-ms", 0, NULL);
  self->connection = afrpc_nats_connection_new (nats->url);
  va_start (args, first);
  self->server = AFRPC_NATS_SERVER (new_server (self, first, args));
  va_end (args);
  g_signal_connect (self->server, "error", G_CALLBACK (error_cb), self);
  /* Workers may say something when nobody serves any more. */
  g_signal_connect (self->pool, "event", G_CALLBACK (test_ignore_cb), NULL);
}

void
serving_start (Serving *self)
{
  connection_wait (self->connection, AFRPC_NATS_STATE_CONNECTED);
  afrpc_nats_server_start (self->server);
}

static void
stopped_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, &error));
  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

void
serving_clear (Serving *self)
{
  gboolean stopped = FALSE;

  afrpc_nats_server_stop_async (self->server, NULL, stopped_cb, &stopped);
  test_iterate_until (&stopped);
  g_signal_handlers_disconnect_by_data (self->server, self);
  g_assert_finalize_object (self->server);
  afrpc_caller_kill (AFRPC_CALLER (self->pool));
  afrpc_caller_close_sync (AFRPC_CALLER (self->pool), NULL, NULL);
  g_object_unref (self->pool);
  g_object_unref (self->connection);
  afrpc_process_kill (self->process, SIGKILL);
  afrpc_exit_unref (test_wait_exit (self->process));
  g_object_unref (self->process);
}

/* Who calls */

void
connection_wait (AfrpcNatsConnection *connection,
                 AfrpcNatsState       state)
{
  while (afrpc_nats_connection_get_state (connection) != state)
    {
      /* There is no way out of that. */
      if (afrpc_nats_connection_get_state (connection) == AFRPC_NATS_STATE_FAILED)
        g_error ("%s", afrpc_nats_connection_get_failure (connection)->message);
      g_main_context_iteration (NULL, TRUE);
    }
}

AfrpcNatsCaller *
nats_caller_new (NatsServer *nats)
{
  g_autoptr(AfrpcNatsConnection) connection = afrpc_nats_connection_new (nats->url);

  return afrpc_nats_caller_new (connection, NATS_SUBJECT);
}

/* The server may have said that it serves, and NATS not have got it yet. */
void
nats_caller_wait (AfrpcNatsCaller *caller)
{
  g_autoptr(AfrpcCall) call = NULL;
  guint ms;

  g_object_get (caller, "no-servers-timeout-ms", &ms, NULL);
  g_object_set (caller, "no-servers-timeout-ms", 60000, NULL);
  call = call_start (caller, g_variant_new ("(sv)", "return", g_variant_new_uint32 (0)));
  g_variant_unref (wait_value (call));
  g_object_set (caller, "no-servers-timeout-ms", ms, NULL);
}

void
nats_caller_end (AfrpcNatsCaller *caller)
{
  gboolean destroyed = FALSE;

  g_signal_connect_swapped (caller, "destroyed", G_CALLBACK (test_count_cb), &destroyed);
  afrpc_caller_close (AFRPC_CALLER (caller));
  test_iterate_until (&destroyed);
  g_object_unref (caller);
}

static gboolean
over_cb (gpointer data)
{
  *(gboolean *) data = TRUE;

  return G_SOURCE_REMOVE;
}

void
iterate_for (guint ms)
{
  gboolean is_over = FALSE;

  g_timeout_add (ms, over_cb, &is_over);
  test_iterate_until (&is_over);
}

AfrpcCall *
call_start (AfrpcNatsCaller *caller,
            GVariant        *args)
{
  return afrpc_caller_start (AFRPC_CALLER (caller), args, NULL);
}
