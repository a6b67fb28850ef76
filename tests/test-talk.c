/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The conversation of a peer, over a transport that is none: it gives what the test has put there. */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "peer/afrpc-talk.h"
#include "state-table.h"

/* The transport. */
static AfrpcStep read_step;
static AfrpcStep flush_step;
static GByteArray *arrived; /* (nullable): what is there to be read */
static guint n_reads;
static guint n_flushes;

static AfrpcStep
fake_read (AfrpcTransport  *self,
           GError         **error)
{
  struct iovec iov[2];
  const guint n_iov = afrpc_reader_get_room (&self->reader, iov);

  n_reads++;
  if (read_step == AFRPC_STEP_ERROR)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "nonsense");
  if (read_step == AFRPC_STEP_DONE && arrived != NULL)
    {
      g_assert_cmpuint (n_iov, >, 0);
      g_assert_cmpuint (iov[0].iov_len, >=, arrived->len);
      memcpy (iov[0].iov_base, arrived->data, arrived->len);
      afrpc_reader_add (&self->reader, arrived->len);
    }

  return read_step;
}

static AfrpcStep
fake_flush (AfrpcTransport  *self,
            GError         **error)
{
  n_flushes++;
  if (flush_step == AFRPC_STEP_ERROR)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "broken");

  return flush_step;
}

static void
fake_end_sending (AfrpcTransport *self)
{
}

static const AfrpcTransportFuncs fake_funcs = {
  .name = "fake", .is_local = TRUE, .read = fake_read, .flush = fake_flush, .end_sending = fake_end_sending,
};

/* Has a frame arrive. */
static void
arrive (AfrpcFrameKind  kind,
        guint64         serial,
        GVariant       *value)
{
  g_autoptr(GVariant) sunk = value != NULL ? g_variant_ref_sink (value) : NULL;
  AfrpcWriter writer;

  afrpc_writer_init (&writer, G_MAXSIZE);
  afrpc_writer_put_value (&writer, kind, serial, sunk);
  g_clear_pointer (&arrived, g_byte_array_unref);
  arrived = g_byte_array_append (g_byte_array_new (), writer.data + writer.head, writer.tail - writer.head);
  afrpc_writer_clear (&writer);
}

static void
arrive_greeting (void)
{
  arrive (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC,
          g_variant_new_parsed ("{'version': <%u>, 'host': <'c'>}", AFRPC_FRAME_PROTOCOL_VERSION));
}

typedef enum
{
  TAKE_ROLE,
  FAIL,
  CLOSE,
  FALL_SILENT,
  RESTART,
  GIVE_AWAY,
  CHECK_OPEN,
  FLUSH,
  READ,
  NEXT,
  END,
  END_FOR_NOTHING, /* without a failure */
  N_INPUTS,
} Input;

/* O open, C closing, A away, S silent, s silent and closed, V over, v over and closed */
static const char *const rows[] = {
  /* role fail close silent  restart away  open? flush read next  end end- */
  "  .    .    C     S       .       A     .     .     .    .     V   X",
  "  .    .    .     s       .       A     .     .     .    .     v   X",
  "  .    .    .     .       X       X     .     .     .    .     V   X",
  "  .    .    s     .       O       A     .     .     .    .     V   X",
  "  .    .    .     .       C       X     .     .     .    .     v   X",
  "  .    .    v     .       X       X     .     .     .    .     X   X",
  "  .    .    .     .       X       X     .     .     .    .     X   X",
};

G_STATIC_ASSERT (G_N_ELEMENTS (rows) == AFRPC_TALK_N_STATES);

static GError *
new_failure (void)
{
  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED, "it died");
}

static void
end (AfrpcTalk *talk)
{
  afrpc_talk_end (talk);
  g_assert_false (afrpc_link_is_waited_for (&talk->link));
}

