/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-caller-parts.h"

#define MAX_CALLS_QUEUED_DEFAULT (1u << 20)
#define MAX_MESSAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT (128) << 20)
#define MAX_REPEATS_DEFAULT 2u

/**
 * AfrpcNatsCaller:
 *
 * Calls those who serve a subject of NATS, wherever they are.
 *
 * It is a [iface@Afrpc.Caller] like any other: whoever has been written for a proxy or a pool calls a fleet with it.
 * Servers, see [class@AfrpcNats.Server], come and go; a call goes to one that has room for it. `afrpc serve` is one
 * from the shell.
 *
 * ## What is promised
 *
 * A call is done at most once, unless it is [idempotent][property@Afrpc.CallOptions:idempotent], and whoever made it is
 * told if it may have been started. If nobody serves the subject, it fails at once with %AFRPC_ERROR_UNREACHABLE. A
 * server that has calls says twice a second that it lives: one that has not been heard of for the time of two such
 * beats is taken for dead, and what it had fails with %AFRPC_ERROR_DIED. When the connection is lost and comes back,
 * calls go on; it is asked what has become of them.
 *
 * Options of calls mean what they mean everywhere, but for file descriptors, which cannot be sent:
 * %AFRPC_ERROR_NOT_SUPPORTED. A call that is cancelled, or whose time has passed, is settled as soon as it is known whether it
 * was begun: at once if no server has it, or its server had said so, otherwise when that says it, or after the time of one beat.
 * [method@Afrpc.Call.get_started] has what is known by then.
 *
 * [signal@Afrpc.Caller::event] brings the events of all workers that serve the subject, whoever has called them. Those
 * of one server come in order, but not in a certain order with results. 32 MiB of them are kept while the main loop, or a call
 * that blocks, does not take any; of how many were lost [signal@Afrpc.Caller::error] tells, %AFRPC_ERROR_BUSY.
 *
 * ## Main context and threads
 *
 * As for any [iface@Afrpc.Caller]; its [class@AfrpcNats.Connection] may belong to another context.
 *
 * Since: 1.0
 */

enum
{
  PROP_CONNECTION = 1,
  PROP_SUBJECT,
  PROP_MAX_MESSAGE_SIZE,
  PROP_LISTENS,
  PROP_CALL_TIMEOUT_MS,
  PROP_MAX_CALLS_QUEUED,
  PROP_MAX_REPEATS,
  PROP_NO_SERVERS_TIMEOUT_MS,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

static void afrpc_nats_caller_caller_init (AfrpcCallerInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcNatsCaller, afrpc_nats_caller, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_CALLER, afrpc_nats_caller_caller_init))

/* The end */

/* Nothing comes any more, and nothing is sent. */
static void
disconnect (AfrpcNatsCaller *self)
{
  AfrpcNatsInbox *inbox = g_steal_pointer (&self->inbox);

  if (inbox == NULL)
    return;

  if (!afrpc_nats_caller_is_inherited (self))
    afrpc_nats_caller_leave (self);
  for (gsize i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
    if (self->subscriptions[i] != 0)
      afrpc_nats_link_unsubscribe (afrpc_nats_caller_get_link (self), self->subscriptions[i]);
  afrpc_nats_link_unwatch (afrpc_nats_caller_get_link (self), inbox);
  afrpc_nats_inbox_close (inbox);
  afrpc_nats_inbox_unref (inbox);
}

/* It was closed, and every call has been told its outcome. */
static void
check_over (AfrpcNatsCaller *self)
{
  if (self->state != AFRPC_NATS_CALLER_CLOSING || g_hash_table_size (self->by_call) > 0 || self->news.length > 0)
    return;

  self->state = AFRPC_NATS_CALLER_OVER;
  disconnect (self);
  afrpc_caller_emit_destroyed (AFRPC_CALLER (self));
}

/* What arrives */

static void
take_failure (AfrpcNatsCaller *self,
              const GError    *error)
{
  GHashTableIter iter;
  gpointer record;

  self->is_connected = FALSE;
  if (self->failure == NULL)
    self->failure = g_error_copy (error);
  afrpc_nats_caller_fail_queued (self, error);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &record))
    {
      AfrpcNatsCall *call = record;

      afrpc_nats_caller_settle (self, call, call->started, NULL,
                                g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "%s had the call of '%s': %s", call->remote->name,
                                             self->subject, error->message));
      g_hash_table_iter_init (&iter, self->by_id);
    }
  afrpc_nats_caller_push_error (self, g_error_copy (error));
}

