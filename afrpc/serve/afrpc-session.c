/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-session.h"

#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/afrpc-process-name.h"

/* An async worker writes answers and events at the latest when they have this size, so that the parent can work on
 * them while more are made. */
#define FLUSH_SIZE 4096u /* bytes */

/* A parent that does not read stops the worker once so much waits. */
#define QUEUED_MAX (1u << 20) /* bytes */

/* With more than this waiting to be written, the parent does not keep up. */
#define ROOM_QUEUED_MAX 65536u /* bytes */

#define STATE(name) (1u << AFRPC_SESSION_##name)

/* From each state, which may follow; besides, a stray is over. */
static const guint steps[] = {
  [AFRPC_SESSION_GREETING] = STATE (PREPARING) | STATE (OVER),
  /* A process that was forked from this one greets anew. */
  [AFRPC_SESSION_PREPARING] = STATE (GREETING) | STATE (PREPARING_UNHEARD) | STATE (SERVING) | STATE (OVER),
  [AFRPC_SESSION_PREPARING_UNHEARD] = STATE (GREETING) | STATE (UNHEARD) | STATE (OVER),
  [AFRPC_SESSION_SERVING] = STATE (UNHEARD) | STATE (FINISHING) | STATE (ORPHANED),
  [AFRPC_SESSION_UNHEARD] = STATE (ORPHANED),
  [AFRPC_SESSION_FINISHING] = STATE (ORPHANED) | STATE (OVER),
  [AFRPC_SESSION_ORPHANED] = STATE (OVER),
  [AFRPC_SESSION_OVER] = 0,
};

static const char *const state_names[] = {
  [AFRPC_SESSION_GREETING] = "greeting",
  [AFRPC_SESSION_PREPARING] = "preparing",
  [AFRPC_SESSION_PREPARING_UNHEARD] = "preparing unheard",
  [AFRPC_SESSION_SERVING] = "serving",
  [AFRPC_SESSION_UNHEARD] = "unheard",
  [AFRPC_SESSION_FINISHING] = "finishing",
  [AFRPC_SESSION_ORPHANED] = "orphaned",
  [AFRPC_SESSION_OVER] = "over",
};

G_STATIC_ASSERT (G_N_ELEMENTS (steps) == AFRPC_SESSION_LAST + 1);
G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == AFRPC_SESSION_LAST + 1);

/* That of this thread, which GLib takes longer to tell. */
static __thread AfrpcSession *bound_session;

static void
function_clear (AfrpcFunction *function)
{
  g_free (function->name);
  g_free (function->args_type);
  g_clear_error (&function->error);
}

void
afrpc_session_init (AfrpcSession *self)
{
  memset (self, 0, sizeof *self);
  self->state = AFRPC_SESSION_GREETING;
  self->logs_states = !g_log_writer_default_would_drop (G_LOG_LEVEL_DEBUG, G_LOG_DOMAIN);
  self->control_fd = self->lifeline_fd = -1;
  self->functions = g_array_new (FALSE, TRUE, sizeof (AfrpcFunction));
  g_array_set_clear_func (self->functions, (GDestroyNotify) function_clear);
  self->reaped = g_array_new (FALSE, FALSE, sizeof (AfrpcReaped));
  self->held_back = g_array_new (FALSE, FALSE, sizeof (guint64));
  afrpc_start_args_init (&self->start);
}

/* Calls that are outstanding may still be answered, for nobody. */
void
afrpc_session_clear (AfrpcSession *self)
{
  g_clear_pointer (&self->unpacked, afrpc_backlog_item_free);
  g_clear_pointer (&self->job.function, g_free);
  afrpc_backlog_clear (&self->backlog);
  afrpc_call_table_clear (&self->calls);
  afrpc_transport_clear (&self->transport);
  if (self->lifeline_fd >= 0)
    close (self->lifeline_fd);
  if (self->control_fd >= 0)
    close (self->control_fd);
  self->lifeline_fd = self->control_fd = -1;
  for (guint i = 0; self->reaped != NULL && i < self->reaped->len; i++)
    close (g_array_index (self->reaped, AfrpcReaped, i).pidfd);
  g_clear_pointer (&self->functions, g_array_unref);
  g_clear_pointer (&self->reaped, g_array_unref);
  g_clear_pointer (&self->held_back, g_array_unref);
  g_clear_pointer (&self->hello, g_variant_unref);
  g_clear_object (&self->serialiser);
  g_clear_error (&self->failure);
  afrpc_start_args_clear (&self->start);
}

