/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-peer.h"

#include <signal.h>

#include "nats/afrpc-nats-server-parts.h"

/* However much the other side says, or asks for, what is kept of it has a bound, and others go on. */

/* Callers that are dropped while messages come in */

typedef struct
{
  natsConnection *connection;
  gint is_over; /* atomic */
} EventFlood;

static gpointer
flood_thread (gpointer data)
{
  EventFlood *flood = data;
  GByteArray *message = afrpc_nats_message_new (OWN_ID);

  afrpc_nats_message_add (message, AFRPC_NATS_EVENT, 0, 0, g_variant_new_variant (g_variant_new_uint32 (1)));
  while (!g_atomic_int_get (&flood->is_over))
    {
      for (guint i = 0; i < 200; i++)
        natsConnection_Publish (flood->connection, NATS_SUBJECT ".event", message->data, message->len);
      natsConnection_Flush (flood->connection);
    }
  g_byte_array_unref (message);
  nats_ReleaseThreadMemory ();

  return NULL;
}

static void
busy_cb (AfrpcCaller  *caller,
         const GError *error,
         guint        *n)
{
  if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_BUSY))
    ++*n;
}

#define N_LARGE 100u
#define LARGE_SIZE 500000u

static void
count_large_cb (AfrpcCaller  *caller,
                GVariant     *event,
                AfrpcProcess *from,
                GUnixFDList  *fds,
                guint        *n)
{
  n[g_variant_get_size (event) > LARGE_SIZE]++;
}

static void
note_code_cb (GObject *object,
              GError  *error,
              int     *code)
{
  *code = error->domain == AFRPC_ERROR ? error->code : -1;
}

/* Makes a call, and does not say that its outcome has come. Returns: the type of that */
static guint
call_unacknowledged (Peer     *peer,
                     guint64   id,
                     GVariant *args)
{
  guint type;
  Said *said;

  say (peer, NULL, AFRPC_NATS_CALL, 0, id, g_variant_new ("(a{sv}v)", NULL, args));
  do
    {
      said = hear_any (peer);
      type = said->id == id || said->type == AFRPC_NATS_CHUNK ? said->type : 0;
      if (type == AFRPC_NATS_CHUNK)
        {
          say (peer, NULL, AFRPC_NATS_RECEIVED, 0, said->id, g_variant_new_uint64 (said->end));
          type = said->end == said->total ? AFRPC_NATS_RESULT : 0;
        }
      said_free (said);
    }
  while (type != AFRPC_NATS_RESULT && type != AFRPC_NATS_REFUSED);

  return type;
}

static void
check_unacknowledged (Peer     *peer,
                      GVariant *args,
                      guint     n_max)
{
  const guint64 first = peer->last_id + 1;
  guint64 id = first;

  demand (peer);
  while (id - first <= n_max && call_unacknowledged (peer, id, args) == AFRPC_NATS_RESULT)
    id++;
  g_assert_cmpuint (id - first, ==, n_max);
  /* Once it is heard that one has come, there is room for another one. */
  say (peer, NULL, AFRPC_NATS_ACK, 0, first, NULL);
  g_assert_cmpint (call_unacknowledged (peer, id + 1, args), ==, AFRPC_NATS_RESULT);
  g_assert_cmpint (call_unacknowledged (peer, id + 2, args), ==, AFRPC_NATS_REFUSED);
  say (peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  peer->last_id = id + 2;
}

static void
test_nats_bounds_unacknowledged (void)
{
  g_autoptr(GVariant) small = g_variant_ref_sink (g_variant_new ("(sv)", "return", g_variant_new_uint32 (1)));
  Serving serving;
  Peer peer;

  g_test_summary ("Who does not say that he has outcomes has so many kept, whether he was granted calls or not");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 10, "caller-timeout-ms", 60000, "beat-ms", 60000, NULL);
  serving_start (&serving);
  check_unacknowledged (&peer, small, 4096);
  if (!g_test_quick ())
    {
      g_autoptr(GVariant) large = g_variant_ref_sink (act_u ("bytes", 900000));

      check_unacknowledged (&peer, large, (256 << 20) / 900000 + 1);
    }
  serving_clear (&serving);
  peer_end (&peer);
}

