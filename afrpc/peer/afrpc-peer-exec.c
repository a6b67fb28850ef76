/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process is executed: a host, or a command. */
#include "config.h"

#include "peer/afrpc-peer-birth.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-fd-error.h"
#include "os/afrpc-lifeline.h"
#include "os/afrpc-low-fd.h"
#include "peer/afrpc-self-private.h"
#include "peer/afrpc-peer.h"

/* What may be under way in one direction. With the usual default a large message takes a wake-up of either side for
 * each fifth of a MiB. The system cuts it to net.core.wmem_max, and doubles that; see socket(7). */
#define SEND_BUFFER_SIZE (1 << 20) /* bytes */

#define HOST_PREFIX "afrpc-host-"

/* Adds the names of the languages that have a host in @dir; not of what lies beside one, such as a copy of it. */
static void
list_hosts (const char *dir,
            GPtrArray  *names) /* (element-type utf8) */
{
  g_autoptr(GDir) there = g_dir_open (dir, 0, NULL);
  const char *entry;

  while (there != NULL && (entry = g_dir_read_name (there)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, entry, NULL);

      if (g_str_has_prefix (entry, HOST_PREFIX) && strchr (entry, '.') == NULL && g_utf8_validate (entry, -1, NULL) &&
          g_file_test (path, G_FILE_TEST_IS_EXECUTABLE) && !g_file_test (path, G_FILE_TEST_IS_DIR) &&
          !g_ptr_array_find_with_equal_func (names, entry + strlen (HOST_PREFIX), g_str_equal, NULL))
        g_ptr_array_add (names, g_strdup (entry + strlen (HOST_PREFIX)));
    }
}

static int
compare_names (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Who has another name in mind for a language is told those that there are. */
static void
set_no_host (GError            **error,
             const char         *host,
             const char *const  *dirs)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *list = NULL;

  for (; *dirs != NULL; dirs++)
    if (**dirs != '\0')
      list_hosts (*dirs, names);
  list_hosts (AFRPC_LIBEXECDIR, names);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  list = g_strjoinv (", ", (char **) names->pdata);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST,
               "there is no host for '%s': no '" HOST_PREFIX "%s' in AFRPC_HOST_PATH or " AFRPC_LIBEXECDIR "%s%s",
               host, host, *list != '\0' ? "; there are hosts for: " : "", list);
}

/* Returns: (nullable): the program that hosts @host, a path or the name of a language. */
static char *
find_host (const char  *host, /* (nullable) */
           GError     **error)
{
  const char *const *dirs;
  g_auto(GStrv) list = NULL;
  g_autofree char *name = NULL;
  g_autofree char *path = NULL;
  /* Whoever can have a program run with the rights of another does not choose what that executes. */
  const char *env = secure_getenv ("AFRPC_HOST_PATH");

  if (host == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST,
                   "a process that was handed over cannot be forked, and has not said which host it is of");
      return NULL;
    }
  if (strchr (host, '/') != NULL)
    return g_strdup (host);
  if (g_str_equal (host, AFRPC_SELF_HOST))
    {
      if (afrpc_self_is_ready () && getauxval (AT_SECURE) == 0)
        return g_strdup ("/proc/self/exe"); /* also if its file has been renamed or deleted */
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   afrpc_self_is_ready ()
                     ? "a program with the rights of another is not executed to be its own worker, but only forked"
                     : "the program cannot be its own worker: it has not called afrpc_init_early ()");
      return NULL;
    }

  name = g_strconcat (HOST_PREFIX, host, NULL);
  list = g_strsplit (env != NULL ? env : "", ":", -1);
  for (dirs = (const char *const *) list; *dirs != NULL; dirs++)
    {
      if (**dirs == '\0')
        continue;
      path = g_build_filename (*dirs, name, NULL);
      if (g_file_test (path, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer (&path);
      g_clear_pointer (&path, g_free);
    }

  path = g_build_filename (AFRPC_LIBEXECDIR, name, NULL);
  if (g_file_test (path, G_FILE_TEST_IS_EXECUTABLE))
    return g_steal_pointer (&path);

  set_no_host (error, host, (const char *const *) list);
  return NULL;
}

/* @doing: what errno is about */
static gboolean
set_system_error (AfrpcPeer   *peer,
                  GError     **error,
                  const char  *doing)
{
  g_autofree char *reason = afrpc_fd_error_describe (errno);
  g_autofree char *name = peer->birth.argv == NULL ? afrpc_birth_describe (&peer->birth) :
                                                     g_strdup_printf ("'%s'", peer->birth.argv[0]);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot start %s: %s: %s", name, doing, reason);

  return FALSE;
}

/* What is kept of standard error comes by a pipe. Returns: the end to write to, or -1 and errno */
static int
open_pipe (AfrpcPeer  *peer,
           AfrpcStdio  mode)
{
  AfrpcStderr *standard_error = &peer->body.standard_error;
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC) != 0 || afrpc_low_fd_lift_pair (fds) != 0)
    return -1;

  fcntl (fds[0], F_SETFL, O_NONBLOCK);
  afrpc_stderr_clear (standard_error);
  standard_error->fd = fds[0];
  standard_error->pass_on = mode == AFRPC_STDIO_TEE;
  standard_error->keeps_lines = mode == AFRPC_STDIO_LOG;

  return fds[1];
}

