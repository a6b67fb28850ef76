/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"
#include "serve/afrpc-session-send.h"
#include "os/afrpc-file-id.h"
#include "os/afrpc-fork.h"
#include "os/afrpc-group.h"
#include "transport/afrpc-socket.h"

G_STATIC_ASSERT (sizeof AFRPC_PROCESS_NAME_TEMPLATE <= AFRPC_PROCESS_NAME_SIZE);

/* @fd: the socket of a process that is going to be forked, and begins with a name of its own. */
static void
enter (AfrpcSession *self,
       int           fd)
{
  char name[AFRPC_PROCESS_NAME_SIZE];

  if (self->own_name[0] == '\0')
    prctl (PR_GET_NAME, self->own_name, 0, 0, 0);
  afrpc_process_name_get_forked (afrpc_file_id_get (fd).inode, name);
  prctl (PR_SET_NAME, name, 0, 0, 0);
}

static void
tell_exited (AfrpcSession *self,
             int           pid,
             int           wait_status)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (
    g_variant_new ("(uiib)", pid, WIFEXITED (wait_status) ? WEXITSTATUS (wait_status) : -1,
                   WIFSIGNALED (wait_status) ? WTERMSIG (wait_status) : 0,
                   WIFSIGNALED (wait_status) && WCOREDUMP (wait_status)));

  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_EXITED, 0, value);
  afrpc_session_flush (self);
}

/* Reaps those that have ended, and tells a parent that still listens to that. */
void
afrpc_template_reap (AfrpcSession *self)
{
  for (guint i = self->reaped->len; i-- > 0;)
    {
      const AfrpcReaped child = g_array_index (self->reaped, AfrpcReaped, i);
      int status;
      const int pid = waitpid (child.pid, &status, WNOHANG);

      if (pid == 0 || (pid < 0 && errno == EINTR))
        continue;
      close (child.pidfd);
      g_array_remove_index (self->reaped, i);
      /* Or somebody else has reaped it. */
      if (pid > 0 && self->state == AFRPC_SESSION_PREPARING)
        tell_exited (self, pid, status);
    }
}

/* While there is something to reap, does so and waits until there may be something to read. */
void
afrpc_template_wait_readable (AfrpcSession *self)
{
  while (self->reaped->len > 0)
    {
      const guint n = self->reaped->len;
      g_autofree struct pollfd *pollers = g_new0 (struct pollfd, n + 1);

      for (guint i = 0; i < n; i++)
        pollers[i] = (struct pollfd) { g_array_index (self->reaped, AfrpcReaped, i).pidfd, POLLIN, 0 };
      pollers[n] = (struct pollfd) { self->transport.in_fd, POLLIN, 0 };
      if (poll (pollers, n + 1, -1) < 0)
        continue;

      afrpc_template_reap (self);
      if (pollers[n].revents != 0)
        return;
    }
}

/* Begins a conversation of its own, on @fd. */
static void
start_over (AfrpcSession *self,
            int           fd)
{
  const int place = self->transport.in_fd;

  /* The template's socket closes, and its number is used again. */
  self->transport.in_fd = self->transport.out_fd = -1;
  if (dup3 (fd, place, O_CLOEXEC) == place)
    {
      close (fd);
      fd = place;
    }
  afrpc_session_connect (self, &afrpc_socket_funcs, fd, fd);
  afrpc_session_set_state (self, AFRPC_SESSION_GREETING);
  self->is_forked = TRUE;
  self->has_lifeline = FALSE;
  for (guint i = 0; i < self->reaped->len; i++)
    close (g_array_index (self->reaped, AfrpcReaped, i).pidfd);
  g_array_set_size (self->reaped, 0);
}

/* Forks by the kernel's own means, for languages that need nothing else: as fork(2). */
int
afrpc_template_fork_process (AfrpcSession  *self,
                             GError       **error)
{
  AfrpcForked *forked = &self->forked;

  forked->pid = afrpc_fork (self->parent_pid, &forked->is_sibling, &forked->pidfd, error);

  return forked->pid;
}

