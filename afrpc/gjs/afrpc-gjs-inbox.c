/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc/gjs/afrpc-gjs-inbox.h"

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
  AfrpcGjsNews news;
  AfrpcCaller *caller;  /* (nullable) */
  AfrpcMap *map;        /* (nullable) */
  GAsyncResult *result; /* (nullable) */
  GVariant *value;      /* (nullable) */
  GUnixFDList *fds;     /* (nullable) */
  GError *error;        /* (nullable) */
  AfrpcCall *call;      /* (nullable): that has come to its end */
} Item;

typedef struct
{
  const Item *item; /* (nullable): while the property is being set */
  GVariant *input;  /* (nullable) (owned): what was put in for a map */
} AfrpcGjsInboxPrivate;

/* What is under way. */
typedef struct
{
  AfrpcGjsInbox *inbox; /* owned */
  guint id;
} Ticket;

G_DEFINE_TYPE_WITH_PRIVATE (AfrpcGjsInbox, afrpc_gjs_inbox, G_TYPE_OBJECT)

static GQuark destroyed_quark;

static const Item *
get_item (AfrpcGjsInbox *self)
{
  return ((AfrpcGjsInboxPrivate *) afrpc_gjs_inbox_get_instance_private (self))->item;
}

static Ticket *
ticket_new (AfrpcGjsInbox *inbox,
            guint          id)
{
  Ticket *ticket = g_new (Ticket, 1);

  ticket->inbox = g_object_ref (inbox);
  ticket->id = id;

  return ticket;
}

static void
ticket_free (Ticket *ticket)
{
  g_object_unref (ticket->inbox);
  g_free (ticket);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ticket, ticket_free)

/* Whoever hears of it may run a main loop, in which more comes. */
static void
deliver (AfrpcGjsInbox *self,
         guint          id,
         const Item    *item)
{
  AfrpcGjsInboxPrivate *priv = afrpc_gjs_inbox_get_instance_private (self);
  const Item *outer = priv->item;

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
  g_signal_add_emission_hook (g_signal_lookup ("destroyed", AFRPC_TYPE_PROXY), 0, destroyed_hook, NULL, NULL);
}

static void
afrpc_gjs_inbox_init (AfrpcGjsInbox *self)
{
}

static void
deliver_call (const Ticket *ticket,
              AfrpcCall    *call,
              Item         *item)
{
  item->news = AFRPC_GJS_NEWS_RESULT;
  item->call = call;
  deliver (ticket->inbox, ticket->id, item);

  g_clear_pointer (&item->value, g_variant_unref);
  g_clear_object (&item->fds);
  g_clear_error (&item->error);
}

static void
call_cb (GObject      *caller,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(Ticket) ticket = data;
  Item item = { 0 };

  item.value = afrpc_caller_call_full_finish (AFRPC_CALLER (caller), result, &item.fds, &item.error);
  deliver_call (ticket, AFRPC_CALL (result), &item);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  const Ticket *ticket = data;
  const Item item = { .news = AFRPC_GJS_NEWS_PROGRESS, .value = progress };

  deliver (ticket->inbox, ticket->id, &item);
}

/* Returns: (transfer full) (nullable): with @options, which are not used for anything else */
static AfrpcCallOptions *
add_progress (AfrpcGjsInbox    *self,
              guint             id,
              AfrpcCallOptions *options, /* (nullable) */
              int               progress_mode)
{
  AfrpcCallOptions *all = options != NULL ? g_object_ref (options) : NULL;

  if (progress_mode < 0)
    return all;

  if (all == NULL)
    all = afrpc_call_options_new ();
  afrpc_call_options_set_progress (all, progress_mode, progress_cb, ticket_new (self, id), (GDestroyNotify) ticket_free);

  return all;
}

/**
 * afrpc_gjs_inbox_call:
 * @self: an inbox
 * @id: the number of the call
 * @caller: whom to call
 * @type: the type of the arguments
 * @data: (array length=size) (element-type guint8) (transfer full): their bytes, as a GVariant has them
 * @size: the number of bytes
 * @options: (nullable): options of this call alone
 * @progress_mode: an [enum@Afrpc.ProgressMode], or -1 if nobody wants progress
 * @cancellable: (nullable): cancels the call
 *
 * Makes a call.
 */