/* Says something @n times in one message, which goes in parts if @transfer is not 0. */
static void
say_many (Peer    *peer,
          guint64  transfer,
          guint    type,
          guint    n)
{
  g_autofree char *inbox = g_strconcat (peer->other, ".m", NULL);
  GByteArray *message = afrpc_nats_message_new (OWN_ID);

  for (guint i = 0; i < n; i++)
    afrpc_nats_message_add (message, type, 0, 100 + i, type == AFRPC_NATS_BEAT ? g_variant_new_parsed ("@at []") : NULL);
  if (transfer != 0)
    {
      GByteArray *part = afrpc_nats_message_new (OWN_ID);

      afrpc_nats_message_add_chunk (part, transfer, message->len, 0, message->data, message->len);
      g_byte_array_unref (message);
      message = part;
    }
  natsConnection_PublishRequest (peer->connection, inbox, OWN_INBOX ".n.1", message->data, message->len);
  g_byte_array_unref (message);
}

static void
await_protocol_error (int *code)
{
  while (*code == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (*code, ==, AFRPC_ERROR_PROTOCOL);
  *code = 0;
}

/* Of what was said before @n things are answered. */
static void
hear_some (Peer    *peer,
           guint    type,
           guint64  id,
           guint    n)
{
  guint64 heard;
  guint n_heard = 0;

  do
    {
      Said *said = hear (peer, type);

      heard = said->id;
      n_heard += heard != id;
      said_free (said);
    }
  while (heard != id);
  g_assert_cmpuint (n_heard, <=, n);
}

static void
test_nats_bounds_long_messages (void)
{
  int code = 0;
  Serving serving;
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("Of a message that came in parts one frame is taken, and of others so many: none holds the main loop for long");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  g_signal_connect (serving.server, "error", G_CALLBACK (note_code_cb), &code);
  demand (&peer);
  say_many (&peer, 1, AFRPC_NATS_QUERY, 2);
  await_protocol_error (&code);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10000, NULL);
  hear_some (&peer, AFRPC_NATS_REFUSED, 10000, 1);
  /* One that a thread checks */
  say_many (&peer, 2, AFRPC_NATS_QUERY, 20000);
  await_protocol_error (&code);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10001, NULL);
  hear_some (&peer, AFRPC_NATS_REFUSED, 10001, 1);
  say_many (&peer, 0, AFRPC_NATS_QUERY, AFRPC_NATS_FRAMES_MAX + 100);
  await_protocol_error (&code);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10002, NULL);
  hear_some (&peer, AFRPC_NATS_REFUSED, 10002, AFRPC_NATS_FRAMES_MAX);
  g_signal_handlers_disconnect_by_data (serving.server, &code);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);

  caller = peer_serve (&peer);
  g_signal_connect (caller, "error", G_CALLBACK (note_code_cb), &code);
  {
    g_autoptr(AfrpcCall) call = call_start (caller, g_variant_new ("(i)", 1));
    g_autofree guint64 *ids = g_new0 (guint64, AFRPC_NATS_NAMED_MAX + 1);
    guint64 id;

    grant (&peer, 60000);
    id = hear_call (&peer);
    say_many (&peer, 1, AFRPC_NATS_HAVE, 2);
    await_protocol_error (&code);
    say_many (&peer, 0, AFRPC_NATS_BEAT, 2);
    await_protocol_error (&code);
    say (&peer, NULL, AFRPC_NATS_BEAT, 0, 0,
         g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, ids, AFRPC_NATS_NAMED_MAX + 1, sizeof *ids));
    await_protocol_error (&code);
    say (&peer, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("done")));
    g_variant_unref (wait_value (call));
  }
  peer_serve_end (&peer, caller);
}

#define N_PROGRESS 800u /* of 50,000 bytes */

/* Has a call tell much progress. Returns: (transfer full): its outcome; @last: the progress that came last */
static Said *
hear_progress (Peer     *peer,
               guint64   id,
               gboolean  is_latest,
               gboolean  keeps_up,
               guint    *n,
               guint32  *last)
{
  GVariant *args = g_variant_new ("(uu)", N_PROGRESS, 50000);
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "progress-latest", "b", is_latest);
  demand (peer);
  say (peer, NULL, AFRPC_NATS_CALL, AFRPC_NATS_FLAG_PROGRESS, id,
       g_variant_new ("(@a{sv}v)", g_variant_dict_end (&options), args));
  *n = 0;
  for (;;)
    {
      Said *said = hear_any (peer);

      if (said->type == AFRPC_NATS_RESULT || said->type == AFRPC_NATS_ERROR)
        {
          say (peer, NULL, AFRPC_NATS_ACK, 0, said->id, NULL);
          peer->last_id = id;
          return said;
        }
      if (said->type == AFRPC_NATS_PROGRESS)
        {
          g_autoptr(GVariant) value = g_variant_get_variant (said->body);

          g_variant_get (value, "(u@ay)", last, NULL);
          (*n)++;
        }
      else if (said->type == AFRPC_NATS_MARK && keeps_up)
        say (peer, NULL, AFRPC_NATS_TOLD, 0, said->id, NULL);
      said_free (said);
    }
}

