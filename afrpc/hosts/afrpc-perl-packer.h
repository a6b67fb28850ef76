/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts of what writes the bytes of a value from Perl: scalars and what refers to others, numbers in one piece,
 * and the list of all. Each returns the type of what it has written, or NULL with an error. */
#pragma once

#include "afrpc-perl-value.h"
#include "wire/afrpc-value-writer.h"

G_BEGIN_DECLS

#define AFRPC_PERL_DIMS_MAX 4 /* of numbers in one piece */

#define AFRPC_PERL_DEPTH_OF_ARRAY 2u /* of types in each other: `av` */

/* Runs Perl code only by afrpc_perl_call(), so that nothing jumps out of it. */
typedef struct
{
  AfrpcValueWriter writer;
  SV *scratch;     /* for what has to be changed before it is written */
  gboolean are_octets; /* everything is a string */
  guint array;     /* the numbers of types */
  guint hash;
  guint entry;
  guint handle;
  char numbers_type[AFRPC_PERL_DIMS_MAX + 2]; /* that was written last */
  GError **error;
} AfrpcPerlPacker;

const char         *afrpc_perl_pack_fail    (AfrpcPerlPacker  *self,
                                             const char       *format,
                                             ...) G_GNUC_PRINTF (2, 3);
AfrpcValueContainer afrpc_perl_pack_open    (AfrpcPerlPacker  *self,
                                             guint             type);
const char         *afrpc_perl_pack_string  (pTHX_
                                             AfrpcPerlPacker  *self,
                                             SV               *sv);
const char         *afrpc_perl_pack_array   (pTHX_
                                             AfrpcPerlPacker  *self,
                                             AV               *array,
                                             guint             depth);
const char         *afrpc_perl_pack_value   (pTHX_
                                             AfrpcPerlPacker  *self,
                                             SV               *sv,
                                             guint             depth);
gboolean            afrpc_perl_is_array     (pTHX_
                                             SV               *sv);
const char         *afrpc_perl_pack_numbers (pTHX_
                                             AfrpcPerlPacker  *self,
                                             AV               *parts);
gboolean            afrpc_perl_is_pdl       (pTHX_
                                             SV               *sv);
const char         *afrpc_perl_pack_pdl     (pTHX_
                                             AfrpcPerlPacker  *self,
                                             SV               *sv);

G_END_DECLS
