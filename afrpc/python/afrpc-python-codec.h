/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Python values as GVariants and back. What a value becomes is decided by its type alone, never by a look at
 * its content: True is `b`, an int `x`, a float `d`, a str `s`, what is like bytes `ay`, None an empty `mv`, a
 * tuple a tuple, a list `av`, a dict with keys that are all str `a{sv}`, all int `a{xv}`; a Variant, or a
 * GLib.Variant, is what it holds.
 *
 * All functions need the GIL, and return NULL with a Python exception set. */
#pragma once

#include <Python.h>
#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  PyObject_HEAD
  GVariant *value;
} AfrpcPythonVariant;

/* afrpc.Variant, which one of the extension modules has made and the others import. */
extern PyTypeObject *afrpc_python_variant_type;

PyTypeObject *afrpc_python_variant_register (PyObject *module);

GVariant  *afrpc_python_pack         (PyObject        *object);
GVariant  *afrpc_python_pack_tuple   (PyObject *const *objects,
                                      Py_ssize_t       n);
GVariant  *afrpc_python_pack_as      (const char      *type,
                                      PyObject        *object);
PyObject  *afrpc_python_unpack       (GVariant        *value);
Py_ssize_t afrpc_python_count_args   (GVariant        *value);
gboolean   afrpc_python_unpack_args  (GVariant        *value,
                                      PyObject       **objects);
PyObject  *afrpc_python_unpack_tuple (GVariant        *value);
PyObject  *afrpc_python_wrap_variant (GVariant        *value);

G_END_DECLS
