/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process is forked: by a template, which is another peer. What is for the new process is written before the
 * template has answered, and kept until it is known that there is one: it may be that another has to be executed. A
 * process exists from the moment of the fork: if the template's answer is lost, its greeting says who it is. */
#include "config.h"

#include "peer/afrpc-peer-birth.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "peer/afrpc-self-private.h"
#include "peer/afrpc-peer.h"
#include "os/afrpc-pidfd.h"

#define MANY_FORKS 32u /* that a template owes */
#define HEARD_MS 1000 /* until a process that has been made must have said something, while nobody iterates for it */

/* Default templates */

/* The program itself has been forked already, if it is to be its own worker. */
static AfrpcPeer *
new_template (const char *host)
{
  AfrpcPeer *peer = afrpc_peer_new (host);
  AfrpcSpawned spawned;
  int fd;

  if (g_str_equal (host, AFRPC_SELF_HOST) && afrpc_self_take_template (&fd, &spawned.pid, &spawned.pidfd))
    {
      fcntl (fd, F_SETFL, O_NONBLOCK);
      afrpc_link_connect (&peer->talk.link, fd);
      peer->birth.is_tried = TRUE;
      afrpc_birth_begin (peer);
      afrpc_peer_take_body (peer, AFRPC_START_FORK, &spawned, TRUE);
    }

  return peer;
}

/* Returns: (transfer full): a process of @host with nothing loaded, of the thread-default main context, which stays. */
AfrpcPeer *
afrpc_peer_ref_default_template (const char *host)
{
  GPtrArray *templates = afrpc_source_get_templates (afrpc_source_get ());
  AfrpcPeer *peer;

  for (guint i = templates->len; i-- > 0;)
    {
      peer = ((AfrpcSourceMember *) templates->pdata[i])->peer;
      if (peer->talk.failure != NULL || afrpc_talk_is_silent (&peer->talk))
        g_ptr_array_remove_index_fast (templates, i);
      else if (g_str_equal (peer->birth.host, host))
        return afrpc_peer_ref (peer);
    }
  peer = new_template (host);
  g_ptr_array_add (templates, &peer->member);

  return afrpc_peer_ref (peer);
}

/* Asking */

/* Whether it can be asked to fork: otherwise it ended, and what it was prepared with is executed and prepared anew. */
static gboolean
can_ask (AfrpcPeer *template)
{
  return template->talk.failure == NULL && !afrpc_talk_is_silent (&template->talk);
}

/* Whether another process, prepared like this one, would fail like it. */
static gboolean
is_hopeless (AfrpcPeer *template)
{
  const GError *failure = template->talk.failure;

  /* A command is run again, and may lead to something else then: what this program was wrong about stays wrong. */
  if (template->birth.argv != NULL)
    return g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED) ||
           g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);

  return failure != NULL && !template->birth.is_short && !g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_DIED) &&
         !g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_CLOSED) &&
         !g_error_matches (failure, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
}

/* Another process cannot be prepared like it. */
static GError *
new_unknown_steps_error (const AfrpcPeer *template) /* (nullable) */
{
  const GError *failure = template != NULL ? template->talk.failure : NULL;

  return g_error_new (AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED,
                      "what was handed over cannot be forked any more, and what it was prepared with is not known here%s%s",
                      failure != NULL ? ": " : "", failure != NULL ? failure->message : "");
}

/* Returns: which of the program's standard streams it has, as far as is known: what another program has handed over has
 * those of that one. */
static guint8
get_shared_stdio (AfrpcPeer *template)
{
  guint8 which = 0;

  for (guint i = 0; i < 3 && !afrpc_body_is_foreign (&template->body); i++)
    if (template->birth.stdio[i] == AFRPC_STDIO_INHERIT)
      which |= 1 << i;

  return which;
}

/* One of very many that are asked for at once need not wait for the main loop with the descriptors that it is to get: they are
 * the program's until then. */
static void
flush_last_of_many (AfrpcPeer *template)
{
  g_autoptr(AfrpcPeer) last = NULL;

  if (template->birth.forks.length < MANY_FORKS)
    return;

  last = afrpc_peer_ref (g_queue_peek_tail (&template->birth.forks));
  afrpc_peer_flush (last);
}

