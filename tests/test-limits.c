/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT_WORKER (g_getenv ("AFRPC_TEST_LIMIT_WORKER"))

/* Each test runs with a process that is executed, and with one that is forked. */
typedef enum { EXEC, FORK } Start;

static AfrpcProcess *
new_process (Start start)
{
  g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
  AfrpcProcess *process;

  afrpc_process_set_stderr (template, AFRPC_STDIO_CAPTURE);
  afrpc_process_require (template, LIMIT_WORKER);
  if (start == EXEC)
    return g_steal_pointer (&template);

  process = afrpc_process_fork (template);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);

  return process;
}

/* One call of "use" in a process that becomes a worker; its end is in @watched. */
static GVariant *
use (AfrpcProcess  *process,
     Watched       *watched,
     const char    *what,
     guint32        value,
     GError       **error)
{
  watch_init (watched, afrpc_proxy_new (process, "use"));

  return test_call (watched->proxy, test_act (what, g_variant_new_uint32 (value)), error);
}

static void
assert_ended_by (Watched      *watched,
                 const GError *error,
                 AfrpcLimit    limit,
                 int           signum,
                 const char   *words)
{
  g_autofree char *text = NULL;

  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_nonnull (strstr (error->message, words));
  test_iterate_until (&watched->destroyed);
  g_assert_cmpint (afrpc_exit_get_limit (watched->exit), ==, limit);
  g_assert_cmpint (afrpc_exit_get_signal (watched->exit), ==, signum);
  g_assert_false (afrpc_exit_was_killed (watched->exit));
  text = afrpc_exit_to_string (watched->exit);
  g_assert_nonnull (strstr (text, words));
}

static void
test_cpu (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("A function that computes for too long is ended, and the reason is named");
  afrpc_process_set_limit (process, AFRPC_LIMIT_CPU, 1);
  g_assert_null (use (process, &watched, "spin", 0, &error));
  assert_ended_by (&watched, error, AFRPC_LIMIT_CPU, SIGXCPU, "exceeded its limit of processor time");
}

static void
test_cpu_stubborn (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("A function that ignores SIGXCPU is ended a second later");
  afrpc_process_set_limit (process, AFRPC_LIMIT_CPU, 1);
  g_assert_null (use (process, &watched, "spin-stubbornly", 0, &error));
  assert_ended_by (&watched, error, AFRPC_LIMIT_CPU, SIGKILL, "exceeded its limit of processor time");
}

static void
test_file_size (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A function that writes too much is ended, and the reason is named");
  afrpc_process_set_limit (process, AFRPC_LIMIT_FILE_SIZE, 100000);
  result = use (process, &watched, "write", 100000, &error);
  g_assert_no_error (error);
  g_assert_null (test_call (watched.proxy, test_act ("write", g_variant_new_uint32 (200000)), &error));
  assert_ended_by (&watched, error, AFRPC_LIMIT_FILE_SIZE, SIGXFSZ, "exceeded its limit of file size");
}

static void
test_files (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A function that opens too many files gets EMFILE, and can go on");
  afrpc_process_set_limit (process, AFRPC_LIMIT_FILES, 64);
  g_assert_null (use (process, &watched, "open", 64, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_MFILE);
  g_clear_error (&error);
  result = test_call (watched.proxy, test_act ("open", g_variant_new_uint32 (40)), &error);
  g_assert_no_error (error);
  watch_end (&watched);
  g_assert_cmpint (afrpc_exit_get_limit (watched.exit), ==, AFRPC_LIMIT_NONE);
  g_assert_true (afrpc_exit_is_success (watched.exit));
}

static void
test_address_space (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("Memory above the limit is not to be had; g_malloc() gives up");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer needs terabytes of it");
  return;
#endif
  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, 256 << 20);
  g_assert_null (use (process, &watched, "map", 300, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOMEM);
  g_clear_error (&error);
  result = test_call (watched.proxy, test_act ("map", g_variant_new_uint32 (100)), &error);
  g_assert_no_error (error);

  g_assert_null (test_call (watched.proxy, test_act ("allocate", g_variant_new_uint32 (300)), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpint (afrpc_exit_get_limit (watched.exit), ==, AFRPC_LIMIT_ADDRESS_SPACE);
  g_assert_nonnull (strstr (error->message, "exceeded its limit of address space and was killed by signal"));
  g_assert_nonnull (strstr (error->message, strsignal (afrpc_exit_get_signal (watched.exit))));
}

/* What workers log ends no test. */
static GLogWriterOutput
writer (GLogLevelFlags   level,
        const GLogField *fields,
        gsize            n_fields,
        gpointer         data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "AFRPC_PID"))
      return G_LOG_WRITER_HANDLED;

  return g_log_writer_default (level, fields, n_fields, data);
}

static void
test_address_space_log (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("That g_malloc() has given up is known where messages are forwarded, too");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer needs terabytes of it");
  return;
#endif
  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, 256 << 20);
  watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "use", "forward-log", TRUE, NULL));
  g_assert_null (test_call (watched.proxy, test_act ("allocate", g_variant_new_uint32 (300)), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_DIED);
  g_assert_nonnull (strstr (error->message, "exceeded its limit of address space and was killed by signal"));
  test_iterate_until (&watched.destroyed);
  g_assert_cmpint (afrpc_exit_get_limit (watched.exit), ==, AFRPC_LIMIT_ADDRESS_SPACE);
}