void
afrpc_gjs_inbox_call (AfrpcGjsInbox    *self,
                      guint             id,
                      AfrpcCaller      *caller,
                      const char       *type,
                      guint8           *data,
                      gsize             size,
                      AfrpcCallOptions *options,
                      int               progress_mode,
                      GCancellable     *cancellable)
{
  g_autoptr(GVariant) args = afrpc_gjs_new_value (type, data, size);
  g_autoptr(AfrpcCallOptions) all = add_progress (self, id, options, progress_mode);

  afrpc_caller_call_full (caller, args, all, cancellable, call_cb, ticket_new (self, id));
}

/**
 * afrpc_gjs_inbox_call_sync:
 * @self: an inbox
 * @id: the number of the call
 * @caller: whom to call
 * @type: the type of the arguments
 * @data: (array length=size) (element-type guint8) (transfer full): their bytes, as a GVariant has them
 * @size: the number of bytes
 * @options: (nullable): options of this call alone
 * @progress_mode: an [enum@Afrpc.ProgressMode], or -1 if nobody wants progress
 * @cancellable: (nullable): cancels the call
 *
 * Makes a call and blocks until it has had its turn.
 */
void
afrpc_gjs_inbox_call_sync (AfrpcGjsInbox    *self,
                           guint             id,
                           AfrpcCaller      *caller,
                           const char       *type,
                           guint8           *data,
                           gsize             size,
                           AfrpcCallOptions *options,
                           int               progress_mode,
                           GCancellable     *cancellable)
{
  g_autoptr(GVariant) args = afrpc_gjs_new_value (type, data, size);
  g_autoptr(AfrpcCallOptions) all = add_progress (self, id, options, progress_mode);
  g_autoptr(AfrpcCall) call = afrpc_caller_start (caller, args, all);
  const Ticket ticket = { .inbox = self, .id = id };
  Item item = { 0 };

  item.value = afrpc_call_wait_sync (call, cancellable, &item.error);
  if (item.value != NULL)
    item.fds = afrpc_call_steal_fds (call);
  deliver_call (&ticket, call, &item);
}

/**
 * afrpc_gjs_inbox_call_full:
 * @self: an inbox
 * @id: the number of the call
 * @caller: whom to call
 * @args: (nullable): the arguments
 * @options: (nullable): the options of the call
 * @cancellable: (nullable): cancels the call
 *
 * Makes a call with a value that is one already.
 */
void
afrpc_gjs_inbox_call_full (AfrpcGjsInbox    *self,
                           guint             id,
                           AfrpcCaller      *caller,
                           GVariant         *args,
                           AfrpcCallOptions *options,
                           GCancellable     *cancellable)
{
  afrpc_caller_call_full (caller, args, options, cancellable, call_cb, ticket_new (self, id));
}

static void
result_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(Ticket) ticket = data;
  const Item item = { .news = AFRPC_GJS_NEWS_RESULT, .result = result };

  deliver (ticket->inbox, ticket->id, &item);
}

/**
 * afrpc_gjs_inbox_close:
 * @self: an inbox
 * @id: the number of what is under way
 * @caller: what to close
 * @cancellable: (nullable): stops waiting
 *
 * Closes a caller and waits for its end.
 */
void
afrpc_gjs_inbox_close (AfrpcGjsInbox *self,
                       guint          id,
                       AfrpcCaller   *caller,
                       GCancellable  *cancellable)
{
  afrpc_caller_close_async (caller, cancellable, result_cb, ticket_new (self, id));
}

/**
 * afrpc_gjs_inbox_run:
 * @self: an inbox
 * @id: the number of what is under way
 * @process: the process to hand over
 * @function: the function that gets it
 * @cancellable: (nullable): stops waiting
 *
 * Hands a process over.
 */
