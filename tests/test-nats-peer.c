/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-peer.h"

#include <signal.h>

#include "nats/afrpc-nats-server-parts.h"

/* One side of the protocol at a time, with the other one played by the test: what has to be right though messages are lost, come
 * twice or late. */

static void
test_nats_peer_calls (void)
{
  Serving serving;
  Peer peer;
  guint64 n_done;

  g_test_summary ("A call that comes twice is done once, one that was asked for before it came never; outcomes are said until they are heard");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 1, "beat-ms", 20, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 10, new_call (1));
  hear_of (&peer, AFRPC_NATS_RESULT, 10);
  n_done = afrpc_nats_server_get_n_calls_done (serving.server);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 10, new_call (1));
  hear_of (&peer, AFRPC_NATS_RESULT, 10);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_RESULT, 10);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, n_done);

  /* It has not come, and does not count if it does. */
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 11, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 11);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 11, new_call (2));
  hear_of (&peer, AFRPC_NATS_REFUSED, 11);
  say (&peer, NULL, AFRPC_NATS_CANCEL, 0, 12, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 12);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 12, new_call (3));
  hear_of (&peer, AFRPC_NATS_REFUSED, 12);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, n_done);

  /* It comes again when its outcome has been heard. */
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 13, new_call (4));
  hear_of (&peer, AFRPC_NATS_RESULT, 13);
  say (&peer, NULL, AFRPC_NATS_ACK, 0, 13, NULL);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 13, new_call (4));
  hear_of (&peer, AFRPC_NATS_REFUSED, 13);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, n_done + 1);

  /* Acknowledged, it is forgotten: then it is as if it had never come. */
  say (&peer, NULL, AFRPC_NATS_ACK, 0, 10, NULL);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 10);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_forgotten (void)
{
  Serving serving;
  Peer peer;
  char *inbox;

  g_test_summary ("Of the calls of a caller that had gone for too long nobody says that they have not arrived");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 1, "beat-ms", 20, "caller-timeout-ms", 100, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 10, g_variant_new ("(a{sv}v)", NULL, test_act ("until-cancelled", NULL)));
  hear_of (&peer, AFRPC_NATS_STARTED, 10);
  nats_unsubscribe (peer.connection, peer.subscription);
  while (afrpc_nats_server_get_n_callers (serving.server) > 0)
    g_main_context_iteration (NULL, TRUE);
  peer.subscription = peer_listen (&peer);

  /* To a server that does not know it */
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 10);
  say (&peer, NULL, AFRPC_NATS_CANCEL, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 10);
  say (&peer, NULL, AFRPC_NATS_RECALL, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 10);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 11, new_call (1));
  hear_of (&peer, AFRPC_NATS_REFUSED, 11);

  /* To one that knows it again */
  peer.last_id = 11;
  inbox = g_strdup (peer.other);
  demand (&peer);
  g_assert_cmpstr (inbox, ==, peer.other);
  g_free (inbox);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 10);
  say (&peer, NULL, AFRPC_NATS_CANCEL, 0, 10, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 10);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 12, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 12);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_started_again (void)
{
  Serving serving;
  Peer peer;
  Said *said;
  guint n_beats = 0;

  g_test_summary ("A server whose connection comes back says again of what runs that it has been begun");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 1, "beat-ms", 20, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 10, g_variant_new ("(a{sv}v)", NULL, test_act ("until-cancelled", NULL)));
  hear_of (&peer, AFRPC_NATS_STARTED, 10);
  peer_restart_nats (&peer);
  while ((said = g_async_queue_try_pop (peer.messages)) != NULL)
    said_free (said);
  for (;;)
    {
      const gboolean is_started = (said = hear_any (&peer))->type == AFRPC_NATS_STARTED;

      n_beats += said->type == AFRPC_NATS_BEAT;
      said_free (said);
      if (is_started)
        break;
      g_assert_cmpuint (n_beats, <, 5);
    }
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_no_room (void)
{
  Serving serving;
  Meeting meeting;
  Peer peer;
  g_autoptr(GVariant) waiting = NULL;

  g_test_summary ("A call without a grant, for which there is no room, is refused");
  peer_init (&peer, NULL);
  meeting_init (&meeting);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 1, "beat-ms", 20, NULL);
  serving_start (&serving);
  demand (&peer);
  waiting = g_variant_ref_sink (meet (&meeting));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, waiting));
  hear_of (&peer, AFRPC_NATS_STARTED, 1);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 2, new_call (2));
  hear_of (&peer, AFRPC_NATS_REFUSED, 2);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_refused (serving.server), ==, 1);
  meeting_let_go (&meeting);
  hear_of (&peer, AFRPC_NATS_RESULT, 1);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  meeting_end (&meeting);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_refused (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 first, second;

  g_test_summary ("A call that is refused is made again, with another number; an outcome that comes twice is one");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 60000);
  first = hear_call (&peer);
  say (&peer, NULL, AFRPC_NATS_REFUSED, 0, first, g_variant_new_string ("not today"));
  grant (&peer, 60000);
  second = hear_call (&peer);
  g_assert_cmpuint (second, !=, first);
  /* Of what is not his any more, a server says what he likes. */
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, first, g_variant_new_variant (g_variant_new_string ("wrong")));
  for (guint i = 0; i < 2; i++)
    say (&peer, NULL, AFRPC_NATS_RESULT, 0, second, g_variant_new_variant (g_variant_new_string ("right")));
  value = wait_value (call);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "right");
  peer_serve_end (&peer, caller);
}

