/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that are repeated get a worker that has no other call, and neither wait for long for it nor hold up others. */
#include "pool-case.h"

#include <glib/gstdio.h>
#include <unistd.h>

/* A call that ends its worker the first time. */
typedef struct
{
  char *folder;
  char *path;
  AfrpcCall *call; /* (owned) */
} Victim;

static void
victim_start (Victim     *victim,
              Case       *test,
              const char *key) /* (nullable) */
{
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();

  if (key != NULL)
    afrpc_call_options_set_affinity (options, key);
  victim->folder = g_dir_make_tmp ("afrpc-test-XXXXXX", NULL);
  victim->path = g_build_filename (victim->folder, "died", NULL);
  victim->call = afrpc_caller_start (caller_of (test), test_act ("die-once", g_variant_new_string (victim->path)), options);
}

static void
victim_end (Victim *victim)
{
  g_assert_true (afrpc_call_is_settled (victim->call));
  g_clear_object (&victim->call);
  g_unlink (victim->path);
  g_rmdir (victim->folder);
  g_free (victim->path);
  g_free (victim->folder);
}

static AfrpcCallOptions *
urgent_options (const char *key) /* (nullable) */
{
  AfrpcCallOptions *options = afrpc_call_options_new ();

  afrpc_call_options_set_priority (options, -1);
  if (key != NULL)
    afrpc_call_options_set_affinity (options, key);

  return options;
}

static void
check_value (AfrpcCall *call) /* (transfer full) */
{
  g_variant_unref (wait_value (call));
  g_object_unref (call);
}

static void
test_pool_alone_idle (void)
{
  Case test;
  Meeting meeting;
  Victim victim;
  g_autoptr(AfrpcCall) running = NULL;

  g_test_summary ("It does not wait behind a call of another while somebody is idle, or there may be another worker");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 2, NULL);
  wait_idle (&test, 2);
  g_object_set (test.pool, "idle-workers", 0, NULL);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  victim_start (&victim, &test, NULL);
  g_variant_unref (wait_value (victim.call));
  g_assert_cmpint (pid_of (victim.call), !=, pid_of (running));
  g_assert_false (afrpc_call_is_settled (running));
  victim_end (&victim);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_clear_object (&running);
  case_end (&test);
  meeting_end (&meeting);
}

/* Two workers, each with a call that meets at one of @meetings, and a call that has ended one waits. */
static void
begin_full (Case      *test,
            Victim    *victim,
            Meeting    meetings[2],
            AfrpcCall *running[2])
{
  g_autoptr(AfrpcCallOptions) urgent = urgent_options ("key");

  for (guint i = 0; i < 2; i++)
    meeting_init (&meetings[i]);
  case_init (test, "act", "max-workers", 2, "idle-workers", 2, "load", 1, NULL);
  wait_idle (test, 2);
  running[0] = afrpc_caller_start (caller_of (test), meet (&meetings[0]), NULL);
  wait_begun (test, 1);
  victim_start (victim, test, NULL);
  /* What a worker is slow to begin goes to another one, but for what has a key. */
  while (!g_file_test (victim->path, G_FILE_TEST_EXISTS))
    g_main_context_iteration (NULL, TRUE);
  running[1] = afrpc_caller_start (caller_of (test), meet (&meetings[1]), urgent);
  wait_begun (test, 2);
  g_object_set (test->pool, "load", 2, NULL);
}

static void
test_pool_alone_full (gconstpointer data)
{
  const guint first = GPOINTER_TO_UINT (data);
  Case test;
  Meeting meetings[2];
  Victim victim;
  AfrpcCall *running[2];
  AfrpcCall *others[4];

  g_test_summary ("Where everybody is busy, and nobody may come, it gets the one that has nothing first, and others go on");
  begin_full (&test, &victim, meetings, running);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    others[i] = start_act (&test, "return", NULL);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 1 + G_N_ELEMENTS (others));
  meeting_let_go (&meetings[first]);
  g_variant_unref (wait_value (victim.call));
  g_assert_cmpint (pid_of (victim.call), ==, pid_of (running[first]));
  /* A command has them behind what it does, and does not give them back. */
  if (is_command ())
    meeting_let_go (&meetings[1 - first]);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    check_value (others[i]);
  if (!is_command ())
    {
      g_assert_false (afrpc_call_is_settled (running[1 - first]));
      meeting_let_go (&meetings[1 - first]);
    }
  for (guint i = 0; i < 2; i++)
    {
      check_value (running[i]);
      meeting_end (&meetings[i]);
    }
  victim_end (&victim);
  case_end (&test);
}

