/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One worker process on a GMainContext: starts it, drives its link, watches its pidfd and standard
 * error, keeps time limits, and delivers what arrives in the order in which it arrived. What
 * AfrpcProcess and AfrpcProxy share. They are its handles: it outlives them until the process was
 * reaped, and knows them weakly, because a handle may be dropped on any thread.
 *
 * Everything is for the thread of the context, but afrpc_child_ref, _unref and _drop. */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "afrpc-serialiser.h"
#include "child/afrpc-call.h"
#include "child/afrpc-deadlines.h"
#include "child/afrpc-limits.h"
#include "child/afrpc-tail.h"
#include "link/afrpc-link.h"
#include "spawn/afrpc-spawn.h"

G_BEGIN_DECLS

typedef struct _AfrpcChild AfrpcChild;

/* Which handle was dropped without further words. */
typedef enum
{
  AFRPC_CHILD_DROP_PROCESS = 1 << 0,
  AFRPC_CHILD_DROP_PROXY = 1 << 1,
} AfrpcChildDrop;

/* What to start; for AfrpcProcess to fill in until the process is started. */
typedef struct
{
  char *host;       /* name or path; of a command, its first word */
  char **argv;      /* (nullable): a command that connects its standard streams to a host */
  char **environ;   /* (nullable): NULL: the program's */
  char *cwd;        /* (nullable) */
  AfrpcStdio stdio[3];
  int fds[3];       /* -1, or what to use instead of stdio */
  AfrpcOrphanPolicy orphan_policy;
  AfrpcLimits limits; /* a forked process has its template's to begin with */
} AfrpcChildConfig;

/* One thing that a process is prepared with: kept for processes that are forked from it. */
typedef struct
{
  AfrpcFrameKind kind;
  GVariant *value; /* (nullable) */
  int fd;          /* -1: none */
} AfrpcChildStep;

/* How news reaches the handles. */
typedef struct
{
  void (*exited)    (gpointer      process,
                     AfrpcExit    *exit);
} AfrpcChildProcessFuncs;

typedef struct
{
  /* @handled: whether it is known from earlier in this dispatch that somebody handles events */
  void (*event)     (gpointer      proxy,
                     GVariant     *event,
                     GUnixFDList  *fds, /* (nullable) */
                     gboolean     *handled);
  void (*error)     (gpointer      proxy,
                     const GError *error);
  void (*destroyed) (gpointer      proxy);
} AfrpcChildProxyFuncs;

struct _AfrpcChild
{
  gatomicrefcount ref_count;

  GMainContext *context;     /* owned, but by a default template */
  gboolean is_default_template;
  GSource *source;           /* (nullable): the context's; owns a reference to the child */
  gpointer socket_tag;       /* (nullable) */
  GIOCondition socket_events;
  gpointer pidfd_tag;        /* (nullable) */
  gpointer stderr_tag;       /* (nullable) */

  AfrpcChildConfig config;
  AfrpcStart start;          /* how the process was started */
  GPtrArray *steps;          /* (element-type AfrpcChildStep) what it was prepared with, in order */
  gboolean surroundings_sent;
  gboolean steps_sent;       /* those so far; a later one is sent at once */
  guint n_inherited;         /* of these, from the process that it is forked from */
  AfrpcChild *template;      /* (nullable): what it is forked from, until that has been done */
  int fork_socket;           /* -1: none; the new process' end, until that has it */
  GQueue forks;              /* (element-type AfrpcChild) (owned) to be forked from this one */
  AfrpcChild *reaper;        /* (nullable): whose child it is, and who tells how it ended */
  GPtrArray *reaped_for;     /* (element-type AfrpcChild) (not owned) whose reaper it is */
  int kill_signum;           /* 0, or what to send as soon as there is a process */
  gboolean dropped;          /* nobody can give it work any more */
  AfrpcLink link;
  AfrpcSerialiser *serialiser; /* (nullable): for what the link says is serialised */
  AfrpcSpawned spawned;
  int pid;                   /* 0 until started; stays after the end */
  AfrpcTail tail;
  AfrpcDeadlines deadlines;
  gint64 greeting_deadline;  /* AFRPC_DEADLINES_NEVER: none */
  gint64 reap_deadline;      /* when to ask for the end of a process without a pidfd */
  gint64 exit_deadline;      /* when a process that closed its socket is killed */
  gint64 flush_deadline;     /* when the socket may take descriptors again */
  GQueue stash;              /* (element-type AfrpcLinkItem) arrived during a call_sync */
  gsize stash_size;          /* bytes, about */

