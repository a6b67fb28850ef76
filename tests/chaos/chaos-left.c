/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is: descriptors, children, memory; and signals, to nobody else's processes. */
#include "chaos.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Name, state and parent of a process; FALSE if there is none. */
static gboolean
read_stat (int   pid,
           char  name[32],
           char *state,
           int  *parent)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  char *open, *close;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  open = strchr (text, '(');
  close = strrchr (text, ')');
  if (open == NULL || close == NULL)
    return FALSE;
  *close = '\0';
  g_strlcpy (name, open + 1, 32);

  return sscanf (close + 1, " %c %d", state, parent) == 2;
}

static gboolean
is_descendant (int pid)
{
  char name[32], state;
  int parent = pid;

  if (pid == getpid ())
    return FALSE;
  while (parent > 1 && parent != getpid ())
    if (!read_stat (parent, name, &state, &parent))
      return FALSE;

  return parent == getpid ();
}

/* As proc(5) has it; '-' if there is no such process. */
char
chaos_process_state (int pid)
{
  char name[32], state = '-';
  int parent;

  return pid > 0 && read_stat (pid, name, &state, &parent) ? state : '-';
}

/* Of this process, and not of one in between. */
gboolean
chaos_is_child (int pid)
{
  char name[32], state;
  int parent;

  return read_stat (pid, name, &state, &parent) && parent == getpid ();
}

/* The number may have become another's: looked at while its descriptor holds it. */
gboolean
chaos_signal (int pid,
              int signum)
{
  const int fd = syscall (SYS_pidfd_open, pid, 0);
  gboolean is_sent;

  if (fd < 0)
    return FALSE;
  is_sent = is_descendant (pid) && syscall (SYS_pidfd_send_signal, fd, signum, NULL, 0) == 0;
  close (fd);

  return is_sent;
}

/* @names: (nullable): gets what they are */
guint
chaos_count_fds (GString *names)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *entry;
  guint n = 0;

  while ((entry = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/fd/%s", entry);
      g_autofree char *target = names != NULL ? g_file_read_link (path, NULL) : NULL;

      n++;
      if (target != NULL)
        g_string_append_printf (names, " %s=%s", entry, target);
    }

  return n;
}

/* All that are @parent's, zombies too; @names: (nullable): gets what they are */
guint
chaos_count_children (int      parent,
                      GString *names)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc", 0, NULL);
  const char *entry;
  guint n = 0;

  while ((entry = g_dir_read_name (dir)) != NULL)
    {
      const int pid = atoi (entry);
      char name[32], state;
      int its_parent;

      if (pid <= 0 || !read_stat (pid, name, &state, &its_parent) || its_parent != parent)
        continue;
      n++;
      if (names != NULL)
        g_string_append_printf (names, " %s (pid %d, state %c)", name, pid, state);
    }

  return n;
}

/* Bytes that are allocated by the main thread. */
gsize
chaos_heap (void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ (2, 33)
  const struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}
