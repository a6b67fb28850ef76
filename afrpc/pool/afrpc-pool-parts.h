/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a pool consists of: jobs, which are calls as the pool knows them, members, which are workers, templates, which these
 * are made from, the staff, which says how many there are, and the desk, where jobs get members. It outlives its object:
 * what that leaves behind ends in the main context. For the files of this folder; all but what says otherwise is for the
 * thread of the context. */
#pragma once

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"
#include "afrpc-pool.h"
#include "afrpc-pool-worker.h"
#include "afrpc-proxy-private.h"
#include "peer/afrpc-deadlines.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-weak.h"
#include "pool/afrpc-pool-bench.h"
#include "pool/afrpc-pool-figures.h"
#include "pool/afrpc-pool-jitter.h"
#include "pool/afrpc-pool-lanes.h"
#include "pool/afrpc-pool-links.h"
#include "pool/afrpc-pool-list.h"
#include "pool/afrpc-pool-queue.h"

G_BEGIN_DECLS

typedef struct _AfrpcPoolMember AfrpcPoolMember;
typedef struct _AfrpcPoolJob AfrpcPoolJob;
typedef struct _AfrpcPoolTie AfrpcPoolTie;
typedef struct _AfrpcPoolBond AfrpcPoolBond;
typedef struct _AfrpcPoolTemplate AfrpcPoolTemplate;
typedef struct _AfrpcPoolLook AfrpcPoolLook;
typedef struct _AfrpcPoolSetting AfrpcPoolSetting;
typedef struct _AfrpcPoolRound AfrpcPoolRound;
typedef struct _AfrpcPoolMap AfrpcPoolMap;
typedef struct _AfrpcPoolChunk AfrpcPoolChunk;

/* Jobs */

struct _AfrpcPoolJob
{
  AfrpcPending pending;    /* for the peer of the member that it is given to; or for the anchor, once it has failed */
  guint ref_count;
  guint64 id;              /* of all jobs of the pool */
  AfrpcPoolPlace place;    /* in a queue */
  AfrpcPoolCore *core;     /* not owned: as long as there is the call there is the pool */
  AfrpcCall *call;         /* (nullable) (owned): NULL once it has its outcome, or another job has it */
  GVariant *args;          /* (owned) */
  AfrpcPoolMember *member; /* (nullable) (owned): who has it */
  AfrpcPoolTie *tie;       /* (nullable): of its affinity key, which counts it */
  gint64 since;            /* when it began to wait, or was given to its member: monotonic time in microseconds */
  gint64 deadline;         /* of the whole call, monotonic time in microseconds; 0: none */
  guint n_deaths;          /* of workers that had begun it, and may have died of it */
  AfrpcStarted begun;      /* whether any that is gone had begun it, whatever that died of */
  gboolean was_wanted_back; /* by the pool, from the member */
  gboolean is_parcel;      /* its member has many calls in it, and may have to give some back */

  GVariant *value;         /* (nullable): what it has got, until that is passed on */
  GUnixFDList *fds;        /* (nullable) */
  GError *error;           /* (nullable) */
  AfrpcPoolMap *map;       /* (nullable) (not owned): whose call it is */
  AfrpcPoolChunk *chunk;   /* (nullable): that it was given with */
  AfrpcPoolJob *next_spare; /* (nullable): or the next that is decided, and has not been acted on */
};

AfrpcPoolJob *afrpc_pool_job_new       (AfrpcPoolCore    *core,
                                        AfrpcCall        *call,
                                        GVariant         *args);
AfrpcPoolJob *afrpc_pool_job_ref       (AfrpcPoolJob     *self);
void          afrpc_pool_job_unref     (AfrpcPoolJob     *self);
void          afrpc_pool_job_free_spare (AfrpcPoolCore   *core);
void          afrpc_pool_job_fail      (AfrpcPoolJob     *self,
                                        GError           *error);
void          afrpc_pool_job_act       (AfrpcPoolJob     *self);
void          afrpc_pool_job_finish    (AfrpcPoolJob     *self);
gboolean      afrpc_pool_job_take_back (AfrpcPoolJob     *self);
void          afrpc_pool_job_leave_dead (AfrpcPoolJob    *self);
void          afrpc_pool_job_abandon   (AfrpcPoolJob     *self);
AfrpcPoolJob *afrpc_pool_job_renew     (AfrpcPoolJob     *old);
void          afrpc_pool_job_leave_member (AfrpcPoolJob  *self);

/* What it has failed with */
gboolean      afrpc_pool_is_by_end     (const GError     *error,
                                        AfrpcPeer        *peer);
gboolean      afrpc_pool_job_is_by_end (AfrpcPoolJob     *self);
gboolean      afrpc_pool_job_take_failure (AfrpcPoolJob  *self);
AfrpcStarted  afrpc_pool_job_get_begun (const AfrpcPoolJob *self);
void          afrpc_pool_job_tell_begun (AfrpcPoolJob    *self);
AfrpcCallOutcome afrpc_pool_job_classify_failure (const AfrpcPoolJob *self);
void          afrpc_pool_job_explain_failure (AfrpcPoolJob *self,
                                              AfrpcCall    *call);

/* Members */

/* A call that was given up, cancelled or for a time limit, and that its worker runs on, or has to answer */
typedef struct
{
  guint64 serial;
  AfrpcPoolTie *tie;        /* (nullable): of its affinity key, which counts it */
  AfrpcStarted started;     /* whether the worker had begun it when it was given up */
  gint64 since;             /* when it was asked to stop: monotonic time in microseconds */
  gboolean has_moved;       /* what waited behind it was given to others */
  gboolean is_due;          /* its time was over when it was looked at before */
} AfrpcPoolRunaway;

