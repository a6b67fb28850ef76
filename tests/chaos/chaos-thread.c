/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other threads: one that does what may be done on any thread, and one that notices when nothing happens any more. */
#include "chaos.h"

#include <pthread.h>
#include <unistd.h>

#define PATIENCE_S 120 /* nothing that works takes so long, even under valgrind */

struct _ChaosMailbox
{
  pthread_mutex_t lock;
  pthread_cond_t is_filled;
  GQueue letters; /* guarded by lock */
};

typedef struct
{
  void (*function) (gpointer data); /* NULL: end */
  gpointer data;
} Work;

static ChaosMailbox *mailbox;
static pthread_t worker;
static gint n_progress;

/* GLib's own queue is one whose locks the thread sanitizer does not see. */
ChaosMailbox *
chaos_mailbox_new (void)
{
  ChaosMailbox *self = g_new0 (ChaosMailbox, 1);

  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->is_filled, NULL);
  g_queue_init (&self->letters);

  return self;
}

void
chaos_mailbox_free (ChaosMailbox *self)
{
  pthread_cond_destroy (&self->is_filled);
  pthread_mutex_destroy (&self->lock);
  g_queue_clear_full (&self->letters, g_free);
  g_free (self);
}

void
chaos_mailbox_push (ChaosMailbox *self,
                    gpointer      letter) /* (transfer full) */
{
  pthread_mutex_lock (&self->lock);
  g_queue_push_tail (&self->letters, letter);
  pthread_cond_signal (&self->is_filled);
  pthread_mutex_unlock (&self->lock);
}

gpointer
chaos_mailbox_pop (ChaosMailbox *self) /* (transfer full) */
{
  gpointer letter;

  pthread_mutex_lock (&self->lock);
  while (self->letters.length == 0)
    pthread_cond_wait (&self->is_filled, &self->lock);
  letter = g_queue_pop_head (&self->letters);
  pthread_mutex_unlock (&self->lock);

  return letter;
}

static void *
thread_main (void *data)
{
  for (;;)
    {
      g_autofree Work *work = chaos_mailbox_pop (mailbox);

      if (work->function == NULL)
        return NULL;
      work->function (work->data);
    }
}

static void
push (void     (*function) (gpointer data),
      gpointer   data)
{
  Work *work = g_new0 (Work, 1);

  *work = (Work) { function, data };
  chaos_mailbox_push (mailbox, work);
}

void
chaos_thread_start (void)
{
  mailbox = chaos_mailbox_new ();
  pthread_create (&worker, NULL, thread_main, NULL);
}

/* In order, on another thread. */
void
chaos_thread_do (void     (*function) (gpointer data),
                 gpointer   data)
{
  push (function, data);
}

void
chaos_thread_finish (void)
{
  push (NULL, NULL);
  pthread_join (worker, NULL);
  g_clear_pointer (&mailbox, chaos_mailbox_free);
}

/* Something has come to an end. */
void
chaos_progress (void)
{
  g_atomic_int_inc (&n_progress);
}

static gpointer
watchdog_main (gpointer data)
{
  void (*tell) (void) = (void (*) (void)) data;

  for (;;)
    {
      const gint n_before = g_atomic_int_get (&n_progress);
      const char *patience = g_getenv ("AFRPC_CHAOS_PATIENCE");

      g_usleep ((patience != NULL ? g_ascii_strtoull (patience, NULL, 10) : PATIENCE_S) * G_USEC_PER_SEC);
      if (g_atomic_int_get (&n_progress) == n_before)
        {
          tell ();
          _exit (3);
        }
    }
  return NULL;
}

/* @tell: says what everybody waits for, from another thread and with no regard for whom it disturbs */
void
chaos_watchdog_start (void (*tell) (void))
{
  g_thread_unref (g_thread_new ("watchdog", watchdog_main, (gpointer) tell));
}
