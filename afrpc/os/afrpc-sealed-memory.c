/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-sealed-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-fork-lock.h"
#include "os/afrpc-memory-file.h"
#include "os/afrpc-reopen.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

static AfrpcForkLock mutex;
static AfrpcSealedMemory *pool[AFRPC_SEALED_MEMORY_POOL_MAX]; /* oldest first */
static guint n_pooled;
static gsize pooled_size; /* bytes */

static gboolean
fail (const char  *what,
      GError     **error)
{
  int saved_errno = errno;

  g_set_error (error, AFRPC_ERROR, saved_errno == ENOMEM ? AFRPC_ERROR_TOO_LARGE : AFRPC_ERROR_FAILED,
               "%s shared memory: %s", what, g_strerror (saved_errno));

  return FALSE;
}

static void
memory_free (AfrpcSealedMemory *self)
{
  if (self->data != NULL)
    munmap (self->data, self->size);
  if (self->reader_fd >= 0)
    close (self->reader_fd);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self);
}

/* Whether nobody else has the memory open or mapped, whoever it was given to: then, and only then, the kernel
 * grants a lease for writing, fcntl_locking(2). A reader's descriptor is another open file than ours, which
 * lives until its last copy is closed, its last mapping is gone, and it is not on its way in a socket. */
gboolean
afrpc_sealed_memory_is_alone (const AfrpcSealedMemory *self)
{
  /* Whoever opened the file just now, which takes the right to trace us, would have us sent a signal: not SIGIO,
   * which ends a process, but one that does nothing unless somebody waits for it. */
  if (fcntl (self->fd, F_SETSIG, SIGURG) != 0 || fcntl (self->fd, F_SETLEASE, F_WRLCK) != 0)
    return FALSE;

  return fcntl (self->fd, F_SETLEASE, F_UNLCK) == 0;
}

/* The pool. It is called with the mutex; what it drops is freed without. */

static AfrpcSealedMemory *
take_pooled (guint i)
{
  AfrpcSealedMemory *memory = pool[i];

  pooled_size -= memory->size;
  n_pooled--;
  for (; i < n_pooled; i++)
    pool[i] = pool[i + 1];

  return memory;
}

/* Drops what is too old to be needed, belongs to the process that this one was forked from, or is more than
 * @n_max pieces and @size_max bytes. */
static guint
trim_pool (guint               n_max,
           gsize               size_max,
           AfrpcSealedMemory **dropped)
{
  const gint64 now = g_get_monotonic_time ();
  const int pid = getpid ();
  guint n_dropped = 0;

  for (guint i = n_pooled; i-- > 0;)
    if (pool[i]->pid != pid || now - pool[i]->freed_at_us > AFRPC_SEALED_MEMORY_POOL_US)
      dropped[n_dropped++] = take_pooled (i);
  while (n_pooled > n_max || pooled_size > size_max)
    dropped[n_dropped++] = take_pooled (0);

  return n_dropped;
}

static void
free_dropped (AfrpcSealedMemory **dropped,
              guint               n_dropped)
{
  while (n_dropped-- > 0)
    memory_free (dropped[n_dropped]);
}

static AfrpcSealedMemory *
find_pooled (gsize size)
{
  AfrpcSealedMemory *dropped[AFRPC_SEALED_MEMORY_POOL_MAX], *found = NULL;
  guint n_dropped;

  afrpc_fork_lock_lock (&mutex);
  n_dropped = trim_pool (AFRPC_SEALED_MEMORY_POOL_MAX, AFRPC_SEALED_MEMORY_POOL_SIZE_MAX, dropped);
  for (guint i = 0; i < n_pooled && found == NULL; i++)
    if (pool[i]->size == size && afrpc_sealed_memory_is_alone (pool[i]))
      found = take_pooled (i);
  afrpc_fork_lock_unlock (&mutex);
  free_dropped (dropped, n_dropped);

  return found;
}

static void
add_to_pool (AfrpcSealedMemory *self)
{
  AfrpcSealedMemory *dropped[AFRPC_SEALED_MEMORY_POOL_MAX];
  guint n_dropped;

  self->freed_at_us = g_get_monotonic_time ();
  afrpc_fork_lock_lock (&mutex);
  n_dropped = trim_pool (AFRPC_SEALED_MEMORY_POOL_MAX - 1, AFRPC_SEALED_MEMORY_POOL_SIZE_MAX - self->size, dropped);
  pool[n_pooled++] = self;
  pooled_size += self->size;
  afrpc_fork_lock_unlock (&mutex);
  free_dropped (dropped, n_dropped);
}

