/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What functions in Perl can do with their call: take and give file descriptors, tell how far they are, notice that it
 * was cancelled. */
#include "perl-util.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *const no_files[] = { NULL };

static void
watch_files (Watched           *watched,
             AfrpcBackend       backend,
             const PerlOptions *options)
{
  g_autoptr(AfrpcProcess) process = new_process ("Files");

  watch_function (watched, process, backend == AFRPC_BACKEND_SYNC ? "Files::run" : "Files::run_async", backend,
                  options);
}

static void
check_text (GUnixFDList *fds,
            int          handle,
            const char  *expected)
{
  char text[100] = "";
  int fd = g_unix_fd_list_get (fds, handle, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (read (fd, text, sizeof text - 1), ==, strlen (expected));
  g_assert_cmpstr (text, ==, expected);
  close (fd);
}

static void
test_perl_files (void)
{
  static const char *const texts[] = { "one", "two", "three", NULL };
  guint n_fds = 0;

  g_test_summary ("Descriptors come with a call, are handles in Perl, and go with the result");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_files (&watched, backends[b], NULL);
      check_call (watched.proxy, "('fine',)", "(fine)");
      for (guint i = 0; i < 3; i++)
        {
          g_autoptr(GUnixFDList) fds = NULL;
          g_autoptr(GError) error = NULL;
          g_autoptr(GVariant) result = call_with_files (&watched, g_variant_new_parsed ("('swap', handle 0, handle 1, handle 2)"),
                                                        texts, &fds, &error);

          g_assert_no_error (error);
          g_assert_cmpstr (g_variant_get_type_string (result), ==, "(hhh)");
          for (gsize j = 0; j < 3; j++)
            {
              static const char *const expected[] = { "THREE", "TWO", "ONE" };
              gint32 handle;

              g_variant_get_child (result, j, "h", &handle);
              check_text (fds, handle, expected[j]);
            }
        }
      check_call (watched.proxy, "('fine',)", "(fine)");
      watch_end (&watched);
      watch_clear (&watched);
      /* What the first worker has needed is kept for others. */
      if (b == 0)
        n_fds = test_count_fds ();
      g_assert_cmpuint (test_count_fds (), ==, n_fds);
    }
}

static void
check_result (Watched           *watched,
              const char        *args,
              const char *const *texts,
              const char        *expected,
              int                n_fds)
{
  g_autoptr(GUnixFDList) fds = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = call_with_files (watched, g_variant_new_parsed (args), texts, &fds, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = show (result);
  g_assert_cmpstr (text, ==, expected);
  g_assert_cmpint (fds != NULL ? g_unix_fd_list_get_length (fds) : 0, ==, n_fds);
}

static void
event_files_cb (AfrpcProxy   *proxy,
                GVariant     *event,
                AfrpcProcess *from,
                GUnixFDList  *fds,
                gpointer      data)
{
  GString *got = data;
  g_autofree char *text = show (event);

  g_string_append_printf (got, "%s ", text);
  for (int i = 0; fds != NULL && i < g_unix_fd_list_get_length (fds); i++)
    {
      char line[100] = "";
      int fd = g_unix_fd_list_get (fds, i, NULL);

      g_assert_cmpint (read (fd, line, sizeof line - 1), >=, 0);
      g_string_append_printf (got, "[%s]", line);
      close (fd);
    }
}

static void
test_perl_files_events (void)
{
  static const char *const words[] = { "cannot be sent", "more than 253", "Usage: Afrpc::append_event_fd", ", few)" };

  g_test_summary ("Descriptors go with events, and are closed with those that fail");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GString) got = g_string_new (NULL);
      g_autoptr(GVariant) bad = NULL;
      g_autofree char *text = NULL;

      watch_files (&watched, backends[b], NULL);
      g_signal_connect (watched.proxy, "event", G_CALLBACK (event_files_cb), got);
      check_call (watched.proxy, "('event', 'one', 'two')", "(sent)");
      g_assert_cmpstr (got->str, ==, "<files, handle 0, handle 1> [one][two](none) ");
      g_string_truncate (got, 0);
      bad = test_call (watched.proxy, g_variant_new_parsed ("('bad-event',)"), NULL);
      text = show (bad);
      for (guint i = 0; i < G_N_ELEMENTS (words); i++)
        if (strstr (text, words[i]) == NULL)
          g_error ("'%s' is not in '%s'", words[i], text);
      g_assert_cmpstr (got->str, ==, "(after) ");
    }
}

static void
test_perl_files_odd (void)
{
  static const char *const one[] = { "text", NULL };
  static const char *const errors[][2] = {
    { "('closed',)", "without a file descriptor" },
    { "('memory',)", "without a file descriptor" },
    { "('word',)", "Bad filehandle: no such handle at " },
    { "('usage',)", "Usage: Afrpc::append_fd" },
    { "('many',)", "more than 253" },
  };

  g_test_summary ("Descriptors that are not there, and what is none, disturb no other call");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_files (&watched, backends[b], NULL);
      check_result (&watched, "('both', handle 0)", one, "(once)", 0);
      check_result (&watched, "('none', handle 1, -1, 'x', uint64 18446744073709551615)", one,
                    "(none, none, some, none)", 0);
      check_result (&watched, "('number',)", no_files, "<handle 0>", 1);
      check_result (&watched, "('standard',)", no_files, "<handle 0, handle 1>", 2);
      check_result (&watched, "('mixed',)", no_files, "<text, handle 0, undef, handle 1, 1>", 2);
      check_result (&watched, "('nested',)", no_files, "<[{'fd', handle 0}]>", 1);
      for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
        check_error (watched.proxy, errors[i][0], AFRPC_ERROR_REMOTE, errors[i][1]);
      check_call (watched.proxy, "('fine',)", "(fine)");
    }
}

