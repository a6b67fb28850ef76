/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <glib/gstdio.h>
#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>

/* Who is let in by NATS, and over which connections. */

#define NEW_KEY "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

/* What openssl makes and the NATS server and connections use, in a folder. */
typedef struct
{
  NatsServer nats;
  char *folder;
  char *ca;
  char *certificate;
  char *key;
  char *config;
} Secured;

static char *
in_folder (Secured    *self,
           const char *name)
{
  return g_build_filename (self->folder, name, NULL);
}

static void
run (Secured    *self,
     const char *format,
     ...)
{
  g_autofree char *command = NULL;
  g_auto(GStrv) argv = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *said = NULL;
  int status;
  va_list args;

  va_start (args, format);
  command = g_strdup_vprintf (format, args);
  va_end (args);
  g_assert_true (g_shell_parse_argv (command, NULL, &argv, &error));
  g_spawn_sync (self->folder, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said, &status, &error);
  g_assert_no_error (error);
  if (status != 0)
    g_error ("%s: %s", command, said);
}

static void
write_file (const char *path,
            const char *format,
            ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
secured_init (Secured    *self,
              const char *config)
{
  const char *options[] = { "-c", NULL, NULL };

  memset (self, 0, sizeof *self);
  self->folder = g_dir_make_tmp ("afrpc-nats-XXXXXX", NULL);
  self->config = in_folder (self, "nats.conf");
  options[1] = self->config;
  write_file (self->config, "%s", config);
  nats_server_init (&self->nats, options);
}

/* An authority, a certificate for the server by that, and another authority, which is nobody's. */
static void
secured_init_tls (Secured *self)
{
  const char *options[] = { "-c", NULL, NULL };
  g_autofree char *extensions = NULL;

  memset (self, 0, sizeof *self);
  self->folder = g_dir_make_tmp ("afrpc-nats-XXXXXX", NULL);
  self->ca = in_folder (self, "ca.pem");
  self->certificate = in_folder (self, "server.pem");
  self->key = in_folder (self, "server.key");
  self->config = in_folder (self, "nats.conf");
  options[1] = self->config;
  run (self, "openssl req -x509 " NEW_KEY " -keyout ca.key -out ca.pem -days 2 -subj /CN=ca");
  run (self, "openssl req -x509 " NEW_KEY " -keyout other.key -out other.pem -days 2 -subj /CN=other");
  extensions = in_folder (self, "extensions");
  write_file (extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  run (self, "openssl req " NEW_KEY " -keyout server.key -out server.csr -subj /CN=localhost");
  run (self, "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile extensions");
  write_file (self->config, "tls { cert_file: \"%s\", key_file: \"%s\" }\n", self->certificate, self->key);
  nats_server_init (&self->nats, options);
}

static void
secured_clear (Secured *self)
{
  g_autoptr(GDir) dir = g_dir_open (self->folder, 0, NULL);
  const char *name;

  nats_server_clear (&self->nats);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = in_folder (self, name);

      g_unlink (path);
    }
  g_rmdir (self->folder);
  g_free (self->folder);
  g_free (self->ca);
  g_free (self->certificate);
  g_free (self->key);
  g_free (self->config);
}

/* A caller and a server by such connections call each other. */
static void
check_serves (AfrpcNatsConnection *connection)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
  AfrpcNatsServer *server = afrpc_nats_server_new (connection, NATS_SUBJECT, AFRPC_CALLER (proxy));
  AfrpcNatsCaller *caller;

  afrpc_nats_server_start (server);
  connection_wait (connection, AFRPC_NATS_STATE_CONNECTED);
  caller = afrpc_nats_caller_new (connection, NATS_SUBJECT);
  nats_caller_wait (caller);
  nats_caller_end (caller);
  g_assert_finalize_object (server);
  afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);
}

