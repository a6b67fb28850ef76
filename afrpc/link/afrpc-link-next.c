/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker says: frames in, items out. */
#include "config.h"

#include "link/afrpc-link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "link/afrpc-error-domains.h"
#include "os/afrpc-fd-error.h"
#include "transport/afrpc-socket-ring.h"
#include "transport/afrpc-pipes.h"
#include "wire/afrpc-options.h"

#define WORDS_MAX 60u /* bytes of what is no greeting that are shown */

static const char *const frame_names[] = {
  "none", "hello", "require", "eval", "arg", "fd", "run", "failed", "ready", "call", "cancel", "result", "error",
  "event", "fork", "forked", "refused", "surroundings", "close", "exited", "started", "goodbye", "progress", "log",
  "function", "retire", "ring",
};

G_STATIC_ASSERT (G_N_ELEMENTS (frame_names) == AFRPC_FRAME_LAST + 1);

static gboolean
parse_hello (AfrpcLink         *self,
             const AfrpcFrame  *frame,
             GError           **error)
{
  g_autoptr(GVariant) hello = NULL;
  AfrpcOptions options;
  const char *host = NULL;
  guint32 version = 0;
  guint64 goodbye_serial;

  if (frame->header.kind != AFRPC_FRAME_HELLO || frame->header.serial != AFRPC_FRAME_MAGIC)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting");
      return FALSE;
    }
  hello = afrpc_transport_parse_value (&self->transport, frame, NULL);
  if (hello == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "a malformed greeting");
      return FALSE;
    }
  if (afrpc_options_init (&options, hello))
    host = afrpc_options_get_string (&options, "host");
  if (host == NULL || !afrpc_options_get_uint32 (&options, "version", &version))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "a greeting without version and host");
      return FALSE;
    }
  if (version != AFRPC_FRAME_PROTOCOL_VERSION)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION,
                   "it speaks version %u of the protocol, this program version %u: install the same release of afrpc on both sides",
                   version, AFRPC_FRAME_PROTOCOL_VERSION);
      return FALSE;
    }
  if (self->host != NULL && strcmp (host, self->host) != 0)
    {
      g_autofree char *name = g_utf8_make_valid (host, MIN (strlen (host), 64));

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST,
                   "it is a host of '%s', not of '%s'", name, self->host);
      return FALSE;
    }

  if (self->host == NULL)
    self->host = g_strdup (host);
  if (afrpc_options_get_uint64 (&options, "goodbye", &goodbye_serial))
    afrpc_pipes_expect_goodbye (&self->transport, goodbye_serial);

  self->state = AFRPC_LINK_PREPARING;
  self->greetings_left--;
  return TRUE;
}

static void
set_item_value (AfrpcLink        *self,
                AfrpcLinkItem    *item,
                const AfrpcFrame *frame,
                gboolean          is_error)
{
  item->is_serialised = (frame->header.flags & AFRPC_FRAME_FLAG_SERIALISED) != 0;
  item->is_long = frame->bytes != NULL;
  item->value = afrpc_transport_parse_value (&self->transport, frame, &item->error);
  item->is_nameless = item->value == NULL || (is_error && !afrpc_error_domains_can_unpack (item->value));
  if (item->value != NULL && is_error)
    {
      item->error = afrpc_error_domains_unpack (item->value);
      g_clear_pointer (&item->value, g_variant_unref);
    }
}

/* As set_item_value(), with descriptors. */
static void
set_item_message (AfrpcLink        *self,
                  AfrpcLinkItem    *item,
                  const AfrpcFrame *frame)
{
  if (frame->fds_lost)
    {
      g_autofree char *reason = afrpc_fd_error_describe (EMFILE);

      item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "receiving the file descriptors: %s", reason);
      item->is_nameless = TRUE;
      return;
    }

  set_item_value (self, item, frame, FALSE);
  if (item->value == NULL || frame->header.n_fds == 0)
    return;

  item->fds = g_new (int, frame->header.n_fds);
  while (item->n_fds < frame->header.n_fds)
    item->fds[item->n_fds++] = afrpc_transport_take_fd (&self->transport);
}

