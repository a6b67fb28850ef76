/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program with the set-user-ID bit does not do what the environment says. */
#include <afrpc/afrpc.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <spawn.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/afrpc-self-private.h"

#define NOBODY 65534
#define SKIPPED 77

/* Exits with 0 if there is no such host. */
static int
inside (gboolean is_secure)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;

  if ((getauxval (AT_SECURE) != 0) != is_secure)
    return SKIPPED;

  process = afrpc_process_new_for_host ("of-whoever");
  proxy = afrpc_proxy_new (process, "f");
  value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, &error);

  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NO_HOST) ? 0 : 1;
}

static GVariant *
serve (AfrpcWorker *worker,
       GVariant    *args,
       GError     **error)
{
  return g_variant_ref (args);
}

static gboolean
can_serve (AfrpcProcess *process, /* (transfer full) */
           GError      **error)
{
  g_autoptr(AfrpcProcess) owned = process;
  g_autoptr(AfrpcProxy) proxy = afrpc_proxy_new (process, "serve");
  g_autoptr(GVariant) value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), NULL, NULL, error);

  return value != NULL;
}

#define FORKED_ONLY 0
#define ALSO_EXECUTED 10
#define BROKEN 11
#define AS_WORKER 2 /* of nobody: it was started by hand */

/* A program that can be its own worker, maybe with the environment of one: as that, it exits with something else. */
static int
inside_itself (int    argc,
               char **argv)
{
  g_autoptr(GError) error = NULL;

  afrpc_register_function ("serve", AFRPC_FUNCTION_SYNC, G_CALLBACK (serve), NULL);
  afrpc_init_early (&argc, &argv);
  if (g_getenv (AFRPC_SELF_ENV) != NULL || !can_serve (afrpc_process_new_self (), NULL))
    return BROKEN;
  if (can_serve (afrpc_process_new_self_exec (), &error))
    return ALSO_EXECUTED;

  return g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED) ? FORKED_ONLY : BROKEN;
}

static gboolean is_asked; /* posix_spawn () */

/* Instead of that of the C library. */
int
posix_spawn (pid_t                            *pid,
             const char                       *path,
             const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t          *attributes,
             char *const                       argv[],
             char *const                       environment[])
{
  is_asked = TRUE;

  return ENOSYS;
}

#define BY_POSIX_SPAWN 20
#define BY_ITSELF 21

static int
inside_spawning (void)
{
  g_assert_false (can_serve (afrpc_process_new_exec ("/bin/true"), NULL));

  return is_asked ? BY_POSIX_SPAWN : BY_ITSELF;
}

static int
run_inside (const char *program,
            const char *how,
            const char *more) /* (nullable) */
{
  const char *argv[] = { program, how, more, NULL };
  g_autoptr(GError) error = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_true (WIFEXITED (status));

  return WEXITSTATUS (status);
}

/* Returns: (transfer full): a copy in @dir that belongs to somebody who has no rights */
static char *
copy_program (const char *file,
              const char *dir,
              const char *name)
{
  char *program = g_build_filename (dir, name, NULL);
  g_autofree char *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (file, &bytes, &size, NULL));
  g_assert_true (g_file_set_contents (program, bytes, size, NULL));
  g_assert_no_errno (chown (program, NOBODY, (gid_t) -1));
  g_assert_no_errno (chmod (program, 0755));

  return program;
}

static void
test_set_user_id_host_path (void)
{
  g_autofree char *dir = NULL;
  g_autofree char *host = NULL;
  g_autofree char *program = NULL;
  g_autofree char *tool = NULL;
  int result;

  g_test_summary ("Where hosts are looked for is not up to who runs a program with the rights of another");
  if (geteuid () != 0)
    {
      g_test_skip ("only root can give programs to others");
      return;
    }
  dir = g_dir_make_tmp ("afrpc-set-user-id-XXXXXX", NULL);
  host = g_build_filename (dir, "afrpc-host-of-whoever", NULL);
  g_assert_true (g_file_set_contents (host, "#!/bin/sh\n", -1, NULL));
  g_assert_no_errno (chmod (dir, 0755));
  g_assert_no_errno (chmod (host, 0755));
  program = copy_program ("/proc/self/exe", dir, "program");
  tool = copy_program (g_getenv ("AFRPC_TEST_LONE_TOOL"), dir, "tool");
  g_setenv ("AFRPC_HOST_PATH", dir, TRUE);

  g_assert_cmpint (run_inside (program, "--plain", NULL), ==, 1);
  g_assert_cmpint (run_inside (tool, "host", "of-whoever"), ==, 0);
  g_assert_no_errno (chmod (program, 04755));
  g_assert_no_errno (chmod (tool, 04755));
  result = run_inside (program, "--secure", NULL);
  if (result == SKIPPED)
    g_test_skip ("the file system has no set-user-ID");
  else
    {
      g_assert_cmpint (result, ==, 0);
      g_assert_cmpint (run_inside (tool, "host", "of-whoever"), ==, 3);
    }

  g_unlink (tool);
  g_unlink (program);
  g_unlink (host);
  g_rmdir (dir);
}

