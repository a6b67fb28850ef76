/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-error.h"

/**
 * afrpc_error_quark:
 *
 * Gets the domain of afrpc's errors.
 *
 * Returns: the error domain
 *
 * Since: 1.0
 */
G_DEFINE_QUARK (afrpc-error-quark, afrpc_error)
