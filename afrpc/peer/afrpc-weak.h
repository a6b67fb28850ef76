/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Weak references to objects that tell when they are disposed of: what GWeakRef is, with a lock of its own. Before GLib 2.80
 * that has one lock for all of the process, and keeps it while it tells a toggle reference; who is told, as PyGObject,
 * waits for a lock of the language, and who has that may wait for the other one to drop some object. */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

typedef struct
{
  GRWLock lock;
  gpointer object; /* (nullable) (not owned) */
} AfrpcWeak;

static inline void
afrpc_weak_init (AfrpcWeak *self)
{
  g_rw_lock_init (&self->lock);
  self->object = NULL;
}

/* Its object may not be disposed of at the same time. */
static inline void
afrpc_weak_clear (AfrpcWeak *self)
{
  g_rw_lock_clear (&self->lock);
}

/* @object: (nullable): which sets %NULL as the first thing in its dispose (). Whoever has got it just before goes on with it, and it
 * is finalized when he has done: unlike a GWeakRef this does not keep it from being disposed of. */
static inline void
afrpc_weak_set (AfrpcWeak *self,
                gpointer   object)
{
  g_rw_lock_writer_lock (&self->lock);
  self->object = object;
  g_rw_lock_writer_unlock (&self->lock);
}

/* Returns: (nullable) (transfer full) */
static inline gpointer
afrpc_weak_get (AfrpcWeak *self)
{
  gpointer object;

  /* Several may be here, and one of them wait for what another one has. */
  g_rw_lock_reader_lock (&self->lock);
  object = self->object != NULL ? g_object_ref (self->object) : NULL;
  g_rw_lock_reader_unlock (&self->lock);

  return object;
}

G_END_DECLS