static void
test_pool_alone_given_up (void)
{
  Case test;
  Meeting meetings[2];
  Victim victim;
  AfrpcCall *running[2];
  g_autoptr(GError) error = NULL;

  g_test_summary ("Who is given up while he waits for somebody who has nothing holds up nobody");
  begin_full (&test, &victim, meetings, running);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 1);
  afrpc_call_cancel (victim.call);
  error = wait_error (victim.call);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (afrpc_call_get_started (victim.call), !=, AFRPC_STARTED_NO);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      meeting_let_go (&meetings[i]);
      check_value (running[i]);
      meeting_end (&meetings[i]);
    }
  victim_end (&victim);
  case_end (&test);
}

static void
test_pool_alone_key (void)
{
  Case test;
  Meeting meeting;
  Victim victim;
  g_autoptr(AfrpcCall) earlier = NULL;
  g_autoptr(AfrpcCall) later = NULL;
  g_autoptr(AfrpcCallOptions) urgent = urgent_options ("key");
  g_autoptr(AfrpcCallOptions) usual = afrpc_call_options_new ();

  g_test_summary ("With a key, it waits for what comes first with that key, and is waited for by what comes behind it");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 1, NULL);
  wait_idle (&test, 2);
  afrpc_call_options_set_affinity (usual, "key");
  victim_start (&victim, &test, "key");
  earlier = afrpc_caller_start (caller_of (&test), meet (&meeting), urgent);
  later = start_act (&test, "return", usual);
  wait_begun (&test, 1);
  check_value (start_act (&test, "return", NULL));
  g_object_set (test.pool, "load", 3, NULL);
  g_assert_cmpuint (afrpc_pool_get_n_calls_queued (test.pool), ==, 2);
  g_assert_false (afrpc_call_is_settled (later));
  g_assert_false (afrpc_call_is_settled (victim.call));
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (later));
  g_assert_true (afrpc_call_is_settled (earlier));
  g_assert_true (afrpc_call_is_settled (victim.call));
  g_assert_cmpint (pid_of (later), ==, pid_of (victim.call));
  g_variant_unref (wait_value (victim.call));
  g_variant_unref (wait_value (earlier));
  g_clear_object (&earlier);
  g_clear_object (&later);
  victim_end (&victim);
  case_end (&test);
  meeting_end (&meeting);
}

static void
test_pool_alone_blocking (void)
{
  Case test;
  Meeting meeting;
  Victim victim;
  g_autoptr(AfrpcCall) running = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("So it is for who blocks");
  meeting_init (&meeting);
  case_init (&test, "act", "max-workers", 2, "idle-workers", 2, "load", 2, NULL);
  wait_idle (&test, 2);
  running = afrpc_caller_start (caller_of (&test), meet (&meeting), NULL);
  wait_begun (&test, 1);
  victim_start (&victim, &test, NULL);
  g_variant_unref (afrpc_call_wait_sync (victim.call, NULL, &error));
  g_assert_no_error (error);
  victim_end (&victim);
  meeting_let_go (&meeting);
  g_variant_unref (wait_value (running));
  g_clear_object (&running);
  case_end (&test);
  meeting_end (&meeting);
}

/* One async worker, with a call that does not end by itself, @running, and a call that has ended one before waits. */
static void
begin_async (Case       *test,
             Victim     *victim,
             AfrpcCall **running)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) urgent = urgent_options (NULL);

  case_take (test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                                 "max-workers", 1, "idle-workers", 1, "load", 1, NULL));
  wait_idle (test, 1);
  victim_start (victim, test, NULL);
  *running = start_act (test, "wait-cancelled", urgent);
  wait_begun (test, 1);
  g_object_set (test->pool, "load", 8, NULL);
}

