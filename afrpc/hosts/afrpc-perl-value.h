/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Perl's values as GVariants, and back. */
#pragma once

#include "afrpc-perl-serialiser.h"

G_BEGIN_DECLS

/* Of what stands for a file descriptor in a result. */
#define AFRPC_PERL_HANDLE_CLASS "Afrpc::Handle"

/* Of numbers in one piece: a type, octets, and perhaps dimensions, the outermost first. */
#define AFRPC_PERL_ARRAY_CLASS "Afrpc::Array"

/* The lists of calls and events are converted as this wants them, from now on. */
void                 afrpc_perl_value_choose         (AfrpcSerialiser  *serialiser);
AfrpcPerlSerialiser *afrpc_perl_value_get_serialiser (void);

SV                  *afrpc_perl_unpack               (pTHX_
                                                      GVariant         *value);
gboolean             afrpc_perl_push                 (pTHX_
                                                      GVariant         *args,
                                                      GError          **error);
GVariant            *afrpc_perl_pack_list            (pTHX_
                                                      SSize_t           first,
                                                      SSize_t           n,
                                                      GError          **error);

G_END_DECLS