static void
test_nats_bounds_progress (void)
{
  const char *domain;
  Serving serving;
  Said *said;
  Peer peer;
  guint n;
  guint32 last;
  int started, code;

  g_test_summary ("Who tells progress as it comes gets all of it, however much; who does not gets the latest, or the call fails");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "much_progress", 1, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  said = hear_progress (&peer, 10, FALSE, TRUE, &n, &last);
  g_assert_cmpint (said->type, ==, AFRPC_NATS_RESULT);
  g_assert_cmpuint (n, ==, N_PROGRESS);
  said_free (said);

  serving.server->progress_max = 1 << 20;
  said = hear_progress (&peer, 11, TRUE, FALSE, &n, &last);
  g_assert_cmpint (said->type, ==, AFRPC_NATS_RESULT);
  g_assert_cmpuint (last, ==, N_PROGRESS);
  g_assert_cmpuint (n, <, N_PROGRESS);
  said_free (said);

  said = hear_progress (&peer, 12, FALSE, FALSE, &n, &last);
  g_assert_cmpint (said->type, ==, AFRPC_NATS_ERROR);
  g_variant_get (said->body, "(i&si&s)", &started, &domain, &code, NULL);
  g_assert_cmpint (started, ==, AFRPC_STARTED_YES);
  g_assert_cmpstr (domain, ==, "afrpc-error-quark");
  g_assert_cmpint (code, ==, AFRPC_ERROR_BUSY);
  g_assert_cmpuint (n, <, N_PROGRESS);
  said_free (said);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
count_progress_cb (AfrpcCall *call,
                   GVariant  *progress,
                   gpointer   n)
{
  (*(guint *) n)++;
}

static void
test_nats_bounds_told (void)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  guint n_told = 0;
  guint64 id;
  Peer peer;

  g_test_summary ("A server hears that the program has been told progress once it has");
  caller = peer_serve (&peer);
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, count_progress_cb, &n_told, NULL);
  call = afrpc_caller_start (AFRPC_CALLER (caller), g_variant_new ("(i)", 1), options);
  grant (&peer, 60000);
  id = hear_call (&peer);
  for (guint i = 1; i <= 3; i++)
    {
      say (&peer, NULL, AFRPC_NATS_PROGRESS, 0, id, g_variant_new_variant (g_variant_new_uint32 (i)));
      say (&peer, NULL, AFRPC_NATS_MARK, 0, i, NULL);
      hear_of (&peer, AFRPC_NATS_TOLD, i);
      g_assert_cmpuint (n_told, ==, i);
    }
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
  peer_serve_end (&peer, caller);
}

static void
publish_event (Peer       *peer,
               const char *text)
{
  GByteArray *message = afrpc_nats_message_new (OWN_ID);

  afrpc_nats_message_add (message, AFRPC_NATS_EVENT, 0, 0, g_variant_new_variant (g_variant_new_string (text)));
  natsConnection_Publish (peer->connection, NATS_SUBJECT ".event", message->data, message->len);
  g_byte_array_unref (message);
}