void
afrpc_gjs_inbox_run (AfrpcGjsInbox *self,
                     guint          id,
                     AfrpcProcess  *process,
                     const char    *function,
                     GCancellable  *cancellable)
{
  afrpc_process_run_async (process, function, cancellable, result_cb, ticket_new (self, id));
}

/**
 * afrpc_gjs_inbox_to_fd:
 * @self: an inbox
 * @id: the number of what is under way
 * @process: the process to give away
 * @cancellable: (nullable): stops waiting
 *
 * Gives a process away.
 */
void
afrpc_gjs_inbox_to_fd (AfrpcGjsInbox *self,
                       guint          id,
                       AfrpcProcess  *process,
                       GCancellable  *cancellable)
{
  afrpc_process_to_fd_async (process, cancellable, result_cb, ticket_new (self, id));
}

/**
 * afrpc_gjs_inbox_wait:
 * @self: an inbox
 * @id: the number of what is under way
 * @process: the process to wait for
 * @cancellable: (nullable): stops waiting
 *
 * Waits for the end of a process.
 */
void
afrpc_gjs_inbox_wait (AfrpcGjsInbox *self,
                      guint          id,
                      AfrpcProcess  *process,
                      GCancellable  *cancellable)
{
  afrpc_process_wait_async (process, cancellable, result_cb, ticket_new (self, id));
}

/**
 * afrpc_gjs_inbox_wait_for_room:
 * @self: an inbox
 * @id: the number of what is under way
 * @pool: the pool
 * @cancellable: (nullable): stops waiting
 *
 * Waits until another call may wait in a pool.
 */
void
afrpc_gjs_inbox_wait_for_room (AfrpcGjsInbox *self,
                               guint          id,
                               AfrpcPool     *pool,
                               GCancellable  *cancellable)
{
  afrpc_pool_wait_for_room_async (pool, cancellable, result_cb, ticket_new (self, id));
}

static void
waited_cb (GObject      *call,
           GAsyncResult *result,
           gpointer      data)
{
  g_autoptr(Ticket) ticket = data;
  Item item = { 0 };

  item.value = afrpc_call_wait_finish (AFRPC_CALL (call), result, &item.error);
  deliver_call (ticket, AFRPC_CALL (call), &item);
}

/**
 * afrpc_gjs_inbox_wait_call:
 * @self: an inbox
 * @id: the number of what is under way
 * @call: the call to wait for
 * @cancellable: (nullable): stops waiting
 *
 * Waits for the outcome of a call.
 */
void
afrpc_gjs_inbox_wait_call (AfrpcGjsInbox *self,
                           guint          id,
                           AfrpcCall     *call,
                           GCancellable  *cancellable)
{
  afrpc_call_wait (call, cancellable, waited_cb, ticket_new (self, id));
}

/* What a map has its inputs from. It belongs to the map, and refers to it without keeping it: a map that was dropped by
 * JavaScript is given up. */
typedef struct
{
  AfrpcGjsInbox *inbox; /* owned */
  AfrpcMap *map;        /* (nullable): once it is gone */
} Inputs;

static void
inputs_free (Inputs *inputs)
{
  g_clear_weak_pointer (&inputs->map);
  g_object_unref (inputs->inbox);
  g_free (inputs);
}

static GVariant *
next_cb (gpointer data)
{
  const Inputs *inputs = data;
  AfrpcGjsInboxPrivate *priv = afrpc_gjs_inbox_get_instance_private (inputs->inbox);
  const Item item = { .news = AFRPC_GJS_NEWS_INPUT, .map = inputs->map };

  if (inputs->map == NULL)
    return NULL;

  deliver (inputs->inbox, 0, &item);

  return g_steal_pointer (&priv->input);
}

/**
 * afrpc_gjs_inbox_map:
 * @self: an inbox
 * @pool: the pool that makes the calls
 * @options: (nullable): the options of each call
 * @cancellable: (nullable): cancels the map
 * @is_ordered: whether results come in the order of the inputs
 *
 * Makes a map, which asks for its inputs by turns; the number of all its news is 0.
 *
 * Returns: (transfer full): the map
 */
