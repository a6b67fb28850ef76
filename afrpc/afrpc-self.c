/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-self.h"

#include <stdlib.h>

#include "afrpc-error.h"
#include "os/afrpc-fork-lock.h"
#include "peer/afrpc-self-private.h"
#include "afrpc-host-native-private.h"

/* What the program says of one of its functions. */
typedef struct
{
  char *name;
  gpointer symbol;
  AfrpcFunctionInfo info;
} Registered;

static AfrpcForkLock lock;
static GArray *registered; /* (element-type Registered) guarded by lock, never freed */

#define AFRPC_TYPE_HOST_SELF (afrpc_host_self_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcHostSelf, afrpc_host_self, AFRPC, HOST_SELF, AfrpcHostNative)

struct _AfrpcHostSelf
{
  AfrpcHostNative parent_instance;
};

G_DEFINE_FINAL_TYPE (AfrpcHostSelf, afrpc_host_self, AFRPC_TYPE_HOST_NATIVE)

static guint
afrpc_host_self_resolve (AfrpcHost          *host,
                         const char         *name,
                         AfrpcFunctionKind   kind,
                         GError            **error)
{
  for (guint i = 0; registered != NULL && i < registered->len; i++)
    {
      const Registered *function = &g_array_index (registered, Registered, i);

      if (g_str_equal (function->name, name))
        return afrpc_host_native_add (AFRPC_HOST_NATIVE (host), name, "the program", function->symbol, &function->info,
                                      kind, error);
    }

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "the program has not registered a function '%s'", name);
  return 0;
}

static void
afrpc_host_self_class_init (AfrpcHostSelfClass *klass)
{
  AFRPC_HOST_CLASS (klass)->resolve = afrpc_host_self_resolve;
}

static void
afrpc_host_self_init (AfrpcHostSelf *self)
{
}

static int
serve (void)
{
  g_autoptr(AfrpcHost) host = g_object_new (AFRPC_TYPE_HOST_SELF, "name", AFRPC_SELF_HOST, NULL);

  return afrpc_host_serve (host);
}

/**
 * afrpc_register_function: (skip)
 * @name: the function's name
 * @kind: what it is used for, which decides its signature: %AFRPC_FUNCTION_SYNC is an
 *   [callback@Afrpc.SyncFunction], and so on
 * @function: the function
 * @args_type: (nullable): the type string of its arguments, or %NULL for any
 *
 * Names a function of the program, for workers that are the program itself.
 *
 * To be called before [func@Afrpc.init_early].
 *
 * Since: 1.0
 */
void
afrpc_register_function (const char        *name,
                         AfrpcFunctionKind  kind,
                         GCallback          function,
                         const char        *args_type)
{
  Registered entry = { .symbol = (gpointer) function, .info.kind = kind };

  g_return_if_fail (name != NULL);
  g_return_if_fail (function != NULL);

  entry.name = g_strdup (name);
  entry.info.args_type = g_strdup (args_type);

  afrpc_fork_lock_lock (&lock);
  if (registered == NULL)
    registered = g_array_new (FALSE, FALSE, sizeof (Registered));
  g_array_append_val (registered, entry);
  afrpc_fork_lock_unlock (&lock);
}

/**
 * afrpc_init_early: (skip)
 * @argc: (inout): the number of the program's arguments
 * @argv: (inout): the program's arguments
 *
 * Lets the program be its own worker: see [ctor@Afrpc.Process.new_self].
 *
 * To be called at the top of `main ()`, after [func@Afrpc.register_function] and before anything that starts
 * threads or opens files. It forks the program as it is then, to be the template of workers. If the program was
 * executed to be a worker, it serves and does not return.
 *
 * The program may be linked statically, and its file may be stripped, and renamed or deleted while it runs. A
 * program with a graphical toolkit calls this before it initialises the toolkit.
 *
 * A program that runs with the rights of another, such as one with the set-user-ID bit, is only forked to be its own worker,
 * and not executed, since everybody could have that do what he likes.
 *
 * Since: 1.0
 */
void
afrpc_init_early (int    *argc,
                  char ***argv)
{
  /* Whoever can have a program run with the rights of another does not call its functions. */
  const gboolean is_worker = secure_getenv (AFRPC_SELF_ENV) != NULL;

  g_unsetenv (AFRPC_SELF_ENV);
  if (is_worker)
    {
      afrpc_self_set_ready (); /* for workers of its own */
      exit (serve ());
    }

  afrpc_self_fork_template (serve);
}
