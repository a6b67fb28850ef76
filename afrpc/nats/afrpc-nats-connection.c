/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-connection-private.h"
#include "nats/afrpc-nats-thread.h"

#include "afrpc-nats-enum-types.h"

#define CONNECT_TIMEOUT_MS_DEFAULT 2000u
#define URL_DEFAULT "nats://127.0.0.1:4222"
#define INBOX_PREFIX_DEFAULT "_INBOX"

/**
 * AfrpcNatsConnection:
 *
 * A connection to NATS, for any number of callers and servers.
 *
 * It connects as soon as it is made, and again whenever it is lost, to the first of its
 * [property@AfrpcNats.Connection:servers] that is there, or another one of theirs. Only if the first attempt fails, or
 * a server sends it away for good, it has [failed][method@AfrpcNats.Connection.get_failure], and calls fail with that.
 *
 * Nothing ever blocks: all that may take time is done by a thread of its own.
 *
 * ## Main context and threads
 *
 * It belongs to the main context that was the thread-default one when it was made: there its properties change. What
 * uses it may live in other contexts.
 *
 * Since: 1.0
 */

enum
{
  PROP_SERVERS = 1,
  PROP_NAME,
  PROP_USER,
  PROP_PASSWORD,
  PROP_TOKEN,
  PROP_CREDENTIALS_FILE,
  PROP_NKEY,
  PROP_NKEY_SEED_FILE,
  PROP_TLS,
  PROP_TLS_CA_FILE,
  PROP_TLS_CERTIFICATE_FILE,
  PROP_TLS_KEY_FILE,
  PROP_TLS_HOSTNAME,
  PROP_CONNECT_TIMEOUT_MS,
  PROP_INBOX_PREFIX,
  PROP_STATE,
  PROP_URL,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

struct _AfrpcNatsConnection
{
  GObject parent_instance;

  AfrpcNatsSettings settings; /* construct-only */
  char *description;          /* its servers, in messages */

  AfrpcNatsLink *link;        /* (owned) */
  AfrpcNatsInbox *inbox;      /* (owned) */
  AfrpcNatsState state;
  char *url;                  /* (nullable) */
  GError *failure;            /* (nullable) */
  GQueue tasks;               /* (element-type GTask): who wait for the end */
  gboolean is_closing;
  gboolean is_closed;
};

G_DEFINE_FINAL_TYPE (AfrpcNatsConnection, afrpc_nats_connection, G_TYPE_OBJECT)

/* What is told */

static void
set_state (AfrpcNatsConnection *self,
           AfrpcNatsState       state,
           const char          *url) /* (nullable) */
{
  g_object_freeze_notify (G_OBJECT (self));
  if (self->state != state)
    {
      self->state = state;
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_STATE]);
    }
  if (g_strcmp0 (self->url, url) != 0)
    {
      g_free (self->url);
      self->url = g_strdup (url);
      g_object_notify_by_pspec (G_OBJECT (self), props[PROP_URL]);
    }
  g_object_thaw_notify (G_OBJECT (self));
}

static void
take_closed (AfrpcNatsConnection *self)
{
  GTask *task;

  afrpc_nats_threads_join ();
  self->is_closed = TRUE;
  while ((task = g_queue_pop_head (&self->tasks)) != NULL)
    {
      g_task_return_boolean (task, TRUE);
      g_object_unref (task);
    }
}

static void
take_cb (AfrpcNatsItem *item,
         gpointer       data)
{
  g_autoptr(AfrpcNatsConnection) self = g_object_ref (data);

  switch (item->kind)
    {
    case AFRPC_NATS_ITEM_CONNECTED:
      set_state (self, AFRPC_NATS_STATE_CONNECTED, item->subject);
      break;

    case AFRPC_NATS_ITEM_DISCONNECTED:
      set_state (self, AFRPC_NATS_STATE_DISCONNECTED, item->subject);
      break;

    case AFRPC_NATS_ITEM_FAILED:
      if (self->failure == NULL)
        self->failure = g_error_copy (item->error);
      set_state (self, AFRPC_NATS_STATE_FAILED, item->subject);
      break;

    case AFRPC_NATS_ITEM_CLOSED:
      take_closed (self);
      break;

    case AFRPC_NATS_ITEM_ERROR:
    case AFRPC_NATS_ITEM_MESSAGE:
    case AFRPC_NATS_ITEM_CHECKED:
    case AFRPC_NATS_ITEM_NO_RESPONDERS:
    case AFRPC_NATS_ITEM_FORBIDDEN:
    case AFRPC_NATS_ITEM_UNSENT:
    case AFRPC_NATS_ITEM_PONG:
    case AFRPC_NATS_ITEM_CANCEL:
    default:
      break;
    }
}

static void
ignore_cb (gpointer data)
{
}

