/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One worker as the program sees it. It outlives its handles until everything is over, and they may be dropped on any
 * thread.
 *
 * Everything is for the thread that owns the main context, but afrpc_peer_ref, _unref, _drop and _fail_call. */
#pragma once

#include <gio/gio.h>

#include "afrpc-exit.h"
#include "afrpc-serialiser.h"
#include "peer/afrpc-handles.h"
#include "peer/afrpc-pending.h"
#include "peer/afrpc-role.h"
#include "transport/afrpc-writer.h"

G_BEGIN_DECLS

#define AFRPC_NO_HOST "none" /* of what has no process */

typedef struct _AfrpcPeer AfrpcPeer;

/* Which handle was dropped without further words. */
typedef enum
{
  AFRPC_PEER_DROP_PROCESS = 1 << 0,
  AFRPC_PEER_DROP_PROXY = 1 << 1,
} AfrpcPeerDrop;

/* What a worker does about a call that was given up. */
typedef enum
{
  AFRPC_PEER_DEBT_NONE,    /* it has answered, or there is nobody who could */
  AFRPC_PEER_DEBT_WAITING, /* it may have to begin it */
  AFRPC_PEER_DEBT_RUNNING, /* it runs it, or is to say at once that it does not */
} AfrpcPeerDebt;

/* What another program needs to go on with a process. */
typedef struct
{
  int fd;    /* the socket */
  int pidfd; /* -1: there is none to be had */
} AfrpcHandOver;

void        afrpc_hand_over_free      (AfrpcHandOver               *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcHandOver, afrpc_hand_over_free)

/* Life */
AfrpcPeer  *afrpc_peer_new            (const char                  *host);
AfrpcPeer  *afrpc_peer_new_command    (const char *const           *argv);
AfrpcPeer  *afrpc_peer_new_ssh        (const char                  *destination,
                                       const char                  *host,
                                       const char *const           *argv);
AfrpcPeer  *afrpc_peer_new_fork       (AfrpcPeer                   *template);
AfrpcPeer  *afrpc_peer_new_refused    (GError                      *error);
AfrpcPeer  *afrpc_peer_ref            (AfrpcPeer                   *self);
void        afrpc_peer_unref          (AfrpcPeer                   *self);
void        afrpc_peer_drop           (AfrpcPeer                   *self,
                                       AfrpcPeerDrop                what);
gboolean    afrpc_peer_runs_here      (AfrpcPeer                   *self);
gboolean    afrpc_peer_visit          (AfrpcPeer                   *self,
                                       void                       (*func) (AfrpcPeer *peer,
                                                                           gpointer   data),
                                       gpointer                     data);
gboolean    afrpc_peer_check_thread   (AfrpcPeer                   *self,
                                       const char                  *what);
gboolean    afrpc_peer_enter          (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       const char                  *what);
void        afrpc_peer_leave          (AfrpcPending                *pending);

/* How it is started; and what it is prepared with */
AfrpcPeer  *afrpc_peer_ref_default_template (const char            *host);
gboolean    afrpc_peer_is_configurable (AfrpcPeer                  *self);
void        afrpc_peer_set_orphan_policy (AfrpcPeer                *self,
                                          AfrpcOrphanPolicy         policy);
void        afrpc_peer_set_environ    (AfrpcPeer                   *self,
                                       const char *const           *environment);
void        afrpc_peer_setenv         (AfrpcPeer                   *self,
                                       const char                  *variable,
                                       const char                  *value,
                                       gboolean                     overwrite);
void        afrpc_peer_unsetenv       (AfrpcPeer                   *self,
                                       const char                  *variable);
guint       afrpc_peer_get_n_processors (AfrpcPeer                 *self);
void        afrpc_peer_set_sends_modules (AfrpcPeer                *self,
                                          gboolean                  sends_modules);
gboolean    afrpc_peer_sends_modules  (AfrpcPeer                   *self);
void        afrpc_peer_set_cwd        (AfrpcPeer                   *self,
                                       const char                  *cwd);
