/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What modules do to their process while they are loaded, and should not. */
#include "test-util.h"

#include <string.h>
#include <unistd.h>

typedef struct
{
  const char *misdeed;
  const char *message; /* of one that is executed */
} Case;

static const Case cases[] = {
  { "close", "loading the module '*' has closed the connection to the program" },
  { "replace", "neither a result nor an error" },
  { "limit", "shared memory that is not sealed or not of * bytes" },
  { "end-thread", "*exited with status 5*" },
  { "pthread-exit", "*exited with status *" }, /* that of a sanitizer, if there is one */
};

/* Returns: (transfer full): whose module does that, and has a file for it */
static AfrpcProcess *
new_process (const Case *what,
             char      **path)
{
  AfrpcProcess *process = afrpc_process_new_exec (NULL);
  const int fd = g_file_open_tmp ("afrpc-loading-XXXXXX", path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_DOES", what->misdeed, TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_LOADING_FILE", *path, TRUE);
#ifdef __SANITIZE_ADDRESS__
  /* A process that may open nothing waits for ever for the thread that looks for its leaks. */
  if (g_str_equal (what->misdeed, "limit"))
    afrpc_process_setenv (process, "ASAN_OPTIONS", "detect_leaks=0", TRUE);
#endif
  afrpc_process_require (process, g_getenv ("AFRPC_TEST_SLOW_WORKER"));

  return process;
}

static void
check_file (char *path)
{
  g_autofree char *words = NULL;

  g_assert_true (g_file_get_contents (path, &words, NULL, NULL));
  g_assert_cmpstr (words, ==, "loading ");
  unlink (path);
  g_free (path);
}

static void
test_loading_worker (gconstpointer data)
{
  const Case *what = data;
  char *path;
  g_autoptr(AfrpcProcess) process = new_process (what, &path);
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "nothing");
  g_autoptr(GError) error = NULL;
  g_autofree char *pattern = NULL;

  g_test_summary ("A worker whose module spoils it says so, and writes to nothing that is not its own");
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
  g_assert_nonnull (error);
  pattern = g_strconcat ("*", what->message, "*", NULL);
  if (!g_pattern_match_simple (pattern, error->message))
    g_error ("%s", error->message);
  check_file (path);
}

static void
test_loading_template (gconstpointer data)
{
  char *path;
  g_autoptr(AfrpcProcess) template = new_process (data, &path);
  g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A process that is to be forked, and is watched for its program's end meanwhile, hangs nobody");
  afrpc_process_unsetenv (process, "AFRPC_TEST_LOADING_DOES");
  afrpc_process_unsetenv (process, "AFRPC_TEST_LOADING_FILE");
  proxy = afrpc_proxy_new (process, "nothing");
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_assert_null (afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error));
  /* Another one is executed, then, whose module does no such thing. */
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT);
  check_file (path);
}

/* What a main thread has that ends alone is a leak to the sanitizer. */
static gboolean
is_left_out (const Case *what)
{
#ifdef __SANITIZE_ADDRESS__
  return strstr (what->misdeed, "thread") != NULL;
#else
  return FALSE;
#endif
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *worker = g_strconcat ("/loading/worker/", cases[i].misdeed, NULL);
      g_autofree char *template = g_strconcat ("/loading/template/", cases[i].misdeed, NULL);

      if (is_left_out (&cases[i]))
        continue;
      g_test_add_data_func (worker, &cases[i], test_loading_worker);
      g_test_add_data_func (template, &cases[i], test_loading_template);
    }

  return g_test_run ();
}
