/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-common.h"

#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void
find_directory (BenchOptions *options)
{
  static char path[4096];
  ssize_t len = readlink ("/proc/self/exe", path, sizeof path - 1);

  if (len <= 0)
    bench_fail ("cannot read /proc/self/exe");
  path[len] = '\0';
  *strrchr (path, '/') = '\0';
  options->directory = path;
}

void
bench_options_init (BenchOptions  *options,
                    int            argc,
                    char         **argv)
{
  static const struct option known[] = {
    { "workload", required_argument, NULL, 'w' },
    { "variant", required_argument, NULL, 'v' },
    { "n", required_argument, NULL, 'n' },
    { "heap-mib", required_argument, NULL, 'h' },
    { "size", required_argument, NULL, 's' },
    { "done", required_argument, NULL, 'd' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  *options = (BenchOptions) { .variant = "" };
  find_directory (options);

  while ((c = getopt_long (argc, argv, "", known, NULL)) != -1)
    switch (c)
      {
      case 'w': options->workload = optarg; break;
      case 'v': options->variant = optarg; break;
      case 'n': options->n = strtoull (optarg, NULL, 10); break;
      case 'h': options->heap_mib = (unsigned) strtoul (optarg, NULL, 10); break;
      case 's': options->size = strtoull (optarg, NULL, 10); break;
      case 'd': options->done = optarg; break;
      default: exit (2);
      }
  if (options->workload == NULL || options->n == 0)
    bench_fail ("usage: %s --workload W --n N [--variant V] [--heap-mib MIB]", argv[0]);
  if (strcmp (options->workload, "W4") == 0 && options->size < 16)
    bench_fail ("W4 needs a --size");
  if (strcmp (options->workload, "W1") == 0 || strcmp (options->workload, "W9") == 0)
    bench_pin ();
  bench_fill_heap (options->heap_mib);
}

void
bench_fail (const char *format,
            ...)
{
  va_list args;

  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
  /* Not exit (): a peer may be half-way through anything. */
  _exit (1);
}

/* Keeps this process, and all that it starts from here on, on one CPU: the last one that it may
 * use, since the first has most of the interrupts. */
void
bench_pin (void)
{
  cpu_set_t allowed, one;

  if (sched_getaffinity (0, sizeof allowed, &allowed) < 0)
    bench_fail ("sched_getaffinity: %m");
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
    if (CPU_ISSET (cpu, &allowed))
      {
        CPU_ZERO (&one);
        CPU_SET (cpu, &one);
        if (sched_setaffinity (0, sizeof one, &one) < 0)
          bench_fail ("sched_setaffinity: %m");
        return;
      }
}

/* A program's heap is small pages: with huge ones a fork would copy next to no page tables. */
void
bench_fill_heap (unsigned mib)
{
  size_t size = (size_t) mib << 20;
  void *heap;

  if (mib == 0)
    return;
  heap = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heap == MAP_FAILED)
    bench_fail ("mmap: %m");
  madvise (heap, size, MADV_NOHUGEPAGE);
  memset (heap, 0x5a, size);
}

pid_t
bench_start_server (const char *variant)
{
  const char *const argv[] = { "server", "--workload", BENCH_SERVE, "--n", "1", "--variant", variant, NULL };
  pid_t pid = fork ();

  if (pid < 0)
    bench_fail ("fork: %m");
  if (pid == 0)
    {
      execv ("/proc/self/exe", (char **) argv);
      bench_fail ("exec: %m");
    }

  return pid;
}

void
bench_end_server (pid_t pid)
{
  int status;

  if (waitpid (pid, &status, 0) < 0 || status != 0)
    bench_fail ("the child failed");
}

static double
clock_seconds (clockid_t clock)
{
  struct timespec now;

  if (clock_gettime (clock, &now) < 0)
    bench_fail ("clock_gettime: %m");
  return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

double
bench_clock (void)
{
  return clock_seconds (CLOCK_MONOTONIC);
}

double
bench_clock_cpu (void)
{
  return clock_seconds (CLOCK_PROCESS_CPUTIME_ID);
}

static double
child_seconds (pid_t child)
{
  clockid_t clock;

  if (child == 0)
    return 0;
  if (clock_getcpuclockid (child, &clock) != 0)
    bench_fail ("no clock for process %d", (int) child);
  return clock_seconds (clock);
}

/* The child must live until bench_meter_stop (): its clock ends with it. */
void
bench_meter_start (BenchMeter *meter,
                   pid_t       child)
{
  meter->child = child;
  meter->child_cpu = child_seconds (child);
  meter->parent_cpu = bench_clock_cpu ();
  meter->wall = bench_clock ();
}

void
bench_meter_stop (BenchMeter *meter)
{
  meter->wall = bench_clock () - meter->wall;
  meter->parent_cpu = bench_clock_cpu () - meter->parent_cpu;
  meter->child_cpu = child_seconds (meter->child) - meter->child_cpu;
}

/* What would be free if the process were not there: proc_pid_smaps_rollup(5), in kB. */
double
bench_private_kb (pid_t pid)
{
  char path[64], line[256];
  long total = 0, kb;
  FILE *file;

  snprintf (path, sizeof path, "/proc/%d/smaps_rollup", (int) pid);
  file = fopen (path, "re");
  if (file == NULL)
    bench_fail ("%s: %m", path);
  while (fgets (line, sizeof line, file) != NULL)
    if (sscanf (line, "Private_Clean: %ld", &kb) == 1
        || sscanf (line, "Private_Dirty: %ld", &kb) == 1)
      total += kb;
  fclose (file);
  return (double) total;
}

/* The most memory that a process ever had, in MiB: VmHWM of proc_pid_status(5). */
double
bench_peak_mib (pid_t pid)
{
  char path[64], line[256];
  long kb = 0;
  FILE *file;

  snprintf (path, sizeof path, "/proc/%d/status", (int) pid);
  file = fopen (path, "re");
  if (file == NULL)
    bench_fail ("%s: %m", path);
  while (kb == 0 && fgets (line, sizeof line, file) != NULL)
    (void) sscanf (line, "VmHWM: %ld", &kb);
  fclose (file);
  return (double) kb / 1024;
}

#define BULK_STRIDE 65536u

uint8_t *
bench_bulk_new (uint64_t size)
{
  uint8_t *data = malloc (size);

  if (data == NULL)
    bench_fail ("no memory");
  for (uint64_t i = 0; i < size; i++)
    data[i] = (uint8_t) (i * 167 >> 3);
  return data;
}

void
bench_bulk_stamp (uint8_t  *data,
                  uint64_t  size,
                  uint64_t  number)
{
  for (uint64_t at = 0; at + sizeof number <= size; at += BULK_STRIDE)
    memcpy (data + at, &number, sizeof number);
  memcpy (data + size - sizeof number, &number, sizeof number);
}

void
bench_bulk_check (const uint8_t *data,
                  uint64_t       size,
                  uint64_t       expected_size,
                  uint64_t       number)
{
  if (size != expected_size)
    bench_fail ("reply %llu has %llu bytes", (unsigned long long) number, (unsigned long long) size);
  for (uint64_t at = 0; at + sizeof number <= size; at += BULK_STRIDE)
    if (memcmp (data + at, &number, sizeof number) != 0)
      bench_fail ("reply %llu is wrong at %llu", (unsigned long long) number, (unsigned long long) at);
  if (memcmp (data + size - sizeof number, &number, sizeof number) != 0
      || data[size - 9] != (uint8_t) ((size - 9) * 167 >> 3))
    bench_fail ("reply %llu is wrong at its end", (unsigned long long) number);
}

static void
print_head (const BenchOptions *options,
            const char         *peer)
{
  printf ("{\"peer\": \"%s\", \"variant\": \"%s\", \"workload\": \"%s\", \"n\": %llu", peer,
          options->variant, options->workload, (unsigned long long) options->n);
}

/* W1 in microseconds a call, everything else in things a second. */
void
bench_report_time (const BenchOptions *options,
                   const char         *peer,
                   const BenchMeter   *meter)
{
  double n = (double) options->n;
  int latency = strcmp (options->workload, "W1") == 0;

  print_head (options, peer);
  printf (", \"value\": %.4f, \"unit\": \"%s\", \"seconds\": %.4f",
          latency ? meter->wall * 1e6 / n : n / meter->wall, latency ? "us" : "/s", meter->wall);
  if (meter->child != 0)
    printf (", \"cpu_parent\": %.4f, \"cpu_child\": %.4f", meter->parent_cpu * 1e6 / n,
            meter->child_cpu * 1e6 / n);
  printf ("}\n");
}

/* In MB/s, there and back. The child must live still. */
void
bench_report_bulk (const BenchOptions *options,
                   const char         *peer,
                   const BenchMeter   *meter)
{
  double bytes = 2 * (double) options->size * (double) options->n;

  print_head (options, peer);
  printf (", \"value\": %.4f, \"unit\": \"MB/s\", \"seconds\": %.4f, \"cpu_parent\": %.4f, \"cpu_child\": %.4f"
          ", \"peak_parent\": %.1f, \"peak_child\": %.1f}\n",
          bytes / meter->wall / 1e6, meter->wall, meter->parent_cpu * 1e9 / bytes, meter->child_cpu * 1e9 / bytes,
          bench_peak_mib (getpid ()), bench_peak_mib (meter->child));
}

void
bench_report_value (const BenchOptions *options,
                    const char         *peer,
                    const char         *unit,
                    double              value)
{
  print_head (options, peer);
  printf (", \"value\": %.4f, \"unit\": \"%s\"}\n", value, unit);
}
