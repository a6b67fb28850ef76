/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls over NATS when somebody dies: a worker, who serves, who calls, NATS itself. */

typedef struct
{
  NatsServer nats;
  int pids[2]; /* who serves; 0: it has ended */
  AfrpcNatsCaller *caller;
  Meeting meeting;
  guint n_events;
} Fleet;

static void
die_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

/* The command, with one worker. */
static int
start_serving (Fleet *fleet)
{
  const char *argv[] = { g_getenv ("AFRPC_TOOL"), "serve", "--nats", fleet->nats.url, "--subject", NATS_SUBJECT, "-j", "1",
                         "--max-calls", "1", TEST_WORKER, "act", NULL };
  const char *options = g_getenv ("LSAN_OPTIONS");
  /* Threads of nats.c that end meanwhile are more than a sanitizer can stand that looks for leaks. */
  g_autofree char *more = g_strconcat (options != NULL ? options : "", ":exitcode=0", NULL);
  g_auto(GStrv) environ_there = g_environ_setenv (g_get_environ (), "LSAN_OPTIONS", more, TRUE);
  g_autoptr(GError) error = NULL;
  int pid = 0;

  g_spawn_async (NULL, (char **) argv, environ_there, G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent, NULL, &pid, &error);
  g_assert_no_error (error);

  return pid;
}

static void
fleet_init (Fleet *fleet,
            guint  n)
{
  memset (fleet, 0, sizeof *fleet);
  nats_server_init (&fleet->nats, NULL);
  for (guint i = 0; i < n; i++)
    fleet->pids[i] = start_serving (fleet);
  fleet->caller = nats_caller_new (&fleet->nats);
  nats_caller_wait (fleet->caller);
  g_signal_connect_swapped (fleet->caller, "event", G_CALLBACK (test_count_cb), &fleet->n_events);
  meeting_init (&fleet->meeting);
}

static void
end_serving (Fleet *fleet,
             guint  i,
             int    signum)
{
  int status;

  if (fleet->pids[i] == 0)
    return;
  g_assert_cmpint (kill (fleet->pids[i], signum), ==, 0);
  g_assert_cmpint (waitpid (fleet->pids[i], &status, 0), ==, fleet->pids[i]);
  fleet->pids[i] = 0;
  /* One that has not begun to serve does not listen to it yet. */
  if (signum == SIGTERM && WIFSIGNALED (status))
    g_assert_cmpint (WTERMSIG (status), ==, SIGTERM);
  else if (signum == SIGTERM)
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static void
fleet_clear (Fleet *fleet)
{
  if (fleet->meeting.fd >= 0)
    meeting_let_go (&fleet->meeting);
  meeting_end (&fleet->meeting);
  nats_caller_end (fleet->caller);
  for (guint i = 0; i < G_N_ELEMENTS (fleet->pids); i++)
    end_serving (fleet, i, SIGTERM);
  nats_server_clear (&fleet->nats);
}

static AfrpcCall *
start_meeting (Fleet    *fleet,
               gboolean  is_idempotent)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_idempotent (options, is_idempotent);

  return afrpc_caller_start (AFRPC_CALLER (fleet->caller), meet (&fleet->meeting), options);
}

static void
wait_met (Fleet *fleet,
          guint  n)
{
  while (fleet->n_events < n)
    g_main_context_iteration (NULL, TRUE);
}

/* Until the caller has been told that the call was begun. */
static void
wait_started (void)
{
  const gint64 end_us = g_get_monotonic_time () + 100000;

  /* It is told within some milliseconds; there is nothing that says that it has been. */
  while (g_get_monotonic_time () < end_us)
    g_main_context_iteration (NULL, FALSE);
}