/* Returns: how much a worker has before it loads anything, by what refuses less */
static guint64
get_mapped (Start start)
{
  g_autoptr(AfrpcProcess) process = new_process (start);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  const char *mapped;

  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, 1 << 20);
  g_assert_null (use (process, &watched, "map", 1, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  mapped = strstr (error->message, "limiting address space to 1048576 bytes: ");
  g_assert_nonnull (mapped);
  mapped = strrchr (mapped, ':') + 2;
  g_assert_nonnull (strstr (mapped, " bytes are mapped already"));

  return g_ascii_strtoull (mapped, NULL, 10);
}

static void
test_no_address_space (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  guint64 mapped;

  g_test_summary ("Less than a process has already is no limit");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer has terabytes of it");
  return;
#endif
  mapped = get_mapped (GPOINTER_TO_INT (start));
  g_assert_cmpuint (mapped, >, 1 << 20);
  process = new_process (GPOINTER_TO_INT (start));
  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, mapped - 1);
  g_assert_null (use (process, &watched, "map", 1, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_nonnull (strstr (error->message, " bytes are mapped already"));
}

static void
test_address_space_start (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *words = NULL;
  guint64 limit;

  g_test_summary ("A worker that has not enough for itself fails, and says for which limit");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer needs terabytes of it");
  return;
#endif
  /* Next to nothing more than what it begins with. */
  limit = get_mapped (GPOINTER_TO_INT (start)) + (64 << 10);
  process = new_process (GPOINTER_TO_INT (start));
  afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, limit);
  g_assert_null (use (process, &watched, "map", 1, &error));
  g_assert_true (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN) ||
                 g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_MODULE));
  g_assert_nonnull (strstr (error->message, "running 'use'"));
  words = g_strdup_printf ("; its address space is limited to %" G_GUINT64_FORMAT " bytes", limit);
  g_assert_true (g_str_has_suffix (error->message, words));
  test_iterate_until (&watched.destroyed);
  g_assert_cmpint (afrpc_exit_get_limit (watched.exit), ==, AFRPC_LIMIT_ADDRESS_SPACE);
  text = afrpc_exit_to_string (watched.exit);
  g_assert_nonnull (strstr (text, ") exceeded its limit of address space and exited with status 1: "));
  g_assert_true (g_str_has_suffix (text, error->message));
}

/* What docs/limits.md says that a worker needs, with and without GIO. */
static void
test_address_space_enough (gconstpointer start)
{
#if !defined(__x86_64__) || !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("it is known for x86-64 with the GNU C library, and without a sanitizer");
#else
  const struct
  {
    const char *module;
    const char *function;
    const char *what;
    guint needed_mib;
  } workers[] = {
    { LIMIT_WORKER, "use", "pid", 12 },
    { TEST_WORKER, "act", "return", 16 },
  };

  g_test_summary ("A worker that has what it needs does its work");
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    {
      g_autoptr(AfrpcProcess) template = afrpc_process_new_exec (NULL);
      g_autoptr(AfrpcProcess) process = NULL;
      g_auto(Watched) watched = { 0 };
      g_autoptr(GVariant) result = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_process_unsetenv (template, "LD_PRELOAD"); /* what is loaded besides takes its part */
      afrpc_process_require (template, workers[i].module);
      process = GPOINTER_TO_INT (start) == FORK ? afrpc_process_fork (template) : g_object_ref (template);
      afrpc_process_set_limit (process, AFRPC_LIMIT_ADDRESS_SPACE, (guint64) workers[i].needed_mib << 20);
      watch_init (&watched, afrpc_proxy_new (process, workers[i].function));
      result = test_call (watched.proxy, test_act (workers[i].what, NULL), &error);
      g_assert_no_error (error);
      g_assert_nonnull (result);
    }
#endif
}

