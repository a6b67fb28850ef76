/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tells the thread sanitizer of GLib's locks, which it cannot see: they are futexes of a library that
 * is not instrumented. To be preloaded; does nothing in programs without the sanitizer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib-object.h>

extern void __tsan_acquire (void *address) __attribute__ ((weak));
extern void __tsan_release (void *address) __attribute__ ((weak));

void
(g_mutex_lock) (GMutex *mutex)
{
  static void (*lock) (GMutex *);

  if (lock == NULL)
    lock = (void (*) (GMutex *)) dlsym (RTLD_NEXT, "g_mutex_lock");
  lock (mutex);
  if (__tsan_acquire != NULL)
    __tsan_acquire (mutex);
}

void
(g_mutex_unlock) (GMutex *mutex)
{
  static void (*unlock) (GMutex *);

  if (unlock == NULL)
    unlock = (void (*) (GMutex *)) dlsym (RTLD_NEXT, "g_mutex_unlock");
  if (__tsan_release != NULL)
    __tsan_release (mutex);
  unlock (mutex);
}

/* Waiting lets the lock go, and takes it again, inside of GLib. */
void
(g_cond_wait) (GCond  *cond,
               GMutex *mutex)
{
  static void (*wait) (GCond *, GMutex *);

  if (wait == NULL)
    wait = (void (*) (GCond *, GMutex *)) dlsym (RTLD_NEXT, "g_cond_wait");
  if (__tsan_release != NULL)
    __tsan_release (mutex);
  wait (cond, mutex);
  if (__tsan_acquire != NULL)
    __tsan_acquire (mutex);
}

gboolean
(g_cond_wait_until) (GCond  *cond,
                     GMutex *mutex,
                     gint64  end_time)
{
  static gboolean (*wait_until) (GCond *, GMutex *, gint64);
  gboolean is_signalled;

  if (wait_until == NULL)
    wait_until = (gboolean (*) (GCond *, GMutex *, gint64)) dlsym (RTLD_NEXT, "g_cond_wait_until");
  if (__tsan_release != NULL)
    __tsan_release (mutex);
  is_signalled = wait_until (cond, mutex, end_time);
  if (__tsan_acquire != NULL)
    __tsan_acquire (mutex);

  return is_signalled;
}

/* What a pool of threads is given comes to one of them by a queue of GLib's, which frees its own links there; and nats.c
 * leaves threads to OpenSSL that end as the process does. */

const char *__tsan_default_suppressions (void);

const char *
__tsan_default_suppressions (void)
{
  return "race:g_queue_pop_tail\nrace:CRYPTO_THREAD_lock_free\n";
}

void
(g_async_queue_push) (GAsyncQueue *queue,
                      gpointer     data)
{
  static void (*push) (GAsyncQueue *, gpointer);

  if (push == NULL)
    push = (void (*) (GAsyncQueue *, gpointer)) dlsym (RTLD_NEXT, "g_async_queue_push");
  if (__tsan_release != NULL)
    __tsan_release (data);
  push (queue, data);
}

gpointer
(g_async_queue_try_pop) (GAsyncQueue *queue)
{
  static gpointer (*pop) (GAsyncQueue *);
  gpointer data;

  if (pop == NULL)
    pop = (gpointer (*) (GAsyncQueue *)) dlsym (RTLD_NEXT, "g_async_queue_try_pop");
  data = pop (queue);
  if (data != NULL && __tsan_acquire != NULL)
    __tsan_acquire (data);

  return data;
}

typedef struct
{
  GFunc func;
  gpointer user_data;
} PoolFunc;

static void
run (gpointer data,
     gpointer user_data)
{
  const PoolFunc *pool = user_data;

  if (__tsan_acquire != NULL)
    __tsan_acquire (data);
  pool->func (data, pool->user_data);
}

GThreadPool *
(g_thread_pool_new) (GFunc     func,
                     gpointer  user_data,
                     int       max_threads,
                     gboolean  exclusive,
                     GError  **error)
{
  static GThreadPool *(*new) (GFunc, gpointer, int, gboolean, GError **);
  PoolFunc *pool = g_new (PoolFunc, 1);

  if (new == NULL)
    new = (GThreadPool *(*) (GFunc, gpointer, int, gboolean, GError **)) dlsym (RTLD_NEXT, "g_thread_pool_new");
  *pool = (PoolFunc) { func, user_data };

  return new (run, pool, max_threads, exclusive, error);
}

gboolean
(g_thread_pool_push) (GThreadPool  *pool,
                      gpointer      data,
                      GError      **error)
{
  static gboolean (*push) (GThreadPool *, gpointer, GError **);

  if (push == NULL)
    push = (gboolean (*) (GThreadPool *, gpointer, GError **)) dlsym (RTLD_NEXT, "g_thread_pool_push");
  if (__tsan_release != NULL)
    __tsan_release (data);

  return push (pool, data, error);
}

/* Nor does it see the atomics by which GLib publishes what is made at its first use: classes, whose first member each
 * check of a type reads in place, and the lock of what is known of variants' types. A thread that finds made what
 * another one has made would be reported; so they are made before there is any other. */
__attribute__ ((constructor)) static void
make_what_is_made_once (void)
{
  static const char *const types[] = {
    "afrpc_call_get_type", "afrpc_call_options_get_type", "afrpc_process_get_type", "afrpc_proxy_get_type",
  };

  if (__tsan_acquire == NULL)
    return;
  g_variant_unref (g_variant_ref_sink (g_variant_new_tuple (NULL, 0)));
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      GType (*get_type) (void) = (GType (*) (void)) dlsym (RTLD_DEFAULT, types[i]);

      if (get_type != NULL)
        g_type_class_ref (get_type ());
    }
}
