/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program in C with a worker in Perl: prints the words that each file has most of.
 * Usage: perl-words FILE... */
#include <afrpc/afrpc.h>

#include <string.h>

#include "example-util.h"

#define N_WORDS 3u /* of each file */

/* Strings of Perl are octets, without a NUL at their end. */
static char *
get_text (GVariant *list,
          gsize     i)
{
  g_autoptr(GVariant) string = g_variant_get_child_value (list, i);
  gsize length;
  const char *octets = g_variant_get_fixed_array (string, &length, 1);

  return g_strndup (octets, length);
}

static void
count_cb (GObject      *proxy,
          GAsyncResult *result,
          gpointer      path)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) list = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);
  g_autofree char *name = g_filename_display_name (path);

  if (list == NULL)
    {
      g_print ("%s\n", error->message);
      return;
    }

  /* What a function in Perl returns is a list of octet strings: here a word, its number, and so on. */
  g_print ("%s:", name);
  for (gsize i = 0; i + 1 < g_variant_n_children (list); i += 2)
    {
      g_autofree char *word = get_text (list, i);
      g_autofree char *number = get_text (list, i + 1);

      g_print (" %s (%s)", word, number);
    }
  g_print ("\n");
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  g_autofree char *path = get_text (event, 0);
  g_autofree char *name = g_filename_display_name (path);
  g_autofree char *n_lines = get_text (event, 1);

  g_printerr ("%s: %s lines\n", name, n_lines);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *module = example_module (0, argv, "Words.pm");
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec ("perl");
  g_autoptr(AfrpcProxy) proxy = NULL;

  /* What a function dies of comes with its own words. */
  afrpc_error_register_domain (g_quark_from_static_string ("perl-exception"));

  afrpc_process_require (process, module);
  proxy = afrpc_proxy_new (process, "Words::count");
  g_signal_connect (proxy, "event", G_CALLBACK (event_cb), NULL);
  g_signal_connect_swapped (proxy, "destroyed", G_CALLBACK (g_main_loop_quit), loop);

  for (int i = 1; i < argc; i++)
    {
      GVariant *path = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, argv[i], strlen (argv[i]), 1);

      afrpc_caller_call (AFRPC_CALLER (proxy), g_variant_new ("(@ayu)", path, N_WORDS), NULL, count_cb, argv[i]);
    }

  afrpc_caller_close (AFRPC_CALLER (proxy));
  g_main_loop_run (loop);

  return 0;
}
