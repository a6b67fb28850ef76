/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The conversation of a peer: whether it can still be given work, what it was taken for, why it failed, and the link
 * over which it goes. Knows nothing of the process, nor of who is told what: its owner reads, takes what has arrived,
 * and decides. Greeting, preparing and serving are states of the link. */
#pragma once

#include <gio/gio.h>

#include "afrpc-serialiser.h"
#include "link/afrpc-link.h"
#include "peer/afrpc-deadlines.h"
#include "peer/afrpc-role.h"

G_BEGIN_DECLS

/* What is true of both sides: whether the program still has work for the worker, and whether the worker is still heard.
 * In this order. */
typedef enum
{
  AFRPC_TALK_OPEN,          /* it may be given work */
  AFRPC_TALK_CLOSING,       /* it is given no more work, and finishes what it has */
  AFRPC_TALK_AWAY,          /* somebody else goes on with the connection */
  AFRPC_TALK_SILENT,        /* nothing more is read; what was read may wait to be taken */
  AFRPC_TALK_SILENT_CLOSED, /* the same, where it is given no more work either */
  AFRPC_TALK_OVER,          /* each call has its outcome, and there will be no other */
  AFRPC_TALK_OVER_CLOSED,
  AFRPC_TALK_N_STATES,
} AfrpcTalkState;

typedef struct
{
  AfrpcTalkState state;
  AfrpcRole role;
  AfrpcLink link;
  gboolean may_outlive;        /* the process may go on after the conversation: it has a done function */
  AfrpcSerialiser *serialiser; /* (nullable): for what the link says is serialised */
  GError *failure;             /* (nullable): why no call can succeed any more */
  gint64 greeting_deadline;    /* AFRPC_DEADLINES_NEVER: none */
  gint64 flush_deadline;       /* when to try to write again what was not taken; an event may come before */
} AfrpcTalk;

void      afrpc_talk_init        (AfrpcTalk       *self,
                                  const char      *host);
void      afrpc_talk_clear       (AfrpcTalk       *self);

gboolean  afrpc_talk_take_role   (AfrpcTalk       *self,
                                  AfrpcRole        role,
                                  GError         **error);
void      afrpc_talk_fail        (AfrpcTalk       *self,
                                  GError          *error);
void      afrpc_talk_close       (AfrpcTalk       *self);
void      afrpc_talk_fall_silent (AfrpcTalk       *self);
void      afrpc_talk_restart     (AfrpcTalk       *self);
int       afrpc_talk_give_away   (AfrpcTalk       *self);
gboolean  afrpc_talk_has_failed  (const AfrpcTalk *self);
gboolean  afrpc_talk_check_open  (AfrpcTalk       *self,
                                  GError         **error);

AfrpcStep afrpc_talk_flush       (AfrpcTalk       *self,
                                  GError         **error);
AfrpcStep afrpc_talk_read        (AfrpcTalk       *self,
                                  GError         **error);
AfrpcStep afrpc_talk_next        (AfrpcTalk       *self,
                                  AfrpcLinkItem   *item,
                                  GError         **error);
void      afrpc_talk_end         (AfrpcTalk       *self);

gboolean  afrpc_talk_is_step     (AfrpcTalkState   from,
                                  AfrpcTalkState   to);

/* Whether the program has said that there is no more work. */
static inline gboolean
afrpc_talk_is_closed (const AfrpcTalk *self)
{
  return self->state == AFRPC_TALK_CLOSING || self->state == AFRPC_TALK_SILENT_CLOSED ||
         self->state == AFRPC_TALK_OVER_CLOSED;
}

/* Whether nothing more is read. */
static inline gboolean
afrpc_talk_is_silent (const AfrpcTalk *self)
{
  return self->state >= AFRPC_TALK_AWAY;
}

static inline gboolean
afrpc_talk_is_over (const AfrpcTalk *self)
{
  return self->state >= AFRPC_TALK_OVER;
}

static inline gboolean
afrpc_talk_is_connected (const AfrpcTalk *self)
{
  return self->link.transport.in_fd >= 0;
}

/* Before anybody waits for the socket to be readable. FALSE: there is something to read now. */
static inline gboolean
afrpc_talk_may_wait (AfrpcTalk *self)
{
  return afrpc_talk_is_silent (self) || self->link.transport.in_fd < 0 ||
         afrpc_transport_may_wait (&self->link.transport);
}

/* Whether it has to be asked for that again, since the last time is over. */
static inline gboolean
afrpc_talk_has_to_look (const AfrpcTalk *self)
{
  return !afrpc_talk_is_silent (self) && self->link.transport.reads_by_ring;
}

/* Whether there is something to write. */
static inline gboolean
afrpc_talk_has_output (const AfrpcTalk *self)
{
  return !afrpc_talk_is_silent (self) &&
         (afrpc_transport_get_queued (&self->link.transport) > 0 || afrpc_link_is_to_end_sending (&self->link));
}

G_END_DECLS
