/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The actors at work. A stage is one main context with its actors; an actor carries its plan out, step by step, beside
 * the others; a member is one of its processes, with the proxy that it may have; a call is a call. */
#pragma once

#include "chaos-api.h"
#include "chaos-plan.h"

typedef struct _ChaosActor ChaosActor;
typedef struct _ChaosMember ChaosMember;
typedef struct _ChaosStage ChaosStage;

/* What the program was told. */
typedef struct
{
  guint64 seed;
  ChaosFeatures features;
  const char *without;  /* (nullable) */
  guint n_contexts;
  gboolean keeps_going; /* counts failures, rather than ending at the first */
  gboolean verbose;
  const char *module;   /* path of the worker's module */
  const char *host;     /* path of the host, for commands */
  ChaosLedger *ledger;
  char *ledger_path;
} ChaosSettings;

extern ChaosSettings chaos;

static inline gboolean
chaos_looks_at (ChaosFeature feature)
{
  return (chaos.features & G_GUINT64_CONSTANT (1) << feature) != 0;
}

typedef struct
{
  ChaosActor *actor;
  const ChaosPlanCall *plan;
  guint index;           /* in the plan */
  guint id;              /* in the ledger */
  ChaosMember *member;
  ChaosHandle *handle;   /* while it is pending */
  GCancellable *cancellable;

  gboolean is_made;
  gboolean is_skipped;   /* there was nothing to call */
  gboolean is_settled;
  gboolean is_cancel_requested;
  gboolean is_cancelled_before; /* it was made */
  gboolean was_closed;   /* when it was made */
  gboolean was_made_after; /* after 'destroyed' */
  gboolean must_not_start; /* it was settled while its worker was busy with another for certain */
  guint made_as;         /* which of the member's calls this is, in the order in which they were made */
  guint n_pending_then;  /* calls of the member that were pending when it was made */
  guint timeout_ms;
  ChaosProgress progress;

  guint n_events;        /* that came */
  guint n_progress;
  ChaosCause cause;
  gboolean has_word;     /* of whether it had started */
  AfrpcStarted started;
} ChaosCall;

struct _ChaosMember
{
  ChaosActor *actor;
  const ChaosPlanMember *plan;
  guint index;
  guint seat;
  guint n_start_fds;
  AfrpcProcess *process; /* (nullable) */
  AfrpcProxy *proxy;     /* (nullable) */
  int n_objects;         /* of these, that are not finalised yet */

  gboolean is_made;
  gboolean has_job;
  gboolean is_closed;    /* closed or killed: calls that are made from now on fail */
  gboolean is_dropped;
  gboolean is_process_dropped;
  gboolean may_die;      /* something was done that can end it at any time */
  gboolean loses;        /* results of its are thrown away */
  gboolean is_stopped;

  guint n_pending;
  guint n_made;          /* calls */
  guint n_events;
  guint last_number;     /* of what arrived by the main loop */
  guint last_sync_number;
  GByteArray *numbers;   /* 1 for each that arrived */
  gboolean has_error;
  gboolean had_ended_at_job; /* its end was not told yet */
  gboolean may_have_failed_at_job; /* it was killed before: then its proxy may be over before it is */
  gboolean had_job_at_exit; /* otherwise whoever is given a job after its end is told of it again */
  AfrpcExit *exit;
  gboolean is_destroyed;
  guint n_closing;       /* close_async () without an answer */
};

struct _ChaosActor
{
  ChaosStage *stage;
  guint64 number;
  guint slot;            /* in the ledger */
  ChaosPlan *plan;
  ChaosMember members[CHAOS_MEMBERS_MAX];
  ChaosCall calls[CHAOS_CALLS_MAX];
  guint next_step;
  guint n_turns;         /* to leave to others */
  guint n_frames;        /* of its callbacks, that run a main loop */
  gboolean is_ending;    /* the steps are done */
  gboolean has_let_go;   /* of its objects, after that */
};