void        afrpc_peer_set_limit      (AfrpcPeer                   *self,
                                       AfrpcLimit                   limit,
                                       guint64                      value);
void        afrpc_peer_set_nice       (AfrpcPeer                   *self,
                                       int                          increment);
void        afrpc_peer_set_leads_group (AfrpcPeer                  *self,
                                        gboolean                    leads_group);
gboolean    afrpc_peer_leads_group    (AfrpcPeer                   *self);
void        afrpc_peer_set_stdio      (AfrpcPeer                   *self,
                                       int                          i,
                                       AfrpcStdio                   mode);
void        afrpc_peer_take_stdio     (AfrpcPeer                   *self,
                                       int                          i,
                                       int                          fd);
void        afrpc_peer_set_pattern    (AfrpcPeer                   *self,
                                       gboolean                     is_pattern);
void        afrpc_peer_inherit        (AfrpcPeer                   *self,
                                       AfrpcPeer                   *template);
void        afrpc_peer_fail_step      (AfrpcPeer                   *self,
                                       GError                      *error);
void        afrpc_peer_prepare        (AfrpcPeer                   *self,
                                       AfrpcFrameKind               kind,
                                       GVariant                    *value,
                                       int                          fd);

/* What the handles ask for */
const char *afrpc_peer_get_host       (AfrpcPeer                   *self);
char       *afrpc_peer_describe       (AfrpcPeer                   *self) G_GNUC_WARN_UNUSED_RESULT;
GError     *afrpc_peer_new_system_error (AfrpcPeer                 *self,
                                         AfrpcError                 code,
                                         const char                *doing) G_GNUC_WARN_UNUSED_RESULT;
int         afrpc_peer_get_pid        (AfrpcPeer                   *self);
AfrpcExit  *afrpc_peer_get_exit       (AfrpcPeer                   *self);
GMainContext *afrpc_peer_get_main_context (AfrpcPeer               *self);
AfrpcStart  afrpc_peer_get_start      (AfrpcPeer                   *self);
AfrpcRole   afrpc_peer_get_role       (AfrpcPeer                   *self);
void        afrpc_peer_fail           (AfrpcPeer                   *self,
                                       GError                      *error);
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
void        afrpc_peer_set_kept_max   (AfrpcPeer                   *self,
                                       guint64                      kept_max);
void        afrpc_peer_set_conversation (AfrpcPeer                 *self,
                                         AfrpcSerialiser           *serialiser,
                                         gboolean                   may_outlive);
