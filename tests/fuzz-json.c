/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "fuzz-main.h"

#include <string.h>

#include "afrpc/afrpc-error.h"
#include "afrpc/json/afrpc-json.h"
#include "variant-check.h"

/* Any text whatsoever into the JSON decoder, as typed JSON and as plain JSON of a few types. What is
 * accepted must be a normal value, and come back from what the encoder makes of it. */

/* In steps as small as can be, which has to come to the same. */
static void
check_steps (const char         *text,
             gssize              size,
             const GVariantType *expected,
             GVariant           *value,
             const GError       *error)
{
  g_autoptr(AfrpcJsonDecoder) decoder = afrpc_json_decoder_new (text, size, expected);
  g_autoptr(GVariant) other = NULL;
  g_autoptr(GError) other_error = NULL;
  int step;

  while ((step = afrpc_json_decoder_step (decoder, 0, &other, &other_error)) == 0)
    ;
  g_assert_cmpint (step, ==, value != NULL ? 1 : -1);
  if (value != NULL)
    variant_assert_same (other, value);
  else
    g_assert_cmpstr (other_error->message, ==, error->message);
}

static GVariant *
decode (const char *text,
        gssize      size,
        const char *type)
{
  g_autoptr(GError) error = NULL;
  const GVariantType *expected = type != NULL ? G_VARIANT_TYPE (type) : NULL;
  GVariant *value = afrpc_json_decode (text, size, expected, &error);

  check_steps (text, size, expected, value, error);
  if (value != NULL)
    {
      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (value));
      return value;
    }
  g_assert_true (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA)
                 || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  return NULL;
}

static void
check_value (GVariant *value)
{
  g_autofree char *text = afrpc_json_encode (value, AFRPC_JSON_TYPED);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) back = afrpc_json_decode (text, -1, NULL, &error);

  g_assert_true (variant_is_normal (value));
  g_assert_no_error (error);
  variant_assert_same (back, value);
}

/* Below a `v`, plain JSON is the same text the second time; the types in there are guesses. */
static void
check_plain (GVariant *value)
{
  g_autofree char *text = afrpc_json_encode (value, AFRPC_JSON_PLAIN);
  g_autofree char *again = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) back = NULL;

  back = afrpc_json_decode (text, -1, g_variant_get_type (value), &error);
  g_assert_no_error (error);
  again = afrpc_json_encode (back, AFRPC_JSON_PLAIN);
  g_assert_cmpstr (text, ==, again);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  static const char *const types[] = {
    NULL, "v", "a{sv}", "(bynqiuxthdsog)", "ad", "at", "ay", "aas", "a{oas}", "a{u(sg)}", "ammi",
  };
  const char *text = size > 0 ? (const char *) data : "";

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr(GVariant) value = decode (text, size, types[i]);

      if (value == NULL)
        continue;
      check_value (value);
      if (types[i] != NULL)
        check_plain (value);
    }
  return 0;
}
