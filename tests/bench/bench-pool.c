/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a pool costs over a proxy, and how it fares with many workers, many calls that wait, and work of uneven length.
 *
 * usage: bench-pool HOST-FOLDER WORKER.so [--short]
 *        bench-pool HOST-FOLDER WORKER.so pool|proxy CALLS UNDER-WAY
 *
 * The second one makes calls and prints nothing: for tests/bench/instructions, whose figures repeat where times do not.
 *
 * Prints a table a question. "program" is the processor time of the program alone. Where a figure is compared with another
 * one, they are measured in turns, and the best of each is taken: what else the machine does, disturbs both. */
#include "bench-common.h"

#include <afrpc/afrpc.h>

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5u

static const char *worker_path;
static guint factor = 1; /* --short divides by it */
static const char *done_function; /* (nullable): the worker's last */

static AfrpcProcess *
template_new (void)
{
  AfrpcProcess *process = afrpc_process_new_exec (NULL);

  afrpc_process_require (process, worker_path);

  return process;
}

static gsize
get_memory (void)
{
  const struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

static void
count_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      n_left)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  if (value == NULL)
    g_error ("a call failed: %s", error->message);
  --*(guint *) n_left;
}

/* Makes @n calls, of which @n_at_once are under way, and waits for them. */
static void
call (AfrpcCaller *caller,
      guint        n,
      guint        n_at_once)
{
  guint n_left = 0, n_made = 0;

  while (n_made < n || n_left > 0)
    {
      for (; n_made < n && n_left < n_at_once; n_made++, n_left++)
        afrpc_caller_call (caller, g_variant_new_string ("sixteen letters."), NULL, count_cb, &n_left);
      g_main_context_iteration (NULL, TRUE);
    }
}

static void
end (AfrpcCaller *caller)
{
  if (!afrpc_caller_close_sync (caller, NULL, NULL))
    g_error ("the end of a pool failed");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_object_unref (caller);
}

static AfrpcCaller *
proxy_new (void)
{
  g_autoptr(AfrpcProcess) process = template_new ();

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "echo", "done", done_function, NULL);
}

static AfrpcCaller *
pool_new (const char *function,
          guint       n_workers,
          guint       load)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  AfrpcPool *pool = g_object_new (AFRPC_TYPE_POOL, "process", template, "function", function, "done", done_function,
                                  "max-workers", n_workers, "idle-workers", n_workers, "load", load,
                                  "stop-delay-ms", G_MAXINT, NULL);

  while (afrpc_pool_get_n_idle_workers (pool) < n_workers)
    g_main_context_iteration (NULL, TRUE);
  g_object_set (pool, "idle-workers", 0, NULL);

  return AFRPC_CALLER (pool);
}

/* A call through a pool of one worker, and by its proxy alone; all on one CPU, as it would be chance where they ran */
static void
measure_overhead (void)
{
  static const guint depths[] = { 1, 16, 64 };
  AfrpcCaller *callers[2];
  cpu_set_t allowed;

  if (sched_getaffinity (0, sizeof allowed, &allowed) != 0)
    g_error ("sched_getaffinity: %m");
  bench_pin ();
  callers[0] = proxy_new ();
  callers[1] = pool_new ("echo", 1, 64);

  printf ("under way   proxy, us   pool, us   more, %%   program: proxy, us   pool, us   more, %%\n");
  for (gsize d = 0; d < G_N_ELEMENTS (depths); d++)
    {
      const guint n = 40000 / factor;
      double wall[2] = { 1e9, 1e9 }, cpu[2] = { 1e9, 1e9 };

      for (guint round = 0; round < ROUNDS * 2; round++)
        {
          AfrpcCaller *caller = callers[round % 2];
          double begin, cpu_begin;

          call (caller, n / 10, depths[d]);
          begin = bench_clock ();
          cpu_begin = bench_clock_cpu ();
          call (caller, n, depths[d]);
          wall[round % 2] = MIN (wall[round % 2], (bench_clock () - begin) * 1e6 / n);
          cpu[round % 2] = MIN (cpu[round % 2], (bench_clock_cpu () - cpu_begin) * 1e6 / n);
        }
      printf ("%9u   %9.2f   %8.2f   %7.1f   %18.2f   %8.2f   %7.1f\n", depths[d], wall[0], wall[1],
              (wall[1] / wall[0] - 1) * 100, cpu[0], cpu[1], (cpu[1] / cpu[0] - 1) * 100);
    }
  end (callers[0]);
  end (callers[1]);
  if (sched_setaffinity (0, sizeof allowed, &allowed) != 0)
    g_error ("sched_setaffinity: %m");
}

/* Makes @n calls that burn so many units each, all at once. Returns: seconds */
static double
burn (AfrpcCaller *caller,
      const guint *units,
      guint        n)
{
  const double begin = bench_clock ();
  guint n_left = n;

  for (guint i = 0; i < n; i++)
    afrpc_caller_call (caller, g_variant_new ("(u)", units[i]), NULL, count_cb, &n_left);
  while (n_left > 0)
    g_main_context_iteration (NULL, TRUE);

  return bench_clock () - begin;
}

