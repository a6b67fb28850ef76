/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-serialiser.h"

#include <string.h>

#include "afrpc-error.h"
#include "afrpc-json-serialiser.h"
#include "afrpc-serialiser-values.h"
#include "os/afrpc-fork-lock.h"
#include "serialise/afrpc-serialiser-private.h"
#include "wire/afrpc-frame.h"
#include "wire/afrpc-value-check.h"

/**
 * AfrpcSerialiser:
 *
 * How values travel between a program and its worker.
 *
 * A value is a [struct@GLib.Variant] on both sides; a serialiser makes bytes of it and, in the other process, a
 * value of those. Without one, values travel as they are, which costs least. afrpc has these, by name:
 *
 * - `variant`: the same as no serialiser
 * - `bytes`: strings and byte strings only, in a format that is simple in every language
 * - `json`: every value, exactly; see [class@Afrpc.JsonSerialiser]
 *
 * A program chooses one for each conversation with [property@Afrpc.Proxy:serialiser]. Only the name goes to the
 * worker, which has to know a serialiser of that name: afrpc's own always, others once the worker has
 * [registered][method@Afrpc.Serialiser.register] them, at the latest in its [init function]
 * [property@Afrpc.Proxy:init]. If it has none, every call fails with %AFRPC_ERROR_SERIALISER before anything
 * runs.
 *
 * Arguments, results, events and reports of progress are serialised; errors are not, nor is what a process is
 * prepared with. A value that cannot be serialised, or bytes that are no value, are an error of that call,
 * and of no other.
 *
 * ## Implementing one
 *
 * It may be written in any language, differently on each side, as long as both mean the same bytes:
 *
 * - [vfunc@Afrpc.Serialiser.dup_name] says its name;
 * - [vfunc@Afrpc.Serialiser.serialise] gets a value that is in normal form and not floating, and returns bytes, or
 *   %NULL with an error;
 * - [vfunc@Afrpc.Serialiser.deserialise] gets bytes from the other side, of which nothing is certain, and returns a
 *   value, floating or not, or %NULL with an error. The value is checked.
 *
 * They are called in the thread of the proxy's main context, while a call is made and just before its result is
 * delivered, and in the worker's main thread; by no other thread, so that languages whose functions may only run
 * on one can implement them. %NULL without an error, which is what an exception in another language may look like,
 * is an error of the call.
 *
 * Since: 1.0
 */

G_DEFINE_INTERFACE (AfrpcSerialiser, afrpc_serialiser, G_TYPE_OBJECT)

static G_DEFINE_QUARK (afrpc-serialiser-name, name)

static AfrpcForkLock registry_lock;
static GHashTable *registry; /* (element-type utf8 AfrpcSerialiser) (nullable) */

/**
 * AfrpcSerialiserInterface::dup_name:
 * @self: the serialiser
 *
 * Gives the name, by which a worker finds its own.
 *
 * It has to be always the same.
 *
 * Returns: (transfer full): 1 to 255 bytes of UTF-8
 *
 * Since: 1.0
 */

static void
afrpc_serialiser_default_init (AfrpcSerialiserInterface *iface)
{
}

/* Returns: (transfer full) (nullable): what afrpc has for everybody under that name */
static AfrpcSerialiser *
make_own (const char *name)
{
  if (strcmp (name, AFRPC_SERIALISER_JSON) == 0)
    return AFRPC_SERIALISER (afrpc_json_serialiser_new (NULL));
  if (strcmp (name, AFRPC_SERIALISER_VARIANT) == 0)
    return g_object_new (AFRPC_TYPE_VARIANT_SERIALISER, NULL);
  if (strcmp (name, AFRPC_SERIALISER_BYTES) == 0)
    return g_object_new (AFRPC_TYPE_BYTES_SERIALISER, NULL);
  return NULL;
}

static AfrpcSerialiser *
lookup_locked (const char *name)
{
  AfrpcSerialiser *found;

  if (registry == NULL)
    registry = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  found = g_hash_table_lookup (registry, name);
  if (found != NULL)
    return g_object_ref (found);

  found = make_own (name);
  if (found != NULL)
    g_hash_table_insert (registry, g_strdup (name), g_object_ref (found));
  return found;
}

