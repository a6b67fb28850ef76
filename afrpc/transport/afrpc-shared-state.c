/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "transport/afrpc-shared-state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-memory-file.h"

/* What of many has been saved goes with the answer, and what may be around the last result. */
G_STATIC_ASSERT (AFRPC_SHARED_STATE_SAVED_SIZE + 512 <= AFRPC_FRAME_PARTS_SIZE_MAX);

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static AfrpcSharedState *
map_state (int      fd,
           GError **error)
{
  guint8 *bytes = mmap (NULL, AFRPC_SHARED_STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  if (bytes == MAP_FAILED)
    {
      /* To convert the system's words takes memory as well. */
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "mapping shared memory: %s",
                   errno == ENOMEM ? "Cannot allocate memory" : g_strerror (errno));
      return NULL;
    }

  return (AfrpcSharedState *) (bytes + AFRPC_SHARED_STATE_FRONT_SIZE);
}

/* Returns: the state, and its file descriptor in @fd, owned by the caller. */
AfrpcSharedState *
afrpc_shared_state_create (int     *fd,
                           GError **error)
{
  AfrpcSharedState *state;
  int memfd = afrpc_memory_file_new ("afrpc", AFRPC_SHARED_STATE_SIZE, SEALS);

  if (memfd < 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "making shared memory: %s", g_strerror (errno));
      return NULL;
    }

  state = map_state (memfd, error);
  if (state == NULL)
    {
      close (memfd);
      return NULL;
    }

  *fd = memfd;
  return state;
}

/* Maps a state that another process made; @fd stays the caller's. */
AfrpcSharedState *
afrpc_shared_state_map (int      fd,
                        GError **error)
{
  const int seals = fcntl (fd, F_GET_SEALS);

  if (seals < 0 || (seals & SEALS) != SEALS || lseek (fd, 0, SEEK_END) != (off_t) AFRPC_SHARED_STATE_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "shared memory that is not sealed or not of %" G_GSIZE_FORMAT " bytes", AFRPC_SHARED_STATE_SIZE);
      return NULL;
    }

  return map_state (fd, error);
}

void
afrpc_shared_state_unmap (AfrpcSharedState *state)
{
  if (state != NULL)
    munmap ((guint8 *) state - AFRPC_SHARED_STATE_FRONT_SIZE, AFRPC_SHARED_STATE_SIZE);
}

/* In the program: what has become of the parts of a call so far: @n_begun (out): how many were begun; none if there are no
 * parts. What was saved is a copy: the worker may live, and is not trusted. It may also answer meanwhile and begin another
 * call: then nothing is told, as if it had done so before.
 * Returns: (nullable) (transfer full): what was saved */
GBytes *
afrpc_shared_state_copy_parts (AfrpcSharedState *state,
                               guint64           serial,
                               guint64          *n_begun)
{
  GBytes *saved = NULL;
  guint64 n_saved;

  *n_begun = 0;
  if (__atomic_load_n (&state->parts_serial, __ATOMIC_SEQ_CST) != serial)
    return NULL;

  n_saved = __atomic_load_n (&state->n_bytes_saved, __ATOMIC_ACQUIRE);
  *n_begun = __atomic_load_n (&state->n_parts_begun, __ATOMIC_SEQ_CST);
  if (n_saved > 0 && n_saved <= AFRPC_SHARED_STATE_SAVED_SIZE)
    saved = g_bytes_new ((guint8 *) state - AFRPC_SHARED_STATE_FRONT_SIZE, n_saved);

  __atomic_thread_fence (__ATOMIC_ACQUIRE);
  if (__atomic_load_n (&state->parts_serial, __ATOMIC_SEQ_CST) != serial)
    {
      *n_begun = 0;
      g_clear_pointer (&saved, g_bytes_unref);
    }

  return saved;
}
