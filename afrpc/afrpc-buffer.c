/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-buffer.h"

#include <string.h>

#include "os/afrpc-sealed-memory.h"

/**
 * AfrpcBuffer:
 *
 * Memory that is written in one process and read in another, where it lies: nothing is copied.
 *
 * Whoever has something large to say gets a buffer, builds its data in it
 * ([method@Afrpc.Buffer.get_data]), seals it, and passes it on by its file descriptor
 * ([method@Afrpc.Buffer.get_fd]), as a handle of a call, a result or an event. Whoever gets the descriptor makes a buffer
 * of it ([ctor@Afrpc.Buffer.new_take_fd]) and reads its [bytes][method@Afrpc.Buffer.get_bytes]. To pass it costs the
 * same whatever its size.
 *
 * After sealing, the size of a buffer cannot change, and nobody can write to it any more, so that neither side can
 * disturb the other: this is checked of what is received, and anything else is refused.
 *
 * New memory is dear: to fill a buffer for the first time takes a multiple of what the same takes again. With
 * %AFRPC_BUFFER_REUSED, the memory of a buffer that was dropped is used for the next one of the same size, as soon as
 * nobody else has it any more: every copy of the descriptor is closed and everything that was made of it is dropped,
 * in all processes. The system tells this for certain, so a reader may keep a buffer for as long as it likes, or
 * die; the writer takes other memory then. But since the writer could write all the time, a reader
 * accepts such buffers only if it says so as well.
 *
 * File descriptors, and so buffers, cannot travel over a [command][ctor@Afrpc.Process.new_command].
 *
 * References may be taken and dropped in any thread, and bytes be used and dropped in any; everything else is for one
 * thread at a time. A buffer must not be kept across a fork: memory that is used again is not told apart then.
 *
 * Since: 1.0
 */

G_DEFINE_BOXED_TYPE (AfrpcBuffer, afrpc_buffer, afrpc_buffer_ref, afrpc_buffer_unref)

/* The public name of the same. */
#define MEMORY(buffer) ((AfrpcSealedMemory *) (buffer))
#define BUFFER(memory) ((AfrpcBuffer *) (memory))

/**
 * afrpc_buffer_new: (constructor)
 * @size: how many bytes it has, at least 1
 * @flags: %AFRPC_BUFFER_REUSED to use memory that was dropped, and to have it used again
 * @error: return location for an error
 *
 * Gets a buffer to write to.
 *
 * It is all zeros, unless its memory was used before: then it has what was written to it then, maybe for somebody
 * else, and all of it has to be written anew.
 *
 * Fails with %AFRPC_ERROR_TOO_LARGE if there is no such room in memory or in addresses, or this process may not make
 * files of that size (`RLIMIT_FSIZE`); with %AFRPC_ERROR_FAILED if there are too many open files.
 *
 * Returns: (transfer full): a buffer, or %NULL with @error set
 *
 * Since: 1.0
 */
AfrpcBuffer *
afrpc_buffer_new (gsize              size,
                  AfrpcBufferFlags   flags,
                  GError           **error)
{
  g_return_val_if_fail (size > 0, NULL);

  return BUFFER (afrpc_sealed_memory_new (size, (flags & AFRPC_BUFFER_REUSED) != 0, error));
}

/**
 * afrpc_buffer_new_take_fd: (constructor)
 * @fd: a file descriptor of a sealed buffer, or -1 for an error; it becomes the buffer's, or is closed
 * @size: how many bytes it must have, or 0 if that does not matter
 * @flags: %AFRPC_BUFFER_REUSED to accept what its writer is going to use again
 * @error: return location for an error
 *
 * Gets a buffer from the file descriptor that another process sent.
 *
 * To read memory that nobody ever wrote to makes it: so give the @size, or look at
 * [method@Afrpc.Buffer.get_size] before you do, if the sender may be hostile.
 *
 * Fails with %AFRPC_ERROR_INVALID_DATA if it is not memory, if it is not sealed in size and against writing, or if it has
 * another size; with %AFRPC_ERROR_TOO_LARGE if there are not enough addresses for it.
 *
 * Returns: (transfer full): a sealed buffer, or %NULL with @error set
 *
 * Since: 1.0
 */
AfrpcBuffer *
afrpc_buffer_new_take_fd (int                fd,
                          gsize              size,
                          AfrpcBufferFlags   flags,
                          GError           **error)
{
  return BUFFER (afrpc_sealed_memory_new_take_fd (fd, size, (flags & AFRPC_BUFFER_REUSED) != 0, error));
}

/**
 * afrpc_buffer_ref:
 * @self: a buffer
 *
 * Takes a reference.
 *
 * Returns: (transfer full): the same buffer
 *
 * Since: 1.0
 */
