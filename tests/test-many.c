/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many workers in one program: what they cost, which is counted, and that each of them is heard all the same. */
#include "config.h"

#include "test-util.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own-process.h"

#define N_WORKERS 40
#define N_DIRECT_MAX 4      /* polled by the main context itself */
#define N_BYTES_MAX 8192    /* that a worker takes in the program */
#define N_CALLS 100
#define N_LATE 100          /* more than are taken from the set at once */
#define LATE_US (31 * G_USEC_PER_SEC)

/* How long the program has slept, as far as the library knows; and what time it is, if that stands still. */
static gint64 slept_us;
static gint64 frozen_us; /* or 0 */

__attribute__ ((visibility ("default")))
gint64
g_get_monotonic_time (void)
{
  struct timespec now;

  if (frozen_us != 0)
    return frozen_us;

  clock_gettime (CLOCK_MONOTONIC, &now);

  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + slept_us;
}

typedef struct
{
  AfrpcProcess *template;
  AfrpcStdio standard_error;
  AfrpcProxy *proxies[N_WORKERS];
  guint n;
  gboolean by_socket;
} Crowd;

/* In a sandbox that knows no epoll the main context polls everything. */
static gboolean
has_epoll (void)
{
  const int fd = epoll_create1 (EPOLL_CLOEXEC);

  if (fd >= 0)
    close (fd);

  return fd >= 0;
}

static guint
count_polled (void)
{
  GMainContext *context = g_main_context_default ();
  int timeout_ms, priority;
  guint n;

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, G_MAXINT, &timeout_ms, NULL, 0);
  g_main_context_release (context);

  return n;
}

static void
call (AfrpcProxy *proxy,
      int         number)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = test_call (proxy, g_variant_new ("(i)", number), &error);
  g_autoptr(GVariant) expected = g_variant_ref_sink (g_variant_new ("(i)", number));

  g_assert_no_error (error);
  g_assert_true (g_variant_equal (result, expected));
}

static void
crowd_grow (Crowd *self,
            guint  n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (self->template);

      g_assert_cmpuint (self->n, <, N_WORKERS);
      afrpc_process_set_stderr (process, self->standard_error);
      self->proxies[self->n] =
        g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "echo", "ring", !self->by_socket, NULL);
      call (self->proxies[self->n], self->n);
      self->n++;
    }
}

static void
crowd_init (Crowd      *self,
            AfrpcStdio  standard_error,
            guint       n)
{
  *self = (Crowd) { .template = test_template_new (), .standard_error = standard_error };
  crowd_grow (self, n);
}

/* Orderly, and waits for that. */
static void
crowd_end (Crowd *self,
           guint  i)
{
  g_auto(Watched) watched = { NULL };

  watch_init (&watched, g_steal_pointer (&self->proxies[i]));
  watch_end (&watched);
  g_assert_no_error (watched.error);
}

static void
crowd_clear (Crowd *self)
{
  for (guint i = 0; i < self->n; i++)
    if (self->proxies[i] != NULL)
      crowd_end (self, i);
  g_clear_object (&self->template);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Crowd, crowd_clear)

static int
get_pid (Crowd *self,
         guint  i)
{
  return afrpc_process_get_pid (afrpc_proxy_get_process (self->proxies[i]));
}

static void
test_many_polled (void)
{
  g_auto(Crowd) crowd = { NULL };
  guint n_before, n_calls = 0;

  g_test_summary ("However many workers there are, the main context polls few descriptors");
  crowd_init (&crowd, AFRPC_STDIO_TEE, 1);
  n_before = count_polled ();
  crowd_grow (&crowd, N_WORKERS - 1);
  if (has_epoll ())
    g_assert_cmpuint (count_polled (), <=, n_before + N_DIRECT_MAX);
  else
    g_assert_cmpuint (count_polled (), >, n_before + N_WORKERS);

  /* Some take turns, so that what is polled changes all the time; and those that had none for long. */
  for (guint round = 1; round <= N_WORKERS; round++)
    for (guint i = 0; i < N_CALLS; i++)
      call (crowd.proxies[i % round * 7 % N_WORKERS], n_calls++);
  if (has_epoll ())
    g_assert_cmpuint (count_polled (), <=, n_before + N_DIRECT_MAX);
}

