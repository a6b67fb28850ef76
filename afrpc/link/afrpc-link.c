/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "link/afrpc-link.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "link/afrpc-error-domains.h"
#include "wire/afrpc-lifeline.h"

#define SLOTS_MIN 64u

static const char *const frame_names[] = {
  "none", "hello", "require", "eval", "arg", "fd", "run", "failed", "ready", "call", "cancel", "result", "error",
  "event", "fork", "forked", "refused", "surroundings", "dismiss", "exited", "started", "goodbye", "progress", "log",
};

G_STATIC_ASSERT (G_N_ELEMENTS (frame_names) == AFRPC_FRAME_LAST + 1);

void
afrpc_link_item_clear (AfrpcLinkItem *item)
{
  g_clear_pointer (&item->value, g_variant_unref);
  g_clear_error (&item->error);
  for (guint i = 0; i < item->n_fds; i++)
    close (item->fds[i]);
  g_clear_pointer (&item->fds, g_free);
  item->n_fds = 0;
  if (item->kind == AFRPC_LINK_ITEM_FORKED && item->pid > 0 && item->pidfd >= 0)
    close (item->pidfd);
  item->pid = 0;
}

/* @host: (nullable): the name that the host must give */
void
afrpc_link_init (AfrpcLink  *self,
                 const char *host)
{
  g_autoptr(GVariant) hello = NULL;
  GVariantDict options;

  memset (self, 0, sizeof *self);
  afrpc_stream_init (&self->stream, -1, -1, TRUE);
  self->stream.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  self->host = g_strdup (host);

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "version", "u", AFRPC_FRAME_PROTOCOL_VERSION);
  g_variant_dict_insert (&options, "pid", "i", (gint32) getpid ());
  hello = g_variant_ref_sink (g_variant_dict_end (&options));
  afrpc_stream_put_value (&self->stream, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
}

/* The worker is at the other end of some command. */
void
afrpc_link_set_command (AfrpcLink *self)
{
  self->is_command = TRUE;
  self->stream.in_guard = AFRPC_FRAME_GUARD_SIZE;
}

/* Takes the parent's end of the socket pair, which must not block. */
void
afrpc_link_connect (AfrpcLink *self,
                    int        fd)
{
  self->stream.in_fd = self->stream.out_fd = fd;
}

/* Goes on with a conversation that another process has begun, and left while the worker was being prepared. */
void
afrpc_link_adopt (AfrpcLink *self,
                  int        fd)
{
  afrpc_stream_clear (&self->stream);
  afrpc_stream_init (&self->stream, fd, fd, TRUE);
  self->stream.size_max = AFRPC_FRAME_ANSWER_SIZE_MAX;
  self->adopted = TRUE;
}

/* Gives the socket away: the conversation is over for the link. */
int
afrpc_link_steal_fd (AfrpcLink *self)
{
  int fd = self->stream.in_fd;

  self->stream.in_fd = self->stream.out_fd = -1;
  self->state = AFRPC_LINK_ENDED;

  return fd;
}

void
afrpc_link_clear (AfrpcLink *self)
{
  afrpc_stream_clear (&self->stream);
  g_clear_pointer (&self->page, afrpc_page_unmap);
  g_clear_pointer (&self->host, g_free);
  g_clear_pointer (&self->slots, g_free);
  self->n_slots = self->first_free = self->n_pending = 0;
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
    afrpc_stream_put_fds (&self->stream, kind, value, fds, n_fds);
  else
    afrpc_stream_put_value (&self->stream, kind, 0, value);
}

/* Queues the end of the preparation; the worker's answer is an item: ready or failed. @option_fds: what goes with the
 * options, at most AFRPC_LINK_RUN_FDS_MAX, the link's from now on; @ends_with_us: whether the worker dies with this
 * program. Without shared memory, or without a lifeline, it does without. */
