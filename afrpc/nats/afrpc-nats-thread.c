/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "nats/afrpc-nats-thread.h"

#include <pthread.h>
#include <stdlib.h>

#define EXIT_WAIT_US G_USEC_PER_SEC /* so long the process waits for those that leave: NATS may not answer */

static GMutex lock;
static GCond cond;
static guint n_leaving;
static GQueue ended; /* (element-type GThread) (owned): that were not joined */
static guint n_forks;

/* Waits for those that have ended. */
void
afrpc_nats_threads_join (void)
{
  GThread *thread;

  do
    {
      g_mutex_lock (&lock);
      thread = g_queue_pop_head (&ended);
      g_mutex_unlock (&lock);
      if (thread != NULL)
        g_thread_join (thread);
    }
  while (thread != NULL);
}

static void
exit_cb (void)
{
  const gint64 until_us = g_get_monotonic_time () + EXIT_WAIT_US;

  g_mutex_lock (&lock);
  while (n_leaving > 0 && g_cond_wait_until (&cond, &lock, until_us))
    ;
  g_mutex_unlock (&lock);
  afrpc_nats_threads_join ();
}

/* From now on the end of the process waits: once OpenSSL is ready, since what was registered last comes first then. */
void
afrpc_nats_thread_watch (void)
{
  static gsize is_registered;

  if (!g_once_init_enter (&is_registered))
    return;

  atexit (exit_cb);
  g_once_init_leave (&is_registered, 1);
}

/* It was asked to end. */
void
afrpc_nats_thread_leave (AfrpcNatsThread *self)
{
  g_mutex_lock (&lock);
  if (!self->is_leaving && !self->has_ended)
    n_leaving++;
  self->is_leaving = TRUE;
  g_mutex_unlock (&lock);
}

/* On the thread itself, which does nothing more with OpenSSL. */
void
afrpc_nats_thread_end (AfrpcNatsThread *self)
{
  g_mutex_lock (&lock);
  if (self->is_leaving)
    n_leaving--;
  self->has_ended = TRUE;
  g_queue_push_tail (&ended, g_thread_ref (g_thread_self ()));
  g_cond_broadcast (&cond);
  g_mutex_unlock (&lock);
}

/* Forks */

static void
fork_cb (void)
{
  g_mutex_lock (&lock);
}

static void
forked_parent_cb (void)
{
  g_mutex_unlock (&lock);
}

/* None of the threads is there. */
static void
forked_child_cb (void)
{
  n_forks++;
  n_leaving = 0;
  g_queue_init (&ended);
  g_mutex_unlock (&lock);
}

void
afrpc_nats_forks_watch (void)
{
  static gsize is_registered;

  if (!g_once_init_enter (&is_registered))
    return;

  (void) !pthread_atfork (fork_cb, forked_parent_cb, forked_child_cb);
  g_once_init_leave (&is_registered, 1);
}

guint
afrpc_nats_forks_get_n (void)
{
  return n_forks;
}
