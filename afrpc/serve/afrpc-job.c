/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-job.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "serve/afrpc-forward-log.h"
#include "serve/afrpc-functions.h"
#include "serve/afrpc-surroundings.h"
#include "serve/afrpc-template.h"
#include "os/afrpc-group.h"
#include "os/afrpc-lifeline.h"

/* Without it, the end of the connection still ends a worker that looks at it. @signal: what the process gets, for now */
void
afrpc_job_take_lifeline (AfrpcSession *self,
                         int           signal)
{
  const int fd = self->lifeline_fd >= 0 ? self->lifeline_fd : afrpc_transport_take_fd (&self->transport);

  self->lifeline_fd = -1;
  if (fd < 0)
    return;

  /* A signal that is handled is for the worker, which ends its group then. */
  self->has_lifeline = afrpc_lifeline_arm (fd, signal, signal == SIGKILL && afrpc_group_is_ours (),
                                           signal != self->orphan_signal);
}

static gboolean
run_init (AfrpcSession  *self,
          const char    *name,
          GError       **error)
{
  g_autoptr(GError) own_error = NULL;
  guint function;

  if (!afrpc_functions_resolve (self, name, AFRPC_FUNCTION_INIT, &function, error))
    return FALSE;
  afrpc_session_flush (self);
  if (self->funcs->init (self->host, function, &own_error))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INIT, "init function '%s': %s", name,
               own_error != NULL ? own_error->message : "failed without saying why");
  return FALSE;
}

/* What parent and worker share besides the connection. */
static gboolean
take_shared (AfrpcSession        *self,
             const AfrpcOptions  *options,
             GError             **error)
{
  gboolean shares_state = FALSE, lifeline = FALSE, with_ring = FALSE;

  afrpc_options_get_boolean (options, "shared-state", &shares_state);
  afrpc_options_get_boolean (options, "lifeline", &lifeline);
  afrpc_options_get_boolean (options, "ring", &with_ring);

  /* Shared memory tells what it has started; without it, its greeting has to have gone before it runs anything. */
  if (!shares_state)
    afrpc_session_flush (self);
  else
    {
      const int fd = afrpc_transport_take_fd (&self->transport);
      const gboolean is_taken = afrpc_transport_take_state (&self->transport, fd, error);

      if (fd >= 0)
        close (fd);
      if (!is_taken)
        return FALSE;
      if (with_ring)
        afrpc_transport_offer_ring (&self->transport);
    }
  if (lifeline)
    afrpc_job_take_lifeline (self, self->orphan_signal);
  else if (self->has_lifeline && self->orphan_signal != SIGKILL)
    afrpc_lifeline_change (self->orphan_signal);

  return TRUE;
}

static gboolean
find_serialiser (AfrpcSession        *self,
                 const AfrpcOptions  *options,
                 GError             **error)
{
  const char *name = afrpc_options_get_string (options, "serialiser");
  const char *host;

  if (name == NULL)
    return TRUE;

  self->serialiser = afrpc_serialiser_lookup (name);
  if (self->serialiser != NULL)
    return TRUE;
  host = afrpc_options_get_string (options, "serialiser-host");
  if (host != NULL && strcmp (host, self->host_name) != 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                 "only workers of the host '%s' have the serialiser '%s', and this one's host is '%s'", host, name,
                 self->host_name);
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                 "there is no serialiser '%s' in the worker: its module or its init function has to register %s", name,
                 strcmp (name, AFRPC_SERIALISER_JSON_PLAIN) != 0 ? "it" :
                 "an AfrpcJsonSerialiser of the type of the arguments");
  return FALSE;
}

static void
nothing_cb (int signum)
{
}

/* Who is to live on after the program may write to what that has read, such as standard error, and gets EPIPE. A signal
 * that is caught is not inherited by what it executes, as one would be that is ignored. */
static void
outlive_pipes (void)
{
  const struct sigaction action = { .sa_handler = nothing_cb, .sa_flags = SA_RESTART };
  struct sigaction before;

  if (sigaction (SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
    sigaction (SIGPIPE, &action, NULL);
}

/* What becomes of the worker when its program dies: if nothing is said of that, it ends. */
gboolean
afrpc_job_take_orphan_policy (AfrpcSession        *self,
                              const AfrpcOptions  *options,
                              GError             **error)
{
  guint8 policy = AFRPC_ORPHAN_POLICY_END;

  afrpc_options_get_byte (options, "orphan", &policy);
  if (policy > AFRPC_ORPHAN_POLICY_IGNORE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "an unknown policy for orphans, %u", policy);
      return FALSE;
    }
  self->job.orphan_policy = policy;
  if (policy != AFRPC_ORPHAN_POLICY_END)
    outlive_pipes ();

  return TRUE;
}

/* How the function is to be served. */
static gboolean
take_options (AfrpcSession        *self,
              const AfrpcOptions  *options,
              GError             **error)
{
  gboolean is_async = FALSE;

  afrpc_options_get_boolean (options, "async", &is_async);
  afrpc_options_get_boolean (options, "run", &self->job.takes_over);
  afrpc_options_get_uint64 (options, "max-message-size", &self->message_size_max);
  self->job.backend = is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC;

  if (!afrpc_job_take_orphan_policy (self, options, error))
    return FALSE;
  if (self->job.takes_over && afrpc_transport_has_read (&self->transport))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "more was sent before the function had taken over");
      return FALSE;
    }

  return TRUE;
}

/* Does all up to the function itself. Init comes first, because it may load what the others are in. */
gboolean
afrpc_job_take (AfrpcSession  *self,
                GVariant      *value,
                GError       **error)
{
  AfrpcOptions options;
  const char *function, *init, *done;
  gboolean log = FALSE;

  afrpc_options_init (&options, value);
  function = afrpc_options_get_string (&options, "function");
  if (function == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a request to run no function");
      return FALSE;
    }
  g_free (self->job.function);
  self->job.function = g_strdup (function);
  if (!afrpc_surroundings_enter (&options, &self->transport, error) || !take_shared (self, &options, error) ||
      !take_options (self, &options, error))
    return FALSE;

  init = afrpc_options_get_string (&options, "init");
  done = afrpc_options_get_string (&options, "done");
  afrpc_options_get_boolean (&options, "log", &log);
  if (log)
    afrpc_forward_log_start (self);
  if (init != NULL && !run_init (self, init, error))
    return FALSE;
  if (done != NULL && !afrpc_functions_resolve (self, done, AFRPC_FUNCTION_DONE, &self->job.done, error))
    return FALSE;
  if (self->job.takes_over)
    return afrpc_functions_resolve (self, function, AFRPC_FUNCTION_RUN, &self->job.taker, error);

  return find_serialiser (self, &options, error) && afrpc_functions_declare (self, 0, function, error) &&
         afrpc_functions_check (self, 0, error);
}
