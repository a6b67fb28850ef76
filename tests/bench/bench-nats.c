/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls over NATS, and beside them what NATS itself has: requests and replies. Run by bench-nats.py.
 *
 * usage: bench-nats plain-serve URL SUBJECT
 *        bench-nats plain URL SUBJECT DEPTH N
 *        bench-nats afrpc URL SUBJECT DEPTH N
 *        bench-nats death URL SUBJECT idempotent|not     waits for a line, prints how long it took until the call had its outcome
 *
 * What makes calls prints the seconds that they took, and the seconds of processor time that it had. */
#include <afrpc/afrpc-nats.h>

#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-common.h"

#define WARM_UP 500u

static void
check (natsStatus status)
{
  if (status != NATS_OK)
    bench_fail ("NATS: %s", natsStatus_GetText (status));
}

static natsConnection *
new_connection (const char *url)
{
  natsConnection *connection;
  natsOptions *options;

  check (natsOptions_Create (&options));
  check (natsOptions_SetURL (options, url));
  check (natsOptions_SetSendAsap (options, true));
  check (natsConnection_Connect (&connection, options));
  natsOptions_Destroy (options);

  return connection;
}

/* Plain */

static void
reply_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsMsg          *message,
          void             *data)
{
  check (natsConnection_Publish (connection, natsMsg_GetReply (message), natsMsg_GetData (message), natsMsg_GetDataLength (message)));
  natsMsg_Destroy (message);
}

static int
plain_serve (const char *url,
             const char *subject)
{
  natsSubscription *subscription;

  check (natsConnection_QueueSubscribe (&subscription, new_connection (url), subject, "bench", reply_cb, NULL));
  for (;;)
    nats_Sleep (1000);

  return 0;
}

typedef struct
{
  natsConnection *connection;
  const char *subject;
  char *inbox;
  GMutex lock;
  GCond cond;
  guint64 n_sent;
  guint64 n_got;
  guint64 n;
} Plain;

static void
plain_send (Plain *self)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, self->n_sent++);
  check (natsConnection_PublishRequest (self->connection, self->subject, self->inbox, text, BENCH_TEXT_LEN));
}

static void
plain_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsMsg          *message,
          void             *data)
{
  Plain *self = data;

  if (natsMsg_GetDataLength (message) != (int) BENCH_TEXT_LEN)
    bench_fail ("NATS: nobody serves");
  natsMsg_Destroy (message);
  g_mutex_lock (&self->lock);
  self->n_got++;
  if (self->n_sent < self->n)
    plain_send (self);
  if (self->n_got == self->n)
    g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
plain_run (Plain  *self,
           guint   depth,
           guint64 n)
{
  g_mutex_lock (&self->lock);
  self->n_sent = self->n_got = 0;
  self->n = n;
  while (self->n_sent < MIN (depth, n))
    plain_send (self);
  while (self->n_got < n)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
}

static void
plain (const char *url,
       const char *subject,
       guint       depth,
       guint64     n)
{
  natsSubscription *subscription;
  natsInbox *inbox;
  Plain self = { .connection = new_connection (url), .subject = subject };
  double wall, cpu;

  check (natsInbox_Create (&inbox));
  self.inbox = (char *) inbox;
  check (natsConnection_Subscribe (&subscription, self.connection, self.inbox, plain_cb, &self));
  plain_run (&self, depth, WARM_UP);
  wall = bench_clock ();
  cpu = bench_clock_cpu ();
  plain_run (&self, depth, n);
  printf ("%.6f %.6f\n", bench_clock () - wall, bench_clock_cpu () - cpu);
}

/* afrpc */

typedef struct
{
  AfrpcCaller *caller;
  guint64 n_sent;
  guint64 n_got;
  guint64 n;
} Afrpc;

static void afrpc_send (Afrpc *self);

static void
afrpc_cb (GObject      *object,
          GAsyncResult *result,
          gpointer      data)
{
  Afrpc *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (object), result, &error);

  if (value == NULL)
    bench_fail ("afrpc: %s", error->message);
  self->n_got++;
  if (self->n_sent < self->n)
    afrpc_send (self);
}

static void
afrpc_send (Afrpc *self)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, self->n_sent++);
  afrpc_caller_call (self->caller, g_variant_new_string (text), NULL, afrpc_cb, self);
}

static void
afrpc_run (Afrpc  *self,
           guint   depth,
           guint64 n)
{
  self->n_sent = self->n_got = 0;
  self->n = n;
  while (self->n_sent < MIN (depth, n))
    afrpc_send (self);
  while (self->n_got < n)
    g_main_context_iteration (NULL, TRUE);
}

static AfrpcCaller *
new_caller (const char *url,
            const char *subject)
{
  g_autoptr(AfrpcNatsConnection) connection = afrpc_nats_connection_new (url);

  return g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", subject, "listens", FALSE,
                       "no-servers-timeout-ms", 10000, NULL);
}

static void
afrpc (const char *url,
       const char *subject,
       guint       depth,
       guint64     n)
{
  Afrpc self = { .caller = new_caller (url, subject) };
  double wall, cpu;

  afrpc_run (&self, depth, WARM_UP);
  wall = bench_clock ();
  cpu = bench_clock_cpu ();
  afrpc_run (&self, depth, n);
  printf ("%.6f %.6f\n", bench_clock () - wall, bench_clock_cpu () - cpu);
}

/* Who has the call is killed by whoever writes the line, with the word of who it is that a result has. */
static void
death (const char *url,
       const char *subject,
       gboolean    is_idempotent)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  AfrpcCaller *caller = new_caller (url, subject);
  AfrpcCall *call;
  GError *error = NULL;
  GVariant *value;

  afrpc_call_options_set_idempotent (options, is_idempotent);
  call = afrpc_caller_start (caller, g_variant_new_uint32 (is_idempotent ? 100 : 100000), options);
  value = afrpc_call_wait_sync (call, NULL, &error);
  printf ("%.6f %s\n", bench_clock (), value != NULL ? "done" : "failed");
}

int
main (int    argc,
      char **argv)
{
  if (argc == 4 && strcmp (argv[1], "plain-serve") == 0)
    return plain_serve (argv[2], argv[3]);
  if (argc == 5 && strcmp (argv[1], "death") == 0)
    death (argv[2], argv[3], strcmp (argv[4], "idempotent") == 0);
  else if (argc == 6 && strcmp (argv[1], "plain") == 0)
    plain (argv[2], argv[3], atoi (argv[4]), strtoull (argv[5], NULL, 10));
  else if (argc == 6)
    afrpc (argv[2], argv[3], atoi (argv[4]), strtoull (argv[5], NULL, 10));
  else
    bench_fail ("see the source for the usage");

  return 0;
}
