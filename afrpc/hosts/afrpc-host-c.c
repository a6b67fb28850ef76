/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of workers in C and Vala: modules are shared objects, functions are their symbols. Linked
 * without GIO, which comes only with a module that uses it. */
#include "config.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "afrpc/afrpc-host-native-private.h"
#include "afrpc/serve/afrpc-other-host.h"
#include "afrpc/hosts/afrpc-symbols.h"

typedef struct
{
  char *file;
  AfrpcSymbols symbols;
  gboolean is_incomplete; /* not everything that it calls was there when it was loaded */
} Module;

static void
module_clear (Module *module)
{
  g_free (module->file);
}

#define AFRPC_TYPE_HOST_C (afrpc_host_c_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcHostC, afrpc_host_c, AFRPC, HOST_C, AfrpcHostNative)

struct _AfrpcHostC
{
  AfrpcHostNative parent_instance;

  GArray *modules; /* (element-type Module) in the order in which they were required */
};

G_DEFINE_FINAL_TYPE (AfrpcHostC, afrpc_host_c, AFRPC_TYPE_HOST_NATIVE)

/* Returns: (nullable): the file of a module that is asked for by name. */
static char *
find_module (const char *name)
{
  /* Whoever can have a program run with the rights of another does not choose what that loads. */
  const char *env = secure_getenv ("AFRPC_MODULE_PATH");
  g_autofree char *path = g_strdup_printf ("%s:%s", env != NULL ? env : "", AFRPC_MODULEDIR);
  g_auto(GStrv) dirs = g_strsplit (path, ":", -1);

  for (char **dir = dirs; *dir != NULL; dir++)
    {
      if (**dir == '\0')
        continue;

      for (guint with_lib = 0; with_lib <= 1; with_lib++)
        {
          g_autofree char *file = g_strdup_printf ("%s/%s%s.so", *dir, with_lib ? "lib" : "", name);

          if (g_file_test (file, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer (&file);
        }
    }

  return NULL;
}

/* What may be meant by a module that is not found, or cannot be loaded: "" if nothing is known. */
static char *
make_hint (const char *module)
{
  static const char *const sources[] = { ".c", ".cc", ".cpp", ".cxx", ".vala" };
  g_autoptr(GString) hint = g_string_new (NULL);
  g_autofree char *lower = g_ascii_strdown (module, -1);
  const char *other = afrpc_find_other_host (module, "c");

  if (strchr (module, '/') == NULL && g_file_test (module, G_FILE_TEST_IS_REGULAR))
    g_string_append_printf (hint, "; the path of a file has a slash in it: './%s'", module);
  if (other != NULL)
    g_string_append_printf (hint, "; a module for the host '%s'?", other);
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    if (g_str_has_suffix (lower, sources[i]))
      g_string_append (hint, "; that is source: compile it");

  return g_string_free (g_steal_pointer (&hint), FALSE);
}

static gboolean
afrpc_host_c_require (AfrpcHost   *host,
                      const char  *module,
                      GError     **error)
{
  AfrpcHostC *self = AFRPC_HOST_C (host);
  g_autofree char *file = NULL;
  g_autofree char *hint = NULL;
  Module entry;
  void *loaded;

  if (strchr (module, '/') != NULL)
    file = g_strdup (module);
  else
    file = find_module (module);
  if (file == NULL)
    {
      hint = make_hint (module);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE,
                   "there is no module '%s': no '%s.so' or 'lib%s.so' in AFRPC_MODULE_PATH or %s%s",
                   module, module, module, AFRPC_MODULEDIR, hint);
      return FALSE;
    }

  /* Types and quarks that it registers cannot be taken back: it stays. Bound at once, or each process that is
   * forked from this one would do it again; what cannot be resolved yet may come with another module. */
  loaded = dlopen (file, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  entry.is_incomplete = loaded == NULL;
  if (loaded == NULL)
    loaded = dlopen (file, RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE);
  if (loaded == NULL || !afrpc_symbols_init (&entry.symbols, loaded))
    {
      hint = make_hint (module);
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE,
                   "the module '%s' cannot be loaded: %s%s", module, dlerror (), hint);
      return FALSE;
    }
  entry.file = g_steal_pointer (&file);
  g_array_append_val (self->modules, entry);

  return TRUE;
}

/* Whether all that a module calls is there by now: calling what is not would end the process. */
static gboolean
check_complete (Module  *module,
                GError **error)
{
  const char *missing = module->is_incomplete ? afrpc_symbols_find_missing (&module->symbols) : NULL;

  module->is_incomplete = missing != NULL;
  if (missing == NULL)
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE,
               "the module '%s' calls '%s', which it is not linked with, nor has any other module", module->file, missing);
  return FALSE;
}

static guint
afrpc_host_c_resolve (AfrpcHost          *host,
                      const char         *name,
                      AfrpcFunctionKind   kind,
                      GError            **error)
{
  AfrpcHostC *self = AFRPC_HOST_C (host);
  g_autofree char *info_name = g_strconcat ("afrpc_info_", name, NULL);

  for (guint i = 0; i < self->modules->len; i++)
    {
      Module *module = &g_array_index (self->modules, Module, i);
      gboolean is_data;
      gpointer symbol = afrpc_symbols_find_function (&module->symbols, name, &is_data);
      g_autofree char *place = NULL;

      if (symbol == NULL)
        continue;
      if (is_data)
        {
          g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "'%s' in '%s' is a variable, and no function", name,
                       module->file);
          return 0;
        }
      if (!check_complete (module, error))
        return 0;

      /* Without printf(), which costs a forked process more than the search. */
      place = g_strconcat ("'", module->file, "'", NULL);
      return afrpc_host_native_add (AFRPC_HOST_NATIVE (self), name, place, symbol,
                                    afrpc_symbols_find (&module->symbols, info_name), kind, error);
    }

  if (self->modules->len == 0)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "there is no function '%s', and no module was loaded", name);
  else
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "there is no function '%s' in %s", name,
                 self->modules->len == 1 ? g_array_index (self->modules, Module, 0).file
                                         : "the modules that were loaded");
  return 0;
}

static void
afrpc_host_c_finalize (GObject *object)
{
  AfrpcHostC *self = AFRPC_HOST_C (object);

  g_clear_pointer (&self->modules, g_array_unref);

  G_OBJECT_CLASS (afrpc_host_c_parent_class)->finalize (object);
}

static void
afrpc_host_c_class_init (AfrpcHostCClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_host_c_finalize;
  host_class->require = afrpc_host_c_require;
  host_class->resolve = afrpc_host_c_resolve;
}

static void
afrpc_host_c_init (AfrpcHostC *self)
{
  self->modules = g_array_new (FALSE, FALSE, sizeof (Module));
  g_array_set_clear_func (self->modules, (GDestroyNotify) module_clear);
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr(AfrpcHost) host = g_object_new (AFRPC_TYPE_HOST_C, "name", "c", NULL);

  return afrpc_host_serve (host);
}
