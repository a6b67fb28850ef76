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
void afrpc_json_pointer_add_index (GString               *pointer,
                                   gsize                  index);

/* Sets "JSON at POINTER: MESSAGE", without " at POINTER" at the top, where the pointer is empty. */
void afrpc_json_pointer_set_error (const char            *pointer,
                                   AfrpcError             code,
                                   const char            *message,
                                   GError               **error);

/* A place on the way down a document: a chain, on the stack, up to the top. */
typedef struct _AfrpcJsonPlace AfrpcJsonPlace;
struct _AfrpcJsonPlace
{
  const AfrpcJsonPlace *up; /* (nullable) */
  const char *name;         /* (nullable): of the member, as written between its quotes */
  gsize name_length;
  gsize index;              /* of the element, which has no name */
};

#define AFRPC_JSON_ELEMENT(place, i) (&(const AfrpcJsonPlace) { .up = (place), .index = (i) })
#define AFRPC_JSON_MEMBER(place, raw) \
  (&(const AfrpcJsonPlace) { .up = (place), .name = (raw).start, .name_length = (raw).length })
#define AFRPC_JSON_NAMED(place, literal) \
  (&(const AfrpcJsonPlace) { .up = (place), .name = literal, .name_length = sizeof (literal) - 1 })

GString *afrpc_json_place_get_pointer (const AfrpcJsonPlace *place);
void     afrpc_json_place_set_error  (const AfrpcJsonPlace  *place,
                                      AfrpcError             code,
                                      const char            *message,
                                      GError               **error);

G_END_DECLS
