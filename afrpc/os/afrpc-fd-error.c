/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-fd-error.h"

#include <errno.h>
#include <sys/resource.h>

char *
afrpc_fd_error_describe (int error_number)
{
  struct rlimit limit;

  if (error_number != EMFILE || getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return g_strdup (g_strerror (error_number));

  return g_strdup_printf ("%s: of the %" G_GUINT64_FORMAT " that the program may have (RLIMIT_NOFILE), each worker takes 2, and "
                          "one more if its standard error is captured", g_strerror (error_number), (guint64) limit.rlim_cur);
}
