/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A module that takes longer to load than its program lives, if it is told of that: it ends it itself. Should it be loaded,
 * it writes that down. It may also wait for something to be read first, and says if it could not do so in peace. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

AFRPC_FUNCTION (nothing, NULL)

GVariant *
nothing (AfrpcWorker  *worker,
         GVariant     *args,
         GError      **error)
{
  return NULL;
}

static void
write_down (const char *word)
{
  const char *path = g_getenv ("AFRPC_TEST_LOADING_FILE");
  const int fd = path != NULL ? open (path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

  if (fd < 0)
    return;
  if (write (fd, word, strlen (word)) < 0)
    perror (path);
  close (fd);
}

/* Something that lives as long as nobody ends it */
static void
start_other (void)
{
  g_autofree char *word = NULL;
  const int pid = fork ();

  while (pid == 0)
    pause ();
  word = g_strdup_printf ("%d ", pid);
  write_down (word);
}

static void
wait_to_read (const char *path)
{
  struct pollfd poller = { open (path, O_RDWR | O_CLOEXEC), POLLIN, 0 };

  write_down ("waiting ");
  while (poll (&poller, 1, -1) < 0)
    write_down (errno == EINTR ? "interrupted " : "failing ");
  close (poller.fd);
}

/* What no module should do. */
static void
misbehave (const char *what)
{
  const struct rlimit none = { 0, 0 };

  if (g_str_equal (what, "close"))
    close_range (3, ~0u, 0);
  else if (g_str_equal (what, "replace"))
    {
      close_range (4, ~0u, 0);
      for (guint i = 0; i < 16; i++)
        open (g_getenv ("AFRPC_TEST_LOADING_FILE"), O_RDWR | O_APPEND | O_CLOEXEC);
    }
  else if (g_str_equal (what, "limit"))
    setrlimit (RLIMIT_NOFILE, &none);
  else if (g_str_equal (what, "end-thread"))
    syscall (SYS_exit, 5);
  else if (g_str_equal (what, "pthread-exit"))
    pthread_exit (NULL);
}

static void __attribute__ ((constructor))
load (void)
{
  const char *seconds = g_getenv ("AFRPC_TEST_LOADING_S");
  const char *misdeed = g_getenv ("AFRPC_TEST_LOADING_DOES");
  const gint64 until = g_get_monotonic_time () + (seconds != NULL ? atoi (seconds) : 0) * G_USEC_PER_SEC;
  const char *pid = g_getenv ("AFRPC_TEST_PROGRAM");
  const int program = pid != NULL ? atoi (pid) : 0;

  write_down ("loading ");
  if (g_getenv ("AFRPC_TEST_LOADING_STARTS") != NULL)
    start_other ();
  if (g_getenv ("AFRPC_TEST_LOADING_WAITS") != NULL)
    wait_to_read (g_getenv ("AFRPC_TEST_LOADING_WAITS"));
  if (misdeed != NULL)
    {
      misbehave (misdeed);
      return;
    }
  if (program > 0)
    kill (program, SIGKILL);
  while (g_get_monotonic_time () < until)
    ;
  write_down ("loaded");
}
