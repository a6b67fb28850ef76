/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options as POSIX has them: GOption does not know that a value may be in the same word as the letter of its option. */
#include "config.h"

#include "afrpc-tool-options.h"

#include <string.h>

#include "afrpc-tool.h"

void
afrpc_tool_options_init (AfrpcToolOptions *self,
                         const char       *parameters,
                         const char       *summary)
{
  self->context = afrpc_tool_option_context_new (parameters, summary);
  self->entries = g_array_new (FALSE, FALSE, sizeof (GOptionEntry));
}

void
afrpc_tool_options_clear (AfrpcToolOptions *self)
{
  g_clear_pointer (&self->context, g_option_context_free);
  g_clear_pointer (&self->entries, g_array_unref);
}

/* @entries: up to one without a name, of the kinds that have a value, or none */
void
afrpc_tool_options_add (AfrpcToolOptions   *self,
                        const GOptionEntry *entries)
{
  g_option_context_add_main_entries (self->context, entries, GETTEXT_PACKAGE);
  for (; entries->long_name != NULL; entries++)
    g_array_append_vals (self->entries, entries, 1);
}

/* Whether the option of that letter, or of that name, has a value. */
static gboolean
wants_value (const AfrpcToolOptions *self,
             char                    letter, /* or 0 */
             const char             *name)   /* (nullable) */
{
  for (guint i = 0; i < self->entries->len; i++)
    {
      const GOptionEntry *entry = &g_array_index (self->entries, GOptionEntry, i);

      if (name != NULL ? g_str_equal (entry->long_name, name) : entry->short_name == letter)
        return entry->arg != G_OPTION_ARG_NONE;
    }

  return FALSE;
}

/* Adds a word of options that have one letter each. Returns: whether the next word is the value of the last one. */
static gboolean
add_letters (const AfrpcToolOptions *self,
             GPtrArray              *words,
             const char             *word)
{
  for (gsize i = 1; word[i] != '\0'; i++)
    if (wants_value (self, word[i], NULL))
      {
        g_ptr_array_add (words, g_strndup (word, i + 1));
        if (word[i + 1] != '\0')
          g_ptr_array_add (words, g_strdup (word + i + 1));

        return word[i + 1] == '\0';
      }
  g_ptr_array_add (words, g_strdup (word));

  return FALSE;
}

/* Parses the words, of which the first is the program. */
gboolean
afrpc_tool_options_parse (AfrpcToolOptions  *self,
                          char             **argv,
                          GError           **error)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  g_auto(GStrv) parsed = NULL;
  gboolean is_value = TRUE;

  for (; *argv != NULL; argv++)
    {
      const char *word = *argv;

      if (!is_value && g_str_equal (word, "--"))
        break;

      if (!is_value && word[0] == '-' && word[1] != '-')
        is_value = add_letters (self, words, word);
      else
        {
          is_value = !is_value && g_str_has_prefix (word, "--") && wants_value (self, 0, word + 2);
          g_ptr_array_add (words, g_strdup (word));
        }
    }
  for (; *argv != NULL; argv++)
    g_ptr_array_add (words, g_strdup (*argv));
  g_ptr_array_add (words, NULL);
  parsed = (char **) g_ptr_array_steal (words, NULL);

  return g_option_context_parse_strv (self->context, &parsed, error);
}
