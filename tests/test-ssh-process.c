/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

/* What is reached by ssh: by fake-ssh/ssh, which is found first in PATH. test-ssh.py runs this with a real one, and a
 * server. */

static gboolean is_fake;

#define QUOTES "it's \"$HOME\" `id` \\ !\n#; ü* "

static AfrpcProcess *
new_process (const char *destination)
{
  AfrpcProcess *process = test_ssh_process_new (destination, NULL);

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* Those that may be used here. */
static guint
count_processors (void)
{
  g_autoptr(AfrpcProcess) here = afrpc_process_new_exec (NULL);

  return afrpc_process_get_n_processors (here);
}

static char *
ask (AfrpcProxy *proxy,
     const char *what,
     const char *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, test_act (what, g_variant_new_string (value)), &error);

  g_assert_no_error (error);

  return g_variant_dup_string (result, NULL);
}

static void
assert_variable (AfrpcProxy *proxy,
                 const char *name,
                 const char *value)
{
  g_autofree char *there = ask (proxy, "getenv", name);

  g_assert_cmpstr (there, ==, value);
}

static void
test_ssh_process_surroundings (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("here");
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = NULL, *path = NULL;

  g_test_summary ("Environment and directory are the worker's, and pass no shell");
  afrpc_process_setenv (process, "AFRPC_TEST_SET", "before", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_SET", QUOTES, TRUE);
  afrpc_process_setenv (process, "PATH", "other", FALSE);
  afrpc_process_setenv (process, "AFRPC_TEST_NEW", "a=b", FALSE);
  afrpc_process_unsetenv (process, "USER");
  afrpc_process_set_cwd (process, "/usr");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_variable (watched.proxy, "AFRPC_TEST_SET", QUOTES);
  g_assert_cmpuint (afrpc_process_get_n_processors (process), ==, count_processors ());
  path = ask (watched.proxy, "getenv", "PATH");
  g_assert_cmpstr (path, !=, "other");
  assert_variable (watched.proxy, "AFRPC_TEST_NEW", "a=b");
  assert_variable (watched.proxy, "USER", "unset");
  folder = ask (watched.proxy, "readlink", "/proc/self/cwd");
  g_assert_cmpstr (folder, ==, "/usr");
  watch_end (&watched);
  g_assert_true (afrpc_exit_is_success (watched.exit));
  test_assert_no_children ();
}

static void
test_ssh_process_whole_environment (void)
{
  g_autofree char *hosts = g_strconcat ("AFRPC_HOST_PATH=", g_getenv ("AFRPC_HOST_PATH"), NULL);
  const char *const environment[] = { hosts, "AFRPC_TEST_ONE=1", NULL };
  g_autoptr(AfrpcProcess) process = new_process ("here");
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An environment of its own, after which there may be changes");
  afrpc_process_setenv (process, "AFRPC_TEST_LOST", "lost", TRUE);
  afrpc_process_set_environ (process, environment);
  afrpc_process_setenv (process, "AFRPC_TEST_TWO", "2", TRUE);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_variable (watched.proxy, "HOME", "unset");
  assert_variable (watched.proxy, "AFRPC_TEST_LOST", "unset");
  assert_variable (watched.proxy, "AFRPC_TEST_ONE", "1");
  assert_variable (watched.proxy, "AFRPC_TEST_TWO", "2");
}

static void
test_ssh_process_large_environment (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("here");
  g_autofree char *value = g_strnfill (100000, 'x');
  g_auto(Watched) watched = { 0 };

  g_test_summary ("More than a socket takes at once");
  for (guint i = 0; i < 12; i++)
    {
      g_autofree char *name = g_strdup_printf ("AFRPC_TEST_LARGE_%u", i);

      afrpc_process_setenv (process, name, value, TRUE);
    }
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_variable (watched.proxy, "AFRPC_TEST_LARGE_11", value);
}

static void
test_ssh_process_properties (void)
{
  const char *const options[] = { "-p", "2222", NULL };
  g_autoptr(AfrpcProcess) process = afrpc_process_new_ssh ("me@here", "python", options);
  g_autoptr(AfrpcProcess) fork = afrpc_process_fork (process);
  g_auto(GStrv) argv = NULL, fork_argv = NULL, fork_options = NULL;

  g_test_summary ("What ssh is called with: options of the program come first, since the first of several counts");
  g_object_get (process, "argv", &argv, NULL);
  g_object_get (fork, "argv", &fork_argv, "ssh-options", &fork_options, NULL);
  g_assert_cmpstrv (argv, fork_argv);
  g_assert_cmpstrv (options, fork_options);
  g_assert_cmpstr (argv[0], ==, "ssh");
  g_assert_cmpstr (argv[1], ==, "-p");
  g_assert_cmpstr (argv[2], ==, "2222");
  g_assert_true (g_strv_contains ((const char *const *) argv, "-oBatchMode=yes"));
  g_assert_cmpstr (argv[g_strv_length (argv) - 3], ==, "--");
  g_assert_cmpstr (argv[g_strv_length (argv) - 2], ==, "me@here");
  g_assert_cmpstr (afrpc_process_get_destination (process), ==, "me@here");
  g_assert_cmpstr (afrpc_process_get_host (process), ==, "python");
  g_assert_cmpuint (afrpc_process_get_n_processors (process), ==, 0);
  g_assert_cmpstr (afrpc_process_get_destination (fork), ==, "me@here");
  g_assert_cmpstr (afrpc_process_get_host (fork), ==, "python");
}

/* It was not given a job. */
static void
end_process (AfrpcProcess *process)
{
  g_autoptr(AfrpcExit) exit = NULL;

  afrpc_process_kill (process, SIGKILL);
  exit = test_wait_exit (process);
}

static void
test_ssh_process_fork (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("here");
  g_autoptr(AfrpcProcess) between = NULL, process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = NULL;

  g_test_summary ("Forked is run again, prepared in the same way, where its template is but for what is its own");
  afrpc_process_setenv (template, "AFRPC_TEST_OF_TEMPLATE", "1", TRUE);
  afrpc_process_setenv (template, "AFRPC_TEST_OF_BOTH", "1", TRUE);
  afrpc_process_set_cwd (template, "/usr");
  between = afrpc_process_fork (template);
  process = afrpc_process_fork (between);
  afrpc_process_setenv (process, "AFRPC_TEST_OF_BOTH", "2", TRUE);
  afrpc_process_setenv (process, "AFRPC_TEST_OF_TEMPLATE", "2", FALSE);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_variable (watched.proxy, "AFRPC_TEST_OF_TEMPLATE", "1");
  assert_variable (watched.proxy, "AFRPC_TEST_OF_BOTH", "2");
  folder = ask (watched.proxy, "readlink", "/proc/self/cwd");
  g_assert_cmpstr (folder, ==, "/usr");
  g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_COMMAND);
  end_process (between);
  end_process (template);
  watch_end (&watched);
  test_assert_no_children ();
}

