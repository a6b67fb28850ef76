/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What workers log, in the program's log. */
#include "test-util.h"

#include <signal.h>
#include <string.h>

#define MESSAGE_WORKER (g_getenv ("AFRPC_TEST_MESSAGE_WORKER"))

static GString *logged; /* (nullable): what came, in order, while it is there */

/* Counted instead, while that is wanted. */
static gboolean counts;
static guint n_counted;

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
test_log_many_lines (void)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autofree char *text = g_strnfill (50000, '\n');
  g_auto(Watched) watched = { 0 };
  g_autoptr(AfrpcCall) call = NULL;
  guint n_most = 0;

  g_test_summary ("A worker that writes very many lines does not hold the main loop with them");
  counts = TRUE;
  n_counted = 0;
  afrpc_process_set_stderr (process, AFRPC_STDIO_LOG);
  watch_init (&watched, afrpc_proxy_new (process, "act"));
  call = afrpc_caller_start (AFRPC_CALLER (watched.proxy), test_act ("stderr", g_variant_new_string (text)), NULL);
  while (!afrpc_call_is_settled (call) || n_counted < 50000)
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
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (writer, NULL, NULL);

  g_test_add_func ("/log/sync", test_log_sync);
  g_test_add_func ("/log/async", test_log_async);
  g_test_add_func ("/log/fatal", test_log_fatal);
  g_test_add_func ("/log/stderr", test_log_stderr);
  g_test_add_func ("/log/many-lines", test_log_many_lines);
  g_test_add_func ("/log/unwanted", test_log_unwanted);

  return g_test_run ();
}
