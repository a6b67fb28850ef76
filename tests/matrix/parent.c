/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parent in C. Usage: parent CASES LANGUAGE HOST MODULE */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_CALLS 10
#define LARGE (1 << 20)

typedef struct
{
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  const char *function;
  GPtrArray *log;     /* (element-type utf8) events, and what became of calls */
  GPtrArray *results; /* (element-type GVariant) (nullable): of the calls of a step, as they are settled */
  GPtrArray *errors;  /* (element-type GError) (nullable) */
  gboolean destroyed;
  AfrpcExit *exit;    /* (nullable) */
} Matrix;

static const char *language, *host, *module;
static char *fifo; /* tells a worker that cannot be cancelled that it need not wait any more */

/* Of a string, or the octets that Perl has instead. */
static char *
get_text (GVariant *value)
{
  g_autoptr(GVariant) octets = NULL;
  gconstpointer data;
  gsize size;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  g_assert_true (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING_ARRAY) && g_variant_n_children (value) == 1);
  octets = g_variant_get_child_value (value, 0);
  data = g_variant_get_fixed_array (octets, &size, 1);

  return g_strndup (data, size);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          Matrix       *m)
{
  g_ptr_array_add (m->log, get_text (event));
}

static void
destroyed_cb (AfrpcProxy *proxy,
              Matrix     *m)
{
  m->destroyed = TRUE;
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit_,
           Matrix       *m)
{
  m->exit = afrpc_exit_ref (exit_);
}

static void
error_cb (void)
{
}

static void
matrix_init (Matrix       *m,
             AfrpcBackend  backend)
{
  memset (m, 0, sizeof *m);
  m->log = g_ptr_array_new_with_free_func (g_free);
  m->results = g_ptr_array_new ();
  m->errors = g_ptr_array_new ();
  m->process = afrpc_process_new_exec (host);
  afrpc_process_set_stderr (m->process, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (m->process, module);
  g_signal_connect (m->process, "exited", G_CALLBACK (exited_cb), m);
  m->proxy = g_object_new (AFRPC_TYPE_PROXY, "process", m->process, "backend", backend,
                           "function", backend == AFRPC_BACKEND_SYNC ? "act" : "act_async", NULL);
  g_signal_connect (m->proxy, "event", G_CALLBACK (event_cb), m);
  g_signal_connect (m->proxy, "error", G_CALLBACK (error_cb), m);
  g_signal_connect (m->proxy, "destroyed", G_CALLBACK (destroyed_cb), m);
}

static void
check_exit (Matrix *m)
{
  while (m->exit == NULL)
    g_main_context_iteration (NULL, TRUE);
}

/* Forgets what was settled. */
static void
next_step (Matrix *m)
{
  for (guint i = 0; i < m->results->len; i++)
    {
      g_clear_pointer ((GVariant **) &m->results->pdata[i], g_variant_unref);
      g_clear_error ((GError **) &m->errors->pdata[i]);
    }
  g_ptr_array_set_size (m->results, 0);
  g_ptr_array_set_size (m->errors, 0);
  g_ptr_array_set_size (m->log, 0);
}

static void
matrix_end (Matrix *m)
{
  g_clear_pointer (&m->proxy, afrpc_caller_close_and_unref);
  check_exit (m);
  next_step (m);
  g_ptr_array_unref (m->results);
  g_ptr_array_unref (m->errors);
  g_ptr_array_unref (m->log);
  g_signal_handlers_disconnect_by_data (m->process, m);
  afrpc_exit_unref (m->exit);
  g_object_unref (m->process);
}

static void
settled_cb (GObject      *proxy,
            GAsyncResult *result,
            gpointer      data)
{
  Matrix *m = data;
  GError *error = NULL;
  GVariant *value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);

  g_ptr_array_add (m->results, value);
  g_ptr_array_add (m->errors, error);
  g_ptr_array_add (m->log, g_strdup (value != NULL ? "result" : "error"));
}

static void
call (Matrix       *m,
      const char   *what,
      GVariant     *value,
      GCancellable *cancellable)
{
  afrpc_caller_call (AFRPC_CALLER (m->proxy), g_variant_new ("(sv)", what, value), cancellable, settled_cb, m);
}

static GError *
get_error (Matrix *m,
           guint   i)
{
  return m->errors->pdata[i];
}

static void
assert_no_errors (Matrix *m)
{
  for (guint i = 0; i < m->errors->len; i++)
    g_assert_no_error (get_error (m, i));
}