static void
check_forgotten (AfrpcNatsCaller *caller,
                 Peer            *peer,
                 gboolean         is_idempotent)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;

  afrpc_call_options_set_idempotent (options, is_idempotent);
  call = afrpc_caller_start (AFRPC_CALLER (caller), g_variant_new ("(i)", 1), options);
  grant (peer, 60000);
  say (peer, NULL, AFRPC_NATS_FORGOTTEN, 0, hear_call (peer), NULL);
  if (is_idempotent)
    {
      grant (peer, 60000);
      say (peer, NULL, AFRPC_NATS_RESULT, 0, hear_call (peer), g_variant_new_variant (g_variant_new_string ("done")));
      g_variant_unref (wait_value (call));
      return;
    }

  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_UNKNOWN);
}

static void
test_nats_peer_forgetful (void)
{
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("A call that its server has forgotten may have been begun: it is made again only if it may be");
  caller = peer_serve (&peer);
  check_forgotten (caller, &peer, FALSE);
  check_forgotten (caller, &peer, TRUE);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_not_named (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("A call that a server does not name is asked for; and one that it names and nobody has is acknowledged");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 60000);
  id = hear_call (&peer);
  for (guint i = 0; i < 3; i++)
    say (&peer, NULL, AFRPC_NATS_BEAT, 0, 0, g_variant_new_parsed ("@at [4712]"));
  hear_of (&peer, AFRPC_NATS_QUERY, id);
  hear_of (&peer, AFRPC_NATS_ACK, 4712);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("found")));
  g_variant_unref (wait_value (call));
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_silent (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 first;

  g_test_summary ("A server that says nothing is asked before it is taken for dead: it may never have got the call");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 2000);
  first = hear_call (&peer);
  hear_of (&peer, AFRPC_NATS_QUERY, first);
  say (&peer, NULL, AFRPC_NATS_REFUSED, 0, first, g_variant_new_string ("what call?"));
  grant (&peer, 60000);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, hear_call (&peer), g_variant_new_variant (g_variant_new_string ("done")));
  value = wait_value (call);
  peer_serve_end (&peer, caller);
}

/* Until all parts of a large message have come, of which @ms after each it is said how much is there. */
static void
take_slowly (Peer  *peer,
             guint  ms)
{
  gboolean is_over = FALSE;

  while (!is_over)
    {
      Said *said = hear (peer, AFRPC_NATS_CHUNK);

      iterate_for (ms);
      say (peer, NULL, AFRPC_NATS_RECEIVED, 0, said->id, g_variant_new_uint64 (said->end));
      is_over = said->end == said->total;
      said_free (said);
    }
}

static GVariant *
new_large (gsize size)
{
  guint8 *bytes = g_malloc0 (size);

  return g_variant_new ("(@ay)", g_variant_new_from_data (G_VARIANT_TYPE ("ay"), bytes, size, TRUE, g_free, bytes));
}