static const AfrpcNatsInboxFuncs inbox_funcs = { take_cb, ignore_cb, ignore_cb, ignore_cb };

/* The object */

static void
afrpc_nats_connection_constructed (GObject *object)
{
  AfrpcNatsConnection *self = AFRPC_NATS_CONNECTION (object);
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();

  G_OBJECT_CLASS (afrpc_nats_connection_parent_class)->constructed (object);

  if (self->settings.servers == NULL || self->settings.servers[0] == NULL)
    {
      g_strfreev (self->settings.servers);
      self->settings.servers = g_strsplit (URL_DEFAULT, ",", 0);
    }
  if (self->settings.name == NULL)
    self->settings.name = g_strdup (g_get_prgname ());
  self->description = afrpc_nats_settings_describe (&self->settings);
  self->inbox = afrpc_nats_inbox_new (context, &inbox_funcs, self);
  self->link = afrpc_nats_link_new (&self->settings);
  afrpc_nats_link_watch (self->link, self->inbox);
}

static void
afrpc_nats_connection_finalize (GObject *object)
{
  AfrpcNatsConnection *self = AFRPC_NATS_CONNECTION (object);

  afrpc_nats_inbox_close (self->inbox);
  afrpc_nats_inbox_unref (self->inbox);
  if (!self->is_closing)
    afrpc_nats_link_close (self->link, NULL);
  afrpc_nats_link_unref (self->link);
  afrpc_nats_settings_clear (&self->settings);
  g_free (self->description);
  g_free (self->url);
  g_clear_error (&self->failure);

  G_OBJECT_CLASS (afrpc_nats_connection_parent_class)->finalize (object);
}

/* Returns: (nullable): where that is kept */
static char **
get_text (AfrpcNatsConnection *self,
          guint                id)
{
  switch (id)
    {
    case PROP_NAME:
      return &self->settings.name;
    case PROP_USER:
      return &self->settings.user;
    case PROP_PASSWORD:
      return &self->settings.password;
    case PROP_TOKEN:
      return &self->settings.token;
    case PROP_CREDENTIALS_FILE:
      return &self->settings.credentials_file;
    case PROP_NKEY:
      return &self->settings.nkey;
    case PROP_NKEY_SEED_FILE:
      return &self->settings.nkey_seed_file;
    case PROP_TLS_CA_FILE:
      return &self->settings.tls_ca_file;
    case PROP_TLS_CERTIFICATE_FILE:
      return &self->settings.tls_certificate_file;
    case PROP_TLS_KEY_FILE:
      return &self->settings.tls_key_file;
    case PROP_TLS_HOSTNAME:
      return &self->settings.tls_hostname;
    case PROP_INBOX_PREFIX:
      return &self->settings.inbox_prefix;
    default:
      return NULL;
    }
}

