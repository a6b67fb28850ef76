/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker module that computes SHA-256 of files that it gets open, and may open none itself: so that whatever
 * goes wrong in it cannot read or write anything else. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024) /* bytes */

/* All that the first version of Landlock knows; see landlock(7). */
#define EVERYTHING ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

AFRPC_FUNCTION (sha256, "(h)")

AFRPC_EXPORT gboolean lock (AfrpcWorker *worker, GVariant *args, GError **error);

/* An init function: from here on, opening fails with EACCES. */
gboolean
lock (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  const struct landlock_ruleset_attr ruleset = { .handled_access_fs = EVERYTHING };
  int fd = syscall (SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
  gboolean success = fd >= 0 && prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                     syscall (SYS_landlock_restrict_self, fd, 0) == 0;
  int errnum = errno;

  if (fd >= 0)
    close (fd);
  if (!success)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED, "the kernel does not lock: %s", g_strerror (errnum));
  else if (open ("/", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the lock is open");
      success = FALSE;
    }

  return success;
}

/* The argument is a handle: the index of the file descriptor in what came with the call. */
GVariant *
sha256 (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  static guchar block[BLOCK_SIZE];
  g_autoptr(GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gint32 handle;
  gssize n;
  int fd;

  g_variant_get (args, "(h)", &handle);
  fd = afrpc_worker_steal_call_fd (worker, handle);
  while ((n = read (fd, block, sizeof block)) != 0)
    {
      if (n > 0)
        g_checksum_update (checksum, block, n);
      else if (errno != EINTR)
        {
          g_set_error_literal (error, G_FILE_ERROR, g_file_error_from_errno (errno), g_strerror (errno));
          break;
        }
    }
  if (fd >= 0)
    close (fd);

  return n == 0 ? g_variant_new_string (g_checksum_get_string (checksum)) : NULL;
}
