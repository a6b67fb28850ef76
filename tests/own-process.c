/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "own-process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
/* Where memory is mapped or unmapped, the sanitizer clears what it knows of it: if that is large, by mapping other
 * memory, which is its end where there is none to be had. By default that is from 64 KiB on. */
const char *__asan_default_options (void);

const char *
__asan_default_options (void)
{
  return "clear_shadow_mmap_threshold=1073741824"; /* bytes */
}
#endif

guint
own_process_count_fds (void)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;

  return n;
}

void
own_process_assert_no_children (void)
{
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG | __WALL), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
}

guint64
own_process_limit_fds (guint64 limit)
{
  struct rlimit both;
  guint64 before;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &both));
  before = both.rlim_cur;
  both.rlim_cur = limit;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &both));

  return before;
}

int
own_process_lowest_fd (void)
{
  int fd;

  g_assert_no_errno (fd = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  close (fd);

  return fd;
}

gboolean
own_process_is_under_valgrind (void)
{
  const char *preloaded = g_getenv ("LD_PRELOAD");

  return preloaded != NULL && strstr (preloaded, "vgpreload") != NULL;
}

gboolean
own_process_can_be_without_memory (void)
{
#ifdef __SANITIZE_THREAD__
  return FALSE;
#else
  return !own_process_is_under_valgrind ();
#endif
}
