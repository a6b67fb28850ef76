/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The process of a peer: its pid and pidfd, its standard error, what it is limited to, killing and reaping it.
 * Knows nothing of what is said to it. A peer may have none (it was not started yet, or never will be), or one that
 * is somebody else's child. No GObject but the exit that it ends with, no main loop. */
#pragma once

#include "afrpc-exit.h"
#include "peer/afrpc-deadlines.h"
#include "peer/afrpc-limits.h"
#include "peer/afrpc-stderr.h"
#include "os/afrpc-spawn.h"

G_BEGIN_DECLS

typedef enum
{
  AFRPC_BODY_NONE,    /* not started yet */
  AFRPC_BODY_AWAITED, /* a template has been asked to fork it */
  AFRPC_BODY_DOUBTFUL, /* and is gone without an answer: there may be one all the same, which then says so */
  AFRPC_BODY_CHILD,   /* it is this program's to reap */
  AFRPC_BODY_GRANDCHILD, /* its template reaps it, and says how it ended */
  AFRPC_BODY_UNPROVEN, /* as the next, and whether the pidfd that was given for it is its own is not known yet */
  AFRPC_BODY_FOREIGN, /* it is somebody else's: how it ends is never known, and when only by its pidfd */
  AFRPC_BODY_ENDED,   /* it is gone, and was reaped by whoever had to */
  AFRPC_BODY_NEVER,   /* it could not be started, and is not going to be */
  AFRPC_BODY_N_STATES,
} AfrpcBodyState;

typedef struct
{
  AfrpcBodyState state;
  AfrpcSpawned spawned;   /* pid 0 unless it is there; pidfd -1: none */
  int pid;                /* 0 until it is there and known; stays after the end */
  guint64 signals_sent;   /* bits: 1 << number */
  int kill_signum;        /* 0, or what to send as soon as there is a process, and it is known which */
  AfrpcLimits limits;
  gboolean is_template;   /* others have been forked from it, or are going to be */
  AfrpcStderr standard_error;
  gint64 reap_deadline;   /* when to ask for its end next; AFRPC_DEADLINES_NEVER: its pidfd tells */
  AfrpcExit *exit;        /* (nullable): once it has ended */
  void (*closing) (int fd, gpointer data); /* (nullable): called before its pidfd is closed */
  gpointer closing_data;
} AfrpcBody;

void      afrpc_body_init         (AfrpcBody              *self);
void      afrpc_body_set_closing_func (AfrpcBody          *self,
                                       void              (*closing) (int fd, gpointer data),
                                       gpointer            data);
void      afrpc_body_clear        (AfrpcBody              *self);

void      afrpc_body_await        (AfrpcBody              *self);
void      afrpc_body_doubt        (AfrpcBody              *self);
void      afrpc_body_unawait      (AfrpcBody              *self);
void      afrpc_body_take         (AfrpcBody              *self,
                                   const AfrpcSpawned     *spawned,
                                   gboolean                is_child);
void      afrpc_body_adopt        (AfrpcBody              *self,
                                   const AfrpcSpawned     *spawned);
void      afrpc_body_never        (AfrpcBody              *self);
gboolean  afrpc_body_prove        (AfrpcBody              *self,
                                   int                     pid);
gboolean  afrpc_body_is_taken     (int                     pid);
gboolean  afrpc_body_kill         (AfrpcBody              *self,
                                   int                     signum);
gboolean  afrpc_body_has_ended    (const AfrpcBody        *self);
gboolean  afrpc_body_reap         (AfrpcBody              *self,
                                   gboolean                is_silent,
                                   gint64                  now);
void      afrpc_body_become_template (AfrpcBody           *self);
void      afrpc_body_set_exit     (AfrpcBody              *self,
                                   const AfrpcSpawnStatus *status);

gboolean  afrpc_body_is_step      (AfrpcBodyState          from,
                                   AfrpcBodyState          to);

/* Whether it is somebody else's child. */
static inline gboolean
afrpc_body_is_foreign (const AfrpcBody *self)
{
  return self->state == AFRPC_BODY_UNPROVEN || self->state == AFRPC_BODY_FOREIGN;
}

/* Whether a signal reaches it and nobody else: a number alone is good only as long as it is ours to reap. */
static inline gboolean
afrpc_body_can_signal (const AfrpcBody *self)
{
  return self->spawned.pidfd >= 0 || self->state == AFRPC_BODY_CHILD;
}

/* Whether there is a process that has not ended, as far as is known. */
static inline gboolean
afrpc_body_is_there (const AfrpcBody *self)
{
  return self->state == AFRPC_BODY_CHILD || self->state == AFRPC_BODY_GRANDCHILD || afrpc_body_is_foreign (self);
}

/* Whether a template was asked for it, and nobody knows whether it is there. */
static inline gboolean
afrpc_body_may_be_there (const AfrpcBody *self)
{
  return self->state == AFRPC_BODY_AWAITED || self->state == AFRPC_BODY_DOUBTFUL;
}

/* Whether nothing is going to happen to it any more. */
static inline gboolean
afrpc_body_is_over (const AfrpcBody *self)
{
  return self->state == AFRPC_BODY_ENDED || self->state == AFRPC_BODY_NEVER;
}

G_END_DECLS
