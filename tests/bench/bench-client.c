/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-client.h"

#include <gio/gunixfdlist.h>
#include <stdlib.h>
#include <string.h>


static GVariant *
new_text (uint64_t number)
{
  char text[BENCH_TEXT_LEN + 1] = "";

  bench_text_write (text, number);
  return g_variant_new_string (text);
}

/* A worker in Perl returns a list of octet strings. */
static const char *
get_text (GVariant *value,
          gsize    *len)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_get_string (value, len);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING_ARRAY) && g_variant_n_children (value) == 1)
    {
      g_autoptr(GVariant) child = g_variant_get_child_value (value, 0);

      return g_variant_get_fixed_array (child, len, 1);
    }

  return NULL;
}

static void
check_text (const char *what,
            GVariant   *value,
            uint64_t    number)
{
  gsize len;
  const char *text = get_text (value, &len);

  if (text == NULL)
    bench_fail ("%s %" G_GUINT64_FORMAT " is no string", what, number);
  if (len != BENCH_TEXT_LEN || !bench_text_is (text, number))
    bench_fail ("%s %" G_GUINT64_FORMAT " is wrong: %s", what, number, text);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          gpointer      user_data)
{
  BenchClient *self = user_data;

  check_text ("event", event, self->n_events++);
}

static void
error_cb (AfrpcProxy   *proxy,
          const GError *error,
          gpointer      user_data)
{
  bench_fail ("error: %s", error->message);
}

/* The functions of bench-worker.c. */
static const char perl_code[] =
  "sub echo { $_[0] }\n"
  "sub echo_async { $_[0]->($_[1]) }\n"
  "sub emit {\n"
  "  my $n = reverse $_[0]; $n =~ tr/A-P/0-9a-f/;\n"
  "  for (0 .. hex ($n) - 1) {\n"
  "    my $text = reverse sprintf '%016x', $_; $text =~ tr/0-9a-f/A-P/;\n"
  "    AnyEvent::Fork::RPC::event ($text);\n"
  "  }\n"
  "  $_[0]\n"
  "}\n"
  "sub emit_async { my $done = shift; $done->(emit (@_)) }\n";

static const char gjs_code[] =
  "export function echo(text) { return text; }\n"
  "export async function echo_async(text) { return text; }\n";

/* A host that was not built is no failure. */
static void
skip_without_host (const char *name)
{
  g_autofree char *host = g_strdup_printf ("%s/afrpc-host-%s", g_getenv ("AFRPC_HOST_PATH"), name);

  if (!g_file_test (host, G_FILE_TEST_IS_EXECUTABLE))
    exit (BENCH_SKIPPED);
}

static AfrpcProcess *
new_perl_process (gboolean with_loop)
{
  AfrpcProcess *process;

  skip_without_host ("perl");
  if (with_loop && system ("perl -MAnyEvent -e 1 2>/dev/null") != 0)
    exit (BENCH_SKIPPED);
  process = afrpc_process_new_exec ("perl");
  /* So that its loop is the one that is used. */
  if (with_loop)
    afrpc_process_eval (process, "use AnyEvent; AnyEvent::detect (); our $never = AE::timer (1e6, 0, sub { })", NULL);
  afrpc_process_eval (process, perl_code, NULL);

  return process;
}

static AfrpcProcess *
new_gjs_process (void)
{
  AfrpcProcess *process;

  skip_without_host ("gjs");
  process = afrpc_process_new_exec ("gjs");
  afrpc_process_eval (process, gjs_code, NULL);

  return process;
}

/* With the worker's module, but no job yet. */
AfrpcProcess *
bench_client_new_process (const BenchOptions *options)
{
  g_autofree char *module = g_build_filename (options->directory, "bench-worker.so", NULL);
  AfrpcProcess *process;

  if (g_str_has_prefix (options->variant, "perl-"))
    return new_perl_process (g_str_has_suffix (options->variant, "-loop"));
  if (g_str_has_prefix (options->variant, "gjs-"))
    return new_gjs_process ();

  process = afrpc_process_new_exec (NULL);
  afrpc_process_require (process, module);

  return process;
}

