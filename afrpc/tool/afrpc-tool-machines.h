/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Machines that workers run on, as GNU parallel has them: [NCPUS/][USER@]HOST, with commas in between; ":" is this one. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define AFRPC_TOOL_WORKERS_MAX 4096

typedef struct
{
  char *destination;    /* (nullable): for ssh; NULL: this machine */
  guint n_workers;      /* 0: one for each of its processors */
  gboolean is_reported; /* what is wrong with it has been */
} AfrpcToolMachine;

GPtrArray *afrpc_tool_machines_parse (const char *const  *lists,
                                      GError            **error) G_GNUC_WARN_UNUSED_RESULT;

/* Of this machine, those that may be used. */
guint      afrpc_tool_machines_count_processors (void);

G_END_DECLS
