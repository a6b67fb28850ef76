/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static AfrpcPage *
map_page (int      fd,
          GError **error)
{
  AfrpcPage *page = mmap (NULL, AFRPC_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  if (page == MAP_FAILED)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "mapping shared memory: %s", g_strerror (errno));
      return NULL;
    }

  return page;
}

/* Returns: the page, and its file descriptor in @fd, owned by the caller. */
AfrpcPage *
afrpc_page_create (int     *fd,
                   GError **error)
{
  AfrpcPage *page;
  int memfd = memfd_create ("afrpc", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  if (memfd < 0 || ftruncate (memfd, AFRPC_PAGE_SIZE) != 0 || fcntl (memfd, F_ADD_SEALS, SEALS) != 0)
    {
      int saved_errno = errno;

      if (memfd >= 0)
        close (memfd);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                   "making shared memory: %s", g_strerror (saved_errno));
      return NULL;
    }

  page = map_page (memfd, error);
  if (page == NULL)
    {
      close (memfd);
      return NULL;
    }

  *fd = memfd;
  return page;
}

/* Maps a page that another process made; @fd stays the caller's. */
AfrpcPage *
afrpc_page_map (int      fd,
                GError **error)
{
  struct stat st;
  int seals = fcntl (fd, F_GET_SEALS);

  if (seals < 0 || (seals & SEALS) != SEALS || fstat (fd, &st) != 0 || st.st_size != (off_t) AFRPC_PAGE_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "shared memory that is not sealed or not of %" G_GSIZE_FORMAT " bytes", AFRPC_PAGE_SIZE);
      return NULL;
    }

  return map_page (fd, error);
}

void
afrpc_page_unmap (AfrpcPage *page)
{
  if (page != NULL)
    munmap (page, AFRPC_PAGE_SIZE);
}