int         afrpc_peer_dup_socket     (AfrpcPeer                   *self);
guint       afrpc_peer_get_n_owed     (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_closed      (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_retired     (AfrpcPeer                   *self);
gboolean    afrpc_peer_take           (AfrpcPeer                   *self,
                                       AfrpcRole                    role,
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
void        afrpc_peer_set_turned_func (AfrpcPeer                  *self,
                                        void                      (*func) (gpointer data),
                                        gpointer                    data);
gint64      afrpc_peer_get_turn_time  (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_ready       (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_at_work     (AfrpcPeer                   *self,
                                       guint                       *n_owed);
const GError *afrpc_peer_get_failure  (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_impossible  (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_short       (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_command     (AfrpcPeer                   *self);
gboolean    afrpc_peer_has_ended      (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_over        (AfrpcPeer                   *self);
gboolean    afrpc_peer_owes_nobody    (AfrpcPeer                   *self);
gboolean    afrpc_peer_has_no_loop    (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_listened_to (gpointer                     handle);
void        afrpc_peer_forget_untold  (AfrpcPeer                   *self);
void        afrpc_peer_close          (AfrpcPeer                   *self);
void        afrpc_peer_hold_proxy     (AfrpcPeer                   *self);
gboolean    afrpc_peer_close_sync     (AfrpcPeer                   *self,
                                       GCancellable                *cancellable,
                                       GError                     **error);
AfrpcExit  *afrpc_peer_wait_for_exit  (AfrpcPeer                   *self,
                                       GCancellable                *cancellable,
                                       GError                     **error);
void        afrpc_peer_kill           (AfrpcPeer                   *self,
                                       int                          signum);
void        afrpc_peer_kill_as_asked  (AfrpcPeer                   *self,
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
gboolean    afrpc_peer_is_inherited   (AfrpcPeer                   *self);
gboolean    afrpc_peer_is_left        (AfrpcPeer                   *self);
gboolean    afrpc_peer_do_at_end      (AfrpcPeer                   *self,
                                       gpointer                     data,
                                       GDestroyNotify               func);
void        afrpc_peer_fail_call      (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       GError                      *error);
void        afrpc_peer_tell_later     (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
gboolean    afrpc_peer_withdraw_outcome (AfrpcPeer                 *self,
                                         AfrpcPending              *pending);
void        afrpc_peer_cancel         (AfrpcPeer                   *self,
                                       AfrpcPending                *pending,
                                       GError                      *error);
AfrpcPeerDebt afrpc_peer_get_debt     (AfrpcPeer                   *self,
                                       guint64                      serial,
                                       AfrpcStarted                 started);
void        afrpc_peer_kill_at        (AfrpcPeer                   *self,
                                       gint64                       at);
gboolean    afrpc_peer_take_back      (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
void        afrpc_peer_decide_at_end  (AfrpcPeer                   *self,
                                       AfrpcPending                *call);
gboolean    afrpc_peer_can_take_back  (AfrpcPeer                   *self);
gboolean    afrpc_peer_may_take_back  (void);
AfrpcStarted afrpc_peer_get_started   (AfrpcPeer                   *self,
                                       const AfrpcPending          *call);
void        afrpc_peer_expect_parts   (AfrpcPeer                   *self);
gboolean    afrpc_peer_cut            (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
GBytes     *afrpc_peer_get_parts      (AfrpcPeer                   *self,
                                       const AfrpcPending          *call,
                                       guint64                     *n_begun);
void        afrpc_peer_await_outcome  (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
void        afrpc_peer_wait           (AfrpcPeer                   *self,
                                       AfrpcPending                *pending);
#define AFRPC_PEER_SIGNAL_MS_MAX 1000 /* between looks for signals that have interrupted nothing */

void        afrpc_peer_set_interrupted_func (gboolean (*func) (void));
gboolean    afrpc_peer_tell_interrupted (gboolean                   *looks);
void        afrpc_peer_tell_tagged    (AfrpcPeer                   *self,
                                       const char                  *tag);

/* What is done in each turn of who blocks the thread for several peers. Adds those that have to have a turn, besides
 * the one that is blocked for, to @peers (element-type AfrpcPeer) (owned), and may set @until, when there has to be
 * another turn at the latest. */
typedef enum
{
  AFRPC_PEER_BLOCK_OVER,  /* there is nothing more to wait for */
  AFRPC_PEER_BLOCK_WAIT,  /* nothing can be done until something happens */
  AFRPC_PEER_BLOCK_AGAIN, /* something was done, of which something may follow at once */
} AfrpcPeerBlock;

typedef AfrpcPeerBlock (*AfrpcPeerTurn) (gpointer   data,
                                         GPtrArray *peers,
                                         gint64    *until);

gboolean    afrpc_peer_block          (AfrpcPeer                   *self,
                                       AfrpcPeerTurn                turn,
                                       gpointer                     data);
void        afrpc_peer_await_heirs    (AfrpcPeer                   *self,
                                       gint64                       until);
gboolean    afrpc_peer_keeps_too_much (AfrpcPeer                   *self);
gboolean    afrpc_peer_cannot_end     (AfrpcPeer                   *self);
GError     *afrpc_peer_new_too_much_error (guint64                  n_bytes_max);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcPeer, afrpc_peer_unref)

G_END_DECLS