void
afrpc_link_run (AfrpcLink *self,
                GVariant  *options,
                const int *option_fds,
                guint      n_fds,
                gboolean   ends_with_us)
{
  int lifeline_fd = ends_with_us && !self->is_command ? afrpc_lifeline_dup () : -1;
  int fds[AFRPC_LINK_RUN_FDS_MAX + 2], page_fd;
  g_autoptr(GVariant) value = NULL;
  GVariantDict dict;

  if (options != NULL)
    g_variant_lookup (options, "log", "b", &self->wants_log);
  g_assert (n_fds <= AFRPC_LINK_RUN_FDS_MAX);
  for (guint i = 0; i < n_fds; i++)
    fds[i] = option_fds[i];

  if (!self->is_command)
    self->page = afrpc_page_create (&page_fd, NULL);
  g_variant_dict_init (&dict, options);
  if (self->page != NULL)
    {
      g_variant_dict_insert (&dict, "page", "b", TRUE);
      fds[n_fds++] = page_fd;
    }
  if (lifeline_fd >= 0)
    {
      g_variant_dict_insert (&dict, "lifeline", "b", TRUE);
      fds[n_fds++] = lifeline_fd;
    }
  /* Then its host has one for it. */
  else if (ends_with_us && self->is_command)
    g_variant_dict_insert (&dict, "lifeline", "b", TRUE);
  /* Behind the answer comes what is for the taker of the socket. */
  g_variant_dict_lookup (&dict, "run", "b", &self->stream.exact);
  value = g_variant_ref_sink (g_variant_dict_end (&dict));

  afrpc_link_prepare (self, AFRPC_FRAME_RUN, value, fds, n_fds);
}

/* For a worker that never read anything: takes back what was sent, up to now, from @peer_fd, the other
 * end of the socket, and queues it again, with whatever @insert adds after the greeting. The sockets are
 * closed; the link is to be connected again. */
void
afrpc_link_replay (AfrpcLink *self,
                   int        peer_fd,
                   void     (*insert) (AfrpcLink *self, gpointer data),
                   gpointer   data)
{
  g_auto(AfrpcStream) sent = self->stream;
  g_auto(AfrpcStream) peer = { 0 };
  AfrpcStreamStep written, step;
  gboolean greeted = FALSE;

  afrpc_stream_init (&peer, peer_fd, peer_fd, TRUE);
  fcntl (peer_fd, F_SETFL, O_NONBLOCK);
  self->shut = FALSE;
  afrpc_stream_init (&self->stream, -1, -1, TRUE);
  self->stream.exact = sent.exact;
  self->stream.size_max = sent.size_max;

  do
    {
      AfrpcFrame frame;

      written = afrpc_stream_flush (&sent, NULL);
      step = afrpc_stream_read (&peer, NULL);
      while (afrpc_stream_next (&peer, &frame, NULL) == AFRPC_STREAM_DONE)
        {
          int fds[AFRPC_FRAME_FDS_MAX];

          for (guint i = 0; i < frame.header.n_fds; i++)
            fds[i] = afrpc_stream_take_fd (&peer);
          afrpc_stream_put_frame (&self->stream, &frame, fds);
          if (!greeted)
            insert (self, data);
          greeted = TRUE;
        }
    }
  while (written == AFRPC_STREAM_AGAIN || step == AFRPC_STREAM_DONE);
}

/* Calls */

static gboolean
grow_slots (AfrpcLink *self)
{
  guint32 n = MAX (SLOTS_MIN, 2 * self->n_slots);

  if (n > AFRPC_SERIAL_SLOTS_MAX)
    return FALSE;

  self->slots = g_renew (AfrpcLinkSlot, self->slots, n);
  for (guint32 i = self->n_slots; i < n; i++)
    self->slots[i] = (AfrpcLinkSlot) { .next_free = i + 1 };
  self->first_free = self->n_slots;
  self->n_slots = n;

  return TRUE;
}

static gboolean
check_limits (AfrpcLink           *self,
              const AfrpcPayload  *args,
              GError             **error)
{
  gsize queued = afrpc_stream_get_queued (&self->stream);

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
  if (args->n_fds > 0 && self->is_command)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "file descriptors cannot be passed over a command");
      return FALSE;
    }
  if (self->n_pending >= self->n_pending_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY,
                   "%u calls are waiting already", self->n_pending);
      return FALSE;
    }
  /* One call always fits, or a large one could never be made. */
  if (queued > 0 && queued + args->size > self->n_bytes_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY,
                   "%" G_GSIZE_FORMAT " bytes are waiting already", queued);
      return FALSE;
    }

  return TRUE;
}

/* Queues a call; returns its serial, or 0: AFRPC_ERROR_TOO_LARGE, AFRPC_ERROR_BUSY, AFRPC_ERROR_NOT_SUPPORTED. Then
 * the descriptors stay the caller's. */
