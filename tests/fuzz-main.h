/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a fuzz target has. libFuzzer brings a main function of its own; fuzz-main.c has another, for a program that
 * runs over the files, and the files in the folders, that are its arguments. */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <unistd.h>

G_BEGIN_DECLS

/* Returns: the lowest number of a descriptor that is free */
static inline int
fuzz_get_next_fd (void)
{
  int fd = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

  g_assert_no_errno (fd);
  close (fd);

  return fd;
}

int LLVMFuzzerTestOneInput (const guint8 *data,
                            size_t        size);

G_END_DECLS