typedef enum
{
  AFRPC_POOL_MEMBER_STARTING, /* there is going to be a process, or it is being prepared */
  AFRPC_POOL_MEMBER_IDLE,     /* it is ready, and has nothing to do */
  AFRPC_POOL_MEMBER_BUSY,     /* it has calls */
  AFRPC_POOL_MEMBER_RETIRING, /* it finishes those that it has, and gets no more */
  AFRPC_POOL_MEMBER_ENDING,   /* it has none, and ends */
  AFRPC_POOL_MEMBER_GONE,     /* it has ended */
} AfrpcPoolMemberState;

struct _AfrpcPoolMember
{
  guint ref_count;
  AfrpcPoolCore *core;        /* (nullable) (not owned): NULL once the pool has nothing to do with it any more */
  AfrpcProxy *proxy;          /* (nullable) (owned): until it is gone */
  AfrpcPeer *peer;            /* (owned): the proxy's */
  AfrpcProcess *process;      /* (owned): likewise; calls that it has do without a reference */
  AfrpcPoolTemplate *template; /* (owned): what it was made from */
  guint n_resets;             /* that the template had had then */
  guint load;                 /* how many calls it may have */
  AfrpcPoolWorker *worker;    /* (nullable) (owned): as it is shown, until it is gone */
  AfrpcPoolMemberState state;
  AfrpcPoolSeat seat;         /* on the bench, while it has room */
  GQueue given;               /* (element-type AfrpcPoolJob): those that it has, the oldest first */
  AfrpcPoolBond *bond;        /* (nullable) (owned): of the keys that lead to it */
  GList serve;                /* its place among those to be served */
  gboolean is_to_serve;       /* it is there */
  GQueue settings;            /* that it has, and has not answered: it gets nothing else meanwhile */
  guint n_settings_answered;  /* of these, those whose answer was not taken yet */
  guint n_light;              /* of its jobs, those that a chunk has besides one: they are no load */
  gint64 chunk_ended_at;      /* when it had finished one last: monotonic time in microseconds */
  GError *failure;            /* (nullable): what one failed with, before the member was ready */
  guint n_packing;            /* calls that are being given to it: a serialiser may be at work */
  AfrpcPoolJob *alone;        /* (nullable) (not owned): the one that it has by itself */
  gboolean is_aside;          /* it is one more than there may be, for those that have to be alone */
  gboolean is_asked_to_end;   /* by the pool */
  gboolean is_leaving;        /* it gets no more calls, which it may not have been told yet */
  gboolean is_failing;        /* it ends before it was ready */
  gboolean has_given_back;    /* it has ended, and those of its calls that it had not begun are not its any more */
  gboolean has_served;        /* a call has had its outcome from it, or was begun when it died */
  guint n_calls;              /* that it has been given, and has not given back */
  gboolean is_full;           /* these are as many as it may have: it gets no more, unless it gives one back */
  guint32 spread;             /* random: how much earlier than others it is renewed */
  guint64 seen_id;            /* the id of what it ran, when it was looked for who waits behind that */
  gint64 seen_since;          /* since when it was seen to: monotonic time in microseconds */
  guint64 long_id;            /* that of what has run for so long that it gets nothing behind it; 0: there is none */
  guint64 slow_id;            /* that of what was so long, if it has done nothing since: it gets two at once; or 0 */
  guint64 n_parts_seen;       /* how many it had begun then, if that is a parcel */
  guint n_idle_ticks;         /* how often the clock has found it idle */
  GArray *runaways;           /* (nullable) (element-type AfrpcPoolRunaway) */
  AfrpcPoolRunaway stale;     /* one that a sync worker has not to begin any more, and has to say so; serial 0: there is none */
  guint64 last_stale;         /* that of the last such one */
  guint64 still_serial;       /* that of one that it should have begun: until it says so, it gets nothing; or 0 */
  gint64 ready_at;            /* monotonic time in microseconds; 0: it is not ready yet */
  guint64 id;                 /* of all members of the pool */
  guint64 base;               /* bytes of memory for itself that it began with, or AFRPC_POOL_BASE_UNKNOWN */
  guint n_calls_weighed;      /* of its calls, those after which its memory was looked at */
  gboolean is_being_weighed;  /* it is ready, and gets no calls until it is known what it begins with */
  gboolean was_weighed;       /* it has waited for that, and does not again */
  gboolean is_haunted;        /* one that it had by itself was given up, and may run on: it gets nothing else */
  gboolean was_stopped;       /* the pool has killed it because of a runaway */
  gboolean was_still;         /* likewise, because it began nothing */
  gint64 ending_since;        /* when it had nothing to do any more: monotonic time in microseconds */
  gboolean is_overdue;        /* its time to end was over when it was looked at before */
  gboolean has_overstayed;    /* the pool has killed it because of that */
  gint64 current_since;       /* since when the oldest of those that it has is that */
  int pid;                    /* as it was seen while it was being started */
};

AfrpcPoolMember *afrpc_pool_member_new (AfrpcPoolCore    *core,
                                        AfrpcPoolTemplate *template,
                                        AfrpcProcess     *process);
