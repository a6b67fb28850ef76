/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The event loop of a worker's modules and the main context, turned by one thread. */
#pragma once

#include "afrpc-perl.h"

G_BEGIN_DECLS

void afrpc_perl_loop_join (void);
void afrpc_perl_loop_wait (int fd);
void afrpc_perl_loop_wake (void);

G_END_DECLS
