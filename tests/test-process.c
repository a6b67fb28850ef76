/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own-process.h"

/* A call of whatever function must fail, and the proxy must end, without anything left behind. */
static void
assert_fails (AfrpcProcess *process, /* (transfer full) */
              const char   *function,
              AfrpcBackend  backend,
              const char   *init,
              int           code,
              const char   *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) sync_error = NULL;
  g_autoptr(GVariant) result = NULL;

  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "init", init, "backend",
                                      backend, NULL));
  g_object_unref (process);
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
  test_iterate_until (&watched.destroyed);
  g_assert_error (watched.error, AFRPC_ERROR, code);

  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &sync_error);
  g_assert_error (sync_error, AFRPC_ERROR, code);
  test_assert_no_children ();
}

static void
assert_fails_sync (AfrpcProcess *process, /* (transfer full) */
                   const char   *function,
                   int           code,
                   const char   *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  watch_init (&watched, afrpc_proxy_new (process, function));
  g_object_unref (process);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), NULL, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
  test_iterate_until (&watched.destroyed);
  g_assert_error (watched.error, AFRPC_ERROR, code);
}

static AfrpcProcess *
new_with_module (const char *module)
{
  AfrpcProcess *process = afrpc_process_new_exec ("c");

  afrpc_process_require (process, module);

  return process;
}

static AfrpcProcess *
new_quiet (const char *host)
{
  AfrpcProcess *process = afrpc_process_new_exec (host);

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

static void
test_process_bad_host (void)
{
  g_test_summary ("A host that does not exist, cannot be executed, or is none: an error that names it");
  assert_fails (afrpc_process_new_exec ("klingon"), "f", 0, NULL, AFRPC_ERROR_NO_HOST, "afrpc-host-klingon");
  assert_fails (afrpc_process_new_exec ("/no/such/host"), "f", 0, NULL, AFRPC_ERROR_SPAWN, "/no/such/host");
  assert_fails (afrpc_process_new_exec ("/etc/passwd"), "f", 0, NULL, AFRPC_ERROR_SPAWN, "Permission denied");
  assert_fails (afrpc_process_new_exec ("/bin/true"), "f", 0, NULL, AFRPC_ERROR_NOT_A_HOST, "exited with status 0");
  assert_fails (afrpc_process_new_exec ("/bin/false"), "f", 0, NULL, AFRPC_ERROR_NOT_A_HOST, "exited with status 1");
  assert_fails_sync (afrpc_process_new_exec ("klingon"), "f", AFRPC_ERROR_NO_HOST, "there are hosts for: c");
  assert_fails_sync (afrpc_process_new_exec ("/no/such/host"), "f", AFRPC_ERROR_SPAWN, "/no/such/host");
  assert_fails_sync (afrpc_process_new_exec ("/bin/true"), "f", AFRPC_ERROR_NOT_A_HOST, "exited with status 0");
}

static char *
write_script (const char *dir,
              const char *name,
              const char *text)
{
  char *path = g_build_filename (dir, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_chmod (path, 0700);

  return path;
}

static void
test_process_scripts (void)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *garbage = write_script (dir, "garbage", "#!/bin/sh\necho 'this is not a greeting at all' >&3\nread x <&3\n");
  g_autofree char *talk = write_script (dir, "talk", "#!/bin/sh\necho 'cannot find my libraries' >&2\nexit 4\n");
  g_test_summary ("Programs that are no hosts, or others' hosts, are told by what they say");
  assert_fails (new_quiet (garbage), "f", 0, NULL, AFRPC_ERROR_NOT_A_HOST,
                "no greeting, but 'this is not a greeting at all\\n'");
  assert_fails (new_quiet (talk), "f", 0, NULL, AFRPC_ERROR_NOT_A_HOST, "before it said that it is a host, ");
  assert_fails (new_quiet (talk), "f", 0, NULL, AFRPC_ERROR_NOT_A_HOST, "exited with status 4: cannot find my libraries");
  assert_fails_sync (new_quiet (garbage), "f", AFRPC_ERROR_NOT_A_HOST, "no greeting");
  g_unlink (garbage);
  g_unlink (talk);
  g_rmdir (dir);
}

static void
test_process_bad_module (void)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *text = write_script (dir, "text.so", "not a shared object\n");
  AfrpcProcess *in_dir;
  const struct
  {
    const char *name;
    const char *host;
  } others[] = {
    { "w.py", "python" }, { "W.PY", "python" }, { "w.js", "gjs" }, { "w.mjs", "gjs" }, { "W.pm", "perl" }, { "w.pl", "perl" },
  };

  g_test_summary ("A module that does not exist or cannot be loaded: an error with the linker's words");
  assert_fails (new_with_module ("no-such-module"), "f", 0, NULL, AFRPC_ERROR_MODULE, "no-such-module.so");
  assert_fails (new_with_module ("/no/such/module.so"), "f", 0, NULL, AFRPC_ERROR_MODULE, "No such file or directory");
  assert_fails (new_with_module (text), "f", 0, NULL, AFRPC_ERROR_MODULE, "file too short");
  in_dir = afrpc_process_new_exec ("c");
  afrpc_process_set_cwd (in_dir, dir);
  afrpc_process_require (in_dir, "text.so");
  assert_fails (in_dir, "f", 0, NULL, AFRPC_ERROR_MODULE, "; the path of a file has a slash in it: './text.so'");
  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autofree char *file = write_script (dir, others[i].name, "not a shared object\n");
      g_autofree char *words = g_strdup_printf ("; a module for the host '%s'?", others[i].host);

      assert_fails (new_with_module (file), "f", 0, NULL, AFRPC_ERROR_MODULE, words);
      assert_fails (new_with_module (others[i].name), "f", 0, NULL, AFRPC_ERROR_MODULE, words);
      g_unlink (file);
    }
  assert_fails_sync (new_with_module ("no-such-module"), "f", AFRPC_ERROR_MODULE, "no-such-module.so");
  g_unlink (text);
  g_rmdir (dir);
}

