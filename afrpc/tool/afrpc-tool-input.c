/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See afrpc-tool-input.h. */
#include "config.h"

#include "afrpc-tool-input.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (64u << 10) /* bytes at once: what a pipe holds */

struct _AfrpcToolInput
{
  int fd; /* borrowed; -1: words */
  char separator;
  AfrpcToolInputFunc func;
  gpointer data;

  const char * const *words; /* (nullable) borrowed; what is left of them */

  GByteArray *buffer;
  gsize start;     /* of the first input in buffer that has not been taken */
  gsize searched;  /* no separator in buffer between start and here */
  guint source_id; /* set while someone waits for more */
  gboolean eof;    /* nothing more to read */
  gboolean skip;   /* inside an input that was too long: drop up to the separator */
  int errnum;      /* why reading has failed, or 0 */

  guint64 n_taken;
};

/* @separator ends each input, except that the last one may go without. */
AfrpcToolInput *
afrpc_tool_input_new_for_fd (int                fd,
                             char               separator,
                             AfrpcToolInputFunc func,
                             gpointer           data)
{
  AfrpcToolInput *self = g_new0 (AfrpcToolInput, 1);

  self->fd = fd;
  self->separator = separator;
  self->func = func;
  self->data = data;
  self->buffer = g_byte_array_new ();

  return self;
}

/* @words, ended by NULL, has to stay. */
AfrpcToolInput *
afrpc_tool_input_new_for_words (const char * const *words)
{
  AfrpcToolInput *self = g_new0 (AfrpcToolInput, 1);

  self->fd = -1;
  self->words = words;
  self->buffer = g_byte_array_new ();
  self->eof = TRUE;

  return self;
}

void
afrpc_tool_input_free (AfrpcToolInput *self)
{
  g_clear_handle_id (&self->source_id, g_source_remove);
  g_byte_array_unref (self->buffer);
  g_free (self);
}

/* One read for one wake-up, so that results and signals get their turn in between. */
static gboolean
input_readable_cb (int          fd,
                   GIOCondition condition,
                   gpointer     data)
{
  AfrpcToolInput *self = data;
  gsize length;
  gssize n;

  if (self->start > 0)
    g_byte_array_remove_range (self->buffer, 0, self->start);
  self->searched -= self->start;
  self->start = 0;

  length = self->buffer->len;
  g_byte_array_set_size (self->buffer, length + READ_SIZE);
  n = read (fd, self->buffer->data + length, READ_SIZE);
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    {
      g_byte_array_set_size (self->buffer, length);
      return G_SOURCE_CONTINUE;
    }

  if (n < 0)
    self->errnum = errno;
  if (n <= 0)
    self->eof = TRUE;
  g_byte_array_set_size (self->buffer, length + MAX (n, 0));

  self->source_id = 0;
  self->func (self->data);

  return G_SOURCE_REMOVE;
}

static void
input_wait (AfrpcToolInput *self)
{
  if (self->source_id != 0)
    return;

  self->source_id =
    g_unix_fd_add (self->fd, G_IO_IN | G_IO_ERR | G_IO_HUP, input_readable_cb, self);
  g_source_set_name_by_id (self->source_id, "[afrpc] tool input");
}

/* Takes @size bytes and @n_separators after them from the buffer. */
static GBytes *
input_take (AfrpcToolInput *self,
            gsize           size,
            gsize           n_separators)
{
  GBytes *item = g_bytes_new (self->buffer->data + self->start, size);

  self->start += size + n_separators;
  self->searched = self->start;
  self->n_taken++;

  return item;
}

/* Drops the rest of an input that was too long. Returns: whether its end has been found. */
static gboolean
input_skip (AfrpcToolInput *self)
{
  const guint8 *from = self->buffer->data + self->start;
  gsize size = self->buffer->len - self->start;
  const guint8 *end = size > 0 ? memchr (from, self->separator, size) : NULL;

  self->start = end != NULL ? (gsize) (end + 1 - self->buffer->data) : self->buffer->len;
  self->searched = self->start;
  self->skip = end == NULL;

  return end != NULL;
}

static AfrpcToolInputStep
input_next_word (AfrpcToolInput  *self,
                 GBytes         **item)
{
  if (*self->words == NULL)
    return AFRPC_TOOL_INPUT_END;

  *item = g_bytes_new (*self->words, strlen (*self->words));
  self->words++;
  self->n_taken++;

  return AFRPC_TOOL_INPUT_ITEM;
}

/* @item is set on ITEM and on TOO_LONG. */
AfrpcToolInputStep
afrpc_tool_input_next (AfrpcToolInput  *self,
                       GBytes         **item)
{
  const guint8 *separator = NULL;
  gsize size;

  if (self->words != NULL)
    return input_next_word (self, item);

  if (!self->skip || input_skip (self))
    {
      if (self->buffer->len > self->searched)
        separator = memchr (self->buffer->data + self->searched, self->separator,
                            self->buffer->len - self->searched);
      self->searched = self->buffer->len;
    }

  size = (separator != NULL ? (gsize) (separator - self->buffer->data) : self->buffer->len)
         - self->start;
  if (size > AFRPC_TOOL_INPUT_SIZE_MAX)
    {
      self->skip = TRUE;
      *item = input_take (self, AFRPC_TOOL_INPUT_SIZE_MAX, 0);
      return AFRPC_TOOL_INPUT_TOO_LONG;
    }
  if (separator != NULL)
    {
      *item = input_take (self, size, 1);
      return AFRPC_TOOL_INPUT_ITEM;
    }
  if (!self->eof)
    {
      input_wait (self);
      return AFRPC_TOOL_INPUT_AGAIN;
    }
  if (size > 0)
    {
      *item = input_take (self, size, 0);
      return AFRPC_TOOL_INPUT_ITEM;
    }

  return AFRPC_TOOL_INPUT_END;
}

/* Whether next() would say END. */
gboolean
afrpc_tool_input_is_at_end (const AfrpcToolInput *self)
{
  if (self->words != NULL)
    return *self->words == NULL;

  return self->eof && self->start == self->buffer->len;
}

guint64
afrpc_tool_input_get_n_taken (const AfrpcToolInput *self)
{
  return self->n_taken;
}

/* Why there was an early end of the inputs, or 0. */
int
afrpc_tool_input_get_errno (const AfrpcToolInput *self)
{
  return self->errnum;
}
