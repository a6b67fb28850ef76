/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-inbox.h"
#include "peer/afrpc-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-fd-error.h"
#include "os/afrpc-low-fd.h"
#include "os/afrpc-pidfd.h"
#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-peer-parts.h"

static gboolean
is_owed_cb (guint64  serial,
            gpointer user_data)
{
  AfrpcPeer *self = user_data;
  const AfrpcLinkCall *call = afrpc_link_find (&self->talk.link, serial);

  return call != NULL && call->owner != NULL;
}

/* Life */

static const AfrpcSourceFuncs source_funcs = {
  .ref = afrpc_peer_ref,
  .unref = afrpc_peer_unref,
  .prepare = afrpc_peer_before_wait,
  .dispatch = afrpc_peer_dispatch,
  .keep_turn = afrpc_peer_keep_turn,
  .get_deadline = afrpc_peer_get_deadline,
  .context_gone = afrpc_peer_context_gone,
  .inherited = afrpc_peer_inherited,
};

/* Reaps what has ended meanwhile, before there is one more: nobody may ever run a main loop that does. */
static void
keep_turns_without_loop (AfrpcPeer *self)
{
  AfrpcSource *source = self->member.source;
  gpointer before;

  if (afrpc_source_is_running (&self->member) || afrpc_source_runs_here (source) ||
      afrpc_source_use (&self->member) != AFRPC_SOURCE_ENTERED)
    return;

  /* A pool may make another worker meanwhile. */
  before = afrpc_source_begin_run (source);
  afrpc_source_keep_turns (source);
  afrpc_source_end_run (source, before);
  afrpc_source_leave (&self->member);
}

static void
closing_cb (int      fd,
            gpointer data)
{
  AfrpcPeer *self = data;

  afrpc_source_leave_fd (&self->member, fd);
}

static AfrpcPeer *
new_peer (const char  *host,
          AfrpcSource *source)
{
  AfrpcPeer *self = g_new0 (AfrpcPeer, 1);

  g_atomic_ref_count_init (&self->ref_count);
  afrpc_birth_init (&self->birth, host);
  afrpc_body_init (&self->body);
  afrpc_body_set_closing_func (&self->body, closing_cb, self);
  afrpc_talk_init (&self->talk, host != NULL && strchr (host, '/') == NULL ? host : NULL);
  afrpc_deadlines_init (&self->deadlines, is_owed_cb, self);
  self->exit_deadline = AFRPC_DEADLINES_NEVER;
  self->kept_max = G_MAXUINT64;
  afrpc_weak_init (&self->process);
  afrpc_weak_init (&self->proxy);

  afrpc_source_add (source, &self->member, self, &source_funcs);

  return self;
}

static void
join_source (AfrpcPeer *self)
{
  afrpc_source_watch (&self->member);
  afrpc_source_activate (&self->member);
}

/* @host: (nullable): NULL for one that is adopted and may be any */
AfrpcPeer *
afrpc_peer_new (const char *host)
{
  AfrpcPeer *self = new_peer (host, afrpc_source_get ());

  keep_turns_without_loop (self);
  join_source (self);

  return self;
}

/* One that goes on with what @other does not wait for any more. */
AfrpcPeer *
afrpc_peer_new_heir (AfrpcPeer *other)
{
  AfrpcPeer *self = new_peer (other->birth.host, other->member.source);

  join_source (self);

  return self;
}

/* A process whose host is at the other end of a command. */
AfrpcPeer *
afrpc_peer_new_command (const char *const *argv)
{
  AfrpcPeer *self = afrpc_peer_new (argv[0]);

  self->birth.argv = g_strdupv ((char **) argv);
  g_clear_pointer (&self->talk.link.host, g_free);
  afrpc_link_set_command (&self->talk.link);

  return self;
}

/* A process that begins as a copy of @template: of what that has been prepared with by now, whatever it is told
 * afterwards. */
