/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-tool-one-call.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-tool-output.h"

typedef struct
{
  const AfrpcToolOneCall *options;
  char **words;      /* the arguments */
  GPtrArray *values; /* (element-type GVariant) what the words look like */
  const AfrpcToolWorkerOptions *worker; /* (nullable) */
  guint timeout_ms;
  const char *function; /* (nullable): if it is not the caller's own */
  GMainLoop *loop;
  AfrpcCaller *caller;
  AfrpcToolOutput *output;

  gint64 start_us;
  gboolean is_over; /* the caller has ended */
  int status;       /* the first reason to fail, or 0 */
  GError *refusal;  /* (nullable): why it was not called with what the words look like */
} Call;

static void
call_clear (Call *self)
{
  g_signal_handlers_disconnect_by_data (self->caller, self);
  g_clear_error (&self->refusal);
  g_clear_pointer (&self->output, afrpc_tool_output_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static void
call_check_over (Call *self)
{
  if (self->is_over && (self->status != 0 || afrpc_tool_output_is_empty (self->output)))
    g_main_loop_quit (self->loop);
}

/* Ends it at once. */
static void
call_abort (Call *self,
            int   status)
{
  if (self->status == 0)
    self->status = status;
  afrpc_caller_kill (self->caller);
  call_check_over (self);
}

static void
output_changed_cb (gpointer data)
{
  Call *self = data;
  int errnum = afrpc_tool_output_get_errno (self->output);

  if (errnum == EPIPE)
    {
      call_abort (self, AFRPC_TOOL_EXIT_SIGNAL (SIGPIPE));
    }
  else if (errnum != 0)
    {
      afrpc_tool_message (_("Cannot write the output: %s"), g_strerror (errnum));
      call_abort (self, AFRPC_TOOL_EXIT_FAILED);
    }

  call_check_over (self);
}

static void
event_cb (AfrpcCaller  *caller,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      data)
{
  const Call *self = data;
  g_autoptr(GVariant) shown = afrpc_tool_dup_shown (event, self->options->bytes_as_text);

  afrpc_tool_show_event (shown);
}

/* What breaks a worker has failed the call already, and has been reported. */
static void
error_cb (AfrpcCaller *caller,
          GError      *error,
          gpointer     data)
{
  Call *self = data;

  if (self->status == 0)
    afrpc_tool_message ("%s", error->message);
}

static void
destroyed_cb (AfrpcCaller *caller,
              gpointer     data)
{
  Call *self = data;

  self->is_over = TRUE;
  call_check_over (self);
}

static void
call_failed (Call         *self,
             const GError *error)
{
  const gint64 elapsed_ms = (g_get_monotonic_time () - self->start_us) / 1000;
  g_autofree char *message = afrpc_error_dup_message (error);

  /* A signal has ended it: nothing to add. */
  if (self->status != 0)
    return;

  if (self->timeout_ms > 0 && elapsed_ms >= self->timeout_ms && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    {
      afrpc_tool_message (_("The time limit of %g s has passed"), self->timeout_ms / 1000.0);
      call_abort (self, AFRPC_TOOL_EXIT_TIMED_OUT);
      return;
    }

  if (self->worker != NULL)
    afrpc_tool_report (self->worker, error);
  else
    afrpc_tool_message ("%s", message);
  self->status = afrpc_tool_exit_status (error);
}

static AfrpcCallOptions *
new_call_options (const Call *self,
                  gboolean    is_exact)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_function (options, self->function);
  if (is_exact)
    afrpc_call_options_set_metadata (options, afrpc_tool_new_exact ());
  if (self->timeout_ms > 0)
    afrpc_call_options_set_timeout_ms (options, self->timeout_ms);

  return options;
}

static void call_settled_cb (GObject      *object,
                             GAsyncResult *result,
                             gpointer      data);

/* A function that has declared its type is not called with another one: then the words are taken for what that says.
 * TRUE: that is being tried. */
static gboolean
call_try_declared (Call         *self,
                   AfrpcCall    *call,
                   const GError *error)
{
  g_autoptr(GVariantType) type = NULL;
  g_autoptr(AfrpcCallOptions) call_options = NULL;

  if (self->status != 0 || self->refusal != NULL || afrpc_call_get_started (call) != AFRPC_STARTED_NO)
    return FALSE;
  type = afrpc_tool_find_declared_type (error);
  if (type == NULL)
    return FALSE;

  self->refusal = g_error_copy (error);
  call_options = new_call_options (self, FALSE);
  afrpc_caller_call_full (self->caller,
                          afrpc_tool_make_declared (self->words, self->values,
                                                    self->options->from_json ? AFRPC_TOOL_WORDS_JSON : AFRPC_TOOL_WORDS_VALUES, type),
                          call_options, NULL, call_settled_cb, self);

  return TRUE;
}

static void
call_settled_cb (GObject      *object,
                 GAsyncResult *result,
                 gpointer      data)
{
  Call *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_full_finish (AFRPC_CALLER (object), result, NULL, &error);

  if (value == NULL && call_try_declared (self, AFRPC_CALL (result), error))
    return;

  afrpc_caller_close (self->caller);
  if (value != NULL)
    {
      g_autoptr(GByteArray) text = g_byte_array_new ();
      g_autoptr(GVariant) shown = afrpc_tool_dup_shown (value, self->options->bytes_as_text);

      afrpc_tool_format_result (text, shown, self->options->json ? AFRPC_TOOL_FORMAT_JSON : AFRPC_TOOL_FORMAT_VARIANT);
      g_byte_array_append (text, (const guint8 *) "\n", 1);
      afrpc_tool_output_append (self->output, text->data, text->len);
    }
  else
    {
      const gboolean is_refused =
        self->refusal != NULL && g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS) &&
        afrpc_call_get_started (AFRPC_CALL (result)) == AFRPC_STARTED_NO;

      /* What the words look like is what people expect to read of. */
      call_failed (self, is_refused ? self->refusal : error);
    }

  call_check_over (self);
}

static void
signal_cb (int      signum,
           gpointer data)
{
  Call *self = data;

  self->status = AFRPC_TOOL_EXIT_SIGNAL (signum);
  call_abort (self, self->status);
}

/* The options, and what is left: the words. */
void
afrpc_tool_one_call_add (AfrpcToolOneCall *self,
                         AfrpcToolOptions *parser)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &self->json, N_("Print the result as JSON"), NULL },
    { "bytes-as-text", 0, 0, G_OPTION_ARG_NONE, &self->bytes_as_text, N_("Show bytes as text where they are UTF-8"), NULL },
    { "strings", 0, 0, G_OPTION_ARG_NONE, &self->strings, N_("Take every argument for a string"), NULL },
    { "from-json", 0, 0, G_OPTION_ARG_NONE, &self->from_json, N_("Every argument is JSON"), NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->words, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };

  afrpc_tool_options_add (parser, entries);
}

