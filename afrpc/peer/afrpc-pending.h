/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call that waits for its outcome, as the peer knows it: whoever makes calls embeds one. Its outcome is decided
 * once, and told once, later: in between it waits among the news. */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "afrpc-error.h"
#include "afrpc-types.h"

G_BEGIN_DECLS

typedef struct _AfrpcPending AfrpcPending;

typedef struct
{
  void (*ref)      (AfrpcPending *self);
  void (*unref)    (AfrpcPending *self);
  void (*release)  (AfrpcPending *self); /* the reference that the peer was given with the call */
  void (*progress) (AfrpcPending *self,
                    GVariant     *value);
  /* The outcome is there, (transfer full): a value and maybe descriptors, or an error. */
  void (*decide)   (AfrpcPending *self,
                    GVariant     *value,
                    GUnixFDList  *fds,
                    GError       *error);
  /* Its time has come: calls back. Consumes a reference. */
  void (*tell)     (AfrpcPending *self);
  /* The same for the first of several who wait, so that a main loop that runs there comes to the next. FALSE, and
   * nothing done: there are not several any more, and tell is what is left. */
  gboolean (*tell_one) (AfrpcPending *self);
  /* Of one that is counted: the worker does not owe its outcome any more. */
  void (*uncount)  (AfrpcPending *self);
} AfrpcPendingFuncs;

typedef enum
{
  AFRPC_PENDING_OPEN,    /* the worker owes its outcome */
  AFRPC_PENDING_ARRIVED, /* its outcome waits among the news, as it came */
  AFRPC_PENDING_UNPACKED, /* its outcome is being unpacked by a serialiser, which may do anything */
  AFRPC_PENDING_DECIDED, /* it has its outcome */
} AfrpcPendingState;

struct _AfrpcPending
{
  const AfrpcPendingFuncs *funcs;
  AfrpcPendingState state;
  guint is_awaited : 1;          /* a blocking call waits for it: it is decided in place, and not told; the peer's
                                  * reference passes to who waits then */
  guint is_told_too : 1;         /* and somebody else is told all the same, when it is its turn: then the reference does
                                  * not pass */
  guint has_several : 1;         /* maybe more than one is told */
  guint is_cancelled : 1;        /* whatever has arrived, nobody wants it any more */
  guint is_counted : 1;          /* whoever made it counts those that are owed */
  AfrpcStarted started;          /* of a failure: whether the worker had begun it */
  guint64 serial;                /* 0: it was never queued */
  GList *kept;                   /* (nullable) (not owned): where among the news its outcome waits */
  struct _AfrpcSource *entered;  /* (nullable): whose context is owned for the one who blocks, until he has the outcome */
  gpointer runner_before;        /* what to give to afrpc_source_end_run () then */
  guint execution_timeout_ms;    /* 0: none */
  guint function;                /* its number, by which the peer has its name; 0: the worker's own */
  gint64 execution_deadline;     /* 0: none as yet */
};

/* Whether whoever decides it has it told. */
static inline gboolean
afrpc_pending_is_told (const AfrpcPending *self)
{
  return !self->is_awaited || self->is_told_too;
}

/* It is not counted any more, if it was. */
static inline void
afrpc_pending_uncount (AfrpcPending *self)
{
  if (G_LIKELY (!self->is_counted))
    return;

  self->is_counted = FALSE;
  self->funcs->uncount (self);
}

/* The worker does not owe its outcome any more. */
static inline void
afrpc_pending_step (AfrpcPending      *self,
                    AfrpcPendingState  state)
{
  self->state = state;
  afrpc_pending_uncount (self);
}

static inline void
afrpc_pending_decide (AfrpcPending *self,
                      AfrpcStarted  started,
                      GVariant     *value, /* (transfer full) (nullable) */
                      GUnixFDList  *fds,   /* (transfer full) (nullable) */
                      GError       *error) /* (transfer full) (nullable) */
{
  afrpc_pending_step (self, AFRPC_PENDING_DECIDED);
  self->started = started;
  self->funcs->decide (self, value, fds, error);
}

/* Returns: (transfer full): what fails in a forked process that its program had begun */
static inline GError *
afrpc_pending_new_inherited_error (void)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the worker belongs to the process that this one was forked from");
}

/* Who blocks for it goes on, in a process that was forked meanwhile: where it is known it stays as it is, and is never told. */
static inline void
afrpc_pending_leave_inherited (AfrpcPending *self)
{
  self->funcs->ref (self);
  afrpc_pending_decide (self, AFRPC_STARTED_UNKNOWN, NULL, NULL, afrpc_pending_new_inherited_error ());
}

G_END_DECLS
