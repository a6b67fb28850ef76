/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-peer.h"

#include <signal.h>

/* Calls that wait at a server behind others that take long, and go to another one: what has to be right though what is said of that
 * is lost, comes twice or late. */

static void
test_nats_back_recalled (void)
{
  Serving serving;
  Meeting meeting;
  Peer peer;
  Said *said;
  g_autoptr(GVariant) waiting = NULL;

  g_test_summary ("A server says what waits behind a long call, gives it back if it is asked, and does it no more; but not what runs");
  peer_init (&peer, NULL);
  meeting_init (&meeting);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 3, "beat-ms", 20, NULL);
  serving_start (&serving);
  demand (&peer);
  waiting = g_variant_ref_sink (meet (&meeting));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, waiting));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 2, new_call (2));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 3, new_call (3));
  said = hear (&peer, AFRPC_NATS_HAVE);
  g_assert_cmpuint (said->id, ==, 2);
  g_assert_cmpuint (said->flags, ==, AFRPC_NATS_FLAG_BEHIND);
  said_free (said);
  hear_of (&peer, AFRPC_NATS_HAVE, 3);
  say (&peer, NULL, AFRPC_NATS_RECALL, 0, 1, NULL);
  hear_of (&peer, AFRPC_NATS_STARTED, 1);
  /* Both come in the same turn. */
  for (guint i = 0; i < 2; i++)
    say (&peer, NULL, AFRPC_NATS_RECALL, 0, 2, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 2);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 2, new_call (2));
  hear_of (&peer, AFRPC_NATS_REFUSED, 2);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 2, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 2);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_running (serving.server), ==, 2);
  meeting_let_go (&meeting);
  hear_of (&peer, AFRPC_NATS_RESULT, 1);
  hear_of (&peer, AFRPC_NATS_RESULT, 3);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, 2);
  /* What is over is said again. */
  say (&peer, NULL, AFRPC_NATS_RECALL, 0, 3, NULL);
  hear_of (&peer, AFRPC_NATS_RESULT, 3);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  meeting_end (&meeting);
  serving_clear (&serving);
  peer_end (&peer);
}

/* Until the next beat. Returns: of how many calls it is said before that they wait behind others */
static guint
count_named (Peer *peer)
{
  guint n = 0;

  for (;;)
    {
      Said *said = g_async_queue_try_pop (peer->messages);
      const guint type = said != NULL ? said->type : 0;

      n += type == AFRPC_NATS_HAVE && said->flags == AFRPC_NATS_FLAG_BEHIND;
      if (said != NULL)
        said_free (said);
      else
        g_main_context_iteration (NULL, TRUE);
      if (type == AFRPC_NATS_BEAT)
        return n;
    }
}

static guint
hear_flags (Peer    *peer,
            guint64  id)
{
  Said *said = hear (peer, AFRPC_NATS_HAVE);
  const guint flags = said->flags;

  g_assert_cmpuint (said->id, ==, id);
  said_free (said);

  return flags;
}

static void
test_nats_back_named (void)
{
  Serving serving;
  Meeting meeting;
  Peer peer;
  g_autoptr(GVariant) waiting = NULL;

  g_test_summary ("That a call waits behind others is said with each beat, and to who asks what has become of it");
  peer_init (&peer, NULL);
  meeting_init (&meeting);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 3, "beat-ms", 200, NULL);
  serving_start (&serving);
  demand (&peer);
  waiting = g_variant_ref_sink (meet (&meeting));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, g_variant_new ("(a{sv}v)", NULL, waiting));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 2, new_call (2));
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 3, new_call (3));
  hear_of (&peer, AFRPC_NATS_HAVE, 2);
  hear_of (&peer, AFRPC_NATS_HAVE, 3);
  count_named (&peer);
  say (&peer, NULL, AFRPC_NATS_QUERY, 0, 3, NULL);
  g_assert_cmpuint (hear_flags (&peer, 3), ==, AFRPC_NATS_FLAG_BEHIND);
  g_assert_cmpuint (count_named (&peer), ==, 2);
  say (&peer, NULL, AFRPC_NATS_RECALL, 0, 2, NULL);
  hear_of (&peer, AFRPC_NATS_REFUSED, 2);
  g_assert_cmpuint (count_named (&peer), ==, 1);
  meeting_let_go (&meeting);
  hear_of (&peer, AFRPC_NATS_RESULT, 3);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  meeting_end (&meeting);
  serving_clear (&serving);
  peer_end (&peer);
}

/* Returns: (transfer floating): with an affinity */
static GVariant *
new_tied_call (GVariant *args)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "affinity", "s", "one");

  return g_variant_new ("(@a{sv}v)", g_variant_dict_end (&dict), args);
}

