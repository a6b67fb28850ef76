/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-server-parts.h"

#include <errno.h>
#include <unistd.h>

#define MAX_MESSAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT (128) << 20)
#define BEAT_MS_DEFAULT 500u
#define CALLER_TIMEOUT_MS_DEFAULT 10000u
#define PROGRESS_MAX (256u << 20)
#define ACKNOWLEDGE_US (2 * G_USEC_PER_SEC) /* for which the end waits for callers to have outcomes */
#define QUEUE_NAME "afrpc"
#define LOST_US 100000 /* how often it is looked whether it can be told that events were lost */
#define EVENT_OVERHEAD 64u /* bytes of a message besides the event */

/**
 * AfrpcNatsServer:
 *
 * Serves a subject of NATS with a caller, usually a [class@Afrpc.Pool].
 *
 * Any number may serve the same subject, and come and go: calls of an [class@AfrpcNats.Caller] go to one that has room.
 * A server says how many calls it would take, and is sent no more: for a pool as many as there are workers, and of
 * short calls some besides that hide the way there and back; or [property@AfrpcNats.Server:max-calls].
 *
 * A call is begun once, whatever is lost under way. Its outcome is kept until its caller has it. Calls of a caller that has
 * gone, and is not back within [property@AfrpcNats.Server:caller-timeout-ms], are cancelled.
 *
 * When the caller was closed, or is a pool that has [failed][method@Afrpc.Pool.get_failure], the server stops as if it
 * had been [told to][method@AfrpcNats.Server.stop_async], and calls that had not been begun go elsewhere.
 *
 * Events of the caller go to all who listen, and nobody says whether he has them: while NATS takes none, 32 MiB of them are kept.
 * How many were lost besides is told by [signal@AfrpcNats.Server::error], as %AFRPC_ERROR_BUSY, once it takes some again, and of each
 * that is larger than NATS takes at once, %AFRPC_ERROR_TOO_LARGE.
 *
 * While there are calls, each caller that has some is told twice a second that the server lives: its main context has
 * to be run, or it is taken for dead.
 *
 * ## Main context and threads
 *
 * It belongs to the main context that was the thread-default one when it was made, which has to be that of its caller.
 *
 * Since: 1.0
 */

enum
{
  PROP_CONNECTION = 1,
  PROP_SUBJECT,
  PROP_CALLER,
  PROP_NAME,
  PROP_MAX_MESSAGE_SIZE,
  PROP_BEAT_MS,
  PROP_MAX_CALLS,
  PROP_CALLER_TIMEOUT_MS,
  N_PROPS,
};

enum
{
  SIGNAL_ERROR,
  N_SIGNALS,
};

