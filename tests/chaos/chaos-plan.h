/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an actor is going to do: one family of processes, from their making to their end. All of it follows from the
 * seed and the actor's number, so that another interleaving, or a feature that is left out, changes nothing of what
 * the others do. */
#pragma once

#include "chaos-api.h"
#include "chaos-ledger.h"
#include "chaos-worker.h"

/* What can be left out, by name. */
typedef enum
{
  CHAOS_ASYNC,          /* async workers */
  CHAOS_FORK,           /* forks of own templates, and forks of forks */
  CHAOS_COMMAND,
  CHAOS_SELF,           /* workers that are the program itself */
  CHAOS_LARGE,          /* megabytes */
  CHAOS_LARGE_START,    /* megabytes of start arguments */
  CHAOS_FLOOD,          /* thousands of events */
  CHAOS_FDS,
  CHAOS_PROGRESS,
  CHAOS_SYNC,           /* blocking calls */
  CHAOS_SYNC_FORK,      /* blocking calls of processes that are forked from others */
  CHAOS_SYNC_INSIDE,    /* blocking calls in callbacks */
  CHAOS_SYNC_CANCEL,    /* blocking calls, cancelled by another thread */
  CHAOS_SYNC_KILL,      /* the worker killed meanwhile */
  CHAOS_CLOSE_SYNC,     /* closing that blocks */
  CHAOS_CANCEL,
  CHAOS_CANCEL_THREAD,  /* from another thread */
  CHAOS_WAIT,           /* calls that are waited for after they were made */
  CHAOS_OTHER_FUNCTION, /* another function of the same worker */
  CHAOS_TIMEOUT,
  CHAOS_REFUSED,        /* calls after the end */
  CHAOS_LIMIT,          /* of the number of calls, and of a message's size */
  CHAOS_DEATH,          /* workers that end themselves */
  CHAOS_KILL,           /* workers that somebody kills, by signals from outside or by the library */
  CHAOS_KILL_HOST,      /* what leads to a worker is killed: the command */
  CHAOS_TEMPLATE_DEATH, /* a process that others are forked from is killed */
  CHAOS_TEMPLATE_JOB,   /* a process that others were forked from is given its own job */
  CHAOS_STOP,           /* SIGSTOP, SIGCONT */
  CHAOS_DROP,           /* proxies dropped without close */
  CHAOS_DROP_THREAD,    /* by another thread */
  CHAOS_DROP_PROCESS,   /* processes dropped while they work */
  CHAOS_NEST,           /* callbacks of calls run the main loop */
  CHAOS_NEST_SIGNAL,    /* handlers of signals do */
  CHAOS_CALL_INSIDE,    /* callbacks make calls */
  CHAOS_END_INSIDE,     /* callbacks close, kill, drop the last reference */
  CHAOS_SLOW_PROGRAM,   /* the program does not read for a while what workers flood it with */
  CHAOS_SLOW_WORKER,    /* a worker does not, while large messages wait for it */
  CHAOS_DESTROYED_LAST, /* nothing that is done, but looked at: no call is settled after 'destroyed' */
  CHAOS_N_FEATURES
} ChaosFeature;

typedef guint64 ChaosFeatures;

#define CHAOS_FEATURES_ALL ((G_GUINT64_CONSTANT (1) << CHAOS_N_FEATURES) - 1)

gboolean chaos_features_remove (ChaosFeatures *features,
                                const char    *names);
char    *chaos_features_names  (void);

typedef enum
{
  CHAOS_HOW_EXEC,
  CHAOS_HOW_NEW,       /* forked from the default template */
  CHAOS_HOW_FORK,      /* of another member */
  CHAOS_HOW_COMMAND,
  CHAOS_HOW_SELF,
  CHAOS_HOW_SELF_EXEC,
} ChaosHow;

/* What a callback does before it returns. */
typedef enum
{
  CHAOS_ACT_NOTHING,
  CHAOS_ACT_NEST_TURNS, /* turns the main loop which times */
  CHAOS_ACT_NEST_UNTIL, /* runs it until the call which was settled */
  CHAOS_ACT_CALL,       /* makes the call which */
  CHAOS_ACT_CALL_SYNC,  /* makes it, blocking */
  CHAOS_ACT_CANCEL,     /* cancels the call which */
  CHAOS_ACT_CLOSE,      /* the member which, as the rest */
  CHAOS_ACT_DROP,
  CHAOS_ACT_DROP_PROCESS,
  CHAOS_ACT_KILL,
  CHAOS_ACT_DAWDLE,     /* which ms */
} ChaosActKind;

