/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which thread a source belongs to, and what others leave word of. */
#include "config.h"

#include "peer/afrpc-source-parts.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/afrpc-low-fd.h"

typedef struct
{
  AfrpcSourceMember *member; /* (owned) */
  void (*func) (AfrpcPeer *peer, gpointer data);
  gpointer data;
  GDestroyNotify destroy;
} Post;

static __thread char thread_mark; /* its address is a name of the thread */

static void
post_free (Post *post)
{
  if (post->destroy != NULL)
    post->destroy (post->data);
  afrpc_source_member_unref (post->member);
  g_free (post);
}

/* Whether the calling thread may act in the context. Another one may be about to use it, and would be in its way; or may be
 * letting go of the last reference to it, and then the context must not even be asked. So a thread has to be known to
 * have it: otherwise it leaves word instead. */
static gboolean
is_home (AfrpcSource *self)
{
  if (afrpc_source_runs_here (self))
    return TRUE;

  return g_atomic_pointer_get (&self->home) == &thread_mark &&
         (self->is_default || g_main_context_get_thread_default () == self->context);
}

/* Whether GLib destroys the sources of the context, one after the other: whoever is told of that finds no context any more. */
gboolean
afrpc_source_is_going (AfrpcSource *self)
{
  return g_source_is_destroyed (&self->source) || g_source_get_context (&self->source) == NULL;
}

/* FALSE: the context has gone, or is that of the process which this one was forked from */
gboolean
afrpc_source_is_there (AfrpcSourceMember *member)
{
  if (member->source != NULL)
    afrpc_source_leave_if_forked (member->source);

  return member->source != NULL;
}

/* For what any thread may do. */
AfrpcSourceEntry
afrpc_source_enter (AfrpcSourceMember *member)
{
  AfrpcSourceEntry entry = AFRPC_SOURCE_GONE;

  if (!afrpc_source_is_there (member))
    return AFRPC_SOURCE_GONE;

  afrpc_fork_lock_lock (&afrpc_sources_lock);
  if (member->source != NULL)
    entry = is_home (member->source) && g_main_context_acquire (member->source->context) ? AFRPC_SOURCE_ENTERED :
                                                                                           AFRPC_SOURCE_FOREIGN;
  afrpc_fork_lock_unlock (&afrpc_sources_lock);

  return entry;
}

/* For what only one thread may do, which is this one unless another runs the context. What others have left word of
 * is done first: nobody may ever run a main loop. */
AfrpcSourceEntry
afrpc_source_use (AfrpcSourceMember *member)
{
  AfrpcSource *self = member->source;
  gpointer before;

  if (!afrpc_source_is_there (member) || afrpc_source_is_going (self))
    return AFRPC_SOURCE_GONE;
  if (!g_main_context_acquire (self->context))
    return AFRPC_SOURCE_FOREIGN;

  before = afrpc_source_begin_run (self);
  if (!afrpc_source_is_running (member))
    afrpc_source_run_posts (self);
  afrpc_source_end_run (self, before);

  return AFRPC_SOURCE_ENTERED;
}

void
afrpc_source_leave (AfrpcSourceMember *member)
{
  g_main_context_release (member->source->context);
}

/* To be called by the thread that owns the context, for as long as it certainly does.
 * Returns: what to give to afrpc_source_end_run () */
gpointer
afrpc_source_begin_run (AfrpcSource *self)
{
  gpointer before = self->runner;

  g_atomic_pointer_set (&self->runner, &thread_mark);
  if (g_atomic_pointer_get (&self->home) != &thread_mark)
    g_atomic_pointer_set (&self->home, &thread_mark);

  return before;
}

void
afrpc_source_end_run (AfrpcSource *self,
                      gpointer     before)
{
  g_atomic_pointer_set (&self->runner, before);
}

/* The same for who has acquired the context, and blocks in it: it stays, though another thread may let go of it meanwhile. */
gpointer
afrpc_source_begin_blocking (AfrpcSource *self)
{
  g_main_context_ref (self->context);

  return afrpc_source_begin_run (self);
}

/* The context is the thread's no more, and may be gone. */
void
afrpc_source_end_blocking (AfrpcSource *self,
                           gpointer     before)
{
  GMainContext *context = self->context;

  afrpc_source_end_run (self, before);
  g_main_context_release (context);
  g_main_context_unref (context);
}

/* Whether the calling thread is known to own the context. If it is not, GLib knows, but takes locks to tell. */
gboolean
afrpc_source_runs_here (AfrpcSource *self)
{
  return g_atomic_pointer_get (&self->runner) == &thread_mark;
}