/* @template: (nullable): what to fork the worker from */
void
bench_client_init (BenchClient        *self,
                   const BenchOptions *options,
                   AfrpcProcess       *template,
                   AfrpcBackend        backend,
                   gboolean            emits)
{
  g_autoptr(AfrpcProcess) process = NULL;
  const char *suffix = backend == AFRPC_BACKEND_ASYNC ? "_async" : "";
  const char *name = strcmp (options->variant, "buffer") == 0 ? "echo_fd" : strcmp (options->workload, "W4") == 0 ? "echo_value"
                     : emits ? "emit" : "echo";
  g_autofree char *function = g_strconcat (name, suffix, NULL);

  *self = (BenchClient) { .emits = emits };
  process = template != NULL ? afrpc_process_fork (template) : bench_client_new_process (options);
  self->proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function,
                              "backend", backend, "done", options->done, "ring",
                              strstr (options->variant, "-socket") == NULL, NULL);
  g_signal_connect (self->proxy, "event", G_CALLBACK (event_cb), self);
  g_signal_connect (self->proxy, "error", G_CALLBACK (error_cb), self);
}

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  BenchClient *self = user_data;
  g_autoptr(GError) error = NULL;

  if (!afrpc_caller_close_finish (AFRPC_CALLER (source), result, &error))
    bench_fail ("close: %s", error->message);
  self->closed = TRUE;
}

void
bench_client_clear (BenchClient *self)
{
  if (self->proxy == NULL)
    return;
  afrpc_caller_close_async (AFRPC_CALLER (self->proxy), NULL, closed_cb, self);
  while (!self->closed)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&self->proxy);
}

/* Known from the first reply on. */
pid_t
bench_client_get_pid (BenchClient *self)
{
  return afrpc_process_get_pid (afrpc_proxy_get_process (self->proxy));
}

static void
check_reply (BenchClient  *self,
             GVariant     *reply,
             const GError *error,
             uint64_t      number)
{
  if (reply == NULL)
    bench_fail ("call %" G_GUINT64_FORMAT ": %s", number, error->message);
  check_text ("reply", reply, number);
  if (self->emits && self->n_events != number)
    bench_fail ("%" G_GUINT64_FORMAT " events of %" G_GUINT64_FORMAT, self->n_events, number);
}

static void
reply_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  BenchClient *self = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  check_reply (self, reply, error, self->emits ? self->n : self->n_received);
  self->n_received++;
  if (self->refill && self->n_sent < self->n)
    bench_client_send (self, 1);
}

/* @n: the calls to come, or the events of the one call to come */
void
bench_client_begin (BenchClient *self,
                    uint64_t     n)
{
  self->n = n;
  self->n_sent = self->n_received = self->n_events = 0;
}

void
bench_client_send (BenchClient *self,
                   uint64_t     n_calls)
{
  for (uint64_t i = 0; i < n_calls; i++)
    {
      GVariant *args = new_text (self->emits ? self->n : self->n_sent);

      afrpc_caller_call (AFRPC_CALLER (self->proxy), args, NULL, reply_cb, self);
      self->n_sent++;
    }
}

void
bench_client_wait (BenchClient *self)
{
  while (self->n_received < (self->emits ? 1 : self->n))
    g_main_context_iteration (NULL, TRUE);
}

void
bench_client_call_sync (BenchClient *self,
                        uint64_t     number)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = afrpc_caller_call_sync (AFRPC_CALLER (self->proxy), new_text (number), NULL, &error);

  check_reply (self, reply, error, number);
}

typedef struct
{
  GVariant *value;
  gboolean done;
} ValueCall;

static void
value_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  ValueCall *call = user_data;
  g_autoptr(GError) error = NULL;

  call->value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);
  if (call->value == NULL)
    bench_fail ("call: %s", error->message);
  call->done = TRUE;
}

/* Calls with any arguments, through the main loop; returns the reply. */
GVariant *
bench_client_call_value (BenchClient *self,
                         GVariant    *args)
{
  ValueCall call = { NULL };

  afrpc_caller_call (AFRPC_CALLER (self->proxy), args, NULL, value_cb, &call);
  while (!call.done)
    g_main_context_iteration (NULL, TRUE);

  return call.value;
}

typedef struct
{
  GUnixFDList *fds;
  gboolean done;
} FdCall;

static void
fd_cb (GObject      *source,
       GAsyncResult *result,
       gpointer      user_data)
{
  FdCall *call = user_data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value =
    afrpc_caller_call_full_finish (AFRPC_CALLER (source), result, &call->fds, &error);

  if (value == NULL)
    bench_fail ("call: %s", error->message);
  call->done = TRUE;
}

/* Calls with a file descriptor, through the main loop; returns that of the reply. */
int
bench_client_call_fd (BenchClient *self,
                      int          fd)
{
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  FdCall call = { NULL };
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  int reply;

  g_unix_fd_list_append (fds, fd, NULL);
  afrpc_call_options_set_fds (options, fds);
  afrpc_caller_call_full (AFRPC_CALLER (self->proxy), g_variant_new_handle (0), options, NULL, fd_cb, &call);
  while (!call.done)
    g_main_context_iteration (NULL, TRUE);
  reply = call.fds != NULL ? g_unix_fd_list_get (call.fds, 0, NULL) : -1;
  g_clear_object (&call.fds);

  return reply;
}
