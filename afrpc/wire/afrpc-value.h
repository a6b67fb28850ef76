/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GVariants from the bytes of a foreign process. Nothing is trusted: a value that comes out of here is in normal
 * form, and GLib knows that it is, so that it is walked in linear time. No I/O.
 *
 * All at once:
 *
 *   value = afrpc_value_parse (&type, &frame.header, frame.type, frame.payload, frame.bytes, &error);
 *
 * In slices of a main loop, where a small message has no more to go through than that:
 *
 *   AfrpcValueParser parser;
 *   int step;
 *
 *   step = afrpc_value_parser_begin (&parser, &type, &frame.header, frame.type, frame.payload, frame.bytes,
 *                                    &value, &error);
 *   while (step == 0)
 *     … come back later, nothing of @frame is needed any more …
 *     step = afrpc_value_parser_step (&parser, AFRPC_VALUE_CHECK_SLICE, &value, &error);
 *
 * and @step is 1 with a value, or -1 with an error; there is nothing to clear then. Who gives up in between calls
 * afrpc_value_parser_clear(). */
#pragma once

#include <glib.h>

#include "wire/afrpc-frame.h"
#include "wire/afrpc-value-check.h"

G_BEGIN_DECLS

G_STATIC_ASSERT (AFRPC_FRAME_TYPE_MAX == AFRPC_LAYOUT_TYPE_MAX);

/* Characters of types whose layout is kept as well. */
#define AFRPC_VALUE_LAYOUT_KEPT_MAX 32u

/* The type string seen last, and already found valid: most frames on a connection repeat it. */
typedef struct
{
  char string[AFRPC_FRAME_TYPE_MAX + 1];
  gsize length; /* 0: none yet */
  AfrpcLayout layout[AFRPC_VALUE_LAYOUT_KEPT_MAX];
} AfrpcValueType;

/* A value that is large, and is being looked at. */
typedef struct
{
  GBytes *bytes;     /* (nullable): none, and then nothing else here is of use */
  char type[AFRPC_FRAME_TYPE_MAX + 1];
  AfrpcLayout layout[AFRPC_LAYOUT_TYPE_MAX];
  AfrpcValueCheck check;
} AfrpcValueParser;

GVariant *afrpc_value_parse        (AfrpcValueType          *type,
                                    const AfrpcFrameHeader  *header,
                                    const char              *type_string,
                                    const guint8            *payload,
                                    GBytes                  *payload_bytes,
                                    GError                 **error);

int       afrpc_value_parser_begin (AfrpcValueParser        *self,
                                    AfrpcValueType          *type,
                                    const AfrpcFrameHeader  *header,
                                    const char              *type_string,
                                    const guint8            *payload,
                                    GBytes                  *payload_bytes,
                                    GVariant               **value,
                                    GError                 **error);
int       afrpc_value_parser_step  (AfrpcValueParser        *self,
                                    gssize                   budget,
                                    GVariant               **value,
                                    GError                 **error);
void      afrpc_value_parser_clear (AfrpcValueParser        *self);

GVariant *afrpc_value_pack_error   (const GError            *error);

/* As g_variant_ref_sink (), which takes a lock where there is nobody to lock out: a floating value has one owner. */
static inline GVariant *
afrpc_value_ref_sink (GVariant *value)
{
  return g_variant_is_floating (value) ? g_variant_take_ref (value) : g_variant_ref (value);
}

G_END_DECLS