gsize
afrpc_sealed_memory_get_pooled (void)
{
  gsize size;

  afrpc_fork_lock_lock (&mutex);
  size = pooled_size;
  afrpc_fork_lock_unlock (&mutex);

  return size;
}

void
afrpc_sealed_memory_drop_pooled (void)
{
  AfrpcSealedMemory *dropped[AFRPC_SEALED_MEMORY_POOL_MAX];
  guint n_dropped;

  afrpc_fork_lock_lock (&mutex);
  n_dropped = trim_pool (0, 0, dropped);
  afrpc_fork_lock_unlock (&mutex);
  free_dropped (dropped, n_dropped);
}

static AfrpcSealedMemory *
memory_new (gsize    size,
            gboolean is_reused)
{
  AfrpcSealedMemory *self = g_new0 (AfrpcSealedMemory, 1);

  self->ref_count = self->n_holders = 1;
  self->size = size;
  self->fd = self->reader_fd = -1;
  self->is_reused = is_reused;

  return self;
}

static gboolean
map (AfrpcSealedMemory  *self,
     int                 protection,
     int                 flags,
     GError            **error)
{
  guint8 *data = mmap (self->data, self->size, protection, flags | (self->data != NULL ? MAP_FIXED : 0), self->fd, 0);

  /* What was there before may be gone then, and something else be there soon. */
  self->data = data != MAP_FAILED ? data : NULL;

  return self->data != NULL || fail ("mapping", error);
}

static gboolean
check_limit (gsize    size,
             GError **error)
{
  if (afrpc_memory_file_may_have (size))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
               "shared memory of %" G_GSIZE_FORMAT " bytes is over the limit of file sizes", size);
  return FALSE;
}

/* Makes a file that can be sealed. Whoever opened it counts as a writer of it only if it was really opened. */
static int
make_file (gsize    size,
           gboolean is_reused)
{
  int fd = afrpc_memory_file_new ("afrpc-buffer", size, SEALS_SIZE);
  int counted;

  if (fd < 0 || !is_reused || (counted = afrpc_reopen (fd, O_RDWR)) < 0)
    return fd;

  close (fd);
  return counted;
}

/* Gets memory for writing: of zeros, or, if @is_reused, of whatever it was used for before. */
AfrpcSealedMemory *
afrpc_sealed_memory_new (gsize      size,
                         gboolean   is_reused,
                         GError   **error)
{
  g_autoptr(AfrpcSealedMemory) self = NULL;

  if (is_reused)
    {
      self = find_pooled (size);
      if (self != NULL)
        {
          self->ref_count = self->n_holders = 1;
          self->is_sealed = FALSE;
          return g_steal_pointer (&self);
        }
    }

  if (!check_limit (size, error))
    return NULL;

  self = memory_new (size, is_reused);
  self->pid = getpid ();
  self->fd = make_file (size, is_reused);
  if (self->fd < 0)
    {
      fail ("making", error);
      return NULL;
    }
  if (!map (self, PROT_READ | PROT_WRITE, MAP_SHARED, error))
    return NULL;
  madvise (self->data, size, MADV_HUGEPAGE);

  return g_steal_pointer (&self);
}

static gboolean
refuse (const char  *why,
        GError     **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA, "the file descriptor is refused: %s", why);

  return FALSE;
}

/* Whatever it is, nothing here can block, and nothing that passes can make a reader fault. */
static gboolean
check_fd (int          fd,
          gsize        expected_size,
          gboolean     is_reused,
          gsize       *size,
          GError     **error)
{
  struct stat st;
  int seals = fd >= 0 ? fcntl (fd, F_GET_SEALS) : -1;

  if (fd < 0)
    return refuse ("there is none", error);
  /* Only memory that the kernel itself holds has seals. */
  if (seals < 0 || fstat (fd, &st) != 0 || !S_ISREG (st.st_mode))
    return refuse ("it is not shared memory", error);
  if ((seals & SEALS_SIZE) != SEALS_SIZE)
    return refuse ("its size is not sealed", error);
  if (!is_reused && (seals & F_SEAL_WRITE) == 0 && (seals & F_SEAL_FUTURE_WRITE) != 0)
    return refuse ("it is not sealed against writing by who made it, who may use it again: AFRPC_BUFFER_REUSED accepts that",
                   error);
  if ((seals & F_SEAL_WRITE) == 0 && !(is_reused && (seals & F_SEAL_FUTURE_WRITE) != 0))
    return refuse ("it is not sealed against writing", error);
  if (st.st_size <= 0 || (guint64) st.st_size > G_MAXSSIZE)
    return refuse ("it is empty", error);
  if (expected_size != 0 && (guint64) st.st_size != expected_size)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA,
                   "the file descriptor is refused: it has %" G_GINT64_FORMAT " bytes, not %" G_GSIZE_FORMAT,
                   (gint64) st.st_size, expected_size);
      return FALSE;
    }

  *size = st.st_size;
  return TRUE;
}