/* Opens what becomes 0, 1, 2 of the new process; -1: it is there already, as it has those of the program's that @shared
 * says: bit 0: standard input, and so on. What has to be closed afterwards goes to @closing. A command has its connection
 * at 0 and 1. */
gboolean
afrpc_birth_open_stdio (AfrpcPeer   *peer,
                        guint8       shared,
                        int         *stdio,
                        GArray      *closing,
                        GError     **error)
{
  static const char *const names[] = { "standard input", "standard output", "standard error" };

  for (int i = peer->birth.argv != NULL ? STDERR_FILENO : 0; i < 3; i++)
    {
      const int own_fd = peer->birth.fds[i];
      const AfrpcStdio mode = peer->birth.stdio[i];
      /* What is closed, or is something else of the program's by now, nobody inherits. */
      const gboolean is_inherited = own_fd < 0 && mode == AFRPC_STDIO_INHERIT &&
                                    ((shared & 1 << i) != 0 || afrpc_low_fd_is_stream (i));
      g_autofree char *doing = NULL;

      stdio[i] = -1;
      if (is_inherited && (shared & 1 << i) != 0)
        continue;

      if (own_fd >= 0 || is_inherited)
        /* A second start needs it again. */
        stdio[i] = afrpc_low_fd_lift (fcntl (own_fd >= 0 ? own_fd : i, F_DUPFD_CLOEXEC, 0));
      else if (mode == AFRPC_STDIO_SILENCE || mode == AFRPC_STDIO_INHERIT)
        stdio[i] = open ("/dev/null", O_RDWR | O_CLOEXEC);
      else
        stdio[i] = open_pipe (peer, mode);
      if (stdio[i] < 0)
        {
          const int saved_errno = errno;

          doing = own_fd >= 0 ? g_strdup_printf ("making file descriptor %d the %s", own_fd, names[i])
                              : g_strdup_printf ("opening the %s", names[i]);
          errno = saved_errno;
          return set_system_error (peer, error, doing);
        }
      g_array_append_val (closing, stdio[i]);
    }

  return TRUE;
}

