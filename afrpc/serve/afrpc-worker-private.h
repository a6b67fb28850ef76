/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's side of the conversation: what AfrpcWorker holds, and the two loops that serve calls. */
#pragma once

#include "afrpc-host.h"
#include "afrpc-invocation.h"
#include "afrpc-serialiser.h"
#include "afrpc-worker.h"
#include "serve/afrpc-served-call.h"
#include "spawn/afrpc-supervisor.h"
#include "wire/afrpc-page.h"
#include "wire/afrpc-stream.h"

G_BEGIN_DECLS

typedef struct
{
  int pid;
  int pidfd;
} AfrpcWorkerChild;

struct _AfrpcWorker
{
  GObject parent_instance;

  AfrpcStream stream;
  AfrpcPage *page;          /* (nullable) */
  AfrpcHost *host;          /* not owned: it outlives the worker */
  AfrpcBackend backend;
  AfrpcOrphanPolicy orphan_policy;
  AfrpcSerialiser *serialiser; /* (nullable): of arguments, results, events and progress */
  guint64 message_size_max; /* bytes, in either direction */
  GVariant *hello;          /* (nullable): what it greets with; a process that is forked says the same */
  guint64 goodbye_serial;   /* of what follows when this process has ended, or 0 */
  int control_fd;           /* -1, or where the supervisor listens */
  int lifeline_fd;          /* -1, or what the host has to hang the worker on */
  int parent_pid;           /* what it said; 0: it did not */
  GArray *children;         /* (element-type AfrpcWorkerChild) that were forked and have to be reaped here */
  gboolean is_forked;       /* its exit handlers are its template's */
  gboolean serving;         /* after init: events may be sent */
  gboolean gone;            /* the parent does not read any more */

  guint function;           /* the host's number of it */
  guint done;               /* 0: none */

  GPtrArray *arg_list;      /* (element-type GVariant) until args is made */
  GVariant *args;           /* (nullable): a tuple */
  GArray *fds;              /* (element-type int) -1: stolen */
  GArray *fd_positions;     /* (element-type guint) how many arguments came before each */

  AfrpcServedCall call;     /* that a sync function runs */

  /* Without a page. */
  GQueue ahead;             /* (element-type AheadCall) read, not run yet */
  gsize ahead_size;         /* bytes of their arguments */
  GError *ahead_error;      /* (nullable): why nothing more is read */
  gboolean cancelled;       /* the call that a sync function runs */

  /* Of the async loop. */
  guint64 invoking;         /* serial of the call whose function is being called, or 0 */
  GSource *source;          /* (nullable) */
  GMainLoop *loop;          /* (nullable) */
  gpointer socket_tag;      /* (nullable) */
  gpointer out_tag;         /* (nullable): if it is not the same */
  GIOCondition socket_events;
  gboolean has_read;        /* calls, perhaps, before the loop began */
  gboolean eof;             /* nothing more is read */
  gboolean dismissed;       /* the parent closed: it did not just die */
  GPtrArray *invocations;   /* (element-type AfrpcInvocation) not answered yet, by slot, not owned */
  GPtrArray *spare_invocations; /* (element-type AfrpcInvocation) to be used again */
  guint n_outstanding;
  gboolean has_latest;      /* outstanding calls may have progress that is held back */
};

AfrpcWorker *afrpc_worker_new            (AfrpcHost        *host,
                                          int               fd);
AfrpcWorker *afrpc_worker_new_stdio      (AfrpcHost        *host,
                                          const AfrpcSupervised *supervised);
void         afrpc_worker_init_stream    (AfrpcWorker      *self,
                                          int               fd);
void         afrpc_worker_send_error     (AfrpcWorker      *self,
                                          AfrpcFrameKind    kind,
                                          guint64           serial,
                                          const GError     *error);
void         afrpc_worker_answer         (AfrpcWorker      *self,
                                          AfrpcServedCall  *call,
                                          GVariant         *value,
                                          const GError     *error);
GVariant    *afrpc_worker_parse_call     (AfrpcWorker      *self,
                                          const AfrpcFrame *frame,
                                          AfrpcServedCall  *call,
                                          GError          **error);
GVariant    *afrpc_worker_begin_call     (AfrpcWorker      *self,
                                          const AfrpcFrame *frame,
                                          AfrpcServedCall  *call);
gboolean     afrpc_worker_check_size     (AfrpcWorker      *self,
                                          const AfrpcPayload *payload,
                                          GError          **error);
gboolean     afrpc_worker_pack           (AfrpcWorker      *self,
                                          GVariant         *value,
                                          GVariant        **packed,
                                          AfrpcPayload     *payload,
                                          GError          **error);
GVariant    *afrpc_worker_unpack         (AfrpcWorker      *self,
                                          const AfrpcServedCall *call,
                                          GVariant         *args,
                                          GError          **error);
gboolean     afrpc_worker_check_fds      (AfrpcWorker      *self,
                                          guint             n_fds,
                                          GError          **error);
int          afrpc_worker_copy_fd        (int               fd,
                                          GError          **error);
gboolean     afrpc_worker_has_room       (AfrpcWorker      *self);
void         afrpc_worker_answer_cancelled (AfrpcWorker    *self,
                                            guint64         serial);
void         afrpc_worker_mark_started   (AfrpcWorker      *self,
                                          guint64           serial);
void         afrpc_worker_flush_blocking (AfrpcWorker      *self);
void         afrpc_worker_wait_readable  (AfrpcWorker      *self);

gboolean     afrpc_worker_serve_sync     (AfrpcWorker      *self,
                                          GError          **error);
gboolean     afrpc_worker_serve_async    (AfrpcWorker      *self,
                                          GError          **error);
void         afrpc_worker_queued         (AfrpcWorker      *self);

gboolean     afrpc_worker_serve_ahead    (AfrpcWorker      *self,
                                          GError          **error);
void         afrpc_worker_look_ahead     (AfrpcWorker      *self);
gboolean     afrpc_worker_run_ahead      (AfrpcWorker      *self);
void         afrpc_worker_clear_ahead    (AfrpcWorker      *self);
void         afrpc_worker_start_call     (AfrpcWorker      *self,
                                          AfrpcServedCall  *call,
                                          GVariant         *args);
void         afrpc_worker_cancel_call    (AfrpcWorker      *self,
                                          guint64           serial);

AfrpcInvocation *afrpc_invocation_new    (AfrpcWorker      *worker,
                                          AfrpcServedCall  *call,
                                          GVariant         *args);
void         afrpc_invocation_send_latest (AfrpcInvocation *self);
void         afrpc_invocation_release    (AfrpcInvocation  *self);
void         afrpc_invocation_cancel     (AfrpcInvocation  *self,
                                          guint64           serial);

GVariant    *afrpc_host_call             (AfrpcHost        *self,
                                          guint             function,
                                          AfrpcWorker      *worker,
                                          GVariant         *args,
                                          GError          **error);
void         afrpc_host_invoke           (AfrpcHost        *self,
                                          guint             function,
                                          AfrpcInvocation  *invocation);
void         afrpc_host_cancelled        (AfrpcHost        *self,
                                          AfrpcInvocation  *invocation);
void         afrpc_host_done             (AfrpcHost        *self,
                                          guint             function,
                                          AfrpcWorker      *worker);
void         afrpc_host_wait             (AfrpcHost        *self,
                                          int               fd);
int          afrpc_host_fork             (AfrpcHost        *self,
                                          int               parent_pid,
                                          gboolean         *is_sibling,
                                          int              *pidfd,
                                          GError          **error);

G_END_DECLS
