/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-chunks.h"

#include "nats/afrpc-nats-flow.h"

#include <afrpc/afrpc.h>
#include <string.h>

#define CHUNK_HEADER_SIZE 16u
#define CHECKED_AT_ONCE_MAX (64u << 10) /* bytes: at 12 ms for a MiB at most, no main loop is held by it */
#define CHECKS_MAX 2 /* threads */
#define KEPT_US (60 * G_USEC_PER_SEC) /* parts of what is not sent any more: who sends it sends it again after a second */
#define ALLOCATED_FIRST (256u << 10) /* bytes: what somebody says that will come is not had before it has come */

static void
drop (AfrpcNatsChunks *self)
{
  g_clear_pointer (&self->data, g_free);
  self->transfer = 0;
  self->total = 0;
  self->size = 0;
  self->allocated = 0;
}

void
afrpc_nats_chunks_clear (AfrpcNatsChunks *self)
{
  drop (self);
  g_queue_clear_full (&self->held, (GDestroyNotify) afrpc_nats_item_free);
  memset (self, 0, sizeof *self);
}

static guint64
get_64 (const guint8 *from)
{
  guint64 value;

  memcpy (&value, from, sizeof value);

  return GUINT64_FROM_LE (value);
}

static void
make_room (AfrpcNatsChunks *self,
           gsize            size)
{
  if (self->size + size <= self->allocated)
    return;

  self->allocated = MIN (self->total, MAX (MAX (self->allocated * 2, ALLOCATED_FIRST), self->size + size));
  self->data = g_realloc (self->data, self->allocated);
}

static void
set_due (AfrpcNatsChunks *self,
         guint64          transfer,
         guint64          size)
{
  self->due = transfer;
  self->due_size = size;
}

/* Returns: FALSE: this is not what it should be */
static gboolean
check_part (AfrpcNatsChunks       *self,
            const AfrpcNatsFrame  *frame,
            guint64                total,
            guint64                offset,
            guint64                size_max,
            GError               **error)
{
  const gsize size = frame->size - CHUNK_HEADER_SIZE;

  if (total > size_max)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "a message of %" G_GUINT64_FORMAT " bytes, more than %" G_GUINT64_FORMAT,
                 total, size_max);
  else if (offset > total || size > total - offset || (frame->id == self->transfer && total != self->total))
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message that is not of that message");
  else
    return TRUE;

  return FALSE;
}

/* Returns: 1: @message (transfer full) has come; 0: there is more to come; -1: this is not wanted, and what had come before is
 * dropped. How much has arrived is due to be said. */
int
afrpc_nats_chunks_take (AfrpcNatsChunks       *self,
                        const AfrpcNatsFrame  *frame,
                        guint64                size_max,
                        GBytes               **message,
                        GError               **error)
{
  const guint8 *body = (const guint8 *) g_bytes_get_data (frame->bytes, NULL) + frame->offset;
  guint64 total, offset;
  gsize size, skipped;

  if (frame->size <= CHUNK_HEADER_SIZE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a part of a message that has nothing of it");
      return -1;
    }
  total = get_64 (body);
  offset = get_64 (body + 8);
  size = frame->size - CHUNK_HEADER_SIZE;
  /* That it has arrived has not been heard. */
  if (frame->id == self->finished)
    {
      set_due (self, frame->id, total);
      return 0;
    }
  if (!check_part (self, frame, total, offset, size_max, error))
    {
      drop (self);
      set_due (self, frame->id, AFRPC_NATS_RECEIVED_NEVER);
      return -1;
    }

  if (frame->id != self->transfer && offset == 0)
    {
      drop (self);
      self->transfer = frame->id;
      self->total = total;
    }
  /* What is missing has been lost. It is sent again when the other side hears what is there. */
  set_due (self, frame->id, frame->id == self->transfer ? self->size : 0);
  if (frame->id == self->transfer)
    self->heard_us = g_get_monotonic_time ();
  if (frame->id != self->transfer || offset > self->size || self->size - offset >= size)
    return 0;

  skipped = self->size - offset;
  make_room (self, size - skipped);
  memcpy (self->data + self->size, body + CHUNK_HEADER_SIZE + skipped, size - skipped);
  self->size += size - skipped;
  set_due (self, frame->id, self->size);
  if (self->size < self->total)
    return 0;

  *message = g_bytes_new_take (g_steal_pointer (&self->data), self->total);
  drop (self);
  self->finished = frame->id;

  return 1;
}

