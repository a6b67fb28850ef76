/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes that begin and end while the program has hardly any room for descriptors, and now and then some. */
#include "test-util.h"

#include <signal.h>
#include <sys/wait.h>

#include "own-process.h"

#define AT_ONCE 8u

static guint n_told;

static void
told_cb (GObject      *caller,
         GAsyncResult *result,
         gpointer      data)
{
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (caller), result, NULL);

  n_told++;
}

/* One that runs, or has ended and was not reaped. */
static gboolean
has_child (void)
{
  siginfo_t info = { 0 };

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

/* Workers of which some end by themselves, and some are killed; nobody holds them. */
static void
make_workers (AfrpcProcess *template, /* (nullable) */
              GRand        *rand)
{
  for (guint i = 0; i < AT_ONCE; i++)
    {
      g_autoptr(AfrpcProcess) process = template != NULL ? afrpc_process_fork (template) : test_process_new ();
      g_autoptr(AfrpcProxy) proxy = NULL;

      afrpc_process_set_stderr (process, i % 2 == 0 ? AFRPC_STDIO_CAPTURE : AFRPC_STDIO_SILENCE);
      proxy = afrpc_proxy_new (process, "act");
      afrpc_caller_call (AFRPC_CALLER (proxy), test_act ("return", NULL), NULL, told_cb, NULL);
      for (guint n = g_rand_int_range (rand, 0, 12); n > 0; n--)
        g_main_context_iteration (NULL, FALSE);
      if (i % 3 == 0)
        afrpc_caller_kill (AFRPC_CALLER (proxy));
    }
}

static void
test_zombies (gconstpointer is_forked)
{
  const guint n_rounds = g_test_slow () ? 5000 : 60;
  g_autoptr(AfrpcProcess) template = is_forked ? test_template_new () : NULL;
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  guint64 n_fds_max;

  g_test_summary ("Processes that begin and end where there is no room for descriptors are reaped");
  n_told = 0;
  while (template != NULL && afrpc_process_get_pid (template) == 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < n_rounds; i++)
    {
      n_fds_max = own_process_limit_fds (test_count_fds () + i % 7);
      make_workers (template, rand);
      own_process_limit_fds (n_fds_max);
      /* Some of them get room in the middle, others later. */
      while (n_told + 3 * AT_ONCE < (i + 1) * AT_ONCE)
        g_main_context_iteration (NULL, TRUE);
    }
  while (n_told < n_rounds * AT_ONCE)
    g_main_context_iteration (NULL, TRUE);

  if (template != NULL)
    {
      afrpc_process_kill (template, SIGKILL);
      g_clear_pointer (&template, g_object_unref);
    }
  /* What is left behind is so for ever: then nothing happens any more. */
  while (has_child ())
    g_main_context_iteration (NULL, TRUE);
  test_assert_no_children ();
}

/* @function: "leave" ends the process */
static void
test_zombies_together (gconstpointer function)
{
  const gboolean has_job = g_str_equal (function, "leave");
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));

  g_test_summary ("A process that dies as soon as it is forked, or has its job, and so does what it was forked from, is reaped");
  n_told = 0;
  afrpc_process_setenv (template, "AFRPC_TEST_FORK", has_job ? "vanish" : "die", TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, function);

      afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, told_cb, NULL);
    }
  g_clear_object (&template);
  while (n_told < 2)
    g_main_context_iteration (NULL, TRUE);
  while (has_child ())
    g_main_context_iteration (NULL, TRUE);
}

/* One that was not reaped. */
static gboolean
has_zombie (void)
{
  siginfo_t info = { 0 };

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0;
}

static void
kill_process (AfrpcProcess **process)
{
  afrpc_process_kill (*process, SIGKILL);
  g_clear_object (process);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_zombies_deep (gconstpointer is_template_first)
{
  g_autoptr(AfrpcProcess) base = afrpc_process_new_exec (g_getenv ("AFRPC_TEST_FORK_HOST"));
  g_autoptr(AfrpcProcess) template = NULL, process = NULL;

  g_test_summary ("What a process has made that is not known itself yet is not mistaken for that, and both are reaped");
  afrpc_process_setenv (base, "AFRPC_TEST_FORK", "deep", TRUE);
  template = afrpc_process_fork (base);
  process = afrpc_process_fork (template);
  while (!has_zombie ())
    g_main_context_iteration (NULL, FALSE);

  kill_process (is_template_first ? &template : &process);
  kill_process (is_template_first ? &process : &template);
  kill_process (&base);
  while (has_child ())
    g_main_context_iteration (NULL, TRUE);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/zombies/exec", GINT_TO_POINTER (FALSE), test_zombies);
  g_test_add_data_func ("/zombies/fork", GINT_TO_POINTER (TRUE), test_zombies);
  g_test_add_data_func ("/zombies/together/forked", "function", test_zombies_together);
  g_test_add_data_func ("/zombies/together/with-job", "leave", test_zombies_together);
  g_test_add_data_func ("/zombies/deep/template-first", GINT_TO_POINTER (TRUE), test_zombies_deep);
  g_test_add_data_func ("/zombies/deep/process-first", GINT_TO_POINTER (FALSE), test_zombies_deep);

  return g_test_run ();
}
