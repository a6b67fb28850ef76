/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Nothing that works takes so long, even under valgrind; what hangs is ended. */
#define PATIENCE_S 120

/* By ssh, with the options of the environment. */
AfrpcProcess *
test_ssh_process_new (const char *destination,
                      const char *host)
{
  const char *words = g_getenv ("AFRPC_TEST_SSH_OPTIONS");
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) options = NULL;

  if (words != NULL)
    g_shell_parse_argv (words, NULL, &options, &error);
  g_assert_no_error (error);

  return afrpc_process_new_ssh (destination, host, (const char *const *) options);
}

/* As the environment says: executed, forked from a template, over a command, or by ssh. */
AfrpcProcess *
test_bare_process_new (void)
{
  const char *command = g_getenv ("AFRPC_TEST_COMMAND");
  const char *destination = g_getenv ("AFRPC_TEST_DESTINATION");
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) argv = NULL;

  if (g_getenv ("AFRPC_TEST_TEMPLATE") != NULL)
    return afrpc_process_new ();
  if (destination != NULL)
    return test_ssh_process_new (destination, NULL);
  if (command == NULL)
    return afrpc_process_new_exec (NULL);

  g_shell_parse_argv (command, NULL, &argv, &error);
  g_assert_no_error (error);
  return afrpc_process_new_command ((const char *const *) argv);
}

AfrpcProcess *
test_process_new (void)
{
  AfrpcProcess *process = test_bare_process_new ();

  afrpc_process_require (process, TEST_WORKER);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

AfrpcProxy *
test_proxy_new (const char   *function,
                AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

/* One whose worker has nothing but its socket: for who watches that, or lies there. */
AfrpcProxy *
test_proxy_new_by_socket (const char   *function,
                          AfrpcBackend  backend)
{
  g_autoptr(AfrpcProcess) process = test_process_new ();

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, "ring", FALSE,
                       NULL);
}

GVariant *
test_act (const char *what,
          GVariant   *value)
{
  return g_variant_new ("(sv)", what, value != NULL ? value : g_variant_new_boolean (TRUE));
}

GVariant *
act_u (const char *what,
       guint       n)
{
  return test_act (what, g_variant_new_uint32 (n));
}

/* A value of @size bytes. */
GVariant *
test_zeros (gsize size)
{
  gpointer bytes = g_malloc0 (size);

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static gboolean
patience_cb (gpointer data)
{
  g_error ("waited for %d seconds in vain", PATIENCE_S);

  return G_SOURCE_REMOVE;
}

void
test_iterate_until (gboolean *flag)
{
  g_autoptr(GSource) patience = g_timeout_source_new_seconds (PATIENCE_S);
  GMainContext *context = g_main_context_get_thread_default ();

  g_source_set_callback (patience, patience_cb, NULL, NULL);
  g_source_attach (patience, context);
  while (!*flag)
    g_main_context_iteration (context, TRUE);
  g_source_destroy (patience);
}

void
test_iterate_until_idle (void)
{
  while (g_main_context_iteration (g_main_context_get_thread_default (), FALSE))
    ;
}

static gboolean
fd_cb (int          fd,
       GIOCondition condition,
       gpointer     is_so)
{
  *(gboolean *) is_so = TRUE;

  return G_SOURCE_REMOVE;
}

void
test_iterate_until_fd (int          fd,
                       GIOCondition condition)
{
  gboolean is_so = FALSE;

  g_unix_fd_add (fd, condition, fd_cb, &is_so);
  test_iterate_until (&is_so);
}

GVariant *
test_call_finish (GObject       *source,
                  GAsyncResult  *result,
                  GUnixFDList  **out_fds,
                  GError       **error)
{
  AfrpcCaller *caller = AFRPC_CALLER (source);

  return g_async_result_is_tagged (result, afrpc_caller_call) ?
    afrpc_caller_call_finish (caller, result, error) : afrpc_caller_call_full_finish (caller, result, out_fds, error);
}

void
test_call_with_timeout (AfrpcProxy          *proxy,
                        GVariant            *args,
                        int                  timeout_ms,
                        GCancellable        *cancellable,
                        GAsyncReadyCallback  callback,
                        gpointer             user_data)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_timeout_ms (options, timeout_ms);
  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, options, cancellable, callback, user_data);
}

void
test_call_with_fds (AfrpcProxy          *proxy,
                    GVariant            *args,
                    GUnixFDList         *fds,
                    GCancellable        *cancellable,
                    GAsyncReadyCallback  callback,
                    gpointer             user_data)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_fds (options, fds);
  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, options, cancellable, callback, user_data);
}

GVariant *
test_call_with_fds_sync (AfrpcProxy    *proxy,
                         GVariant      *args,
                         GUnixFDList   *fds,
                         GUnixFDList  **out_fds,
                         GCancellable  *cancellable,
                         GError       **error)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_fds (options, fds);

  return afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), args, options, out_fds, cancellable, error);
}