static void
test_nats_peer_slowly (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  Said *first;

  g_test_summary ("A server that gets a large call slowly is not dead: it says how much has come. What is lost comes again");
  caller = peer_serve (&peer);
  call = call_start (caller, new_large (300000));
  grant (&peer, 250);
  take_slowly (&peer, 150);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 1, g_variant_new_variant (g_variant_new_string ("done")));
  value = wait_value (call);
  g_clear_object (&call);

  call = call_start (caller, new_large (300000));
  grant (&peer, 2000);
  first = hear (&peer, AFRPC_NATS_CHUNK);
  while (first->end == first->total || first->end > 40000)
    {
      said_free (first);
      first = hear (&peer, AFRPC_NATS_CHUNK);
    }
  /* It may have come in part before. */
  for (guint n = 0; n < 1;)
    {
      Said *again = hear (&peer, AFRPC_NATS_CHUNK);

      n += again->end == first->end;
      said_free (again);
    }
  said_free (first);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 2, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_silent_parts (void)
{
  const gint64 begin_us = g_get_monotonic_time ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  AfrpcCall *calls[3];
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("A server that says nothing of a large call is dead, however often parts are sent again; what it has parts of, or "
                  "what waits behind that, was not begun");
  afrpc_call_options_set_idempotent (options, TRUE);
  caller = peer_serve (&peer);
  calls[0] = call_start (caller, new_large (300000));
  grant_many (&peer, 3, 500);
  said_free (hear (&peer, AFRPC_NATS_CHUNK));
  calls[1] = call_start (caller, g_variant_new ("(i)", 1));
  calls[2] = afrpc_caller_start (AFRPC_CALLER (caller), new_large (100000), options);
  while (!afrpc_call_is_settled (calls[0]) && g_get_monotonic_time () < begin_us + 4 * G_USEC_PER_SEC)
    g_main_context_iteration (NULL, FALSE);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_true (afrpc_call_is_settled (calls[i]));
      error = wait_error (calls[i]);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      g_assert_cmpint (afrpc_call_get_started (calls[i]), ==, AFRPC_STARTED_NO);
      g_object_unref (calls[i]);
    }
  grant (&peer, 60000);
  take_slowly (&peer, 0);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 4, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (calls[2]));
  g_object_unref (calls[2]);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_lost_parts (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  gboolean is_again = FALSE;
  guint64 end = 0;
  Peer peer;

  g_test_summary ("A server that parts of a large call do not reach is asked whether it is there, until they are sent again");
  caller = peer_serve (&peer);
  call = call_start (caller, new_large (300000));
  grant (&peer, 100);
  /* Otherwise it would be dead after 0.3 s; they are sent again after 1 s. */
  while (!is_again)
    {
      Said *said = g_async_queue_try_pop (peer.messages);

      g_assert_false (afrpc_call_is_settled (call));
      if (said == NULL)
        {
          g_main_context_iteration (NULL, TRUE);
          continue;
        }
      if (said->type == AFRPC_NATS_QUERY)
        {
          g_assert_cmpuint (said->id, ==, 0);
          say (&peer, NULL, AFRPC_NATS_FORGOTTEN, 0, 0, NULL);
        }
      is_again = said->type == AFRPC_NATS_CHUNK && said->end <= end;
      if (said->type == AFRPC_NATS_CHUNK)
        end = said->end;
      said_free (said);
    }
  say (&peer, NULL, AFRPC_NATS_RECEIVED, 0, 1, g_variant_new_uint64 (end));
  take_slowly (&peer, 0);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 1, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
  peer_serve_end (&peer, caller);
}

/* Until all parts of a large message have been sent, of which nobody says that they have come. */
static void
take_whole (Peer *peer)
{
  gboolean is_whole = FALSE;

  while (!is_whole)
    {
      Said *said = hear (peer, AFRPC_NATS_CHUNK);

      is_whole = said->end == said->total;
      said_free (said);
    }
}

static void
test_nats_peer_settled_parts (void)
{
  AfrpcCall *calls[4];
  AfrpcNatsCaller *caller;
  guint n_again = 0;
  guint64 transfer;
  Said *said;
  Peer peer;

  g_test_summary ("Parts of a call that has its outcome are not sent again: others do not wait until they have arrived");
  caller = peer_serve (&peer);
  calls[0] = call_start (caller, new_large (90000));
  grant_many (&peer, 3, 60000);
  take_whole (&peer);
  calls[1] = call_start (caller, new_large (90000));
  /* It has got it, though that has not been heard. */
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 1, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (calls[0]));
  while ((said = hear (&peer, AFRPC_NATS_CHUNK))->id == 1)
    {
      said_free (said);
      g_assert_cmpuint (++n_again, <, 6);
    }
  transfer = said->id;
  said_free (said);

  /* Nor is one that goes back to the queue. */
  take_whole (&peer);
  say (&peer, NULL, AFRPC_NATS_REFUSED, 0, 2, g_variant_new_string ("not today"));
  said = hear (&peer, AFRPC_NATS_CHUNK);
  g_assert_cmpuint (said->id, >, transfer);
  said_free (said);
  take_whole (&peer);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 3, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (calls[1]));

  /* Nor does one wait for ever that its server has gone with. */
  calls[2] = call_start (caller, new_large (90000));
  grant_many (&peer, 2, 60000);
  take_whole (&peer);
  calls[3] = call_start (caller, new_large (90000));
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 4, g_variant_new_variant (g_variant_new_string ("done")));
  nats_unsubscribe (peer.connection, peer.inbox);
  while ((said = g_async_queue_try_pop (peer.messages)) != NULL)
    said_free (said);
  g_variant_unref (wait_value (calls[2]));
  /* It has heard that nobody has got it. */
  said_free (hear (&peer, AFRPC_NATS_DEMAND));
  peer.inbox = peer_listen (&peer);
  grant (&peer, 60000);
  take_whole (&peer);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 6, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (calls[3]));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    g_object_unref (calls[i]);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_given_up (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("A call that is given up before all of it was sent has not been begun; a server that does not want it has not got it");
  caller = peer_serve (&peer);
  call = call_start (caller, new_large (300000));
  grant (&peer, 60000);
  said_free (hear (&peer, AFRPC_NATS_CHUNK));
  afrpc_call_cancel (call);
  error = wait_error (call);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);

  next = call_start (caller, new_large (300000));
  {
    Said *part;

    /* The window may have been open for more of the first. */
    while ((part = hear (&peer, AFRPC_NATS_CHUNK))->id == 1)
      said_free (part);
    say (&peer, NULL, AFRPC_NATS_RECEIVED, 0, part->id, g_variant_new_uint64 (G_MAXUINT64));
    said_free (part);
  }
  grant (&peer, 60000);
  take_slowly (&peer, 0);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, 3, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (next));
  peer_serve_end (&peer, caller);
}

