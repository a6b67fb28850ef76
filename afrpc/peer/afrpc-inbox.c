/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has arrived: the one loop that takes it, for the main loop, which has it told at once, and for who blocks the
 * thread, who keeps what is not his among the news. Either way it is told in the order of its arrival. */
#include "config.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-serialiser-values.h"
#include "peer/afrpc-log.h"
#include "peer/afrpc-inbox.h"
#include "serialise/afrpc-unpacking.h"
#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-peer.h"
#include "peer/afrpc-slice.h"
#include "peer/afrpc-task.h"

#define SLICE_ITEMS 4 /* told between two looks at the clock */

typedef struct
{
  GObject *proxy;    /* (nullable) (owned): looked up once, and kept alive while its handlers run */
  GValue values[AFRPC_PEER_EVENT_VALUES]; /* what handlers of events get; meaningless without a proxy */
  gboolean is_over;  /* a slice is, of something large: it is gone on with in the next */
  gboolean was_long; /* what was taken last may have taken much of a slice */
} Telling;

/* Values and descriptors */

/* Whether the item's value is serialised, and that it is unpacked may take longer than a slice. */
static gboolean
is_large (const AfrpcLinkItem *item)
{
  return G_UNLIKELY (item->is_serialised) && item->value != NULL && afrpc_unpacking_is_large (item->value);
}

/* Goes on unpacking the value of the piece's item. FALSE: there is more. */
static gboolean
unpack_slice (AfrpcNewsPiece *piece,
              gssize          budget)
{
  AfrpcLinkItem *item = &piece->item;
  GVariant *value = NULL;

  if (afrpc_unpacking_step (piece->unpacking, budget, &value, &item->error) == 0)
    return FALSE;

  g_variant_unref (item->value);
  item->value = value;
  item->is_serialised = FALSE;
  g_clear_pointer (&piece->unpacking, afrpc_unpacking_free);

  return TRUE;
}

/* The same, from the beginning on. TRUE as well if the serialiser does it all at once. */
static gboolean
unpack_next (AfrpcPeer      *self,
             AfrpcNewsPiece *piece)
{
  if (piece->unpacking == NULL)
    piece->unpacking = afrpc_unpacking_new (self->talk.serialiser, piece->item.value);

  return piece->unpacking == NULL || unpack_slice (piece, AFRPC_VALUE_CHECK_SLICE);
}

static G_NO_INLINE GVariant *
unpack_serialised (AfrpcPeer     *self,
                   AfrpcLinkItem *item,
                   GVariant      *packed) /* (transfer full) */
{
  g_autoptr(GVariant) value = packed;

  item->is_serialised = FALSE;

  return afrpc_serialiser_unpack (self->talk.serialiser, value, &item->error);
}

/* Returns: (transfer full) (nullable): the item's value, made now and not earlier: what waits takes no more than it has
 * been counted for; or NULL, and its error says why. */
static inline GVariant *
unpack (AfrpcPeer     *self,
        AfrpcLinkItem *item)
{
  GVariant *value = g_steal_pointer (&item->value);

  return G_LIKELY (!item->is_serialised) || value == NULL ? value : unpack_serialised (self, item, value);
}

/* Returns: (transfer full) (nullable): the descriptors that came with the item's value */
static GUnixFDList *
take_fds (AfrpcLinkItem *item)
{
  GUnixFDList *list;

  if (G_LIKELY (item->n_fds == 0))
    return NULL;

  list = g_unix_fd_list_new_from_array (item->fds, item->n_fds);
  item->n_fds = 0;

  return list;
}

/* Telling */

static void
end_telling (Telling *telling)
{
  if (telling->proxy == NULL)
    return;

  for (guint i = 0; i < AFRPC_PEER_EVENT_VALUES; i++)
    g_value_unset (&telling->values[i]);
  g_clear_object (&telling->proxy);
}