static gpointer
reach (guint    state,
       gpointer data)
{
  AfrpcTalk *talk = g_new (AfrpcTalk, 1);
  const int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  read_step = flush_step = AFRPC_STEP_DONE;
  n_reads = n_flushes = 0;
  g_clear_pointer (&arrived, g_byte_array_unref);
  afrpc_talk_init (talk, "c");
  afrpc_transport_set_funcs (&talk->link.transport, &fake_funcs);
  afrpc_link_connect (&talk->link, fd);
  talk->link.n_pending_max = 10;
  talk->link.n_bytes_max = talk->link.message_size_max = 1000;
  talk->greeting_deadline = talk->flush_deadline = 1;

  if (state == AFRPC_TALK_CLOSING || state == AFRPC_TALK_SILENT_CLOSED || state == AFRPC_TALK_OVER_CLOSED)
    afrpc_talk_close (talk);
  if (state == AFRPC_TALK_AWAY)
    close (afrpc_talk_give_away (talk));
  if (state >= AFRPC_TALK_SILENT)
    afrpc_talk_fall_silent (talk);
  if (state >= AFRPC_TALK_OVER)
    {
      afrpc_talk_fail (talk, new_failure ());
      end (talk);
    }

  return talk;
}

static void
assert_no_deadlines (AfrpcTalk *talk)
{
  g_assert_cmpint (talk->greeting_deadline, ==, AFRPC_DEADLINES_NEVER);
  g_assert_cmpint (talk->flush_deadline, ==, AFRPC_DEADLINES_NEVER);
}

static void
take_roles (AfrpcTalk *talk,
            gboolean   is_over)
{
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (afrpc_talk_take_role (talk, AFRPC_ROLE_CALLS, &error), ==, !is_over);
  if (is_over)
    {
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      return;
    }
  g_assert_no_error (error);
  g_assert_false (afrpc_talk_take_role (talk, AFRPC_ROLE_STREAM, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  g_assert_cmpint (talk->role, ==, AFRPC_ROLE_CALLS);
}

static void
check_open (AfrpcTalk *talk,
            gboolean   is_closed,
            gboolean   is_over)
{
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (afrpc_talk_is_closed (talk), ==, is_closed);
  g_assert_cmpint (afrpc_talk_check_open (talk, &error), ==, !is_closed && !is_over);
  /* Whatever it died of, a call that is made now was no part of it. */
  if (is_closed || is_over)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
}

static void
flush (AfrpcTalk *talk,
       gboolean   is_silent)
{
  const AfrpcStep steps[] = { AFRPC_STEP_AGAIN, AFRPC_STEP_ERROR, AFRPC_STEP_DONE };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autoptr(GError) error = NULL;

      flush_step = steps[i];
      talk->link.transport.writer.crowded = steps[i] == AFRPC_STEP_AGAIN;
      g_assert_cmpint (afrpc_talk_flush (talk, &error), ==, is_silent ? AFRPC_STEP_DONE : steps[i]);
      g_assert_cmpint (error != NULL, ==, !is_silent && steps[i] == AFRPC_STEP_ERROR);
      g_assert_cmpint (talk->flush_deadline != AFRPC_DEADLINES_NEVER, ==, !is_silent && steps[i] == AFRPC_STEP_AGAIN);
    }
  g_assert_cmpuint (n_flushes, ==, is_silent ? 0 : G_N_ELEMENTS (steps));
}

static void
read_all (AfrpcTalk *talk,
          gboolean   is_silent)
{
  const AfrpcStep steps[] = { AFRPC_STEP_DONE, AFRPC_STEP_AGAIN, AFRPC_STEP_EOF, AFRPC_STEP_ERROR };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autoptr(GError) error = NULL;

      read_step = steps[i];
      g_assert_cmpint (afrpc_talk_read (talk, &error), ==, is_silent ? AFRPC_STEP_EOF : steps[i]);
      g_assert_cmpint (error != NULL, ==, !is_silent && steps[i] == AFRPC_STEP_ERROR);
    }
  g_assert_cmpuint (n_reads, ==, is_silent ? 0 : G_N_ELEMENTS (steps));
}

