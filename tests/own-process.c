/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "own-process.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

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
