/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has been decided and not been told yet. */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "peer/afrpc-news.h"
#include "state-table.h"

/* A call that counts who holds it. */
typedef struct
{
  AfrpcPending pending;
  guint n_refs;
  guint n_released;
} Call;

static void
call_ref (AfrpcPending *pending)
{
  ((Call *) pending)->n_refs++;
}

static void
call_unref (AfrpcPending *pending)
{
  g_assert_cmpuint (((Call *) pending)->n_refs--, >, 0);
}

static void
call_release (AfrpcPending *pending)
{
  ((Call *) pending)->n_released++;
  call_unref (pending);
}

static const AfrpcPendingFuncs call_funcs = { .ref = call_ref, .unref = call_unref, .release = call_release };

typedef enum
{
  ITEM,
  OUTCOME,
  TASK,
  FAILURE,
  KNOWN,
  EXITED,
  CLOSED,
  POP,
  N_INPUTS,
} Input;

/* N nothing has ended, E the process has, C the conversation has, B both have */
static const char *const rows[] = {
  /* item outcome task failure known exited closed  pop */
  "  .    .       .    .       .     E      C       .",
  "  X    .       .    .       X     X      B       .",
  "  X    .       .    X       .     B      X       .",
  "  X    .       .    X       X     X      X       .",
};

/* News, with the call that pieces are of. */
typedef struct
{
  AfrpcNews news;
  Call call;
} Told;

static gpointer
reach (guint    state,
       gpointer data)
{
  Told *told = g_new0 (Told, 1);

  told->call.pending.funcs = &call_funcs;
  if ((state & 1) != 0)
    afrpc_news_push (&told->news, AFRPC_NEWS_EXITED);
  if ((state & 2) != 0)
    afrpc_news_push (&told->news, AFRPC_NEWS_CLOSED);

  return told;
}

/* A result of a call, with a value and a descriptor. */
static AfrpcLinkItem
new_result (Call *call)
{
  AfrpcLinkItem item = { .kind = AFRPC_LINK_ITEM_RESULT };

  call_ref (&call->pending);
  item.call.owner = &call->pending;
  item.value = g_variant_ref_sink (g_variant_new_string ("a result"));
  item.fds = g_new (int, 1);
  item.fds[0] = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  item.n_fds = 1;

  return item;
}

static void
give_task (GTask    *task,
           gpointer  result)
{
}

static void
push (Told  *told,
      Input  input)
{
  AfrpcLinkItem item;

  switch (input)
    {
    case ITEM:
      item = new_result (&told->call);
      afrpc_news_push_item (&told->news, &item);
      g_assert_null (item.value);
      break;

    case OUTCOME:
      call_ref (&told->call.pending);
      afrpc_news_push_outcome (&told->news, &told->call.pending);
      break;

    case TASK:
      afrpc_news_push_task (&told->news, g_task_new (NULL, NULL, NULL, NULL), give_task, NULL);
      break;

    case FAILURE:
      afrpc_news_push_error (&told->news, g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "it died"), TRUE);
      break;

    case KNOWN:
      afrpc_news_push (&told->news, AFRPC_NEWS_KNOWN);
      break;

    case EXITED:
    case CLOSED:
      afrpc_news_push (&told->news, input == EXITED ? AFRPC_NEWS_EXITED : AFRPC_NEWS_CLOSED);
      break;

    default:
      g_assert_not_reached ();
    }
}

static void
give (gpointer thing,
      guint    state,
      guint    input)
{
  Told *told = thing;
  const guint n_before = told->news.pieces.length;

  if (input == POP)
    {
      g_autoptr(AfrpcNewsPiece) piece = afrpc_news_pop (&told->news);

      g_assert_cmpint (piece != NULL, ==, n_before > 0);
      return;
    }

  push (told, input);
  g_assert_cmpuint (told->news.pieces.length, ==, n_before + 1);
}

