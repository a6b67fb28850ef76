/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What calls of a proxy are limited to. */
#include "config.h"

#include "afrpc-proxy-private.h"

void
afrpc_proxy_update_limits (AfrpcProxy *self)
{
  if (self->peer != NULL)
    afrpc_peer_set_limits (self->peer, self->max_calls_queued, self->max_bytes_queued, self->max_message_size);
}

/* Whether this thread may change it. What is being made is nobody else's yet. */
static gboolean
check_thread (AfrpcProxy *self,
              const char *what)
{
  return self->peer == NULL || afrpc_peer_check_thread (self->peer, what);
}

/**
 * afrpc_proxy_get_call_timeout_ms: (attributes org.gtk.Method.get_property=call-timeout-ms)
 * @self: a proxy
 *
 * Gets the time limit of calls that do not name their own.
 *
 * Returns: milliseconds, or 0 for none
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_call_timeout_ms (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->call_timeout_ms;
}

/**
 * afrpc_proxy_set_call_timeout_ms: (attributes org.gtk.Method.set_property=call-timeout-ms)
 * @self: a proxy
 * @timeout_ms: milliseconds, or 0 for none
 *
 * Sets the time limit of calls that are made from now on.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_call_timeout_ms (AfrpcProxy *self,
                                 guint       timeout_ms)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (!check_thread (self, G_STRFUNC) || self->call_timeout_ms == timeout_ms)
    return;

  self->call_timeout_ms = timeout_ms;
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_proxy_props[AFRPC_PROXY_PROP_CALL_TIMEOUT_MS]);
}

/**
 * afrpc_proxy_get_max_calls_queued: (attributes org.gtk.Method.get_property=max-calls-queued)
 * @self: a proxy
 *
 * Gets how many calls may wait for their result.
 *
 * Returns: the limit
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_max_calls_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_calls_queued;
}

/**
 * afrpc_proxy_set_max_calls_queued: (attributes org.gtk.Method.set_property=max-calls-queued)
 * @self: a proxy
 * @max_calls: the limit, at least 1
 *
 * Sets how many calls may wait for their result.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_max_calls_queued (AfrpcProxy *self,
                                  guint       max_calls)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));
  g_return_if_fail (max_calls > 0);

  if (!check_thread (self, G_STRFUNC) || self->max_calls_queued == max_calls)
    return;

  self->max_calls_queued = max_calls;
  afrpc_proxy_update_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_proxy_props[AFRPC_PROXY_PROP_MAX_CALLS_QUEUED]);
}

/**
 * afrpc_proxy_get_max_bytes_queued: (attributes org.gtk.Method.get_property=max-bytes-queued)
 * @self: a proxy
 *
 * Gets how many bytes of arguments may wait to be written.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_proxy_get_max_bytes_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_bytes_queued;
}

/**
 * afrpc_proxy_set_max_bytes_queued: (attributes org.gtk.Method.set_property=max-bytes-queued)
 * @self: a proxy
 * @max_bytes: bytes
 *
 * Sets how many bytes of arguments may wait to be written.
 *
 * Since: 1.0
 */
void
afrpc_proxy_set_max_bytes_queued (AfrpcProxy *self,
                                  guint64     max_bytes)
{
  g_return_if_fail (AFRPC_IS_PROXY (self));

  if (!check_thread (self, G_STRFUNC) || self->max_bytes_queued == max_bytes)
    return;

  self->max_bytes_queued = max_bytes;
  afrpc_proxy_update_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), afrpc_proxy_props[AFRPC_PROXY_PROP_MAX_BYTES_QUEUED]);
}

/**
 * afrpc_proxy_get_max_message_size: (attributes org.gtk.Method.get_property=max-message-size)
 * @self: a proxy
 *
 * Gets how many bytes the arguments of a call, a result or an event may have.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
afrpc_proxy_get_max_message_size (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return self->max_message_size;
}

/**
 * afrpc_proxy_get_n_calls_queued:
 * @self: a proxy
 *
 * Gets how many calls the worker has not answered yet.
 *
 * A call that was cancelled counts until the worker has taken notice of it.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
afrpc_proxy_get_n_calls_queued (AfrpcProxy *self)
{
  g_return_val_if_fail (AFRPC_IS_PROXY (self), 0);

  return afrpc_peer_get_n_owed (self->peer);
}
