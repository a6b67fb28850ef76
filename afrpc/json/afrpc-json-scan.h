/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether a text is JSON: RFC 8259 to the letter, in one pass over the bytes, in as many steps as the caller likes, and
 * without recursion. Builds nothing, knows no types, and does not look for members that occur twice. It goes before the
 * decoder, which then only looks for what it needs to know. No allocation but for an error. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Arrays and objects in each other: those of the deepest GVariant, and the object around it. */
#define AFRPC_JSON_SCAN_DEPTH_MAX 129

/* Characters of a number, which can be read only as a whole. */
#define AFRPC_JSON_NUMBER_SIZE_MAX 4096

typedef enum
{
  AFRPC_JSON_WANT_VALUE,
  AFRPC_JSON_WANT_VALUE_OR_END, /* after [ */
  AFRPC_JSON_WANT_NAME,
  AFRPC_JSON_WANT_NAME_OR_END,  /* after { */
  AFRPC_JSON_WANT_COLON,
  AFRPC_JSON_WANT_COMMA_OR_END,
  AFRPC_JSON_WANT_NOTHING,
} AfrpcJsonWant;

typedef struct
{
  gboolean is_object;
  gsize index;       /* of the element or member that is being read */
  const char *name;  /* (nullable): of that member, as written between the quotes */
  gsize name_length;
} AfrpcJsonLevel;

typedef struct
{
  const char *start;
  const char *at;
  const char *end;
  AfrpcJsonWant want;
  const char *string; /* (nullable): where the string begins that was left in the middle */
  guint depth;        /* <= AFRPC_JSON_SCAN_DEPTH_MAX; how many of the levels are in use */
  AfrpcJsonLevel levels[AFRPC_JSON_SCAN_DEPTH_MAX];
} AfrpcJsonScan;

void afrpc_json_scan_init (AfrpcJsonScan  *self,
                           const char     *text,
                           gsize           length);

/* Goes on as long as there is a budget, of units as AFRPC_JSON_SLICE has. Returns 1 if the text is JSON, 0 if there is
 * more to look at, -1 with an error. */
int  afrpc_json_scan_step (AfrpcJsonScan  *self,
                           gssize         *budget,
                           GError        **error);

G_END_DECLS