static void
tell_event (AfrpcPeer     *self,
            AfrpcLinkItem *item,
            Telling       *telling)
{
  GUnixFDList *fds;
  GVariant *value;

  if (telling->proxy == NULL)
    {
      telling->proxy = afrpc_weak_get (&self->proxy);
      memset (telling->values, 0, sizeof telling->values);
    }
  if (telling->proxy == NULL)
    return;

  fds = take_fds (item);
  value = unpack (self, item);
  if (value != NULL)
    {
      self->proxy_funcs->event (telling->proxy, value, fds, telling->values);
      return;
    }

  g_clear_object (&fds);
  self->proxy_funcs->error (telling->proxy, item->error, FALSE);
}

/* The call gets what has arrived for it. */
static void
decide_result (AfrpcPeer     *self,
               AfrpcPending  *pending,
               AfrpcLinkItem *item)
{
  g_autoptr(GUnixFDList) fds = take_fds (item);
  GVariant *value;

  /* A serialiser may do anything: what it does to this call comes too late. */
  afrpc_pending_step (pending, AFRPC_PENDING_UNPACKED);
  value = unpack (self, item);
  afrpc_pending_decide (pending, item->is_refused ? AFRPC_STARTED_NO : AFRPC_STARTED_YES, value, g_steal_pointer (&fds), g_steal_pointer (&item->error));
}

/* It has its outcome, and it is its turn. */
static void
tell_outcome (AfrpcPeer    *self,
              AfrpcPending *pending)
{
  if (pending->has_several)
    afrpc_news_insert_outcome (&self->news, NULL, pending);
  else
    pending->funcs->tell (pending);
}

static void
tell_progress (AfrpcPeer     *self,
               AfrpcLinkItem *item)
{
  AfrpcPending *pending = item->call.owner;
  g_autoptr(GVariant) value = unpack (self, item);

  if (value != NULL)
    pending->funcs->progress (pending, value);
  else
    g_debug ("progress of a call was lost: %s", item->error->message);
}

static void
tell_log (AfrpcPeer     *self,
          AfrpcLinkItem *item)
{
  const char *domain, *message;
  guint32 level;

  g_variant_get (item->value, "(u&s&s)", &level, &domain, &message);
  afrpc_log_forward (level, domain, self->body.pid, item->serial >> AFRPC_SERIAL_SLOT_BITS, message);
}

/* It wants no new calls. Who has no other worker goes on with it. */
static void
tell_retired (AfrpcPeer *self)
{
  g_autoptr(GObject) proxy = afrpc_weak_get (&self->proxy);

  if (proxy != NULL)
    self->proxy_funcs->retired (proxy);
}

/* Tells what arrived; who waits for it owns a reference to its call, which this one takes. */
static void
tell_item (AfrpcPeer     *self,
           AfrpcLinkItem *item,
           Telling       *telling)
{
  AfrpcPending *pending = item->call.owner;

  switch (item->kind)
    {
    case AFRPC_LINK_ITEM_RESULT:
      item->call.owner = NULL;
      decide_result (self, pending, item);
      tell_outcome (self, pending);
      break;

    case AFRPC_LINK_ITEM_PROGRESS:
      tell_progress (self, item);
      item->call.owner = NULL;
      pending->funcs->unref (pending);
      break;

    case AFRPC_LINK_ITEM_EVENT:
      tell_event (self, item, telling);
      break;

    case AFRPC_LINK_ITEM_LOG:
      tell_log (self, item);
      break;

    case AFRPC_LINK_ITEM_RETIRE:
      tell_retired (self);
      break;

    default:
      g_assert_not_reached ();
    }
}

static void
tell_known (AfrpcPeer *self)
{
  g_autoptr(GObject) process = afrpc_weak_get (&self->process);

  if (process != NULL)
    self->process_funcs->notify (process);
}

static void
tell_exited (AfrpcPeer *self)
{
  g_autoptr(GObject) process = afrpc_weak_get (&self->process);
  g_autoptr(GObject) held = g_steal_pointer (&self->process_held);

  if (process != NULL && self->body.exit != NULL)
    self->process_funcs->exited (process, self->body.exit);
}

static void
tell_closed (AfrpcPeer *self)
{
  g_autoptr(GObject) proxy = afrpc_weak_get (&self->proxy);
  g_autoptr(GObject) held = g_steal_pointer (&self->proxy_held);

  if (proxy != NULL)
    self->proxy_funcs->destroyed (proxy);
}

