/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host with its own ways to fork: what AFRPC_TEST_FORK says; and to end: with AFRPC_TEST_END as exit status. */
#include <afrpc/afrpc.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FORK_TYPE_HOST (fork_host_get_type ())
G_DECLARE_FINAL_TYPE (ForkHost, fork_host, FORK, HOST, AfrpcHost)

struct _ForkHost
{
  AfrpcHost parent_instance;

  const char *how;     /* this process came to be */
  gboolean has_waited; /* for a call that was not there yet */
};

G_DEFINE_FINAL_TYPE (ForkHost, fork_host, AFRPC_TYPE_HOST)

/* Says what is no greeting by each socket that it has. */
static void
babble (void)
{
  static const char text[64] = "this is no greeting";

  for (int fd = 3; fd < 32; fd++)
    (void) !send (fd, text, sizeof text, MSG_NOSIGNAL);
  _exit (0);
}

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

  else if (g_strcmp0 (way, "vanish") == 0)
    {
      /* Nobody is going to say of the new process that it is there but itself. */
      pid = AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
      if (pid > 0)
        _exit (0);
    }
  else if (g_strcmp0 (way, "die") == 0)
    {
      /* Neither of them does. */
      AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
      _exit (0);
    }
  else if (g_strcmp0 (way, "deep") == 0)
    {
      /* It cannot say so, nor can what it has made, when that has made another, which is no more. */
      pid = AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
      if (pid > 0)
        raise (SIGSTOP);
      else if (g_strcmp0 (self->how, way) == 0)
        _exit (0);
    }
  else if (g_strcmp0 (way, "freeze") == 0 || g_strcmp0 (way, "babble") == 0)
    {
      /* As "vanish", and it does not do that. */
      pid = AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
      if (pid > 0)
        _exit (0);
      if (pid == 0 && g_str_equal (way, "freeze"))
        raise (SIGSTOP);
      else if (pid == 0)
        babble ();
    }
  else if (g_strcmp0 (way, "lose") == 0)
    {
      /* It is there, whatever is said of it. */
      pid = AFRPC_HOST_CLASS (fork_host_parent_class)->fork (host, error);
      if (pid > 0)
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "it went wrong afterwards");
          pid = -1;
        }
    }

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
  if (g_str_equal (function, "leave"))
    _exit (0);

  return g_str_equal (function, "positions") ? 2 : g_str_equal (function, "has_waited") ? 3 : 1;
}

/* What is known of the file descriptors. */
static GVariant *
get_positions (AfrpcWorker *worker)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("au"));
  for (guint i = 0; i < afrpc_worker_get_n_fds (worker); i++)
    g_variant_builder_add (&builder, "u", afrpc_worker_get_fd_position (worker, i));

  return g_variant_builder_end (&builder);
}

static GVariant *
fork_host_call (AfrpcHost    *host,
                guint         function,
                AfrpcWorker  *worker,
                GVariant     *args,
                GError      **error)
{
  if (afrpc_host_get_worker (host) != worker)
    return NULL;

  if (function == 3)
    return g_variant_new_boolean (FORK_HOST (host)->has_waited);

  return function == 2 ? get_positions (worker) : g_variant_new_string (FORK_HOST (host)->how);
}

static void
fork_host_wait (AfrpcHost *host,
                int        fd)
{
  struct pollfd poller = { fd, POLLIN, 0 };

  AFRPC_HOST_CLASS (fork_host_parent_class)->wait (host, fd);
  if (poll (&poller, 1, 0) == 0)
    FORK_HOST (host)->has_waited = TRUE;
}

static int
fork_host_end (AfrpcHost *host,
               int        status)
{
  const char *own = g_getenv ("AFRPC_TEST_END");

  if (AFRPC_HOST_CLASS (fork_host_parent_class)->end (host, status) != status)
    return 99;

  return own != NULL ? atoi (own) : status;
}

static void
fork_host_class_init (ForkHostClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  host_class->fork = fork_host_fork;
  host_class->end = fork_host_end;
  host_class->wait = fork_host_wait;
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