typedef struct
{
  ChaosActKind kind;
  guint which;
} ChaosAct;

typedef struct
{
  ChaosHow how;
  guint parent;          /* of a fork */
  gboolean has_job;      /* FALSE: a template and nothing else */
  gboolean is_async;
  gboolean has_done;
  gboolean sends_fd;
  guint start_size;      /* bytes of a start argument; 0: none */
  guint max_calls;       /* 0: as it comes */
  guint max_message;     /* bytes; 0: as it comes */
  guint timeout_ms;      /* 0: none */
  guint stderr_mode;
  ChaosAct on_event;     /* the event number on_event_n, from 1 */
  guint on_event_n;
  ChaosAct on_error;
  ChaosAct on_exited;
  ChaosAct on_destroyed;
} ChaosPlanMember;

typedef enum { CHAOS_PROGRESS_NOT, CHAOS_PROGRESS_ALL, CHAOS_PROGRESS_LATEST } ChaosProgress;

typedef struct
{
  guint member;
  ChaosKind kind;
  guint n;
  guint size;            /* bytes that are sent back, in the result or in each event */
  guint args_size;       /* bytes that are sent */
  guint n_fds;
  guint timeout_ms;      /* 0: none */
  guint execution_timeout_ms; /* 0: none */
  gboolean by_other_name;     /* another function of the worker, which does the same */
  ChaosWay way;
  ChaosProgress progress;
  gboolean has_cancellable;
  gboolean is_cancelled_before;
  gboolean is_inside;    /* made by a callback, not by a step */
  gboolean is_sync;
  gboolean is_cancelled_meanwhile; /* a blocking call: by another thread, once it runs */
  gboolean is_killed_meanwhile;
  ChaosAct on_settled;
} ChaosPlanCall;

typedef enum
{
  CHAOS_STEP_MAKE,       /* a process */
  CHAOS_STEP_JOB,        /* its proxy */
  CHAOS_STEP_CALL,
  CHAOS_STEP_CANCEL,
  CHAOS_STEP_CANCEL_THREAD,
  CHAOS_STEP_RELEASE,    /* a call's gate */
  CHAOS_STEP_WAIT,       /* until a call was settled */
  CHAOS_STEP_WAIT_ALL,   /* until all calls of a member were */
  CHAOS_STEP_TURNS,      /* leaves the others that many turns */
  CHAOS_STEP_KILL,       /* SIGKILL to the worker, from outside */
  CHAOS_STEP_KILL_HOST,  /* to the process that the program started */
  CHAOS_STEP_KILL_PROCESS, /* by afrpc_process_kill () */
  CHAOS_STEP_KILL_PROXY, /* by afrpc_proxy_kill () */
  CHAOS_STEP_STOP,
  CHAOS_STEP_CONT,
  CHAOS_STEP_CLOSE,
  CHAOS_STEP_CLOSE_ASYNC,
  CHAOS_STEP_CLOSE_SYNC,
  CHAOS_STEP_DROP,
  CHAOS_STEP_DROP_THREAD,
  CHAOS_STEP_DROP_PROCESS,
  CHAOS_STEP_DAWDLE,     /* does not run the main loop for so many ms */
  CHAOS_N_STEPS
} ChaosStepKind;

typedef struct
{
  ChaosStepKind kind;
  guint which;           /* member or call, or a number */
  gboolean goes_on;      /* the next step follows at once */
} ChaosStep;

typedef struct
{
  ChaosPlanMember members[CHAOS_MEMBERS_MAX];
  guint n_members;
  ChaosPlanCall calls[CHAOS_CALLS_MAX];
  guint n_calls;
  GArray *steps;         /* (element-type ChaosStep) */
} ChaosPlan;

#define CHAOS_CALM_ACTOR G_MAXUINT64 /* one that starts the default templates, and does nothing else */

ChaosPlan *chaos_plan_new   (guint64          seed,
                             guint64          actor,
                             ChaosFeatures    features);
void       chaos_plan_free  (ChaosPlan       *self);
void       chaos_plan_print (const ChaosPlan *self);

extern const char *const chaos_step_names[CHAOS_N_STEPS];
extern const char *const chaos_kind_names[CHAOS_N_KINDS];
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChaosPlan, chaos_plan_free)
