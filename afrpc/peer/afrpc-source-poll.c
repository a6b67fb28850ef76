/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a source polls. A main context polls each of its descriptors again and again, and so has to be given few of them:
 * those of idle workers are in a set, epoll(7), which is one. The sockets of the few peers that something came from
 * lately are polled by the context itself, since what it finds ready in the set costs another system call.
 *
 * A descriptor leaves the set before it is closed: as long as some process has a copy of it, its entry would stay, and
 * could not be removed any more. Nor is a set changed that a fork has left to two processes. Where there is no set, or
 * none for a descriptor, the context polls that. */
#include "config.h"

#include "peer/afrpc-source-parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"

/* How many are taken from the set at once: the others come in the next iteration. */
#define SET_EVENTS_MAX 64

/* So often, when something came from the set, the socket that it was on may leave it, if it is not new there: those of
 * short-lived workers never do. */
#define PROMOTION_PERIOD 16u
#define PROMOTION_MIN 8u

G_STATIC_ASSERT (EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP);

/* Polled by the context */

static void
add_direct (AfrpcSource      *self,
            AfrpcSourcePlace *place)
{
  const GIOCondition revents = place->poll.revents;

  place->way = AFRPC_PLACE_DIRECT;
  place->index = self->direct->len;
  g_ptr_array_add (self->direct, place);
  g_source_add_poll (&self->source, &place->poll);
  /* GLib forgets what has come. */
  place->poll.revents = revents;
}

static void
remove_direct (AfrpcSource      *self,
               AfrpcSourcePlace *place)
{
  place->way = AFRPC_PLACE_NONE;
  g_ptr_array_remove_index_fast (self->direct, place->index);
  if (place->index < self->direct->len)
    ((AfrpcSourcePlace *) self->direct->pdata[place->index])->index = place->index;
  g_source_remove_poll (&self->source, &place->poll);
  for (guint i = 0; i < AFRPC_SOURCE_LATELY_MAX; i++)
    if (self->lately[i] == place)
      self->lately[i] = NULL;
}

/* The set */

static gboolean
control (AfrpcSource      *self,
         int               operation,
         AfrpcSourcePlace *place)
{
  struct epoll_event event = { .events = place->poll.events, .data.ptr = place };

  return epoll_ctl (self->set.fd, operation, place->poll.fd, &event) == 0;
}

static void add_place (AfrpcSource      *self,
                       AfrpcSourcePlace *place);

static void
close_set (AfrpcSource *self)
{
  g_source_remove_poll (&self->source, &self->set);
  close (self->set.fd);
  self->set.fd = -1;
}

/* Has another set made, for those that are in this one. */
static void
renew_set (AfrpcSource *self)
{
  close_set (self);
  for (guint i = 0; i < self->watched->len; i++)
    {
      AfrpcSourceMember *member = self->watched->pdata[i];
      AfrpcSourcePlace *places[] = { &member->socket, &member->pidfd, &member->standard_error };

      for (guint j = 0; j < G_N_ELEMENTS (places); j++)
        if (places[j]->way == AFRPC_PLACE_SET)
          add_place (self, places[j]);
    }
}

static gboolean
make_set (AfrpcSource *self)
{
  self->set.fd = afrpc_low_fd_lift (epoll_create1 (EPOLL_CLOEXEC));
  if (self->set.fd < 0)
    {
      g_debug ("epoll_create1: %s", g_strerror (errno));
      return FALSE;
    }
  self->set_pid = getpid ();
  self->set.revents = 0;
  g_source_add_poll (&self->source, &self->set);

  return TRUE;
}

/* Whether it is our parent's. */
static gboolean
is_foreign (AfrpcSource *self)
{
  return self->set_pid != getpid ();
}

/* Sees to it that there is one that may be changed, which our parent's may not. FALSE: none can be made. */
static gboolean
own_set (AfrpcSource *self)
{
  if (self->set.fd >= 0 && is_foreign (self))
    renew_set (self);

  return self->set.fd >= 0 || make_set (self);
}

static void
add_place (AfrpcSource      *self,
           AfrpcSourcePlace *place)
{
  place->way = AFRPC_PLACE_NONE;
  if (own_set (self) && control (self, EPOLL_CTL_ADD, place))
    place->way = AFRPC_PLACE_SET;
  else
    add_direct (self, place);
}

static void
remove_from_set (AfrpcSource      *self,
                 AfrpcSourcePlace *place)
{
  place->way = AFRPC_PLACE_NONE;
  if (is_foreign (self))
    renew_set (self);
  else if (!control (self, EPOLL_CTL_DEL, place))
    {
      g_critical ("descriptor %d of a worker was closed while it was polled", place->poll.fd);
      renew_set (self);
    }
}

