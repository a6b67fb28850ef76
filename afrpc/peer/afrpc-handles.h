/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How news of a peer reaches what the program holds of it: the process and the proxy. */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "afrpc-exit.h"

G_BEGIN_DECLS

typedef struct
{
  void     (*exited)        (gpointer   process,
                             AfrpcExit *exit);
  /* Something that it says of itself has changed. */
  void     (*notify)        (gpointer   process);
  /* Whether somebody hears of that. */
  gboolean (*is_notified)   (gpointer   process);
} AfrpcPeerProcessFuncs;

#define AFRPC_PEER_EVENT_VALUES 4

typedef struct
{
  /* @event, @fds: (transfer full); @values: AFRPC_PEER_EVENT_VALUES of them, for the signal: made at the first event
   * that somebody handles, used again for those that follow, and unset by the peer after the last */
  void (*event)     (gpointer      proxy,
                     GVariant     *event,
                     GUnixFDList  *fds, /* (nullable) */
                     GValue       *values);
  /* @is_known: a call has got it already */
  void (*error)     (gpointer      proxy,
                     const GError *error,
                     gboolean      is_known);
  void (*destroyed) (gpointer      proxy);
  /* The worker wants no new calls. */
  void (*retired)   (gpointer      proxy);
} AfrpcPeerProxyFuncs;

G_END_DECLS
