/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers in Perl: modules as they are written for AnyEvent::Fork::RPC. */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY (g_getenv ("AFRPC_TEST_PERL"))

static const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };

static AfrpcProcess *
new_process (const char *module)
{
  const gboolean is_forked = g_getenv ("AFRPC_TEST_TEMPLATE") != NULL;
  AfrpcProcess *process = is_forked ? afrpc_process_new_for_host ("perl") : afrpc_process_new_exec ("perl");

  afrpc_process_setenv (process, "PERL5LIB", LIBRARY, TRUE);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  if (module != NULL)
    afrpc_process_require (process, module);

  return process;
}

static AfrpcProxy *
new_proxy (const char   *module,
           const char   *function,
           AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = new_process (module);

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

static int
compare_texts (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static char *show (GVariant *value);

static char *
show_children (GVariant   *value,
               const char *before,
               const char *after)
{
  g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = NULL;

  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, i);

      g_ptr_array_add (parts, show (child));
    }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    g_ptr_array_sort (parts, compare_texts);
  g_ptr_array_add (parts, NULL);
  text = g_strjoinv (", ", (char **) parts->pdata);

  return g_strconcat (before, text, after, NULL);
}

/* What the host makes, legibly: lists of strings are in (), other lists in <>, arrays in []. */
static char *
show (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      gsize size;
      const char *bytes = g_variant_get_fixed_array (value, &size, 1);
      GString *text = g_string_new ("");

      for (gsize i = 0; i < size; i++)
        if (g_ascii_isprint (bytes[i]))
          g_string_append_c (text, bytes[i]);
        else
          g_string_append_printf (text, "\\%02x", (guchar) bytes[i]);
      return g_string_free (text, FALSE);
    }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING_ARRAY))
    return show_children (value, "(", ")");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
    return show_children (value, "{", "}");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_ARRAY))
    return show_children (value, "[", "]");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_TUPLE))
    return show_children (value, "<", ">");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICT_ENTRY) || g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    return show_children (value, "", "");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE ("mv")))
    return g_variant_n_children (value) == 0 ? g_strdup ("undef") : show_children (value, "just ", "");

  return g_variant_print (value, FALSE);
}

static GVariant *
parse (const char *text)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);

  return value;
}

static void
check_call (AfrpcProxy *proxy,
            const char *args,
            const char *expected)
{
  g_autoptr(GVariant) value = parse (args);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, value, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = show (result);
  g_assert_cmpstr (text, ==, expected);
}

static char *
call_text (AfrpcProxy *proxy,
           const char *name)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new ("(s)", name), &error);

  g_assert_no_error (error);

  return show (result);
}

static void
assert_contains (const char *text,
                 const char *words)
{
  if (text == NULL || strstr (text, words) == NULL)
    g_error ("“%s” is not in “%s”", words, text);
}

static void
check_error (AfrpcProxy *proxy,
             const char *args,
             int         code,
             const char *words)
{
  g_autoptr(GVariant) value = parse (args);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, value, &error);

  g_assert_null (result);
  g_assert_error (error, AFRPC_ERROR, code);
  assert_contains (error->message, words);
}

static void
event_cb (AfrpcProxy *proxy,
          GVariant   *event,
          Watched    *watched)
{
  g_autofree char *text = show (event);

  watched->n_events++;
  g_string_append_printf (watched->log, "event %s; ", text);
}

static void
watch_perl (Watched    *watched,
            AfrpcProxy *proxy)
{
  watch_init (watched, proxy);
  g_signal_connect (proxy, "event", G_CALLBACK (event_cb), watched);
}

static gboolean
has_module (const char *name)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;

  afrpc_process_eval (process, "sub has { eval qq{require $_[0]; 1} ? 'yes' : 'no' }", NULL);
  watch_init (&watched, afrpc_proxy_new (process, "has"));
  result = test_call (watched.proxy, g_variant_new ("(s)", name), NULL);
  text = show (result);

  return g_str_equal (text, "(yes)");
}

static gboolean
skip_without (const char *name)
{
  if (has_module (name))
    return FALSE;

  g_test_skip_printf ("%s is not installed", name);
  return TRUE;
}

