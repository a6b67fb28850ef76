/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc/gjs/afrpc-gjs-inbox-private.h"

#include "afrpc/afrpc-caller-private.h"

/**
 * AfrpcGjsInbox:
 *
 * What a program in JavaScript hears from the library comes through one object, of a class made in JavaScript.
 *
 * For each piece of news its property `turn` is set to the number of what it belongs to; meanwhile the inbox has that
 * news to look at. Not by a callback: gjs refuses those, until 1.80, while a garbage collection is under way in slices
 * between which the main loop turns, and what is refused does not come again. Nobody refuses a property. Values
 * are passed as their bytes, in memory that the engine owns and counts, rather than behind objects whose size it does
 * not know.
 *
 * Private to the overrides of gjs; belongs to the main thread, as the engine does.
 */
typedef struct
{
  const AfrpcGjsItem *item; /* (nullable): while the property is being set */
  GVariant *input;          /* (nullable) (owned): what was put in for a map */
} AfrpcGjsInboxPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (AfrpcGjsInbox, afrpc_gjs_inbox, G_TYPE_OBJECT)

static GQuark destroyed_quark;
static GQuark dropping_quark;

static const AfrpcGjsItem *
get_item (AfrpcGjsInbox *self)
{
  return ((AfrpcGjsInboxPrivate *) afrpc_gjs_inbox_get_instance_private (self))->item;
}

/* Whoever hears of it may run a main loop, in which more comes. */
void
afrpc_gjs_inbox_deliver (AfrpcGjsInbox      *self,
                         guint               id,
                         const AfrpcGjsItem *item)
{
  AfrpcGjsInboxPrivate *priv = afrpc_gjs_inbox_get_instance_private (self);
  const AfrpcGjsItem *outer = priv->item;

  priv->item = item;
  g_object_set (self, "turn", id, NULL);
  priv->item = outer;
}

/* A caller is destroyed once, and tells only those who listen then. */
static gboolean
destroyed_hook (GSignalInvocationHint *hint,
                guint                  n_values,
                const GValue          *values,
                gpointer               data)
{
  g_object_set_qdata (g_value_get_object (values), destroyed_quark, GINT_TO_POINTER (TRUE));

  return G_SOURCE_CONTINUE;
}

static void
afrpc_gjs_inbox_class_init (AfrpcGjsInboxClass *klass)
{
  g_type_class_unref (g_type_class_ref (AFRPC_TYPE_PROXY));
  destroyed_quark = g_quark_from_static_string ("afrpc-gjs-destroyed");
  dropping_quark = g_quark_from_static_string ("afrpc-gjs-dropping");
  g_signal_add_emission_hook (g_signal_lookup ("destroyed", AFRPC_TYPE_PROXY), 0, destroyed_hook, NULL, NULL);
}

static void
afrpc_gjs_inbox_init (AfrpcGjsInbox *self)
{
}

static void
event_cb (AfrpcCaller   *caller,
          GVariant      *event,
          AfrpcProcess  *from,
          GUnixFDList   *fds,
          AfrpcGjsInbox *self)
{
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_EVENT, .caller = caller, .value = event };

  afrpc_gjs_inbox_deliver (self, 0, &item);
}

static void
error_cb (AfrpcCaller   *caller,
          GError        *error,
          AfrpcGjsInbox *self)
{
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_ERROR, .caller = caller, .error = error };

  afrpc_gjs_inbox_deliver (self, 0, &item);
}

/* Whoever has asked for events, and wants no more of them, need not be warned of each. */
static void
drop_event_cb (void)
{
}

static void
destroyed_cb (AfrpcCaller   *caller,
              AfrpcGjsInbox *self)
{
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_DESTROYED, .caller = caller };

  afrpc_gjs_inbox_unwatch (self, caller);
  afrpc_gjs_inbox_deliver (self, 0, &item);
}

/**
 * afrpc_gjs_inbox_watch:
 * @self: an inbox
 * @caller: a proxy or a pool that is not being watched
 *
 * Listens to the signals of a caller until it is destroyed; their number is 0.
 */