static void
test_process_bad_exit (void)
{
  g_autoptr(AfrpcProcess) process = new_with_module ("/no/such/module.so");
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "f");
  g_autoptr(AfrpcExit) reason = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("How a worker has ended that could not be prepared says why");
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
  reason = afrpc_process_wait_sync (process, NULL, NULL);
  g_assert_cmpint (afrpc_exit_get_status (reason), ==, 1);
  g_assert_cmpstr (afrpc_exit_get_stderr (reason), ==, "");
  text = afrpc_exit_to_string (reason);
  g_assert_nonnull (strstr (text, ") exited with status 1: "));
  g_assert_true (g_str_has_suffix (text, error->message));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
}

static void
test_process_no_host_exit (void)
{
  g_autoptr(AfrpcProcess) process = new_quiet ("/bin/true");
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "f");
  g_autoptr(AfrpcExit) exit = NULL;
  g_autofree char *text = NULL, *expected = NULL;

  g_test_summary ("How a program has ended that is no host says that it is none");
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, NULL));
  exit = afrpc_process_wait_sync (process, NULL, NULL);
  text = afrpc_exit_to_string (exit);
  expected = g_strdup_printf ("before it said that it is a host, the process (pid %d) exited with status 0",
                              afrpc_exit_get_pid (exit));
  g_assert_cmpstr (text, ==, expected);
}

/* Something else is there by then, or nothing. */
static void
test_process_bad_stream (void)
{
  static void (*const take[]) (AfrpcProcess *, int) = {
    afrpc_process_take_stdin_fd, afrpc_process_take_stdout_fd, afrpc_process_take_stderr_fd,
  };
  static const char *const names[] = { "standard input", "standard output", "standard error" };
  const int fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 500);

  g_test_summary ("A descriptor that cannot become a standard stream is named, and the stream too");
  for (guint i = 0; i < G_N_ELEMENTS (take); i++)
    {
      AfrpcProcess *process = afrpc_process_new_exec (NULL);
      g_autofree char *words = g_strdup_printf ("cannot start 'c' running 'f': making file descriptor %d the %s: "
                                               "Bad file descriptor", fd, names[i]);

      take[i] (process, fd);
      close (fd);
      assert_fails (process, "f", 0, NULL, AFRPC_ERROR_SPAWN, words);
      g_assert_cmpint (fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, fd), ==, fd);
    }
  close (fd);
}