static void
test_perl_metadata (void)
{
  g_test_summary ("Metadata of a call is a hash in Perl, which is empty if there is none");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autofree char *text = NULL;

      watch_files (&watched, backends[b], NULL);
      afrpc_call_options_set_metadata (options, g_variant_new_parsed ("{'trace': <'a'>}"));
      result = afrpc_caller_call_full_sync (AFRPC_CALLER (watched.proxy), g_variant_new_parsed ("('metadata',)"), options,
                                            NULL, NULL, &error);
      g_assert_no_error (error);
      text = show (result);
      g_assert_cmpstr (text, ==, "<{'trace', a}>");
      check_call (watched.proxy, "('metadata',)", "<{}>");
    }
}

static void
test_perl_files_example (void)
{
  static const char *const texts[] = { "one\ntwo\n", NULL };

  g_test_summary ("The functions that the documentation shows");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(AfrpcProcess) process = new_process ("Files");

      watch_function (&watched, process, b == 0 ? "Files::first_line" : "Files::first_line_async", backends[b], NULL);
      check_result (&watched, "(handle 0,)", texts, "<one\\0a, handle 0>", 1);
      check_error (watched.proxy, "(handle 0,)", AFRPC_ERROR_REMOTE, "no file has come with the call");
    }
}

static void
test_perl_files_buffered (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GUnixFDList) fds = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  char text[100] = "";
  int fd;

  g_test_summary ("What Perl has not written yet is written before a handle is sent");
  watch_files (&watched, AFRPC_BACKEND_SYNC, NULL);
  result = call_with_files (&watched, g_variant_new_parsed ("('buffered',)"), no_files, &fds, &error);
  g_assert_no_error (error);
  fd = g_unix_fd_list_get (fds, 0, NULL);
  g_assert_cmpint (pread (fd, text, sizeof text - 1, 0), ==, 8);
  g_assert_cmpstr (text, ==, "buffered");
  close (fd);
}

static void
test_perl_files_octets (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GUnixFDList) fds = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;
  static const char *const texts[] = { "one", NULL };

  g_test_summary ("Where there are only octets, a handle is its number");
  watch_files (&watched, AFRPC_BACKEND_SYNC, &(PerlOptions) { .serialiser = "bytes" });
  result = call_with_files (&watched, g_variant_new ("(ss)", "swap", "0"), texts, &fds, &error);
  g_assert_no_error (error);
  text = show (result);
  g_assert_cmpstr (text, ==, "(0)");
  check_text (fds, 0, "ONE");
}

static void
test_perl_answered (void)
{
  g_auto(Watched) watched = { 0 };
  g_autofree char *text = NULL;
  const char *at = NULL;

  g_test_summary ("A call that was answered has nothing to take or to tell any more");
  watch_files (&watched, AFRPC_BACKEND_ASYNC, NULL);
  check_call (watched.proxy, "('answered',)", "(first)");
  text = call_text (watched.proxy, "errors");
  at = text;
  for (guint i = 0; i < 4; i++)
    {
      at = strstr (at, "the call has been answered before at ");
      g_assert_nonnull (at);
      at++;
    }
  assert_contains (text, "progress cannot be told: in the async backend, the first argument");
}

static void
test_perl_progress (void)
{
  g_test_summary ("Progress comes before the result, in order");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };
      g_autofree char *text = NULL;

      watch_files (&watched, backends[b], NULL);
      begin_progress (&watched, g_variant_new_parsed ("('progress', 1, 'two')"), NULL, &outcome);
      outcome_wait (&outcome);
      g_assert_no_error (outcome.error);
      text = show (outcome.value);
      g_assert_cmpstr (text, ==, "(over)");
      g_assert_cmpstr (watched.log->str, ==, "progress (1); progress (two); progress <[1, undef]>; ");
      check_call (watched.proxy, "('progress', 1)", "(over)");
    }
}

static void
test_perl_cancelled (void)
{
  g_test_summary ("A function sees that its call was cancelled");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();

      if (backends[b] == AFRPC_BACKEND_ASYNC && skip_without ("AnyEvent"))
        return;
      watch_files (&watched, backends[b], NULL);
      begin_progress (&watched, g_variant_new_parsed ("('wait',)"), cancellable, &outcome);
      while (watched.n_events == 0)
        g_main_context_iteration (NULL, TRUE);
      g_cancellable_cancel (cancellable);
      outcome_wait (&outcome);
      g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      while (watched.n_events == 1)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpstr (watched.log->str, ==, "event (waiting); event (noticed); ");
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/files", test_perl_files);
  g_test_add_func ("/perl/files-events", test_perl_files_events);
  g_test_add_func ("/perl/files-odd", test_perl_files_odd);
  g_test_add_func ("/perl/files-example", test_perl_files_example);
  g_test_add_func ("/perl/metadata", test_perl_metadata);
  g_test_add_func ("/perl/files-buffered", test_perl_files_buffered);
  g_test_add_func ("/perl/files-octets", test_perl_files_octets);
  g_test_add_func ("/perl/answered", test_perl_answered);
  g_test_add_func ("/perl/progress", test_perl_progress);
  g_test_add_func ("/perl/cancelled", test_perl_cancelled);

  return g_test_run ();
}