static GParamSpec *props[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (AfrpcNatsServer, afrpc_nats_server, G_TYPE_OBJECT)

/* The end */

static void
unsubscribe (AfrpcNatsServer *self,
             guint            i)
{
  if (self->subscriptions[i] != 0)
    afrpc_nats_link_unsubscribe (afrpc_nats_server_get_link (self), self->subscriptions[i]);
  self->subscriptions[i] = 0;
}

static void
disconnect (AfrpcNatsServer *self)
{
  AfrpcNatsInbox *inbox = self->inbox;

  if (inbox == NULL)
    return;

  if (!afrpc_nats_link_is_inherited (afrpc_nats_server_get_link (self)))
    afrpc_nats_server_flush (self);
  self->inbox = NULL;
  afrpc_nats_server_clear_clients (self);
  for (guint i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
    unsubscribe (self, i);
  afrpc_nats_link_unwatch (afrpc_nats_server_get_link (self), inbox);
  afrpc_nats_inbox_close (inbox);
  afrpc_nats_inbox_unref (inbox);
}

static guint
count_outcomes (AfrpcNatsServer *self)
{
  guint n = 0;

  for (GList *link = self->client_list.head; link != NULL; link = link->next)
    n += ((AfrpcNatsClient *) link->data)->calls.length;

  return n;
}

/* Returns: when something of what goes in parts has arrived last, with a caller that has not got all of it; 0 if there is none */
static gint64
get_moved_us (AfrpcNatsServer *self)
{
  gint64 last_us = 0;

  for (GList *link = self->client_list.head; link != NULL; link = link->next)
    {
      AfrpcNatsClient *client = link->data;
      gint64 moved_us;

      if (client->calls.length == 0)
        continue;
      afrpc_nats_link_get_waiting_us (afrpc_nats_server_get_link (self), client->outbox.flow, &moved_us);
      last_us = MAX (last_us, moved_us);
    }

  return last_us;
}

/* It is to stop, and all calls have their outcomes, which have arrived, or nobody takes them. */
static void
check_over (AfrpcNatsServer *self)
{
  const gint64 now_us = g_get_monotonic_time ();
  gint64 end_us;
  GTask *task;

  if (self->state != AFRPC_NATS_SERVER_DRAINING || self->n_running > 0)
    return;
  if (self->drained_us == 0)
    self->drained_us = now_us;
  end_us = MAX (self->drained_us, get_moved_us (self)) + ACKNOWLEDGE_US;
  if (self->failure == NULL && now_us < end_us && count_outcomes (self) > 0)
    {
      afrpc_nats_inbox_arm (self->inbox, end_us);
      return;
    }

  self->state = AFRPC_NATS_SERVER_OVER;
  disconnect (self);
  while ((task = g_queue_pop_head (&self->tasks)) != NULL)
    {
      g_task_set_task_data (task, NULL, NULL);
      g_task_return_boolean (task, TRUE);
      g_object_unref (task);
    }
}

/* What arrives */

/* What was granted before is void: it may have been used, and be lost. */
static void
take_connected (AfrpcNatsServer *self)
{
  if (self->was_connected)
    {
      afrpc_nats_server_revoke_all (self);
      for (GList *link = self->client_list.head; link != NULL; link = link->next)
        afrpc_nats_server_resend (self, link->data);
      self->beat_us = 0;
      afrpc_nats_inbox_arm (self->inbox, g_get_monotonic_time ());
    }
  self->was_connected = TRUE;
}

/* What is not allowed is not allowed the next time either: who cannot hear demands, or callers, serves nobody. Where callers are,
 * nobody may be allowed to publish: that one has no use for this server. */
static void
take_forbidden (AfrpcNatsServer *self,
                AfrpcNatsItem   *item)
{
  g_autofree char *all = g_strconcat (self->subject, ".all", NULL);

  if (g_str_has_prefix (item->subject, self->inbox_subject) || g_str_equal (item->subject, self->subject) ||
      g_str_equal (item->subject, all))
    {
      afrpc_nats_server_give_up (self, item->error);
      return;
    }

  if (g_strcmp0 (self->forbidden, item->subject) == 0)
    return;
  g_free (self->forbidden);
  self->forbidden = g_strdup (item->subject);
  g_queue_push_tail (&self->errors, g_error_new_literal (AFRPC_ERROR, AFRPC_ERROR_FAILED, item->error->message));
}

static void
take_cb (AfrpcNatsItem *item,
         gpointer       data)
{
  AfrpcNatsServer *self = data;

  switch (item->kind)
    {
    case AFRPC_NATS_ITEM_MESSAGE:
      afrpc_nats_server_take_message (self, item);
      break;

    case AFRPC_NATS_ITEM_CHECKED:
      afrpc_nats_server_take_checked (self, item);
      break;

    case AFRPC_NATS_ITEM_NO_RESPONDERS:
      afrpc_nats_server_take_no_responders (self, item->subject);
      break;

    case AFRPC_NATS_ITEM_CONNECTED:
      self->is_connected = TRUE;
      take_connected (self);
      break;

    case AFRPC_NATS_ITEM_FAILED:
      if (self->failure == NULL)
        self->failure = g_error_copy (item->error);
      g_queue_push_tail (&self->errors, g_error_copy (item->error));
      break;

    case AFRPC_NATS_ITEM_ERROR:
      g_queue_push_tail (&self->errors, g_error_copy (item->error));
      break;

    case AFRPC_NATS_ITEM_FORBIDDEN:
      take_forbidden (self, item);
      break;

    /* Where callers are, they have said; if nothing can be sent there, they do without. */
    case AFRPC_NATS_ITEM_UNSENT:
      break;

    case AFRPC_NATS_ITEM_DISCONNECTED:
      self->is_connected = FALSE;
      break;

    case AFRPC_NATS_ITEM_CLOSED:
    case AFRPC_NATS_ITEM_PONG:
    case AFRPC_NATS_ITEM_CANCEL:
    default:
      break;
    }
}

static void
tell_lost (AfrpcNatsServer *self)
{
  if (self->n_events_lost == 0)
    return;

  g_queue_push_tail (&self->errors, g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY,
                                                 "%u events were lost: NATS does not take them so fast, or is away",
                                                 self->n_events_lost));
  self->n_events_lost = 0;
  afrpc_nats_inbox_wake (self->inbox);
}

static void
deadline_cb (gpointer data)
{
  AfrpcNatsServer *self = data;
  const gint64 now_us = g_get_monotonic_time ();

  if (self->n_events_lost > 0 && afrpc_nats_link_get_queued (afrpc_nats_server_get_link (self)) < AFRPC_NATS_EVENTS_MAX)
    tell_lost (self);
  else if (self->n_events_lost > 0)
    afrpc_nats_inbox_arm (self->inbox, now_us + LOST_US);
  afrpc_nats_server_check_started (self, now_us);
  afrpc_nats_server_check_clients (self, now_us);
}

static void
before_wait_cb (gpointer data)
{
  afrpc_nats_server_flush (data);
}

static void
tell_cb (gpointer data)
{
  g_autoptr(AfrpcNatsServer) self = g_object_ref (data);
  GError *error;

  while ((error = g_queue_pop_head (&self->errors)) != NULL)
    {
      g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
      g_error_free (error);
    }
  check_over (self);
}

static const AfrpcNatsInboxFuncs inbox_funcs = { take_cb, deadline_cb, before_wait_cb, tell_cb };

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  AfrpcNatsServer *self = data;

  AfrpcNatsLink *link = afrpc_nats_server_get_link (self);
  const gsize size = g_variant_get_size (event);

  if (self->inbox == NULL)
    return;

  /* Whoever listens is not asked whether he has it: there may be anybody. */
  if (size + EVENT_OVERHEAD > MIN (self->max_message_size, afrpc_nats_link_get_payload_max (link)))
    {
      g_queue_push_tail (&self->errors, g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                                                     "an event of %" G_GSIZE_FORMAT " bytes was lost: NATS does not take so much at once",
                                                     size));
      afrpc_nats_inbox_wake (self->inbox);
      return;
    }
  if (afrpc_nats_link_get_queued (link) > AFRPC_NATS_EVENTS_MAX)
    {
      self->n_events_lost++;
      afrpc_nats_inbox_arm (self->inbox, g_get_monotonic_time () + LOST_US);
      return;
    }

  tell_lost (self);
  afrpc_nats_outbox_add (&self->events, link, AFRPC_NATS_EVENT, 0, 0, g_variant_new_variant (event));
}

