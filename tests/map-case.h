/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of maps share. */
#pragma once

#include "pool-case.h"

G_BEGIN_DECLS

/* Numbers from 0 on. */
typedef struct
{
  guint n;           /* how many there are */
  guint n_pulled;
  guint n_destroyed;
  guint killer;      /* after so many there is one that ends its worker; 0: none */
  AfrpcPool *closed; /* (nullable): which is closed after half of them */
  guint size;        /* bytes of the result for each */
} Numbers;

typedef struct
{
  gboolean done;
  AfrpcCall *call;
  GPtrArray *calls;
  GError *error;
} Next;

GVariant  *next_act      (gpointer        data);
GVariant  *next_bytes    (gpointer        data);
void       destroyed_cb  (gpointer        data);
AfrpcMap  *map_numbers   (Case           *test,
                          Numbers        *numbers,
                          AfrpcMapFlags   flags);
void       next_cb       (GObject        *source,
                          GAsyncResult   *result,
                          gpointer        data);
AfrpcCall *take_or_error (AfrpcMap       *map,
                          GError        **error);
AfrpcCall *take          (AfrpcMap       *map);
GPtrArray *take_many     (AfrpcMap       *map,
                          guint           n_max);
GError    *take_end      (AfrpcMap       *map);
guint      number_of     (AfrpcCall      *call);

G_END_DECLS