guint64
afrpc_link_call (AfrpcLink            *self,
                 const AfrpcPayload   *args,
                 const AfrpcLinkCall  *call,
                 GError              **error)
{
  AfrpcLinkSlot *slot;
  guint64 serial;

  g_assert (!self->closing && self->state != AFRPC_LINK_ENDED);

  if (!check_limits (self, args, error))
    return 0;
  if (self->first_free == self->n_slots && !grow_slots (self))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_BUSY, "%u calls are waiting already", self->n_pending);
      return 0;
    }

  slot = &self->slots[self->first_free];
  serial = ++self->n_calls_made << AFRPC_SERIAL_SLOT_BITS | self->first_free;
  self->first_free = slot->next_free;
  slot->serial = serial;
  slot->call = *call;
  slot->call.wants_progress = (args->flags & AFRPC_FRAME_FLAG_PROGRESS) != 0;
  self->n_pending++;

  afrpc_stream_put_payload (&self->stream, AFRPC_FRAME_CALL, serial, args);

  return serial;
}

static AfrpcLinkSlot *
find_slot (AfrpcLink *self,
           guint64    serial)
{
  guint32 i = afrpc_serial_slot (serial);

  return serial != 0 && i < self->n_slots && self->slots[i].serial == serial ? &self->slots[i] : NULL;
}

/* Returns: (nullable): the call, while the worker owes its outcome. */
AfrpcLinkCall *
afrpc_link_find (AfrpcLink *self,
                 guint64    serial)
{
  AfrpcLinkSlot *slot = find_slot (self, serial);

  return slot != NULL ? &slot->call : NULL;
}

/* Tells the worker that nobody needs the outcome, which it still has to send. A blocking worker reads
 * it from the page; when two cancelled calls share a cell the frame alone speaks for the older. */
void
afrpc_link_cancel (AfrpcLink *self,
                   guint64    serial)
{
  const AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CANCEL, .serial = serial };

  if (find_slot (self, serial) == NULL || self->state == AFRPC_LINK_ENDED)
    return;

  if (self->page != NULL)
    __atomic_store_n (afrpc_page_cell (self->page, serial), serial, __ATOMIC_RELEASE);
  if (!self->shut)
    afrpc_stream_put (&self->stream, &header, "");
}

void
afrpc_link_close (AfrpcLink *self)
{
  if (self->dismisses && !self->closing && !self->shut)
    afrpc_stream_put_value (&self->stream, AFRPC_FRAME_DISMISS, 0, NULL);
  self->closing = TRUE;
}

/* The way out and in */

/* DONE: all written; AGAIN: the socket takes no more now. A worker that does not read any more is
 * no error: what it had to say is still to be read. */
AfrpcStreamStep
afrpc_link_flush (AfrpcLink  *self,
                  GError    **error)
{
  AfrpcStreamStep step;

  if (self->shut || self->stream.out_fd < 0)
    return AFRPC_STREAM_DONE;

  step = afrpc_stream_flush (&self->stream, error);
  if (step == AFRPC_STREAM_EOF)
    {
      self->shut = TRUE;
      return AFRPC_STREAM_DONE;
    }
  if (step == AFRPC_STREAM_DONE && self->closing)
    afrpc_link_shut (self);

  return step;
}

/* Whether what has arrived ends with a goodbye, be it behind half a frame: DONE; or, maybe, with the beginning of
 * one: AGAIN. The end of the stream may never come: a shell that waits for its commands holds the connection too. */
static AfrpcStreamStep
look_for_goodbye (AfrpcLink *self)
{
  const AfrpcStream *stream = &self->stream;

  if (self->goodbye_serial == 0)
    return AFRPC_STREAM_ERROR;
  if (self->has_goodbye)
    return AFRPC_STREAM_DONE;

  if (stream->tail_size == AFRPC_FRAME_GOODBYE_SIZE)
    self->has_goodbye = afrpc_goodbye_decode (&self->goodbye, self->goodbye_serial, stream->tail);
  if (self->has_goodbye)
    return AFRPC_STREAM_DONE;

  return afrpc_goodbye_is_begun (self->goodbye_serial, stream->tail, stream->tail_size) ? AFRPC_STREAM_AGAIN
                                                                                        : AFRPC_STREAM_ERROR;
}

/* Lets whoever still reads see the end of it, whatever waits to be written. */
void
afrpc_link_shut (AfrpcLink *self)
{
  if (!self->shut && self->stream.out_fd >= 0)
    shutdown (self->stream.out_fd, SHUT_WR);
  self->shut = TRUE;
}

AfrpcStreamStep
afrpc_link_read (AfrpcLink  *self,
                 GError    **error)
{
  return afrpc_stream_read (&self->stream, error);
}

