/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What workers log, in the program's log. */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define MESSAGE_WORKER (g_getenv ("AFRPC_TEST_MESSAGE_WORKER"))

static GString *logged; /* (nullable): what came, in order, while it is there */

/* Counted instead, while that is wanted. */
static gboolean counts;
static guint n_counted;

/* What whoever is told of a line does, while there is something. */
typedef struct
{
  const char *what;
  AfrpcProxy *proxy; /* (nullable) (owned) */
  guint n_told;
} Within;

static Within within;

#define N_LINES 50000u /* that are empty: as many as fit in a pipe, about */
#define N_WITHIN 200u  /* that are long, or not so many */

static const char *
find (const GLogField *fields,
      gsize            n_fields,
      const char      *key)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, key) == 0)
      return fields[i].value;

  return "-";
}

static void
do_within (void)
{
  g_autoptr(AfrpcProxy) proxy = within.proxy != NULL ? g_object_ref (within.proxy) : NULL;
  AfrpcCaller *caller = (AfrpcCaller *) proxy;

  if (g_str_equal (within.what, "loop"))
    test_iterate_until_idle ();
  else if (proxy == NULL)
    return;
  else if (g_str_equal (within.what, "release"))
    afrpc_caller_call (caller, test_act ("release", NULL), NULL, NULL, NULL);
  else if (g_str_equal (within.what, "call"))
    {
      g_autoptr(GVariant) result = afrpc_caller_call_sync (caller, test_act ("return", NULL), NULL, NULL);
    }
  else if (g_str_equal (within.what, "close"))
    afrpc_caller_close_sync (caller, NULL, NULL);
  else if (g_str_equal (within.what, "kill"))
    {
      g_autoptr(AfrpcExit) exit = NULL;

      afrpc_caller_kill (caller);
      exit = afrpc_process_wait_sync (afrpc_proxy_get_process (proxy), NULL, NULL);
    }
  else
    g_clear_object (&within.proxy);
}

/* Without pids: they are checked where they come. */
static GLogWriterOutput
writer (GLogLevelFlags   level,
        const GLogField *fields,
        gsize            n_fields,
        gpointer         data)
{
  const char *pid = find (fields, n_fields, "AFRPC_PID");
  const char *message = find (fields, n_fields, "MESSAGE");
  const char *colon = strstr (message, ": ");
  g_autofree char *prefix = g_strdup_printf ("worker %s", pid);

  if (within.what != NULL && strcmp (pid, "-") != 0)
    {
      const char *number = strrchr (message, ' ') + 1;

      /* Those of one that dies are empty, but the last. */
      if (g_ascii_isdigit (*number))
        g_assert_cmpint (atoi (number), ==, (int) within.n_told);
      else
        g_assert_true (*number == '\0' || g_str_equal (number, "more") || g_str_equal (number, "kept"));
      within.n_told++;
      do_within ();
      return G_LOG_WRITER_HANDLED;
    }
  if (counts && strcmp (pid, "-") != 0)
    {
      n_counted++;
      return G_LOG_WRITER_HANDLED;
    }
  if (logged == NULL || strcmp (pid, "-") == 0)
    return g_log_writer_default (level, fields, n_fields, data);

  g_assert_true (g_str_has_prefix (message, prefix));
  g_string_append_printf (logged, "[%s %d %s %.20s]", find (fields, n_fields, "GLIB_DOMAIN"), level,
                          find (fields, n_fields, "AFRPC_CALL"), colon + 2);

  return G_LOG_WRITER_HANDLED;
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  if (logged != NULL)
    g_string_append_printf (logged, "(%s)", g_variant_get_string (event, NULL));
}

/* Has a worker log these things, and gives all that came. */
static char *
collect (const char        *function,
         AfrpcBackend       backend,
         gboolean           forward,
         AfrpcStdio         stdio,
         const char *const *whats)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_auto(Watched) watched = { 0 };
  char *text;

  logged = g_string_new (NULL);
  afrpc_process_set_stderr (process, stdio);
  afrpc_process_require (process, MESSAGE_WORKER);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend,
                                      "forward-log", forward, "init", "init_log", NULL));
  g_signal_connect (watched.proxy, "event", G_CALLBACK (event_cb), NULL);
  for (guint i = 0; whats[i] != NULL; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = test_call (watched.proxy, g_variant_new ("(s)", whats[i]), &error);

      if (result == NULL)
        g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      else
        g_string_append (logged, "=");
    }
  watch_end (&watched);
  text = g_string_free (logged, FALSE);
  logged = NULL;

  return text;
}

