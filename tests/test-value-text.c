/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "value-oracle.h"
#include "variant-check.h"

#define N_ROUNDS (g_test_thorough () ? 1000000u : 30000u)

/* Alone, and as the first and the last of an array. */
static void
check_text (const char *code,
            const char *text,
            gsize       length)
{
  g_autofree char *array = g_strconcat ("a", code, NULL);
  g_autofree guint8 *data = g_malloc0 (2 * (length + 1) + 2 * sizeof (guint16));
  const gsize size = 2 * (length + 1);
  const guint offset_size = size + 2 > G_MAXUINT8 ? 2 : 1;
  OracleType type;

  memcpy (data, text, length);
  memcpy (data + length + 1, text, length);
  for (guint i = 0; i < 2; i++)
    {
      const guint16 end = GUINT16_TO_LE ((guint16) ((i + 1) * (length + 1)));

      memcpy (data + size + i * offset_size, &end, offset_size);
    }

  oracle_type_init (&type, code);
  oracle_check (&type, data, length + 1);
  oracle_type_init (&type, array);
  oracle_check (&type, data, size + 2 * offset_size);
}

static void
test_value_text_text (void)
{
  g_test_summary ("Text is what GLib takes for it, wherever in it the odd character is");
  for (guint first = 0; first < 256; first++)
    for (guint second = 0; second < 256; second++)
      {
        const guint others[] = { 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0 };
        const char two[] = { first, second };

        check_text ("s", two, first < 0x80 ? 1 : 2);
        for (guint i = 0; i < G_N_ELEMENTS (others) && first >= 0xe0; i++)
          {
            const char four[] = { first, second, others[i], others[(i + 3) % G_N_ELEMENTS (others)] };

            check_text ("s", four, 3);
            check_text ("s", four, 4);
          }
      }
  for (gsize length = 0; length < 100; length++)
    for (gsize at = 0; at < length; at++)
      {
        static const char *const odd[] = { "\303\251", "\342\202\254", "\360\237\230\200", "\377", "\200", "\303",
                                           "\0" };

        for (guint i = 0; i < G_N_ELEMENTS (odd); i++)
          {
            g_autofree char *text = g_strnfill (length + 4, 'x');

            memcpy (text + at, odd[i], MAX (strlen (odd[i]), 1));
            check_text ("s", text, length);
          }
      }
}

/* What is looked at in pieces, which end in the middle of a character. */
static void
test_value_text_long_text (void)
{
  static const char *const odd[] = { "\303\251", "\342\202\254", "\360\237\230\200", "\360\237\230x", "\377" };
  static const gsize places[] = { 0, 500, 2040, 4090, 8180 };

  g_test_summary ("Long text is looked at in pieces, and comes to the same");
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++)
    for (guint j = 0; j < G_N_ELEMENTS (places); j++)
      for (gsize at = places[j]; at < places[j] + 16; at++)
        {
          g_autofree char *text = g_strnfill (10000, 'x');

          memcpy (text + at, odd[i], strlen (odd[i]));
          check_text ("s", text, 10000);
        }
}

static void
test_value_text_long_names (void)
{
  g_autoptr(GString) path = g_string_new (NULL);
  g_autoptr(GString) signature = g_string_new (NULL);

  g_test_summary ("So it is with long paths and signatures");
  for (guint i = 0; i < 3000; i++)
    {
      g_string_append (path, "/ab");
      g_string_append (signature, i % 50 == 0 ? "a{s(" : i % 50 == 49 ? ")}" : "i");
    }
  for (gsize at = 0; at < MIN (path->len, signature->len); at += 7)
    {
      const char saved[] = { path->str[at], signature->str[at] };

      path->str[at] = '/';
      check_text ("o", path->str, path->len);
      path->str[at] = saved[0];
      signature->str[at] = ')';
      check_text ("g", signature->str, signature->len);
      signature->str[at] = saved[1];
    }
  check_text ("o", path->str, path->len);
  check_text ("g", signature->str, signature->len);
}

/* Where no NUL stops it. */
static void
test_value_text_end_of_text (void)
{
  static const char characters[] = "x\303\251\342\202\254\360\237\230\200";

  g_test_summary ("Nothing behind the end of a text is looked at");
  for (gsize size = 0; size < sizeof characters; size++)
    {
      g_autofree guint8 *exact = g_memdup2 (characters, size);
      const gsize whole = size >= 10 ? 10 : size >= 6 ? 6 : size >= 3 ? 3 : MIN (size, 1);

      g_assert_cmpuint (afrpc_text_skip_utf8 (exact, exact + size) - exact, ==, whole);
    }
}

static const struct
{
  const char *opening;
  const char *closing;
} deep_types[] = {
  { "a", "" }, { "m", "" }, { "am", "" }, { "(", ")" }, { "{s", "}" }, { "a{s", "}" }, { "(y", "n)" },
};

static void
test_value_text_names (void)
{
  static const char *const paths[] = { "", "/", "//", "/a", "/a/", "/a/b", "a", "a/b", "/a//b", "/_0Z", "/a-b",
                                       "/\303\251", "/a\n", "/a/b/c/d/e/f", "/a b" };
  static const char characters[] = "asi(){}mv";

  g_test_summary ("So it is with object paths and signatures");
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    check_text ("o", paths[i], strlen (paths[i]));

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GString) text = g_string_new (NULL);

      for (guint n = g_test_rand_int_range (0, 9); n > 0; n--)
        g_string_append_c (text, characters[g_test_rand_int_range (0, strlen (characters))]);
      check_text ("g", text->str, text->len);
    }
  for (guint i = 0; i < G_N_ELEMENTS (deep_types); i++)
    for (guint n = 0; n < 140; n++)
      {
        g_autofree char *one = variant_make_deep_text (deep_types[i].opening, n, "s", deep_types[i].closing);
        g_autofree char *empty = variant_make_deep_text (deep_types[i].opening, n, "()", deep_types[i].closing);
        g_autofree char *two = g_strconcat (one, empty, NULL);

        check_text ("g", one, strlen (one));
        check_text ("g", empty, strlen (empty));
        check_text ("g", two, strlen (two));
      }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/value-text/short", test_value_text_text);
  g_test_add_func ("/value-text/long", test_value_text_long_text);
  g_test_add_func ("/value-text/end", test_value_text_end_of_text);
  g_test_add_func ("/value-text/names", test_value_text_names);
  g_test_add_func ("/value-text/long-names", test_value_text_long_names);

  return g_test_run ();
}
