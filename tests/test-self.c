/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}

static void
echo_later (AfrpcInvocation *invocation)
{
  /* Which needs GIO, in a way that a worker without it can do without. */
  g_assert_true (G_IS_CANCELLABLE (afrpc_invocation_get_cancellable (invocation)));
  afrpc_invocation_return_value (invocation, afrpc_invocation_get_args (invocation));
}

static void
assert_echoes (AfrpcProcess *process, /* (transfer full) */
               AfrpcBackend  backend,
               AfrpcStart    start)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                                      backend == AFRPC_BACKEND_SYNC ? "echo" : "echo-later", "backend", backend, NULL));
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
  g_object_unref (process);
  result = test_call (watched.proxy, g_variant_new ("(s)", "x"), &error);
  g_assert_no_error (error);
#ifdef __SANITIZE_THREAD__
  g_assert_cmpint (start, !=, AFRPC_START_NONE); /* the sanitizer's own thread may keep the program from being forked */
#else
  g_assert_cmpint (afrpc_process_get_start (afrpc_proxy_get_process (watched.proxy)), ==, start);
#endif
}

static void
test_self_fork (void)
{
  g_test_summary ("The program is forked as it was early");
  for (guint i = 0; i < 5; i++)
    {
      assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
      assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_ASYNC, AFRPC_START_FORK);
    }
}

static void
test_self_started (void)
{
  siginfo_t info = { 0 };

  g_test_summary ("The early template runs; where there are no pidfds there is none, nor anything left of it");
  if (waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    g_assert_cmpint (errno, ==, ECHILD);
  else
    {
      g_assert_null (g_getenv ("AFRPC_TEST_NO_PIDFD"));
      g_assert_cmpint (info.si_pid, ==, 0);
    }
}

static void
test_self_copies (void)
{
  int pids[3], status;

  g_test_summary ("Those that the program forks itself leave its early template alone, and have workers of their own");
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      pids[i] = fork ();
      g_assert_cmpint (pids[i], >=, 0);
      if (pids[i] > 0)
        continue;

      assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
      _exit (0);
    }
  assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
    }
}

/* In a worker: what a worker of its own says. */
static GVariant *
ask_another (AfrpcWorker  *worker,
             GVariant     *args,
             GError      **error)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  gboolean is_forked;

  g_variant_get (args, "(b)", &is_forked);
  process = is_forked ? afrpc_process_new_self () : afrpc_process_new_self_exec ();
  proxy = afrpc_proxy_new (process, "echo");

  return afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_new ("(s)", "another"), NULL, error);
}

static void
test_self_nested (void)
{
  g_test_summary ("A worker that is the program can have such workers itself");
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(AfrpcProcess) process = i % 2 == 0 ? afrpc_process_new_self () : afrpc_process_new_self_exec ();
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "ask-another");
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;

      afrpc_call_options_set_timeout_ms (options, 60000); /* instead of for ever */
      result = afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), g_variant_new ("(b)", i / 2 == 0), options, NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
    }
}

static void
test_self_exec (void)
{
  g_test_summary ("The program can also be executed afresh");
  assert_echoes (afrpc_process_new_self_exec (), AFRPC_BACKEND_SYNC, AFRPC_START_EXEC);
  assert_echoes (afrpc_process_new_self_exec (), AFRPC_BACKEND_ASYNC, AFRPC_START_EXEC);
}

