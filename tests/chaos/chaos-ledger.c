/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chaos-ledger.h"

#include "chaos-random.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static ChaosLedger *
map (int fd)
{
  ChaosLedger *self = mmap (NULL, sizeof *self, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  return self != MAP_FAILED ? self : NULL;
}

/* The file has no name any more, so that it cannot be left behind, and stays open for who opens @path: the program
 * that made it, as its workers see it. */
ChaosLedger *
chaos_ledger_new (char **path) /* (out) (transfer full) */
{
  g_autofree char *name = NULL;
  int fd = g_file_open_tmp ("afrpc-chaos-XXXXXX", &name, NULL);
  ChaosLedger *self = NULL;

  if (fd < 0)
    return NULL;
  g_unlink (name);
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  if (ftruncate (fd, sizeof *self) == 0)
    self = map (fd);
  *path = g_strdup_printf ("/proc/%d/fd/%d", (int) getpid (), fd);

  return self;
}

ChaosLedger *
chaos_ledger_open (const char *path)
{
  int fd = open (path, O_RDWR | O_CLOEXEC);
  ChaosLedger *self;

  if (fd < 0)
    return NULL;
  self = map (fd);
  close (fd);

  return self;
}

void
chaos_entry_tell (ChaosEntry *self)
{
  g_atomic_int_inc (&self->n_news);
  syscall (SYS_futex, &self->n_news, FUTEX_WAKE, G_MAXINT, NULL, NULL, 0);
}

void
chaos_entry_wait (ChaosEntry *self,
                  gint        n)
{
  syscall (SYS_futex, &self->n_news, FUTEX_WAIT, n, NULL, NULL, 0);
}

void
chaos_fill (guint8  *bytes,
            gsize    size,
            guint64  what)
{
  ChaosRandom random = chaos_random (what, size);

  for (gsize i = 0; i < size; i += sizeof (guint64))
    {
      const guint64 word = chaos_random_next (&random);

      memcpy (bytes + i, &word, MIN (size - i, sizeof word));
    }
}

gboolean
chaos_is_filled (const guint8 *bytes,
                 gsize         size,
                 guint64       what)
{
  ChaosRandom random = chaos_random (what, size);

  for (gsize i = 0; i < size; i += sizeof (guint64))
    {
      const guint64 word = chaos_random_next (&random);

      if (memcmp (bytes + i, &word, MIN (size - i, sizeof word)) != 0)
        return FALSE;
    }
  return TRUE;
}

GVariant *
chaos_bytes (gsize   size,
             guint64 what)
{
  guint8 *bytes = g_malloc (size);

  chaos_fill (bytes, size, what);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

gboolean
chaos_are_bytes (GVariant *value,
                 gsize     size,
                 guint64   what)
{
  gsize its_size;
  const guint8 *bytes = g_variant_get_fixed_array (value, &its_size, 1);

  return its_size == size && chaos_is_filled (bytes, size, what);
}

static int
pipe_text (char     text[32],
           guint    id,
           guint    index,
           gboolean is_result)
{
  return snprintf (text, 32, "%s %u %u", is_result ? "back" : "there", id, index);
}

int
chaos_pipe_with (guint    id,
                 guint    index,
                 gboolean is_result)
{
  char text[32];
  const int size = pipe_text (text, id, index, is_result);
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC) != 0)
    return -1;
  if (write (fds[1], text, size) != size)
    {
      close (fds[0]);
      fds[0] = -1;
    }
  close (fds[1]);

  return fds[0];
}

gboolean
chaos_pipe_has (int      fd,
                guint    id,
                guint    index,
                gboolean is_result)
{
  char text[32], found[64];
  const int size = pipe_text (text, id, index, is_result);
  const gssize n = read (fd, found, sizeof found);

  close (fd);
  return n == size && memcmp (text, found, size) == 0;
}
