/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What it costs a worker in Perl to get values and to send them: instructions, as callgrind counts them. */
#include "perl-util.h"

#include <glib/gstdio.h>
#include <string.h>

#include "random-variant.h"

#define STEP 600u /* elements */

static const char *const types[] = {
  "ab", "ay", "an", "ai", "ax", "ad", "as", "ao", "ag", "av", "aay", "aas", "ams", "amx", "a(sx)", "a(ss)", "a(xd)", "a(vs)",
  "aad", "a()", "a{sv}", "a{ss}", "a{us}", "aa{sv}", "a(sa{sv})",
};

static char *
make_host (const char *folder)
{
  g_autofree char *real = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-perl", NULL);
  g_autofree char *path = g_build_filename (folder, "afrpc-host-perl", NULL);
  g_autofree char *script = g_strdup_printf (
    "#!/bin/sh\nexec valgrind --tool=callgrind --quiet --callgrind-out-file='%s/counted' '%s' \"$@\"\n", folder, real);

  g_assert_true (g_file_set_contents_full (path, script, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));

  return g_steal_pointer (&path);
}

static guint64
read_count (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "counted", NULL);
  g_autofree char *text = NULL;
  const char *line;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpint (g_unlink (path), ==, 0);
  line = strstr (text, "\nsummary: ");
  if (line == NULL)
    line = strstr (text, "\ntotals: ");
  g_assert_nonnull (line);

  return g_ascii_strtoull (strchr (line, ' ') + 1, NULL, 10);
}

/* The instructions of a worker that gets and returns one value of each type with so many elements. */
static guint64
count (const char *folder,
       guint       n)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (1);
  g_autoptr(AfrpcProcess) process = afrpc_process_new_exec ("perl");
  g_auto(Watched) watched = { 0 };

  afrpc_process_setenv (process, "PERL_HASH_SEED", "0", TRUE);
  afrpc_process_eval (process, "sub echo { @_ }", NULL);
  watch_function (&watched, process, "echo", AFRPC_BACKEND_SYNC, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr(GVariant) value = random_variant_array (rand, types[i], n);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) result = test_call (watched.proxy, g_variant_new_tuple (&value, 1), &error);

      g_assert_no_error (error);
    }
  watch_end (&watched);

  return read_count (folder);
}

static void
test_perl_linear (void)
{
  g_autofree char *folder = g_dir_make_tmp ("afrpc-XXXXXX", NULL);
  g_autofree char *host = make_host (folder);
  g_autofree char *valgrind = g_find_program_in_path ("valgrind");
  guint64 counts[3];

  g_test_summary ("What values cost a worker grows with their size and no faster");
  if (valgrind == NULL)
    {
      g_test_skip ("there is no valgrind");
      return;
    }

  g_setenv ("AFRPC_HOST_PATH", folder, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    counts[i] = count (folder, (2 * i + 1) * STEP);
  g_test_message ("%.3f times the instructions; %.0f an element and type",
                  (counts[2] - counts[1]) / (double) (counts[1] - counts[0]),
                  (counts[2] - counts[0]) / (4. * STEP * G_N_ELEMENTS (types)));

  /* Twice as much if it were the square that counts. */
  g_assert_cmpuint (counts[2] - counts[1], <, 1.2 * (counts[1] - counts[0]));
  g_unlink (host);
  g_rmdir (folder);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/perl/linear", test_perl_linear);

  return g_test_run ();
}