/* The thread has no context of its own, and the default one is another thread's. */
static gpointer
require_thread (gpointer process)
{
  afrpc_process_require (process, "module");
  afrpc_process_setenv (process, "A", "b", TRUE);
  afrpc_process_set_nice (process, 3);

  return NULL;
}

static gpointer
set_thread (gpointer proxy)
{
  afrpc_proxy_set_call_timeout_ms (proxy, 5);
  afrpc_proxy_set_max_calls_queued (proxy, 5);
  g_object_set (proxy, "max-bytes-queued", G_GUINT64_CONSTANT (5), NULL);

  return NULL;
}

static void
test_process_wrong_thread (void)
{
  static const char *const setters[] = { "call_timeout_ms", "max_calls_queued", "max_bytes_queued" };
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec ("c");
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);

  g_test_summary ("Who does something in the wrong thread is told once, and what is missing");
  g_assert_true (g_main_context_acquire (NULL));
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_require: another thread runs the main context that the "
                         "process of 'c' belongs to; this thread has no main context of its own, which *");
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_setenv: another thread *");
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_set_nice: another thread *");
  g_thread_join (g_thread_new ("wrong", require_thread, process));
  g_test_assert_expected_messages ();
  for (guint i = 0; i < G_N_ELEMENTS (setters); i++)
    {
      g_autofree char *words = g_strdup_printf ("afrpc_proxy_set_%s: another thread *", setters[i]);

      g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, words);
    }
  g_thread_join (g_thread_new ("wrong", set_thread, proxy));
  g_test_assert_expected_messages ();
  g_assert_cmpuint (afrpc_proxy_get_call_timeout_ms (proxy), ==, 0);
  g_main_context_release (NULL);
}

static void
test_process_bad_arguments (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();

  g_test_summary ("What there is not is refused, by the name of the function that was called");
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_set_stdin: *");
  afrpc_process_set_stdin (process, AFRPC_STDIO_LOG);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_set_stdout: *");
  afrpc_process_set_stdout (process, AFRPC_STDIO_CAPTURE);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_take_stderr_fd: *");
  afrpc_process_take_stderr_fd (process, -1);
  g_test_expect_message ("afrpc", G_LOG_LEVEL_CRITICAL, "afrpc_process_kill: *");
  afrpc_process_kill (process, 999);
  g_test_assert_expected_messages ();
}

static void
test_process_bad_function (void)
{
  AfrpcProcess *process;

  g_test_summary ("A function that does not exist, or is of another kind: an error that names it");
  assert_fails (test_process_new (), "no_such", 0, NULL, AFRPC_ERROR_FUNCTION, "no_such");
  /* A symbol of a library that the module uses is not the module's. */
  assert_fails (test_process_new (), "g_free", 0, NULL, AFRPC_ERROR_FUNCTION, "g_free");
  assert_fails (test_process_new (), "act", AFRPC_BACKEND_ASYNC, NULL, AFRPC_ERROR_FUNCTION, "sync backend, not");
  assert_fails (test_process_new (), "act_async", AFRPC_BACKEND_SYNC, NULL, AFRPC_ERROR_FUNCTION, "async backend, not");
  assert_fails (test_process_new (), "act", 0, "no_such_init", AFRPC_ERROR_FUNCTION, "no_such_init");
  assert_fails (test_process_new (), "act", 0, "not_a_function", AFRPC_ERROR_FUNCTION,
                "'not_a_function' in");
  assert_fails (test_process_new (), "not_a_function", 0, NULL, AFRPC_ERROR_FUNCTION, "is a variable, and no function");
  assert_fails (test_process_new (), "afrpc_info_echo", 0, NULL, AFRPC_ERROR_FUNCTION, "is a variable, and no function");
  assert_fails (afrpc_process_new_exec (NULL), "f", 0, NULL, AFRPC_ERROR_FUNCTION, ", and no module was loaded");

  process = test_process_new ();
  afrpc_process_eval (process, "code", NULL);
  assert_fails (process, "act", 0, NULL, AFRPC_ERROR_NOT_SUPPORTED, "cannot evaluate code");
}

