/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Modules that are sent to another machine: as test-ssh-process.c, to fake-ssh/ssh or to a server. Each test has folders of
 * its own, and one of them is what the other machine has for caches. */

#define LIMIT (128 << 20) /* bytes */

typedef struct
{
  char *here;
  char *there;
} Folders;

static char *
make_folder (void)
{
  g_autoptr(GError) error = NULL;
  char *folder = g_dir_make_tmp ("afrpc-send-XXXXXX", &error);

  g_assert_no_error (error);

  return folder;
}

static void
set_up (Folders       *folders,
        gconstpointer  data)
{
  folders->here = make_folder ();
  folders->there = make_folder ();
}

static void
remove_all (const char *folder)
{
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (g_unlink (path) != 0)
        remove_all (path);
    }
  g_rmdir (folder);
}

static void
tear_down (Folders       *folders,
           gconstpointer  data)
{
  remove_all (folders->here);
  remove_all (folders->there);
  g_free (folders->here);
  g_free (folders->there);
}

static char *
write_file (Folders    *folders,
            const char *name,
            const char *contents,
            gssize      size)
{
  char *path = g_build_filename (folders->here, name, NULL);
  g_autoptr(GError) error = NULL;

  g_file_set_contents (path, contents, size, &error);
  g_assert_no_error (error);

  return path;
}

/* Returns: (transfer full): a copy of a module under another name, which is not known to anybody else */
static char *
copy_module (Folders    *folders,
             const char *module,
             const char *name)
{
  g_autofree char *contents = NULL;
  g_autoptr(GError) error = NULL;
  gsize size;

  g_file_get_contents (module, &contents, &size, &error);
  g_assert_no_error (error);

  return write_file (folders, name, contents, size);
}

static AfrpcProcess *
new_process (Folders    *folders,
             const char *host,
             const char *module)
{
  AfrpcProcess *process = test_ssh_process_new ("here", host);

  afrpc_process_setenv (process, "XDG_CACHE_HOME", folders->there, TRUE);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  afrpc_process_set_send_modules (process, TRUE);
  afrpc_process_require (process, module);

  return process;
}

/* Calls a function once, and has the worker end. Returns: (transfer full): what came of it, as text */
static char *
call_and_end (AfrpcProcess  *process,
              const char    *function,
              GVariant      *args,
              GError       **error)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GVariant) result = NULL;

  watch_init (&watched, afrpc_proxy_new (process, function));
  result = test_call (watched.proxy, args, error);
  watch_end (&watched);

  return result != NULL ? g_variant_print (result, FALSE) : NULL;
}

static void
check_act (Folders    *folders,
           const char *module)
{
  g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);
  g_autoptr(GError) error = NULL;
  g_autofree char *text = call_and_end (process, "act", test_act ("return", g_variant_new_int32 (5)), &error);

  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, "5");
}

static char *
find_cached (Folders    *folders,
             const char *path)
{
  g_autofree char *contents = NULL, *sum = NULL, *name = g_path_get_basename (path);
  g_autoptr(GError) error = NULL;
  gsize size;

  g_file_get_contents (path, &contents, &size, &error);
  g_assert_no_error (error);
  sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) contents, size);

  return g_build_filename (folders->there, "afrpc", sum, name, NULL);
}

static struct stat
get_stat (const char *path)
{
  struct stat status;

  if (stat (path, &status) != 0)
    g_error ("there is no '%s'", path);

  return status;
}

static void
test_ssh_send_once (Folders       *folders,
                    gconstpointer  data)
{
  g_autofree char *module = copy_module (folders, TEST_WORKER, "einmal ü.so");
  g_autofree char *cached = find_cached (folders, module);
  g_autofree char *parent = g_path_get_dirname (cached);
  struct stat before, after;

  g_test_summary ("It goes where only the user can read it, and not a second time");
  check_act (folders, module);
  before = get_stat (cached);
  g_assert_cmpint (before.st_mode & 07777, ==, 0600);
  g_assert_cmpint (get_stat (parent).st_mode & 07777, ==, 0700);
  check_act (folders, module);
  after = get_stat (cached);
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  g_assert_cmpint (before.st_mtim.tv_nsec, ==, after.st_mtim.tv_nsec);
  test_assert_no_children ();
}

