/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker module of test-tool.py: functions that behave well or badly as their input says. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BIG_SIZE (1 << 20)  /* bytes of the result of "big" */
#define NAP_US (50 * 1000)  /* that "nap" takes */

AFRPC_FUNCTION (work, "(s)")
AFRPC_FUNCTION (echo, NULL)
AFRPC_FUNCTION (bytes, "(ay)")
AFRPC_FUNCTION (like_perl, "(s)")
AFRPC_FUNCTION (state, NULL)
AFRPC_FUNCTION (die, NULL)
AFRPC_FUNCTION (mixed, "(sis)")
AFRPC_FUNCTION (kinds, "(asmix)")
AFRPC_FUNCTION (half, "(i)")
AFRPC_FUNCTION (large, "(tax)")
AFRPC_FUNCTION (maybe_string, "(ms)")
AFRPC_FUNCTION (variant, "(v)")
AFRPC_FUNCTION (maybe_variant, "(mv)")
AFRPC_FUNCTION (path, "(o)")
AFRPC_FUNCTION (limits, "()")
AFRPC_FUNCTION (die_once, "(s)")
AFRPC_ASYNC_FUNCTION (echo_async, NULL)
AFRPC_EXPORT gboolean good_init (AfrpcWorker  *worker,
                                 GVariant     *args,
                                 GError      **error);
AFRPC_EXPORT gboolean die_init  (AfrpcWorker  *worker,
                                 GVariant     *args,
                                 GError      **error);
AFRPC_EXPORT gboolean bad_init  (AfrpcWorker  *worker,
                                 GVariant     *args,
                                 GError      **error);

static const char *state_text = "not initialised";

/* Blocks until the test has opened the pipe and closed it. */
static void
wait_for_fifo (const char *path)
{
  char byte;
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  while (fd >= 0 && read (fd, &byte, 1) > 0)
    ;
  if (fd >= 0)
    close (fd);
}

static G_NORETURN void
hang (AfrpcWorker *worker)
{
  afrpc_worker_event (worker, g_variant_new ("(si)", "hanging", (int) getpid ()));
  afrpc_worker_flush (worker);
  for (;;)
    pause ();
}

/* What it does is its input; any other input comes back in capitals. */
GVariant *
work (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  const char *input;

  g_variant_get (args, "(&s)", &input);
  if (g_str_equal (input, "crash"))
    abort ();
  if (g_str_equal (input, "exit"))
    _exit (3);
  if (g_str_equal (input, "exit-saying") || g_str_equal (input, "exit-saying-more"))
    {
      fputs (g_str_equal (input, "exit-saying") ? "half a line" : "a line\n", stderr);
      _exit (3);
    }
  if (g_str_equal (input, "hang"))
    hang (worker);
  if (g_str_equal (input, "fail"))
    {
      g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_NXIO, "failed as asked");
      return NULL;
    }
  if (g_str_equal (input, "raise"))
    {
      g_set_error_literal (error, g_quark_from_static_string ("python-exception"), -11,
                           "KeyError: 5\n\nTraceback\n\n{\"class\":[\"builtins\",\"KeyError\"]}");
      return NULL;
    }
  if (g_str_equal (input, "big"))
    return g_variant_new_take_string (g_strnfill (BIG_SIZE, 'x'));
  if (g_str_equal (input, "nap"))
    g_usleep (NAP_US);
  if (g_str_equal (input, "pid"))
    return g_variant_new_int32 (getpid ());
  if (g_str_equal (input, "read"))
    {
      char byte;

      return g_variant_new_int32 ((int) read (STDIN_FILENO, &byte, 1));
    }
  if (g_str_equal (input, "print"))
    {
      puts ("printed");
      fflush (stdout);
    }
  if (g_str_has_prefix (input, "event:"))
    {
      afrpc_worker_event (worker, g_variant_new_string (input + strlen ("event:")));
      afrpc_worker_flush (worker);
    }
  if (g_str_has_prefix (input, "fifo:"))
    wait_for_fifo (input + strlen ("fifo:"));

  return g_variant_new_take_string (g_ascii_strup (input, -1));
}

GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}

void
echo_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, afrpc_invocation_get_args (invocation));
}

GVariant *
bytes (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_get_child_value (args, 0);
}

/* What knows no text: each comma ends a string. */
GVariant *
like_perl (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  const char *text;
  g_auto(GStrv) parts = NULL;
  GVariantBuilder builder;

  g_variant_get (args, "(&s)", &text);
  parts = g_strsplit (text, ",", -1);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aay"));
  for (char **part = parts; *part != NULL; part++)
    g_variant_builder_add_value (&builder,
                                 g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, *part, strlen (*part), 1));
  afrpc_worker_event (worker, g_variant_new_parsed ("[%^ay]", text));

  return g_variant_builder_end (&builder);
}

GVariant *
state (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_new_string (state_text);
}

GVariant *
die (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  _exit (7);
}

gboolean
good_init (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  state_text = g_variant_n_children (args) > 0 ? g_variant_print (args, FALSE) : "initialised";

  return TRUE;
}

gboolean
die_init (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  _exit (3);
}

gboolean
bad_init (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_NODEV, "no init today");

  return FALSE;
}

/* Of the calls with the name of a file that is not there the first makes it, and dies. */
GVariant *
die_once (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  const char *path;
  int fd;

  g_variant_get (args, "(&s)", &path);
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    abort ();

  return g_variant_new_string (path);
}

/* What it may use: bytes of memory, seconds, files, bytes of a file; and its nice level. */
GVariant *
limits (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  static const int resources[] = { RLIMIT_AS, RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_FSIZE };
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("at"));
  for (gsize i = 0; i < G_N_ELEMENTS (resources); i++)
    {
      struct rlimit limit;

      getrlimit (resources[i], &limit);
      g_variant_builder_add (&builder, "t", (guint64) limit.rlim_cur);
    }

  return g_variant_new ("(ati)", &builder, getpriority (PRIO_PROCESS, 0));
}

GVariant *
mixed (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
large (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
kinds (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
half (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  int number;

  g_variant_get (args, "(i)", &number);

  return g_variant_new_double (number / 2.0);
}

GVariant *
maybe_string (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
variant (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
maybe_variant (AfrpcWorker  *worker,
               GVariant     *args,
               GError      **error)
{
  return g_variant_ref (args);
}

GVariant *
path (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}