AfrpcPeer *
afrpc_peer_new_fork (AfrpcPeer *template)
{
  AfrpcPeer *self = template->birth.argv != NULL ?
    afrpc_peer_new_command ((const char *const *) template->birth.argv) : afrpc_peer_new (template->birth.host);

  if (template->birth.destination != NULL)
    afrpc_birth_copy_destination (self, template);
  if (afrpc_peer_is_left (template))
    {
      afrpc_peer_end_without_context (template);
      afrpc_birth_fail (self, g_error_copy (template->talk.failure));
    }
  else if (template->member.source != self->member.source)
    afrpc_birth_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_IN_USE,
                                         "the process to be forked belongs to another main context"));
  else
    afrpc_birth_ask_template (self, template);

  return self;
}

/* What a handle has that got no process: whatever it is asked for fails with @error (transfer full). */
AfrpcPeer *
afrpc_peer_new_refused (GError *error)
{
  AfrpcPeer *self = afrpc_peer_new (AFRPC_NO_HOST);

  afrpc_birth_fail (self, error);

  return self;
}

AfrpcPeer *
afrpc_peer_ref (AfrpcPeer *self)
{
  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

static void
peer_free (AfrpcPeer *self)
{
  afrpc_source_forget (&self->member);
  afrpc_birth_leave_reaper (self);
  g_clear_pointer (&self->birth.template, afrpc_peer_unref);
  g_clear_pointer (&self->birth.heir, afrpc_peer_unref);
  afrpc_birth_clear (&self->birth);
  g_clear_pointer (&self->functions, g_ptr_array_unref);
  afrpc_body_clear (&self->body);
  afrpc_talk_clear (&self->talk);
  afrpc_news_clear (&self->news);
  afrpc_deadlines_clear (&self->deadlines);
  g_clear_object (&self->connection_task);
  g_queue_clear_full (&self->exit_tasks.tasks, g_object_unref);
  g_queue_clear_full (&self->close_tasks.tasks, g_object_unref);
  afrpc_weak_clear (&self->process);
  afrpc_weak_clear (&self->proxy);
  g_clear_object (&self->process_held);
  g_clear_object (&self->proxy_held);
  g_free (self);
}

/* The last reference may be dropped on any thread: what the peer is made of belongs to its own. */
void
afrpc_peer_unref (AfrpcPeer *self)
{
  GMainContext *context;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_atomic_ref_count_init (&self->ref_count);
  switch (afrpc_source_enter (&self->member))
    {
    case AFRPC_SOURCE_ENTERED:
      context = afrpc_source_get_context (self->member.source);
      peer_free (self);
      g_main_context_release (context);
      break;

    case AFRPC_SOURCE_FOREIGN:
      if (afrpc_source_post (&self->member, NULL, NULL, NULL))
        break;
      G_GNUC_FALLTHROUGH;

    default:
      peer_free (self);
      break;
    }
}

/* Who does that most often has started a thread, and has not given it a main context. */
static void
tell_wrong_thread (AfrpcPeer  *self,
                   const char *what)
{
  const char *host = self->birth.host;
  const gboolean has_host = self->birth.argv != NULL || (host != NULL && !g_str_equal (host, AFRPC_NO_HOST));
  g_autofree char *whose = has_host ? g_strdup_printf ("the process of '%s'", host) : NULL;

  g_critical ("%s: another thread runs the main context that %s belongs to%s", what,
              whose != NULL ? whose : host == NULL ? "a process that was handed over" : "it",
              g_main_context_get_thread_default () == NULL
                ? "; this thread has no main context of its own, which g_main_context_push_thread_default () gives it" : "");
}

/* Owns the context, for @pending (nullable) from now on, or for a moment. FALSE: another thread does. */
static gboolean
enter (AfrpcPeer    *self,
       AfrpcPending *pending,
       const char   *what)
{
  switch (afrpc_source_use (&self->member))
    {
    case AFRPC_SOURCE_ENTERED:
      if (pending == NULL)
        afrpc_source_leave (&self->member);
      else
        {
          pending->entered = self->member.source;
          pending->runner_before = afrpc_source_begin_blocking (self->member.source);
        }
      return TRUE;

    case AFRPC_SOURCE_FOREIGN:
      tell_wrong_thread (self, what);
      return FALSE;

    default:
      return TRUE;
    }
}

/* Whether this thread runs its main context. In its own thread nobody else can take the source away. */
gboolean
afrpc_peer_runs_here (AfrpcPeer *self)
{
  AfrpcSource *source = self->member.source;

  return afrpc_source_is_there (&self->member) &&
         (afrpc_source_runs_here (source) || g_main_context_is_owner (afrpc_source_get_context (source)));
}

/* Has @func called if the thread may act in the main context, which no other one does meanwhile. */
gboolean
afrpc_peer_visit (AfrpcPeer *self,
                  void     (*func) (AfrpcPeer *peer, gpointer data),
                  gpointer   data)
{
  if (afrpc_peer_runs_here (self))
    {
      func (self, data);
      return TRUE;
    }
  if (afrpc_source_enter (&self->member) != AFRPC_SOURCE_ENTERED)
    return FALSE;

  func (self, data);
  afrpc_source_leave (&self->member);

  return TRUE;
}

/* The thread's own main context, and one that nobody runs, can be used. Otherwise the program is wrong, and told so:
 * nothing is corrupt, and no worker is blamed. */
gboolean
afrpc_peer_check_thread (AfrpcPeer  *self,
                         const char *what)
{
  if (afrpc_peer_runs_here (self))
    return TRUE;

  return enter (self, NULL, what);
}

/* As afrpc_peer_check_thread (); if the caller is going to block until @pending has its outcome, the context is owned
 * for that long: see afrpc_peer_leave (). */
gboolean
afrpc_peer_enter (AfrpcPeer    *self,
                  AfrpcPending *pending,
                  const char   *what)
{
  if (!pending->is_awaited)
    return afrpc_peer_check_thread (self, what);

  return (afrpc_source_is_there (&self->member) && afrpc_source_runs_here (self->member.source)) || enter (self, pending, what);
}

/* Who blocked for @pending goes on: nothing is owned for him any more. */
void
afrpc_peer_leave (AfrpcPending *pending)
{
  AfrpcSource *source = g_steal_pointer (&pending->entered);

  if (source != NULL)
    afrpc_source_end_blocking (source, pending->runner_before);
}

/* Whoever was told may have forked, and this may be the process that was: nobody waits for anything there. */
gboolean
afrpc_peer_is_inherited (AfrpcPeer *self)
{
  return !afrpc_source_is_there (&self->member) && self->member.is_inherited;
}

/* Whether the main context has gone, or goes; or this process has none of it. */
gboolean
afrpc_peer_is_left (AfrpcPeer *self)
{
  return !afrpc_source_is_there (&self->member) || afrpc_source_is_going (self->member.source);
}

/* Nothing comes from the worker any more. */
void
afrpc_peer_end_without_context (AfrpcPeer *self)
{
  if (afrpc_peer_is_inherited (self))
    return;

  if (self->talk.failure == NULL)
    afrpc_talk_fail (&self->talk, g_error_new (AFRPC_ERROR, AFRPC_ERROR_CLOSED,
                                               "the main context of the process is gone"));
  if (!afrpc_talk_is_over (&self->talk))
    afrpc_talk_end (&self->talk);
}

/* The main context has gone, and nobody is told anything any more. Who still computes for the program ends. */
void
afrpc_peer_context_gone (AfrpcPeer *self)
{
  AfrpcPending *call;

  afrpc_birth_context_gone (self);
  if (self->body.state == AFRPC_BODY_CHILD)
    {
      if (self->birth.orphan_policy == AFRPC_ORPHAN_POLICY_END || self->talk.role == AFRPC_ROLE_NONE)
        afrpc_spawn_end (&self->body.spawned);
      else
        afrpc_spawn_abandon (&self->body.spawned);
    }
  afrpc_peer_end_without_context (self);
  while ((call = afrpc_peer_decide_owed (self)) != NULL)
    if (afrpc_pending_is_told (call))
      call->funcs->release (call);
  afrpc_link_clear (&self->talk.link);
  /* What it has written by now is passed on, if it is to be. */
  afrpc_stderr_read (&self->body.standard_error);
  afrpc_stderr_clear (&self->body.standard_error);
  afrpc_inbox_context_gone (self);
  g_clear_object (&self->process_held);
  g_clear_object (&self->proxy_held);
}

/* It is left as it is, and takes no calls here. */
void
afrpc_peer_inherited (AfrpcPeer *self)
{
  afrpc_talk_fail (&self->talk, afrpc_pending_new_inherited_error ());
}

/* Returns: (transfer none) (nullable): NULL once it has gone */
GMainContext *
afrpc_peer_get_main_context (AfrpcPeer *self)
{
  return self->member.source != NULL ? afrpc_source_get_context (self->member.source) : NULL;
}

/* Returns: when its main context has last begun to take what its peers have got: monotonic time in microseconds */
gint64
afrpc_peer_get_turn_time (AfrpcPeer *self)
{
  return self->member.source != NULL ? afrpc_source_get_turn_time (self->member.source) : 0;
}

/* Returns: (nullable): NULL over a command, and until a host that may be any has said what it is */
const char *
afrpc_peer_get_host (AfrpcPeer *self)
{
  return self->birth.argv == NULL ? self->birth.host : NULL;
}

/* Who it is, in messages */
char *
afrpc_peer_describe (AfrpcPeer *self)
{
  return afrpc_birth_describe (&self->birth);
}

/* @doing: what errno is about. Returns: (transfer full) */
GError *
afrpc_peer_new_system_error (AfrpcPeer  *self,
                             AfrpcError  code,
                             const char *doing)
{
  g_autofree char *reason = afrpc_fd_error_describe (errno);
  g_autofree char *name = afrpc_birth_describe (&self->birth);

  return g_error_new (AFRPC_ERROR, code, "%s: %s: %s", name, doing, reason);
}

int
afrpc_peer_get_pid (AfrpcPeer *self)
{
  return self->body.pid;
}

/* Returns: (nullable): how the process ended, if it has */
AfrpcExit *
afrpc_peer_get_exit (AfrpcPeer *self)
{
  return self->body.exit;
}

AfrpcStart
afrpc_peer_get_start (AfrpcPeer *self)
{
  return self->birth.start;
}

AfrpcRole
afrpc_peer_get_role (AfrpcPeer *self)
{
  return self->talk.role;
}

/* Handles */

/* @process: (nullable): %NULL when it is disposed of */
void
afrpc_peer_set_process (AfrpcPeer                   *self,
                        gpointer                     process,
                        const AfrpcPeerProcessFuncs *funcs)
{
  if (process != NULL)
    self->process_funcs = funcs;
  afrpc_weak_set (&self->process, process);
}

/* @proxy: (nullable): %NULL when it is disposed of */
void
afrpc_peer_set_proxy (AfrpcPeer                 *self,
                      gpointer                   proxy,
                      const AfrpcPeerProxyFuncs *funcs)
{
  if (proxy != NULL)
    self->proxy_funcs = funcs;
  afrpc_weak_set (&self->proxy, proxy);
}

void
afrpc_peer_set_limits (AfrpcPeer *self,
                       guint      n_pending_max,
                       guint64    n_bytes_max,
                       guint64    message_size_max)
{
  self->talk.link.n_pending_max = n_pending_max;
  self->talk.link.n_bytes_max = n_bytes_max;
  self->talk.link.message_size_max = message_size_max;
  /* One message always has room. */
  self->kept_max = MAX (n_bytes_max, message_size_max);
}

/* How many bytes of what has arrived may wait to be told while the thread is blocked, if not what the other limits are. */
void
afrpc_peer_set_kept_max (AfrpcPeer *self,
                         guint64    kept_max)
{
  self->kept_max = kept_max;
}

/* @serialiser: (nullable): how values travel; @may_outlive: the process may go on after the conversation */
void
afrpc_peer_set_conversation (AfrpcPeer       *self,
                             AfrpcSerialiser *serialiser,
                             gboolean         may_outlive)
{
  g_set_object (&self->talk.serialiser, serialiser);
  self->talk.link.is_serialised = serialiser != NULL;
  self->talk.may_outlive = may_outlive;
}

/* Returns: (transfer full): a copy of the program's end, or -1 */
int
afrpc_peer_dup_socket (AfrpcPeer *self)
{
  if (!afrpc_talk_is_connected (&self->talk) || !afrpc_transport_is_local (&self->talk.link.transport))
    return -1;

  return afrpc_low_fd_dup (self->talk.link.transport.in_fd);
}

guint
afrpc_peer_get_n_owed (AfrpcPeer *self)
{
  return afrpc_talk_is_over (&self->talk) ? 0 : self->talk.link.n_pending;
}

gboolean
afrpc_peer_is_closed (AfrpcPeer *self)
{
  return afrpc_talk_is_closed (&self->talk) || self->talk.failure != NULL;
}

/* Whether the worker has said that it wants no new calls; told or not. */
gboolean
afrpc_peer_is_retired (AfrpcPeer *self)
{
  return self->talk.link.has_retired;
}

/* @func (nullable) is called with @data after each turn in the main loop, in which all may have changed that can be
 * asked of the peer. */
void
afrpc_peer_set_turned_func (AfrpcPeer  *self,
                            void      (*func) (gpointer data),
                            gpointer    data)
{
  self->turned = func;
  self->turned_data = data;
}

/* Whether the worker has said that it can be called. */
gboolean
afrpc_peer_is_ready (AfrpcPeer *self)
{
  return self->talk.link.was_ready;
}

/* Whether it is as most are whenever they are asked: ready, not closed, not retired, and without a failure. Then *@n_owed is
 * set, to what afrpc_peer_get_n_owed () would say. */
gboolean
afrpc_peer_is_at_work (AfrpcPeer *self,
                       guint     *n_owed)
{
  const AfrpcTalk *talk = &self->talk;

  if (talk->state != AFRPC_TALK_OPEN || !talk->link.was_ready || talk->link.has_retired || talk->failure != NULL ||
      afrpc_news_has_decided (&self->news, AFRPC_NEWS_CLOSED))
    return FALSE;

  *n_owed = talk->link.n_pending;

  return TRUE;
}

/* Returns: (nullable): what it cannot succeed any more for */
const GError *
afrpc_peer_get_failure (AfrpcPeer *self)
{
  return self->talk.failure;
}

/* Whether it could not be started, and another one like it could not be either. */
gboolean
afrpc_peer_is_impossible (AfrpcPeer *self)
{
  return self->birth.is_impossible;
}

/* Whether it could not be started for want of what may be there again. */
gboolean
afrpc_peer_is_short (AfrpcPeer *self)
{
  return self->birth.is_short;
}

/* Whether a command leads to it, here or elsewhere. */
gboolean
afrpc_peer_is_command (AfrpcPeer *self)
{
  return self->birth.argv != NULL;
}

/* Whether nothing comes any more: calls that were owed an outcome get one because of that. */
gboolean
afrpc_peer_has_ended (AfrpcPeer *self)
{
  return afrpc_talk_is_over (&self->talk);
}

/* Whether the conversation is over, and the process has ended if that does so with it; told or not. */
gboolean
afrpc_peer_is_over (AfrpcPeer *self)
{
  return afrpc_news_has_decided (&self->news, AFRPC_NEWS_CLOSED);
}

/* Whether all that is left to be told of it is its end, and nobody waits for that. */
gboolean
afrpc_peer_owes_nobody (AfrpcPeer *self)
{
  return afrpc_peer_is_over (self) && !afrpc_news_is_waited_for (&self->news) &&
         !afrpc_link_is_waited_for (&self->talk.link) && self->exit_tasks.tasks.length == 0 &&
         self->close_tasks.tasks.length == 0;
}

/* Has something done by the thread of the context: at once if that is this one, or nobody's. @data: (transfer full) */
void
afrpc_peer_do (AfrpcPeer      *self,
               void          (*func) (AfrpcPeer *peer, gpointer data),
               gpointer        data,
               GDestroyNotify  destroy)
{
  AfrpcSourceEntry entry = afrpc_source_enter (&self->member);

  if (entry == AFRPC_SOURCE_ENTERED)
    {
      func (self, data);
      destroy (data);
      afrpc_source_leave (&self->member);
    }
  else if (entry == AFRPC_SOURCE_GONE || !afrpc_source_post (&afrpc_peer_ref (self)->member, func, data, destroy))
    {
      if (entry != AFRPC_SOURCE_GONE)
        afrpc_peer_unref (self);
      destroy (data);
    }
}

/* Has @func called with @data once the main context, which goes, is known to be gone. FALSE: it is known already. */
gboolean
afrpc_peer_do_at_end (AfrpcPeer      *self,
                      gpointer        data,
                      GDestroyNotify  func)
{
  const gboolean is_posted = afrpc_source_post (&afrpc_peer_ref (self)->member, NULL, data, func);

  if (!is_posted)
    afrpc_peer_unref (self);

  return is_posted;
}

/* Gives the process its one job; @options is the payload of the run frame. */
gboolean
afrpc_peer_take (AfrpcPeer      *self,
                 AfrpcRole   role,
                 GVariant       *options,
                 GError        **error)
{
  if (!afrpc_talk_take_role (&self->talk, role, error))
    {
      const gboolean has_job = self->talk.role != AFRPC_ROLE_NONE && self->talk.role != AFRPC_ROLE_HANDED_OVER;
      g_autofree char *name = has_job ? afrpc_birth_describe (&self->birth) : NULL;

      if (has_job && error != NULL && g_error_matches (*error, AFRPC_ERROR, AFRPC_ERROR_IN_USE))
        g_prefix_error (error, "%s: ", name);
      return FALSE;
    }

  afrpc_peer_set_pattern (self, FALSE);
  self->process_held = afrpc_weak_get (&self->process);
  if (role == AFRPC_ROLE_HANDED_OVER)
    afrpc_birth_begin (self);
  else
    afrpc_birth_run (self, options);
  afrpc_peer_attend (self);

  return TRUE;
}

/* Goes on with a process that another has prepared; @fd: (transfer full); @pidfd: (transfer full), or -1: there is none
 * to be had. */
void
afrpc_peer_adopt (AfrpcPeer *self,
                  int        fd,
                  int        pidfd)
{
  AfrpcSpawned spawned = { .pidfd = pidfd };

  if (pidfd >= 0 && !afrpc_pidfd_get_pid (pidfd, &spawned.pid))
    {
      close (fd);
      close (pidfd);
      afrpc_birth_fail (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_FAILED,
                                           "file descriptor %d stands for no process", pidfd));
      return;
    }

  /* It has ended already: there is nothing left to signal, and its last words, if any, are in the socket. */
  if (pidfd >= 0 && spawned.pid < 0)
    {
      close (pidfd);
      spawned = (AfrpcSpawned) { .pidfd = -1 };
    }
  fd = afrpc_low_fd_lift (fd);
  spawned.pidfd = afrpc_low_fd_lift (spawned.pidfd);
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  if (spawned.pidfd >= 0)
    fcntl (spawned.pidfd, F_SETFD, FD_CLOEXEC);
  afrpc_link_adopt (&self->talk.link, fd);
  self->birth.is_tried = self->birth.is_begun = self->birth.has_unknown_steps = TRUE;
  afrpc_body_adopt (&self->body, &spawned);
  afrpc_peer_update_watch (self);
}

