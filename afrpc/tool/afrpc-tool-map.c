/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc map: a call for each input. Everything is pulled by map_pump(): inputs are read only when a
 * worker has room and neither the output nor the re-order window is full. */
#include "config.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-tool-input.h"
#include "afrpc-tool-output.h"
#include "afrpc-tool-pool.h"
#include "afrpc-tool-progress.h"
#include "afrpc-tool.h"

#define WINDOW_JOBS_MAX 1024         /* jobs between the oldest unfinished one and the newest */
#define WINDOW_BYTES_MAX (16u << 20) /* of results that wait for an older one */
#define N_WORKERS_DEFAULT G_MININT
#define INPUT_SHOWN_MAX 200          /* bytes of an input in a message */

typedef struct
{
  AfrpcToolWorkerOptions worker;
  int n_workers;
  int n_retries;
  int n_failures_max; /* 0: any number */
  char *delimiter;    /* (nullable) */
  gboolean null_input;
  gboolean null_output;
  gboolean keep_order;
  gboolean bytes;
  gboolean bytes_as_text;
  gboolean json;
  gboolean from_json;
  gboolean print_input;
  gboolean no_progress;
  gboolean quiet;
  gboolean stats;
  char **machines; /* (nullable) */
  char **words; /* MODULE, FUNCTION, and inputs */
} MapOptions;

typedef struct
{
  const MapOptions *options;
  GMainLoop *loop;
  AfrpcToolInput *input;
  AfrpcToolOutput *output;
  int output_fd;
  AfrpcToolPool *pool;
  GVariantType *declared; /* (nullable): of the arguments, once the function has refused others */
  gboolean is_taken;      /* it takes them as they are: there is no need to ask again */

  GQueue jobs; /* (element-type Job), oldest first: all that run or whose output waits */
  gsize n_held; /* bytes of outputs in jobs */
  guint64 n_succeeded;
  guint64 n_failed;
  int status;        /* why the workers are being killed, or 0 */
  gboolean read_failed;
} Map;

typedef struct
{
  GList link;
  GBytes *input;
  GByteArray *output; /* (nullable) the result, as soon as there is one */
  gboolean settled;
  gboolean is_declared; /* its arguments are what the function takes, as far as that can be */
} Job;

static void
job_free (Job *job)
{
  g_bytes_unref (job->input);
  g_clear_pointer (&job->output, g_byte_array_unref);
  g_free (job);
}

