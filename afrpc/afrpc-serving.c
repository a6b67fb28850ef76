/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host as the session sees it, which knows no objects. */
#include "config.h"

#include "afrpc-host.h"
#include "afrpc-worker-private.h"

static gboolean
serving_can (gpointer          data,
             AfrpcFunctionKind kind)
{
  const AfrpcHostClass *klass = ((const AfrpcServing *) data)->host_class;

  switch (kind)
    {
    case AFRPC_FUNCTION_SYNC:
      return klass->call != NULL;

    case AFRPC_FUNCTION_ASYNC:
      return klass->invoke != NULL;

    case AFRPC_FUNCTION_INIT:
      return klass->init != NULL;

    case AFRPC_FUNCTION_DONE:
      return klass->done != NULL;

    case AFRPC_FUNCTION_RUN:
      return klass->run != NULL;

    default:
      return FALSE;
    }
}

static gboolean
serving_require (gpointer     data,
                 const char  *module,
                 GError     **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->require (serving->host, module, error);
}

static gboolean
serving_eval (gpointer     data,
              const char  *code,
              GVariant    *args,
              GError     **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->eval (serving->host, code, args, error);
}

static guint
serving_resolve (gpointer            data,
                 const char         *name,
                 AfrpcFunctionKind   kind,
                 GError            **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->resolve (serving->host, name, kind, error);
}

static const char *
serving_get_args_type (gpointer data,
                       guint    function)
{
  const AfrpcServing *serving = data;
  AfrpcHostClass *klass = serving->host_class;

  return klass->get_args_type != NULL ? klass->get_args_type (serving->host, function) : NULL;
}

static gboolean
serving_init (gpointer   data,
              guint      function,
              GError   **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->init (serving->host, function, serving->worker, error);
}

static GVariant *
serving_call (gpointer   data,
              guint      function,
              GVariant  *args,
              GError   **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->call (serving->host, function, serving->worker, args, error);
}

static void
serving_invoke (gpointer         data,
                guint            function,
                AfrpcServedCall *call,
                GVariant        *args)
{
  afrpc_invocation_invoke (data, function, call, args);
}

static void
serving_cancelled (gpointer         data,
                   AfrpcServedCall *call)
{
  afrpc_invocation_cancelled (data, call);
}

static void
serving_done (gpointer data,
              guint    function)
{
  const AfrpcServing *serving = data;

  serving->host_class->done (serving->host, function, serving->worker);
}

static void
serving_run (gpointer data,
             guint    function,
             int      fd)
{
  const AfrpcServing *serving = data;

  serving->host_class->run (serving->host, function, serving->worker, fd);
}

static void
serving_wait (gpointer data,
              int      fd)
{
  const AfrpcServing *serving = data;

  serving->host_class->wait (serving->host, fd);
}

static gboolean
serving_can_fork (gpointer   data,
                  GError   **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->can_fork (serving->host, error);
}

static int
serving_fork (gpointer   data,
              GError   **error)
{
  const AfrpcServing *serving = data;

  return serving->host_class->fork (serving->host, error);
}

const AfrpcSessionFuncs afrpc_serving_funcs = {
  .can = serving_can,
  .require = serving_require,
  .eval = serving_eval,
  .resolve = serving_resolve,
  .get_args_type = serving_get_args_type,
  .init = serving_init,
  .call = serving_call,
  .invoke = serving_invoke,
  .cancelled = serving_cancelled,
  .done = serving_done,
  .run = serving_run,
  .wait = serving_wait,
  .can_fork = serving_can_fork,
  .fork = serving_fork,
};
