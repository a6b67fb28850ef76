/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-stderr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"
#include "os/afrpc-reopen.h"

#define READS_MAX 16 /* a call; a worker that writes without end must not hold the main loop */
#define TURN_LINES 256 /* after so many lines that are told of, each of which takes time, a turn of the main loop is over */
#define TURN_SIZE 256 /* of a read then, in bytes: not many more lines than that come with the last one */

/* (nullable) (atomic): whose line was passed on last without its end. Only compared, in whatever thread. */
static const AfrpcStderr *unfinished;

/* A terminal that polls as writable may take less than what is written, and whoever writes more waits for somebody who
 * reads it; whether he does is a matter of the open file, which others share.
 * Returns: where to write to; it is to be closed if it is not standard error itself */
static int
open_stderr (void)
{
  const int fd = isatty (STDERR_FILENO) ? afrpc_reopen (STDERR_FILENO, O_WRONLY | O_NONBLOCK | O_NOCTTY) : -1;

  return fd >= 0 ? fd : STDERR_FILENO;
}

/* Writes what can be written without waiting, to whatever standard error is, if there is one, and whoever reads it or does
 * not: returns how many bytes. A pipe that polls as writable takes at least PIPE_BUF bytes; see pipe(7). */
static gsize
write_at_once (const char *text,
               gsize       size)
{
  const int fd = afrpc_low_fd_is_stream (STDERR_FILENO) ? open_stderr () : -1;
  const struct timespec now = { 0, 0 };
  sigset_t sigpipe, pending, before;
  gsize done = 0;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &sigpipe, &before);
  sigpending (&pending);

  while (fd >= 0 && done < size)
    {
      struct pollfd poller = { fd, POLLOUT, 0 };
      gssize n = -1;

      if (poll (&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0)
        n = write (fd, text + done, MIN (size - done, PIPE_BUF));
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        break;
      done += n;
    }

  /* The signal would have come to this thread; one that was there before stays. */
  if (sigismember (&pending, SIGPIPE) == 0)
    while (sigtimedwait (&sigpipe, NULL, &now) < 0 && errno == EINTR)
      ;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (fd >= 0 && fd != STDERR_FILENO)
    close (fd);

  return done;
}

static void
pass_on (AfrpcStderr  *self,
         const char *text,
         gsize       size)
{
  gsize done;

  if (self->dropped > 0)
    {
      g_autofree char *note = g_strdup_printf ("[afrpc: %" G_GSIZE_FORMAT " bytes of a worker's standard error were "
                                               "dropped here]\n", self->dropped);

      if (write_at_once (note, strlen (note)) == 0)
        {
          self->dropped += size;
          return;
        }
      self->dropped = 0;
    }

  done = write_at_once (text, size);
  if (done > 0)
    g_atomic_pointer_set (&unfinished, text[done - 1] != '\n' ? self : NULL);
  self->dropped += size - done;
}

/* What the program writes next, such as why the worker has ended, is not to be on the same line. */
static void
finish_line (AfrpcStderr *self)
{
  if (g_atomic_pointer_compare_and_exchange (&unfinished, self, NULL))
    write_at_once ("\n", 1);
}

static void
keep (AfrpcStderr  *self,
      const char *text,
      gsize       size)
{
  gsize kept;

  if (self->text == NULL)
    self->text = g_malloc (AFRPC_STDERR_SIZE);
  self->n_recent = MIN (self->n_recent + size, AFRPC_STDERR_SIZE);
  if (size > AFRPC_STDERR_SIZE)
    {
      text += size - AFRPC_STDERR_SIZE;
      size = AFRPC_STDERR_SIZE;
      self->cut = TRUE;
    }

  kept = MIN (self->size, AFRPC_STDERR_SIZE - size);
  if (kept < self->size)
    self->cut = TRUE;
  memmove (self->text, self->text + self->size - kept, kept);
  memcpy (self->text + kept, text, size);
  self->size = kept + size;
}

static void
tell_line (AfrpcStderr *self)
{
  g_autofree char *line = g_utf8_make_valid (self->begun->str, self->begun->len);

  g_string_truncate (self->begun, 0);
  self->line (line, self->line_data);
}

/* Returns: how many there were */
static guint
tell_lines (AfrpcStderr  *self,
            const char *text,
            gsize       size)
{
  guint n = 0;

  if (self->begun == NULL)
    self->begun = g_string_new (NULL);

  for (gsize i = 0; i < size; i++)
    {
      if (text[i] != '\n')
        g_string_append_c (self->begun, text[i] != '\0' ? text[i] : '?');
      if (text[i] == '\n' || self->begun->len == AFRPC_STDERR_LINE_MAX)
        {
          tell_line (self);
          n++;
        }
    }

  return n;
}

static void
close_fd (AfrpcStderr *self)
{
  finish_line (self);
  if (self->closing != NULL)
    self->closing (self->fd, self->closing_data);
  close (self->fd);
  self->fd = -1;
}

static void
read_some (AfrpcStderr *self,
           gsize        size,      /* at once, AFRPC_STDERR_SIZE at most */
           guint        n_lines_max)
{
  guint n_lines = 0;

  for (int i = 0; i < READS_MAX && n_lines < n_lines_max && self->fd >= 0; i++)
    {
      char buffer[AFRPC_STDERR_SIZE];
      gssize n = read (self->fd, buffer, size);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        {
          close_fd (self);
          if (self->begun != NULL && self->begun->len > 0)
            tell_line (self);
          return;
        }

      if (self->pass_on)
        pass_on (self, buffer, n);
      if (self->line != NULL)
        n_lines += tell_lines (self, buffer, n);
      keep (self, buffer, n);
    }
}

/* Reads what is there. */
void
afrpc_stderr_read (AfrpcStderr *self)
{
  read_some (self, AFRPC_STDERR_SIZE, G_MAXUINT);
}

/* Reads what there is time for in a turn of the main loop: there may be more. */
void
afrpc_stderr_read_in_turn (AfrpcStderr *self)
{
  read_some (self, self->line != NULL ? TURN_SIZE : AFRPC_STDERR_SIZE, TURN_LINES);
}

/* Returns: (transfer full): the last lines, whole ones if there was more than is kept; the last @n_recent (out)
 * characters of it were read since afrpc_stderr_mark (). */
char *
afrpc_stderr_dup (AfrpcStderr *self,
                gsize     *n_recent)
{
  const char *start = self->text;
  gsize size = self->size, length;
  char *text;

  if (self->cut)
    {
      const char *line = memchr (start, '\n', size);

      if (line != NULL && line + 1 < start + size)
        {
          size -= line + 1 - start;
          start = line + 1;
        }
    }

  text = g_malloc (size + 1);
  if (size > 0)
    memcpy (text, start, size);
  for (gsize i = 0; i < size; i++)
    if (text[i] == '\0')
      text[i] = '?';
  text[size] = '\0';

  g_strchomp (text);
  length = strlen (text);
  *n_recent = MIN (self->n_recent, size);
  *n_recent -= MIN (*n_recent, size - length);

  return text;
}

void
afrpc_stderr_clear (AfrpcStderr *self)
{
  if (self->begun != NULL)
    g_string_free (g_steal_pointer (&self->begun), TRUE);
  if (self->fd >= 0)
    close_fd (self);
  g_clear_pointer (&self->text, g_free);
  self->size = self->n_recent = 0;
}
