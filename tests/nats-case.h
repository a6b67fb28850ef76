/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of calls over NATS share: a NATS server of their own, on a port of its own, and who serves and calls there. */
#pragma once

#include <afrpc/afrpc-nats.h>

#include <nats/nats.h>
#include <stdio.h>

#include "pool-case.h"

G_BEGIN_DECLS

typedef struct
{
  int pid;        /* 0: it does not run */
  guint port;
  char *url;
  char *folder;   /* of its files */
  char **options; /* (nullable) */
  FILE *output;
} NatsServer;

/* Who serves, in this process. */
typedef struct
{
  AfrpcNatsConnection *connection;
  AfrpcProcess *process; /* what workers are made from */
  AfrpcPool *pool;
  AfrpcNatsServer *server;
  guint n_errors;
} Serving;

#define NATS_SUBJECT "test.subject"

gboolean             nats_server_is_there   (void);
void                 nats_server_init       (NatsServer          *self,
                                             const char *const   *options);
void                 nats_server_start      (NatsServer          *self);
void                 nats_server_kill       (NatsServer          *self,
                                             int                  signum);
void                 nats_server_clear      (NatsServer          *self);

void                 nats_unsubscribe       (natsConnection      *connection,
                                             natsSubscription    *subscription);

void                 serving_init           (Serving             *self,
                                             NatsServer          *nats,
                                             const char          *function,
                                             guint                n_workers,
                                             const char          *first,
                                             ...);
void                 serving_start          (Serving             *self);
void                 serving_clear          (Serving             *self);

void                 connection_wait        (AfrpcNatsConnection *connection,
                                             AfrpcNatsState       state);
AfrpcNatsCaller     *nats_caller_new        (NatsServer          *nats);
/* Until somebody serves. */
void                 nats_caller_wait       (AfrpcNatsCaller     *caller);
void                 nats_caller_end        (AfrpcNatsCaller     *caller);
/* For as long as somebody else does nothing. */
void                 iterate_for            (guint                ms);

AfrpcCall           *call_start             (AfrpcNatsCaller     *caller,
                                             GVariant            *args);

G_END_DECLS
