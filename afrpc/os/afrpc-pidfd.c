/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-pidfd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/afrpc-process-name.h"

/* From Linux 6.13 on, in a system call; <linux/pidfd.h> of today's systems does not have it yet. */
typedef struct
{
  guint64 mask;
  guint64 cgroup_id;
  guint32 pid;
  guint32 tgid;
  guint32 ppid;
  guint32 rest[9];
} PidfdInfo;

#define PIDFD_INFO _IOWR (0xff, 11, PidfdInfo)

/* Reads what @path has behind @key at the beginning of a line. */
static gboolean
read_number (const char *path,
             const char *key,
             int        *number)
{
  char line[256];
  gboolean found = FALSE;
  FILE *file = fopen (path, "re");

  if (file == NULL)
    return FALSE;
  while (!found && fgets (line, sizeof line, file) != NULL)
    if (strncmp (line, key, strlen (key)) == 0)
      {
        *number = atoi (line + strlen (key));
        found = TRUE;
      }
  fclose (file);

  return found;
}

/* FALSE: it is no pidfd. @pid: -1 if the process has been reaped. */
static gboolean
look_up (int  pidfd,
         int *pid,
         int *parent_pid)
{
  PidfdInfo info = { 0 };
  char path[64];

  if (ioctl (pidfd, PIDFD_INFO, &info) == 0)
    {
      *pid = info.tgid;
      *parent_pid = info.ppid;
      return TRUE;
    }

  g_snprintf (path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  if (!read_number (path, "Pid:", pid))
    return FALSE;
  g_snprintf (path, sizeof path, "/proc/%d/status", *pid);
  /* It may have been reaped meanwhile. */
  if (*pid > 0 && !read_number (path, "PPid:", parent_pid))
    *pid = -1;

  return TRUE;
}

/* FALSE: it is no pidfd. @pid (out): whose it is, or -1 if that process has been reaped. */
gboolean
afrpc_pidfd_get_pid (int  pidfd,
                     int *pid)
{
  int parent_pid;

  return look_up (pidfd, pid, &parent_pid);
}

/* Whether @pidfd is of the process @pid, a child of @parent_pid (0: of anybody), or of one that is no more. */
gboolean
afrpc_pidfd_is_process (int pidfd,
                        int pid,
                        int parent_pid)
{
  int found_pid, found_parent_pid = 0;

  if (!look_up (pidfd, &found_pid, &found_parent_pid))
    return FALSE;

  return found_pid < 0 || (found_pid == pid && (parent_pid == 0 || found_parent_pid == parent_pid));
}

/* A descriptor may be moved to a lower number while they are looked through. */
#define LOOKS 3

static gboolean
is_link_to (int         dir_fd,
            const char *path,
            const char *socket,
            gboolean   *is_link)
{
  char text[64];
  const gssize n = readlinkat (dir_fd, path, text, sizeof text - 1);

  *is_link = n > 0;
  if (n <= 0)
    return FALSE;

  text[n] = '\0';
  return strcmp (text, socket) == 0;
}

static int
look_for_socket (DIR        *dir,
                 const char *socket)
{
  const struct dirent *entry;
  gboolean has_any = FALSE;

  rewinddir (dir);
  while ((entry = readdir (dir)) != NULL)
    {
      gboolean is_link;

      if (is_link_to (dirfd (dir), entry->d_name, socket, &is_link))
        return 1;
      has_any |= is_link;
    }

  return has_any ? 0 : -1;
}

/* Whether the process has the socket that has this number, most likely as @fd. -1: nobody can tell, as it is ending, or
 * not to be looked at. */
int
afrpc_pidfd_has_socket (int     pid,
                        guint64 inode,
                        int     fd)
{
  char path[64], socket[64];
  gboolean is_link;
  int has = 0;
  DIR *dir;

  g_snprintf (socket, sizeof socket, "socket:[%" G_GUINT64_FORMAT "]", inode);
  g_snprintf (path, sizeof path, "/proc/%d/fd/%d", pid, fd);
  if (is_link_to (AT_FDCWD, path, socket, &is_link))
    return 1;

  g_snprintf (path, sizeof path, "/proc/%d/fd", pid);
  dir = opendir (path);
  if (dir == NULL)
    return -1;

  for (guint i = 0; i < LOOKS && has == 0; i++)
    has = look_for_socket (dir, socket);
  closedir (dir);

  return has;
}

/* Whether the process was forked with the socket. One that has died has its name only; one that lives may have got the
 * socket to give it to what it forks, and not have come to that. */
static gboolean
was_forked_with (int     pid,
                 guint64 inode,
                 int     fd)
{
  char path[64], expected[AFRPC_PROCESS_NAME_SIZE], name[AFRPC_PROCESS_NAME_SIZE + 1] = "";
  FILE *file;

  g_snprintf (path, sizeof path, "/proc/%d/comm", pid);
  file = fopen (path, "re");
  if (file == NULL)
    return FALSE;
  if (fgets (name, sizeof name, file) == NULL)
    name[0] = '\0';
  fclose (file);
  name[strcspn (name, "\n")] = '\0';
  afrpc_process_name_get_forked (inode, expected);
  if (afrpc_process_name_is_given (name))
    return strcmp (name, expected) == 0;

  return afrpc_pidfd_has_socket (pid, inode, fd) == 1;
}

static int
find_among (const char  *path,
            guint64      inode,
            int          fd,
            gboolean   (*skips) (int pid),
            int          other_pid)
{
  FILE *file = fopen (path, "re");
  int found = 0, pid;

  if (file == NULL)
    return 0;
  while (found == 0 && fscanf (file, "%d", &pid) == 1)
    if (pid != other_pid && !skips (pid) && was_forked_with (pid, inode, fd))
      found = pid;
  fclose (file);

  return found;
}

/* Returns: the child of this process, whichever thread's, that has the socket, or was forked with it and has died, and that
 * neither @skips nor @other_pid names; 0: there is none, as far as the kernel tells */
int
afrpc_pidfd_find_child (guint64    inode,
                        int        fd,
                        gboolean (*skips) (int pid),
                        int        other_pid)
{
  DIR *threads = opendir ("/proc/self/task");
  const struct dirent *entry;
  int pid = 0;

  if (threads == NULL)
    return 0;
  while (pid == 0 && (entry = readdir (threads)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/children", entry->d_name);

      pid = find_among (path, inode, fd, skips, other_pid);
    }
  closedir (threads);

  return pid;
}
