/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc call: one call in one worker. */
#include "config.h"

#include <glib/gi18n.h>

#include "afrpc-tool-one-call.h"

typedef struct
{
  AfrpcToolWorkerOptions worker;
  AfrpcToolOneCall call; /* whose words are MODULE, FUNCTION, and arguments */
} CallOptions;

#define N_BEFORE 2

static void
call_options_clear (CallOptions *options)
{
  afrpc_tool_worker_options_clear (&options->worker);
  afrpc_tool_one_call_clear (&options->call);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CallOptions, call_options_clear)

static int
call_run (const CallOptions *options,
          GPtrArray         *values)
{
  const AfrpcToolWorkerOptions *worker = &options->worker;
  g_autoptr(AfrpcProcess) process = afrpc_tool_process_new (worker, NULL, FALSE);
  g_autoptr(AfrpcProxy) proxy = g_object_new (AFRPC_TYPE_PROXY,
                                              "process", process,
                                              "function", worker->function,
                                              "init", worker->init,
                                              "backend", worker->backend,
                                              NULL);

  return afrpc_tool_one_call_run (&options->call, N_BEFORE, values, AFRPC_CALLER (proxy), NULL, worker->timeout_ms, worker);
}

static gboolean
call_parse (CallOptions  *options,
            char        **argv,
            GError      **error)
{
  g_auto(AfrpcToolOptions) parser = { 0 };

  afrpc_tool_options_init (
    &parser,
    _("MODULE FUNCTION [ARG…]"),
    _("Calls a function of a module in a worker process and prints its result.\n"
      "\n"
      "Each ARG is a value in GVariant's text format, such as 5, true, \"[1, 2]\" or \"'5'\";\n"
      "what is not in that format is a string. Write “--” before the first ARG that starts\n"
      "with “-”."));

  afrpc_tool_one_call_add (&options->call, &parser);
  afrpc_tool_worker_options_add (&options->worker, &parser);

  return afrpc_tool_options_parse (&parser, argv, error) && afrpc_tool_one_call_check (&options->call, error) &&
         afrpc_tool_worker_options_check (&options->worker, error);
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
  if (options.call.words == NULL || g_strv_length (options.call.words) < N_BEFORE)
    return afrpc_tool_usage_error ("call", _("MODULE and FUNCTION are needed"));

  values = afrpc_tool_one_call_parse (&options.call, N_BEFORE, &error);
  if (values == NULL || !afrpc_tool_worker_options_take_module (&options.worker, options.call.words[0], &error))
    return afrpc_tool_usage_error ("call", error->message);
  options.worker.function = g_strdup (options.call.words[1]);

  return call_run (&options, values);
}