/* The worker has ended, and owed calls their outcome: the oldest gets it. FALSE: that was all. */
static gboolean
tell_owed (AfrpcPeer *self)
{
  AfrpcPending *pending = afrpc_peer_decide_owed (self);

  if (pending != NULL && afrpc_pending_is_told (pending))
    tell_outcome (self, pending);

  return pending != NULL;
}

static void
tell_piece (AfrpcPeer      *self,
            AfrpcNewsPiece *piece,
            Telling        *telling)
{
  g_autoptr(GObject) proxy = NULL;

  switch (piece->kind)
    {
    case AFRPC_NEWS_ITEM:
      tell_item (self, &piece->item, telling);
      break;

    case AFRPC_NEWS_OUTCOME:
      {
        AfrpcPending *pending = g_steal_pointer (&piece->pending);

        if (pending->state == AFRPC_PENDING_DECIDED)
          pending->funcs->tell (pending);
        /* It is being unpacked for who blocks, who has to tell others then. */
        else
          pending->is_told_too = FALSE;
      }
      break;

    case AFRPC_NEWS_OWED:
      break;

    case AFRPC_NEWS_TASK:
      piece->give (piece->task, g_steal_pointer (&piece->result));
      break;

    case AFRPC_NEWS_ERROR:
      proxy = afrpc_weak_get (&self->proxy);
      if (proxy != NULL)
        self->proxy_funcs->error (proxy, piece->error, piece->is_known);
      break;

    case AFRPC_NEWS_KNOWN:
      tell_known (self);
      break;

    case AFRPC_NEWS_EXITED:
      tell_exited (self);
      break;

    case AFRPC_NEWS_CLOSED:
      tell_closed (self);
      break;

    default:
      g_assert_not_reached ();
    }
}

/* Taking */

static void
give_connection (GTask    *task,
                 gpointer  connection)
{
  g_task_return_pointer (task, connection, g_object_unref);
}

/* The function is ready to take the connection over. */
static void
give_connection_away (AfrpcPeer *self)
{
  g_autoptr(GSocket) socket = NULL;
  GError *error = NULL;
  int fd;

  if (self->connection_task == NULL)
    return;

  fd = afrpc_talk_give_away (&self->talk);
  afrpc_peer_update_watch (self);
  afrpc_task_unwatch (self->connection_task);
  socket = g_socket_new_from_fd (fd, &error);
  if (socket != NULL)
    afrpc_news_push_task (&self->news, g_steal_pointer (&self->connection_task), give_connection,
                          g_socket_connection_factory_create_connection (socket));
  else
    {
      close (fd);
      afrpc_news_push_task_error (&self->news, g_steal_pointer (&self->connection_task), error);
    }
}

/* Takes what concerns nobody outside: it is acted on at once. FALSE: it is for somebody. */
static gboolean
act_on_item (AfrpcPeer     *self,
             AfrpcLinkItem *item)
{
  switch (item->kind)
    {
    case AFRPC_LINK_ITEM_GREETED:
      afrpc_birth_greeted (self);
      return TRUE;

    case AFRPC_LINK_ITEM_READY:
      afrpc_birth_forget_steps (self);
      give_connection_away (self);
      return TRUE;

    case AFRPC_LINK_ITEM_FAILED:
      afrpc_peer_report_failure (self, g_steal_pointer (&item->error));
      if (self->exit_deadline == AFRPC_DEADLINES_NEVER)
        afrpc_peer_set_deadline (self, &self->exit_deadline, g_get_monotonic_time () + AFRPC_PEER_DROP_GRACE_US);
      return TRUE;

    case AFRPC_LINK_ITEM_FORKED:
      afrpc_birth_forked (self, item);
      return TRUE;

    case AFRPC_LINK_ITEM_EXITED:
      afrpc_birth_child_exited (self, item);
      return TRUE;

    case AFRPC_LINK_ITEM_STARTED:
      afrpc_peer_call_started (self, item);
      return TRUE;

    default:
      return FALSE;
    }
}

