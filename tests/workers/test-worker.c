/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests call: functions that behave, and functions that die, lie and hang. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET 3 /* where a host has its socket */

#define EXPORT __attribute__ ((visibility ("default")))

AFRPC_FUNCTION (echo, NULL)
AFRPC_FUNCTION (act, "(sv)")
AFRPC_FUNCTION (count, "(u)")
AFRPC_FUNCTION (get_start, NULL)
AFRPC_ASYNC_FUNCTION (act_async, "(sv)")

EXPORT gboolean init_ok (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_error (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_silent (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_hang (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_meet (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_event (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_private (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT gboolean init_retire (AfrpcWorker *worker, GVariant *args, GError **error);
EXPORT void done_note (AfrpcWorker *worker);
EXPORT void done_live_on (AfrpcWorker *worker);
EXPORT void done_stay (AfrpcWorker *worker);
EXPORT void done_hang (AfrpcWorker *worker);
EXPORT void run_echo (AfrpcWorker *worker, int fd);
EXPORT void run_leave (AfrpcWorker *worker, int fd);
EXPORT int not_a_function;

int not_a_function = 1;
static GVariant *init_args;

static gpointer
thread_main (gpointer data)
{
  for (;;)
    pause ();

  return NULL;
}

/* A module that starts a thread as soon as it is loaded cannot be forked. */
static void __attribute__ ((constructor))
start_thread (void)
{
  if (g_getenv ("AFRPC_TEST_THREAD") != NULL)
    g_thread_unref (g_thread_new ("test", thread_main, NULL));
}

static void
write_all (int         fd,
           const void *data,
           gsize       size)
{
  const char *bytes = data;

  while (size > 0)
    {
      gssize n = write (fd, bytes, size);

      if (n <= 0)
        _exit (99);
      bytes += n;
      size -= n;
    }
}

GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}

/* Bytes that look like a result as far as they go: a frame's header, type and payload. */
static void
send_part_of_result (guint n)
{
  guint8 frame[24 + 8 + 8] = { 0 };

  frame[0] = 11; /* a result */
  frame[4] = 1;  /* characters in the type */
  frame[8] = 1;
  frame[16] = 2; /* bytes in the payload */
  frame[24] = 's';
  frame[32] = 'x';
  write_all (SOCKET, frame, MIN (n, sizeof frame));
}

static void
send_fds (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      char byte = 0;
      struct iovec iov = { &byte, 1 };
      char control[CMSG_SPACE (sizeof (int) * 100)] = { 0 };
      struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
      struct cmsghdr *cmsg = CMSG_FIRSTHDR (&message);

      cmsg->cmsg_level = SOL_SOCKET;
      cmsg->cmsg_type = SCM_RIGHTS;
      cmsg->cmsg_len = CMSG_LEN (sizeof (int) * 100);
      for (guint j = 0; j < 100; j++)
        memcpy (CMSG_DATA (cmsg) + j * sizeof (int), &(int) { 0 }, sizeof (int));
      if (sendmsg (SOCKET, &message, MSG_NOSIGNAL) < 0)
        _exit (98);
    }
}

static void
hang (void)
{
  for (;;)
    pause ();
}

/* Does what no worker should. */
static void
misbehave (const char *what,
           guint       n)
{
  if (g_str_equal (what, "exit"))
    exit (n);
  else if (g_str_equal (what, "abort"))
    abort ();
  else if (g_str_equal (what, "signal"))
    {
      signal (n, SIG_DFL); /* whatever a sanitizer has put there */
      raise (n);
    }
  else if (g_str_equal (what, "die-saying"))
    {
      g_printerr ("first line\nthe last words\n");
      _exit (n);
    }
  else if (g_str_equal (what, "die-writing"))
    {
      g_autofree char *text = g_strnfill (n, '\n');

      write_all (STDERR_FILENO, text, n);
      write_all (STDERR_FILENO, "and no more", strlen ("and no more"));
      _exit (3);
    }
  else if (g_str_equal (what, "part"))
    {
      send_part_of_result (n);
      _exit (7);
    }
  else if (g_str_equal (what, "garbage"))
    {
      guint8 bytes[256];

      memset (bytes, n, sizeof bytes);
      write_all (SOCKET, bytes, sizeof bytes);
      hang ();
    }
  else if (g_str_equal (what, "wrong-serial"))
    {
      send_part_of_result (G_MAXUINT);
      hang ();
    }
  else if (g_str_equal (what, "huge-frame"))
    {
      guint8 header[24] = { 11, 0, 0, 0, 1 };

      memset (header + 16, 0x7f, 8);
      write_all (SOCKET, header, sizeof header);
      hang ();
    }
  else if (g_str_equal (what, "fds"))
    {
      send_fds (n);
      hang ();
    }
  else if (g_str_equal (what, "close-socket"))
    {
      close (SOCKET);
      hang ();
    }
  else if (g_str_equal (what, "hang"))
    hang ();
  else if (g_str_equal (what, "stop"))
    raise (SIGSTOP);
  else if (g_str_equal (what, "fork-and-exit"))
    {
      /* A grandchild that holds the socket open. */
      if (fork () == 0)
        {
          poll (NULL, 0, 5000);
          _exit (0);
        }
      _exit (n);
    }
}

static int lingers_fd = -1;

/* Among the last that a process runs; it says so, and stays. */
static void __attribute__ ((destructor))
linger (void)
{
  if (lingers_fd < 0)
    return;

  write_all (lingers_fd, "lingers\n", strlen ("lingers\n"));
  for (;;)
    pause ();
}

/* Asks the parent's test, over a pipe that it opened by name, to go on, and waits for its word. */
static void
meet_at (const char *path)
{
  char byte;
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  while (fd >= 0 && read (fd, &byte, 1) > 0)
    ;
  close (fd);
}

static void
meet (GVariant *value)
{
  meet_at (g_variant_get_string (value, NULL));
}

static GVariant *
zeros (GVariant *size_value)
{
  gsize size = g_variant_get_uint32 (size_value);
  gpointer bytes = g_malloc0 (size);

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

/* What was said by "configure" so far. */
static GString *
get_configuration (void)
{
  static GString *configuration;

  if (configuration == NULL)
    configuration = g_string_new (NULL);

  return configuration;
}

static GVariant *
perform (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  const char *what;
  g_autoptr(GVariant) value = NULL;

  g_variant_get (args, "(&sv)", &what, &value);

  if (g_str_equal (what, "return"))
    return g_variant_ref (value);
  if (g_str_equal (what, "file-error"))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such thing");
      return NULL;
    }
  if (g_str_equal (what, "unknown-error"))
    {
      g_set_error (error, g_quark_from_string (g_variant_get_string (value, NULL)), 42, "a private matter");
      return NULL;
    }
  if (g_str_equal (what, "nothing"))
    return NULL;
  if (g_str_equal (what, "malformed"))
    return g_variant_new_from_data (G_VARIANT_TYPE_STRING, "no end", 6, FALSE, NULL, NULL);
  if (g_str_equal (what, "say"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      afrpc_worker_flush (worker);
      return perform (worker, value, error);
    }
  if (g_str_equal (what, "bytes"))
    return zeros (value);
  if (g_str_equal (what, "event"))
    {
      afrpc_worker_event (worker, value);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "large-event"))
    {
      afrpc_worker_event (worker, zeros (value));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "event-flush-exit"))
    {
      afrpc_worker_event (worker, g_variant_ref (value));
      afrpc_worker_flush (worker);
      _exit (0);
    }
  if (g_str_equal (what, "retire"))
    {
      afrpc_worker_retire (worker);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "meet"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      afrpc_worker_flush (worker);
      meet (value);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "until-cancelled"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      while (!afrpc_worker_is_cancelled (worker) && getppid () != 1)
        poll (NULL, 0, 1);
      afrpc_worker_event (worker, g_variant_new_string ("cancelled"));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "lose-socket"))
    {
      close (SOCKET);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "spin"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      for (volatile guint i = 0;; i = i + 1)
        ;
    }
  if (g_str_equal (what, "grow"))
    {
      static gpointer volatile kept;

      kept = g_malloc (g_variant_get_uint32 (value));
      memset (kept, 1, g_variant_get_uint32 (value));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "start"))
    {
      const pid_t pid = fork ();

      while (pid == 0)
        pause ();
      return g_variant_new_int32 (pid);
    }
  if (g_str_equal (what, "ignore"))
    {
      signal (g_variant_get_int32 (value), SIG_IGN);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "linger"))
    {
      lingers_fd = g_variant_get_int32 (value);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "leave"))
    {
      g_assert (setpgid (0, getpgid (getppid ())) == 0);
      lingers_fd = g_variant_get_int32 (value);
      linger ();
    }
  if (g_str_equal (what, "mumble"))
    {
      fputs (g_variant_get_string (value, NULL), stdout);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "reap"))
    {
      int status;

      while (waitpid (-1, &status, 0) < 0 && errno == EINTR)
        ;
      return g_variant_new_int32 (WTERMSIG (status));
    }
  if (g_str_equal (what, "wait"))
    {
      poll (NULL, 0, g_variant_get_uint32 (value));
      return g_variant_ref (value);
    }
  if (g_str_equal (what, "configure"))
    {
      g_string_append (get_configuration (), g_variant_get_string (value, NULL));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "configuration"))
    return g_variant_new_string (get_configuration ()->str);
  if (g_str_equal (what, "die-once"))
    {
      if (!g_file_test (g_variant_get_string (value, NULL), G_FILE_TEST_EXISTS))
        {
          close (open (g_variant_get_string (value, NULL), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
          _exit (3);
        }
      g_string_append (get_configuration (), "again");
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "touch"))
    {
      close (open (g_variant_get_string (value, NULL), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "getenv"))
    {
      const char *env = g_getenv (g_variant_get_string (value, NULL));

      return g_variant_new_string (env != NULL ? env : "unset");
    }
  if (g_str_equal (what, "getcwd"))
    return g_variant_new_take_string (g_get_current_dir ());
  if (g_str_equal (what, "readlink"))
    {
      g_autofree char *target = g_file_read_link (g_variant_get_string (value, NULL), NULL);

      return g_variant_new_string (target != NULL ? target : "nothing");
    }
  if (g_str_equal (what, "read"))
    {
      g_autofree char *contents = NULL;

      if (!g_file_get_contents (g_variant_get_string (value, NULL), &contents, NULL, error))
        return NULL;
      return g_variant_new_string (contents);
    }
  if (g_str_equal (what, "print"))
    {
      fputs (g_variant_get_string (value, NULL), stdout);
      fflush (stdout);
      return g_variant_new_boolean (TRUE);
    }
  if (g_str_equal (what, "stderr"))
    {
      const char *text = g_variant_get_string (value, NULL);

      write_all (STDERR_FILENO, text, strlen (text));
      return g_variant_new_boolean (TRUE);
    }
  misbehave (what, g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32) ? g_variant_get_uint32 (value) : 0);
  return g_variant_new_boolean (TRUE);
}