static void
map_options_clear (MapOptions *options)
{
  afrpc_tool_worker_options_clear (&options->worker);
  g_clear_pointer (&options->machines, g_strfreev);
  g_clear_pointer (&options->words, g_strfreev);
  g_clear_pointer (&options->delimiter, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (MapOptions, map_options_clear)

static void
map_clear (Map *self)
{
  Job *job;

  while ((job = g_queue_peek_head (&self->jobs)) != NULL)
    {
      g_queue_unlink (&self->jobs, &job->link);
      job_free (job);
    }
  g_clear_pointer (&self->pool, afrpc_tool_pool_free);
  g_clear_pointer (&self->output, afrpc_tool_output_free);
  if (self->output_fd != STDOUT_FILENO)
    close (self->output_fd);
  g_clear_pointer (&self->input, afrpc_tool_input_free);
  g_clear_pointer (&self->declared, g_variant_type_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Map, map_clear)

/* Ends everything at once; the first reason becomes the exit status. */
static void
map_abort (Map *self,
           int  status)
{
  if (self->status != 0)
    return;

  self->status = status;
  afrpc_tool_pool_kill (self->pool);
}

/* When killed, it ends with the last process; what could not be written yet is lost. */
static gboolean
map_is_over (const Map *self)
{
  return afrpc_tool_pool_is_over (self->pool) && (self->status != 0 || afrpc_tool_output_is_empty (self->output));
}

static void
map_check_over (Map *self)
{
  if (map_is_over (self))
    g_main_loop_quit (self->loop);
}

/* Whether there are no more inputs than those that are known. */
static gboolean
map_knows_all (Map *self)
{
  return self->options->words[2] != NULL || afrpc_tool_input_is_at_end (self->input);
}

/* How many inputs there are, as far as is known. */
static guint64
map_get_n_known (Map *self)
{
  return self->options->words[2] != NULL ? g_strv_length (self->options->words) - 2
                                         : afrpc_tool_input_get_n_taken (self->input);
}

static void
map_count (Map      *self,
           gboolean  success)
{
  guint64 n_total = 0;

  if (success)
    self->n_succeeded++;
  else
    self->n_failed++;

  if (map_knows_all (self))
    n_total = map_get_n_known (self);
  afrpc_tool_progress_update (self->n_succeeded, self->n_failed, n_total);
}

/* There have been more failures than are wanted. */
static void
map_check_failures (Map *self)
{
  const int n_max = self->options->n_failures_max;

  if (n_max == 0 || self->n_failed < (guint64) n_max || self->status != 0)
    return;

  afrpc_tool_message (ngettext ("%d input has failed: no more are tried", "%d inputs have failed: no more are tried",
                                n_max),
                      n_max);
  map_abort (self, AFRPC_TOOL_EXIT_FAILED);
}

static void
map_report_failure (Map        *self,
                    GBytes     *input,
                    const char *message)
{
  gsize size;
  const char *text = g_bytes_get_data (input, &size);
  g_autofree char *printable = afrpc_tool_printable (text, MIN (size, INPUT_SHOWN_MAX), "");

  afrpc_tool_message ("%s%s: %s", printable, size > INPUT_SHOWN_MAX ? "…" : "", message);
  map_count (self, FALSE);
  map_check_failures (self);
}

static void
map_write_job (Map *self,
               Job *job)
{
  if (job->output != NULL)
    {
      self->n_held -= job->output->len;
      afrpc_tool_output_append (self->output, job->output->data, job->output->len);
    }
  g_queue_unlink (&self->jobs, &job->link);
  job_free (job);
}

/* Returns: (transfer full): not floating; a result as it is to be shown. That of a worker in Perl is a list, of a single text or of
 * more. */
static GVariant *
dup_shown_result (const MapOptions *options,
                  GVariant         *result)
{
  g_autoptr(GVariant) shown = afrpc_tool_dup_shown (result, options->bytes_as_text);

  if (options->bytes_as_text && !options->json && g_variant_is_of_type (shown, G_VARIANT_TYPE_STRING_ARRAY) &&
      g_variant_n_children (shown) == 1)
    return g_variant_get_child_value (shown, 0);

  return g_steal_pointer (&shown);
}

static GByteArray *
map_format_line (Map      *self,
                 Job      *job,
                 GVariant *result)
{
  const MapOptions *options = self->options;
  const AfrpcToolFormat format = options->json    ? AFRPC_TOOL_FORMAT_JSON
                                 : options->bytes ? AFRPC_TOOL_FORMAT_BYTES
                                                  : AFRPC_TOOL_FORMAT_TEXT;
  GByteArray *line = g_byte_array_new ();
  g_autoptr(GVariant) shown = dup_shown_result (options, result);

  if (options->print_input)
    {
      gsize size;
      const guint8 *data = g_bytes_get_data (job->input, &size);

      g_byte_array_append (line, data, size);
      g_byte_array_append (line, (const guint8 *) "\t", 1);
    }
  afrpc_tool_format_result (line, shown, format);
  g_byte_array_append (line, (const guint8 *) (options->null_output ? "\0" : "\n"), 1);

  return line;
}

/* Returns: (transfer floating): a tuple of strings, or of what the function has declared */
static GVariant *
new_tuple (Map   *self,
           char **columns)
{
  g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);

  for (gsize i = 0; columns[i] != NULL; i++)
    g_ptr_array_add (values, g_variant_ref_sink (g_variant_new_string (columns[i])));
  if (self->declared != NULL)
    return afrpc_tool_make_declared (columns, values, AFRPC_TOOL_WORDS_VALUES, self->declared);

  return g_variant_new_tuple ((GVariant **) values->pdata, values->len);
}

/* The arguments of the call for an input. Returns: (nullable): NULL with @error set if the input
 * cannot be an argument */
static GVariant *
map_make_args (Map     *self,
               GBytes  *input,
               GError **error)
{
  gsize size;
  const char *data = g_bytes_get_data (input, &size);
  g_autofree char *text = NULL;

  if (size > 0 && memchr (data, '\0', size) != NULL)
    {
      g_set_error_literal (error, G_CONVERT_ERROR, G_CONVERT_ERROR_EMBEDDED_NUL,
                           _("The input holds a NUL byte"));
      return NULL;
    }

  text = g_strndup (size > 0 ? data : "", size);
  if (self->options->bytes)
    return g_variant_new ("(^ay)", text);

  if (!g_utf8_validate (text, size, NULL))
    {
      g_set_error_literal (error, G_CONVERT_ERROR, G_CONVERT_ERROR_ILLEGAL_SEQUENCE,
                           _("The input is not valid UTF-8"));
      return NULL;
    }

  if (self->options->from_json)
    return afrpc_tool_parse_json_line (text, error);

  if (self->options->delimiter != NULL)
    {
      g_auto(GStrv) columns = g_strsplit (text, self->options->delimiter, -1);

      /* Of nothing, GLib makes no string at all. */
      return new_tuple (self, *text != '\0' ? columns : (char *[]) { text, NULL });
    }
  if (self->declared != NULL)
    return new_tuple (self, (char *[]) { text, NULL });

  return g_variant_new ("(s)", text);
}

/* Whether what an input says depends on what the function has declared. */
static gboolean
map_may_read (const Map *self)
{
  return !self->options->bytes && !self->options->from_json;
}

static void
map_take_input (Map      *self,
                GBytes   *input,
                gboolean  too_long)
{
  g_autoptr(GError) error = NULL;
  GVariant *args = NULL;
  Job *job;

  if (too_long)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                 _("The input is longer than %u bytes"), AFRPC_TOOL_INPUT_SIZE_MAX);
  else
    args = map_make_args (self, input, &error);

  if (args == NULL)
    {
      map_report_failure (self, input, error->message);
      return;
    }

  job = g_new0 (Job, 1);
  job->link.data = job;
  job->input = g_bytes_ref (input);
  job->is_declared = self->declared != NULL;
  g_queue_push_tail_link (&self->jobs, &job->link);
  afrpc_tool_pool_call (self->pool, args, !job->is_declared && !self->is_taken && map_may_read (self), job);
}

static gboolean
map_wants_input (Map *self)
{
  if (self->status != 0 || !afrpc_tool_pool_has_room (self->pool) ||
      afrpc_tool_output_is_full (self->output))
    return FALSE;

  return self->jobs.length < WINDOW_JOBS_MAX && self->n_held < WINDOW_BYTES_MAX;
}

static void
map_pump (Map *self)
{
  while (map_wants_input (self))
    {
      g_autoptr(GBytes) input = NULL;
      AfrpcToolInputStep step = afrpc_tool_input_next (self->input, &input);

      if (step == AFRPC_TOOL_INPUT_AGAIN)
        return;
      if (step == AFRPC_TOOL_INPUT_END)
        break;
      map_take_input (self, input, step == AFRPC_TOOL_INPUT_TOO_LONG);
    }

  if (self->status == 0 && self->jobs.length == 0 && afrpc_tool_input_is_at_end (self->input))
    afrpc_tool_pool_close (self->pool);
}

static void
input_ready_cb (gpointer data)
{
  Map *self = data;
  int errnum = afrpc_tool_input_get_errno (self->input);

  if (errnum != 0 && !self->read_failed)
    {
      afrpc_tool_message (_("Cannot read the input: %s"), g_strerror (errnum));
      self->read_failed = TRUE;
    }

  map_pump (self);
}

static void
output_changed_cb (gpointer data)
{
  Map *self = data;
  int errnum = afrpc_tool_output_get_errno (self->output);

  if (errnum == EPIPE)
    {
      map_abort (self, AFRPC_TOOL_EXIT_SIGNAL (SIGPIPE));
    }
  else if (errnum != 0 && self->status == 0)
    {
      afrpc_tool_message (_("Cannot write the output: %s"), g_strerror (errnum));
      map_abort (self, AFRPC_TOOL_EXIT_FAILED);
    }

  map_pump (self);
  map_check_over (self);
}

static void
call_settled_cb (gpointer      call_data,
                 GVariant     *result,
                 const GError *error,
                 gpointer      data)
{
  Map *self = data;
  Job *job = call_data;

  job->settled = TRUE;
  if (result != NULL)
    {
      self->is_taken |= !job->is_declared;
      job->output = map_format_line (self, job, result);
      self->n_held += job->output->len;
      map_count (self, TRUE);
    }
  else
    {
      g_autofree char *message = afrpc_error_dup_message (error);

      map_report_failure (self, job->input, message);
    }

  if (!self->options->keep_order)
    map_write_job (self, job);
  else
    while ((job = g_queue_peek_head (&self->jobs)) != NULL && job->settled)
      map_write_job (self, job);

  map_pump (self);
}

/* A line of JSON is what it looks like, and only if that is refused what the function takes.
 * Returns: (transfer full) (nullable) */
static GVariant *
reread_json (Job          *job,
             const GError *error)
{
  g_autoptr(GVariantType) type = afrpc_tool_find_declared_type (error);
  g_autofree char *text = NULL;
  gsize size;
  const char *data = g_bytes_get_data (job->input, &size);

  if (type == NULL)
    return NULL;
  text = g_strndup (data, size);

  return afrpc_tool_parse_declared_line (text, type);
}

/* From the first refusal on, inputs are what the function takes. */
static GVariant *
call_refused_cb (gpointer      call_data,
                 const GError *error,
                 gpointer      data)
{
  Map *self = data;
  Job *job = call_data;

  if (self->options->from_json)
    return reread_json (job, error);
  if (!map_may_read (self) || job->is_declared)
    return NULL;
  if (self->declared == NULL)
    self->declared = afrpc_tool_find_declared_type (error);

  return self->declared != NULL ? map_make_args (self, job->input, NULL) : NULL;
}

static void
pool_failed_cb (const GError *error,
                gpointer      data)
{
  Map *self = data;

  afrpc_tool_report (&self->options->worker, error);
  map_abort (self, AFRPC_TOOL_EXIT_PREPARE);
}

static void
pool_event_cb (GVariant *event,
               gpointer  data)
{
  const Map *self = data;
  g_autoptr(GVariant) shown = afrpc_tool_dup_shown (event, self->options->bytes_as_text);

  afrpc_tool_show_event (shown);
}

static void
pool_has_room_cb (gpointer data)
{
  map_pump (data);
}

static void
pool_over_cb (gpointer data)
{
  map_check_over (data);
}

static void
signal_cb (int      signum,
           gpointer data)
{
  map_abort (data, AFRPC_TOOL_EXIT_SIGNAL (signum));
}

static void
map_print_summary (Map *self)
{
  const guint64 n_left = map_get_n_known (self) - self->n_succeeded - self->n_failed;
  g_autofree char *succeeded = NULL;
  g_autofree char *failed = NULL;

  succeeded = g_strdup_printf (ngettext ("%" PRIu64 " succeeded", "%" PRIu64 " succeeded",
                                         self->n_succeeded),
                               self->n_succeeded);
  failed = g_strdup_printf (ngettext ("%" PRIu64 " failed", "%" PRIu64 " failed", self->n_failed),
                            self->n_failed);
  /* Translators: the end of "afrpc map": how many succeeded, how many failed */
  if (n_left == 0)
    afrpc_tool_message (_("%s, %s"), succeeded, failed);
  else if (map_knows_all (self))
    /* Translators: the same, of one that was given up: how many inputs are left */
    afrpc_tool_message (_("%s, %s, %" PRIu64 " given up"), succeeded, failed, n_left);
  else
    /* Translators: the same, if there may be more inputs than those that it has read */
    afrpc_tool_message (_("%s, %s, %" PRIu64 " given up, and what was not read"), succeeded, failed, n_left);
}

static int
map_run (const MapOptions *options)
{
  static const AfrpcToolPoolFuncs funcs = { call_settled_cb, call_refused_cb, pool_failed_cb, pool_event_cb,
                                            pool_has_room_cb, pool_over_cb };
  g_auto(Map) self = { .options = options, .jobs = G_QUEUE_INIT, .output_fd = STDOUT_FILENO };

  self.loop = g_main_loop_new (NULL, FALSE);
  self.output_fd = afrpc_tool_steal_stdout ();
  self.output = afrpc_tool_output_new (self.output_fd, output_changed_cb, &self);
  self.pool = afrpc_tool_pool_new (&options->worker, options->n_workers, &funcs, &self);
  if (options->words[2] != NULL)
    self.input = afrpc_tool_input_new_for_words ((const char * const *) options->words + 2);
  else
    self.input = afrpc_tool_input_new_for_fd (STDIN_FILENO, options->null_input ? '\0' : '\n',
                                              input_ready_cb, &self);

  afrpc_tool_watch_signals (signal_cb, &self);
  if (!options->no_progress)
    afrpc_tool_progress_start ();
  map_pump (&self);
  if (!map_is_over (&self))
    g_main_loop_run (self.loop);
  afrpc_tool_progress_stop ();

  if (!options->quiet && self.status != AFRPC_TOOL_EXIT_SIGNAL (SIGPIPE))
    map_print_summary (&self);
  if (options->stats)
    afrpc_tool_pool_print_stats (self.pool);

  if (self.status != 0)
    return self.status;

  return self.n_failed > 0 || self.read_failed ? AFRPC_TOOL_EXIT_FAILED : AFRPC_TOOL_EXIT_OK;
}

static gboolean
map_parse (MapOptions  *options,
           char       **argv,
           GError     **error)
{
  const GOptionEntry entries[] = {
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &options->n_workers,
      N_("Number of workers, on each machine (default: one for each processor)"), N_("N") },
    { "sshlogin", 'S', 0, G_OPTION_ARG_STRING_ARRAY, &options->machines,
      N_("Run workers on these machines; N: how many, “:”: this one (repeatable)"), N_("[N/][USER@]MACHINE,…") },
    { "send", 0, 0, G_OPTION_ARG_NONE, &options->worker.send, N_("Send modules that are files to these machines"), NULL },
    { "ssh-option", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->worker.ssh_options,
      N_("An argument for ssh, such as “-p2222” (repeatable)"), N_("OPTION") },
    { "keep-order", 'k', 0, G_OPTION_ARG_NONE, &options->keep_order,
      N_("Print the results in the order of the inputs"), NULL },
    { "null", '0', 0, G_OPTION_ARG_NONE, &options->null_input,
      N_("Inputs end with a NUL byte instead of a line's end"), NULL },
    { "null-output", 'z', 0, G_OPTION_ARG_NONE, &options->null_output,
      N_("Results end with a NUL byte instead of a line's end"), NULL },
    { "bytes", 'b', 0, G_OPTION_ARG_NONE, &options->bytes,
      N_("Inputs need not be UTF-8: call with a byte string"), NULL },
    { "bytes-as-text", 0, 0, G_OPTION_ARG_NONE, &options->bytes_as_text, N_("Show bytes as text where they are UTF-8"), NULL },
    { "delimiter", 'd', 0, G_OPTION_ARG_STRING, &options->delimiter,
      N_("Each input is several strings, with this in between"), N_("TEXT") },
    { "from-json", 0, 0, G_OPTION_ARG_NONE, &options->from_json,
      N_("Each input is JSON: an array of the arguments, or the only one"), NULL },
    { "retries", 0, 0, G_OPTION_ARG_INT, &options->n_retries,
      N_("Try an input that has failed so many times more (default: 0)"), N_("N") },
    { "max-failures", 0, 0, G_OPTION_ARG_INT, &options->n_failures_max,
      N_("Give up when so many inputs have failed (default: never)"), N_("N") },
    { "json", 0, 0, G_OPTION_ARG_NONE, &options->json, N_("Print the results as JSON"), NULL },
    { "print-input", 0, 0, G_OPTION_ARG_NONE, &options->print_input,
      N_("Print each input and a tab before its result"), NULL },
    { "no-progress", 0, 0, G_OPTION_ARG_NONE, &options->no_progress,
      N_("Show no progress on a terminal"), NULL },
    { "stats", 0, 0, G_OPTION_ARG_NONE, &options->stats,
      N_("Print at the end how many calls and workers there were, and how long they took"), NULL },
    { "quiet", 'q', 0, G_OPTION_ARG_NONE, &options->quiet, N_("Print no summary"), NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->words, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (
    &parser,
    _("MODULE FUNCTION [-- INPUT…]"),
    _("Calls a function for each INPUT, or for each line of the standard input, in several worker\n"
      "processes, and prints each result as soon as it is there.\n"
      "\n"
      "A failed input is reported and does not stop the others."));

  afrpc_tool_options_add (&parser, entries);
  afrpc_tool_worker_options_add (&options->worker, &parser);
  if (!afrpc_tool_options_parse (&parser, argv, error))
    return FALSE;

  if (options->n_retries < 0 || options->n_failures_max < 0)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           _("The numbers of retries and of failures cannot be below 0"));
      return FALSE;
    }
  if (options->delimiter != NULL && *options->delimiter == '\0')
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The delimiter is empty"));
      return FALSE;
    }
  if (options->from_json + options->bytes + (options->delimiter != NULL) > 1)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           _("An input is either JSON, or bytes, or strings with a delimiter in between"));
      return FALSE;
    }
  options->worker.n_retries = options->n_retries;
  if (options->machines != NULL)
    {
      options->worker.machines = afrpc_tool_machines_parse ((const char *const *) options->machines, error);
      if (options->worker.machines == NULL)
        return FALSE;
    }

  return afrpc_tool_worker_options_check (&options->worker, error);
}

