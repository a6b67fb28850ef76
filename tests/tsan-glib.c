/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tells the thread sanitizer of GLib's locks, which it cannot see: they are futexes of a library that
 * is not instrumented. To be preloaded; does nothing in programs without the sanitizer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib.h>

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