/* Returns: (transfer full) */
static AfrpcCall *
cancel_one (AfrpcCall    *call, /* (transfer full) */
            AfrpcStarted  started)
{
  afrpc_call_cancel (call);
  g_assert_cmpint (afrpc_call_get_started (call), ==, started);

  return call;
}

static void
check_cancelled (AfrpcCall    *call, /* (transfer full) */
                 AfrpcStarted  started)
{
  g_autoptr(GError) error = wait_error (call);

  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, started);
  g_object_unref (call);
}

static void
test_nats_peer_cancelled (void)
{
  AfrpcNatsCaller *caller;
  AfrpcCall *call;
  Peer peer;
  guint64 id;

  g_test_summary ("Of a call that is cancelled it is known at once whether it was begun, if its server has said so, or has not got it; "
                  "otherwise once it says so");
  caller = peer_serve (&peer);

  /* Nobody has it. */
  call = call_start (caller, g_variant_new ("(i)", 1));
  said_free (hear (&peer, AFRPC_NATS_DEMAND));
  check_cancelled (cancel_one (call, AFRPC_STARTED_NO), AFRPC_STARTED_NO);

  /* The server has begun it, and said so: nothing else has to be said, and the next call has the grant that comes with its outcome. */
  call = call_start (caller, g_variant_new ("(i)", 2));
  grant (&peer, 60000);
  id = hear_call (&peer);
  say (&peer, NULL, AFRPC_NATS_STARTED, 0, id, NULL);
  while (afrpc_call_get_started (call) != AFRPC_STARTED_YES)
    g_main_context_iteration (NULL, TRUE);
  check_cancelled (cancel_one (call, AFRPC_STARTED_YES), AFRPC_STARTED_YES);
  hear_of (&peer, AFRPC_NATS_CANCEL, id);
  say (&peer, NULL, AFRPC_NATS_ERROR, AFRPC_NATS_FLAG_CREDIT, id,
       g_variant_new ("(isis)", AFRPC_STARTED_YES, "g-io-error-quark", G_IO_ERROR_CANCELLED, "cancelled"));

  /* It has got it, and says after that whether it was begun. */
  call = call_start (caller, g_variant_new ("(i)", 3));
  id = hear_call (&peer);
  call = cancel_one (call, AFRPC_STARTED_UNKNOWN);
  hear_of (&peer, AFRPC_NATS_CANCEL, id);
  say (&peer, NULL, AFRPC_NATS_ERROR, AFRPC_NATS_FLAG_CREDIT, id,
       g_variant_new ("(isis)", AFRPC_STARTED_NO, "g-io-error-quark", G_IO_ERROR_CANCELLED, "cancelled"));
  check_cancelled (call, AFRPC_STARTED_NO);

  /* Or never does. */
  call = call_start (caller, g_variant_new ("(i)", 4));
  hear_call (&peer);
  check_cancelled (cancel_one (call, AFRPC_STARTED_UNKNOWN), AFRPC_STARTED_UNKNOWN);
  peer_serve_end (&peer, caller);
}

/* Has a call begun, and says something of it that contradicts that. */
static void
check_contradicted (Peer            *peer,
                    AfrpcNatsCaller *caller,
                    guint            type,
                    GVariant        *body,
                    GQuark           domain,
                    int              code)
{
  g_autoptr(AfrpcCall) call = call_start (caller, g_variant_new ("(i)", 1));
  g_autoptr(GError) error = NULL;
  guint64 id;

  grant (peer, 60000);
  id = hear_call (peer);
  say (peer, NULL, AFRPC_NATS_STARTED, 0, id, NULL);
  say (peer, NULL, type, 0, id, body);
  error = wait_error (call);
  g_assert_error (error, domain, code);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
}