static void
test_perl_values (void)
{
  const char *const pairs[][2] = {
    { "('echo', 'x', b'oct', 1, -5, uint64 18446744073709551615, byte 0x07)", "(x, oct\\00, 1, -5, 18446744073709551615, 7)" },
    { "('echo',)", "()" },
    { "('echo', 2.5, 1e300, 'ä', objectpath '/a', signature 'as')", "(2.5, 1e+300, \\c3\\a4, /a, as)" },
    { "('echo', true, false, handle 3, <'v'>, @ms 'just', [byte 1, 0])", "(1, , 3, v, just, \\01\\00)" },
    { "('echo', @ms nothing, 'x')", "<undef, x>" },
    { "('echo', [1, 2], ['a'], (1, 'x'), @as [])", "<[1, 2], [a], [1, x], []>" },
    { "('echo', {'a': <1>, 'b': <[b'x']>}, {1: true}, @a{sv} {})", "<{'a', 1, 'b', [x\\00]}, {'1', 1}, {}>" },
    { "('echo', [<{'k': <[@mi nothing]>}>])", "<[{'k', [undef]}]>" },
    { "('what', true, false, @mi nothing, (1,), {'a': 1}, <<5>>)", "('1', '', undef, ARRAY, HASH, '5')" },
    { "('context',)", "(list)" },
    { "('object',)", "(text of it)" },
    { "('regex',)", "((?^i:a.c))" },
    { "('match',)", "(text)" },
    { "('number',)", "(0)" },
    { "('tied',)", "<fetched it, [fetched 0, fetched 1], {'key', fetched key}>" },
    { "('utf8-key',)", "<{'é', 1}>" },
    { "('upgraded',)", "(\\e9)" },
    { "('zeros', 3)", "(\\00\\00\\00)" },
    { "('depth', 20000)", "(20000)" },
    { "('die-inside',)", "(survived inner\\0a)" },
    { "('name',)", "(a name of its own)" },
    { "('system',)", "(said\\0a768)" },
    { "('perl',)", "(this is Perl)" },
    { "'context'", "(list)" },
  };

  g_test_summary ("Values of all types arrive in Perl and come back as their types say");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_perl (&watched, new_proxy ("Jobs", b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b]));
      for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
        check_call (watched.proxy, pairs[i][0], pairs[i][1]);
      g_assert_cmpstr (watched.log->str, ==, "event (text); event (5); ");
    }
}

static void
check_nested (AfrpcProxy *proxy,
              guint       depth,
              const char *what)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new ("(sus)", "nested", depth, what), &error);

  g_assert_no_error (error);
}

/* The host writes lists of strings itself. */
static void
test_perl_sizes (void)
{
  static const guint sizes[] = { 0, 1, 2, 126, 127, 250, 251, 252, 253, 254, 255, 256, 65528, 65530, 65531, 65532, 65533, 70000 };
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Lists of strings are the same as GVariant would make of them");
  watch_perl (&watched, new_proxy ("Jobs", "Jobs::run", AFRPC_BACKEND_SYNC));
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint n = 1; n <= 4; n++)
      {
        g_autofree char *bytes = g_strnfill (sizes[i], 'x');
        GVariantBuilder builder;
        g_autoptr(GVariant) list = NULL;
        g_autoptr(GVariant) result = NULL;
        g_autoptr(GError) error = NULL;

        /* That many strings, but for the first empty. */
        g_variant_builder_init (&builder, G_VARIANT_TYPE_BYTESTRING_ARRAY);
        for (guint j = 0; j < n; j++)
          g_variant_builder_add_value (&builder, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, j == 0 ? sizes[i] : 0,
                                                                            1));
        list = g_variant_ref_sink (g_variant_builder_end (&builder));
        result = test_call (watched.proxy, g_variant_new ("(s@aay)", "flat", list), &error);
        g_assert_no_error (error);
        g_assert_cmpmem (g_variant_get_data (result), g_variant_get_size (result), g_variant_get_data (list),
                         g_variant_get_size (list));
        g_assert_true (g_variant_equal (result, list));
      }
}

static void
test_perl_errors (void)
{
  const char *const pairs[][3] = {
    { "('die', 'with ', 'words')", "with words at " },
    { "('die-line', 'this', 'only')", "this only" },
    { "('die-wide',)", "☺" },
    { "('die-latin',)", "é" },
    { "('die-zero',)", "a\xef\xbf\xbd" "b" },
    { "('die-object',)", "text of it" },
    { "('die-mute',)", "an object of class Jobs::Mute" },
    { "('die-plain',)", "Jobs::Plain=HASH(" },
    { "('mute-object',)", "an object of class Jobs::Mute cannot be made a string", "ours" },
    { "('plain-object',)", "an object of class Jobs::Plain cannot be sent", "ours" },
    { "('code',)", "a reference to CODE cannot be sent", "ours" },
    { "('glob',)", "a reference to GLOB cannot be sent", "ours" },
    { "('trap',)", "a reference to SCALAR cannot be sent", "ours" },
    { "('tied-trap',)", "a tied variable cannot be read" },
    { "('wide',)", "wide character", "ours" },
    { "('wide-key',)", "wide character", "ours" },
    { "('latin-key',)", "a hash's key is not UTF-8", "ours" },
    { "('cycle',)", "too many arrays and hashes", "ours" },
    { "('nested', 61, 'array')", "too many arrays", "ours" },
    { "('nested', 41, 'hash')", "too many arrays", "ours" },
    { "('alarm',)", "too slow" },
    { "('unknown',)", "no job unknown" },
  };

  g_test_summary ("What a function dies of, or cannot return, is the error of that call and of no other");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_perl (&watched, new_proxy ("Jobs", b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b]));
      for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
        check_error (watched.proxy, pairs[i][0], pairs[i][2] != NULL ? AFRPC_ERROR_FAILED : AFRPC_ERROR_REMOTE, pairs[i][1]);
      {
        g_autofree char *text = call_text (watched.proxy, "wide-event");

        g_assert_true (g_str_has_prefix (text, "(wide character in a string"));
      }
      check_nested (watched.proxy, 60, "array");
      check_nested (watched.proxy, 40, "hash");
      check_call (watched.proxy, "('echo', 'fine')", "(fine)");
      watch_end (&watched);
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
}

