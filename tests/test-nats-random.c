/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls at random, while workers, those who serve, and NATS are killed at random: each has one outcome; none is done twice that may
 * not be; none is done of which it is said that it was not begun. The workers write down what they begin. */

#define N_SERVERS 2u
#define N_PENDING_MAX 60u

typedef struct
{
  NatsServer nats;
  char *ledger;
  int pids[N_SERVERS];
  int pid_stopped; /* 0: none */
  AfrpcNatsCaller *caller;
  GPtrArray *calls; /* (element-type AfrpcCall): by what they are called with */
  GArray *idempotent; /* (element-type gboolean): likewise */
  guint n_pending;
  guint n_outcomes[4]; /* values, then errors by AfrpcStarted */
} Random;

static void
die_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static int
start_serving (Random *self)
{
  const char *argv[] = { g_getenv ("AFRPC_TOOL"), "serve", "--nats", self->nats.url, "--subject", NATS_SUBJECT, "-j", "2",
                         "--init", "init_log", "--init-arg", self->ledger, g_getenv ("AFRPC_TEST_POOL_WORKER"), "work", NULL };
  g_autoptr(GError) error = NULL;
  int pid = 0;

  g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, die_with_parent, NULL, &pid,
                 &error);
  g_assert_no_error (error);

  return pid;
}

static void
random_init (Random *self)
{
  g_autoptr(AfrpcNatsConnection) connection = NULL;
  int fd;

  memset (self, 0, sizeof *self);
  nats_server_init (&self->nats, NULL);
  fd = g_file_open_tmp ("afrpc-nats-XXXXXX", &self->ledger, NULL);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  for (guint i = 0; i < N_SERVERS; i++)
    self->pids[i] = start_serving (self);
  connection = afrpc_nats_connection_new (self->nats.url);
  self->caller = g_object_new (AFRPC_NATS_TYPE_CALLER, "connection", connection, "subject", NATS_SUBJECT, "no-servers-timeout-ms",
                               60000, "listens", FALSE, NULL);
  /* A first attempt that fails is the last. */
  connection_wait (connection, AFRPC_NATS_STATE_CONNECTED);
  g_signal_connect (self->caller, "error", G_CALLBACK (test_ignore_cb), NULL);
  self->calls = g_ptr_array_new_with_free_func (g_object_unref);
  self->idempotent = g_array_new (FALSE, TRUE, sizeof (gboolean));
}

static void
settled_cb (GObject      *object,
            GAsyncResult *result,
            gpointer      data)
{
  Random *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_call_wait_finish (AFRPC_CALL (object), result, &error);

  self->n_pending--;
  self->n_outcomes[value != NULL ? 0 : 1 + afrpc_call_get_started (AFRPC_CALL (object))]++;
}

static void
begin_call (Random *self)
{
  static const guint whats[] = { 0, 0, 0, 0, 6, 6, 6, 2, 1, 5 };
  const guint id = self->calls->len;
  /* Now and then one takes long, behind which others wait that go elsewhere. */
  const guint what = g_test_rand_int_range (0, 200) == 0 ? 8 : whats[g_test_rand_int_range (0, G_N_ELEMENTS (whats))];
  const gboolean idempotent = g_test_rand_int_range (0, 3) == 0;
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();
  AfrpcCall *call;

  afrpc_call_options_set_idempotent (options, idempotent);
  if (what == 5 || g_test_rand_int_range (0, 10) == 0)
    afrpc_call_options_set_timeout_ms (options, g_test_rand_int_range (1, 100));
  call = afrpc_caller_start (AFRPC_CALLER (self->caller), g_variant_new ("(uu)", id, what), options);
  g_ptr_array_add (self->calls, call);
  g_array_append_val (self->idempotent, idempotent);
  self->n_pending++;
  afrpc_call_wait (call, NULL, settled_cb, self);
  if (g_test_rand_int_range (0, 15) == 0)
    afrpc_call_cancel (self->calls->pdata[g_test_rand_int_range (MAX (0, (int) id - 30), id + 1)]);
}

static void
kill_server (Random *self,
             guint   i)
{
  if (self->pids[i] == self->pid_stopped)
    self->pid_stopped = 0;
  kill (self->pids[i], SIGKILL);
  g_assert_cmpint (waitpid (self->pids[i], NULL, 0), ==, self->pids[i]);
  self->pids[i] = start_serving (self);
}