static void
test_ssh_send_damaged (Folders       *folders,
                       gconstpointer  data)
{
  g_autofree char *module = copy_module (folders, TEST_WORKER, "damaged.so");
  g_autofree char *cached = find_cached (folders, module);
  g_autoptr(GError) error = NULL;
  const char *const contents[] = { "", "no module", NULL };

  g_test_summary ("What is there and is something else is not loaded, but replaced");
  check_act (folders, module);
  for (guint i = 0; contents[i] != NULL; i++)
    {
      g_file_set_contents (cached, contents[i], -1, &error);
      g_assert_no_error (error);
      check_act (folders, module);
      g_assert_cmpint (get_stat (cached).st_size, ==, get_stat (module).st_size);
    }
  g_assert_cmpint (truncate (cached, 0), ==, 0);
  g_assert_cmpint (truncate (cached, get_stat (module).st_size), ==, 0);
  check_act (folders, module);
  g_assert_cmpint (g_unlink (cached), ==, 0);
  g_assert_cmpint (symlink (module, cached), ==, 0);
  check_act (folders, module);
  g_assert_false (g_file_test (cached, G_FILE_TEST_IS_SYMLINK));
}

static void
test_ssh_send_large (Folders       *folders,
                     gconstpointer  data)
{
  g_autofree char *module = copy_module (folders, TEST_WORKER, "large.so");

  g_test_summary ("More than a connection takes at once");
  g_assert_cmpint (truncate (module, 5 << 20), ==, 0);
  check_act (folders, module);
}

static const struct
{
  const char *host;
  const char *name;
  const char *code;
} languages[] = {
  { "python", "adding.py", "def add(x):\n    return x + 1\n" },
  { "gjs", "adding.js", "export function add(x) { return x + 1; }\n" },
  { "perl", "Adding.pm", "package Adding;\nsub add { return $_[0] + 1 }\n1;\n" },
};

/* What sanitizes interpreters is not in the environment on the other side. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_INTERPRETERS FALSE
#else
#define HAS_INTERPRETERS TRUE
#endif

/* @host: an interpreter's */
static gboolean
has_host (const char *host)
{
  g_autofree char *name = g_strconcat ("afrpc-host-", host, NULL);
  g_autofree char *path = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), name, NULL);

  return HAS_INTERPRETERS && g_file_test (path, G_FILE_TEST_IS_EXECUTABLE);
}

static void
test_ssh_send_languages (Folders       *folders,
                         gconstpointer  data)
{
  g_test_summary ("Files of all languages, two of them at once");
  for (guint i = 0; i < G_N_ELEMENTS (languages); i++)
    if (has_host (languages[i].host))
      {
        g_autofree char *module = write_file (folders, languages[i].name, languages[i].code, -1);
        g_autofree char *second_name = g_strconcat ("Second", languages[i].name, NULL);
        g_autofree char *second = write_file (folders, second_name, i == 2 ? "package SecondAdding;\n1;\n" : "", -1);
        g_autoptr(AfrpcProcess) process = new_process (folders, languages[i].host, module);
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        afrpc_process_require (process, second);
        text = call_and_end (process, i == 2 ? "Adding::add" : "add", g_variant_new ("(i)", 4), &error);
        g_assert_no_error (error);
        g_assert_nonnull (strchr (text, '5'));
      }
}

/* What a shell would take for something else, or a folder for nothing. */
static const char *const names[] = { ".hidden.so", "it's \"a\" $(name);\n.so", "-x.so", "..so", "\303\244.so" };

static void
test_ssh_send_names (Folders       *folders,
                     gconstpointer  data)
{
  g_test_summary ("Whatever a file may be called");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *module = copy_module (folders, TEST_WORKER, names[i]);
      g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);
      g_autoptr(GError) error = NULL;
      g_autofree char *text = call_and_end (process, "act", test_act ("return", NULL), &error);

      g_assert_no_error (error);
    }
  test_assert_no_children ();
}

