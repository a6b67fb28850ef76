/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A library to preload to tests: whatever calls back into them runs the main loop afterwards, before it returns to the
 * library, a few times and not too deep; which times follows from AFRPC_TEST_NESTING, a number. With
 * AFRPC_TEST_NESTING_DROP a reference to a caller or a process that the test gives away, often the last one, is kept until
 * such a callback, which drops it. */
#include "config.h"

#include <afrpc/afrpc.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 3u
#define TURNS_MAX 4u
#define KEPT_MAX 64u

#define REAL(name) ((__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

static __thread guint depth;
static guint64 state;
static GPrivate kept = G_PRIVATE_INIT ((GDestroyNotify) g_queue_free);

static guint
draw (guint n)
{
  guint64 z;

  if (state == 0)
    state = strtoull (g_getenv ("AFRPC_TEST_NESTING") != NULL ? g_getenv ("AFRPC_TEST_NESTING") : "1", NULL, 10);
  z = (state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);

  return (z ^ (z >> 31)) % n;
}

static void
drop_kept (void)
{
  GQueue *queue = g_private_get (&kept);
  gpointer object;

  while (queue != NULL && (object = g_queue_pop_head (queue)) != NULL)
    REAL (g_object_unref) (object);
}

/* Only where a main loop runs already. */
static void
nest (void)
{
  GMainContext *context = g_main_context_get_thread_default ();

  drop_kept ();
  if (depth >= DEPTH_MAX || g_main_depth () == 0)
    return;

  depth++;
  for (guint i = draw (TURNS_MAX); i > 0; i--)
    g_main_context_iteration (context, FALSE);
  depth--;
}

/* Results */

typedef struct
{
  GAsyncReadyCallback callback;
  gpointer user_data;
} Wrapped;

static void
wrapped_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  g_autofree Wrapped *wrapped = user_data;

  wrapped->callback (source, result, wrapped->user_data);
  nest ();
}

static void
wrap (GAsyncReadyCallback *callback,
      gpointer            *user_data)
{
  const Wrapped what = { *callback, *user_data };

  if (*callback == NULL)
    return;

  *callback = wrapped_cb;
  *user_data = g_memdup2 (&what, sizeof what);
}

void
afrpc_caller_call (AfrpcCaller         *self,
                   GVariant            *args,
                   GCancellable        *cancellable,
                   GAsyncReadyCallback  callback,
                   gpointer             user_data)
{
  wrap (&callback, &user_data);
  REAL (afrpc_caller_call) (self, args, cancellable, callback, user_data);
}

void
afrpc_caller_call_full (AfrpcCaller         *self,
                        GVariant            *args,
                        AfrpcCallOptions    *options,
                        GCancellable        *cancellable,
                        GAsyncReadyCallback  callback,
                        gpointer             user_data)
{
  wrap (&callback, &user_data);
  REAL (afrpc_caller_call_full) (self, args, options, cancellable, callback, user_data);
}

void
afrpc_caller_close_async (AfrpcCaller         *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  wrap (&callback, &user_data);
  REAL (afrpc_caller_close_async) (self, cancellable, callback, user_data);
}

void
afrpc_call_wait (AfrpcCall           *self,
                 GCancellable        *cancellable,
                 GAsyncReadyCallback  callback,
                 gpointer             user_data)
{
  wrap (&callback, &user_data);
  REAL (afrpc_call_wait) (self, cancellable, callback, user_data);
}

void
afrpc_process_wait_async (AfrpcProcess        *self,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  wrap (&callback, &user_data);
  REAL (afrpc_process_wait_async) (self, cancellable, callback, user_data);
}

/* Signals */

static void
signal_cb (gpointer instance)
{
  nest ();
}

gulong
g_signal_connect_data (gpointer        instance,
                       const char     *signal,
                       GCallback       handler,
                       gpointer        data,
                       GClosureNotify  destroy,
                       GConnectFlags   flags)
{
  const gulong id = REAL (g_signal_connect_data) (instance, signal, handler, data, destroy, flags);

  /* Who has no handler for errors is told of them in another way. It comes after a handler that is connected later, too,
   * which otherwise would hear of the next before it hears of this one. */
  if ((AFRPC_IS_CALLER (instance) || AFRPC_IS_PROCESS (instance)) && !g_str_equal (signal, "error"))
    REAL (g_signal_connect_data) (instance, signal, G_CALLBACK (signal_cb), NULL, NULL,
                                  (flags & ~G_CONNECT_SWAPPED) | G_CONNECT_AFTER);

  return id;
}

/* References */

static gboolean
is_of_program (gconstpointer address)
{
  Dl_info info, own;

  return dladdr (address, &info) != 0 && dladdr (dlsym (RTLD_DEFAULT, "main"), &own) != 0 &&
         info.dli_fbase == own.dli_fbase;
}

void
g_object_unref (gpointer object)
{
  GQueue *queue;

  if (g_getenv ("AFRPC_TEST_NESTING_DROP") == NULL || !(AFRPC_IS_CALLER (object) || AFRPC_IS_PROCESS (object)) ||
      !is_of_program (__builtin_return_address (0)))
    {
      REAL (g_object_unref) (object);
      return;
    }

  queue = g_private_get (&kept);
  if (queue == NULL)
    g_private_set (&kept, queue = g_queue_new ());
  g_queue_push_tail (queue, object);
  if (queue->length > KEPT_MAX)
    REAL (g_object_unref) (g_queue_pop_head (queue));
}
