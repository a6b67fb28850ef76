/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"
#include "serve/afrpc-worker-private.h"

static void
run_call (AfrpcWorker      *self,
          const AfrpcFrame *frame)
{
  g_autoptr(GVariant) args = afrpc_worker_begin_call (self, frame, &self->call);
  g_autoptr(GError) error = NULL;
  GVariant *result;

  if (args == NULL)
    return;

  result = afrpc_host_call (self->host, self->function, self, args, &error);
  afrpc_worker_answer (self, &self->call, result, error);
}

/* One call at a time, without a main loop: waits for a call, runs it, and writes its answer before it
 * looks at the next, so that no more than one answer is ever buffered and none is lost to a crash in
 * a later call. A parent that does not read any more is dead: what it still wants done depends on the policy
 * for orphans. Returns TRUE at the end of input. */
gboolean
afrpc_worker_serve_sync (AfrpcWorker  *self,
                         GError      **error)
{
  if (self->page == NULL)
    return afrpc_worker_serve_ahead (self, error);

  while (!self->gone || self->orphan_policy != AFRPC_ORPHAN_POLICY_END)
    {
      AfrpcFrame frame;
      AfrpcStreamStep step = afrpc_stream_next (&self->stream, &frame, error);

      if (step == AFRPC_STREAM_AGAIN)
        {
          afrpc_host_wait (self->host, self->stream.in_fd);
          step = afrpc_stream_read (&self->stream, error);
          if (step == AFRPC_STREAM_EOF)
            return TRUE;
          if (step == AFRPC_STREAM_ERROR)
            return FALSE;
          continue;
        }
      if (step == AFRPC_STREAM_ERROR)
        return FALSE;

      if (frame.header.kind == AFRPC_FRAME_CALL)
        run_call (self, &frame);
      else if (frame.header.kind != AFRPC_FRAME_CANCEL) /* the page has said so already */
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame.header.kind);
          return FALSE;
        }
    }

  return TRUE;
}
