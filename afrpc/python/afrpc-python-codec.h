/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Python values as GVariants and back. What a value becomes is decided by its type alone, never by a look at
 * its content: True is `b`, an int `x`, a float `d`, a str `s`, what is like bytes `ay`, None an empty `mv`, a
 * tuple a tuple, a list `av`, a dict with keys that are all str `a{sv}`, all int `a{xv}`; an array is
 * `{s(satX)}`, an afrpc.Tagged `{sv}`; a Variant, or a GLib.Variant, is what it holds.
 *
 * Hooks are None, or a tuple of three functions, each of which may be None: the first gets what cannot be sent and
 * returns something else, the second gets tag and value of what is `{sv}`, the third a memoryview of each array of
 * numbers.
 *
 * AFRPC_PYTHON_PICKLED in their place has values travel as pickles.
 *
 * All functions need the GIL, and return NULL with a Python exception set. */
#pragma once

#include <Python.h>
#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_PYTHON_HOST_NAME "python"

/* The tag of the last argument of a call if that is a dictionary of those that have names. No hook is called for it. */
#define AFRPC_PYTHON_KEYWORDS "afrpc.keywords"

/* The name of the serialiser of pickles, and what stands for it in the place of hooks. */
#define AFRPC_PYTHON_UNSAFE_PICKLE "unsafe-pickle"
#define AFRPC_PYTHON_PICKLED Py_Ellipsis

typedef struct
{
  PyObject_HEAD
  GVariant *value;
} AfrpcPythonVariant;

/* What one of the extension modules has made and the others import: afrpc.Variant, afrpc.Tagged, and what keeps the
 * memory of arrays. */
extern PyTypeObject *afrpc_python_variant_type;
extern PyTypeObject *afrpc_python_tagged_type;
extern PyTypeObject *afrpc_python_view_type;

gboolean   afrpc_python_codec_register (PyObject        *module);
PyTypeObject *afrpc_python_variant_make_type (void);
gboolean   afrpc_python_codec_import   (void);
gboolean   afrpc_python_has_pygobject  (void);
PyObject  *afrpc_python_raise          (GError          *error);
PyObject  *afrpc_python_make_hooks     (PyObject        *args,
                                        PyObject        *keywords);

GVariant  *afrpc_python_pack           (PyObject        *object,
                                        PyObject        *hooks);
GVariant  *afrpc_python_pack_args      (PyObject        *tuple,
                                        PyObject        *hooks);
GVariant  *afrpc_python_pack_as        (const char      *type,
                                        PyObject        *object,
                                        gboolean         are_args,
                                        PyObject        *hooks);
PyObject  *afrpc_python_unpack         (GVariant        *value,
                                        PyObject        *hooks);
Py_ssize_t afrpc_python_count_args     (GVariant        *value);
gboolean   afrpc_python_unpack_args    (GVariant        *value,
                                        PyObject        *hooks,
                                        PyObject       **objects);
PyObject  *afrpc_python_unpack_tuple   (GVariant        *value,
                                        PyObject        *hooks);
PyObject  *afrpc_python_wrap_variant   (GVariant        *value);

GVariant  *afrpc_python_pickle         (PyObject        *object);
PyObject  *afrpc_python_unpickle       (GVariant        *value);
PyObject  *afrpc_python_unpickle_args  (GVariant        *value);

G_END_DECLS
