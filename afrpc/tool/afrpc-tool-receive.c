/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-tool-receive.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-tool-cache.h"
#include "afrpc-tool.h"
#include "wire/afrpc-overture.h"

/* Reads as much as that and not more: the rest is for the host. */
static gboolean
read_exactly (void    *data,
              gsize    size,
              GError **error)
{
  for (gsize n = 0; n < size;)
    {
      const gssize here = read (STDIN_FILENO, (char *) data + n, size - n);

      if (here > 0)
        n += here;
      else if (here == 0 || errno != EINTR)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED, _("The program has gone: %s"),
                       here == 0 ? _("its connection is at its end") : g_strerror (errno));
          return FALSE;
        }
    }

  return TRUE;
}

static gboolean
say (const char  *words,
     gsize        size,
     GError     **error)
{
  if (afrpc_tool_write (STDOUT_FILENO, words, size))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED, _("The program has gone: %s"), g_strerror (errno));
  return FALSE;
}

/* Reads a piece of what is sent, and says so: who waits for the answer sees that it gets nearer. */
static gboolean
read_piece (void    *data,
            gsize    size,
            GError **error)
{
  static const char word = AFRPC_OVERTURE_ARRIVED;

  return read_exactly (data, size, error) && say (&word, sizeof word, error);
}

/* Says that what follows is for the host. */
gboolean
afrpc_tool_answer (GError **error)
{
  g_autofree char *words = g_strdup_printf (AFRPC_OVERTURE_ANSWER " %u\n", afrpc_tool_machines_count_processors ());

  return say (words, strlen (words), error);
}

/* Returns: (transfer full): what the program says */
static GVariant *
read_head (GError **error)
{
  guint8 start[AFRPC_OVERTURE_START_SIZE];
  g_autoptr(GVariant) head = NULL;
  g_autoptr(GBytes) bytes = NULL;
  guint64 size;
  void *data;

  if (!read_exactly (start, sizeof start, error))
    return NULL;
  memcpy (&size, start + AFRPC_OVERTURE_WORD_SIZE, sizeof size);
  size = GUINT64_FROM_LE (size);
  if (memcmp (start, AFRPC_OVERTURE_MAGIC, AFRPC_OVERTURE_WORD_SIZE) != 0 || size > AFRPC_OVERTURE_HEAD_MAX)
    {
      g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, _("This is for programs that use afrpc, of the same version"));
      return NULL;
    }

  data = g_malloc (size);
  bytes = g_bytes_new_take (data, size);
  if (!read_exactly (data, size, error))
    return NULL;

  head = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARDICT, bytes, FALSE));
  if (!g_variant_is_normal_form (head))
    {
      g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, _("What the program says is damaged"));
      return NULL;
    }

  return G_BYTE_ORDER == G_BIG_ENDIAN ? g_variant_byteswap (head) : g_steal_pointer (&head);
}

static void
set_variable (const char *variable,
              gboolean    overwrite)
{
  const char *equals = strchr (variable, '=');
  g_autofree char *name = equals != NULL ? g_strndup (variable, equals - variable) : NULL;

  if (name != NULL && *name != '\0')
    setenv (name, equals + 1, overwrite);
}

static gboolean
change_environ (const char *const  *changes,
                GError            **error)
{
  for (; *changes != NULL; changes++)
    switch ((AfrpcOvertureChange) **changes)
      {
      case AFRPC_OVERTURE_SET:
      case AFRPC_OVERTURE_DEFAULT:
        set_variable (*changes + 1, **changes == AFRPC_OVERTURE_SET);
        break;

      case AFRPC_OVERTURE_UNSET:
        unsetenv (*changes + 1);
        break;

      case AFRPC_OVERTURE_CLEAR:
        clearenv ();
        break;

      default:
        g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_VERSION,
                             _("The program wants something that this version of afrpc does not know"));
        return FALSE;
      }

  return TRUE;
}

/* Takes what is not there yet; afterwards all is. */
static gboolean
receive_files (GVariant  *files, /* a(sst) */
               GError   **error)
{
  const gsize n = g_variant_n_children (files);
  g_autofree AfrpcToolCached *what = g_new (AfrpcToolCached, n);
  g_autoptr(GString) wants = g_string_new (AFRPC_OVERTURE_WANTS);

  for (gsize i = 0; i < n; i++)
    {
      g_variant_get_child (files, i, "(&s&st)", &what[i].sha256, &what[i].name, &what[i].size);
      if (n > AFRPC_OVERTURE_FILES_MAX || !afrpc_tool_cache_check (&what[i], error))
        return FALSE;
      g_string_append_c (wants, afrpc_tool_cache_has (&what[i]) ? '0' : '1');
    }
  g_string_append_c (wants, '\n');
  if (!say (wants->str, wants->len, error))
    return FALSE;

  for (gsize i = 0; i < n; i++)
    if (wants->str[AFRPC_OVERTURE_WORD_SIZE + i] == '1' && !afrpc_tool_cache_store (&what[i], read_piece, error))
      return FALSE;

  return TRUE;
}

/* Takes what the program says, and does it. Returns: (transfer full): the host to become */
char *
afrpc_tool_receive (GError **error)
{
  g_autoptr(GVariant) head = read_head (error);
  g_autoptr(GVariant) files = NULL;
  g_autofree const char **changes = NULL;
  const char *host, *cwd;

  if (head == NULL)
    return NULL;
  if (!g_variant_lookup (head, "host", "&s", &host))
    {
      g_set_error_literal (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, _("The program does not say which host it wants"));
      return NULL;
    }
  if (g_variant_lookup (head, "environ", "^a&ay", &changes) && !change_environ (changes, error))
    return NULL;
  if (g_variant_lookup (head, "cwd", "^&ay", &cwd) && chdir (cwd) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, _("Cannot enter the directory “%s”: %s"), cwd, g_strerror (errno));
      return NULL;
    }

  /* The environment says where they are kept. */
  files = g_variant_lookup_value (head, "files", G_VARIANT_TYPE ("a(sst)"));
  if (files != NULL && !receive_files (files, error))
    return NULL;

  return g_strdup (host);
}
