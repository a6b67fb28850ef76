/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-prepare.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "serve/afrpc-forward-log.h"
#include "serve/afrpc-restrict.h"
#include "serve/afrpc-template.h"
#include "wire/afrpc-lifeline.h"

/* A host written in another language may fail without saying why. */
static gboolean
check_failure (gboolean     ok,
               const char  *what,
               const char  *name,
               GError     **error)
{
  if (!ok && error != NULL && *error == NULL)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "%s “%s” failed without saying why", what, name);

  return ok;
}

static gboolean
is_implemented (AfrpcHost         *self,
                AfrpcFunctionKind  kind)
{
  AfrpcHostClass *klass = AFRPC_HOST_GET_CLASS (self);

  switch (kind)
    {
    case AFRPC_FUNCTION_SYNC:
      return klass->call != NULL;

    case AFRPC_FUNCTION_ASYNC:
      return klass->invoke != NULL;

    case AFRPC_FUNCTION_INIT:
      return klass->init != NULL;

    case AFRPC_FUNCTION_DONE:
      return klass->done != NULL;

    case AFRPC_FUNCTION_RUN:
      return klass->run != NULL;

    default:
      return FALSE;
    }
}

static gboolean
resolve (AfrpcHost          *self,
         const char         *name,
         AfrpcFunctionKind   kind,
         guint              *function,
         GError            **error)
{
  static const char *const kinds[] = { "sync", "async", "init", "done", "run" };

  if (!is_implemented (self, kind))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "the host of “%s” has no %s functions", afrpc_host_get_name (self), kinds[kind]);
      return FALSE;
    }

  *function = AFRPC_HOST_GET_CLASS (self)->resolve (self, name, kind, error);

  return check_failure (*function != 0, "finding the function", name, error);
}

static gboolean
parse_hello (AfrpcWorker  *worker,
             GVariant     *value,
             GError      **error)
{
  guint32 version;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT) || !g_variant_lookup (value, "version", "u", &version))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a greeting without version");
      return FALSE;
    }
  if (version != AFRPC_FRAME_PROTOCOL_VERSION)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION,
                   "the program speaks version %u of the protocol, its worker's host version %u",
                   version, AFRPC_FRAME_PROTOCOL_VERSION);
      return FALSE;
    }
  g_variant_lookup (value, "pid", "i", &worker->parent_pid);

  return TRUE;
}

static gboolean
run_init (AfrpcHost    *self,
          AfrpcWorker  *worker,
          const char   *name,
          GError      **error)
{
  g_autoptr(GError) local_error = NULL;
  guint function;

  if (!resolve (self, name, AFRPC_FUNCTION_INIT, &function, error))
    return FALSE;
  afrpc_worker_flush_blocking (worker);
  if (AFRPC_HOST_GET_CLASS (self)->init (self, function, worker, &local_error))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INIT, "init function “%s”: %s", name,
               local_error != NULL ? local_error->message : "failed without saying why");
  return FALSE;
}

/* What parent and worker share besides the socket. */
static gboolean
take_shared (AfrpcWorker  *worker,
             GVariant     *value,
             GError      **error)
{
  gboolean page = FALSE, lifeline = FALSE;

  g_variant_lookup (value, "page", "b", &page);
  g_variant_lookup (value, "lifeline", "b", &lifeline);

  if (page)
    {
      int fd = afrpc_stream_take_fd (&worker->stream);

      worker->page = afrpc_page_map (fd, error);
      if (fd >= 0)
        close (fd);
      if (worker->page == NULL)
        return FALSE;
    }
  if (lifeline)
    {
      int fd = worker->lifeline_fd >= 0 ? worker->lifeline_fd : afrpc_stream_take_fd (&worker->stream);

      worker->lifeline_fd = -1;
      /* Without it, the end of the socket still ends a worker that looks at it. */
      if (fd >= 0)
        {
          afrpc_lifeline_arm (fd);
          close (fd);
        }
    }

  return TRUE;
}

static gboolean
find_serialiser (AfrpcWorker  *worker,
                 GVariant     *value,
                 GError      **error)
{
  const char *name;

  if (!g_variant_lookup (value, "serialiser", "&s", &name))
    return TRUE;

  worker->serialiser = afrpc_serialiser_lookup (name);
  if (worker->serialiser != NULL)
    return TRUE;
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
               "there is no serialiser “%s” in the worker: its module or its init function has to register it", name);
  return FALSE;
}