/* Forks in the way of the language. Returns FALSE with an error if there is no new process. */
static gboolean
fork_host (AfrpcSession  *self,
           int            fd,
           GError       **error)
{
  AfrpcForked *forked = &self->forked;
  int pid;

  *forked = (AfrpcForked) { -1, -1, FALSE };
  if (!self->funcs->can_fork (self->host, error) || !afrpc_fork_is_possible (error))
    return FALSE;

  /* It is not to be mistaken for what it makes, in which its greeting is not to be either. */
  afrpc_session_flush (self);
  enter (self, fd);
  afrpc_group_disown ();
  pid = self->funcs->fork (self->host, error);
  /* Whoever looks at a list of processes sees which of them are only there to be forked. */
  if (pid != 0 && forked->pid != 0)
    prctl (PR_SET_NAME, AFRPC_PROCESS_NAME_TEMPLATE, 0, 0, 0);
  /* What has been made is there, whatever the language says of it. */
  if (forked->pid >= 0)
    {
      g_clear_error (error);
      return TRUE;
    }

  forked->pid = pid;
  return pid == 0 || (pid > 0 && afrpc_fork_watch (pid, &forked->pidfd, error));
}

/* Keeps what it needs to reap. FALSE with an error: then the new process has been ended. */
static gboolean
keep_forked (AfrpcSession  *self,
             GError       **error)
{
  const AfrpcForked *forked = &self->forked;
  AfrpcReaped reaped = { forked->pid, -1 };

  if (forked->is_sibling)
    return TRUE;

  reaped.pidfd = afrpc_low_fd_lift (fcntl (forked->pidfd, F_DUPFD_CLOEXEC, 0));
  if (reaped.pidfd >= 0)
    {
      g_array_append_val (self->reaped, reaped);
      return TRUE;
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "cannot fork: %s", g_strerror (errno));
  kill (forked->pid, SIGKILL);
  while (waitpid (forked->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  close (forked->pidfd);

  return FALSE;
}

/* Made without a value: each page that a template writes to, it has to copy once for each process that it forks. */
static void
tell_forked (AfrpcSession *self)
{
  const struct { guint32 pid; guint8 is_sibling; guint8 padding[3]; } payload = {
    .pid = self->forked.pid, .is_sibling = self->forked.is_sibling,
  };
  const AfrpcFrame frame = {
    .header = {
      .kind = AFRPC_FRAME_FORKED, .flags = AFRPC_FRAME_FLAGS_NATIVE, .n_fds = 1, .type_length = strlen ("(ub)"),
      .size = sizeof payload,
    },
    .type = "(ub)",
    .payload = (const guint8 *) &payload,
  };

  afrpc_writer_put_frame (&self->transport.writer, &frame, &self->forked.pidfd);
  afrpc_session_flush (self);
}

/* Forks, as the parent has asked for. Returns TRUE in the new process, which has a parent to greet. */
gboolean
afrpc_template_fork (AfrpcSession *self)
{
  g_autoptr(GError) error = NULL;
  const int fd = afrpc_transport_take_fd (&self->transport);

  if (self->transport.in_fd != self->transport.out_fd)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                 "a worker at the other end of a command cannot be forked");
  else if (fd < 0)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "the new process' socket did not arrive");
  else if (fork_host (self, fd, &error))
    {
      if (self->forked.pid == 0)
        {
          start_over (self, fd);
          return TRUE;
        }
      if (keep_forked (self, &error))
        {
          tell_forked (self);
          close (fd);
          return FALSE;
        }
    }

  if (error == NULL)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "forking '%s' failed without saying why", self->host_name);
  afrpc_session_send_error (self, AFRPC_FRAME_REFUSED, 0, 0, error);
  if (fd >= 0)
    close (fd);
  afrpc_session_flush (self);

  return FALSE;
}
