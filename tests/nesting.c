/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A library to preload to tests: whatever calls back into them runs the main loop afterwards, before it returns to the
 * library, a few times and not too deep; which times follows from AFRPC_TEST_NESTING, a number. With
 * AFRPC_TEST_NESTING_EARLY it does so before the program hears of it, too, and where the program asks for the outcome: news
 * comes to it in another order then.
 *
 * With AFRPC_TEST_NESTING_DROP a reference that the test gives away, often the last one, is kept until something calls back
 * that is about the very same object, which drops it: the callback of a call to it, a handler of its signals, the progress of
 * the call. What nothing is known to call back for goes with the next callback of whatever kind.
 *
 * What bindings look up for introspection is found here, too. */
#include "config.h"

#include <afrpc/afrpc.h>
#define AFRPC_NATS_INSIDE /* whether that library is built or not */
#include <afrpc/afrpc-nats-connection.h>
#include <afrpc/afrpc-nats-server.h>
#include <dlfcn.h>
#include <errno.h>
#include <gmodule.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 3u
#define TURNS_MAX 4u
#define KEPT_MAX 64u
#define PATIENCE_MS 50 /* for what may never call back any more */

#define REAL(name) ((__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

static __thread guint depth;
static guint64 state;

/* Tests of just what a mode changes: the order in which news comes to the program, how much is done in a turn, or what is
 * gone at once when the last reference is dropped. */
