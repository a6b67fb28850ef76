/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-log.h"

/* The most severe level in @level that does not end this program, whatever it has made fatal for itself: a critical
 * warning is about the program that it is logged in. */
static GLogLevelFlags
get_level (guint32 level)
{
  const GLogLevelFlags levels[] = { G_LOG_LEVEL_WARNING, G_LOG_LEVEL_MESSAGE, G_LOG_LEVEL_INFO, G_LOG_LEVEL_DEBUG };

  if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) != 0)
    return G_LOG_LEVEL_WARNING;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if ((level & levels[i]) != 0)
      return levels[i];

  return G_LOG_LEVEL_MESSAGE;
}

static const char *
get_priority (GLogLevelFlags level)
{
  switch ((guint) level)
    {
    case G_LOG_LEVEL_WARNING:
      return "4";

    case G_LOG_LEVEL_MESSAGE:
      return "5";

    case G_LOG_LEVEL_INFO:
      return "6";

    default:
      return "7";
    }
}

/* Logs what worker @pid said, of call @call unless that is 0. */
void
afrpc_log_forward (guint32     level,
                   const char *domain,
                   int         pid,
                   guint64     call,
                   const char *message)
{
  const GLogLevelFlags own_level = get_level (level);
  g_autofree char *pid_text = g_strdup_printf ("%d", pid);
  g_autofree char *call_text = g_strdup_printf ("%" G_GUINT64_FORMAT, call);
  g_autofree char *text = call != 0 ? g_strdup_printf ("worker %d, call %s: %s", pid, call_text, message)
                                    : g_strdup_printf ("worker %d: %s", pid, message);
  GLogField fields[5] = {
    { "MESSAGE", text, -1 },
    { "PRIORITY", get_priority (own_level), -1 },
    { "AFRPC_PID", pid_text, -1 },
  };
  gsize n = 3;

  if (call != 0)
    fields[n++] = (GLogField) { "AFRPC_CALL", call_text, -1 };
  if (*domain != '\0')
    fields[n++] = (GLogField) { "GLIB_DOMAIN", domain, -1 };

  g_log_structured_array (own_level, fields, n);
}
