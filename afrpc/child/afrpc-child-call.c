/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"

#include <unistd.h>

#include "afrpc-error.h"
#include "serialise/afrpc-pack.h"

/* Queued calls are written at the latest when they have this size, so that the worker begins while
 * the program still makes more: without it the two run in lockstep. */
#define FLUSH_SIZE 4096u /* bytes */

/* What an item that waits for its delivery takes besides its value, about. */
#define STASH_ITEM_SIZE 128u /* bytes */

typedef struct
{
  guint64 serial;
  gboolean settled;
  GVariant *value; /* (nullable) (owned) */
  GError *error;   /* (nullable) (owned) */
  GUnixFDList *fds; /* (nullable) (owned) */
} SyncCall;

typedef struct
{
  AfrpcChild *child;
  guint64 serial;
} CancelWatch;

GError *
afrpc_child_timeout_error (void)
{
  return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "the call's time limit has passed");
}

static gboolean
check_open (AfrpcChild  *self,
            GError     **error)
{
  if (self->failure != NULL)
    {
      /* Whatever the process died of, this call was not part of it. */
      if (self->failure->domain == AFRPC_ERROR && self->failure->code == AFRPC_ERROR_DIED)
        g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "%s", self->failure->message);
      else if (error != NULL)
        *error = g_error_copy (self->failure);
      return FALSE;
    }
  if (self->source == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the main context of the process is gone");
      return FALSE;
    }
  if (self->link.closing)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the proxy is closed");
      return FALSE;
    }

  return TRUE;
}

static guint64
queue_call (AfrpcChild           *self,
            const AfrpcPayload   *args,
            guint                 timeout_ms,
            const AfrpcLinkCall  *call,
            GError              **error)
{
  g_autoptr(GVariant) packed = NULL;
  AfrpcPayload payload = *args;
  guint64 serial;

  /* First, because a serialiser may do anything. */
  if (self->serialiser != NULL)
    {
      packed = afrpc_pack (self->serialiser, args->value, error);
      if (packed == NULL)
        return 0;
      payload = afrpc_payload (packed);
      payload.flags = args->flags | AFRPC_FRAME_FLAG_SERIALISED;
      payload.fds = args->fds;
      payload.n_fds = args->n_fds;
    }
  if (!check_open (self, error))
    return 0;

  serial = afrpc_link_call (&self->link, &payload, call, error);
  if (serial != 0 && timeout_ms > 0)
    afrpc_deadlines_add (&self->deadlines, g_get_monotonic_time () + (gint64) timeout_ms * 1000, serial,
                         self->link.n_pending);

  return serial;
}

static gboolean
call_cancelled_cb (GCancellable *cancellable,
                   gpointer      user_data)
{
  CancelWatch *watch = user_data;
  g_autoptr(AfrpcChild) child = afrpc_child_ref (watch->child);

  /* Otherwise its outcome has arrived, and waits to be delivered. */
  if (afrpc_link_find (&child->link, watch->serial) != NULL)
    afrpc_child_give_up (child, watch->serial,
                         g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));

  return G_SOURCE_REMOVE;
}

/* The source ends with the call. A cancellable may be cancelled by any thread. */
static GSource *
watch_cancellable (AfrpcChild   *self,
                   GCancellable *cancellable,
                   guint64       serial)
{
  GSource *source = g_cancellable_source_new (cancellable);
  CancelWatch *watch = g_new0 (CancelWatch, 1);

  watch->child = self;
  watch->serial = serial;
  g_source_set_static_name (source, "[afrpc] call cancelled");
  g_source_set_callback (source, G_SOURCE_FUNC (call_cancelled_cb), watch, g_free);
  g_source_attach (source, self->context);

  return source;
}

static void
close_fds (const AfrpcPayload *args)
{
  for (guint i = 0; i < args->n_fds; i++)
    close (args->fds[i]);
}

