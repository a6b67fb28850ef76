/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How much memory a process has for itself. */
#include "config.h"

#include "os/afrpc-memory-usage.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (8u << 20)

static void
test_memory_usage_grows (void)
{
  guint64 before, after, rough;
  char *memory;

  g_test_summary ("What is written to counts, and what is below what matters is not looked at closely");
  g_assert_true (afrpc_memory_usage_read (getpid (), 0, &before));
  memory = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (memory != MAP_FAILED);
  memset (memory, 1, SIZE);
  g_assert_true (afrpc_memory_usage_read (getpid (), 0, &after));
  g_assert_cmpuint (after, >=, before + SIZE / 2);
  g_assert_cmpuint (after, <=, before + 2 * SIZE);
  g_assert_true (afrpc_memory_usage_read (getpid (), G_MAXINT64, &rough));
  g_assert_cmpuint (rough, >=, after);
  g_assert_true (afrpc_memory_usage_read (getpid (), 1, &rough));
  g_assert_cmpuint (rough, <=, after + SIZE / 2);
  munmap (memory, SIZE);
}

static void
test_memory_usage_gone (void)
{
  guint64 bytes;
  int pid = fork ();

  g_test_summary ("Of a process that has ended nobody knows");
  if (pid == 0)
    _exit (0);
  while (waitpid (pid, NULL, 0) < 0)
    ;
  errno = 0;
  g_assert_false (afrpc_memory_usage_read (pid, 0, &bytes));
  g_assert_cmpint (errno, ==, ENOENT);
  g_assert_false (afrpc_memory_usage_read (0, 0, &bytes));
  g_assert_cmpint (errno, ==, ESRCH);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/memory-usage/grows", test_memory_usage_grows);
  g_test_add_func ("/memory-usage/gone", test_memory_usage_gone);

  return g_test_run ();
}
