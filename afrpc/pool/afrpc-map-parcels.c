/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-map-parcels.h"

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "link/afrpc-error-domains.h"
#include "pool/afrpc-map-private.h"

/**
 * afrpc_pool_map_parcels: (skip)
 * @self: a pool
 * @funcs: what makes inputs, and takes outcomes
 * @data: data for these; given back when nothing is under way any more
 * @host: (nullable): which host the workers have that take parcels; static
 * @options: (nullable): what each call carries besides
 * @cancellable: (nullable): cancels the map
 *
 * Makes a map of which a binding has the outcomes itself: what [method@Afrpc.Map.next_many_async] brings is an empty
 * array, when there is something to take, or everything is over.
 *
 * For the bindings that belong to afrpc.
 *
 * Returns: (transfer full): the map
 *
 * Since: 1.0
 */
AfrpcMap *
afrpc_pool_map_parcels (AfrpcPool           *self,
                        const AfrpcMapFuncs *funcs,
                        gpointer             data,
                        const char          *host,
                        AfrpcCallOptions    *options,
                        GCancellable        *cancellable)
{
  return afrpc_map_new_parcels (self, funcs, data, host, options, cancellable);
}

/**
 * afrpc_map_release_call: (skip)
 * @call: (transfer full): a call that was sorted
 *
 * Gives back a call.
 *
 * Since: 1.0
 */
void
afrpc_map_release_call (AfrpcCall *call)
{
  afrpc_call_release (call);
}

/**
 * afrpc_map_get_size: (skip)
 * @call: a call that was sorted
 *
 * Gets how large its result is.
 *
 * Returns: the number of bytes
 *
 * Since: 1.0
 */
gsize
afrpc_map_get_size (AfrpcCall *call)
{
  return call->value != NULL ? g_variant_get_size (call->value) : 0;
}

/**
 * afrpc_map_get_parts: (skip)
 * @call: a parcel, which has failed
 * @n_begun: (out): how many of them the worker has begun
 *
 * Gets what the worker has saved of their outcomes.
 *
 * Returns: (transfer none) (nullable): the bytes
 *
 * Since: 1.0
 */
GBytes *
afrpc_map_get_parts (AfrpcCall *call,
                     guint64   *n_begun)
{
  *n_begun = MIN (call->n_parts_begun, call->n_parts);

  return call->saved;
}

/**
 * afrpc_map_unpack_error: (skip)
 * @call: the call that it came with
 * @value: what a worker sends of an error
 *
 * Makes the error that a call would have failed with, had it been made by itself.
 *
 * Returns: (transfer full): the error
 *
 * Since: 1.0
 */
GError *
afrpc_map_unpack_error (AfrpcCall *call,
                        GVariant  *value)
{
  GError *error = afrpc_error_domains_unpack (value);

  if (call->options != NULL && call->options->label != NULL && !g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE))
    g_prefix_error (&error, "%s: ", call->options->label);

  return error;
}