static void
error_cb (AfrpcCaller  *caller,
          const GError *error,
          gpointer      data)
{
  g_signal_emit (data, signals[SIGNAL_ERROR], 0, error);
}

/* The object */

static char *
new_name (void)
{
  /* Programs in other languages have told GLib nothing. */
  const char *program = g_get_prgname () != NULL ? g_get_prgname () : program_invocation_short_name;

  return g_strdup_printf ("%s (%s, pid %d)", g_get_host_name (), program, getpid ());
}

static void
afrpc_nats_server_constructed (GObject *object)
{
  AfrpcNatsServer *self = AFRPC_NATS_SERVER (object);

  G_OBJECT_CLASS (afrpc_nats_server_parent_class)->constructed (object);

  self->context = g_main_context_ref_thread_default ();
  self->id = (guint64) g_random_int () << 32 | g_random_int ();
  if (self->name == NULL)
    self->name = new_name ();
  if (self->connection == NULL || self->subject == NULL || self->caller == NULL)
    g_critical ("a server over NATS without a connection, a subject or a caller");
  else
    self->inbox_subject = afrpc_nats_connection_new_inbox (self->connection);
}

static void
afrpc_nats_server_dispose (GObject *object)
{
  AfrpcNatsServer *self = AFRPC_NATS_SERVER (object);

  disconnect (self);
  /* Not before: somebody has to listen to workers that have been cancelled. */
  for (guint i = 0; i < G_N_ELEMENTS (self->signals); i++)
    g_clear_signal_handler (&self->signals[i], self->caller);

  G_OBJECT_CLASS (afrpc_nats_server_parent_class)->dispose (object);
}

