/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "own-process.h"

#define N_GREETINGS 1000 /* of an adopted worker, at most */

/* A worker that is being prepared, and can be forked. */
static void
start_preparing (Fake *fake)
{
  fake_init (fake);
  fake_greet (fake);
  fake_take_none (fake);
}

/* Says that it forked; a memfd stands for the pidfd. */
static void
say_forked (Fake        *fake,
            GVariant    *value,
            struct stat *st)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink (value);

  afrpc_transport_put_fd (&fake->worker, AFRPC_FRAME_FORKED, sunk, fake_new_fd (st));
  g_assert_cmpint (afrpc_transport_flush (&fake->worker, NULL), ==, AFRPC_STEP_DONE);
}

static void
test_link_forked (void)
{
  const guint n_fds = own_process_count_fds ();
  const guint32 pids[] = { 1, 1234, G_MAXINT };

  g_test_summary ("A new process comes with its number and its descriptor, which belongs to the "
                  "item");
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      struct stat sent, received;

      start_preparing (&fake);
      say_forked (&fake, g_variant_new ("(ub)", pids[i], i == 1), &sent);
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FORKED);
      g_assert_no_error (item.error);
      g_assert_cmpint (item.pid, ==, pids[i]);
      g_assert_cmpint (item.direct, ==, i == 1);
      g_assert_no_errno (fstat (item.pidfd, &received));
      g_assert_cmpuint (sent.st_ino, ==, received.st_ino);
    }
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_link_refused (void)
{
  g_auto(Fake) fake = { 0 };
  const char *const texts[] = { "('g-io-error-quark', 15, 'text')", "'text'" };

  g_test_summary ("A worker that cannot be forked says why, as often as it is asked");
  start_preparing (&fake);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_say (&fake, AFRPC_FRAME_REFUSED, 0, g_variant_new_parsed (texts[i]));
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FORKED);
      g_assert_nonnull (item.error);
      g_assert_cmpint (item.pid, ==, 0);
    }
}

static void
check_bad_fork (GVariant *value)
{
  const guint n_fds = own_process_count_fds ();
  Fake fake = { 0 };
  struct stat st;

  start_preparing (&fake);
  say_forked (&fake, value, &st);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
  fake_clear (&fake);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

/* A message whose payload has @size bytes, and how many descriptors it announces. */
static void
send_forked (Fake    *fake,
             gsize    size,
             guint16  n_fds,
             int      fd)
{
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_FORKED,
    .flags = AFRPC_FRAME_FLAGS_NATIVE,
    .n_fds = n_fds,
    .type_length = 4,
    .size = size,
  };
  const guint32 pid = 1234;
  guint8 bytes[AFRPC_FRAME_HEADER_SIZE + 16] = { 0 };

  afrpc_frame_encode (&header, bytes);
  memcpy (bytes + AFRPC_FRAME_HEADER_SIZE, "(ub)", 4);
  memcpy (bytes + AFRPC_FRAME_HEADER_SIZE + 8, &pid, sizeof pid);
  fake_send (fake, bytes, sizeof bytes, fd);
}

static void
test_link_fork_without_fd (gconstpointer data)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("A new process whose descriptor did not come, announced or not, breaks the "
                  "protocol");
  start_preparing (&fake);
  send_forked (&fake, 8, GPOINTER_TO_UINT (data), -1);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
test_link_fork_lost_fd (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  struct stat st;
  guint64 n_fds_max;

  g_test_summary ("A new process whose descriptor found no room here is one all the same");
  if (own_process_is_under_valgrind ())
    {
      g_test_skip ("valgrind only pretends to set limits");
      return;
    }

  start_preparing (&fake);
  say_forked (&fake, g_variant_new ("(ub)", 1234, TRUE), &st);
  n_fds_max = own_process_limit_fds (own_process_lowest_fd ());
  fake_take (&fake, &item);
  own_process_limit_fds (n_fds_max);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FORKED);
  g_assert_cmpint (item.pid, ==, 1234);
  g_assert_cmpint (item.pidfd, ==, -1);
}

static void
check_exited (const char *text,
              int         pid,
              int         status,
              int         signum,
              gboolean    core)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };

  start_preparing (&fake);
  fake_say (&fake, AFRPC_FRAME_EXITED, 0, g_variant_new_parsed (text));
  if (pid == 0)
    {
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
      return;
    }
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_EXITED);
  g_assert_cmpint (item.pid, ==, pid);
  g_assert_true (item.status.known);
  g_assert_cmpint (item.status.status, ==, status);
  g_assert_cmpint (item.status.signum, ==, signum);
  g_assert_cmpint (item.status.core, ==, core);
}

static void
test_link_exited (void)
{
  const guint n_fds = own_process_count_fds ();

  g_test_summary ("A worker that has to reap its forks itself says how they ended");
  check_exited ("(uint32 1234, 3, 0, false)", 1234, 3, 0, FALSE);
  check_exited ("(uint32 7, -1, 9, true)", 7, -1, 9, TRUE);
  check_exited ("(1234, 3, 0, false)", 0, 0, 0, FALSE);
  check_exited ("'1234'", 0, 0, 0, FALSE);
  g_assert_cmpuint (own_process_count_fds (), ==, n_fds);
}

