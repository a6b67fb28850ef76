/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "afrpc-perl-loop.h"
#include "afrpc-perl-value.h"

#define EXCEPTION_DOMAIN "perl-exception"

static const char perl_code[] = {
#include "afrpc-perl-code.h"
  , 0
};

static struct
{
  PerlInterpreter *interpreter;
  AfrpcHost *host;     /* not owned */
  char **environment;  /* environ, as Perl has seen it last */
  char **own_environment; /* (nullable): the same, if it is our own */
  gboolean is_serving; /* events may be sent */
  gboolean is_forked;  /* from a template */
  gboolean is_stray;   /* a worker's function has forked this process */
  gboolean is_ending;
} perl;

EXTERN_C void boot_DynaLoader (pTHX_ CV *cv);

/* Ends the process in the middle of a call: what Perl's exit leads to. */
static void G_GNUC_NORETURN
leave (pTHX)
{
  int status;

  if (!perl.is_stray && afrpc_host_get_worker (perl.host) != NULL)
    afrpc_worker_flush (afrpc_host_get_worker (perl.host));
  status = afrpc_perl_end (STATUS_EXIT);
  if (!perl.is_stray && !perl.is_forked)
    exit (status);

  /* What else there is to do at an exit is somebody else's. */
  fflush (NULL);
  _exit (status);
}

/* Takes what a die has left behind. */
static gboolean
check_died (pTHX_
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
  message = afrpc_perl_message (aTHX_ died);
  if (code == AFRPC_PERL_EXCEPTION)
    g_set_error_literal (error, g_quark_from_static_string (EXCEPTION_DOMAIN), 0, message);
  else
    g_set_error_literal (error, AFRPC_ERROR, code, message);

  return TRUE;
}

static gboolean
call_inside (pTHX_
             AfrpcPerlCall  *call,
             int             code,
             GError        **error)
{
  const I32 flags = call->value != NULL ? G_LIST : call->scalar != NULL ? G_SCALAR : G_VOID;
  gboolean ok = TRUE;
  SSize_t n;
  dSP;

  ENTER;
  SAVETMPS;
  PUSHMARK (SP);
  for (guint i = 0; i < G_N_ELEMENTS (call->args) && call->args[i] != NULL; i++)
    XPUSHs (sv_2mortal (call->args[i]));
  PUTBACK;
  if (call->tuple != NULL)
    afrpc_perl_push (aTHX_ call->tuple);
  SPAGAIN;
  for (SSize_t i = 0; call->list != NULL && i <= av_len (call->list); i++)
    XPUSHs (sv_mortalcopy (*av_fetch (call->list, i, FALSE)));
  PUTBACK;

  n = call_sv (call->code, flags | G_EVAL);
  SPAGAIN;
  if (check_died (aTHX_ code, error))
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
  dTHXa (perl.interpreter);
  gboolean ok = FALSE;
  int jump;
  dJMPENV;

  JMPENV_PUSH (jump);
  if (jump == 0)
    {
      ok = call_inside (aTHX_ call, code, error);
      JMPENV_POP;
      /* Its function should have ended it. */
      if (perl.is_stray)
        leave (aTHX);
      return ok;
    }

  JMPENV_POP;
  while (PL_scopestack_ix > 1)
    LEAVE;
  leave (aTHX);
}

SV *
afrpc_perl_function (const char *name)
{
  dTHXa (perl.interpreter);

  return (SV *) get_cv (name, 0);
}

/* Returns: (nullable): a new scalar */
static SV *
convert (const char *function,
         SV         *sv)
{
  dTHXa (perl.interpreter);
  SV *scalar = NULL;
  AfrpcPerlCall call = { .code = afrpc_perl_function (function), .args = { SvREFCNT_inc (sv) }, .scalar = &scalar };

  afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);

  return scalar;
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

static void G_GNUC_NORETURN
croak_error (pTHX_
             GError *error)
{
  SV *message = sv_2mortal (newSVpv (error->message, 0));

  g_error_free (error);
  croak ("%" SVf, SVfARG (message));
}

XS (xs_event);
XS (xs_event)
{
  dXSARGS;
  GError *error = NULL;
  g_autoptr(GVariant) value = NULL;

  if (!perl.is_serving || perl.is_stray)
    croak ("an event cannot be sent %s", perl.is_stray ? "by a process that a worker has forked"
                                                       : "before the worker's function is called");
  value = afrpc_perl_pack_list (aTHX_ ax, items, &error);
  if (value == NULL)
    croak_error (aTHX_ error);
  afrpc_worker_event (afrpc_host_get_worker (perl.host), value);
  afrpc_perl_loop_wake ();

  XSRETURN_EMPTY;
}

XS (xs_flush);
XS (xs_flush)
{
  dXSARGS;

  PERL_UNUSED_VAR (items);
  if (perl.is_serving && !perl.is_stray)
    afrpc_worker_flush (afrpc_host_get_worker (perl.host));

  XSRETURN_EMPTY;
}

/* Runs the handlers of signals that have arrived. */
XS (xs_handle_signals);
XS (xs_handle_signals)
{
  dXSARGS;

  PERL_UNUSED_VAR (items);
  PERL_ASYNC_CHECK ();

  XSRETURN_EMPTY;
}

