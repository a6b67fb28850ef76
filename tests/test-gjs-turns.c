/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The part in C of programs and workers in JavaScript, without JavaScript: so that the sanitizers see it. */
#include "afrpc/gjs/afrpc-gjs-inbox.h"

#include <string.h>

#include "test-util.h"

#define TURN_HOST (g_getenv ("AFRPC_TEST_TURN_HOST"))
#define MESSAGE_WORKER (g_getenv ("AFRPC_TEST_MESSAGE_WORKER"))

/* Takes its turns as the class in JavaScript does. */
#define TEST_TYPE_INBOX (test_inbox_get_type ())
G_DECLARE_FINAL_TYPE (TestInbox, test_inbox, TEST, INBOX, AfrpcGjsInbox)

struct _TestInbox
{
  AfrpcGjsInbox parent_instance;

  GString *log;       /* a line each */
  guint n_results;
  gboolean destroyed; /* the proxy that is watched */
  guint nest_until;   /* results: a main loop is run inside of the first turn until there are so many */
};

enum
{
  PROP_TURN = 1,
};

G_DEFINE_FINAL_TYPE (TestInbox, test_inbox, AFRPC_GJS_TYPE_INBOX)

static void
log_value (TestInbox  *self,
           const char *what,
           guint       id)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) variant = afrpc_gjs_inbox_get_variant (AFRPC_GJS_INBOX (self), &error);
  const guint8 *data;
  gsize size;
  const char *type;

  if (variant == NULL)
    {
      g_string_append_printf (self->log, "%s %u: error %s\n", what, id, error->message);
      g_clear_error (&error);
      g_assert_null (afrpc_gjs_inbox_get_value (AFRPC_GJS_INBOX (self), &data, &size, &error));
      g_assert_nonnull (error);
      return;
    }

  type = afrpc_gjs_inbox_get_value (AFRPC_GJS_INBOX (self), &data, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (type, ==, g_variant_get_type_string (variant));
  g_assert_cmpmem (data, size, g_variant_get_data (variant), g_variant_get_size (variant));
  {
    g_autofree char *text = g_variant_print (variant, FALSE);

    g_string_append_printf (self->log, "%s %u: %s\n", what, id, text);
  }
}

static void
test_inbox_set_property (GObject      *object,
                         guint         prop_id,
                         const GValue *value,
                         GParamSpec   *pspec)
{
  TestInbox *self = TEST_INBOX (object);
  AfrpcGjsInbox *inbox = AFRPC_GJS_INBOX (self);
  const guint id = g_value_get_uint (value);
  const guint nest_until = self->nest_until;

  self->nest_until = 0;
  while (self->n_results < nest_until)
    g_main_context_iteration (NULL, TRUE);

  switch (afrpc_gjs_inbox_get_news (inbox))
    {
    case AFRPC_GJS_NEWS_RESULT:
      self->n_results++;
      if (afrpc_gjs_inbox_get_result (inbox) != NULL)
        g_string_append_printf (self->log, "end %u\n", id);
      else
        log_value (self, "result", id);
      if (afrpc_gjs_inbox_get_fds (inbox) != NULL)
        g_string_append_printf (self->log, "fds %d\n", g_unix_fd_list_get_length (afrpc_gjs_inbox_get_fds (inbox)));
      break;
    case AFRPC_GJS_NEWS_PROGRESS:
      log_value (self, "progress", id);
      break;
    case AFRPC_GJS_NEWS_EVENT:
      g_assert_nonnull (afrpc_gjs_inbox_get_caller (inbox));
      log_value (self, "event", id);
      break;
    case AFRPC_GJS_NEWS_ERROR:
      log_value (self, "signal", id);
      break;
    case AFRPC_GJS_NEWS_DESTROYED:
      self->destroyed = TRUE;
      break;
    case AFRPC_GJS_NEWS_INPUT:
    case AFRPC_GJS_NEWS_BROUGHT:
    case AFRPC_GJS_NEWS_OVER:
    default:
      g_assert_not_reached ();
    }
}

static void
test_inbox_finalize (GObject *object)
{
  g_string_free (TEST_INBOX (object)->log, TRUE);

  G_OBJECT_CLASS (test_inbox_parent_class)->finalize (object);
}

