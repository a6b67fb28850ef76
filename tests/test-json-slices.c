/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "afrpc/json/afrpc-json-decoder.h"
#include "own-process.h"
#include "variant-check.h"

/* That reading JSON can be left after so much work, wherever it is. */

#define TEXT_SIZE (1 << 20) /* bytes */

static const struct
{
  const char *type; /* (nullable): typed JSON */
  const char *before;
  const char *item;
  const char *after;
} texts[] = {
  { "v", "[", "{},", "0]" },
  { "v", "[", "1,", "0]" },
  { "v", "[", "[[],[1,[]]],", "0]" },
  { "av", "[", "\"text\",", "0]" },
  { "as", "[", "\"\",", "\"\"]" },
  { "ai", "[", "-12345,", "0]" },
  { "ad", "[", "0.1e5,", "0]" },
  { "ab", "[", "true,", "false]" },
  { "ab", "[", "    \n", "true]" },
  { "ams", "[", "null,[\"\"],", "null]" },
  { "s", "\"", "text and \303\266 more ", "\"" },
  { "s", "\"", "\\n\\ud83d\\ude00", "\"" },
  { "ay", "\"", "AP8/", "\"" },
  { "o", "\"", "/name_1", "\"" },
  { "g", "\"", "a{s(ii)}", "\"" },
  { "a{ou}", "{\"", "/name_1", "\":1}" },
  { "a{sv}", "{\"", "a long name ", "\":1}" },
  { "a(sv)", "[", "[\"name\",[true]],", "[\"\",0]]" },
  { "a{s(ii)}", "[", "[\"name\",[1,2]],", "[\"\",[1,2]]]" },
  { NULL, "{\"type\":\"av\",\"data\":[", "{\"type\":\"ai\",\"data\":[1,2]},", "{\"type\":\"i\",\"data\":1}]}" },
  { NULL, "{\"data\":[", "{\"data\":[1,2],\"type\":\"ai\"},", "{\"type\":\"i\",\"data\":1}],\"type\":\"av\"}" },
  { NULL, "{\"data\":\"", "text \\\" more", "\",\"type\":\"s\"}" },
};

static GString *
make_text (guint i,
           gsize size)
{
  GString *text = g_string_new (texts[i].before);

  do
    g_string_append (text, texts[i].item);
  while (text->len < size);

  return g_string_append (text, texts[i].after);
}

static const GVariantType *
get_type (guint i)
{
  return (const GVariantType *) texts[i].type;
}

/* Decodes in steps. No one reads, writes, or notes more than it has a budget for; @n_steps is how many there are. */
static GVariant *
decode_in_steps (const GString       *text,
                 const GVariantType  *type,
                 gssize               budget,
                 guint               *n_steps,
                 GError             **error)
{
  g_autoptr(AfrpcJsonDecoder) decoder = afrpc_json_decoder_new (text->str, text->len, type);
  const gssize piece = 300000; /* what it may go beyond */
  GVariant *value = NULL;

  for (*n_steps = 1;; ++*n_steps)
    {
      const gsize size = decoder->writer.size, n_ends = decoder->writer.n_ends;
      const gboolean scans = decoder->state == AFRPC_JSON_SCAN;
      const char *at = scans ? decoder->scan.at : decoder->at;

      if (afrpc_json_decoder_step (decoder, budget, &value, error) != 0)
        return value;
      if (scans && decoder->state == AFRPC_JSON_SCAN)
        g_assert_cmpint (decoder->scan.at - at, <=, (budget + piece) / 4);
      else if (!scans)
        g_assert_cmpint (decoder->at - at, <=, (budget + piece) / 4);
      g_assert_cmpuint (MAX (decoder->writer.size, size) - size, <=, (gsize) (budget + piece));
      g_assert_cmpuint (MAX (decoder->writer.n_ends, n_ends) - n_ends, <=, (gsize) (budget + piece) / 100);
    }
}

static void
test_json_slices_steps (void)
{
  g_test_summary ("Text is read in steps, none of which does more than it has a budget for");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GString) text = make_text (i, TEXT_SIZE);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) expected = afrpc_json_decode (text->str, text->len, get_type (i), &error);
      g_autoptr(GVariant) value = NULL;
      guint n_steps;

      g_assert_no_error (error);
      value = decode_in_steps (text, get_type (i), AFRPC_JSON_SLICE, &n_steps, &error);
      g_assert_no_error (error);
      variant_assert_same (value, expected);
      g_assert_true (variant_is_normal (value));
      g_test_message ("%s%s: %u steps", texts[i].before, texts[i].item, n_steps);
      g_assert_cmpuint (n_steps, >, 5);
    }
}

