/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-serve-source.h"

#include <unistd.h>

#include "serve/afrpc-serve.h"
#include "serve/afrpc-session-send.h"
#include "serve/afrpc-template.h"

/* A parent that does not read its answers gets no more of them once so much waits. */
#define QUEUED_MAX (512u << 10) /* bytes */

/* Other sources have their turn after so long, which is looked at after so many calls. */
#define SLICE_US 5000
#define SLICE_CALLS 64u

typedef struct
{
  GSource source;

  AfrpcSession *session;
  GMainLoop *loop;         /* not owned: outlives the source */
  gboolean is_split;       /* what is read from is not what is written to */
  gpointer in_tag;         /* (nullable): watches the socket, or what is read from */
  gpointer out_tag;        /* (nullable): watches what is written to, if that is split */
  GPtrArray *reaped_tags;  /* (nullable): watch what was forked */
  GIOCondition events;     /* what both are watched for */
  gboolean has_more;       /* of what was read, perhaps */
} ServeSource;

static GIOCondition
query (ServeSource *self,
       gpointer     tag)
{
  return tag != NULL ? g_source_query_unix_fd (&self->source, tag) : 0;
}

static void
watch_events (ServeSource  *self,
              GIOCondition  events)
{
  /* This wakes the main context up, so only if something changes. */
  if (events == self->events || (self->in_tag == NULL && self->out_tag == NULL))
    return;

  self->events = events;
  if (self->in_tag != NULL)
    g_source_modify_unix_fd (&self->source, self->in_tag, self->is_split ? events & G_IO_IN : events);
  if (self->out_tag != NULL)
    g_source_modify_unix_fd (&self->source, self->out_tag, events & G_IO_OUT);
}

static void
watch_reaped (ServeSource *self)
{
  const GArray *reaped = self->session->reaped;

  if (reaped->len == 0)
    return;

  self->reaped_tags = g_ptr_array_new ();
  for (guint i = 0; i < reaped->len; i++)
    g_ptr_array_add (self->reaped_tags,
                     g_source_add_unix_fd (&self->source, g_array_index (reaped, AfrpcReaped, i).pidfd, G_IO_IN));
}

/* Reaps what has ended; all are watched anew, for a number may be another file's afterwards. */
static void
reap (ServeSource *self)
{
  gboolean has_ended = FALSE;

  for (guint i = 0; self->reaped_tags != NULL && i < self->reaped_tags->len; i++)
    has_ended |= query (self, self->reaped_tags->pdata[i]) != 0;
  if (!has_ended)
    return;

  for (guint i = 0; i < self->reaped_tags->len; i++)
    g_source_remove_unix_fd (&self->source, self->reaped_tags->pdata[i]);
  g_clear_pointer (&self->reaped_tags, g_ptr_array_unref);
  afrpc_template_reap (self->session);
  watch_reaped (self);
}

/* Its parent has died, and wanted it to end then. */
static gboolean
is_to_die (AfrpcSession *session)
{
  return session->state == AFRPC_SESSION_ORPHANED && session->job.orphan_policy == AFRPC_ORPHAN_POLICY_END;
}

/* At the end of input, when all calls are answered and everything is written, whatever other sources the main loop
 * has. */
static gboolean
is_done (AfrpcSession *session)
{
  if (is_to_die (session))
    return TRUE;

  return (session->state == AFRPC_SESSION_ORPHANED ||
          (session->state == AFRPC_SESSION_FINISHING && afrpc_transport_get_queued (&session->transport) == 0)) &&
         afrpc_session_is_idle (session);
}

/* What nobody has the other end of would wake the main loop all the time, until the last call has been answered. */
static gboolean
is_in_useless (ServeSource *self)
{
  return self->in_tag != NULL && !afrpc_session_has_input (self->session) &&
         (self->is_split || !afrpc_session_is_heard (self->session));
}

static gboolean
is_out_useless (ServeSource *self)
{
  return self->out_tag != NULL && !afrpc_session_is_heard (self->session);
}

/* Whether there is something to do that no file descriptor tells. */
static gboolean
is_ready (ServeSource *self)
{
  return self->has_more || is_in_useless (self) || is_out_useless (self) || is_done (self->session);
}

static void
finish (ServeSource *self)
{
  AfrpcSession *session = self->session;
  const gboolean is_free_orphan = session->job.orphan_policy == AFRPC_ORPHAN_POLICY_IGNORE && !session->was_closed;
  const gboolean ends_at_once = is_to_die (session);

  g_source_destroy (&self->source);
  afrpc_session_set_state (session, AFRPC_SESSION_OVER);
  if (ends_at_once || (session->job.done == 0 && !is_free_orphan))
    {
      g_main_loop_quit (self->loop);
      return;
    }

  /* The parent, if there is one, sees the end; the process lives on for as long as its functions want. */
  afrpc_transport_clear (&session->transport);
  if (session->job.done != 0)
    session->funcs->done (session->host, session->job.done);
}

