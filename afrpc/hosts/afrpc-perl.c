/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afrpc-perl-api.h"
#include "afrpc-perl-orphan.h"
#include "afrpc-perl-title.h"
#include "afrpc-perl-value.h"

#define EXCEPTION_DOMAIN "perl-exception"

/* The first is what every worker has; each of the others is one function. */
static const struct
{
  const char *name;
  const char *code;
} parts[] = {
#include "afrpc-perl-code.h"
};

AfrpcPerl afrpc_perl;

static struct
{
  char **now;            /* environ, as Perl has seen it last */
  char **own;            /* (nullable): the same, if it is our own */
} environment;

EXTERN_C void boot_DynaLoader (pTHX_ CV *cv);

/* Ends the process in the middle of a call: what Perl's exit leads to. */
static void G_GNUC_NORETURN
leave (pTHX)
{
  int status;

  if (!afrpc_perl.is_stray && afrpc_host_get_worker (afrpc_perl.host) != NULL)
    afrpc_worker_flush (afrpc_host_get_worker (afrpc_perl.host));
  status = afrpc_perl_end (STATUS_EXIT);
  if (!afrpc_perl.is_stray && !afrpc_perl.is_forked)
    exit (status);
  if (!afrpc_perl.is_stray)
    afrpc_worker_exit (afrpc_host_get_worker (afrpc_perl.host), status);

  /* What else there is to do at an exit is somebody else's. */
  fflush (NULL);
  _exit (status);
}

/* A message for people: text, whatever it is made of, without its newline. */
static char *
make_message (pTHX_
              SV *sv)
{
  STRLEN length;
  const char *octets = SvPV_nomg (sv, length);

  if (!SvUTF8 (sv) && !g_utf8_validate_len (octets, length, NULL) && memchr (octets, '\0', length) == NULL)
    {
      sv = sv_2mortal (newSVpvn (octets, length));
      sv_utf8_upgrade (sv);
      octets = SvPV_nomg (sv, length);
    }
  if (length > 0 && octets[length - 1] == '\n')
    length--;

  return g_utf8_make_valid (octets, length);
}

/* Takes what a die has left behind, if anything has died. */
gboolean
afrpc_perl_check_died (pTHX_
                       int      code,
                       GError **error)
{
  SV *died = ERRSV;
  g_autofree char *message = NULL;

  if (!SvROK (died) && !(SvPOK (died) && SvCUR (died) > 0))
    return FALSE;

  if (error == NULL)
    return TRUE;

  died = sv_mortalcopy (died);
  if (SvROK (died))
    {
      SV *text = afrpc_perl_text (died);

      died = text != NULL ? sv_2mortal (text) : sv_2mortal (newSVpvf ("an object of class %s",
                                                                      sv_reftype (SvRV (died), TRUE)));
    }
  message = make_message (aTHX_ died);
  if (code == AFRPC_PERL_EXCEPTION)
    g_set_error_literal (error, g_quark_from_static_string (EXCEPTION_DOMAIN), 0, message);
  else
    g_set_error_literal (error, AFRPC_ERROR, code, message);

  return TRUE;
}

static gboolean
push_arguments (pTHX_
                const AfrpcPerlCall  *call,
                GError              **error)
{
  dSP;

  for (guint i = 0; i < G_N_ELEMENTS (call->args) && call->args[i] != NULL; i++)
    XPUSHs (sv_2mortal (call->args[i]));
  for (SSize_t i = 0; i < call->n; i++)
    XPUSHs (PL_stack_base[call->first + i]);
  for (SSize_t i = 0; call->list != NULL && i <= av_len (call->list); i++)
    XPUSHs (sv_mortalcopy (*av_fetch (call->list, i, FALSE)));
  PUTBACK;

  return call->tuple == NULL || afrpc_perl_push (aTHX_ call->tuple, error);
}

/* Calls, with the arguments that lie on the stack. */
static gboolean
call_pushed (pTHX_
             AfrpcPerlCall  *call,
             int             code,
             GError        **error)
{
  const I32 flags = call->value != NULL ? G_LIST : call->scalar != NULL ? G_SCALAR : G_VOID;
  gboolean ok = TRUE;
  SSize_t n;
  dSP;

  if (call->from != NULL)
    {
      SAVEVPTR (PL_curcop);
      PL_curcop = call->from;
    }
  n = call_sv (call->code, flags | G_EVAL);
  SPAGAIN;
  if (afrpc_perl_check_died (aTHX_ code, error))
    ok = FALSE;
  else if (call->value != NULL)
    {
      *call->value = afrpc_perl_pack_list (aTHX_ SP - PL_stack_base - n + 1, n, error);
      SPAGAIN;
      ok = *call->value != NULL;
    }
  else if (call->scalar != NULL)
    *call->scalar = newSVsv (*SP);
  SP -= n;
  PUTBACK;

  return ok;
}

