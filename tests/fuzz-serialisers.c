/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-main.h"

#include <afrpc/afrpc.h>

#include "variant-check.h"

/* Any bytes whatsoever into the serialisers whose formats have one way only to write a value: what is accepted
 * must be a normal value, and serialise to the very same bytes. */

static void
check_value (AfrpcSerialiser *serialiser,
             GVariant        *value,
             GBytes          *input)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) again = afrpc_serialiser_serialise (serialiser, value, &error);

  g_assert_true (variant_is_normal (value));
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (again, input));
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  static const char *const names[] = { "bytes", "variant" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (names[i]);
      /* To the byte, for the sanitizer to see a step too far. */
      g_autoptr(GBytes) input = g_bytes_new (data, size);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = afrpc_serialiser_deserialise (serialiser, input, &error);

      if (value != NULL)
        check_value (serialiser, value, input);
      else
        g_assert_true (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA)
                       || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE));
    }
  return 0;
}
