/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-call-options.h"

#include "afrpc-call-options-private.h"
#include "afrpc-enum-types.h"

/**
 * AfrpcCallOptions:
 *
 * What one call can carry besides its arguments.
 *
 * Every option combines with every other. One that a caller has no use for does nothing. The same options may be given
 * to any number of calls; from the first on they are frozen: setting one is a programmer's error.
 *
 * ## Main context and threads
 *
 * Options may be made on any thread; once they are frozen any thread may use them.
 *
 * Since: 1.0
 */

enum
{
  PROP_TIMEOUT_MS = 1,
  PROP_EXECUTION_TIMEOUT_MS,
  PROP_FDS,
  PROP_FUNCTION,
  PROP_IDEMPOTENT,
  PROP_PRIORITY,
  PROP_AFFINITY,
  PROP_WAIT_FOR_ROOM,
  PROP_LABEL,
  PROP_METADATA,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (AfrpcCallOptions, afrpc_call_options, G_TYPE_OBJECT)

static void
afrpc_call_options_finalize (GObject *object)
{
  AfrpcCallOptions *self = AFRPC_CALL_OPTIONS (object);

  g_clear_object (&self->fds);
  g_clear_pointer (&self->metadata, g_variant_unref);
  g_free (self->function);
  g_free (self->affinity);
  g_free (self->label);
  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);

  G_OBJECT_CLASS (afrpc_call_options_parent_class)->finalize (object);
}

