/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages where the locale is not one of UTF-8, or is none: GLib would put question marks for quotation marks. */
#include "config.h"

#include "afrpc-tool.h"

#include <stdio.h>

static char *
replace_marks (const char *text)
{
  static const struct
  {
    gunichar mark;
    const char *plain;
  } marks[] = {
    { 0x2018, "'" }, { 0x2019, "'" }, { 0x201c, "'" }, { 0x201d, "'" }, { 0x201e, "'" }, { 0x2026, "..." },
  };
  GString *replaced = g_string_new (NULL);

  for (; *text != '\0'; text = g_utf8_next_char (text))
    {
      const gunichar c = g_utf8_get_char (text);
      gsize i = 0;

      while (i < G_N_ELEMENTS (marks) && marks[i].mark != c)
        i++;
      if (i < G_N_ELEMENTS (marks))
        g_string_append (replaced, marks[i].plain);
      else
        g_string_append_unichar (replaced, c);
    }

  return g_string_free (replaced, FALSE);
}

static void
print_to (FILE       *stream,
          const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autofree char *replaced = replace_marks (valid);
  g_autofree char *converted = NULL;
  const char *charset;

  g_get_charset (&charset);
  converted = g_convert_with_fallback (replaced, -1, charset, "UTF-8", "?", NULL, NULL, NULL);
  fputs (converted != NULL ? converted : replaced, stream);
  fflush (stream);
}

static void
print_cb (const char *text)
{
  print_to (stdout, text);
}

static void
printerr_cb (const char *text)
{
  print_to (stderr, text);
}

/* To be called once the locale is known. */
void
afrpc_tool_init_printing (void)
{
  if (g_get_charset (NULL))
    return;

  g_set_print_handler (print_cb);
  g_set_printerr_handler (printerr_cb);
}
