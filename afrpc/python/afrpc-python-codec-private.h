/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What both ways to pack a value share. Packed values are floating references, until they are whole. */
#pragma once

#include "afrpc-python-codec.h"

G_BEGIN_DECLS

GVariant   *afrpc_python_peek_variant  (PyObject  *object);
GVariant   *afrpc_python_pack_variant  (GVariant  *value);
gboolean    afrpc_python_is_bytes      (PyObject  *object);
GVariant   *afrpc_python_pack_bytes    (PyObject  *object);
const char *afrpc_python_get_text      (PyObject  *object);
gboolean    afrpc_python_check_depth   (guint      depth);
void        afrpc_python_drop_children (GPtrArray *children);
GVariant   *afrpc_python_pack_inner    (PyObject  *object,
                                        guint      depth);

G_END_DECLS