static void
test_nice (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("The nice level comes on top of the program's");
  afrpc_process_set_nice (process, 3);
  result = use (process, &watched, "nice", 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_variant_get_int32 (result), ==, MIN (getpriority (PRIO_PROCESS, 0) + 3, 19));
}

static void
test_inherited (void)
{
  g_autoptr(AfrpcProcess) template = new_process (EXEC);
  g_autoptr(AfrpcProcess) same = NULL;
  g_autoptr(AfrpcProcess) lower = NULL;
  g_auto(Watched) a = { 0 };
  g_auto(Watched) b = { 0 };
  g_autoptr(GVariant) nice = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("A forked process has the limits of its template, or lower ones");
  afrpc_process_set_limit (template, AFRPC_LIMIT_FILES, 100);
  afrpc_process_set_nice (template, 2);
  same = afrpc_process_fork (template);
  lower = afrpc_process_fork (template);
  afrpc_process_set_limit (lower, AFRPC_LIMIT_FILES, 50);

  result = use (same, &a, "open", 60, &error);
  g_assert_no_error (error);
  g_assert_null (test_call (a.proxy, test_act ("open", g_variant_new_uint32 (110)), &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_MFILE);
  g_clear_error (&error);
  nice = test_call (a.proxy, test_act ("nice", NULL), &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_variant_get_int32 (nice), ==, MIN (getpriority (PRIO_PROCESS, 0) + 2, 19));

  g_assert_null (use (lower, &b, "open", 60, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_MFILE);
}

/* The kernel refuses it to root too: more open files than fs.nr_open. */
static void
test_refused (gconstpointer start)
{
  g_autoptr(AfrpcProcess) process = new_process (GPOINTER_TO_INT (start));
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;

  g_test_summary ("A limit that cannot be set is an error, and nothing is called without it");
  afrpc_process_set_limit (process, AFRPC_LIMIT_FILES, G_MAXUINT32);
  g_assert_null (use (process, &watched, "open", 1, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SPAWN);
  g_assert_true (g_str_has_prefix (error->message, "'c' running 'use' of '"));
  g_assert_nonnull (strstr (error->message, "': limiting open files to 4294967295: "));
}

static void
test_killed (void)
{
  g_autoptr(AfrpcProcess) process = new_process (EXEC);
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  g_test_summary ("A process that the program killed exceeded no limit");
  afrpc_process_set_limit (process, AFRPC_LIMIT_CPU, 100);
  result = use (process, &watched, "pid", 0, &error);
  g_assert_no_error (error);
  afrpc_process_kill (process, SIGKILL);
  test_iterate_until (&watched.destroyed);
  g_assert_cmpint (afrpc_exit_get_limit (watched.exit), ==, AFRPC_LIMIT_NONE);
  g_assert_true (afrpc_exit_was_killed (watched.exit));
}

static void
add (const char    *name,
     GTestDataFunc  func)
{
  g_autofree char *exec_path = g_strdup_printf ("/limits/%s/exec", name);
  g_autofree char *fork_path = g_strdup_printf ("/limits/%s/fork", name);

  g_test_add_data_func (exec_path, GINT_TO_POINTER (EXEC), func);
  g_test_add_data_func (fork_path, GINT_TO_POINTER (FORK), func);
}

int
main (int   argc,
      char *argv[])
{
  const struct rlimit no_core = { 0, 0 };

  g_test_init (&argc, &argv, NULL);
  setrlimit (RLIMIT_CORE, &no_core);
  g_log_set_writer_func (writer, NULL, NULL);

  add ("cpu", test_cpu);
  add ("cpu-stubborn", test_cpu_stubborn);
  add ("file-size", test_file_size);
  add ("files", test_files);
  add ("address-space", test_address_space);
  add ("address-space-log", test_address_space_log);
  add ("no-address-space", test_no_address_space);
  add ("address-space-start", test_address_space_start);
  add ("address-space-enough", test_address_space_enough);
  add ("nice", test_nice);
  add ("refused", test_refused);
  g_test_add_func ("/limits/inherited", test_inherited);
  g_test_add_func ("/limits/killed", test_killed);

  return g_test_run ();
}