static void
check_fails (AfrpcNatsConnection *connection,
             const char          *words)
{
  connection_wait (connection, AFRPC_NATS_STATE_FAILED);
  g_assert_error (afrpc_nats_connection_get_failure (connection), AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  if (strstr (afrpc_nats_connection_get_failure (connection)->message, words) == NULL)
    g_error ("not '%s': %s", words, afrpc_nats_connection_get_failure (connection)->message);
}

static AfrpcNatsConnection *
new_connection (Secured    *self,
                const char *first,
                ...)
{
  const char *servers[] = { self->nats.url, NULL };
  const char *names[6] = { "servers" };
  GValue values[6] = { G_VALUE_INIT };
  guint n = 1;
  AfrpcNatsConnection *connection;
  va_list args;

  g_value_init (&values[0], G_TYPE_STRV);
  g_value_set_boxed (&values[0], servers);
  va_start (args, first);
  for (const char *name = first; name != NULL; name = va_arg (args, const char *))
    {
      names[n] = name;
      g_value_init (&values[n], G_TYPE_STRING);
      g_value_set_string (&values[n++], va_arg (args, const char *));
    }
  va_end (args);
  connection = AFRPC_NATS_CONNECTION (g_object_new_with_properties (AFRPC_NATS_TYPE_CONNECTION, n, names, values));
  for (guint i = 0; i < n; i++)
    g_value_unset (&values[i]);

  return connection;
}

static void
test_nats_access_password (void)
{
  g_autoptr(AfrpcNatsConnection) right = NULL;
  g_autoptr(AfrpcNatsConnection) wrong = NULL;
  g_autoptr(AfrpcNatsConnection) none = NULL;
  Secured secured;

  g_test_summary ("A user with the right password is let in, and nobody else");
  secured_init (&secured, "authorization { user: anna, password: secret }\n");
  right = new_connection (&secured, "user", "anna", "password", "secret", NULL);
  check_serves (right);
  wrong = new_connection (&secured, "user", "anna", "password", "guess", NULL);
  check_fails (wrong, "cannot connect to ");
  none = new_connection (&secured, NULL);
  check_fails (none, "cannot connect to ");
  secured_clear (&secured);
}

static void
test_nats_access_token (void)
{
  g_autoptr(AfrpcNatsConnection) right = NULL;
  g_autoptr(AfrpcNatsConnection) wrong = NULL;
  Secured secured;

  g_test_summary ("So it is with a token");
  secured_init (&secured, "authorization { token: \"a-token\" }\n");
  right = new_connection (&secured, "token", "a-token", NULL);
  check_serves (right);
  wrong = new_connection (&secured, "token", "another", NULL);
  check_fails (wrong, "cannot connect to ");
  secured_clear (&secured);
}

/* A pair of keys that is nobody's: the seed 0, 1, ... 31, and what belongs to that. */
#define NKEY_PUBLIC "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define NKEY_SEED "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"

static void
test_nats_access_nkey (void)
{
  g_autofree char *config = g_strdup_printf ("authorization { users: [ { nkey: %s } ] }\n", NKEY_PUBLIC);
  g_autofree char *seed = NULL;
  g_autoptr(AfrpcNatsConnection) right = NULL;
  g_autoptr(AfrpcNatsConnection) none = NULL;
  Secured secured;

  g_test_summary ("And with an NKey, whose seed is in a file");
  secured_init (&secured, config);
  seed = in_folder (&secured, "seed");
  write_file (seed, "%s\n", NKEY_SEED);
  right = new_connection (&secured, "nkey", NKEY_PUBLIC, "nkey-seed-file", seed, NULL);
  check_serves (right);
  none = new_connection (&secured, NULL);
  check_fails (none, "cannot connect to ");
  secured_clear (&secured);
}

/* Says what is to be signed, the next time something else, and lets in whoever has signed. */
typedef struct
{
  GSocketListener *listener;
  const char *nonces[2];
  gint n_unsigned; /* atomic: of those who came */
} Signed;

/* Returns: a nonce whose signature begins with a byte of 0, or does not */
static char *
find_nonce (gboolean with_zero)
{
  g_assert_cmpint (nats_Open (-1), ==, NATS_OK);
  for (guint i = 0;; i++)
    {
      g_autofree char *nonce = g_strdup_printf ("nonce%010u", i);
      unsigned char *signature = NULL;
      gboolean is_it;
      int size;

      g_assert_cmpint (nats_Sign (NKEY_SEED, nonce, &signature, &size), ==, NATS_OK);
      is_it = (signature[0] == 0) == with_zero;
      free (signature);
      if (is_it)
        return g_steal_pointer (&nonce);
    }
}

/* Returns: whether it stays */
static gboolean
let_in (Signed            *self,
        GSocketConnection *connection,
        const char        *nonce)
{
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  g_autoptr(GDataInputStream) in = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
  g_autofree char *info = g_strdup_printf ("INFO {\"server_id\":\"A\",\"version\":\"2.9.10\",\"proto\":1,\"host\":\"127.0.0.1\","
                                           "\"port\":1,\"headers\":true,\"auth_required\":true,\"max_payload\":1048576,"
                                           "\"nonce\":\"%s\"} \r\n", nonce);
  char *line;
  gboolean is_signed = FALSE;

  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (in), FALSE);
  g_output_stream_write_all (out, info, strlen (info), NULL, NULL, NULL);
  while ((line = g_data_input_stream_read_line (in, NULL, NULL, NULL)) != NULL)
    {
      const char *answer = is_signed ? "PONG\r\n" : "-ERR 'Authorization Violation'\r\n";
      const gboolean is_ping = g_str_has_prefix (line, "PING");

      is_signed |= strstr (line, "\"sig\":\"") != NULL;
      g_free (line);
      if (is_ping && !is_signed)
        g_atomic_int_inc (&self->n_unsigned);
      if (is_ping)
        g_output_stream_write_all (out, answer, strlen (answer), NULL, NULL, NULL);
      if (is_ping && !is_signed)
        break;
    }

  return is_signed;
}

