/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker module of examples 1 and 1a: removes files and directories. Arguments: a command and a
 * path. Result: whether it was done, and otherwise the reason. An event tells the number of
 * requests after every third one. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <unistd.h>

AFRPC_FUNCTION (run, "(ss)")
AFRPC_ASYNC_FUNCTION (run_async, "(ss)")

/* Returns: (nullable): NULL with @error set if there is no such command */
static GVariant *
handle_request (AfrpcWorker  *worker,
                GVariant     *args,
                GError      **error)
{
  static guint count;
  const char *command;
  const char *path;
  int status;

  if (++count % 3 == 0)
    afrpc_worker_event (worker, g_variant_new_uint32 (count));

  g_variant_get (args, "(&s&s)", &command, &path);
  if (g_str_equal (command, "rmdir"))
    {
      status = rmdir (path);
    }
  else if (g_str_equal (command, "unlink"))
    {
      status = unlink (path);
    }
  else
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "Illegal command '%s'", command);
      return NULL;
    }

  return g_variant_new ("(bs)", status == 0, status == 0 ? "" : g_strerror (errno));
}

GVariant *
run (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  return handle_request (worker, args, error);
}

void
run_async (AfrpcInvocation *invocation)
{
  g_autoptr(GError) error = NULL;
  GVariant *result = handle_request (afrpc_invocation_get_worker (invocation),
                                     afrpc_invocation_get_args (invocation), &error);

  if (result != NULL)
    afrpc_invocation_return_value (invocation, result);
  else
    afrpc_invocation_return_error (invocation, error);
}
