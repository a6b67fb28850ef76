/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether one of many names occurs twice, in linear time whatever they are, in as many steps as the caller likes. They
 * are put into a hash table whose function has a secret: whoever chooses the names cannot make it slow. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Returns: the name of that number. All of them stay where they are as long as they are looked at. */
typedef const char *(*AfrpcJsonGetName) (gconstpointer data,
                                         gsize         i);

typedef struct
{
  guint32 number; /* of the name, plus 1; 0: none */
  guint32 hash;   /* another part of it than that which the slot was found by */
} AfrpcJsonNameSlot;

typedef struct
{
  AfrpcJsonGetName get;
  gconstpointer data;
  gsize n;
  gsize i;                  /* up to there, no name occurs twice */
  AfrpcJsonNameSlot *slots; /* (nullable): as long as they are few, they are compared with each other */
  gsize mask;               /* of the slots */
  gsize length;             /* of what has been hashed of the name @i */
  guint64 state[4];
} AfrpcJsonNames;

void     afrpc_json_names_init       (AfrpcJsonNames   *self,
                                      gsize             n,
                                      AfrpcJsonGetName  get,
                                      gconstpointer     data);
void     afrpc_json_names_clear      (AfrpcJsonNames   *self);

/* Returns 1 if no name occurs twice, 0 if there are more to look at than @budget allowed, -1 if that of the number
 * @self->i does, or could not be told from the others for want of memory. */
int      afrpc_json_names_step       (AfrpcJsonNames   *self,
                                      gssize           *budget);

/* All at once. */
gboolean afrpc_json_names_are_unique (gsize             n,
                                      AfrpcJsonGetName  get,
                                      gconstpointer     data);

G_END_DECLS
