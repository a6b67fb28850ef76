/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker that is asked for: its options, and its process. */
#include "config.h"

#include "afrpc-tool.h"

#include <fcntl.h>
#include <glib/gi18n.h>
#include <math.h>
#include <unistd.h>

#define NICE_MAX 40 /* increments, in either direction */

/* Adds the options that all commands have which start workers. */
void
afrpc_tool_worker_options_add (AfrpcToolWorkerOptions *options,
                               AfrpcToolOptions       *parser)
{
  const GOptionEntry entries[] = {
    { "host", 0, 0, G_OPTION_ARG_STRING, &options->host,
      N_("Language of the module (default: by its suffix, or c)"), N_("HOST") },
    { "require", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->require,
      N_("Load this module as well, before MODULE (repeatable)"), N_("MODULE") },
    { "async", 0, 0, G_OPTION_ARG_NONE, &options->async, N_("The function is of the async backend"), NULL },
    { "init", 0, 0, G_OPTION_ARG_STRING, &options->init,
      N_("Call this function first in each worker"), N_("FUNCTION") },
    { "init-arg", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->init_words,
      N_("An argument for that function (repeatable)"), N_("ARG") },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->seconds, N_("Time limit of one call"), N_("SECONDS") },
    { "address-space", 0, 0, G_OPTION_ARG_INT64, &options->limits[AFRPC_LIMIT_ADDRESS_SPACE],
      N_("Limit of a worker's memory, with all that it maps"), N_("BYTES") },
    { "cpu-time", 0, 0, G_OPTION_ARG_INT64, &options->limits[AFRPC_LIMIT_CPU],
      N_("Limit of a worker's processor time"), N_("SECONDS") },
    { "open-files", 0, 0, G_OPTION_ARG_INT64, &options->limits[AFRPC_LIMIT_FILES],
      N_("Limit of the files that a worker has open"), N_("N") },
    { "file-size", 0, 0, G_OPTION_ARG_INT64, &options->limits[AFRPC_LIMIT_FILE_SIZE],
      N_("Limit of the size of files that a worker writes"), N_("BYTES") },
    { "nice", 0, 0, G_OPTION_ARG_INT, &options->nice, N_("Add this to the nice level of workers"), N_("N") },
    G_OPTION_ENTRY_NULL
  };

  afrpc_tool_options_add (parser, entries);
}

/* Seconds as the library's milliseconds; 0 is no limit. */
gboolean
afrpc_tool_parse_seconds (double    seconds,
                          guint    *milliseconds,
                          GError  **error)
{
  if (!isfinite (seconds) || seconds < 0 || seconds > G_MAXINT / 1000)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   _("The time limit has to be between 0 and %d seconds"), G_MAXINT / 1000);
      return FALSE;
    }

  /* Less than a millisecond is still a limit. */
  *milliseconds = (guint) ceil (seconds * 1000);

  return TRUE;
}

static gboolean
check_module (const char  *module,
              GError     **error)
{
  g_autofree char *shown = g_utf8_make_valid (module, -1);

  if (g_utf8_validate (module, -1, NULL))
    return TRUE;

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The name of the module “%s” is not UTF-8"), shown);
  return FALSE;
}

/* @module: a word of the command line, which may be any file */
gboolean
afrpc_tool_worker_options_take_module (AfrpcToolWorkerOptions  *options,
                                       const char              *module,
                                       GError                 **error)
{
  if (!check_module (module, error))
    return FALSE;

  options->module = g_strdup (module);
  return TRUE;
}

/* Looks at what has been given. */
gboolean
afrpc_tool_worker_options_check (AfrpcToolWorkerOptions  *options,
                                 GError                 **error)
{
  options->backend = options->async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC;
  if (options->init_words != NULL && options->init == NULL)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“--init-arg” needs “--init”"));
      return FALSE;
    }
  options->init_args = afrpc_tool_parse_words (options->init_words, AFRPC_TOOL_WORDS_VALUES, error);
  if (options->init_args == NULL)
    return FALSE;

  for (gsize i = 0; options->require != NULL && options->require[i] != NULL; i++)
    if (!check_module (options->require[i], error))
      return FALSE;

  for (guint i = AFRPC_LIMIT_NONE; i <= AFRPC_LIMIT_FILE_SIZE; i++)
    if (options->limits[i] < 0)
      {
        g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("A limit cannot be below 0"));
        return FALSE;
      }
  if (options->nice < -NICE_MAX || options->nice > NICE_MAX)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   _("A nice level changes by %d at most"), NICE_MAX);
      return FALSE;
    }

  return afrpc_tool_parse_seconds (options->seconds, &options->timeout_ms, error);
}