static gboolean
call_inside (pTHX_
             AfrpcPerlCall  *call,
             int             code,
             GError        **error)
{
  const SSize_t before = PL_stack_sp - PL_stack_base;
  gboolean ok;
  dSP;

  ENTER;
  SAVETMPS;
  /* What the host calls in the middle of a function leaves $@ alone. */
  if (call->from == NULL)
    save_scalar (PL_errgv);
  PUSHMARK (SP);
  ok = push_arguments (aTHX_ call, error);
  if (ok)
    ok = call_pushed (aTHX_ call, code, error);
  else
    {
      (void) POPMARK;
      PL_stack_sp = PL_stack_base + before;
    }
  FREETMPS;
  LEAVE;

  return ok;
}

/* Calls Perl. What it dies of becomes an error with @code. */
gboolean
afrpc_perl_call (AfrpcPerlCall  *call,
                 int             code,
                 GError        **error)
{
  dTHXa (afrpc_perl.interpreter);
  gboolean ok = FALSE;
  int jump;
  dJMPENV;

  JMPENV_PUSH (jump);
  if (jump == 0)
    {
      ok = call_inside (aTHX_ call, code, error);
      JMPENV_POP;
      /* Its function should have ended it. */
      if (afrpc_perl.is_stray)
        leave (aTHX);
      return ok;
    }

  JMPENV_POP;
  while (PL_scopestack_ix > 1)
    LEAVE;
  leave (aTHX);
}

static CV *
get_defined (pTHX_
             const char *name)
{
  CV *cv = get_cv (name, 0);

  return cv != NULL && (CvROOT (cv) != NULL || CvXSUB (cv) != NULL) ? cv : NULL;
}

/* Returns: (transfer none): a function of the host's own, which is compiled at its first use */
SV *
afrpc_perl_function (const char *name)
{
  dTHXa (afrpc_perl.interpreter);

  for (guint i = 1; get_defined (aTHX_ name) == NULL && i < G_N_ELEMENTS (parts); i++)
    if (strcmp (parts[i].name, name) == 0)
      {
        ENTER;
        save_scalar (PL_errgv);
        eval_pv (parts[i].code, TRUE);
        LEAVE;
      }

  return (SV *) get_defined (aTHX_ name);
}

/* Returns: (nullable): a new reference to a worker's function. One that may be defined later, by AUTOLOAD, counts. */
SV *
afrpc_perl_find (const char *name)
{
  dTHXa (afrpc_perl.interpreter);
  g_autofree char *full = strstr (name, "::") != NULL ? g_strdup (name) : g_strconcat ("main::", name, NULL);
  g_autofree char *autoload = g_strdup_printf ("%.*s::AUTOLOAD", (int) (g_strrstr (full, "::") - full), full);

  if (get_defined (aTHX_ full) == NULL && get_defined (aTHX_ autoload) == NULL)
    return NULL;

  return newRV_inc ((SV *) get_cv (full, GV_ADD));
}

/* Returns: (nullable): a new scalar */
static SV *
convert (const char *function,
         SV         *sv)
{
  dTHXa (afrpc_perl.interpreter);
  SV *scalar = NULL;
  AfrpcPerlCall call = { .code = afrpc_perl_function (function), .args = { SvREFCNT_inc (sv) }, .scalar = &scalar };

  afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);

  return scalar;
}

/* Returns: (nullable): new words that name the functions which @name may have been meant for */
char *
afrpc_perl_suggest (const char *name)
{
  dTHXa (afrpc_perl.interpreter);
  SV *found = NULL;
  AfrpcPerlCall call = {
    .code = afrpc_perl_function ("Afrpc::Perl::suggest"), .args = { newSVpv (name, 0) }, .scalar = &found
  };
  char *words = NULL;

  if (afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL) && found != NULL && SvTRUE (found))
    words = g_strdup (SvPV_nolen (found));
  SvREFCNT_dec (found);

  return words;
}

/* What an object is as a string. */
SV *
afrpc_perl_text (SV *sv)
{
  return convert ("Afrpc::Perl::text", sv);
}

/* A copy without magic. */
SV *
afrpc_perl_plain (SV *sv)
{
  return convert ("Afrpc::Perl::plain", sv);
}

