/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a test needs to know about the process that it runs in. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How many file descriptors are open. */
guint    own_process_count_fds          (void);

/* There is neither a running child nor a zombie. */
void     own_process_assert_no_children (void);

/* The soft limit of descriptors from now on. Returns the one before. */
guint64  own_process_limit_fds          (guint64 limit);

/* The lowest number that no descriptor has. */
int      own_process_lowest_fd          (void);

/* Where setrlimit() is a pretence and vfork() a fork. */
gboolean own_process_is_under_valgrind  (void);

/* Whether it can go on without getting memory from the system for a moment. */
gboolean own_process_can_be_without_memory (void);

G_END_DECLS