gboolean
afrpc_tool_one_call_check (const AfrpcToolOneCall  *self,
                           GError                 **error)
{
  if (!self->strings || !self->from_json)
    return TRUE;

  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("An argument is either a string or JSON"));
  return FALSE;
}

/* @n_before: how many words are no arguments: there are so many. Returns: (transfer full) (element-type GVariant) (nullable):
 * the arguments, as they look */
GPtrArray *
afrpc_tool_one_call_parse (const AfrpcToolOneCall  *self,
                           guint                    n_before,
                           GError                 **error)
{
  return afrpc_tool_parse_words (self->words + n_before,
                                 self->strings     ? AFRPC_TOOL_WORDS_STRINGS
                                 : self->from_json ? AFRPC_TOOL_WORDS_JSON
                                                   : AFRPC_TOOL_WORDS_VALUES,
                                 error);
}

/* Makes the call, prints what comes of it, and has @caller end.
 * @function: (nullable): if it is not the caller's own; @timeout_ms: 0 for no limit; @worker: (nullable): whose errors are told
 * with advice. Returns: the exit status */
int
afrpc_tool_one_call_run (const AfrpcToolOneCall       *self,
                         guint                         n_before,
                         GPtrArray                    *values,
                         AfrpcCaller                  *caller,
                         const char                   *function,
                         guint                         timeout_ms,
                         const AfrpcToolWorkerOptions *worker)
{
  g_auto(Call) call = {
    .options = self, .words = self->words + n_before, .values = values, .worker = worker, .timeout_ms = timeout_ms, .caller = caller,
    .function = function,
  };
  g_autoptr(AfrpcCallOptions) call_options = NULL;

  call.loop = g_main_loop_new (NULL, FALSE);
  call.output = afrpc_tool_output_new (STDOUT_FILENO, output_changed_cb, &call);
  /* What is said to be a string, or is JSON, says what it is. */
  call_options = new_call_options (&call, !self->strings && !self->from_json);
  g_signal_connect (caller, "event", G_CALLBACK (event_cb), &call);
  g_signal_connect (caller, "error", G_CALLBACK (error_cb), &call);
  g_signal_connect (caller, "destroyed", G_CALLBACK (destroyed_cb), &call);
  afrpc_tool_watch_signals (signal_cb, &call);

  call.start_us = g_get_monotonic_time ();
  afrpc_caller_call_full (caller, g_variant_new_tuple ((GVariant **) values->pdata, values->len), call_options, NULL,
                          call_settled_cb, &call);
  g_main_loop_run (call.loop);

  return call.status;
}

void
afrpc_tool_one_call_clear (AfrpcToolOneCall *self)
{
  g_clear_pointer (&self->words, g_strfreev);
}
