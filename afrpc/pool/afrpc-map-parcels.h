/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps for a binding that has many calls travel in one, a parcel: it makes those, and takes them apart. Not installed, but
 * exported, for the bindings that belong to afrpc. All functions here are called in the thread of the pool's context. */
#pragma once

#include "afrpc/afrpc.h"

G_BEGIN_DECLS

/* What is called for next. */
typedef struct
{
  GVariant *args;     /* (transfer full): floating, or not */
  gpointer parcel;    /* the binding's own, which it gets back with the outcome */
  guint64 index;      /* of the first input in it */
  guint n_parts;      /* how many calls it consists of; 0: it is one, as it would be by itself */
  guint n_deaths;     /* of workers that had begun it before */
  gboolean is_urgent; /* the next one may take long to come: workers get at once what there is */
} AfrpcMapInput;

/* What there is to say before that. */
typedef struct
{
  guint window;        /* how many may be under way, or not taken, if they are called for one by one */
  guint window_max;    /* the same if many travel together */
  guint n_at_once;     /* how many calls all workers that there may be have at once, at least 1 */
  guint n_workers;     /* that there are, at least 1 */
  guint load;          /* how many calls each may have at once */
  guint max_repeats;   /* how often one may be repeated */
  gboolean may_parcel; /* whether workers may take many in one */
  guint64 max_message_size; /* bytes that the arguments of a call may have */
} AfrpcMapRoom;

typedef enum
{
  AFRPC_MAP_PULLED,
  AFRPC_MAP_NOT_NOW, /* so much is under way, or was not taken, as there may be */
  AFRPC_MAP_END,     /* there are no more inputs */
} AfrpcMapPulled;

typedef struct
{
  AfrpcMapPulled (* pull)      (gpointer       data,
                                const AfrpcMapRoom *room,
                                AfrpcMapInput *input);
  /* Nothing more is pulled. */
  void           (* forget)    (gpointer       data);
  /* @call (transfer full) (nullable): has its outcome, to be given back by afrpc_map_release_call (); NULL: it was never
   * made. */
  void           (* sort)      (gpointer       data,
                                gpointer       parcel,
                                AfrpcCall     *call);
  /* These three are NULL if there are no parcels, and nothing is called for again.
   * One of a parcel takes long: what was @saved of those before it is there, and those that are not begun are called for
   * again. The outcome has the others, and may lack the last that was begun. */
  void           (* cut)       (gpointer       data,
                                gpointer       parcel,
                                AfrpcCall     *call,
                                guint64        n_begun,
                                GBytes        *saved);
  /* What has to be called for again, of what was sorted last. FALSE: there is nothing more. */
  gboolean       (* pull_rest) (gpointer       data,
                                AfrpcMapInput *input);
  /* The same cannot be done any more. */
  void           (* fail_rest) (gpointer       data,
                                const GError  *error);
  /* Whether there is something to take. */
  gboolean       (* has_news)  (gpointer       data);
  void           (* free)      (gpointer       data);
  /* (nullable): takes a call that was sorted (transfer full) (nullable); without it, the binding takes outcomes itself. */
  AfrpcCall *    (* take)      (gpointer       data);
} AfrpcMapFuncs;

AFRPC_AVAILABLE_IN_1_0
AfrpcMap *afrpc_pool_map_parcels    (AfrpcPool            *self,
                                     const AfrpcMapFuncs  *funcs,
                                     gpointer              data,
                                     const char           *host,
                                     AfrpcCallOptions     *options,
                                     GCancellable         *cancellable) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void      afrpc_map_release_call    (AfrpcCall            *call);
AFRPC_AVAILABLE_IN_1_0
gsize     afrpc_map_get_size        (AfrpcCall            *call);
AFRPC_AVAILABLE_IN_1_0
GBytes   *afrpc_map_get_parts       (AfrpcCall            *call,
                                     guint64              *n_begun);
AFRPC_AVAILABLE_IN_1_0
GError   *afrpc_map_unpack_error    (AfrpcCall            *call,
                                     GVariant             *value);
AFRPC_AVAILABLE_IN_1_0
gboolean  afrpc_map_has_ended       (AfrpcMap             *self);

G_END_DECLS