static gboolean
parse_progress (AfrpcLink         *self,
                AfrpcLinkItem     *item,
                const AfrpcFrame  *frame,
                GError           **error)
{
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, frame->header.serial);

  if (slot == NULL || (slot->flags & AFRPC_LINK_SLOT_PROGRESS) == 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "progress of a call that does not want any");
      return FALSE;
    }

  item->kind = AFRPC_LINK_ITEM_PROGRESS;
  item->call = slot->call;
  if (item->call.owner != NULL)
    set_item_value (self, item, frame, FALSE);
  /* However much of it cannot be read, that is news only once. */
  if (item->error != NULL && (slot->flags & AFRPC_LINK_SLOT_LOST_PROGRESS) != 0)
    {
      g_clear_error (&item->error);
      item->kind = AFRPC_LINK_ITEM_NONE;
    }
  else if (item->error != NULL)
    slot->flags |= AFRPC_LINK_SLOT_LOST_PROGRESS;

  return TRUE;
}

/* A worker says it of each call if it shares no memory, and otherwise of a timed one. */
static gboolean
parse_started (AfrpcLink         *self,
               AfrpcLinkItem     *item,
               const AfrpcFrame  *frame,
               GError           **error)
{
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, frame->header.serial);
  const gboolean is_timed = slot != NULL && (slot->flags & AFRPC_LINK_SLOT_TIMED) != 0;
  g_autoptr(GVariant) value = NULL;

  if (slot == NULL || (slot->flags & AFRPC_LINK_SLOT_STARTED) != 0 ||
      (afrpc_transport_shares_state (&self->transport) && !is_timed))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "the start of a call that is not waiting for it");
      return FALSE;
    }
  if (frame->header.size > 0 || frame->header.type_length > 0)
    {
      value = afrpc_transport_parse_value (&self->transport, frame, NULL);
      if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_INT64))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a malformed start of a call");
          return FALSE;
        }
    }

  item->kind = AFRPC_LINK_ITEM_NONE;
  slot->flags |= AFRPC_LINK_SLOT_STARTED;
  afrpc_transport_note_started (&self->transport, slot->serial);
  if (is_timed && slot->call.owner != NULL)
    {
      item->kind = AFRPC_LINK_ITEM_STARTED;
      item->start_us = 0;
      item->call = slot->call;
      item->serial = slot->serial;
      /* Another machine has another clock; and nobody gets more time by saying that it is not time yet. */
      if (value != NULL && afrpc_transport_is_local (&self->transport))
        item->start_us = CLAMP (g_variant_get_int64 (value), 0, g_get_monotonic_time ());
    }

  return TRUE;
}

static gboolean
parse_log (AfrpcLink         *self,
           AfrpcLinkItem     *item,
           const AfrpcFrame  *frame,
           GError           **error)
{
  item->kind = AFRPC_LINK_ITEM_LOG;
  item->serial = frame->header.serial;
  if (frame->header.size <= AFRPC_FRAME_LOG_SIZE_MAX)
    set_item_value (self, item, frame, FALSE);
  if (item->value != NULL && g_variant_is_of_type (item->value, G_VARIANT_TYPE ("(uss)")))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a malformed log message");
  return FALSE;
}

static gboolean
parse_outcome (AfrpcLink         *self,
               AfrpcLinkItem     *item,
               const AfrpcFrame  *frame,
               GError           **error)
{
  const gboolean is_refused = (frame->header.flags & AFRPC_FRAME_FLAG_NOT_STARTED) != 0;
  AfrpcLinkSlot *slot = afrpc_link_find_slot (self, frame->header.serial);

  if (slot == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "result of a call that was not made");
      return FALSE;
    }
  if (is_refused && (frame->header.kind != AFRPC_FRAME_ERROR || (slot->flags & AFRPC_LINK_SLOT_STARTED) != 0))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a call that was run, and not started");
      return FALSE;
    }

  item->kind = AFRPC_LINK_ITEM_RESULT;
  item->is_refused = is_refused;
  item->call = slot->call;
  if ((slot->flags & AFRPC_LINK_SLOT_CANCELLED) != 0)
    afrpc_transport_unmark_cancelled (&self->transport, slot->serial);
  if ((slot->flags & AFRPC_LINK_SLOT_REVOKED) != 0)
    afrpc_transport_unrevoke (&self->transport, slot->serial);
  afrpc_link_free_slot (self, slot);

  if (item->call.owner == NULL)
    ;
  else if (frame->header.kind == AFRPC_FRAME_ERROR)
    set_item_value (self, item, frame, TRUE);
  else
    set_item_message (self, item, frame);

  return TRUE;
}