void
afrpc_gjs_inbox_watch (AfrpcGjsInbox *self,
                       AfrpcCaller   *caller)
{
  g_signal_connect_object (caller, "event", G_CALLBACK (event_cb), self, 0);
  g_signal_connect_object (caller, "error", G_CALLBACK (error_cb), self, 0);
  g_signal_connect_object (caller, "destroyed", G_CALLBACK (destroyed_cb), self, 0);
}

/**
 * afrpc_gjs_inbox_unwatch:
 * @self: an inbox
 * @caller: a proxy or a pool
 *
 * Listens no more. Further events that nobody else handles are dropped; an error is still a warning, if no call has got it.
 */
void
afrpc_gjs_inbox_unwatch (AfrpcGjsInbox *self,
                         AfrpcCaller   *caller)
{
  g_signal_handlers_disconnect_by_data (caller, self);
  if (g_object_get_qdata (G_OBJECT (caller), dropping_quark) != NULL)
    return;

  g_object_set_qdata (G_OBJECT (caller), dropping_quark, GINT_TO_POINTER (TRUE));
  g_signal_connect (caller, "event", G_CALLBACK (drop_event_cb), NULL);
  afrpc_caller_set_plain_events (caller);
}

/**
 * afrpc_gjs_inbox_is_destroyed:
 * @self: an inbox
 * @caller: a proxy or a pool
 *
 * Whether a caller is destroyed, so that nothing will be heard of it any more.
 *
 * Returns: whether it is
 */
gboolean
afrpc_gjs_inbox_is_destroyed (AfrpcGjsInbox *self,
                              AfrpcCaller   *caller)
{
  return g_object_get_qdata (G_OBJECT (caller), destroyed_quark) != NULL;
}

/**
 * afrpc_gjs_inbox_get_news:
 * @self: an inbox, in a turn
 *
 * What the turn is about.
 *
 * Returns: the kind of news
 */
AfrpcGjsNews
afrpc_gjs_inbox_get_news (AfrpcGjsInbox *self)
{
  return get_item (self)->news;
}

/**
 * afrpc_gjs_inbox_get_caller:
 * @self: an inbox, in a turn
 *
 * The caller that is watched.
 *
 * Returns: (transfer none): the caller
 */
AfrpcCaller *
afrpc_gjs_inbox_get_caller (AfrpcGjsInbox *self)
{
  return get_item (self)->caller;
}

/**
 * afrpc_gjs_inbox_get_map:
 * @self: an inbox, in a turn
 *
 * The map that has news.
 *
 * Returns: (transfer none) (nullable): the map
 */
AfrpcMap *
afrpc_gjs_inbox_get_map (AfrpcGjsInbox *self)
{
  return get_item (self)->map;
}

static GVariant *
get_value (AfrpcGjsInbox  *self,
           GError        **error)
{
  const AfrpcGjsItem *item = get_item (self);

  if (item->error == NULL)
    return item->value;

  g_propagate_error (error, g_error_copy (item->error));
  return NULL;
}

/**
 * afrpc_gjs_inbox_get_value:
 * @self: an inbox, in a turn
 * @data: (out) (array length=size) (element-type guint8) (transfer none): the bytes of a value
 * @size: (out): their number
 * @error: return location for an error
 *
 * The result of a call, or its error; the same of progress, events and errors.
 *
 * Returns: (transfer none): the type of the value
 */
const char *
afrpc_gjs_inbox_get_value (AfrpcGjsInbox  *self,
                           const guint8  **data,
                           gsize          *size,
                           GError        **error)
{
  GVariant *value = get_value (self, error);

  return value != NULL ? afrpc_gjs_get_value (value, data, size) : NULL;
}

/**
 * afrpc_gjs_inbox_get_variant:
 * @self: an inbox, in a turn
 * @error: return location for an error
 *
 * The same as an object.
 *
 * Returns: (transfer full): the value
 */
GVariant *
afrpc_gjs_inbox_get_variant (AfrpcGjsInbox  *self,
                             GError        **error)
{
  GVariant *value = get_value (self, error);

  return value != NULL ? g_variant_ref (value) : NULL;
}

