/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-tool-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <afrpc/afrpc.h>

#include "afrpc-tool.h"
#include "wire/afrpc-overture.h"

#define BLOCK_SIZE (64u << 10) /* bytes, to be read here */
#define DIGITS 64u             /* of a SHA-256 */

/* Whether it is something that can be asked for: what is a path is not made of anything else. */
gboolean
afrpc_tool_cache_check (const AfrpcToolCached  *what,
                        GError                **error)
{
  if (strlen (what->sha256) == DIGITS && strspn (what->sha256, "0123456789abcdef") == DIGITS &&
      *what->name != '\0' && !g_str_equal (what->name, ".") && !g_str_equal (what->name, "..") &&
      strchr (what->name, '/') == NULL && what->size <= AFRPC_OVERTURE_FILE_MAX)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, _("The program wants to send what is no module: “%s”"), what->name);
  return FALSE;
}

static char *
get_root (void)
{
  return g_build_filename (g_get_user_cache_dir (), AFRPC_OVERTURE_CACHE, NULL);
}

/* Whether nobody but the user can have put something there. */
static gboolean
is_ours (const struct stat *status)
{
  return status->st_uid == geteuid () && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static gboolean
is_our_folder (const char *path)
{
  struct stat status;

  return lstat (path, &status) == 0 && S_ISDIR (status.st_mode) && is_ours (&status);
}

/* Returns: (nullable): the sum of what is in an open file */
static char *
compute_sum (int fd)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *block = g_malloc (BLOCK_SIZE);

  for (;;)
    {
      const gssize n = read (fd, block, BLOCK_SIZE);

      if (n > 0)
        g_checksum_update (sum, block, n);
      else if (n == 0)
        return g_strdup (g_checksum_get_string (sum));
      else if (errno != EINTR)
        return NULL;
    }
}

/* Whether it is there, whole and unchanged. */
gboolean
afrpc_tool_cache_has (const AfrpcToolCached *what)
{
  g_autofree char *root = get_root ();
  g_autofree char *folder = g_build_filename (root, what->sha256, NULL);
  g_autofree char *path = g_build_filename (folder, what->name, NULL);
  g_autofree char *sum = NULL;
  struct stat status;
  int fd;

  if (!is_our_folder (root) || !is_our_folder (folder))
    return FALSE;
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return FALSE;

  if (fstat (fd, &status) == 0 && S_ISREG (status.st_mode) && is_ours (&status) && (guint64) status.st_size == what->size)
    sum = compute_sum (fd);
  close (fd);

  return g_strcmp0 (sum, what->sha256) == 0;
}

static gboolean
set_write_error (const char  *path,
                 int          errnum,
                 GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, _("Cannot keep a module in “%s”: %s"), path, g_strerror (errnum));

  return FALSE;
}

static gboolean
make_our_folder (const char  *path,
                 GError     **error)
{
  if (g_mkdir_with_parents (path, 0700) != 0)
    return set_write_error (path, errno, error);
  if (is_our_folder (path))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
               _("Cannot keep a module in “%s”: it is not a folder in which only you can write"), path);
  return FALSE;
}

static gboolean
make_folder (const char  *root,
             const char  *folder,
             GError     **error)
{
  return make_our_folder (root, error) && make_our_folder (folder, error);
}

/* Writes as much as @what has to an open file, and looks whether it is that. */
static gboolean
receive (const AfrpcToolCached  *what,
         AfrpcToolReadFunc       read_func,
         int                     fd,
         const char             *path,
         GError                **error)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *block = g_malloc (AFRPC_OVERTURE_PIECE);

  for (guint64 left = what->size; left > 0;)
    {
      const gsize n = MIN (left, AFRPC_OVERTURE_PIECE);

      if (!read_func (block, n, error))
        return FALSE;
      g_checksum_update (sum, block, n);
      if (!afrpc_tool_write (fd, block, n))
        return set_write_error (path, errno, error);
      left -= n;
    }
  if (strcmp (g_checksum_get_string (sum), what->sha256) == 0)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, _("The module “%s” was damaged on its way"), what->name);
  return FALSE;
}

/* Takes what comes. It is there as a whole, or not at all, whoever else does the same meanwhile. */
gboolean
afrpc_tool_cache_store (const AfrpcToolCached  *what,
                        AfrpcToolReadFunc       read_func,
                        GError                **error)
{
  g_autofree char *root = get_root ();
  g_autofree char *folder = g_build_filename (root, what->sha256, NULL);
  g_autofree char *path = g_build_filename (folder, what->name, NULL);
  g_autofree char *temporary = g_build_filename (folder, ".XXXXXX", NULL);
  gboolean ok;
  int fd;

  if (!make_folder (root, folder, error))
    return FALSE;
  fd = g_mkstemp_full (temporary, O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0)
    return set_write_error (folder, errno, error);

  ok = receive (what, read_func, fd, temporary, error);
  if (close (fd) != 0 && ok)
    ok = set_write_error (temporary, errno, error);
  if (ok && rename (temporary, path) != 0)
    ok = set_write_error (path, errno, error);
  if (!ok)
    unlink (temporary);

  return ok;
}