static guint
get_state (gpointer thing)
{
  const AfrpcNews *news = &((Told *) thing)->news;

  return (afrpc_news_has_decided (news, AFRPC_NEWS_EXITED) ? 1 : 0) |
         (afrpc_news_has_decided (news, AFRPC_NEWS_CLOSED) ? 2 : 0);
}

static void
free_told (gpointer thing)
{
  Told *told = thing;

  afrpc_news_clear (&told->news);
  g_assert_true (afrpc_news_is_empty (&told->news));
  g_assert_cmpuint (told->news.size, ==, 0);
  g_assert_cmpuint (told->news.n_fds, ==, 0);
  g_assert_cmpuint (told->call.n_refs, ==, 0);
  g_free (told);
}

static void
test_news_table (void)
{
  const StateTable table = { "NECB", rows, N_INPUTS, NULL, reach, give, get_state, free_told };

  g_test_summary ("Each end is decided once, and after it comes only what may");
  state_table_check (&table);
}

static void
test_news_order (void)
{
  static const Input inputs[] = { ITEM, OUTCOME, TASK, ITEM, FAILURE, EXITED, OUTCOME, CLOSED, TASK, OUTCOME };
  static const AfrpcNewsKind kinds[] = {
    AFRPC_NEWS_ITEM, AFRPC_NEWS_OUTCOME, AFRPC_NEWS_TASK, AFRPC_NEWS_ITEM, AFRPC_NEWS_ERROR, AFRPC_NEWS_OUTCOME,
    AFRPC_NEWS_OUTCOME, AFRPC_NEWS_EXITED, AFRPC_NEWS_CLOSED, AFRPC_NEWS_TASK,
  };
  Told *told = reach (0, NULL);

  g_test_summary ("What has been decided is told in that order, but for outcomes, which come before the ends");
  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++)
    push (told, inputs[i]);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      AfrpcNewsPiece *piece = afrpc_news_pop (&told->news);

      g_assert_cmpint (piece->kind, ==, kinds[i]);
      afrpc_news_piece_free (piece);
    }
  g_assert_true (afrpc_news_is_empty (&told->news));
  free_told (told);
}

static void
test_news_late (void)
{
  Told *told = reach (0, NULL);
  guint n_told = 0;

  g_test_summary ("The end is told although each outcome makes for another one");
  push (told, OUTCOME);
  push (told, EXITED);
  push (told, CLOSED);
  for (gboolean is_closed = FALSE; !is_closed; n_told++)
    {
      AfrpcNewsPiece *piece = afrpc_news_pop (&told->news);

      is_closed = piece->kind == AFRPC_NEWS_CLOSED;
      afrpc_news_piece_free (piece);
      push (told, OUTCOME);
      g_assert_cmpuint (n_told, <, 100);
    }
  g_assert_cmpuint (n_told, >, 10);
  free_told (told);
}

static void
test_news_counted (void)
{
  Told *told = reach (0, NULL);
  gsize size;

  g_test_summary ("What waits is counted with its memory and its descriptors, until it is taken off");
  push (told, ITEM);
  size = told->news.size;
  g_assert_cmpuint (size, >, sizeof (AfrpcNewsPiece));
  g_assert_cmpuint (told->news.n_fds, ==, 1);
  push (told, ITEM);
  g_assert_cmpuint (told->news.size, ==, 2 * size);
  g_assert_cmpuint (told->news.n_fds, ==, 2);

  for (guint i = 0; i < 2; i++)
    {
      GList *link = told->news.pieces.head;
      AfrpcNewsPiece *piece = link->data;

      afrpc_news_remove (&told->news, link);
      g_assert_cmpuint (told->news.size, ==, (1 - i) * size);
      g_assert_cmpuint (told->news.n_fds, ==, 1 - i);
      afrpc_news_piece_free (piece);
      g_assert_cmpuint (told->call.n_released, ==, i + 1);
    }
  free_told (told);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/news/table", test_news_table);
  g_test_add_func ("/news/order", test_news_order);
  g_test_add_func ("/news/late", test_news_late);
  g_test_add_func ("/news/counted", test_news_counted);

  return g_test_run ();
}
