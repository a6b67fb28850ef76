/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-invocation.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-host.h"
#include "afrpc-worker-private.h"
#include "serve/afrpc-functions.h"
#include "serve/afrpc-session-send.h"

/* A worker whose functions have kept so many invocations is one that does, and does not try to use them again. */
#define KEPT_MAX 16u

/**
 * AfrpcInvocation:
 *
 * One call, in an async worker: to be answered once, now or later.
 *
 * The function gets it without owning it; it keeps a reference until it answers. Answering does not
 * drop that. If the last reference goes without an answer, the call fails with %AFRPC_ERROR_NO_RESULT.
 *
 * Who attaches data to it takes a reference first: an object that nobody else has had a reference to may be used again
 * for a later call.
 *
 * It may be used by the thread that the function is called in, and by no other: another one that answers it does
 * nothing but log a critical warning. The last reference may be dropped by any thread.
 *
 * Since: 1.0
 */
struct _AfrpcInvocation
{
  GObject parent_instance;

  AfrpcWorker *worker;
  AfrpcSession *session; /* the worker's */
  AfrpcServedCall call;  /* empty once it was answered */
  GVariant *args;
  GVariant *metadata;    /* (nullable): kept after the answer, as the arguments are */
  gboolean answered;
  gboolean is_kept;      /* somebody else has, or had, a reference */
};

enum
{
  SIGNAL_CANCELLED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (AfrpcInvocation, afrpc_invocation, G_TYPE_OBJECT)

static void
answer (AfrpcInvocation *self,
        GVariant        *value, /* (nullable) (transfer full) */
        const GError    *error)
{
  self->answered = TRUE;
  afrpc_session_answer (self->session, &self->call, value, error);
}

static gboolean
drop_cb (gpointer data)
{
  return G_SOURCE_REMOVE;
}

/* What nobody answers any more is answered by the thread that may. */
static void
afrpc_invocation_dispose (GObject *object)
{
  AfrpcInvocation *self = AFRPC_INVOCATION (object);

  if (!self->answered && !afrpc_session_is_mine (self->session))
    {
      g_idle_add_full (G_PRIORITY_DEFAULT, drop_cb, g_object_ref (self), g_object_unref);
      return;
    }

  G_OBJECT_CLASS (afrpc_invocation_parent_class)->dispose (object);
}

static void
afrpc_invocation_finalize (GObject *object)
{
  AfrpcInvocation *self = AFRPC_INVOCATION (object);

  if (self->worker != NULL && !self->answered)
    {
      g_autofree char *name = afrpc_functions_describe (self->session, self->call.function);
      g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_NO_RESULT,
                                             "%s dropped the call without an answer", name);

      answer (self, NULL, error);
    }

  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_pointer (&self->metadata, g_variant_unref);
  g_clear_object (&self->worker);

  G_OBJECT_CLASS (afrpc_invocation_parent_class)->finalize (object);
}

static void
afrpc_invocation_class_init (AfrpcInvocationClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = afrpc_invocation_dispose;
  G_OBJECT_CLASS (klass)->finalize = afrpc_invocation_finalize;

  /**
   * AfrpcInvocation::cancelled:
   * @self: the invocation
   *
   * The call has been cancelled, or its time limit has passed: nobody waits for its result any more. It still has to
   * be answered.
   *
   * Emitted once at most, in the main loop, for a call that was not answered yet. It may have been cancelled before a
   * handler is connected: see [method@Afrpc.Invocation.is_cancelled].
   *
   * Since: 1.0
   */
  signals[SIGNAL_CANCELLED] = g_signal_new ("cancelled", AFRPC_TYPE_INVOCATION, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                            G_TYPE_NONE, 0);
}

static void
afrpc_invocation_init (AfrpcInvocation *self)
{
  self->answered = TRUE;
}

/* To make and free the object would cost half of what the rest of a call does that is answered at once. So it is used
 * again, if nobody else has ever had a reference to it: who attaches anything to it takes one. */
static void
toggled_cb (gpointer  data,
            GObject  *object,
            gboolean  is_last_ref)
{
  if (!is_last_ref)
    AFRPC_INVOCATION (object)->is_kept = TRUE;
}

static AfrpcInvocation *
new_lent (void)
{
  AfrpcInvocation *self = g_object_new (AFRPC_TYPE_INVOCATION, NULL);

  g_object_add_toggle_ref (G_OBJECT (self), toggled_cb, NULL);
  g_object_unref (self);

  return self;
}