/* Places */

static void
remove_place (AfrpcSource      *self,
              AfrpcSourcePlace *place)
{
  if (place->way == AFRPC_PLACE_DIRECT)
    remove_direct (self, place);
  else if (place->way == AFRPC_PLACE_SET)
    remove_from_set (self, place);
}

static void
set_events (AfrpcSource      *self,
            AfrpcSourcePlace *place,
            GIOCondition      events)
{
  if (place->poll.events == events)
    return;

  place->poll.events = events;
  if (place->way == AFRPC_PLACE_SET && own_set (self))
    control (self, EPOLL_CTL_MOD, place);
}

/* Has @place polled for @events, or not any more if @fd is -1. */
void
afrpc_source_poll (AfrpcSourceMember *member,
                   AfrpcSourcePlace  *place,
                   int                fd,
                   GIOCondition       events)
{
  AfrpcSource *self = member->source;

  if (self != NULL && place->poll.fd != fd)
    remove_place (self, place);
  if (self != NULL)
    set_events (self, place, events);
  place->poll.fd = fd;
  if (place->way == AFRPC_PLACE_NONE)
    place->poll.revents = 0;
  if (fd >= 0 && place->way == AFRPC_PLACE_NONE && self != NULL && member->is_watched)
    add_place (self, place);
}

/* Somebody is going to close @fd. */
void
afrpc_source_leave_fd (AfrpcSourceMember *member,
                       int                fd)
{
  AfrpcSourcePlace *places[] = { &member->socket, &member->pidfd, &member->standard_error };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    if (places[i]->poll.fd == fd)
      afrpc_source_poll (member, places[i], -1, 0);
}

/* Something came from the socket of a peer that is in the set: from time to time such a one takes the place of one that
 * nothing has come from since it was looked at last. */
static void
promote (AfrpcSource      *self,
         AfrpcSourcePlace *place)
{
  AfrpcSourcePlace *other = self->lately[self->next_lately];
  const guint i = self->next_lately;

  self->next_lately = (i + 1) % AFRPC_SOURCE_LATELY_MAX;
  if (other != NULL && other->is_used)
    {
      other->is_used = FALSE;
      return;
    }
  if (other != NULL)
    {
      remove_direct (self, other);
      add_place (self, other);
    }
  remove_from_set (self, place);
  add_direct (self, place);
  place->is_used = TRUE;
  place->n_from_set = 0;
  self->lately[i] = place;
}

static void
activate_place (AfrpcSourcePlace *place)
{
  place->member->is_due = TRUE;
  afrpc_source_activate (place->member);
}

static void
activate_set (AfrpcSource *self)
{
  struct epoll_event events[SET_EVENTS_MAX];
  const int n = epoll_wait (self->set.fd, events, SET_EVENTS_MAX, 0);
  AfrpcSourcePlace *promoted = NULL;

  self->set.revents = 0;
  for (int i = 0; i < n; i++)
    {
      AfrpcSourcePlace *place = events[i].data.ptr;

      place->poll.revents = events[i].events;
      activate_place (place);
      if (place != &place->member->socket)
        continue;
      place->n_from_set++;
      if (++self->n_from_set % PROMOTION_PERIOD == 0 && place->n_from_set >= PROMOTION_MIN)
        promoted = place;
    }
  if (promoted != NULL)
    promote (self, promoted);
}

/* Has those looked at that something has come for. */
void
afrpc_source_activate_polled (AfrpcSource *self)
{
  for (guint i = 0; i < self->direct->len; i++)
    {
      AfrpcSourcePlace *place = self->direct->pdata[i];

      if (place->poll.revents == 0)
        continue;

      place->is_used = TRUE;
      activate_place (place);
    }
  if (self->set.revents != 0)
    activate_set (self);
  self->has_checked = TRUE;
}

void
afrpc_source_init_places (AfrpcSource *self)
{
  self->direct = g_ptr_array_new ();
  self->set = (GPollFD) { .fd = -1, .events = G_IO_IN };
}

/* The context is going, and polls nothing any more. */
void
afrpc_source_clear_places (AfrpcSource *self)
{
  for (guint i = 0; i < self->watched->len; i++)
    {
      AfrpcSourceMember *member = self->watched->pdata[i];

      member->socket.way = member->pidfd.way = member->standard_error.way = AFRPC_PLACE_NONE;
    }
  g_clear_pointer (&self->direct, g_ptr_array_unref);
  if (self->set.fd >= 0)
    close (self->set.fd);
}