static void
test_json_slices_small (void)
{
  g_test_summary ("In steps that are as small as can be, it comes to the same");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    for (gsize size = 1; size < 20000; size = size * 7 + 1)
      {
        g_autoptr(GString) text = make_text (i, size);
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) expected = afrpc_json_decode (text->str, text->len, get_type (i), &error);
        g_autoptr(GVariant) value = NULL;
        guint n_steps;

        g_assert_no_error (error);
        value = decode_in_steps (text, get_type (i), 0, &n_steps, &error);
        g_assert_no_error (error);
        variant_assert_same (value, expected);
      }
}

/* Not even that takes long which is not said of it. */
static void
test_json_slices_one_step (void)
{
  static const char text[] = "{\"type\":\"(sv)\",\"data\":[\"x\",{\"type\":\"ai\",\"data\":[1,2,3]}]}";
  g_autoptr(GString) string = g_string_new (text);
  g_autoptr(GVariant) value = NULL;
  guint n_steps;

  g_test_summary ("Small text takes one step");
  value = decode_in_steps (string, NULL, AFRPC_JSON_SLICE, &n_steps, NULL);
  g_assert_nonnull (value);
  g_assert_cmpuint (n_steps, ==, 1);
}

static void
test_json_slices_given_up (void)
{
  g_test_summary ("It can be given up at any time");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(GString) text = make_text (i, 10000);

      for (guint n = 1; n < 2000; n = n * 3 + 1)
        {
          g_autoptr(AfrpcJsonDecoder) decoder = afrpc_json_decoder_new (text->str, text->len, get_type (i));
          g_autoptr(GVariant) value = NULL;

          for (guint j = 0; j < n && afrpc_json_decoder_step (decoder, 0, &value, NULL) == 0; j++)
            ;
        }
    }
}

static void
test_json_slices_long_number (void)
{
  g_test_summary ("A number has 4096 characters at most");
  for (gsize length = 4095; length < 4098; length++)
    {
      g_autofree char *digits = g_strnfill (length - 2, '1');
      g_autofree char *text = g_strdup_printf ("0.%s", digits);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = afrpc_json_decode (text, -1, G_VARIANT_TYPE_DOUBLE, &error);

      if (length <= AFRPC_JSON_NUMBER_SIZE_MAX)
        g_assert_no_error (error);
      else
        g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
    }
}

/* Bytes of address space. */
static gsize
get_space (void)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  return g_ascii_strtoull (text, NULL, 10) * sysconf (_SC_PAGESIZE);
}

/* The address sanitizer's own malloc() ends the process. */
static gboolean
can_be_short_of_memory (void)
{
#ifdef __SANITIZE_ADDRESS__
  return FALSE;
#else
  return own_process_can_be_without_memory ();
#endif
}

static void
test_json_slices_no_memory (void)
{
  g_autoptr(GString) text = make_text (1, TEXT_SIZE);

  g_test_summary ("Text for which there is not enough memory fails, and nothing else does");
  if (!can_be_short_of_memory ())
    {
      g_test_skip ("what watches this process needs memory itself");
      return;
    }

  for (gsize more = 1 << 20; more < 64 << 20; more *= 2)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = NULL;
      struct rlimit before, little;

      g_assert_no_errno (getrlimit (RLIMIT_AS, &before));
      little = (struct rlimit) { get_space () + more, before.rlim_max };
      g_assert_no_errno (setrlimit (RLIMIT_AS, &little));
      value = afrpc_json_decode (text->str, text->len, G_VARIANT_TYPE_VARIANT, &error);
      g_assert_no_errno (setrlimit (RLIMIT_AS, &before));
      if (more < 16 << 20)
        g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_assert_cmpint (value != NULL, ==, error == NULL);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json-slices/steps", test_json_slices_steps);
  g_test_add_func ("/json-slices/small", test_json_slices_small);
  g_test_add_func ("/json-slices/one-step", test_json_slices_one_step);
  g_test_add_func ("/json-slices/given-up", test_json_slices_given_up);
  g_test_add_func ("/json-slices/long-number", test_json_slices_long_number);
  g_test_add_func ("/json-slices/no-memory", test_json_slices_no_memory);

  return g_test_run ();
}
