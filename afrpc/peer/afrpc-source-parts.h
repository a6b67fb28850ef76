/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a source consists of, for its files. */
#pragma once

#include "os/afrpc-fork-lock.h"
#include "peer/afrpc-slice.h"
#include "peer/afrpc-source.h"

G_BEGIN_DECLS

#define AFRPC_SOURCE_LATELY_MAX 4 /* a call waits a little longer for each of them */

struct _AfrpcSource
{
  GSource source;
  GMainContext *context; /* not owned: it owns the source */
  gboolean is_default;   /* the context is the default one */
  GHashTable *known;     /* (element-type AfrpcSourceMember) (not owned) all of the context's; guarded by sources_lock */
  GPtrArray *watched;    /* (element-type AfrpcSourceMember) (owned) those that something may happen to */
  GQueue active;         /* (element-type AfrpcSourceMember) (owned) to be looked at in this iteration */
  GPtrArray *direct;     /* (element-type AfrpcSourcePlace) (not owned) what the context polls itself */
  AfrpcSourcePlace *lately[AFRPC_SOURCE_LATELY_MAX]; /* (nullable elements): of these, sockets that something came from */
  guint next_lately;     /* which of them is looked at next */
  GPollFD set;           /* what has all others in it; its descriptor is -1 if there is none */
  int set_pid;           /* the process that has made it */
  guint n_from_set;      /* how often something came from a socket in it */
  guint next_kept;       /* whose turn it is without a main loop, more or less */
  GPtrArray *templates;  /* (element-type AfrpcSourceMember) (owned) the default ones */
  int pid;               /* whose it is: the process that uses it */
  guint n_forks;         /* what afrpc_source_n_forks is there */
  gboolean has_inherited; /* what it watches is another process's */
  gint64 deadline;       /* when to look at time limits: not too late, maybe too early */
  gpointer runner;       /* (nullable) atomic: the thread that dispatches it, or blocks, and so owns the context */
  gpointer home;         /* (nullable) atomic: the thread that has used it, or run it, last */
  gboolean has_run;      /* in a main loop, once at least */
  gboolean has_checked;  /* what was polled has been looked at; not done by GLib for who is ready before */

  GMutex lock;           /* guards what follows */
  GQueue posts;          /* (element-type AfrpcSourcePost) */
  GPollFD wake;          /* what wakes up who waits; its descriptor is -1 if there is none */
  gint has_posts;        /* atomic */

  gint64 busy_us;        /* how much more than its share it took */
  gint64 turn_began_at;  /* the beginning of the last dispatch */
  gint64 dispatched_at;  /* the end of the last dispatch */
  GSource *turn;         /* (nullable): while it lets others go first */
};

/* Guards the list of all sources, and member->source where it is read by other threads. */
extern AfrpcForkLock afrpc_sources_lock;

/* How many forks there are between this process and the first: to know of one costs no system call then. What did not go through
 * fork () is not counted. */
extern guint afrpc_source_n_forks;

static inline AfrpcSourceMember *
afrpc_source_member_ref (AfrpcSourceMember *member)
{
  member->funcs->ref (member->peer);

  return member;
}

static inline void
afrpc_source_member_unref (AfrpcSourceMember *member)
{
  member->funcs->unref (member->peer);
}

void afrpc_source_leave_inherited (AfrpcSource *self);

/* For whatever may be the first that a process does with what it has inherited. */
static inline void
afrpc_source_leave_if_forked (AfrpcSource *self)
{
  if (G_UNLIKELY (self->n_forks != afrpc_source_n_forks))
    afrpc_source_leave_inherited (self);
}

/* What is polled */
void afrpc_source_init_places     (AfrpcSource *self);
void afrpc_source_clear_places    (AfrpcSource *self);
void afrpc_source_activate_polled (AfrpcSource *self);

/* Other threads */
void afrpc_source_run_some_posts (AfrpcSource *self);
void afrpc_source_clear_posts    (AfrpcSource *self);
void afrpc_source_leave_inherited_posts (AfrpcSource *self);

/* Priority */
void afrpc_source_account   (AfrpcSource *self,
                             gint64       start);

G_END_DECLS
