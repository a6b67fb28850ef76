/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-module-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "wire/afrpc-overture.h"

#define NS_PER_SECOND G_GINT64_CONSTANT (1000000000)
/* The time of a change is that of the last tick, or on some file systems that of the last second or two, and of another
 * machine's clock: what was changed just before it was read may be changed again and look the same. */
#define SETTLED_NS (10 * NS_PER_SECOND)

static gint64
to_ns (const struct timespec *time)
{
  return time->tv_sec * NS_PER_SECOND + time->tv_nsec;
}

/* Of the two times, anybody can set that of the contents to what it was before. */
static void
note_stat (AfrpcModuleFile   *self,
           const struct stat *status)
{
  self->device = status->st_dev;
  self->inode = status->st_ino;
  self->size = status->st_size;
  self->changed_ns = to_ns (&status->st_ctim);
}

/* Returns: (nullable): what is in it; NULL with errno set */
static GBytes *
read_all (int   fd,
          gsize size)
{
  guint8 *data = g_malloc (size);
  gsize n = 0;

  while (n < size)
    {
      const gssize here = read (fd, data + n, size - n);

      if (here > 0)
        n += here;
      else if (here == 0)
        break;
      else if (errno != EINTR)
        {
          g_free (data);
          return NULL;
        }
    }

  /* Somebody is writing it: what there is of it is what its sum is for. */
  return g_bytes_new_take (data, n);
}

static gboolean
check_status (const struct stat  *status,
              const char         *path,
              GError            **error)
{
  if (!S_ISREG (status->st_mode))
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "cannot send the module '%s': it is no regular file", path);
  else if (status->st_size > AFRPC_OVERTURE_FILE_MAX)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "cannot send the module '%s': it has %" G_GINT64_FORMAT " bytes, "
                 "the limit is %u", path, (gint64) status->st_size, AFRPC_OVERTURE_FILE_MAX);
  else
    return TRUE;

  return FALSE;
}

/* Returns: (nullable): AFRPC_ERROR_MODULE, AFRPC_ERROR_TOO_LARGE */
AfrpcModuleFile *
afrpc_module_file_load (const char  *path,
                        GError     **error)
{
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  AfrpcModuleFile *self = NULL;
  GBytes *contents = NULL;
  struct timespec now;
  struct stat status;

  clock_gettime (CLOCK_REALTIME, &now);
  if (fd < 0 || fstat (fd, &status) != 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "cannot send the module '%s': %s", path, g_strerror (errno));
  else if (check_status (&status, path, error))
    {
      contents = read_all (fd, status.st_size);
      if (contents == NULL)
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "cannot send the module '%s': %s", path, g_strerror (errno));
    }
  if (fd >= 0)
    close (fd);
  if (contents == NULL)
    return NULL;

  self = g_rc_box_new0 (AfrpcModuleFile);
  self->contents = contents;
  self->sha256 = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, contents);
  self->name = g_path_get_basename (path);
  note_stat (self, &status);
  self->is_settled = to_ns (&now) - self->changed_ns > SETTLED_NS;

  return self;
}

/* Whether the file is still the one that was read, as far as can be seen from outside. */
gboolean
afrpc_module_file_is_current (const AfrpcModuleFile *self,
                              const char            *path)
{
  AfrpcModuleFile now = { 0 };
  struct stat status;

  if (!self->is_settled || stat (path, &status) != 0)
    return FALSE;

  note_stat (&now, &status);
  return now.device == self->device && now.inode == self->inode && now.size == self->size &&
         now.changed_ns == self->changed_ns;
}

AfrpcModuleFile *
afrpc_module_file_ref (AfrpcModuleFile *self)
{
  return g_rc_box_acquire (self);
}

static void
clear (AfrpcModuleFile *self)
{
  g_free (self->sha256);
  g_free (self->name);
  g_bytes_unref (self->contents);
}

void
afrpc_module_file_unref (AfrpcModuleFile *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) clear);
}
