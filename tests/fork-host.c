/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host with its own ways to fork: what AFRPC_TEST_FORK says. */
#include <afrpc/afrpc.h>

#include <unistd.h>

#define FORK_TYPE_HOST (fork_host_get_type ())
G_DECLARE_FINAL_TYPE (ForkHost, fork_host, FORK, HOST, AfrpcHost)

struct _ForkHost
{
  AfrpcHost parent_instance;

  const char *how;    /* this process came to be */
};

G_DEFINE_FINAL_TYPE (ForkHost, fork_host, AFRPC_TYPE_HOST)

static int
fork_host_fork (AfrpcHost  *host,
                GError    **error)
{
  ForkHost *self = FORK_HOST (host);
  const char *way = g_getenv ("AFRPC_TEST_FORK");
  int pid = -1;

  if (g_strcmp0 (way, "chain") == 0)
    pid = AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
  else if (g_strcmp0 (way, "own") == 0)
    pid = fork ();
  else if (g_strcmp0 (way, "fail") == 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "no forks today");

  if (pid == 0)
    self->how = way;

  return pid;
}

static guint
fork_host_resolve (AfrpcHost          *host,
                   const char         *function,
                   AfrpcFunctionKind   kind,
                   GError            **error)
{
  return 1;
}

static GVariant *
fork_host_call (AfrpcHost    *host,
                guint         function,
                AfrpcWorker  *worker,
                GVariant     *args,
                GError      **error)
{
  return g_variant_new_string (FORK_HOST (host)->how);
}

static void
fork_host_class_init (ForkHostClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  host_class->fork = fork_host_fork;
  host_class->resolve = fork_host_resolve;
  host_class->call = fork_host_call;
}

static void
fork_host_init (ForkHost *self)
{
  self->how = "exec";
}

int
main (void)
{
  g_autoptr(AfrpcHost) host = g_object_new (FORK_TYPE_HOST, "name", "fork", NULL);

  return afrpc_host_serve (host);
}
