/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-overture.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "wire/afrpc-overture.h"

#define CHATTER_MAX (64u << 10) /* bytes */

/* One side of it, and the socket of the other, which the test is. */
typedef struct
{
  AfrpcOverture *overture;
  int fd;
  gsize size; /* of what it says first */
} Both;

static void
both_init (Both       *both,
           const char *file) /* (nullable): the contents of the second of two that it has; the first is empty */
{
  g_autoptr(GVariant) head = g_variant_ref_sink (g_variant_new_parsed ("{'host': <'c'>}"));
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  int fds[2];

  g_ptr_array_add (files, g_bytes_new_static (NULL, 0));
  if (file != NULL)
    g_ptr_array_add (files, g_bytes_new (file, strlen (file)));
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  both->overture = afrpc_overture_new (head, file != NULL ? files : NULL);
  both->fd = fds[1];
  both->size = AFRPC_OVERTURE_START_SIZE + g_variant_get_size (head);
  g_assert_true (afrpc_overture_has_output (both->overture));
  afrpc_overture_connect (both->overture, fds[0]);
}

static void
both_clear (Both *both)
{
  afrpc_overture_free (both->overture);
  if (both->fd >= 0)
    close (both->fd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Both, both_clear)

static void
step (Both      *both,
      AfrpcStep  expected,
      gboolean   moves)
{
  g_autoptr(GError) error = NULL;
  gboolean has_moved;

  g_assert_cmpint (afrpc_overture_step (both->overture, &has_moved, &error), ==, expected);
  g_assert_cmpint (has_moved, ==, moves);
  if (expected == AFRPC_STEP_ERROR)
    g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST);
  else
    g_assert_no_error (error);
}

static void
say (Both       *both,
     const char *words)
{
  const gsize size = strlen (words);

  g_assert_cmpint (write (both->fd, words, size), ==, size);
}

/* What cannot be written at once is taken step by step. */
static void
say_much (Both *both,
          char  c,
          gsize size)
{
  g_autofree char *words = g_strnfill (size, c);

  for (gsize n = 0; n < size;)
    {
      const gssize here = write (both->fd, words + n, MIN (size - n, 4096));

      g_assert_cmpint (here, >, 0);
      n += here;
      if (n < size)
        step (both, AFRPC_STEP_AGAIN, FALSE);
    }
}

static void
hear (Both       *both,
      const char *words)
{
  char heard[256];
  const gssize n = read (both->fd, heard, sizeof heard - 1);

  heard[MAX (n, 0)] = '\0';
  g_assert_cmpstr (heard, ==, words);
}

/* The first that it says. */
static void
hear_head (Both *both)
{
  char heard[256];

  step (both, AFRPC_STEP_AGAIN, TRUE);
  g_assert_cmpint (read (both->fd, heard, sizeof heard), ==, both->size);
  g_assert_cmpint (memcmp (heard, AFRPC_OVERTURE_MAGIC, AFRPC_OVERTURE_WORD_SIZE), ==, 0);
  g_assert_false (afrpc_overture_has_output (both->overture));
}

static void
test_overture_answer (void)
{
  static const char words[] = "Welcome!\nafrpcok1 no\nand afrpcok1 12";
  g_auto(Both) both = { 0 };
  int fd;

  g_test_summary ("Not more than the answer is read, whatever was printed before it, and only that is a step forward");
  both_init (&both, NULL);
  hear_head (&both);
  g_assert_cmpint (write (both.fd, "\0\xff\n", 3), ==, 3);
  step (&both, AFRPC_STEP_AGAIN, FALSE);
  for (gsize i = 0; i < strlen (words); i++)
    {
      g_assert_cmpint (write (both.fd, words + i, 1), ==, 1);
      step (&both, AFRPC_STEP_AGAIN, FALSE);
    }
  say (&both, "\nrest");
  step (&both, AFRPC_STEP_DONE, TRUE);
  g_assert_cmpuint (afrpc_overture_get_n_processors (both.overture), ==, 12);
  fd = afrpc_overture_steal_fd (both.overture);
  {
    char rest[5] = "";

    g_assert_cmpint (read (fd, rest, sizeof rest), ==, 4);
    g_assert_cmpstr (rest, ==, "rest");
  }
  close (fd);
}