/* What is not allowed is not allowed the next time either. */
static void
take_forbidden (AfrpcNatsCaller *self,
                AfrpcNatsItem   *item)
{
  /* Nothing can be heard. */
  if (g_str_has_prefix (item->subject, self->inbox_subject))
    take_failure (self, item->error);
  else if (g_str_equal (item->subject, self->subject) || g_str_equal (item->subject, self->all_subject))
    afrpc_nats_caller_fail_queued (self, item->error);
  else if (!afrpc_nats_caller_take_unsaid (self, item->subject, item->error) && g_str_equal (item->subject, self->events_subject))
    afrpc_nats_caller_push_error (self, g_error_copy (item->error));
}

static void
take_cb (AfrpcNatsItem *item,
         gpointer       data)
{
  AfrpcNatsCaller *self = data;

  switch (item->kind)
    {
    case AFRPC_NATS_ITEM_MESSAGE:
      afrpc_nats_caller_take_message (self, item);
      break;

    case AFRPC_NATS_ITEM_CHECKED:
      afrpc_nats_caller_take_checked (self, item);
      break;

    case AFRPC_NATS_ITEM_NO_RESPONDERS:
      afrpc_nats_caller_take_no_responders (self, item->subject);
      break;

    case AFRPC_NATS_ITEM_CONNECTED:
      self->is_connected = TRUE;
      afrpc_nats_caller_take_connected (self);
      break;

    case AFRPC_NATS_ITEM_DISCONNECTED:
      self->is_connected = FALSE;
      break;

    case AFRPC_NATS_ITEM_FAILED:
      take_failure (self, item->error);
      break;

    case AFRPC_NATS_ITEM_CANCEL:
      afrpc_nats_caller_cancel_call (self, item->data);
      break;

    case AFRPC_NATS_ITEM_FORBIDDEN:
      take_forbidden (self, item);
      break;

    case AFRPC_NATS_ITEM_UNSENT:
      afrpc_nats_caller_take_unsent (self, item->subject, item->error);
      break;

    case AFRPC_NATS_ITEM_PONG:
      afrpc_nats_caller_take_pong (self);
      break;

    case AFRPC_NATS_ITEM_CLOSED:
      break;

    case AFRPC_NATS_ITEM_ERROR:
    default:
      afrpc_nats_caller_push_error (self, g_error_copy (item->error));
      break;
    }
}

static void
deadline_cb (gpointer data)
{
  AfrpcNatsCaller *self = data;
  const gint64 now_us = g_get_monotonic_time ();

  afrpc_nats_caller_check_calls (self, now_us);
  afrpc_nats_caller_check_remotes (self, now_us);
}

static void
before_wait_cb (gpointer data)
{
  AfrpcNatsCaller *self = data;
  const guint n_news = self->news.length;

  afrpc_nats_caller_pump (self);
  afrpc_nats_caller_flush (self);
  /* A server takes less than what was to be sent to it. */
  if (self->news.length > n_news)
    afrpc_nats_inbox_wake (self->inbox);
}

static void
tell_cb (gpointer data)
{
  g_autoptr(AfrpcNatsCaller) self = g_object_ref (data);

  g_atomic_pointer_set (&self->home, g_thread_self ());
  afrpc_nats_caller_tell (self);
  check_over (self);
}

static const AfrpcNatsInboxFuncs inbox_funcs = { take_cb, deadline_cb, before_wait_cb, tell_cb };

/* The interface */

static GError *
new_inherited_error (AfrpcNatsCaller *self)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the connection of the caller of '%s' is that of the process this one was forked from",
                      self->subject);
}

/* For what one thread at a time may do, until leave(). FALSE: another one runs the main context, and the program is told. */
static gboolean
enter (AfrpcNatsCaller *self,
       const char      *what)
{
  if (g_main_context_acquire (self->context))
    {
      g_atomic_pointer_set (&self->home, g_thread_self ());
      return TRUE;
    }

  g_critical ("%s while another thread runs its main context", what);

  return FALSE;
}

/* For what any thread may do, until leave(). FALSE: it is not known to be this one that has the context; to acquire it would be in
 * the way of the one that has. */