/* As the seed's first example. */
static void
check_remover (AfrpcBackend backend)
{
  g_auto(Watched) watched = { 0 };
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  Outcome outcomes[7] = { 0 };

  watch_perl (&watched, new_proxy ("Remover", backend == AFRPC_BACKEND_SYNC ? "Remover::handle" : "Remover::handle_async",
                                   backend));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      const char *what = i == 5 ? "burn" : "rmdir";
      const char *path = i == 0 ? folder : "/no/such";

      afrpc_proxy_call (watched.proxy, g_variant_new ("(ss)", what, path), NULL, outcome_cb, &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_cmpstr (watched.log->str, ==, "event (3, /no/such); event (6, /no/such); exited; destroyed; ");
  g_assert_true (afrpc_exit_is_success (watched.exit));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_autofree char *text = outcomes[i].value != NULL ? show (outcomes[i].value) : NULL;

      if (i == 5)
        assert_contains (outcomes[i].error->message, "there is no such action: burn");
      else
        g_assert_cmpstr (text, ==, i == 0 ? "(1)" : "(0, No such file or directory)");
      outcome_clear (&outcomes[i]);
    }
}

static void
test_perl_remover (void)
{
  g_test_summary ("A worker that removes files and tells how many, by either backend");
  check_remover (AFRPC_BACKEND_SYNC);
  check_remover (AFRPC_BACKEND_ASYNC);
}

static const char *const models[] = { "EV", "Perl" };

static AfrpcProcess *
new_process_with_model (const char *model)
{
  AfrpcProcess *process = new_process (NULL);

  afrpc_process_setenv (process, "PERL_ANYEVENT_MODEL", model, TRUE);

  return process;
}

/* As the seed's second example. */
static void
test_perl_countdown (gconstpointer model)
{
  g_autofree char *path = g_build_filename (LIBRARY, "Countdown.pl", NULL);
  g_autofree char *code = NULL;
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  if (skip_without (g_str_equal (model, "EV") ? "EV" : "AnyEvent"))
    return;

  g_test_summary ("Timers of AnyEvent run in a worker, and the call that was made last is the first to finish");
  process = new_process_with_model (model);
  g_assert_true (g_file_get_contents (path, &code, NULL, NULL));
  afrpc_process_require (process, "AnyEvent::Fork::RPC::Async");
  afrpc_process_eval (process, code, NULL);
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "count_up", "backend",
                                      AFRPC_BACKEND_ASYNC, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      afrpc_proxy_call (watched.proxy, g_variant_new ("(ud)", 3 - i, 0.02), NULL, outcome_cb, &outcomes[i]);
    }
  watch_end (&watched);

  g_assert_true (g_str_has_prefix (watched.log->str, "event (to 3); event (to 2); event (to 1); "));
  g_assert_cmpuint (watched.n_events, ==, 9);
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_autofree char *text = show (outcomes[i].value);
      g_autofree char *expected = g_strdup_printf ("(%u)", 3 - i);
      g_autofree char *result = g_variant_print (outcomes[i].value, FALSE);
      g_autofree char *logged = g_strdup_printf ("event (%u of %u); result %s; ", 3 - i, 3 - i, result);

      g_assert_cmpstr (text, ==, expected);
      assert_contains (watched.log->str, logged);
      if (i > 0)
        g_assert_true (strstr (watched.log->str, logged) < strstr (watched.log->str, "event (3 of 3)"));
      outcome_clear (&outcomes[i]);
    }
}

static void
test_perl_watchers (gconstpointer model)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *expected = NULL;

  if (skip_without (g_str_equal (model, "EV") ? "EV" : "AnyEvent"))
    return;

  g_test_summary ("Watchers of every kind are driven, and blocking waits work; AnyEvent is loaded when it is used");
  process = new_process_with_model (model);
  afrpc_process_require (process, "Loop");
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run", "backend",
                                      AFRPC_BACKEND_ASYNC, NULL));
  check_call (watched.proxy, "('return', 'at once')", "(at once)");
  expected = g_strdup_printf ("(AnyEvent::Impl::%s)", (const char *) model);
  check_call (watched.proxy, "('model',)", expected);
  check_call (watched.proxy, "('after', 0.01, 'a', @ms nothing)", "<a, undef>");
  check_call (watched.proxy, "('after', 0, 'b')", "(b)");
  check_call (watched.proxy, "('read',)", "(through a pipe)");
  check_call (watched.proxy, "('block',)", "(waited)");
  check_call (watched.proxy, "('block-inside',)", "(waited inside)");
  check_call (watched.proxy, "('signal',)", "(signal)");
  check_call (watched.proxy, "('child',)", "(5)");
  check_error (watched.proxy, "('die',)", AFRPC_ERROR_NO_RESULT, "dropped the call");
  check_call (watched.proxy, "('return', 'fine')", "(fine)");
  check_error (watched.proxy, "('exit',)", AFRPC_ERROR_DIED, "status 9");
}

