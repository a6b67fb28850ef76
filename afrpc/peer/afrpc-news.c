/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-news.h"

#include <string.h>

/* What a GVariant over bytes of its own takes besides them: itself, a GBytes, and what malloc() keeps of each. */
#define VALUE_SIZE 160u /* bytes */

/* Whoever makes another call whenever one has failed learns of the end in spite of it: after so many. */
#define LATENESS_MAX 16u

#define ONCE (1u << AFRPC_NEWS_EXITED | 1u << AFRPC_NEWS_CLOSED)

void
afrpc_news_piece_free (AfrpcNewsPiece *piece)
{
  AfrpcPending *owner = piece->item.call.owner;

  if (piece->pending != NULL)
    piece->pending->funcs->release (piece->pending);
  if (owner != NULL && piece->item.kind == AFRPC_LINK_ITEM_RESULT)
    owner->funcs->release (owner);
  else if (owner != NULL)
    owner->funcs->unref (owner);
  afrpc_link_item_clear (&piece->item);
  g_clear_pointer (&piece->unpacking, afrpc_unpacking_free);
  g_clear_object (&piece->task);
  g_clear_error (&piece->error);
  g_free (piece);
}

void
afrpc_news_clear (AfrpcNews *self)
{
  AfrpcNewsPiece *piece;

  while ((piece = afrpc_news_pop (self)) != NULL)
    afrpc_news_piece_free (piece);
}

/* Whether this can be decided after all that: the end of the process and of the conversation come once each, and
 * nothing but outcomes of calls that were made too late comes after both. */
gboolean
afrpc_news_may_decide (guint         decided,
                       AfrpcNewsKind kind)
{
  const guint ends = 1u << AFRPC_NEWS_EXITED | 1u << AFRPC_NEWS_CLOSED;

  switch (kind)
    {
    case AFRPC_NEWS_ITEM:
      return (decided & ends) == 0;

    case AFRPC_NEWS_KNOWN:
      return (decided & 1u << AFRPC_NEWS_EXITED) == 0;

    case AFRPC_NEWS_OWED:
    case AFRPC_NEWS_ERROR:
      return (decided & 1u << AFRPC_NEWS_CLOSED) == 0;

    case AFRPC_NEWS_EXITED:
    case AFRPC_NEWS_CLOSED:
      return (decided & 1u << kind) == 0;

    case AFRPC_NEWS_OUTCOME:
    case AFRPC_NEWS_TASK:
      return TRUE;

    default:
      return FALSE;
    }
}

/* The ends are told last: an outcome that is decided before they were told comes before them, as a rule.
 * Returns: (nullable): the first of them that waits */
static GList *
find_ends (AfrpcNews *self)
{
  GList *ends = NULL;

  if (G_LIKELY ((self->decided & ONCE) == 0))
    return NULL;

  for (GList *l = self->pieces.tail; l != NULL; l = l->prev)
    {
      const AfrpcNewsPiece *piece = l->data;

      if ((1u << piece->kind & ONCE) != 0)
        ends = l;
      else if (piece->kind != AFRPC_NEWS_TASK)
        break;
    }

  return ends;
}

/* Returns: (transfer none): where it is, if that counts */
static GList *
push (AfrpcNews     *self,
      AfrpcNewsKind  kind)
{
  AfrpcNewsPiece *piece = g_new0 (AfrpcNewsPiece, 1);
  GList *ends = NULL;

  if (kind == AFRPC_NEWS_OUTCOME)
    ends = find_ends (self);
  if (ends != NULL)
    piece->lateness = self->lateness + 1;
  if (piece->lateness > LATENESS_MAX)
    ends = NULL;

  g_assert (afrpc_news_may_decide (self->decided, kind));
  self->decided |= 1u << kind & ONCE;
  piece->kind = kind;
  if (ends != NULL)
    g_queue_insert_before (&self->pieces, ends, piece);
  else
    g_queue_push_tail (&self->pieces, piece);

  return ends != NULL ? ends->prev : self->pieces.tail;
}

static inline AfrpcNewsPiece *
push_piece (AfrpcNews     *self,
            AfrpcNewsKind  kind)
{
  return push (self, kind)->data;
}

/* Returns: (nullable): the call whose outcome it is: it knows where that waits */
static inline AfrpcPending *
get_pending (const AfrpcNewsPiece *piece)
{
  return piece->kind == AFRPC_NEWS_OUTCOME ? piece->pending : afrpc_news_piece_get_result (piece);
}

/* @pending: (transfer full): its outcome waits there */
static void
set_outcome (GList        *link,
             AfrpcPending *pending)
{
  ((AfrpcNewsPiece *) link->data)->pending = pending;
  pending->kept = link;
}

