/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where the examples find their worker modules. */
#pragma once

#include <glib.h>

/* The first argument, or the module of that name in the directory of the program. */
static inline char *
example_module (int         argc,
                char      **argv,
                const char *name)
{
  g_autofree char *program = NULL;
  g_autofree char *directory = NULL;

  if (argc > 1)
    return g_strdup (argv[1]);

  program = g_file_read_link ("/proc/self/exe", NULL);
  directory = g_path_get_dirname (program != NULL ? program : argv[0]);

  return g_build_filename (directory, name, NULL);
}
