/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-types.h"
#include "os/afrpc-group.h"

static const struct
{
  int resource;
  const char *name;
} resources[] = {
  [AFRPC_LIMIT_ADDRESS_SPACE] = { RLIMIT_AS, "address space" },
  [AFRPC_LIMIT_CPU] = { RLIMIT_CPU, "processor time" },
  [AFRPC_LIMIT_FILES] = { RLIMIT_NOFILE, "open files" },
  [AFRPC_LIMIT_FILE_SIZE] = { RLIMIT_FSIZE, "file size" },
};

/* Returns: bytes, or 0 where that is not known */
static guint64
get_address_space (void)
{
  guint64 n_pages = 0;
  FILE *file = fopen ("/proc/self/statm", "re");

  if (file == NULL)
    return 0;
  if (fscanf (file, "%" G_GUINT64_FORMAT, &n_pages) != 1)
    n_pages = 0;
  fclose (file);

  return n_pages * (guint64) sysconf (_SC_PAGESIZE);
}

/* With less than a process has already, nothing can be allocated any more, which not every language can say: the engine of
 * JavaScript, for one, waits for a thread that cannot be started. */
static gboolean
check_address_space (guint64   value,
                     GError  **error)
{
  const guint64 mapped = get_address_space ();

  if (value >= mapped)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN,
               "limiting address space to %" G_GUINT64_FORMAT " bytes: %" G_GUINT64_FORMAT " bytes are mapped already",
               value, mapped);
  return FALSE;
}

static gboolean
set_limit (guint     limit,
           guint64   value,
           GError  **error)
{
  struct rlimit old, new = { value, value };

  if (limit == AFRPC_LIMIT_NONE || limit >= G_N_ELEMENTS (resources))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "an unknown limit %u", limit);
      return FALSE;
    }

  if (limit == AFRPC_LIMIT_ADDRESS_SPACE && !check_address_space (value, error))
    return FALSE;

  /* At the hard limit of processor time comes SIGKILL, which tells nothing, and instead of SIGXCPU. */
  if (limit == AFRPC_LIMIT_CPU && getrlimit (RLIMIT_CPU, &old) == 0 && value < old.rlim_max)
    new.rlim_max = value + 1;

  if (setrlimit (resources[limit].resource, &new) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "limiting %s to %" G_GUINT64_FORMAT ": %s",
                   resources[limit].name, value, g_strerror (errno));
      return FALSE;
    }

  return TRUE;
}

static gboolean
set_limits (const AfrpcOptions  *surroundings,
            GError             **error)
{
  g_autoptr(GVariant) limits = afrpc_options_dup_value (surroundings, "limits", "a(yt)");
  guchar limit;
  guint64 value;
  gint32 level;

  for (gsize i = 0; limits != NULL && i < g_variant_n_children (limits); i++)
    {
      g_variant_get_child (limits, i, "(yt)", &limit, &value);
      if (!set_limit (limit, value, error))
        return FALSE;
    }

  if (afrpc_options_get_int32 (surroundings, "nice", &level) && setpriority (PRIO_PROCESS, 0, level) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "setting the nice level to %d: %s", level,
                   g_strerror (errno));
      return FALSE;
    }

  return TRUE;
}

static gboolean
connect_stdio (guint8        which, /* bit 0: standard input, and so on */
               AfrpcTransport  *transport,
               GError      **error)
{
  for (int i = 0; i < 3; i++)
    if ((which & 1 << i) != 0)
      {
        const int fd = afrpc_transport_take_fd (transport);
        const gboolean is_connected = fd >= 0 && (fd == i ? fcntl (fd, F_SETFD, 0) : dup2 (fd, i)) >= 0;

        if (!is_connected)
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "connecting standard streams: %s",
                       fd < 0 ? "a file descriptor did not arrive" : g_strerror (errno));
        if (fd >= 0 && fd != i)
          close (fd);
        if (!is_connected)
          return FALSE;
      }

  return TRUE;
}

/* Does what @surroundings says; what goes with it is taken from @transport. */
gboolean
afrpc_surroundings_enter (const AfrpcOptions  *surroundings,
                          AfrpcTransport      *transport,
                          GError             **error)
{
  g_autoptr(GVariant) environment = NULL;
  const char *cwd;
  gboolean leads_group = FALSE;
  guint8 which = 0;

  /* First: whatever is started belongs to it. */
  afrpc_options_get_boolean (surroundings, "group", &leads_group);
  if (leads_group && !afrpc_group_lead ())
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "leading a process group: %s", g_strerror (errno));
      return FALSE;
    }

  afrpc_options_get_byte (surroundings, "stdio", &which);
  if (!connect_stdio (which, transport, error))
    return FALSE;

  environment = afrpc_options_dup_value (surroundings, "environ", "aay");
  if (environment != NULL)
    {
      g_autofree const char **variables = g_variant_get_bytestring_array (environment, NULL);

      clearenv ();
      for (guint i = 0; variables[i] != NULL; i++)
        putenv (g_strdup (variables[i]));
    }
  cwd = afrpc_options_get_path (surroundings, "cwd");
  if (cwd != NULL && chdir (cwd) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "entering the working directory '%s': %s", cwd,
                   g_strerror (errno));
      return FALSE;
    }

  /* Last: they may be too low for the rest. */
  return set_limits (surroundings, error);
}