void          afrpc_pool_member_free   (AfrpcPoolMember  *self);
gboolean      afrpc_pool_member_look   (AfrpcPoolMember  *self);
AfrpcPoolJob *afrpc_pool_member_get_running (AfrpcPoolMember *self);
void          afrpc_pool_member_relieve (AfrpcPoolMember *self);
gboolean      afrpc_pool_member_is_live (const AfrpcPoolMember *self);
void          afrpc_pool_member_set_load (AfrpcPoolMember *self,
                                          guint            load);
void          afrpc_pool_member_set_alone (AfrpcPoolMember *self,
                                           AfrpcPoolJob    *job);
void          afrpc_pool_member_set_aside (AfrpcPoolMember *self);
void          afrpc_pool_member_end    (AfrpcPoolMember  *self);
void          afrpc_pool_member_leave  (AfrpcPoolMember  *self);
gboolean      afrpc_pool_member_forget (AfrpcPoolMember  *self);

static inline AfrpcPoolMember *
afrpc_pool_member_ref (AfrpcPoolMember *self)
{
  self->ref_count++;

  return self;
}

static inline void
afrpc_pool_member_unref (AfrpcPoolMember *self)
{
  if (--self->ref_count == 0)
    afrpc_pool_member_free (self);
}

/* It has been given another call, or has given one back. */
static inline void
afrpc_pool_member_count_call (AfrpcPoolMember *self,
                              gint             change,
                              guint            max_calls)
{
  self->n_calls += change;
  /* Those that have begun together do not end together. */
  self->is_full = max_calls > 0 && self->n_calls >= afrpc_pool_jitter_limit (max_calls, self->spread);
}

/* A member as it is shown. */
struct _AfrpcPoolWorker
{
  GObject parent_instance;

  AfrpcPoolMember *member;    /* (nullable) (not owned): has this one until it leaves the pool */
  AfrpcProcess *process;      /* (nullable) (owned): NULL only if the program has made this one */
  gboolean is_listed;         /* in the list, or was */
  AfrpcPoolWorkerState state; /* once it has left */
  guint n_calls;              /* likewise */
  struct
  {
    int pid;
    AfrpcPoolWorkerState state;
    guint64 current;          /* the id of the current call's job; 0: there is none */
    gint64 since;
    guint n_calls;
  } told;
};

AfrpcPoolWorker *afrpc_pool_worker_new (AfrpcPoolMember  *member,
                                        AfrpcProcess     *process);
void          afrpc_pool_worker_leave  (AfrpcPoolWorker  *self);
gboolean      afrpc_pool_worker_tell   (AfrpcPoolWorker  *self);

/* The pool */

#define AFRPC_POOL_WORKERS_MAX 65536u
#define AFRPC_POOL_LOAD_MAX 65536u
#define AFRPC_POOL_BASE_UNKNOWN G_MAXUINT64
#define AFRPC_POOL_GRACE_UNSET G_MAXUINT
#define AFRPC_POOL_GRACE_MS_MAX (AFRPC_POOL_GRACE_UNSET - 1)
#define AFRPC_POOL_GRACE_MS_DEFAULT 5000u /* of sync workers */

typedef enum
{
  AFRPC_POOL_OPEN,
  AFRPC_POOL_CLOSING, /* gets no more calls, and ends once it has none */
  AFRPC_POOL_KILLED,  /* likewise, and those that it has fail */
  AFRPC_POOL_OVER,    /* has ended, which may have to be told yet */
} AfrpcPoolState;

typedef struct
{
  char *function;
  char *init;               /* (nullable) */
  char *done;               /* (nullable) */
  AfrpcBackend backend;
  AfrpcSerialiser *serialiser; /* (nullable) */
  guint64 max_message_size;
  gboolean forward_log;
  guint max_workers;
  guint idle_workers;
  guint load;
  guint start_delay_ms;
  guint stop_delay_ms;
  guint max_repeats;
  guint max_failures;
  guint max_calls;
  guint max_age_s;
  guint64 max_memory_growth;
  guint cancel_grace_ms;    /* AFRPC_POOL_GRACE_UNSET: as the backend has it */
  guint end_grace_ms;
  guint call_timeout_ms;
  guint max_calls_queued;
  guint64 max_bytes_queued;
} AfrpcPoolConfig;

/* What was told of what can be seen. */
#define AFRPC_POOL_N_COUNTS 6u

typedef struct
{
  guint64 n_acts;           /* of the pool then */
  guint counts[AFRPC_POOL_N_COUNTS];
} AfrpcPoolView;

guint64       afrpc_pool_member_get_kept_max (const AfrpcPoolConfig *config);

struct _AfrpcPoolCore
{
  gatomicrefcount ref_count;
  AfrpcWeak pool;
  AfrpcPool *held;          /* (nullable) (owned): from the close to the end */
  AfrpcPeer *anchor;        /* without a process: knows the threads, and tells of calls that no member has */
  AfrpcPoolConfig config;
  AfrpcPoolState state;
  guint n_blocked;          /* how often the thread is blocked: nobody is told anything meanwhile */
  AfrpcPoolJob *spare;      /* (nullable): jobs to be used again, by next_spare */
  guint n_spare;
  GPtrArray *spent;         /* (element-type AfrpcPoolJob) (owned): of who blocks, and replaced by others */
  guint64 n_acts;           /* rises with all that something may follow from, or that can be seen */