static gboolean
serve_source_prepare (GSource *source,
                      int     *timeout_ms)
{
  ServeSource *self = (ServeSource *) source;
  AfrpcSession *session = self->session;
  GIOCondition events = 0;

  /* What a function left to be done later may have forked as well, and this may be the process that was. */
  if (g_main_depth () == 0)
    afrpc_serve_end_stray (session);
  afrpc_session_finish_closed (session);
  if (session->held_back->len > 0 && afrpc_session_has_room (session))
    afrpc_session_send_held_back (session);

  if (afrpc_session_try_flush (session))
    ;
  else if (session->transport.writer.crowded)
    *timeout_ms = AFRPC_TRANSPORT_CROWDED_MS;
  else
    events = G_IO_OUT;

  if (session->held_back->len > 0)
    events |= G_IO_OUT;
  if (afrpc_session_has_input (session) &&
      ((events & G_IO_OUT) == 0 || afrpc_transport_get_queued (&session->transport) < QUEUED_MAX))
    events |= G_IO_IN;
  watch_events (self, events);

  return is_ready (self);
}

static gboolean
serve_source_check (GSource *source)
{
  ServeSource *self = (ServeSource *) source;

  if (is_ready (self) || query (self, self->in_tag) != 0 || query (self, self->out_tag) != 0)
    return TRUE;
  for (guint i = 0; self->reaped_tags != NULL && i < self->reaped_tags->len; i++)
    if (query (self, self->reaped_tags->pdata[i]) != 0)
      return TRUE;

  return FALSE;
}

/* Does what has arrived, for so long that other sources have their turn. */
static void
serve_slice (ServeSource *self)
{
  gint64 end = 0;
  AfrpcStep step;

  self->has_more = TRUE;
  for (guint i = 1; (step = afrpc_serve_next (self->session)) == AFRPC_STEP_DONE; i++)
    {
      if (i % SLICE_CALLS != 0 && !self->session->was_long)
        continue;
      self->session->was_long = FALSE;
      if (end == 0)
        end = g_get_monotonic_time () + SLICE_US;
      else if (g_get_monotonic_time () > end)
        return;
    }
  self->has_more = step == AFRPC_STEP_SLICE;
}

static gboolean
serve_source_dispatch (GSource     *source,
                       GSourceFunc  callback,
                       gpointer     user_data)
{
  ServeSource *self = (ServeSource *) source;
  AfrpcSession *session = self->session;
  const GIOCondition in = query (self, self->in_tag);
  const GIOCondition out = query (self, self->is_split ? self->out_tag : self->in_tag);

  reap (self);
  /* A socket has hung up once nothing can be read from it either. */
  if ((out & (G_IO_HUP | G_IO_ERR)) != 0 && (self->is_split || !afrpc_session_has_input (session)))
    afrpc_session_lose_parent (session);
  if ((in & ~G_IO_OUT) != 0 && afrpc_session_has_input (session) && !self->has_more)
    afrpc_serve_read (session);
  serve_slice (self);

  /* A function may have run the main loop to this end. */
  if (g_source_is_destroyed (source))
    return G_SOURCE_REMOVE;

  if (is_in_useless (self))
    g_source_remove_unix_fd (source, g_steal_pointer (&self->in_tag));
  if (is_out_useless (self))
    g_source_remove_unix_fd (source, g_steal_pointer (&self->out_tag));
  if (is_done (session))
    finish (self);

  return G_SOURCE_CONTINUE;
}

static void
serve_source_finalize (GSource *source)
{
  g_clear_pointer (&((ServeSource *) source)->reaped_tags, g_ptr_array_unref);
}

static GSourceFuncs serve_source_funcs = {
  serve_source_prepare,
  serve_source_check,
  serve_source_dispatch,
  serve_source_finalize,
};

/* Many calls at once, on the default main context. Returns at the end of input, once every call was answered, unless
 * there is a done function, or the parent has died and the job is to live on. */
void
afrpc_serve_main_loop (AfrpcSession *session)
{
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  GSource *source = g_source_new (&serve_source_funcs, sizeof (ServeSource));
  ServeSource *self = (ServeSource *) source;

  afrpc_transport_set_nonblocking (&session->transport);
  session->transport.reader.slices = TRUE;
  g_source_set_static_name (source, "[afrpc] serve");
  g_source_set_can_recurse (source, TRUE);
  self->session = session;
  self->loop = loop;
  self->has_more = TRUE; /* calls may have been read before */
  self->events = G_IO_IN;
  self->in_tag = g_source_add_unix_fd (source, session->transport.in_fd, G_IO_IN);
  self->is_split = session->transport.out_fd != session->transport.in_fd;
  if (self->is_split)
    self->out_tag = g_source_add_unix_fd (source, session->transport.out_fd, 0);
  watch_reaped (self);
  g_source_attach (source, NULL);

  g_main_loop_run (loop);

  g_source_destroy (source);
  g_source_unref (source);
}