static void
wait_settled (Matrix *m,
              guint   n)
{
  while (m->results->len < n)
    g_main_context_iteration (NULL, TRUE);
}

/* It goes on as if nothing had happened. */
static void
check_alive (Matrix *m)
{
  g_autofree char *text = NULL;

  next_step (m);
  call (m, "echo", g_variant_new_string ("alive"), NULL);
  wait_settled (m, 1);
  assert_no_errors (m);
  text = get_text (m->results->pdata[0]);
  g_assert_cmpstr (text, ==, "alive");
}

static GVariant *
parse (const char *text)
{
  static char *large;
  g_autoptr(GString) full = g_string_new (text);
  g_autoptr(GError) error = NULL;
  GVariant *value;

  if (large == NULL)
    large = g_strnfill (LARGE, 'x');
  g_string_replace (full, "%LARGE%", large, 0);
  value = g_variant_parse (NULL, full->str, NULL, NULL, &error);
  g_assert_no_error (error);

  return value;
}

static gboolean
is_octets (GVariant *value,
           GVariant *expected)
{
  g_autoptr(GVariant) octets = NULL;
  gsize size, expected_size;
  gconstpointer data, expected_data = g_variant_get_data (expected);

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING_ARRAY) || g_variant_n_children (value) != 1)
    return FALSE;
  octets = g_variant_get_child_value (value, 0);
  data = g_variant_get_fixed_array (octets, &size, 1);
  expected_size = g_variant_get_size (expected) - g_variant_is_of_type (expected, G_VARIANT_TYPE_STRING);

  return size == expected_size && (size == 0 || memcmp (data, expected_data, size) == 0);
}

/* In Perl, a string or an array of bytes stands for a list of one octet string. */
static void
check_value (GVariant   *value,
             const char *text,
             const char *line)
{
  g_autoptr(GVariant) expected = parse (text);
  g_autofree char *got = NULL;

  if (g_variant_equal (value, expected) || (g_str_equal (language, "perl") && is_octets (value, expected)))
    return;
  got = g_variant_print (value, TRUE);
  g_error ("%s: got %.200s", line, got);
}

static void
run_value (Matrix  *m,
           char   **words)
{
  g_autoptr(GVariant) value = parse (words[1]);
  g_autofree char *prefix = g_strconcat (language, "=", NULL);
  const char *expected = words[1];

  for (guint i = 2; words[i] != NULL; i++)
    if (g_str_has_prefix (words[i], prefix))
      expected = words[i] + strlen (prefix);
  call (m, "echo", value, NULL);
  wait_settled (m, 1);
  if (*expected == '!')
    {
      g_assert_nonnull (get_error (m, 0));
      g_assert_nonnull (strstr (get_error (m, 0)->message, expected + 1));
      return;
    }
  assert_no_errors (m);
  check_value (m->results->pdata[0], expected, words[1]);
}

/* Several calls, each of which makes events: all are there, in order, before the result of their call. */
static void
run_events (Matrix       *m,
            AfrpcBackend  backend,
            guint         n)
{
  guint n_events = 0, n_results = 0;

  for (guint i = 0; i < N_CALLS; i++)
    call (m, "events", g_variant_new_uint32 (n), NULL);
  wait_settled (m, N_CALLS);
  assert_no_errors (m);
  for (guint i = 0; i < m->log->len; i++)
    if (g_str_equal (m->log->pdata[i], "result"))
      {
        n_results++;
        g_assert_cmpuint (n_events, >=, n_results * n);
        if (backend == AFRPC_BACKEND_SYNC)
          g_assert_cmpuint (n_events, ==, n_results * n);
      }
    else
      g_assert_cmpuint (atoi (m->log->pdata[i]), ==, n_events++ % n);
  g_assert_cmpuint (n_events, ==, N_CALLS * n);
}

static void
run_fail (Matrix     *m,
          const char *text)
{
  call (m, "fail", g_variant_new_string (text), NULL);
  wait_settled (m, 1);
  g_assert_nonnull (get_error (m, 0));
  g_assert_nonnull (strstr (get_error (m, 0)->message, text));
}

/* The worker may open its end now, or may still be about to. */
static void
stop_waiting (Matrix *m)
{
  int fd = open (fifo, O_RDWR | O_CLOEXEC); /* for both ends, so that it does not wait itself */

  g_assert_cmpint (fd, >=, 0);
  check_alive (m);
  close (fd);
}