static void
test_nats_death_of_server (void)
{
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GError) error = NULL;
  gint64 begin_us;
  Fleet fleet;

  g_test_summary ("Who serves is killed: what runs fails within the time of two beats, what waits goes on to who comes");
  fleet_init (&fleet, 1);
  running = start_meeting (&fleet, FALSE);
  waiting = call_start (fleet.caller, test_act ("return", NULL));
  wait_met (&fleet, 1);
  wait_started ();
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, NULL);
  end_serving (&fleet, 0, SIGKILL);
  begin_us = g_get_monotonic_time ();
  error = wait_error (running);
  g_test_message ("told after %.2f s: %s", (g_get_monotonic_time () - begin_us) / 1e6, error->message);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_nonnull (strstr (error->message, "nothing was heard of "));
  g_assert_nonnull (strstr (error->message, "afrpc serve"));
  g_assert_cmpint (afrpc_call_get_started (running), ==, AFRPC_STARTED_YES);
  g_assert_cmpint (g_get_monotonic_time () - begin_us, <, 3 * G_USEC_PER_SEC);
  g_assert_false (afrpc_call_is_settled (waiting));
  fleet.pids[0] = start_serving (&fleet);
  g_variant_unref (wait_value (waiting));
  fleet_clear (&fleet);
}

static void
test_nats_death_idempotent (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GVariant) value = NULL;
  Fleet fleet;

  g_test_summary ("A call that may be repeated is done by another one");
  fleet_init (&fleet, 1);
  call = start_meeting (&fleet, TRUE);
  wait_met (&fleet, 1);
  fleet.pids[1] = start_serving (&fleet);
  end_serving (&fleet, 0, SIGKILL);
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, NULL);
  wait_met (&fleet, 2);
  meeting_let_go (&fleet.meeting);
  value = wait_value (call);
  fleet_clear (&fleet);
}

static void
test_nats_death_repeats (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(GError) error = NULL;
  Fleet fleet;

  g_test_summary ("But not more often than is said");
  fleet_init (&fleet, 1);
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, "max-repeats", 1, NULL);
  call = start_meeting (&fleet, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      wait_met (&fleet, i + 1);
      end_serving (&fleet, 0, SIGKILL);
      fleet.pids[0] = start_serving (&fleet);
    }
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  fleet_clear (&fleet);
}

static void
test_nats_death_stopped (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;
  Fleet fleet;

  g_test_summary ("Who does not say that he lives is taken for dead; when he goes on, he is told that nobody wants what he does");
  fleet_init (&fleet, 1);
  call = call_start (fleet.caller, test_act ("until-cancelled", NULL));
  wait_met (&fleet, 1);
  g_assert_cmpint (kill (fleet.pids[0], SIGSTOP), ==, 0);
  error = wait_error (call);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (kill (fleet.pids[0], SIGCONT), ==, 0);
  /* There is room for one call only. */
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, NULL);
  next = call_start (fleet.caller, test_act ("return", NULL));
  g_variant_unref (wait_value (next));
  fleet_clear (&fleet);
}

static void
wait_n_servers (Fleet *fleet,
                guint  n)
{
  const gint64 begin_us = g_get_monotonic_time ();

  while (afrpc_nats_caller_get_n_servers (fleet->caller) != n)
    g_main_context_iteration (NULL, TRUE);
  g_test_message ("%u servers after %.2f s", n, (g_get_monotonic_time () - begin_us) / 1e6);
  g_assert_cmpint (g_get_monotonic_time () - begin_us, <, 12 * G_USEC_PER_SEC);
}

static void
test_nats_death_idle (void)
{
  AfrpcCall *calls[2];
  g_autoptr(AfrpcCall) next = NULL;
  Fleet fleet;

  g_test_summary ("Who serves and has no calls is left out when he is killed, or says nothing any more; who lives is not");
  fleet_init (&fleet, 2);
  for (guint i = 0; i < 2; i++)
    calls[i] = start_meeting (&fleet, FALSE);
  wait_met (&fleet, 2);
  meeting_let_go (&fleet.meeting);
  for (guint i = 0; i < 2; i++)
    {
      g_variant_unref (wait_value (calls[i]));
      g_object_unref (calls[i]);
    }
  g_assert_cmpuint (afrpc_nats_caller_get_n_servers (fleet.caller), ==, 2);
  end_serving (&fleet, 0, SIGKILL);
  wait_n_servers (&fleet, 1);
  /* He is asked at the same time, and answers. */
  iterate_for (2000);
  g_assert_cmpuint (afrpc_nats_caller_get_n_servers (fleet.caller), ==, 1);
  g_assert_cmpint (kill (fleet.pids[1], SIGSTOP), ==, 0);
  wait_n_servers (&fleet, 0);
  g_assert_cmpint (kill (fleet.pids[1], SIGCONT), ==, 0);
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, NULL);
  next = call_start (fleet.caller, test_act ("return", NULL));
  g_variant_unref (wait_value (next));
  fleet_clear (&fleet);
}

