/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-memory-usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 4096u /* bytes; smaps_rollup has some 700 */

/* Reads a file of the process, which fits. FALSE: errno says why not. */
static gboolean
read_file (int         pid,
           const char *name,
           char        text[TEXT_SIZE])
{
  char path[64];
  gssize n;
  int fd, error;

  g_snprintf (path, sizeof path, "/proc/%d/%s", pid, name);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return FALSE;
  do
    n = read (fd, text, TEXT_SIZE - 1);
  while (n < 0 && errno == EINTR);
  error = n < 0 ? errno : ESRCH;
  close (fd);
  if (n <= 0)
    {
      errno = error;
      return FALSE;
    }
  text[n] = '\0';

  return TRUE;
}

/* Adds up what the lines that begin with @name say. FALSE: there are none */
static gboolean
add_up (const char *text,
        const char *name,
        guint64    *bytes)
{
  gboolean is_there = FALSE;

  *bytes = 0;
  for (const char *line = text; line != NULL; line = strchr (line, '\n'))
    {
      const char *colon;

      line += *line == '\n';
      colon = g_str_has_prefix (line, name) ? strchr (line, ':') : NULL;
      if (colon == NULL)
        continue;
      *bytes += strtoull (colon + 1, NULL, 10) * 1024;
      is_there = TRUE;
    }

  return is_there;
}

/* Reads how many bytes of memory a process has that no other has: see proc_pid_smaps(5). The kernel looks at all its pages,
 * which takes the longer the more it has; if it has no more than @enough altogether, which is known at once, that is
 * what is read. FALSE: it has ended, or may not be asked, or the kernel is older than Linux 4.14: errno says which. */
gboolean
afrpc_memory_usage_read (int      pid,
                         guint64  enough,
                         guint64 *bytes)
{
  char text[TEXT_SIZE];
  guint64 n_pages;

  if (pid <= 0)
    {
      errno = ESRCH;
      return FALSE;
    }
  if (enough > 0 && read_file (pid, "statm", text) && sscanf (text, "%*u %" G_GUINT64_FORMAT, &n_pages) == 1 &&
      n_pages * sysconf (_SC_PAGESIZE) <= enough)
    {
      *bytes = n_pages * sysconf (_SC_PAGESIZE);
      return TRUE;
    }

  if (!read_file (pid, "smaps_rollup", text))
    return FALSE;
  if (add_up (text, "Private_", bytes))
    return TRUE;

  errno = ENODATA;

  return FALSE;
}