static void
test_link_fork_too_late (void)
{
  const AfrpcFrameKind kinds[] = { AFRPC_FRAME_FORKED, AFRPC_FRAME_REFUSED, AFRPC_FRAME_EXITED };
  const char *const texts[] = { "(uint32 1234, true)", "('', 1, '')",
                                "(uint32 1234, 3, 0, false)" };

  g_test_summary ("A worker that runs a function does not speak of forks any more");
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_auto(Fake) fake = { 0 };

      fake_init (&fake);
      fake_start (&fake);
      fake_say (&fake, kinds[i], 0, g_variant_new_parsed (texts[i]));
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

static void
test_link_bad_fork (void)
{
  g_test_summary ("A new process that cannot be breaks the protocol, and its descriptor is closed");
  check_bad_fork (g_variant_new ("(ub)", 0, TRUE));
  check_bad_fork (g_variant_new ("(ub)", (guint32) G_MAXINT + 1, TRUE));
  check_bad_fork (g_variant_new ("(ub)", G_MAXUINT32, TRUE));
  check_bad_fork (g_variant_new ("(ib)", 1234, TRUE));
  check_bad_fork (g_variant_new_uint32 (1234));
  check_bad_fork (g_variant_new_string ("1234"));
}

static void
test_link_malformed_fork (void)
{
  g_auto(Fake) fake = { 0 };
  struct stat st[2], received;
  int fd = fake_new_fd (&st[0]);

  g_test_summary ("A malformed message does not lend its descriptor to the next one");
  start_preparing (&fake);
  send_forked (&fake, 3, 1, fd);
  close (fd);
  say_forked (&fake, g_variant_new ("(ub)", 1234, TRUE), &st[1]);

  for (guint i = 0; i < 2; i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FORKED);
      g_assert_cmpint (item.pid, ==, i == 0 ? 0 : 1234);
      if (i == 0)
        g_assert_error (item.error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      else
        {
          g_assert_no_error (item.error);
          g_assert_no_errno (fstat (item.pidfd, &received));
          g_assert_cmpuint (st[1].st_ino, ==, received.st_ino);
        }
    }
}

static void
test_link_adopt (void)
{
  g_test_summary ("A conversation that another process has begun goes on with its greeting, or "
                  "without");
  for (guint greets = 0; greets < 3; greets++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      AfrpcFrame frame;
      int fd;

      fake_init (&fake);
      fd = fake.link.transport.in_fd;
      fake.link.transport.in_fd = fake.link.transport.out_fd = -1;
      afrpc_link_adopt (&fake.link, fd);
      fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
      fake_hear_none (&fake);
      if (greets > 0)
        fake_say (&fake, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC,
                  fake_new_hello (AFRPC_FRAME_PROTOCOL_VERSION, greets == 1 ? FAKE_HOST : "other"));
      if (greets == 1)
        fake_say (&fake, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, fake_new_hello (AFRPC_FRAME_PROTOCOL_VERSION, FAKE_HOST));
      if (greets == 2)
        {
          fake_refused (&fake, AFRPC_ERROR_NOT_A_HOST);
          continue;
        }
      fake_say (&fake, AFRPC_FRAME_READY, 0, NULL);
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
      g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_READY);
    }
}

static void
test_link_adopt_greetings (void)
{
  g_auto(Fake) fake = { 0 };
  int fd;

  g_test_summary ("An adopted worker greets as often as it was handed on, and not for ever; and the kernel says who does");
  fake_init (&fake);
  fake_greet (&fake);
  fake_take_none (&fake);
  g_assert_cmpint (afrpc_link_get_sender (&fake.link), ==, 0);
  fd = fake.link.transport.in_fd;
  fake.link.transport.in_fd = fake.link.transport.out_fd = -1;
  afrpc_link_adopt (&fake.link, fd);
  fake_greet (&fake);
  fake_take_none (&fake);
  g_assert_cmpint (afrpc_link_get_sender (&fake.link), ==, getpid ());
  g_assert_false (fake.link.transport.asks_sender);
  for (guint i = 1; i < N_GREETINGS; i++)
    {
      fake_greet (&fake);
      fake_take_none (&fake);
    }
  fake_greet (&fake);
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/link-fork/forked", test_link_forked);
  g_test_add_func ("/link-fork/refused", test_link_refused);
  g_test_add_func ("/link-fork/bad", test_link_bad_fork);
  g_test_add_func ("/link-fork/malformed", test_link_malformed_fork);
  g_test_add_data_func ("/link-fork/without-fd/announced", GUINT_TO_POINTER (1),
                        test_link_fork_without_fd);
  g_test_add_data_func ("/link-fork/without-fd/not-announced", GUINT_TO_POINTER (0),
                        test_link_fork_without_fd);
  g_test_add_func ("/link-fork/lost-fd", test_link_fork_lost_fd);
  g_test_add_func ("/link-fork/exited", test_link_exited);
  g_test_add_func ("/link-fork/too-late", test_link_fork_too_late);
  g_test_add_func ("/link-fork/adopt", test_link_adopt);
  g_test_add_func ("/link-fork/adopt/greetings", test_link_adopt_greetings);

  return g_test_run ();
}