  gboolean taken;            /* runs a function, or is going to */
  gboolean lives_on;         /* the process may outlive the conversation: it has a done function */
  gboolean started;          /* has been tried */
  gboolean backlog;          /* a slice ended before everything was delivered */
  gint64 busy_since;         /* monotonic time, or 0: the socket had nothing to read lately */
  gboolean eof;              /* nothing more to read */
  gboolean killed;           /* by us */
  gboolean raw;              /* the socket was given away, or is going to be */
  gboolean is_foreign;       /* another process' child: how it ends is never known */
  gboolean told;             /* the failure, or the end, has been told to everybody */
  gboolean conversation_ended; /* nothing comes for the proxy any more */
  gboolean ended;            /* nothing happens any more */
  GError *failure;           /* (nullable): why no call can succeed any more */
  AfrpcExit *exit;           /* (nullable): once reaped */

  GPtrArray *spare_calls;    /* (element-type AfrpcCall) */
  GTask *run_task;           /* (nullable) */
  GTask *hand_over_task;     /* (nullable) */
  GPtrArray *exit_tasks;     /* (element-type GTask) */
  GPtrArray *close_tasks;    /* (element-type GTask) */

  const AfrpcChildProcessFuncs *process_funcs;
  const AfrpcChildProxyFuncs *proxy_funcs;
  GWeakRef process;
  GWeakRef proxy;
  GObject *process_held;     /* (nullable): from run to the end */
  GObject *proxy_held;       /* (nullable): from close to the end */

  gint drops;                /* atomic: AfrpcChildDrop */
};

AfrpcChild *afrpc_child_new         (const char           *host);
AfrpcChild *afrpc_child_new_command (const char *const    *argv);
AfrpcChild *afrpc_child_new_fork    (AfrpcChild           *template);
AfrpcChild *afrpc_child_get_default_template (const char  *host);
AfrpcChild *afrpc_child_ref         (AfrpcChild           *self);
void        afrpc_child_unref       (AfrpcChild           *self);
void        afrpc_child_drop        (AfrpcChild           *self,
                                     AfrpcChildDrop        what);

void        afrpc_child_prepare     (AfrpcChild           *self,
                                     AfrpcFrameKind        kind,
                                     GVariant             *value,
                                     int                   fd);
gboolean    afrpc_child_take        (AfrpcChild           *self,
                                     GVariant             *options,
                                     GError              **error);
void        afrpc_child_adopt       (AfrpcChild           *self,
                                     int                   fd);
void        afrpc_child_hand_over   (AfrpcChild           *self,
                                     GTask                *task);
void        afrpc_child_run         (AfrpcChild           *self,
                                     GTask                *task);
void        afrpc_child_set_serialiser (AfrpcChild        *self,
                                        AfrpcSerialiser   *serialiser);
void        afrpc_child_call        (AfrpcChild           *self,
                                     const AfrpcPayload   *args,
                                     guint                 timeout_ms,
                                     GCancellable         *cancellable,
                                     AfrpcCall            *call);
GVariant   *afrpc_child_call_sync   (AfrpcChild           *self,
                                     const AfrpcPayload   *args,
                                     GUnixFDList         **out_fds,
                                     guint                 timeout_ms,
                                     GCancellable         *cancellable,
                                     GError              **error);
void        afrpc_child_close       (AfrpcChild           *self);
void        afrpc_child_kill        (AfrpcChild           *self,
                                     int                   signum);
