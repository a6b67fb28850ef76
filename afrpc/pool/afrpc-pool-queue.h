/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that wait: by priority, and among those of one priority by their number. One of them can leave from wherever it is.
 * Knows nothing of what it keeps but the place that this embeds. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _AfrpcPoolQueue AfrpcPoolQueue;

typedef struct
{
  GList link;            /* data: whose place it is */
  AfrpcPoolQueue *queue; /* (nullable): the one that it is in */
  int priority;          /* smaller ones come first */
  gboolean is_ahead;     /* it has the priority 0, and a number that others that come later may be before */
  guint64 number;        /* smaller ones come first */
  gsize size;            /* bytes, as the queue counts them; 0: not known yet */
} AfrpcPoolPlace;

/* Those of one priority. */
typedef struct
{
  GQueue places; /* (element-type AfrpcPoolPlace) */
  GList *latest; /* (nullable): the one of them that came back last, or one before it */
} AfrpcPoolRow;

struct _AfrpcPoolQueue
{
  AfrpcPoolRow usual; /* of priority 0 */
  AfrpcPoolRow ahead; /* likewise, those that are ahead */
  GTree *others; /* (nullable) (element-type int AfrpcPoolRow): of each other priority that has some */
  guint n;
  guint64 size;  /* bytes, of all */
};

void            afrpc_pool_queue_clear (AfrpcPoolQueue       *self);
void            afrpc_pool_queue_push  (AfrpcPoolQueue       *self,
                                        AfrpcPoolPlace       *place);
void            afrpc_pool_queue_remove (AfrpcPoolPlace      *place);
AfrpcPoolPlace *afrpc_pool_queue_peek  (AfrpcPoolQueue       *self);
guint64         afrpc_pool_queue_get_last_ahead (const AfrpcPoolQueue *self);

/* Whether @a comes before @b. */
static inline gboolean
afrpc_pool_place_is_before (const AfrpcPoolPlace *a,
                            const AfrpcPoolPlace *b)
{
  return a->priority != b->priority ? a->priority < b->priority : a->number < b->number;
}

G_END_DECLS