void
afrpc_invocation_discard (AfrpcInvocation *spare) /* (transfer full) */
{
  g_object_remove_toggle_ref (G_OBJECT (spare), toggled_cb, NULL);
}

static void
take_back (AfrpcServing    *serving,
           AfrpcInvocation *self)
{
  if (self->is_kept)
    serving->n_kept++;

  if (self->is_kept || !self->answered || serving->spare != NULL)
    {
      afrpc_invocation_discard (self);
      return;
    }

  g_signal_handlers_destroy (self);
  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_pointer (&self->metadata, g_variant_unref);
  serving->spare = self;
}

static void
begin (AfrpcInvocation *self,
       AfrpcServing    *serving,
       AfrpcServedCall *call, /* (transfer full): its contents */
       GVariant        *args)
{
  if (self->worker == NULL)
    {
      self->worker = g_object_ref (serving->worker);
      self->session = afrpc_worker_get_session (serving->worker);
    }
  self->call = *call;
  *call = (AfrpcServedCall) { 0 };
  self->call.owner = self;
  self->args = g_variant_ref (args);
  self->metadata = g_steal_pointer (&self->call.metadata);
  self->answered = FALSE;
  afrpc_session_add_call (self->session, &self->call);
}

/* Has a function called. */
void
afrpc_invocation_invoke (AfrpcServing    *serving,
                         guint            function,
                         AfrpcServedCall *call, /* (transfer full): its contents */
                         GVariant        *args)
{
  AfrpcInvocation *self = g_steal_pointer (&serving->spare);
  const gboolean is_lent = self != NULL || serving->n_kept < KEPT_MAX;

  if (self == NULL)
    self = is_lent ? new_lent () : g_object_new (AFRPC_TYPE_INVOCATION, NULL);
  begin (self, serving, call, args);

  serving->host_class->invoke (serving->host, function, self);

  if (is_lent)
    take_back (serving, self);
  else
    g_object_unref (self);
}

/* Tells of what has been cancelled. */
void
afrpc_invocation_cancelled (AfrpcServing    *serving,
                            AfrpcServedCall *call)
{
  g_autoptr(AfrpcInvocation) self = g_object_ref (call->owner);

  g_signal_emit (self, signals[SIGNAL_CANCELLED], 0);
  if (serving->host_class->cancelled != NULL)
    serving->host_class->cancelled (serving->host, self);
}

/**
 * afrpc_invocation_get_worker:
 * @self: an invocation
 *
 * Gets the worker, to send events and to get at the arguments that the process was prepared with.
 *
 * Returns: (transfer none): the worker
 *
 * Since: 1.0
 */
AfrpcWorker *
afrpc_invocation_get_worker (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), NULL);

  return self->worker;
}

/**
 * afrpc_invocation_get_args:
 * @self: an invocation
 *
 * Gets the arguments of the call.
 *
 * Returns: (transfer none): the arguments
 *
 * Since: 1.0
 */
GVariant *
afrpc_invocation_get_args (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), NULL);

  return self->args;
}

/**
 * afrpc_invocation_get_metadata:
 * @self: an invocation
 *
 * Gets what came with the call besides its arguments: what the caller has set as
 * [property@Afrpc.CallOptions:metadata], such as trace ids.
 *
 * Returns: (transfer none) (nullable): an `a{sv}`, or %NULL if there is none
 *
 * Since: 1.0
 */
GVariant *
afrpc_invocation_get_metadata (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), NULL);

  return self->metadata;
}

/**
 * afrpc_invocation_get_n_fds:
 * @self: an invocation
 *
 * Gets how many file descriptors came with the call.
 *
 * Returns: how many were in [property@Afrpc.CallOptions:fds]; 0 once it was answered
 *
 * Since: 1.0
 */
guint
afrpc_invocation_get_n_fds (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), 0);

  return afrpc_served_call_get_n_fds (&self->call);
}

/**
 * afrpc_invocation_steal_fd:
 * @self: an invocation
 * @handle: a handle (type `h`) of the call's arguments
 *
 * Takes a file descriptor that came with the call. It is close-on-exec.
 *
 * Those that are not taken are closed when the call is answered.
 *
 * Returns: the file descriptor, which becomes the caller's, or -1 if there is none, or none any more
 *
 * Since: 1.0
 */
int
afrpc_invocation_steal_fd (AfrpcInvocation *self,
                           guint            handle)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), -1);

  return afrpc_served_call_steal_fd (&self->call, handle);
}