static gboolean
enter_at_home (AfrpcNatsCaller *self)
{
  return g_atomic_pointer_get (&self->home) == g_thread_self () && g_main_context_acquire (self->context);
}

static void
leave (AfrpcNatsCaller *self)
{
  g_main_context_release (self->context);
}

static void
afrpc_nats_caller_begin (AfrpcCaller      *caller,
                         AfrpcCall        *call,
                         GVariant         *args,
                         AfrpcCallOptions *options)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);
  g_autoptr(GError) error = NULL;

  if (afrpc_nats_caller_is_inherited (self))
    {
      error = new_inherited_error (self);
      afrpc_call_return_error (call, AFRPC_STARTED_NO, error);
      return;
    }
  if (!enter (self, "a call"))
    {
      error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "another thread runs the main context that the caller belongs to");
      afrpc_call_return_error (call, AFRPC_STARTED_NO, error);
      return;
    }

  afrpc_nats_caller_enter (self, call, args, options);
  leave (self);
}

static void
afrpc_nats_caller_cancel (AfrpcCaller *caller,
                          AfrpcCall   *call)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);
  AfrpcNatsInbox *inbox = self->inbox;
  AfrpcNatsItem *item;

  if (inbox == NULL || afrpc_nats_caller_is_inherited (self))
    return;

  /* Whoever has cancelled it may ask at once whether it was begun. */
  if (enter_at_home (self))
    {
      afrpc_nats_caller_cancel_call (self, call);
      leave (self);
      afrpc_nats_inbox_wake (inbox);
      return;
    }

  item = afrpc_nats_item_new (AFRPC_NATS_ITEM_CANCEL, 0, NULL);
  item->data = g_object_ref (call);
  item->destroy = g_object_unref;
  afrpc_nats_inbox_push (inbox, item);
}

static AfrpcStarted
afrpc_nats_caller_get_started (AfrpcCaller *caller,
                               AfrpcCall   *call)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);
  AfrpcStarted started;

  if (!enter_at_home (self))
    return AFRPC_STARTED_UNKNOWN;

  started = afrpc_nats_caller_know_started (self, call);
  leave (self);

  return started;
}

static void
afrpc_nats_caller_wait (AfrpcCaller *caller,
                        AfrpcCall   *call)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);

  /* Nobody hears anything here but what has been heard. */
  if (afrpc_nats_caller_is_inherited (self))
    {
      g_autoptr(GError) error = new_inherited_error (self);

      if (!afrpc_nats_caller_tell_awaited (self, call))
        afrpc_call_return_error (call, afrpc_nats_caller_know_started (self, call), error);
      return;
    }

  /* It has acquired the context by that as well. */
  g_main_context_push_thread_default (self->context);
  g_atomic_pointer_set (&self->home, g_thread_self ());
  if (!afrpc_nats_caller_tell_awaited (self, call))
    {
      afrpc_nats_inbox_block (self->inbox);
      afrpc_nats_caller_tell_awaited (self, call);
    }
  g_main_context_pop_thread_default (self->context);
}

static void
afrpc_nats_caller_close (AfrpcCaller *caller)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);

  if (self->state != AFRPC_NATS_CALLER_OPEN || afrpc_nats_caller_is_inherited (self) || !enter (self, "closing a caller"))
    return;

  self->state = AFRPC_NATS_CALLER_CLOSING;
  afrpc_nats_inbox_wake (self->inbox);
  leave (self);
}

static gboolean
afrpc_nats_caller_close_sync (AfrpcCaller   *caller,
                              GCancellable  *cancellable,
                              GError       **error)
{
  const AfrpcCallerInterface *iface = g_type_default_interface_peek (AFRPC_TYPE_CALLER);

  if (!afrpc_nats_caller_is_inherited (AFRPC_NATS_CALLER (caller)))
    return iface->close_sync (caller, cancellable, error);

  g_propagate_error (error, new_inherited_error (AFRPC_NATS_CALLER (caller)));

  return FALSE;
}

