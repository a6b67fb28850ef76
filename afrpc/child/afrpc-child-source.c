/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"

#include <signal.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "child/afrpc-log.h"
#include "serialise/afrpc-pack.h"

/* A main loop is held no longer than this by what is delivered at once, so that no frame of 16 ms is
 * missed; and while there has been something to deliver for longer, redrawing comes first
 * (GDK_PRIORITY_REDRAW is 120). */
#define SLICE_US 2000
#define SLICE_ITEMS 4 /* delivered between two looks at the clock */
#define BACKLOG_PRIORITY (G_PRIORITY_HIGH_IDLE + 25)

/* A process that was dropped, or could not be prepared, has this long to end by itself. */
#define DROP_GRACE_US (1000 * 1000)

typedef struct
{
  GSource source;
  AfrpcChild *child;
} ChildSource;

static void
give_socket_away (AfrpcChild *self)
{
  g_autoptr(GTask) task = g_steal_pointer (&self->run_task);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSocket) socket = NULL;
  int fd;

  g_task_set_task_data (task, NULL, NULL);
  /* Nobody is there to take it any more. */
  if (g_task_return_error_if_cancelled (task))
    {
      afrpc_child_kill (self, SIGKILL);
      return;
    }

  self->raw = self->eof = TRUE;
  afrpc_child_unwatch_socket (self);
  fd = afrpc_link_steal_fd (&self->link);

  socket = g_socket_new_from_fd (fd, &error);
  if (socket == NULL)
    {
      close (fd);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  else
    g_task_return_pointer (task, g_socket_connection_factory_create_connection (socket), g_object_unref);
}

static gboolean
can_hand_over (AfrpcChild *self)
{
  return self->hand_over_task != NULL && self->spawned.pid > 0 && self->forks.length == 0 &&
         afrpc_stream_get_queued (&self->link.stream) == 0 && !afrpc_stream_has_read (&self->link.stream);
}

/* What the process says from now on is for whoever gets the socket. */
static void
finish_hand_over (AfrpcChild *self)
{
  g_autoptr(GTask) task = NULL;

  if (!can_hand_over (self))
    return;

  task = g_steal_pointer (&self->hand_over_task);
  self->raw = self->eof = TRUE;
  afrpc_child_unwatch_socket (self);
  self->greeting_deadline = AFRPC_DEADLINES_NEVER;
  self->link.was_ready = TRUE;
  g_task_return_int (task, afrpc_link_steal_fd (&self->link));
}

/* The next thing to deliver, oldest first; FALSE if nothing has arrived. */
gboolean
afrpc_child_next_item (AfrpcChild    *self,
                       AfrpcLinkItem *item)
{
  g_autoptr(GError) error = NULL;

  if (self->eof && self->failure != NULL)
    return FALSE;

  switch (afrpc_link_next (&self->link, item, &error))
    {
    case AFRPC_STREAM_DONE:
      if (self->link.state >= AFRPC_LINK_PREPARING)
        self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      return TRUE;

    case AFRPC_STREAM_ERROR:
      afrpc_child_break_off (self, g_steal_pointer (&error));
      return FALSE;

    case AFRPC_STREAM_EOF:
      if (!self->eof)
        afrpc_child_stop_reading (self);
      return FALSE;

    default:
      if (self->link.state >= AFRPC_LINK_PREPARING)
        self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      return FALSE;
    }
}

/* Makes a value of what is going to be delivered now, and not earlier: what waits takes no more than it has
 * been counted for. */
void
afrpc_child_unpack (AfrpcChild    *self,
                    AfrpcLinkItem *item)
{
  g_autoptr(GVariant) packed = NULL;

  if (!item->is_serialised || item->value == NULL)
    return;

  packed = g_steal_pointer (&item->value);
  item->is_serialised = FALSE;
  item->value = afrpc_unpack (self->serialiser, packed, &item->error);
}

static gboolean
pop_stash (AfrpcChild    *self,
           AfrpcLinkItem *item)
{
  g_autofree AfrpcLinkItem *stashed = g_queue_pop_head (&self->stash);

  if (stashed == NULL)
    return FALSE;

  if (self->stash.length == 0)
    self->stash_size = 0;
  *item = *stashed;

  return TRUE;
}