static void
test_ssh_send_by_name (Folders       *folders,
                       gconstpointer  data)
{
  g_autofree char *module = copy_module (folders, TEST_WORKER, "there-already.so");
  g_autofree char *cache = g_build_filename (folders->there, "afrpc", NULL);
  g_autoptr(AfrpcProcess) process = new_process (folders, NULL, "there-already");
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("A module by name is found there");
  afrpc_process_setenv (process, "AFRPC_MODULE_PATH", folders->here, TRUE);
  text = call_and_end (process, "act", test_act ("return", NULL), &error);
  g_assert_no_error (error);
  g_assert_false (g_file_test (cache, G_FILE_TEST_EXISTS));
}

/* What the file looks like from outside stays as it is, but for when it was changed. */
static void
rewrite_unseen (const char *path,
                const char *contents)
{
  struct stat status;
  FILE *file;

  g_assert_cmpint (stat (path, &status), ==, 0);
  g_assert_cmpint (status.st_size, ==, strlen (contents));
  file = fopen (path, "r+e");
  g_assert_nonnull (file);
  g_assert_cmpint (fputs (contents, file), >=, 0);
  g_assert_cmpint (fclose (file), ==, 0);
  g_assert_cmpint (utimensat (AT_FDCWD, path, (struct timespec[]) { status.st_atim, status.st_mtim }, 0), ==, 0);
}

static void
test_ssh_send_changed (Folders       *folders,
                       gconstpointer  data)
{
  g_autofree char *module = write_file (folders, "changing.py", "def get():\n    return 1\n", -1);
  g_autoptr(AfrpcProcess) template = NULL;
  g_autoptr(AfrpcExit) exit = NULL;

  if (!has_host ("python"))
    {
      g_test_skip ("no host of Python");
      return;
    }

  g_test_summary ("Who is forked later has what the file is then; the process that has loaded it is what it was");
  template = new_process (folders, "python", module);
  for (guint i = 1; i <= 2; i++)
    {
      g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
      g_autoptr(GError) error = NULL;
      g_autofree char *text = NULL, *expected = g_strdup_printf ("%u", i), *other = NULL;

      g_assert_true (afrpc_process_get_send_modules (process));
      afrpc_process_setenv (process, "XDG_CACHE_HOME", folders->there, TRUE);
      text = call_and_end (process, "get", NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (text, ==, expected);
      if (i == 1)
        other = write_file (folders, "changing.py", "def get():\n    return 2\n", -1);
    }
  rewrite_unseen (module, "def get():\n    return 3\n");
  {
    g_autoptr(AfrpcProcess) process = afrpc_process_fork (template);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = call_and_end (process, "get", NULL, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, "3");
  }
  afrpc_process_kill (template, SIGKILL);
  exit = test_wait_exit (template);
}

static void
assert_fails (AfrpcProcess *process,
              int           code,
              const char   *words)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = call_and_end (process, "act", test_act ("return", NULL), &error);

  g_assert_error (error, AFRPC_ERROR, code);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' is not in '%s'", words, error->message);
}

static void
assert_n_files (const char *folder,
                guint       expected)
{
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  g_assert_cmpuint (n, ==, expected);
}