/**
 * afrpc_gjs_inbox_get_fds:
 * @self: an inbox, in a turn
 *
 * What came along with a result.
 *
 * Returns: (transfer none) (nullable): a list of file descriptors
 */
GUnixFDList *
afrpc_gjs_inbox_get_fds (AfrpcGjsInbox *self)
{
  return get_item (self)->fds;
}

/**
 * afrpc_gjs_inbox_get_started:
 * @self: an inbox, in a turn
 *
 * Whether a call had been started.
 *
 * Returns: what is known
 */
AfrpcStarted
afrpc_gjs_inbox_get_started (AfrpcGjsInbox *self)
{
  AfrpcCall *call = get_item (self)->call;

  return call != NULL ? afrpc_call_get_started (call) : AFRPC_STARTED_UNKNOWN;
}

/**
 * afrpc_gjs_inbox_get_process:
 * @self: an inbox, in a turn
 *
 * Who had a call.
 *
 * Returns: (transfer none) (nullable): the process
 */
AfrpcProcess *
afrpc_gjs_inbox_get_process (AfrpcGjsInbox *self)
{
  AfrpcCall *call = get_item (self)->call;

  return call != NULL ? afrpc_call_get_process (call) : NULL;
}

/**
 * afrpc_gjs_inbox_get_exit:
 * @self: an inbox, in a turn
 *
 * How the process ended that a call failed with.
 *
 * Returns: (transfer none) (nullable): the exit
 */
AfrpcExit *
afrpc_gjs_inbox_get_exit (AfrpcGjsInbox *self)
{
  AfrpcCall *call = get_item (self)->call;

  return call != NULL ? afrpc_call_get_exit (call) : NULL;
}

/**
 * afrpc_gjs_inbox_get_result:
 * @self: an inbox, in a turn
 *
 * What the finish function of a method other than a call takes.
 *
 * Returns: (transfer none): the result
 */
GAsyncResult *
afrpc_gjs_inbox_get_result (AfrpcGjsInbox *self)
{
  return get_item (self)->result;
}

/**
 * afrpc_gjs_inbox_put_input:
 * @self: an inbox, in a turn in which a map wants an input
 * @type: the type of the arguments
 * @data: (array length=size) (element-type guint8) (transfer full): their bytes, as a GVariant has them
 * @size: the number of bytes
 *
 * Gives the map its next input; without this, there are no more.
 */
void
afrpc_gjs_inbox_put_input (AfrpcGjsInbox *self,
                           const char    *type,
                           guint8        *data,
                           gsize          size)
{
  AfrpcGjsInboxPrivate *priv = afrpc_gjs_inbox_get_instance_private (self);

  g_clear_pointer (&priv->input, g_variant_unref);
  priv->input = afrpc_gjs_new_value (type, data, size);
}

/* Returns: (transfer full) (nullable): what was put in, if anything was */
GVariant *
afrpc_gjs_inbox_steal_input (AfrpcGjsInbox *self)
{
  AfrpcGjsInboxPrivate *priv = afrpc_gjs_inbox_get_instance_private (self);

  return g_steal_pointer (&priv->input);
}

/**
 * afrpc_gjs_new_value:
 * @type: a type
 * @data: (array length=size) (element-type guint8) (transfer full): bytes in normal form
 * @size: their number
 *
 * Makes a value of its bytes.
 *
 * Returns: (transfer full): the value
 */
GVariant *
afrpc_gjs_new_value (const char *type,
                     guint8     *data,
                     gsize       size)
{
  return g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE (type), data, size, TRUE, g_free, data));
}

/**
 * afrpc_gjs_get_value:
 * @value: a value
 * @data: (out) (array length=size) (element-type guint8) (transfer none): its bytes
 * @size: (out): their number
 *
 * Makes bytes of a value.
 *
 * Returns: (transfer none): its type
 */
const char *
afrpc_gjs_get_value (GVariant      *value,
                     const guint8 **data,
                     gsize         *size)
{
  *data = g_variant_get_data (value);
  *size = g_variant_get_size (value);

  return g_variant_get_type_string (value);
}
