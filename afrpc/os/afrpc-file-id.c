/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-file-id.h"

#include <sys/stat.h>

AfrpcFileId
afrpc_file_id_get (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 ? (AfrpcFileId) { st.st_dev, st.st_ino } : (AfrpcFileId) { 0, 0 };
}

/* Whether @fd is still what it was. */
gboolean
afrpc_file_id_is (const AfrpcFileId *self,
                  int                fd)
{
  const AfrpcFileId now = afrpc_file_id_get (fd);

  return now.inode != 0 && now.inode == self->inode && now.device == self->device;
}
