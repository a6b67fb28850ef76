/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends a process that is still being prepared when nobody is left whom it could serve, also while it loads a module or
 * evaluates code. It has no lifeline then: until it is to run a function, it belongs to who has the other end of its connection,
 * which may be handed from one program to another. So it is that end which is watched, by a thread: a signal (see O_ASYNC in
 * open(2)) would be raised by every message, too, and cut short what a module sleeps or polls for. A module may do anything to
 * descriptors, limits and threads meanwhile. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void afrpc_hangup_watch   (int fd);
void afrpc_hangup_unwatch (void);

G_END_DECLS
