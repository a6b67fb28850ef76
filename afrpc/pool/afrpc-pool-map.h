/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A map as the pool knows it: it pulls inputs while there is room, makes calls of them, and keeps these until they are
 * taken. It outlives its object until no call of it is under way. All for the thread of the context. */
#pragma once

#include "afrpc-map.h"
#include "pool/afrpc-map-parcels.h"
#include "pool/afrpc-pool-parts.h"

G_BEGIN_DECLS

#define AFRPC_POOL_MAP_CHUNK_MAX 256u
#define AFRPC_POOL_MAP_WINDOW_MAX 4096u

struct _AfrpcPoolMap
{
  guint ref_count;
  GList link;               /* among the pool's maps */
  gboolean is_listed;       /* it is there: the thread was the right one */
  AfrpcPool *pool;          /* (nullable) (owned): until it is dropped */
  AfrpcPoolCore *core;      /* (owned) */
  AfrpcCallOptions *options; /* (nullable) (owned) */

  const AfrpcMapFuncs *funcs; /* what makes inputs, and has outcomes until they are taken */
  gpointer data;            /* (owned): for these */
  gint64 n_left;            /* inputs that were not pulled, or -1: nobody knows */
  const char *host;         /* (nullable): of the workers that take parcels */
  AfrpcMapInput held;       /* pulled, and there was no room in the queue; (nullable) (owned): its arguments */
  gboolean is_exhausted;
  gboolean is_pulling;
  gboolean is_cancelled;
  gboolean is_stalled;      /* waits for room in the queue */
  gboolean is_hungry;       /* may make more calls than before */
  gboolean has_changed;     /* may have something to tell */
  GList stall;              /* its place among those that are so, and likewise */
  GList hunger;
  GList change;
  GError *error;            /* (nullable): why no more are pulled, though there may be some */

  guint64 n_pulled;
  GQueue calls;             /* (element-type AfrpcCall) (owned): under way */
  guint n_untaken;          /* that are settled, if they are taken here, and not by a binding */
  guint n_under_way;
  guint n_given;            /* of these, those that members have */

  guint chunk;              /* how many calls are given at once, at most */
  guint64 turn;             /* the number of those that are made now: they have their turn together */
  guint n_in_turn;          /* how many more may have that */
  GQueue waiters;           /* (element-type AfrpcPoolMapWaiter): the oldest first */
};

typedef struct
{
  GTask *task;              /* (owned) */
  guint n_max;              /* 0: one, by itself */
} AfrpcPoolMapWaiter;

AfrpcPoolMap *afrpc_pool_map_new         (AfrpcPool          *pool,
                                          const AfrpcMapFuncs *funcs,
                                          gpointer            data,
                                          const char         *host,
                                          gint64              n_left,
                                          AfrpcCallOptions   *options);
void          afrpc_pool_map_drop        (AfrpcPoolMap       *self);
void          afrpc_pool_map_cancel      (AfrpcPoolMap       *self);
void          afrpc_pool_map_feed        (AfrpcPoolMap       *self);
void          afrpc_pool_map_unref       (AfrpcPoolMap       *self);
void          afrpc_pool_map_stop        (AfrpcPoolMap       *self,
                                          GError             *error);
gboolean      afrpc_pool_map_has_room    (AfrpcPoolMap       *self,
                                          gsize               size);
gboolean      afrpc_pool_map_wants_more  (AfrpcPoolMap       *self);
AfrpcPoolJob *afrpc_pool_map_make_job    (AfrpcPoolMap       *self,
                                          const AfrpcMapInput *input);
gboolean      afrpc_pool_map_may_parcel  (AfrpcPoolMap       *self);
void          afrpc_pool_map_call_rest   (AfrpcPoolMap       *self,
                                          guint64             number);
gboolean      afrpc_pool_map_has_news    (AfrpcPoolMap       *self);
gboolean      afrpc_pool_map_has_results (AfrpcPoolMap       *self);
AfrpcCall    *afrpc_pool_map_take        (AfrpcPoolMap       *self);

/* Noted, so that nobody has to look at all maps. */
void          afrpc_pool_map_note_hunger (AfrpcPoolMap       *self);
void          afrpc_pool_map_note_change (AfrpcPoolMap       *self);
void          afrpc_pool_map_set_stalled (AfrpcPoolMap       *self,
                                          gboolean            is_stalled);

/* Told by the object: gives a waiter what it has waited for. */
void          afrpc_pool_map_give_waiter (AfrpcPoolMap       *self,
                                          AfrpcPoolMapWaiter *waiter);

static inline AfrpcPoolMap *
afrpc_pool_map_ref (AfrpcPoolMap *self)
{
  self->ref_count++;

  return self;
}

G_END_DECLS