static void
give (gpointer thing,
      guint    state,
      guint    input)
{
  AfrpcTalk *talk = thing;
  const gboolean is_over = state >= AFRPC_TALK_OVER;
  const gboolean is_silent = state >= AFRPC_TALK_AWAY;
  const gboolean is_closed =
    state == AFRPC_TALK_CLOSING || state == AFRPC_TALK_SILENT_CLOSED || state == AFRPC_TALK_OVER_CLOSED;
  AfrpcLinkItem item;
  int fd;

  switch ((Input) input)
    {
    case TAKE_ROLE:
      take_roles (talk, is_over);
      break;

    case FAIL:
      afrpc_talk_fail (talk, new_failure ());
      afrpc_talk_fail (talk, g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED, "what follows from it"));
      g_assert_error (talk->failure, AFRPC_ERROR, AFRPC_ERROR_DIED);
      break;

    case CLOSE:
      afrpc_talk_close (talk);
      g_assert_cmpint (talk->link.closing, ==, state <= AFRPC_TALK_CLOSING || talk->link.closing);
      break;

    case FALL_SILENT:
      afrpc_talk_fall_silent (talk);
      assert_no_deadlines (talk);
      break;

    case RESTART:
      afrpc_talk_restart (talk);
      assert_no_deadlines (talk);
      break;

    case GIVE_AWAY:
      fd = afrpc_talk_give_away (talk);
      g_assert_cmpint (fcntl (fd, F_GETFD), >=, 0);
      close (fd);
      assert_no_deadlines (talk);
      g_assert_false (afrpc_talk_is_connected (talk));
      break;

    case CHECK_OPEN:
      check_open (talk, is_closed, is_over);
      break;

    case FLUSH:
      flush (talk, is_silent);
      break;

    case READ:
      read_all (talk, is_silent);
      break;

    case NEXT:
      g_assert_cmpint (afrpc_talk_next (talk, &item, NULL), ==, AFRPC_STEP_AGAIN);
      break;

    case END:
      if (talk->failure == NULL)
        afrpc_talk_fail (talk, new_failure ());
      end (talk);
      assert_no_deadlines (talk);
      break;

    case END_FOR_NOTHING:
      end (talk);
      break;

    default:
      g_assert_not_reached ();
    }
}

static guint
get_state (gpointer thing)
{
  return ((AfrpcTalk *) thing)->state;
}

static void
free_talk (gpointer thing)
{
  afrpc_talk_clear (thing);
  g_free (thing);
}

static void
test_talk_table (void)
{
  const StateTable table = { "OCASsVv", rows, N_INPUTS, NULL, reach, give, get_state, free_talk };

  g_test_summary ("Each input in each state leads where it should, or cannot come");
  state_table_check (&table);
}

/* What has been read when it falls silent: whoever ended is heard out, whoever failed is not. */
static void
test_talk_heard_out (void)
{
  g_test_summary ("What was read before the silence is taken, unless there is a failure");
  for (guint state = AFRPC_TALK_OPEN; state <= AFRPC_TALK_CLOSING; state++)
    for (guint has_failed = 0; has_failed < 2; has_failed++)
      {
        AfrpcTalk *talk = reach (state, NULL);
        AfrpcLinkItem item;

        arrive_greeting ();
        g_assert_cmpint (afrpc_talk_read (talk, NULL), ==, AFRPC_STEP_DONE);
        afrpc_talk_fall_silent (talk);
        if (has_failed)
          afrpc_talk_fail (talk, new_failure ());
        g_assert_cmpint (afrpc_talk_next (talk, &item, NULL), ==, has_failed ? AFRPC_STEP_AGAIN : AFRPC_STEP_DONE);
        g_assert_cmpint (talk->link.state, ==, has_failed ? AFRPC_LINK_GREETING : AFRPC_LINK_PREPARING);
        free_talk (talk);
      }
}

static void
test_talk_greeting (void)
{
  AfrpcTalk *talk = reach (AFRPC_TALK_OPEN, NULL);
  AfrpcLinkItem item;

  g_test_summary ("A greeting is waited for until it is there");
  talk->greeting_deadline = 7;
  g_assert_cmpint (afrpc_talk_next (talk, &item, NULL), ==, AFRPC_STEP_AGAIN);
  g_assert_cmpint (talk->greeting_deadline, ==, 7);
  arrive_greeting ();
  g_assert_cmpint (afrpc_talk_read (talk, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (afrpc_talk_next (talk, &item, NULL), ==, AFRPC_STEP_DONE);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_GREETED);
  g_assert_cmpint (talk->greeting_deadline, ==, AFRPC_DEADLINES_NEVER);
  free_talk (talk);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/talk/table", test_talk_table);
  g_test_add_func ("/talk/heard-out", test_talk_heard_out);
  g_test_add_func ("/talk/greeting", test_talk_greeting);

  return g_test_run ();
}