static const struct { const char *mode; const char *path; } exceptions[] = {
  /* Who is told of the end of a pool's last worker waits there for that of the pool, which comes behind it. */
  { "AFRPC_TEST_NESTING", "/closing/pool" },
  /* Each iteration brings one more who is told, and so may bring more iterations: without an end, now and then. */
  { "AFRPC_TEST_NESTING", "/closing/crowd" },
  { "AFRPC_TEST_NESTING", "/slices/cancelled" },
  { "AFRPC_TEST_NESTING", "/slices/timeouts" },
  { "AFRPC_TEST_NESTING", "/turns/share" },
  { "AFRPC_TEST_NESTING_DROP", "/closing/context" },
  { "AFRPC_TEST_NESTING_DROP", "/closing/crowd" },
  { "AFRPC_TEST_NESTING_DROP", "/ends/callbacks" },
  { "AFRPC_TEST_NESTING_DROP", "/ends/toggle" },
  { "AFRPC_TEST_NESTING_DROP", "/fds" },
  { "AFRPC_TEST_NESTING_DROP", "/pool-context/late" },
  { "AFRPC_TEST_NESTING_DROP", "/pool-end/template" },
  { "AFRPC_TEST_NESTING_DROP", "/process/dropped" },
  { "AFRPC_TEST_NESTING_DROP", "/untold" },
  { "AFRPC_TEST_NESTING_DROP", "/without-loop" },
  { "AFRPC_TEST_NESTING_EARLY", "/death/event-flushed" },
  { "AFRPC_TEST_NESTING_EARLY", "/death/idle" },
  { "AFRPC_TEST_NESTING_EARLY", "/death/owed" },
  { "AFRPC_TEST_NESTING_EARLY", "/fork-stuck/killed" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool-end/kill-order" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool-end/late-call" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool-end/many-revived" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool-map-flow/turns" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool-workers/ended" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool/options" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool/priority" },
  { "AFRPC_TEST_NESTING_EARLY", "/pool/full-waiting" },
  { "AFRPC_TEST_NESTING_EARLY", "/proxy-end/close" },
  { "AFRPC_TEST_NESTING_EARLY", "/proxy-end/retire" },
  { "AFRPC_TEST_NESTING_EARLY", "/proxy/async/any-order" },
  { "AFRPC_TEST_NESTING_EARLY", "/proxy/nested/wait" },
  { "AFRPC_TEST_NESTING_EARLY", "/proxy/order" },
  { "AFRPC_TEST_NESTING_EARLY", "/sync-call/order" },
  { "AFRPC_TEST_NESTING_EARLY", "/turns/late-call" },
  { "AFRPC_TEST_NESTING_EARLY", "/turns/refused" },
  { "AFRPC_TEST_NESTING_EARLY", "/turns/wait" },
};

static const char *current; /* (nullable): path of the test that runs */

static gboolean
is_mode (const char *name)
{
  if (g_getenv (name) == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (exceptions) && current != NULL; i++)
    if (g_str_equal (name, exceptions[i].mode) && g_str_has_prefix (current, exceptions[i].path))
      return FALSE;

  return TRUE;
}

/* Workers load as much as ever. What only runs another program, as tests/without.c does, passes this on. */
__attribute__ ((constructor)) static void
stay_with_program (void)
{
  static const char *const others[] = { "without", "env", "sh", "setarch" };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    if (g_str_equal (program_invocation_short_name, others[i]))
      return;
  unsetenv ("LD_PRELOAD");
}

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

/* Whether what is at @address, which calls, is the program or a binding, and not the library, which connects and calls, too. */
static gboolean
is_of_program (gconstpointer address)
{
  static const char *const others[] = { "libafrpc-", "libgobject-", "libgio-", "libglib-", "nesting." };
  const char *name;
  Dl_info info;

  if (dladdr (address, &info) == 0)
    return FALSE;
  name = strrchr (info.dli_fname, '/') != NULL ? strrchr (info.dli_fname, '/') + 1 : info.dli_fname;
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    if (g_str_has_prefix (name, others[i]))
      return FALSE;

  return TRUE;
}

#define PROGRAM_CALLS() (is_of_program (__builtin_return_address (0)))

/* Only where a main loop runs already. */
static void
nest (void)
{
  GMainContext *context = g_main_context_get_thread_default ();

  if (depth >= DEPTH_MAX || g_main_depth () == 0 || !is_mode ("AFRPC_TEST_NESTING"))
    return;

  depth++;
  for (guint i = draw (TURNS_MAX); i > 0; i--)
    g_main_context_iteration (context, FALSE);
  depth--;
}

static void
nest_early (void)
{
  if (is_mode ("AFRPC_TEST_NESTING_EARLY"))
    nest ();
}

/* References */

static GMutex mutex;
static GHashTable *awaited; /* (element-type gpointer guint): how many callbacks are to come for an object */

static void kept_free (gpointer data);
static GPrivate kept = G_PRIVATE_INIT (kept_free); /* (element-type GObject), the oldest first */

static gboolean
is_dropping (void)
{
  return is_mode ("AFRPC_TEST_NESTING_DROP");
}

static gboolean
is_ours (gpointer object)
{
  return AFRPC_IS_CALLER (object) || AFRPC_IS_PROCESS (object) || AFRPC_IS_CALL (object) || AFRPC_IS_MAP (object) ||
         AFRPC_IS_POOL_WORKER (object);
}

static void
await (gpointer object,
       gint     change)
{
  gint n;

  if (!is_dropping ())
    return;
  g_mutex_lock (&mutex);
  if (awaited == NULL)
    awaited = g_hash_table_new (NULL, NULL);
  n = GPOINTER_TO_INT (g_hash_table_lookup (awaited, object)) + change;
  if (n > 0)
    g_hash_table_insert (awaited, object, GINT_TO_POINTER (n));
  else
    g_hash_table_remove (awaited, object);
  g_mutex_unlock (&mutex);
}

static GQuark
handled_quark (void)
{
  return g_quark_from_static_string ("afrpc-test-handled");
}

/* Whether something may call back that is about it. */
static gboolean
is_awaited (gpointer object)
{
  gboolean result;

  g_mutex_lock (&mutex);
  result = awaited != NULL && g_hash_table_contains (awaited, object);
  g_mutex_unlock (&mutex);

  return result || g_object_get_qdata (object, handled_quark ()) != NULL ||
         (AFRPC_IS_CALL (object) && !afrpc_call_is_settled (object));
}

/* Of which the program asserts that its last reference goes. */
static GQuark
exact_quark (void)
{
  return g_quark_from_static_string ("afrpc-test-exact");
}

/* Callers and processes are kept also if nothing is known to come: they live long, and others call back meanwhile. */
static gboolean
may_be_kept (gpointer object)
{
  return is_ours (object) && g_object_get_qdata (object, exact_quark ()) == NULL &&
         (AFRPC_IS_CALLER (object) || AFRPC_IS_PROCESS (object) || is_awaited (object));
}

static void
drop_all (void)
{
  GQueue *queue = g_private_get (&kept);
  gpointer object;

  while (queue != NULL && (object = g_queue_pop_head (queue)) != NULL)
    REAL (g_object_unref) (object);
}

static void
kept_free (gpointer data)
{
  GQueue *queue = data;
  gpointer object;

  while ((object = g_queue_pop_head (queue)) != NULL)
    REAL (g_object_unref) (object);
  g_queue_free (queue);
}

/* What calls back is about @object, which may be gone. */
static void
drop (gconstpointer object)
{
  GQueue *queue = g_private_get (&kept);
  GQueue due = G_QUEUE_INIT;
  gpointer one;

  if (queue == NULL)
    return;
  for (GList *link = queue->head, *next; link != NULL; link = next)
    {
      next = link->next;
      if (link->data != object && is_awaited (link->data))
        continue;
      g_queue_push_tail (&due, link->data);
      g_queue_delete_link (queue, link);
    }
  while ((one = g_queue_pop_head (&due)) != NULL)
    REAL (g_object_unref) (one);
}

static gboolean
patience_cb (gpointer data)
{
  drop_all ();

  return G_SOURCE_REMOVE;
}

static void
keep (gpointer object)
{
  GQueue *queue = g_private_get (&kept);

  if (queue == NULL)
    g_private_set (&kept, queue = g_queue_new ());
  if (g_queue_is_empty (queue))
    {
      g_autoptr(GSource) source = g_timeout_source_new (PATIENCE_MS);

      g_source_set_callback (source, patience_cb, NULL, NULL);
      g_source_attach (source, g_main_context_get_thread_default ());
    }
  g_queue_push_tail (queue, object);
  if (queue->length > KEPT_MAX)
    REAL (g_object_unref) (g_queue_pop_head (queue));
}

void
g_object_unref (gpointer object)
{
  if (is_dropping () && may_be_kept (object) && PROGRAM_CALLS ())
    keep (object);
  else
    REAL (g_object_unref) (object);
}

/* What the library drops last of all there is not dropped by the program, to which that returns. */

void
afrpc_caller_close (AfrpcCaller *self)
{
  REAL (afrpc_caller_close) (self);
  __asm__ volatile ("");
}

void
afrpc_caller_kill (AfrpcCaller *self)
{
  REAL (afrpc_caller_kill) (self);
  __asm__ volatile ("");
}

/* As g_assert_finalize_object () does. */
void
g_object_add_weak_pointer (GObject  *object,
                           gpointer *location)
{
  if (PROGRAM_CALLS ())
    g_object_set_qdata (object, exact_quark (), object);
  REAL (g_object_add_weak_pointer) (object, location);
}

/* After each test, nothing of it is there any more. */

typedef struct
{
  GTestDataFunc function;
  gconstpointer data;
  char *path;
} Case;

static void
case_cb (gconstpointer data)
{
  const Case *self = data;

  current = self->path;
  self->function (self->data);
  drop_all ();
  current = NULL;
}

static void
case_free (gpointer data)
{
  Case *self = data;

  g_free (self->path);
  g_free (self);
}

void
g_test_add_data_func (const char    *path,
                      gconstpointer  data,
                      GTestDataFunc  function)
{
  Case *self = g_new (Case, 1);

  *self = (Case) { function, data, g_strdup (path) };
  REAL (g_test_add_data_func_full) (path, self, case_cb, case_free);
}

static void
plain_cb (gconstpointer data)
{
  ((GTestFunc) data) ();
}

void
g_test_add_func (const char *path,
                 GTestFunc   function)
{
  g_test_add_data_func (path, function, plain_cb);
}

/* Results */

typedef struct
{
  GAsyncReadyCallback callback;
  gpointer user_data;
  gpointer about; /* not owned */
} Wrapped;

static void
wrapped_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  g_autofree Wrapped *wrapped = user_data;

  await (wrapped->about, -1);
  nest_early ();
  wrapped->callback (source, result, wrapped->user_data);
  drop (wrapped->about);
  if (AFRPC_IS_CALL (result))
    drop (result);
  nest ();
}

