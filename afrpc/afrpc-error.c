/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"

G_DEFINE_QUARK (afrpc-error-quark, afrpc_error)