static void
test_ssh_process_fork_elsewhere (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("here");
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = NULL;
  g_autofree char *hosts = g_strconcat ("AFRPC_HOST_PATH=", g_getenv ("AFRPC_HOST_PATH"), NULL);
  const char *const environment[] = { hosts, "AFRPC_TEST_WHOLE=1", NULL };

  g_test_summary ("An environment of its own, and a directory, are instead of its template's");
  afrpc_process_setenv (template, "AFRPC_TEST_OF_TEMPLATE", "1", TRUE);
  afrpc_process_set_cwd (template, "/nonexistent");
  process = afrpc_process_fork (template);
  afrpc_process_set_environ (process, environment);
  afrpc_process_set_cwd (process, "/usr");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  assert_variable (watched.proxy, "AFRPC_TEST_OF_TEMPLATE", "unset");
  assert_variable (watched.proxy, "AFRPC_TEST_WHOLE", "1");
  folder = ask (watched.proxy, "readlink", "/proc/self/cwd");
  g_assert_cmpstr (folder, ==, "/usr");
  end_process (template);
  watch_end (&watched);
  test_assert_no_children ();
}

static void
test_ssh_process_noisy (void)
{
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = NULL;
  g_autoptr(AfrpcProcess) process = new_process ("noisy");

  g_test_summary ("What start-up files print is passed over");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  folder = ask (watched.proxy, "readlink", "/proc/self/cwd");
  g_assert_cmpstr (folder, !=, "");
}

