/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-payload-memory.h"

#include <sys/mman.h>

#include "os/afrpc-fork-lock.h"

/* On most machines. Elsewhere it is only what sizes are rounded to. */
#define HUGE_PAGE_SIZE ((gsize) AFRPC_PAYLOAD_MEMORY_KEPT_MIN)

static AfrpcForkLock mutex;
static AfrpcPayloadMemory kept[AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX]; /* oldest first */
static guint n_kept;
static gsize kept_size; /* bytes */

/* Called with the mutex. */
static AfrpcPayloadMemory
take_kept (guint i)
{
  AfrpcPayloadMemory block = kept[i];

  kept_size -= block.capacity;
  n_kept--;
  for (; i < n_kept; i++)
    kept[i] = kept[i + 1];

  return block;
}

/* The smallest that is large enough, but not so large that most of it would lie idle for as long as the
 * payload is used. If there is none, those that are too small are not going to be of use either. */
static gboolean
find_kept (AfrpcPayloadMemory *self,
           gsize               capacity)
{
  AfrpcPayloadMemory dropped[AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX];
  guint n_dropped = 0;
  guint best = AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX;

  afrpc_fork_lock_lock (&mutex);
  for (guint i = 0; i < n_kept; i++)
    if (kept[i].capacity >= capacity && kept[i].capacity / 2 <= capacity &&
        (best == AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX || kept[i].capacity < kept[best].capacity))
      best = i;
  if (best < AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX)
    *self = take_kept (best);
  else
    for (guint i = n_kept; i-- > 0;)
      if (kept[i].capacity < capacity)
        dropped[n_dropped++] = take_kept (i);
  afrpc_fork_lock_unlock (&mutex);

  while (n_dropped-- > 0)
    munmap (dropped[n_dropped].data, dropped[n_dropped].capacity);

  return best < AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX;
}

static guint8 *
map (gsize size)
{
  guint8 *data = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return data != MAP_FAILED ? data : NULL;
}

/* Maps memory where huge pages can begin, if there is room to choose. */
static guint8 *
map_aligned (gsize size)
{
  guint8 *data = map (size), *larger, *aligned;

  if (data == NULL || (guintptr) data % HUGE_PAGE_SIZE == 0 || (larger = map (size + HUGE_PAGE_SIZE)) == NULL)
    return data;

  munmap (data, size);
  aligned = (guint8 *) (((guintptr) larger + HUGE_PAGE_SIZE - 1) & ~(HUGE_PAGE_SIZE - 1));
  if (aligned > larger)
    munmap (larger, aligned - larger);
  munmap (aligned + size, larger + HUGE_PAGE_SIZE - aligned);

  return aligned;
}

/* Gets memory for @size bytes, which are not zeroed; FALSE if there is none. */
gboolean
afrpc_payload_memory_init (AfrpcPayloadMemory *self,
                           gsize               size)
{
  const gsize capacity = (size + HUGE_PAGE_SIZE - 1) & ~(HUGE_PAGE_SIZE - 1);

  *self = (AfrpcPayloadMemory) { NULL };
  if (size < AFRPC_PAYLOAD_MEMORY_KEPT_MIN)
    {
      self->data = g_try_malloc (MAX (size, 1));
      return self->data != NULL;
    }
  if (capacity < size)
    return FALSE;
  if (find_kept (self, capacity))
    return TRUE;

  self->data = map_aligned (capacity);
  if (self->data == NULL)
    return FALSE;
  self->capacity = capacity;
  madvise (self->data, capacity, MADV_HUGEPAGE);

  return TRUE;
}

/* Gives the memory back, or keeps it in place of older blocks. */
void
afrpc_payload_memory_clear (AfrpcPayloadMemory *self)
{
  AfrpcPayloadMemory dropped[AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX + 1];
  guint n_dropped = 0;

  if (self->capacity == 0)
    {
      g_clear_pointer (&self->data, g_free);
      return;
    }

  if (self->capacity > AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX)
    dropped[n_dropped++] = *self;
  else
    {
      madvise (self->data, self->capacity, MADV_FREE);

      afrpc_fork_lock_lock (&mutex);
      while (n_kept == AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX ||
             kept_size + self->capacity > AFRPC_PAYLOAD_MEMORY_KEPT_SIZE_MAX)
        dropped[n_dropped++] = take_kept (0);
      kept[n_kept++] = *self;
      kept_size += self->capacity;
      afrpc_fork_lock_unlock (&mutex);
    }

  *self = (AfrpcPayloadMemory) { NULL };
  while (n_dropped-- > 0)
    munmap (dropped[n_dropped].data, dropped[n_dropped].capacity);
}

static void
free_block (gpointer data)
{
  AfrpcPayloadMemory *block = data;

  afrpc_payload_memory_clear (block);
  g_free (block);
}

/* Makes bytes of the first @size of the block, which becomes theirs. */
GBytes *
afrpc_payload_memory_to_bytes (AfrpcPayloadMemory *self,
                               gsize               size)
{
  AfrpcPayloadMemory block = *self;

  *self = (AfrpcPayloadMemory) { NULL };
  if (block.capacity == 0)
    return g_bytes_new_take (block.data, size);

  return g_bytes_new_with_free_func (block.data, size, free_block, g_memdup2 (&block, sizeof block));
}

/* Returns how many bytes are kept. */
gsize
afrpc_payload_memory_get_kept (void)
{
  gsize size;

  afrpc_fork_lock_lock (&mutex);
  size = kept_size;
  afrpc_fork_lock_unlock (&mutex);

  return size;
}

/* Gives back all that is kept. */
void
afrpc_payload_memory_drop_kept (void)
{
  AfrpcPayloadMemory dropped[AFRPC_PAYLOAD_MEMORY_N_KEPT_MAX];
  guint n_dropped = 0;

  afrpc_fork_lock_lock (&mutex);
  while (n_kept > 0)
    dropped[n_dropped++] = take_kept (0);
  afrpc_fork_lock_unlock (&mutex);

  while (n_dropped-- > 0)
    munmap (dropped[n_dropped].data, dropped[n_dropped].capacity);
}
