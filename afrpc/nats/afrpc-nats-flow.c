/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-flow.h"

#include "nats/afrpc-nats-chunks.h"

#define PART_MIN (32u << 10)     /* bytes, if NATS takes so much */
#define PARTS_PER_WINDOW 8u
#define WINDOW_FIRST (64u << 10)
#define WINDOW_MAX (4u << 20)
#define FAST_US 50000            /* within which what is under way arrives where more of it may be */
#define SLOW_US 200000           /* over that, other messages wait behind it for too long */
#define RESEND_US G_USEC_PER_SEC
#define PART_OVERHEAD (2 * AFRPC_NATS_HEADER_SIZE + 16)

/* Transfers */

AfrpcNatsTransfer *
afrpc_nats_transfer_ref (AfrpcNatsTransfer *self)
{
  g_atomic_int_inc (&self->ref_count);

  return self;
}

void
afrpc_nats_transfer_unref (AfrpcNatsTransfer *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_free (self->reply);
  g_clear_pointer (&self->body, g_variant_unref);
  g_clear_pointer (&self->message, g_bytes_unref);
  g_free (self);
}

/* Returns: (transfer full): its message, which may take its time; the body is not needed any more. Of one thread. */
GBytes *
afrpc_nats_transfer_make (AfrpcNatsTransfer *self,
                          guint64            sender)
{
  GByteArray *message = afrpc_nats_message_new (sender);

  afrpc_nats_message_add (message, self->type, self->flags, self->frame_id, self->body);
  g_clear_pointer (&self->body, g_variant_unref);

  return g_byte_array_free_to_bytes (message);
}

/* Returns: (transfer full): a message */
GBytes *
afrpc_nats_transfer_new_part (AfrpcNatsTransfer *self,
                              guint64            sender,
                              gsize              offset,
                              gsize              size)
{
  GByteArray *part = afrpc_nats_message_new (sender);
  gsize total;
  const guint8 *bytes = g_bytes_get_data (self->message, &total);

  afrpc_nats_message_add_chunk (part, self->id, total, offset, bytes + offset, size);

  return g_byte_array_free_to_bytes (part);
}

/* Flows */

AfrpcNatsFlow *
afrpc_nats_flow_new (const char     *subject,
                     AfrpcNatsInbox *inbox, /* (nullable): who is told what cannot be sent at all */
                     guint64         sender)
{
  AfrpcNatsFlow *self = g_new0 (AfrpcNatsFlow, 1);

  self->ref_count = 1;
  self->subject = g_strdup (subject);
  self->inbox = inbox != NULL ? afrpc_nats_inbox_ref (inbox) : NULL;
  self->sender = sender;
  self->window = WINDOW_FIRST;

  return self;
}

AfrpcNatsFlow *
afrpc_nats_flow_ref (AfrpcNatsFlow *self)
{
  g_atomic_int_inc (&self->ref_count);

  return self;
}

void
afrpc_nats_flow_unref (AfrpcNatsFlow *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_queue_clear_full (&self->transfers, (GDestroyNotify) afrpc_nats_transfer_unref);
  g_clear_pointer (&self->inbox, afrpc_nats_inbox_unref);
  g_free (self->subject);
  g_free (self);
}

/* @reply: (transfer full) (nullable); @body: a floating reference is consumed */
void
afrpc_nats_flow_add (AfrpcNatsFlow      *self,
                     guint64             id,
                     char               *reply,
                     AfrpcNatsFrameType  type,
                     guint               flags,
                     guint64             frame_id,
                     GVariant           *body) /* (nullable) */
{
  AfrpcNatsTransfer *transfer = g_new0 (AfrpcNatsTransfer, 1);

  transfer->ref_count = 1;
  transfer->id = id;
  transfer->reply = reply;
  transfer->type = type;
  transfer->flags = flags;
  transfer->frame_id = frame_id;
  transfer->body = body != NULL ? g_variant_ref_sink (body) : NULL;
  g_queue_push_tail (&self->transfers, transfer);
}

/* Returns: the number of the first that has not arrived as a whole; 0 if all have */
guint64
afrpc_nats_flow_get_first (const AfrpcNatsFlow *self)
{
  return self->transfers.head != NULL ? ((AfrpcNatsTransfer *) self->transfers.head->data)->id : 0;
}

/* Returns: since when the receiver would have had to say something of what is under way, however often that was sent; 0 if nothing
 * is */
gint64
afrpc_nats_flow_get_waiting_us (const AfrpcNatsFlow *self)
{
  return self->is_awaited ? self->moved_us : 0;
}

/* Returns: (transfer none) (nullable): of which a part may be sent */
AfrpcNatsTransfer *
afrpc_nats_flow_get_ready (AfrpcNatsFlow *self)
{
  AfrpcNatsTransfer *transfer = self->transfers.head != NULL ? self->transfers.head->data : NULL;

  if (transfer == NULL || transfer->is_being_made || transfer->sent - transfer->received >= self->window)
    return NULL;

  return transfer->message == NULL || transfer->sent < g_bytes_get_size (transfer->message) ? transfer : NULL;
}

