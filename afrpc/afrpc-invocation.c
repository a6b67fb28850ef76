/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-invocation.h"

#include <dlfcn.h>
#include <string.h>

#include "afrpc-error.h"
#include "serve/afrpc-worker-private.h"

#define SPARE_MAX 64u /* invocations that wait to be used again */
#define GIO_LIBRARY "libgio-2.0.so.0"

/**
 * AfrpcInvocation:
 *
 * One call, in an async worker: to be answered once, now or later.
 *
 * The function gets it without owning it; it keeps a reference until it answers. Answering does not
 * drop that. If the last reference goes without an answer, the call fails with %AFRPC_ERROR_NO_RESULT.
 *
 * It may be used by the thread that the function is called in, and by no other.
 *
 * Since: 1.0
 */
struct _AfrpcInvocation
{
  GObject parent_instance;

  AfrpcWorker *worker;
  AfrpcServedCall call;      /* empty once it was answered */
  GVariant *args;
  gboolean answered;
  gboolean cancelled;
  GCancellable *cancellable; /* (nullable): made when asked for */
};

G_DEFINE_FINAL_TYPE (AfrpcInvocation, afrpc_invocation, G_TYPE_OBJECT)

/* GIO is looked up when the first cancellable is wanted: whoever wants one has loaded it, and nobody
 * else shall pay for it. A program that is its own worker is linked with it, perhaps statically. */
typedef struct
{
  GCancellable *(*create) (void);
  void (*cancel) (GCancellable *cancellable);
} CancellableFuncs;

extern GCancellable *g_cancellable_new    (void) __attribute__ ((weak));
extern void          g_cancellable_cancel (GCancellable *cancellable) __attribute__ ((weak));

static const CancellableFuncs *
get_cancellable_funcs (void)
{
  static CancellableFuncs funcs;
  static gsize looked_up;

  if (g_once_init_enter (&looked_up))
    {
      void *gio = NULL;

      funcs.create = g_cancellable_new;
      funcs.cancel = g_cancellable_cancel;
      if (funcs.create == NULL || funcs.cancel == NULL)
        {
          gio = dlopen (GIO_LIBRARY, RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE);
          if (gio == NULL || (funcs.create = dlsym (gio, "g_cancellable_new")) == NULL ||
              (funcs.cancel = dlsym (gio, "g_cancellable_cancel")) == NULL)
            g_error ("%s", dlerror ());
        }
      g_once_init_leave (&looked_up, 1);
    }

  return &funcs;
}

static void
answer (AfrpcInvocation *self,
        GVariant        *value,
        const GError    *error)
{
  self->answered = TRUE;
  self->worker->invocations->pdata[afrpc_serial_slot (self->call.serial)] = NULL;
  self->worker->n_outstanding--;
  afrpc_worker_answer (self->worker, &self->call, value, error);
}

static void
afrpc_invocation_finalize (GObject *object)
{
  AfrpcInvocation *self = AFRPC_INVOCATION (object);

  if (self->worker != NULL && !self->answered)
    {
      g_autoptr(GError) error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_NO_RESULT,
                                             "the function dropped the call without an answer");

      answer (self, NULL, error);
    }

  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_object (&self->cancellable);
  g_clear_object (&self->worker);

  G_OBJECT_CLASS (afrpc_invocation_parent_class)->finalize (object);
}

static void
afrpc_invocation_class_init (AfrpcInvocationClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_invocation_finalize;
}

static void
afrpc_invocation_init (AfrpcInvocation *self)
{
}

AfrpcInvocation *
afrpc_invocation_new (AfrpcWorker     *worker,
                      AfrpcServedCall *call, /* (transfer full): its contents */
                      GVariant        *args)
{
  const guint32 slot = afrpc_serial_slot (call->serial);
  AfrpcInvocation *self;

  if (worker->spare_invocations->len > 0)
    self = g_ptr_array_steal_index_fast (worker->spare_invocations, worker->spare_invocations->len - 1);
  else
    self = g_object_new (AFRPC_TYPE_INVOCATION, NULL);

  self->worker = g_object_ref (worker);
  self->call = *call;
  memset (call, 0, sizeof *call);
  self->args = g_variant_ref (args);
  self->answered = self->cancelled = FALSE;

  if (slot >= worker->invocations->len)
    g_ptr_array_set_size (worker->invocations, MAX (64, 2 * slot));
  worker->invocations->pdata[slot] = self;
  worker->n_outstanding++;

  return self;
}

/* Drops the loop's reference; the object is used again if nobody can tell: if there is no other
 * reference, and no weak one, data or wrapper, which are kept in the qdata. */
void
afrpc_invocation_release (AfrpcInvocation *self)
{
  GPtrArray *spare = self->worker->spare_invocations;

  if (self->answered && G_OBJECT (self)->ref_count == 1 && G_OBJECT (self)->qdata == NULL &&
      self->cancellable == NULL && spare->len < SPARE_MAX)
    {
      g_clear_pointer (&self->args, g_variant_unref);
      g_clear_object (&self->worker);
      g_ptr_array_add (spare, self);
    }
  else
    g_object_unref (self);
}

/* @serial: of the call to cancel; a parent that counts wrongly gets nothing done */
void
afrpc_invocation_cancel (AfrpcInvocation *self,
                         guint64          serial)
{
  g_autoptr(AfrpcInvocation) kept = NULL;

  if (self->call.serial != serial)
    return;

  kept = g_object_ref (self);
  self->cancelled = TRUE;
  if (self->cancellable != NULL)
    get_cancellable_funcs ()->cancel (self->cancellable);
  afrpc_host_cancelled (self->worker->host, self);
}

void
afrpc_invocation_send_latest (AfrpcInvocation *self)
{
  afrpc_served_call_send_latest (&self->call, self->worker);
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
 * afrpc_invocation_get_n_fds:
 * @self: an invocation
 *
 * Gets how many file descriptors came with the call.
 *
 * Returns: how many were in the list of [method@Afrpc.Proxy.call_with_fds]; 0 once it was answered
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

  return afrpc_served_call_append_fd (&self->call, self->worker, fd, error);
}

/**
 * afrpc_invocation_progress:
 * @self: an invocation that was not answered yet
 * @progress: a value; a floating reference is consumed
 *
 * Tells how far the call has come.
 *
 * It reaches the caller before the result, in order, if the call was made with
 * [method@Afrpc.Proxy.call_with_progress]; otherwise this does nothing.
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

  afrpc_served_call_progress (&self->call, self->worker, progress);
  if (self->call.latest != NULL)
    self->worker->has_latest = TRUE;
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

  answer (self, g_variant_ref_sink (value), NULL);
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
  answer (self, NULL, error);
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

  return self->cancelled || (!self->answered && afrpc_page_is_cancelled (self->worker->page, self->call.serial));
}

/**
 * afrpc_invocation_get_cancellable:
 * @self: an invocation
 *
 * Gets a cancellable that is cancelled when the call is: to be given to whatever the function waits
 * for.
 *
 * Loads GIO, if the worker's module has not.
 *
 * Returns: (transfer none): the cancellable
 *
 * Since: 1.0
 */
GCancellable *
afrpc_invocation_get_cancellable (AfrpcInvocation *self)
{
  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), NULL);

  if (self->cancellable == NULL)
    {
      self->cancellable = get_cancellable_funcs ()->create ();
      if (afrpc_invocation_is_cancelled (self))
        get_cancellable_funcs ()->cancel (self->cancellable);
    }

  return self->cancellable;
}
