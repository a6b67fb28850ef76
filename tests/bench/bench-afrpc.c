/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* afrpc itself. Variants: "buffer" in W4 passes shared memory; "sync" and "async" are the worker's backend, called through the main
 * loop; "sync-direct" and "async-direct" in W1 are called with afrpc_caller_call_sync (AFRPC_CALLER ()); workers of
 * "sync-fork" and "async-fork" are forked from a template and not executed. The same with "perl-" in front of
 * it: the worker is in Perl; "perl-async-loop" turns the event loop of AnyEvent as well. With
 * "gjs-" in front it is in JavaScript; with "four-", four processes are started at a time; with "-socket" in it there is no
 * ring. */
#include "bench-client.h"

#include <stdlib.h>
#include <string.h>

#define PEER "afrpc"

static void
calls (BenchClient *client,
       uint64_t     n,
       uint64_t     window)
{
  bench_client_begin (client, n);
  client->refill = TRUE;
  bench_client_send (client, MIN (n, window));
  bench_client_wait (client);
}

static void
events (BenchClient *client,
        uint64_t     n)
{
  bench_client_begin (client, n);
  bench_client_send (client, 1);
  bench_client_wait (client);
}

static void
run (const BenchOptions *options,
     BenchClient        *client,
     uint64_t            n)
{
  if (strcmp (options->workload, "W1") == 0 && g_str_has_suffix (options->variant, "-direct"))
    for (uint64_t i = 0; i < n; i++)
      bench_client_call_sync (client, i);
  else if (strcmp (options->workload, "W1") == 0)
    calls (client, n, 1);
  else if (strcmp (options->workload, "W2") == 0)
    calls (client, n, BENCH_WINDOW);
  else if (strcmp (options->workload, "W3") == 0)
    events (client, n);
  else
    bench_fail ("no such workload here: %s", options->workload);
}

/* The worker returns the value that it got. */
static void
bulk_calls (BenchClient *client,
            uint8_t     *data,
            uint64_t     size,
            uint64_t     n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      g_autoptr(GVariant) args = NULL;
      g_autoptr(GVariant) reply = NULL;
      const uint8_t *bytes;
      gsize reply_size;

      bench_bulk_stamp (data, size, i);
      args = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, data, size, TRUE, NULL, NULL));
      reply = bench_client_call_value (client, args);
      bytes = g_variant_get_fixed_array (reply, &reply_size, 1);
      bench_bulk_check (bytes, reply_size, size, i);
    }
}

/* The data is in shared memory: only its descriptor goes there and back. */
static void
buffer_calls (BenchClient *client,
              uint64_t     size,
              uint64_t     n)
{
  for (uint64_t i = 0; i < n; i++)
    {
      g_autoptr(AfrpcBuffer) buffer = afrpc_buffer_new (size, AFRPC_BUFFER_REUSED, NULL);
      g_autoptr(AfrpcBuffer) received = NULL;
      g_autoptr(GBytes) bytes = NULL;
      int fd;

      /* Made for the first time, it has no pattern yet. */
      if (buffer != NULL && afrpc_buffer_get_data (buffer)[size - 9] == 0)
        for (uint64_t j = 0; j < size; j++)
          afrpc_buffer_get_data (buffer)[j] = (uint8_t) (j * 167 >> 3);
      if (buffer != NULL)
        bench_bulk_stamp (afrpc_buffer_get_data (buffer), size, i);
      if (buffer == NULL || !afrpc_buffer_seal (buffer, NULL))
        bench_fail ("no buffer");
      fd = bench_client_call_fd (client, afrpc_buffer_get_fd (buffer));
      received = afrpc_buffer_new_take_fd (fd, size, AFRPC_BUFFER_REUSED, NULL);
      if (received == NULL)
        bench_fail ("call %" G_GUINT64_FORMAT " brought no buffer", i);
      bytes = afrpc_buffer_get_bytes (received);
      bench_bulk_check (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), size, i);
    }
}

static void
bulk (const BenchOptions *options,
      BenchClient        *client)
{
  uint8_t *data = bench_bulk_new (options->size);
  BenchMeter meter;

  gboolean is_shared = strcmp (options->variant, "buffer") == 0;

  for (guint round = 0; round < 2; round++)
    {
      const uint64_t n = round == 0 ? BENCH_BULK_WARM_UP : options->n;

      if (round == 1)
        bench_meter_start (&meter, bench_client_get_pid (client));
      if (is_shared)
        buffer_calls (client, options->size, n);
      else
        bulk_calls (client, data, options->size, n);
    }
  bench_meter_stop (&meter);
  bench_report_bulk (options, PEER, &meter);
  free (data);
}

/* One worker, from its start to its end. */
static void
spawn_one (const BenchOptions *options,
           AfrpcProcess       *template,
           AfrpcBackend        backend)
{
  BenchClient client;

  bench_client_init (&client, options, template, backend, FALSE);
  calls (&client, 1, 1);
  bench_client_clear (&client);
}

/* Four are under way at any time: the oldest ends before the next begins. */
static void
spawn_four (const BenchOptions *options,
            AfrpcProcess       *template,
            AfrpcBackend        backend)
{
  BenchClient clients[BENCH_FOUR];

  for (uint64_t i = 0; i < options->n + BENCH_FOUR; i++)
    {
      BenchClient *client = &clients[i % BENCH_FOUR];

      if (i >= BENCH_FOUR && i - BENCH_FOUR < options->n)
        {
          bench_client_wait (client);
          bench_client_clear (client);
        }
      if (i < options->n)
        {
          bench_client_init (client, options, template, backend, FALSE);
          bench_client_begin (client, 1);
          bench_client_send (client, 1);
        }
    }
}

static void
spawn (const BenchOptions *options,
       AfrpcProcess       *template,
       AfrpcBackend        backend)
{
  BenchMeter meter;

  /* The template's own start is not counted. */
  if (template != NULL)
    spawn_one (options, template, backend);
  bench_meter_start (&meter, 0);
  if (g_str_has_prefix (options->variant, BENCH_FOUR_PREFIX))
    spawn_four (options, template, backend);
  else
    for (uint64_t i = 0; i < options->n; i++)
      spawn_one (options, template, backend);
  bench_meter_stop (&meter);
  bench_report_time (options, PEER, &meter);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  BenchClient client;
  BenchMeter meter;
  AfrpcBackend backend;
  g_autoptr(AfrpcProcess) template = NULL;

  bench_options_init (&options, argc, argv);
  backend = strstr (options.variant, "async") != NULL ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC;
  if (g_str_has_suffix (options.variant, "-fork"))
    template = bench_client_new_process (&options);
  if (strcmp (options.workload, "W5") == 0)
    {
      spawn (&options, template, backend);
      return 0;
    }

  bench_client_init (&client, &options, template, backend, strcmp (options.workload, "W3") == 0);
  if (strcmp (options.workload, "W4") == 0)
    bulk (&options, &client);
  else if (strcmp (options.workload, "W6") == 0)
    {
      calls (&client, options.n, 1);
      bench_report_value (&options, PEER, "kB", bench_private_kb (bench_client_get_pid (&client)));
    }
  else
    {
      run (&options, &client, BENCH_WARM_UP);
      bench_meter_start (&meter, bench_client_get_pid (&client));
      run (&options, &client, options.n);
      bench_meter_stop (&meter);
      bench_report_time (&options, PEER, &meter);
    }
  bench_client_clear (&client);
  return 0;
}