static void
test_pool_alone_async (void)
{
  Case test;
  Victim victim;
  AfrpcCall *running;
  g_autoptr(GError) error = NULL;
  gint64 begun;
  guint n = 0;

  g_test_summary ("If no async worker has nothing, and there may be no more, there is one more for what has to be alone, until it is not "
                  "needed any more; others go on meanwhile");
  begin_async (&test, &victim, &running);
  for (begun = g_get_monotonic_time (); !afrpc_call_is_settled (victim.call) || n < 20; n++)
    {
      const gint64 since = g_get_monotonic_time ();

      check_value (afrpc_caller_start (caller_of (&test), test_act ("later", g_variant_new_uint32 (10)), NULL));
      g_assert_cmpint (g_get_monotonic_time () - since, <, 2 * G_USEC_PER_SEC);
      g_assert_cmpint (g_get_monotonic_time () - begun, <, 20 * G_USEC_PER_SEC);
    }
  g_variant_unref (wait_value (victim.call));
  g_assert_false (afrpc_call_is_settled (running));
  while (g_list_model_get_n_items (afrpc_pool_get_workers (test.pool)) > 1 || afrpc_pool_get_n_workers (test.pool) > 1)
    g_main_context_iteration (NULL, TRUE);
  afrpc_call_cancel (running);
  error = wait_error (running);
  g_object_unref (running);
  victim_end (&victim);
  case_end (&test);
}

static void
test_pool_alone_async_blocking (void)
{
  Case test;
  Victim victim;
  AfrpcCall *running;
  g_autoptr(GError) error = NULL;

  g_test_summary ("So it is for who blocks");
  begin_async (&test, &victim, &running);
  g_variant_unref (afrpc_call_wait_sync (victim.call, NULL, &error));
  g_assert_no_error (error);
  g_assert_false (afrpc_call_is_settled (running));
  afrpc_call_cancel (running);
  error = wait_error (running);
  g_object_unref (running);
  victim_end (&victim);
  case_end (&test);
}

/* Has so many calls under way all the time, until it is told to stop. */
typedef struct
{
  Case *test;
  guint n_running;
  gboolean stops;
} Load;

static void load_start (Load *load);

static void
load_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Load *load = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = test_call_finish (source, result, NULL, &error);

  g_assert_no_error (error);
  load->n_running--;
  if (!load->stops)
    load_start (load);
}

static void
load_start (Load *load)
{
  load->n_running++;
  afrpc_caller_call (caller_of (load->test), test_act ("later", g_variant_new_uint32 (2)), NULL, load_cb, load);
}

static void
test_pool_alone_under_load (void)
{
  Case test;
  Victim victim;
  Load load = { &test, 0, FALSE };
  AfrpcCall *running;
  g_autoptr(GError) error = NULL;

  g_test_summary ("So it is under load, and others go on all the time");
  begin_async (&test, &victim, &running);
  for (guint i = 0; i < 4; i++)
    load_start (&load);
  afrpc_call_cancel (running);
  error = wait_error (running);
  g_variant_unref (wait_value (victim.call));
  g_assert_cmpuint (load.n_running, ==, 4);
  load.stops = TRUE;
  while (load.n_running > 0)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (running);
  victim_end (&victim);
  case_end (&test);
}

/* One async worker ends with three calls, and those are repeated: one that goes on until it is cancelled, or for ever, and
 * has begun again; the victim; and one that ends. */
typedef struct
{
  Case test;
  AfrpcCall *longest; /* (owned) */
  Victim victim;
  AfrpcCall *last;    /* (owned) */
} Repeated;

static void
repeated_init (Repeated *self,
               gboolean  runs_on)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();
  g_autoptr(AfrpcCallOptions) urgent = idempotent_options ();

  case_take (&self->test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                        AFRPC_BACKEND_ASYNC, "max-workers", 1, "idle-workers", 1, "load", 8, NULL));
  wait_idle (&self->test, 1);
  afrpc_call_options_set_priority (urgent, -1);
  self->longest = start_act (&self->test, runs_on ? "run-on" : "wait-cancelled", urgent);
  self->last = afrpc_caller_start (caller_of (&self->test), test_act ("later", g_variant_new_uint32 (100)), options);
  wait_begun (&self->test, 1);
  victim_start (&self->victim, &self->test, NULL);
  wait_begun (&self->test, 2);
}