static void
test_ssh_process_sync (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("here");
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("Without a main loop");
  afrpc_process_setenv (process, "AFRPC_TEST_LATE", "1", TRUE);
  proxy = afrpc_proxy_new (process, "act");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("getenv", g_variant_new_string ("AFRPC_TEST_LATE")), NULL,
                                   &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (result, NULL), ==, "1");
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &error));
  g_assert_no_error (error);
  test_assert_no_children ();
}

typedef enum
{
  BY_FAKE = 1 << 0,
  BY_SSH = 1 << 1,
  BY_BOTH = BY_FAKE | BY_SSH,
} By;

typedef struct
{
  By by;
  const char *destination;
  const char *host;
  const char *cwd;
  AfrpcError code;
  const char *words[3];
} Failure;

static const Failure failures[] = {
  { BY_BOTH, "nowhere", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "cannot reach 'nowhere'", "Could not resolve", "check the name" } },
  { BY_FAKE, "down", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "cannot reach 'down'", "No route to host", "check that it is up" } },
  { BY_BOTH, "unknown-key", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'unknown-key'", "Host key verification failed", "accept it" } },
  { BY_BOTH, "changed-key", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'changed-key'", "Host key verification", "find out why" } },
  { BY_BOTH, "refused", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'refused'", "Permission denied (publickey)", "ssh-copy-id" } },
  { BY_FAKE, "odd", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'odd'", "nobody has thought of", "check that 'ssh' gets there" } },
  { BY_FAKE, "half", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'half'", "Timeout, server half", "check that" } },
  { BY_FAKE, "no-afrpc", NULL, NULL, AFRPC_ERROR_NO_HOST, { "no command 'afrpc' on 'no-afrpc'", "not found", "install afrpc 1." } },
  { BY_FAKE, "no-afrpc-csh", NULL, NULL, AFRPC_ERROR_NO_HOST, { "no command 'afrpc' on 'no-afrpc-csh'", "not found", "install" } },
  { BY_FAKE, "old-afrpc", NULL, NULL, AFRPC_ERROR_VERSION, { "'old-afrpc' is of another version", "Unknown", "install afrpc 1." } },
  { BY_FAKE, "no-login", NULL, NULL, AFRPC_ERROR_NOT_A_HOST, { "on 'no-login'", "exited with status 1", "'ssh no-login afrpc --version'" } },
  { BY_FAKE, "crowded", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'crowded'", "Connection reset by", "MaxStartups" } },
  { BY_FAKE, "chatty", NULL, NULL, AFRPC_ERROR_NOT_A_HOST, { "ssh chatty", "And another thing", "something else is written" } },
  { BY_BOTH, "here", NULL, "/nonexistent", AFRPC_ERROR_NOT_A_HOST, { "on 'here'", "Cannot enter", "/nonexistent" } },
  { BY_BOTH, "here", "klingon", NULL, AFRPC_ERROR_NOT_A_HOST, { "on 'here'", "afrpc-host-klingon", "" } },
  { BY_SSH, "closed", NULL, NULL, AFRPC_ERROR_UNREACHABLE, { "'closed'", "Connection refused", "sshd runs there" } },
};

static void
check_failure (const Failure *failure,
               gboolean       blocks)
{
  g_autoptr(AfrpcProcess) process = test_ssh_process_new (failure->destination, failure->host);
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(Watched) watched = { 0 };

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  if (failure->cwd != NULL)
    afrpc_process_set_cwd (process, failure->cwd);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL);
  if (!blocks)
    test_iterate_until (&watched.destroyed);
  value = afrpc_call_wait_sync (call, NULL, &error);
  g_test_message ("%s", error->message);
  g_assert_error (error, AFRPC_ERROR, (int) failure->code);
  for (guint i = 0; i < G_N_ELEMENTS (failure->words); i++)
    if (strstr (error->message, failure->words[i]) == NULL)
      g_error ("'%s' is not in '%s'", failure->words[i], error->message);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
  test_iterate_until (&watched.destroyed);
  test_assert_no_children ();
}

static void
test_ssh_process_failures (void)
{
  g_test_summary ("Each says which machine it is, what ssh has said, and what to do; no call was started");
  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    for (guint blocks = 0; blocks < 2 && (failures[i].by & (is_fake ? BY_FAKE : BY_SSH)) != 0; blocks++)
      check_failure (&failures[i], blocks);
}

static void
test_ssh_process_silent (void)
{
  g_test_summary ("One that never answers is given up with its process, in whatever way that is");
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(AfrpcProcess) process = new_process ("silent");
      g_autoptr(AfrpcCall) call = NULL;
      g_autoptr(GVariant) value = NULL;
      g_autoptr(GError) error = NULL;
      g_auto(Watched) watched = { 0 };
      int pid;

      watch_init (&watched, afrpc_proxy_new (process, "act"));
      call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("return", NULL), NULL);
      while ((pid = afrpc_process_get_pid (process)) == 0)
        g_main_context_iteration (NULL, TRUE);
      if (i == 0)
        afrpc_caller_kill (AFRPC_CALLER (watched.proxy));
      else if (i == 1)
        kill (pid, SIGKILL);
      else
        afrpc_process_kill (process, SIGTERM);
      value = afrpc_call_wait_sync (call, NULL, &error);
      g_assert_nonnull (error);
      g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_NO);
      test_iterate_until (&watched.destroyed);
      test_assert_no_children ();
    }
}

static void
test_ssh_process_no_fds (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("here");
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Descriptors stay on this machine");
  test_send_fd_with (process, "text");
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  value = test_call (watched.proxy, test_act ("return", NULL), &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
}

static void
test_ssh_process_no_option (void)
{
  static const char *const destinations[] = { "-oProxyCommand=touch %s", "ssh://-oProxyCommand=touch %s", "me@-oProxyCommand=touch %s",
                                              "nowhere;touch %s", "nowhere`touch %s`", "nowhere\ntouch %s", "~/%s", "" };
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("afrpc-option-XXXXXX", &error);
  g_autofree char *file = g_build_filename (folder, "made", NULL);
  const char *words = g_getenv ("AFRPC_TEST_SSH_OPTIONS");
  g_auto(GStrv) options = NULL;

  g_test_summary ("Whatever a destination is, it is no option of ssh, and no command");
  g_assert_no_error (error);
  if (words != NULL)
    g_shell_parse_argv (words, NULL, &options, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (destinations); i++)
    {
      g_auto(GStrv) parts = g_strsplit (destinations[i], "%s", -1);
      g_autofree char *destination = g_strjoinv (file, parts);
      g_autoptr(AfrpcProcess) process = g_object_new (AFRPC_TYPE_PROCESS, "destination", destination, "ssh-options", options, NULL);
      g_autoptr(GVariant) value = NULL;
      g_autoptr(GError) failure = NULL;
      g_auto(Watched) watched = { 0 };

      afrpc_process_require (process, TEST_WORKER);
      afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
      watch_init (&watched, afrpc_proxy_new (process, "act"));
      value = test_call (watched.proxy, test_act ("return", NULL), &failure);
      g_test_message ("%s", failure->message);
      g_assert_error (failure, AFRPC_ERROR, AFRPC_ERROR_UNREACHABLE);
      test_iterate_until (&watched.destroyed);
    }
  /* It is empty. */
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* What the command is told, and what it says. */
static void
check_receive (const void *input,
               gsize       size,
               int         status,
               const char *answer, /* %u: how many processors there are */
               const char *words)
{
  g_autoptr(GBytes) in = g_bytes_new (input, size);
  g_autoptr(GBytes) out = NULL, err = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) process = g_subprocess_new (
    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error, "afrpc", "host",
    "--receive", NULL);
  g_autofree char *said = NULL, *heard = NULL, *number = NULL, *expected = NULL;
  g_auto(GStrv) parts = NULL;

  g_assert_no_error (error);
  g_subprocess_communicate (process, in, NULL, &out, &err, &error);
  g_assert_no_error (error);
  said = g_strdup_printf ("%.*s", (int) g_bytes_get_size (err), (const char *) g_bytes_get_data (err, NULL));
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==, status);
  heard = g_strdup_printf ("%.*s", (int) g_bytes_get_size (out), (const char *) g_bytes_get_data (out, NULL));
  number = g_strdup_printf ("%u", count_processors ());
  parts = g_strsplit (answer, "%u", -1);
  expected = g_strjoinv (number, parts);
  g_assert_cmpstr (heard, ==, expected);
  if (strstr (said, words) == NULL)
    g_error ("'%s' is not in '%s'", words, said);
}

static GByteArray *
new_overture (const char *head)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = g_variant_parse (G_VARIANT_TYPE_VARDICT, head, NULL, NULL, &error);
  GByteArray *bytes = g_byte_array_new ();
  guint64 size;

  g_assert_no_error (error);
  size = GUINT64_TO_LE (g_variant_get_size (value));
  g_byte_array_append (bytes, (const guint8 *) "afrpcin1", 8);
  g_byte_array_append (bytes, (const guint8 *) &size, 8);
  g_byte_array_append (bytes, g_variant_get_data (value), g_variant_get_size (value));

  return bytes;
}

