/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What encoder and decoder share. */

/* 2^53: every integer up to there is a double, too. */
#define AFRPC_JSON_EXACT_MAX G_GUINT64_CONSTANT (9007199254740992)

/* The NaN that is written "NaN"; others follow with their bits, "NaN(0x" and 16 digits and ")". */
#define AFRPC_JSON_NAN_BITS G_GUINT64_CONSTANT (0x7ff8000000000000)
#define AFRPC_JSON_NAN_PREFIX "NaN(0x"

/* A value of a basic type that is not a string, as it lies in a GVariant. */
typedef union
{
  guint8 bytes[8];
  guint8 y;
  guint16 q;
  guint32 u;
  guint64 t;
  gint16 n;
  gint32 i;
  gint64 x;
  double d;
} AfrpcJsonScalar;

/* Whether a dictionary whose keys have that type can be an object. */
gboolean    afrpc_json_is_name_type   (char                type);

/* What a string means that is written so between its quotes, and is valid. */
void        afrpc_json_unescape       (GString            *out,
                                       const char         *raw,
                                       gsize               length);

/* One of @names (element-type utf8) that occurs twice, or NULL; sorts them. No hash table: whoever
 * chooses the names could make it slow. */
const char *afrpc_json_find_duplicate (GPtrArray          *names);

G_END_DECLS