static void
test_process_bad_init (void)
{
  g_autofree char *words = g_strdup_printf ("'c' running 'act' of '%s': init function 'init_error': the cellar is locked",
                                            TEST_WORKER);
  g_autofree char *end = g_strconcat (") exited with status 1: ", words, NULL);
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcExit) exit = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("An init function that fails");
  assert_fails (g_object_ref (process), "act", 0, "init_error", AFRPC_ERROR_INIT, words);
  exit = afrpc_process_wait_sync (process, NULL, NULL);
  text = afrpc_exit_to_string (exit);
  g_assert_true (g_str_has_prefix (text, "process (pid "));
  g_assert_true (g_str_has_suffix (text, end));
  assert_fails (test_process_new (), "act", 0, "init_silent", AFRPC_ERROR_INIT, "without saying why");
}

static void
test_process_bad_cwd (void)
{
  AfrpcProcess *process = test_process_new ();

  g_test_summary ("A working directory that does not exist");
  afrpc_process_set_cwd (process, "/no/such/dir");
  assert_fails (process, "act", 0, NULL, AFRPC_ERROR_SPAWN, " running 'act' of ");
  process = test_process_new ();
  afrpc_process_set_cwd (process, "/no/such/dir");
  assert_fails (process, "act", 0, NULL, AFRPC_ERROR_SPAWN, ": entering its working directory '/no/such/dir': No such file");
}

static void
test_process_prepare_too_large (void)
{
  AfrpcProcess *process = test_process_new ();
  gsize size = (128 << 20) + 1;

  g_test_summary ("What a process is prepared with is limited");
  afrpc_process_send_arg (process, test_zeros (size));
  assert_fails (process, "act", 0, NULL, AFRPC_ERROR_TOO_LARGE, "the limit is 134217728");
}

static int
fd_with (const char *text)
{
  int fds[2];

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  g_assert_cmpint (write (fds[1], text, strlen (text)), ==, strlen (text));
  close (fds[1]);

  return fds[0];
}

static void
test_process_start_data (gconstpointer init)
{
  AfrpcProcess *process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("Arguments and descriptors arrive in order, between requirements, also large ones");
  afrpc_process_send_arg (process, g_variant_new_string ("one"));
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *number = g_strdup_printf ("%u", i);
      int fd = fd_with (number);

      afrpc_process_send_fd (process, fd);
      close (fd);
    }
  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_send_arg (process, g_variant_new_take_string (g_strnfill (100000, 'x')));
  afrpc_process_send_arg (process, g_variant_new ("(i)", 3));
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "get_start", "init", init, NULL));
  g_object_unref (process);

  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  {
    g_autoptr(GVariant) from_init = NULL;
    g_autoptr(GVariant) args = NULL;
    g_autofree const char **contents = NULL;
    g_autofree char *expected = NULL;
    g_autoptr(GVariant) second = NULL;

    g_variant_get (result, "(vv^a&s)", &from_init, &args, &contents);
    g_assert_cmpuint (g_strv_length ((char **) contents), ==, 100);
    for (guint i = 0; i < 100; i++)
      g_assert_cmpuint (g_ascii_strtoull (contents[i], NULL, 10), ==, i);
    text = g_variant_print (args, FALSE);
    second = g_variant_get_child_value (args, 1);
    expected = g_strdup_printf ("('one', '%s', (3,))", g_variant_get_string (second, NULL));
    g_assert_cmpstr (text, ==, expected);
    if (init != NULL)
      g_assert_true (g_variant_equal (from_init, args));
  }
}

static void
test_process_surroundings (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  const char *const values[][3] = {
    { "getenv", "AFRPC_TEST_A", "'set'" },       { "getenv", "AFRPC_TEST_B", "'unset'" },
    { "getenv", "AFRPC_SOCKET", "'unset'" },     { "readlink", "/proc/self/fd/0", "'/dev/null'" },
    { "readlink", "/proc/self/fd/1", "'/dev/null'" },  { "readlink", "/proc/self/fd/5", "'nothing'" },
  };

  g_test_summary ("Environment, working directory and standard streams are as set");
  g_setenv ("AFRPC_TEST_B", "in the parent", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_A", "set", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_A", "not again", FALSE);
  afrpc_process_unsetenv (process, "AFRPC_TEST_B");
  afrpc_process_set_cwd (process, dir);
  afrpc_process_set_stdout (process, AFRPC_STDIO_SILENCE);
  watch_init (&watched, afrpc_proxy_new (process, "act"));

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr(GVariant) result = test_call (watched.proxy, test_act (values[i][0], g_variant_new_string (values[i][1])), NULL);
      g_autofree char *text = result != NULL ? g_variant_print (result, FALSE) : NULL;

      g_assert_cmpstr (text, ==, values[i][2]);
    }
  {
    g_autoptr(GVariant) result = test_call (watched.proxy, test_act ("getcwd", NULL), NULL);

    g_assert_cmpstr (g_variant_get_string (result, NULL), ==, dir);
  }
  g_rmdir (dir);
}

