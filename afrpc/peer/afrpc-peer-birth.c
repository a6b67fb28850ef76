/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a peer is prepared with is told to its process. */
#include "config.h"

#include "peer/afrpc-peer-birth.h"
#include "os/afrpc-low-fd.h"
#include "peer/afrpc-peer.h"

#include <fcntl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-lifeline.h"
#include "wire/afrpc-options.h"

/* There is not going to be a process: whoever waits for it is told why. */
void
afrpc_birth_fail (AfrpcPeer *peer,
                  GError    *error) /* (transfer full) */
{
  peer->birth.is_tried = TRUE;
  g_clear_pointer (&peer->birth.template, afrpc_peer_unref);
  if (!afrpc_body_is_there (&peer->body) && !afrpc_body_is_over (&peer->body))
    afrpc_body_never (&peer->body);
  afrpc_peer_fail (peer, error);
}

/* It cannot be prepared for want of what may be there again: another one like it may have it. */
static void
fail_for_want (AfrpcPeer *peer,
               GError    *error) /* (transfer full) */
{
  /* What else is missing then changes nothing. */
  peer->birth.is_short |= peer->talk.failure == NULL;
  afrpc_peer_fail (peer, error);
}

/* There is a process, and it has what it needs. */
void
afrpc_birth_close_stdio (AfrpcPeer *peer)
{
  for (int i = 0; i < 3; i++)
    {
      if (peer->birth.fds[i] >= 0)
        close (peer->birth.fds[i]);
      peer->birth.fds[i] = -1;
    }
}

/* Steps */

static void
send_steps (AfrpcPeer *peer,
            guint      first)
{
  AfrpcBirth *self = &peer->birth;

  for (guint i = first; i < self->steps->len; i++)
    {
      AfrpcBirthStep *step = self->steps->pdata[i];
      g_autoptr(GVariant) value = NULL;
      GError *error = NULL;
      int fd;

      if (self->is_replaying)
        afrpc_birth_replay_forks (peer, i);
      fd = step->fd >= 0 ? afrpc_low_fd_lift (fcntl (step->fd, F_DUPFD_CLOEXEC, 0)) : -1;
      if (step->fd >= 0 && fd < 0)
        fail_for_want (peer, afrpc_peer_new_system_error (peer, AFRPC_ERROR_SPAWN, "copying a file descriptor"));
      else if (!afrpc_birth_get_value (peer, step, &value, &error))
        afrpc_peer_fail (peer, error);
      else
        afrpc_link_prepare (&peer->talk.link, step->kind, value, &fd, fd >= 0 ? 1 : 0);
    }
  if (self->is_replaying)
    afrpc_birth_replay_forks (peer, self->steps->len);
  self->is_begun = TRUE;
}

/* What it was to be prepared with is missing: nothing like it can be made. */
void
afrpc_peer_fail_step (AfrpcPeer *peer,
                      GError    *error) /* (transfer full) */
{
  peer->birth.is_short = FALSE;
  afrpc_peer_fail (peer, error);
}

/* Prepares it with one thing more; @fd: (transfer full), or -1. */
void
afrpc_peer_prepare (AfrpcPeer      *peer,
                     AfrpcFrameKind  kind,
                     GVariant       *value,
                     int             fd)
{
  afrpc_birth_add_step (&peer->birth, kind, value, fd);

  if (value != NULL && g_variant_get_size (value) > AFRPC_FRAME_PREPARE_SIZE_MAX)
    afrpc_peer_fail_step (peer, g_error_new (AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                                             "a process is prepared with %" G_GSIZE_FORMAT " bytes at once, the limit is %u",
                                             g_variant_get_size (value), AFRPC_FRAME_PREPARE_SIZE_MAX));
  else if (peer->birth.is_begun && peer->talk.state == AFRPC_TALK_OPEN)
    send_steps (peer, peer->birth.steps->len - 1);
  afrpc_peer_attend (peer);
}

/* The worker is ready: nobody is going to need them again. */
void
afrpc_birth_forget_steps (AfrpcPeer *peer)
{
  GVariant *module = afrpc_birth_find_module (&peer->birth);

  if (module != NULL && peer->birth.module == NULL)
    peer->birth.module = g_variant_ref (module);
  g_ptr_array_set_size (peer->birth.steps, 0);
  afrpc_birth_forget_origin (&peer->birth);
}

/* Whether the process begins as a copy, and an exec has set nothing. */
static gboolean
is_forked (const AfrpcBirth *self)
{
  return self->n_inherited > 0 || self->template != NULL;
}

static GVariant *
new_bytes_array (char **strings)
{
  return g_variant_new_bytestring_array ((const char *const *) strings, -1);
}

/* Adds to @dict what the process is limited to. A command leads its group itself; the host that it leads to may be
 * elsewhere. */
static void
insert_limits (AfrpcPeer          *peer,
               AfrpcOptionsWriter *dict)
{
  afrpc_limits_insert (&peer->body.limits, dict);
  if (peer->body.limits.leads_group && peer->birth.argv == NULL)
    afrpc_options_add_boolean (dict, "group", TRUE);
}

/* Adds to @dict what an exec would have set: environment, working directory, standard streams; and limits. The
 * descriptors that go with it are the caller's. */