static guint64
get_number (GVariant *result)
{
  g_autoptr(GVariant) first = g_variant_get_child_value (result, 0);
  g_autofree char *text = show (first);

  return g_ascii_strtoull (text, NULL, 10);
}

static void
test_perl_idle (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) turns = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  if (skip_without ("EV"))
    return;

  g_test_summary ("A worker that waits does not poll");
  process = new_process ("EV");
  afrpc_process_require (process, "Loop");
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run", "backend",
                                      AFRPC_BACKEND_ASYNC, NULL));
  check_call (watched.proxy, "('ev',)", "(by EV)");
  result = test_call (watched.proxy, g_variant_new ("(sd)", "turns", 0.3), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (get_number (result), >=, 1);
  g_assert_cmpuint (get_number (result), <, 20);

  afrpc_proxy_call (watched.proxy, g_variant_new ("(sd)", "turns-inside", 0.3), NULL, outcome_cb, &turns);
  while (watched.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "return"), NULL, NULL, NULL);
  outcome_wait (&turns);
  g_assert_no_error (turns.error);
  g_assert_cmpuint (get_number (turns.value), >=, 1);
  g_assert_cmpuint (get_number (turns.value), <, 20);
}

static void
test_perl_prepare (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("EV"))
    return;

  g_test_summary ("What is sent right before an event loop waits is not held back");
  process = new_process ("EV");
  afrpc_process_require (process, "Loop");
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run", "backend",
                                      AFRPC_BACKEND_ASYNC, NULL));
  check_call (watched.proxy, "('prepare', 'answer')", "(prepared)");
  check_error (watched.proxy, "('prepare', 'drop')", AFRPC_ERROR_NO_RESULT, "dropped the call");
  afrpc_proxy_call (watched.proxy, g_variant_new ("(ss)", "prepare", "event"), NULL, NULL, NULL);
  while (watched.n_events == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_proxy_kill (watched.proxy);
}

/* As the seed's third example. */
static void
test_perl_coro (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  Outcome outcomes[3] = { 0 };

  if (skip_without ("Coro::AnyEvent"))
    return;

  g_test_summary ("A function may run each call in a thread of Coro, which waits for the event loop and for others");
  process = new_process ("Coro::AnyEvent");
  /* Each lets the one before it go on; the last need not wait. */
  afrpc_process_eval (process, "use Coro; my @gate = map Coro::Semaphore->new (int $_ / 2), 0 .. 2; "
                      "sub run { my ($done, $n) = @_; "
                      "async { Coro::AnyEvent::sleep (0); $gate[$n]->down; $done->($n); $gate[$n - 1]->up if $n } }",
                      NULL);
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "run", "backend",
                                      AFRPC_BACKEND_ASYNC, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcomes[i].log = watched.log;
      afrpc_proxy_call (watched.proxy, g_variant_new ("(u)", i), NULL, outcome_cb, &outcomes[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      outcome_wait (&outcomes[i]);
      g_assert_no_error (outcomes[i].error);
      outcome_clear (&outcomes[i]);
    }
  g_assert_cmpstr (watched.log->str, ==, "result [[0x32]]; result [[0x31]]; result [[0x30]]; ");
}

static void
test_perl_ticker (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("AnyEvent"))
    return;

  g_test_summary ("Watchers that an init function has made send events without any call");
  process = new_process ("Loop");
  afrpc_process_require (process, "AnyEvent");
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run", "init",
                                      "Loop::init_ticker", "backend", AFRPC_BACKEND_ASYNC, NULL));
  while (watched.n_events < 3)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (watched.log->str, ==, "event (tick); event (tick); event (tick); ");
}

static void
test_perl_done_callback (void)
{
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) first = { 0 };
  g_auto(Outcome) second = { 0 };
  g_auto(Outcome) dropped = { 0 };
  const char *const twice = "(the call has been answered before at ";

  g_test_summary ("An async function needs no event loop to answer later; it answers once");
  watch_perl (&watched, new_proxy ("Jobs", "Jobs::run_async", AFRPC_BACKEND_ASYNC));
  first.log = second.log = dropped.log = watched.log;
  afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "keep"), NULL, outcome_cb, &first);
  afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "keep"), NULL, outcome_cb, &second);
  check_call (watched.proxy, "('event', 'x')", "(sent)");
  check_call (watched.proxy, "('answer', 'x', @mi nothing)", "(all)");
  g_assert_true (first.done && second.done);
  g_assert_true (strstr (watched.log->str, "event (x); result") == watched.log->str);
  afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "keep"), NULL, outcome_cb, &dropped);
  check_call (watched.proxy, "('drop',)", "(dropped)");
  g_assert_error (dropped.error, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT);
  check_call (watched.proxy, "('twice',)", "(once)");
  check_call (watched.proxy, "('die-after',)", "(before)");
  check_error (watched.proxy, "('wide',)", AFRPC_ERROR_FAILED, "wide character");
  check_error (watched.proxy, "('keep-and-die',)", AFRPC_ERROR_REMOTE, "kept");
  {
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) result = test_call (watched.proxy, g_variant_new ("(s)", "answer-kept"), &error);
    g_autofree char *text = NULL;

    g_assert_no_error (error);
    text = show (result);
    g_assert_true (g_str_has_prefix (text, twice));
  }
  watch_end (&watched);
  assert_contains (afrpc_exit_get_stderr (watched.exit), "has answered its call has failed: after");
}

