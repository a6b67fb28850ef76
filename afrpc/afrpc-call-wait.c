/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-call-wait-private.h"

struct _AfrpcCallWait
{
  GObject parent_instance;

  AfrpcCall *call;              /* (owned) */
  GMainContext *context;        /* (owned): where the callback is called */
  GAsyncReadyCallback callback; /* (nullable) */
  gpointer user_data;
  GSource *cancelled;           /* (nullable) (owned): until it is told */
  GQueue *waits;                /* (nullable): in which it is, and which owns it then */
  GList link;                   /* there */
  GError *error;                /* (nullable): why it has not waited for the outcome */
};

static void afrpc_call_wait_async_result_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcCallWait, afrpc_call_wait, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT, afrpc_call_wait_async_result_init))

static void
stop_watching (AfrpcCallWait *self)
{
  if (self->cancelled != NULL)
    g_source_destroy (self->cancelled);
  g_clear_pointer (&self->cancelled, g_source_unref);
}

static void
afrpc_call_wait_finalize (GObject *object)
{
  AfrpcCallWait *self = AFRPC_CALL_WAIT (object);

  stop_watching (self);
  g_clear_object (&self->call);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_error (&self->error);

  G_OBJECT_CLASS (afrpc_call_wait_parent_class)->finalize (object);
}

static void
afrpc_call_wait_class_init (AfrpcCallWaitClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_call_wait_finalize;
}

static void
afrpc_call_wait_init (AfrpcCallWait *self)
{
}

static gpointer
get_user_data (GAsyncResult *result)
{
  return AFRPC_CALL_WAIT (result)->user_data;
}

static GObject *
get_source_object (GAsyncResult *result)
{
  return G_OBJECT (g_object_ref (AFRPC_CALL_WAIT (result)->call));
}

static gboolean
is_tagged (GAsyncResult *result,
           gpointer      tag)
{
  return tag == afrpc_call_wait;
}

static void
afrpc_call_wait_async_result_init (GAsyncResultIface *iface)
{
  iface->get_user_data = get_user_data;
  iface->get_source_object = get_source_object;
  iface->is_tagged = is_tagged;
}

AfrpcCallWait *
afrpc_call_wait_new (AfrpcCall           *call,
                     GAsyncReadyCallback  callback,
                     gpointer             user_data)
{
  AfrpcCallWait *self = g_object_new (AFRPC_TYPE_CALL_WAIT, NULL);

  self->call = g_object_ref (call);
  self->context = g_main_context_ref_thread_default ();
  self->callback = callback;
  self->user_data = user_data;

  return self;
}

AfrpcCall *
afrpc_call_wait_get_call (AfrpcCallWait *self)
{
  return self->call;
}

static gboolean
cancelled_cb (GCancellable *cancellable,
              gpointer      user_data)
{
  g_autoptr(AfrpcCallWait) self = user_data; /* the queue's */

  g_queue_unlink (g_steal_pointer (&self->waits), &self->link);
  stop_watching (self);
  g_cancellable_set_error_if_cancelled (cancellable, &self->error);
  afrpc_call_wait_tell (self, TRUE);

  return G_SOURCE_REMOVE;
}

/* It is one of those that wait, the last of them, until it is popped, or @cancellable is cancelled.
 * @self: (transfer full); @waits: (element-type AfrpcCallWait) (owned) */
void
afrpc_call_wait_push (AfrpcCallWait *self,
                      GQueue        *waits,
                      GCancellable  *cancellable) /* (nullable) */
{
  self->waits = waits;
  self->link.data = self;
  g_queue_push_tail_link (waits, &self->link);
  if (cancellable == NULL)
    return;

  self->cancelled = g_cancellable_source_new (cancellable);
  g_source_set_static_name (self->cancelled, "[afrpc] wait cancelled");
  g_source_set_callback (self->cancelled, G_SOURCE_FUNC (cancelled_cb), self, NULL);
  g_source_attach (self->cancelled, self->context);
}

/* Returns: (transfer full) (nullable): the first of them, which is to be told now */
AfrpcCallWait *
afrpc_call_wait_pop (GQueue *waits)
{
  GList *link = g_queue_pop_head_link (waits);
  AfrpcCallWait *self = link != NULL ? link->data : NULL;

  if (self != NULL)
    self->waits = NULL;

  return self;
}

/* FALSE, with an error: it has not waited for the outcome. */
gboolean
afrpc_call_wait_check (AfrpcCallWait  *self,
                       GError        **error)
{
  if (self->error == NULL)
    return TRUE;

  g_propagate_error (error, g_error_copy (self->error));
  return FALSE;
}

static gboolean
tell_cb (gpointer user_data)
{
  AfrpcCallWait *self = user_data;

  g_main_context_push_thread_default (self->context);
  if (self->callback != NULL)
    self->callback (G_OBJECT (self->call), G_ASYNC_RESULT (self), self->user_data);
  g_main_context_pop_thread_default (self->context);

  return G_SOURCE_REMOVE;
}

/* Calls back, once: in place if this is a dispatch of the right context, or else later. */
void
afrpc_call_wait_tell (AfrpcCallWait *self,
                      gboolean       is_in_place)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  g_autoptr(GSource) source = NULL;

  stop_watching (self);
  if (is_in_place && context == self->context)
    {
      tell_cb (self);
      return;
    }

  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] call settled");
  g_source_set_callback (source, tell_cb, g_object_ref (self), g_object_unref);
  g_source_attach (source, self->context);
}

/* Has not waited at all; @error: (transfer full). Calls back later. */
void
afrpc_call_wait_fail (AfrpcCallWait *self,
                      GError        *error)
{
  self->error = error;
  afrpc_call_wait_tell (self, FALSE);
}
