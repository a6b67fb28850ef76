/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The part of invocations that is made with GIO, which a worker without it does not load. */
#include "config.h"

#include "afrpc-invocation.h"

static void
cancelled_cb (AfrpcInvocation *self,
              GCancellable    *cancellable)
{
  g_cancellable_cancel (cancellable);
}

/**
 * afrpc_invocation_get_cancellable:
 * @self: an invocation
 *
 * Gets a cancellable that is cancelled when the call is: to be given to whatever the function waits
 * for.
 *
 * A module in C that calls this is linked with `afrpc-1.0`, and GIO, where others need `afrpc-worker-1.0` only; they
 * have [signal@Afrpc.Invocation::cancelled].
 *
 * Returns: (transfer none): the cancellable, which is the invocation's
 *
 * Since: 1.0
 */
GCancellable *
afrpc_invocation_get_cancellable (AfrpcInvocation *self)
{
  static GQuark quark;
  GCancellable *cancellable;

  g_return_val_if_fail (AFRPC_IS_INVOCATION (self), NULL);

  if (quark == 0)
    quark = g_quark_from_static_string ("afrpc-invocation-cancellable");
  cancellable = g_object_get_qdata (G_OBJECT (self), quark);
  if (cancellable != NULL)
    return cancellable;

  cancellable = g_cancellable_new ();
  /* Who attaches something to an invocation has a reference to it. */
  g_object_ref (self);
  g_object_set_qdata_full (G_OBJECT (self), quark, cancellable, g_object_unref);
  g_signal_connect (self, "cancelled", G_CALLBACK (cancelled_cb), cancellable);
  g_object_unref (self);
  if (afrpc_invocation_is_cancelled (self))
    g_cancellable_cancel (cancellable);

  return cancellable;
}