  AfrpcPoolQueue queue;     /* jobs without a key that any member may get */
  AfrpcPoolQueue lone;      /* those that any may get who has nothing */
  AfrpcPoolLanes tied;      /* of ties: those whose jobs any member may get */
  AfrpcPoolLanes lone_tied; /* and those whose first job any may get who has nothing */
  GQueue to_serve;          /* (element-type AfrpcPoolMember): those that may have room for who waits for them */
  guint n_alone;            /* how many members have one of these, but for the next */
  AfrpcPoolMember *aside;   /* (nullable) (not owned): gets nothing but these, one after the other; it is not counted */
  guint n_asides;           /* it, and those before it that still finish what they have */
  gboolean aside_has_room;
  gint64 aside_at;          /* when to look whether they need one, or it is not needed any more; 0: nobody waits for that */
  GError *doom;             /* (nullable) (owned): why all that wait fail, while some of them are left */
  guint64 last_job;         /* its id */
  guint64 last_number;      /* of what has come last, or of what has had its turn, whichever is more */
  guint n_jobs;             /* that have no outcome */
  AfrpcDeadlines deadlines; /* of jobs in queues */
  GHashTable *limited;      /* (element-type guint64 AfrpcPoolJob): jobs with a time limit by their id; not owned */
  GHashTable *ties;         /* (element-type utf8 AfrpcPoolTie) */
  GQueue loose_ties;        /* (element-type AfrpcPoolTie): those that no job has, the oldest first */
  GQueue room_tasks;        /* (element-type GTask): wait for room in the queue */
  GQueue settings;          /* (element-type AfrpcPoolSetting) (owned): what each new worker is called with first, in order */
  GQueue rounds;            /* (element-type AfrpcPoolRound) (owned): those whose tasks have not been told */

  GQueue maps;              /* (element-type AfrpcPoolMap): all */
  GQueue stalled;           /* (element-type AfrpcPoolMap): those that wait for room in the queue, the oldest first */
  GQueue hungry;            /* (element-type AfrpcPoolMap) (owned): those that may make more calls than before */
  GQueue changed;           /* (element-type AfrpcPoolMap) (owned): those that may have something to tell who waits */
  guint n_pulling;          /* functions of maps that are making inputs, within each other */
  AfrpcPoolMap *awaited;    /* (nullable) (not owned): by who blocks within awaited_within of these */
  guint awaited_within;
  AfrpcPoolJob *decided;    /* (nullable) (owned): jobs of maps that have their outcome, by next_spare, the oldest first */
  AfrpcPoolJob *last_decided;

  GPtrArray *members;       /* (element-type AfrpcPoolMember) (owned) */
  guint n_members[AFRPC_POOL_MEMBER_GONE + 1]; /* in each state */
  AfrpcPoolBench bench;     /* of them, those that can get another call */
  AfrpcPoolMember *relieved; /* (nullable) (not owned): has fewer calls than its place on the bench says */
  guint n_waiting;          /* jobs that wait and have a key, or wait for one that has nothing */
  guint64 waiting_size;     /* bytes of these */
  guint n_given;            /* jobs that members have */
  guint n_having;           /* members that have any of these */
  guint n_parcels;          /* of these, those that consist of many */
  gint64 runaways_at;       /* when to look at those that were given up, and are not answered; 0: there are none */
  gint64 ending_at;         /* when to look at those that are to end; 0: there are none */
  gint64 age_at;            /* when somebody is too old; 0: never */
  gint64 weigh_at;          /* when to look who has taken too much memory; 0: there is nobody to look at */
  gint64 weigh_not_before;  /* looks have taken their share of the time until then */
  gboolean is_weighing;     /* a thread looks */
  gboolean cannot_weigh;    /* nobody can */
  AfrpcPoolLook *look;      /* (nullable) (owned) atomic: what the thread has seen */
  guint next_to_weigh;      /* among the members */
  guint64 last_id;          /* of a member */
  gint64 watch_at;          /* when to look who waits behind something long; 0: nobody does */
  gboolean has_unbegun;     /* some member may not have begun what it was given last */
  GPtrArray *templates;     /* (element-type AfrpcPoolTemplate) (owned): the first one is the property; none at the end */
  guint load_max;           /* the highest of their loads */
  guint64 starting_room;    /* calls that those may have that are starting */
  guint n_to_replace;       /* workers that were renewed: another one in their place is not waited with */
  gint64 last_start;        /* when a worker was started: monotonic time in microseconds */
  gint64 busy_since;        /* when a job had to wait, or a worker was started for one; 0: none waits */
  GPtrArray *held_errors;   /* (element-type GError) (owned): of a pool that was killed, to be told when all calls are */
  gboolean has_told_end;
  gboolean starts_later;    /* so many were started in this turn that the timer goes on with it */
  gboolean is_making;       /* a member is being made, and not counted yet */
  gboolean has_to_notify;   /* of the failure */
  GError *failure;          /* (nullable): why no more workers are started */

  gint64 now;               /* as far as it is known: it is read when a call is made, and once a turn */
  gint64 made_at;
  AfrpcPoolFigures figures;
  AfrpcPoolView view;
  AfrpcPoolList *list;      /* (nullable) (owned): once it was asked for */

  GSource *timer;
  gboolean is_dropped;      /* the pool has gone, not the context */
  gint64 timer_at;          /* when there is something to do, or AFRPC_DEADLINES_NEVER */
  gint64 tick_at;           /* when to look who is idle; 0: nobody is */
};

#define AFRPC_POOL_AT_ONCE 1 /* a time for afrpc_pool_core_want_at (), at which 0 is never */