static gboolean
ask (AfrpcPeer  *peer,
     AfrpcPeer  *template,
     GError    **error)
{
  int other;

  flush_last_of_many (template);
  if (!afrpc_birth_connect (peer, &other, error))
    return FALSE;

  afrpc_link_keep (&peer->talk.link);
  afrpc_link_ask_sender (&peer->talk.link);
  afrpc_birth_begin (template);
  afrpc_body_become_template (&template->body);
  peer->birth.asked_at = afrpc_link_get_position (&template->talk.link);
  afrpc_link_prepare (&template->talk.link, AFRPC_FRAME_FORK, NULL, &other, 1);
  peer->birth.template = afrpc_peer_ref (template);
  peer->birth.n_inherited = peer->birth.steps->len;
  peer->birth.shared_stdio = get_shared_stdio (template);
  afrpc_body_await (&peer->body);
  g_queue_push_tail (&template->birth.forks, afrpc_peer_ref (peer));
  peer->birth.place = template->birth.forks.tail;
  afrpc_peer_attend (template);
  /* At once: it forks while the program gets ready what the new process is to be told. */
  afrpc_peer_flush (template);

  return TRUE;
}

/* Takes @peer off those that the template owes an answer. Returns: (transfer full): it */
static AfrpcPeer *
remove_fork (AfrpcPeer *template,
             AfrpcPeer *peer)
{
  g_queue_delete_link (&template->birth.forks, g_steal_pointer (&peer->birth.place));
  if (peer->birth.is_heir)
    template->birth.n_heirs--;

  return peer;
}

/* Returns: (transfer full) (nullable): the one that was asked for first */
static AfrpcPeer *
pop_fork (AfrpcPeer *template)
{
  AfrpcPeer *peer = g_queue_peek_head (&template->birth.forks);

  return peer != NULL ? remove_fork (template, peer) : NULL;
}

/* It is known whether it was forked: its template is not needed any more. */
static void
leave_template (AfrpcPeer *peer)
{
  if (peer->birth.template != NULL)
    afrpc_birth_inherit (&peer->birth, &peer->birth.template->birth);
  g_clear_pointer (&peer->birth.template, afrpc_peer_unref);
}

/* Queues what was queued before a second start. */
static void
replay (AfrpcPeer *peer)
{
  if (!peer->birth.is_begun)
    return;

  peer->birth.is_begun = FALSE;
  peer->birth.is_replaying = TRUE;
  if (peer->birth.run_options != NULL)
    afrpc_birth_run (peer, peer->birth.run_options);
  else
    afrpc_birth_begin (peer);
  peer->birth.is_replaying = FALSE;
}

/* Has @peer, which is new, forked from @template. */
void
afrpc_birth_ask_template (AfrpcPeer *peer,
                          AfrpcPeer *template)
{
  GError *error = NULL;

  for (guint i = 0; i < template->birth.steps->len; i++)
    g_ptr_array_add (peer->birth.steps, g_rc_box_acquire (template->birth.steps->pdata[i]));
  peer->body.limits = template->body.limits;
  peer->birth.has_unknown_steps = template->birth.has_unknown_steps;
  /* Until it is known how that was started. */
  afrpc_birth_inherit (&peer->birth, &template->birth);

  if (template->talk.role == AFRPC_ROLE_HANDED_OVER)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "a process that was handed over cannot be forked any more");
  else if (template->talk.role != AFRPC_ROLE_NONE)
    {
      g_autofree char *name = afrpc_birth_describe (&template->birth);

      g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "%s: the process runs a function, and cannot be forked any more",
                   name);
    }
  else if (is_hopeless (template))
    {
      error = g_error_copy (template->talk.failure);
      peer->birth.is_impossible = template->birth.is_impossible;
    }
  /* A command is run again, and so is what has ended; its process is prepared from the beginning. */
  else if (template->birth.argv == NULL && can_ask (template))
    peer->birth.is_short = !ask (peer, template, &error);
  else if (template->birth.has_unknown_steps)
    error = new_unknown_steps_error (template);

  if (error != NULL)
    afrpc_birth_fail (peer, error);
}

/* The template starts for the second time: what was asked of it after its first @n_steps steps is asked again. Nobody
 * had got the other end of the socket, so there is a new one. */