/* Returns: (transfer full) (nullable): the descriptors that came with the item's value */
GUnixFDList *
afrpc_child_take_item_fds (AfrpcLinkItem *item)
{
  GUnixFDList *list;

  if (item->n_fds == 0)
    return NULL;

  list = g_unix_fd_list_new_from_array (item->fds, item->n_fds);
  item->n_fds = 0;

  return list;
}

static void
deliver_event (AfrpcChild    *self,
               AfrpcLinkItem *item,
               GObject       *proxy,
               gboolean      *handled)
{
  g_autoptr(GUnixFDList) fds = afrpc_child_take_item_fds (item);

  afrpc_child_unpack (self, item);
  if (item->value != NULL)
    self->proxy_funcs->event (proxy, item->value, fds, handled);
  else
    self->proxy_funcs->error (proxy, item->error);
}

/* Which call it is, as it is told to people: the first is 1. */
static guint64
call_number (guint64 serial)
{
  return serial >> AFRPC_SERIAL_SLOT_BITS;
}

static void
deliver_log (AfrpcChild    *self,
             AfrpcLinkItem *item)
{
  const char *domain, *message;
  guint32 level;

  g_variant_get (item->value, "(u&s&s)", &level, &domain, &message);
  afrpc_log_forward (level, domain, self->pid, call_number (item->serial), message);
}

static void
deliver_progress (AfrpcChild    *self,
                  AfrpcLinkItem *item)
{
  /* A serialiser may have the call settled. */
  g_autoptr(AfrpcCall) call = g_object_ref (item->call.owner);

  afrpc_child_unpack (self, item);
  if (item->value != NULL)
    afrpc_call_progress (call, item->value);
  else
    g_warning ("progress of a call was lost: %s", item->error->message);
}

static void
deliver_item (AfrpcChild     *self,
              AfrpcLinkItem  *item,
              GObject       **proxy,
              gboolean       *handled)
{
  switch (item->kind)
    {
    case AFRPC_LINK_ITEM_RESULT:
      afrpc_child_unpack (self, item);
      if (G_UNLIKELY (item->n_fds > 0))
        afrpc_call_take_fds (item->call.owner, afrpc_child_take_item_fds (item));
      afrpc_call_settle (item->call.owner, self->spare_calls, g_steal_pointer (&item->value),
                         g_steal_pointer (&item->error));
      break;

    case AFRPC_LINK_ITEM_EVENT:
      if (*proxy == NULL)
        *proxy = g_weak_ref_get (&self->proxy);
      if (*proxy != NULL)
        deliver_event (self, item, *proxy, handled);
      break;

    case AFRPC_LINK_ITEM_PROGRESS:
      deliver_progress (self, item);
      break;

    case AFRPC_LINK_ITEM_LOG:
      deliver_log (self, item);
      break;

    case AFRPC_LINK_ITEM_FORKED:
      afrpc_child_forked (self, item);
      break;

    case AFRPC_LINK_ITEM_EXITED:
      afrpc_child_tell_exited (self, item);
      break;

    case AFRPC_LINK_ITEM_STARTED:
    case AFRPC_LINK_ITEM_RETIRE:
      break;

    case AFRPC_LINK_ITEM_READY:
      g_ptr_array_set_size (self->steps, 0);
      if (self->run_task != NULL)
        give_socket_away (self);
      break;

    case AFRPC_LINK_ITEM_FAILED:
      afrpc_child_fail (self, g_steal_pointer (&item->error));
      self->exit_deadline = g_get_monotonic_time () + DROP_GRACE_US;
      break;

    default:
      g_assert_not_reached ();
    }
}

static void
deliver (AfrpcChild *self)
{
  g_autoptr(GObject) proxy = NULL; /* looked up once, and kept alive while its handlers run */
  gboolean handled = FALSE;
  gint64 end = 0;
  guint n = 0;

  for (;;)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      /* A handler may run the main loop: then that goes on with what has arrived. */
      self->backlog = TRUE;
      if (pop_stash (self, &item))
        {
          deliver_item (self, &item, &proxy, &handled);
          afrpc_child_release_stashed (&item);
        }
      else if (afrpc_child_next_item (self, &item))
        deliver_item (self, &item, &proxy, &handled);
      else
        {
          self->backlog = FALSE;
          break;
        }

      if (++n % SLICE_ITEMS == 0)
        {
          gint64 now = g_get_monotonic_time ();

          if (end == 0)
            end = now + SLICE_US;
          else if (now >= end)
            break;
        }
    }
}

