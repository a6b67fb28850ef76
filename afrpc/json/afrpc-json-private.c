/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-private.h"

#include <string.h>

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

/* Returns how many bytes after the backslash belong to it. */
static gsize
unescape_one (GString    *out,
              const char *escape)
{
  static const char pairs[] = "b\bf\fn\nr\rt\t";
  gunichar c;

  if (*escape != 'u')
    {
      const char *pair = pairs;

      while (*pair != '\0' && *pair != *escape)
        pair += 2;
      g_string_append_c (out, *pair != '\0' ? pair[1] : *escape);
      return 1;
    }

  c = read_code_unit (escape + 1);
  if (c < 0xd800 || c > 0xdbff)
    {
      g_string_append_unichar (out, c);
      return 5;
    }
  g_string_append_unichar (out, 0x10000 + ((c & 0x3ff) << 10) + (read_code_unit (escape + 7) & 0x3ff));
  return 11;
}

void
afrpc_json_unescape (GString    *out,
                     const char *raw,
                     gsize       length)
{
  const char *end = raw + length;
  const char *backslash;

  while ((backslash = memchr (raw, '\\', end - raw)) != NULL)
    {
      g_string_append_len (out, raw, backslash - raw);
      raw = backslash + 1;
      raw += unescape_one (out, raw);
    }
  g_string_append_len (out, raw, end - raw);
}

static int
compare_names (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

const char *
afrpc_json_find_duplicate (GPtrArray *names)
{
  g_ptr_array_sort (names, compare_names);
  for (guint i = 1; i < names->len; i++)
    if (strcmp (names->pdata[i - 1], names->pdata[i]) == 0)
      return names->pdata[i];
  return NULL;
}