static gpointer
signed_thread (gpointer data)
{
  Signed *self = data;

  for (guint i = 0; i < G_N_ELEMENTS (self->nonces); i++)
    {
      g_autoptr(GSocketConnection) connection = g_socket_listener_accept (self->listener, NULL, NULL, NULL);

      if (connection == NULL || let_in (self, connection, self->nonces[i]))
        break;
    }

  return NULL;
}

/* @data: how many of those that are to be signed are odd */
static void
test_nats_access_signature (gconstpointer data)
{
  g_autofree char *odd = find_nonce (TRUE);
  g_autofree char *usual = find_nonce (FALSE);
  g_autofree char *folder = g_dir_make_tmp ("afrpc-nats-XXXXXX", NULL);
  g_autofree char *seed = g_build_filename (folder, "seed", NULL);
  g_autofree char *url = NULL;
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  g_autoptr(GSocketListener) listener = g_socket_listener_new ();
  const gboolean is_let_in = GPOINTER_TO_UINT (data) < 2;
  const char *servers[] = { NULL, NULL };
  Signed self = { listener, { odd, is_let_in ? usual : odd }, 0 };
  GThread *thread;

  g_test_summary ("nats.c leaves out a signature that begins with a byte of 0: it is asked for another one, once");
  url = g_strdup_printf ("nats://127.0.0.1:%u", g_socket_listener_add_any_inet_port (listener, NULL, NULL));
  servers[0] = url;
  write_file (seed, "%s\n", NKEY_SEED);
  thread = g_thread_new ("signed", signed_thread, &self);
  connection = g_object_new (AFRPC_NATS_TYPE_CONNECTION, "servers", servers, "nkey", NKEY_PUBLIC, "nkey-seed-file", seed, NULL);
  while (afrpc_nats_connection_get_state (connection) == AFRPC_NATS_STATE_CONNECTING)
    g_main_context_iteration (NULL, TRUE);
  /* Newer ones do not leave it out. */
  g_assert_cmpint (afrpc_nats_connection_get_state (connection), ==, is_let_in || g_atomic_int_get (&self.n_unsigned) == 0 ? AFRPC_NATS_STATE_CONNECTED
                                                                                                     : AFRPC_NATS_STATE_FAILED);
  g_clear_object (&connection);
  g_thread_join (thread);
  g_assert_cmpuint (self.n_unsigned, <=, GPOINTER_TO_UINT (data));
  g_unlink (seed);
  g_rmdir (folder);
}