static void
test_inbox_class_init (TestInboxClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->set_property = test_inbox_set_property;
  object_class->finalize = test_inbox_finalize;
  g_object_class_install_property (object_class, PROP_TURN, g_param_spec_uint ("turn", NULL, NULL, 0, G_MAXUINT, 0,
                                                                               G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
}

static void
test_inbox_init (TestInbox *self)
{
  self->log = g_string_new (NULL);
}

static TestInbox *
new_inbox (void)
{
  return g_object_new (TEST_TYPE_INBOX, NULL);
}

static void
call (TestInbox         *inbox,
      guint              id,
      AfrpcProxy        *proxy,
      GVariant          *args,
      AfrpcCallOptions  *options,
      int                progress_mode)
{
  g_autoptr(GVariant) owned = g_variant_ref_sink (args);

  afrpc_gjs_inbox_call (AFRPC_GJS_INBOX (inbox), id, AFRPC_CALLER (proxy), g_variant_get_type_string (owned),
                        g_memdup2 (g_variant_get_data (owned), g_variant_get_size (owned)), g_variant_get_size (owned),
                        options, progress_mode, NULL);
}

static void
wait_for (TestInbox *inbox,
          guint      n_results)
{
  while (inbox->n_results < n_results)
    g_main_context_iteration (NULL, TRUE);
}

/* What has come, and nothing else since. */
static void
assert_log (TestInbox  *inbox,
            const char *expected)
{
  g_assert_cmpstr (inbox->log->str, ==, expected);
  g_string_truncate (inbox->log, 0);
}

static void
close_proxy (TestInbox  *inbox,
             AfrpcProxy *proxy)
{
  const guint n_results = inbox->n_results;

  afrpc_gjs_inbox_close (AFRPC_GJS_INBOX (inbox), 99, AFRPC_CALLER (proxy), NULL);
  wait_for (inbox, n_results + 1);
}

static void
test_turns_calls (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  g_test_summary ("Each way to call ends in one turn, in order, with its value or error");
  call (inbox, 1, proxy, test_act ("return", g_variant_new_string ("x")), NULL, -1);
  call (inbox, 2, proxy, test_act ("file-error", NULL), NULL, -1);
  call (inbox, 3, proxy, test_act ("return", g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0)), NULL, -1);
  call (inbox, 4, proxy, test_act ("return", g_variant_new_int32 (4)), options, AFRPC_PROGRESS_ALL);
  afrpc_gjs_inbox_call_full (AFRPC_GJS_INBOX (inbox), 5, AFRPC_CALLER (proxy), test_act ("return", g_variant_new_int32 (5)), NULL, NULL);
  wait_for (inbox, 5);
  assert_log (inbox, "result 1: 'x'\nresult 2: error no such thing\nresult 3: []\nresult 4: 4\nresult 5: 5\n");

  close_proxy (inbox, proxy);
  assert_log (inbox, "end 99\n");
  g_assert_true (afrpc_gjs_inbox_is_destroyed (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy)));
  call (inbox, 6, proxy, test_act ("return", g_variant_new_int32 (6)), NULL, -1);
  wait_for (inbox, 7);
  g_assert_true (g_str_has_prefix (inbox->log->str, "result 6: error "));
}

static void
test_turns_blocking (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);
  g_autoptr(GVariant) args = g_variant_ref_sink (test_act ("return", g_variant_new_string ("now")));

  g_test_summary ("A call that blocks has its turn before it returns, and others theirs later");
  call (inbox, 1, proxy, test_act ("return", g_variant_new_string ("later")), NULL, -1);
  afrpc_gjs_inbox_call_sync (AFRPC_GJS_INBOX (inbox), 2, AFRPC_CALLER (proxy), g_variant_get_type_string (args),
                             g_memdup2 (g_variant_get_data (args), g_variant_get_size (args)), g_variant_get_size (args),
                             NULL, -1, NULL);
  assert_log (inbox, "result 2: 'now'\n");
  wait_for (inbox, 2);
  assert_log (inbox, "result 1: 'later'\n");
  close_proxy (inbox, proxy);
}

static void
test_turns_nested (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);

  g_test_summary ("A turn that runs a main loop still has its own news afterwards");
  for (guint i = 1; i <= 3; i++)
    call (inbox, i, proxy, test_act ("return", g_variant_new_uint32 (i)), NULL, -1);
  inbox->nest_until = 2;
  wait_for (inbox, 3);
  assert_log (inbox, "result 2: 2\nresult 3: 3\nresult 1: 1\n");
  close_proxy (inbox, proxy);
}

static void
test_turns_progress (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProcess) process = test_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;

  g_test_summary ("Progress comes under the number of its call, before the result");
  afrpc_process_require (process, MESSAGE_WORKER);
  proxy = afrpc_proxy_new (process, "count_up");
  call (inbox, 1, proxy, g_variant_new ("(u)", 2), NULL, AFRPC_PROGRESS_ALL);
  wait_for (inbox, 1);
  g_assert_true (g_str_has_prefix (inbox->log->str, "progress 1: 1\nprogress 1: 2\nresult 1: "));
  close_proxy (inbox, proxy);
}

static void
test_turns_watch (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);

  g_test_summary ("Events of a proxy that is watched come in order with results, then its error and its end");
  afrpc_gjs_inbox_watch (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy));
  g_assert_false (afrpc_gjs_inbox_is_destroyed (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy)));
  call (inbox, 1, proxy, test_act ("event", g_variant_new_string ("one")), NULL, -1);
  call (inbox, 2, proxy, test_act ("event", g_variant_new_string ("two")), NULL, -1);
  wait_for (inbox, 2);
  assert_log (inbox, "event 0: 'one'\nresult 1: true\nevent 0: 'two'\nresult 2: true\n");

  call (inbox, 3, proxy, test_act ("exit", g_variant_new_uint32 (3)), NULL, -1);
  while (!inbox->destroyed)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (g_str_has_prefix (inbox->log->str, "result 3: error "));
  g_assert_nonnull (strstr (inbox->log->str, "signal 0: error "));
  g_assert_true (afrpc_gjs_inbox_is_destroyed (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy)));
}

