/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has been read and not been done yet, in order: of a worker that has to read ahead in order to learn what was
 * cancelled. Owns the calls in it. */
#pragma once

#include "serialise/afrpc-unpacking.h"
#include "serve/afrpc-served-call.h"

G_BEGIN_DECLS

#define AFRPC_BACKLOG_SIZE_MAX (32u << 20) /* bytes, with what each item costs besides its arguments */

typedef struct _AfrpcBacklogItem AfrpcBacklogItem;

/* A call, or a function that is declared. */
struct _AfrpcBacklogItem
{
  AfrpcServedCall call;
  GVariant *args;         /* (nullable): of a call, or error; the name of a function */
  GError *error;          /* (nullable) */
  gboolean is_function;   /* its number is the serial */
  AfrpcUnpacking *unpacking; /* (nullable): of the arguments, which has begun */

  AfrpcBacklogItem *next;
};

typedef struct
{
  AfrpcBacklogItem *first; /* (nullable) */
  AfrpcBacklogItem *last;  /* (nullable) */
  gsize size;              /* bytes */
} AfrpcBacklog;

static inline gboolean
afrpc_backlog_is_empty (const AfrpcBacklog *self)
{
  return self->first == NULL;
}

/* A single item may be larger than the limit. */
static inline gboolean
afrpc_backlog_has_room (const AfrpcBacklog *self)
{
  return self->size < AFRPC_BACKLOG_SIZE_MAX;
}

void              afrpc_backlog_clear     (AfrpcBacklog      *self);
void              afrpc_backlog_push      (AfrpcBacklog      *self,
                                           AfrpcBacklogItem  *item);
AfrpcBacklogItem *afrpc_backlog_pop       (AfrpcBacklog      *self);

AfrpcBacklogItem *afrpc_backlog_item_new  (void);
void              afrpc_backlog_item_free (AfrpcBacklogItem  *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcBacklogItem, afrpc_backlog_item_free)

G_END_DECLS