/* What cannot be received, or read, came from somebody. */
static void
name_sender (AfrpcPeer     *self,
             AfrpcLinkItem *item)
{
  const AfrpcPending *pending = item->call.owner;
  g_autofree char *name = afrpc_peer_describe_for (self, pending != NULL ? pending->function : 0);

  g_prefix_error (&item->error, "%s: ", name);
}

/* The next thing that has arrived; FALSE: there is nothing, or not yet, or the worker is not listened to any more. */
static gboolean
next_item (AfrpcPeer     *self,
           AfrpcLinkItem *item,
           Telling       *telling)
{
  GError *error = NULL;

  /* Each time but the first, as a rule. */
  if (afrpc_transport_is_empty (&self->talk.link.transport))
    return FALSE;

  switch (afrpc_talk_next (&self->talk, item, &error))
    {
    case AFRPC_STEP_DONE:
      if (G_UNLIKELY (item->is_nameless))
        name_sender (self, item);
      return TRUE;

    case AFRPC_STEP_SLICE:
      telling->is_over = TRUE;
      return FALSE;

    case AFRPC_STEP_ERROR:
      afrpc_peer_break_off (self, error);
      return FALSE;

    case AFRPC_STEP_EOF:
      afrpc_peer_fall_silent (self);
      return FALSE;

    default:
      return FALSE;
    }
}

/* @item: what has arrived; what it has is used up, or left in it */
static void
use_item (AfrpcPeer      *self,
          AfrpcLinkItem  *item,
          AfrpcInboxMode  mode,
          Telling        *telling)
{
  AfrpcPending *pending = item->call.owner;

  if (act_on_item (self, item))
    return;

  telling->was_long = item->is_long;
  if (item->kind == AFRPC_LINK_ITEM_RESULT)
    {
      if (pending->is_awaited)
        {
          item->call.owner = NULL;
          decide_result (self, pending, item);
          if (pending->is_told_too)
            afrpc_news_push_outcome (&self->news, pending);
          return;
        }
      afrpc_pending_step (pending, AFRPC_PENDING_ARRIVED);
    }
  else if (item->kind == AFRPC_LINK_ITEM_PROGRESS)
    pending->funcs->ref (pending); /* it may have its outcome before this is told */

  if (mode == AFRPC_INBOX_TELL && afrpc_news_is_empty (&self->news) && !is_large (item))
    tell_item (self, item, telling);
  else
    afrpc_news_push_item (&self->news, item);
}

/* Takes one thing; FALSE: there is nothing. */
static gboolean
take_item (AfrpcPeer      *self,
           AfrpcInboxMode  mode,
           Telling        *telling)
{
  AfrpcLinkItem item;

  if (!next_item (self, &item, telling))
    return FALSE;

  use_item (self, &item, mode, telling);
  afrpc_link_item_clear (&item);

  return TRUE;
}

/* The call gets what has arrived for it and waits as @piece; the reference to it is the caller's. */
static void
decide_piece (AfrpcPeer      *self,
              AfrpcNewsPiece *piece)
{
  AfrpcPending *pending = g_steal_pointer (&piece->item.call.owner);

  if (piece->unpacking != NULL)
    unpack_slice (piece, G_MAXSSIZE / 2);
  decide_result (self, pending, &piece->item);
}

/* The outcome of a call waits among the news, and somebody for it: he gets it now. */
void
afrpc_inbox_decide_kept (AfrpcPeer    *self,
                         AfrpcPending *pending)
{
  GList *link = pending->kept;
  g_autoptr(AfrpcNewsPiece) piece = NULL;

  /* It is just being told. */
  if (link == NULL)
    return;

  piece = link->data;
  if (pending->is_told_too)
    afrpc_news_insert_outcome (&self->news, link, pending);
  afrpc_news_remove (&self->news, link);
  decide_piece (self, piece);
}

/* Nobody is told anything any more; but what has arrived for a call is its outcome, which somebody may ask for. */
void
afrpc_inbox_context_gone (AfrpcPeer *self)
{
  AfrpcNewsPiece *piece;

  while ((piece = afrpc_news_pop (&self->news)) != NULL)
    {
      AfrpcPending *pending = afrpc_news_piece_get_result (piece);

      if (pending != NULL)
        {
          decide_piece (self, piece);
          if (afrpc_pending_is_told (pending))
            pending->funcs->release (pending);
        }
      afrpc_news_piece_free (piece);
    }
}