static void
wrap (gpointer              about,
      GAsyncReadyCallback  *callback,
      gpointer             *user_data)
{
  const Wrapped what = { *callback, *user_data, about };

  if (*callback == NULL || !is_mode ("AFRPC_TEST_NESTING"))
    return;

  await (about, 1);
  *callback = wrapped_cb;
  *user_data = g_memdup2 (&what, sizeof what);
}

/* ASYNC (function, class of what it is called of, (further parameters), (their names)) */
#define PARENTHESES(...) __VA_ARGS__
#define ASYNC(name, Type, parameters, arguments)                           \
  void                                                                     \
  name (Type *self, PARENTHESES parameters GCancellable *cancellable,      \
        GAsyncReadyCallback callback, gpointer user_data)                  \
  {                                                                        \
    if (PROGRAM_CALLS ())                                                  \
      wrap (self, &callback, &user_data);                                  \
    REAL (name) (self, PARENTHESES arguments cancellable, callback, user_data); \
  }

ASYNC (afrpc_call_wait, AfrpcCall, (), ())
ASYNC (afrpc_caller_call, AfrpcCaller, (GVariant *args,), (args,))
ASYNC (afrpc_caller_call_full, AfrpcCaller, (GVariant *args, AfrpcCallOptions *options,), (args, options,))
ASYNC (afrpc_caller_close_async, AfrpcCaller, (), ())
ASYNC (afrpc_map_next_async, AfrpcMap, (), ())
ASYNC (afrpc_map_next_many_async, AfrpcMap, (guint n_max,), (n_max,))
ASYNC (afrpc_nats_connection_close_async, AfrpcNatsConnection, (), ())
ASYNC (afrpc_nats_server_stop_async, AfrpcNatsServer, (), ())
ASYNC (afrpc_pool_call_all_async, AfrpcPool, (GVariant *args, AfrpcCallOptions *options,), (args, options,))
ASYNC (afrpc_pool_wait_for_room_async, AfrpcPool, (), ())
ASYNC (afrpc_process_run_async, AfrpcProcess, (const char *function,), (function,))
ASYNC (afrpc_process_to_fd_async, AfrpcProcess, (), ())
ASYNC (afrpc_process_wait_async, AfrpcProcess, (), ())

