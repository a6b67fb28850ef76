/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs without standard streams, such as daemons that have closed them: what they open next gets those numbers. */
#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPORT_FD 30
#define LARGE (1u << 20) /* bytes: by shared memory */

static const char *const ways[] = { "exec", "fork", "command", "self", "fork-of-fork" };

/* In the program */

static char *own[3]; /* (nullable): what its standard streams were before it closed them */

static void
report (const char *format,
        ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_assert_cmpint (write (REPORT_FD, text, strlen (text)), ==, strlen (text));
}

static char *
read_stream (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);

  return g_file_read_link (path, NULL);
}

/* Of the worker that is the program itself. */
static GVariant *
self_act (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  const char *what;
  g_autoptr(GVariant) value = NULL;

  g_variant_get (args, "(&sv)", &what, &value);
  if (g_str_equal (what, "readlink"))
    {
      g_autofree char *target = g_file_read_link (g_variant_get_string (value, NULL), NULL);

      return g_variant_new_string (target != NULL ? target : "nothing");
    }
  if (g_str_equal (what, "stderr"))
    g_assert_cmpint (write (STDERR_FILENO, g_variant_get_string (value, NULL), strlen (g_variant_get_string (value, NULL))),
                     >, 0);

  return g_variant_ref (value);
}

static AfrpcProcess *
new_process (const char *way)
{
  AfrpcProcess *process;

  if (g_str_equal (way, "self"))
    return afrpc_process_new_self ();
  if (g_str_equal (way, "command"))
    {
      g_autofree char *host = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
      const char *const argv[] = { host, NULL };

      process = afrpc_process_new_command (argv);
    }
  else
    process = g_str_equal (way, "exec") ? afrpc_process_new_exec ("c") : afrpc_process_new ();
  afrpc_process_require (process, TEST_WORKER);
  if (g_str_equal (way, "fork-of-fork"))
    {
      AfrpcProcess *forked = afrpc_process_fork (process);

      g_object_unref (process);
      return forked;
    }

  return process;
}

static GVariant *
call (AfrpcProxy *proxy,
      const char *what,
      GVariant   *value)
{
  g_autoptr(GError) error = NULL;
  GVariant *result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act (what, value), NULL, &error);

  if (result == NULL)
    report ("%s: %s\n", what, error->message);

  return result;
}

/* Says what the worker's streams are: the program's own, /dev/null, or something of afrpc's. */
static void
report_streams (AfrpcProxy *proxy)
{
  for (int i = 0; i < 3; i++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", i);
      g_autoptr(GVariant) result = call (proxy, "readlink", g_variant_new_string (path));
      const char *target = result != NULL ? g_variant_get_string (result, NULL) : "nothing";

      report ("%d=%s ", i, g_str_equal (target, "/dev/null") ? "null"
                           : g_strcmp0 (target, own[i]) == 0 ? "own"
                           : g_strcmp0 (target, own[STDERR_FILENO]) == 0 ? "own"
                           : g_str_has_prefix (target, "pipe:") ? "pipe" : target);
    }
}

/* Works with a worker that writes to its standard error: none of that may get anywhere else. */
static void
work (const char *way,
      gboolean    has_ring,
      AfrpcStdio  stderr_mode)
{
  g_autoptr(AfrpcProcess) process = new_process (way);
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(AfrpcExit) exit = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *zeros = g_malloc0 (LARGE);

  if (!g_str_equal (way, "command"))
    afrpc_process_set_stdin (process, AFRPC_STDIO_INHERIT);
  afrpc_process_set_stderr (process, stderr_mode);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act", "ring", has_ring, NULL);
  report_streams (proxy);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(GVariant) said = call (proxy, "stderr", g_variant_new_string ("Ahem.\n"));
      GVariant *bytes = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, zeros, LARGE, 1);
      g_autoptr(GVariant) zeros_back = call (proxy, "return", bytes);

      if (said == NULL || zeros_back == NULL || g_variant_get_size (zeros_back) != LARGE)
        return;
    }
  if (!afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, &error) ||
      (exit = afrpc_process_wait_sync (process, NULL, &error)) == NULL)
    report ("end: %s", error->message);
  else if (!afrpc_exit_is_success (exit))
    report ("%s", afrpc_exit_to_string (exit));
  else
    report ("%s", stderr_mode == AFRPC_STDIO_INHERIT ? "fine" : afrpc_exit_get_stderr (exit));
  report ("\n");
}

