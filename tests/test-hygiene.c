/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own-process.h"

#define LIMIT_WORKER (g_getenv ("AFRPC_TEST_LIMIT_WORKER"))
#define OUTPUT_ENV "AFRPC_TEST_OUTPUT"
#define NOBODY 65534

static AfrpcProcess *
new_exec (void)
{
  AfrpcProcess *process = afrpc_process_new_exec (NULL);

  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (process, LIMIT_WORKER);

  return process;
}

/* @template: (nullable) */
static AfrpcProcess *
new_process (AfrpcProcess *template)
{
  AfrpcProcess *process = template != NULL ? afrpc_process_fork (template) : new_exec ();

  if (template != NULL)
    afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

static AfrpcProxy *
new_proxy (AfrpcProcess *process,
           AfrpcBackend  backend)
{
  const char *function = backend == AFRPC_BACKEND_ASYNC ? "use_async" : "use";

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", function, "backend", backend, NULL);
}

static void
assert_fds (GVariant *list,
            guint     n_eventfds)
{
  g_autofree char *text = g_variant_print (list, FALSE);
  guint n_sockets = 0, n_pipes = 0, n_others = 0;
  GVariantIter iter;
  const char *target;
  int fd;

  g_test_message ("%s", text);
  g_variant_iter_init (&iter, list);
  while (g_variant_iter_next (&iter, "(i&s)", &fd, &target))
    {
      if (fd <= STDERR_FILENO)
        continue;
      if (g_str_has_prefix (target, "socket:"))
        n_sockets++;
      else if (g_str_has_prefix (target, "pipe:"))
        n_pipes++;
      else if (strstr (target, "[eventfd]") != NULL && n_eventfds > 0)
        n_eventfds--;
      else
        n_others++;
    }

  g_assert_cmpuint (n_sockets, ==, 1); /* to the program */
  g_assert_cmpuint (n_pipes, ==, 1);   /* what ends it with the program */
  g_assert_cmpuint (n_eventfds, ==, 0);
  g_assert_cmpuint (n_others, ==, 0);
}

static void
test_fds (void)
{
  const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };
  g_autoptr(AfrpcProcess) template = NULL;
  int leaked[20], before;

  g_test_summary ("A worker has no descriptors but its own, whatever the program leaks");
  for (guint i = 0; i < G_N_ELEMENTS (leaked); i++)
    leaked[i] = open (i % 2 == 0 ? "/dev/zero" : "/", O_RDONLY);
  template = new_exec ();

  for (guint i = 0; i < 4; i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (i < 2 ? NULL : template);
      g_autoptr(GVariant) list = NULL;
      g_autoptr(GError) error = NULL;
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, new_proxy (process, backends[i % 2]));
      list = test_call (watched.proxy, test_act ("list-fds", NULL), &error);
      g_assert_no_error (error);
      assert_fds (list, i % 2); /* a main loop has one */
      g_assert_cmpint (afrpc_process_get_start (process), ==, i < 2 ? AFRPC_START_EXEC : AFRPC_START_FORK);
    }

  before = test_count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (leaked); i++)
    close (leaked[i]);
  g_assert_cmpint (test_count_fds (), ==, before - (int) G_N_ELEMENTS (leaked));
}

static gint stop_threads;

static gpointer
busy_thread (gpointer data)
{
  while (!g_atomic_int_get (&stop_threads))
    g_free (g_strnfill (1000, 'x'));

  return NULL;
}

static gsize
available_mib (void)
{
  g_autofree char *text = NULL;
  const char *place;

  if (!g_file_get_contents ("/proc/meminfo", &text, NULL, NULL))
    return 0;
  place = strstr (text, "MemAvailable:");

  return place != NULL ? g_ascii_strtoull (place + strlen ("MemAvailable:"), NULL, 10) >> 10 : 0;
}