void
afrpc_session_set_state (AfrpcSession      *self,
                         AfrpcSessionState  state)
{
  g_assert ((steps[self->state] & 1u << state) != 0);
  /* Formatting what nobody reads costs a forked process memory that it would share otherwise, as does asking. */
  if (self->logs_states)
    g_debug ("the worker is %s, was %s", state_names[state], state_names[self->state]);
  self->state = state;
}

/* Who calls the functions: before it begins. @host is theirs; @name is not copied; @waits: for what arrives, by "wait"; @orphan_signal
 * ends the process when its program dies. */
void
afrpc_session_set_host (AfrpcSession            *self,
                        const AfrpcSessionFuncs *funcs,
                        gpointer                 host,
                        const char              *name,
                        gboolean                 waits,
                        int                      orphan_signal)
{
  self->funcs = funcs;
  self->host = host;
  self->host_name = name;
  self->host_waits = waits;
  self->orphan_signal = orphan_signal;
}

/* From now on the session is the calling thread's alone. */
void
afrpc_session_bind (AfrpcSession *self)
{
  self->is_bound = TRUE;
  bound_session = self;
}

/* Whether the calling thread may use it. */
gboolean
afrpc_session_is_mine (const AfrpcSession *self)
{
  return !self->is_bound || bound_session == self;
}

/* The same, where somebody else is a mistake of the program in the worker. */
gboolean
afrpc_session_check_thread (const AfrpcSession *self,
                            const char         *what)
{
  if (G_LIKELY (afrpc_session_is_mine (self)))
    return TRUE;

  g_critical ("%s: may be called only by the thread that the worker's functions are called in", what);
  return FALSE;
}

/* The same for who sends @value: nobody consumes a floating one that is refused. */
gboolean
afrpc_session_check_sender (const AfrpcSession *self,
                            GVariant           *value,
                            const char         *what)
{
  if (G_LIKELY (afrpc_session_check_thread (self, what)))
    return TRUE;

  g_variant_unref (g_variant_ref_sink (value));
  return FALSE;
}

/* In a process that a function has forked, right after that, where little is allowed: nothing is said to the parent,
 * or taken from it, that the worker does not know of. */
void
afrpc_session_stray (AfrpcSession *self)
{
  if (self->state < AFRPC_SESSION_SERVING || self->state == AFRPC_SESSION_OVER)
    return;

  self->is_stray = TRUE;
  self->state = AFRPC_SESSION_OVER;
  afrpc_transport_disconnect (&self->transport);
}

/* Begins a conversation, or another one, over the descriptors, which become the session's. */
void
afrpc_session_connect (AfrpcSession              *self,
                       const AfrpcTransportFuncs *funcs,
                       int                        in_fd,
                       int                        out_fd)
{
  if (self->transport.funcs != NULL)
    afrpc_transport_restart (&self->transport, -1);
  else
    afrpc_transport_init (&self->transport, funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&self->transport, in_fd, out_fd);
  self->transport.reader.size_max = AFRPC_FRAME_PREPARE_SIZE_MAX;
  self->message_size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
}

/* It is a template no longer, or never was, and is known to its program. Its functions may have given it a name meanwhile. */
static void
take_own_name (AfrpcSession *self)
{
  char name[AFRPC_PROCESS_NAME_SIZE] = "";

  prctl (PR_GET_NAME, name, 0, 0, 0);
  if (afrpc_process_name_is_given (name))
    prctl (PR_SET_NAME, self->own_name, 0, 0, 0);
  self->own_name[0] = '\0';
}