static void
afrpc_nats_caller_kill (AfrpcCaller *caller)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (caller);
  AfrpcNatsCall *record;

  if (self->state == AFRPC_NATS_CALLER_OVER || afrpc_nats_caller_is_inherited (self) || !enter (self, "killing a caller"))
    return;

  for (guint i = 0; i < self->remote_list->len; i++)
    {
      AfrpcNatsRemote *remote = self->remote_list->pdata[i];

      while (remote->calls.head != NULL)
        {
          record = remote->calls.head->data;
          afrpc_nats_caller_settle (self, record, record->started, NULL,
                                    g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "the caller was killed while %s had the call",
                                                 remote->name));
        }
    }
  while ((record = afrpc_nats_caller_peek (self)) != NULL)
    afrpc_nats_caller_settle (self, record, AFRPC_STARTED_NO, NULL,
                              g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, "the caller was killed"));
  self->state = AFRPC_NATS_CALLER_CLOSING;
  /* Servers learn it now, whether a main loop runs or not. */
  afrpc_nats_caller_leave (self);
  afrpc_nats_inbox_wake (self->inbox);
  leave (self);
}

static void
afrpc_nats_caller_caller_init (AfrpcCallerInterface *iface)
{
  iface->begin = afrpc_nats_caller_begin;
  iface->cancel = afrpc_nats_caller_cancel;
  iface->wait = afrpc_nats_caller_wait;
  iface->close = afrpc_nats_caller_close;
  iface->close_sync = afrpc_nats_caller_close_sync;
  iface->kill = afrpc_nats_caller_kill;
  iface->get_started = afrpc_nats_caller_get_started;
}

/* The object */

static guint64
new_id (void)
{
  return (guint64) g_random_int () << 32 | g_random_int ();
}

static void
afrpc_nats_caller_constructed (GObject *object)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (object);
  g_autofree char *pattern = NULL;
  AfrpcNatsLink *link;

  G_OBJECT_CLASS (afrpc_nats_caller_parent_class)->constructed (object);

  self->context = g_main_context_ref_thread_default ();
  if (self->connection == NULL || self->subject == NULL)
    {
      g_critical ("a caller over NATS without a connection, or a subject");
      self->failure = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "the caller has no connection, or no subject");
      if (self->connection == NULL)
        self->connection = afrpc_nats_connection_new (NULL);
      if (self->subject == NULL)
        self->subject = g_strdup ("none");
    }
  else
    afrpc_nats_check_subject (self->subject, &self->failure);
  self->id = new_id ();
  self->inbox_subject = afrpc_nats_connection_new_inbox (self->connection);
  self->all_subject = g_strconcat (self->subject, ".all", NULL);
  self->events_subject = g_strconcat (self->subject, ".event", NULL);
  self->inbox = afrpc_nats_inbox_new (self->context, &inbox_funcs, self);
  afrpc_nats_outbox_init (&self->queue_outbox, g_strdup (self->subject), g_strconcat (self->inbox_subject, ".d.", NULL),
                          self->inbox, self->id);
  afrpc_nats_outbox_init (&self->all_outbox, g_strdup (self->all_subject), NULL, self->inbox, self->id);
  if (self->failure != NULL || afrpc_nats_caller_is_inherited (self))
    return;

  pattern = g_strconcat (self->inbox_subject, ".>", NULL);
  link = afrpc_nats_caller_get_link (self);
  self->subscriptions[0] = afrpc_nats_link_subscribe (link, pattern, NULL, self->inbox, AFRPC_NATS_TAG_INBOX, FALSE);
  if (self->listens)
    self->subscriptions[1] = afrpc_nats_link_subscribe (link, self->events_subject, NULL, self->inbox, AFRPC_NATS_TAG_EVENTS, TRUE);
  afrpc_nats_link_watch (link, self->inbox);
}

static void
afrpc_nats_caller_dispose (GObject *object)
{
  /* While there are calls, they have it. */
  disconnect (AFRPC_NATS_CALLER (object));

  G_OBJECT_CLASS (afrpc_nats_caller_parent_class)->dispose (object);
}

static void
news_drop (AfrpcNatsCaller *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->news)) != NULL)
    {
      AfrpcNatsNews *news = link->data;

      g_assert (news->settled == NULL && news->call == NULL);
      g_clear_pointer (&news->value, g_variant_unref);
      g_clear_error (&news->error);
      g_free (news);
    }
}

static void
afrpc_nats_caller_finalize (GObject *object)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (object);

  news_drop (self);
  afrpc_nats_caller_clear_calls (self);
  afrpc_nats_caller_clear_remotes (self);
  g_object_unref (self->connection);
  g_main_context_unref (self->context);
  g_free (self->subject);
  g_free (self->all_subject);
  g_free (self->events_subject);
  g_free (self->inbox_subject);
  g_clear_error (&self->failure);

  G_OBJECT_CLASS (afrpc_nats_caller_parent_class)->finalize (object);
}

