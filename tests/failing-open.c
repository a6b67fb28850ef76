/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "failing-open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Any thread may open something. */
static const char *failing_name;
static int n_left;
static int n_failed;
static int n_opened;
static int slow_ms;

/* Changed while there is no other thread. */
static const char *redirected;
static const char *redirected_to;

static GMutex lock;
static gint64 last_end;  /* (locked) 0: there was none */
static gint64 least_gap; /* (locked) */

void
failing_open_begin (const char *name,
                    guint       n)
{
  g_atomic_int_set (&n_left, n);
  g_atomic_int_set (&n_failed, 0);
  g_atomic_int_set (&n_opened, 0);
  g_atomic_int_set (&slow_ms, 0);
  last_end = 0;
  least_gap = G_MAXINT64;
  g_atomic_pointer_set (&failing_name, name);
}

void
failing_open_end (void)
{
  g_atomic_int_set (&n_left, 0);
}

void
failing_open_slow_down (guint ms)
{
  g_atomic_int_set (&slow_ms, ms);
}

gint64
failing_open_get_least_gap_us (void)
{
  gint64 gap;

  g_mutex_lock (&lock);
  gap = least_gap;
  g_mutex_unlock (&lock);

  return gap;
}

guint
failing_open_get_n_failed (void)
{
  return g_atomic_int_get (&n_failed);
}

guint
failing_open_get_n_opened (void)
{
  return g_atomic_int_get (&n_opened);
}

void
failing_open_redirect (const char *prefix,
                       const char *directory)
{
  redirected = prefix;
  redirected_to = directory;
}

/* Whether one more is to fail: each of them is taken by one thread. */
static gboolean
take_one (void)
{
  int n = g_atomic_int_get (&n_left);

  while (n > 0 && !g_atomic_int_compare_and_exchange (&n_left, n, n - 1))
    n = g_atomic_int_get (&n_left);

  return n > 0;
}

/* Whether it is one of those that are counted. */
static gboolean
is_meant (const char *path)
{
  const char *name = g_atomic_pointer_get (&failing_name);
  const char *slash = strrchr (path, '/');

  return name != NULL && strcmp (slash != NULL ? slash + 1 : path, name) == 0;
}

/* One thread after the other. */
static void
take_time (void)
{
  g_mutex_lock (&lock);
  if (last_end > 0)
    least_gap = MIN (least_gap, g_get_monotonic_time () - last_end);
  g_usleep (g_atomic_int_get (&slow_ms) * 1000);
  last_end = g_get_monotonic_time ();
  g_mutex_unlock (&lock);
}

int
open (const char *path,
      int         flags,
      ...)
{
  g_autofree char *other = NULL;
  mode_t mode = 0;
  va_list args;

  va_start (args, flags);
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
    mode = va_arg (args, mode_t);
  va_end (args);
  if (is_meant (path))
    {
      if (take_one ())
        {
          g_atomic_int_inc (&n_failed);
          errno = EMFILE;
          return -1;
        }
      take_time ();
      g_atomic_int_inc (&n_opened);
    }

  if (redirected != NULL && g_str_has_prefix (path, redirected))
    path = other = g_build_filename (redirected_to, path + strlen (redirected), NULL);

  return syscall (SYS_openat, AT_FDCWD, path, flags, mode);
}