static void
afrpc_nats_connection_get_property (GObject    *object,
                                    guint       id,
                                    GValue     *value,
                                    GParamSpec *pspec)
{
  AfrpcNatsConnection *self = AFRPC_NATS_CONNECTION (object);

  if (get_text (self, id) != NULL)
    g_value_set_string (value, *get_text (self, id));
  else if (id == PROP_SERVERS)
    g_value_set_boxed (value, self->settings.servers);
  else if (id == PROP_TLS)
    g_value_set_boolean (value, self->settings.tls);
  else if (id == PROP_CONNECT_TIMEOUT_MS)
    g_value_set_uint (value, self->settings.connect_timeout_ms);
  else if (id == PROP_STATE)
    g_value_set_enum (value, self->state);
  else if (id == PROP_URL)
    g_value_set_string (value, self->url);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
afrpc_nats_connection_set_property (GObject      *object,
                                    guint         id,
                                    const GValue *value,
                                    GParamSpec   *pspec)
{
  AfrpcNatsConnection *self = AFRPC_NATS_CONNECTION (object);

  if (get_text (self, id) != NULL)
    *get_text (self, id) = g_value_dup_string (value);
  else if (id == PROP_SERVERS)
    self->settings.servers = g_value_dup_boxed (value);
  else if (id == PROP_TLS)
    self->settings.tls = g_value_get_boolean (value);
  else if (id == PROP_CONNECT_TIMEOUT_MS)
    self->settings.connect_timeout_ms = g_value_get_uint (value);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
install_text (guint       id,
              const char *name,
              const char *value) /* (nullable) */
{
  props[id] = g_param_spec_string (name, NULL, NULL, value, G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
}

static void
afrpc_nats_connection_class_init (AfrpcNatsConnectionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags constructed = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->constructed = afrpc_nats_connection_constructed;
  object_class->finalize = afrpc_nats_connection_finalize;
  object_class->get_property = afrpc_nats_connection_get_property;
  object_class->set_property = afrpc_nats_connection_set_property;

  /**
   * AfrpcNatsConnection:servers:
   *
   * The servers, as URLs: `nats://host:port`, `tls://host:port`, and with `user:password@` before the host if need be.
   * By default `nats://127.0.0.1:4222`. If one begins with `tls:`, no connection is made that is not
   * [encrypted][property@AfrpcNats.Connection:tls].
   *
   * Since: 1.0
   */
  props[PROP_SERVERS] = g_param_spec_boxed ("servers", NULL, NULL, G_TYPE_STRV, constructed);

  /**
   * AfrpcNatsConnection:name:
   *
   * What the server calls the connection; by default the name of the program.
   *
   * Since: 1.0
   */
  install_text (PROP_NAME, "name", NULL);

  /**
   * AfrpcNatsConnection:user:
   *
   * The user, who has a [property@AfrpcNats.Connection:password].
   *
   * Since: 1.0
   */
  install_text (PROP_USER, "user", NULL);

  /**
   * AfrpcNatsConnection:password:
   *
   * The password of the [property@AfrpcNats.Connection:user].
   *
   * Since: 1.0
   */
  install_text (PROP_PASSWORD, "password", NULL);

  /**
   * AfrpcNatsConnection:token:
   *
   * A token, in place of user and password.
   *
   * Since: 1.0
   */
  install_text (PROP_TOKEN, "token", NULL);

  /**
   * AfrpcNatsConnection:credentials-file: (type filename)
   *
   * A file with a user's JWT and the seed of its NKey, as `nsc` writes it.
   *
   * Since: 1.0
   */
  install_text (PROP_CREDENTIALS_FILE, "credentials-file", NULL);

  /**
   * AfrpcNatsConnection:nkey:
   *
   * The public NKey of a user, whose seed is in [property@AfrpcNats.Connection:nkey-seed-file].
   *
   * Since: 1.0
   */
  install_text (PROP_NKEY, "nkey", NULL);

  /**
   * AfrpcNatsConnection:nkey-seed-file: (type filename)
   *
   * The file with the seed of [property@AfrpcNats.Connection:nkey].
   *
   * Since: 1.0
   */
  install_text (PROP_NKEY_SEED_FILE, "nkey-seed-file", NULL);

  /**
   * AfrpcNatsConnection:tls:
   *
   * Whether the connection has to be encrypted. So it is too if there is a file for that, or a URL begins with `tls:`.
   *
   * Since: 1.0
   */
  props[PROP_TLS] = g_param_spec_boolean ("tls", NULL, NULL, FALSE, constructed);

  /**
   * AfrpcNatsConnection:tls-ca-file: (type filename)
   *
   * Certificates, in the format PEM, one of which has to have signed the server's; by default those that the system trusts.
   *
   * Since: 1.0
   */
  install_text (PROP_TLS_CA_FILE, "tls-ca-file", NULL);

  /**
   * AfrpcNatsConnection:tls-certificate-file: (type filename)
   *
   * A certificate to be shown to the server, and those that lead to it, in the format PEM.
   *
   * Since: 1.0
   */
  install_text (PROP_TLS_CERTIFICATE_FILE, "tls-certificate-file", NULL);

  /**
   * AfrpcNatsConnection:tls-key-file: (type filename)
   *
   * The key of [property@AfrpcNats.Connection:tls-certificate-file], in the format PEM.
   *
   * Since: 1.0
   */
  install_text (PROP_TLS_KEY_FILE, "tls-key-file", NULL);

  /**
   * AfrpcNatsConnection:tls-hostname:
   *
   * The name that the server's certificate has to be for; by default that in the URL.
   *
   * Since: 1.0
   */
  install_text (PROP_TLS_HOSTNAME, "tls-hostname", NULL);

  /**
   * AfrpcNatsConnection:connect-timeout-ms:
   *
   * How long each server is waited for, in milliseconds.
   *
   * Since: 1.0
   */
  props[PROP_CONNECT_TIMEOUT_MS] =
    g_param_spec_uint ("connect-timeout-ms", NULL, NULL, 1, G_MAXINT, CONNECT_TIMEOUT_MS_DEFAULT, constructed);

  /**
   * AfrpcNatsConnection:inbox-prefix:
   *
   * What the subjects begin with that only this program listens to, where the server does not allow it those of everybody.
   *
   * Since: 1.0
   */
  install_text (PROP_INBOX_PREFIX, "inbox-prefix", INBOX_PREFIX_DEFAULT);

  /**
   * AfrpcNatsConnection:state: (attributes org.gtk.Property.get=afrpc_nats_connection_get_state)
   *
   * How the connection is.
   *
   * Since: 1.0
   */
  props[PROP_STATE] =
    g_param_spec_enum ("state", NULL, NULL, AFRPC_NATS_TYPE_STATE, AFRPC_NATS_STATE_CONNECTING, readable);

  /**
   * AfrpcNatsConnection:url: (attributes org.gtk.Property.get=afrpc_nats_connection_get_url)
   *
   * The server that it is connected to, or was last, without user and password.
   *
   * Since: 1.0
   */
  props[PROP_URL] = g_param_spec_string ("url", NULL, NULL, NULL, readable);

  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
afrpc_nats_connection_init (AfrpcNatsConnection *self)
{
}

/* Inside */

AfrpcNatsLink *
afrpc_nats_connection_get_link (AfrpcNatsConnection *self)
{
  return self->link;
}

/* Its servers, in messages. */
const char *
afrpc_nats_connection_describe (AfrpcNatsConnection *self)
{
  return self->description;
}

/* Returns: (transfer full): a subject that nobody else has */
char *
afrpc_nats_connection_new_inbox (AfrpcNatsConnection *self)
{
  g_autofree char *id = g_uuid_string_random ();

  return g_strdup_printf ("%s.afrpc-%s", self->settings.inbox_prefix, id);
}

/* Public */

/**
 * afrpc_nats_connection_new:
 * @url: (nullable): a server, or several with commas between them; see [property@AfrpcNats.Connection:servers]
 *
 * Makes a connection, which connects at once.
 *
 * One that needs more than a URL is made with its properties.
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
AfrpcNatsConnection *
afrpc_nats_connection_new (const char *url)
{
  g_auto(GStrv) servers = url != NULL ? g_strsplit (url, ",", 0) : NULL;

  return g_object_new (AFRPC_NATS_TYPE_CONNECTION, "servers", servers, NULL);
}

/**
 * afrpc_nats_connection_get_state: (attributes org.gtk.Method.get_property=state)
 * @self: a connection
 *
 * Gets how the connection is, as far as has been told.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
AfrpcNatsState
afrpc_nats_connection_get_state (AfrpcNatsConnection *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CONNECTION (self), AFRPC_NATS_STATE_FAILED);

  return self->state;
}

/**
 * afrpc_nats_connection_get_url: (attributes org.gtk.Method.get_property=url)
 * @self: a connection
 *
 * Gets the server that it is connected to, or was last.
 *
 * Returns: (transfer none) (nullable): the URL; %NULL before there was one
 *
 * Since: 1.0
 */
const char *
afrpc_nats_connection_get_url (AfrpcNatsConnection *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CONNECTION (self), NULL);

  return self->url;
}

/**
 * afrpc_nats_connection_get_failure:
 * @self: a connection
 *
 * Gets why there is no connection, and will be none.
 *
 * Returns: (transfer none) (nullable): %AFRPC_ERROR_UNREACHABLE with the reason, %AFRPC_ERROR_CLOSED, or %NULL
 *
 * Since: 1.0
 */
const GError *
afrpc_nats_connection_get_failure (AfrpcNatsConnection *self)
{
  g_return_val_if_fail (AFRPC_NATS_IS_CONNECTION (self), NULL);

  return self->failure;
}

/**
 * afrpc_nats_connection_close_async:
 * @self: a connection
 * @cancellable: (nullable): a cancellable, which is not used
 * @callback: (scope async) (closure user_data): called when nothing is left of the connection
 * @user_data: data for @callback
 *
 * Closes the connection, for all that use it, once what was sent before is on its way.
 *
 * So it ends when it is dropped, too. Whoever waits for this before the program ends can be sure that what callers and
 * servers have said last was sent, and that no thread of the connection is left.
 *
 * Since: 1.0
 */
void
afrpc_nats_connection_close_async (AfrpcNatsConnection *self,
                                   GCancellable        *cancellable,
                                   GAsyncReadyCallback  callback,
                                   gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;

  g_return_if_fail (AFRPC_NATS_IS_CONNECTION (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, afrpc_nats_connection_close_async);
  g_task_set_check_cancellable (task, FALSE);
  if (self->is_closed || afrpc_nats_link_is_inherited (self->link))
    {
      g_task_return_boolean (task, TRUE);
      return;
    }

  g_queue_push_tail (&self->tasks, g_steal_pointer (&task));
  if (self->is_closing)
    return;

  self->is_closing = TRUE;
  if (self->failure == NULL)
    self->failure = g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the connection to %s was closed", self->description);
  afrpc_nats_link_close (self->link, self->inbox);
  set_state (self, AFRPC_NATS_STATE_FAILED, self->url);
}

/**
 * afrpc_nats_connection_close_finish:
 * @self: a connection
 * @result: the result
 * @error: return location for an error
 *
 * Gets the result of [method@AfrpcNats.Connection.close_async].
 *
 * Returns: %TRUE
 *
 * Since: 1.0
 */
gboolean
afrpc_nats_connection_close_finish (AfrpcNatsConnection  *self,
                                    GAsyncResult         *result,
                                    GError              **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, afrpc_nats_connection_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
