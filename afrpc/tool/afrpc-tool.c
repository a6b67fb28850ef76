/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The afrpc command: finds the subcommand and runs it. */
#include "config.h"

#include "afrpc-tool.h"

#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  const char *name;
  int (*run) (int    argc,
              char **argv);
} Subcommand;

static int
run_serve (int    argc,
           char **argv)
{
  return afrpc_tool_become_nats ("serve", argc, argv);
}

static const Subcommand subcommands[] = {
  { "call", afrpc_tool_call },
  { "host", afrpc_tool_host },
  { "map", afrpc_tool_map },
  { "serve", run_serve },
};

static const Subcommand *
find_subcommand (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (subcommands); i++)
    if (g_str_equal (subcommands[i].name, name))
      return &subcommands[i];

  return NULL;
}

/* A program started without standard streams would get a socket of a worker as one of them, and
 * print its results there. Opened the wrong way round, reading and writing still fail. */
static void
fill_standard_streams (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) == -1)
      (void) !open ("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int
run_subcommand (const Subcommand  *subcommand,
                int                argc,
                char             **argv)
{
  g_autofree char *prgname = g_strdup_printf ("afrpc %s", subcommand->name);

  g_set_prgname (prgname);
  argv[0] = prgname;

  if (subcommand->run == afrpc_tool_call && afrpc_tool_is_for_nats (argc, argv))
    return afrpc_tool_become_nats (subcommand->name, argc, argv);

  return subcommand->run (argc, argv);
}

static int
report_no_such_command (const char *name)
{
  g_autofree char *printable = afrpc_tool_printable (name, strlen (name), "");
  g_autofree char *message = g_strdup_printf (_("There is no command “%s”"), printable);

  return afrpc_tool_usage_error (NULL, message);
}

/* "afrpc help call" is "afrpc call --help". */
static int
run_help (GOptionContext *context,
          int             n_names,
          char          **names)
{
  const char *name = n_names > 0 ? names[0] : NULL;
  const Subcommand *subcommand = name != NULL ? find_subcommand (name) : NULL;
  char option[] = "--help";
  char *argv[] = { NULL, option, NULL };
  g_autofree char *help = NULL;

  if (n_names > 1)
    return afrpc_tool_usage_error (NULL, _("“help” describes one command at a time"));
  if (subcommand != NULL)
    return run_subcommand (subcommand, 2, argv);
  if (name != NULL && !g_str_equal (name, "help") && !g_str_equal (name, "--help"))
    return report_no_such_command (name);

  help = g_option_context_get_help (context, TRUE, NULL);
  g_print ("%s", help);

  return AFRPC_TOOL_EXIT_OK;
}

static void
init_locale (void)
{
  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, AFRPC_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  afrpc_tool_init_printing ();
}

int
main (int    argc,
      char **argv)
{
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, N_("Print the version and exit"), NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = NULL;
  g_autoptr(GError) error = NULL;
  const Subcommand *subcommand;

  fill_standard_streams ();
  init_locale ();
  g_set_prgname ("afrpc");
  /* A closed pipe shows as an error of write(), after which the workers are ended in order. */
  signal (SIGPIPE, SIG_IGN);

  context = afrpc_tool_option_context_new (
    _("COMMAND [ARGUMENT…]"),
    _("Calls functions in worker processes.\n"
      "\n"
      "Commands:\n"
      "  call       Call a function once and print its result\n"
      "  map        Call a function for each line of the input, in several workers\n"
      "  host       Run the host program of a language on standard input and output\n"
      "  serve      Serve a subject of NATS with a function, in several workers\n"
      "  help       Describe a command\n"
      "\n"
      "“afrpc COMMAND --help” lists the options of a command."));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_strict_posix (context, TRUE);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return afrpc_tool_usage_error (NULL, error->message);

  if (version)
    {
      g_print ("afrpc %s\n", PACKAGE_VERSION);
      return AFRPC_TOOL_EXIT_OK;
    }
  if (argc < 2)
    return afrpc_tool_usage_error (NULL, _("A command is missing"));

  if (g_str_equal (argv[1], "help"))
    return run_help (context, argc - 2, argv + 2);

  subcommand = find_subcommand (argv[1]);
  if (subcommand == NULL)
    return report_no_such_command (argv[1]);

  return run_subcommand (subcommand, argc - 1, argv + 1);
}
