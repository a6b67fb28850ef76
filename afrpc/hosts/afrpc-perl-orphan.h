/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a worker whose program has died: it ends as by Perl's exit, so that END blocks and destructors run, and is
 * killed if that takes too long. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

int  afrpc_perl_orphan_get_signal (void);
void afrpc_perl_orphan_watch      (pTHX);
void afrpc_perl_orphan_leave      (void);

G_END_DECLS
