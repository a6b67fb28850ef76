/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc serve: a pool that serves a subject of NATS, until a signal comes. */
#include "config.h"

#include "afrpc-tool-nats.h"

#include <glib/gi18n.h>
#include <signal.h>

typedef struct
{
  AfrpcToolWorkerOptions worker;
  AfrpcToolNats nats;
  int n_workers;
  int n_calls_max;
  char **words; /* MODULE, FUNCTION */
} ServeOptions;

typedef struct
{
  const ServeOptions *options;
  GMainLoop *loop;
  AfrpcNatsConnection *connection;
  AfrpcProcess *process;
  AfrpcPool *pool;
  AfrpcNatsServer *server;
  gboolean is_ending;
  gboolean is_killed;
  gboolean cannot_prepare; /* and it has been said why */
  int status; /* the first reason to fail, or 0 */
} Serve;

static void
serve_options_clear (ServeOptions *options)
{
  afrpc_tool_worker_options_clear (&options->worker);
  afrpc_tool_nats_clear (&options->nats);
  g_clear_pointer (&options->words, g_strfreev);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ServeOptions, serve_options_clear)

/* The end */

static void
template_ended_cb (GObject      *object,
                   GAsyncResult *result,
                   gpointer      data)
{
  Serve *self = data;
  g_autoptr(AfrpcExit) exit = afrpc_process_wait_finish (AFRPC_PROCESS (object), result, NULL);

  g_main_loop_quit (self->loop);
}

/* All workers have ended. What they were made from has never been called: it has nothing to finish. */
static void
destroyed_cb (AfrpcCaller *caller,
              Serve       *self)
{
  afrpc_process_kill (self->process, SIGKILL);
  afrpc_process_wait_async (self->process, NULL, template_ended_cb, self);
}

static void
stopped_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  Serve *self = data;

  afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, NULL);
  afrpc_caller_close (AFRPC_CALLER (self->pool));
}

/* Calls that run are finished, others go elsewhere; the second time, what runs is killed. */
static void
end (Serve *self,
     int    status)
{
  if (self->status == 0)
    self->status = status;
  if (self->is_ending)
    {
      self->is_killed = TRUE;
      afrpc_caller_kill (AFRPC_CALLER (self->pool));
      return;
    }

  self->is_ending = TRUE;
  afrpc_nats_server_stop_async (self->server, NULL, stopped_cb, self);
}

/* That is how it is meant to end; with calls that were killed it is not. */
static void
signal_cb (int      signum,
           gpointer data)
{
  Serve *self = data;

  end (self, self->is_ending ? AFRPC_TOOL_EXIT_SIGNAL (signum) : AFRPC_TOOL_EXIT_OK);
}

/* There is nothing to serve with, or nobody to serve. Once it was told to end, it does that, whatever happens meanwhile. */
static void
give_up (Serve *self)
{
  if (!self->is_ending)
    end (self, AFRPC_TOOL_EXIT_PREPARE);
}

/* What ends a worker that has calls has failed them, and is told here for who looks after the machine. Of what the server says, only
 * permissions that it does not have end it: what else there is is seen below. */
static void
error_cb (AfrpcNatsServer *server,
          GError          *error,
          Serve           *self)
{
  const gboolean is_of_preparation = afrpc_tool_exit_status (error) == AFRPC_TOOL_EXIT_PREPARE &&
                                     !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);

  if (self->is_killed)
    return;

  /* All workers are prepared in the same way: each fails of that. */
  if (!is_of_preparation || !self->cannot_prepare)
    afrpc_tool_message ("%s", error->message);
  self->cannot_prepare |= is_of_preparation;
  if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE))
    give_up (self);
}

/* No worker comes any more: other ones would fail in the same way. */
static void
failure_cb (AfrpcPool  *pool,
            GParamSpec *pspec,
            Serve      *self)
{
  if (afrpc_pool_get_failure (pool) != NULL)
    give_up (self);
}

/* Callers have it. */
static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
}

static void
state_cb (AfrpcNatsConnection *connection,
          GParamSpec          *pspec,
          Serve               *self)
{
  if (afrpc_nats_connection_get_state (connection) == AFRPC_NATS_STATE_FAILED)
    give_up (self);
}