/* What came with a call, or 'none', and the arguments. */
static GVariant *
tell_metadata (GVariant *metadata, /* (nullable) */
               GVariant *args)
{
  return g_variant_new ("(vv)", metadata != NULL ? metadata : g_variant_new_string ("none"), args);
}

GVariant *
act (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  const char *what;

  g_variant_get_child (args, 0, "&s", &what);
  if (g_str_equal (what, "metadata"))
    return tell_metadata (afrpc_worker_get_metadata (worker), args);

  return perform (worker, args, error);
}

/* Emits as many numbers as it is told, and returns the next one. */
GVariant *
count (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  static guint32 next;
  guint32 n;

  g_variant_get (args, "(u)", &n);
  for (guint32 i = 0; i < n; i++)
    afrpc_worker_event (worker, g_variant_new_uint32 (next++));

  return g_variant_new_uint32 (next++);
}

/* What init was given, what get_args says, and how many descriptors there are with which contents. */
GVariant *
get_start (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  GVariantBuilder contents;

  g_variant_builder_init (&contents, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < afrpc_worker_get_n_fds (worker); i++)
    {
      char buffer[16] = "";
      int fd = afrpc_worker_steal_fd (worker, i);

      if (fd < 0)
        g_strlcpy (buffer, "stolen", sizeof buffer);
      else if (read (fd, buffer, sizeof buffer - 1) < 0)
        g_strlcpy (buffer, "unreadable", sizeof buffer);
      if (fd >= 0)
        close (fd);
      g_variant_builder_add (&contents, "s", buffer);
    }

  return g_variant_new ("(@vvas)", init_args != NULL ? g_variant_new_variant (init_args) : g_variant_new_variant (g_variant_new_string ("none")),
                        afrpc_worker_get_args (worker), &contents);
}

