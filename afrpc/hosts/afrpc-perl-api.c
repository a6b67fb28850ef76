/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-api.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "afrpc-perl-loop.h"
#include "afrpc-perl-serialiser.h"
#include "afrpc-perl-value.h"

/* The call that a function of the API is about: that of an async function is told by its callback, which is the first
 * argument then. */
typedef struct
{
  AfrpcInvocation *invocation; /* (nullable): not owned; NULL: the one that the sync function runs */
  I32 n;                       /* arguments that tell it */
} Target;

#define EVENT "AnyEvent::Fork::RPC::event"

static gboolean is_calling; /* a function of the sync backend */

static GArray *event_fds; /* (nullable) (element-type int): of the next event */

static CV *event; /* what is declared, and not yet defined */

/* Statements of the original's modules: where functions of each backend seem to be called. */
static COP *sync_call;
static COP *async_call;

/* Frees @error. */
static void G_GNUC_NORETURN
croak_error (pTHX_
             GError *error)
{
  SV *message = sv_2mortal (newSVpv (error->message, 0));

  g_error_free (error);
  croak ("%" SVf, SVfARG (message));
}

/* Dies where nothing can be said to the program: in threads, and in processes that are no workers. */
static void
check_place (pTHX_
             const char *what)
{
  if (aTHX != afrpc_perl.interpreter)
    croak ("%s by a thread other than the first", what);
  if (afrpc_perl.is_stray)
    croak ("%s by a process that a worker has forked", what);
}

/* What is said at the end has no loop that would write it. */
static void
written (void)
{
  if (afrpc_perl.is_ending)
    afrpc_worker_flush (afrpc_host_get_worker (afrpc_perl.host));
  else
    afrpc_perl_loop_wake ();
}

/* Dies if there is none. */
static int
get_fd (pTHX_
        SV *sv)
{
  int fd = -1;

  SvGETMAGIC (sv);
  if (!SvROK (sv) && !isGV (sv) && looks_like_number (sv))
    fd = SvIV_nomg (sv);
  else
    {
      IO *io = sv_2io (sv);

      if (IoOFP (io) != NULL)
        PerlIO_flush (IoOFP (io));
      if (IoIFP (io) != NULL)
        fd = PerlIO_fileno (IoIFP (io));
    }
  if (fd < 0)
    croak ("a handle without a file descriptor cannot be sent");

  return fd;
}

/* Closes what is in @fds, and frees it. */
static void
free_fds (GArray *fds) /* (nullable) (element-type int) */
{
  for (guint i = 0; fds != NULL && i < fds->len; i++)
    close (g_array_index (fds, int, i));
  g_clear_pointer (&fds, g_array_unref);
}

