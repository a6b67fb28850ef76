/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-ssh.h"

#include <string.h>

#include "afrpc-error.h"

#define STATUS_USAGE 2       /* of afrpc: it does not know what it is asked for */
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND 127
#define STATUS_OF_SSH 255    /* its own */

/* What csh says instead of STATUS_NOT_FOUND. */
#define CSH_NOT_FOUND "afrpc: Command not found."

/* It replaces the shell, whichever that is. Whatever else there is to say does not pass the shell: see
 * wire/afrpc-overture.h. */
#define REMOTE_COMMAND "exec afrpc host --receive"

/* A network that is dead shows after at most (count + 1) * interval = 15 s: that is documented. What the user's
 * configuration would do to a connection that only carries bytes is put out of its way; shared connections, which it may
 * ask for (ControlMaster), are used. */
static const char *const settings[] = {
  "-T", "-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=5", "-oServerAliveCountMax=2",
  "-oClearAllForwardings=yes", "-oRemoteCommand=none",
};

/* @options: (nullable): of the program: the first of several is what counts. Returns: (transfer full) */
char **
afrpc_ssh_new_argv (const char        *destination,
                    const char *const *options)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new ();

  g_ptr_array_add (argv, g_strdup ("ssh"));
  for (; options != NULL && *options != NULL; options++)
    g_ptr_array_add (argv, g_strdup (*options));
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    g_ptr_array_add (argv, g_strdup (settings[i]));
  g_ptr_array_add (argv, g_strdup ("--"));
  g_ptr_array_add (argv, g_strdup (destination));
  g_ptr_array_add (argv, g_strdup (REMOTE_COMMAND));
  g_ptr_array_add (argv, NULL);

  return (char **) g_ptr_array_steal (argv, NULL);
}

/* What there is to do about it. ssh has not said it to a program, but to people, in English. */
static const struct
{
  const char *words;
  const char *advice;
} advices[] = {
  { "IDENTIFICATION HAS CHANGED", "its key is another one than before: find out why, and correct known_hosts" },
  { "Host key verification failed", "its key is not known here: log in there once with ssh and accept it, or add it to "
                                    "known_hosts" },
  { "Permission denied", "it takes no login without being asked for a password: have it accept a key, see ssh-copy-id(1)" },
  { "Too many authentication failures", "it takes no login: say in ssh_config(5) which key is for it" },
  { "Could not resolve hostname", "check the name, see ssh_config(5)" },
  { "Connection refused", "check that it is up, and that sshd runs there, on that port" },
  { "No route to host", "check that it is up, and the network" },
  { "timed out", "check that it is up, and the network" },
  { "kex_exchange_identification", "it may have too many logins at once: see MaxStartups in sshd_config(5)" },
};

static const char *
find_advice (const char *words)
{
  for (guint i = 0; i < G_N_ELEMENTS (advices); i++)
    if (strstr (words, advices[i].words) != NULL)
      return advices[i].advice;

  return "check that 'ssh' gets there, without being asked for anything";
}

/* Nobody has answered at the other end. @text: how it ended, with the last of what it said. Returns: (transfer full) */
GError *
afrpc_ssh_new_error (const char      *destination,
                     const AfrpcExit *exit,
                     const char      *text)
{
  const gsize length = strlen (text);
  g_autofree char *words = g_strndup (text, length > 0 && text[length - 1] == '.' ? length - 1 : length);
  const gboolean is_of_csh = strstr (afrpc_exit_get_stderr (exit), CSH_NOT_FOUND) != NULL;

  switch (is_of_csh ? STATUS_NOT_FOUND : afrpc_exit_get_status (exit))
    {
    case STATUS_OF_SSH:
      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE, "cannot reach '%s': %s; %s", destination, words,
                          find_advice (afrpc_exit_get_stderr (exit)));

    case STATUS_CANNOT_RUN:
    case STATUS_NOT_FOUND:
      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NO_HOST,
                          "there is no command 'afrpc' on '%s': %s; install afrpc %s there, in the PATH of commands that ssh runs",
                          destination, words, PACKAGE_VERSION);

    case STATUS_USAGE:
      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_VERSION,
                          "the command 'afrpc' on '%s' is of another version: %s; install afrpc %s there", destination, words,
                          PACKAGE_VERSION);

    default:
      if (strstr (afrpc_exit_get_stderr (exit), "afrpc: ") != NULL)
        return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST, "before it said that it is a host, on '%s': %s", destination,
                            words);
      return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_A_HOST,
                          "before it said that it is a host, on '%s': %s; see what 'ssh %s afrpc --version' says", destination,
                          words, destination);
    }
}