static void
afrpc_nats_server_finalize (GObject *object)
{
  AfrpcNatsServer *self = AFRPC_NATS_SERVER (object);

  g_assert (self->tasks.length == 0);
  g_queue_clear_full (&self->errors, (GDestroyNotify) g_error_free);
  afrpc_nats_outbox_clear (&self->events, NULL);
  g_hash_table_unref (self->clients);
  g_ptr_array_unref (self->dirty);
  g_clear_object (&self->connection);
  g_clear_object (&self->caller);
  g_main_context_unref (self->context);
  g_free (self->subject);
  g_free (self->name);
  g_free (self->inbox_subject);
  g_free (self->forbidden);
  g_clear_error (&self->failure);

  G_OBJECT_CLASS (afrpc_nats_server_parent_class)->finalize (object);
}

static void
afrpc_nats_server_get_property (GObject    *object,
                                guint       id,
                                GValue     *value,
                                GParamSpec *pspec)
{
  AfrpcNatsServer *self = AFRPC_NATS_SERVER (object);

  switch (id)
    {
    case PROP_CONNECTION:
      g_value_set_object (value, self->connection);
      break;
    case PROP_SUBJECT:
      g_value_set_string (value, self->subject);
      break;
    case PROP_CALLER:
      g_value_set_object (value, self->caller);
      break;
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint64 (value, self->max_message_size);
      break;
    case PROP_BEAT_MS:
      g_value_set_uint (value, self->beat_ms);
      break;
    case PROP_MAX_CALLS:
      g_value_set_uint (value, self->max_calls);
      break;
    case PROP_CALLER_TIMEOUT_MS:
      g_value_set_uint (value, self->caller_timeout_ms);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
afrpc_nats_server_set_property (GObject      *object,
                                guint         id,
                                const GValue *value,
                                GParamSpec   *pspec)
{
  AfrpcNatsServer *self = AFRPC_NATS_SERVER (object);

  switch (id)
    {
    case PROP_CONNECTION:
      self->connection = g_value_dup_object (value);
      break;
    case PROP_SUBJECT:
      self->subject = g_value_dup_string (value);
      break;
    case PROP_CALLER:
      self->caller = g_value_dup_object (value);
      break;
    case PROP_NAME:
      self->name = g_value_dup_string (value);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      self->max_message_size = g_value_get_uint64 (value);
      break;
    case PROP_BEAT_MS:
      self->beat_ms = g_value_get_uint (value);
      break;
    case PROP_MAX_CALLS:
      self->max_calls = g_value_get_uint (value);
      break;
    case PROP_CALLER_TIMEOUT_MS:
      self->caller_timeout_ms = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
afrpc_nats_server_class_init (AfrpcNatsServerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags constructed = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS;

  object_class->constructed = afrpc_nats_server_constructed;
  object_class->dispose = afrpc_nats_server_dispose;
  object_class->finalize = afrpc_nats_server_finalize;
  object_class->get_property = afrpc_nats_server_get_property;
  object_class->set_property = afrpc_nats_server_set_property;

  /**
   * AfrpcNatsServer:connection: (attributes org.gtk.Property.get=afrpc_nats_server_get_connection)
   *
   * The connection.
   *
   * Since: 1.0
   */
  props[PROP_CONNECTION] = g_param_spec_object ("connection", NULL, NULL, AFRPC_NATS_TYPE_CONNECTION, constructed);

  /**
   * AfrpcNatsServer:subject: (attributes org.gtk.Property.get=afrpc_nats_server_get_subject)
   *
   * The subject that is served.
   *
   * Since: 1.0
   */
  props[PROP_SUBJECT] = g_param_spec_string ("subject", NULL, NULL, NULL, constructed);

  /**
   * AfrpcNatsServer:caller: (attributes org.gtk.Property.get=afrpc_nats_server_get_caller)
   *
   * What makes the calls here. It stays the program's own: whoever stops the server closes it.
   *
   * Since: 1.0
   */
  props[PROP_CALLER] = g_param_spec_object ("caller", NULL, NULL, AFRPC_TYPE_CALLER, constructed);

  /**
   * AfrpcNatsServer:name: (attributes org.gtk.Property.get=afrpc_nats_server_get_name)
   *
   * What callers' errors call the server; by default machine, program and process.
   *
   * Since: 1.0
   */
  props[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, constructed);

  /**
   * AfrpcNatsServer:max-message-size:
   *
   * The largest arguments that are taken, and the largest result that is sent, in bytes.
   *
   * Since: 1.0
   */
  props[PROP_MAX_MESSAGE_SIZE] = g_param_spec_uint64 ("max-message-size", NULL, NULL, 1, G_MAXINT32 - (1 << 20),
                                                      MAX_MESSAGE_SIZE_DEFAULT, constructed);

  /**
   * AfrpcNatsServer:beat-ms:
   *
   * How often callers that have calls are told that the server lives, in milliseconds. One that has heard nothing for two
   * such times takes it for dead.
   *
   * Since: 1.0
   */
  props[PROP_BEAT_MS] = g_param_spec_uint ("beat-ms", NULL, NULL, 10, 60000, BEAT_MS_DEFAULT, constructed);

  /**
   * AfrpcNatsServer:max-calls:
   *
   * How many calls are taken at once; 0 for as many as a pool has workers, and of calls that take less than some
   * milliseconds so many more that these always have something to do; of another caller one, and those.
   *
   * Since: 1.0
   */
  props[PROP_MAX_CALLS] = g_param_spec_uint ("max-calls", NULL, NULL, 0, G_MAXUINT16, 0, writable);

  /**
   * AfrpcNatsServer:caller-timeout-ms:
   *
   * For how long a caller may have no connection before its calls are cancelled, and their outcomes forgotten, in
   * milliseconds.
   *
   * Since: 1.0
   */
  props[PROP_CALLER_TIMEOUT_MS] =
    g_param_spec_uint ("caller-timeout-ms", NULL, NULL, 0, G_MAXINT, CALLER_TIMEOUT_MS_DEFAULT, writable);

  g_object_class_install_properties (object_class, N_PROPS, props);

  /**
   * AfrpcNatsServer::error:
   * @self: the server
   * @error: what happened
   *
   * Something went wrong that belongs to no call: what [signal@Afrpc.Caller::error] of the caller says, a message that
   * is none of afrpc's, or that the connection is [over][method@AfrpcNats.Connection.get_failure].
   *
   * Since: 1.0
   */
  signals[SIGNAL_ERROR] = g_signal_new ("error", AFRPC_NATS_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                                        G_TYPE_ERROR);
}

static void
afrpc_nats_server_init (AfrpcNatsServer *self)
{
  self->progress_max = PROGRESS_MAX;
  afrpc_nats_server_init_clients (self);
}

/* Public */

/**
 * afrpc_nats_server_new:
 * @connection: a connection
 * @subject: the subject to be served
 * @caller: what makes the calls here
 *
 * Makes a server, which has to be [started][method@AfrpcNats.Server.start].
 *
 * Returns: (transfer full): a server
 *
 * Since: 1.0
 */
AfrpcNatsServer *
afrpc_nats_server_new (AfrpcNatsConnection *connection,
                       const char          *subject,
                       AfrpcCaller         *caller)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CONNECTION (connection), NULL);
  g_return_val_if_fail (subject != NULL, NULL);
  g_return_val_if_fail (AFRPC_IS_CALLER (caller), NULL);

  return g_object_new (AFRPC_NATS_TYPE_SERVER, "connection", connection, "subject", subject, "caller", caller, NULL);
}

/**
 * afrpc_nats_server_get_connection: (attributes org.gtk.Method.get_property=connection)
 * @self: a server
 *
 * Gets the connection.
 *
 * Returns: (transfer none): the connection
 *
 * Since: 1.0
 */
AfrpcNatsConnection *
afrpc_nats_server_get_connection (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), NULL);

  return self->connection;
}