static void
test_many_lately (void)
{
  g_auto(Crowd) crowd = { NULL };
  guint n_before;

  g_test_summary ("A worker that is called again and again is polled by the main context itself");
  if (!has_epoll ())
    return g_test_skip ("there is no epoll");
  crowd_init (&crowd, AFRPC_STDIO_TEE, 1);
  /* With a ring, not every answer is told by what is polled. */
  crowd.by_socket = TRUE;
  for (guint i = 0; i < N_CALLS; i++)
    call (crowd.proxies[0], i);
  n_before = count_polled ();
  crowd_grow (&crowd, 1);
  for (guint i = 0; i < N_CALLS; i++)
    call (crowd.proxies[1], i);
  g_assert_cmpuint (count_polled (), ==, n_before + 1);
}

static void
dead_cb (AfrpcProcess *process,
         AfrpcExit    *exit,
         gpointer      n_dead)
{
  if (g_getenv ("AFRPC_TEST_GRANDCHILDREN") == NULL)
    g_assert_cmpint (afrpc_exit_get_signal (exit), ==, SIGKILL);
  ++*(guint *) n_dead;
}

static void
test_many_deaths (void)
{
  g_auto(Crowd) crowd = { NULL };
  guint n_dead = 0;

  g_test_summary ("Of idle workers that have died it is noticed, and of no others");
  crowd_init (&crowd, AFRPC_STDIO_TEE, N_WORKERS);
  for (guint i = 0; i < N_WORKERS; i++)
    {
      AfrpcProcess *process = afrpc_proxy_get_process (crowd.proxies[i]);

      g_signal_connect (crowd.proxies[i], "error", G_CALLBACK (test_ignore_cb), NULL);
      g_signal_connect (process, "exited", G_CALLBACK (dead_cb), &n_dead);
      if (i % 2 == 1)
        kill (get_pid (&crowd, i), SIGKILL);
    }
  while (n_dead < N_WORKERS / 2)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < N_WORKERS; i++)
    {
      if (i % 2 == 0)
        call (crowd.proxies[i], i);
      g_signal_handlers_disconnect_by_data (afrpc_proxy_get_process (crowd.proxies[i]), &n_dead);
      if (i % 2 == 1)
        g_clear_object (&crowd.proxies[i]);
    }
  g_assert_cmpuint (n_dead, ==, N_WORKERS / 2);
}

/* The sanitizer has a malloc () of its own. */
#ifdef __SANITIZE_ADDRESS__
#define COUNTS_BYTES FALSE
#else
#define COUNTS_BYTES TRUE
#endif

/* What many more of them take than few. */
static void
test_many_costs (gconstpointer data)
{
  const gboolean is_captured = GPOINTER_TO_INT (data);
  g_auto(Crowd) crowd = { NULL };
  const guint n = N_WORKERS / 2;
  gsize n_bytes;
  guint n_fds;

  g_test_summary ("A worker takes two descriptors, and one for its standard error, and 8 kB");
  crowd_init (&crowd, is_captured ? AFRPC_STDIO_TEE : AFRPC_STDIO_INHERIT, n);
  n_fds = test_count_fds ();
  n_bytes = mallinfo2 ().uordblks;
  crowd_grow (&crowd, n);
  /* Where there are no pidfds there is one less. */
  if (g_getenv ("AFRPC_TEST_NO_PIDFD") == NULL)
    g_assert_cmpuint (test_count_fds () - n_fds, ==, n * (is_captured ? 3 : 2));
  if (COUNTS_BYTES)
    g_assert_cmpuint ((mallinfo2 ().uordblks - n_bytes) / n, <=, N_BYTES_MAX);
}

