/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-functions.h"

#include <string.h>

#include "afrpc-error.h"
#include "serve/afrpc-fit.h"

/* Asks the host. */
gboolean
afrpc_functions_resolve (AfrpcSession       *self,
                         const char         *name,
                         AfrpcFunctionKind   kind,
                         guint              *function,
                         GError            **error)
{
  static const char *const kinds[] = { "sync", "async", "init", "done", "run" };
  g_autoptr(GError) own_error = NULL;

  if (!self->funcs->can (self->host, kind))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "the host of '%s' has no %s functions", self->host_name, kinds[kind]);
      return FALSE;
    }

  *function = self->funcs->resolve (self->host, name, kind, &own_error);
  if (*function != 0)
    return TRUE;

  /* A host written in another language may fail without saying why. */
  if (own_error == NULL)
    g_set_error (&own_error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "finding the function '%s' failed without saying why",
                 name);
  g_propagate_error (error, g_steal_pointer (&own_error));
  return FALSE;
}

static void
resolve_declared (AfrpcSession  *self,
                  AfrpcFunction *function,
                  const char    *name)
{
  const AfrpcFunctionKind kind =
    self->job.backend == AFRPC_BACKEND_ASYNC ? AFRPC_FUNCTION_ASYNC : AFRPC_FUNCTION_SYNC;

  if (strlen (name) > AFRPC_FUNCTION_NAME_MAX)
    g_set_error (&function->error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "a function with a name of more than %u bytes",
                 AFRPC_FUNCTION_NAME_MAX);
  else if (afrpc_functions_resolve (self, name, kind, &function->id, &function->error))
    {
      function->name = g_strdup (name);
      function->args_type = g_strdup (self->funcs->get_args_type (self->host, function->id));
    }
}

/* Finds a function, for all calls of that number. That it cannot be found is a failure of those: FALSE is for a parent
 * that breaks the protocol. */
gboolean
afrpc_functions_declare (AfrpcSession  *self,
                         guint64        number,
                         const char    *name,
                         GError       **error)
{
  AfrpcFunction function = { 0 };

  if (number > AFRPC_FRAME_FUNCTION_MAX ||
      (number < self->functions->len && g_array_index (self->functions, AfrpcFunction, number).is_declared))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL,
                   "function %" G_GUINT64_FORMAT " is declared twice, or above the limit of %u", number,
                   AFRPC_FRAME_FUNCTION_MAX);
      return FALSE;
    }

  if (number >= self->functions->len)
    g_array_set_size (self->functions, number + 1);
  /* The host may run a main loop, where others are declared. */
  g_array_index (self->functions, AfrpcFunction, number).is_declared = TRUE;
  function.is_declared = TRUE;
  resolve_declared (self, &function, name);
  g_array_index (self->functions, AfrpcFunction, number) = function;

  return TRUE;
}

/* Whether the program wants to hear of arguments that are not of the very type: see docs/calls.md. */
static gboolean
is_exact (const AfrpcServedCall *call)
{
  gboolean exact = FALSE;

  return call->metadata != NULL && g_variant_lookup (call->metadata, "afrpc.exact", "b", &exact) && exact;
}

/* Has the arguments of a call be of the type that its function has declared. */
gboolean
afrpc_functions_fit (const AfrpcSession     *self,
                     const AfrpcServedCall  *call,
                     GVariant              **args, /* (inout) (transfer full) */
                     GError                **error)
{
  const AfrpcFunction *function = &g_array_index (self->functions, AfrpcFunction, call->function);
  g_autoptr(GVariant) fitted = NULL;

  /* Nearly always it is that very type, which is sooner seen than whether it is one of that kind. */
  if (G_LIKELY (function->args_type == NULL || strcmp (g_variant_get_type_string (*args), function->args_type) == 0 ||
                g_variant_is_of_type (*args, G_VARIANT_TYPE (function->args_type))))
    return TRUE;

  fitted = afrpc_fit (*args, G_VARIANT_TYPE (function->args_type), error);
  if (fitted == NULL)
    {
      g_prefix_error (error, "'%s' ", function->name);
      return FALSE;
    }
  if (is_exact (call))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS, "'%s' takes %s, not %s", function->name,
                   function->args_type, g_variant_get_type_string (*args));
      return FALSE;
    }

  g_variant_unref (*args);
  *args = g_steal_pointer (&fitted);

  return TRUE;
}

/* FALSE with an error if there is no such function. */
gboolean
afrpc_functions_check (AfrpcSession  *self,
                       guint16        number,
                       GError       **error)
{
  const AfrpcFunction *function =
    number < self->functions->len ? &g_array_index (self->functions, AfrpcFunction, number) : NULL;

  if (function != NULL && function->error != NULL)
    g_propagate_error (error, g_error_copy (function->error));
  else if (function == NULL || function->id == 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "function %u has not been declared", number);
  else
    return TRUE;

  return FALSE;
}