void
afrpc_tool_worker_options_clear (AfrpcToolWorkerOptions *options)
{
  g_clear_pointer (&options->host, g_free);
  g_clear_pointer (&options->require, g_strfreev);
  g_clear_pointer (&options->module, g_free);
  g_clear_pointer (&options->function, g_free);
  g_clear_pointer (&options->init, g_free);
  g_clear_pointer (&options->init_words, g_strfreev);
  g_clear_pointer (&options->init_args, g_ptr_array_unref);
  g_clear_pointer (&options->machines, g_ptr_array_unref);
  g_clear_pointer (&options->ssh_options, g_strfreev);
}

/* Has standard output lead to standard error, as it does for workers that are forked from others. Returns: where it led to
 * before; if that cannot be kept, or is nowhere, it stays as it was */
int
afrpc_tool_steal_stdout (void)
{
  const int fd = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int nowhere;

  if (fd < 0)
    return STDOUT_FILENO;

  if (dup2 (STDERR_FILENO, STDOUT_FILENO) < 0)
    {
      nowhere = open ("/dev/null", O_WRONLY | O_CLOEXEC);
      if (nowhere >= 0)
        {
          dup2 (nowhere, STDOUT_FILENO);
          close (nowhere);
        }
    }

  return fd;
}

static void
lead_stdout_to_stderr (AfrpcProcess *process)
{
  const int fd = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

  if (fd >= 0)
    afrpc_process_take_stdout_fd (process, fd);
  else
    afrpc_process_set_stdout (process, AFRPC_STDIO_SILENCE);
}

/* It must not read the command's input; what it prints goes to standard error, because standard output holds results and
 * nothing else. */
static AfrpcProcess *
new_here (const AfrpcToolWorkerOptions *options,
          gboolean                      stdout_is_stolen)
{
  AfrpcProcess *process = afrpc_process_new_exec (afrpc_tool_find_host (options));

  afrpc_process_set_stdin (process, AFRPC_STDIO_SILENCE);
  if (!stdout_is_stolen)
    lead_stdout_to_stderr (process);

  return process;
}

/* Its standard input and output are the connection; what it prints there goes to standard error. */
static AfrpcProcess *
new_there (const AfrpcToolWorkerOptions *options,
           const AfrpcToolMachine       *machine)
{
  AfrpcProcess *process = afrpc_process_new_ssh (machine->destination, afrpc_tool_find_host (options),
                                                 (const char *const *) options->ssh_options);

  afrpc_process_set_send_modules (process, options->send);

  return process;
}

/* A process with its modules. @machine: (nullable): NULL: here. @stdout_is_stolen: the command's own leads to standard error,
 * and the process has that: what is forked from one that was given another would not have it. */
AfrpcProcess *
afrpc_tool_process_new (const AfrpcToolWorkerOptions *options,
                        const AfrpcToolMachine       *machine,
                        gboolean                      stdout_is_stolen)
{
  g_autoptr(AfrpcProcess) process = machine != NULL && machine->destination != NULL ? new_there (options, machine)
                                                                                  : new_here (options, stdout_is_stolen);

  for (guint i = AFRPC_LIMIT_NONE + 1; i <= AFRPC_LIMIT_FILE_SIZE; i++)
    if (options->limits[i] > 0)
      afrpc_process_set_limit (process, (AfrpcLimit) i, options->limits[i]);
  if (options->nice != 0)
    afrpc_process_set_nice (process, options->nice);

  for (gsize i = 0; options->require != NULL && options->require[i] != NULL; i++)
    afrpc_process_require (process, options->require[i]);
  afrpc_process_require (process, options->module);
  for (guint i = 0; i < options->init_args->len; i++)
    afrpc_process_send_arg (process, options->init_args->pdata[i]);

  return g_steal_pointer (&process);
}
