// SPDX-License-Identifier: LGPL-2.1-or-later

// A module in C++, which says of its functions what one in C does; also where somebody is careful.
#include <afrpc/afrpc.h>

#include <string>

#ifdef IN_EXTERN_C
extern "C" {
#endif

AFRPC_FUNCTION (greet, "(s)")
AFRPC_ASYNC_FUNCTION (greet_async, "(s)")
AFRPC_EXPORT gboolean set_up (AfrpcWorker *worker, GVariant *args, GError **error);

#ifdef IN_EXTERN_C
}
#endif

static std::string greeting;

gboolean
set_up (AfrpcWorker *, GVariant *, GError **)
{
  greeting = "Hello";

  return TRUE;
}

static GVariant *
make (GVariant *args)
{
  const char *name;

  g_variant_get (args, "(&s)", &name);

  return g_variant_new_string ((greeting + ", " + name + "!").c_str ());
}

GVariant *
greet (AfrpcWorker *, GVariant *args, GError **)
{
  return make (args);
}

void
greet_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, make (afrpc_invocation_get_args (invocation)));
}
