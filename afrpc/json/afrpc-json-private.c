/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-private.h"

#include <string.h>

gsize
afrpc_json_scalar_size (const GVariantType *type)
{
  switch (*g_variant_type_peek_string (type))
    {
    case 'b':
    case 'y':
      return 1;
    case 'n':
    case 'q':
      return 2;
    case 'i':
    case 'u':
    case 'h':
      return 4;
    case 'x':
    case 't':
    case 'd':
      return 8;
    default:
      return 0;
    }
}

gboolean
afrpc_json_type_has_names (const GVariantType *type)
{
  const char *string = g_variant_type_peek_string (type);

  return string[0] == 'a' && string[1] == '{' && strchr ("sog", string[2]) != NULL;
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
