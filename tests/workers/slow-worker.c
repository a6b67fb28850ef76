/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A module that takes longer to load than its program lives, if it is told of that: it ends it itself. Should it be loaded, it says so, where a
 * command's worker may write, too. */
#include <afrpc/afrpc.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

AFRPC_FUNCTION (nothing, NULL)

GVariant *
nothing (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  return NULL;
}

static void __attribute__ ((constructor))
load (void)
{
  const gint64 until = g_get_monotonic_time () + atoi (g_getenv ("AFRPC_TEST_LOADING_S")) * G_USEC_PER_SEC;
  const int program = atoi (g_getenv ("AFRPC_TEST_PROGRAM"));

  fprintf (stderr, "loading\n");
  if (program > 0)
    kill (program, SIGKILL);
  while (g_get_monotonic_time () < until)
    ;
  fprintf (stderr, "loaded\n");
}
