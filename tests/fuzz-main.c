/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-main.h"

#include <string.h>

/* Cut off after each byte, and with each bit turned over. */
static void
run_damaged (guint8 *data,
             gsize   size)
{
  for (gsize i = 0; i < size; i++)
    {
      const guint8 saved = data[i];

      LLVMFuzzerTestOneInput (data, i);
      for (guint bit = 0; bit < 8; bit++)
        {
          data[i] = saved ^ 1 << bit;
          LLVMFuzzerTestOneInput (data, size);
        }
      data[i] = saved;
    }
}

static guint
run_path (const char *path,
          gboolean    damage)
{
  g_autoptr(GDir) folder = g_dir_open (path, 0, NULL);
  g_autofree char *data = NULL;
  g_autoptr(GError) error = NULL;
  const char *name;
  gsize size;
  guint n_run = 0;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *inside = g_build_filename (path, name, NULL);

      n_run += run_path (inside, damage);
    }
  if (folder != NULL)
    return n_run;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  LLVMFuzzerTestOneInput ((const guint8 *) data, size);
  if (damage)
    run_damaged ((guint8 *) data, size);

  return 1;
}

/* With --damage as the first argument, it runs over what the files are like when they are damaged, too. */
int
main (int    argc,
      char **argv)
{
  const gboolean damage = argc > 1 && strcmp (argv[1], "--damage") == 0;
  guint n_run = 0;

  for (int i = damage ? 2 : 1; i < argc; i++)
    n_run += run_path (argv[i], damage);
  g_print ("%u files\n", n_run);

  return n_run > 0 ? 0 : 1;
}