static void
test_nats_back_kept (void)
{
  Serving serving;
  Meeting meeting;
  Peer peer;
  Said *said;
  guint32 n;

  g_test_summary ("What a server cannot give back does not wait for anybody else: it is not said to, nor taken off from what is asked for");
  peer_init (&peer, NULL);
  meeting_init (&meeting);
  serving_init (&serving, &peer.nats, "act", 1, "max-calls", 3, "beat-ms", 200, NULL);
  serving_start (&serving);
  demand (&peer);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 1, new_tied_call (meet (&meeting)));
  hear_of (&peer, AFRPC_NATS_STARTED, 1);
  say (&peer, NULL, AFRPC_NATS_CALL, 0, 2, new_tied_call (g_variant_new ("(sv)", "return", g_variant_new_uint32 (2))));
  g_assert_cmpuint (hear_flags (&peer, 2), ==, AFRPC_NATS_FLAG_BEHIND);
  count_named (&peer);
  say (&peer, NULL, AFRPC_NATS_RECALL, 0, 2, NULL);
  g_assert_cmpuint (hear_flags (&peer, 2), ==, 0);
  g_assert_cmpuint (count_named (&peer), ==, 0);
  say (&peer, NATS_SUBJECT, AFRPC_NATS_DEMAND, 0, 2, g_variant_new ("(sutt)", OWN_INBOX, 1, G_GUINT64_CONSTANT (1000000), peer.last_id));
  said = hear (&peer, AFRPC_NATS_GRANT);
  g_variant_get_child (said->body, 2, "u", &n);
  g_assert_cmpuint (n, ==, 1);
  said_free (said);
  meeting_let_go (&meeting);
  hear_of (&peer, AFRPC_NATS_RESULT, 2);
  say (&peer, NULL, AFRPC_NATS_LEAVE, 0, 0, NULL);
  meeting_end (&meeting);
  serving_clear (&serving);
  peer_end (&peer);
}

/* As a server: it has one call, of which @flags are true. */
static void
beat (Peer    *peer,
      guint64  own_id,
      guint64  id,
      guint    flags)
{
  if (flags != 0)
    say_as (peer, own_id, NULL, AFRPC_NATS_HAVE, flags, id, NULL);
  say_as (peer, own_id, NULL, AFRPC_NATS_BEAT, 0, 0, g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, &id, 1, sizeof id));
}

static void
finish (Peer      *peer,
        guint64    own_id,
        guint64    id,
        AfrpcCall *call)
{
  say_as (peer, own_id, NULL, AFRPC_NATS_RESULT, 0, id, g_variant_new_variant (g_variant_new_string ("done")));
  g_variant_unref (wait_value (call));
}

static void
test_nats_back_begun (void)
{
  g_autoptr(AfrpcCall) first = NULL;
  g_autoptr(AfrpcCall) second = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 ids[2];

  g_test_summary ("A call of which a beat says nothing else waits behind others no more: its server has room for what waits elsewhere");
  caller = peer_serve (&peer);
  first = call_start (caller, g_variant_new ("(i)", 1));
  grant_as (&peer, OWN_ID, 60000);
  ids[0] = hear_call (&peer);
  second = call_start (caller, g_variant_new ("(i)", 2));
  grant_as (&peer, OWN_ID + 1, 60000);
  ids[1] = hear_call (&peer);
  beat (&peer, OWN_ID, ids[0], AFRPC_NATS_FLAG_BEHIND);
  beat (&peer, OWN_ID, ids[0], 0);
  beat (&peer, OWN_ID + 1, ids[1], AFRPC_NATS_FLAG_BEHIND);
  grant_as (&peer, OWN_ID, 60000);
  hear_of (&peer, AFRPC_NATS_RECALL, ids[1]);
  finish (&peer, OWN_ID, ids[0], first);
  finish (&peer, OWN_ID + 1, ids[1], second);
  peer_serve_end (&peer, caller);
}

static guint
hear_n_demanded (Peer *peer)
{
  Said *said = hear (peer, AFRPC_NATS_DEMAND);
  guint32 n;

  g_variant_get_child (said->body, 1, "u", &n);
  said_free (said);

  return n;
}

/* Nothing that it has said, or says in a while, asks a call back, or makes one. */
static void
check_unmoved (Peer *peer)
{
  Said *said;

  iterate_for (50);
  while ((said = g_async_queue_try_pop (peer->messages)) != NULL)
    {
      g_assert_cmpuint (said->type, !=, AFRPC_NATS_RECALL);
      g_assert_cmpuint (said->type, !=, AFRPC_NATS_CALL);
      said_free (said);
    }
}

static void
test_nats_back_lost (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("A call that is still named in the second beat after it was asked back is asked back again, and not for ever: then "
                  "others have the room");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant_as (&peer, OWN_ID, 60000);
  id = hear_call (&peer);
  beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
  grant_as (&peer, OWN_ID + 1, 60000);
  hear_of (&peer, AFRPC_NATS_RECALL, id);
  /* It may have been under way: the room is kept for what comes back. */
  next = call_start (caller, g_variant_new ("(i)", 2));
  /* Its server takes off what waits there, and has given the other one back by then. */
  g_assert_cmpuint (hear_n_demanded (&peer), ==, 1);
  beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
  check_unmoved (&peer);
  beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
  for (guint n = 2; n <= 8; n++)
    {
      hear_of (&peer, AFRPC_NATS_RECALL, id);
      beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
      beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
    }
  finish (&peer, OWN_ID + 1, hear_call (&peer), next);
  check_unmoved (&peer);
  finish (&peer, OWN_ID, id, call);
  peer_serve_end (&peer, caller);
}

