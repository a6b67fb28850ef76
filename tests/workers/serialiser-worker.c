/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Functions whose values travel in all ways. Linked without GIO. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "odd-serialiser.h"
#include "variant-check.h"

AFRPC_FUNCTION (echo, NULL)
AFRPC_ASYNC_FUNCTION (echo_async, NULL)
AFRPC_FUNCTION (tell, NULL)
AFRPC_ASYNC_FUNCTION (tell_async, NULL)
AFRPC_FUNCTION (report, NULL)
AFRPC_ASYNC_FUNCTION (report_async, NULL)
AFRPC_FUNCTION (swap, "(si)")
AFRPC_ASYNC_FUNCTION (swap_async, "(si)")
AFRPC_FUNCTION (grow, "(su)")
AFRPC_ASYNC_FUNCTION (turns_async, NULL)
AFRPC_FUNCTION (judge, NULL)
AFRPC_ASYNC_FUNCTION (judge_async, NULL)
AFRPC_FUNCTION (die_once, "(s)")
AFRPC_ASYNC_FUNCTION (die_once_async, "(s)")

AFRPC_EXPORT gboolean init_odd (AfrpcWorker *worker, GVariant *args, GError **error);
AFRPC_EXPORT gboolean init_plain (AfrpcWorker *worker, GVariant *args, GError **error);

/* The worker's side of the odd serialiser, known only after this. */
gboolean
init_odd (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "worker");

  return afrpc_serialiser_register (AFRPC_SERIALISER (odd), error);
}

/* Plain JSON, of a type that the program names. */
gboolean
init_plain (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  g_autoptr(AfrpcJsonSerialiser) plain = NULL;
  const char *type;

  g_variant_get (args, "(&s)", &type);
  plain = afrpc_json_serialiser_new (G_VARIANT_TYPE (type));

  return afrpc_serialiser_register (AFRPC_SERIALISER (plain), error);
}

GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}

/* Ends, unless the file is there that it makes. */
GVariant *
die_once (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  g_autofree char *path = NULL;
  int fd;

  g_variant_get (args, "(s)", &path);
  fd = open (path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0)
    _exit (3);

  return g_variant_new_boolean (TRUE);
}

void
die_once_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, die_once (NULL, afrpc_invocation_get_args (invocation), NULL));
}

void
echo_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, afrpc_invocation_get_args (invocation));
}

/* An event before and one after the arguments, which are one too; an error for those that want one. */
GVariant *
tell (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  afrpc_worker_event (worker, g_variant_new_string ("before"));
  afrpc_worker_event (worker, args);
  afrpc_worker_event (worker, g_variant_new_string ("after"));
  if (!g_variant_is_of_type (args, G_VARIANT_TYPE_STRING) || strcmp (g_variant_get_string (args, NULL), "fail") != 0)
    return g_variant_new_string ("told");

  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "as you like");
  return NULL;
}

void
tell_async (AfrpcInvocation *invocation)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = tell (afrpc_invocation_get_worker (invocation), afrpc_invocation_get_args (invocation), &error);

  if (value != NULL)
    afrpc_invocation_return_value (invocation, value);
  else
    afrpc_invocation_return_error (invocation, error);
}

/* Progress, and the arguments as progress and as result. */
GVariant *
report (AfrpcWorker  *worker,
        GVariant     *args,
        GError      **error)
{
  afrpc_worker_progress (worker, g_variant_new_string ("half"));
  afrpc_worker_progress (worker, args);

  return g_variant_ref (args);
}

void
report_async (AfrpcInvocation *invocation)
{
  GVariant *args = afrpc_invocation_get_args (invocation);

  afrpc_invocation_progress (invocation, g_variant_new_string ("half"));
  afrpc_invocation_progress (invocation, args);
  afrpc_invocation_return_value (invocation, args);
}

/* The other way round; a wrong answer for those that want one. */
GVariant *
swap (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  const char *string;
  gint32 number;

  g_variant_get (args, "(&si)", &string, &number);
  if (strcmp (string, "wrong") == 0)
    return g_variant_ref (args);

  return g_variant_new ("(is)", number, string);
}

void
swap_async (AfrpcInvocation *invocation)
{
  g_autoptr(GVariant) value = g_variant_take_ref (swap (afrpc_invocation_get_worker (invocation),
                                                        afrpc_invocation_get_args (invocation), NULL));

  afrpc_invocation_return_value (invocation, value);
}

static void
say_judgement (AfrpcWorker *worker,
               GVariant    *args)
{
  afrpc_worker_event (worker, g_variant_new_string (variant_is_trusted (args) ? "trusted" : "not trusted"));
  afrpc_worker_event (worker, args);
}

/* Whether GLib trusts the arguments, and these, as an event, as progress and as the result. */
GVariant *
judge (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  say_judgement (worker, args);
  afrpc_worker_progress (worker, args);

  return g_variant_ref (args);
}

void
judge_async (AfrpcInvocation *invocation)
{
  GVariant *args = afrpc_invocation_get_args (invocation);

  say_judgement (afrpc_invocation_get_worker (invocation), args);
  afrpc_invocation_progress (invocation, args);
  afrpc_invocation_return_value (invocation, args);
}

static guint n_turns;

static gboolean
turn_prepare (GSource *source,
              int     *timeout_ms)
{
  n_turns++;
  return FALSE;
}

static GSourceFuncs turn_funcs = { turn_prepare, NULL, NULL, NULL };

/* The arguments, or, if that is the string "turns", how often the main loop has gone round. */
void
turns_async (AfrpcInvocation *invocation)
{
  static GSource *source;
  GVariant *args = afrpc_invocation_get_args (invocation);

  if (source == NULL)
    {
      source = g_source_new (&turn_funcs, sizeof (GSource));
      g_source_attach (source, NULL);
    }
  if (g_variant_is_of_type (args, G_VARIANT_TYPE_STRING))
    afrpc_invocation_return_value (invocation, g_variant_new_uint32 (n_turns));
  else
    afrpc_invocation_return_value (invocation, args);
}

/* A string so many times. */
GVariant *
grow (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  g_autoptr(GString) grown = g_string_new (NULL);
  const char *string;
  guint32 n;

  g_variant_get (args, "(&su)", &string, &n);
  for (; n > 0; n--)
    g_string_append (grown, string);

  return g_variant_new_string (grown->str);
}