/* Makes a call, whose descriptors it takes; @call (transfer full) gets the result. */
void
afrpc_child_call (AfrpcChild         *self,
                  const AfrpcPayload *args,
                  guint               timeout_ms,
                  GCancellable       *cancellable,
                  AfrpcCall          *call)
{
  GError *error = NULL;
  guint64 serial = queue_call (self, args, timeout_ms, &(AfrpcLinkCall) { .owner = call }, &error);

  if (serial == 0)
    {
      close_fds (args);
      afrpc_call_settle_later (call, error);
      return;
    }

  if (cancellable != NULL)
    afrpc_call_watch (call, cancellable, watch_cancellable (self, cancellable, serial));

  if (afrpc_stream_get_queued (&self->link.stream) >= FLUSH_SIZE && self->socket_events == G_IO_IN)
    afrpc_child_flush (self);
}

/* Cancels the call that was made with @callback and @user_data, which is called back later, and looked for among
 * all that are pending: cancelling is rare, calls are many. FALSE: there is none. */
gboolean
afrpc_child_cancel_call (AfrpcChild          *self,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  for (guint32 i = 0; i < self->link.n_slots; i++)
    {
      const guint64 serial = self->link.slots[i].serial;
      AfrpcLinkCall *call = &self->link.slots[i].call;
      AfrpcCall *owner;

      /* There is no blocking call among them: it would be this thread's. */
      if (serial == 0 || call->owner == NULL || !afrpc_call_is (call->owner, callback, user_data))
        continue;

      owner = g_steal_pointer (&call->owner);
      afrpc_link_cancel (&self->link, serial);
      if (self->link.is_command)
        afrpc_child_flush (self);
      afrpc_call_settle_later (owner, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));
      return TRUE;
    }

  return FALSE;
}

/* A blocking call */

static void
sync_settle (AfrpcChild *self,
             SyncCall   *sync,
             GVariant   *value,
             GError     *error)
{
  AfrpcLinkCall *call = afrpc_link_find (&self->link, sync->serial);

  if (call != NULL)
    {
      call->owner = NULL;
      afrpc_link_cancel (&self->link, sync->serial);
    }
  sync->settled = TRUE;
  sync->value = value;
  sync->error = error;
}

/* What is not for the blocking call waits for the context, in the order of its arrival. */
static void
sync_take_item (AfrpcChild    *self,
                SyncCall      *sync,
                AfrpcLinkItem *item)
{
  AfrpcLinkItem *stashed;

  if (item->kind == AFRPC_LINK_ITEM_RESULT && item->call.owner == sync)
    {
      afrpc_child_unpack (self, item);
      sync->fds = afrpc_child_take_item_fds (item);
      sync_settle (self, sync, g_steal_pointer (&item->value), g_steal_pointer (&item->error));
      return;
    }
  if (item->kind == AFRPC_LINK_ITEM_READY && self->run_task == NULL)
    return;
  if (item->kind == AFRPC_LINK_ITEM_FAILED)
    {
      afrpc_child_fail (self, g_steal_pointer (&item->error));
      return;
    }

  /* It may be settled before its progress is delivered. */
  if (item->kind == AFRPC_LINK_ITEM_PROGRESS)
    g_object_ref (item->call.owner);
  self->stash_size += STASH_ITEM_SIZE + (item->value != NULL ? g_variant_get_size (item->value) : 0);
  stashed = g_new (AfrpcLinkItem, 1);
  *stashed = *item;
  memset (item, 0, sizeof *item);
  g_queue_push_tail (&self->stash, stashed);

  if (self->stash_size > self->link.n_bytes_max)
    sync_settle (self, sync, NULL,
                 g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY,
                              "the worker sent more than %" G_GUINT64_FORMAT
                              " bytes of events and other results during a blocking call",
                              self->link.n_bytes_max));
}

static void
sync_deliver (AfrpcChild *self,
              SyncCall   *sync)
{
  while (!sync->settled)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      if (!afrpc_child_next_item (self, &item))
        break;
      sync_take_item (self, sync, &item);
    }

  if (!sync->settled && self->exit != NULL && self->eof && self->failure == NULL)
    afrpc_child_fail_at_end (self);
  if (!sync->settled && self->failure != NULL)
    sync_settle (self, sync, NULL, afrpc_child_call_error (self, sync->serial));
}

enum
{
  POLL_SOCKET,
  POLL_PIDFD,
  POLL_STDERR,
  POLL_CANCELLABLE,
  POLL_TEMPLATES, /* and further: what the process is forked from, and that, and so on */
  N_POLL = POLL_TEMPLATES + 16,
};

