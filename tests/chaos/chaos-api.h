/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that the chaos knows of how calls are made, cancelled and finished, and how to learn whether a call had
 * started; the rest of it uses nothing but these. */
#pragma once

#include <afrpc/afrpc.h>

/* How a call ended. */
typedef enum
{
  CHAOS_CAUSE_RESULT,
  CHAOS_CAUSE_FUNCTION,  /* the function failed */
  CHAOS_CAUSE_CANCELLED,
  CHAOS_CAUSE_TIMED_OUT,
  CHAOS_CAUSE_BUSY,
  CHAOS_CAUSE_TOO_LARGE,
  CHAOS_CAUSE_CLOSED,    /* closed, or ended, before the call was made */
  CHAOS_CAUSE_GONE,      /* the worker ended before it could answer */
  CHAOS_CAUSE_WRONG,     /* arguments of another type than the function takes */
  CHAOS_CAUSE_NO_RESULT,
  CHAOS_CAUSE_OTHER,     /* nothing that the chaos has asked for */
} ChaosCause;

typedef struct
{
  GVariant *value;     /* (nullable) */
  GUnixFDList *fds;    /* (nullable) */
  GError *error;       /* (nullable) */
  ChaosCause cause;
  gboolean has_word;   /* there was a call to ask whether it had started */
  AfrpcStarted started;
} ChaosOutcome;

void chaos_outcome_clear (ChaosOutcome *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChaosOutcome, chaos_outcome_clear)

/* By which of the functions a call is made; those that do not fit what it carries become others. */
typedef enum
{
  CHAOS_WAY_CALL,            /* call () */
  CHAOS_WAY_FULL,            /* call_full () */
  CHAOS_WAY_WITH_CALLBACK,   /* start_with_callback () */
  CHAOS_WAY_START,           /* start (), and wait () */
  CHAOS_N_WAYS
} ChaosWay;

/* What a call carries. */
typedef struct
{
  ChaosWay way;
  GUnixFDList *fds;           /* (nullable) */
  guint timeout_ms;           /* 0: none of its own */
  guint execution_timeout_ms; /* 0: none */
  const char *function;       /* (nullable): another function of the worker */
  gboolean wants_progress;
  AfrpcProgressMode progress_mode;
  GCancellable *cancellable;  /* (nullable) */
} ChaosOptions;

typedef void (*ChaosSettledFunc)  (ChaosOutcome *outcome,
                                   gpointer      data);
typedef void (*ChaosProgressFunc) (GVariant     *progress,
                                   gpointer      data);

typedef struct _ChaosHandle ChaosHandle; /* of a call, until @settled is called */

ChaosHandle *chaos_api_call        (AfrpcProxy         *proxy,
                                    GVariant           *args,
                                    const ChaosOptions *options,
                                    ChaosSettledFunc    settled,
                                    ChaosProgressFunc   progress,
                                    gpointer            data);
AfrpcCall   *chaos_api_get_call    (ChaosHandle        *handle);
void         chaos_api_call_sync   (AfrpcProxy         *proxy,
                                    GVariant           *args,
                                    const ChaosOptions *options,
                                    ChaosProgressFunc   progress,
                                    gpointer            data,
                                    ChaosOutcome       *outcome);

/* Has @closed called, once, when the worker is gone. */
void         chaos_api_close_async (AfrpcProxy         *proxy,
                                    void              (*closed) (gpointer data),
                                    gpointer            data);
