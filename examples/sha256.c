/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker module that computes SHA-256 of files, for
 *
 *     cc -shared -fPIC -o sha256.so sha256.c $(pkg-config --cflags --libs afrpc-worker-1.0)
 *     find . -type f -print0 | afrpc map -0 --keep-order ./sha256.so sha256
 */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024) /* bytes */

AFRPC_FUNCTION (sha256, "(s)")
AFRPC_FUNCTION (sha256_bytes, "(ay)")

static gboolean
checksum_update (GChecksum *checksum,
                 int        fd)
{
  static guchar block[BLOCK_SIZE];
  ssize_t n;

  while ((n = read (fd, block, sizeof block)) != 0)
    {
      if (n > 0)
        g_checksum_update (checksum, block, n);
      else if (errno != EINTR)
        return FALSE;
    }

  return TRUE;
}

/* Returns: (transfer full) (nullable): a line as sha256sum prints it, without the line's end */
static char *
digest_line (const char  *path,
             GError     **error)
{
  g_autoptr(GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean success = fd >= 0 && checksum_update (checksum, fd);
  int errnum = errno;

  if (fd >= 0)
    close (fd);
  if (!success)
    {
      g_set_error_literal (error, G_FILE_ERROR, g_file_error_from_errno (errnum),
                           g_strerror (errnum));
      return NULL;
    }

  return g_strconcat (g_checksum_get_string (checksum), "  ", path, NULL);
}

/* The path as a string: fails where a file's name is not UTF-8, which it need not be. */
GVariant *
sha256 (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  const char *path;
  char *line;

  g_variant_get (args, "(&s)", &path);
  line = digest_line (path, error);

  return line != NULL ? g_variant_new_take_string (line) : NULL;
}

/* The same for any file's name, for "afrpc map --bytes". */
GVariant *
sha256_bytes (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  g_autofree char *line = NULL;
  const char *path;

  g_variant_get (args, "(^&ay)", &path);
  line = digest_line (path, error);

  return line != NULL ? g_variant_new_bytestring (line) : NULL;
}
