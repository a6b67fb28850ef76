/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* open() of the whole program, which fails for files of one name while a test wants that, as if there were no descriptors
 * left, and counts them; and which opens others instead of some. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The next @n of files whose last component is @name (static), and no more than that, fail until failing_open_end (). */
void   failing_open_begin             (const char *name,
                                       guint       n);
void   failing_open_end               (void);

/* From now on each of them takes so long, as if the kernel had much to do for it; and the least time since failing_open_begin ()
 * from the end of one to the beginning of the next. */
void   failing_open_slow_down         (guint       ms);
gint64 failing_open_get_least_gap_us (void);

/* How many have failed since it began, and how many were opened in spite of it, or after its end. */
guint  failing_open_get_n_failed      (void);
guint  failing_open_get_n_opened      (void);

/* In place of what is under @prefix, @directory is looked into from now on; both static, or %NULL: no longer. */
void   failing_open_redirect          (const char *prefix,
                                       const char *directory);

G_END_DECLS
