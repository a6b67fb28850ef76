/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values from a foreign process: what GLib takes for normal passes, and nothing else, in whatever steps it is looked
 * at; what has passed is safe to look at by a GLib that trusts it; and what came before on the same connection makes
 * no difference.
 *
 * Input: the frame's flags, the length of the type string, the type string, then the payload. */
#include "config.h"

#include "fuzz-main.h"

#include <string.h>

#include "link/afrpc-error-domains.h"
#include "variant-check.h"
#include "wire/afrpc-metadata.h"
#include "wire/afrpc-value.h"

typedef struct
{
  AfrpcFrameHeader header;
  const char *type;       /* not ended by a NUL */
  const guint8 *payload;
} Input;

static gboolean
is_foreign (const Input *input)
{
  return (input->header.flags & AFRPC_FRAME_FLAG_BIG_ENDIAN) != AFRPC_FRAME_FLAGS_NATIVE;
}

/* Returns: (nullable) (transfer full): what has to come out, by GLib alone */
static GVariant *
get_expected (const Input *input)
{
  g_autofree char *type = g_strndup (input->type, input->header.type_length);
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (strlen (type) != input->header.type_length || !g_variant_type_string_is_valid (type) ||
      !g_variant_type_is_definite ((const GVariantType *) type) ||
      !variant_data_is_normal (type, input->payload, input->header.size))
    return NULL;

  bytes = g_bytes_new (input->payload, input->header.size);
  value = g_variant_ref_sink (g_variant_new_from_bytes ((const GVariantType *) type, bytes, FALSE));
  if (variant_has_long_type (value))
    return NULL;

  return is_foreign (input) ? g_variant_byteswap (value) : g_steal_pointer (&value);
}

static void
look_at (GVariant *value)
{
  g_autoptr(GError) error = afrpc_error_domains_unpack (value);
  g_autofree char *text = g_variant_print (value, TRUE);

  g_assert_true (variant_is_normal (value));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
check_same (GVariant *value,
            GVariant *expected)
{
  g_assert_cmpint (value != NULL, ==, expected != NULL);
  if (value != NULL)
    variant_assert_same (value, expected);
}

/* In memory of its own, to the byte, for the sanitizer. */
static GBytes *
copy_payload (const Input *input)
{
  return g_bytes_new (input->payload, input->header.size);
}

static GVariant *
parse (const Input    *input,
       AfrpcValueType *type,
       gboolean        is_large)
{
  g_autofree char *type_string = g_memdup2 (input->type, input->header.type_length);
  g_autoptr(GBytes) payload = copy_payload (input);
  g_autoptr(GError) error = NULL;
  GVariant *value = afrpc_value_parse (type, &input->header, type_string, g_bytes_get_data (payload, NULL),
                                       is_large ? payload : NULL, &error);

  g_assert_cmpint (value != NULL, ==, error == NULL);
  return value;
}

static GVariant *
parse_in_steps (const Input *input)
{
  AfrpcValueType type = { 0 };
  AfrpcValueParser parser;
  g_autoptr(GBytes) payload = copy_payload (input);
  g_autoptr(GError) error = NULL;
  GVariant *value = NULL;
  int step = afrpc_value_parser_begin (&parser, &type, &input->header, input->type, g_bytes_get_data (payload, NULL),
                                       payload, &value, &error);

  while (step == 0)
    step = afrpc_value_parser_step (&parser, AFRPC_VALUE_CHECK_SLICE, &value, &error);
  g_assert_cmpint (step, ==, value != NULL ? 1 : -1);
  g_assert_cmpint (value != NULL, ==, error == NULL);

  return value;
}

/* In steps as small as can be. */
static void
check_steps (const Input *input,
             GVariant    *expected)
{
  AfrpcLayout layout[AFRPC_LAYOUT_TYPE_MAX];
  g_autofree guint8 *data = g_memdup2 (input->payload, input->header.size);
  AfrpcValueCheck check;
  int step;

  if (!afrpc_layout_init (layout, input->type, input->header.type_length))
    return;

  afrpc_value_check_init (&check, layout, data, input->header.size, is_foreign (input));
  while ((step = afrpc_value_check_step (&check, 0)) == 0)
    ;
  afrpc_value_check_clear (&check);
  g_assert_cmpint (step, ==, expected != NULL ? 1 : -1);
  if (expected != NULL)
    g_assert_cmpmem (data, input->header.size, g_variant_get_data (expected), g_variant_get_size (expected));
}

static void
check (const Input *input)
{
  const Input others[] = { { { .type_length = 1 }, "z", NULL }, { { .type_length = 1 }, "s", NULL } };
  g_autoptr(GVariant) expected = get_expected (input);
  g_autoptr(GVariant) stepped = parse_in_steps (input);
  AfrpcValueType type = { 0 };

  check_same (stepped, expected);
  check_steps (input, expected);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(GVariant) value = parse (input, &type, i % 2 == 1);

      check_same (value, expected);
      if (value != NULL && i == 0)
        look_at (value);
      if (i < G_N_ELEMENTS (others))
        g_assert_null (parse (&others[i], &type, FALSE));
    }
}

/* As the payload of a call. */
static void
check_metadata (const Input *input)
{
  AfrpcValueType type = { 0 };
  g_autoptr(GVariant) both = parse (input, &type, FALSE);
  g_autoptr(GVariant) args = NULL;
  g_autoptr(GVariant) metadata = NULL;
  g_autoptr(GError) error = NULL;

  if (both == NULL)
    return;
  if (!afrpc_metadata_unpack (both, &args, &metadata, &error))
    {
      g_assert_nonnull (error);
      g_assert_null (args);
      g_assert_null (metadata);
      return;
    }

  g_assert_true (g_variant_is_of_type (both, G_VARIANT_TYPE ("(va{sv})")));
  g_assert_true (g_variant_is_of_type (metadata, G_VARIANT_TYPE_VARDICT));
  g_assert_cmpuint (g_variant_get_size (metadata), <=, AFRPC_METADATA_SIZE_MAX);
  look_at (args);
  look_at (metadata);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  Input input = { { .kind = AFRPC_FRAME_RESULT } };

  if (size < 2 || size - 2 < data[1])
    return 0;

  input.header.flags = data[0] & AFRPC_FRAME_FLAGS_KNOWN;
  input.header.type_length = data[1];
  input.header.size = size - 2 - input.header.type_length;
  input.type = (const char *) data + 2;
  input.payload = data + 2 + input.header.type_length;
  check (&input);
  if ((input.header.flags & AFRPC_FRAME_FLAG_METADATA) != 0)
    check_metadata (&input);

  return 0;
}
