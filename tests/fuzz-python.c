/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of any type, and any bytes, to Python: what is in normal form is what GVariant's own functions say, and the
 * rest is refused, or harmless.
 *
 * Input: as that of fuzz-value: a byte that does not count here, the length of the type string, the type string, then
 * the bytes. */
#include "config.h"

#include "fuzz-main.h"

#include <string.h>

#include "afrpc/python/afrpc-python-codec.h"
#include "python-oracle.h"

static void
check (GVariant   *value,
       const char *type)
{
  PyObject *object = afrpc_python_unpack (value, NULL);
  PyObject *expected;

  if (object == NULL)
    {
      /* So has a type in a `v` that is longer than types may be. */
      g_assert_true (PyErr_ExceptionMatches (PyExc_ValueError));
      PyErr_Clear ();
      g_assert_true (!g_variant_is_normal_form (value) || strchr (type, 'v') != NULL || !python_oracle_knows (type));
      return;
    }
  if (g_variant_is_normal_form (value) && python_oracle_knows (type))
    {
      expected = python_oracle_unpack (value);
      g_assert_true (python_oracle_is_same (object, expected));
      Py_DECREF (expected);
    }
  Py_DECREF (object);
}

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        size_t        size)
{
  g_autofree char *type = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GBytes) bytes = NULL;
  gsize length;

  if (!Py_IsInitialized ())
    python_oracle_start ();
  if (size < 2 || size - 2 < data[1])
    return 0;

  length = data[1];
  type = g_strndup ((const char *) data + 2, length);
  if (!g_variant_type_string_is_valid (type) || !g_variant_type_is_definite (G_VARIANT_TYPE (type)))
    return 0;

  /* To the byte, for the sanitizer. */
  size -= 2 + length;
  bytes = g_bytes_new_take (size > 0 ? g_memdup2 (data + 2 + length, size) : g_malloc (1), size);
  value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, FALSE));
  check (value, type);

  return 0;
}
