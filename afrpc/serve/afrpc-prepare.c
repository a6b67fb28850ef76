/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-prepare.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "serve/afrpc-foreign.h"
#include "serve/afrpc-job.h"
#include "serve/afrpc-surroundings.h"
#include "serve/afrpc-template.h"
#include "wire/afrpc-options.h"
#include "wire/afrpc-overture.h"

#define FIRST_WORDS_MS 5 /* until they should have come to a process that was forked */

static void
make_hello (AfrpcSession *self)
{
  AfrpcOptionsWriter dict;

  afrpc_options_begin (&dict, NULL);
  afrpc_options_add_uint32 (&dict, "version", AFRPC_FRAME_PROTOCOL_VERSION);
  afrpc_options_add_string (&dict, "host", self->host_name);
  if (self->goodbye_serial != 0)
    afrpc_options_add_uint64 (&dict, "goodbye", self->goodbye_serial);
  self->hello = afrpc_options_end (&dict);
}

/* Queues who the worker is. To build a dictionary is dear: a process that was forked has its template's. */
static void
greet (AfrpcSession *self)
{
  if (self->hello == NULL)
    make_hello (self);
  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, self->hello);
}

static gboolean
take_greeting (AfrpcSession      *self,
               const AfrpcFrame  *frame,
               GVariant          *value, /* (nullable) */
               GError           **error)
{
  AfrpcOptions options;
  guint32 version;

  if (value == NULL || frame->header.kind != AFRPC_FRAME_HELLO || frame->header.serial != AFRPC_FRAME_MAGIC)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "no greeting");
      return FALSE;
    }
  if (!afrpc_options_init (&options, value) || !afrpc_options_get_uint32 (&options, "version", &version))
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
  afrpc_options_get_int32 (&options, "pid", &self->parent_pid);
  if (self->state == AFRPC_SESSION_GREETING)
    afrpc_session_set_state (self, AFRPC_SESSION_PREPARING);
  else
    greet (self);

  return TRUE;
}

/* A host written in another language may fail without saying why. */
static gboolean
end_step (AfrpcSession  *self,
          AfrpcForeign  *foreign,
          gboolean       ok,
          GError        *step_error, /* (transfer full) (nullable) */
          const char    *what,
          GError       **error)
{
  if (!afrpc_foreign_end (foreign, self, what, error))
    {
      g_clear_error (&step_error);
      return FALSE;
    }
  if (ok)
    {
      g_clear_error (&step_error);
      return TRUE;
    }

  if (step_error == NULL)
    step_error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "%s failed without saying why", what);
  g_propagate_error (error, step_error);
  return FALSE;
}

static gboolean
require (AfrpcSession  *self,
         const char    *module,
         GError       **error)
{
  g_autofree char *what = g_strdup_printf ("loading the module '%s'", module);
  GError *step_error = NULL;
  AfrpcForeign foreign;
  gboolean ok;

  afrpc_foreign_begin (&foreign, self);
  ok = self->funcs->require (self->host, module, &step_error);

  return end_step (self, &foreign, ok, step_error, what, error);
}

/* One that was sent before there was a host. */
static gboolean
require_sent (AfrpcSession  *self,
              GVariant      *value, /* (ss) */
              GError       **error)
{
  const char *sha256, *name;
  g_autofree char *path = NULL;

  g_variant_get (value, "(&s&s)", &sha256, &name);
  path = g_build_filename (g_get_user_cache_dir (), AFRPC_OVERTURE_CACHE, sha256, name, NULL);

  return require (self, path, error);
}

static gboolean
evaluate (AfrpcSession  *self,
          GVariant      *value, /* (sv) */
          GError       **error)
{
  g_autoptr(GVariant) args = NULL;
  GError *step_error = NULL;
  AfrpcForeign foreign;
  const char *code;
  gboolean ok;

  g_variant_get (value, "(&sv)", &code, &args);
  afrpc_foreign_begin (&foreign, self);
  ok = self->funcs->eval (self->host, code, args, &step_error);

  return end_step (self, &foreign, ok, step_error, "evaluating code", error);
}

static gboolean
take_surroundings (AfrpcSession  *self,
                   GVariant      *value,
                   GError       **error)
{
  AfrpcOptions surroundings;
  gboolean lifeline = FALSE;

  if (!afrpc_options_init (&surroundings, value))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "malformed surroundings");
      return FALSE;
    }

  afrpc_options_get_boolean (&surroundings, "lifeline", &lifeline);
  if (!afrpc_job_take_orphan_policy (self, &surroundings, error) ||
      !afrpc_surroundings_enter (&surroundings, &self->transport, error))
    return FALSE;
  /* What is loaded, or evaluated, may do anything to other signals. */
  if (lifeline)
    afrpc_job_take_lifeline (self, SIGKILL);

  return TRUE;
}

