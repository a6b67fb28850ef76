/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What calls leave in a worker in Perl, which neither a sanitizer nor Perl itself notices: nothing. */
#include "perl-util.h"

#include <stdio.h>

#define N_ROUNDS 2000
#define PAGES_MAX 4 /* with 24 bytes of Perl's own for a value, one that is left in each round takes 11 */

static const char *const calls[] = {
  "('echo', 'x', b'oct', 1, -5, uint64 18446744073709551615, byte 0x07, 2.5, true, 'ä', objectpath '/a')",
  "('echo', @ms nothing, @ms 'just', <'v'>, [1, 2], ['a'], (1, 'x'), [byte 1, 0], {'a': <1>, 'b': <[b'x']>})",
  "('echo', [<{'k': <[@mi nothing]>}>])",
  "('object',)",
  "('tied',)",
  "('utf8-key',)",
  "('upgraded',)",
  "('name',)",
  "('die', 'with ', 'words')",
  "('die-wide',)",
  "('die-object',)",
  "('mute-object',)",
  "('plain-object',)",
  "('trap',)",
  "('tied-trap',)",
  "('wide-key',)",
  "('nested', 61, 'array')",
  "('unknown',)",
};

/* Those of a process' data. */
static int
count_pages (int pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/statm", pid);
  g_autofree char *text = NULL;
  int n_pages;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%*d %*d %*d %*d %*d %d", &n_pages), ==, 1);

  return n_pages;
}

static void
call (AfrpcProxy *proxy,
      GVariant   *args,
      guint       n_rounds)
{
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), args, NULL, &error);

      g_assert_true (result != NULL || g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_REMOTE) ||
                     g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_FAILED));
    }
}

static void
test_perl_memory (gconstpointer data)
{
  g_auto(Watched) watched = { 0 };
  guint n_bad = 0;

  g_test_summary ("Calls of a function in Perl leave nothing in the worker");
  watch_jobs (&watched, GPOINTER_TO_UINT (data));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr(GVariant) args = parse (calls[i]);
      int n_pages;

      call (watched.proxy, args, N_ROUNDS / 10);
      n_pages = count_pages (afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy)));
      call (watched.proxy, args, N_ROUNDS);
      n_pages = count_pages (afrpc_process_get_pid (afrpc_proxy_get_process (watched.proxy))) - n_pages;
      g_test_message ("%d pages after %s", n_pages, calls[i]);
      if (n_pages > PAGES_MAX)
        n_bad++;
    }
  g_assert_cmpuint (n_bad, ==, 0);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/perl/memory/sync", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_perl_memory);
  g_test_add_data_func ("/perl/memory/async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_perl_memory);

  return g_test_run ();
}
