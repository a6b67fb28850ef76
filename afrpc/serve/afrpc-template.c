/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-template.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "spawn/afrpc-fork.h"

static void
tell_exited (AfrpcWorker *self,
             int          pid,
             int          wait_status)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (
    g_variant_new ("(uiib)", pid, WIFEXITED (wait_status) ? WEXITSTATUS (wait_status) : -1,
                   WIFSIGNALED (wait_status) ? WTERMSIG (wait_status) : 0,
                   WIFSIGNALED (wait_status) && WCOREDUMP (wait_status)));

  afrpc_stream_put_value (&self->stream, AFRPC_FRAME_EXITED, 0, value);
  afrpc_worker_flush_blocking (self);
}

/* Waits for the parent to say something, and reaps meanwhile. */
void
afrpc_template_wait_readable (AfrpcWorker *self)
{
  while (self->children->len > 0)
    {
      const guint n = self->children->len;
      g_autofree struct pollfd *pollers = g_new0 (struct pollfd, n + 1);

      for (guint i = 0; i < n; i++)
        pollers[i] = (struct pollfd) { g_array_index (self->children, AfrpcWorkerChild, i).pidfd, POLLIN, 0 };
      pollers[n] = (struct pollfd) { self->stream.in_fd, POLLIN, 0 };
      poll (pollers, n + 1, -1);

      for (guint i = n; i-- > 0;)
        {
          AfrpcWorkerChild child = g_array_index (self->children, AfrpcWorkerChild, i);
          int status;

          if (pollers[i].revents == 0 || waitpid (child.pid, &status, WNOHANG) != child.pid)
            continue;
          close (child.pidfd);
          g_array_remove_index (self->children, i);
          tell_exited (self, child.pid, status);
        }
      if (pollers[n].revents != 0)
        return;
    }
}

/* Begins a conversation of its own, on @fd. */
static void
start_over (AfrpcWorker *self,
            int          fd)
{
  const int place = self->stream.in_fd;

  /* The template's socket closes, and its number is used again. */
  self->stream.in_fd = self->stream.out_fd = -1;
  if (dup3 (fd, place, O_CLOEXEC) == place)
    {
      close (fd);
      fd = place;
    }
  afrpc_worker_init_stream (self, fd);
  self->is_forked = TRUE;
  for (guint i = 0; i < self->children->len; i++)
    close (g_array_index (self->children, AfrpcWorkerChild, i).pidfd);
  g_array_set_size (self->children, 0);
}

/* Forks, as the parent has asked for. Returns TRUE in the new process, which has a parent to greet. */
gboolean
afrpc_template_fork (AfrpcWorker *self)
{
  g_autoptr(GError) error = NULL;
  int fd = afrpc_stream_take_fd (&self->stream);
  int pidfd = -1, pid = -1;
  gboolean is_sibling;

  if (fd < 0)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "the new process' socket did not arrive");
  else if (AFRPC_HOST_GET_CLASS (self->host)->can_fork (self->host, &error) && afrpc_fork_is_possible (&error))
    pid = afrpc_host_fork (self->host, self->parent_pid, &is_sibling, &pidfd, &error);

  if (pid == 0)
    {
      start_over (self, fd);
      return TRUE;
    }

  if (pid > 0)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new ("(ub)", pid, is_sibling));
      AfrpcWorkerChild child = { pid, is_sibling ? -1 : fcntl (pidfd, F_DUPFD_CLOEXEC, 0) };

      if (child.pidfd >= 0)
        g_array_append_val (self->children, child);
      afrpc_stream_put_fd (&self->stream, AFRPC_FRAME_FORKED, value, pidfd);
    }
  else
    {
      if (error == NULL)
        g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "forking “%s” failed without saying why",
                     afrpc_host_get_name (self->host));
      afrpc_worker_send_error (self, AFRPC_FRAME_REFUSED, 0, error);
    }
  if (fd >= 0)
    close (fd);
  afrpc_worker_flush_blocking (self);

  return FALSE;
}