static void
send_text_fd (AfrpcProcess *process,
              const char   *text)
{
  int fds[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (write (fds[1], text, strlen (text)), ==, strlen (text));
  close (fds[1]);
  afrpc_process_send_fd (process, fds[0]);
  close (fds[0]);
}

static void
send_start (AfrpcProcess *process)
{
  afrpc_process_send_arg (process, g_variant_new_string ("a"));
  send_text_fd (process, "from fd 1");
  send_text_fd (process, "from fd 2");
  afrpc_process_send_arg (process, g_variant_new_uint32 (2));
  send_text_fd (process, "from fd 3");
}

static void
test_perl_init (void)
{
  g_autoptr(AfrpcProcess) process = new_process ("Jobs");
  g_auto(Watched) watched = { 0 };

  g_test_summary ("An init function gets arguments and handles in the order in which they were sent");
  send_start (process);
  watch_perl (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Jobs::run", "init", "Jobs::init",
                                      NULL));
  check_call (watched.proxy, "('start',)", "(a, from fd 1, from fd 2, 2, from fd 3)");
}

static void
check_fails (AfrpcProcess *process,
             const char   *function,
             const char   *init,
             int           code,
             const char   *words)
{
  g_auto(Watched) watched = { 0 };

  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "init", init, NULL));
  g_object_unref (process);
  check_error (watched.proxy, "()", code, words);
}

static AfrpcProcess *
evaluate (const char *code)
{
  AfrpcProcess *process = new_process (NULL);

  afrpc_process_eval (process, code, g_variant_new ("(si)", "x", 5));

  return process;
}

static void
test_perl_failures (void)
{
  g_autofree char *broken = g_build_filename (LIBRARY, "Broken.pm", NULL);

  g_test_summary ("What keeps a worker from being prepared is said");
  check_fails (new_process ("No::Such::Module"), "run", NULL, AFRPC_ERROR_MODULE, "Can't locate No/Such/Module.pm in @INC");
  check_fails (new_process ("Broken"), "run", NULL, AFRPC_ERROR_MODULE, "syntax error at ");
  check_fails (new_process (broken), "run", NULL, AFRPC_ERROR_MODULE, "syntax error at ");
  check_fails (new_process ("False"), "run", NULL, AFRPC_ERROR_MODULE, "did not return a true value");
  check_fails (new_process ("not; a module"), "run", NULL, AFRPC_ERROR_MODULE, "is no name of a module");
  check_fails (new_process ("Remover"), "Remover::no_such", NULL, AFRPC_ERROR_FUNCTION, "no function “Remover::no_such”");
  check_fails (new_process ("Remover"), "handle", NULL, AFRPC_ERROR_FUNCTION, "no function “handle”");
  check_fails (new_process ("Jobs"), "Jobs::run", "Jobs::init_die", AFRPC_ERROR_INIT, "not today");
  check_fails (new_process ("Jobs"), "Jobs::run", "Jobs::init_event", AFRPC_ERROR_INIT, "before the worker's function");
  check_fails (new_process ("Remover"), "Remover::handle", "none", AFRPC_ERROR_FUNCTION, "no function “none”");
  check_fails (evaluate ("sub {"), "run", NULL, AFRPC_ERROR_MODULE, "Missing right curly");
  check_fails (evaluate ("die qq{@_\\n}"), "run", NULL, AFRPC_ERROR_MODULE, "x 5");
  check_fails (evaluate ("exit 3"), "run", NULL, AFRPC_ERROR_NOT_STARTED, "status 3");
}

static void
test_perl_eval (void)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_auto(Watched) watched = { 0 };

  g_test_summary ("Code is evaluated in package main, with its arguments, and keeps its pragmas to itself");
  afrpc_process_eval (process, "use strict; our @given = @_; sub run { (__PACKAGE__, @given, \"$main::loose\", @_) }",
                      g_variant_new_parsed ("('x', [1, 2])"));
  afrpc_process_eval (process, "@main::given = map { ref ? @$_ : $_ } @main::given; $loose = 'not strict'", NULL);
  watch_init (&watched, afrpc_proxy_new (process, "run"));
  check_call (watched.proxy, "(1,)", "(main, x, 1, 2, not strict, 1)");
  check_call (watched.proxy, "()", "(main, x, 1, 2, not strict)");
}