/**
 * afrpc_nats_server_get_subject: (attributes org.gtk.Method.get_property=subject)
 * @self: a server
 *
 * Gets the subject.
 *
 * Returns: (transfer none): the subject
 *
 * Since: 1.0
 */
const char *
afrpc_nats_server_get_subject (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), NULL);

  return self->subject;
}

/**
 * afrpc_nats_server_get_caller: (attributes org.gtk.Method.get_property=caller)
 * @self: a server
 *
 * Gets what makes the calls here.
 *
 * Returns: (transfer none): the caller
 *
 * Since: 1.0
 */
AfrpcCaller *
afrpc_nats_server_get_caller (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), NULL);

  return self->caller;
}

/**
 * afrpc_nats_server_get_name: (attributes org.gtk.Method.get_property=name)
 * @self: a server
 *
 * Gets what callers' errors call the server.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
afrpc_nats_server_get_name (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), NULL);

  return self->name;
}

/**
 * afrpc_nats_server_start:
 * @self: a server
 *
 * Serves the subject from now on, as soon as there is a connection, until it is
 * [stopped][method@AfrpcNats.Server.stop_async] or dropped. If NATS does not take the subject, see
 * [property@AfrpcNats.Caller:subject], [signal@AfrpcNats.Server::error] says so, and it has stopped.
 *
 * Since: 1.0
 */
