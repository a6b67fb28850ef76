/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program without a main loop: what is only there to be told goes, unless somebody listens, or has it. */
#include "config.h"

#include "test-util.h"

#include <malloc.h>
#include <signal.h>

#define N_BEFORE 20      /* what is made once is there then */
#define N 100
#define N_BYTES_MAX 1000 /* each may keep in the mean: a peer takes four times as much, and some are not reaped yet */

/* The sanitizer has a malloc () of its own. */
#ifdef __SANITIZE_ADDRESS__
#define COUNTS_BYTES FALSE
#else
#define COUNTS_BYTES TRUE
#endif

typedef void (*UseOne) (void);

static AfrpcProcess *
new_process (void)
{
  AfrpcProcess *process = afrpc_process_new ();

  afrpc_process_require (process, TEST_WORKER);

  return process;
}

static void
call (gpointer    caller,
      const char *what)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  value = afrpc_caller_call_sync (caller, test_act (what, NULL), NULL, &error);
  g_assert_true ((error == NULL) == g_str_equal (what, "return"));
}

static void
close_sync (gpointer caller)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (afrpc_caller_close_sync (caller, NULL, &error));
  g_assert_no_error (error);
}

static AfrpcProxy *
new_called_proxy (AfrpcProcess *process)
{
  AfrpcProxy *proxy = afrpc_proxy_new (process, "act");

  call (proxy, "return");

  return proxy;
}

static void
use_closed (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  AfrpcProxy *proxy = new_called_proxy (process);

  g_clear_object (&process);
  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_object_unref (proxy);
}

static void
use_killed (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  AfrpcProxy *proxy = new_called_proxy (process);

  g_clear_object (&process);
  afrpc_caller_kill (AFRPC_CALLER (proxy));
  g_object_unref (proxy);
}

/* The process is dropped last. */
static void
use_outlived (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  g_autoptr(AfrpcProxy) proxy = new_called_proxy (process);

  close_sync (proxy);
}

static void
use_absent (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec ("there-is-none");
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "act");

  call (proxy, "fails");
}

static void
use_unprepared (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;

  afrpc_process_require (process, "/no/such/module.so");
  proxy = afrpc_proxy_new (process, "act");
  call (proxy, "fails");
  afrpc_caller_close (AFRPC_CALLER (proxy));
}

static void
use_waited_for (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  g_autoptr(AfrpcExit) exit = NULL;
  AfrpcProxy *proxy = new_called_proxy (process);

  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_object_unref (proxy);
  exit = afrpc_process_wait_sync (process, NULL, NULL);
  g_assert_nonnull (exit);
}

static AfrpcPool *
new_pool (guint max_calls)
{
  g_autoptr(AfrpcProcess) process = new_process ();

  return g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "act", "max-workers", 1, "max-calls", max_calls,
                       "max-failures", G_MAXUINT, NULL);
}

static AfrpcPool *
new_called_pool (void)
{
  AfrpcPool *pool = new_pool (0);

  call (pool, "return");

  return pool;
}

static void
use_pool_dropped (void)
{
  g_object_unref (new_called_pool ());
}

static void
use_pool_closed (void)
{
  g_autoptr(AfrpcPool) pool = new_called_pool ();

  afrpc_caller_close (AFRPC_CALLER (pool));
}

static void
use_pool_closed_sync (void)
{
  g_autoptr(AfrpcPool) pool = new_called_pool ();

  close_sync (pool);
}

static void
use_pool_killed (void)
{
  g_autoptr(AfrpcPool) pool = new_called_pool ();

  afrpc_caller_kill (AFRPC_CALLER (pool));
}

static void
use_pool_unused (void)
{
  g_autoptr(AfrpcPool) closed = new_pool (0);
  g_autoptr(AfrpcPool) killed = new_pool (0);
  g_autoptr(AfrpcPool) dropped = new_pool (0);

  afrpc_caller_close (AFRPC_CALLER (closed));
  afrpc_caller_kill (AFRPC_CALLER (killed));
}

static AfrpcPool *shared; /* (nullable): whose workers come and go */

static void
use_pool_renewed (void)
{
  if (shared == NULL)
    shared = new_pool (1);
  call (shared, "return");
}

static void
use_pool_died (void)
{
  if (shared == NULL)
    shared = new_pool (0);
  call (shared, "abort");
}

static void
drop_elsewhere (gpointer object)
{
  g_thread_join (g_thread_new ("drop", drop_thread, object));
}

static void
use_dropped_elsewhere (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  AfrpcProxy *proxy = new_called_proxy (process);

  drop_elsewhere (proxy);
}

static void
use_closed_dropped_elsewhere (void)
{
  g_autoptr(AfrpcProcess) process = new_process ();
  AfrpcProxy *proxy = new_called_proxy (process);

  close_sync (proxy);
  drop_elsewhere (proxy);
}

static void
use_process_dropped_elsewhere (void)
{
  AfrpcProcess *process = new_process ();
  g_autoptr(AfrpcProcess) fork = afrpc_process_fork (process);

  g_object_unref (new_called_proxy (fork));
  drop_elsewhere (process);
}

static void
test_untold_kept (gconstpointer data)
{
  const UseOne use_one = (UseOne) data;
  gsize n_bytes = 0;
  guint n_fds;

  g_test_summary ("Of what has ended, and of which nobody is told, neither memory nor descriptors are left");
  for (guint i = 0; i < N_BEFORE; i++)
    use_one ();
  n_fds = test_count_fds ();
  n_bytes = mallinfo2 ().uordblks;
  for (guint i = 0; i < N; i++)
    use_one ();
  /* Whoever takes long to end on a machine with much to do is reaped when afrpc is used again. */
  for (guint i = 0; i < 500 && test_count_fds () > n_fds; i++)
    use_outlived ();
  g_assert_cmpuint (test_count_fds (), <=, n_fds);
  if (COUNTS_BYTES)
    g_assert_cmpuint (mallinfo2 ().uordblks, <, n_bytes + N * N_BYTES_MAX);
  g_clear_object (&shared);
}

