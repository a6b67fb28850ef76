/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A piece of memory that parent and worker share: facts that must cost no system call. Made by the
 * parent, sealed against resizing so that neither side can make the other fault. What is read from
 * it is a hint from a foreign process and is never used as an index, length or pointer. */
#pragma once

#include <glib.h>

#include "wire/afrpc-frame.h"

G_BEGIN_DECLS

#define AFRPC_PAGE_SIZE 65536u /* bytes; only what is touched becomes memory */
#define AFRPC_PAGE_CELLS (AFRPC_PAGE_SIZE / sizeof (guint64) - 8)

typedef struct
{
  guint64 started;                     /* by the worker: serial of the call started last */
  guint64 reserved[7];                 /* keeps the two writers on cache lines of their own */
  guint64 cancelled[AFRPC_PAGE_CELLS]; /* by the parent: serials to cancel, each in its own cell */
} AfrpcPage;

G_STATIC_ASSERT (sizeof (AfrpcPage) == AFRPC_PAGE_SIZE);

AfrpcPage *afrpc_page_create (int        *fd,
                              GError    **error);
AfrpcPage *afrpc_page_map    (int         fd,
                              GError    **error);
void       afrpc_page_unmap  (AfrpcPage  *page);

static inline guint64 *
afrpc_page_cell (AfrpcPage *page,
                 guint64    serial)
{
  /* Calls that wait at the same time are in different slots. */
  return &page->cancelled[afrpc_serial_slot (serial) % AFRPC_PAGE_CELLS];
}

static inline gboolean
afrpc_page_is_cancelled (AfrpcPage *page,
                         guint64    serial)
{
  return page != NULL && __atomic_load_n (afrpc_page_cell (page, serial), __ATOMIC_ACQUIRE) == serial;
}

G_END_DECLS
