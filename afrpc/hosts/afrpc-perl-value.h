/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Perl's values as GVariants, and back. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

SV       *afrpc_perl_unpack      (pTHX_
                                  GVariant  *value);
void      afrpc_perl_push        (pTHX_
                                  GVariant  *args);
GVariant *afrpc_perl_pack_list   (pTHX_
                                  SSize_t    first,
                                  SSize_t    n,
                                  GError   **error);
char     *afrpc_perl_message     (pTHX_
                                  SV        *sv);

G_END_DECLS
