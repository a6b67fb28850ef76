/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-foreign.h"

#include <pthread.h>

#include "afrpc-error.h"
#include "os/afrpc-hangup.h"
#include "serve/afrpc-session-send.h"

/* What a session has while it is prepared. */
static void
get_fds (AfrpcSession *session,
         int          *fds[AFRPC_FOREIGN_N_FDS])
{
  fds[0] = &session->transport.in_fd;
  fds[1] = &session->transport.out_fd;
  fds[2] = &session->lifeline_fd;
  fds[3] = &session->control_fd;
}

/* It may take its time, or all the time there is. */
void
afrpc_foreign_begin (AfrpcForeign *self,
                     AfrpcSession *session)
{
  int *fds[AFRPC_FOREIGN_N_FDS];

  afrpc_session_flush (session);
  get_fds (session, fds);
  for (guint i = 0; i < AFRPC_FOREIGN_N_FDS; i++)
    self->files[i] = *fds[i] >= 0 ? afrpc_file_id_get (*fds[i]) : (AfrpcFileId) { 0, 0 };
  if (session->orphan_signal != SIGKILL)
    sigaction (session->orphan_signal, NULL, &self->action);
  if (session->job.orphan_policy == AFRPC_ORPHAN_POLICY_END && !session->has_lifeline)
    afrpc_hangup_watch (session->transport.out_fd);
}

/* The signal is the host's, whatever the code has done to all that there are. */
static void
take_signal_back (AfrpcForeign *self,
                  AfrpcSession *session)
{
  sigset_t signals;

  sigemptyset (&signals);
  sigaddset (&signals, session->orphan_signal);
  sigaction (session->orphan_signal, &self->action, NULL);
  pthread_sigmask (SIG_UNBLOCK, &signals, NULL);
}

/* A number that was closed may be of another file now, which is none of the session's business. FALSE with an error: it is
 * the connection's, and the session is over. */
gboolean
afrpc_foreign_end (AfrpcForeign  *self,
                   AfrpcSession  *session,
                   const char    *what,
                   GError       **error)
{
  int *fds[AFRPC_FOREIGN_N_FDS];

  afrpc_hangup_unwatch ();
  if (session->orphan_signal != SIGKILL)
    take_signal_back (self, session);

  get_fds (session, fds);
  for (guint i = 0; i < AFRPC_FOREIGN_N_FDS; i++)
    if (*fds[i] >= 0 && !afrpc_file_id_is (&self->files[i], *fds[i]))
      *fds[i] = -1;
  if (session->transport.in_fd >= 0 && session->transport.out_fd >= 0)
    return TRUE;

  session->transport.in_fd = session->transport.out_fd = -1;
  afrpc_session_set_state (session, AFRPC_SESSION_OVER);
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "%s has closed the connection to the program", what);

  return FALSE;
}
