/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc/json/afrpc-json-names.h"

/* That a name which occurs twice is found, and no other. */

static const char *
get_name (gconstpointer names,
          gsize         i)
{
  return ((const GPtrArray *) names)->pdata[i];
}

/* Returns the number of the one that is found, or -1. */
static gssize
find (GPtrArray *names,
      gssize     budget,
      guint     *n_steps)
{
  AfrpcJsonNames self;
  gssize left;
  int step;

  afrpc_json_names_init (&self, names->len, get_name, names);
  for (*n_steps = 1; (left = budget, step = afrpc_json_names_step (&self, &left)) == 0; ++*n_steps)
    ;
  afrpc_json_names_clear (&self);
  g_assert_cmpint (afrpc_json_names_are_unique (names->len, get_name, names), ==, step > 0);

  return step > 0 ? -1 : (gssize) self.i;
}

/* @n names that begin alike. */
static GPtrArray *
make_names (guint n,
            gsize length)
{
  g_autofree char *beginning = g_strnfill (length, 'n');
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (names, g_strdup_printf ("%s%u", beginning, i));

  return names;
}

static void
test_json_names_all (void)
{
  static const gsize lengths[] = { 0, 6, 7, 62, 63, 64, 4094, 4095, 4096, 5000, 20000 };
  static const guint counts[] = { 0, 1, 2, 3, 7, 8, 9, 10, 33, 200 };

  g_test_summary ("The second of two that are the same is found, however many and long they are");
  for (guint l = 0; l < G_N_ELEMENTS (lengths); l++)
    for (guint c = 0; c < G_N_ELEMENTS (counts); c++)
      {
        g_autoptr(GPtrArray) names = make_names (counts[c], lengths[l]);
        guint n_steps;

        g_assert_cmpint (find (names, G_MAXSSIZE, &n_steps), ==, -1);
        g_assert_cmpuint (n_steps, ==, 1);
        g_assert_cmpint (find (names, 0, &n_steps), ==, -1);
        for (guint i = 1; i < counts[c]; i += 1 + i / 3)
          {
            char *saved = names->pdata[i];

            names->pdata[i] = names->pdata[i / 2];
            g_assert_cmpint (find (names, G_MAXSSIZE, &n_steps), ==, i);
            g_assert_cmpint (find (names, 0, &n_steps), ==, i);
            names->pdata[i] = saved;
          }
      }
}

static void
test_json_names_part (void)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  guint n_steps;

  g_test_summary ("What another begins with is not the same");
  for (gsize length = 0; length < 5000; length += length < 100 ? 1 : 37)
    g_ptr_array_add (names, g_strnfill (length, 'x'));
  g_assert_cmpint (find (names, G_MAXSSIZE, &n_steps), ==, -1);
  g_ptr_array_add (names, g_strnfill (63, 'x'));
  g_assert_cmpint (find (names, 100, &n_steps), ==, names->len - 1);
}

static void
test_json_names_steps (void)
{
  g_autoptr(GPtrArray) names = make_names (20000, 30);
  g_autoptr(GPtrArray) long_names = make_names (5, 1000000);
  guint n_steps;

  g_test_summary ("Many names, and long ones, are looked at in steps");
  g_assert_cmpint (find (names, 100000, &n_steps), ==, -1);
  g_assert_cmpuint (n_steps, >, 20);
  g_assert_cmpuint (n_steps, <, 60);
  g_assert_cmpint (find (long_names, 100000, &n_steps), ==, -1);
  g_assert_cmpuint (n_steps, >, 90);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json-names/all", test_json_names_all);
  g_test_add_func ("/json-names/part", test_json_names_part);
  g_test_add_func ("/json-names/steps", test_json_names_steps);

  return g_test_run ();
}
