/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-call.h"

struct _AfrpcCall
{
  GObject parent_instance;

  GObject *source;              /* the proxy */
  GAsyncReadyCallback callback; /* (nullable) */
  gpointer user_data;
  GCancellable *cancellable;    /* (nullable) */
  GSource *watch;               /* (nullable) (owned): of that */
  AfrpcProgressFunc progress;   /* (nullable) */
  gpointer progress_data;
  GDestroyNotify progress_destroy; /* (nullable) */
  GUnixFDList *fds;             /* (nullable): of the result */
  gboolean settled;
  GVariant *value;              /* (nullable) until finished */
  GError *error;                /* (nullable) until finished */
};

static void afrpc_call_async_result_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcCall, afrpc_call, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT, afrpc_call_async_result_init))

/* Whoever gave the data may drop the last reference to anything with it. */
static void
clear_progress (AfrpcCall *self)
{
  GDestroyNotify destroy = g_steal_pointer (&self->progress_destroy);

  self->progress = NULL;
  if (destroy != NULL)
    destroy (g_steal_pointer (&self->progress_data));
}

/* Cancelling it means nothing any more. */
static void
unwatch (AfrpcCall *self)
{
  if (self->watch != NULL)
    {
      g_source_destroy (self->watch);
      g_clear_pointer (&self->watch, g_source_unref);
    }
}

static void
clear (AfrpcCall *self)
{
  unwatch (self);
  g_clear_object (&self->cancellable);
  g_clear_pointer (&self->value, g_variant_unref);
  g_clear_error (&self->error);
  g_clear_object (&self->fds);
  clear_progress (self);
  g_clear_object (&self->source);
}

static void
afrpc_call_finalize (GObject *object)
{
  clear (AFRPC_CALL (object));

  G_OBJECT_CLASS (afrpc_call_parent_class)->finalize (object);
}

static void
afrpc_call_class_init (AfrpcCallClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_call_finalize;
}

static void
afrpc_call_init (AfrpcCall *self)
{
}

static gpointer
afrpc_call_get_user_data (GAsyncResult *result)
{
  return AFRPC_CALL (result)->user_data;
}

static GObject *
afrpc_call_get_source_object (GAsyncResult *result)
{
  AfrpcCall *self = AFRPC_CALL (result);

  return self->source != NULL ? g_object_ref (self->source) : NULL;
}

static void
afrpc_call_async_result_init (GAsyncResultIface *iface)
{
  iface->get_user_data = afrpc_call_get_user_data;
  iface->get_source_object = afrpc_call_get_source_object;
}

/* @spare: (element-type AfrpcCall): takes one from there */
AfrpcCall *
afrpc_call_new (GPtrArray           *spare,
                gpointer             source,
                GAsyncReadyCallback  callback,
                gpointer             user_data)
{
  AfrpcCall *self;

  if (spare->len > 0)
    self = g_ptr_array_steal_index_fast (spare, spare->len - 1);
  else
    self = g_object_new (AFRPC_TYPE_CALL, NULL);

  self->source = g_object_ref (source);
  self->settled = FALSE;
  self->callback = callback;
  self->user_data = user_data;

  return self;
}

void
afrpc_call_set_progress (AfrpcCall         *self,
                         AfrpcProgressFunc  func,
                         gpointer           data,
                         GDestroyNotify     destroy)
{
  self->progress = func;
  self->progress_data = data;
  self->progress_destroy = destroy;
}

/* Also if its watch has not been dispatched yet. */
static gboolean
is_cancelled (AfrpcCall *self)
{
  return self->cancellable != NULL && g_cancellable_is_cancelled (self->cancellable);
}

/* Calls back, from a dispatch of the proxy's context. */
void
afrpc_call_progress (AfrpcCall *self,
                     GVariant  *value)
{
  g_autoptr(AfrpcCall) held = g_object_ref (self);

  if (self->progress != NULL && !self->settled && !is_cancelled (self))
    self->progress (AFRPC_PROXY (self->source), value, self->progress_data);
}

/* @fds: (transfer full): of the result that comes next */
void
afrpc_call_take_fds (AfrpcCall   *self,
                     GUnixFDList *fds)
{
  self->fds = fds;
}

/* Returns: (transfer full) (nullable) */
GUnixFDList *
afrpc_call_steal_fds (AfrpcCall *self)
{
  return g_steal_pointer (&self->fds);
}

/* @watch: (transfer full): destroyed when the call is settled */
void
afrpc_call_watch (AfrpcCall    *self,
                  GCancellable *cancellable,
                  GSource      *watch)
{
  self->cancellable = g_object_ref (cancellable);
  self->watch = watch;
}

/* Settles the call and calls back, from a dispatch of the proxy's context. */
void
afrpc_call_settle (AfrpcCall *self,  /* (transfer full) */
                   GPtrArray *spare, /* where it may go afterwards */
                   GVariant  *value, /* (transfer full) (nullable) */
                   GError    *error) /* (transfer full) (nullable) */
{
  self->value = value;
  self->error = error;
  self->settled = TRUE;
  unwatch (self);

  if (self->value != NULL && is_cancelled (self))
    {
      g_clear_pointer (&self->value, g_variant_unref);
      g_clear_object (&self->fds);
      self->error = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
    }

  if (self->callback != NULL)
    self->callback (self->source, G_ASYNC_RESULT (self), self->user_data);

  /* Used again only if nobody can tell: no other reference, no weak one, no data, no wrapper of a
   * language binding; all of them but the first are kept in the qdata. */
  if (G_OBJECT (self)->ref_count == 1 && G_OBJECT (self)->qdata == NULL && spare->len < AFRPC_CALL_SPARE_MAX)
    {
      clear (self);
      g_ptr_array_add (spare, self);
    }
  else
    g_object_unref (self);
}

static gboolean
settle_cb (gpointer user_data)
{
  AfrpcCall *self = user_data;

  if (self->callback != NULL)
    self->callback (self->source, G_ASYNC_RESULT (self), self->user_data);

  return G_SOURCE_REMOVE;
}

/* Lets a call fail, but not before the caller has returned. */
void
afrpc_call_settle_later (AfrpcCall *self,  /* (transfer full) */
                         GError    *error) /* (transfer full) */
{
  g_autoptr(GSource) source = g_idle_source_new ();

  self->error = error;
  unwatch (self);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] call failed");
  g_source_set_callback (source, settle_cb, self, g_object_unref);
  g_source_attach (source, g_main_context_get_thread_default ());
}

/* Whether this is the call that was made with @callback and @user_data. */
gboolean
afrpc_call_is (AfrpcCall           *self,
               GAsyncReadyCallback  callback,
               gpointer             user_data)
{
  return self->callback == callback && self->user_data == user_data;
}

/* Gives the result away, once. */
GVariant *
afrpc_call_finish (AfrpcCall  *self,
                   GError    **error)
{
  if (self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      return NULL;
    }

  g_return_val_if_fail (self->value != NULL, NULL);

  return g_steal_pointer (&self->value);
}