/* Some child of who serves; that it is one when it is killed is not sure, and does not matter. */
static void
kill_worker (Random *self,
             guint   i)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task/%d/children", self->pids[i], self->pids[i]);
  g_autofree char *text = NULL;
  g_auto(GStrv) words = NULL;
  guint n;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return;
  words = g_strsplit (g_strstrip (text), " ", 0);
  n = g_strv_length (words);
  if (n > 0 && atoi (words[n - 1]) > 1)
    kill (atoi (words[g_test_rand_int_range (0, n)]), SIGKILL);
}

static void
do_harm (Random *self)
{
  const guint i = g_test_rand_int_range (0, N_SERVERS);

  switch (g_test_rand_int_range (0, 8))
    {
    case 0:
      kill_server (self, i);
      break;

    case 1:
      nats_server_kill (&self->nats, SIGKILL);
      nats_server_start (&self->nats);
      break;

    case 2:
      if (self->pid_stopped != 0)
        kill (self->pid_stopped, SIGCONT);
      self->pid_stopped = self->pid_stopped == 0 ? self->pids[i] : 0;
      if (self->pid_stopped != 0)
        kill (self->pid_stopped, SIGSTOP);
      break;

    default:
      kill_worker (self, i);
      break;
    }
}

static guint *
read_ledger (Random *self)
{
  guint *counts = g_new0 (guint, self->calls->len);
  g_autofree char *text = NULL;
  gsize size;
  g_autoptr(GError) error = NULL;

  g_file_get_contents (self->ledger, &text, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (size % 12, ==, 0);
  for (gsize i = 0; i < size; i += 12)
    {
      guint32 id;

      memcpy (&id, text + i, sizeof id);
      g_assert_cmpuint (id, <, self->calls->len);
      counts[id]++;
    }

  return counts;
}

static void
check (Random *self)
{
  g_autofree guint *counts = read_ledger (self);

  for (guint i = 0; i < self->calls->len; i++)
    {
      AfrpcCall *call = self->calls->pdata[i];
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = afrpc_call_wait_sync (call, NULL, &error);

      if (value != NULL)
        {
          g_assert_cmpuint (g_variant_get_uint32 (value), ==, i);
          g_assert_cmpuint (counts[i], >=, 1);
        }
      else if (afrpc_call_get_started (call) == AFRPC_STARTED_NO)
        {
          if (counts[i] > 0)
            g_error ("call %u was begun: %s", i, error->message);
        }
      if (!g_array_index (self->idempotent, gboolean, i))
        g_assert_cmpuint (counts[i], <=, 1);
    }
}

static void
test_nats_random (void)
{
  const gint64 end_us = g_get_monotonic_time () + (g_test_slow () ? 60 : 12) * G_USEC_PER_SEC;
  gint64 harm_us = 0;
  gboolean destroyed = FALSE;
  Random self;

  random_init (&self);
  while (g_get_monotonic_time () < end_us)
    {
      for (int n = g_test_rand_int_range (0, 20); n > 0 && self.n_pending < N_PENDING_MAX; n--)
        begin_call (&self);
      g_main_context_iteration (NULL, self.n_pending >= N_PENDING_MAX);
      if (harm_us < g_get_monotonic_time ())
        {
          do_harm (&self);
          harm_us = g_get_monotonic_time () + g_test_rand_int_range (1, 400) * 1000;
        }
    }
  if (self.pid_stopped != 0)
    kill (self.pid_stopped, SIGCONT);
  g_signal_connect_swapped (self.caller, "destroyed", G_CALLBACK (test_count_cb), &destroyed);
  afrpc_caller_close (AFRPC_CALLER (self.caller));
  test_iterate_until (&destroyed);
  g_assert_cmpuint (self.n_pending, ==, 0);
  for (guint i = 0; i < N_SERVERS; i++)
    {
      kill (self.pids[i], SIGTERM);
      g_assert_cmpint (waitpid (self.pids[i], NULL, 0), ==, self.pids[i]);
    }
  g_test_message ("%u calls: %u values; errors: %u not started, %u started, %u unknown", self.calls->len, self.n_outcomes[0],
                  self.n_outcomes[1 + AFRPC_STARTED_NO], self.n_outcomes[1 + AFRPC_STARTED_YES],
                  self.n_outcomes[1 + AFRPC_STARTED_UNKNOWN]);
  check (&self);
  g_ptr_array_unref (self.calls);
  g_array_unref (self.idempotent);
  g_object_unref (self.caller);
  g_unlink (self.ledger);
  g_free (self.ledger);
  nats_server_clear (&self.nats);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-random/harm", test_nats_random);

  return g_test_run ();
}
