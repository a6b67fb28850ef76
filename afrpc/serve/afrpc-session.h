/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's side of one conversation, from the greeting to the end: its state, its connection, its limits, and
 * what it was told. Plain C. What knows the functions, and what a user sees of this, is known here by a table of
 * functions alone. */
#pragma once

#include "afrpc-serialiser.h"
#include "afrpc-types.h"
#include "os/afrpc-process-name.h"
#include "serve/afrpc-backlog.h"
#include "serve/afrpc-call-table.h"
#include "serve/afrpc-start-args.h"
#include "transport/afrpc-transport.h"

G_BEGIN_DECLS


typedef enum
{
  AFRPC_SESSION_GREETING,  /* the parent has not said yet who it is */
  AFRPC_SESSION_PREPARING, /* does what the parent asks for, one thing after the other */
  AFRPC_SESSION_PREPARING_UNHEARD, /* the same, but nobody reads any more what is said */
  AFRPC_SESSION_SERVING,   /* calls arrive, and are answered */
  AFRPC_SESSION_UNHEARD,   /* calls that were sent before nobody read any more still arrive, and are done */
  AFRPC_SESSION_FINISHING, /* nothing arrives any more; what has arrived is done and answered */
  AFRPC_SESSION_ORPHANED,  /* neither: what has arrived is done */
  AFRPC_SESSION_OVER,      /* nothing is left to do, or a function has taken the connection over */
  AFRPC_SESSION_LAST = AFRPC_SESSION_OVER,
} AfrpcSessionState;

/* What the process can do in its language. */
typedef struct
{
  gboolean  (*can)       (gpointer            host,
                          AfrpcFunctionKind   kind);
  gboolean  (*require)   (gpointer            host,
                          const char         *module,
                          GError            **error);
  gboolean  (*eval)      (gpointer            host,
                          const char         *code,
                          GVariant           *args,
                          GError            **error);
  guint     (*resolve)   (gpointer            host,
                          const char         *name,
                          AfrpcFunctionKind   kind,
                          GError            **error);
  const char *(*get_args_type) (gpointer      host,
                                guint         function);
  gboolean  (*init)      (gpointer            host,
                          guint               function,
                          GError            **error);
  GVariant *(*call)      (gpointer            host,
                          guint               function,
                          GVariant           *args,
                          GError            **error);
  void      (*invoke)    (gpointer            host,
                          guint               function,
                          AfrpcServedCall    *call, /* (transfer full): its contents */
                          GVariant           *args);
  void      (*cancelled) (gpointer            host,
                          AfrpcServedCall    *call);
  void      (*done)      (gpointer            host,
                          guint               function);
  void      (*run)       (gpointer            host,
                          guint               function,
                          int                 fd);
  void      (*wait)      (gpointer            host,
                          int                 fd);
  gboolean  (*can_fork)  (gpointer            host,
                          GError            **error);
  int       (*fork)      (gpointer            host,
                          GError            **error);
} AfrpcSessionFuncs;

/* What the parent wants of the worker once it is prepared. */
typedef struct
{
  AfrpcBackend backend;
  AfrpcOrphanPolicy orphan_policy;
  guint done;             /* the host's number of the function to call at the end, or 0 */
  guint taker;            /* of the one that gets the connection, so that nothing is served, or 0 */
  gboolean takes_over;    /* there is one */
  char *function;         /* (nullable): the name of what it is all for */
} AfrpcJob;

/* One that is served. */
typedef struct
{
  guint id;               /* the host's number of it, or 0 */
  char *name;             /* (nullable): for messages */
  char *args_type;        /* (nullable): any */
  GError *error;          /* (nullable): why it cannot be called */
  gboolean is_declared;
} AfrpcFunction;

/* What a fork has made. */
typedef struct
{
  int pid;                /* as of fork(2) */
  int pidfd;              /* -1: not yet opened */
  gboolean is_sibling;    /* a child of the parent, and not of this process */
} AfrpcForked;

/* What was forked and has to be reaped here. */
typedef struct
{
  int pid;
  int pidfd;
} AfrpcReaped;