void
afrpc_nats_server_start (AfrpcNatsServer *self)
{
  g_autofree char *pattern = NULL;
  g_autofree char *all = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsLink *link;

  g_return_if_fail (AFRPC_NATS_IS_SERVER (self));
  g_return_if_fail (self->inbox_subject != NULL);

  if (self->state != AFRPC_NATS_SERVER_NEW || afrpc_nats_link_is_inherited (afrpc_nats_server_get_link (self)))
    return;

  self->state = AFRPC_NATS_SERVER_SERVING;
  pattern = g_strconcat (self->inbox_subject, ".>", NULL);
  all = g_strconcat (self->subject, ".all", NULL);
  afrpc_nats_outbox_init (&self->events, g_strconcat (self->subject, ".event", NULL), NULL, NULL, self->id);
  self->inbox = afrpc_nats_inbox_new (self->context, &inbox_funcs, self);
  if (!afrpc_nats_check_subject (self->subject, &error))
    {
      afrpc_nats_server_give_up (self, error);
      return;
    }

  self->signals[0] = g_signal_connect (self->caller, "event", G_CALLBACK (event_cb), self);
  self->signals[1] = g_signal_connect (self->caller, "error", G_CALLBACK (error_cb), self);
  link = afrpc_nats_server_get_link (self);
  self->subscriptions[0] = afrpc_nats_link_subscribe (link, pattern, NULL, self->inbox, AFRPC_NATS_TAG_INBOX, FALSE);
  self->subscriptions[1] = afrpc_nats_link_subscribe (link, all, NULL, self->inbox, AFRPC_NATS_TAG_ALL, FALSE);
  self->subscriptions[2] = afrpc_nats_link_subscribe (link, self->subject, QUEUE_NAME, self->inbox, AFRPC_NATS_TAG_QUEUE, FALSE);
  afrpc_nats_link_watch (link, self->inbox);
}

/* Callers look for others, and what they have sent already goes to those, too. */
static void
drain (AfrpcNatsServer *self)
{
  /* What is of the process that this one was forked from is left to that. */
  if (self->state == AFRPC_NATS_SERVER_NEW || afrpc_nats_link_is_inherited (afrpc_nats_server_get_link (self)))
    self->state = AFRPC_NATS_SERVER_OVER;
  if (self->state != AFRPC_NATS_SERVER_SERVING)
    return;

  self->state = AFRPC_NATS_SERVER_DRAINING;
  unsubscribe (self, 1);
  unsubscribe (self, 2);
  afrpc_nats_server_revoke_all (self);
  afrpc_nats_inbox_wake (self->inbox);
}