static void
test_perl_names (void)
{
  g_autofree char *path = g_build_filename (LIBRARY, "Jobs.pm", NULL);
  g_auto(Watched) by_path = { 0 };
  g_auto(Watched) habit = { 0 };

  g_test_summary ("Modules are found by path, functions by AUTOLOAD; what need not be loaded may be named");
  watch_perl (&by_path, new_proxy (path, "Jobs::anything", AFRPC_BACKEND_SYNC));
  check_call (by_path.proxy, "()", "(loaded, anything)");
  watch_perl (&habit, new_proxy ("Habit", "Habit::run", AFRPC_BACKEND_SYNC));
  check_call (habit.proxy, "(5,)", "(done)");
  g_assert_cmpstr (habit.log->str, ==, "event (seen, 5); ");
}

static void
run_cb (GObject      *source,
        GAsyncResult *result,
        gpointer      data)
{
  g_autoptr(GError) error = NULL;
  GIOStream **stream = data;

  *stream = afrpc_process_run_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           AfrpcExit   **place)
{
  *place = afrpc_exit_ref (exit);
}

static void
check_read (GIOStream  *stream,
            const char *expected)
{
  char text[100] = "";

  g_assert_cmpint (g_input_stream_read (g_io_stream_get_input_stream (stream), text, sizeof text - 1, NULL, NULL), >, 0);
  g_assert_cmpstr (text, ==, expected);
}

static void
check_run (const char *last,
           int         status)
{
  g_autoptr(AfrpcProcess) process = new_process ("Jobs");
  g_autoptr(GIOStream) stream = NULL;
  g_autoptr(AfrpcExit) exit = NULL;

  g_signal_connect (process, "exited", G_CALLBACK (exited_cb), &exit);
  send_start (process);
  afrpc_process_run (process, "Jobs::serve", NULL, run_cb, &stream);
  while (stream == NULL)
    g_main_context_iteration (NULL, TRUE);
  check_read (stream, "with a,from fd 1,from fd 2,2,from fd 3\n");
  g_output_stream_write (g_io_stream_get_output_stream (stream), "abc", 3, NULL, NULL);
  check_read (stream, "ABC");
  if (last != NULL)
    g_output_stream_write (g_io_stream_get_output_stream (stream), last, strlen (last), NULL, NULL);
  else
    g_io_stream_close (stream, NULL, NULL);
  while (exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_exit_get_status (exit), ==, status);
  if (status == 255)
    assert_contains (afrpc_exit_get_stderr (exit), "as told");
}

static void
test_perl_run (void)
{
  g_test_summary ("A function that takes its process over gets the socket, and all arguments and handles");
  check_run (NULL, 0);
  check_run ("exit", 6);
  check_run ("die", 255);
}

static void
check_death (const char   *args,
             AfrpcBackend  backend,
             const char   *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) value = parse (args);
  g_auto(Outcome) running = { 0 };
  g_auto(Outcome) waiting = { 0 };

  watch_perl (&watched, new_proxy ("Jobs", backend == AFRPC_BACKEND_SYNC ? "Jobs::run" : "Jobs::run_async", backend));
  check_call (watched.proxy, "('echo', 'alive')", "(alive)");
  afrpc_proxy_call (watched.proxy, value, NULL, outcome_cb, &running);
  afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "echo"), NULL, outcome_cb, &waiting);
  test_iterate_until (&watched.destroyed);
  g_assert_error (running.error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  assert_contains (running.error->message, words);
  g_assert_error (waiting.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  if (strstr (args, "event") != NULL)
    g_assert_true (g_str_has_prefix (watched.log->str, "event (last); "));
  test_assert_no_children ();
}

static void
test_perl_death (void)
{
  g_test_summary ("exit ends the worker with that status, and a signal ends it; every call is told");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      check_death ("('exit', 0)", backends[b], "status 0");
      check_death ("('exit', 3)", backends[b], "status 3");
      check_death ("('event-and-exit', 4)", backends[b], "status 4");
      check_death ("('end-status', 7)", backends[b], "status 7");
      check_death ("('kill', 'KILL')", backends[b], "signal 9");
      check_death ("('kill', 'TERM')", backends[b], "signal 15");
    }
}

static void
test_perl_death_of_many (void)
{
  g_auto(Watched) watched = { 0 };
  Outcome kept[300] = { 0 };

  g_test_summary ("Calls that nobody answers before the end have died, and were not dropped");
  watch_perl (&watched, new_proxy ("Jobs", "Jobs::run_async", AFRPC_BACKEND_ASYNC));
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    afrpc_proxy_call (watched.proxy, g_variant_new ("(s)", "keep"), NULL, outcome_cb, &kept[i]);
  check_error (watched.proxy, "('exit', 3)", AFRPC_ERROR_DIED, "status 3");
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      outcome_wait (&kept[i]);
      g_assert_error (kept[i].error, AFRPC_ERROR, AFRPC_ERROR_DIED);
      outcome_clear (&kept[i]);
    }
}

static void
test_perl_forks (void)
{
  g_test_summary ("Processes that a function forks do not answer for it");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_perl (&watched, new_proxy ("Jobs", b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b]));
      check_call (watched.proxy, "('fork', 'exit')", "(child waited, 1024)");
      check_call (watched.proxy, "('fork', 'return')", "(child waited, 0)");
      check_call (watched.proxy, "('fork', 'event')", "(child waited, 0)");
      check_call (watched.proxy, "('fork', 'die')", "(child waited, 0)");
      check_call (watched.proxy, "('system',)", "(said\\0a768)");
      watch_end (&watched);
      g_assert_cmpstr (watched.log->str, ==, "exited; destroyed; ");
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
}

