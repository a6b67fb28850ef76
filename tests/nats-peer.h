/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One side of calls over NATS, played by a test: it says one thing at a time, and hears all that the other side says. */
#pragma once

#include "nats-case.h"

#include "nats/afrpc-nats-caller-parts.h"

G_BEGIN_DECLS

#define OWN_ID G_GUINT64_CONSTANT (4711)
#define OWN_INBOX "peer.inbox"

typedef struct
{
  NatsServer nats;
  natsConnection *connection;
  natsSubscription *subscription;
  natsSubscription *inbox; /* (nullable): of one that serves */
  GAsyncQueue *messages; /* (element-type Said) */
  GAsyncQueue *changes;  /* (element-type utf8): of the connection: "changed" when it is lost, and when it is there again; "closed" */
  char *other;           /* (nullable): the inbox of the other side */
  guint64 last_id;       /* as a caller: of its calls, as it says itself */
} Peer;

typedef struct
{
  guint type;
  guint flags;
  guint64 id;
  GVariant *body; /* (nullable) */
  guint64 total;  /* of a large message of which this is a part */
  guint64 end;    /* of that part */
  gboolean is_for_all; /* who serve the subject */
} Said;

void              said_free          (gpointer          data);

void              peer_init          (Peer             *peer,
                                      const char       *subject);
void              peer_end           (Peer             *peer);
void              peer_restart_nats  (Peer             *peer);
natsSubscription *peer_listen_to     (Peer             *peer,
                                      const char       *subject);
natsSubscription *peer_listen        (Peer             *peer);

void              say_as             (Peer             *peer,
                                      guint64           own_id,
                                      const char       *subject,
                                      guint             type,
                                      guint             flags,
                                      guint64           id,
                                      GVariant         *body);
void              say                (Peer             *peer,
                                      const char       *subject,
                                      guint             type,
                                      guint             flags,
                                      guint64           id,
                                      GVariant         *body);
Said             *hear_any           (Peer             *peer);
Said             *hear               (Peer             *peer,
                                      guint             type);
void              hear_of            (Peer             *peer,
                                      guint             type,
                                      guint64           id);

/* As a caller */
GVariant         *new_call           (guint32           n);
void              demand             (Peer             *peer);

/* As a server */
AfrpcNatsCaller  *peer_serve         (Peer             *peer);
void              peer_serve_end     (Peer             *peer,
                                      AfrpcNatsCaller  *caller);
void              grant_as           (Peer             *peer,
                                      guint64           own_id,
                                      guint32           beat_ms);
void              grant_many         (Peer             *peer,
                                      guint32           n,
                                      guint32           beat_ms);
void              grant              (Peer             *peer,
                                      guint32           beat_ms);
guint64           hear_call          (Peer             *peer);

G_END_DECLS
