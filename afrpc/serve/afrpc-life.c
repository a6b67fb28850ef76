/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-life.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"
#include "serve/afrpc-forward-log.h"
#include "serve/afrpc-prepare.h"
#include "serve/afrpc-serve-source.h"
#include "serve/afrpc-serve.h"
#include "serve/afrpc-session-send.h"
#include "os/afrpc-bridge.h"
#include "os/afrpc-group.h"

/* Returns: the connection as a socket, or -1: what comes over a command is copied by the supervisor. The session can still write. */
static int
share_connection (AfrpcSession *self)
{
  int sockets[2];

  if (self->control_fd < 0)
    return self->transport.in_fd;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0 || afrpc_low_fd_lift_pair (sockets) != 0 ||
      !afrpc_bridge_ask (self->control_fd, self->transport.in_fd, sockets[1]))
    {
      g_printerr ("%s: connecting a function: %s\n", self->host_name, g_strerror (errno));
      return -1;
    }
  close (sockets[1]);

  return sockets[0];
}

/* Has the session have no part in it any more. */
static void
give_connection_up (AfrpcSession *self)
{
  const int in_fd = self->transport.in_fd, out_fd = self->transport.out_fd;

  self->transport.in_fd = self->transport.out_fd = -1;
  if (self->control_fd < 0)
    return;

  close (in_fd);
  close (out_fd);
}

/* Has a function take the connection over. */
static int
hand_over (AfrpcSession *self)
{
  int fd;

  afrpc_forward_log_stop ();
  /* Before the program has it, and may end what it sends: the supervisor would take that for the program's end. */
  fd = share_connection (self);
  if (fd >= 0)
    afrpc_session_send_ready (self);
  afrpc_session_set_state (self, AFRPC_SESSION_OVER);
  give_connection_up (self);
  if (fd < 0)
    return EXIT_FAILURE;

  self->funcs->run (self->host, self->job.taker, fd);

  return EXIT_SUCCESS;
}

static AfrpcSession *serving; /* (nullable) */

static void
forked_cb (void)
{
  if (serving != NULL)
    afrpc_session_stray (serving);
}

static int
serve (AfrpcSession *self)
{
  if (self->state == AFRPC_SESSION_PREPARING)
    afrpc_session_set_state (self, AFRPC_SESSION_SERVING);
  else if (self->job.orphan_policy != AFRPC_ORPHAN_POLICY_END)
    afrpc_session_set_state (self, AFRPC_SESSION_UNHEARD);
  else
    return EXIT_SUCCESS;

  afrpc_session_bind (self);
  self->transport.reader.size_max = self->message_size_max;
  afrpc_session_send_ready (self);
  if (self->job.backend == AFRPC_BACKEND_ASYNC)
    afrpc_serve_main_loop (self);
  else
    {
      afrpc_serve_block (self);
      if (self->failure == NULL && self->job.done != 0)
        self->funcs->done (self->host, self->job.done);
    }

  if (self->failure == NULL)
    return EXIT_SUCCESS;
  g_printerr ("%s: %s\n", self->host_name, self->failure->message);
  return AFRPC_LIFE_EXIT_FAILED;
}

/* Returns: an exit status */
int
afrpc_life_lead (AfrpcSession *self)
{
  g_autoptr(GError) error = NULL;

  serving = self;
  pthread_atfork (NULL, NULL, forked_cb);
  switch (afrpc_prepare (self, &error))
    {
    case AFRPC_STEP_DONE:
      return self->job.takes_over ? hand_over (self) : serve (self);

    case AFRPC_STEP_EOF:
      return EXIT_SUCCESS;

    default:
      if (self->state == AFRPC_SESSION_OVER)
        {
          g_printerr ("%s: %s\n", self->host_name, error->message);
          return AFRPC_LIFE_EXIT_FAILED;
        }
      afrpc_session_send_error (self, AFRPC_FRAME_FAILED, 0, 0, error);
      afrpc_session_flush (self);
      return AFRPC_LIFE_EXIT_FAILED;
    }
}

/* Nothing is said or heard any more. */
void
afrpc_life_end (AfrpcSession *self)
{
  afrpc_forward_log_stop ();
  /* A process that was forked is going to exit, with the session as it is: to write there would copy a page. */
  if (!self->is_forked)
    serving = NULL;
  if (self->state == AFRPC_SESSION_SERVING || self->state == AFRPC_SESSION_UNHEARD)
    afrpc_session_end_input (self);
  if (self->state != AFRPC_SESSION_OVER)
    afrpc_session_set_state (self, AFRPC_SESSION_OVER);
  afrpc_group_end ();
}