static void
test_nats_death_of_worker (void)
{
  g_autoptr(AfrpcCall) call = NULL;
  g_autoptr(AfrpcCall) next = NULL;
  g_autoptr(GError) error = NULL;
  gint64 begin_us;
  Fleet fleet;

  g_test_summary ("A worker that is killed fails its call at once, and is replaced");
  fleet_init (&fleet, 1);
  begin_us = g_get_monotonic_time ();
  call = call_start (fleet.caller, act_u ("signal", SIGKILL));
  error = wait_error (call);
  g_test_message ("told after %.2f ms: %s", (g_get_monotonic_time () - begin_us) / 1e3, error->message);
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_cmpint (afrpc_call_get_started (call), ==, AFRPC_STARTED_YES);
  next = call_start (fleet.caller, test_act ("return", NULL));
  g_variant_unref (wait_value (next));
  fleet_clear (&fleet);
}

static void
test_nats_death_of_caller (void)
{
  NatsServer nats;
  Serving serving;
  guint n_events = 0;
  int pid = 0;

  g_test_summary ("The calls of a caller that is killed are cancelled");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 1, "caller-timeout-ms", 300, "beat-ms", 50, NULL);
  serving_start (&serving);
  g_signal_connect_swapped (serving.pool, "event", G_CALLBACK (test_count_cb), &n_events);
  while (n_events < 1)
    {
      const char *argv[] = { g_getenv ("AFRPC_TOOL"), "call", "--nats", nats.url, "--subject", NATS_SUBJECT, "act",
                             "until-cancelled", "<true>", NULL };
      g_autoptr(GError) error = NULL;

      g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, die_with_parent, NULL,
                     &pid, &error);
      g_assert_no_error (error);
      /* NATS may not know yet that somebody serves: then it has ended. */
      while (n_events < 1 && waitpid (pid, NULL, WNOHANG) == 0)
        g_main_context_iteration (NULL, FALSE);
    }
  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  while (n_events < 2 || afrpc_nats_server_get_n_calls_running (serving.server) > 0)
    g_main_context_iteration (NULL, TRUE);
  serving_clear (&serving);
  nats_server_clear (&nats);
}

static void
test_nats_death_stopped_caller (void)
{
  const char *argv[] = { g_getenv ("AFRPC_TOOL"), "call", "--nats", NULL, "--subject", NATS_SUBJECT, "act", "wait", "<uint32 2500>",
                         NULL };
  g_autoptr(GError) error = NULL;
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;
  int pid = 0, status;

  g_test_summary ("A caller that was stopped takes nobody for dead whom it has only not heard");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 1, NULL);
  serving_start (&serving);
  caller = nats_caller_new (&nats);
  nats_caller_wait (caller);
  nats_caller_end (caller);
  argv[3] = nats.url;
  g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, die_with_parent, NULL, &pid,
                 &error);
  g_assert_no_error (error);
  while (afrpc_nats_server_get_n_calls_running (serving.server) < 1)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (kill (pid, SIGSTOP), ==, 0);
  iterate_for (2000);
  g_assert_cmpint (kill (pid, SIGCONT), ==, 0);
  while (waitpid (pid, &status, WNOHANG) == 0)
    g_main_context_iteration (NULL, FALSE);
  g_assert_cmpint (status, ==, 0);
  serving_clear (&serving);
  nats_server_clear (&nats);
}