void
test_call_with_progress (AfrpcProxy          *proxy,
                         GVariant            *args,
                         AfrpcProgressMode    mode,
                         AfrpcProgressFunc    progress,
                         gpointer             progress_data,
                         GDestroyNotify       progress_destroy,
                         GCancellable        *cancellable,
                         GAsyncReadyCallback  callback,
                         gpointer             user_data)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_progress (options, mode, progress, progress_data, progress_destroy);
  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, options, cancellable, callback, user_data);
}

void
outcome_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Outcome *outcome = user_data;

  g_assert_false (outcome->done);
  outcome->done = TRUE;
  outcome->value = test_call_finish (source, result, NULL, &outcome->error);
  outcome->started = afrpc_call_get_started (AFRPC_CALL (result));
  g_assert_false (outcome->value != NULL && outcome->started == AFRPC_STARTED_NO);
  g_assert_true ((outcome->value != NULL) != (outcome->error != NULL));
  if (outcome->log != NULL)
    {
      g_autofree char *text = outcome->value != NULL ? g_variant_print (outcome->value, FALSE) : NULL;

      g_string_append_printf (outcome->log, "result %s; ", text != NULL ? text : outcome->error->message);
    }
}

/* One call more has its outcome, which is a value. */
void
count_value_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      n)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, &error);

  g_assert_no_error (error);
  ++*(guint *) n;
}

/* The same, whatever it is. */
void
count_outcome_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      n)
{
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, NULL);

  ++*(guint *) n;
}

void
test_count_cb (guint *n)
{
  ++*n;
}

void
test_ignore_cb (void)
{
}

gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);

  return NULL;
}

gpointer
drop_thread (gpointer object)
{
  g_object_unref (object);

  return NULL;
}

void
outcome_wait (Outcome *outcome)
{
  test_iterate_until (&outcome->done);
}

void
outcome_clear (Outcome *outcome)
{
  g_clear_pointer (&outcome->value, g_variant_unref);
  g_clear_error (&outcome->error);
}

static void
event_cb (AfrpcProxy   *proxy,
          GVariant     *event,
          AfrpcProcess *from,
          GUnixFDList  *fds,
          Watched      *watched)
{
  g_autofree char *text = g_variant_print (event, FALSE);

  watched->n_events++;
  g_string_append_printf (watched->log, "event %s; ", text);
}

static void
error_cb (AfrpcProxy   *proxy,
          const GError *error,
          Watched      *watched)
{
  g_clear_error (&watched->error);
  watched->error = g_error_copy (error);
  g_string_append (watched->log, "error; ");
}

static void
exited_cb (AfrpcProcess *process,
           AfrpcExit    *exit,
           Watched      *watched)
{
  watched->exit = afrpc_exit_ref (exit);
  g_string_append (watched->log, "exited; ");
}

static void
destroyed_cb (AfrpcProxy *proxy,
              Watched    *watched)
{
  g_assert_false (watched->destroyed);
  watched->destroyed = TRUE;
  g_string_append (watched->log, "destroyed; ");
}

/* Listens to everything but events; takes the reference of @proxy. */
void
watch_init (Watched    *watched,
            AfrpcProxy *proxy)
{
  memset (watched, 0, sizeof *watched);
  watched->proxy = proxy;
  watched->log = g_string_new (NULL);
  g_signal_connect (proxy, "error", G_CALLBACK (error_cb), watched);
  g_signal_connect (proxy, "destroyed", G_CALLBACK (destroyed_cb), watched);
  g_signal_connect (afrpc_proxy_get_process (proxy), "exited", G_CALLBACK (exited_cb), watched);
}

void
watch_events (Watched *watched)
{
  g_signal_connect (watched->proxy, "event", G_CALLBACK (event_cb), watched);
}

/* Closes the proxy, and waits for its end. */
void
watch_end (Watched *watched)
{
  if (watched->proxy != NULL)
    afrpc_caller_close (AFRPC_CALLER (watched->proxy));
  test_iterate_until (&watched->destroyed);
}

void
watch_clear (Watched *watched)
{
  if (watched->log == NULL)
    return; /* it was never begun */

  if (!watched->destroyed)
    watch_end (watched);
  if (watched->proxy != NULL)
    g_signal_handlers_disconnect_by_data (afrpc_proxy_get_process (watched->proxy), watched);
  g_clear_object (&watched->proxy);
  g_clear_error (&watched->error);
  g_clear_pointer (&watched->exit, afrpc_exit_unref);
  g_string_free (watched->log, TRUE);
  watched->log = NULL;
}

