/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of the program itself, in whatever way its workers were started. */
#include "test-util.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Runs the subprocess of @path, which is killed or ends. Returns: all that it and its workers have written */
static char *
run_program (const char *path)
{
  const char *const argv[] = { "test-orphan", "-p", path, "--GTestSubprocess", NULL };

  /* Standard error is what a command's workers have of it. */
  return test_run_to_end (argv, NULL, TEST_RUN_WITH_STDERR);
}

typedef struct
{
  const char *path;
  const char *script; /* (nullable): of a command that leads to the host, "$0" */
} Busy;

/* What only copies, as ssh does, tells the host nothing of a reader that is gone. */
#define RELAY "cat | \"$0\" | cat"

static const Busy busies[] = {
  { "/orphan/busy", NULL },
  { "/orphan/busy/command", "exec \"$0\"" },
  { "/orphan/busy/relay", RELAY },
};

static AfrpcProcess *
new_command (const char *script)
{
  g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *const argv[] = { "sh", "-c", script, host, NULL };
  AfrpcProcess *process = afrpc_process_new_command (argv);

  /* All that a command's worker has of what is waited for. */
  afrpc_process_set_stderr (process, AFRPC_STDIO_INHERIT);

  return process;
}

static void
test_orphan_busy (gconstpointer data)
{
  const Busy *busy = data;
  g_autofree char *output = NULL;

  g_test_summary ("A worker that computes is ended when its parent is killed, whatever leads to it");
  if (g_test_subprocess ())
    {
      g_autoptr(AfrpcProcess) process = busy->script != NULL ? new_command (busy->script) : test_bare_process_new ();
      g_auto(Watched) watched = { 0 };

      afrpc_process_require (process, TEST_WORKER);
      watch_init (&watched, afrpc_proxy_new (process, "act"));
      watch_events (&watched);
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("spin", NULL), NULL, NULL, NULL);
      while (watched.n_events == 0)
        g_main_context_iteration (NULL, TRUE);
      g_print ("computing\n");
      kill (getpid (), SIGKILL);
      return;
    }

  output = run_program (busy->path);
  g_assert_nonnull (strstr (output, "computing"));
}

typedef struct
{
  const char *path;
  AfrpcStart start;
  AfrpcOrphanPolicy policy;
  gboolean is_template; /* it is what the worker is to be forked from that loads */
  const char *script;   /* (nullable): of a command; NULL: it is the host itself */
} Loading;

static const Loading loadings[] = {
  { "/orphan/loading/executed", AFRPC_START_EXEC, AFRPC_ORPHAN_POLICY_END },
  { "/orphan/loading/forked", AFRPC_START_FORK, AFRPC_ORPHAN_POLICY_END },
  { "/orphan/loading/template", AFRPC_START_EXEC, AFRPC_ORPHAN_POLICY_END, TRUE },
  { "/orphan/loading/command", AFRPC_START_COMMAND, AFRPC_ORPHAN_POLICY_END },
  { "/orphan/loading/relay", AFRPC_START_COMMAND, AFRPC_ORPHAN_POLICY_END, FALSE, RELAY },
  { "/orphan/loading/executed-to-finish", AFRPC_START_EXEC, AFRPC_ORPHAN_POLICY_FINISH },
  { "/orphan/loading/forked-to-finish", AFRPC_START_FORK, AFRPC_ORPHAN_POLICY_FINISH },
};

static AfrpcProcess *
new_process (const Loading *loading)
{
  const char *script = loading->script != NULL ? loading->script : "exec \"$0\"";
  AfrpcProcess *process = loading->start == AFRPC_START_COMMAND ? new_command (script)
                                                                : test_bare_process_new ();

  afrpc_process_set_stderr (process, AFRPC_STDIO_INHERIT);

  return loading->start == AFRPC_START_FORK ? afrpc_process_fork (process) : process;
}

