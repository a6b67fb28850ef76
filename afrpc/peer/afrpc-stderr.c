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
clear_string (GString **string)
{
  if (*string != NULL)
    g_string_free (g_steal_pointer (string), TRUE);
}

/* What has begun is a line. */
static void
end_line (AfrpcStderr *self)
{
  if (self->lines == NULL)
    self->lines = g_string_new (NULL);
  g_string_append_len (self->lines, self->begun->str, self->begun->len);
  g_string_append_c (self->lines, '\n');
  g_string_truncate (self->begun, 0);
}

static void
keep_lines (AfrpcStderr  *self,
            const char *text,
            gsize       size)
{
  if (self->begun == NULL)
    self->begun = g_string_new (NULL);

  for (gsize i = 0; i < size; i++)
    {
      if (text[i] != '\n')
        g_string_append_c (self->begun, text[i] != '\0' ? text[i] : '?');
      if (text[i] == '\n' || self->begun->len == AFRPC_STDERR_LINE_MAX)
        end_line (self);
    }
}

/* Returns: (transfer full) (nullable): the oldest line that was not taken yet, without its end, as UTF-8; NULL: there is none */
char *
afrpc_stderr_take_line (AfrpcStderr *self)
{
  const char *start, *end;
  char *line;

  if (!afrpc_stderr_has_lines (self))
    return NULL;

  start = self->lines->str + self->taken;
  end = memchr (start, '\n', self->lines->len - self->taken);
  line = g_utf8_make_valid (start, end - start);
  self->taken = end + 1 - self->lines->str;
  if (self->taken == self->lines->len)
    {
      clear_string (&self->lines);
      self->taken = 0;
    }
  else if (self->taken >= AFRPC_STDERR_LINES_SIZE)
    {
      g_string_erase (self->lines, 0, self->taken);
      self->taken = 0;
    }

  return line;
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
end_reading (AfrpcStderr *self)
{
  if (self->fd >= 0)
    close_fd (self);
  if (self->begun != NULL && self->begun->len > 0)
    end_line (self);
}

static void
read_some (AfrpcStderr *self,
           gboolean   (*has_enough) (const AfrpcStderr *self)) /* (nullable) */
{
  for (int i = 0; i < READS_MAX && self->fd >= 0 && (has_enough == NULL || !has_enough (self)); i++)
    {
      char buffer[AFRPC_STDERR_SIZE];
      gssize n = read (self->fd, buffer, sizeof buffer);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        {
          end_reading (self);
          return;
        }

      if (self->pass_on)
        pass_on (self, buffer, n);
      if (self->keeps_lines)
        keep_lines (self, buffer, n);
      keep (self, buffer, n);
    }
}

/* Reads what is there. */
void
afrpc_stderr_read (AfrpcStderr *self)
{
  read_some (self, NULL);
}

/* Reads what there is room for while the worker lives: there may be more. */
void
afrpc_stderr_read_in_turn (AfrpcStderr *self)
{
  read_some (self, afrpc_stderr_is_full);
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

static void
forget_text (AfrpcStderr *self)
{
  g_clear_pointer (&self->text, g_free);
  self->size = self->n_recent = 0;
}

/* Nothing is read any more, nor asked for what was: there are only lines to be taken, the last one, too, whoever else could
 * have gone on with it. */
void
afrpc_stderr_finish (AfrpcStderr *self)
{
  end_reading (self);
  forget_text (self);
}

void
afrpc_stderr_clear (AfrpcStderr *self)
{
  clear_string (&self->begun);
  clear_string (&self->lines);
  self->taken = 0;
  if (self->fd >= 0)
    close_fd (self);
  forget_text (self);
}
