/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a test of the conversions of Python compares them with: a Python in the process, and the same conversion by
 * GVariant's own functions, child by child. */
#pragma once

#include <Python.h>
#include <glib.h>

G_BEGIN_DECLS

void      python_oracle_start   (void);
PyObject *python_oracle_unpack  (GVariant   *value);
gboolean  python_oracle_is_same (PyObject   *a,
                                 PyObject   *b);
gboolean  python_oracle_knows   (const char *type);

G_END_DECLS