AfrpcMap *
afrpc_gjs_inbox_map (AfrpcGjsInbox    *self,
                     AfrpcPool        *pool,
                     AfrpcCallOptions *options,
                     GCancellable     *cancellable,
                     gboolean          is_ordered)
{
  Inputs *inputs = g_new0 (Inputs, 1);
  AfrpcMap *map;

  inputs->inbox = g_object_ref (self);
  map = afrpc_pool_map (pool, next_cb, inputs, (GDestroyNotify) inputs_free, options, cancellable,
                        is_ordered ? AFRPC_MAP_ORDERED : AFRPC_MAP_UNORDERED);
  g_set_weak_pointer (&inputs->map, map);

  return map;
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

static void
brought_cb (GObject      *map,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(Ticket) ticket = data;
  Item item = { .map = AFRPC_MAP (map) };
  g_autoptr(GPtrArray) calls = afrpc_map_next_many_finish (AFRPC_MAP (map), result, &item.error);

  for (guint i = 0; calls != NULL && i < calls->len; i++)
    {
      Item outcome = { .map = AFRPC_MAP (map) };

      outcome.value = afrpc_call_wait_sync (calls->pdata[i], NULL, &outcome.error);
      deliver_call (ticket, calls->pdata[i], &outcome);
    }
  item.news = calls != NULL && calls->len > 0 ? AFRPC_GJS_NEWS_BROUGHT : AFRPC_GJS_NEWS_OVER;
  deliver (ticket->inbox, ticket->id, &item);
  g_clear_error (&item.error);
}

/**
 * afrpc_gjs_inbox_map_next:
 * @self: an inbox
 * @map: the map
 * @n_max: how many results to bring
 *
 * Brings the next results of a map, each in a turn of its own.
 */
void
afrpc_gjs_inbox_map_next (AfrpcGjsInbox *self,
                          AfrpcMap      *map,
                          guint          n_max)
{
  afrpc_map_next_many_async (map, n_max, NULL, brought_cb, ticket_new (self, 0));
}

/**
 * afrpc_gjs_inbox_call_all:
 * @self: an inbox
 * @id: the number of what is under way
 * @pool: the pool whose workers are configured
 * @args: (nullable): the arguments
 * @options: (nullable): the options of the calls
 * @cancellable: (nullable): stops waiting
 *
 * Configures all workers of a pool.
 */
void
afrpc_gjs_inbox_call_all (AfrpcGjsInbox    *self,
                          guint             id,
                          AfrpcPool        *pool,
                          GVariant         *args,
                          AfrpcCallOptions *options,
                          GCancellable     *cancellable)
{
  afrpc_pool_call_all_async (pool, args, options, cancellable, result_cb, ticket_new (self, id));
}

static void
event_cb (AfrpcCaller   *caller,
          GVariant      *event,
          AfrpcProcess  *from,
          GUnixFDList   *fds,
          AfrpcGjsInbox *self)
{
  const Item item = { .news = AFRPC_GJS_NEWS_EVENT, .caller = caller, .value = event };

  deliver (self, 0, &item);
}

static void
error_cb (AfrpcCaller   *caller,
          GError        *error,
          AfrpcGjsInbox *self)
{
  const Item item = { .news = AFRPC_GJS_NEWS_ERROR, .caller = caller, .error = error };

  deliver (self, 0, &item);
}

static void
destroyed_cb (AfrpcCaller   *caller,
              AfrpcGjsInbox *self)
{
  const Item item = { .news = AFRPC_GJS_NEWS_DESTROYED, .caller = caller };

  afrpc_gjs_inbox_unwatch (self, caller);
  deliver (self, 0, &item);
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
 * Listens no more.
 */
void
afrpc_gjs_inbox_unwatch (AfrpcGjsInbox *self,
                         AfrpcCaller   *caller)
{
  g_signal_handlers_disconnect_by_data (caller, self);
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
  const Item *item = get_item (self);

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