static void
check_head (const char *head,
            int         status,
            const char *answer,
            const char *words)
{
  g_autoptr(GByteArray) bytes = new_overture (head);

  /* What follows is not read. */
  if (status == 0)
    g_byte_array_append (bytes, (const guint8 *) "rest", 4);
  check_receive (bytes->data, bytes->len, status, answer, words);
}

/* A file that is not kept. */
static void
check_file (const char *name,
            const char *contents,
            const char *sent,
            const char *answer,
            const char *words)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *cache = g_dir_make_tmp ("afrpc-receive-XXXXXX", &error);
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, contents, -1);
  g_autofree char *folder = g_build_filename (cache, "afrpc", sum, NULL);
  g_autofree char *head = g_strdup_printf ("{'host': <'/bin/cat'>, 'environ': <[b'=XDG_CACHE_HOME=%s']>, "
                                           "'files': <[('%s', '%s', uint64 %" G_GSIZE_FORMAT ")]>}",
                                           cache, sum, name, strlen (contents));
  g_autoptr(GByteArray) bytes = new_overture (head);
  g_autofree char *root = g_path_get_dirname (folder);

  g_assert_no_error (error);
  g_byte_array_append (bytes, (const guint8 *) sent, strlen (sent));
  check_receive (bytes->data, bytes->len, 3, answer, words);
  /* Only folders that are empty can be removed. */
  g_rmdir (folder);
  g_rmdir (root);
  g_assert_cmpint (g_rmdir (cache), ==, 0);
}

