/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-inbox.h"

#include "nats/afrpc-nats-thread.h"

#include <afrpc/afrpc.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLICE_US 4000 /* how long the main loop is held at a time */
#define SIGNAL_MS_MAX 1000 /* between looks for signals that have interrupted nothing */
#define NEVER G_MAXINT64

struct _AfrpcNatsInbox
{
  gint ref_count; /* atomic */
  guint n_forks;  /* afrpc_nats_forks_get_n() where it was made */

  GMutex lock;
  GQueue items;         /* (element-type AfrpcNatsItem) guarded by lock */
  gsize n_bytes;        /* of those that may be lost; guarded by lock */
  guint n_lost;         /* guarded by lock */
  gboolean is_closed;   /* nothing is taken in any more; guarded by lock */
  int event_fd;         /* wakes who blocks; -1 until somebody has; guarded by lock */
  guint n_blocking;     /* guarded by lock */

  /* Of the main context */
  GSource *source;      /* (nullable) (owned) */
  AfrpcNatsInboxFuncs funcs;
  gpointer data;
  gint64 deadline_us;   /* NEVER: none */
};

typedef struct
{
  GSource base;
  AfrpcNatsInbox *inbox; /* (owned) */
} InboxSource;

/* Items */

AfrpcNatsItem *
afrpc_nats_item_new (AfrpcNatsItemKind  kind,
                     guint              tag,
                     const char        *subject) /* (nullable) */
{
  AfrpcNatsItem *item = g_new0 (AfrpcNatsItem, 1);

  item->kind = kind;
  item->tag = tag;
  item->subject = g_strdup (subject);
  item->arrival_us = g_get_monotonic_time ();

  return item;
}

/* Returns: (transfer full): the same message */
AfrpcNatsItem *
afrpc_nats_item_copy (const AfrpcNatsItem *item)
{
  AfrpcNatsItem *copy = afrpc_nats_item_new (item->kind, item->tag, item->subject);

  copy->reply = g_strdup (item->reply);
  copy->bytes = item->bytes != NULL ? g_bytes_ref (item->bytes) : NULL;
  copy->arrival_us = item->arrival_us;

  return copy;
}

void
afrpc_nats_item_free (AfrpcNatsItem *item)
{
  g_free (item->subject);
  g_free (item->reply);
  g_clear_pointer (&item->bytes, g_bytes_unref);
  g_clear_error (&item->error);
  if (item->destroy != NULL)
    item->destroy (item->data);
  g_free (item);
}

/* The source */

/* Whether it is of the process that this one was forked from, as somebody who was told something may have done: nothing is told here,
 * and its lock may be a thread's that is not there. */
static gboolean
is_inherited (const AfrpcNatsInbox *self)
{
  return self->n_forks != afrpc_nats_forks_get_n ();
}

static AfrpcNatsItem *
new_lost_item (const AfrpcNatsInbox *self)
{
  AfrpcNatsItem *item = afrpc_nats_item_new (AFRPC_NATS_ITEM_ERROR, 0, NULL);

  item->error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_BUSY, "%u events were lost: they came faster than they were taken",
                             self->n_lost);

  return item;
}

/* Returns: (transfer full) (nullable) */
static AfrpcNatsItem *
pop (AfrpcNatsInbox *self)
{
  AfrpcNatsItem *item;

  g_mutex_lock (&self->lock);
  item = g_queue_pop_head (&self->items);
  if (item != NULL && item->may_be_lost)
    {
      self->n_bytes -= g_bytes_get_size (item->bytes);
      if (self->n_lost > 0)
        g_queue_push_head (&self->items, new_lost_item (self));
      self->n_lost = 0;
    }
  g_mutex_unlock (&self->lock);

  return item;
}

static gboolean
is_empty (AfrpcNatsInbox *self)
{
  gboolean empty;

  g_mutex_lock (&self->lock);
  empty = self->items.length == 0;
  g_mutex_unlock (&self->lock);

  return empty;
}

static void
update_ready_time (AfrpcNatsInbox *self)
{
  if (self->source == NULL || is_inherited (self))
    return;

  g_mutex_lock (&self->lock);
  g_source_set_ready_time (self->source, self->items.length > 0 ? 0 : self->deadline_us == NEVER ? -1 : self->deadline_us);
  g_mutex_unlock (&self->lock);
}

