/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options of a call, for those who make it. */
#pragma once

#include "afrpc-call-options.h"

G_BEGIN_DECLS

struct _AfrpcCallOptions
{
  GObject parent_instance;

  gint is_frozen;        /* atomic: a call has been given them */
  int timeout_ms;        /* -1: the caller's default, 0: none */
  guint execution_timeout_ms; /* 0: none */
  GUnixFDList *fds;      /* (nullable) */
  char *function;        /* (nullable) */
  gboolean idempotent;
  int priority;
  char *affinity;        /* (nullable) */
  gboolean wait_for_room;
  char *label;           /* (nullable) */
  GVariant *metadata;    /* (nullable): a{sv} */
  AfrpcProgressMode progress_mode;
  AfrpcProgressFunc progress; /* (nullable) */
  gpointer progress_data;
  GDestroyNotify progress_destroy; /* (nullable) */
};

static inline gboolean
afrpc_call_options_is_frozen (AfrpcCallOptions *self)
{
  return g_atomic_int_get (&self->is_frozen);
}

static inline void
afrpc_call_options_freeze (AfrpcCallOptions *self)
{
  g_atomic_int_set (&self->is_frozen, TRUE);
}

G_END_DECLS