/* How often templates are looked at that are further away than there is place for. */
#define FAR_TEMPLATE_MS 5

/* Waits for something to happen, and takes notice of it. */
static void
sync_poll (AfrpcChild   *self,
           GCancellable *cancellable,
           gint64        until)
{
  GPollFD fds[N_POLL] = {
    [POLL_SOCKET] = { self->eof || self->fork_socket >= 0 ? -1 : self->link.stream.in_fd, self->socket_events, 0 },
    [POLL_PIDFD] = { self->pidfd_tag != NULL ? self->spawned.pidfd : -1, G_IO_IN, 0 },
    [POLL_STDERR] = { self->tail.fd, G_IO_IN, 0 },
    [POLL_CANCELLABLE] = { -1, 0, 0 },
  };
  int timeout_ms = -1;
  guint n = POLL_TEMPLATES;
  const gboolean has_cancellable =
    cancellable != NULL && g_cancellable_make_pollfd (cancellable, &fds[POLL_CANCELLABLE]);

  until = MIN (until, afrpc_child_process_deadline (self));
  if (until != AFRPC_DEADLINES_NEVER)
    timeout_ms = CLAMP ((until - g_get_monotonic_time () + 999) / 1000, 0, G_MAXINT);
  if (self->exit != NULL && !self->eof)
    timeout_ms = 0;
  for (AfrpcChild *child = self; (child = afrpc_child_get_template (child)) != NULL;)
    {
      if (n == N_POLL)
        timeout_ms = MIN ((guint) timeout_ms, FAR_TEMPLATE_MS);
      else if (!child->eof)
        fds[n++] = (GPollFD) { child->link.stream.in_fd, G_IO_IN, 0 };
    }

  g_poll (fds, n, timeout_ms);
  if (has_cancellable)
    g_cancellable_release_fd (cancellable);

  if (fds[POLL_STDERR].revents != 0)
    afrpc_child_read_stderr (self);
  if ((fds[POLL_SOCKET].revents & ~G_IO_OUT) != 0 || self->exit != NULL)
    afrpc_child_read (self);
  if (fds[POLL_PIDFD].revents != 0)
    afrpc_child_reap (self);
}

static void
sync_check_clock (AfrpcChild   *self,
                  SyncCall     *sync,
                  GCancellable *cancellable,
                  gint64        until)
{
  GError *error = NULL;

  if (sync->settled)
    return;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    sync_settle (self, sync, NULL, error);
  else if (MIN (until, afrpc_child_process_deadline (self)) != AFRPC_DEADLINES_NEVER)
    {
      gint64 now = g_get_monotonic_time ();

      if (until <= now)
        sync_settle (self, sync, NULL, afrpc_child_timeout_error ());
      else
        afrpc_child_expire_process (self, now);
    }
}

/* Makes a call, whose descriptors it takes, and waits for its result without running a main loop. */
GVariant *
afrpc_child_call_sync (AfrpcChild          *self,
                       const AfrpcPayload  *args,
                       GUnixFDList        **out_fds, /* (nullable) */
                       guint                timeout_ms,
                       GCancellable        *cancellable,
                       GError             **error)
{
  SyncCall sync = { 0 };
  const AfrpcLinkCall call = { .owner = &sync };
  gint64 until = timeout_ms > 0 ? g_get_monotonic_time () + (gint64) timeout_ms * 1000 : AFRPC_DEADLINES_NEVER;

  if (!g_cancellable_set_error_if_cancelled (cancellable, error))
    sync.serial = queue_call (self, args, 0, &call, error);
  if (sync.serial == 0)
    {
      close_fds (args);
      return NULL;
    }

  afrpc_child_start (self);
  while (!sync.settled)
    {
      afrpc_child_pump_template (self);
      afrpc_child_flush (self);
      sync_deliver (self, &sync);
      if (!sync.settled)
        sync_poll (self, cancellable, until);
      sync_check_clock (self, &sync, cancellable, until);
    }

  if (sync.error != NULL)
    g_propagate_error (error, sync.error);
  if (out_fds != NULL)
    *out_fds = g_steal_pointer (&sync.fds);
  g_clear_object (&sync.fds);

  return sync.value;
}