static void
test_ssh_send_failures (Folders       *folders,
                        gconstpointer  data)
{
  g_autofree char *missing = g_build_filename (folders->here, "missing.so", NULL);
  g_autofree char *huge = write_file (folders, "huge.so", "", -1);
  g_autofree char *bad = write_file (folders, "bad.so", "no module", -1);
  g_autofree char *module = copy_module (folders, TEST_WORKER, "good.so");
  g_autofree char *cache = g_build_filename (folders->there, "afrpc", NULL);
  g_autofree char *file = NULL;
  const char *const modules[] = { missing, folders->here, huge, bad };
  const int codes[] = { AFRPC_ERROR_MODULE, AFRPC_ERROR_MODULE, AFRPC_ERROR_TOO_LARGE, AFRPC_ERROR_MODULE };
  const char *const words[] = { "No such file", "no regular file", "the limit is 134217728", "bad.so" };

  g_test_summary ("What cannot be sent, kept or loaded");
  g_assert_cmpint (truncate (huge, LIMIT + 1), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (modules); i++)
    {
      g_autoptr(AfrpcProcess) process = new_process (folders, NULL, modules[i]);

      assert_fails (process, codes[i], words[i]);
    }

  g_assert_cmpint (g_chmod (cache, 0777), ==, 0);
  {
    g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);

    assert_fails (process, AFRPC_ERROR_NOT_A_HOST, "only you can write");
  }
  remove_all (cache);
  g_assert_cmpint (symlink (folders->here, cache), ==, 0);
  {
    g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);

    assert_fails (process, AFRPC_ERROR_NOT_A_HOST, "only you can write");
  }
  assert_n_files (folders->here, 3);
  g_assert_cmpint (g_unlink (cache), ==, 0);
  file = g_build_filename (folders->there, "afrpc", NULL);
  g_assert_true (g_file_set_contents (file, "a file", -1, NULL));
  {
    g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);

    assert_fails (process, AFRPC_ERROR_NOT_A_HOST, "Cannot keep a module");
  }
  test_assert_no_children ();
}

static void
test_ssh_send_late (Folders       *folders,
                    gconstpointer  data)
{
  g_autofree char *module = copy_module (folders, TEST_WORKER, "late.so");
  g_autoptr(AfrpcProcess) process = new_process (folders, NULL, module);

  g_test_summary ("What comes when the process has been started is not sent any more, and says so");
  while (afrpc_process_get_pid (process) == 0)
    g_main_context_iteration (NULL, TRUE);
  afrpc_process_require (process, module);
  assert_fails (process, AFRPC_ERROR_FAILED, "modules are sent before that");
}

static void
test_ssh_send_property (Folders       *folders,
                        gconstpointer  data)
{
  g_autoptr(AfrpcProcess) process = afrpc_process_new_ssh ("here", NULL, NULL);
  g_autoptr(AfrpcProcess) local = test_process_new ();
  g_autoptr(AfrpcProcess) fork = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  gboolean sends;

  g_test_summary ("The property; without ssh it means nothing");
  g_object_get (process, "send-modules", &sends, NULL);
  g_assert_false (sends);
  g_object_set (process, "send-modules", TRUE, NULL);
  g_assert_true (afrpc_process_get_send_modules (process));
  fork = afrpc_process_fork (process);
  g_assert_true (afrpc_process_get_send_modules (fork));
  afrpc_process_set_send_modules (local, TRUE);
  text = call_and_end (local, "act", test_act ("return", NULL), &error);
  g_assert_no_error (error);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*func) (Folders       *folders,
                  gconstpointer  data);
  } tests[] = {
    { "/ssh-send/once", test_ssh_send_once },
    { "/ssh-send/damaged", test_ssh_send_damaged },
    { "/ssh-send/large", test_ssh_send_large },
    { "/ssh-send/languages", test_ssh_send_languages },
    { "/ssh-send/names", test_ssh_send_names },
    { "/ssh-send/by-name", test_ssh_send_by_name },
    { "/ssh-send/changed", test_ssh_send_changed },
    { "/ssh-send/failures", test_ssh_send_failures },
    { "/ssh-send/late", test_ssh_send_late },
    { "/ssh-send/property", test_ssh_send_property },
  };
  const char *fake = g_getenv ("AFRPC_TEST_SSH_PATH");
  g_autofree char *path = g_strdup_printf ("%s:%s", fake, g_getenv ("PATH"));

  g_test_init (&argc, &argv, NULL);
  if (fake != NULL)
    g_assert_true (g_setenv ("PATH", path, TRUE));
  g_assert_true (g_setenv ("LC_ALL", "C.UTF-8", TRUE));

  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Folders, NULL, set_up, tests[i].func, tear_down);

  return g_test_run ();
}
