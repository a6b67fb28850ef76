/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc call: one call in one worker. */
#include "config.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-tool-output.h"
#include "afrpc-tool.h"

typedef struct
{
  AfrpcToolWorkerOptions worker;
  gboolean json;
  gboolean from_json;
  gboolean strings;
  char **words; /* MODULE, FUNCTION, and arguments */
} CallOptions;

typedef struct
{
  const CallOptions *options;
  GMainLoop *loop;
  AfrpcProcess *process;
  AfrpcProxy *proxy;
  AfrpcToolOutput *output;

  gint64 start_us;
  gboolean called; /* the call has been settled */
  gboolean exited; /* the process has ended, or never was */
  int status;      /* the first reason to fail, or 0 */

  GPtrArray *values; /* (element-type GVariant) what the words look like */
  GError *refusal;   /* (nullable): why it was not called with what they look like */
} Call;

static void
call_options_clear (CallOptions *options)
{
  afrpc_tool_worker_options_clear (&options->worker);
  g_clear_pointer (&options->words, g_strfreev);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CallOptions, call_options_clear)

static void
call_clear (Call *self)
{
  g_signal_handlers_disconnect_by_data (self->proxy, self);
  g_clear_error (&self->refusal);
  g_clear_object (&self->proxy);
  g_clear_object (&self->process);
  g_clear_pointer (&self->output, afrpc_tool_output_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static void
call_check_over (Call *self)
{
  if (self->called && self->exited &&
      (self->status != 0 || afrpc_tool_output_is_empty (self->output)))
    g_main_loop_quit (self->loop);
}

/* Ends the worker at once. */
static void
call_abort (Call *self,
            int   status)
{
  if (self->status == 0)
    self->status = status;
  afrpc_caller_kill (AFRPC_CALLER (self->proxy));
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
proxy_event_cb (AfrpcProxy   *proxy,
                GVariant     *event,
                AfrpcProcess *from,
                GUnixFDList  *fds,
                gpointer      data)
{
  afrpc_tool_show_event (event);
}

/* What breaks the worker has failed the call already, and has been reported. */
static void
proxy_error_cb (AfrpcProxy *proxy,
                GError     *error,
                gpointer    data)
{
  Call *self = data;

  if (self->status == 0)
    afrpc_tool_message ("%s", error->message);
}

static void
process_exited_cb (GObject      *object,
                   GAsyncResult *result,
                   gpointer      data)
{
  Call *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcExit) reason = afrpc_process_wait_finish (AFRPC_PROCESS (object), result, &error);

  if (reason != NULL)
    {
      g_autofree char *text = afrpc_exit_to_string (reason);

      g_debug ("the worker has ended: %s", text);
    }
  self->exited = TRUE;
  call_check_over (self);
}

static void
call_failed (Call         *self,
             const GError *error)
{
  guint timeout_ms = self->options->worker.timeout_ms;
  gint64 elapsed_ms = (g_get_monotonic_time () - self->start_us) / 1000;

  /* A signal has ended it: nothing to add. */
  if (self->status != 0)
    return;

  if (timeout_ms > 0 && elapsed_ms >= timeout_ms &&
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    {
      afrpc_tool_message (_("The time limit of %g s has passed"), timeout_ms / 1000.0);
      call_abort (self, AFRPC_TOOL_EXIT_TIMED_OUT);
      return;
    }

  afrpc_tool_report (&self->options->worker, error);
  self->status = afrpc_tool_exit_status (error);
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

  /* JSON says what a value is. */
  if (self->status != 0 || self->refusal != NULL || self->options->from_json ||
      afrpc_call_get_started (call) != AFRPC_STARTED_NO)
    return FALSE;
  type = afrpc_tool_find_declared_type (error);
  if (type == NULL)
    return FALSE;

  self->refusal = g_error_copy (error);
  afrpc_caller_call (AFRPC_CALLER (self->proxy), afrpc_tool_make_declared (self->options->words + 2, self->values, type),
                     NULL, call_settled_cb, self);

  return TRUE;
}

static void
call_settled_cb (GObject      *object,
                 GAsyncResult *result,
                 gpointer      data)
{
  Call *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (object), result, &error);

  if (value == NULL && call_try_declared (self, AFRPC_CALL (result), error))
    return;

  self->called = TRUE;
  afrpc_caller_close (AFRPC_CALLER (self->proxy));
  if (value != NULL)
    {
      g_autoptr(GByteArray) text = g_byte_array_new ();

      afrpc_tool_format_result (text, value,
                                self->options->json ? AFRPC_TOOL_FORMAT_JSON
                                                    : AFRPC_TOOL_FORMAT_VARIANT);
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

static int
call_run (const CallOptions *options,
          GPtrArray         *values)
{
  g_auto(Call) self = { .options = options, .values = values };

  self.loop = g_main_loop_new (NULL, FALSE);
  self.output = afrpc_tool_output_new (STDOUT_FILENO, output_changed_cb, &self);
  self.process = afrpc_tool_process_new (&options->worker, NULL, FALSE);
  self.proxy = g_object_new (AFRPC_TYPE_PROXY,
                             "process", self.process,
                             "function", options->worker.function,
                             "init", options->worker.init,
                             "backend", options->worker.backend,
                             "call-timeout-ms", options->worker.timeout_ms,
                             NULL);
  g_signal_connect (self.proxy, "event", G_CALLBACK (proxy_event_cb), &self);
  g_signal_connect (self.proxy, "error", G_CALLBACK (proxy_error_cb), &self);
  afrpc_tool_watch_signals (signal_cb, &self);

  self.start_us = g_get_monotonic_time ();
  afrpc_caller_call (AFRPC_CALLER (self.proxy), g_variant_new_tuple ((GVariant **) values->pdata, values->len), NULL,
                     call_settled_cb, &self);
  afrpc_process_wait_async (self.process, NULL, process_exited_cb, &self);
  g_main_loop_run (self.loop);

  return self.status;
}

static gboolean
call_parse (CallOptions  *options,
            char        **argv,
            GError      **error)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &options->json, N_("Print the result as JSON"), NULL },
    { "strings", 0, 0, G_OPTION_ARG_NONE, &options->strings,
      N_("Take every argument for a string"), NULL },
    { "from-json", 0, 0, G_OPTION_ARG_NONE, &options->from_json, N_("Every argument is JSON"), NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->words, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (
    &parser,
    _("MODULE FUNCTION [ARG…]"),
    _("Calls a function of a module in a worker process and prints its result.\n"
      "\n"
      "Each ARG is a value in GVariant's text format, such as 5, true, \"[1, 2]\" or \"'5'\";\n"
      "what is not in that format is a string. Write “--” before the first ARG that starts\n"
      "with “-”."));

  afrpc_tool_options_add (&parser, entries);
  afrpc_tool_worker_options_add (&options->worker, &parser);
  if (!afrpc_tool_options_parse (&parser, argv, error))
    return FALSE;

  if (options->strings && options->from_json)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           _("An argument is either a string or JSON"));
      return FALSE;
    }

  return afrpc_tool_worker_options_check (&options->worker, error);
}

int
afrpc_tool_call (int    argc,
                 char **argv)
{
  g_auto(CallOptions) options = { 0 };
  g_autoptr(GPtrArray) values = NULL;
  g_autoptr(GError) error = NULL;

  if (!call_parse (&options, argv, &error))
    return afrpc_tool_usage_error ("call", error->message);
  if (options.words == NULL || g_strv_length (options.words) < 2)
    return afrpc_tool_usage_error ("call", _("MODULE and FUNCTION are needed"));

  values = afrpc_tool_parse_words (options.words + 2,
                                   options.strings     ? AFRPC_TOOL_WORDS_STRINGS
                                   : options.from_json ? AFRPC_TOOL_WORDS_JSON
                                                       : AFRPC_TOOL_WORDS_VALUES,
                                   &error);
  if (values == NULL)
    return afrpc_tool_usage_error ("call", error->message);

  if (!afrpc_tool_worker_options_take_module (&options.worker, options.words[0], &error))
    return afrpc_tool_usage_error ("call", error->message);
  options.worker.function = g_strdup (options.words[1]);

  return call_run (&options, values);
}
