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
  GByteArray *output;
  gsize n_written;
  GString *input;     /* what has come; the answer is what it ends with */
};

/* @head: (transfer none): what to say */
AfrpcOverture *
afrpc_overture_new (GVariant *head)
{
  AfrpcOverture *self = g_new0 (AfrpcOverture, 1);
  g_autoptr(GVariant) normal = g_variant_get_normal_form (head);
  g_autoptr(GVariant) swapped = G_BYTE_ORDER == G_BIG_ENDIAN ? g_variant_byteswap (normal) : g_variant_ref (normal);
  const guint64 size = GUINT64_TO_LE (g_variant_get_size (swapped));

  self->fd = -1;
  self->input = g_string_new (NULL);
  self->output = g_byte_array_new ();
  g_byte_array_append (self->output, (const guint8 *) AFRPC_OVERTURE_MAGIC, AFRPC_OVERTURE_WORD_SIZE);
  g_byte_array_append (self->output, (const guint8 *) &size, sizeof size);
  g_byte_array_append (self->output, g_variant_get_data (swapped), g_variant_get_size (swapped));

  return self;
}

void
afrpc_overture_free (AfrpcOverture *self)
{
  if (self->fd >= 0)
    close (self->fd);
  g_byte_array_unref (self->output);
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
  return self->n_written < self->output->len;
}

/* What nobody reads is no error: that shows as an end, and why in how the command ends. */
static AfrpcStep
write_output (AfrpcOverture *self)
{
  while (self->n_written < self->output->len)
    {
      const gssize n = send (self->fd, self->output->data + self->n_written, self->output->len - self->n_written, MSG_NOSIGNAL);

      if (n >= 0)
        self->n_written += n;
      else if (errno != EINTR)
        return errno == EAGAIN || errno == EWOULDBLOCK ? AFRPC_STEP_AGAIN : AFRPC_STEP_EOF;
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

/* Not more than the answer may be read: what follows it is for somebody else. */
static AfrpcStep
read_answer (AfrpcOverture  *self,
             GError        **error)
{
  static const char answer[] = AFRPC_OVERTURE_ANSWER "\n";

  while (!g_str_has_suffix (self->input->str, answer))
    {
      char c;
      const gssize n = read (self->fd, &c, 1);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return AFRPC_STEP_AGAIN;
      if (n <= 0)
        return AFRPC_STEP_EOF;
      g_string_append_c (self->input, c != '\0' ? c : '?');
      if (self->input->len > CHATTER_MAX)
        {
          set_chatter (self, error);
          return AFRPC_STEP_ERROR;
        }
    }

  return AFRPC_STEP_DONE;
}

/* @has_moved: whether something has come, or gone, or it is over. Returns: DONE: the host follows; EOF: there is nobody;
 * ERROR: whoever is there is not meant */
AfrpcStep
afrpc_overture_step (AfrpcOverture  *self,
                     gboolean       *has_moved,
                     GError        **error)
{
  const gsize n_before = self->n_written + self->input->len;
  AfrpcStep step = write_output (self);

  if (step != AFRPC_STEP_EOF)
    step = read_answer (self, error);
  *has_moved = self->n_written + self->input->len > n_before || step != AFRPC_STEP_AGAIN;

  return step;
}
