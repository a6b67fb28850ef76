/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "own-callers.h"

/* Hands on */

struct _Forwarder
{
  GObject parent_instance;

  AfrpcCaller *inner;
  GHashTable *calls; /* of the call that it has begun to that of the inner one, both owned */
};

static void forwarder_caller_init (AfrpcCallerInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (Forwarder, forwarder, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, forwarder_caller_init))

static void
forwarder_finalize (GObject *object)
{
  Forwarder *self = TEST_FORWARDER (object);

  g_assert_cmpuint (g_hash_table_size (self->calls), ==, 0);
  g_hash_table_unref (self->calls);
  g_object_unref (self->inner);
  G_OBJECT_CLASS (forwarder_parent_class)->finalize (object);
}

static void
forwarder_class_init (ForwarderClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = forwarder_finalize;
}

static void
forwarder_init (Forwarder *self)
{
  self->calls = g_hash_table_new_full (NULL, NULL, g_object_unref, g_object_unref);
}

static void
settled_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  AfrpcCall *inner = AFRPC_CALL (source);
  g_autoptr(AfrpcCall) call = data;
  Forwarder *self = TEST_FORWARDER (afrpc_call_get_caller (call));
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (inner, result, &error);

  afrpc_call_set_process (call, afrpc_call_get_process (inner), afrpc_call_get_exit (inner));
  if (value != NULL)
    {
      g_autoptr(GUnixFDList) fds = afrpc_call_steal_fds (inner);

      afrpc_call_return_value (call, value, fds);
    }
  else
    afrpc_call_return_error (call, afrpc_call_get_started (inner), error);
  g_hash_table_remove (self->calls, call);
}

static void
forwarder_begin (AfrpcCaller      *caller,
                 AfrpcCall        *call,
                 GVariant         *args,
                 AfrpcCallOptions *options)
{
  Forwarder *self = TEST_FORWARDER (caller);
  g_autoptr(AfrpcCallOptions) inner_options = afrpc_call_forward_options (call);
  AfrpcCall *inner = afrpc_caller_start (self->inner, args, inner_options);

  g_hash_table_insert (self->calls, g_object_ref (call), inner);
  afrpc_call_wait (inner, NULL, settled_cb, g_object_ref (call));
}

static void
forwarder_cancel (AfrpcCaller *caller,
                  AfrpcCall   *call)
{
  Forwarder *self = TEST_FORWARDER (caller);

  g_assert_true (g_main_context_is_owner (g_main_context_default ()));
  afrpc_call_cancel (g_hash_table_lookup (self->calls, call));
}

static void
forwarder_close (AfrpcCaller *caller)
{
  afrpc_caller_close (TEST_FORWARDER (caller)->inner);
}

static void
forwarder_kill (AfrpcCaller *caller)
{
  afrpc_caller_kill (TEST_FORWARDER (caller)->inner);
}

static void
forwarder_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = forwarder_begin;
  iface->cancel = forwarder_cancel;
  iface->close = forwarder_close;
  iface->kill = forwarder_kill;
}

/* Returns: (transfer full): one that hands on to @inner, whose reference it takes, and tells what that tells */
AfrpcCaller *
forwarder_new (AfrpcProxy *inner)
{
  Forwarder *self = g_object_new (FORWARDER_TYPE, NULL);

  self->inner = AFRPC_CALLER (inner);
  g_signal_connect_object (inner, "event", G_CALLBACK (afrpc_caller_emit_event), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (inner, "error", G_CALLBACK (afrpc_caller_emit_error), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (inner, "destroyed", G_CALLBACK (afrpc_caller_emit_destroyed), self, G_CONNECT_SWAPPED);

  return AFRPC_CALLER (self);
}

/* Does nothing */

static void idler_caller_init (AfrpcCallerInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (Idler, idler, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, idler_caller_init))

static void
idler_finalize (GObject *object)
{
  g_ptr_array_unref (TEST_IDLER (object)->calls);
  G_OBJECT_CLASS (idler_parent_class)->finalize (object);
}

static void
idler_class_init (IdlerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = idler_finalize;
}

static void
idler_init (Idler *self)
{
  self->calls = g_ptr_array_new_with_free_func (g_object_unref);
}

/* Answers a string at once, and otherwise keeps the call. */
static void
idler_begin (AfrpcCaller      *caller,
             AfrpcCall        *call,
             GVariant         *args,
             AfrpcCallOptions *options)
{
  g_assert_false (g_variant_is_floating (args));
  g_assert_true (afrpc_call_get_options (call) == options);
  if (g_variant_is_of_type (args, G_VARIANT_TYPE ("(s)")))
    afrpc_call_return_value (call, args, NULL);
  else
    g_ptr_array_add (TEST_IDLER (caller)->calls, g_object_ref (call));
}

static void
idler_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = idler_begin;
}

/* Answers late */

static void
dawdler_begin (AfrpcCaller      *caller,
               AfrpcCall        *call,
               GVariant         *args,
               AfrpcCallOptions *options)
{
}

static void
dawdler_wait (AfrpcCaller *caller,
              AfrpcCall   *call)
{
  if (++TEST_DAWDLER (caller)->n_waits == 3)
    afrpc_call_return_value (call, g_variant_new_string ("late"), NULL);
}

static void
dawdler_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = dawdler_begin;
  iface->wait = dawdler_wait;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (Dawdler, dawdler, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, dawdler_caller_init))

static void
dawdler_class_init (DawdlerClass *klass)
{
}

static void
dawdler_init (Dawdler *self)
{
}

/* Makes no calls */

struct _Nobody
{
  GObject parent_instance;
};

static void
nobody_caller_init (AfrpcCallerInterface *iface)
{
}

G_DEFINE_FINAL_TYPE_WITH_CODE (Nobody, nobody, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, nobody_caller_init))

static void
nobody_class_init (NobodyClass *klass)
{
}

static void
nobody_init (Nobody *self)
{
}