/* Init comes first, because it may load what the others are in. */
static gboolean
prepare_run (AfrpcHost    *self,
             AfrpcWorker  *worker,
             GVariant     *value,
             AfrpcRunOptions   *options,
             GError      **error)
{
  AfrpcFunctionKind kind;
  guchar orphan_policy = AFRPC_ORPHAN_POLICY_END;
  gboolean log = FALSE;

  memset (options, 0, sizeof *options);
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT) ||
      !g_variant_lookup (value, "function", "&s", &options->function))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a request to run no function");
      return FALSE;
    }
  if (!take_shared (worker, value, error))
    return FALSE;
  g_variant_lookup (value, "init", "&s", &options->init);
  g_variant_lookup (value, "done", "&s", &options->done);
  g_variant_lookup (value, "async", "b", &options->async);
  g_variant_lookup (value, "run", "b", &options->run);
  g_variant_lookup (value, "orphan", "y", &orphan_policy);
  worker->orphan_policy = orphan_policy;
  g_variant_lookup (value, "max-message-size", "t", &worker->message_size_max);
  g_variant_lookup (value, "log", "b", &log);

  if (options->run && afrpc_stream_has_read (&worker->stream))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "more was sent before the function had taken over");
      return FALSE;
    }
  if (log)
    afrpc_forward_log_start (worker);
  if (options->init != NULL && !run_init (self, worker, options->init, error))
    return FALSE;
  if (options->done != NULL && !resolve (self, options->done, AFRPC_FUNCTION_DONE, &worker->done, error))
    return FALSE;

  if (!options->run && !find_serialiser (worker, value, error))
    return FALSE;

  kind = options->run ? AFRPC_FUNCTION_RUN : options->async ? AFRPC_FUNCTION_ASYNC : AFRPC_FUNCTION_SYNC;
  worker->backend = options->async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC;

  return resolve (self, options->function, kind, &worker->function, error);
}

static gboolean
take_surroundings (AfrpcWorker  *worker,
                   GVariant     *value,
                   GError      **error)
{
  g_autofree const char **environment = NULL;
  const char *cwd = NULL;
  guint8 which = 0;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "malformed surroundings");
      return FALSE;
    }

  g_variant_lookup (value, "stdio", "y", &which);
  for (int i = 0; i < 3; i++)
    if ((which & 1 << i) != 0)
      {
        int fd = afrpc_stream_take_fd (&worker->stream);

        if (fd < 0 || dup2 (fd, i) < 0)
          {
            g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "connecting standard streams: %s",
                         fd < 0 ? "a file descriptor did not arrive" : g_strerror (errno));
            return FALSE;
          }
        close (fd);
      }

  if (g_variant_lookup (value, "environ", "^a&ay", &environment))
    {
      clearenv ();
      for (guint i = 0; environment[i] != NULL; i++)
        putenv (g_strdup (environment[i]));
    }
  if (g_variant_lookup (value, "cwd", "^&ay", &cwd) && chdir (cwd) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "entering the working directory “%s”: %s", cwd,
                   g_strerror (errno));
      return FALSE;
    }

  /* Last: they may be too low for the rest. */
  return afrpc_restrict (value, error);
}

static gboolean
prepare_step (AfrpcHost         *self,
              AfrpcWorker       *worker,
              const AfrpcFrame  *frame,
              GVariant          *value,
              GError           **error)
{
  AfrpcHostClass *klass = AFRPC_HOST_GET_CLASS (self);

  switch (value != NULL ? frame->header.kind : 0)
    {
    case AFRPC_FRAME_SURROUNDINGS:
      return take_surroundings (worker, value, error);

    case AFRPC_FRAME_REQUIRE:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        {
          const char *module = g_variant_get_string (value, NULL);

          afrpc_worker_flush_blocking (worker);
          return check_failure (klass->require (self, module, error), "loading the module", module, error);
        }
      break;

    case AFRPC_FRAME_EVAL:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE ("(sv)")))
        {
          g_autoptr(GVariant) code = g_variant_get_child_value (value, 0);
          g_autoptr(GVariant) boxed = g_variant_get_child_value (value, 1);
          g_autoptr(GVariant) args = g_variant_get_variant (boxed);

          afrpc_worker_flush_blocking (worker);
          return check_failure (klass->eval (self, g_variant_get_string (code, NULL), args, error),
                                "evaluating", "code", error);
        }
      break;

    case AFRPC_FRAME_ARG:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
        {
          g_ptr_array_add (worker->arg_list, g_variant_get_variant (value));
          return TRUE;
        }
      break;

    default:
      break;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame->header.kind);
  return FALSE;
}

