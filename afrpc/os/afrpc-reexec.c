/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-reexec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUPERVISED_ENV "AFRPC_SUPERVISED" /* four file descriptors and a number */
#define PROGRAM "/proc/self/exe"
#define ARGUMENTS "/proc/self/cmdline"

#define EXIT_FAILURE_EXEC 127

struct _AfrpcAgain
{
  char *arguments; /* each ends with NUL */
  char **argv;     /* points into them */
  char **envp;
};

/* Collects before the fork what is needed after it, when nothing can be allocated. Returns: (nullable) */
AfrpcReexec *
afrpc_reexec_new (const AfrpcSupervised *what)
{
  g_autofree char *value = g_strdup_printf ("%d %d %d %d %" G_GUINT64_FORMAT, what->in_fd, what->out_fd,
                                            what->lifeline_fd, what->control_fd, what->goodbye_serial);
  g_autoptr(GPtrArray) argv = g_ptr_array_new ();
  AfrpcReexec *self;
  char *arguments;
  gsize size;

  if (!g_file_get_contents (ARGUMENTS, &arguments, &size, NULL))
    return NULL;

  for (gsize i = 0; i < size; i += strlen (arguments + i) + 1)
    g_ptr_array_add (argv, arguments + i);
  g_ptr_array_add (argv, NULL);

  self = g_new0 (AfrpcReexec, 1);
  self->arguments = arguments;
  self->argv = (char **) g_ptr_array_steal (argv, NULL);
  self->envp = g_environ_setenv (g_get_environ (), SUPERVISED_ENV, value, TRUE);

  return self;
}

/* In the child. */
void
afrpc_reexec_exec (AfrpcReexec           *self,
                   const AfrpcSupervised *what)
{
  fcntl (what->in_fd, F_SETFD, 0);
  fcntl (what->out_fd, F_SETFD, 0);
  fcntl (what->lifeline_fd, F_SETFD, 0);
  fcntl (what->control_fd, F_SETFD, 0);
  execve (PROGRAM, self->argv, self->envp);
  _exit (EXIT_FAILURE_EXEC);
}

void
afrpc_reexec_free (AfrpcReexec *self)
{
  g_free (self->arguments);
  g_free (self->argv);
  g_strfreev (self->envp);
  g_free (self);
}

/* Whether this is the program that was executed again: then what for. */
gboolean
afrpc_reexec_take (AfrpcSupervised *what)
{
  const char *value = g_getenv (SUPERVISED_ENV);

  if (value == NULL ||
      sscanf (value, "%d %d %d %d %" G_GUINT64_FORMAT, &what->in_fd, &what->out_fd, &what->lifeline_fd,
              &what->control_fd, &what->goodbye_serial) != 5)
    return FALSE;

  g_unsetenv (SUPERVISED_ENV);

  return fcntl (what->in_fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl (what->out_fd, F_SETFD, FD_CLOEXEC) == 0 &&
         fcntl (what->lifeline_fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl (what->control_fd, F_SETFD, FD_CLOEXEC) == 0;
}
