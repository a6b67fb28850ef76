/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A parent that calls bench-worker, as bench-afrpc and bench-frame-hold need it: checks every reply
 * and every event, and ends the program at the first that is wrong. */
#pragma once

#include "bench-common.h"

#include <afrpc/afrpc.h>

#define BENCH_SKIPPED 77 /* the exit status of what cannot run here, for run-bench.py */

typedef struct
{
  AfrpcProxy *proxy;
  gboolean emits; /* the worker's function is emit, not echo */

  uint64_t n;
  uint64_t n_sent;
  uint64_t n_received;
  uint64_t n_events; /* since the call that runs */
  gboolean refill;   /* each reply sends the next call */
  gboolean closed;
} BenchClient;

AfrpcProcess *bench_client_new_process (const BenchOptions *options);

void  bench_client_init      (BenchClient        *self,
                              const BenchOptions *options,
                              AfrpcProcess       *template,
                              AfrpcBackend        backend,
                              gboolean            emits);
void  bench_client_clear     (BenchClient        *self);
pid_t bench_client_get_pid   (BenchClient        *self);
void  bench_client_begin     (BenchClient        *self,
                              uint64_t            n);
void  bench_client_send      (BenchClient        *self,
                              uint64_t            n_calls);
void  bench_client_wait      (BenchClient        *self);
void  bench_client_call_sync (BenchClient        *self,
                              uint64_t            number);
GVariant *bench_client_call_value (BenchClient    *self,
                                   GVariant       *args);
int       bench_client_call_fd    (BenchClient    *self,
                                   int             fd);
