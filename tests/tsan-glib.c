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
