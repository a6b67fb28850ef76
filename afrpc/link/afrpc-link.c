/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "link/afrpc-link.h"

#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "transport/afrpc-pipes.h"
#include "transport/afrpc-socket.h"
#include "os/afrpc-lifeline.h"
#include "wire/afrpc-options.h"

/* Of an adopted worker: each program that it was handed on by may have left the answer to its own in the socket. */
#define GREETINGS_MAX 1000u

#define SLOTS_MIN 8u
#define SLOTS_KEPT 64u /* more of them are given back once no call is waiting */

void
afrpc_link_item_clear (AfrpcLinkItem *item)
{
  g_clear_pointer (&item->value, g_variant_unref);
  if (item->error != NULL)
    g_clear_error (&item->error);
  for (guint i = 0; i < item->n_fds; i++)
    close (item->fds[i]);
  g_clear_pointer (&item->fds, g_free);
  item->n_fds = 0;
  if (item->kind == AFRPC_LINK_ITEM_FORKED && item->pid > 0 && item->pidfd >= 0)
    close (item->pidfd);
  item->pid = 0;
}

/* Queues who this program is. */
void
afrpc_link_greet (AfrpcLink *self)
{
  g_autoptr(GVariant) hello = NULL;
  AfrpcOptionsWriter options;

  afrpc_options_begin (&options, NULL);
  afrpc_options_add_uint32 (&options, "version", AFRPC_FRAME_PROTOCOL_VERSION);
  afrpc_options_add_int32 (&options, "pid", getpid ());
  hello = afrpc_options_end (&options);
  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
}

/* @host: (nullable): the name that the host must give */
void
afrpc_link_init (AfrpcLink  *self,
                 const char *host)
{
  memset (self, 0, sizeof *self);
  afrpc_transport_init (&self->transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_PROGRAM);
  self->transport.reader.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  self->host = g_strdup (host);
  self->unwritten_from = G_MAXUINT64;
  self->oldest = self->newest = AFRPC_LINK_NO_SLOT;
  self->greetings_left = 1;
  afrpc_link_greet (self);
}

/* The worker is at the other end of some command. */
void
afrpc_link_set_command (AfrpcLink *self)
{
  afrpc_transport_set_funcs (&self->transport, &afrpc_pipes_funcs);
}

/* Takes the parent's end of the socket pair, which must not block. */
void
afrpc_link_connect (AfrpcLink *self,
                    int        fd)
{
  afrpc_transport_connect (&self->transport, fd, fd);
}

/* Has the kernel say who greets. */
void
afrpc_link_ask_sender (AfrpcLink *self)
{
  afrpc_socket_ask_sender (&self->transport);
}

/* Goes on with a conversation that another process has begun, and left while the worker was being prepared: greets
 * anew, so that the worker says once more who it is. */
void
afrpc_link_adopt (AfrpcLink *self,
                  int        fd)
{
  afrpc_transport_restart (&self->transport, fd);
  self->transport.reader.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  self->adopted = TRUE;
  self->greetings_left = GREETINGS_MAX;
  afrpc_link_ask_sender (self);
  afrpc_link_greet (self);
  self->holds_back = self->host != NULL && afrpc_transport_flush (&self->transport, NULL) == AFRPC_STEP_DONE;
}

/* Gives the socket away: the conversation is over for the link. */
int
afrpc_link_steal_fd (AfrpcLink *self)
{
  self->state = AFRPC_LINK_ENDED;

  return afrpc_transport_steal_fd (&self->transport);
}

/* Takes the connection of @other, which needs it no more, only to hear who is at the other end: nothing is said. */
void
afrpc_link_take_over (AfrpcLink *self,
                      AfrpcLink *other)
{
  self->transport.asks_sender = other->transport.asks_sender;
  self->transport.sender_pid = other->transport.sender_pid;
  afrpc_link_connect (self, afrpc_link_steal_fd (other));
  afrpc_writer_restart (&self->transport.writer);
}

void
afrpc_link_clear_connection (AfrpcLink *self)
{
  afrpc_transport_clear (&self->transport);
  if (self->rest != NULL)
    afrpc_writer_clear (self->rest);
  g_clear_pointer (&self->rest, g_free);
}