typedef struct
{
  AfrpcSessionState state; /* only set_state () changes it */
  gboolean logs_states;

  /* Set before it begins, and not owned. */
  const AfrpcSessionFuncs *funcs;
  gpointer host;           /* theirs */
  const char *host_name;
  gboolean host_waits;     /* for calls, itself */
  int orphan_signal;       /* what ends the process when its program dies */
  guint64 goodbye_serial;  /* of what follows when this process has ended, or 0 */

  gboolean is_bound;       /* to the only thread that may say anything: since it serves */
  gboolean is_stray;       /* this process was forked by one of its functions, and has no part in it */

  AfrpcTransport transport;
  int control_fd;          /* -1, or where the supervisor listens */
  int lifeline_fd;         /* -1, or what the supervisor has to hang this process on */
  gboolean has_lifeline;   /* it is hung on that, or on the parent's */
  int parent_pid;          /* what it said; 0: it did not */
  guint64 message_size_max; /* bytes, in either direction */
  AfrpcSerialiser *serialiser; /* (nullable): of arguments, results, events and progress */

  GVariant *hello;         /* (nullable): what it greets with */
  AfrpcStartArgs start;
  AfrpcJob job;
  GArray *functions;       /* (element-type AfrpcFunction) by number */
  char own_name[AFRPC_PROCESS_NAME_SIZE]; /* while it has another; or empty */
  AfrpcForked forked;      /* while a fork is under way: by the kernel's own means, if the host has used these */
  GArray *reaped;          /* (element-type AfrpcReaped) */
  gboolean is_forked;      /* its exit handlers are its template's */

  AfrpcCallTable calls;    /* that were read and not answered: in the backlog, or up to their async functions */
  AfrpcBacklog backlog;    /* of a worker that learns from frames what is cancelled */
  AfrpcBacklogItem *unpacked; /* (nullable): what comes before that, and is being unpacked in slices */
  gboolean was_long;       /* what was taken may have taken much of a slice: to be reset by who looks at it */
  AfrpcServedCall *current; /* (nullable): the call that a sync function runs */
  guint64 invoked_serial;  /* of the call whose async function is being called, or 0 */
  GArray *held_back;       /* (element-type guint64) of calls whose progress waits for the parent to read */
  gboolean is_retired;     /* no new calls are wanted; told once it serves */
  gboolean was_closed;     /* the parent has said that it makes no more calls: it did not just die */
  GError *failure;         /* (nullable): why nothing more is read, or written */
} AfrpcSession;

void     afrpc_session_init          (AfrpcSession      *self);
void     afrpc_session_clear         (AfrpcSession      *self);
void     afrpc_session_set_state     (AfrpcSession      *self,
                                      AfrpcSessionState  state);

void     afrpc_session_set_host      (AfrpcSession      *self,
                                      const AfrpcSessionFuncs *funcs,
                                      gpointer           host,
                                      const char        *name,
                                      gboolean           waits,
                                      int                orphan_signal);

void     afrpc_session_bind          (AfrpcSession      *self);
gboolean afrpc_session_is_mine       (const AfrpcSession *self);
gboolean afrpc_session_check_thread  (const AfrpcSession *self,
                                      const char        *what);
gboolean afrpc_session_check_sender  (const AfrpcSession *self,
                                      GVariant          *value,
                                      const char        *what);
void     afrpc_session_stray         (AfrpcSession      *self);

/* The connection. */
void     afrpc_session_connect       (AfrpcSession      *self,
                                      const AfrpcTransportFuncs *funcs,
                                      int                in_fd,
                                      int                out_fd);
gboolean afrpc_session_try_flush     (AfrpcSession      *self);
void     afrpc_session_flush         (AfrpcSession      *self);
void     afrpc_session_queued        (AfrpcSession      *self);
gboolean afrpc_session_has_room      (AfrpcSession      *self);

/* Its ends. */
void     afrpc_session_lose_parent   (AfrpcSession      *self);
void     afrpc_session_finish_closed (AfrpcSession      *self);
void     afrpc_session_fail          (AfrpcSession      *self,
                                      GError            *error);
void     afrpc_session_end_input     (AfrpcSession      *self);

/* Somebody reads what is said. */
static inline gboolean
afrpc_session_is_heard (const AfrpcSession *self)
{
  const guint states = 1u << AFRPC_SESSION_GREETING | 1u << AFRPC_SESSION_PREPARING | 1u << AFRPC_SESSION_SERVING |
                       1u << AFRPC_SESSION_FINISHING;

  return (states >> self->state & 1) != 0;
}

/* Calls may arrive. */
static inline gboolean
afrpc_session_has_input (const AfrpcSession *self)
{
  return self->state == AFRPC_SESSION_SERVING || self->state == AFRPC_SESSION_UNHEARD;
}

/* No call is waiting for its turn, or for its async function to answer it. */
static inline gboolean
afrpc_session_is_idle (const AfrpcSession *self)
{
  return self->calls.n == 0 && self->unpacked == NULL && afrpc_backlog_is_empty (&self->backlog);
}

/* Functions are served. */
static inline gboolean
afrpc_session_is_serving (const AfrpcSession *self)
{
  return self->state >= AFRPC_SESSION_SERVING;
}

static inline gboolean
afrpc_session_is_forked (const AfrpcSession *self)
{
  return self->is_forked;
}

/* Returns: (nullable): the call that a sync function runs */
static inline AfrpcServedCall *
afrpc_session_get_current (const AfrpcSession *self)
{
  return self->current;
}

static inline AfrpcStartArgs *
afrpc_session_get_start (AfrpcSession *self)
{
  return &self->start;
}

/* Returns: (nullable): how values travel */
/* Returns: (nullable) */
static inline const char *
afrpc_session_get_function (const AfrpcSession *self)
{
  return self->job.function;
}

static inline AfrpcSerialiser *
afrpc_session_get_serialiser (const AfrpcSession *self)
{
  return self->serialiser;
}

/* Its async function is called, and it stays where it lies until it is answered. */
static inline void
afrpc_session_add_call (AfrpcSession    *self,
                        AfrpcServedCall *call)
{
  afrpc_call_table_add (&self->calls, call);
}

/* What the program has written to shared memory, if there is any. */
static inline gboolean
afrpc_session_shows_cancelled (const AfrpcSession    *self,
                               const AfrpcServedCall *call)
{
  return afrpc_transport_is_cancelled (&self->transport, call->serial);
}

G_END_DECLS