static void
repeated_clear (Repeated *self)
{
  g_clear_object (&self->longest);
  g_clear_object (&self->last);
  victim_end (&self->victim);
  case_end (&self->test);
}

static void
test_pool_alone_async_long (void)
{
  Repeated repeated;
  g_autoptr(GError) error = NULL;

  g_test_summary ("An async worker is left to others, however long one that is repeated takes, and nor do others that are wait for it");
  repeated_init (&repeated, FALSE);
  check_value (start_act (&repeated.test, "return", NULL));
  g_variant_unref (wait_value (repeated.victim.call));
  g_variant_unref (wait_value (repeated.last));
  g_assert_false (afrpc_call_is_settled (repeated.longest));
  afrpc_call_cancel (repeated.longest);
  error = wait_error (repeated.longest);
  repeated_clear (&repeated);
}

/* @data: with a grace that was set to 0, or that by default */
static void
test_pool_alone_async_runs_on (gconstpointer data)
{
  Repeated repeated;
  g_autoptr(GError) error = NULL;

  g_test_summary ("One that was given up, and runs on, holds up none of the others that are repeated");
  repeated_init (&repeated, TRUE);
  if (GPOINTER_TO_INT (data))
    afrpc_pool_set_cancel_grace_ms (repeated.test.pool, 0);
  afrpc_call_cancel (repeated.longest);
  error = wait_error (repeated.longest);
  g_variant_unref (wait_value (repeated.victim.call));
  g_variant_unref (wait_value (repeated.last));
  /* It ends now. */
  afrpc_pool_set_cancel_grace_ms (repeated.test.pool, 1);
  repeated_clear (&repeated);
}

#define N_LONG 3

/* One async worker ends with some calls that go on until they are cancelled, and with the victim, which has @key; those are repeated. */
typedef struct
{
  Case test;
  AfrpcCall *running[N_LONG]; /* (owned) */
  Victim victim;
} Crowd;

static AfrpcCall *
start_with_key (Case       *test,
                const char *key)
{
  g_autoptr(AfrpcCallOptions) options = afrpc_call_options_new ();

  afrpc_call_options_set_affinity (options, key);

  return start_act (test, "return", options);
}

static void
crowd_init (Crowd      *self,
            const char *key) /* (nullable) */
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(AfrpcCallOptions) options = idempotent_options ();

  case_take (&self->test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend",
                                        AFRPC_BACKEND_ASYNC, "max-workers", 1, "idle-workers", 1, "load", 8, NULL));
  wait_idle (&self->test, 1);
  /* With a key, the victim comes first. */
  afrpc_call_options_set_priority (options, key != NULL);
  for (guint i = 0; i < N_LONG; i++)
    self->running[i] = start_act (&self->test, "wait-cancelled", options);
  wait_begun (&self->test, N_LONG);
  victim_start (&self->victim, &self->test, key);
}

static void
crowd_clear (Crowd *self)
{
  for (guint i = 0; i < N_LONG; i++)
    {
      g_autoptr(GError) error = NULL;

      afrpc_call_cancel (self->running[i]);
      error = wait_error (self->running[i]);
      g_clear_object (&self->running[i]);
    }
  g_variant_unref (wait_value (self->victim.call));
  victim_end (&self->victim);
  case_end (&self->test);
}

static void
test_pool_alone_async_keys (void)
{
  Crowd crowd;

  g_test_summary ("Calls with a key, whose worker has nothing, wait for none that is repeated");
  crowd_init (&crowd, NULL);
  /* Some run again, and one waits. */
  while (crowd.test.n_events < N_LONG + 2)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < 3; i++)
    check_value (start_with_key (&crowd.test, "key"));
  crowd_clear (&crowd);
}

