/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-place.h"

#include "afrpc-json-private.h"

/* Bytes of a name that an error message shows, not more than one character over. */
#define NAME_SHOWN_MAX 64

void
afrpc_json_pointer_add_name (GString    *pointer,
                             const char *name,
                             gsize       length)
{
  const char *end = name + length;

  g_string_append_c (pointer, '/');
  for (const char *at = name; at < end; at = g_utf8_next_char (at))
    {
      gunichar c = g_utf8_get_char (at);

      if (at - name >= NAME_SHOWN_MAX)
        {
          g_string_append (pointer, "...");
          break;
        }
      if (c == '~')
        g_string_append (pointer, "~0");
      else if (c == '/')
        g_string_append (pointer, "~1");
      else
        g_string_append_unichar (pointer, g_unichar_isprint (c) ? c : 0xfffd);
    }
}

void
afrpc_json_pointer_add_raw (GString    *pointer,
                            const char *name)
{
  char string[NAME_SHOWN_MAX + AFRPC_JSON_CHARACTER_SIZE_MAX + 1];
  gsize length = 0;

  /* Longer than what is shown, if it is. */
  while (*name != '"' && length <= NAME_SHOWN_MAX)
    {
      gsize size = 1;

      string[length] = *name;
      name += *name == '\\' ? 1 + afrpc_json_unescape (name + 1, string + length, &size) : 1;
      length += size;
    }
  /* Of its last character, all is there. */
  while (*name != '"' && (*name & 0xc0) == 0x80 && length < sizeof string)
    string[length++] = *name++;

  afrpc_json_pointer_add_name (pointer, string, length);
}

void
afrpc_json_pointer_add_index (GString *pointer,
                              gsize    index)
{
  g_string_append_printf (pointer, "/%" G_GSIZE_FORMAT, index);
}

void
afrpc_json_pointer_set_error (const char  *pointer,
                              AfrpcError   code,
                              const char  *message,
                              GError     **error)
{
  g_set_error (error, AFRPC_ERROR, code, "JSON%s%s: %s", *pointer != '\0' ? " at " : "", pointer,
               message);
}