AfrpcPoolCore *afrpc_pool_core_new     (AfrpcPool        *pool);
AfrpcPoolCore *afrpc_pool_core_ref     (AfrpcPoolCore    *self);
void          afrpc_pool_core_unref    (AfrpcPoolCore    *self);
void          afrpc_pool_core_want_timer (AfrpcPoolCore  *self,
                                          gint64          at);
void          afrpc_pool_core_want_at  (AfrpcPoolCore    *self,
                                        gint64           *time,
                                        gint64            at);
void          afrpc_pool_core_work     (AfrpcPoolCore    *self);
void          afrpc_pool_core_catch_up (AfrpcPoolCore    *self);
void          afrpc_pool_core_close    (AfrpcPoolCore    *self);
void          afrpc_pool_core_kill     (AfrpcPoolCore    *self);
gboolean      afrpc_pool_core_is_left  (AfrpcPoolCore    *self);
void          afrpc_pool_core_drop     (AfrpcPoolCore    *self);
void          afrpc_pool_core_clear_spent (AfrpcPoolCore *self);
GError       *afrpc_pool_core_new_closed_error (AfrpcPoolCore *self);
GError       *afrpc_pool_core_new_killed_error (const AfrpcPoolCore *self);
void          afrpc_pool_core_wind_up  (AfrpcPoolCore    *self);
void          afrpc_pool_core_drop_templates (AfrpcPoolCore *self);
gboolean      afrpc_pool_core_tells_nobody (AfrpcPoolCore *self);
void          afrpc_pool_core_forget   (AfrpcPoolCore    *self);

static inline void
afrpc_pool_core_read_clock (AfrpcPoolCore *self)
{
  self->now = g_get_monotonic_time ();
}

/* Whether some of it may have to be given back. */
static inline void
afrpc_pool_job_set_parcel (AfrpcPoolJob *self,
                           gboolean      is_parcel)
{
  self->core->n_parcels += is_parcel - self->is_parcel;
  self->is_parcel = is_parcel;
}

/* Templates: what members are made from */
struct _AfrpcPoolTemplate
{
  guint ref_count;
  AfrpcProcess *added;      /* (nullable) (owned): what it is known as, until it is removed */
  AfrpcProcess *process;    /* (nullable) (owned): what members are forked from: that, or another one if it has died */
  gulong exited_id;
  gboolean has_died;        /* it is made anew when it is needed */
  guint64 generation;       /* of the process */
  guint n_resets;           /* members of before one say nothing of those behind it */
  guint64 base;             /* bytes that those begin with that are made from it, or AFRPC_POOL_BASE_UNKNOWN */
  guint max_workers;        /* of its own, or 0 */
  guint load;               /* likewise */
  guint weight;
  guint n_live;             /* members that have calls, or are going to get some */
  guint n_starting;         /* of these, and of those that are more than there may be */
  guint n_ready;            /* likewise */
  guint n_asides;           /* those that are more than there may be */
  guint n_failing;          /* members of which it is not told yet that they could not be started */
  guint n_failures;         /* times in a row that members have ended without having served; those that began together are one */
  guint64 last_before;      /* the id of the last member that was made before the last of these; 0: there is none */
  gint64 back_off_us;       /* after each failure, until there are more in a row */
  gint64 not_before;        /* no member is started earlier: monotonic time in microseconds */
  gboolean has_worked;      /* some member has served */
  gboolean is_vain;         /* the last that has failed would do so again */
  gboolean is_hopeless;     /* no more members are started */
  GError *failure;          /* (nullable): why it does not count, until a member serves */
};

AfrpcPoolTemplate *afrpc_pool_template_add (AfrpcPoolCore     *core,
                                            AfrpcProcess      *process);
void          afrpc_pool_template_unref (AfrpcPoolTemplate    *self);
void          afrpc_pool_template_remove (AfrpcPoolCore       *core,
                                          AfrpcPoolTemplate   *self);
AfrpcPoolTemplate *afrpc_pool_template_find (const AfrpcPoolCore *core,
                                             const AfrpcProcess  *process);
void          afrpc_pool_template_reset (AfrpcPoolTemplate    *self,
                                         AfrpcProcess         *process);
AfrpcPoolMember *afrpc_pool_template_make_member (AfrpcPoolTemplate *self,
                                                  AfrpcPoolCore     *core);
guint         afrpc_pool_template_get_load (const AfrpcPoolTemplate *self,
                                            const AfrpcPoolCore     *core);
gboolean      afrpc_pool_template_has_too_many (const AfrpcPoolTemplate *self);
gboolean      afrpc_pool_template_any_has_room (const AfrpcPoolCore *core);
AfrpcPoolTemplate *afrpc_pool_template_choose (const AfrpcPoolCore *core,
                                               gint64               now,
                                               gboolean             for_others,
                                               gint64              *at);
AfrpcPoolTemplate *afrpc_pool_template_choose_aside (const AfrpcPoolCore *core,
                                                     gint64               now);
void          afrpc_pool_template_note_failure (AfrpcPoolTemplate     *self,
                                                const AfrpcPoolMember *member,
                                                const GError          *error);
void          afrpc_pool_template_note_service (AfrpcPoolTemplate     *self,
                                                const AfrpcPoolMember *member);
void          afrpc_pool_template_note_work (AfrpcPoolTemplate     *self,
                                             const AfrpcPoolMember *member);
const GError *afrpc_pool_template_get_common_failure (const AfrpcPoolCore *core);

