/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-foreign.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-hangup.h"
#include "os/afrpc-low-fd.h"
#include "serve/afrpc-session-send.h"

/* What a session has while it is prepared: besides its own, what has arrived and is not used yet, and what tells of the
 * processes that were forked. */
static guint
count_fds (AfrpcSession *session)
{
  return 4 + session->transport.reader.fds->len + session->reaped->len;
}

static int *
get_fd (AfrpcSession *session,
        guint         i)
{
  int *const own[] = {
    &session->transport.in_fd, &session->transport.out_fd, &session->lifeline_fd, &session->control_fd,
  };
  const GArray *arrived = session->transport.reader.fds;

  if (i < G_N_ELEMENTS (own))
    return own[i];
  i -= G_N_ELEMENTS (own);

  return i < arrived->len ? &g_array_index (arrived, int, i) :
                            &g_array_index (session->reaped, AfrpcReaped, i - arrived->len).pidfd;
}

/* It may take its time, or all the time there is. */
void
afrpc_foreign_begin (AfrpcForeign *self,
                     AfrpcSession *session)
{
  afrpc_session_flush (session);
  self->n_files = count_fds (session);
  self->files = g_new (AfrpcFileId, self->n_files);
  for (guint i = 0; i < self->n_files; i++)
    self->files[i] = afrpc_file_id_get (*get_fd (session, i));
  if (session->orphan_signal != SIGKILL)
    sigaction (session->orphan_signal, NULL, &self->action);
  if (session->job.orphan_policy == AFRPC_ORPHAN_POLICY_END && !session->has_lifeline)
    afrpc_hangup_watch (session->transport.in_fd);
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

/* A number that was closed may be of another file now, which is none of the session's business. */
static void
drop_fds (AfrpcForeign *self,
          AfrpcSession *session)
{
  const guint n = MIN (self->n_files, count_fds (session));

  for (guint i = 0; i < n; i++)
    if (!afrpc_file_id_is (&self->files[i], *get_fd (session, i)))
      *get_fd (session, i) = -1;
  g_clear_pointer (&self->files, g_free);

  for (guint i = 0; i < session->reaped->len; i++)
    {
      AfrpcReaped *child = &g_array_index (session->reaped, AfrpcReaped, i);

      if (child->pidfd < 0)
        child->pidfd = afrpc_low_fd_lift (syscall (SYS_pidfd_open, child->pid, 0));
    }
}

/* FALSE with an error: the connection is gone, and the session is over. */
gboolean
afrpc_foreign_end (AfrpcForeign  *self,
                   AfrpcSession  *session,
                   const char    *what,
                   GError       **error)
{
  afrpc_hangup_unwatch ();
  if (session->orphan_signal != SIGKILL)
    take_signal_back (self, session);
  drop_fds (self, session);
  if (session->transport.in_fd >= 0 && session->transport.out_fd >= 0)
    return TRUE;

  session->transport.in_fd = session->transport.out_fd = -1;
  afrpc_session_set_state (session, AFRPC_SESSION_OVER);
  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "%s has closed the connection to the program", what);

  return FALSE;
}
