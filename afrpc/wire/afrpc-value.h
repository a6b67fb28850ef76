/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GVariants from the bytes of a foreign process. Nothing is trusted: a value that comes out of here
 * is in normal form and safe to use. No I/O. */
#pragma once

#include <glib.h>

#include "wire/afrpc-frame.h"

G_BEGIN_DECLS

/* The type string seen last, and already found valid: most frames on a connection repeat it. */
typedef struct
{
  char string[AFRPC_FRAME_TYPE_MAX + 1];
  gsize length; /* 0: none yet */
} AfrpcValueType;

GVariant *afrpc_value_parse          (AfrpcValueType          *type,
                                      const AfrpcFrameHeader  *header,
                                      const char              *type_string,
                                      const guint8            *payload,
                                      GBytes                  *payload_bytes,
                                      GError                 **error);

GVariant *afrpc_value_pack_error     (const GError            *error);

G_END_DECLS
