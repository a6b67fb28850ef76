/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-tail.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX 16 /* a call; a worker that writes without end must not hold the main loop */

static void
pass_on (const char *text,
         gsize       size)
{
  while (size > 0)
    {
      gssize n = write (STDERR_FILENO, text, size);

      if (n < 0 && errno == EINTR)
        continue;
      /* Nobody can be told that standard error is gone. */
      if (n <= 0)
        return;
      text += n;
      size -= n;
    }
}

static void
keep (AfrpcTail  *self,
      const char *text,
      gsize       size)
{
  gsize kept;

  if (size > AFRPC_TAIL_SIZE)
    {
      text += size - AFRPC_TAIL_SIZE;
      size = AFRPC_TAIL_SIZE;
      self->cut = TRUE;
    }

  kept = MIN (self->size, AFRPC_TAIL_SIZE - size);
  if (kept < self->size)
    self->cut = TRUE;
  memmove (self->text, self->text + self->size - kept, kept);
  memcpy (self->text + kept, text, size);
  self->size = kept + size;
}

static void
tell_line (AfrpcTail *self)
{
  g_autofree char *line = g_utf8_make_valid (self->begun->str, self->begun->len);

  g_string_truncate (self->begun, 0);
  self->line (line, self->line_data);
}

static void
tell_lines (AfrpcTail  *self,
            const char *text,
            gsize       size)
{
  if (self->begun == NULL)
    self->begun = g_string_new (NULL);

  for (gsize i = 0; i < size; i++)
    {
      if (text[i] != '\n')
        g_string_append_c (self->begun, text[i] != '\0' ? text[i] : '?');
      if (text[i] == '\n' || self->begun->len == AFRPC_TAIL_LINE_MAX)
        tell_line (self);
    }
}

/* Reads what is there. */
void
afrpc_tail_read (AfrpcTail *self)
{
  for (int i = 0; i < READS_MAX && self->fd >= 0; i++)
    {
      char buffer[AFRPC_TAIL_SIZE];
      gssize n = read (self->fd, buffer, sizeof buffer);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        {
          close (self->fd);
          self->fd = -1;
          if (self->begun != NULL && self->begun->len > 0)
            tell_line (self);
          return;
        }

      if (self->pass_on)
        pass_on (buffer, n);
      if (self->line != NULL)
        tell_lines (self, buffer, n);
      keep (self, buffer, n);
    }
}

/* Returns: (transfer full): the last lines, whole ones if there was more than is kept. */
char *
afrpc_tail_dup (AfrpcTail *self)
{
  const char *start = self->text;
  gsize size = self->size;
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
  memcpy (text, start, size);
  for (gsize i = 0; i < size; i++)
    if (text[i] == '\0')
      text[i] = '?';
  text[size] = '\0';

  return g_strchomp (text);
}

void
afrpc_tail_clear (AfrpcTail *self)
{
  if (self->begun != NULL)
    g_string_free (g_steal_pointer (&self->begun), TRUE);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}