/* Takes what there is, for as long as a slice. Whoever is told may drop all that has this, or end it. */
static void
take (AfrpcNatsInbox *self,
      gboolean        tells)
{
  const gint64 end_us = g_get_monotonic_time () + SLICE_US;
  AfrpcNatsItem *item;

  while (self->source != NULL && !is_inherited (self) && (item = pop (self)) != NULL)
    {
      self->funcs.take (item, self->data);
      afrpc_nats_item_free (item);
      if (tells && self->source != NULL)
        self->funcs.tell (self->data);
      if (g_get_monotonic_time () > end_us)
        return;
    }
  if (is_inherited (self))
    return;
  if (self->source != NULL && self->deadline_us <= g_get_monotonic_time ())
    {
      self->deadline_us = NEVER;
      self->funcs.deadline (self->data);
    }
  if (tells && self->source != NULL)
    self->funcs.tell (self->data);
}

static gboolean
source_prepare (GSource *source,
                int     *timeout_ms)
{
  AfrpcNatsInbox *self = ((InboxSource *) source)->inbox;

  *timeout_ms = -1;
  if (self->source != NULL && !is_inherited (self))
    self->funcs.before_wait (self->data);

  return FALSE;
}

static gboolean
source_dispatch (GSource     *source,
                 GSourceFunc  callback,
                 gpointer     user_data)
{
  AfrpcNatsInbox *self = afrpc_nats_inbox_ref (((InboxSource *) source)->inbox);
  GMainContext *context = g_main_context_ref (g_source_get_context (source));

  if (is_inherited (self))
    g_source_set_ready_time (source, -1);
  g_main_context_push_thread_default (context);
  take (self, TRUE);
  update_ready_time (self);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  afrpc_nats_inbox_unref (self);

  return G_SOURCE_CONTINUE;
}

static void
source_finalize (GSource *source)
{
  afrpc_nats_inbox_unref (((InboxSource *) source)->inbox);
}

static GSourceFuncs source_funcs = { source_prepare, NULL, source_dispatch, source_finalize, NULL, NULL };

/* The inbox */

AfrpcNatsInbox *
afrpc_nats_inbox_new (GMainContext              *context,
                      const AfrpcNatsInboxFuncs *funcs,
                      gpointer                   data)
{
  AfrpcNatsInbox *self = g_new0 (AfrpcNatsInbox, 1);

  afrpc_nats_forks_watch ();
  self->ref_count = 1;
  self->n_forks = afrpc_nats_forks_get_n ();
  g_mutex_init (&self->lock);
  self->event_fd = -1;
  self->funcs = *funcs;
  self->data = data;
  self->deadline_us = NEVER;
  self->source = g_source_new (&source_funcs, sizeof (InboxSource));
  ((InboxSource *) self->source)->inbox = afrpc_nats_inbox_ref (self);
  g_source_set_static_name (self->source, "[afrpc] nats inbox");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);

  return self;
}

AfrpcNatsInbox *
afrpc_nats_inbox_ref (AfrpcNatsInbox *self)
{
  g_atomic_int_inc (&self->ref_count);

  return self;
}

