/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the subcommands share; see afrpc-tool.h. */
#include "config.h"

#include "afrpc-tool.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-tool-progress.h"
#include "afrpc/json/afrpc-json.h"

/* A context whose --help ends with the exit statuses. */
GOptionContext *
afrpc_tool_option_context_new (const char *parameters,
                               const char *summary)
{
  GOptionContext *context = g_option_context_new (parameters);

  g_option_context_set_summary (context, summary);
  g_option_context_set_description (
    context,
    _("Exit status:\n"
      "  0    everything went well\n"
      "  1    a call failed with the function's own error\n"
      "  2    wrong usage\n"
      "  3    the worker could not be started or prepared\n"
      "  4    the worker died\n"
      "  5    the time limit of the call has passed\n"
      "  130  interrupted (SIGINT); 129: SIGHUP, 143: SIGTERM\n"
      "  141  nobody reads the output any more\n"));

  return context;
}

/* Reports a wrong use of the command. Returns: the exit status. */
int
afrpc_tool_usage_error (const char *command,
                        const char *message)
{
  g_autofree char *call = g_strconcat ("afrpc ", command, command == NULL ? NULL : " ", NULL);

  afrpc_tool_message ("%s", message);
  g_printerr (_("Try “%s--help” for more information.\n"), call);

  return AFRPC_TOOL_EXIT_USAGE;
}

/* The exit status of a command whose call failed with @error. A passed time limit is for the
 * caller to tell: a function's own error may have the same code. */
int
afrpc_tool_exit_status (const GError *error)
{
  if (error->domain != AFRPC_ERROR)
    return AFRPC_TOOL_EXIT_FAILED;

  switch ((AfrpcError) error->code)
    {
    case AFRPC_ERROR_SPAWN:
    case AFRPC_ERROR_NO_HOST:
    case AFRPC_ERROR_NOT_A_HOST:
    case AFRPC_ERROR_VERSION:
    case AFRPC_ERROR_MODULE:
    case AFRPC_ERROR_FUNCTION:
    case AFRPC_ERROR_INIT:
    case AFRPC_ERROR_UNREACHABLE:
      return AFRPC_TOOL_EXIT_PREPARE;

    case AFRPC_ERROR_DIED:
    case AFRPC_ERROR_NOT_STARTED:
    case AFRPC_ERROR_CLOSED:
    case AFRPC_ERROR_PROTOCOL:
      return AFRPC_TOOL_EXIT_DIED;

    case AFRPC_ERROR_FAILED:
    case AFRPC_ERROR_INVALID_ARGUMENTS:
    case AFRPC_ERROR_NO_RESULT:
    case AFRPC_ERROR_REMOTE:
    case AFRPC_ERROR_TOO_LARGE:
    case AFRPC_ERROR_INVALID_DATA:
    case AFRPC_ERROR_BUSY:
    case AFRPC_ERROR_UNHANDLED_EVENT:
    case AFRPC_ERROR_NOT_SUPPORTED:
    case AFRPC_ERROR_IN_USE:
    default:
      return AFRPC_TOOL_EXIT_FAILED;
    }
}

/* Writes a line to standard error, without harm to the terminal or to the progress bar. */
void
afrpc_tool_message (const char *format,
                    ...)
{
  g_autofree char *text = NULL;
  g_autofree char *printable = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  printable = afrpc_tool_printable (text, strlen (text), "\n\t");
  afrpc_tool_progress_hide ();
  g_printerr ("afrpc: %s\n", printable);
}

void
afrpc_tool_show_event (GVariant *event)
{
  g_autofree char *text = NULL;

  text = g_variant_print (event, FALSE);
  afrpc_tool_progress_hide ();
  g_printerr (_("event: %s\n"), text);
}

/* Text that is not known to be fit for a terminal: control characters other than those in @keep,
 * and what is not UTF-8, are shown as escapes. */
char *
afrpc_tool_printable (const char *text,
                      gsize       size,
                      const char *keep)
{
  GString *printable = g_string_sized_new (size);
  const char *end = text + size;

  while (text < end)
    {
      gunichar c = g_utf8_get_char_validated (text, end - text);

      if (c == (gunichar) -1 || c == (gunichar) -2 || c == 0)
        {
          g_string_append_printf (printable, "\\x%02x", (guchar) *text);
          text++;
          continue;
        }

      if (g_unichar_iscntrl (c) && (c >= 0x80 || strchr (keep, (int) c) == NULL))
        g_string_append_printf (printable, "\\x%02x", c);
      else
        g_string_append_unichar (printable, c);
      text = g_utf8_next_char (text);
    }

  return g_string_free (printable, FALSE);
}

static void
append_text (GByteArray *bytes,
             const char *text)
{
  g_byte_array_append (bytes, (const guint8 *) text, strlen (text));
}

/* Returns: whether @value was a single string, and has been appended without quotes. */
static gboolean
append_bare (GByteArray      *text,
             GVariant        *value,
             AfrpcToolFormat  format)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      append_text (text, g_variant_get_string (value, NULL));
      return TRUE;
    }

  if (format == AFRPC_TOOL_FORMAT_BYTES && g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      gsize size;
      const guint8 *data = g_variant_get_fixed_array (value, &size, 1);

      /* A C string brings its end along; it is not part of the text. */
      if (size > 0 && data[size - 1] == '\0')
        size--;
      g_byte_array_append (text, data, size);
      return TRUE;
    }

  return FALSE;
}

/* Appends a result to @text, without a line's end. */
void
afrpc_tool_format_result (GByteArray      *text,
                          GVariant        *result,
                          AfrpcToolFormat  format)
{
  g_autoptr(GVariant) child = NULL;
  g_autofree char *printed = NULL;

  if (format == AFRPC_TOOL_FORMAT_JSON)
    {
      printed = afrpc_json_encode (result, AFRPC_JSON_PLAIN);
      append_text (text, printed);
      return;
    }

  if (format != AFRPC_TOOL_FORMAT_VARIANT)
    {
      if (g_variant_is_of_type (result, G_VARIANT_TYPE_TUPLE) && g_variant_n_children (result) == 1)
        child = g_variant_get_child_value (result, 0);
      if (append_bare (text, child != NULL ? child : result, format))
        return;
    }

  printed = g_variant_print (result, FALSE);
  append_text (text, printed);
}

/* Writes all of it, to what blocks. Returns: %FALSE and errno, if it could not. */
gboolean
afrpc_tool_write (int         fd,
                  const void *data,
                  gsize       size)
{
  for (gsize n = 0; n < size;)
    {
      const gssize here = write (fd, (const guint8 *) data + n, size - n);

      if (here >= 0)
        n += here;
      else if (errno != EINTR)
        return FALSE;
    }

  return TRUE;
}
