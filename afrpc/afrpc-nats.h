/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A library of its own, afrpc-nats-1.0: who has no fleet needs no libnats. */
#pragma once

#include <afrpc/afrpc.h>

#define AFRPC_NATS_INSIDE

#include <afrpc/afrpc-nats-caller.h>
#include <afrpc/afrpc-nats-connection.h>
#include <afrpc/afrpc-nats-enum-types.h>
#include <afrpc/afrpc-nats-server.h>

#undef AFRPC_NATS_INSIDE