/* Makes the socket pair, keeps the program's end and gives the other. */
gboolean
afrpc_birth_connect (AfrpcPeer   *peer,
                     int         *other,
                     GError     **error)
{
  const int size = SEND_BUFFER_SIZE;
  struct stat status;
  int sockets[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0 || afrpc_low_fd_lift_pair (sockets) != 0)
    return set_system_error (peer, error, "making a socket pair");

  for (int i = 0; i < 2; i++)
    setsockopt (sockets[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  fcntl (sockets[0], F_SETFL, O_NONBLOCK);
  if (peer->birth.overture != NULL)
    afrpc_overture_connect (peer->birth.overture, sockets[0]);
  else
    afrpc_link_connect (&peer->talk.link, sockets[0]);
  *other = sockets[1];
  if (fstat (sockets[1], &status) == 0)
    peer->birth.other_inode = status.st_ino;

  return TRUE;
}

/* Returns: which standard streams of the program's a process has that is executed: bit 0: standard input, and so on */
static guint8
get_inheritable (void)
{
  guint8 which = 0;

  for (int i = 0; i < 3; i++)
    if (afrpc_low_fd_is_stream (i))
      which |= 1 << i;

  return which;
}

/* Why @path is no command; FALSE: there is nothing of that name. */
static gboolean
set_unusable (GError     **error,
              const char  *name,
              const char  *path)
{
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return FALSE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot start '%s': %s%s%s", name,
               strchr (name, '/') == NULL ? path : "it", strchr (name, '/') == NULL ? ", which is in PATH, " : " ",
               g_file_test (path, G_FILE_TEST_IS_DIR) ? "is a directory" : "is not executable");

  return TRUE;
}

/* There is nothing of that name which can be executed: who looks for it is told what there is instead. */
static void
set_no_command (GError     **error,
                const char  *name)
{
  const char *env = g_getenv ("PATH");
  g_auto(GStrv) dirs = g_strsplit (strchr (name, '/') == NULL && env != NULL ? env : "", ":", -1);

  if (strchr (name, '/') != NULL && set_unusable (error, name, name))
    return;
  for (guint i = 0; dirs[i] != NULL; i++)
    {
      g_autofree char *path = g_build_filename (dirs[i], name, NULL);

      if (*dirs[i] != '\0' && !g_file_test (path, G_FILE_TEST_IS_DIR) && set_unusable (error, name, path))
        return;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot start '%s': there is no such command", name);
}

/* Returns: (nullable): the program of a command, as an absolute path: the process may begin elsewhere. */
static char *
find_command (const char  *name,
              GError     **error)
{
  g_autofree char *path = g_find_program_in_path (name);

  if (path == NULL)
    {
      set_no_command (error, name);
      return NULL;
    }

  return g_canonicalize_filename (path, NULL);
}

/* Whether what could not be executed for @error cannot be executed the next time either: the file, or the working
 * directory, is not there, or not what it has to be. */
static gboolean
is_for_good (int error)
{
  return error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES || error == EPERM || error == ENOEXEC ||
         error == ELOOP || error == ENAMETOOLONG || error == ELIBBAD || error == E2BIG;
}

/* Returns: (transfer full): the environment that was asked for. */
static char **
dup_environ (AfrpcPeer *peer)
{
  const char *const *variables = afrpc_birth_get_environ (&peer->birth);

  return variables != NULL ? g_strdupv ((char **) variables) : g_get_environ ();
}

/* Executes what @plan says, in the environment @envp. */
static gboolean
exec_plan (AfrpcPeer       *peer,
           AfrpcSpawnPlan  *plan,
           char           **envp,
           AfrpcStart       start,
           GError         **error)
{
  g_autofree char *doing = NULL;
  AfrpcSpawned spawned;
  int lifeline = -1, error_number;
  gboolean has_spawned;

  plan->envp = (const char *const *) envp;
  plan->cwd = peer->birth.destination == NULL ? afrpc_birth_get_cwd (&peer->birth) : NULL;
  plan->leads_group = peer->body.limits.leads_group;
  /* A host arms its own, once it is told to work. */
  if (plan->leads_group && start == AFRPC_START_COMMAND && peer->birth.orphan_policy == AFRPC_ORPHAN_POLICY_END)
    {
      lifeline = afrpc_lifeline_dup ();
      if (lifeline < 0 && afrpc_lifeline_is_for_want (errno))
        return set_system_error (peer, error, "opening its lifeline");
    }
  plan->lifeline = MAX (lifeline, 0);
  has_spawned = afrpc_spawn (plan, &spawned, &doing);
  error_number = errno;
  peer->birth.is_impossible = !has_spawned && is_for_good (error_number);
  if (lifeline >= 0)
    close (lifeline);
  if (!has_spawned)
    {
      errno = error_number;
      return set_system_error (peer, error, doing);
    }

  afrpc_peer_take_body (peer, start, &spawned, TRUE);
  return TRUE;
}

static gboolean
exec_command (AfrpcPeer   *peer,
              GArray      *closing,
              GError     **error)
{
  g_autofree char *path = find_command (peer->birth.argv[0], error);
  g_auto(GStrv) envp = g_environ_unsetenv (dup_environ (peer), AFRPC_SPAWN_SOCKET_ENV);
  AfrpcSpawnPlan plan = { .path = path, .argv = (const char *const *) peer->birth.argv, .stdio = { -1, -1, -1 },
                          .socket = -1 };

  peer->birth.is_impossible = path == NULL;
  if (path == NULL || !afrpc_birth_make_overture (peer, error) || !afrpc_birth_connect (peer, &plan.stdio[0], error))
    return FALSE;
  g_array_append_val (closing, plan.stdio[0]);
  /* One socket for both: then writing to a command that has ended is no signal. */
  plan.stdio[1] = plan.stdio[0];
  if (!afrpc_birth_open_stdio (peer, get_inheritable (), plan.stdio, closing, error))
    return FALSE;

  return exec_plan (peer, &plan, envp, AFRPC_START_COMMAND, error);
}

static gboolean
exec_host (AfrpcPeer   *peer,
           GArray      *closing,
           GError     **error)
{
  g_autofree char *path = find_host (peer->birth.host, error);
  g_auto(GStrv) envp = g_environ_setenv (dup_environ (peer), AFRPC_SPAWN_SOCKET_ENV,
                                         G_STRINGIFY (AFRPC_SPAWN_SOCKET_FD), TRUE);
  const char *argv[] = { path, NULL };
  AfrpcSpawnPlan plan = { .path = path, .argv = argv, .stdio = { -1, -1, -1 } };

  if (path == NULL || !afrpc_birth_connect (peer, &plan.socket, error))
    return FALSE;
  g_array_append_val (closing, plan.socket);
  if (!afrpc_birth_open_stdio (peer, get_inheritable (), plan.stdio, closing, error))
    return FALSE;

  if (peer->talk.role == AFRPC_ROLE_NONE)
    afrpc_birth_keep_origin (&peer->birth);
  if (g_str_equal (peer->birth.host, AFRPC_SELF_HOST))
    envp = g_environ_setenv (envp, AFRPC_SELF_ENV, "1", TRUE);

  return exec_plan (peer, &plan, envp, AFRPC_START_EXEC, error);
}

/* Executes the host, or the command, or fails. */
void
afrpc_birth_exec (AfrpcPeer *peer)
{
  g_autoptr(GArray) closing = g_array_new (FALSE, FALSE, sizeof (int));
  GError *error = NULL;
  gboolean ok = peer->birth.argv != NULL ? exec_command (peer, closing, &error) : exec_host (peer, closing, &error);

  for (guint i = 0; i < closing->len; i++)
    close (g_array_index (closing, int, i));
  if (ok)
    return;

  peer->birth.is_short = !peer->birth.is_impossible && g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  afrpc_birth_fail (peer, error);
}