static void
test_orphan_loading (gconstpointer data)
{
  const Loading *loading = data;
  const gboolean ends = loading->policy == AFRPC_ORPHAN_POLICY_END;
  g_autofree char *output = NULL;
  g_autofree char *path = NULL;
  g_autofree char *words = NULL;
  int fd;

  g_test_summary ("A process that loads a module is ended when its parent is killed, if it is to end with that");
  if (g_test_subprocess ())
    {
      g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());
      AfrpcProcess *process;
      AfrpcProxy *proxy;

      g_setenv ("AFRPC_TEST_PROGRAM", pid, TRUE);
      g_setenv ("AFRPC_TEST_LOADING_S", ends ? "10" : "1", TRUE);
      process = new_process (loading);
      afrpc_process_set_orphan_policy (process, loading->policy);
      afrpc_process_require (process, g_getenv ("AFRPC_TEST_SLOW_WORKER"));
      if (loading->is_template)
        process = afrpc_process_fork (process);
      proxy = afrpc_proxy_new (process, "nothing");
      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new_boolean (TRUE), NULL, NULL, NULL);
      for (;;)
        g_main_context_iteration (NULL, TRUE);
    }

  fd = g_file_open_tmp ("afrpc-orphan-XXXXXX", &path, NULL);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_setenv ("AFRPC_TEST_LOADING_FILE", path, TRUE);
  output = run_program (loading->path);
  g_assert_true (g_file_get_contents (path, &words, NULL, NULL));
  g_assert_cmpstr (words, ==, ends ? "loading " : "loading loaded");
  unlink (path);
}

/* Reads until @words ends with @word, while the main loop runs. */
static void
read_words (int         fd,
            GString    *words,
            const char *word)
{
  char buffer[64];
  gssize n;

  while (!g_str_has_suffix (words->str, word))
    {
      test_iterate_until_fd (fd, G_IO_IN);
      n = read (fd, buffer, sizeof buffer);
      g_assert_cmpint (n, >, 0);
      g_string_append_len (words, buffer, n);
    }
}

/* Once the worker's main thread sleeps, which may not be at once */
static void
wait_asleep (AfrpcProcess *process)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int) afrpc_process_get_pid (process));
  gboolean is_asleep = FALSE;

  while (!is_asleep)
    {
      g_autofree char *stat = NULL;

      g_assert_true (g_file_get_contents (path, &stat, NULL, NULL));
      is_asleep = strstr (stat, ") S ") != NULL;
      g_thread_yield ();
    }
}

static void
test_orphan_asleep (void)
{
  g_autofree char *directory = g_dir_make_tmp ("afrpc-orphan-XXXXXX", NULL);
  g_autofree char *told = g_build_filename (directory, "told", NULL);
  g_autofree char *waits = g_build_filename (directory, "waits", NULL);
  g_autoptr(GString) words = g_string_new (NULL);
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);
  int told_fd;
  int waits_fd;

  g_test_summary ("What a module waits for while it is loaded is not cut short by what is called meanwhile");
  g_assert_true (mkfifo (told, 0600) == 0 && mkfifo (waits, 0600) == 0);
  told_fd = open (told, O_RDWR | O_CLOEXEC);
  waits_fd = open (waits, O_RDWR | O_CLOEXEC);
  g_assert_true (told_fd >= 0 && waits_fd >= 0);

  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_S", "0", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_FILE", told, TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_WAITS", waits, TRUE);
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_SLOW_WORKER"));
  watch_init (&watched, afrpc_proxy_new (process, "nothing"));
  read_words (told_fd, words, "waiting ");
  wait_asleep (process);
  for (guint i = 0; i < 10; i++)
    {
      afrpc_caller_call (AFRPC_CALLER (watched.proxy), g_variant_new_boolean (TRUE), NULL, NULL, NULL);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  g_assert_cmpint (write (waits_fd, "", 1), ==, 1);
  read_words (told_fd, words, "loaded");
  g_assert_cmpstr (words->str, ==, "loading waiting loaded");

  close (told_fd);
  close (waits_fd);
  unlink (told);
  unlink (waits);
  rmdir (directory);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (busies); i++)
    g_test_add_data_func (busies[i].path, &busies[i], test_orphan_busy);
  g_test_add_func ("/orphan/asleep", test_orphan_asleep);
  for (guint i = 0; i < G_N_ELEMENTS (loadings); i++)
    g_test_add_data_func (loadings[i].path, &loadings[i], test_orphan_loading);

  return g_test_run ();
}
