/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which host program runs a module; and "afrpc host", which becomes one. */
#include "config.h"

#include "afrpc-tool-receive.h"

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

/* Returns: (nullable): the folder of AFRPC_MODULE_PATH that has the file which was named as if it were in this one. Modules of
 * Perl are looked for elsewhere. */
static char *
find_in_module_path (const char *module,
                     const char *suffix)
{
  const char *path = secure_getenv ("AFRPC_MODULE_PATH");
  g_auto(GStrv) folders = g_strsplit (path != NULL ? path : "", ":", -1);

  if (!g_strv_contains ((const char *const[]) { ".so", ".py", ".js", NULL }, suffix))
    return NULL;
  for (char **folder = folders; *folder != NULL; folder++)
    {
      g_autofree char *file = g_build_filename (*folder, module, NULL);

      if (**folder != '\0' && access (file, F_OK) == 0)
        return g_strdup (*folder);
    }

  return NULL;
}

/* What may help if a module cannot be loaded that was named as a file, without a folder. */
static void
advise (const char *module)
{
  const char *suffix = strrchr (module, '.');
  g_autofree char *folder = NULL;

  if (strchr (module, '/') != NULL || find_by_suffix (module) == NULL)
    return;

  folder = find_in_module_path (module, suffix);
  if (access (module, F_OK) == 0)
    afrpc_tool_message (_("To load the file in this folder, write “./%s”"), module);
  else if (folder != NULL)
    afrpc_tool_message (_("To load the file in “%s”, write “%.*s”"), folder, (int) (suffix - module), module);
}

/* Reports an error of a call, and what may help. */
void
afrpc_tool_report (const AfrpcToolWorkerOptions *options,
                   const GError                 *error)
{
  g_autofree char *message = afrpc_error_dup_message (error);

  afrpc_tool_message ("%s", message);
  if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_MODULE))
    advise (options->module);
}

/* Looks where the library looks; a program of more rights than its user does not look where that one says. Returns:
 * (transfer full): the host program, which may turn out not to be there */
static char *
find_program (const char *name)
{
  const char *path = secure_getenv ("AFRPC_HOST_PATH");
  g_auto(GStrv) folders = g_strsplit (path != NULL ? path : "", ":", -1);
  g_autofree char *file = NULL;

  if (strchr (name, '/') != NULL)
    return g_strdup (name);

  file = g_strdup_printf ("afrpc-host-%s", name);
  for (char **folder = folders; *folder != NULL; folder++)
    {
      g_autofree char *program = g_build_filename (*folder, file, NULL);

      if (**folder != '\0' && access (program, X_OK) == 0)
        return g_steal_pointer (&program);
    }

  return g_build_filename (AFRPC_LIBEXECDIR, file, NULL);
}

/* As the library does, which says which hosts there are where one is wanted that there is not. */
static void
set_no_host (const char  *name,
             GError     **error)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (name);
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "none");
  g_autoptr(GVariant) value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, error);

  if (value != NULL)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST, _("Cannot run “%s”: %s"), name, g_strerror (ENOENT));
}

static gboolean
check_program (const char  *name,
               const char  *program,
               GError     **error)
{
  /* A folder may be entered, which is the same permission. */
  if (g_file_test (program, G_FILE_TEST_IS_DIR))
    errno = EISDIR;
  else if (access (program, X_OK) == 0)
    return TRUE;

  if (errno == ENOENT && *name != '\0' && strchr (name, '/') == NULL && g_utf8_validate (name, -1, NULL))
    {
      set_no_host (name, error);
      return FALSE;
    }
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST, _("Cannot run “%s”: %s"), program, g_strerror (errno));
  return FALSE;
}

/* Becomes the host @name, or what the program wants that is at the other end. Only returns if it cannot. */
static void
become (const char  *name, /* (nullable) */
        GError     **error)
{
  g_autofree char *wanted = name == NULL ? afrpc_tool_receive (error) : g_strdup (name);
  const char *host = wanted != NULL ? resolve_alias (wanted) : NULL;
  g_autofree char *program = host != NULL ? find_program (host) : NULL;
  const char *argv[] = { program, NULL };

  /* After the answer come calls: they are not for who is not there. */
  if (program == NULL || !check_program (host, program, error) || (name == NULL && !afrpc_tool_answer (error)))
    return;

  signal (SIGPIPE, SIG_DFL);
  execv (program, (char **) argv);
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST, _("Cannot run “%s”: %s"), program, g_strerror (errno));
}

int
afrpc_tool_host (int    argc,
                 char **argv)
{
  gboolean receive = FALSE;
  const GOptionEntry entries[] = {
    { "receive", 0, 0, G_OPTION_ARG_NONE, &receive,
      N_("Be told by the program, on standard input, which host to be, and where"), NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = afrpc_tool_option_context_new (
    _("HOST"),
    _("Is the host program of a language, on standard input and output: what a program that\n"
      "starts its workers by a command has run, such as “bwrap … afrpc host python”."));
  g_autoptr(GError) error = NULL;

  g_option_context_set_description (
    context,
    _("Exit status:\n"
      "  0    everything went well\n"
      "  1    the worker could not be prepared, or the program broke the protocol\n"
      "  2    wrong usage, or there is nobody to serve\n"
      "  3    the host program could not be run\n"
      "or what the worker ends with; by a signal: 128 and its number\n"));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return afrpc_tool_usage_error ("host", error->message);
  if (argc != (receive ? 1 : 2))
    return afrpc_tool_usage_error ("host", _("Either HOST or “--receive” is needed, and nothing else"));

  become (receive ? NULL : argv[1], &error);
  afrpc_tool_message ("%s", error->message);

  return AFRPC_TOOL_EXIT_PREPARE;
}
