/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What travels with a call besides its arguments: in the same payload, so that the two cannot be parted by whatever is
 * dropped, kept or lost of what is queued. A call without it is sent as ever. Pure. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define AFRPC_METADATA_SIZE_MAX 65536u /* bytes */

/* The payload of a call with AFRPC_FRAME_FLAG_METADATA: the arguments, as they are sent without, and the a{sv}. */
#define AFRPC_METADATA_TYPE "(va{sv})"

GVariant *afrpc_metadata_pack   (GVariant  *args,
                                 GVariant  *metadata,
                                 GError   **error);
gboolean  afrpc_metadata_unpack (GVariant  *packed,
                                 GVariant **args,
                                 GVariant **metadata,
                                 GError   **error);

G_END_DECLS
