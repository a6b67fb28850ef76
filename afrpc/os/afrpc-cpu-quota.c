/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A group may use no more than each of those that it lies in, and the kernel does not say what that comes to: the groups up to
 * the root of what is mounted are read, in version 2 and, where the processor is still there, version 1 of control groups:
 * see cgroups(7), and sched-bwc.rst and cgroup-v2.rst of the kernel. */
#include "config.h"

#include "os/afrpc-cpu-quota.h"

#include <stdio.h>
#include <string.h>

#define N_FIELDS_BEFORE_OPTIONAL 6 /* of a line of mountinfo: see proc_pid_mountinfo(5) */

/* Returns: @n, or how many processors' worth a quota is, if that is less: what is begun of one counts as one */
static guint
limit (guint   n,
       guint64 quota,
       guint64 period)
{
  return quota == 0 || period == 0 ? n : (guint) MIN (quota / period + (quota % period != 0), n);
}

static gboolean
read_number (const char *directory,
             const char *name,
             guint64    *number)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) &&
         g_ascii_string_to_unsigned (g_strstrip (text), 10, 0, G_MAXUINT64, number, NULL);
}

/* What one group may use. Without a limit it says "max", or -1, which are no numbers here. */
static guint
limit_by_group (const char *directory,
                gboolean    is_v2,
                guint       n)
{
  guint64 quota, period;

  if (is_v2)
    {
      g_autofree char *path = g_build_filename (directory, "cpu.max", NULL);
      g_autofree char *text = NULL;

      if (!g_file_get_contents (path, &text, NULL, NULL) ||
          sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &quota, &period) != 2)
        return n;
    }
  else if (!read_number (directory, "cpu.cfs_quota_us", &quota) || !read_number (directory, "cpu.cfs_period_us", &period))
    return n;

  return limit (n, quota, period);
}

/* Whether @list, in which commas are between, has @item. */
static gboolean
has_item (const char *list,
          const char *item)
{
  g_auto(GStrv) items = g_strsplit (list, ",", -1);

  return g_strv_contains ((const char *const *) items, item);
}

/* Returns: (transfer full) (nullable): which group the process is in, of the hierarchy that is for processors */
static char *
find_group (const char *groups,
            gboolean    is_v2)
{
  g_auto(GStrv) lines = g_strsplit (groups, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto(GStrv) fields = g_strsplit (lines[i], ":", 3);

      if (g_strv_length (fields) == 3 && (is_v2 ? g_str_equal (fields[0], "0") && *fields[1] == '\0' :
                                                  has_item (fields[1], "cpu")))
        return g_strdup (fields[2]);
    }

  return NULL;
}

/* Finds where the hierarchy is mounted, and which of its groups is seen there. */
static gboolean
find_mount (const char  *mounts,
            gboolean     is_v2,
            char       **top,
            char       **point)
{
  g_auto(GStrv) lines = g_strsplit (mounts, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto(GStrv) fields = g_strsplit (lines[i], " ", -1);
      const guint n = g_strv_length (fields);
      guint dash = N_FIELDS_BEFORE_OPTIONAL;

      while (dash < n && !g_str_equal (fields[dash], "-"))
        dash++;
      if (dash + 3 >= n || (is_v2 ? !g_str_equal (fields[dash + 1], "cgroup2") :
                                    !g_str_equal (fields[dash + 1], "cgroup") || !has_item (fields[dash + 3], "cpu")))
        continue;

      *top = g_strcompress (fields[3]);
      *point = g_strcompress (fields[4]);
      return TRUE;
    }

  return FALSE;
}

/* Returns: (nullable): what of @group is below @top, which may be all of it; %NULL: it does not lie there */
static const char *
strip (const char *group,
       const char *top)
{
  const gsize n = g_str_equal (top, "/") ? 0 : strlen (top);

  if (strncmp (group, top, n) != 0 || (group[n] != '\0' && group[n] != '/'))
    return NULL;

  return group + n;
}

static guint
limit_by_hierarchy (const char *root,
                    const char *groups,
                    const char *mounts,
                    gboolean    is_v2,
                    guint       n)
{
  g_autofree char *group = find_group (groups, is_v2);
  g_autofree char *top = NULL;
  g_autofree char *point = NULL;
  g_autofree char *below = NULL;

  if (group == NULL || !find_mount (mounts, is_v2, &top, &point))
    return n;

  /* Of one that is not seen here, what can be seen is the best that is known. */
  below = g_strdup (strip (group, top));
  if (below == NULL || strstr (below, "/..") != NULL)
    {
      g_free (below);
      below = g_strdup ("");
    }
  for (;;)
    {
      g_autofree char *directory = g_build_filename (root, point, below, NULL);
      char *slash = strrchr (below, '/');

      n = limit_by_group (directory, is_v2, n);
      if (slash == NULL)
        break;
      *slash = '\0';
    }

  return n;
}

/* Returns: how many processors' worth of time the process may use by the quotas of its control group and of all that this lies
 * in, at least 1; or @n, if that is less, or there are none. @root: where /proc and what is mounted are looked for */
guint
afrpc_cpu_quota_limit (const char *root,
                       guint       n)
{
  g_autofree char *groups_path = g_build_filename (root, "proc/self/cgroup", NULL);
  g_autofree char *mounts_path = g_build_filename (root, "proc/self/mountinfo", NULL);
  g_autofree char *groups = NULL;
  g_autofree char *mounts = NULL;

  if (!g_file_get_contents (groups_path, &groups, NULL, NULL) || !g_file_get_contents (mounts_path, &mounts, NULL, NULL))
    return n;

  n = limit_by_hierarchy (root, groups, mounts, TRUE, n);

  return limit_by_hierarchy (root, groups, mounts, FALSE, n);
}