/* Work for the processor alone, by one worker and by two */
static void
measure_processors (void)
{
  const guint n = 200 / factor;
  g_autofree guint *units = g_new (guint, n);
  AfrpcCaller *one = pool_new ("burn", 1, 2), *two = pool_new ("burn", 2, 2);
  double best[2] = { 1e9, 1e9 };

  for (guint i = 0; i < n; i++)
    units[i] = 5000;
  for (guint round = 0; round < ROUNDS; round++)
    {
      best[0] = MIN (best[0], burn (one, units, n));
      best[1] = MIN (best[1], burn (two, units, n));
    }
  printf ("\nworkers   s for %u calls   times\n%7u   %13.3f   %5.2f\n%7u   %13.3f   %5.2f\n", n, 1, best[0], 1.0, 2, best[1],
          best[0] / best[1]);
  end (one);
  end (two);
}

/* What a call that waits takes. In a process of its own, which has no memory yet that was used before. */
static void
measure_memory (gboolean of_pool)
{
  const int pid = fork ();
  int status;

  if (pid == 0)
    {
      const guint n = 100000;
      AfrpcCaller *caller = of_pool ? pool_new ("echo", 2, 2) : proxy_new ();
      guint n_left = n;
      gsize before;

      call (caller, 10, 1);
      before = get_memory ();
      for (guint i = 0; i < n; i++)
        afrpc_caller_call (caller, g_variant_new_string ("sixteen letters."), NULL, count_cb, &n_left);
      printf ("a call that waits in a %s: %.0f bytes\n", of_pool ? "pool" : "proxy", (double) (get_memory () - before) / n);
      fflush (stdout);
      while (n_left > 0)
        g_main_context_iteration (NULL, TRUE);
      end (caller);
      _exit (0);
    }
  if (waitpid (pid, &status, 0) != pid || status != 0)
    g_error ("measuring memory failed");
}

/* Many workers, and many calls that wait */
static void
measure_many (void)
{
  static const guint n_workers[] = { 10, 64, 256 };
  static const guint n_calls[] = { 1000, 10000, 100000 };

  printf ("\nworkers   calls queued   to queue, us   in all, us   program, us\n");
  for (gsize w = 0; w < G_N_ELEMENTS (n_workers); w++)
    {
      AfrpcCaller *pool = pool_new ("echo", n_workers[w], 2);

      call (pool, 10 * n_workers[w], 2 * n_workers[w]);
      for (gsize c = 0; c < G_N_ELEMENTS (n_calls); c++)
        {
          const guint n = n_calls[c];
          double queued = 1e9, all = 1e9, cpu = 1e9;

          for (guint round = 0; round < (factor > 1 ? 1 : 3); round++)
            {
              const double begin = bench_clock (), cpu_begin = bench_clock_cpu ();
              guint n_left = n;

              for (guint i = 0; i < n; i++)
                afrpc_caller_call (pool, g_variant_new_string ("sixteen letters."), NULL, count_cb, &n_left);
              queued = MIN (queued, bench_clock () - begin);
              while (n_left > 0)
                g_main_context_iteration (NULL, TRUE);
              all = MIN (all, bench_clock () - begin);
              cpu = MIN (cpu, bench_clock_cpu () - cpu_begin);
            }
          printf ("%7u   %12u   %12.2f   %10.2f   %11.2f\n", n_workers[w], n, queued * 1e6 / n, all * 1e6 / n, cpu * 1e6 / n);
          fflush (stdout);
        }
      end (pool);
    }
}

/* 600 pieces of work, of which one in ten takes ten times as long as the others, as pictures do: how much a worker has at
 * once */
static void
measure_uneven (void)
{
  static const guint loads[] = { 1, 4, 32 };
  const guint n = 600 / factor;
  g_autofree guint *units = g_new (guint, n);
  g_autoptr(GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < n; i++)
    units[i] = g_rand_int_range (rand, 0, 10) == 0 ? 10000 : 1000;
  printf ("\nload   s for %u calls of uneven length, two workers\n", n);
  for (gsize l = 0; l < G_N_ELEMENTS (loads); l++)
    {
      AfrpcCaller *pool = pool_new ("burn", 2, loads[l]);
      double best = 1e9;

      for (guint round = 0; round < ROUNDS; round++)
        best = MIN (best, burn (pool, units, n));
      printf ("%4u   %.3f\n", loads[l], best);
      end (pool);
    }
}

int
main (int    argc,
      char **argv)
{
  struct rlimit limit;

  if (argc < 3)
    g_error ("usage: bench-pool HOST-FOLDER WORKER.so [--short | pool|proxy CALLS UNDER-WAY]");
  g_setenv ("AFRPC_HOST_PATH", argv[1], TRUE);
  worker_path = argv[2];
  if (argc > 3 && strcmp (argv[3], "--short") == 0)
    factor = 10;
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = MIN (limit.rlim_max, MAX (limit.rlim_cur, 4096));
  setrlimit (RLIMIT_NOFILE, &limit);

  if (argc > 5)
    {
      AfrpcCaller *caller;

      done_function = "leave";
      caller = g_str_equal (argv[3], "proxy") ? proxy_new () : pool_new ("echo", 1, 64);
      call (caller, atoi (argv[4]), atoi (argv[5]));
      end (caller);
      return 0;
    }

  measure_memory (FALSE);
  measure_memory (TRUE);
  measure_overhead ();
  measure_processors ();
  measure_many ();
  measure_uneven ();

  return 0;
}