static void
test_perl_end (void)
{
  g_test_summary ("At the end everything is run that Perl has for it, and what is buffered is written");
  for (guint how = 0; how < 4; how++)
    {
      g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
      g_autofree char *path = g_build_filename (folder, "output", NULL);
      g_autofree char *args = g_strdup_printf ("('output', '%s')", path);
      g_autofree char *text = NULL;
      g_auto(Watched) watched = { 0 };

      watch_perl (&watched, new_proxy ("Jobs", how % 2 == 0 ? "Jobs::run" : "Jobs::run_async", backends[how % 2]));
      check_call (watched.proxy, args, "(1)");
      if (how >= 2)
        check_error (watched.proxy, "('exit', 3)", AFRPC_ERROR_DIED, "status 3");
      watch_end (&watched);
      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      g_assert_cmpstr (text, ==, "buffered;ended;destroyed;");
      unlink (path);
      rmdir (folder);
    }
}

static void
test_perl_done_function (void)
{
  g_test_summary ("A done function is called after the last call; that of the async backend may live on");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_autoptr(AfrpcProcess) process = new_process ("Jobs");
      g_auto(Watched) watched = { 0 };

      afrpc_process_eval (process, "sub over { Jobs::done (); exit 8 }", NULL);
      watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                                          b == 0 ? "Jobs::run" : "Jobs::run_async", "backend", backends[b], "done", "over",
                                          NULL));
      check_call (watched.proxy, "('echo', 'x')", "(x)");
      watch_end (&watched);
      while (watched.exit == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 8);
      g_assert_cmpstr (afrpc_exit_get_stderr (watched.exit), ==, "done was called;");
    }
}

static void
test_perl_done_later (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };

  if (skip_without ("AnyEvent"))
    return;

  g_test_summary ("After the last call an async worker lives on with its watchers, if it has a done function");
  process = new_process ("Loop");
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run", "backend",
                                      AFRPC_BACKEND_ASYNC, "done", "Loop::done", NULL));
  check_call (watched.proxy, "('after', 0, 'x')", "(x)");
  afrpc_proxy_close (watched.proxy);
  while (watched.exit == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 8);
}

static void
test_perl_huge (void)
{
  const guint32 size = 20 << 20;

  g_test_summary ("Strings of many megabytes go and come");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GVariant) string = NULL;

      watch_init (&watched, new_proxy ("Jobs", b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b]));
      result = test_call (watched.proxy, g_variant_new ("(su)", "zeros", size), &error);
      g_assert_no_error (error);
      string = g_variant_get_child_value (result, 0);
      g_assert_cmpuint (g_variant_n_children (string), ==, size);
      g_clear_pointer (&result, g_variant_unref);
      result = test_call (watched.proxy, g_variant_new ("(s@ay)", "length", string), &error);
      g_assert_no_error (error);
      g_clear_pointer (&string, g_variant_unref);
      string = g_variant_get_child_value (result, 0);
      {
        g_autofree char *text = show (string);

        g_assert_cmpstr (text, ==, "20971520");
      }
    }
}

static void
test_perl_flush (void)
{
  g_auto(Watched) watched = { 0 };

  g_test_summary ("What was flushed arrives whatever comes next");
  watch_perl (&watched, new_proxy ("Jobs", "Jobs::run_async", AFRPC_BACKEND_ASYNC));
  check_error (watched.proxy, "('flush',)", AFRPC_ERROR_DIED, "signal 9");
  watch_end (&watched);
  g_assert_true (g_str_has_prefix (watched.log->str, "event (flushed); "));
}

static void
test_perl_signals (void)
{
  g_test_summary ("A signal's handler runs while a worker waits");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      AfrpcProcess *process;

      watch_perl (&watched, new_proxy ("Jobs", b == 0 ? "Jobs::run" : "Jobs::run_async", backends[b]));
      process = afrpc_proxy_get_process (watched.proxy);
      for (guint i = 0; i < 100; i++)
        {
          g_autofree char *text = NULL;

          if (i == 98)
            check_call (watched.proxy, "('handler', true)", "(1)");
          else if (i == 0)
            check_call (watched.proxy, "('handler', false)", "(1)");
          else
            text = call_text (watched.proxy, "pid");
          afrpc_process_kill (process, SIGUSR2);
          while (watched.n_events <= i)
            g_main_context_iteration (NULL, TRUE);
        }
      g_assert_cmpuint (watched.n_events, ==, 100);
      check_call (watched.proxy, "('handle-exit',)", "(1)");
      afrpc_process_kill (process, SIGTERM);
      test_iterate_until (&watched.destroyed);
      g_assert_cmpint (afrpc_exit_get_status (watched.exit), ==, 11);
      assert_contains (afrpc_exit_get_stderr (watched.exit), "a signal handler has failed: handled");
    }
}

