/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker module of the page "Writing workers": searches a list of words. */
#include <afrpc/afrpc.h>

static char **words;

AFRPC_FUNCTION (search, "(s)")

GVariant *
search (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  g_autoptr(GVariantBuilder) found = g_variant_builder_new (G_VARIANT_TYPE_STRING_ARRAY);
  g_autoptr(GRegex) regex = NULL;
  const char *pattern;

  g_variant_get (args, "(&s)", &pattern);
  regex = g_regex_new (pattern, 0, 0, error);
  if (regex == NULL)
    return NULL;

  for (guint i = 0; words[i] != NULL; i++)
    {
      if (afrpc_worker_is_cancelled (worker))
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "given up");
          return NULL;
        }
      if (i % 1000 == 0)
        afrpc_worker_event (worker, g_variant_new_uint32 (i));
      if (g_regex_match (regex, words[i], 0, NULL))
        g_variant_builder_add (found, "s", words[i]);
    }

  return g_variant_builder_end (found);
}

AFRPC_EXPORT gboolean load (AfrpcWorker *worker, GVariant *args, GError **error);

gboolean
load (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  g_autofree char *text = NULL;
  const char *path;

  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(s)")))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "which file?");
      return FALSE;
    }

  g_variant_get (args, "(&s)", &path);
  if (!g_file_get_contents (path, &text, NULL, error))
    return FALSE;
  words = g_strsplit (text, "\n", -1);

  return TRUE;
}

AFRPC_EXPORT void unload (AfrpcWorker *worker);

void
unload (AfrpcWorker *worker)
{
  g_clear_pointer (&words, g_strfreev);
}
