/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-stderr.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A tail, and what writes to it. */
typedef struct
{
  AfrpcStderr tail;
  int fd;
  GString *written;
} Source;

static char *
tail_dup (AfrpcStderr *tail)
{
  gsize n_recent;

  return afrpc_stderr_dup (tail, &n_recent);
}

static void
source_init (Source *self)
{
  int fds[2];

  memset (self, 0, sizeof *self);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  self->tail.fd = fds[0];
  self->fd = fds[1];
  self->written = g_string_new (NULL);
}

static void
source_close (Source *self)
{
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

static void
source_clear (Source *self)
{
  source_close (self);
  afrpc_stderr_clear (&self->tail);
  g_assert_cmpint (self->tail.fd, ==, -1);
  g_string_free (self->written, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Source, source_clear)

static void
source_write (Source     *self,
              const char *text,
              gssize      size)
{
  if (size < 0)
    size = strlen (text);
  if (size > 0)
    g_assert_cmpint (write (self->fd, text, size), ==, size);
  g_string_append_len (self->written, text, size);
}

/* What the tail should be: made from everything that was written. */
static char *
expect (const GString *written)
{
  const char *start = written->str, *end = written->str + written->len;
  char *text;

  if (written->len > AFRPC_STDERR_SIZE)
    {
      const char *line;

      start = end - AFRPC_STDERR_SIZE;
      line = memchr (start, '\n', AFRPC_STDERR_SIZE);
      if (line != NULL && line + 1 < end)
        start = line + 1;
    }
  text = g_malloc (end - start + 1);
  for (gssize i = 0; i < end - start; i++)
    text[i] = start[i] != '\0' ? start[i] : '?';
  text[end - start] = '\0';

  return g_strchomp (text);
}

static void
source_check (Source *self)
{
  g_autofree char *expected = expect (self->written);
  g_autofree char *text = tail_dup (&self->tail);

  g_assert_cmpmem (text, strlen (text), expected, strlen (expected));
}

static void
check_text (const char *text,
            const char *expected)
{
  g_auto(Source) source = { 0 };
  g_autofree char *tail = NULL;

  source_init (&source);
  source_write (&source, text, -1);
  afrpc_stderr_read (&source.tail);
  tail = tail_dup (&source.tail);
  g_assert_cmpstr (tail, ==, expected);
  source_check (&source);
}

static void
test_stderr_short (void)
{
  g_test_summary ("What is short is kept whole, without the line break at its end");
  check_text ("", "");
  check_text ("\n", "");
  check_text ("one", "one");
  check_text ("one\n", "one");
  check_text ("one\ntwo\n\n", "one\ntwo");
  check_text (" one\n  two", " one\n  two");
}

static void
test_stderr_nul (void)
{
  g_auto(Source) source = { 0 };
  g_autofree char *tail = NULL;

  g_test_summary ("A NUL does not end the text");
  source_init (&source);
  source_write (&source, "\0a\0b\0", 5);
  afrpc_stderr_read (&source.tail);
  tail = tail_dup (&source.tail);
  g_assert_cmpstr (tail, ==, "?a?b?");
}

static void
check_lines (gsize line_size,
             gsize total)
{
  g_auto(Source) source = { 0 };
  g_autoptr(GString) text = g_string_new (NULL);

  for (gsize i = 0; i < total; i++)
    g_string_append_c (text,
                       i % line_size == line_size - 1 ? '\n' : (char) ('a' + i / line_size % 26));
  source_init (&source);
  source_write (&source, text->str, text->len);
  afrpc_stderr_read (&source.tail);
  source_check (&source);
}

static void
test_stderr_sizes (void)
{
  const gsize size = AFRPC_STDERR_SIZE;

  g_test_summary ("The last lines are kept, whole ones if some were lost");
  for (gsize total = size - 100; total < 2 * size + 100; total += 1 + total % 7)
    {
      check_lines (10, total);
      check_lines (1000, total);
    }
  check_lines (10, AFRPC_STDERR_SIZE);
  check_lines (AFRPC_STDERR_SIZE, AFRPC_STDERR_SIZE);
}

static void
test_stderr_long_line (void)
{
  const gsize sizes[] = { AFRPC_STDERR_SIZE, AFRPC_STDERR_SIZE + 1, 2 * AFRPC_STDERR_SIZE, 10000 };

  g_test_summary ("Of a line that is too long, its end is kept rather than nothing");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint n_breaks = 0; n_breaks < 2; n_breaks++)
      {
        g_auto(Source) source = { 0 };
        g_autofree char *line = g_strnfill (sizes[i], 'x');
        g_autofree char *tail = NULL;

        source_init (&source);
        source_write (&source, line, -1);
        source_write (&source, "\n", n_breaks);
        afrpc_stderr_read (&source.tail);
        tail = tail_dup (&source.tail);
        g_assert_cmpuint (strlen (tail), >=, AFRPC_STDERR_SIZE - 1);
        source_check (&source);
      }
}

static void
test_stderr_random (void)
{
  const guint n_rounds = g_test_thorough () ? 20000 : 500;

  g_test_summary ("However text arrives, the tail is the same");
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_auto(Source) source = { 0 };
      const int size_max = g_rand_boolean (rand) ? 50 : 6000;
      const int n_plain = g_rand_boolean (rand) ? 2 : 200; /* of these to one line break */

      source_init (&source);
      for (guint n = g_rand_int_range (rand, 0, 60); n > 0; n--)
        {
          g_autofree char *text = g_malloc (size_max);
          gsize size = g_rand_int_range (rand, 0, size_max);

          for (gsize j = 0; j < size; j++)
            {
              const gboolean is_break = g_rand_int_range (rand, 0, n_plain) == 0;

              text[j] = is_break ? '\n' : g_rand_int_range (rand, 'a', 'z');
            }
          source_write (&source, text, size);
          if (size_max > 50 || g_rand_int_range (rand, 0, 4) == 0)
            {
              afrpc_stderr_read (&source.tail);
              source_check (&source);
            }
        }
      source_close (&source);
      afrpc_stderr_read (&source.tail);
      source_check (&source);
      g_assert_cmpint (source.tail.fd, ==, -1);
    }
}