static void
run_cancel (Matrix *m)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  call (m, "wait", g_variant_new_string (fifo), cancellable);
  while (m->log->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (m->log->pdata[0], ==, "waiting");
  g_cancellable_cancel (cancellable);
  wait_settled (m, 1);
  g_assert_error (get_error (m, 0), G_IO_ERROR, G_IO_ERROR_CANCELLED);
  stop_waiting (m);
}

static void
run_limit (Matrix *m,
           guint   limit_ms)
{
  afrpc_proxy_set_call_timeout_ms (m->proxy, limit_ms);
  call (m, "wait", g_variant_new_string (fifo), NULL);
  afrpc_proxy_set_call_timeout_ms (m->proxy, 0);
  wait_settled (m, 1);
  g_assert_error (get_error (m, 0), G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  stop_waiting (m);
}

static void
run_end (Matrix   *m,
         gboolean  is_drop)
{
  for (guint i = 0; i < N_CALLS; i++)
    call (m, "echo", g_variant_new_take_string (g_strdup_printf ("%u", i)), NULL);
  if (is_drop)
    g_clear_object (&m->proxy);
  else
    g_clear_pointer (&m->proxy, afrpc_caller_close_and_unref);
  check_exit (m);
  g_assert_cmpuint (m->results->len, ==, N_CALLS);
  assert_no_errors (m);
  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autofree char *text = get_text (m->results->pdata[i]);

      g_assert_cmpint (atoi (text), ==, i);
    }
  g_assert_true (afrpc_exit_is_success (m->exit));
  if (!is_drop)
    while (!m->destroyed)
      g_main_context_iteration (NULL, TRUE);
}

/* The call behind it was not started, as far as the backend can tell. */
static void
run_exit (Matrix       *m,
          AfrpcBackend  backend,
          guint         status)
{
  call (m, "exit", g_variant_new_uint32 (status), NULL);
  call (m, "echo", g_variant_new_string ("behind it"), NULL);
  wait_settled (m, 2);
  g_assert_error (get_error (m, 0), AFRPC_ERROR, AFRPC_ERROR_DIED);
  if (backend == AFRPC_BACKEND_SYNC || !g_error_matches (get_error (m, 1), AFRPC_ERROR, AFRPC_ERROR_DIED))
    g_assert_error (get_error (m, 1), AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  check_exit (m);
  g_assert_cmpint (afrpc_exit_get_status (m->exit), ==, status);
}

static void
run_line (Matrix       *m,
          AfrpcBackend  backend,
          const char   *line)
{
  g_auto(GStrv) words = g_strsplit (line, "\t", -1);
  const guint n = words[1] != NULL ? strtoul (words[1], NULL, 10) : 0;

  next_step (m);
  if (g_str_equal (words[0], "value"))
    run_value (m, words);
  else if (g_str_equal (words[0], "events"))
    run_events (m, backend, n);
  else if (g_str_equal (words[0], "fail"))
    run_fail (m, words[1]);
  else if (g_str_equal (words[0], "cancel"))
    run_cancel (m);
  else if (g_str_equal (words[0], "limit"))
    run_limit (m, n);
  else if (g_str_equal (words[0], "close") || g_str_equal (words[0], "drop"))
    run_end (m, g_str_equal (words[0], "drop"));
  else if (g_str_equal (words[0], "exit"))
    run_exit (m, backend, n);
  else
    g_error ("unknown step: %s", line);
}

static void
run_case_lines (AfrpcBackend   backend,
                char         **lines)
{
  Matrix m = { 0 };

  for (char **line = lines; *line != NULL; line++)
    {
      if (**line == '\0' || **line == '#')
        continue;
      if (m.process == NULL)
        matrix_init (&m, backend);
      run_line (&m, backend, *line);
      if (m.exit != NULL)
        {
          matrix_end (&m);
          m.process = NULL;
        }
      else if (!g_str_has_prefix (*line, "value"))
        check_alive (&m);
    }
  if (m.process != NULL)
    matrix_end (&m);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *folder = g_dir_make_tmp ("afrpc-matrix-XXXXXX", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) lines = NULL;

  g_assert_cmpint (argc, ==, 5);
  language = argv[2];
  host = argv[3];
  module = argv[4];
  fifo = g_build_filename (folder, "fifo", NULL);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_file_get_contents (argv[1], &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);

  run_case_lines (AFRPC_BACKEND_SYNC, lines);
  run_case_lines (AFRPC_BACKEND_ASYNC, lines);

  remove (fifo);
  remove (folder);
  g_free (fifo);

  return 0;
}