/* @item: (transfer full): its contents, and the reference to its call that the link had, or one of its own */
void
afrpc_news_push_item (AfrpcNews     *self,
                      AfrpcLinkItem *item)
{
  AfrpcNewsPiece *piece = push_piece (self, AFRPC_NEWS_ITEM);
  AfrpcPending *pending;

  piece->item = *item;
  *item = (AfrpcLinkItem) { 0 };
  pending = get_pending (piece);
  if (pending != NULL)
    pending->kept = self->pieces.tail;
  piece->size = sizeof *piece + sizeof (GList);
  if (piece->item.value != NULL)
    piece->size += VALUE_SIZE + g_variant_get_size (piece->item.value);
  if (piece->item.error != NULL)
    piece->size += sizeof (GError) + strlen (piece->item.error->message);
  piece->n_fds = piece->item.n_fds;
  self->size += piece->size;
  self->n_fds += piece->n_fds;
}

/* @pending: (transfer full): it has been decided */
void
afrpc_news_push_outcome (AfrpcNews    *self,
                         AfrpcPending *pending)
{
  set_outcome (push (self, AFRPC_NEWS_OUTCOME), pending);
}

/* The same, in front of @before (nullable): NULL: of everything. */
void
afrpc_news_insert_outcome (AfrpcNews    *self,
                           GList        *before,
                           AfrpcPending *pending)
{
  AfrpcNewsPiece *piece = g_new0 (AfrpcNewsPiece, 1);
  GList *next = before != NULL ? before : self->pieces.head;

  piece->kind = AFRPC_NEWS_OUTCOME;
  piece->lateness = before == NULL ? self->lateness : ((AfrpcNewsPiece *) before->data)->lateness;
  g_queue_insert_before (&self->pieces, next, piece);
  set_outcome (next != NULL ? next->prev : self->pieces.tail, pending);
}

/* @task: (transfer full); @give: what returns it with @result */
void
afrpc_news_push_task (AfrpcNews       *self,
                      GTask           *task,
                      AfrpcNewsReturn  give,
                      gpointer         result)
{
  AfrpcNewsPiece *piece = push_piece (self, AFRPC_NEWS_TASK);

  piece->task = task;
  piece->give = give;
  piece->result = result;
}

static void
give_error (GTask    *task,
            gpointer  error)
{
  g_task_return_error (task, error);
}

/* @task: (transfer full): it fails with @error (transfer full) */
void
afrpc_news_push_task_error (AfrpcNews *self,
                            GTask     *task,
                            GError    *error)
{
  afrpc_news_push_task (self, task, give_error, error);
}

void
afrpc_news_push_error (AfrpcNews *self,
                       GError    *error,    /* (transfer full) */
                       gboolean   is_known) /* to a call */
{
  AfrpcNewsPiece *piece = push_piece (self, AFRPC_NEWS_ERROR);

  piece->error = error;
  piece->is_known = is_known;
}

void
afrpc_news_push (AfrpcNews     *self,
                 AfrpcNewsKind  kind)
{
  push (self, kind);
}

/* Takes the piece of @link (owned) out; it becomes the caller's. */
void
afrpc_news_remove (AfrpcNews *self,
                   GList     *link)
{
  AfrpcNewsPiece *piece = link->data;
  AfrpcPending *pending = get_pending (piece);

  /* It may wait elsewhere by now. */
  if (pending != NULL && pending->kept == link)
    pending->kept = NULL;
  self->size -= piece->size;
  self->n_fds -= piece->n_fds;
  g_queue_delete_link (&self->pieces, link);
}

/* Takes out the outcome of @pending, which waits to be told; the reference is the caller's then. */
void
afrpc_news_withdraw_outcome (AfrpcNews    *self,
                             AfrpcPending *pending)
{
  AfrpcNewsPiece *piece = pending->kept->data;

  afrpc_news_remove (self, pending->kept);
  piece->pending = NULL;
  afrpc_news_piece_free (piece);
}

/* Whether a call, or somebody who has asked for something else, gets any of it. Of what the worker owed at its end the link
 * knows. */
gboolean
afrpc_news_is_waited_for (const AfrpcNews *self)
{
  for (GList *l = self->pieces.head; l != NULL; l = l->next)
    {
      const AfrpcNewsPiece *piece = l->data;

      if (piece->kind == AFRPC_NEWS_OUTCOME || piece->kind == AFRPC_NEWS_TASK || piece->item.call.owner != NULL)
        return TRUE;
    }

  return FALSE;
}

/* Returns: (transfer full) (nullable): the oldest piece, to be told now */
AfrpcNewsPiece *
afrpc_news_pop (AfrpcNews *self)
{
  AfrpcNewsPiece *piece = g_queue_peek_head (&self->pieces);

  if (piece != NULL)
    {
      self->lateness = piece->lateness;
      self->told |= 1u << piece->kind & ONCE;
      afrpc_news_remove (self, self->pieces.head);
    }

  return piece;
}