/* Returns: how many bytes are to be sent now of @transfer, which is ready and prepared; 0 if it has been given up meanwhile */
gsize
afrpc_nats_flow_begin_part (AfrpcNatsFlow     *self,
                            AfrpcNatsTransfer *transfer,
                            gsize              part_max, /* of a message */
                            gint64             now_us,
                            gsize             *offset)
{
  const gsize total = g_bytes_get_size (transfer->message);
  gsize size;

  if (afrpc_nats_flow_get_ready (self) != transfer)
    return 0;

  /* Where much may be under way, nobody waits long for a part. */
  size = MIN (MAX (PART_MIN, self->window / PARTS_PER_WINDOW), MAX (part_max, AFRPC_NATS_PAYLOAD_MIN)) - PART_OVERHEAD;
  size = MIN (size, total - transfer->sent);
  *offset = transfer->sent;
  if (!self->is_awaited)
    self->moved_us = now_us;
  self->is_awaited = TRUE;
  if (transfer->sent == transfer->received)
    self->resend_from_us = now_us;
  transfer->sent += size;
  if (transfer->sent == total)
    transfer->was_whole = TRUE;
  if (self->marker == 0)
    {
      self->marker = transfer->sent;
      self->marker_us = now_us;
    }

  return size;
}

/* Returns: when something is to be sent again if nothing has arrived until then; G_MAXINT64 if nothing is under way */
gint64
afrpc_nats_flow_get_resend_us (const AfrpcNatsFlow *self)
{
  const AfrpcNatsTransfer *transfer = self->transfers.head != NULL ? self->transfers.head->data : NULL;

  return transfer != NULL && transfer->sent > transfer->received ? self->resend_from_us + RESEND_US : G_MAXINT64;
}

static void
go_back (AfrpcNatsFlow     *self,
         AfrpcNatsTransfer *transfer,
         gsize              to,
         gint64             now_us)
{
  transfer->was_resent |= transfer->sent > to;
  transfer->received = to;
  transfer->sent = to;
  self->marker = 0;
  self->window = MIN (self->window, WINDOW_FIRST);
  self->resend_from_us = now_us;
}

/* What is under way may be lost. */
void
afrpc_nats_flow_resend (AfrpcNatsFlow *self,
                        gint64         now_us)
{
  AfrpcNatsTransfer *transfer = self->transfers.head != NULL ? self->transfers.head->data : NULL;

  if (transfer != NULL)
    go_back (self, transfer, transfer->received, now_us);
}

static void
end_first (AfrpcNatsFlow *self)
{
  afrpc_nats_transfer_unref (g_queue_pop_head (&self->transfers));
  self->marker = 0;
  self->is_awaited = FALSE;
}

/* The receiver says that it has the first @n bytes. */
void
afrpc_nats_flow_take_received (AfrpcNatsFlow *self,
                               guint64        id,
                               guint64        n,
                               gint64         now_us)
{
  AfrpcNatsTransfer *transfer = self->transfers.head != NULL ? self->transfers.head->data : NULL;

  if (transfer == NULL || transfer->id != id || transfer->message == NULL || n > g_bytes_get_size (transfer->message) ||
      n == transfer->received)
    return;

  self->moved_us = now_us;
  /* It has lost what it had. */
  if (n < transfer->received)
    {
      go_back (self, transfer, n, now_us);
      return;
    }

  self->resend_from_us = now_us;
  transfer->received = n;
  transfer->sent = MAX (transfer->sent, n);
  self->is_awaited = transfer->sent > n;
  if (self->marker != 0 && n >= self->marker)
    {
      const gint64 time_us = now_us - self->marker_us;

      if (time_us < FAST_US)
        self->window = MIN (2 * self->window, WINDOW_MAX);
      else if (time_us > SLOW_US)
        self->window = MAX (self->window / 2, PART_MIN);
      self->marker = 0;
    }
  if (n == g_bytes_get_size (transfer->message))
    end_first (self);
}

/* Nobody wants it, or, @is_refused, the receiver does not take a part of it, or is not there. TRUE: it has not arrived, and will
 * not; otherwise it may have. */
gboolean
afrpc_nats_flow_stop (AfrpcNatsFlow *self,
                      guint64        id,
                      gboolean       is_refused)
{
  for (GList *link = self->transfers.head; link != NULL; link = link->next)
    {
      AfrpcNatsTransfer *transfer = link->data;
      const gboolean has_not_arrived = !transfer->was_whole || (is_refused && !transfer->was_resent);

      if (transfer->id != id)
        continue;
      if (link == self->transfers.head)
        end_first (self);
      else
        {
          g_queue_delete_link (&self->transfers, link);
          afrpc_nats_transfer_unref (transfer);
        }
      return has_not_arrived;
    }

  return FALSE;
}