void
afrpc_birth_replay_forks (AfrpcPeer *template,
                       guint      n_steps)
{
  for (GList *l = template->birth.forks.head, *next; l != NULL; l = next)
    {
      AfrpcPeer *peer = l->data;
      g_autoptr(GArray) lost = NULL;
      GError *error = NULL;
      int other;

      next = l->next;
      if (peer->birth.is_heir)
        {
          afrpc_birth_doubt (peer);
          afrpc_peer_unref (remove_fork (template, peer));
          continue;
        }
      if (peer->birth.n_inherited != n_steps || peer->body.state != AFRPC_BODY_AWAITED ||
          afrpc_talk_is_over (&peer->talk))
        continue;

      afrpc_source_poll (&peer->member, &peer->member.socket, -1, 0);
      lost = afrpc_link_restart (&peer->talk.link, FALSE);
      afrpc_link_keep (&peer->talk.link);
      if (!afrpc_birth_connect (peer, &other, &error))
        {
          afrpc_birth_fail (peer, error);
          afrpc_peer_unref (remove_fork (template, peer));
          continue;
        }
      afrpc_link_ask_sender (&peer->talk.link);
      peer->birth.asked_at = afrpc_link_get_position (&template->talk.link);
      afrpc_link_prepare (&template->talk.link, AFRPC_FRAME_FORK, NULL, &other, 1);
      replay (peer);
    }
}

/* Returns: (nullable): the process that this one cannot begin, or end, without. */
AfrpcPeer *
afrpc_birth_get_template (AfrpcPeer *peer)
{
  return peer->birth.template != NULL ? peer->birth.template : peer->birth.reaper;
}

/* Answers */

/* There is such a process: nothing is going to be written again. */
static void
take_forked (AfrpcPeer          *peer,
             const AfrpcSpawned *spawned,
             gboolean            is_child,
             AfrpcPeer          *template)
{
  afrpc_link_confirm (&peer->talk.link);
  if (!is_child)
    {
      peer->birth.reaper = afrpc_peer_ref (template);
      g_ptr_array_add (template->birth.reaped_for, peer);
    }
  leave_template (peer);
  afrpc_peer_take_body (peer, AFRPC_START_FORK, spawned, is_child);
  afrpc_birth_greeted (peer);
  afrpc_peer_attend (peer);
}

/* Calls that a process may have begun whose end nobody saw. */
static void
decide_lost (AfrpcPeer *peer,
             GArray    *lost)
{
  g_autofree char *name = afrpc_birth_describe (&peer->birth);

  for (guint i = 0; i < lost->len; i++)
    {
      const AfrpcLinkSlot *slot = &g_array_index (lost, AfrpcLinkSlot, i);
      AfrpcPending *call = slot->call.owner;

      afrpc_pending_decide (call, slot->started, NULL, NULL,
                            g_error_new (AFRPC_ERROR, AFRPC_ERROR_DIED,
                                         "%s: the process died together with the one that it was forked from",
                                         name));
      if (afrpc_pending_is_told (call))
        afrpc_news_push_outcome (&peer->news, call);
    }
}

/* There is none: it is executed and prepared from the beginning. @may_exist: there may have been one. */
static void
exec_instead (AfrpcPeer *peer,
              gboolean   may_exist)
{
  g_autoptr(GArray) lost = NULL;

  if (peer->birth.host == NULL && peer->birth.template != NULL)
    peer->birth.host = g_strdup (peer->birth.template->birth.host);
  leave_template (peer);
  if (peer->talk.failure != NULL || afrpc_talk_is_over (&peer->talk))
    {
      afrpc_body_never (&peer->body);
      afrpc_peer_attend (peer);
      return;
    }

  afrpc_body_unawait (&peer->body);
  if (peer->birth.template_failure == NULL && peer->birth.has_unknown_steps)
    peer->birth.template_failure = new_unknown_steps_error (NULL);
  if (peer->birth.template_failure != NULL)
    {
      afrpc_birth_fail (peer, g_steal_pointer (&peer->birth.template_failure));
      return;
    }

  afrpc_source_poll (&peer->member, &peer->member.socket, -1, 0);
  lost = afrpc_link_restart (&peer->talk.link, may_exist);
  afrpc_talk_restart (&peer->talk);
  decide_lost (peer, lost);
  peer->birth.n_inherited = 0;
  replay (peer);
  if (peer->talk.state == AFRPC_TALK_CLOSING)
    afrpc_link_close (&peer->talk.link);
  if (peer->birth.is_tried)
    afrpc_birth_exec (peer);
  afrpc_peer_attend (peer);
}

