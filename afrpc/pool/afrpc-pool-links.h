/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a call is queued and taken off by: a few instructions in place, where functions of GLib would be a tenth of what a
 * call costs over a proxy. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* As g_queue_push_tail_link () does. */
static inline void
afrpc_pool_links_push_tail (GQueue *queue,
                            GList  *link)
{
  link->prev = queue->tail;
  link->next = NULL;
  *(queue->tail != NULL ? &queue->tail->next : &queue->head) = link;
  queue->tail = link;
  queue->length++;
}

/* As g_queue_push_head_link () does. */
static inline void
afrpc_pool_links_push_head (GQueue *queue,
                            GList  *link)
{
  link->prev = NULL;
  link->next = queue->head;
  *(queue->head != NULL ? &queue->head->prev : &queue->tail) = link;
  queue->head = link;
  queue->length++;
}

/* As g_queue_unlink () does. */
static inline void
afrpc_pool_links_unlink (GQueue *queue,
                         GList  *link)
{
  *(link->prev != NULL ? &link->prev->next : &queue->head) = link->next;
  *(link->next != NULL ? &link->next->prev : &queue->tail) = link->prev;
  link->prev = link->next = NULL;
  queue->length--;
}

G_END_DECLS