/* Two more: of an account, and of the operator who has signed what is said of that. nats.c does not sign for operators. */
#define ACCOUNT_PUBLIC "AASUHOJP6EEVKEKHNLOIG2O3NXOJGNTFUEMXRXNBIBHOCBTMVFKZ2FFY"
#define ACCOUNT_SEED "SAAEAQKCINCEKRSHJBEUUS2MJVHE6UCRKJJVIVKWK5MFSWS3LROV4X6MSU"
#define OPERATOR_JWT \
  "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJURVNUIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJPQ" \
  "VUyWk9YQklHNk1WNEZTRllOSkpVMk5CUERUTUhTU05VRjc0RVdJUzZLTFpFWkNTWlc1TzZPViIsIm5hbWUiOiJ0ZXN0Iiwic3ViI" \
  "joiT0FVMlpPWEJJRzZNVjRGU0ZZTkpKVTJOQlBEVE1IU1NOVUY3NEVXSVM2S0xaRVpDU1pXNU82T1YiLCJuYXRzIjp7InR5cGUiO" \
  "iJvcGVyYXRvciIsInZlcnNpb24iOjJ9fQ.ExQJT6Mb3JunW_e9K8MnQF2ijQxfXqAM5hig3iWkjsg8bAOzF0ZnR2xVNk0EVyXsWl" \
  "hJ3bTmsXlBRes_4oRuAw"
#define ACCOUNT_JWT \
  "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJURVNUIiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJPQ" \
  "VUyWk9YQklHNk1WNEZTRllOSkpVMk5CUERUTUhTU05VRjc0RVdJUzZLTFpFWkNTWlc1TzZPViIsIm5hbWUiOiJ0ZXN0Iiwic3ViI" \
  "joiQUFTVUhPSlA2RUVWS0VLSE5MT0lHMk8zTlhPSkdOVEZVRU1YUlhOQklCSE9DQlRNVkZLWjJGRlkiLCJuYXRzIjp7ImxpbWl0c" \
  "yI6eyJzdWJzIjotMSwiZGF0YSI6LTEsInBheWxvYWQiOi0xLCJpbXBvcnRzIjotMSwiZXhwb3J0cyI6LTEsIndpbGRjYXJkcyI6d" \
  "HJ1ZSwiY29ubiI6LTEsImxlYWYiOi0xfSwidHlwZSI6ImFjY291bnQiLCJ2ZXJzaW9uIjoyfX0.AxZ4-p3e0rfoS_n4Sl6JZ1pMa" \
  "BTlDrcLl1PaLGbInkxFmuFQ31bEdWqkGZpmNhUKqsGsZTx96U8OBoNtcIxWBw"

static char *
to_url_base64 (const guint8 *data,
               gsize         size)
{
  char *text = g_base64_encode (data, size);

  g_strdelimit (text, "+", '-');
  g_strdelimit (text, "/", '_');
  text[strcspn (text, "=")] = '\0';

  return text;
}

/* What the holder of @seed, whose public key is @issuer, says of @subject. */
static char *
new_jwt (const char *seed,
         const char *issuer,
         const char *subject,
         const char *claims)
{
  const char *header = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
  g_autofree char *body = g_strdup_printf ("{\"jti\":\"TEST\",\"iat\":1700000000,\"iss\":\"%s\",\"name\":\"test\","
                                           "\"sub\":\"%s\",\"nats\":{%s,\"version\":2}}", issuer, subject, claims);
  g_autofree char *first = to_url_base64 ((const guint8 *) header, strlen (header));
  g_autofree char *second = to_url_base64 ((const guint8 *) body, strlen (body));
  g_autofree char *text = g_strdup_printf ("%s.%s", first, second);
  g_autofree char *third = NULL;
  unsigned char *signature = NULL;
  int size;

  g_assert_cmpint (nats_Sign (seed, text, &signature, &size), ==, NATS_OK);
  third = to_url_base64 (signature, size);
  free (signature);

  return g_strdup_printf ("%s.%s", text, third);
}

static void
write_credentials (const char *path,
                   const char *jwt,
                   const char *seed)
{
  write_file (path,
              "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"
              "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", jwt, seed);
}

static void
test_nats_access_credentials (void)
{
  g_autofree char *user = new_jwt (ACCOUNT_SEED, ACCOUNT_PUBLIC, NKEY_PUBLIC,
                                   "\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\"");
  /* Who has signed it has no right to. */
  g_autofree char *forged = new_jwt (NKEY_SEED, ACCOUNT_PUBLIC, NKEY_PUBLIC,
                                     "\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\"");
  g_autofree char *config = g_strdup_printf ("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n", OPERATOR_JWT,
                                             ACCOUNT_PUBLIC, ACCOUNT_JWT);
  g_autofree char *right_file = NULL;
  g_autofree char *wrong_file = NULL;
  g_autoptr(AfrpcNatsConnection) right = NULL;
  g_autoptr(AfrpcNatsConnection) wrong = NULL;
  Secured secured;

  g_test_summary ("And with a file of credentials, whose JWT the account of the user has signed");
  secured_init (&secured, config);
  right_file = in_folder (&secured, "right.creds");
  wrong_file = in_folder (&secured, "wrong.creds");
  write_credentials (right_file, user, NKEY_SEED);
  write_credentials (wrong_file, forged, NKEY_SEED);
  right = new_connection (&secured, "credentials-file", right_file, NULL);
  check_serves (right);
  wrong = new_connection (&secured, "credentials-file", wrong_file, NULL);
  check_fails (wrong, "cannot connect to ");
  secured_clear (&secured);
}

