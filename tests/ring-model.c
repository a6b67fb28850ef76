/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "ring-model.h"

#include <string.h>

static const char *const left_out_names[N_LEFT_OUT] = {
  [NOTHING] = "nothing",
  [WAKE_FENCE] = "wake-fence",
  [SLEEP_FENCE] = "sleep-fence",
  [SLEEP_LOOK] = "sleep-look",
  [CLOSED_LOOK] = "closed-look",
  [WANT_FENCE] = "want-fence",
  [WANT_LOOK] = "want-look",
  [TOLD_FENCE] = "told-fence",
  [TOLD] = "told",
  [BEGIN_WAKE] = "begin-wake",
  [TAKEN_LOOK] = "taken-look",
  [BELLS_BEFORE] = "bells-before",
  [BELL_AMONG] = "bell-among",
  [BELL_COUNTED] = "bell-counted",
  [BELL_OWED] = "bell-owed",
  [DRAINED] = "drained",
  [LAST_LOOK] = "last-look",
  [CLOSE_WAKE] = "close-wake",
};

static void
test_ring_model (gconstpointer data)
{
  g_auto(ModelSearch) search = { 0 };

  model_search_init (&search, GPOINTER_TO_INT (data), NOTHING, g_test_slow ());
  model_search_run (&search);
  if (search.violation != NULL)
    model_tell (&search);
  g_assert_cmpstr (search.violation, ==, NULL);
  g_test_message ("%u states, %" G_GUINT64_FORMAT " steps", search.states->len, search.n_steps);
}

static void
test_ring_model_left_out (gconstpointer data)
{
  const ModelLeftOut left_out = GPOINTER_TO_INT (data);
  const char *violation = NULL;

  for (guint sends_program = 0; sends_program < 2 && violation == NULL; sends_program++)
    {
      g_auto(ModelSearch) search = { 0 };

      model_search_init (&search, sends_program, left_out, FALSE);
      model_search_run (&search);
      violation = search.violation;
      g_test_message ("%s sends: %s (%u states)", sends_program ? "program" : "worker",
                      violation != NULL ? violation : "nothing found", search.states->len);
    }
  g_assert_nonnull (violation);
}

static int
run_alone (const char *name,
           const char *who,
           gboolean    is_large)
{
  g_auto(ModelSearch) search = { 0 };
  ModelLeftOut left_out = NOTHING;

  while (left_out < N_LEFT_OUT && g_strcmp0 (left_out_names[left_out], name) != 0)
    left_out++;
  if (left_out == N_LEFT_OUT)
    {
      g_printerr ("no such part: %s\n", name);
      return 2;
    }

  model_search_init (&search, strcmp (who, "program") == 0, left_out, is_large);
  model_search_run (&search);
  if (search.violation != NULL)
    model_tell (&search);
  g_print ("%u states, %" G_GUINT64_FORMAT " steps\n", search.states->len, search.n_steps);

  return search.violation != NULL;
}

int
main (int    argc,
      char **argv)
{
  if (argc >= 4 && strcmp (argv[1], "--leave-out") == 0)
    return run_alone (argv[2], argv[3], g_strcmp0 (argv[4], "large") == 0);

  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/ring-model/worker", GINT_TO_POINTER (FALSE), test_ring_model);
  g_test_add_data_func ("/ring-model/program", GINT_TO_POINTER (TRUE), test_ring_model);
  for (int i = NOTHING + 1; i < N_LEFT_OUT; i++)
    {
      g_autofree char *path = g_strconcat ("/ring-model/without/", left_out_names[i], NULL);

      g_test_add_data_func (path, GINT_TO_POINTER (i), test_ring_model_left_out);
    }

  return g_test_run ();
}
