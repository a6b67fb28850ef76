/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A serialiser whose two functions are Perl's: the one makes octets of a list of values, the other a list of
 * octets. For the rest of the worker the value is those octets: an `ay`. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_PERL_SERIALISER (afrpc_perl_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcPerlSerialiser, afrpc_perl_serialiser, AFRPC, PERL_SERIALISER, GObject)

gboolean  afrpc_perl_serialiser_register (pTHX_
                                          const char           *name,
                                          SV                   *freeze,
                                          SV                   *thaw,
                                          GError              **error);
GVariant *afrpc_perl_serialiser_freeze   (pTHX_
                                          AfrpcPerlSerialiser  *self,
                                          SSize_t               first,
                                          SSize_t               n,
                                          GError              **error);
SV       *afrpc_perl_serialiser_get_thaw (AfrpcPerlSerialiser  *self);

G_END_DECLS
