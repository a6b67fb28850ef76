/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer consists of: what is started and how (birth), the process (body), the conversation with it (talk), what
 * has been decided and not told yet (news), and the handles, which know it and which it knows weakly. For the files of
 * this folder. */
#pragma once

#include "peer/afrpc-birth.h"
#include "peer/afrpc-body.h"
#include "peer/afrpc-deadlines.h"
#include "peer/afrpc-news.h"
#include "peer/afrpc-handles.h"
#include "peer/afrpc-source.h"
#include "peer/afrpc-talk.h"
#include "peer/afrpc-weak.h"

G_BEGIN_DECLS

/* A process that was dropped, or could not be prepared, has this long to end by itself. */
#define AFRPC_PEER_DROP_GRACE_US (1000 * 1000)

/* The host says who it is before it loads anything, so this is generous even on a busy machine. */
#define AFRPC_PEER_GREETING_TIMEOUT_US (30 * G_USEC_PER_SEC)

/* The inbox: what is done with what arrives. */
typedef enum
{
  AFRPC_INBOX_TELL, /* whom it concerns, in slices */
  AFRPC_INBOX_KEEP, /* among the news: the thread is blocked */
} AfrpcInboxMode;

/* Who waits for an end. */
typedef struct
{
  GQueue tasks;             /* (element-type GTask) (owned) */
  gint64 awaited_at;        /* when the main context has begun the iteration in which the last one came, or 0 */
  gint64 put_off_at;        /* and that in which telling it was put off, which is done once; 0: it was not */
} AfrpcEndTasks;

struct _AfrpcPeer
{
  gatomicrefcount ref_count;

  /* What its source knows of it. */
  AfrpcSourceMember member;

  AfrpcBirth birth;
  AfrpcBody body;
  AfrpcTalk talk;
  AfrpcNews news;
  AfrpcDeadlines deadlines; /* of calls */
  guint64 kept_max;         /* bytes: what may wait to be told while the thread is blocked */
  gint64 exit_deadline;     /* when a process that should have ended is killed */
  gboolean has_input;       /* there is something to read, whatever its descriptors say */
  gboolean tells_lines;     /* of standard error: the program's log is taking one */
  gboolean has_backlog;     /* a slice ended before everything was taken, or somebody who was told runs a main loop */
  gboolean is_catching_up;     /* a time limit has passed: what has arrived is read before anything is given up */
  guint64 catches_up_to;      /* and up to here, as the connection counts what it has read */

  GTask *connection_task;   /* (nullable): waits for the connection: to a function that takes it, or to give away */
  AfrpcEndTasks exit_tasks;
  AfrpcEndTasks close_tasks;
  void (*turned) (gpointer data); /* (nullable): for who looks at the peer after each turn */
  gpointer turned_data;

  const AfrpcPeerProcessFuncs *process_funcs;
  const AfrpcPeerProxyFuncs *proxy_funcs;
  AfrpcWeak process;
  AfrpcWeak proxy;
  GObject *process_held;    /* (nullable): from the job to the end */
  GObject *proxy_held;      /* (nullable): from close to the end */
  GPtrArray *functions;     /* (nullable) (element-type utf8): that were declared, of number 1 first */
  guint64 marked_serial;    /* of the call that was made last when there was no other */
  gboolean has_reported;    /* the failure: the worker has, before it ends */
  gboolean is_dropped;      /* nobody can give it work any more */
  gboolean failure_is_known; /* a call that came too late has got it, or it was the program's own doing */
  gboolean is_kill_asked_for; /* by the program, before there was a failure */
  gint drops;               /* atomic: AfrpcPeerDrop, to be acted on */
};

/* Between the files of this folder. */
AfrpcPeer  *afrpc_peer_new_heir      (AfrpcPeer                   *other);
char       *afrpc_peer_describe_for   (AfrpcPeer                   *self,
                                       guint                        number) G_GNUC_WARN_UNUSED_RESULT;
const char *afrpc_peer_find_function  (AfrpcPeer                   *self,
                                       guint                        number);
void        afrpc_peer_call_started   (AfrpcPeer                   *self,
                                       AfrpcLinkItem               *item);
void        afrpc_peer_break_off      (AfrpcPeer                   *self,
                                       GError                      *error);
void        afrpc_peer_report_failure (AfrpcPeer                   *self,
                                       GError                      *error);
void        afrpc_peer_fall_silent    (AfrpcPeer                   *self);
void        afrpc_peer_flush          (AfrpcPeer                   *self);
void        afrpc_peer_push_known     (AfrpcPeer                   *self);
void        afrpc_peer_take_body      (AfrpcPeer                   *self,
                                       AfrpcStart                   start,
                                       const AfrpcSpawned          *spawned,
                                       gboolean                     is_child);
void        afrpc_peer_update_watch   (AfrpcPeer                   *self);
void        afrpc_peer_attend         (AfrpcPeer                   *self);
gint64      afrpc_peer_get_deadline   (AfrpcPeer                   *self);
void        afrpc_peer_set_deadline   (AfrpcPeer                   *self,
                                       gint64                      *which,
                                       gint64                       at);
void        afrpc_peer_keep_turn      (AfrpcPeer                   *self);
void        afrpc_peer_await_gone     (AfrpcPeer                   *self,
                                       gint64                       until);
void        afrpc_peer_take_turn      (AfrpcPeer                   *self,
                                       gboolean                     has_waited);
gboolean    afrpc_peer_tell_lines     (AfrpcPeer                   *self);
void        afrpc_peer_leave_rest     (AfrpcPeer                   *self);
void        afrpc_peer_look_at_input  (AfrpcPeer                   *self);
gboolean    afrpc_peer_before_wait    (AfrpcPeer                   *self);
gboolean    afrpc_peer_dispatch       (AfrpcPeer                   *self,
                                       gint64                       now);
AfrpcPending *afrpc_peer_decide_owed  (AfrpcPeer                   *self);
gboolean    afrpc_peer_has_to_decide  (AfrpcPeer                   *self);
void        afrpc_peer_decide_end     (AfrpcPeer                   *self);
void        afrpc_peer_expire         (AfrpcPeer                   *self,
                                       gint64                       now,
                                       AfrpcInboxMode               mode);
void        afrpc_peer_expire_exit    (AfrpcPeer                   *self,
                                       gint64                       now);
gboolean    afrpc_peer_is_abandoned   (AfrpcPeer                   *self);
gboolean    afrpc_peer_watches_foreign (AfrpcPeer                  *self);
gboolean    afrpc_peer_is_leaving     (AfrpcPeer                   *self);
void        afrpc_peer_act_on_drops   (AfrpcPeer                   *self);
void        afrpc_peer_end_without_context (AfrpcPeer              *self);
void        afrpc_peer_context_gone   (AfrpcPeer                   *self);
void        afrpc_peer_inherited      (AfrpcPeer                   *self);
void        afrpc_peer_reap           (AfrpcPeer                   *self,
                                       gint64                       now);

gboolean    afrpc_peer_awaits_next_iteration (AfrpcPeer             *self,
                                              AfrpcNewsKind          kind);
gboolean    afrpc_peer_tell_exit_task (AfrpcPeer                   *self);
gboolean    afrpc_peer_tell_close_task (AfrpcPeer                  *self);

G_END_DECLS
