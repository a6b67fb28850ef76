/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A piece of memory that parent and worker share: facts that must cost no system call. Made by the
 * parent, sealed against resizing so that neither side can make the other fault. What is read from
 * it is a hint from a foreign process and is never used as an index, length or pointer. */
#pragma once

#include <glib.h>

#include "wire/afrpc-frame.h"

G_BEGIN_DECLS

#define AFRPC_PAGE_WORDS (AFRPC_SERIAL_SLOTS_MAX / 64)

typedef struct
{
  guint64 started;                     /* by the worker: serial of the call started last */
  guint64 reserved[511];               /* keeps the two writers on pages of their own */
  guint64 cancelled[AFRPC_PAGE_WORDS]; /* by the parent: a bit for each slot whose call is cancelled */
} AfrpcPage;

#define AFRPC_PAGE_SIZE sizeof (AfrpcPage) /* bytes; only what is touched becomes memory */

AfrpcPage *afrpc_page_create (int        *fd,
                              GError    **error);
AfrpcPage *afrpc_page_map    (int         fd,
                              GError    **error);
void       afrpc_page_unmap  (AfrpcPage  *page);

/* Which bit of which word speaks of a call. Calls that wait at the same time are in different slots; a slot is used
 * again once the call's outcome has arrived, and by then its bit is clear. */
static inline guint64 *
afrpc_page_word (AfrpcPage *page,
                 guint64    serial)
{
  return &page->cancelled[afrpc_serial_slot (serial) / 64];
}

static inline guint64
afrpc_page_bit (guint64 serial)
{
  return G_GUINT64_CONSTANT (1) << (serial % 64);
}

/* The worker says that it starts a call before it looks whether that is cancelled, and the parent that it cancels one
 * before it looks whether that was started: so one of them sees what the other said. */
static inline void
afrpc_page_start (AfrpcPage *page,
                  guint64    serial)
{
  __atomic_store_n (&page->started, serial, __ATOMIC_SEQ_CST);
}

static inline guint64
afrpc_page_get_started (AfrpcPage *page)
{
  return __atomic_load_n (&page->started, __ATOMIC_SEQ_CST);
}

static inline void
afrpc_page_cancel (AfrpcPage *page,
                   guint64    serial)
{
  __atomic_fetch_or (afrpc_page_word (page, serial), afrpc_page_bit (serial), __ATOMIC_SEQ_CST);
}

/* The call's outcome is here, and its slot free for another call. */
static inline void
afrpc_page_forget (AfrpcPage *page,
                   guint64    serial)
{
  __atomic_fetch_and (afrpc_page_word (page, serial), ~afrpc_page_bit (serial), __ATOMIC_SEQ_CST);
}

static inline gboolean
afrpc_page_is_cancelled (AfrpcPage *page,
                         guint64    serial)
{
  return page != NULL &&
         (__atomic_load_n (afrpc_page_word (page, serial), __ATOMIC_SEQ_CST) & afrpc_page_bit (serial)) != 0;
}

G_END_DECLS