/* Of a piece that several are told of: the first of them is. It stays where it is: whoever is told may run the main loop,
 * which goes on with the next. FALSE: there are not several any more, and nothing was done. */
static gboolean
tell_one_of_several (AfrpcPeer      *self,
                     AfrpcNewsPiece *piece)
{
  switch (piece->kind)
    {
    case AFRPC_NEWS_OWED:
      return tell_owed (self);

    case AFRPC_NEWS_OUTCOME:
      return piece->pending->has_several && piece->pending->state == AFRPC_PENDING_DECIDED &&
             piece->pending->funcs->tell_one (piece->pending);

    case AFRPC_NEWS_EXITED:
      return afrpc_peer_tell_exit_task (self);

    case AFRPC_NEWS_CLOSED:
      return afrpc_peer_tell_close_task (self);

    default:
      return FALSE;
    }
}

/* Tells the oldest piece of news, or takes what has arrived; FALSE: there is neither, or a slice is over. */
static gboolean
take_one (AfrpcPeer      *self,
          AfrpcInboxMode  mode,
          Telling        *telling)
{
  AfrpcNewsPiece *oldest = mode == AFRPC_INBOX_TELL ? afrpc_news_peek (&self->news) : NULL;
  g_autoptr(AfrpcNewsPiece) piece = NULL;

  if (oldest == NULL)
    return take_item (self, mode, telling);

  telling->was_long = oldest->kind == AFRPC_NEWS_ITEM && is_large (&oldest->item);
  if (telling->was_long && !unpack_next (self, oldest))
    {
      telling->is_over = TRUE;
      return FALSE;
    }

  if (G_UNLIKELY (oldest->kind >= AFRPC_NEWS_EXITED) && afrpc_peer_awaits_next_iteration (self, oldest->kind))
    {
      telling->is_over = TRUE;
      return FALSE;
    }
  if (tell_one_of_several (self, oldest))
    return TRUE;

  piece = afrpc_news_pop (&self->news);
  tell_piece (self, piece, telling);

  return TRUE;
}

/* Takes what has arrived until there is nothing more, or a slice is over. */
void
afrpc_inbox_take (AfrpcPeer      *self,
                  AfrpcInboxMode  mode)
{
  Telling telling;
  AfrpcSlice slice = { 0 };

  telling.proxy = NULL;
  if (mode == AFRPC_INBOX_TELL)
    afrpc_source_activate (&self->member);
  for (;;)
    {
      /* Whoever is told may run the main loop: then that goes on with what is next. */
      self->has_backlog = TRUE;
      telling.is_over = telling.was_long = FALSE;
      if (!take_one (self, mode, &telling))
        {
          self->has_backlog = telling.is_over;
          break;
        }

      /* Whoever is told may fork as well, and this may be the process that was: what comes next is told in the program. */
      if (G_UNLIKELY (!afrpc_source_is_there (&self->member)))
        break;
      if (mode == AFRPC_INBOX_TELL && (++slice.n % SLICE_ITEMS == 0 || telling.was_long) && afrpc_slice_is_over (&slice))
        break;
    }

  end_telling (&telling);
  if (G_LIKELY (afrpc_source_is_there (&self->member)))
    afrpc_transport_rest (&self->talk.link.transport);
}

/* Reads once; take everything before the next time. */
void
afrpc_inbox_read (AfrpcPeer *self)
{
  GError *error = NULL;

  if (afrpc_talk_is_silent (&self->talk) || self->birth.overture != NULL)
    return;

  /* A grandchild may hold the other end of a dead worker's socket. */
  if (self->body.state == AFRPC_BODY_ENDED)
    afrpc_link_process_ended (&self->talk.link);
  switch (afrpc_talk_read (&self->talk, &error))
    {
    case AFRPC_STEP_EOF:
      afrpc_peer_fall_silent (self);
      break;

    case AFRPC_STEP_ERROR:
      afrpc_peer_break_off (self, error);
      break;

    default:
      break;
    }
}