/* Whether the thread is in a callback of the context's main loop, which then goes on: what is queued is going to be written,
 * and who ends is going to be seen. A loop that runs another context goes on with that. */
gboolean
afrpc_source_is_running (AfrpcSourceMember *member)
{
  GSource *current = g_main_current_source ();

  return current != NULL && member->source != NULL && g_source_get_context (current) == member->source->context;
}

/* Not by the context's own means: it may have no reference any more. */
static void
wake_up (AfrpcSource *self)
{
  const guint64 one = 1;

  /* There was no descriptor to be had when it was made: then whoever lets go of the context has to be careful. */
  if (self->wake.fd < 0)
    g_main_context_wakeup (self->context);
  /* It is only ever full of wake-ups. */
  else if (write (self->wake.fd, &one, sizeof one) < 0)
    g_debug ("waking up: %s", g_strerror (errno));
}

/* Has @func (nullable) called by the thread of the context of @member (transfer full), with that and @data (transfer
 * full), which @destroy frees. FALSE: there is no such context any more; then both stay the caller's. */
gboolean
afrpc_source_post (AfrpcSourceMember      *member,
                   void             (*func) (AfrpcPeer *peer, gpointer data),
                   gpointer        data,
                   GDestroyNotify  destroy)
{
  AfrpcSource *self;

  afrpc_fork_lock_lock (&afrpc_sources_lock);
  self = member->source;
  if (self != NULL)
    {
      Post *post = g_new0 (Post, 1);

      *post = (Post) { member, func, data, destroy };
      g_mutex_lock (&self->lock);
      g_queue_push_tail (&self->posts, post);
      g_atomic_int_set (&self->has_posts, TRUE);
      wake_up (self);
      g_mutex_unlock (&self->lock);
    }
  afrpc_fork_lock_unlock (&afrpc_sources_lock);

  return self != NULL;
}

/* FALSE: there is none, most likely */
static gboolean
run_post (AfrpcSource *self)
{
  Post *post;

  if (!g_atomic_int_get (&self->has_posts))
    return FALSE;

  g_mutex_lock (&self->lock);
  post = g_queue_pop_head (&self->posts);
  g_atomic_int_set (&self->has_posts, self->posts.length > 0);
  g_mutex_unlock (&self->lock);

  if (post != NULL)
    {
      if (post->func != NULL)
        post->func (post->member->peer, post->data);
      post_free (post);
    }

  return TRUE;
}

void
afrpc_source_run_posts (AfrpcSource *self)
{
  while (run_post (self))
    ;
}

/* In the main loop: there may be very many, and others may go on to add some. */
void
afrpc_source_run_some_posts (AfrpcSource *self)
{
  AfrpcSlice slice = { 0 };

  while (run_post (self) && !afrpc_slice_step (&slice))
    ;
}

/* Returns: what becomes readable when another thread posts; -1: there is no descriptor to be had for it. Only the thread
 * that has the context may ask. */
int
afrpc_source_get_wake_fd (AfrpcSource *self)
{
  int fd;

  if (self->wake.fd >= 0)
    return self->wake.fd;

  fd = afrpc_low_fd_lift (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd < 0)
    return -1;
  g_mutex_lock (&self->lock);
  self->wake = (GPollFD) { fd, G_IO_IN, 0 };
  g_mutex_unlock (&self->lock);
  g_source_add_poll (&self->source, &self->wake);

  return fd;
}

void
afrpc_source_clear_wake_fd (AfrpcSource *self)
{
  guint64 count;

  self->wake.revents = 0;
  while (read (self->wake.fd, &count, sizeof count) > 0)
    ;
}

/* Nobody is going to run them. */
void
afrpc_source_clear_posts (AfrpcSource *self)
{
  g_queue_clear_full (&self->posts, (GDestroyNotify) post_free);
}

/* They are those of the process that this one was forked from, whose descriptor wakes up that one, too. A thread that had the lock
 * there is not here. */
void
afrpc_source_leave_inherited_posts (AfrpcSource *self)
{
  g_mutex_init (&self->lock);
  g_queue_init (&self->posts);
  g_atomic_int_set (&self->has_posts, FALSE);
  if (self->wake.fd >= 0)
    {
      g_source_remove_poll (&self->source, &self->wake);
      close (self->wake.fd);
      self->wake.fd = -1;
    }
  afrpc_source_get_wake_fd (self);
}