void
afrpc_hand_over_free (AfrpcHandOver *self)
{
  if (self->fd >= 0)
    close (self->fd);
  if (self->pidfd >= 0)
    close (self->pidfd);
  g_free (self);
}

/* Nobody may ever run a main loop that writes what is queued. */
static void
flush_without_loop (AfrpcPeer *self)
{
  if (afrpc_source_is_running (&self->member) || afrpc_source_enter (&self->member) != AFRPC_SOURCE_ENTERED)
    return;

  afrpc_peer_flush (self);
  afrpc_source_leave (&self->member);
}

/* The proxy is closed, and may be dropped: it is there until it was told that all is over, whatever has been decided of that
 * by now. Once its main context has gone, nobody is told anything. */
void
afrpc_peer_hold_proxy (AfrpcPeer *self)
{
  if (self->proxy_held == NULL && self->member.source != NULL && !afrpc_news_has_told (&self->news, AFRPC_NEWS_CLOSED))
    self->proxy_held = afrpc_weak_get (&self->proxy);
  if (afrpc_peer_is_over (self))
    afrpc_peer_forget_untold (self);
}

/* Has the worker finish what it has, and end. */
void
afrpc_peer_close (AfrpcPeer *self)
{
  if (afrpc_peer_is_inherited (self))
    return;

  afrpc_peer_hold_proxy (self);
  if (afrpc_talk_is_closed (&self->talk))
    return;

  afrpc_talk_close (&self->talk);
  flush_without_loop (self);
  afrpc_peer_attend (self);
}