void
afrpc_link_clear (AfrpcLink *self)
{
  afrpc_link_clear_connection (self);
  g_clear_pointer (&self->host, g_free);
  g_clear_pointer (&self->slots, g_free);
  g_clear_pointer (&self->saved, g_bytes_unref);
  self->n_slots = self->first_free = self->n_pending = 0;
  self->oldest = self->newest = AFRPC_LINK_NO_SLOT;
}

/* Queues one step of the preparation; the descriptors become the link's. */
void
afrpc_link_prepare (AfrpcLink      *self,
                    AfrpcFrameKind  kind,
                    GVariant       *value,
                    const int      *fds,
                    guint           n_fds)
{
  if (n_fds > 0)
    afrpc_transport_put_fds (&self->transport, kind, value, fds, n_fds);
  else
    afrpc_transport_put_value (&self->transport, kind, 0, value);
}

/* The link has to know some of @options (nullable). */
static void
take_run_options (AfrpcLink *self,
                  GVariant  *options)
{
  AfrpcOptions all;

  if (options == NULL || !afrpc_options_init (&all, options))
    return;

  afrpc_options_get_boolean (&all, "log", &self->wants_log);
  afrpc_options_get_boolean (&all, "async", &self->is_async);
  afrpc_options_get_boolean (&all, "ring", &self->wants_ring);
  /* Behind the answer comes what is for the taker of the socket. */
  afrpc_options_get_boolean (&all, "run", &self->transport.reader.frame_by_frame);
}

/* Queues the end of the preparation; the worker's answer is an item: ready or failed. @option_fds: what goes with the
 * options, at most AFRPC_LINK_RUN_FDS_MAX, the link's from now on; @ends_with_us: whether the worker dies with this
 * program, and has nothing yet that sees to that. Without shared memory, or without a lifeline, it does without. */
void
afrpc_link_run (AfrpcLink *self,
                GVariant  *options,
                const int *option_fds,
                guint      n_fds,
                gboolean   ends_with_us)
{
  const gboolean is_local = afrpc_transport_is_local (&self->transport);
  const int lifeline_fd = ends_with_us && is_local ? afrpc_lifeline_dup () : -1;
  const int state_fd = afrpc_transport_share_state (&self->transport);
  int fds[AFRPC_LINK_RUN_FDS_MAX + 2];
  g_autoptr(GVariant) value = NULL;
  AfrpcOptionsWriter dict;

  g_assert (n_fds <= AFRPC_LINK_RUN_FDS_MAX);
  for (guint i = 0; i < n_fds; i++)
    fds[i] = option_fds[i];

  take_run_options (self, options);
  afrpc_options_begin (&dict, options);
  if (self->wants_ring)
    afrpc_transport_offer_ring (&self->transport);
  if (state_fd >= 0)
    {
      afrpc_options_add_boolean (&dict, "shared-state", TRUE);
      fds[n_fds++] = state_fd;
    }
  if (lifeline_fd >= 0)
    {
      afrpc_options_add_boolean (&dict, "lifeline", TRUE);
      fds[n_fds++] = lifeline_fd;
    }
  /* Then its host has one for it. */
  else if (ends_with_us && !is_local)
    afrpc_options_add_boolean (&dict, "lifeline", TRUE);
  value = afrpc_options_end (&dict);

  afrpc_link_prepare (self, AFRPC_FRAME_RUN, value, fds, n_fds);
  if (self->keeps)
    afrpc_writer_keep (&self->transport.writer);
  if (self->rest != NULL)
    afrpc_link_put_rest (self);
}

/* Queues what the calls of this @number, which is not 0, are going to call; before any of them. */
void
afrpc_link_declare (AfrpcLink  *self,
                    guint16     number,
                    const char *name)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_string (name));

  g_assert (number != 0 && self->rest == NULL);
  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_FUNCTION, number, value);
}

/* Calls */

/* Calls are in the order in which they were made. */
static inline guint32 *
next_of (AfrpcLink *self,
         guint32    i)
{
  return i != AFRPC_LINK_NO_SLOT ? &self->slots[i].next : &self->oldest;
}