static void
test_large_parent (void)
{
  const gsize size = 512 << 20;
  g_autoptr(AfrpcProcess) template = NULL;
  g_autofree char *heap = NULL;
  GThread *threads[4];

  g_test_summary ("A program with busy threads and a large heap starts workers like any other");
  if (available_mib () < 2048)
    {
      g_test_skip ("there is not enough memory");
      return;
    }

  heap = g_malloc (size);
  memset (heap, 1, size);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("busy", busy_thread, NULL);

  template = new_exec ();
  for (guint i = 0; i < 40; i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (i < 20 ? NULL : template);
      g_autoptr(GVariant) pid = NULL;
      g_autoptr(GError) error = NULL;
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, new_proxy (process, AFRPC_BACKEND_SYNC));
      pid = test_call (watched.proxy, test_act ("pid", NULL), &error);
      g_assert_no_error (error);
      g_assert_cmpint (g_variant_get_int32 (pid), ==, afrpc_process_get_pid (process));
      g_assert_cmpint (afrpc_process_get_start (process), ==, i < 20 ? AFRPC_START_EXEC : AFRPC_START_FORK);
      watch_end (&watched);
      g_assert_true (afrpc_exit_is_success (watched.exit));
    }

  g_atomic_int_set (&stop_threads, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

/* Runs the part of test @path that is a program of its own. Returns: (transfer full): what it and all its
 * workers printed, once all of them have ended: they have the writing end of its pipe. @status: (out): its own */
static char *
run_program (const char *path,
             int        *status,
             gint64     *orphaned_us)
{
  g_autoptr(GString) output = g_string_new (NULL);
  char buffer[256];
  gint64 dead_at;
  int fds[2], pid;
  gssize n;

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  pid = fork ();
  if (pid == 0)
    {
      dup2 (fds[1], STDOUT_FILENO);
      execl ("/proc/self/exe", "test-hygiene", "-p", path, "--GTestSubprocess", NULL);
      _exit (127);
    }
  close (fds[1]);
  waitpid (pid, status, 0);
  dead_at = g_get_monotonic_time ();
  while ((n = read (fds[0], buffer, sizeof buffer)) > 0)
    g_string_append_len (output, buffer, n);
  close (fds[0]);
  *orphaned_us = g_get_monotonic_time () - dead_at;

  return g_string_free (g_steal_pointer (&output), FALSE);
}

static void
assert_killed (int status)
{
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGKILL);
}

/* One worker of each kind, idle and busy; all at work when this returns. */
static void
start_workers (AfrpcProcess *template, /* (nullable) */
               Watched      *watched)
{
  const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC, AFRPC_BACKEND_ASYNC };
  const char *what[] = { "pid", "spin", "pid", "spin" };

  for (guint i = 0; i < G_N_ELEMENTS (what); i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (template);

      watch_init (&watched[i], new_proxy (process, backends[i]));
      watch_events (&watched[i]);
      if (g_str_equal (what[i], "pid"))
        {
          g_variant_unref (test_call (watched[i].proxy, test_act ("pid", NULL), NULL));
          continue;
        }
      afrpc_caller_call (AFRPC_CALLER (watched[i].proxy), test_act (what[i], NULL), NULL, NULL, NULL);
      while (watched[i].n_events == 0)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
test_orphans (void)
{
  g_autofree char *output = NULL;
  gint64 orphaned_us;
  int status;

  g_test_summary ("A program that is killed leaves nothing, whatever its workers do");
  if (g_test_subprocess ())
    {
      AfrpcProcess *template = new_exec ();
      Watched watched[8];

      start_workers (NULL, watched);
      start_workers (template, watched + 4);
      g_print ("all at work\n");
      kill (getpid (), SIGKILL);
    }

  output = run_program ("/hygiene/orphans", &status, &orphaned_us);
  assert_killed (status);
  g_assert_nonnull (strstr (output, "all at work\n"));
  g_test_message ("the last one ended after %d us", (int) orphaned_us);
  /* What ends them are signals and ends of sockets; anything that waits would take longer. */
  g_assert_cmpint (orphaned_us, <, 5 * G_USEC_PER_SEC);
}

/* What becomes of workers under a policy. */
typedef struct
{
  const char *path;
  AfrpcOrphanPolicy policy;
  AfrpcBackend backend;
  gboolean forked;
  const char *what;
  const char *output; /* by three calls */
} Policy;

static const Policy policies[] = {
  { "/hygiene/policy/end", AFRPC_ORPHAN_POLICY_END, AFRPC_BACKEND_SYNC, FALSE, "outlive", "" },
  { "/hygiene/policy/finish/sync/exec", AFRPC_ORPHAN_POLICY_FINISH, AFRPC_BACKEND_SYNC, FALSE, "outlive",
    "finished\nfinished\nfinished\n" },
  { "/hygiene/policy/finish/sync/fork", AFRPC_ORPHAN_POLICY_FINISH, AFRPC_BACKEND_SYNC, TRUE, "outlive",
    "finished\nfinished\nfinished\n" },
  { "/hygiene/policy/finish/async", AFRPC_ORPHAN_POLICY_FINISH, AFRPC_BACKEND_ASYNC, FALSE, "outlive",
    "finished\nfinished\nfinished\n" },
  { "/hygiene/policy/finish/async/no-more", AFRPC_ORPHAN_POLICY_FINISH, AFRPC_BACKEND_ASYNC, FALSE, "watch-parent",
    "" },
  { "/hygiene/policy/ignore/sync", AFRPC_ORPHAN_POLICY_IGNORE, AFRPC_BACKEND_SYNC, FALSE, "outlive",
    "finished\nfinished\nfinished\n" },
  { "/hygiene/policy/ignore/async/exec", AFRPC_ORPHAN_POLICY_IGNORE, AFRPC_BACKEND_ASYNC, FALSE, "watch-parent",
    "lived on\n" },
  { "/hygiene/policy/ignore/async/fork", AFRPC_ORPHAN_POLICY_IGNORE, AFRPC_BACKEND_ASYNC, TRUE, "watch-parent",
    "lived on\n" },
  { "/hygiene/policy/ignore/async/finishes", AFRPC_ORPHAN_POLICY_IGNORE, AFRPC_BACKEND_ASYNC, FALSE,
    "outlive-then-exit", "finished\nfinished\nfinished\n" },
};

/* Makes three calls, and dies when the worker has got them. */
static void
be_killed (const Policy *policy)
{
  AfrpcProcess *process = new_process (policy->forked ? new_exec () : NULL);
  Watched watched;

  afrpc_process_set_orphan_policy (process, policy->policy);
  watch_init (&watched, new_proxy (process, policy->backend));
  watch_events (&watched);
  if (g_str_equal (policy->what, "watch-parent"))
    g_variant_unref (test_call (watched.proxy, test_act (policy->what, g_variant_new_string (g_getenv (OUTPUT_ENV))), NULL));
  else
    {
      for (guint i = 0; i < 3; i++)
        afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act (policy->what, g_variant_new_string (g_getenv (OUTPUT_ENV))), NULL,
                          NULL, NULL);
      while (watched.n_events == 0)
        g_main_context_iteration (NULL, TRUE);
    }
  kill (getpid (), SIGKILL);
}