AfrpcBuffer *
afrpc_buffer_ref (AfrpcBuffer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  afrpc_sealed_memory_hold (MEMORY (self));

  return self;
}

/**
 * afrpc_buffer_unref:
 * @self: (transfer full): a buffer
 *
 * Drops a reference. Bytes that were got from the buffer stay, and need no file descriptor any more, except those of
 * memory that this process is going to use again.
 *
 * Since: 1.0
 */
void
afrpc_buffer_unref (AfrpcBuffer *self)
{
  g_return_if_fail (self != NULL);

  afrpc_sealed_memory_release (MEMORY (self));
}

/**
 * afrpc_buffer_get_size:
 * @self: a buffer
 *
 * Gets the size.
 *
 * Returns: how many bytes it has
 *
 * Since: 1.0
 */
gsize
afrpc_buffer_get_size (AfrpcBuffer *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return MEMORY (self)->size;
}

/**
 * afrpc_buffer_get_data: (skip)
 * @self: a buffer
 *
 * Gets the memory to write to. It begins at a multiple of 4096, and stays where it is; but once it is
 * sealed, to write to it is an error that may end the process.
 *
 * Returns: (transfer none) (nullable): the memory, or %NULL if the buffer is sealed
 *
 * Since: 1.0
 */
guint8 *
afrpc_buffer_get_data (AfrpcBuffer *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return MEMORY (self)->is_sealed ? NULL : MEMORY (self)->data;
}

/**
 * afrpc_buffer_write:
 * @self: a buffer that is not sealed
 * @offset: where to begin
 * @data: (array length=size): what to write
 * @size: its size, in bytes, which must fit
 *
 * Copies data into the buffer, for languages without pointers.
 *
 * Since: 1.0
 */
void
afrpc_buffer_write (AfrpcBuffer  *self,
                    gsize         offset,
                    const guint8 *data,
                    gsize         size)
{
  AfrpcSealedMemory *memory = MEMORY (self);

  g_return_if_fail (self != NULL);
  g_return_if_fail (!memory->is_sealed && memory->data != NULL);
  g_return_if_fail (data != NULL || size == 0);
  g_return_if_fail (offset <= memory->size && size <= memory->size - offset);

  if (size > 0)
    memcpy (memory->data + offset, data, size);
}

/**
 * afrpc_buffer_seal:
 * @self: a buffer
 * @error: return location for an error
 *
 * Ends writing: from now on it can be read, and passed on.
 *
 * Fails with %AFRPC_ERROR_FAILED if somebody else has mapped the memory for writing still, by the descriptor that
 * [method@Afrpc.Buffer.get_fd] gave before, or if there are too many open files. To seal what is sealed does nothing.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
afrpc_buffer_seal (AfrpcBuffer  *self,
                   GError      **error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return afrpc_sealed_memory_seal (MEMORY (self), error);
}

/**
 * afrpc_buffer_is_sealed:
 * @self: a buffer
 *
 * Whether writing has ended; always so of a buffer that was received.
 *
 * Returns: %TRUE if it is sealed
 *
 * Since: 1.0
 */
gboolean
afrpc_buffer_is_sealed (AfrpcBuffer *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return MEMORY (self)->is_sealed;
}

/**
 * afrpc_buffer_get_fd:
 * @self: a buffer
 *
 * Gets the file descriptor to pass the buffer on by; whoever sends it copies it.
 *
 * Before the buffer is sealed, others would refuse it. Then it is for mapping the memory in languages without pointers;
 * that has to end before the buffer is sealed. With %AFRPC_BUFFER_REUSED there is none before.
 *
 * Returns: the file descriptor, which stays the buffer's, or -1
 *
 * Since: 1.0
 */
int
afrpc_buffer_get_fd (AfrpcBuffer *self)
{
  AfrpcSealedMemory *memory = MEMORY (self);

  g_return_val_if_fail (self != NULL, -1);

  if (memory->reader_fd >= 0)
    return memory->reader_fd;

  return memory->is_reused && !memory->is_sealed ? -1 : memory->fd;
}

/**
 * afrpc_buffer_get_bytes:
 * @self: a buffer that is sealed
 *
 * Gets the data as bytes, without copying them.
 *
 * They stay when the buffer is dropped.
 *
 * Returns: (transfer full): the bytes
 *
 * Since: 1.0
 */
GBytes *
afrpc_buffer_get_bytes (AfrpcBuffer *self)
{
  AfrpcSealedMemory *memory = MEMORY (self);

  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (memory->is_sealed, NULL);

  return g_bytes_new_with_free_func (memory->data, memory->size, (GDestroyNotify) afrpc_sealed_memory_unref,
                                     afrpc_sealed_memory_ref (memory));
}
