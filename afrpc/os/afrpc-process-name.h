/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel calls a process: see PR_SET_NAME in prctl(2). */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

#define AFRPC_PROCESS_NAME_SIZE 16 /* bytes, with NUL */
#define AFRPC_PROCESS_NAME_TEMPLATE "afrpc-template"

/* The name of a process from the moment it is forked until it has a job, and has written something: it tells its program that
 * it is the one whose socket has this number, also if it has died before it could say so, and so has its template. */
static inline void
afrpc_process_name_get_forked (guint64 inode,
                               char    name[AFRPC_PROCESS_NAME_SIZE])
{
  g_snprintf (name, AFRPC_PROCESS_NAME_SIZE, "afrpc-%08x", (guint32) inode);
}

/* Whether it is one of those that are given here. */
static inline gboolean
afrpc_process_name_is_given (const char *name)
{
  return g_str_has_prefix (name, "afrpc-") &&
         (strcmp (name, AFRPC_PROCESS_NAME_TEMPLATE) == 0 || strspn (name + strlen ("afrpc-"), "0123456789abcdef") == 8);
}

G_END_DECLS
