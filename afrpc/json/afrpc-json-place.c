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
          g_string_append (pointer, "…");
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

static void
add_place (GString              *pointer,
           const AfrpcJsonPlace *place)
{
  if (place->up == NULL)
    return;

  add_place (pointer, place->up);
  if (place->name == NULL)
    afrpc_json_pointer_add_index (pointer, place->index);
  else
    {
      g_autoptr(GString) name = g_string_new (NULL);

      afrpc_json_unescape (name, place->name, place->name_length);
      afrpc_json_pointer_add_name (pointer, name->str, name->len);
    }
}

GString *
afrpc_json_place_get_pointer (const AfrpcJsonPlace *place)
{
  GString *pointer = g_string_new (NULL);

  add_place (pointer, place);
  return pointer;
}

void
afrpc_json_place_set_error (const AfrpcJsonPlace  *place,
                            AfrpcError             code,
                            const char            *message,
                            GError               **error)
{
  g_autoptr(GString) pointer = afrpc_json_place_get_pointer (place);

  afrpc_json_pointer_set_error (pointer->str, code, message, error);
}