/* More than are asked for before anything is written to them. */
#define N_AT_ONCE 150

static void
count_answer_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      n)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);

  g_assert_no_error (error);
  ++*(guint *) n;
}

static void
test_many_at_once (void)
{
  g_autoptr(AfrpcProcess) template = test_template_new ();
  g_autoptr(GPtrArray) proxies = g_ptr_array_new_with_free_func (g_object_unref);
  guint64 n_fds_max;
  guint n = 0;

  g_test_summary ("As many workers as fit in the limit of descriptors can be started at once");
  g_free (test_describe_start (afrpc_process_fork (template)));
  n_fds_max = own_process_limit_fds (test_count_fds () + 3 * N_AT_ONCE + 3 * 40);
  for (guint i = 0; i < N_AT_ONCE; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);

      afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
      g_ptr_array_add (proxies, afrpc_proxy_new (process, "echo"));
      afrpc_caller_call (proxies->pdata[i], NULL, NULL, count_answer_cb, &n);
    }
  while (n < N_AT_ONCE)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < N_AT_ONCE; i++)
    g_assert_true (afrpc_caller_close_sync (proxies->pdata[i], NULL, NULL));
  own_process_limit_fds (n_fds_max);
}

static void
test_many_no_room (void)
{
  g_auto(Crowd) crowd = { NULL };
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  guint64 n_fds_max;

  g_test_summary ("Who runs into the limit of open files is told which it is, and goes on with what he has");
  crowd_init (&crowd, AFRPC_STDIO_CAPTURE, 2);
  n_fds_max = own_process_limit_fds (test_count_fds () - 1);

  process = afrpc_process_fork (crowd.template);
  proxy = afrpc_proxy_new (process, "echo");
  g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
  result = test_call (proxy, NULL, &error);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_nonnull (strstr (error->message, "RLIMIT_NOFILE"));
  call (crowd.proxies[0], 1);

  own_process_limit_fds (n_fds_max);
  crowd_grow (&crowd, 1);
}

/* At each number of files that is too small for a worker and its template. */
static void
test_many_little_room (gconstpointer has_descriptor)
{
  const guint64 n_fds_max = own_process_limit_fds (1024);

  g_test_summary ("Whatever it is that there is no descriptor for, it is said which limit that is");
  for (guint i = 0;; i++)
    {
      g_autoptr(AfrpcProcess) template = test_process_new ();
      g_autoptr(AfrpcProcess) process = NULL;
      g_autoptr(AfrpcProxy) proxy = NULL;
      g_auto(Outcome) outcome = { 0 };

      own_process_limit_fds (test_count_fds () - 1 + i);
      process = afrpc_process_fork (template);
      if (has_descriptor != NULL)
        afrpc_process_send_fd (process, STDERR_FILENO);
      proxy = afrpc_proxy_new (process, "echo");
      g_signal_connect (proxy, "error", G_CALLBACK (test_ignore_cb), NULL);
      afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      own_process_limit_fds (1024);
      if (outcome.error == NULL)
        break;

      g_test_message ("%u: %d: %s", i, outcome.started, outcome.error->message);
      g_assert_error (outcome.error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
      g_assert_nonnull (strstr (outcome.error->message, "RLIMIT_NOFILE"));
      g_assert_cmpint (outcome.started, ==, AFRPC_STARTED_NO);
    }
  own_process_limit_fds (n_fds_max);
}

/* A child that executes nothing has copies of everything until it is told to end. It does not run its parent's main
 * loop, which would read what is its parent's; but it may have a worker itself. */
static void
be_child (int wait_fd)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;
  char byte;

  afrpc_process_require (process, TEST_WORKER);
  proxy = afrpc_proxy_new (process, "echo");
  result = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (afrpc_caller_close_sync (AFRPC_CALLER (proxy), NULL, NULL));
  if (read (wait_fd, &byte, 1) < 0)
    _exit (1);
  _exit (0);
}