static gboolean
parse_forked (AfrpcLink         *self,
              AfrpcLinkItem     *item,
              const AfrpcFrame  *frame,
              GError           **error)
{
  guint32 pid;

  item->kind = AFRPC_LINK_ITEM_FORKED;
  set_item_value (self, item, frame, frame->header.kind == AFRPC_FRAME_REFUSED);
  if (item->error != NULL)
    return TRUE;

  item->pidfd = afrpc_transport_take_fd (&self->transport);
  if (!g_variant_is_of_type (item->value, G_VARIANT_TYPE ("(ub)")) || (item->pidfd < 0 && !frame->fds_lost))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a new process without its descriptor");
      if (item->pidfd >= 0)
        close (item->pidfd);
      return FALSE;
    }
  g_variant_get (item->value, "(ub)", &pid, &item->direct);
  if (pid == 0 || pid > G_MAXINT)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a new process with an impossible number");
      if (item->pidfd >= 0)
        close (item->pidfd);
      return FALSE;
    }
  item->pid = pid;

  return TRUE;
}

static gboolean
parse_exited (AfrpcLink         *self,
              AfrpcLinkItem     *item,
              const AfrpcFrame  *frame,
              GError           **error)
{
  gint32 status, signum;
  guint32 pid;

  item->kind = AFRPC_LINK_ITEM_EXITED;
  item->status = (AfrpcSpawnStatus) { .known = TRUE };
  set_item_value (self, item, frame, FALSE);
  if (item->value == NULL || !g_variant_is_of_type (item->value, G_VARIANT_TYPE ("(uiib)")))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "malformed exit status");
      return FALSE;
    }

  g_variant_get (item->value, "(uiib)", &pid, &status, &signum, &item->status.core);
  item->pid = pid;
  item->status.status = status;
  item->status.signum = signum;

  return TRUE;
}

/* Whether values are serialised, or not, as was agreed: no worker has a reason to depart from that. */
static gboolean
check_serialised (AfrpcLink         *self,
                  const AfrpcFrame  *frame,
                  GError           **error)
{
  const AfrpcFrameKind kind = frame->header.kind;
  const gboolean is_flagged = (frame->header.flags & AFRPC_FRAME_FLAG_SERIALISED) != 0;
  const gboolean has_value =
    kind == AFRPC_FRAME_RESULT || kind == AFRPC_FRAME_EVENT || kind == AFRPC_FRAME_PROGRESS;

  if (has_value ? is_flagged == self->is_serialised
                : !is_flagged || (kind == AFRPC_FRAME_READY && self->is_serialised))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame '%s' that is %s", frame_names[kind],
               is_flagged ? "serialised" : "not serialised");
  return FALSE;
}

static void
become_ready (AfrpcLink        *self,
              AfrpcLinkItem    *item,
              const AfrpcFrame *frame)
{
  if (self->is_serialised && (frame->header.flags & AFRPC_FRAME_FLAG_SERIALISED) == 0)
    {
      item->kind = AFRPC_LINK_ITEM_FAILED;
      item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED, "the worker's host knows no serialisers");
      self->state = AFRPC_LINK_FAILED;
      return;
    }

  item->kind = AFRPC_LINK_ITEM_READY;
  self->state = AFRPC_LINK_READY;
  self->was_ready = TRUE;
  self->transport.reader.frame_by_frame = FALSE;
  self->transport.reader.size_max = self->message_size_max + (self->has_parts ? AFRPC_FRAME_PARTS_SIZE_MAX : 0);
  if ((frame->header.flags & AFRPC_FRAME_FLAG_RING) != 0)
    afrpc_transport_read_by_ring (&self->transport);
}