static void
afrpc_call_options_get_property (GObject    *object,
                                 guint       prop_id,
                                 GValue     *value,
                                 GParamSpec *pspec)
{
  AfrpcCallOptions *self = AFRPC_CALL_OPTIONS (object);

  switch (prop_id)
    {
    case PROP_TIMEOUT_MS:
      g_value_set_int (value, self->timeout_ms);
      break;

    case PROP_EXECUTION_TIMEOUT_MS:
      g_value_set_uint (value, self->execution_timeout_ms);
      break;

    case PROP_FDS:
      g_value_set_object (value, self->fds);
      break;

    case PROP_FUNCTION:
      g_value_set_string (value, self->function);
      break;

    case PROP_IDEMPOTENT:
      g_value_set_boolean (value, self->idempotent);
      break;

    case PROP_PRIORITY:
      g_value_set_int (value, self->priority);
      break;

    case PROP_AFFINITY:
      g_value_set_string (value, self->affinity);
      break;

    case PROP_WAIT_FOR_ROOM:
      g_value_set_boolean (value, self->wait_for_room);
      break;

    case PROP_LABEL:
      g_value_set_string (value, self->label);
      break;

    case PROP_METADATA:
      g_value_set_variant (value, self->metadata);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_call_options_set_property (GObject      *object,
                                 guint         prop_id,
                                 const GValue *value,
                                 GParamSpec   *pspec)
{
  AfrpcCallOptions *self = AFRPC_CALL_OPTIONS (object);

  switch (prop_id)
    {
    case PROP_TIMEOUT_MS:
      afrpc_call_options_set_timeout_ms (self, g_value_get_int (value));
      break;

    case PROP_EXECUTION_TIMEOUT_MS:
      afrpc_call_options_set_execution_timeout_ms (self, g_value_get_uint (value));
      break;

    case PROP_FDS:
      afrpc_call_options_set_fds (self, g_value_get_object (value));
      break;

    case PROP_FUNCTION:
      afrpc_call_options_set_function (self, g_value_get_string (value));
      break;

    case PROP_IDEMPOTENT:
      afrpc_call_options_set_idempotent (self, g_value_get_boolean (value));
      break;

    case PROP_PRIORITY:
      afrpc_call_options_set_priority (self, g_value_get_int (value));
      break;

    case PROP_AFFINITY:
      afrpc_call_options_set_affinity (self, g_value_get_string (value));
      break;

    case PROP_WAIT_FOR_ROOM:
      afrpc_call_options_set_wait_for_room (self, g_value_get_boolean (value));
      break;

    case PROP_LABEL:
      afrpc_call_options_set_label (self, g_value_get_string (value));
      break;

    case PROP_METADATA:
      afrpc_call_options_set_metadata (self, g_value_get_variant (value));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
    }
}

static void
afrpc_call_options_class_init (AfrpcCallOptionsClass *klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = afrpc_call_options_finalize;
  object_class->get_property = afrpc_call_options_get_property;
  object_class->set_property = afrpc_call_options_set_property;

  /**
   * AfrpcCallOptions:timeout-ms: (attributes org.gtk.Property.get=afrpc_call_options_get_timeout_ms org.gtk.Property.set=afrpc_call_options_set_timeout_ms)
   *
   * The time limit of the call in milliseconds, from the moment that it is made; 0 for none, -1 for what the
   * caller has as its default.
   *
   * Since: 1.0
   */
  props[PROP_TIMEOUT_MS] = g_param_spec_int ("timeout-ms", NULL, NULL, -1, G_MAXINT, -1, flags);

  /**
   * AfrpcCallOptions:execution-timeout-ms: (attributes org.gtk.Property.get=afrpc_call_options_get_execution_timeout_ms org.gtk.Property.set=afrpc_call_options_set_execution_timeout_ms)
   *
   * The time limit of the execution in milliseconds, from the moment that the worker begins it; 0 for none.
   * What waits for its turn does not count.
   *
   * Since: 1.0
   */
  props[PROP_EXECUTION_TIMEOUT_MS] = g_param_spec_uint ("execution-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * AfrpcCallOptions:fds: (attributes org.gtk.Property.get=afrpc_call_options_get_fds org.gtk.Property.set=afrpc_call_options_set_fds)
   *
   * File descriptors that go with the arguments, which are copied when the call is made. A handle (type `h`)
   * in the arguments is an index into them. Over a command they cannot be passed: the call fails with
   * %AFRPC_ERROR_NOT_SUPPORTED.
   *
   * Since: 1.0
   */
  props[PROP_FDS] = g_param_spec_object ("fds", NULL, NULL, G_TYPE_UNIX_FD_LIST, flags);

  /**
   * AfrpcCallOptions:function: (attributes org.gtk.Property.get=afrpc_call_options_get_function org.gtk.Property.set=afrpc_call_options_set_function)
   *
   * The name of another function of the same worker to be called, or %NULL for the one that the caller was
   * made for. It is of the same kind: it takes calls as the caller's backend makes them. If there is none, the
   * call fails with %AFRPC_ERROR_FUNCTION.
   *
   * Since: 1.0
   */
  props[PROP_FUNCTION] = g_param_spec_string ("function", NULL, NULL, NULL, flags);

  /**
   * AfrpcCallOptions:idempotent: (attributes org.gtk.Property.get=afrpc_call_options_get_idempotent org.gtk.Property.set=afrpc_call_options_set_idempotent)
   *
   * Whether it does no harm to run the call twice: a pool then repeats it if its worker died. A
   * [class@Afrpc.Proxy] has one worker and repeats nothing.
   *
   * Since: 1.0
   */
  props[PROP_IDEMPOTENT] = g_param_spec_boolean ("idempotent", NULL, NULL, FALSE, flags);

  /**
   * AfrpcCallOptions:priority: (attributes org.gtk.Property.get=afrpc_call_options_get_priority org.gtk.Property.set=afrpc_call_options_set_priority)
   *
   * Which of the calls that wait in a pool comes first: the one with the smaller number, as for sources of the
   * main loop. A [class@Afrpc.Proxy] makes its calls in their order.
   *
   * Since: 1.0
   */
  props[PROP_PRIORITY] = g_param_spec_int ("priority", NULL, NULL, G_MININT, G_MAXINT, 0, flags);

  /**
   * AfrpcCallOptions:affinity: (attributes org.gtk.Property.get=afrpc_call_options_get_affinity org.gtk.Property.set=afrpc_call_options_set_affinity)
   *
   * A key: calls with the same key go to the same worker of a pool, while it lives. Of keys that no call under way has, a pool
   * remembers the 65,536 that were used last. A [class@Afrpc.Proxy] has one worker.
   *
   * Since: 1.0
   */
  props[PROP_AFFINITY] = g_param_spec_string ("affinity", NULL, NULL, NULL, flags);

  /**
   * AfrpcCallOptions:wait-for-room: (attributes org.gtk.Property.get=afrpc_call_options_get_wait_for_room org.gtk.Property.set=afrpc_call_options_set_wait_for_room)
   *
   * Whether the call waits in a pool where it would fail with %AFRPC_ERROR_BUSY otherwise: when more calls wait than
   * [property@Afrpc.Pool:max-calls-queued], or more bytes than [property@Afrpc.Pool:max-bytes-queued].
   *
   * It waits as those do that found room: by its priority, and behind those that were made before, until it gets a worker, its
   * time limit has passed, it is cancelled, or the pool ends. Calls without this option fail for as long as there are more than
   * the limit. Who makes calls with it sees to how many there are himself: their arguments are kept, and
   * [method@Afrpc.Pool.wait_for_room_async] says when there are fewer than the limit again.
   *
   * A [class@Afrpc.Proxy] has no queue: what it limits is what its worker has, and a call beyond that fails.
   *
   * Since: 1.0
   */
  props[PROP_WAIT_FOR_ROOM] = g_param_spec_boolean ("wait-for-room", NULL, NULL, FALSE, flags);

  /**
   * AfrpcCallOptions:label: (attributes org.gtk.Property.get=afrpc_call_options_get_label org.gtk.Property.set=afrpc_call_options_set_label)
   *
   * What the call is about, in a few words: error messages of the call begin with it, but for those of exceptions that
   * the function has raised, and its errors of domains that are not registered (%AFRPC_ERROR_REMOTE), which languages read.
   *
   * Since: 1.0
   */
  props[PROP_LABEL] = g_param_spec_string ("label", NULL, NULL, NULL, flags);

  /**
   * AfrpcCallOptions:metadata: (attributes org.gtk.Property.get=afrpc_call_options_get_metadata org.gtk.Property.set=afrpc_call_options_set_metadata)
   *
   * What travels with the call besides its arguments, such as trace ids: an `a{sv}`. The worker gets it with
   * [method@Afrpc.Worker.get_metadata] and [method@Afrpc.Invocation.get_metadata]. It is never given to a
   * [iface@Afrpc.Serialiser].
   *
   * At most 65536 bytes, which count among those of the arguments: with more the call fails with
   * %AFRPC_ERROR_TOO_LARGE.
   *
   * Since: 1.0
   */
  props[PROP_METADATA] = g_param_spec_variant ("metadata", NULL, NULL, G_VARIANT_TYPE_VARDICT, NULL, flags);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static gboolean
check_not_frozen (AfrpcCallOptions *self,
                  const char       *what)
{
  if (!afrpc_call_options_is_frozen (self))
    return TRUE;

  g_critical ("%s: options that a call was given stay as they are: others can be made for other calls", what);
  return FALSE;
}

static void
afrpc_call_options_init (AfrpcCallOptions *self)
{
  self->timeout_ms = -1;
}

/**
 * afrpc_call_options_new:
 *
 * Makes options that change nothing.
 *
 * Returns: (transfer full): options
 *
 * Since: 1.0
 */
AfrpcCallOptions *
afrpc_call_options_new (void)
{
  return g_object_new (AFRPC_TYPE_CALL_OPTIONS, NULL);
}

/**
 * afrpc_call_options_get_timeout_ms: (attributes org.gtk.Method.get_property=timeout-ms)
 * @self: options
 *
 * Gets the time limit of the call.
 *
 * Returns: milliseconds, 0 for none, or -1 for what the caller has as its default
 *
 * Since: 1.0
 */
int
afrpc_call_options_get_timeout_ms (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), -1);

  return self->timeout_ms;
}

/**
 * afrpc_call_options_set_timeout_ms: (attributes org.gtk.Method.set_property=timeout-ms)
 * @self: options that no call has been given yet
 * @timeout_ms: milliseconds, 0 for none, or -1 for what the caller has as its default
 *
 * Sets the time limit of the call.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_timeout_ms (AfrpcCallOptions *self,
                                   int               timeout_ms)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;
  g_return_if_fail (timeout_ms >= -1);

  if (self->timeout_ms == timeout_ms)
    return;

  self->timeout_ms = timeout_ms;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_TIMEOUT_MS]);
}

/**
 * afrpc_call_options_get_execution_timeout_ms: (attributes org.gtk.Method.get_property=execution-timeout-ms)
 * @self: options
 *
 * Gets the time limit of the execution.
 *
 * Returns: milliseconds, or 0 for none
 *
 * Since: 1.0
 */
guint
afrpc_call_options_get_execution_timeout_ms (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), 0);

  return self->execution_timeout_ms;
}