static void
test_ssh_process_receive (void)
{
  g_autoptr(GByteArray) good = new_overture ("{'host': <'/bin/cat'>}");
  guint8 huge[16] = "afrpcin1";

  g_test_summary ("The other end does what it is told, reads no more than that, and answers nothing if it cannot");
  check_head ("{'host': <'/bin/cat'>}", 0, "afrpcok1 %u\nrest", "");
  check_head ("{'host': <'/bin/cat'>, 'later': <5>}", 0, "afrpcok1 %u\nrest", "");
  check_head ("{'host': <'/bin/pwd'>, 'cwd': <b'/usr'>}", 0, "afrpcok1 %u\n/usr\n", "");
  check_head ("{'host': <'/usr/bin/env'>, 'environ': <[b'*', b'=A=b=c', b'?A=d', b'?B=', b'=C=d', b'-C', b'=x', b'==x']>}", 0,
              "afrpcok1 %u\nA=b=c\nB=\n", "");
  check_receive ("", 0, 3, "", "its connection is at its end");
  check_receive (good->data, good->len - 1, 3, "", "its connection is at its end");
  check_receive ("GET / HTTP/1.1\r\n\r\n", 18, 3, "", "for programs that use afrpc");
  memset (huge + 8, 0xff, 8);
  check_receive (huge, sizeof huge, 3, "", "for programs that use afrpc");
  memset (good->data + 16, 0xff, good->len - 16);
  check_receive (good->data, good->len, 3, "", "damaged");
  check_file ("/../../x", "abc", "abc", "", "no module");
  check_file (".", "abc", "abc", "", "no module");
  check_file ("..", "abc", "abc", "", "no module");
  check_file ("x", "abc", "abd", "afrpcgo11\n.", "damaged on its way");
  check_file ("x", "abc", "ab", "afrpcgo11\n", "its connection is at its end");
  check_head ("@a{sv} {}", 3, "", "does not say which host");
  check_head ("{'host': <5>}", 3, "", "does not say which host");
  check_head ("{'host': <'/bin/cat'>, 'environ': <[b'!A=b']>}", 3, "", "does not know");
  check_head ("{'host': <'/bin/cat'>, 'cwd': <b'/nowhere'>}", 3, "", "Cannot enter the directory");
  check_head ("{'host': <'/bin/nothing'>}", 3, "", "Cannot run");
  check_head ("{'host': <'/bin'>}", 3, "", "Cannot run");
}