static void
afrpc_nats_caller_get_property (GObject    *object,
                                guint       id,
                                GValue     *value,
                                GParamSpec *pspec)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (object);

  switch (id)
    {
    case PROP_CONNECTION:
      g_value_set_object (value, self->connection);
      break;
    case PROP_SUBJECT:
      g_value_set_string (value, self->subject);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint64 (value, self->max_message_size);
      break;
    case PROP_LISTENS:
      g_value_set_boolean (value, self->listens);
      break;
    case PROP_CALL_TIMEOUT_MS:
      g_value_set_uint (value, self->call_timeout_ms);
      break;
    case PROP_MAX_CALLS_QUEUED:
      g_value_set_uint (value, self->max_calls_queued);
      break;
    case PROP_MAX_REPEATS:
      g_value_set_uint (value, self->max_repeats);
      break;
    case PROP_NO_SERVERS_TIMEOUT_MS:
      g_value_set_uint (value, self->no_servers_timeout_ms);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
afrpc_nats_caller_set_property (GObject      *object,
                                guint         id,
                                const GValue *value,
                                GParamSpec   *pspec)
{
  AfrpcNatsCaller *self = AFRPC_NATS_CALLER (object);

  switch (id)
    {
    case PROP_CONNECTION:
      self->connection = g_value_dup_object (value);
      break;
    case PROP_SUBJECT:
      self->subject = g_value_dup_string (value);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      self->max_message_size = g_value_get_uint64 (value);
      break;
    case PROP_LISTENS:
      self->listens = g_value_get_boolean (value);
      break;
    case PROP_CALL_TIMEOUT_MS:
      self->call_timeout_ms = g_value_get_uint (value);
      break;
    case PROP_MAX_CALLS_QUEUED:
      self->max_calls_queued = g_value_get_uint (value);
      break;
    case PROP_MAX_REPEATS:
      self->max_repeats = g_value_get_uint (value);
      break;
    case PROP_NO_SERVERS_TIMEOUT_MS:
      self->no_servers_timeout_ms = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
afrpc_nats_caller_class_init (AfrpcNatsCallerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags constructed = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS;

  object_class->constructed = afrpc_nats_caller_constructed;
  object_class->dispose = afrpc_nats_caller_dispose;
  object_class->finalize = afrpc_nats_caller_finalize;
  object_class->get_property = afrpc_nats_caller_get_property;
  object_class->set_property = afrpc_nats_caller_set_property;

  /**
   * AfrpcNatsCaller:connection: (attributes org.gtk.Property.get=afrpc_nats_caller_get_connection)
   *
   * The connection.
   *
   * Since: 1.0
   */
  props[PROP_CONNECTION] = g_param_spec_object ("connection", NULL, NULL, AFRPC_NATS_TYPE_CONNECTION, constructed);

  /**
   * AfrpcNatsCaller:subject: (attributes org.gtk.Property.get=afrpc_nats_caller_get_subject)
   *
   * The subject that is served. With one that NATS does not take, calls fail with %AFRPC_ERROR_INVALID_ARGUMENTS: it has
   * 1 to 1,000 bytes, no spaces, no `*`, no `>`, and no empty part between dots.
   *
   * Since: 1.0
   */
  props[PROP_SUBJECT] = g_param_spec_string ("subject", NULL, NULL, NULL, constructed);

  /**
   * AfrpcNatsCaller:max-message-size:
   *
   * The largest arguments, and the largest result, in bytes. What is larger than the NATS server takes at once goes in
   * parts.
   *
   * Since: 1.0
   */
  props[PROP_MAX_MESSAGE_SIZE] = g_param_spec_uint64 ("max-message-size", NULL, NULL, 1, G_MAXINT32 - (1 << 20),
                                                      MAX_MESSAGE_SIZE_DEFAULT, constructed);

  /**
   * AfrpcNatsCaller:listens:
   *
   * Whether [signal@Afrpc.Caller::event] is wanted: who does not listen gets no messages for it.
   *
   * Since: 1.0
   */
  props[PROP_LISTENS] = g_param_spec_boolean ("listens", NULL, NULL, TRUE, constructed);

  /**
   * AfrpcNatsCaller:call-timeout-ms:
   *
   * How long calls may take that say nothing of that themselves, in milliseconds from when they are made; 0 for any time.
   *
   * Since: 1.0
   */
  props[PROP_CALL_TIMEOUT_MS] = g_param_spec_uint ("call-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, writable);

  /**
   * AfrpcNatsCaller:max-calls-queued:
   *
   * How many calls may wait for a server that has room; one more fails with %AFRPC_ERROR_BUSY.
   *
   * Since: 1.0
   */
  props[PROP_MAX_CALLS_QUEUED] =
    g_param_spec_uint ("max-calls-queued", NULL, NULL, 1, G_MAXUINT, MAX_CALLS_QUEUED_DEFAULT, writable);

  /**
   * AfrpcNatsCaller:max-repeats:
   *
   * How often a call that is [idempotent][property@Afrpc.CallOptions:idempotent] is made again when its server has died.
   *
   * Since: 1.0
   */
  props[PROP_MAX_REPEATS] = g_param_spec_uint ("max-repeats", NULL, NULL, 0, G_MAXUINT, MAX_REPEATS_DEFAULT, writable);

  /**
   * AfrpcNatsCaller:no-servers-timeout-ms:
   *
   * How long a call waits where nobody serves the subject, in milliseconds; by default 0: it fails at once. For 5
   * seconds after a connection was made again, it waits in any case: servers may just be coming back.
   *
   * Since: 1.0
   */
  props[PROP_NO_SERVERS_TIMEOUT_MS] = g_param_spec_uint ("no-servers-timeout-ms", NULL, NULL, 0, G_MAXUINT, 0, writable);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_nats_caller_init (AfrpcNatsCaller *self)
{
  afrpc_nats_caller_init_calls (self);
  afrpc_nats_caller_init_remotes (self);
}

/* Public */

/**
 * afrpc_nats_caller_new:
 * @connection: a connection
 * @subject: a subject that is served
 *
 * Makes a caller of those who serve @subject.
 *
 * Returns: (transfer full): a caller
 *
 * Since: 1.0
 */
AfrpcNatsCaller *
afrpc_nats_caller_new (AfrpcNatsConnection *connection,
                       const char          *subject)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CONNECTION (connection), NULL);
  g_return_val_if_fail (subject != NULL, NULL);

  return g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", subject, NULL);
}

/**
 * afrpc_nats_caller_get_connection: (attributes org.gtk.Method.get_property=connection)
 * @self: a caller
 *
 * Gets the connection.
 *
 * Returns: (transfer none): the connection
 *
 * Since: 1.0
 */
AfrpcNatsConnection *
afrpc_nats_caller_get_connection (AfrpcNatsCaller *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CALLER (self), NULL);

  return self->connection;
}

/**
 * afrpc_nats_caller_get_subject: (attributes org.gtk.Method.get_property=subject)
 * @self: a caller
 *
 * Gets the subject.
 *
 * Returns: (transfer none): the subject
 *
 * Since: 1.0
 */
const char *
afrpc_nats_caller_get_subject (AfrpcNatsCaller *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CALLER (self), NULL);

  return self->subject;
}

/**
 * afrpc_nats_caller_get_n_calls_queued:
 * @self: a caller
 *
 * Gets how many calls wait for a server that has room.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
afrpc_nats_caller_get_n_calls_queued (AfrpcNatsCaller *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CALLER (self), 0);

  return afrpc_nats_caller_count_queued (self);
}

/**
 * afrpc_nats_caller_get_n_calls_sent:
 * @self: a caller
 *
 * Gets how many calls servers have.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
afrpc_nats_caller_get_n_calls_sent (AfrpcNatsCaller *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CALLER (self), 0);

  return g_hash_table_size (self->by_id);
}

/**
 * afrpc_nats_caller_get_n_servers:
 * @self: a caller
 *
 * Gets how many servers the caller has calls at, or would send some to.
 *
 * One that has no calls, and has said nothing for 5 seconds, is asked whether it is there. One that was killed is not counted any more
 * then, and one whose machine or network has gone not after the time of two beats more, by default one second. A server that
 * has no calls and no room is left out as well, until it has.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
afrpc_nats_caller_get_n_servers (AfrpcNatsCaller *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CALLER (self), 0);

  return self->remote_list->len;
}
