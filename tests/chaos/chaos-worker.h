/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the chaos calls: the functions of a module, and of the program itself. */
#pragma once

#include <glib.h>

/* The arguments: the call's number in the ledger, what to do, a count, the size of what is to be sent back; some
 * bytes; some descriptors. */
#define CHAOS_ARGS_TYPE "(uuuuayah)"
/* The results: the call's number, the number of this thing among all that the worker made; bytes; descriptors; the
 * seats that start arguments named, and how many descriptors there were at the start. */
#define CHAOS_RESULT_TYPE "(uuayahauu)"
/* Events: the call's number, which event of the call it is, its number among all; bytes; descriptors. Progress: the
 * same, with the number of what was made last. */
#define CHAOS_EVENT_TYPE "(uuuayah)"
/* The text of errors: the call's number, and the error's. */
#define CHAOS_ERROR_TEXT "chaos %u %u"
#define CHAOS_ERROR_DOMAIN "chaos-private-error"

typedef enum
{
  CHAOS_KIND_ECHO,        /* returns */
  CHAOS_KIND_EVENTS,      /* count: how many */
  CHAOS_KIND_EVENT_FDS,   /* one event, with count descriptors */
  CHAOS_KIND_FDS,         /* returns as many descriptors as it gets */
  CHAOS_KIND_PROGRESS,    /* count: how often */
  CHAOS_KIND_WHO,         /* returns what the process was given at its start */
  CHAOS_KIND_HOLD,        /* waits for the gate */
  CHAOS_KIND_UNTIL_CANCELLED, /* waits to be cancelled, or for the gate */
  CHAOS_KIND_LATER,       /* async: answers after count ms */
  CHAOS_KIND_ERROR,       /* fails, in a domain that is known everywhere */
  CHAOS_KIND_PRIVATE_ERROR, /* fails, in one that is not */
  CHAOS_KIND_NOTHING,     /* gives neither result nor error */
  CHAOS_KIND_EXIT,        /* exits with status count */
  CHAOS_KIND_SIGNAL,      /* ends itself by signal count */
  CHAOS_KIND_FLUSH_EXIT,  /* sends count events, flushes, exits */
  CHAOS_KIND_WRONG,       /* is called with arguments of another type, so that it never runs */
  CHAOS_KIND_DAWDLE,      /* takes count ms, in which nothing is read */
  CHAOS_N_KINDS
} ChaosKind;

/* The functions' names, in the module and as the program registers them. */
#define CHAOS_FUNCTION_SYNC "chaos_sync"
#define CHAOS_FUNCTION_ASYNC "chaos_async"
#define CHAOS_FUNCTION_SYNC_TOO "chaos_sync_too"
#define CHAOS_FUNCTION_ASYNC_TOO "chaos_async_too"
#define CHAOS_FUNCTION_INIT "chaos_init"
#define CHAOS_FUNCTION_DONE "chaos_done"
#define CHAOS_FUNCTION_DONE_EXIT "chaos_done_exit"

void chaos_worker_register (void);