static GVariant *
new_malformed (void)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, "\xff\xff\xff", 3, 1);
}

static void
count_error_cb (AfrpcCaller *caller,
                GError      *error,
                guint       *n)
{
  (*n)++;
}

static void
test_nats_peer_contradicted (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcCall *cancelled;
  AfrpcNatsCaller *caller;
  guint n_errors = 0;
  guint64 id;
  Peer peer;

  g_test_summary ("What a server has said to have begun was begun, whatever it says later, and is not sent again; of an error that is "
                  "malformed it is not known, and one that was cancelled ends as that");
  caller = peer_serve (&peer);
  g_signal_connect (caller, "error", G_CALLBACK (count_error_cb), &n_errors);
  check_contradicted (&peer, caller, AFRPC_NATS_REFUSED, g_variant_new_string ("no"), AFRPC_ERROR, AFRPC_ERROR_DIED);
  check_contradicted (&peer, caller, AFRPC_NATS_ERROR,
                      g_variant_new ("(isis)", AFRPC_STARTED_NO, "g-io-error-quark", G_IO_ERROR_FAILED, "no"), G_IO_ERROR,
                      G_IO_ERROR_FAILED);
  check_contradicted (&peer, caller, AFRPC_NATS_ERROR, new_malformed (), AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);

  call = call_start (caller, g_variant_new ("(i)", 2));
  grant (&peer, 60000);
  say (&peer, NULL, AFRPC_NATS_ERROR, 0, hear_call (&peer), new_malformed ());
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_UNKNOWN);

  /* With nothing else to be heard than that, and a beat that is far away */
  cancelled = call_start (caller, g_variant_new ("(i)", 3));
  grant (&peer, 60000);
  id = hear_call (&peer);
  cancelled = cancel_one (cancelled, AFRPC_STARTED_UNKNOWN);
  hear_of (&peer, AFRPC_NATS_CANCEL, id);
  say (&peer, NULL, AFRPC_NATS_ERROR, 0, id, new_malformed ());
  check_cancelled (cancelled, AFRPC_STARTED_UNKNOWN);
  while (n_errors < 3)
    g_main_context_iteration (NULL, TRUE);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_cancelled_parts (void)
{
  GByteArray *part = afrpc_nats_message_new (OWN_ID);
  g_autofree char *inbox = NULL;
  AfrpcNatsCaller *caller;
  AfrpcCall *call;
  Serving serving;
  Peer peer;

  g_test_summary ("Who has parts of a message that nobody wants any more hears it, and keeps nothing of them");
  caller = peer_serve (&peer);
  call = call_start (caller, new_large (300000));
  grant (&peer, 60000);
  said_free (hear (&peer, AFRPC_NATS_CHUNK));
  check_cancelled (cancel_one (call, AFRPC_STARTED_NO), AFRPC_STARTED_NO);
  hear_of (&peer, AFRPC_NATS_GIVEN_UP, 1);
  peer_serve_end (&peer, caller);

  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, NULL);
  serving_start (&serving);
  demand (&peer);
  inbox = g_strconcat (peer.other, ".m", NULL);
  afrpc_nats_message_add_chunk (part, 7, 300000, 0, (const guint8 *) "part", 4);
  natsConnection_PublishRequest (peer.connection, inbox, OWN_INBOX ".n.1", part->data, part->len);
  hear_of (&peer, AFRPC_NATS_RECEIVED, 7);
  g_assert_nonnull (afrpc_nats_server_find_client (serving.server, OWN_ID)->chunks.data);
  say (&peer, NULL, AFRPC_NATS_GIVEN_UP, 0, 7, NULL);
  /* So do callers: of an outcome that they do not want */
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, act_u ("bytes", 300000)));
  said_free (hear (&peer, AFRPC_NATS_CHUNK));
  g_assert_null (afrpc_nats_server_find_client (serving.server, OWN_ID)->chunks.data);
  say (&peer, NULL, AFRPC_NATS_ACK, 0, 1, NULL);
  said_free (hear (&peer, AFRPC_NATS_GIVEN_UP));
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
  g_byte_array_unref (part);
}