static void
test_many_fork (void)
{
  g_auto(Crowd) crowd = { NULL };
  int fds[2], status, pid;
  guint n_iterations = 0;

  g_test_summary ("A child that the program forks is in nobody's way, whatever it holds, and has workers itself");
  crowd_init (&crowd, AFRPC_STDIO_TEE, N_WORKERS / 2);
  g_assert_cmpint (pipe (fds), ==, 0);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      close (fds[1]);
      be_child (fds[0]);
    }
  close (fds[0]);

  for (guint i = 0; i < crowd.n; i++)
    call (crowd.proxies[i], i);
  /* Nothing of those that end here is left in the set: the main loop would never wait again. */
  for (guint i = 0; i < crowd.n / 2; i++)
    crowd_end (&crowd, i);
  while (g_main_context_iteration (NULL, FALSE))
    g_assert_cmpuint (++n_iterations, <, 1000);
  crowd_grow (&crowd, N_WORKERS / 2);
  for (guint i = crowd.n / 4; i < crowd.n; i++)
    call (crowd.proxies[i], i);

  close (fds[1]);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

#define FDS_MAX 1024

/* Returns: which socket has the number, or 0 if none has */
static ino_t
get_socket (int fd)
{
  struct stat status;

  return fstat (fd, &status) == 0 && S_ISSOCK (status.st_mode) ? status.st_ino : 0;
}

/* Returns: how many sockets have something to be read, but those that were there before, as of a template */
static guint
count_readable_sockets (const ino_t before[FDS_MAX])
{
  guint n = 0;

  for (int fd = 0; fd < FDS_MAX; fd++)
    {
      struct pollfd poller = { fd, POLLIN, 0 };

      n += get_socket (fd) != before[fd] && get_socket (fd) != 0 && poll (&poller, 1, 0) == 1;
    }

  return n;
}

static void
late_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);
  guint *n_settled = data;

  g_assert_no_error (error);
  (*n_settled)++;
}

static void
test_many_late (void)
{
  AfrpcProxy *proxies[N_LATE];
  ino_t before[FDS_MAX];
  guint n_settled = 0;

  g_test_summary ("Workers that have greeted in time are not ended because the program has slept, however many they are");
  for (int fd = 0; fd < FDS_MAX; fd++)
    before[fd] = get_socket (fd);
  for (guint i = 0; i < N_LATE; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (NULL);

      afrpc_process_require (process, TEST_WORKER);
      afrpc_process_set_stderr (process, AFRPC_STDIO_INHERIT);
      proxies[i] = afrpc_proxy_new (process, "echo");
      afrpc_caller_call (AFRPC_CALLER (proxies[i]), NULL, NULL, late_cb, &n_settled);
    }
  /* All are started, however long that takes. */
  frozen_us = g_get_monotonic_time ();
  g_main_context_iteration (NULL, FALSE);
  frozen_us = 0;
  while (count_readable_sockets (before) < N_LATE)
    g_thread_yield ();

  slept_us += LATE_US;
  while (n_settled < N_LATE)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < N_LATE; i++)
    {
      g_auto(Watched) watched = { NULL };

      watch_init (&watched, proxies[i]);
      watch_end (&watched);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/many/polled", test_many_polled);
  g_test_add_func ("/many/lately", test_many_lately);
  g_test_add_func ("/many/deaths", test_many_deaths);
  g_test_add_data_func ("/many/costs", GINT_TO_POINTER (FALSE), test_many_costs);
  g_test_add_data_func ("/many/costs-captured", GINT_TO_POINTER (TRUE), test_many_costs);
  g_test_add_func ("/many/at-once", test_many_at_once);
  g_test_add_func ("/many/no-room", test_many_no_room);
  g_test_add_data_func ("/many/little-room", NULL, test_many_little_room);
  g_test_add_data_func ("/many/little-room-descriptor", "descriptor", test_many_little_room);
  g_test_add_func ("/many/fork", test_many_fork);
  g_test_add_func ("/many/late", test_many_late);

  return g_test_run ();
}
