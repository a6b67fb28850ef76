/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-overture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "wire/afrpc-overture.h"

#define CHATTER_MAX (64u << 10) /* bytes of what start-up files of a shell print that are passed over */
#define SHOWN_MAX 60u           /* of these are told */

struct _AfrpcOverture
{
  int fd;             /* -1: it is not connected yet, or is over */
  GQueue output;      /* (element-type GBytes) (owned) */
  gsize n_written;    /* of the first of them */
  guint64 n_moved;    /* steps forward: bytes that have gone, and what was waited for that has come */
  GString *input;     /* what has come, since the last answer; the next is what it ends with */
  guint n_processors; /* of the other machine; 0: it has not answered */
  gsize last_line;    /* where the last line of it begins */
  GPtrArray *files;   /* (nullable) (element-type GBytes) (owned): of which it is not known whether they are wanted */
  guint64 n_expected; /* pieces of those that are, which have been queued: that many have not arrived */
};

/* @head: what to say; @files: (nullable) (element-type GBytes): the contents of those that it names */
AfrpcOverture *
afrpc_overture_new (GVariant  *head,
                    GPtrArray *files)
{
  AfrpcOverture *self = g_new0 (AfrpcOverture, 1);
  GByteArray *start = g_byte_array_new ();
  g_autoptr(GVariant) normal = g_variant_get_normal_form (head);
  g_autoptr(GVariant) swapped = G_BYTE_ORDER == G_BIG_ENDIAN ? g_variant_byteswap (normal) : g_variant_ref (normal);
  const guint64 size = GUINT64_TO_LE (g_variant_get_size (swapped));

  self->fd = -1;
  self->input = g_string_new (NULL);
  self->files = files != NULL ? g_ptr_array_ref (files) : NULL;
  g_byte_array_append (start, (const guint8 *) AFRPC_OVERTURE_MAGIC, AFRPC_OVERTURE_WORD_SIZE);
  g_byte_array_append (start, (const guint8 *) &size, sizeof size);
  g_byte_array_append (start, g_variant_get_data (swapped), g_variant_get_size (swapped));
  g_queue_push_tail (&self->output, g_byte_array_free_to_bytes (start));

  return self;
}

void
afrpc_overture_free (AfrpcOverture *self)
{
  if (self->fd >= 0)
    close (self->fd);
  g_queue_clear_full (&self->output, (GDestroyNotify) g_bytes_unref);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_string_free (self->input, TRUE);
  g_free (self);
}

/* @fd: (transfer full): a socket that does not block */
void
afrpc_overture_connect (AfrpcOverture *self,
                        int            fd)
{
  g_assert (self->fd < 0);

  self->fd = fd;
}

int
afrpc_overture_get_fd (AfrpcOverture *self)
{
  return self->fd;
}

/* Returns: (transfer full): the connection, for what follows */
int
afrpc_overture_steal_fd (AfrpcOverture *self)
{
  const int fd = self->fd;

  self->fd = -1;

  return fd;
}

gboolean
afrpc_overture_has_output (AfrpcOverture *self)
{
  return self->output.length > 0;
}

/* What nobody reads is no error: that shows as an end, and why in how the command ends. */
static AfrpcStep
write_output (AfrpcOverture *self)
{
  GBytes *first;

  while ((first = g_queue_peek_head (&self->output)) != NULL)
    {
      gsize size;
      const guint8 *data = g_bytes_get_data (first, &size);
      const gssize n = size > 0 ? send (self->fd, data + self->n_written, size - self->n_written, MSG_NOSIGNAL) : 0;

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? AFRPC_STEP_AGAIN : AFRPC_STEP_EOF;
      self->n_written += n;
      self->n_moved += n;
      if (self->n_written == size)
        {
          g_bytes_unref (g_queue_pop_head (&self->output));
          self->n_written = 0;
        }
    }

  return AFRPC_STEP_DONE;
}

static void
set_chatter (AfrpcOverture  *self,
             GError        **error)
{
  g_autofree char *some = g_strndup (self->input->str, MIN (self->input->len, SHOWN_MAX));
  g_autofree char *valid = g_utf8_make_valid (some, -1);
  g_autofree char *shown = g_strescape (valid, NULL);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "no greeting, but '%s'%s: something else is written to where "
               "'afrpc host' answers", shown, self->input->len > SHOWN_MAX ? "..." : "");
}