/**
 * afrpc_call_options_set_execution_timeout_ms: (attributes org.gtk.Method.set_property=execution-timeout-ms)
 * @self: options that no call has been given yet
 * @timeout_ms: milliseconds, or 0 for none
 *
 * Sets the time limit of the execution.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_execution_timeout_ms (AfrpcCallOptions *self,
                                             guint             timeout_ms)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (self->execution_timeout_ms == timeout_ms)
    return;

  self->execution_timeout_ms = timeout_ms;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_EXECUTION_TIMEOUT_MS]);
}

/**
 * afrpc_call_options_get_fds: (attributes org.gtk.Method.get_property=fds)
 * @self: options
 *
 * Gets the file descriptors that go with the arguments.
 *
 * Returns: (transfer none) (nullable): file descriptors, or %NULL for none
 *
 * Since: 1.0
 */
GUnixFDList *
afrpc_call_options_get_fds (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), NULL);

  return self->fds;
}

/**
 * afrpc_call_options_set_fds: (attributes org.gtk.Method.set_property=fds)
 * @self: options that no call has been given yet
 * @fds: (nullable): file descriptors, or %NULL for none
 *
 * Sets the file descriptors that go with the arguments.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_fds (AfrpcCallOptions *self,
                            GUnixFDList      *fds)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;
  g_return_if_fail (fds == NULL || G_IS_UNIX_FD_LIST (fds));

  if (!g_set_object (&self->fds, fds))
    return;

  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_FDS]);
}

/**
 * afrpc_call_options_get_function: (attributes org.gtk.Method.get_property=function)
 * @self: options
 *
 * Gets the function to be called.
 *
 * Returns: (nullable): the name of another function of the worker, or %NULL
 *
 * Since: 1.0
 */