/* Whether a process that has not greeted yet cannot be the one that was forked: that has its socket from the beginning.
 * Otherwise another child of the program, with which it has nothing to do, would be killed and reaped. */
static gboolean
is_another_child (AfrpcPeer           *peer,
                  const AfrpcLinkItem *item)
{
  const AfrpcTransport *transport = &peer->talk.link.transport;
  int n_before = 0, n = 0;

  if (!item->direct || peer->birth.other_inode == 0 || afrpc_link_get_sender (&peer->talk.link) != 0)
    return FALSE;

  ioctl (transport->in_fd, FIONREAD, &n_before);
  if (n_before != 0 || afrpc_pidfd_has_socket (item->pid, peer->birth.other_inode, AFRPC_SPAWN_SOCKET_FD) != 0)
    return FALSE;

  ioctl (transport->in_fd, FIONREAD, &n);

  return n == 0;
}

/* A template that lies would have us watch, signal and reap whatever it likes. Whether it is really this one that it
 * has forked, the kernel says with the greeting.
 *
 * The pidfd may be missing because there was no room for it, and there may be none now: then a child is waited for by
 * its number, which is safe as long as it is ours to reap, and that of somebody else is not signalled. */
static gboolean
check_forked (AfrpcPeer      *template,
              AfrpcPeer      *peer,
              AfrpcLinkItem  *item,
              GError        **error)
{
  const gboolean is_new = item->pid != template->body.pid && !afrpc_body_is_taken (item->pid) &&
                          !is_another_child (peer, item);

  if (is_new && item->pidfd >= 0 &&
      afrpc_pidfd_is_process (item->pidfd, item->pid, item->direct ? getpid () : template->body.pid))
    return TRUE;
  if (is_new && item->pidfd < 0 && (!item->direct || afrpc_spawn_find (item->pid, &item->pidfd)))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "process %d is none that it has forked", item->pid);
  return FALSE;
}

/* The template's answer to the oldest request. */
void
afrpc_birth_forked (AfrpcPeer     *template,
                    AfrpcLinkItem *item)
{
  g_autoptr(AfrpcPeer) peer = pop_fork (template);
  GError *error = NULL;
  AfrpcSpawned spawned;

  if (peer == NULL)
    {
      afrpc_peer_break_off (template, g_error_new (AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                                                   "a process that nobody asked for"));
      return;
    }
  if (item->error != NULL)
    {
      if (peer->birth.has_unknown_steps)
        peer->birth.template_failure = g_error_copy (item->error);
      exec_instead (peer, FALSE);
      return;
    }
  if (!check_forked (template, peer, item, &error))
    {
      afrpc_peer_break_off (template, error);
      afrpc_birth_fail (peer, g_error_copy (template->talk.failure));
      return;
    }

  spawned = (AfrpcSpawned) { item->pid, item->pidfd };
  item->pid = 0;
  take_forked (peer, &spawned, item->direct, template);
}

/* Says how a process has ended that is the template's child and not the program's. */
void
afrpc_birth_child_exited (AfrpcPeer     *template,
                          AfrpcLinkItem *item)
{
  for (guint i = 0; i < template->birth.reaped_for->len; i++)
    {
      AfrpcPeer *peer = template->birth.reaped_for->pdata[i];

      if (peer->body.pid != item->pid || peer->body.state != AFRPC_BODY_GRANDCHILD)
        continue;

      afrpc_body_set_exit (&peer->body, &item->status);
      afrpc_birth_leave_reaper (peer);
      afrpc_peer_update_watch (peer);
      afrpc_peer_attend (peer);
      return;
    }
}

void
afrpc_birth_leave_reaper (AfrpcPeer *peer)
{
  if (peer->birth.reaper == NULL)
    return;

  g_ptr_array_remove_fast (peer->birth.reaper->birth.reaped_for, peer);
  afrpc_peer_attend (peer->birth.reaper);
  g_clear_pointer (&peer->birth.reaper, afrpc_peer_unref);
}

/* No answer */