static void
test_nats_back_unheard (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("A call that was given back, of which its caller has not heard that, is asked for");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant_as (&peer, OWN_ID, 60000);
  id = hear_call (&peer);
  beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
  grant_as (&peer, OWN_ID + 1, 60000);
  hear_of (&peer, AFRPC_NATS_RECALL, id);
  for (guint i = 0; i < 2; i++)
    beat (&peer, OWN_ID, 0, 0);
  hear_of (&peer, AFRPC_NATS_QUERY, id);
  for (guint i = 0; i < 2; i++)
    say_as (&peer, OWN_ID, NULL, AFRPC_NATS_REFUSED, 0, id, g_variant_new_string ("it was wanted back"));
  finish (&peer, OWN_ID + 1, hear_call (&peer), call);
  peer_serve_end (&peer, caller);
}

static void
test_nats_back_reconnected (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  guint64 id;

  g_test_summary ("A call that was asked back before the connection was lost is asked back after that, once there is room");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant_as (&peer, OWN_ID, 60000);
  id = hear_call (&peer);
  beat (&peer, OWN_ID, id, AFRPC_NATS_FLAG_BEHIND);
  grant_as (&peer, OWN_ID + 1, 60000);
  hear_of (&peer, AFRPC_NATS_RECALL, id);
  nats_server_kill (&peer.nats, SIGKILL);
  connection_wait (afrpc_nats_caller_get_connection (caller), AFRPC_NATS_STATE_DISCONNECTED);
  nats_server_start (&peer.nats);
  while (natsConnection_Status (peer.connection) != NATS_CONN_STATUS_CONNECTED)
    g_main_context_iteration (NULL, FALSE);
  connection_wait (afrpc_nats_caller_get_connection (caller), AFRPC_NATS_STATE_CONNECTED);
  said_free (hear (&peer, AFRPC_NATS_DEMAND));
  grant_as (&peer, OWN_ID + 1, 60000);
  hear_of (&peer, AFRPC_NATS_RECALL, id);
  say_as (&peer, OWN_ID, NULL, AFRPC_NATS_REFUSED, 0, id, g_variant_new_string ("it was wanted back"));
  finish (&peer, OWN_ID + 1, hear_call (&peer), call);
  peer_serve_end (&peer, caller);
}

static void
test_nats_back_to_and_fro (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) other_call = NULL;
  AfrpcNatsCaller *caller;
  Peer peer;
  Said *said;
  guint64 id;
  guint n = 0;

  g_test_summary ("A call that waits behind others is asked back once another server has room, and not for ever");
  caller = peer_serve (&peer);
  call = call_start (caller, g_variant_new ("(i)", 1));
  grant (&peer, 60000);
  for (id = hear_call (&peer); ; id = hear_call (&peer))
    {
      const guint64 server = OWN_ID + n % 2, other = OWN_ID + (n + 1) % 2;

      say_as (&peer, server, NULL, AFRPC_NATS_HAVE, AFRPC_NATS_FLAG_BEHIND, id, NULL);
      if (n == 8)
        break;
      grant_as (&peer, other, 60000);
      hear_of (&peer, AFRPC_NATS_RECALL, id);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_UNKNOWN);
      say_as (&peer, server, NULL, AFRPC_NATS_REFUSED, 0, id, g_variant_new_string ("it was wanted back"));
      n++;
    }
  /* It would ask at once. */
  iterate_for (100);
  while ((said = g_async_queue_try_pop (peer.messages)) != NULL)
    {
      g_assert_cmpuint (said->type, !=, AFRPC_NATS_DEMAND);
      g_assert_cmpuint (said->type, !=, AFRPC_NATS_RECALL);
      said_free (said);
    }
  /* Its server takes it off. */
  other_call = call_start (caller, g_variant_new ("(i)", 2));
  g_assert_cmpuint (hear_n_demanded (&peer), ==, 2);
  finish (&peer, OWN_ID, id, call);
  grant (&peer, 60000);
  finish (&peer, OWN_ID, hear_call (&peer), other_call);
  peer_serve_end (&peer, caller);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-back/recalled", test_nats_back_recalled);
  g_test_add_func ("/nats-back/named", test_nats_back_named);
  g_test_add_func ("/nats-back/kept", test_nats_back_kept);
  g_test_add_func ("/nats-back/begun", test_nats_back_begun);
  g_test_add_func ("/nats-back/lost", test_nats_back_lost);
  g_test_add_func ("/nats-back/unheard", test_nats_back_unheard);
  g_test_add_func ("/nats-back/reconnected", test_nats_back_reconnected);
  g_test_add_func ("/nats-back/to-and-fro", test_nats_back_to_and_fro);

  return g_test_run ();
}