const char *
afrpc_call_options_get_function (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), NULL);

  return self->function;
}

/**
 * afrpc_call_options_set_function: (attributes org.gtk.Method.set_property=function)
 * @self: options that no call has been given yet
 * @function: (nullable): the name of another function of the worker, or %NULL
 *
 * Sets the function to be called.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_function (AfrpcCallOptions *self,
                                 const char       *function)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (g_strcmp0 (self->function, function) == 0)
    return;

  g_free (self->function);
  self->function = g_strdup (function);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_FUNCTION]);
}

/**
 * afrpc_call_options_get_idempotent: (attributes org.gtk.Method.get_property=idempotent)
 * @self: options
 *
 * Gets whether it does no harm to run the call twice.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_call_options_get_idempotent (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), FALSE);

  return self->idempotent;
}

/**
 * afrpc_call_options_set_idempotent: (attributes org.gtk.Method.set_property=idempotent)
 * @self: options that no call has been given yet
 * @idempotent: %TRUE if so
 *
 * Sets whether it does no harm to run the call twice.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_idempotent (AfrpcCallOptions *self,
                                   gboolean          idempotent)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (self->idempotent == !!idempotent)
    return;

  self->idempotent = !!idempotent;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_IDEMPOTENT]);
}

/**
 * afrpc_call_options_get_priority: (attributes org.gtk.Method.get_property=priority)
 * @self: options
 *
 * Gets the priority of the call.
 *
 * Returns: a number; smaller ones come first
 *
 * Since: 1.0
 */
int
afrpc_call_options_get_priority (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), 0);

  return self->priority;
}

/**
 * afrpc_call_options_set_priority: (attributes org.gtk.Method.set_property=priority)
 * @self: options that no call has been given yet
 * @priority: a number; smaller ones come first
 *
 * Sets the priority of the call.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_priority (AfrpcCallOptions *self,
                                 int               priority)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (self->priority == priority)
    return;

  self->priority = priority;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_PRIORITY]);
}

/**
 * afrpc_call_options_get_affinity: (attributes org.gtk.Method.get_property=affinity)
 * @self: options
 *
 * Gets the affinity key of the call.
 *
 * Returns: (nullable): a key, or %NULL
 *
 * Since: 1.0
 */
const char *
afrpc_call_options_get_affinity (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), NULL);

  return self->affinity;
}