static void
count_cb (guint *n)
{
  ++*n;
}

typedef struct
{
  GMainContext *context;
  guint n_destroyed;
  guint n_exited;
  guint n_ended; /* workers of a pool */
} Told;

static void
told_begin (Told *told)
{
  *told = (Told) { .context = g_main_context_new () };
  g_main_context_push_thread_default (told->context);
}

static void
told_end (Told *told)
{
  g_main_context_pop_thread_default (told->context);
  g_main_context_unref (told->context);
}

/* Whoever comes last is waited for. */
static void
told_wait (Told  *told,
           guint *last)
{
  while (*last == 0)
    g_main_context_iteration (told->context, TRUE);
}

static void
test_untold_proxy (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  Told told;

  g_test_summary ("Whoever has a proxy and its process is told what is left to be told, also if he listens late");
  told_begin (&told);
  process = new_process ();
  proxy = new_called_proxy (process);
  close_sync (proxy);
  use_outlived ();
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (count_cb), &told.n_destroyed);
  g_signal_connect_swapped (process, "exited", G_CALLBACK (count_cb), &told.n_exited);
  told_wait (&told, &told.n_destroyed);
  g_assert_cmpuint (told.n_exited, ==, 1);
  g_assert_cmpuint (told.n_destroyed, ==, 1);
  told_end (&told);
}

static void
test_untold_closed (void)
{
  AfrpcProxy *proxy;
  Told told;

  g_test_summary ("A proxy that was closed and dropped tells its handlers when there is a loop");
  told_begin (&told);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", new_process (), "function", "act", NULL);
  g_object_unref (afrpc_proxy_get_process (proxy));
  call (proxy, "return");
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (count_cb), &told.n_destroyed);
  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_object_unref (proxy);
  for (guint i = 0; i < N_BEFORE; i++)
    use_outlived ();
  g_assert_cmpuint (told.n_destroyed, ==, 0);
  told_wait (&told, &told.n_destroyed);
  g_assert_cmpuint (told.n_destroyed, ==, 1);
  told_end (&told);
}

static void
test_untold_pool (gconstpointer data)
{
  const gboolean is_early = GPOINTER_TO_INT (data);
  AfrpcPool *pool;
  Told told;

  g_test_summary ("A pool tells of its workers and of its end when there is a loop, if somebody listens, or has it");
  told_begin (&told);
  pool = new_pool (1);
  if (is_early)
    {
      g_signal_connect_swapped (pool, "worker-ended", G_CALLBACK (count_cb), &told.n_ended);
      g_signal_connect_swapped (pool, "destroyed", G_CALLBACK (count_cb), &told.n_destroyed);
    }
  for (guint i = 0; i < 5; i++)
    call (pool, "return");
  close_sync (pool);
  if (is_early)
    g_object_unref (pool);
  else
    g_signal_connect_swapped (pool, "destroyed", G_CALLBACK (count_cb), &told.n_destroyed);
  g_assert_cmpuint (told.n_destroyed, ==, 0);
  told_wait (&told, &told.n_destroyed);
  g_assert_cmpuint (told.n_ended, ==, is_early ? 5 : 0);
  while (g_main_context_iteration (told.context, FALSE))
    ;
  g_assert_cmpuint (told.n_destroyed, ==, 1);
  if (!is_early)
    g_object_unref (pool);
  told_end (&told);
}

static void
told_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      n)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  ++*(guint *) n;
}

static void
test_untold_outcome (void)
{
  AfrpcPool *pool;
  guint n_outcomes = 0;
  Told told;

  g_test_summary ("An outcome of a worker that has ended since is told when there is a loop");
  told_begin (&told);
  pool = new_pool (1);
  for (guint i = 0; i < 3; i++)
    {
      afrpc_caller_call (AFRPC_CALLER (pool), test_act ("return", NULL), NULL, told_cb, &n_outcomes);
      call (pool, "return");
    }
  close_sync (pool);
  g_object_unref (pool);
  g_assert_cmpuint (n_outcomes, ==, 0);
  while (n_outcomes < 3)
    g_main_context_iteration (told.context, TRUE);
  told_end (&told);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    UseOne use_one;
  } cases[] = {
    { "elsewhere", use_dropped_elsewhere }, { "elsewhere-closed", use_closed_dropped_elsewhere },
    { "elsewhere-template", use_process_dropped_elsewhere },
    { "closed", use_closed },           { "killed", use_killed },
    { "outlived", use_outlived },       { "absent", use_absent },
    { "unprepared", use_unprepared },   { "waited-for", use_waited_for },
    { "pool/dropped", use_pool_dropped }, { "pool/closed", use_pool_closed },
    { "pool/closed-sync", use_pool_closed_sync }, { "pool/killed", use_pool_killed },
    { "pool/unused", use_pool_unused }, { "pool/renewed", use_pool_renewed },
    { "pool/died", use_pool_died },
  };

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/untold/kept/", cases[i].path, NULL);

      g_test_add_data_func (path, cases[i].use_one, test_untold_kept);
    }
  g_test_add_func ("/untold/proxy", test_untold_proxy);
  g_test_add_func ("/untold/closed", test_untold_closed);
  g_test_add_data_func ("/untold/pool/early", GINT_TO_POINTER (TRUE), test_untold_pool);
  g_test_add_data_func ("/untold/pool/late", GINT_TO_POINTER (FALSE), test_untold_pool);
  g_test_add_func ("/untold/outcome", test_untold_outcome);

  return g_test_run ();
}
