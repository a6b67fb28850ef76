/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of Python and back, for any value there is. */
#include "config.h"

#include <string.h>

#include "afrpc/python/afrpc-python-codec.h"
#include "python-oracle.h"
#include "random-variant.h"
#include "variant-check.h"

#define N_ROUNDS (g_test_thorough () ? 300000 : 4000)

/* In memory of its own that ends where it does, for the sanitizer to see a step too far; not trusted. */
static GVariant *
make_foreign (const char   *type,
              const guint8 *data,
              gsize         size)
{
  g_autoptr(GBytes) bytes = g_bytes_new_take (size > 0 ? g_memdup2 (data, size) : g_malloc (1), size);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, FALSE));
}

/* Not all that arrives can be sent. */
static gboolean
clear_refusal (void)
{
  const gboolean is_known = PyErr_ExceptionMatches (PyExc_TypeError) || PyErr_ExceptionMatches (PyExc_ValueError) ||
                            PyErr_ExceptionMatches (PyExc_OverflowError);

  PyErr_Clear ();

  return is_known;
}

/* @packed: (transfer full) (nullable) */
static void
check_packed (GVariant *packed,
              PyObject *object)
{
  g_autoptr(GVariant) value = packed;
  PyObject *again;

  if (value == NULL)
    {
      g_assert_true (clear_refusal ());
      return;
    }
  g_assert_true (variant_is_normal (value));
  again = afrpc_python_unpack (value, NULL);
  g_assert_nonnull (again);
  g_assert_true (python_oracle_is_same (object, again));
  Py_DECREF (again);
}

static void
check_args (GVariant *value,
            PyObject *object)
{
  const Py_ssize_t n = afrpc_python_count_args (value);
  PyObject **objects = g_new (PyObject *, n + 1);
  PyObject *tuple = afrpc_python_unpack_tuple (value, NULL);

  g_assert_true (afrpc_python_unpack_args (value, NULL, objects));
  g_assert_cmpint (PyTuple_GET_SIZE (tuple), ==, n);
  for (Py_ssize_t i = 0; i < n; i++)
    {
      PyObject *expected = PyTuple_CheckExact (object) ? PyTuple_GET_ITEM (object, i) : object;

      g_assert_true (python_oracle_is_same (objects[i], expected));
      g_assert_true (python_oracle_is_same (PyTuple_GET_ITEM (tuple, i), expected));
      Py_DECREF (objects[i]);
    }
  Py_DECREF (tuple);
  g_free (objects);
}

static void
check_normal (GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  PyObject *object = afrpc_python_unpack (value, NULL);
  PyObject *expected = python_oracle_unpack (value);
  g_autoptr(GVariant) typed = NULL;

  g_assert_nonnull (object);
  g_assert_true (python_oracle_is_same (object, expected));
  if (*type == '(')
    check_args (value, object);

  check_packed (afrpc_python_pack (object, NULL), object);
  typed = afrpc_python_pack_as (type, object, FALSE, NULL);
  if (typed != NULL && strpbrk (type, "vm{") == NULL)
    variant_assert_same (typed, value);
  check_packed (g_steal_pointer (&typed), object);
  Py_DECREF (object);
  Py_DECREF (expected);
}

static void
test_random (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      g_autoptr(GVariant) foreign =
        make_foreign (g_variant_get_type_string (value), g_variant_get_data (value), g_variant_get_size (value));

      if (!python_oracle_knows (g_variant_get_type_string (value)))
        continue;
      check_normal (value);
      check_normal (foreign);
    }
}

/* Values of GVariant, so that types in them that this code makes are in it too. */
static GVariant *
random_boxed (GRand *rand)
{
  g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
  PyObject *object = afrpc_python_unpack (value, NULL);
  GVariant *packed = afrpc_python_pack (object, NULL);

  Py_DECREF (object);
  if (packed != NULL)
    return packed;
  PyErr_Clear ();

  return g_steal_pointer (&value);
}

static void
test_damaged (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (2);
  guint n_normal = 0, n_refused = 0;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr(GVariant) value = random_boxed (rand);
      const char *type = g_variant_get_type_string (value);
      const gsize size = g_variant_get_size (value);
      g_autofree guint8 *data = g_memdup2 (g_variant_get_data (value), size);

      for (guint j = 0; j < 8 && size > 0; j++)
        {
          const gsize at = g_rand_int_range (rand, 0, size);
          g_autoptr(GVariant) damaged = NULL;
          PyObject *object;

          data[at] = g_rand_boolean (rand) ? data[at] ^ 1 << (j % 8) : g_rand_int_range (rand, 0, 256);
          damaged = make_foreign (type, data, g_rand_boolean (rand) ? size : at);
          if (g_variant_is_normal_form (damaged) && python_oracle_knows (type))
            {
              check_normal (damaged);
              n_normal++;
              continue;
            }
          object = afrpc_python_unpack (damaged, NULL);
          n_refused += object == NULL;
          g_assert_true (object != NULL || clear_refusal ());
          Py_XDECREF (object);
        }
    }

  g_test_message ("%u were normal, %u were refused", n_normal, n_refused);
  g_assert_cmpuint (n_normal, >, 0);
  g_assert_cmpuint (n_refused, >, 0);
}

/* A large value is one of more than 64 kB, whose offsets have four bytes. */
static void
test_large (void)
{
  static const char *const types[] = { "as", "av", "a(sx)", "aas", "a{sv}", "a{us}", "ax", "ab", "amv", "a(yy)" };
  g_autoptr(GRand) rand = g_rand_new_with_seed (3);

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint length = 1; length < 100000; length *= 9)
      {
        g_autoptr(GVariant) value = random_variant_array (rand, types[i], length);
        g_autoptr(GVariant) foreign =
          make_foreign (g_variant_get_type_string (value), g_variant_get_data (value), g_variant_get_size (value));

        check_normal (foreign);
      }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  python_oracle_start ();

  g_test_add_func ("/python-codec/random", test_random);
  g_test_add_func ("/python-codec/damaged", test_damaged);
  g_test_add_func ("/python-codec/large", test_large);

  return g_test_run ();
}
