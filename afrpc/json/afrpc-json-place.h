/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "afrpc/afrpc-error.h"

G_BEGIN_DECLS

/* Where in a JSON document something is wrong: JSON pointers (RFC 6901), for error messages. Names
 * come from the peer, so they are cut and cleaned. */

void afrpc_json_pointer_add_name  (GString               *pointer,
                                   const char            *name,
                                   gsize                  length);

/* The same of a name as it is written in the text, up to its quote. */
void afrpc_json_pointer_add_raw   (GString               *pointer,
                                   const char            *name);
void afrpc_json_pointer_add_index (GString               *pointer,
                                   gsize                  index);

/* Sets "JSON at POINTER: MESSAGE", without " at POINTER" at the top, where the pointer is empty. */
void afrpc_json_pointer_set_error (const char            *pointer,
                                   AfrpcError             code,
                                   const char            *message,
                                   GError               **error);

G_END_DECLS