static gboolean
parse_hello (AfrpcLink         *self,
             const AfrpcFrame  *frame,
             GError           **error)
{
  g_autoptr(GVariant) hello = NULL;
  const char *host = "";
  guint32 version = 0;

  if (frame->header.kind != AFRPC_FRAME_HELLO || frame->header.serial != AFRPC_FRAME_MAGIC)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting");
      return FALSE;
    }
  hello = afrpc_stream_parse_value (&self->stream, frame, error);
  if (hello == NULL)
    return FALSE;
  if (!g_variant_is_of_type (hello, G_VARIANT_TYPE_VARDICT) ||
      !g_variant_lookup (hello, "version", "u", &version) ||
      !g_variant_lookup (hello, "host", "&s", &host))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "a greeting without version and host");
      return FALSE;
    }
  if (version != AFRPC_FRAME_PROTOCOL_VERSION)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_VERSION,
                   "it speaks version %u of the protocol, this program version %u",
                   version, AFRPC_FRAME_PROTOCOL_VERSION);
      return FALSE;
    }
  if (self->host != NULL && strcmp (host, self->host) != 0)
    {
      g_autofree char *name = g_utf8_make_valid (host, MIN (strlen (host), 64));

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST,
                   "it is a host of “%s”, not of “%s”", name, self->host);
      return FALSE;
    }

  if (self->is_command)
    g_variant_lookup (hello, "goodbye", "t", &self->goodbye_serial);

  self->state = AFRPC_LINK_PREPARING;
  return TRUE;
}

static void
set_item_value (AfrpcLink        *self,
                AfrpcLinkItem    *item,
                const AfrpcFrame *frame,
                gboolean          is_error)
{
  item->is_serialised = (frame->header.flags & AFRPC_FRAME_FLAG_SERIALISED) != 0;
  item->value = afrpc_stream_parse_value (&self->stream, frame, &item->error);
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
      item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED,
                                 "the program has too many open files to receive the file descriptors");
      return;
    }

  set_item_value (self, item, frame, FALSE);
  if (item->value == NULL || frame->header.n_fds == 0)
    return;

  item->fds = g_new (int, frame->header.n_fds);
  while (item->n_fds < frame->header.n_fds)
    item->fds[item->n_fds++] = afrpc_stream_take_fd (&self->stream);
}

static gboolean
parse_progress (AfrpcLink         *self,
                AfrpcLinkItem     *item,
                const AfrpcFrame  *frame,
                GError           **error)
{
  AfrpcLinkSlot *slot = find_slot (self, frame->header.serial);

  if (slot == NULL || !slot->call.wants_progress)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "progress of a call that does not want any");
      return FALSE;
    }

  item->kind = AFRPC_LINK_ITEM_PROGRESS;
  item->call = slot->call;
  if (item->call.owner != NULL)
    set_item_value (self, item, frame, FALSE);

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
  AfrpcLinkSlot *slot = find_slot (self, frame->header.serial);

  if (slot == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "result of a call that was not made");
      return FALSE;
    }

  item->kind = AFRPC_LINK_ITEM_RESULT;
  item->call = slot->call;
  slot->serial = 0;
  slot->call = (AfrpcLinkCall) { NULL };
  slot->next_free = self->first_free;
  self->first_free = slot - self->slots;
  self->n_pending--;

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

  item->pidfd = afrpc_stream_take_fd (&self->stream);
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
  set_item_value (self, item, frame, FALSE);
  if (item->value == NULL || !g_variant_is_of_type (item->value, G_VARIANT_TYPE ("(uiib)")))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "malformed exit status");
      return FALSE;
    }

  g_variant_get (item->value, "(uiib)", &pid, &status, &signum, &item->status.core);
  item->pid = pid;
  item->status.known = TRUE;
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

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a frame “%s” that is %s", frame_names[kind],
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
      return;
    }

  item->kind = AFRPC_LINK_ITEM_READY;
  self->state = AFRPC_LINK_READY;
  self->was_ready = TRUE;
  self->stream.exact = FALSE;
  self->stream.size_max = self->message_size_max;
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
  if (self->state == AFRPC_LINK_PREPARING && (kind == AFRPC_FRAME_FORKED || kind == AFRPC_FRAME_REFUSED))
    return parse_forked (self, item, frame, error);
  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_EXITED)
    return parse_exited (self, item, frame, error);

  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_READY)
    {
      become_ready (self, item, frame);
      return TRUE;
    }
  if (self->state == AFRPC_LINK_PREPARING && kind == AFRPC_FRAME_FAILED)
    {
      item->kind = AFRPC_LINK_ITEM_FAILED;
      set_item_value (self, item, frame, TRUE);
      return TRUE;
    }
  if (self->state == AFRPC_LINK_READY && (kind == AFRPC_FRAME_RESULT || kind == AFRPC_FRAME_ERROR))
    return parse_outcome (self, item, frame, error);
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_STARTED && self->page == NULL)
    {
      self->started = MAX (self->started, frame->header.serial);
      item->kind = AFRPC_LINK_ITEM_NONE;
      return TRUE;
    }
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_EVENT)
    {
      item->kind = AFRPC_LINK_ITEM_EVENT;
      set_item_message (self, item, frame);
      return TRUE;
    }
  if (kind == AFRPC_FRAME_LOG && self->wants_log)
    return parse_log (self, item, frame, error);
  if (self->state == AFRPC_LINK_READY && kind == AFRPC_FRAME_PROGRESS)
    return parse_progress (self, item, frame, error);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame “%s”", frame_names[kind]);
  return FALSE;
}

