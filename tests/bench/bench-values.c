/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the values of calls cost alone, by GLib's public functions: whatever carries them costs something beside.
 *
 * usage: bench-values N
 * Makes N calls without a worker: an argument and a result, each made of 16 characters, copied to where it could be sent from,
 * made again of what could have been received, read, and let go of. */
#include <glib.h>
#include <string.h>

#include "bench-common.h"

static void
carry (uint64_t number)
{
  char text[BENCH_TEXT_LEN + 1] = "";
  char sent[2 * BENCH_TEXT_LEN];
  g_autoptr(GVariant) made = NULL;
  g_autoptr(GVariant) received = NULL;
  gsize len;

  bench_text_write (text, number);
  made = g_variant_ref_sink (g_variant_new_string (text));
  g_assert (g_variant_get_size (made) <= sizeof sent);
  g_variant_store (made, sent);
  /* Trusted, and without memory of its own, which is the least that this can cost. */
  received = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_STRING, sent, g_variant_get_size (made), TRUE, NULL, NULL));
  if (!bench_text_is (g_variant_get_string (received, &len), number) || len != BENCH_TEXT_LEN)
    bench_fail ("value %" G_GUINT64_FORMAT " is wrong", number);
}

int
main (int    argc,
      char **argv)
{
  const uint64_t n = argc == 2 ? g_ascii_strtoull (argv[1], NULL, 10) : 0;

  if (n == 0)
    bench_fail ("usage: bench-values N");
  for (uint64_t i = 0; i < n; i++)
    {
      carry (i);
      carry (i);
    }

  return 0;
}