static inline guint32 *
previous_of (AfrpcLink *self,
             guint32    i)
{
  return i != AFRPC_LINK_NO_SLOT ? &self->slots[i].previous : &self->newest;
}

static gboolean
grow_slots (AfrpcLink *self)
{
  guint32 n = MAX (SLOTS_MIN, 2 * self->n_slots);

  if (n > AFRPC_SERIAL_SLOTS_MAX)
    return FALSE;

  self->slots = g_renew (AfrpcLinkSlot, self->slots, n);
  for (guint32 i = self->n_slots; i < n; i++)
    self->slots[i] = (AfrpcLinkSlot) { .next = i + 1 };
  self->first_free = self->n_slots;
  self->n_slots = n;

  return TRUE;
}

static void
set_busy (const AfrpcLink  *self,
          GError          **error)
{
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY,
               self->n_pending == 1 ? "%u call is waiting already" : "%u calls are waiting already", self->n_pending);
}

static gboolean
check_limits (AfrpcLink           *self,
              const AfrpcPayload  *args,
              GError             **error)
{
  gsize queued = afrpc_transport_get_queued (&self->transport);

  if (G_UNLIKELY (self->keeps))
    queued += afrpc_writer_get_kept (&self->transport.writer);
  if (args->type_length > AFRPC_FRAME_TYPE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "the arguments' type has more than %u characters", AFRPC_FRAME_TYPE_MAX);
      return FALSE;
    }
  if (args->size > self->message_size_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "the arguments have %" G_GSIZE_FORMAT " bytes, the limit is %" G_GUINT64_FORMAT,
                   args->size, self->message_size_max);
      return FALSE;
    }
  if (args->n_fds > AFRPC_FRAME_FDS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "%u file descriptors in one call, the limit is %u", args->n_fds, AFRPC_FRAME_FDS_MAX);
      return FALSE;
    }
  if (args->n_fds > 0 && !afrpc_transport_is_local (&self->transport))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "file descriptors cannot be passed over a command");
      return FALSE;
    }
  if (self->n_pending >= self->n_pending_max)
    {
      set_busy (self, error);
      return FALSE;
    }
  /* One call always fits, whatever was to be said before it, or a large one could never be made. */
  if (queued > 0 && self->n_pending > 0 && queued + args->size > self->n_bytes_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY,
                   "%" G_GSIZE_FORMAT " bytes are waiting already", queued);
      return FALSE;
    }

  return TRUE;
}

/* Queues a call, of the function and with the flags that @args has; returns its serial, or 0: AFRPC_ERROR_TOO_LARGE,
 * AFRPC_ERROR_BUSY, AFRPC_ERROR_NOT_SUPPORTED. Then the descriptors stay the caller's. */
guint64
afrpc_link_call (AfrpcLink            *self,
                 const AfrpcPayload   *args,
                 const AfrpcLinkCall  *call,
                 GError              **error)
{
  AfrpcLinkSlot *slot;
  guint64 serial;
  guint32 i;

  g_assert (!self->closing && self->state != AFRPC_LINK_ENDED && self->rest == NULL);

  if (!check_limits (self, args, error))
    return 0;
  if (self->first_free == self->n_slots && !grow_slots (self))
    {
      set_busy (self, error);
      return 0;
    }

  i = self->first_free;
  slot = &self->slots[i];
  serial = ++self->n_calls_made << AFRPC_SERIAL_SLOT_BITS | i;
  self->first_free = slot->next;
  slot->next = AFRPC_LINK_NO_SLOT;
  slot->previous = self->newest;
  *next_of (self, self->newest) = i;
  self->newest = i;
  slot->serial = serial;
  slot->position = afrpc_writer_get_position (&self->transport.writer);
  slot->call = *call;
  slot->flags = ((args->flags & AFRPC_FRAME_FLAG_PROGRESS) != 0 ? AFRPC_LINK_SLOT_PROGRESS : 0) |
                ((args->flags & AFRPC_FRAME_FLAG_TIMED) != 0 ? AFRPC_LINK_SLOT_TIMED : 0);
  self->n_pending++;

  afrpc_transport_put_payload (&self->transport, AFRPC_FRAME_CALL, serial, args);

  return serial;
}