static guint n_running, n_running_most;

/* Says how many have been running at once so far. */
static gboolean
answer_crowd_cb (gpointer invocation)
{
  n_running--;
  afrpc_invocation_return_value (invocation, g_variant_new_uint32 (n_running_most));

  return G_SOURCE_REMOVE;
}

static gboolean
answer_later_cb (gpointer data)
{
  AfrpcInvocation *invocation = data;

  afrpc_invocation_return_value (invocation, g_variant_new_string ("later"));

  return G_SOURCE_REMOVE;
}

static void
cancelled_cb (GCancellable    *cancellable,
              AfrpcInvocation *invocation)
{
  AfrpcWorker *worker = afrpc_invocation_get_worker (invocation);

  afrpc_worker_event (worker, g_variant_new_string (afrpc_invocation_is_cancelled (invocation) ? "cancelled" : "?"));
  afrpc_invocation_return_error_literal (invocation, G_IO_ERROR, G_IO_ERROR_CANCELLED, "was cancelled");
}

static void
cancelled_signal_cb (AfrpcInvocation *invocation)
{
  cancelled_cb (NULL, invocation);
}

static void
stale_cb (AfrpcInvocation *invocation)
{
  afrpc_worker_event (afrpc_invocation_get_worker (invocation), g_variant_new_string ("stale"));
}

