/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process is to be started, as long as it is not. */
#include "config.h"

#include "peer/afrpc-peer-parts.h"
#include "peer/afrpc-peer.h"

#include <string.h>
#include <unistd.h>

#include "wire/afrpc-overture.h"

gboolean
afrpc_peer_is_configurable (AfrpcPeer *self)
{
  return !self->birth.is_begun;
}

void
afrpc_peer_set_orphan_policy (AfrpcPeer         *self,
                              AfrpcOrphanPolicy  policy)
{
  self->birth.orphan_policy = policy;
}

/* What the environment is on another machine is known there only: what to change of it is told in order. */
static void
change_environ (AfrpcPeer           *self,
                AfrpcOvertureChange  change,
                const char          *variable,
                const char          *value)
{
  if (self->birth.remote_environ == NULL)
    self->birth.remote_environ = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->birth.remote_environ,
                   g_strdup_printf ("%c%s%s%s", change, variable, value != NULL ? "=" : "", value != NULL ? value : ""));
}

void
afrpc_peer_set_environ (AfrpcPeer         *self,
                        const char *const *environment)
{
  g_strfreev (self->birth.environ);
  self->birth.environ = NULL;
  if (self->birth.destination == NULL)
    {
      self->birth.environ = g_strdupv ((char **) environment);
      return;
    }

  g_clear_pointer (&self->birth.remote_environ, g_ptr_array_unref);
  change_environ (self, AFRPC_OVERTURE_CLEAR, "", NULL);
  for (; *environment != NULL; environment++)
    change_environ (self, AFRPC_OVERTURE_SET, *environment, NULL);
}

/* Its own environment begins as its template's, or the program's. */
static void
own_environ (AfrpcPeer *self)
{
  const char *const *variables = NULL;

  if (self->birth.environ != NULL)
    return;

  /* Of those that are being forked it may be known only what the first of them begins in. */
  for (const AfrpcPeer *peer = self; peer != NULL && variables == NULL; peer = peer->birth.template)
    variables = afrpc_birth_get_environ (&peer->birth);
  self->birth.environ = variables != NULL ? g_strdupv ((char **) variables) : g_get_environ ();
}

void
afrpc_peer_setenv (AfrpcPeer  *self,
                   const char *variable,
                   const char *value,
                   gboolean    overwrite)
{
  if (self->birth.destination != NULL)
    {
      change_environ (self, overwrite ? AFRPC_OVERTURE_SET : AFRPC_OVERTURE_DEFAULT, variable, value);
      return;
    }

  own_environ (self);
  self->birth.environ = g_environ_setenv (self->birth.environ, variable, value, overwrite);
}

void
afrpc_peer_unsetenv (AfrpcPeer  *self,
                     const char *variable)
{
  if (self->birth.destination != NULL)
    {
      change_environ (self, AFRPC_OVERTURE_UNSET, variable, NULL);
      return;
    }

  own_environ (self);
  self->birth.environ = g_environ_unsetenv (self->birth.environ, variable);
}

void
afrpc_peer_set_sends_modules (AfrpcPeer *self,
                              gboolean   sends_modules)
{
  self->birth.sends_modules = sends_modules;
}

gboolean
afrpc_peer_sends_modules (AfrpcPeer *self)
{
  return self->birth.sends_modules;
}

void
afrpc_peer_set_cwd (AfrpcPeer  *self,
                    const char *cwd)
{
  g_free (self->birth.cwd);
  self->birth.cwd = g_strdup (cwd);
}

void
afrpc_peer_set_limit (AfrpcPeer  *self,
                      AfrpcLimit  limit,
                      guint64     value)
{
  afrpc_limits_set (&self->body.limits, limit, value);
}

void
afrpc_peer_set_nice (AfrpcPeer *self,
                     int        increment)
{
  self->body.limits.nice = increment;
  self->body.limits.has_nice = TRUE;
}

void
afrpc_peer_set_leads_group (AfrpcPeer *self,
                            gboolean   leads_group)
{
  self->body.limits.leads_group = leads_group;
}

gboolean
afrpc_peer_leads_group (AfrpcPeer *self)
{
  return self->body.limits.leads_group;
}

void
afrpc_peer_set_stdio (AfrpcPeer  *self,
                      int         i,
                      AfrpcStdio  mode)
{
  self->birth.stdio[i] = mode;
}

/* A command of which others are run is not run itself: nothing is forked from it. Whatever else it is for starts it. */
void
afrpc_peer_set_pattern (AfrpcPeer *self,
                        gboolean   is_pattern)
{
  if (is_pattern ? self->birth.argv == NULL || self->birth.is_tried : !self->birth.is_pattern)
    return;

  self->birth.is_pattern = self->birth.is_tried = is_pattern;
  afrpc_peer_attend (self);
}

/* @fd: (transfer full): what to use instead */
void
afrpc_peer_take_stdio (AfrpcPeer *self,
                       int        i,
                       int        fd)
{
  if (self->birth.fds[i] >= 0)
    close (self->birth.fds[i]);
  self->birth.fds[i] = fd;
}

/* Has a process that is forked from @template begin in the same surroundings, however it is started in the end:
 * descriptors for its standard streams excepted, which only one can have. */
void
afrpc_peer_inherit (AfrpcPeer *self,
                    AfrpcPeer *template)
{
  g_strfreev (self->birth.environ);
  self->birth.environ = g_strdupv (template->birth.environ);
  afrpc_peer_set_cwd (self, template->birth.cwd);
  memcpy (self->birth.stdio, template->birth.stdio, sizeof self->birth.stdio);
  self->birth.orphan_policy = template->birth.orphan_policy;
  self->birth.sends_modules = template->birth.sends_modules;
}
