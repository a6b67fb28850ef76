/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define AFRPC_INSIDE

#include <afrpc/afrpc-version.h>

#include <afrpc/afrpc-buffer.h>
#include <afrpc/afrpc-call.h>
#include <afrpc/afrpc-call-options.h>
#include <afrpc/afrpc-caller.h>
#include <afrpc/afrpc-enum-types.h>
#include <afrpc/afrpc-error.h>
#include <afrpc/afrpc-exit.h>
#include <afrpc/afrpc-host.h>
#include <afrpc/afrpc-invocation.h>
#include <afrpc/afrpc-json-serialiser.h>
#include <afrpc/afrpc-map.h>
#include <afrpc/afrpc-module.h>
#include <afrpc/afrpc-pool.h>
#include <afrpc/afrpc-pool-stats.h>
#include <afrpc/afrpc-pool-worker.h>
#include <afrpc/afrpc-process.h>
#include <afrpc/afrpc-proxy.h>
#include <afrpc/afrpc-self.h>
#include <afrpc/afrpc-serialiser.h>
#include <afrpc/afrpc-types.h>
#include <afrpc/afrpc-worker.h>

#undef AFRPC_INSIDE