/* There is a process whose template cannot say any more that there is; @pid: which, or 0. */
static void
take_heard (AfrpcPeer *peer,
            int        pid)
{
  AfrpcSpawned spawned = { .pid = pid, .pidfd = -1 };
  const gboolean is_child = pid != 0 && !afrpc_body_is_taken (pid) && afrpc_spawn_find (pid, &spawned.pidfd);

  afrpc_link_confirm (&peer->talk.link);
  leave_template (peer);
  if (is_child)
    afrpc_peer_take_body (peer, AFRPC_START_FORK, &spawned, TRUE);
  else
    {
      /* It was the template's child, and is now nobody's that would say how it ends. */
      spawned.pid = 0;
      peer->birth.start = AFRPC_START_FORK;
      afrpc_body_adopt (&peer->body, &spawned);
      afrpc_peer_push_known (peer);
      afrpc_peer_update_watch (peer);
    }
  afrpc_peer_attend (peer);
}

/* Who is at the other end has said so, and the kernel which process that is. */
void
afrpc_birth_greeted (AfrpcPeer *peer)
{
  const int pid = afrpc_link_get_sender (&peer->talk.link);
  const int pid_before = peer->body.pid;

  if (peer->birth.host == NULL && peer->talk.link.host != NULL)
    {
      peer->birth.host = g_strdup (peer->talk.link.host);
      afrpc_peer_push_known (peer);
    }

  /* What was heard before the template has answered is looked at when it has. */
  if (peer->talk.link.state == AFRPC_LINK_GREETING || peer->body.state == AFRPC_BODY_AWAITED)
    return;

  if (peer->body.state == AFRPC_BODY_DOUBTFUL)
    take_heard (peer, pid);
  else if (pid != 0 && !afrpc_body_prove (&peer->body, pid))
    {
      afrpc_birth_leave_reaper (peer);
      afrpc_peer_break_off (peer, g_error_new (AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                                               "process %d speaks, and not the one that it should be", pid));
    }
  else if (peer->body.pid != pid_before)
    afrpc_peer_push_known (peer);
  /* Now its descriptor is known to be its own, and it may be told what waits. */
  if (afrpc_peer_watches_foreign (peer))
    afrpc_peer_update_watch (peer);
  if (afrpc_body_is_foreign (&peer->body) && afrpc_talk_has_output (&peer->talk))
    afrpc_peer_flush (peer);
}

/* Returns: who has written to the connection, by what the kernel says, or 0: nobody */
static int
find_sender (AfrpcPeer *peer)
{
  AfrpcTransport *transport = &peer->talk.link.transport;

  if (transport->sender_pid == 0 && transport->in_fd >= 0 && !afrpc_transport_has_read (transport))
    afrpc_transport_read (transport, NULL);

  return transport->sender_pid;
}

/* Returns: (nullable): who has what there may be of its template */
static AfrpcPeer *
get_template (AfrpcPeer *peer)
{
  AfrpcPeer *template = peer->birth.template;

  return template != NULL && template->birth.heir != NULL ? template->birth.heir : template;
}

/* A template has the name of what it makes meanwhile, and may not be known itself: but it has said who it is before.
 * Returns: its number, or 0 */
static int
find_template (AfrpcPeer *peer)
{
  AfrpcPeer *template = get_template (peer);

  if (template == NULL)
    return 0;

  if (!afrpc_peer_is_over (template))
    afrpc_peer_attend (template);

  return find_sender (template);
}

static int
find_child (AfrpcPeer *peer,
            int        other_pid)
{
  return afrpc_pidfd_find_child (peer->birth.other_inode, AFRPC_SPAWN_SOCKET_FD, afrpc_body_is_taken, other_pid);
}

/* Returns: the process that there is, by what the kernel says of who has written to the connection, or of who among our
 * children has its other end, or had it; 0: there is none, as far as can be told */
static int
find_unheard (AfrpcPeer *peer)
{
  int pid = find_sender (peer);

  /* Whoever has that end of what nobody was asked for then got it from this program: a copy of it, say. */
  if (pid == 0 && !peer->birth.is_unasked)
    pid = find_child (peer, find_template (peer));
  /* It may have begun in between. */
  if (pid != 0 && pid == find_template (peer))
    pid = find_child (peer, pid);

  /* It may have got its job meanwhile, and so have written, and died. */
  return pid != 0 ? pid : find_sender (peer);
}

/* It is to end, and may never come to say that it is there. */
void
afrpc_birth_look_for_unheard (AfrpcPeer *peer)
{
  const int pid = find_unheard (peer);

  peer->birth.has_to_look = FALSE;
  if (pid != 0)
    take_heard (peer, pid);
}

/* A process that its template could not tell of has not greeted, and nothing more is read: it has died, or there never
 * was one; or it is there all the same, and is of no use. */