void        afrpc_child_await       (AfrpcChild           *self,
                                     GPtrArray            *tasks,
                                     GTask                *task);

/* Between the files of this folder. */

/* Returns: (nullable): the process that this one cannot begin, or end, without. */
static inline AfrpcChild *
afrpc_child_get_template (AfrpcChild *self)
{
  return self->template != NULL ? self->template : self->reaper;
}

static inline gint64
afrpc_child_process_deadline (AfrpcChild *self)
{
  return MIN (MIN (self->reap_deadline, self->flush_deadline), MIN (self->greeting_deadline, self->exit_deadline));
}

gboolean    afrpc_child_connect        (AfrpcChild    *self,
                                        int           *peer,
                                        GError       **error);
gboolean    afrpc_child_open_stdio     (AfrpcChild    *self,
                                        int           *stdio,
                                        GArray        *closing,
                                        GError       **error);
void        afrpc_child_exec           (AfrpcChild    *self);
void        afrpc_child_started        (AfrpcChild    *self,
                                        AfrpcStart     start,
                                        int            pid,
                                        int            pidfd);
void        afrpc_child_begin          (AfrpcChild    *self);
void        afrpc_child_send_steps     (AfrpcChild    *self,
                                        guint          first);
void        afrpc_child_insert_surroundings (AfrpcChild   *self,
                                             GVariantDict *dict,
                                             int           fds[3],
                                             guint        *n_fds);
void        afrpc_child_send_surroundings (AfrpcChild *self,
                                           gboolean    is_forked);
void        afrpc_child_forked         (AfrpcChild    *self,
                                        AfrpcLinkItem *item);
void        afrpc_child_tell_exited    (AfrpcChild    *self,
                                        AfrpcLinkItem *item);
void        afrpc_child_leave_reaper   (AfrpcChild    *self);
void        afrpc_child_fail_forks     (AfrpcChild    *self);
void        afrpc_child_forget_template (AfrpcChild   *self);
void        afrpc_child_pump_template  (AfrpcChild    *self);
GSource    *afrpc_child_source_new     (AfrpcChild    *self);
void        afrpc_child_unwatch_socket (AfrpcChild    *self);
void        afrpc_child_stop_reading   (AfrpcChild    *self);
void        afrpc_child_break_off      (AfrpcChild    *self,
                                        GError        *error);
void        afrpc_child_act_on_end     (AfrpcChild    *self);
void        afrpc_child_start          (AfrpcChild    *self);
void        afrpc_child_flush          (AfrpcChild    *self);
void        afrpc_child_read           (AfrpcChild    *self);
void        afrpc_child_read_stderr    (AfrpcChild    *self);
void        afrpc_child_set_exit       (AfrpcChild    *self,
                                        const AfrpcSpawnStatus *status);
void        afrpc_child_reap           (AfrpcChild    *self);
void        afrpc_child_release_stashed (AfrpcLinkItem *item);
gboolean    afrpc_child_next_item      (AfrpcChild    *self,
                                        AfrpcLinkItem *item);
void        afrpc_child_unpack         (AfrpcChild    *self,
                                        AfrpcLinkItem *item);
GUnixFDList *afrpc_child_take_item_fds (AfrpcLinkItem *item);
void        afrpc_child_fail_to_start  (AfrpcChild    *self,
                                        GError        *error);
void        afrpc_child_fail           (AfrpcChild    *self,
                                        GError        *error);
void        afrpc_child_fail_at_end    (AfrpcChild    *self);
void        afrpc_child_expire_process (AfrpcChild    *self,
                                        gint64         now);
gboolean    afrpc_child_cancel_call    (AfrpcChild    *self,
                                        GAsyncReadyCallback callback,
                                        gpointer       user_data);
void        afrpc_child_give_up        (AfrpcChild    *self,
                                        guint64        serial,
                                        GError        *error);
GError     *afrpc_child_call_error     (AfrpcChild    *self,
                                        guint64        serial);
GError     *afrpc_child_timeout_error  (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcChild, afrpc_child_unref)

G_END_DECLS