/* NATS */

static void
check_values (GPtrArray *calls,
              guint      first)
{
  for (guint i = 0; i < calls->len; i++)
    {
      g_autoptr(GVariant) value = wait_value (calls->pdata[i]);

      g_assert_cmpuint (g_variant_get_uint32 (value), ==, first + i);
    }
}

static void
test_nats_death_of_nats (void)
{
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;
  guint64 n_before;

  g_test_summary ("NATS is killed and comes back, with calls under way: none is lost, and none is done twice");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 2, "max-calls", 4, NULL);
  serving_start (&serving);
  caller = nats_caller_new (&nats);
  nats_caller_wait (caller);
  n_before = afrpc_nats_server_get_n_calls_done (serving.server);
  for (guint round = 0; round < 4; round++)
    {
      g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
      const guint64 n_done = afrpc_nats_server_get_n_calls_done (serving.server);

      for (guint i = 0; i < 100; i++)
        g_ptr_array_add (calls, call_start (caller, test_act ("wait", g_variant_new_uint32 (2))));
      /* In the midst of them */
      while (afrpc_nats_server_get_n_calls_done (serving.server) < n_done + 5 + 13 * round)
        g_main_context_iteration (NULL, TRUE);
      nats_server_kill (&nats, SIGKILL);
      connection_wait (serving.connection, AFRPC_NATS_STATE_DISCONNECTED);
      nats_server_start (&nats);
      for (guint i = 0; i < calls->len; i++)
        g_variant_unref (wait_value (calls->pdata[i]));
    }
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, n_before + 400);
  nats_caller_end (caller);
  serving_clear (&serving);
  nats_server_clear (&nats);
}

/* What keeps the thread of nats.c that tells of connections. */
typedef struct
{
  GMutex lock;
  GCond cond;
  gboolean is_kept;   /* guarded by lock */
  gboolean is_let_go; /* guarded by lock */
} Keeper;