/* DONE: an item; AGAIN: read first; EOF: the worker has ended, though others may hold its connection open;
 * ERROR: the worker is not to be listened to any more. */
AfrpcStreamStep
afrpc_link_next (AfrpcLink      *self,
                 AfrpcLinkItem  *item,
                 GError        **error)
{
  while (self->state != AFRPC_LINK_ENDED)
    {
      AfrpcFrame frame;
      AfrpcStreamStep step;

      memset (item, 0, sizeof *item);
      step = afrpc_stream_next (&self->stream, &frame, error);
      /* It has no guard, and so never is a frame that is done. */
      if (step != AFRPC_STREAM_DONE && self->is_command)
        {
          AfrpcStreamStep goodbye = look_for_goodbye (self);

          if (goodbye != AFRPC_STREAM_ERROR)
            {
              g_clear_error (error);
              return goodbye == AFRPC_STREAM_DONE ? AFRPC_STREAM_EOF : AFRPC_STREAM_AGAIN;
            }
        }
      if (step == AFRPC_STREAM_ERROR && self->state == AFRPC_LINK_GREETING && error != NULL)
        {
          g_clear_error (error);
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting");
        }
      if (step != AFRPC_STREAM_DONE)
        return step;

      if (self->state == AFRPC_LINK_GREETING && self->adopted && frame.header.kind != AFRPC_FRAME_HELLO)
        self->state = AFRPC_LINK_PREPARING;
      if (self->state == AFRPC_LINK_GREETING)
        {
          if (!parse_hello (self, &frame, error))
            return AFRPC_STREAM_ERROR;
          continue;
        }

      if (!parse_frame (self, item, &frame, error))
        return AFRPC_STREAM_ERROR;
      /* Nobody waits any more for what becomes of a call that was given up. */
      if ((item->kind == AFRPC_LINK_ITEM_RESULT || item->kind == AFRPC_LINK_ITEM_PROGRESS) && item->call.owner == NULL)
        continue;
      if (item->kind != AFRPC_LINK_ITEM_NONE)
        return AFRPC_STREAM_DONE;
    }

  return AFRPC_STREAM_AGAIN;
}

static int
compare_slots (gconstpointer a,
               gconstpointer b)
{
  const AfrpcLinkSlot *left = a, *right = b;

  return left->serial < right->serial ? -1 : left->serial > right->serial;
}

/* Nothing arrives any more.
 * Returns: (element-type AfrpcLinkSlot) (transfer full): the calls that somebody still waits for, in
 * the order in which they were made. */
GArray *
afrpc_link_end (AfrpcLink *self)
{
  GArray *pending = g_array_new (FALSE, FALSE, sizeof (AfrpcLinkSlot));

  self->state = AFRPC_LINK_ENDED;
  for (guint32 i = 0; i < self->n_slots; i++)
    if (self->slots[i].serial != 0 && self->slots[i].call.owner != NULL)
      g_array_append_val (pending, self->slots[i]);
  g_array_sort (pending, compare_slots);

  self->n_pending = 0;
  self->n_slots = self->first_free = 0;
  g_clear_pointer (&self->slots, g_free);

  return pending;
}

/* Whether the worker may have begun to run the call. */
gboolean
afrpc_link_was_started (const AfrpcLink *self,
                        guint64          serial)
{
  /* What a broken connection lost may have said so. */
  if (self->is_command && !self->has_goodbye)
    return TRUE;
  if (self->page == NULL)
    return serial <= self->started;

  return serial <= __atomic_load_n (&self->page->started, __ATOMIC_ACQUIRE);
}