/* Somebody else's child, or a template's, that cannot be signalled, or has not proved in time that it is the one which
 * would be: there is nothing more to do with it. */
static void
kill_foreign (AfrpcPeer *self)
{
  const gboolean is_known = self->body.state != AFRPC_BODY_UNPROVEN;
  const gboolean has_time = self->exit_deadline != AFRPC_DEADLINES_NEVER;

  if (is_known ? !afrpc_body_can_signal (&self->body) : !has_time && self->body.kill_signum == SIGKILL)
    afrpc_peer_fall_silent (self);
  else if (!is_known && !has_time)
    afrpc_peer_set_deadline (self, &self->exit_deadline, g_get_monotonic_time () + AFRPC_PEER_DROP_GRACE_US);
}

static GError *
new_killed_error (AfrpcPeer *self)
{
  g_autofree char *name = afrpc_birth_describe (&self->birth);

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED, "%s: the process was killed before it was started", name);
}

void
afrpc_peer_kill (AfrpcPeer *self,
                 int        signum)
{
  const gboolean is_asked_for = afrpc_body_may_be_there (&self->body);

  if (afrpc_peer_is_inherited (self))
    return;

  if (signum == SIGKILL && (afrpc_body_is_foreign (&self->body) || self->body.state == AFRPC_BODY_GRANDCHILD))
    kill_foreign (self);
  /* The template may have made it already: it ends as soon as it is known which it is, and begins nothing meanwhile. */
  if (is_asked_for)
    {
      afrpc_peer_fail (self, new_killed_error (self));
      /* Who has done that need not be warned of it. */
      self->failure_is_known = TRUE;
    }
  if (!afrpc_body_kill (&self->body, is_asked_for ? SIGKILL : signum) &&
      (!self->birth.is_tried || self->birth.is_pattern))
    afrpc_birth_fail (self, new_killed_error (self));
  if (self->body.state == AFRPC_BODY_DOUBTFUL)
    afrpc_birth_look_for_unheard (self);
  afrpc_peer_attend (self);
}

