/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of workers in Perl, as they are written for AnyEvent::Fork and AnyEvent::Fork::RPC. */
#include "config.h"

#include <string.h>

#include "afrpc-perl-api.h"
#include "afrpc-perl-loop.h"
#include "afrpc-perl-orphan.h"
#include "afrpc-perl-title.h"
#include "afrpc-perl-value.h"
#include "afrpc/serve/afrpc-other-host.h"

#define AFRPC_TYPE_HOST_PERL (afrpc_host_perl_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcHostPerl, afrpc_host_perl, AFRPC, HOST_PERL, AfrpcHost)

#define EXIT_DIED 255 /* of a program that dies */

struct _AfrpcHostPerl
{
  AfrpcHost parent_instance;

  GPtrArray *functions; /* (element-type SV) code references; a function's number is its index plus 1 */
  gboolean has_failed;  /* the function that has taken the process over */
};

G_DEFINE_FINAL_TYPE (AfrpcHostPerl, afrpc_host_perl, AFRPC_TYPE_HOST)

static SV *
get_function (AfrpcHost *host,
              guint      number)
{
  return AFRPC_HOST_PERL (host)->functions->pdata[number - 1];
}

/* Returns: (nullable): the file of a module by its name, or NULL if that is none */
static char *
get_file (const char *module)
{
  g_autoptr(GString) file = g_string_new (NULL);

  if (g_ascii_isdigit (*module))
    return NULL;

  for (;;)
    {
      const gsize length = strspn (module, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_");

      if (length == 0)
        return NULL;
      g_string_append_len (file, module, length);
      module += length;
      if (*module == '\0')
        break;

      if (*module != '\'' && !g_str_has_prefix (module, "::"))
        return NULL;
      g_string_append_c (file, '/');
      module += *module == ':' ? 2 : 1;
    }

  return g_string_free (g_string_append (g_steal_pointer (&file), ".pm"), FALSE);
}

/* Whether that is a file of this folder, which Perl does not look into. */
static gboolean
is_missed_file (const char   *module,
                const GError *error)
{
  g_autofree char *missed = g_strdup_printf ("Can't locate %s in @INC", module);

  return strchr (module, '/') == NULL && g_str_has_prefix (error->message, missed) &&
         g_file_test (module, G_FILE_TEST_IS_REGULAR);
}

/* Returns: (transfer full): what may be meant by a module that cannot be loaded: "" if nothing is known */
static char *
make_hint (const char *module)
{
  const char *other = afrpc_find_other_host (module, "perl");

  return other != NULL ? g_strdup_printf (" (a module for the host '%s'?)", other) : g_strdup ("");
}

static gboolean
afrpc_host_perl_require (AfrpcHost   *host,
                         const char  *module,
                         GError     **error)
{
  dTHX;
  g_autofree char *file = strpbrk (module, "/.") != NULL ? g_strdup (module) : get_file (module);
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::load") };
  g_autoptr(GError) failure = NULL;
  g_autofree char *hint = NULL;

  if (file == NULL)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE, "'%s' is no name of a module", module);
      return FALSE;
    }

  afrpc_perl_prepare ();
  call.args[0] = newSVpv (file, 0);
  if (afrpc_perl_call (&call, AFRPC_ERROR_MODULE, &failure))
    return TRUE;

  if (is_missed_file (module, failure))
    g_prefix_error (&failure, "the path of a file has a slash in it: './%s'; ", module);
  hint = make_hint (module);
  g_propagate_prefixed_error (error, g_steal_pointer (&failure), "the module '%s' cannot be loaded%s: ", module, hint);
  return FALSE;
}

static gboolean
afrpc_host_perl_eval (AfrpcHost   *host,
                      const char  *code,
                      GVariant    *args,
                      GError     **error)
{
  dTHX;
  AfrpcPerlCall call = {
    .code = afrpc_perl_function ("Afrpc::Perl::evaluate"), .args = { newSVpv (code, 0) }, .tuple = args
  };

  afrpc_perl_prepare ();

  return afrpc_perl_call (&call, AFRPC_ERROR_MODULE, error);
}

static guint
afrpc_host_perl_resolve (AfrpcHost          *host,
                         const char         *name,
                         AfrpcFunctionKind   kind,
                         GError            **error)
{
  AfrpcHostPerl *self = AFRPC_HOST_PERL (host);
  SV *function = afrpc_perl_find (name);

  afrpc_perl_prepare ();
  if (function == NULL)
    {
      g_autofree char *others = afrpc_perl_suggest (name);
      g_autofree char *hint = others != NULL ? g_strdup_printf (": did you mean %s?", others) : NULL;

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FUNCTION, "there is no function '%s'%s", name,
                   hint != NULL ? hint : strstr (name, "::") != NULL ? "" :
                     " in package main; those of another one are called by their full names, as 'Module::function'");
      return 0;
    }

  if (kind == AFRPC_FUNCTION_ASYNC)
    {
      AfrpcPerlCall offer = { .code = afrpc_perl_function ("Afrpc::Perl::offer_anyevent") };

      afrpc_perl_call (&offer, AFRPC_PERL_EXCEPTION, NULL);
      afrpc_perl_loop_join ();
    }

  if (kind != AFRPC_FUNCTION_INIT && kind != AFRPC_FUNCTION_DONE)
    afrpc_perl_title_name (name);
  g_ptr_array_add (self->functions, function);
  return self->functions->len;
}

