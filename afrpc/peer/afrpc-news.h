/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has been decided, or has arrived, and has not been told yet, in the order in which it will be. Each piece is
 * taken off before it is told: whoever is told may run a main loop, which goes on with the next piece, so that nothing
 * is told twice, in another order, or waited for in vain. Knows nobody who is told, and takes nothing in by itself. */
#pragma once

#include "link/afrpc-link.h"
#include "peer/afrpc-pending.h"
#include "serialise/afrpc-unpacking.h"

G_BEGIN_DECLS

#define AFRPC_NEWS_FDS_MAX 1024u /* descriptors that wait; more than one message may have (AFRPC_FRAME_FDS_MAX) */

typedef enum
{
  AFRPC_NEWS_ITEM,    /* a result, an event, progress or a line of the log, as it has arrived */
  AFRPC_NEWS_OUTCOME, /* of a call */
  AFRPC_NEWS_OWED,    /* the outcomes of all calls that the worker still owed at its end: they are decided one at a time,
                       * when they are told */
  AFRPC_NEWS_TASK,    /* of something else that was asked for: it is returned */
  AFRPC_NEWS_ERROR,   /* what no call can be blamed for, or what ended the worker */
  AFRPC_NEWS_KNOWN,   /* more of the process is known, such as its number */
  AFRPC_NEWS_EXITED,  /* the process has ended */
  AFRPC_NEWS_CLOSED,  /* the conversation has: nothing comes any more */
  AFRPC_NEWS_N_KINDS,
} AfrpcNewsKind;

/* How a task is returned: with @result (transfer full) or @error (transfer full). */
typedef void (*AfrpcNewsReturn) (GTask    *task,
                                 gpointer  result);

typedef struct
{
  AfrpcNewsKind kind;
  gsize size;
  guint n_fds;
  AfrpcLinkItem item;
  AfrpcUnpacking *unpacking; /* (owned) (nullable): of the item's value, which has begun */
  AfrpcPending *pending; /* (owned) */
  GTask *task;           /* (owned) */
  AfrpcNewsReturn give;
  gpointer result;       /* given away by @give */
  GError *error;
  gboolean is_known;     /* a call has got the error */
  guint lateness;        /* of an outcome that came after the ends */
  gboolean was_seen;     /* it was looked at whether it is to be told before others */
} AfrpcNewsPiece;

typedef struct
{
  GQueue pieces;  /* (element-type AfrpcNewsPiece) */
  gsize size;     /* bytes of memory that items take, about */
  guint n_fds;    /* descriptors that they have */
  guint decided;  /* bits: 1 << kind, of those that come once */
  guint told;     /* the same: they were taken off */
  guint lateness; /* of what was taken off last: whatever is decided now may follow from it */
} AfrpcNews;

void            afrpc_news_clear        (AfrpcNews       *self);

void            afrpc_news_push_item    (AfrpcNews       *self,
                                         AfrpcLinkItem   *item);
void            afrpc_news_push_outcome (AfrpcNews       *self,
                                         AfrpcPending    *pending);
void            afrpc_news_insert_outcome (AfrpcNews     *self,
                                           GList         *before,
                                           AfrpcPending  *pending);
void            afrpc_news_push_task    (AfrpcNews       *self,
                                         GTask           *task,
                                         AfrpcNewsReturn  give,
                                         gpointer         result);
void            afrpc_news_push_task_error (AfrpcNews    *self,
                                            GTask        *task,
                                            GError       *error);
void            afrpc_news_push_error   (AfrpcNews       *self,
                                         GError          *error,
                                         gboolean         is_known);
void            afrpc_news_push         (AfrpcNews       *self,
                                         AfrpcNewsKind    kind);
AfrpcNewsPiece *afrpc_news_pop          (AfrpcNews       *self);
void            afrpc_news_remove       (AfrpcNews       *self,
                                         GList           *link);
void            afrpc_news_withdraw_outcome (AfrpcNews   *self,
                                             AfrpcPending *pending);
gboolean        afrpc_news_is_waited_for (const AfrpcNews *self);
void            afrpc_news_piece_free   (AfrpcNewsPiece  *piece);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcNewsPiece, afrpc_news_piece_free)

gboolean        afrpc_news_may_decide   (guint            decided,
                                         AfrpcNewsKind    kind);

/* Returns: (nullable): the call for which a result has arrived that waits there to be unpacked */
static inline AfrpcPending *
afrpc_news_piece_get_result (const AfrpcNewsPiece *piece)
{
  return piece->kind == AFRPC_NEWS_ITEM && piece->item.kind == AFRPC_LINK_ITEM_RESULT ? piece->item.call.owner : NULL;
}

/* Returns: (nullable): the oldest piece, which stays where it is */
static inline AfrpcNewsPiece *
afrpc_news_peek (AfrpcNews *self)
{
  return g_queue_peek_head (&self->pieces);
}

static inline gboolean
afrpc_news_is_empty (const AfrpcNews *self)
{
  return self->pieces.length == 0;
}

static inline gboolean
afrpc_news_has_decided (const AfrpcNews *self,
                        AfrpcNewsKind    kind)
{
  return (self->decided & 1u << kind) != 0;
}

/* Whether it was told, or is being told now. */
static inline gboolean
afrpc_news_has_told (const AfrpcNews *self,
                     AfrpcNewsKind    kind)
{
  return (self->told & 1u << kind) != 0;
}

G_END_DECLS