/* A worker that always has something to say must not keep the program from drawing. */
static void
choose_priority (AfrpcChild *self,
                 gint64      now)
{
  int priority = G_PRIORITY_DEFAULT;

  if (self->busy_since == 0)
    self->busy_since = now;
  else if (self->backlog || now - self->busy_since >= SLICE_US)
    priority = BACKLOG_PRIORITY;

  if (g_source_get_priority (self->source) != priority)
    g_source_set_priority (self->source, priority);
}

void
afrpc_child_flush (AfrpcChild *self)
{
  g_autoptr(GError) error = NULL;
  GIOCondition events = G_IO_IN;

  self->flush_deadline = AFRPC_DEADLINES_NEVER;
  if (self->eof || self->link.stream.out_fd < 0)
    return;

  switch (afrpc_link_flush (&self->link, &error))
    {
    case AFRPC_STREAM_AGAIN:
      if (self->link.stream.crowded)
        self->flush_deadline = g_get_monotonic_time () + AFRPC_STREAM_CROWDED_MS * 1000;
      else
        events |= G_IO_OUT;
      break;

    case AFRPC_STREAM_ERROR:
      afrpc_child_break_off (self, g_steal_pointer (&error));
      return;

    default:
      break;
    }

  if (events != self->socket_events)
    {
      self->socket_events = events;
      if (self->socket_tag != NULL)
        g_source_modify_unix_fd (self->source, self->socket_tag, events);
    }
}

/* Reads once; deliver everything before the next time. */
void
afrpc_child_read (AfrpcChild *self)
{
  g_autoptr(GError) error = NULL;

  if (self->eof)
    return;

  switch (afrpc_link_read (&self->link, &error))
    {
    case AFRPC_STREAM_EOF:
      afrpc_child_stop_reading (self);
      break;

    case AFRPC_STREAM_ERROR:
      afrpc_child_break_off (self, g_steal_pointer (&error));
      break;

    default:
      break;
    }
}

/* The source */

static gint64
next_deadline (AfrpcChild *self)
{
  gint64 next = afrpc_child_process_deadline (self);

  return self->deadlines.n > 0 ? MIN (next, afrpc_deadlines_next (&self->deadlines)) : next;
}

/* Settles a call before its outcome is known, which is then not waited for any more. */
void
afrpc_child_give_up (AfrpcChild *self,
                     guint64     serial,
                     GError     *error) /* (transfer full) */
{
  AfrpcCall *call = g_steal_pointer (&afrpc_link_find (&self->link, serial)->owner);

  afrpc_link_cancel (&self->link, serial);
  /* Without a page, what is sent too late runs in vain. */
  if (self->link.is_command)
    afrpc_child_flush (self);
  afrpc_call_settle (call, self->spare_calls, NULL, error);
}

/* Acts on the process' own time limits. */
void
afrpc_child_expire_process (AfrpcChild *self,
                            gint64      now)
{
  if (self->greeting_deadline <= now)
    {
      self->greeting_deadline = AFRPC_DEADLINES_NEVER;
      afrpc_child_break_off (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST,
                                                "no greeting within the time limit"));
    }

  if (self->reap_deadline <= now)
    afrpc_child_reap (self);

  if (self->exit_deadline <= now)
    {
      self->exit_deadline = AFRPC_DEADLINES_NEVER;
      afrpc_child_kill (self, SIGKILL);
    }
}

static void
expire_calls (AfrpcChild *self,
              gint64      now)
{
  guint64 serial;

  while (afrpc_deadlines_pop (&self->deadlines, now, &serial))
    afrpc_child_give_up (self, serial, afrpc_child_timeout_error ());
}

/* Nobody can give it work any more, nobody is going to be forked from it, and nobody asks how its children end. */
static gboolean
is_abandoned (AfrpcChild *self)
{
  return self->dropped && !self->taken && self->forks.length == 0 && self->reaped_for->len == 0;
}

static void
act_on_drops (AfrpcChild *self)
{
  AfrpcChildDrop drops = g_atomic_int_and (&self->drops, 0);

  if ((drops & AFRPC_CHILD_DROP_PROXY) != 0)
    afrpc_link_close (&self->link);

  if ((drops & AFRPC_CHILD_DROP_PROCESS) != 0)
    self->dropped = TRUE;
  if (is_abandoned (self))
    {
      /* Nobody can give it work any more: the end of its input ends it. */
      self->taken = self->started = TRUE;
      afrpc_child_stop_reading (self);
      self->exit_deadline = g_get_monotonic_time () + DROP_GRACE_US;
      afrpc_link_clear (&self->link);
      self->link.state = AFRPC_LINK_ENDED;
      afrpc_child_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED, "the process was dropped"));
    }
}

