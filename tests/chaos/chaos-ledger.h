/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger: a file that program and workers map, in which a worker writes down what it begins to run before it
 * does anything else, so that what the library says of a call can be compared with what has happened.
 *
 * It has room for those calls and processes that can exist at one time; at the end of a round, when no worker is
 * left that could write, it is checked and cleared. */
#pragma once

#include <glib.h>

#define CHAOS_CONTEXTS_MAX 8u
#define CHAOS_ACTORS_MAX 48u  /* of one context, in one round */
#define CHAOS_CALLS_MAX 192u  /* of one actor */
#define CHAOS_MEMBERS_MAX 6u  /* of one actor */

#define CHAOS_SLOTS (CHAOS_CONTEXTS_MAX * CHAOS_ACTORS_MAX)

/* One call. All but the gate are the worker's; both tell news. */
typedef struct
{
  gint started;  /* how often its function began */
  gint order;    /* what it was that the worker began: its first call, its second, ... */
  gint finished; /* how often its function came to its answer */
  gint gate;     /* the program's: 1 once what waits may go on */
  gint n_news;   /* it began, or is over: who waits for that is woken */
} ChaosEntry;

/* One process. */
typedef struct
{
  gint pid;
  gint n_inits;
  gint n_started; /* calls */
  gint n_made;    /* results, errors of functions, and events: each gets the next number */
  gint n_done;
} ChaosSeat;

typedef struct
{
  ChaosEntry calls[CHAOS_SLOTS * CHAOS_CALLS_MAX];
  ChaosSeat seats[CHAOS_SLOTS * CHAOS_MEMBERS_MAX];
} ChaosLedger;

ChaosLedger *chaos_ledger_new   (char       **path);
ChaosLedger *chaos_ledger_open  (const char  *path);

void         chaos_entry_tell   (ChaosEntry   *self);
/* Returns when there may be more news than the @n that were seen. */
void         chaos_entry_wait   (ChaosEntry   *self,
                                 gint          n);

/* Bytes that follow from a number. */
void         chaos_fill         (guint8       *bytes,
                                 gsize         size,
                                 guint64       what);
gboolean     chaos_is_filled    (const guint8 *bytes,
                                 gsize         size,
                                 guint64       what);
GVariant    *chaos_bytes        (gsize         size,
                                 guint64       what);
gboolean     chaos_are_bytes    (GVariant     *value,
                                 gsize         size,
                                 guint64       what);

/* The bytes of a call's arguments, of its results, and of its events and progress. */
#define CHAOS_ARGS_BYTES(id) ((guint64) (id) << 2)
#define CHAOS_RESULT_BYTES(id) ((guint64) (id) << 2 | 1)
#define CHAOS_EVENT_BYTES(id) ((guint64) (id) << 2 | 2)
#define CHAOS_START_BYTES(size) ((guint64) (size) << 2 | 3)

/* A pipe's reading end, with nothing but this in it. */
int          chaos_pipe_with    (guint         id,
                                 guint         index,
                                 gboolean      is_result);
gboolean     chaos_pipe_has     (int           fd, /* closed */
                                 guint         id,
                                 guint         index,
                                 gboolean      is_result);
