/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker in Perl runs when its program dies. The program is a child of this test. */
#include "perl-util.h"

#include <signal.h>
#include <unistd.h>

/* What code does to signals before, as a daemon does; and as a program that does not want to be disturbed. */
typedef enum
{
  NOTHING,
  IGNORE,
  TAKE,
  BLOCK,
  N_HABITS,
} Habit;

static const struct
{
  const char *name;
  const char *code;
} habits[N_HABITS] = {
  [NOTHING] = { "", "" },
  [IGNORE] = { "-ignoring", "$SIG{$_} = 'IGNORE' for keys %SIG;" },
  [TAKE] = { "-taking", "$SIG{$_} = sub { } for keys %SIG;" },
  [BLOCK] = { "-blocking", "use POSIX; my $all = POSIX::SigSet->new; $all->fillset; sigprocmask (SIG_BLOCK, $all);" },
};

typedef struct
{
  AfrpcBackend backend;
  const char *job;
  const char *expected;
  const char *module; /* (nullable): that has to be there */
  Habit habit;
} Case;

static const Case cases[] = {
  { AFRPC_BACKEND_SYNC, "idle", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "compute", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "sleep", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "trap", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "read", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "wait", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "sort", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "object", "destroyed;ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "handler", "ended;destroyed;" },
  { AFRPC_BACKEND_SYNC, "compute", "ended;destroyed;", NULL, IGNORE },
  { AFRPC_BACKEND_SYNC, "compute", "ended;destroyed;", NULL, TAKE },
  { AFRPC_BACKEND_SYNC, "sleep", "ended;destroyed;", NULL, BLOCK },
  { AFRPC_BACKEND_ASYNC, "keep", "ended;destroyed;" },
  { AFRPC_BACKEND_ASYNC, "compute", "ended;destroyed;" },
  { AFRPC_BACKEND_ASYNC, "sleep", "ended;destroyed;" },
  { AFRPC_BACKEND_ASYNC, "block", "ended;destroyed;", "AnyEvent" },
};

/* The worker has ended before the program, which has nothing to wait for then. */
static void
failed_cb (AfrpcProxy *proxy,
           GError     *error,
           gpointer    data)
{
  g_printerr ("no worker: %s\n", error->message);
  _exit (1);
}

/* The program: has a process begin to evaluate something that does not end. */
static int
be_evaluator (const char *code,
              const char *how)
{
  g_autofree char *endless = g_strconcat (code, "$| = 1; print STDOUT 'evaluating;'; 1 while 1", NULL);
  g_autoptr(AfrpcProcess) process = new_process (NULL);
  g_autoptr(AfrpcProcess) forked = NULL;
  AfrpcProxy *proxy;

  afrpc_process_eval (process, endless, NULL);
  if (g_str_equal (how, "template"))
    forked = afrpc_process_fork (process);
  proxy = afrpc_proxy_new (forked != NULL ? forked : process, "main::never");
  g_signal_connect (proxy, "error", G_CALLBACK (failed_cb), NULL);
  afrpc_caller_call (AFRPC_CALLER (proxy), NULL, NULL, NULL, NULL);
  while (TRUE)
    g_main_context_iteration (NULL, TRUE);

  return 1;
}

/* The program: has a worker begin, and dies. */
static int
be_program (const Case *what,
            const char *how)
{
  const gboolean has_brood = g_str_equal (how, "brood") || g_str_equal (how, "leave");
  g_autoptr(AfrpcProcess) template = new_process ("Last");
  g_autoptr(AfrpcProcess) process = has_brood ? afrpc_process_fork (template) : g_object_ref (template);
  Watched watched = { 0 };

  if (what->habit != NOTHING)
    afrpc_process_eval (process, habits[what->habit].code, NULL);
  if (g_str_equal (how, "finish") || g_str_equal (how, "leave"))
    afrpc_process_set_orphan_policy (process, AFRPC_ORPHAN_POLICY_FINISH);
  if (g_str_equal (how, "group") || has_brood)
    afrpc_process_set_process_group (process, TRUE);
  watch_function (&watched, process, what->backend == AFRPC_BACKEND_SYNC ? "Last::run" : "Last::run_async", what->backend,
                  NULL);
  g_signal_connect (watched.proxy, "error", G_CALLBACK (failed_cb), NULL);
  if (has_brood)
    begin_call (&watched, g_variant_new ("(s)", how), NULL);
  else if (g_str_equal (what->job, "idle"))
    check_call (watched.proxy, "('idle',)", "(1)");
  else
    begin_call (&watched, g_variant_new ("(s)", what->job), NULL);
  while (watched.n_events == 0)
    g_main_context_iteration (NULL, TRUE);

  if (!g_str_equal (how, "exit"))
    kill (getpid (), SIGKILL);
  _exit (0);
}

/* Runs a program whose worker writes to its standard output. */
static char *
run_program (const char *option,
             int         what,
             const char *how)
{
  g_autofree char *number = g_strdup_printf ("%d", what);
  const char *const argv[] = { "test-perl-orphan", option, number, how, NULL };

  return test_run_to_end (argv, "evaluating;", TEST_RUN_DEFAULT);
}

static void
test_perl_orphan (gconstpointer data)
{
  const Case *what = data;
  static const char *const hows[] = { "exit", "kill", "group" };

  g_test_summary ("END blocks and destructors are run when the program dies, whatever a worker does");
  if (what->module != NULL && skip_without (what->module))
    return;

  for (guint i = 0; i < G_N_ELEMENTS (hows); i++)
    {
      g_autofree char *output = run_program ("--program", what - cases, hows[i]);

      g_assert_cmpstr (output, ==, what->expected);
    }
}

static void
test_perl_orphan_finish (void)
{
  g_autofree char *output = run_program ("--program", 0, "finish");

  g_test_summary ("So they are in a worker that may finish its calls");
  g_assert_cmpstr (output, ==, "ended;destroyed;");
}

static void
test_perl_orphan_brood (void)
{
  static const char *const hows[] = { "brood", "leave" };

  g_test_summary ("What its process group has beside it ends with it, or the output would not, also if it exits by itself");
  for (guint i = 0; i < G_N_ELEMENTS (hows); i++)
    {
      g_autofree char *output = run_program ("--program", 0, hows[i]);

      /* So says its template, too, at the same time. */
      g_assert_cmpuint (strlen (output), ==, 2 * strlen ("ended;destroyed;"));
    }
}

static void
test_perl_orphan_evaluating (void)
{
  g_test_summary ("Code that is evaluated ends with the program, whatever it has done to signals");
  for (guint i = 0; i < G_N_ELEMENTS (habits); i++)
    {
      g_autofree char *worker = run_program ("--evaluate", i, "worker");
      g_autofree char *template = run_program ("--evaluate", i, "template");

      g_assert_cmpstr (worker, ==, "evaluating;");
      g_assert_cmpstr (template, ==, "evaluating;");
    }
}

int
main (int   argc,
      char *argv[])
{
  if (argc == 4 && g_str_equal (argv[1], "--program"))
    return be_program (&cases[atoi (argv[2])], argv[3]);

  if (argc == 4 && g_str_equal (argv[1], "--evaluate"))
    return be_evaluator (habits[atoi (argv[2])].code, argv[3]);

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/perl/orphan/%s/%s%s",
                                               cases[i].backend == AFRPC_BACKEND_SYNC ? "sync" : "async", cases[i].job,
                                               habits[cases[i].habit].name);

      g_test_add_data_func (path, &cases[i], test_perl_orphan);
    }
  g_test_add_func ("/perl/orphan/finish", test_perl_orphan_finish);
  g_test_add_func ("/perl/orphan/brood", test_perl_orphan_brood);
  g_test_add_func ("/perl/orphan/evaluating", test_perl_orphan_evaluating);

  return g_test_run ();
}