static void
test_set_user_id_self (void)
{
  g_autofree char *dir = NULL;
  g_autofree char *program = NULL;

  g_test_summary ("A program with the rights of another is not its user's worker, and does not execute itself as its own");
  if (geteuid () != 0)
    {
      g_test_skip ("only root can give programs to others");
      return;
    }
  dir = g_dir_make_tmp ("afrpc-set-user-id-XXXXXX", NULL);
  g_assert_no_errno (chmod (dir, 0755));
  program = copy_program ("/proc/self/exe", dir, "program");

  g_assert_cmpint (run_inside (program, "--self", NULL), ==, ALSO_EXECUTED);
  g_setenv (AFRPC_SELF_ENV, "1", TRUE);
  g_assert_cmpint (run_inside (program, "--self", NULL), ==, AS_WORKER);
  g_assert_no_errno (chmod (program, 04755));
  if (run_inside (program, "--secure", NULL) == SKIPPED)
    g_test_skip ("the file system has no set-user-ID");
  else
    g_assert_cmpint (run_inside (program, "--self", NULL), ==, FORKED_ONLY);
  g_unsetenv (AFRPC_SELF_ENV);

  g_unlink (program);
  g_rmdir (dir);
}

static void
test_set_user_id_spawn (void)
{
  g_autofree char *dir = NULL;
  g_autofree char *program = NULL;

  g_test_summary ("How a program with the rights of another starts processes is not up to who runs it");
  if (geteuid () != 0)
    {
      g_test_skip ("only root can give programs to others");
      return;
    }
  dir = g_dir_make_tmp ("afrpc-set-user-id-XXXXXX", NULL);
  g_assert_no_errno (chmod (dir, 0755));
  program = copy_program ("/proc/self/exe", dir, "program");

  if (run_inside (program, "--spawn", NULL) != BY_ITSELF)
    g_test_skip ("there is one way only here");
  else
    {
      g_setenv ("AFRPC_SPAWN", "posix", TRUE);
      g_assert_cmpint (run_inside (program, "--spawn", NULL), ==, BY_POSIX_SPAWN);
      g_assert_no_errno (chmod (program, 04755));
      if (run_inside (program, "--secure", NULL) == SKIPPED)
        g_test_skip ("the file system has no set-user-ID");
      else
        g_assert_cmpint (run_inside (program, "--spawn", NULL), ==, BY_ITSELF);
      g_unsetenv ("AFRPC_SPAWN");
    }

  g_unlink (program);
  g_rmdir (dir);
}

/* Returns: (transfer full): what @host says of a module of that name */
static char *
require_module (const char *host,
                const char *name)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec (host);
  g_autoptr(GError) error = NULL;

  afrpc_process_require (process, name);
  g_assert_false (can_serve (g_steal_pointer (&process), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_MODULE);

  return g_strdup (error->message);
}

static void
test_set_user_id_module_path (void)
{
  g_autofree char *dir = NULL;
  g_autofree char *program = NULL;
  g_autofree char *host = NULL;
  g_autofree char *module = NULL;
  g_autofree char *plain = NULL;
  g_autofree char *secure = NULL;

  g_test_summary ("Where modules are looked for is not up to who runs a host with the rights of another");
  if (geteuid () != 0)
    {
      g_test_skip ("only root can give programs to others");
      return;
    }
  dir = g_dir_make_tmp ("afrpc-set-user-id-XXXXXX", NULL);
  g_assert_no_errno (chmod (dir, 0755));
  module = g_build_filename (dir, "of-whoever.so", NULL);
  g_assert_true (g_file_set_contents (module, "no module\n", -1, NULL));
  g_assert_no_errno (chmod (module, 0755));
  program = copy_program ("/proc/self/exe", dir, "program");
  host = copy_program (g_getenv ("AFRPC_TEST_LONE_HOST"), dir, "host");
  g_setenv ("AFRPC_MODULE_PATH", dir, TRUE);

  plain = require_module (host, "of-whoever");
  g_assert_nonnull (strstr (plain, module));
  g_assert_no_errno (chmod (program, 04755));
  g_assert_no_errno (chmod (host, 04755));
  if (run_inside (program, "--secure", NULL) == SKIPPED)
    g_test_skip ("the file system has no set-user-ID");
  else
    {
      secure = require_module (host, "of-whoever");
      g_assert_null (strstr (secure, module));
      g_assert_nonnull (strstr (secure, "of-whoever"));
    }
  g_unsetenv ("AFRPC_MODULE_PATH");

  g_unlink (host);
  g_unlink (program);
  g_unlink (module);
  g_rmdir (dir);
}

int
main (int   argc,
      char *argv[])
{
  if (g_getenv (AFRPC_SELF_ENV) != NULL || (argc == 2 && g_str_equal (argv[1], "--self")))
    return inside_itself (argc, argv);
  if (argc == 2 && (g_str_equal (argv[1], "--plain") || g_str_equal (argv[1], "--secure")))
    return inside (g_str_equal (argv[1], "--secure"));

  if (argc == 2 && g_str_equal (argv[1], "--spawn"))
    return inside_spawning ();

  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/set-user-id/host-path", test_set_user_id_host_path);
  g_test_add_func ("/set-user-id/self", test_set_user_id_self);
  g_test_add_func ("/set-user-id/spawn", test_set_user_id_spawn);
  g_test_add_func ("/set-user-id/module-path", test_set_user_id_module_path);

  return g_test_run ();
}