void
afrpc_nats_inbox_unref (AfrpcNatsInbox *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_assert (self->source == NULL);
  g_queue_clear_full (&self->items, (GDestroyNotify) afrpc_nats_item_free);
  if (self->event_fd >= 0)
    close (self->event_fd);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* Takes no more. Nothing is called any more, whatever threads of nats.c still do. */
void
afrpc_nats_inbox_close (AfrpcNatsInbox *self)
{
  GQueue items;
  GSource *source;

  if (is_inherited (self))
    return;

  g_mutex_lock (&self->lock);
  source = g_steal_pointer (&self->source);
  self->is_closed = TRUE;
  items = self->items;
  g_queue_init (&self->items);
  g_mutex_unlock (&self->lock);

  g_queue_clear_full (&items, (GDestroyNotify) afrpc_nats_item_free);
  if (source != NULL)
    {
      g_source_destroy (source);
      g_source_unref (source);
    }
}

static void
wake_locked (AfrpcNatsInbox *self)
{
  if (self->n_blocking > 0 && self->event_fd >= 0)
    {
      const guint64 one = 1;

      if (write (self->event_fd, &one, sizeof one) < 0)
        g_assert (errno == EAGAIN);
    }
  if (self->source != NULL)
    g_source_set_ready_time (self->source, 0);
}

/* From any thread. @item: (transfer full) */
void
afrpc_nats_inbox_push (AfrpcNatsInbox *self,
                       AfrpcNatsItem  *item)
{
  g_mutex_lock (&self->lock);
  if (!self->is_closed && item->may_be_lost)
    {
      if (self->n_bytes + g_bytes_get_size (item->bytes) > AFRPC_NATS_EVENTS_MAX)
        {
          self->n_lost++;
          g_mutex_unlock (&self->lock);
          afrpc_nats_item_free (item);
          return;
        }
      self->n_bytes += g_bytes_get_size (item->bytes);
    }
  if (!self->is_closed)
    {
      g_queue_push_tail (&self->items, g_steal_pointer (&item));
      /* While there are some, it is awake. */
      if (self->items.length == 1)
        wake_locked (self);
    }
  g_mutex_unlock (&self->lock);

  if (item != NULL)
    afrpc_nats_item_free (item);
}

/* Returns: how many were lost since somebody was told so */
guint
afrpc_nats_inbox_get_n_lost (AfrpcNatsInbox *self)
{
  guint n_lost;

  g_mutex_lock (&self->lock);
  n_lost = self->n_lost;
  g_mutex_unlock (&self->lock);

  return n_lost;
}

/* Has before_wait() called soon, though nothing has arrived. From any thread. */
void
afrpc_nats_inbox_wake (AfrpcNatsInbox *self)
{
  g_mutex_lock (&self->lock);
  if (!self->is_closed)
    wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/* Has deadline() called at @time_us, monotonic, unless that is to be earlier. @self: (nullable): NULL once it was closed */
void
afrpc_nats_inbox_arm (AfrpcNatsInbox *self,
                      gint64          time_us)
{
  if (self == NULL || time_us >= self->deadline_us)
    return;

  self->deadline_us = time_us;
  update_ready_time (self);
}

/* Whether somebody waits without a main loop: nothing may be told but what he waits for. */
gboolean
afrpc_nats_inbox_is_blocking (AfrpcNatsInbox *self)
{
  gboolean is_blocking;

  g_mutex_lock (&self->lock);
  is_blocking = self->n_blocking > 0;
  g_mutex_unlock (&self->lock);

  return is_blocking;
}

static int
get_timeout_ms (AfrpcNatsInbox *self)
{
  gint64 rest_us;

  if (self->deadline_us == NEVER)
    return SIGNAL_MS_MAX;
  rest_us = self->deadline_us - g_get_monotonic_time ();

  return rest_us <= 0 ? 0 : (int) MIN (rest_us / 1000 + 1, SIGNAL_MS_MAX);
}

/* Blocks until something has arrived, or the time has come, and takes it; or until a signal has interrupted it, or may have
 * come without that. */
void
afrpc_nats_inbox_block (AfrpcNatsInbox *self)
{
  struct pollfd poll_fd = { .events = POLLIN };
  guint64 n;

  g_mutex_lock (&self->lock);
  if (self->event_fd < 0)
    self->event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  poll_fd.fd = self->event_fd;
  self->n_blocking++;
  g_mutex_unlock (&self->lock);

  self->funcs.before_wait (self->data);
  /* Without a descriptor it looks now and then. */
  if (is_empty (self))
    (void) !poll (&poll_fd, poll_fd.fd >= 0 ? 1 : 0, poll_fd.fd >= 0 ? get_timeout_ms (self) : 1);
  (void) !read (poll_fd.fd, &n, sizeof n);
  take (self, FALSE);
  if (is_inherited (self))
    return;

  /* What was taken besides is told by the main loop. */
  g_mutex_lock (&self->lock);
  self->n_blocking--;
  if (self->source != NULL)
    g_source_set_ready_time (self->source, 0);
  g_mutex_unlock (&self->lock);
}