/**
 * afrpc_invocation_append_fd:
 * @self: an invocation that was not answered yet
 * @fd: a file descriptor, which stays the caller's
 * @error: return location for an error
 *
 * Adds a copy of a file descriptor to the result.
 *
 * Fails with %AFRPC_ERROR_NOT_SUPPORTED over a command; with %AFRPC_ERROR_TOO_LARGE if there are 253 already;
 * with %AFRPC_ERROR_FAILED if it cannot be copied.
 *
 * Returns: the handle (type `h`) to use in the result, or -1 with @error set
 *
 * Since: 1.0
 */
int
afrpc_invocation_append_fd (AfrpcInvocation  *self,
                            int               fd,
                            GError          **error)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), -1);
  g_return_val_if_fail (fd >= 0, -1);
  g_return_val_if_fail (!self->answered, -1);

  return afrpc_session_append_fd (self->session, &self->call, fd, error);
}

/**
 * afrpc_invocation_progress:
 * @self: an invocation that was not answered yet
 * @progress: a value; a floating reference is consumed
 *
 * Tells how far the call has come.
 *
 * It reaches the caller before the result, in order, if the call was made with options that
 * [ask for it][method@Afrpc.CallOptions.set_progress]; otherwise this does nothing.
 *
 * If the parent is slow to read, it is queued, and a long queue is waited for; or, if the caller asked for
 * %AFRPC_PROGRESS_LATEST, what was not sent yet of this call is forgotten.
 *
 * Since: 1.0
 */
void
afrpc_invocation_progress (AfrpcInvocation *self,
                           GVariant        *progress)
{
  g_return_if_fail (AFRPC_IS_INVOCATION (self));
  g_return_if_fail (progress != NULL);
  g_return_if_fail (!self->answered);

  if (!afrpc_session_check_sender (self->session, progress, G_STRFUNC))
    return;

  afrpc_session_send_progress (self->session, &self->call, progress);
}

/**
 * afrpc_invocation_return_value:
 * @self: an invocation that was not answered yet
 * @value: the result; a floating reference is consumed
 *
 * Answers the call with a result.
 *
 * One that is over the proxy's [property@Afrpc.Proxy:max-message-size] makes the call fail with
 * %AFRPC_ERROR_TOO_LARGE.
 *
 * Since: 1.0
 */
void
afrpc_invocation_return_value (AfrpcInvocation *self,
                               GVariant        *value)
{
  g_return_if_fail (AFRPC_IS_INVOCATION (self));
  g_return_if_fail (value != NULL);
  g_return_if_fail (!self->answered);

  if (afrpc_session_check_sender (self->session, value, G_STRFUNC))
    answer (self, afrpc_value_ref_sink (value), NULL);
}

/**
 * afrpc_invocation_return_error:
 * @self: an invocation that was not answered yet
 * @error: the error, which stays the caller's
 *
 * Answers the call with an error.
 *
 * It keeps its domain and code if the parent knows the domain; see
 * [func@Afrpc.Error.register_domain].
 *
 * Since: 1.0
 */
void
afrpc_invocation_return_error (AfrpcInvocation *self,
                               const GError    *error)
{
  g_return_if_fail (AFRPC_IS_INVOCATION (self));
  g_return_if_fail (error != NULL);
  g_return_if_fail (!self->answered);

  if (afrpc_session_check_thread (self->session, G_STRFUNC))
    answer (self, NULL, error);
}

/**
 * afrpc_invocation_return_error_literal:
 * @self: an invocation that was not answered yet
 * @domain: the error's domain
 * @code: the error's code
 * @message: the error's message
 *
 * Answers the call with an error that is made from its parts.
 *
 * Since: 1.0
 */
void
afrpc_invocation_return_error_literal (AfrpcInvocation *self,
                                       GQuark           domain,
                                       int              code,
                                       const char      *message)
{
  g_autoptr(GError) error = NULL;

  g_return_if_fail (AFRPC_IS_INVOCATION (self));
  g_return_if_fail (domain != 0);
  g_return_if_fail (message != NULL);
  g_return_if_fail (!self->answered);

  error = g_error_new_literal (domain, code, message);
  afrpc_invocation_return_error (self, error);
}

/**
 * afrpc_invocation_is_cancelled:
 * @self: an invocation
 *
 * Whether the call has been cancelled, or its time limit has passed: nobody waits for its result any
 * more. It still has to be answered.
 *
 * Returns: %TRUE if the function may stop
 *
 * Since: 1.0
 */
gboolean
afrpc_invocation_is_cancelled (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), FALSE);

  return self->call.is_cancelled ||
         (!self->answered && afrpc_session_shows_cancelled (self->session, &self->call));
}
