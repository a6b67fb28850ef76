/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One worker as the program sees it: what is started and how (birth), the process (body), the conversation with it
 * (talk), what has been decided and not told yet (news), and the handles, which know it and which it knows weakly: it
 * outlives them until everything is over, and they may be dropped on any thread.
 *
 * Everything is for the thread that owns the main context, but afrpc_peer_ref, _unref, _drop and _fail_call. */
#pragma once

#include <gio/gio.h>

#include "peer/afrpc-birth.h"
#include "peer/afrpc-body.h"
#include "peer/afrpc-deadlines.h"
#include "peer/afrpc-news.h"
#include "peer/afrpc-pending.h"
#include "peer/afrpc-source.h"
#include "peer/afrpc-talk.h"

G_BEGIN_DECLS

/* A process that was dropped, or could not be prepared, has this long to end by itself. */
#define AFRPC_PEER_DROP_GRACE_US (1000 * 1000)

/* The host says who it is before it loads anything, so this is generous even on a busy machine. */
#define AFRPC_PEER_GREETING_TIMEOUT_US (30 * G_USEC_PER_SEC)

/* Which handle was dropped without further words. */
typedef enum
{
  AFRPC_PEER_DROP_PROCESS = 1 << 0,
  AFRPC_PEER_DROP_PROXY = 1 << 1,
} AfrpcPeerDrop;

/* The inbox: what is done with what arrives. */
typedef enum
{
  AFRPC_INBOX_TELL, /* whom it concerns, in slices */
  AFRPC_INBOX_KEEP, /* among the news: the thread is blocked */
} AfrpcInboxMode;

/* How news reaches the handles. */
typedef struct
{
  void (*exited)    (gpointer      process,
                     AfrpcExit    *exit);
} AfrpcPeerProcessFuncs;

#define AFRPC_PEER_EVENT_VALUES 4

typedef struct
{
  /* @event, @fds: (transfer full); @values: AFRPC_PEER_EVENT_VALUES of them, for the signal: made at the first event
   * that somebody handles, used again for those that follow, and unset by the peer after the last */
  void (*event)     (gpointer      proxy,
                     GVariant     *event,
                     GUnixFDList  *fds, /* (nullable) */
                     GValue       *values);
  /* @was_told: a call has got it already */
  void (*error)     (gpointer      proxy,
                     const GError *error,
                     gboolean      was_told);
  void (*destroyed) (gpointer      proxy);
} AfrpcPeerProxyFuncs;

/* What another program needs to go on with a process. */
typedef struct
{
  int fd;    /* the socket */
  int pidfd; /* -1: there is none to be had */
} AfrpcHandOver;

void        afrpc_hand_over_free      (AfrpcHandOver               *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcHandOver, afrpc_hand_over_free)

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
  gint64 exit_deadline;     /* when a process that should have ended is killed */
  gboolean has_backlog;     /* a slice ended before everything was taken, or somebody who was told runs a main loop */
  gboolean looks_again;     /* a time limit has passed: what has arrived is read before anything is given up */
  guint64 looks_until;      /* and up to here, as the connection counts what it has read */

  GTask *connection_task;   /* (nullable): waits for the connection: to a function that takes it, or to give away */
  GPtrArray *exit_tasks;    /* (element-type GTask) */
  GPtrArray *close_tasks;   /* (element-type GTask) */

  const AfrpcPeerProcessFuncs *process_funcs;
  const AfrpcPeerProxyFuncs *proxy_funcs;
  GWeakRef process;
  GWeakRef proxy;
  GObject *process_held;    /* (nullable): from the job to the end */
  GObject *proxy_held;      /* (nullable): from close to the end */
  gboolean is_dropped;      /* nobody can give it work any more */
  gint drops;               /* atomic: AfrpcPeerDrop, to be acted on */
};

/* Life */
AfrpcPeer  *afrpc_peer_new            (const char                  *host);
AfrpcPeer  *afrpc_peer_new_command    (const char *const           *argv);
AfrpcPeer  *afrpc_peer_new_fork       (AfrpcPeer                   *template);
AfrpcPeer  *afrpc_peer_new_refused    (GError                      *error);
AfrpcPeer  *afrpc_peer_ref            (AfrpcPeer                   *self);
void        afrpc_peer_unref          (AfrpcPeer                   *self);
void        afrpc_peer_drop           (AfrpcPeer                   *self,
                                       AfrpcPeerDrop                what);
gboolean    afrpc_peer_check_thread   (AfrpcPeer                   *self,
                                       const char                  *what);
gboolean    afrpc_peer_enter          (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       const char                  *what);
void        afrpc_peer_leave          (AfrpcPending                *pending);