static void
test_stderr_slices (void)
{
  g_auto(Source) source = { 0 };
  g_autofree char *text = g_strnfill (200000, 'x');
  int n = 0;

  g_test_summary ("A flood is read a piece at a time");
  source_init (&source);
  if (fcntl (source.fd, F_SETPIPE_SZ, 1 << 18) < 200000)
    {
      g_test_skip ("no large pipe to be had");
      return;
    }
  source_write (&source, text, -1);
  afrpc_stderr_read (&source.tail);
  g_assert_no_errno (ioctl (source.tail.fd, FIONREAD, &n));
  g_assert_cmpint (n, >, 50000);
  g_assert_cmpint (n, <, 199999);
  while (n > 0)
    {
      int before = n;

      afrpc_stderr_read (&source.tail);
      g_assert_no_errno (ioctl (source.tail.fd, FIONREAD, &n));
      g_assert_cmpint (n, <, before);
    }
  source_check (&source);
}

static void
test_stderr_lines (void)
{
  g_auto(Source) source = { 0 };
  g_autofree char *text = g_strnfill (50000, '\n');
  gsize most = 0;
  guint n = 0;

  g_test_summary ("Lines that are taken more slowly than they come take no more memory for that");
  source_init (&source);
  source.tail.keeps_lines = TRUE;
  for (guint i = 0; i < 40; i++)
    {
      source_write (&source, text, -1);
      afrpc_stderr_read (&source.tail);
      for (guint taken = 0; afrpc_stderr_is_full (&source.tail) || taken < 30000; taken++, n++)
        {
          g_autofree char *line = afrpc_stderr_take_line (&source.tail);

          g_assert_cmpstr (line, ==, "");
        }
      most = MAX (most, source.tail.lines->len);
    }
  g_assert_cmpuint (most, <, 3 * AFRPC_STDERR_LINES_SIZE);
  source_close (&source);
  afrpc_stderr_read (&source.tail);
  while (afrpc_stderr_has_lines (&source.tail))
    {
      g_autofree char *line = afrpc_stderr_take_line (&source.tail);

      n++;
    }
  g_assert_cmpuint (n, ==, 40 * 50000);
  afrpc_stderr_clear (&source.tail);
}

static void
test_stderr_end (void)
{
  g_auto(Source) source = { 0 };
  int fd;

  g_test_summary ("At the end the descriptor is closed, and the text is still there");
  source_init (&source);
  fd = source.tail.fd;
  source_write (&source, "one\ntwo\n", -1);
  afrpc_stderr_read (&source.tail);
  g_assert_cmpint (source.tail.fd, ==, fd);
  afrpc_stderr_read (&source.tail);
  g_assert_cmpint (source.tail.fd, ==, fd);
  source_write (&source, "three\n", -1);
  source_close (&source);
  afrpc_stderr_read (&source.tail);
  g_assert_cmpint (source.tail.fd, ==, -1);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, -1);
  g_assert_cmpint (errno, ==, EBADF);
  afrpc_stderr_read (&source.tail);
  source_check (&source);
  afrpc_stderr_clear (&source.tail);
}

/* Reads @source with @stderr_fd as standard error. */
static void
read_with_stderr (Source *source,
                  int     stderr_fd)
{
  int before = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

  g_assert_no_errno (before);
  g_assert_no_errno (dup2 (stderr_fd, STDERR_FILENO));
  afrpc_stderr_read (&source->tail);
  g_assert_no_errno (dup2 (before, STDERR_FILENO));
  close (before);
  close (stderr_fd);
}