static gpointer
thread_main (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_self_thread (void)
{
  g_test_summary ("Other threads have templates of their own");
  assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
  g_thread_join (g_thread_new ("self", thread_main, NULL));
}

static void
test_self_bad_function (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_self ();
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A function that was not registered, or is of another kind");
  watch_init (&watched, afrpc_proxy_new (process, "no-such"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);
  g_assert_nonnull (strstr (error->message, "not registered a function 'no-such'"));
}

/* Runs a copy of the program that does away with its own file first. */
static void
run_copy (const char *how,
          gboolean    stripped)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *copy = g_build_filename (dir, "copy", NULL);
  g_autofree char *renamed = g_build_filename (dir, "renamed", NULL);
  g_autofree char *contents = NULL;
  gsize size;
  char *argv[] = { copy, (char *) how, renamed, NULL };
  char *strip_argv[] = { (char *) "strip", copy, NULL };
  const char *libraries = g_getenv ("AFRPC_TEST_LIBRARIES");
  g_auto(GStrv) envp = NULL;
  g_autoptr(GError) error = NULL;
  int status;

  g_assert_true (g_file_get_contents ("/proc/self/exe", &contents, &size, NULL));
  g_assert_true (g_file_set_contents (copy, contents, size, NULL));
  g_chmod (copy, 0700);
  if (stripped)
    {
      g_spawn_sync (NULL, strip_argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, &error);
      g_assert_no_error (error);
      g_assert_cmpint (status, ==, 0);
    }

  envp = g_environ_setenv (g_get_environ (), "LD_LIBRARY_PATH", libraries != NULL ? libraries : "", TRUE);
  g_spawn_sync (NULL, argv, envp, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
  g_assert_false (g_file_test (copy, G_FILE_TEST_EXISTS));
  g_unlink (renamed);
  g_assert_cmpint (g_rmdir (dir), ==, 0);
}

static void
test_self_deleted (void)
{
  g_test_summary ("A program whose file was deleted can still be its own worker");
  run_copy ("--deleted", FALSE);
}

static void
test_self_renamed (void)
{
  g_test_summary ("So can one whose file was renamed");
  run_copy ("--renamed", FALSE);
}

static void
test_self_stripped (void)
{
  g_autofree char *strip = g_find_program_in_path ("strip");

  g_test_summary ("And one without symbols");
  if (strip == NULL)
    {
      g_test_skip ("there is no strip");
      return;
    }
  run_copy ("--deleted", TRUE);
}

static int
run_without_file (const char *file,
                  const char *new_name)
{
  g_assert_cmpint (new_name != NULL ? g_rename (file, new_name) : g_unlink (file), ==, 0);
  assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_SYNC, AFRPC_START_FORK);
  assert_echoes (afrpc_process_new_self (), AFRPC_BACKEND_ASYNC, AFRPC_START_FORK);
  assert_echoes (afrpc_process_new_self_exec (), AFRPC_BACKEND_SYNC, AFRPC_START_EXEC);

  return 0;
}

int
main (int   argc,
      char *argv[])
{
  afrpc_register_function ("echo", AFRPC_FUNCTION_SYNC, G_CALLBACK (echo), "(s)");
  afrpc_register_function ("ask-another", AFRPC_FUNCTION_SYNC, G_CALLBACK (ask_another), "(b)");
  afrpc_register_function ("echo-later", AFRPC_FUNCTION_ASYNC, G_CALLBACK (echo_later), NULL);
  afrpc_init_early (&argc, &argv);

  if (argc == 3 && g_str_equal (argv[1], "--deleted"))
    return run_without_file (argv[0], NULL);
  if (argc == 3 && g_str_equal (argv[1], "--renamed"))
    return run_without_file (argv[0], argv[2]);

  g_test_init (&argc, &argv, NULL);

  /* The first: nothing else has been started, and nobody has taken the early template. */
  g_test_add_func ("/self/started", test_self_started);
  g_test_add_func ("/self/copies", test_self_copies);
  g_test_add_func ("/self/fork", test_self_fork);
  g_test_add_func ("/self/exec", test_self_exec);
  g_test_add_func ("/self/nested", test_self_nested);
  g_test_add_func ("/self/thread", test_self_thread);
  g_test_add_func ("/self/bad-function", test_self_bad_function);
  g_test_add_func ("/self/deleted", test_self_deleted);
  g_test_add_func ("/self/renamed", test_self_renamed);
  g_test_add_func ("/self/stripped", test_self_stripped);

  return g_test_run ();
}