static int
serve_run (const ServeOptions *options)
{
  Serve self = { .options = options };

  self.loop = g_main_loop_new (NULL, FALSE);
  afrpc_tool_watch_signals (signal_cb, &self);
  self.process = afrpc_tool_process_new (&options->worker, NULL, FALSE);
  self.pool = g_object_new (AFRPC_TYPE_POOL, "process", self.process, "function", options->worker.function,
                            "init", options->worker.init, "backend", options->worker.backend,
                            "max-workers", options->n_workers, "start-delay-ms", 0, "stop-delay-ms", G_MAXINT, NULL);
  if (options->worker.timeout_ms > 0)
    afrpc_pool_set_call_timeout_ms (self.pool, options->worker.timeout_ms);
  /* Whatever is wrong with the module is known before there are calls. */
  afrpc_pool_set_idle_workers (self.pool, afrpc_pool_get_max_workers (self.pool));
  self.connection = afrpc_tool_nats_new_connection (&options->nats);
  self.server = g_object_new (AFRPC_NATS_TYPE_SERVER, "connection", self.connection, "subject", options->nats.subject,
                              "caller", self.pool, "max-calls", (guint) options->n_calls_max, NULL);
  g_signal_connect (self.pool, "destroyed", G_CALLBACK (destroyed_cb), &self);
  g_signal_connect (self.pool, "event", G_CALLBACK (event_cb), NULL);
  g_signal_connect (self.pool, "notify::failure", G_CALLBACK (failure_cb), &self);
  g_signal_connect (self.server, "error", G_CALLBACK (error_cb), &self);
  g_signal_connect (self.connection, "notify::state", G_CALLBACK (state_cb), &self);
  afrpc_nats_server_start (self.server);
  g_main_loop_run (self.loop);

  g_signal_handlers_disconnect_by_data (self.pool, &self);
  g_signal_handlers_disconnect_by_data (self.server, &self);
  g_signal_handlers_disconnect_by_data (self.connection, &self);
  g_object_unref (self.server);
  afrpc_tool_nats_end (self.connection);
  afrpc_caller_close_sync (AFRPC_CALLER (self.pool), NULL, NULL);
  g_object_unref (self.pool);
  g_object_unref (self.process);
  g_main_loop_unref (self.loop);

  return self.status;
}

static gboolean
serve_parse (ServeOptions  *options,
             char         **argv,
             GError       **error)
{
  const GOptionEntry entries[] = {
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &options->n_workers, N_("Number of workers (0, the default: one for each processor)"), N_("N") },
    { "max-calls", 0, 0, G_OPTION_ARG_INT, &options->n_calls_max,
      N_("Take no more calls at once (0, the default: as workers need)"), N_("N") },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->words, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (&parser, _("MODULE FUNCTION"),
                           _("Serves a subject of NATS with a function of a module, in several workers.\n"
                             "\n"
                             "SIGTERM ends it once the calls that run are finished; others go to other servers."));
  g_option_context_set_description (
    parser.context,
    _("Exit status:\n"
      "  0    it was told to end, and what ran was finished\n"
      "  2    wrong usage\n"
      "  3    no worker could be prepared, or NATS cannot be reached, or does not allow it\n"
      "  130  SIGINT told it to end for the second time, and what ran was killed; 129: SIGHUP, 143: SIGTERM\n"));
  afrpc_tool_options_add (&parser, entries);
  afrpc_tool_nats_add (&options->nats, &parser);
  afrpc_tool_worker_options_add (&options->worker, &parser);
  if (!afrpc_tool_options_parse (&parser, argv, error) || !afrpc_tool_nats_check (&options->nats, error))
    return FALSE;

  if (options->n_workers < 0 || options->n_workers > AFRPC_TOOL_WORKERS_MAX || options->n_calls_max < 0 ||
      options->n_calls_max > G_MAXUINT16)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("A number is out of range"));
      return FALSE;
    }

  return afrpc_tool_worker_options_check (&options->worker, error);
}

int
afrpc_tool_serve (int    argc,
                  char **argv)
{
  g_auto(ServeOptions) options = { 0 };
  g_autoptr(GError) error = NULL;

  if (!serve_parse (&options, argv, &error))
    return afrpc_tool_usage_error ("serve", error->message);
  if (options.words == NULL || g_strv_length (options.words) != 2)
    return afrpc_tool_usage_error ("serve", _("MODULE and FUNCTION are needed"));
  if (!afrpc_tool_worker_options_take_module (&options.worker, options.words[0], &error))
    return afrpc_tool_usage_error ("serve", error->message);

  options.worker.function = g_strdup (options.words[1]);

  return serve_run (&options);
}