/* No more comes of @transfer. */
void
afrpc_nats_chunks_drop (AfrpcNatsChunks *self,
                        guint64          transfer)
{
  if (self->transfer == transfer)
    drop (self);
}

/* Nor of what nothing has come of for long. */
void
afrpc_nats_chunks_expire (AfrpcNatsChunks *self,
                          gint64           now_us)
{
  if (self->heard_us + KEPT_US < now_us)
    drop (self);
}

/* What is large is checked by a thread. */

/* TRUE: @item has to wait, and is kept. */
gboolean
afrpc_nats_chunks_hold (AfrpcNatsChunks     *self,
                        const AfrpcNatsItem *item)
{
  if (self->check == 0)
    return FALSE;

  g_queue_push_tail (&self->held, afrpc_nats_item_copy (item));

  return TRUE;
}

typedef struct
{
  GBytes *message;       /* (owned) */
  AfrpcNatsInbox *inbox; /* (owned) */
  guint64 sender;
  guint64 number;
  gboolean is_whole;
} Check;

static void
check_thread (gpointer data,
              gpointer unused)
{
  Check *check = data;
  AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_CHECKED, 0, NULL);

  item->bytes = check->message;
  item->sender = check->sender;
  item->number = check->number;
  item->is_whole = check->is_whole;
  item->data = afrpc_nats_reader_check (item->bytes, item->is_whole);
  item->destroy = (GDestroyNotify) g_ptr_array_unref;
  afrpc_nats_inbox_push (check->inbox, item);
  afrpc_nats_inbox_unref (check->inbox);
  g_free (check);
}

static GThreadPool *
get_pool (void)
{
  static GThreadPool *pool;
  static gsize is_there;

  if (g_once_init_enter (&is_there))
    {
      pool = g_thread_pool_new (check_thread, NULL, CHECKS_MAX, FALSE, NULL);
      g_once_init_leave (&is_there, 1);
    }

  return pool;
}

/* TRUE: @message is checked by a thread, and comes as an item; otherwise that takes no time. @is_whole: it has come in parts */
gboolean
afrpc_nats_chunks_check (AfrpcNatsChunks *self,
                         GBytes          *message,
                         guint64          sender,
                         gboolean         is_whole,
                         AfrpcNatsInbox  *inbox)
{
  static gint last_number = 1; /* atomic */
  Check *check;

  if (g_bytes_get_size (message) < CHECKED_AT_ONCE_MAX)
    return FALSE;

  check = g_new0 (Check, 1);
  check->message = g_bytes_ref (message);
  check->inbox = afrpc_nats_inbox_ref (inbox);
  check->sender = sender;
  check->number = self->check = (guint) g_atomic_int_add (&last_number, 1);
  check->is_whole = is_whole;
  g_thread_pool_push (get_pool (), check, NULL);

  return TRUE;
}

/* FALSE: it is not of this sender, as it is known now. */
gboolean
afrpc_nats_chunks_end_check (AfrpcNatsChunks     *self,
                             const AfrpcNatsItem *item)
{
  if (self->check == 0 || self->check != item->number)
    return FALSE;

  self->check = 0;

  return TRUE;
}

/* Returns: (transfer full) (nullable): what may be taken now */
AfrpcNatsItem *
afrpc_nats_chunks_pop_held (AfrpcNatsChunks *self)
{
  return self->check == 0 ? g_queue_pop_head (&self->held) : NULL;
}