/* Runaways: calls that were given up and run on in their worker */
guint         afrpc_pool_runaway_get_grace_ms (const AfrpcPoolConfig *config);
void          afrpc_pool_runaway_note  (AfrpcPoolJob     *job);
void          afrpc_pool_runaway_note_stale (AfrpcPoolMember *member,
                                             guint64          serial);
void          afrpc_pool_runaway_look  (AfrpcPoolCore    *core,
                                        gint64            now);
void          afrpc_pool_runaway_look_soon (AfrpcPoolCore *core);
#define AFRPC_POOL_STOPPED_FOR_ANOTHER "another call did not stop when it was given up: "

gboolean      afrpc_pool_runaway_is_there (AfrpcPoolMember *member);
void          afrpc_pool_runaway_forget (AfrpcPoolCore    *core,
                                         AfrpcPoolMember  *member);
void          afrpc_pool_runaway_leave (AfrpcPoolMember  *member);

/* Who is to end, and takes long */
void          afrpc_pool_ending_begin  (AfrpcPoolMember  *member);
void          afrpc_pool_ending_look   (AfrpcPoolCore    *core,
                                        gint64            now);
char         *afrpc_pool_ending_describe (AfrpcPoolMember *member);
void          afrpc_pool_ending_tell   (AfrpcPoolMember  *member);

/* Who is renewed because of his age, or of the memory that he has taken */
void          afrpc_pool_age_begin     (AfrpcPoolMember  *member);
void          afrpc_pool_age_look      (AfrpcPoolCore    *core,
                                        gint64            now);
void          afrpc_pool_age_look_soon (AfrpcPoolCore    *core);
void          afrpc_pool_memory_begin  (AfrpcPoolMember  *member);
void          afrpc_pool_memory_begin_anew (AfrpcPoolCore *core);
void          afrpc_pool_memory_note   (AfrpcPoolCore    *core);
void          afrpc_pool_memory_look   (AfrpcPoolCore    *core);
void          afrpc_pool_memory_take   (AfrpcPoolCore    *core);

/* The staff: how many members there are */
void          afrpc_pool_staff_begin   (AfrpcPoolCore    *self,
                                        AfrpcProcess     *process);
void          afrpc_pool_staff_clear   (AfrpcPoolCore    *self);
void          afrpc_pool_staff_add     (AfrpcPoolCore    *self,
                                        AfrpcProcess     *process,
                                        guint             max_workers,
                                        guint             load,
                                        guint             weight);
void          afrpc_pool_staff_remove  (AfrpcPoolCore    *self,
                                        AfrpcPoolTemplate *template);
void          afrpc_pool_staff_update  (AfrpcPoolCore    *self);
void          afrpc_pool_staff_tick    (AfrpcPoolCore    *self,
                                        gint64            now);
