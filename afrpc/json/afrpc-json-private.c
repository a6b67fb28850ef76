/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-private.h"

gboolean
afrpc_json_is_name_type (char type)
{
  return type == 's' || type == 'o' || type == 'g';
}

static gunichar
read_code_unit (const char *digits)
{
  gunichar unit = 0;

  for (guint i = 0; i < 4; i++)
    unit = unit << 4 | g_ascii_xdigit_value (digits[i]);
  return unit;
}

gsize
afrpc_json_unescape (const char *escape,
                     char       *character,
                     gsize      *size)
{
  static const char pairs[] = "b\bf\fn\nr\rt\t";
  gunichar c;

  if (*escape != 'u')
    {
      const char *pair = pairs;

      while (*pair != '\0' && *pair != *escape)
        pair += 2;
      *character = *pair != '\0' ? pair[1] : *escape;
      *size = 1;
      return 1;
    }

  c = read_code_unit (escape + 1);
  if (c < 0xd800 || c > 0xdbff)
    {
      *size = g_unichar_to_utf8 (c, character);
      return 5;
    }
  *size = g_unichar_to_utf8 (0x10000 + ((c & 0x3ff) << 10) + (read_code_unit (escape + 7) & 0x3ff), character);
  return 11;
}

gboolean
afrpc_json_take_short (const char **at,
                       char        *string,
                       gsize        size,
                       gsize       *length)
{
  gsize n = 0;

  while (**at != '"')
    {
      char character[AFRPC_JSON_CHARACTER_SIZE_MAX] = { **at };
      gsize n_bytes = 1;

      *at += **at == '\\' ? 1 + afrpc_json_unescape (*at + 1, character, &n_bytes) : 1;
      if (n + n_bytes > size)
        return FALSE;
      memcpy (string + n, character, n_bytes);
      n += n_bytes;
    }

  (*at)++;
  *length = n;
  return TRUE;
}