static void
test_nats_access_tls (void)
{
  g_autofree char *other = NULL;
  g_autoptr(AfrpcNatsConnection) right = NULL;
  g_autoptr(AfrpcNatsConnection) wrong = NULL;
  g_autoptr(AfrpcNatsConnection) wrong_name = NULL;
  Secured secured;

  g_test_summary ("A server is trusted whose certificate an authority has signed that is known, and no other");
  secured_init_tls (&secured);
  other = in_folder (&secured, "other.pem");
  right = new_connection (&secured, "tls-ca-file", secured.ca, "tls-hostname", "localhost", NULL);
  check_serves (right);
  wrong = new_connection (&secured, "tls-ca-file", other, "tls-hostname", "localhost", NULL);
  check_fails (wrong, "cannot connect to ");
  wrong_name = new_connection (&secured, "tls-ca-file", secured.ca, "tls-hostname", "elsewhere", NULL);
  check_fails (wrong_name, "cannot connect to ");
  secured_clear (&secured);
}

static void
test_nats_access_limits (void)
{
  const char *files[] = { "credentials-file", "tls-ca-file" };
  g_autoptr(AfrpcNatsConnection) small = NULL;
  Secured secured;

  g_test_summary ("A file that cannot be read, and NATS that takes nearly nothing, are named");
  secured_init (&secured, "max_payload: 300\nmax_control_line: 300\n");
  small = new_connection (&secured, NULL);
  check_fails (small, "takes messages of 300 bytes; 512 are needed");
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autoptr(AfrpcNatsConnection) connection = new_connection (&secured, files[i], "/nowhere/file", NULL);

      check_fails (connection, "cannot read '/nowhere/file': No such file");
    }
  secured_clear (&secured);
}

static AfrpcNatsConnection *
new_connection_to (const char *format,
                   ...)
{
  g_autofree char *url = NULL;
  va_list args;

  va_start (args, format);
  url = g_strdup_vprintf (format, args);
  va_end (args);

  return afrpc_nats_connection_new (url);
}

static void
test_nats_access_scheme (void)
{
  const char *wrong[] = { "http://127.0.0.1:%u", "nats://127.0.0.1:%u,ws://127.0.0.1", "TLSX://127.0.0.1:%u", "://127.0.0.1:%u" };
  const char *encrypted[] = { "tls://127.0.0.1:%u", "TLS://anna:secret@127.0.0.1:%u", " tls://127.0.0.1:%u",
                              "nats://127.0.0.1:%u,tls://127.0.0.1:1" };
  g_autoptr(AfrpcNatsConnection) plain = NULL;
  NatsServer nats;

  g_test_summary ("What a URL begins with says whether the connection is encrypted; nothing else than NATS is meant");
  nats_server_init (&nats, NULL);
  plain = new_connection_to ("127.0.0.1:%u", nats.port);
  check_serves (plain);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr(AfrpcNatsConnection) connection = new_connection_to (wrong[i], nats.port);

      check_fails (connection, "begins with nats: or tls:, not with ");
    }
  /* This server does not encrypt. */
  for (guint i = 0; i < G_N_ELEMENTS (encrypted); i++)
    {
      g_autoptr(AfrpcNatsConnection) connection = new_connection_to (encrypted[i], nats.port);

      check_fails (connection, "cannot connect to ");
    }
  nats_server_clear (&nats);
}

static void
check_hides (const char *text)
{
  if (strstr (text, "secret") != NULL || strchr (text, '@') != NULL)
    g_error ("a password: %s", text);
}