static gboolean
parse_frame (AfrpcLink         *self,
             AfrpcLinkItem     *item,
             const AfrpcFrame  *frame,
             GError           **error)
{
  const AfrpcFrameKind kind = frame->header.kind;

  if (kind != AFRPC_FRAME_RESULT && kind != AFRPC_FRAME_EVENT &&
      frame->header.n_fds != (kind == AFRPC_FRAME_FORKED ? 1 : 0))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected file descriptors");
      return FALSE;
    }
  if (!check_serialised (self, frame, error))
    return FALSE;
  if (self->state == AFRPC_LINK_READY && (kind == AFRPC_FRAME_RESULT || kind == AFRPC_FRAME_ERROR))
    return parse_outcome (self, item, frame, error);
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_EVENT)
    {
      item->kind = AFRPC_LINK_ITEM_EVENT;
      set_item_message (self, item, frame);
      return TRUE;
    }
  if (self->state == AFRPC_LINK_PREPARING && (kind == AFRPC_FRAME_FORKED || kind == AFRPC_FRAME_REFUSED))
    return parse_forked (self, item, frame, error);
  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_EXITED)
    return parse_exited (self, item, frame, error);

  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_READY)
    {
      if ((frame->header.flags & AFRPC_FRAME_FLAG_RING) != 0 && !afrpc_transport_may_read_by_ring (&self->transport))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "more was sent where nothing more comes");
          return FALSE;
        }
      become_ready (self, item, frame);
      return TRUE;
    }
  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_FAILED)
    {
      item->kind = AFRPC_LINK_ITEM_FAILED;
      set_item_value (self, item, frame, TRUE);
      self->state = AFRPC_LINK_FAILED;
      self->runs_nothing = TRUE;
      return TRUE;
    }
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_STARTED)
    return parse_started (self, item, frame, error);
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_RETIRE)
    {
      item->kind = self->has_retired ? AFRPC_LINK_ITEM_NONE : AFRPC_LINK_ITEM_RETIRE;
      self->has_retired = TRUE;
      return TRUE;
    }
  if (kind == AFRPC_FRAME_LOG && self->wants_log)
    return parse_log (self, item, frame, error);
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_PROGRESS)
    return parse_progress (self, item, frame, error);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame '%s'", frame_names[kind]);
  return FALSE;
}

/* Whether the frame is, or has to be, a greeting. */
static gboolean
is_greeting (AfrpcLink        *self,
             const AfrpcFrame *frame)
{
  if (frame->header.kind == AFRPC_FRAME_HELLO)
    return self->greetings_left > 0 && self->state <= AFRPC_LINK_PREPARING;
  if (self->state != AFRPC_LINK_GREETING)
    return FALSE;
  if (!self->adopted)
    return TRUE;

  /* What was said to whoever had the worker before comes first. */
  self->state = AFRPC_LINK_PREPARING;
  return FALSE;
}

/* What has come is no greeting: something else, such as a shell, says something where only a host should. */
static void
refuse_words (const AfrpcReader  *reader,
              GError            **error)
{
  const char *words = reader->data != NULL ? (const char *) reader->data + reader->head : "";
  const gsize n = reader->data != NULL ? MIN (reader->tail - reader->head, WORDS_MAX) : 0;
  g_autofree char *some = g_strndup (words, n);
  g_autofree char *valid = g_utf8_make_valid (some, -1);
  g_autofree char *shown = g_strescape (valid, NULL);

  if (*shown == '\0')
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting");
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting, but '%s'%s: something else is written to "
                 "where the host answers", shown, n == WORDS_MAX ? "..." : "");
}

/* DONE: an item; AGAIN: read first; SLICE: a large one is to be gone on with later; EOF: the worker has ended, though
 * others may hold its connection open; ERROR: the worker is not to be listened to any more. Unless it is DONE, there is
 * nothing in @item. */
AfrpcStep
afrpc_link_next (AfrpcLink      *self,
                 AfrpcLinkItem  *item,
                 GError        **error)
{
  while (self->state != AFRPC_LINK_ENDED)
    {
      AfrpcFrame frame;
      AfrpcStep step = afrpc_transport_next (&self->transport, &frame, error);

      if (step == AFRPC_STEP_ERROR && self->state == AFRPC_LINK_GREETING && error != NULL)
        {
          g_clear_error (error);
          refuse_words (&self->transport.reader, error);
        }
      if (step != AFRPC_STEP_DONE)
        return step;

      if (is_greeting (self, &frame))
        {
          if (!parse_hello (self, &frame, error))
            return AFRPC_STEP_ERROR;
          *item = (AfrpcLinkItem) { .kind = AFRPC_LINK_ITEM_GREETED };
          return AFRPC_STEP_DONE;
        }

      memset (item, 0, offsetof (AfrpcLinkItem, start_us));
      if (!parse_frame (self, item, &frame, error))
        {
          afrpc_link_item_clear (item);
          return AFRPC_STEP_ERROR;
        }
      /* Nobody waits any more for what becomes of a call that was given up. */
      if ((item->kind == AFRPC_LINK_ITEM_RESULT || item->kind == AFRPC_LINK_ITEM_PROGRESS) && item->call.owner == NULL)
        continue;
      if (item->kind != AFRPC_LINK_ITEM_NONE)
        return AFRPC_STEP_DONE;
    }

  return AFRPC_STEP_AGAIN;
}