static void
test_process_module_path (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  g_auto(Watched) watched = { 0 };
  g_autofree char *dir = g_path_get_dirname (TEST_WORKER);
  g_autofree char *path = g_strdup_printf ("/no/such/dir::%s", dir);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A module without a slash is looked for by its name");
  afrpc_process_setenv (process, "AFRPC_MODULE_PATH", path, TRUE);
  afrpc_process_require (process, "test-worker");
  watch_init (&watched, afrpc_proxy_new (process, "echo"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
}

static void
test_process_set_environ (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  const char *const environment[] = { "ONLY=this", NULL };
  g_autoptr(GVariant) only = NULL;
  g_autoptr(GVariant) home = NULL;

  g_test_summary ("The whole environment can be replaced");
  afrpc_process_set_environ (process, environment);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  only = test_call (watched.proxy, test_act ("getenv", g_variant_new_string ("ONLY")), NULL);
  home = test_call (watched.proxy, test_act ("getenv", g_variant_new_string ("PATH")), NULL);
  g_assert_cmpstr (g_variant_get_string (only, NULL), ==, "this");
  g_assert_cmpstr (g_variant_get_string (home, NULL), ==, "unset");
}

static void
test_process_stdio_fds (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  int fds[2];
  g_autoptr(GVariant) input = NULL;
  char buffer[32] = "";

  g_test_summary ("Standard streams can be descriptors of the program");
  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  afrpc_process_take_stdin_fd (process, fd_with ("the input"));
  afrpc_process_take_stderr_fd (process, fds[1]);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  input = test_call (watched.proxy, test_act ("read", g_variant_new_string ("/proc/self/fd/0")), NULL);
  g_assert_cmpstr (g_variant_get_string (input, NULL), ==, "the input");
  g_variant_unref (test_call (watched.proxy, test_act ("stderr", g_variant_new_string ("the output")), NULL));
  watch_end (&watched);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer - 1), ==, 10);
  g_assert_cmpstr (buffer, ==, "the output");
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 0);
  close (fds[0]);
}

/* Returns: (transfer full): what is read of what the worker says, after somebody has not read for a while */
static char *
say_unread (AfrpcProxy *proxy,
            int         fds[2])
{
  g_autofree char *much = g_strnfill (1000 * 1000, 'x'); /* more than waits anywhere */
  g_autoptr(GString) seen = g_string_new (NULL);
  char buffer[4096] = "";
  gssize n;

  while (write (fds[1], buffer, sizeof buffer) > 0)
    ;
  /* Who writes to it waits from now on. */
  g_assert_no_errno (fcntl (fds[1], F_SETFL, 0));
  g_variant_unref (test_call (proxy, test_act ("stderr", g_variant_new_string (much)), NULL));
  test_iterate_until_idle ();
  while (read (fds[0], buffer, sizeof buffer) > 0)
    ;
  g_variant_unref (test_call (proxy, test_act ("stderr", g_variant_new_string ("read\n")), NULL));
  while (!g_str_has_suffix (seen->str, "read\n"))
    {
      test_iterate_until_fd (fds[0], G_IO_IN);
      n = read (fds[0], buffer, sizeof buffer);
      g_assert_cmpint (n, >, 0);
      g_string_append_len (seen, buffer, n);
    }

  return g_strdup (seen->str);
}

