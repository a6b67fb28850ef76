/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Libraries in a program that is linked with none of them, as plugins have them. The arguments are their files, each behind
 * those that it needs. */
#include <dlfcn.h>
#include <glib.h>

static void
test_unload (gconstpointer file)
{
  void *handle;

  g_test_summary ("A library stays that was closed: its types do, and what main contexts call");
  g_assert_null (dlopen (file, RTLD_NOW | RTLD_NOLOAD));
  handle = dlopen (file, RTLD_NOW);
  if (handle == NULL)
    g_error ("%s", dlerror ());
  g_assert_cmpint (dlclose (handle), ==, 0);
  handle = dlopen (file, RTLD_NOW | RTLD_NOLOAD);
  g_assert_nonnull (handle);
  dlclose (handle);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  for (int i = 1; i < argc; i++)
    {
      g_autofree char *name = g_path_get_basename (argv[i]);
      g_autofree char *path = g_strdup_printf ("/unload/%s", name);

      g_test_add_data_func (path, argv[i], test_unload);
    }

  return g_test_run ();
}
