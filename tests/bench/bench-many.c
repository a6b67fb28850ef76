/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many workers in one program, forked from a template, each of which has been called once: prints what calls cost
 * beside --size of them that are idle, one at a time ("sync" through the main loop, "sync-direct" blocking, "sync-turns"
 * each on the next worker); how many of the last hundredth are "started" a second; and "memory" and "descriptors" that
 * each takes in the program. "-cpu" is the program's CPU time alone. All processes are on one CPU. */
#include "bench-client.h"

#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PEER "afrpc"

static guint
count_descriptors (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  guint n = 0;

  while (readdir (dir) != NULL)
    n++;
  closedir (dir);

  return n;
}

static double
start (const BenchOptions *options,
       AfrpcProcess       *template,
       BenchClient        *clients,
       guint               n)
{
  const double begin = bench_clock ();

  for (guint i = 0; i < n; i++)
    {
      bench_client_init (&clients[i], options, template, AFRPC_BACKEND_SYNC, FALSE);
      bench_client_begin (&clients[i], 1);
      bench_client_send (&clients[i], 1);
      bench_client_wait (&clients[i]);
    }

  return bench_clock () - begin;
}

static void
calls (BenchClient *clients,
       guint        n_clients,
       uint64_t     n,
       const char  *variant)
{
  const gboolean is_direct = strcmp (variant, "sync-direct") == 0;
  const gboolean takes_turns = strcmp (variant, "sync-turns") == 0;

  if (!takes_turns && !is_direct)
    {
      bench_client_begin (clients, n);
      clients->refill = TRUE;
      bench_client_send (clients, 1);
      bench_client_wait (clients);
    }
  for (uint64_t i = 0; (takes_turns || is_direct) && i < n; i++)
    {
      BenchClient *client = &clients[takes_turns ? i % n_clients : 0];

      if (is_direct)
        bench_client_call_sync (client, i);
      else
        {
          bench_client_begin (client, 1);
          bench_client_send (client, 1);
          bench_client_wait (client);
        }
    }
}

static void
report (const BenchOptions *options,
        const char         *variant,
        const char         *unit,
        double              value)
{
  BenchOptions its = *options;

  its.variant = variant;
  bench_report_value (&its, PEER, unit, value);
}

static void
measure (const BenchOptions *options,
         AfrpcProcess       *template,
         BenchClient        *clients,
         guint               n_clients)
{
  static const char *const variants[][2] = {
    { "sync", "sync-cpu" }, { "sync-direct", "sync-direct-cpu" }, { "sync-turns", "sync-turns-cpu" },
  };
  const guint n_last = MAX (n_clients / 100, 10);
  gsize bytes;
  guint n_descriptors;
  double last;

  /* What there is once for all. */
  start (options, template, clients, 1);
  bytes = mallinfo2 ().uordblks + mallinfo2 ().hblkhd;
  n_descriptors = count_descriptors ();

  start (options, template, clients + 1, n_clients - n_last);
  last = start (options, template, clients + 1 + n_clients - n_last, n_last);
  report (options, "memory", "kB", (mallinfo2 ().uordblks + mallinfo2 ().hblkhd - bytes) / 1024.0 / n_clients);
  report (options, "descriptors", "", (double) (count_descriptors () - n_descriptors) / n_clients);
  report (options, "started", "/s", n_last / last);

  for (guint i = 0; i < G_N_ELEMENTS (variants); i++)
    {
      BenchMeter meter;

      calls (clients, n_clients + 1, BENCH_WARM_UP, variants[i][0]);
      bench_meter_start (&meter, 0);
      calls (clients, n_clients + 1, options->n, variants[i][0]);
      bench_meter_stop (&meter);
      report (options, variants[i][0], "us", meter.wall * 1e6 / options->n);
      report (options, variants[i][1], "us", meter.parent_cpu * 1e6 / options->n);
    }
}

/* As many descriptors as they need, if that is allowed. */
static void
make_room (guint n_clients)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = MIN (limit.rlim_max, MAX (limit.rlim_cur, 4 * (n_clients + 25)));
  setrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 4 * (n_clients + 25))
    exit (BENCH_SKIPPED);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  guint n_clients;
  g_autoptr(AfrpcProcess) template = NULL;
  g_autofree BenchClient *clients = NULL;

  bench_options_init (&options, argc, argv);
  n_clients = MAX (options.size, 10);
  make_room (n_clients);
  clients = g_new0 (BenchClient, n_clients + 1);
  template = bench_client_new_process (&options);
  measure (&options, template, clients, n_clients);
  for (guint i = 0; i < n_clients + 1; i++)
    bench_client_clear (&clients[i]);

  return 0;
}