static void
test_process_stderr_unread (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  g_autofree char *seen = NULL;
  int fds[2], before;

  g_test_summary ("A standard error of the program that nobody reads holds nobody up; what it does not take is said once it does");
  afrpc_process_set_stderr (process, AFRPC_STDIO_TEE);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  before = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
  g_assert_no_errno (dup2 (fds[1], STDERR_FILENO));
  /* Who waits for it is ended. */
  alarm (100);
  seen = say_unread (watched.proxy, fds);
  alarm (0);
  g_assert_no_errno (dup2 (before, STDERR_FILENO));
  close (before);
  close (fds[0]);
  close (fds[1]);
  g_assert_cmpstr (seen, ==, "[afrpc: 1000000 bytes of a worker's standard error were dropped here]\nread\n");
  watch_end (&watched);
}

static void
test_process_signals (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) status = NULL;
  g_autoptr(AfrpcProcess) process = test_process_new ();
  const char *text, *ignored;
  sigset_t set, before;

  g_test_summary ("A worker has an empty signal mask and ignores nothing, whatever the program does");
  sigfillset (&set);
  sigprocmask (SIG_SETMASK, &set, &before);
  signal (SIGUSR1, SIG_IGN);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  status = test_call (watched.proxy, test_act ("read", g_variant_new_string ("/proc/self/status")), NULL);
  signal (SIGUSR1, SIG_DFL);
  sigprocmask (SIG_SETMASK, &before, NULL);
  text = g_variant_get_string (status, NULL);
  g_assert_nonnull (strstr (text, "SigBlk:\t0000000000000000"));
  /* But those that the C library keeps to itself, which posix_spawn() ignores in its children. */
  ignored = strstr (text, "SigIgn:\t");
  g_assert_nonnull (ignored);
  g_assert_cmphex (g_ascii_strtoull (ignored + 8, NULL, 16) & ~G_GUINT64_CONSTANT (0x180000000), ==, 0);
}

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  AfrpcExit **exit = data;
  g_autoptr(GError) error = NULL;

  *exit = afrpc_process_wait_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

static void
wait_failed_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      data)
{
  g_assert_null (afrpc_process_wait_finish (AFRPC_PROCESS (source), result, data));
}

/* What was notified of, in order, and the end. */
static void
notified_cb (GObject    *process,
             GParamSpec *pspec,
             GString    *told)
{
  g_assert_cmpint (afrpc_process_get_pid (AFRPC_PROCESS (process)), !=, 0);
  g_string_append_printf (told, "%s ", pspec->name);
}

static void
notified_exited_cb (AfrpcProcess *process,
                    AfrpcExit    *exit,
                    GString      *told)
{
  g_string_append (told, "exited");
}

static void
test_process_notify_of_one (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "echo");
  g_autoptr(GString) told = g_string_new (NULL);
  g_autoptr(AfrpcCallOptions) bound = afrpc_call_options_new ();

  g_test_summary ("Who asks for one property, or has another bound to it, is told as well");
  g_signal_connect (process, "notify::pid", G_CALLBACK (notified_cb), told);
  g_signal_connect (process, "exited", G_CALLBACK (notified_exited_cb), told);
  g_object_bind_property (process, "pid", bound, "priority", G_BINDING_DEFAULT);
  afrpc_caller_close (AFRPC_CALLER (proxy));
  while (!g_str_has_suffix (told->str, "exited"))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (told->str, ==, "pid exited");
  g_assert_cmpint (afrpc_call_options_get_priority (bound), ==, afrpc_process_get_pid (process));
}

static void
test_process_notify (void)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *argv[] = { host, NULL };
  const char *const expected[] = { "start pid exited", "start pid exited", "start pid exited" };

  g_test_summary ("What becomes known of a process is notified of, once");
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_autoptr(AfrpcProcess) template = test_template_new ();
      g_autoptr(AfrpcProcess) process = i == 0 ? test_process_new () : i == 1 ? afrpc_process_fork (template) :
                                                                                afrpc_process_new_command (argv);
      g_autoptr(GString) told = g_string_new (NULL);
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_autoptr(AfrpcExit) exit = NULL;

      g_signal_connect (process, "notify", G_CALLBACK (notified_cb), told);
      g_signal_connect (process, "exited", G_CALLBACK (notified_exited_cb), told);
      if (i == 2)
        afrpc_process_require (process, TEST_WORKER);
      proxy = afrpc_proxy_new (process, "echo");
      afrpc_caller_close (AFRPC_CALLER (proxy));
      while (!g_str_has_suffix (told->str, "exited"))
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpstr (told->str, ==, expected[i]);

      afrpc_process_wait_async (template, NULL, waited_cb, &exit);
      afrpc_process_kill (template, SIGKILL);
      while (exit == NULL)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