void
afrpc_birth_insert_surroundings (AfrpcPeer          *peer,
                                 AfrpcOptionsWriter *dict,
                                 int                 fds[3],
                                 guint              *n_fds)
{
  AfrpcBirth *self = &peer->birth;
  g_autoptr(GArray) closing = g_array_new (FALSE, FALSE, sizeof (int));
  GError *error = NULL;
  int stdio[3];
  guint8 which = 0;

  *n_fds = 0;
  if (!afrpc_birth_open_stdio (peer, self->shared_stdio, stdio, closing, &error))
    {
      for (guint i = 0; i < closing->len; i++)
        close (g_array_index (closing, int, i));
      fail_for_want (peer, error);
      return;
    }

  for (guint i = 0; i < 3; i++)
    if (stdio[i] >= 0)
      {
        which |= 1 << i;
        fds[(*n_fds)++] = stdio[i];
      }
  afrpc_options_add_byte (dict, "stdio", which);
  if (self->environ != NULL)
    afrpc_options_add (dict, "environ", new_bytes_array (self->environ));
  if (self->cwd != NULL)
    afrpc_options_add (dict, "cwd", g_variant_new_bytestring (self->cwd));
  insert_limits (peer, dict);
}

/* @lifeline_fd: (transfer full): or -1 */
static void
send_surroundings (AfrpcPeer *peer,
                   int        lifeline_fd)
{
  g_autoptr(GVariant) value = NULL;
  AfrpcOptionsWriter dict;
  int fds[4];
  guint n_fds = 0;

  afrpc_options_begin (&dict, NULL);
  if (is_forked (&peer->birth))
    afrpc_birth_insert_surroundings (peer, &dict, fds, &n_fds);
  else
    insert_limits (peer, &dict);
  if (peer->birth.orphan_policy != AFRPC_ORPHAN_POLICY_END)
    afrpc_options_add_byte (&dict, "orphan", peer->birth.orphan_policy);
  if (lifeline_fd >= 0)
    {
      afrpc_options_add_boolean (&dict, "lifeline", TRUE);
      fds[n_fds++] = lifeline_fd;
    }
  value = afrpc_options_end (&dict);
  afrpc_link_prepare (&peer->talk.link, AFRPC_FRAME_SURROUNDINGS, value, fds, n_fds);
}

static void
begin (AfrpcPeer *peer,
       int        lifeline_fd)
{
  if (is_forked (&peer->birth) || afrpc_limits_any (&peer->body.limits) ||
      peer->birth.orphan_policy != AFRPC_ORPHAN_POLICY_END || lifeline_fd >= 0)
    send_surroundings (peer, lifeline_fd);
  send_steps (peer, peer->birth.n_inherited);
  afrpc_peer_attend (peer);
}

/* Queues what the process is prepared with, so far: from then on, steps follow one by one. */
void
afrpc_birth_begin (AfrpcPeer *peer)
{
  if (!peer->birth.is_begun)
    begin (peer, -1);
}

/* The same for one that is not going to be handed over: where it has something to load, its lifeline comes before that,
 * so that it does not have to watch for the program's end otherwise. Returns TRUE if it has one. */
static gboolean
begin_with_lifeline (AfrpcPeer *peer)
{
  const AfrpcBirth *self = &peer->birth;
  int lifeline_fd = -1;

  if (!self->is_begun && self->orphan_policy == AFRPC_ORPHAN_POLICY_END && self->steps->len > self->n_inherited &&
      afrpc_transport_is_local (&peer->talk.link.transport))
    lifeline_fd = afrpc_lifeline_dup ();
  if (!self->is_begun)
    begin (peer, lifeline_fd);

  return lifeline_fd >= 0;
}

/* Queues what the process was taken for; @options is the payload of the run frame. */
void
afrpc_birth_run (AfrpcPeer *peer,
                 GVariant  *options)
{
  AfrpcBirth *self = &peer->birth;
  AfrpcLink *link = &peer->talk.link;
  g_autoptr(GVariant) own_options = NULL;
  AfrpcOptionsWriter dict;
  AfrpcOptions others;
  int fds[3];
  guint n_fds = 0;
  gboolean has_lifeline = FALSE;

  if (self->run_options != options)
    {
      g_clear_pointer (&self->run_options, g_variant_unref);
      self->run_options = g_variant_ref (options);
    }
  afrpc_options_begin (&dict, options);
  /* An orphan notices the death as an end of the socket, which a close is too. */
  if (self->orphan_policy != AFRPC_ORPHAN_POLICY_END)
    {
      afrpc_options_add_byte (&dict, "orphan", self->orphan_policy);
      if (afrpc_options_init (&others, options))
        afrpc_options_get_boolean (&others, "async", &link->announces_close);
    }

  /* With nothing in between, one message says it all. */
  if (!self->is_begun && is_forked (self) && self->steps->len == self->n_inherited)
    {
      afrpc_birth_insert_surroundings (peer, &dict, fds, &n_fds);
      self->is_begun = TRUE;
    }
  else
    has_lifeline = begin_with_lifeline (peer);
  own_options = afrpc_options_end (&dict);
  afrpc_link_run (link, own_options, fds, n_fds, self->orphan_policy == AFRPC_ORPHAN_POLICY_END && !has_lifeline);
}

/* Starts the process, once; a failure is told like its death. Everything that was queued before is sent when the loop,
 * or a blocking call, comes to it. */
void
afrpc_birth_start (AfrpcPeer *peer)
{
  if (peer->birth.is_tried)
    return;

  peer->birth.is_tried = TRUE;
  if (peer->talk.failure != NULL)
    {
      if (peer->body.state == AFRPC_BODY_NONE)
        afrpc_body_never (&peer->body);
      return;
    }

  afrpc_birth_begin (peer);
  if (peer->body.state == AFRPC_BODY_NONE)
    afrpc_birth_exec (peer);
}
