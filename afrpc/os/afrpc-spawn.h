/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starting and reaping processes. The only place of the library that clones and execs. Linux' vfork
 * semantics: the caller's memory is shared until the exec, so that starting costs the same whatever
 * the size of the program, and errors of the exec are known at once. No GObject, no main loop. */
#pragma once

#include <glib.h>
#include <sys/resource.h>

G_BEGIN_DECLS

#define AFRPC_SPAWN_SOCKET_FD 3              /* where the child finds its socket */
#define AFRPC_SPAWN_SOCKET_ENV "AFRPC_SOCKET" /* environment variable with that number */

typedef struct
{
  const char *path;         /* executable; no search */
  const char *const *argv;
  const char *const *envp;
  const char *cwd;          /* (nullable) */
  int stdio[3];             /* what becomes 0, 1, 2; -1: inherit */
  int socket;               /* what becomes AFRPC_SPAWN_SOCKET_FD; -1: nothing */
  gboolean leads_group;     /* a process group of its own */
  int lifeline;             /* 0: none; hangs that group on this one's end: what the program alone has the other end of */
} AfrpcSpawnPlan;

typedef struct
{
  int pid;                  /* 0: none */
  int pidfd;                /* -1: none, also if the kernel has none */
  /* Said by who takes it over. */
  gboolean leads_group;     /* which is signalled with it, and ended when it has ended */
  gboolean is_child;        /* whoever has this reaps it */
} AfrpcSpawned;

typedef struct
{
  gboolean known;           /* FALSE: somebody else reaped the process */
  int status;               /* exit status, or -1 if a signal ended it */
  int signum;               /* the signal that ended it, or 0 */
  gboolean core;
  struct rusage usage;
} AfrpcSpawnStatus;

gboolean afrpc_spawn        (const AfrpcSpawnPlan  *plan,
                             AfrpcSpawned          *spawned,
                             char                 **doing);
gboolean afrpc_spawn_has_ended (const AfrpcSpawned *spawned);
gboolean afrpc_spawn_reap   (AfrpcSpawned          *spawned,
                             AfrpcSpawnStatus      *status);
void     afrpc_spawn_signal (const AfrpcSpawned    *spawned,
                             int                    signum);
void     afrpc_spawn_end    (AfrpcSpawned          *spawned);
void     afrpc_spawn_abandon (AfrpcSpawned         *spawned);
void     afrpc_spawn_sweep  (void);
gboolean afrpc_spawn_find   (int                    pid,
                             int                   *pidfd);

G_END_DECLS