static void
test_policy (gconstpointer data)
{
  const Policy *policy = data;
  g_autofree char *output = NULL;
  g_autofree char *path = NULL;
  g_autofree char *contents = NULL;
  gint64 orphaned_us;
  int status;

  g_test_summary ("What becomes of a worker whose program is killed is up to the program");
  if (g_test_subprocess ())
    be_killed (policy);

  close (g_file_open_tmp ("afrpc-XXXXXX", &path, NULL));
  g_setenv (OUTPUT_ENV, path, TRUE);
  output = run_program (policy->path, &status, &orphaned_us);
  assert_killed (status);
  g_assert_true (g_file_get_contents (path, &contents, NULL, NULL));
  g_assert_cmpstr (contents, ==, policy->output);
  unlink (path);
}

static void
test_policy_closed (void)
{
  g_autoptr(AfrpcProcess) process = new_exec ();
  g_auto(Watched) watched = { 0 };

  g_test_summary ("A worker that may live on without its program ends when it is closed");
  afrpc_process_set_orphan_policy (process, AFRPC_ORPHAN_POLICY_IGNORE);
  watch_init (&watched, new_proxy (process, AFRPC_BACKEND_ASYNC));
  g_variant_unref (test_call (watched.proxy, test_act ("pid", NULL), NULL));
  watch_end (&watched);
  g_assert_true (afrpc_exit_is_success (watched.exit));
}

/* One worker, from beginning to end; FALSE if it could not be started, and then for the right reason. */
static gboolean
try_worker (AfrpcProcess  *template, /* (nullable) */
            AfrpcStart    *start)
{
  g_autoptr(AfrpcProcess) process = new_process (template);
  g_autoptr(GVariant) pid = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(Watched) watched = { 0 };

  watch_init (&watched, new_proxy (process, AFRPC_BACKEND_SYNC));
  pid = test_call (watched.proxy, test_act ("pid", NULL), &error);
  if (pid == NULL)
    {
      g_test_message ("%s", error->message);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
    }
  watch_end (&watched);
  *start = afrpc_process_get_start (process);

  return pid != NULL;
}