static void
test_nats_peer_gone (void)
{
  natsSubscription *inbox;
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  gboolean is_over = FALSE;
  Peer peer;

  g_test_summary ("A large call that has come may have been begun, also if parts of it were repeated that did not come");
  peer_init (&peer, NATS_SUBJECT);
  inbox = peer_listen (&peer);
  caller = nats_caller_new (&peer.nats);
  call = call_start (caller, new_large (300000));
  grant (&peer, 500);
  while (!is_over)
    {
      Said *part = hear (&peer, AFRPC_NATS_CHUNK);

      /* What comes last is several parts, of which it is not said that they have come. */
      if (part->end < part->total - 100000)
        say (&peer, NULL, AFRPC_NATS_RECEIVED, 0, part->id, g_variant_new_uint64 (part->end));
      is_over = part->end == part->total;
      said_free (part);
    }
  nats_unsubscribe (peer.connection, inbox);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_UNKNOWN);
  nats_caller_end (caller);
  peer_end (&peer);
}

static void
peer_stopped_cb (GObject      *object,
                 GAsyncResult *result,
                 gpointer      data)
{
  g_assert_true (afrpc_nats_server_stop_finish (AFRPC_NATS_SERVER (object), result, NULL));
  *(gboolean *) data = TRUE;
}

static void
test_nats_peer_drain (void)
{
  gboolean is_over = FALSE;
  Serving serving;
  Peer peer;

  g_test_summary ("A server that stops waits for a caller that takes a large result slowly");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, act_u ("bytes", 300000)));
  while (afrpc_nats_server_get_n_calls_done (serving.server) == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_nats_server_stop_async (serving.server, NULL, peer_stopped_cb, &is_over);
  take_slowly (&peer, 300);
  g_assert_false (is_over);
  say (&peer, NULL, AFRPC_NATS_ACK, 0, 1, NULL);
  test_iterate_until (&is_over);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_drain_silent (void)
{
  const gint64 begin_us = g_get_monotonic_time ();
  gboolean is_over = FALSE;
  Serving serving;
  Peer peer;

  g_test_summary ("But not for one that takes nothing more of it, however often that is sent again");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, act_u ("bytes", 300000)));
  said_free (hear (&peer, AFRPC_NATS_CHUNK));
  afrpc_nats_server_stop_async (serving.server, NULL, peer_stopped_cb, &is_over);
  while (!is_over && g_get_monotonic_time () < begin_us + 6 * G_USEC_PER_SEC)
    g_main_context_iteration (NULL, FALSE);
  g_assert_true (is_over);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_unwanted (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("A server that was taken for dead is told that nobody wants what it has");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 20);
  id = hear_call (&peer);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  say (&peer, NULL, AFRPC_NATS_BEAT, 0, 0, g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, &id, 1, sizeof id));
  hear_of (&peer, AFRPC_NATS_ACK, id);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("late")));
  hear_of (&peer, AFRPC_NATS_ACK, id);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_too_large (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  gint64 begin_us;
  Peer peer;

  g_test_summary ("A call that is larger than its server takes is refused at once");
  caller = peer_serve (&peer);
  call = call_start (caller, new_large (1000001));
  grant (&peer, 60000);
  begin_us = g_get_monotonic_time ();
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  /* Otherwise the next that happens is that it asks for room again, after 100 ms, and no server is heard for a minute. */
  g_test_message ("after %.1f ms", (g_get_monotonic_time () - begin_us) / 1000.0);
  peer_serve_end (&peer, caller);
}

static void
test_nats_peer_idle (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("A server without calls is asked whether it is there, and stays if it answers; without room it is forgotten");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 10);
  say (&peer, NULL, AFRPC_NATS_RESULT, AFRPC_NATS_FLAG_CREDIT, hear_call (&peer), g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
  hear_of (&peer, AFRPC_NATS_QUERY, 0);
  say (&peer, NULL, AFRPC_NATS_FORGOTTEN, 0, 0, NULL);
  /* Otherwise it would have gone after 120 ms. */
  iterate_for (300);
  g_assert_cmpuint (afrpc_nats_caller_get_n_servers (caller), ==, 1);
  say (&peer, NULL, AFRPC_NATS_REVOKE, 0, 1, NULL);
  while (afrpc_nats_caller_get_n_servers (caller) > 0)
    g_main_context_iteration (NULL, TRUE);
  peer_serve_end (&peer, caller);
}

/* The peer has given room for one of several calls, and takes it back. Returns: whether all are asked for some at once: the caller
 * may just have asked again itself */
static gboolean
asks_all_again (Peer *peer)
{
  gboolean is_for_all = FALSE;
  Said *said;

  grant (peer, 60000);
  while (!is_for_all)
    {
      said = hear (peer, AFRPC_NATS_DEMAND);
      is_for_all = said->is_for_all;
      said_free (said);
    }
  say (peer, NULL, AFRPC_NATS_REVOKE, 0, 1, NULL);
  said = hear (peer, AFRPC_NATS_DEMAND);
  is_for_all = said->is_for_all;
  said_free (said);

  return is_for_all;
}