/**
 * afrpc_call_options_set_affinity: (attributes org.gtk.Method.set_property=affinity)
 * @self: options that no call has been given yet
 * @key: (nullable): a key, or %NULL
 *
 * Sets the affinity key of the call.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_affinity (AfrpcCallOptions *self,
                                 const char       *key)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (g_strcmp0 (self->affinity, key) == 0)
    return;

  g_free (self->affinity);
  self->affinity = g_strdup (key);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_AFFINITY]);
}

/**
 * afrpc_call_options_get_wait_for_room: (attributes org.gtk.Method.get_property=wait-for-room)
 * @self: options
 *
 * Gets whether the call waits where it would fail with %AFRPC_ERROR_BUSY otherwise.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_call_options_get_wait_for_room (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), FALSE);

  return self->wait_for_room;
}

/**
 * afrpc_call_options_set_wait_for_room: (attributes org.gtk.Method.set_property=wait-for-room)
 * @self: options that no call has been given yet
 * @wait_for_room: %TRUE if so
 *
 * Sets whether the call waits where it would fail with %AFRPC_ERROR_BUSY otherwise.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_wait_for_room (AfrpcCallOptions *self,
                                      gboolean          wait_for_room)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (self->wait_for_room == !!wait_for_room)
    return;

  self->wait_for_room = !!wait_for_room;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_WAIT_FOR_ROOM]);
}

/**
 * afrpc_call_options_get_label: (attributes org.gtk.Method.get_property=label)
 * @self: options
 *
 * Gets what the call is about.
 *
 * Returns: (nullable): a few words, or %NULL
 *
 * Since: 1.0
 */
const char *
afrpc_call_options_get_label (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), NULL);

  return self->label;
}

/**
 * afrpc_call_options_set_label: (attributes org.gtk.Method.set_property=label)
 * @self: options that no call has been given yet
 * @label: (nullable): a few words, or %NULL
 *
 * Sets what the call is about.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_label (AfrpcCallOptions *self,
                              const char       *label)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (g_strcmp0 (self->label, label) == 0)
    return;

  g_free (self->label);
  self->label = g_strdup (label);
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_LABEL]);
}

/**
 * afrpc_call_options_get_metadata: (attributes org.gtk.Method.get_property=metadata)
 * @self: options
 *
 * Gets what travels with the call besides its arguments.
 *
 * Returns: (transfer none) (nullable): an `a{sv}`, or %NULL
 *
 * Since: 1.0
 */
GVariant *
afrpc_call_options_get_metadata (AfrpcCallOptions *self)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), NULL);

  return self->metadata;
}

/**
 * afrpc_call_options_set_metadata: (attributes org.gtk.Method.set_property=metadata)
 * @self: options that no call has been given yet
 * @metadata: (nullable): an `a{sv}`, or %NULL; a floating reference is consumed
 *
 * Sets what travels with the call besides its arguments.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_metadata (AfrpcCallOptions *self,
                                 GVariant         *metadata)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;
  g_return_if_fail (metadata == NULL || g_variant_is_of_type (metadata, G_VARIANT_TYPE_VARDICT));

  if (metadata != NULL)
    g_variant_ref_sink (metadata);
  g_clear_pointer (&self->metadata, g_variant_unref);
  self->metadata = metadata;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_METADATA]);
}

/**
 * afrpc_call_options_set_progress:
 * @self: options that no call has been given yet
 * @mode: which progress is wanted
 * @func: (scope notified) (closure data) (destroy destroy): called with what the function tells of its progress, before
 *   the result, in order
 * @data: data for @func
 * @destroy: (nullable): called with @data when the options are freed, or have another function
 *
 * Asks to be told how far a call has come; see [method@Afrpc.Worker.progress] and [method@Afrpc.Invocation.progress].
 *
 * @func is called from the caller's main context, and not any more once the call has its outcome.
 *
 * Since: 1.0
 */
void
afrpc_call_options_set_progress (AfrpcCallOptions  *self,
                                 AfrpcProgressMode  mode,
                                 AfrpcProgressFunc  func,
                                 gpointer           data,
                                 GDestroyNotify     destroy)
{
  g_return_if_fail (AFRPC_IS_CALL_OPTIONS (self));
  if (!check_not_frozen (self, G_STRFUNC))
    return;

  if (self->progress_destroy != NULL)
    self->progress_destroy (self->progress_data);
  self->progress_mode = mode;
  self->progress = func;
  self->progress_data = data;
  self->progress_destroy = destroy;
}

/**
 * afrpc_call_options_wants_progress:
 * @self: options
 * @out_mode: (out) (optional): return location for which progress is wanted, if any is
 *
 * Gets whether somebody asked to be told how far a call has come. For implementers of [iface@Afrpc.Caller], whose workers need not
 * say it otherwise.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_call_options_wants_progress (AfrpcCallOptions  *self,
                                   AfrpcProgressMode *out_mode)
{
  g_return_val_if_fail (AFRPC_IS_CALL_OPTIONS (self), FALSE);

  if (out_mode != NULL)
    *out_mode = self->progress_mode;

  return self->progress != NULL;
}