void
act_async (AfrpcInvocation *invocation)
{
  static AfrpcInvocation *kept;
  GVariant *args = afrpc_invocation_get_args (invocation);
  AfrpcWorker *worker = afrpc_invocation_get_worker (invocation);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  const char *what;

  g_variant_get (args, "(&sv)", &what, &value);

  if (g_str_equal (what, "later"))
    g_timeout_add_full (G_PRIORITY_DEFAULT, g_variant_get_uint32 (value), answer_later_cb, g_object_ref (invocation),
                        g_object_unref);
  else if (g_str_equal (what, "run-on"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      g_timeout_add_full (G_PRIORITY_DEFAULT, G_MAXINT, answer_later_cb, g_object_ref (invocation), g_object_unref);
    }
  else if (g_str_equal (what, "crowd"))
    {
      n_running++;
      n_running_most = MAX (n_running_most, n_running);
      g_timeout_add_full (G_PRIORITY_DEFAULT, g_variant_get_uint32 (value), answer_crowd_cb, g_object_ref (invocation),
                          g_object_unref);
    }
  else if (g_str_equal (what, "keep") || g_str_equal (what, "keep-saying"))
    {
      g_set_object (&kept, invocation);
      if (g_str_equal (what, "keep-saying"))
        g_printerr ("kept\n");
    }
  else if (g_str_equal (what, "release"))
    {
      afrpc_invocation_return_value (kept, g_variant_new_string ("released"));
      g_clear_object (&kept);
      afrpc_invocation_return_value (invocation, g_variant_new_string ("done"));
    }
  else if (g_str_equal (what, "forget"))
    ;
  else if (g_str_equal (what, "answer-and-exit"))
    {
      afrpc_invocation_return_value (invocation, g_variant_new_string ("lost"));
      _exit (g_variant_get_uint32 (value));
    }
  else if (g_str_equal (what, "metadata"))
    {
      g_autoptr(GVariant) told = NULL;

      told = g_variant_ref_sink (tell_metadata (afrpc_invocation_get_metadata (invocation), args));
      g_assert (afrpc_worker_get_metadata (worker) == NULL);
      afrpc_invocation_return_value (invocation, told);
    }
  else if (g_str_equal (what, "connect"))
    {
      g_signal_connect (invocation, "cancelled", G_CALLBACK (stale_cb), NULL);
      afrpc_invocation_return_value (invocation, g_variant_new_string ("connected"));
    }
  else if (g_str_equal (what, "wait-signal"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      g_signal_connect (g_object_ref (invocation), "cancelled", G_CALLBACK (cancelled_signal_cb), NULL);
      g_signal_connect (invocation, "cancelled", G_CALLBACK (g_object_unref), NULL);
    }
  else if (g_str_equal (what, "wait-cancelled"))
    {
      afrpc_worker_event (worker, g_variant_new_string ("here"));
      g_signal_connect_data (afrpc_invocation_get_cancellable (invocation), "cancelled", G_CALLBACK (cancelled_cb),
                             g_object_ref (invocation), (GClosureNotify) g_object_unref, 0);
    }
  else
    {
      GVariant *result = perform (worker, args, &error);

      if (result != NULL)
        {
          afrpc_invocation_return_value (invocation, result);
          if (!g_variant_is_floating (result) && g_str_equal (what, "return"))
            g_variant_unref (result);
        }
      else if (error != NULL)
        afrpc_invocation_return_error (invocation, error);
    }
}

gboolean
init_ok (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  init_args = g_variant_ref (args);
  return TRUE;
}

gboolean
init_error (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_ACCES, "the cellar is locked");
  return FALSE;
}

gboolean
init_silent (AfrpcWorker  *worker,
             GVariant     *args,
             GError      **error)
{
  return FALSE;
}

gboolean
init_hang (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  for (;;)
    pause ();
}

/* Waits as long as the parent's test likes, or is killed before. */
gboolean
init_meet (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  meet_at (g_getenv ("AFRPC_TEST_MEETING"));
  return TRUE;
}

gboolean
init_event (AfrpcWorker  *worker,
            GVariant     *args,
            GError      **error)
{
  afrpc_worker_event (worker, g_variant_new_string ("too early"));
  return TRUE;
}

/* Nobody may look into it who may not look into everything. */
gboolean
init_private (AfrpcWorker  *worker,
              GVariant     *args,
              GError      **error)
{
  return prctl (PR_SET_DUMPABLE, 0) == 0;
}

gboolean
init_retire (AfrpcWorker  *worker,
             GVariant     *args,
             GError      **error)
{
  afrpc_worker_retire (worker);
  return TRUE;
}

static void
note (AfrpcWorker *worker,
      const char  *text)
{
  int fd = afrpc_worker_steal_fd (worker, 0);

  write_all (fd, text, strlen (text));
  close (fd);
}

void
done_note (AfrpcWorker *worker)
{
  note (worker, "done");
}

static gboolean
done_later_cb (gpointer worker)
{
  note (worker, "lived on");
  exit (5);
}

void
done_live_on (AfrpcWorker *worker)
{
  g_timeout_add (20, done_later_cb, worker);
}

/* An async worker goes on until something has it exit. */
void
done_stay (AfrpcWorker *worker)
{
}

/* Does not end by itself. */
void
done_hang (AfrpcWorker *worker)
{
  for (;;)
    pause ();
}

/* Leaves a process behind that has the socket until the other end closes. */
void
run_leave (AfrpcWorker *worker,
           int          fd)
{
  char byte;

  if (fork () == 0)
    _exit (read (fd, &byte, 1) != 0);
  write_all (fd, "bye", 3);
}

void
run_echo (AfrpcWorker *worker,
          int          fd)
{
  g_autofree char *args = g_variant_print (afrpc_worker_get_args (worker), FALSE);
  char buffer[256];
  gssize n;

  write_all (fd, args, strlen (args) + 1);
  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    write_all (fd, buffer, n);
  close (fd);
}
