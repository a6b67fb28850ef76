/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-restrict.h"

#include <errno.h>
#include <sys/resource.h>

#include "afrpc-error.h"
#include "afrpc-types.h"

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

/* Does what @surroundings say of limits and nice level, if anything. */
gboolean
afrpc_restrict (GVariant  *surroundings,
                GError   **error)
{
  g_autoptr(GVariantIter) limits = NULL;
  guchar limit;
  guint64 value;
  gint32 level;

  if (g_variant_lookup (surroundings, "limits", "a(yt)", &limits))
    while (g_variant_iter_next (limits, "(yt)", &limit, &value))
      if (!set_limit (limit, value, error))
        return FALSE;

  if (g_variant_lookup (surroundings, "nice", "i", &level) && setpriority (PRIO_PROCESS, 0, level) != 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "setting the nice level to %d: %s", level,
                   g_strerror (errno));
      return FALSE;
    }

  return TRUE;
}
