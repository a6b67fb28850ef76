/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* To start processes for a test, in either of the ways there are, and to wait for them. */
#pragma once

#include "os/afrpc-spawn.h"

G_BEGIN_DECLS

typedef struct
{
  const char *name;
  GTestDataFunc func; /* gets the way to set first */
} SpawnChildTest;

extern const char *const spawn_child_env[];

/* Adds each test twice, for the ways "clone" and "posix". */
void         spawn_child_add_tests     (const char            *path,
                                        const SpawnChildTest  *tests,
                                        guint                  n_tests);
void         spawn_child_set_way       (gconstpointer          way);

AfrpcSpawned spawn_child_start         (const AfrpcSpawnPlan  *plan);
void         spawn_child_wait          (AfrpcSpawned          *spawned,
                                        AfrpcSpawnStatus      *status);

/* What a shell script prints. */
char        *spawn_child_run_script    (const char            *script,
                                        AfrpcSpawnStatus      *status);
char        *spawn_child_run_script_in (const char            *cwd,
                                        const char            *script,
                                        AfrpcSpawnStatus      *status);

G_END_DECLS
