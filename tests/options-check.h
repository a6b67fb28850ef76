/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of options ask about them. */
#pragma once

#include "wire/afrpc-options.h"

G_BEGIN_DECLS

/* That the option is read as @value, and as nothing else. */
void options_check_value (const AfrpcOptions *options,
                          const char         *name,
                          GVariant           *value);

G_END_DECLS