static void
test_log_sync (void)
{
  const char *whats[] = { "a", "long", NULL };
  g_autofree char *text = NULL;

  g_test_summary ("What a worker logs comes in order with its events, with domain, level and the call's number");
  text = collect ("log_something", AFRPC_BACKEND_SYNC, TRUE, AFRPC_STDIO_CAPTURE, whats);
  g_assert_cmpstr (text, ==, "[init 32 - from init]"
                             "(before)[worker 16 1 warning a][- 32 1 message a](after)="
                             "(before)[worker 16 2 xxxxxxxxxxxxxxxxxxxx](after)=");
}

static void
test_log_async (void)
{
  const char *whats[] = { "a", "b", NULL };
  g_autofree char *text = NULL;

  g_test_summary ("An async worker knows the call while its function is called");
  text = collect ("log_async", AFRPC_BACKEND_ASYNC, TRUE, AFRPC_STDIO_CAPTURE, whats);
  g_assert_cmpstr (text, ==, "[init 32 - from init]"
                             "[worker 16 1 warning a][- 32 1 message a][worker 16 - warning later][- 32 - message later]="
                             "[worker 16 2 warning b][- 32 2 message b][worker 16 - warning later][- 32 - message later]=");
}

static void
test_log_fatal (void)
{
  const char *whats[] = { "error", NULL };
  g_autofree char *text = NULL;

  g_test_summary ("The last message of a worker that it ends is not lost, and does not end the program");
  text = collect ("log_something", AFRPC_BACKEND_SYNC, TRUE, AFRPC_STDIO_CAPTURE, whats);
  g_assert_cmpstr (text, ==, "[init 32 - from init](before)[worker 16 1 the end]");
}

static void
test_log_stderr (void)
{
  const char *whats[] = { "stderr", "thread", NULL };
  g_autofree char *text = NULL;

  g_test_summary ("The lines of standard error can be logged; other threads' messages are among them");
  text = collect ("log_something", AFRPC_BACKEND_SYNC, TRUE, AFRPC_STDIO_LOG, whats);
  g_test_message ("%s", text);
  g_assert_nonnull (strstr (text, "[afrpc-stderr 32 - one]"));
  g_assert_nonnull (strstr (text, "[afrpc-stderr 32 - two \357\277\275]"));
  g_assert_nonnull (strstr (text, "[afrpc-stderr 32 - three without an end"));
  g_assert_null (strstr (text, "[thread"));
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           gpointer      n_lines)
{
  g_assert_cmpuint (n_counted, ==, GPOINTER_TO_UINT (n_lines));
}

static void
test_log_many_lines (gconstpointer at_end)
{
  const guint n_lines = at_end != NULL ? N_LINES + 1 : N_LINES;
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autofree char *text = g_strnfill (N_LINES, '\n');
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  guint n_most = 0;

  g_test_summary ("A worker that writes very many lines does not hold the main loop with them, and none comes after its end");
  counts = TRUE;
  n_counted = 0;
  afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
  g_signal_connect (process, "exited", G_CALLBACK (exited_cb), GUINT_TO_POINTER (n_lines));
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  g_variant_unref (test_call (watched.proxy, test_act ("return", NULL), NULL));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy),
                             at_end != NULL ? act_u ("die-writing", N_LINES) : test_act ("stderr", g_variant_new_string (text)), NULL);
  if (at_end != NULL)
    {
      siginfo_t info;

      afrpc_caller_close (AFRPC_CALLER (watched.proxy)); /* which sends it */
      g_assert_no_errno (waitid (P_PID, afrpc_process_get_pid (process), &info, WEXITED | WNOWAIT));
    }
  while (!afrpc_call_is_settled (call) || n_counted < n_lines)
    {
      const guint n_before = n_counted;

      g_main_context_iteration (NULL, TRUE);
      n_most = MAX (n_most, n_counted - n_before);
    }
  g_assert_cmpuint (n_most, <, 1000);
  watch_end (&watched);
  counts = FALSE;
}

static void
test_log_many_lines_blocking (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autofree char *text = g_strnfill (4 * N_LINES, '\n');
  g_autoptr(AfrpcProxy) proxy = NULL;

  g_test_summary ("Who blocks has lines logged meanwhile; there may never be a main loop");
  counts = TRUE;
  n_counted = 0;
  afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
  proxy = afrpc_proxy_new (process, "act");
  for (guint i = 1; i <= 3; i++)
    {
      g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("stderr", g_variant_new_string (text)), NULL, NULL));
      /* But for what fits in the pipe, and what may be read and wait: two times 64 KiB, about. */
      g_assert_cmpuint (n_counted, >, (4 * i - 3) * N_LINES);
    }
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_assert_cmpuint (n_counted, ==, 3 * 4 * N_LINES);
  counts = FALSE;
}