static gboolean
take_fd (AfrpcSession  *self,
         GError       **error)
{
  const int fd = afrpc_transport_take_fd (&self->transport);

  if (fd < 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                   "a file descriptor did not arrive: the worker may have no more open");
      return FALSE;
    }

  afrpc_start_args_add_fd (&self->start, fd);
  return TRUE;
}

static gboolean
do_step (AfrpcSession      *self,
         const AfrpcFrame  *frame,
         GVariant          *value, /* (nullable) */
         GError           **error)
{
  switch (frame->header.kind)
    {
    case AFRPC_FRAME_FORK:
      if (afrpc_template_fork (self))
        greet (self);
      return TRUE;

    case AFRPC_FRAME_FD:
      return take_fd (self, error);

    case AFRPC_FRAME_SURROUNDINGS:
      if (value != NULL)
        return take_surroundings (self, value, error);
      break;

    case AFRPC_FRAME_REQUIRE:
      if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        return require (self, g_variant_get_string (value, NULL), error);
      if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE ("(ss)")))
        return require_sent (self, value, error);
      break;

    case AFRPC_FRAME_EVAL:
      if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE ("(sv)")))
        return evaluate (self, value, error);
      break;

    case AFRPC_FRAME_ARG:
      if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
        {
          afrpc_start_args_add (&self->start, g_variant_get_variant (value));
          return TRUE;
        }
      break;

    default:
      break;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame->header.kind);
  return FALSE;
}

/* Writes what has been said, unless the parent's next words are there already: a forked process can then do all
 * that it was made for and answer at once. It is often there first, and waits a little. */
static void
say_at_leisure (AfrpcSession *self)
{
  struct pollfd poller = { self->transport.in_fd, POLLIN, 0 };
  const int timeout_ms = self->is_forked && self->state == AFRPC_SESSION_GREETING ? FIRST_WORDS_MS : 0;

  if (afrpc_transport_get_queued (&self->transport) > 0 && poll (&poller, 1, timeout_ms) == 0)
    afrpc_session_flush (self);
}

/* Waits for one frame. Returns DONE, EOF, or ERROR. */
static AfrpcStep
receive_frame (AfrpcSession  *self,
               AfrpcFrame    *frame,
               GError       **error)
{
  for (;;)
    {
      AfrpcStep step = afrpc_transport_next (&self->transport, frame, error);

      if (step != AFRPC_STEP_AGAIN)
        return step;
      say_at_leisure (self);
      if (self->state == AFRPC_SESSION_OVER)
        return AFRPC_STEP_EOF; /* nobody has ever heard of it */
      afrpc_template_wait_readable (self);
      step = afrpc_transport_read (&self->transport, error);
      /* Whoever made the connection may have left it not to block. */
      if (step == AFRPC_STEP_AGAIN)
        afrpc_transport_wait_readable (&self->transport);
      else if (step != AFRPC_STEP_DONE)
        return step;
    }
}

/* Does what the parent asks for until it asks for a function to be run: DONE. EOF: it wants nothing more. */
AfrpcStep
afrpc_prepare (AfrpcSession  *self,
               GError       **error)
{
  greet (self);
  for (;;)
    {
      g_autoptr(GVariant) value = NULL;
      AfrpcFrame frame;
      AfrpcStep step = receive_frame (self, &frame, error);
      gboolean ok;

      if (step != AFRPC_STEP_DONE)
        return step;

      if (frame.header.type_length > 0)
        {
          value = afrpc_transport_parse_value (&self->transport, &frame, error);
          if (value == NULL)
            return AFRPC_STEP_ERROR;
        }

      /* Another program that the worker was handed over to greets anew, and is answered. */
      if (self->state == AFRPC_SESSION_GREETING || frame.header.kind == AFRPC_FRAME_HELLO)
        ok = take_greeting (self, &frame, value, error);
      else if (value != NULL && frame.header.kind == AFRPC_FRAME_RUN)
        return afrpc_job_take (self, value, error) ? AFRPC_STEP_DONE : AFRPC_STEP_ERROR;
      else
        ok = do_step (self, &frame, value, error);

      if (!ok)
        return AFRPC_STEP_ERROR;
    }
}
