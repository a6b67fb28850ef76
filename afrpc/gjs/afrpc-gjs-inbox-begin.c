/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a program in JavaScript begins, with the number that all news of it comes with: calls, maps, and whatever else has an
 * end. */
#include "config.h"

#include "afrpc/gjs/afrpc-gjs-inbox-private.h"

#include <dlfcn.h>

/* What is under way. */
typedef struct
{
  AfrpcGjsInbox *inbox; /* owned */
  guint id;
} Ticket;

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

static void
deliver_call (const Ticket *ticket,
              AfrpcCall    *call,
              AfrpcGjsItem *item)
{
  item->news = AFRPC_GJS_NEWS_RESULT;
  item->call = call;
  afrpc_gjs_inbox_deliver (ticket->inbox, ticket->id, item);

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
  AfrpcGjsItem item = { 0 };

  item.value = afrpc_caller_call_full_finish (AFRPC_CALLER (caller), result, &item.fds, &item.error);
  deliver_call (ticket, AFRPC_CALL (result), &item);
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  const Ticket *ticket = data;
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_PROGRESS, .value = progress };

  afrpc_gjs_inbox_deliver (ticket->inbox, ticket->id, &item);
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
  AfrpcGjsItem item = { 0 };

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
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_RESULT, .result = result };

  afrpc_gjs_inbox_deliver (ticket->inbox, ticket->id, &item);
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
  AfrpcGjsItem item = { 0 };

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

typedef void (*BeginFunc) (GObject             *object,
                           GCancellable        *cancellable,
                           GAsyncReadyCallback  callback,
                           gpointer             data);

/**
 * afrpc_gjs_inbox_begin:
 * @self: an inbox
 * @id: the number of what is under way
 * @object: an object of another library
 * @function: the name of a function there that takes the object, a cancellable, a callback and its data
 * @cancellable: (nullable): stops waiting
 * @error: return location for an error
 *
 * Begins what this library is not linked with. Only C can have a callback that is called for sure.
 *
 * Returns: whether there is such a function
 */
gboolean
afrpc_gjs_inbox_begin (AfrpcGjsInbox  *self,
                       guint           id,
                       GObject        *object,
                       const char     *function,
                       GCancellable   *cancellable,
                       GError        **error)
{
  Dl_info info = { 0 };
  void *library = NULL;
  BeginFunc begin = NULL;

  /* The library of its class, which is loaded, but not for all to see. */
  if (dladdr ((void *) G_OBJECT_GET_CLASS (object)->get_property, &info) != 0)
    library = dlopen (info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library != NULL)
    begin = (BeginFunc) dlsym (library, function);
  if (begin != NULL)
    begin (object, cancellable, result_cb, ticket_new (self, id));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no function %s", function);
  if (library != NULL)
    dlclose (library);

  return begin != NULL;
}

/* What a map has its inputs from, an rc box. It belongs to the map, and refers to it without keeping it: a map that was dropped
 * by JavaScript is given up. */
typedef struct
{
  AfrpcGjsInbox *inbox; /* owned */
  AfrpcMap *map;        /* (nullable): once it is gone */
} Inputs;

static void
inputs_clear (Inputs *inputs)
{
  g_clear_weak_pointer (&inputs->map);
  g_object_unref (inputs->inbox);
}

static void
inputs_unref (gpointer inputs)
{
  g_rc_box_release_full (inputs, (GDestroyNotify) inputs_clear);
}

static GVariant *
next_cb (gpointer data)
{
  const Inputs *inputs = data;
  const AfrpcGjsItem item = { .news = AFRPC_GJS_NEWS_INPUT, .map = inputs->map };

  if (inputs->map == NULL)
    return NULL;

  afrpc_gjs_inbox_deliver (inputs->inbox, 0, &item);

  return afrpc_gjs_inbox_steal_input (inputs->inbox);
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
  Inputs *inputs = g_rc_box_new0 (Inputs);
  AfrpcMap *map;

  inputs->inbox = g_object_ref (self);
  map = afrpc_pool_map (pool, next_cb, g_rc_box_acquire (inputs), inputs_unref, options, cancellable,
                        is_ordered ? AFRPC_MAP_ORDERED : AFRPC_MAP_UNORDERED);
  /* One that was cancelled before has dropped them already. */
  g_set_weak_pointer (&inputs->map, map);
  inputs_unref (inputs);

  return map;
}

static void
brought_cb (GObject      *map,
            GAsyncResult *result,
            gpointer      data)
{
  g_autoptr(Ticket) ticket = data;
  AfrpcGjsItem item = { .map = AFRPC_MAP (map) };
  g_autoptr(GPtrArray) calls = afrpc_map_next_many_finish (AFRPC_MAP (map), result, &item.error);

  for (guint i = 0; calls != NULL && i < calls->len; i++)
    {
      AfrpcGjsItem outcome = { .map = AFRPC_MAP (map) };

      outcome.value = afrpc_call_wait_sync (calls->pdata[i], NULL, &outcome.error);
      deliver_call (ticket, calls->pdata[i], &outcome);
    }
  item.news = calls != NULL && calls->len > 0 ? AFRPC_GJS_NEWS_BROUGHT : AFRPC_GJS_NEWS_OVER;
  afrpc_gjs_inbox_deliver (ticket->inbox, ticket->id, &item);
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