AfrpcCall *
afrpc_caller_start_with_callback (AfrpcCaller         *self,
                                  GVariant            *args,
                                  AfrpcCallOptions    *options,
                                  GCancellable        *cancellable,
                                  GAsyncReadyCallback  callback,
                                  gpointer             user_data)
{
  if (PROGRAM_CALLS ())
    wrap (self, &callback, &user_data);

  return REAL (afrpc_caller_start_with_callback) (self, args, options, cancellable, callback, user_data);
}

/* FINISH (type of the result, function, class of what it is called of, (further parameters), (their names)) */
#define FINISH(Result, name, Type, parameters, arguments)                              \
  Result                                                                               \
  name (Type *self, GAsyncResult *result, PARENTHESES parameters GError **error)       \
  {                                                                                    \
    const Result value = REAL (name) (self, result, PARENTHESES arguments error);      \
    if (PROGRAM_CALLS ())                                                              \
      nest_early ();                                                                   \
    return value;                                                                      \
  }

typedef GVariant *Variant;
typedef AfrpcCall *Call;
typedef GPtrArray *Array;
typedef GIOStream *Stream;
typedef AfrpcExit *Exit;

FINISH (Variant, afrpc_call_wait_finish, AfrpcCall, (), ())
FINISH (Variant, afrpc_caller_call_finish, AfrpcCaller, (), ())
FINISH (Variant, afrpc_caller_call_full_finish, AfrpcCaller, (GUnixFDList **out_fds,), (out_fds,))
FINISH (gboolean, afrpc_caller_close_finish, AfrpcCaller, (), ())
FINISH (Call, afrpc_map_next_finish, AfrpcMap, (), ())
FINISH (Array, afrpc_map_next_many_finish, AfrpcMap, (), ())
FINISH (gboolean, afrpc_nats_connection_close_finish, AfrpcNatsConnection, (), ())
FINISH (gboolean, afrpc_nats_server_stop_finish, AfrpcNatsServer, (), ())
FINISH (gboolean, afrpc_pool_call_all_finish, AfrpcPool, (), ())
FINISH (gboolean, afrpc_pool_wait_for_room_finish, AfrpcPool, (), ())
FINISH (Stream, afrpc_process_run_finish, AfrpcProcess, (), ())
FINISH (int, afrpc_process_to_fd_finish, AfrpcProcess, (int *pidfd,), (pidfd,))
FINISH (Exit, afrpc_process_wait_finish, AfrpcProcess, (), ())

/* Progress */

typedef struct
{
  AfrpcProgressFunc func;
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
} Progress;

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   data)
{
  Progress *self = g_rc_box_acquire (data);
  AfrpcCaller *caller = afrpc_call_get_caller (call);

  nest_early ();
  self->func (call, progress, self->data);
  drop (call);
  drop (caller);
  nest ();
  g_rc_box_release (self);
}

static void
progress_free (gpointer data)
{
  Progress *self = data;

  if (self->destroy != NULL)
    self->destroy (self->data);
  g_rc_box_release (self);
}