/* Writes what can be written now: FALSE if there is more. */
gboolean
afrpc_session_try_flush (AfrpcSession *self)
{
  GError *error = NULL;
  AfrpcStep step;

  if (!afrpc_session_is_heard (self) || afrpc_transport_get_queued (&self->transport) == 0)
    return TRUE;

  step = afrpc_transport_flush (&self->transport, &error);
  /* A parent that is there waits for what cannot be sent, and has to see that it does not come. */
  if (step == AFRPC_STEP_ERROR)
    shutdown (self->transport.out_fd, SHUT_RDWR);
  if (error != NULL)
    afrpc_session_fail (self, error);
  if (step != AFRPC_STEP_AGAIN && step != AFRPC_STEP_DONE)
    afrpc_session_lose_parent (self);
  if (G_UNLIKELY (self->own_name[0] != '\0') && self->job.function != NULL)
    take_own_name (self);

  return step != AFRPC_STEP_AGAIN;
}

/* Writes all that is queued, however long the parent takes. */
void
afrpc_session_flush (AfrpcSession *self)
{
  while (!afrpc_session_try_flush (self))
    afrpc_transport_wait_writable (&self->transport);
}

/* To be called when something has been queued: writes it now or later. */
void
afrpc_session_queued (AfrpcSession *self)
{
  const gsize queued = afrpc_transport_get_queued (&self->transport);

  if (self->job.backend == AFRPC_BACKEND_SYNC || queued >= QUEUED_MAX)
    afrpc_session_flush (self);
  else if (queued >= FLUSH_SIZE)
    afrpc_session_try_flush (self);
}

/* Whether the parent keeps up with what is written. */
gboolean
afrpc_session_has_room (AfrpcSession *self)
{
  return !afrpc_session_is_heard (self) ||
         (afrpc_transport_get_queued (&self->transport) < ROOM_QUEUED_MAX && afrpc_transport_has_room (&self->transport));
}

/* The parent does not read any more: it is dead, or as good as that. What it has sent before counts as given, if its
 * job says so. */
void
afrpc_session_lose_parent (AfrpcSession *self)
{
  switch (self->state)
    {
    case AFRPC_SESSION_GREETING:
      afrpc_session_set_state (self, AFRPC_SESSION_OVER);
      break;

    case AFRPC_SESSION_PREPARING:
      afrpc_session_set_state (self, AFRPC_SESSION_PREPARING_UNHEARD);
      break;

    case AFRPC_SESSION_SERVING:
      if (self->job.orphan_policy != AFRPC_ORPHAN_POLICY_END)
        {
          afrpc_session_set_state (self, AFRPC_SESSION_UNHEARD);
          break;
        }
      G_GNUC_FALLTHROUGH;

    case AFRPC_SESSION_FINISHING:
      afrpc_session_set_state (self, AFRPC_SESSION_ORPHANED);
      break;

    default:
      break;
    }
}

/* The parent, which has said that it makes no more calls, may still cancel those that are not answered. */
void
afrpc_session_finish_closed (AfrpcSession *self)
{
  if (self->was_closed && afrpc_session_is_idle (self))
    afrpc_session_end_input (self);
}

/* Nothing can be understood, or said, any more, for the first reason that there is. */
void
afrpc_session_fail (AfrpcSession *self,
                    GError       *error) /* (transfer full) */
{
  if (self->failure == NULL)
    self->failure = error;
  else
    g_error_free (error);
}

/* Nothing arrives any more. */
void
afrpc_session_end_input (AfrpcSession *self)
{
  if (self->state == AFRPC_SESSION_SERVING)
    afrpc_session_set_state (self, AFRPC_SESSION_FINISHING);
  else if (self->state == AFRPC_SESSION_UNHEARD)
    afrpc_session_set_state (self, AFRPC_SESSION_ORPHANED);
}