/* What afrpc has made for itself may lie nowhere where a stream is expected. What GLib makes is left to it. */
static void
report_low (void)
{
  for (int i = 0; i < 3; i++)
    {
      g_autofree char *target = read_stream (i);

      if (target != NULL && g_strcmp0 (target, own[i]) != 0 && !g_str_equal (target, "anon_inode:[eventfd]"))
        report ("%d is %s\n", i, target);
    }
}

static int
run_closed (const char *which,
            const char *way,
            gboolean    has_ring)
{
  int argc = 1;
  char *arguments[] = { (char *) "closed", NULL }, **argv = arguments;

  g_assert_cmpint (dup3 (STDOUT_FILENO, REPORT_FD, O_CLOEXEC), ==, REPORT_FD);
  /* Known by what they are. */
  g_assert_cmpint (dup2 (open ("/proc/self/exe", O_RDONLY | O_CLOEXEC), STDIN_FILENO), ==, STDIN_FILENO);
  g_assert_cmpint (dup2 (open ("/dev/zero", O_WRONLY | O_CLOEXEC), STDERR_FILENO), ==, STDERR_FILENO);
  for (int i = 0; i < 3; i++)
    own[i] = read_stream (i);
  for (; *which != '\0'; which++)
    {
      g_clear_pointer (&own[*which - '0'], g_free);
      close (*which - '0');
    }

  afrpc_register_function ("act", AFRPC_FUNCTION_SYNC, G_CALLBACK (self_act), NULL);
  if (g_str_equal (way, "self"))
    afrpc_init_early (&argc, &argv);
  g_main_context_iteration (NULL, FALSE); /* GLib has its own by then */
  work (way, has_ring, AFRPC_STDIO_TEE);
  work (way, has_ring, AFRPC_STDIO_INHERIT);
  report_low ();

  return 0;
}

/* In the test */

static void
check_closed (const char *which,
              const char *way,
              gboolean    has_ring)
{
  const char *const argv[] = { "test-closed-streams", "--closed", which, way, has_ring ? "ring" : "socket", NULL };
  const gboolean is_command = g_str_equal (way, "command");
  g_autofree char *output = test_run_to_end (argv, NULL, TEST_RUN_DEFAULT);
  g_autoptr(GString) expected = g_string_new (NULL);

  for (guint i = 0; i < 2; i++)
    {
      const char *in = strchr (which, '0') != NULL ? "null" : "own";
      const char *out = strchr (which, '1') != NULL ? "null" : "own";
      const char *err = strchr (which, '2') != NULL ? "null" : "own";

      /* What a worker over a command prints goes to its standard error. */
      if (is_command)
        out = i == 0 ? "pipe" : err;
      g_string_append_printf (expected, "0=%s 1=%s 2=%s ", is_command ? "null" : in, out, i == 0 ? "pipe" : err);
      g_string_append (expected, i == 0 ? "Ahem.\nAhem.\nAhem.\nAhem.\n" : "fine\n");
    }
  if (!g_str_equal (output, expected->str))
    g_error ("%s closed, %s, %s: '%s' instead of '%s'", which, way, argv[4], output, expected->str);
}

static void
test_closed_streams (gconstpointer way)
{
  static const char *const combinations[] = { "", "0", "1", "2", "01", "02", "12", "012" };

  g_test_summary ("A program without standard streams has workers that work, and no stream is mistaken for one");
  for (guint i = 0; i < G_N_ELEMENTS (combinations); i++)
    {
      check_closed (combinations[i], way, TRUE);
      check_closed (combinations[i], way, FALSE);
    }
}

int
main (int   argc,
      char *argv[])
{
  if (argc == 5 && g_str_equal (argv[1], "--closed"))
    return run_closed (argv[2], argv[3], g_str_equal (argv[4], "ring"));
  /* A worker that is the program itself, and was executed. */
  afrpc_register_function ("act", AFRPC_FUNCTION_SYNC, G_CALLBACK (self_act), NULL);
  if (g_getenv ("AFRPC_SELF") != NULL)
    afrpc_init_early (&argc, &argv);
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_autofree char *path = g_strconcat ("/closed-streams/", ways[i], NULL);

      g_test_add_data_func (path, ways[i], test_closed_streams);
    }

  return g_test_run ();
}
