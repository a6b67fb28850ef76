/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc call --nats: one call of who serves a subject. */
#include "config.h"

#include "afrpc-tool-nats.h"

#include <glib/gi18n.h>

#include "afrpc-tool-one-call.h"

typedef struct
{
  AfrpcToolNats nats;
  double seconds;
  guint timeout_ms;
  AfrpcToolOneCall call; /* whose words are FUNCTION, and arguments */
} CallOptions;

#define N_BEFORE 1

static void
call_options_clear (CallOptions *options)
{
  afrpc_tool_nats_clear (&options->nats);
  afrpc_tool_one_call_clear (&options->call);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CallOptions, call_options_clear)

static int
call_run (const CallOptions *options,
          GPtrArray         *values)
{
  AfrpcNatsConnection *connection;
  AfrpcNatsCaller *caller;
  int status;

  /* A connection has threads. */
  afrpc_tool_block_signals ();
  connection = afrpc_tool_nats_new_connection (&options->nats);
  /* Events of a subject are for everybody. */
  caller = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", options->nats.subject, "listens", FALSE,
                         NULL);
  status = afrpc_tool_one_call_run (&options->call, N_BEFORE, values, AFRPC_CALLER (caller), options->call.words[0],
                                    options->timeout_ms, NULL);
  g_object_unref (caller);
  afrpc_tool_nats_end (connection);

  return status;
}

static gboolean
call_parse (CallOptions  *options,
            char        **argv,
            GError      **error)
{
  const GOptionEntry entries[] = {
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->seconds, N_("Time limit of one call"), N_("SECONDS") },
    G_OPTION_ENTRY_NULL
  };
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (&parser, _("FUNCTION [ARG…]"),
                           _("Calls a function of those who serve a subject of NATS and prints its result.\n"
                             "\n"
                             "Each ARG is a value in GVariant's text format, such as 5, true, \"[1, 2]\" or \"'5'\";\n"
                             "what is not in that format is a string. Write “--” before the first ARG that starts\n"
                             "with “-”."));
  afrpc_tool_one_call_add (&options->call, &parser);
  afrpc_tool_options_add (&parser, entries);
  afrpc_tool_nats_add (&options->nats, &parser);

  return afrpc_tool_options_parse (&parser, argv, error) && afrpc_tool_one_call_check (&options->call, error) &&
         afrpc_tool_parse_seconds (options->seconds, &options->timeout_ms, error) && afrpc_tool_nats_check (&options->nats, error);
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
  if (options.call.words == NULL || options.call.words[0] == NULL)
    return afrpc_tool_usage_error ("call", _("FUNCTION is needed"));

  values = afrpc_tool_one_call_parse (&options.call, N_BEFORE, &error);
  if (values == NULL)
    return afrpc_tool_usage_error ("call", error->message);

  return call_run (&options, values);
}
