/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes that are prepared by one program, and used by another. */
#include "test-util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
handed_over_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      data)
{
  g_autoptr(GError) error = NULL;

  *(int *) data = afrpc_process_to_fd_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

static int
hand_over (AfrpcProcess *process)
{
  int fd = -1;

  afrpc_process_to_fd_async (process, NULL, handed_over_cb, &fd);
  while (fd < 0)
    g_main_context_iteration (NULL, TRUE);

  return fd;
}

static void
test_hand_over (void)
{
  g_test_summary ("A prepared process can be handed over by its socket, before or after it was greeted");
  for (guint was_greeted = 0; was_greeted < 2; was_greeted++)
    {
      AfrpcProcess *prepared = test_template_new ();
      g_autoptr(AfrpcProcess) process = NULL;
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autofree char *text = NULL;

      afrpc_process_send_arg (prepared, g_variant_new_string ("a"));
      test_send_fd_with (prepared, "A");
      if (was_greeted)
        {
          /* By then the template has read and answered everything. */
          g_autofree char *forked = test_describe_start (afrpc_process_fork (prepared));

          test_send_fd_with (prepared, "B");
        }
      process = afrpc_process_new_from_fd (was_greeted ? NULL : "c", hand_over (prepared));
      g_object_unref (prepared);

      afrpc_process_send_arg (process, g_variant_new_string ("b"));
      watch_init (&watched, afrpc_proxy_new (process, "get_start"));
      result = test_call (watched.proxy, NULL, &error);
      g_assert_no_error (error);
      text = g_variant_print (result, FALSE);
      g_assert_cmpstr (text, ==, was_greeted ? "(<'none'>, <('a', 'b')>, ['', 'B'])" : "(<'none'>, <('a', 'b')>, ['A'])");
      g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
      watch_end (&watched);
      g_assert_false (afrpc_exit_is_known (watched.exit));
      g_assert_no_error (watched.error);
    }
}

/* The greeting of a host, for printf(1). */
static char *
new_greeting (gsize from,
              gsize to)
{
  static const guint8 head[] = {
    1, 0, 0, 0, 5, 0, 0, 0, 0, 'a', 'f', 'r', 'p', 'c', '1', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 'a', '{', 's', 'v', '}', 0, 0, 0,
  };
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed ("{'version': <uint32 1>, 'host': <'slow'>}"));
  guint8 bytes[sizeof head + 256] = { 0 };
  GString *text = g_string_new (NULL);

  memcpy (bytes, head, sizeof head);
  bytes[16] = g_variant_get_size (value);
  g_variant_store (value, bytes + sizeof head);
  for (gsize i = from; i < MIN (to, sizeof head + (g_variant_get_size (value) + 7) / 8 * 8); i++)
    g_string_append_printf (text, "\\%03o", bytes[i]);

  return g_string_free (text, FALSE);
}

static void
test_hand_over_half_greeting (void)
{
  g_autofree char *dir = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *host = g_build_filename (dir, "host", NULL);
  g_autofree char *said = g_build_filename (dir, "said", NULL);
  g_autofree char *go = g_build_filename (dir, "go", NULL);
  g_autofree char *first = new_greeting (0, 30);
  g_autofree char *second = new_greeting (30, G_MAXSIZE);
  g_autofree char *script = g_strdup_printf ("#!/bin/sh\nprintf '%s' >&3\necho x >'%s'\nread x <'%s'\nprintf '%s' >&3\n"
                                             "exec cat <&3 >/dev/null\n", first, said, go, second);
  g_autoptr(AfrpcProcess) process = NULL;
  char byte;
  int pipe_fd, fd = -1;

  if (G_BYTE_ORDER != G_LITTLE_ENDIAN)
    {
      g_test_skip ("the greeting is made for little endian");
      return;
    }

  g_test_summary ("A process is not handed over in the middle of its greeting");
  g_assert_true (g_file_set_contents (host, script, -1, NULL));
  g_assert_no_errno (chmod (host, 0700));
  g_assert_no_errno (mkfifo (said, 0600));
  g_assert_no_errno (mkfifo (go, 0600));
  process = afrpc_process_new_exec (host);
  while (afrpc_process_get_pid (process) == 0)
    g_main_context_iteration (NULL, TRUE);

  pipe_fd = open (said, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (read (pipe_fd, &byte, 1), ==, 1);
  close (pipe_fd);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  afrpc_process_to_fd_async (process, NULL, handed_over_cb, &fd);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpint (fd, ==, -1);

  pipe_fd = open (go, O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (write (pipe_fd, "x\n", 2), ==, 2);
  close (pipe_fd);
  while (fd < 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (recv (fd, &byte, 1, MSG_DONTWAIT), ==, -1);
  close (fd);

  unlink (host);
  unlink (said);
  unlink (go);
  rmdir (dir);
}

static void
test_hand_over_broken (void)
{
  g_autoptr(AfrpcProcess) prepared = afrpc_process_new_exec (NULL);
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("What goes wrong in its preparation, whoever gets it is told");
  afrpc_process_require (prepared, "no-such-module");
  process = afrpc_process_new_from_fd (NULL, hand_over (prepared));
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  result = test_call (watched.proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hand-over/prepared", test_hand_over);
  g_test_add_func ("/hand-over/half-greeting", test_hand_over_half_greeting);
  g_test_add_func ("/hand-over/broken", test_hand_over_broken);

  return g_test_run ();
}
