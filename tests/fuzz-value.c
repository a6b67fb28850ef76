/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values from a foreign process: what is not refused must be in normal form and safe to look at,
 * and what came before on the same connection must make no difference.
 *
 * Input: the frame's flags, the length of the type string, the type string, then the payload. */
#include "config.h"

#include "fuzz-main.h"

#include <string.h>

#include "link/afrpc-error-domains.h"
#include "variant-check.h"
#include "wire/afrpc-value.h"

static void
check_value (GVariant *value)
{
  g_autoptr(GError) error = afrpc_error_domains_unpack (value);

  g_assert_true (variant_is_normal (value));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  if (g_variant_get_size (value) < 1000)
    {
      g_autofree char *text = g_variant_print (value, TRUE);
    }
}

static GVariant *
parse (AfrpcValueType         *type,
       const AfrpcFrameHeader *header,
       const char             *type_string,
       const guint8           *payload,
       GBytes                 *payload_bytes)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = afrpc_value_parse (type, header, type_string, payload, payload_bytes, &error);

  g_assert_cmpint (value != NULL, ==, error == NULL);

  return value;
}

static void
check_same (GVariant *a,
            GVariant *b)
{
  g_assert_cmpint (a != NULL, ==, b != NULL);
  if (a != NULL)
    variant_assert_same (a, b);
}

static void
parse_all_ways (const AfrpcFrameHeader *header,
                const char             *type_string,
                GBytes                 *payload)
{
  const AfrpcFrameHeader other = { .flags = header->flags, .type_length = 1, .size = 0 };
  AfrpcValueType type = { 0 };
  const guint8 *data = g_bytes_get_data (payload, NULL);
  g_autoptr(GVariant) first = parse (&type, header, type_string, data, NULL);

  if (first != NULL)
    check_value (first);

  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(GVariant) again = NULL;

      if (i >= 2)
        g_assert_null (parse (&type, &other, i == 2 ? "z" : "s", data, NULL));
      again = parse (&type, header, type_string, data, i % 2 == 0 ? payload : NULL);
      check_same (first, again);
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  AfrpcFrameHeader header = { .kind = AFRPC_FRAME_RESULT };
  g_autofree char *type_string = NULL;
  g_autoptr(GBytes) payload = NULL;

  if (size < 2 || size - 2 < data[1])
    return 0;

  header.flags = data[0] & AFRPC_FRAME_FLAGS_KNOWN;
  header.type_length = data[1];
  header.size = size - 2 - header.type_length;
  /* Exactly as long as it is, for the sanitizer, but never NULL. */
  type_string = g_malloc (MAX (header.type_length, 1));
  memcpy (type_string, data + 2, header.type_length);
  payload = g_bytes_new (data + 2 + header.type_length, header.size);
  parse_all_ways (&header, type_string, payload);

  return 0;
}
