/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-tool-machines.h"

#include <afrpc/afrpc.h>
#include <glib/gi18n.h>
#include <string.h>

static void
machine_free (AfrpcToolMachine *machine)
{
  g_free (machine->destination);
  g_free (machine);
}

/* Splits off the number in front, if there is one: ssh://machine has none. */
static gboolean
parse_number (const char **text,
              guint       *number)
{
  const gsize n_digits = strspn (*text, "0123456789");
  g_autofree char *digits = g_strndup (*text, n_digits);
  guint64 value;

  if (n_digits == 0 || (*text)[n_digits] != '/')
    return TRUE;
  if (!g_ascii_string_to_unsigned (digits, 10, 1, AFRPC_TOOL_WORKERS_MAX, &value, NULL))
    return FALSE;

  *number = value;
  *text += n_digits + 1;

  return TRUE;
}

static AfrpcToolMachine *
parse_machine (const char  *text,
               GError     **error)
{
  AfrpcToolMachine *machine = g_new0 (AfrpcToolMachine, 1);
  const char *rest = text;

  if (parse_number (&rest, &machine->n_workers) && *rest != '\0' && *rest != '-' && strpbrk (rest, " \t\n") == NULL)
    {
      machine->destination = g_str_equal (rest, ":") ? NULL : g_strdup (rest);
      return machine;
    }

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               _("“%s” is no machine: it is written [N/][USER@]MACHINE, with N from 1 to %d, or “:” for this one"), text,
               AFRPC_TOOL_WORKERS_MAX);
  machine_free (machine);

  return NULL;
}

/* Returns: (nullable) (element-type AfrpcToolMachine) */
GPtrArray *
afrpc_tool_machines_parse (const char *const  *lists,
                           GError            **error)
{
  g_autoptr(GPtrArray) machines = g_ptr_array_new_with_free_func ((GDestroyNotify) machine_free);

  for (; *lists != NULL; lists++)
    {
      g_auto(GStrv) words = g_strsplit (*lists, ",", -1);

      for (guint i = 0; i == 0 || words[i] != NULL; i++)
        {
          AfrpcToolMachine *machine = parse_machine (words[i] != NULL ? words[i] : "", error);

          if (machine == NULL)
            return NULL;
          g_ptr_array_add (machines, machine);
        }
    }

  return g_steal_pointer (&machines);
}

guint
afrpc_tool_machines_count_processors (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);

  return afrpc_process_get_n_processors (process);
}