/* Nothing can be called here any more: others serve, or callers learn that nobody does. */
void
afrpc_nats_server_give_up (AfrpcNatsServer *self,
                           const GError    *error)
{
  if (self->state != AFRPC_NATS_SERVER_SERVING)
    return;

  g_queue_push_tail (&self->errors, g_error_copy (error));
  drain (self);
}

static void
destroy_source (gpointer source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

static gboolean
stop_cancelled_cb (GCancellable *cancellable,
                   gpointer      data)
{
  g_autoptr(GTask) task = data;
  AfrpcNatsServer *self = g_task_get_source_object (task);

  g_queue_remove (&self->tasks, task);
  g_task_return_error_if_cancelled (task);

  return G_SOURCE_REMOVE;
}

/**
 * afrpc_nats_server_stop_async:
 * @self: a server
 * @cancellable: (nullable): stops waiting, not the stopping
 * @callback: (scope async) (closure user_data): called when it has stopped
 * @user_data: data for @callback
 *
 * Takes no more calls, and stops once those that there are have their outcomes, and their callers have these, or for
 * two seconds have taken nothing of them.
 *
 * Calls that come meanwhile go to other servers. To end those that run, kill the [property@AfrpcNats.Server:caller].
 *
 * Since: 1.0
 */
void
afrpc_nats_server_stop_async (AfrpcNatsServer     *self,
                              GCancellable        *cancellable,
                              GAsyncReadyCallback  callback,
                              gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  GSource *source;

  g_return_if_fail (AFRPC_NATS_IS_SERVER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_nats_server_stop_async);
  g_task_set_check_cancellable (task, FALSE);
  drain (self);
  if (self->state == AFRPC_NATS_SERVER_OVER)
    {
      g_task_return_boolean (task, TRUE);
      return;
    }

  if (cancellable != NULL)
    {
      source = g_cancellable_source_new (cancellable);
      g_source_set_static_name (source, "[afrpc] stop of a server cancelled");
      g_source_set_callback (source, G_SOURCE_FUNC (stop_cancelled_cb), task, NULL);
      g_source_attach (source, g_task_get_context (task));
      g_task_set_task_data (task, source, destroy_source);
    }
  g_queue_push_tail (&self->tasks, g_steal_pointer (&task));
}

/**
 * afrpc_nats_server_stop_finish:
 * @self: a server
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@AfrpcNats.Server.stop_async].
 *
 * Returns: %TRUE if it has stopped
 *
 * Since: 1.0
 */
gboolean
afrpc_nats_server_stop_finish (AfrpcNatsServer  *self,
                               GAsyncResult     *result,
                               GError          **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_nats_server_stop_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * afrpc_nats_server_get_n_calls_running:
 * @self: a server
 *
 * Gets how many calls there are that have no outcome.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
afrpc_nats_server_get_n_calls_running (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), 0);

  return self->n_running;
}

/**
 * afrpc_nats_server_get_n_calls_done:
 * @self: a server
 *
 * Gets how many calls have had an outcome, errors among them.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
afrpc_nats_server_get_n_calls_done (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), 0);

  return self->n_done;
}

/**
 * afrpc_nats_server_get_n_calls_refused:
 * @self: a server
 *
 * Gets how many calls were not begun: they came when there was no room, or were cancelled before they came, or were wanted
 * back since they waited here and somebody else had room. Their callers give them to others.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
afrpc_nats_server_get_n_calls_refused (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), 0);

  return self->n_refused;
}

/**
 * afrpc_nats_server_get_n_callers:
 * @self: a server
 *
 * Gets how many callers are known that have calls here, may send some, or have had some lately.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
afrpc_nats_server_get_n_callers (AfrpcNatsServer *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_SERVER (self), 0);

  return g_hash_table_size (self->clients);
}
