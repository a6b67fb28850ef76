/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is in a program of its own, because it loads what the others need not have. */
#include "config.h"

#include "afrpc-tool.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "afrpc-nats"

/* Returns: (transfer full): beside this one, where it was built, or where it is installed */
static char *
find_program (void)
{
  g_autofree char *own = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = own != NULL ? g_path_get_dirname (own) : g_strdup (".");
  g_autofree char *path = g_build_filename (folder, PROGRAM, NULL);

  if (own != NULL && access (path, X_OK) == 0)
    return g_steal_pointer (&path);

  return g_build_filename (AFRPC_LIBEXECDIR, PROGRAM, NULL);
}

/* Whether "afrpc call" is meant to call over NATS. */
gboolean
afrpc_tool_is_for_nats (int    argc,
                        char **argv)
{
  for (int i = 1; i < argc && !g_str_equal (argv[i], "--"); i++)
    for (gsize j = 0; j < 2; j++)
      {
        const char *option = j == 0 ? "--nats" : "--subject";

        if (g_str_has_prefix (argv[i], option) && strchr ("=", argv[i][strlen (option)]) != NULL)
          return TRUE;
      }

  return FALSE;
}

/* Becomes that program, with the subcommand @name. Returns: the exit status if there is none. */
int
afrpc_tool_become_nats (const char  *name,
                        int          argc,
                        char       **argv)
{
  g_autofree char *program = find_program ();
  g_autoptr(GPtrArray) words = g_ptr_array_new ();

  g_ptr_array_add (words, (gpointer) program);
  g_ptr_array_add (words, (gpointer) name);
  for (int i = 1; i < argc; i++)
    g_ptr_array_add (words, argv[i]);
  g_ptr_array_add (words, NULL);
  execv (program, (char **) words->pdata);
  if (errno == ENOENT)
    afrpc_tool_message (_("“afrpc %s” over NATS is not installed: there is no %s"), name, program);
  else
    afrpc_tool_message ("%s: %s", program, g_strerror (errno));

  return AFRPC_TOOL_EXIT_USAGE;
}
