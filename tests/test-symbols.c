/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dlfcn.h>

#include "afrpc/hosts/afrpc-symbols.h"

static const char *const functions[] = {
  "echo", "act", "count", "get_start", "act_async", "init_ok", "done_note", "run_echo", "not_a_function",
  "afrpc_info_echo", "afrpc_info_act_async",
};

static void *
open_module (const char *variable)
{
  void *handle = dlopen (g_getenv (variable), RTLD_NOW);

  if (handle == NULL)
    g_error ("%s", dlerror ());

  return handle;
}

static void
test_symbols_own (void)
{
  void *handle = open_module ("AFRPC_TEST_WORKER");
  AfrpcSymbols symbols;

  g_test_summary ("What the object defines is found where dlsym() finds it");
  g_assert_true (afrpc_symbols_init (&symbols, handle));
  g_assert_nonnull (symbols.hash);

  for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
    {
      g_assert_nonnull (dlsym (handle, functions[i]));
      g_assert_true (afrpc_symbols_find (&symbols, functions[i]) == dlsym (handle, functions[i]));
    }
}

static void
test_symbols_foreign (gconstpointer data)
{
  static const char *const names[] = { "g_variant_ref", "g_free", "malloc" };
  void *handle = open_module (data);
  AfrpcSymbols symbols;

  g_test_summary ("What the object uses, or is linked with, is not found");
  g_assert_true (afrpc_symbols_init (&symbols, handle));

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_assert_nonnull (dlsym (handle, names[i]));
      g_assert_null (afrpc_symbols_find (&symbols, names[i]));
    }
}

static void
test_symbols_none (gconstpointer data)
{
  AfrpcSymbols symbols;

  g_test_summary ("What there is not is not found, whichever way the filter and the table lead");
  g_assert_true (afrpc_symbols_init (&symbols, open_module (data)));

  g_assert_null (afrpc_symbols_find (&symbols, ""));
  for (guint i = 0; i < 20000; i++)
    {
      g_autofree char *name = g_strdup_printf ("no_such_function_%u", i);

      g_assert_null (afrpc_symbols_find (&symbols, name));
    }
}

static void
test_symbols_without_table (void)
{
  void *handle = open_module ("AFRPC_TEST_SYSV_WORKER");
  AfrpcSymbols symbols;

  g_test_summary ("An object without a table of the new kind is searched by the linker");
  g_assert_true (afrpc_symbols_init (&symbols, handle));
  g_assert_null (symbols.hash);
  g_assert_nonnull (dlsym (handle, "first"));
  g_assert_true (afrpc_symbols_find (&symbols, "first") == dlsym (handle, "first"));
}

static void
test_symbols_chosen (gconstpointer data)
{
  void *handle = open_module (data);
  AfrpcSymbols symbols;

  g_test_summary ("A function that has to be asked for its address is asked");
  g_assert_true (afrpc_symbols_init (&symbols, handle));
  g_assert_nonnull (dlsym (handle, "chosen"));
  g_assert_true (afrpc_symbols_find (&symbols, "chosen") == dlsym (handle, "chosen"));
  g_assert_true (afrpc_symbols_find (&symbols, "chosen") == dlsym (handle, "first"));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/symbols/own", test_symbols_own);
  g_test_add_data_func ("/symbols/foreign", "AFRPC_TEST_WORKER", test_symbols_foreign);
  g_test_add_data_func ("/symbols/foreign-without-table", "AFRPC_TEST_SYSV_WORKER", test_symbols_foreign);
  g_test_add_data_func ("/symbols/none", "AFRPC_TEST_WORKER", test_symbols_none);
  g_test_add_data_func ("/symbols/none-without-table", "AFRPC_TEST_SYSV_WORKER", test_symbols_none);
  g_test_add_func ("/symbols/without-table", test_symbols_without_table);
  g_test_add_data_func ("/symbols/chosen", "AFRPC_TEST_CHOICE_WORKER", test_symbols_chosen);
  g_test_add_data_func ("/symbols/chosen-without-table", "AFRPC_TEST_SYSV_WORKER", test_symbols_chosen);

  return g_test_run ();
}