struct _ChaosStage
{
  GMainContext *context;
  GSource *source;
  ChaosActor *actors[CHAOS_ACTORS_MAX]; /* of this round; NULL once finished */
  guint first_slot;
  guint n_actors;
  guint n_finished;
  guint depth;           /* of main loops within each other */
};

/* chaos-run.c */
void        chaos_stage_init      (ChaosStage  *self,
                                   GMainContext *context,
                                   guint         first_slot);
void        chaos_stage_clear     (ChaosStage   *self);
void        chaos_stage_run       (ChaosStage   *self,
                                   guint64       first_actor,
                                   guint         n_actors,
                                   guint         n_at_once);
void        chaos_actor_act       (ChaosActor   *self,
                                   const ChaosAct *act);
void        chaos_actor_end_waits (ChaosActor   *self);

/* chaos-call.c */
void        chaos_call_make       (ChaosCall    *self);
void        chaos_call_cancel     (ChaosCall    *self,
                                   gboolean      by_thread);
void        chaos_call_release    (ChaosCall    *self);
gboolean    chaos_call_is_over    (ChaosCall    *self);
void        chaos_call_check      (ChaosCall    *self,
                                   ChaosOutcome *outcome);

/* chaos-ledger-check.c */
void        chaos_actor_check     (ChaosActor   *self);

/* chaos-member.c */
void        chaos_member_make     (ChaosMember  *self);
void        chaos_member_give_job (ChaosMember  *self);
void        chaos_member_close    (ChaosMember  *self);
void        chaos_member_close_async (ChaosMember *self);
void        chaos_member_close_sync (ChaosMember *self);
void        chaos_member_drop     (ChaosMember  *self,
                                   gboolean      by_thread);
void        chaos_member_drop_process (ChaosMember *self);
void        chaos_member_kill_process (ChaosMember *self);
void        chaos_member_kill_proxy (ChaosMember *self);
void        chaos_member_kill     (ChaosMember  *self);
void        chaos_member_kill_host (ChaosMember *self);
void        chaos_member_stop     (ChaosMember  *self);
void        chaos_member_cont     (ChaosMember  *self);
void        chaos_member_mark_mortal (ChaosMember *self);
gboolean    chaos_member_is_over  (ChaosMember  *self);
void        chaos_member_let_go   (ChaosMember  *self);
gboolean    chaos_member_is_far   (ChaosMember  *self);
void        chaos_member_note     (ChaosMember  *self,
                                   guint         number,
                                   gboolean      is_sync,
                                   const char   *what);

/* chaos-left.c */
gboolean    chaos_signal          (int           pid,
                                   int           signum);
gboolean    chaos_is_child        (int           pid);
char        chaos_process_state   (int           pid);
guint       chaos_count_fds       (GString      *names);
guint       chaos_count_children  (int           parent,
                                   GString      *names);
gsize       chaos_heap            (void);

/* chaos-outside.c */
gboolean    chaos_is_outside      (void);
int         chaos_outside         (char        **argv);
void        chaos_inside_begin    (void);
char       *chaos_ask_orphans     (void);

/* chaos-thread.c */
typedef struct _ChaosMailbox ChaosMailbox;

ChaosMailbox *chaos_mailbox_new   (void);
void        chaos_mailbox_free    (ChaosMailbox *self);
void        chaos_mailbox_push    (ChaosMailbox *self,
                                   gpointer      letter);
gpointer    chaos_mailbox_pop     (ChaosMailbox *self);
void        chaos_thread_start    (void);
void        chaos_thread_do       (void        (*function) (gpointer data),
                                   gpointer      data);
void        chaos_thread_finish   (void);
void        chaos_watchdog_start  (void        (*tell) (void));
void        chaos_progress        (void);

/* test-chaos.c */
void        chaos_fail            (ChaosActor   *actor,  /* (nullable) */
                                   const char   *format,
                                   ...) G_GNUC_PRINTF (2, 3);
void        chaos_trace           (ChaosActor   *actor,
                                   const char   *format,
                                   ...) G_GNUC_PRINTF (2, 3);
