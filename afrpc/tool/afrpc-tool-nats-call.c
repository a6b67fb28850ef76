/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc call --nats: one call of who serves a subject. */
#include "config.h"

#include "afrpc-tool-nats.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

typedef struct
{
  AfrpcToolNats nats;
  gboolean json;
  gboolean from_json;
  gboolean strings;
  double seconds;
  char **words; /* FUNCTION, and arguments */
} CallOptions;

typedef struct
{
  const CallOptions *options;
  GMainLoop *loop;
  AfrpcNatsCaller *caller;
  AfrpcCall *call;
  int status;
} Call;

static void
call_options_clear (CallOptions *options)
{
  afrpc_tool_nats_clear (&options->nats);
  g_clear_pointer (&options->words, g_strfreev);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CallOptions, call_options_clear)

static void
print (Call     *self,
       GVariant *value)
{
  g_autoptr(GByteArray) text = g_byte_array_new ();

  afrpc_tool_format_result (text, value, self->options->json ? AFRPC_TOOL_FORMAT_JSON : AFRPC_TOOL_FORMAT_VARIANT);
  g_byte_array_append (text, (const guint8 *) "\n", 1);
  if (fwrite (text->data, 1, text->len, stdout) != text->len || fflush (stdout) != 0)
    {
      afrpc_tool_message (_("Cannot write the output: %s"), g_strerror (errno));
      self->status = AFRPC_TOOL_EXIT_FAILED;
    }
}

static void
settled_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  Call *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (AFRPC_CALL (object), result, &error);

  if (value != NULL)
    print (self, value);
  else if (self->status == 0)
    {
      afrpc_tool_message ("%s", error->message);
      self->status = self->options->seconds > 0 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)
                       ? AFRPC_TOOL_EXIT_TIMED_OUT
                       : afrpc_tool_exit_status (error);
    }
  afrpc_caller_close (AFRPC_CALLER (self->caller));
}

static void
destroyed_cb (AfrpcCaller *caller,
              Call        *self)
{
  g_main_loop_quit (self->loop);
}

static void
error_cb (AfrpcCaller *caller,
          GError      *error,
          gpointer     data)
{
  g_debug ("%s", error->message);
}

static void
signal_cb (int      signum,
           gpointer data)
{
  Call *self = data;

  if (self->status == 0)
    self->status = AFRPC_TOOL_EXIT_SIGNAL (signum);
  afrpc_caller_kill (AFRPC_CALLER (self->caller));
}

static int
call_run (const CallOptions *options,
          GPtrArray         *values)
{
  AfrpcNatsConnection *connection;
  g_autoptr(AfrpcCallOptions) call_options = afrpc_call_options_new ();
  Call self = { .options = options };

  self.loop = g_main_loop_new (NULL, FALSE);
  afrpc_tool_watch_signals (signal_cb, &self);
  connection = afrpc_tool_nats_new_connection (&options->nats);
  self.caller = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", options->nats.subject, "listens", FALSE,
                              NULL);
  g_signal_connect (self.caller, "destroyed", G_CALLBACK (destroyed_cb), &self);
  g_signal_connect (self.caller, "error", G_CALLBACK (error_cb), &self);
  afrpc_call_options_set_function (call_options, options->words[0]);
  if (options->seconds > 0)
    afrpc_call_options_set_timeout_ms (call_options, (int) ceil (options->seconds * 1000));
  self.call = afrpc_caller_start (AFRPC_CALLER (self.caller), g_variant_new_tuple ((GVariant **) values->pdata, values->len),
                                  call_options);
  afrpc_call_wait (self.call, NULL, settled_cb, &self);
  g_main_loop_run (self.loop);

  g_signal_handlers_disconnect_by_data (self.caller, &self);
  g_object_unref (self.call);
  g_object_unref (self.caller);
  afrpc_tool_nats_end (connection);
  g_main_loop_unref (self.loop);

  return self.status;
}

static gboolean
call_parse (CallOptions  *options,
            char        **argv,
            GError      **error)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &options->json, N_("Print the result as JSON"), NULL },
    { "strings", 0, 0, G_OPTION_ARG_NONE, &options->strings, N_("Take every argument for a string"), NULL },
    { "from-json", 0, 0, G_OPTION_ARG_NONE, &options->from_json, N_("Every argument is JSON"), NULL },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->seconds, N_("Time limit of one call"), N_("SECONDS") },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->words, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (&parser, _("FUNCTION [ARG…]"),
                           _("Calls a function of those who serve a subject of NATS and prints its result.\n"
                             "\n"
                             "Each ARG is a value in GVariant's text format, such as 5, true, \"[1, 2]\" or \"'5'\";\n"
                             "what is not in that format is a string. Write “--” before the first ARG that starts\n"
                             "with “-”."));
  afrpc_tool_options_add (&parser, entries);
  afrpc_tool_nats_add (&options->nats, &parser);
  if (!afrpc_tool_options_parse (&parser, argv, error) || !afrpc_tool_nats_check (&options->nats, error))
    return FALSE;

  if (options->strings && options->from_json)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("An argument is either a string or JSON"));
  else if (!isfinite (options->seconds) || options->seconds < 0 || options->seconds > G_MAXINT / 1000)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The time limit has to be between 0 and %d seconds"),
                 G_MAXINT / 1000);
  else
    return TRUE;

  return FALSE;
}

int
afrpc_tool_nats_call (int    argc,
                      char **argv)
{
  g_auto(CallOptions) options = { 0 };
  g_autoptr(GPtrArray) values = NULL;
  g_autoptr(GError) error = NULL;

  if (!call_parse (&options, argv, &error))
    return afrpc_tool_usage_error ("call", error->message);
  if (options.words == NULL || options.words[0] == NULL)
    return afrpc_tool_usage_error ("call", _("FUNCTION is needed"));

  values = afrpc_tool_parse_words (options.words + 1,
                                   options.strings     ? AFRPC_TOOL_WORDS_STRINGS
                                   : options.from_json ? AFRPC_TOOL_WORDS_JSON
                                                       : AFRPC_TOOL_WORDS_VALUES,
                                   &error);
  if (values == NULL)
    return afrpc_tool_usage_error ("call", error->message);

  return call_run (&options, values);
}