/* Returns: (nullable): where the call is, while the worker owes its outcome */
AfrpcLinkSlot *
afrpc_link_find_slot (AfrpcLink *self,
                      guint64    serial)
{
  guint32 i = afrpc_serial_slot (serial);

  return serial != 0 && i < self->n_slots && self->slots[i].serial == serial ? &self->slots[i] : NULL;
}

static G_NO_INLINE void
give_slots_back (AfrpcLink *self)
{
  g_clear_pointer (&self->slots, g_free);
  self->n_slots = self->first_free = 0;
}

/* The worker owes it nothing any more. @slot is not there any more either. */
void
afrpc_link_free_slot (AfrpcLink     *self,
                      AfrpcLinkSlot *slot)
{
  *next_of (self, slot->previous) = slot->next;
  *previous_of (self, slot->next) = slot->previous;
  slot->serial = 0;
  slot->call.owner = NULL;
  slot->next = self->first_free;
  self->first_free = slot - self->slots;
  self->n_pending--;
  if (G_UNLIKELY (self->n_pending == 0 && self->n_slots > SLOTS_KEPT))
    give_slots_back (self);
}

/* Returns: (nullable): the call, while the worker owes its outcome. */
AfrpcLinkCall *
afrpc_link_find (AfrpcLink *self,
                 guint64    serial)
{
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, serial);

  return slot != NULL ? &slot->call : NULL;
}

void
afrpc_link_close (AfrpcLink *self)
{
  /* Over a command, the end of what is sent is what a program leaves behind that was killed: ssh tells nothing else of it. */
  if ((self->announces_close || !afrpc_transport_is_local (&self->transport) || afrpc_link_may_cancel (self)) &&
      !self->closing && !self->sending_ended)
    afrpc_transport_put_value (&self->transport, AFRPC_FRAME_CLOSE, 0, NULL);
  self->closing = TRUE;
}

/* A worker that has answered all, after it was told that no calls follow, may have gone before the last was cancelled. */
static gboolean
only_cancels (const AfrpcLink *self)
{
  return self->closing && self->newest != AFRPC_LINK_NO_SLOT &&
         afrpc_link_has_written (self, self->slots[self->newest].position);
}

/* The way out and in */

/* DONE: all written; AGAIN: the socket takes no more now. A worker that does not read any more is
 * no error: what it had to say is still to be read. */
AfrpcStep
afrpc_link_flush (AfrpcLink  *self,
                  GError    **error)
{
  AfrpcStep step;

  if (self->sending_ended || self->transport.out_fd < 0 || (self->holds_back && self->state == AFRPC_LINK_GREETING))
    return AFRPC_STEP_DONE;

  step = afrpc_transport_flush (&self->transport, error);
  if (step == AFRPC_STEP_EOF)
    {
      self->sending_ended = TRUE;
      self->is_deaf = !only_cancels (self);
      return AFRPC_STEP_DONE;
    }
  if (step == AFRPC_STEP_DONE && afrpc_link_is_to_end_sending (self))
    {
      if (afrpc_transport_is_local (&self->transport))
        afrpc_link_end_sending (self);
      self->sending_ended = TRUE;
    }

  return step;
}

/* Lets whoever still reads see the end of it, whatever waits to be written. */
void
afrpc_link_end_sending (AfrpcLink *self)
{
  if (!self->sending_ended || !afrpc_transport_is_local (&self->transport))
    afrpc_transport_end_sending (&self->transport);
  self->sending_ended = TRUE;
}

/* The process is known to have ended: what it sent is all there, and nothing to be read is the end (EOF), also if
 * others hold the connection open. */
void
afrpc_link_process_ended (AfrpcLink *self)
{
  afrpc_transport_peer_has_ended (&self->transport);
}

AfrpcStep
afrpc_link_read (AfrpcLink  *self,
                 GError    **error)
{
  return afrpc_transport_read (&self->transport, error);
}