void          afrpc_pool_staff_lost    (AfrpcPoolCore    *self,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_staff_replace (AfrpcPoolCore    *self);
void          afrpc_pool_staff_renew   (AfrpcPoolCore    *self,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_staff_refresh (AfrpcPoolCore    *self,
                                        AfrpcProcess     *process);
void          afrpc_pool_staff_adapt   (AfrpcPoolCore    *self);
gboolean      afrpc_pool_staff_may_start_aside (const AfrpcPoolCore *self);
gboolean      afrpc_pool_staff_start_aside (AfrpcPoolCore *self,
                                            gint64         now);
guint         afrpc_pool_staff_get_default_max (void);

/* Returns: how many of those that there may be are in @state */
static inline guint
afrpc_pool_staff_count_in (const AfrpcPoolCore  *self,
                           AfrpcPoolMemberState  state)
{
  return self->n_members[state] - (self->aside != NULL && self->aside->state == state);
}

/* Returns: how many of them are ready */
static inline guint
afrpc_pool_staff_count_ready (const AfrpcPoolCore *self)
{
  return afrpc_pool_staff_count_in (self, AFRPC_POOL_MEMBER_IDLE) + afrpc_pool_staff_count_in (self, AFRPC_POOL_MEMBER_BUSY);
}

/* Returns: how many of them get calls, or are going to */
static inline guint
afrpc_pool_staff_count (const AfrpcPoolCore *self)
{
  return afrpc_pool_staff_count_in (self, AFRPC_POOL_MEMBER_STARTING) + afrpc_pool_staff_count_ready (self);
}

/* Whether there may be another member. */
static inline gboolean
afrpc_pool_staff_may_grow (const AfrpcPoolCore *self)
{
  return afrpc_pool_staff_count (self) < self->config.max_workers && afrpc_pool_template_any_has_room (self);
}

/* Returns: how many jobs of those that have to be alone wait for one that has nothing: one of each key */
static inline guint
afrpc_pool_get_n_lone (const AfrpcPoolCore *self)
{
  return self->lone.n + self->lone_tied.n;
}

/* Whether jobs wait that more than one member may get. */
static inline gboolean
afrpc_pool_has_common (const AfrpcPoolCore *self)
{
  return (self->queue.n | self->tied.n | self->lone.n | self->lone_tied.n) > 0;
}

/* Returns: how many jobs wait, for whomever: so many are limited, and can be seen */
static inline guint
afrpc_pool_get_n_queued (const AfrpcPoolCore *self)
{
  return self->queue.n + self->n_waiting;
}

/* Returns: how many of these more than one member may get */
static inline guint
afrpc_pool_get_n_common (const AfrpcPoolCore *self)
{
  return self->queue.n + self->lone.n + self->tied.n_places + self->lone_tied.n_places;
}

/* The entry: which calls get in */
void          afrpc_pool_entry_enter   (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_entry_add     (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_entry_add_rest (AfrpcPoolCore   *self,
                                         AfrpcPoolJob    *job);
gboolean      afrpc_pool_entry_has_room (AfrpcPoolCore   *self,
                                         const AfrpcCallOptions *options,
                                         gsize            size);
void          afrpc_pool_entry_leave   (AfrpcPoolJob     *job);
void          afrpc_pool_room_look     (AfrpcPoolCore    *self);
void          afrpc_pool_room_tell     (AfrpcPoolCore    *self);

/* The desk: which member gets which job */
void          afrpc_pool_desk_take     (AfrpcPoolCore    *self,
                                        AfrpcPoolJob     *job);
void          afrpc_pool_desk_pump     (AfrpcPoolCore    *self);
void          afrpc_pool_desk_pump_for_map (AfrpcPoolCore *self);
void          afrpc_pool_desk_serve    (AfrpcPoolCore    *self,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_desk_serve_soon (AfrpcPoolMember *member);
void          afrpc_pool_desk_look_aside (AfrpcPoolCore  *self,
                                        gint64            now);

/* Ties: affinity keys, and whom they lead to. The jobs of a key that wait do so in a queue of its own. */
typedef enum
{
  AFRPC_POOL_TIE_AWAY, /* no job waits */
  AFRPC_POOL_TIE_LINE, /* they wait for its member, or for any if it has none */
  AFRPC_POOL_TIE_HELD, /* the first has to be alone, and none of them goes on before its member has done with others of the key */
  AFRPC_POOL_TIE_LONE, /* the first has to be alone, and waits for one that has nothing */
} AfrpcPoolTieState;

struct _AfrpcPoolTie
{
  AfrpcPoolLane lane;       /* the jobs that wait; first, since it is known by this */
  AfrpcPoolTieState state;
  char *key;
  AfrpcPoolBond *bond;      /* (nullable) (owned): to who has had its calls, until that is gone */
  guint n_jobs;
  guint n_held;             /* of its calls, those that its member owes, or may run though they were given up */
  GList free;               /* its place among those of the bond */
  gboolean is_free;         /* it is there */
  GList loose;              /* its place, while it has no jobs */
};

/* What ties a member and its keys. Those that need not wait for it any more are so all at once. */
struct _AfrpcPoolBond
{
  guint ref_count;
  AfrpcPoolMember *member;  /* (nullable) (not owned): NULL once it was broken */
  AfrpcPoolLanes lanes;     /* of ties whose jobs wait for the member */
  AfrpcPoolLanes held;      /* and of those whose jobs wait for what it has of them */
  GQueue free;              /* (element-type AfrpcPoolTie): of which it had some until now, and for which that is waited */
  gboolean is_final;        /* the member gets no more, and ties that were not held then do not wait for it any more */
};

AfrpcPoolTie *afrpc_pool_tie_get       (AfrpcPoolCore    *core,
                                        const char       *key);
void          afrpc_pool_tie_release   (AfrpcPoolCore    *core,
                                        AfrpcPoolTie     *tie);
void          afrpc_pool_tie_bind      (AfrpcPoolCore    *core,
                                        AfrpcPoolTie     *tie,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_tie_settle    (AfrpcPoolCore    *core,
                                        AfrpcPoolTie     *tie);
void          afrpc_pool_tie_hold      (AfrpcPoolTie     *tie,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_tie_let_go    (AfrpcPoolTie     *tie,
                                        AfrpcPoolMember  *member);
AfrpcPoolLanes *afrpc_pool_tie_get_lanes (AfrpcPoolCore  *core,
                                          AfrpcPoolTie   *tie);
AfrpcPoolMember *afrpc_pool_tie_get_member (AfrpcPoolTie *tie);
void          afrpc_pool_tie_free      (AfrpcPoolTie     *tie);
void          afrpc_pool_ties_break    (AfrpcPoolCore    *core,
                                        AfrpcPoolMember  *member);
gboolean      afrpc_pool_ties_release_all (AfrpcPoolCore *core,
                                        AfrpcPoolMember  *member);
gboolean      afrpc_pool_ties_release  (AfrpcPoolCore    *core,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_ties_look     (AfrpcPoolCore    *core,
                                        AfrpcPoolMember  *member);

/* Returns: how many keys have jobs that wait for @member */
static inline guint
afrpc_pool_ties_count (const AfrpcPoolMember *member)
{
  return member->bond != NULL ? member->bond->lanes.n + member->bond->held.n : 0;
}

/* Settings: what all workers are called with, those of later before anything else */
void          afrpc_pool_settings_give (AfrpcPoolCore    *self,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_settings_look (AfrpcPoolMember  *member);
void          afrpc_pool_settings_leave (AfrpcPoolMember *member);
void          afrpc_pool_settings_abandon (AfrpcPoolCore *self);
void          afrpc_pool_call_all_tell (AfrpcPoolCore    *self);
void          afrpc_pool_call_all_abandon (AfrpcPoolCore *self);

/* Maps: many calls with inputs that are pulled as results are taken, given in chunks */
struct _AfrpcPoolChunk
{
  AfrpcPoolMap *map;
  guint n_given;            /* that the member has */
  guint n_done;             /* that it has answered */
  gint64 given_at;          /* monotonic time in microseconds */
  gboolean is_open;         /* more may be given */
};

void          afrpc_pool_map_cut       (AfrpcPoolJob     *job);
gboolean      afrpc_pool_map_fits      (AfrpcPoolMap     *self,
                                        AfrpcPoolMember  *member);
void          afrpc_pool_map_settled   (AfrpcPoolMap     *self,
                                        AfrpcCall        *call,
                                        guint64           number);
guint         afrpc_pool_map_chunk_begin (AfrpcPoolMap   *self,
                                        AfrpcPoolMember  *member,
                                        AfrpcPoolChunk  **chunk);
void          afrpc_pool_map_chunk_end (AfrpcPoolChunk   *chunk);
void          afrpc_pool_map_chunk_enter (AfrpcPoolJob   *job);
void          afrpc_pool_map_chunk_leave (AfrpcPoolJob   *job);
void          afrpc_pool_maps_decided  (AfrpcPoolJob     *job);
void          afrpc_pool_maps_feed     (AfrpcPoolCore    *core);
void          afrpc_pool_maps_act      (AfrpcPoolCore    *core);
void          afrpc_pool_maps_abandon  (AfrpcPoolCore    *core);

/* Blocking */
typedef gboolean (*AfrpcPoolUntil) (gpointer data);

gboolean      afrpc_pool_block_until   (AfrpcPoolCore    *self,
                                        AfrpcPoolUntil    is_done,
                                        gpointer          data,
                                        GCancellable     *cancellable,
                                        GError          **error);
gboolean      afrpc_pool_block_until_end (AfrpcPoolCore  *self,
                                          GCancellable   *cancellable,
                                          GError        **error);
void          afrpc_pool_block_for_call (AfrpcPoolCore   *self,
                                         AfrpcCall       *call);

/* The object */
struct _AfrpcPool
{
  GObject parent_instance;

  AfrpcProcess *process;    /* that of the first template; nullable only if the program is wrong */
  AfrpcPoolCore *core;
  gboolean was_closed;      /* when that was notified of last */
};

typedef enum
{
  AFRPC_POOL_PROP_PROCESS = 1,
  AFRPC_POOL_PROP_FUNCTION,
  AFRPC_POOL_PROP_INIT,
  AFRPC_POOL_PROP_DONE,
  AFRPC_POOL_PROP_BACKEND,
  AFRPC_POOL_PROP_SERIALISER,
  AFRPC_POOL_PROP_MAX_MESSAGE_SIZE,
  AFRPC_POOL_PROP_FORWARD_LOG,
  AFRPC_POOL_PROP_MAX_WORKERS,
  AFRPC_POOL_PROP_IDLE_WORKERS,
  AFRPC_POOL_PROP_LOAD,
  AFRPC_POOL_PROP_START_DELAY_MS,
  AFRPC_POOL_PROP_STOP_DELAY_MS,
  AFRPC_POOL_PROP_MAX_REPEATS,
  AFRPC_POOL_PROP_MAX_FAILURES,
  AFRPC_POOL_PROP_MAX_CALLS,
  AFRPC_POOL_PROP_MAX_AGE_S,
  AFRPC_POOL_PROP_MAX_MEMORY_GROWTH,
  AFRPC_POOL_PROP_CANCEL_GRACE_MS,
  AFRPC_POOL_PROP_END_GRACE_MS,
  AFRPC_POOL_PROP_CALL_TIMEOUT_MS,
  AFRPC_POOL_PROP_MAX_CALLS_QUEUED,
  AFRPC_POOL_PROP_MAX_BYTES_QUEUED,
  AFRPC_POOL_PROP_CLOSED,
  AFRPC_POOL_PROP_FAILURE,
  AFRPC_POOL_PROP_N_WORKERS,
  AFRPC_POOL_PROP_N_IDLE_WORKERS,
  AFRPC_POOL_PROP_N_STARTING_WORKERS,
  AFRPC_POOL_PROP_N_CALLS_QUEUED,
  AFRPC_POOL_PROP_N_CALLS_ASSIGNED,
  AFRPC_POOL_PROP_N_CALLS_PENDING,
  AFRPC_POOL_N_PROPS,
} AfrpcPoolProp;

extern GParamSpec *afrpc_pool_props[AFRPC_POOL_N_PROPS];

void          afrpc_pool_view_init_class (void);
gboolean      afrpc_pool_view_get_property (const AfrpcPoolCore *self,
                                            AfrpcPoolProp        prop,
                                            GValue              *value);
gboolean      afrpc_pool_view_has_news (AfrpcPoolCore        *self);
void          afrpc_pool_view_tell     (AfrpcPoolCore        *self);
void          afrpc_pool_view_leave    (AfrpcPoolCore        *self);

void          afrpc_pool_caller_init   (AfrpcCallerInterface *iface);
gboolean      afrpc_pool_check_thread  (AfrpcPool            *self,
                                        const char           *what,
                                        GError              **error);
gboolean      afrpc_pool_may_change    (AfrpcPool            *self,
                                        const char           *what);
void          afrpc_pool_install_properties (GObjectClass    *object_class);
void          afrpc_pool_config_init        (AfrpcPoolConfig *config);
void          afrpc_pool_notify_failure (AfrpcPoolCore       *core);
void          afrpc_pool_take_first    (AfrpcPool            *self);
void          afrpc_pool_emit_worker_ended (AfrpcPoolCore    *core,
                                            AfrpcPoolWorker  *worker,
                                            AfrpcExit        *exit);

G_END_DECLS