/* Returns: (nullable): a new handle, which has the file descriptor */
SV *
afrpc_perl_open (int      fd,
                 GError **error)
{
  dTHXa (afrpc_perl.interpreter);
  SV *handle = NULL;
  AfrpcPerlCall call = {
    .code = afrpc_perl_function ("Afrpc::Perl::handle"), .args = { newSViv (fd) }, .scalar = &handle
  };

  return afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, error) ? handle : NULL;
}

static void
init_extensions (pTHX)
{
  newXS ("DynaLoader::boot_DynaLoader", boot_DynaLoader, __FILE__);
  afrpc_perl_define_api (aTHX);
}

/* Of libc's fork (), which Perl's calls; what afrpc forks later does not come here. */
static void
stray_cb (void)
{
  afrpc_perl.is_stray = TRUE;
}

void
afrpc_perl_start (AfrpcHost  *host,
                  int         argc,
                  char      **argv)
{
  /* All this is overwritten by an assignment to $0. */
  static char name[] = "afrpc-host-perl", option[] = "-e", program[] = "0";
  static char *own_argv[] = { name, option, program, NULL };
  char **perl_argv = own_argv;
  int perl_argc = 3;
  AfrpcPerlCall call;

  afrpc_perl_title_init (argc, argv);
  PERL_SYS_INIT3 (&perl_argc, &perl_argv, &environ);
  afrpc_perl.host = host;
  afrpc_perl.interpreter = perl_alloc ();
  PERL_SET_CONTEXT (afrpc_perl.interpreter);
  {
    dTHXa (afrpc_perl.interpreter);

    perl_construct (my_perl);
    PL_exit_flags |= PERL_EXIT_DESTRUCT_END;
    if (perl_parse (my_perl, init_extensions, perl_argc, perl_argv, NULL) != 0)
      exit (1);
    perl_run (my_perl);
    eval_pv (parts[0].code, TRUE);
    afrpc_perl_title_tie (aTHX);
    afrpc_perl_orphan_watch (aTHX);
    call = (AfrpcPerlCall) { .code = afrpc_perl_function ("Afrpc::Perl::start"), .args = { newSVpvs (AFRPC_PERL) } };
    afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);
    cv_undef ((CV *) call.code);
  }
  environment.now = environ;
}

/* Runs END blocks and destructors, and writes what files have buffered. Perl cannot be called afterwards. Its
 * memory is not freed: the process exits. */
int
afrpc_perl_end (int status)
{
  dTHXa (afrpc_perl.interpreter);

  afrpc_perl.is_ending = TRUE;
  afrpc_perl_orphan_leave ();
  STATUS_EXIT_SET (status);

  return perl_destruct (my_perl);
}

/* Or the new process would write what is in buffers, too. */
void
afrpc_perl_prepare_fork (void)
{
  dTHXa (afrpc_perl.interpreter);

  /* What is compiled now is shared. */
  for (guint i = 1; i < G_N_ELEMENTS (parts); i++)
    afrpc_perl_function (parts[i].name);
  PERL_FLUSHALL_FOR_CHILD;
}

void
afrpc_perl_forked (void)
{
  dTHXa (afrpc_perl.interpreter);
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::forked") };
  g_autoptr(GError) error = NULL;

  afrpc_perl.is_forked = TRUE;
  afrpc_perl.is_stray = FALSE;
  /* Or all processes from one template would draw the same numbers. */
  PL_srand_called = FALSE;
  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, &error))
    g_printerr ("afrpc-host-perl: %s\n", error->message);
}

/* %ENV is made when Perl starts; a process gets its environment later. */
static void
renew_environment (void)
{
  dTHXa (afrpc_perl.interpreter);
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::renew_environment"), .list = newAV () };

  for (char **variable = environ; variable != NULL && *variable != NULL; variable++)
    {
      const char *equals = strchr (*variable, '=');

      if (equals == NULL)
        continue;
      av_push (call.list, newSVpvn (*variable, equals - *variable));
      av_push (call.list, newSVpv (equals + 1, 0));
    }
  afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);
  SvREFCNT_dec ((SV *) call.list);

  /* An array of the C library's would be freed with clearenv (), and the next one could lie at its place. */
  g_free (environment.own);
  environment.own = environ != NULL ? g_memdup2 (environ, (g_strv_length (environ) + 1) * sizeof *environ) : NULL;
  environment.now = environ = environment.own;
}

/* To be called before code of the worker's is run: what afrpc has to fork by libc's fork () has been forked. */
void
afrpc_perl_prepare (void)
{
  static gboolean is_watched;

  if (!is_watched)
    pthread_atfork (NULL, NULL, stray_cb);
  is_watched = TRUE;
  if (environ != environment.now)
    renew_environment ();
}
