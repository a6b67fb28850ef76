/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls by Gearman, which bench-nats.py compares with those over NATS.
 *
 * usage: bench-gearman serve PORT
 *        bench-gearman call PORT DEPTH N
 *        bench-gearman death PORT
 *
 * "serve" says "ready", and does until it is killed. "call" prints the seconds that calls took, so many at a time, and the seconds of
 * processor time. "death" says "begun" when its call has been, then the time at which that had its outcome, and which. */
#include <libgearman/gearman.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-common.h"

#define HOST "127.0.0.1"
#define WARM_UP 500u
#define NAP_MS 100

static void
check (gearman_return_t status)
{
  if (status != GEARMAN_SUCCESS)
    bench_fail ("Gearman: %s", gearman_strerror (status));
}

static void
say (const char *word)
{
  puts (word);
  fflush (stdout);
}

/* Who serves */

static gearman_return_t
echo (gearman_job_st *job,
      void           *data)
{
  return gearman_job_send_complete (job, gearman_job_workload (job), gearman_job_workload_size (job));
}

static gearman_return_t
nap (gearman_job_st *job,
     void           *data)
{
  check (gearman_job_send_status (job, 1, 2));
  poll (NULL, 0, NAP_MS);

  return gearman_job_send_complete (job, NULL, 0);
}

static void
serve (in_port_t port)
{
  gearman_worker_st *worker = gearman_worker_create (NULL);

  check (gearman_worker_add_server (worker, HOST, port));
  check (gearman_worker_define_function (worker, "echo", 4, gearman_function_create (echo), 0, NULL));
  check (gearman_worker_define_function (worker, "nap", 3, gearman_function_create (nap), 0, NULL));
  say ("ready");
  for (;;)
    check (gearman_worker_work (worker));
}

/* Who calls */

static gearman_client_st *
new_client (in_port_t port)
{
  gearman_client_st *client = gearman_client_create (NULL);

  check (gearman_client_add_server (client, HOST, port));

  return client;
}

static gearman_return_t
complete (gearman_task_st *task)
{
  if (gearman_task_data_size (task) != BENCH_TEXT_LEN)
    bench_fail ("Gearman: not what was sent");
  ++*(uint64_t *) gearman_task_context (task);

  return GEARMAN_SUCCESS;
}

/* It has no calls that are made while others are under way: all of a batch have to be done before the next one. */
static void
call (gearman_client_st *client,
      unsigned           depth,
      uint64_t           n)
{
  char text[depth][BENCH_TEXT_LEN];
  uint64_t n_done = 0;

  gearman_client_set_complete_fn (client, complete);
  for (uint64_t i = 0; i < n;)
    {
      for (unsigned j = 0; j < depth && i < n; j++, i++)
        {
          gearman_return_t status;

          bench_text_write (text[j], i);
          gearman_client_add_task (client, NULL, &n_done, "echo", NULL, text[j], BENCH_TEXT_LEN, &status);
          check (status);
        }
      check (gearman_client_run_tasks (client));
      gearman_client_task_free_all (client);
    }
  if (n_done != n)
    bench_fail ("Gearman: %lu of %lu calls", (unsigned long) n_done, (unsigned long) n);
}

static gearman_return_t
begun (gearman_task_st *task)
{
  bool *is_begun = gearman_task_context (task);

  if (!*is_begun)
    say ("begun");
  *is_begun = true;

  return GEARMAN_SUCCESS;
}

static void
death (gearman_client_st *client)
{
  gearman_return_t status;
  bool is_begun = false;
  gearman_task_st *task;

  gearman_client_set_status_fn (client, begun);
  task = gearman_client_add_task (client, NULL, &is_begun, "nap", NULL, NULL, 0, &status);
  check (status);
  status = gearman_client_run_tasks (client);
  printf ("%.6f %s\n", bench_clock (), status == GEARMAN_SUCCESS && gearman_task_return (task) == GEARMAN_SUCCESS ? "done" : "failed");
}

int
main (int    argc,
      char **argv)
{
  const in_port_t port = argc > 2 ? (in_port_t) atoi (argv[2]) : 0;

  if (argc == 3 && strcmp (argv[1], "serve") == 0)
    serve (port);
  else if (argc == 3 && strcmp (argv[1], "death") == 0)
    death (new_client (port));
  else if (argc == 5 && strcmp (argv[1], "call") == 0)
    {
      gearman_client_st *client = new_client (port);
      double wall, cpu;

      call (client, (unsigned) atoi (argv[3]), WARM_UP);
      wall = bench_clock ();
      cpu = bench_clock_cpu ();
      call (client, (unsigned) atoi (argv[3]), strtoull (argv[4], NULL, 10));
      printf ("%.6f %.6f\n", bench_clock () - wall, bench_clock_cpu () - cpu);
      gearman_client_free (client);
    }
  else
    bench_fail ("see the source for the usage");

  return 0;
}