/**
 * afrpc_serialiser_register:
 * @self: a serialiser
 * @error: return location for an error
 *
 * Makes a serialiser known by its name in this process, in place of another of that name.
 *
 * A worker calls this in its [init function][property@Afrpc.Proxy:init], or when its module is loaded. A
 * program does not need to, unless it looks serialisers up by name itself.
 *
 * Fails with %AFRPC_ERROR_SERIALISER if it has no name, or that of one of afrpc's own. May be called by any
 * thread.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
afrpc_serialiser_register (AfrpcSerialiser  *self,
                           GError          **error)
{
  g_autoptr(AfrpcSerialiser) previous = NULL;
  const char *name;

  g_return_val_if_fail (AFRPC_IS_SERIALISER (self), FALSE);

  if (!afrpc_serialiser_check_name (self, error))
    return FALSE;

  name = afrpc_serialiser_get_name (self);
  afrpc_fork_lock_lock (&registry_lock);
  previous = lookup_locked (name);
  g_hash_table_insert (registry, g_strdup (name), g_object_ref (self));
  afrpc_fork_lock_unlock (&registry_lock);

  return TRUE;
}

/**
 * afrpc_serialiser_lookup:
 * @name: a name
 *
 * Finds a serialiser that afrpc has, or that was [registered][method@Afrpc.Serialiser.register] in this
 * process.
 *
 * There is none of the name `json-plain` before one was registered: that has to know a type, see
 * [ctor@Afrpc.JsonSerialiser.new].
 *
 * May be called by any thread.
 *
 * Returns: (transfer full) (nullable): the serialiser, or %NULL if there is none
 *
 * Since: 1.0
 */
AfrpcSerialiser *
afrpc_serialiser_lookup (const char *name)
{
  AfrpcSerialiser *found;

  g_return_val_if_fail (name != NULL, NULL);

  afrpc_fork_lock_lock (&registry_lock);
  found = lookup_locked (name);
  afrpc_fork_lock_unlock (&registry_lock);

  return found;
}

/**
 * afrpc_serialiser_get_name:
 * @self: a serialiser
 *
 * Gets the name of the serialiser.
 *
 * Returns: (transfer none) (nullable): the name, or %NULL if it gives none
 *
 * Since: 1.0
 */
const char *
afrpc_serialiser_get_name (AfrpcSerialiser *self)
{
  AfrpcSerialiserInterface *iface;
  char *name;

  g_return_val_if_fail (AFRPC_IS_SERIALISER (self), NULL);

  name = g_object_get_qdata (G_OBJECT (self), name_quark ());
  if (name != NULL)
    return name;

  iface = AFRPC_SERIALISER_GET_IFACE (self);
  name = iface->dup_name != NULL ? iface->dup_name (self) : NULL;
  /* Another thread may have asked at the same time. */
  if (name != NULL && !g_object_replace_qdata (G_OBJECT (self), name_quark (), NULL, name, g_free, NULL))
    g_free (name);

  return g_object_get_qdata (G_OBJECT (self), name_quark ());
}

/* What a serialiser does not say, which is often written in another language. */
static void
ensure_error (AfrpcSerialiser  *self,
              const char       *what,
              GError          **error)
{
  if (error != NULL && *error == NULL)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER, "the serialiser '%s' failed to %s without saying why",
                 afrpc_serialiser_get_name (self), what);
}

static void
set_malformed (GError **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "a malformed value");
}

static gboolean
check_value (GVariant  *value,
             GError   **error)
{
  if (!g_variant_is_normal_form (value))
    {
      set_malformed (error);
      return FALSE;
    }
  if (strlen (g_variant_get_type_string (value)) > AFRPC_FRAME_TYPE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "the type has more than %u characters", AFRPC_FRAME_TYPE_MAX);
      return FALSE;
    }
  return TRUE;
}

/* afrpc's own make what GLib trusts. */
static gboolean
is_own (AfrpcSerialiser *self)
{
  return AFRPC_IS_JSON_SERIALISER (self) || AFRPC_IS_BYTES_SERIALISER (self) || AFRPC_IS_VARIANT_SERIALISER (self);
}

/* What somebody else has made of bytes. GLib is not asked about a container: in 2.74 each child would be looked at
 * again, and all that come before it; nor can anybody tell whether its memory is not going to change.
 * Returns: (transfer full) (nullable): @value (transfer full), which GLib trusts */