/* Lowers the limit of descriptors, and opens as many as leaves room for @n_free more. */
static GArray *
fill_fds (guint    n_free,
          guint64 *n_fds_max)
{
  GArray *fillers = g_array_new (FALSE, FALSE, sizeof (int));
  int fd;

  *n_fds_max = own_process_limit_fds (100);
  while ((fd = open ("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
    g_array_append_val (fillers, fd);
  for (guint i = 0; i < n_free; i++)
    close (g_array_index (fillers, int, i));
  g_array_remove_range (fillers, 0, n_free);

  return fillers;
}

static void
unfill_fds (GArray  *fillers, /* (transfer full) */
            guint64  n_fds_max)
{
  for (guint i = 0; i < fillers->len; i++)
    close (g_array_index (fillers, int, i));
  own_process_limit_fds (n_fds_max);
  g_array_unref (fillers);
}

static void
test_no_fds (gconstpointer forked)
{
  g_autoptr(AfrpcProcess) template = forked ? new_exec () : NULL;
  guint n_failed = 0, n_before;
  guint64 n_fds_max;
  AfrpcStart start;

  g_test_summary ("A program without free descriptors gets an error, loses nothing, and goes on later");
  g_assert_true (try_worker (template, &start));
  n_before = test_count_fds ();

  for (guint n_free = 0; n_free < 16; n_free++)
    {
      GArray *fillers = fill_fds (n_free, &n_fds_max);

      if (!try_worker (template, &start))
        n_failed++;
      unfill_fds (fillers, n_fds_max);
      /* What the template makes for nothing goes when that is known. */
      while (test_count_fds () > n_before)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpuint (test_count_fds (), ==, n_before);
    }
  g_assert_cmpuint (n_failed, >, 0);
  g_assert_cmpuint (n_failed, <, 16);

  g_assert_true (try_worker (template, &start));
  g_assert_cmpint (start, ==, forked ? AFRPC_START_FORK : AFRPC_START_EXEC);
}

static void
test_no_fds_blocking (void)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(Watched) watched = { 0 };
  guint64 n_fds_max;
  GArray *fillers;

  g_test_summary ("A blocking call that can be cancelled needs no descriptor");
  watch_init (&watched, test_proxy_new ("echo", AFRPC_BACKEND_SYNC));
  g_variant_unref (test_call (watched.proxy, g_variant_new ("(s)", "x"), NULL));
  fillers = fill_fds (0, &n_fds_max);
  result = afrpc_caller_call_sync (AFRPC_CALLER (watched.proxy), g_variant_new ("(s)", "x"), cancellable, &error);
  unfill_fds (fillers, n_fds_max);
  g_assert_no_error (error);
}

/* Has a process forked while the program has room for @n_free more descriptors. Returns whether it works. */
static gboolean
fork_with_room_for (AfrpcProcess *template,
                    guint         n_free)
{
  g_autoptr(AfrpcProcess) process = new_process (template);
  g_autoptr(GError) error = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint64 n_fds_max;
  GArray *fillers;

  watch_init (&watched, new_proxy (process, AFRPC_BACKEND_SYNC));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), test_act ("pid", NULL), NULL, outcome_cb, &outcome);

  /* It gets the request, and answers when there is no room any more. */
  afrpc_process_kill (template, SIGSTOP);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  fillers = fill_fds (n_free, &n_fds_max);
  afrpc_process_kill (template, SIGCONT);
  outcome_wait (&outcome);
  unfill_fds (fillers, n_fds_max);

  if (outcome.error != NULL)
    {
      g_test_message ("%s", outcome.error->message);
      if (!g_error_matches (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED))
        g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
    }
  watch_end (&watched);

  return outcome.error == NULL;
}

static void
test_pidfd_lost (void)
{
  g_autoptr(AfrpcProcess) template = new_exec ();
  siginfo_t info = { 0 };
  AfrpcStart start;
  guint n_before;

  g_test_summary ("A forked process whose descriptor found no room is not lost, nor left behind");
  g_assert_true (try_worker (template, &start));
  n_before = test_count_fds ();

  for (guint n_free = 0; n_free < 3; n_free++)
    {
      /* It makes the little room that it needs. */
      g_assert_true (fork_with_room_for (template, n_free));
      /* Some of an earlier test's may have been there still. */
      g_assert_cmpuint (test_count_fds (), <=, n_before);
      g_assert_cmpint (waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL), ==, 0);
      g_assert_cmpint (info.si_pid, ==, 0);
    }

  g_assert_true (try_worker (template, &start));
  g_assert_cmpint (start, ==, AFRPC_START_FORK);
}