/* What was said of workers goes for each machine for which it was not said. 0: as many as it has processors, which others have
 * to say themselves. */
static void
share_workers (MapOptions *options)
{
  const GPtrArray *machines = options->worker.machines;
  const guint n = options->n_workers;

  for (guint i = 0; machines != NULL && i < machines->len; i++)
    {
      AfrpcToolMachine *machine = machines->pdata[i];

      if (machine->n_workers == 0)
        machine->n_workers = n > 0 || machine->destination != NULL ? n : afrpc_tool_machines_count_processors ();
    }
}

int
afrpc_tool_map (int    argc,
                char **argv)
{
  g_auto(MapOptions) options = { .n_workers = N_WORKERS_DEFAULT };
  g_autoptr(GError) error = NULL;

  if (!map_parse (&options, argv, &error))
    return afrpc_tool_usage_error ("map", error->message);
  if (options.words == NULL || g_strv_length (options.words) < 2)
    return afrpc_tool_usage_error ("map", _("MODULE and FUNCTION are needed"));
  if (options.n_workers == N_WORKERS_DEFAULT)
    options.n_workers = 0;
  else if (options.n_workers < 1 || options.n_workers > AFRPC_TOOL_WORKERS_MAX)
    {
      g_autofree char *message =
        g_strdup_printf (_("The number of workers has to be between 1 and %d"), AFRPC_TOOL_WORKERS_MAX);

      return afrpc_tool_usage_error ("map", message);
    }

  share_workers (&options);
  if (!afrpc_tool_worker_options_take_module (&options.worker, options.words[0], &error))
    return afrpc_tool_usage_error ("map", error->message);
  options.worker.function = g_strdup (options.words[1]);

  return map_run (&options);
}
