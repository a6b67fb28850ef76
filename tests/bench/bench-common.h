/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the bench programs share: options, a meter, numbered texts, one line of JSON. Plain C
 * without GLib, so that the floor is measured without GLib too. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define BENCH_TEXT_LEN 16u  /* bytes, without the final NUL */
/* How many processes are under way at once in variants of W5 that begin with this. */
#define BENCH_FOUR_PREFIX "four-"
#define BENCH_FOUR 4

#define BENCH_SERVE "serve"
#define BENCH_WINDOW 1000u  /* calls in flight in W2 */
#define BENCH_WARM_UP 1000u /* calls made before the clock starts, at most */
#define BENCH_BULK_WARM_UP 3u

typedef struct
{
  const char *workload;  /* "W1" .. "W9", "hold", or "serve": for another process of the same program */
  const char *variant;   /* "" unless given */
  uint64_t n;            /* calls, events, workers: what is counted */
  unsigned heap_mib;     /* memory that the parent touches first */
  uint64_t size;         /* of a payload, bytes */
  const char *directory; /* where the program lies, and what it needs beside it */
  const char *done;      /* the worker's last function, or NULL */
} BenchOptions;

typedef struct
{
  pid_t child; /* 0 if its time is not wanted */
  double wall; /* seconds, as the rest */
  double parent_cpu;
  double child_cpu;
} BenchMeter;

void bench_options_init (BenchOptions *options,
                         int           argc,
                         char        **argv);
void bench_fail         (const char   *format,
                         ...) __attribute__ ((format (printf, 1, 2), noreturn));
void bench_pin          (void);
void bench_fill_heap    (unsigned      mib);

/* This program again, as what the workload calls: "--workload serve", with another variant. */
pid_t bench_start_server  (const char   *variant);
void  bench_end_server    (pid_t         pid);

double bench_clock        (void); /* seconds; and those of the processor that this process has had */
double bench_clock_cpu    (void);
void   bench_meter_start  (BenchMeter *meter,
                           pid_t       child);
void   bench_meter_stop   (BenchMeter *meter);
double bench_private_kb   (pid_t       pid);
double bench_peak_mib     (pid_t       pid);

void bench_report_time  (const BenchOptions *options,
                         const char         *peer,
                         const BenchMeter   *meter);
void bench_report_bulk  (const BenchOptions *options,
                         const char         *peer,
                         const BenchMeter   *meter);
void bench_report_value (const BenchOptions *options,
                         const char         *peer,
                         const char         *unit,
                         double              value);

/* Bytes with a number in them: made once, stamped for each call, and looked at in each reply, one word in each
 * 64 KiB, or looking would be most of what is measured. @size: at least 16 */
uint8_t *bench_bulk_new   (uint64_t       size);
void     bench_bulk_stamp (uint8_t       *data,
                           uint64_t       size,
                           uint64_t       number);
void     bench_bulk_check (const uint8_t *data,
                           uint64_t       size,
                           uint64_t       expected_size,
                           uint64_t       number);

/* Half of a number as eight letters: a nibble a byte, the lowest first. */
static inline uint64_t
bench_spread (uint32_t half)
{
  uint64_t x = half;

  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
  return x + 0x4141414141414141u;
}

/* Sixteen letters that are another text for each number, and cost next to nothing to make: at the
 * speed of the floor, printf () would be most of what is measured. No NUL is written. */
static inline void
bench_text_write (char     *text,
                  uint64_t  number)
{
  uint64_t low = bench_spread ((uint32_t) number);
  uint64_t high = bench_spread ((uint32_t) (number >> 32));

  __builtin_memcpy (text, &low, 8);
  __builtin_memcpy (text + 8, &high, 8);
}

static inline int
bench_text_is (const char *text,
               uint64_t    number)
{
  uint64_t low = bench_spread ((uint32_t) number);
  uint64_t high = bench_spread ((uint32_t) (number >> 32));

  return __builtin_memcmp (text, &low, 8) == 0 && __builtin_memcmp (text + 8, &high, 8) == 0;
}

static inline uint64_t
bench_text_read (const char *text)
{
  uint64_t number = 0;

  for (int i = BENCH_TEXT_LEN - 1; i >= 0; i--)
    number = number << 4 | (uint64_t) ((text[i] - 'A') & 15);
  return number;
}