static gboolean
receive_fd (AfrpcWorker  *worker,
            GError      **error)
{
  int fd = afrpc_stream_take_fd (&worker->stream);

  if (fd < 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                   "a file descriptor did not arrive: the worker may have no more open");
      return FALSE;
    }

  g_array_append_val (worker->fds, fd);
  g_array_append_val (worker->fd_positions, worker->arg_list->len);
  return TRUE;
}

/* Writes what has been said, unless the parent's next words are there already: a forked process can then do all
 * that it was made for and answer at once. FALSE: nobody listens any more. */
static gboolean
say_at_leisure (AfrpcWorker *worker)
{
  struct pollfd poller = { worker->stream.in_fd, POLLIN, 0 };

  if (afrpc_stream_get_queued (&worker->stream) > 0 && poll (&poller, 1, 0) == 0)
    afrpc_worker_flush_blocking (worker);

  return !worker->gone;
}

/* Waits for one frame. Returns DONE, EOF, or ERROR. */
static AfrpcStreamStep
receive_frame (AfrpcWorker  *worker,
               AfrpcFrame   *frame,
               GError      **error)
{
  for (;;)
    {
      AfrpcStreamStep step = afrpc_stream_next (&worker->stream, frame, error);

      if (step != AFRPC_STREAM_AGAIN)
        return step;
      if (!say_at_leisure (worker))
        return AFRPC_STREAM_EOF;
      afrpc_template_wait_readable (worker);
      step = afrpc_stream_read (&worker->stream, error);
      /* Whoever made the connection may have left it not to block. */
      if (step == AFRPC_STREAM_AGAIN)
        afrpc_worker_wait_readable (worker);
      else if (step != AFRPC_STREAM_DONE)
        return step;
    }
}

/* Queues who the worker is. What has been said is written before anything is waited for, or loaded. */
static void
greet (AfrpcHost    *self,
       AfrpcWorker  *worker)
{
  GVariantDict dict;

  if (worker->hello == NULL)
    {
      g_variant_dict_init (&dict, NULL);
      g_variant_dict_insert (&dict, "version", "u", AFRPC_FRAME_PROTOCOL_VERSION);
      g_variant_dict_insert (&dict, "host", "s", afrpc_host_get_name (self));
      if (worker->goodbye_serial != 0)
        g_variant_dict_insert (&dict, "goodbye", "t", worker->goodbye_serial);
      worker->hello = g_variant_ref_sink (g_variant_dict_end (&dict));
    }

  afrpc_stream_put_value (&worker->stream, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, worker->hello);
}

/* Does what the parent asks for until it asks to run something: DONE. EOF: it wants nothing more. @run: what
 * @options points into. */
AfrpcStreamStep
afrpc_host_prepare (AfrpcHost        *self,
                    AfrpcWorker      *worker,
                    AfrpcRunOptions  *options,
                    GVariant        **run,
                    GError          **error)
{
  gboolean greeted = FALSE;

  greet (self, worker);
  for (;;)
    {
      g_autoptr(GVariant) value = NULL;
      AfrpcFrame frame;
      AfrpcStreamStep step = receive_frame (worker, &frame, error);
      gboolean ok;

      if (step != AFRPC_STREAM_DONE)
        return step;

      if (frame.header.type_length > 0)
        {
          value = afrpc_stream_parse_value (&worker->stream, &frame, error);
          if (value == NULL)
            return AFRPC_STREAM_ERROR;
        }

      if (!greeted)
        {
          greeted = value != NULL && frame.header.kind == AFRPC_FRAME_HELLO && frame.header.serial == AFRPC_FRAME_MAGIC;
          if (!greeted)
            g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "no greeting");
          ok = greeted && parse_hello (worker, value, error);
        }
      else if (frame.header.kind == AFRPC_FRAME_FD)
        ok = receive_fd (worker, error);
      else if (frame.header.kind == AFRPC_FRAME_FORK)
        {
          ok = TRUE;
          if (afrpc_template_fork (worker))
            {
              greet (self, worker);
              greeted = FALSE;
            }
        }
      else if (value != NULL && frame.header.kind == AFRPC_FRAME_RUN)
        {
          *run = g_steal_pointer (&value);
          return take_surroundings (worker, *run, error) && prepare_run (self, worker, *run, options, error)
                   ? AFRPC_STREAM_DONE : AFRPC_STREAM_ERROR;
        }
      else
        ok = prepare_step (self, worker, &frame, value, error);

      if (!ok)
        return AFRPC_STREAM_ERROR;
    }
}
