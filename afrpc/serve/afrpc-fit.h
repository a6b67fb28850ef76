/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of one type as values of another, where nothing is lost by that. Languages that have fewer types than GVariant
 * send what is nearest; a function that declares the type of its arguments gets that. Pure. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

GVariant *afrpc_fit (GVariant            *value,
                     const GVariantType  *type,
                     GError             **error);

G_END_DECLS