void
afrpc_call_options_set_progress (AfrpcCallOptions  *self,
                                 AfrpcProgressMode  mode,
                                 AfrpcProgressFunc  func,
                                 gpointer           data,
                                 GDestroyNotify     destroy)
{
  Progress what = { func, data, destroy }, *progress;

  if (func == NULL || !is_mode ("AFRPC_TEST_NESTING") || !PROGRAM_CALLS ())
    {
      REAL (afrpc_call_options_set_progress) (self, mode, func, data, destroy);
      return;
    }
  progress = g_rc_box_dup (sizeof what, &what);
  REAL (afrpc_call_options_set_progress) (self, mode, progress_cb, progress, progress_free);
}

/* Signals */

static void
signal_cb (gpointer instance)
{
  drop (instance);
  nest ();
}

/* Who has no handler for errors is told of them in another way: nothing may be connected to them but what the program has.
 * A handler that is called in between would hear of the next before one that is connected later hears of this one. */
static void
marshal_error (GClosure     *closure,
               GValue       *result,
               guint         n_values,
               const GValue *values,
               gpointer      hint,
               gpointer      data)
{
  gpointer instance = g_value_get_object (&values[0]);

  nest_early ();
  g_cclosure_marshal_generic (closure, result, n_values, values, hint, data);
  drop (instance);
  nest ();
}

static gboolean
is_watched (gpointer instance)
{
  return is_mode ("AFRPC_TEST_NESTING") &&
         (is_ours (instance) || AFRPC_IS_INVOCATION (instance) || G_IS_LIST_MODEL (instance));
}

/* It comes after a handler that is connected later, too. */
static void
watch_signal (gpointer    instance,
              const char *signal,
              GCallback   handler)
{
  g_object_set_qdata (instance, handled_quark (), instance);
  REAL (g_signal_connect_data) (instance, signal, handler, NULL, NULL, G_CONNECT_AFTER);
}

gulong
g_signal_connect_data (gpointer        instance,
                       const char     *signal,
                       GCallback       handler,
                       gpointer        data,
                       GClosureNotify  destroy,
                       GConnectFlags   flags)
{
  GClosure *closure;
  gulong id;

  if (!is_watched (instance) || !PROGRAM_CALLS ())
    return REAL (g_signal_connect_data) (instance, signal, handler, data, destroy, flags);

  if (AFRPC_IS_CALLER (instance) && g_str_equal (signal, "error"))
    {
      closure = flags & G_CONNECT_SWAPPED ? g_cclosure_new_swap (handler, data, destroy) : g_cclosure_new (handler, data, destroy);
      g_closure_set_marshal (closure, marshal_error);
      return REAL (g_signal_connect_closure) (instance, signal, closure, (flags & G_CONNECT_AFTER) != 0);
    }

  id = REAL (g_signal_connect_data) (instance, signal, handler, data, destroy, flags);
  watch_signal (instance, signal, G_CALLBACK (signal_cb));

  return id;
}

/* By these, bindings connect. */
gulong
g_signal_connect_closure (gpointer    instance,
                          const char *signal,
                          GClosure   *closure,
                          gboolean    after)
{
  const gulong id = REAL (g_signal_connect_closure) (instance, signal, closure, after);

  if (is_watched (instance) && PROGRAM_CALLS () && !g_str_equal (signal, "error"))
    watch_signal (instance, signal, G_CALLBACK (signal_cb));

  return id;
}

gulong
g_signal_connect_closure_by_id (gpointer  instance,
                                guint     signal,
                                GQuark    detail,
                                GClosure *closure,
                                gboolean  after)
{
  const gulong id = REAL (g_signal_connect_closure_by_id) (instance, signal, detail, closure, after);
  const char *name = g_signal_name (signal);

  if (is_watched (instance) && PROGRAM_CALLS () && !g_str_equal (name, "error"))
    {
      g_autofree char *detailed = detail != 0 ? g_strdup_printf ("%s::%s", name, g_quark_to_string (detail)) : g_strdup (name);

      watch_signal (instance, detailed, G_CALLBACK (signal_cb));
    }

  return id;
}

/* Where introspection looks for functions: what is here goes before what is in the library. */
gboolean
g_module_symbol (GModule    *module,
                 const char *name,
                 gpointer   *symbol)
{
  Dl_info info, own;

  if (!REAL (g_module_symbol) (module, name, symbol))
    return FALSE;
  if (g_str_has_prefix (name, "afrpc_"))
    {
      gpointer other = dlsym (RTLD_DEFAULT, name);

      if (other != NULL && dladdr (other, &info) != 0 && dladdr ((gpointer) wrapped_cb, &own) != 0 &&
          info.dli_fbase == own.dli_fbase)
        *symbol = other;
    }

  return TRUE;
}
