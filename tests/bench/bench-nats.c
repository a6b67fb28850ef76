/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls over NATS, and beside them what NATS itself has: requests and replies. Run by bench-nats.py.
 *
 * usage: bench-nats plain-serve URL SUBJECT
 *        bench-nats plain URL SUBJECT DEPTH N
 *        bench-nats afrpc URL SUBJECT DEPTH N
 *        bench-nats death URL SUBJECT idempotent|not
 *        bench-nats fleet URL SUBJECT N N-MESSAGES
 *
 * What makes calls prints the seconds that they took, and the seconds of processor time that it had. "death" says "begun" when its
 * call has been, then the time at which that had its outcome, and which. "plain-serve" says "ready", and does until it is killed.
 * "fleet" is so many who listen as those do who serve, says "ready", and after a line of input sends so many messages that all
 * get, one after the other, and says "done". */
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
  check (natsOptions_UseGlobalMessageDelivery (options, true)); /* not a thread for each subscription */
  check (natsConnection_Connect (&connection, options));
  natsOptions_Destroy (options);

  return connection;
}

static void
say (const char *word)
{
  puts (word);
  fflush (stdout);
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

  natsConnection *connection = new_connection (url);

  check (natsConnection_QueueSubscribe (&subscription, connection, subject, "bench", reply_cb, NULL));
  check (natsConnection_Flush (connection));
  say ("ready");
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

typedef struct
{
  GMutex lock;
  GCond cond;
  guint n_left; /* who have not got the message */
} Fleet;

static void
fleet_cb (natsConnection   *connection,
          natsSubscription *subscription,
          natsMsg          *message,
          void             *data)
{
  Fleet *self = data;

  natsMsg_Destroy (message);
  g_mutex_lock (&self->lock);
  if (--self->n_left == 0)
    g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
fleet (const char *url,
       const char *subject,
       guint       n,
       guint       n_messages)
{
  g_autofree char *all = g_strconcat (subject, ".all", NULL);
  natsConnection *connection = NULL;
  Fleet self = { 0 };
  char line[16];

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *inbox = g_strdup_printf ("%s.%u.>", subject, i);
      natsSubscription *subscription;

      connection = new_connection (url);
      check (natsConnection_QueueSubscribe (&subscription, connection, subject, "bench", fleet_cb, &self));
      check (natsConnection_Subscribe (&subscription, connection, inbox, fleet_cb, &self));
      check (natsConnection_Subscribe (&subscription, connection, all, fleet_cb, &self));
      check (natsConnection_Flush (connection));
    }
  say ("ready");
  if (fgets (line, sizeof line, stdin) == NULL)
    bench_fail ("nobody wants anything sent");
  for (guint i = 0; i < n_messages; i++)
    {
      g_mutex_lock (&self.lock);
      self.n_left = n;
      check (natsConnection_PublishString (connection, all, "demand"));
      while (self.n_left > 0)
        g_cond_wait (&self.cond, &self.lock);
      g_mutex_unlock (&self.lock);
    }
  say ("done");
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

static void
begun_cb (AfrpcCall *call,
          GVariant  *progress,
          gpointer   is_begun)
{
  if (!*(gboolean *) is_begun)
    say ("begun");
  *(gboolean *) is_begun = TRUE;
}

/* Who has the call is killed by whoever reads that it was begun. */
static void
death (const char *url,
       const char *subject,
       gboolean    is_idempotent)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  AfrpcCaller *caller = new_caller (url, subject);
  gboolean is_begun = FALSE;
  AfrpcCall *call;
  GError *error = NULL;

  afrpc_call_options_set_idempotent (options, is_idempotent);
  afrpc_call_options_set_progress (options, AFRPC_PROGRESS_ALL, begun_cb, &is_begun, NULL);
  call = afrpc_caller_start (caller, g_variant_new_uint32 (is_idempotent ? 100 : 100000), options);
  while (!afrpc_call_is_settled (call))
    g_main_context_iteration (NULL, TRUE);
  printf ("%.6f %s\n", bench_clock (), afrpc_call_wait_sync (call, NULL, &error) != NULL ? "done" : "failed");
}

int
main (int    argc,
      char **argv)
{
  if (argc == 4 && strcmp (argv[1], "plain-serve") == 0)
    return plain_serve (argv[2], argv[3]);
  if (argc == 5 && strcmp (argv[1], "death") == 0)
    death (argv[2], argv[3], strcmp (argv[4], "idempotent") == 0);
  else if (argc == 6 && strcmp (argv[1], "fleet") == 0)
    fleet (argv[2], argv[3], atoi (argv[4]), atoi (argv[5]));
  else if (argc == 6 && strcmp (argv[1], "plain") == 0)
    plain (argv[2], argv[3], atoi (argv[4]), strtoull (argv[5], NULL, 10));
  else if (argc == 6)
    afrpc (argv[2], argv[3], atoi (argv[4]), strtoull (argv[5], NULL, 10));
  else
    bench_fail ("see the source for the usage");

  return 0;
}