/* Maps memory that another process made and sealed; @fd becomes the memory's, or is closed. @size: that it must
 * have, or 0. @is_reused: whether its writer may go on to write to it. */
AfrpcSealedMemory *
afrpc_sealed_memory_new_take_fd (int        fd,
                                 gsize      size,
                                 gboolean   is_reused,
                                 GError   **error)
{
  g_autoptr(AfrpcSealedMemory) self = memory_new (0, is_reused);

  self->fd = fd;
  self->is_sealed = TRUE;
  if (!check_fd (fd, size, is_reused, &self->size, error))
    return NULL;
  /* Before Linux 6.7, sealed memory could only be mapped privately, even for reading. */
  if (!map (self, PROT_READ, MAP_PRIVATE, error))
    return NULL;

  return g_steal_pointer (&self);
}

AfrpcSealedMemory *
afrpc_sealed_memory_ref (AfrpcSealedMemory *self)
{
  __atomic_add_fetch (&self->ref_count, 1, __ATOMIC_RELAXED);

  return self;
}

void
afrpc_sealed_memory_unref (AfrpcSealedMemory *self)
{
  if (__atomic_sub_fetch (&self->ref_count, 1, __ATOMIC_ACQ_REL) > 0)
    return;

  /* From here on only readers have it open. */
  if (self->reader_fd >= 0)
    {
      close (self->reader_fd);
      self->reader_fd = -1;
    }
  if (self->is_reused && self->pid == getpid () && self->data != NULL &&
      self->size <= AFRPC_SEALED_MEMORY_POOL_SIZE_MAX)
    add_to_pool (self);
  else
    memory_free (self);
}

void
afrpc_sealed_memory_hold (AfrpcSealedMemory *self)
{
  __atomic_add_fetch (&self->n_holders, 1, __ATOMIC_RELAXED);
  afrpc_sealed_memory_ref (self);
}

/* Without anybody who could ask for it, the descriptor is needed only to see whether the memory can be used again. */
void
afrpc_sealed_memory_release (AfrpcSealedMemory *self)
{
  if (__atomic_sub_fetch (&self->n_holders, 1, __ATOMIC_ACQ_REL) == 0 && (self->pid == 0 || !self->is_reused))
    {
      close (self->fd);
      self->fd = -1;
    }
  afrpc_sealed_memory_unref (self);
}

/* Ends writing for everybody but us, who have it mapped. The kernel has to tell of readers, and of their absence;
 * otherwise the memory is not to be used again. */
static gboolean
seal_for_others (AfrpcSealedMemory *self)
{
  if (afrpc_sealed_memory_is_alone (self))
    self->reader_fd = afrpc_reopen (self->fd, O_RDONLY);
  if (self->reader_fd >= 0 && !afrpc_sealed_memory_is_alone (self) &&
      fcntl (self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0)
    return TRUE;

  if (self->reader_fd >= 0)
    close (self->reader_fd);
  self->reader_fd = -1;
  self->is_reused = FALSE;

  return FALSE;
}

static gboolean
seal_for_all (AfrpcSealedMemory  *self,
              GError            **error)
{
  /* What is mapped for writing cannot be sealed. */
  if (!map (self, PROT_READ, MAP_PRIVATE, error))
    return FALSE;
  if (fcntl (self->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    {
      fail ("sealing", error);
      map (self, PROT_READ | PROT_WRITE, MAP_SHARED, NULL);
      return FALSE;
    }

  return TRUE;
}

/* Ends writing, for everybody; or, if the memory is to be used again, for everybody else. It stays where it is
 * mapped. */
gboolean
afrpc_sealed_memory_seal (AfrpcSealedMemory  *self,
                          GError            **error)
{
  if (self->is_sealed)
    return TRUE;

  if (self->is_reused && (fcntl (self->fd, F_GET_SEALS) & F_SEAL_FUTURE_WRITE) != 0)
    {
      self->reader_fd = afrpc_reopen (self->fd, O_RDONLY);
      self->is_sealed = self->reader_fd >= 0 || fail ("opening", error);
    }
  else
    self->is_sealed = (self->is_reused && seal_for_others (self)) || seal_for_all (self, error);

  return self->is_sealed;
}