static void
test_nats_peer_revoked (void)
{
  natsSubscription *inbox, *all;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint n_tries = 0;

  g_test_summary ("A caller whose calls still wait when a server takes its room back asks for more at once, and not when it is tired");
  peer_init (&peer, NATS_SUBJECT);
  inbox = peer_listen (&peer);
  all = peer_listen_to (&peer, NATS_SUBJECT ".all");
  caller = nats_caller_new (&peer.nats);
  for (guint i = 0; i < 20; i++)
    afrpc_caller_call (AFRPC_CALLER (caller), g_variant_new ("(i)", 1), NULL, NULL, NULL);
  while (!asks_all_again (&peer))
    g_assert_cmpuint (++n_tries, <, 5);
  afrpc_caller_kill (AFRPC_CALLER (caller));
  nats_unsubscribe (peer.connection, all);
  nats_unsubscribe (peer.connection, inbox);
  nats_caller_end (caller);
  peer_end (&peer);
}

static void
ignored_cb (natsConnection   *connection,
            natsSubscription *subscription,
            natsMsg          *message,
            void             *data)
{
  natsMsg_Destroy (message);
}

static void
test_nats_peer_frozen (void)
{
  natsSubscription *frozen[20];
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  gboolean is_asking = FALSE;
  guint64 id = 0;
  Said *said;
  Peer peer;

  g_test_summary ("Where most who serve say nothing, and NATS has not missed them yet, the one that lives is found");
  peer_init (&peer, NATS_SUBJECT ".all");
  peer.inbox = peer_listen (&peer);
  for (guint i = 0; i < G_N_ELEMENTS (frozen); i++)
    g_assert_cmpint (natsConnection_QueueSubscribe (&frozen[i], peer.connection, NATS_SUBJECT, "afrpc", ignored_cb, NULL), ==, NATS_OK);
  natsConnection_Flush (peer.connection);
  caller = nats_caller_new (&peer.nats);
  call = call_start (caller, g_variant_new ("(i)", 1));
  /* It has room, or it has none: then it is to say so after a second, so that it is known that somebody serves. */
  while (!is_asking)
    {
      g_assert_false (afrpc_call_is_settled (call));
      said = g_async_queue_try_pop (peer.messages);
      if (said != NULL && said->type == AFRPC_NATS_DEMAND)
        {
          is_asking = (said->flags & AFRPC_NATS_FLAG_ASKING) != 0;
          id = said->id;
          g_clear_pointer (&peer.other, g_free);
          g_variant_get (said->body, "(sutt)", &peer.other, NULL, NULL, NULL);
        }
      if (said == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_clear_pointer (&said, said_free);
    }
  say (&peer, NULL, AFRPC_NATS_GRANT, 0, id, g_variant_new ("(ssuut)", OWN_INBOX, "the test", 0, 60000, G_GUINT64_CONSTANT (1000000)));
  grant (&peer, 60000);
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, hear_call (&peer), g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
  for (guint i = 0; i < G_N_ELEMENTS (frozen); i++)
    nats_unsubscribe (peer.connection, frozen[i]);
  peer_serve_end (&peer, caller);
}

static void
ask_all (Peer    *peer,
         guint64  id,
         guint    flags)
{
  say (peer, NATS_SUBJECT ".all", AFRPC_NATS_DEMAND, flags, id,
       g_variant_new ("(sutt)", OWN_INBOX, 1, G_GUINT64_CONSTANT (1000000), peer->last_id));
}

static void
check_grant (Peer    *peer,
             guint64  id,
             guint32  n)
{
  Said *said = hear (peer, AFRPC_NATS_GRANT);
  guint32 n_granted;

  g_variant_get (said->body, "(ssuut)", NULL, NULL, &n_granted, NULL, NULL);
  g_assert_cmpuint (said->id, ==, id);
  g_assert_cmpuint (n_granted, ==, n);
  said_free (said);
}

static void
test_nats_peer_asked_twice (void)
{
  Serving serving;
  Peer peer;

  g_test_summary ("Who is asked alone, and with all others, grants once; and says that he has no room if he is to, but not otherwise");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 2, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  demand (&peer);
  /* It may have been granted more than once. */
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  say (&peer, NATS_SUBJECT, AFRPC_NATS_DEMAND, 0, 2, g_variant_new ("(sutt)", OWN_INBOX, 1, G_GUINT64_CONSTANT (1000000), peer.last_id));
  hear_of (&peer, AFRPC_NATS_GRANT, 2);
  ask_all (&peer, 2, 0);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 0, NULL);
  hear_of (&peer, AFRPC_NATS_FORGOTTEN, 0);
  /* It has room for one more. */
  ask_all (&peer, 3, 0);
  check_grant (&peer, 3, 1);
  ask_all (&peer, 4, 0);
  ask_all (&peer, 5, AFRPC_NATS_FLAG_ASKING);
  check_grant (&peer, 5, 0);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_alone (void)
{
  Serving serving;
  Peer peer;
  Said *said;

  g_test_summary ("What the only caller does not use at once is not taken back: nobody waits for it");
  peer_init (&peer, NULL);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 1, "caller-timeout-ms", 60000, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NATS_SUBJECT, AFRPC_NATS_DEMAND, 0, 2, g_variant_new ("(sutt)", OWN_INBOX, 2, G_GUINT64_CONSTANT (1000000), peer.last_id));
  /* Otherwise it would be after 50 ms. */
  iterate_for (200);
  while ((said = g_async_queue_try_pop (peer.messages)) != NULL)
    {
      g_assert_cmpuint (said->type, !=, AFRPC_NATS_REVOKE);
      said_free (said);
    }
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  serving_clear (&serving);
  peer_end (&peer);
}

