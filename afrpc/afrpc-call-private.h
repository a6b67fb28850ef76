/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call, for those who make it and those who take it. */
#pragma once

#include "afrpc-call.h"
#include "afrpc-caller.h"
#include "peer/afrpc-pending.h"

G_BEGIN_DECLS

/* What an error says of one that was cancelled, until it is told, and what a worker says of it. */
#define AFRPC_CALL_CANCELLED "the call was cancelled"

struct _AfrpcCall
{
  GObject parent_instance;

  AfrpcPending pending;
  AfrpcCaller *caller;          /* (nullable) while it is not used */
  GMainContext *context;        /* (nullable): of a caller whose calls wait in the main loop */
  AfrpcCallOptions *options;    /* (nullable) */
  gpointer tag;                 /* the method that made it */
  GAsyncReadyCallback callback; /* (nullable) */
  gpointer user_data;
  GDestroyNotify untold;        /* (nullable): has @user_data if @callback is never called */
  GCancellable *cancellable;    /* (nullable) */
  gulong cancelled_id;
  gint is_cancelled;            /* atomic */
  guint is_finished : 1;        /* its outcome is as it is told */
  guint is_counted : 1;         /* among the news that its caller has to tell before other news */
  guint is_given_up : 1;        /* it was settled without whoever was to do it */
  guint is_recycled : 1;        /* goes to the spare ones, if nobody else has a reference then */
  guint is_given : 1;           /* to who called, without a reference: then it does not */
  guint is_told : 1;            /* those who waited have been told */
  guint is_taken : 1;           /* who made it has got its outcome */

  /* Of these others may know from another thread. */
  gboolean is_shared;           /* somebody else has a reference */
  gboolean is_process_lent;     /* it is not owned: there is nobody yet who could go on with the call when that has gone */

  AfrpcCall *next_spare;        /* (nullable) */
  GVariant *value;              /* (nullable) */
  GUnixFDList *fds;             /* (nullable): of the value */
  GError *error;                /* (nullable) */
  GQueue *waits;                /* (nullable) (element-type AfrpcCallWait) (owned) */
  AfrpcProcess *process;        /* (nullable): who has, or had it */
  AfrpcExit *exit;              /* (nullable) */
  gpointer job;                 /* (nullable): what a pool knows of it */
  guint64 index;                /* of its arguments among the inputs of a map */
  GList link;                   /* in the map's lists */
  guint n_parts;                /* calls that travel in it; 0: it is one */
  guint64 n_parts_begun;        /* of these, when it failed */
  GBytes *saved;                /* (nullable): of their outcomes, likewise */
};

extern const AfrpcPendingFuncs afrpc_call_pending_funcs;

AfrpcCall    *afrpc_call_new              (AfrpcCaller          *caller,
                                           AfrpcCallOptions     *options);
AfrpcCall    *afrpc_call_new_spare        (AfrpcCaller          *caller,
                                           AfrpcCallOptions     *options,
                                           gpointer              tag,
                                           GAsyncReadyCallback   callback,
                                           gpointer              user_data);
void          afrpc_call_free_spare       (AfrpcCall            *self);
void          afrpc_call_release          (AfrpcCall            *self);
void          afrpc_call_clear            (AfrpcCall            *self);
void          afrpc_call_leave_untold     (AfrpcCall            *self);
gboolean      afrpc_call_is_of            (GAsyncResult         *result,
                                           AfrpcCaller          *caller,
                                           gpointer              tag);
void          afrpc_call_set_context      (AfrpcCall            *self);
void          afrpc_call_watch            (AfrpcCall            *self,
                                           GCancellable         *cancellable);
void          afrpc_call_unwatch          (AfrpcCall            *self);
gulong        afrpc_call_connect_cancelled (AfrpcCall           *self,
                                            GCancellable        *cancellable);
gboolean      afrpc_call_has_listeners    (AfrpcCall            *self);
void          afrpc_call_cancel_unbegun   (AfrpcCall            *self);
gboolean      afrpc_call_is_cancelled     (AfrpcCall            *self);
GMainContext *afrpc_call_get_news_context (AfrpcCall            *self);
void          afrpc_call_attach_news      (GMainContext         *context,
                                           const char           *name,
                                           GSourceFunc           func,
                                           gpointer              data,
                                           GDestroyNotify        destroy);
void          afrpc_call_complete         (AfrpcCall            *self);
void          afrpc_call_tell_waits       (AfrpcCall            *self,
                                           gboolean              is_in_place);
void          afrpc_call_tell_later       (AfrpcCall            *self);
void          afrpc_call_cancel_later     (AfrpcCall            *self);
void          afrpc_call_outrun_cancel    (AfrpcCall            *self);
void          afrpc_call_give_up          (AfrpcCall            *self,
                                           AfrpcStarted          started,
                                           GError               *error);
void          afrpc_call_keep_process     (AfrpcCall            *self);
void          afrpc_call_set_exit         (AfrpcCall            *self,
                                           AfrpcExit            *exit);
void          afrpc_call_block            (AfrpcCall            *self,
                                           AfrpcCallerInterface *iface);
GVariant     *afrpc_call_ref_outcome      (AfrpcCall            *self,
                                           GError              **error);
GVariant     *afrpc_call_take_outcome     (AfrpcCall            *self,
                                           GUnixFDList         **fds,
                                           GError              **error);
AfrpcPending *afrpc_call_get_pending      (AfrpcCall            *self);
AfrpcCall    *afrpc_call_of_pending       (AfrpcPending         *pending);

/* @process has the call, and is there until that was told. Nobody but who made it has most calls, and needs no reference. */
static inline void
afrpc_call_lend_process (AfrpcCall    *self,
                         AfrpcProcess *process)
{
  const gboolean is_lent = self->is_recycled && !self->is_shared && self->process == NULL;

  self->is_process_lent |= is_lent;
  if (is_lent)
    self->process = process;
  else if (self->process != process)
    {
      afrpc_call_keep_process (self);
      g_set_object (&self->process, process);
    }
}

G_END_DECLS
