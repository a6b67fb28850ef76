/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one source that a main context has for all its peers: polls for them, has those dispatched that have something
 * to do, keeps their time limits, and takes what other threads post. The context owns it, and with it the default
 * templates of that context; when the context goes, so do they. Looks at peers that are idle as little as it can. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _AfrpcPeer AfrpcPeer;
typedef struct _AfrpcSource AfrpcSource;

/* What a peer does for the source. */
typedef struct
{
  AfrpcPeer *(* ref)          (AfrpcPeer *peer);
  void       (* unref)        (AfrpcPeer *peer);
  gboolean   (* prepare)      (AfrpcPeer *peer); /* writes what is queued; TRUE: there is something to dispatch */
  gboolean   (* dispatch)     (AfrpcPeer *peer,
                               gint64     now);  /* TRUE: a slice is over, and there is more */
  void       (* keep_turn)    (AfrpcPeer *peer); /* the same for one that is leaving, and tells nobody anything */
  gint64     (* get_deadline) (AfrpcPeer *peer);
  void       (* context_gone) (AfrpcPeer *peer);
  void       (* inherited)    (AfrpcPeer *peer); /* this process is a fork of the one whose peer it is */
} AfrpcSourceFuncs;

typedef struct _AfrpcSourceMember AfrpcSourceMember;

/* How a descriptor is polled. */
typedef enum
{
  AFRPC_PLACE_NONE,   /* not at all */
  AFRPC_PLACE_DIRECT, /* by the context itself */
  AFRPC_PLACE_SET,    /* in the source's set */
} AfrpcSourceWay;

/* A descriptor of a peer. */
typedef struct
{
  GPollFD poll;       /* what for, and what has come */
  AfrpcSourceMember *member;
  AfrpcSourceWay way;
  guint index;        /* among those that the context polls */
  guint n_from_set;   /* how often something came while it is in the set */
  gboolean is_used;   /* something came since it was looked at last, which is counted while the context polls it */
} AfrpcSourcePlace;

/* What the source knows of one peer, which embeds it. */
struct _AfrpcSourceMember
{
  const AfrpcSourceFuncs *funcs;
  AfrpcPeer *peer;
  AfrpcSource *source;    /* (nullable): NULL once its main context has gone, or in a process that was forked */
  gboolean is_inherited;  /* in such a process */
  guint index;            /* among the source's members */
  gboolean is_watched;    /* the source holds a reference, and polls */
  gboolean is_active;     /* it is among those that are looked at in each iteration */
  GList active;           /* its place there */
  gboolean is_due;        /* something was polled that it did not come to yet */
  AfrpcSourcePlace socket;
  AfrpcSourcePlace pidfd;
  AfrpcSourcePlace standard_error;
};

/* Returns: (transfer none): that of the thread-default main context */
AfrpcSource  *afrpc_source_get         (void);
GMainContext *afrpc_source_get_context (AfrpcSource      *self);
gint64        afrpc_source_get_turn_time (AfrpcSource    *self);

void          afrpc_source_add         (AfrpcSource      *self,
                                        AfrpcSourceMember *member,
                                        AfrpcPeer        *peer,
                                        const AfrpcSourceFuncs *funcs);
void          afrpc_source_forget      (AfrpcSourceMember *member);
void          afrpc_source_watch       (AfrpcSourceMember *member);
void          afrpc_source_unwatch     (AfrpcSourceMember *member);
void          afrpc_source_poll        (AfrpcSourceMember *member,
                                        AfrpcSourcePlace *place,
                                        int               fd,
                                        GIOCondition      events);
void          afrpc_source_leave_fd    (AfrpcSourceMember *member,
                                        int               fd);
void          afrpc_source_activate    (AfrpcSourceMember *member);
void          afrpc_source_deactivate  (AfrpcSourceMember *member);
void          afrpc_source_set_deadline (AfrpcSource     *self,
                                         gint64           at);

/* From any thread. */
gboolean      afrpc_source_post        (AfrpcSourceMember *member,
                                        void            (*func) (AfrpcPeer *peer, gpointer data),
                                        gpointer          data,
                                        GDestroyNotify    destroy);


/* Whether this thread may touch the peer. */
typedef enum
{
  AFRPC_SOURCE_ENTERED, /* it may, until afrpc_source_leave () */
  AFRPC_SOURCE_FOREIGN, /* another one runs the main context */
  AFRPC_SOURCE_GONE,    /* there is no main context any more */
} AfrpcSourceEntry;

AfrpcSourceEntry afrpc_source_enter    (AfrpcSourceMember *member);
AfrpcSourceEntry afrpc_source_use      (AfrpcSourceMember *member);
void          afrpc_source_leave       (AfrpcSourceMember *member);
gboolean      afrpc_source_is_running  (AfrpcSourceMember *member);
gpointer      afrpc_source_begin_run   (AfrpcSource      *self);
void          afrpc_source_end_run     (AfrpcSource      *self,
                                        gpointer          before);
gpointer      afrpc_source_begin_blocking (AfrpcSource   *self);
void          afrpc_source_end_blocking (AfrpcSource     *self,
                                        gpointer          before);
gboolean      afrpc_source_is_going    (AfrpcSource      *self);
gboolean      afrpc_source_is_there    (AfrpcSourceMember *member);
gboolean      afrpc_source_runs_here   (AfrpcSource      *self);
void          afrpc_source_keep_turns  (AfrpcSource      *self);
gboolean      afrpc_source_has_run     (AfrpcSource      *self);
void          afrpc_source_foreach     (AfrpcSource      *self,
                                        void            (*func) (AfrpcPeer *peer, gpointer data),
                                        gpointer          data);
void          afrpc_source_foreach_active (AfrpcSource   *self,
                                           void         (*func) (AfrpcPeer *peer, gpointer data),
                                           gpointer       data);

/* For who blocks the thread. */
void          afrpc_source_leave_if_inherited (AfrpcSource *self);
void          afrpc_source_run_posts   (AfrpcSource      *self);
void          afrpc_source_flush       (AfrpcSource      *self);
int           afrpc_source_get_wake_fd (AfrpcSource      *self);
void          afrpc_source_clear_wake_fd (AfrpcSource    *self);
GPtrArray    *afrpc_source_get_templates (AfrpcSource    *self);

G_END_DECLS