static void
test_nats_peer_overheard (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;

  g_test_summary ("That nobody serves is known, too, where somebody listens to everything: nobody answers");
  peer_init (&peer, ">");
  caller = nats_caller_new (&peer.nats);
  call = call_start (caller, g_variant_new ("(i)", 1));
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  nats_caller_end (caller);
  peer_end (&peer);
}

static void
test_nats_peer_stalled (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("While NATS itself says nothing, no server is taken for dead; nor before it may have been heard again");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 100);
  id = hear_call (&peer);
  g_assert_cmpint (kill (peer.nats.pid, SIGSTOP), ==, 0);
  iterate_for (1000);
  g_assert_false (afrpc_call_is_settled (call));
  g_assert_cmpint (kill (peer.nats.pid, SIGCONT), ==, 0);
  iterate_for (200);
  g_assert_false (afrpc_call_is_settled (call));
  say (&peer, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("done")));
  value = wait_value (call);
  peer_serve_end (&peer, caller);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-peer/calls", test_nats_peer_calls);
  g_test_add_func ("/nats-peer/forgotten", test_nats_peer_forgotten);
  g_test_add_func ("/nats-peer/started-again", test_nats_peer_started_again);
  g_test_add_func ("/nats-peer/no-room", test_nats_peer_no_room);
  g_test_add_func ("/nats-peer/refused", test_nats_peer_refused);
  g_test_add_func ("/nats-peer/forgetful", test_nats_peer_forgetful);
  g_test_add_func ("/nats-peer/not-named", test_nats_peer_not_named);
  g_test_add_func ("/nats-peer/silent", test_nats_peer_silent);
  g_test_add_func ("/nats-peer/slowly", test_nats_peer_slowly);
  g_test_add_func ("/nats-peer/silent-parts", test_nats_peer_silent_parts);
  g_test_add_func ("/nats-peer/lost-parts", test_nats_peer_lost_parts);
  g_test_add_func ("/nats-peer/settled-parts", test_nats_peer_settled_parts);
  g_test_add_func ("/nats-peer/given-up", test_nats_peer_given_up);
  g_test_add_func ("/nats-peer/cancelled", test_nats_peer_cancelled);
  g_test_add_func ("/nats-peer/contradicted", test_nats_peer_contradicted);
  g_test_add_func ("/nats-peer/cancelled-parts", test_nats_peer_cancelled_parts);
  g_test_add_func ("/nats-peer/gone", test_nats_peer_gone);
  g_test_add_func ("/nats-peer/drain", test_nats_peer_drain);
  g_test_add_func ("/nats-peer/drain-silent", test_nats_peer_drain_silent);
  g_test_add_func ("/nats-peer/unwanted", test_nats_peer_unwanted);
  g_test_add_func ("/nats-peer/too-large", test_nats_peer_too_large);
  g_test_add_func ("/nats-peer/idle", test_nats_peer_idle);
  g_test_add_func ("/nats-peer/revoked", test_nats_peer_revoked);
  g_test_add_func ("/nats-peer/frozen", test_nats_peer_frozen);
  g_test_add_func ("/nats-peer/asked-twice", test_nats_peer_asked_twice);
  g_test_add_func ("/nats-peer/alone", test_nats_peer_alone);
  g_test_add_func ("/nats-peer/overheard", test_nats_peer_overheard);
  g_test_add_func ("/nats-peer/stalled", test_nats_peer_stalled);

  return g_test_run ();
}
