/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <nats/nats.h>
#include <string.h>

/* What anybody may send to the subjects who may publish there: all that is said between callers and servers, damaged, and said
 * again. Nobody falls over that; and once it is over, there are calls as before. */

#define N_HOSTILE 4000u

typedef struct
{
  char *subject;
  GBytes *bytes;
} Heard;

typedef struct
{
  GMutex lock;
  GPtrArray *heard; /* (element-type Heard) */
} Ear;

static void
heard_free (gpointer data)
{
  Heard *heard = data;

  g_free (heard->subject);
  g_bytes_unref (heard->bytes);
  g_free (heard);
}

static void
heard_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsMsg          *message,
          void             *data)
{
  Ear *ear = data;
  Heard *heard = g_new0 (Heard, 1);

  heard->subject = g_strdup (natsMsg_GetSubject (message));
  heard->bytes = g_bytes_new (natsMsg_GetData (message), natsMsg_GetDataLength (message));
  natsMsg_Destroy (message);
  g_mutex_lock (&ear->lock);
  g_ptr_array_add (ear->heard, heard);
  g_mutex_unlock (&ear->lock);
}

static gboolean
send_damaged (Ear            *ear,
              natsConnection *connection)
{
  g_autofree guint8 *bytes = NULL;
  g_autofree char *subject = NULL;
  const Heard *heard;
  gsize size;

  g_mutex_lock (&ear->lock);
  if (ear->heard->len == 0)
    {
      g_mutex_unlock (&ear->lock);
      return FALSE;
    }
  heard = ear->heard->pdata[g_test_rand_int_range (0, ear->heard->len)];
  bytes = g_memdup2 (g_bytes_get_data (heard->bytes, NULL), g_bytes_get_size (heard->bytes));
  size = g_bytes_get_size (heard->bytes);
  /* What is for one, some other one gets now and then. */
  subject = g_strdup (((Heard *) ear->heard->pdata[g_test_rand_int_range (0, ear->heard->len)])->subject);
  if (g_test_rand_bit ())
    {
      g_free (subject);
      subject = g_strdup (heard->subject);
    }
  g_mutex_unlock (&ear->lock);

  for (int n = g_test_rand_int_range (0, 4); n > 0 && size > 0; n--)
    {
      const guint where = g_test_rand_bit () ? g_test_rand_int_range (0, size) : g_test_rand_int_range (0, MIN (size, 40));

      bytes[where] = g_test_rand_bit () ? g_test_rand_int_range (0, 256) : bytes[where] ^ 1 << g_test_rand_int_range (0, 8);
    }
  if (g_test_rand_int_range (0, 8) == 0)
    size = g_test_rand_int_range (0, size + 1);
  g_assert_cmpint (natsConnection_Publish (connection, subject, bytes, size), ==, NATS_OK);

  return TRUE;
}

static void
test_nats_hostile (void)
{
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller, *other;
  natsConnection *connection = NULL;
  natsSubscription *subscription = NULL;
  const gint64 end_us = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  Ear ear = { .heard = g_ptr_array_new_with_free_func (heard_free) };

  g_test_summary ("What is said is damaged, and said again: nobody falls over that");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 2, "beat-ms", 20, "caller-timeout-ms", 200, "max-message-size", G_GUINT64_CONSTANT (3000000), NULL);
  serving_start (&serving);
  g_assert_cmpint (natsConnection_ConnectTo (&connection, nats.url), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Subscribe (&subscription, connection, ">", heard_cb, &ear), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Flush (connection), ==, NATS_OK);
  caller = nats_caller_new (&nats);
  g_signal_connect (caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (caller, "event", G_CALLBACK (test_ignore_cb), NULL);
  nats_caller_wait (caller);
  g_object_set (caller, "no-servers-timeout-ms", 2000, "call-timeout-ms", 500, NULL);
  /* Many calls wait for their time limits, because of what is said. */
  for (guint i = 0; i < N_HOSTILE && g_get_monotonic_time () < end_us;)
    {
      g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);

      for (guint j = 0; j < 5; j++)
        g_ptr_array_add (calls, call_start (caller, j == 4 ? test_act ("event", g_variant_new_uint32 (i))
                                                    : i % 50 == 0 && j == 3 ? act_u ("bytes", 1100000)
                                                    : test_act ("return", g_variant_new_uint32 (i))));
      for (guint j = 0; j < 40; j++)
        i += send_damaged (&ear, connection);
      /* Whatever becomes of them; it is somebody else who says what. */
      for (guint j = 0; j < calls->len; j++)
        while (!afrpc_call_is_settled (calls->pdata[j]))
          g_main_context_iteration (NULL, TRUE);
      g_mutex_lock (&ear.lock);
      if (ear.heard->len > 2000)
        g_ptr_array_remove_range (ear.heard, 0, ear.heard->len - 500);
      g_mutex_unlock (&ear.lock);
    }
  nats_unsubscribe (connection, subscription);
  natsConnection_Destroy (connection);

  other = nats_caller_new (&nats);
  g_signal_connect (other, "error", G_CALLBACK (test_ignore_cb), NULL);
  nats_caller_wait (other);
  nats_caller_end (other);
  g_test_message ("%u messages were found wanting", serving.n_errors);
  nats_caller_end (caller);
  serving_clear (&serving);
  nats_server_clear (&nats);
  nats_Sleep (0);
  g_ptr_array_unref (ear.heard);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-hostile/damaged", test_nats_hostile);

  return g_test_run ();
}
