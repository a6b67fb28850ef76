/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which host program runs a module; and "afrpc host", which becomes one. */
#include "config.h"

#include "afrpc-tool.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct
{
  const char *suffix;
  const char *host;
} suffixes[] = {
  { ".so", "c" }, { ".py", "python" }, { ".js", "gjs" }, { ".mjs", "gjs" }, { ".pm", "perl" }, { ".pl", "perl" },
};

/* Other names that people have for languages. */
static const struct
{
  const char *name;
  const char *host;
} aliases[] = {
  { "js", "gjs" }, { "javascript", "gjs" }, { "py", "python" }, { "python3", "python" }, { "pl", "perl" },
};

static const char *
find_by_suffix (const char *module)
{
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (module, suffixes[i].suffix))
      return suffixes[i].host;

  return NULL;
}

static const char *
resolve_alias (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (aliases); i++)
    if (g_str_equal (name, aliases[i].name))
      return aliases[i].host;

  return name;
}

/* Returns: (nullable): the host that was asked for, or else that of the module's kind of file; NULL: nothing is known */
const char *
afrpc_tool_find_host (const AfrpcToolWorkerOptions *options)
{
  return options->host != NULL ? resolve_alias (options->host) : find_by_suffix (options->module);
}

/* Whether a module that cannot be loaded is a file of this folder, named without one. */
static gboolean
is_file_without_folder (const char *module)
{
  return strchr (module, '/') == NULL && find_by_suffix (module) != NULL && access (module, F_OK) == 0;
}

/* Reports an error of a call, and what may help. */
void
afrpc_tool_report (const AfrpcToolWorkerOptions *options,
                   const GError                 *error)
{
  afrpc_tool_message ("%s", error->message);
  if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_MODULE) && is_file_without_folder (options->module))
    afrpc_tool_message (_("To load the file in this folder, write “./%s”"), options->module);
}

/* Only returns if it is not there. */
static void
become (const char *folder, /* (nullable) */
        const char *program)
{
  g_autofree char *file = folder != NULL ? g_build_filename (folder, program, NULL) : g_strdup (program);
  const char *argv[] = { file, NULL };

  execv (file, (char **) argv);
}

/* Looks where the library looks; a program of more rights than its user does not look where that one says. */
static int
run_host (const char *name)
{
  const char *path = secure_getenv ("AFRPC_HOST_PATH");
  g_auto(GStrv) folders = g_strsplit (path != NULL ? path : "", ":", -1);
  g_autofree char *program = NULL;

  signal (SIGPIPE, SIG_DFL);
  if (strchr (name, '/') != NULL)
    become (NULL, name);
  else
    {
      program = g_strdup_printf ("afrpc-host-%s", name);
      for (char **folder = folders; *folder != NULL; folder++)
        if (**folder != '\0')
          become (*folder, program);
      become (AFRPC_LIBEXECDIR, program);
    }

  afrpc_tool_message (_("Cannot run “%s”: %s"), program != NULL ? program : name, g_strerror (errno));
  return AFRPC_TOOL_EXIT_PREPARE;
}

int
afrpc_tool_host (int    argc,
                 char **argv)
{
  g_autoptr(GOptionContext) context = afrpc_tool_option_context_new (
    _("HOST"),
    _("Is the host program of a language, on standard input and output: what a program that\n"
      "starts its workers by a command has run, such as “ssh machine afrpc host python”."));
  g_autoptr(GError) error = NULL;

  if (!g_option_context_parse (context, &argc, &argv, &error))
    return afrpc_tool_usage_error ("host", error->message);
  if (argc != 2)
    return afrpc_tool_usage_error ("host", _("HOST is needed, and nothing else"));

  return run_host (resolve_alias (argv[1]));
}