/* The same by the program, which need not be warned of what comes of it. */
void
afrpc_peer_kill_as_asked (AfrpcPeer *self,
                          int        signum)
{
  self->is_kill_asked_for |= self->talk.failure == NULL;
  afrpc_peer_kill (self, signum);
}

/* More of the process is known than before. */
void
afrpc_peer_push_known (AfrpcPeer *self)
{
  g_autoptr(GObject) process = afrpc_weak_get (&self->process);

  if (process != NULL && self->process_funcs->is_notified (process) &&
      afrpc_news_may_decide (self->news.decided, AFRPC_NEWS_KNOWN))
    afrpc_news_push (&self->news, AFRPC_NEWS_KNOWN);
}

/* There is a process: it is watched. */
void
afrpc_peer_take_body (AfrpcPeer          *self,
                      AfrpcStart          start,
                      const AfrpcSpawned *spawned,
                      gboolean            is_child)
{
  self->birth.start = start;
  afrpc_body_take (&self->body, spawned, is_child);
  afrpc_birth_close_stdio (self);
  if (self->talk.link.state == AFRPC_LINK_GREETING && !afrpc_talk_is_silent (&self->talk))
    afrpc_peer_set_deadline (self, &self->talk.greeting_deadline,
                             g_get_monotonic_time () + AFRPC_PEER_GREETING_TIMEOUT_US);
  afrpc_source_set_deadline (self->member.source, self->body.reap_deadline);
  afrpc_peer_push_known (self);
  afrpc_peer_update_watch (self);
}