/* The next byte: not more than the answers may be read, since what follows them is for somebody else. */
static AfrpcStep
read_byte (AfrpcOverture  *self,
           GError        **error)
{
  char c;
  gssize n;

  do
    n = read (self->fd, &c, 1);
  while (n < 0 && errno == EINTR);

  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return AFRPC_STEP_AGAIN;
  if (n <= 0)
    return AFRPC_STEP_EOF;

  if (self->n_expected > 0 && c == AFRPC_OVERTURE_ARRIVED)
    {
      self->n_expected--;
      self->n_moved++;
      return AFRPC_STEP_DONE;
    }

  if (self->input->len > 0 && self->input->str[self->input->len - 1] == '\n')
    self->last_line = self->input->len;
  g_string_append_c (self->input, c != '\0' ? c : '?');
  if (self->input->len <= CHATTER_MAX)
    return AFRPC_STEP_DONE;

  set_chatter (self, error);
  return AFRPC_STEP_ERROR;
}

/* Which files are wanted, if that is what has come: they follow. */
static void
take_wants (AfrpcOverture *self)
{
  static const char word[] = AFRPC_OVERTURE_WANTS;
  const gsize size = AFRPC_OVERTURE_WORD_SIZE + self->files->len + 1;
  const char *answer;

  if (self->input->len < size)
    return;
  answer = self->input->str + self->input->len - size;
  if (!g_str_has_prefix (answer, word) || !g_str_has_suffix (answer, "\n"))
    return;

  for (guint i = 0; i < self->files->len; i++)
    if (answer[AFRPC_OVERTURE_WORD_SIZE + i] == '1')
      {
        GBytes *file = self->files->pdata[i];

        g_queue_push_tail (&self->output, g_bytes_ref (file));
        self->n_expected += (g_bytes_get_size (file) + AFRPC_OVERTURE_PIECE - 1) / AFRPC_OVERTURE_PIECE;
      }
  g_clear_pointer (&self->files, g_ptr_array_unref);
  self->n_moved++;
  g_string_truncate (self->input, 0);
  self->last_line = 0;
}

/* Whether the last answer has come. What is printed there may begin like it, and end in the middle of its line. */
static gboolean
take_answer (AfrpcOverture *self)
{
  const char *begin, *digits;
  guint64 n;

  if (self->input->len == 0 || self->input->str[self->input->len - 1] != '\n')
    return FALSE;
  begin = g_strrstr (self->input->str + self->last_line, AFRPC_OVERTURE_ANSWER " ");
  if (begin == NULL)
    return FALSE;

  digits = begin + strlen (AFRPC_OVERTURE_ANSWER " ");
  n = g_ascii_strtoull (digits, NULL, 10);
  if (n == 0 || n > G_MAXINT || strspn (digits, "0123456789") != strlen (digits) - 1)
    return FALSE;

  self->n_processors = n;
  return TRUE;
}

guint
afrpc_overture_get_n_processors (AfrpcOverture *self)
{
  return self->n_processors;
}

static AfrpcStep
go_on (AfrpcOverture  *self,
       GError        **error)
{
  for (;;)
    {
      AfrpcStep step = write_output (self);

      if (step == AFRPC_STEP_EOF)
        return step;
      step = read_byte (self, error);
      if (step != AFRPC_STEP_DONE)
        return step;
      if (self->files != NULL)
        take_wants (self);
      else if (take_answer (self))
        return AFRPC_STEP_DONE;
    }
}

/* @has_moved: whether it has come further, or is over: what else is printed there is nothing that was waited for.
 * Returns: DONE: the host follows; EOF: there is nobody; ERROR: whoever is there is not meant */
AfrpcStep
afrpc_overture_step (AfrpcOverture  *self,
                     gboolean       *has_moved,
                     GError        **error)
{
  const guint64 n_before = self->n_moved;
  const AfrpcStep step = go_on (self, error);

  *has_moved = self->n_moved > n_before || step != AFRPC_STEP_AGAIN;

  return step;
}
