/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets that take as much as a test wants: send() and sendmsg() of the C library, replaced. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How many bytes are taken until the answer is EAGAIN; at first there is no limit. */
extern gsize narrow_socket_room;

/* How many bytes were offered in one call at most, and how many calls were made; to be reset by the test. */
extern gsize narrow_socket_offered_max;
extern guint narrow_socket_n_calls;

G_END_DECLS