static void
test_pool_alone_async_own_key (void)
{
  Crowd crowd;

  g_test_summary ("Nor do calls of a key of which one was repeated, once that is over");
  crowd_init (&crowd, "key");
  g_variant_unref (wait_value (crowd.victim.call));
  for (guint i = 1; i < N_LONG; i++)
    {
      g_autoptr(GError) cancelled = NULL;

      afrpc_call_cancel (crowd.running[i]);
      cancelled = wait_error (crowd.running[i]);
    }
  while (crowd.test.n_events < N_LONG + 1)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < 3; i++)
    check_value (start_with_key (&crowd.test, "key"));
  g_assert_false (afrpc_call_is_settled (crowd.running[0]));
  crowd_clear (&crowd);
}

static void
test_pool_alone_async_fewer (void)
{
  Crowd crowd;

  g_test_summary ("If there may be fewer workers than have calls that are repeated, one is left to others all the same");
  crowd_init (&crowd, NULL);
  g_object_set (crowd.test.pool, "max-workers", N_LONG + 1, NULL);
  while (crowd.test.n_events < 2 * N_LONG)
    g_main_context_iteration (NULL, TRUE);
  for (guint n = N_LONG; n > 0; n--)
    {
      g_object_set (crowd.test.pool, "max-workers", n, NULL);
      check_value (start_act (&crowd.test, "return", NULL));
      check_value (start_with_key (&crowd.test, "key"));
    }
  crowd_clear (&crowd);
}

static void
test_pool_alone_async_in_vain (void)
{
  g_autoptr(AfrpcProcess) template = template_new ();
  g_autoptr(GError) error = NULL;
  Victim victim;
  Case test;

  g_test_summary ("A worker that was started for a call that is repeated ends if that is given up before");
  case_take (&test, g_object_new (AFRPC_TYPE_POOL, "process", template, "function", "act_async", "backend", AFRPC_BACKEND_ASYNC,
                                  "max-workers", 1, "idle-workers", 1, NULL));
  wait_idle (&test, 1);
  /* What each has to do first takes a while. */
  afrpc_pool_call_all_async (test.pool, test_act ("later", g_variant_new_uint32 (50)), NULL, NULL, NULL, NULL);
  victim_start (&victim, &test, NULL);
  while (afrpc_pool_get_n_workers (test.pool) < 2)
    g_main_context_iteration (NULL, TRUE);
  afrpc_call_cancel (victim.call);
  error = wait_error (victim.call);
  while (g_list_model_get_n_items (afrpc_pool_get_workers (test.pool)) > 1 || afrpc_pool_get_n_idle_workers (test.pool) < 1)
    g_main_context_iteration (NULL, TRUE);
  victim_end (&victim);
  case_end (&test);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-alone/idle", test_pool_alone_idle);
  g_test_add_data_func ("/pool-alone/full/first", GUINT_TO_POINTER (0), test_pool_alone_full);
  g_test_add_data_func ("/pool-alone/full/second", GUINT_TO_POINTER (1), test_pool_alone_full);
  g_test_add_func ("/pool-alone/given-up", test_pool_alone_given_up);
  g_test_add_func ("/pool-alone/key", test_pool_alone_key);
  g_test_add_func ("/pool-alone/blocking", test_pool_alone_blocking);
  g_test_add_func ("/pool-alone/async", test_pool_alone_async);
  g_test_add_func ("/pool-alone/async-blocking", test_pool_alone_async_blocking);
  g_test_add_func ("/pool-alone/async-keys", test_pool_alone_async_keys);
  g_test_add_func ("/pool-alone/async-own-key", test_pool_alone_async_own_key);
  g_test_add_func ("/pool-alone/async-fewer", test_pool_alone_async_fewer);
  g_test_add_func ("/pool-alone/async-in-vain", test_pool_alone_async_in_vain);
  g_test_add_func ("/pool-alone/async-long", test_pool_alone_async_long);
  g_test_add_data_func ("/pool-alone/async-runs-on/default", GINT_TO_POINTER (FALSE), test_pool_alone_async_runs_on);
  g_test_add_data_func ("/pool-alone/async-runs-on/no-grace", GINT_TO_POINTER (TRUE), test_pool_alone_async_runs_on);
  g_test_add_func ("/pool-alone/under-load", test_pool_alone_under_load);

  return g_test_run ();
}