static void
test_log_last_line (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) pid = NULL;

  g_test_summary ("The last line of a worker comes with its end, whoever else has its standard error, and whether it ends or not");
  logged = g_string_new (NULL);
  afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
  proxy = afrpc_proxy_new (process, "act");
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  pid = test_call (proxy, test_act ("start", NULL), NULL);
  g_assert_null (test_call (proxy, act_u ("die-writing", 1), NULL));
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  g_assert_no_errno (kill (g_variant_get_int32 (pid), SIGKILL));
  while (strstr (logged->str, "and no more") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (logged->str, ==, "[afrpc-stderr 32 - ][afrpc-stderr 32 - and no more]");
  g_string_free (g_steal_pointer (&logged), TRUE);
}

static void
test_log_within (gconstpointer what)
{
  const gboolean is_patient = g_str_equal (what, "loop") || g_str_equal (what, "call");
  g_autoptr(GString) text = g_string_new (NULL);

  g_test_summary ("Whoever is told of a line may run the main loop, call, close, kill, and drop");
  /* GLib writes to standard output what else is logged within. */
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      return;
    }

  for (guint i = 0; i < N_WITHIN; i++)
    g_string_append_printf (text, "one of the lines, which are too many to be read at once: line %u\n", i);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(AfrpcProcess) process = test_process_new ();
      g_autoptr(AfrpcCall) call = NULL;
      AfrpcProxy *proxy;

      afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
      proxy = afrpc_proxy_new (process, "act");
      g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
      g_object_add_weak_pointer (G_OBJECT (proxy), (gpointer *) &proxy);
      g_variant_unref (test_call (proxy, test_act ("return", NULL), NULL));
      within = (Within) { what, proxy };
      call = afrpc_caller_start (AFRPC_CALLER (proxy), i / 2 == 0 ? test_act ("stderr", g_variant_new_string (text->str))
                                                                  : act_u ("die-writing", N_WITHIN), NULL);
      if (i % 2 == 1)
        {
          g_autoptr(GVariant) result = afrpc_call_wait_sync (call, NULL, NULL);
        }
      while (!afrpc_call_is_settled (call) || within.n_told < (is_patient ? N_WITHIN : 1))
        g_main_context_iteration (NULL, TRUE);
      g_clear_object (&call);
      g_clear_object (&within.proxy);
      while (proxy != NULL)
        g_main_context_iteration (NULL, TRUE);
    }
  within = (Within) { 0 };
}

static void
test_log_call_within (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What whoever is told of a line calls is sent at once, while another call blocks");
  afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC, NULL);
  g_variant_unref (afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, NULL));
  within = (Within) { "release", proxy };
  afrpc_call_options_set_timeout_ms (options, 10000); /* instead of for ever */
  result = afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), test_act ("keep-saying", NULL), options, NULL, NULL, &error);
  g_assert_no_error (error);
  within = (Within) { 0 };
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
}

static void
test_log_unwanted (void)
{
  const char *whats[] = { "a", NULL };
  g_autofree char *text = NULL;

  g_test_summary ("Nothing is forwarded that nobody asked for");
  text = collect ("log_something", AFRPC_BACKEND_SYNC, FALSE, AFRPC_STDIO_CAPTURE, whats);
  g_assert_cmpstr (text, ==, "(before)(after)=");
}

int
main (int    argc,
      char **argv)
{
  static const char *const whats[] = { "loop", "call", "close", "kill", "drop" };

  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (writer, NULL, NULL);

  g_test_add_func ("/log/sync", test_log_sync);
  g_test_add_func ("/log/async", test_log_async);
  g_test_add_func ("/log/fatal", test_log_fatal);
  g_test_add_func ("/log/stderr", test_log_stderr);
  g_test_add_data_func ("/log/many-lines", NULL, test_log_many_lines);
  g_test_add_data_func ("/log/many-lines-at-end", GINT_TO_POINTER (TRUE), test_log_many_lines);
  g_test_add_func ("/log/many-lines-blocking", test_log_many_lines_blocking);
  g_test_add_func ("/log/last-line", test_log_last_line);
  g_test_add_func ("/log/call-within", test_log_call_within);
  for (guint i = 0; i < G_N_ELEMENTS (whats); i++)
    {
      g_autofree char *path = g_strdup_printf ("/log/within/%s", whats[i]);

      g_test_add_data_func (path, whats[i], test_log_within);
    }
  g_test_add_func ("/log/unwanted", test_log_unwanted);

  return g_test_run ();
}