static void
keep_cb (natsConnection *connection,
         void           *data)
{
  Keeper *self = data;

  g_mutex_lock (&self->lock);
  self->is_kept = TRUE;
  g_cond_broadcast (&self->cond);
  while (!self->is_let_go)
    g_cond_wait (&self->cond, &self->lock);
  self->is_kept = FALSE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
keeper_init (Keeper     *self,
             NatsServer *nats)
{
  natsOptions *options = NULL;
  natsConnection *connection = NULL;

  memset (self, 0, sizeof *self);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_assert_cmpint (natsOptions_Create (&options), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetURL (options, nats->url), ==, NATS_OK);
  g_assert_cmpint (natsOptions_SetClosedCB (options, keep_cb, self), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Connect (&connection, options), ==, NATS_OK);
  natsOptions_Destroy (options);
  natsConnection_Destroy (connection);
  g_mutex_lock (&self->lock);
  while (!self->is_kept)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
}

static void
keeper_let_go (Keeper *self)
{
  g_mutex_lock (&self->lock);
  self->is_let_go = TRUE;
  g_cond_broadcast (&self->cond);
  while (self->is_kept)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
}

static void
count_message_cb (natsConnection   *connection,
                  natsSubscription *subscription,
                  natsMsg          *message,
                  void             *n)
{
  natsMsg_Destroy (message);
  g_atomic_int_inc ((gint *) n);
}

/* Iterates until all servers were asked so often for that call, or it has settled. One of them is asked just before, alone. */
static void
wait_asked (NatsServer *nats,
            AfrpcCall  *call,
            gint        n)
{
  natsConnection *connection = NULL;
  natsSubscription *subscription = NULL;
  gint n_asked = 0; /* atomic */

  g_assert_cmpint (natsConnection_ConnectTo (&connection, nats->url), ==, NATS_OK);
  g_assert_cmpint (natsConnection_Subscribe (&subscription, connection, NATS_SUBJECT ".all", count_message_cb, &n_asked), ==,
                   NATS_OK);
  while (g_atomic_int_get (&n_asked) < n && !afrpc_call_is_settled (call))
    g_main_context_iteration (NULL, TRUE);
  nats_unsubscribe (connection, subscription);
  natsConnection_Destroy (connection);
}

static void
test_nats_death_untold (void)
{
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(AfrpcCall) waiting = NULL;
  g_autoptr(GVariant) value = NULL;
  Keeper keeper;
  Fleet fleet;

  g_test_summary ("That nobody serves is not believed before it is known that NATS was gone: who serves may be coming back");
  fleet_init (&fleet, 1);
  running = start_meeting (&fleet, TRUE);
  wait_met (&fleet, 1);
  waiting = call_start (fleet.caller, test_act ("return", g_variant_new_uint32 (7)));
  keeper_init (&keeper, &fleet.nats);
  g_assert_cmpint (kill (fleet.pids[0], SIGSTOP), ==, 0);
  nats_server_kill (&fleet.nats, SIGKILL);
  nats_server_start (&fleet.nats);
  /* What NATS has said to the question before the last is there. */
  wait_asked (&fleet.nats, waiting, 2);
  g_assert_false (afrpc_call_is_settled (waiting));

  /* However long it takes who serves to come back. */
  g_object_set (fleet.caller, "no-servers-timeout-ms", 60000, NULL);
  keeper_let_go (&keeper);
  g_assert_cmpint (kill (fleet.pids[0], SIGCONT), ==, 0);
  meeting_let_go (&fleet.meeting);
  value = wait_value (waiting);
  g_assert_cmpuint (g_variant_get_uint32 (value), ==, 7);
  fleet_clear (&fleet);
}

static void
test_nats_death_long_gone (void)
{
  g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func (g_object_unref);
  NatsServer nats;
  Serving serving;
  AfrpcNatsCaller *caller;
  guint64 n_done;

  g_test_summary ("Calls that end while NATS is not there have their results afterwards; those that are made meanwhile are done then");
  nats_server_init (&nats, NULL);
  serving_init (&serving, &nats, "act", 2, NULL);
  serving_start (&serving);
  caller = nats_caller_new (&nats);
  nats_caller_wait (caller);
  n_done = afrpc_nats_server_get_n_calls_done (serving.server);
  g_ptr_array_add (calls, call_start (caller, test_act ("wait", g_variant_new_uint32 (300))));
  while (afrpc_nats_server_get_n_calls_running (serving.server) < 1)
    g_main_context_iteration (NULL, TRUE);
  nats_server_kill (&nats, SIGKILL);
  while (afrpc_nats_server_get_n_calls_done (serving.server) < n_done + 1)
    g_main_context_iteration (NULL, TRUE);
  connection_wait (afrpc_nats_caller_get_connection (caller), AFRPC_NATS_STATE_DISCONNECTED);
  g_ptr_array_add (calls, call_start (caller, test_act ("return", g_variant_new_uint32 (301))));
  nats_server_start (&nats);
  check_values (calls, 300);
  g_assert_cmpuint (afrpc_nats_server_get_n_calls_done (serving.server), ==, n_done + 2);
  nats_caller_end (caller);
  serving_clear (&serving);
  nats_server_clear (&nats);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-death/of-server", test_nats_death_of_server);
  g_test_add_func ("/nats-death/idempotent", test_nats_death_idempotent);
  g_test_add_func ("/nats-death/repeats", test_nats_death_repeats);
  g_test_add_func ("/nats-death/stopped", test_nats_death_stopped);
  g_test_add_func ("/nats-death/idle", test_nats_death_idle);
  g_test_add_func ("/nats-death/of-worker", test_nats_death_of_worker);
  g_test_add_func ("/nats-death/of-caller", test_nats_death_of_caller);
  g_test_add_func ("/nats-death/stopped-caller", test_nats_death_stopped_caller);
  g_test_add_func ("/nats-death/of-nats", test_nats_death_of_nats);
  g_test_add_func ("/nats-death/untold", test_nats_death_untold);
  g_test_add_func ("/nats-death/long-gone", test_nats_death_long_gone);

  return g_test_run ();
}