/* What the handles ask for */
void        afrpc_peer_set_process    (AfrpcPeer                   *self,
                                       gpointer                     process,
                                       const AfrpcPeerProcessFuncs *funcs);
void        afrpc_peer_set_proxy      (AfrpcPeer                   *self,
                                       gpointer                     proxy,
                                       const AfrpcPeerProxyFuncs   *funcs);
void        afrpc_peer_set_limits     (AfrpcPeer                   *self,
                                       guint                        n_pending_max,
                                       guint64                      n_bytes_max,
                                       guint64                      message_size_max);
void        afrpc_peer_set_conversation (AfrpcPeer                 *self,
                                         AfrpcSerialiser           *serialiser,
                                         gboolean                   may_outlive);
int         afrpc_peer_dup_socket     (AfrpcPeer                   *self);
guint       afrpc_peer_get_n_owed     (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_closed      (AfrpcPeer                   *self);
gboolean    afrpc_peer_take           (AfrpcPeer                   *self,
                                       AfrpcTalkRole                role,
                                       GVariant                    *options,
                                       GError                     **error);
void        afrpc_peer_adopt          (AfrpcPeer                   *self,
                                       int                          fd,
                                       int                          pidfd);
void        afrpc_peer_await_connection (AfrpcPeer                 *self,
                                         GTask                     *task);
void        afrpc_peer_await_exit     (AfrpcPeer                   *self,
                                       GTask                       *task);
void        afrpc_peer_await_close    (AfrpcPeer                   *self,
                                       GTask                       *task);
void        afrpc_peer_close          (AfrpcPeer                   *self);
gboolean    afrpc_peer_close_sync     (AfrpcPeer                   *self,
                                       GCancellable                *cancellable,
                                       GError                     **error);
void        afrpc_peer_kill           (AfrpcPeer                   *self,
                                       int                          signum);

/* Calls */
void        afrpc_peer_call           (AfrpcPeer                   *self,
                                       const AfrpcPayload          *args,
                                       guint                        function,
                                       GVariant                    *metadata,
                                       guint                        timeout_ms,
                                       AfrpcPending                *pending);
gboolean    afrpc_peer_declare        (AfrpcPeer                   *self,
                                       guint                        number,
                                       const char                  *function,
                                       GError                     **error);
void        afrpc_peer_do             (AfrpcPeer                   *self,
                                       void                       (*func) (AfrpcPeer *peer, gpointer data),
                                       gpointer                     data,
                                       GDestroyNotify               destroy);
void        afrpc_peer_fail_call      (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       GError                      *error);
void        afrpc_peer_cancel         (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       GError                      *error);
void        afrpc_peer_wait           (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);

/* Between the files of this folder. */
void        afrpc_peer_call_started   (AfrpcPeer                   *self,
                                       AfrpcLinkItem               *item);
void        afrpc_peer_fail           (AfrpcPeer                   *self,
                                       GError                      *error);
void        afrpc_peer_break_off      (AfrpcPeer                   *self,
                                       GError                      *error);
void        afrpc_peer_fall_silent    (AfrpcPeer                   *self);
void        afrpc_peer_flush          (AfrpcPeer                   *self);
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
gboolean    afrpc_peer_prepare        (AfrpcPeer                   *self);
gboolean    afrpc_peer_dispatch       (AfrpcPeer                   *self,
                                       gint64                       now);
void        afrpc_peer_decide_slots   (AfrpcPeer                   *self,
                                       GArray                      *slots);
gboolean    afrpc_peer_has_to_decide  (AfrpcPeer                   *self);
void        afrpc_peer_decide_end     (AfrpcPeer                   *self);
void        afrpc_peer_expire         (AfrpcPeer                   *self,
                                       gint64                       now,
                                       AfrpcInboxMode               mode);
gboolean    afrpc_peer_is_abandoned   (AfrpcPeer                   *self);
void        afrpc_peer_act_on_drops   (AfrpcPeer                   *self);
void        afrpc_peer_context_gone   (AfrpcPeer                   *self);
void        afrpc_peer_reap           (AfrpcPeer                   *self,
                                       gint64                       now);

void        afrpc_peer_tell_exit_tasks (AfrpcPeer                  *self);
void        afrpc_peer_tell_close_tasks (AfrpcPeer                 *self);

/* The inbox */
void        afrpc_inbox_read          (AfrpcPeer                   *self);
void        afrpc_inbox_take          (AfrpcPeer                   *self,
                                       AfrpcInboxMode               mode);
void        afrpc_inbox_decide_kept   (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcPeer, afrpc_peer_unref)

G_END_DECLS