static GVariant *
afrpc_host_perl_call (AfrpcHost    *host,
                      guint         number,
                      AfrpcWorker  *worker,
                      GVariant     *args,
                      GError      **error)
{
  return afrpc_perl_call_sync (get_function (host, number), args, error);
}

static void
afrpc_host_perl_invoke (AfrpcHost       *host,
                        guint            number,
                        AfrpcInvocation *invocation)
{
  afrpc_perl_invoke (get_function (host, number), invocation);
}

/* What was sent to the process, in its order: strings and handles. */
static AV *
get_start_args (pTHX_
                AfrpcWorker  *worker,
                GError      **error)
{
  GVariant *args = afrpc_worker_get_args (worker);
  AV *list = newAV ();
  guint n_fds = afrpc_worker_get_n_fds (worker), fd = 0;

  for (gsize i = 0; i <= g_variant_n_children (args); i++)
    {
      for (; fd < n_fds && afrpc_worker_get_fd_position (worker, fd) <= i; fd++)
        {
          SV *handle = afrpc_perl_open (afrpc_worker_steal_fd (worker, fd), error);

          if (handle == NULL)
            {
              SvREFCNT_dec ((SV *) list);
              return NULL;
            }
          av_push (list, handle);
        }

      if (i < g_variant_n_children (args))
        {
          g_autoptr(GVariant) arg = g_variant_get_child_value (args, i);

          av_push (list, afrpc_perl_unpack (aTHX_ arg));
        }
    }

  return list;
}

static gboolean
afrpc_host_perl_init_function (AfrpcHost    *host,
                               guint         number,
                               AfrpcWorker  *worker,
                               GError      **error)
{
  dTHX;
  AfrpcPerlCall call = { .code = get_function (host, number), .list = get_start_args (aTHX_ worker, error) };
  gboolean ok;

  if (call.list == NULL)
    return FALSE;
  if (afrpc_worker_get_function (worker) != NULL)
    afrpc_perl_title_name (afrpc_worker_get_function (worker));
  ok = afrpc_perl_call (&call, AFRPC_ERROR_INIT, error);
  SvREFCNT_dec ((SV *) call.list);

  return ok;
}

static void
afrpc_host_perl_done (AfrpcHost   *host,
                      guint        number,
                      AfrpcWorker *worker)
{
  AfrpcPerlCall call = { .code = get_function (host, number) };
  g_autoptr(GError) error = NULL;

  afrpc_perl_set_serving ();
  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, &error))
    g_printerr ("afrpc-host-perl: %s\n", error->message);
}

static void
afrpc_host_perl_run (AfrpcHost   *host,
                     guint        number,
                     AfrpcWorker *worker,
                     int          fd)
{
  dTHX;
  g_autoptr(GError) error = NULL;
  AfrpcPerlCall call = { .code = get_function (host, number), .args = { afrpc_perl_open (fd, &error) } };

  if (call.args[0] != NULL)
    call.list = get_start_args (aTHX_ worker, &error);
  if (call.list == NULL || !afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, &error))
    {
      g_printerr ("afrpc-host-perl: %s\n", error->message);
      AFRPC_HOST_PERL (host)->has_failed = TRUE;
    }
  SvREFCNT_dec ((SV *) call.list);
}

static int
afrpc_host_perl_fork (AfrpcHost  *host,
                      GError    **error)
{
  int pid;

  afrpc_perl_prepare_fork ();
  pid = AFRPC_HOST_CLASS (afrpc_host_perl_parent_class)->fork (host, error);
  if (pid == 0)
    afrpc_perl_forked ();

  return pid;
}

static void
afrpc_host_perl_wait (AfrpcHost *host,
                      int        fd)
{
  afrpc_perl_set_serving ();
  afrpc_perl_loop_wait (fd);
}

static int
afrpc_host_perl_end (AfrpcHost *host,
                     int        status)
{
  return afrpc_perl_end (AFRPC_HOST_PERL (host)->has_failed ? EXIT_DIED : status);
}

static void
afrpc_host_perl_finalize (GObject *object)
{
  /* The functions are Perl's, which has ended. */
  g_ptr_array_unref (AFRPC_HOST_PERL (object)->functions);

  G_OBJECT_CLASS (afrpc_host_perl_parent_class)->finalize (object);
}

static void
afrpc_host_perl_class_init (AfrpcHostPerlClass *klass)
{
  AfrpcHostClass *host_class = AFRPC_HOST_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = afrpc_host_perl_finalize;
  host_class->require = afrpc_host_perl_require;
  host_class->eval = afrpc_host_perl_eval;
  host_class->resolve = afrpc_host_perl_resolve;
  host_class->call = afrpc_host_perl_call;
  host_class->invoke = afrpc_host_perl_invoke;
  host_class->init = afrpc_host_perl_init_function;
  host_class->done = afrpc_host_perl_done;
  host_class->run = afrpc_host_perl_run;
  host_class->fork = afrpc_host_perl_fork;
  host_class->end = afrpc_host_perl_end;
  host_class->wait = afrpc_host_perl_wait;
  host_class->orphan_signal = afrpc_perl_orphan_get_signal ();
}

static void
afrpc_host_perl_init (AfrpcHostPerl *self)
{
  self->functions = g_ptr_array_new ();
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr(AfrpcHost) host = g_object_new (AFRPC_TYPE_HOST_PERL, "name", "perl", NULL);

  afrpc_perl_start (host, argc, argv);

  return afrpc_host_serve (host);
}
