/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that processes share by a file descriptor (a memfd): written by whoever made it, then sealed, and read
 * by the others where it lies. Reference-counted, any thread. No GObject.
 *
 * There are two kinds. What is made once is sealed against writing: nobody can change it any more, not even
 * its writer. What is made to be used again stays mapped for writing, in its writer alone, and goes to a pool
 * when the writer has done with it; from there it is taken once nobody else has it open or mapped, which the
 * kernel tells: see afrpc_sealed_memory_is_alone(). So no reader, dead, slow or hostile, can make the writer fault
 * or change what it has written; but that the writer keeps its word, a reader of such memory has to trust. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_SEALED_MEMORY_POOL_MAX 32u                /* pieces that are kept to be used again */
#define AFRPC_SEALED_MEMORY_POOL_SIZE_MAX (256u << 20)  /* bytes, all together */
#define AFRPC_SEALED_MEMORY_POOL_US (10 * G_USEC_PER_SEC) /* at most, if anything is shared or freed later */

typedef struct
{
  int ref_count;       /* atomic */
  int n_holders;       /* atomic: those who may ask for the descriptor, each of whom has a reference, too */
  guint8 *data;        /* mapped, for reading at least */
  gsize size;          /* bytes, of the mapping and the file */
  int fd;              /* what the memory was made or received as */
  int reader_fd;       /* -1, or what is given to readers of memory that is used again: it cannot be written to */
  int pid;             /* who made it; 0: somebody else did */
  gboolean is_sealed;  /* nothing may be written any more */
  gboolean is_reused;
  gint64 freed_at_us;  /* in the pool: since when */
} AfrpcSealedMemory;

AfrpcSealedMemory *afrpc_sealed_memory_new         (gsize               size,
                                                    gboolean            is_reused,
                                                    GError            **error);
AfrpcSealedMemory *afrpc_sealed_memory_new_take_fd (int                 fd,
                                                    gsize               size,
                                                    gboolean            is_reused,
                                                    GError            **error);
AfrpcSealedMemory *afrpc_sealed_memory_ref         (AfrpcSealedMemory  *self);
void               afrpc_sealed_memory_unref       (AfrpcSealedMemory  *self);
void               afrpc_sealed_memory_hold        (AfrpcSealedMemory  *self);
void               afrpc_sealed_memory_release     (AfrpcSealedMemory  *self);
gboolean           afrpc_sealed_memory_seal        (AfrpcSealedMemory  *self,
                                                    GError            **error);
gboolean           afrpc_sealed_memory_is_alone    (const AfrpcSealedMemory *self);

gsize              afrpc_sealed_memory_get_pooled  (void);
void               afrpc_sealed_memory_drop_pooled (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AfrpcSealedMemory, afrpc_sealed_memory_unref)

G_END_DECLS