static void
test_perl_template (void)
{
  g_autoptr(AfrpcProcess) template = new_process ("Jobs");
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "output", NULL);
  g_autofree char *code = g_strdup_printf ("rand; $Jobs::job{output}->('%s')", path);
  g_autofree char *text = NULL;
  char *numbers[2];

  g_test_summary ("Processes that are forked from one that is prepared are processes of their own");
  afrpc_process_eval (template, code, NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_auto(Watched) watched = { 0 };
      g_autofree char *pid = NULL;
      g_autofree char *expected = NULL;

      afrpc_process_setenv (process, "AFRPC_TEST_A", i == 0 ? "first" : "second", TRUE);
      watch_init (&watched, afrpc_proxy_new (process, "Jobs::run"));
      pid = call_text (watched.proxy, "pid");
      g_assert_cmpint (afrpc_process_get_start (process), ==, AFRPC_START_FORK);
      expected = g_strdup_printf ("(%d)", afrpc_process_get_pid (process));
      g_assert_cmpstr (pid, ==, expected);
      check_call (watched.proxy, "('env', 'AFRPC_TEST_A', 'AFRPC_TEST_B')", i == 0 ? "(first, unset)" : "(second, unset)");
      numbers[i] = call_text (watched.proxy, "rand");
      watch_end (&watched);
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }
  g_assert_cmpstr (numbers[0], !=, numbers[1]);
  g_free (numbers[0]);
  g_free (numbers[1]);

  /* What the template had buffered is written once, by the template. */
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "buffered;ended;destroyed;ended;destroyed;");
  unlink (path);
  rmdir (folder);
}

static void
test_perl_template_library (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec ("perl");
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autofree char *expected = g_strdup_printf ("(%s)", LIBRARY);

  g_test_summary ("A process has its own library path, also if it is forked from one with another");
  afrpc_process_eval (template, "1", NULL);
  process = afrpc_process_fork (template);
  afrpc_process_setenv (process, "PERL5LIB", LIBRARY, TRUE);
  afrpc_process_require (process, "Jobs");
  watch_init (&watched, afrpc_proxy_new (process, "Jobs::run"));
  check_call (watched.proxy, "('inc',)", expected);
}

static void
test_perl_template_loop (void)
{
  g_autoptr(AfrpcProcess) template = NULL;
  g_auto(Watched) first = { 0 };
  g_auto(Watched) second = { 0 };

  if (skip_without ("EV"))
    return;

  g_test_summary ("Processes that are forked with their event loop loaded do not disturb each other");
  template = new_process ("EV");
  afrpc_process_require (template, "Loop");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      watch_init (i == 0 ? &first : &second, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "Loop::run",
                                                           "backend", AFRPC_BACKEND_ASYNC, NULL));
    }
  for (guint i = 0; i < 3; i++)
    {
      check_call (first.proxy, "('read',)", "(through a pipe)");
      check_call (second.proxy, "('read',)", "(through a pipe)");
      check_call (first.proxy, "('ev',)", "(by EV)");
      check_call (second.proxy, "('ev',)", "(by EV)");
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/values", test_perl_values);
  g_test_add_func ("/perl/sizes", test_perl_sizes);
  g_test_add_func ("/perl/errors", test_perl_errors);
  g_test_add_func ("/perl/remover", test_perl_remover);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    {
      g_autofree char *countdown = g_strconcat ("/perl/countdown/", models[i], NULL);
      g_autofree char *watchers = g_strconcat ("/perl/watchers/", models[i], NULL);

      g_test_add_data_func (countdown, models[i], test_perl_countdown);
      g_test_add_data_func (watchers, models[i], test_perl_watchers);
    }
  g_test_add_func ("/perl/idle", test_perl_idle);
  g_test_add_func ("/perl/prepare", test_perl_prepare);
  g_test_add_func ("/perl/coro", test_perl_coro);
  g_test_add_func ("/perl/ticker", test_perl_ticker);
  g_test_add_func ("/perl/done-callback", test_perl_done_callback);
  g_test_add_func ("/perl/init", test_perl_init);
  g_test_add_func ("/perl/failures", test_perl_failures);
  g_test_add_func ("/perl/eval", test_perl_eval);
  g_test_add_func ("/perl/names", test_perl_names);
  g_test_add_func ("/perl/run", test_perl_run);
  g_test_add_func ("/perl/death", test_perl_death);
  g_test_add_func ("/perl/death-of-many", test_perl_death_of_many);
  g_test_add_func ("/perl/forks", test_perl_forks);
  g_test_add_func ("/perl/end", test_perl_end);
  g_test_add_func ("/perl/done-function", test_perl_done_function);
  g_test_add_func ("/perl/done-later", test_perl_done_later);
  g_test_add_func ("/perl/huge", test_perl_huge);
  g_test_add_func ("/perl/flush", test_perl_flush);
  g_test_add_func ("/perl/signals", test_perl_signals);
  g_test_add_func ("/perl/template", test_perl_template);
  g_test_add_func ("/perl/template-library", test_perl_template_library);
  g_test_add_func ("/perl/template-loop", test_perl_template_loop);

  return g_test_run ();
}
