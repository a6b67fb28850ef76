/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "afrpc-process.h"
#include "peer/afrpc-peer.h"

G_BEGIN_DECLS

struct _AfrpcProcess
{
  GObject parent_instance;

  char *host;             /* construct-only, nullable: of a command nobody knows */
  char **argv;            /* construct-only, nullable */
  char *destination;      /* construct-only, nullable: by ssh */
  char **ssh_options;     /* construct-only, nullable */
  gboolean use_template;  /* construct-only */
  int fd;                 /* construct-only, -1: none; the peer's once the process is made, as is the next */
  int pidfd;              /* construct-only, -1: none */
  AfrpcProcess *template; /* construct-only, nullable: dropped once the process is made */
  AfrpcPeer *peer;

  /* As those who asked to be notified know it. */
  int notified_pid;
  AfrpcStart notified_start;
  gboolean notified_host; /* there is one */
};

AfrpcPeer *afrpc_process_get_peer (AfrpcProcess *self);

G_END_DECLS
