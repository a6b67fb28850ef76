/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "perl-util.h"

#include <string.h>
#include <unistd.h>

/* As the environment says: executed, forked from a template, or over a command. */
static AfrpcProcess *
new_bare_process (void)
{
  const char *command = g_getenv ("AFRPC_TEST_COMMAND");
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) argv = NULL;

  if (g_getenv ("AFRPC_TEST_TEMPLATE") != NULL)
    return afrpc_process_new_for_host ("perl");
  if (command == NULL)
    return afrpc_process_new_exec ("perl");

  g_shell_parse_argv (command, NULL, &argv, &error);
  g_assert_no_error (error);
  return afrpc_process_new_command ((const char *const *) argv);
}

AfrpcProcess *
new_process (const char *module)
{
  AfrpcProcess *process = new_bare_process ();

  afrpc_process_setenv (process, "PERL5LIB", LIBRARY, TRUE);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  if (module != NULL)
    afrpc_process_require (process, module);

  return process;
}

AfrpcProxy *
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
char *
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

  return g_variant_print (value, g_variant_is_of_type (value, G_VARIANT_TYPE_HANDLE));
}

/* Returns: (transfer full) */
GVariant *
parse (const char *text)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);

  return value;
}

void
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

char *
call_text (AfrpcProxy *proxy,
           const char *name)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new ("(s)", name), &error);

  g_assert_no_error (error);

  return show (result);
}

void
assert_contains (const char *text,
                 const char *words)
{
  if (text == NULL || strstr (text, words) == NULL)
    g_error ("'%s' is not in '%s'", words, text);
}

void
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
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          Watched      *watched)
{
  g_autofree char *text = show (event);

  watched->n_events++;
  g_string_append_printf (watched->log, "event %s; ", text);
}

void
watch_perl (Watched    *watched,
            AfrpcProxy *proxy)
{
  watch_init (watched, proxy);
  g_signal_connect (proxy, "event", G_CALLBACK (event_cb), watched);
}

void
watch_function (Watched           *watched,
                AfrpcProcess      *process,
                const char        *function,
                AfrpcBackend       backend,
                const PerlOptions *options)
{
  static const PerlOptions none = { 0 };
  AfrpcSerialiser *serialiser;

  if (options == NULL)
    options = &none;
  serialiser = options->serialiser != NULL ? afrpc_serialiser_lookup (options->serialiser) : NULL;
  watch_perl (watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend,
                                     "init", options->init, "done", options->done, "serialiser", serialiser, NULL));
  g_clear_object (&serialiser);
}

void
watch_jobs (Watched      *watched,
            AfrpcBackend  backend)
{
  watch_perl (watched, new_proxy ("Jobs", backend == AFRPC_BACKEND_SYNC ? "Jobs::run" : "Jobs::run_async", backend));
}

void
begin_call (Watched  *watched,
            GVariant *args,
            Outcome  *outcome)
{
  afrpc_caller_call (AFRPC_CALLER (watched->proxy), args, NULL, outcome != NULL ? outcome_cb : NULL, outcome);
}

typedef struct
{
  gboolean done;
  GVariant *value;
  GUnixFDList **fds;
  GError **error;
} FilesOutcome;

static void
files_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  FilesOutcome *outcome = user_data;

  outcome->value = test_call_finish (source, result, outcome->fds, outcome->error);
  outcome->done = TRUE;
}

GVariant *
call_with_files (Watched            *watched,
                 GVariant           *args,
                 const char *const  *texts,
                 GUnixFDList       **fds,
                 GError            **error)
{
  g_autoptr(GUnixFDList) list = g_unix_fd_list_new ();
  FilesOutcome outcome = { .fds = fds, .error = error };

  for (; *texts != NULL; texts++)
    {
      int fd = test_fd_with (*texts);

      g_unix_fd_list_append (list, fd, NULL);
      close (fd);
    }
  test_call_with_fds (watched->proxy, args, list, NULL, files_cb, &outcome);
  test_iterate_until (&outcome.done);

  return outcome.value;
}

static void
progress_cb (AfrpcCall *call,
             GVariant  *progress,
             gpointer   log)
{
  g_autofree char *text = show (progress);

  g_string_append_printf (log, "progress %s; ", text);
}

static void
progress_finished_cb (GObject      *source,
                      GAsyncResult *result,
                      gpointer      user_data)
{
  Outcome *outcome = user_data;

  outcome->value = test_call_finish (source, result, NULL, &outcome->error);
  outcome->done = TRUE;
}

void
begin_progress (Watched      *watched,
                GVariant     *args,
                GCancellable *cancellable,
                Outcome      *outcome)
{
  test_call_with_progress (watched->proxy, args, AFRPC_PROGRESS_ALL, progress_cb, watched->log, NULL, cancellable,
                           progress_finished_cb, outcome);
}

void
close_perl (Watched *watched)
{
  afrpc_caller_close (AFRPC_CALLER (watched->proxy));
}

void
kill_perl (Watched *watched)
{
  afrpc_caller_kill (AFRPC_CALLER (watched->proxy));
}

AfrpcProcess *
get_process (Watched *watched)
{
  return afrpc_proxy_get_process (watched->proxy);
}

void
send_start (AfrpcProcess *process)
{
  afrpc_process_send_arg (process, g_variant_new_string ("a"));
  test_send_fd_with (process, "from fd 1");
  test_send_fd_with (process, "from fd 2");
  afrpc_process_send_arg (process, g_variant_new_uint32 (2));
  test_send_fd_with (process, "from fd 3");
}

static gboolean
has_module (const char *name)
{
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;

  afrpc_process_eval (process, "sub has { eval qq{require $_[0]; 1} ? 'yes' : 'no' }", NULL);
  watch_function (&watched, process, "has", AFRPC_BACKEND_SYNC, NULL);
  result = test_call (watched.proxy, g_variant_new ("(s)", name), NULL);
  text = show (result);

  return g_str_equal (text, "(yes)");
}

gboolean
skip_without (const char *name)
{
  if (has_module (name))
    return FALSE;

  g_test_skip_printf ("%s is not installed", name);
  return TRUE;
}
