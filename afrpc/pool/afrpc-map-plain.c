/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "pool/afrpc-map-plain.h"

#define SIZE_MAX_UNTAKEN (64u << 20) /* bytes of results: beyond that, no more calls are made before some are taken */
#define N_PLACES_MIN 16u

struct _AfrpcMapPlain
{
  AfrpcMapNextFunc next;
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
  gboolean is_ordered;

  AfrpcCall **places;     /* (nullable) (owned): settled calls, each at the place of its number; NULL where there is none */
  guint n_places;
  guint64 n_pulled;
  guint64 n_sorted;       /* unless it is ordered */
  guint64 n_taken;
  guint64 size;           /* bytes of results that were not taken */
};

/* @destroy: (nullable) */
AfrpcMapPlain *
afrpc_map_plain_new (AfrpcMapNextFunc  next,
                     gpointer          data,
                     GDestroyNotify    destroy,
                     AfrpcMapFlags     flags)
{
  AfrpcMapPlain *self = g_new0 (AfrpcMapPlain, 1);

  self->next = next;
  self->data = data;
  self->destroy = destroy;
  self->is_ordered = (flags & AFRPC_MAP_UNORDERED) == 0;

  return self;
}

static AfrpcCall **
get_place (AfrpcMapPlain *self,
           guint64        number)
{
  return &self->places[number % self->n_places];
}

/* Room for as many as may be pulled, and not taken. */
static void
grow (AfrpcMapPlain *self)
{
  const guint n_before = self->n_places;
  AfrpcCall **before = self->places;

  self->n_places = MAX (2 * n_before, N_PLACES_MIN);
  self->places = g_new0 (AfrpcCall *, self->n_places);
  for (guint64 i = self->n_taken; i < self->n_taken + n_before; i++)
    *get_place (self, i) = before[i % n_before];
  g_free (before);
}

static AfrpcMapPulled
plain_pull (gpointer            data,
            const AfrpcMapRoom *room,
            AfrpcMapInput      *input)
{
  AfrpcMapPlain *self = data;

  if (self->size >= SIZE_MAX_UNTAKEN)
    return AFRPC_MAP_NOT_NOW;

  input->args = self->next (self->data);
  if (input->args == NULL)
    return AFRPC_MAP_END;

  input->index = self->n_pulled++;
  while (self->n_pulled - self->n_taken > self->n_places)
    grow (self);

  return AFRPC_MAP_PULLED;
}

static void
plain_forget (gpointer data)
{
  AfrpcMapPlain *self = data;
  GDestroyNotify destroy = g_steal_pointer (&self->destroy);

  if (destroy != NULL)
    destroy (self->data);
}

/* What was pulled and never made was the last. */
static void
plain_sort (gpointer   data,
            gpointer   parcel,
            AfrpcCall *call)
{
  AfrpcMapPlain *self = data;

  if (call == NULL)
    return;

  self->size += afrpc_map_get_size (call);
  *get_place (self, self->is_ordered ? afrpc_call_get_index (call) : self->n_sorted++) = call;
}

static gboolean
plain_has_news (gpointer data)
{
  AfrpcMapPlain *self = data;

  return self->n_places > 0 && *get_place (self, self->n_taken) != NULL;
}

static AfrpcCall *
plain_take (gpointer data)
{
  AfrpcMapPlain *self = data;
  AfrpcCall *call;

  if (!plain_has_news (self))
    return NULL;

  call = g_steal_pointer (get_place (self, self->n_taken++));
  self->size -= afrpc_map_get_size (call);

  return call;
}

static void
plain_free (gpointer data)
{
  AfrpcMapPlain *self = data;

  for (guint i = 0; i < self->n_places; i++)
    if (self->places[i] != NULL)
      afrpc_map_release_call (self->places[i]);
  g_free (self->places);
  g_free (self);
}

const AfrpcMapFuncs afrpc_map_plain_funcs = {
  .pull = plain_pull, .forget = plain_forget, .sort = plain_sort,
  .has_news = plain_has_news, .free = plain_free, .take = plain_take,
};