/* One call through the main loop. */
GVariant *
test_call (AfrpcProxy  *proxy,
           GVariant    *args,
           GError     **error)
{
  Outcome outcome = { 0 };

  afrpc_caller_call (AFRPC_CALLER (proxy), args, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  if (outcome.error != NULL)
    g_propagate_error (error, outcome.error);

  return outcome.value;
}

gint64
test_get_cpu_us (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);

  return time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

void
test_assert_call_fails (AfrpcProxy *proxy,
                        GVariant   *args,
                        GQuark      domain,
                        int         code,
                        const char *words)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, args, &error);

  g_assert_error (error, domain, code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
}

void
test_assert_works (AfrpcProxy *proxy)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, test_act ("return", g_variant_new_string ("fine")), &error);

  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (result, NULL), ==, "fine");
}

/* Runs this program with @argv. It is killed once its output has @kill_at in it. (nullable)
 *
 * Returns: (transfer full): the output, at whose end the program is gone, and everybody who has the output from it, as its
 * workers and what they have started do */
char *
test_run_to_end (const char *const *argv,
                 const char        *kill_at,
                 TestRunFlags       flags)
{
  GString *output = g_string_new (NULL);
  char buffer[64];
  int fds[2], pid;
  gssize n;

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if ((flags & TEST_RUN_IN_SESSION) != 0)
        setsid ();
      dup2 (fds[1], STDOUT_FILENO);
      if ((flags & TEST_RUN_WITH_STDERR) != 0)
        dup2 (fds[1], STDERR_FILENO);
      execv ("/proc/self/exe", (char *const *) argv);
      _exit (127);
    }
  close (fds[1]);
  while ((n = read (fds[0], buffer, sizeof buffer)) > 0)
    {
      g_string_append_len (output, buffer, n);
      if (kill_at != NULL && strstr (output->str, kill_at) != NULL)
        kill (pid, SIGKILL);
    }
  close (fds[0]);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);

  return g_string_free (output, FALSE);
}

guint
test_count_fds (void)
{
  g_autoptr(GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;

  return n;
}

/* Neither a running one, except for a template, nor a zombie. */
static void
exit_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  AfrpcExit **exit = data;
  g_autoptr(GError) error = NULL;

  *exit = afrpc_process_wait_finish (AFRPC_PROCESS (source), result, &error);
  g_assert_no_error (error);
}

AfrpcExit *
test_wait_exit (AfrpcProcess *process)
{
  AfrpcExit *exit = NULL;

  afrpc_process_wait_async (process, NULL, exit_cb, &exit);
  while (exit == NULL)
    g_main_context_iteration (NULL, TRUE);

  return exit;
}

void
test_assert_no_children (void)
{
  const gboolean has_template = g_getenv ("AFRPC_TEST_TEMPLATE") != NULL;

  g_assert_cmpint (waitpid (-1, NULL, WNOHANG | __WALL), ==, has_template ? 0 : -1);
  if (!has_template)
    g_assert_cmpint (errno, ==, ECHILD);
}

/* Returns: how many children the program has */
guint
test_count_children (void)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/children", getpid ());
  g_autofree char *pids = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (path, &pids, NULL, NULL));
  for (const char *c = pids; *c != '\0'; c++)
    n += *c == ' ';

  return n;
}

/* Waits for the end of a process that may be anybody's child. */
void
test_wait_gone (int pid)
{
  struct pollfd poller = { syscall (SYS_pidfd_open, pid, 0), POLLIN, 0 };

  if (poller.fd < 0)
    {
      g_assert_cmpint (errno, ==, ESRCH);
      return;
    }
  g_assert_cmpint (poll (&poller, 1, PATIENCE_S * 1000), ==, 1);
  close (poller.fd);
}

int
test_fd_with (const char *text)
{
  int fds[2];

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  g_assert_cmpint (write (fds[1], text, strlen (text)), ==, strlen (text));
  close (fds[1]);

  return fds[0];
}

void
test_send_fd_with (AfrpcProcess *process,
                   const char   *text)
{
  int fd = test_fd_with (text);

  afrpc_process_send_fd (process, fd);
  close (fd);
}

AfrpcProcess *
test_template_new (void)
{
  AfrpcProcess *process = afrpc_process_new_exec (NULL);

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (process, TEST_WORKER);

  return process;
}

char *
test_describe_start (AfrpcProcess *process) /* (transfer full) */
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  watch_init (&watched, afrpc_proxy_new (process, "get_start"));
  g_object_unref (process);
  result = test_call (watched.proxy, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (afrpc_process_get_start (afrpc_proxy_get_process (watched.proxy)), !=, AFRPC_START_NONE);

  return g_variant_print (result, FALSE);
}

/* Whether a worker can be made from the default template, called, and closed. */
gboolean
test_call_new (void)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;

  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "act");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, NULL);
  afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL);

  return result != NULL;
}