static void
test_nats_access_hidden (void)
{
  const char *bad[] = { "nats://anna:guess-secret@127.0.0.1:%u", "nats://anna:s@secret@127.0.0.1:1", "secret@127.0.0.1:1",
                        "http://anna:secret@127.0.0.1:1", "nats://anna:secret@:x", "tls://anna:secret@127.0.0.1:%u" };
  g_autoptr(AfrpcNatsConnection) right = NULL;
  Secured secured;

  g_test_summary ("What a URL has besides the server is in no message");
  secured_init (&secured, "authorization { user: anna, password: secret }\n");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(AfrpcNatsConnection) connection = new_connection_to (bad[i], secured.nats.port);

      check_fails (connection, "");
      g_test_message ("%s", afrpc_nats_connection_get_failure (connection)->message);
      check_hides (afrpc_nats_connection_get_failure (connection)->message);
    }
  right = new_connection_to ("nats://anna:secret@127.0.0.1:%u", secured.nats.port);
  connection_wait (right, AFRPC_NATS_STATE_CONNECTED);
  check_hides (afrpc_nats_connection_get_url (right));
  {
    AfrpcNatsCaller *caller = afrpc_nats_caller_new (right, "nobody");
    g_autoptr(AfrpcCall) call = call_start (caller, g_variant_new ("()"));
    g_autoptr(GError) error = wait_error (call);

    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
    check_hides (error->message);
    nats_caller_end (caller);
  }
  secured_clear (&secured);
}

static void
test_nats_access_permissions (void)
{
  g_autoptr(AfrpcNatsConnection) allowed = NULL;
  g_autoptr(AfrpcNatsConnection) wrong = NULL;
  Secured secured;

  g_test_summary ("With an inbox of its own, a user needs few permissions");
  secured_init (&secured,
                "authorization { users: [\n"
                "  { user: anna, password: a, permissions: { publish: [\"test.>\", \"anna.>\"],\n"
                "    subscribe: [\"test.>\", \"anna.>\"] } }\n"
                "] }\n");
  allowed = new_connection (&secured, "user", "anna", "password", "a", "inbox-prefix", "anna", NULL);
  check_serves (allowed);
  wrong = new_connection (&secured, "user", "anna", "password", "a", "inbox-prefix", "anna.>", NULL);
  check_fails (wrong, "inbox-prefix: ");
  secured_clear (&secured);
}

static void
check_forbidden (Secured    *secured,
                 const char *user)
{
  g_autoptr(AfrpcNatsConnection) connection = new_connection (secured, "user", user, "password", "p", NULL);
  AfrpcNatsCaller *caller = afrpc_nats_caller_new (connection, NATS_SUBJECT);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_object_set (caller, "no-servers-timeout-ms", 600000, NULL);
  call = call_start (caller, g_variant_new ("()"));
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  if (strstr (error->message, "ermission") == NULL)
    g_error ("%s: %s", user, error->message);
  nats_caller_end (caller);
}

static void
stopped_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  g_assert_true (afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, NULL));
  *(gboolean *) data = TRUE;
}

static void
check_forbidden_server (Secured    *secured,
                        const char *user)
{
  g_autoptr(AfrpcNatsConnection) connection = new_connection (secured, "user", user, "password", "p", NULL);
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");
  AfrpcNatsServer *server = afrpc_nats_server_new (connection, NATS_SUBJECT, AFRPC_CALLER (proxy));
  gboolean is_over = FALSE;
  guint n_errors = 0;

  g_signal_connect_swapped (server, "error", G_CALLBACK (test_count_cb), &n_errors);
  afrpc_nats_server_start (server);
  while (n_errors == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_nats_server_stop_async (server, NULL, stopped_cb, &is_over);
  test_iterate_until (&is_over);
  g_assert_finalize_object (server);
  afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);
}

static void
take_error_cb (AfrpcNatsServer  *server,
               const GError     *error,
               GError          **first)
{
  if (*first == NULL)
    *first = g_error_copy (error);
}