static void
test_turns_unwatch (void)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = test_proxy_new ("act", AFRPC_BACKEND_SYNC);

  g_test_summary ("What is watched no more is not heard of");
  afrpc_gjs_inbox_watch (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy));
  afrpc_gjs_inbox_unwatch (AFRPC_GJS_INBOX (inbox), AFRPC_CALLER (proxy));
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  call (inbox, 1, proxy, test_act ("event", g_variant_new_string ("one")), NULL, -1);
  wait_for (inbox, 1);
  close_proxy (inbox, proxy);
  assert_log (inbox, "result 1: true\nend 99\n");
  g_assert_false (inbox->destroyed);
}

static AfrpcProxy *
new_turn_proxy (const char   *function,
                AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (TURN_HOST);

  afrpc_process_set_stderr (process, AFRPC_STDIO_SILENCE);
  afrpc_process_require (process, "m");
  afrpc_process_eval (process, "c", g_variant_new ("()"));

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

/* The result of one call, as text. */
static char *
ask (const char   *function,
     AfrpcBackend  backend,
     GVariant     *args)
{
  g_autoptr(TestInbox) inbox = new_inbox ();
  g_autoptr(AfrpcProxy) proxy = new_turn_proxy (function, backend);
  g_autofree char *log = NULL;

  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  g_signal_connect (proxy, "event", G_CALLBACK (test_ignore_cb), NULL);
  call (inbox, 1, proxy, args, NULL, AFRPC_PROGRESS_ALL);
  wait_for (inbox, 1);
  log = g_strdup (inbox->log->str);
  close_proxy (inbox, proxy);

  return g_steal_pointer (&log);
}

#define assert_asked(function, backend, args, expected) G_STMT_START { \
    g_autofree char *_answer = ask (function, backend, args); \
    g_assert_cmpstr (_answer, ==, expected); \
  } G_STMT_END

static void
test_turns_host (gconstpointer data)
{
  const AfrpcBackend backend = GPOINTER_TO_UINT (data);

  g_test_summary ("A host is asked by a property, and answers within its turn");
  if (backend == AFRPC_BACKEND_SYNC)
    assert_asked ("loaded", backend, g_variant_new ("()"), "result 1: 'module m; code c; '\n");
  assert_asked ("echo", backend, g_variant_new ("(s)", "x"), "progress 1: 'progress'\nresult 1: ('x',)\n");
  assert_asked ("typed", backend, g_variant_new_parsed ("([<int64 1>, <2.5>],)"),
                "progress 1: 'progress'\nresult 1: ([1.0, 2.5],)\n");
  assert_asked ("typed", backend, g_variant_new ("(s)", "x"), "result 1: error 'typed' takes (ad), not (s): 'x' does not fit\n");
  assert_asked ("fail", backend, g_variant_new ("()"), "result 1: error as it should\n");
  assert_asked ("silent", backend, g_variant_new ("()"), "result 1: error the host could not say what became of it\n");
  assert_asked ("missing", backend, g_variant_new ("()"), "result 1: error nothing of that name\n");
}

static void
test_turns_lost (void)
{
  g_test_summary ("A call that nobody refers to any more fails, when it is collected");
  assert_asked ("keep", AFRPC_BACKEND_ASYNC, g_variant_new ("()"),
                "result 1: error 'keep' dropped the call without an answer\n");
}

static void
test_turns_preparing (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (TURN_HOST);
  g_autoptr(TestInbox) inbox = new_inbox ();

  g_test_summary ("A process is handed over, and ends with the status that it chooses");
  afrpc_gjs_inbox_wait (AFRPC_GJS_INBOX (inbox), 1, process, NULL);
  afrpc_gjs_inbox_run (AFRPC_GJS_INBOX (inbox), 2, process, "own", NULL);
  wait_for (inbox, 2);
  g_assert_nonnull (strstr (inbox->log->str, "end 1\n"));
  g_assert_nonnull (strstr (inbox->log->str, "end 2\n"));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/gjs-turns/calls", test_turns_calls);
  g_test_add_func ("/gjs-turns/blocking", test_turns_blocking);
  g_test_add_func ("/gjs-turns/nested", test_turns_nested);
  g_test_add_func ("/gjs-turns/progress", test_turns_progress);
  g_test_add_func ("/gjs-turns/watch", test_turns_watch);
  g_test_add_func ("/gjs-turns/unwatch", test_turns_unwatch);
  g_test_add_data_func ("/gjs-turns/host", GUINT_TO_POINTER (AFRPC_BACKEND_SYNC), test_turns_host);
  g_test_add_data_func ("/gjs-turns/host-async", GUINT_TO_POINTER (AFRPC_BACKEND_ASYNC), test_turns_host);
  g_test_add_func ("/gjs-turns/lost", test_turns_lost);
  g_test_add_func ("/gjs-turns/preparing", test_turns_preparing);

  return g_test_run ();
}
