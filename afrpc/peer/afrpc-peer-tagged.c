/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events that are told before everything else that waits, at the end of what has blocked the thread: what a worker logs,
 * say, in a program that never runs a main loop. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"

#include <gio/gunixfdlist.h>
#include <string.h>

#include "afrpc-serialiser-values.h"
#include "peer/afrpc-peer.h"

/* Whether it has the tag, as the key of a dictionary entry. What is serialised is not read for that: that the tag is
 * somewhere in it is enough. */
static gboolean
is_tagged (const AfrpcNewsPiece *piece,
           const char           *tag)
{
  const AfrpcLinkItem *item = &piece->item;

  if (piece->kind != AFRPC_NEWS_ITEM || item->kind != AFRPC_LINK_ITEM_EVENT || item->value == NULL ||
      piece->unpacking != NULL)
    return FALSE;
  if (item->is_serialised)
    return memmem (g_variant_get_data (item->value), g_variant_get_size (item->value), tag, strlen (tag)) != NULL;
  if (g_variant_is_of_type (item->value, G_VARIANT_TYPE ("{sv}")))
    {
      g_autoptr(GVariant) key = g_variant_get_child_value (item->value, 0);

      return strcmp (g_variant_get_string (key, NULL), tag) == 0;
    }

  return FALSE;
}

/* Takes them out of the news. Each piece is looked at once, however often this is asked. */
static void
take (AfrpcPeer  *self,
      const char *tag,
      GQueue     *taken)
{
  GList *first = NULL;

  for (GList *l = self->news.pieces.tail; l != NULL && !((AfrpcNewsPiece *) l->data)->was_seen; l = l->prev)
    first = l;
  for (GList *l = first, *next; l != NULL; l = next)
    {
      AfrpcNewsPiece *piece = l->data;

      next = l->next;
      piece->was_seen = TRUE;
      if (!is_tagged (piece, tag))
        continue;
      afrpc_news_remove (&self->news, l);
      g_queue_push_tail (taken, piece);
    }
}

static void
tell (AfrpcPeer      *self,
      AfrpcNewsPiece *piece)
{
  g_autoptr(GObject) proxy = afrpc_weak_get (&self->proxy);
  AfrpcLinkItem *item = &piece->item;
  GValue values[AFRPC_PEER_EVENT_VALUES] = { 0 };
  GUnixFDList *fds = NULL;
  GVariant *value = g_steal_pointer (&item->value);

  if (item->n_fds > 0)
    fds = g_unix_fd_list_new_from_array (item->fds, item->n_fds);
  item->n_fds = 0;
  if (item->is_serialised)
    {
      g_autoptr(GVariant) packed = value;

      value = afrpc_serialiser_unpack (self->talk.serialiser, packed, &item->error);
    }
  if (proxy != NULL && value != NULL)
    self->proxy_funcs->event (proxy, g_steal_pointer (&value), g_steal_pointer (&fds), values);
  else if (proxy != NULL)
    self->proxy_funcs->error (proxy, item->error, FALSE);

  for (guint i = 0; i < AFRPC_PEER_EVENT_VALUES; i++)
    if (G_IS_VALUE (&values[i]))
      g_value_unset (&values[i]);
  g_clear_object (&fds);
  g_clear_pointer (&value, g_variant_unref);
}

static void
add_peer (AfrpcPeer *peer,
          gpointer   peers)
{
  g_ptr_array_add (peers, afrpc_peer_ref (peer));
}

/* Tells the events with a tag of all peers that have the same main context: this thread has that. */
void
afrpc_peer_tell_tagged (AfrpcPeer  *self,
                        const char *tag)
{
  g_autoptr(GPtrArray) peers = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_peer_unref);

  add_peer (self, peers);
  if (self->member.source != NULL)
    {
      afrpc_source_foreach (self->member.source, add_peer, peers);
      afrpc_source_foreach_active (self->member.source, add_peer, peers);
    }
  for (guint i = 0; i < peers->len; i++)
    {
      AfrpcPeer *peer = peers->pdata[i];
      GQueue taken = G_QUEUE_INIT;
      AfrpcNewsPiece *piece;

      take (peer, tag, &taken);
      while ((piece = g_queue_pop_head (&taken)) != NULL)
        {
          tell (peer, piece);
          afrpc_news_piece_free (piece);
        }
    }
}
