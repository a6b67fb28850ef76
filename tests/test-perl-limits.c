/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker in Perl needs of what a process can be limited to. */
#include "perl-util.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KNOWS_ADDRESS_SPACE
#endif

#ifdef KNOWS_ADDRESS_SPACE
/* What docs/limits.md says. */
#define NEEDED_MIB 16

/* Has it called if it has so much; @error is its own. Returns: (transfer full) (nullable) */
static AfrpcExit *
call_limited (guint64   limit,
              GError  **error)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;

  afrpc_process_eval (process, "sub double { 2 * $_[0] }", NULL);
  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, limit);
  watch_function (&watched, process, "double", AFRPC_BACKEND_SYNC, NULL);
  result = test_call (watched.proxy, g_variant_new ("(u)", 7), error);
  if (result != NULL)
    {
      g_autofree char *text = show (result);

      g_assert_cmpstr (text, ==, "(14)");
    }
  watch_end (&watched);

  return g_steal_pointer (&watched.exit);
}
#endif

static void
test_perl_limits_address_space (void)
{
#ifndef KNOWS_ADDRESS_SPACE
  g_test_skip ("it is known for x86-64 with the GNU C library, and without a sanitizer");
#else
  const char *words = "limiting address space to 1048576 bytes: ";
  g_autoptr(GError) refused = NULL;
  g_autoptr(GError) too_little = NULL;
  g_autoptr(GError) enough = NULL;
  g_autoptr(AfrpcExit) of_refused = NULL;
  g_autoptr(AfrpcExit) of_too_little = NULL;
  g_autoptr(AfrpcExit) of_enough = NULL;
  const char *mapped;

  g_test_summary ("A worker works with the address space that it needs, and says so if it has hardly more than it begins with");
  if (g_getenv ("LD_PRELOAD") != NULL)
    {
      g_test_skip ("what is loaded besides takes its part");
      return;
    }
  of_refused = call_limited (1 << 20, &refused);
  g_assert_error (refused, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  mapped = strstr (refused->message, words);
  g_assert_nonnull (mapped);
  assert_contains (mapped, " bytes are mapped already");

  of_too_little = call_limited (g_ascii_strtoull (mapped + strlen (words), NULL, 10) + (64 << 10), &too_little);
  g_assert_nonnull (too_little);
  assert_contains (too_little->message, "address space");
  g_assert_cmpint (afrpc_exit_get_limit (of_too_little), ==, AFRPC_LIMIT_ADDRESS_SPACE);

  of_enough = call_limited (NEEDED_MIB << 20, &enough);
  g_assert_no_error (enough);
  g_assert_true (afrpc_exit_is_success (of_enough));
#endif
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/limits/address-space", test_perl_limits_address_space);

  return g_test_run ();
}