void
afrpc_birth_unheard (AfrpcPeer *peer)
{
  const int pid = find_unheard (peer);

  if (pid == 0)
    {
      exec_instead (peer, TRUE);
      return;
    }

  afrpc_body_kill (&peer->body, SIGKILL);
  take_heard (peer, pid);
}

/* Ends what the template may have made, if it has: nobody is going to be told which process that is but by what it says
 * itself. The template ends, so that either that comes soon, or the end of the connection. */
static void
end_unknown (AfrpcPeer *peer)
{
  AfrpcPeer *template = get_template (peer);
  AfrpcTransport *transport = &peer->talk.link.transport;
  AfrpcSpawned spawned = { .pidfd = -1 };
  struct pollfd poller = { transport->in_fd, POLLIN, 0 };

  if (peer->birth.is_sought)
    return;
  peer->birth.is_sought = TRUE;
  /* What is not known itself would go on and make it afterwards. */
  if (template != NULL && afrpc_body_may_be_there (&template->body))
    end_unknown (template);
  else if (template != NULL && template->body.state == AFRPC_BODY_CHILD)
    afrpc_spawn_signal (&template->body.spawned, SIGKILL);
  while (transport->in_fd >= 0 && transport->sender_pid == 0 && poll (&poller, 1, HEARD_MS) == 1 &&
         afrpc_transport_read (transport, NULL) == AFRPC_STEP_DONE && !afrpc_transport_has_read (transport))
    ;

  spawned.pid = find_unheard (peer);
  if (spawned.pid != 0 && !afrpc_body_is_taken (spawned.pid) && afrpc_spawn_find (spawned.pid, &spawned.pidfd))
    afrpc_spawn_end (&spawned);
}

/* The main context has gone: nobody is forked any more, and what was being forked is ended and reaped here. */
void
afrpc_birth_context_gone (AfrpcPeer *self)
{
  AfrpcPeer *peer;

  if (afrpc_body_may_be_there (&self->body))
    end_unknown (self);
  if (self->birth.template != NULL && self->birth.place != NULL)
    afrpc_peer_unref (remove_fork (self->birth.template, self));
  g_clear_pointer (&self->birth.template, afrpc_peer_unref);
  while ((peer = pop_fork (self)) != NULL)
    afrpc_peer_unref (peer);
  afrpc_birth_leave_reaper (self);
}

/* The template is not going to say whether there is such a process. One that is to end is not waited for to say so, as it
 * may never come to that: it is looked for, when it is its turn, since there may be many. */
void
afrpc_birth_doubt (AfrpcPeer *peer)
{
  afrpc_body_doubt (&peer->body);
  afrpc_peer_set_deadline (peer, &peer->talk.greeting_deadline,
                           g_get_monotonic_time () + AFRPC_PEER_GREETING_TIMEOUT_US);
  afrpc_birth_greeted (peer);
  peer->birth.has_to_look = peer->body.state == AFRPC_BODY_DOUBTFUL && peer->talk.failure != NULL;
  afrpc_peer_update_watch (peer);
  afrpc_peer_attend (peer);
}

/* The template is not going to answer those that it owes one. It may have made them all the same; if not, what was wrong
 * with it is wrong with them too, if it could not be prepared. */
void
afrpc_birth_template_gone (AfrpcPeer *template)
{
  const gboolean is_hopeless_now = is_hopeless (template) && !template->is_dropped;
  AfrpcPeer *peer;

  while ((peer = pop_fork (template)) != NULL)
    {
      if (peer->body.state != AFRPC_BODY_AWAITED)
        ;
      else if ((is_hopeless_now || template->birth.is_short) && template->body.state == AFRPC_BODY_NEVER)
        {
          peer->birth.is_impossible = template->birth.is_impossible;
          peer->birth.is_short = template->birth.is_short;
          afrpc_link_rule_out (&peer->talk.link);
          afrpc_birth_fail (peer, g_error_copy (template->talk.failure));
        }
      else
        {
          if (peer->birth.has_unknown_steps)
            peer->birth.template_failure = new_unknown_steps_error (template);
          else if (is_hopeless_now)
            peer->birth.template_failure = g_error_copy (template->talk.failure);
          peer->birth.is_unasked = afrpc_link_is_unwritten (&template->talk.link, peer->birth.asked_at);
          afrpc_birth_doubt (peer);
        }
      afrpc_peer_unref (peer);
    }
}