/* Adds a copy of a handle's file descriptor to the next event; returns what stands for it there. */
XS (xs_append_event_fd);
XS (xs_append_event_fd)
{
  dXSARGS;
  int fd;

  check_place (aTHX_ "a file descriptor cannot be sent");
  if (items != 1)
    croak ("Usage: Afrpc::append_event_fd ($fh)");
  fd = fcntl (get_fd (aTHX_ ST (0)), F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    croak ("a file descriptor cannot be copied: %s", g_strerror (errno));

  if (event_fds == NULL)
    event_fds = g_array_new (FALSE, FALSE, sizeof fd);
  g_array_append_val (event_fds, fd);

  ST (0) = sv_2mortal (sv_setref_iv (newSV (0), AFRPC_PERL_HANDLE_CLASS, event_fds->len - 1));
  XSRETURN (1);
}

/* Returns one value because the original does, which is false in the sync backend and true in the other. */
XS (xs_event);
XS (xs_event)
{
  dXSARGS;
  AfrpcWorker *worker;
  GArray *fds;
  GVariant *value;
  GError *error = NULL;

  check_place (aTHX_ "an event cannot be sent");
  fds = g_steal_pointer (&event_fds); /* packing may send one, too */
  worker = afrpc_host_get_worker (afrpc_perl.host);
  if (worker == NULL)
    {
      free_fds (fds);
      XSRETURN_NO;
    }

  value = afrpc_perl_pack_list (aTHX_ ax, items, &error);
  if (value != NULL && fds == NULL)
    afrpc_worker_event (worker, value);
  else if (value != NULL)
    afrpc_worker_event_with_fds (worker, value, (const int *) (gconstpointer) fds->data, fds->len, &error);
  free_fds (fds);
  g_clear_pointer (&value, g_variant_unref);
  if (error != NULL)
    croak_error (aTHX_ error);
  written ();

  if (is_calling)
    XSRETURN_NO;
  XSRETURN_YES;
}

/* Returns: (nullable): the worker, for who does nothing elsewhere */
static AfrpcWorker *
find_worker (pTHX)
{
  return aTHX == afrpc_perl.interpreter && !afrpc_perl.is_stray ?
    afrpc_host_get_worker (afrpc_perl.host) : NULL;
}

XS (xs_flush);
XS (xs_flush)
{
  dXSARGS;
  AfrpcWorker *worker = find_worker (aTHX);

  PERL_UNUSED_VAR (items);
  if (worker != NULL && afrpc_perl.is_serving)
    afrpc_worker_flush (worker);

  XSRETURN_YES;
}

XS (xs_retire);
XS (xs_retire)
{
  dXSARGS;
  AfrpcWorker *worker = find_worker (aTHX);

  PERL_UNUSED_VAR (items);
  if (worker != NULL)
    afrpc_worker_retire (worker);
  if (worker != NULL && afrpc_perl.is_serving)
    written ();

  XSRETURN_YES;
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
  AfrpcInvocation *invocation;
  GVariant *value;
  GError *error = NULL;

  check_place (aTHX_ "a call cannot be answered");
  if (CvXSUBANY (cv).any_ptr == NULL)
    croak ("the call has been answered before");

  value = afrpc_perl_pack_list (aTHX_ ax, items, &error);
  /* Packing may have called it. */
  invocation = CvXSUBANY (cv).any_ptr;
  CvXSUBANY (cv).any_ptr = NULL;
  if (invocation != NULL && value != NULL)
    afrpc_invocation_return_value (invocation, value);
  else if (invocation != NULL)
    afrpc_invocation_return_error (invocation, error);
  g_clear_pointer (&value, g_variant_unref);
  g_clear_error (&error);
  g_clear_object (&invocation);
  written ();

  XSRETURN_YES;
}

/* Nobody can answer any more. At the end, it is the end that says so. The copies that threads have are nobody's. */
static int
free_done (pTHX_
           SV    *sv,
           MAGIC *magic)
{
  AfrpcInvocation *invocation;

  if (aTHX != afrpc_perl.interpreter)
    return 0;

  invocation = CvXSUBANY ((CV *) sv).any_ptr;
  CvXSUBANY ((CV *) sv).any_ptr = NULL;
  if (invocation != NULL && !afrpc_perl.is_ending && !afrpc_perl.is_stray)
    {
      g_object_unref (invocation);
      afrpc_perl_loop_wake ();
    }

  return 0;
}

static MGVTBL done_vtable = { .svt_free = free_done };

static Target
get_target (pTHX_
            I32         ax,
            I32         items,
            const char *what)
{
  SV *first = items > 0 ? ST (0) : &PL_sv_undef;
  CV *cv = SvROK (first) && SvTYPE (SvRV (first)) == SVt_PVCV ? (CV *) SvRV (first) : NULL;

  check_place (aTHX_ what);
  if (cv != NULL && CvISXSUB (cv) && CvXSUB (cv) == xs_done)
    {
      if (CvXSUBANY (cv).any_ptr == NULL)
        croak ("the call has been answered before");
      return (Target) { CvXSUBANY (cv).any_ptr, 1 };
    }
  if (!is_calling)
    croak ("%s: in the async backend, the first argument has to be the callback of a call", what);

  return (Target) { NULL, 0 };
}

/* A file descriptor that came with the call, as a handle. */
XS (xs_steal_fd);
XS (xs_steal_fd)
{
  dXSARGS;
  const Target target = get_target (aTHX_ ax, items, "a file descriptor cannot be taken");
  GError *error = NULL;
  SV *handle;
  UV number;
  int fd;

  if (items != target.n + 1)
    croak ("Usage: Afrpc::steal_fd ([$done,] $handle)");
  number = SvUV (ST (target.n));
  if (number > G_MAXUINT)
    XSRETURN_UNDEF;

  fd = target.invocation != NULL
         ? afrpc_invocation_steal_fd (target.invocation, number)
         : afrpc_worker_steal_call_fd (afrpc_host_get_worker (afrpc_perl.host), number);
  if (fd < 0)
    XSRETURN_UNDEF;
  handle = afrpc_perl_open (fd, &error);
  if (handle == NULL)
    {
      close (fd);
      croak_error (aTHX_ error);
    }

  ST (0) = sv_2mortal (handle);
  XSRETURN (1);
}

/* Adds a copy of a handle's file descriptor to the result; returns what stands for it there. */
XS (xs_append_fd);
XS (xs_append_fd)
{
  dXSARGS;
  const Target target = get_target (aTHX_ ax, items, "a file descriptor cannot be sent");
  GError *error = NULL;
  int fd, number;

  if (items != target.n + 1)
    croak ("Usage: Afrpc::append_fd ([$done,] $fh)");
  fd = get_fd (aTHX_ ST (target.n));

  number = target.invocation != NULL
             ? afrpc_invocation_append_fd (target.invocation, fd, &error)
             : afrpc_worker_append_result_fd (afrpc_host_get_worker (afrpc_perl.host), fd, &error);
  if (number < 0)
    croak_error (aTHX_ error);

  ST (0) = sv_2mortal (sv_setref_iv (newSV (0), AFRPC_PERL_HANDLE_CLASS, number));
  XSRETURN (1);
}

XS (xs_progress);
XS (xs_progress)
{
  dXSARGS;
  const Target target = get_target (aTHX_ ax, items, "progress cannot be told");
  GError *error = NULL;
  GVariant *value = afrpc_perl_pack_list (aTHX_ ax + target.n, items - target.n, &error);

  if (value == NULL)
    croak_error (aTHX_ error);
  if (target.invocation == NULL)
    afrpc_worker_progress (afrpc_host_get_worker (afrpc_perl.host), value);
  /* Packing may have answered it. */
  else if (CvXSUBANY ((CV *) SvRV (ST (0))).any_ptr == target.invocation)
    afrpc_invocation_progress (target.invocation, value);
  g_variant_unref (value);
  written ();

  XSRETURN_EMPTY;
}

XS (xs_is_cancelled);
XS (xs_is_cancelled)
{
  dXSARGS;
  const Target target = get_target (aTHX_ ax, items, "nothing can be cancelled");
  const gboolean is_cancelled = target.invocation != NULL
                                  ? afrpc_invocation_is_cancelled (target.invocation)
                                  : afrpc_worker_is_cancelled (afrpc_host_get_worker (afrpc_perl.host));

  if (is_cancelled)
    XSRETURN_YES;
  XSRETURN_NO;
}

/* What came with the call besides its arguments: a reference to a hash. */
XS (xs_metadata);
XS (xs_metadata)
{
  dXSARGS;
  const Target target = get_target (aTHX_ ax, items, "there is no metadata");
  GVariant *metadata = target.invocation != NULL
                         ? afrpc_invocation_get_metadata (target.invocation)
                         : afrpc_worker_get_metadata (afrpc_host_get_worker (afrpc_perl.host));

  ST (0) = sv_2mortal (metadata != NULL ? afrpc_perl_unpack (aTHX_ metadata) : newRV_noinc ((SV *) newHV ()));
  XSRETURN (1);
}

/* Registers two functions as the serialiser of that name. */
XS (xs_register);
XS (xs_register)
{
  dXSARGS;
  GError *error = NULL;

  PERL_UNUSED_VAR (items);
  check_place (aTHX_ "a serialiser cannot be registered");
  if (!afrpc_perl_serialiser_register (aTHX_ SvPVutf8_nolen (ST (0)), ST (1), ST (2), &error))
    croak_error (aTHX_ error);

  XSRETURN_EMPTY;
}

void
afrpc_perl_define_api (pTHX)
{
  /* Without its function a declaration is all that it is. */
  event = (CV *) SvREFCNT_inc ((SV *) newXS (EVENT, xs_event, __FILE__));
  CvXSUB (event) = NULL;
  newXS ("AnyEvent::Fork::RPC::flush", xs_flush, __FILE__);
  newXS ("AnyEvent::Fork::Pool::retire", xs_retire, __FILE__);
  newXS ("Afrpc::steal_fd", xs_steal_fd, __FILE__);
  newXS ("Afrpc::append_fd", xs_append_fd, __FILE__);
  newXS ("Afrpc::append_event_fd", xs_append_event_fd, __FILE__);
  newXS ("Afrpc::progress", xs_progress, __FILE__);
  newXS ("Afrpc::metadata", xs_metadata, __FILE__);
  newXS ("Afrpc::is_cancelled", xs_is_cancelled, __FILE__);
  newXS ("Afrpc::Perl::register", xs_register, __FILE__);
  newXS ("Afrpc::Perl::handle_signals", xs_handle_signals, __FILE__);
}

/* Returns: (nullable): the first statement of a function */
static COP *
get_cop (const char *function)
{
  OP *op = CvSTART ((CV *) afrpc_perl_function (function));

  return op != NULL && op->op_type == OP_NEXTSTATE ? (COP *) op : NULL;
}

/* From now on events can be sent. To define the function anew would take 44 kB of what is shared with a template. */
void
afrpc_perl_set_serving (void)
{
  dTHXa (afrpc_perl.interpreter);

  if (afrpc_perl.is_serving)
    return;

  afrpc_perl.is_serving = TRUE;
  CvXSUB (event) = xs_event;
  if (get_cv (EVENT, 0) != event)
    newXS (EVENT, xs_event, __FILE__);
  sync_call = get_cop ("AnyEvent::Fork::RPC::Sync::do_exit");
  async_call = get_cop ("AnyEvent::Fork::RPC::Async::do_exit");
  afrpc_perl_value_choose (afrpc_worker_get_serialiser (afrpc_host_get_worker (afrpc_perl.host)));
}

/* Calls a function of the sync backend. */
GVariant *
afrpc_perl_call_sync (SV        *code,
                      GVariant  *args,
                      GError   **error)
{
  GVariant *value = NULL;
  AfrpcPerlCall call = { .code = code, .tuple = args, .value = &value };
  gboolean ok;

  afrpc_perl_set_serving ();
  call.from = sync_call;
  is_calling = TRUE;
  ok = afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, error);
  is_calling = FALSE;

  return ok ? value : NULL;
}

/* Calls an async function. If it dies, that answers the call, unless it has been answered. */
void
afrpc_perl_invoke (SV              *code,
                   AfrpcInvocation *invocation)
{
  dTHXa (afrpc_perl.interpreter);
  CV *done = newXS (NULL, xs_done, __FILE__);
  AfrpcPerlCall call = {
    .code = code, .args = { newRV_inc ((SV *) done) }, .tuple = afrpc_invocation_get_args (invocation)
  };
  g_autoptr(GError) error = NULL;

  afrpc_perl_set_serving ();
  call.from = async_call;
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