/* A caller whom the server may not answer is nobody whom it could serve; others are served as before. */
static void
check_forbidden_caller (Secured *secured)
{
  g_autoptr(AfrpcNatsConnection) connection = new_connection (secured, "user", "no-elsewhere", "password", "p", NULL);
  g_autoptr(AfrpcNatsConnection) elsewhere = new_connection (secured, "user", "all", "password", "p", "inbox-prefix", "elsewhere",
                                                             NULL);
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *unheard = afrpc_nats_caller_new (elsewhere, NATS_SUBJECT);
  AfrpcNatsCaller *caller = afrpc_nats_caller_new (connection, NATS_SUBJECT);
  AfrpcNatsServer *server;
  gboolean is_over = FALSE;

  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "act");
  server = afrpc_nats_server_new (connection, NATS_SUBJECT, AFRPC_CALLER (proxy));
  g_signal_connect (server, "error", G_CALLBACK (take_error_cb), &error);
  afrpc_nats_server_start (server);
  nats_caller_wait (caller);
  call = call_start (unheard, test_act ("return", NULL));
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "elsewhere"));
  next = call_start (caller, test_act ("return", NULL));
  g_variant_unref (wait_value (next));
  afrpc_caller_kill (AFRPC_CALLER (unheard));
  nats_caller_end (unheard);
  nats_caller_end (caller);
  afrpc_nats_server_stop_async (server, NULL, stopped_cb, &is_over);
  test_iterate_until (&is_over);
  g_signal_handlers_disconnect_by_data (server, &error);
  g_assert_finalize_object (server);
  afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);
}

/* Who may not listen to events is told so, and no other caller of the connection. */
static void
check_forbidden_events (Secured    *secured,
                        const char *user)
{
  g_autoptr(AfrpcNatsConnection) connection = new_connection (secured, "user", user, "password", "p", NULL);
  AfrpcNatsCaller *other = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", "t", "listens", FALSE, NULL);
  AfrpcNatsCaller *caller = afrpc_nats_caller_new (connection, "team");
  guint n_errors = 0, n_other = 0;

  g_signal_connect_swapped (caller, "error", G_CALLBACK (test_count_cb), &n_errors);
  g_signal_connect_swapped (other, "error", G_CALLBACK (test_count_cb), &n_other);
  while (n_errors == 0)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_errors, ==, 1);
  g_assert_cmpuint (n_other, ==, 0);
  nats_caller_end (caller);
  nats_caller_end (other);
}

static void
test_nats_access_forbidden (void)
{
  Secured secured;

  g_test_summary ("Who may not publish, or not listen, is told so by his calls, or as who serves");
  secured_init (&secured,
                "authorization { users: [\n"
                "  { user: no-publish, password: p, permissions: { publish: [\"y\"], subscribe: [\"_INBOX.>\", \"test.>\"] } }\n"
                "  { user: no-inbox, password: p, permissions: { publish: [\"test.>\"], subscribe: [\"test.>\"] } }\n"
                "  { user: no-subject, password: p, permissions: { publish: [\">\"], subscribe: [\"_INBOX.>\"] } }\n"
                "  { user: no-elsewhere, password: p, permissions: { publish: [\"_INBOX.>\", \"test.>\"] } }\n"
                "  { user: all, password: p }\n"
                "] }\n");
  check_forbidden (&secured, "no-publish");
  check_forbidden (&secured, "no-inbox");
  check_forbidden_server (&secured, "no-subject");
  check_forbidden_server (&secured, "no-inbox");
  check_forbidden_events (&secured, "no-subject");
  check_forbidden_caller (&secured);
  secured_clear (&secured);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *openssl = g_find_program_in_path ("openssl");

  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-access/password", test_nats_access_password);
  g_test_add_func ("/nats-access/token", test_nats_access_token);
  g_test_add_func ("/nats-access/nkey", test_nats_access_nkey);
  g_test_add_data_func ("/nats-access/signature/once", GUINT_TO_POINTER (1), test_nats_access_signature);
  g_test_add_data_func ("/nats-access/signature/twice", GUINT_TO_POINTER (2), test_nats_access_signature);
  g_test_add_func ("/nats-access/credentials", test_nats_access_credentials);
  if (openssl != NULL)
    g_test_add_func ("/nats-access/tls", test_nats_access_tls);
  g_test_add_func ("/nats-access/limits", test_nats_access_limits);
  g_test_add_func ("/nats-access/scheme", test_nats_access_scheme);
  g_test_add_func ("/nats-access/hidden", test_nats_access_hidden);
  g_test_add_func ("/nats-access/permissions", test_nats_access_permissions);
  g_test_add_func ("/nats-access/forbidden", test_nats_access_forbidden);

  return g_test_run ();
}