int
main (int   argc,
      char *argv[])
{
  const char *fake = g_getenv ("AFRPC_TEST_SSH_PATH");
  g_autofree char *path = g_strdup_printf ("%s:%s", fake, g_getenv ("PATH"));

  g_test_init (&argc, &argv, NULL);
  is_fake = fake != NULL;
  if (is_fake)
    g_assert_true (g_setenv ("PATH", path, TRUE));
  g_assert_true (g_setenv ("LC_ALL", "C.UTF-8", TRUE));

  g_test_add_func ("/ssh-process/surroundings", test_ssh_process_surroundings);
  g_test_add_func ("/ssh-process/whole-environment", test_ssh_process_whole_environment);
  g_test_add_func ("/ssh-process/large-environment", test_ssh_process_large_environment);
  g_test_add_func ("/ssh-process/properties", test_ssh_process_properties);
  g_test_add_func ("/ssh-process/fork", test_ssh_process_fork);
  g_test_add_func ("/ssh-process/fork-elsewhere", test_ssh_process_fork_elsewhere);
  g_test_add_func ("/ssh-process/sync", test_ssh_process_sync);
  g_test_add_func ("/ssh-process/failures", test_ssh_process_failures);
  g_test_add_func ("/ssh-process/no-fds", test_ssh_process_no_fds);
  g_test_add_func ("/ssh-process/no-option", test_ssh_process_no_option);
  if (is_fake)
    {
      g_test_add_func ("/ssh-process/noisy", test_ssh_process_noisy);
      g_test_add_func ("/ssh-process/silent", test_ssh_process_silent);
      g_test_add_func ("/ssh-process/receive", test_ssh_process_receive);
    }

  return g_test_run ();
}