/* The callback that an async function answers with. */
XS (xs_done);
XS (xs_done)
{
  dXSARGS;
  AfrpcInvocation *invocation = CvXSUBANY (cv).any_ptr;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  if (perl.is_stray)
    croak ("a call cannot be answered by a process that a worker has forked");
  if (invocation == NULL)
    croak ("the call has been answered before");

  value = afrpc_perl_pack_list (aTHX_ ax, items, &error);
  /* Packing may have called it. */
  invocation = CvXSUBANY (cv).any_ptr;
  CvXSUBANY (cv).any_ptr = NULL;
  if (invocation != NULL && value != NULL)
    afrpc_invocation_return_value (invocation, value);
  else if (invocation != NULL)
    afrpc_invocation_return_error (invocation, error);
  g_clear_object (&invocation);
  afrpc_perl_loop_wake ();

  XSRETURN_EMPTY;
}

/* Nobody can answer any more. At the end, it is the end that says so. */
static int
free_done (pTHX_
           SV    *sv,
           MAGIC *magic)
{
  AfrpcInvocation *invocation = CvXSUBANY ((CV *) sv).any_ptr;

  CvXSUBANY ((CV *) sv).any_ptr = NULL;
  if (invocation != NULL && !perl.is_ending && !perl.is_stray)
    {
      g_object_unref (invocation);
      afrpc_perl_loop_wake ();
    }

  return 0;
}

static MGVTBL done_vtable = { .svt_free = free_done };

/* Calls an async function. If it dies, that answers the call, unless it has been answered. */
void
afrpc_perl_invoke (SV              *code,
                   AfrpcInvocation *invocation)
{
  dTHXa (perl.interpreter);
  CV *done = newXS (NULL, xs_done, __FILE__);
  AfrpcPerlCall call = {
    .code = code, .args = { newRV_inc ((SV *) done) }, .tuple = afrpc_invocation_get_args (invocation)
  };
  g_autoptr(GError) error = NULL;

  CvXSUBANY (done).any_ptr = g_object_ref (invocation);
  sv_magicext ((SV *) done, NULL, PERL_MAGIC_ext, &done_vtable, NULL, 0);

  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, &error))
    {
      g_autoptr(AfrpcInvocation) unanswered = CvXSUBANY (done).any_ptr;

      CvXSUBANY (done).any_ptr = NULL;
      if (unanswered != NULL)
        afrpc_invocation_return_error (unanswered, error);
      else
        g_printerr ("afrpc-host-perl: a function that has answered its call has failed: %s\n", error->message);
    }
  SvREFCNT_dec ((SV *) done);
}

static void
init_extensions (pTHX)
{
  newXS ("DynaLoader::boot_DynaLoader", boot_DynaLoader, __FILE__);
  newXS ("AnyEvent::Fork::RPC::event", xs_event, __FILE__);
  newXS ("AnyEvent::Fork::RPC::flush", xs_flush, __FILE__);
  newXS ("Afrpc::Perl::handle_signals", xs_handle_signals, __FILE__);
}

/* Of libc's fork (), which Perl's calls; afrpc's own may not call it. */
static void
stray_cb (void)
{
  perl.is_stray = TRUE;
}

void
afrpc_perl_start (AfrpcHost  *host,
                  int         argc,
                  char      **argv)
{
  /* All this is overwritten by an assignment to $0. */
  static char option[] = "-e", program[] = "0";
  static char *own_argv[] = { NULL, option, program, NULL };
  char **perl_argv = own_argv;
  int perl_argc = 3;
  AfrpcPerlCall call;

  own_argv[0] = argv[0];
  PERL_SYS_INIT3 (&perl_argc, &perl_argv, &environ);
  perl.host = host;
  perl.interpreter = perl_alloc ();
  PERL_SET_CONTEXT (perl.interpreter);
  {
    dTHXa (perl.interpreter);

    perl_construct (my_perl);
    PL_exit_flags |= PERL_EXIT_DESTRUCT_END;
    if (perl_parse (my_perl, init_extensions, perl_argc, perl_argv, NULL) != 0)
      exit (1);
    perl_run (my_perl);
    eval_pv (perl_code, TRUE);
    call = (AfrpcPerlCall) { .code = afrpc_perl_function ("Afrpc::Perl::start"), .args = { newSVpvs (AFRPC_PERL) } };
    afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);
  }
  perl.environment = environ;
  pthread_atfork (NULL, NULL, stray_cb);
}

/* Runs END blocks and destructors, and writes what files have buffered. Perl cannot be called afterwards. Its
 * memory is not freed: the process exits. */
int
afrpc_perl_end (int status)
{
  dTHXa (perl.interpreter);

  perl.is_ending = TRUE;
  STATUS_EXIT_SET (status);

  return perl_destruct (my_perl);
}

/* Or the new process would write what is in buffers, too. */
void
afrpc_perl_prepare_fork (void)
{
  dTHXa (perl.interpreter);

  PERL_FLUSHALL_FOR_CHILD;
}

/* From now on events can be sent. */
void
afrpc_perl_set_serving (void)
{
  perl.is_serving = TRUE;
}

void
afrpc_perl_forked (void)
{
  dTHXa (perl.interpreter);
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::forked") };
  g_autoptr(GError) error = NULL;

  perl.is_forked = TRUE;
  perl.is_stray = FALSE;
  /* Or all processes from one template would draw the same numbers. */
  PL_srand_called = FALSE;
  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, &error))
    g_printerr ("afrpc-host-perl: %s\n", error->message);
}

/* %ENV is made when Perl starts; a process gets its environment later. */
void
afrpc_perl_renew_env (void)
{
  dTHXa (perl.interpreter);
  AfrpcPerlCall call = { .code = afrpc_perl_function ("Afrpc::Perl::renew_environment") };

  if (environ == perl.environment)
    return;

  call.list = newAV ();
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
  g_free (perl.own_environment);
  perl.own_environment = environ != NULL ? g_memdup2 (environ, (g_strv_length (environ) + 1) * sizeof *environ) : NULL;
  perl.environment = environ = perl.own_environment;
}