test_process_wait (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProcess) broken = afrpc_process_new_exec ("/no/such/host");
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(AfrpcExit) again = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("wait gives the exit, also afterwards; for a process that cannot start, the reason");
  afrpc_process_wait_async (process, NULL, waited_cb, &exit);
  while (afrpc_process_get_pid (process) == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_process_kill (process, SIGTERM);
  while (exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGTERM);
  g_assert_cmpint (afrpc_exit_get_status (exit), ==, -1);
  g_assert_cmpint (afrpc_exit_get_pid (exit), ==, afrpc_process_get_pid (process));
  g_assert_true (afrpc_exit_was_killed (exit));
  g_assert_false (afrpc_exit_is_success (exit));
  g_assert_cmpint (afrpc_exit_get_max_rss (exit), >, 100000);
  text = afrpc_exit_to_string (exit);
  g_assert_nonnull (strstr (text, "was killed by signal 15 (Terminated) that its program sent"));
  afrpc_process_kill (process, SIGTERM);

  afrpc_process_wait_async (process, NULL, waited_cb, &again);
  while (again == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (again == exit);

  afrpc_process_wait_async (broken, NULL, wait_failed_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
}

static void
test_process_wait_cancel (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;

  g_test_summary ("Cancelling a wait stops the waiting, not the process");
  afrpc_process_wait_async (process, cancellable, wait_failed_cb, &error);
  while (afrpc_process_get_pid (process) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_cancellable_cancel (cancellable);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (kill (afrpc_process_get_pid (process), 0), ==, 0);
}

static void
test_process_dropped (void)
{
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(AfrpcProcess) held = NULL;
  guint n_fds = test_count_fds ();
  int pid;

  g_test_summary ("A process that is dropped before it runs anything ends, prepared, started or not");
  for (guint i = 0; i < 20; i++)
    {
      AfrpcProcess *process = test_process_new ();

      while (i % 2 == 0 && (pid = afrpc_process_get_pid (process)) == 0)
        g_main_context_iteration (NULL, TRUE);
      g_object_unref (process);
      while (g_main_context_iteration (NULL, FALSE) || (i % 2 == 0 && kill (pid, 0) == 0))
        ;
    }
  test_assert_no_children ();
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
run_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      data)
{
  GIOStream **stream = data;
  g_autoptr(GError) error = NULL;

  *stream = afrpc_process_run_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

#define MUCH (4u << 20) /* bytes */

static void
run_failed_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      data)
{
  g_assert_null (afrpc_process_run_finish (AFRPC_PROCESS (source), result, data));
}

static void
test_process_run (void)
{
  AfrpcProcess *process = test_process_new ();
  g_autoptr(GIOStream) stream = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;
  GInputStream *in;
  GOutputStream *out;
  char buffer[32] = "";
  gsize n;

  g_test_summary ("run gives the socket to a function that took the process over, with nothing on it");
  afrpc_process_send_arg (process, g_variant_new_string ("a"));
  afrpc_process_wait_async (process, NULL, waited_cb, &exit);
  afrpc_process_run_async (process, "run_echo", NULL, run_cb, &stream);
  afrpc_process_run_async (process, "run_echo", NULL, run_failed_cb, &error);
  g_object_unref (process);
  while (stream == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_IN_USE);
  g_assert_true (G_IS_SOCKET_CONNECTION (stream));

  in = g_io_stream_get_input_stream (stream);
  out = g_io_stream_get_output_stream (stream);
  g_assert_true (g_input_stream_read_all (in, buffer, 7, &n, NULL, NULL));
  g_assert_cmpstr (buffer, ==, "('a',)");
  g_assert_true (g_output_stream_write_all (out, "ping", 5, NULL, NULL, NULL));
  g_assert_true (g_input_stream_read_all (in, buffer, 5, &n, NULL, NULL));
  g_assert_cmpstr (buffer, ==, "ping");
  g_assert_true (g_io_stream_close (stream, NULL, NULL));
  while (exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (afrpc_exit_is_success (exit));
}

static void
test_process_run_fails (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProcess) cancelled = test_process_new ();
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) cancel_error = NULL;
  g_autoptr(AfrpcExit) exit = NULL;

  g_test_summary ("A run that fails says why; one that is cancelled kills");
  afrpc_process_run_async (process, "no_such", NULL, run_failed_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION);

  afrpc_process_wait_async (cancelled, NULL, waited_cb, &exit);
  /* It has so much to read that it is not ready before it is cancelled. */
  for (guint i = 0; i < 16; i++)
    {
      g_autofree guint8 *much = g_malloc0 (MUCH);

      afrpc_process_send_arg (cancelled, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, much, MUCH, 1));
    }
  afrpc_process_run_async (cancelled, "run_echo", cancellable, run_failed_cb, &cancel_error);
  while (afrpc_process_get_pid (cancelled) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_cancellable_cancel (cancellable);
  while (cancel_error == NULL || exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (cancel_error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (afrpc_exit_was_killed (exit));
}

static void
test_process_no_fds_left (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  guint64 n_fds_max;

  g_test_summary ("A full table of descriptors is a clear error, and passes");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  n_fds_max = own_process_limit_fds (4);
  result = test_call (watched.proxy, test_act ("return", NULL), &error);
  own_process_limit_fds (n_fds_max);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_nonnull (strstr (error->message, "Too many open files"));
  watch_end (&watched);
}

/* The number of cycles can be raised for a long run. */
static void
test_process_many (void)
{
  const guint n = g_test_slow () ? 10000 : 300;
  guint n_fds = 0;

  g_test_summary ("Thousands of starts and ends leave no descriptor and no zombie");
  for (guint i = 0; i < n; i++)
    {
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
      if (i % 3 != 0)
        g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
      if (i % 5 == 0)
        afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
      watch_end (&watched);
      if (i == 0)
        n_fds = test_count_fds ();
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_no_children ();
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/process/bad/host", test_process_bad_host);
  g_test_add_func ("/process/bad/scripts", test_process_scripts);
  g_test_add_func ("/process/bad/module", test_process_bad_module);
  g_test_add_func ("/process/bad-exit", test_process_bad_exit);
  g_test_add_func ("/process/no-host-exit", test_process_no_host_exit);
  g_test_add_func ("/process/bad-stream", test_process_bad_stream);
  g_test_add_func ("/process/wrong-thread", test_process_wrong_thread);
  g_test_add_func ("/process/bad-arguments", test_process_bad_arguments);
  g_test_add_func ("/process/bad/function", test_process_bad_function);
  g_test_add_func ("/process/bad/init", test_process_bad_init);
  g_test_add_func ("/process/bad/cwd", test_process_bad_cwd);
  g_test_add_func ("/process/bad/too-large", test_process_prepare_too_large);
  g_test_add_data_func ("/process/start-data", NULL, test_process_start_data);
  g_test_add_data_func ("/process/start-data/init", "init_ok", test_process_start_data);
  g_test_add_func ("/process/surroundings", test_process_surroundings);
  g_test_add_func ("/process/module-path", test_process_module_path);
  g_test_add_func ("/process/environ", test_process_set_environ);
  g_test_add_func ("/process/stdio", test_process_stdio_fds);
  g_test_add_func ("/process/stderr-unread", test_process_stderr_unread);
  g_test_add_func ("/process/signals", test_process_signals);
  g_test_add_func ("/process/notify", test_process_notify);
  g_test_add_func ("/process/notify-of-one", test_process_notify_of_one);
  g_test_add_func ("/process/wait", test_process_wait);
  g_test_add_func ("/process/wait/cancel", test_process_wait_cancel);
  g_test_add_func ("/process/dropped", test_process_dropped);
  g_test_add_func ("/process/run", test_process_run);
  g_test_add_func ("/process/run/fails", test_process_run_fails);
  g_test_add_func ("/process/no-fds-left", test_process_no_fds_left);
  g_test_add_func ("/process/many", test_process_many);

  return g_test_run ();
}
