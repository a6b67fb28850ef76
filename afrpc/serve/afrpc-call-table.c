/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-call-table.h"

#define BUCKETS_MIN 64u

static AfrpcServedCall **
get_bucket (AfrpcCallTable *self,
            guint64         serial)
{
  return &self->buckets[afrpc_serial_slot (serial) & (self->n_buckets - 1)];
}

static void
link_call (AfrpcCallTable  *self,
           AfrpcServedCall *call)
{
  AfrpcServedCall **bucket = get_bucket (self, call->serial);

  call->next = *bucket;
  *bucket = call;
}

static void
grow (AfrpcCallTable *self)
{
  g_autofree AfrpcServedCall **old = g_steal_pointer (&self->buckets);
  const guint n_old = self->n_buckets;

  self->n_buckets = MAX (BUCKETS_MIN, 2 * n_old);
  self->buckets = g_new0 (AfrpcServedCall *, self->n_buckets);
  for (guint i = 0; i < n_old; i++)
    for (AfrpcServedCall *call = old[i], *next; call != NULL; call = next)
      {
        next = call->next;
        link_call (self, call);
      }
}

/* The calls are left alone. */
void
afrpc_call_table_clear (AfrpcCallTable *self)
{
  g_clear_pointer (&self->buckets, g_free);
  self->n_buckets = self->n = 0;
}

void
afrpc_call_table_add (AfrpcCallTable  *self,
                      AfrpcServedCall *call)
{
  if (self->n == self->n_buckets)
    grow (self);

  link_call (self, call);
  call->is_in_table = TRUE;
  self->n++;
}

/* @call: which may not be in the table */
void
afrpc_call_table_remove (AfrpcCallTable  *self,
                         AfrpcServedCall *call)
{
  AfrpcServedCall **place;

  if (!call->is_in_table)
    return;

  for (place = get_bucket (self, call->serial); *place != call; place = &(*place)->next)
    ;
  *place = call->next;
  call->is_in_table = FALSE;
  self->n--;
}

/* Returns: (nullable) */
AfrpcServedCall *
afrpc_call_table_find (AfrpcCallTable *self,
                       guint64         serial)
{
  AfrpcServedCall *call;

  if (self->n == 0)
    return NULL;
  for (call = *get_bucket (self, serial); call != NULL && call->serial != serial; call = call->next)
    ;

  return call;
}
