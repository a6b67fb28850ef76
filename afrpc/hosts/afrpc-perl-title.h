/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The process title: what $0 is, written to where ps looks for it. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

void afrpc_perl_title_init (int         argc,
                            char      **argv);
void afrpc_perl_title_tie  (pTHX);
void afrpc_perl_title_name (const char *function);

G_END_DECLS