static void
test_pidfd_lost_lie (void)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_LYING_HOST"));
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_auto(Outcome) outcome = { 0 };
  guint64 n_fds_max;
  GArray *fillers;

  g_test_summary ("A process that a template names, and whose descriptor found no room, is signalled only if it is ours");
  afrpc_process_setenv (template, "AFRPC_TEST_LIE", "program", TRUE);
  process = afrpc_process_fork (template);
  watch_init (&watched, afrpc_proxy_new (process, "f"));
  afrpc_caller_call (AFRPC_CALLER (watched.proxy), NULL, NULL, outcome_cb, &outcome);
  while (afrpc_process_get_pid (template) == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_process_kill (template, SIGSTOP);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  fillers = fill_fds (0, &n_fds_max);
  afrpc_process_kill (template, SIGCONT);
  while (!outcome.done)
    {
      /* It is not the program that this kills. */
      afrpc_process_kill (process, SIGKILL);
      g_main_context_iteration (NULL, TRUE);
    }
  unfill_fds (fillers, n_fds_max);
  g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED);
  g_assert_cmpint (afrpc_process_get_pid (process), ==, 0);
}

static void
set_n_processes_max (int pid,
                     int n)
{
  struct rlimit limit;

  g_assert_cmpint (prlimit (pid, RLIMIT_NPROC, NULL, &limit), ==, 0);
  limit.rlim_cur = n < 0 ? limit.rlim_max : (rlim_t) n;
  g_assert_cmpint (prlimit (pid, RLIMIT_NPROC, &limit, NULL), ==, 0);
}

/* As nobody: the limit does not bind root. */
static void
reach_process_limit (void)
{
  g_autoptr(AfrpcProcess) template = NULL;
  AfrpcStart start;

  if (getuid () == 0 && (setgroups (0, NULL) != 0 || setgid (NOBODY) != 0 || setuid (NOBODY) != 0))
    _exit (77);
  /* A change of user takes it away. */
  prctl (PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (access (LIMIT_WORKER, R_OK) != 0)
    _exit (77);

  template = new_exec ();
  g_assert_true (try_worker (template, &start));
  g_assert_cmpint (start, ==, AFRPC_START_FORK);

  set_n_processes_max (afrpc_process_get_pid (template), 1);
  g_assert_true (try_worker (template, &start));
  g_assert_cmpint (start, ==, AFRPC_START_EXEC);

  set_n_processes_max (0, 1);
  g_assert_false (try_worker (template, &start));
  g_assert_false (try_worker (NULL, &start));

  set_n_processes_max (0, -1);
  set_n_processes_max (afrpc_process_get_pid (template), -1);
  g_assert_true (try_worker (template, &start));
  g_assert_cmpint (start, ==, AFRPC_START_FORK);
  g_assert_true (try_worker (NULL, &start));
}

static void
test_no_processes (void)
{
  g_autofree char *output = NULL;
  gint64 orphaned_us;
  int status;

  g_test_summary ("A user without free processes gets an error, loses nothing, and goes on later");
  if (g_test_subprocess ())
    {
      reach_process_limit ();
      return;
    }

  output = run_program ("/hygiene/no-processes", &status, &orphaned_us);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    g_test_skip ("another user cannot read what is tested");
  else
    {
      g_test_message ("%s", output);
      g_assert_cmpint (status, ==, 0);
    }
}

static void
test_small_files (void)
{
  const struct rlimit limit = { 4096, 4096 };
  int pid, status;

  g_test_summary ("A program that may have no files but small ones, as under a batch system, has workers all the same");
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      const int null = open ("/dev/null", O_WRONLY); /* for what is said here, which may go to a file */

      dup2 (null, STDOUT_FILENO);
      dup2 (null, STDERR_FILENO);
      _exit (setrlimit (RLIMIT_FSIZE, &limit) == 0 && test_call_new () ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hygiene/fds", test_fds);
  g_test_add_func ("/hygiene/large-parent", test_large_parent);
  g_test_add_func ("/hygiene/orphans", test_orphans);
  for (guint i = 0; i < G_N_ELEMENTS (policies); i++)
    g_test_add_data_func (policies[i].path, &policies[i], test_policy);
  g_test_add_func ("/hygiene/policy/closed", test_policy_closed);
  g_test_add_data_func ("/hygiene/no-fds/exec", GINT_TO_POINTER (FALSE), test_no_fds);
  g_test_add_data_func ("/hygiene/no-fds/fork", GINT_TO_POINTER (TRUE), test_no_fds);
  g_test_add_func ("/hygiene/no-fds/blocking", test_no_fds_blocking);
  g_test_add_func ("/hygiene/pidfd-lost", test_pidfd_lost);
  g_test_add_func ("/hygiene/pidfd-lost-lie", test_pidfd_lost_lie);
  g_test_add_func ("/hygiene/small-files", test_small_files);
  g_test_add_func ("/hygiene/no-processes", test_no_processes);

  return g_test_run ();
}