static void
test_nats_bounds_too_many (void)
{
  const guint n_kept = AFRPC_NATS_EVENTS_MAX / LARGE_SIZE;
  g_autofree char *text = g_strnfill (LARGE_SIZE, 'x');
  AfrpcNatsCaller *caller;
  guint n_events[2] = { 0 }, n_errors = 0;
  Peer peer;

  g_test_summary ("Of events that nobody takes so many are kept; that others were lost is told");
  peer_init (&peer, NULL);
  caller = nats_caller_new (&peer.nats);
  connection_wait (afrpc_nats_caller_get_connection (caller), AFRPC_NATS_STATE_CONNECTED);
  g_signal_connect (caller, "event", G_CALLBACK (count_large_cb), n_events);
  g_signal_connect (caller, "error", G_CALLBACK (busy_cb), &n_errors);
  /* Until NATS knows that it listens */
  while (n_events[0] == 0)
    {
      publish_event (&peer, "");
      g_main_context_iteration (NULL, FALSE);
    }
  for (guint i = 0; i < N_LARGE; i++)
    publish_event (&peer, text);
  natsConnection_Flush (peer.connection);
  /* No main loop takes them until all have come. */
  while (afrpc_nats_inbox_get_n_lost (caller->inbox) < N_LARGE - n_kept)
    g_thread_yield ();
  while (n_errors == 0)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_events[1], <=, n_kept);
  g_assert_cmpuint (n_events[1], >, n_kept / 2);
  nats_caller_end (caller);
  peer_end (&peer);
}

static void
server_busy_cb (AfrpcNatsServer *server,
                GError          *error,
                guint           *n)
{
  n[0] += g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_BUSY);
  n[1] += g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
}

static void
test_nats_bounds_server_too_many (void)
{
  g_autofree char *text = g_strnfill (500000, 'x');
  g_autofree char *long_one = g_strnfill (2000000, 'x');
  guint n_errors[2] = { 0 };
  Serving serving;
  Peer peer;

  g_test_summary ("Of events that NATS does not take so many are kept; that others were lost is told");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "beat-ms", 20, NULL);
  serving_start (&serving);
  demand (&peer);
  g_signal_connect (serving.server, "error", G_CALLBACK (server_busy_cb), n_errors);
  g_assert_cmpint (kill (peer.nats.pid, SIGSTOP), ==, 0);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr(GVariant) event = g_variant_ref_sink (g_variant_new_string (text));

      afrpc_caller_emit_event (AFRPC_CALLER (serving.pool), event, NULL, NULL);
    }
  iterate_for (50);
  g_assert_cmpint (kill (peer.nats.pid, SIGCONT), ==, 0);
  while (n_errors[0] == 0)
    g_main_context_iteration (NULL, TRUE);
  {
    g_autoptr(GVariant) event = g_variant_ref_sink (g_variant_new_string (long_one));

    afrpc_caller_emit_event (AFRPC_CALLER (serving.pool), event, NULL, NULL);
  }
  while (n_errors[1] == 0)
    g_main_context_iteration (NULL, TRUE);
  g_signal_handlers_disconnect_by_data (serving.server, n_errors);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_bounds_dropped (void)
{
  g_autoptr(AfrpcNatsConnection) shared = NULL;
  const gint64 end_us = g_get_monotonic_time () + 2 * G_USEC_PER_SEC;
  GThread *thread;
  EventFlood flood = { 0 };
  Peer peer;

  g_test_summary ("Callers and connections may be dropped while messages come in");
  peer_init (&peer, NULL);
  flood.connection = peer.connection;
  thread = g_thread_new ("flood", flood_thread, &flood);
  shared = afrpc_nats_connection_new (peer.nats.url);
  for (guint i = 0; g_get_monotonic_time () < end_us; i++)
    {
      g_autoptr(AfrpcNatsConnection) own = i % 8 == 0 ? afrpc_nats_connection_new (peer.nats.url) : NULL;
      g_autoptr(AfrpcNatsCaller) caller = afrpc_nats_caller_new (own != NULL ? own : shared, NATS_SUBJECT);
      const gint64 drop_us = g_get_monotonic_time () + g_test_rand_int_range (0, own != NULL ? 20000 : 3000);

      while (g_get_monotonic_time () < drop_us)
        g_main_context_iteration (NULL, FALSE);
    }
  g_atomic_int_set (&flood.is_over, TRUE);
  g_thread_join (thread);
  peer_end (&peer);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-bounds/unacknowledged", test_nats_bounds_unacknowledged);
  g_test_add_func ("/nats-bounds/long-messages", test_nats_bounds_long_messages);
  g_test_add_func ("/nats-bounds/progress", test_nats_bounds_progress);
  g_test_add_func ("/nats-bounds/told", test_nats_bounds_told);
  g_test_add_func ("/nats-bounds/too-many", test_nats_bounds_too_many);
  g_test_add_func ("/nats-bounds/server-too-many", test_nats_bounds_server_too_many);
  g_test_add_func ("/nats-bounds/dropped", test_nats_bounds_dropped);

  return g_test_run ();
}