static gboolean
needs_dispatch (AfrpcChild *self)
{
  return g_atomic_int_get (&self->drops) != 0 || is_abandoned (self) || !self->started || self->backlog ||
         self->stash.length > 0 ||
         (self->exit != NULL && !self->eof) || (self->failure != NULL && !self->told) ||
         (self->exit != NULL && self->failure == NULL) || can_hand_over (self);
}

static gboolean
child_source_prepare (GSource *source,
                      int     *timeout_ms)
{
  AfrpcChild *self = ((ChildSource *) source)->child;
  gint64 deadline;

  /* Here and nowhere else in the loop: so whatever was queued goes out in one write. */
  if (afrpc_stream_get_queued (&self->link.stream) > 0 || (self->link.closing && !self->link.shut))
    afrpc_child_flush (self);

  if (needs_dispatch (self))
    return TRUE;

  deadline = next_deadline (self);
  if (deadline == AFRPC_DEADLINES_NEVER)
    return FALSE;

  deadline -= g_source_get_time (source);
  if (deadline <= 0)
    return TRUE;
  *timeout_ms = MIN ((deadline + 999) / 1000, G_MAXINT);

  return FALSE;
}

static GIOCondition
query (AfrpcChild *self,
       gpointer    tag)
{
  return tag != NULL ? g_source_query_unix_fd (self->source, tag) : 0;
}

static gboolean
child_source_check (GSource *source)
{
  AfrpcChild *self = ((ChildSource *) source)->child;
  const gboolean is_readable = query (self, self->socket_tag) != 0;

  if (!is_readable && !self->backlog)
    self->busy_since = 0;

  return is_readable || query (self, self->pidfd_tag) != 0 ||
         query (self, self->stderr_tag) != 0 || needs_dispatch (self) ||
         next_deadline (self) <= g_source_get_time (source);
}

static gboolean
child_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  g_autoptr(AfrpcChild) self = afrpc_child_ref (((ChildSource *) source)->child);
  gint64 now = g_source_get_time (source);
  const GIOCondition socket = query (self, self->socket_tag);
  const GIOCondition pidfd = query (self, self->pidfd_tag);

  if (g_atomic_int_get (&self->drops) != 0 || is_abandoned (self))
    act_on_drops (self);
  if (!self->started)
    afrpc_child_start (self);
  if (query (self, self->stderr_tag) != 0)
    afrpc_child_read_stderr (self);
  if (next_deadline (self) <= now)
    {
      afrpc_child_expire_process (self, now);
      expire_calls (self, now);
    }

  if (self->backlog || self->stash.length > 0)
    deliver (self);
  finish_hand_over (self);
  if (!self->backlog && ((socket & ~G_IO_OUT) != 0 || self->exit != NULL))
    {
      afrpc_child_read (self);
      deliver (self);
    }
  if ((socket & G_IO_OUT) != 0)
    afrpc_child_flush (self);
  if (pidfd != 0)
    afrpc_child_reap (self);

  if (self->forks.length > 0 && (self->failure != NULL || self->eof))
    afrpc_child_fail_forks (self);
  afrpc_child_act_on_end (self);
  if (!self->ended)
    choose_priority (self, now);

  return self->ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
child_source_finalize (GSource *source)
{
  AfrpcChild *self = ((ChildSource *) source)->child;

  self->source = NULL;
  self->socket_tag = self->pidfd_tag = self->stderr_tag = NULL;
  afrpc_child_forget_template (self);
  afrpc_child_unref (self);
}

static GSourceFuncs child_source_funcs = {
  child_source_prepare,
  child_source_check,
  child_source_dispatch,
  child_source_finalize,
};

/* Returns: (transfer full): the source, which owns a reference to the child. */
GSource *
afrpc_child_source_new (AfrpcChild *self)
{
  GSource *source = g_source_new (&child_source_funcs, sizeof (ChildSource));

  g_source_set_static_name (source, "[afrpc] worker");
  /* Without this GLib blocks the source while it is dispatched, which costs three system calls. */
  g_source_set_can_recurse (source, TRUE);
  ((ChildSource *) source)->child = afrpc_child_ref (self);

  return source;
}