static void
test_stderr_pass_on (gconstpointer data)
{
  const gboolean pass_on = GPOINTER_TO_INT (data);
  g_auto(Source) source = { 0 };
  g_autoptr(GString) text = g_string_new (NULL);
  g_autofree char *passed = g_malloc (65536);
  int fds[2];

  g_test_summary ("What is to be passed on arrives at standard error byte by byte, else nothing "
                  "does");
  for (guint i = 0; i < 3000; i++)
    g_string_append_printf (text, "line %u\n", i);
  source_init (&source);
  source.tail.pass_on = pass_on;
  source_write (&source, text->str, text->len);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  read_with_stderr (&source, fds[1]);
  g_assert_cmpint (read (fds[0], passed, 65536), ==, pass_on ? text->len : 0);
  if (pass_on)
    g_assert_cmpmem (passed, text->len, text->str, text->len);
  close (fds[0]);
  source_check (&source);
}

static void
test_stderr_dropped (void)
{
  g_auto(Source) source = { 0 };
  g_autofree char *buffer = g_malloc0 (4096);
  const char *expected = "[afrpc: 8 bytes of a worker's standard error were dropped here]\nthree\nfour\n";
  gssize n;
  int fds[2];

  g_test_summary ("What is dropped because nobody reads is said to be once somebody does, where it would have been");
  source_init (&source);
  source.tail.pass_on = TRUE;
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  while (write (fds[1], buffer, 4096) > 0)
    ;
  source_write (&source, "one\n", -1);
  read_with_stderr (&source, fcntl (fds[1], F_DUPFD_CLOEXEC, 0));
  source_write (&source, "two\n", -1);
  read_with_stderr (&source, fcntl (fds[1], F_DUPFD_CLOEXEC, 0));
  g_assert_cmpuint (source.tail.dropped, ==, 8);

  while (read (fds[0], buffer, 4096) > 0)
    ;
  source_write (&source, "three\n", -1);
  read_with_stderr (&source, fcntl (fds[1], F_DUPFD_CLOEXEC, 0));
  source_write (&source, "four\n", -1);
  read_with_stderr (&source, fds[1]);
  n = read (fds[0], buffer, 4096);
  g_assert_cmpmem (buffer, n, expected, strlen (expected));
  close (fds[0]);
  source_check (&source);
}

static void
test_stderr_terminal (void)
{
  g_auto(Source) source = { 0 };
  g_autoptr(GString) text = g_string_new (NULL);
  const int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);

  g_test_summary ("A terminal that nobody reads does not hold the program");
  if (master < 0 || unlockpt (master) != 0)
    {
      g_test_skip ("there are no terminals here");
      return;
    }
  while (text->len < 60000)
    g_string_append (text, "words\n");
  source_init (&source);
  source.tail.pass_on = TRUE;
  source_write (&source, text->str, text->len);
  /* Who waits for the terminal is ended. */
  alarm (60);
  read_with_stderr (&source, open (ptsname (master), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  alarm (0);
  g_assert_cmpuint (source.tail.dropped, >, 0);
  g_assert_cmpuint (source.tail.dropped, <, text->len);
  source_check (&source);
  close (master);
}

static void
test_stderr_stderr_full (void)
{
  g_auto(Source) source = { 0 };

  g_test_summary ("A standard error that takes nothing does not keep the text from being kept");
  source_init (&source);
  source.tail.pass_on = TRUE;
  source_write (&source, "one\ntwo\n", -1);
  read_with_stderr (&source, open ("/dev/full", O_WRONLY | O_CLOEXEC));
  source_check (&source);
}

static void
test_stderr_no_reader (void)
{
  g_auto(Source) source = { 0 };
  sigset_t pending;
  int fds[2];

  g_test_summary ("A standard error whose reader is gone does not end the program, and leaves no signal behind");
  source_init (&source);
  source.tail.pass_on = TRUE;
  source_write (&source, "one\ntwo\n", -1);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  close (fds[0]);
  read_with_stderr (&source, fds[1]);
  g_assert_cmpuint (source.tail.dropped, ==, source.written->len);
  sigpending (&pending);
  g_assert_false (sigismember (&pending, SIGPIPE));
  source_check (&source);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/stderr/short", test_stderr_short);
  g_test_add_func ("/stderr/nul", test_stderr_nul);
  g_test_add_func ("/stderr/sizes", test_stderr_sizes);
  g_test_add_func ("/stderr/long-line", test_stderr_long_line);
  g_test_add_func ("/stderr/random", test_stderr_random);
  g_test_add_func ("/stderr/slices", test_stderr_slices);
  g_test_add_func ("/stderr/lines", test_stderr_lines);
  g_test_add_func ("/stderr/end", test_stderr_end);
  g_test_add_data_func ("/stderr/pass-on/yes", GINT_TO_POINTER (TRUE), test_stderr_pass_on);
  g_test_add_data_func ("/stderr/pass-on/no", GINT_TO_POINTER (FALSE), test_stderr_pass_on);
  g_test_add_func ("/stderr/dropped", test_stderr_dropped);
  g_test_add_func ("/stderr/terminal", test_stderr_terminal);
  g_test_add_func ("/stderr/stderr-full", test_stderr_stderr_full);
  g_test_add_func ("/stderr/no-reader", test_stderr_no_reader);

  return g_test_run ();
}