static GVariant *
take_value (GVariant  *value,
            GError   **error)
{
  g_autoptr(GVariant) taken = value;
  const char *type = g_variant_get_type_string (taken);
  const gsize size = g_variant_get_size (taken);
  AfrpcLayout layout[AFRPC_LAYOUT_TYPE_MAX];
  g_autoptr(GBytes) bytes = NULL;

  if (!g_variant_is_container (taken) || size == 0 || strlen (type) > AFRPC_LAYOUT_TYPE_MAX)
    return check_value (taken, error) ? g_steal_pointer (&taken) : NULL;

  /* One of fixed size that was made of too many bytes, or too few, has none. */
  if (g_variant_get_data (taken) != NULL)
    bytes = g_bytes_new (g_variant_get_data (taken), size);
  if (bytes == NULL || !afrpc_layout_init (layout, type, strlen (type)) ||
      !afrpc_value_is_normal (layout, g_bytes_get_data (bytes, NULL), size))
    {
      set_malformed (error);
      return NULL;
    }

  return g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (taken), bytes, TRUE));
}

/**
 * afrpc_serialiser_serialise:
 * @self: a serialiser
 * @value: a value; a floating reference is consumed
 * @error: return location for an error
 *
 * Makes bytes of a value.
 *
 * Fails with the serialiser's own errors; %AFRPC_ERROR_SERIALISER if it cannot take such a value, or does not
 * say why it fails; %AFRPC_ERROR_TOO_LARGE if the type string has more than 255 characters;
 * %AFRPC_ERROR_INVALID_DATA if the value is not in normal form.
 *
 * Returns: (transfer full): the bytes
 *
 * Since: 1.0
 */
GBytes *
afrpc_serialiser_serialise (AfrpcSerialiser  *self,
                            GVariant         *value,
                            GError          **error)
{
  g_autoptr(GVariant) sunk = NULL;
  g_autoptr(GError) local_error = NULL;
  g_autoptr(GBytes) bytes = NULL;
  AfrpcSerialiserInterface *iface;

  g_return_val_if_fail (AFRPC_IS_SERIALISER (self), NULL);
  g_return_val_if_fail (value != NULL, NULL);

  sunk = g_variant_ref_sink (value);
  if (!check_value (sunk, error))
    return NULL;

  iface = AFRPC_SERIALISER_GET_IFACE (self);
  if (iface->serialise != NULL)
    bytes = iface->serialise (self, sunk, &local_error);
  if (bytes != NULL && local_error == NULL)
    return g_steal_pointer (&bytes);

  ensure_error (self, "serialise a value", &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return NULL;
}

/**
 * afrpc_serialiser_deserialise:
 * @self: a serialiser
 * @bytes: bytes that need not be trusted
 * @error: return location for an error
 *
 * Makes a value of bytes.
 *
 * Fails with the serialiser's own errors, which are %AFRPC_ERROR_INVALID_DATA and %AFRPC_ERROR_TOO_LARGE for
 * those of afrpc; %AFRPC_ERROR_SERIALISER if it does not say why it fails; and %AFRPC_ERROR_INVALID_DATA or
 * %AFRPC_ERROR_TOO_LARGE if what it gives is not in normal form, or has a type string of more than 255
 * characters.
 *
 * Returns: (transfer full): the value, in normal form
 *
 * Since: 1.0
 */
GVariant *
afrpc_serialiser_deserialise (AfrpcSerialiser  *self,
                              GBytes           *bytes,
                              GError          **error)
{
  g_autoptr(GError) local_error = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcSerialiserInterface *iface;

  g_return_val_if_fail (AFRPC_IS_SERIALISER (self), NULL);
  g_return_val_if_fail (bytes != NULL, NULL);

  iface = AFRPC_SERIALISER_GET_IFACE (self);
  if (iface->deserialise != NULL)
    value = iface->deserialise (self, bytes, &local_error);
  if (value != NULL)
    value = g_variant_take_ref (value);
  if (value != NULL && local_error == NULL)
    {
      if (!is_own (self))
        return take_value (g_steal_pointer (&value), error);
      return check_value (value, error) ? g_steal_pointer (&value) : NULL;
    }

  ensure_error (self, "make a value of bytes", &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return NULL;
}