static void
test_overture_lies (void)
{
  static const char *const lies[] = { "afrpcok1\n", "afrpcok1 \n", "afrpcok1 0\n", "afrpcok1 -1\n", "afrpcok1 2x\n",
                                      "afrpcok1 99999999999999999999\n", "afrpcok1 2147483648\n", "afrpcok1 1\r\n",
                                      "afrpcgo11\n", "afrpcok1 1" };
  g_auto(Both) both = { 0 };

  g_test_summary ("What is no answer is taken for one of no kind; then there is nobody");
  both_init (&both, NULL);
  hear_head (&both);
  for (guint i = 0; i < G_N_ELEMENTS (lies); i++)
    {
      say (&both, lies[i]);
      step (&both, AFRPC_STEP_AGAIN, FALSE);
    }
  close (both.fd);
  both.fd = -1;
  step (&both, AFRPC_STEP_EOF, TRUE);
  step (&both, AFRPC_STEP_EOF, TRUE);
}

static void
test_overture_chatter (void)
{
  const char kinds[] = { '\n', 'x', '\0', AFRPC_OVERTURE_ARRIVED };

  g_test_summary ("So much may be printed, and not more; lines are not looked through again and again");
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    for (guint too_much = 0; too_much < 2; too_much++)
      {
        g_auto(Both) both = { 0 };

        both_init (&both, NULL);
        hear_head (&both);
        say_much (&both, kinds[i], CHATTER_MAX - strlen ("afrpcok1 3\n") + too_much);
        say (&both, "afrpcok1 3\n");
        step (&both, too_much ? AFRPC_STEP_ERROR : AFRPC_STEP_DONE, TRUE);
      }
}

static void
test_overture_files (void)
{
  g_auto(Both) both = { 0 };

  g_test_summary ("What is wanted follows, and each piece that has arrived is a step forward");
  both_init (&both, "contents");
  hear_head (&both);
  say (&both, "afrpcok1 3\nafrpcgo1\nafrpcgo11\nafrpcgo1111\n.");
  step (&both, AFRPC_STEP_AGAIN, FALSE);
  hear (&both, "");
  say (&both, "afrpcgo1?1\n");
  step (&both, AFRPC_STEP_AGAIN, TRUE);
  hear (&both, "contents");
  say (&both, ".");
  step (&both, AFRPC_STEP_AGAIN, TRUE);
  say (&both, "afrpcgo111\n");
  step (&both, AFRPC_STEP_AGAIN, FALSE);
  hear (&both, "");
  say_much (&both, 'x', 1000);
  say (&both, ".afrpcok1 3\n");
  step (&both, AFRPC_STEP_DONE, TRUE);
}

static void
test_overture_pieces (void)
{
  const guint n_pieces = 2 * CHATTER_MAX / 1024;
  g_autofree char *contents = g_strnfill ((n_pieces - 1) * AFRPC_OVERTURE_PIECE + 1, 'x');

  g_test_summary ("As many pieces as were sent are steps forward; more of them are something that is printed, without end");
  for (guint is_endless = 0; is_endless < 2; is_endless++)
    {
      g_auto(Both) both = { 0 };

      both_init (&both, contents);
      hear_head (&both);
      say (&both, "afrpcgo101\n");
      step (&both, AFRPC_STEP_AGAIN, TRUE);
      for (guint i = 0; i < n_pieces; i++)
        {
          say (&both, ".");
          step (&both, AFRPC_STEP_AGAIN, TRUE);
        }
      if (is_endless)
        say_much (&both, AFRPC_OVERTURE_ARRIVED, CHATTER_MAX + 1);
      else
        say (&both, "afrpcok1 3\n");
      step (&both, is_endless ? AFRPC_STEP_ERROR : AFRPC_STEP_DONE, TRUE);
    }
}

static void
test_overture_all_is_there (void)
{
  g_auto(Both) both = { 0 };

  g_test_summary ("Nothing is wanted: the answer may come with that");
  both_init (&both, "contents");
  hear_head (&both);
  say (&both, "Welcome to this machine!\nafrpcgo100\nafrpcok1 3\n");
  step (&both, AFRPC_STEP_DONE, TRUE);
  hear (&both, "");
}

static void
test_overture_nobody_reads (void)
{
  g_auto(Both) both = { 0 };

  g_test_summary ("Who has gone before everything was said is nobody");
  both_init (&both, NULL);
  close (both.fd);
  both.fd = -1;
  step (&both, AFRPC_STEP_EOF, TRUE);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/overture/answer", test_overture_answer);
  g_test_add_func ("/overture/lies", test_overture_lies);
  g_test_add_func ("/overture/chatter", test_overture_chatter);
  g_test_add_func ("/overture/files", test_overture_files);
  g_test_add_func ("/overture/pieces", test_overture_pieces);
  g_test_add_func ("/overture/all-is-there", test_overture_all_is_there);
  g_test_add_func ("/overture/nobody-reads", test_overture_nobody_reads);

  return g_test_run ();
}
